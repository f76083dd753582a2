# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway guest that CloudStack itself deploys, and what it wrote, read back from Ceph.

It asks the API as any user would, and looks at the disk through librbd with the consumer's own key, so it runs on a host of Ceph. Nothing is left
behind: guest and snapshot are known by their name, not only by what an answer said, and what a killed run left is removed by the next one of the zone.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import secrets
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import ProofFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, string

PREFIX = "cephstack-probe-"  # by which the next run knows guests and snapshots
BASE_SNAPSHOT = "cloudstack-base-snap"  # of which CloudStack's clones of a template are made (its agent's LibvirtStorageAdaptor)
BACKUP_SETTING = "snapshot.backup.to.secondary"
_PAUSE = 0.5
_GONE_WITHIN = 60  # seconds that an image may still be there after CloudStack said that its guest is gone
_NO_SYSTEM_VM = "No remote endpoint"  # what the server says where only a secondary-storage virtual machine could do it


OPTIONS: dict[str, t.Any] = {
    "zone": string("The zone.", required=True),
    "template": string(
        "The template. Its guest must write the marker, as the images of M(cephstack.cloud.lab_guest_image) do, and should then go on running.", required=True
    ),
    "service_offering": string("The compute offering. Its tags must lead to RBD.", required=True),
    "network": string("The network, such as an L2 one, which needs no virtual router.", required=True),
    "snapshot": boolean("Whether to take a snapshot and to revert to it.", default=True),
    "timeout": integer("Within how many seconds of its deployment the guest must have written its marker.", default=180),
}


class Order(t.NamedTuple):
    """What to deploy, by names. snapshot: whether to take one and revert to it. timeout: seconds for the guest to write its marker."""

    zone: str
    template: str
    service_offering: str
    network: str
    snapshot: bool = True
    timeout: float = 180


def prove(client: t.Any, disks: t.Any, order: Order) -> dict[str, t.Any]:
    """Deploy a guest, read what it wrote from Ceph, snapshot it, revert, and take it away again, whatever fails. Returns what was seen.

    Raises Invalid (a name that isn't there), ProofFailed (what could not be cleaned up, too), ApiError, Unreachable.
    """
    ids = _resolve(client, order)
    seen: dict[str, t.Any] = {"name": PREFIX + secrets.token_hex(4), "zone": order.zone, "notes": [], "snapshot": None}
    seen["leftovers"] = _sweep(client, ids["zoneid"], seen["notes"])
    begun = time.monotonic()
    failed: t.Optional[Exception] = None
    try:
        _deploy(client, disks, order.timeout, ids, seen)
        if order.snapshot:
            _snapshot(client, disks, ids["zoneid"], seen)
    except Exception as error:
        failed = error
    finally:
        cleaning = time.monotonic()
        left = _clean(client, disks, ids["zoneid"], seen)
    if left:
        raise ProofFailed((f"{failed}; and then: " if failed else "") + "; ".join(left)) from failed
    if failed:
        raise failed
    return {**seen, "clean_seconds": round(time.monotonic() - cleaning, 1), "seconds": round(time.monotonic() - begun, 1)}


def _resolve(client: t.Any, order: Order) -> dict[str, str]:
    """What deployVirtualMachine is told: the ids of the names. Raises Invalid with all that are not there."""
    problems: list[str] = []

    def one(what: str, wanted: str, command: str, **asked: t.Any) -> dict[str, t.Any]:
        found = {row["id"]: row for row in client.rows(command, **asked) if row.get("name") == wanted}
        if len(found) != 1:
            problems.append(f"there is no {what} {wanted}" if not found else f"there are {len(found)} {what}s {wanted}")
        return next(iter(found.values()), {})

    zone = one("zone", order.zone, "listZones", name=order.zone)
    if zone:
        here = {"zoneid": zone["id"], "listall": True}
        template = one("template", order.template, "listTemplates", templatefilter="all", name=order.template, **here)
        if template and not template.get("isready"):
            problems.append(f"the template {order.template} is not ready: {template.get('status') or 'the server does not say why'}")
        offering = one("service offering", order.service_offering, "listServiceOfferings", name=order.service_offering, listall=True)
        network = one("network", order.network, "listNetworks", keyword=order.network, **here)
        if zone.get("allocationstate") == "Disabled":
            problems.append("the zone is disabled, and deploys nothing")
    if problems:
        raise Invalid([f"{order.zone}: {text}" for text in problems])
    return {"zoneid": zone["id"], "templateid": template["id"], "serviceofferingid": offering["id"], "networkids": network["id"]}


def _deploy(client: t.Any, disks: t.Any, timeout: float, ids: t.Mapping[str, str], seen: dict[str, t.Any]) -> None:
    """Deploy the guest, find its disk in Ceph, and wait for its marker there."""
    begun, name = time.monotonic(), seen["name"]
    guest = client.job("deployVirtualMachine", name=name, displayname=name, **ids)["virtualmachine"]
    seen["deploy_seconds"] = round(time.monotonic() - begun, 1)
    seen.update(uuid=guest["id"], state=guest.get("state"), host=guest.get("hostname"), pooltype=guest.get("pooltype"))
    if guest.get("state") != "Running":
        raise ProofFailed(f"the guest {name} was deployed, but is {guest.get('state')}, not Running")
    root = next((row for row in client.rows("listVolumes", virtualmachineid=guest["id"], listall=True) if row.get("type") == "ROOT"), None)
    if root is None:
        raise ProofFailed(f"CloudStack names no disk of the guest {guest['id']}")
    storage: dict[str, t.Any] = next((row for row in client.rows("listStoragePools", id=root.get("storageid")) if row["id"] == root.get("storageid")), {})
    if storage.get("type") != "RBD":
        raise ProofFailed(f"the disk of the guest {name} is on {root.get('storage')} of type {storage.get('type')}, not on RBD: do the offering's tags say so?")
    pool, image = str(storage.get("path") or "").strip("/"), root.get("path") or root["id"]
    seen.update(volume=root["id"], storage=storage["name"], image=f"{pool}/{image}", client=disks.client(pool))
    expected, marker = _guest.expected_marker(guest["id"]), None

    def written() -> bool:
        nonlocal marker
        marker = disks.read(pool, image)
        return (marker or b"").startswith(expected)

    if not wait_until(written, timeout, pause=_PAUSE):
        found = "there is no such image" if marker is None else f"found {_guest.readable(marker) or 'nothing'}"
        state = next((row.get("state") for row in client.rows("listVirtualMachines", id=guest["id"], listall=True)), "gone")
        raise ProofFailed(f"the guest did not write its marker to {pool}/{image} within {timeout:g} s: {found}; CloudStack says that it is {state}")
    parent = disks.parent(pool, image)
    seen.update(marker=_guest.readable(marker or b""), marker_seconds=round(time.monotonic() - begun, 1), parent=parent)
    if not parent.endswith("@" + BASE_SNAPSHOT):
        seen["notes"].append("the disk is a whole copy of the template, no clone")


def _snapshot(client: t.Any, disks: t.Any, zone: str, seen: dict[str, t.Any]) -> None:
    """Take a snapshot of the running guest, spoil its disk, revert, and read the marker again."""
    settings = client.rows("listConfigurations", name=BACKUP_SETTING)
    backs_up = any(row.get("name") == BACKUP_SETTING and str(row.get("value")).lower() == "true" for row in settings)
    stores = [row for row in client.rows("listImageStores") if row.get("zoneid") in (None, zone) and not row.get("readonly")]
    if backs_up and not stores:
        seen["notes"].append(f"no snapshot was taken: the zone has no image store, and {BACKUP_SETTING} is true")
        return
    begun = time.monotonic()
    snapshot = client.job("createSnapshot", volumeid=seen["volume"], name=seen["name"])["snapshot"]
    if snapshot.get("state") != "BackedUp":
        raise ProofFailed(f"the snapshot of {seen['image']} is {snapshot.get('state')}, not BackedUp")
    rows = client.rows("listSnapshots", id=snapshot["id"], listall=True, showunique=False)  # a row for each store that has it
    places = {str(row.get("datastoretype") or row.get("locationtype") or "").lower() for row in rows}
    backed_up = bool(places & {"image", "secondary"})
    seen["snapshot"] = {"seconds": round(time.monotonic() - begun, 1), "backed_up": backed_up}
    if backs_up and not backed_up:
        raise ProofFailed(f"the snapshot was to be backed up to secondary storage, but CloudStack says that it is on {', '.join(sorted(places)) or 'nothing'}")
    client.job("stopVirtualMachine", id=seen["uuid"], forced=True)  # else the host waits two minutes for a guest that knows no power button
    disk = seen["image"].split("/", 1)
    disks.wipe(*disk)
    if disks.read(*disk) != bytes(_guest.MARKER_LENGTH):
        raise ProofFailed(f"what was written to {seen['image']} is not what is read")
    begun = time.monotonic()
    client.job("revertSnapshot", id=snapshot["id"])
    marker = disks.read(*disk) or b""
    if not marker.startswith(_guest.expected_marker(seen["uuid"])):
        raise ProofFailed(f"the snapshot was reverted to, but the marker is not on {seen['image']} again: found {_guest.readable(marker) or 'nothing'}")
    seen["snapshot"]["revert_seconds"] = round(time.monotonic() - begun, 1)


def _sweep(client: t.Any, zone: str, notes: list[str]) -> list[str]:
    """Remove what killed runs left in a zone; return the names."""
    left: list[str] = []
    names = _remove(client, zone, PREFIX, notes, left)
    if left:
        raise ProofFailed("what an earlier run left cannot be removed: " + "; ".join(left))
    return sorted(names)


def _clean(client: t.Any, disks: t.Any, zone: str, seen: t.Mapping[str, t.Any]) -> list[str]:
    """Remove the guest and its snapshots, and look whether its image is gone. Returns what stays, with the reason."""
    name, image = seen["name"], seen.get("image")
    left: list[str] = []
    try:
        _remove(client, zone, name, seen["notes"], left)
        if image and not left and not wait_until(lambda: disks.read(*image.split("/", 1)) is None, _GONE_WITHIN, pause=_PAUSE):
            left.append(f"the guest {name} is gone, but its image {image} is still there")
        return left
    except Exception as error:  # the first error must not be lost for this one
        return [*left, f"cleaning up after the guest {name} failed: {error}"]


def _remove(client: t.Any, zone: str, begin: str, notes: list[str], left: list[str]) -> set[str]:
    """Remove the snapshots and guests of a zone whose names begin so. Returns the names. left: gets what stays, with the reason."""
    names = set()
    for what, command, more, gone, remove in (
        ("snapshot", "listSnapshots", {}, "Destroyed", _remove_snapshot),
        ("guest", "listVirtualMachines", {"details": "min"}, "Expunging", _remove_guest),
    ):
        rows = client.rows(command, zoneid=zone, keyword=PREFIX, listall=True, **more)
        # A snapshot that is in several places has several rows.
        for row in {row["id"]: row for row in rows if str(row.get("name", "")).startswith(begin) and row.get("state") != gone}.values():
            names.add(row["name"])
            try:
                remove(client, row, notes)
            except ApiError as error:
                left.append(f"the {what} {row['name']}: {error}")
    return names


def _remove_snapshot(client: t.Any, row: t.Mapping[str, t.Any], notes: list[str]) -> None:
    try:
        client.job("deleteSnapshot", id=row["id"])
    except ApiError as error:
        if _NO_SYSTEM_VM not in error.text:
            raise
        notes.append(f"the backup of the snapshot {row['name']} is not deleted: the zone has no secondary-storage virtual machine to do it ({error})")


def _remove_guest(client: t.Any, row: t.Mapping[str, t.Any], _notes: list[str]) -> None:
    if row.get("state") == "Destroyed":
        client.job("expungeVirtualMachine", id=row["id"])
        return
    if row.get("state") in ("Running", "Starting", "Stopping"):
        with contextlib.suppress(ApiError):  # it is destroyed all the same, only later
            client.job("stopVirtualMachine", id=row["id"], forced=True)
    client.job("destroyVirtualMachine", id=row["id"], expunge=True)


def prove_all(client: t.Any, disks: t.Any, orders: t.Iterable[Order]) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Prove one zone after the other. Returns what was seen, and the problems of the others."""
    guests: list[dict[str, t.Any]] = []
    problems: list[str] = []
    for order in orders:
        try:
            guests.append(prove(client, disks, order))
        except Invalid as error:
            problems += error.problems
        except Exception as error:  # the families of librados' and librbd's errors too, which say little without their names
            family = "" if isinstance(error, (ProofFailed, ApiError, Unreachable)) else f"{type(error).__name__}: "
            problems.append(f"{order.zone}: {family}{error}")
    return guests, problems
