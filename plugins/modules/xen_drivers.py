#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_drivers
short_description: Give a Xen host the drivers and scripts by which guests get RBD images
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Lets the kernel load modules at every boot, by C(/etc/modules-load.d/cephstack-xen.conf), and loads them when that file changes. A run that was
    cut off before that is made up for.
  - Keeps files as they are given, such as hotplug scripts and units of systemd. They belong to root. A folder that is missing is made.
  - Lets systemd read its units again where their files changed.
  - A module that this kernel can't load is no failure. M(cephstack.cloud.xen_info) says which drivers there are, and which backends need them.
extends_documentation_fragment:
  - cephstack.cloud.attributes
attributes:
  check_mode:
    support: full
    details: On a host where Xen is not installed yet it says what would be written.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  modules:
    description: The kernel's modules to load, in this order.
    type: list
    elements: str
    required: true
  files:
    description: The files to keep.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The full path.
        type: path
        required: true
      content:
        description: All of the file's text.
        type: str
        required: true
      mode:
        description: Its permissions. Programs need V(0755).
        type: str
        choices: ["0644", "0755"]
        default: "0644"
seealso:
  - module: cephstack.cloud.xen_info
  - module: cephstack.cloud.xen_rbd
"""

EXAMPLES = r"""
- name: Drivers of the backend krbd_script, and its hotplug script
  cephstack.cloud.xen_drivers:
    modules: [rbd, xen-blkback]
    files:
      - path: /etc/xen/scripts/block-rbd
        content: "{{ lookup('ansible.builtin.file', 'block-rbd', rstrip=false) }}"
        mode: "0755"
"""

RETURN = r"""
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, records, strings
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.drivers import FILE_OPTIONS, Provider, parse

FIELDS = {
    "modules": strings("The kernel's modules to load, in this order.", required=True),
    "files": records("The files to keep.", FILE_OPTIONS, default=[]),
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
    run_module(module, Provider(wanted))


if __name__ == "__main__":
    main()
