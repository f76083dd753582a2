# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which rounds daemons of a cluster restart, so that it serves all the time. Pure, but for what the cluster is asked.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.crush_map import Tree, rule_of
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw

# In this order: monitors first, so that no daemon is newer than they are.
TYPES = ("mon", "mgr", "osd", "mds", "rgw", "nfs")
WORDS = {"mon": "monitor", "mgr": "manager", "osd": "OSD", "mds": "metadata server", "rgw": "object gateway", "nfs": "NFS gateway"}


@dataclasses.dataclass(frozen=True)
class Daemon:
    """A daemon that runs on a host of the inventory. reason: why it has to restart, "" where it need not.

    name: as Ceph has it (osd.3, client.rgw.ceph1.s3), nfs.HOST for an NFS gateway. running, installed: versions, "" where none is known.
    """

    name: str
    type: str
    host: str
    reason: str = ""
    running: str = ""
    installed: str = ""

    @property
    def id(self) -> str:
        """Its name without the type."""
        return self.name.partition(".")[2]


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the cluster says of its daemons: the JSON of `mon dump`, `mgr dump`, `fs dump`, `osd dump` and `osd crush dump`."""

    mon: Raw = dataclasses.field(default_factory=dict)
    mgr: Raw = dataclasses.field(default_factory=dict)
    fs: Raw = dataclasses.field(default_factory=dict)
    osd: Raw = dataclasses.field(default_factory=dict)
    crush: Raw = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Round:
    """Daemons that restart at the same time. domain: what they have in common, for OSDs. waits: what is waited for before they stop."""

    type: str
    daemons: t.Tuple[Daemon, ...]
    domain: str = ""
    waits: str = ""

    @property
    def names(self) -> t.List[str]:
        return [daemon.name for daemon in self.daemons]

    def shown(self, number: int) -> t.Dict[str, t.Any]:
        hosts: t.Dict[str, t.List[str]] = {}
        for daemon in self.daemons:
            hosts.setdefault(daemon.host, []).append(daemon.name)
        return {"number": number, "type": self.type, "domain": self.domain, "daemons": self.names, "hosts": hosts, "waits": self.waits}


@dataclasses.dataclass
class Rounds:
    """The rounds in their order, why they cannot be, and what the operator should know."""

    rounds: t.List[Round] = dataclasses.field(default_factory=list)
    problems: t.List[str] = dataclasses.field(default_factory=list)
    warnings: t.List[str] = dataclasses.field(default_factory=list)

    def one_by_one(self, daemons: t.Iterable[Daemon], waits: str) -> None:
        self.rounds += [Round(daemon.type, (daemon,), "", waits) for daemon in daemons]


def in_rounds(
    daemons: t.Sequence[Daemon],
    facts: Facts,
    granted: t.Callable[[t.Sequence[int]], bool],
    settled: bool = True,
    accepted: t.Collection[str] = (),
    short: t.Callable[[t.Sequence[int]], t.Sequence[str]] = lambda numbers: (),
) -> Rounds:
    """Put those daemons that have a reason in rounds. daemons: all that run, those that need not restart too, for they stand in for others.

    granted: whether the cluster lets OSDs stop at once. settled: whether all placement groups have all their copies, so that its answer holds.
    accepted: names of daemons that may be away for a while though nobody stands in for them. short: the pools that would lack copies without some OSDs.
    """
    found = Rounds()
    for type_ in TYPES:
        ours = [daemon for daemon in daemons if daemon.type == type_]
        going = sorted((daemon for daemon in ours if daemon.reason), key=_order)
        if going:
            _PLANNERS[type_](going, ours, facts, found, *([granted, settled, short] if type_ == "osd" else [accepted]))
    return found


def _order(daemon: Daemon) -> t.Tuple[t.Any, ...]:
    number = daemon.id
    return (int(number), "") if number.isdigit() else (0, daemon.name)


def _alone(daemon: Daemon, what: str, mend: str) -> str:
    away = f"{what}, and would be away while it restarts"
    return f"{daemon.name}: refused, it is {away}: {mend}, or name it in accept_outage: {daemon.name}"


def _plan_mons(going: t.Sequence[Daemon], _ours: t.Sequence[Daemon], facts: Facts, found: Rounds, accepted: t.Collection[str]) -> None:
    if len(facts.mon.get("mons", [])) < 2 and going[0].name not in accepted:
        found.problems.append(_alone(going[0], "the only monitor", "add others"))
    found.one_by_one(going, "all other monitors in quorum, and that the cluster lets it stop (mon ok-to-stop)")


def _plan_mgrs(going: t.Sequence[Daemon], _ours: t.Sequence[Daemon], facts: Facts, found: Rounds, _accepted: t.Collection[str]) -> None:
    active = facts.mgr.get("active_name", "")
    if not facts.mgr.get("standbys"):
        found.warnings.append(f"{going[0].name} is the only manager: for some seconds nobody has the cluster's statistics. Nothing that clients do needs it")
    found.one_by_one(sorted(going, key=lambda daemon: daemon.id == active), "a manager that serves")


def failure_domains(facts: Facts) -> t.Dict[int, str]:
    """The failure domain of each OSD: of the types that the rules of pools choose from for it the lowest, by the bucket's name.

    Copies that are apart by racks are apart by hosts too, so the lowest is what all of them allow. OSDs that are chosen singly go by their hosts: how
    many of one may stop at once is for the cluster to say.
    """
    tree = Tree(facts.crush)
    used = {pool["crush_rule"] for pool in facts.osd.get("pools", [])}
    rules = [rule_of(raw) for raw in facts.crush.get("rules", []) if raw["rule_id"] in used]
    levels: t.Dict[int, t.List[int]] = {}
    above: t.Dict[int, t.List[str]] = {}
    for name, kind in tree.types.items():
        if kind == "osd":
            above[int(name[4:])] = tree.upwards(name)
    for rule in rules:
        for name in rule.osds(tree):
            number = int(name[4:])
            kinds = [tree.types[one] for one in above[number]]
            level = kinds.index(rule.failure_domain) if rule.failure_domain in kinds and not rule.steps else 0
            levels.setdefault(number, []).append(level)
    # Where no pool is, hosts.
    return {number: names[min(max(1, min(levels.get(number, [1]))), len(names) - 1)] for number, names in above.items()}


def _plan_osds(
    going: t.Sequence[Daemon],
    _ours: t.Sequence[Daemon],
    facts: Facts,
    found: Rounds,
    granted: t.Callable[[t.Sequence[int]], bool],
    settled: bool,
    short: t.Callable[[t.Sequence[int]], t.Sequence[str]],
) -> None:
    domains = failure_domains(facts)
    by_domain: t.Dict[str, t.List[Daemon]] = {}
    for daemon in going:
        by_domain.setdefault(domains.get(int(daemon.id), daemon.host), []).append(daemon)
    waits = "all placement groups on them with all their copies, and that the cluster lets them stop at once (osd ok-to-stop)"
    for domain, daemons in by_domain.items():
        # While copies are made anew the cluster says no to what it lets stop afterwards: the round asks it again before anything stops.
        sets, never = _sets(daemons, granted) if settled else ([daemons], [])
        found.rounds += [Round("osd", tuple(one), domain, waits) for one in sets]
        if never:
            names = ", ".join(daemon.name for daemon in never)
            pools = ", ".join(sorted({pool for daemon in never for pool in short([int(daemon.id)])}))
            few = f", of which {pools} would have too few copies left to serve from: raise the size, or lower the min_size"
            text = few if pools else ": wait until all of them have their copies, and run it again"
            found.problems.append(f"{names}: refused, the cluster lets none of them stop (osd ok-to-stop): placement groups would not be served{text}")


def _sets(daemons: t.Sequence[Daemon], granted: t.Callable[[t.Sequence[int]], bool]) -> t.Tuple[t.List[t.List[Daemon]], t.List[Daemon]]:
    """As large sets as the cluster lets stop at once, and those that it does not let stop at all."""
    sets: t.List[t.List[Daemon]] = []
    never: t.List[Daemon] = []
    left = list(daemons)
    while left:
        one = _largest(left, [], granted)
        if one:
            sets.append(one)
        else:
            never += left
        left = [daemon for daemon in left if daemon not in one] if one else []
    return sets, never


def _largest(daemons: t.Sequence[Daemon], others: t.List[Daemon], granted: t.Callable[[t.Sequence[int]], bool]) -> t.List[Daemon]:
    """Those of some that may stop together with others, by halves: what is granted as a whole takes one question."""
    if granted([int(daemon.id) for daemon in (*others, *daemons)]):
        return list(daemons)
    if len(daemons) == 1:
        return []
    half = len(daemons) // 2
    first = _largest(daemons[:half], others, granted)
    return first + _largest(daemons[half:], others + first, granted)


def with_one_rank(dump: Raw) -> Raw:
    """`fs dump` as it will be once each filesystem has one rank: the other active metadata servers stand by. Pure."""
    filesystems, free = [], []
    for fs in dump.get("filesystems", []):
        info = fs["mdsmap"]["info"]
        others = {key: one for key, one in info.items() if one["rank"] > 0}
        free += [{**one, "rank": -1, "state": "up:standby"} for one in others.values()]
        filesystems.append({**fs, "mdsmap": {**fs["mdsmap"], "info": {key: one for key, one in info.items() if key not in others}}})
    return {**dump, "filesystems": filesystems, "standbys": [*dump.get("standbys", []), *free]}


def _plan_mdss(going: t.Sequence[Daemon], _ours: t.Sequence[Daemon], facts: Facts, found: Rounds, accepted: t.Collection[str]) -> None:
    ranks: t.Dict[str, t.Tuple[str, int]] = {}
    for fs in facts.fs.get("filesystems", []):
        name = fs["mdsmap"]["fs_name"]
        for info in fs["mdsmap"]["info"].values():
            if info["rank"] >= 0 and not info["state"].startswith("up:standby"):
                ranks[info["name"]] = (name, info["rank"])
        active = [info for info in fs["mdsmap"]["info"].values() if info["rank"] >= 0 and not info["state"].startswith("up:standby")]
        other = [daemon for daemon in going if daemon.id in {info["name"] for info in active} and daemon.running != daemon.installed]
        if len(active) > 1 and other:
            text = f"{name} has {len(active)} ranks, and those of different releases must not work together"
            found.problems.append(f"{other[0].name}: refused, {text}: lower its max_mds to 1 first, and raise it again afterwards")
    standbys = len(facts.fs.get("standbys", [])) + sum(
        info["state"].startswith("up:standby") for fs in facts.fs.get("filesystems", []) for info in fs["mdsmap"]["info"].values()
    )
    for daemon in going:
        if daemon.id in ranks and not standbys and daemon.name not in accepted:
            fs_name, rank = ranks[daemon.id]
            found.problems.append(_alone(daemon, f"rank {rank} of {fs_name} and no other metadata server stands by", "add a metadata server"))
    waits = "every rank of its filesystem active, another metadata server standing by, and that the cluster lets it stop (mds ok-to-stop)"
    found.one_by_one([daemon for daemon in going if daemon.id not in ranks], "every rank active")
    found.one_by_one(sorted((daemon for daemon in going if daemon.id in ranks), key=lambda daemon: ranks[daemon.id]), waits)


def _plan_gateways(going: t.Sequence[Daemon], ours: t.Sequence[Daemon], _facts: Facts, found: Rounds, accepted: t.Collection[str]) -> None:
    for daemon in going:
        if len(beside(daemon, ours)) == 0 and daemon.name not in accepted:
            word = WORDS[daemon.type]
            found.problems.append(_alone(daemon, f"the only {word} of its kind", "add another on another host"))
    found.one_by_one(going, "that another one answers")


def beside(daemon: Daemon, all_of_them: t.Iterable[Daemon]) -> t.List[Daemon]:
    """The gateways that serve the same from other hosts: those whose names differ in the host only (client.rgw.HOST.s3)."""
    return [other for other in all_of_them if other.type == daemon.type and other.host != daemon.host and _service(other) == _service(daemon)]


def _service(daemon: Daemon) -> str:
    return ".".join(daemon.name.split(".")[3:]) if daemon.type == "rgw" else ""


_PLANNERS: t.Dict[str, t.Callable[..., None]] = {
    "mon": _plan_mons,
    "mgr": _plan_mgrs,
    "osd": _plan_osds,
    "mds": _plan_mdss,
    "rgw": _plan_gateways,
    "nfs": _plan_gateways,
}


def line(one: t.Mapping[str, t.Any]) -> str:
    """A round in a line. one: as Round.shown gives it."""
    names, hosts = one["daemons"], list(one["hosts"])
    what = names[0] if len(names) == 1 else f"{len(names)} OSDs, {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"
    where = f" in {one['domain']}" if one["domain"] and one["domain"] not in hosts else ""
    return f"{one['number']}. {what}{where} on {', '.join(hosts)}; waits until there are: {one['waits']}"
