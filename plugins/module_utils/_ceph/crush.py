# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CRUSH map: buckets, where things stand, device classes and rules.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, view
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import RELEASES, count, duplicates
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Risk, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, presence, records, string, strings

TYPES = ("osd", "host", "chassis", "rack", "row", "pdu", "pod", "room", "datacenter", "zone", "region", "root")
OPTIONS: dict[str, t.Any] = {
    "buckets": records(
        "Buckets.",
        {
            "name": string("The bucket's name.", required=True),
            "type": choice("Its type.", TYPES[1:]),
            "parent": string("The bucket in which it stands."),
            "state": presence("Whether it is there. Only an empty one can go."),
        },
        default=[],
    ),
    "locations": records(
        "Where hosts (or other buckets, or OSDs) that are there already stand.",
        {"name": string("What stands there.", required=True), "parent": string("The bucket in which it stands.", required=True)},
        default=[],
    ),
    "device_classes": records(
        "The classes of OSDs.",
        {
            "name": string("The class, for example V(ssd).", required=True),
            "osds": strings("The OSDs of this class, for example V(osd.3). OSDs that no class names are left alone.", required=True),
        },
        default=[],
    ),
    "rules": records(
        "Rules that place one copy or chunk in each bucket of a type.",
        {
            "name": string("The rule's name.", required=True),
            "type": choice("For which pools it is.", ["replicated", "erasure"], default="replicated"),
            "root": string("Where to place. By default V(default)."),
            "failure_domain": choice("The type of bucket of which each takes one copy. By default V(host).", [*TYPES[:-1]]),
            "device_class": string("Place on OSDs of this class only."),
            "erasure_profile": string("The profile from which a rule of type V(erasure) takes all that."),
            "state": presence("Whether it is there. One that pools use cannot go."),
        },
        default=[],
    ),
}


class Tree:
    """Where every bucket and OSD stands. Shadow buckets (default~ssd) are not in it: classes are."""

    def __init__(self, dump: t.Mapping[str, t.Any]) -> None:
        """dump: what `osd crush dump` gives; {} for an empty cluster."""
        devices = {device["id"]: device for device in dump.get("devices", [])}
        buckets = {bucket["id"]: bucket for bucket in dump.get("buckets", []) if "~" not in bucket["name"]}
        self.types: dict[str, str] = {bucket["name"]: bucket["type_name"] for bucket in buckets.values()}
        self.parents: dict[str, t.Optional[str]] = dict.fromkeys(self.types)
        self.classes: dict[str, str] = {}
        for bucket in buckets.values():
            for item in bucket["items"]:
                child = buckets.get(item["id"]) or devices.get(item["id"])
                if child is None:
                    continue
                self.parents[child["name"]] = bucket["name"]
                if item["id"] >= 0:
                    self.types[child["name"]] = "osd"
        for device in devices.values():
            if device["name"] in self.types:
                self.classes[device["name"]] = device.get("class", "")

    @property
    def has_osds(self) -> bool:
        """Whether any OSD stands in it."""
        return "osd" in self.types.values()

    @classmethod
    def empty(cls) -> Tree:
        """The map of a new cluster: a root named default."""
        tree = cls({})
        tree.add("default", "root", None)
        return tree

    def copy(self) -> Tree:
        """An independent copy."""
        other = Tree({})
        other.types, other.parents, other.classes = dict(self.types), dict(self.parents), dict(self.classes)
        return other

    def add(self, name: str, kind: str, parent: t.Optional[str]) -> None:
        """Put a bucket or an OSD under a parent."""
        self.types[name] = kind
        self.parents[name] = parent

    def __contains__(self, name: object) -> bool:
        return name in self.types

    def above(self, name: str) -> list[str]:
        """The name's ancestors, the nearest first."""
        found: list[str] = []
        parent = self.parents.get(name)
        while parent is not None and parent not in found:
            found.append(parent)
            parent = self.parents.get(parent)
        return found

    def osds(self, root: str, device_class: t.Optional[str] = None) -> list[str]:
        """The OSDs below a bucket, of one class if one is given."""
        return [
            name
            for name, kind in self.types.items()
            if kind == "osd" and (name == root or root in self.above(name)) and (not device_class or self.classes.get(name) == device_class)
        ]

    def children(self, name: str) -> list[str]:
        """What stands directly in a bucket."""
        return [child for child, parent in self.parents.items() if parent == name]

    def domains(self, root: str, kind: str, device_class: t.Optional[str] = None) -> list[str]:
        """The buckets of a type below a root that hold at least one OSD (of the class)."""
        found: list[str] = []
        for osd in self.osds(root, device_class):
            if kind == "osd":
                found.append(osd)
            else:
                found += [name for name in self.above(osd) if self.types[name] == kind and name not in found]
        return found


# Rules of the types that retry all their steps (CRUSH_RULE_TYPE_MSR_FIRSTN and _INDEP in crush.h), and which clients can compute them.
_ERASURE_TYPES = (3, 5)
SPREAD_SINCE = (19, 2, 0)
SPREAD_CLIENT = "squid"


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule of the usual shape: take a root (of one class), some copies in each bucket of a type. Else steps says what it does.

    domains: in how many buckets at most; 0 for as many as there are copies. osds_per_domain: how many copies each takes.
    """

    name: str
    type: str
    root: str
    failure_domain: str
    device_class: str = ""
    steps: t.Tuple[str, ...] = ()
    domains: int = 0
    osds_per_domain: int = 1

    @property
    def spreads(self) -> bool:
        """Whether it places several copies in one failure domain, for which clients must be new enough."""
        return self.osds_per_domain > 1

    def full_domains(self, tree: Tree) -> int:
        """How many failure domains can take all the copies that it would give one."""
        return sum(1 for count in self._room(tree) if count >= self.osds_per_domain)

    def _room(self, tree: Tree) -> list[int]:
        names = tree.domains(self.root, self.failure_domain, self.device_class)
        if not self.spreads:
            return [1] * len(names)
        ours = set(self.osds(tree))
        return [len(ours & set(tree.osds(name))) for name in names]

    def capacity(self, tree: Tree) -> t.Optional[int]:
        """How many copies or chunks it can place apart from each other. None where that cannot be told."""
        if self.steps:
            return None
        # Every domain but the last is filled before the next one is begun.
        room = sorted((min(count, self.osds_per_domain) for count in self._room(tree)), reverse=True)
        full = self.full_domains(tree)
        usable = room[: full + 1]
        return sum(usable[: self.domains] if self.domains else usable)

    def place_of(self, size: int) -> str:
        """What so many copies need, in the operator's words."""
        of_class = f" of class {self.device_class}" if self.device_class else ""
        with_osds = f"{self.osds_per_domain} OSDs{of_class} each" if self.spreads else f"OSDs{of_class}"
        return f"{-(-size // self.osds_per_domain)} of {self.failure_domain} with {with_osds} below {self.root}"

    def osds(self, tree: Tree) -> list[str]:
        """The OSDs it places on."""
        return tree.osds(self.root, self.device_class)

    def shown(self, beside: t.Optional[Rule] = None) -> dict[str, t.Any]:
        """What a person compares. beside: the rule with which it is compared."""
        if self.steps:
            return {"type": self.type, "steps": list(self.steps)}
        shown: dict[str, t.Any] = {"type": self.type, "root": self.root, "failure_domain": self.failure_domain, "device_class": self.device_class}
        if any(rule is not None and (rule.domains or rule.spreads) for rule in (self, beside)):
            shown.update({"num_failure_domains": self.domains, "osds_per_failure_domain": self.osds_per_domain})
        return shown


def rule_of(raw: t.Mapping[str, t.Any]) -> Rule:
    """Parse one rule of `osd crush dump`."""
    kind = "erasure" if raw["type"] in _ERASURE_TYPES else "replicated"
    steps = [step for step in raw["steps"] if not step["op"].startswith("set_")]
    takes = [step for step in steps if step["op"] == "take"]
    chooses = [step for step in steps if step["op"].startswith("choose")]
    root, dummy, device_class = (takes[0]["item_name"] if takes else "").partition("~")
    if len(takes) == 1 and all(step["num"] >= 0 for step in chooses):
        ops, kinds = [step["op"] for step in chooses], [step["type"] for step in chooses]
        if len(chooses) == 1 and (ops[0].startswith("chooseleaf") or (kinds[0] == "osd" and ops[0] != "choosemsr")):
            return Rule(raw["rule_name"], kind, root, kinds[0], device_class, domains=chooses[0]["num"])
        if ops == ["choosemsr"] * 2 and kinds[1] == "osd" != kinds[0] and chooses[1]["num"]:
            return Rule(raw["rule_name"], kind, root, kinds[0], device_class, domains=chooses[0]["num"], osds_per_domain=chooses[1]["num"])
    texts = tuple(" ".join(str(step[key]) for key in ("op", "item_name", "num", "type") if key in step) for step in steps)
    return Rule(raw["rule_name"], kind, root, chooses[0]["type"] if chooses else "osd", device_class, texts)


def declared_rule(item: t.Mapping[str, t.Any], profiles: t.Mapping[str, t.Mapping[str, t.Any]]) -> Rule:
    """The rule that a declaration means. An erasure rule takes from its profile what it doesn't say itself."""
    profile = profiles.get(item.get("erasure_profile") or "", {}) if item.get("type") == "erasure" else {}
    domains, osds = spread_of(profile)
    return Rule(
        name=item["name"],
        type=item.get("type") or "replicated",
        root=item.get("root") or profile.get("crush-root") or "default",
        failure_domain=item.get("failure_domain") or profile.get("crush-failure-domain") or "host",
        device_class=item.get("device_class") or profile.get("crush-device-class") or "",
        domains=domains,
        osds_per_domain=osds,
    )


def spread_of(profile: t.Mapping[str, t.Any]) -> tuple[int, int]:
    """Of a profile in Ceph's words: in how many failure domains at most (0: not said), and how many chunks in each. Raises ValueError."""
    domains, osds = (count(profile.get(key) or 0) for key in ("crush-num-failure-domains", "crush-osds-per-failure-domain"))
    return max(0, domains), max(1, osds)


def problems(declared: t.Mapping[str, t.Any], where: str) -> list[str]:
    """What is wrong with the declaration alone. where: "crush" or "ceph_cluster_crush"."""
    found: list[str] = []
    for part in ("buckets", "locations", "rules"):
        found += [f"{where}.{part}: {name} is declared twice: keep one of them" for name in duplicates(item["name"] for item in declared.get(part) or [])]
    seen: dict[str, str] = {}
    for number, item in enumerate(declared.get("device_classes") or []):
        for osd in item.get("osds") or []:
            name = _osd_name(osd)
            if name is None:
                found.append(f"{where}.device_classes[{number}].osds: '{osd}' is not an OSD: write osd.3 or 3")
            elif seen.setdefault(name, item["name"]) != item["name"]:
                found.append(f"{where}.device_classes: {name} is given two classes, {seen[name]} and {item['name']}: keep one of them")
    for number, item in enumerate(declared.get("buckets") or []):
        if (item.get("state") or "present") == "present" and not item.get("type"):
            found.append(f"{where}.buckets[{number}] ({item['name']}): type is missing: write host, rack, root or another type of bucket")
        if item.get("parent") == item["name"]:
            found.append(f"{where}.buckets[{number}] ({item['name']}): it cannot stand in itself")
    for number, item in enumerate(declared.get("rules") or []):
        here = f"{where}.rules[{number}] ({item['name']})"
        if (item.get("state") or "present") == "absent":
            continue
        if (item.get("type") or "replicated") == "erasure":
            if not item.get("erasure_profile"):
                found.append(f"{here}: a rule of type erasure needs erasure_profile")
            for key in ("root", "failure_domain", "device_class"):
                if item.get(key):
                    found.append(f"{here}: {key} of an erasure rule comes from its profile: say it there")
        elif item.get("erasure_profile"):
            found.append(f"{here}: erasure_profile is for rules of type erasure")
    return found


def _osd_name(text: t.Any) -> t.Optional[str]:
    word = str(text).strip()
    digits = word[4:] if word.startswith("osd.") else word
    return f"osd.{int(digits)}" if digits.isdigit() else None


def projected(declared: t.Mapping[str, t.Any], living: Tree) -> Tree:
    """The tree as it will stand once the declaration is applied."""
    tree = living.copy()
    for item in declared.get("buckets") or []:
        if (item.get("state") or "present") == "absent":
            tree.types.pop(item["name"], None)
            tree.parents.pop(item["name"], None)
        else:
            parent = item.get("parent") or tree.parents.get(item["name"])
            tree.add(item["name"], item.get("type") or tree.types.get(item["name"], "host"), parent)
    for item in declared.get("locations") or []:
        if item["name"] in tree:
            tree.parents[item["name"]] = item["parent"]
    for item in declared.get("device_classes") or []:
        for osd in item["osds"]:
            name = _osd_name(osd)
            if name in tree.classes:
                tree.classes[name] = item["name"]
    return tree


@view
def current_tree(maps: Maps) -> Tree:
    """Where buckets and OSDs stand."""
    return Tree(maps.crush) if maps.crush else Tree.empty()


@view
def current_rules(maps: Maps) -> dict[str, Rule]:
    """The rules, by name."""
    return {raw["rule_name"]: rule_of(raw) for raw in maps.crush.get("rules", [])}


def plan(declared: t.Mapping[str, t.Any], maps: Maps, draft: Draft, tree: Tree, rules: t.Mapping[str, Rule], profiles: t.Container[str], prune: bool) -> None:
    """Plan buckets, locations, classes and rules. tree, rules and profiles: as they will be."""
    _plan_rules(declared, maps, draft, tree, rules, profiles, prune)
    _plan_classes(declared, maps, draft)
    _plan_buckets(declared, maps, draft, tree)


def _plan_buckets(declared: t.Mapping[str, t.Any], maps: Maps, draft: Draft, tree: Tree) -> None:
    living = current_tree(maps)
    send = draft.send
    for number, item in enumerate(declared.get("buckets") or []):
        name, here = item["name"], f"{draft.prefix}crush.buckets[{number}] ({item['name']})"
        if item["state"] == "absent":
            if name in living:
                left = tree.children(name)
                if left:
                    draft.problem(f"{here}: it cannot go, {', '.join(left[:5])} stand in it: move them first (crush.locations)")
                    continue
                needs = (
                    frozenset(f"crush_location/{child}" for child in living.children(name))
                    | draft.ids("crush_rule", action="delete")
                    | draft.ids("crush_rule", action="update")
                )
                draft.ensure("crush_bucket", name, {"type": living.types[name]}, None, functools.partial(send, "osd crush remove", name=name), needs=needs)
            continue
        parent = item.get("parent")
        if parent and parent not in tree:
            draft.problem(f"{here}: parent {parent} is neither in the CRUSH map nor declared in crush.buckets")
            continue
        if name not in living:
            arguments = {"name": name, "type": item["type"], "args": [f"{tree.types[parent]}={parent}"] if parent else None}
            after = {"type": item["type"], **({"parent": parent} if parent else {})}
            draft.ensure("crush_bucket", name, None, after, functools.partial(send, "osd crush add-bucket", **arguments), needs=_bucket_needs(parent))
            continue
        if living.types[name] != item["type"]:
            draft.problem(f"{here}: it is a {living.types[name]}, and Ceph cannot make a {item['type']} of it: give the {item['type']} another name")
        elif parent and living.parents.get(name) != parent:
            _plan_move(name, parent, maps, draft, tree)
    for number, item in enumerate(declared.get("locations") or []):
        name, parent = item["name"], item["parent"]
        here = f"{draft.prefix}crush.locations[{number}] ({name})"
        if maps.empty:
            continue
        if name not in living:
            draft.problem(f"{here}: {name} is not in the CRUSH map: declare it in crush.buckets, or create its OSDs first")
        elif parent not in tree:
            draft.problem(f"{here}: parent {parent} is neither in the CRUSH map nor declared in crush.buckets")
        elif living.parents.get(name) != parent:
            _plan_move(name, parent, maps, draft, tree)


def _bucket_needs(parent: t.Optional[str]) -> t.FrozenSet[str]:
    return frozenset({f"crush_bucket/{parent}"} if parent else ())


def _plan_move(name: str, parent: str, maps: Maps, draft: Draft, tree: Tree) -> None:
    moves = bool(current_tree(maps).osds(name)) and bool(maps.osd.get("pools"))
    draft.ensure(
        "crush_location",
        name,
        {"parent": current_tree(maps).parents.get(name)},
        {"parent": parent},
        functools.partial(draft.send, "osd crush move", name=name, args=[f"{tree.types[parent]}={parent}"]),
        risk=Risk.MOVEMENT if moves else Risk.NONE,
        reason=f"the data of {len(current_tree(maps).osds(name))} OSDs is placed anew" if moves else "",
        needs=_bucket_needs(parent),
    )


def _plan_classes(declared: t.Mapping[str, t.Any], maps: Maps, draft: Draft) -> None:
    used = {rule.device_class for rule in current_rules(maps).values() if rule.device_class}
    for number, item in enumerate(declared.get("device_classes") or []):
        for text in item["osds"]:
            name = t.cast(str, _osd_name(text))
            if maps.empty:
                continue
            if name not in current_tree(maps):
                draft.problem(f"{draft.prefix}crush.device_classes[{number}] ({item['name']}): {name} is not in the CRUSH map")
                continue
            before = current_tree(maps).classes.get(name, "")
            moves = bool({before, item["name"]} & used)
            draft.ensure(
                "device_class",
                name,
                {"class": before},
                {"class": item["name"]},
                _class_setter(draft.send, name, before, item["name"]),
                risk=Risk.MOVEMENT if moves else Risk.NONE,
                reason="rules choose by this class, so data moves" if moves else "",
            )


def _class_setter(send: t.Callable[..., t.Any], osd: str, before: str, after: str) -> t.Callable[[], None]:
    def apply() -> None:
        if before:
            send("osd crush rm-device-class", ids=[osd])
        send("osd crush set-device-class", **{"class": after, "ids": [osd]})

    return apply


def _plan_rules(
    declared: t.Mapping[str, t.Any], maps: Maps, draft: Draft, tree: Tree, rules: t.Mapping[str, Rule], profiles: t.Container[str], prune: bool
) -> None:
    users: dict[str, list[str]] = {}
    for pool in maps.osd.get("pools", []):
        users.setdefault(maps.rule_names.get(pool["crush_rule"], ""), []).append(pool["pool_name"])
    placed = frozenset(f"crush_bucket/{item['name']}" for item in declared.get("buckets") or [] if item["state"] == "present")
    placed |= frozenset(f"device_class/{_osd_name(osd)}" for item in declared.get("device_classes") or [] for osd in item["osds"])
    for number, item in enumerate(declared.get("rules") or []):
        name, here = item["name"], f"{draft.prefix}crush.rules[{number}] ({item['name']})"
        living = current_rules(maps).get(name)
        if item["state"] == "absent":
            if living is not None:
                _plan_rule_delete(name, living, draft, users, Risk.NONE)
            continue
        wanted = rules[name]
        if item.get("erasure_profile") and item["erasure_profile"] not in profiles:
            draft.problem(f"{here}: erasure_profile {item['erasure_profile']} is neither there nor declared in {draft.prefix}erasure_profiles")
            continue
        if wanted.root not in tree:
            draft.problem(f"{here}: root {wanted.root} is neither in the CRUSH map nor declared in crush.buckets")
            continue
        if wanted.device_class and not maps.empty and not wanted.osds(tree):
            draft.problem(f"{here}: no OSD of class {wanted.device_class} stands below {wanted.root}")
            continue
        needs = placed | frozenset({f"erasure_profile/{item['erasure_profile']}"} if item.get("erasure_profile") else ())
        if living != wanted:
            needs |= client_needs(wanted, maps, draft, f"{here}: it")
        if living is None:
            draft.ensure("crush_rule", name, None, wanted.shown(), _rule_maker(draft.send, wanted, item.get("erasure_profile"), name), needs=needs)
            continue
        if living.type != wanted.type:
            draft.problem(f"{here}: it is a rule for {living.type} pools, and cannot become one for {wanted.type} pools: give this one another name")
            continue
        if living != wanted:
            before, after = differing(living.shown(wanted), wanted.shown(living))
            using = users.get(name, [])
            draft.add(
                Change(
                    "crush_rule",
                    name,
                    "update",
                    before,
                    after,
                    _rule_replacer(draft.send, wanted, item.get("erasure_profile"), using),
                    risk=Risk.MOVEMENT if using else Risk.NONE,
                    reason=f"the data of {', '.join(using)} is placed anew" if using else "",
                    moved_bytes=sum(maps.used_bytes(pool) for pool in using) or None,
                    needs=needs,
                )
            )
    if prune:
        kept = {item["name"] for item in declared.get("rules") or []} | set(users) | draft.wanted_rules | {"replicated_rule"}
        for name, living in current_rules(maps).items():
            if name not in kept:
                _plan_rule_delete(name, living, draft, users, Risk.LOSS)


def client_needs(rule: Rule, maps: Maps, draft: Draft, here: str) -> t.FrozenSet[str]:
    """What a rule must wait for so that the monitors take it: they refuse one that a client which may connect cannot compute.

    Finds a problem where such clients would still be let in. here: what is refused, as a sentence begins.
    """
    if not rule.spreads or maps.empty:
        return frozenset()
    oldest = draft.oldest_client(maps)
    if oldest and RELEASES[oldest] < RELEASES[SPREAD_CLIENT] and maps.release >= SPREAD_SINCE:
        draft.problem(
            f"{here} places several chunks in one failure domain, which only clients of Ceph {RELEASES[SPREAD_CLIENT]} ({SPREAD_CLIENT}) understand, "
            f"and those of {oldest} may connect: set {draft.prefix}require_min_compat_client: {SPREAD_CLIENT}"
        )
    return frozenset({"cluster/require_min_compat_client"})


def _plan_rule_delete(name: str, living: Rule, draft: Draft, users: t.Mapping[str, list[str]], risk: Risk) -> None:
    left = [pool for pool in users.get(name, []) if pool not in draft.leaving_rule(name)]
    if left:
        draft.problem(f"{draft.prefix}crush.rules ({name}): it cannot go, the pools {', '.join(left)} use it: give them another rule first")
        return
    needs = [f"pool/{pool}" for pool in users.get(name, [])]
    reason = "it is not declared, and prune names rules" if risk is Risk.LOSS else ""
    remove = functools.partial(draft.send, "osd crush rule rm", name=name)
    draft.ensure("crush_rule", name, living.shown(), None, remove, risk=risk, reason=reason, needs=needs)


def _rule_maker(send: t.Callable[..., t.Any], rule: Rule, profile: t.Optional[str], name: str) -> t.Callable[[], t.Any]:
    if rule.type == "erasure":
        return functools.partial(send, "osd crush rule create-erasure", name=name, profile=profile)
    arguments = {"name": name, "root": rule.root, "type": rule.failure_domain, "class": rule.device_class or None}
    return functools.partial(send, "osd crush rule create-replicated", **arguments)


def _rule_replacer(send: t.Callable[..., t.Any], rule: Rule, profile: t.Optional[str], pools: list[str]) -> t.Callable[[], None]:
    """Ceph cannot change a rule: a new one is made beside it, the pools go over, the old one goes, the new one gets its name."""

    def apply() -> None:
        beside = f"{rule.name}.cephstack-new"
        _rule_maker(send, rule, profile, beside)()
        for pool in pools:
            send("osd pool set", pool=pool, var="crush_rule", val=beside)
        send("osd crush rule rm", name=rule.name)
        send("osd crush rule rename", srcname=beside, dstname=rule.name)

    return apply
