# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zones. What they are made of is in physical_networks.py, ranges.py, pods.py and hosts.py.

The server accepts these only in a certain order, and a zone may be left half made by a run that was killed: each part is compared by itself,
and the zone is enabled last (zone_state), when everything else of it is there.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import ipaddress
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import hosts, physical_networks, pods, ranges, settings
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import address
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, kind, named, state, twice
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, mapping, record, records, string

OPTIONS: dict[str, t.Any] = {
    "name": string("The zone's name.", required=True),
    "type": choice("How guests are connected. It cannot change later.", ["advanced", "advanced_security_groups", "basic"], default="advanced"),
    "dns1": string("The name server that guests are given.", required=True),
    "dns2": string("A second one."),
    "internal_dns1": string("The name server that CloudStack's own virtual machines use. By default that of the guests."),
    "internal_dns2": string("A second one."),
    "guest_cidr": string("The network that guests' networks have by default, such as V(10.1.1.0/24). For zones of type V(advanced)."),
    "domain": string("The domain of guests' names."),
    "local_storage": boolean("Whether guests may be kept on a host's own disks."),
    "enabled": boolean("Whether the zone takes guests. It is enabled when everything else of it is there.", default=True),
    "system_vms": boolean(
        "Whether the zone is to have CloudStack's system virtual machines, for secondary storage and consoles. They need an image store of NFS, "
        "and hosts with real KVM. The server starts them by itself; what they could not come up with "
        "is refused here, and their template is looked for and proven by the roles.\n"
        "By default it is, where an NFS store of it is declared and it has a cluster of KVM."
    ),
    "settings": mapping("Settings of this zone, by name.", default={}),
    "physical_networks": records("Physical networks.", physical_networks.OPTIONS, default=[]),
    "guest_network": record(
        "The network that all guests of a zone with security groups share.\n"
        "In a zone of type V(basic) it is made by itself, and its addresses are those of O(zones[].pods[].guest_ranges).",
        ranges.GUEST_NETWORK_OPTIONS,
    ),
    "public_ranges": records("Public addresses, for routers and guests.", ranges.PUBLIC_OPTIONS, default=[]),
    "pods": records("Pods.", pods.OPTIONS, default=[]),
}


def lists(declared: t.Sequence[Item]) -> set[str]:
    words = {"zones", "physical_networks", "traffic_types", "providers", "router_elements", "lb_elements", "pods", "clusters", "vlan_ranges"}
    if any(zone.get("guest_network") or kind(zone) == "basic" for zone in declared):
        words |= {"networks", "network_offerings"}
    if any(zone.get("settings") for zone in declared):
        words |= {"settings", "zone_settings"}
    return words


# What the server calls a type: networktype, securitygroupenabled.
_TYPES = {"advanced": ("Advanced", False), "advanced_security_groups": ("Advanced", True), "basic": ("Basic", True)}
# Our name, the server's: of what can be changed on a zone that is there.
_ZONE_KEYS = {
    "dns1": "dns1", "dns2": "dns2", "internal_dns1": "internaldns1", "internal_dns2": "internaldns2", "guest_cidr": "guestcidraddress",
    "domain": "domain", "local_storage": "localstorageenabled",
}  # fmt: skip


def _living_type(row: Row) -> t.Optional[str]:
    return next((ours for ours, theirs in _TYPES.items() if theirs == (row.get("networktype"), bool(row.get("securitygroupsenabled")))), None)


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found = [f"{where}: {name} is declared twice: keep one of them" for name in twice(zone["name"] for zone in declared)]
    for number, zone in enumerate(declared):
        found += _zone_problems(zone, named(where, number, zone))
    return found


def _zone_problems(zone: Item, where: str) -> list[str]:
    found = [
        f"{where}: {key}: '{zone[key]}' is no IPv4 address"
        for key in ("dns1", "dns2", "internal_dns1", "internal_dns2")
        if zone.get(key) and address(zone[key]) is None
    ]
    guest = None
    if zone.get("guest_cidr"):
        try:
            guest = ipaddress.IPv4Network(zone["guest_cidr"] if "/" in zone["guest_cidr"] else "")
        except ValueError:
            found.append(f"{where}: guest_cidr: '{zone['guest_cidr']}' is no network such as 10.1.1.0/24")
        if kind(zone) != "advanced":
            found.append(f"{where}: guest_cidr is for a zone of type advanced, this one is {kind(zone)}: take it out")
    found += settings.problems(zone.get("settings") or {}, f"{where}.settings")
    found += physical_networks.problems(zone, where)
    found += pods.problems(zone, where)
    given = ranges.problems(zone, where, guest, found)
    for one in hosts.each([zone], where):
        own = address(one.host.get("address"))
        for taken in given:
            if own is not None and taken.start <= own <= taken.end:
                found.append(f"{taken.where}: the host {own} is inside the range, which the server gives away: leave it out of the range")
    return found


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Everything of zones but their hosts and whether they are enabled."""
    for number, zone in enumerate(declared):
        where = named(f"{draft.prefix}zones", number, zone)
        row = region.find("zones", zone["name"])
        _plan_zone(zone, row, region, draft, where)
        if row and _living_type(row) != kind(zone):
            continue  # said by _plan_zone; nothing else of it can be compared
        if zone.get("settings"):
            settings.plan_zone(zone["settings"], zone["name"], region, draft, f"{where}.settings")
        physical_networks.plan(zone, row, region, draft)
        ranges.plan_guest_network(zone, row, region, draft, where)
        pods.plan(zone, row, region, draft)
        ranges.plan(zone, row, region, draft, where)


def _plan_zone(zone: Item, row: t.Optional[Row], region: Region, draft: Draft, where: str) -> None:
    name = zone["name"]
    network_type, groups = _TYPES[kind(zone)]
    wanted = {ours: zone[ours] for ours in _ZONE_KEYS if zone.get(ours) is not None}
    wanted.setdefault("internal_dns1", zone["dns1"])
    if wanted.get("guest_cidr"):
        wanted["guest_cidr"] = str(ipaddress.IPv4Network(wanted["guest_cidr"]))  # 10.1.1.0/255.255.255.0 too

    def sent(values: Item) -> Item:
        return {_ZONE_KEYS[ours]: value for ours, value in values.items()}

    def create() -> None:
        types = {"networktype": network_type, "securitygroupenabled": groups}
        answer = region.client.call("createZone", name=name, allocationstate="Disabled", **types, **sent(wanted))
        region.made("zones", name, answer["zone"])

    if row is None:
        draft.ensure("zone", name, None, {"type": kind(zone), **wanted}, create)
        return
    living = _living_type(row)
    if living != kind(zone):
        draft.problem(f"{where}: the zone is there and of type {living}, which cannot be changed to {kind(zone)}: declare it so, or choose another name")
        return
    now = {ours: row.get(theirs, False if ours == "local_storage" else "") for ours, theirs in _ZONE_KEYS.items()}
    draft.ensure("zone", name, now, wanted, update=lambda after: region.client.call("updateZone", id=row["id"], **sent(after)))


def plan_state(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Whether zones take guests: after everything else that is planned of them."""
    for zone in declared:
        row = region.find("zones", zone["name"])
        wanted = state(zone.get("enabled"))
        now = row.get("allocationstate") if row else "Disabled"
        kinds = ("physical_network", "traffic", "provider", "guest_network", "pod", "cluster", "vlan_range", "host", "primary_storage")
        needs = draft.ids(*kinds, begin=f"{zone['name']}/") | {f"zone/{zone['name']}"}
        apply = functools.partial(_set_state, region, zone["name"], wanted)
        draft.ensure("zone_state", zone["name"], {"state": now}, {"state": wanted}, apply, needs=needs)


def _set_state(region: Region, name: str, wanted: str) -> None:
    region.client.call("updateZone", id=region.id("zones", name), allocationstate=wanted)


def returned(declared: t.Sequence[Item], region: Region) -> dict[str, t.Any]:
    """The declared zones that are there: name, id, state, type."""
    rows = [row for row in (region.find("zones", zone["name"]) for zone in declared) if row]
    return {"zones": [{"name": row["name"], "id": row["id"], "state": row.get("allocationstate"), "type": _living_type(row)} for row in rows]}
