# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts use which consumers, and what is wrong with that beside the inventory."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.cephstack.cloud.plugins.filter.consumer_keyrings import consumer_keyrings
from ansible_collections.cephstack.cloud.plugins.filter.consumers_of import consumers_of
from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _host_consumers

ROLES = {"mons": "mons", "kvm_hosts": "hypervisors", "xen_hosts": "xen_hosts"}
GROUPS = {"all": ["mon1", "kvm1", "kvm2"], "ungrouped": [], "mons": ["mon1"], "hypervisors": ["kvm1", "kvm2"], "fast": ["kvm2"]}
KVM = {"name": "kvm", "kind": "kvm", "hosts": ["hypervisors"], "pools": [{"name": "vms"}, {"name": "images", "access": "ro"}]}


def of_host(host: str, **said) -> list[str]:
    groups = [group for group, members in GROUPS.items() if host in members and group != "all"]
    return [one["name"] for one in _host_consumers.of_host([{**KVM, **said}], host, groups)]


def problems(*consumers, seen=None):
    declared = list(consumers)
    return _host_consumers.problems(declared, dict.fromkeys(GROUPS["all"], declared) | (seen or {}), GROUPS, ROLES)


@pytest.mark.parametrize(
    ("hosts", "using"),
    [
        (["hypervisors"], ["kvm1", "kvm2"]),
        (["fast"], ["kvm2"]),
        (["kvm1"], ["kvm1"]),
        (["kvm1", "fast"], ["kvm1", "kvm2"]),
        ("kvm1, fast", ["kvm1", "kvm2"]),
        (["all"], ["mon1", "kvm1", "kvm2"]),
        ([], []),
        (None, []),
    ],
)
def test_groups_and_hosts_say_who_uses_it(hosts, using):
    assert [host for host in GROUPS["all"] if of_host(host, hosts=hosts)] == using


def test_without_hosts_nobody_of_the_inventory_uses_it():
    bare = {key: value for key, value in KVM.items() if key != "hosts"}
    assert _host_consumers.of_host([bare], "kvm1", ["hypervisors"]) == []
    assert [one["name"] for one in _consumers.clients([bare])] == ["client.kvm"]
    assert _host_consumers.of_host(None, "kvm1", []) == []


def test_defaults_are_filled_in_and_the_declaration_is_left_alone():
    declared = {"name": "x", "hosts": "kvm1", "pools": [{"name": "vms"}], "rotate_before": "2026-11-01"}
    before = copy.deepcopy(declared)
    (found,) = _host_consumers.of_host([declared], "kvm1", [])
    assert found == {**declared, "client": "client.x", "kind": "rbd", "hosts": ["kvm1"], "pools": [{"name": "vms", "access": "rw", "namespace": ""}]}
    assert declared == before


def test_the_filter_chooses_by_kind_and_host():
    declared = [KVM, {"name": "cloud", "kind": "cloudstack", "hosts": ["fast"], "pools": [{"name": "c"}]}, {"name": "plain", "pools": [{"name": "p"}]}]

    def names(*arguments):
        return [one["name"] for one in consumers_of(declared, *arguments)]

    assert names(["kvm", "cloudstack"], "kvm1", ["hypervisors"]) == ["kvm"]
    assert names(["kvm", "cloudstack"], "kvm2", ["hypervisors", "fast"]) == ["kvm", "cloud"]
    assert names(["xen"], "kvm2", ["hypervisors", "fast"]) == []
    assert names(["cloudstack"]) == ["cloud"]
    assert names(["rbd"]) == ["plain"]


def test_the_service_of_its_kind_reads_a_keyring():
    declared = [
        {"name": "volumes", "kind": "cinder", "hosts": ["mon1"], "pools": [{"name": "volumes"}]},
        {"name": "backups", "kind": "cinder-backup", "hosts": ["mon1"], "pools": [{"name": "backups"}]},
        {"name": "nova", "kind": "nova", "client": "client.volumes", "hosts": ["kvm1"], "pools": [{"name": "vms"}]},
        KVM,
    ]

    def readers(host, *clients):
        groups = ["hypervisors"] if host != "mon1" else []
        return {one["client"]: one.get("reader") for one in consumer_keyrings(dict.fromkeys(clients, "key"), declared, host, groups)}

    assert readers("mon1", "client.volumes", "client.backups") == {"client.volumes": "cinder", "client.backups": "cinder"}
    assert readers("kvm1", "client.volumes", "client.kvm") == {"client.volumes": "nova", "client.kvm": None}


def test_nothing_is_wrong():
    # Of a group that would play a role there may be none.
    assert problems(KVM, {"name": "xen", "kind": "xen", "hosts": ["xen_hosts"], "pools": [{"name": "vms"}]}) == ([], [])
    assert problems({"name": "r", "kind": "rados", "pools": [{"name": "vms"}]}) == ([], [])
    assert _host_consumers.problems(None, {"kvm1": None}, GROUPS, ROLES) == ([], [])


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"hosts": ["kvm_hosts"]}, "consumers[0] (kvm): hosts: 'kvm_hosts' is neither a group nor a host of the inventory"),
        ({"hosts": ["kvm1", "kvm9"]}, "consumers[0] (kvm): hosts: 'kvm9' is neither"),
        ({"hosts": ["kvm1", "mons"]}, "set up on the hosts of the group hypervisors alone, and not on mon1: name others, or put it there"),
        ({"hosts": ["fast"], "kind": "xen"}, "what the kind xen needs is set up on the hosts of the group xen_hosts alone, and not on kvm2"),
        ({"hosts": ["fast"], "kind": "glance"}, "on the hosts of the groups openstack_controllers and openstack_hosts alone, and not on kvm2"),
        ({"hosts": ["kvm1"], "kind": "rados"}, "no hosts are set up for the kind rados: leave hosts out, and give client.kvm to those who use it"),
    ],
)
def test_what_is_wrong_with_hosts_is_told(said, problem):
    (found,), _warnings = problems({**KVM, **said})
    assert problem in found


OPENSTACK = {"openstack_controllers": ["mon1"], "openstack_hosts": ["kvm2"]}
GLANCE = {"name": "glance", "kind": "glance", "hosts": ["mon1"], "pools": [{"name": "images"}]}
CINDER = {"name": "cinder", "kind": "cinder", "hosts": ["mon1"], "pools": [{"name": "volumes"}, {"name": "images", "access": "ro"}]}
NOVA = {"name": "nova", "kind": "nova", "hosts": ["kvm1"], "pools": [{"name": "vms"}, {"name": "images"}]}


def of_openstack(*given):
    declared = list(given)
    return _host_consumers.problems(declared, dict.fromkeys(GROUPS["all"], declared), {**GROUPS, **OPENSTACK}, ROLES)


def test_openstack_s_services_are_used_where_they_run_here_or_elsewhere():
    assert of_openstack(GLANCE, CINDER, NOVA) == ([], [])
    elsewhere = [{**one, "hosts": ["kvm2"]} for one in (GLANCE, CINDER, NOVA)]
    assert of_openstack(*elsewhere) == ([], [])
    (found,), _warnings = of_openstack({**NOVA, "hosts": ["mon1"]})
    assert "groups hypervisors and openstack_hosts alone, and not on mon1" in found


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ([NOVA, {**NOVA, "name": "other"}], "kvm1: nova and other are both of kind nova, and a host has one nova-compute"),
        (
            [NOVA, {"name": "cs", "kind": "cloudstack", "hosts": ["kvm1"], "pools": [{"name": "cs"}]}],
            "kvm1: CloudStack (cs) and Nova (nova) cannot share a host",
        ),
        ([GLANCE, {**CINDER, "client": "client.glance"}], "mon1: client.glance is the client of cinder and glance, which run as different users"),
    ],
)
def test_what_a_host_cannot_be_at_once_is_told(declared, problem):
    (found,), _warnings = of_openstack(*declared)
    assert found.startswith(problem)
    assert of_openstack(CINDER, {**CINDER, "name": "backup", "kind": "cinder-backup", "client": "client.cinder"})[0] == []
    assert of_openstack(CINDER, {**NOVA, "client": "client.cinder"})[0] == []  # on different hosts


def test_who_cannot_read_the_images_is_warned_of():
    volumes, vms = {**CINDER, "pools": [{"name": "volumes"}]}, {**NOVA, "pools": [{"name": "vms"}]}
    found, warnings = of_openstack(GLANCE, volumes, vms)
    assert found == [] and warnings == [
        "cinder: may not read Glance's pool images, so that a volume of its images is a whole copy: add it to its pools, with access ro or rw",
        "nova: may not read Glance's pool images, so that no guest starts from its images: add it to its pools, with access ro or rw",
    ]
    assert of_openstack(GLANCE, CINDER, {**vms, "client": "client.cinder"}) == ([], [])  # by the rights of the same client
    assert of_openstack(volumes, vms) == ([], [])  # without Glance there are no images


def test_openstack_s_services_have_what_upstream_documents():
    """Ceph's documentation, "Block Devices and OpenStack"."""
    assert _consumers.caps_of(GLANCE) == {"mon": "profile rbd", "osd": "profile rbd pool=images", "mgr": "profile rbd pool=images"}
    more = {**CINDER, "pools": [{"name": "volumes"}, {"name": "vms"}, {"name": "images", "access": "ro"}]}
    assert _consumers.caps_of(more) == {
        "mon": "profile rbd",
        "osd": "profile rbd pool=volumes, profile rbd pool=vms, profile rbd-read-only pool=images",
        "mgr": "profile rbd pool=volumes, profile rbd pool=vms",
    }
    backup = {"name": "cinder-backup", "kind": "cinder-backup", "pools": [{"name": "backups"}]}
    assert _consumers.caps_of(backup) == {"mon": "profile rbd", "osd": "profile rbd pool=backups", "mgr": "profile rbd pool=backups"}
    assert _consumers.demands([GLANCE, more, backup]) == {name: {"rbd"} for name in ("images", "volumes", "vms", "backups")}
    for item in (GLANCE, more, backup):
        (problem,) = _consumers.problems({**item, "namespace": "n"}, [{**item, "namespace": "n"}])
        assert problem.startswith("namespace n: OpenStack's services use whole pools")
    reader = {**GLANCE, "pools": [{"name": "images", "access": "ro"}]}
    assert [text for text in _consumers.problems(reader, [reader]) if text.startswith("pools: glance keeps what it makes in the first pool that it may write")]


def test_a_host_that_has_a_list_of_its_own_is_refused():
    own = [{"name": "kvm", "kind": "kvm", "pools": [{"name": "vms"}]}]
    (found,), _warnings = problems(KVM, seen={"kvm1": own, "kvm2": own})
    assert found.startswith("kvm1, kvm2: consumers is another one than that of all hosts: declare it once for all hosts (group_vars/all), and say")
    (found,), _warnings = problems(KVM, seen={"kvm2": None})  # which uses one, and would not know
    assert found.startswith("kvm2: consumers is another one")
    assert problems(KVM, seen={"mon1": None}) == ([], [])
    (found,), _warnings = _host_consumers.problems(None, {"mon1": None, "kvm1": [KVM]}, GROUPS, ROLES)
    assert found.startswith("kvm1: consumers is another one")


def test_hosts_that_use_nothing_are_warned_of_where_a_consumer_names_none():
    found, (warning,) = problems({**KVM, "hosts": []})
    assert found == [] and warning.startswith(
        "kvm1, kvm2: use no consumer, and those of kind kvm (kvm) name no hosts: where they are to use one, write hosts: ["
    )
    assert problems(KVM, {**KVM, "name": "elsewhere", "hosts": []}) == ([], [])


EC = {"name": "kvm", "kind": "kvm", "pools": [{"name": "vms", "data_pool": "ec"}, {"name": "images", "access": "ro", "data_pool": "golden"}]}


def test_the_pool_of_images_data_has_the_same_rights():
    assert _consumers.caps_of(EC) == {
        "mon": "profile rbd",
        "osd": "profile rbd pool=vms, profile rbd pool=ec, profile rbd-read-only pool=images, profile rbd-read-only pool=golden",
        "mgr": "profile rbd pool=vms",
    }
    assert _consumers.demands([EC]) == {name: {"rbd"} for name in ("vms", "ec", "images", "golden")}
    (found,) = _consumers.derived([EC], None)
    assert [(pool["name"], pool["data_pool"]) for pool in found["pools"]] == [("vms", "ec"), ("images", "golden")]
    assert list(_consumers.problems(EC, [EC])) == []
    assert _consumers.granted({"name": "x", "pools": [{"name": "a", "data_pool": "c"}, {"name": "b", "data_pool": "c"}]}) == [
        ("a", "rw", ""),
        ("c", "rw", ""),
        ("b", "rw", ""),
    ]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"pools": [{"name": "vms", "data_pool": "vms"}]}, "data_pool: vms is the pool itself: leave it out"),
        ({"kind": "rados"}, "data_pool: images have one, and the kind rados has none: leave it out"),
        (
            {"pools": [{"name": "vms", "data_pool": "ec"}, {"name": "images", "access": "ro", "data_pool": "ec"}]},
            "the pool ec is given to client.kvm as rw and as ro",
        ),
    ],
)
def test_what_is_wrong_with_the_pool_of_data_is_told(said, problem):
    item = {**EC, **said}
    assert any(text.startswith(problem) for text in _consumers.problems(item, [item]))


def test_a_list_of_another_shape_is_told_elsewhere():
    for declared in ("kvm", {"kvm": {}}, [None, "kvm", {"kind": "kvm"}, {"name": "kvm", "hosts": ["kvm1"]}]):
        assert _host_consumers.problems(declared, {"kvm1": declared}, GROUPS, ROLES) == ([], [])


TENANT = {"name": "t", "namespace": "tenant", "pools": [{"name": "vms", "data_pool": "ec"}, {"name": "images", "access": "ro", "namespace": ""}]}


def test_a_namespace_is_that_of_all_its_pools_but_those_that_say_otherwise():
    assert _consumers.caps_of(TENANT) == {
        "mon": "profile rbd",
        "osd": "profile rbd pool=vms namespace=tenant, profile rbd pool=ec namespace=tenant, profile rbd-read-only pool=images",
        "mgr": "profile rbd pool=vms namespace=tenant",
    }
    assert _consumers.namespaces([TENANT, TENANT]) == [("vms", "tenant")]
    assert _consumers.demands([TENANT]) == {name: {"rbd"} for name in ("vms", "ec", "images")}
    (found,) = _consumers.derived([TENANT], None)
    assert [(pool["name"], pool["namespace"]) for pool in found["pools"]] == [("vms", "tenant"), ("images", "")]
    assert list(_consumers.problems(TENANT, [TENANT])) == []
    # With defaults filled in, as hosts get it, it means the same.
    (complete,) = _host_consumers.of_host([{**TENANT, "hosts": ["kvm1"]}], "kvm1", [])
    assert _consumers.caps_of(complete) == _consumers.caps_of(TENANT)
    objects = {**TENANT, "kind": "rados", "pools": [{"name": "a"}]}
    assert _consumers.caps_of(objects)["osd"] == "allow rwx pool=a namespace=tenant" and _consumers.namespaces([objects]) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"namespace": "a/b"}, "namespace 'a/b': a namespace has letters"),
        ({"namespace": "all*"}, "namespace 'all*': a namespace has letters"),
        ({"kind": "cloudstack"}, "namespace tenant: CloudStack's primary storage is a whole pool, and knows no namespaces: leave it out"),
        ({"kind": "xen"}, "namespace tenant: disks of Xen guests are declared by pool and image"),
        ({"pools": [{"name": "vms"}, {"name": "vms", "access": "ro"}]}, "the pool vms/tenant is given to client.t as rw and as ro"),
        ({"pools": [{"name": "vms", "access": "ro"}, {"name": "vms", "namespace": ""}]}, "the pool vms/tenant is given to client.t as rw and as ro"),
    ],
)
def test_what_cannot_be_in_a_namespace_is_told(given, problem):
    item = {**TENANT, **given}
    assert [text for text in _consumers.problems(item, [item]) if text.startswith(problem)]


def test_the_whole_pool_to_read_and_a_namespace_to_write_is_no_contradiction():
    item = {**TENANT, "pools": [{"name": "vms"}, {"name": "vms", "access": "ro", "namespace": ""}]}
    assert list(_consumers.problems(item, [item])) == []
