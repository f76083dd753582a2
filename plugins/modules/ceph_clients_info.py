#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_clients_info
short_description: What of a host uses Ceph's client libraries
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Lists the processes of this host that have librados, librbd or libcephfs loaded, guests by their names, and whether that is the library that is installed.
  - A package that is upgraded takes the place of a library's file. What runs goes on with the file that it has, until it ends or moves to another host.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options: {}
"""

EXAMPLES = r"""
- name: See which guests still have the library of before
  cephstack.cloud.ceph_clients_info:
  register: using
"""

RETURN = r"""
processes:
  description: The processes, by their numbers.
  type: list
  elements: dict
  returned: success
  contains:
    pid:
      description: Its number.
      type: int
    program:
      description: Its program.
      type: str
    guest:
      description: The guest that it runs, empty if it is no hypervisor's.
      type: str
    libraries:
      description: The files of the libraries.
      type: list
      elements: str
    outdated:
      description: Whether one of them is not installed any more.
      type: bool
unread:
  description: The numbers of processes that cannot be read, of which nothing is known.
  type: list
  elements: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.client_processes import observe


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, **observe())


if __name__ == "__main__":
    main()
