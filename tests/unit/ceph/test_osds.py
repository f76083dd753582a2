# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import struct

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, devices, keyring_files, osds
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk, Secret

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
UUID = "0c8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
DISK, FLASH = "/dev/disk/by-id/a", "/dev/disk/by-id/flash"
RUNS = systemd.Unit(True, True, "active", 1)
RAW = osds.Device(DISK, "raw")
OSD = devices.Osd(3, UUID, FSID, "raw")
HELD = devices.Found("/dev/sda", OSD, (f"osd.3 of the cluster {FSID}",))
FILE = keyring_files.File(True, Secret("AQ=="), "ceph", "ceph", "0600")
FILES = {osds.BOOTSTRAP_KEYRING: dataclasses.replace(FILE, key=Secret("AQb==")), osds.keyring_place(3).path: FILE}
GOOD = osds.Observed(
    devices={DISK: HELD},
    fsid=FSID,
    known={3: osds.Known(UUID, True, "hdd")},
    units={"ceph-osd@3.service": RUNS},
    drop_ins={3: osds.drop_in_text(RAW)},
    keys={3: Secret("AQ==")},
    bootstrap_key=Secret("AQb=="),
    files=FILES,
    memory=64 << 30,
)


def plan(observed, devices=(RAW,), **options):
    return osds.Provider(list(devices), None, "ceph1", **options).plan(observed)


def problems(observed, devices=(RAW,), **options):
    with pytest.raises(Invalid) as error:
        plan(observed, devices, **options)
    return error.value.problems


def ids(made):
    return [change.id for change in made.changes]


def on(found, **others):
    return dataclasses.replace(GOOD, devices={DISK: found, **others})


def label(*notes, description="main"):
    def text(value):
        return struct.pack("<I", len(value)) + value.encode()

    body = bytes(16) + struct.pack("<QII", 1 << 30, 0, 0) + text(description) + struct.pack("<I", len(notes)) + b"".join(text(a) + text(b) for a, b in notes)
    return (b"bluestore block device\n" + UUID.encode() + b"\n" + struct.pack("<BBI", 2, 1, len(body)) + body).ljust(4096, b"\0")


def test_an_osd_that_is_up_needs_nothing():
    assert not plan(GOOD)


@pytest.mark.parametrize("buckets", [{3: "ceph9"}, {}], ids=["elsewhere", "nowhere"])
def test_an_osd_that_somebody_moved_comes_home(buckets):
    moved = dataclasses.replace(GOOD, buckets=buckets)
    (change,) = plan(moved).changes
    assert (change.id, change.risk, change.before, change.after) == ("crush_location/osd.3", Risk.MOVEMENT, {"parent": buckets.get(3)}, {"parent": "ceph1"})
    assert not plan(dataclasses.replace(GOOD, buckets={3: "ceph1"}))
    # At its start it goes there by itself.
    stopped = dataclasses.replace(moved, units={}, known={3: osds.Known(UUID, False, "hdd")})
    assert ids(plan(stopped)) == ["unit/ceph-osd@3.service"]


def test_an_empty_device_becomes_an_osd():
    (change,) = plan(on(devices.Found("/dev/sda"))).changes
    assert (change.id, change.action, change.after) == (f"osd/{DISK}", "create", {"path": DISK, "type": "raw"})


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (devices.Found(), "there is no such device"),
        (devices.Found("/dev/sda", holds=("a signature: ext4",)), f"holds a signature: ext4. To wipe it, name it in allow_loss: device/{DISK}"),
        (devices.Found("/dev/sda", busy=("mounted at /srv",)), "mounted at /srv"),
        (dataclasses.replace(HELD, osd=dataclasses.replace(OSD, cluster="another")), "holds osd.3"),
        (dataclasses.replace(HELD, osd=dataclasses.replace(OSD, uuid="former")), "holds osd.3"),
    ],
)
def test_a_device_that_cannot_be_used_is_named_with_its_reason(found, said):
    (problem,) = problems(on(found))
    assert problem.startswith(DISK)
    assert said in problem


def test_all_problems_are_told_together():
    observed = on(devices.Found(), **{FLASH: devices.Found("/dev/sdb", holds=("partitions: sdb1",))})
    assert len(problems(observed, [osds.Device(DISK, "lvm", db=FLASH)])) == 2


def test_an_allowed_device_is_wiped_first():
    made = plan(on(devices.Found("/dev/sda", holds=("a signature: ext4",))), allow_loss=[f"device/{DISK}"])
    assert [(change.id, change.risk) for change in made.changes] == [(f"device/{DISK}", Risk.LOSS), (f"osd/{DISK}", Risk.NONE)]
    assert [row["stage"] for row in made.rows()] == [1, 2]


def test_a_mounted_device_is_never_wiped():
    assert "mounted" in problems(on(devices.Found("/dev/sda", holds=("a signature: ext4",), busy=("mounted at /srv",))), allow_loss=[f"device/{DISK}"])[0]


def test_a_group_of_our_databases_takes_more_of_them():
    declared = [osds.Device(DISK, "lvm", db=FLASH)]
    ours = devices.Found("/dev/sdb", holds=("a physical volume of LVM (ceph-x/osd-db-y)",), group="ceph-x", ours=True)
    assert ids(plan(on(devices.Found("/dev/sda"), **{FLASH: ours}), declared)) == [f"osd/{DISK}"]
    assert problems(on(devices.Found("/dev/sda"), **{FLASH: dataclasses.replace(ours, ours=False)}), declared)


def test_a_stopped_osd_is_started():
    (change,) = plan(dataclasses.replace(GOOD, units={"ceph-osd@3.service": systemd.Unit(True, False, "failed", 0)})).changes
    assert (change.before, change.after) == ({"running": False}, {"running": True})


def test_a_host_made_anew_gets_its_osds_back():
    made = plan(dataclasses.replace(GOOD, units={}, drop_ins={}, files={osds.BOOTSTRAP_KEYRING: FILES[osds.BOOTSTRAP_KEYRING]}))
    assert ids(made) == ["drop_in/ceph-osd@3.service", "unit/ceph-osd@3.service"]


def test_a_stale_keyring_is_mended():
    made = plan(dataclasses.replace(GOOD, files={**FILES, osds.keyring_place(3).path: dataclasses.replace(FILE, key=Secret("AQbad="))}))
    assert [(change.kind, change.risk) for change in made.changes] == [("keyring", Risk.NONE), ("unit", Risk.RESTART)]
    assert "AQ" not in str(made.diff())


def test_an_osd_that_is_down_is_warned_of():
    made = plan(dataclasses.replace(GOOD, known={3: osds.Known(UUID, False, "hdd")}))
    assert not made
    assert "osd.3" in made.warnings[0]


def test_another_device_class_moves_data():
    (change,) = plan(GOOD, [dataclasses.replace(RAW, device_class="ssd")]).changes
    assert (change.before, change.after, change.risk) == ({"device_class": "hdd"}, {"device_class": "ssd"}, Risk.MOVEMENT)


def test_memory_by_share():
    (change,) = plan(GOOD, share=0.5).changes
    assert (change.id, change.after) == ("option/osd/host:ceph1/osd_memory_target", {"value": str(32 << 30)})
    assert not plan(dataclasses.replace(GOOD, memory_target=str(32 << 30)), share=0.5)


@pytest.mark.parametrize(
    ("memory", "share", "count", "target"), [(64 << 30, 0.5, 8, 4 << 30), (1 << 30, 0.5, 4, 896 << 20), ((64 << 30) - 5000, 0.5, 8, 4032 << 20)]
)
def test_memory_targets(memory, share, count, target):
    assert osds.memory_target(memory, share, count) == target


def test_before_there_is_a_cluster_all_would_be_made():
    assert ids(plan(osds.Observed({DISK: devices.Found("/dev/sda")}))) == [f"keyring/{osds.BOOTSTRAP_KEYRING}", f"osd/{DISK}"]


def test_labels():
    parsed = devices.parse_label(label(("ceph_fsid", FSID), ("whoami", "3")))
    assert parsed == {"osd_uuid": UUID, "description": "main", "ceph_fsid": FSID, "whoami": "3"}
    assert devices.parse_label(bytes(4096)) is None


def test_a_damaged_label_is_still_a_label():
    assert devices.parse_label(label(("ceph_fsid", FSID))[:110])["osd_uuid"] == UUID
    assert devices.parse_label(label()[:65] + b"\xff" * 100) is not None


def test_tags():
    assert devices.parse_tags("ceph.osd_id=1,ceph.type=block,other=2") == {"osd_id": "1", "type": "block"}
    assert devices.parse_tags("") == {}


def test_drop_ins_quote_what_systemd_would_read():
    assert '"/dev/disk/by-id/a%%b\\\\x20c"' in osds.drop_in_text(osds.Device("/dev/disk/by-id/a%b\\x20c", "raw"))


def test_bad_declarations_are_told_together():
    with pytest.raises(Invalid) as error:
        osds.parse(
            [
                {"path": DISK, "type": "raw", "encrypted": True},
                {"path": DISK, "type": "raw", "db": FLASH},
                {"path": "/dev/b", "type": "raw", "db": FLASH},
                {"path": "sdc", "db": DISK},
            ]
        )
    assert len(error.value.problems) == 5


def test_osds_of_the_type_lvm_share_a_device():
    assert len(osds.parse([{"path": "/dev/a", "db": FLASH}, {"path": "/dev/b", "db": FLASH}])) == 2


# -- a disk that is replaced


def making(destroyed, *disks):
    blank = {device.path: devices.Found(f"/dev/{device.path[-1]}") for device in disks}
    observed = dataclasses.replace(GOOD, devices=blank, known={}, destroyed=destroyed)
    return {change.name: change.after.get("id") for change in plan(observed, disks).changes if change.kind == "osd"}


def test_a_new_disk_takes_the_place_of_a_destroyed_osd_of_its_class():
    one, two = osds.Device("/dev/disk/by-id/a", "raw", device_class="ssd"), osds.Device("/dev/disk/by-id/b", "raw")
    assert making({4: "hdd", 5: "ssd"}, one, two) == {one.path: 5, two.path: 4}
    assert making({4: "hdd"}, one, two) == {one.path: 4, two.path: None}
    assert making({}, one) == {one.path: None}


def test_a_disk_that_is_yet_to_be_put_in_is_awaited():
    """Where a disk was taken out and the next one is not there yet, the others are kept right; but one disk more than that is a mistake."""
    one, two = osds.Device("/dev/disk/by-id/a", "raw"), osds.Device("/dev/disk/by-id/b", "raw")
    nothing = {device.path: devices.Found(None) for device in (one, two)}
    observed = dataclasses.replace(GOOD, devices={**nothing, two.path: devices.Found("/dev/b")}, known={}, destroyed={4: "hdd", 5: "hdd"})
    planned = plan(observed, (one, two))
    assert {change.name for change in planned.changes if change.kind == "osd"} == {two.path}
    assert planned.warnings == [
        f"{one.path}: there is no such device on this host. The next disk takes the place of osd.4 or osd.5: put it in, and run this again"
    ]
    for destroyed in ({}, {4: "hdd"}):
        with pytest.raises(Invalid, match="there is no such device on this host"):
            plan(dataclasses.replace(observed, devices=nothing, destroyed=destroyed), (one, two))
    told = dataclasses.replace(observed, devices=nothing, destroyed={4: "hdd"}, lost={one.path: 4}, known={4: osds.Known("x", False)})
    (text,) = plan(told, (one,)).warnings
    assert "The next disk takes the place of osd.4: put it in" in text


def test_noout_that_was_ours_is_taken_back_by_the_next_run():
    (change,) = plan(dataclasses.replace(GOOD, kept_in=[3])).changes
    assert (change.id, change.before, change.after) == ("flag/osd.3/noout", {"set": True}, {"set": False})
    assert not plan(dataclasses.replace(GOOD, kept_in=[4])).changes, "another host's"


def test_folders_of_osds_that_could_not_be_made(tmp_path, monkeypatch):
    """ceph-volume leaves them, and does not make another OSD of their number."""
    monkeypatch.setattr(daemons, "DATA", str(tmp_path))
    for name, files in (("ceph-3", ["block", "type"]), ("ceph-4", ["block", "type", "ready"]), ("ceph-12", ["block"]), ("ceph-5", []), ("other-6", ["block"])):
        (tmp_path / "osd" / name).mkdir(parents=True)
        for file in files:
            (tmp_path / "osd" / name / file).symlink_to("/nowhere") if file == "block" else (tmp_path / "osd" / name / file).touch()
    assert osds.unfinished() == [3, 12]
