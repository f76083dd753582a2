# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CephFS filesystems.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, view
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, presence, string, strings

OPTIONS: dict[str, t.Any] = {
    "name": string("The filesystem's name.", required=True),
    "state": presence("V(absent) destroys all its files, and needs O(arm=filesystem/NAME)."),
    "metadata_pool": string("The pool of its metadata. It cannot change later."),
    "data_pools": strings("The pools of its data. The first cannot change later."),
    "max_mds": integer("How many metadata servers are active."),
    "standby_count_wanted": integer("How many must stand by for the cluster to be healthy."),
    "allow_standby_replay": boolean("Whether one that stands by follows the active one's journal."),
}
_SETTINGS = ("max_mds", "standby_count_wanted", "allow_standby_replay")


@view
def current(maps: Maps) -> dict[str, dict[str, t.Any]]:
    """The filesystems, as {name: what the declaration says of one}. pool_ids holds the numbers."""
    pool_names = {pool["pool"]: pool["pool_name"] for pool in maps.osd.get("pools", [])}
    found = {}
    for entry in maps.fs.get("filesystems", []):
        mds = entry["mdsmap"]
        ids = [mds["metadata_pool"], *mds["data_pools"]]
        flags = mds.get("flags_state", {})
        found[mds["fs_name"]] = {
            "name": mds["fs_name"],
            "metadata_pool": pool_names.get(mds["metadata_pool"]),
            "data_pools": [pool_names.get(number, str(number)) for number in mds["data_pools"]],
            "pool_ids": ids,
            "max_mds": mds["max_mds"],
            "standby_count_wanted": max(0, mds.get("standby_count_wanted", 0)),
            # CEPH_MDSMAP_ALLOW_STANDBY_REPLAY, for releases that do not name their flags
            "allow_standby_replay": bool(flags.get("allow_standby_replay", mds.get("flags", 0) & (1 << 5))),
        }
    return found


def user_of(maps: Maps, pool_id: int) -> t.Optional[str]:
    """The filesystem that uses a pool."""
    return next((name for name, found in current(maps).items() if pool_id in found["pool_ids"]), None)


def problems(declared: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[t.Mapping[str, t.Any]], where: str) -> list[str]:
    """What is wrong with the declaration alone."""
    found = [f"{where}: {name} is declared twice: keep one of them" for name in values.duplicates(item["name"] for item in declared)]
    by_name = {pool["name"]: pool for pool in pools}
    users: dict[str, str] = {}
    for number, item in enumerate(declared):
        here = f"{where}[{number}] ({item['name']})"
        if (item.get("state") or "present") == "absent":
            continue
        metadata, data = item.get("metadata_pool"), item.get("data_pools") or []
        if not metadata or not data:
            found.append(f"{here}: metadata_pool and data_pools are both needed")
        for pool in [*([metadata] if metadata else []), *data]:
            first = users.setdefault(pool, f"{item['name']}")
            if first != item["name"] or (pool == metadata and pool in data):
                found.append(f"{here}: the pool {pool} is used twice")
        if metadata and by_name.get(metadata, {}).get("type") == "erasure":
            found.append(f"{here}: metadata_pool {metadata} is erasure-coded, and metadata needs a replicated pool")
        for position, pool in enumerate(data):
            declaration = by_name.get(pool, {})
            if declaration.get("type") == "erasure" and position == 0:
                found.append(f"{here}: the first of data_pools, {pool}, is erasure-coded: put a replicated pool first")
            elif declaration.get("type") == "erasure" and not declaration.get("allow_ec_overwrites"):
                found.append(f"{here}: data pool {pool} is erasure-coded: declare allow_ec_overwrites for it")
    return found


def plan(declared: t.Sequence[t.Mapping[str, t.Any]], maps: Maps, draft: Draft, pools: t.Collection[str], prune: bool) -> None:
    """Plan filesystems. pools: the names of those that will be there."""
    for number, item in enumerate(declared):
        name, here = item["name"], f"{draft.prefix}filesystems[{number}] ({item['name']})"
        living = current(maps).get(name)
        if item["state"] == "absent":
            if living is not None:
                _plan_delete(living, draft, "all its files are lost")
            continue
        data = list(item["data_pools"])
        missing = [pool for pool in [item["metadata_pool"], *data] if pool not in pools]
        if missing and not maps.empty:
            draft.problem(f"{here}: the pools {', '.join(missing)} are neither there nor declared in {draft.prefix}pools")
            continue
        said = {key: item[key] for key in _SETTINGS if item.get(key) is not None}
        needs = [f"pool/{pool}" for pool in [item["metadata_pool"], *data]]
        if living is None:
            after = {"metadata_pool": item["metadata_pool"], "data_pools": data, **said}
            draft.ensure("filesystem", name, None, after, _maker(draft, name, item["metadata_pool"], data, said), needs=needs)
            continue
        if living["metadata_pool"] != item["metadata_pool"] or living["data_pools"][:1] != data[:1]:
            has = f"{living['metadata_pool']} and {living['data_pools'][0]}"
            draft.problem(f"{here}: its metadata pool and first data pool are {has}, and cannot change: declare another filesystem")
            continue
        if {*data} != {*living["data_pools"]}:
            said["data_pools"] = sorted(data)
        gone = [pool for pool in living["data_pools"] if pool not in data]
        draft.ensure(
            "filesystem",
            name,
            {**living, "data_pools": sorted(living["data_pools"])},
            said,
            update=functools.partial(_update, draft, name, [pool for pool in data if pool not in living["data_pools"]], gone),
            risk=Risk.LOSS if gone else Risk.NONE,
            reason=f"files in {', '.join(gone)} are lost" if gone else "",
            needs=needs,
        )
    if prune:
        kept = {item["name"] for item in declared}
        for name, living in current(maps).items():
            if name not in kept:
                _plan_delete(living, draft, "it is not declared, and prune names filesystems: all its files are lost")


def _settings(draft: Draft, name: str, said: t.Mapping[str, t.Any]) -> None:
    for key in _SETTINGS:
        if key in said:
            text = str(said[key]).lower() if isinstance(said[key], bool) else str(said[key])
            draft.send("fs set", fs_name=name, var=key, val=text)


def _maker(draft: Draft, name: str, metadata: str, data: t.Sequence[str], said: t.Mapping[str, t.Any]) -> t.Callable[[], None]:
    def apply() -> None:
        draft.send("fs new", fs_name=name, metadata=metadata, data=data[0])
        for pool in data[1:]:
            draft.send("fs add_data_pool", fs_name=name, pool=pool)
        _settings(draft, name, said)

    return apply


def _update(draft: Draft, name: str, added: t.Sequence[str], gone: t.Sequence[str], after: t.Mapping[str, t.Any]) -> None:
    for pool in added:
        draft.send("fs add_data_pool", fs_name=name, pool=pool)
    for pool in gone:
        draft.send("fs rm_data_pool", fs_name=name, pool=pool)
    _settings(draft, name, after)


def _plan_delete(living: t.Mapping[str, t.Any], draft: Draft, reason: str) -> None:
    name = living["name"]

    def apply() -> None:
        draft.send("fs fail", fs_name=name)
        draft.send("fs rm", fs_name=name, yes_i_really_mean_it=True)

    before = {key: living[key] for key in ("metadata_pool", "data_pools")}
    draft.ensure("filesystem", name, before, None, apply, risk=Risk.LOSS, reason=reason)
