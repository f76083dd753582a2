# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What OpenStack offers: what is planned for what is there, and what is wrong with a declaration."""

from __future__ import annotations

import copy
import types
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import catalogue
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import Cloud
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments
from ansible_collections.cephstack.cloud.tests.unit.declaring import filled

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqJ0v7gB6r3s2l8w1f5s6p7d8e9f0a1b2c3d4e5f6a7"
DECLARED: dict[str, t.Any] = {
    "projects": [
        {
            "name": "team",
            "description": "A team",
            "quotas": {"compute": {"cores": 20}, "volume": {"gigabytes": 100, "gigabytes_fast": 50}, "network": {"port": 5}},
        }
    ],
    "roles": [{"name": "member"}],
    "users": [
        {
            "name": "anna",
            "password": "anna-secret",
            "roles": [{"role": "member", "project": "team"}, {"role": "reader", "system": True}],
            "default_project": "team",
        }
    ],
    "services": [{"type": "object-store", "name": "swift", "endpoints": [{"url": "http://gw:8080/swift", "region": "r1"}]}],
    "flavors": [
        {"name": "small", "vcpus": 1, "ram": 512, "extra_specs": {"hw:cpu_policy": "shared", "quota:flag": True}},
        {"name": "own", "vcpus": 2, "ram": 1024, "disk": 5, "public": False, "projects": ["team"]},
    ],
    "qos": [{"name": "slow", "specs": {"total_iops_sec": 500}}],
    "volume_types": [{"name": "fast", "backend": "fast", "qos": "slow", "public": False, "projects": ["team"]}],
    "networks": [
        {
            "name": "guests",
            "type": "flat",
            "physical_network": "physnet1",
            "subnets": [
                {"name": "v4", "cidr": "10.1.0.0/24", "pools": ["10.1.0.100 - 10.1.0.200"], "dns": ["10.1.0.2"], "routes": {"10.9.0.0/16": "10.1.0.9"}}
            ],
        },
        {"name": "guests", "project": "team", "mtu": 1400},
    ],
    "routers": [{"name": "edge", "external_network": "guests", "interfaces": [{"network": "guests", "subnet": "v4"}]}],
    "security_groups": [
        {"name": "web", "rules": [{"protocol": "TCP", "ports": "80-81", "remote": "10.0.0.0/8"}, {"protocol": "icmp"}, {"remote_group": "web"}]}
    ],
    "keypairs": [{"name": "laptop", "public_key": f"{KEY} anna@laptop"}, {"name": "laptop", "user": "anna", "public_key": KEY}],
    "discover_hosts": True,
}
# As the APIs of 2025.1 answer, cut down to what is read.
LISTS: dict[str, list[dict[str, t.Any]]] = {
    "projects": [{"id": "p1", "name": "team", "description": "A team", "enabled": True}],
    "roles": [{"id": "r1", "name": "member", "description": None, "domain_id": None}, {"id": "r2", "name": "reader", "domain_id": None}],
    "users": [{"id": "u1", "name": "anna", "enabled": True, "default_project_id": "p1"}],
    "grants": [
        {"role": {"id": "r1"}, "user": {"id": "u1"}, "scope": {"project": {"id": "p1"}}},
        {"role": {"id": "r2"}, "user": {"id": "u1"}, "scope": {"system": {"all": True}}},
    ],
    "regions": [{"id": "r1"}],
    "services": [{"id": "s1", "type": "object-store", "name": "swift", "enabled": True}],
    "endpoints": [
        {"id": f"e{one}", "service_id": "s1", "interface": one, "region_id": "r1", "url": "http://gw:8080/swift", "enabled": True}
        for one in ("public", "internal", "admin")
    ],
    "flavors": [
        {
            "id": "f1", "name": "small", "vcpus": 1, "ram": 512, "disk": 0, "OS-FLV-EXT-DATA:ephemeral": 0, "swap": 0, "os-flavor-access:is_public": True,
            "description": None, "extra_specs": {"hw:cpu_policy": "shared", "quota:flag": "true"},
        },
        {
            "id": "f2", "name": "own", "vcpus": 2, "ram": 1024, "disk": 5, "OS-FLV-EXT-DATA:ephemeral": 0, "swap": "", "os-flavor-access:is_public": False,
            "description": None, "extra_specs": {},
        },
    ],
    "flavor_access f2": [{"flavor_id": "f2", "tenant_id": "p1"}],
    "qos": [{"id": "q1", "name": "slow", "consumer": "front-end", "specs": {"total_iops_sec": "500"}}],
    "volume_types": [
        {"id": "t1", "name": "fast", "description": None, "is_public": False, "extra_specs": {"volume_backend_name": "fast"}, "qos_specs_id": "q1"}
    ],
    "volume_type_access t1": [{"volume_type_id": "t1", "project_id": "p1"}],
    "compute_quota p1": [{"id": "p1", "cores": 20, "ram": 51200}],
    "volume_quota p1": [{"id": "p1", "gigabytes": 100, "gigabytes_fast": 50}],
    "network_quota p1": [{"port": 5}],
    "networks": [
        {
            "id": "n1", "name": "guests", "provider:network_type": "flat", "provider:physical_network": "physnet1", "provider:segmentation_id": None,
            "mtu": 1500, "shared": False, "router:external": False, "admin_state_up": True, "port_security_enabled": True, "description": "",
        },
        {"id": "n2", "name": "guests", "project_id": "p1", "mtu": 1400},
        {"id": "n3", "name": "guests", "project_id": "another's"},
    ],
    "subnets": [
        {
            "id": "sn1", "name": "v4", "network_id": "n1", "cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.1", "enable_dhcp": True,
            "allocation_pools": [{"start": "10.1.0.100", "end": "10.1.0.200"}], "dns_nameservers": ["10.1.0.2"],
            "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.1.0.9"}],
        }
    ],
    "routers": [{"id": "ro1", "name": "edge", "admin_state_up": True, "external_gateway_info": {"network_id": "n1", "enable_snat": True}}],
    "router_ports": [{"id": "po1", "device_id": "ro1", "fixed_ips": [{"subnet_id": "sn1", "ip_address": "10.1.0.1"}]}],
    "security_groups": [
        {
            "id": "g1", "name": "web", "description": "",
            "security_group_rules": [
                {"id": "1", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 80, "port_range_max": 81,
                 "remote_ip_prefix": "10.0.0.0/8"},
                {"id": "2", "direction": "ingress", "ethertype": "IPv4", "protocol": "icmp", "remote_ip_prefix": "0.0.0.0/0"},
                {"id": "3", "direction": "ingress", "ethertype": "IPv4", "protocol": None, "remote_group_id": "g1"},
                {"id": "4", "direction": "egress", "ethertype": "IPv6", "protocol": None},
            ],
        }
    ],
    "keypairs u1": [{"keypair": {"name": "laptop", "public_key": f"{KEY} another comment"}}],
    "compute_services": [{"host": "kvm1", "state": "up"}, {"host": "kvm2", "state": "down"}],
    "hypervisors": [{"service": {"host": "kvm1"}}],
}  # fmt: skip
ADMINS = {"keypairs admin": [{"keypair": {"name": "laptop", "public_key": KEY}}]}


def planned(said: dict[str, t.Any], lists: dict[str, list[dict[str, t.Any]]], opened: bool = True) -> Plan:
    declaration = catalogue.with_consumers(filled(arguments(catalogue.OPTIONS), copy.deepcopy(said)))
    assert catalogue.declared_problems(declaration) == []
    cloud = Cloud(None, {**copy.deepcopy(lists), **ADMINS})
    cloud.user, cloud.opened = "admin", {"u1": opened}
    return catalogue.plan(declaration, cloud)


def changes(plan: Plan) -> dict[str, tuple[t.Any, t.Any]]:
    return {change.id: (change.before, change.after) for change in plan.changes}


def wrong(**said: t.Any) -> list[str]:
    return catalogue.declared_problems(filled(arguments(catalogue.OPTIONS), said), "catalogue.")


def test_what_is_as_declared_is_left_alone() -> None:
    assert changes(planned(DECLARED, LISTS)) == {}


def test_everything_is_made_in_the_order_that_the_apis_accept() -> None:
    plan = catalogue.plan(filled(arguments(catalogue.OPTIONS), copy.deepcopy(DECLARED)), Cloud(None))
    stages = [{change.id for change in stage} for stage in plan.stages()]
    order = {id_: number for number, stage in enumerate(stages) for id_ in stage}
    for before, after in (
        ("project/team", "user/anna"), ("user/anna", "grant/anna/team/member"), ("role/member", "grant/anna/team/member"),
        ("region/r1", "endpoint/object-store/r1/public"),
        ("qos/slow", "volume_type/fast"), ("project/team", "flavor/own"), ("volume_type/fast", "quota/team/volume"), ("network/guests", "subnet/guests/v4"),
        ("subnet/guests/v4", "router/edge"), ("user/anna", "keypair/anna/laptop"), ("project/team", "network/team/guests"),
    ):  # fmt: skip
        assert order[before] < order[after]
    assert "anna-secret" not in str(plan.diff()) + str(plan.to_json())


def drift(word: str, number: int, **values: t.Any) -> dict[str, list[dict[str, t.Any]]]:
    lists = copy.deepcopy(LISTS)
    lists[word][number].update(values)
    return lists


@pytest.mark.parametrize(
    ("lists", "found"),
    [
        (drift("projects", 0, description="other"), {"project/team": ({"description": "other"}, {"description": "A team"})}),
        (drift("users", 0, default_project_id=None), {"user/anna": ({"default_project": None}, {"default_project": "team"})}),
        (drift("endpoints", 1, url="http://old"), {"endpoint/object-store/r1/internal": ({"url": "http://old"}, {"url": "http://gw:8080/swift"})}),
        (drift("endpoints", 1, enabled=False), {"endpoint/object-store/r1/internal": ({"enabled": False}, {"enabled": True})}),
        (drift("compute_quota p1", 0, cores=5), {"quota/team/compute": ({"cores": 5}, {"cores": 20})}),
        (drift("volume_quota p1", 0, gigabytes_fast=-1), {"quota/team/volume": ({"gigabytes_fast": -1}, {"gigabytes_fast": 50})}),
        (drift("network_quota p1", 0, port=1), {"quota/team/network": ({"port": 1}, {"port": 5})}),
        (
            drift("flavors", 0, extra_specs={"hw:cpu_policy": "shared", "quota:flag": "true", "more": "1"}),
            {
                "flavor/small": (
                    {"extra_specs": {"hw:cpu_policy": "shared", "quota:flag": "true", "more": "1"}},
                    {"extra_specs": {"hw:cpu_policy": "shared", "quota:flag": "true"}},
                )
            },
        ),
        (drift("flavor_access f2", 0, tenant_id="p9"), {"flavor/own": ({"projects": ["p9"]}, {"projects": ["team"]})}),
        (drift("qos", 0, specs={"total_iops_sec": "9"}), {"qos/slow": ({"specs": {"total_iops_sec": "9"}}, {"specs": {"total_iops_sec": "500"}})}),
        (drift("volume_types", 0, qos_specs_id=None), {"volume_type/fast": ({"qos": ""}, {"qos": "slow"})}),
        (
            drift("volume_types", 0, extra_specs={"volume_backend_name": "slow", "kept": "1"}),
            {
                "volume_type/fast": (
                    {"extra_specs": {"volume_backend_name": "slow", "kept": "1"}},
                    {"extra_specs": {"volume_backend_name": "fast", "kept": "1"}},
                )
            },
        ),
        (drift("networks", 1, mtu=1500), {"network/team/guests": ({"mtu": 1500}, {"mtu": 1400})}),
        (drift("subnets", 0, dns_nameservers=[]), {"subnet/guests/v4": ({"dns": []}, {"dns": ["10.1.0.2"]})}),
        (drift("router_ports", 0, device_id="other"), {"router/edge": ({"interfaces": []}, {"interfaces": ["guests/v4"]})}),
        (drift("routers", 0, external_gateway_info=None), {"router/edge": ({"external_network": ""}, {"external_network": "guests"})}),
        (drift("compute_services", 1, state="up"), {"cell_host/kvm2": (None, {"host": "kvm2"})}),
    ],
    ids=lambda value: next(iter(value)) if "projects" not in value else "",
)
def test_a_drift_is_what_is_set_right(lists: dict[str, list[dict[str, t.Any]]], found: dict[str, tuple[t.Any, t.Any]]) -> None:
    assert changes(planned(DECLARED, lists)) == found


def test_what_was_deleted_is_made_again() -> None:
    lists = {**copy.deepcopy(LISTS), "grants": [], "flavors": LISTS["flavors"][1:], "endpoints": LISTS["endpoints"][1:]}
    assert set(changes(planned(DECLARED, lists))) == {"grant/anna/team/member", "grant/anna/system/reader", "flavor/small", "endpoint/object-store/r1/public"}


def test_rules_are_compared_as_a_whole_within_their_direction() -> None:
    lists = copy.deepcopy(LISTS)
    rules = lists["security_groups"][0]["security_group_rules"]
    rules[1]["protocol"] = "udp"
    (entry,) = planned(DECLARED, lists).diff()
    assert set(entry["before"]["rules"]) ^ set(entry["after"]["rules"]) == {"ingress IPv4 udp", "ingress IPv4 icmp"}
    assert "ingress IPv4 tcp 80-81 from 10.0.0.0/8" in entry["after"]["rules"]
    assert not any("egress" in rule for rule in entry["before"]["rules"])  # Neutron's own are left alone


def test_a_password_that_does_not_open_is_set_and_never_shown() -> None:
    plan = planned(DECLARED, LISTS, opened=False)
    (entry,) = plan.diff()
    assert entry["before_header"] == "user/anna" and set(entry["after"]) == {"password"}
    assert "anna-secret" not in str(plan.diff()) + str(plan.to_json()) + repr(plan.changes)


def test_a_password_is_the_user_s_own_where_that_is_declared() -> None:
    said = {"users": [{"name": "anna", "password": "anna-secret", "password_update": "on_create"}]}
    assert changes(planned(said, LISTS, opened=False)) == {}


def test_a_user_who_is_not_let_in_cannot_try_the_password() -> None:
    lists = drift("users", 0, enabled=False)
    said = {"name": "anna", "password": "anna-secret"}
    assert changes(planned({"users": [said]}, lists, opened=False)) == {}
    assert set(planned({"users": [{**said, "enabled": True}]}, lists, opened=False).changes[0].after) == {"enabled", "password"}


@pytest.mark.parametrize(
    ("said", "id_", "told"),
    [
        ({"flavors": [{"name": "small", "vcpus": 1, "ram": 1024}]}, "flavor/small", "ram is 512, and 1024 is declared"),
        ({"flavors": [{"name": "own", "vcpus": 2, "ram": 1024, "disk": 5}]}, "flavor/own", "public is False, and True is declared"),
        ({"networks": [{"name": "guests", "type": "local"}]}, "network/guests", "type is flat, and local is declared"),
        (
            {"networks": [{"name": "guests", "subnets": [{"name": "v4", "cidr": "10.2.0.0/24"}]}]},
            "subnet/guests/v4",
            "cidr is 10.1.0.0/24, and 10.2.0.0/24 is declared",
        ),
        ({"keypairs": [{"name": "laptop", "user": "anna", "public_key": "ssh-rsa AAAA"}]}, "keypair/anna/laptop", "another key is declared"),
    ],
)
def test_what_cannot_be_changed_is_refused_until_it_is_allowed(said: dict[str, t.Any], id_: str, told: str) -> None:
    plan = planned(said, LISTS)
    (refusal,) = plan.refusals()
    assert told in refusal and "deleted and made anew" in refusal and f"allow_loss: {id_}" in refusal
    assert plan.refusals([id_]) == []


def test_subnets_of_a_network_that_is_made_anew_are_made_again() -> None:
    subnet = {"name": "v4", "cidr": "10.1.0.0/24"}
    plan = planned({"networks": [{"name": "guests", "type": "local", "subnets": [subnet]}]}, LISTS)
    assert [(change.id, change.action) for stage in plan.stages() for change in stage] == [("network/guests", "update"), ("subnet/guests/v4", "create")]


@pytest.mark.parametrize(
    ("said", "id_", "loses"),
    [
        ({"projects": [{"name": "team", "state": "absent"}]}, "project/team", True),
        ({"roles": [{"name": "member", "state": "absent"}]}, "role/member", True),
        ({"users": [{"name": "anna", "state": "absent"}]}, "user/anna", True),
        ({"users": [{"name": "anna", "roles": [{"role": "member", "project": "team", "state": "absent"}]}]}, "grant/anna/team/member", True),
        ({"services": [{"type": "object-store", "state": "absent"}]}, "service/object-store", True),
        ({"flavors": [{"name": "small", "state": "absent"}]}, "flavor/small", False),
        ({"volume_types": [{"name": "fast", "state": "absent"}]}, "volume_type/fast", False),
        ({"qos": [{"name": "slow", "state": "absent"}]}, "qos/slow", False),
        ({"networks": [{"name": "guests", "state": "absent"}]}, "network/guests", True),
        ({"networks": [{"name": "guests", "subnets": [{"name": "v4", "state": "absent"}]}]}, "subnet/guests/v4", True),
        ({"routers": [{"name": "edge", "state": "absent"}]}, "router/edge", True),
        ({"security_groups": [{"name": "web", "state": "absent"}]}, "security_group/web", True),
        ({"keypairs": [{"name": "laptop", "user": "anna", "state": "absent"}]}, "keypair/anna/laptop", False),
    ],
)
def test_what_is_to_go_is_deleted(said: dict[str, t.Any], id_: str, loses: bool) -> None:
    (change,) = planned(said, LISTS).changes
    assert (change.id, change.action, change.risk is Risk.LOSS) == (id_, "delete", loses)
    gone: dict[str, list[dict[str, t.Any]]] = {word: [] for word in LISTS}
    assert id_ not in changes(planned(said, gone))


@pytest.mark.parametrize(("project", "subnet"), [("", "sn1"), ("team", "sn2"), ("lone", "sn1")])
def test_a_router_has_the_subnet_of_its_own_network_of_several_of_a_name(project: str, subnet: str) -> None:
    lists = drift("router_ports", 0, device_id="other")
    lists["projects"].append({"id": "p9", "name": "lone", "enabled": True})
    lists["routers"][0]["project_id"] = {"": "own", "team": "p1", "lone": "p9"}[project]
    # One of another project, without a subnet, comes first; then that of nobody's project, then the project's own.
    lists["networks"].insert(0, lists["networks"].pop())
    lists["subnets"].append({**lists["subnets"][0], "id": "sn2", "network_id": "n2"})
    sent: list[tuple[t.Any, ...]] = []
    client = types.SimpleNamespace(call=lambda *call: sent.append(call) or {}, own="own", roles={"service"})
    cloud = Cloud(None, lists)
    cloud.client, cloud.own = client, "own"
    router = {"name": "edge", "interfaces": [{"network": "guests", "subnet": "v4"}], **({"project": project} if project else {})}
    plan = catalogue.plan(filled(arguments(catalogue.OPTIONS), {"routers": [router]}), cloud)
    (change,) = plan.changes
    change.apply()
    assert sent == [("network", "PUT", "/routers/ro1/add_router_interface", {"subnet_id": subnet})]


def test_two_of_a_name_are_an_error_that_lists_them() -> None:
    lists = copy.deepcopy(LISTS)
    lists["networks"].append({"id": "n9", "name": "guests"})
    lists["services"].append({"id": "s9", "type": "object-store", "name": "other"})
    with pytest.raises(Invalid) as error:
        planned(DECLARED, lists)
    assert any("networks[0] (guests): there are 2 networks of the name guests (n1, n9): delete or rename all but one" in text for text in error.value.problems)
    assert any("services[0] (object-store): there are 2 services of the type object-store (s1, s9)" in text for text in error.value.problems)


def test_what_is_named_must_be_there_or_declared() -> None:
    said = {
        "users": [{"name": "anna", "roles": [{"role": "boss", "project": "nowhere"}]}],
        "volume_types": [{"name": "fast", "qos": "none"}],
        "projects": [{"name": "team", "quotas": {"compute": {"cors": 3}}}],
        "networks": [{"name": "guests", "subnets": [{"name": "new", "cidr": "10.1.0.128/25"}]}],
    }
    with pytest.raises(Invalid) as error:
        planned(said, LISTS)
    text = "\n".join(error.value.problems)
    assert "there is no project nowhere" in text and "there is no role boss" in text and "there is no qos none" in text
    assert "quotas.compute: cors: it knows cores, ram" in text
    assert "new: cidr: 10.1.0.128/25 overlaps 10.1.0.0/24 of v4, which is there and is not declared" in text


def test_a_volume_type_follows_from_each_pool_that_cinder_writes() -> None:
    pools = [{"name": "volumes"}, {"name": "fast"}, {"name": "images", "access": "ro"}]
    said = {"consumers": [{"name": "cinder", "kind": "cinder", "pools": pools}], "volume_types": [{"name": "fast", "backend": "fast", "description": "Fast"}]}
    assert changes(planned(said, LISTS)) == {
        "volume_type/fast": ({"description": ""}, {"description": "Fast"}),
        "volume_type/volumes": (None, {"extra_specs": {"volume_backend_name": "volumes"}}),
    }


def test_only_the_lists_of_what_is_declared_are_read() -> None:
    declaration = filled(arguments(catalogue.OPTIONS), {"flavors": [{"name": "small", "vcpus": 1, "ram": 512}]})
    words = {word for kind, value in catalogue._declared(declaration) for word in (kind.lists(value) if callable(kind.lists) else kind.lists)}
    assert words == {"flavors"}


def test_every_mistake_is_told_at_once() -> None:
    found = wrong(
        flavors=[{"name": "a", "vcpus": 0, "ram": 5}, {"name": "a", "vcpus": 1, "ram": 5, "disk": -1}],
        users=[{"name": "u", "password": "", "roles": [{"role": "x"}, {"role": "y", "project": "p", "system": True}]}],
        services=[{"type": "t", "endpoints": [{"url": "gw:8080", "region": "r"}, {"url": "http://x", "region": "r", "interfaces": ["public"]}]}],
        networks=[
            {"name": "n", "type": "vlan", "segment": 5000, "subnets": [
                {"name": "s", "cidr": "10.0.0.0/24", "gateway": "10.9.0.1", "pools": ["10.0.0.9-10.0.0.5", "10.0.0.1"]},
                {"name": "o", "cidr": "10.0.0.128/25"}, {"name": "w", "cidr": "10.0.0.1/24"},
            ]},
        ],
        security_groups=[{"name": "g", "rules": [{"remote": "10.0.0.1/8", "ports": "x"}, {"remote": "::/0"}]}],
        keypairs=[{"name": "k", "public_key": "-----BEGIN OPENSSH PRIVATE KEY-----"}],
        projects=[{"name": "p", "quotas": {"network": {"port": "many"}}}],
        images=[{"name": "i"}, {"name": "j", "file": "/f", "properties": {"status": "active"}}],
        routers=[{"name": "r", "snat": True}],
    )  # fmt: skip
    for part in (
        "catalogue.flavors[0] (a): vcpus is missing", "catalogue.flavors[1] (a): the name is declared twice", "catalogue.flavors[1] (a): disk is negative",
        "users[0] (u): the password is empty", "roles: x: say either project, or system: true", "roles: y: say either project",
        "'gw:8080' is no address", "two for public in the region r", "a network of type vlan needs physical_network", "a VLAN is 1 to 4094, and 5000",
        "subnets[0] (s): gateway: 10.9.0.1 is no address of 10.0.0.0/24", "pools: 10.0.0.9-10.0.0.5 begins after its end", "'10.0.0.1' is not two addresses",
        "subnets[1] (o): cidr: 10.0.0.128/25 overlaps 10.0.0.0/24 of s", "cidr: '10.0.0.1/24' is no network", "remote: '10.0.0.1/8' is no network",
        "ports: 'x' is neither", "::/0 is not of the family IPv4", "this is a private key", "quotas.network: port: 'many' is no number",
        "images[0] (i): say one of file and rbd",
        "properties: status: no property", "routers[0] (r): snat: say the external_network too",
    ):  # fmt: skip
        assert any(part in text for text in found), part
