# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CRUSH map says: where things stand, and what rules can place there.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, view
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import count


class Tree:
    """Where every bucket and OSD stands. Shadow buckets (default~ssd) are not in it: classes are."""

    def __init__(self, dump: Raw) -> None:
        """dump: what `osd crush dump` gives; {} for an empty cluster, which has a root named default."""
        devices = {device["id"]: device for device in dump.get("devices", [])}
        buckets = {bucket["id"]: bucket for bucket in dump.get("buckets", []) if "~" not in bucket["name"]}
        self.types: dict[str, str] = {bucket["name"]: bucket["type_name"] for bucket in buckets.values()} if dump else {"default": "root"}
        self.parents: dict[str, t.Optional[str]] = dict.fromkeys(self.types)
        for bucket in buckets.values():
            for item in bucket["items"]:
                child = buckets.get(item["id"]) or devices.get(item["id"])
                if child is not None:
                    self.parents[child["name"]] = bucket["name"]
                    self.types.setdefault(child["name"], "osd")
        self.classes: dict[str, str] = {device["name"]: device.get("class", "") for device in devices.values() if device["name"] in self.types}

    @property
    def has_osds(self) -> bool:
        return "osd" in self.types.values()

    def upwards(self, name: str) -> list[str]:
        """The name and its ancestors, the nearest first."""
        found: list[str] = []
        here: t.Optional[str] = name
        while here is not None and here not in found:
            found.append(here)
            here = self.parents.get(here)
        return found

    def osds(self, root: str, device_class: str = "") -> list[str]:
        """The OSDs below a bucket, of one class if one is given."""
        below = [name for name, kind in self.types.items() if kind == "osd" and root in self.upwards(name)]
        return [name for name in below if device_class in ("", self.classes.get(name))]

    def domains(self, root: str, kind: str, device_class: str = "") -> list[str]:
        """The buckets (or OSDs) of a type below a root that hold at least one OSD (of the class)."""
        found = [name for osd in self.osds(root, device_class) for name in self.upwards(osd) if self.types.get(name) == kind]
        return list(dict.fromkeys(found))


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

    def osds(self, tree: Tree) -> list[str]:
        """The OSDs it places on."""
        return tree.osds(self.root, self.device_class)

    def full_domains(self, tree: Tree) -> int:
        """How many failure domains can take all the copies that it would give one."""
        return self._room(tree).count(self.osds_per_domain)

    def _room(self, tree: Tree) -> list[int]:
        """How many copies each failure domain takes, the roomiest first."""
        domains = tree.domains(self.root, self.failure_domain, self.device_class)
        if not self.spreads:
            return [1] * len(domains)
        ours = set(self.osds(tree))
        return sorted((min(len(ours & set(tree.osds(name))), self.osds_per_domain) for name in domains), reverse=True)

    def capacity(self, tree: Tree) -> t.Optional[int]:
        """How many copies or chunks it can place apart from each other. None where that cannot be told."""
        # Every domain but the last is filled before the next one is begun.
        return None if self.steps else sum(self._room(tree)[: self.full_domains(tree) + 1][: self.domains or None])

    def place_of(self, size: int) -> str:
        """What so many copies need, in the operator's words."""
        of_class = f" of class {self.device_class}" if self.device_class else ""
        with_osds = f"{self.osds_per_domain} OSDs{of_class} each" if self.spreads else f"OSDs{of_class}"
        return f"{-(-size // self.osds_per_domain)} of {self.failure_domain} with {with_osds} below {self.root}"

    def shown(self, beside: t.Optional[Rule] = None) -> dict[str, t.Any]:
        """What a person compares. beside: the rule with which it is compared."""
        if self.steps:
            return {"type": self.type, "steps": list(self.steps)}
        shown: dict[str, t.Any] = {"type": self.type, "root": self.root, "failure_domain": self.failure_domain, "device_class": self.device_class}
        if any(rule is not None and (rule.domains or rule.spreads) for rule in (self, beside)):
            shown.update({"num_failure_domains": self.domains, "osds_per_failure_domain": self.osds_per_domain})
        return shown


def rule_of(raw: Raw) -> Rule:
    """Parse one rule of `osd crush dump`."""
    steps = [step for step in raw["steps"] if not step["op"].startswith("set_")]
    takes = [step["item_name"] for step in steps if step["op"] == "take"]
    chooses = [step for step in steps if step["op"].startswith("choose")]
    ops, kinds, numbers = ([step[key] for step in chooses] for key in ("op", "type", "num"))
    root, dummy, device_class = (takes or [""])[0].partition("~")
    rule = Rule(raw["rule_name"], "erasure" if raw["type"] in _ERASURE_TYPES else "replicated", root, (kinds or ["osd"])[0], device_class)
    if len(takes) == 1 and all(number >= 0 for number in numbers):
        if len(chooses) == 1 and (ops[0].startswith("chooseleaf") or (kinds[0] == "osd" and ops[0] != "choosemsr")):
            return dataclasses.replace(rule, domains=numbers[0])
        if ops == ["choosemsr"] * 2 and kinds[1] == "osd" != kinds[0] and numbers[1]:
            return dataclasses.replace(rule, domains=numbers[0], osds_per_domain=numbers[1])
    texts = tuple(" ".join(str(step[key]) for key in ("op", "item_name", "num", "type") if key in step) for step in steps)
    return dataclasses.replace(rule, steps=texts)


def declared_rule(item: Declared, profiles: t.Mapping[str, Raw]) -> Rule:
    """The rule that a declaration means. An erasure rule takes from its profile what it doesn't say itself."""
    profile = profiles.get(item.get("erasure_profile") or "", {}) if item["type"] == "erasure" else {}
    root = item.get("root") or profile.get("crush-root") or "default"
    domain = item.get("failure_domain") or profile.get("crush-failure-domain") or "host"
    return Rule(item["name"], item["type"], root, domain, item.get("device_class") or profile.get("crush-device-class") or "", (), *spread_of(profile))


def spread_of(profile: Raw) -> tuple[int, int]:
    """Of a profile in Ceph's words: in how many failure domains at most (0: not said), and how many chunks in each. Raises ValueError."""
    domains, osds = (count(profile.get(key) or 0) for key in ("crush-num-failure-domains", "crush-osds-per-failure-domain"))
    return max(0, domains), max(1, osds)


def osd_name(text: t.Any) -> t.Optional[str]:
    """ "osd.3" of that, of "3" and of 3; None where it is no OSD."""
    word = str(text).strip()
    digits = word[4:] if word.startswith("osd.") else word
    return f"osd.{int(digits)}" if digits.isdigit() else None


@view
def current_tree(maps: Maps) -> Tree:
    return Tree(maps.crush)


@view
def current_rules(maps: Maps) -> dict[str, Rule]:
    """The rules, by name."""
    return {raw["rule_name"]: rule_of(raw) for raw in maps.crush.get("rules", [])}


@view
def future_tree(draft: Draft) -> Tree:
    """Where they will stand once the declaration is applied."""
    declared, tree = draft.declaration["crush"], Tree(draft.maps.crush)
    for item in declared["buckets"]:
        tree.types[item["name"]], tree.parents[item["name"]] = item["type"], item.get("parent") or tree.parents.get(item["name"])
        if item["state"] == "absent":
            del tree.types[item["name"]], tree.parents[item["name"]]
    for item in declared["locations"]:
        if item["name"] in tree.types:
            tree.parents[item["name"]] = item["parent"]
    for item in declared["device_classes"]:
        tree.classes.update({name: item["name"] for name in map(osd_name, item["osds"]) if name in tree.classes})
    return tree


def bucket_ids(draft: Draft) -> set[str]:
    """The ids of the declared buckets, for whatever places something in them to wait for."""
    return {f"crush_bucket/{item['name']}" for item in draft.declaration["crush"]["buckets"] if item["state"] == "present"}
