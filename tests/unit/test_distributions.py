# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles would install and write on a distribution, by the facts that Ansible gathers there (facts/*.json).

It shows that a role has all that it needs to say for a distribution, and not that its packages are there.
"""

from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml

from ansible_collections.cephstack.cloud.tests.unit.templating import answers, question

ROOT = pathlib.Path(__file__).resolve().parents[2]
FACTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((pathlib.Path(__file__).parent / "facts").glob("*.json"))}
DEBIAN = [name for name, facts in FACTS.items() if facts["os_family"] == "Debian"]


def tasks_of(role):
    def within(entries):
        for entry in entries or []:
            yield entry
            for name in ("block", "rescue", "always"):
                yield from within(entry.get(name))

    for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
        yield from within(yaml.safe_load(path.read_text(encoding="utf-8")))


LIBVIRT = next(task["cephstack.cloud.kvm_host"]["libvirt"] for task in tasks_of("kvm_host") if "libvirt" in task.get("cephstack.cloud.kvm_host", {}))
APPARMOR, USER, GROUP = (LIBVIRT[name].strip("{} ") for name in ("apparmor", "user", "group"))
# Where each role has something to say for the distribution; and what it comes to, of whatever type.
WHERE = {
    "ceph_common": [*FACTS],
    "kvm_host": [*FACTS],
    "nfs_gateway": [*FACTS],
    "xen_host": DEBIAN,
    "cloudstack_management": DEBIAN,
    "openstack_controller": ["debian-13"],
}
SAID = {
    "ceph_common": ["__ceph_common_wanted", "__ceph_common_repository_whole"],
    "kvm_host": ["__kvm_host_packages", APPARMOR, USER, GROUP],
    "nfs_gateway": ["__nfs_gateway_packages[ansible_facts['os_family']]"],
    "xen_host": ["__xen_host_packages", "__xen_host_files", "__xen_host_grub_files"],
    "cloudstack_management": [
        "__cloudstack_management_database_packages",
        "__cloudstack_management_database_files",
        "__cloudstack_management_database_units",
        "__cloudstack_management_repository_whole",
        "__cloudstack_management_has_connector",
    ],
    "openstack_controller": ["__openstack_controller_packages"],
}
# What is used on Debian's family only, though the role is for others too.
OF_DEBIAN = {"__ceph_common_repository_whole"}
# Nothing, and rightly so.
NOTHING = {(APPARMOR, "rocky-9"): "there is no AppArmor"}
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
GROUPS = ["mons", "mgrs", "osds", "mdss", "rgws"]
# What an operator declares for all of it.
DECLARED = {
    "ceph": {"public_network": "10.0.0.0/24", "packages": {"source": "repository", "repository": {"url": "https://ceph.example.org", "key": KEY}}},
    "group_names": GROUPS,
    "cloudstack_management_group": "cloudstack_management",
    "cloudstack": {"database": {"password": "x"}, "packages": {"repository": {"key": KEY}}},
    "openstack": {"database": {"host": "node1"}, "messages": {"host": "node1"}, "console": True},
    "xen_host": {"guests": [{"disks": [{"backend": "tapdisk_nbd"}]}]},
}
CONSUMERS = [{"name": "one", "kind": kind, "hosts": ["node1"], "pools": [{"name": "vms"}]} for kind in ("kvm", "xen")]


def expressions(role, name):
    return [expression for expression in SAID[role] if name in DEBIAN or expression not in OF_DEBIAN]


@pytest.fixture(scope="module")
def said():
    """What comes of each expression, by role and distribution."""
    asked = [(role, name, expression) for role, places in WHERE.items() for name in places for expression in expressions(role, name)]
    groups = {group: ["node1"] for group in [*GROUPS, "cloudstack_management"]}
    questions = []
    for role, name, expression in asked:
        # CloudStack has packages for Debian's family only.
        of_cloudstack = [{"name": "two", "kind": "cloudstack", "hosts": ["node1"], "pools": [{"name": "primary"}]}] * (name in WHERE["cloudstack_management"])
        more = {**DECLARED, "consumers": CONSUMERS + of_cloudstack}
        questions.append(question(expression, role, {"node1": {"ansible_facts": FACTS[name]}}, groups, "node1", **more))
    return dict(zip(asked, answers(questions)))


def texts(value):
    """Every text within a value."""
    if isinstance(value, (dict, list)):
        return [text for one in (value.values() if isinstance(value, dict) else value) for text in texts(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, places in WHERE.items() for name in places])
def test_a_role_says_all_that_a_distribution_needs(said, role, name):
    for expression in expressions(role, name):
        answer = said[role, name, expression]
        assert not (isinstance(answer, dict) and "error" in answer), f"{expression}: {answer}"
        if (expression, name) in NOTHING:
            assert answer == "", expression
        else:
            assert isinstance(answer, bool) or (answer and all(text.strip() for text in texts(answer))), f"{expression}: {answer}"
        assert not [text for text in texts(answer) if "{{" in text or "{%" in text or "Undefined" in text], expression


def test_packages_have_names_that_packages_can_have(said):
    """Each once; one that stands for a file is a whole path."""
    for (_role, name, expression), answer in said.items():
        if "packages" in expression or expression == "__ceph_common_wanted":
            assert len(answer) == len(set(answer)), (expression, name)
            assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+|/usr/s?bin/[a-z-]+", package) for package in answer), (expression, name)


def test_distributions_differ_where_they_do(said):
    """So that a table that is not found is not taken for another's."""
    apparmor = {name: said["kvm_host", name, APPARMOR] for name in FACTS}
    assert {name for name, path in apparmor.items() if path.endswith("local/abstractions/libvirt-qemu")} == {"debian-12", "ubuntu-22.04"}
    assert {name for name in FACTS if "ceph-radosgw" in said["ceph_common", name, "__ceph_common_wanted"]} == {"rocky-9"}
    server = {name: said["cloudstack_management", name, "__cloudstack_management_database_packages"] for name in DEBIAN}
    assert server == {name: ["mysql-server" if name.startswith("ubuntu") else "mariadb-server"] for name in DEBIAN}
    release = {name: said["ceph_common", name, "__ceph_common_repository_whole"]["suite"] for name in DEBIAN}
    assert release == {"debian-12": "bookworm", "debian-13": "trixie", "ubuntu-22.04": "jammy", "ubuntu-24.04": "noble"}


# Tasks that install the same everywhere, or on the controller; or what another role asks for.
THE_SAME = {"__lab_packages", "cloudstack_management_install", "ca-certificates", "python3-boto3"}


ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/tasks/main.yml"))


@pytest.mark.parametrize("role", ROLES)
def test_all_that_a_role_installs_is_asked_for(role):
    asked = {re.match(r"\w+", expression)[0] for expression in SAID.get(role, [])} | THE_SAME
    for task in tasks_of(role):
        for installer, wanted in (("ansible.builtin.apt", "name"), ("ansible.builtin.dnf", "name"), ("cephstack.cloud.apt_packages", "packages")):
            named = (task.get(installer) or {}).get(wanted) or []
            for text in [named] if isinstance(named, str) else named:
                assert re.match(r"[\w-]+", text.strip("{} "))[0] in asked, task["name"]


@pytest.mark.parametrize("role", [role for role in ROLES if WHERE.get(role) == [*FACTS]])
def test_what_is_of_one_family_is_done_there_only(role):
    of = {
        "ansible.builtin.apt": "Debian",
        "cephstack.cloud.apt_packages": "Debian",
        "ansible.builtin.dnf": "RedHat",
        "ansible.builtin.yum_repository": "RedHat",
    }
    for task in tasks_of(role):
        for module, family in of.items():
            assert module not in task or f"ansible_facts['os_family'] == '{family}'" in str(task.get("when")), task["name"]
