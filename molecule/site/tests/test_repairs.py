# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody or something broke on hosts, one run sets right; and what is killed under a run, the next one finds and finishes.

Each leaves the stack sound.
"""

from __future__ import annotations

import json
import pathlib
import re
import threading
import time

import pytest

from ansible_collections.cephstack.cloud.molecule.shared import runs

STACK = runs.Scenario(pathlib.Path(__file__).resolve().parent.parent)
CEPH = ("ceph1", "ceph2", "ceph3")


def ceph(command):
    """Ask the cluster; return what it said, parsed."""
    return json.loads(STACK.ssh("ceph1", f"ceph --format json {command}") or "null")


def await_health(names=CEPH, seconds=150):
    """Wait until all monitors are in quorum, all OSDs up, all placement groups clean."""
    end = time.monotonic() + seconds
    while True:
        status = ceph("status")
        states = [row["state_name"] for row in status["pgmap"]["pgs_by_state"]]
        osds = status["osdmap"]["num_osds"] == status["osdmap"]["num_up_osds"] == status["osdmap"]["num_in_osds"]
        if sorted(status["quorum_names"]) == sorted(names) and osds and all(state.startswith("active+clean") for state in states):
            return
        assert time.monotonic() < end, status
        time.sleep(2)


def osd_of(host):
    """The number of the OSD of a host."""
    (number,) = next(node["children"] for node in ceph("osd tree")["nodes"] if node["name"] == host)
    return number


def test_what_goes_against_a_new_host_is_found_before_anything_is_touched(tmp_path):
    """A port that something holds, and a way that carries less than its ends; of hosts that run the same is a warning."""
    STACK.ssh("ceph4", "systemd-run -q --unit squatter python3 -m http.server 8080")
    end = STACK.ssh("ceph4", "cat /sys/class/net/$(ip -o route get 10.78.3.11 | sed 's/.* dev \\([^ ]*\\).*/\\1/')/iflink").strip()
    (outer,) = (path.parent for path in pathlib.Path("/sys/class/net").glob("*/ifindex") if path.read_text().strip() == end)
    mtu = (outer / "mtu").read_text()
    (outer / "mtu").write_text("1400")
    arguments = ("-i", str(STACK.folder / "inventory_scaled_out"), "--tags", "preflight")
    try:
        with pytest.raises(AssertionError) as failed:
            STACK.play(tmp_path, *arguments)
        said = " ".join(str(failed.value).split())
    finally:
        (outer / "mtu").write_text(mtu)
        STACK.ssh("ceph4", "systemctl stop squatter")
    assert "ceph4: port 8080, on which the object gateway s3 is to listen, is held by python3.13 (squatter.service): stop that" in said, said
    assert "ceph4: packets of 1500 bytes, its MTU, do not come through to ceph1 (10.78.3.11), ceph2 (10.78.3.12), ceph3 (10.78.3.13), " in said, said
    assert "ceph1: packets of 1500 bytes, its MTU, do not come through to ceph4 (10.78.3.14)" in said, said  # a warning, which does not end the run
    STACK.play(tmp_path, *arguments)


def test_one_run_sets_right_what_was_broken_on_two_hosts(tmp_path):
    """The system disk of one made anew, so that its monitor's store is lost and its OSD is on its device alone; on another one what people change."""
    await_health()
    STACK.ssh("ceph1", "head -c 1000000 /dev/urandom > /root/was; rados -p vms put repaired /root/was")
    before, lost, moved = ceph("osd dump"), osd_of("ceph2"), osd_of("ceph1")

    units = "$(systemctl list-units --all --plain --no-legend 'ceph*.service' | cut -d' ' -f1)"
    STACK.ssh("ceph2", f"for u in {units}; do systemctl disable -q --now $u; done; rm -r /etc/ceph/* /etc/systemd/system/ceph*.d; rm -rf /run/ceph/*")
    STACK.ssh("ceph2", "find /var/lib/ceph -mindepth 2 -not -path '*/crash/*' -delete; systemctl daemon-reload")
    gateway = STACK.ssh("ceph1", "systemctl list-units --plain --no-legend 'ceph-radosgw@*.service' | cut -d' ' -f1").strip()
    STACK.ssh("ceph1", f"ceph osd crush move osd.{moved} host=ceph3; systemctl disable -q --now {gateway}")
    STACK.ssh("ceph1", f"echo '# by hand' >> /etc/systemd/system/ceph-osd@{moved}.service.d/cephstack.conf")
    STACK.ssh("ceph1", "sed -i 's/key = ...../key = AAAAA/' /var/lib/ceph/mgr/ceph-ceph1/keyring")

    changes, _recap = STACK.play(tmp_path)

    made = {(change["host"], change["kind"], change["name"].partition("@")[0]) for change in changes}
    assert {("ceph2", "mon", "ceph2"), ("ceph2", "unit", "ceph-mon"), ("ceph2", "unit", "ceph-osd"), ("ceph2", "unit", "ceph-radosgw")} <= made, made
    assert {("ceph2", "drop_in", "ceph-osd"), ("ceph1", "drop_in", "ceph-osd"), ("ceph1", "unit", "ceph-radosgw")} <= made, made
    assert {("ceph1", "crush_location", f"osd.{moved}"), ("ceph1", "keyring", "/var/lib/ceph/mgr/ceph-ceph1/keyring")} <= made, made
    assert not {change["kind"] for change in changes} & {"osd", "device", "pool"}, changes  # nothing was made anew that held data
    await_health()
    after = ceph("osd dump")
    assert after["fsid"] == before["fsid"]
    assert {entry["osd"]: entry["uuid"] for entry in after["osds"]} == {entry["osd"]: entry["uuid"] for entry in before["osds"]}
    assert (osd_of("ceph1"), osd_of("ceph2")) == (moved, lost)
    STACK.ssh("ceph1", "rados -p vms get repaired /root/is && cmp /root/was /root/is && rados -p vms rm repaired")
    assert STACK.play(tmp_path, "--check")[0] == []


def test_daemons_that_are_killed_under_a_run(tmp_path):
    """A monitor, an OSD and a gateway, each on another host: it succeeds, or says what failed; the next run finishes it."""
    STACK.ssh("ceph1", "ceph osd pool set vms min_size 1; ceph config set global mon_max_pg_per_osd 299")
    STACK.ssh("ceph2", "systemctl disable -q --now ceph-mgr@ceph2; rm /etc/ceph/ceph.conf")

    def kill():
        for host, name in (("ceph2", "ceph-mon"), ("ceph3", "ceph-osd"), ("ceph1", "ceph-radosgw")):
            time.sleep(4)
            STACK.ssh(host, f"systemctl kill --signal=KILL '{name}@*.service'")
            killed.append(host)

    killed = []
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        STACK.play(tmp_path)
        failed = ""
    except AssertionError as error:  # the play's, with what Ansible said
        failed = str(error)
    killer.join()
    assert len(killed) == 3
    if failed:
        assert "Traceback" not in failed and re.search(r"^fatal: \[ceph\d", failed, re.MULTILINE), failed
        await_health()
        STACK.play(tmp_path)
    await_health()
    assert STACK.play(tmp_path, "--check")[0] == []
