#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_osd_removal
short_description: OSDs that are to be gone, with their data kept
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Moves the data of OSDs away, stops them, and removes them from the cluster and from their host.
  - Before anything is touched it is computed what the cluster would be without them. It is refused if a pool's rule would find too few failure
    domains, or if an OSD that stays would pass C(nearfull). The refusal says what is in the way.
  - Then their CRUSH weight becomes 0, and the module waits while data moves, however long that takes. It ends with what the cluster says when
    nothing has moved for O(patience) seconds. What has moved stays moved, and the next run goes on from there.
  - An OSD is stopped, and again removed, only when the cluster says that it is safe to destroy. Nothing else allows it, except O(allow_loss) for one
    that is down and has the only copy of something.
  - Removed are the OSD, its key, its options, its place in CRUSH and its host's bucket there if that is empty, its units, its drop-in and its data folder.
    Its disks and volumes keep what is on them, unless O(allow_loss) names them.
  - In a playbook, how far the data has moved is shown while it moves.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
    details: Says what would be done in which order, how many bytes would move, and what is waited for.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  osds:
    description:
      - The OSDs, for example V(osd.3) or V(3). One that the cluster does not have is gone already.
      - V(osd.3@1b74c6a2) is the one whose uuid begins so, and no other that got its number since. The state V(destroyed) needs it, and says it.
    type: list
    elements: str
    default: []
  hosts:
    description: Hosts as CRUSH names them, of which all OSDs are to be gone.
    type: list
    elements: str
    default: []
  state:
    description:
      - What is to become of them. V(drained) moves their data away, of whichever hosts they are, and leaves them running.
      - V(absent) also stops them, and removes them from the cluster and from this host.
      - V(destroyed) takes disks of this host out to put others in their place. The OSDs stop and keep their numbers, their places in CRUSH and their classes,
        and nothing moves to others. M(cephstack.cloud.ceph_osds) makes them anew on the next disks that it is given.
    type: str
    choices: [absent, drained, destroyed]
    default: absent
  cluster_only:
    description: Whether only the cluster's part is done, for OSDs of hosts that cannot be reached. What such a host has of them stays there.
    type: bool
    default: false
  hostname:
    description: This host's name in CRUSH. The host's short name by default.
    type: str
  accept_health:
    description: Health checks that do not keep data from being moved, for example V(MON_DISK_LOW).
    type: list
    elements: str
    default: []
  patience:
    description: How many seconds nothing may have moved before the wait for the data ends with what the cluster says of it.
    type: int
    default: 600
  wait:
    description:
      - Whether the module waits until the data has moved. If not, it begins and returns how far that is.
      - With the state V(drained) only.
    type: bool
    default: true
  allow_loss:
    description:
      - 'What may be lost, by the ids that refusals and warnings name. V(osd/osd.3): an OSD that is down and has the only copy of something.
        V(device//dev/disk/by-id/wwn-0x5000c500a0b1c2d3): a disk that is wiped when its OSD is gone. V(volume/ceph-vg/osd-db-1): a logical volume of an OSD, as
        on a shared device for databases.'
      - Without it, disks and volumes keep what is on them.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Two disks of this host are taken out, and wiped
  cephstack.cloud.ceph_osd_removal:
    osds: [osd.3, osd.7]
    allow_loss:
      - device//dev/disk/by-id/wwn-0x5000c500a0b1c2d3
      - device//dev/disk/by-id/wwn-0x5000c500a0b1c2d4

- name: Move all data off two hosts at once, before they are taken down one after the other
  cephstack.cloud.ceph_osd_removal:
    hosts: [ceph4, ceph5]
    state: drained

- name: A host is lost for good
  cephstack.cloud.ceph_osd_removal:
    hosts: [ceph4]
    cluster_only: true
"""

RETURN = r"""
osds:
  description: Those of the OSDs that the cluster still has.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: The OSD's number.
      type: int
    host:
      description: Its host in CRUSH.
      type: str
    up:
      description: Whether the cluster has it as up.
      type: bool
    placement_groups:
      description: How many placement groups have a copy on it.
      type: int
    drained:
      description: Whether the cluster says that it is safe to destroy.
      type: bool
drained:
  description: Whether all of them are, or gone.
  type: bool
  returned: success
movement:
  description: What of the cluster's data is not yet where it belongs.
  type: dict
  returned: success
  contains:
    objects:
      description: Objects that are misplaced or lack a copy.
      type: int
    bytes:
      description: The same in bytes, by the average object.
      type: int
    rate:
      description: Bytes a second, as the cluster says.
      type: int
    pgs:
      description: Placement groups that still have a copy on these OSDs.
      type: int
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.osd_removal import OPTIONS, provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION, **OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        require_binding(module)
        with Connection(params["connection"]) as cluster:
            run_module(module, provider(params, cluster), allow_loss=params["allow_loss"])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
