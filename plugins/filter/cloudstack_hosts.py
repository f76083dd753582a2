# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _inventory

DOCUMENTATION = r"""
name: cloudstack_hosts
short_description: Zones whose hosts are named as in the inventory, with the hosts' addresses
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the O(ignore:cloudstack_region.zones) that an operator declared, and gives them back with the address of each host that is named as in the inventory.
  - That is what P(cephstack.cloud.host_address#filter) says of it.
options:
  _input:
    description: The zones.
    type: list
    elements: dict
    required: true
  hostvars:
    description: The variables of the inventory's hosts.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the zones with the addresses of their hosts
  ansible.builtin.debug:
    msg: "{{ [{'name': 'zone1', 'pods': [{'name': 'pod1', 'clusters': [{'name': 'kvm', 'hosts': [{'address': 'kvm1'}]}]}]}]
      | cephstack.cloud.cloudstack_hosts(hostvars) }}"
"""

RETURN = r"""
_value:
  description: The zones.
  type: list
  elements: dict
"""


def _address(name: str, hostvars: t.Mapping[str, t.Any]) -> str:
    if name not in hostvars:
        return name
    return _inventory.address_of(_inventory.host_of(hostvars[name], name)) or name


def cloudstack_hosts(zones: t.Sequence[t.Mapping[str, t.Any]], hostvars: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the zones; see RETURN."""

    def host(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {**item, "address": _address(item["address"], hostvars)} if item.get("address") else dict(item)

    def cluster(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {**item, "hosts": [host(one) for one in item.get("hosts") or ()]}

    def pod(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {**item, "clusters": [cluster(one) for one in item.get("clusters") or ()]}

    return [{**zone, "pods": [pod(one) for one in zone.get("pods") or ()]} for zone in zones]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cloudstack_hosts": cloudstack_hosts}
