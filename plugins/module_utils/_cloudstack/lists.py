# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is in a region, as whole lists, each read once, and what this run has made since.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

Row = t.Dict[str, t.Any]

# As many lists are asked for at a time. The server has far more threads; its database is what limits.
_READERS = 8
# Of these the server takes no two whose names differ in case only.
_CASELESS = ("zones", "pods", "clusters")


class Listing(t.NamedTuple):
    """How a list is read. each: (word, parameter) where the server wants to be asked for each row of another list, by its id."""

    command: str
    parameters: t.Mapping[str, t.Any] = {}
    each: t.Optional[tuple[str, str]] = None


LISTINGS: t.Mapping[str, Listing] = {
    "accounts": Listing("listAccounts", {"listall": True, "details": "min"}),
    "buckets": Listing("listBuckets", {"listall": True}),
    "clusters": Listing("listClusters"),
    "disk_offerings": Listing("listDiskOfferings", {"listall": True}),
    "domains": Listing("listDomains", {"listall": True, "details": "min"}),
    "hosts": Listing("listHosts", {"type": "Routing", "details": "capacity"}),  # the least that tells of tags
    "image_stores": Listing("listImageStores"),
    "lb_elements": Listing("listInternalLoadBalancerElements"),
    "network_offerings": Listing("listNetworkOfferings"),
    "networks": Listing("listNetworks", {"listall": True}),
    "object_stores": Listing("listObjectStoragePools"),
    "os_types": Listing("listOsTypes"),
    "physical_networks": Listing("listPhysicalNetworks"),
    "pods": Listing("listPods"),
    "providers": Listing("listNetworkServiceProviders"),
    "roles": Listing("listRoles"),
    "router_elements": Listing("listVirtualRouterElements"),
    "service_offerings": Listing("listServiceOfferings", {"listall": True}),
    "settings": Listing("listConfigurations"),
    "staging_stores": Listing("listSecondaryStagingStores"),
    "storage_pools": Listing("listStoragePools"),
    "storage_ranges": Listing("listStorageNetworkIpRange"),
    "templates": Listing("listTemplates", {"templatefilter": "all", "listall": True}),
    "traffic_types": Listing("listTrafficTypes", {}, ("physical_networks", "physicalnetworkid")),
    "users": Listing("listUsers", {"listall": True}),
    "vlan_ranges": Listing("listVlanIpRanges"),
    "zone_settings": Listing("listConfigurations", {}, ("zones", "zoneid")),
    "zones": Listing("listZones"),
}


class Region:
    """client: None where lists are given (tests), or where there is no server yet. within: the zones of which lists of parts are read; all where None."""

    def __init__(self, client: t.Any, lists: t.Optional[t.Mapping[str, t.Sequence[Row]]] = None, within: t.Optional[t.Collection[str]] = None) -> None:
        self.client = client
        self.duplicates: list[str] = []
        self.problems: list[str] = []  # what was found by asking others than the server
        self.warnings: list[str] = []
        self.addresses: dict[str, str] = {}  # of hosts that are declared by name; "" where it is not known
        self.written: set[str] = set()  # ids of settings that this process has set, for those that cannot be read back
        self.again_allowed: frozenset[str] = frozenset()  # ids of those that are to be set anew though they cannot be compared
        self.empty = client is None and not lists  # there is no server yet: everything is planned as new
        self._within = within
        self._lists: dict[str, list[Row]] = {word: list(rows) for word, rows in (lists or {}).items()}
        self._made: list[tuple[str, str, Row]] = []

    def read(self, words: t.Iterable[str]) -> Region:
        """Read lists side by side; those that hang on others after them. Returns itself."""
        wanted = {word for word in words if word not in self._lists}
        wanted |= {each[0] for each in (LISTINGS[word].each for word in wanted) if each} - set(self._lists)

        def ask(word: str, more: dict[str, str]) -> list[Row]:
            return [{**row, **more} for row in self.client.rows(LISTINGS[word].command, **LISTINGS[word].parameters, **more)]

        with ThreadPoolExecutor(max_workers=_READERS) as pool:
            for hanging in (False, True):
                turn = [word for word in sorted(wanted) if bool(LISTINGS[word].each) is hanging]
                asked = {word: [pool.submit(ask, word, more) for more in self._each(LISTINGS[word])] if self.client is not None else [] for word in turn}
                self._lists.update({word: [row for answer in answers for row in answer.result()] for word, answers in asked.items()})
        return self

    def _each(self, listing: Listing) -> list[dict[str, str]]:
        """What a list is asked for by, once for each."""
        if listing.each is None:
            return [{}]
        word, parameter = listing.each
        rows = self._lists.get(word, [])
        if self._within is not None:  # where none of them is there yet, one of the others tells what belongs to a zone
            rows = [row for row in rows if row.get("zonename" if word != "zones" else "name") in self._within] or rows[:1]
        return [{parameter: row["id"]} for row in rows]

    def rows(self, what: str) -> list[Row]:
        """A whole list, by its word in LISTINGS; read now where it was not yet."""
        if what not in self._lists:
            self.read([what])
        return self._lists[what]

    def forget(self, what: str) -> None:
        """Read one list anew when it is next asked for."""
        self._lists.pop(what, None)

    def all(self, what: str, name: str, **equal: t.Any) -> list[Row]:
        """The existing rows of a name whose other keys are equal to what is given."""
        return [row for row in self.rows(what) if row.get("name") == name and all(row.get(key) == value for key, value in equal.items())]

    def find(self, what: str, name: str, **equal: t.Any) -> t.Optional[Row]:
        """The existing row of a name, None where there is none. Several of one name become a problem of the plan."""
        found = self.all(what, name, **equal)
        if not found and what in _CASELESS:
            names = sorted({str(row.get("name")) for row in self.rows(what)})
            for alike in [one for one in names if one.casefold() == name.strip().casefold() and self.all(what, one, **equal)][:1]:
                self.duplicates.append(f"{what}: {name} is declared, and there is {alike}, which to the server is the same name: declare it as {alike}")
        ids = sorted({str(row.get("id")) for row in found})
        if len(ids) > 1:
            several = f"there are {len(ids)} of the name {name} ({', '.join(ids)})"
            self.duplicates.append(f"{what.replace('_', ' ')}: {several}: delete or rename all but one, then run again")
        return next(iter(found), None)

    def made(self, what: str, name: str, row: Row) -> Row:
        """Remember what an apply has just made, so that what hangs on it finds its id."""
        self._made.append((what, name, row))
        return row

    def id(self, what: str, name: str, **equal: t.Any) -> str:
        """The id of what is there, or was made in this run. Raises LookupError where it is neither."""
        made = [row for word, known, row in list(self._made) if word == what and known == name]
        for row in [*made, *self.all(what, name)]:
            if all(row.get(key) == value for key, value in equal.items()):
                return str(row["id"])
        raise LookupError(f"there is no {what.replace('_', ' ').rstrip('s')} {name}")
