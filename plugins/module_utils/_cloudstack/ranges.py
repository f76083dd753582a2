# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that a zone gives away, and the network of guests that one with security groups has from the beginning.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import addresses
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import LANE, RANGE_OPTIONS, Range, bounds, normal, sent, touch, vlan
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, kind, named, of
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import string

PUBLIC_OPTIONS: dict[str, t.Any] = {**RANGE_OPTIONS, "vlan": string("Its VLAN.", default="untagged")}

GUEST_NETWORK_OPTIONS: dict[str, t.Any] = {
    "name": string("The network's name.", default="defaultGuestNetwork"),
    "offering": string("Its network offering.", default="DefaultSharedNetworkOfferingWithSGService"),
    "vlan": string("Its VLAN."),
    "start": string("The first address for guests."),
    "end": string("The last address for guests."),
    "gateway": string("The gateway of the network."),
    "netmask": string("Its netmask."),
}
# What one in a zone with security groups must say.
_GIVEN = ("vlan", "start", "end", "gateway", "netmask")


def guest_network(zone: Item) -> t.Optional[Item]:
    """The network of guests that a zone with security groups has from the beginning."""
    network = zone.get("guest_network")
    if network is None and (kind(zone) != "basic" or not any(pod.get("guest_ranges") for pod in zone.get("pods") or ())):
        return None
    defaults = {key: option["default"] for key, option in GUEST_NETWORK_OPTIONS.items() if "default" in option}
    return {**defaults, **{key: value for key, value in (network or {}).items() if value is not None}}


def problems(zone: Item, where: str, guest: t.Optional[ipaddress.IPv4Network], found: list[str]) -> list[Range]:
    """Add what is wrong with the declared ranges of a zone to found. Returns those that are right in themselves: public, of guests, and of pods."""
    ranges: list[Range] = []
    pods: list[Range] = []
    for number, pod in enumerate(zone.get("pods") or ()):
        here = named(f"{where}.pods", number, pod)
        own = _parsed([pod], here, found)
        found += [f"{here}: its subnet {one.subnet} overlaps the zone's guest_cidr {guest}" for one in own if guest and guest.overlaps(one.subnet)]
        pods += own
        ranges += _parsed(pod.get("guest_ranges"), f"{here}.guest_ranges[%s]", found)
        if pod.get("guest_ranges") and kind(zone) != "basic":
            found.append(f"{here}: guest_ranges are for a zone of type basic, this one is {kind(zone)}: take them out")
    ranges += _parsed(zone.get("public_ranges"), f"{where}.public_ranges[%s]", found)
    if zone.get("public_ranges") and kind(zone) == "basic":
        found.append(f"{where}: public_ranges are for a zone of type advanced: give the pods guest_ranges")
    if zone.get("guest_network"):
        ranges += _guest_network_range(zone, f"{where}.guest_network", found)
    dynamic = [(low, high) for physical in zone.get("physical_networks") or () for low, high in addresses.vlans_or_none(physical.get("vlan"))]
    for one in ranges:
        if one.vlan.isdigit() and any(low <= int(one.vlan) <= high for low, high in dynamic):
            found.append(f"{one.where}: the VLAN {one.vlan} is among those that guests' networks are given: take it out of physical_networks[].vlan")
    # Addresses of one zone are given away once, whatever they are for.
    every = [*pods, *ranges]
    for number, one in enumerate(every):
        for other in every[:number]:
            if one.overlaps(other) and (one.vlan == other.vlan or one.subnet.overlaps(other.subnet)):
                found.append(f"{one.where}: {one.start}-{one.end} overlaps {other.start}-{other.end} of {other.where}")
            elif one in pods and other in pods and one.subnet != other.subnet and one.subnet.overlaps(other.subnet):
                found.append(f"{one.where}: its subnet {one.subnet} overlaps {other.subnet} of {other.where}")
    return [*ranges, *pods]


def _parsed(items: t.Optional[t.Iterable[Item]], where: str, found: list[str]) -> list[Range]:
    """The ranges of a list that are right; %s in where stands for the number of each."""
    parsed = [addresses.parse_range(item, where.replace("%s", str(number)), found) for number, item in enumerate(items or ())]
    return [one for one in parsed if one]


def _guest_network_range(zone: Item, here: str, found: list[str]) -> list[Range]:
    network, sort = zone["guest_network"], kind(zone)
    given = [key for key in _GIVEN if network.get(key)]
    if sort == "advanced":
        found.append(f"{here} is for zones with security groups: declare networks instead")
    elif sort == "basic" and given:
        found.append(f"{here}: {', '.join(given)}: in a zone of type basic the pods have the guest_ranges: take them out")
    elif sort != "basic" and len(given) < len(_GIVEN):
        found.append(f"{here}: {', '.join(key for key in _GIVEN if key not in given)} must be given")
    elif sort != "basic":
        return _parsed([network], here, found)
    return []


def plan_guest_network(zone: Item, zone_row: t.Optional[Row], region: Region, draft: Draft, where: str) -> None:
    network = guest_network(zone)
    if network is None:
        return
    row = region.find("networks", network["name"], zoneid=zone_row["id"]) if zone_row else None
    offering = network["offering"]
    if region.find("network_offerings", offering) is None and not region.empty:
        draft.problem(f"{where}.guest_network: there is no network offering {offering}")
    if row is not None:
        if row.get("networkofferingname") != offering:
            living = f"{network['name']} is of the offering {row.get('networkofferingname')}, which cannot be changed to {offering}"
            draft.problem(f"{where}.guest_network: {living}: declare it so")
        return
    given = {key: value for key, value in normal(network).items() if key in _GIVEN and value}

    def create() -> None:
        zone_id, offering_id = region.id("zones", zone["name"]), region.id("network_offerings", offering)
        names = {"name": network["name"], "displaytext": network["name"]}
        answer = region.client.call("createNetwork", zoneid=zone_id, networkofferingid=offering_id, **names, **sent(given))
        region.made("networks", network["name"], {**answer["network"], "zoneid": zone_id})

    after = {"offering": offering, **given}
    draft.ensure("guest_network", f"{zone['name']}/{network['name']}", None, after, create, needs=draft.network_needs(zone["name"]))


def plan(zone: Item, zone_row: t.Optional[Row], region: Region, draft: Draft, where: str) -> None:
    living = of(region, "vlan_ranges", zone_row)
    declared: list[tuple[Item, t.Optional[Item]]] = [(normal(item), None) for item in zone.get("public_ranges") or ()]
    declared += [(normal(item), pod) for pod in zone.get("pods") or () for item in pod.get("guest_ranges") or ()]
    claimed = {(item["start"], item["end"]) for item, _pod in declared}
    for item, pod in declared:
        # The living one: the same, else the one that it overlaps and that nothing else claims.
        ends = [(row.get("startip"), row.get("endip")) for row in living]
        same = [row for row, own in zip(living, ends) if own == (item["start"], item["end"])]
        alike = [row for row, own in zip(living, ends) if own not in claimed and all(own) and touch(item, *own)]
        _plan_range(zone, item, pod, next(iter([*same, *alike]), None), region, draft, where)


def _plan_range(zone: Item, item: Item, pod: t.Optional[Item], row: t.Optional[Row], region: Region, draft: Draft, where: str) -> None:
    """pod: whose the range is; None for a public one."""
    name = f"{zone['name']}/{item['start']}-{item['end']}"
    wanted, tagged = bounds(item), vlan(item.get("vlan"))

    def create() -> None:
        zone_id = region.id("zones", zone["name"])
        more: dict[str, t.Any] = {"forvirtualnetwork": pod is None}
        if pod is not None:
            network = (guest_network(zone) or {})["name"]
            more.update(podid=region.id("pods", pod["name"], zoneid=zone_id), networkid=region.id("networks", network, zoneid=zone_id))
        region.client.call("createVlanIpRange", zoneid=zone_id, vlan=tagged, **sent(wanted), **more)

    if row is None:
        needs = draft.network_needs(zone["name"]) | draft.ids("guest_network", "pod", begin=f"{zone['name']}/")
        after = {**wanted, **({"vlan": tagged} if pod is None else {"pod": pod["name"]})}
        draft.ensure("vlan_range", name, None, after, create, needs=needs, lane=LANE)
        return
    public, living = bool(row.get("forvirtualnetwork")), vlan(row.get("vlan"))
    if public != (pod is None) or (public and living != tagged):
        there = f"the range {row['startip']}-{row['endip']} is there, {'public' if public else 'for guests'} with the VLAN {living}"
        draft.problem(f"{where}: {there}, which cannot be changed to that of {item['start']}-{item['end']}: declare it so, or take the range away first")
        return
    now = {"start": row.get("startip"), "end": row.get("endip"), "gateway": row.get("gateway"), "netmask": row.get("netmask")}
    draft.ensure("vlan_range", name, now, wanted, lambda: region.client.call("updateVlanIpRange", id=row["id"], **sent(wanted)), lane=LANE)
