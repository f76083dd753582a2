# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Consumers: whoever uses the cluster's pools, declared once. All that follows from one is derived here and nowhere else. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, records, string, strings

# What a kind of consumer does with its pools: the application that Ceph marks them with.
KINDS = {**dict.fromkeys(("kvm", "xen", "rbd", "cloudstack", "glance", "cinder", "cinder-backup", "nova"), "rbd"), "rados": "rados"}
# The kinds that are services of OpenStack: the user, and the group of the same name, that reads the client's keyring where the service runs.
SERVICES = {"glance": "glance", "cinder": "cinder", "cinder-backup": "cinder", "nova": "nova"}
# What passes through caps and names of images unharmed. A cap that ends in * would be for many.
NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
NAMESPACE_RULE = "a namespace has letters, digits, '_', '.' and '-', and begins with none of the last two: write another name"
# Kinds whose consumers can have none, and why.
_NO_NAMESPACES = {
    "cloudstack": "CloudStack's primary storage is a whole pool, and knows no namespaces",
    "xen": "disks of Xen guests are declared by pool and image, and know no namespaces",
    **dict.fromkeys(SERVICES, "OpenStack's services use whole pools, and know no namespaces"),
}
_POOL = {
    "name": string("The name of the pool.", required=True),
    "access": choice("Whether it may write, or only read.", ["rw", "ro"], default="rw"),
    "data_pool": string(
        "The pool of its images' data, where that is another one, such as an erasure-coded pool. The consumer has the same access to it.\n"
        "Images that are made for the proof have their data there, and CloudStack's; of others it must be said where they are made."
    ),
    "namespace": string("The namespace within this pool, where it is another one than the consumer's. Empty for the pool as a whole, with all its namespaces."),
}
OPTIONS: dict[str, t.Any] = {
    "name": string("The name of the consumer.", required=True),
    "client": string("The full name of its cephx client. By default C(client.) and the consumer's name."),
    "kind": choice("What it is. Consumers of all kinds but V(rados) keep images in their pools.", sorted(KINDS), default="rbd"),
    "hosts": strings(
        "The groups and hosts of the inventory that use it: they get its key and what else its kind needs, and prove it. Of all kinds but V(rbd) and "
        "V(rados).\nWithout it there is only the client with its rights, for hosts that others set up."
    ),
    "pools": records("The pools that it uses.", _POOL, required=True),
    "namespace": string(
        "The namespace within each of its pools. It is made there, and the consumer has no rights on anything else in these pools.\n"
        "Without it the consumer's rights are on the pools as a whole. Consumers of CloudStack, Xen and OpenStack can have none."
    ),
    "rotate_before": string("A moment in the past, such as V(2026-11-01). Its key is made anew if it was made before it."),
    "oldest_client": string("The version of the oldest Ceph library that uses its key, such as V(18.2.7). Its key is of a type that this can read."),
}
CONSUMERS: dict[str, t.Any] = records(
    "Who uses the cluster's pools. The same list is given to all roles and modules, each of which takes what it needs.", OPTIONS, default=[]
)


class Grant(t.NamedTuple):
    """access: rw or ro. namespace: within the pool, "" for all of it."""

    pool: str
    access: str
    namespace: str = ""

    @property
    def place(self) -> str:
        return place_of(self.pool, self.namespace)


def place_of(pool: str, namespace: str) -> str:
    """A pool, or a namespace in it, as Ceph's programs name it."""
    return f"{pool}/{namespace}" if namespace else pool


def client_of(consumer: t.Mapping[str, t.Any]) -> str:
    """The cephx client of a consumer: declared, or client.<name>."""
    return str(consumer.get("client") or f"client.{consumer['name']}")


def secret_uuid(fsid: str, client: str) -> str:
    """The UUID of the libvirt secret with a client's key: the same on every host, and another one for each cluster."""
    return str(uuid.uuid5(uuid.UUID(fsid), client))


def kind_of(consumer: t.Mapping[str, t.Any]) -> str:
    return str(consumer.get("kind") or OPTIONS["kind"]["default"])


def pools_of(consumer: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The pools that it uses, as declared, each with its access and its namespace."""
    given = consumer.get("namespace") or ""
    return [
        {**pool, "access": pool.get("access") or "rw", "namespace": given if pool.get("namespace") is None else pool["namespace"]}
        for pool in consumer.get("pools") or ()
    ]


def granted(consumer: t.Mapping[str, t.Any]) -> list[Grant]:
    """What it has rights on: the pools that it uses, each followed by that of its data, which has the same namespaces."""
    pools = pools_of(consumer)
    return list(dict.fromkeys(Grant(name, one["access"], one["namespace"]) for one in pools for name in (one["name"], one.get("data_pool")) if name))


def _application(consumer: t.Mapping[str, t.Any]) -> str:
    return KINDS[kind_of(consumer)]


def _clause(right: str, pool: str, namespace: str) -> str:
    return f"{right} pool={pool}" + (f" namespace={namespace}" if namespace else "")


def caps_of(consumer: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The least caps with which a consumer can do its work."""
    pools = granted(consumer)
    if _application(consumer) == "rados":
        return {"mon": "allow r", "osd": ", ".join(_clause(f"allow {'rwx' if one.access == 'rw' else 'r'}", one.pool, one.namespace) for one in pools)}
    osd = ", ".join(_clause(f"profile rbd{'-read-only' if one.access == 'ro' else ''}", one.pool, one.namespace) for one in pools)
    # The manager's part is for work in the background (rbd_support): purge schedules, trash, performance.
    writes = ", ".join(_clause("profile rbd", pool["name"], pool["namespace"]) for pool in pools_of(consumer) if pool["access"] == "rw")
    return {"mon": "profile rbd", "osd": osd, **({"mgr": writes} if writes else {})}


def key_type_of(consumer: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """The key type that its oldest client library can read, before 20.2.4 aes alone; None where the declaration doesn't say how old that is."""
    oldest = str(consumer.get("oldest_client") or "")
    numbers = tuple(int(part) for part in oldest.split(".") if part.isdigit())
    return None if not oldest else "aes256k" if numbers >= (20, 2, 4) else "aes"


def problems(item: t.Mapping[str, t.Any], declared: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    """What is wrong with a declared consumer. declared: all of them."""
    client = client_of(item)
    if not client.startswith("client."):
        yield f"client: the name of a client begins with 'client.': write client.{client}"
    if not item.get("pools"):
        yield "pools is empty: name what it uses"
    elif kind_of(item) in SERVICES and not any(pool["access"] == "rw" for pool in pools_of(item)):
        yield f"pools: {kind_of(item)} keeps what it makes in the first pool that it may write, and here is none: give it one with access rw"
    given: dict[str, str] = {}
    for grant in (grant for other in declared if client_of(other) == client for grant in granted(other)):
        given.setdefault(grant.place, grant.access)
    data = [(pool["name"], pool["data_pool"]) for pool in item.get("pools") or () if pool.get("data_pool")]
    if data and _application(item) != "rbd":
        yield f"data_pool: images have one, and the kind {kind_of(item)} has none: leave it out"
    for pool, of_data in data:
        if pool == of_data:
            yield f"data_pool: {pool} is the pool itself: leave it out"
    for grant in granted(item):
        if given[grant.place] != grant.access or (grant.access == "ro" and given.get(grant.pool) == "rw"):
            yield f"the pool {grant.place} is given to {client} as rw and as ro: keep one of them"
    for namespace in sorted({one["namespace"] for one in pools_of(item)} - {""}):
        if not NAMESPACE.fullmatch(namespace):
            yield f"namespace '{namespace}': {NAMESPACE_RULE}"
        if kind_of(item) in _NO_NAMESPACES:
            yield f"namespace {namespace}: {_NO_NAMESPACES[kind_of(item)]}: leave it out, and give it a pool of its own"
    oldest = item.get("oldest_client")
    if oldest and not all(part.isdigit() for part in str(oldest).split(".")):
        yield f"oldest_client '{oldest}' is no version such as 18.2.7"


def clients(declared: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The cephx clients that consumers need, in the shape of the option clients, with where each is declared. Consumers may share one."""
    found: dict[str, dict[str, t.Any]] = {}
    for number, item in enumerate(declared):
        name, kind = client_of(item), key_type_of(item)
        new: dict[str, t.Any] = {"name": name, "state": "present", "caps": {}, "key_type": None, "rotate_before": item.get("rotate_before")}
        entry = found.setdefault(name, {**new, "where": f"consumers[{number}]"})
        for service, text in caps_of(item).items():
            clauses = [*entry["caps"].get(service, "").split(", "), *text.split(", ")]
            entry["caps"][service] = ", ".join(dict.fromkeys(filter(None, clauses)))
        if kind == "aes" or not entry["key_type"]:
            entry["key_type"] = kind
    return list(found.values())


def demands(declared: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, set[str]]:
    """The application with which each pool must be marked for its consumers. Of rados there is none: it is a name of ours."""
    found: dict[str, set[str]] = {}
    for item in declared:
        for grant in granted(item) if _application(item) != "rados" else ():
            found.setdefault(grant.pool, set()).add(_application(item))
    return found


def namespaces(declared: t.Iterable[t.Mapping[str, t.Any]]) -> list[tuple[str, str]]:
    """(pool, namespace) of those that must be made for images. Those of data have none of their own to be made, and objects need none."""
    return list(dict.fromkeys((pool["name"], pool["namespace"]) for pool in _parted(declared)))


def initialised(declared: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """The pools that somebody else must initialise for images, as who has rights on a namespace alone cannot: with those of data."""
    return list(dict.fromkeys(name for pool in _parted(declared) for name in (pool["name"], pool.get("data_pool")) if name))


def _parted(declared: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    return (pool for item in declared if _application(item) == "rbd" for pool in pools_of(item) if pool["namespace"])


def derived(declared: t.Sequence[t.Mapping[str, t.Any]], fsid: t.Optional[str]) -> list[dict[str, t.Any]]:
    """What hosts need of each consumer, but for its key."""
    return [
        {
            "name": item["name"],
            "kind": kind_of(item),
            "client": client_of(item),
            "secret_uuid": secret_uuid(fsid, client_of(item)) if fsid else None,
            "pools": [{**{key: pool[key] for key in ("name", "access", "namespace")}, "data_pool": pool.get("data_pool")} for pool in pools_of(item)],
        }
        for item in declared
    ]
