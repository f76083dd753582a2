# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run learns of how to reach a cluster, and who is given it: by playbooks that are run on this machine, which plays all hosts.

Their modules are of a collection made up here; they only say what they were given. The action plugins are the collection's own.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _access

ROOT = pathlib.Path(__file__).resolve().parents[3]
KEY = "AQthiskeymustnotbeshown=="
RUNNING = {"state": "running", "mon_host": "10.0.0.1", "key": KEY, "fsid": "AAAA", "conf_fsid": "BBBB", "addresses": {"a": ["10.0.0.1"]}}


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch):
    monkeypatch.setattr(_access, "CEPH", _access.Memory())


def test_processes_that_are_forked_later_share_it():
    memory = _access.Memory()
    for number in range(3):
        process = multiprocessing.get_context("fork").Process(target=memory.keep, args=(f"name {number}", {"key": KEY}))
        process.start()
        process.join()
    assert memory.recall() == {f"name {number}": {"key": KEY} for number in range(3)}


def test_what_is_not_whole_counts_as_not_there():
    memory = _access.Memory()
    assert memory.recall() == {}
    memory.keep("name", "value")
    memory._shared[12] ^= 1
    assert memory.recall() == {}


def test_what_there_is_no_room_for_is_refused_and_the_rest_stays():
    memory = _access.Memory(4096)
    memory.keep("name", "value")
    with pytest.raises(ValueError, match="more than is kept"):
        memory.keep("another", "x" * 5000)
    assert memory.recall() == {"name": "value"}


def test_a_running_cluster_counts_more_than_what_is_written():
    _access.note_answer("mons", "b", {"state": "down", "reason": "it sleeps"})
    _access.note_answer("mons", "a", RUNNING)
    assert _access.running_cluster("mons", ["b", "a"], "CCCC") == {
        "running": True,
        "fsid": "aaaa",
        "mon_host": "10.0.0.1",
        "monmap": {"a": ["10.0.0.1"]},
        "host": "a",
        "down": {},
        "maintenance": [],
    }
    assert _access.ceph_connection("mons") == {"mon_host": "10.0.0.1", "client": "client.admin", "key": KEY}
    # another group's is another cluster
    assert _access.ceph_connection("others") == {} and not _access.running_cluster("others", ["c"])["running"]


def test_what_was_learned_last_counts():
    _access.note_answer("mons", "b", RUNNING)
    _access.note_answer("mons", "a", {**RUNNING, "mon_host": "10.0.0.1,10.0.0.2"})
    assert _access.ceph_connection("mons")["mon_host"] == "10.0.0.1,10.0.0.2"
    _access.note_answer("mons", "b", {**RUNNING, "mon_host": "10.0.0.3"})
    assert _access.ceph_connection("mons")["mon_host"] == "10.0.0.3"


def test_a_host_that_gave_no_answer_is_not_one_without_a_monitor():
    for host, answer in {"a": {"unreachable": True, "msg": "no route"}, "b": {"state": "down", "reason": "it sleeps"}, "c": {"failed": True}}.items():
        _access.note_answer("mons", host, answer)
    _access.note_answer("mons", "none", {"state": "none"})
    found = _access.running_cluster("mons", ["a", "b", "c", "none", "never asked"])
    assert found["down"] == {"a": "no route", "b": "it sleeps", "c": "it gave no answer", "never asked": "it gave no answer"}
    assert found["host"] == "a" and not found["running"]


def test_the_fsid_of_a_cluster_to_be_is_kept_or_made():
    _access.note_answer("others", "a", {"state": "none"})
    made = _access.running_cluster("others", ["a"])["fsid"]
    assert len(made) == 36 and _access.running_cluster("others", ["a"])["fsid"] == made
    _access.note_answer("mons", "a", {"state": "none", "conf_fsid": "BBBB"})
    assert _access.running_cluster("mons", ["a"])["fsid"] == "bbbb"
    assert _access.running_cluster("mons", ["a"], "CCCC")["fsid"] == "cccc"


RUNTIME = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
MODULE = """
from ansible.module_utils.basic import AnsibleModule
import hashlib
module = AnsibleModule(argument_spec=dict(
    return_keys=dict(type="bool", no_log=False), pools=dict(type="dict"), buckets=dict(type="dict"),
    entities=dict(type="list"), users=dict(type="list"), connection=dict(type="dict", options=dict(
        mon_host=dict(), client=dict(), url=dict(), validate_certs=dict(type="bool"), ca_path=dict(),
        key=dict(no_log=True), api_key=dict(no_log=True), api_secret=dict(no_log=True)))), supports_check_mode=True)
given = {name: value for name, value in (module.params["connection"] or {}).items() if value is not None}
secrets = {name: hashlib.sha256(given.pop(name).encode()).hexdigest() for name in ("key", "api_key", "api_secret") if name in given}
module.exit_json(changed=False, given=given, secrets=secrets, asked=[module.params["entities"], module.params["users"]])
"""
LEARNS = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=dict(
    url=dict(), return_keys=dict(type="bool", no_log=False), validate_certs=dict(type="bool"), fails=dict(type="bool")), supports_check_mode=True)
if module.params["fails"]:
    module.fail_json(msg="it sleeps")
module.exit_json(changed=False, **(ANSWER if module.no_log else {}))
"""
KEYS = {"url": "http://cloud1/client/api", "api_key": f"api {KEY}", "api_secret": f"secret {KEY}", "user_id": "1"}
CALLBACK = """
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_NAME, CALLBACK_TYPE = 2.0, "told", "aggregate"

    def v2_runner_on_ok(self, result):
        self._display.display(f"told {result._task_fields} {result._result}")
"""
PLAYS = """
- hosts: a
  gather_facts: false
  strategy: STRATEGY
  tasks:
    - {name: before, made.up.ceph_info: {}, register: before}
    - {name: learn, made.up.ceph_mon_info: {}, register: learned}
    - {name: learn of the API, made.up.cloudstack_keys: {url: "http://cloud1/client/api", validate_certs: false, return_keys: false}, register: api}
    - ansible.builtin.copy: {dest: "{{ folder }}/learned", content: "{{ [before, learned, api] | to_json }}"}
      delegate_to: localhost
- hosts: a:b
  gather_facts: false
  strategy: STRATEGY
  tasks:
    - {name: use, made.up.ceph_info: {}, register: used}
    - {name: give, made.up.ceph_info: {connection: {mon_host: mine}}, register: gave}
    - {name: use the API, made.up.cloudstack_region: {}, register: region}
    - {name: use it, made.up.cloudstack_probe: {buckets: {}}, register: bucket}
    - {name: use what is on the host, made.up.cloudstack_probe: {pools: {}}, register: pool}
    - {name: use none, made.up.ceph_probe: {}, register: probed}
    - {name: of another cluster, made.up.ceph_info: {}, register: other, vars: {ceph_common_groups: {mons: "{{ 'oth' ~ 'ers' }}"}}}
    - name: of a cluster whose keys were handed out
      made.up.ceph_keys_info: {entities: [client.x], users: [ann]}
      vars: {ceph: {external: {fsid: F, monitors: [10.9.9.9], client_keys: {client.x: "{{ key }}"}}}}
      register: handed
      no_log: true
    - {name: learn hidden, made.up.ceph_mon_info: {}, register: hidden, no_log: true}
    - {name: fail, made.up.ceph_mon_info: {fails: true}, register: failed, ignore_errors: true}
    - ansible.builtin.copy:
        dest: "{{ folder }}/{{ inventory_hostname }}"
        content: "{{ [used, gave, region, bucket, pool, probed, other, {'hidden': hidden.key == key},
          {'key': handed.cephx_keys['client.x'] == key, 'given': handed.given, 'asked': handed.asked},
          {'running': lookup('cephstack.cloud.running_cluster', 'mons')},
          {'url': lookup('cephstack.cloud.cloudstack_api', 'cloudstack_management')}] | to_json }}"
      delegate_to: localhost
"""


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_modules_get_what_was_learned_and_nobody_is_shown_it(tmp_path, strategy):
    """Not even at -vvv, and not by what callbacks get."""
    collection = tmp_path / "ansible_collections" / "made" / "up"
    for folder in ("meta", "plugins/modules", "plugins/action"):
        (collection / folder).mkdir(parents=True)
    (collection / "galaxy.yml").write_text("{namespace: made, name: up, version: 1.0.0, readme: README.md, authors: [nobody]}")
    (collection / "meta" / "runtime.yml").write_text(yaml.safe_dump({"plugin_routing": RUNTIME["plugin_routing"], "requires_ansible": ">=2.19.0"}))
    for name, text in {
        **dict.fromkeys(("ceph_info", "cloudstack_region", "cloudstack_probe", "ceph_probe", "ceph_keys_info"), MODULE),
        "ceph_mon_info": LEARNS.replace("ANSWER", repr(RUNNING)),
        "cloudstack_keys": LEARNS.replace("ANSWER", repr(KEYS)),
    }.items():
        (collection / "plugins" / "modules" / f"{name}.py").write_text(text)
        if text not in (MODULE,):
            imported = f"from ansible_collections.cephstack.cloud.plugins.action.{name} import ActionModule\n"
            (collection / "plugins" / "action" / f"{name}.py").write_text(imported)
    (tmp_path / "callback_plugins").mkdir()
    (tmp_path / "callback_plugins" / "told.py").write_text(CALLBACK)
    # As if by ssh, which at -vvv shows what came over it.
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    reached = {"ansible_connection": "ssh", "ansible_ssh_executable": str(ssh), "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.yml").write_text(json.dumps({"mons": {"hosts": {"a": reached, "b": reached}}}))
    (tmp_path / "play.yml").write_text(PLAYS.replace("STRATEGY", strategy))
    environment = {
        **os.environ,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
    }
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-vvv", "-i", "hosts.yml", "-e", f"folder={tmp_path}", "play.yml"]
    (tmp_path / "key.json").write_text(json.dumps({"key": KEY}))
    done = subprocess.run(
        [*command, "-e", "@key.json"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "told {" in done.stdout and KEY not in done.stdout

    before, learned, api = json.loads((tmp_path / "learned").read_text())
    assert before["given"] == {} and learned["state"] == "running" and "key" not in learned
    assert api["user_id"] == "1" and not {"api_key", "api_secret"} & set(api)
    digests = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in {**KEYS, "key": KEY}.items()}
    for host in ("a", "b"):
        used, gave, region, bucket, pool, probed, other, hidden, handed, running, url = json.loads((tmp_path / host).read_text())
        assert used["given"] == {"mon_host": "10.0.0.1", "client": "client.admin"} and used["secrets"] == {"key": digests["key"]}
        assert gave["given"] == {"mon_host": "mine"} and gave["secrets"] == {}
        assert region["given"] == {"url": KEYS["url"], "validate_certs": False}
        assert region["secrets"] == {name: digests[name] for name in ("api_key", "api_secret")}
        assert (bucket["given"], bucket["secrets"]) == (region["given"], region["secrets"])
        assert pool["given"] == {} and pool["secrets"] == {}
        assert probed["given"] == {} and other["given"] == {}
        assert handed == {"key": True, "given": {"mon_host": "10.9.9.9", "client": "client.x"}, "asked": [[], ["ann"]]}
        assert hidden == {"hidden": True} and url == {"url": KEYS["url"]}
        assert running["running"]["mon_host"] in ("10.0.0.1", "") and "key" not in running["running"]
