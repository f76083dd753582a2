# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of a whole cluster that is to be gone: daemons, their data, keyrings, ceph.conf; and who still uses the cluster.

Daemons, keyrings and files do not say of which cluster they are: the host's ceph.conf does, and a monitor that runs. So ceph.conf goes last, and a run that was
killed before is finished by the next.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import os
import re
import shutil
import socket
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import ceph_conf, crash, daemons, devices, maintenance, osd_leftovers, osds
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import parse_mon_host
from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files, files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk, Unreachable

CONF = "/etc/ceph/ceph.conf"
# What this collection writes into [global], and the block of libvirt's guests. All else in the file is the operator's.
_SETTINGS = ("fsid", "mon_host", "public_network", "cluster_network", "ms_bind_ipv4", "ms_bind_ipv6")
_BLOCK = "cephstack.cloud kvm_host"
# The folders of daemons' data by the names of their units, in the order in which they stop: whoever needs another one is first.
_ORDER = ("radosgw", "mds", "mgr", "osd", "mon")
_UNIT = re.compile(rf"ceph-({'|'.join(_ORDER)})@([A-Za-z0-9_.-]+)\.service")
# Whose sessions end with the cluster. Clients of managers, gateways and crash reports are daemons', too; client.admin is who asks.
_DAEMONS = re.compile(r"(mon|mgr|osd|mds)\..*|client\.(admin|crash(\..*)?|bootstrap-.*|rgw\..*|nfs\..*)")
# Seconds after which a monitor that was just started answers.
_STARTING = 10
_MAPPED = "/sys/bus/rbd/devices"
# Other files that this collection wrote, whole.
FILES = (
    "/etc/ceph/keystone.password",
    *(f"/etc/ceph/openstack/{name}" for name in ("glance-api.conf", "cinder.conf", "nova.conf", "secret-*.xml", "secret-*.key")),
    "/var/lib/cephstack/openstack-proof.json",
    "/var/lib/cloudstack/cephstack-proof.json",
    *maintenance.drop_in_paths(),
    maintenance.FILE,
)
# What is kept for whoever wants to know what was.
_KEPT = ("/var/log/ceph", f"{daemons.DATA}/crash")
KINDS = frozenset(
    ("unit", "daemon", "cluster", "drop_in", "boot_unit", "data_folder", "volume", "device", "keyring", "file", "conf")  # those of osd_leftovers among them
)


class Mapped(t.NamedTuple):
    """An image that the kernel's client has mapped, pool/image."""

    image: str
    device: str


@dataclasses.dataclass(frozen=True)
class Observed:
    """What a host has of a cluster.

    conf: the text of its ceph.conf. fsids: of which cluster it says that it is, by who says it. sessions: who uses a monitor here, with addresses.
    units: of Ceph's daemons, by name. folders: of their data, by unit. osds: what there is of its OSDs. keyrings, files: the paths that are there.
    strange: keyrings that nobody declared. drop_ins: units that have one of ours. shim: whether managers have one. kept: folders that hold something.
    devices: those declared for OSDs.
    """

    conf: t.Optional[str] = None
    fsids: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    sessions: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    units: t.Mapping[str, systemd.Unit] = dataclasses.field(default_factory=dict)
    folders: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    osds: osd_leftovers.Host = osd_leftovers.Host("", {}, {})
    keyrings: t.Sequence[str] = ()
    strange: t.Sequence[str] = ()
    files: t.Sequence[str] = ()
    drop_ins: t.Sequence[str] = ()
    shim: bool = False
    crash: systemd.Unit = systemd.NO_UNIT
    mapped: t.Sequence[Mapped] = ()
    mounted: t.Sequence[str] = ()
    kept: t.Sequence[str] = ()
    devices: t.Mapping[str, devices.Found] = dataclasses.field(default_factory=dict)

    def of(self, fsid: str) -> bool:
        """Whether something on this host says that it is of this cluster."""
        return fsid in self.fsids.values()


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The cluster that is to be gone. clients: whose keyrings the collection wrote. devices: declared for OSDs. prefix: before options' names in messages.

    cluster_stays: whether it goes on without this host.
    """

    fsid: str
    clients: t.Sequence[str] = ()
    devices: t.Sequence[str] = ()
    allow_loss: t.Collection[str] = ()
    prefix: str = ""
    cluster_stays: bool = False


def addresses(conf: t.Optional[str]) -> t.FrozenSet[str]:
    """The monitors that a ceph.conf names."""
    try:
        return frozenset(host for host, _port in parse_mon_host(ceph_conf.conf_value(conf, "mon_host") or ""))
    except ValueError:
        return frozenset()


def observe(wanted: Wanted) -> Observed:
    """Read what this host has. Raises Unreachable."""
    conf = files.read(CONF, exact=True)
    said = {CONF: (ceph_conf.conf_value(conf, "fsid") or "").lower()}
    folders = _folders()
    found = glob.glob(f"{osd_leftovers.ETC}/*.wants/ceph-*@*.service") + glob.glob(f"{osd_leftovers.ETC}/ceph-osd@*.service.d/{systemd.DROP_IN}")
    names = {*folders, *(part for path in found for part in path.replace(".service.d", ".service").split("/") if _UNIT.fullmatch(part))}
    if os.path.isdir("/run/systemd/system"):
        names |= {name for name in systemd.show([f"ceph-{kind}@*.service" for kind in _ORDER], instances=True) if _UNIT.fullmatch(name)}
    units = systemd.units(sorted(names))
    sessions: dict[str, list[str]] = {}
    for name in [name for name in units if name.startswith("ceph-mon@") and units[name].active]:
        me = f"mon.{name[len('ceph-mon@') : -len('.service')]}"
        silent = f"{me} runs, and does not say who uses the cluster: if that does not matter, stop it (systemctl stop {name})"
        told = wait_until(functools.partial(_ask_monitor, me), _STARTING, functools.partial(Unreachable, silent))
        said[me] = told[0]["monmap"]["fsid"]
        for who, where in read_sessions(told[1]):
            sessions.setdefault(who, []).append(where)
    fsids = {who: fsid for who, fsid in said.items() if fsid}
    ours = wanted.fsid in fsids.values()
    own = {name for name in units if _is_own(name, wanted.fsid, ours)}
    numbers = {number for name in own for number in [_number(name)] if number is not None}
    tagged = (devices.osd_of_tags(devices.parse_tags(row.get("lv_tags", ""))) for row in devices.logical_volumes())
    numbers |= {osd.id for osd in tagged if osd is not None and osd.cluster == wanted.fsid}
    declared = devices.look_at(sorted(wanted.devices), wanted.fsid)
    numbers |= {osd.id for state in declared.values() for osd in _osds_on(state) if osd.cluster == wanted.fsid}
    # Another cluster may have an OSD of the same number here.
    numbers = {number for number in numbers if said_by(number) in ("", wanted.fsid)}
    hostname = socket.gethostname()
    clients = dict.fromkeys(["client.admin", f"client.crash.{hostname}", *wanted.clients])
    places = [f"/etc/ceph/ceph.{client}.keyring" for client in clients]
    bootstrap = sorted(glob.glob(f"{daemons.DATA}/bootstrap-*/ceph.keyring"))
    return Observed(
        conf,
        fsids,
        {who: sorted(set(where)) for who, where in sessions.items()},
        {name: unit for name, unit in units.items() if name in own},
        {name: paths for name, paths in folders.items() if name in own},
        osd_leftovers.observe(numbers, wanted.fsid, wanted.allow_loss),
        [path for path in [*places, *bootstrap] if os.path.lexists(path)],
        [path for path in sorted(glob.glob("/etc/ceph/ceph.*.keyring")) if path not in places],
        [path for pattern in FILES for path in sorted(glob.glob(pattern))],
        [path.split("/")[-2][: -len(".d")] for path in sorted(glob.glob(f"{osd_leftovers.ETC}/ceph-*@.service.d/{systemd.DROP_IN}"))],
        os.path.isdir(daemons.SHIM_FOLDER),
        systemd.units([crash.UNIT])[crash.UNIT],
        krbd(wanted.fsid),
        mounts(files.read("/proc/self/mounts") or "", wanted.fsid, addresses(conf)),
        [path for path in _KEPT if any(names for _folder, _folders, names in os.walk(path))],
        declared,
    )


def _ask_monitor(name: str) -> t.Optional[tuple[t.Any, t.Any]]:
    """Return a monitor's own status and sessions, None where it does not answer (yet)."""
    status, sessions = (daemons.ask(name, prefix) for prefix in ("mon_status", "sessions"))
    return None if status is None or sessions is None else (status, sessions)


def _osds_on(state: devices.Found) -> list[devices.Osd]:
    return [osd for osd in (state.osd, *(volume.osd for volume in state.volumes)) if osd is not None]


def _folders() -> dict[str, list[str]]:
    """The data folders of the daemons of a cluster with the usual name, by unit; with what an ended run has left beside a monitor's."""
    found: dict[str, list[str]] = {}
    for kind in _ORDER:
        for path in sorted(glob.glob(f"{daemons.DATA}/{kind}/{daemons.CLUSTER}-*")):
            name = f"ceph-{kind}@{os.path.basename(path)[len(daemons.CLUSTER) + 1 :]}.service"
            if _UNIT.fullmatch(name):
                found.setdefault(name, []).append(path)
    for path in sorted(glob.glob(f"{daemons.DATA}/mon/.new-*") + glob.glob(f"{daemons.DATA}/mon/.removed-*") + glob.glob(f"{daemons.DATA}/mon/.lost-*")):
        found.setdefault(f"ceph-mon@{os.path.basename(path).partition('-')[2]}.service", []).append(path)
    return found


def _number(unit: str) -> t.Optional[int]:
    """The number of the OSD that a unit is of, None where it is of none."""
    match = _UNIT.fullmatch(unit)
    return int(match[2]) if match and match[1] == "osd" and match[2].isdigit() else None


def said_by(number: int) -> str:
    """The fsid that an OSD's data folder has, "" where it has none."""
    return (files.read(f"{osds.data_path(number)}/ceph_fsid") or "").strip().lower()


def _is_own(unit: str, fsid: str, ours: bool) -> bool:
    """Whether a unit may be of the cluster. An OSD's folder says it itself. ours: whether the host says that it is of this cluster."""
    number = _number(unit)
    said = said_by(number) if number is not None else ""
    return said == fsid if said else ours or number is None


def read_sessions(told: t.Any) -> list[tuple[str, str]]:
    """Return who has a session at a monitor that is no daemon's, and from where, out of its answer to "sessions". Pure."""
    found = []
    for one in told:
        who = one.get("entity_name", "")
        if one.get("open", True) and one.get("con_type", "client") == "client" and who.startswith("client.") and not _DAEMONS.fullmatch(who):
            socket_address = (one.get("socket_addr") or {}).get("addr", "")
            found.append((who, socket_address.rpartition(":")[0].strip("[]") or "?"))
    return found


def krbd(fsid: str, root: str = _MAPPED) -> list[Mapped]:
    """What the kernel's client has mapped of a cluster."""

    def value(number: str, key: str) -> str:
        return (files.read(f"{root}/{number}/{key}") or "").strip()

    numbers = sorted(map(os.path.basename, glob.glob(f"{root}/[0-9]*")))
    return [Mapped(f"{value(one, 'pool')}/{value(one, 'name')}", f"/dev/rbd{one}") for one in numbers if value(one, "cluster_fsid") == fsid]


def mounts(text: str, fsid: str, monitors: t.Collection[str]) -> list[str]:
    """Where this host has mounted CephFS of a cluster, out of the kernel's list of mounts. Pure."""
    found = []
    for line in text.splitlines():
        source, where, kind, options = (*line.split(), "", "", "", "")[:4]
        if kind != "ceph":
            continue
        named = re.split(r"[,/]", source.split(":/")[0]) + re.findall(r"mon_addr=([^,]+)", options)
        hosts = {host for part in named for one in part.split("/") for host in [re.sub(r":\d+$", "", one).strip("[]")]}
        if f"@{fsid}." in source or hosts & set(monitors):
            found.append(where)
    return found


def note_problems(draft: Draft, observed: Observed, wanted: Wanted, own_mappings: t.Collection[str] = ()) -> None:
    """Note what goes against it. own_mappings: the images that the collection has mapped, and unmaps. Pure."""
    for who, fsid in observed.fsids.items():
        if fsid != wanted.fsid:
            told = f"{who} of this host is of the cluster {fsid}" if who == CONF else f"{who}, which runs on this host, is of the cluster {fsid}"
            draft.problem(f"{wanted.prefix}fsid is {wanted.fsid}, and {told}: write the right one out, or take the host out of the inventory")
    if draft.problems:
        return
    if not observed.of(wanted.fsid):
        there = [name for name, unit in observed.units.items() if unit.there or observed.folders.get(name)]
        unknown = sorted(name for name in there if not name.startswith("ceph-osd@"))
        if unknown:
            tell = f"if it is of {wanted.fsid}, write 'fsid = {wanted.fsid}' below [global] in {CONF}, else remove it by hand"
            draft.problem(f"{', '.join(unknown)}: nothing on this host says of which cluster that is: {tell}")
    # Those at a monitor of a cluster that goes on are others'.
    for who, where in () if wanted.cluster_stays else observed.sessions.items():
        if f"session/{who}" not in wanted.allow_loss:
            uses = f"{who} uses the cluster, from {', '.join(where)}: shut down the guests or services that do"
            draft.problem(f"{uses}, or let them lose their storage: {wanted.prefix}allow_loss: [session/{who}]")
    for image, device in observed.mapped:
        if image not in own_mappings:
            draft.problem(f"the image {image} is mapped at {device}: unmount and unmap it first")
    for where in observed.mounted:
        draft.problem(f"CephFS of this cluster is mounted at {where}: unmount it first")


def plan_daemons(draft: Draft, observed: Observed, wanted: Wanted, with_mons: bool) -> None:
    """Plan that daemons stop, after what is planned so far, and that nothing is left of them. Pure."""
    ours, stopped = observed.of(wanted.fsid), {change.id for change in draft.changes}
    there = [name for name, unit in observed.units.items() if unit.there or observed.folders.get(name)]
    if there and wanted.cluster_stays:
        draft.problem(f"{', '.join(sorted(there))}: still on this host, and the cluster has not let them go: take them out of it first (scale_in_hosts)")
        return
    for kind in _ORDER[: None if with_mons else -1]:
        first = frozenset(stopped)
        for name, unit in observed.units.items():
            match = _UNIT.fullmatch(name)
            if not match or match[1] != kind or not (ours or kind == "osd"):
                continue
            state = {"enabled": unit.enabled, "running": unit.there}
            stop = functools.partial(systemd.stop, name)
            seen = any(state.values()) or unit.state == "failed"  # what a killed run has begun to stop may have ended so
            draft.ensure("unit", name, state if seen else None, None, stop, needs=first, risk=Risk.RESTART, reason="the daemon stops")
            stopped.add(f"unit/{name}")
            data = list(observed.folders.get(name, ()))
            if data and kind not in ("osd", "mon"):
                draft.ensure("daemon", f"{kind}.{match[2]}", {"data": data}, None, functools.partial(_remove, data), needs=[f"unit/{name}"])
    stores = [path for name, paths in observed.folders.items() if name.startswith("ceph-mon@") for path in paths]
    if stores and with_mons and ours:
        # Its fsid was written out: that names it.
        reason = "the cluster's maps and keys are lost"
        draft.ensure("cluster", wanted.fsid, {"data": stores}, None, functools.partial(_remove, stores), needs=stopped, risk=Risk.LOSS, reason=reason)
    going = {number: draft.ids("unit", begin=osds.unit_name(number)) for number in observed.osds.left}
    osd_leftovers.plan(draft, observed.osds, going, wanted.allow_loss)


def plan_files(draft: Draft, observed: Observed, wanted: Wanted) -> None:
    """Plan that nothing is left of what the collection wrote; ceph.conf last. Called after all others have planned. Pure."""
    if observed.of(wanted.fsid):
        crash_keyring = [path for path in observed.keyrings if "/ceph.client.crash." in path]
        state = {"enabled": observed.crash.enabled, "running": observed.crash.there}
        if crash_keyring and any(state.values()):
            draft.ensure("unit", crash.UNIT, state, None, functools.partial(systemd.stop, crash.UNIT), reason="it has nobody to report to")
        units = draft.ids("unit")
        for path in observed.keyrings:
            draft.ensure("keyring", path, {"there": True}, None, functools.partial(os.unlink, path), needs=units)
        for unit in observed.drop_ins:
            remove = functools.partial(osd_leftovers.remove_drop_in, unit)
            draft.ensure("drop_in", unit, {"unit": systemd.drop_in_path(unit)}, None, remove, needs=units)
        if observed.shim:
            draft.ensure("file", daemons.SHIM_FOLDER, {"there": True}, None, _remove_shim, needs=units)
        for path in observed.files:
            draft.ensure("file", path, {"there": True}, None, functools.partial(remove_file, path), needs=units)
    if observed.conf is not None and observed.of(wanted.fsid):
        rest = without_ours(observed.conf)
        values = {**{name: ceph_conf.conf_value(observed.conf, name) for name in _SETTINGS}, _BLOCK: config_files.block(observed.conf, _BLOCK)}
        before = {name: value for name, value in values.items() if value is not None}
        after, apply = (None, functools.partial(os.unlink, CONF)) if rest is None else (dict.fromkeys(before), functools.partial(_write_conf, rest))
        draft.ensure("conf", CONF, before, after, apply, needs=[change.id for change in draft.changes])


def without_ours(text: str) -> t.Optional[str]:
    """Return a ceph.conf without what this collection writes, None where nothing is left that says anything. Pure."""
    text = config_files.put_block(ceph_conf.edit_conf(text, dict.fromkeys(_SETTINGS)), _BLOCK, None)
    says = [line for line in map(str.strip, text.splitlines()) if line and not re.fullmatch(r"\[global\]", line)]
    return text if says else None


def left(observed: Observed, wanted: Wanted) -> list[str]:
    """What stays on this host, and why. Pure."""
    allowed = wanted.allow_loss
    found = []
    known = {osd.uuid: osd.id for state in observed.devices.values() for osd in _osds_on(state) if osd.cluster == wanted.fsid}
    for path, state in observed.devices.items():
        held = sorted({f"osd.{known[uuid]}" for uuid in (state.part_of, *(osd.uuid for osd in _osds_on(state))) if uuid in known})
        if held and f"device/{path}" not in allowed:
            found.append(f"{path} keeps the data of {', '.join(held)}: to have it wiped, name it in {wanted.prefix}allow_loss: device/{path}")
    shown = {volume.name for state in observed.devices.values() for volume in state.volumes}
    for number, one in sorted(observed.osds.left.items()):
        for volume in one.volumes:
            if volume.name not in shown and f"volume/{volume.name}" not in allowed:
                keeps = f"the volume {volume.name} keeps the {volume.kind or 'part'} of osd.{number}"
                found.append(f"{keeps}: to have it wiped, name it in {wanted.prefix}allow_loss: volume/{volume.name}")
    found += [f"{path}: no client of that name is declared" for path in observed.strange]
    rest = None if observed.conf is None else without_ours(observed.conf)
    if rest is not None and observed.fsids.get(CONF) in (None, wanted.fsid):
        found.append(f"{CONF}, with what is not this collection's")
    return [*found, *(f"{path}: logs and reports" for path in observed.kept)]


def _remove(paths: t.Sequence[str]) -> None:
    for path in paths:
        shutil.rmtree(path)


def remove_file(path: str) -> None:
    """Remove a file, and its folder if that was only for such."""
    os.unlink(path)
    folder = os.path.dirname(path)
    if folder.startswith(osd_leftovers.ETC):
        with contextlib.suppress(OSError):  # it has other drop-ins
            os.rmdir(folder)
        process.run(["systemctl", "daemon-reload"], timeout=120)
    if folder in ("/etc/ceph/openstack", "/var/lib/cephstack") and not os.listdir(folder):
        os.rmdir(folder)


def _remove_shim() -> None:
    shutil.rmtree(daemons.SHIM_FOLDER)
    parent = os.path.dirname(daemons.SHIM_FOLDER)
    if not os.listdir(parent):
        os.rmdir(parent)


def _write_conf(text: str) -> None:
    seen = os.stat(CONF)
    files.write(os.path.realpath(CONF), text, seen.st_mode & 0o7777, seen.st_uid, seen.st_gid)
