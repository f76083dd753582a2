# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway guest on a clone: made, booted, waited for, read, and gone again.

The domain is transient and dies with the connection that made it; what a killed run left is removed by the next.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import errno
import pathlib
import socket
import time
import typing as t
import uuid as uuids

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import throwaway_images
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import parse_mon_host
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import client_of, place_of, pools_of, secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._guest import GuestFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import Host

rbd = binding("rbd")

# The first libvirt whose disks know namespaces (11.6.0), as it tells its version.
_NAMESPACES_SINCE = 11006000
_CONSOLES = "/var/log/libvirt/qemu"


def run_guests(host: Host, params: t.Mapping[str, t.Any], domain_type: str) -> tuple[list[dict[str, t.Any]], list[str], list[str]]:
    """Boot one guest for each consumer that may write somewhere, one after the other. Returns the guests, the problems of the others, and why some had none.

    params: those of libvirt_guest_probe. domain_type: kvm or qemu.
    """
    guests: list[dict[str, t.Any]] = []
    problems: list[str] = []
    reasons: list[str] = []
    connection, golden, image = params["connection"], params["golden"], params["image"]
    version = host.api.getLibVersion()
    for consumer in params["consumers"]:
        client, pools = client_of(consumer), pools_of(consumer)
        writable = [pool for pool in pools if pool["access"] == "rw" and (not image or pool["name"] == image["pool"])]
        usable = [pool for pool in writable if version >= _NAMESPACES_SINCE or not pool["namespace"]]
        if not writable:
            continue
        chosen = (usable or writable)[0]
        place = place_of(chosen["name"], chosen["namespace"])
        if not usable:
            own = f"{version // 1000000}.{version // 1000 % 1000}"
            reasons.append(f"no guest of {client} was booted: disks of libvirt {own} cannot name the namespace {place}, those of 11.6 can")
            continue
        source = golden if golden and not image and golden["pool"] in {pool["name"] for pool in pools if not pool["namespace"]} else None
        key = connection.get("key") if client == connection.get("client") else None
        try:
            with Connection({**connection, "client": client, "key": key}) as opened:
                report = _run_guest(host, opened, chosen, source, image["image"] if image else "", domain_type, params)
                guests.append({"client": client, **report})
        except Exception as error:  # Unreachable, GuestFailed, and the families of libvirt's, librados's and librbd's errors
            problems.append(f"the guest of {client} on {place} proved nothing: {error}")
    return guests, problems, reasons


def _run_guest(
    host: Host,
    connection: Connection,
    place: t.Mapping[str, t.Any],
    source: t.Optional[dict[str, str]],
    kept: str,
    domain_type: str,
    params: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Boot a guest and return its marker and how long it took. Nothing is left behind in any case.

    place: a pool of a consumer, of pools_of. source: what its disk is a clone of; None for the guest of 512 bytes. kept: an image to boot as it is
    instead, which stays; "" for none.
    Raises GuestFailed, libvirt's errors and librbd's.
    """
    name = _guest.PREFIX + socket.gethostname()
    pool, data_pool = place_of(place["name"], place["namespace"]), place.get("data_pool")
    disk, uuid, timeout = kept or name, str(uuids.uuid4()), params["timeout"]
    with contextlib.ExitStack() as stack:
        io_context = stack.enter_context(contextlib.closing(connection.rados.open_ioctx(place["name"])))
        io_context.set_namespace(place["namespace"])
        leftover = _unless_gone(host, lambda: host.api.lookupByName(name))
        if leftover:
            _stop(host, leftover)
        if not kept:
            stack.enter_context(throwaway_images(io_context, name))
        parent = source and stack.enter_context(contextlib.closing(connection.rados.open_ioctx(source["pool"])))
        begun = time.monotonic()
        if source:
            rbd.RBD().clone(parent, source["image"], source["snapshot"], io_context, name, data_pool=data_pool)
        elif not kept:
            data = _guest.marker_image()
            rbd.RBD().create(io_context, name, len(data), data_pool=data_pool)
            with rbd.Image(io_context, name) as image:
                image.write(data[: _guest.SECTOR], 0)
                image.flush()
        first_sector, found = (_read(io_context, disk, offset) for offset in (0, _guest.MARKER_OFFSET))
        made = time.monotonic()
        console = pathlib.Path(_CONSOLES, name + ".console")
        stack.callback(console.unlink, missing_ok=True)
        monitors = parse_mon_host(connection.rados.conf_get("mon_host") or "")
        user, secret = connection.client[len("client.") :], secret_uuid(connection.fsid, connection.client)
        guest = xml.Guest(name, uuid, domain_type, params["memory"], pool, disk, monitors, user, secret, str(console))
        domain = host.api.createXML(xml.write_guest(guest), host.lib.VIR_DOMAIN_START_AUTODESTROY)
        stack.callback(_stop, host, domain)
        late = f"the guest was not through within {timeout:g} s; "
        wait_until(lambda: not _unless_gone(host, domain.isActive), timeout, lambda: GuestFailed(late + _console(console)), 0.05)
        ended = time.monotonic()
        marker = _read(io_context, disk, _guest.MARKER_OFFSET)
        _check(marker, uuid, first_sector, found, console)
        golden = "{pool}/{image}@{snapshot}".format(**source) if source else ""
        if source and _read(parent, source["image"], _guest.MARKER_OFFSET, source["snapshot"]).startswith(_guest.expected_marker(uuid)):
            raise GuestFailed(f"the guest's write went through to the golden image {golden}")
    seen = {"uuid": uuid, "found": _guest.readable(found), "marker": _guest.readable(marker), "image": f"{pool}/{disk}", "golden": golden}
    return {**seen, "domain_type": domain_type, "clone_ms": round((made - begun) * 1000, 1), "guest_seconds": round(ended - made, 2)}


def _read(io_context: t.Any, name: str, offset: int, snapshot: t.Optional[str] = None) -> bytes:
    with rbd.Image(io_context, name, snapshot=snapshot, read_only=True) as image:
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
    try:
        return _guest.said_by(path.read_text("utf-8", "replace"))
    except OSError as error:
        return f"its console is not there ({errno.errorcode.get(error.errno or 0, error)})"


def _check(marker: bytes, uuid: str, first_sector: bytes, found: bytes, console: pathlib.Path) -> None:
    seen = _guest.readable(marker)
    if not marker.startswith(_guest.expected_marker(uuid)):
        raise GuestFailed(f"the guest powered off, but its marker is not on its disk: found {seen or 'nothing'}; {_console(console)}")
    if " read " in seen and _guest.sums(first_sector, found) not in seen:  # the guest of 512 bytes reads nothing
        raise GuestFailed("the guest read something else from its disk than what is there")
