# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host's devices: OSDs, signatures, logical volumes, mounts.

It is read without ceph-volume, by two small processes for any number of devices: BlueStore's label by itself, ceph-volume's notes by lvs, the rest by wipefs.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import io
import json
import os
import pathlib
import re
import struct
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

LABEL_MAGIC = b"bluestore block device\n"
# Where BlueStore writes its label, and, from 20 on, its copies.
LABEL_OFFSETS = (0, 1 << 30, 10 << 30, 100 << 30, 1000 << 30)
MIB = 1 << 20
# What LVM takes for a new group unless it is told otherwise: the extents, and the space for its own notes.
EXTENT, METADATA = 4 * MIB, MIB
# How ceph-volume names groups and volumes that it makes on a device; this collection does the same.
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GROUP = re.compile(rf"ceph-(?:[a-z]+-)*{_UUID}")
_VOLUME = re.compile(rf"osd-(?:block-)?(?P<kind>block|db|wal)-{_UUID}")


@dataclasses.dataclass(frozen=True)
class Osd:
    """An OSD that was found on a device. how: "raw" or "lvm"."""

    id: int
    uuid: str
    cluster: str
    how: str


class Volume(t.NamedTuple):
    """A logical volume "VG/LV". kind: what it is of an OSD, or is to become by its name. alone: none of that OSD's data is here. opened: by whomever."""

    name: str
    size: int = 0
    kind: str = ""
    osd: t.Optional[Osd] = None
    encrypted: bool = False
    opened: bool = False
    alone: bool = False

    @property
    def standard(self) -> bool:
        """Whether ceph-volume or this collection made it, by its name; the operator's own volumes are used only where they are declared."""
        group, dummy, name = self.name.partition("/")
        return bool(_GROUP.fullmatch(group) and _VOLUME.fullmatch(name))

    @property
    def unused(self) -> bool:
        """Whether it was made for an OSD that was then not made: ceph-volume writes its tags before anything else."""
        return self.standard and self.osd is None and not self.opened

    @property
    def busy(self) -> bool:
        """Whether it must not be wiped. A decrypted device of an OSD that does not run holds its volume open, too, and ceph-volume closes it."""
        return self.opened and not (self.osd and self.encrypted)


class Room(t.NamedTuple):
    """The room in a volume group, or in the one that a device would become, in extents of so many bytes."""

    extent: int
    total: int
    free: int


@dataclasses.dataclass(frozen=True)
class Found:
    """A device as it is. real: the node behind the name, None where there is none. volume: "VG/LV" where it is a logical volume.

    osd: what Ceph wrote on it. part_of: the uuid of the OSD whose database or log it is, "" if it is none. holds: all that is on it, in words.
    busy: why it must not even be wiped. broken: why it cannot be read.
    group: the volume group whose physical volume it is; others: that group's other devices; room: what is free in it, or would be.
    ours: whether that group holds nothing but parts of this cluster's OSDs; blank: whether it was made for an OSD that was then not made.
    """

    real: t.Optional[str] = None
    osd: t.Optional[Osd] = None
    holds: t.Sequence[str] = ()
    busy: t.Sequence[str] = ()
    volume: t.Optional[str] = None
    group: t.Optional[str] = None
    ours: bool = False
    volumes: t.Sequence[Volume] = ()
    broken: str = ""
    others: t.Sequence[str] = ()
    room: t.Optional[Room] = None
    blank: bool = False
    part_of: str = ""

    @property
    def gone(self) -> str:
        """Why nothing can be said of what it holds, "" where that is known."""
        return "there is no such device on this host" if self.real is None else self.broken


def parse_label(block: bytes) -> t.Optional[dict[str, str]]:
    """BlueStore's label of a device's first 4 KiB: osd_uuid, description and its notes (whoami, ceph_fsid, …), None where there is none."""
    if not block.startswith(LABEL_MAGIC):
        return None
    result = {"osd_uuid": block[len(LABEL_MAGIC) : len(LABEL_MAGIC) + 36].decode("ascii", "replace"), "description": ""}
    rest = io.BytesIO(block[len(LABEL_MAGIC) + 37 + 6 + 16 + 8 + 8 :])  # the uuid as text; versions and length, uuid, size, time

    def number() -> int:
        return int(struct.unpack("<I", rest.read(4))[0])

    def text() -> str:
        length = number()
        return bytes(struct.unpack(f"{length}s", rest.read(length))[0]).decode("utf-8", "replace")

    # Damaged, or not written to its end: that it is BlueStore's is certain all the same.
    with contextlib.suppress(struct.error):
        result["description"] = text()
        for dummy in range(number()):
            name, value = text(), text()
            result.setdefault(name, value)
    return result


def osd_of_label(label: t.Optional[t.Mapping[str, str]]) -> t.Optional[Osd]:
    return Osd(int(label["whoami"]), label["osd_uuid"], label.get("ceph_fsid", ""), "raw") if label and "whoami" in label else None


def parse_tags(text: str) -> dict[str, str]:
    """Return ceph-volume's LVM tags: "ceph.osd_id=1,ceph.type=block" gives {"osd_id": "1", "type": "block"}."""
    pairs = (tag.partition("=") for tag in text.split(",") if tag.startswith("ceph."))
    return {name[len("ceph.") :]: value for name, dummy, value in pairs}


def osd_of_tags(tags: t.Mapping[str, str]) -> t.Optional[Osd]:
    return Osd(int(tags["osd_id"]), tags.get("osd_fsid", ""), tags.get("cluster_fsid", ""), "lvm") if tags.get("osd_id", "").isdigit() else None


def look_at(paths: t.Sequence[str], fsid: t.Optional[str]) -> dict[str, Found]:
    """Return what is on the devices: one wipefs for all signatures, one lvs where the host has LVM, the rest from files."""
    reals = {path: _real(path) for path in paths}
    host = _Host(sorted({real for real in reals.values() if real}), fsid)
    return {path: host.look(real) if real else Found() for path, real in reals.items()}


class _Host:
    """What is read once for all devices of a host. fsid: of its cluster."""

    def __init__(self, nodes: t.Sequence[str], fsid: t.Optional[str]) -> None:
        self.fsid = fsid
        self.signed: dict[str, list[str]] = {}
        self.unreadable: dict[str, str] = {}
        self._read_signatures(nodes)
        rows = logical_volumes() if nodes else []
        tags = [parse_tags(row.get("lv_tags", "")) for row in rows]
        here = {one.get("osd_fsid") for one in tags if one.get("type") == "block"}  # uuids of the OSDs whose data is on this host
        self.volumes: list[tuple[Volume, str, set[str]]] = []  # each with its node, and with those that it lies on
        for row in rows:
            under = re.findall(r"(?:^|,)(/[^,]+)\(\d+\)", row.get("devices") or "")  # of "/dev/sdb(0),/dev/sdc(0)"
            self.volumes.append((volume_of(row, here), os.path.realpath(row.get("lv_path") or "/"), set(map(os.path.realpath, under))))
        self.groups = volume_groups() if any("LVM2_member" in kinds for kinds in self.signed.values()) else []
        mounts = (line.split() for line in (files.read("/proc/self/mountinfo") or "").splitlines())
        self.mounts = {row[2]: row[4] for row in mounts if len(row) > 4}  # by "major:minor"
        self.swaps = {os.path.realpath(line.split()[0]) for line in (files.read("/proc/swaps") or "").splitlines()[1:] if line.split()}

    def _read_signatures(self, nodes: t.Sequence[str]) -> None:
        """Note the kinds of all signatures by device node, and why a node cannot be read: one dead disk hides none of the others. Raises Unreachable."""
        try:
            text = process.run(["wipefs", "--json", *nodes], timeout=120) if nodes else ""
        except process.CommandError as error:
            if error.code == process.MISSING:
                raise Unreachable(str(error)) from error
            if len(nodes) == 1:
                self.unreadable[nodes[0]] = f"cannot be read: {error.text or error}"
            else:
                for node in nodes:
                    self._read_signatures([node])
            return
        named = {os.path.basename(node): node for node in nodes}
        for entry in (json.loads(text) if text.strip() else {}).get("signatures", []):
            self.signed.setdefault(named.get(os.path.basename(entry["device"]), ""), []).append(entry["type"])

    def look(self, real: str) -> Found:
        system = f"/sys/class/block/{os.path.basename(real)}"
        holds: list[str] = []
        busy = self._uses(real, system, holds)
        osd, part_of, broken = self._label(real, holds)
        signatures = self.signed.get(real, ())
        row = next((row for row in self.groups if os.path.realpath(row["pv_name"]) == real), None)
        itself = next((one for one, node, _under in self.volumes if node == real), None)
        # Volumes that lie on others, as cached and mirrored ones do, may be anywhere in their group.
        mine = [one for one, _node, under in self.volumes if real in under or (row and not under and one.name.startswith(f"{row['vg_name']}/"))]
        lying = list(dict.fromkeys([itself] if itself else mine))  # there is a row for each segment
        for part in lying:
            if part.kind == "block" and part.osd:
                osd = part.osd
                holds.append(f"osd.{osd.id} of the cluster {osd.cluster}")
            elif itself is not None and part.osd:
                holds.append(f"the {part.kind} of osd.{part.osd.id} of the cluster {part.osd.cluster}")
            if part.busy:
                busy.append("in use" if itself is not None else f"in use: its volume {part.name} is open")
        found = Found(real, osd, volume=itself.name if itself else None, volumes=tuple(lying), broken=broken, room=_whole(system), part_of=part_of)
        if "LVM2_member" in signatures:
            found = self._in_group(found, row, bool(mine))
            if osd is None:
                inside = ", ".join(sorted(part.name for part in lying)) or (f"{found.group}, no volumes" if found.group else "no volumes")
                holds.append(f"a physical volume of LVM ({inside})")
        if itself is None or osd is None:
            holds += [f"a signature: {kind}" for kind in signatures if kind not in ("LVM2_member", "ceph_bluestore")]
        holders = [os.path.basename(path) for path in sorted(glob.glob(f"{system}/holders/*"))]
        if holders and osd is None and not mine and not any(part.osd and part.encrypted for part in lying):
            names = [(files.read(f"/sys/class/block/{name}/dm/name") or name).strip() for name in holders]
            busy.append("in use by " + ", ".join(names))
        return dataclasses.replace(found, holds=tuple(dict.fromkeys(holds)), busy=tuple(dict.fromkeys(busy)))

    def _uses(self, real: str, system: str, holds: list[str]) -> list[str]:
        """Return the mounts and swap of a device and its partitions; note those in holds."""
        partitions = sorted(path.split("/")[-2] for path in glob.glob(f"{system}/*/partition"))
        if partitions:
            holds.append("partitions: " + ", ".join(partitions))
        busy = []
        for part in ["", *partitions]:
            where = f"its partition {part} is " if part else ""
            mounted = self.mounts.get((files.read(os.path.join(system, part, "dev")) or "").strip())
            if mounted:
                busy.append(f"{where}mounted at {mounted}")
            if f"/dev/{part or os.path.basename(real)}" in self.swaps:
                busy.append(f"{where}used as swap")
        return busy

    def _label(self, real: str, holds: list[str]) -> tuple[t.Optional[Osd], str, str]:
        """Return the OSD of BlueStore's label, that OSD's uuid if it has but a part here, and why the device cannot be read; note in holds what it is of."""
        broken, label = self.unreadable.get(real, ""), None
        try:
            label = read_label(real)
        except Unreachable as error:
            broken = broken or str(error)
        osd = osd_of_label(label) if label and label["description"] == "main" else None
        if osd is not None:
            holds.append(f"osd.{osd.id} of the cluster {osd.cluster}")
        elif label is not None:
            holds.append(f"a part of an OSD ({label['description'] or 'BlueStore'}, {label['osd_uuid']})")
        return osd, label["osd_uuid"] if label is not None and osd is None else "", broken

    def _in_group(self, found: Found, row: t.Optional[t.Mapping[str, str]], used: bool) -> Found:
        """Return what is to be said of a physical volume. row: of its group; used: whether volumes lie on it."""
        group = row["vg_name"] if row else None
        others = tuple(one["pv_name"] for one in self.groups if row and one["vg_name"] == group and one["pv_name"] != row["pv_name"])
        blank = found.volume is None and bool(group and _GROUP.fullmatch(group)) and not others and all(part.unused for part in found.volumes)
        # A group made for the databases of this cluster's OSDs takes more of them.
        databases = [part.unused or (part.osd is not None and part.osd.cluster == self.fsid and part.kind in ("db", "wal")) for part in found.volumes]
        room = room_of(row) if row else found.room
        return dataclasses.replace(found, group=group, others=others, room=room, blank=blank, ours=blank or (used and all(databases)))


def _whole(system: str) -> t.Optional[Room]:
    """Return the room in the group that a device would become."""
    sectors = (files.read(f"{system}/size") or "").strip()
    extents = max(0, int(sectors) * 512 - METADATA) // EXTENT if sectors.isdigit() else 0
    return Room(EXTENT, extents, extents) if extents else None


def volume_of(row: t.Mapping[str, str], here: t.Collection[t.Optional[str]] = ()) -> Volume:
    """Return a row of lvs. here: uuids of the OSDs whose data is on this host."""
    tags = parse_tags(row.get("lv_tags", ""))
    named, osd = _VOLUME.fullmatch(row["lv_name"]), osd_of_tags(tags)
    kind = tags.get("type") or (named["kind"] if named else "")
    name, size, opened = f"{row['vg_name']}/{row['lv_name']}", int(row.get("lv_size") or 0), row.get("lv_device_open") == "open"
    return Volume(name, size, kind, osd, tags.get("encrypted") == "1", opened, osd is not None and osd.uuid not in here)


def _real(path: str) -> t.Optional[str]:
    real = os.path.realpath(path)
    return real if pathlib.Path(real).is_block_device() else None


def read_label(path: str) -> t.Optional[dict[str, str]]:
    """Return BlueStore's label of a device; see parse_label. Raises Unreachable where the device cannot be read."""
    try:
        with open(path, "rb") as file:
            return parse_label(file.read(4096))
    except OSError as error:
        raise Unreachable(f"cannot read {path}: {error.strerror}") from error


def logical_volumes() -> list[dict[str, str]]:
    """Return all logical volumes with their tags, sizes in bytes and devices, by one process; none where the host has no LVM."""
    return _lvm("lvs", "vg_name,lv_name,lv_path,lv_tags,lv_size,lv_device_open,devices")


def volume_tags() -> dict[str, dict[str, str]]:
    """Return ceph-volume's notes on all logical volumes, by "VG/LV"."""
    return {f"{row['vg_name']}/{row['lv_name']}": parse_tags(row["lv_tags"]) for row in logical_volumes()}


def volume_groups() -> list[dict[str, str]]:
    """Return all volume groups, also those without volumes, with their room; a row for each of their devices."""
    return _lvm("vgs", "vg_name,vg_extent_size,vg_extent_count,vg_free_count,pv_name")


def _lvm(program: str, options: str) -> list[dict[str, str]]:
    if not process.installed(program) or not os.path.exists("/dev/mapper/control"):
        return []
    try:
        text = process.run([program, "--reportformat", "json", "--units", "b", "--nosuffix", "--options", options], timeout=120)
    except process.CommandError as error:
        raise Unreachable(f"LVM of this host cannot be asked: {error}") from error
    return list(json.loads(text)["report"][0][program[:-1]])


def hold(volume: str) -> t.ContextManager[t.Any]:
    """Hold a logical volume, "VG/LV", open: when ceph-volume cannot make an OSD, it removes the volumes that carry its number, by force."""
    return open(f"/dev/{volume}", "rb", buffering=0)  # pylint: disable=consider-using-with


def room_of(row: t.Mapping[str, str]) -> Room:
    return Room(int(row["vg_extent_size"]), int(row["vg_extent_count"]), int(row["vg_free_count"]))


def wipe(path: str) -> None:
    """Take every signature off a device: what wipefs knows, BlueStore's labels, and the ends, where others write copies."""
    real = os.path.realpath(path)
    process.run(["wipefs", "--all", "--force", real], timeout=120)
    with open(real, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for offset in (*LABEL_OFFSETS, *range(0, min(100 * MIB, size), MIB), max(0, size - MIB)):
            if offset < size:
                file.seek(offset)
                file.write(bytes(min(MIB, size - offset)))
        file.flush()
        os.fsync(file.fileno())
