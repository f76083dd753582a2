# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host still has of an OSD that is gone: units, drop-in, data folder, volumes and devices. Devices are wiped only where they are named.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import os
import re
import shutil
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import devices, osds
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.devices import Found, Volume
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.osd_volumes import SLOW, clear, erase
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk, Unreachable

# Where units' drop-ins are, and where `systemctl enable` notes what starts at boot.
ETC = "/etc/systemd/system"
WANTED = f"{ETC}/multi-user.target.wants"


@dataclasses.dataclass(frozen=True)
class Left:
    """What a host has of one OSD. boot: units of ceph-volume that bring it back at boot. volumes: its logical volumes; paths: its devices of the type raw.

    folder: whether there is a data folder. uuid: of the OSD, as the folder has it. drop_in: whether there is one, which this collection made.
    """

    unit: systemd.Unit = systemd.NO_UNIT
    boot: t.Tuple[str, ...] = ()
    drop_in: bool = False
    folder: bool = False
    volumes: t.Tuple[Volume, ...] = ()
    paths: t.Tuple[str, ...] = ()
    uuid: str = ""

    @property
    def carriers(self) -> t.List[str]:
        """What carries its data, each as it is named to wipe it."""
        return [*(f"volume/{volume.name}" for volume in self.volumes), *(f"device/{path}" for path in self.paths)]


@dataclasses.dataclass(frozen=True)
class Host:
    """What this host has of some OSDs, by number, and what is on the devices that may be wiped, by path. fsid: of the cluster."""

    fsid: str
    left: t.Mapping[int, Left]
    named: t.Mapping[str, Found]


def observe(numbers: t.Collection[int], fsid: str, allow_loss: t.Collection[str]) -> Host:
    """Read what this host has of some OSDs of a cluster. Raises Unreachable."""
    units = systemd.units([osds.unit_name(number) for number in sorted(numbers)])
    volumes: t.Dict[int, t.Dict[str, Volume]] = {}
    for row in devices.logical_volumes():
        osd = devices.osd_of_tags(devices.parse_tags(row.get("lv_tags", "")))
        if osd is not None and osd.cluster == fsid:
            volume = devices.volume_of(row)
            volumes.setdefault(osd.id, {})[volume.name] = volume
    left = {}
    for number in numbers:
        folder, drop_in = osds.data_path(number), files.read(systemd.drop_in_path(osds.unit_name(number)))
        noted = re.findall(r'^ExecStartPre=\+/usr/bin/ln -sfn "(.+)" ', drop_in or "", re.MULTILINE)
        links = [os.readlink(link) for link in glob.glob(f"{folder}/block*") if os.path.islink(link)]
        raw = [path.replace("%%", "%") for path in [*noted, *links] if not path.startswith("/dev/ceph-")]
        paths = tuple(path for path in dict.fromkeys(raw) if _carries(path, number, fsid))
        boot = tuple(os.path.basename(path) for path in sorted(glob.glob(f"{WANTED}/ceph-volume@lvm-{number}-*.service")))
        unit = units[osds.unit_name(number)]
        own = tuple(volumes.get(number, {}).values())
        uuid = (files.read(f"{folder}/fsid") or "").strip()
        left[number] = Left(unit, boot, drop_in is not None, os.path.isdir(folder), own, paths, uuid)
    named = [id_.partition("/")[2] for id_ in allow_loss if id_.startswith("device/")]
    return Host(fsid, left, devices.look_at(sorted(named), fsid))


def _carries(path: str, number: int, fsid: str) -> bool:
    """Whether BlueStore's label on a device is of that OSD; a part such as a database names no OSD, and is not wiped by itself."""
    try:
        osd = devices.osd_of_label(devices.read_label(path))
    except Unreachable:
        return False
    return osd is not None and osd.id == number and osd.cluster == fsid


def plan(draft: Draft, host: Host, going: t.Mapping[int, t.Collection[str]], allow_loss: t.Collection[str]) -> None:
    """Plan that nothing is left of some OSDs but their data, and not that either where it may be wiped. Pure.

    going: their numbers, each with the changes that come first.
    """
    wiped: t.Set[str] = set()
    for number, first in going.items():
        left, needs = host.left[number], set(first)
        for volume in left.volumes:
            if f"volume/{volume.name}" in allow_loss:
                _plan_volume(draft, volume, number, needs)
                wiped.add(volume.name)
    uuids = {one.uuid: number for number, one in host.left.items() if one.uuid and number in going}
    for path, state in host.named.items():
        wiped |= _plan_device(draft, path, state, going, host.fsid, uuids)
    for number, first in going.items():
        left = host.left[number]
        name, needs = osds.unit_name(number), {*first, *draft.ids("device", "volume")}
        if left.boot:
            disable = functools.partial(_disable, left.boot)
            draft.ensure("boot_unit", f"osd.{number}", {"enabled": list(left.boot)}, None, disable, needs=needs)
        if left.folder:
            encrypted = any(volume.encrypted and volume.name not in wiped for volume in left.volumes)
            remove = functools.partial(_remove_folder, number, encrypted)
            draft.ensure("data_folder", osds.data_path(number), {"osd": f"osd.{number}"}, None, remove, needs=needs)
        if left.drop_in:
            draft.ensure("drop_in", name, {"unit": systemd.drop_in_path(name)}, None, functools.partial(remove_drop_in, name), needs=needs)
        kept = [text for text in left.carriers if text.partition("/")[2] not in wiped and os.path.realpath(text.partition("/")[2]) not in wiped]
        if kept and any((left.boot, left.folder, left.drop_in)):
            draft.warn(f"what was osd.{number} stays on {', '.join(kept)}: to have it wiped, name it in allow_loss")


def _plan_volume(draft: Draft, volume: Volume, number: int, needs: t.Set[str]) -> None:
    """Plan that a logical volume of an OSD is wiped, and removed if Ceph's tools or this collection made it; others' volumes stay where they are."""
    shown = {volume.kind or "part": f"osd.{number}"}
    reason = f"it holds the {volume.kind or 'part'} of osd.{number}"
    apply = functools.partial(_remove_volume if volume.standard else clear, volume.name)
    draft.ensure("volume", volume.name, shown, None, apply, needs=needs, risk=Risk.LOSS, reason=reason)


def _plan_device(draft: Draft, path: str, state: Found, going: t.Mapping[int, t.Collection[str]], fsid: str, uuids: t.Mapping[str, int]) -> t.Set[str]:
    """Plan that a device that carried one of the OSDs is wiped; return what is wiped with it. uuids: the OSDs' numbers by their uuids."""
    found = [osd for osd in (state.osd, *(volume.osd for volume in state.volumes)) if osd is not None]
    numbers = {osd.id for osd in found if osd.id in going and osd.cluster == fsid} | {uuids[one] for one in (state.part_of,) if one in uuids}
    if state.broken:
        draft.warn(f"device/{path} {state.broken}, so it is not wiped")
    elif state.holds and not numbers:
        draft.warn(f"device/{path} holds {' and '.join(state.holds)}, and nothing of the OSDs that are to be gone: it is not wiped")
    if not numbers or state.real is None:
        return set()
    others = sorted({f"osd.{osd.id} of the cluster {osd.cluster}" for osd in found if osd.id not in numbers or osd.cluster != fsid})
    foreign = [volume.name for volume in state.volumes if volume.osd is None and not volume.unused]
    held = [*others, *foreign, *(f"a volume group that lies on {other} as well" for other in state.others)]
    if held:
        draft.problem(f"device/{path} is not wiped: it also carries {', '.join(held)}. Take it out of allow_loss, or remove those first")
        return set()
    needs = {need for number in numbers for need in going[number]}
    reason = "it holds " + " and ".join(state.holds)
    wipe = functools.partial(_wipe, path, tuple(sorted(numbers)), state.real)
    draft.ensure("device", path, {"holds": list(state.holds)}, None, wipe, needs=needs, risk=Risk.LOSS, reason=reason)
    return {path, state.real, *(volume.name for volume in state.volumes)}


def _wipe(path: str, numbers: t.Sequence[int], real: str) -> None:
    """Wipe a device after it was looked at once more: names of devices can move to others."""
    state = devices.look_at([path], None)[path]
    on_it = {osd.id for osd in (state.osd, *(volume.osd for volume in state.volumes)) if osd}
    if state.real != real or not on_it <= set(numbers):
        raise RuntimeError(f"{path} is not what it was when this began: it holds {' and '.join(state.holds) or 'nothing'}")
    erase(path, state)


def _remove_volume(name: str) -> None:
    clear(name)
    process.run(["lvremove", "--yes", name], timeout=120)


def _disable(names: t.Sequence[str]) -> None:
    process.run(["systemctl", "disable", *names], timeout=120)


def _remove_folder(number: int, encrypted: bool) -> None:
    path = osds.data_path(number)
    if encrypted:  # its decrypted device would hold the disk open
        process.run(["ceph-volume", "lvm", "deactivate", str(number)], timeout=SLOW)
    if os.path.ismount(path):
        process.run(["umount", path], timeout=120)
    shutil.rmtree(path)


def remove_drop_in(unit: str) -> None:
    path = systemd.drop_in_path(unit)
    os.unlink(path)
    folder = os.path.dirname(path)
    if not os.listdir(folder):
        os.rmdir(folder)
    process.run(["systemctl", "daemon-reload"], timeout=120)
