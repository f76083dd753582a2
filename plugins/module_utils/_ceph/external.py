# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that others keep: whether it is the declared one, and whether a client may do there what is declared.

A monitor checks a client's rights before it looks for what a command names. So what may be done is asked by commands about things that are not there.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import errno
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection, binding

rbd = binding("rbd")

# What is managed, by the caps that it takes, of each service. What all need comes first.
_READ = "allow r"
NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "clients": {"mon": ("allow service auth rwx",)},
    "pools": {"mon": ("allow service osd rw",)},
    "filesystems": {"mon": ("allow service fs rw", "allow service mds rw", "allow service osd rw")},
    "images": {"osd": ("allow rwx",)},
    "namespaces": {"mon": ("allow service osd rw",), "osd": ("allow rwx",)},
    "exports": {"mon": ("allow service auth rwx",), "osd": ("allow rwx",), "mds": ("allow rw",)},
}
# Commands that change nothing, as they name what no cluster has, by the right that a monitor wants to see first.
_TRIES: dict[str, t.Callable[[str], tuple[str, dict[str, t.Any]]]] = {
    "allow service auth rwx": lambda nobody: ("auth rm", {"entity": f"client.{nobody}"}),
    "allow service osd rw": lambda nobody: ("osd pool set", {"pool": nobody, "var": "size", "val": "3"}),
    "allow service fs rw": lambda nobody: ("fs new", {"fs_name": nobody, "metadata": nobody, "data": f"{nobody}-data"}),
    "allow service mds rw": lambda nobody: ("fs set", {"fs_name": nobody, "var": "joinable", "val": "true"}),
}
_REFUSED = (errno.EACCES, errno.EPERM)


def needed_caps(managed: t.Collection[str]) -> dict[str, str]:
    """Return the caps that a client needs to manage these things, by service. managed: keys of NEEDS. Pure."""
    found: dict[str, list[str]] = {"mon": [_READ], "mgr": [_READ]}
    for what in (what for what in NEEDS if what in managed):
        for service, grants in NEEDS[what].items():
            found.setdefault(service, []).extend(grant for grant in grants if grant not in found.get(service, ()))
    return {service: ", ".join(grants) for service, grants in found.items()}


def words(caps: t.Mapping[str, str]) -> str:
    """Return caps as a command of Ceph takes them. Pure."""
    return " ".join(f"{service} '{caps[service]}'" for service in sorted(caps))


def commands(consumers: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, list[str]]:
    """Return the commands by which whoever keeps the cluster makes the clients of consumers, and what namespaces these need, by client. Pure."""
    found = {client["name"]: [f"ceph auth get-or-create {client['name']} {words(client['caps'])}"] for client in _consumers.clients(consumers)}
    for consumer in consumers:
        made = [*(f"rbd pool init {pool}" for pool in _consumers.initialised([consumer])), *(_create(*place) for place in _consumers.namespaces([consumer]))]
        found[_consumers.client_of(consumer)] += made
    return found


def _create(pool: str, namespace: str) -> str:
    return f"rbd namespace create {pool}/{namespace}"


def look(
    cluster: Connection, fsid: str, managed: t.Collection[str], pools: t.Mapping[str, t.Collection[str]], namespaces: t.Collection[tuple[str, str]] = ()
) -> tuple[list[str], list[str]]:
    """Return (what is wrong, the cluster's pools). fsid: the declared one. managed: keys of NEEDS. pools: those that must be there, with their applications.
    namespaces: (pool, namespace) of those that must be there.

    Raises CommandFailed where not even the pools may be read, and Unreachable.
    """
    if cluster.fsid != fsid.lower():
        return [f"ceph.external.fsid is {fsid}, and the cluster that answers is {cluster.fsid}: correct the fsid, or ceph.external.monitors"], []
    there = sorted(raw["pool_name"] for raw in cluster.command("osd dump")["pools"])
    found = [
        f"there is no pool {name}, and nobody here may make it: ask who keeps the cluster for `ceph osd pool create {name}` "
        f"and `ceph osd pool application enable {name} {' '.join(sorted(applications))}`"
        for name, applications in pools.items()
        if name not in there
    ]
    found += [
        f"there is no namespace {pool}/{name}, and nobody here may make it: ask who keeps the cluster for `rbd pool init {pool}` and `{_create(pool, name)}`"
        for pool, name in namespaces
        if pool not in there or _lacks_namespace(cluster, pool, name)
    ]
    lacks = _lacking(cluster, managed) if managed else []
    if lacks:
        ask = f"ceph auth caps {cluster.client} {words(needed_caps(managed))}"
        found.append(f"{cluster.client} lacks what is needed for {', '.join(sorted(managed))} ({'; '.join(lacks)}): ask who keeps the cluster for `{ask}`")
    return found, there


def _lacking(cluster: Connection, managed: t.Collection[str]) -> list[str]:
    wanted = needed_caps(managed)
    nobody = f"nobody-{uuid.uuid4().hex}"
    lacks = [f"mon '{grant}'" for grant in wanted["mon"].split(", ") if grant in _TRIES and not _may(cluster, *_TRIES[grant](nobody))]
    others = [service for service in wanted if service not in ("mon", "mgr")]
    if others and not lacks:
        has = cluster.command("auth get", entity=cluster.client)[0].get("caps", {})
        lacks += [f"{service} '{wanted[service]}'" for service in others if not has.get(service)]
    return lacks


def _lacks_namespace(cluster: Connection, pool: str, name: str) -> bool:
    """False where another client's rights are needed to know: the proof of its consumer tells."""
    try:
        with contextlib.closing(cluster.rados.open_ioctx(pool)) as io_context:
            return not rbd.RBD().namespace_exists(io_context, name)
    except rbd.PermissionError:
        return False


def _may(cluster: Connection, prefix: str, arguments: t.Mapping[str, t.Any]) -> bool:
    try:
        cluster.command(prefix, **arguments)
    except CommandFailed as error:
        return error.code not in _REFUSED
    return True
