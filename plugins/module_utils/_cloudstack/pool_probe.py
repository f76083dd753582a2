# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudStack's RBD pools on a host: the server never says whether a key still works, so it is tried where it is used.

The agent keeps a libvirt pool and a secret with the UUID of the primary storage (primary_storage.pool_uuid). With what they say, and nothing
else, the pool's images are listed. Only reads.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import functools
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import show_address
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

try:
    import rbd
except ImportError:
    rbd = None

_PAUSE = 2


class NotSo(Exception):
    """The host has not what it should have. Says what."""


def probe_all(host: t.Any, pools: t.Iterable[t.Mapping[str, t.Any]], wait: float) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.List[str]]:
    """Probe primary storages (name, uuid, pool, monitors, as the region returns them). wait: seconds for the agent to make its pools.

    Returns ({name, uuid, client, images: how many}s, problems).
    """
    found: t.List[t.Dict[str, t.Any]] = []
    problems: t.List[str] = []
    end = time.monotonic() + wait
    for pool in pools:
        left = end - time.monotonic()
        try:
            found.append(retry_while(lambda error: isinstance(error, NotSo), functools.partial(_probe, host, pool), left, _PAUSE))
        except Exception as error:  # not so, Unreachable, and the families of libvirt's, librados' and librbd's errors
            problems.append(f"{pool['name']}: {error}")
    return found, problems


def _probe(host: t.Any, pool: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    definition = _definition(host, pool)
    wrong = []
    if definition.source != pool["pool"]:
        wrong.append(f"the Ceph pool {definition.source}, not {pool['pool']}")
    monitors = sorted(f"[{address}]" if ":" in address else address for address, _port in definition.hosts)
    if monitors != sorted(pool["monitors"]):
        wrong.append(f"the monitors {', '.join(monitors)}, not {', '.join(pool['monitors'])}")
    if wrong:
        raise NotSo(f"libvirt's pool {pool['uuid']} has {' and '.join(wrong)}")
    key = _key(host, definition.secret)
    client = f"client.{definition.user}"
    mon_host = ",".join(show_address(address) for address in definition.hosts)
    with Connection({"mon_host": mon_host, "client": client, "key": key}) as connection:
        io_context = connection.rados.open_ioctx(definition.source)
        try:
            images = len(rbd.RBD().list(io_context))
        finally:
            io_context.close()
    return {"name": pool["name"], "uuid": pool["uuid"], "client": client, "images": images}


def _definition(host: t.Any, pool: t.Mapping[str, t.Any]) -> xml.RbdPool:
    try:
        handle = host.api.storagePoolLookupByUUIDString(pool["uuid"])
        active = bool(handle.isActive())
        definition = xml.read_pool(handle.XMLDesc(0))
    except host.lib.libvirtError as error:
        if error.get_error_code() == host.lib.VIR_ERR_NO_STORAGE_POOL:
            raise NotSo(f"libvirt has no pool {pool['uuid']}: is the agent connected, and of a zone or cluster that uses it?") from error
        raise
    if definition is None:
        raise NotSo(f"libvirt's pool {pool['uuid']} is not of type rbd")
    if not active:
        raise NotSo(f"libvirt's pool {pool['uuid']} does not run")
    return definition


def _key(host: t.Any, uuid: str) -> str:
    try:
        return base64.b64encode(host.api.secretLookupByUUIDString(uuid).value(0)).decode()
    except host.lib.libvirtError as error:
        if error.get_error_code() == host.lib.VIR_ERR_NO_SECRET:
            raise NotSo(f"libvirt has no secret {uuid}, or nothing in it") from error
        raise Unreachable(f"libvirt's secret {uuid} cannot be read: {error}") from error
