# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CephFS filesystems.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, cost, view
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, presence, string, strings

OPTIONS: dict[str, t.Any] = {
    "name": string("The filesystem's name.", required=True),
    "state": presence("V(absent) destroys all its files, and needs O(allow_loss=filesystem/NAME)."),
    "metadata_pool": string("The pool of its metadata. It cannot change later."),
    "data_pools": strings("The pools of its data. The first cannot change later."),
    "max_mds": integer("How many metadata servers are active."),
    "standby_count_wanted": integer("How many must stand by for the cluster to be healthy."),
    "allow_standby_replay": boolean("Whether a standby server follows the active one's journal, so that it takes over faster."),
}
_SETTINGS = ("max_mds", "standby_count_wanted", "allow_standby_replay")


@view
def current(maps: Maps) -> dict[str, dict[str, t.Any]]:
    """The filesystems, as {name: what the declaration says of one}. pool_ids holds the numbers."""
    pool_names, found = {pool["pool"]: pool["pool_name"] for pool in maps.osd.get("pools", [])}, {}
    for mds in (entry["mdsmap"] for entry in maps.fs.get("filesystems", [])):
        found[mds["fs_name"]] = {
            "metadata_pool": pool_names.get(mds["metadata_pool"]),
            "data_pools": [pool_names.get(number, str(number)) for number in mds["data_pools"]],
            "pool_ids": [mds["metadata_pool"], *mds["data_pools"]],
            "max_mds": mds["max_mds"],
            "standby_count_wanted": max(0, mds.get("standby_count_wanted", 0)),
            # CEPH_MDSMAP_ALLOW_STANDBY_REPLAY, for releases that do not name their flags
            "allow_standby_replay": bool(mds.get("flags_state", {}).get("allow_standby_replay", mds.get("flags", 0) & (1 << 5))),
        }
    return found


def user_of(maps: Maps, pool_id: int) -> t.Optional[str]:
    """The filesystem that uses a pool."""
    return next((name for name, found in current(maps).items() if pool_id in found["pool_ids"]), None)


def _pools(item: Declared) -> list[str]:
    return [pool for pool in (item.get("metadata_pool"), *(item.get("data_pools") or [])) if pool]


def problems(item: Declared, declared: t.Sequence[Declared], pools: t.Sequence[Declared]) -> t.Iterator[str]:
    """What is wrong with a declared filesystem. declared, pools: all that are declared."""
    metadata, data = item.get("metadata_pool"), item.get("data_pools") or []
    if not metadata or not data:
        yield "metadata_pool and data_pools are both needed"
    others = [other for other in declared[: [*declared].index(item)] if other["name"] != item["name"] and other.get("state") != "absent"]
    taken = {pool for other in others for pool in _pools(other)}
    yield from (f"the pool {pool} is used twice" for pool in _pools(item) if pool in taken or (pool == metadata and pool in data))
    erasure = {pool["name"]: pool for pool in pools if pool.get("type") == "erasure"}
    if metadata in erasure:
        yield f"metadata_pool {metadata} is erasure-coded, and metadata needs a replicated pool"
    for position, pool in enumerate(data):
        if pool in erasure and position == 0:
            yield f"the first of data_pools, {pool}, is erasure-coded: put a replicated pool first"
        elif pool in erasure and not erasure[pool].get("allow_ec_overwrites"):
            yield f"data pool {pool} is erasure-coded: declare allow_ec_overwrites for it"


def plan(draft: Draft) -> None:
    for here, item, existing in draft.walk("filesystems", current(draft.maps), _delete):
        name, metadata, data = item["name"], item["metadata_pool"], list(dict.fromkeys(item["data_pools"]))
        missing = [pool for pool in _pools(item) if pool not in draft.pool_names]
        has = existing["data_pools"] if existing else []
        if missing and not draft.maps.empty:
            draft.problem(f"{here}: the pools {', '.join(missing)} are neither there nor declared in {draft.prefix}pools")
            continue
        if existing and (existing["metadata_pool"] != metadata or has[:1] != data[:1]):
            both = f"{existing['metadata_pool']} and {has[0]}"
            draft.problem(f"{here}: its metadata pool and first data pool are {both}, and cannot change: declare another filesystem")
            continue
        added, gone = [pool for pool in data if pool not in has], [pool for pool in has if pool not in data]
        desired = {"metadata_pool": metadata, "data_pools": sorted(data) if existing else data}
        desired.update((key, item[key]) for key in _SETTINGS if item.get(key) is not None)
        make, update = functools.partial(_create, draft, name, desired), functools.partial(_update, draft, name, added, gone)
        costs, needs = cost(Risk.LOSS, f"files in {', '.join(gone)} are lost" if gone else ""), [f"pool/{pool}" for pool in _pools(item)]
        draft.ensure("filesystem", name, {**existing, "data_pools": sorted(has)} if existing else None, desired, make, update, needs, **costs)


def _create(draft: Draft, name: str, after: Declared) -> None:
    first, *more = after["data_pools"]
    draft.send("fs new", fs_name=name, metadata=after["metadata_pool"], data=first)
    _update(draft, name, more, (), after)


def _update(draft: Draft, name: str, added: t.Sequence[str], gone: t.Sequence[str], after: Declared) -> None:
    for action, pools in (("add", added), ("rm", gone)):
        for pool in pools:
            draft.send(f"fs {action}_data_pool", fs_name=name, pool=pool)
    for key in _SETTINGS:
        if key in after:
            draft.send("fs set", fs_name=name, var=key, val=str(after[key]).lower())


def _delete(draft: Draft, _here: str, name: str, existing: Declared, pruned: str) -> None:
    def apply() -> None:
        draft.send("fs fail", fs_name=name)
        draft.send("fs rm", fs_name=name, yes_i_really_mean_it=True)

    draft.remove("filesystem", name, {key: existing[key] for key in ("metadata_pool", "data_pools")}, apply, pruned, "all its files are lost")
