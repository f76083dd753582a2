#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_host_info
short_description: Whether a Ceph host is as declared
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Compares a host with all that is declared of it, its packages, its C(ceph.conf), its monitor, its other daemons and its OSDs, in one call.
    Nothing is changed.
  - Where a run has little to do most hosts are as declared, and the modules that make them need not run there.
  - What cannot be compared counts as a difference. The module whose part it is says then what is wrong, as always.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
options:
  apt_packages:
    description: The options that M(cephstack.cloud.apt_packages) is given on this host, without C(connection).
    type: dict
  ceph_keyrings:
    description: The options that M(cephstack.cloud.ceph_keyrings) is given on this host, without C(connection).
    type: dict
  ceph_mon:
    description: The options that M(cephstack.cloud.ceph_mon) is given on this host, without C(connection).
    type: dict
  ceph_daemon:
    description: The options that M(cephstack.cloud.ceph_daemon) is given on this host, without C(connection).
    type: dict
  ceph_osds:
    description: The options that M(cephstack.cloud.ceph_osds) is given on this host, without C(connection).
    type: dict
  host_files:
    description: The options that M(cephstack.cloud.host_files) is given on this host, but for units.
    type: dict
    suboptions:
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
            description: All of the file's text. One of this, C(secret) and C(lines) is needed if the file is to exist.
            type: str
          secret:
            description: All of the file's text, which is shown nowhere.
            type: str
          lines:
            description: Lines that the file has to have. Those that it lacks are added at its end, and others stay, for programs and people write it too.
            type: list
            elements: str
          owner:
            description: The name of the user that it belongs to.
            type: str
            default: root
          group:
            description: The name of the group that it belongs to.
            type: str
            default: root
          mode:
            description: Its permissions, as four octal digits in quotes. Programs need V(0755).
            type: str
            default: "0644"
          requires:
            description: A path of the host, such as that of a program. Where it is not there, this is left as it is.
            type: path
          state:
            description: Whether it is there.
            type: str
            choices: [present, absent]
            default: present
      commands:
        description: Programs that make a file of others.
        type: list
        elements: dict
        default: []
        suboptions:
          argv:
            description: The program and its arguments.
            type: list
            elements: str
            required: true
          creates:
            description: The file that it makes. It is run where that is not there.
            type: path
            required: true
          reads:
            description: The full paths of the files that it makes it of. It is run where one of them is newer.
            type: list
            elements: str
            default: []
          requires:
            description: A path of the host, such as that of a program. Where it is not there, this is left as it is.
            type: path
"""

EXAMPLES = r"""
- name: Compare a host with a manager and an OSD
  cephstack.cloud.ceph_host_info:
    apt_packages:
      packages: [ceph-mgr, ceph-osd]
    ceph_daemon:
      daemons: [{type: mgr}]
      crash_reports: true
    ceph_osds:
      devices:
        - path: /dev/disk/by-id/wwn-0x5000c500a0b1c2d3
  register: compared

- name: Say what differs
  ansible.builtin.debug:
    var: compared.differs
"""

RETURN = r"""
as_declared:
  description: Whether none of the modules would change anything.
  type: bool
  returned: success
differs:
  description:
    - The ids of what would be changed, or why that cannot be said. Empty if the host is as declared.
    - If packages are missing, V(packages) and nothing else. The rest is read by programs that are in them.
  type: list
  elements: str
  returned: success
  sample: [unit/ceph-osd@3.service]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, find_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.host import OPTIONS, compare, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION, **OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    try:
        declared = parse(module.params)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    # The binding is in one of the packages.
    differs, warnings = compare(declared, module.params["connection"]) if find_binding() else (["packages"], [])
    for warning in warnings:
        module.warn(warning)
    module.exit_json(as_declared=not differs, differs=differs)


if __name__ == "__main__":
    main()
