# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zones, pods, clusters and ranges of addresses."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import time
import typing as t

from standin.api import Call, Refused, command, listed
from standin.state import Row, told

# Seconds that the server numbers the addresses of a range; two at once in one zone end one of them.
_NUMBERING = 0.01


def begin(server: t.Any) -> None:
    server.numbering = set()  # ids of zones


# -- zones

_ZONE = ("dns1", "dns2", "internaldns1", "internaldns2", "guestcidraddress", "domain", "localstorageenabled")


@command("createZone", "zone")
def create_zone(call: Call) -> Row:
    if call.state.rows("zones", name=call["name"]):
        raise Refused(431, "A zone with that name already exists. Please specify a unique zone name.")
    kind = call["networktype"].capitalize()
    if kind not in ("Basic", "Advanced"):
        raise Refused(431, f"Invalid network type: {call['networktype']}")
    for name in ("dns1", "dns2", "internaldns1", "internaldns2"):
        if call.get(name):
            _address(call[name], f"Invalid {name}: {call[name]}")
    if kind == "Basic" and call.get("guestcidraddress"):
        raise Refused(431, "guestCidrAddress parameter is not supported for Basic zone")
    return call.state.add(
        "zones",
        name=call["name"],
        **{"localstorageenabled": False, **call.given(*_ZONE)},
        networktype=kind,
        securitygroupsenabled=bool(call.get("securitygroupenabled")) or kind == "Basic",
        gputotal=0,
        gpuused=0,
        allocationstate=call.get("allocationstate", "Disabled"),
        zonetoken=secrets.token_hex(16),
        dhcpprovider="VirtualRouter",
        tags=[],
        allowuserspecifyvrmtu=False,
        routerprivateinterfacemaxmtu=1500,
        routerpublicinterfacemaxmtu=1500,
        type="Core",
        isnsxenabled=False,
        ismultiarch=False,
        asnrange="",
        routedmodeenabled=True,
        hasannotations=False,
    )


@command("updateZone", "zone")
def update_zone(call: Call) -> Row:
    zone = call.row("zones")
    if call.get("allocationstate") not in (None, "Enabled", "Disabled"):
        raise Refused(431, f"Unable to resolve Allocation State '{call['allocationstate']}' to a supported state")
    if call.get("name", zone["name"]) != zone["name"] and call.state.rows("zones", name=call["name"]):
        raise Refused(431, "A zone with that name already exists. Please specify a unique zone name.")
    zone.update(call.given(*_ZONE, "allocationstate", "name"))
    return zone


@command("deleteZone")
def delete_zone(call: Call) -> None:
    zone = call.row("zones")
    for table, what in (
        ("hosts", "servers running"),
        ("pods", "pods"),
        ("storage_pools", "storage pools"),
        ("image_stores", "image stores"),
        ("physical_networks", "physical networks"),
        ("networks", "networks"),
    ):
        if call.state.rows(table, zoneid=zone["id"]):
            raise Refused(530, f"The zone is not deletable because there are {what} in this zone.")
    call.state.remove("zones", zone["id"])


listed("listZones", "zone", "zones")


# -- pods


@command("createPod", "pod", locked=False)
def create_pod(call: Call) -> Row:
    zone = call.row("zones", "zoneid")
    with numbering(call, zone["id"]), call.state.lock:
        if call.state.rows("pods", name=call["name"], zoneid=zone["id"]):
            raise Refused(431, f"A pod with name: {call['name']} already exists in zone {told('Zone', zone)}. Please specify a different pod name. ")
        subnet = _subnet(call["gateway"], call["netmask"])
        for pod in call.state.rows("pods", zoneid=zone["id"]):
            if subnet.overlaps(_subnet(pod["gateway"], pod["netmask"])):
                raise Refused(431, f"The subnet of the pod you are adding conflicts with the subnet of the pod {pod['name']} in zone {zone['name']}.")
        entry = _pod_range(call["startip"], call.get("endip") or call["startip"], subnet)
        return _ranges(
            call.state.add(
                "pods",
                name=call["name"],
                zoneid=zone["id"],
                gateway=call["gateway"],
                netmask=call["netmask"],
                ipranges=[entry],
                allocationstate=call.get("allocationstate", "Enabled"),
                hasannotations=False,
                zonename=zone["name"],
            )
        )


@command("updatePod", "pod")
def update_pod(call: Call) -> Row:
    # It takes startip and endip too, and does nothing with them.
    pod = call.row("pods")
    pod.update(call.given("name", "gateway", "netmask", "allocationstate"))
    return call.state.joined(pod)


@command("deletePod")
def delete_pod(call: Call) -> None:
    pod = call.row("pods")
    for table, what in (("hosts", "servers running"), ("clusters", "clusters"), ("vlan_ranges", "public IP addresses allocated")):
        if call.state.rows(table, podid=pod["id"]):
            raise Refused(530, f"The pod cannot be deleted because there are {what} in this pod.")
    call.state.remove("pods", pod["id"])


@command("createManagementNetworkIpRange", "pod", locked=False)
def create_management_range(call: Call) -> Row:
    pod = call.row("pods", "podid")
    with numbering(call, pod["zoneid"]), call.state.lock:
        subnet = _subnet(pod["gateway"], pod["netmask"])
        if _subnet(call["gateway"], call["netmask"]) != subnet:
            raise Refused(431, "Multiple gateways for the POD are not allowed.")
        entry = _pod_range(call["startip"], call.get("endip") or call["startip"], subnet)
        _apart(entry, pod["ipranges"])
        pod["ipranges"].append(entry)
        return call.state.joined(_ranges(pod))


@command("updatePodManagementNetworkIpRange", "pod", shape="done", locked=False)
def update_management_range(call: Call) -> None:
    pod = call.row("pods", "podid")
    with numbering(call, pod["zoneid"]), call.state.lock:
        old = next((entry for entry in pod["ipranges"] if (entry["startip"], entry["endip"]) == (call["currentstartip"], call["currentendip"])), None)
        if old is None:
            raise Refused(431, f"The given IP range: {call['currentstartip']}-{call['currentendip']} does not exist.")
        start, end = call.get("newstartip") or old["startip"], call.get("newendip") or old["endip"]
        entry = _pod_range(start, end, _subnet(pod["gateway"], pod["netmask"]))
        _apart(entry, [other for other in pod["ipranges"] if other is not old])
        old.update(entry)
        _ranges(pod)


listed("listPods", "pod", "pods")


def _pod_range(start: str, end: str, subnet: ipaddress.IPv4Network) -> Row:
    for text in (start, end):
        if _address(text, "Please specify valid start and end IP addresses.") not in subnet:
            raise Refused(431, f"The IP addresses should be in the CIDR: {subnet}")
    if ipaddress.IPv4Address(start) > ipaddress.IPv4Address(end):
        raise Refused(431, "The start IP address must have a lower value than the end IP address.")
    return {"startip": start, "endip": end, "forsystemvms": "0", "vlanid": "vlan://untagged"}


def _apart(entry: Row, others: t.Sequence[Row]) -> None:
    if any(overlap(entry, other) for other in others):
        raise Refused(431, "The new range overlaps with an existing range. Please add a mutually exclusive range.")


def _ranges(pod: Row) -> Row:
    for key in ("startip", "endip", "forsystemvms", "vlanid"):
        pod[key] = [entry[key] for entry in pod["ipranges"]]
    return pod


# -- clusters


@command("addCluster", "cluster", "rows")
def add_cluster(call: Call) -> t.List[Row]:
    zone, pod = call.row("zones", "zoneid"), call.row("pods", "podid")
    if pod["zoneid"] != zone["id"]:
        raise Refused(431, f"Can't find the pod {pod['name']} in the zone {zone['name']}")
    if call["hypervisor"] not in ("KVM", "XenServer", "Simulator", "VMware", "LXC"):
        raise Refused(431, f"Unable to resolve {call['hypervisor']} to a supported supported hypervisor type")
    if call.state.rows("clusters", name=call["clustername"], podid=pod["id"]):
        raise Refused(530, f"Unable to create cluster {call['clustername']} in pod and data center with specified ids", uuids=(pod["id"], zone["id"]))
    cluster = call.state.add(
        "clusters",
        name=call["clustername"],
        podid=pod["id"],
        zoneid=zone["id"],
        hypervisortype=call["hypervisor"],
        clustertype=call["clustertype"],
        allocationstate=call.get("allocationstate", "Enabled"),
        managedstate="Managed",
        cpuovercommitratio="1.0",
        memoryovercommitratio="1.0",
        resourcedetails={"memoryOvercommitRatio": "1.0", "cpuOvercommitRatio": "1.0"},
        arch=call.get("arch", "x86_64"),
        hasannotations=False,
    )
    return [call.state.joined(cluster)]


@command("updateCluster", "cluster")
def update_cluster(call: Call) -> Row:
    cluster = call.row("clusters")
    cluster.update(call.given("allocationstate", "managedstate"))
    if call.get("clustername"):
        cluster["name"] = call["clustername"]
    return call.state.joined(cluster)


@command("deleteCluster")
def delete_cluster(call: Call) -> None:
    cluster = call.row("clusters")
    if call.state.rows("hosts", clusterid=cluster["id"]):
        raise Refused(530, f"Cluster: {told('Cluster', cluster)} cannot be removed. Cluster still has hosts")
    if call.state.rows("storage_pools", clusterid=cluster["id"]):
        raise Refused(530, f"Cluster: {told('Cluster', cluster)} cannot be removed. Cluster still has storage pools")
    call.state.remove("clusters", cluster["id"])


listed("listClusters", "cluster", "clusters", like=("name",))


# -- ranges of addresses for the public and for guests


@command("createVlanIpRange", "vlan", locked=False)
def create_vlan_range(call: Call) -> Row:
    network = call.state.get("networks", call.get("networkid"))
    zone = call.row("zones", "zoneid") if call.get("zoneid") else call.state.get("zones", network.get("zoneid"))
    if not zone:
        raise Refused(431, "Please specify a valid zone.")
    with numbering(call, zone["id"]), call.state.lock:
        public = bool(call.get("forvirtualnetwork", True))
        if public and zone["networktype"] == "Basic":
            raise Refused(431, "Can't add virtual ip range into a basic zone")
        carrier = physical(call, zone, "Public" if public else "Guest")
        if carrier is None:
            raise Refused(431, f"Unable to find a physical network of the zone {zone['name']} that carries {'Public' if public else 'Guest'} traffic")
        pod = call.state.get("pods", call.get("podid"))
        return add_range(call, zone, network, carrier, pod, public, call.get("vlan") or "untagged")


def add_range(call: Call, zone: Row, network: Row, carrier: Row, pod: Row, public: bool, vlan: str) -> Row:
    """Add the range of a call to a zone. Raises Refused."""
    subnet = _subnet(call.get("gateway"), call.get("netmask"))
    row = {"startip": call["startip"], "endip": call.get("endip") or call["startip"]}
    for text in row.values():
        if _address(text, "Please specify a valid IP range.") not in subnet:
            raise Refused(431, "Please ensure that your start IP and end IP are in the same subnet, as per the IP range's netmask.")
    uri = vlan if vlan.startswith("vlan://") else f"vlan://{vlan}"
    for other in call.state.rows("vlan_ranges", zoneid=zone["id"]):
        if overlap(row, other) and (other["vlan"] == uri or subnet.overlaps(_subnet(other["gateway"], other["netmask"]))):
            raise Refused(431, "The IP range already has IPs that overlap with the new range. Please specify a different start IP/end IP.")
    for other in call.state.rows("pods", zoneid=zone["id"]):
        if any(overlap(row, entry) for entry in other["ipranges"]):
            raise Refused(431, f"The specified IP range overlaps with that of the pod {other['name']}")
    made = call.state.add(
        "vlan_ranges",
        forvirtualnetwork=public,
        zoneid=zone["id"],
        vlan=uri,
        gateway=call["gateway"],
        netmask=call["netmask"],
        cidr=str(subnet),
        **row,
        podid=pod.get("id"),
        networkid=network.get("id") or carrier["_public"],
        physicalnetworkid=carrier["id"],
        forsystemvms=False,
    )
    return call.state.joined(made)


@command("updateVlanIpRange", "vlan", locked=False)
def update_vlan_range(call: Call) -> Row:
    row = call.row("vlan_ranges")
    with numbering(call, row["zoneid"]), call.state.lock:
        new = {**row, **call.given("startip", "endip", "gateway", "netmask")}
        subnet = _subnet(new["gateway"], new["netmask"])
        for text in (new["startip"], new["endip"]):
            if _address(text, "Please specify a valid IP range.") not in subnet:
                raise Refused(431, "Please ensure that your start IP and end IP are in the same subnet, as per the IP range's netmask.")
        if any(overlap(new, other) for other in call.state.rows("vlan_ranges", zoneid=row["zoneid"]) if other["id"] != row["id"]):
            raise Refused(431, "The IP range already has IPs that overlap with the new range. Please specify a different start IP/end IP.")
        row.update({key: new[key] for key in ("startip", "endip", "gateway", "netmask")}, cidr=str(subnet))
        return call.state.joined(row)


@command("deleteVlanIpRange")
def delete_vlan_range(call: Call) -> None:
    call.state.remove("vlan_ranges", call.row("vlan_ranges")["id"])


listed("listVlanIpRanges", "vlaniprange", "vlan_ranges")
listed("listStorageNetworkIpRange", "storagenetworkiprange", "storage_ranges")


# -- what they share


@contextlib.contextmanager
def numbering(call: Call, zone: str) -> t.Iterator[None]:
    """Addresses are numbered out of one row of the zone: of two who do so at once the database ends one."""
    with call.state.lock:
        if zone in call.server.numbering:
            raise Refused(530, "Unable to persist ip address range ", 9999)
        call.server.numbering.add(zone)
    try:
        time.sleep(_NUMBERING)
        yield
    finally:
        with call.state.lock:
            call.server.numbering.discard(zone)


def physical(call: Call, zone: Row, traffic: str) -> t.Optional[Row]:
    """The first physical network of a zone that carries some traffic."""
    for row in call.state.rows("physical_networks", zoneid=zone["id"]):
        if call.state.rows("traffic_types", physicalnetworkid=row["id"], traffictype=traffic):
            return row
    return None


def overlap(left: t.Mapping[str, str], right: t.Mapping[str, str]) -> bool:
    begin, end = (ipaddress.IPv4Address(left[key]) for key in ("startip", "endip"))
    first, last = (ipaddress.IPv4Address(right[key]) for key in ("startip", "endip"))
    return begin <= last and first <= end


def _address(text: str, said: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise Refused(431, said) from None


def _subnet(gateway: t.Optional[str], netmask: t.Optional[str]) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(f"{gateway}/{netmask}", strict=False)
    except ValueError:
        raise Refused(431, "Please specify a valid gateway and netmask") from None
