# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host kept as objects in buckets: golden images and templates that hypervisors fetch.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan

try:
    from boto3.s3.transfer import TransferConfig
except ImportError:
    TransferConfig = None

# Larger files are written in parts of this size, or of more where they would be more than S3 takes of one object.
_PART, _PARTS = 16 << 20, 10000


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
        found.append(one)
    if problems:
        raise Invalid(problems)
    return found


def _part_size(path: str) -> int:
    return max(_PART, -(-os.path.getsize(path) // _PARTS))


def digest(path: str, whole: bool = False) -> dict[str, t.Any]:
    """Return size in bytes and ETag that a file has as an object; both None where it is yet to be made. whole: as one that was written at once."""
    if not os.path.isfile(path):
        return {"size": None, "etag": None}
    size, part = os.path.getsize(path), _part_size(path)
    sums = []  # MD5 is S3's own name for content, no protection
    with open(path, "rb") as file:
        if whole or size < part:
            return {"size": size, "etag": _md5(file, size)}
        for _unused in range(0, size, part):
            sums.append(_md5(file, part))
    return {"size": size, "etag": f"{hashlib.md5(bytes.fromhex(''.join(sums))).hexdigest()}-{len(sums)}"}


def _md5(file: t.BinaryIO, length: int) -> str:
    summed = hashlib.md5()
    while length > 0:
        piece = file.read(min(length, 4 << 20))
        if not piece:
            break
        summed.update(piece)
        length -= len(piece)
    return summed.hexdigest()


def listed(client: Client, credentials: Credentials, bucket: str) -> t.Optional[dict[str, dict[str, t.Any]]]:
    """Return every object of a bucket by key, with size and etag; None where there is no such bucket. Raises ApiFailed, Unreachable."""
    try:
        pages = client.s3(credentials).get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {entry["Key"]: {"size": entry["Size"], "etag": entry["ETag"].strip('"')} for page in pages for entry in page.get("Contents", ())}
    except ApiFailed as error:
        if error.code == "NoSuchBucket":
            return None
        raise


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
        draft = Draft()
        for one in self._objects:
            have = (observed[one.bucket] or {}).get(one.key)
            want = None if one.path is None else digest(one.path, have is not None and "-" not in have["etag"])
            draft.ensure("object", one.id, have, want, functools.partial(self._write, one))
        return draft.plan()

    def _write(self, one: Object) -> None:
        s3 = t.cast(Client, self._client).s3(self._credentials[one.owner])  # without a gateway nothing is applied
        if one.path is None:
            s3.delete_object(Bucket=one.bucket, Key=one.key)
        else:
            part, large = _part_size(one.path), os.path.getsize(one.path) >= _PART  # threads cost more than a small file
            s3.upload_file(one.path, one.bucket, one.key, Config=TransferConfig(multipart_threshold=part, multipart_chunksize=part, use_threads=large))

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        """Return nothing further."""
        return {}
