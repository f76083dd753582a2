# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of all hosts' variables before anything is touched: what is right, what is wrong, what is not known yet."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleError

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _stack
from ansible_collections.cephstack.cloud.plugins.plugin_utils._checks import CHECKS
from ansible_collections.cephstack.cloud.plugins.plugin_utils._stack import RENAMED, ROLES, Stack

ROOT = pathlib.Path(__file__).resolve().parents[3]
CEPH = {"ceph": {"public_network": "192.0.2.0/24"}}


def render(_name: str, value: t.Any) -> t.Any:
    """As Ansible does: all of it, or an error."""
    if isinstance(value, dict):
        return {key: render(_name, one) for key, one in value.items()}
    if isinstance(value, list):
        return [render(_name, one) for one in value]
    if value == "{{ later }}":
        raise AnsibleError("'later' is undefined")
    return value


def stack(groups: dict[str, list[str]], variables: t.Mapping[str, t.Any], table: t.Optional[dict[str, str]] = None, **of: t.Mapping[str, t.Any]) -> Stack:
    """variables: of all hosts; of: of single ones."""
    return Stack(groups, {}, lambda name: {**CEPH, **variables, **of.get(name, {})}, render, table=table or {})


def test_an_old_name_is_told_with_the_new_one() -> None:
    table = {"ceph_osd_discs": "ceph_osd_devices", "kvm_host_bridges[].nic": "kvm_host_bridges[].interface", "xen_host.kernel.memory": "xen_host.boot.memory"}
    bridges = {"kvm_host_bridges": [{"name": "br0", "nic": "eth0"}]}
    given = stack({"osds": ["a", "b"], "kvm_hosts": ["a"], "xen_hosts": ["c"]}, {}, table, a={"ceph_osd_discs": [], **bridges}, b={"ceph_osd_discs": []})
    assert given.problems == [
        "a, b: ceph_osd_discs is called ceph_osd_devices now: rename it",
        "a: kvm_host_bridges[].nic is called kvm_host_bridges[].interface now: rename it",
    ]
    given = stack({"xen_hosts": ["c"]}, {"xen_host": {"kernel": {"memory": "1G"}}}, table)
    assert given.problems[0] == "c: xen_host.kernel.memory is called xen_host.boot.memory now: rename it"


def test_what_was_renamed_leads_to_what_there_is() -> None:
    entries = [_stack.specification(entry) for entries in ROLES.values() for entry in entries]
    for old, new in RENAMED.items():
        assert any(new.split(".")[0].split("[")[0] in options for options in entries), f"{old} leads nowhere"
        assert not any(old in options for options in entries), f"{old} is still there"


def test_every_role_of_the_playbook_is_judged() -> None:
    """Where its hosts are declared, and by the entry point that runs; so it need not be judged there again, whatever tags a run has."""
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8"))
    seen = set()
    for play in plays:
        groups = re.sub(r"\{\{.*\}\}", "", play["hosts"]).partition("[")[0].split(":")
        for role in (task[key] for task in play.get("tasks", ()) for key in task if key.endswith((".include_role", ".import_role"))):
            entry = "/".join(filter(None, (role["name"].rpartition(".")[2], role.get("tasks_from"))))
            assert role["rolespec_validate"] is False, entry
            main = entry.partition("/")[0]
            if entry == "ceph_common/maintenance":  # it only asks who is left alone
                continue
            if entry == "ceph_common/compare":  # its options are among those of the role itself
                assert set(_stack.specification(entry)) <= set(_stack.specification(main))
                entry = main
            assert "always" in play["tags"] if entry == "preflight" else all(entry in ROLES[group] for group in groups), f"{entry} of {groups}"
            seen.add(entry)
        assert "roles" not in play, "these validate"
    assert seen == {"preflight", *(entry for entries in ROLES.values() for entry in entries)}


def test_hosts_with_one_problem_are_told_together() -> None:
    given = stack({"kvm_hosts": ["a", "b"]}, {"kvm_host_allow_emulation": "perhaps"}, b={"kvm_host_bridges": [{"interface": "eth0"}]})
    assert given.problems == ["a, b: kvm_host_allow_emulation: 'perhaps' is neither true nor false", "b: kvm_host_bridges[0]: name is missing"]


def test_what_is_right_is_complete_with_its_defaults() -> None:
    given = stack({"mons": ["a"]}, {"ceph_cluster_filesystems": [{"name": "one"}]})
    assert given.value("a", "ceph_cluster_filesystems")[0]["state"] == "present"
    assert given.value("a", "ceph_cluster_images") == []
    assert given.value("nobody", "ceph_cluster_images") is None
    assert given.first("mons", "ceph_cluster_images") == []
    assert given.first("rgws", "ceph_rgw_users") is None


def test_a_misspelt_option_does_not_hide_what_else_is_wrong() -> None:
    given = stack({"kvm_hosts": ["a"]}, {"kvm_host_bridges": [{"name": "br0", "nic": "eth0"}]})
    assert given.value("a", "kvm_host_bridges") == [{"name": "br0", "interface": None}]
    assert given.problems == ["a: kvm_host_bridges[0] (br0): unknown option 'nic': one of name, interface"]


def test_of_what_is_wrong_no_more_is_said() -> None:
    """A list of which one item is wrong is not known: what refers to that item is not wrong for it."""
    region = {"zones": [{"name": "zone1"}], "networks": [{"name": "lan", "zone": "zone1", "vlan": "lots"}]}
    given = stack({"cloudstack_management": ["a"]}, {"cloudstack_region": region, "cloudstack": {}})
    assert given.value("a", "cloudstack_region").get("zones") is None or given.value("a", "cloudstack_region")["zones"] == []
    assert given.value("a", "cloudstack_region")["networks"][0]["state"] == "present"


def test_what_is_not_known_yet_is_no_mistake() -> None:
    """And the rest of it is judged."""
    exports = [{"path": "/a", "filesystem": "{{ later }}", "clients": ["{{ later }}"], "acess": "ro"}]
    given = stack({"nfs_gateways": ["a"], "mons": ["b"], "mgrs": ["b"]}, {"nfs_gateway_exports": exports}, b={"ceph_cluster_pools": "{{ later }}"})
    for check in CHECKS:
        for who, text in check(given):
            given.say(who, text)
    assert given.unchecked == [
        "a: nfs_gateway_exports[0].filesystem: 'later' is undefined",
        "a: nfs_gateway_exports[0].clients[0]: 'later' is undefined",
        "b: ceph_cluster_pools: 'later' is undefined",
    ]
    (problem,) = [text for text in given.problems if "address" not in text]
    assert problem.startswith("a: nfs_gateway_exports[0]: unknown option 'acess'")


@pytest.mark.parametrize("facts", [{}, {"all_ipv4_addresses": ["203.0.113.7"]}])
def test_a_host_without_facts_may_have_an_address_that_nobody_knows(facts: dict[str, t.Any]) -> None:
    groups = {"mons": ["a"], "mgrs": ["a"]}
    given = Stack(groups, {}, lambda name: {**CEPH, "ansible_host": "a.example.org"}, render, facts=lambda name: facts)
    found = [text for check in CHECKS for _who, text in check(given)]
    assert any("has no address in ceph.public_network" in text for text in found) is bool(facts)


def test_the_secrets_of_a_declaration_are_in_no_message() -> None:
    database = {"password": "hush hush", "prot": 1}
    secrets = {"database": database, "admin_password": ["hush hush"], "management_key": "hush hush", "database_key": True}
    given = stack({"cloudstack_management": ["a"]}, {"cloudstack": secrets})
    for check in CHECKS:
        if check.__name__ != "of_secrets":  # asks Ansible's own templates
            for who, text in check(given):
                given.say(who, text)
    assert len(given.problems) == 3
    assert "hush" not in str(given.problems + given.warnings + given.unchecked)
