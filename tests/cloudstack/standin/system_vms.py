# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The template of the system virtual machines, and these themselves.

The template is put into a zone's first NFS store when that is added, for the clusters that the zone has at that moment. Where there are none
nothing is, and nothing is said: the template is ready to the database all the same.
"""

from __future__ import annotations

import ipaddress
import typing as t

from standin.api import Call, command
from standin.state import Row, now

# Hypervisors of which the packages have a template. The simulator is none.
_TEMPLATES = {"KVM": "systemvm-kvm-4.22.0-x86_64"}
_TYPES = (("secondarystoragevm", "s", "System Offering For Secondary Storage VM"), ("consoleproxy", "v", "System Offering For Console Proxy"))


def begin(server: t.Any) -> None:
    domain = server.state.rows("domains")[0]
    for kind, name in _TEMPLATES.items():
        system = server.state.rows("os_types", name="Debian GNU/Linux 12 (64-bit)")[0]
        server.state.add(
            "system_templates",
            name=name,
            displaytext=name,
            ispublic=False,
            created=now(),
            passwordenabled=False,
            format="QCOW2",
            isfeatured=False,
            crossZones=True,
            ostypeid=system["id"],
            ostypename=system["name"],
            account="system",
            templatetype="SYSTEM",
            hypervisor=kind,
            domain=domain["name"],
            domainpath=domain["path"],
            domainid=domain["id"],
            isextractable=False,
            checksum="",
            details={},
            arch="x86_64",
            bits=0,
            sshkeyenabled=False,
            isdynamicallyscalable=False,
            directdownload=False,
            deployasis=False,
            forcks=False,
            requireshvm=True,
            url=f"https://download.cloudstack.org/systemvm/4.22/{name}.qcow2.bz2",
            tags=[],
            hasannotations=False,
        )


def store_added(call: Call, store: Row) -> None:
    """Put the template into a zone's first NFS store: only now, and only for these clusters."""
    first = len(call.state.rows("image_stores", zoneid=store["zoneid"])) == 1
    kinds = {row["hypervisortype"] for row in call.state.rows("clusters", zoneid=store["zoneid"])}
    store["_templates"] = sorted(kinds & set(_TEMPLATES)) if first else []


def templates(call: Call) -> t.List[Row]:
    """A row for each zone that has an NFS store, in which it is ready, whatever the store has. Of a hypervisor without a host there is none."""
    found = []
    for template in call.state.rows("system_templates"):
        for zone in call.state.rows("zones"):
            stores = call.state.rows("image_stores", zoneid=zone["id"])
            if not call.state.rows("hosts", zoneid=zone["id"], hypervisor=template["hypervisor"]):
                continue
            downloads = [
                {"datastore": store["name"], "datastoreId": store["id"], "datastoreRole": "Image", "downloadPercent": "100", "downloadState": "DOWNLOADED"}
                for store in stores
            ]
            status = "Download Complete" if stores else ""
            found.append({**template, "zoneid": zone["id"], "zonename": zone["name"], "isready": bool(stores), "status": status, "downloaddetails": downloads})
    return found


def _addresses(first: str, last: str) -> int:
    return int(ipaddress.IPv4Address(last)) - int(ipaddress.IPv4Address(first)) + 1


def _can(call: Call, zone: Row) -> t.Optional[Row]:
    """A host on which the zone's system virtual machines come up; None where they don't."""
    state = call.state
    if zone["allocationstate"] != "Enabled":
        return None
    kinds = {kind for store in state.rows("image_stores", zoneid=zone["id"]) for kind in store["_templates"]}
    public = sum(_addresses(row["startip"], row["endip"]) for row in state.rows("vlan_ranges", zoneid=zone["id"]) if row["forvirtualnetwork"])
    if zone["networktype"] == "Advanced" and not zone["securitygroupsenabled"] and public < 2:
        return None
    for host in state.rows("hosts", zoneid=zone["id"]):
        pools = [row for row in state.rows("storage_pools", zoneid=zone["id"]) if row.get("clusterid") in (None, host["clusterid"]) and row["state"] == "Up"]
        if host["hypervisor"] in kinds and host["state"] == "Up" and host["resourcestate"] == "Enabled" and pools:
            return host
    return None


@command("listSystemVms", "systemvm", "list")
def list_system_vms(call: Call) -> t.List[Row]:
    found = []
    for zone in call.state.rows("zones"):
        host = _can(call, zone)
        for kind, letter, offering in _TYPES if host else ():
            known = call.state.rows("system_vms", zoneid=zone["id"], systemvmtype=kind)
            row = known[0] if known else call.state.add("system_vms", zoneid=zone["id"], systemvmtype=kind, created=now(), arch="x86_64", hasannotations=False)
            row.update(name=f"{letter}-{row['_number']}-VM", state="Running", agentstate="Up", hostid=host["id"], hostname=host["name"], podid=host["podid"])
            row.update(hypervisor=host["hypervisor"], serviceofferingname=offering, templatename=_TEMPLATES[host["hypervisor"]], hostcontrolstate="Enabled")
            found.append(call.state.joined(row))
    keys = ("id", "zoneid", "podid", "hostid", "state", "systemvmtype", "name")
    return [row for row in found if all(row.get(key) == call[key] for key in keys if key in call.params)]
