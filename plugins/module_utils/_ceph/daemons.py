# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Managers, metadata servers and gateways of a host: identity, keyring, unit, and a running daemon that answers; and what all kinds of daemons share.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import grp
import json
import os
import pwd
import re
import shutil
import socket
import struct
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, keyring_files, maps, running_gateways, stop_gates
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection, asked
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd, wait
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Risk, Secret, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, mapping, presence, records, string

# Where Debian, Ubuntu and the EL family put what Ceph has on a host.
DATA, RUN, CLUSTER = "/var/lib/ceph", "/run/ceph", "ceph"
# What a change of restart_on is compared with; it lies beside the keyring.
STAMP = ".cephstack-restart-on"
# Where the manager finds what stands in bcrypt's place, and under which name it reads that before its modules: from release 20 on none of them imports
# bcrypt, and what Python itself imports at its start is left. See needs_shim.
SHIM_FOLDER, SHIM_FILES, MGR_TEMPLATE = "/usr/local/lib/cephstack/mgr", ("bcrypt.py", "sitecustomize.py"), "ceph-mgr@.service"
MGR_DROP_IN = f"drop_in/{MGR_TEMPLATE}"
SHIM_DROP_IN = f"""# Made by cephstack.cloud. This Ceph's manager does not get along with this distribution's Python: see the file in that folder.
[Service]
Environment=PYTHONPATH={SHIM_FOLDER}
# Releases that still have the module restful cannot load it, and each attempt makes a crash report.
Environment=CEPH_ARGS=--mgr-disabled-modules=restful
"""


def short_hostname() -> str:
    """The host's name without its domain, as Ceph itself names a host."""
    return socket.gethostname().split(".")[0]


def owner() -> tuple[int, int]:
    """The uid and gid of Ceph's daemons on this host; root's where the packages are not there yet."""
    try:
        return pwd.getpwnam("ceph").pw_uid, grp.getgrnam("ceph").gr_gid
    except KeyError:
        return 0, 0


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of daemon. entity, folder and unit take the id; caps are what it needs and no more."""

    program: str
    entity: str
    folder: str
    unit: str
    caps: t.Mapping[str, str]


def _kind(program: str, entity: str, name: str, **caps: str) -> Kind:
    return Kind(program, entity, f"{DATA}/{name}/{CLUSTER}-{{}}", f"ceph-{name}@{{}}.service", caps)


KINDS: t.Mapping[str, Kind] = {
    "mgr": _kind("ceph-mgr", "mgr.{}", "mgr", mds="allow *", mon="allow profile mgr", osd="allow *"),
    "mds": _kind("ceph-mds", "mds.{}", "mds", mds="allow", mgr="allow profile mds", mon="allow profile mds", osd="allow rw tag cephfs *=*"),
    # Its unit runs it as client.ID, so an id is "rgw.HOST.NAME". Until its first pools are there it must make them.
    "rgw": _kind("radosgw", "client.{}", "radosgw", mgr="allow rw", mon="allow rw", osd="allow rwx tag rgw *=*"),
}
_DAEMON = {
    "type": choice("What it is.", sorted(KINDS, key=list(KINDS).index), required=True),
    "id": string(
        "Its name, without the type. The host's short name by default.\n"
        "A gateway's begins with V(rgw.), as in V(rgw.ceph1.s3). Its cephx client is then C(client.rgw.ceph1.s3) and its unit "
        "C(ceph-radosgw@rgw.ceph1.s3)."
    ),
    "caps": mapping("Its capabilities by daemon type. By default what the daemon needs and no more."),
    "restart_on": string(
        "A text, such as a digest of what the daemon reads only at its start. The daemon restarts when it changes.\n"
        "It is kept in the daemon's data folder. A running daemon that has none yet is not restarted."
    ),
    "state": presence(
        "Whether the daemon exists. V(absent) stops it and removes its keyring and its identity. "
        "The last manager stays, and so does a metadata server that the cluster says it needs."
    ),
}
OPTIONS = {
    "daemons": records("The daemons of this host.", _DAEMON, default=[]),
    "bcrypt_shim": string(
        "The text of a C(bcrypt.py) that managers get instead of the distribution's own. It is given to those whose modules cannot "
        "load beside that (Ceph before 20, bcrypt from 4.0 on), or of which they report crashes that are none (Ceph 17 to 20, Python from 3.13 on), "
        "and removed again if neither is so.\n"
        "The manager's module C(restful) cannot load beside such a bcrypt at all, so it is disabled."
    ),
    "shim_only": boolean(
        "Whether O(bcrypt_shim) is all that is seen to. Nothing starts or restarts with it, and C(restful) stays as it is: managers have it when they "
        "start next, as after an upgrade of their packages.",
        default=False,
    ),
    "crash_reports": boolean(
        "Whether this host's crash reports reach the cluster. C(ceph-crash) gets a client of its own, C(client.crash.HOST), which may post reports "
        "and no more, with its keyring, and may move what it has posted.\n"
        "What managers beside a new Python report as a crash while they load their modules is none. Such reports are set aside before they are "
        "posted, and archived where they were. No other report is touched.",
        default=False,
    ),
    "key_type": choice(
        "The type of the daemons' keys. A daemon with a key of another type gets a new one, and restarts with it; so does the client of the crash reports. "
        "By default keys of any type will do.\nV(aes256k) needs Ceph 20.2.4.",
        clients.KEY_TYPES,
        no_log=False,
    ),
    "wait": integer("How many seconds a daemon may take until it answers.", default=120),
}


@dataclasses.dataclass(frozen=True)
class Daemon(Kind):
    """What is declared of one daemon, and what follows from its kind."""

    type: str
    id: str
    present: bool = True
    restart_on: t.Optional[str] = None

    @property
    def place(self) -> keyring_files.Place:
        return keyring_files.of_daemons(f"{self.folder}/keyring", self.entity)


@dataclasses.dataclass(frozen=True)
class State:
    """What is there of one daemon. key and caps: of the cluster. file: the keyring on the host. older: whether it began before that was written."""

    key: t.Optional[Secret] = None
    caps: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    file: keyring_files.File = keyring_files.File()
    stamp: t.Optional[str] = None
    folder: bool = False
    unit: systemd.Unit = systemd.NO_UNIT
    running: str = ""
    older: bool = False


class Observed(t.NamedTuple):
    """What is there. installed: versions by program, "" where it is not there. shim_needed: why, "" where it is not. shim_file: its name for this
    release. shim_texts: its files as they are, by name.

    needed: why one that is to be gone must stay, by entity.
    """

    states: t.Mapping[str, State]
    installed: t.Mapping[str, str] = {}
    shim_needed: str = ""
    shim_file: str = SHIM_FILES[0]
    shim_texts: t.Mapping[str, t.Optional[str]] = {}
    drop_in: t.Optional[str] = None
    restful: bool = False
    needed: t.Mapping[str, str] = {}


def parse(entries: t.Sequence[t.Mapping[str, t.Any]], hostname: str) -> list[Daemon]:
    """Return the declared daemons. Raises Invalid with every problem."""
    daemons: list[Daemon] = []
    problems: list[str] = []
    for number, entry in enumerate(entries):
        where, name, kind = f"daemons[{number}]", entry.get("id") or hostname, KINDS[entry["type"]]
        entity, folder, unit = (text.format(name) for text in (kind.entity, kind.folder, kind.unit))
        present = entry.get("state", "present") == "present"
        wrong = {
            f"{where}.id '{name}': letters, digits, dots, dashes and underscores only": not re.fullmatch(r"[A-Za-z0-9_.-]+", name),
            f"{where}.id '{name}': a gateway's id begins with 'rgw.', such as rgw.{hostname}.s3": entry["type"] == "rgw" and not name.startswith("rgw."),
            f"{where}: {entity} is declared twice": any(other.entity == entity for other in daemons),
        }
        problems += [text for text, so in wrong.items() if so]
        daemons.append(Daemon(kind.program, entity, folder, unit, entry.get("caps") or kind.caps, entry["type"], name, present, entry.get("restart_on")))
    if problems:
        raise Invalid(problems)
    return daemons


def needs_shim(ceph_version: str, bcrypt_version: str, python: tuple[int, ...] = ()) -> str:
    """Why a manager needs the shim, "" where it does not. Pure.

    Managers before 20 run each module in a Python subinterpreter, in which bcrypt from 4.0 on (PyO3) refuses to be loaded, and each imports it: seen with
    18.2.7 and bcrypt 4.2. Those from 17, which came with NOTIFY_TYPES, to 20 leave an error uncleared that trips Python 3.13 and later: seen with 18.2.7
    and 3.13, and with 20.2.4 and 3.14; not with 16.2.15.
    """
    ceph, bcrypt = (int(text.partition(".")[0] or 0) for text in (ceph_version, bcrypt_version))
    if 0 < ceph < 20 and bcrypt >= 4:
        return "this release's manager cannot load its modules beside this distribution's bcrypt"
    crashes = 17 <= ceph <= 20 and python >= (3, 13)
    return "this release's manager reports a crash of nearly every module at each start with this distribution's Python" if crashes else ""


def shim_file(ceph_version: str) -> str:
    """The name of the shim for a manager. Pure."""
    return SHIM_FILES[int(ceph_version.partition(".")[0] or 0) >= 20 if ceph_version != "?" else 0]


def distribution() -> tuple[str, tuple[int, ...]]:
    """The versions of the distribution's bcrypt and of its own Python, which a manager has in it, "" and () where there is none. Read without a process."""
    python = re.search(r"python(\d+)\.(\d+)$", os.path.realpath("/usr/bin/python3"))
    folders = ("lib/python3*/dist-packages", "lib*/python3*/site-packages")
    names = [os.path.basename(path) for folder in folders for path in sorted(glob.glob(f"/usr/{folder}/bcrypt-[0-9]*-info"))]
    return re.split(r"-|\.dist|\.egg", names[0])[1] if names else "", tuple(map(int, python.groups())) if python else ()


@dataclasses.dataclass
class Provider:
    """The daemons of this host. cluster: None where there is none yet (check mode only): all would be created.

    shim: the text of a bcrypt.py, for managers that need it. shim_only: whether nothing else is planned.
    """

    daemons: t.Sequence[Daemon]
    cluster: t.Optional[Connection]
    wait: int = 120
    shim: str = ""
    key_type: str = ""
    shim_only: bool = False

    def observe(self) -> Observed:
        """Read the auth database once, the units by one process, the rest from files and sockets."""
        known: dict[str, dict[str, t.Any]] = {}
        restful = False
        managers = any(daemon.type == "mgr" for daemon in self.daemons)
        if self.cluster is not None:
            known = maps.auth_of(self.cluster.command("auth ls"))
            if managers and self.shim:
                restful = "restful" in self.cluster.command("mgr module ls").get("enabled_modules", [])
        units = systemd.units([daemon.unit for daemon in self.daemons])

        def version(program: str) -> str:
            if not process.installed(program) or not (self.shim and program == "ceph-mgr"):
                return "?" if process.installed(program) else ""
            found = re.search(r"\d+\.\d+\.\d+\S*", process.run([program, "--version"], timeout=60))
            return found.group() if found else ""

        installed = {program: version(program) for program in {daemon.program for daemon in self.daemons if daemon.present}}
        needed = needs_shim(installed["ceph-mgr"], *distribution()) if self.shim and "ceph-mgr" in installed else ""
        states = {daemon.entity: self._state(daemon, known.get(daemon.entity, {}), units[daemon.unit]) for daemon in self.daemons}
        shim = {name: files.read(f"{SHIM_FOLDER}/{name}") for name in SHIM_FILES if managers}
        drop_in = files.read(systemd.drop_in_path(MGR_TEMPLATE)) if managers else None
        leaving = [daemon for daemon in self.daemons if not daemon.present and states[daemon.entity].unit.active]
        refusals = {daemon.entity: refusal for daemon in leaving for refusal in [self._refusal(daemon)] if refusal}
        return Observed(states, installed, needed, shim_file(installed.get("ceph-mgr", "")), shim, drop_in, restful, refusals)

    @staticmethod
    def _state(daemon: Daemon, known: t.Mapping[str, t.Any], unit: systemd.Unit) -> State:
        running = (ask(daemon.entity, "version") or {}).get("version", "") if unit.active else ""
        file, stamp, folder = keyring_files.read(daemon.place), files.read(f"{daemon.folder}/{STAMP}"), os.path.isdir(daemon.folder)
        older = unit.active and 0 < unit.began < files.changed(daemon.place.path)
        return State(**known, file=file, stamp=stamp, folder=folder, unit=unit, running=running, older=older)

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where a daemon's program is not installed."""
        missing = sorted(program for program, version in observed.installed.items() if not version)
        if missing and self.cluster is not None:
            raise Invalid([f"{program} is not installed on this host: its package comes with the role ceph_common" for program in missing])
        draft = Draft()
        self._plan_shim(observed, draft)
        for daemon in self.daemons if not self.shim_only else ():
            (self._plan_present if daemon.present else self._plan_absent)(daemon, observed, draft)
        return draft.plan()

    def _plan_shim(self, observed: Observed, draft: Draft) -> None:
        if observed.shim_needed:
            none: t.Dict[str, t.Optional[str]] = dict.fromkeys(SHIM_FILES)
            before = None if observed.drop_in is None else {**none, **observed.shim_texts, "unit": observed.drop_in}
            after = {**none, observed.shim_file: self.shim, "unit": SHIM_DROP_IN}
            add = functools.partial(self._add_shim, observed.shim_file)
            draft.ensure("drop_in", MGR_TEMPLATE, before, after, add, reason=observed.shim_needed)
            if self.shim_only:  # managers restart by themselves with another list of modules
                return
            reason = "it needs bcrypt itself, so it cannot load here"
            disable = functools.partial(self._send, "mgr module disable", module="restful")
            draft.ensure("mgr_module", "restful", {"enabled": observed.restful}, {"enabled": False}, disable, needs=[MGR_DROP_IN], reason=reason)
        elif observed.drop_in is not None and SHIM_FOLDER in observed.drop_in:
            path = systemd.drop_in_path(MGR_TEMPLATE)
            draft.ensure("drop_in", MGR_TEMPLATE, {"unit": path}, None, self._remove_shim, reason="this manager loads its modules without it")

    def _plan_present(self, daemon: Daemon, observed: Observed, draft: Draft) -> None:
        state, client = observed.states[daemon.entity], f"client/{daemon.entity}"
        ensure_client(draft, self.cluster, daemon.entity, None if state.key is None else state.caps, daemon.caps)
        retyped = ensure_key_type(draft, self.cluster, daemon.entity, state.key, self.key_type)
        # An identity that is yet to be made gets a new key: whatever the file holds is another.
        key = keyring_files.UNKNOWN if retyped or state.key is None else state.key
        first = [client, f"key/{daemon.entity}"]
        rekeyed = keyring_files.ensure(draft, daemon.place, state.file, key, functools.partial(self._write_keyring, daemon), first)
        shared = draft.ids("drop_in", "mgr_module") if daemon.type == "mgr" else frozenset()
        reasons = {
            "its keyring was missing": rekeyed and state.file.key is None,
            "its key changed": (rekeyed and state.file.key is not None) or state.older,
            "its unit changed": MGR_DROP_IN in shared,
            "what it reads at its start changed": state.stamp != daemon.restart_on and None not in (state.stamp, daemon.restart_on),
        }
        needs = [client, f"keyring/{daemon.place.path}", *shared]
        reason = "; ".join(text for text, so in reasons.items() if so)
        if not (state.unit.enabled and state.unit.active):
            ensure_running(draft, daemon.unit, state.unit, state.folder, functools.partial(self._begin, daemon, False), needs)
        elif reason:
            begin = functools.partial(self._begin, daemon, True)
            draft.ensure("unit", daemon.unit, {"restart": None}, {"restart": reason}, begin, needs=needs, risk=Risk.RESTART, reason=reason)
        elif daemon.restart_on is not None and state.stamp is None:
            draft.ensure("stamp", daemon.unit, None, {"restart_on": daemon.restart_on}, lambda: self._stamp(daemon))

    def _refusal(self, daemon: Daemon) -> str:
        """Why a running daemon must stay, as the cluster says it; "" where it may stop."""
        cluster = asked(self.cluster)
        if daemon.type == "mgr":
            return stop_gates.mgrs(cluster, [daemon.id])
        why = stop_gates.mdss(cluster, [daemon.id]) if daemon.type == "mds" else ""
        return f"{why}. Add a metadata server, lower max_mds, or remove the filesystem first" if why else ""

    def _plan_absent(self, daemon: Daemon, observed: Observed, draft: Draft) -> None:
        state = observed.states[daemon.entity]
        if daemon.entity in observed.needed:
            draft.problem(f"{daemon.entity} must stay: {observed.needed[daemon.entity]}")
        unit = {"enabled": state.unit.enabled, "running": state.unit.there}
        stop = functools.partial(self._stop, daemon)
        draft.ensure("unit", daemon.unit, unit if any(unit.values()) else None, None, stop, risk=Risk.RESTART, reason="the daemon stops")
        needs = [f"unit/{daemon.unit}"]
        caps = None if state.key is None else {"caps": dict(state.caps)}
        draft.ensure("client", daemon.entity, caps, None, functools.partial(self._send, "auth del", entity=daemon.entity), needs=needs)
        folder = {"client": daemon.entity} if state.folder else None
        draft.ensure("keyring", daemon.place.path, folder, None, functools.partial(shutil.rmtree, daemon.folder), needs=needs)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        rows = []
        for one in self.daemons:
            state = observed.states[one.entity]
            rows.append({"type": one.type, "id": one.id, "entity": one.entity, "unit": one.unit, "running": state.unit.active, "version": state.running})
        return {"daemons": rows}

    # -- apply

    def _send(self, prefix: str, **words: t.Any) -> t.Any:
        return asked(self.cluster).command(prefix, **words)

    def _stop(self, daemon: Daemon) -> None:
        refusal = self._refusal(daemon)  # it may have changed since
        if refusal:
            raise RuntimeError(f"{daemon.entity} must stay: {refusal}")
        systemd.stop(daemon.unit)

    def _write_keyring(self, daemon: Daemon) -> None:
        key = keyring_files.read_key(asked(self.cluster), daemon.entity)
        files.make_folder(daemon.folder, 0o750, *owner())
        keyring_files.write(daemon.place, key)

    def _add_shim(self, name: str) -> None:
        files.write(f"{SHIM_FOLDER}/{name}", self.shim, 0o644)
        for other in {*SHIM_FILES} - {name}:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{SHIM_FOLDER}/{other}")
        write_drop_in(MGR_TEMPLATE, SHIM_DROP_IN)

    def _remove_shim(self) -> None:
        os.unlink(systemd.drop_in_path(MGR_TEMPLATE))
        shutil.rmtree(SHIM_FOLDER, ignore_errors=True)
        process.run(["systemctl", "daemon-reload"], timeout=120)

    def _stamp(self, daemon: Daemon) -> None:
        if daemon.restart_on is not None:
            files.write(f"{daemon.folder}/{STAMP}", daemon.restart_on, 0o644, *owner())

    def _begin(self, daemon: Daemon, again: bool) -> None:
        """Start or restart, and return when the daemon answers and the cluster knows it."""
        name = daemon.unit
        before, number = (systemd.units([name])[name].pid, self._number(daemon)) if again else (0, 0)
        (systemd.restart if again else systemd.start)(name)

        def ready(unit: systemd.Unit) -> bool:
            return unit.active and unit.pid not in (0, before) and bool(ask(daemon.entity, "version")) and self._known(daemon, number)

        await_unit(name, ready, self.wait, f"{daemon.entity} did not report")
        self._stamp(daemon)

    def _number(self, daemon: Daemon) -> int:
        """The number that the cluster has of a daemon, another one after each start; 0 where it has none."""
        if daemon.type == "mgr":
            return mgr_numbers(self._send("mgr dump")).get(daemon.id, 0)
        if daemon.type == "mds":
            return mds_numbers(self._send("fs dump")).get(daemon.id, 0)
        return next((one.gid for one in self._gateways() if one.name == daemon.entity), 0)

    def _gateways(self) -> list[running_gateways.Gateway]:
        return running_gateways.gateways(self._send("service dump"))

    def _known(self, daemon: Daemon, before: int) -> bool:
        """Whether the cluster has the daemon, as another one than before where it has restarted; and what it is there for is served again."""
        if daemon.type == "mgr":
            dump = self._send("mgr dump")
            return bool(dump.get("available")) and mgr_numbers(dump).get(daemon.id, before) != before
        try:
            if daemon.type == "mds":
                dump = self._send("fs dump") if before else {}
                again = not before or (mds_numbers(dump).get(daemon.id, before) != before and ranks_are_active(dump))
                return again and bool(self._send("mds metadata", who=daemon.id))
        except CommandFailed:
            return False
        return not before or any(one.name == daemon.entity and one.gid != before and one.answers() for one in self._gateways())


def mgr_numbers(dump: t.Mapping[str, t.Any]) -> dict[str, int]:
    """The numbers of managers by their ids, out of `mgr dump`. A manager that has started reports there when it has loaded its modules. Pure."""
    active = {dump["active_name"]: dump.get("active_gid", 0)} if dump.get("active_name") else {}
    return {**active, **{standby["name"]: standby.get("gid", 0) for standby in dump.get("standbys", [])}}


def mds_numbers(dump: t.Mapping[str, t.Any]) -> dict[str, int]:
    """The same of metadata servers, out of `fs dump`. Pure."""
    active = [info for fs in dump.get("filesystems", []) for info in fs["mdsmap"]["info"].values()]
    return {info["name"]: info["gid"] for info in [*dump.get("standbys", []), *active]}


def ranks_are_active(dump: t.Mapping[str, t.Any]) -> bool:
    """Whether every rank of every filesystem is served. Pure."""
    maps_ = [fs["mdsmap"] for fs in dump.get("filesystems", [])]
    return all(set(one["in"]) <= {info["rank"] for info in one["info"].values() if info["state"] == "up:active"} for one in maps_)


def ask(daemon: str, prefix: str, timeout: float = 5.0, **words: t.Any) -> t.Any:
    """Ask a running daemon ("mon.ceph1", "client.rgw.ceph1.s3") by its admin socket; None where it does not answer (yet)."""
    path = f"{RUN}/{CLUSTER}-{daemon}.asok"
    try:
        if not os.path.exists(path):  # a client's also carries its process id and a number
            found = (one for one in glob.glob(f"{RUN}/{CLUSTER}-{glob.escape(daemon)}.*.asok") if re.search(r"\.\d+\.\d+\.asok$", one))
            path = max(found, key=os.path.getmtime, default=path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall(json.dumps({"prefix": prefix, **words}).encode() + b"\0")
            with connection.makefile("rb") as answer:
                (length,) = struct.unpack(">I", answer.read(4))
                return json.loads(answer.read(length))
    except (OSError, struct.error, ValueError):
        return None


def write_drop_in(unit: str, text: str) -> None:
    files.write(systemd.drop_in_path(unit), text, 0o644)
    process.run(["systemctl", "daemon-reload"], timeout=120)


def await_unit(name: str, ready: t.Callable[[systemd.Unit], bool], seconds: int, what: str, error: t.Type[Exception] = TimeoutError) -> None:
    """Wait until a unit that was started does what it is for. what: how it is told where it does not."""

    def check() -> bool:
        unit = systemd.units([name])[name]
        if unit.state == "failed":
            raise error(f"{name} failed: {systemd.last_words(name)}")
        return ready(unit)

    wait.wait_until(check, seconds, lambda: error(f"{name} is {systemd.units([name])[name].state}, but {what} after {seconds} s: {systemd.last_words(name)}"))


def ensure_client(draft: Draft, cluster: t.Optional[Connection], entity: str, known: t.Optional[t.Mapping[str, str]], wanted: t.Mapping[str, str]) -> None:
    """Plan that an identity is there with its caps and no other. known: its caps in the cluster, None where it is not there. Pure."""

    now: t.Optional[dict[str, str]] = None
    desired: dict[str, t.Any] = {"caps": dict(wanted)}
    prefix = "auth get-or-create"
    if known is not None:
        now, prefix = _one_spelling(known), "auth caps"
        desired = {**dict.fromkeys(now), **_one_spelling(wanted)}
    caps = [part for pair in wanted.items() for part in pair]
    draft.ensure("client", entity, now, desired, lambda: asked(cluster).command(prefix, entity=entity, caps=caps))


def ensure_key_type(draft: Draft, cluster: t.Optional[Connection], entity: str, key: t.Optional[Secret], kind: str) -> bool:
    """Plan that a key is of a type, "" for any; return whether it becomes another. key: None where there is none yet. Whoever uses it needs the new one."""
    try:
        now, dummy = clients.key_parts(key.reveal()) if key is not None and kind else (kind, 0.0)
    except ValueError:
        now = ""
    rotate = functools.partial(_rotate, cluster, entity, kind)
    draft.ensure("key", entity, {"key_type": now}, {"key_type": kind}, rotate, reason="a new key takes the place of the old one")
    return now != kind


def _rotate(cluster: t.Optional[Connection], entity: str, kind: str) -> None:
    asked(cluster).command("auth rotate", entity=entity, key_type=kind)


def _one_spelling(caps: t.Mapping[str, str]) -> dict[str, str]:
    """Return caps in one spelling: what matters is what they say, not how they are spaced."""
    return {name: re.sub(r"\s*,\s*", ", ", re.sub(r"\s+", " ", text)).strip() for name, text in caps.items()}


def ensure_running(draft: Draft, name: str, unit: systemd.Unit, exists: bool, start: t.Callable[[], t.Any], needs: t.Iterable[str]) -> None:
    """Plan that a unit starts at boot and runs; only what is not so yet is shown. exists: whether there is what it runs."""
    now, wanted = {"enabled": unit.enabled, "running": unit.active}, {"enabled": True, "running": True}
    draft.ensure("unit", name, now if exists else None, wanted if exists else differing(now, wanted)[1] or None, start, needs=needs)
