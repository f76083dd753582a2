# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zones and hosts: what is wrong with a declaration, and planning against lists."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.filter.cloudstack_hosts import cloudstack_hosts
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import addresses, hosts, physical_networks, region
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import LISTINGS, Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk

ZONE: dict[str, t.Any] = {
    "name": "z1",
    "dns1": "10.0.0.53",
    "guest_cidr": "10.1.1.0/24",
    "physical_networks": [
        {
            "name": "n1",
            "vlan": "100-200",
            "traffic": [{"type": "management", "kvm_label": "br0"}, {"type": "guest", "kvm_label": "br0"}, {"type": "public", "kvm_label": "br0"}],
        }
    ],
    "public_ranges": [{"start": "10.0.1.50", "end": "10.0.1.90", "gateway": "10.0.1.1", "netmask": "255.255.255.0"}],
    "pods": [
        {
            "name": "p1",
            "start": "10.0.0.100",
            "end": "10.0.0.120",
            "gateway": "10.0.0.1",
            "netmask": "255.255.255.0",
            "clusters": [
                {"name": "c1", "hypervisor": "kvm", "hosts": [{"address": "10.0.0.21", "password": "hush-hush", "tags": ["ssd"]}, {"address": "10.0.0.22"}]}
            ],
        }
    ],
}
LISTS: dict[str, t.Any] = {
    "zones": [
        {
            "id": "z", "name": "z1", "dns1": "10.0.0.53", "internaldns1": "10.0.0.53", "guestcidraddress": "10.1.1.0/24", "networktype": "Advanced",
            "securitygroupsenabled": False, "allocationstate": "Enabled", "localstorageenabled": False,
        }
    ],
    "physical_networks": [{"id": "n", "name": "n1", "zoneid": "z", "zonename": "z1", "state": "Enabled", "vlan": "100-200", "isolationmethods": "VLAN"}],
    "traffic_types": [
        {"id": f"t{kind}", "traffictype": kind, "physicalnetworkid": "n", "kvmnetworklabel": "br0"} for kind in ("Management", "Guest", "Public")
    ],
    "providers": [
        {"id": f"p{name}", "name": name, "physicalnetworkid": "n", "state": state}
        for name, state in (("VirtualRouter", "Enabled"), ("VpcVirtualRouter", "Enabled"), ("InternalLbVm", "Disabled"))
    ],
    "router_elements": [{"id": "e1", "nspid": "pVirtualRouter", "enabled": True}, {"id": "e2", "nspid": "pVpcVirtualRouter", "enabled": True}],
    "lb_elements": [{"id": "e3", "nspid": "pInternalLbVm", "enabled": False}],
    "pods": [
        {
            "id": "p", "name": "p1", "zoneid": "z", "gateway": "10.0.0.1", "netmask": "255.255.255.0", "allocationstate": "Enabled",
            "ipranges": [{"startip": "10.0.0.100", "endip": "10.0.0.120", "forsystemvms": "0"}],
        }
    ],
    "clusters": [{"id": "c", "name": "c1", "podid": "p", "zoneid": "z", "hypervisortype": "KVM", "allocationstate": "Enabled"}],
    "vlan_ranges": [
        {
            "id": "r", "zoneid": "z", "forvirtualnetwork": True, "vlan": "vlan://untagged", "startip": "10.0.1.50", "endip": "10.0.1.90",
            "gateway": "10.0.1.1", "netmask": "255.255.255.0",
        }
    ],
    "hosts": [
        {
            "id": f"h{number}", "name": f"kvm{number}", "ipaddress": f"10.0.0.2{number}", "clusterid": "c", "zonename": "z1", "state": "Up",
            "resourcestate": "Enabled", **tags,
        }
        for number, tags in ((1, {"hosttags": "ssd"}), (2, {}))
    ],
}  # fmt: skip


def changed(path: str, value: t.Any, base: t.Any = ZONE) -> t.Any:
    """A copy in which what a path such as pods.0.start names is another; without it where the value is None."""
    copied = copy.deepcopy(base)
    *way, last = path.split(".")
    place = copied
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is None:
        del place[int(last) if last.isdigit() else last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return copied


def plan(zone: t.Any, lists: t.Any = LISTS) -> t.Any:
    found = Region(None, {word: copy.deepcopy(lists.get(word, [])) for word in LISTINGS} if lists else None)
    return region.plan({"zones": zone if isinstance(zone, list) else [zone]}, found)[0]


def problems(*declared: t.Any) -> list[str]:
    return region.declared_problems({"zones": list(declared)})


# -- the declaration alone


def test_nothing_is_wrong_with_a_right_one() -> None:
    assert problems(ZONE) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("pods.0.end", "10.0.0.20", "ends before it"),
        ("pods.0.start", "9.0.0.100", "is not in the subnet 10.0.0.0/24"),
        ("pods.0.gateway", "10.0.0.110", "the gateway 10.0.0.110 is inside the range"),
        ("pods.0.netmask", "255.0.255.0", "netmask"),
        ("pods.0.gateway", "here", "'here' is no IPv4 address"),
        ("pods.0.clusters.0.hosts.0.address", "10.0.0.105", "the host 10.0.0.105 is inside the range"),
        ("public_ranges.0.start", "10.0.1.0", "the subnet's own or its broadcast address"),
        ("public_ranges.0", {"start": "10.0.0.110", "end": "10.0.0.130", "gateway": "10.0.0.1", "netmask": "255.255.255.0"}, "overlaps 10.0.0.100-10.0.0.120"),
        ("guest_cidr", "10.0.0.0/16", "overlaps the zone's guest_cidr"),
        ("guest_cidr", "10.1.1.5/24", "is no network"),
        ("dns1", "dns", "dns1: 'dns' is no IPv4 address"),
        ("physical_networks.0.vlan", "200-100", "ends before it begins"),
        ("physical_networks.0.vlan", "1-5000", "a VLAN is a number from 1 to 4094"),
        ("physical_networks.0.traffic.2", None, "none of them carries public traffic"),
        ("physical_networks.0.traffic.2.type", "guest", "guest traffic is declared twice"),
        ("physical_networks.0.providers", {"VirtualRouter": "perhaps"}, "neither true nor false"),
        ("public_ranges.0.vlan", "150", "the VLAN 150 is among those"),
        ("type", "basic", "of type basic has no public traffic"),
        ("type", "advanced_security_groups", "guest_cidr is for a zone of type advanced"),
        ("guest_network", {"name": "x"}, "is for zones with security groups"),
        ("pods.0.clusters.0.hosts.0.address", "http://10.0.0.21", "neither an address nor a name"),
        ("pods.0.clusters.0.hosts.0.tags", ["a,b"], "a tag is a word"),
        ("pods.0.clusters.0.hypervisor", "simulator", "a simulated host has a url"),
        ("pods.0.clusters.0.hosts.1.address", "10.0.0.21", "declared twice"),
    ],
)
def test_what_is_wrong_is_said(path: str, value: t.Any, said: str) -> None:
    found = problems(changed(path, value))
    assert any(said in text for text in found), found
    assert all("zones[0] (z1)" in text for text in found)


def test_pods_do_not_overlap() -> None:
    second = {**ZONE["pods"][0], "name": "p2", "clusters": []}
    assert any(
        "10.0.0.110-10.0.0.130 overlaps 10.0.0.100-10.0.0.120" in text
        for text in problems({**ZONE, "pods": [*ZONE["pods"], {**second, "start": "10.0.0.110", "end": "10.0.0.130"}]})
    )
    wider = {**second, "start": "10.0.2.10", "end": "10.0.2.20", "netmask": "255.255.0.0"}
    assert any("its subnet 10.0.0.0/16 overlaps 10.0.0.0/24" in text for text in problems({**ZONE, "pods": [*ZONE["pods"], wider]}))
    assert problems({**ZONE, "pods": [*ZONE["pods"], {**second, "start": "10.0.0.130", "end": "10.0.0.140"}]}) == []


def test_a_host_is_in_one_cluster() -> None:
    twice = changed("pods.0.clusters", [*ZONE["pods"][0]["clusters"], {"name": "c2", "hosts": [{"address": "10.0.0.21"}]}])
    assert any("also in the cluster z1/p1/c1" in text for text in problems(twice))


def test_everything_wrong_is_said_at_once() -> None:
    wrong = changed("dns1", "dns", changed("pods.0.end", "10.0.0.20", changed("physical_networks.0.vlan", "x")))
    assert len(problems(wrong)) == 3


@pytest.mark.parametrize(("text", "ranges"), [("100-200", [(100, 200)]), ("300,100-200, 201", [(100, 201), (300, 300)]), ("5-7,6-9", [(5, 9)])])
def test_vlans(text: str, ranges: list[tuple[int, int]]) -> None:
    assert addresses.vlans(text) == ranges


# -- planning


def test_as_declared() -> None:
    assert plan(ZONE).changes == []


def test_all_new() -> None:
    made = plan(ZONE, {})
    stages = [sorted(change.id for change in stage) for stage in made.stages()]
    assert stages == [
        ["zone/z1"],
        ["physical_network/z1/n1"],
        ["traffic/z1/n1/guest", "traffic/z1/n1/management", "traffic/z1/n1/public"],
        ["provider/z1/n1/VirtualRouter", "provider/z1/n1/VpcVirtualRouter"],
        ["pod/z1/p1"],
        ["cluster/z1/p1/c1", "vlan_range/z1/10.0.1.50-10.0.1.90"],
        ["host/z1/10.0.0.21", "host/z1/10.0.0.22"],
        ["zone_state/z1"],
    ]
    assert "hush" not in str(made.diff())
    assert "hush" not in str(made.changes)


@pytest.mark.parametrize(
    ("path", "value", "seen"),
    [
        ("zones.0.dns1", "10.0.0.9", ("zone/z1", {"dns1": "10.0.0.9"}, {"dns1": "10.0.0.53"})),
        ("zones.0.allocationstate", "Disabled", ("zone_state/z1", {"state": "Disabled"}, {"state": "Enabled"})),
        ("physical_networks.0.vlan", "100-150", ("physical_network/z1/n1", {"vlan": "100-150"}, {"vlan": "100-200"})),
        ("physical_networks.0.state", "Disabled", ("physical_network/z1/n1", {"state": "Disabled"}, {"state": "Enabled"})),
        ("traffic_types.1.kvmnetworklabel", "x", ("traffic/z1/n1/guest", {"kvm_label": "x"}, {"kvm_label": "br0"})),
        ("traffic_types.1", None, ("traffic/z1/n1/guest", None, {"type": "guest", "kvm_label": "br0"})),
        ("providers.0.state", "Disabled", ("provider/z1/n1/VirtualRouter", {"state": "Disabled"}, {"state": "Enabled"})),
        ("router_elements.0.enabled", False, ("provider/z1/n1/VirtualRouter", {"elements": "Disabled"}, {"elements": "Enabled"})),
        ("pods.0.allocationstate", "Disabled", ("pod/z1/p1", {"state": "Disabled"}, {"state": "Enabled"})),
        ("pods.0.ipranges.0.endip", "10.0.0.130", ("pod/z1/p1", {"end": "10.0.0.130"}, {"end": "10.0.0.120"})),
        ("pods.0.ipranges", [], ("pod/z1/p1", {"start": "", "end": ""}, {"start": "10.0.0.100", "end": "10.0.0.120"})),
        ("clusters.0.allocationstate", "Disabled", ("cluster/z1/p1/c1", {"state": "Disabled"}, {"state": "Enabled"})),
        ("vlan_ranges.0.endip", "10.0.1.95", ("vlan_range/z1/10.0.1.50-10.0.1.90", {"end": "10.0.1.95"}, {"end": "10.0.1.90"})),
        ("hosts.0.hosttags", "", ("host/z1/10.0.0.21", {"tags": []}, {"tags": ["ssd"]})),
        ("hosts.1.resourcestate", "Disabled", ("host/z1/10.0.0.22", {"state": "disabled"}, {"state": "enabled"})),
    ],
)
def test_a_drift_is_one_change(path: str, value: t.Any, seen: tuple[str, t.Any, t.Any]) -> None:
    made = plan(ZONE, changed(path, value, LISTS))
    assert [(change.id, change.before, change.after) for change in made.changes] == [seen]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("zones.0.networktype", "Basic", "which cannot be changed"),
        ("zones.0.securitygroupsenabled", True, "of type advanced_security_groups, which cannot be changed to advanced"),
        ("clusters.0.hypervisortype", "XenServer", "the cluster z1/p1/c1 is of XenServer"),
        ("vlan_ranges.0.vlan", "vlan://7", "with the VLAN 7, which cannot be changed"),
        ("hosts.0.clusterid", "another", "the host is in the cluster"),
        ("pods", [*LISTS["pods"], {**LISTS["pods"][0], "id": "p2"}], "there are 2 of the name p1 (p, p2)"),
    ],
)
def test_what_cannot_be_mended_is_refused(path: str, value: t.Any, said: str) -> None:
    lists = changed(path, value, LISTS)
    if path == "zones.0.networktype":
        lists["zones"][0]["securitygroupsenabled"] = True
    with pytest.raises(Invalid) as refused:
        plan(ZONE, lists)
    assert any(said in text for text in refused.value.problems), refused.value.problems


def test_traffic_stays_on_its_network() -> None:
    lists = copy.deepcopy(LISTS)
    lists["physical_networks"].append({**lists["physical_networks"][0], "id": "n2", "name": "n2"})
    lists["traffic_types"][2]["physicalnetworkid"] = "n2"
    with pytest.raises(Invalid, match="is on the physical network n2 and cannot be moved to n1"):
        plan(ZONE, lists)


def test_a_host_in_maintenance_and_one_that_is_down() -> None:
    lists = changed("hosts.0.resourcestate", "Maintenance", changed("hosts.1.state", "Down", LISTS))
    made = plan(ZONE, lists)
    assert made.changes == []
    assert len(made.warnings) == 2


def test_a_host_that_goes_must_be_allowed_and_they_go_one_by_one() -> None:
    zone = changed("pods.0.clusters.0.hosts.0.state", "absent", changed("pods.0.clusters.0.hosts.1.state", "absent"))
    made = plan(zone)
    assert [[change.id for change in stage] for stage in made.stages()] == [["host/z1/10.0.0.21"], ["host/z1/10.0.0.22"]]
    assert all(change.risk is Risk.LOSS for change in made.changes)
    assert plan(zone, changed("hosts", [], LISTS)).changes == []


def test_simulated_hosts_are_told_apart_by_what_they_are() -> None:
    """They have no identity of their own: as many as are declared, and a drift of one is a change of one."""
    existing = [
        {"id": str(number), "clusterid": "c", "zonename": "z1", "state": "Up", "resourcestate": state, "hosttags": tags}
        for number, (state, tags) in enumerate([("Enabled", "a"), ("Disabled", "b"), ("Enabled", None)])
    ]
    lists = {**LISTS, "hosts": existing, "clusters": [{**LISTS["clusters"][0], "hypervisortype": "Simulator"}]}
    declared = [{"url": "http://sim/c0/h0"}, {"url": "http://sim/c0/h1", "tags": ["a"]}, {"url": "http://sim/c0/h2", "tags": ["b"], "state": "disabled"}]

    def zone(items: t.Any) -> t.Any:
        return changed("pods.0.clusters.0", {"name": "c1", "hypervisor": "simulator", "hosts": items})

    assert plan(zone(declared), lists).changes == []
    assert [change.id for change in plan(zone([*declared, {"url": "http://sim/c0/h3"}]), lists).changes] == ["host/z1/c0/h3"]
    drifted = changed("hosts.1.hosttags", "x", lists)
    assert [(change.id, change.before, change.after) for change in plan(zone(declared), drifted).changes] == [
        ("host/z1/c0/h2", {"tags": ["x"]}, {"tags": ["b"]})
    ]
    # One that declares no tags fits any, and leaves the drifted one to the one that it was.
    drifted = changed("hosts.0.hosttags", "x", lists)
    assert [(change.id, change.before, change.after) for change in plan(zone(declared), drifted).changes] == [
        ("host/z1/c0/h1", {"tags": ["x"]}, {"tags": ["a"]})
    ]
    gone = [*declared[:2], {**declared[2], "state": "absent"}]
    assert [change.action for change in plan(zone(gone), lists).changes] == ["delete"]


def test_a_name_of_a_host_is_resolved() -> None:
    found = Region(None, copy.deepcopy(LISTS))
    found.addresses["kvm1.example"] = "10.0.0.21"
    zone = changed("pods.0.clusters.0.hosts.0.address", "kvm1.example")
    sheet = Draft({})
    hosts.plan([zone], found, sheet)
    assert sheet.changes == []
    assert sheet.problems == []


@pytest.mark.parametrize(
    ("declared", "shown"),
    [
        ({"address": "10.120.0.5", "known_as": ["10.255.0.4"]}, {}),
        ({"address": "10.120.0.5", "known_as": ["kvm1"]}, {}),
        ({"address": "10.120.0.5", "known_as": ["KVM1"]}, {}),
        ({"address": "kvm1.example.org"}, {}),
        ({"address": "10.120.0.5", "known_as": ["kvm1"]}, {"name": "kvm1.example.org"}),
        ({"address": "fd00::0005"}, {"ipaddress": "fd00:0:0::5"}),
    ],
)
def test_a_host_that_is_shown_with_another_of_its_addresses_is_not_added_again(declared: dict[str, t.Any], shown: dict[str, t.Any]) -> None:
    lists = changed("hosts.0", {**LISTS["hosts"][0], "ipaddress": "10.255.0.4", **shown}, LISTS)
    assert plan(changed("pods.0.clusters.0.hosts.0", declared), lists).changes == []


def test_two_declared_hosts_that_are_one_are_both_named() -> None:
    zone = changed("pods.0.clusters.0.hosts", [{"address": "10.0.0.21"}, {"address": "10.120.0.5", "known_as": ["kvm1"]}, {"address": "10.0.0.22"}])
    with pytest.raises(Invalid) as refused:
        plan(zone)
    (said,) = refused.value.problems
    assert all(text in said for text in ("hosts[0] (10.0.0.21)", "hosts[1] (10.120.0.5)", "kvm1 (10.0.0.21)"))


def test_one_declared_host_that_may_be_two_is_refused() -> None:
    with pytest.raises(Invalid, match=r"2 hosts that it may be, kvm1 \(10.0.0.21\) and kvm2 \(10.0.0.22\)"):
        plan(changed("pods.0.clusters.0.hosts", [{"address": "10.120.0.5", "known_as": ["10.0.0.21", "10.0.0.22"]}]))


def test_a_simulated_host_with_the_server_s_address_is_not_the_server() -> None:
    lists = changed("hosts.0", {**LISTS["hosts"][0], "hypervisor": "Simulator"}, LISTS)
    assert [change.id for change in plan(ZONE, lists).changes] == ["host/z1/10.0.0.21"]


class Adding:
    """A server that is asked to add hosts. said: what it answers, an error or a row; rows: what listHosts shows."""

    def __init__(self, said: t.Any, rows: list[dict[str, t.Any]]) -> None:
        self.said, self.existing = said, rows

    def call(self, command: str, **parameters: t.Any) -> t.Any:
        if isinstance(self.said, Exception):
            raise self.said
        return {"host": [self.said]}

    def rows(self, command: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
        return [row for row in self.existing if all(row.get(key) == value for key, value in parameters.items() if key in ("id", "clusterid"))]


ALREADY = (
    "Skipping host 10.120.0.5 because 593e6b9e-5af1-3060-baee-66bf94237d4a is already in the database for resource "
    "593e6b9e-5af1-3060-baee-66bf94237d4a-LibvirtComputingResource with ID 79e94242-30d5-4b55-a565-e7dff9e9a75b"
)
MULTI_HOMED = {**LISTS["hosts"][0], "id": "79e94242-30d5-4b55-a565-e7dff9e9a75b", "ipaddress": "10.255.0.4", "clustername": "c1"}


def add(said: t.Any, **declared: t.Any) -> None:
    found = Region(Adding(said, [MULTI_HOMED]), {word: copy.deepcopy(LISTS.get(word, [])) for word in LISTINGS})
    hosts._add(found, ZONE, ZONE["pods"][0], ZONE["pods"][0]["clusters"][0], {"address": "10.120.0.5", **declared})


def test_the_server_knows_a_host_by_its_guid() -> None:
    """It has it already: then its id is in the answer, and a person is told by which address it is known."""
    add(RuntimeError(ALREADY), known_as=["kvm1"])
    with pytest.raises(RuntimeError, match=r"already, as the host kvm1 \(10.255.0.4\) in the cluster c1 of the zone z1: .*known_as: \[10.255.0.4\]"):
        add(RuntimeError(ALREADY))
    with pytest.raises(RuntimeError, match="somewhere else"):
        add(RuntimeError("it is already somewhere else"))


def test_a_host_that_could_not_be_found_again_is_said_at_once() -> None:
    add(MULTI_HOMED, known_as=["10.255.0.4"])
    with pytest.raises(RuntimeError, match=r"shows it as kvm1 \(10.255.0.4\), by which it would not be found again"):
        add(MULTI_HOMED)


def test_providers_that_a_type_needs() -> None:
    network = {"name": "n", "traffic": [{"type": "guest"}], "providers": {"VpcVirtualRouter": False, "InternalLbVm": True}}
    assert physical_networks.providers({"type": "advanced"}, network) == {"VirtualRouter": True, "VpcVirtualRouter": False, "InternalLbVm": True}
    assert physical_networks.providers({"type": "basic"}, {**network, "providers": {}}) == {"VirtualRouter": True, "SecurityGroupProvider": True}
    assert physical_networks.providers({"type": "basic"}, {"name": "n", "traffic": [{"type": "storage"}]}) == {}


# -- the role's filter


def test_hosts_are_named_as_in_the_inventory() -> None:
    hostvars = {"a": {"ansible_host": "10.0.0.1"}, "b": {"ansible_facts": {"default_ipv4": {"address": "10.0.0.2"}}}, "c": {}}
    named = changed("pods.0.clusters.0.hosts", [{"address": name} for name in ("a", "b", "c", "10.0.0.9")] + [{"url": "http://sim/c0/h0"}])
    given = cloudstack_hosts([named], hostvars)[0]["pods"][0]["clusters"][0]["hosts"]
    assert given == [
        {"address": "10.0.0.1", "known_as": ["a"]},
        {"address": "10.0.0.2", "known_as": ["b"]},
        {"address": "c"},
        {"address": "10.0.0.9"},
        {"url": "http://sim/c0/h0"},
    ]


def test_a_host_keeps_its_names_and_addresses() -> None:
    """CloudStack shows one of them, which need not be that by which the host was added."""
    facts = {"hostname": "kvm1", "fqdn": "kvm1.example.org", "all_ipv4_addresses": ["10.120.0.5", "192.168.122.1", "169.254.0.1", "10.255.0.4"]}
    other = {"hostname": "kvm2", "fqdn": "kvm2", "all_ipv4_addresses": ["10.120.0.6", "192.168.122.1"]}
    hostvars = {"k1": {"ansible_host": "10.120.0.5", "ansible_facts": facts}, "k2": {"ansible_host": "10.120.0.6", "ansible_facts": other}}
    named = changed("pods.0.clusters.0.hosts", [{"address": "k1", "known_as": ["10.9.9.9"]}, {"address": "10.120.0.6"}])
    given = cloudstack_hosts([named], hostvars)[0]["pods"][0]["clusters"][0]["hosts"]
    assert given == [
        {"address": "10.120.0.5", "known_as": ["10.9.9.9", "k1", "kvm1", "kvm1.example.org", "10.255.0.4"]},
        {"address": "10.120.0.6", "known_as": ["k2", "kvm2"]},
    ]


# -- what the server makes of a value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("guest_cidr", "10.1.1.0/255.255.255.0"),
        ("pods.0.netmask", "24"),
        ("pods.0.netmask", "/24"),
        ("public_ranges.0.netmask", "24"),
        ("public_ranges.0.vlan", "vlan://untagged"),
        ("public_ranges.0.vlan", "Untagged"),
        ("physical_networks.0.vlan", "150-200, 100-149"),
        ("pods.0.clusters.0.hosts.0.tags", [" ssd", "ssd"]),
    ],
)
def test_the_same_in_other_words_is_no_change(path: str, value: t.Any) -> None:
    zone = changed(path, value)
    assert problems(zone) == []
    assert plan(zone).changes == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("hosts.0.hosttags", "ssd, ssd"),
        ("vlan_ranges.0.vlan", "vxlan://untagged"),
        ("physical_networks.0.vlan", "150-200,100-149"),
    ],
)
def test_the_server_s_own_words_are_no_change(path: str, value: t.Any) -> None:
    assert plan(ZONE, changed(path, value, LISTS)).changes == []


def test_tags_of_a_physical_network() -> None:
    assert plan(changed("physical_networks.0.tags", ["b ", "a", "b"]), changed("physical_networks.0.tags", "a, b", LISTS)).changes == []


def test_a_vlan_of_a_public_range_has_no_scheme() -> None:
    """listVlanIpRanges says vlan://70 of what was given as 70."""
    zone = changed("public_ranges.0.vlan", "vlan://70")
    assert plan(zone, changed("vlan_ranges.0.vlan", "vlan://70", LISTS)).changes == []
    (change,) = [change for change in plan(zone, changed("vlan_ranges", [], LISTS)).changes if change.kind == "vlan_range"]
    assert change.after["vlan"] == "70"


def test_new_ranges_are_given_in_the_server_s_form() -> None:
    zone = changed("pods.0.netmask", "24", changed("public_ranges.0.netmask", "24", changed("guest_cidr", "10.1.1.0/255.255.255.0")))
    after = {change.kind: change.after for change in plan(zone, {}).changes}
    assert (after["pod"]["netmask"], after["vlan_range"]["netmask"], after["zone"]["guest_cidr"]) == ("255.255.255.0", "255.255.255.0", "10.1.1.0/24")


@pytest.mark.parametrize(("path", "value"), [("pods.0.netmask", "0.0.0.255"), ("pods.0.netmask", "33"), ("guest_cidr", "10.1.1.0")])
def test_what_is_no_netmask_is_said(path: str, value: str) -> None:
    assert len(problems(changed(path, value))) == 1


@pytest.mark.parametrize("path", ["zones.0.name", "pods.0.name", "clusters.0.name"])
def test_a_name_that_differs_in_case_only_is_said(path: str) -> None:
    """The server's database takes it for the same, and refuses to make another."""
    with pytest.raises(Invalid, match="which to the server is the same name"):
        plan(ZONE, changed(path, path[0].upper() + "1", LISTS))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://RGW1.example.org:80", "http://rgw1.example.org"),
        ("HTTPS://rgw:443/", "https://rgw"),
        ("nfs://NAS:2049/a//b/", "nfs://nas/a/b"),
        ("nfs://[FD00:0::9]/x", "nfs://[fd00::9]/x"),
    ],
)
def test_urls_that_lead_to_one_place(one: str, other: str) -> None:
    assert addresses.location(one) == addresses.location(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://rgw:8080", "http://rgw"),
        ("nfs://nas/A", "nfs://nas/a"),
        ("http://web/d?x=1", "http://web/d"),
        ("http://a@web/d", "http://b@web/d"),
    ],
)
def test_urls_that_do_not(one: str, other: str) -> None:
    assert addresses.location(one) != addresses.location(other)


# -- how many at once


def test_what_the_server_takes_only_some_of_at_once_is_in_a_lane() -> None:
    new = plan(ZONE, None)
    assert {change.kind: change.lane for change in new.changes if change.lane} == {
        "pod": ("addresses", 1),
        "vlan_range": ("addresses", 1),
        "host": ("addHost", 8),
    }
    another = changed("physical_networks", [*ZONE["physical_networks"], {"name": "pn2", "traffic": [{"type": "guest"}]}])
    (made,) = (change for change in plan(another).changes if change.kind == "physical_network")
    assert (made.lane, made.reason) == (("closed zone z1", 1), "the zone takes no new guests for that moment")
