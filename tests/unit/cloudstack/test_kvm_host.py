# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What addHost would fail for: everything that is wrong is said at once, and nothing else."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import kvm_host
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.kvm_host import Seen, Wanted, is_physical, problems, version, warnings

WANTED = Wanted(bridges=("cloudbr0",), servers=("192.0.2.11",))
GOOD = Seen(ports={"cloudbr0": ("eth0", "vnet0")}, skew=1.0)


def test_a_good_host_has_no_problem() -> None:
    assert problems(WANTED, GOOD) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kvm": "there is no /dev/kvm"}, "no guest runs under KVM: there is no /dev/kvm"),
        ({"kvm_ok": "INFO: Your CPU does not support KVM extensions"}, "kvm-ok"),
        ({"missing": ("file",)}, "file is missing: install file"),
        ({"agent": False}, "cloudstack-agent is not installed"),
        ({"ports": {"cloudbr0": None}}, "Can not find network: cloudbr0"),
        ({"ports": {"cloudbr0": ()}}, "holds no interface"),
        ({"ports": {"cloudbr0": ("host0",)}}, "holds only host0"),
        ({"libvirt": "error: failed to connect"}, "libvirt does not answer"),
        ({"libvirt_rbd": False}, "libvirt-daemon-driver-storage-rbd"),
        ({"qemu_rbd": False}, "qemu-block-extra"),
        ({"librados": ""}, "install ceph-common"),
        ({"librados": "20.2.4-1"}, "20.2.4-1 is too new"),
        ({"hostname": "kvm1: Name or service not known"}, "/etc/hosts"),
        ({"unreachable": {"192.0.2.11": "timed out"}}, "192.0.2.11, port 8250: timed out"),
        ({"skew": -121.0}, "121 s behind"),
        ({"skew": 3600.0}, "3600 s ahead of"),
    ],
)
def test_each_problem_is_one(wrong: dict[str, t.Any], said: str) -> None:
    (problem,) = problems(WANTED, dataclasses.replace(GOOD, **wrong))
    assert said in problem


def of_two_bridges(interface: str, vlans: dict[str, int] | None, **more: t.Any) -> tuple[list[str], list[str]]:
    wanted = dataclasses.replace(WANTED, bridges=("cloudbr0", "cloudbr1"), vlans=vlans)
    seen = dataclasses.replace(GOOD, ports={"cloudbr0": ("eth0",), "cloudbr1": (interface, "vnet1")}, **more)
    return problems(wanted, seen), warnings(wanted, seen)


@pytest.mark.parametrize(
    ("interface", "highest", "bridge"),
    [
        ("ens1f0np0", 2000, "brens1f0np0-2000"),
        ("enp129s0f1np1", 5, "brenp129s0f1np1-5"),
        ("enx001122334455", 1, "brenx001122334455-1"),
        ("ens1f0np0", 999, ""),
        ("enp129s0", 4094, ""),
        ("enp129s0f1np1", 0, ""),
        ("bond0", 4094, ""),
    ],
)
def test_a_name_too_long_for_the_bridges_of_vlans(interface: str, highest: int, bridge: str) -> None:
    found, warned = of_two_bridges(interface, {"cloudbr0": 0, "cloudbr1": highest})
    assert warned == []
    assert len(found) == bool(bridge)
    assert all(text in problem for problem in found for text in ("cloudbr1", interface, bridge, "15", "[Link] Name=", "bond"))


def test_where_the_vlans_are_not_known_it_is_a_warning() -> None:
    found, (warned,) = of_two_bridges("ens1f0np0", None)
    assert found == []
    assert "brens1f0np0-4094" in warned
    assert of_two_bridges("eno12399", None) == ([], [])


def test_a_vlan_is_named_after_what_it_is_on() -> None:
    """The agent makes eno1.1996 where the bridge holds eno1.7."""
    assert of_two_bridges("vlan7", {"cloudbr1": 1996}, devices={"vlan7": "enp129s0f1np1"})[0]
    assert not of_two_bridges("enp5s0f1.100", {"cloudbr1": 1996}, devices={"enp5s0f1.100": "enp5s0f1"})[0]


def test_all_of_them_at_once() -> None:
    bad = Seen("a", "b", ("file", "ipset"), False, {}, False, False, "c", "21.0.0", "d", {"192.0.2.11": "e"}, 999.0)
    assert len(problems(WANTED, bad)) == 13


@pytest.mark.parametrize(
    ("text", "numbers"), [("18.2.7+ds-1+deb13u1", (18, 2, 7)), ("2:20.2.4-1", (20, 2, 4)), ("19.2.3-0ubuntu0.24.04.3", (19, 2, 3)), ("?", ())]
)
def test_versions_of_packages(text: str, numbers: tuple[int, ...]) -> None:
    assert version(text) == numbers


@pytest.mark.parametrize("name", ["eth0", "eno1", "ens3", "enp1s0f0", "enx001122334455", "bond0", "team0", "vlan7", "em1", "p2p1"])
def test_what_the_agent_takes_for_physical(name: str) -> None:
    assert is_physical(name)


@pytest.mark.parametrize("name", ["host0", "vnet3", "tap0", "mv-eth0"])
def test_what_it_does_not(name: str) -> None:
    assert not is_physical(name)


def test_a_bridge_that_is_not_there_has_no_ports() -> None:
    assert kvm_host._ports("no-such-bridge") is None
