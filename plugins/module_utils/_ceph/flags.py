# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster-wide flags of the OSD map (noout, noscrub …), and the oldest client that may connect.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, cost
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk

# What the operator may set and unset. pause is two flags in the map.
FLAGS = ("nobackfill", "nodeep-scrub", "nodown", "noin", "noout", "norebalance", "norecover", "noscrub", "nosnaptrim", "notieragent", "noup", "pause")


def problems(declared: Declared, where: str) -> t.Iterator[str]:
    """What is wrong with the declaration alone."""
    for name in declared:
        if name not in FLAGS:
            yield f"{where}: '{name}' is no flag: one of {', '.join(FLAGS)}"
    yield from values.not_boolean(declared, where)


def plan(draft: Draft) -> None:
    """Plan flags: true is set, false is not set; what is not named is left alone."""
    for name, value in draft.declaration["flags"].items():
        wanted = values.boolean(value)
        current = {"set": ("pauserd" if name == "pause" else name) in draft.maps.osd.get("flags", "").split(",")}
        apply = draft.later("osd set" if wanted else "osd unset", key=name)
        draft.ensure("flag", name, current, {"set": wanted}, apply, **cost(Risk.LOSS, "all clients' I/O stops" if name == "pause" and wanted else ""))


def plan_client(draft: Draft) -> None:
    """Plan require_min_compat_client."""
    release, current, has = draft.declaration.get("require_min_compat_client"), draft.maps.require_min_compat_client, draft.maps.release
    if not release:
        return
    if release != current and has and values.RELEASES[release] > has[0]:
        draft.problem(f"{draft.prefix}require_min_compat_client: {release} is newer than this Ceph, {values.shown(has)}")
        return
    raises = values.RELEASES[release] > values.RELEASES.get(current, 0)
    costs = cost(Risk.NONE, f"clients older than {release} cannot connect any more; Ceph refuses while one is connected" if raises else "")
    apply = draft.later("osd set-require-min-compat-client", version=release)
    draft.ensure("cluster", "require_min_compat_client", {"release": current or None}, {"release": release}, apply, **costs)
