# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A region: everything that one CloudStack server looks after, read once as whole lists, and the plan that leads to what is declared.

A kind (zones, offerings, …) is one line of KINDS. Nothing is asked or sent for an object that is as it should be, so that
the number of calls depends on the kinds that are declared, never on how many objects there are.

PRIVATE to the collection.
"""

from __future__ import annotations

import copy
import dataclasses
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers, _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import (
    hosts,
    networks,
    object_storage,
    offerings,
    primary_storage,
    secondary_storage,
    settings,
    system_vms,
    templates,
    users,
    zones,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Unreachable

Row = t.Dict[str, t.Any]

# As many lists are asked for at a time. The server has far more threads; its database is what limits.
_READERS = 8


class Listing(t.NamedTuple):
    """How a list is read. each: (word, parameter) where the server wants to be asked for each row of another list, by its id."""

    command: str
    parameters: t.Mapping[str, t.Any] = {}
    each: t.Optional[t.Tuple[str, str]] = None


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


def only(answer: t.Any) -> Row:
    """The object of an answer: {"zone": {...}} or {"host": [{...}]} -> {...}. An answer that is the object itself stays as it is."""
    values = [value for value in answer.values() if isinstance(value, (dict, list))] if isinstance(answer, dict) else [answer]
    if isinstance(answer, dict) and (len(values) != 1 or "id" in answer):
        return answer
    value = values[0]
    return value[0] if isinstance(value, list) else value


# Of these the server takes no two whose names differ in case only.
_CASELESS = ("zones", "pods", "clusters")


class Region:
    """What is, as whole lists, each read once; and what this run has made since.

    client: of client.py; None for a region that is given as lists (tests), or that has no server yet.
    lists: {word: rows} that are known already. within: names of the zones of which lists of a zone's parts are read; all where None.
    """

    def __init__(self, client: t.Any, lists: t.Optional[t.Mapping[str, t.Sequence[Row]]] = None, within: t.Optional[t.Collection[str]] = None) -> None:
        self.client = client
        self.duplicates: t.List[str] = []
        self.addresses: t.Dict[str, str] = {}  # of hosts that are declared by name; "" where it is not known
        self.written: t.Set[str] = set()  # ids of settings that this process has set, for those that cannot be read back
        self.again_allowed: t.FrozenSet[str] = frozenset()  # ids of those that are to be set anew though they cannot be compared
        self._within = within
        self._empty = client is None and not lists
        self._lists: t.Dict[str, t.List[Row]] = {word: list(rows) for word, rows in (lists or {}).items()}
        self._made: t.List[t.Tuple[str, str, Row]] = []
        self._lock = threading.Lock()

    @property
    def empty(self) -> bool:
        """Whether there is no server yet: everything is planned as new."""
        return self._empty

    def read(self, words: t.Iterable[str]) -> Region:
        """Read lists side by side; those that hang on others after them. Returns itself."""
        wanted = {word for word in words if word not in self._lists}
        wanted |= {LISTINGS[word].each[0] for word in wanted if LISTINGS[word].each} - set(self._lists)  # type: ignore[index]
        for hanging in (False, True):
            batch = sorted(word for word in wanted if bool(LISTINGS[word].each) is hanging)
            asked = [(word, {**LISTINGS[word].parameters, **more}) for word in batch for more in self._each(LISTINGS[word])]
            if asked and self.client is not None:
                with ThreadPoolExecutor(max_workers=_READERS) as pool:
                    answers = list(pool.map(lambda item: self.client.rows(LISTINGS[item[0]].command, **item[1]), asked))
            else:
                answers = [[] for unused in asked]
            found: t.Dict[str, t.List[Row]] = {word: [] for word in batch}
            for (word, parameters), rows in zip(asked, answers):
                each = LISTINGS[word].each
                found[word] += [{**row, each[1]: parameters[each[1]]} for row in rows] if each else rows
            self._lists.update(found)
        return self

    def _each(self, listing: Listing) -> t.List[t.Dict[str, str]]:
        if listing.each is None:
            return [{}]
        word, parameter = listing.each
        rows = self._lists.get(word, [])
        if self._within is not None:
            # Where none of them is there yet, one of the others tells what belongs to a zone.
            rows = [row for row in rows if row.get("zonename" if word != "zones" else "name") in self._within] or rows[:1]
        return [{parameter: row["id"]} for row in rows]

    def rows(self, what: str) -> t.List[Row]:
        """A whole list, by its word in LISTINGS; read now where it was not yet."""
        if what not in self._lists:
            self.read([what])
        return self._lists[what]

    def again(self, what: str) -> t.List[Row]:
        """Read one list anew."""
        self._lists.pop(what, None)
        return self.rows(what)

    def all(self, what: str, name: str, **equal: t.Any) -> t.List[Row]:
        """The living rows of a name whose other keys are equal to what is given."""
        return [row for row in self.rows(what) if row.get("name") == name and all(row.get(key) == value for key, value in equal.items())]

    def find(self, what: str, name: str, **equal: t.Any) -> t.Optional[Row]:
        """The living row of a name, None where there is none. Several of one name become a problem of the plan."""
        found = self.all(what, name, **equal)
        if not found and what in _CASELESS:
            living = [row for row in self.rows(what) if str(row.get("name")).casefold() == name.strip().casefold()]
            for row in [row for row in living if all(row.get(key) == value for key, value in equal.items())][:1]:
                text = f"{what}: {name} is declared, and there is {row['name']}, which to the server is the same name: declare it as {row['name']}"
                if text not in self.duplicates:
                    self.duplicates.append(text)
        ids = sorted({str(row.get("id")) for row in found})
        if len(ids) > 1:
            text = f"{what.replace('_', ' ')}: there are {len(ids)} of the name {name} ({', '.join(ids)}): delete or rename all but one, then run again"
            if text not in self.duplicates:
                self.duplicates.append(text)
        return found[0] if found else None

    def made(self, what: str, name: str, row: Row) -> Row:
        """Remember what an apply has just made, so that what hangs on it finds its id."""
        with self._lock:
            self._made.append((what, name, row))
        return row

    def id(self, what: str, name: str, **equal: t.Any) -> str:
        """The id of what lives, or was made in this run. Raises LookupError where it is neither."""
        with self._lock:
            made = [row for word, known, row in self._made if word == what and known == name]
        for row in [*made, *self.all(what, name)]:
            if all(row.get(key) == value for key, value in equal.items()):
                return str(row["id"])
        raise LookupError(f"there is no {what.replace('_', ' ').rstrip('s')} {name}")


# The kinds of what is changed. What can be declared is in KINDS.
_CHANGED = (
    "bucket", "cluster", "disk_offering", "guest_network", "host", "image_store", "network", "object_store", "physical_network", "pod", "primary_storage",
    "provider", "service_offering", "setting", "staging_store", "template", "traffic", "user", "vlan_range", "zone", "zone_state",
)  # fmt: skip


class Draft(_plan.Draft):
    """What planning writes on.

    declaration: the module's parameters, whole, for kinds that must know of another.
    restart: names of settings that are changed and take effect only after a restart of the server.
    """

    def __init__(self, declaration: t.Mapping[str, t.Any], prefix: str = "") -> None:
        super().__init__(prefix, _CHANGED)
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


def _nothing(declared: t.Any, region: Region) -> t.Dict[str, t.Any]:
    return {}


@dataclasses.dataclass(frozen=True)
class Kind:
    """One thing that can be declared of a region.

    option: its name among the module's options. spec: the argument spec of that option; None for a kind that only reads another's.
    lists: the words of LISTINGS that it needs where it is declared; or a function of what is declared.
    problems: (declared, where) -> what is wrong with the declaration alone. plan: (declared, region, sheet), writes changes and problems on the sheet.
    returned: (declared, region) -> what the module gives back of it. settle: (declared, region), after the lists were read and before planning.
    """

    option: str
    spec: t.Optional[t.Mapping[str, t.Any]]
    lists: t.Union[t.Collection[str], t.Callable[[t.Any], t.Collection[str]]]
    problems: t.Callable[[t.Any, str], t.List[str]]
    plan: t.Callable[[t.Any, Region, Draft], None]
    returned: t.Callable[[t.Any, Region], t.Dict[str, t.Any]] = _nothing
    settle: t.Optional[t.Callable[[t.Any, Region], None]] = None

    def words(self, declared: t.Any) -> t.Set[str]:
        return set(self.lists(declared) if callable(self.lists) else self.lists)


def items(options: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The spec of an option that is a list of things."""
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def _no_problems(declared: t.Any, where: str) -> t.List[str]:
    return []


# In the order of planning. What must be done first is said by each change itself, in its needs.
KINDS: t.Tuple[Kind, ...] = (
    Kind("settings", settings.SPEC, settings.LISTS, settings.problems, settings.plan),
    Kind("zones", items(zones.OPTIONS), zones.lists, zones.problems, zones.plan, zones.returned),
    Kind("zones", None, hosts.LISTS, hosts.problems, hosts.plan, hosts.returned, hosts.settle),
    Kind("zones", None, (), _no_problems, system_vms.plan),
    Kind(
        "primary_storage",
        items(primary_storage.OPTIONS),
        primary_storage.LISTS,
        primary_storage.problems,
        primary_storage.plan,
        primary_storage.returned,
    ),
    Kind(
        "image_stores", items(secondary_storage.IMAGE_OPTIONS), secondary_storage.IMAGE_LISTS, secondary_storage.image_problems, secondary_storage.plan_images
    ),
    Kind(
        "staging_stores",
        items(secondary_storage.STAGING_OPTIONS),
        secondary_storage.STAGING_LISTS,
        secondary_storage.staging_problems,
        secondary_storage.plan_staging,
    ),
    Kind("object_stores", items(object_storage.OPTIONS), object_storage.LISTS, object_storage.problems, object_storage.plan),
    Kind("buckets", items(object_storage.BUCKET_OPTIONS), object_storage.BUCKET_LISTS, object_storage.bucket_problems, object_storage.plan_buckets),
    Kind("disk_offerings", items(offerings.DISK_OPTIONS), offerings.DISK_LISTS, offerings.disk_problems, offerings.plan_disk),
    Kind("service_offerings", items(offerings.SERVICE_OPTIONS), offerings.SERVICE_LISTS, offerings.service_problems, offerings.plan_service),
    Kind("networks", items(networks.OPTIONS), networks.LISTS, networks.problems, networks.plan),
    Kind("templates", items(templates.OPTIONS), templates.LISTS, templates.problems, templates.plan),
    Kind("users", items(users.OPTIONS), users.LISTS, users.problems, users.plan),
    Kind("zones", None, (), _no_problems, zones.plan_state),  # last: a zone is opened when all of it is there
)

# What is declared for several kinds at once.
SHARED: t.Mapping[str, t.Any] = {
    "consumers": items(_consumers.OPTIONS),
    "ceph": {
        "type": "dict",
        "default": {},
        "options": {
            "fsid": {"type": "str"},
            "mon_host": {"type": "str"},
            "keys": {"type": "dict", "no_log": True, "default": {}},
            "pools": {"type": "list", "elements": "str"},
            "object_users": {"type": "dict", "no_log": True, "default": {}},
        },
    },
}


def argument_spec() -> t.Dict[str, t.Any]:
    """The options of the module that declare something."""
    return copy.deepcopy({**SHARED, **{kind.option: dict(kind.spec) for kind in KINDS if kind.spec is not None}})


def declared_problems(declaration: t.Mapping[str, t.Any], prefix: str = "") -> t.List[str]:
    """Everything that is wrong with a declaration by itself, each problem with the option's name. Pure."""
    found: t.List[str] = []
    for kind in KINDS:
        if declaration.get(kind.option):
            found += [text for text in kind.problems(declaration[kind.option], prefix + kind.option) if text not in found]
    return found


def plan(declaration: t.Mapping[str, t.Any], region: Region, prefix: str = "") -> t.Tuple[Plan, Draft]:
    """Compare what is declared (complete, as an argument spec gives it) with what is. Raises Invalid with all problems."""
    sheet = Draft(declaration, prefix)
    for kind in KINDS:
        if declaration.get(kind.option):
            kind.plan(declaration[kind.option], region, sheet)
    for text in region.duplicates:
        sheet.problem(text)
    return sheet.plan(), sheet


class Provider:
    """Everything declared of one region, for the engine.

    declaration: the module's parameters. client: of client.py, None in check mode where there is no server yet. armed: ids that may be changed.
    """

    def __init__(self, declaration: t.Mapping[str, t.Any], client: t.Any, prefix: str = "", armed: t.Collection[str] = ()) -> None:
        self._declaration = declaration
        self._client = client
        self._prefix = prefix
        self._armed = frozenset(armed)
        self._written: t.Set[str] = set()
        self._restart: t.Set[str] = set()

    def observe(self) -> Region:
        """Read the lists that the declared kinds need. Raises Invalid before anything is asked, and Unreachable."""
        found = declared_problems(self._declaration, self._prefix)
        if found:
            raise Invalid(found)
        region = Region(self._client, within={zone["name"] for zone in self._declaration.get("zones") or ()})
        region.written, region.again_allowed = self._written, self._armed
        if self._client is None:
            return region
        declared = [(kind, self._declaration[kind.option]) for kind in KINDS if self._declaration.get(kind.option)]
        try:
            region.read({word for kind, value in declared for word in kind.words(value)})
            for kind, value in declared:
                if kind.settle is not None:
                    kind.settle(value, region)
            return region
        except (Invalid, Unreachable):
            raise
        except ApiError as error:  # never read as an absence
            raise Unreachable(f"the region could not be read: {error}") from error

    def plan(self, observed: Region) -> Plan:
        """Compare."""
        made, sheet = plan(self._declaration, observed, self._prefix)
        self._restart.update(sheet.restart)
        return made

    def returned(self, observed: Region) -> t.Dict[str, t.Any]:
        """What each kind gives back, which settings wait for a restart, and how many calls were made."""
        result: t.Dict[str, t.Any] = {"restart_needed": sorted(self._restart), "api_calls": getattr(self._client, "calls", 0)}
        for kind in KINDS:
            if self._declaration.get(kind.option):
                result.update(kind.returned(self._declaration[kind.option], observed))
        return result
