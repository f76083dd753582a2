#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_libvirt
short_description: Set up libvirt's service for guests on Ceph
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Keeps libvirt's daemon running, also when it is idle, and started at every boot, with storage pools that come back after each restart.
  - Gives each guest an admin socket and a log of its Ceph client, in C(/run/ceph-guests) and C(/var/log/ceph-guests), and lets AppArmor allow them.
  - Restarts libvirt where it has not read its files as they are, whether they change now or were changed since it was started, as by a run that was
    cut off. Guests that run are not touched by that.
  - In a container whose cgroups can't be written libvirt is told to do without them.
  - Lines of others in C(ceph.conf), C(qemu.conf), C(libvirtd.conf) and C(libvirt.conf) are left alone.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
    details: On a host where libvirt is not installed yet it says what would be written.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  clients:
    description:
      - The full names of the cephx clients that guests use. Those alone get admin sockets and logs.
      - Without any, what was written for them is taken away. Sockets and logs are left.
    type: list
    elements: str
    default: []
  cloudstack:
    description:
      - Whether the host is for CloudStack. libvirt then listens itself, instead of systemd's sockets, so that guests can move between hosts.
      - Once CloudStack has the host, C(qemu.conf) and C(libvirtd.conf) are its own. They are not written any more, and what it writes there is no reason for a
        restart.
    type: bool
    default: false
  user:
    description: The user that QEMU runs as, who owns the folders of sockets and logs.
    type: str
    default: libvirt-qemu
  group:
    description: Its group.
    type: str
    default: kvm
  apparmor:
    description: The file from which AppArmor reads additions to the profiles of guests. Leave it out where there is no AppArmor.
    type: path
seealso:
  - module: cephstack.cloud.libvirt_rbd
  - module: cephstack.cloud.kvm_info
"""

EXAMPLES = r"""
- name: libvirt for guests on Ceph
  cephstack.cloud.kvm_libvirt:
    clients: [client.kvm]
    apparmor: /etc/apparmor.d/abstractions/libvirt-qemu.d/cephstack

- name: libvirt as CloudStack wants it
  cephstack.cloud.kvm_libvirt:
    cloudstack: true
"""

RETURN = r"""
registered:
  description: Whether CloudStack has the host already. Always V(false) without O(cloudstack).
  type: bool
  returned: success
cgroups:
  description: Whether libvirt can put guests into cgroups of their own.
  type: bool
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.service import Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, filepath, string, strings

FIELDS = {
    "clients": strings(
        "The full names of the cephx clients that guests use. Those alone get admin sockets and logs.\n"
        "Without any, what was written for them is taken away. Sockets and logs are left.",
        default=[],
    ),
    "cloudstack": boolean(
        "Whether the host is for CloudStack. libvirt then listens itself, instead of systemd's sockets, so that guests can move between hosts.\n"
        "Once CloudStack has the host, C(qemu.conf) and C(libvirtd.conf) are its own. They are not written any more, and what it writes there is no "
        "reason for a restart.",
        default=False,
    ),
    "user": string("The user that QEMU runs as, who owns the folders of sockets and logs.", default="libvirt-qemu"),
    "group": string("Its group.", default="kvm"),
    "apparmor": filepath("The file from which AppArmor reads additions to the profiles of guests. Leave it out where there is no AppArmor."),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    try:
        wanted = parse(module.params)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    run_module(module, Provider(wanted, module.check_mode))


if __name__ == "__main__":
    main()
