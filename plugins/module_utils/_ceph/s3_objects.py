# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host kept as objects in buckets: golden images and templates that hypervisors fetch.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import typing as t
from xml.etree import ElementTree

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Invalid, Plan

# What one PUT may hold (S3's own limit). Each file passes through memory, so that this is for images, not for backups.
LARGEST = 5 << 30


@dataclasses.dataclass(frozen=True)
class Object:
    """One object as declared. path: the file that it holds; None where it must not be there."""

    bucket: str
    key: str
    owner: str
    path: t.Optional[str]

    @property
    def id(self) -> str:
        return f"{self.bucket}/{self.key}"


def parse(declared: t.Sequence[t.Mapping[str, t.Any]], owners: t.Collection[str], check_mode: bool = False) -> list[Object]:
    """Return the objects. Raises Invalid with every mistake. In check mode a file may be one that is yet to be made."""
    found, problems, seen = [], [], set()
    for number, item in enumerate(declared):
        present = item["state"] == "present"
        one = Object(item["bucket"], item["key"].lstrip("/"), item["owner"], item["path"] if present else None)
        here = f"objects[{number}] ({one.id})"
        if one.id in seen:
            problems.append(f"{here}: declared twice: keep one of them")
        seen.add(one.id)
        if one.owner not in owners:
            problems.append(f"{here}: there is no key of the user {one.owner}: declare it among the users")
        if present and not item["path"]:
            problems.append(f"{here}: path is missing: name the file on this host")
        elif present and not os.path.isfile(item["path"]):
            if check_mode:
                found.append(one)
                continue
            problems.append(f"{here}: there is no file {item['path']} on this host")
        elif present and os.path.getsize(item["path"]) > LARGEST:
            problems.append(f"{here}: {item['path']} is larger than the 5 GiB that one object may be written with")
        found.append(one)
    if problems:
        raise Invalid(problems)
    return found


def digest(path: str) -> dict[str, t.Any]:
    """Return size in bytes and MD5 (the ETag of an object written at once) of a file; both None where it is yet to be made."""
    if not os.path.isfile(path):
        return {"size": None, "etag": None}
    summed = hashlib.md5()  # S3's own name for content, no protection
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(4 << 20), b""):
            summed.update(piece)
    return {"size": os.path.getsize(path), "etag": summed.hexdigest()}


def listed(client: Client, credentials: Credentials, bucket: str) -> t.Optional[dict[str, dict[str, t.Any]]]:
    """Return every object of a bucket by key, with size and etag; None where there is no such bucket. Raises ApiFailed, Unreachable."""
    found: dict[str, dict[str, t.Any]] = {}
    query = {"list-type": "2"}
    while True:
        try:
            page = ElementTree.fromstring(client.request(credentials, "GET", f"/{bucket}", query))
        except ApiFailed as error:
            if error.code == "NoSuchBucket":
                return None
            raise
        space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
        for entry in page.iter(f"{space}Contents"):
            text = {child.tag.replace(space, ""): child.text or "" for child in entry}
            found[text["Key"]] = {"size": int(text["Size"]), "etag": text["ETag"].strip('"')}
        token = page.findtext(f"{space}NextContinuationToken")
        if not token:
            return found
        query = {"list-type": "2", "continuation-token": token}


class Provider:
    """Keeps the declared objects. One list a bucket, whatever the number of objects."""

    def __init__(self, client: t.Optional[Client], credentials: t.Mapping[str, Credentials], objects: t.Sequence[Object]) -> None:
        self._client = client
        self._credentials = credentials
        self._objects = objects

    def observe(self) -> dict[str, t.Optional[dict[str, dict[str, t.Any]]]]:
        """Return the lists of all declared buckets."""
        owners = {one.bucket: one.owner for one in self._objects}
        return {bucket: listed(self._client, self._credentials[owner], bucket) if self._client else None for bucket, owner in owners.items()}

    def plan(self, observed: t.Mapping[str, t.Optional[t.Mapping[str, t.Mapping[str, t.Any]]]]) -> Plan:
        """An object differs where its size or sum does. A bucket that is not there yet is a mistake, but in check mode with no gateway."""
        missing = sorted(bucket for bucket, have in observed.items() if have is None)
        if self._client and missing:
            raise Invalid([f"there is no bucket {bucket}: declare it among the buckets" for bucket in missing])
        changes = []
        for one in self._objects:
            before = (observed[one.bucket] or {}).get(one.key)
            if one.path is None:
                if before:
                    changes.append(Change("object", one.id, "delete", before, None, self._request("DELETE", one)))
                continue
            after = digest(one.path)
            if before != after:
                changes.append(Change("object", one.id, "update" if before else "create", before, after, self._request("PUT", one)))
        return Plan(changes)

    def _request(self, method: str, one: Object) -> t.Callable[[], t.Any]:
        client = t.cast(Client, self._client)  # without a gateway nothing is applied

        def send() -> None:
            body = b""
            if one.path:
                with open(one.path, "rb") as file:
                    body = file.read()
            client.request(self._credentials[one.owner], method, f"/{one.bucket}/{one.key}", None, body)

        return send

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        """Return nothing further."""
        return {}
