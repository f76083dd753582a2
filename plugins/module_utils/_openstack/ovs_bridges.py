# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges of Open vSwitch for the physical networks of a compute host. What others have put into them stays.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Unreachable

_LIST = ["ovs-vsctl", "--timeout=30", "--format=json", "--columns=name,datapath_type,ports", "list", "Bridge", "--", "--columns=_uuid,name", "list", "Port"]
# How packets are switched: by the kernel, or by the daemon itself, where the kernel has no module openvswitch.
KERNEL, USER_SPACE = "system", "netdev"


class Bridge(t.NamedTuple):
    """One that is there. datapath: KERNEL or USER_SPACE. ports: the names of what is in it."""

    datapath: str
    ports: t.Collection[str]


class Interface(t.NamedTuple):
    """One of the host. up: as set, with or without a link. addresses: but those of the link alone. master: what it belongs to, "" for nothing."""

    up: bool
    addresses: t.Sequence[str] = ()
    master: str = ""


class Observed(t.NamedTuple):
    bridges: t.Mapping[str, Bridge]
    interfaces: t.Mapping[str, Interface]


def has_kernel() -> bool:
    """Whether the kernel can switch for Open vSwitch, which has loaded the module by now if there is one. Where it isn't installed yet, it is taken to."""
    try:
        return process.complete(["ovs-dpctl", "show"], timeout=60).code == 0
    except process.CommandError as error:
        if error.code == process.MISSING:
            return True
        raise Unreachable(f"whether the kernel can switch for Open vSwitch: {error}") from error


def parse_bridges(text: str) -> dict[str, Bridge]:
    """Return the bridges by name, from what _LIST prints: a table of bridges and one of ports. Pure."""

    def members(value: t.Any) -> list[str]:
        kind, given = value  # ["uuid", ID], or ["set", [["uuid", ID], ...]]
        return [given] if kind == "uuid" else [one for _kind, one in given]

    bridges, ports = (json.loads(line)["data"] for line in text.splitlines() if line.strip())
    name_of = {members(uuid)[0]: name for uuid, name in ports}
    return {name: Bridge(datapath or KERNEL, frozenset(name_of.get(one, one) for one in members(those))) for name, datapath, those in bridges}


def parse_interfaces(text: str) -> dict[str, Interface]:
    """Return the host's interfaces by name, from ip -json address. Pure."""
    return {
        one["ifname"]: Interface(
            "UP" in one.get("flags", ()), [info["local"] for info in one.get("addr_info", ()) if info.get("scope") != "link"], one.get("master", "")
        )
        for one in json.loads(text)
        if one.get("ifname")
    }


@dataclasses.dataclass
class Provider:
    """wanted: the interface of each bridge by its name, "" for none. bare: Open vSwitch is not here yet, in check mode."""

    wanted: t.Mapping[str, str]
    datapath: str
    bare: bool = False

    def observe(self) -> Observed:
        try:
            interfaces = parse_interfaces(process.run(["ip", "-json", "address"], timeout=60)) if any(self.wanted.values()) else {}
            return Observed({} if self.bare else parse_bridges(process.run(_LIST, timeout=60)), interfaces)
        except (process.CommandError, ValueError, KeyError) as error:
            raise Unreachable(f"the bridges of Open vSwitch, and the host's interfaces: {error}") from error

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid for interfaces that cannot be taken: with addresses, over which the host may be reached, or of others."""
        draft = Draft()
        for name, interface in self.wanted.items():
            there = observed.bridges.get(name)
            desired: dict[str, t.Any] = {"datapath": self.datapath}
            current: dict[str, t.Any] = {"datapath": there.datapath} if there else {}
            if interface:
                inside, seen = there is not None and interface in there.ports, observed.interfaces.get(interface)
                where = f"openstack.networks: the interface {interface} of {name}"
                holder = next((other for other, bridge in observed.bridges.items() if interface in bridge.ports and other != name), "")
                if seen is None:
                    draft.problem(f"{where} is not on this host: declare one that is, or none")
                elif holder or (seen.master and not inside):
                    draft.problem(f"{where} belongs to {holder or seen.master}: take it out there, or declare another")
                elif seen.addresses and not inside:
                    draft.problem(f"{where} has the address {seen.addresses[0]}, which would be lost: give the network an interface of its own")
                else:
                    desired.update(interface=interface, up=True)
                    current.update(interface=interface if inside else None, up=seen.up)
            apply = functools.partial(self._bring, name, interface)
            draft.ensure("bridge", name, current if there else None, desired, apply)
        return draft.plan()

    def _bring(self, name: str, interface: str) -> None:
        port = ["--", "--may-exist", "add-port", name, interface] if interface else []
        process.run(
            ["ovs-vsctl", "--timeout=60", "--may-exist", "add-br", name, "--", "set", "Bridge", name, f"datapath_type={self.datapath}", *port], timeout=120
        )
        if interface:
            process.run(["ip", "link", "set", "dev", interface, "up"], timeout=60)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"datapath": self.datapath}
