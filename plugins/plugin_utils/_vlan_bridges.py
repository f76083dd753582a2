# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges that CloudStack's agent makes for VLANs, named after the interface that the bridge of a traffic label holds.

For the VLAN 1996 of eth0 the agent makes eth0.1996 and the bridge breth0-1996 (4.22: BridgeVifDriver, modifyvlan.sh). Linux knows no name of an interface
that has more than 15 characters: with one no guest of that network starts. A VXLAN's names always fit.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.kvm_host import too_long
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _host_consumers
from ansible_collections.cephstack.cloud.plugins.plugin_utils._inventory import host_of, names_of

Item = t.Mapping[str, t.Any]

# The bridge of a traffic type that has no label: what cloudstack-setup-agent is given.
UNLABELLED = "cloudbr0"


def _highest(text: t.Any) -> int:
    """The highest number of "100-200,300" or "vlan://300", 0 where it has none ("untagged")."""
    return max((int(number) for number in re.findall(r"\d+", str(text or ""))), default=0)


def highest_vlans(zone: Item, networks: t.Sequence[Item]) -> dict[str, int]:
    """The highest VLAN that each bridge of a zone's hosts carries, by the traffic labels. networks: those that are declared for guests."""
    found: dict[str, int] = {}
    guests = [network for network in networks if network.get("zone") == zone.get("name") and network.get("state") != "absent"]
    for physical in zone.get("physical_networks") or ():
        isolated = {str(method).upper() for method in physical.get("isolation") or ["vlan"]}
        for traffic in physical.get("traffic") or ():
            label = str(traffic.get("kvm_label") or UNLABELLED)
            vlans: list[t.Any] = []
            if traffic.get("type") == "guest" and "VLAN" in isolated:
                vlans = [physical.get("vlan"), (zone.get("guest_network") or {}).get("vlan")]
                vlans += [network.get("vlan") for network in guests if network.get("physical_network") in (None, physical.get("name"))]
            elif traffic.get("type") == "public":
                vlans = [item.get("vlan") for item in zone.get("public_ranges") or ()]
            found[label] = max([found.get(label, 0), *map(_highest, vlans)])
    return found


def of_host(name: str, variables: Item, region: Item) -> dict[str, int]:
    """The same of the zones that declare a host of the inventory by one of its names or addresses. Empty: no zone does, so it isn't known."""
    known = {one.lower() for one in names_of(host_of(variables, name))}
    found: dict[str, int] = {}
    for zone in region.get("zones") or ():
        clusters = [cluster for pod in zone.get("pods") or () for cluster in pod.get("clusters") or ()]
        if known & {str(host.get("address") or "").lower() for cluster in clusters for host in cluster.get("hosts") or ()}:
            for label, vlan in highest_vlans(zone, region.get("networks") or ()).items():
                found[label] = max(found.get(label, 0), vlan)
    return found


def is_cloudstack(name: str, variables: Item) -> bool:
    """Whether a host of the inventory is CloudStack's."""
    used = _host_consumers.of_host(variables.get("consumers"), name, variables.get("group_names") or ())
    return any(consumer["kind"] == "cloudstack" for consumer in used)


def warnings(name: str, variables: Item) -> list[str]:
    """What will be wrong with a host of the inventory, as far as its facts tell: of bridges that are there, and of those that are to be made."""
    facts = variables.get("ansible_facts") or {}
    highest = of_host(name, variables, variables.get("cloudstack_region") or {}) if is_cloudstack(name, variables) else {}
    if not highest:
        return []
    found = []
    for bridge in variables.get("kvm_host_bridges") or [{"name": UNLABELLED}]:
        seen = facts.get(str(bridge["name"]).replace("-", "_").replace(".", "_"))
        default = bridge.get("interface") or (facts.get("default_ipv4") or {}).get("interface")
        ports = [default] if seen is None and default else (seen or {}).get("interfaces") or ()
        if seen is not None:  # of a bridge that is there only names of cards are looked at: the rest are guests'
            ports = [port for port in ports if re.match(r"e(?:th|n|m)|p\d|bond|team", port)]
        found += [f"{name}: {problem}" for problem in too_long(bridge["name"], ports, highest.get(bridge["name"], 0))]
    return found
