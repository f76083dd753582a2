# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that Cinder makes in each of its pools, with a snapshot and a backup, and what is on them, read back from Ceph.

PRIVATE to the collection.
"""

from __future__ import annotations

import secrets
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import ProofFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import services
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import ApiError, reading
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.probe_run import Row, Run, took
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, strings

OPTIONS: dict[str, t.Any] = {
    "types": strings("The volume types. By default all that there are but Cinder's own C(__DEFAULT__)."),
    "snapshot": boolean("Whether each volume gets a snapshot.", default=True),
    "backup": boolean("Whether one of the volumes is backed up and restored. By default if there is a consumer of kind V(cinder-backup)."),
}
_DEFAULT = "__DEFAULT__"  # what Cinder makes by itself, of no backend


def choose(client: t.Any, options: t.Mapping[str, t.Any]) -> tuple[list[Row], list[str]]:
    """The volume types to prove, and what is wrong with them. Raises Unreachable."""
    with reading("the volume types"):
        rows = client.rows("block-storage", "/types?is_public=None", "volume_types")
    wanted = options.get("types")
    if wanted is None:
        found = [row for row in rows if row["name"] != _DEFAULT]
        return found, [] if found else ["there is no volume type: declare some (openstack_catalogue), or leave volumes out"]
    return [row for row in rows if row["name"] in wanted], [f"there is no volume type {name}" for name in wanted if name not in {row["name"] for row in rows}]


def backs_up(options: t.Mapping[str, t.Any], consumers: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
    """Whether a backup is to be proven."""
    said = options.get("backup")
    return any(one.get("kind") == "cinder-backup" for one in consumers) if said is None else bool(said)


def prove_type(run: Run, kind: Row, options: t.Mapping[str, t.Any], backup: bool) -> Row:
    """A volume of a type, from the API to its bytes in Ceph. Returns what was seen. Raises ProofFailed, ApiError."""
    seen: Row = {"type": kind["name"], "name": f"{run.name}-{kind['name']}", "snapshot": None, "backup": None}
    with took(seen, "seconds"):
        volume = create(run, seen["name"], 1, kind["name"])
    pool, image = in_ceph(run, volume)
    seen.update(volume=volume["id"], image=f"{pool}/{image}", client=run.disks.client(pool))
    backend = (kind.get("extra_specs") or {}).get("volume_backend_name")
    if backend in run.disks.pools("cinder") and backend != pool:
        raise ProofFailed(f"a volume of the type {kind['name']} is in the pool {pool}, not in that of its backend {backend}: see rbd_pool in cinder.conf")
    written = secrets.token_bytes(_guest.MARKER_LENGTH)
    run.disks.write(pool, image, written)
    if options["snapshot"]:
        seen["snapshot"] = _snapshot(run, seen, pool, image, written)
    if backup:
        seen["backup"] = _backup(run, seen, written)
    return seen


def create(run: Run, name: str, size: int, kind: t.Optional[str], **more: t.Any) -> Row:
    """Make a volume, and wait until it is there. kind: its type. more: such as imageRef."""
    given = {"name": name, "size": size, **({"volume_type": kind} if kind else {}), **more}
    made = run.client.call("block-storage", "POST", "/volumes", {"volume": given})["volume"]
    what = f"the volume {name}{f' of the type {kind}' if kind else ''}"
    return run.settle("block-storage", f"/volumes/{made['id']}", "volume", "available", what, lambda row: why(run, row))


def in_ceph(run: Run, volume: Row) -> tuple[str, str]:
    """Pool and image of a volume."""
    image = f"volume-{volume['id']}"
    pool = run.disks.find("cinder", image)
    if pool is None:
        place = volume.get("os-vol-host-attr:host")
        pools = ", ".join(run.disks.pools("cinder")) or "of no consumer of kind cinder"
        raise ProofFailed(f"Cinder made the volume {volume.get('name')} at {place}, but its image {image} is not in the Ceph pools {pools}")
    run.made(pool, image)
    return pool, image


def _snapshot(run: Run, seen: Row, pool: str, image: str, written: bytes) -> Row:
    """Take a snapshot, spoil the volume, and find in the snapshot what was there before."""
    told: Row = {}
    with took(told, "seconds"):
        order = {"snapshot": {"name": seen["name"], "volume_id": seen["volume"]}}
        made = run.client.call("block-storage", "POST", "/snapshots", order)["snapshot"]
        what = f"the snapshot of the volume {seen['name']}"
        run.settle("block-storage", f"/snapshots/{made['id']}", "snapshot", "available", what, lambda row: why(run, row))
    run.disks.wipe(pool, image)
    found = run.disks.read(pool, image, f"snapshot-{made['id']}")
    run.disks.write(pool, image, written)
    if found != written:
        what = "is not in Ceph" if found is None else "has not what the volume had"
        raise ProofFailed(f"the snapshot {seen['image']}@snapshot-{made['id']} {what}")
    return {"snapshot": f"{seen['image']}@snapshot-{made['id']}", **told}


def _backup(run: Run, seen: Row, written: bytes) -> Row:
    """Back the volume up, restore it to another one, and find there what was on the first."""
    told: Row = {}
    api = "block-storage"
    with took(told, "seconds"):
        made = run.client.call(api, "POST", "/backups", {"backup": {"name": seen["name"], "volume_id": seen["volume"]}})["backup"]
        what = f"the backup of the volume {seen['name']}"
        run.settle(api, f"/backups/{made['id']}", "backup", "available", what, lambda row: f"{row.get('fail_reason') or ''} {why(run, row)}".strip())
    places = [f"{pool}/{name}" for pool in run.disks.pools("cinder-backup") for name in run.disks.names(pool) if made["id"] in name or seen["volume"] in name]
    if not places:
        pools = ", ".join(run.disks.pools("cinder-backup")) or "of no consumer of kind cinder-backup"
        raise ProofFailed(f"the backup {made['id']} is not in the Ceph pools {pools}: see backup_driver and backup_ceph_pool in cinder.conf")
    told["image"] = run.made(*places[0].split("/", 1))
    row = create(run, f"{seen['name']}-restored", 1, seen["type"])
    with took(told, "restore_seconds"):
        run.client.call(api, "POST", f"/backups/{made['id']}/restore", {"restore": {"volume_id": row["id"]}})
        what = f"the volume {row['name']}, of a backup"
        # At first it is as it was before.
        run.settle(api, f"/backups/{made['id']}", "backup", "available", what, lambda row: why(run, row))
        row = run.settle(api, f"/volumes/{row['id']}", "volume", "available", what, lambda row: why(run, row))
    if run.disks.read(*in_ceph(run, row)) != written:
        raise ProofFailed(f"the backup of the volume {seen['name']} was restored, but what was on the volume is not there")
    return told


def why(run: Run, row: Row) -> str:
    """Why something of Cinder's is not what it should be: what it has told its users, what that means, and what is down."""
    try:
        messages = run.client.rows("block-storage", f"/messages?resource_uuid={row.get('id')}", "messages")
        said = [str(one.get("user_message")) for one in messages]
    except ApiError as error:
        said = [str(error)]
    if not said:
        said = ["Cinder tells its users nothing of it, see the log of cinder-volume"]
    place = row.get("os-vol-host-attr:host")
    known = services.meaning(" ".join(said), run.secrets)
    return "; ".join(dict.fromkeys([*said, *([f"it was placed at {place}"] if place else []), *known, *run.down()]))
