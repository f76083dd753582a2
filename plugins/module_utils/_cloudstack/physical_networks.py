# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical networks of a zone, with the traffic that they carry and the providers of their services.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import shown_vlans, vlans
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, kind, of, state, words
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Lane, Place, named
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, mapping, records, string, strings, twice

TRAFFIC_OPTIONS: dict[str, t.Any] = {
    "type": choice("The type of traffic.", ["management", "guest", "public", "storage"], required=True),
    "kvm_label": string("The bridge of KVM hosts that carries it, such as V(cloudbr0)."),
    "xen_label": string("The name-label of the XenServer network that carries it."),
}
OPTIONS: dict[str, t.Any] = {
    "name": string("The network's name.", required=True),
    "isolation": strings("How guests are kept apart. By default V(vlan), in a zone of type V(basic) V(l3). It cannot change later."),
    "vlan": string("The VLANs that guests' networks are given, such as V(100-200) or V(100-200,300-310)."),
    "tags": strings("Tags by which network offerings choose it. Needed if several networks carry guests."),
    "traffic": records("What the network carries. Its types cannot be removed later.", TRAFFIC_OPTIONS, required=True),
    "providers": mapping(
        "Which providers of network services are on, and which off, such as C(VirtualRouter=true). What they are made of is switched on with them.\n"
        "On the network of the guests, those that a zone of its type needs are on by themselves. C(VirtualRouter) in all, C(VpcVirtualRouter) in a "
        "zone of type V(advanced), C(SecurityGroupProvider) in the others.",
        default={},
    ),
}

_LABELS = {"kvm_label": "kvmnetworklabel", "xen_label": "xennetworklabel"}
# Providers that are made of elements, which must be switched on before them: the word of their list, and what their commands are named by.
_ELEMENTS = {
    "VirtualRouter": ("router_elements", "VirtualRouterElement"),
    "VpcVirtualRouter": ("router_elements", "VirtualRouterElement"),
    "InternalLbVm": ("lb_elements", "InternalLoadBalancerElement"),
}


def providers(zone: Item, network: Item) -> dict[str, bool]:
    """Which providers are to be on, and which off: those that a zone of its type needs where guests are, and what is declared."""
    second = "VpcVirtualRouter" if kind(zone) == "advanced" else "SecurityGroupProvider"
    needed = {"VirtualRouter": True, second: True} if "guest" in _carried(network) else {}
    return {**needed, **{name: bool(on) for name, on in (network.get("providers") or {}).items()}}


def _carried(*networks: Item) -> list[str]:
    return [traffic["type"] for network in networks for traffic in network.get("traffic") or ()]


def problems(zone: Item, where: str) -> list[str]:
    networks, type_ = zone.get("physical_networks") or (), kind(zone)
    carried = _carried(*networks)
    guests = [network for network in networks if "guest" in _carried(network)]
    untagged = ", ".join(network["name"] for network in guests if not network.get("tags"))
    needed = ("management", "guest", "public") if type_ == "advanced" else ("management", "guest")
    lacking = ", ".join(name for name in needed if name not in carried)
    double, shared = ", ".join(twice(network["name"] for network in networks)), ", ".join(name for name in twice(carried) if name != "guest")
    found: list[str] = []
    here = Place(f"{where}.physical_networks", found.append)
    here.refuse(double, f"{double} is declared twice: keep one of them")
    here.refuse(networks and lacking, f"none of them carries {lacking} traffic, which a zone of type {type_} needs")
    here.refuse(type_ == "basic" and "public" in carried, "a zone of type basic has no public traffic: take it out")
    here.refuse(shared, f"{shared} traffic is carried by two networks: it can be on one")
    here.refuse(len(guests) > 1 and untagged, f"{untagged}: of {len(guests)} networks for guests each is chosen by its tags: give it some")
    for number, network in enumerate(networks):
        here, wrong, vlan = Place(named(f"{where}.physical_networks", number, network), found.append), "", network.get("vlan")
        try:
            isolation = [method.upper() for method in network.get("isolation") or ["vlan"]]
            if vlan and isolation == ["VLAN"] and any(low < 1 or high > 4094 for low, high in vlans(vlan)):
                wrong = "a VLAN is a number from 1 to 4094"
        except ValueError as error:
            wrong = str(error)
        here.refuse("guest" in twice(_carried(network)), "guest traffic is declared twice: keep one of them")
        here.refuse(wrong, f"vlan: {wrong}")
        here.refuse(vlan and type_ == "basic", "vlan: a zone of type basic has none: take it out")
        for name, on in (network.get("providers") or {}).items():
            here.refuse(not isinstance(on, bool), f"providers: {name}: '{on}' is neither true nor false")
    return found


def plan(zone: Item, zone_row: t.Optional[Row], region: Region, draft: Draft) -> None:
    for network in zone.get("physical_networks") or ():
        row = region.find("physical_networks", network["name"], zoneid=zone_row["id"]) if zone_row else None
        _plan_network(zone, network, zone_row, row, region, draft)
        for traffic in network.get("traffic") or ():
            _plan_traffic(zone, network, traffic, zone_row, row, region, draft)
        for provider, on in providers(zone, network).items():
            _plan_provider(zone, network, provider, on, row, region, draft)


def _plan_network(zone: Item, network: Item, zone_row: t.Optional[Row], row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name = f"{zone['name']}/{network['name']}"
    vlan = {"vlan": shown_vlans(vlans(network["vlan"]))} if network.get("vlan") else {}
    tags = {} if network.get("tags") is None else {"tags": words(network["tags"])}
    wanted: dict[str, t.Any] = {"state": "Enabled", **vlan, **tags}
    methods = [method.upper() for method in network.get("isolation") or ["l3" if kind(zone) == "basic" else "vlan"]]
    if row is not None:
        existing = words(str(row.get("isolationmethods") or "").upper())
        if network.get("isolation") and existing and existing != sorted(methods):
            differs = f"isolation is {', '.join(existing)} and cannot be changed to {', '.join(methods)}"
            draft.problem(f"{draft.prefix}zones: physical network {name}: {differs}: declare it so, or make another network")
        now = {"state": row.get("state"), "vlan": shown_vlans(vlans(row["vlan"])) if row.get("vlan") else "", "tags": words(row.get("tags"))}

        def update(after: t.Mapping[str, t.Any]) -> None:
            region.client.job("updatePhysicalNetwork", id=row["id"], **{**after, **({"tags": ",".join(after["tags"])} if "tags" in after else {})})

        draft.ensure("physical_network", name, now, wanted, update=update)
        return
    opened = zone_row is not None and zone_row.get("allocationstate") == "Enabled"  # the server refuses a new network in such a one

    def create() -> None:
        zone_id = region.id("zones", zone["name"])
        if opened:
            region.client.call("updateZone", id=zone_id, allocationstate="Disabled")
        try:
            existing = region.client.rows("listPhysicalNetworks", zoneid=zone_id)
            made = next((other for other in existing if other["name"] == network["name"]), None)
            if made is None:
                parameters = {"isolationmethods": methods, "vlan": wanted.get("vlan"), "tags": wanted.get("tags") or None}
                made = region.client.job("createPhysicalNetwork", zoneid=zone_id, name=network["name"], **parameters)["physicalnetwork"]
            region.made("physical_networks", network["name"], {**made, "zoneid": zone_id})
            region.client.job("updatePhysicalNetwork", id=made["id"], state="Enabled")
        finally:
            if opened:
                region.client.call("updateZone", id=zone_id, allocationstate="Enabled")

    closing: dict[str, t.Any] = {"reason": "the zone takes no new guests for that moment", "lane": Lane(f"closed zone {zone['name']}")} if opened else {}
    draft.ensure("physical_network", name, None, {"isolation": methods, **wanted}, create, needs=[f"zone/{zone['name']}"], **closing)


def _plan_traffic(zone: Item, network: Item, traffic: Item, zone_row: t.Optional[Row], network_row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name = f"{zone['name']}/{network['name']}/{traffic['type']}"
    theirs = traffic["type"].capitalize()
    row = next((other for other in of(region, "traffic_types", network_row, "physicalnetworkid") if other.get("traffictype") == theirs), None)
    wanted = {label: traffic[label] for label in _LABELS if traffic.get(label) is not None}
    if row is None:
        networks = {other["id"]: other["name"] for other in of(region, "physical_networks", zone_row)}
        elsewhere = [other for other in region.rows("traffic_types") if other["physicalnetworkid"] in networks and other.get("traffictype") == theirs]
        if elsewhere and theirs != "Guest":
            there = f"is on the physical network {networks[elsewhere[0]['physicalnetworkid']]} and cannot be moved to {network['name']}"
            draft.problem(f"{draft.prefix}zones: {traffic['type']} traffic of the zone {zone['name']} {there}: declare it there")
            return

        def create() -> None:
            network_id = region.id("physical_networks", network["name"], zoneid=region.id("zones", zone["name"]))
            labels = {_LABELS[label]: value for label, value in wanted.items()}
            region.client.job("addTrafficType", physicalnetworkid=network_id, traffictype=theirs, **labels)

        draft.ensure("traffic", name, None, {"type": traffic["type"], **wanted}, create, needs=[f"physical_network/{zone['name']}/{network['name']}"])
        return

    def update(after: t.Mapping[str, t.Any]) -> None:
        region.client.job("updateTrafficType", id=row["id"], **{_LABELS[label]: value for label, value in after.items()})

    now = {label: row.get(key, "") for label, key in _LABELS.items()}
    draft.ensure("traffic", name, now, wanted, update=update, reason="hosts that are there must be connected again to see it")


def _plan_provider(zone: Item, network: Item, provider: str, on: bool, network_row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name = f"{zone['name']}/{network['name']}/{provider}"
    row = region.find("providers", provider, physicalnetworkid=network_row["id"]) if network_row else None
    if row is None and not on:
        return
    # The server makes the usual providers with the network, switched off: to switch one on is no creation.
    now: dict[str, t.Any] = {"state": (row or {}).get("state") or "Disabled"}
    wanted: dict[str, t.Any] = {"state": state(on)}
    if on and provider in _ELEMENTS:
        elements = of(region, _ELEMENTS[provider][0], row, "nspid")
        now["elements"] = state(bool(elements) and all(other.get("enabled") for other in elements))
        wanted["elements"] = "Enabled"

    def apply() -> None:
        client = region.client
        network_id = region.id("physical_networks", network["name"], zoneid=region.id("zones", zone["name"]))
        existing = [other for other in client.rows("listNetworkServiceProviders", physicalnetworkid=network_id) if other["name"] == provider]
        service = existing[0] if existing else client.job("addNetworkServiceProvider", physicalnetworkid=network_id, name=provider)["networkserviceprovider"]
        if on and provider in _ELEMENTS:
            element = _ELEMENTS[provider][1]
            for one in client.rows(f"list{element}s", nspid=service["id"]):
                if not one.get("enabled"):
                    client.job(f"configure{element}", id=one["id"], enabled=True)
        if service.get("state") != state(on):
            client.job("updateNetworkServiceProvider", id=service["id"], state=state(on))

    traffic = [f"traffic/{zone['name']}/{network['name']}/{item['type']}" for item in network.get("traffic") or ()]
    draft.ensure("provider", name, now, wanted, apply, needs=[f"physical_network/{zone['name']}/{network['name']}", *traffic])
