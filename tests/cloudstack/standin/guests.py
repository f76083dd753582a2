# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests, as far as hosts have to be emptied of them: they run at once, and move to hosts of their cluster that have the tags of their offering."""

from __future__ import annotations

from standin.api import Call, Refused, command, internal, listed
from standin.state import Row, State, now


@command("deployVirtualMachine", "virtualmachine")
def deploy(call: Call) -> Row:
    zone, offering = call.row("zones", "zoneid"), call.row("service_offerings", "serviceofferingid")
    wanted = [call.row("hosts", "hostid")] if call.get("hostid") else call.state.rows("hosts", zoneid=zone["id"])
    host = next((host for host in wanted if takes(host, offering)), None)
    if host is None:
        raise Refused(533, "Unable to create a deployment for VM instance")
    name = call.get("name", "guest")
    row = call.state.add(
        "virtual_machines", name=name, displayname=name, zoneid=zone["id"], created=now(), state="Running", serviceofferingid=offering["id"], _of=offering["id"]
    )
    _put(row, host)
    return call.state.joined(row)


def takes(host: Row, offering: Row) -> bool:
    """Whether a guest of an offering may run on a host."""
    tags = set((offering.get("hosttags") or "").split(",")) - {""}
    return (host["state"], host["resourcestate"]) == ("Up", "Enabled") and tags <= set((host.get("hosttags") or "").split(","))


def _put(row: Row, host: Row) -> None:
    row.update(hostid=host["id"], hostname=host["name"], clusterid=host["clusterid"])


def leave(state: State, host: Row) -> bool:
    """Move a host's guests to others of its cluster; return whether all have left it. Raises Refused where there is none that could take any."""
    others = [other for other in state.rows("hosts", clusterid=host["clusterid"]) if other is not host]
    staying = state.rows("virtual_machines", hostid=host["id"], state="Running")
    if staying and not any((other["state"], other["resourcestate"]) == ("Up", "Enabled") for other in others):
        raise internal(f"Unable to prepare for maintenance host {host['id']}")
    for row in staying:
        to = next((other for other in others if takes(other, state.get("service_offerings", row["_of"]))), None)
        if to is not None:
            _put(row, to)
    return not state.rows("virtual_machines", hostid=host["id"], state="Running")


@command("stopVirtualMachine", "virtualmachine")
def stop(call: Call) -> Row:
    row = call.row("virtual_machines")
    row.update(state="Stopped", hostid=None)
    return call.state.joined(row)


@command("destroyVirtualMachine", "virtualmachine")
def destroy(call: Call) -> Row:
    row = call.row("virtual_machines")
    if not call.get("expunge"):
        raise internal("the stand-in keeps no destroyed guests: expunge it")
    call.state.remove("virtual_machines", row["id"])
    return row


listed("listVirtualMachines", "virtualmachine", "virtual_machines")
listed("listRouters", "router", "routers")
