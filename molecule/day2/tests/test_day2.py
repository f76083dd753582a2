# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk and a host leave a running cluster. Runs from the first test to the last, all of it under a writer."""

from __future__ import annotations

import json
import pathlib
import subprocess
import tempfile
import time

import pytest

from ansible_collections.cephstack.cloud.molecule.shared import runs

STACK = runs.Scenario(pathlib.Path(__file__).resolve().parent.parent)
WRITER = r"""
import hashlib, json, os, rados, time
cluster = rados.Rados(conffile="/etc/ceph/ceph.conf")
cluster.connect()
io, known, wrong, slowest, count = cluster.open_ioctx("vms"), {}, [], 0.0, 0
def look(name):
    if hashlib.sha256(io.read(name, 1 << 20)).hexdigest() != known[name]:
        wrong.append(name)
while not os.path.exists("/run/writer.end"):
    name, data, began = f"record-{count % 500}", os.urandom(40000), time.monotonic()
    try:
        io.write_full(name, data)
        known[name] = hashlib.sha256(data).hexdigest()
        look(name)
    except Exception as error:
        wrong.append(f"{name}: {error}")
    slowest, count = max(slowest, time.monotonic() - began), count + 1
for name in known:
    look(name)
print(json.dumps({"count": count, "wrong": wrong[:5], "errors": len(wrong), "slowest": slowest}))
"""


@pytest.fixture(scope="module")
def ceph():
    return lambda command: json.loads(STACK.ssh("ceph1", f"ceph --format json {command}") or "null")


@pytest.fixture(scope="module", autouse=True)
def writer():
    """Writes on ceph1 from the first test to the last; then no byte may be wrong."""
    STACK.ssh("ceph1", f"rm -f /run/writer.end; cat > /run/writer.py <<'END'\n{WRITER}\nEND")
    STACK.ssh("ceph1", "systemd-run --unit=writer -p StandardOutput=file:/run/writer.json python3 /run/writer.py")
    yield
    STACK.ssh("ceph1", "touch /run/writer.end")
    end = time.monotonic() + 120
    while not (text := STACK.ssh("ceph1", "cat /run/writer.json")).strip() and time.monotonic() < end:
        time.sleep(2)
    told = json.loads(text)
    print(told)
    assert told["errors"] == 0, told
    assert told["count"] > 500


@pytest.fixture(autouse=True)
def settled(ceph, writer):
    """A cluster that was made or changed a moment ago is refused, and rightly so."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        told = ceph("status")
        if told["health"]["status"] == "HEALTH_OK" and [one["state_name"] for one in told["pgmap"]["pgs_by_state"]] == ["active+clean"]:
            return
        time.sleep(2)
    pytest.fail(f"not settled after 300 s: {told['health']}, {told['pgmap']}")


def scale_in(tmp_path, *words):
    return STACK.play(tmp_path, *words, playbook="cephstack.cloud.scale_in")


def refused(*words):
    """Run it where it must be refused; return what it said."""
    command = ["ansible-playbook", "-i", str(STACK.folder / "inventory"), *words, "cephstack.cloud.scale_in"]
    with tempfile.TemporaryFile("w+") as out:  # a pipe would be held open by ssh's persistent master
        done = subprocess.run(command, stdout=out, stderr=out, cwd=runs.SHARED.parent.parent, check=False)
        out.seek(0)
        text = " ".join(out.read().split())
    assert done.returncode, text[-3000:]
    return text


def osd_of(ceph, host, disk):
    links = STACK.ssh(host, "for d in /var/lib/ceph/osd/ceph-*; do echo $d $(readlink $d/block); done").splitlines()
    return next(line.split()[0].rpartition("-")[2] for line in links if line.endswith(disk))


def test_what_cannot_be_meant_is_refused():
    assert "scale_in_hosts and scale_in_osds are both empty" in refused()
    assert "no Ceph host of this inventory has that name" in refused("-e", '{"scale_in_hosts": ["ceph9"]}')
    assert "are most of the monitors" in refused("-e", '{"scale_in_hosts": ["ceph1", "ceph2"]}')


def test_two_hosts_of_four_would_be_too_many(ceph):
    assert "there would be room for 2" in refused("-e", '{"scale_in_hosts": ["ceph3", "ceph4"]}')
    assert [osd["up"] for osd in ceph("osd dump")["osds"]] == [1] * 5


def test_a_disk_goes_and_is_wiped(ceph, tmp_path):
    number = osd_of(ceph, "ceph3", "lab-osd1")
    words = ("-e", json.dumps({"scale_in_osds": [f"osd.{number}"], "scale_in_allow_loss": ["device//dev/disk/by-id/lab-osd1"]}))
    planned, _recap = scale_in(tmp_path, "--check", *words)
    assert osd_of(ceph, "ceph3", "lab-osd1") == number
    changes, _recap = scale_in(tmp_path, *words)
    names = {f"{one['kind']}/{one['name']}" for one in changes}
    assert names <= {f"{one['kind']}/{one['name']}" for one in planned}
    assert {f"osd/osd.{number}", "device//dev/disk/by-id/lab-osd1", f"data_folder//var/lib/ceph/osd/ceph-{number}"} <= names
    assert int(number) not in [osd["osd"] for osd in ceph("osd dump")["osds"]]
    assert STACK.ssh("ceph3", "head -c 22 /dev/disk/by-id/lab-osd1 | od -An -c | tr -d ' \\n'").strip("\\0 ") == ""
    assert STACK.ssh("ceph3", f"ls -d /var/lib/ceph/osd/ceph-{number} /etc/systemd/system/ceph-osd@{number}.service.d 2>/dev/null || true") == ""
    changes, _recap = scale_in(tmp_path, *words)
    assert changes == []


def test_a_disk_is_replaced(ceph, tmp_path):
    """The same disk, wiped: the OSD is made anew on it with its old number, and the next run leaves it alone."""
    number = osd_of(ceph, "ceph3", "lab-osd0")
    uuid = next(osd["uuid"] for osd in ceph("osd dump")["osds"] if osd["osd"] == int(number))
    allow = ["device//dev/disk/by-id/lab-osd0", "device//dev/disk/by-id/lab-osd1"]
    words = ("-e", json.dumps({"replace_disks": {"ceph3": [f"osd.{number}@{uuid[:8]}"]}, "replace_disks_allow_loss": allow}))
    changes, _recap = STACK.play(tmp_path, *words, playbook="cephstack.cloud.replace_disk")
    assert f"osd/osd.{number}" in {f"{one['kind']}/{one['name']}" for one in changes}
    assert osd_of(ceph, "ceph3", "lab-osd0") == number
    entry = next(osd for osd in ceph("osd dump")["osds"] if osd["osd"] == int(number))
    assert entry["uuid"] != uuid
    assert entry["up"] == 1
    assert "noout" not in entry["state"]
    assert not [key for key in ceph("config-key ls") if key.startswith("cephstack/")]
    changes, _recap = STACK.play(tmp_path, *words, playbook="cephstack.cloud.replace_disk")
    assert changes == []


def test_a_host_goes(ceph, tmp_path):
    words = ("-e", '{"scale_in_hosts": ["ceph4"]}')
    scale_in(tmp_path, *words)
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


def test_the_last_monitors_and_too_few_domains_stay(ceph):
    assert "there would be room for 2" in refused("-e", '{"scale_in_hosts": ["ceph3"]}')
    assert len(ceph("osd dump")["osds"]) == 4
