# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zones and what they are made of: physical networks, traffic types, providers, pods, clusters, ranges of addresses. Hosts are in hosts.py.

The server accepts these only in a certain order, and a zone may be left half made by a run that was killed: each part is compared by itself,
and the zone is enabled last (zone_state), when everything else of it is there.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import hosts, settings
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, differing

if t.TYPE_CHECKING:
    from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.region import Region, Row, Sheet

Item = t.Mapping[str, t.Any]

RANGE_OPTIONS: dict[str, t.Any] = {
    "start": {"type": "str", "required": True},
    "end": {"type": "str", "required": True},
    "gateway": {"type": "str", "required": True},
    "netmask": {"type": "str", "required": True},
}

TRAFFIC_OPTIONS: dict[str, t.Any] = {
    "type": {"type": "str", "required": True, "choices": ["management", "guest", "public", "storage"]},
    "kvm_label": {"type": "str"},
    "xen_label": {"type": "str"},
}

PHYSICAL_NETWORK_OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "isolation": {"type": "list", "elements": "str"},
    "vlan": {"type": "str"},
    "tags": {"type": "list", "elements": "str"},
    "traffic": {"type": "list", "elements": "dict", "required": True, "options": TRAFFIC_OPTIONS},
    "providers": {"type": "dict", "default": {}},
}

CLUSTER_OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "hypervisor": {"type": "str", "choices": ["kvm", "xenserver", "simulator"], "default": "kvm"},
    "enabled": {"type": "bool", "default": True},
    "hosts": {"type": "list", "elements": "dict", "default": [], "options": hosts.OPTIONS},
}

POD_OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    **RANGE_OPTIONS,
    "enabled": {"type": "bool", "default": True},
    "guest_ranges": {"type": "list", "elements": "dict", "default": [], "options": RANGE_OPTIONS},
    "clusters": {"type": "list", "elements": "dict", "default": [], "options": CLUSTER_OPTIONS},
}

PUBLIC_RANGE_OPTIONS: dict[str, t.Any] = {**RANGE_OPTIONS, "vlan": {"type": "str", "default": "untagged"}}

GUEST_NETWORK_OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "default": "defaultGuestNetwork"},
    "offering": {"type": "str", "default": "DefaultSharedNetworkOfferingWithSGService"},
    "vlan": {"type": "str"},
    "start": {"type": "str"},
    "end": {"type": "str"},
    "gateway": {"type": "str"},
    "netmask": {"type": "str"},
}

OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "choices": ["advanced", "advanced_security_groups", "basic"], "default": "advanced"},
    "dns1": {"type": "str", "required": True},
    "dns2": {"type": "str"},
    "internal_dns1": {"type": "str"},
    "internal_dns2": {"type": "str"},
    "guest_cidr": {"type": "str"},
    "domain": {"type": "str"},
    "local_storage": {"type": "bool"},
    "enabled": {"type": "bool", "default": True},
    "settings": {"type": "dict", "default": {}},
    "physical_networks": {"type": "list", "elements": "dict", "default": [], "options": PHYSICAL_NETWORK_OPTIONS},
    "guest_network": {"type": "dict", "options": GUEST_NETWORK_OPTIONS},
    "public_ranges": {"type": "list", "elements": "dict", "default": [], "options": PUBLIC_RANGE_OPTIONS},
    "pods": {"type": "list", "elements": "dict", "default": [], "options": POD_OPTIONS},
}


def lists(declared: t.Sequence[Item]) -> set[str]:
    """The words of the lists that are needed to compare."""
    words = {"zones", "physical_networks", "traffic_types", "providers", "router_elements", "lb_elements", "pods", "clusters", "vlan_ranges"}
    if any(zone.get("guest_network") or kind(zone) == "basic" for zone in declared):
        words |= {"networks", "network_offerings"}
    if any(zone.get("settings") for zone in declared):
        words |= {"settings", "zone_settings"}
    return words


# What the server calls a type: networktype, securitygroupenabled.
_TYPES = {"advanced": ("Advanced", False), "advanced_security_groups": ("Advanced", True), "basic": ("Basic", True)}
_LABELS = {"kvm_label": "kvmnetworklabel", "xen_label": "xennetworklabel"}
# Our name, the server's: of what can be changed on a zone that is there.
_ZONE_KEYS = {
    "dns1": "dns1", "dns2": "dns2", "internal_dns1": "internaldns1", "internal_dns2": "internaldns2", "guest_cidr": "guestcidraddress",
    "domain": "domain", "local_storage": "localstorageenabled",
}  # fmt: skip
# What a network needs to be of use, where nothing else is declared.
_PROVIDERS = {
    "advanced": ("VirtualRouter", "VpcVirtualRouter"),
    "advanced_security_groups": ("VirtualRouter", "SecurityGroupProvider"),
    "basic": ("VirtualRouter", "SecurityGroupProvider"),
}
# Providers that are made of elements, which must be switched on before them: the words of their list, and the command.
_ELEMENTS = {
    "VirtualRouter": ("router_elements", "listVirtualRouterElements", "configureVirtualRouterElement"),
    "VpcVirtualRouter": ("router_elements", "listVirtualRouterElements", "configureVirtualRouterElement"),
    "InternalLbVm": ("lb_elements", "listInternalLoadBalancerElements", "configureInternalLoadBalancerElement"),
}


def kind(zone: Item) -> str:
    """The type of a zone, advanced where nothing is said."""
    return str(zone.get("type") or "advanced")


def state(enabled: t.Any) -> str:
    """The server's word for enabled."""
    return "Disabled" if enabled is False else "Enabled"


def isolation(network: Item) -> list[str]:
    """How guests are kept apart on a physical network."""
    return [method.upper() for method in network.get("isolation") or ["vlan"]]


def providers(zone: Item, network: Item) -> dict[str, bool]:
    """Which providers are to be on, and which off: those that a zone of its type needs where guests are, and what is declared."""
    wanted = {}
    if any(traffic["type"] == "guest" for traffic in network.get("traffic") or ()):
        wanted = dict.fromkeys(_PROVIDERS[kind(zone)], True)
    return {**wanted, **{name: bool(on) for name, on in (network.get("providers") or {}).items()}}


# -- the declaration alone


def _address(text: t.Any) -> t.Optional[ipaddress.IPv4Address]:
    try:
        return ipaddress.IPv4Address(str(text))
    except ValueError:
        return None


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
    wrong = [key for key in ("start", "end", "gateway") if _address(item.get(key)) is None]
    found += [f"{where}: {key}: '{item.get(key)}' is no IPv4 address" for key in wrong]
    try:
        subnet = ipaddress.IPv4Network(f"{item.get('gateway')}/{item.get('netmask')}", strict=False)
    except ValueError:
        if "gateway" not in wrong:
            found.append(f"{where}: netmask: '{item.get('netmask')}' is none, such as 255.255.255.0")
        return None
    if wrong:
        return None
    start, end, gateway = (t.cast(ipaddress.IPv4Address, _address(item[key])) for key in ("start", "end", "gateway"))
    if start > end:
        found.append(f"{where}: the range begins at {start} and ends before it, at {end}")
        return None
    for key, value in (("start", start), ("end", end)):
        if value not in subnet:
            found.append(f"{where}: {key}: {value} is not in the subnet {subnet} of the gateway")
        elif value in (subnet.network_address, subnet.broadcast_address) and subnet.prefixlen < 31:
            found.append(f"{where}: {key}: {value} is the subnet's own or its broadcast address")
    if start <= gateway <= end:
        found.append(f"{where}: the gateway {gateway} is inside the range {start}-{end}")
    return Range(start, end, subnet, where, str(item.get("vlan") or "untagged"))


def vlans(text: str) -> list[tuple[int, int]]:
    """ "100-200,300" as sorted ranges that neither overlap nor touch. Raises ValueError."""
    found = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not match:
            raise ValueError(f"'{part}' is no range such as 100-200")
        low, high = int(match.group(1)), int(match.group(2) or match.group(1))
        if low > high:
            raise ValueError(f"'{part}' ends before it begins")
        found.append((low, high))
    merged: list[tuple[int, int]] = []
    for low, high in sorted(found):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _vlans_or_none(text: t.Optional[str]) -> list[tuple[int, int]]:
    try:
        return vlans(text) if text else []
    except ValueError:  # said where it was declared
        return []


def shown_vlans(ranges: t.Sequence[tuple[int, int]]) -> str:
    """The same in the server's form."""
    return ",".join(f"{low}-{high}" for low, high in ranges)


def _vlan_of(row: Item) -> str:
    """ "vlan://100" -> "100"."""
    return str(row.get("vlan") or "untagged").replace("vlan://", "")


def twice(names: t.Iterable[str]) -> list[str]:
    """The names that occur more than once."""
    every = list(names)
    return sorted({name for name in every if every.count(name) > 1})


def named(where: str, number: int, item: Item, key: str = "name") -> str:
    """Where a thing of a list was declared: zones[0] (zone1)."""
    return f"{where}[{number}] ({item.get(key)})"


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    """What is wrong with the declaration alone."""
    found = [f"{where}: {name} is declared twice: keep one of them" for name in twice(zone["name"] for zone in declared)]
    for number, zone in enumerate(declared):
        found += _zone_problems(zone, named(where, number, zone))
    return found


def _zone_problems(zone: Item, where: str) -> list[str]:
    found = [
        f"{where}: {key}: '{zone[key]}' is no IPv4 address"
        for key in ("dns1", "dns2", "internal_dns1", "internal_dns2")
        if zone.get(key) and _address(zone[key]) is None
    ]
    guest = None
    if zone.get("guest_cidr"):
        try:
            guest = ipaddress.IPv4Network(zone["guest_cidr"])
        except ValueError:
            found.append(f"{where}: guest_cidr: '{zone['guest_cidr']}' is no network such as 10.1.1.0/24")
        if kind(zone) != "advanced":
            found.append(f"{where}: guest_cidr is for a zone of type advanced, this one is {kind(zone)}: take it out")
    found += settings.problems(zone.get("settings") or {}, f"{where}.settings")
    found += _network_problems(zone, where)
    ranges, pods = _range_problems(zone, where, guest, found)
    clusters = [(f"{where}.pods[{number}].clusters", pod, number) for number, pod in enumerate(zone.get("pods") or ())]
    found += [
        f"{here}: {name} is declared twice: keep one of them" for here, pod, unused in clusters for name in twice(c["name"] for c in pod.get("clusters") or ())
    ]
    for pod in zone.get("pods") or ():
        for cluster in pod.get("clusters") or ():
            for host in cluster.get("hosts") or ():
                address = _address(host.get("address"))
                for taken in (*ranges, *pods):
                    if address is not None and taken.start <= address <= taken.end:
                        found.append(f"{taken.where}: the host {address} is inside the range, which the server gives away: leave it out of the range")
    return found


def _network_problems(zone: Item, where: str) -> list[str]:
    networks = zone.get("physical_networks") or []
    if not networks:
        return []
    found = [f"{where}.physical_networks: {name} is declared twice: keep one of them" for name in twice(network["name"] for network in networks)]
    carried = [traffic["type"] for network in networks for traffic in network.get("traffic") or ()]
    needed = ["management", "guest", *(["public"] if kind(zone) == "advanced" else [])]
    found += [
        f"{where}.physical_networks: none of them carries {name} traffic, which a zone of type {kind(zone)} needs" for name in needed if name not in carried
    ]
    if kind(zone) == "basic" and "public" in carried:
        found.append(f"{where}.physical_networks: a zone of type basic has no public traffic: take it out")
    found += [f"{where}.physical_networks: {name} traffic is carried by two networks: it can be on one" for name in twice(carried) if name != "guest"]
    guests = [network for network in networks if any(traffic["type"] == "guest" for traffic in network.get("traffic") or ())]
    if len(guests) > 1:
        for network in guests:
            if not network.get("tags"):
                found.append(f"{where}.physical_networks: {network['name']} is one of {len(guests)} networks for guests: give each of them tags")
    for number, network in enumerate(networks):
        here = named(f"{where}.physical_networks", number, network)
        for name in twice(traffic["type"] for traffic in network.get("traffic") or ()):
            if name == "guest":
                found.append(f"{here}: guest traffic is declared twice: keep one of them")
        if network.get("vlan"):
            try:
                ranges = vlans(network["vlan"])
                if isolation(network) == ["VLAN"] and any(low < 1 or high > 4094 for low, high in ranges):
                    found.append(f"{here}: vlan: a VLAN is a number from 1 to 4094")
            except ValueError as error:
                found.append(f"{here}: vlan: {error}")
            if kind(zone) == "basic":
                found.append(f"{here}: vlan: a zone of type basic has none: take it out")
        for name, on in (network.get("providers") or {}).items():
            if not isinstance(on, bool):
                found.append(f"{here}: providers: {name}: '{on}' is neither true nor false")
    return found


def _range_problems(zone: Item, where: str, guest: t.Optional[ipaddress.IPv4Network], found: list[str]) -> tuple[list[Range], list[Range]]:
    """Add what is wrong with ranges to found. Returns the public or guest ranges, and the pods' own."""
    ranges: list[Range] = []
    pods: list[Range] = []
    found += [f"{where}.pods: {name} is declared twice: keep one of them" for name in twice(pod["name"] for pod in zone.get("pods") or ())]
    for number, pod in enumerate(zone.get("pods") or ()):
        here = named(f"{where}.pods", number, pod)
        parsed = parse_range(pod, here, found)
        if parsed:
            pods.append(parsed)
            if guest and guest.overlaps(parsed.subnet):
                found.append(f"{here}: its subnet {parsed.subnet} overlaps the zone's guest_cidr {guest}")
        for count, item in enumerate(pod.get("guest_ranges") or ()):
            found_range = parse_range(item, f"{here}.guest_ranges[{count}]", found)
            ranges += [found_range] if found_range else []
        if pod.get("guest_ranges") and kind(zone) != "basic":
            found.append(f"{here}: guest_ranges are for a zone of type basic, this one is {kind(zone)}: take them out")
    for number, item in enumerate(zone.get("public_ranges") or ()):
        here = f"{where}.public_ranges[{number}]"
        parsed = parse_range(item, here, found)
        ranges += [parsed] if parsed else []
    if zone.get("public_ranges") and kind(zone) == "basic":
        found.append(f"{where}: public_ranges are for a zone of type advanced: give the pods guest_ranges")
    network = zone.get("guest_network")
    if network:
        here = f"{where}.guest_network"
        given = [key for key in ("vlan", "start", "end", "gateway", "netmask") if network.get(key)]
        if kind(zone) == "advanced":
            found.append(f"{here} is for zones with security groups: declare networks instead")
        elif kind(zone) == "basic" and given:
            found.append(f"{here}: {', '.join(given)}: in a zone of type basic the pods have the guest_ranges: take them out")
        elif kind(zone) == "advanced_security_groups":
            missing = [key for key in ("vlan", "start", "end", "gateway", "netmask") if not network.get(key)]
            if missing:
                found.append(f"{here}: {', '.join(missing)} must be given")
            else:
                parsed = parse_range(network, here, found)
                ranges += [parsed] if parsed else []
    dynamic = [(low, high) for physical in zone.get("physical_networks") or () for low, high in _vlans_or_none(physical.get("vlan"))]
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
    return ranges, pods


# -- planning


class _Gate:
    """A zone closed while something is done that the server refuses in an enabled one. Those who need it take turns."""

    def __init__(self, region: Region, zone: Row) -> None:
        self._region = region
        self._zone = zone
        self._lock = threading.Lock()

    def closed(self, action: t.Callable[[], t.Any]) -> t.Any:
        with self._lock:
            self._region.client.call("updateZone", id=self._zone["id"], allocationstate="Disabled")
            try:
                return action()
            finally:
                self._region.client.call("updateZone", id=self._zone["id"], allocationstate="Enabled")


def plan(declared: t.Sequence[Item], region: Region, sheet: Sheet) -> None:
    """Everything of zones but their hosts and whether they are enabled."""
    for number, zone in enumerate(declared):
        where = named(f"{sheet.prefix}zones", number, zone)
        row = region.find("zones", zone["name"])
        _plan_zone(zone, row, region, sheet, where)
        if row and (row.get("networktype"), bool(row.get("securitygroupsenabled"))) != _TYPES[kind(zone)]:
            continue  # said by _plan_zone; nothing else of it can be compared
        if zone.get("settings"):
            settings.plan_zone(zone["settings"], zone["name"], region, sheet, f"{where}.settings")
        gate = _Gate(region, row) if row and row.get("allocationstate") == "Enabled" else None
        for network in zone.get("physical_networks") or ():
            _plan_network(zone, network, row, region, sheet, gate)
        _plan_guest_network(zone, row, region, sheet, where)
        for pod in zone.get("pods") or ():
            _plan_pod(zone, pod, row, region, sheet)
        _plan_ranges(zone, row, region, sheet, where)


def _of(region: Region, what: str, row: t.Optional[Row], key: str = "zoneid") -> list[Row]:
    return [other for other in region.rows(what) if row is not None and other.get(key) == row["id"]]


def _plan_zone(zone: Item, row: t.Optional[Row], region: Region, sheet: Sheet, where: str) -> None:
    name = zone["name"]
    network_type, groups = _TYPES[kind(zone)]
    wanted = {ours: zone[ours] for ours in _ZONE_KEYS if zone.get(ours) is not None}
    wanted.setdefault("internal_dns1", zone["dns1"])
    if row is None:

        def create() -> None:
            from_us = {theirs: wanted[ours] for ours, theirs in _ZONE_KEYS.items() if ours in wanted}
            answer = region.client.call("createZone", name=name, networktype=network_type, securitygroupenabled=groups, allocationstate="Disabled", **from_us)
            region.made("zones", name, answer["zone"])

        sheet.add(Change("zone", name, "create", None, {"type": kind(zone), **wanted}, create))
        return
    living = next(ours for ours, theirs in _TYPES.items() if theirs[0] == row.get("networktype") and theirs[1] == bool(row.get("securitygroupsenabled")))
    if living != kind(zone):
        sheet.problem(f"{where}: the zone is there and of type {living}, which cannot be changed to {kind(zone)}: declare it so, or choose another name")
        return
    now = {ours: row.get(theirs, False if ours == "local_storage" else "") for ours, theirs in _ZONE_KEYS.items()}
    before, after = differing(now, wanted)
    if not after:
        return
    update = {_ZONE_KEYS[ours]: value for ours, value in after.items()}
    sheet.add(Change("zone", name, "update", before, after, lambda: region.client.call("updateZone", id=row["id"], **update)))


def _plan_network(zone: Item, network: Item, zone_row: t.Optional[Row], region: Region, sheet: Sheet, gate: t.Optional[_Gate]) -> None:
    name = f"{zone['name']}/{network['name']}"
    row = region.find("physical_networks", network["name"], zoneid=zone_row["id"]) if zone_row else None
    wanted: dict[str, t.Any] = {"state": "Enabled"}
    if network.get("vlan"):
        wanted["vlan"] = shown_vlans(vlans(network["vlan"]))
    if network.get("tags") is not None:
        wanted["tags"] = sorted(network["tags"])
    methods = isolation(network) if kind(zone) != "basic" or network.get("isolation") else ["L3"]
    if row is None:

        def create() -> None:
            zone_id = region.id("zones", zone["name"])
            living = region.client.rows("listPhysicalNetworks", zoneid=zone_id)
            made = next((other for other in living if other["name"] == network["name"]), None)
            if made is None:
                parameters = {"isolationmethods": methods, "vlan": wanted.get("vlan"), "tags": wanted.get("tags") or None}
                answer = region.client.job("createPhysicalNetwork", zoneid=zone_id, name=network["name"], **parameters)
                made = answer["physicalnetwork"]
            region.made("physical_networks", network["name"], {**made, "zoneid": zone_id})
            region.client.job("updatePhysicalNetwork", id=made["id"], state="Enabled")

        reason = "the zone takes no new guests for that moment" if gate else ""
        apply = (lambda: gate.closed(create)) if gate else create
        shown = {"isolation": methods, **wanted}
        sheet.add(Change("physical_network", name, "create", None, shown, apply, reason=reason, needs=frozenset({f"zone/{zone['name']}"})))
    else:
        living_methods = sorted(part.strip().upper() for part in str(row.get("isolationmethods") or "").split(",") if part.strip())
        if network.get("isolation") and living_methods and living_methods != sorted(methods):
            sheet.problem(
                f"{sheet.prefix}zones: physical network {name}: isolation is {', '.join(living_methods)} and cannot be changed to {', '.join(methods)}: "
                f"declare it so, or make another network"
            )
        now = {
            "state": row.get("state"),
            "vlan": shown_vlans(vlans(row["vlan"])) if row.get("vlan") else "",
            "tags": sorted(part.strip() for part in str(row.get("tags") or "").split(",") if part.strip()),
        }
        before, after = differing(now, wanted)
        if after:
            update = {**after, **({"tags": ",".join(after["tags"])} if "tags" in after else {})}
            sheet.add(Change("physical_network", name, "update", before, after, lambda: region.client.job("updatePhysicalNetwork", id=row["id"], **update)))
    for traffic in network.get("traffic") or ():
        _plan_traffic(zone, network, traffic, zone_row, row, region, sheet)
    for provider, on in providers(zone, network).items():
        _plan_provider(zone, network, provider, on, row, region, sheet)


def _network_id(region: Region, zone: Item, network: Item) -> str:
    return region.id("physical_networks", network["name"], zoneid=region.id("zones", zone["name"]))


def _plan_traffic(zone: Item, network: Item, traffic: Item, zone_row: t.Optional[Row], network_row: t.Optional[Row], region: Region, sheet: Sheet) -> None:
    name = f"{zone['name']}/{network['name']}/{traffic['type']}"
    theirs = traffic["type"].capitalize()
    row = next((other for other in _of(region, "traffic_types", network_row, "physicalnetworkid") if other.get("traffictype") == theirs), None)
    wanted = {label: traffic[label] for label in _LABELS if traffic.get(label) is not None}
    if row is None:
        networks = {other["id"]: other["name"] for other in _of(region, "physical_networks", zone_row)}
        elsewhere = [other for other in region.rows("traffic_types") if other["physicalnetworkid"] in networks and other.get("traffictype") == theirs]
        if elsewhere and theirs != "Guest":
            sheet.problem(
                f"{sheet.prefix}zones: {traffic['type']} traffic of the zone {zone['name']} is on the physical network "
                f"{networks[elsewhere[0]['physicalnetworkid']]} and cannot be moved to {network['name']}: declare it there"
            )
            return

        def create() -> None:
            labels = {_LABELS[label]: value for label, value in wanted.items()}
            region.client.job("addTrafficType", physicalnetworkid=_network_id(region, zone, network), traffictype=theirs, **labels)

        needs = frozenset({f"physical_network/{zone['name']}/{network['name']}"})
        sheet.add(Change("traffic", name, "create", None, {"type": traffic["type"], **wanted}, create, needs=needs))
        return
    before, after = differing({label: row.get(key, "") for label, key in _LABELS.items()}, wanted)
    if after:
        labels = {_LABELS[label]: value for label, value in after.items()}
        reason = "hosts that are there must be connected again to see it"
        sheet.add(Change("traffic", name, "update", before, after, lambda: region.client.job("updateTrafficType", id=row["id"], **labels), reason=reason))


def _plan_provider(zone: Item, network: Item, provider: str, on: bool, network_row: t.Optional[Row], region: Region, sheet: Sheet) -> None:
    name = f"{zone['name']}/{network['name']}/{provider}"
    row = region.find("providers", provider, physicalnetworkid=network_row["id"]) if network_row else None
    if row is None and not on:
        return
    now: dict[str, t.Any] = {"state": row.get("state") if row else None}
    wanted: dict[str, t.Any] = {"state": state(on)}
    if on and provider in _ELEMENTS:
        elements = [other for other in region.rows(_ELEMENTS[provider][0]) if row is not None and other.get("nspid") == row["id"]]
        now["elements"] = state(bool(elements) and all(other.get("enabled") for other in elements))
        wanted["elements"] = "Enabled"
    before, after = differing(now, wanted)
    if not after:
        return

    def apply() -> None:
        client = region.client
        network_id = _network_id(region, zone, network)
        living = [other for other in client.rows("listNetworkServiceProviders", physicalnetworkid=network_id) if other["name"] == provider]
        service = living[0] if living else client.job("addNetworkServiceProvider", physicalnetworkid=network_id, name=provider)["networkserviceprovider"]
        if on and provider in _ELEMENTS:
            listing, configure = _ELEMENTS[provider][1:]
            for element in client.rows(listing, nspid=service["id"]):
                if not element.get("enabled"):
                    client.job(configure, id=element["id"], enabled=True)
        if service.get("state") != state(on):
            client.job("updateNetworkServiceProvider", id=service["id"], state=state(on))

    # The server makes the usual providers with the network, switched off: to switch one on is no creation.
    traffic = [f"traffic/{zone['name']}/{network['name']}/{item['type']}" for item in network.get("traffic") or ()]
    needs = frozenset({f"physical_network/{zone['name']}/{network['name']}", *traffic})
    sheet.add(
        Change("provider", name, "update", {**before, "state": before.get("state") or "Disabled"} if "state" in before else before, after, apply, needs=needs)
    )


def _network_needs(zone: Item, sheet: Sheet) -> frozenset[str]:
    """Everything of a zone's networks that is planned."""
    return sheet.ids("physical_network", "traffic", "provider", begin=f"{zone['name']}/") | {f"zone/{zone['name']}"}


def _plan_guest_network(zone: Item, zone_row: t.Optional[Row], region: Region, sheet: Sheet, where: str) -> None:
    network = guest_network(zone)
    if network is None:
        return
    row = region.find("networks", network["name"], zoneid=zone_row["id"]) if zone_row else None
    offering = network["offering"]
    if region.find("network_offerings", offering) is None and not region.empty:
        sheet.problem(f"{where}.guest_network: there is no network offering {offering}")
    if row is not None:
        if row.get("networkofferingname") != offering:
            living = row.get("networkofferingname")
            sheet.problem(f"{where}.guest_network: {network['name']} is of the offering {living}, which cannot be changed to {offering}: declare it so")
        return
    given = {key: network[key] for key in ("vlan", "start", "end", "gateway", "netmask") if network.get(key)}

    def create() -> None:
        theirs = {{"start": "startip", "end": "endip"}.get(key, key): value for key, value in given.items()}
        zone_id = region.id("zones", zone["name"])
        names = {"name": network["name"], "displaytext": network["name"]}
        answer = region.client.call("createNetwork", zoneid=zone_id, networkofferingid=region.id("network_offerings", offering), **names, **theirs)
        region.made("networks", network["name"], {**answer["network"], "zoneid": zone_id})

    after = {"offering": offering, **given}
    sheet.add(Change("guest_network", f"{zone['name']}/{network['name']}", "create", None, after, create, needs=_network_needs(zone, sheet)))


def guest_network(zone: Item) -> t.Optional[Item]:
    """The network of guests that a zone with security groups has from the beginning."""
    network = zone.get("guest_network")
    if network is None and kind(zone) == "basic" and any(pod.get("guest_ranges") for pod in zone.get("pods") or ()):
        network = {}
    if network is None:
        return None
    defaults = {key: option["default"] for key, option in GUEST_NETWORK_OPTIONS.items() if "default" in option}
    return {**defaults, **{key: value for key, value in network.items() if value is not None}}


def _plan_pod(zone: Item, pod: Item, zone_row: t.Optional[Row], region: Region, sheet: Sheet) -> None:
    name = f"{zone['name']}/{pod['name']}"
    row = region.find("pods", pod["name"], zoneid=zone_row["id"]) if zone_row else None
    wanted = {key: pod[key] for key in ("gateway", "netmask", "start", "end")}
    if row is None:

        def create() -> None:
            zone_id = region.id("zones", zone["name"])
            parameters = {"gateway": pod["gateway"], "netmask": pod["netmask"], "startip": pod["start"], "endip": pod["end"]}
            answer = region.client.call("createPod", zoneid=zone_id, name=pod["name"], allocationstate=state(pod.get("enabled")), **parameters)
            region.made("pods", pod["name"], {**answer["pod"], "zoneid": zone_id})

        needs = _network_needs(zone, sheet) | sheet.ids("guest_network", begin=f"{zone['name']}/")
        sheet.add(Change("pod", name, "create", None, {**wanted, "state": state(pod.get("enabled"))}, create, needs=needs))
    else:
        start, end = _pod_range(pod, row)
        now = {"gateway": row.get("gateway"), "netmask": row.get("netmask"), "start": start, "end": end, "state": row.get("allocationstate")}
        before, after = differing(now, {**wanted, "state": state(pod.get("enabled"))})
        if after:
            low, high = ipaddress.IPv4Address(pod["start"]), ipaddress.IPv4Address(pod["end"])
            apart = bool(start) and not (ipaddress.IPv4Address(start) <= high and low <= ipaddress.IPv4Address(end))
            reason = f"the server cannot take {start}-{end} away and goes on using it too" if apart else ""
            sheet.add(Change("pod", name, "update", before, after, lambda: _update_pod(region, row, pod, (start, end), after), reason=reason))
    for cluster in pod.get("clusters") or ():
        _plan_cluster(zone, pod, cluster, row, region, sheet)


def _pod_range(pod: Item, row: Row) -> tuple[str, str]:
    """The living range that stands for the declared one: the same, else one that it overlaps, else the first; ("", "") where there is none."""
    ranges = [(str(entry["startip"]), str(entry["endip"])) for entry in row.get("ipranges") or () if entry.get("startip") and entry.get("endip")]
    wanted = (pod["start"], pod["end"])
    low, high = (ipaddress.IPv4Address(text) for text in wanted)
    touching = [entry for entry in ranges if ipaddress.IPv4Address(entry[0]) <= high and low <= ipaddress.IPv4Address(entry[1])]
    return wanted if wanted in ranges else next(iter([*touching, *ranges]), ("", ""))


def _update_pod(region: Region, row: Row, pod: Item, living: tuple[str, str], after: t.Mapping[str, t.Any]) -> None:
    # updatePod takes a range too, and does nothing with it (4.22, seen).
    update = {{"state": "allocationstate"}.get(key, key): value for key, value in after.items() if key not in ("start", "end")}
    if update:
        region.client.call("updatePod", id=row["id"], **update)
    if not {"start", "end"} & set(after):
        return
    client, low, high = region.client, ipaddress.IPv4Address(pod["start"]), ipaddress.IPv4Address(pod["end"])
    if living[0] and ipaddress.IPv4Address(living[0]) <= high and low <= ipaddress.IPv4Address(living[1]):
        current = {"currentstartip": living[0], "currentendip": living[1]}
        client.job("updatePodManagementNetworkIpRange", podid=row["id"], newstartip=pod["start"], newendip=pod["end"], **current)
        return
    # That command leaves addresses behind where nothing of the old range stays, and a pod's first range cannot be deleted (4.22, seen).
    client.job("createManagementNetworkIpRange", podid=row["id"], startip=pod["start"], endip=pod["end"], gateway=pod["gateway"], netmask=pod["netmask"])


def _plan_cluster(zone: Item, pod: Item, cluster: Item, pod_row: t.Optional[Row], region: Region, sheet: Sheet) -> None:
    name = f"{zone['name']}/{pod['name']}/{cluster['name']}"
    row = region.find("clusters", cluster["name"], podid=pod_row["id"]) if pod_row else None
    wanted = {"state": state(cluster.get("enabled"))}
    if row is None:

        def create() -> None:
            zone_id = region.id("zones", zone["name"])
            pod_id = region.id("pods", pod["name"], zoneid=zone_id)
            parameters = {"clustername": cluster["name"], "clustertype": "CloudManaged", "hypervisor": hosts.hypervisor(cluster)}
            answer = region.client.call("addCluster", zoneid=zone_id, podid=pod_id, allocationstate=wanted["state"], **parameters)
            region.made("clusters", cluster["name"], {**answer["cluster"][0], "podid": pod_id, "zoneid": zone_id})

        after = {"hypervisor": hosts.hypervisor(cluster), **wanted}
        needs = frozenset({f"pod/{zone['name']}/{pod['name']}"}) | _network_needs(zone, sheet)
        sheet.add(Change("cluster", name, "create", None, after, create, needs=needs))
        return
    if row.get("hypervisortype") != hosts.hypervisor(cluster):
        living = row.get("hypervisortype")
        sheet.problem(
            f"{sheet.prefix}zones: the cluster {name} is of {living}, which cannot be changed to {hosts.hypervisor(cluster)}: declare it so, or another name"
        )
        return
    before, after = differing({"state": row.get("allocationstate")}, wanted)
    if after:
        sheet.add(Change("cluster", name, "update", before, after, lambda: region.client.call("updateCluster", id=row["id"], allocationstate=after["state"])))


def _plan_ranges(zone: Item, zone_row: t.Optional[Row], region: Region, sheet: Sheet, where: str) -> None:
    living = _of(region, "vlan_ranges", zone_row)
    declared = [(item, None) for item in zone.get("public_ranges") or ()]
    declared += [(item, pod) for pod in zone.get("pods") or () for item in pod.get("guest_ranges") or ()]
    exact = {(item["start"], item["end"]) for item, unused in declared}
    for item, pod in declared:
        _plan_range(zone, item, pod, living, exact, region, sheet, where)


def _plan_range(
    zone: Item, item: Item, pod: t.Optional[Item], living: list[Row], exact: set[tuple[str, str]], region: Region, sheet: Sheet, where: str
) -> None:
    name = f"{zone['name']}/{item['start']}-{item['end']}"
    public = pod is None
    start, end = ipaddress.IPv4Address(item["start"]), ipaddress.IPv4Address(item["end"])
    # The living one: the same, else the one that it overlaps and that nothing else claims.
    row = next((other for other in living if (other.get("startip"), other.get("endip")) == (item["start"], item["end"])), None)
    if row is None:
        for other in living:
            if (other.get("startip"), other.get("endip")) in exact or not other.get("startip") or not other.get("endip"):
                continue
            if start <= ipaddress.IPv4Address(other["endip"]) and ipaddress.IPv4Address(other["startip"]) <= end:
                row = other
                break
    wanted = {"start": item["start"], "end": item["end"], "gateway": item["gateway"], "netmask": item["netmask"]}
    vlan = str(item.get("vlan") or "untagged")
    if row is None:

        def create() -> None:
            zone_id = region.id("zones", zone["name"])
            more: dict[str, t.Any] = {"forvirtualnetwork": True}
            if pod is not None:
                network = t.cast(Item, guest_network(zone))
                pod_id = region.id("pods", pod["name"], zoneid=zone_id)
                more = {"forvirtualnetwork": False, "podid": pod_id, "networkid": region.id("networks", network["name"], zoneid=zone_id)}
            ours = {"startip": item["start"], "endip": item["end"], "gateway": item["gateway"], "netmask": item["netmask"]}
            region.client.call("createVlanIpRange", zoneid=zone_id, vlan=vlan, **ours, **more)

        needs = _network_needs(zone, sheet) | sheet.ids("guest_network", "pod", begin=f"{zone['name']}/")
        after = {**wanted, **({"vlan": vlan} if public else {"pod": t.cast(Item, pod)["name"]})}
        sheet.add(Change("vlan_range", name, "create", None, after, create, needs=needs))
        return
    if bool(row.get("forvirtualnetwork")) is not public or (public and _vlan_of(row) != vlan):
        sheet.problem(
            f"{where}: the range {row['startip']}-{row['endip']} is there, {'public' if row.get('forvirtualnetwork') else 'for guests'} with the VLAN "
            f"{_vlan_of(row)}, which cannot be changed to that of {item['start']}-{item['end']}: declare it so, or take the range away first"
        )
        return
    now = {"start": row.get("startip"), "end": row.get("endip"), "gateway": row.get("gateway"), "netmask": row.get("netmask")}
    before, after = differing(now, wanted)
    if after:
        update = {"startip": item["start"], "endip": item["end"], "gateway": item["gateway"], "netmask": item["netmask"]}
        sheet.add(Change("vlan_range", name, "update", before, after, lambda: region.client.call("updateVlanIpRange", id=row["id"], **update)))


def plan_state(declared: t.Sequence[Item], region: Region, sheet: Sheet) -> None:
    """Whether zones take guests: after everything else that is planned of them."""
    for zone in declared:
        row = region.find("zones", zone["name"])
        wanted = state(zone.get("enabled"))
        now = row.get("allocationstate") if row else "Disabled"
        if now == wanted:
            continue
        kinds = ("physical_network", "traffic", "provider", "guest_network", "pod", "cluster", "vlan_range", "host", "primary_storage")
        needs = sheet.ids(*kinds, begin=f"{zone['name']}/") | {f"zone/{zone['name']}"}
        sheet.add(Change("zone_state", zone["name"], "update", {"state": now}, {"state": wanted}, _set_state(region, zone["name"], wanted), needs=needs))


def _set_state(region: Region, name: str, wanted: str) -> t.Callable[[], t.Any]:
    return lambda: region.client.call("updateZone", id=region.id("zones", name), allocationstate=wanted)


def returned(declared: t.Sequence[Item], region: Region) -> dict[str, t.Any]:
    """The declared zones that are there: name, id, state, type."""
    rows = [row for row in (region.find("zones", zone["name"]) for zone in declared) if row]
    return {
        "zones": [
            {
                "name": row["name"],
                "id": row["id"],
                "state": row.get("allocationstate"),
                "type": next((ours for ours, theirs in _TYPES.items() if theirs == (row.get("networktype"), bool(row.get("securitygroupsenabled")))), None),
            }
            for row in rows
        ]
    }
