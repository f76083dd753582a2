# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of the managers.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk


def problems(declared: t.Mapping[str, t.Any], where: str) -> list[str]:
    """What is wrong with the declaration alone."""
    found = []
    for name, value in declared.items():
        try:
            values.boolean(value)
        except ValueError as error:
            found.append(f"{where}.{name}: {error}")
    return found


def plan(declared: t.Mapping[str, t.Any], maps: Maps, draft: Draft) -> None:
    """Plan modules: true is enabled, false is not; what is not named is left alone."""
    listing = maps.mgr_modules
    always = set(listing.get("always_on_modules", []))
    enabled = set(listing.get("enabled_modules", []))
    disabled = {entry["name"]: entry for entry in listing.get("disabled_modules", [])}
    for name, value in declared.items():
        wanted, here = values.boolean(value), f"{draft.prefix}mgr_modules.{name}"
        if name in always:
            if not wanted:
                draft.problem(f"{here}: it is always on, and cannot be disabled")
            continue
        if (name in enabled) == wanted:
            continue
        if wanted and disabled and name not in disabled:
            draft.problem(f"{here}: the managers have no such module: install the package that brings it, or leave it out")
            continue
        if wanted and not disabled.get(name, {}).get("can_run", True):
            draft.problem(f"{here}: the managers cannot run it: {disabled[name].get('error_string')}")
            continue
        draft.ensure(
            "mgr_module",
            name,
            {"enabled": not wanted},
            {"enabled": wanted},
            functools.partial(draft.send, "mgr module enable" if wanted else "mgr module disable", module=name),
            risk=Risk.RESTART,
            reason="the managers restart themselves; clients' I/O goes on",
        )
