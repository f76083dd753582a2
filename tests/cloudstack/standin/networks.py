# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical networks, what they carry, who serves on them; and the networks of guests."""

from __future__ import annotations

import ipaddress
import typing as t
import uuid

from standin.api import Call, Refused, command, internal, listed
from standin.state import Row, now, told
from standin.zones import add_range, numbering, physical

_ROUTER = ["Vpn", "Dhcp", "Dns", "Gateway"]
# Of a new physical network: name, state, services, whether they can be enabled one by one, the kind of its elements.
_PROVIDERS: t.Sequence[t.Tuple[str, str, t.List[str], bool, str]] = (
    ("ConfigDrive", "Enabled", ["Dhcp", "Dns", "UserData"], True, ""),
    ("InternalLbVm", "Disabled", ["Lb"], True, "lb_elements"),
    ("BaremetalPxeProvider", "Enabled", [], False, ""),
    ("VpcVirtualRouter", "Disabled", _ROUTER, True, "router_elements"),
    ("SecurityGroupProvider", "Disabled", ["SecurityGroup"], False, ""),
    ("VirtualRouter", "Disabled", _ROUTER, True, "router_elements"),
)
_LABELS = ("kvmnetworklabel", "xennetworklabel", "vmwarenetworklabel", "hypervnetworklabel", "ovm3networklabel")


def begin(server: t.Any) -> None:
    pass


# -- physical networks


@command("createPhysicalNetwork", "physicalnetwork", creates="PhysicalNetwork")
def create_physical_network(call: Call) -> Row:
    zone = call.row("zones", "zoneid")
    if zone["allocationstate"] == "Enabled":
        raise Refused(531, f"Cannot create PhysicalNetwork since the Zone is currently enabled, zone: {told('Zone', zone)}")
    if zone["networktype"] == "Basic" and (call.get("vlan") or call.state.rows("physical_networks", zoneid=zone["id"])):
        raise Refused(431, "Cannot add several physical networks, or a range of VLANs, to a basic zone")
    row = call.state.add(
        "physical_networks",
        name=call["name"],
        broadcastdomainrange="POD" if zone["networktype"] == "Basic" else "ZONE",
        zoneid=zone["id"],
        state="Disabled",
        vlan=_vlans(call.get("vlan")),
        isolationmethods=",".join(call.get("isolationmethods") or []) or None,
        tags=",".join(call.get("tags") or []) or None,
        _public=str(uuid.uuid4()),
    )
    for name, state, services, single, elements in _PROVIDERS:
        _provider(call, row, name, state, services, single, elements)
    return call.state.joined(row)


@command("updatePhysicalNetwork", "physicalnetwork")
def update_physical_network(call: Call) -> Row:
    row = call.row("physical_networks")
    if call.get("state") not in (None, "Enabled", "Disabled"):
        raise Refused(431, f"Unable to resolve state '{call['state']}' to a supported value {{Enabled or Disabled}}")
    row.update(call.given("state"))
    if "vlan" in call.params:
        row["vlan"] = _vlans(call["vlan"])
    if "tags" in call.params:
        row["tags"] = ",".join(call["tags"]) or None
    return call.state.joined(row)


@command("deletePhysicalNetwork")
def delete_physical_network(call: Call) -> None:
    row = call.row("physical_networks")
    if call.state.rows("networks", physicalnetworkid=row["id"]):
        raise internal("The Physical Network is not deletable because there are networks associated to this physical network")
    for table in ("traffic_types", "providers"):
        for other in call.state.rows(table, physicalnetworkid=row["id"]):
            call.state.remove(table, other["id"])
    call.state.remove("physical_networks", row["id"])


listed("listPhysicalNetworks", "physicalnetwork", "physical_networks")


def _vlans(text: t.Optional[str]) -> t.Optional[str]:
    """Ranges as the server keeps them: sorted, and one where they touch."""
    if not text:
        return None
    found: t.List[t.List[int]] = []
    try:
        for low, high in sorted((int(part.split("-")[0]), int(part.split("-")[-1])) for part in text.split(",")):
            if low > high:
                raise ValueError
            if found and low <= found[-1][1] + 1:
                found[-1][1] = max(found[-1][1], high)
            else:
                found.append([low, high])
    except ValueError:
        raise Refused(431, f"Please specify valid integers for the vlan range: {text}") from None
    if found[0][0] < 0 or found[-1][1] > 4096 * 4096:
        raise Refused(431, "Please specify a valid vlan range")
    return ",".join(f"{low}-{high}" for low, high in found)


# -- traffic


@command("addTrafficType", "traffictype", creates="TrafficType")
def add_traffic_type(call: Call) -> Row:
    network = call.row("physical_networks", "physicalnetworkid")
    kind = call["traffictype"].capitalize()
    if kind not in ("Management", "Guest", "Public", "Storage"):
        raise Refused(431, f"Invalid trafficType {call['traffictype']}")
    if call.state.rows("traffic_types", physicalnetworkid=network["id"], traffictype=kind):
        raise Refused(530, f"This physical network already supports the traffic type: {kind}")
    zone = call.state.get("zones", network["zoneid"])
    others = [
        other
        for other in call.state.rows("physical_networks", zoneid=zone["id"])
        if other["id"] != network["id"] and call.state.rows("traffic_types", physicalnetworkid=other["id"], traffictype=kind)
    ]
    if others and kind != "Guest":
        raise Refused(530, f"Zone already has a physical network with {kind} traffic type")
    if others and not all(other.get("tags") for other in [network, *others]):
        raise Refused(530, "For Guest TrafficType, there can be multiple physical networks, but at least one of them has no tags")
    if kind == "Public" and zone["networktype"] == "Basic":
        raise Refused(530, f"Cannot add the traffic type {kind} in a basic zone")
    return call.state.add("traffic_types", traffictype=kind, physicalnetworkid=network["id"], **call.given(*_LABELS))


@command("updateTrafficType", "traffictype")
def update_traffic_type(call: Call) -> Row:
    row = call.row("traffic_types")
    row.update(call.given(*_LABELS))
    return row


@command("deleteTrafficType")
def delete_traffic_type(call: Call) -> None:
    row = call.row("traffic_types")
    kind = row["traffictype"]
    if kind == "Guest" and call.state.rows("networks", physicalnetworkid=row["physicalnetworkid"]):
        raise internal(f"The Traffic Type is not deletable because there are existing networks with this traffic type: {kind}")
    call.state.remove("traffic_types", row["id"])


listed("listTrafficTypes", "traffictype", "traffic_types")


# -- providers of services


def _provider(call: Call, network: Row, name: str, state: str, services: t.List[str], single: bool, elements: str) -> Row:
    row = call.state.add(
        "providers", name=name, physicalnetworkid=network["id"], state=state, servicelist=services, canenableindividualservice=single, _elements=elements
    )
    if elements:
        call.state.add(elements, nspid=row["id"], enabled=False)
    return row


@command("addNetworkServiceProvider", "networkserviceprovider", creates="PhysicalNetworkServiceProvider")
def add_provider(call: Call) -> Row:
    network = call.row("physical_networks", "physicalnetworkid")
    known = next((entry for entry in _PROVIDERS if entry[0] == call["name"]), None)
    if known is None:
        raise Refused(431, f"Invalid Network Service Provider {call['name']}")
    if call.state.rows("providers", name=call["name"], physicalnetworkid=network["id"]):
        raise Refused(530, f"The '{call['name']}' provider already exists on physical network : {network['id']}")
    return _provider(call, network, known[0], "Disabled", *known[2:])


@command("updateNetworkServiceProvider", "networkserviceprovider")
def update_provider(call: Call) -> Row:
    row = call.row("providers")
    if call.get("state") == "Enabled" and row["_elements"] and not any(one["enabled"] for one in call.state.rows(row["_elements"], nspid=row["id"])):
        raise internal(f"Provider is not ready, cannot Enable the provider, please configure the provider first: {row['name']}")
    row.update(call.given("state"))
    return row


@command("configureVirtualRouterElement", "virtualrouterelement")
def configure_router(call: Call) -> Row:
    row = call.row("router_elements")
    row["enabled"] = call["enabled"]
    return row


@command("configureInternalLoadBalancerElement", "internalloadbalancerelement")
def configure_balancer(call: Call) -> Row:
    row = call.row("lb_elements")
    row["enabled"] = call["enabled"]
    return row


listed("listNetworkServiceProviders", "networkserviceprovider", "providers")
listed("listVirtualRouterElements", "virtualrouterelement", "router_elements")
listed("listInternalLoadBalancerElements", "internalloadbalancerelement", "lb_elements")


# -- networks of guests


@command("createNetwork", "network", locked=False)
def create_network(call: Call) -> Row:
    zone = call.row("zones", "zoneid")
    if call.get("startip"):
        with numbering(call, zone["id"]), call.state.lock:
            return _create_network(call, zone)
    with call.state.lock:
        return _create_network(call, zone)


def _create_network(call: Call, zone: Row) -> Row:
    offering = call.row("network_offerings", "networkofferingid")
    if offering["state"] != "Enabled":
        raise Refused(431, f"Can't use specified network offering id as its state is not Enabled: {offering['name']}")
    carrier = call.state.get("physical_networks", call.get("physicalnetworkid")) or physical(call, zone, "Guest")
    if carrier is None:
        raise Refused(431, "Unable to find a physical network that carries Guest traffic")
    vlan, kind = call.get("vlan"), offering["guestiptype"]
    if vlan and not offering["specifyvlan"]:
        raise Refused(431, "Can't specify vlan; corresponding offering says specifyVlan=false")
    if offering["specifyvlan"] and not vlan and zone["networktype"] == "Advanced":
        raise Refused(431, "Please specify vlan ID")
    if vlan and vlan.isdigit():
        for part in (carrier.get("vlan") or "").split(","):
            low, _dash, high = part.partition("-")
            if low and int(low) <= int(vlan) <= int(high or low):
                raise Refused(431, f"The VLAN tag to use for new guest network, {vlan} is already being used for dynamic vlan allocation for the guest network")
        if any(other.get("vlan") == vlan for other in call.state.rows("networks", physicalnetworkid=carrier["id"])):
            raise Refused(431, f"Network with vlan {vlan} already exists or overlaps with other network pvlans in zone {zone['id']}")
    if kind == "Shared" and zone["networktype"] == "Advanced" and not call.get("startip"):
        raise Refused(431, "StartIp/endIp/gateway/netmask are required when create network of type Shared and supporting SourceNat is disabled")
    shared = kind == "Shared"
    cidr = str(ipaddress.IPv4Network(f"{call['gateway']}/{call['netmask']}", strict=False)) if call.get("gateway") else None
    domain = call.state.rows("domains")[0]
    row = call.state.add(
        "networks",
        name=call["name"],
        displaytext=call.get("displaytext") or call["name"],
        broadcastdomaintype="Native" if zone["networktype"] == "Basic" else "Vlan",
        traffictype="Guest",
        gateway=call.get("gateway"),
        netmask=call.get("netmask"),
        cidr=cidr,
        zoneid=zone["id"],
        networkofferingid=offering["id"],
        networkofferingname=offering["name"],
        networkofferingdisplaytext=offering["displaytext"],
        networkofferingconservemode=offering["conservemode"],
        networkofferingavailability=offering["availability"],
        issystem=False,
        state="Setup" if vlan or shared else "Allocated",
        broadcasturi=f"vlan://{vlan}" if vlan else None,
        dns1=call.get("dns1") or zone.get("dns1"),
        dns2=call.get("dns2") or zone.get("dns2"),
        type=kind,
        vlan=vlan,
        acltype="Domain" if shared else "Account",
        subdomainaccess=True if shared else None,
        account=None if shared else call.user["account"],
        domainid=domain["id"],
        domain=domain["name"],
        domainpath=domain["path"],
        service=offering["service"],
        networkdomain=call.get("networkdomain") or (None if kind == "L2" else "cs1cloud.internal"),
        physicalnetworkid=carrier["id"],
        restartrequired=False,
        specifyvlan=offering["specifyvlan"],
        specifyipranges=offering["specifyipranges"],
        canusefordeploy=True,
        ispersistent=offering["ispersistent"],
        tags=[],
        details={},
        displaynetwork=True,
        strechedl2subnet=False,
        redundantrouter=False,
        supportsvmautoscaling=False,
        created=now(),
        receivedbytes=0,
        sentbytes=0,
        publicmtu=1500,
        privatemtu=1500,
        hasannotations=False,
    )
    row["related"] = row["id"]
    if call.get("startip"):
        try:
            add_range(call, zone, row, carrier, {}, False, vlan or "untagged")
        except Refused:
            call.state.remove("networks", row["id"])
            raise
    return call.state.joined(row)


@command("updateNetwork", "network")
def update_network(call: Call) -> Row:
    row = call.row("networks")
    row.update(call.given("name", "displaytext", "networkdomain", "dns1", "dns2"))
    return call.state.joined(row)


@command("deleteNetwork")
def delete_network(call: Call) -> None:
    row = call.row("networks")
    for other in call.state.rows("vlan_ranges", networkid=row["id"]):
        call.state.remove("vlan_ranges", other["id"])
    call.state.remove("networks", row["id"])


listed("listNetworks", "network", "networks")
