#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_facts
short_description: Learn what a host is, and what could go against making it
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Returns the facts of M(ansible.builtin.setup) that the roles need (C(min) and C(network)), and beside them the way to other hosts, how far their clocks are
    off, the room of filesystems, what holds TCP ports, and what the host has of a Ceph cluster. M(cephstack.cloud.preflight) judges them.
  - The way and the clocks are asked of the other hosts' kernels by ICMP, all at the same time, while the other facts are collected. What does not answer is
    left out. No packages are needed.
  - As a task, what is not given is taken from the inventory and the variables of the stack.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_host
options:
  peers:
    description: Other hosts, the way to which is tried, and with whose clocks this host's is compared.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Its name.
        type: str
        required: true
      address:
        description: Its address, or a name that leads there.
        type: str
        required: true
  networks:
    description: The networks, in CIDR form, in which the address is that a peer's name leads to. In any by default.
    type: list
    elements: str
    default: []
  ports:
    description: The TCP ports of which is asked what holds them.
    type: list
    elements: int
    default: []
  programs:
    description: Programs that may hold them, and of which is asked whether they are installed.
    type: list
    elements: str
    default: []
  devices:
    description: The devices of which is asked whether an OSD is on them.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Learn what the hosts are
  cephstack.cloud.preflight_facts:

- name: Check the declaration, and the hosts against it
  cephstack.cloud.preflight:
  run_once: true
"""

RETURN = r"""
ansible_facts:
  description: Those of M(ansible.builtin.setup), and in C(cephstack) what was found beside them.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.facts import ansible_collector, default_collectors
from ansible.module_utils.facts.namespace import PrefixFactNamespace

from ansible_collections.cephstack.cloud.plugins.module_utils import _preflight
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = _preflight.OPTIONS
# What the module setup calls "min".
LEAST = [
    *("apparmor", "caps", "cmdline", "date_time", "distribution", "dns", "env", "fips", "local", "lsb", "pkg_mgr", "platform", "python", "selinux"),
    *("service_mgr", "ssh_pub_keys", "user"),
]


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    collector = ansible_collector.get_ansible_collector(
        all_collector_classes=default_collectors.collectors,
        namespace=PrefixFactNamespace(namespace_name="ansible", prefix="ansible_"),
        gather_subset=["!all", "min", "network"],
        minimal_gather_subset=frozenset(LEAST),
    )
    module.exit_json(changed=False, ansible_facts=_preflight.look(module.params, lambda: collector.collect(module=module)))


if __name__ == "__main__":
    main()
