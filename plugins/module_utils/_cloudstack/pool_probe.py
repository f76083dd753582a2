# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudStack's RBD pools on a host: the server never says whether a key still works, so it is tried where it is used.

With what the agent's libvirt pool and secret say, and nothing else, the pool's images are listed. Both have the UUID of the primary storage.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import show_address
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import URI_OPTION
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import integer, records, string, strings

rbd = binding("rbd")

_PAUSE = 2
POOL = {
    "name": string("The name of the primary storage.", required=True),
    "uuid": string("Its UUID.", required=True),
    "pool": string("Its pool in Ceph.", required=True),
    "monitors": strings("Its monitors' addresses.", required=True),
}
OPTIONS: dict[str, t.Any] = {
    "uri": URI_OPTION,
    "primary_storage": records(
        "What the host must have, as M(cephstack.cloud.cloudstack_region) returns it in RV(cephstack.cloud.cloudstack_region#module:primary_storage).",
        POOL,
        required=True,
    ),
    "wait": integer("Within how many seconds the agent must have made its pools. After a restart of the server it takes a while to connect again.", default=60),
}


class NotSo(Exception):
    """The host has not what it should have. Says what."""


def probe_all(host: t.Any, pools: t.Iterable[t.Mapping[str, t.Any]], wait: float) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Probe primary storages, as the region returns them, which the agent makes within wait seconds. Returns ({name, uuid, client, images}s, problems)."""
    found: list[dict[str, t.Any]] = []
    problems: list[str] = []
    end = time.monotonic() + wait
    for pool in pools:
        left = end - time.monotonic()
        try:
            found.append(retry_while(lambda error: isinstance(error, NotSo), functools.partial(_probe, host, pool), left, _PAUSE))
        except Exception as error:  # not so, Unreachable, and the families of librados' and librbd's errors
            problems.append(f"{pool['name']}: {error}")
    return found, problems


def _probe(host: t.Any, pool: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    uuid = pool["uuid"]
    with _reading(host, f"pool {uuid}", host.lib.VIR_ERR_NO_STORAGE_POOL, ": is the agent connected, and of a zone or cluster that uses it?"):
        handle = host.api.storagePoolLookupByUUIDString(uuid)
        active, definition = handle.isActive(), xml.read_pool(handle.XMLDesc(0))
    if definition is None:
        raise NotSo(f"libvirt's pool {uuid} is not of type rbd")
    if not active:
        raise NotSo(f"libvirt's pool {uuid} does not run")
    if definition.source != pool["pool"]:
        raise NotSo(f"libvirt's pool {uuid} has the Ceph pool {definition.source}, not {pool['pool']}")
    monitors = sorted(f"[{address}]" if ":" in address else address for address, _port in definition.hosts)
    if monitors != sorted(pool["monitors"]):
        raise NotSo(f"libvirt's pool {uuid} has the monitors {', '.join(monitors)}, not {', '.join(pool['monitors'])}")
    with _reading(host, f"secret {definition.secret}", host.lib.VIR_ERR_NO_SECRET, ", or nothing in it"):
        key = base64.b64encode(host.api.secretLookupByUUIDString(definition.secret).value(0)).decode()
    client = f"client.{definition.user}"
    mon_host = ",".join(show_address(address) for address in definition.hosts)
    options = {"mon_host": mon_host, "client": client, "key": key}
    with Connection(options) as connection, contextlib.closing(connection.rados.open_ioctx(definition.source)) as io_context:
        images = len(rbd.RBD().list(io_context))
    return {"name": pool["name"], "uuid": uuid, "client": client, "images": images}


@contextlib.contextmanager
def _reading(host: t.Any, what: str, missing: int, remedy: str) -> t.Iterator[None]:
    """Read of libvirt what may not be there. missing: the code of its error then."""
    try:
        yield
    except host.lib.libvirtError as error:
        if error.get_error_code() == missing:
            raise NotSo(f"libvirt has no {what}{remedy}") from error
        raise Unreachable(f"libvirt's {what} cannot be read: {error}") from error
