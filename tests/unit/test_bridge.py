# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge takes over an interface: what is written, what is refused, what is left alone."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.bridge import Bridge, Link, Observed, Provider, bridged, parse, stanzas
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

INTERFACES = """# This file describes the network
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

# the uplink
allow-hotplug eth0
iface eth0 inet static
    address 192.0.2.21/24
    # out
    gateway 192.0.2.1
iface eth0 inet6 auto

auto eth0.7
iface eth0.7 inet manual
"""
BRIDGED = """# This file describes the network
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

# the uplink
allow-hotplug eth0
iface eth0 inet manual

auto cloudbr0
iface cloudbr0 inet static
    address 192.0.2.21/24
    # out
    gateway 192.0.2.1
    bridge_ports eth0
    bridge_hw eth0
    bridge_stp off
    bridge_fd 0
    bridge_maxwait 0

iface cloudbr0 inet6 auto


auto eth0.7
iface eth0.7 inet manual
"""
ETH0 = Link(addresses=("192.0.2.21/24",))
LO = Link()


def observed(links: dict[str, Link], files: dict[str, str] | None = None, manager: str = "", pending: tuple[str, ...] = ()) -> Observed:
    return Observed(links, "eth0", {"/etc/network/interfaces": INTERFACES} if files is None else files, manager, frozenset(pending))


def test_stanzas_lose_nothing() -> None:
    assert "".join(stanzas(INTERFACES)) == INTERFACES
    assert len(stanzas(INTERFACES)) == 8


def test_the_bridge_has_the_addresses_and_holds_the_interface() -> None:
    assert bridged(INTERFACES, "eth0", "cloudbr0") == BRIDGED


def test_a_file_that_does_not_describe_it() -> None:
    assert bridged(INTERFACES, "eth1", "cloudbr0") is None


def test_a_bridge_that_is_not_there_is_planned() -> None:
    plan = Provider([Bridge("cloudbr0")], 90).plan(observed({"lo": LO, "eth0": ETH0}))
    assert [(change.id, change.action, change.after["addresses"]) for change in plan.changes] == [("bridge/cloudbr0", "create", ["192.0.2.21/24"])]


@pytest.mark.parametrize("ports", [(), ("eth0",)])
def test_a_bridge_that_is_there_is_left_alone(ports: tuple[str, ...]) -> None:
    assert not Provider([Bridge("cloudbr0", "eth0")], 90).plan(observed({"eth0": ETH0, "cloudbr0": Link(ports)}, files={}))


def test_the_second_call_keeps_it() -> None:
    provider = Provider([Bridge("cloudbr0")], 90)
    plan = provider.plan(observed({"eth0": ETH0, "cloudbr0": Link(("eth0",))}, pending=("cloudbr0",)))
    assert [change.after for change in plan.changes] == [{"kept": True}]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (observed({"eth0": ETH0, "cloudbr0": Link()}), "no bridge"),
        (observed({"ens3": ETH0}), "there is no interface eth0"),
        (observed({"eth0": Link(master="br0"), "br0": Link(("eth0",))}), "held by br0"),
        (observed({"eth0": Link(ports=())}), "a bridge itself"),
        (observed({"eth0": ETH0}, files={}, manager="netplan"), "netplan"),
        (observed({"eth0": ETH0}, files={"a": INTERFACES, "b": INTERFACES}), "2 files"),
    ],
)
def test_what_stands_in_the_way_is_said(seen: Observed, said: str) -> None:
    with pytest.raises(Invalid) as error:
        Provider([Bridge("cloudbr0")], 90).plan(seen)
    assert said in str(error.value)


def test_a_declaration_is_read_as_a_whole() -> None:
    with pytest.raises(Invalid) as error:
        parse([{"name": "cloudbr0"}, {"name": "cloudbr0", "interface": "x" * 16}, {"name": "b", "interface": None}])
    assert len(error.value.problems) == 3
