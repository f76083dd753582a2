# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address of a host the roles use, with the variables of made-up hosts."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.tests.unit.templating import answers, question


def facts(*addresses, default=None, **more):
    of_family = {"all_ipv4_addresses": [one for one in addresses if ":" not in one], "all_ipv6_addresses": [one for one in addresses if ":" in one]}
    return {**of_family, **({f"default_ipv{6 if ':' in default else 4}": {"address": default}} if default else {}), **more}


NAME = "cloud1.example.org"


@pytest.mark.parametrize(
    ("variables", "address", "in_url"),
    [
        ({"ansible_host": "10.0.0.9"}, "10.0.0.9", "10.0.0.9"),
        ({"ansible_host": "cloud1.example.net"}, "cloud1.example.net", "cloud1.example.net"),
        ({"ansible_ssh_host": "10.0.0.9"}, "10.0.0.9", "10.0.0.9"),
        ({"ansible_host": "fd00::9"}, "fd00::9", "[fd00::9]"),
        ({}, NAME, NAME),
        ({"ansible_facts": facts("10.9.9.9", "10.0.0.8", default="10.0.0.8")}, "10.0.0.8", "10.0.0.8"),
    ],
)
def test_a_host_is_reached_by_one_address_whoever_asks(variables, address, in_url):
    hosts, groups = {NAME: variables, "kvm1": {}}, {"cloudstack_management": [NAME], "xen_pool_hosts": [NAME]}
    given = {"cloudstack_management_group": "cloudstack_management", "cloudstack": {}, "xen_pool": {"repositories": []}}
    zones = "[{'pods': [{'clusters': [{'hosts': [{'address': '" + NAME + "'}]}]}]}] | cephstack.cloud.cloudstack_hosts(hostvars)"
    kvm, url, pool, zone = answers(
        [
            question("__kvm_host_server_addresses", "kvm_host", hosts, groups, "kvm1", **given),
            question("__cloudstack_management_url", "cloudstack_management", hosts, groups, NAME, **given),
            question("__xen_pool_addresses", "xen_pool", hosts, groups, NAME, **given),
            question(zones, "cloudstack_region", hosts, groups, NAME, **given),
        ]
    )
    assert [kvm, url, pool] == [[address], f"http://{in_url}:8080/client/api", [address]]
    assert [host["address"] for host in zone[0]["pods"][0]["clusters"][0]["hosts"]] == [address]


def test_a_management_server_tells_the_others_an_address_that_it_has():
    groups = {"cloudstack_management": ["cloud1"]}
    both = facts("10.0.0.9", "10.1.0.9", default="10.1.0.9")
    cases = [
        ({"ansible_host": "10.0.0.9", "ansible_facts": both}, "10.0.0.9"),
        ({"ansible_host": "192.0.2.1", "ansible_facts": both}, "10.1.0.9"),
        ({"ansible_facts": facts("10.0.0.9")}, "10.0.0.9"),
        ({"ansible_facts": {}}, "127.0.0.1"),
    ]
    asked = [question("__cloudstack_management_address", "cloudstack_management", {"cloud1": variables}, groups, "cloud1") for variables, _ in cases]
    asked.append(
        question("__cloudstack_management_address", "cloudstack_management", {"cloud1": {"ansible_facts": facts("10.0.0.9", "10.1.0.9")}}, groups, "cloud1")
    )
    *found, ambiguous = answers(asked)
    assert found == [address for _, address in cases]
    assert "10.0.0.9, 10.1.0.9" in ambiguous["error"] and "ansible_host" in ambiguous["error"]


def test_without_management_servers_there_is_no_url_to_fail_for():
    given = {"cloudstack": {"url": "https://cloud.example.org/client/api"}, "cloudstack_management_group": "cloudstack_management"}
    assert answers([question("__cloudstack_management_url", "cloudstack_management", {"kvm1": {}}, {}, "kvm1", **given)]) == [given["cloudstack"]["url"]]


V4, V6 = {"a": {"ansible_host": "10.0.0.1"}, "b": {"ansible_host": "10.0.0.2"}}, {"a": {"ansible_host": "fd00:10::1"}, "b": {"ansible_host": "fd00:10::2"}}
MIXED = {"a": {"ansible_host": "10.0.0.1"}, "b": {"ansible_host": "fd00:10::2"}}
BOTH = "10.0.0.0/24, fd00:10::/64"


def test_the_families_of_the_chosen_addresses_are_bound():
    """Ceph binds IPv4 and not IPv6 unless it is told; "" leaves that."""
    cases = [
        (V4, "10.0.0.0/24", None, "", ""),
        (V6, "fd00:10::/64", None, "false", "true"),
        # IPv4 was switched off here
        (V4, BOTH, None, "", ""),
        (V4, "fd00:10::/64,10.0.0.0/24", None, "", ""),
        (V6, BOTH, None, "false", "true"),
        (MIXED, BOTH, None, "", "true"),
        # a cluster network of the other family has to be bound, too; one of both families has the right one
        (V4, "10.0.0.0/24", "fd01::/64", "", "true"),
        (V6, "fd00:10::/64", "10.1.0.0/24", "", "true"),
        (V4, BOTH, "10.1.0.0/24, fd01::/64", "", ""),
        (V6, BOTH, "10.1.0.0/24, fd01::/64", "false", "true"),
    ]
    asked = []
    for hosts, public, cluster, _ipv4, _ipv6 in cases:
        ceph = {"public_network": public, **({"cluster_network": cluster} if cluster else {})}
        asked.append(question("__ceph_common_settings", "ceph_common", hosts, {"mons": ["a", "b"]}, "a", ceph=ceph, ceph_common_fsid="f"))
    found = answers(asked)
    assert [(one["ms_bind_ipv4"], one["ms_bind_ipv6"]) for one in found] == [case[3:] for case in cases]
    assert found[2] == {
        "fsid": "f",
        "mon_host": "10.0.0.1,10.0.0.2",
        "public_network": BOTH,
        "cluster_network": "",
        "ms_bind_ipv4": "",
        "ms_bind_ipv6": "",
    }
    assert found[5]["mon_host"] == "10.0.0.1,fd00:10::2"


TWICE = {"ansible_host": "a.example.org", "ansible_facts": facts("10.0.0.100", "10.0.0.1", default="192.0.2.5", hostname="a")}


def test_a_virtual_address_is_told_to_nobody():
    """The address that keepalived holds on a monitor's host is in no ceph.conf, no monmap and no gateway's URL."""
    hosts, groups, ceph = {"a": TWICE, "b": V4["b"]}, {"mons": ["a", "b"], "rgws": ["a"]}, {"ceph": {"public_network": "10.0.0.0/24"}}
    existing = {**ceph, "ceph_common_monmap": {"a": ["10.0.0.1"]}}
    routed = {**hosts, "a": {**TWICE, "ansible_facts": {**TWICE["ansible_facts"], "default_ipv4": {"address": "10.0.0.1"}}}}
    told, mon, url, refused, by_route, declared = answers(
        [
            question("__ceph_common_declared_mon_host", "ceph_common", hosts, groups, "b", **existing),
            question("ceph_mon_address", "ceph_mon", hosts, groups, "a", **existing),
            question("__ceph_rgw_all | map(attribute='urls') | flatten", "ceph_rgw", hosts, groups, "b", **existing),
            question("ceph_mon_address", "ceph_mon", hosts, groups, "a", **ceph),
            question("ceph_mon_address", "ceph_mon", routed, groups, "a", **ceph),
            # the module refuses one that differs from the current one
            question("ceph_mon_address", "ceph_mon", {**hosts, "a": {**TWICE, "ceph_common_address": "10.0.0.7"}}, groups, "a", **existing),
        ]
    )
    assert [told, mon, url, by_route, declared] == ["10.0.0.1,10.0.0.2", "10.0.0.1", ["http://10.0.0.1:8080"], "10.0.0.1", "10.0.0.7"]
    assert "10.0.0.100, 10.0.0.1" in refused["error"] and "ceph_common_address" in refused["error"]


def test_hosts_of_which_nothing_is_known_take_no_part_and_are_no_error():
    """Outside of --limit, with a name for ansible_host: neither facts nor an address are there."""
    unknown = {"ansible_host": "b.example.org"}
    hosts = {"a": {"ansible_host": "10.0.0.1"}, "b": unknown, "c": unknown}
    groups, ceph = {"mons": ["a", "b", "c"], "rgws": ["a", "b"]}, {"ceph": {"public_network": "10.0.0.0/24"}}
    alone = {**ceph, "ansible_play_hosts": ["a"], "ceph_common_fsid": "f"}
    existing = {**alone, "ceph_common_monmap": {"a": ["10.0.0.1"], "b": ["10.0.0.2"], "z": ["10.0.0.26"]}}
    told, unknowns, by_map, urls, declared, all_known, wanted, nobody = answers(
        [
            question("__ceph_common_settings.mon_host", "ceph_common", hosts, groups, "a", **alone),
            question("__ceph_common_unknown", "ceph_common", hosts, groups, "a", **alone),
            # c's monitor has another name than its host: it is the one that is left over
            question("__ceph_common_settings.mon_host", "ceph_common", hosts, groups, "a", **existing),
            question("__ceph_rgw_all | map(attribute='urls')", "ceph_rgw", hosts, groups, "a", **alone),
            # the endpoints of the zonegroup stay as they are, and those of a gateway that is known are waited for
            question("[__ceph_rgw_declared.endpoints, ceph_rgw_gateways | map(attribute='urls') | flatten]", "ceph_rgw", hosts, groups, "a", **alone),
            question("__ceph_rgw_declared.endpoints", "ceph_rgw", hosts, groups, "a", **existing),
            # but a host of this run has to have one
            question("__ceph_common_declared_mon_host", "ceph_common", hosts, groups, "a", **{**alone, "ansible_play_hosts": ["a", "b"]}),
            question(
                "__ceph_common_declared_mon_host",
                "ceph_common",
                {"a": unknown, "b": unknown, "c": unknown},
                groups,
                "a",
                **{**alone, "ansible_play_hosts": ["k"]},
            ),
        ]
    )
    assert told == "10.0.0.1" and unknowns == ["b", "c"] and by_map == "10.0.0.1,10.0.0.2,10.0.0.26"
    assert urls == [["http://10.0.0.1:8080"], []] and declared == [[], ["http://10.0.0.1:8080"]]
    assert all_known == ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]
    assert "b: has no address in ceph.public_network" in wanted["error"] and "ceph_common_address" in wanted["error"]
    assert "no monitor" in nobody["error"]
