# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared of the CRUSH map: buckets, where things stand, device classes and rules.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crush_map, erasure_profiles
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.crush_map import SPREAD_CLIENT, SPREAD_SINCE, Rule, current_rules, current_tree
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, cost, view
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import RELEASES
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, presence, records, string, strings

TYPES = ("osd", "host", "chassis", "rack", "row", "pdu", "pod", "room", "datacenter", "zone", "region", "root")
_BUCKET = {
    "name": string("The bucket's name.", required=True),
    "type": choice("Its type.", TYPES[1:]),
    "parent": string("The bucket that contains it."),
    "state": presence("Whether it exists. Only an empty one can be removed."),
}
_LOCATION = {"name": string("What it contains.", required=True), "parent": string("The bucket that contains it.", required=True)}
_CLASS = {
    "name": string("The class, for example V(ssd).", required=True),
    "osds": strings("The OSDs of this class, for example V(osd.3). OSDs that no class names are left alone.", required=True),
}
_RULE = {
    "name": string("The rule's name.", required=True),
    "type": choice("For which pools it is.", ["replicated", "erasure"], default="replicated"),
    "root": string("The bucket to place in. By default V(default)."),
    "failure_domain": choice("The type of bucket of which each takes one copy. By default V(host).", [*TYPES[:-1]]),
    "device_class": string("Place on OSDs of this class only."),
    "erasure_profile": string("The profile from which a rule of type V(erasure) takes all that."),
    "state": presence("Whether it exists. One that pools use cannot be removed."),
}
OPTIONS: dict[str, t.Any] = {
    "buckets": records("Buckets.", _BUCKET, default=[]),
    "locations": records("Which bucket contains which existing hosts (or other buckets, or OSDs).", _LOCATION, default=[]),
    "device_classes": records("The classes of OSDs.", _CLASS, default=[]),
    "rules": records("Rules that place one copy or chunk in each bucket of a type.", _RULE, default=[]),
}


def bucket_problems(item: Declared) -> t.Iterator[str]:
    if (item.get("state") or "present") == "present" and not item.get("type"):
        yield "type is missing: write host, rack, root or another type of bucket"
    if item.get("parent") == item["name"]:
        yield "it cannot stand in itself"


def class_problems(declared: t.Sequence[Declared], where: str) -> t.Iterator[str]:
    seen: dict[str, str] = {}
    for number, item in enumerate(declared):
        for osd in item.get("osds") or []:
            name = crush_map.osd_name(osd)
            if name is None:
                yield f"{where}[{number}].osds: '{osd}' is not an OSD: write osd.3 or 3"
            elif seen.setdefault(name, item["name"]) != item["name"]:
                yield f"{where}: {name} is given two classes, {seen[name]} and {item['name']}: keep one of them"


def rule_problems(item: Declared) -> t.Iterator[str]:
    erasure = item.get("type") == "erasure"
    if erasure and not item.get("erasure_profile"):
        yield "a rule of type erasure needs erasure_profile"
    if not erasure and item.get("erasure_profile"):
        yield "erasure_profile is for rules of type erasure"
    said = [key for key in ("root", "failure_domain", "device_class") if erasure and item.get(key)]
    yield from (f"{key} of an erasure rule comes from its profile: say it there" for key in said)


@view
def future_rules(draft: Draft) -> dict[str, Rule]:
    """The rules as they will be, by name."""
    rules = dict(current_rules(draft.maps))
    for item in draft.declaration["crush"]["rules"]:
        rules.pop(item["name"], None)
        if item["state"] == "present":
            rules[item["name"]] = crush_map.declared_rule(item, erasure_profiles.future(draft))
    return rules


def plan_buckets(draft: Draft) -> None:
    tree, existing = crush_map.future_tree(draft), current_tree(draft.maps)
    for here, item, kind in draft.walk("crush.buckets", existing.types, _delete_bucket):
        name, parent, type_ = item["name"], item.get("parent"), item["type"]
        if draft.unknown(here, "parent", parent, tree.types, "crush.buckets"):
            continue
        if kind is None:
            apply = draft.later("osd crush add-bucket", name=name, type=type_, args=[f"{tree.types[parent]}={parent}"] if parent else None)
            after = {"type": type_, **({"parent": parent} if parent else {})}
            draft.ensure("crush_bucket", name, None, after, apply, needs=[f"crush_bucket/{parent}"])
        elif kind != type_:
            draft.problem(f"{here}: it is a {kind}, and Ceph cannot make a {type_} of it: give the {type_} another name")
        elif parent:
            _move(name, parent, draft)
    for here, item in () if draft.maps.empty else draft.declared("crush.locations"):
        if item["name"] not in existing.types:
            draft.problem(f"{here}: {item['name']} is not in the CRUSH map: declare it in crush.buckets, or create its OSDs first")
        elif not draft.unknown(here, "parent", item["parent"] or "''", tree.types, "crush.buckets"):
            _move(item["name"], item["parent"], draft)


def _move(name: str, parent: str, draft: Draft) -> None:
    tree = current_tree(draft.maps)
    osds = tree.osds(name) if draft.maps.osd.get("pools") else []
    apply = draft.later("osd crush move", name=name, args=[f"{crush_map.future_tree(draft).types[parent]}={parent}"])
    costs = cost(Risk.MOVEMENT, f"the data of {len(osds)} OSDs moves" if osds else "")
    draft.ensure("crush_location", name, {"parent": tree.parents.get(name)}, {"parent": parent}, apply, needs=[f"crush_bucket/{parent}"], **costs)


def _delete_bucket(draft: Draft, here: str, name: str, kind: str, pruned: str) -> None:
    tree, future = current_tree(draft.maps), crush_map.future_tree(draft)
    left = [child for child, parent in future.parents.items() if parent == name]
    if left:
        draft.problem(f"{here}: it cannot go, {', '.join(left[:5])} stand in it: move them first (crush.locations)")
        return
    needs = {f"crush_location/{child}" for child, parent in tree.parents.items() if parent == name}
    needs |= draft.ids("crush_rule", action="delete") | draft.ids("crush_rule", action="update")
    draft.remove("crush_bucket", name, {"type": kind}, draft.later("osd crush remove", name=name), pruned, needs=needs)


def plan_classes(draft: Draft) -> None:
    tree = current_tree(draft.maps)
    used = {rule.device_class for rule in current_rules(draft.maps).values() if rule.device_class}
    declared = {osd: (here, item["name"]) for here, item in draft.declared("crush.device_classes") for osd in map(crush_map.osd_name, item["osds"]) if osd}
    for osd, (here, after) in declared.items() if not draft.maps.empty else ():
        if osd not in tree.types:
            draft.problem(f"{here}: {osd} is not in the CRUSH map")
            continue
        before = tree.classes.get(osd, "")
        costs = cost(Risk.MOVEMENT, "rules choose by this class, so data moves" if {before, after} & used else "")
        draft.ensure("device_class", osd, {"class": before}, {"class": after}, functools.partial(_set_class, draft, osd, before, after), **costs)


def _set_class(draft: Draft, osd: str, before: str, after: str) -> None:
    if before:
        draft.send("osd crush rm-device-class", ids=[osd])
    draft.send("osd crush set-device-class", **{"class": after, "ids": [osd]})


def plan_rules(draft: Draft) -> None:
    maps, tree = draft.maps, crush_map.future_tree(draft)
    placed = crush_map.bucket_ids(draft)
    placed |= {f"device_class/{crush_map.osd_name(osd)}" for item in draft.declaration["crush"]["device_classes"] for osd in item["osds"]}
    users = maps.pools_by("crush_rule")
    kept = {*users, *(item.get("rule") for item in draft.declaration["pools"] if item["state"] == "present"), "replicated_rule"}
    for here, item, existing in draft.walk("crush.rules", current_rules(maps), _delete_rule, kept):
        name, wanted, profile = item["name"], future_rules(draft)[item["name"]], item.get("erasure_profile")
        if draft.unknown(here, "erasure_profile", profile, erasure_profiles.future(draft), "erasure_profiles"):
            continue
        if draft.unknown(here, "root", wanted.root, tree.types, "crush.buckets"):
            continue
        if wanted.device_class and not maps.empty and not wanted.osds(tree):
            draft.problem(f"{here}: no OSD of class {wanted.device_class} stands below {wanted.root}")
            continue
        if existing == wanted:
            continue
        needs = placed | {f"erasure_profile/{profile}"} | client_needs(wanted, draft, f"{here}: it")
        if existing is not None and existing.type != wanted.type:
            draft.problem(f"{here}: it is a rule for {existing.type} pools, and cannot become one for {wanted.type} pools: give this one another name")
            continue
        using = users.get(name, [])
        make, replace = functools.partial(_make, draft, wanted, profile, name), functools.partial(_replace, draft, wanted, profile, using)
        costs = cost(Risk.MOVEMENT, f"the data of {', '.join(using)} moves" if using else "")
        moved, before = sum(map(maps.used_bytes, using)) or None, existing.shown(wanted) if existing else None
        draft.ensure("crush_rule", name, before, wanted.shown(existing), make, replace, needs, moved_bytes=moved, **costs)


def client_needs(rule: Rule, draft: Draft, here: str) -> set[str]:
    """What a rule must wait for so that the monitors take it: they refuse one that a client which may connect cannot compute.

    Finds a problem where such clients would still be let in. here: what is refused, as a sentence begins.
    """
    if not rule.spreads or draft.maps.empty:
        return set()
    oldest = draft.declaration.get("require_min_compat_client") or draft.maps.require_min_compat_client
    if oldest and RELEASES[oldest] < RELEASES[SPREAD_CLIENT] and draft.maps.release >= SPREAD_SINCE:
        draft.problem(
            f"{here} places several chunks in one failure domain, which only clients of Ceph {RELEASES[SPREAD_CLIENT]} ({SPREAD_CLIENT}) understand, "
            f"and those of {oldest} may connect: set {draft.prefix}require_min_compat_client: {SPREAD_CLIENT}"
        )
    return {"cluster/require_min_compat_client"}


def _delete_rule(draft: Draft, here: str, name: str, existing: Rule, pruned: str) -> None:
    draft.remove_of_pools(here, "crush_rule", "rule", name, existing.shown(), "osd crush rule rm", pruned, "crush_rule")


def _make(draft: Draft, rule: Rule, profile: t.Optional[str], name: str) -> None:
    if rule.type == "erasure":
        draft.send("osd crush rule create-erasure", name=name, profile=profile)
    else:
        draft.send("osd crush rule create-replicated", name=name, root=rule.root, type=rule.failure_domain, **{"class": rule.device_class or None})


def _replace(draft: Draft, rule: Rule, profile: t.Optional[str], pools: t.Sequence[str], _after: Declared) -> None:
    """Ceph cannot change a rule: a new one is made beside it, the pools go over, the old one goes, the new one gets its name."""
    beside = f"{rule.name}.cephstack-new"
    _make(draft, rule, profile, beside)
    for pool in pools:
        draft.send("osd pool set", pool=pool, var="crush_rule", val=beside)
    draft.send("osd crush rule rm", name=rule.name)
    draft.send("osd crush rule rename", srcname=beside, dstname=rule.name)
