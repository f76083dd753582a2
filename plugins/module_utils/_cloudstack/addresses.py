# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of addresses and of VLANs: as they are declared, those that a zone gives away, and the network of guests that one with security groups has.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from urllib.parse import urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, kind, of
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Lane, named
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import string

RANGE_OPTIONS: dict[str, t.Any] = {
    "start": string("The first address.", required=True),
    "end": string("The last address.", required=True),
    "gateway": string("The gateway of their subnet.", required=True),
    "netmask": string("Its netmask.", required=True),
}
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

# Addresses are given to the server one range at a time: two pods at once failed with "Unable to persist ip address range" (4.22, seen). By its
# sources it numbers them out of one row of the zone, which is a deadlock for one of two that do so at once.
LANE = Lane("addresses")


def address(text: t.Any) -> t.Optional[ipaddress.IPv4Address]:
    try:
        return ipaddress.IPv4Address(str(text))
    except ValueError:
        return None


def short(text: str) -> str:
    """An address, of IPv6 too, in its one short spelling; what is none as it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def netmask(text: t.Any) -> t.Optional[str]:
    """A netmask as the server has it, 255.255.255.0, also of a prefix's length, 24; None where it is none. 0.0.0.255 is none."""
    plain = str(text).strip().lstrip("/")
    try:
        network = ipaddress.IPv4Network(f"0.0.0.0/{plain}")
    except ValueError:
        return None
    return str(network.netmask) if plain in (str(network.netmask), str(network.prefixlen)) else None


def vlan(text: t.Any) -> str:
    """A VLAN as it is declared: 100 for vlan://100, untagged for none. The server shows it with a scheme, of its own or of VXLAN."""
    plain = str(text or "untagged").strip().rpartition("://")[2].lower()
    return str(int(plain)) if plain.isdecimal() else plain


def normal(item: Item) -> dict[str, t.Any]:
    """A declared range as the server would show it."""
    mask, tag = item.get("netmask"), item.get("vlan")
    return {**item, **({"netmask": netmask(mask) or mask} if mask else {}), **({"vlan": vlan(tag)} if tag else {})}


def bounds(item: Item) -> dict[str, t.Any]:
    """What a range is compared by."""
    return {key: item[key] for key in RANGE_OPTIONS}


def sent(item: Item) -> dict[str, t.Any]:
    """What is given of a range, as parameters of a command."""
    return {{"start": "startip", "end": "endip"}.get(key, key): item[key] for key in ("vlan", *RANGE_OPTIONS) if item.get(key)}


def touch(item: Item, first: t.Any, last: t.Any) -> bool:
    """Whether a declared range and a existing one have addresses in common."""
    start, end, first, last = map(ipaddress.IPv4Address, (item["start"], item["end"], first, last))
    return bool(start <= last and first <= end)


# Ports that say nothing where they stand in a URL of this scheme.
_USUAL = {"http": 80, "https": 443, "ftp": 21, "nfs": 2049}


def location(url: t.Any) -> str:
    """What two URLs have in common that lead to one place: scheme and host in lower case, no usual port, no slash more than is needed."""
    text = str(url or "").strip()
    try:
        parts = urlsplit(text)
        host, port = short(parts.hostname or ""), parts.port
    except ValueError:
        return text
    if not parts.scheme or not host:
        return text.rstrip("/")
    user = "".join(parts.netloc.rpartition("@")[:2])
    netloc = f"{user}{f'[{host}]' if ':' in host else host}{'' if port in (None, _USUAL.get(parts.scheme)) else f':{port}'}"
    return parts._replace(netloc=netloc, path=re.sub(r"/{2,}", "/", parts.path).rstrip("/")).geturl()


class Range(t.NamedTuple):
    """A range of addresses in its subnet, and where it was declared."""

    start: ipaddress.IPv4Address
    end: ipaddress.IPv4Address
    subnet: ipaddress.IPv4Network
    where: str
    vlan: str = "untagged"

    def overlaps(self, other: Range) -> bool:
        return self.start <= other.end and other.start <= self.end


def parse_range(item: Item, where: str, found: list[str]) -> t.Optional[Range]:
    """A declared range; None where it is none, with what is wrong added to found."""
    start, end, gateway = (address(item.get(key)) for key in ("start", "end", "gateway"))
    for key, value in (("start", start), ("end", end), ("gateway", gateway)):
        if value is None:
            found.append(f"{where}: {key}: '{item.get(key)}' is no IPv4 address")
    mask = netmask(item.get("netmask"))
    if mask is None and gateway:
        found.append(f"{where}: netmask: '{item.get('netmask')}' is none, such as 255.255.255.0")
    if not (start and end and gateway and mask):
        return None
    if start > end:
        found.append(f"{where}: the range begins at {start} and ends before it, at {end}")
        return None
    subnet = ipaddress.IPv4Network(f"{gateway}/{mask}", strict=False)
    for key, value in (("start", start), ("end", end)):
        if value not in subnet:
            found.append(f"{where}: {key}: {value} is not in the subnet {subnet} of the gateway")
        elif value in (subnet.network_address, subnet.broadcast_address) and subnet.prefixlen < 31:
            found.append(f"{where}: {key}: {value} is the subnet's own or its broadcast address")
    if start <= gateway <= end:
        found.append(f"{where}: the gateway {gateway} is inside the range {start}-{end}")
    return Range(start, end, subnet, where, vlan(item.get("vlan")))


def vlans(text: str) -> list[tuple[int, int]]:
    """ "100-200,300" as sorted ranges that neither overlap nor touch. Raises ValueError."""
    found = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not match:
            raise ValueError(f"'{part}' is no range such as 100-200")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise ValueError(f"'{part}' ends before it begins")
        found.append((low, high))
    merged: list[tuple[int, int]] = []
    for low, high in sorted(found):
        if merged and low <= merged[-1][1] + 1:
            low, end = merged.pop()
            high = max(high, end)
        merged.append((low, high))
    return merged


def vlans_or_none(text: t.Optional[str]) -> list[tuple[int, int]]:
    try:
        return vlans(text) if text else []
    except ValueError:  # said where it was declared
        return []


def shown_vlans(ranges: t.Sequence[tuple[int, int]]) -> str:
    """The same in the server's form."""
    return ",".join(f"{low}-{high}" for low, high in ranges)


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
    dynamic = [(low, high) for physical in zone.get("physical_networks") or () for low, high in vlans_or_none(physical.get("vlan"))]
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
    parsed = [parse_range(item, where.replace("%s", str(number)), found) for number, item in enumerate(items or ())]
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
            existing = f"{network['name']} is of the offering {row.get('networkofferingname')}, which cannot be changed to {offering}"
            draft.problem(f"{where}.guest_network: {existing}: declare it so")
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
    existing = of(region, "vlan_ranges", zone_row)
    declared: list[tuple[Item, t.Optional[Item]]] = [(normal(item), None) for item in zone.get("public_ranges") or ()]
    declared += [(normal(item), pod) for pod in zone.get("pods") or () for item in pod.get("guest_ranges") or ()]
    claimed = {(item["start"], item["end"]) for item, _pod in declared}
    for item, pod in declared:
        # The existing one: the same, else the one that it overlaps and that nothing else claims.
        ends = [(row.get("startip"), row.get("endip")) for row in existing]
        same = [row for row, own in zip(existing, ends) if own == (item["start"], item["end"])]
        alike = [row for row, own in zip(existing, ends) if own not in claimed and all(own) and touch(item, *own)]
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
    public, existing = bool(row.get("forvirtualnetwork")), vlan(row.get("vlan"))
    if public != (pod is None) or (public and existing != tagged):
        there = f"the range {row['startip']}-{row['endip']} is there, {'public' if public else 'for guests'} with the VLAN {existing}"
        draft.problem(f"{where}: {there}, which cannot be changed to that of {item['start']}-{item['end']}: declare it so, or remove the range first")
        return
    now = {"start": row.get("startip"), "end": row.get("endip"), "gateway": row.get("gateway"), "netmask": row.get("netmask")}
    draft.ensure("vlan_range", name, now, wanted, lambda: region.client.call("updateVlanIpRange", id=row["id"], **sent(wanted)), lane=LANE)
