# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases and write-ahead logs of OSDs on devices that several share: how large they are, whether there is room, which old volume is used again.

Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.devices import Found, Osd, Room, Volume


@dataclasses.dataclass(frozen=True)
class Part:
    """A db or wal that is to be made. owner: the OSD's own device. size: in bytes, None for an equal share of the device."""

    owner: str
    kind: str
    size: t.Optional[int] = None


def extents(size: t.Optional[int], slots: int, room: Room) -> int:
    """Return how many extents a part takes: those that hold its size, or one of so many equal shares."""
    return room.total // max(1, slots) if size is None else -(-size // room.extent)


def place(
    path: str, state: Found, parts: t.Sequence[Part], slots: int, lives: t.Callable[[Osd], bool], wiped: t.Collection[str]
) -> tuple[dict[tuple[str, str], Volume], list[str]]:
    """Return the old volumes that parts get, by (owner, kind), and a problem for each part that there is no room for.

    slots: the equal shares of the device. lives: whether the cluster has an OSD. wiped: uuids of OSDs whose data is about to be wiped.
    """
    found: dict[tuple[str, str], Volume] = {}
    problems: list[str] = []
    spare = [volume for volume in state.volumes if _spare(volume, lives, wiped)]
    room = state.room
    free = room.free if room else 0
    for part in parts:
        fitting = [volume for volume in spare if part.size is None or volume.size >= part.size]
        if fitting:
            # The old volume of such a part, and the smallest that will do.
            chosen = min(fitting, key=lambda volume: (volume.kind not in ("", part.kind), volume.size))
            spare.remove(chosen)
            found[(part.owner, part.kind)] = chosen
            continue
        if room is None:
            continue
        needed = extents(part.size, slots, room)
        if 0 < needed <= free:
            free -= needed
            continue
        what = _shown(needed, room) + ("" if part.size is not None else f" (one of {slots} equal shares)")
        text = f"{path} ({part.kind} of {part.owner}): no room: it needs {what}, and {_shown(free, room)} of {_shown(room.total, room)} are free"
        problems.append(text + _taken(part, state, lives))
    return found, problems


def _spare(volume: Volume, lives: t.Callable[[Osd], bool], wiped: t.Collection[str]) -> bool:
    """Whether a volume may be used anew: nothing was ever put on it, or it was a part of an OSD of which neither the cluster nor this host has anything."""
    if volume.busy or not volume.standard or volume.kind == "block":
        return False
    return volume.unused or (volume.osd is not None and not lives(volume.osd) and (volume.alone or volume.osd.uuid in wiped))


def _taken(part: Part, state: Found, lives: t.Callable[[Osd], bool]) -> str:
    """Return what lies on a device, and what would make room."""
    text = ""
    owned = [(volume, volume.osd) for volume in state.volumes if volume.osd]
    if owned:
        text += "; there are " + ", ".join(f"the {volume.kind} of osd.{osd.id} ({volume.name})" for volume, osd in owned)
    for volume, osd in owned:
        if volume.alone and lives(osd):
            text += (
                f". The data of osd.{osd.id} is not on this host: once the cluster has it no more (ceph osd purge {osd.id}), its {volume.kind} is used again"
            )
    smaller = f"a smaller {part.kind}_size, " if state.room and state.room.free else ""
    return f"{text}. Declare {smaller}another device, or no {part.kind}; {part.kind}_slots or {part.kind}_size leaves room where a device is first used"


def _shown(count: int, room: Room) -> str:
    return f"{count * room.extent / (1 << 30):.2f} GiB"
