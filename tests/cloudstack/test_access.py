# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that names the keys of the API nowhere: one task learns them, the others have them."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - {name: learn, cephstack.cloud.cloudstack_keys: {url: "{{ url }}", password: password, path: "{{ folder }}/keys.json", return_keys: false}, register: api}
- hosts: localhost
  gather_facts: false
  tasks:
    - cephstack.cloud.cloudstack_region: {zones: [{name: test-access, dns1: 192.0.2.53, guest_cidr: 10.1.1.0/24}]}
      check_mode: true
      register: made
    - cephstack.cloud.cloudstack_probe: {system_vms: {zones: [nowhere], timeout: 0}, buckets: {object_stores: [nothing]}}
      register: proven
      ignore_errors: true
    - cephstack.cloud.cloudstack_probe: {system_vms: {zones: [nowhere]}, buckets: {}}
      check_mode: true
      register: dry
    - ansible.builtin.copy:
        dest: "{{ folder }}/told"
        content: "{{ [api, made.changes | map(attribute='name'), proven.problems, dry] | to_json }}"
"""


@pytest.mark.stand_in
def test_the_keys_reach_the_modules_and_nobody_else(tmp_path, connection):
    (tmp_path / "play.yml").write_text(PLAY)
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local")}
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-vvv", "-i", "localhost,", "-c", "local", "play.yml"]
    given = ["-e", json.dumps({"url": connection["url"], "folder": str(tmp_path), "ansible_python_interpreter": sys.executable})]
    done = subprocess.run([*command, *given], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    kept = json.loads((tmp_path / "keys.json").read_text())
    assert not [name for name in ("api_key", "api_secret") if kept[name] in shown]
    api, changes, problems, dry = json.loads((tmp_path / "told").read_text())
    assert api["url"] == connection["url"] and not {"api_key", "api_secret"} & set(api)
    assert "test-access" in changes
    assert problems == ["there is no zone nowhere", "there is no object store nothing"]
    assert (dry["system_vms"], dry["buckets"], dry["changed"]) == ([], [], False)
