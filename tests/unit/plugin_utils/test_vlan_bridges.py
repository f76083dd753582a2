# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VLANs the bridges of a KVM host will carry, and whether an interface's name leaves room for them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.filter.cloudstack_vlans import cloudstack_vlans
from ansible_collections.cephstack.cloud.plugins.plugin_utils._vlan_bridges import highest_vlans, warnings

HOSTS = [{"clusters": [{"hosts": [{"address": "kvm1"}]}]}]
MANAGEMENT = {"name": "p0", "traffic": [{"type": "management", "kvm_label": "cloudbr0"}, {"type": "public"}]}


def zone(**more: t.Any) -> dict[str, t.Any]:
    guests = {"name": "p1", "vlan": "1996-2000,300", "traffic": [{"type": "guest", "kvm_label": "cloudbr1"}], **more.pop("guests", {})}
    return {"name": "z1", "physical_networks": [MANAGEMENT, guests], "pods": HOSTS, **more}


@pytest.mark.parametrize(
    ("declared", "networks", "highest"),
    [
        (zone(), [], {"cloudbr0": 0, "cloudbr1": 2000}),
        (zone(public_ranges=[{"vlan": "untagged"}, {"vlan": "vlan://70"}, {}]), [], {"cloudbr0": 70, "cloudbr1": 2000}),
        (zone(guests={"isolation": ["VXLAN"], "vlan": "5000-16000000"}), [], {"cloudbr0": 0, "cloudbr1": 0}),
        (zone(guests={"vlan": None}), [], {"cloudbr0": 0, "cloudbr1": 0}),
        (zone(guests={"vlan": None}, guest_network={"vlan": "44"}), [], {"cloudbr0": 0, "cloudbr1": 44}),
        (zone(), [{"zone": "z1", "vlan": "3000"}, {"zone": "z2", "vlan": "4000"}], {"cloudbr0": 0, "cloudbr1": 3000}),
        (zone(), [{"zone": "z1", "vlan": "3000", "physical_network": "p0"}, {"zone": "z1", "vlan": "untagged"}], {"cloudbr0": 0, "cloudbr1": 2000}),
        (zone(), [{"zone": "z1", "vlan": "3000", "state": "absent"}], {"cloudbr0": 0, "cloudbr1": 2000}),
    ],
)
def test_the_highest_vlan_of_each_bridge(declared: dict[str, t.Any], networks: list[dict[str, t.Any]], highest: dict[str, int]) -> None:
    assert highest_vlans(declared, networks) == highest


@pytest.mark.parametrize(
    ("name", "variables", "known"),
    [
        ("kvm1", {}, True),
        ("KVM1", {}, True),
        ("kvm2", {}, False),
        ("kvm2", {"ansible_host": "kvm1"}, True),
        ("kvm1.example.org", {"ansible_facts": {"hostname": "kvm1"}}, True),
    ],
)
def test_only_the_zone_that_declares_a_host_counts(name: str, variables: dict[str, t.Any], known: bool) -> None:
    assert cloudstack_vlans({"zones": [zone()]}, name, variables) == ({"cloudbr0": 0, "cloudbr1": 2000} if known else {})


def test_no_region_is_declared() -> None:
    assert cloudstack_vlans({}, "kvm1", {}) == {}


VARIABLES: dict[str, t.Any] = {
    "consumers": [{"name": "cloud", "kind": "cloudstack", "hosts": ["kvm1"]}],
    "cloudstack_region": {"zones": [zone()]},
    "kvm_host_bridges": [{"name": "cloudbr0"}, {"name": "cloudbr1", "interface": "ens1f0np0"}],
    "ansible_facts": {"default_ipv4": {"interface": "enp129s0f1np1"}},
}


def test_a_bridge_that_is_to_be_made_is_warned_of_before_it() -> None:
    (said,) = warnings("kvm1", VARIABLES)  # no VLANs on cloudbr0, so its card may have any name
    assert said.startswith("kvm1: the bridge cloudbr1 holds ens1f0np0")


def test_a_bridge_that_is_there_is_taken_as_it_is() -> None:
    facts = {**VARIABLES["ansible_facts"], "cloudbr1": {"interfaces": ["eth1", "vnet_of_a_guest"]}}
    assert warnings("kvm1", {**VARIABLES, "ansible_facts": facts}) == []


def test_a_host_that_is_none_of_cloudstack_s_is_not_looked_at() -> None:
    assert warnings("kvm1", {**VARIABLES, "consumers": []}) == []
    assert warnings("kvm9", VARIABLES) == []
