# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster-wide flags of the OSD map (noout, noscrub …), and the oldest client that may connect.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk

# What the operator may set and unset. pause is two flags in the map.
FLAGS = (
    "nobackfill", "nodeep-scrub", "nodown", "noin", "noout", "norebalance", "norecover", "noscrub", "nosnaptrim", "notieragent", "noup", "pause",
)  # fmt: skip


def problems(declared: t.Mapping[str, t.Any], where: str) -> list[str]:
    """What is wrong with the declaration alone."""
    found = []
    for name, value in declared.items():
        if name not in FLAGS:
            found.append(f"{where}: '{name}' is no flag: one of {', '.join(FLAGS)}")
        try:
            values.boolean(value)
        except ValueError as error:
            found.append(f"{where}.{name}: {error}")
    return found


def plan(declared: t.Mapping[str, t.Any], maps: Maps, draft: Draft) -> None:
    """Plan flags: true is set, false is not set; what is not named is left alone."""
    for name, value in declared.items():
        wanted = values.boolean(value)
        has = ("pauserd" if name == "pause" else name) in maps.flags
        stops = name == "pause" and wanted
        draft.ensure(
            "flag",
            name,
            {"set": has},
            {"set": wanted},
            functools.partial(draft.send, "osd set" if wanted else "osd unset", key=name),
            risk=Risk.LOSS if stops else Risk.NONE,
            reason="all clients' I/O stops" if stops else "",
        )


def client_problems(release: t.Any, where: str) -> list[str]:
    """What is wrong with a declared require_min_compat_client."""
    if release and release not in values.RELEASES:
        return [f"{where}: '{release}' is no release of Ceph: one of {', '.join(values.RELEASES)}"]
    return []


def plan_client(release: t.Optional[str], maps: Maps, draft: Draft) -> None:
    """Plan require_min_compat_client."""
    if not release or maps.require_min_compat_client == release:
        return
    if maps.release and values.RELEASES[release] > maps.release[0]:
        draft.problem(f"{draft.prefix}require_min_compat_client: {release} is newer than this Ceph, {values.shown(maps.release)}")
        return
    raises = values.RELEASES[release] > values.RELEASES.get(maps.require_min_compat_client, 0)
    draft.ensure(
        "cluster",
        "require_min_compat_client",
        {"release": maps.require_min_compat_client or None},
        {"release": release},
        lambda: draft.send("osd set-require-min-compat-client", version=release),
        reason=f"clients older than {release} cannot connect any more; Ceph refuses while one is connected" if raises else "",
    )
