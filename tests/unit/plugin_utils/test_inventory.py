# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.cephstack.cloud.plugins.plugin_utils._inventory import Ambiguous, Host, address_of, networks, problems

CEPH = {"public_network": "10.77.0.0/24"}
ROLES = {"mons": "mons", "mgrs": "mgrs", "osds": "osds", "mdss": "mdss", "rgws": "rgws"}


def host(name, *groups, facts=None, **variables):
    return Host(name=name, groups=frozenset(groups), variables=variables, facts=facts or {})


def three(**changed):
    """Three sound hosts; changed replaces the variables of the named ones."""
    return [host(f"ceph{n}", "mons", "mgrs", "osds", **changed.get(f"ceph{n}", {"ansible_host": f"10.77.0.1{n}"})) for n in (1, 2, 3)]


def test_sound_inventory_has_no_problems():
    assert problems(three(), CEPH, ROLES) == ([], [])


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (host("a", ansible_host="10.77.0.9"), "10.77.0.9"),
        (host("a", ansible_host="192.0.2.9", facts={"all_ipv4_addresses": ["192.0.2.9", "10.77.0.8"]}), "10.77.0.8"),
        (host("a", ansible_host="10.77.0.9", ceph_common_address="10.77.0.7"), "10.77.0.7"),
        (host("10.77.0.5"), "10.77.0.5"),
        (host("a", ansible_host="a.example.org"), None),
        (host("a"), None),
    ],
)
def test_address(given, address):
    assert address_of(given, networks("10.77.0.0/24")) == address


def test_addresses_of_both_families():
    both = networks("10.77.0.0/24, fd00:77::/64")
    assert address_of(host("a", ansible_host="fd00:77::9"), both) == "fd00:77::9"


def test_two_hosts_with_one_address_are_both_named():
    found, _ = problems(three(ceph2={"ansible_host": "10.77.0.11"}), CEPH, ROLES)
    assert len(found) == 1 and "ceph1" in found[0] and "ceph2" in found[0] and "10.77.0.11" in found[0]


def test_every_problem_at_once():
    hosts = three(ceph1={"ansible_host": "192.0.2.1"}, ceph2={"ceph_common_address": "10.99.0.1"}, ceph3={"ceph_common_address": "ten"})
    found, _ = problems(hosts, CEPH, ROLES)
    assert ["ceph1" in found[0], "outside" in found[1], "not an IP address" in found[2]] == [True, True, True]


def test_even_number_of_monitors_is_a_warning():
    found, warnings = problems([*three(), host("ceph4", "mons", ansible_host="10.77.0.14")], CEPH, ROLES)
    assert found == [] and len(warnings) == 1 and "4 monitors" in warnings[0]


def test_network_that_is_none():
    found, _ = problems(three(), {"public_network": "10.77.0.0/99", "cluster_network": "x"}, ROLES)
    assert "ceph.public_network" in found[0] and "10.77.0.0/99" in found[0] and "ceph.cluster_network" in found[1]


def test_missing_network_and_missing_groups():
    found, _ = problems([host("ceph1", "osds", ansible_host="10.77.0.11")], {}, ROLES)
    assert any("public_network is empty" in problem for problem in found)
    assert any("group mons is empty" in problem for problem in found)


def test_group_names_are_parameters():
    hosts = [host(f"c{n}", "storage_mons", "mgrs", ansible_host=f"10.77.0.{n}") for n in (1, 2, 3)]
    assert problems(hosts, CEPH, {**ROLES, "mons": "storage_mons"}) == ([], [])


def test_device_used_twice():
    devices = [{"path": "/dev/disk/by-id/a", "db": "/dev/disk/by-id/b"}, {"path": "/dev/disk/by-id/b"}, {"path": "/dev/disk/by-id/a"}]
    found, _ = problems(three(ceph1={"ansible_host": "10.77.0.11", "ceph_osd_devices": devices}), CEPH, ROLES)
    assert len(found) == 2 and "ceph_osd_devices[2].path" in found[0] and "ceph_osd_devices[0].db" in found[1]


def test_one_db_device_may_serve_many_osds():
    devices = [{"path": "/dev/disk/by-id/a", "db": "/dev/disk/by-id/nvme"}, {"path": "/dev/disk/by-id/b", "db": "/dev/disk/by-id/nvme"}]
    assert problems(three(ceph1={"ansible_host": "10.77.0.11", "ceph_osd_devices": devices}), CEPH, ROLES) == ([], [])


def test_gateway_port_used_twice():
    instances = [{"name": "a", "port": 8080}, {"name": "b", "port": 8080}]
    found, _ = problems([*three(), host("g", "rgws", ansible_host="10.77.0.20", ceph_rgw_instances=instances)], CEPH, ROLES)
    assert len(found) == 1 and "port 8080" in found[0] and "g:" in found[0]


def twins(*groups, facts=({}, {})):
    """Two hosts of one short name, in other domains."""
    names = ("node1.dc1.example.org", "node1.dc2.example.org")
    return [host(name, *groups, ansible_host=f"10.77.0.2{n}", facts=facts[n]) for n, name in enumerate(names)]


def test_two_hosts_with_one_short_name_are_refused():
    found, _ = problems([*three(), *twins("mons", "rgws")], CEPH, ROLES)
    assert len(found) == 1, found
    for part in ("node1.dc1.example.org", "node1.dc2.example.org", "'node1'", "monitor", "object gateways", "another name"):
        assert part in found[0], part


@pytest.mark.parametrize("role", ["mons", "mgrs", "osds", "mdss", "rgws"])
def test_one_short_name_is_refused_in_every_group_that_names_by_it(role):
    found, _ = problems([*three(), *twins(role)], CEPH, ROLES)
    assert len(found) == 1 and "node1.dc1.example.org" in found[0] and "node1.dc2.example.org" in found[0]


def test_what_a_host_calls_itself_counts_where_it_is_known():
    same = ({"hostname": "localhost"}, {"hostname": "localhost"})
    found, _ = problems([*three(), *twins("osds", facts=same)], CEPH, ROLES)
    assert len(found) == 1 and "'localhost'" in found[0]
    others = ({"hostname": "a"}, {"hostname": "b"})
    assert problems([*three(), *twins("mgrs", "osds", facts=others)], CEPH, ROLES)[0] == []
    # the name of a gateway comes out of the inventory
    found, _ = problems([*three(), *twins("osds", "rgws", facts=others)], CEPH, ROLES)
    assert len(found) == 1 and "object gateways" in found[0] and "OSDs" not in found[0]


def test_one_short_name_without_a_group_in_common_is_a_warning():
    first, second = twins()
    hosts = [*three(), dataclasses.replace(first, groups=frozenset({"osds"})), dataclasses.replace(second, groups=frozenset({"mdss"}))]
    found, warnings = problems(hosts, CEPH, ROLES)
    assert found == [] and any("node1.dc1.example.org" in one and "node1.dc2.example.org" in one for one in warnings)


def test_names_of_nfs_clients_and_hypervisors():
    roles = {**ROLES, "nfs_gateways": "nfs_gateways", "kvm_hosts": "kvm_hosts", "xen_hosts": "xen_hosts"}
    found, _ = problems([*three(), host("nfs.a", "nfs_gateways"), host("nfs-a", "nfs_gateways")], CEPH, roles)
    assert len(found) == 1 and "nfs.a" in found[0] and "nfs-a" in found[0] and "client.nfs.nfs-a" in found[0]
    same = {"nodename": "hyper"}
    found, _ = problems([*three(), host("a", "kvm_hosts", facts=same), host("b", "xen_hosts", facts=same)], CEPH, roles)
    assert len(found) == 1 and "a and b" in found[0] and "'hyper'" in found[0]
    # not by the short name: a hypervisor's whole name is used
    assert problems([*three(), *twins("kvm_hosts")], CEPH, roles)[0] == []


def test_gateway_ports_are_those_of_the_frontends_text():
    def of(*instances):
        return problems([*three(), host("g", "rgws", ansible_host="10.77.0.20", ceph_rgw_instances=list(instances))], CEPH, ROLES)[0]

    both = {"name": "a", "port": 80, "frontends": "beast port=80 ssl_port=443 ssl_certificate=/c"}
    (found,) = of(both, {"name": "b", "port": 443, "certificate": "/c"})
    assert found == "g: two of ceph_rgw_instances have the port 443"
    here, there = ({"name": name, "port": 80, "frontends": f"beast endpoint={address}:80"} for name, address in (("a", "10.77.0.20"), ("b", "10.77.0.21")))
    assert of(here, there) == [], "each on an address of its own"
    assert of(here, {"name": "b", "port": 80}) == ["g: two of ceph_rgw_instances have the port 80"]
    (found,) = of({"name": "a", "port": 80, "frontends": "beast port=8080"})
    assert found == "g: ceph_rgw_instances: a: its port is 80, and its frontends listen on 8080: give the port that others use, or correct frontends"


def seen(*addresses, default=None, **more):
    """What setup says of a host with these addresses and this default route."""
    ipv6 = [one for one in addresses if ":" in one]
    route = {} if default is None else {f"default_ipv{6 if ':' in default else 4}": {"address": default}}
    return {"all_ipv4_addresses": [one for one in addresses if one not in ipv6], "all_ipv6_addresses": ipv6, **route, **more}


@pytest.mark.parametrize(
    ("facts", "network", "address"),
    [
        # keepalived's address is held here and comes first
        (seen("10.0.0.100", "10.0.0.11", default="10.0.0.11"), "10.0.0.0/24", "10.0.0.11"),
        (seen("fd00::100", "fd00::11", default="fd00::11"), "fd00::/64", "fd00::11"),
        # the default route goes elsewhere, and one address is left
        (seen("192.0.2.5", "10.0.0.11", default="192.0.2.5"), "10.0.0.0/24", "10.0.0.11"),
        # of several networks the first counts, as for Ceph itself
        (seen("10.0.0.11", "fd00::11", default="192.0.2.5"), "10.0.0.0/24, fd00::/64", "10.0.0.11"),
        (seen("10.0.0.11", "fd00::11", default="192.0.2.5"), "fd00::/64, 10.0.0.0/24", "fd00::11"),
        (seen("fd00:0:0:0::11"), "fd00::/64", "fd00::11"),
    ],
)
def test_a_virtual_address_is_not_taken_for_the_host_s_own(facts, network, address):
    assert address_of(host("a", ansible_host="a.example.org", facts=facts), networks(network)) == address


def test_several_addresses_of_which_none_is_the_default_route_s_are_ambiguous():
    twice = host("a", "mons", ansible_host="a.example.org", facts=seen("10.77.0.100", "10.77.0.31", default="192.0.2.5"))
    with pytest.raises(Ambiguous, match=r"10\.77\.0\.100, 10\.77\.0\.31.*ceph_common_address"):
        address_of(twice, networks("10.77.0.0/24"))
    found, _ = problems([*three(), twice], CEPH, ROLES)
    assert len(found) == 1 and "a:" in found[0] and "10.77.0.100" in found[0] and "ceph_common_address" in found[0]
    declared = dataclasses.replace(twice, variables={"ceph_common_address": "10.77.0.31"})
    assert problems([*three(), declared], CEPH, ROLES)[0] == []
    # no daemon of such a host is told an address, so it does not matter
    assert problems([*three(), dataclasses.replace(twice, groups=frozenset({"osds"}))], CEPH, ROLES)[0] == []
    assert len(problems([*three(), dataclasses.replace(twice, groups=frozenset({"rgws"}))], CEPH, ROLES)[0]) == 1


def test_the_current_monmap_s_address_wins():
    network = networks("10.0.0.0/24")
    monmap = {"a": ["10.0.0.11"], "b": ["10.0.0.12"]}
    twice = seen("10.0.0.100", "10.0.0.11", default="10.0.0.100")
    assert address_of(host("a", facts=twice), network, monmap) == "10.0.0.11"
    assert address_of(host("a.example.org", ansible_host="10.0.0.100", facts=twice), network, monmap) == "10.0.0.11"
    assert address_of(host("a", ceph_common_address="10.0.0.100", facts=twice), network, monmap) == "10.0.0.11"
    # by the name that the host itself has
    assert address_of(host("x", facts={**twice, "hostname": "a"}), network, monmap) == "10.0.0.11"
    # nothing else is known of it
    assert address_of(host("b", ansible_host="b.example.org"), network, monmap) == "10.0.0.12"
    # another host's monitor, with the same short name
    assert address_of(host("a.dc2", facts=seen("10.0.0.21", default="10.0.0.21")), network, monmap) == "10.0.0.21"
    ambiguous = host("a", "mons", facts=seen("10.77.0.100", "10.77.0.31"))
    assert problems([*three(), ambiguous], CEPH, ROLES, {"a": ["10.77.0.31"]})[0] == []


def test_hosts_need_an_address_of_the_monitors_families():
    ceph = {"public_network": "10.77.0.0/24, fd00::/64"}
    only_ipv6 = host("d", "osds", ansible_host="fd00::4", facts=seen("fd00::4", default="fd00::4"))
    found, _ = problems([*three(), only_ipv6], ceph, ROLES)
    assert len(found) == 1 and "d:" in found[0] and "IPv4" in found[0] and "ceph.public_network" in found[0]
    both = host("d", "osds", ansible_host="fd00::4", facts=seen("10.77.0.4", "fd00::4"))
    assert problems([*three(), both], ceph, ROLES)[0] == []
