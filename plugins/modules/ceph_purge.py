#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_purge
short_description: A host on which nothing is left of a cluster
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Removes from a host what this collection made there of a Ceph cluster and for its consumers, and nothing else. All data of the cluster is lost.
  - Removed are Ceph's daemons with their units, drop-ins and data folders, keyrings and C(ceph.conf); storage pools and secrets of libvirt, and its
    setup for guests on Ceph; NFS-Ganesha's configuration; the disks of Xen guests, what is mapped for them, and scripts; the parts of OpenStack's
    configuration. Packages, logs and bridges stay.
  - Whether something is of this cluster is asked of the thing itself, such as a secret of libvirt, a logical volume or an OSD's label. What does not
    say it, such as a keyring, is of the cluster that the host's C(ceph.conf) names, or a monitor that runs on the host. A host that names another
    cluster is refused.
  - Disks keep what is on them, unless O(allow_loss) or O(wipe_devices) says otherwise.
  - It is refused while somebody uses the cluster. That is a guest of the host that runs, an image that is mapped or a CephFS that is mounted on it, a host
    that has mounted its exports, or any client with a session at its monitor.
  - The cluster need not run. C(ceph.conf) is removed last, so the next run finishes one that was killed.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  fsid:
    description: The fsid of the cluster. A host that says that it is of another one is refused.
    type: str
    required: true
  until:
    description:
      - "How far it goes. V(consumers): storage pools and secrets of libvirt, disks of Xen guests, NFS-Ganesha. V(daemons): also all daemons but monitors, and
        OSDs' disks."
      - On several hosts each step is done on all of them before the next one.
    type: str
    choices: [consumers, daemons, all]
    default: all
  clients:
    description: The full names of the clients whose keyrings this collection wrote on this host, besides C(client.admin) and C(client.crash.HOST). Others'
      stay.
    type: list
    elements: str
    default: []
  devices:
    description: The devices that are declared for OSDs on this host.
    type: list
    elements: str
    default: []
  wipe_devices:
    description: Whether all of O(devices) that have something of this cluster are wiped, as if O(allow_loss) named them.
    type: bool
    default: false
  cluster_stays:
    description: Whether the cluster goes on without this host. Then sessions at its monitor are no obstacle, and Ceph's daemons that are still on it are one.
    type: bool
    default: false
  uri:
    description: Which libvirt to speak to.
    type: str
    default: qemu:///system
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
  allow_loss:
    description:
      - 'What may be lost. V(device//dev/disk/by-id/wwn-0x5000c500a0b1c2d3): a disk that is wiped. V(volume/ceph-vg/osd-db-1): a logical volume of an OSD.
        V(session/client.kvm): the storage of whoever still uses the cluster with that client. V(session/nfs:10.0.0.21): that of a host that has mounted an
        export.'
      - 'The cluster itself needs no entry: its fsid was written out.'
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: What would go, and what is in the way
  cephstack.cloud.ceph_purge:
    fsid: 5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11
    clients: [client.kvm]
  check_mode: true

- name: Nothing is left, also on the disks
  cephstack.cloud.ceph_purge:
    fsid: 5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11
    clients: [client.kvm]
    devices: [/dev/disk/by-id/wwn-0x5000c500a0b1c2d3]
    wipe_devices: true
"""

RETURN = r"""
left:
  description: What stays on the host, and why.
  type: list
  elements: str
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import find_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import reconcile_alone
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._purge import OPTIONS, provider
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = OPTIONS


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    find_binding("libvirt")  # where libvirt is not on this host, nothing is missing
    try:
        with provider(module.params) as wanted:
            reconcile_alone("ceph-purge", module, wanted, wanted.allow_loss)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)


if __name__ == "__main__":
    main()
