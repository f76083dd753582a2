# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Erasure-code profiles.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import functools
import json
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crush, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.crush import Tree
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import integer, mapping, presence, string

OPTIONS: dict[str, t.Any] = {
    "name": string("The profile's name.", required=True),
    "state": presence(),
    "k": integer("Chunks of data."),
    "m": integer("Chunks that may be lost."),
    "plugin": string("The plugin. By default Ceph's own choice."),
    "technique": string("The plugin's technique."),
    "failure_domain": string("The type of bucket of which each takes one chunk. By default V(host)."),
    "root": string("Where in the CRUSH map to place. By default V(default)."),
    "device_class": string("Place on OSDs of this class only."),
    "extra": mapping(
        "Further settings, in Ceph's own words.\n"
        "With C(crush-osds-per-failure-domain) and C(crush-num-failure-domains) each failure domain takes several chunks, for few hosts with many "
        "OSDs. This needs Ceph 19 and O(require_min_compat_client=squid)."
    ),
}

# What every plugin assumes where a profile does not say it; not each release writes it down.
_ASSUMED = {
    "crush-failure-domain": "host", "crush-root": "default", "crush-device-class": "", "crush-num-failure-domains": "0", "crush-osds-per-failure-domain": "0",
}  # fmt: skip
_KEYS = {
    "k": "k", "m": "m", "plugin": "plugin", "technique": "technique", "failure_domain": "crush-failure-domain", "root": "crush-root",
    "device_class": "crush-device-class",
}  # fmt: skip


def problems(declared: t.Sequence[t.Mapping[str, t.Any]], where: str, hosts: t.Optional[int] = None) -> list[str]:
    """What is wrong with the declaration alone. hosts: how many hosts will have OSDs, where that is known."""
    found = [f"{where}: {name} is declared twice: keep one of them" for name in values.duplicates(item["name"] for item in declared)]
    for number, item in enumerate(declared):
        here = f"{where}[{number}] ({item['name']})"
        if (item.get("state") or "present") == "absent":
            continue
        for key in ("k", "m"):
            if item.get(key) is None:
                found.append(f"{here}: {key} is missing: a profile needs k (chunks of data) and m (chunks that may be lost)")
            elif int(item[key]) < (2 if key == "k" else 1):
                found.append(f"{here}: {key} {item[key]} is too small: k is at least 2 and m at least 1")
        if item.get("k") and item.get("m"):
            found += [f"{here}: {problem}" for problem in _spread_problems(full(item, None), hosts)]
    return found


def _spread_problems(profile: t.Mapping[str, str], hosts: t.Optional[int]) -> list[str]:
    """What is wrong with where the chunks of a whole profile shall go, and whether so many hosts suffice."""
    try:
        domains, each = crush.spread_of(profile)
    except ValueError as error:
        return [f"crush-num-failure-domains and crush-osds-per-failure-domain: {error}"]
    total, domain = chunks(profile), profile["crush-failure-domain"]
    if each > 1 and not domains:
        return ["crush-osds-per-failure-domain needs crush-num-failure-domains: say in how many failure domains the chunks shall be"]
    if each > 1 and domain == "osd":
        return ["crush-osds-per-failure-domain: one OSD takes one chunk: choose failure_domain host or another type of bucket"]
    if domains and domains * each < total:
        which = f"{domains} failure domain{'s' if domains > 1 else ''}" + (f" with {each} OSDs each hold {domains * each} chunks" if each > 1 else "")
        which += "" if each > 1 else f" hold{'s' if domains == 1 else ''} {domains} chunk{'s' if domains > 1 else ''}"
        return [f"{which}, and {_sum(profile)} is {total}: raise crush-num-failure-domains or crush-osds-per-failure-domain, or lower k or m"]
    needed = -(-total // each)
    if hosts is not None and domain == "host" and needed > hosts:
        if each > 1:
            return [
                f"{_sum(profile)} is {total} with up to {each} chunks on each host, which needs {needed} hosts with OSDs, and there are {hosts}: "
                "lower k or m, add hosts, or choose failure_domain osd"
            ]
        return [f"{_sum(profile)} is {total}, and there are {hosts} hosts with OSDs: lower them, or choose failure_domain osd"]
    return []


def chunks(profile: t.Mapping[str, t.Any]) -> int:
    """How many chunks an object becomes by a profile in Ceph's words: the size of its pools. The plugin lrc adds one to each group of l."""
    if profile.get("plugin") == "lrc" and profile.get("mapping"):
        return len(profile["mapping"])
    total = int(profile.get("k") or 2) + int(profile.get("m") or 2)
    return total + (total // int(profile["l"]) if _has_groups(profile) else 0)


def _has_groups(profile: t.Mapping[str, t.Any]) -> bool:
    return profile.get("plugin") == "lrc" and str(profile.get("l", "")).isdigit() and int(profile["l"]) > 0


def _sum(profile: t.Mapping[str, t.Any]) -> str:
    return "k+m with the local chunks of lrc" if _has_groups(profile) else "k+m"


def wanted(item: t.Mapping[str, t.Any]) -> dict[str, str]:
    """What a declaration says of a profile, in Ceph's words: strings."""
    said = {theirs: str(item[ours]) for ours, theirs in _KEYS.items() if item.get(ours) is not None}
    said.update({str(key): _text(value) for key, value in (item.get("extra") or {}).items() if value is not None})
    return said


def _text(value: t.Any) -> str:
    # the plugin lrc has its layers in JSON
    return json.dumps(value) if isinstance(value, (list, dict)) else values.word(value)


def _meaning(key: str, value: t.Any) -> t.Any:
    """What a setting means to the plugins, so that spellings of it can be compared."""
    text = str(value).strip()
    if key == "stripe_unit":
        with contextlib.suppress(ValueError):
            return values.size(text)
    if text.lower() in ("true", "yes", "false", "no"):
        return text in ("true", "yes")  # and nothing else is: ErasureCode::to_bool
    try:
        return json.loads(text) if text.startswith("[") else int(text)
    except ValueError:
        return text


def full(item: t.Mapping[str, t.Any], living: t.Optional[t.Mapping[str, str]]) -> dict[str, str]:
    """A profile as it will be: what Ceph assumes, what is there, what is declared."""
    return {"plugin": "jerasure", **_ASSUMED, **(living or {}), **wanted(item)}


def plan(declared: t.Sequence[t.Mapping[str, t.Any]], maps: Maps, draft: Draft, tree: Tree, profiles: t.Mapping[str, t.Mapping[str, str]], prune: bool) -> None:
    """Plan erasure-code profiles. profiles: as they will be."""
    users: dict[str, list[str]] = {}
    for pool in maps.osd.get("pools", []):
        if pool.get("erasure_code_profile"):
            users.setdefault(pool["erasure_code_profile"], []).append(pool["pool_name"])
    for number, item in enumerate(declared):
        name, here = item["name"], f"{draft.prefix}erasure_profiles[{number}] ({item['name']})"
        living = maps.profiles.get(name)
        if item["state"] == "absent":
            if living is not None:
                _delete(name, living, draft, users, Risk.NONE)
            continue
        whole = profiles[name]
        if whole["crush-root"] not in tree:
            draft.problem(f"{here}: root {whole['crush-root']} is neither in the CRUSH map nor declared in crush.buckets")
        elif crush.current_tree(maps).has_osds and whole.get("k") and whole.get("m"):
            _check_room(here, name, profiles, draft, tree)
        spread = [key for key in ("crush-num-failure-domains", "crush-osds-per-failure-domain") if str(whole.get(key) or "0") != "0"]
        if spread and maps.release and maps.release < crush.SPREAD_SINCE:
            draft.problem(
                f"{here}: {' and '.join(spread)} need Ceph {values.shown(crush.SPREAD_SINCE)}, and this is {values.shown(maps.release)}, "
                "which would pass over them: leave them out, or upgrade first"
            )
            continue
        said = wanted(item)
        if living is None:
            draft.ensure("erasure_profile", name, None, said, _set(draft.send, name, said, False), needs=draft.bucket_needs)
            continue
        has = {**_ASSUMED, **living}
        before, after = differing(living, {key: value for key, value in said.items() if key not in has or _meaning(key, has[key]) != _meaning(key, value)})
        if not after:
            continue
        using = users.get(name, [])
        if using:
            keys = ", ".join(f"{key} {before[key]} -> {after[key]}" for key in after)
            draft.problem(f"{here}: {keys}: the profile of existing pools ({', '.join(using)}) cannot change: declare a new profile and a new pool")
            continue
        draft.ensure("erasure_profile", name, before, after, _set(draft.send, name, {**living, **said}, True), needs=draft.bucket_needs)
    if prune:
        kept = {item["name"] for item in declared} | set(users) | draft.wanted_profiles | {"default"}
        for name, living in maps.profiles.items():
            if name not in kept:
                _delete(name, living, draft, users, Risk.LOSS)


def _check_room(here: str, name: str, profiles: t.Mapping[str, t.Mapping[str, str]], draft: Draft, tree: Tree) -> None:
    """Find a problem where the chunks cannot all be placed."""
    rule, total = crush.declared_rule({"name": name, "type": "erasure", "erasure_profile": name}, profiles), chunks(profiles[name])
    if total <= (rule.capacity(tree) or 0):
        return
    of_class = f" of class {rule.device_class}" if rule.device_class else ""
    there = rule.full_domains(tree)
    lack = f"and there are {there} of {rule.failure_domain} with OSDs{of_class} below {rule.root}"
    if rule.spreads:
        lack = f"which needs {rule.place_of(total)}, and there are {there}"
    draft.problem(f"{here}: {_sum(profiles[name])} is {total}, {lack}: lower k or m, add hosts, or choose a smaller failure_domain")


def _set(send: t.Callable[..., t.Any], name: str, said: t.Mapping[str, str], replace: bool) -> t.Callable[[], None]:
    def apply() -> None:
        if replace:
            send("osd erasure-code-profile rm", name=name)
        send("osd erasure-code-profile set", name=name, profile=[f"{key}={value}" for key, value in sorted(said.items()) if value != ""])

    return apply


def _delete(name: str, living: t.Mapping[str, str], draft: Draft, users: t.Mapping[str, list[str]], risk: Risk) -> None:
    left = [pool for pool in users.get(name, []) if f"pool/{pool}" not in draft.ids("pool", action="delete")]
    if left:
        draft.problem(f"{draft.prefix}erasure_profiles ({name}): it cannot go, the pools {', '.join(left)} use it")
        return
    needs = [f"pool/{pool}" for pool in users.get(name, [])]
    reason = "it is not declared, and prune names erasure_profiles" if risk is Risk.LOSS else ""
    remove = functools.partial(draft.send, "osd erasure-code-profile rm", name=name)
    draft.ensure("erasure_profile", name, living, None, remove, risk=risk, reason=reason, needs=needs)
