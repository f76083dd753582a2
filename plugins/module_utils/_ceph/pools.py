# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crush, erasure_profiles, filesystems, options, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.crush import Rule, Tree
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
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
# Set by creating the pool, and never again: each of the others has a `osd pool set`.
_FLAGS = ("bulk", "nodelete", "nopgchange", "nosizechange")
# Some releases tell them with six decimals only.
_RATIOS = ("target_size_ratio", "compression_required_ratio")
_COMPRESSION_SIZES = ("min_blob_size", "max_blob_size")
# Options of a pool that are in its dictionary "options": our name, Ceph's.
_IN_OPTIONS = {"pg_num_min": "pg_num_min", "pg_num_max": "pg_num_max", "target_size": "target_size_bytes", "target_size_ratio": "target_size_ratio"}
# Quincy brought both; Pacific took bulk over in 16.2.8 and not pg_num_max.
_SINCE = {"bulk": (16, 2, 8), "pg_num_max": (17, 0, 0)}


@view
def current(maps: Maps) -> dict[str, dict[str, t.Any]]:
    """The pools, by name, in the words of the declaration."""
    names = maps.rule_names
    return {raw["pool_name"]: observe(raw, names) for raw in maps.osd.get("pools", [])}


def observe(raw: t.Mapping[str, t.Any], rule_names: t.Mapping[int, str]) -> dict[str, t.Any]:
    """One pool of `osd dump`, in the words of the declaration."""
    flags = set(raw.get("flags_names", "").split(","))
    options = raw.get("options", {})
    pool: dict[str, t.Any] = {
        "name": raw["pool_name"],
        "id": raw["pool"],
        "type": "erasure" if raw["type"] == 3 else "replicated",
        "erasure_profile": raw.get("erasure_code_profile") or None,
        "rule": rule_names.get(raw["crush_rule"], str(raw["crush_rule"])),
        "size": raw["size"],
        "min_size": raw["min_size"],
        "pg_num": raw.get("pg_num_target", raw["pg_num"]),
        "autoscale_mode": raw.get("pg_autoscale_mode", "off"),
        "applications": sorted(raw.get("application_metadata", {})),
        "quota_bytes": raw.get("quota_max_bytes", 0),
        "quota_objects": raw.get("quota_max_objects", 0),
        "allow_ec_overwrites": "ec_overwrites" in flags,
    }
    for flag in _FLAGS:
        pool[flag] = flag in flags
    for ours, theirs in _IN_OPTIONS.items():
        pool[ours] = options.get(theirs, 0)
    for key in OPTIONS["compression"]["options"]:
        pool[f"compression_{key}"] = options.get(f"compression_{key}")
    for key in _RATIOS:
        if pool[key] is not None:
            pool[key] = values.decimals(pool[key])
    return pool


def wanted(item: t.Mapping[str, t.Any], demands: t.Collection[str] = ()) -> dict[str, t.Any]:
    """What a declaration says of a pool, in the same words; only what it says. demands: applications that consumers need."""
    said: dict[str, t.Any] = {}
    for key in ("rule", "size", "min_size", "pg_num", "pg_num_min", "pg_num_max", "autoscale_mode", "quota_objects", "allow_ec_overwrites", *_FLAGS):
        if item.get(key) is not None:
            said[key] = item[key]
    if item.get("target_size_ratio") is not None:
        said["target_size_ratio"] = item["target_size_ratio"]
    for key in ("quota_bytes", "target_size"):
        if item.get(key) is not None:
            said[key] = values.size(item[key])
    if item.get("applications") is not None:
        said["applications"] = sorted({*item["applications"], *demands})
    for key, value in (item.get("compression") or {}).items():
        if value is not None:
            said[f"compression_{key}"] = values.size(value) if key in _COMPRESSION_SIZES else value
    return {key: values.decimals(value) if key in _RATIOS else value for key, value in said.items()}


def problems(declared: t.Sequence[t.Mapping[str, t.Any]], profiles: t.Sequence[t.Mapping[str, t.Any]], where: str, hosts: t.Optional[int] = None) -> list[str]:
    """What is wrong with the declaration alone. hosts: how many hosts will have OSDs, where that is known."""
    found = [f"{where}: {name} is declared twice: keep one of them" for name in values.duplicates(item["name"] for item in declared)]
    by_name = {profile["name"]: profile for profile in profiles}
    for number, item in enumerate(declared):
        here = f"{where}[{number}] ({item['name']})"
        if (item.get("state") or "present") == "absent":
            continue
        sizes = [("quota_bytes", item.get("quota_bytes")), ("target_size", item.get("target_size"))]
        sizes += [(f"compression.{key}", (item.get("compression") or {}).get(key)) for key in _COMPRESSION_SIZES]
        for key, text in sizes:
            if text is not None:
                try:
                    values.size(text)
                except ValueError as error:
                    found.append(f"{here}: {key}: {error}")
        for key in ("size", "min_size", "pg_num"):
            if item.get(key) is not None and int(item[key]) < 1:
                found.append(f"{here}: {key} {item[key]} is less than 1")
        if item.get("size") is not None and item.get("min_size") is not None and int(item["min_size"]) > int(item["size"]):
            found.append(f"{here}: min_size {item['min_size']} is greater than size {item['size']}: I/O would stop for ever; lower min_size")
        if item.get("pg_num_min") and item.get("pg_num_max") and int(item["pg_num_min"]) > int(item["pg_num_max"]):
            found.append(f"{here}: pg_num_min {item['pg_num_min']} is greater than pg_num_max {item['pg_num_max']}")
        if item.get("target_size") and item.get("target_size_ratio"):
            found.append(f"{here}: target_size and target_size_ratio exclude each other: keep one of them")
        if (item.get("type") or "replicated") == "erasure":
            if not item.get("erasure_profile"):
                found.append(f"{here}: a pool of type erasure needs erasure_profile")
            if item.get("size") is not None:
                found.append(f"{here}: size of an erasure-coded pool is k+m of its profile: leave it out")
            profile = by_name.get(item.get("erasure_profile") or "")
            if profile and profile.get("k") and profile.get("m") and item.get("min_size"):
                if not int(profile["k"]) <= int(item["min_size"]) <= erasure_profiles.chunks(erasure_profiles.full(profile, None)):
                    found.append(f"{here}: min_size {item['min_size']} of an erasure-coded pool lies between k ({profile['k']}) and k+m")
        else:
            if item.get("erasure_profile"):
                found.append(f"{here}: erasure_profile is for pools of type erasure: set type: erasure, or leave it out")
            if item.get("allow_ec_overwrites"):
                found.append(f"{here}: allow_ec_overwrites is for pools of type erasure")
            if hosts is not None and item.get("size") and not item.get("rule") and int(item["size"]) > hosts:
                found.append(f"{here}: size {item['size']} needs as many hosts with OSDs, and there are {hosts}: lower size, or add hosts")
    return found


def plan(
    declared: t.Sequence[t.Mapping[str, t.Any]],
    maps: Maps,
    draft: Draft,
    tree: Tree,
    rules: t.Mapping[str, Rule],
    profiles: t.Mapping[str, t.Mapping[str, str]],
    demands: t.Mapping[str, t.Collection[str]],
    prune: bool,
) -> None:
    """Plan pools. tree, rules, profiles: as they will be. demands: applications that consumers need of a pool."""
    budget: list[tuple[str, dict[str, t.Any], Rule]] = []
    for number, item in enumerate(declared):
        name, here = item["name"], f"{draft.prefix}pools[{number}] ({item['name']})"
        living = current(maps).get(name)
        if item["state"] == "absent":
            if living is not None:
                _plan_delete(living, maps, draft, here, "all its data is destroyed")
            continue
        applications = demands.get(name, ())
        said = wanted(item, applications)
        if applications and "applications" not in said and (living is None or not set(applications) <= set(living["applications"])):
            said["applications"] = sorted({*applications, *(living["applications"] if living else ())})
        for key, since in _SINCE.items():
            if said.get(key) and maps.release and maps.release < since:
                draft.problem(f"{here}: {key} needs Ceph {values.shown(since)}, and this is {values.shown(maps.release)}: leave it out, or upgrade first")
        rule_name = said.get("rule")
        if rule_name and rule_name not in rules and not maps.empty:
            draft.problem(f"{here}: rule {rule_name} is neither in the CRUSH map nor declared in crush.rules")
            continue
        profile_name = item.get("erasure_profile")
        if profile_name and profile_name not in profiles and not maps.empty:
            draft.problem(f"{here}: erasure_profile {profile_name} is neither there nor declared in erasure_profiles")
            continue
        rule = _rule_of(item, said, living, maps, rules, profiles)
        _check_room(here, item, said, living, maps, draft, tree, rule, profiles)
        if living is None:
            _plan_create(here, item, said, maps, draft, rule)
            after = {"size": _size_of(item, said, maps, profiles), "pg_num": said.get("pg_num") or maps.default_int("osd_pool_default_pg_num", 32)}
        else:
            if not _plan_update(here, item, said, living, maps, draft):
                continue
            scaled = said.get("autoscale_mode", living["autoscale_mode"]) == "on"
            after = {"size": said.get("size", living["size"]), "pg_num": living["pg_num"] if scaled else said.get("pg_num", living["pg_num"])}
        if rule is not None and (living is None or after["pg_num"] > living["pg_num"] or after["size"] > living["size"]):
            budget.append((here, {"name": name, **after}, rule))
    if prune:
        kept = {item["name"] for item in declared}
        for name, living in current(maps).items():
            ours = not _SERVICE.fullmatch(name) and not set(living["applications"]) & _SERVICE_APPLICATIONS and not filesystems.user_of(maps, living["id"])
            if name not in kept and ours:
                _plan_delete(living, maps, draft, f"{draft.prefix}prune ({name})", "it is not declared, and prune names pools: all its data is destroyed")
    _check_budget(budget, maps, draft, tree, rules)


def _size_of(item: t.Mapping[str, t.Any], said: t.Mapping[str, t.Any], maps: Maps, profiles: t.Mapping[str, t.Mapping[str, str]]) -> int:
    if item["type"] == "erasure":
        return erasure_profiles.chunks(profiles.get(item.get("erasure_profile") or "", {}))
    return int(said.get("size") or maps.default_int("osd_pool_default_size", 3))


def _rule_of(
    item: t.Mapping[str, t.Any],
    said: t.Mapping[str, t.Any],
    living: t.Optional[t.Mapping[str, t.Any]],
    maps: Maps,
    rules: t.Mapping[str, Rule],
    profiles: t.Mapping[str, t.Mapping[str, str]],
) -> t.Optional[Rule]:
    """The rule by which the pool will be placed: declared, its own, or the one that Ceph would give it."""
    if said.get("rule"):
        return rules.get(said["rule"])
    if living is not None:
        return rules.get(living["rule"])
    if item["type"] == "erasure":
        return crush.declared_rule({"name": item["name"], "type": "erasure", "erasure_profile": item.get("erasure_profile")}, profiles)
    first = maps.default_rule
    return rules.get(first) if first else None


def _check_room(
    here: str,
    item: t.Mapping[str, t.Any],
    said: t.Mapping[str, t.Any],
    living: t.Optional[t.Mapping[str, t.Any]],
    maps: Maps,
    draft: Draft,
    tree: Tree,
    rule: t.Optional[Rule],
    profiles: t.Mapping[str, t.Mapping[str, str]],
) -> None:
    """A pool whose copies cannot all be placed never gets clean."""
    size = int(living["size"]) if living is not None and not said.get("size") else _size_of(item, said, maps, profiles)
    if said.get("min_size") and said["min_size"] > size:
        draft.problem(f"{here}: min_size {said['min_size']} is greater than size {size}: I/O would stop for ever; lower min_size")
    if rule is not None and rule.type != item["type"]:
        draft.problem(f"{here}: rule {rule.name} is for {rule.type} pools, and this one is {item['type']}: choose another rule")
        return
    room = rule.capacity(tree) if rule is not None and crush.current_tree(maps).has_osds else None
    if rule is None or room is None or size <= room:
        return
    if rule.domains and size > rule.domains * rule.osds_per_domain:
        text = f"{here}: size {size}, and rule {rule.name} places no more than {rule.domains * rule.osds_per_domain}"
    else:
        text = f"{here}: size {size} needs {rule.place_of(size)} (rule {rule.name}), and there are {rule.full_domains(tree)}"
    if item["type"] == "replicated" and not said.get("size"):
        if living is None:
            draft.warn(f"{text}: the pool will not become clean before more are added")
    elif living is None or said.get("size", living["size"]) != living["size"] or said.get("rule", living["rule"]) != living["rule"]:
        draft.problem(f"{text}: lower size, add some, or use a rule with a smaller failure domain")
    else:
        draft.warn(f"{text}: it cannot become clean before more are added")


def _check_budget(budget: t.Sequence[tuple[str, dict[str, t.Any], Rule]], maps: Maps, draft: Draft, tree: Tree, rules: t.Mapping[str, Rule]) -> None:
    """Foresee the mon's own refusal: more PG replicas on an OSD than mon_max_pg_per_osd (OSDMonitor::check_pg_num)."""
    limit = options.declared_int(draft.declaration["options"], "mon_max_pg_per_osd", maps.default_int("mon_max_pg_per_osd", 250))
    if not crush.current_tree(maps).has_osds or not limit:
        return
    growing = {wanted_pool["name"] for _here, wanted_pool, _rule in budget}
    load: list[tuple[set[str], int]] = []
    for pool in current(maps).values():
        rule = rules.get(pool["rule"])
        if pool["name"] not in growing and f"pool/{pool['name']}" not in draft.ids("pool", action="delete"):
            load.append((set(rule.osds(tree)) if rule else set(), pool["pg_num"] * pool["size"]))
    for here, wanted_pool, rule in budget:
        osds = set(rule.osds(tree))
        if not osds:
            continue
        load.append((osds, wanted_pool["pg_num"] * wanted_pool["size"]))
        total = sum(replicas * len(osds & where) / len(where) for where, replicas in load if where)
        if total > limit * len(osds):
            draft.problem(
                f"{here}: pg_num {wanted_pool['pg_num']} with size {wanted_pool['size']} would bring {len(osds)} OSDs to "
                f"{round(total / len(osds))} PG replicas each, and mon_max_pg_per_osd is {limit}: lower pg_num, add OSDs, or raise that option"
            )


def _plan_create(here: str, item: t.Mapping[str, t.Any], said: dict[str, t.Any], maps: Maps, draft: Draft, rule: t.Optional[Rule]) -> None:
    name = item["name"]
    after = {"type": item["type"], **({"erasure_profile": item["erasure_profile"]} if item.get("erasure_profile") else {}), **said}
    if said.get("size") == 1:
        draft.warn(f"{draft.prefix}pools ({name}): size 1 keeps one copy: the first disk that fails takes data with it")

    # What the creation takes itself costs no further round of the monitors.
    at_once = {key: value for key, value in said.items() if key in ("pg_num", "rule", "autoscale_mode", "pg_num_min") or (key == "size" and value > 1)}
    later = {key: value for key, value in said.items() if key not in at_once and not _is_default(key, value)}

    def apply() -> None:
        draft.send("osd pool create", pool=name, pool_type=item["type"], erasure_code_profile=item.get("erasure_profile"), **at_once)
        _set_all(draft, name, later, ())

    needs = {*draft.option_needs, *draft.bucket_needs, *({f"crush_rule/{said['rule']}"} if said.get("rule") else ())}
    if item.get("erasure_profile"):
        needs.add(f"erasure_profile/{item['erasure_profile']}")
    if rule is not None and not said.get("rule"):  # one that comes with the pool
        needs |= crush.client_needs(rule, maps, draft, f"{here}: its rule")
    draft.ensure("pool", name, None, after, apply, needs=needs)


def _is_default(key: str, value: t.Any) -> bool:
    return value in (False, 0, []) and key != "size"


def _plan_update(here: str, item: t.Mapping[str, t.Any], said: dict[str, t.Any], living: t.Mapping[str, t.Any], maps: Maps, draft: Draft) -> bool:
    """Plan what differs of a pool that is there. False where it cannot become what is declared."""
    name = item["name"]
    if item["type"] != living["type"]:
        draft.problem(f"{here}: it is {living['type']}, and Ceph cannot make it {item['type']}: declare another pool and move the data")
        return False
    if item.get("erasure_profile") and item["erasure_profile"] != living["erasure_profile"]:
        draft.problem(f"{here}: its erasure_profile is {living['erasure_profile']}, and that cannot change: declare another pool and move the data")
        return False
    said = dict(said)
    if said.get("autoscale_mode", living["autoscale_mode"]) == "on":
        said.pop("pg_num", None)  # the autoscaler's
    if living["allow_ec_overwrites"] and said.get("allow_ec_overwrites") is False:
        draft.problem(f"{here}: allow_ec_overwrites cannot be taken back: declare another pool and move the data")
        return False
    if "applications" in said:
        # A filesystem's or a gateway's own mark stays.
        said["applications"] = sorted({*said["applications"], *({"cephfs"} if filesystems.user_of(maps, living["id"]) else set()), *_kept_applications(living)})
    before, after = differing(living, said)
    before = {key: value for key, value in before.items() if not (value is None and _is_default(key, after[key]))}
    after = {key: after[key] for key in before}
    if not after:
        return True
    risk, reason, moved = _risk(name, before, after, living, maps)
    applications = living["applications"]
    unlock = [flag for flag in ("nosizechange", "nopgchange") if living[flag] and _locked(flag, after)]
    if unlock and not all(said.get(flag) is False for flag in unlock):
        draft.problem(f"{here}: the pool has the flag {', '.join(unlock)}, so {', '.join(after)} cannot change: declare the flag false first")
        return False
    needs = {f"crush_rule/{after['rule']}"} if after.get("rule") else set()
    draft.ensure(
        "pool",
        name,
        before,
        after,
        lambda: _set_all(draft, name, after, applications),
        risk=risk,
        reason=reason,
        moved_bytes=moved,
        needs=draft.option_needs | needs,
    )
    return True


def _kept_applications(living: t.Mapping[str, t.Any]) -> set[str]:
    return set(living["applications"]) & _SERVICE_APPLICATIONS


def _locked(flag: str, after: t.Mapping[str, t.Any]) -> bool:
    return bool({"nosizechange": {"size", "min_size"}, "nopgchange": {"pg_num"}}[flag] & set(after))


def _risk(
    name: str, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any], living: t.Mapping[str, t.Any], maps: Maps
) -> tuple[Risk, str, t.Optional[int]]:
    """What an update costs. The worst of its parts counts."""
    used = maps.used_bytes(name)
    reasons: list[str] = []
    moved = 0
    risk = Risk.NONE
    if "rule" in after:
        risk, moved = Risk.MOVEMENT, used
        reasons.append("all its data is placed anew")
    if "size" in after and after["size"] > before["size"]:
        risk = Risk.MOVEMENT
        moved += used * (after["size"] - before["size"]) // max(1, before["size"])
        reasons.append(f"{after['size'] - before['size']} more copies are made")
    elif "size" in after:
        risk = Risk.MOVEMENT
        reasons.append(f"{before['size'] - after['size']} copies are removed: it survives fewer failures")
    if "pg_num" in after:
        risk, moved = Risk.MOVEMENT, max(moved, used)
        reasons.append("placement groups are split" if after["pg_num"] > before["pg_num"] else "placement groups are merged")
    if after.get("size") == 1:
        risk = Risk.LOSS
        reasons.append("with one copy the first disk that fails takes data with it")
    elif after.get("min_size") == 1 and living["type"] == "replicated" and after.get("size", living["size"]) > 1:
        reasons.append("with min_size 1 it takes writes of which there is one copy")
    return risk, "; ".join(reasons), moved or None


def _set_all(draft: Draft, name: str, after: t.Mapping[str, t.Any], applications: t.Collection[str]) -> None:
    """Send what differs: first what others depend on, then the rest side by side."""
    send = draft.send
    first: list[tuple[str, dict[str, t.Any]]] = []
    rest: list[tuple[str, dict[str, t.Any]]] = []

    def put(calls: list[tuple[str, dict[str, t.Any]]], key: str, value: t.Any, **more: t.Any) -> None:
        calls.append(("osd pool set", {"pool": name, "var": key, "val": str(value), **more}))

    for flag in ("nosizechange", "nopgchange"):
        if after.get(flag) is False:
            put(first, flag, "false")
    one = after.get("size") == 1
    if "size" in after:
        put(first, "size", after["size"], **({"yes_i_really_mean_it": True} if one else {}))
    for key, theirs in (("rule", "crush_rule"), ("allow_ec_overwrites", "allow_ec_overwrites"), ("autoscale_mode", "pg_autoscale_mode")):
        if key in after:
            put(first, theirs, str(after[key]).lower() if isinstance(after[key], bool) else after[key])
    if "pg_num" in after:
        put(first, "pg_num", after["pg_num"])
    if "min_size" in after:
        put(rest, "min_size", after["min_size"])
    for ours, theirs in _IN_OPTIONS.items():
        if ours in after:
            put(rest, theirs, after[ours])
    for key, value in after.items():
        if key.startswith("compression_"):
            put(rest, key, value)
    if "bulk" in after:
        put(rest, "bulk", str(after["bulk"]).lower())
    for key, field in (("quota_bytes", "max_bytes"), ("quota_objects", "max_objects")):
        if key in after:
            rest.append(("osd pool set-quota", {"pool": name, "field": field, "val": str(after[key])}))
    if "applications" in after:
        for application in set(after["applications"]) - set(applications):
            rest.append(("osd pool application enable", {"pool": name, "app": application, "yes_i_really_mean_it": True}))
        for application in set(applications) - set(after["applications"]):
            rest.append(("osd pool application disable", {"pool": name, "app": application, "yes_i_really_mean_it": True}))
    with draft.gate("mon_allow_pool_size_one", needed=one):
        for prefix, arguments in first:
            send(prefix, **arguments)
    draft.many(rest)
    for flag in ("nodelete", "nosizechange", "nopgchange"):
        if after.get(flag) is True or (flag == "nodelete" and after.get(flag) is False):
            send("osd pool set", pool=name, var=flag, val=str(after[flag]).lower())


def _plan_delete(living: t.Mapping[str, t.Any], maps: Maps, draft: Draft, here: str, reason: str) -> None:
    name = living["name"]
    filesystem = filesystems.user_of(maps, living["id"])
    if filesystem and f"filesystem/{filesystem}" not in draft.ids("filesystem", action="delete"):
        draft.problem(f"{here}: it cannot go, the filesystem {filesystem} uses it")
        return
    if living["nodelete"]:
        draft.problem(f"{here}: it cannot go, it has the flag nodelete: take that off first (nodelete: false)")
        return

    def apply() -> None:
        with draft.gate("mon_allow_pool_delete"):
            draft.patiently("osd pool delete", pool=name, pool2=name, yes_i_really_really_mean_it=True)

    used = maps.used_bytes(name)
    before = {"type": living["type"], "size": living["size"], "pg_num": living["pg_num"], "applications": living["applications"], "used_bytes": used}
    needs = draft.option_needs | ({f"filesystem/{filesystem}"} if filesystem else set())
    draft.ensure("pool", name, before, None, apply, risk=Risk.LOSS, reason=f"{reason} ({used} bytes)", needs=needs)
