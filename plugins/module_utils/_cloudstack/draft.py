# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning a region writes on, and what its kinds have in common: how declared things are gone through, named and compared.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, named

Item = t.Mapping[str, t.Any]
_Delete = t.Callable[[Item, Row], None]
_Find = t.Callable[[Item, str], t.Optional[Row]]

_KINDS = (
    "bucket", "cluster", "disk_offering", "guest_network", "host", "image_store", "network", "object_store", "physical_network", "pod", "primary_storage",
    "provider", "service_offering", "setting", "staging_store", "template", "traffic", "user", "vlan_range", "zone", "zone_state",
)  # fmt: skip


def kind(zone: Item) -> str:
    """The type of a zone, advanced where nothing is said."""
    return str(zone.get("type") or "advanced")


def state(enabled: t.Any) -> str:
    """The server's word for enabled."""
    return "Disabled" if enabled is False else "Enabled"


def words(value: t.Any) -> list[str]:
    """Words as they are compared, of the server's "a, b" or of a declared list."""
    parts = value.split(",") if isinstance(value, str) else value or ()
    return sorted({part.strip() for part in parts if part.strip()})


def odd(items: t.Optional[t.Iterable[str]]) -> list[str]:
    """The words of a declared list that the server could not keep as one."""
    return [word for word in items or () if not word.strip() or "," in word]


def text(value: t.Any) -> str:
    """The value of a detail as the server keeps it: true in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def of(region: Region, what: str, row: t.Optional[Row], key: str = "zoneid") -> list[Row]:
    """The existing rows that belong to another one; none where that is not there yet."""
    return [other for other in region.rows(what) if row is not None and other.get(key) == row["id"]]


def present(declared: t.Iterable[Item], where: str, found: list[str], zoned: bool = False) -> t.Iterator[tuple[Place, Item]]:
    """The things of a list that are to be there, and where each is declared. One that is declared twice, in its zone where it is one's, is added to found."""
    seen: set[tuple[str, str]] = set()
    for number, item in enumerate(declared):
        here = Place(named(where, number, item), found.append)
        identity = (item["zone"] if zoned else "", item["name"])
        in_zone = f" in the zone {item['zone']}" if zoned else ""
        here.refuse(identity in seen, f"the name is declared twice{in_zone}: keep one of them")
        seen.add(identity)
        if item["state"] != "absent":
            here.refuse(item.get("display_text") == "", "display_text is empty: leave it out, and the name is shown")
            yield here, item


class Draft(_plan.Draft):
    """What planning writes on. declaration: the module's parameters, whole, for kinds that must know of another."""

    def __init__(self, declaration: Item, prefix: str = "") -> None:
        super().__init__(prefix, _KINDS)
        self.declaration = declaration
        self.restart: list[str] = []  # names of changed settings that wait for a restart of the server

    def each(
        self, what: str, declared: t.Iterable[Item], region: Region, delete: t.Optional[_Delete] = None, find: t.Optional[_Find] = None
    ) -> t.Iterator[tuple[Place, Item, t.Optional[Row]]]:
        """Where each thing that is to be there is declared, itself, and its row. One that is not to be is deleted. find: otherwise than by its name."""
        for number, item in enumerate(declared):
            here = Place(named(f"{self.prefix}{what}", number, item), self.problem)
            row = find(item, here) if find else region.find(what, item["name"])
            if item["state"] != "absent":
                yield here, item, row
            elif row is not None and delete:
                delete(item, row)

    def owned(self, what: str, item: Item, accounts: t.Collection[t.Optional[str]], region: Region, here: str) -> t.Optional[Row]:
        """The existing one of an item's name in its zone, among those of some accounts and of no project; None where there is none. Several are a problem."""
        rows = [row for row in region.all(what, item["name"], zonename=item["zone"]) if row.get("account") in accounts and not row.get("project")]
        ids = sorted({str(row["id"]) for row in rows})
        if len(ids) > 1:
            several = f"there are {len(ids)} {what} of this name in the zone {item['zone']} ({', '.join(ids)})"
            self.problem(f"{here}: {several}: delete or rename all but one, then run again")
        return next(iter(rows), None)

    def network_needs(self, zone: str) -> frozenset[str]:
        """Everything of a zone's networks that is planned."""
        return self.ids("physical_network", "traffic", "provider", begin=f"{zone}/") | {f"zone/{zone}"}

    def has_zone(self, here: str, name: str, region: Region) -> bool:
        """Whether a zone is there or declared. Where it is neither, that is a problem."""
        declared = {zone["name"] for zone in self.declaration.get("zones") or ()}
        there = region.empty or name in declared or region.find("zones", name) is not None
        if not there:
            self.problem(f"{here}: there is no zone {name}, and none is declared")
        return there

    def zone_names(self, region: Region) -> set[str]:
        """The zones that there are, or that are declared."""
        return {zone["name"] for zone in (*region.rows("zones"), *(self.declaration.get("zones") or ()))}
