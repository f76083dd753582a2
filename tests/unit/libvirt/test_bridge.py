# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge takes over an interface: what is written, what is refused, what is left alone."""

from __future__ import annotations

import os
import subprocess
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import CommandError
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import bridge
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.bridge import Bridge, BridgeError, Link, Observed, Provider, bridged, parse, stanzas
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable

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


def below(text: str, head: str) -> list[str]:
    """The lines of the one stanza that begins with a head."""
    (found,) = [lines for lines in ([line.strip() for line in stanza.splitlines() if line.strip()] for stanza in stanzas(text)) if lines[:1] == [head]]
    return found[1:]


PORT = {"bridge_ports", "bridge_hw", "bridge_stp", "bridge_fd", "bridge_maxwait"}


def split(lines: str, interface: str = "bond0") -> tuple[list[str], list[str]]:
    """What of the lines of a stanza stays with the interface, and what moves to the bridge."""
    text = bridged(f"iface {interface} inet static\n{lines}\n", interface, "cloudbr0")
    assert text is not None
    return below(text, f"iface {interface} inet manual"), [line for line in below(text, "iface cloudbr0 inet static") if line.split()[0] not in PORT]


BOND = """auto bond0
iface bond0 inet static
    address 192.0.2.21/24
    gateway 192.0.2.1
    # both ports of the switch
    bond-slaves eno1 eno2
    bond-mode 802.3ad
    bond_miimon 100
    dns-nameservers 192.0.2.53 192.0.2.54
    mtu 9000
    hwaddress ether 02:00:00:00:00:01
    up ip route add 198.51.100.0/24 via 192.0.2.2 dev bond0 \\
        metric 10
    down ip route del 198.51.100.0/24 dev bond0
    up ethtool -K $IFACE gro off
iface bond0 inet6 static
    address 2001:db8::21/64
    gateway 2001:db8::1
    accept_ra 0
    bond-lacp-rate fast
"""


def test_a_bond_stays_a_bond_and_only_its_addresses_move() -> None:
    text = bridged(BOND, "bond0", "cloudbr0")
    assert text is not None
    link = ["# both ports of the switch", "bond-slaves eno1 eno2", "bond-mode 802.3ad", "bond_miimon 100", "mtu 9000", "hwaddress ether 02:00:00:00:00:01"]
    assert below(text, "iface bond0 inet manual") == [*link, "up ethtool -K $IFACE gro off"]
    assert below(text, "iface cloudbr0 inet static") == [
        "address 192.0.2.21/24",
        "gateway 192.0.2.1",
        "dns-nameservers 192.0.2.53 192.0.2.54",
        "mtu 9000",
        "up ip route add 198.51.100.0/24 via 192.0.2.2 dev cloudbr0 \\",
        "metric 10",
        "down ip route del 198.51.100.0/24 dev cloudbr0",
        "bridge_ports bond0",
        "bridge_hw bond0",
        "bridge_stp off",
        "bridge_fd 0",
        "bridge_maxwait 0",
    ]
    assert below(text, "iface bond0 inet6 manual") == ["bond-lacp-rate fast"]
    assert below(text, "iface cloudbr0 inet6 static") == ["address 2001:db8::21/64", "gateway 2001:db8::1", "accept_ra 0"]


def test_a_vlan_keeps_its_device() -> None:
    text = bridged("auto vlan100\niface vlan100 inet dhcp\n  vlan-raw-device eno1\n  vlan_id 100\n  metric 5\n  ip-rp-filter 2\n", "vlan100", "cloudbr0")
    assert text is not None
    assert below(text, "iface vlan100 inet manual") == ["vlan-raw-device eno1", "vlan_id 100"]
    assert below(text, "iface cloudbr0 inet dhcp")[:2] == ["metric 5", "ip-rp-filter 2"]


@pytest.mark.parametrize(
    "line",
    [
        "bond-slaves none",
        "slaves eno1 eno2",
        "bond_xmit_hash_policy layer3+4",
        "vlan_raw_device eno1",
        "hwaddress random",
        "ethernet-wol g",
        "offload-tso off",
        "wpa-ssid home",
        "link-type dummy",
        "description uplink",
        "pre-up modprobe bonding",
        "pre-up /usr/local/sbin/make-link",
        "post-down /usr/local/sbin/unmake-link",
        "up ip link set $IFACE txqueuelen 10000",
        "post-up /sbin/ethtool -G bond0 rx 4096",
        "up ifconfig bond0 mtu 9000",
        "up echo 1 > /sys/class/net/bond0/bonding/miimon",
        "up tc qdisc add dev bond0 root fq",
    ],
)
def test_what_belongs_to_the_link_stays_with_it(line: str) -> None:
    assert split(f"  address 192.0.2.21/24\n  {line}") == ([line], ["address 192.0.2.21/24"])


@pytest.mark.parametrize(
    ("line", "moved"),
    [
        ("netmask 255.255.255.0", ""),
        ("broadcast 192.0.2.255", ""),
        ("metric 100", ""),
        ("dns-search example.org", ""),
        ("dns_nameserver 192.0.2.53", ""),
        ("up ip -6 route add default via fe80::1 dev bond0", "up ip -6 route add default via fe80::1 dev cloudbr0"),
        ("post-up ip a add 192.0.2.22/24 dev $IFACE", ""),
        ("up route add -net 198.51.100.0/24 gw 192.0.2.2", ""),
        ("up ip rule add from 192.0.2.21 table 10; ip r add default via 192.0.2.1 table 10", ""),
        ("pre-up iptables-restore < /etc/iptables.rules", ""),
        ("up iptables -t nat -A POSTROUTING -o bond0 -j MASQUERADE", "up iptables -t nat -A POSTROUTING -o cloudbr0 -j MASQUERADE"),
        ("up echo 1 > /proc/sys/net/ipv4/conf/bond0/proxy_arp", "up echo 1 > /proc/sys/net/ipv4/conf/cloudbr0/proxy_arp"),
        ("up sysctl -w net.ipv4.conf.bond0.rp_filter=2", "up sysctl -w net.ipv4.conf.cloudbr0.rp_filter=2"),
        ("up /usr/local/sbin/announce", ""),
        ("up ip route add 198.51.100.0/24 dev bond0.7", ""),
    ],
)
def test_what_belongs_to_the_addresses_moves(line: str, moved: str) -> None:
    assert split(f"  bond-mode 802.3ad\n  {line}") == (["bond-mode 802.3ad"], [moved or line])


def test_the_bridge_follows_the_mtu() -> None:
    """A bridge whose MTU was set keeps it when a guest's interface of 1500 joins; else the host's own frames would shrink."""
    assert split("  mtu 9000") == (["mtu 9000"], ["mtu 9000"])


def test_an_alias_goes_with_the_address() -> None:
    text = bridged("auto eth0 eth0:1\niface eth0 inet static\n  address 192.0.2.21/24\niface eth0:1 inet static\n  address 192.0.2.22/24\n", "eth0", "cloudbr0")
    assert text is not None
    assert "auto eth0 cloudbr0:1" in text
    assert below(text, "iface cloudbr0:1 inet static") == ["address 192.0.2.22/24"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("iface bond0 inet static\n  up ip link set bond0 up && ip route add default via 192.0.2.1\n", "make two lines"),
        ("iface bond0 inet static inherits base\n  address 192.0.2.21/24\n", "inherits lines"),
    ],
)
def test_what_cannot_be_taken_apart_is_said_and_nothing_is_changed(text: str, said: str) -> None:
    with pytest.raises(Invalid) as error:
        Provider([Bridge("cloudbr0", "bond0")], 90).plan(observed({"bond0": ETH0}, files={"/etc/network/interfaces": text}))
    assert "cloudbr0: " in str(error.value)
    assert said in str(error.value)


PROGRAMS = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >> "$LOG"
"""


def test_a_bond_that_is_there_is_not_taken_apart(tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """ifdown's scripts delete a bond and what is on it, and ifup's take down the slaves of one that is there: neither is run while the link is there."""
    config, log = tmp_path / "interfaces", tmp_path / "log"
    config.write_text(BOND)
    (tmp_path / "bin").mkdir()
    for program in ("ifup", "ifdown", "ip"):
        (tmp_path / "bin" / program).write_text(PROGRAMS)
        (tmp_path / "bin" / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(log))
    monkeypatch.setattr(bridge, "_KEPT", str(tmp_path / "kept"))
    monkeypatch.setattr(bridge.shutil, "which", lambda name: f"/usr/sbin/{name}")

    def run(argv: list[str], timeout: float = 60) -> str:
        if argv[0] == "systemd-run" and "--wait" in argv:
            subprocess.run(argv[-2:], check=True, timeout=30)
        return ""

    monkeypatch.setattr(bridge, "run", run)
    links = {"cloudbr0": Link(("lo",), addresses=("192.0.2.21/24",))}
    provider = Provider([Bridge("cloudbr0", "lo")], 90)
    monkeypatch.setattr(provider, "observe", lambda: observed(links))
    text = bridged(BOND.replace("bond0", "lo"), "lo", "cloudbr0")
    assert text is not None
    provider._make("cloudbr0", "lo", str(config), text, ["192.0.2.21/24"])  # lo is there on every machine
    assert config.read_text() == text
    assert log.read_text().splitlines() == [
        "ifdown --force --no-scripts lo",
        "ip address flush dev lo",
        "ifup --force --no-scripts lo",
        "ifup --force cloudbr0",
    ]
    log.unlink()
    monkeypatch.setattr(provider, "observe", lambda: observed({}))
    with pytest.raises(BridgeError):
        provider._make("cloudbr0", "gone0", str(config), text, [])  # ifupdown takes eth0.7 away by itself
    assert [line for line in log.read_text().splitlines() if "gone0" in line] == ["ifdown --force --no-scripts gone0", "ifup --force gone0"] * 2


def test_interfaces_that_cannot_be_asked_for_are_no_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], timeout: float = 60) -> str:
        raise CommandError(argv, 1, "Cannot open netlink socket")

    monkeypatch.setattr(bridge, "run", run)
    with pytest.raises(Unreachable, match="netlink"):
        Provider([Bridge("cloudbr0")], 90).observe()
