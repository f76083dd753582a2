# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Primary storage on RBD: pools of Ceph on which CloudStack keeps guests' volumes.

A pool is known by its name within a zone. Pool, client and key come from a consumer, the monitors from the living cluster's own map, in
one order, for CloudStack makes the pool's UUID of their text: the same Ceph pool under another order would be another pool to it.

The server never gives back user or key, so neither is compared. That they work is proven on the hosts.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import parse_mon_host, show_address
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import short
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError, mapped
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, odd, present, text, words
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, Secret, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, mapping, presence, string, strings

OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "zone": string("Its zone.", required=True),
    "state": presence(
        "Whether it is there. V(absent) puts it into maintenance, which stops guests, and takes it away, and needs O(arm=primary_storage/ZONE/NAME). "
        "With a volume on it, nothing is begun. Images stay in Ceph."
    ),
    "scope": choice("Whether all hosts of the zone use it, or those of one cluster.", ["zone", "cluster"], default="zone"),
    "pod": string("The pod of the cluster, for the scope V(cluster)."),
    "cluster": string("The cluster, for the scope V(cluster). It needs a host."),
    "hypervisor": choice("For hosts of which type it is, for the scope V(zone).", ["kvm", "simulator"], default="kvm"),
    "consumer": string("The consumer of kind V(cloudstack) whose pool it is. Pool, cephx client and key come from it. Required for a pool that is present."),
    "pool": string("The pool in Ceph, where the consumer has several."),
    "data_pool": string(
        "The pool in Ceph for the data of images, where it is another one, such as an erasure-coded pool. The consumer must use it too.\n"
        "Up to CloudStack 4.22.1 root volumes that are made of a template ignore it (apache/cloudstack 13361); data volumes don't.\n"
        "Empty, it is taken away."
    ),
    "tags": strings("All its tags, by which offerings choose it. Left alone where they are not given."),
    "access_groups": strings("All its storage access groups; hosts of other groups don't use it. Left alone where they are not given. Since CloudStack 4.21."),
    "details": mapping("Further details, in CloudStack's own words. Those that are not named are left alone.", default={}),
    "enabled": boolean("Whether new volumes are placed on it. A pool in maintenance stays so.", default=True),
}
LISTS = ("zones", "pods", "clusters", "hosts", "storage_pools")

HYPERVISORS = {"kvm": "KVM", "simulator": "Simulator"}
# The detail that names the pool for the data of images, where that is another one (an erasure-coded one). Since CloudStack 4.20.
DATA_POOL = "rbd_default_data_pool"
# What a URL of this kind can carry: the server cuts it at "@", ":" and "/", and decodes "%".
_PLAIN = re.compile(r"[A-Za-z0-9_.\-]+")
# A server that was just restarted has its hosts back within 15 s, seen; this is how long a pool of a cluster waits for one, in seconds.
_HOSTS_PATIENCE = 90
_PAUSE = 3


class Source(t.NamedTuple):
    """Where a pool is in Ceph. monitors: as CloudStack writes them, comma separated and sorted; port: of all of them, 0 for the usual ones."""

    pool: str
    client: str
    monitors: str
    port: int


def monitors(mon_host: str) -> tuple[str, int]:
    """The monitors of a mon_host as CloudStack wants them: ("10.0.0.1,10.0.0.2", port), port 0 for the usual ones.

    Always in the same order, whatever theirs is. Raises ValueError for what cannot be written in such a URL.
    """
    addresses = parse_mon_host(mon_host)
    if not addresses:
        raise ValueError("no monitor is named")
    ports = {port for unused, port in addresses}
    if len(ports) > 1:
        told = ", ".join(show_address(address) for address in addresses)
        raise ValueError(f"CloudStack takes one port for all monitors, and these have several: {told}")
    return ",".join(f"[{host}]" if ":" in host else host for host, unused in addresses), ports.pop()


def pool_uuid(hosts: str, pool: str) -> str:
    """The UUID that CloudStack will give a pool, and libvirt's pool and secret on every host: a name-based one (MD5) of HOSTS/POOL."""
    digest = bytearray(hashlib.md5(f"{hosts}/{pool}".encode(), usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x30
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def url(source: Source, key: str) -> Secret:
    """The URL with which a pool is registered. The key stands in it as base64 for URLs: percent-encoding would not be decoded."""
    safe = key.strip().replace("+", "-").replace("/", "_")
    port = f":{source.port}" if source.port else ""
    return Secret(f"rbd://{source.client[len('client.') :]}:{safe}@{source.monitors}{port}/{source.pool}")


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    for here, item in present(declared, where, found, zoned=True):
        if not item.get("consumer"):
            found.append(f"{here}: consumer is missing: name the one of kind cloudstack whose pool this is")
        if item["scope"] == "cluster" and not (item.get("pod") and item.get("cluster")):
            found.append(f"{here}: scope cluster needs pod and cluster")
        if item["scope"] == "zone" and (item.get("pod") or item.get("cluster")):
            found.append(f"{here}: a pool of scope zone has neither pod nor cluster: leave them out, or say scope: cluster")
        for option in ("pool", "data_pool"):
            if item.get(option) and not _PLAIN.fullmatch(item[option]):
                found.append(f"{here}: {option}: CloudStack cannot carry '{item[option]}': letters, digits, '-', '_' and '.' only")
        for option in ("tags", "access_groups"):
            found += [f"{here}: {option}: '{word}' is empty or has a comma in it: a list has one word an entry" for word in odd(item.get(option))]
        if DATA_POOL in item["details"]:
            found.append(f"{here}: details: {DATA_POOL} is what data_pool says")
    return found


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Plan the pools: those that go, then those that come or differ."""
    leaving = {
        str(row["id"]): item for item in declared if item["state"] == "absent" for row in region.all("storage_pools", item["name"], zonename=item["zone"])
    }
    known: dict[tuple[str, str], tuple[str, str]] = {}

    def find(item: Item, _here: str) -> t.Optional[Row]:
        return region.find("storage_pools", item["name"], zonename=item["zone"])

    for here, item, row in draft.each("primary_storage", declared, find, lambda item, row: _delete(item, row, region, draft)):
        _check_place(here, item, region, draft)
        source = _source(here, item, region, draft)
        if source is None:
            continue
        twin = known.setdefault((source.pool, source.monitors), (item["zone"], item["name"]))
        if twin != (item["zone"], item["name"]):
            draft.problem(f"{here}: the Ceph pool {source.pool} is declared as {twin[1]} in the zone {twin[0]} too: a Ceph pool is registered once")
        waits = _check_twins(here, item, source, row, region, draft, leaving)
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


# -- what is wrong with it here


def _named(items: t.Optional[t.Iterable[Item]], name: t.Optional[str]) -> t.Optional[Item]:
    return next((item for item in items or () if item["name"] == name), None)


def _check_place(here: str, item: Item, region: Region, draft: Draft) -> None:
    """The zone, pod and cluster must be there, or be declared; and a pool of a cluster needs a host in it."""
    if region.empty or not draft.has_zone(here, item["zone"], region) or item["scope"] != "cluster":
        return
    zone = _named(draft.declaration.get("zones"), item["zone"])
    pod = _named((zone or {}).get("pods"), item["pod"])
    if pod is None and region.find("pods", item["pod"], zonename=item["zone"]) is None:
        draft.problem(f"{here}: there is no pod {item['pod']} in the zone {item['zone']}, and none is declared")
        return
    cluster = _named((pod or {}).get("clusters"), item["cluster"])
    living = region.find("clusters", item["cluster"], zonename=item["zone"])
    if cluster is None and living is None:
        draft.problem(f"{here}: there is no cluster {item['cluster']} in the pod {item['pod']}, and none is declared")
        return
    # Lists of hosts are read without their details, of which the names of zone and cluster are a part.
    here_hosts = [row for row in region.rows("hosts") if living is not None and row.get("clusterid") == living["id"]]
    if not here_hosts and not (cluster or {}).get("hosts"):
        draft.problem(
            f"{here}: the cluster {item['cluster']} has no host, and CloudStack registers a pool of a cluster through one: declare a host, or scope: zone"
        )


def _consumer(here: str, item: Item, draft: Draft) -> t.Optional[tuple[str, str]]:
    """The client and the pool of an item's consumer; None where that is a problem."""
    consumer = _named(draft.declaration.get("consumers"), item["consumer"])
    if consumer is None:
        draft.problem(f"{here}: there is no consumer {item['consumer']}: declare it in consumers, with kind: cloudstack and its pool")
        return None
    if consumer.get("kind") != "cloudstack":
        draft.problem(f"{here}: the consumer {item['consumer']} is of kind {consumer.get('kind')}: CloudStack's must be of kind cloudstack")
        return None
    names = [pool["name"] for pool in consumer["pools"]]
    # A pool for data is never registered itself: the pool that names it is.
    data = {one.get("data_pool") for one in draft.declaration.get("primary_storage") or () if one.get("consumer") == item["consumer"]}
    choice = [name for name in names if name not in data]
    pool = item.get("pool") or (choice[0] if len(choice) == 1 else None)
    if pool is None:
        draft.problem(f"{here}: the consumer {item['consumer']} has {len(choice)} pools ({', '.join(choice)}): say which one this is (pool)")
        return None
    if pool not in names:
        draft.problem(f"{here}: the consumer {item['consumer']} does not use the pool {pool}, only {', '.join(names)}: add it to the consumer's pools")
        return None
    if item.get("data_pool") and item["data_pool"] not in names:
        draft.problem(f"{here}: the consumer {item['consumer']} may not use the data pool {item['data_pool']}: add it to the consumer's pools")
    for name in (pool, item.get("data_pool")):
        if ((_named(consumer["pools"], name) or {}).get("access") or "rw") != "rw":
            draft.problem(f"{here}: the consumer {item['consumer']} may only read the pool {name}: CloudStack writes to it")
    client = _consumers.client_of(consumer)
    if not client.startswith("client.") or not _PLAIN.fullmatch(client):
        draft.problem(f"{here}: CloudStack cannot carry the client's name {client}: letters, digits, '-', '_' and '.' only")
        return None
    if not _PLAIN.fullmatch(pool):
        draft.problem(f"{here}: CloudStack cannot carry the pool's name {pool}: letters, digits, '-', '_' and '.' only")
        return None
    return client, pool


def _source(here: str, item: Item, region: Region, draft: Draft) -> t.Optional[Source]:
    """Where the pool is in Ceph. None where it isn't known; then that is a problem, unless there is no server yet and all is still to be made."""
    found = _consumer(here, item, draft)
    if found is None:
        return None
    client, pool = found
    ceph = draft.declaration.get("ceph") or {}
    pools = ceph.get("pools")
    for name in (pool, item.get("data_pool")):
        if name and pools is not None and not region.empty and name not in pools:
            draft.problem(f"{here}: Ceph has no pool {name}: declare it (ceph_cluster_pools) and make it first")
    try:
        hosts, port = monitors(ceph["mon_host"]) if ceph.get("mon_host") or not region.empty else ("", 0)
    except (KeyError, TypeError, AttributeError):
        draft.problem(f"{here}: the cluster's monitors are not known: give ceph.mon_host, as the living cluster has it")
        return None
    except ValueError as error:
        draft.problem(f"{here}: ceph.mon_host: {error}")
        return None
    return Source(pool, client, hosts, port)


def _check_key(here: str, client: str, draft: Draft) -> t.Optional[str]:
    key = ((draft.declaration.get("ceph") or {}).get("keys") or {}).get(client)
    if not key:
        draft.problem(f"{here}: Ceph has no client {client}, or its key was not given (ceph.keys): its consumer is made by the role ceph_cluster")
        return None
    try:
        decoded = base64.b64decode(str(key).strip(), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) < 12:  # type, time of making and length come before the key itself
        draft.problem(f"{here}: what was given as the key of {client} is no cephx key")
        return None
    return str(key)


def _check_twins(here: str, item: Item, source: Source, own: t.Optional[Row], region: Region, draft: Draft, leaving: Item) -> frozenset[str]:
    """Refuse a Ceph pool that is registered already; return what must be gone first, where that registration goes in this run."""
    waits = set()
    for row in region.rows("storage_pools"):
        if row.get("type") != "RBD" or (own is not None and row.get("id") == own.get("id")) or _pool_of(row) != source.pool:
            continue
        if not set(_monitors_of(row)) & set(map(_address, source.monitors.split(","))):
            continue  # a pool of that name in another cluster
        if str(row["id"]) in leaving:
            waits.add("primary_storage/{zone}/{name}".format(**leaving[str(row["id"])]))
            continue
        also = f", beside {item['name']}" if own is not None else ""
        draft.problem(
            f"{here}: the Ceph pool {source.pool} is registered as {row.get('name')} in the zone {row.get('zonename')}{also} "
            f"({row['id']}, monitors {row.get('ipaddress')}): CloudStack would use one pool as two. "
            + (f"Declare {row.get('name')} absent once nothing is on it" if own is not None else f"Declare it by that name, or {row.get('name')} absent")
        )
    return frozenset(waits)


# -- changes


def _wanted(item: Item) -> dict[str, t.Any]:
    """What can be changed of a pool that is there; only what was declared."""
    wanted: dict[str, t.Any] = {"enabled": item["enabled"]}
    for option in ("tags", "access_groups"):
        if item.get(option) is not None:
            wanted[option] = words(item[option])
    if item.get("data_pool") is not None:
        wanted["data_pool"] = item["data_pool"]
    if item.get("details"):
        wanted["details"] = {str(key): text(value) for key, value in item["details"].items()}
    return wanted


def _details(values: Item) -> dict[str, t.Any]:
    return mapped("details", {**({DATA_POOL: values["data_pool"]} if "data_pool" in values else {}), **values.get("details", {})})


def _create(here: str, item: Item, source: Source, region: Region, draft: Draft, waits: frozenset[str]) -> None:
    key = None if region.empty else _check_key(here, source.client, draft)
    _check_groups(here, item, region, draft)
    zone = item["zone"]
    needs = {f"zone/{zone}", *waits, *draft.ids("host", "traffic", begin=f"{zone}/")}
    after: dict[str, t.Any] = {"pool": source.pool, "client": source.client, "key": Secret(key or ""), "scope": item["scope"]}
    if source.monitors:
        after.update(monitors=source.monitors.split(","), uuid=pool_uuid(source.monitors, source.pool))
    if source.port:
        after["port"] = source.port
    if item["scope"] == "cluster":
        after.update(pod=item["pod"], cluster=item["cluster"])
        needs |= {f"pod/{zone}/{item['pod']}", f"cluster/{zone}/{item['pod']}/{item['cluster']}"}
    else:
        after["hypervisor"] = HYPERVISORS[item["hypervisor"]]
    wanted = _wanted(item)
    after.update(wanted)

    def apply() -> None:
        parameters: dict[str, t.Any] = {"name": item["name"], "zoneid": region.id("zones", zone), "scope": item["scope"], "url": url(source, key or "")}
        parameters.update({name: ",".join(wanted.get(option, ())) or None for name, option in (("tags", "tags"), ("storageaccessgroups", "access_groups"))})
        parameters.update(_details({option: value for option, value in wanted.items() if value}))
        if item["scope"] == "cluster":
            parameters["podid"] = region.id("pods", item["pod"], zonename=zone)
            parameters["clusterid"] = region.id("clusters", item["cluster"], zonename=zone)
        else:
            parameters["hypervisor"] = HYPERVISORS[item["hypervisor"]]
        row = _register(region, parameters, source)
        region.made("storage_pools", item["name"], {**row, "zonename": zone})
        if not item["enabled"]:
            region.client.call("updateStoragePool", id=row["id"], enabled=False)

    draft.ensure("primary_storage", f"{zone}/{item['name']}", None, after, apply, needs=needs)


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
        raise RuntimeError(
            f"{error} (the server does not say why; the reason is in agent.log and in libvirt's journal on a host of the zone. Can it reach the "
            f"monitors {source.monitors}, is there a pool {source.pool}, and does the key of {source.client} work there?)"
        ) from error


def _check_groups(here: str, item: Item, region: Region, draft: Draft) -> None:
    if item.get("access_groups") and region.client is not None and not region.client.offers("createStoragePool", "storageaccessgroups"):
        draft.problem(f"{here}: access_groups: this server knows no storage access groups; they came with CloudStack 4.21")


def _update(here: str, item: Item, source: Source, row: Row, region: Region, draft: Draft) -> None:
    """Refuse what the API cannot mend, and change what it can."""
    before = draft.problems[:]
    _check_fixed(here, item, source, row, draft)
    _check_groups(here, item, region, draft)
    state = str(row.get("state"))
    wanted = _wanted(item)
    if state in ("PrepareForMaintenance", "Maintenance", "CancelMaintenance", "ErrorInMaintenance"):
        draft.warn(f"{here}: is in the state {state}, and stays so: end it with cancelStorageMaintenance, or declare it absent to take it away")
        del wanted["enabled"]
    elif state not in ("Up", "Disabled"):
        draft.problem(f"{here}: is in the state {state}: its registration was never finished. Take it away on the server, then run again")
    if draft.problems != before:
        return
    living = {
        "enabled": state == "Up",
        "tags": words(row.get("tags")),
        "access_groups": words(row.get("storageaccessgroups")),
        "data_pool": (row.get("details") or {}).get(DATA_POOL, ""),
        "details": {name: (row.get("details") or {}).get(name, "") for name in wanted.get("details", {})},
    }
    old, new = differing(living, wanted)
    if not new:
        return
    if "details" in new:
        old["details"], new["details"] = differing(old["details"], new["details"])

    def apply() -> None:
        parameters = _details(new)
        if "tags" in new:
            parameters["tags"] = ",".join(new["tags"])
        if "enabled" in new:
            parameters["enabled"] = new["enabled"]
        if parameters:
            region.client.call("updateStoragePool", id=row["id"], **parameters)
        if "access_groups" in new:
            region.client.job("configureStorageAccess", storageid=row["id"], storageaccessgroups=",".join(new["access_groups"]))

    reason = "no new volumes are placed on it" if new.get("enabled") is False else ""
    draft.ensure("primary_storage", f"{item['zone']}/{item['name']}", old, new, apply, reason=reason)


def _check_fixed(here: str, item: Item, source: Source, row: Row, draft: Draft) -> None:
    """What the server keeps of a pool for good."""
    again = "CloudStack cannot change that. Register it under another name, move its volumes there, then declare this one absent"
    if _pool_of(row) != source.pool:
        draft.problem(f"{here}: is registered with the Ceph pool {_pool_of(row)}, and {source.pool} is declared. {again}")
    scope = str(row.get("scope", "")).lower()
    if scope != item["scope"]:
        draft.problem(
            f"{here}: has the scope {scope}, and {item['scope']} is declared: disable it, give it the other by changeStoragePoolScope, then run again"
        )
    elif scope == "cluster" and row.get("clustername") != item["cluster"]:
        draft.problem(f"{here}: belongs to the cluster {row.get('clustername')}, and {item['cluster']} is declared. {again}")
    elif scope == "zone" and row.get("hypervisor") not in (None, "Any", HYPERVISORS[item["hypervisor"]]):
        draft.problem(f"{here}: is for hosts of type {row.get('hypervisor')}, and {HYPERVISORS[item['hypervisor']]} is declared. {again}")
    if not source.monitors:
        return
    living, now = set(_monitors_of(row)), set(map(_address, source.monitors.split(",")))
    strangers = sorted(living - now)
    if strangers:
        draft.problem(
            f"{here}: is registered with monitors that are not the cluster's: {', '.join(strangers)} (the cluster has {', '.join(sorted(now))}). "
            f"Give the cluster its monitor at that address back, or: {again}"
        )
    elif living != now:
        draft.warn(
            f"{here}: knows only the monitors {', '.join(sorted(living))}, and not {', '.join(sorted(now - living))}: it works as long as one that it knows "
            "lives. CloudStack cannot change that"
        )


def _delete(item: Item, row: Row, region: Region, draft: Draft) -> None:
    """Maintenance, then delete. Nothing is begun while a volume is on it."""

    def apply() -> None:
        call = region.client
        volumes = [volume for volume in call.rows("listVolumes", storageid=row["id"], listall=True) if volume.get("state") not in ("Expunged", "Expunging")]
        if volumes:
            names = ", ".join(f"{volume['name']} ({volume['state']})" for volume in volumes[:5])
            raise RuntimeError(f"{len(volumes)} volumes are on it: {names}{' …' if len(volumes) > 5 else ''}. Move or expunge them first")
        if row.get("state") != "Maintenance":
            if row.get("state") == "Disabled":
                call.call("updateStoragePool", id=row["id"], enabled=True)
            call.job("enableStorageMaintenance", id=row["id"])
        call.call("deleteStoragePool", id=row["id"])

    before = {"pool": _pool_of(row), "monitors": _monitors_of(row), "uuid": row["id"], "state": row.get("state")}
    reason = "CloudStack stops the guests that use it (maintenance) and forgets it; images stay in Ceph"
    draft.ensure("primary_storage", f"{item['zone']}/{item['name']}", before, None, apply, risk=Risk.LOSS, reason=reason)


# -- small things


def _pool_of(row: Item) -> str:
    return str(row.get("path") or "").strip("/")


def _monitors_of(row: Item) -> list[str]:
    return sorted(_address(part) for part in str(row.get("ipaddress") or "").split(",") if part.strip())


def _address(text: str) -> str:
    """A monitor in one spelling: names in lower case, an address of IPv6 short and in brackets."""
    plain = short(text.strip().strip("[]").lower())
    return f"[{plain}]" if ":" in plain else plain
