# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of the managers.

PRIVATE to the collection.
"""

from __future__ import annotations

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft, cost
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk


def plan(draft: Draft) -> None:
    """Plan modules: true is enabled, false is not; what is not named is left alone."""
    listing = draft.maps.mgr_modules
    always, enabled = listing.get("always_on_modules", []), listing.get("enabled_modules", [])
    disabled = {entry["name"]: entry for entry in listing.get("disabled_modules", [])}
    for name, value in draft.declaration["mgr_modules"].items():
        wanted, here = values.boolean(value), f"{draft.prefix}mgr_modules.{name}"
        if name in always:
            if not wanted:
                draft.problem(f"{here}: it is always on, and cannot be disabled")
        elif wanted and disabled and name not in (*enabled, *disabled):
            draft.problem(f"{here}: the managers have no such module: install the package that brings it, or leave it out")
        elif wanted and name not in enabled and not disabled.get(name, {}).get("can_run", True):
            draft.problem(f"{here}: the managers cannot run it: {disabled[name].get('error_string')}")
        else:
            apply = draft.later("mgr module enable" if wanted else "mgr module disable", module=name)
            costs = cost(Risk.RESTART, "the managers restart themselves; clients' I/O goes on")
            draft.ensure("mgr_module", name, {"enabled": name in enabled}, {"enabled": wanted}, apply, **costs)
