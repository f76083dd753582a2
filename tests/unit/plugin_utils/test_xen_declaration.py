# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.cephstack.cloud.plugins.plugin_utils._inventory import Host
from ansible_collections.cephstack.cloud.plugins.plugin_utils._stack import specification
from ansible_collections.cephstack.cloud.plugins.plugin_utils._xen_declaration import problems

ROLES = {"xen_hosts": "xen_hosts", "kvm_hosts": "kvm_hosts", "osds": "osds"}
XEN = {"name": "xen", "kind": "xen", "hosts": ["xen_hosts"], "pools": [{"name": "vms"}, {"name": "images", "access": "ro"}]}
TRIXIE = {"distribution": "Debian", "distribution_version": "13.1"}


def host(name="xen1", groups=("xen_hosts",), consumers=(XEN,), facts=TRIXIE, **xen_host):
    checked = ArgumentSpecValidator({"xen_host": specification("xen_host")["xen_host"]}).validate({"xen_host": xen_host})
    assert not checked.error_messages
    return Host(name, frozenset(groups), {**checked.validated_parameters, "consumers": list(consumers)}, facts)


def guest(name="web", image="web", **disk):
    return {"name": name, "disks": [{"pool": "vms", "image": image, **disk}]}


def test_nothing_is_wrong():
    hosts = [host(guests=[guest()]), host("xen2", guests=[guest("db", "db", backend="tapdisk_nbd")]), host("xen3", consumers=[]), Host("a", frozenset(), {})]
    assert problems(hosts, ROLES) == ([], [])


def test_hosts_of_other_groups_are_not_looked_at():
    assert problems([host(groups=["kvm_hosts"], guests=[guest(image="a:b")])], ROLES) == ([], [])


def test_one_host_is_not_of_both_hypervisors():
    found, _ = problems([host(groups=["xen_hosts", "kvm_hosts"])], ROLES)
    assert len(found) == 1 and found[0].startswith("xen1: is in the groups xen_hosts and kvm_hosts")


def test_osds_beside_the_kernel_s_client_are_a_warning():
    found, warnings = problems([host(groups=["xen_hosts", "osds"])], ROLES)
    assert found == [] and warnings[0].startswith("xen1: maps images by the kernel and holds OSDs")


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"guests": [guest(device="sdx9z")]}, "device 'sdx9z' is none of Xen's"),
        ({"guests": [guest(image="a:b")]}, "':' separates the words of a disk"),
        ({"guests": [guest(consumer="kvm")]}, "consumer 'kvm' is none of this host's"),
        ({"guests": [guest(pool="images")]}, "client.xen may only read the pool images"),
        ({"guests": [guest(pool="vns")]}, "client.xen has no rights on the pool vns"),
        ({"guests": [guest(), guest("db")]}, "the image vms/web is written by one guest while another has it"),
        ({"consumers": [], "guests": [guest()]}, "declare one that names this host in its hosts (consumers)"),
    ],
)
def test_what_is_wrong_on_one_host(declared, said):
    found, _ = problems([host(**declared)], ROLES)
    assert len(found) == 1 and found[0].startswith("xen1: xen_host") and said.lower() in found[0].lower()


@pytest.mark.parametrize(("distribution", "version"), [("Debian", "12.11"), ("Ubuntu", "24.04")])
def test_a_xen_without_tap(distribution, version):
    facts = {"distribution": distribution, "distribution_version": version}
    found, _ = problems([host(facts=facts, rbd_backend="tapdisk_aio", guests=[guest(backend="tapdisk_nbd"), guest("db", "db")])], ROLES)
    assert ["tapdisk_aio" in found[0], "tapdisk_nbd" in found[1], "4.17" in found[1]] == [True, True, True] and len(found) == 2
    assert problems([host(facts=facts, guests=[guest()])], ROLES) == ([], [])
    assert problems([host(facts={}, rbd_backend="tapdisk_aio")], ROLES) == ([], []), "a host outside --limit has no facts"


def test_a_guest_may_be_declared_wherever_it_can_run():
    assert problems([host(guests=[guest()]), host("xen2", guests=[guest()])], ROLES) == ([], [])


def test_two_guests_of_one_image_on_two_hosts():
    found, _ = problems([host(guests=[guest()]), host("xen2", guests=[guest("db")])], ROLES)
    assert len(found) == 1 and "the image vms/web is written by one guest while another has it: web on xen1 and db on xen2" in found[0]
    alike = [host(guests=[guest(exclusive=False)]), host("xen2", guests=[guest("db", exclusive=False)])]
    assert problems(alike, ROLES) == ([], [])
    readers = [host(guests=[guest(mode="r")]), host("xen2", guests=[guest("db", mode="r")])]
    assert problems(readers, ROLES) == ([], [])


@pytest.mark.parametrize("backend", ["krbd_static", "rbd_nbd", "tapdisk_aio"])
def test_an_exclusive_image_is_not_mapped_at_boot_on_two_hosts(backend):
    found, _ = problems([host(guests=[guest(backend=backend)]), host("xen2", guests=[guest(backend=backend)])], ROLES)
    assert len(found) == 1 and "only one could hold it" in found[0] and "xen2" in found[0]
    found, _ = problems([host(guests=[guest(backend=backend, exclusive=False)]), host("xen2", guests=[guest(backend=backend, exclusive=False)])], ROLES)
    assert found == []


def test_every_problem_of_every_host_at_once():
    found, _ = problems([host(guests=[guest(image="a:b"), guest("db", pool="vns")]), host("xen2", groups=["xen_hosts", "kvm_hosts"])], ROLES)
    assert len(found) == 3
