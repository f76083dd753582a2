# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crush, crush_map, erasure_profiles, filesystems, options, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.crush_map import Rule
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, view
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, presence, real, record, string, strings

OPTIONS: dict[str, t.Any] = {
    "name": string("The pool's name.", required=True),
    "state": presence("V(absent) destroys the pool and all its data, and needs O(arm=pool/NAME)."),
    "type": choice("How data is kept. It cannot change later.", ["replicated", "erasure"], default="replicated"),
    "erasure_profile": string("The erasure-code profile of a pool of type V(erasure). It cannot change later."),
    "rule": string("The CRUSH rule. To change it moves all the pool's data."),
    "size": integer("How many copies are kept. By default the cluster's C(osd_pool_default_size)."),
    "min_size": integer("How many copies must be there for I/O to go on."),
    "pg_num": integer("How many placement groups the pool has.\nWhere the autoscaler is on for the pool, this is only what it begins with."),
    "pg_num_min": integer("The autoscaler does not go below this."),
    "pg_num_max": integer("The autoscaler does not go above this. Needs Ceph 17."),
    "autoscale_mode": choice("Whether the autoscaler sets pg_num, or only warns.", ["on", "off", "warn"]),
    "bulk": boolean("Whether the pool will be large, so that it begins with its full number of placement groups."),
    "target_size": string("How large the pool is expected to become, for example V(10T)."),
    "target_size_ratio": real("The part of the cluster that the pool is expected to take, in relation to the ratios of other pools."),
    "applications": strings("What the pool is used for, for example V(rbd). The whole list; marks of Ceph's own services stay."),
    "quota_bytes": string("How much may be stored, for example V(500G); V(0) for no limit."),
    "quota_objects": integer("How many objects may be stored; V(0) for no limit."),
    "compression": record(
        "Compression by the OSDs.",
        {
            "mode": choice("When to compress.", ["none", "passive", "aggressive", "force"]),
            "algorithm": choice("How to compress.", ["none", "snappy", "zlib", "zstd", "lz4"]),
            "required_ratio": real("Keep compressed data only if it is at most this part of the original."),
            "min_blob_size": string("Don't compress chunks smaller than this."),
            "max_blob_size": string("Cut larger chunks into pieces of this size."),
        },
    ),
    "allow_ec_overwrites": boolean("Let RBD and CephFS write to a pool of type V(erasure). It cannot be taken back."),
    "nodelete": boolean("Whether Ceph refuses to delete the pool."),
    "nopgchange": boolean("Whether Ceph refuses to change the pool's pg_num."),
    "nosizechange": boolean("Whether Ceph refuses to change the pool's size."),
}

# Ceph's own: never pruned. Pools of the gateway are made by it on demand, those of a filesystem are told by the fs map.
_SERVICE = re.compile(r"\..*|device_health_metrics|.*\.rgw\..*|cephfs\..*|nfs-ganesha")
_SERVICE_APPLICATIONS = {"mgr", "mgr_devicehealth", "rgw", "nfs"}


class Field(t.NamedTuple):
    """What can be set of a pool.

    option: as it is declared, compression_mode for compression.mode. key: as Ceph names it, in `osd pool set` and (but for seen) in `osd dump`.
    place: where it is in the dump: beside the pool's name, among its options, or among its flags. form: brings both sides into the form in which they
    are compared. since: the first release that has it.
    """

    option: str
    key: str
    place: str = ""
    seen: str = ""
    otherwise: t.Any = 0
    form: t.Callable[[t.Any], t.Any] = lambda value: value
    since: tuple[int, ...] = ()

    def of(self, raw: t.Mapping[str, t.Any]) -> t.Any:
        """Its value for a pool of `osd dump`."""
        key = self.seen or self.key
        if self.place == "flags":
            return key in raw.get("flags_names", "").split(",")
        value = (raw.get("options", {}) if self.place else raw).get(key, self.otherwise)
        return None if value is None else self.form(value)


# Quincy brought bulk and pg_num_max; Pacific took bulk over in 16.2.8. Ratios are told with six decimals only by some releases.
_FIELDS = (
    Field("rule", "crush_rule"),
    Field("size", "size"),
    Field("min_size", "min_size"),
    Field("pg_num", "pg_num"),
    Field("pg_num_min", "pg_num_min", "options"),
    Field("pg_num_max", "pg_num_max", "options", since=(17, 0, 0)),
    Field("autoscale_mode", "pg_autoscale_mode", otherwise="off"),
    Field("quota_objects", "max_objects", seen="quota_max_objects"),
    Field("allow_ec_overwrites", "allow_ec_overwrites", "flags", seen="ec_overwrites"),
    Field("bulk", "bulk", "flags", since=(16, 2, 8)),
    Field("nodelete", "nodelete", "flags"),
    Field("nopgchange", "nopgchange", "flags"),
    Field("nosizechange", "nosizechange", "flags"),
    Field("target_size_ratio", "target_size_ratio", "options", form=values.decimals),
    Field("quota_bytes", "max_bytes", seen="quota_max_bytes", form=values.size),
    Field("target_size", "target_size_bytes", "options", form=values.size),
    Field("compression_mode", "compression_mode", "options", otherwise=None),
    Field("compression_algorithm", "compression_algorithm", "options", otherwise=None),
    Field("compression_required_ratio", "compression_required_ratio", "options", otherwise=None, form=values.decimals),
    Field("compression_min_blob_size", "compression_min_blob_size", "options", otherwise=None, form=values.size),
    Field("compression_max_blob_size", "compression_max_blob_size", "options", otherwise=None, form=values.size),
)
_KEYS = {field.option: field.key for field in _FIELDS}
# What the creation of a pool takes itself, which costs no further round of the monitors.
_AT_ONCE = ("pg_num", "rule", "autoscale_mode", "pg_num_min", "size")
# What others depend on, in the order in which it is sent; whatever isn't here is sent side by side afterwards.
_FIRST = ("size", "rule", "allow_ec_overwrites", "autoscale_mode", "pg_num")
# The flags that keep others from being changed, and which.
_LOCKS = {"nosizechange": {"size", "min_size"}, "nopgchange": {"pg_num"}}


@view
def current(maps: Maps) -> dict[str, dict[str, t.Any]]:
    """The pools, by name, in the words of the declaration."""
    return {
        raw["pool_name"]: {
            **{field.option: field.of(raw) for field in _FIELDS},
            "id": raw["pool"],
            "type": "erasure" if raw["type"] == 3 else "replicated",
            "erasure_profile": raw.get("erasure_code_profile") or None,
            "rule": maps.rule_names.get(raw["crush_rule"], str(raw["crush_rule"])),
            "pg_num": raw.get("pg_num_target", raw["pg_num"]),
            "applications": sorted(raw.get("application_metadata", {})),
        }
        for raw in maps.osd.get("pools", [])
    }


def _said(item: Declared) -> dict[str, t.Any]:
    """What a declaration says of a pool's fields, before it is brought into form."""
    flat = {**item, **{f"compression_{key}": value for key, value in (item.get("compression") or {}).items()}}
    return {field.option: flat[field.option] for field in _FIELDS if flat.get(field.option) is not None}


def problems(item: Declared, profiles: t.Sequence[Declared], hosts: t.Optional[int] = None) -> t.Iterator[str]:
    """What is wrong with a declared pool alone. hosts: how many hosts will have OSDs, where that is known."""
    said = _said(item)
    for field in _FIELDS:
        try:
            field.form(said.get(field.option, 0))
        except ValueError as error:
            yield f"{field.option.replace('compression_', 'compression.')}: {error}"
    for key in ("size", "min_size", "pg_num"):
        if key in said and int(said[key]) < 1:
            yield f"{key} {said[key]} is less than 1"
    if "size" in said and "min_size" in said and int(said["min_size"]) > int(said["size"]):
        yield f"min_size {said['min_size']} is greater than size {said['size']}: I/O would stop for ever; lower min_size"
    if said.get("pg_num_min") and said.get("pg_num_max") and int(said["pg_num_min"]) > int(said["pg_num_max"]):
        yield f"pg_num_min {said['pg_num_min']} is greater than pg_num_max {said['pg_num_max']}"
    if item.get("target_size") and item.get("target_size_ratio"):
        yield "target_size and target_size_ratio exclude each other: keep one of them"
    if (item.get("type") or "replicated") == "erasure":
        yield from _erasure_problems(item, profiles)
        return
    if item.get("erasure_profile"):
        yield "erasure_profile is for pools of type erasure: set type: erasure, or leave it out"
    if item.get("allow_ec_overwrites"):
        yield "allow_ec_overwrites is for pools of type erasure"
    if hosts is not None and item.get("size") and not item.get("rule") and int(item["size"]) > hosts:
        yield f"size {item['size']} needs as many hosts with OSDs, and there are {hosts}: lower size, or add hosts"


def _erasure_problems(item: Declared, profiles: t.Sequence[Declared]) -> t.Iterator[str]:
    if not item.get("erasure_profile"):
        yield "a pool of type erasure needs erasure_profile"
    if item.get("size") is not None:
        yield "size of an erasure-coded pool is k+m of its profile: leave it out"
    profile = {profile["name"]: profile for profile in profiles}.get(item.get("erasure_profile") or "", {})
    if profile.get("k") and profile.get("m") and item.get("min_size"):
        if not int(profile["k"]) <= int(item["min_size"]) <= erasure_profiles.chunks(erasure_profiles.full(profile, None)):
            yield f"min_size {item['min_size']} of an erasure-coded pool lies between k ({profile['k']}) and k+m"


def plan(draft: Draft) -> None:
    maps, rules, profiles = draft.maps, crush.future_rules(draft), erasure_profiles.future(draft)
    demands = _consumers.demands(draft.declaration["consumers"])
    budget: list[tuple[str, str, int, int, Rule]] = []
    kept = [name for name, pool in current(maps).items() if _SERVICE.fullmatch(name) or _service_marks(pool) or filesystems.user_of(maps, pool["id"])]
    for here, item, living in draft.walk("pools", current(maps), _delete, kept):
        said = _desired(item, living, demands.get(item["name"], set()))
        for field in _FIELDS:
            if said.get(field.option) and () < maps.release < field.since:
                draft.too_old(f"{here}: {field.option} needs", field.since)
        if said.get("rule") and said["rule"] not in rules and not maps.empty:
            draft.problem(f"{here}: rule {said['rule']} is neither in the CRUSH map nor declared in crush.rules")
            continue
        if item.get("erasure_profile") and item["erasure_profile"] not in profiles and not maps.empty:
            draft.problem(f"{here}: erasure_profile {item['erasure_profile']} is neither there nor declared in erasure_profiles")
            continue
        future = {**(living or {}), **said}
        rule = _rule_of(item, future, draft)
        chunks = erasure_profiles.chunks(profiles.get(item.get("erasure_profile") or "", {}))
        size = future.get("size") or (chunks if item["type"] == "erasure" else maps.default_int("osd_pool_default_size", 3))
        pg_num = future.get("pg_num") or maps.default_int("osd_pool_default_pg_num", 32)
        _check_room(here, item, said, living, size, rule, draft)
        if living is None:
            _create(here, item, said, rule, draft)
        elif not _update(here, item, said, living, draft):
            continue
        if rule is not None and (living is None or pg_num > living["pg_num"] or size > living["size"]):
            budget.append((here, item["name"], pg_num, size, rule))
    _check_budget(budget, draft)


def _service_marks(pool: Declared) -> set[str]:
    return set(pool["applications"]) & _SERVICE_APPLICATIONS


def _desired(item: Declared, living: t.Optional[Declared], demands: set[str]) -> dict[str, t.Any]:
    """What a pool is to be, only what is said of it. demands: the applications that consumers need."""
    raw = _said(item)
    said = {field.option: field.form(raw[field.option]) for field in _FIELDS if field.option in raw}
    if item.get("applications") is not None:
        said["applications"] = sorted({*item["applications"], *demands})
    elif demands and (living is None or not demands <= set(living["applications"])):
        said["applications"] = sorted({*demands, *(living["applications"] if living else ())})
    if living is not None and {**living, **said}["autoscale_mode"] == "on":
        said.pop("pg_num", None)  # the autoscaler's
    return said


def _rule_of(item: Declared, future: Declared, draft: Draft) -> t.Optional[Rule]:
    """The rule by which the pool will be placed: declared, its own, or the one that Ceph would give it."""
    if item["type"] == "erasure" and not future.get("rule"):
        own = {"name": item["name"], "type": "erasure", "erasure_profile": item.get("erasure_profile")}
        return crush_map.declared_rule(own, erasure_profiles.future(draft))
    return crush.future_rules(draft).get(future.get("rule") or draft.maps.default_rule or "")


def _check_room(here: str, item: Declared, said: Declared, living: t.Optional[Declared], size: int, rule: t.Optional[Rule], draft: Draft) -> None:
    """A pool whose copies cannot all be placed never gets clean."""
    if said.get("min_size") and said["min_size"] > size:
        draft.problem(f"{here}: min_size {said['min_size']} is greater than size {size}: I/O would stop for ever; lower min_size")
    if rule is not None and rule.type != item["type"]:
        draft.problem(f"{here}: rule {rule.name} is for {rule.type} pools, and this one is {item['type']}: choose another rule")
        return
    tree = crush_map.future_tree(draft)
    room = rule.capacity(tree) if rule is not None and crush_map.current_tree(draft.maps).has_osds else None
    if rule is None or room is None or size <= room:
        return
    if rule.domains and size > rule.domains * rule.osds_per_domain:
        text = f"{here}: size {size}, and rule {rule.name} places no more than {rule.domains * rule.osds_per_domain}"
    else:
        text = f"{here}: size {size} needs {rule.place_of(size)} (rule {rule.name}), and there are {rule.full_domains(tree)}"
    if item["type"] == "replicated" and not said.get("size"):
        if living is None:
            draft.warn(f"{text}: the pool will not become clean before more are added")
    elif living is None or any(said.get(key, living[key]) != living[key] for key in ("size", "rule")):
        draft.problem(f"{text}: lower size, add some, or use a rule with a smaller failure domain")
    else:
        draft.warn(f"{text}: it cannot become clean before more are added")


def _check_budget(budget: t.Sequence[tuple[str, str, int, int, Rule]], draft: Draft) -> None:
    """Foresee the mon's own refusal: more PG replicas on an OSD than mon_max_pg_per_osd (OSDMonitor::check_pg_num).

    budget: of pools that grow, where it is declared, its name, pg_num and size, and its rule.
    """
    tree, rules = crush_map.future_tree(draft), crush.future_rules(draft)
    limit = options.declared_int(draft.declaration["options"], "mon_max_pg_per_osd", draft.maps.default_int("mon_max_pg_per_osd", 250))
    if not crush_map.current_tree(draft.maps).has_osds or not limit:
        return
    passed_over = {name for _here, name, *_more in budget} | {id_[len("pool/") :] for id_ in draft.ids("pool", action="delete")}
    load: list[tuple[set[str], int]] = []
    for name, pool in current(draft.maps).items():
        if name not in passed_over and pool["rule"] in rules:
            load.append((set(rules[pool["rule"]].osds(tree)), pool["pg_num"] * pool["size"]))
    for here, _name, pg_num, size, rule in budget:
        osds = set(rule.osds(tree))
        if not osds:
            continue
        load.append((osds, pg_num * size))
        total = sum(replicas * len(osds & where) / len(where) for where, replicas in load if where)
        if total > limit * len(osds):
            draft.problem(
                f"{here}: pg_num {pg_num} with size {size} would bring {len(osds)} OSDs to "
                f"{round(total / len(osds))} PG replicas each, and mon_max_pg_per_osd is {limit}: lower pg_num, add OSDs, or raise that option"
            )


def _create(here: str, item: Declared, said: dict[str, t.Any], rule: t.Optional[Rule], draft: Draft) -> None:
    name, profile = item["name"], item.get("erasure_profile")
    if said.get("size") == 1:
        draft.warn(f"{draft.prefix}pools ({name}): size 1 keeps one copy: the first disk that fails takes data with it")
    at_once = {key: value for key, value in said.items() if key in _AT_ONCE and (key, value) != ("size", 1)}
    later = {key: value for key, value in said.items() if value and key not in at_once}

    def apply() -> None:
        draft.send("osd pool create", pool=name, pool_type=item["type"], erasure_code_profile=profile, **at_once)
        _set(draft, name, later)

    needs = {*options.of_pools(draft), *crush_map.bucket_ids(draft)}
    needs |= {f"{kind}/{needed}" for kind, needed in (("crush_rule", said.get("rule")), ("erasure_profile", profile)) if needed}
    if rule is not None and not said.get("rule"):  # one that comes with the pool
        needs |= crush.client_needs(rule, draft, f"{here}: its rule")
    draft.ensure("pool", name, None, {"type": item["type"], **({"erasure_profile": profile} if profile else {}), **said}, apply, needs=needs)


def _update(here: str, item: Declared, said: dict[str, t.Any], living: Declared, draft: Draft) -> bool:
    """Plan what differs of a pool that is there. False where it cannot become what is declared."""
    name = item["name"]
    stuck = ""
    if item["type"] != living["type"]:
        stuck = f"it is {living['type']}, and Ceph cannot make it {item['type']}"
    elif item.get("erasure_profile") and item["erasure_profile"] != living["erasure_profile"]:
        stuck = f"its erasure_profile is {living['erasure_profile']}, and that cannot change"
    elif living["allow_ec_overwrites"] and said.get("allow_ec_overwrites") is False:
        stuck = "allow_ec_overwrites cannot be taken back"
    if stuck:
        draft.problem(f"{here}: {stuck}: declare another pool and move the data")
        return False
    if "applications" in said:
        # A filesystem's or a gateway's own mark stays.
        marks = {"cephfs"} if filesystems.user_of(draft.maps, living["id"]) else set()
        said["applications"] = sorted({*said["applications"], *marks, *_service_marks(living)})
    said = {key: value for key, value in said.items() if value or living[key] is not None}
    before, after = differing(living, said)
    locks = [flag for flag, keys in _LOCKS.items() if living[flag] and keys & set(after)]
    if locks and not all(said.get(flag) is False for flag in locks):
        draft.problem(f"{here}: the pool has the flag {', '.join(locks)}, so {', '.join(after)} cannot change: declare the flag false first")
        return False
    risk, reason, moved = _risk(before, after, living, draft.maps.used_bytes(name))
    needs = {*options.of_pools(draft), *({f"crush_rule/{after['rule']}"} if after.get("rule") else ())}
    apply = functools.partial(_set, draft, name, after, living["applications"])
    draft.ensure("pool", name, before, after, apply, risk=risk, reason=reason, moved_bytes=moved, needs=needs)
    return True


def _risk(before: Declared, after: Declared, living: Declared, used: int) -> tuple[Risk, str, t.Optional[int]]:
    """What an update costs: the worst of its parts, why, and the bytes that move. used: those that the pool has."""
    reasons: list[str] = []
    moved = 0
    if "rule" in after:
        moved = used
        reasons.append("all its data is placed anew")
    if "size" in after:
        more = after["size"] - before["size"]
        moved += max(0, used * more // max(1, before["size"]))
        reasons.append(f"{more} more copies are made" if more > 0 else f"{-more} copies are removed: it survives fewer failures")
    if "pg_num" in after:
        moved = max(moved, used)
        reasons.append("placement groups are split" if after["pg_num"] > before["pg_num"] else "placement groups are merged")
    risk = Risk.MOVEMENT if reasons else Risk.NONE
    if after.get("size") == 1:
        risk = Risk.LOSS
        reasons.append("with one copy the first disk that fails takes data with it")
    elif after.get("min_size") == 1 and living["type"] == "replicated" and after.get("size", living["size"]) > 1:
        reasons.append("with min_size 1 it takes writes of which there is one copy")
    return risk, "; ".join(reasons), moved or None


def _set(draft: Draft, name: str, after: Declared, applications: t.Collection[str] = ()) -> None:
    """Send what differs: first what others depend on, then the rest side by side, and locks at last. applications: those it has."""

    def command(key: str) -> tuple[str, dict[str, t.Any]]:
        text = str(after[key]).lower() if isinstance(after[key], bool) else str(after[key])
        if key.startswith("quota_"):
            return "osd pool set-quota", {"pool": name, "field": _KEYS[key], "val": text}
        one = {"yes_i_really_mean_it": True} if (key, after[key]) == ("size", 1) else {}
        return "osd pool set", {"pool": name, "var": _KEYS[key], "val": text, **one}

    unlocked = [flag for flag in _LOCKS if after.get(flag) is False]
    first = [*unlocked, *(key for key in _FIRST if key in after)]
    last = [flag for flag in ("nodelete", *_LOCKS) if flag in after and flag not in unlocked]
    rest = [command(key) for key in after if key not in (*first, *last, "applications")]
    marks, marked = set(after.get("applications", applications)), set(applications)
    for action, those in (("enable", marks - marked), ("disable", marked - marks)):
        rest += [(f"osd pool application {action}", {"pool": name, "app": application, "yes_i_really_mean_it": True}) for application in those]
    with draft.gate("mon_allow_pool_size_one", needed=after.get("size") == 1):
        for prefix, arguments in map(command, first):
            draft.send(prefix, **arguments)
    draft.many(rest)
    for prefix, arguments in map(command, last):
        draft.send(prefix, **arguments)


def _delete(draft: Draft, here: str, name: str, living: Declared, pruned: str) -> None:
    filesystem = filesystems.user_of(draft.maps, living["id"])
    if filesystem and f"filesystem/{filesystem}" not in draft.ids("filesystem", action="delete"):
        draft.problem(f"{here}: it cannot go, the filesystem {filesystem} uses it")
        return
    if living["nodelete"]:
        draft.problem(f"{here}: it cannot go, it has the flag nodelete: take that off first (nodelete: false)")
        return

    def apply() -> None:
        with draft.gate("mon_allow_pool_delete"):
            draft.patiently("osd pool delete", pool=name, pool2=name, yes_i_really_really_mean_it=True)

    used = draft.maps.used_bytes(name)
    before = {**{key: living[key] for key in ("type", "size", "pg_num", "applications")}, "used_bytes": used}
    needs = {*options.of_pools(draft), *({f"filesystem/{filesystem}"} if filesystem else ())}
    draft.remove("pool", name, before, apply, pruned, f"all its data is destroyed ({used} bytes)", needs)
