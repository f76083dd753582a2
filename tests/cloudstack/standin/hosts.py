# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts, which are always there and always well: simulated ones, and those of KVM of which only the address is looked at."""

from __future__ import annotations

import hashlib
import ipaddress
import time
import typing as t
import uuid
from urllib.parse import urlsplit

from standin import guests
from standin.api import Call, Refused, command, internal, listed
from standin.state import Row, now, told

# Seconds that a host takes to be added.
_ADDING = 0.01
# So many hosts at a time leave the server no connection to its database.
_TOO_MANY = 32
_VERSION = "4.22.0.0-SNAPSHOT"
_EVENTS = "PingTimeout; ShutdownRequested; AgentConnected; AgentDisconnected; StartAgentRebalance; Ping; Remove; HostDown; ManagementServerDown"
# What a list of hosts shows only with these details.
_NAMES = ("zonename", "podname", "clustername", "clustertype")
_ALLOCATED = {
    "cpuallocated": "0.00%",
    "cpuallocatedvalue": 0,
    "cpuallocatedpercentage": "0.00%",
    "cpuallocatedwithoverprovisioning": "0.00%",
    "memoryallocated": 0,
    "memoryallocatedbytes": 0,
    "memoryallocatedpercentage": "0.00%",
}
_CAPACITY = ("hosttags", "explicithosttags", "cpunumber", "cpuspeed", "cpuwithoverprovisioning", "memorytotal", "memorywithoverprovisioning", *_ALLOCATED)


def begin(server: t.Any) -> None:
    server.adding = 0


@command("addHost", "host", "rows", locked=False)
def add_host(call: Call) -> t.List[Row]:
    with call.state.lock:
        call.server.adding += 1
        crowd = call.server.adding
    try:
        time.sleep(_ADDING)
        if crowd >= _TOO_MANY:
            raise internal("Unable to get a connection to the database within the time that it may take")
        with call.state.lock:
            return [_shown(call.state.joined(_add(call)), ("all",))]
    finally:
        with call.state.lock:
            call.server.adding -= 1


def _add(call: Call) -> Row:
    zone, pod = call.row("zones", "zoneid"), call.row("pods", "podid")
    cluster = call.row("clusters", "clusterid") if call.get("clusterid") else None
    if cluster is None:
        raise Refused(431, "Please specify cluster id")
    if cluster["podid"] != pod["id"] or pod["zoneid"] != zone["id"]:
        raise Refused(431, f"Can't find the cluster {cluster['name']} in the pod {pod['name']} of the zone {zone['name']}")
    kind = call["hypervisor"]
    if cluster["hypervisortype"] != kind:
        raise Refused(431, f"Trying to add a {kind} host into a cluster of {cluster['hypervisortype']}")
    if "password" not in call.params or (kind == "Simulator" and not call["password"]):
        raise Refused(431, "Password is required to add a host")
    if call.get("allocationstate") not in (None, "Enabled", "Disabled"):
        raise Refused(431, f"Unable to resolve Allocation State '{call['allocationstate']}' to a supported state")
    parts = urlsplit(call["url"])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(431, f"{call['url']} is not a valid uri")
    row = _simulated(call, pod) if kind == "Simulator" else _hypervisor(call, zone, pod, cluster, parts.hostname)
    tags = ",".join(call.get("hosttags") or []) or None
    return call.state.add(
        "hosts",
        state="Up",
        type="Routing",
        zoneid=zone["id"],
        podid=pod["id"],
        version=_VERSION,
        hypervisor=kind,
        **_ALLOCATED,
        cpuwithoverprovisioning=str(row["cpunumber"] * row["cpuspeed"]),
        memorywithoverprovisioning=str(row["memorytotal"]),
        managementserverid=call.state.rows("management_servers")[0]["id"],
        managementservername="stand-in",
        clusterid=cluster["id"],
        clustertype=cluster["clustertype"],
        islocalstorageactive=False,
        created=now(),
        events=_EVENTS,
        hostha={"haenable": False, "hastate": "Disabled"},
        outofbandmanagement={"powerstate": "Disabled", "enabled": False},
        resourcestate=call.get("allocationstate", "Enabled"),
        hahost=False,
        ueficapability=False,
        arch="x86_64",
        hasannotations=False,
        lastpinged=now(),
        hosttags=tags,
        explicithosttags=tags,
        storageaccessgroups=",".join(call.get("storageaccessgroups") or []) or None,
        **row,
    )


def _simulated(call: Call, pod: Row) -> Row:
    """The url says nothing: each call makes another host, which the server names."""
    subnet = ipaddress.IPv4Network(f"{pod['gateway']}/{pod['netmask']}", strict=False)
    number = len(call.state.rows("hosts")) % (subnet.num_addresses - 3)
    return {
        "name": f"SimulatedAgent.{uuid.uuid4()}",
        "ipaddress": str(subnet.network_address + 2 + number),
        "hypervisorversion": _VERSION,
        "cpunumber": 4,
        "cpuspeed": 8000,
        "memorytotal": 8 << 30,
        "capabilities": "hvm",
    }


def _hypervisor(call: Call, zone: Row, pod: Row, cluster: Row, address: str) -> Row:
    guid = _guid(address)
    known = next((row for row in call.state.rows("hosts") if row["ipaddress"] == address), None)
    if known is not None:
        said = f"Skipping host {address} because {guid} is already in the database for resource {guid}-LibvirtComputingResource with ID {known['id']}"
        raise internal(
            f"Could not add host at [{call['url']}] with zone [{told('Zone', zone)}], pod [{told('HostPod', pod)}] and cluster [{told('Cluster', cluster)}] "
            f"due to: [ can't setup agent, due to com.cloud.utils.exception.CloudRuntimeException: {said} - {said}]."
        )
    return {
        "name": f"host-{address.replace('.', '-')}",
        "ipaddress": address,
        "cpusockets": 1,
        "cpunumber": 2,
        "cpuspeed": 2596,
        "memorytotal": 24202768384,
        "capabilities": "hvm,snapshot",
        "encryptionsupported": False,
        "instanceconversionsupported": False,
        "details": {
            "Host.OS.Kernel.Version": "6.12.0",
            "com.cloud.network.Networks.RouterPrivateIpStrategy": "HostLocal",
            "Host.OS.Version": "13",
            "secured": "false",
            "Host.OS": "Debian GNU/Linux",
        },
    }


def _guid(text: str) -> str:
    """The UUID that the server makes of a host's address."""
    digest = bytearray(hashlib.md5(text.encode(), usedforsecurity=False).digest())
    digest[6], digest[8] = digest[6] & 0x0F | 0x30, digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


@command("updateHost", "host")
def update_host(call: Call) -> Row:
    host = call.row("hosts")
    wanted = call.get("allocationstate")
    if wanted not in (None, "Enable", "Disable"):
        raise Refused(431, f"The state {wanted} is none of Enable and Disable")
    if wanted:
        if host["resourcestate"] not in ("Enabled", "Disabled"):
            raise internal(f"Host {host['id']} is in {host['resourcestate']} and cannot be {wanted.lower()}d")
        host["resourcestate"] = wanted + "d"
    if "hosttags" in call.params:
        host["hosttags"] = host["explicithosttags"] = ",".join(call["hosttags"]) or None
    return _shown(call.state.joined(host), ("all",))


@command("prepareHostForMaintenance", "host")
def prepare_for_maintenance(call: Call) -> Row:
    """It is emptied at once, but for guests that no other host takes."""
    host = call.row("hosts")
    if host["resourcestate"] not in ("Enabled", "ErrorInMaintenance"):
        raise internal(f"Unable to prepare for maintenance host {host['id']}: it is {host['resourcestate']}")
    host["resourcestate"] = "PrepareForMaintenance"
    host["resourcestate"] = "Maintenance" if guests.leave(call.state, host) else "ErrorInMaintenance"
    return _shown(call.state.joined(host), ("all",))


@command("cancelHostMaintenance", "host")
def cancel_maintenance(call: Call) -> Row:
    host = call.row("hosts")
    if host["resourcestate"] not in ("Maintenance", "PrepareForMaintenance", "ErrorInMaintenance"):
        raise Refused(431, f"Cannot perform cancelMaintenance when resource state is {host['resourcestate']}, hostId = {host['id']}")
    host["resourcestate"] = "Enabled"
    return _shown(call.state.joined(host), ("all",))


@command("deleteHost")
def delete_host(call: Call) -> None:
    host = call.row("hosts")
    if not call.get("forced") and host["resourcestate"] != "Maintenance":
        said = f"Host {host['id']} cannot be deleted as it is not in maintenance mode. Either put the host into maintenance or perform a forced deletion."
        raise Refused(431, said)
    call.state.remove("hosts", host["id"])


def _shown(row: Row, details: t.Sequence[str]) -> Row:
    """A host with the details that were asked for."""
    hidden: t.Tuple[str, ...] = ()
    if "all" not in details:
        hidden += ("details",)
        if not {"capacity", "stats", "events"} & set(details):
            hidden += _NAMES
        if "capacity" not in details:
            hidden += _CAPACITY
    return {key: value for key, value in row.items() if key not in hidden}


listed("listHosts", "host", "hosts", show=lambda call, row: _shown(row, call.get("details") or ("all",)))
