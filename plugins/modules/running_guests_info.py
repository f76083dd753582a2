#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: running_guests_info
short_description: The guests that run on a host
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Asks libvirt, and Xen where this is its first domain, which guests run.
  - A host with neither has none. One of them that cannot be asked is an error.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_host
options:
  allowed:
    description: Whether guests may run. If not, one that does is an error that names all of them.
    type: bool
    default: true
  uri:
    description: Which libvirt to speak to.
    type: str
    default: qemu:///system
"""

EXAMPLES = r"""
- name: Refuse to go on while a guest runs
  cephstack.cloud.running_guests_info:
    allowed: false
"""

RETURN = r"""
guests:
  description: The names of the guests that run.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils import _running_guests
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import find_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import URI_OPTION
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean

FIELDS = {
    "allowed": boolean("Whether guests may run. If not, one that does is an error that names all of them.", default=True),
    "uri": URI_OPTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    find_binding("libvirt")  # where libvirt is not on this host, nothing is missing
    try:
        guests = _running_guests.names(module.params["uri"])
    except Unreachable as error:
        module.fail_json(msg=str(error))
    if guests and not module.params["allowed"]:
        module.fail_json(msg=_running_guests.refusal(guests), guests=guests)
    module.exit_json(changed=False, guests=guests)


if __name__ == "__main__":
    main()
