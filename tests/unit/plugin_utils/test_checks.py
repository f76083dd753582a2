# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of an inventory with mistakes in every part of the stack everything is told at once, before a host is reached."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time

from ansible_collections.cephstack.cloud.plugins.plugin_utils._checks import CHECKS
from ansible_collections.cephstack.cloud.plugins.plugin_utils._stack import Stack

HERE = pathlib.Path(__file__).parent
# How each problem begins that is to be told of mistakes.yml, and nothing else is.
EXPECTED = """
ceph.cluster_network: '10.0.0.300/24' is not a network
m3: ceph_common_address 203.0.113.13 is outside ceph.public_network
m1: ceph_osd_devices[1].path /dev/disk/by-id/a is already used
m2: ceph_osd_devices[0]: unknown option 'encripted'
m3: ceph_osd_memory_share: 'most' is not a number
m1, m2, m3: ceph_cluster_poolz: there is no such variable
m1, m2, m3: ceph_cluster_pools[1] (images): unknown option 'aplications'
ceph_cluster_pools[0] (vms): min_size 3 is greater than size 2
m1, m2, m3: ceph_cluster_crush.rules[0] (fast): unknown option 'device_clas'
ceph_cluster_clients[0] (backup): the name of a client begins with 'client.'
consumers[0] (kvm): hosts: 'nobody' is neither a group nor a host
consumers[0] (kvm): the pool vms is given to client.kvm as rw and as ro
ceph_cluster_options: 'osdd' is no section
ceph_cluster_flags: 'noot' is no flag
ceph_cluster_filesystems[0] (cephfs): the pool cephfs.meta is used twice
m1: ceph_cluster_images: image images/golden: an image cannot be a clone of itself
m1: two of ceph_rgw_instances have the port 8080
m2: two of ceph_rgw_instances have the port 8080
m1, m2: ceph_rgw_site: zone is missing
m1: ceph_rgw_users: user demo: 'everything' is not a permission
m1: ceph_rgw_buckets: bucket one is declared twice
m1: ceph_rgw_objects[0] (one/a): path is missing
m2: nfs_gateway_exports[0] (/secondary): path 'secondary' is not absolute
k1: kvm_host_allow_emulation: 'perhaps' is neither true nor false
k1: kvm_host_bridgez: there is no such variable: one of kvm_host_allow_emulation, kvm_host_bridges
c1, k1, k2, m1, m2, x1: verify_gest: there is no such variable: one of verify_cloudstack, verify_guest
k1: kvm_host_bridges: the bridge br0 is declared twice
k2: kvm_host_bridges[0] (cloudbr0): unknown option 'interfaze'
x1: xen_host.rbd_backend: 'floppy' is not one of
x1: xen_host.guests[0] (web): disks[0] (xvda): client.xen has no rights on the pool other
p1: xen_pool.password: 'vault_of_a_pool' is undefined
p1: xen_pool.repositories[0] (sr1): a repository of type lvm needs image
c1: cloudstack.packages.repository.components is main, but
c1: cloudstack.admin_password is not set
c1: cloudstack.database_key: 'vault_that_nobody_has_opened' is undefined
c1, k1, k2: cloudstack.simulator: 'maybe' is neither true nor false
c1: cloudstack_region: unknown option 'userz'
c1: cloudstack_region.zones[0] (zone1).physical_networks[0] (net1): vlan: a VLAN is a number from 1 to 4094
c1: cloudstack_region.zones[0] (zone1).public_ranges[1]: end: 198.51.100.9 is not in the subnet
c1: cloudstack_region.zones[0] (zone1).public_ranges[0]: 192.0.2.170-192.0.2.199 overlaps 192.0.2.150-192.0.2.179
c1: cloudstack_region.zones[0] (zone1).physical_networks[0].traffic: the bridge cloudbr9 is not on k2
c1: cloudstack_region.primary_storage[0] (rbd): there is no consumer cloudstak
c1: cloudstack_region.image_stores[0] (cephfs): url: m2 does not export /elsewhere
c1: cloudstack_region.object_stores[0] (rgw): user: gone is to be absent by ceph_rgw_users
c1: cloudstack_region.disk_offerings[0] (big): size is 0
c1: cloudstack_region.service_offerings[0] (small): cpu_number is given alone
c1: cloudstack_region.networks[0] (lan): vlan: 'lots' is neither a number from 1 to 4094
c1: cloudstack_region.templates[0] (debian): url is missing
c1: cloudstack_region.templates[1] (marker): gateway: m3 is not in the group rgws
m1: verify_objects.users: ghost is not declared
k2: verify_guest.golden: the image images/nowhere is not declared
""".strip().splitlines()


def test_every_mistake_is_told_in_one_message() -> None:
    """Those of hosts outside of the limit, too."""
    command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-i", "mistakes.yml", "--limit", "k1:k2", "mistakes_playbook.yml"]
    begin = time.monotonic()
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_CALLBACK_FORMAT_PRETTY": "false"}
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=120, check=False)
    print(f"{len(EXPECTED)} mistakes in {time.monotonic() - begin:.1f} s")
    assert done.returncode == 2, done.stdout + done.stderr
    (failed,) = re.findall(r"FAILED! => (\{.*\})", done.stdout)
    first, *found = json.loads(failed)["msg"].splitlines()
    assert first == "the declaration cannot be met, nothing was touched:"
    for expected in EXPECTED:
        assert [line for line in found if line.startswith(f"- {expected}")], f"not told: {expected}"
    assert len(found) == len(EXPECTED) >= 30
    assert "WOULD BE CHANGED" not in done.stdout


def judged(groups: dict[str, list[str]], hosts: dict[str, dict], facts: dict[str, dict] | None = None, **shared: object) -> Stack:
    """What is said of hosts that have what is shared, and their own."""
    everywhere = {"ceph": {"public_network": "192.0.2.0/24"}, **shared}
    known = facts or {}
    stack = Stack(
        groups,
        {},
        lambda name: {**everywhere, **hosts.get(name, {})},
        lambda name, value: "secret" if "{{" in str(value) else value,
        lambda name: known.get(name, {}),
    )
    for check in CHECKS:
        for who, text in check(stack):
            stack.say(who, text)
    return stack


def region(**more: object) -> dict:
    traffic = [{"type": "management"}, {"type": "public"}, {"type": "guest", "kvm_label": "br7"}]
    pod = {"start": "192.0.2.50", "end": "192.0.2.60", "gateway": "192.0.2.1", "netmask": "255.255.255.0"}
    clusters = [{"name": "kvm", "hosts": [{"address": "k1"}]}]
    zone = {"name": "zone1", "dns1": "192.0.2.1", "physical_networks": [{"name": "net1", "vlan": "100-110", "traffic": traffic}]}
    return {"zones": [{**zone, "pods": [{"name": "pod1", **pod, "clusters": clusters}]}], **more}


CLOUD = {"cloudstack": {"database": {"password": "a"}, "admin_password": "b", "management_key": "c", "database_key": "d"}}
GROUPS = {"cloudstack_management": ["c1"], "kvm_hosts": ["k1"]}


def test_a_label_s_bridge_may_be_there_or_be_made() -> None:
    cloud = {**CLOUD, "cloudstack_region": region()}
    said = judged(GROUPS, {}, **cloud)
    assert said.problems == []
    assert any("the bridge br7 is not in kvm_host_bridges of k1" in text for text in said.warnings)
    said = judged(GROUPS, {"k1": {"kvm_host_bridges": [{"name": "br7"}]}}, **cloud)
    assert said.problems == said.warnings == []


def test_a_distribution_that_a_role_knows_nothing_of_is_told_before_it_is_tried() -> None:
    rocky = {"distribution": "Rocky", "os_family": "RedHat"}
    suse = {"distribution": "SLES", "os_family": "Suse"}
    groups = {"cloudstack_management": ["c1"], "kvm_hosts": ["k1", "k2"], "xen_hosts": ["x1"]}
    said = judged(groups, {}, {"c1": rocky, "k1": rocky, "k2": suse, "x1": rocky}, **CLOUD)
    assert said.problems == [
        "k2 has SLES, and hosts of kvm_hosts are made of Debian, Ubuntu and the EL family: take it out, or install one of them",
        "x1 has Rocky, and hosts of xen_hosts are made of Debian and Ubuntu: take it out, or install one of them",
        "c1 has Rocky, and hosts of cloudstack_management are made of Debian and Ubuntu: take it out, or install one of them",
    ]


def test_an_external_cluster_is_judged_with_all_that_is_declared_of_it() -> None:
    """On the host that asks it, which has what a monitor's host has for a cluster of one's own."""
    external = {"monitors": ["192.0.2.11"], "fsid": "7c5e3f6c-64ef-4c0e-8d9c-6f2f6a3a5e11", "client": "client.x", "key": "k"}
    groups = {"kvm_hosts": ["k1", "k2"]}
    right = {
        "ceph_cluster_pools": [{"name": "vms", "applications": ["rbd"]}],
        "consumers": [{"name": "kvm", "kind": "kvm", "hosts": ["kvm_hosts"], "pools": [{"name": "vms"}]}],
    }
    assert judged(groups, {}, ceph={"external": external}, **right).problems == []
    wrong = judged(
        groups,
        {},
        ceph={"external": external},
        ceph_cluster_pools=[{"name": "vms", "applications": ["rbd"], "size": 1, "min_size": 2}],
        ceph_cluster_prune=["pools"],
    )
    assert [text.partition(":")[0] for text in wrong.problems] == ["ceph_cluster_prune", "ceph_cluster_pools[0] (vms)"]
    ready = {**external, "client": None, "key": None, "client_keys": {"client.other": "k"}}
    (text,) = judged(groups, {}, ceph={"external": ready}, **right).problems
    assert text.startswith("ceph.external.client_keys: the key of client.kvm is missing")


def test_what_may_be_there_already_is_no_mistake() -> None:
    """A store on somebody's own server, a zone and a user that others have made."""
    stores = {
        "image_stores": [{"name": "nfs", "zone": "zone9", "url": "nfs://c1/export"}],
        "object_stores": [{"name": "s3", "url": "http://k1:80", "user": "theirs"}],
    }
    labelled = {"k1": {"kvm_host_bridges": [{"name": "br7"}]}}
    said = judged({**GROUPS, "rgws": ["r1"], "mons": ["r1"], "mgrs": ["r1"]}, labelled, **CLOUD, cloudstack_region=region(**stores))
    assert said.problems == []
    for text in ("c1 is not in the group nfs_gateways", "the zone zone9 is not declared", "k1 is not in the group rgws", "theirs is not declared"):
        assert len([warning for warning in said.warnings if text in warning]) == 1


def test_what_a_proof_of_cloudstack_names_may_be_there_already() -> None:
    """Such as a template that every server has."""
    labelled = {"k1": {"kvm_host_bridges": [{"name": "br7"}]}}
    guest = {"zone": "zone1", "template": "CentOS", "service_offering": "Small Instance", "network": "l2"}
    proof = {"verify_cloudstack": {"guests": [guest], "object_stores": ["rgw"]}}
    said = judged(GROUPS, labelled, **CLOUD, cloudstack_region=region(), **proof)
    assert said.problems == []
    assert [text.split(": ")[2].split(" is not")[0] for text in said.warnings] == ["CentOS", "Small Instance", "l2", "rgw"]


def test_what_a_proof_of_openstack_names_and_who_reads_it() -> None:
    passwords = {"admin_password": "a", "service_password": "b", "database": {"password": "c"}, "messages": {"password": "d"}}
    groups = {"mons": ["m1"], "mgrs": ["m1"], "openstack_controllers": ["o1"]}
    proof = {"guests": {"image": "marker", "flavor": "small", "volume_type": "fast"}, "volumes": {"types": ["fast", "slow"]}}
    catalogue = {"flavors": [{"name": "small", "ram": 64, "vcpus": 1, "disk": 0}], "images": [], "volume_types": []}
    cinder = {"name": "cinder", "kind": "cinder", "hosts": ["o1"], "pools": [{"name": "fast"}]}
    declared = {"ceph_cluster_pools": [{"name": "fast", "applications": ["rbd"]}], "openstack": passwords, "openstack_catalogue": catalogue}
    said = judged(groups, {}, **declared, consumers=[cinder], verify_openstack=proof)
    assert [text for text in said.problems if "verify_openstack" in text] == [
        "o1: verify_openstack.guests: there is no consumer of kind nova, with whose key it could be read from Ceph: declare it in consumers"
    ]
    assert [text.split(": ")[2] for text in said.warnings if "verify_openstack" in text] == [
        "marker is not declared in openstack_catalogue.images",
        "slow is not declared in openstack_catalogue.volume_types",
    ]


def test_namespaces_of_consumers_and_what_libvirt_can_do_with_them() -> None:
    tenant = {"name": "tenant", "kind": "kvm", "hosts": ["kvm_hosts"], "namespace": "tenant", "pools": [{"name": "vms"}]}
    groups = {"mons": ["m1"], "mgrs": ["m1"], "kvm_hosts": ["k1", "k2", "k3"]}
    systems = {"k1": ("Debian", "13"), "k2": ("Debian", "13"), "k3": ("Debian", "14")}
    facts = {name: {"distribution": system, "distribution_major_version": version, "os_family": "Debian"} for name, (system, version) in systems.items()}
    declared = {"ceph_cluster_pools": [{"name": "vms", "applications": ["rbd"]}], "consumers": [tenant]}
    said = judged(groups, {}, facts, **declared)
    assert said.problems == []
    (warning,) = [text for text in said.warnings if "namespace" in text]
    assert warning.startswith("k1, k2: libvirt of Debian 13 cannot name a namespace in a guest's disk, as tenant would need: 11.6 can")
    going = [{"pool": "vms", "name": "tenant", "state": "absent"}, {"pool": "old", "name": "x"}]
    said = judged(groups, {}, facts, **declared, ceph_cluster_namespaces=going)
    assert said.problems == ["m1: ceph_cluster_namespaces: namespace vms/tenant is declared absent, and a consumer is in it: keep one of both"]
    assert any(text.startswith("m1: ceph_cluster_namespaces (x): the pool old is not declared") for text in said.warnings)
    said = judged(groups, {}, facts, **{**declared, "consumers": [{**tenant, "kind": "cloudstack"}]})
    assert any(text.startswith("consumers[0] (tenant): namespace tenant: CloudStack's primary storage is a whole pool") for text in said.problems)


def test_what_is_to_be_absent_is_not_relied_on() -> None:
    pools = [{"name": "old", "state": "absent"}]
    consumers = [{"name": "kvm", "kind": "kvm", "pools": [{"name": "old"}, {"name": "theirs"}]}]
    images = [{"pool": "old", "name": "one", "size": "1G"}]
    files = [{"name": "fs", "state": "absent", "metadata_pool": "m", "data_pools": ["d"]}]
    buckets = [{"name": "b", "owner": "u", "state": "absent"}]
    objects = [{"bucket": "b", "key": "k", "owner": "u", "path": "/x"}]
    exports = [{"path": "/a", "filesystem": "fs", "clients": ["192.0.2.0/24"]}]
    groups = {role: ["h1"] for role in ("mons", "mgrs", "rgws", "nfs_gateways")}
    declared = {"ceph_cluster_pools": pools, "ceph_cluster_images": images, "ceph_cluster_filesystems": files, "nfs_gateway_exports": exports}
    said = judged(groups, {}, **declared, consumers=consumers, ceph_rgw_users=[{"uid": "u"}], ceph_rgw_buckets=buckets, ceph_rgw_objects=objects)
    assert said.problems == [
        "h1: ceph_cluster_images (old/one): the pool old is to be absent by ceph_cluster_pools: keep the pool, or use another",
        "h1: consumers (kvm): the pool old is to be absent by ceph_cluster_pools: keep the pool, or use another",
        "h1: ceph_rgw_objects: the bucket b is to be absent by ceph_rgw_buckets: keep one of both",
        "h1: nfs_gateway_exports[0]: the filesystem fs is to be absent by ceph_cluster_filesystems: keep one of both",
    ]
    assert said.warnings == ["h1: consumers (kvm): the pool theirs is not declared in ceph_cluster_pools: it must be there by then"]


def test_a_compute_host_knows_its_openstack() -> None:
    consumers = [{"name": "nova", "kind": "nova", "hosts": ["k1"], "pools": [{"name": "vms"}]}]
    passwords = {"admin_password": "a", "service_password": "b", "database": {"password": "c"}, "messages": {"password": "d"}}
    groups, more = {"all": ["k1", "k2", "o1"], "kvm_hosts": ["k1", "k2"]}, {"consumers": consumers, "kvm_host_allow_emulation": True}
    said = judged(groups, {}, **more)
    assert said.problems == ["k1: openstack is missing, and nova makes it a compute host: declare it for all hosts"]
    said = judged(groups, {}, **more, openstack=passwords)
    assert said.problems == ["k1: openstack.address is missing, and the inventory has no controllers: say where the APIs are, or put hosts into their group"]
    glance = {"name": "glance", "kind": "glance", "hosts": ["openstack_controllers"], "pools": [{"name": "images"}]}
    with_glance = {**more, "consumers": [*consumers, glance]}
    said = judged({**groups, "openstack_controllers": ["o1"]}, {}, **with_glance, openstack=passwords)
    assert said.problems == []
    networks = [{"name": "lan", "bridge": "br-lan"}, {"name": "wan", "bridge": "br-lan"}]
    rocky = {"k1": {"distribution": "Rocky", "os_family": "RedHat"}, "k2": {"distribution": "Rocky", "os_family": "RedHat"}}
    said = judged(groups, {}, rocky, **more, openstack={**passwords, "address": "192.0.2.5", "networks": networks})
    assert said.problems == [
        "k1: openstack.networks: the bridge br-lan is declared twice: name each once",
        "k1 has Rocky, and compute hosts are made of Debian and Ubuntu: take it out of nova",
    ]


OPENSTACK = {"openstack": {"admin_password": "a", "service_password": "b", "database": {"password": "c"}, "messages": {"password": "d"}}}
GLANCE = {"name": "glance", "kind": "glance", "hosts": ["openstack_controllers"], "pools": [{"name": "images"}]}
VOLUMES = [{"name": "volumes"}, {"name": "images", "access": "ro"}]
CINDER = {"name": "cinder", "kind": "cinder", "hosts": ["openstack_controllers"], "pools": VOLUMES}


def controllers(hosts: dict | None = None, facts: dict | None = None, **more: object) -> Stack:
    return judged({"openstack_controllers": ["o1"]}, hosts or {}, facts, **{**OPENSTACK, "consumers": [GLANCE, CINDER], **more})


def test_controllers_of_openstack_as_they_can_be_are_no_mistake() -> None:
    said = controllers()
    assert said.problems == said.warnings == []
    assert "there are no volumes" in controllers(consumers=[GLANCE]).warnings[0]


def test_what_controllers_of_openstack_cannot_be_is_told_before_anything_is_made() -> None:
    nova = {"name": "nova", "kind": "nova", "hosts": ["kvm_hosts"], "pools": [{"name": "vms"}, {"name": "images"}]}
    groups = {"openstack_controllers": ["o1"], "kvm_hosts": ["o1"]}
    both = judged(groups, {}, **OPENSTACK, consumers=[GLANCE, CINDER, nova])
    cases = [
        (controllers(consumers=[CINDER]), "o1: consumers: none of kind glance has o1 or a group of it among its hosts"),
        (controllers(consumers=[GLANCE, {**GLANCE, "name": "other"}]), "o1: consumers: glance and other are both of kind glance"),
        (controllers({"o1": {"ansible_host": "2001:db8::1"}}), "o1: its address is 2001:db8::1, and the packages serve OpenStack's APIs by IPv4 alone"),
        (
            controllers(facts={"o1": {"distribution": "Ubuntu", "os_family": "Debian"}}),
            "o1 has Ubuntu, and hosts of openstack_controllers are made of",
        ),
        (
            controllers(facts={"o1": {"distribution": "Debian", "os_family": "Debian", "distribution_major_version": "12"}}),
            "o1 has Debian 12, and controllers are made of Debian 13",
        ),
        (both, "o1: it is a controller and a compute host, whose services share one nova.conf"),
        (controllers(openstack={**OPENSTACK["openstack"], "database": {"password": "a/b"}}), "o1: openstack.database.password has what a URL must quote"),
    ]
    for said, text in cases:
        assert [problem for problem in said.problems if problem.startswith(text)], (text, said.problems)
        assert len(said.problems) == 1, said.problems


def test_what_openstack_is_to_offer() -> None:
    passwords = {"admin_password": "a", "service_password": "b", "database": {"password": "c"}, "messages": {"password": "d"}}
    consumers = [{"name": "glance", "kind": "glance", "hosts": ["o1"], "pools": [{"name": "images"}]}]
    offered = {
        "flavors": [{"name": "small", "vcpus": 1}],
        "volume_types": [{"name": "volumes", "backend": "volumes", "extra_specs": {"volume_backend_name": "x"}}],
    }
    said = judged({"all": ["o1"], "openstack_controllers": ["o1"]}, {}, openstack=passwords, consumers=consumers, openstack_catalogue=offered)
    assert [text.partition(":")[2].strip() for text in said.problems] == [
        "openstack_catalogue.flavors[0] (small): ram is missing: at least 1 is needed",
        "openstack_catalogue.volume_types[0] (volumes): extra_specs: volume_backend_name is what backend says: keep one of them",
    ]


def test_an_openstack_s_object_storage_is_a_gateway_of_the_inventory() -> None:
    passwords = {"admin_password": "a", "service_password": "b", "database": {"password": "c"}, "messages": {"password": "d"}}
    groups = {"rgws": ["g1"], "openstack_controllers": ["o1"], "all": ["g1", "o1"]}
    hosts = {"g1": {"ansible_host": "192.0.2.11"}, "o1": {"ansible_host": "192.0.2.31"}}
    said = {}
    for name in ("rgws", "g1", "o1", "nowhere"):
        found = judged(groups, hosts, openstack={**passwords, "object_gateway": name}).problems
        said[name] = [text for text in found if "object_gateway" in text]
    assert said == {
        "rgws": [],
        "g1": [],
        "o1": ["openstack.object_gateway: o1 is not in the group rgws, and so no object gateway: name one"],
        "nowhere": ["openstack.object_gateway: 'nowhere' is neither a group nor a host of the inventory: name a gateway's"],
    }
