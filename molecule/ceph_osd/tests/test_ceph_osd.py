# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a first run, a second one that changed nothing, and a reboot."""

from __future__ import annotations

import json
import os
import pathlib
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
        {"ansible.builtin.import_role": {"name": "cephstack.cloud.ceph_common", "tasks_from": "credentials"}},
        {"cephstack.cloud.ceph_osds": {"connection": "{{ __ceph_common_connection }}", "devices": "{{ devices }}", "arm": "{{ arm | default([]) }}"}},
    ]
    play.write_text(json.dumps([{"hosts": "osds", "gather_facts": False, "tasks": tasks}]))
    log = tmp_path / "log"
    with log.open("w") as out:  # a pipe would be held open by ssh's persistent master
        done = subprocess.run(
            ["ansible-playbook", "-i", str(INVENTORY), *arguments, str(play)],
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


def test_a_run_that_changes_nothing_starts_no_ceph_volume(tmp_path):
    before = ssh("osd1", f"grep -c 'Running command: .*ceph-volume' {LOG} || true")
    declared = {"devices": [{"path": "/dev/disk/by-id/lab-data1"}, {"path": "/dev/disk/by-id/lab-data2"}, {"path": "/dev/disk/by-id/lab-data3", "type": "raw"}]}
    code, said = module(tmp_path, "-e", json.dumps(declared))
    assert code == 0, said
    assert "changed=0" in said
    assert ssh("osd1", f"grep -c 'Running command: .*ceph-volume' {LOG} || true") == before


def test_what_holds_anything_is_refused_and_untouched(tmp_path):
    ssh("osd1", "wipefs -qa /dev/disk/by-id/lab-spare; mkfs.ext4 -q /dev/disk/by-id/lab-spare")
    ssh("osd1", "mkdir -p /mnt/spare; mount /dev/disk/by-id/lab-spare /mnt/spare")
    try:
        code, said = module(tmp_path, "-e", '{"devices": [{"path": "/dev/disk/by-id/lab-spare"}], "arm": ["device//dev/disk/by-id/lab-spare"]}')
        assert code != 0
        assert "mounted at /mnt/spare" in said
    finally:
        ssh("osd1", "umount /mnt/spare")
    code, said = module(
        tmp_path, "-e", '{"devices": [{"path": "/dev/disk/by-id/lab-spare"}, {"path": "/dev/disk/by-id/lab-flash"}, {"path": "/dev/disk/by-id/lab-none"}]}'
    )
    assert code != 0
    for reason in ("signature: ext4", "arm it by name: device//dev/disk/by-id/lab-spare", "lab-flash: refused", "lab-none: there is no such device"):
        assert reason in " ".join(said.split()), said
    assert "ext4" in ssh("osd1", "blkid -p /dev/disk/by-id/lab-spare")
    assert ssh("mon1", "ceph osd ls").split() == ["0", "1", "2"]
