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

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crush_map, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, view
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import integer, mapping, presence, string

OPTIONS: dict[str, t.Any] = {
    "name": string("The profile's name.", required=True),
    "state": presence(),
    "k": integer("Chunks of data."),
    "m": integer("Chunks that may be lost."),
    "plugin": string("The plugin. By default Ceph's own choice."),
    "technique": string("The plugin's technique."),
    "failure_domain": string("The type of bucket of which each takes one chunk. By default V(host)."),
    "root": string("The bucket of the CRUSH map to place in. By default V(default)."),
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
_CRUSH = {"failure_domain": "crush-failure-domain", "root": "crush-root", "device_class": "crush-device-class"}


def problems(item: Declared, hosts: t.Optional[int] = None) -> t.Iterator[str]:
    """What is wrong with a declared profile alone, and whether its chunks have a place. hosts: how many hosts will have OSDs, where that is known."""
    for key, least in (("k", 2), ("m", 1)):
        if item.get(key) is None:
            yield f"{key} is missing: a profile needs k (chunks of data) and m (chunks that may be lost)"
        elif int(item[key]) < least:
            yield f"{key} {item[key]} is too small: k is at least 2 and m at least 1"
    if not item.get("k") or not item.get("m"):
        return
    profile = full(item, None)
    try:
        domains, each = crush_map.spread_of(profile)
    except ValueError as error:
        yield f"crush-num-failure-domains and crush-osds-per-failure-domain: {error}"
        return
    total, domain = chunks(profile), profile["crush-failure-domain"]
    needed, sum_is = -(-total // each), _sum(profile)
    if each > 1 and not domains:
        yield "crush-osds-per-failure-domain needs crush-num-failure-domains: say in how many failure domains the chunks shall be"
    elif each > 1 and domain == "osd":
        yield "crush-osds-per-failure-domain: one OSD takes one chunk: choose failure_domain host or another type of bucket"
    elif domains and domains * each < total:
        filled = f" with {each} OSDs each" if each > 1 else ""
        hold = f"{domains} failure domain{'s' if domains > 1 else ''}{filled} hold {domains * each} chunks"
        yield f"{hold}, and {sum_is}: raise crush-num-failure-domains or crush-osds-per-failure-domain, or lower k or m"
    elif hosts is not None and domain == "host" and needed > hosts:
        spread = f" with up to {each} chunks on each host, which needs {needed} hosts with OSDs" if each > 1 else ""
        yield f"{sum_is}{spread}, and there are {hosts}{'' if spread else ' hosts with OSDs'}: lower k or m, add hosts, or choose failure_domain osd"


def chunks(profile: Declared) -> int:
    """How many chunks an object becomes by a profile in Ceph's words: the size of its pools. The plugin lrc adds one to each group of l."""
    if profile.get("plugin") == "lrc" and profile.get("mapping"):
        return len(profile["mapping"])
    total, group = int(profile.get("k") or 2) + int(profile.get("m") or 2), str(profile.get("l", ""))
    return total + (total // int(group) if profile.get("plugin") == "lrc" and group.isdigit() and int(group) else 0)


def _sum(profile: Declared) -> str:
    local = " with the local chunks of lrc" if profile.get("plugin") == "lrc" and profile.get("l") else ""
    return f"k+m{local} is {chunks(profile)}"


def _said(item: Declared) -> dict[str, str]:
    """What a declaration says of a profile, in Ceph's words: strings. The plugin lrc has its layers in JSON."""
    ours = ("k", "m", "plugin", "technique", *_CRUSH)
    said = {_CRUSH.get(key, key): str(item[key]) for key in ours if item.get(key) is not None}
    for key, value in (item.get("extra") or {}).items():
        if value is not None:
            said[str(key)] = json.dumps(value) if isinstance(value, (list, dict)) else values.word(value)
    return said


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


def full(item: Declared, existing: t.Optional[t.Mapping[str, str]]) -> dict[str, str]:
    """A profile as it will be: what Ceph assumes, what is there, what is declared."""
    return {"plugin": "jerasure", **_ASSUMED, **(existing or {}), **_said(item)}


@view
def future(draft: Draft) -> dict[str, dict[str, str]]:
    """The profiles as they will be, by name."""
    existing = draft.maps.osd.get("erasure_code_profiles", {})
    profiles = dict(existing)
    for item in draft.declaration["erasure_profiles"]:
        profiles.pop(item["name"], None)
        if item["state"] == "present":
            profiles[item["name"]] = full(item, existing.get(item["name"]))
    return profiles


def plan(draft: Draft) -> None:
    maps, tree, profiles = draft.maps, crush_map.future_tree(draft), future(draft)
    users, has_osds = maps.pools_by("erasure_code_profile"), crush_map.current_tree(maps).has_osds
    kept = {*users, *(item.get("erasure_profile") for item in draft.declaration["pools"] if item["state"] == "present"), "default"}
    for here, item, existing in draft.walk("erasure_profiles", maps.osd.get("erasure_code_profiles", {}), _delete, kept):
        name, said, whole = item["name"], _said(item), profiles[item["name"]]
        apply = functools.partial(_set, draft, name, {**(existing or {}), **said}, existing is not None)
        rule, total = crush_map.declared_rule({"name": name, "type": "erasure", "erasure_profile": name}, profiles), chunks(whole)
        if not draft.unknown(here, "root", rule.root, tree.types, "crush.buckets") and has_osds and total > (rule.capacity(tree) or 0):
            there = rule.full_domains(tree)
            lack = f"which needs {rule.place_of(total)}, and there are {there}" if rule.spreads else f"and there are {rule.place_of(there)}"
            draft.problem(f"{here}: {_sum(whole)}, {lack}: lower k or m, add hosts, or choose a smaller failure_domain")
        spread = [key for key in ("crush-num-failure-domains", "crush-osds-per-failure-domain") if str(whole.get(key) or "0") != "0"]
        if spread and () < maps.release < crush_map.SPREAD_SINCE:
            draft.too_old(f"{here}: {' and '.join(spread)} need", crush_map.SPREAD_SINCE, ", which would pass over them: leave them out")
            continue
        if existing is not None:
            current = {**_ASSUMED, **existing}
            said = {key: value for key, value in said.items() if key not in current or _meaning(key, current[key]) != _meaning(key, value)}
            before, after = differing(existing, said)
            if after and name in users:
                keys, using = ", ".join(f"{key} {before[key]} -> {after[key]}" for key in after), ", ".join(users[name])
                draft.problem(f"{here}: {keys}: the profile of existing pools ({using}) cannot change: declare a new profile and a new pool")
                continue
        draft.ensure("erasure_profile", name, existing, said, apply, needs=crush_map.bucket_ids(draft))


def _set(draft: Draft, name: str, whole: t.Mapping[str, str], replace: bool) -> None:
    if replace:
        draft.send("osd erasure-code-profile rm", name=name)
    draft.send("osd erasure-code-profile set", name=name, profile=[f"{key}={value}" for key, value in sorted(whole.items()) if value != ""])


def _delete(draft: Draft, here: str, name: str, existing: t.Mapping[str, str], pruned: str) -> None:
    draft.remove_of_pools(here, "erasure_profile", "erasure_profile", name, existing, "osd erasure-code-profile rm", pruned, "erasure_code_profile")
