# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_hosts
short_description: The inventory's hosts as the module lab_hosts takes them
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes each host's name, its C(ansible_host) as address, and the rest out of its variable C(lab_host).
  - Hosts with C(ansible_connection=local) are the machine itself and are left out.
options:
  _input:
    description: Names of hosts.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of all hosts.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what the lab would consist of
  ansible.builtin.debug:
    msg: "{{ groups['all'] | cephstack.cloud.lab_hosts(hostvars) }}"
"""

RETURN = r"""
_value:
  description: One entry a host, for O(cephstack.cloud.lab_hosts#module:hosts).
  type: list
  elements: dict
"""

import typing as t


def lab_hosts(names: t.Iterable[str], hostvars: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the declarations of the lab's hosts."""
    found = []
    for name in names:
        variables = hostvars[name]
        if variables.get("ansible_connection") != "local":
            found.append({"name": str(name), "address": variables.get("ansible_host", ""), **variables.get("lab_host", {})})
    return found


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"lab_hosts": lab_hosts}
