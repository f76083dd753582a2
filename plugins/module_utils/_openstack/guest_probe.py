# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that OpenStack itself deploys, from an image and from a volume, and what they wrote, read back from Ceph.

PRIVATE to the collection.
"""

from __future__ import annotations

import time
import typing as t
from urllib.parse import quote, unquote

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import ProofFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import services, volume_probe
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import ApiError, reading
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.probe_run import Row, Run, took
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, string

OPTIONS: dict[str, t.Any] = {
    "image": string(
        "The image, raw. Its guest must write the marker, as the images of M(cephstack.cloud.lab_guest_image) do, and should then go on running.",
        required=True,
    ),
    "flavor": string("The flavor. Its disk must be as large as the image, or V(0).", required=True),
    "network": string("The network. By default the guests have none."),
    "volume": boolean("Whether there is a second guest, from a volume of the image.", default=True),
    "volume_type": string("The volume type of the second guest's volume. By default Cinder's own default."),
    "snapshot": boolean("Whether the guest from the image becomes an image again, in RBD.", default=True),
    "migrate": boolean("Whether the guest from the image is moved to another compute host while it runs, if two can take it.", default=True),
}
_PAUSE = 0.5
_SAID_WITHIN = 10  # seconds from an error until Nova has written down why
_HOST = "OS-EXT-SRV-ATTR:host"
_WORKING = "OS-EXT-STS:task_state"


class Chosen(t.NamedTuple):
    """What guests are made of. origin: POOL/IMAGE@SNAPSHOT of the image in Ceph. fsid: of its cluster. size: GiB of a volume of it."""

    image: str
    flavor: str
    network: t.Optional[str]
    origin: str
    fsid: str
    size: int
    basis: t.Tuple[str, ...]  # what else is another one, if one of these is


def in_ceph(image: Row) -> t.Optional[t.Tuple[str, str]]:
    """(fsid, POOL/IMAGE@SNAPSHOT) of an image of Glance's; None where it shows none."""
    places = [image.get("direct_url"), *(place.get("url") for place in image.get("locations") or ())]
    for place in places:
        parts = [unquote(part) for part in str(place or "").partition("rbd://")[2].split("/")]
        if len(parts) == 4:
            return parts[0], f"{parts[1]}/{parts[2]}@{parts[3]}"
    return None


def choose(client: t.Any, options: t.Mapping[str, t.Any]) -> tuple[t.Optional[Chosen], list[str]]:
    """What the names mean, and what is wrong with it; None where something is. Raises Unreachable."""
    problems: list[str] = []

    def one(what: str, name: t.Optional[str], rows: t.Iterable[Row]) -> Row:
        found = [row for row in rows if row.get("name") == name]
        if len(found) != 1:
            ids = ", ".join(row["id"] for row in found)
            problems.append(f"there is no {what} {name}" if not found else f"there are {len(found)} {what}s {name} ({ids}): give them names of their own")
        return found[0] if len(found) == 1 else {}

    with reading("what guests are made of"):
        image = one("image", options["image"], client.rows("image", f"/images?name={quote(options['image'])}", "images"))
        flavor = one("flavor", options["flavor"], client.rows("compute", "/flavors/detail?is_public=None", "flavors"))
        network = (
            one("network", options["network"], client.rows("network", f"/networks?name={quote(options['network'])}", "networks"))
            if options.get("network")
            else {}
        )
        problems += _no_default_type(client) if options["volume"] and not options["volume_type"] else []
    place = in_ceph(image)
    problems += image_problems(image, place) if image else []
    if flavor and image and flavor.get("disk") and flavor["disk"] < gibibytes(image):
        problems.append(f"the flavor {flavor['name']} has a disk of {flavor['disk']} GiB, and the image {image['name']} needs {gibibytes(image)}")
    if problems or place is None:
        return None, problems
    basis = tuple(str(part) for part in (image.get("checksum"), flavor.get("ram"), flavor.get("disk"), flavor.get("vcpus")))
    return Chosen(image["id"], flavor["id"], network.get("id"), place[1], place[0], gibibytes(image), basis), []


def _no_default_type(client: t.Any) -> list[str]:
    """Cinder is configured to have a default type, which may not be there."""
    try:
        client.call("block-storage", "GET", "/types/default")
    except ApiError as error:
        return [f"Cinder has no default volume type, so name one (volume_type), or make that of default_volume_type in cinder.conf: {error}"]
    return []


def gibibytes(image: Row) -> int:
    """How large a volume or disk of an image must be."""
    size = max(int(image.get("size") or 0), int(image.get("virtual_size") or 0))
    return max(1, int(image.get("min_disk") or 0), -(-size // (1 << 30)))


def image_problems(image: Row, place: t.Optional[t.Tuple[str, str]]) -> list[str]:
    """Why neither Nova nor Cinder could clone an image."""
    name = f"the image {image['name']}"
    if image.get("status") != "active":
        return [f"{name} is {image.get('status')}, not active: its data was not uploaded, or Glance cannot write to its pool (see the log of glance-api)"]
    if image.get("disk_format") != "raw":
        return [f"{name} is {image.get('disk_format')}, which is copied, never cloned: convert it (qemu-img convert -O raw), upload it with --disk-format raw"]
    if place is None:
        return [
            f"Glance does not say where {name} is in RBD, so that it is copied, never cloned: store it there, and set show_image_direct_url in glance-api.conf"
        ]
    return []


def from_image(run: Run, chosen: Chosen, options: t.Mapping[str, t.Any]) -> Row:
    """A guest on a clone that Nova makes; it becomes an image again, and moves. Returns what was seen. Raises ProofFailed, ApiError."""
    seen: Row = {"name": f"{run.name}-image", "from": "image", "volume": None, "snapshot": None, "migration": None}
    row = _deploy(run, seen, {"imageRef": chosen.image, "flavorRef": chosen.flavor}, chosen.network)
    disk = f"{row['id']}_disk"
    pool = run.disks.find("nova", disk)
    if pool is None:
        pools = ", ".join(run.disks.pools("nova")) or "of no consumer of kind nova"
        raise ProofFailed(
            f"the disk {disk} of {_guest_on(row)} is not in the Ceph pools {pools}: is images_type of nova-compute there rbd, of one of these pools?"
        )
    _marker(run, seen, pool, disk, chosen)
    if options["snapshot"]:
        seen["snapshot"] = _snapshot(run, seen)
    if options["migrate"]:
        seen["migration"] = _migrate(run, seen, row)
        if seen["migration"] and not _wrote(run.disks.read(pool, disk), seen["uuid"]):
            raise ProofFailed(f"after the live migration the marker is not on {seen['image']} any more")
    return seen


def from_volume(run: Run, chosen: Chosen, options: t.Mapping[str, t.Any]) -> Row:
    """A guest on a volume that Cinder has cloned from the image. Returns what was seen. Raises ProofFailed, ApiError."""
    seen: Row = {"name": f"{run.name}-volume", "from": "volume", "snapshot": None, "migration": None}
    with took(seen, "volume_seconds"):
        volume = volume_probe.create(run, seen["name"], chosen.size, options["volume_type"], imageRef=chosen.image)
    pool, disk = volume_probe.in_ceph(run, volume)
    seen["volume"] = volume["id"]
    device = {"uuid": volume["id"], "source_type": "volume", "destination_type": "volume", "boot_index": 0, "delete_on_termination": False}
    _deploy(run, seen, {"flavorRef": chosen.flavor, "block_device_mapping_v2": [device]}, chosen.network)
    _marker(run, seen, pool, disk, chosen)
    return seen


def _deploy(run: Run, seen: Row, given: Row, network: t.Optional[str]) -> Row:
    """Make a guest, and wait until it runs."""
    networks: t.Union[str, list[Row]] = [{"uuid": network}] if network else "none"
    with took(seen, "deploy_seconds"):
        made = run.client.call("compute", "POST", "/servers", {"server": {"name": seen["name"], "networks": networks, **given}})["server"]
        row = run.settle("compute", f"/servers/{made['id']}", "server", "active", f"the guest {seen['name']}", lambda row: _why(run, row))
    seen.update(uuid=row["id"], host=row.get(_HOST))
    return row


def _marker(run: Run, seen: Row, pool: str, disk: str, chosen: Chosen) -> None:
    """Look whose clone the disk is, and wait for the marker of its guest."""
    begun = time.monotonic()
    seen.update(image=run.made(pool, disk), client=run.disks.client(pool), parent=run.disks.parent(pool, disk))
    if seen["parent"] != chosen.origin:
        what = f"is a clone of {seen['parent']}" if seen["parent"] else "is a whole copy"
        who = "the rights of Nova's client on the image's pool" if seen["from"] == "image" else "the rights of Cinder's client on the image's pool"
        raise ProofFailed(f"the disk {seen['image']} {what}, no clone of Glance's {chosen.origin}: see {who}, and whether both are in one cluster")
    found: t.Optional[bytes] = None

    def written() -> bool:
        nonlocal found
        found = run.disks.read(pool, disk)
        return _wrote(found, seen["uuid"])

    if not wait_until(written, run.timeout, pause=_PAUSE):
        row = run.client.call("compute", "GET", f"/servers/{seen['uuid']}")["server"]
        what = "there is no such image any more" if found is None else f"found {_guest.readable(found) or 'nothing'}"
        state = f"OpenStack says that it is {row.get('status')} on {row.get(_HOST)}"
        raise ProofFailed(f"the guest {seen['name']} did not write its marker to {seen['image']} within {run.timeout:g} s: {what}; {state}")
    seen.update(marker=_guest.readable(found or b""), marker_seconds=round(time.monotonic() - begun + seen["deploy_seconds"], 1))


def _wrote(found: t.Optional[bytes], uuid: str) -> bool:
    return (found or b"").startswith(_guest.expected_marker(uuid))


def _snapshot(run: Run, seen: Row) -> Row:
    """Make an image of the guest, and see that it is in RBD with the marker."""
    told: Row = {}
    with took(told, "seconds"):
        order = {"createImage": {"name": seen["name"]}}
        image = run.client.call("compute", "POST", f"/servers/{seen['uuid']}/action", order)["image_id"]
        row = run.settle(
            "image", f"/images/{image}", "image", "active", f"the snapshot of the guest {seen['name']}", lambda _row: _why_no_image(run, seen["uuid"])
        )
    place = in_ceph(row)
    if place is None:
        raise ProofFailed(f"the snapshot of the guest {seen['name']} is an image, but not in RBD")
    pool, _slash, name = place[1].partition("@")[0].partition("/")
    if not _wrote(run.disks.read(pool, name), seen["uuid"]):
        raise ProofFailed(f"the snapshot of the guest {seen['name']} is an image at {place[1]}, but the marker is not on it")
    return {"image": run.made(pool, name), **told}


def _migrate(run: Run, seen: Row, row: Row) -> t.Optional[Row]:
    """Move the guest to another host while it runs; None where there is none, with a note."""
    here = str(row.get(_HOST))
    with reading("the compute hosts"):
        able = set(services.compute_hosts(services.read(run.client)))
        kinds = {one["service"]["host"]: one.get("hypervisor_type") for one in run.client.rows("compute", "/os-hypervisors/detail", "hypervisors")}
    others = sorted(host for host in able - {here} if kinds.get(host) == kinds.get(here))
    if not others:
        run.note(f"live migration is not proven: beside {here} there is no other compute host that is up and of its kind")
        return None
    told: Row = {"from": here, "to": None}
    path = f"/servers/{seen['uuid']}"
    with took(told, "seconds"):
        run.client.call("compute", "POST", f"{path}/action", {"os-migrateLive": {"host": None, "block_migration": "auto"}})

        def moved() -> t.Optional[Row]:
            now: Row = run.client.call("compute", "GET", path)["server"]
            if now["status"] == "ACTIVE" and now.get(_HOST) != here and not now.get(_WORKING):
                return now
            # It is back to what it was before somebody may look, where a check beforehand refuses the move.
            states = [str(one.get("status")) for one in run.client.rows("compute", f"/os-migrations?instance_uuid={seen['uuid']}", "migrations")]
            if now["status"] == "ERROR" or (states and states[0] in ("error", "failed", "cancelled") and not now.get(_WORKING)):
                raise ProofFailed(f"the guest {seen['name']} did not move from {here} to {' or '.join(others)}: {_why(run, now)}")
            return None

        late = ProofFailed(f"the guest {seen['name']} did not move from {here} to {' or '.join(others)} within {run.timeout:g} s")
        told["to"] = wait_until(moved, run.timeout, lambda: late, _PAUSE)[_HOST]
    return told


def _guest_on(row: Row) -> str:
    return f"the guest {row.get('name')} on {row.get(_HOST)}"


def _why(run: Run, row: Row) -> str:
    """Why a guest is not what it should be: its fault, where it was tried and what failed there, what that means, and what is down."""
    fault = row.get("fault") or {}
    tried, hosts = _tried(run, row["id"])
    where = row.get(_HOST) or ", ".join(hosts)
    said = [str(fault.get("message") or "")] if fault.get("message") else []
    said.append(f"it was scheduled to {where}" if where else "it was scheduled to no host")
    if row.get(_WORKING):
        said.append(f"it is at {row[_WORKING]}")
    said += [tried] if tried and tried not in said[0] else []
    known = services.meaning(f"{fault.get('message')} {fault.get('details')} {tried}", run.secrets, str(where or ""))
    return "; ".join(dict.fromkeys([*said, *known, *run.down()]))


def _why_no_image(run: Run, uuid: str) -> str:
    """Why no image came of a guest."""
    tried = _tried(run, uuid)[0]
    return "; ".join([tried or "see the log of nova-compute", *services.meaning(tried, run.secrets), *run.down()])


def _tried(run: Run, uuid: str) -> tuple[str, list[str]]:
    """What failed of the last thing that was done with a guest, with the hosts: ("ERROR on HOST: last line of its trace", hosts)."""
    last: Row = {}

    def over() -> bool:
        nonlocal last
        actions = run.client.rows("compute", f"/servers/{uuid}/os-instance-actions", "instanceActions")
        if actions:
            last = run.client.call("compute", "GET", f"/servers/{uuid}/os-instance-actions/{actions[0]['request_id']}")["instanceAction"]
        return all(event.get("result") for event in last.get("events") or ())

    try:
        wait_until(over, _SAID_WITHIN, pause=_PAUSE)
    except ApiError as error:
        return str(error), []
    failed = [event for event in last.get("events") or () if str(event.get("result")).lower() == "error"]
    hosts = list(dict.fromkeys(str(event["host"]) for event in last.get("events") or () if event.get("host")))
    lines = [f"{event.get('event')} on {event.get('host')}: {_last_line(event)}" for event in failed]
    return "; ".join(dict.fromkeys(lines)), hosts


def _last_line(event: Row) -> str:
    text = str(event.get("details") or event.get("traceback") or "").strip()
    return text.rsplit("\n", 1)[-1].strip() or "no reason is kept"
