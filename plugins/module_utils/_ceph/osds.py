# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OSDs of a host: which device carries which, made where a device is empty, and up before anything returns.

What is on the devices is read without ceph-volume (see devices.py), so that a run that changes nothing costs two small processes.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import itertools
import os
import re
import threading
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import devices, keyring_files, paths
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, asked
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.devices import Found, Osd, Volume
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import auth_of
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.osd_volumes import Part, extents, place
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import size as parse_size
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Draft, Invalid, Lane, Plan, Risk, Secret, Unreachable

BOOTSTRAP = "client.bootstrap-osd"
BOOTSTRAP_KEYRING = f"{paths.DATA}/bootstrap-osd/{paths.CLUSTER}.keyring"
BOOTSTRAP_CAPS = ["mon", "allow profile bootstrap-osd"]

# Ceph's own least value of osd_memory_target that leaves an OSD a working cache (osd_memory_base plus osd_memory_cache_min).
MEMORY_FLOOR = 896 << 20
# RAM as the kernel reports it changes a little with the kernel; the target must not.
MEMORY_STEP = 64 << 20
MEMORY_OPTION = "osd_memory_target"

# Seconds that ceph-volume may take: minutes on a slow disk or an emulated processor. Cutting it off leaves half an OSD.
SLOW = 3600


@dataclasses.dataclass(frozen=True)
class Device:
    """What is declared of one OSD. Paths are as the operator wrote them, stable names of devices.

    db_size, wal_size: in bytes, None for an equal share; db_slots, wal_slots: how many shares their device has, None for as many as are declared.
    """

    path: str
    type: str = "lvm"
    db: t.Optional[str] = None
    wal: t.Optional[str] = None
    encrypted: bool = False
    device_class: t.Optional[str] = None
    db_size: t.Optional[int] = None
    wal_size: t.Optional[int] = None
    db_slots: t.Optional[int] = None
    wal_slots: t.Optional[int] = None

    def parts(self) -> list[tuple[str, str]]:
        """Return what the OSD lies on: "path", "db", "wal" and their devices."""
        return [(name, path) for name, path in (("path", self.path), ("db", self.db), ("wal", self.wal)) if path is not None]

    def options(self) -> list[str]:
        """Return ceph-volume's options for its db and wal."""
        return [word for name, path in self.parts()[1:] for word in (f"--block.{name}", path)]


@dataclasses.dataclass(frozen=True)
class Known:
    uuid: str
    up: bool
    device_class: str = ""


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there: devices by path, units and drop-ins by OSD id, the cluster's OSDs by id, and the host's memory in bytes.

    keys: of each OSD, in the cluster. files: the keyrings by path; that of an OSD is not there where it has no data folder.
    lost: the OSDs that were on devices which are gone or cannot be read, by the device's path.
    """

    devices: t.Mapping[str, Found]
    fsid: t.Optional[str] = None
    known: t.Mapping[int, Known] = dataclasses.field(default_factory=dict)
    units: t.Mapping[str, systemd.Unit] = dataclasses.field(default_factory=dict)
    drop_ins: t.Mapping[int, t.Optional[str]] = dataclasses.field(default_factory=dict)
    keys: t.Mapping[int, t.Optional[Secret]] = dataclasses.field(default_factory=dict)
    bootstrap_key: t.Optional[Secret] = None
    files: t.Mapping[str, keyring_files.File] = dataclasses.field(default_factory=dict)
    memory: int = 0
    memory_target: t.Optional[str] = None
    lost: t.Mapping[str, int] = dataclasses.field(default_factory=dict)


def parse(entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Device]:
    """Return the declared devices. Raises Invalid with every problem."""
    problems: list[str] = []
    declared = [_device(entry, f"devices[{number}]", problems) for number, entry in enumerate(entries)]
    uses: collections.Counter[str] = collections.Counter()
    shares: collections.Counter[str] = collections.Counter()
    slots: dict[str, int] = {}
    for number, device in enumerate(declared):
        where = f"devices[{number}]"
        problems += [f"{where}.{name} '{path}' is no absolute path" for name, path in device.parts() if not path.startswith("/")]
        if any(other.path == device.path for other in declared[:number]):
            problems.append(f"{where}.path {device.path} is declared twice")
        for name, path in device.parts()[1:]:
            if any(other.path == path for other in declared):
                problems.append(f"{where}.{name} {path} is itself declared as an OSD's device")
            uses[path] += 1
            if device.type == "raw" and uses[path] > 1:
                problems.append(f"{where}.{name} {path} is used twice: only OSDs of the type lvm can share a device")
            problems += _share_problems(where, device, name, slots, shares)
        own = dict(device.parts())
        problems += [
            f"{where}.{option}: there is no {name} that it is for"
            for name in ("db", "wal")
            for option in (f"{name}_size", f"{name}_slots")
            if getattr(device, option) is not None and name not in own
        ]
        if device.encrypted and device.type == "raw":
            problems.append(f"{where}: {device.path} is to be encrypted, which needs the type lvm")
    problems += [
        f"{path} is to serve {shares[path]} OSDs' parts, and its slots leave room for {count}: declare as many as it is to serve in the end"
        for path, count in slots.items()
        if count < shares[path]
    ]
    if problems:
        raise Invalid(problems)
    return declared


def _device(entry: t.Mapping[str, t.Any], where: str, problems: list[str]) -> Device:
    """Return what an entry declares; note what is wrong with its sizes."""
    given = {name: value for name, value in entry.items() if value is not None}
    for name in ("db_size", "wal_size"):
        text = given.pop(name, None)
        try:
            if text is not None:
                given[name] = parse_size(text)
                if not given[name]:
                    problems.append(f"{where}.{name}: '{text}' is no room for anything")
        except ValueError as error:
            problems.append(f"{where}.{name}: {error}")
    return Device(**given)


def _share_problems(where: str, device: Device, name: str, slots: dict[str, int], shares: collections.Counter[str]) -> list[str]:
    """Return what is wrong with a part's size or slots; count the shares and note the slots of its device."""
    path, size, count = getattr(device, name), getattr(device, f"{name}_size"), getattr(device, f"{name}_slots")
    shares[path] += size is None
    if device.type == "raw":
        return [
            f"{where}.{option}: {path} is used whole, only OSDs of the type lvm can share a device"
            for option, value in ((f"{name}_size", size), (f"{name}_slots", count))
            if value is not None
        ]
    if size is not None and count is not None:
        return [f"{where}: {name}_size and {name}_slots both say how large the {name} is: declare one of them"]
    if count is not None and count < 1:
        return [f"{where}.{name}_slots: {count} is not at least 1"]
    if count is not None and slots.setdefault(path, count) != count:
        return [f"{where}.{name}_slots: {path} has {slots[path]} by another entry"]
    return []


def memory_target(memory: int, share: float, osds: int) -> int:
    """Return each OSD's part of the share of the memory, in bytes, in steps of 64 MiB and never below 896 MiB."""
    each = int(memory * share / max(1, osds))
    return max(MEMORY_FLOOR, each // MEMORY_STEP * MEMORY_STEP)


def drop_in_text(device: Device, how: str = "raw") -> str:
    """Return the drop-in of an OSD's unit. It names the device, so that it is known whose it was when it is gone.

    For a raw OSD it does at every start what ceph-volume's own units do for the type lvm: at boot udev gives devices to root,
    and ceph-volume links to the kernel's names, which change.
    """
    if how != "raw":
        return f"# Made by cephstack.cloud. The OSD's device by its stable name; systemd does not read this.\n[X-Cephstack]\n{_note(device.path, how)}\n"
    lines = ["# Made by cephstack.cloud. The OSD finds its devices by their stable names, and they belong to Ceph, also after a reboot.", "[Service]"]
    for link, name in (("block", device.path), ("block.db", device.db), ("block.wal", device.wal)):
        if name:
            path = _quoted(name)
            lines += [
                f"ExecStartPre=-+/usr/bin/udevadm settle --timeout=60 --exit-if-exists={path}",
                f"ExecStartPre=+/usr/bin/chown ceph:ceph {path}",
                _note(name, how, link),
            ]
    return "\n".join(lines) + "\n"


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace("%", "%%") + '"'


def _note(path: str, how: str, link: str = "block") -> str:
    return f"ExecStartPre=+/usr/bin/ln -sfn {_quoted(path)} {data_path('%i')}/{link}" if how == "raw" else f"Data={_quoted(path)}"


def was_on(path: str, told: t.Mapping[str, t.Any], drop_in: str = "", link: str = "") -> bool:
    """Whether an OSD was on a device that is gone. Pure.

    told: what the OSD told the cluster of itself when it last started ("osd metadata"): "device_ids": "sdb=MODEL_SERIAL,nvme0n1=…".
    drop_in, link: what this host still has of it, its drop-in and where "block" in its data folder leads.
    """
    if link == path or {_note(path, how) for how in ("raw", "lvm")} & set(drop_in.splitlines()):
        return True
    own = set(filter(None, (told.get("bluestore_bdev_devices") or "").split(",")))

    def values(key: str) -> list[str]:
        pairs = [pair.partition("=") for pair in (told.get(key) or "").split(",")]
        return [value for name, dummy, value in pairs if value and (not own or name in own)]

    if path in values("device_paths"):
        return True
    folder, dummy, name = path.rpartition("/")
    serials = [(value, value.rpartition("_")[2]) for value in values("device_ids")]
    return folder == "/dev/disk/by-id" and any(name == value or (len(serial) > 3 and name.endswith(("_" + serial, "-" + serial))) for value, serial in serials)


def unit_name(number: int) -> str:
    return f"ceph-osd@{number}.service"


def activation_unit(osd: Osd) -> str:
    """The unit by which ceph-volume brings an OSD of the type lvm back at boot."""
    return f"ceph-volume@lvm-{osd.id}-{osd.uuid}.service"


def data_path(number: t.Union[int, str]) -> str:
    return f"{paths.DATA}/osd/{paths.CLUSTER}-{number}"


def keyring_path(number: int) -> str:
    return f"{data_path(number)}/keyring"


def bootstrap_place() -> keyring_files.Place:
    """Where the keyring that makes OSDs belongs, and who may read it."""
    return keyring_files.of_daemons(BOOTSTRAP_KEYRING, BOOTSTRAP)


def keyring_place(number: int) -> keyring_files.Place:
    return keyring_files.of_daemons(keyring_path(number), f"osd.{number}")


@dataclasses.dataclass
class Ledger:
    """What was made for one OSD, volumes as "VG/LV" and groups with their devices, and the volumes that were there before."""

    volumes: list[str] = dataclasses.field(default_factory=list)
    groups: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    found: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Provider:
    """The OSDs of this host.

    cluster: an open connection, None where there is none yet (check mode only). hostname: as CRUSH has it.
    share: of the host's memory for all its OSDs, 0 to leave their memory alone. armed: ids of devices that may be wiped.
    wait: seconds until an OSD is up. patient: whether one that runs is waited for before it is called down.
    """

    devices: t.Sequence[Device]
    cluster: t.Optional[Connection]
    hostname: str
    share: float = 0.0
    armed: t.Collection[str] = ()
    wait: int = 300
    patient: bool = True

    def __post_init__(self) -> None:
        self.lane = Lane("osd", max(4, os.cpu_count() or 1))  # making one is work for a core and its disk
        # Volume groups are made one after the other; what follows may run side by side.
        self._lvm = threading.Lock()
        self._numbers: set[int] = set()

    def observe(self) -> Observed:
        """Read the cluster's maps, then every declared device, once."""
        fsid, known, keys, target = None, {}, {}, None
        if self.cluster is not None:
            fsid = self.cluster.fsid
            dump, tree, auth, config = self.cluster.many([("osd dump", {}), ("osd tree", {}), ("auth ls", {}), ("config dump", {})])
            classes = {node["id"]: node.get("device_class", "") for node in tree["nodes"] if node["type"] == "osd"}
            known = {entry["osd"]: Known(entry["uuid"], bool(entry["up"]), classes.get(entry["osd"], "")) for entry in dump["osds"]}
            keys = {entity: entry["key"] for entity, entry in auth_of(auth).items()}
            # The mask of "osd/host:ceph1" comes back apart from its section.
            mask = ("osd", f"host:{self.hostname}", MEMORY_OPTION)
            target = next((entry["value"] for entry in config if (entry["section"], entry.get("mask"), entry["name"]) == mask), None)
        found = devices.look_at(sorted({path for device in self.devices for dummy, path in device.parts()}), fsid)
        own = [found[device.path].osd for device in self.devices]
        here = [osd for osd in own if osd is not None and osd.id in known and known[osd.id].uuid == osd.uuid]
        names = [unit_name(osd.id) for osd in here] + [activation_unit(osd) for osd in here if osd.how == "lvm"]
        observed = Observed(
            devices=found,
            fsid=fsid,
            known=known,
            units=systemd.units(names),
            drop_ins={osd.id: files.read(systemd.drop_in_path(unit_name(osd.id))) for osd in here},
            keys={osd.id: keys.get(f"osd.{osd.id}") for osd in here},
            bootstrap_key=keys.get(BOOTSTRAP),
            files={place.path: keyring_files.read(place) for place in (bootstrap_place(), *(keyring_place(osd.id) for osd in here))},
            memory=_memory(),
            memory_target=target,
            lost=self._lost([device.path for device in self.devices if found[device.path].gone], known, {osd.id for osd in here}),
        )
        # What has lost a device does not come up, however long one waits.
        whole = [osd for device, osd in zip(self.devices, own) if osd in here and not self._gone_parts(device, observed)]
        return self._until_up(observed, whole)

    def _lost(self, gone: t.Sequence[str], known: t.Mapping[int, Known], here: t.Collection[int]) -> dict[str, int]:
        """Return the OSDs of this host that were on devices which are gone. Those that are on other devices now are not among them."""
        if not gone or self.cluster is None:
            return {}
        names = {self.hostname.partition(".")[0], paths.short_hostname()}
        lost: dict[str, int] = {}
        for told in self.cluster.command("osd metadata"):
            number = told["id"]
            if number not in known or number in here or (told.get("hostname") or "").partition(".")[0] not in names:
                continue
            drop_in, link = files.read(systemd.drop_in_path(unit_name(number))) or "", _link(f"{data_path(number)}/block")
            lost.update({path: number for path in gone if path not in lost and was_on(path, told, drop_in, link)})
        return lost

    @staticmethod
    def _gone_parts(device: Device, observed: Observed) -> list[str]:
        states = [(path, path if path == device.path else f"{path} ({name})") for name, path in device.parts()]
        return [f"{what}: {observed.devices[path].gone}" for path, what in states if observed.devices[path].gone]

    def _until_up(self, observed: Observed, here: t.Sequence[Osd]) -> Observed:
        """Wait for OSDs that run but are not up yet. Raises Unreachable."""
        late = [
            osd
            for osd in here
            if not observed.known[osd.id].up
            and observed.files[keyring_path(osd.id)].key == observed.keys[osd.id]
            and observed.units.get(unit_name(osd.id), systemd.NO_UNIT).active
        ]
        if not late or not self.patient:
            return observed
        for osd in late:
            self._wait_up(osd.id, Unreachable)
        return dataclasses.replace(observed, known={**observed.known, **{osd.id: dataclasses.replace(observed.known[osd.id], up=True) for osd in late}})

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with every device that cannot be used, each with its reason."""
        draft = Draft()
        unusable: set[str] = set()
        making: list[tuple[Device, set[str]]] = []
        there = observed.files.get(BOOTSTRAP_KEYRING, keyring_files.File())
        # A client that is yet to be made gets a new key: whatever the file holds is another.
        keyring_files.ensure(draft, bootstrap_place(), there, observed.bootstrap_key or keyring_files.UNKNOWN, self._write_bootstrap)
        for device in self.devices:
            osd = self._own(device, observed)
            number = osd.id if osd is not None else observed.lost.get(device.path)
            gone = self._gone_parts(device, observed)
            if number is not None and gone and not observed.known[number].up:
                draft.warn(
                    f"{'; '.join(gone)}. osd.{number}, which was on it, is down and left as it is: bring the device back, or remove osd.{number} from the "
                    f"cluster and {device.path} from the declared devices"
                )
            elif osd is not None:
                self._plan_kept(device, osd, observed, draft)
            else:
                making.append((device, self._plan_wipes(device, observed, unusable, draft)))
        chosen = self._places([device for device, dummy in making], observed, unusable, draft)
        for device, needs in making:
            self._plan_new(device, {name: chosen[device.path, name] for name in ("db", "wal") if (device.path, name) in chosen}, needs, draft)
        if self.share and self.devices:
            had = None if observed.memory_target is None else {"value": observed.memory_target}
            wanted = str(memory_target(observed.memory, self.share, len(self.devices)))
            who = f"osd/host:{self.hostname}"
            words: dict[str, t.Any] = {"who": who, "name": MEMORY_OPTION, "value": wanted}
            draft.ensure("option", f"{who}/{MEMORY_OPTION}", had, {"value": wanted}, lambda: asked(self.cluster).command("config set", **words))
        return draft.plan(self.lane)

    def _plan_wipes(self, device: Device, observed: Observed, unusable: set[str], draft: Draft) -> set[str]:
        """Plan to wipe what an OSD is to be made on, where that is armed; return what making it needs. unusable: noted here."""
        needs = {f"keyring/{BOOTSTRAP_KEYRING}"}
        for name, path in device.parts():
            state = observed.devices[path]
            problem, wipes = self._usable(device, name, path, observed)
            if problem:
                draft.problem(problem)
                unusable.add(path)
            if wipes:
                needs.add(f"device/{path}")
            if wipes and f"device/{path}" not in draft.ids("device"):
                reason = "it holds " + " and ".join(state.holds)
                erase = functools.partial(_erase, path, state)
                draft.ensure("device", path, {"holds": list(state.holds)}, None, erase, risk=Risk.LOSS, reason=reason)
        return needs

    def _plan_new(self, device: Device, chosen: t.Mapping[str, Volume], needs: set[str], draft: Draft) -> None:
        """Plan to make an OSD. chosen: the old volumes that its parts get."""
        for name, volume in chosen.items():
            if volume.osd:
                needs.add(f"volume/{volume.name}")
                was = f"osd.{volume.osd.id}"
                reason = f"it was the {volume.kind} of {was}, which the cluster no longer has and whose data is gone from this host"
                take = functools.partial(clear, volume.name)
                draft.add(Change("volume", volume.name, "update", {volume.kind: was}, {name: device.path}, take, reason=reason))
        shown = {name: value for name, value in dataclasses.asdict(device).items() if value not in (None, False)}
        make = functools.partial(self._make, device, {name: volume.name for name, volume in chosen.items()})
        draft.ensure("osd", device.path, None, shown, make, needs=needs)

    def _own(self, device: Device, observed: Observed) -> t.Optional[Osd]:
        osd = observed.devices[device.path].osd
        return osd if osd is not None and self._lives(osd, observed) else None

    def _places(self, making: t.Sequence[Device], observed: Observed, unusable: t.Collection[str], draft: Draft) -> dict[tuple[str, str], Volume]:
        """Return the old volumes that parts of the OSDs to be made get; note a problem for each part that there is no room for."""
        parts: dict[str, list[Part]] = {}
        for device in making:
            for name, path in device.parts()[1:]:
                if device.type == "lvm" and path not in unusable and not observed.devices[path].volume:
                    parts.setdefault(path, []).append(Part(device.path, name, getattr(device, f"{name}_size")))
        for path in dict.fromkeys(path for device in making for dummy, path in device.parts()[1:]):
            sharers = [device.path for device in self.devices for dummy, part in device.parts() if part == path]
            if observed.devices[path].volume and len(sharers) > 1:
                draft.problem(f"{path} is a logical volume, which only one OSD can have: {' and '.join(sharers)} name it")
        wiped = [change.name for change in draft.changes if change.kind == "device"]
        gone = {volume.osd.uuid for path in wiped for volume in observed.devices[path].volumes if volume.osd and volume.kind == "block"}
        found: dict[tuple[str, str], Volume] = {}
        for path, wanted in parts.items():
            state = observed.devices[path]
            if path in wiped:
                state = dataclasses.replace(state, volumes=(), room=state.room and dataclasses.replace(state.room, free=state.room.total))
            placed, full = place(path, state, wanted, self._slots(path), lambda osd: self._lives(osd, observed), gone)
            found.update(placed)
            for problem in full:
                draft.problem(problem)
        return found

    def _slots(self, path: str) -> int:
        """Return into how many equal shares a db or wal device is divided."""
        declared = [getattr(device, f"{name}_slots") for device in self.devices for name, part in device.parts()[1:] if part == path]
        return next((count for count in declared if count is not None), len(declared))

    @staticmethod
    def _lives(osd: Osd, observed: Observed) -> bool:
        """Whether the cluster has an OSD that was found, be it up or down."""
        known = observed.known.get(osd.id)
        return osd.cluster == observed.fsid and known is not None and known.uuid == osd.uuid

    def _usable(self, device: Device, name: str, path: str, observed: Observed) -> tuple[str, bool]:
        """Return what is wrong with a device on which something is to be made, "" where nothing is, and whether it is to be wiped first."""
        state = observed.devices[path]
        what = path if name == "path" else f"{path} ({name} of {device.path})"
        if state.gone:
            number = observed.lost.get(path)
            hint = "" if number is None else f". osd.{number}, which was on it, is up: declare the device by the name that it has now"
            return f"{what}: {state.gone}{hint}", False
        if device.type == "lvm" and (state.blank if name == "path" else state.ours):
            return "", False
        living = [f"the {part.kind} of osd.{part.osd.id}" for part in state.volumes if part.osd and self._lives(part.osd, observed)]
        if living:
            where = "it is" if state.volume else "it carries"
            return f"{what}: refused, {where} {' and '.join(living)} of this cluster. Declare another device, or remove the OSD from the cluster first", False
        if state.busy:
            return f"{what}: refused, it is {' and '.join(state.busy)}", False
        if not state.holds:
            return "", False
        if state.others:
            others = " and ".join(state.others)
            return f"{what}: refused, its volume group {state.group} lies on {others} as well. Take it out of the group first (vgreduce)", False
        if f"device/{path}" not in self.armed:
            return f"{what}: refused, it holds {' and '.join(state.holds)}. To wipe it, arm it by name: device/{path}", False
        return "", True

    def _plan_kept(self, device: Device, osd: Osd, observed: Observed, draft: Draft) -> None:
        name, known = unit_name(osd.id), observed.known[osd.id]
        unit = observed.units.get(name, systemd.NO_UNIT)
        text, there = drop_in_text(device, osd.how), observed.drop_ins.get(osd.id)
        draft.ensure("drop_in", name, None if there is None else {"unit": there}, {"unit": text}, lambda: self._write_drop_in(device, osd))
        place = keyring_place(osd.id)
        file = observed.files.get(place.path, keyring_files.File())
        # Without its data folder the OSD is given one, keyring and all, when it is activated.
        stale = file.exists and keyring_files.ensure(draft, place, file, observed.keys.get(osd.id), functools.partial(keyring_files.fetch, self.cluster, place))
        needs = [f"drop_in/{name}", f"keyring/{place.path}"]
        enabled = unit.enabled if osd.how == "raw" else observed.units.get(activation_unit(osd), systemd.NO_UNIT).enabled
        state = {"enabled": enabled, "running": unit.active, "data folder": file.exists}
        if not all(state.values()):
            reason = f"osd.{osd.id} on {device.path} starts"
            start = functools.partial(self._activate, device, osd, file.exists)
            draft.ensure("unit", name, state, dict.fromkeys(state, True), start, needs=needs, reason=reason)
        elif stale:
            reason = "its keyring was not the cluster's"
            restart = functools.partial(self._restart, osd.id)
            draft.ensure("unit", name, {"restart": None}, {"restart": reason}, restart, needs=needs, risk=Risk.RESTART, reason=reason)
        elif not known.up:
            draft.warn(f"osd.{osd.id} on {device.path} runs, but the cluster has it as down")
        if device.device_class:
            had, wanted = {"device_class": known.device_class or None}, {"device_class": device.device_class}
            change = functools.partial(self._set_class, osd.id, device.device_class, bool(known.device_class))
            reason = "data of rules that choose by class moves"
            draft.ensure("device_class", f"osd.{osd.id}", had, wanted, change, risk=Risk.MOVEMENT, reason=reason)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        rows = []
        for device in self.devices:
            osd = self._own(device, observed)
            number = osd.id if osd else observed.lost.get(device.path)
            up = number is not None and observed.known[number].up
            rows.append({"path": device.path, "id": number, "type": osd.how if osd else device.type, "up": up})
        return {"osds": rows}

    # -- apply

    def _set_class(self, number: int, name: str, had: bool) -> None:
        if had:
            asked(self.cluster).command("osd crush rm-device-class", ids=[str(number)])
        words: dict[str, t.Any] = {"class": name, "ids": [str(number)]}
        asked(self.cluster).command("osd crush set-device-class", **words)

    def _write_bootstrap(self) -> None:
        key = Secret(asked(self.cluster).command("auth get-or-create", entity=BOOTSTRAP, caps=BOOTSTRAP_CAPS)[0]["key"])
        keyring_files.write(bootstrap_place(), key)

    def _write_drop_in(self, device: Device, osd: Osd) -> None:
        files.write(systemd.drop_in_path(unit_name(osd.id)), drop_in_text(device, osd.how), 0o644)
        process.run(["systemctl", "daemon-reload"], timeout=120)

    def _make(self, device: Device, volumes: t.Mapping[str, str]) -> None:
        try:
            osd = self._prepare_raw(device) if device.type == "raw" else self._prepare_lvm(device, volumes)
            self._write_drop_in(device, osd)
        except (process.CommandError, OSError, Unreachable) as error:
            raise RuntimeError(f"an OSD could not be made on {device.path}: {last_words(error)}") from error
        self._activate(device, osd, device.type == "raw")

    def _prepare_raw(self, device: Device) -> Osd:
        words = ["ceph-volume", "raw", "prepare", "--bluestore", "--no-tmpfs", "--data", device.path, *device.options()]
        words += ["--crush-device-class", device.device_class] if device.device_class else []
        with self._lvm:
            words += self._number()
        try:
            process.run(words, timeout=SLOW)
        except process.CommandError as error:
            # It was empty when this began; a label without an OSD would be refused by the next run.
            left = [problem for dummy, path in device.parts() for problem in _attempt(devices.wipe, path)]
            raise RuntimeError("; ".join([f"an OSD could not be made on {device.path}: {last_words(error)}", *left])) from error
        label = devices.read_label(device.path)
        if not label or "whoami" not in label:
            raise RuntimeError(f"ceph-volume prepared {device.path}, but there is no OSD on it")
        return Osd(int(label["whoami"]), label["osd_uuid"], label.get("ceph_fsid", ""), "raw")

    def _prepare_lvm(self, device: Device, volumes: t.Mapping[str, str]) -> Osd:
        """Make an OSD. volumes: old ones, "VG/LV", that its db and wal get."""
        ledger = Ledger()
        try:
            with self._lvm:
                used = {name: self._volume(device, name, path, volumes.get(name), ledger) for name, path in device.parts()}
                data = used.pop("path")
                number = self._number()
            words = ["ceph-volume", "lvm", "prepare", "--bluestore", "--data", data]
            words += [word for name, volume in used.items() for word in (f"--block.{name}", volume)]
            words += ["--dmcrypt"] if device.encrypted else []
            words += ["--crush-device-class", device.device_class] if device.device_class else []
            words += number
            with contextlib.ExitStack() as held:
                for volume in ledger.found:
                    held.enter_context(devices.hold(volume))
                process.run(words, timeout=SLOW)
        except (process.CommandError, OSError, RuntimeError, Unreachable) as error:
            left = self._take_back(ledger)
            raise RuntimeError("; ".join([f"an OSD could not be made on {device.path}: {last_words(error)}", *left])) from error
        tags = devices.volume_tags()[data]
        return Osd(int(tags["osd_id"]), tags["osd_fsid"], tags.get("cluster_fsid", ""), "lvm")

    def _number(self) -> list[str]:
        """Return ceph-volume's option for an OSD's number where volumes of this host carry the one that the cluster would give it.

        They are of an OSD that was removed, or of another cluster. When ceph-volume cannot make an OSD, it wipes whatever carries the number.
        """
        known = {entry["osd"]: entry["uuid"] for entry in asked(self.cluster).command("osd dump")["osds"]}
        old = {
            int(one["osd_id"])
            for one in devices.volume_tags().values()
            if one.get("osd_id", "").isdigit() and known.get(int(one["osd_id"])) != one.get("osd_fsid")
        }
        if not old - set(known):
            return []
        number = next(number for number in itertools.count() if number not in known and number not in old and number not in self._numbers)
        self._numbers.add(number)
        return ["--osd-id", str(number)]

    def _take_back(self, ledger: Ledger) -> list[str]:
        """Remove what the making of an OSD added, and nothing else; return what could not be removed, in words."""
        problems: list[str] = []
        with self._lvm:
            try:
                tags = devices.volume_tags()
                for volume in ledger.found:
                    if tags.get(volume):  # ceph-volume got as far as to write on it
                        problems += _attempt(clear, volume)
                for volume in ledger.volumes:
                    if tags.get(volume):  # it may be mounted, and decrypted
                        problems += _attempt(_zap, volume)
                    if volume in tags:  # newer releases of ceph-volume have removed it themselves
                        problems += _attempt(process.run, ["lvremove", "--yes", volume], timeout=120)
                groups = {row["vg_name"] for row in devices.volume_groups()} - {row["vg_name"] for row in devices.logical_volumes()}
                for group, path in ledger.groups:
                    if group in groups:  # and nobody else has a volume in it by now: without --yes LVM sees to that, too
                        left = _attempt(process.run, ["vgremove", group], timeout=120)
                        problems += left or _attempt(process.run, ["pvremove", "--yes", path], timeout=120)
            except Unreachable as error:
                problems.append(str(error))
        return [f"what was made for it could not be taken back: {problem}" for problem in problems]

    def _volume(self, device: Device, name: str, path: str, old: t.Optional[str], ledger: Ledger) -> str:
        """Return "VG/LV" for a part of an OSD: the volume that its device is; an old one; a new one, over all of the device, or a share of it."""
        state = devices.look_at([path], asked(self.cluster).fsid)[path]
        if state.gone:
            raise RuntimeError(f"{path}: {state.gone}")
        if state.volume:
            ledger.found.append(state.volume)
            return state.volume
        if name == "path" and state.blank and state.volumes:
            old = state.volumes[0].name
        if old:
            held = devices.look_at([f"/dev/{old}"], None)[f"/dev/{old}"].holds
            if held:
                raise RuntimeError(f"the volume {old} on {path} holds {' and '.join(held)} by now")
            ledger.found.append(old)
            return old
        group = state.group if state.blank or name != "path" else None
        if group is None:
            if state.holds:
                raise RuntimeError(f"{path} holds {' and '.join(state.holds)} by now")
            group = f"ceph-{uuid.uuid4()}"
            process.run(["vgcreate", "--yes", group, path], timeout=120)
            ledger.groups.append((group, path))
        kind, size = "block", "100%FREE"
        if name != "path":
            room = devices.room_of(next(row for row in devices.volume_groups() if row["vg_name"] == group))
            kind, size = name, str(extents(getattr(device, f"{name}_size"), self._slots(path), room))
        volume = f"osd-{kind}-{uuid.uuid4()}"
        process.run(["lvcreate", "--yes", "--extents", size, "--name", volume, group], timeout=120)
        ledger.volumes.append(f"{group}/{volume}")
        return f"{group}/{volume}"

    def _activate(self, device: Device, osd: Osd, folder: bool) -> None:
        """Start an OSD so that it comes back after a reboot, and wait until it is up."""
        if osd.how == "lvm":
            process.run(["ceph-volume", "lvm", "activate", str(osd.id), osd.uuid], timeout=SLOW)
        else:
            if not folder:
                # The system disk was made anew, and the OSD's folder with it: the device knows all that was in it.
                process.run(["ceph-volume", "raw", "activate", "--no-systemd", "--no-tmpfs", "--device", device.path, *device.options()], timeout=SLOW)
            systemd.start(unit_name(osd.id))
        self._wait_up(osd.id, RuntimeError)

    def _restart(self, number: int) -> None:
        systemd.restart(unit_name(number))
        self._wait_up(number, RuntimeError)

    def _wait_up(self, number: int, error: t.Type[Exception]) -> None:
        name = unit_name(number)

        def check() -> bool:
            if systemd.units([name])[name].state == "failed":
                raise error(f"{name} failed: {systemd.last_words(name)}")
            return any(entry["osd"] == number and entry["up"] for entry in asked(self.cluster).command("osd dump")["osds"])

        wait_until(check, self.wait, lambda: error(f"{name} runs, but osd.{number} is not up after {self.wait} s: {systemd.last_words(name)}"))


def last_words(error: Exception) -> str:
    """Return why something failed, in the words of the program: ceph-volume's own roll-back, which speaks last, is not the cause."""
    if not isinstance(error, process.CommandError):
        return str(error)
    before = error.text.partition("Was unable to complete a new OSD")[0].rstrip("-> \n")
    return str(process.CommandError(error.argv, error.code, before)) if before else str(error)


def clear(volume: str) -> None:
    """Take an OSD off a logical volume, "VG/LV", which stays: its tags, its mount, its decrypted device, and what is on it."""
    _zap(volume)
    devices.wipe(f"/dev/{volume}")


def _zap(volume: str) -> None:
    process.run(["ceph-volume", "lvm", "zap", volume], timeout=SLOW)


def _attempt(step: t.Callable[..., t.Any], *args: t.Any, **options: t.Any) -> list[str]:
    """Do a step of a roll-back, the rest of which goes on; return what went wrong."""
    try:
        step(*args, **options)
    except (process.CommandError, OSError) as error:
        return [str(error)]
    return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _memory() -> int:
    found = re.search(r"^MemTotal:\s+(\d+) kB", files.read("/proc/meminfo") or "", re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def _erase(path: str, state: Found) -> None:
    if state.volume:
        clear(state.volume)  # the operator's own volume, or one in a group of other things: wiped, but not removed
    elif state.volumes:
        process.run(["ceph-volume", "lvm", "zap", "--destroy", path], timeout=SLOW)
    elif state.group:
        process.run(["vgremove", state.group], timeout=120)
        devices.wipe(path)
    else:
        devices.wipe(path)
