# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zones, their pods and clusters. What else they are made of is in physical_networks.py, addresses.py and hosts.py.

The server accepts these only in a certain order, and a zone may be left half made by a run that was killed: each part is compared by itself,
and the zone is enabled last (zone_state), when everything else of it is there.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import ipaddress
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import addresses, hosts, physical_networks, settings
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import LANE, RANGE_OPTIONS, address, bounds, normal, sent, touch
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, kind, state
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import named
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, mapping, record, records, string, twice

CLUSTER_OPTIONS: dict[str, t.Any] = {
    "name": string("The cluster's name.", required=True),
    "hypervisor": choice(
        "What its hosts run. V(simulator) is for tests, on a server that has it. It cannot change later.", ["kvm", "xenserver", "simulator"], default="kvm"
    ),
    "enabled": boolean("Whether it takes guests.", default=True),
    "hosts": records(
        "Its hosts. They are added side by side, which takes minutes, and waited for until they are Up.\n"
        "A host that somebody has put into maintenance is left so.",
        hosts.OPTIONS,
        default=[],
    ),
}

POD_OPTIONS: dict[str, t.Any] = {
    "name": string("The pod's name.", required=True),
    "start": string("The first of the addresses in the hosts' network that CloudStack may give to its own virtual machines.", required=True),
    "end": string("The last of them.", required=True),
    "gateway": string("The gateway of the hosts' network.", required=True),
    "netmask": string("Its netmask.", required=True),
    "enabled": boolean("Whether it takes guests.", default=True),
    "guest_ranges": records("Addresses for guests, in a zone of type V(basic).", RANGE_OPTIONS, default=[]),
    "clusters": records("Clusters of alike hosts.", CLUSTER_OPTIONS, default=[]),
}
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
        "and hosts with real KVM. The server starts them by itself. What would keep them from starting "
        "is refused here; the roles look for their template, and prove them.\n"
        "By default it is to, if it has an image store of NFS and a cluster of KVM hosts."
    ),
    "settings": mapping("Settings of this zone, by name.", default={}),
    "physical_networks": records("Physical networks.", physical_networks.OPTIONS, default=[]),
    "guest_network": record(
        "The network that all guests of a zone with security groups share.\n"
        "In a zone of type V(basic) it is made by itself, and its addresses are those of O(zones[].pods[].guest_ranges).",
        addresses.GUEST_NETWORK_OPTIONS,
    ),
    "public_ranges": records("Public addresses, for routers and guests.", addresses.PUBLIC_OPTIONS, default=[]),
    "pods": records("Pods.", POD_OPTIONS, default=[]),
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


def _current_type(row: Row) -> t.Optional[str]:
    return next((ours for ours, theirs in _TYPES.items() if theirs == (row.get("networktype"), bool(row.get("securitygroupsenabled")))), None)


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found = [f"{where}: {name} is declared twice: keep one of them" for name in twice(zone["name"] for zone in declared)]
    for number, zone in enumerate(declared):
        found += _zone_problems(zone, named(where, number, zone))
    return found


def _zone_problems(zone: Item, where: str) -> list[str]:
    servers = [(key, zone.get(key)) for key in ("dns1", "dns2", "internal_dns1", "internal_dns2")]
    found = [f"{where}: {key}: '{value}' is no IPv4 address" for key, value in servers if value and address(value) is None]
    guest = None
    if zone.get("guest_cidr"):
        try:
            guest = ipaddress.IPv4Network(zone["guest_cidr"] if "/" in zone["guest_cidr"] else "")
        except ValueError:
            found.append(f"{where}: guest_cidr: '{zone['guest_cidr']}' is no network such as 10.1.1.0/24")
        if kind(zone) != "advanced":
            found.append(f"{where}: guest_cidr is for a zone of type advanced, this one is {kind(zone)}: take it out")
    found += settings.problems(zone.get("settings") or {}, f"{where}.settings")
    parts = [(f"{where}.pods", zone.get("pods") or ())]
    parts += [(f"{where}.pods[{number}].clusters", pod.get("clusters") or ()) for number, pod in enumerate(parts[0][1])]
    found += physical_networks.problems(zone, where)
    found += [f"{here}: {name} is declared twice: keep one of them" for here, items in parts for name in twice(item["name"] for item in items)]
    given = addresses.problems(zone, where, guest, found)
    for own in (address(one.host.get("address")) for one in hosts.each([zone], where)):
        taken = [one for one in given if own is not None and one.start <= own <= one.end]
        found += [f"{one.where}: the host {own} is inside the range, which the server gives away: leave it out of the range" for one in taken]
    return found


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Everything of zones but their hosts and whether they are enabled."""
    for number, zone in enumerate(declared):
        where = named(f"{draft.prefix}zones", number, zone)
        row = region.find("zones", zone["name"])
        _plan_zone(zone, row, region, draft, where)
        if row and _current_type(row) != kind(zone):
            continue  # said by _plan_zone; nothing else of it can be compared
        if zone.get("settings"):
            settings.plan_zone(zone["settings"], zone["name"], region, draft, f"{where}.settings")
        physical_networks.plan(zone, row, region, draft)
        addresses.plan_guest_network(zone, row, region, draft, where)
        for pod in zone.get("pods") or ():
            _plan_pod(zone, normal(pod), row, region, draft)
        addresses.plan(zone, row, region, draft, where)


def _plan_zone(zone: Item, row: t.Optional[Row], region: Region, draft: Draft, where: str) -> None:
    name = zone["name"]
    wanted = {"internal_dns1": zone["dns1"], **{ours: zone[ours] for ours in _ZONE_KEYS if zone.get(ours) is not None}}
    if wanted.get("guest_cidr"):
        wanted["guest_cidr"] = str(ipaddress.IPv4Network(wanted["guest_cidr"]))  # 10.1.1.0/255.255.255.0 too

    def theirs(values: Item) -> Item:
        return {_ZONE_KEYS[ours]: value for ours, value in values.items()}

    def create() -> None:
        network_type, groups = _TYPES[kind(zone)]
        types = {"networktype": network_type, "securitygroupenabled": groups}
        answer = region.client.call("createZone", name=name, allocationstate="Disabled", **types, **theirs(wanted))
        region.made("zones", name, answer["zone"])

    if row is None:
        draft.ensure("zone", name, None, {"type": kind(zone), **wanted}, create)
    elif _current_type(row) != kind(zone):
        existing = f"the zone is there and of type {_current_type(row)}, which cannot be changed to {kind(zone)}"
        draft.problem(f"{where}: {existing}: declare it so, or choose another name")
    else:
        now = {ours: row.get(theirs, False if ours == "local_storage" else "") for ours, theirs in _ZONE_KEYS.items()}
        draft.ensure("zone", name, now, wanted, update=lambda after: region.client.call("updateZone", id=row["id"], **theirs(after)))


def _plan_pod(zone: Item, pod: Item, zone_row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name = f"{zone['name']}/{pod['name']}"
    row = region.find("pods", pod["name"], zoneid=zone_row["id"]) if zone_row else None
    wanted = {**bounds(pod), "state": state(pod.get("enabled"))}

    def create() -> None:
        zone_id = region.id("zones", zone["name"])
        answer = region.client.call("createPod", zoneid=zone_id, name=pod["name"], allocationstate=wanted["state"], **sent(bounds(pod)))
        region.made("pods", pod["name"], {**answer["pod"], "zoneid": zone_id})

    if row is None:
        needs = draft.network_needs(zone["name"]) | draft.ids("guest_network", begin=f"{zone['name']}/")
        draft.ensure("pod", name, None, wanted, create, needs=needs, lane=LANE)
    else:
        existing = start, end = _pod_range(pod, row)
        now = {"gateway": row.get("gateway"), "netmask": row.get("netmask"), "start": start, "end": end, "state": row.get("allocationstate")}
        apart = bool(start) and not touch(pod, start, end)
        reason = f"the server cannot take {start}-{end} away and goes on using it too" if apart else ""
        draft.ensure("pod", name, now, wanted, update=functools.partial(_update_pod, region, row, pod, existing), reason=reason, lane=LANE)
    for cluster in pod.get("clusters") or ():
        _plan_cluster(zone, pod, cluster, row, region, draft)


def _pod_range(pod: Item, row: Row) -> tuple[str, str]:
    """The existing range that stands for the declared one: the same, else one that it overlaps, else the first; ("", "") where there is none."""
    ranges = [(str(entry["startip"]), str(entry["endip"])) for entry in row.get("ipranges") or () if entry.get("startip") and entry.get("endip")]
    same = [one for one in ranges if one == (pod["start"], pod["end"])]
    return next(iter([*same, *(one for one in ranges if touch(pod, *one)), *ranges]), ("", ""))


def _update_pod(region: Region, row: Row, pod: Item, existing: tuple[str, str], after: Item) -> None:
    # updatePod takes a range too, and does nothing with it (4.22, seen).
    update = {{"state": "allocationstate"}.get(key, key): value for key, value in after.items() if key not in ("start", "end")}
    if update:
        region.client.call("updatePod", id=row["id"], **update)
    if not {"start", "end"} & set(after):
        return
    start, end = existing
    if start and touch(pod, start, end):
        new = {"newstartip": pod["start"], "newendip": pod["end"]}
        region.client.job("updatePodManagementNetworkIpRange", podid=row["id"], currentstartip=start, currentendip=end, **new)
    else:  # that command leaves addresses behind where nothing of the old range stays, and a pod's first range cannot be deleted (4.22, seen)
        region.client.job("createManagementNetworkIpRange", podid=row["id"], **sent(bounds(pod)))


def _plan_cluster(zone: Item, pod: Item, cluster: Item, pod_row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name = f"{zone['name']}/{pod['name']}/{cluster['name']}"
    row = region.find("clusters", cluster["name"], podid=pod_row["id"]) if pod_row else None
    hypervisor, wanted = hosts.hypervisor(cluster), {"state": state(cluster.get("enabled"))}

    def create() -> None:
        zone_id = region.id("zones", zone["name"])
        where = {"zoneid": zone_id, "podid": region.id("pods", pod["name"], zoneid=zone_id)}
        parameters = {"clustername": cluster["name"], "clustertype": "CloudManaged", "hypervisor": hypervisor}
        answer = region.client.call("addCluster", allocationstate=wanted["state"], **where, **parameters)
        region.made("clusters", cluster["name"], {**answer["cluster"][0], **where})

    if row is None:
        needs = {f"pod/{zone['name']}/{pod['name']}", *draft.network_needs(zone["name"])}
        draft.ensure("cluster", name, None, {"hypervisor": hypervisor, **wanted}, create, needs=needs)
    elif row.get("hypervisortype") != hypervisor:
        existing = f"the cluster {name} is of {row.get('hypervisortype')}, which cannot be changed to {hypervisor}"
        draft.problem(f"{draft.prefix}zones: {existing}: declare it so, or another name")
    else:
        now = {"state": row.get("allocationstate")}
        draft.ensure("cluster", name, now, wanted, lambda: region.client.call("updateCluster", id=row["id"], allocationstate=wanted["state"]))


def plan_state(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Whether zones take guests: after everything else that is planned of them."""
    kinds = ("physical_network", "traffic", "provider", "guest_network", "pod", "cluster", "vlan_range", "host", "primary_storage")
    for zone in declared:
        name, wanted = zone["name"], state(zone.get("enabled"))
        row = region.find("zones", name)
        now = row.get("allocationstate") if row else "Disabled"
        apply = functools.partial(_set_state, region, name, wanted)
        draft.ensure("zone_state", name, {"state": now}, {"state": wanted}, apply, needs=draft.ids(*kinds, begin=f"{name}/") | {f"zone/{name}"})


def _set_state(region: Region, name: str, wanted: str) -> None:
    region.client.call("updateZone", id=region.id("zones", name), allocationstate=wanted)


def returned(declared: t.Sequence[Item], region: Region) -> dict[str, t.Any]:
    """The declared zones that are there: name, id, state, type."""
    rows = [row for row in (region.find("zones", zone["name"]) for zone in declared) if row]
    return {"zones": [{"name": row["name"], "id": row["id"], "state": row.get("allocationstate"), "type": _current_type(row)} for row in rows]}
