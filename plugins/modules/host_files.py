#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Keep files of a host, the units that read them, and what programs make of them
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - All files, units and programs of a call are one plan, in which each of them is a change of its own. Check mode lists exactly those that would differ.
  - A unit is restarted, and a program run, where a file that it reads changes, and also where that is newer than the unit's start, or than what the
    program makes. So what a run that was cut off has left is done by the next one, which a handler would not do.
  - A file is written whole, or not at all. A folder that is missing is made.
  - Systemd reads its units again where files below C(/etc/systemd/system) change.
  - Files in C(/etc/modules-load.d) have the kernel load their modules at every boot, and now. A module that this kernel can't load is no failure.
    On a Xen host M(cephstack.cloud.xen_host) says which drivers there are, and which backends need them.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
    details: A unit that is not installed yet is listed as one to be started.
  diff_mode:
    support: full
    details: Of O(files[].secret) it says only that it differs, and of O(files[].lines) it shows none of the file's other lines.
  idempotent:
    support: full
seealso:
  - module: ansible.builtin.copy
  - module: ansible.builtin.systemd_service
options:
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
  units:
    description: Units of systemd to keep.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name, not one of its aliases. One without a dot is that of a service.
        type: str
        required: true
      enabled:
        description: Whether it starts at boot. Left as it is if not given.
        type: bool
      state:
        description: Whether it runs. Left as it is if not given.
        type: str
        choices: [started, stopped]
      reads:
        description: The full paths of files that it reads when it starts. It is restarted if it runs and has not read them as they are now.
        type: list
        elements: str
        default: []
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
- name: A database server with its settings, restarted where it has not read them
  cephstack.cloud.host_files:
    files:
      - path: /etc/mysql/mariadb.conf.d/99-local.cnf
        content: "{{ lookup('ansible.builtin.template', 'local.cnf.j2') }}"
    units:
      - name: mariadb
        enabled: true
        state: started
        reads: [/etc/mysql/mariadb.conf.d/99-local.cnf]

- name: A driver that is loaded now and at every boot, a key that may log in, and options of the kernel
  cephstack.cloud.host_files:
    files:
      - {path: /etc/modules-load.d/rbd.conf, content: "rbd\n"}
      - path: /root/.ssh/authorized_keys
        lines: ["{{ lookup('ansible.builtin.file', 'backup.pub') }}"]
        mode: "0600"
      - path: /etc/default/grub.d/serial.cfg
        content: |
          GRUB_CMDLINE_LINUX="console=ttyS0"
    commands:
      - argv: [update-grub]
        creates: /boot/grub/grub.cfg
        reads: [/etc/default/grub.d/serial.cfg]
"""

RETURN = r"""
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._host.host_files import OPTIONS, provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = OPTIONS


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    try:
        files = provider(module.params)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    run_module(module, files)


if __name__ == "__main__":
    main()
