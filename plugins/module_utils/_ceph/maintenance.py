# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in maintenance: its Ceph daemons are stopped if the cluster can do without, stay so over a reboot, and nothing moves meanwhile; and its way back.

The cluster keeps which hosts are in maintenance, so that every run sees it, also where such a host is switched off.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import re
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, movement, stop_gates
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.crush_map import Tree
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while, wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Risk, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, integer, string, strings

OPTIONS: dict[str, t.Any] = {
    "name": string("The host's name in the inventory, by which all runs know that it is in maintenance.", required=True),
    "state": choice(
        "V(entered) stops the host's Ceph daemons, keeps them from starting, also after a reboot, and keeps its OSDs from being replaced by copies elsewhere.\n"
        "V(left) takes all this back, and returns when its OSDs are up and all that they have is whole again.\n"
        "V(forgotten) is for a host that is gone: what the cluster keeps of its maintenance is removed, and nothing is asked of the host that runs it.",
        ["entered", "left", "forgotten"],
        required=True,
    ),
    "hostname": string("The host's name in CRUSH. The host's short name by default."),
    "together": strings(
        "Other hosts, by their names in CRUSH, that are in maintenance at the same time. It is judged as if their daemons stopped too.", default=[]
    ),
    "wait": integer("How many seconds a daemon may take to start.", default=300),
    "patience": integer(
        "How many seconds nothing may have been recovered before the wait for whole placement groups ends with what the cluster says of it.", default=600
    ),
}
# Which hosts are in maintenance, among the cluster's keys of its configuration.
NOTES = "cephstack/maintenance/"
# While this file is there none of Ceph's daemons starts on the host, whoever starts it: its own unit at boot, ceph-volume or a person.
FILE = "/etc/ceph/maintenance"
_TEXT = """# Made by cephstack.cloud: this host is in maintenance. While this file is here, none of its Ceph daemons starts.
# To end it, run the playbook cephstack.cloud.maintenance with maintenance_state: left.
"""
_DROP_IN = f"""# Made by cephstack.cloud, while this host is in maintenance
[Unit]
ConditionPathExists=!{FILE}
"""
_DROP_IN_NAME = "cephstack-maintenance.conf"
# In the order in which they stop: first what others do not need. They start in the reverse order.
PROGRAMS = (("nfs-ganesha", "ceph-radosgw", "ceph-rbd-mirror"), ("ceph-mds",), ("ceph-osd",), ("ceph-mgr",), ("ceph-mon",))
_GANESHA = "nfs-ganesha.service"
# Seconds after which primaries have reported placement groups as they are, and states of those that are on their way.
_REPORTED = 15
_MOVING = {"activating", "backfill_wait", "backfilling", "peering", "recovering", "recovery_wait", "remapped", "stale", "unknown"}


@dataclasses.dataclass(frozen=True)
class Note:
    """What the cluster keeps of a host in maintenance. units: what ran when it entered. noout: whether that was set for it by us.

    state: entered, or leaving where a run has begun to take it back.
    """

    hostname: str
    units: t.Tuple[str, ...] = ()
    noout: bool = False
    state: str = "entered"

    def shown(self) -> dict[str, t.Any]:
        return {**dataclasses.asdict(self), "units": list(self.units)}


def notes_of(dump: t.Any) -> dict[str, Note]:
    """Return the hosts in maintenance by their names in the inventory, out of `config-key dump`. Pure."""
    found = {}
    for key, text in sorted(dump.items()) if isinstance(dump, dict) else ():
        if key.startswith(NOTES):
            said = json.loads(text)
            found[key[len(NOTES) :]] = Note(said["hostname"], tuple(said["units"]), said["noout"], said["state"])
    return found


def left_alone(dump: t.Any) -> list[str]:
    """Return the names of the hosts that runs leave alone, out of `config-key dump`, which is no dictionary where there is none. Pure."""
    return [name for name, note in notes_of(dump).items() if note.state == "entered"]


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there. note: that of this host. units: Ceph's on this host, by name. held: the drop-ins that keep units from starting, and the file.

    osds: those that the cluster has on this host, and whether each is up. noout: whether it is set for this host, None where CRUSH has no such host.
    lost: units of daemons that are no more, removed or replaced meanwhile. unseen: units that have stopped, of which the cluster is yet to notice it.
    refusals: why what runs must not stop.
    """

    note: t.Optional[Note]
    units: t.Mapping[str, systemd.Unit]
    held: t.Sequence[str]
    osds: t.Mapping[int, bool] = dataclasses.field(default_factory=dict)
    noout: t.Optional[bool] = None
    lost: t.Collection[str] = ()
    unseen: t.Collection[str] = ()
    refusals: t.Sequence[str] = ()

    @property
    def running(self) -> t.List[str]:
        return sorted(name for name, unit in self.units.items() if unit.active)

    @property
    def stopping(self) -> t.List[str]:
        """What a run that was ended has begun to stop."""
        return sorted(name for name, unit in self.units.items() if unit.there and not unit.active)


def drop_in_paths() -> list[str]:
    names = [_GANESHA if program == "nfs-ganesha" else f"{program}@.service" for programs in PROGRAMS for program in programs]
    return [f"/etc/systemd/system/{name}.d/{_DROP_IN_NAME}" for name in names]


def program_of(unit: str) -> str:
    """ceph-osd of ceph-osd@3.service."""
    return re.sub(r"(@.*|\.service)$", "", unit)


def instance_of(unit: str) -> str:
    """3 of ceph-osd@3.service."""
    return re.sub(r"\.service$", "", unit.partition("@")[2])


def by_program(units: t.Iterable[str]) -> list[list[str]]:
    """Return units in the order in which they stop: those of one list side by side. Pure."""
    names = sorted(units)
    return [found for programs in PROGRAMS if (found := [name for name in names if program_of(name) in programs])]


@dataclasses.dataclass
class Provider:
    """This host in maintenance, or not. hostname: as CRUSH has it. The rest is as in OPTIONS."""

    cluster: Connection
    name: str
    state: str
    hostname: str
    together: t.Collection[str] = ()
    wait: float = 300
    patience: float = 600
    pause: float = 2.0

    # -- observe

    def observe(self) -> Observed:
        """Read the notes, the maps, and the units of this host; ask the cluster whether what runs may stop. Raises Unreachable."""
        asked: t.List[t.Tuple[str, t.Dict[str, t.Any]]] = [("config-key dump", {"key": NOTES}), ("osd dump", {}), ("osd crush dump", {}), ("quorum_status", {})]
        notes, dump, crush, quorum = self.cluster.many(asked)
        note = notes_of(notes).get(self.name)
        here = self.state != "forgotten"
        patterns = [_GANESHA if program == "nfs-ganesha" else f"{program}@*.service" for programs in PROGRAMS for program in programs]
        units = systemd.show(patterns, instances=True) if here else {}
        held = [path for path in (*drop_in_paths(), FILE) if here and os.path.exists(path)]
        tree, known = Tree(crush), {entry["osd"]: bool(entry["up"]) for entry in dump["osds"]}
        mine, others = self._osds_of(tree, [self.hostname]), self._osds_of(tree, self.together)
        bucket = tree.types.get(self.hostname) == "host"
        noout = "noout" in (dump.get("crush_node_flags") or {}).get(self.hostname, ()) if bucket else None
        lost = [name for name in (note.units if note else ()) if not _has_data(name)]
        served = {f"ceph-mon@{name}.service" for name in quorum["quorum_names"]} | {f"ceph-osd@{number}.service" for number, up in known.items() if up}
        unseen = [name for name in (note.units if note else ()) if name in served and not (name in units and units[name].active)]
        seen = Observed(note, units, held, {number: known[number] for number in mine if number in known}, noout, lost, unseen)
        if self.state != "entered":
            return seen
        also = [number for number in others if known.get(number)]
        refusals = [text for program in (name for some in PROGRAMS for name in some) for text in [self._refusal(program, seen.running, also)] if text]
        return dataclasses.replace(seen, refusals=refusals)

    @staticmethod
    def _osds_of(tree: Tree, hosts: t.Iterable[str]) -> list[int]:
        return sorted(int(name[4:]) for host in hosts if tree.types.get(host) == "host" for name in tree.osds(host))

    def _refusal(self, program: str, running: t.Sequence[str], also: t.Sequence[int] = ()) -> str:
        """Why the running daemons of a program must not stop, "" where they may, or where none runs."""
        ids = [instance_of(unit) for unit in running if program_of(unit) == program]
        if not ids:
            return ""
        hosts = [name.partition(".")[0] for name in self.together]
        if program == "ceph-osd":
            numbers = sorted({*map(int, ids), *also})
            why = stop_gates.osds(self.cluster, numbers)
            if not why:
                return ""
            pools = ", ".join(stop_gates.pools_of(self.cluster.command("osd dump"), self._pgs(), numbers))
            mend = "wait until they have all their copies, or give their pools more"
            return f"{_names('osd', ids)}: the cluster says that they must not stop at once: {why}{f' (pools {pools})' if pools else ''}: {mend}"
        if program == "ceph-mon":
            known = {mon["name"] for mon in self.cluster.command("mon dump")["mons"]}
            why = stop_gates.mons(self.cluster, sorted({*ids, *hosts} & known))
            why = why and f"the cluster says: {why}: add monitors, or start others first"
        elif program == "ceph-mgr":
            why = stop_gates.mgrs(self.cluster, {*ids, *hosts})
        elif program == "ceph-mds":
            known = {entry["name"] for entry in self.cluster.command("mds metadata") if entry.get("name")}
            why = stop_gates.mdss(self.cluster, sorted({*ids, *(known & set(hosts))}))
            why = why and f"{why}. Add a metadata server, or lower max_mds first"
        elif program == "ceph-radosgw":
            why = stop_gates.rgws(self.cluster, ids, hosts)
        else:
            return ""
        return f"{_names(program[len('ceph-') :], ids)}: {why}" if why else ""

    # -- plan

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with all that is in the way."""
        draft = Draft()
        if self.state == "entered":
            self._plan_enter(observed, draft)
        elif self.state == "left":
            self._plan_leave(observed, draft)
        else:
            self._plan_end(observed, draft, [])
        return draft.plan()

    def _plan_enter(self, observed: Observed, draft: Draft) -> None:
        for text in observed.refusals:
            draft.problem(f"{self.name} stays as it is: refused, {text}")
        note, running = observed.note, observed.running
        ours = bool(note and note.noout) or observed.noout is False
        desired = Note(self.hostname, tuple(sorted({*(note.units if note else ()), *running})), ours)
        needs = [f"maintenance/{self.name}"]
        # First of all, so that whoever finds the rest can tell whose it is.
        reason = "from now on, runs leave this host alone"
        draft.ensure("maintenance", self.name, note.shown() if note else None, desired.shown(), functools.partial(self._note, desired), reason=reason)
        if observed.noout is False:
            reason = "so that nothing moves while its OSDs are down"
            draft.ensure("flag", f"{self.hostname}/noout", {"set": False}, {"set": True}, self._set_noout, needs=needs, reason=reason)
        needs.append(f"flag/{self.hostname}/noout")
        if len(observed.held) <= len(drop_in_paths()):
            reason = "its daemons do not start, also after a reboot"
            draft.ensure("drop_in", FILE, {"starts": "as enabled"}, {"starts": "not"}, self._hold, needs=needs, reason=reason)
        needs.append(f"drop_in/{FILE}")
        # A run that was killed in between has not waited for what it stopped, nor for what the cluster says of that.
        for units in by_program({*running, *observed.stopping, *observed.unseen}):
            stop = functools.partial(self._stop, units)
            for unit in units:
                more: t.Dict[str, t.Any] = {"batch": f"stop {units[0]}", "risk": Risk.RESTART, "reason": "it stops once the cluster says again that it may"}
                draft.ensure("unit", unit, {"running": True}, {"running": False}, stop, needs=needs, **more)
            needs = [*needs, *(f"unit/{unit}" for unit in units)]
        if observed.units.get(_GANESHA, systemd.NO_UNIT).active:
            draft.warn(f"{self.name} is an NFS gateway: its clients wait until it is back")

    def _plan_leave(self, observed: Observed, draft: Draft) -> None:
        note = observed.note
        if note is None and not observed.held:
            return
        needs: t.List[str] = []
        if observed.held:
            draft.ensure("drop_in", FILE, {"starts": "not"}, {"starts": "as enabled"}, functools.partial(self._let_go, note))
        elif note and note.state == "entered":  # its system was made anew: that is for site to repair
            draft.ensure("maintenance_state", self.name, {"state": "entered"}, {"state": "leaving"}, functools.partial(self._leaving, note))
            needs.append(f"maintenance_state/{self.name}")
        needs.append(f"drop_in/{FILE}")
        was = note.units if note else [name for name, unit in observed.units.items() if unit.enabled]
        starting = [name for name in was if name not in observed.running and name not in observed.lost]
        for units in reversed(by_program(starting)):
            start = functools.partial(self._start, units)
            for unit in units:
                draft.ensure("unit", unit, {"running": False}, {"running": True}, start, needs=needs, batch=f"start {units[0]}")
            needs = [*needs, *(f"unit/{unit}" for unit in units)]
        if observed.osds:
            reason = "waits until its OSDs are up and all their placement groups are active+clean"
            draft.ensure("data", self.hostname, {"whole": None}, {"whole": True}, functools.partial(self._await_whole, note), needs=needs, reason=reason)
            needs.append(f"data/{self.hostname}")
        self._plan_end(observed, draft, needs)

    def _plan_end(self, observed: Observed, draft: Draft, needs: t.Iterable[str]) -> None:
        """The cluster forgets it."""
        note, needs = observed.note, [*needs]
        if note and note.noout and observed.noout:
            draft.ensure("flag", f"{self.hostname}/noout", {"set": True}, {"set": False}, self._unset_noout, needs=needs)
            needs.append(f"flag/{self.hostname}/noout")
        draft.ensure("maintenance", self.name, note.shown() if note else None, None, self._forget, needs=needs)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"name": self.name, "entered": bool(observed.note and observed.note.state == "entered"), "running": observed.running}

    # -- apply

    def _note(self, note: Note) -> None:
        self.cluster.command("config-key set", key=f"{NOTES}{self.name}", val=json.dumps(note.shown(), sort_keys=True))

    def _leaving(self, note: Note) -> None:
        """From now on what is missing on the host is for site to repair, also if this is never finished."""
        self._note(dataclasses.replace(note, state="leaving"))

    def _forget(self) -> None:
        self.cluster.command("config-key rm", key=f"{NOTES}{self.name}")

    def _set_noout(self) -> None:
        self.cluster.command("osd set-group", flags="noout", who=[self.hostname])

    def _unset_noout(self) -> None:
        self.cluster.command("osd unset-group", flags="noout", who=[self.hostname])

    def _hold(self) -> None:
        files.write(FILE, _TEXT, 0o644)
        for path in drop_in_paths():
            files.make_folder(os.path.dirname(path), 0o755, 0, 0)
            files.write(path, _DROP_IN, 0o644)
        process.run(["systemctl", "daemon-reload"], timeout=120)

    def _let_go(self, note: t.Optional[Note]) -> None:
        if note:
            self._leaving(note)
        for path in drop_in_paths():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with contextlib.suppress(OSError):  # it has other drop-ins, or is not there
                os.rmdir(os.path.dirname(path))
        process.run(["systemctl", "daemon-reload"], timeout=120)
        with contextlib.suppress(FileNotFoundError):  # last: while it is here a run that follows sees that this was begun
            os.unlink(FILE)

    def _stop(self, units: t.Sequence[str]) -> None:
        for program in {program_of(unit) for unit in units}:
            # It may have changed since, and while placement groups peer the cluster draws no conclusions.
            self._await_permission(program, units)
        systemd.stop_now(units)
        osds = {int(instance_of(unit)) for unit in units if program_of(unit) == "ceph-osd"}
        mons = {instance_of(unit) for unit in units if program_of(unit) == "ceph-mon"}

        def seen() -> bool:
            if osds and any(entry["osd"] in osds and entry["up"] for entry in self._ask("osd dump")["osds"]):
                return False
            return not mons or not mons & set(self._ask("quorum_status")["quorum_names"])

        wait_until(seen, stop_gates.SETTLING, lambda: RuntimeError(f"{', '.join(units)}: stopped, but the cluster still has them as running"))
        if osds:
            # They peer with the monitors' help, which are silent for ten seconds and more once one of them has stopped: clients would wait for that.
            stop_gates.await_reports(self.cluster)
            wait_until(lambda: not stop_gates.is_settling(self.cluster), stop_gates.SETTLING)

    def _await_permission(self, program: str, units: t.Sequence[str]) -> None:
        said = ""

        def allowed() -> bool:
            nonlocal said
            said = self._refusal(program, units)
            return not said

        wait_until(allowed, stop_gates.SETTLING, lambda: RuntimeError(f"{self.name} was not stopped further: {said}"))

    def _ask(self, prefix: str) -> Raw:
        """Ask the monitors, which may be electing."""
        electing = (Unreachable, CommandFailed)
        return t.cast(Raw, retry_while(lambda error: isinstance(error, electing), lambda: self.cluster.command(prefix), stop_gates.SETTLING, 0.2))

    def _start(self, units: t.Sequence[str]) -> None:
        systemd.start_now(units)
        for unit in units:
            daemons.await_unit(unit, functools.partial(self._serves, unit), int(self.wait), "it does not answer")

    def _serves(self, name: str, unit: systemd.Unit) -> bool:
        kind, number = program_of(name).partition("-")[2], instance_of(name)
        if not unit.active:
            return False
        if kind == "osd":
            return any(entry["osd"] == int(number) and entry["up"] for entry in self._ask("osd dump")["osds"])
        if kind == "mon":
            return number in self._ask("quorum_status").get("quorum_names", [])
        return kind not in ("mgr", "mds", "radosgw") or bool(daemons.ask(f"client.{number}" if kind == "radosgw" else f"{kind}.{number}", "version"))

    def _await_whole(self, note: t.Optional[Note]) -> None:
        """Wait while something recovers; what was down before it entered may stay so. Raises RuntimeError where nothing recovers any more, with why."""
        wanted = {int(instance_of(unit)) for unit in note.units if program_of(unit) == "ceph-osd"} if note else None
        watch, began = movement.Watch(self.patience), time.monotonic()
        while True:
            mine = set(self._osds_of(Tree(self._ask("osd crush dump")), [self.hostname]))
            osds = self._ask("osd dump")["osds"]
            down = [entry["osd"] for entry in osds if entry["osd"] in mine and not entry["up"] and "destroyed" not in entry["state"]]
            down = [number for number in down if wanted is None or number in wanted]
            elsewhere = any(entry["in"] and not entry["up"] and entry["osd"] not in down for entry in osds)
            left = unrecovered(self._pgs(), elsewhere and time.monotonic() - began > _REPORTED)
            if not down and not left:
                return
            status = self._ask("status")
            watch.see(time.monotonic(), movement.Moment.of(status, len(left)))
            if watch.stalled or (down and watch.idle > self.wait):
                why = movement.why_nothing_moves(status, self._ask("health"), self._ask("osd dump").get("flags", ""))
                what = f"down: {_names('osd', map(str, down))}" if down else f"not active+clean: {', '.join(left[:5])}"
                mend = "Repair that and run it again; site sets this host right meanwhile, as any other"
                raise RuntimeError(f"nothing has changed for {watch.idle:.0f} s, and {self.name} is not whole, {what}. The cluster says: {why}. {mend}")
            time.sleep(self.pause)

    def _pgs(self) -> t.Sequence[Raw]:
        try:
            return t.cast("t.Sequence[Raw]", self.cluster.mgr_command("pg dump", dumpcontents=["pgs_brief"]).get("pg_stats", []))
        except (Unreachable, CommandFailed):  # a manager that has just begun
            return [{"pgid": "?", "state": "unknown", "acting": []}]


def unrecovered(pgs: t.Sequence[Raw], elsewhere: bool) -> list[str]:
    """The placement groups that are yet to become whole. elsewhere: OSDs of other hosts are down, so that some cannot, and are as whole as they get. Pure."""
    left = []
    for pg in pgs:
        states = set(pg["state"].split("+"))
        if not {"active", "clean"} <= states and not (elsewhere and "active" in states and not states & _MOVING):
            left.append(pg["pgid"])
    return left


def _has_data(unit: str) -> bool:
    """Whether a daemon's data folder is there."""
    folders = {"ceph-mon": "mon", "ceph-osd": "osd", **{f"ceph-{name}": name for name in ("mgr", "mds", "radosgw")}}
    folder = folders.get(program_of(unit))
    return folder is None or os.path.isdir(f"{daemons.DATA}/{folder}/{daemons.CLUSTER}-{instance_of(unit)}")


def _names(kind: str, ids: t.Iterable[str]) -> str:
    return ", ".join(f"{kind}.{one}" for one in sorted(ids))


def provider(options: t.Mapping[str, t.Any], cluster: Connection) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS."""
    hostname = options["hostname"] or daemons.short_hostname()
    together = [name for name in options["together"] if name != hostname]
    return Provider(cluster, options["name"], options["state"], hostname, together, options["wait"], options["patience"])
