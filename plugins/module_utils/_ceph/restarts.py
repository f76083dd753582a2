# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons of a host that restart, as their part of a round: once the cluster lets all of the round stop, and until they serve again.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, movement, noout, running, running_gateways, stop_gates
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.restart_rounds import TYPES, Daemon, Facts, in_rounds, line, with_one_rank
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.running import Running
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import rpc
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Risk, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, mapping, strings

OPTIONS: dict[str, t.Any] = {
    "daemons": strings(
        "Daemons of this host, for example V(osd.3), V(mon.ceph1), V(client.rgw.ceph1.s3) or V(nfs.ceph1). Those that need not restart are left alone.\n"
        "An empty list takes back what a run that was ended has left, and nothing else.",
        default=[],
    ),
    "together": strings("All daemons that restart at the same time, those of other hosts too. By default those of O(daemons) that have to.", default=[]),
    **running.WHICH,
    "beside": strings("Addresses of other NFS gateways. One of them has to answer before this one stops.", default=[]),
    "accept_outage": strings("Daemons that may restart though nobody stands in for them, by name.", default=[]),
    "patience": integer("How many seconds nothing may have moved before the wait for the cluster ends with what it says.", default=600),
    "wait": integer("How many seconds a daemon may take until it serves again.", default=300),
}
# Why noout is set, in its note.
PURPOSE = "restart"
# States of placement groups that have not all their copies, or of which that is not known.
_UNSETTLED = {
    *("activating", "creating", "degraded", "down", "incomplete", "peered", "peering", "recovering", "recovery_wait", "recovery_toofull"),
    *("recovery_unfound", "stale", "undersized", "unknown"),
}
_BATCH = "restart"
# Seconds that the cluster may give no answer, as while monitors elect.
_ELECTING = 60
# Seconds for which the rounds are not judged by placement groups that peer, and that copies may be missing before they are judged without.
_PEERS = 10
_SETTLES = 30


@dataclasses.dataclass(frozen=True)
class Gate:
    """Whether a round may begin. waits: what for, "" where it may. left: how much of it there is, to see whether it moves."""

    waits: str = ""
    left: int = 0


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there. running: of the daemons that were named. notes: of noout, by OSD. gate: that of the round, if something of it is to restart."""

    running: t.Sequence[Running]
    notes: t.Mapping[int, str]
    status: Raw
    gate: Gate = Gate()


def type_of(name: str) -> str:
    """The type of a daemon by its name. Raises Invalid."""
    word = "rgw" if name.startswith("client.rgw.") else name.partition(".")[0]
    if word not in TYPES or not name.partition(".")[2]:
        raise Invalid([f"daemons: '{name}' is no daemon: write osd.3, mon.ceph1, mgr.ceph1, mds.ceph1, client.rgw.ceph1.s3 or nfs.ceph1"])
    return word


def numbers_of(names: t.Iterable[str]) -> t.List[int]:
    """The numbers of those that are OSDs."""
    return sorted(int(name[4:]) for name in names if re.fullmatch(r"osd\.\d+", name))


def unsettled(cluster: Connection, status: Raw, numbers: t.Collection[int]) -> t.List[str]:
    """The placement groups on some OSDs that have not all their copies, or of which that is not known, each with its state."""
    states = [entry["state_name"] for entry in status.get("pgmap", {}).get("pgs_by_state", [])]
    if not any(_is_unsettled(state) for state in states):
        return []
    said = cluster.mgr_command("pg dump", dumpcontents=["pgs_brief"])
    found = []
    for pg in said.get("pg_stats", said) if isinstance(said, dict) else said:
        on = {*pg.get("acting", ()), *pg.get("up", ())}
        if _is_unsettled(pg["state"]) and (not numbers or not on or on & set(numbers)):
            found.append(f"{pg['pgid']} {pg['state']}")
    return found


def _is_unsettled(state: str) -> bool:
    words = set(state.split("+"))
    return "active" not in words or bool(words & _UNSETTLED)


@dataclasses.dataclass
class Provider:
    """Daemons of this host that restart. As in OPTIONS."""

    cluster: Connection
    names: t.Sequence[str] = ()
    together: t.Sequence[str] = ()
    everything: bool = False
    since: float = 0.0
    beside: t.Sequence[str] = ()
    accept_outage: t.Collection[str] = ()
    patience: float = 600
    wait: int = 300
    pause: float = 2.0

    # -- observe

    def observe(self) -> Observed:
        """Read what runs here, and ask the cluster whether the round may begin. Raises Unreachable and CommandFailed."""
        found: t.List[Running] = []
        if self.names:
            wait_until(lambda: not running.returning({type_of(name) for name in self.names}), self.wait, pause=1.0)
            found = self._patiently(lambda: running.observe(self.cluster, {type_of(name) for name in self.names}, self.names))
        status, noted = self._patiently(lambda: (self.cluster.command("status"), noout.noted(self.cluster)))
        notes = {number: purpose for number, purpose in noted.items() if purpose == PURPOSE}
        going = self._going(found)
        return Observed(found, notes, status, self._gate(status, going) if going else Gate())

    def _going(self, found: t.Sequence[Running]) -> t.List[Running]:
        return [one for one in found if one.reason(self.everything, self.since)]

    def _patiently(self, ask: t.Callable[[], t.Any]) -> t.Any:
        """What the cluster answers, which it does not while it elects."""
        last: t.List[Exception] = []

        def attempt() -> t.Optional[t.Tuple[t.Any]]:
            try:
                return (ask(),)
            except (Unreachable, CommandFailed) as error:
                last[:] = [error]
                return None

        return wait_until(attempt, _ELECTING, lambda: Unreachable(str(last[0])), pause=1.0)[0]

    # -- the gate of a round

    def _round(self, going: t.Sequence[Running]) -> t.Sequence[str]:
        return self.together or [one.name for one in going]

    def _gate(self, status: Raw, going: t.Sequence[Running]) -> Gate:
        """What is in the way of the round, as the cluster says it. While it cannot say anything that is in the way."""
        asked: t.Dict[str, t.Callable[[t.List[str], Raw], Gate]] = {
            "mon": self._gate_of_mons,
            "mgr": self._gate_of_mgrs,
            "osd": self._gate_of_osds,
            "mds": self._gate_of_mdss,
            "rgw": self._gate_of_rgws,
            "nfs": self._gate_of_nfs,
        }
        by_type: t.Dict[str, t.List[str]] = {}
        for name in self._round(going):
            by_type.setdefault(type_of(name), []).append(name)
        for type_, names in by_type.items():
            try:
                gate = asked[type_](names, status)
            except (Unreachable, CommandFailed) as error:
                gate = Gate(f"the cluster cannot say whether they may stop: {error}", 1)
            if gate.waits:
                return gate
        return Gate()

    def _gate_of_mons(self, names: t.List[str], _status: Raw) -> Gate:
        dump = self.cluster.command("mon dump")
        if len(dump["mons"]) == 1 and set(names) <= set(self.accept_outage):
            return Gate()
        outside = [f"mon.{mon['name']}" for mon in dump["mons"] if mon["rank"] not in dump["quorum"] and f"mon.{mon['name']}" not in names]
        if outside:
            return Gate(f"{', '.join(outside)} {'are' if len(outside) > 1 else 'is'} not in quorum: start them, or repair them", len(outside))
        refusal = stop_gates.mons(self.cluster, [name.partition(".")[2] for name in names])
        return Gate(f"the cluster says: {refusal}" if refusal else "", 1)

    def _gate_of_mgrs(self, _names: t.List[str], _status: Raw) -> Gate:
        return Gate("" if self.cluster.command("mgr dump").get("available") else "no manager serves", 1)

    def _gate_of_osds(self, names: t.List[str], status: Raw) -> Gate:
        # Those of this host: the others of the round may have stopped already.
        left = unsettled(self.cluster, status, numbers_of(set(self.names) & set(names)))
        if left:
            return Gate(f"{len(left)} placement groups on them have not all their copies, or nobody knows yet ({', '.join(left[:3])})", len(left))
        refusal = stop_gates.osds(self.cluster, numbers_of(names), settling=0)
        return Gate(f"the cluster does not let them stop: {refusal}" if refusal else "", 1)

    def _gate_of_mdss(self, names: t.List[str], _status: Raw) -> Gate:
        dump = self.cluster.command("fs dump")
        ids = [name.partition(".")[2] for name in names]
        for fs in dump.get("filesystems", []):
            here = fs["mdsmap"]
            active = {info["rank"] for info in here["info"].values() if info["state"] == "up:active"}
            missing = sorted(set(here["in"]) - active)
            if missing and not set(names) <= set(self.accept_outage):
                return Gate(f"rank {', '.join(map(str, missing))} of {here['fs_name']} is not active", len(missing))
        if set(names) <= set(self.accept_outage):
            return Gate()
        return Gate(stop_gates.mdss(self.cluster, ids), 1)

    def _gate_of_rgws(self, names: t.List[str], _status: Raw) -> Gate:
        if set(names) <= set(self.accept_outage):
            return Gate()
        kinds = {name.split(".", 3)[3] if name.count(".") > 2 else "" for name in names}
        others = [one for one in self._gateways() if one.name not in names and (one.name.split(".", 3)[3] if one.name.count(".") > 2 else "") in kinds]
        silent = [one.name for one in others if not one.answers()]
        if len(silent) < len(others):
            return Gate()
        said = f"none of the other gateways answers ({', '.join(silent)})" if silent else "there is no other gateway like it"
        return Gate(f"{said}: start one, or name it in accept_outage", 1)

    def _gate_of_nfs(self, names: t.List[str], _status: Raw) -> Gate:
        if set(names) <= set(self.accept_outage) or any(_answers_nfs(address) for address in self.beside):
            return Gate()
        said = f"no NFS gateway answers at {', '.join(self.beside)}" if self.beside else "there is no other NFS gateway"
        return Gate(f"{said}: start one, or name it in accept_outage", 1)

    def _gateways(self) -> t.List[running_gateways.Gateway]:
        return running_gateways.gateways(self.cluster.command("service dump"))

    # -- plan

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where a daemon is not one of this host's."""
        draft = Draft()
        there = {one.name for one in observed.running}
        for name in self.names:
            if name not in there:
                draft.problem(f"{name} does not run on this host: site starts what is declared")
        going = self._going(observed.running)
        busy = numbers_of({*self.together} - {*self.names} | {one.name for one in going})  # other hosts of the round are at theirs
        for number in sorted(set(observed.notes) - set(busy)):
            take = functools.partial(noout.take_back, self.cluster, [number])
            draft.ensure("flag", f"osd.{number}/noout", {"set": True}, {"set": False}, take, reason="a run that was ended has left it")
        apply = functools.partial(self._restart, going)
        for one in going:
            reason = one.reason(self.everything, self.since)
            if observed.gate.waits:
                reason += f"; waits: {observed.gate.waits}"
            draft.ensure("unit", one.unit_name, {"restart": None}, {"restart": reason}, apply, risk=Risk.RESTART, reason=reason, batch=_BATCH)
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {
            "daemons": [one.shown(self.everything, self.since) for one in observed.running],
            "waits": observed.gate.waits,
            "movement": dataclasses.asdict(movement.Moment.of(observed.status, observed.gate.left)),
        }

    # -- apply

    def _restart(self, going: t.Sequence[Running]) -> None:
        self._await_gate(going)
        numbers = numbers_of(one.name for one in going)
        kept_in = {entry["osd"] for entry in self.cluster.command("osd dump")["osds"] if "noout" in entry.get("state", ())} if numbers else set()
        # A flag that somebody else has set stays.
        noted = noout.noted(self.cluster) if kept_in else {}
        ours = [number for number in numbers if number not in kept_in or noted.get(number) == PURPOSE]
        try:
            noout.set_for(self.cluster, ours, PURPOSE)
            before = self._marks(going)
            systemd.restart(*(one.unit_name for one in going))
            for one in going:
                self._await(one, before)
            if numbers:
                stop_gates.await_reports(self.cluster)
        finally:
            noout.take_back(self.cluster, ours)

    def _await_gate(self, going: t.Sequence[Running]) -> None:
        """Wait while something moves. Raises RuntimeError with what is in the way where nothing does any more."""
        watch = movement.Watch(self.patience)
        while True:
            status = self._patiently(lambda: self.cluster.command("status"))
            gate = self._gate(status, going)
            if not gate.waits:
                return
            watch.see(time.monotonic(), movement.Moment.of(status, gate.left))
            if watch.stalled:
                raise RuntimeError(stalled_text([one.name for one in going], watch.idle, gate.waits))
            time.sleep(self.pause)

    def _marks(self, going: t.Sequence[Running]) -> t.Dict[str, t.Any]:
        """By what a daemon that has restarted is told from what it was: the OSDs' epochs, and the others' numbers."""
        types = {one.type for one in going}
        found: t.Dict[str, t.Any] = {}
        if "osd" in types:
            found.update({f"osd.{entry['osd']}": entry["up_from"] for entry in self.cluster.command("osd dump")["osds"] if entry["up"]})
        if "mgr" in types:
            found.update({f"mgr.{name}": number for name, number in daemons.mgr_numbers(self.cluster.command("mgr dump")).items()})
        if "mds" in types:
            found.update({f"mds.{name}": number for name, number in daemons.mds_numbers(self.cluster.command("fs dump")).items()})
        if "rgw" in types:
            found.update({one.name: one.gid for one in self._gateways()})
        if "nfs" in types:
            found.update(dict.fromkeys(self.names, _exports()))
        return found

    def _await(self, one: Running, before: t.Mapping[str, t.Any]) -> None:
        """Wait until a daemon that was restarted serves again. Raises TimeoutError."""

        def ready(unit: systemd.Unit) -> bool:
            if not unit.active or unit.pid in (0, one.unit.pid) or (one.type != "nfs" and not daemons.ask(one.name, "version")):
                return False
            try:
                return self._serves(one, before.get(one.name))
            except (Unreachable, CommandFailed):  # while monitors elect, or a manager takes over
                return False

        daemons.await_unit(one.unit_name, ready, self.wait, f"{one.name} does not serve")

    def _serves(self, one: Running, before: t.Any) -> bool:
        id_ = one.name.partition(".")[2]
        if one.type == "mon":
            dump = self.cluster.command("mon dump")
            return any(mon["name"] == id_ and mon["rank"] in dump["quorum"] for mon in dump["mons"])
        if one.type == "mgr":
            dump = self.cluster.command("mgr dump")
            return bool(dump.get("available")) and daemons.mgr_numbers(dump).get(id_, before) != before
        if one.type == "osd":
            return any(entry["osd"] == int(id_) and entry["up"] and entry["up_from"] != before for entry in self.cluster.command("osd dump")["osds"])
        if one.type == "mds":
            dump = self.cluster.command("fs dump")
            return daemons.ranks_are_active(dump) and daemons.mds_numbers(dump).get(id_, before) != before
        if one.type == "rgw":
            return any(other.name == one.name and other.gid != before and other.answers() for other in self._gateways())
        # An export whose filesystem did not answer at the start is left out.
        return set(before or ()) <= set(_exports() or ()) and _answers_nfs("127.0.0.1")


# What ceph_restart_info is given: daemons as ceph_daemons_info returns them.
INFO = {
    "hosts": mapping(
        "The hosts' daemons by the hosts' names, those that need not restart too: what M(cephstack.cloud.ceph_daemons_info) returned there.", required=True
    ),
    "accept_outage": OPTIONS["accept_outage"],
    "one_rank": boolean("Whether each filesystem will have one active metadata server by then, as in an upgrade."),
}


def rounds(options: t.Mapping[str, t.Any], cluster: Connection) -> t.Dict[str, t.Any]:
    """Return in which rounds daemons restart. options: of the shape of INFO. Raises Invalid with all that is in the way."""
    asked: t.List[t.Tuple[str, t.Dict[str, t.Any]]] = [
        ("mon dump", {}),
        ("mgr dump", {}),
        ("fs dump", {}),
        ("osd dump", {}),
        ("osd crush dump", {}),
    ]
    dumps = cluster.many(asked)
    known = {field.name for field in dataclasses.fields(Daemon)}
    all_of_them = [
        Daemon(**{**{key: value for key, value in row.items() if key in known}, "host": host}) for host, rows in options["hosts"].items() for row in rows
    ]
    facts = Facts(*dumps)
    if options["one_rank"]:
        facts = dataclasses.replace(facts, fs=with_one_rank(facts.fs))

    def granted(numbers: t.Sequence[int]) -> bool:
        return not stop_gates.osds(cluster, numbers, settling=_PEERS)

    @functools.cache
    def pgs() -> t.Sequence[Raw]:
        return t.cast("t.Sequence[Raw]", cluster.mgr_command("pg dump", dumpcontents=["pgs_brief"]).get("pg_stats", []))

    def short(numbers: t.Sequence[int]) -> t.List[str]:
        return stop_gates.pools_of(facts.osd, pgs(), numbers)

    def settled() -> bool:
        return not any(_is_unsettled(entry["state_name"]) for entry in cluster.command("status").get("pgmap", {}).get("pgs_by_state", []))

    # What passes by itself is waited for: while copies are missing nobody can say which OSDs may never stop.
    found = in_rounds(all_of_them, facts, granted, bool(wait_until(settled, _SETTLES, pause=1.0)), options["accept_outage"], short)
    if found.problems:
        raise Invalid(found.problems)
    shown = [one.shown(number) for number, one in enumerate(found.rounds, 1)]
    return {"rounds": shown, "summary": [line(one) for one in shown], "warnings": found.warnings}


def stalled_text(names: t.Sequence[str], idle: float, waits: str) -> str:
    """Why a round did not begin, and what to do."""
    return f"{', '.join(names)}: not restarted, nothing has moved for {idle:.0f} s: {waits}. Repair that and run it again: it goes on where it ended"


def _exports() -> t.Optional[t.Dict[str, t.List[str]]]:
    """What this host's NFS server exports, None where it does not answer."""
    try:
        return rpc.exports()
    except (rpc.Silent, Unreachable):
        return None


def _answers_nfs(address: str) -> bool:
    try:
        rpc.alive(address)
    except rpc.Silent:
        return False
    return True


def provider(options: t.Mapping[str, t.Any], cluster: Connection) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS. Raises Invalid."""
    names, together = options["daemons"], options["together"]
    for name in (*names, *together):
        type_of(name)
    strange = sorted(set(names) - set(together)) if together else []
    if strange:
        raise Invalid([f"together: {', '.join(strange)} restarts too, and is not among them"])
    if options["patience"] < 1:
        raise Invalid([f"patience: {options['patience']} is not at least 1"])
    own = {name: options[name] for name in ("beside", "accept_outage", "patience", "wait")}
    return Provider(cluster, names, together, *running.since(options), **own)
