# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action groups: every module is in the one of what it connects to, so that module_defaults says a connection once."""

from __future__ import annotations

import collections
import importlib
import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION as CEPH
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import CONNECTION_SPEC as CLOUDSTACK
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import CONNECTION as OPENSTACK
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.xenapi import CONNECTION_SPEC as XENAPI

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNTIME = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
GROUPS = RUNTIME["action_groups"]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
CONNECTIONS = {"ceph": CEPH, "cloudstack": CLOUDSTACK, "xenapi": XENAPI}
FRAGMENT = "cephstack.cloud.attributes.actiongroup_"


def module_of(name):
    return importlib.import_module(f"ansible_collections.cephstack.cloud.plugins.modules.{name}")


def test_every_module_is_in_exactly_one_group():
    assert set(GROUPS) == {*CONNECTIONS, "openstack", "host"}
    assert all(members == sorted(members) for members in GROUPS.values())
    assert sorted(member for members in GROUPS.values() for member in members) == MODULES


def test_a_module_is_in_the_group_of_its_connection():
    """So a default that the group is given is an option of each of its modules."""
    found = collections.defaultdict(list)
    for name in MODULES:
        fields = getattr(module_of(name), "FIELDS", {})
        if OPENSTACK.items() <= fields.items():
            found["openstack"].append(name)
            continue
        options = fields.get("connection", {}).get("options")
        found[next((group for group, connection in CONNECTIONS.items() if connection["options"] == options), "host")].append(name)
        assert not options or name not in found["host"], f"{name}: a connection of no group"
    assert found == GROUPS


def test_a_module_documents_its_group():
    documented = {}
    for name in MODULES:
        fragments = yaml.safe_load(module_of(name).DOCUMENTATION)["extends_documentation_fragment"]
        documented[name] = [fragment[len(FRAGMENT) :] for fragment in fragments if fragment.startswith(FRAGMENT)]
    assert documented == {name: [group] for group, members in GROUPS.items() for name in members}


def test_what_is_documented_of_a_group_is_that_group():
    fragments = importlib.import_module("ansible_collections.cephstack.cloud.plugins.doc_fragments.attributes").ModuleDocFragment
    for group in GROUPS:
        said = yaml.safe_load(getattr(fragments, f"ACTIONGROUP_{group.upper()}"))["attributes"]["action_group"]
        assert said["membership"] == [f"cephstack.cloud.{group}"] and f"C(group/cephstack.cloud.{group})" in said["description"]


def test_an_old_name_is_told_with_its_new_one():
    """Which is a module that is there, with the option that took its place."""
    old = {name: entry["tombstone"]["warning_text"] for name, entry in RUNTIME["plugin_routing"]["modules"].items() if "tombstone" in entry}
    assert old and not set(old) & set(MODULES)
    for text in old.values():
        new, options = re.fullmatch(r"It is cephstack\.cloud\.(\w+) now(?:, with the options? ([\w ]+))?\.", text).groups()
        assert set((options or "").split()) - {"and"} <= set(module_of(new).FIELDS)


PLAY = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/cephstack.cloud.ceph: {connection: {of_no_module: true}}
    group/cephstack.cloud.cloudstack: {connection: {url: "http://mgmt1", api_key: not-told, of_no_module: true}}
    group/cephstack.cloud.openstack: {of_no_module: true}
    group/cephstack.cloud.xenapi: {connection: {master: xcp1, password: not-told, of_no_module: true}}
  tasks:
    - cephstack.cloud.ceph_info:
      register: ceph
      ignore_errors: true
    - cephstack.cloud.ceph_info: {connection: {conf: FOLDER/ceph.conf}}
      check_mode: true
    - cephstack.cloud.cloudstack_region: {}
      register: cloudstack
      ignore_errors: true
    - cephstack.cloud.openstack_catalogue: {}
      register: openstack
      ignore_errors: true
    - cephstack.cloud.xen_pool: {repositories: []}
      register: xenapi
      ignore_errors: true
    - ansible.builtin.copy:
        dest: FOLDER/found
        content: "{{ {'ceph': ceph.msg, 'cloudstack': cloudstack.msg, 'openstack': openstack.msg, 'xenapi': xenapi.msg} | to_json }}"
"""


def test_defaults_reach_modules_by_their_group(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY.replace("FOLDER", str(tmp_path)))
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")]
    interpreter = ["-e", f"ansible_python_interpreter={sys.executable}"]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local")}
    done = subprocess.run([*command, *interpreter], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found").read_text())
    # The second task of Ceph's was not stopped by it: a task's own connection replaces that of the group.
    assert set(found) == {*CONNECTIONS, "openstack"}
    for group, message in found.items():
        assert "Unsupported parameters" in message and ("connection.of_no_module" if group in CONNECTIONS else "of_no_module") in message
