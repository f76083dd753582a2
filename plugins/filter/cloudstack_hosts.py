# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
import typing as t

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _inventory

DOCUMENTATION = r"""
name: cloudstack_hosts
short_description: Zones whose hosts are named as in the inventory, with the hosts' addresses
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the O(ignore:cloudstack_region.zones) that an operator declared, and gives them back with the address of each host that is named as in the inventory.
  - That is what P(cephstack.cloud.host_address#filter) says of it.
  - The other names and addresses of a host of the inventory become its C(known_as), since CloudStack shows only one of them, and not always that by which
    the host was added. Those that two of the hosts have, such as that of a bridge of libvirt's own, are left out.
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


def _hosts(zones: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[t.Mapping[str, t.Any]]:
    for zone in zones:
        for pod in zone.get("pods") or ():
            for cluster in pod.get("clusters") or ():
                yield from cluster.get("hosts") or ()


def _names(declared: str, hostvars: t.Mapping[str, t.Any]) -> list[str]:
    """All names and addresses of a host of the inventory, which is declared by its name or by its ansible_host."""
    name = declared if declared in hostvars else next((one for one in hostvars if str(hostvars[one].get("ansible_host") or "") == declared), None)
    return [] if name is None else _inventory.names_of(_inventory.host_of(hostvars[name], name))


def cloudstack_hosts(zones: t.Sequence[t.Mapping[str, t.Any]], hostvars: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the zones; see RETURN."""
    names = {item["address"]: _names(item["address"], hostvars) for item in _hosts(zones) if item.get("address")}
    times = collections.Counter(one for every in names.values() for one in every)

    def host(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        declared = item.get("address")
        if not declared:
            return dict(item)
        address = _address(declared, hostvars)
        # Its own names it shares with nobody, even where the same host is declared twice: that is for the module to say.
        more = [one for one in names[declared] if times[one] == 1 or one == declared]
        known = [one for one in dict.fromkeys([*(item.get("known_as") or ()), *more]) if one != address]
        return {**item, "address": address, **({"known_as": known} if known else {})}

    def cluster(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {**item, "hosts": [host(one) for one in item.get("hosts") or ()]}

    def pod(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {**item, "clusters": [cluster(one) for one in item.get("clusters") or ()]}

    return [{**zone, "pods": [pod(one) for one in zone.get("pods") or ()]} for zone in zones]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cloudstack_hosts": cloudstack_hosts}
