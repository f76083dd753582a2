# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs with --limit or --tags, where Ansible knows nothing of some hosts: their names lead to another network, and they have no facts.

Playbooks are run on this machine, which plays all hosts but one that is down.
"""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
PLAY = """
- hosts: rgws
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: cephstack.cloud.ceph_common, tasks_from: cluster}
      vars: {ceph_common_must_exist: false}
    - ansible.builtin.include_role: {name: cephstack.cloud.ceph_rgw, tasks_from: gateways, public: true}
    - ansible.builtin.copy:
        dest: "{{ found }}"
        content: "{{ {'gateways': __ceph_rgw_all, 'site': __ceph_rgw_declared, 'playing': ceph_rgw_gateways,
          'monitors': __ceph_common_addresses, 'down': ceph_common_cluster.down} | to_json }}"
      run_once: true
"""
NEEDS = """
- hosts: rgws
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: cephstack.cloud.ceph_common, tasks_from: cluster}
    - ansible.builtin.debug: {msg: "{{ 'went' ~ ' on' }}"}
"""


@pytest.fixture(scope="module")
def mine():
    """This machine's own address, by which its default route goes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no route")
        return route.getsockname()[0]


@pytest.fixture
def play(tmp_path, mine):
    """Run a playbook for three hosts, which are all of them monitors, managers and gateways; one is down."""
    down = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_retries": 0}
    hosts = {"here": {**LOCAL, "ansible_host": "here.example.org"}, "there": {**LOCAL, "ansible_host": "there.example.org"}, "down": down}
    ceph = {"public_network": f"{mine}/32"}
    groups = {group: {"hosts": {name: {} for name in hosts}} for group in ("mons", "mgrs", "rgws")}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": {"ceph": ceph}, "children": groups}}))
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY.replace("ROOT", str(ROOT)))

    def run(*arguments, which=playbook):
        command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), *arguments, str(which)]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local")}
        done = subprocess.run([*command, "-e", f"found={tmp_path / 'found'}"], capture_output=True, text=True, env=environment, check=False)
        return done.returncode, done.stdout + done.stderr

    run.found = tmp_path / "found"
    return run


def test_preflight_takes_no_offence_at_hosts_outside_of_the_limit(play):
    code, text = play("--tags", "preflight", "--limit", "here", which=ROOT / "playbooks" / "site.yml")
    assert code == 0, text
    assert "has no address" not in text


def test_addresses_of_hosts_outside_of_the_limit_are_asked_for(play, mine):
    code, text = play("--limit", "here")
    assert code == 0, text
    url = f"http://{mine}:8080"
    found = json.loads(play.found.read_text())
    assert {gateway["host"]: gateway["urls"] for gateway in found["gateways"]} == {"here": [url], "there": [url], "down": []}
    assert [gateway["host"] for gateway in found["playing"]] == ["here"]
    # a host that is down is no reason to tell other zones that it has no gateway
    assert found["site"]["endpoints"] == []
    assert found["monitors"]["addresses"] == {"here": mine, "there": mine} and list(found["monitors"]["unknown"]) == ["down"]
    # nor one without a monitor
    assert list(found["down"]) == ["down"] and "port 1" in found["down"]["down"]


@pytest.mark.parametrize("mode", ["", "--check"], ids=["run", "check"])
def test_a_role_that_needs_the_cluster_says_which_hosts_could_not_be_asked_for_it(play, tmp_path, mode):
    needs = tmp_path / "needs.yml"
    needs.write_text(NEEDS)
    code, text = play(*mode.split(), which=needs)
    assert code != 0 and "No monitor of the group mons can be asked." in text, text
    assert "went on" not in text
