# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a zone have in common: how they are named, which state they are in, what must be there before them.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row

Item = t.Mapping[str, t.Any]


def kind(zone: Item) -> str:
    """The type of a zone, advanced where nothing is said."""
    return str(zone.get("type") or "advanced")


def state(enabled: t.Any) -> str:
    """The server's word for enabled."""
    return "Disabled" if enabled is False else "Enabled"


def twice(names: t.Iterable[str]) -> list[str]:
    """The names that occur more than once."""
    every = list(names)
    return sorted({name for name in every if every.count(name) > 1})


def named(where: str, number: int, item: Item, key: str = "name") -> str:
    """Where a thing of a list was declared: zones[0] (zone1)."""
    return f"{where}[{number}] ({item.get(key)})"


def of(region: Region, what: str, row: t.Optional[Row], key: str = "zoneid") -> list[Row]:
    """The living rows that belong to another one; none where that is not there yet."""
    return [other for other in region.rows(what) if row is not None and other.get(key) == row["id"]]


def network_needs(zone: Item, draft: Draft) -> frozenset[str]:
    """Everything of a zone's networks that is planned."""
    return draft.ids("physical_network", "traffic", "provider", begin=f"{zone['name']}/") | {f"zone/{zone['name']}"}
