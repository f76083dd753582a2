# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to the volumes of a host whose LVM and ceph-volume are simulated: molecule/ceph_osd does the same to real ones."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import devices, keyring_files, osds
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Lane, Plan, Risk, Secret, Unreachable

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
EXTENT = 4 << 20
KEYRING = keyring_files.File(True, Secret("AQ=="), "ceph", "ceph", "0600")
DATA, DB, WAL, DISK, FLASH = "/dev/vg_ssd/osd1", "/dev/vg_nvme/db1", "/dev/vg_nvme/wal1", "/dev/disk/by-id/a", "/dev/disk/by-id/flash"
WORDS = " stderr: Error EACCES: access denied\n--> RuntimeError: Unable to create a new OSD id"


class Lvm:
    """Disks, groups and volumes, and the programs that change them, with the answers of the real ones.

    volumes: by "group/name" their tags; labels: what has BlueStore's label; opened: what a process holds open.
    """

    def __init__(self):
        self.disks = {}
        self.groups = {}
        self.spans = {}
        self.cached = set()
        self.volumes = {}
        self.sizes = {}
        self.labels = set()
        self.opened = set()
        self.broken = set()
        self.known = {}
        self.down = set()
        self.metadata = {}
        self.files = {osds.BOOTSTRAP_KEYRING: "[client.bootstrap-osd]\nkey = AQ==\n"}
        self.fails = ""
        self.fails_late = False
        self.no_removal = False

    def add_disk(self, path, extents=1000):
        self.disks[path] = extents * EXTENT + (1 << 20)

    def add_volume(self, group, name, extents=100, disk=None, **tags):
        disk = disk or f"/dev/{group}_disk"
        if disk not in self.disks:
            self.add_disk(disk)
        self.groups.setdefault(group, disk)
        self.volumes[f"{group}/{name}"] = {key: str(value) for key, value in tags.items()}
        self.sizes[f"{group}/{name}"] = extents

    # -- what devices.py reads

    def pull(self, path):
        """Take a disk out: with it go the groups on it."""
        del self.disks[path]
        for group in [name for name, disk in self.groups.items() if disk == path]:
            del self.groups[group]
            self.volumes = {name: tags for name, tags in self.volumes.items() if not name.startswith(f"{group}/")}
            self.sizes = {name: size for name, size in self.sizes.items() if not name.startswith(f"{group}/")}

    def real(self, path):
        return path if path in self.disks or path[len("/dev/") :] in self.volumes else None

    def label(self, real):
        if real in self.broken:
            raise Unreachable(f"cannot read {real}: Input/output error")
        return {"osd_uuid": "x", "description": "main"} if real in self.labels else None

    def rows(self):
        return [
            {
                "vg_name": name.partition("/")[0],
                "lv_name": name.partition("/")[2],
                "lv_path": f"/dev/{name}",
                "lv_tags": ",".join(f"ceph.{key}={value}" for key, value in tags.items()),
                "devices": f"{name}_corig(0)" if name in self.cached else f"{self.groups[name.partition('/')[0]]}(0)",
                "lv_size": str(self.sizes[name] * EXTENT),
                "lv_device_open": "open" if name in self.opened else "",
            }
            for name, tags in self.volumes.items()
        ]

    def group_rows(self):
        return [
            {
                "vg_name": name,
                "pv_name": disk,
                "vg_extent_size": str(EXTENT),
                "vg_extent_count": str(self.total(name)),
                "vg_free_count": str(self.free(name)),
            }
            for name, disks in self.groups.items()
            for disk in [disks, *self.spans.get(name, [])]
        ]

    def read(self, path, **_options):
        name = path.partition("/sys/class/block/")[2].partition("/size")[0]
        sizes = [size for disk, size in self.disks.items() if name and disk.endswith(f"/{name}")]
        return str(sizes[0] // 512) if sizes else self.files.get(path)

    def total(self, group):
        return (self.disks[self.groups[group]] - 1) // EXTENT

    def free(self, group):
        return self.total(group) - sum(size for name, size in self.sizes.items() if name.startswith(f"{group}/"))

    def units(self, names):
        return {
            name: systemd.NO_UNIT if name in {f"ceph-osd@{number}.service" for number in self.down} else systemd.Unit(True, True, "active", 1) for name in names
        }

    @contextlib.contextmanager
    def hold(self, volume):
        self.opened.add(volume)
        try:
            yield
        finally:
            self.opened.discard(volume)

    # -- programs

    def run(self, argv, **_options):
        def fail(text):
            raise process.CommandError(argv, 5, text)

        def remove(name):
            if name not in self.volumes:
                fail(f"Failed to find logical volume {name}")
            if name in self.opened or self.no_removal:
                fail(f"Logical volume {name} in use.")
            del self.volumes[name], self.sizes[name]
            self.labels.discard(f"/dev/{name}")

        words = [word for word in argv if not word.startswith("--")]
        if argv[0] == "wipefs":
            if self.broken.intersection(argv):
                fail(f"wipefs: error: {self.broken.intersection(argv)}: probing initialization failed: Input/output error")
            found = [{"device": node, "type": "LVM2_member"} for node in argv[2:] if node in self.groups.values() or node in self.labels]
            return json.dumps({"signatures": found})
        if argv[0] == "vgcreate":
            self.groups[words[1]] = words[2]
            self.labels.discard(words[2])
        elif argv[0] == "lvcreate":
            extents, name, group = words[1:]
            wanted = int(extents) if extents.isdigit() else int(extents.partition("%")[0]) * (self.free if "FREE" in extents else self.total)(group) // 100
            if wanted > self.free(group) or not wanted:
                fail(f'Volume group "{group}" has insufficient free space ({self.free(group)} extents): {wanted} required.')
            self.volumes[f"{group}/{name}"], self.sizes[f"{group}/{name}"] = {}, wanted
        elif argv[0] == "lvremove":
            remove(words[1])
        elif argv[0] == "vgremove":
            inside = [name for name in self.volumes if name.startswith(f"{words[1]}/")]
            if inside and "--yes" not in argv:
                fail(f'Volume group "{words[1]}" still contains {len(inside)} logical volume(s)')
            for name in inside:
                remove(name)
            self.labels.add(self.groups.pop(words[1]))  # a physical volume of no group
        elif argv[0] == "lvchange":
            assert words == ["lvchange", "y", f"@ceph.osd_fsid={words[2].partition('=')[2]}"]
        elif argv[0] == "pvremove":
            self.labels.discard(words[1])
        elif words[:3] == ["ceph-volume", "lvm", "zap"]:
            name = words[3][len("/dev/") :] if words[3].startswith("/dev/") else words[3]
            self.labels.discard(f"/dev/{name}")
            if words[3] in self.disks:
                for lying in [lying for lying in self.volumes if self.groups[lying.partition("/")[0]] == words[3]]:
                    self.destroy(lying, remove)
            elif "--destroy" in argv:
                self.destroy(name, remove)
            else:
                self.volumes[name] = {key: value for key, value in self.volumes[name].items() if key == "other"}
        elif words[:3] == ["ceph-volume", "lvm", "prepare"]:
            given = dict(zip(argv[3:], argv[4:]))
            number = int(given.get("--osd-id") or next(number for number in range(100) if number not in self.known))
            self.prepare([given[name] for name in ("--data", "--block.db", "--block.wal") if name in given], number, fail, remove)
        elif words[:3] == ["ceph-volume", "lvm", "activate"]:
            self.known[int(words[3])] = words[4]
            self.down.discard(int(words[3]))
            self.files[osds.keyring_place(int(words[3])).path] = f"[osd.{words[3]}]\nkey = AQ==\n"
        elif argv == ["systemctl", "daemon-reload"]:
            pass
        else:
            raise AssertionError(f"an unexpected program: {argv}")
        return ""

    def destroy(self, name, remove):
        """Remove a volume, and its group if it is the last one, as ceph-volume's zap does."""
        group = name.partition("/")[0]
        remove(name)
        if not any(other.startswith(f"{group}/") for other in self.volumes):
            self.labels.discard(self.groups.pop(group))

    def prepare(self, names, number, fail, remove):
        if self.fails and not self.fails_late:
            fail(self.fails)
        for name in names:
            if name not in self.volumes:
                fail(f"--> {name}: no such volume")
            kind = "block" if name is names[0] else "wal" if "wal" in name else "db"
            self.volumes[name].update(type=kind, osd_id=str(number), osd_fsid=f"uuid-{number}", cluster_fsid=FSID)
            self.labels.add(f"/dev/{name}")
        if self.fails:  # ceph-volume takes back what has the OSD's number, whoever made it
            said = f"{self.fails}\n--> Was unable to complete a new OSD, will rollback changes\n stderr: purged osd.{number}"
            for name in [name for name, tags in reversed(self.volumes.items()) if tags.get("osd_id") == str(number)]:
                self.labels.discard(f"/dev/{name}")
                try:
                    self.destroy(name, remove)
                except process.CommandError as error:
                    fail(f"{said}\n stderr: {error.text}\n--> RuntimeError: Unable to remove {name}")
            fail(f"{said}\n--> Zapping successful for OSD: {number}\n--> RuntimeError: command returned non-zero exit status: 250")


@pytest.fixture
def lvm(monkeypatch):
    simulated = Lvm()
    monkeypatch.setattr(devices, "_real", simulated.real)
    monkeypatch.setattr(devices, "read_label", simulated.label)
    monkeypatch.setattr(devices, "logical_volumes", simulated.rows)
    monkeypatch.setattr(devices, "volume_groups", simulated.group_rows)
    monkeypatch.setattr(devices, "hold", simulated.hold, raising=False)
    monkeypatch.setattr(devices, "wipe", simulated.labels.discard)
    monkeypatch.setattr(process, "run", simulated.run)
    monkeypatch.setattr(systemd, "units", simulated.units)
    monkeypatch.setattr(files, "read", simulated.read)
    monkeypatch.setattr(keyring_files, "read", lambda place: KEYRING if place.path in simulated.files else keyring_files.File())
    monkeypatch.setattr(files, "write", lambda path, text, *_options: simulated.files.update({path: text}))
    return simulated


class Cluster:
    """A cluster that knows what the simulated ceph-volume made. down: OSDs that are not up; metadata: what each told of itself."""

    fsid = FSID

    def __init__(self, lvm):
        self.lvm = lvm

    @staticmethod
    def bucket(children):
        return {"id": -2, "name": "ceph1", "type": "host", "children": children}

    def command(self, prefix, **_options):
        known = self.lvm.known
        return {
            "osd dump": {"osds": [{"osd": number, "up": int(number not in self.lvm.down), "uuid": uuid} for number, uuid in known.items()]},
            "osd tree": {"nodes": [self.bucket([*known]), *({"id": number, "type": "osd", "device_class": "hdd"} for number in known)]},
            "auth ls": {"auth_dump": [{"entity": name, "key": "AQ=="} for name in ["client.bootstrap-osd", *(f"osd.{number}" for number in known)]]},
            "config dump": [],
            "config-key dump": {},
            "osd metadata": [{"id": number, "hostname": "ceph1", **self.lvm.metadata.get(number, {})} for number in known],
        }[prefix]

    def many(self, calls):
        return [self.command(prefix) for prefix, _options in calls]


def provider(lvm, *declared, **options):
    return osds.Provider(osds.parse(declared), Cluster(lvm), "ceph1", **options)


def plan(lvm, *declared, **options):
    made = provider(lvm, *declared, **options)
    return made.plan(made.observe())


def failures(made):
    """Apply one after the other: what LVM is asked has an order then."""
    alone = Plan([dataclasses.replace(change, lane=Lane("one")) for change in made.changes])
    return [failure.message for failure in alone.apply()]


# -- what was there stays


@pytest.mark.parametrize("late", [False, True], ids=["before it has a number", "with its own roll-back"])
def test_an_osd_that_cannot_be_made_leaves_the_operators_volumes(lvm, late):
    lvm.add_volume("vg_ssd", "osd1")
    lvm.add_volume("vg_ssd", "bystander", other="precious")
    lvm.add_volume("vg_nvme", "db1")
    lvm.fails, lvm.fails_late = WORDS, late
    (said,) = failures(plan(lvm, {"path": DATA, "db": DB}))
    assert lvm.volumes == {"vg_ssd/osd1": {}, "vg_ssd/bystander": {"other": "precious"}, "vg_nvme/db1": {}}
    assert set(lvm.groups) == {"vg_ssd", "vg_nvme"} and not lvm.labels
    assert "Error EACCES: access denied" in said
    lvm.fails = ""
    assert failures(plan(lvm, {"path": DATA, "db": DB})) == []


def test_the_last_volume_of_a_group_stays_too(lvm):
    lvm.add_volume("vg_ssd", "osd1")
    lvm.fails, lvm.fails_late = WORDS, True
    failures(plan(lvm, {"path": DATA}))
    assert lvm.volumes == {"vg_ssd/osd1": {}}
    assert not lvm.opened


@pytest.mark.parametrize("late", [False, True])
def test_what_was_made_for_an_osd_that_cannot_be_made_is_taken_back(lvm, late):
    lvm.add_disk(DISK)
    lvm.add_volume("vg_nvme", "db1")
    lvm.fails, lvm.fails_late = WORDS, late
    failures(plan(lvm, {"path": DISK, "db": DB}))
    assert (list(lvm.volumes), list(lvm.groups), lvm.labels) == (["vg_nvme/db1"], ["vg_nvme"], set())
    lvm.fails = ""
    assert failures(plan(lvm, {"path": DISK, "db": DB})) == []


def test_an_old_osd_with_the_number_that_the_new_one_would_get_stays(lvm):
    """It was removed from the cluster, or is of another one; ceph-volume's roll-back would take it for the new OSD."""
    old_ones = {f"vg_old{number}/osd": {"type": "block", "osd_id": str(number), "osd_fsid": f"old-{number}", "cluster_fsid": "another"} for number in (0, 2)}
    for name, tags in old_ones.items():
        lvm.add_volume(*name.split("/"), **tags)
    for path in (DISK, "/dev/b"):
        lvm.add_disk(path)
    lvm.fails, lvm.fails_late = WORDS, True
    assert len(failures(plan(lvm, {"path": DISK}))) == 1
    assert lvm.volumes == old_ones
    lvm.fails = ""
    assert failures(plan(lvm, {"path": DISK}, {"path": "/dev/b"})) == []
    assert set(lvm.known) == {1, 3}


def test_a_group_that_another_osd_uses_by_now_stays(lvm):
    for path in (DISK, "/dev/b", FLASH):
        lvm.add_disk(path)
    made = plan(lvm, {"path": DISK, "db": FLASH}, {"path": "/dev/b", "db": FLASH})
    prepare = lvm.prepare

    def fails(names, _number, fail, remove):
        lvm.prepare = prepare
        group = names[1].partition("/")[0]
        lvm.volumes[f"{group}/osd-db-of-another"], lvm.sizes[f"{group}/osd-db-of-another"] = {}, 10
        fail(WORDS)

    lvm.prepare = fails
    assert len(failures(made)) == 1
    assert sorted(tags.get("osd_id", "") for name, tags in lvm.volumes.items() if "osd-db" in name) == ["", "0"]
    assert FLASH in lvm.groups.values() and DISK not in lvm.groups.values()


def test_the_cause_is_told_also_where_nothing_can_be_taken_back(lvm):
    lvm.add_disk(DISK)
    lvm.fails, lvm.no_removal = WORDS, True
    (said,) = failures(plan(lvm, {"path": DISK}))
    assert "Error EACCES: access denied" in said and "in use" in said


# -- what may be wiped


def old(kind, number=7, cluster="another", **others):
    return {"type": kind, "osd_id": number, "osd_fsid": f"old-{number}", "cluster_fsid": cluster, **others}


@pytest.mark.parametrize("cluster", ["another", FSID])
def test_an_allowed_volume_is_wiped_and_used(lvm, cluster):
    for path, kind in ((DATA, "block"), (DB, "db"), (WAL, "wal")):
        lvm.add_volume(*path[len("/dev/") :].split("/"), **old(kind, cluster=cluster))
        lvm.labels.add(path)
    declared = {"path": DATA, "db": DB, "wal": WAL}
    allow_loss = [f"device/{path}" for path in (DATA, DB, WAL)]
    with pytest.raises(Invalid) as error:
        plan(lvm, declared)
    assert len(error.value.problems) == 3
    made = plan(lvm, declared, allow_loss=allow_loss)
    assert sorted(change.id for change in made.changes if change.risk is Risk.LOSS) == sorted(allow_loss)
    assert failures(made) == []
    assert {name: (tags["type"], tags["osd_id"]) for name, tags in lvm.volumes.items()} == {
        "vg_ssd/osd1": ("block", "0"),
        "vg_nvme/db1": ("db", "0"),
        "vg_nvme/wal1": ("wal", "0"),
    }
    assert not plan(lvm, declared, allow_loss=allow_loss)


def test_an_allowed_volume_with_a_filesystem_is_wiped_too(lvm):
    lvm.add_volume("vg_ssd", "osd1", other="x")
    lvm.labels.add(DATA)
    assert failures(plan(lvm, {"path": DATA}, allow_loss=[f"device/{DATA}"])) == []
    assert lvm.volumes["vg_ssd/osd1"]["osd_id"] == "0"


def test_a_part_of_a_running_osd_is_refused_although_it_is_allow_loss(lvm):
    lvm.add_volume("vg_nvme", "db1", **{**old("db", 0, FSID), "osd_fsid": "uuid-0"})
    lvm.labels.add(DB)
    lvm.add_disk(DISK)
    lvm.known[0] = "uuid-0"
    with pytest.raises(Invalid, match=r"it is the db of osd\.0") as error:
        plan(lvm, {"path": DISK, "db": DB}, allow_loss=[f"device/{DB}"])
    assert len(error.value.problems) == 1


@pytest.mark.parametrize("path", [DATA, "/dev/vg_ssd_disk"])
def test_a_volume_in_use_is_refused_although_it_is_allow_loss(lvm, path):
    lvm.add_volume("vg_ssd", "osd1")
    lvm.labels.add(path)
    lvm.opened.add("vg_ssd/osd1")
    with pytest.raises(Invalid, match="in use"):
        plan(lvm, {"path": path}, allow_loss=[f"device/{path}"])


# -- what is gone


def made_osd(lvm, path=DISK, db=None):
    """An OSD on a disk, made by the code itself; return its number."""
    lvm.add_disk(path)
    number = max(lvm.known, default=-1) + 1
    assert failures(plan(lvm, {"path": path, "db": db})) == []
    assert not plan(lvm, {"path": path, "db": db})
    return number


@pytest.mark.parametrize("path", ["/dev/disk/by-id/wwn-0x5000c500a0b1c2d3", DISK])
def test_a_disk_that_is_gone_is_warned_of_with_its_osd_and_the_rest_goes_on(lvm, path):
    number = made_osd(lvm, path)
    lvm.pull(path)
    lvm.down.add(number)
    lvm.add_disk("/dev/b")
    one = provider(lvm, {"path": path}, {"path": "/dev/b"})
    made = one.plan(one.observe())
    assert [change.id for change in made.changes] == ["osd//dev/b"]
    assert len(made.warnings) == 1 and path in made.warnings[0] and f"osd.{number}" in made.warnings[0]
    assert failures(made) == []
    assert one.returned(one.observe())["osds"][0] == {"path": path, "id": number, "type": "lvm", "up": False}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/dev/disk/by-id/ata-ST4000NM0035_ZC1234", {"device_ids": "nvme0n1=SAMSUNG_S1,sdb=ATA_ST4000NM0035_ZC1234"}),
        ("/dev/disk/by-path/pci-0000:1c:00.0-scsi-0:2:2:0", {"device_paths": "nvme0n1=/x,sdb=/dev/disk/by-path/pci-0000:1c:00.0-scsi-0:2:2:0"}),
    ],
)
def test_an_osd_that_others_made_is_known_by_what_it_told_the_cluster(lvm, path, told):
    lvm.known[4] = "uuid-4"
    lvm.down.add(4)
    lvm.metadata[4] = {"bluestore_bdev_devices": "sdb", **told}
    assert "osd.4" in plan(lvm, {"path": path}).warnings[0]
    with pytest.raises(Invalid, match="no such device"):
        plan(lvm, {"path": "/dev/disk/by-id/nvme-SAMSUNG_S1"})
    lvm.metadata[4]["hostname"] = "ceph2"
    with pytest.raises(Invalid, match="no such device"):
        plan(lvm, {"path": path})


def test_a_disk_that_is_gone_and_never_was_an_osd_stays_an_error(lvm):
    number = made_osd(lvm)
    lvm.pull(DISK)
    lvm.down.add(number)
    with pytest.raises(Invalid) as error:
        plan(lvm, {"path": DISK}, {"path": "/dev/disk/by-id/mistyped"})
    assert error.value.problems == ["/dev/disk/by-id/mistyped: there is no such device on this host"]


def test_a_disk_that_is_gone_while_its_osd_is_up_or_removed_is_an_error(lvm):
    number = made_osd(lvm)
    lvm.pull(DISK)
    with pytest.raises(Invalid, match=rf"osd\.{number}, which was on it, is up"):
        plan(lvm, {"path": DISK})
    lvm.known.clear()
    with pytest.raises(Invalid, match="no such device"):
        plan(lvm, {"path": DISK})


def test_a_disk_that_cannot_be_read_any_more_is_one_that_is_gone(lvm):
    number = made_osd(lvm)
    lvm.pull(DISK)
    lvm.add_disk(DISK)
    lvm.broken.add(DISK)
    with pytest.raises(Invalid, match="Input/output error"):
        plan(lvm, {"path": DISK})
    lvm.down.add(number)
    lvm.add_disk("/dev/b")
    made = plan(lvm, {"path": DISK}, {"path": "/dev/b"})
    assert [change.id for change in made.changes] == ["osd//dev/b"]
    assert f"osd.{number}" in made.warnings[0] and "Input/output error" in made.warnings[0]


def test_an_osd_whose_database_device_is_gone_is_warned_of(lvm):
    lvm.add_volume("vg_nvme", "db1")
    number = made_osd(lvm, db=DB)
    lvm.pull("/dev/vg_nvme_disk")
    lvm.down.add(number)
    made = plan(lvm, {"path": DISK, "db": DB})
    assert not made
    assert f"osd.{number}" in made.warnings[0] and DB in made.warnings[0]


# -- room on a shared device


A, B, C = "/dev/disk/by-id/a", "/dev/disk/by-id/b", "/dev/disk/by-id/c"


def declare(*paths, **options):
    return [{"path": path, "db": FLASH, **options} for path in paths]


def two_osds(lvm, **options):
    for path in (A, B, C, FLASH):
        lvm.add_disk(path)
    assert failures(plan(lvm, *declare(A, B, **options))) == []
    assert not plan(lvm, *declare(A, B, **options))


def databases(lvm):
    return {name: tags for name, tags in lvm.volumes.items() if lvm.groups[name.partition("/")[0]] == FLASH}


def test_one_more_osd_than_there_is_room_for_is_refused_before_anything_is_touched(lvm):
    two_osds(lvm)
    before = dict(lvm.volumes)
    with pytest.raises(Invalid) as error:
        plan(lvm, *declare(A, B, C))
    (problem,) = error.value.problems
    assert problem.startswith(f"{FLASH} (db of {C}): no room") and "osd.0" in problem and "db_size" in problem
    assert lvm.volumes == before and C not in lvm.groups.values()


def test_more_osds_than_a_new_device_has_room_for_are_refused(lvm):
    for path in (A, B, FLASH):
        lvm.add_disk(path)
    with pytest.raises(Invalid, match="no room") as error:
        plan(lvm, *declare(A, B, db_size="2400M"))
    assert len(error.value.problems) == 1 and "(db of /dev/disk/by-id/b)" in error.value.problems[0]
    assert len(plan(lvm, *declare(A, B, db_size="2000M"))) == 2


@pytest.mark.parametrize(("options", "extents"), [({"db_slots": 3}, 333), ({"db_size": "1G"}, 256), ({"db_size": "1025M"}, 257)])
def test_room_that_was_left_is_used_by_later_osds(lvm, options, extents):
    two_osds(lvm, **options)
    assert failures(plan(lvm, *declare(A, B, C, **options))) == []
    assert not plan(lvm, *declare(A, B, C, **options))
    assert [lvm.sizes[name] for name in databases(lvm)] == [extents] * 3


def test_nothing_half_made_remains_where_the_room_is_gone_in_the_meantime(lvm):
    two_osds(lvm, db_slots=3)
    made = plan(lvm, *declare(A, B, C, db_slots=3))
    group = next(iter(databases(lvm))).partition("/")[0]
    lvm.volumes[f"{group}/other"], lvm.sizes[f"{group}/other"] = {}, 300
    before = dict(lvm.volumes)
    (said,) = failures(made)
    assert "insufficient free space" in said
    assert lvm.volumes == before and C not in lvm.groups.values() and not lvm.labels.intersection({C, FLASH})


def test_nothing_is_made_on_a_disk_that_cannot_be_read_in_the_meantime(lvm):
    """What it holds is not known then, so it is not empty."""
    lvm.add_disk("/dev/b")
    made = plan(lvm, {"path": "/dev/b"})
    lvm.broken.add("/dev/b")
    (said,) = failures(made)
    assert "/dev/b: " in said and "Input/output error" in said
    assert lvm.groups == {} and lvm.volumes == {}


@pytest.mark.parametrize("option", ["db", "wal"])
def test_an_empty_path_of_a_part_is_not_taken_for_none(option):
    with pytest.raises(Invalid, match=f"{option} '' is no absolute path"):
        osds.parse([{"path": "/dev/b", option: ""}])


@pytest.mark.parametrize("options", [{}, {"db_size": "1G"}])
def test_a_replaced_disk_uses_its_old_database_volume(lvm, options):
    two_osds(lvm, **options)
    before = set(databases(lvm))
    lvm.pull(A)
    lvm.known.pop(0)
    made = plan(lvm, *declare(C, B, **options))
    assert {change.kind for change in made.changes} == {"volume", "osd"}
    assert all(change.risk is Risk.NONE for change in made.changes) and "osd.0" in made.changes[0].reason
    assert failures(made) == []
    assert set(databases(lvm)) == before
    assert not plan(lvm, *declare(C, B, **options))


def test_a_disk_that_is_made_anew_uses_its_old_database_volume(lvm):
    two_osds(lvm)
    before = set(databases(lvm))
    lvm.known.pop(0)
    with pytest.raises(Invalid, match="name it in allow_loss"):
        plan(lvm, *declare(A, B))
    assert failures(plan(lvm, *declare(A, B), allow_loss=[f"device/{A}"])) == []
    assert set(databases(lvm)) == before


def test_a_database_volume_that_is_too_small_is_not_used(lvm):
    two_osds(lvm, db_size="1G")
    lvm.pull(A)
    lvm.known.pop(0)
    assert [change.kind for change in plan(lvm, *declare(C, B, db_size="1500M")).changes] == ["osd"]
    with pytest.raises(Invalid, match="no room"):
        plan(lvm, *declare(C, B, db_size="3G"))


def test_the_database_of_an_osd_that_the_cluster_has_is_never_used(lvm):
    two_osds(lvm)
    lvm.pull(A)
    lvm.down.add(0)
    with pytest.raises(Invalid, match=r"The data of osd\.0 is not on this host") as error:
        plan(lvm, *declare(C, B))
    assert "ceph osd purge 0" in error.value.problems[0]


def test_a_database_is_kept_while_the_data_of_its_osd_is_on_this_host(lvm):
    two_osds(lvm)
    lvm.known.pop(0)
    with pytest.raises(Invalid, match="no room"):
        plan(lvm, *declare(C, B))


def test_a_database_that_something_uses_is_not_used(lvm):
    two_osds(lvm)
    lvm.opened.add(next(name for name, tags in databases(lvm).items() if tags["osd_id"] == "0"))
    lvm.pull(A)
    lvm.known.pop(0)
    with pytest.raises(Invalid, match="no room"):
        plan(lvm, *declare(C, B))


@pytest.mark.parametrize("volumes", [False, True])
def test_what_a_killed_run_left_is_used(lvm, volumes):
    lvm.add_disk(A)
    lvm.add_disk(FLASH)
    number = "0c8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a1"
    for digit, (path, kind) in enumerate(((A, "block"), (FLASH, "db"))):
        lvm.groups[f"ceph-{number}{digit}"] = path
        if volumes:
            lvm.add_volume(f"ceph-{number}{digit}", f"osd-{kind}-{number}{digit}", disk=path)
    groups = dict(lvm.groups)
    assert failures(plan(lvm, *declare(A))) == []
    assert lvm.groups == groups and len(lvm.volumes) == 2
    assert not plan(lvm, *declare(A))


def test_an_empty_group_of_another_name_is_refused_until_it_is_allow_loss(lvm):
    lvm.add_disk(A)
    lvm.groups["vg_of_mine"] = A
    with pytest.raises(Invalid, match="vg_of_mine"):
        plan(lvm, {"path": A})
    assert failures(plan(lvm, {"path": A}, allow_loss=[f"device/{A}"])) == []


def test_a_disk_whose_group_lies_on_another_disk_as_well_is_refused(lvm):
    lvm.add_volume("vg_wide", "data", disk=A)
    lvm.add_disk(A)
    lvm.add_disk(B)
    lvm.spans["vg_wide"] = [B]
    with pytest.raises(Invalid, match=f"its volume group vg_wide lies on {B} as well"):
        plan(lvm, {"path": A}, allow_loss=[f"device/{A}"])


def test_a_volume_that_lies_on_other_volumes_is_seen(lvm):
    number = made_osd(lvm)
    lvm.cached.update(lvm.volumes)
    assert not plan(lvm, {"path": DISK})
    lvm.known.pop(number)
    with pytest.raises(Invalid, match=rf"holds osd\.{number}"):
        plan(lvm, {"path": DISK})


def test_a_volume_is_the_database_of_one_osd_only(lvm):
    lvm.add_disk(A)
    lvm.add_disk(B)
    lvm.add_volume("vg_nvme", "db1")
    with pytest.raises(Invalid, match="only one OSD can have"):
        plan(lvm, {"path": A, "db": DB}, {"path": B, "db": DB})


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ([{"path": A, "db_size": "1G"}], "devices[0].db_size: there is no db"),
        ([{"path": A, "wal_slots": 2}], "devices[0].wal_slots: there is no wal"),
        ([{"path": A, "db": FLASH, "db_size": "much"}], "devices[0].db_size: 'much' is not a size"),
        ([{"path": A, "db": FLASH, "db_size": "0"}], "devices[0].db_size: "),
        ([{"path": A, "db": FLASH, "db_slots": 0}], "devices[0].db_slots: "),
        ([{"path": A, "db": FLASH, "db_slots": 2, "db_size": "1G"}], "devices[0]: db_size and db_slots"),
        ([{"path": A, "db": FLASH, "db_slots": 2}, {"path": B, "db": FLASH, "db_slots": 3}], f"devices[1].db_slots: {FLASH} has 2"),
        ([{"path": A, "db": FLASH, "db_slots": 1}, {"path": B, "db": FLASH}], f"{FLASH} is to serve 2 OSDs' parts, and its slots leave room for 1"),
        ([{"path": A, "type": "raw", "db": FLASH, "db_size": "1G"}], "devices[0].db_size: "),
    ],
)
def test_bad_sizes_and_slots(declared, said):
    with pytest.raises(Invalid) as error:
        osds.parse(declared)
    assert len(error.value.problems) == 1 and said in error.value.problems[0]
