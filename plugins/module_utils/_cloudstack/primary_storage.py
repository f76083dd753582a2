# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Primary storage on RBD: pools of Ceph on which CloudStack keeps guests' volumes.

Monitors are always written in one order: of their text CloudStack makes the pool's UUID. It never gives back user or key, so neither is compared.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import parse_mon_host, show_address, spelled
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError, mapped
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, odd, of, present, text, words
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, Risk, Secret, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, mapping, presence, string, strings

OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "zone": string("Its zone.", required=True),
    "state": presence(
        "Whether it exists. V(absent) puts it into maintenance, which stops guests, and removes it. It needs O(allow_loss=primary_storage/ZONE/NAME). "
        "It is refused while a volume is on it. Images stay in Ceph."
    ),
    "scope": choice("Whether all hosts of the zone use it, or those of one cluster.", ["zone", "cluster"], default="zone"),
    "pod": string("The pod of the cluster, for the scope V(cluster)."),
    "cluster": string("The cluster, for the scope V(cluster). It needs a host."),
    "hypervisor": choice("For hosts of which type it is, for the scope V(zone).", ["kvm", "simulator"], default="kvm"),
    "consumer": string("The consumer of kind V(cloudstack) whose pool it is. Pool, cephx client and key come from it. Required for a pool that is present."),
    "pool": string("The pool in Ceph, if the consumer has several."),
    "data_pool": string(
        "The pool in Ceph for the data of images, where it is another one, such as an erasure-coded pool. By default what the consumer says.\n"
        "Up to CloudStack 4.22.1 root volumes that are made of a template ignore it (apache/cloudstack 13361); data volumes don't.\n"
        "An empty value removes it."
    ),
    "tags": strings("All its tags, by which offerings choose it. Left as they are if not given."),
    "access_groups": strings("All its storage access groups; hosts of other groups don't use it. Left as they are if not given. Since CloudStack 4.21."),
    "details": mapping("Further details, in CloudStack's own words. Those that are not named are left alone.", default={}),
    "enabled": boolean("Whether new volumes are placed on it. A pool in maintenance stays so.", default=True),
}
LISTS = ("zones", "pods", "clusters", "hosts", "storage_pools")
HYPERVISORS = {"kvm": "KVM", "simulator": "Simulator"}
DATA_POOL = "rbd_default_data_pool"  # the detail that names the pool for the data of images, since CloudStack 4.20
# What a URL of this kind can carry: the server cuts it at "@", ":" and "/", and decodes "%".
_PLAIN = re.compile(r"[A-Za-z0-9_.\-]+")
_LETTERS = "letters, digits, '-', '_' and '.' only"
_HOSTS_PATIENCE = 90  # seconds for hosts to come back; after a restart of the server they took 15 (seen)
_PAUSE = 3
_MAINTENANCE = ("PrepareForMaintenance", "Maintenance", "CancelMaintenance", "ErrorInMaintenance")


class Source(t.NamedTuple):
    """Where a pool is in Ceph. monitors: as CloudStack writes them, comma separated and sorted; port: of all of them, 0 for the usual ones.
    data_pool: of its images, None where nothing is said of it."""

    pool: str
    client: str
    monitors: str
    port: int
    data_pool: t.Optional[str] = None


def monitors(mon_host: str) -> tuple[str, int]:
    """The monitors of a mon_host as CloudStack wants them, sorted, and their port: ("10.0.0.1,10.0.0.2", 0), 0 for the usual ones. Raises ValueError."""
    addresses = parse_mon_host(mon_host)
    ports = {port for _host, port in addresses}
    if not ports:
        raise ValueError("the cluster's monitors are not known: give them as the existing cluster has them")
    if len(ports) > 1:
        raise ValueError(f"CloudStack takes one port for all monitors, and these have several: {', '.join(map(show_address, addresses))}")
    return ",".join(_address(host) for host, _port in addresses), ports.pop()


def pool_uuid(hosts: str, pool: str) -> str:
    """The UUID that CloudStack will give a pool, and libvirt's pool and secret on every host: a name-based one (MD5) of HOSTS/POOL."""
    return str(uuid.UUID(bytes=hashlib.md5(f"{hosts}/{pool}".encode(), usedforsecurity=False).digest(), version=3))


def url(source: Source, key: str) -> Secret:
    """The URL with which a pool is registered. The key stands in it as base64 for URLs: percent-encoding would not be decoded."""
    safe = key.strip().replace("+", "-").replace("/", "_")
    port = f":{source.port}" if source.port else ""
    return Secret(f"rbd://{source.client[len('client.') :]}:{safe}@{source.monitors}{port}/{source.pool}")


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    for here, item in present(declared, where, found, zoned=True):
        scope, placed = item["scope"], (item.get("pod"), item.get("cluster"))
        here.refuse(not item.get("consumer"), "consumer is missing: name the one of kind cloudstack whose pool this is")
        here.refuse(scope == "cluster" and not all(placed), "scope cluster needs pod and cluster")
        here.refuse(scope == "zone" and any(placed), "a pool of scope zone has neither pod nor cluster: leave them out, or say scope: cluster")
        here.refuse(DATA_POOL in item["details"], f"details: {DATA_POOL} is what data_pool says")
        for option in ("pool", "data_pool"):
            here.refuse(item.get(option) and not _PLAIN.fullmatch(item[option]), f"{option}: CloudStack cannot carry '{item[option]}': {_LETTERS}")
        for option in ("tags", "access_groups"):
            found += [f"{here}: {option}: '{word}' is empty or has a comma in it: a list has one word an entry" for word in odd(item.get(option))]
    return found


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    def find(item: Item, _here: str) -> t.Optional[Row]:
        return region.find("storage_pools", item["name"], zonename=item["zone"])

    absent = [item for item in declared if item["state"] == "absent"]
    leaving = {str(row["id"]): item for item in absent for row in region.all("storage_pools", item["name"], zonename=item["zone"])}
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for here, item, row in draft.each("primary_storage", declared, region, functools.partial(_delete, region, draft), find):
        _check_place(here, item, region, draft)
        source = _source(here, item, region, draft)
        if source is None:
            continue
        item = {**item, "data_pool": source.data_pool}
        zone, name = known.setdefault((source.pool, source.monitors), (item["zone"], item["name"]))
        again = (zone, name) != (item["zone"], item["name"])
        here.refuse(again, f"the Ceph pool {source.pool} is declared as {name} in the zone {zone} too: a Ceph pool is registered once")
        waits = _check_twins(here, item, source, row, region, draft, leaving)
        if item.get("access_groups") and region.client is not None and not region.client.offers("createStoragePool", "storageaccessgroups"):
            draft.problem(f"{here}: access_groups: this server knows no storage access groups; they came with CloudStack 4.21")
        if row is None:
            _create(here, item, source, region, draft, waits)
        elif row.get("type") != "RBD":
            draft.problem(f"{here}: the storage of that name in the zone {item['zone']} is of type {row.get('type')}: use another name")
        else:
            _update(here, item, source, row, region, draft)


def returned(declared: t.Sequence[Item], region: Region) -> dict[str, t.Any]:
    """What hosts must have: for each pool the UUID of libvirt's pool and secret, and where it is."""
    found = []
    for item in declared:
        for row in region.all("storage_pools", item["name"], zonename=item["zone"])[:1] if item["state"] == "present" else ():
            place = {"scope": str(row.get("scope", "")).lower(), "cluster": row.get("clustername"), "monitors": _monitors_of(row), "pool": _pool_of(row)}
            told = {"name": item["name"], "zone": item["zone"], "uuid": row["id"], "state": row.get("state")}
            found.append({**told, **place, "tags": words(row.get("tags"))})
    return {"primary_storage": found}


def _named(items: t.Optional[t.Iterable[Item]], name: t.Optional[str]) -> Item:
    """What has a name among what is declared, empty where nothing has."""
    return next((item for item in items or () if item["name"] == name), {})


def _check_place(here: Place, item: Item, region: Region, draft: Draft) -> None:
    """The zone, pod and cluster must be there, or be declared; and a pool of a cluster needs a host in it."""
    if region.empty or not draft.has_zone(here, item["zone"], region) or item["scope"] != "cluster":
        return
    pod = _named(_named(draft.declaration.get("zones"), item["zone"]).get("pods"), item["pod"])
    cluster = _named(pod.get("clusters"), item["cluster"])
    existing = region.find("clusters", item["cluster"], zonename=item["zone"])
    if not pod and region.find("pods", item["pod"], zonename=item["zone"]) is None:
        draft.problem(f"{here}: there is no pod {item['pod']} in the zone {item['zone']}, and none is declared")
    elif not cluster and existing is None:
        draft.problem(f"{here}: there is no cluster {item['cluster']} in the pod {item['pod']}, and none is declared")
    # Lists of hosts are read without their details, of which the names of zone and cluster are a part.
    elif not cluster.get("hosts") and not of(region, "hosts", existing, "clusterid"):
        draft.problem(f"{here}: the cluster {item['cluster']} has no host, through which CloudStack registers a pool: declare one, or scope: zone")


def consumer_problems(declaration: Item, where: str) -> list[str]:
    """What is wrong with the consumers that the declared pools name, all being declared."""
    found: list[str] = []
    for here, item in present(declaration.get("primary_storage") or (), where, []):
        here = Place(here, found.append)
        if item.get("consumer"):  # said by problems
            _choose(here, item, declaration)
    return found


def _choose(here: Place, item: Item, declaration: Item) -> t.Optional[tuple[Item, str, t.Optional[str]]]:
    """Return the consumer, which of its pools this is, and the pool of its data, as far as is declared. None where it isn't; then that is a problem."""
    who = f"the consumer {item['consumer']}"
    consumer = _named(declaration.get("consumers"), item["consumer"])
    if here.refuse(not consumer, f"there is no consumer {item['consumer']}: declare it in consumers, with kind: cloudstack and its pool"):
        return None
    if here.refuse(consumer.get("kind") != "cloudstack", f"{who} is of kind {consumer.get('kind')}: CloudStack's must be of kind cloudstack"):
        return None
    access = {grant.pool: grant.access for grant in _consumers.granted(consumer)}
    of_data = {pool["name"]: pool.get("data_pool") for pool in consumer["pools"]}
    # A pool for data is never registered itself: the pool that names it is.
    data = {one.get("data_pool") for one in declaration.get("primary_storage") or () if one.get("consumer") == item["consumer"]}
    choice = [name for name in of_data if name not in data | {*of_data.values()}]
    pool = str(item.get("pool") or (choice[0] if len(choice) == 1 else ""))
    client = _consumers.client_of(consumer)
    if here.refuse(not pool, f"{who} has {len(choice)} pools ({', '.join(choice)}): say which one this is (pool)"):
        return None
    if here.refuse(pool not in of_data, f"{who} does not use the pool {pool}, only {', '.join(of_data)}: add it to the consumer's pools"):
        return None
    here.refuse(not client.startswith("client.") or not _PLAIN.fullmatch(client), f"CloudStack cannot carry the client's name {client}: {_LETTERS}")
    here.refuse(not _PLAIN.fullmatch(pool), f"CloudStack cannot carry the pool's name {pool}: {_LETTERS}")
    data_pool = item["data_pool"] if item.get("data_pool") is not None else of_data.get(pool)
    here.refuse(data_pool and data_pool not in access, f"{who} may not use the data pool {data_pool}: name it in the consumer, as data_pool of {pool}")
    for name in filter(None, (pool, data_pool)):
        here.refuse(access.get(name, "rw") != "rw", f"{who} may only read the pool {name}: CloudStack writes to it")
    return consumer, pool, data_pool


def _source(here: Place, item: Item, region: Region, draft: Draft) -> t.Optional[Source]:
    """Where the pool is in Ceph. None where it isn't known; then that is a problem, unless there is no server yet and all is still to be made."""
    chosen, ceph = _choose(here, item, draft.declaration), draft.declaration.get("ceph") or {}
    if chosen is None:
        return None
    consumer, pool, data_pool = chosen
    client, pools = _consumers.client_of(consumer), None if region.empty else ceph.get("pools")
    for name in filter(None, (pool, data_pool)):
        here.refuse(pools is not None and name not in pools, f"Ceph has no pool {name}: declare it (ceph_cluster_pools) and make it first")
    if region.empty and not ceph.get("mon_host"):
        return Source(pool, client, "", 0, data_pool)
    try:
        return Source(pool, client, *monitors(ceph.get("mon_host") or ""), data_pool)
    except ValueError as error:
        draft.problem(f"{here}: ceph.mon_host: {error}")
        return None


def _key(here: Place, client: str, draft: Draft) -> str:
    """The key of a client. One that is not there, or is none, is a problem."""
    key = str(((draft.declaration.get("ceph") or {}).get("keys") or {}).get(client) or "")
    try:
        decoded = base64.b64decode(key.strip(), validate=True)
    except ValueError:
        decoded = b""
    here.refuse(not key, f"Ceph has no client {client}, or its key was not given (ceph.keys): its consumer is made by the role ceph_cluster")
    # Type, time of making and length come before the key itself.
    here.refuse(key and len(decoded) < 12, f"what was given as the key of {client} is no cephx key")
    return key


def _check_twins(here: str, item: Item, source: Source, own: t.Optional[Row], region: Region, draft: Draft, leaving: Item) -> list[str]:
    """Refuse a Ceph pool that is registered already; return what must be gone first, where that registration goes in this run."""
    waits, hosts = [], set(map(_address, source.monitors.split(",")))
    for row in region.rows("storage_pools"):
        # A pool of that name at other monitors is another cluster's.
        if row.get("type") != "RBD" or _pool_of(row) != source.pool or not hosts & set(_monitors_of(row)) or (own and row.get("id") == own.get("id")):
            continue
        if str(row["id"]) in leaving:
            waits.append("primary_storage/{zone}/{name}".format(**leaving[str(row["id"])]))
            continue
        absent = f"{row.get('name')} absent"
        also, remedy = (f", beside {item['name']}", f"{absent} once nothing is on it") if own else ("", f"it by that name, or {absent}")
        there = f"{row.get('name')} in the zone {row.get('zonename')}{also} ({row['id']}, monitors {row.get('ipaddress')})"
        draft.problem(f"{here}: the Ceph pool {source.pool} is registered as {there}: CloudStack would use one pool as two. Declare {remedy}")
    return waits


def _wanted(item: Item) -> dict[str, t.Any]:
    """What can be changed of a pool that is there; only what was declared."""
    details = {str(key): text(value) for key, value in item["details"].items()}
    lists = {option: words(item[option]) for option in ("tags", "access_groups") if item.get(option) is not None}
    data_pool = {} if item.get("data_pool") is None else {"data_pool": item["data_pool"]}
    return {"enabled": item["enabled"], **lists, **data_pool, **({"details": details} if details else {})}


def _sent(values: Item) -> dict[str, t.Any]:
    """Tags, the pool for data and details, as parameters."""
    data_pool = {DATA_POOL: values["data_pool"]} if "data_pool" in values else {}
    tags = {"tags": ",".join(values["tags"])} if "tags" in values else {}
    return {**tags, **mapped("details", {**data_pool, **values.get("details", {})})}


def _create(here: Place, item: Item, source: Source, region: Region, draft: Draft, waits: t.Iterable[str]) -> None:
    key = "" if region.empty else _key(here, source.client, draft)
    zone, scope, wanted = item["zone"], item["scope"], _wanted(item)
    needs = {f"zone/{zone}", *waits, *draft.ids("host", "traffic", begin=f"{zone}/")}
    after: dict[str, t.Any] = {"pool": source.pool, "client": source.client, "key": Secret(key), "scope": scope}
    if source.monitors:
        after.update(monitors=source.monitors.split(","), uuid=pool_uuid(source.monitors, source.pool), **({"port": source.port} if source.port else {}))
    if scope == "cluster":
        after.update(pod=item["pod"], cluster=item["cluster"])
        needs |= {f"pod/{zone}/{item['pod']}", f"cluster/{zone}/{item['pod']}/{item['cluster']}"}
    else:
        after["hypervisor"] = HYPERVISORS[item["hypervisor"]]

    def apply() -> None:
        parameters: dict[str, t.Any] = {"name": item["name"], "zoneid": region.id("zones", zone), "scope": scope, "url": url(source, key)}
        parameters.update(_sent({option: value for option, value in wanted.items() if value}))
        parameters["storageaccessgroups"] = ",".join(wanted.get("access_groups", ())) or None
        if scope == "cluster":
            parameters.update(podid=region.id("pods", item["pod"], zonename=zone), clusterid=region.id("clusters", item["cluster"], zonename=zone))
        else:
            parameters["hypervisor"] = after["hypervisor"]
        row = _register(region, parameters, source)
        region.made("storage_pools", item["name"], {**row, "zonename": zone})
        if not item["enabled"]:
            region.client.call("updateStoragePool", id=row["id"], enabled=False)

    draft.ensure("primary_storage", f"{zone}/{item['name']}", None, {**after, **wanted}, apply, needs=needs)


def _register(region: Region, parameters: Item, source: Source) -> Row:
    """createStoragePool. Waits for the hosts of a server that was just started, and says more than the server does of what went wrong."""
    hosts: list[Row] = []

    def no_host_yet(error: Exception) -> bool:
        if not isinstance(error, ApiError) or "No host up" not in error.text:
            return False
        hosts[:] = region.client.rows("listHosts", clusterid=parameters.get("clusterid"), type="Routing", state="Up", details="min")
        return not hosts

    try:
        return dict(retry_while(no_host_yet, lambda: region.client.call("createStoragePool", **parameters)["storagepool"], _HOSTS_PATIENCE, _PAUSE))
    except ApiError as error:
        if hosts and parameters.get("storageaccessgroups"):
            raise RuntimeError(f"{error} (hosts are up, but none of them has the access groups {parameters['storageaccessgroups']})") from error
        if "Failed to access storage pool" not in error.text:
            raise
        ask = f"Can it reach the monitors {source.monitors}, is there a pool {source.pool}, and does the key of {source.client} work there?"
        raise RuntimeError(f"{error} (the reason is in agent.log and in libvirt's journal on a host of the zone. {ask})") from error


def _update(here: Place, item: Item, source: Source, row: Row, region: Region, draft: Draft) -> None:
    """Refuse what the API cannot mend, and change what it can."""
    again = "CloudStack cannot change that. Register it under another name, move its volumes there, then declare this one absent"
    state, pool, wanted, details = str(row.get("state")), _pool_of(row), _wanted(item), row.get("details") or {}
    scope, both, cluster = str(row.get("scope", "")).lower(), item["scope"], row.get("clustername")
    hypervisor, hosts = HYPERVISORS[item["hypervisor"]], row.get("hypervisor")
    now, existing = (set(map(_address, source.monitors.split(","))), set(_monitors_of(row))) if source.monitors else (set(), set())
    knows, has, strangers, lacks = (", ".join(sorted(some)) for some in (existing, now, existing - now, now - existing))
    others, unfinished = hosts not in (None, "Any", hypervisor), state not in ("Up", "Disabled", *_MAINTENANCE)
    if here.refuse(unfinished, f"is in the state {state}: its registration was never finished. Take it away on the server, then run again"):
        return
    here.refuse(pool != source.pool, f"is registered with the Ceph pool {pool}, and {source.pool} is declared. {again}")
    here.refuse(scope != both, f"has the scope {scope}, and {both} is declared: disable it, give it the other by changeStoragePoolScope, then run again")
    here.refuse(scope == both == "cluster" and cluster != item["cluster"], f"belongs to the cluster {cluster}, and {item['cluster']} is declared. {again}")
    here.refuse(scope == both == "zone" and others, f"is for hosts of type {hosts}, and {hypervisor} is declared. {again}")
    here.refuse(strangers, f"is registered with monitors that are not the cluster's: {strangers} (it has {has}). Give it that one back, or: {again}")
    if lacks and not strangers:
        draft.warn(f"{here}: knows only the monitors {knows}, and not {lacks}: it works as long as one that it knows runs. CloudStack cannot change that")
    if state in _MAINTENANCE:
        draft.warn(f"{here}: is in the state {state}, and stays so: end it with cancelStorageMaintenance, or declare it absent to remove it")
        del wanted["enabled"]
    given = wanted.pop("details", {})
    old, new = differing({**dict.fromkeys(given, ""), **details}, given)
    told = {"tags": words(row.get("tags")), "access_groups": words(row.get("storageaccessgroups")), "data_pool": details.get(DATA_POOL, "")}

    def update(after: dict[str, t.Any]) -> None:
        parameters = {**_sent(after), **({"enabled": after["enabled"]} if "enabled" in after else {})}
        if parameters:
            region.client.call("updateStoragePool", id=row["id"], **parameters)
        if "access_groups" in after:
            region.client.job("configureStorageAccess", storageid=row["id"], storageaccessgroups=",".join(after["access_groups"]))

    reason = "no new volumes are placed on it" if state == "Up" and wanted.get("enabled") is False else ""
    before, after = {"enabled": state == "Up", **told, "details": old}, {**wanted, **({"details": new} if new else {})}
    draft.ensure("primary_storage", f"{item['zone']}/{item['name']}", before, after, update=update, reason=reason)


def _delete(region: Region, draft: Draft, item: Item, row: Row) -> None:
    """Maintenance, then delete. Nothing is begun while a volume is on it."""

    def apply() -> None:
        call = region.client
        volumes = [volume for volume in call.rows("listVolumes", storageid=row["id"], listall=True) if volume.get("state") not in ("Expunged", "Expunging")]
        if volumes:
            names = ", ".join(f"{volume['name']} ({volume['state']})" for volume in volumes[:5])
            raise RuntimeError(f"{len(volumes)} volumes are on it: {names}{' …' if len(volumes) > 5 else ''}. Move or expunge them first")
        if row.get("state") == "Disabled":
            call.call("updateStoragePool", id=row["id"], enabled=True)
        if row.get("state") != "Maintenance":
            call.job("enableStorageMaintenance", id=row["id"])
        call.call("deleteStoragePool", id=row["id"])

    before = {"pool": _pool_of(row), "monitors": _monitors_of(row), "uuid": row["id"], "state": row.get("state")}
    reason = "CloudStack stops the guests that use it (maintenance) and forgets it; images stay in Ceph"
    draft.ensure("primary_storage", f"{item['zone']}/{item['name']}", before, None, apply, risk=Risk.LOSS, reason=reason)


def _pool_of(row: Item) -> str:
    return str(row.get("path") or "").strip("/")


def _monitors_of(row: Item) -> list[str]:
    return sorted(_address(part) for part in str(row.get("ipaddress") or "").split(",") if part.strip())


def _address(text: str) -> str:
    """A monitor in one spelling: names in lower case, an address of IPv6 short and in brackets."""
    plain = spelled(text.strip().strip("[]"))
    return f"[{plain}]" if ":" in plain else plain
