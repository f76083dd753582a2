# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is in an OpenStack, as whole lists, each read once, and what this run has made since.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

Row = t.Dict[str, t.Any]

# As many lists are asked for at a time; each API has a few processes.
_READERS = 8


class Listing(t.NamedTuple):
    """How a list is read: the API, the path, and what its rows are called. Of those that are asked for one by one the path has {id}; without rows the
    answer is one row, its only value."""

    api: str
    path: str
    rows: str = ""


LISTINGS: t.Mapping[str, Listing] = {
    "projects": Listing("identity", "/projects?domain_id={domain}", "projects"),
    "roles": Listing("identity", "/roles", "roles"),
    "users": Listing("identity", "/users?domain_id={domain}", "users"),
    "grants": Listing("identity", "/role_assignments", "role_assignments"),
    "regions": Listing("identity", "/regions", "regions"),
    "services": Listing("identity", "/services", "services"),
    "endpoints": Listing("identity", "/endpoints", "endpoints"),
    "flavors": Listing("compute", "/flavors/detail?is_public=None", "flavors"),
    "compute_services": Listing("compute", "/os-services?binary=nova-compute", "services"),
    "hypervisors": Listing("compute", "/os-hypervisors/detail", "hypervisors"),
    "volume_types": Listing("block-storage", "/types?is_public=None", "volume_types"),
    "qos": Listing("block-storage", "/qos-specs", "qos_specs"),
    "images": Listing("image", "/images?visibility=all&limit=500", "images"),
    "networks": Listing("network", "/networks", "networks"),
    "subnets": Listing("network", "/subnets", "subnets"),
    "routers": Listing("network", "/routers", "routers"),
    "router_ports": Listing("network", "/ports?device_owner=network:router_interface&device_owner=network:router_interface_distributed", "ports"),
    "security_groups": Listing("network", "/security-groups", "security_groups"),
    # Asked for one by one, of what is declared only.
    "keypairs": Listing("compute", "/os-keypairs?user_id={id}", "keypairs"),
    "flavor_access": Listing("compute", "/flavors/{id}/os-flavor-access", "flavor_access"),
    "volume_type_access": Listing("block-storage", "/types/{id}/os-volume-type-access", "volume_type_access"),
    "compute_quota": Listing("compute", "/os-quota-sets/{id}"),
    "volume_quota": Listing("block-storage", "/os-quota-sets/{id}"),
    "network_quota": Listing("network", "/quotas/{id}"),
}


def noun(word: str) -> str:
    """What one row of a list is called."""
    return word if word == "qos" else word.replace("_", " ").rstrip("s")


class Cloud:
    """client: None where lists are given (tests), or where there is no controller yet."""

    def __init__(self, client: t.Any, lists: t.Optional[t.Mapping[str, t.Sequence[Row]]] = None) -> None:
        self.client = client
        self.problems: list[str] = []  # two of a name, and what was found by asking others than lists
        self.empty = client is None and not lists  # there is no controller yet: everything is planned as new
        self.opened: dict[str, bool] = {}  # by a user's id, whether the declared password is his
        self.sources: dict[str, t.Any] = {}  # by an image's name, what it is made of
        # The ids of the user of the cloud, and of its project.
        self.user: str = getattr(client, "user_id", "")
        self.own: t.Optional[str] = getattr(client, "project_id", None)
        self._lists: dict[str, list[Row]] = {word: list(rows) for word, rows in (lists or {}).items()}
        self._made: list[tuple[str, Row]] = []

    def read(self, words: t.Iterable[str], one_by_one: t.Iterable[tuple[str, str]] = ()) -> None:
        """Read lists side by side: whole ones by their word, others by word and id."""
        wanted = [(word, "") for word in sorted({*words}) if word not in self._lists] + [key for key in one_by_one if f"{key[0]} {key[1]}" not in self._lists]
        if not wanted:
            return
        if self.client is None:
            self._lists.update({" ".join(filter(None, key)): [] for key in wanted})
            return
        with ThreadPoolExecutor(max_workers=_READERS) as pool:
            for key, rows in zip(wanted, pool.map(self._ask, wanted)):
                self._lists[" ".join(filter(None, key))] = rows

    def _ask(self, key: tuple[str, str]) -> list[Row]:
        listing = LISTINGS[key[0]]
        path = listing.path.format(id=key[1], domain=self.client.domain_id)
        return self.client.rows(listing.api, path, listing.rows) if listing.rows else [*self.client.call(listing.api, "GET", path).values()][:1]

    def rows(self, word: str, id_: str = "") -> list[Row]:
        """A whole list, by its word in LISTINGS; read now where it was not yet. id_: of that of which it is one, of those that are asked for one by one."""
        key = f"{word} {id_}" if id_ else word
        if key not in self._lists:
            self.read(*(([], [(word, id_)]) if id_ else ([word], [])))
        return self._lists[key]

    def find(self, word: str, name: str, here: str = "", key: str = "name", **equal: t.Any) -> t.Optional[Row]:
        """The existing row of a name whose other keys are equal to what is given, None where there is none. Several are a problem of the plan.
        here: where it is declared."""
        found = [row for row in self.rows(word) if row.get(key) == name and all(row.get(other) == value for other, value in equal.items())]
        if len(found) > 1 and here:
            ids = ", ".join(sorted(str(row["id"]) for row in found))
            text = f"{here}: there are {len(found)} {word.replace('_', ' ')} of the {key} {name} ({ids}): delete or rename all but one, then run again"
            self.problems += [text] * (text not in self.problems)
        return next(iter(found), None)

    def made(self, word: str, row: Row) -> Row:
        """Remember what an apply has just made, so that what hangs on it finds its id."""
        self._made.append((word, row))
        return row

    def made_rows(self, word: str) -> list[Row]:
        """What this run has made of a list."""
        return [row for known, row in list(self._made) if known == word]

    def id(self, word: str, name: str, key: str = "name", **equal: t.Any) -> str:
        """The id of what was made in this run, or was there. Raises LookupError where it is neither."""
        for row in [*reversed(self.made_rows(word)), *(self.rows(word) if not self.empty else ())]:
            if row.get(key) == name and all(row.get(other) == value for other, value in equal.items()):
                return str(row["id"])
        raise LookupError(f"there is no {noun(word)} {name}")

    def name(self, word: str, id_: t.Optional[str], key: str = "name") -> t.Optional[str]:
        """The name of an id; the id itself where it is not in the list, None for none."""
        return next((str(row[key]) for row in self.rows(word) if row["id"] == id_), id_) if id_ else None
