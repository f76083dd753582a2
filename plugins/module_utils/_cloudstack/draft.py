# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning a region writes on.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row

_KINDS = (
    "bucket", "cluster", "disk_offering", "guest_network", "host", "image_store", "network", "object_store", "physical_network", "pod", "primary_storage",
    "provider", "service_offering", "setting", "staging_store", "template", "traffic", "user", "vlan_range", "zone", "zone_state",
)  # fmt: skip


class Draft(_plan.Draft):
    """What planning writes on.

    declaration: the module's parameters, whole, for kinds that must know of another.
    restart: names of settings that are changed and take effect only after a restart of the server.
    """

    def __init__(self, declaration: t.Mapping[str, t.Any], prefix: str = "") -> None:
        super().__init__(prefix, _KINDS)
        self.declaration = declaration
        self.restart: t.List[str] = []

    def owned(self, what: str, item: t.Mapping[str, t.Any], accounts: t.Collection[t.Optional[str]], region: Region, here: str) -> t.Optional[Row]:
        """The living one of an item's name in its zone, among those of some accounts and of no project; None where there is none. Several are a problem."""
        rows = [row for row in region.all(what, item["name"], zonename=item["zone"]) if row.get("account") in accounts and not row.get("project")]
        ids = sorted({str(row["id"]) for row in rows})
        if len(ids) > 1:
            several = f"there are {len(ids)} {what} of this name in the zone {item['zone']} ({', '.join(ids)})"
            self.problem(f"{here}: {several}: delete or rename all but one, then run again")
        return rows[0] if rows else None

    def zone_names(self, region: Region) -> t.Set[str]:
        """The zones that there are, or that are declared."""
        return {row["name"] for row in region.rows("zones")} | {zone["name"] for zone in self.declaration.get("zones") or ()}
