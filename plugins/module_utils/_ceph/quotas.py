# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quotas of object storage: of a user, of each of a user's buckets, of one bucket. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import is_true
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, string

UNLIMITED = -1
QUOTA = {
    "enabled": boolean("Whether the limit holds.", default=True),
    "max_size": string("The size, such as V(10G). Any by default."),
    "max_objects": integer("The number of objects. Any by default."),
}


def parse(item: t.Mapping[str, t.Any], problem: t.Callable[[str], None]) -> dict[str, t.Any]:
    """Return a declared quota in the form in which quotas are compared. The gateways keep sizes in whole KiB."""
    size, count = UNLIMITED, item.get("max_objects")
    try:
        size = UNLIMITED if item.get("max_size") is None else -(-values.size(item["max_size"]) // 1024) * 1024
    except ValueError as error:
        problem(f"quota: {error}")
    return {"enabled": item.get("enabled", True), "max_objects": UNLIMITED if count is None else max(count, UNLIMITED), "max_size": size}


def current(quota: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a quota as the gateways tell it in the same form."""
    size, count = (max(quota.get(key, UNLIMITED), UNLIMITED) for key in ("max_size", "max_objects"))
    return {"enabled": is_true(quota["enabled"]), "max_objects": count, "max_size": size}


def without_off(have: t.Mapping[str, t.Any], wish: t.Mapping[str, t.Any], keys: t.Collection[str]) -> dict[str, t.Any]:
    """Return what is wished without those quotas, under keys, that are off and stay so: they are the same, whatever their numbers."""
    off = {key for key in keys if key in wish and have.get(key) and not have[key]["enabled"] and not wish[key]["enabled"]}
    return {key: value for key, value in wish.items() if key not in off}


def query(quota: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return it as the Admin Ops API sets it: in KiB, for Ceph 16 reads nothing else of a bucket's; a negative number means any size."""
    size = quota["max_size"]
    return {"enabled": quota["enabled"], "max_objects": quota["max_objects"], "max_size_kb": size // 1024 if size >= 0 else UNLIMITED}
