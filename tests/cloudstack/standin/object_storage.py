# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object stores and buckets. The server asks the gateway, as an administrator of it."""

from __future__ import annotations

import typing as t

from standin import gateway
from standin.api import Call, Refused, command, internal, listed
from standin.state import Row, now

_GIB = 1 << 30


def begin(server: t.Any) -> None:
    server.keys = {}  # {id of an object store: its administrator's keys}
    server.bucket_users = {}  # {(id of an object store, id of an account): the account's keys there}


def _reached(url: str, keys: gateway.Keys) -> None:
    """Raise Refused where the gateway does not list buckets to its administrator."""
    try:
        status, _body = gateway.ask(url, keys, "GET", "/admin/bucket", {"format": "json"})
    except OSError:
        status = 0
    if status != 200:
        raise internal("Failed to add object store: Error while initializing Ceph RGW Object Store. Invalid credentials or URL")


@command("addObjectStoragePool", "objectstore")
def add_store(call: Call) -> Row:
    if call["provider"] != "Ceph":
        raise Refused(431, f"can't find object store provider: {call['provider']}")
    if any(row["url"].lower() == call["url"].lower() for row in call.state.rows("object_stores")):
        raise internal(f"The object store with url {call['url']} already exists")
    if call.state.rows("object_stores", name=call["name"]):
        raise internal(f"The object store with name {call['name']} already exists")
    details = call.get("details") or {}
    keys = gateway.Keys(details.get("accesskey", ""), details.get("secretkey", ""))
    _reached(call["url"], keys)
    size = call["size"] * _GIB if call.get("size") else None
    row = call.state.add("object_stores", name=call["name"], url=call["url"], providername="Ceph", storagetotal=size, storageallocated=0, storageused=0)
    call.server.keys[row["id"]] = keys
    return {key: row[key] for key in ("id", "name", "providername")}


@command("updateObjectStoragePool", "objectstore")
def update_store(call: Call) -> Row:
    row = call.row("object_stores")
    if call.get("url"):
        _reached(call["url"], call.server.keys[row["id"]])
    row.update(call.given("name", "url"))
    if call.get("size"):
        row["storagetotal"] = call["size"] * _GIB
    return row


@command("deleteObjectStoragePool")
def delete_store(call: Call) -> None:
    row = call.row("object_stores")
    if call.state.rows("buckets", objectstorageid=row["id"]):
        raise Refused(431, "Cannot delete object store with buckets")
    call.state.remove("object_stores", row["id"])


listed("listObjectStoragePools", "objectstore", "object_stores")


# -- buckets


@command("createBucket", "bucket", creates="Bucket")
def create_bucket(call: Call) -> Row:
    store = call.row("object_stores", "objectstorageid")
    if call.state.rows("buckets", name=call["name"], objectstorageid=store["id"]):
        raise Refused(431, f"Bucket with name {call['name']} already exists")
    if call["quota"] < 1:
        raise Refused(431, "Bucket quota must be at least 1 GiB")
    keys = _user(call, store)
    status, body = gateway.ask(store["url"], keys, "PUT", f"/{call['name']}")
    if status != 200:
        raise internal(f"Failed to create bucket with name: {call['name']}: {body.decode(errors='replace')}")
    row = call.state.add(
        "buckets",
        name=call["name"],
        created=now(),
        account=call.user["account"],
        objectstorageid=store["id"],
        objectstore=store["name"],
        size=0,
        state="Created",
        quota=call["quota"],
        encryption=bool(call.get("encryption")),
        versioning=bool(call.get("versioning")) or bool(call.get("objectlocking")),
        objectlocking=bool(call.get("objectlocking")),
        policy=call.get("policy"),
        provider="Ceph",
        tags=[],
    )
    _allocated(call, store)
    # Where it is and with which keys is known only to a list.
    row.update(_url=f"{store['url']}/{call['name']}", _keys=keys)
    return row


def _user(call: Call, store: Row) -> gateway.Keys:
    """The gateway's user of an account, named by the account's UUID, made where there is none."""
    place = store["id"], call.user["accountid"]
    if place not in call.server.bucket_users:
        keys = gateway.user(store["url"], call.server.keys[store["id"]], call.user["accountid"])
        if keys is None:
            raise internal(f"Failed to create the user {call.user['accountid']} in the gateway")
        call.server.bucket_users[place] = keys
    return t.cast(gateway.Keys, call.server.bucket_users[place])


def _allocated(call: Call, store: Row) -> None:
    store["storageallocated"] = sum(row["quota"] for row in call.state.rows("buckets", objectstorageid=store["id"])) * _GIB


@command("updateBucket")
def update_bucket(call: Call) -> None:
    row = call.row("buckets")
    row.update(call.given("quota", "versioning", "policy", "encryption"))
    _allocated(call, call.state.get("object_stores", row["objectstorageid"]))


@command("deleteBucket")
def delete_bucket(call: Call) -> None:
    row = call.row("buckets")
    store = call.state.get("object_stores", row["objectstorageid"])
    status, _body = gateway.ask(store["url"], row["_keys"], "DELETE", f"/{row['name']}")
    if status not in (204, 404):
        raise internal(f"Failed to delete bucket with name: {row['name']}: The bucket is not empty.")
    call.state.remove("buckets", row["id"])
    _allocated(call, store)


@command("listBuckets", "bucket", "list")
def list_buckets(call: Call) -> t.List[Row]:
    if call.get("objectstorageid"):  # it has this parameter, and fails with it
        raise internal("Unable to list buckets of the object store")
    rows = [row for row in call.state.rows("buckets") if all(row[key] == call[key] for key in ("id", "name") if key in call.params)]
    return [{**row, "url": row["_url"], "accesskey": row["_keys"].access, "usersecretkey": row["_keys"].secret} for row in rows]
