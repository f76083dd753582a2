# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway guest on a clone: made, booted, waited for, read, and gone again.

Nothing is left behind: the domain is transient and dies with the connection that made it, the clone is removed whatever happens, and
what a killed run left is removed by the next.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import pathlib
import re
import socket
import time
import typing as t
import uuid as uuids

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import throwaway_images
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import parse_mon_host
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import client_of, secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import Host

try:
    import rbd
except ImportError:
    rbd = None

# Name of the guest and of its image, followed by the host's name.
PREFIX = "cephstack-guest."
_CONSOLES = "/var/log/libvirt/qemu"
# Of a golden image: pool, image, snapshot.
Snapshot = t.Tuple[str, str, str]


class GuestFailed(Exception):
    """The guest did not do what it should have done. Says what, and what its console said."""


def run_guests(
    host: Host,
    connection: t.Mapping[str, t.Any],
    consumers: t.Iterable[t.Mapping[str, t.Any]],
    golden: t.Optional[Snapshot],
    image: t.Optional[tuple[str, str]],
    domain_type: str,
    memory: int,
    timeout: float,
) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Boot one guest for each consumer that may write somewhere, one after the other. Returns the guests, and the problems of the others.

    connection: a dict of the shape of CONNECTION_OPTIONS. golden: (pool, image, snapshot). image: (pool, image), one that is booted as it is.
    """
    guests: list[dict[str, t.Any]] = []
    problems: list[str] = []
    for consumer in consumers:
        client = client_of(consumer)
        pools = consumer.get("pools") or []
        writable = [pool["name"] for pool in pools if pool.get("access", "rw") == "rw" and (image is None or pool["name"] == image[0])]
        if not writable:
            continue
        source = golden if golden and not image and golden[0] in {pool["name"] for pool in pools} else None
        options = {**connection, "client": client}
        if client != connection.get("client"):
            options["key"] = None
        try:
            with Connection(options) as opened:
                report = _run_guest(host, opened, writable[0], source, image[1] if image else "", domain_type, memory, timeout)
                guests.append({"client": client, **report})
        except Exception as error:  # Unreachable, GuestFailed, and the families of libvirt's, librados's and librbd's errors
            problems.append(f"the guest of {client} on {writable[0]} proved nothing: {error}")
    return guests, problems


def _run_guest(
    host: Host, connection: Connection, pool: str, source: t.Optional[Snapshot], kept: str, domain_type: str, memory: int, timeout: float
) -> dict[str, t.Any]:
    """Boot a guest and return its marker and how long it took.

    source: what its disk is a clone of; None for the guest of 512 bytes. kept: an image to boot as it is instead, which stays; "" for none.
    memory in MiB, timeout in seconds. Raises GuestFailed, libvirt's errors and librbd's. Nothing is left behind in any case.
    """
    name = PREFIX + socket.gethostname()
    disk = kept or name
    uuid = str(uuids.uuid4())
    with contextlib.ExitStack() as stack:
        io_context = stack.enter_context(contextlib.closing(connection.rados.open_ioctx(pool)))
        leftover = _unless_gone(host, lambda: host.api.lookupByName(name))
        if leftover:
            _stop(host, leftover)
        if not kept:
            stack.enter_context(throwaway_images(io_context, name))
        begun = time.monotonic()
        if not kept:
            _make_disk(connection, io_context, name, source)
        first_sector, found = _read(io_context, disk, 0), _read(io_context, disk, _guest.MARKER_OFFSET)
        made = time.monotonic()
        console = pathlib.Path(_CONSOLES, name + ".console")
        stack.callback(console.unlink, missing_ok=True)
        guest = xml.Guest(
            name=name,
            uuid=uuid,
            domain_type=domain_type,
            memory=memory,
            pool=pool,
            image=disk,
            hosts=parse_mon_host(connection.rados.conf_get("mon_host") or ""),
            user=connection.client[len("client.") :],
            secret=secret_uuid(connection.fsid, connection.client),
            console=str(console),
        )
        domain = host.api.createXML(xml.write_guest(guest), host.lib.VIR_DOMAIN_START_AUTODESTROY)
        stack.callback(_stop, host, domain)
        wait_until(
            lambda: not _unless_gone(host, domain.isActive),
            timeout,
            lambda: GuestFailed(f"the guest was not through within {timeout:g} s; {_console(console)}"),
            0.05,
        )
        ended = time.monotonic()
        marker = _read(io_context, disk, _guest.MARKER_OFFSET)
        _check(marker, uuid, first_sector, found, console)
        if source:
            _check_golden(connection, source, uuid)
    return {
        "uuid": uuid,
        "found": _guest.readable(found),
        "marker": _guest.readable(marker),
        "image": f"{pool}/{disk}",
        "golden": "{}/{}@{}".format(*source) if source else "",
        "domain_type": domain_type,
        "clone_ms": round((made - begun) * 1000, 1),
        "guest_seconds": round(ended - made, 2),
    }


def _make_disk(connection: Connection, io_context: t.Any, name: str, source: t.Optional[Snapshot]) -> None:
    if source is None:
        disk = _guest.marker_image()
        rbd.RBD().create(io_context, name, len(disk))
        with rbd.Image(io_context, name) as image:
            image.write(disk[: _guest.SECTOR], 0)
            image.flush()
        return
    pool, golden, snapshot = source
    with contextlib.closing(connection.rados.open_ioctx(pool)) as parent:
        rbd.RBD().clone(parent, golden, snapshot, io_context, name)


def _read(io_context: t.Any, name: str, offset: int) -> bytes:
    """Return a sector of the guest's image, which the guest reads too."""
    with rbd.Image(io_context, name, read_only=True) as image:
        return bytes(image.read(offset, _guest.SECTOR))


def _unless_gone(host: Host, call: t.Callable[[], t.Any], *passing: int) -> t.Any:
    """Return what libvirt gives, None where the domain is not there (any more), or for one of the errors that are named."""
    try:
        return call()
    except host.lib.libvirtError as error:
        if error.get_error_code() not in (host.lib.VIR_ERR_NO_DOMAIN, *passing):
            raise
        return None


def _stop(host: Host, domain: t.Any) -> None:
    _unless_gone(host, domain.destroy, host.lib.VIR_ERR_OPERATION_INVALID)


def _console(path: pathlib.Path) -> str:
    """Return the last that the guest said."""
    try:
        said = path.read_bytes()[-600:].decode("utf-8", "replace")
    except OSError as error:
        return f"its console is not there ({errno.errorcode.get(error.errno or 0, error)})"
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc", "", said).strip()
    return f"its console ends with: {said}" if said else "its console is empty"


def _check(marker: bytes, uuid: str, first_sector: bytes, found: bytes, console: pathlib.Path) -> None:
    if not marker.startswith(_guest.expected_marker(uuid)):
        seen = _guest.readable(marker) or "nothing"
        raise GuestFailed(f"the guest powered off, but its marker is not on its disk: found {seen}; {_console(console)}")
    for word, there in ((rb" read ", first_sector), (rb" found ", found)):
        told = re.search(word + rb"([0-9a-f]{32})", marker)
        if told and told[1].decode() != hashlib.md5(there, usedforsecurity=False).hexdigest():
            raise GuestFailed("the guest read something else from its disk than what is there")


def _check_golden(connection: Connection, source: Snapshot, uuid: str) -> None:
    pool, golden, snapshot = source
    with contextlib.closing(connection.rados.open_ioctx(pool)) as parent, rbd.Image(parent, golden, snapshot=snapshot, read_only=True) as image:
        if bytes(image.read(_guest.MARKER_OFFSET, _guest.MARKER_LENGTH)).startswith(_guest.expected_marker(uuid)):
            raise GuestFailed(f"the guest's write went through to the golden image {pool}/{golden}@{snapshot}")
