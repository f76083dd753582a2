# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What OSDs lie on: how large a part is on a device that several share, which old volume is used again, how a volume is made, taken back and wiped.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import devices
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.devices import Found, Osd, Room, Volume
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Unreachable

# Seconds that ceph-volume may take: minutes on a slow disk or an emulated processor. Cutting it off leaves half an OSD.
SLOW = 3600
ZAP = ("ceph-volume", "lvm", "zap")


@dataclasses.dataclass(frozen=True)
class Part:
    """A declared "block", "db" or "wal". owner: the OSD's own device. size: bytes, None for an equal share; slots: of those, None for as many as declared."""

    path: str
    kind: str
    owner: str
    size: t.Optional[int] = None
    slots: t.Optional[int] = None

    def __str__(self) -> str:
        return self.path if self.kind == "block" else f"{self.path} ({self.kind} of {self.owner})"

    @property
    def link(self) -> str:
        """What it is called in the OSD's data folder, and by ceph-volume."""
        return "block" if self.kind == "block" else f"block.{self.kind}"


def extents(size: t.Optional[int], slots: int, room: Room) -> int:
    """Return how many extents a part takes: those that hold its size, or one of so many equal shares."""
    return room.total // max(1, slots) if size is None else -(-size // room.extent)


def place(draft: Draft, state: Found, parts: t.Sequence[Part], slots: int, in_cluster: t.Callable[[Osd], bool], wiped: t.Collection[str]) -> dict[Part, Volume]:
    """The old volumes that parts on one device get, or problems where there is no room. in_cluster: tells. wiped: uuids of OSDs about to be wiped. Pure."""
    found: dict[Part, Volume] = {}
    spare = [volume for volume in state.volumes if _spare(volume, in_cluster, wiped)]
    room = state.room
    free = room.free if room else 0
    for part in parts:
        fitting = [volume for volume in spare if part.size is None or volume.size >= part.size]
        if fitting:
            # The old volume of such a part, and the smallest that will do.
            found[part] = min(fitting, key=lambda volume: (volume.kind not in ("", part.kind), volume.size))
            spare.remove(found[part])
        elif room is not None:
            needed = extents(part.size, slots, room)
            if 0 < needed <= free:
                free -= needed
                continue
            what = _shown(needed, room) + ("" if part.size is not None else f" (one of {slots} equal shares)")
            text = f"{part}: no room: it needs {what}, and {_shown(free, room)} of {_shown(room.total, room)} are free"
            draft.problem(text + _taken(part, state, in_cluster))
    return found


def _spare(volume: Volume, in_cluster: t.Callable[[Osd], bool], wiped: t.Collection[str]) -> bool:
    """Whether a volume may be used anew: nothing was ever put on it, or it was a part of an OSD of which neither the cluster nor this host has anything."""
    if volume.busy or not volume.standard or volume.kind == "block":
        return False
    return volume.unused or (volume.osd is not None and not in_cluster(volume.osd) and (volume.alone or volume.osd.uuid in wiped))


def _taken(part: Part, state: Found, in_cluster: t.Callable[[Osd], bool]) -> str:
    """Return what lies on a device, and what would make room."""
    owned = [(volume, volume.osd) for volume in state.volumes if volume.osd]
    there = ", ".join(f"the {volume.kind} of osd.{osd.id} ({volume.name})" for volume, osd in owned)
    text = f"; there are {there}" if there else ""
    for volume, osd in owned:
        if volume.alone and in_cluster(osd):
            once = f"once the cluster has it no more (ceph osd purge {osd.id}), its {volume.kind} is used again"
            text += f". The data of osd.{osd.id} is not on this host: {once}"
    size, slots = f"{part.kind}_size", f"{part.kind}_slots"
    return f"{text}. Declare a smaller {size}, another device, or no {part.kind}; {slots} or {size} leaves room where a device is first used"


def _shown(count: int, room: Room) -> str:
    return f"{count * room.extent / (1 << 30):.2f} GiB"


# -- making them, one OSD's after the other's


class Ledger:
    """What was made for one OSD, volumes as "VG/LV" and groups with their devices, the volumes that were there before, and devices used whole."""

    def __init__(self) -> None:
        self.volumes: list[str] = []
        self.groups: list[tuple[str, str]] = []
        self.found: list[str] = []
        self.whole: list[str] = []

    def volume(self, part: Part, slots: int, old: t.Optional[str], fsid: str) -> str:
        """Return "VG/LV" for a part: the volume that its device is; an old one; a new one, over all of the device, or a share of it."""
        state = devices.look_at([part.path], fsid)[part.path]
        if state.gone:  # by now, or nobody knows what it holds
            raise RuntimeError(f"{part.path}: {state.gone}")
        block = part.kind == "block"
        if block and state.blank and state.volumes:
            old = state.volumes[0].name
        if old and not state.volume:
            held = devices.look_at([f"/dev/{old}"], None)[f"/dev/{old}"].holds
            if held:
                raise RuntimeError(f"the volume {old} on {part.path} holds {' and '.join(held)} by now")
        old = state.volume or old
        if old:
            self.found.append(old)
            return old
        group = state.group if state.blank or not block else None
        if group is None:
            if state.holds:
                raise RuntimeError(f"{part.path} holds {' and '.join(state.holds)} by now")
            group = f"ceph-{uuid.uuid4()}"
            process.run(["vgcreate", "--yes", group, part.path], timeout=120)
            self.groups.append((group, part.path))
        size = "100%FREE"
        if not block:
            size = str(extents(part.size, slots, devices.room_of(next(row for row in devices.volume_groups() if row["vg_name"] == group))))
        name = f"osd-{part.kind}-{uuid.uuid4()}"
        process.run(["lvcreate", "--yes", "--extents", size, "--name", name, group], timeout=120)
        self.volumes.append(f"{group}/{name}")
        return f"{group}/{name}"

    def take_back(self) -> list[str]:
        """Remove what the making of an OSD added, and nothing else; return what could not be removed, in words."""
        problems: list[str] = []

        def attempt(step: t.Callable[..., t.Any], *args: t.Any, **options: t.Any) -> bool:
            try:
                step(*args, **options)
            except (process.CommandError, OSError) as error:
                problems.append(f"what was made for it could not be taken back: {error}")
                return False
            return True

        for path in self.whole:  # it was empty when this began; a label without an OSD would be refused by the next run
            attempt(devices.wipe, path)
        try:
            tags = devices.volume_tags()
            for volume in self.found:
                if tags.get(volume):  # ceph-volume got as far as to write on it
                    attempt(clear, volume)
            for volume in self.volumes:
                if tags.get(volume):  # it may be mounted, and decrypted
                    attempt(process.run, [*ZAP, volume], timeout=SLOW)
                if volume in tags:  # newer releases of ceph-volume have removed it themselves
                    attempt(process.run, ["lvremove", "--yes", volume], timeout=120)
            groups = {row["vg_name"] for row in devices.volume_groups()} - {row["vg_name"] for row in devices.logical_volumes()}
            for group, path in self.groups:
                # If nobody else has a volume in it by now: without --yes LVM sees to that, too
                if group in groups and attempt(process.run, ["vgremove", group], timeout=120):
                    attempt(process.run, ["pvremove", "--yes", path], timeout=120)
        except Unreachable as error:
            problems.append(f"what was made for it could not be taken back: {error}")
        return problems


def clear(volume: str) -> None:
    """Take an OSD off a logical volume, "VG/LV", which stays: its tags, its mount, its decrypted device, and what is on it."""
    process.run([*ZAP, volume], timeout=SLOW)
    devices.wipe(f"/dev/{volume}")


def erase(path: str, state: Found) -> None:
    """Wipe a device, as what was seen on it wants."""
    if state.volume:
        clear(state.volume)  # the operator's own volume, or one in a group of other things: wiped, but not removed
    elif state.volumes:
        process.run([*ZAP, "--destroy", path], timeout=SLOW)
    else:
        if state.group:
            process.run(["vgremove", state.group], timeout=120)
        devices.wipe(path)
