# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons of real hosts restart in rounds: what has to, in which order, killed and refused.

Runs from the first test to the last.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time

import pytest

from ansible_collections.cephstack.cloud.molecule.shared import runs

STACK = runs.Scenario(pathlib.Path(__file__).resolve().parent.parent)
HOSTS = ("ceph1", "ceph2", "ceph3")
PLAYBOOK = "cephstack.cloud.restart"
OSDS = [f"ceph-osd@{number}.service" for number in range(9)]


@pytest.fixture
def restart(tmp_path):
    """Run the playbook; return the units that restarted, and its recap."""

    def go(*arguments, **variables):
        # A line for each wait is not needed here, nor is the default patience.
        told = {"restart_patience": 120, **variables}
        changes, recap = STACK.play(tmp_path, *arguments, "-e", json.dumps(told), playbook=PLAYBOOK)
        assert all(counts["changed"] == 0 for counts in recap.values()) or changes
        return sorted(change["name"] for change in changes if change["kind"] == "unit")

    return go


def ceph(command):
    return json.loads(STACK.ssh("ceph1", f"ceph --format json {command}") or "null")


def began():
    """When each daemon that runs began, by its host and unit."""
    found = {}
    for host in HOSTS:
        said = STACK.ssh(host, "systemctl show --property=Id,ActiveState,ExecMainStartTimestampMonotonic 'ceph-*@*.service' nfs-ganesha.service")
        units = [dict(line.split("=", 1) for line in block.splitlines()) for block in said.strip().split("\n\n")]
        found.update({f"{host}/{unit['Id']}": int(unit["ExecMainStartTimestampMonotonic"]) for unit in units if unit["ActiveState"] == "active"})
    return found


def restarted(before):
    return sorted(name.partition("/")[2] for name, when in began().items() if when != before[name])


def no_flags():
    assert not [osd["osd"] for osd in ceph("osd dump")["osds"] if "noout" in osd["state"]]
    assert ceph("config-key dump cephstack/noout/") == {}


def until_whole():
    end = time.monotonic() + 180
    while time.monotonic() < end:
        states = ceph("status")["pgmap"]["pgs_by_state"]
        if all(entry["state_name"].startswith("active+clean") for entry in states):
            return
        time.sleep(2)
    raise AssertionError(states)


def test_nothing_has_to(restart):
    until_whole()
    before = began()
    assert len([name for name in before if "ceph-osd@" in name]) == 9
    assert restart("--check") == restart() == restarted(before) == []


def test_an_option_that_takes_effect_at_the_start(restart):
    ceph("config set osd osd_op_num_shards 3")
    ceph("config set osd osd_max_scrubs 2")  # at once
    before = began()
    assert restart("--check") == OSDS
    assert restarted(before) == []
    assert restart() == OSDS == restarted(before)
    no_flags()
    assert restart() == []
    assert ceph("tell osd.0 config get osd_op_num_shards") == {"osd_op_num_shards": "3"}


def test_a_file_of_a_package_that_was_replaced(restart):
    for host in ("ceph1", "ceph2"):
        STACK.ssh(host, "cp -a /usr/bin/ceph-mgr /usr/bin/ceph-mgr.new && mv /usr/bin/ceph-mgr.new /usr/bin/ceph-mgr")
    active = ceph("mgr dump")["active_name"]
    before = began()
    assert restart() == ["ceph-mgr@ceph1.service", "ceph-mgr@ceph2.service"] == restarted(before)
    when = {name.partition("/")[0]: moment for name, moment in began().items() if "ceph-mgr@" in name}
    assert max(when, key=when.get) == active, "the active one is last: the hosts are containers of one machine, with one clock"
    assert restart() == []


def test_all_of_them_with_runs_that_are_killed(restart):
    until_whole()
    before = began()
    since = time.time()
    told = json.dumps({"restart_daemons": "all", "restart_since": since})
    tool = [sys.executable, str(STACK.folder.parents[1] / "tests" / "tools" / "killed"), "--times", "3", "--within", "60", PLAYBOOK]
    done = subprocess.run([*tool, "-i", str(STACK.folder / "inventory"), "-e", told], capture_output=True, text=True, check=False, cwd=STACK.folder.parents[1])
    assert done.returncode == 0, f"{done.stdout[-6000:]} {done.stderr[-2000:]}"
    assert restarted(before) == sorted(name.partition("/")[2] for name in before)
    no_flags()
    assert restart(restart_daemons="all", restart_since=since) == []
    until_whole()


@pytest.mark.parametrize(
    ("host", "unit", "types", "told"),
    [
        ("ceph3", "ceph-mon@ceph3", ["mon"], "mon.ceph1: not restarted, nothing has moved for .* mon.ceph3 is not in quorum: start them, or repair them"),
        ("ceph3", "ceph-mds@ceph3", ["mds"], r"no other metadata server stands by, .* name it in accept_outage: mds\.ceph"),
        ("ceph3", "ceph-radosgw@rgw.ceph3.s3", ["rgw"], r"client\.rgw\.ceph2\.s3: refused, it is the only object gateway of its kind"),
        ("ceph2", "nfs-ganesha", ["nfs"], r"nfs\.ceph1: refused, it is the only NFS gateway of its kind"),
    ],
)
def test_what_nobody_stands_in_for_is_refused(restart, host, unit, types, told):
    STACK.ssh(host, f"systemctl stop {unit}")
    try:
        if types == ["mds"]:
            end = time.monotonic() + 60
            while ceph("fs dump")["standbys"] and time.monotonic() < end:
                time.sleep(1)
        before = began()
        with pytest.raises(AssertionError, match=told):
            restart(restart_daemons="all", restart_types=types, restart_patience=5)
        assert restarted(before) == []
    finally:
        STACK.ssh(host, f"systemctl start {unit}")
    time.sleep(5)
