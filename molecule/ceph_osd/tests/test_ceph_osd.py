# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a first run, a second one that changed nothing, and a reboot."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import time

import pytest
import testinfra

SCENARIO = pathlib.Path(__file__).resolve().parent.parent
INVENTORY = SCENARIO / "inventory"
LOG = "/var/log/ceph/ceph-volume.log"


def ssh(name, command):
    """Run a command on a host as root; return what it printed."""
    host = testinfra.get_host(f"ansible://{name}?ansible_inventory={SCENARIO.parent / 'shared' / 'inventory.py'}")
    done = host.run(command)
    assert done.rc == 0, f"{name}: {command}: {done.stderr or done.stdout}"
    return done.stdout


def module(tmp_path, *arguments):
    """Run ceph_osds on the host with the connection that its role would give it; return (exit code, what was said)."""
    play = tmp_path / "play.yml"
    tasks = [
        {"ansible.builtin.import_role": {"name": "cephstack.cloud.ceph_common", "tasks_from": "cluster"}},
        {"cephstack.cloud.ceph_osds": {"devices": "{{ devices }}", "allow_loss": "{{ allow_loss | default([]) }}"}},
    ]
    play.write_text(json.dumps([{"hosts": "osds", "gather_facts": False, "tasks": tasks}]))
    return run(tmp_path, *arguments, str(play))


def run(tmp_path, *arguments):
    """Run a playbook; return (exit code, what was said)."""
    log = tmp_path / "log"
    with log.open("w") as out:  # a pipe would be held open by ssh's persistent master
        done = subprocess.run(
            ["ansible-playbook", "-i", str(INVENTORY), *arguments],
            stdout=out,
            stderr=out,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            cwd=SCENARIO.parent.parent,
        )
    return done.returncode, log.read_text()


@pytest.fixture(scope="module")
def tree():
    """The OSDs by device class, once all are up again."""
    end = time.monotonic() + 240
    while True:
        nodes = [node for node in json.loads(ssh("mon1", "ceph osd tree --format json"))["nodes"] if node["type"] == "osd"]
        if (len(nodes) == 3 and all(node["status"] == "up" for node in nodes)) or time.monotonic() > end:
            return nodes
        time.sleep(3)


def test_all_osds_came_back_after_the_reboot(tree):
    assert sorted((node["status"], node["device_class"] == "ssd") for node in tree) == [("up", False), ("up", False), ("up", True)]


def test_databases_share_the_flash_device():
    rows = json.loads(ssh("osd1", "lvs --reportformat json -o lv_tags,lv_size,devices --units b"))["report"][0]["lv"]
    databases = [row for row in rows if "ceph.type=db" in row["lv_tags"]]
    flash = ssh("osd1", "readlink -f /dev/disk/by-id/lab-flash").strip()
    assert len(databases) == 2
    assert all(row["devices"].startswith(flash) for row in databases)
    assert len({row["lv_size"] for row in databases}) == 1


def test_one_osd_is_encrypted_and_its_key_is_not_on_the_host():
    assert "crypt" in ssh("osd1", "lsblk -no TYPE /dev/disk/by-id/lab-data2")
    assert "crypt" not in ssh("osd1", "lsblk -no TYPE /dev/disk/by-id/lab-data1")
    assert "dm-crypt/osd/" in ssh("mon1", "ceph config-key ls")


def test_memory_is_shared():
    target = int(ssh("mon1", "ceph config get osd.0 osd_memory_target"))
    total = int(ssh("osd1", "awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert target == max(896 << 20, int(total * 0.6 / 3) >> 26 << 26)


def test_a_clock_that_is_off_is_told_before_anything_is_touched(tmp_path):
    """The virtual machine has one of its own. It is set by as much as an operator would not see."""
    arguments = (tmp_path, "--tags", "preflight", "cephstack.cloud.site")
    ssh("osd1", "date -s '40 seconds'")  # beside what its emulated one has lost since it was started
    try:
        code, said = run(*arguments)
    finally:
        ssh("osd1", "date -s '40 seconds ago'")
    words = " ".join(said.split())
    assert code == 0 and re.search(r"osd1: its clock is [34]\d s ahead of that of mon1: set up chrony on both", words), said


def test_a_host_whose_system_disk_was_made_anew_gets_its_osds_back(tmp_path, tree):
    """Their devices know all of it: of LVM with databases elsewhere, encrypted, and raw."""
    uuids = {entry["osd"]: entry["uuid"] for entry in json.loads(ssh("mon1", "ceph osd dump --format json"))["osds"]}
    units = "$(systemctl list-units --all --plain --no-legend 'ceph*@*' | cut -d' ' -f1)"
    ssh("osd1", f"for unit in {units}; do systemctl disable -q --now $unit; done; umount /var/lib/ceph/osd/ceph-* || true")
    ssh("osd1", "for name in $(dmsetup ls --target crypt | cut -f1); do cryptsetup close $name; done; vgchange -qan")
    ssh("osd1", "rm -r /var/lib/ceph/*/* /etc/ceph/* /etc/systemd/system/ceph-osd@*.d; systemctl daemon-reload; systemctl reset-failed")
    play = tmp_path / "play.yml"
    roles = ["cephstack.cloud.ceph_common", "cephstack.cloud.ceph_osd"]
    play.write_text(json.dumps([{"hosts": "osds", "gather_facts": False, "roles": roles}]))
    code, said = run(tmp_path, str(play))
    assert code == 0, said
    after = json.loads(ssh("mon1", "ceph osd dump --format json"))["osds"]
    assert {entry["osd"]: entry["uuid"] for entry in after if entry["up"]} == uuids
    code, said = run(tmp_path, str(play), "--check")
    assert code == 0 and "changed=0" in said, said


@pytest.mark.parametrize("mode", [("--check",), ()], ids=["check", "run"])
def test_a_run_that_changes_nothing_starts_no_ceph_volume(tmp_path, mode):
    before = ssh("osd1", f"grep -c 'Running command: .*ceph-volume' {LOG} || true")
    declared = {"devices": [{"path": "/dev/disk/by-id/lab-data1"}, {"path": "/dev/disk/by-id/lab-data2"}, {"path": "/dev/disk/by-id/lab-data3", "type": "raw"}]}
    code, said = module(tmp_path, "-e", json.dumps(declared), *mode)
    assert code == 0, said
    assert "changed=0" in said
    assert ssh("osd1", f"grep -c 'Running command: .*ceph-volume' {LOG} || true") == before


def test_what_holds_anything_is_refused_and_untouched(tmp_path):
    ssh("osd1", "wipefs -qa /dev/disk/by-id/lab-spare; mkfs.ext4 -q /dev/disk/by-id/lab-spare")
    ssh("osd1", "mkdir -p /mnt/spare; mount /dev/disk/by-id/lab-spare /mnt/spare")
    try:
        declared = [{"path": "/dev/disk/by-id/lab-spare"}, {"path": "/dev/disk/by-id/lab-lvm", "db": "/dev/disk/by-id/lab-flash", "db_size": "3G"}]
        code, said = module(tmp_path, "-e", json.dumps({"devices": declared, "allow_loss": ["device//dev/disk/by-id/lab-spare"]}))
        assert code != 0
        assert "mounted at /mnt/spare" in said
        assert "lab-flash (db of /dev/disk/by-id/lab-lvm): no room: it needs 3.00 GiB" in " ".join(said.split())
    finally:
        ssh("osd1", "umount /mnt/spare")
    assert ssh("osd1", "wipefs /dev/disk/by-id/lab-lvm") == ""
    code, said = module(
        tmp_path, "-e", '{"devices": [{"path": "/dev/disk/by-id/lab-spare"}, {"path": "/dev/disk/by-id/lab-flash"}, {"path": "/dev/disk/by-id/lab-none"}]}'
    )
    assert code != 0
    for reason in ("signature: ext4", "name it in allow_loss: device//dev/disk/by-id/lab-spare", "lab-flash: refused", "lab-none: there is no such device"):
        assert reason in " ".join(said.split()), said
    assert "ext4" in ssh("osd1", "blkid -p /dev/disk/by-id/lab-spare")
    assert ssh("mon1", "ceph osd ls").split() == ["0", "1", "2"]


def volumes():
    """The logical volumes of the host: their tags by "VG/LV"."""
    rows = json.loads(ssh("osd1", "lvs --reportformat json -o vg_name,lv_name,lv_tags"))["report"][0]["lv"]
    return {f"{row['vg_name']}/{row['lv_name']}": row["lv_tags"] for row in rows}


def databases():
    """Those on the flash device."""
    flash = ssh("osd1", "readlink -f /dev/disk/by-id/lab-flash").strip()
    rows = json.loads(ssh("osd1", "lvs --reportformat json -o vg_name,lv_name,devices"))["report"][0]["lv"]
    return {f"{row['vg_name']}/{row['lv_name']}" for row in rows if row["devices"].startswith(f"{flash}(")}


# Of the operator's own group its data and wal; its db on the device that others use already.
OWN = {"path": "/dev/vg_op/osd", "db": "/dev/disk/by-id/lab-flash", "db_slots": 3, "wal": "/dev/vg_op/wal"}


def test_an_osd_that_cannot_be_made_takes_nothing_with_it(tmp_path):
    """With ceph-volume's own roll-back, which removes by force what it was given, and whatever carries the OSD's number, as the bystander does."""
    ssh("osd1", "vgcreate -q vg_op /dev/disk/by-id/lab-lvm")
    ssh("osd1", "for v in 'osd -L3G' 'wal -L512M' 'bystander -L16M'; do lvcreate -qy -n $v vg_op; done")
    ssh("osd1", "dd if=/dev/urandom of=/dev/vg_op/bystander bs=1M count=16 status=none")
    ssh("osd1", "lvchange -q --addtag ceph.osd_id=3 --addtag ceph.osd_fsid=old --addtag ceph.cluster_fsid=another --addtag ceph.type=block vg_op/bystander")
    before, content, shared = volumes(), ssh("osd1", "sha256sum < /dev/vg_op/bystander"), databases()
    ssh("osd1", "mount --bind /bin/false /usr/bin/ceph-osd")
    try:
        code, said = module(tmp_path, "-e", json.dumps({"devices": [OWN]}))
    finally:
        ssh("osd1", "umount /usr/bin/ceph-osd")
    assert code != 0
    assert f"an OSD could not be made on {OWN['path']}: ceph-volume lvm prepare" in " ".join(said.split()), said
    assert "--mkfs" in said and "could not be taken back" not in said, said
    assert volumes() == before and databases() == shared
    assert ssh("osd1", "sha256sum < /dev/vg_op/bystander") == content
    assert ssh("osd1", "wipefs /dev/vg_op/osd /dev/vg_op/wal") == ""
    assert ssh("mon1", "ceph osd ls").split() == ["0", "1", "2"]


def test_old_volumes_are_used_and_a_lost_disk_stops_nothing(tmp_path):
    """Volumes of the operator that may be wiped, the database of an OSD that is no more on a device that is full, and a device that is gone: one run."""
    fsid, gone = ssh("mon1", "ceph fsid").strip(), "11111111-2222-3333-4444-555555555555"
    tags = f"--addtag ceph.osd_id=9 --addtag ceph.osd_fsid={gone} --addtag ceph.cluster_name=ceph --addtag ceph.cluster_fsid={fsid}"
    for name, kind in (("osd", "block"), ("wal", "wal")):
        ssh("osd1", f"printf 'bluestore block device\\n{gone}\\n' | dd of=/dev/vg_op/{name} conv=notrunc status=none")
        ssh("osd1", f"lvchange -q {tags.replace(gone, 'another')} --addtag ceph.type={kind} vg_op/{name}")
    group = next(iter(databases())).partition("/")[0]
    ssh("osd1", f"lvcreate -qy -l 100%FREE -n osd-db-{gone} {group}; lvchange -q {tags} --addtag ceph.type=db {group}/osd-db-{gone}")
    before, content = set(volumes()), ssh("osd1", "sha256sum < /dev/vg_op/bystander")
    unit = ssh("osd1", "basename $(dirname $(grep -l lab-data3 /etc/systemd/system/ceph-osd@*.d/cephstack.conf))").strip().partition(".d")[0]
    number = unit.partition("@")[2].partition(".")[0]
    ssh("osd1", f"systemctl stop {unit} && udevadm settle && rm /dev/disk/by-id/lab-data3")
    try:
        declared = [OWN, {"path": "/dev/disk/by-id/lab-data3", "type": "raw"}]
        code, said = module(tmp_path, "-e", json.dumps({"devices": declared, "allow_loss": ["device//dev/vg_op/osd", "device//dev/vg_op/wal"]}))
    finally:
        ssh("osd1", f"udevadm trigger --settle --subsystem-match=block; systemctl start {unit}")
    assert code == 0, said
    assert f"/dev/disk/by-id/lab-data3: there is no such device on this host. osd.{number}" in " ".join(said.split()), said
    after = volumes()
    assert set(after) == before
    used = [after[name] for name in ("vg_op/osd", "vg_op/wal", f"{group}/osd-db-{gone}")]
    assert all("ceph.osd_id=4," in tags and f"ceph.osd_fsid={gone}" not in tags for tags in used), used
    assert ssh("osd1", "sha256sum < /dev/vg_op/bystander") == content
    assert ssh("mon1", "ceph osd ls").split() == ["0", "1", "2", "4"]
