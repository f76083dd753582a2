# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OSDs of a host: which device carries which, made where a device is empty, and up before anything returns.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import glob
import itertools
import os
import re
import shutil
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, devices, keyring_files, maps, noout, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, asked
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.devices import Found, Osd, Volume
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.osd_volumes import SLOW, Ledger, Part, clear, erase, place
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import turn
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Draft, Invalid, Lane, Plan, Risk, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, boolean, choice, filepath, integer, real, records, string

BOOTSTRAP = "client.bootstrap-osd"
BOOTSTRAP_KEYRING = f"{daemons.DATA}/bootstrap-osd/{daemons.CLUSTER}.keyring"
BOOTSTRAP_CAPS = ["mon", "allow profile bootstrap-osd"]

# Ceph's own least osd_memory_target that leaves an OSD a working cache (osd_memory_base plus osd_memory_cache_min), and steps larger than what
# RAM as the kernel reports it changes by with the kernel.
MEMORY_FLOOR, MEMORY_STEP = 896 << 20, 64 << 20
MEMORY_OPTION = "osd_memory_target"
# Options by which OSDs are placed in CRUSH otherwise than each below its host. The first is true by default.
PLACED_BY_HAND = ("osd_crush_update_on_start", "crush_location", "crush_location_hook")
_SAID = re.compile(r"^\s*([\w -]+?)\s*=(.*)$", re.MULTILINE)
_DEVICE = {
    "path": filepath("The device, by a stable name such as those of C(/dev/disk/by-id). A logical volume will do as well for the type V(lvm).", required=True),
    "type": choice(
        "How the OSD lies on it. V(lvm) allows shared devices for O(devices[].db), and encryption.\nV(raw) needs no device mapper.",
        ["lvm", "raw"],
        default="lvm",
    ),
    "db": filepath(
        "A faster device for the OSD's database. OSDs of the type V(lvm) that name the same one share it.\n"
        "The volume of an OSD that the cluster no longer has, and whose data is gone from the host, is used again by the next one. So a disk can be "
        "replaced. If there is no room, nothing is touched.\n"
        "A logical volume is used as it is, by one OSD."
    ),
    "db_size": string("How large the database is, such as V(60G). By default it gets one of O(devices[].db_slots) equal shares of its device."),
    "db_slots": integer(
        "Into how many equal shares the device of the database is divided. Declare as many as it is to serve in the end, so that there is room for "
        "the OSDs that come later. By default as many as name it now, and none is left.\n"
        "All that name the same device have the same number."
    ),
    "wal": filepath("A faster device for the OSD's write-ahead log, if it is not that of the database."),
    "wal_size": string("As O(devices[].db_size), for the write-ahead log."),
    "wal_slots": integer("As O(devices[].db_slots), for the device of the write-ahead log."),
    "encrypted": boolean("Whether the OSD is encrypted with dm-crypt. The cluster keeps the key.", default=False),
    "device_class": string("Its CRUSH device class, such as V(ssd). By default what Ceph finds. A change moves data."),
}
OPTIONS = {
    "devices": records("The devices of this host that carry OSDs.", _DEVICE, required=True),
    "memory_share": real(
        "The share of the host's memory that its OSDs may use together. Each gets an equal part as its C(osd_memory_target), at least 896 MiB.\n"
        "Without it their memory is left as it is."
    ),
    "hostname": string("The host's name in CRUSH. The host's short name by default."),
    "wait": integer("How many seconds an OSD may take until it is up.", default=300),
    "allow_loss": {
        **ALLOW_LOSS,
        "description": "The devices that may be wiped, for example V(device//dev/disk/by-id/wwn-0x5000c500a0b1c2d3).\n"
        "A device that holds anything is refused until its id is listed here. The refusal names the id.\n"
        "A disk loses its volume groups with all their volumes. A logical volume is only wiped, with its tags, and stays where it is.\n"
        "What is in use, or a part of an OSD that the cluster has, is refused even then.",
    },
}


@dataclasses.dataclass(frozen=True)
class Device:
    """What is declared of one OSD. Paths are as the operator wrote them, stable names of devices; sizes and slots are those of Part."""

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

    def parts(self) -> list[Part]:
        """What the OSD lies on, its own device first."""
        shared = ((self.db, "db", self.db_size, self.db_slots), (self.wal, "wal", self.wal_size, self.wal_slots))
        return [Part(self.path, "block", self.path), *(Part(path, kind, self.path, size, slots) for path, kind, size, slots in shared if path is not None)]


class Known(t.NamedTuple):
    uuid: str
    up: bool
    device_class: str = ""


@dataclasses.dataclass
class Observed:
    """What is there: devices, keyring files and lost OSDs by path, units by name, the rest by OSD. An OSD without a data folder has no file.

    destroyed: OSDs of this host whose disks were taken out, with their classes. kept_in: those that have noout until their next disk is up.
    buckets: where CRUSH has each OSD, None where it is left as it is: it was said of OSDs that they do not set their place themselves.
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
    destroyed: t.Mapping[int, str] = dataclasses.field(default_factory=dict)
    kept_in: t.Collection[int] = ()
    buckets: t.Optional[t.Mapping[int, str]] = None

    def in_cluster(self, osd: Osd) -> bool:
        """Whether the cluster has an OSD that was found, be it up or down."""
        return osd.cluster == self.fsid and osd.id in self.known and self.known[osd.id].uuid == osd.uuid

    def own(self, device: Device) -> t.Optional[Osd]:
        osd = self.devices[device.path].osd
        return osd if osd is not None and self.in_cluster(osd) else None

    def gone(self, device: Device) -> list[str]:
        """Of which parts of an OSD nothing can be said, and why."""
        return [f"{part}: {self.devices[part.path].gone}" for part in device.parts() if self.devices[part.path].gone]


def parse(entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Device]:
    """Return the declared devices. Raises Invalid with every problem."""
    problems: list[str] = []
    declared = [_device(entry, f"devices[{number}]", problems) for number, entry in enumerate(entries)]
    own = [device.path for device in declared]
    uses, shares = collections.Counter[str](), collections.Counter[str]()
    slots: dict[str, int] = {}
    for number, device in enumerate(declared):
        where, raw = f"devices[{number}]", device.type == "raw"
        wrong: dict[str, t.Any] = {
            f"{where}.path {device.path} is declared twice": device.path in own[:number],
            f"{where}: {device.path} is to be encrypted, which needs the type lvm": device.encrypted and raw,
            f"{where}.path '{device.path}' is no absolute path": not device.path.startswith("/"),
        }
        parts = {part.kind: part for part in device.parts()}
        for kind in ("db", "wal"):
            given = [option for option in (f"{kind}_size", f"{kind}_slots") if getattr(device, option) is not None]
            if kind not in parts:
                problems += [f"{where}.{option}: there is no {kind} that it is for" for option in given]
                continue
            path, count = parts[kind].path, parts[kind].slots
            uses[path] += 1
            shares[path] += parts[kind].size is None
            if count is not None and count > 0 and len(given) == 1 and not raw:
                slots.setdefault(path, count)
            wrong |= {
                f"{where}.{kind} '{path}' is no absolute path": not path.startswith("/"),
                f"{where}.{kind} {path} is itself declared as an OSD's device": path in own,
                f"{where}.{kind} {path} is used twice: only OSDs of the type lvm can share a device": raw and uses[path] > 1,
                **{f"{where}.{option}: {path} is used whole, only OSDs of the type lvm can share a device": raw for option in given},
                f"{where}: {kind}_size and {kind}_slots both say how large the {kind} is: declare one of them": len(given) == 2 and not raw,
                f"{where}.{kind}_slots: {count} is not at least 1": count is not None and count < 1,
                f"{where}.{kind}_slots: {path} has {slots.get(path)} by another entry": count and slots.get(path, count) != count,
            }
        problems += [text for text, so in wrong.items() if so]
    for path, count in slots.items():
        if count < shares[path]:
            room = f"its slots leave room for {count}: declare as many as it is to serve in the end"
            problems.append(f"{path} is to serve {shares[path]} OSDs' parts, and {room}")
    if problems:
        raise Invalid(problems)
    return declared


def _device(entry: t.Mapping[str, t.Any], where: str, problems: list[str]) -> Device:
    """Return what an entry declares; note what is wrong with its sizes."""
    given = {name: value for name, value in entry.items() if value is not None}
    for name in [name for name in ("db_size", "wal_size") if name in given]:
        text = given.pop(name)
        try:
            given[name] = values.size(text)
            if not given[name]:
                problems.append(f"{where}.{name}: '{text}' is no room for anything")
        except ValueError as error:
            problems.append(f"{where}.{name}: {error}")
    return Device(**given)


def memory_target(memory: int, share: float, osds: int) -> int:
    """Return each OSD's part of the share of the memory, in bytes, in steps of 64 MiB and never below 896 MiB."""
    each = int(memory * share / max(1, osds))
    return max(MEMORY_FLOOR, each // MEMORY_STEP * MEMORY_STEP)


def drop_in_text(device: Device, how: str = "raw") -> str:
    """The drop-in of an OSD's unit: it names the device, so that it is known whose it was; for raw, it does what ceph-volume's units do for lvm."""
    if how != "raw":
        return f"# Made by cephstack.cloud. The OSD's device by its stable name; systemd does not read this.\n[X-Cephstack]\n{_note(device.path, how)}\n"
    lines = ["# Made by cephstack.cloud. The OSD finds its devices by their stable names, and they belong to Ceph, also after a reboot.", "[Service]"]
    for part in device.parts():
        path = _quoted(part.path)
        lines.append(f"ExecStartPre=-+/usr/bin/udevadm settle --timeout=60 --exit-if-exists={path}")
        lines += [f"ExecStartPre=+/usr/bin/chown ceph:ceph {path}", _note(part.path, how, part.link)]
    return "\n".join(lines) + "\n"


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace("%", "%%") + '"'


def _note(path: str, how: str, link: str = "block") -> str:
    return f"ExecStartPre=+/usr/bin/ln -sfn {_quoted(path)} {data_path('%i')}/{link}" if how == "raw" else f"Data={_quoted(path)}"


def was_on(path: str, told: t.Mapping[str, t.Any], drop_in: str = "", link: str = "") -> bool:
    """Whether an OSD was on a device that is gone. told: its "osd metadata". drop_in, link: what this host has of it, and where its "block" leads. Pure."""
    if link == path or {_note(path, how) for how in ("raw", "lvm")} & set(drop_in.splitlines()):
        return True
    own = set(filter(None, (told.get("bluestore_bdev_devices") or "").split(",")))

    def told_as(key: str) -> list[str]:
        pairs = [pair.partition("=") for pair in (told.get(key) or "").split(",")]
        return [value for name, dummy, value in pairs if value and (not own or name in own)]

    if path in told_as("device_paths"):
        return True
    folder, dummy, name = path.rpartition("/")
    serials = [(value, value.rpartition("_")[2]) for value in told_as("device_ids")]
    return folder == "/dev/disk/by-id" and any(name == value or (len(serial) > 3 and name.endswith(("_" + serial, "-" + serial))) for value, serial in serials)


def unit_name(number: int) -> str:
    return f"ceph-osd@{number}.service"


def boot_unit(osd: Osd) -> str:
    """The unit that brings an OSD back at boot: for the type lvm one of ceph-volume's."""
    return unit_name(osd.id) if osd.how == "raw" else f"ceph-volume@lvm-{osd.id}-{osd.uuid}.service"


def data_path(number: t.Union[int, str]) -> str:
    return f"{daemons.DATA}/osd/{daemons.CLUSTER}-{number}"


def bootstrap_place() -> keyring_files.Place:
    """Where the keyring that makes OSDs belongs, and who may read it."""
    return keyring_files.of_daemons(BOOTSTRAP_KEYRING, BOOTSTRAP)


def keyring_place(number: int) -> keyring_files.Place:
    return keyring_files.of_daemons(f"{data_path(number)}/keyring", f"osd.{number}")


@dataclasses.dataclass
class Provider:
    """The OSDs of this host. cluster: None where there is none yet (check mode only). hostname: as CRUSH has it. allow_loss: ids of devices to be wiped.

    share: of the memory for all OSDs, 0 to leave it alone. wait: seconds until one is up. patient: also before one that runs is called down.
    """

    devices: t.Sequence[Device]
    cluster: t.Optional[Connection]
    hostname: str
    share: float = 0.0
    allow_loss: t.Collection[str] = ()
    wait: int = 300
    patient: bool = True

    def __post_init__(self) -> None:
        # Volume groups are made one after the other; what follows may run side by side.
        self._lvm = turn()
        self._numbers: set[int] = set()
        self._unfinished = unfinished()

    def observe(self) -> Observed:
        """Read the cluster's maps, then every declared device, once. Raises Unreachable, also where an OSD that runs does not come up."""
        fsid, keys, target = None, {}, None
        known: dict[int, Known] = {}
        destroyed: dict[int, str] = {}
        notes: t.Collection[str] = ()
        buckets: t.Optional[dict[int, str]] = None
        if self.cluster is not None:
            fsid = self.cluster.fsid
            ask: list[tuple[str, dict[str, t.Any]]] = [("osd dump", {}), ("osd tree", {}), ("auth ls", {}), ("config dump", {})]
            dump, tree, auth, config, notes = self.cluster.many([*ask, ("config-key dump", {"key": noout.NOTES})])
            below = {child for node in tree["nodes"] if node["type"] == "host" and node["name"] == self.hostname for child in node["children"]}
            destroyed = {node["id"]: node.get("device_class", "") for node in tree["nodes"] if node["id"] in below and node.get("status") == "destroyed"}
            classes = {node["id"]: node.get("device_class", "") for node in tree["nodes"] if node["type"] == "osd"}
            known = {entry["osd"]: Known(entry["uuid"], bool(entry["up"]), classes.get(entry["osd"], "")) for entry in dump["osds"]}
            keys = {entity: entry["key"] for entity, entry in maps.auth_of(auth).items()}
            # The mask of "osd/host:ceph1" comes back apart from its section.
            mask = ("osd", f"host:{self.hostname}", MEMORY_OPTION)
            target = next((entry["value"] for entry in config if (entry["section"], entry.get("mask"), entry["name"]) == mask), None)
            said = [(entry["name"], entry["value"]) for entry in config] + _SAID.findall(files.read("/etc/ceph/ceph.conf") or "")
            if not any(re.sub(r"[ -]", "_", name.strip()) in PLACED_BY_HAND and value.strip() not in ("true", "1") for name, value in said):
                buckets = {child: node["name"] for node in tree["nodes"] for child in node.get("children", ()) if child >= 0}
        found = devices.look_at(sorted({part.path for device in self.devices for part in device.parts()}), fsid)
        memory = sum(int(text) << 10 for text in re.findall(r"^MemTotal:\s+(\d+) kB", files.read("/proc/meminfo") or "", re.MULTILINE))
        observed = Observed(found, fsid, known, bootstrap_key=keys.get(BOOTSTRAP), memory=memory, memory_target=target, destroyed=destroyed)
        observed.buckets = buckets
        observed.kept_in = [number for number in known if noout.note(number) in notes]
        own = {device: osd for device in self.devices for osd in [observed.own(device)] if osd is not None}
        numbers = [osd.id for osd in own.values()]
        observed.units = systemd.units(sorted({name for osd in own.values() for name in (unit_name(osd.id), boot_unit(osd))}))
        observed.drop_ins = {number: files.read(systemd.drop_in_path(unit_name(number))) for number in numbers}
        observed.keys = {number: keys.get(f"osd.{number}") for number in numbers}
        observed.files = {one.path: keyring_files.read(one) for one in (bootstrap_place(), *map(keyring_place, numbers))}
        observed.lost = self._lost([device.path for device in self.devices if found[device.path].gone], known, numbers)
        for device, osd in own.items():
            # One that runs comes up, but not where it has lost a device or its key.
            runs = observed.units[unit_name(osd.id)].active and observed.files[keyring_place(osd.id).path].key == observed.keys[osd.id]
            if self.patient and runs and not known[osd.id].up and not observed.gone(device):
                self._wait_up(osd.id, Unreachable)
                known[osd.id] = known[osd.id]._replace(up=True)
        return observed

    def _lost(self, gone: t.Sequence[str], known: t.Mapping[int, Known], here: t.Collection[int]) -> dict[str, int]:
        """Return the OSDs of this host that were on devices which are gone. Those that are on other devices now are not among them."""
        if not gone or self.cluster is None:
            return {}
        names = {self.hostname.partition(".")[0], daemons.short_hostname()}
        lost: dict[str, int] = {}
        for told in self.cluster.command("osd metadata"):
            number = told["id"]
            if number in known and number not in here and (told.get("hostname") or "").partition(".")[0] in names:
                drop_in, link = files.read(systemd.drop_in_path(unit_name(number))) or "", f"{data_path(number)}/block"
                link = os.readlink(link) if os.path.islink(link) else ""
                lost = {**{path: number for path in gone if was_on(path, told, drop_in, link)}, **lost}
        return lost

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with every device that cannot be used, each with its reason."""
        draft = Draft()
        unusable: set[str] = set()
        making: list[tuple[Device, set[str]]] = []
        there = observed.files.get(BOOTSTRAP_KEYRING, keyring_files.File())
        # A client that is yet to be made gets a new key: whatever the file holds is another.
        keyring_files.ensure(draft, bootstrap_place(), there, observed.bootstrap_key or keyring_files.UNKNOWN, self._write_bootstrap)
        awaited = self._awaited(observed)
        for device in self.devices:
            osd = observed.own(device)
            number = osd.id if osd is not None else observed.lost.get(device.path)
            gone = observed.gone(device)
            if gone and (number in observed.destroyed or device in awaited):
                some = f"osd.{number}" if number in observed.destroyed else " or ".join(f"osd.{one}" for one in sorted(observed.destroyed))
                draft.warn(f"{'; '.join(gone)}. The next disk takes the place of {some}: put it in, and run this again")
            elif number is not None and gone and not observed.known[number].up:
                mend = f"bring the device back, or remove osd.{number} from the cluster and {device.path} from the declared devices"
                draft.warn(f"{'; '.join(gone)}. osd.{number}, which was on it, is down and left as it is: {mend}")
            elif osd is not None:
                self._plan_kept(device, osd, observed, draft)
            else:
                making.append((device, self._plan_wipes(device, observed, unusable, draft)))
        chosen = self._plan_places([device for device, dummy in making], observed, unusable, draft)
        free = dict(observed.destroyed)
        for device, needs in making:
            self._plan_new(device, _take_number(free, device.device_class), {part: chosen[part] for part in device.parts() if part in chosen}, needs, draft)
        if self.share and self.devices:
            value, who = str(memory_target(observed.memory, self.share, len(self.devices))), f"osd/host:{self.hostname}"
            had = None if observed.memory_target is None else {"value": observed.memory_target}
            send = functools.partial(self._send, "config set", who=who, name=MEMORY_OPTION, value=value)
            draft.ensure("option", f"{who}/{MEMORY_OPTION}", had, {"value": value}, send)
        return draft.plan(Lane("osd", max(4, os.cpu_count() or 1)))  # making one is work for a core and its disk

    def _awaited(self, observed: Observed) -> list[Device]:
        """The devices that are not there because they are yet to take the places of destroyed OSDs."""
        new = [device for device in self.devices if observed.own(device) is None and device.path not in observed.lost]
        absent = [device for device in new if observed.devices[device.path].gone]
        places = len(observed.destroyed) - (len(new) - len(absent)) - len(set(observed.destroyed) & set(observed.lost.values()))
        return absent[: max(0, places)]

    def _plan_wipes(self, device: Device, observed: Observed, unusable: set[str], draft: Draft) -> set[str]:
        """Plan to wipe what an OSD is to be made on, where that is allowed; return what making it needs. unusable: noted here."""
        needs = {f"keyring/{BOOTSTRAP_KEYRING}"}
        for part in device.parts():
            path, state = part.path, observed.devices[part.path]
            # An OSD of the type lvm is made in a group that was made for one and never used, and a db or wal in a group of others.
            fits = device.type == "lvm" and (state.blank if part.kind == "block" else state.ours)
            refusal = self._refusal(part, fits, observed)
            if refusal:
                draft.problem(f"{part}: {refusal}")
                unusable.add(path)
            elif state.holds and not fits:
                needs.add(f"device/{path}")
                if f"device/{path}" not in draft.ids("device"):
                    holds, wipe = list(state.holds), functools.partial(erase, path, state)
                    draft.ensure("device", path, {"holds": holds}, None, wipe, risk=Risk.LOSS, reason="it holds " + " and ".join(holds))
        return needs

    def _refusal(self, part: Part, fits: bool, observed: Observed) -> str:
        """Why nothing can be made on a part's device, "" where it can; then what it holds is wiped, unless it fits."""
        path, state = part.path, observed.devices[part.path]
        if state.gone:
            lost = observed.lost.get(path)
            return state.gone + ("" if lost is None else f". osd.{lost}, which was on it, is up: declare the device by the name that it has now")
        existing = [f"the {one.kind} of osd.{one.osd.id}" for one in state.volumes if one.osd and observed.in_cluster(one.osd)]
        mine, busy, holds, others = (" and ".join(words) for words in (existing, state.busy, state.holds, state.others))
        where = "it is" if state.volume else "it carries"
        refusals = (
            (mine, f"{where} {mine} of this cluster. Declare another device, or remove the OSD from the cluster first"),
            (busy, f"it is {busy}"),
            (holds and others, f"its volume group {state.group} lies on {others} as well. Take it out of the group first (vgreduce)"),
            (holds and f"device/{path}" not in self.allow_loss, f"it holds {holds}. To wipe it, name it in allow_loss: device/{path}"),
        )
        return "" if fits else next((f"refused, {text}" for so, text in refusals if so), "")

    def _plan_places(self, making: t.Sequence[Device], observed: Observed, unusable: t.Collection[str], draft: Draft) -> dict[Part, Volume]:
        """Return the old volumes that parts of the OSDs to be made get; note a problem for each part that there is no room for."""
        wanted: dict[str, list[Part]] = {}
        for device in making:
            for part in device.parts()[1:]:
                if observed.devices[part.path].volume:
                    sharers = [one.owner for one in self._parts_on(part.path)]
                    if len(sharers) > 1:
                        draft.problem(f"{part.path} is a logical volume, which only one OSD can have: {' and '.join(sharers)} name it")
                elif device.type == "lvm" and part.path not in unusable:
                    wanted.setdefault(part.path, []).append(part)
        wiped = [change.name for change in draft.changes if change.kind == "device"]
        gone = {volume.osd.uuid for path in wiped for volume in observed.devices[path].volumes if volume.osd and volume.kind == "block"}
        found: dict[Part, Volume] = {}
        for path, parts in wanted.items():
            state = observed.devices[path]
            if path in wiped:
                state = dataclasses.replace(state, volumes=(), room=state.room and state.room._replace(free=state.room.total))
            found.update(place(draft, state, parts, self._slots(path), observed.in_cluster, gone))
        return found

    def _plan_new(self, device: Device, number: t.Optional[int], chosen: t.Mapping[Part, Volume], needs: set[str], draft: Draft) -> None:
        """Plan to make an OSD. number: of the one whose place it takes. chosen: the old volumes that its parts get."""
        for part, volume in chosen.items():
            if volume.osd:
                needs.add(f"volume/{volume.name}")
                was = f"osd.{volume.osd.id}"
                reason = f"it was the {volume.kind} of {was}, which the cluster no longer has and whose data is gone from this host"
                take = functools.partial(clear, volume.name)
                draft.add(Change("volume", volume.name, "update", {volume.kind: was}, {part.kind: device.path}, take, reason=reason))
        shown = {name: value for name, value in dataclasses.asdict(device).items() if value not in (None, False)}
        if number is not None:
            shown["id"] = number
        make = functools.partial(self._make, device, {part: volume.name for part, volume in chosen.items()}, number)
        draft.ensure("osd", device.path, None, shown, make, needs=needs)

    def _parts_on(self, path: str) -> list[Part]:
        """The dbs and wals that are declared to be on a device."""
        return [part for device in self.devices for part in device.parts()[1:] if part.path == path]

    def _slots(self, path: str) -> int:
        """Return into how many equal shares a db or wal device is divided."""
        declared = [part.slots for part in self._parts_on(path)]
        return next((count for count in declared if count is not None), len(declared))

    def _plan_kept(self, device: Device, osd: Osd, observed: Observed, draft: Draft) -> None:
        name, known = unit_name(osd.id), observed.known[osd.id]
        text, there = drop_in_text(device, osd.how), observed.drop_ins.get(osd.id)
        draft.ensure("drop_in", name, None if there is None else {"unit": there}, {"unit": text}, functools.partial(daemons.write_drop_in, name, text))
        place = keyring_place(osd.id)
        file = observed.files.get(place.path, keyring_files.File())
        # Without its data folder the OSD is given one, keyring and all, when it is activated.
        stale = file.exists and keyring_files.ensure(draft, place, file, observed.keys.get(osd.id), functools.partial(keyring_files.fetch, self.cluster, place))
        needs = [f"drop_in/{name}", f"keyring/{place.path}"]
        unit, boot = (observed.units.get(one, systemd.NO_UNIT) for one in (name, boot_unit(osd)))
        state = {"enabled": boot.enabled, "running": unit.active, "data folder": file.exists}
        start = functools.partial(self._activate, device, osd, file.exists)
        if not all(state.values()):
            draft.ensure("unit", name, state, dict.fromkeys(state, True), start, needs=needs, reason=f"osd.{osd.id} on {device.path} starts")
        elif stale:
            reason, start = "its keyring was not the cluster's", functools.partial(start, again=True)
            draft.ensure("unit", name, {"restart": None}, {"restart": reason}, start, needs=needs, risk=Risk.RESTART, reason=reason)
        elif not known.up:
            draft.warn(f"osd.{osd.id} on {device.path} runs, but the cluster has it as down")
        elif observed.buckets is not None and observed.buckets.get(osd.id) != self.hostname:
            reason = "an OSD is in the bucket of its host, and data moves there"
            parent, move = {"parent": observed.buckets.get(osd.id)}, functools.partial(self._move_home, osd.id)
            draft.ensure("crush_location", f"osd.{osd.id}", parent, {"parent": self.hostname}, move, risk=Risk.MOVEMENT, reason=reason)
        if osd.id in observed.kept_in:  # of a run that was ended, or of one that made it by hand
            reason = "it was kept in until its new disk is up"
            draft.ensure(
                "flag", f"osd.{osd.id}/noout", {"set": True}, {"set": False}, functools.partial(self._let_out, osd.id), needs=[f"unit/{name}"], reason=reason
            )
        if device.device_class:
            had, wanted = {"device_class": known.device_class or None}, {"device_class": device.device_class}
            change = functools.partial(self._set_class, osd.id, device.device_class, bool(known.device_class))
            reason = "data of rules that choose by class moves"
            draft.ensure("device_class", f"osd.{osd.id}", had, wanted, change, risk=Risk.MOVEMENT, reason=reason)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        rows = []
        for device in self.devices:
            osd = observed.own(device)
            number = osd.id if osd else observed.lost.get(device.path)
            up = number is not None and observed.known[number].up
            rows.append({"path": device.path, "id": number, "type": osd.how if osd else device.type, "up": up})
        return {"osds": rows}

    # -- apply

    def _send(self, prefix: str, **words: t.Any) -> t.Any:
        return asked(self.cluster).command(prefix, **words)

    def _let_out(self, number: int) -> None:
        """Take back the flag noout of an OSD that was kept in for its next disk."""
        noout.take_back(asked(self.cluster), [number])

    def _move_home(self, number: int) -> None:
        """Put an OSD where it would put itself at its start. One that CRUSH still has keeps its weight, another gets that of its size, in TiB."""
        size = int(self._send("osd metadata", id=number).get("bluestore_bdev_size") or 0)
        self._send("osd crush create-or-move", id=number, weight=max(size / (1 << 40), 0.00001), args=["root=default", f"host={self.hostname}"])

    def _set_class(self, number: int, name: str, had: bool) -> None:
        if had:
            self._send("osd crush rm-device-class", ids=[str(number)])
        self._send("osd crush set-device-class", **{"class": name}, ids=[str(number)])

    def _write_bootstrap(self) -> None:
        made = self._send("auth get-or-create", entity=BOOTSTRAP, caps=BOOTSTRAP_CAPS)
        keyring_files.write(bootstrap_place(), Secret(made[0]["key"]))

    def _make(self, device: Device, volumes: t.Mapping[Part, str], number: t.Optional[int]) -> None:
        """Make an OSD. volumes: old ones, "VG/LV", that its db and wal get. number: that it is to have, None for the next one."""
        ledger = Ledger()
        self._remove_unfinished()
        try:
            data = self._prepare(device, volumes, ledger, number)
        except (process.CommandError, OSError, RuntimeError, Unreachable) as error:
            with self._lvm:
                left = ledger.take_back()
            raise RuntimeError("; ".join([f"an OSD could not be made on {device.path}: {last_words(error)}", *left])) from error
        osd = devices.osd_of_label(devices.read_label(data)) if device.type == "raw" else devices.osd_of_tags(devices.volume_tags().get(data, {}))
        if osd is None:
            raise RuntimeError(f"ceph-volume prepared {device.path}, but there is no OSD on it")
        # To activate it enables its unit, for which systemd reads all files anew.
        files.write(systemd.drop_in_path(unit_name(osd.id)), drop_in_text(device, osd.how), 0o644)
        self._activate(device, osd, device.type == "raw")
        if number is not None:
            self._let_out(number)

    def _remove_unfinished(self) -> None:
        """Remove what earlier runs have left of OSDs that could not be made, once, before this one makes any."""
        with self._lvm:
            left, self._unfinished = self._unfinished, []
            used = {entry["osd"] for entry in self._send("osd dump")["osds"] if "destroyed" not in entry["state"]} if left else set()
            for number in left:
                if number not in used:  # else it is just being made, by a run that was cut off
                    shutil.rmtree(data_path(number))

    def _prepare(self, device: Device, volumes: t.Mapping[Part, str], ledger: Ledger, number: t.Optional[int]) -> str:
        """Put an OSD on what it lies on, and return where its data is. ledger: what is made for it."""
        parts, raw = device.parts(), device.type == "raw"
        with self._lvm:
            fsid = asked(self.cluster).fsid
            places = [part.path if raw else ledger.volume(part, self._slots(part.path), volumes.get(part), fsid) for part in parts]
            words = ["ceph-volume", device.type, "prepare", "--bluestore", *(self._number() if number is None else ["--osd-id", str(number)])]
        words += ["--data", places[0], *(word for part, path in zip(parts[1:], places[1:]) for word in (f"--{part.link}", path))]
        words += ["--no-tmpfs"] if raw else ["--dmcrypt"] if device.encrypted else []
        words += ["--crush-device-class", device.device_class] if device.device_class else []
        with contextlib.ExitStack() as held:
            for volume in ledger.found:
                held.enter_context(devices.hold(volume))
            ledger.whole = places if raw else []
            process.run(words, timeout=SLOW)
        return places[0]

    def _number(self) -> list[str]:
        """ceph-volume's option where volumes of others carry the number that the cluster would give: it wipes what carries it when it fails."""
        known = {entry["osd"]: entry["uuid"] for entry in self._send("osd dump")["osds"]}
        noted = filter(None, map(devices.osd_of_tags, devices.volume_tags().values()))
        old = {osd.id for osd in noted if known.get(osd.id) != osd.uuid}
        if not old - set(known):
            return []
        number = next(number for number in itertools.count() if number not in {*known, *old, *self._numbers})
        self._numbers.add(number)
        return ["--osd-id", str(number)]

    def _activate(self, device: Device, osd: Osd, folder: bool, again: bool = False) -> None:
        """Start an OSD so that it comes back after a reboot, and wait until it is up. again: it runs."""
        if again:
            systemd.restart(unit_name(osd.id))
        elif osd.how == "lvm":
            # Those of a host that does not activate volumes at its start, or not yet: ceph-volume finds them by their tags, and cannot open them.
            process.run(["lvchange", "--activate", "y", f"@ceph.osd_fsid={osd.uuid}"], timeout=SLOW)
            process.run(["ceph-volume", "lvm", "activate", str(osd.id), osd.uuid], timeout=SLOW)
        else:
            if not folder:
                # The system disk was made anew, and the OSD's folder with it: the device knows all that was in it.
                shared = [word for part in device.parts()[1:] for word in (f"--{part.link}", part.path)]
                process.run(["ceph-volume", "raw", "activate", "--no-systemd", "--no-tmpfs", "--device", device.path, *shared], timeout=SLOW)
            systemd.start(unit_name(osd.id))
        self._wait_up(osd.id, RuntimeError)

    def _wait_up(self, number: int, error: t.Type[Exception]) -> None:
        def up() -> bool:
            return any(entry["osd"] == number and entry["up"] for entry in self._send("osd dump")["osds"])

        def soon_up(_unit: systemd.Unit) -> bool:
            # Cheap beside a process that asks systemd, which on a busy host keeps the OSD from coming up.
            return wait_until(up, 3)

        daemons.await_unit(unit_name(number), soon_up, self.wait, f"osd.{number} is not up", error)


def unfinished() -> list[int]:
    """Return the numbers of folders that ceph-volume has left of OSDs that it could not make. It refuses to make another one of such a number."""
    found = []
    for path in glob.glob(f"{daemons.DATA}/osd/{daemons.CLUSTER}-*"):
        number = path.rpartition("-")[2]
        # The file is the last that an OSD writes as it is made, and is there whenever its folder is in use.
        if number.isdigit() and os.path.lexists(f"{path}/block") and not os.path.exists(f"{path}/ready") and not os.path.ismount(path):
            found.append(int(number))
    return sorted(found)


def _take_number(free: dict[int, str], device_class: t.Optional[str]) -> t.Optional[int]:
    """Take the number for a new disk out of those of the destroyed OSDs: one of its class, else any."""
    of_class = [number for number, its in free.items() if its == device_class]
    number = min(of_class or free, default=None)
    free.pop(number, None)  # type: ignore[arg-type]
    return number


def last_words(error: Exception) -> str:
    """Return why something failed, in the words of the program: ceph-volume's own roll-back, which speaks last, is not the cause."""
    if not isinstance(error, process.CommandError):
        return str(error)
    before = error.text.partition("Was unable to complete a new OSD")[0].rstrip("-> \n")
    return str(process.CommandError(error.argv, error.code, before)) if before else str(error)


def provider(options: t.Mapping[str, t.Any], cluster: t.Optional[Connection], patient: bool = True) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS. cluster, patient: see Provider. Raises Invalid."""
    own = {"share": options["memory_share"] or 0.0, "allow_loss": options["allow_loss"], "wait": options["wait"]}
    return Provider(parse(options["devices"]), cluster, options["hostname"] or daemons.short_hostname(), patient=patient, **own)
