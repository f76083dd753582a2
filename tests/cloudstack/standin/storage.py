# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Primary storage, image stores and staging stores. No storage is looked at: neither does the server before a host does."""

from __future__ import annotations

import hashlib
import typing as t
import uuid
from urllib.parse import unquote, urlsplit

from standin import system_vms
from standin.api import Call, Refused, command, internal, listed
from standin.state import Row, now, told

_SIZE = 1 << 40
_ZONE_WIDE = ("KVM", "VMware", "Hyperv", "LXC", "Any", "Simulator")


def begin(server: t.Any) -> None:
    pass


# -- primary storage


@command("createStoragePool", "storagepool")
def create_pool(call: Call) -> Row:
    zone = call.row("zones", "zoneid")
    scope = (call.get("scope") or ("cluster" if call.get("clusterid") else "zone")).lower()
    if scope not in ("zone", "cluster"):
        raise Refused(431, f"the scope {scope} is not supported")
    place: Row = {"zoneid": zone["id"]}
    if scope == "zone":
        kind = call.get("hypervisor")
        if not kind:
            raise internal("Missing parameter hypervisor. Hypervisor type is required to create zone wide primary storage.")
        if kind not in _ZONE_WIDE:
            raise Refused(431, f"zone wide storage pool is not supported for hypervisor type {kind}")
    else:
        if not call.get("clusterid"):
            raise internal("Failed to add data store: Cluster id must be specified")
        cluster = call.row("clusters", "clusterid")
        if not call.get("podid"):
            raise internal("Failed to add data store: Cluster id requires pod id")
        kind = cluster["hypervisortype"]
        place.update(podid=call["podid"], clusterid=cluster["id"])
    source = _source(call["url"], call["name"])
    if call.state.rows("storage_pools", id=source["id"]):
        raise internal("Failed to add data store: Another active pool with the same uuid already exists")
    groups = {word for word in (call.get("storageaccessgroups") or "").split(",") if word}
    hosts = [row for row in call.state.rows("hosts", **place) if row["state"] == "Up" and groups <= set((row.get("storageaccessgroups") or "").split(","))]
    if scope == "cluster" and not hosts:
        raise internal("Failed to add data store: No host up to associate a storage pool with in cluster " + told("Cluster", cluster))
    unusable = source.pop("_unusable", False)
    pool = call.state.add(
        "storage_pools",
        name=call["name"],
        **place,
        created=now(),
        capacitybytes=_SIZE,
        disksizetotal=_SIZE,
        disksizeallocated=0,
        disksizeused=0,
        tags=call.get("tags") or None,
        istagarule=bool(call.get("istagarule")),
        storageaccessgroups=call.get("storageaccessgroups") or None,
        state="Up",
        scope=scope.upper(),
        overprovisionfactor="2.0",
        hypervisor=kind,
        provider=call.get("provider", "DefaultPrimary"),
        managed=False,
        details=call.get("details") or {},
        hasannotations=False,
        **source,
    )
    if hosts and unusable:
        call.state.remove("storage_pools", pool["id"])
        raise internal("Failed to add data store: Failed to access storage pool")
    return _pool(call, pool)


def _source(url: str, name: str) -> Row:
    """What the server reads from a pool's address, and the UUID that it makes of it."""
    scheme, _sep, rest = url.partition("://")
    if scheme.lower() == "rbd":
        credentials, _at, rest = rest.rpartition("@")
        where, _slash, path = rest.partition("/")
        hosts, _colon, port = where.rpartition(":") if where.rpartition("]")[2].count(":") == 1 else (where, "", "")
        path = unquote(path)
        # Capitals and an address without credentials are taken, and fail on the host, which says nothing of why.
        bad = scheme != "rbd" or credentials.count(":") != 1 or "%" in credentials
        return {"id": _uuid(f"{hosts}/{path}"), "type": "RBD", "ipaddress": hosts, "path": path, "_port": port, "_unusable": bad}
    parts = urlsplit(url)
    if parts.scheme == "nfs" and parts.hostname and parts.path.strip("/"):
        return {"id": _uuid(f"{parts.hostname}{parts.path}"), "type": "NetworkFilesystem", "ipaddress": parts.hostname, "path": parts.path}
    if parts.scheme == "presetup":
        return {"id": _uuid(f"{parts.hostname}{parts.path}"), "type": "PreSetup", "ipaddress": parts.hostname, "path": parts.path}
    raise internal(f"Failed to add data store: {name}: Unable to figure out the scheme for URI: {scheme}")


def _uuid(text: str) -> str:
    digest = bytearray(hashlib.md5(text.encode(), usedforsecurity=False).digest())
    digest[6], digest[8] = digest[6] & 0x0F | 0x30, digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def _pool(call: Call, pool: Row) -> Row:
    """A pool as the commands show it: without details where it has none."""
    row = call.state.joined(pool)
    return {key: value for key, value in row.items() if key != "details" or value}


@command("updateStoragePool", "storagepool")
def update_pool(call: Call) -> Row:
    pool = call.row("storage_pools")
    if "enabled" in call.params:
        wanted = "Up" if call["enabled"] else "Disabled"
        if pool["state"] != wanted and pool["state"] not in ("Up", "Disabled"):
            raise Refused(431, f"Storage pool {pool['id']} is in {pool['state']} and cannot be {'enabled' if call['enabled'] else 'disabled'}")
        pool["state"] = wanted
    if "tags" in call.params:
        pool["tags"] = ",".join(call["tags"]) or None
    if "name" in call.params:
        pool["name"] = call["name"]
    # What is said of details is added: none can be taken away. A new url is kept as one, and nothing else of it.
    pool["details"].update(call.get("details") or {}, **call.given("url"))
    return _pool(call, pool)


@command("configureStorageAccess", shape="done")
def configure_access(call: Call) -> None:
    groups = ",".join(call.get("storageaccessgroups") or []) or None
    for table, name in (("storage_pools", "storageid"), ("hosts", "hostid"), ("clusters", "clusterid"), ("pods", "podid"), ("zones", "zoneid")):
        if call.get(name):
            call.row(table, name)["storageaccessgroups"] = groups


@command("enableStorageMaintenance", "storagepool")
def enable_maintenance(call: Call) -> Row:
    pool = call.row("storage_pools")
    if pool["state"] not in ("Up", "ErrorInMaintenance"):
        raise Refused(431, f"Primary storage with id {pool['id']} is not ready for migration, as the status is:{pool['state']}")
    pool["state"] = "Maintenance"
    return _pool(call, pool)


@command("cancelStorageMaintenance", "storagepool")
def cancel_maintenance(call: Call) -> Row:
    pool = call.row("storage_pools")
    if pool["state"] not in ("Maintenance", "ErrorInMaintenance"):
        raise Refused(431, f"Primary storage with id {pool['id']} is not ready to be removed from maintenance, as the status is:{pool['state']}")
    pool["state"] = "Up"
    return _pool(call, pool)


@command("deleteStoragePool")
def delete_pool(call: Call) -> None:
    pool = call.row("storage_pools")
    if pool["state"] != "Maintenance":
        raise Refused(431, f"Unable to delete storage due to it is not in Maintenance state, pool: {told('StoragePool', pool)}")
    call.state.remove("storage_pools", pool["id"])


listed(
    "listStoragePools",
    "storagepool",
    "storage_pools",
    show=lambda call, row: {**row, "storagecapabilities": {"VOLUME_SNAPSHOT_QUIESCEVM": "false"}},
)
listed("listVolumes", "volume", "volumes")


@command("listStorageTags", "storagetag", "list")
def list_tags(call: Call) -> t.List[Row]:
    pools = call.state.rows("storage_pools")
    return [{"poolid": pool["_number"], "name": tag} for pool in pools for tag in (pool.get("tags") or "").split(",") if tag]


# -- image stores


@command("addImageStore", "imagestore")
def add_image_store(call: Call) -> Row:
    kind = call["provider"].upper()
    if kind not in ("NFS", "S3", "SWIFT"):
        raise Refused(431, f"can't find image store provider: {call['provider']}")
    if kind == "S3" and call.get("zoneid"):
        raise Refused(431, "Image store provider S3 does not support scope ZONE")
    others = {row["providername"] for row in call.state.rows("image_stores")} - {kind}
    if others:
        raise Refused(431, f"You can only add new image stores from the same provider {others.pop()} already added")
    known = call.state.rows("image_stores", name=call.get("name"))
    if known:
        return call.state.joined(known[0])
    if kind == "S3":
        details = call.get("details") or {}
        for key in ("accesskey", "secretkey", "bucket", "endpoint"):
            if not details.get(key):
                raise internal(f"Failed to add data store: S3 needs the detail {key}")
        secure = details.get("usehttps") == "true"
        return call.state.add("image_stores", name=call.get("name"), protocol="https" if secure else "http", **_store("S3", "REGION"))
    if not call.get("zoneid"):
        raise internal("Failed to add data store: Zone is required for a store of NFS")
    row = call.state.add("image_stores", **_nfs(call, call.get("name") or call["url"]))
    system_vms.store_added(call, row)
    return call.state.joined(row)


def _store(provider: str, scope: str) -> Row:
    return {"providername": provider, "scope": scope, "readonly": False, "hasannotations": False}


def _nfs(call: Call, name: str) -> Row:
    parts = urlsplit(call["url"])
    if parts.scheme not in ("nfs", "cifs") or not parts.hostname or not parts.path.strip("/"):
        raise internal("Failed to add data store: NFS: the uri is not of the form nfs://HOST/PATH")
    return {"zoneid": call["zoneid"], "name": name, "url": call["url"], "protocol": parts.scheme, **_store("NFS", "ZONE")}


@command("updateImageStore", "imagestore")
def update_image_store(call: Call) -> Row:
    row = call.row("image_stores")
    row.update(call.given("name", "readonly"))
    return call.state.joined(row)


@command("deleteImageStore")
def delete_image_store(call: Call) -> None:
    row = call.row("image_stores")
    if call.state.rows("templates", _store=row["id"], templatetype="USER"):
        raise Refused(431, "Cannot delete image store with active templates backup!")
    call.state.remove("image_stores", row["id"])


listed("listImageStores", "imagestore", "image_stores")


# -- staging stores


@command("createSecondaryStagingStore", "secondarystorage")
def create_staging_store(call: Call) -> Row:
    if call.get("provider", "NFS") != "NFS":
        raise Refused(431, f"can't find cache store provider: {call['provider']}")
    return call.state.joined(call.state.add("staging_stores", **_nfs(call, call["url"])))


@command("deleteSecondaryStagingStore")
def delete_staging_store(call: Call) -> None:
    call.state.remove("staging_stores", call.row("staging_stores")["id"])


listed("listSecondaryStagingStores", "imagestore", "staging_stores")
