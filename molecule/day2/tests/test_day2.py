# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host comes, disks are replaced, a host is in maintenance and boots, a disk and a host leave, all of it under a writer (tests/tools/writer).

Runs from the first test to the last.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import pytest

from ansible_collections.cephstack.cloud.molecule.shared import runs

STACK = runs.Scenario(pathlib.Path(__file__).resolve().parent.parent)
# Besides the scenario's own inventory, as long as ceph5 has a part in the stack; then it stays.
SCALED_OUT = ("-i", str(STACK.folder / "inventory_scaled_out"))
# What of Ceph runs on a host.
UNITS = "systemctl list-units --plain --no-legend --state=active 'ceph-*@*.service'"


@pytest.fixture(scope="module")
def ceph():
    return lambda command: json.loads(STACK.ssh("ceph1", f"ceph --format json {command}") or "null")


@pytest.fixture(scope="module", autouse=True)
def writer():
    """Writes on ceph1 to an image and to a bucket from the first test to the last. The gateway that goes is asked first."""
    with STACK.written("ceph1", "--rbd", "vms", s3=("10.78.13.14", "10.78.13.11")):
        yield


@pytest.fixture(scope="module", autouse=True)
def guest(writer):
    """A guest under QEMU, whose disk is an image, writes and reads back in the same way. It is emulated: not every machine's KVM runs one.

    Two records a second: without a limit it takes a seventh of the machine.
    """
    STACK.ssh("ceph1", "rbd import /var/lib/cephstack/writes.raw vms/guest")
    drive = "-drive file=rbd:vms/guest:id=admin:conf=/etc/ceph/ceph.conf,format=raw,cache=none,if=virtio,throttling.iops-write=2"
    machine = "-accel tcg -cpu max -m 256 -nodefaults -display none -serial file:/run/guest.log"
    STACK.ssh("ceph2", f"systemd-run --unit=guest -p Nice=5 qemu-system-x86_64 {machine} {drive}")
    yield
    said = re.findall(r"^writer (writes=.*)$", STACK.ssh("ceph2", "systemctl is-active guest; cat /run/guest.log").replace("\r", ""), re.MULTILINE)
    assert said, "the guest has never written"
    print(f"guest: {said[-1]}")
    told = {name: int(number) for name, _, number in (word.partition("=") for word in said[-1].split())}
    STACK.ssh("ceph2", "systemctl stop guest; rbd rm --no-progress vms/guest")
    assert (told["errors"], told["wrong"]) == (0, 0), told
    assert told["writes"] > 100, told


@pytest.fixture
def settled(ceph, writer):
    return lambda: wait_settled(ceph)


def wait_settled(ceph):
    """A cluster that is not healthy, or whose data still moves, is refused, and rightly so."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        told = ceph("status")
        if told["health"]["status"] == "HEALTH_OK" and [one["state_name"] for one in told["pgmap"]["pgs_by_state"]] == ["active+clean"]:
            return
        time.sleep(1)
    pytest.fail(f"not settled after 300 s: {told['health']}, {told['pgmap']}")


def scale_in(tmp_path, *words):
    return STACK.play(tmp_path, *SCALED_OUT, *words, playbook="cephstack.cloud.scale_in")


def replace(tmp_path, osds, *more):
    """Replace disks; osds: {host: {number: uuid}}. SLOW_OPS: this machine has two cores."""
    named = {host: [f"osd.{number}@{uuid[:8]}" for number, uuid in found.items()] for host, found in osds.items()}
    allow = ["device//dev/disk/by-id/lab-osd0", "device//dev/disk/by-id/lab-osd1"]
    words = {"replace_disks": named, "replace_disks_allow_loss": allow, "replace_disks_accept_health": ["SLOW_OPS"]}
    return STACK.play(tmp_path, *SCALED_OUT, "-e", json.dumps(words), *more, playbook="cephstack.cloud.replace_disk")


def ids(changes):
    return {f"{one['kind']}/{one['name']}" for one in changes}


def refused(*words, playbook="cephstack.cloud.scale_in"):
    """Run it where it must be refused; return what it said."""
    return STACK.refused(*SCALED_OUT, *words, playbook=playbook)


def killed(*words):
    """Run a playbook that is killed with its modules at a random moment; then one run finishes (tests/tools/killed). Six in all; more by hand."""
    times = os.environ.get("CEPHSTACK_KILLS", "1")
    command = [sys.executable, str(runs.TOOLS / "killed"), "--times", times, "--within", "25", "-i", str(STACK.folder / "inventory"), *SCALED_OUT, *words]
    with tempfile.TemporaryFile("w+") as out:
        done = subprocess.run(command, stdout=out, stderr=out, cwd=runs.SHARED.parent.parent, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, check=False)
        out.seek(0)
        text = out.read()
    print("\n".join(line for line in text.splitlines() if line.startswith(("seed", "run ", "last run"))))
    assert done.returncode == 0, text[-6000:]


def nothing_is_left_set(ceph):
    """No flag of a run, nor a note of one."""
    assert not [osd["osd"] for osd in ceph("osd dump")["osds"] if "noout" in osd["state"]]
    assert not {"noout", "norebalance"} & set(ceph("osd dump")["flags"].split(","))
    assert not [key for key in ceph("config-key ls") if key.startswith("cephstack/")]


def osds_of(ceph, host, disk=""):
    """The OSDs of a host by number, with their uuids; those on one disk if it is given."""
    links = STACK.ssh(host, "for d in /var/lib/ceph/osd/ceph-*; do echo $d $(readlink $d/block); done").splitlines()
    numbers = [int(line.split()[0].rpartition("-")[2]) for line in links if line.endswith(disk)]
    return {osd["osd"]: osd["uuid"] for osd in ceph("osd dump")["osds"] if osd["osd"] in numbers}


def in_maintenance(state, *hosts):
    return ("-e", json.dumps({"maintenance_hosts": hosts or ["ceph4"], "maintenance_state": state}))


def maintain(tmp_path, *words):
    return STACK.play(tmp_path, *SCALED_OUT, *words, playbook="cephstack.cloud.maintenance")


def boot(tmp_path, host):
    """Boot a host anew. A container ends with that, and is begun as the lab's hosts are."""
    STACK.ssh(host, "systemd-run --on-active=1 systemctl reboot")
    end = time.monotonic() + 120
    with contextlib.suppress(AssertionError, RuntimeError):  # until it is gone
        while time.monotonic() < end:
            STACK.ssh(host, "sleep 1")
    STACK.play(tmp_path, *SCALED_OUT, "-e", "lab_state=up", playbook="cephstack.cloud.lab")


@pytest.fixture(scope="module")
def running():
    return STACK.ssh("ceph4", UNITS)


def test_what_cannot_be_meant_is_refused():
    assert "are most of the monitors" in refused("-e", '{"scale_in_hosts": ["ceph1", "ceph2"]}')
    assert "ceph9: no OSD host of this inventory has that name" in refused("-e", '{"replace_disks": {"ceph9": []}}', playbook="cephstack.cloud.replace_disk")


def test_a_host_comes(ceph, tmp_path):
    """A run of site is killed; the next one finishes it."""
    killed("cephstack.cloud.site")
    assert sorted(node["name"] for node in ceph("osd tree")["nodes"] if node["type"] == "host") == [f"ceph{number}" for number in range(1, 6)]
    assert [osd["up"] for osd in ceph("osd dump")["osds"]] == [1] * 6
    nothing_is_left_set(ceph)
    changes, _recap = STACK.play(tmp_path, *SCALED_OUT)
    assert changes == []


def test_disks_of_two_hosts_are_replaced_one_after_the_other(ceph, tmp_path, settled):
    """The same disks, wiped: the OSDs are made anew on them with their old numbers; the second waits until the first one has its copies."""
    settled()
    before = {host: osds_of(ceph, host, "lab-osd0") for host in ("ceph2", "ceph3")}
    numbers = [number for found in before.values() for number in found]
    changes, _recap = replace(tmp_path, before)
    assert {f"osd/osd.{number}" for number in numbers} <= ids(changes)
    after = {host: osds_of(ceph, host, "lab-osd0") for host in before}
    for host, found in before.items():
        assert found.keys() == after[host].keys()
        assert not set(found.values()) & set(after[host].values())
    assert [osd["up"] for osd in ceph("osd dump")["osds"]] == [1] * 6
    nothing_is_left_set(ceph)
    changes, _recap = replace(tmp_path, before)
    assert changes == []


def test_a_disk_that_died(ceph, tmp_path, settled):
    """Its OSD is killed and the disk is gone; it is replaced under load, by runs of which one is killed; then the new disk is put in."""
    settled()
    before = osds_of(ceph, "ceph3", "lab-osd1")
    (number,) = before
    disk = "/dev/disk/by-id/lab-osd1"
    node = STACK.ssh("ceph3", f"readlink -f {disk}").strip()
    STACK.ssh("ceph3", f"rm {disk} {node}; kill -9 $(systemctl show -P MainPID ceph-osd@{number})")
    words = {"replace_disks": {"ceph3": [f"osd.{number}@{before[number][:8]}"]}, "replace_disks_accept_health": ["SLOW_OPS"]}
    killed("-e", json.dumps(words), "cephstack.cloud.replace_disk")
    entry = next(osd for osd in ceph("osd dump")["osds"] if osd["osd"] == number)
    assert {"destroyed", "noout"} <= set(entry["state"])
    # The next one, under the same name: nothing is on it.
    major_minor = STACK.ssh("ceph3", f"cat /sys/block/{pathlib.Path(node).name}/dev").strip().replace(":", " ")
    STACK.ssh("ceph3", f"mknod {node} b {major_minor} && blkdiscard --force --zeroout --length 64M {node} && ln -s {node} {disk}")
    changes, _recap = replace(tmp_path, {"ceph3": before})
    assert f"osd/{disk}" in ids(changes)
    after = osds_of(ceph, "ceph3", "lab-osd1")
    assert after.keys() == before.keys() and after != before
    nothing_is_left_set(ceph)
    changes, _recap = replace(tmp_path, {"ceph3": before})
    assert changes == []


def test_whom_maintenance_cannot_mean_is_refused():
    assert "maintenance_hosts must be a list of hosts: [ceph3]" in refused(playbook="cephstack.cloud.maintenance")
    assert "no host of this inventory has that name" in refused(*in_maintenance("entered", "ceph9"), playbook="cephstack.cloud.maintenance")
    assert "maintenance_state must be entered or left" in refused(*in_maintenance("gone"), playbook="cephstack.cloud.maintenance")


def test_what_the_cluster_needs_stays(ceph, settled):
    settled()
    told = refused(*in_maintenance("entered", "ceph1", "ceph4", "ceph5"), playbook="cephstack.cloud.maintenance")
    assert "the cluster says: not enough monitors would be available" in told
    assert "it is the only manager: add another first" in told
    assert "no other gateway of the zone default runs: add another first" in told
    told = refused(*in_maintenance("entered", "ceph2", "ceph3"), playbook="cephstack.cloud.maintenance")
    assert "the cluster says that they must not stop at once" in told
    assert [osd["up"] for osd in ceph("osd dump")["osds"]].count(0) == 0
    nothing_is_left_set(ceph)


def test_it_goes_and_stays_so_when_it_is_booted_anew(ceph, settled, running, tmp_path):
    """A run is killed; the next one finishes it."""
    settled()
    planned, _recap = maintain(tmp_path, "--check", *in_maintenance("entered"))
    assert {f"unit/{line.split()[0]}" for line in running.splitlines()} <= ids(planned)
    assert STACK.ssh("ceph4", UNITS) == running
    killed(*in_maintenance("entered"), "cephstack.cloud.maintenance")
    assert STACK.ssh("ceph4", UNITS).strip() == ""
    assert ceph("osd dump")["crush_node_flags"] == {"ceph4": ["noout"]}
    boot(tmp_path, "ceph4")
    assert STACK.ssh("ceph4", UNITS).strip() == "", "nothing started at boot"
    assert "ceph4" not in ceph("quorum_status")["quorum_names"]
    changes, _recap = maintain(tmp_path, *in_maintenance("entered"))
    assert changes == []


def test_site_leaves_a_host_in_maintenance_alone_and_says_so(ceph, tmp_path):
    changes, recap = STACK.play(tmp_path, *SCALED_OUT)
    assert changes == []
    assert recap.get("ceph4", {}).get("ok", 0) == 0, "nothing was asked of it"
    assert "In maintenance, and left alone: ceph4." in (tmp_path / "log").read_text()
    assert ceph("osd dump")["crush_node_flags"] == {"ceph4": ["noout"]}


def test_it_comes_back(ceph, running, tmp_path, settled):
    planned, _recap = maintain(tmp_path, "--check", *in_maintenance("left"))
    changes, _recap = maintain(tmp_path, *in_maintenance("left"))
    assert ids(changes) == ids(planned)
    assert STACK.ssh("ceph4", UNITS).split("\n") == running.split("\n")
    assert "ceph4" in ceph("quorum_status")["quorum_names"]
    assert [osd["up"] for osd in ceph("osd dump")["osds"]].count(0) == 0
    assert ceph("osd dump")["crush_node_flags"] == {}
    settled()  # the balancer may move some at any time
    nothing_is_left_set(ceph)
    changes, _recap = maintain(tmp_path, *in_maintenance("left"))
    assert changes == []
    changes, _recap = STACK.play(tmp_path, *SCALED_OUT)
    assert changes == []


def test_a_disk_goes_and_is_wiped(ceph, tmp_path, settled):
    """A run is killed; the next one finishes it."""
    settled()
    (number,) = osds_of(ceph, "ceph3", "lab-osd1")
    words = ("-e", json.dumps({"scale_in_osds": [f"osd.{number}"], "scale_in_allow_loss": ["device//dev/disk/by-id/lab-osd1"]}))
    killed(*words, "cephstack.cloud.scale_in")
    assert number not in [osd["osd"] for osd in ceph("osd dump")["osds"]]
    assert STACK.ssh("ceph3", "head -c 22 /dev/disk/by-id/lab-osd1 | od -An -c | tr -d ' \\n'").strip("\\0 ") == ""
    assert STACK.ssh("ceph3", f"ls -d /var/lib/ceph/osd/ceph-{number} /etc/systemd/system/ceph-osd@{number}.service.d 2>/dev/null || true") == ""
    changes, _recap = scale_in(tmp_path, *words)
    assert changes == []


def test_a_host_goes(ceph, tmp_path, settled):
    """By a run that is killed and one that is not, with its monitor, its manager and its gateway, which the writer has asked first until now."""
    settled()
    words = ("-e", '{"scale_in_hosts": ["ceph4"]}')
    killed(*words, "cephstack.cloud.scale_in")
    assert sorted(mon["name"] for mon in ceph("mon dump")["mons"]) == ["ceph1", "ceph2"]
    assert sorted(ceph("quorum_status")["quorum_names"]) == ["ceph1", "ceph2"]
    assert "ceph4" not in [node["name"] for node in ceph("osd tree")["nodes"]]
    assert not [entry["entity"] for entry in ceph("auth ls")["auth_dump"] if "ceph4" in entry["entity"] and not entry["entity"].startswith("client.crash")]
    assert not [one for one in ceph("config dump") if "ceph4" in one.get("mask", "")]
    assert STACK.ssh("ceph4", "systemctl list-units --plain --no-legend 'ceph-*@*.service'").strip() == ""
    assert STACK.ssh("ceph4", "find /var/lib/ceph/mon /var/lib/ceph/osd /var/lib/ceph/mgr /var/lib/ceph/radosgw -mindepth 1").strip() == ""
    assert STACK.ssh("ceph4", "ls /etc/ceph/ceph.client.admin.keyring 2>/dev/null || true") == ""
    changes, _recap = scale_in(tmp_path, *words)
    assert changes == []
    nothing_is_left_set(ceph)


def test_the_last_monitors_and_too_few_domains_stay(ceph):
    assert "there would be room for 2" in refused("-e", '{"scale_in_hosts": ["ceph3", "ceph5"]}')
    assert len(ceph("osd dump")["osds"]) == 4
