# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crush, crush_map, erasure_profiles, filesystems, options, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, view
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, presence, real, record, string, strings

_COMPRESSION = {
    "mode": choice("When to compress.", ["none", "passive", "aggressive", "force"]),
    "algorithm": choice("How to compress.", ["none", "snappy", "zlib", "zstd", "lz4"]),
    "required_ratio": real("Keep compressed data only if it is at most this part of the original."),
    "min_blob_size": string("Don't compress chunks smaller than this."),
    "max_blob_size": string("Cut larger chunks into pieces of this size."),
}
OPTIONS: dict[str, t.Any] = {
    "name": string("The pool's name.", required=True),
    "state": presence("V(absent) destroys the pool and all its data, and needs O(allow_loss=pool/NAME)."),
    "type": choice("How data is kept. It cannot change later.", ["replicated", "erasure"], default="replicated"),
    "erasure_profile": string("The erasure-code profile of a pool of type V(erasure). It cannot change later."),
    "rule": string("The CRUSH rule. Changing it moves all the pool's data."),
    "size": integer("How many copies are kept. By default the cluster's C(osd_pool_default_size)."),
    "min_size": integer("How many copies must be available for I/O to go on."),
    "pg_num": integer("How many placement groups the pool has.\nIf the autoscaler is on for the pool, this is only the number to begin with."),
    "pg_num_min": integer("The autoscaler does not go below this."),
    "pg_num_max": integer("The autoscaler does not go above this. Needs Ceph 17."),
    "autoscale_mode": choice("Whether the autoscaler sets pg_num, or only warns.", ["on", "off", "warn"]),
    "bulk": boolean("Whether the pool will be large, so that it begins with its full number of placement groups."),
    "target_size": string("How large the pool is expected to become, for example V(10T)."),
    "target_size_ratio": real("The part of the cluster that the pool is expected to take, in relation to the ratios of other pools."),
    "applications": strings("What the pool is used for, for example V(rbd). The whole list; marks of Ceph's own services stay."),
    "quota_bytes": string("How much may be stored, for example V(500G); V(0) for no limit."),
    "quota_objects": integer("How many objects may be stored; V(0) for no limit."),
    "compression": record("Compression by the OSDs.", _COMPRESSION),
    "allow_ec_overwrites": boolean("Let RBD and CephFS write to a pool of type V(erasure). This cannot be undone."),
    "nodelete": boolean("Whether Ceph refuses to delete the pool."),
    "nopgchange": boolean("Whether Ceph refuses to change the pool's pg_num."),
    "nosizechange": boolean("Whether Ceph refuses to change the pool's size."),
}
# Ceph's own: never pruned. Pools of the gateway are made by it on demand, those of a filesystem are told by the fs map.
_SERVICE = re.compile(r"\..*|device_health_metrics|.*\.rgw\..*|cephfs\..*|nfs-ganesha")
_SERVICE_APPLICATIONS = {"mgr", "mgr_devicehealth", "rgw", "nfs"}


class Field(t.NamedTuple):
    """What can be set of a pool. option: as it is declared, compression_mode for compression.mode. since: the first release that has it.

    place: where it is in `osd dump`: beside the pool's name, among its options, or among its flags. key, seen: as `osd pool set` and `osd dump` name it,
    where they do otherwise. form: brings both sides into the form in which they are compared.
    """

    option: str
    place: str = ""
    key: str = ""
    seen: str = ""
    otherwise: t.Any = 0
    form: t.Callable[[t.Any], t.Any] = lambda value: value
    since: tuple[int, ...] = ()

    def of(self, raw: t.Mapping[str, t.Any]) -> t.Any:
        """Its value for a pool of `osd dump`."""
        key = self.seen or self.key or self.option
        if self.place == "flags":
            return key in raw.get("flags_names", "").split(",")
        value = (raw.get("options", {}) if self.place else raw).get(key, self.otherwise)
        return None if value is None else self.form(value)


# Quincy brought bulk and pg_num_max; Pacific took bulk over in 16.2.8. Ratios are told with six decimals only by some releases.
_FIELDS = (
    Field("rule", key="crush_rule"), Field("size"), Field("min_size"), Field("pg_num"), Field("pg_num_min", "options"),
    Field("pg_num_max", "options", since=(17, 0, 0)), Field("autoscale_mode", key="pg_autoscale_mode", otherwise="off"),
    Field("quota_objects", key="max_objects", seen="quota_max_objects"), Field("quota_bytes", key="max_bytes", seen="quota_max_bytes", form=values.size),
    Field("allow_ec_overwrites", "flags", seen="ec_overwrites"), Field("bulk", "flags", since=(16, 2, 8)),
    Field("nodelete", "flags"), Field("nopgchange", "flags"), Field("nosizechange", "flags"),
    Field("target_size_ratio", "options", form=values.decimals), Field("target_size", "options", "target_size_bytes", form=values.size),
    Field("compression_mode", "options", otherwise=None), Field("compression_algorithm", "options", otherwise=None),
    Field("compression_required_ratio", "options", otherwise=None, form=values.decimals),
    Field("compression_min_blob_size", "options", otherwise=None, form=values.size),
    Field("compression_max_blob_size", "options", otherwise=None, form=values.size),
)  # fmt: skip
# What the creation of a pool takes itself, which costs no further round of the monitors.
_AT_ONCE = ("pg_num", "rule", "autoscale_mode", "pg_num_min", "size")
# What others depend on, in the order in which it is sent; whatever isn't here is sent side by side afterwards.
_FIRST = ("size", "rule", "allow_ec_overwrites", "autoscale_mode", "pg_num")
# How long a mon may take to hear of an option that was just set (it learns of it by the next proposal).
_PATIENCE = 10.0
# The flags that keep others from being changed, and which.
_LOCKS = {"nosizechange": {"size", "min_size"}, "nopgchange": {"pg_num"}}


@view
def current(maps: Maps) -> dict[str, dict[str, t.Any]]:
    """The pools, by name, in the words of the declaration."""
    return {
        raw["pool_name"]: {
            **{field.option: field.of(raw) for field in _FIELDS},
            "type": "erasure" if raw["type"] == 3 else "replicated",
            "erasure_profile": raw.get("erasure_code_profile") or None,
            "rule": maps.rule_names.get(raw["crush_rule"], str(raw["crush_rule"])),
            "pg_num": raw.get("pg_num_target", raw["pg_num"]),
            "applications": sorted(raw.get("application_metadata", {})),
            "filesystem": filesystems.user_of(maps, raw["pool"]),
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
    yield from (f"{key} {said[key]} is less than 1" for key in ("size", "min_size", "pg_num") if key in said and int(said[key]) < 1)
    size, min_size, least, most = (int(said.get(key, 0)) for key in ("size", "min_size", "pg_num_min", "pg_num_max"))
    profile = next((one for one in profiles if one["name"] == item.get("erasure_profile")), {})
    erasure, named, data = item.get("type") == "erasure", bool(item.get("erasure_profile")), int(profile.get("k") or 0)
    few = not erasure and not item.get("rule") and hosts is not None and size > hosts
    chunks = erasure_profiles.chunks(erasure_profiles.full(profile, None)) if data and profile.get("m") else None
    for wrong, text in (
        ("size" in said and min_size > size, f"min_size {min_size} is greater than size {size}: I/O would stop for ever; lower min_size"),
        (most and least > most, f"pg_num_min {least} is greater than pg_num_max {most}"),
        (item.get("target_size") and item.get("target_size_ratio"), "target_size and target_size_ratio exclude each other: keep one of them"),
        (erasure and not named, "a pool of type erasure needs erasure_profile"),
        (erasure and "size" in said, "size of an erasure-coded pool is k+m of its profile: leave it out"),
        (erasure and chunks and min_size and not data <= min_size <= chunks, f"min_size {min_size} of an erasure-coded pool lies between k ({data}) and k+m"),
        (not erasure and named, "erasure_profile is for pools of type erasure: set type: erasure, or leave it out"),
        (not erasure and item.get("allow_ec_overwrites"), "allow_ec_overwrites is for pools of type erasure"),
        (few, f"size {size} needs as many hosts with OSDs, and there are {hosts}: lower size, or add hosts"),
    ):
        if wrong:
            yield text


def plan(draft: Draft) -> None:
    maps, rules, profiles = draft.maps, crush.future_rules(draft), erasure_profiles.future(draft)
    demands = _consumers.demands(draft.declaration["consumers"])
    growing: list[tuple[str, str, int, int, crush_map.Rule]] = []
    kept = [name for name, pool in current(maps).items() if _SERVICE.fullmatch(name) or _marks(pool)]
    for here, item, existing in draft.walk("pools", current(maps), _delete, kept):
        said, profile = _desired(item, existing, demands.get(item["name"], set())), item.get("erasure_profile")
        for field in _FIELDS:
            if said.get(field.option) and () < maps.release < field.since:
                draft.too_old(f"{here}: {field.option} needs", field.since)
        if not maps.empty and (
            draft.unknown(here, "rule", said.get("rule"), rules, "crush.rules") or draft.unknown(here, "erasure_profile", profile, profiles, "erasure_profiles")
        ):
            continue
        future = {**(existing or {}), **said}
        rule = rules.get(future.get("rule") or maps.default_rule or "")
        if item["type"] == "erasure" and not future.get("rule"):  # the one that comes with it
            rule = crush_map.declared_rule({"name": item["name"], "type": "erasure", "erasure_profile": profile}, profiles)
        chunks = erasure_profiles.chunks(profiles.get(profile or "", {}))
        size = future.get("size") or (chunks if item["type"] == "erasure" else maps.default_int("osd_pool_default_size", 3))
        pg_num = future.get("pg_num") or maps.default_int("osd_pool_default_pg_num", 32)
        _check_room(here, item, said, existing, size, rule, draft)
        if existing is None:
            _create(here, item, said, rule, draft)
        elif not _update(here, item, said, existing, draft):
            continue
        if rule is not None and (existing is None or pg_num > existing["pg_num"] or size > existing["size"]):
            growing.append((here, item["name"], pg_num, size, rule))
    _check_budget(growing, draft)


def _marks(pool: Declared) -> set[str]:
    """The applications of a pool that are a filesystem's or a gateway's own."""
    return _SERVICE_APPLICATIONS & set(pool["applications"]) | ({"cephfs"} if pool["filesystem"] else set())


def _desired(item: Declared, existing: t.Optional[Declared], demands: set[str]) -> dict[str, t.Any]:
    """What a pool is to be, only what is said of it. demands: the applications that consumers need."""
    raw, has = _said(item), set(existing["applications"] if existing else ())
    said = {field.option: field.form(raw[field.option]) for field in _FIELDS if field.option in raw}
    if item.get("applications") is not None:
        said["applications"] = sorted({*item["applications"], *demands})
    elif not demands <= has:
        said["applications"] = sorted(demands | has)
    if existing is not None and {**existing, **said}["autoscale_mode"] == "on":
        said.pop("pg_num", None)  # the autoscaler's
    return said


def _check_room(here: str, item: Declared, said: Declared, existing: t.Optional[Declared], size: int, rule: t.Optional[crush_map.Rule], draft: Draft) -> None:
    """A pool whose copies cannot all be placed never gets clean."""
    if said.get("min_size", 0) > size:
        draft.problem(f"{here}: min_size {said['min_size']} is greater than size {size}: I/O would stop for ever; lower min_size")
    if rule is not None and rule.type != item["type"]:
        draft.problem(f"{here}: rule {rule.name} is for {rule.type} pools, and this one is {item['type']}: choose another rule")
        return
    tree = crush_map.future_tree(draft)
    room = rule.capacity(tree) if rule is not None and crush_map.current_tree(draft.maps).has_osds else None
    if rule is None or room is None or size <= room:
        return
    most = rule.domains * rule.osds_per_domain
    text = f"{here}: size {size} needs {rule.place_of(size)} (rule {rule.name}), and there are {rule.full_domains(tree)}"
    if 0 < most < size:
        text = f"{here}: size {size}, and rule {rule.name} places no more than {most}"
    if item["type"] == "replicated" and not said.get("size"):
        if existing is None:
            draft.warn(f"{text}: the pool will not become clean before more are added")
    elif existing is None or any(said.get(key, existing[key]) != existing[key] for key in ("size", "rule")):
        draft.problem(f"{text}: lower size, add some, or use a rule with a smaller failure domain")
    else:
        draft.warn(f"{text}: it cannot become clean before more are added")


def _check_budget(growing: t.Sequence[tuple[str, str, int, int, crush_map.Rule]], draft: Draft) -> None:
    """Foresee the mon's own refusal: more PG replicas on an OSD than mon_max_pg_per_osd (OSDMonitor::check_pg_num).

    growing: where such a pool is declared, its name, pg_num and size, and its rule.
    """
    maps, tree, rules = draft.maps, crush_map.future_tree(draft), crush.future_rules(draft)
    limit = options.declared_int(draft.declaration["options"], "mon_max_pg_per_osd", maps.default_int("mon_max_pg_per_osd", 250))
    if not crush_map.current_tree(maps).has_osds or not limit:
        return
    passed_over = draft.ids("pool", action="delete") | {f"pool/{name}" for _here, name, *_more in growing}
    staying = [pool for name, pool in current(maps).items() if f"pool/{name}" not in passed_over and pool["rule"] in rules]
    load = [(set(rules[pool["rule"]].osds(tree)), pool["pg_num"] * pool["size"]) for pool in staying]
    for here, _name, pg_num, size, rule in growing:
        osds = set(rule.osds(tree))
        load.append((osds, pg_num * size))
        total = sum(replicas * len(osds & where) / len(where) for where, replicas in load if where)
        if total > limit * len(osds):
            would = f"pg_num {pg_num} with size {size} would bring {len(osds)} OSDs to {round(total / len(osds))} PG replicas each"
            draft.problem(f"{here}: {would}, and mon_max_pg_per_osd is {limit}: lower pg_num, add OSDs, or raise that option")


def _create(here: str, item: Declared, said: dict[str, t.Any], rule: t.Optional[crush_map.Rule], draft: Draft) -> None:
    name, profile = item["name"], item.get("erasure_profile")
    if said.get("size") == 1:
        draft.warn(f"{draft.prefix}pools ({name}): size 1 keeps one copy: the first disk that fails takes data with it")
    at_once = {key: value for key, value in said.items() if key in _AT_ONCE and (key, value) != ("size", 1)}
    later = {key: value for key, value in said.items() if value and key not in at_once}

    def apply() -> None:
        draft.send("osd pool create", pool=name, pool_type=item["type"], erasure_code_profile=profile, **at_once)
        _set(draft, name, later)

    needs = {*options.of_pools(draft), *crush_map.bucket_ids(draft), f"crush_rule/{said.get('rule')}", f"erasure_profile/{profile}"}
    if rule is not None and not said.get("rule"):  # one that comes with the pool
        needs |= crush.client_needs(rule, draft, f"{here}: its rule")
    draft.ensure("pool", name, None, {"type": item["type"], **({"erasure_profile": profile} if profile else {}), **said}, apply, needs=needs)


def _update(here: str, item: Declared, said: dict[str, t.Any], existing: Declared, draft: Draft) -> bool:
    """Plan what differs of a pool that is there. False where it cannot become what is declared."""
    name, profile = item["name"], existing["erasure_profile"]
    for stuck, why in (
        (item["type"] != existing["type"], f"it is {existing['type']}, and Ceph cannot make it {item['type']}"),
        (item.get("erasure_profile") not in (None, "", profile), f"its erasure_profile is {profile}, and that cannot change"),
        (existing["allow_ec_overwrites"] and said.get("allow_ec_overwrites") is False, "allow_ec_overwrites cannot be taken back"),
    ):
        if stuck:
            draft.problem(f"{here}: {why}: declare another pool and move the data")
            return False
    if "applications" in said:
        said["applications"] = sorted({*said["applications"], *_marks(existing)})
    before, after = differing(existing, {key: value for key, value in said.items() if value or existing[key] is not None})
    locks = [flag for flag, keys in _LOCKS.items() if existing[flag] and keys & set(after)]
    if any(said.get(flag) is not False for flag in locks):
        draft.problem(f"{here}: the pool has the flag {', '.join(locks)}, so {', '.join(after)} cannot change: declare the flag false first")
        return False
    apply = functools.partial(_set, draft, name, after, existing["applications"])
    needs = {*options.of_pools(draft), f"crush_rule/{after.get('rule')}"}
    draft.ensure("pool", name, before, after, apply, needs=needs, **_costs(before, after, existing, draft.maps.used_bytes(name)))
    return True


def _costs(before: Declared, after: Declared, existing: Declared, used: int) -> dict[str, t.Any]:
    """What an update costs: the worst of its parts, why, and the bytes that move. used: those that the pool has."""
    more = after.get("size", 0) - before.get("size", 0)
    moved = (used if "rule" in after else 0) + max(0, used * more // max(1, before.get("size", 1)))
    copies = f"{more} more copies are made" if more > 0 else f"{-more} copies are removed: it survives fewer failures"
    split = "placement groups are split" if after.get("pg_num", 0) > before.get("pg_num", 0) else "placement groups are merged"
    reasons = [text for key, text in (("rule", "all its data moves"), ("size", copies), ("pg_num", split)) if key in after]
    risk = Risk.MOVEMENT if reasons else Risk.NONE
    if after.get("size") == 1:
        risk = Risk.LOSS
        reasons.append("with one copy the first disk that fails takes data with it")
    elif after.get("min_size") == 1 and existing["type"] == "replicated" and after.get("size", existing["size"]) > 1:
        reasons.append("with min_size 1 it takes writes of which there is one copy")
    return {"risk": risk, "reason": "; ".join(reasons), "moved_bytes": max(moved, used if "pg_num" in after else 0) or None}


def _set(draft: Draft, name: str, after: Declared, applications: t.Collection[str] = ()) -> None:
    """Send what differs: first what others depend on, then the rest side by side, and locks at last. applications: those it has."""
    keys = {field.option: field.key or field.option for field in _FIELDS}

    def command(key: str) -> tuple[str, dict[str, t.Any]]:
        text = str(after[key]).lower() if isinstance(after[key], bool) else str(after[key])
        if key.startswith("quota_"):
            return "osd pool set-quota", {"pool": name, "field": keys[key], "val": text}
        one = {"yes_i_really_mean_it": True} if (key, after[key]) == ("size", 1) else {}
        return "osd pool set", {"pool": name, "var": keys[key], "val": text, **one}

    unlocked = [flag for flag in _LOCKS if after.get(flag) is False]
    first = [*unlocked, *(key for key in _FIRST if key in after)]
    last = [flag for flag in ("nodelete", *_LOCKS) if flag in after and flag not in unlocked]
    rest = [command(key) for key in after if key not in (*first, *last, "applications")]
    marks, marked = set(after.get("applications", applications)), set(applications)
    for action, those in (("enable", marks - marked), ("disable", marked - marks)):
        rest += [(f"osd pool application {action}", {"pool": name, "app": application, "yes_i_really_mean_it": True}) for application in those]
    with draft.gates.open("mon_allow_pool_size_one") if after.get("size") == 1 else contextlib.nullcontext():
        for prefix, arguments in map(command, first):
            draft.send(prefix, **arguments)
    draft.many(rest)
    for prefix, arguments in map(command, last):
        draft.send(prefix, **arguments)


def _delete(draft: Draft, here: str, name: str, existing: Declared, pruned: str) -> None:
    filesystem, used = existing["filesystem"], draft.maps.used_bytes(name)
    if filesystem and f"filesystem/{filesystem}" not in draft.ids("filesystem", action="delete"):
        draft.problem(f"{here}: it cannot go, the filesystem {filesystem} uses it")
        return
    if existing["nodelete"]:
        draft.problem(f"{here}: it cannot go, it has the flag nodelete: take that off first (nodelete: false)")
        return

    delete = draft.later("osd pool delete", pool=name, pool2=name, yes_i_really_really_mean_it=True)

    def apply() -> None:
        with draft.gates.open("mon_allow_pool_delete"):
            retry_while(_refused, delete, _PATIENCE, 0.1)

    before = {**{key: existing[key] for key in ("type", "size", "pg_num", "applications")}, "used_bytes": used}
    needs = {*options.of_pools(draft), f"filesystem/{filesystem}"}
    draft.remove("pool", name, before, apply, pruned, f"all its data is destroyed ({used} bytes)", needs)


def _refused(error: Exception) -> bool:
    return isinstance(error, CommandFailed) and error.code == errno.EPERM
