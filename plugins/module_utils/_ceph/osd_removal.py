# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OSDs that are to be gone: a forecast, their data moved away, and then no trace of them. Every step asks the cluster whether it may be done.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, forecast, movement, noout, osd_leftovers, osds, stop_gates
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.crush_map import Tree, osd_name
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.forecast import Facts
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while, wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, boolean, choice, integer, string, strings

OPTIONS: dict[str, t.Any] = {
    "osds": strings(
        "The OSDs, for example V(osd.3) or V(3). One that the cluster does not have is gone already.\n"
        "V(osd.3@1b74c6a2) is the one whose uuid begins so, and no other that got its number since. The state V(destroyed) needs it, and says it.",
        default=[],
    ),
    "hosts": strings("Hosts as CRUSH names them, of which all OSDs are to be gone.", default=[]),
    "state": choice(
        "What is to become of them. V(drained) moves their data away, of whichever hosts they are, and leaves them running.\n"
        "V(absent) also stops them, and removes them from the cluster and from this host.\n"
        "V(destroyed) takes disks of this host out to put others in their place. The OSDs stop and keep their numbers, their places in CRUSH and their "
        "classes, and nothing moves to others. M(cephstack.cloud.ceph_osds) makes them anew on the next disks that it is given.",
        ["absent", "drained", "destroyed"],
        default="absent",
    ),
    "cluster_only": boolean(
        "Whether only the cluster's part is done, for OSDs of hosts that cannot be reached. What such a host has of them stays there.",
        default=False,
    ),
    "hostname": string("This host's name in CRUSH. The host's short name by default."),
    "accept_health": strings("Health checks that do not keep data from being moved, for example V(MON_DISK_LOW).", default=[]),
    "patience": integer("How many seconds nothing may have moved before the wait for the data ends with what the cluster says of it.", default=600),
    "wait": boolean(
        "Whether the module waits until the data has moved. If not, it begins and returns how far that is.\nWith the state V(drained) only.", default=True
    ),
    "allow_loss": {
        **ALLOW_LOSS,
        "description": "What may be lost, by the ids that refusals and warnings name. V(osd/osd.3): an OSD that is down and has the only copy of something. "
        "V(device//dev/disk/by-id/wwn-0x5000c500a0b1c2d3): a disk that is wiped when its OSD is gone. "
        "V(volume/ceph-vg/osd-db-1): a logical volume of an OSD, as on a shared device for databases.\n"
        "Without it, disks and volumes keep what is on them.",
    },
}
# States of placement groups of which something may be on OSDs that are down, and nowhere else, whoever is said to have them.
_LOST_STATES = ("down", "incomplete", "unknown")
# Those that pass by themselves within seconds.
_UNSETTLED = ("unknown", "creating", "peering", "activating", "stale")
# Health checks that are judged by themselves, or are what moving data looks like.
_OWN_CHECKS = ("OBJECT_MISPLACED", "OSDMAP_FLAGS", "OSD_FLAGS")
_DEGRADED = ("PG_DEGRADED", "OSD_DOWN", "OSD_HOST_DOWN", "OSD_CHASSIS_DOWN", "OSD_RACK_DOWN", "OSD_ROOT_DOWN")
# Health checks that say no more than the states of placement groups, which are newer where those have just changed.
_OF_PGS = {"PG_DEGRADED": ("degraded", "undersized"), "PG_AVAILABILITY": _UNSETTLED}
# How a batch is called of which one call waits until all data is where it belongs.
_DRAIN, _COPIES = "drain", "copies"


@dataclasses.dataclass(frozen=True)
class One:
    """An OSD as the cluster has it. host: its bucket in CRUSH, or what it said of itself. weight: None where it is not in CRUSH.

    known: whether the OSD map has it. pgs: placement groups with a copy on it. lost: those of which no other OSD may have one; unclean: those of which
    not all copies are where they belong. key: whether it has one. noout: whether that is set for it alone.
    """

    number: int
    known: bool = False
    up: bool = False
    host: str = ""
    weight: t.Optional[float] = None
    pgs: int = 0
    safe: bool = False
    lost: t.Tuple[str, ...] = ()
    key: bool = False
    options: t.Tuple[str, ...] = ()
    destroyed: bool = False
    noout: bool = False
    uuid: str = ""
    unclean: t.Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"osd.{self.number}"


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there. going: the OSDs that are to be gone, by number. emptied: CRUSH's hosts that have no others. targets: options of such hosts.

    needed: why the OSDs must not stop at once.
    """

    facts: Facts
    going: t.Mapping[int, One]
    health: Raw
    status: Raw
    emptied: t.Sequence[str] = ()
    targets: t.Sequence[str] = ()
    needed: str = ""
    host: t.Optional[osd_leftovers.Host] = None


def parse(names: t.Sequence[str]) -> dict[int, str]:
    """Return the numbers of OSDs, each with how its uuid begins, "" where that is not said. Raises Invalid with every problem."""
    found: t.Dict[int, str] = {}
    problems = []
    for text in names:
        word, dummy, uuid = str(text).partition("@")
        name = osd_name(word)
        if name is None or (dummy and not re.fullmatch(r"[0-9a-f]{4,8}|[0-9a-f]{8}-[0-9a-f-]{0,27}", uuid)):
            problems.append(f"osds: '{text}' is not an OSD: write osd.3 or 3, or, with the first letters of its uuid, osd.3@1b74c6a2")
        elif found.setdefault(int(name[4:]), uuid) != uuid:
            problems.append(f"osds: {name} is given twice, with different uuids")
    if problems:
        raise Invalid(problems)
    return found


@dataclasses.dataclass
class Provider:
    """OSDs that are to be gone. numbers, hosts: which; uuids: how those of some begin. hostname: this host's, as CRUSH has it; short: as it has itself.

    The rest is as in OPTIONS.
    """

    cluster: Connection
    numbers: t.Sequence[int] = ()
    hosts: t.Sequence[str] = ()
    state: str = "absent"
    cluster_only: bool = False
    hostname: str = ""
    short: str = ""
    accept_health: t.Collection[str] = ()
    patience: float = 600
    wait: bool = True
    allow_loss: t.Collection[str] = ()
    uuids: t.Mapping[int, str] = dataclasses.field(default_factory=dict)
    pause: float = 2.0

    # -- observe

    def observe(self) -> Observed:
        """Read the maps, what the manager knows of data, and what this host has of the OSDs. Raises Unreachable and CommandFailed."""
        if self.state == "destroyed":
            wait_until(self._settled, stop_gates.SETTLING)  # what was done to the cluster a moment ago is not what is in the way
        ask: t.List[t.Tuple[str, t.Dict[str, t.Any]]] = [
            ("osd dump", {}),
            ("osd crush dump", {}),
            ("osd df", {}),
            ("df", {}),
            ("health", {}),
            ("status", {}),
            ("osd metadata", {}),
            ("config dump", {}),
        ]
        dump, crush, osd_df, df, health, status, metadata, config = self.cluster.many(ask)
        pgs = self.cluster.mgr_command("pg dump", dumpcontents=["pgs_brief"])
        facts = Facts(dump, crush, osd_df if isinstance(osd_df, dict) else {}, df if isinstance(df, dict) else {}, pgs.get("pg_stats", []))
        tree, said = Tree(crush), {entry["id"]: (entry.get("hostname") or "").partition(".")[0] for entry in metadata}
        numbers = {*self.numbers, *(entry["osd"] for entry in dump["osds"] if self._host_of(entry["osd"], tree, said) in self.hosts)}
        numbers |= {int(name[4:]) for host in self.hosts for name in tree.osds(host)}
        entities = {entry["entity"] for entry in self.cluster.command("auth ls")["auth_dump"]}
        options: t.Dict[str, t.List[str]] = {}
        for entry in config:
            options.setdefault(entry["section"], []).append(entry["name"])
        known = {entry["osd"]: entry for entry in dump["osds"]}
        # One that was made anew since has another uuid. The one that is meant is gone.
        numbers -= {number for number, uuid in self.uuids.items() if number in known and not self._is_meant(known[number], uuid)}
        safe = self._safe([number for number in sorted(numbers) if number in known])
        weights = {int(item["id"]): item["weight"] / 0x10000 for bucket in crush["buckets"] if "~" not in bucket["name"] for item in bucket["items"]}
        copies = collections.Counter(number for pg in facts.pgs for number in forecast.holders(pg))
        going = {}
        for number in sorted(numbers):
            entry, name = known.get(number, {}), f"osd.{number}"
            there = name in tree.types
            going[number] = One(
                number,
                number in known,
                bool(entry.get("up")),
                self._host_of(number, tree, said),
                weights.get(number) if there else None,
                copies[number],
                number in safe,
                self._lost(number, known, facts.pgs) if number in known and not entry.get("up") and number not in safe else (),
                name in entities,
                tuple(sorted(options.get(name, ()))),
                "destroyed" in entry.get("state", ()),
                "noout" in entry.get("state", ()),
                str(entry.get("uuid", "")),
                _unclean(number, facts.pgs),
            )
        emptied = self._emptied(tree, going)
        # As ceph_osds has set it, with the mask host:NAME.
        targets = [name for name in emptied if any(entry.get("mask") == f"host:{name}" and entry["name"] == osds.MEMORY_OPTION for entry in config)]
        host = None
        if self._local:
            host = osd_leftovers.observe(sorted(numbers), dump["fsid"], self.allow_loss)
        needed = ""
        if self.state == "destroyed":
            needed = stop_gates.osds(self.cluster, [one.number for one in going.values() if one.known and not one.destroyed and not one.lost])
        return Observed(facts, going, health, status, emptied, targets, needed, host)

    @staticmethod
    def _is_meant(entry: Raw, uuid: str) -> bool:
        return str(entry["uuid"]).startswith(uuid) or "destroyed" in entry.get("state", ())

    @staticmethod
    def _host_of(number: int, tree: Tree, said: t.Mapping[int, str]) -> str:
        above = tree.upwards(f"osd.{number}") if f"osd.{number}" in tree.types else []
        return next((name for name in above if tree.types.get(name) == "host"), said.get(number, ""))

    def _emptied(self, tree: Tree, going: t.Mapping[int, One]) -> t.List[str]:
        """The hosts in CRUSH that have no other OSDs. Buckets above them are declared, and stay until they are declared absent."""
        names = {one.host for one in going.values()} | set(self.hosts) | ({self.hostname} if self._local else set())
        gone = {one.name for one in going.values()}
        children = {name for name, parent in tree.parents.items() if parent in names and name not in gone}
        return sorted(name for name in names if tree.types.get(name) == "host" and not any(tree.parents[child] == name for child in children))

    @property
    def _local(self) -> bool:
        return self.state != "drained" and not self.cluster_only

    def _settled(self) -> bool:
        """Whether no placement group is on its way to a state that can be judged."""
        states = self._send("status").get("pgmap", {}).get("pgs_by_state", [])
        return not any(state in entry["state_name"].split("+") for entry in states for state in _UNSETTLED)

    def _safe(self, numbers: t.Sequence[int]) -> t.Set[int]:
        """Those of which the cluster says that nothing is lost with them."""
        if not numbers:
            return set()
        try:
            said = self.cluster.command("osd safe-to-destroy", ids=[str(number) for number in numbers])
        except CommandFailed:  # EBUSY or EAGAIN, from releases that say only that not all of them are
            return self._safe_each(numbers) if len(numbers) > 1 else set()
        return set(said["safe_to_destroy"]) if isinstance(said, dict) else set(numbers)

    def _safe_each(self, numbers: t.Sequence[int]) -> t.Set[int]:
        return {number for number in numbers if self._safe([number])}

    @staticmethod
    def _lost(number: int, known: t.Mapping[int, Raw], pgs: t.Sequence[Raw]) -> t.Tuple[str, ...]:
        """The placement groups that an OSD which is down may alone have: those that it had and nobody serves, and those of which nobody knows."""
        found = []
        for pg in pgs:
            states = pg["state"].split("+")
            dead = not any(known.get(holder, {}).get("up") for holder in forecast.holders(pg))
            if (number in forecast.holders(pg) and dead) or any(state in states for state in _LOST_STATES):
                found.append(pg["pgid"])
        return tuple(found)

    # -- plan

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with all that is in the way."""
        draft = Draft()
        there = [one for one in observed.going.values() if one.known or one.weight is not None]
        if self._local:
            for one in there:
                # One that has left CRUSH already is known by the name that it gave its host itself.
                if one.host not in ("", self.hostname, self.short if one.weight is None else ""):
                    where = "remove it there, or, if that host cannot be reached, with cluster_only: true"
                    draft.problem(f"{one.name} is on {one.host}, and this is {self.hostname}: {where}")
        if draft.problems:
            return draft.plan()
        if self.state == "destroyed":
            self._plan_destroyed(observed, draft)
            return draft.plan()
        self._plan_drain(observed, draft)
        if self.state == "drained":
            return draft.plan()
        going: t.Dict[int, t.Set[str]] = {}
        for one in observed.going.values():
            going[one.number] = self._plan_gone(one, observed, draft)
        for name in observed.emptied:
            of_it = [one for one in observed.going.values() if one.host == name]
            needs = {need for one in of_it for need in (f"crush_location/{one.name}", f"unit/{osds.unit_name(one.number)}")}
            option = f"osd/host:{name}/{osds.MEMORY_OPTION}"
            if name in observed.targets:  # before the bucket, by which a run that follows one that was killed finds it
                rm = functools.partial(self._send, "config rm", who=f"osd/host:{name}", name=osds.MEMORY_OPTION)
                draft.ensure("option", option, {"value": "set"}, None, rm, needs=needs)
            remove = functools.partial(self._send, "osd crush remove", name=name)
            draft.ensure("crush_bucket", name, {"type": "host"}, None, remove, needs={*needs, f"option/{option}"})
        if observed.host is not None:
            osd_leftovers.plan(draft, observed.host, going, self.allow_loss)
        elif there:
            hosts = sorted({one.host for one in there if one.host})
            stays = f"what {', '.join(hosts) or 'their hosts'} has of {_names(there)} stays there"
            draft.warn(f"only the cluster's part is done: {stays}. Don't start that host again as it is")
        return draft.plan()

    def _plan_destroyed(self, observed: Observed, draft: Draft) -> None:
        """Plan that OSDs stop and keep their places for other disks, if everything that they have is elsewhere, too, and goes on being served."""
        stopping = [one for one in observed.going.values() if one.known and not one.destroyed]
        for one in stopping:
            if not self.uuids.get(one.number):
                mend = "so that the next run leaves alone what is made anew in its place"
                draft.problem(f"{one.name}: to be replaced, it is written with the first letters of its uuid, {mend}: {one.name}@{one.uuid[:8]}")
        # Nobody else may have what is on these. If copies are being made, that is waited for; if one stays away, it would last for ever.
        waiting = [one for one in stopping if one.up and one.unclean]
        away = [f"osd.{entry['osd']}" for entry in observed.facts.osd["osds"] if not entry["up"] and entry["in"]]
        stuck = [*(f"{name} is down" for name in away), *(f"{flag} is set" for flag in _blocking(observed))]
        for one in waiting:
            some = f"{len(one.unclean)} placement groups on it ({', '.join(one.unclean[:5])}) have not all their copies where they belong"
            if stuck:
                draft.problem(f"{one.name}: refused, {some}, while {' and '.join(stuck[:5])}: repair that, and wait until they have")
            else:
                wait = functools.partial(self._await_copies, [other.number for other in waiting])
                now, desired = {"incomplete_placement_groups": len(one.unclean)}, {"incomplete_placement_groups": 0}
                draft.ensure("data", one.name, now, desired, wait, reason=f"waits until it is the only one to miss: {some}", batch=_COPIES)
        # What the cluster needs while it makes copies is asked when it has made them.
        if observed.needed and (stuck or not waiting):
            draft.problem(f"{_names(stopping)}: refused, the cluster says that they must not stop at once: {observed.needed}. Replace fewer at once, or wait")
        if stopping:
            self._judge_health(observed, stopping, draft, bool(waiting))
        going: t.Dict[int, t.Set[str]] = {}
        for one in observed.going.values():
            number, needs = one.number, {f"flag/{one.name}/noout", f"unit/{osds.unit_name(one.number)}", f"osd/{one.name}"}
            if one in stopping:
                lossy, left = bool(one.lost), observed.host.left[number] if observed.host else osd_leftovers.Left()
                if not one.noout:
                    keep = functools.partial(self._keep_in, number)
                    reason = "so that its place waits for the next disk; taken back when that is up"
                    draft.ensure("flag", f"{one.name}/noout", {"set": False}, {"set": True}, keep, needs=draft.ids("data"), reason=reason)
                unit, stopped = {"up": one.up, "enabled": left.unit.enabled, "running": left.unit.there}, {"up": False, "enabled": False, "running": False}
                stop = functools.partial(self._stop, number, bool(left.unit.there or left.unit.enabled), lossy)
                draft.ensure("unit", osds.unit_name(number), unit, stopped, stop, needs=[*draft.ids("data"), f"flag/{one.name}/noout"])
                more: t.Dict[str, t.Any] = {"reason": "its copies are made anew on the next disk"}
                if lossy:
                    more = {"risk": Risk.LOSS, "reason": _lost_reason(one)}
                destroy = functools.partial(self._destroy, number, lossy)
                draft.ensure("osd", one.name, {"destroyed": False}, {"destroyed": True}, destroy, needs=needs - {f"osd/{one.name}"}, **more)
            if not one.known or one.destroyed or one in stopping:
                going[number] = needs
        if observed.host is not None:
            osd_leftovers.plan(draft, observed.host, going, self.allow_loss)

    def _plan_drain(self, observed: Observed, draft: Draft) -> None:
        """Plan that the data moves away, if nothing is in its way."""
        moving = [one for one in observed.going.values() if one.known and not (one.lost and f"osd/{one.name}" in self.allow_loss)]
        full = [one for one in moving if one.weight or not one.safe]
        if not full or (not self.wait and not any(one.weight for one in full)):
            return
        told = forecast.without(observed.facts, list(observed.going))
        for text in told.problems:
            draft.problem(f"{_names(full)}: refused, {text}")
        for text in told.warnings:
            draft.warn(text)
        self._judge_health(observed, full, draft)
        flags = _blocking(observed)
        if flags:
            draft.problem(f"{_names(full)}: refused, no data moves while {' and '.join(flags)} is set: unset it (ceph osd unset {flags[0]})")
        apply = functools.partial(self._drain, [one.number for one in full])
        for one in full:
            now: t.Dict[str, t.Any] = {"crush_weight": round(one.weight or 0.0, 5)}
            desired: t.Dict[str, t.Any] = {"crush_weight": 0.0}
            if self.wait:
                now.update(placement_groups=one.pgs, safe_to_destroy=one.safe)
                desired.update(placement_groups=0, safe_to_destroy=True)
            moved = told.moved.get(one.number, 0)
            reason = f"about {movement.shown_bytes(moved)} move to other OSDs; then waits until the cluster says that it is safe to destroy"
            draft.ensure("data", one.name, now, desired, apply, risk=Risk.MOVEMENT, reason=reason, moved_bytes=moved, batch=_DRAIN)

    def _judge_health(self, observed: Observed, full: t.Sequence[One], draft: Draft, copying: bool = False) -> None:
        """Note what is in the way. copying: that copies are being made is waited for."""
        down = {entry["osd"] for entry in observed.facts.osd["osds"] if not entry["up"] and entry["in"]}
        ours = set(_OWN_CHECKS)
        # What follows from OSDs that go being down, or from a run that was ended while data moved.
        if down <= set(observed.going) and (down or any(not one.weight for one in full)):
            ours |= set(_DEGRADED)
        if copying:
            ours.add("PG_DEGRADED")
        seen = {state for pg in observed.facts.pgs for state in pg["state"].split("+")}
        ours |= {name for name, states in _OF_PGS.items() if self.state == "destroyed" and not seen & set(states)}
        for name, check in sorted(observed.health.get("checks", {}).items()):
            if name not in ours and name not in self.accept_health and not check.get("muted"):
                text = f"the cluster is {observed.health.get('status')}: {name}: {check['summary']['message']}"
                draft.problem(f"{_names(full)}: refused, {text}. Repair it, or, if data may be moved all the same, name it in accept_health: {name}")

    def _plan_gone(self, one: One, observed: Observed, draft: Draft) -> t.Set[str]:
        """Plan that an OSD stops and is nowhere any more; return what is planned."""
        first = set(draft.ids("data"))
        left = observed.host.left[one.number] if observed.host else osd_leftovers.Left()
        lossy = bool(one.lost)
        unit, stopped = {"up": one.up, "enabled": left.unit.enabled, "running": left.unit.there}, {"up": False, "enabled": False, "running": False}
        reason = "it stops once the cluster says that it may be destroyed"
        stop = functools.partial(self._stop, one.number, bool(left.unit.there or left.unit.enabled), lossy)
        draft.ensure("unit", osds.unit_name(one.number), unit, stopped, stop, needs=first, reason=reason)
        needs = first | {f"unit/{osds.unit_name(one.number)}"}
        if one.weight is not None:
            # Before the cluster forgets it: a run that is ended here still knows which host it was on.
            crush = functools.partial(self._leave_crush, one.number, lossy)
            draft.ensure("crush_location", one.name, {"parent": one.host}, None, crush, needs=needs)
        needs |= {f"crush_location/{one.name}"}
        needs |= {f"crush_bucket/{one.host}"}
        if one.known:
            more: t.Dict[str, t.Any] = {"reason": "the cluster forgets it, its key and that of its encryption"}
            if one.lost:
                more = {"risk": Risk.LOSS, "reason": _lost_reason(one)}
            draft.ensure("osd", one.name, {"host": one.host, "up": one.up}, None, functools.partial(self._purge, one.number, lossy), needs=needs, **more)
        elif one.key:
            draft.ensure("client", one.name, {"osd": one.name}, None, functools.partial(self._send, "auth del", entity=one.name), needs=needs)
        gone = {f"osd/{one.name}", *needs}
        for option in one.options:
            rm = functools.partial(self._send, "config rm", who=one.name, name=option)
            draft.ensure("option", f"{one.name}/{option}", {"value": "set"}, None, rm, needs=gone)
        return gone

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        rows = [
            {"id": one.number, "host": one.host, "up": one.up, "placement_groups": one.pgs, "drained": one.safe} for one in observed.going.values() if one.known
        ]
        moment = movement.Moment.of(observed.status, sum(one.pgs for one in observed.going.values()))
        return {"osds": rows, "drained": all(row["drained"] for row in rows), "movement": dataclasses.asdict(moment)}

    # -- apply

    def _send(self, prefix: str, **words: t.Any) -> t.Any:
        return self.cluster.command(prefix, **words)

    def _drain(self, numbers: t.Sequence[int]) -> None:
        self.cluster.many([("osd crush reweight", {"name": f"osd.{number}", "weight": 0.0}) for number in numbers])
        if self.wait:
            self._await_drained(numbers)

    def _await_drained(self, numbers: t.Sequence[int]) -> None:
        self._await(lambda: set(numbers) - self._safe(numbers), "is not safe to destroy yet")

    def _await_copies(self, numbers: t.Sequence[int]) -> None:
        def waiting() -> t.Set[int]:
            pgs = self.cluster.mgr_command("pg dump", dumpcontents=["pgs_brief"]).get("pg_stats", [])
            return {number for number in numbers if _unclean(number, pgs)}

        self._await(waiting, "may not stop yet, for placement groups on it have not all their copies")

    def _await(self, waiting: t.Callable[[], t.Set[int]], what: str) -> None:
        """Wait while something moves, until no OSD is waiting. Raises RuntimeError with what the cluster says where nothing moves any more."""
        watch = movement.Watch(self.patience)
        while True:
            left = waiting()
            if not left:
                return
            status = self._send("status")
            watch.see(time.monotonic(), movement.Moment.of(status, len(left)))
            if watch.stalled:
                health, dump = self._send("health"), self._send("osd dump")
                raise RuntimeError(stalled_text(left, what, watch, movement.why_nothing_moves(status, health, dump.get("flags", ""))))
            time.sleep(self.pause)

    def _gate(self, number: int, lossy: bool) -> None:
        """Ask the cluster once more. Raises RuntimeError where it says no."""
        text = f"the cluster does not say that osd.{number} is safe to destroy (ceph osd safe-to-destroy {number}): run it again to move its data"

        def allowed() -> bool:
            nonlocal text
            if self.state != "destroyed":
                return number in self._safe([number])
            needed = stop_gates.osds(self.cluster, [number])
            text = f"osd.{number} must not stop: {needed}"
            return not needed

        if not lossy:
            wait_until(allowed, stop_gates.SETTLING, lambda: RuntimeError(text))

    def _stop(self, number: int, unit: bool, lossy: bool) -> None:
        self._gate(number, lossy)
        name = osds.unit_name(number)
        if unit:
            systemd.stop(name)
            process.run(["systemctl", "disable", "--runtime", name], timeout=120)  # as ceph-volume enables it
        # Not one whose number is used again: the cluster would stop the next one as well.
        if self.state != "destroyed" and self._is_up(number) and not (unit and wait_until(lambda: not self._is_up(number), 20)):
            self._send("osd stop", ids=[str(number)])  # by the cluster, which a host that cannot be reached still hears
        wait_until(lambda: not self._is_up(number), 60, lambda: RuntimeError(f"osd.{number} was stopped, but the cluster still has it as up"))

    def _is_up(self, number: int) -> bool:
        return any(entry["osd"] == number and entry["up"] for entry in self._send("osd dump")["osds"])

    def _leave_crush(self, number: int, lossy: bool) -> None:
        self._gate(number, lossy)
        self._send("osd crush remove", name=f"osd.{number}")

    def _purge(self, number: int, lossy: bool) -> None:
        # The manager itself refuses where something would be lost, but not if it is told that this is meant.
        purge = functools.partial(self.cluster.mgr_command, "osd purge", id=number, yes_i_really_mean_it=True if lossy else None)
        retry_while(stop_gates.draws_no_conclusions, purge, stop_gates.SETTLING, 1.0)

    def _keep_in(self, number: int) -> None:
        noout.set_for(self.cluster, [number], "replaced")

    def _destroy(self, number: int, lossy: bool) -> None:
        self._gate(number, lossy)
        # The manager allows it only where nothing is on it any more; here the other copies are what counts, and they were asked for.
        self.cluster.mgr_command("osd destroy", id=number, yes_i_really_mean_it=True)


def _blocking(observed: Observed) -> t.List[str]:
    """The flags that are set with which nothing moves."""
    return [flag for flag in observed.facts.osd.get("flags", "").split(",") if flag in movement.BLOCKING]


def _unclean(number: int, pgs: t.Sequence[Raw]) -> t.Tuple[str, ...]:
    """The placement groups on an OSD of which not all copies are where they belong."""
    return tuple(pg["pgid"] for pg in pgs if number in forecast.holders(pg) and "clean" not in pg["state"].split("+"))


def _lost_reason(one: One) -> str:
    some = ", ".join(one.lost[:5]) + (" …" if len(one.lost) > 5 else "")
    return f"it is down, and {len(one.lost)} placement groups ({some}) may have their only copy on it: bring it back, or lose them"


def stalled_text(left: t.Collection[int], what: str, watch: movement.Watch, why: str) -> str:
    """Why a wait ended, and what to do. left: the OSDs that it was for; what: "is not safe to destroy yet"."""
    names = ", ".join(f"osd.{number}" for number in sorted(left))
    return (
        f"nothing has moved for {watch.idle:.0f} s, and {names} {what} ({watch.text()}). The cluster says: {why}. "
        "Repair that and run it again: it goes on where it ended"
    )


def _names(some: t.Sequence[One]) -> str:
    return ", ".join(one.name for one in some)


def provider(options: t.Mapping[str, t.Any], cluster: Connection) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS. Raises Invalid."""
    uuids = parse(options["osds"])
    numbers = sorted(uuids)
    problems = []
    if not numbers and not options["hosts"]:
        problems.append("osds and hosts are both empty: say which OSDs are to be gone")
    if not options["wait"] and options["state"] != "drained":
        problems.append("wait: false is for the state drained: OSDs can only be removed once their data has moved")
    if options["state"] == "destroyed" and options["cluster_only"]:
        problems.append("state: destroyed is for OSDs of this host, not with cluster_only: true")
    if options["patience"] < 1:
        problems.append(f"patience: {options['patience']} is not at least 1")
    if problems:
        raise Invalid(problems)
    own = {name: options[name] for name in ("hosts", "state", "cluster_only", "accept_health", "patience", "wait", "allow_loss")}
    short = daemons.short_hostname()
    return Provider(cluster, numbers, hostname=options["hostname"] or short, short=short, uuids=uuids, **own)
