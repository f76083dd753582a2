# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway guest that CloudStack itself deploys, and what it wrote, read back from Ceph.

It asks the API as any user would, and looks at the disk past CloudStack, through librbd with the consumer's own key. So it runs where both
can be reached: on a host of Ceph.

Nothing is left behind, whatever goes wrong: guest and snapshot are known by their name, not only by what an answer said, and what a
killed run left is removed by the next one of the same zone.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import client_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable

try:
    import rbd
except ImportError:
    rbd = None

# What the names of guest and snapshot begin with, by which the next run knows them.
PREFIX = "cephstack-probe-"
# The snapshot of which CloudStack's clones of a template are made (its agent's LibvirtStorageAdaptor).
BASE_SNAPSHOT = "cloudstack-base-snap"
BACKUP_SETTING = "snapshot.backup.to.secondary"
_PAUSE = 0.5
# How long an image may still be there after CloudStack said that its guest is gone, in seconds.
_GONE_WITHIN = 60
# What the server says where only a secondary-storage virtual machine could do it.
_NO_SYSTEM_VM = "No remote endpoint"


class ProofFailed(Exception):
    """CloudStack or the guest did not do what it should have done."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What to deploy, by names. snapshot: whether to take one and revert to it. timeout: seconds for the guest to write its marker."""

    zone: str
    template: str
    service_offering: str
    network: str
    snapshot: bool = True
    timeout: float = 180


class Disks(contextlib.ExitStack):
    """RBD images, past CloudStack: each pool as the consumer that CloudStack uses it as. A context manager.

    mon_host: the cluster's. consumers: as declared. keys: {client: key}.
    """

    def __init__(self, mon_host: str, consumers: t.Iterable[t.Mapping[str, t.Any]], keys: t.Mapping[str, str], timeout: int = 30) -> None:
        super().__init__()
        self._mon_host = mon_host
        self._timeout = timeout
        self._keys = keys
        self._clients = {pool["name"]: client_of(one) for one in consumers if one.get("kind") == "cloudstack" for pool in one["pools"]}
        self._io: dict[str, t.Any] = {}

    def client(self, pool: str) -> str:
        """Whose key is used for a pool. Raises ProofFailed where no consumer of kind cloudstack has it."""
        if pool not in self._clients:
            raise ProofFailed(f"the guest's disk is in the Ceph pool {pool}, which no consumer of kind cloudstack uses (consumers)")
        return self._clients[pool]

    def read(self, pool: str, image: str) -> t.Optional[bytes]:
        """The sector of the marker; None where there is no such image."""
        try:
            with rbd.Image(self._open(pool), image, read_only=True) as opened:
                return bytes(opened.read(_guest.MARKER_OFFSET, _guest.MARKER_LENGTH))
        except rbd.ImageNotFound:
            return None

    def wipe(self, pool: str, image: str) -> None:
        with rbd.Image(self._open(pool), image) as opened:
            opened.write(bytes(_guest.MARKER_LENGTH), _guest.MARKER_OFFSET)
            opened.flush()

    def parent(self, pool: str, image: str) -> str:
        """POOL/IMAGE@SNAPSHOT that the image is a clone of; "" where it is none."""
        with rbd.Image(self._open(pool), image, read_only=True) as opened:
            try:
                return "{}/{}@{}".format(*opened.parent_info())
            except rbd.ImageNotFound:
                return ""

    def _open(self, pool: str) -> t.Any:
        if pool not in self._io:
            client = self.client(pool)
            if not self._keys.get(client):
                raise ProofFailed(f"the key of {client} was not given")
            options = {"mon_host": self._mon_host, "client": client, "key": self._keys[client], "timeout": self._timeout}
            connection = self.enter_context(Connection(options))
            self._io[pool] = self.enter_context(contextlib.closing(connection.rados.open_ioctx(pool)))
        return self._io[pool]


def prove(client: t.Any, disks: t.Any, order: Order) -> dict[str, t.Any]:
    """Deploy a guest, read what it wrote from Ceph, snapshot it, revert, and take it away again.

    Returns what was seen. Raises Invalid (a name that isn't there), ProofFailed, ApiError, Unreachable; all of them after cleaning up, and
    with what could not be cleaned up.
    """
    ids = _resolve(client, order)
    name = PREFIX + secrets.token_hex(4)
    seen: dict[str, t.Any] = {"name": name, "zone": order.zone, "notes": [], "snapshot": None}
    seen["swept"] = _sweep(client, ids["zone"], seen["notes"])
    begun = time.monotonic()
    failed: t.Optional[Exception] = None
    try:
        _deploy(client, disks, order, ids, name, seen)
        if order.snapshot:
            _snapshot(client, disks, ids, name, seen)
    except Exception as error:
        failed = error
    finally:
        cleaning = time.monotonic()
        left = _clean(client, disks, ids["zone"], name, seen)
    if left:
        raise ProofFailed((f"{failed}; and then: " if failed else "") + "; ".join(left)) from failed
    if failed:
        raise failed
    seen["clean_seconds"] = round(time.monotonic() - cleaning, 1)
    seen["seconds"] = round(time.monotonic() - begun, 1)
    return seen


# -- the steps


def _resolve(client: t.Any, order: Order) -> dict[str, str]:
    """The ids of the names. Raises Invalid with all that are not there."""
    problems: list[str] = []

    def one(what: str, name: str, rows: t.Iterable[t.Mapping[str, t.Any]]) -> t.Mapping[str, t.Any]:
        found = {row["id"]: row for row in rows if row.get("name") == name}
        if len(found) != 1:
            problems.append(f"{order.zone}: there is no {what} {name}" if not found else f"{order.zone}: there are {len(found)} {what}s {name}")
        return next(iter(found.values()), {})

    zone = one("zone", order.zone, client.rows("listZones", name=order.zone))
    if problems:
        raise Invalid(problems)
    here = {"zoneid": zone["id"], "listall": True}
    template = one("template", order.template, client.rows("listTemplates", templatefilter="all", name=order.template, **here))
    if template and not template.get("isready"):
        problems.append(f"{order.zone}: the template {order.template} is not ready: {template.get('status') or 'the server does not say why'}")
    offering = one("service offering", order.service_offering, client.rows("listServiceOfferings", name=order.service_offering, listall=True))
    network = one("network", order.network, client.rows("listNetworks", keyword=order.network, **here))
    if zone.get("allocationstate") == "Disabled":
        problems.append(f"{order.zone}: the zone is disabled, and deploys nothing")
    if problems:
        raise Invalid(problems)
    return {"zone": zone["id"], "template": template["id"], "offering": offering["id"], "network": network["id"]}


def _deploy(client: t.Any, disks: t.Any, order: Order, ids: t.Mapping[str, str], name: str, seen: dict[str, t.Any]) -> None:
    """Deploy the guest, find its disk in Ceph, and wait for its marker there."""
    begun = time.monotonic()
    what = {"zoneid": ids["zone"], "templateid": ids["template"], "serviceofferingid": ids["offering"], "networkids": ids["network"]}
    answer = client.job("deployVirtualMachine", name=name, displayname=name, **what)
    seen["deploy_seconds"] = round(time.monotonic() - begun, 1)
    guest = answer["virtualmachine"]
    seen.update(uuid=guest["id"], state=guest.get("state"), host=guest.get("hostname"), pooltype=guest.get("pooltype"))
    if guest.get("state") != "Running":
        raise ProofFailed(f"the guest {name} was deployed, but is {guest.get('state')}, not Running")
    volumes = client.rows("listVolumes", virtualmachineid=guest["id"], listall=True)
    root = next((row for row in volumes if row.get("type") == "ROOT"), None)
    if root is None:
        raise ProofFailed(f"CloudStack names no disk of the guest {guest['id']}")
    storage: dict[str, t.Any] = next((row for row in client.rows("listStoragePools", id=root.get("storageid")) if row["id"] == root.get("storageid")), {})
    if storage.get("type") != "RBD":
        raise ProofFailed(f"the disk of the guest {name} is on {root.get('storage')} of type {storage.get('type')}, not on RBD: do the offering's tags say so?")
    pool, image = str(storage.get("path") or "").strip("/"), root.get("path") or root["id"]
    seen.update(volume=root["id"], storage=storage["name"], image=f"{pool}/{image}", client=disks.client(pool))
    _wait_for_marker(client, disks, pool, image, guest["id"], order.timeout, seen)
    seen["marker_seconds"] = round(time.monotonic() - begun, 1)
    seen["parent"] = disks.parent(pool, image)
    if not seen["parent"].endswith("@" + BASE_SNAPSHOT):
        seen["notes"].append("the disk is a whole copy of the template, no clone")


def _wait_for_marker(client: t.Any, disks: t.Any, pool: str, image: str, guest: str, timeout: float, seen: dict[str, t.Any]) -> None:
    expected = _guest.expected_marker(guest)
    markers: list[t.Optional[bytes]] = []

    def written() -> bool:
        markers[:] = [disks.read(pool, image)]
        return (markers[0] or b"").startswith(expected)

    there = wait_until(written, timeout, pause=_PAUSE)
    marker = markers[0]
    if marker is None or not there:
        found = "there is no such image" if marker is None else f"found {_guest.readable(marker) or 'nothing'}"
        state = next((row.get("state") for row in client.rows("listVirtualMachines", id=guest, listall=True)), "gone")
        raise ProofFailed(f"the guest did not write its marker to {pool}/{image} within {timeout:g} s: {found}; CloudStack says that it is {state}")
    seen["marker"] = _guest.readable(marker)


def _snapshot(client: t.Any, disks: t.Any, ids: t.Mapping[str, str], name: str, seen: dict[str, t.Any]) -> None:
    """Take a snapshot of the running guest, spoil its disk, revert, and read the marker again."""
    settings = client.rows("listConfigurations", name=BACKUP_SETTING)
    backs_up = any(row.get("name") == BACKUP_SETTING and str(row.get("value")).lower() == "true" for row in settings)
    stores = [row for row in client.rows("listImageStores") if row.get("zoneid") in (None, ids["zone"]) and not row.get("readonly")]
    if backs_up and not stores:
        seen["notes"].append(f"no snapshot was taken: the zone has no image store, and {BACKUP_SETTING} is true")
        return
    begun = time.monotonic()
    snapshot = client.job("createSnapshot", volumeid=seen["volume"], name=name)["snapshot"]
    if snapshot.get("state") != "BackedUp":
        raise ProofFailed(f"the snapshot of {seen['image']} is {snapshot.get('state')}, not BackedUp")
    rows = client.rows("listSnapshots", id=snapshot["id"], listall=True, showunique=False)  # a row for each store that has it
    places = {str(row.get("datastoretype") or row.get("locationtype") or "").lower() for row in rows}
    backed_up = bool(places & {"image", "secondary"})
    seen["snapshot"] = {"seconds": round(time.monotonic() - begun, 1), "backed_up": backed_up}
    if backs_up and not backed_up:
        raise ProofFailed(f"the snapshot was to be backed up to secondary storage, but CloudStack says that it is on {', '.join(sorted(places)) or 'nothing'}")
    _stop(client, seen["uuid"])
    pool, image = seen["image"].split("/", 1)
    disks.wipe(pool, image)
    if disks.read(pool, image) != bytes(_guest.MARKER_LENGTH):
        raise ProofFailed(f"what was written to {seen['image']} is not what is read")
    begun = time.monotonic()
    client.job("revertSnapshot", id=snapshot["id"])
    marker = disks.read(pool, image) or b""
    if not marker.startswith(_guest.expected_marker(seen["uuid"])):
        raise ProofFailed(f"the snapshot was reverted to, but the marker is not on {seen['image']} again: found {_guest.readable(marker) or 'nothing'}")
    seen["snapshot"]["revert_seconds"] = round(time.monotonic() - begun, 1)


def _stop(client: t.Any, guest: str) -> None:
    """Stop a guest at once. Without force, the host waits two minutes for a guest that knows no power button."""
    client.job("stopVirtualMachine", id=guest, forced=True)


# -- cleaning up


def _sweep(client: t.Any, zone: str, notes: list[str]) -> list[str]:
    """Remove what killed runs left in a zone; return the names."""
    guests = _guests(client, zone)
    snapshots = _snapshots(client, zone)
    left = _remove_snapshots(client, snapshots, notes) + _remove_guests(client, guests)
    if left:
        raise ProofFailed("what an earlier run left cannot be removed: " + "; ".join(left))
    return sorted({row["name"] for row in [*guests, *snapshots]})


def _clean(client: t.Any, disks: t.Any, zone: str, name: str, seen: t.Mapping[str, t.Any]) -> list[str]:
    """Remove the guest and its snapshots, and look whether its image is gone. Returns what stays, with the reason."""
    left: list[str] = []
    try:
        left += _remove_snapshots(client, [row for row in _snapshots(client, zone) if row["name"] == name], seen["notes"])
        left += _remove_guests(client, [row for row in _guests(client, zone) if row["name"] == name])
        if seen.get("image") and not left:
            pool, image = seen["image"].split("/", 1)
            if not wait_until(lambda: disks.read(pool, image) is None, _GONE_WITHIN, pause=_PAUSE):
                left.append(f"the guest {name} is gone, but its image {seen['image']} is still there")
    except Exception as error:  # the first error must not be lost for this one
        left.append(f"cleaning up after the guest {name} failed: {error}")
    return left


def _guests(client: t.Any, zone: str) -> list[dict[str, t.Any]]:
    rows = client.rows("listVirtualMachines", zoneid=zone, keyword=PREFIX, listall=True, details="min")
    return [row for row in rows if str(row.get("name", "")).startswith(PREFIX) and row.get("state") != "Expunging"]


def _snapshots(client: t.Any, zone: str) -> list[dict[str, t.Any]]:
    rows = client.rows("listSnapshots", zoneid=zone, keyword=PREFIX, listall=True)
    # A snapshot that is in several places has several rows.
    return list({row["id"]: row for row in rows if str(row.get("name", "")).startswith(PREFIX) and row.get("state") != "Destroyed"}.values())


def _remove_snapshots(client: t.Any, rows: t.Iterable[t.Mapping[str, t.Any]], notes: list[str]) -> list[str]:
    left = []
    for row in rows:
        try:
            client.job("deleteSnapshot", id=row["id"])
        except ApiError as error:
            if _NO_SYSTEM_VM in error.text:
                notes.append(f"the backup of the snapshot {row['name']} is not deleted: the zone has no secondary-storage virtual machine to do it ({error})")
                continue
            left.append(f"the snapshot {row['name']}: {error}")
    return left


def _remove_guests(client: t.Any, rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    left = []
    for row in rows:
        try:
            if row.get("state") == "Destroyed":
                client.job("expungeVirtualMachine", id=row["id"])
                continue
            if row.get("state") in ("Running", "Starting", "Stopping"):
                with contextlib.suppress(ApiError):  # it is destroyed all the same, only later
                    _stop(client, row["id"])
            client.job("destroyVirtualMachine", id=row["id"], expunge=True)
        except ApiError as error:
            left.append(f"the guest {row['name']}: {error}")
    return left


def prove_all(client: t.Any, disks: t.Any, orders: t.Iterable[Order]) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Prove one zone after the other. Returns what was seen, and the problems of the others."""
    guests: list[dict[str, t.Any]] = []
    problems: list[str] = []
    for order in orders:
        try:
            guests.append(prove(client, disks, order))
        except Invalid as error:
            problems += error.problems
        except (ProofFailed, ApiError, Unreachable) as error:
            problems.append(f"{order.zone}: {error}")
        except Exception as error:  # the families of librados' and librbd's errors
            problems.append(f"{order.zone}: {type(error).__name__}: {error}")
    return guests, problems
