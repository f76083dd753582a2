# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster would be without some of its OSDs: whether each rule still finds enough failure domains, and how full the OSDs that stay become. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.crush_map import Rule, Tree, rule_of
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw

# What stands in a placement group's list where no OSD has the copy (CRUSH_ITEM_NONE).
NOBODY = 0x7FFFFFFF


@dataclasses.dataclass(frozen=True)
class Facts:
    """A cluster as its monitors and its manager say: the JSON of `osd dump`, `osd crush dump`, `osd df`, `df`, and of `pg dump pgs_brief` its pg_stats."""

    osd: Raw
    crush: Raw
    osd_df: Raw = dataclasses.field(default_factory=dict)
    df: Raw = dataclasses.field(default_factory=dict)
    pgs: t.Sequence[Raw] = ()


@dataclasses.dataclass
class Forecast:
    """moved: bytes that leave each OSD, copies that are made anew in its place with them. gained: bytes that each of those that stay gets."""

    moved: t.Dict[int, int] = dataclasses.field(default_factory=dict)
    gained: t.Dict[int, int] = dataclasses.field(default_factory=dict)
    problems: t.List[str] = dataclasses.field(default_factory=list)
    warnings: t.List[str] = dataclasses.field(default_factory=list)


def holders(pg: Raw) -> t.List[int]:
    """The OSDs that have a copy of a placement group."""
    return [number for number in pg["acting"] if number != NOBODY]


def without(facts: Facts, going: t.Collection[int]) -> Forecast:
    """Return what becomes of the cluster when some OSDs go. Only what their going makes worse is a problem."""
    found, tree = Forecast(), Tree(facts.crush)
    names = {number: f"osd.{number}" for number in going}
    rules = {raw["rule_id"]: rule_of(raw) for raw in facts.crush.get("rules", [])}
    # What can take data: up, in, and of some weight in CRUSH.
    nodes = {node["id"]: node for node in facts.osd_df.get("nodes", [])}
    alive = {entry["osd"] for entry in facts.osd["osds"] if entry["up"] and entry["in"]}
    weights = {number: node["crush_weight"] * node.get("reweight", 1) for number, node in nodes.items() if number in alive and node["crush_weight"] > 0}
    staying = {number: weight for number, weight in weights.items() if number not in going}
    dead = [entry["osd"] for entry in facts.osd["osds"] if entry["osd"] in going and entry["in"] and not entry["up"]]
    copies = _copies(facts, going, dead)
    # Those that hold something still count as they did before they were given the weight 0, by a run that was ended, or by hand.
    held = {*dead, *(number for of_pool in copies.values() for number in of_pool)}
    before = {**weights, **{number: weight for number in held for weight in [_weight_by_size(nodes.get(number, {}))] if weight > 0}}
    gained: collections.Counter[int] = collections.Counter()
    moved: collections.Counter[int] = collections.Counter(dict.fromkeys(going, 0))
    short: t.Dict[str, t.List[str]] = {}
    for pool in facts.osd.get("pools", []):
        rule, size, each = rules.get(pool["crush_rule"]), pool["size"], _bytes_of_copy(facts, pool)
        if rule is None:
            continue
        leaving = copies.get(pool["pool"], {})
        for number, count in leaving.items():
            moved[number] += count * each
        domains, old = (_domains(tree, rule, of) for of in (staying, before))
        room, had = _capacity(domains, rule), _capacity(old, rule)
        if rule.steps:
            if leaving:
                shape = f"the rule {rule.name} of the pool {pool['pool_name']} has a shape of its own"
                found.warnings.append(f"{shape}: whether it finds enough places is not known before the data moves")
        elif room < size and (room < had or leaving):
            needs = f"{size} copies or chunks, and the rule {rule.name} needs {rule.place_of(size)}: there would be room for {room}"
            short.setdefault(needs, []).append(pool["pool_name"])
        for number, share in _gains(domains, old, rule, size).items():
            gained[number] += int(share * sum(leaving.values()) * each)
    found.problems += [f"the pools keep {needs} ({', '.join(pools)})" for needs, pools in short.items()]
    found.moved, found.gained = {number: moved[number] for number in sorted(names)}, dict(gained)
    found.problems += _too_full(facts, nodes, staying, gained)
    return found


def _copies(facts: Facts, going: t.Collection[int], dead: t.Sequence[int]) -> t.Dict[int, t.Dict[int, int]]:
    """Return by pool how many copies each OSD that goes has. dead: those down and in; copies that are missing are made anew, and count as theirs."""
    sizes = {pool["pool"]: pool["size"] for pool in facts.osd.get("pools", [])}
    found: t.Dict[int, t.Dict[int, int]] = {}
    for pg in facts.pgs:
        pool, have = int(pg["pgid"].partition(".")[0]), holders(pg)
        of_pool = found.setdefault(pool, {})
        for number in have:
            if number in going:
                of_pool[number] = of_pool.get(number, 0) + 1
        missing = sizes.get(pool, 0) - len(have)
        if dead and missing > 0:
            of_pool[dead[0]] = of_pool.get(dead[0], 0) + missing
    return found


def _bytes_of_copy(facts: Facts, pool: Raw) -> int:
    """The bytes of one copy or chunk of a placement group, on the average of its pool."""
    stats: Raw = next((entry["stats"] for entry in facts.df.get("pools", []) if entry["id"] == pool["pool"]), {})
    raw = stats.get("bytes_used", 0)
    if not facts.df.get("stats", {}).get("num_per_pool_osds"):  # no OSD counts by pool: what is said to be used is what was stored
        profile = facts.osd.get("erasure_code_profiles", {}).get(pool.get("erasure_code_profile"), {})
        raw = stats.get("stored", 0) * pool["size"] / (1 if pool["type"] == 1 else max(1, int(profile.get("k", 1))))
    return int(raw / max(1, pool["pg_num"]) / max(1, pool["size"]))


def _weight_by_size(node: Raw) -> float:
    """The weight of an OSD in CRUSH, or what it has by default where that is 0: its size in TiB."""
    return float(node.get("crush_weight") or node.get("kb", 0) / (1 << 30))


def _domains(tree: Tree, rule: Rule, weights: t.Mapping[int, float]) -> t.Dict[str, t.Dict[int, float]]:
    """The failure domains of a rule, each with its OSDs and their weights; an OSD is its own where the rule has a shape of its own."""
    kind = "osd" if rule.steps else rule.failure_domain
    found: t.Dict[str, t.Dict[int, float]] = {}
    for name in rule.osds(tree):
        number = int(name.partition(".")[2])
        domain = next((above for above in tree.upwards(name) if tree.types.get(above) == kind), None)
        if number in weights and domain is not None:
            found.setdefault(domain, {})[number] = weights[number]
    return found


def _capacity(domains: t.Mapping[str, t.Mapping[int, float]], rule: Rule) -> int:
    """How many copies or chunks a rule can place apart from each other."""
    rooms = sorted((min(len(osds), rule.osds_per_domain) for osds in domains.values()), reverse=True)
    full = rooms.count(rule.osds_per_domain)
    # As Rule.capacity: every domain but the last is filled before the next one is begun.
    return sum(rooms[: full + 1][: rule.domains or None])


def _shares(domains: t.Mapping[str, t.Mapping[int, float]], rule: Rule, size: int) -> t.Dict[int, float]:
    """How many copies of a placement group each OSD has on average: by weight, and no domain more than it may have."""
    caps = {name: float(min(len(osds), rule.osds_per_domain)) for name, osds in domains.items()}
    open_ = {name: sum(osds.values()) for name, osds in domains.items()}
    left, share = float(size), dict.fromkeys(domains, 0.0)
    while open_ and left > 0:
        total = sum(open_.values())
        full = [name for name, weight in open_.items() if left * weight / total >= caps[name]]
        for name in full or open_:
            share[name] = caps[name] if full else left * open_[name] / total
        if not full:
            break
        left -= sum(caps[name] for name in full)
        open_ = {name: weight for name, weight in open_.items() if name not in full}
    return {number: share[name] * weight / sum(osds.values()) for name, osds in domains.items() for number, weight in osds.items()}


def _gains(new: t.Mapping[str, t.Mapping[int, float]], old: t.Mapping[str, t.Mapping[int, float]], rule: Rule, size: int) -> t.Dict[int, float]:
    """Of what leaves the OSDs that go, which part each of the others gets."""
    after, before = _shares(new, rule, size), _shares(old, rule, size)
    more = {number: max(0.0, share - before.get(number, 0.0)) for number, share in after.items()}
    total = sum(more.values())
    return {number: share / total for number, share in more.items() if share > 0} if total > 0 else {}


def _too_full(facts: Facts, nodes: t.Mapping[int, Raw], staying: t.Collection[int], gained: t.Mapping[int, int]) -> t.List[str]:
    ratio, tree = float(facts.osd.get("nearfull_ratio") or 0.85), Tree(facts.crush)
    worst: t.List[t.Tuple[float, str]] = []
    for number in staying:
        size, used = nodes[number]["kb"] << 10, nodes[number]["kb_used"] << 10
        if size and gained.get(number) and (used + gained[number]) / size > ratio:
            share = (used + gained[number]) / size
            host = next((name for name in tree.upwards(f"osd.{number}")[1:] if tree.types.get(name) == "host"), "no host")
            worst.append((share, f"osd.{number} on {host} {_percent(share)}, from {_percent(used / size)}"))
    if not worst:
        return []
    worst.sort(reverse=True)
    more = f" and {len(worst) - 5} more" if len(worst) > 5 else ""
    told = ", ".join(text for _share, text in worst[:5])
    return [f"OSDs would be fuller than nearfull ({_percent(ratio)}): {told}{more}. Add OSDs, delete data, or remove fewer at once"]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
