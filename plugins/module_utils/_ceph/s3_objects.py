# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host kept as objects in buckets: golden images and templates that hypervisors fetch.

PRIVATE to the collection.
"""

from __future__ import annotations

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


class Object(t.NamedTuple):
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
    found: list[Object] = []
    problems: list[str] = []
    seen: set[str] = set()
    for number, item in enumerate(declared):
        present, path = item["state"] == "present", item["path"]
        one = Object(item["bucket"], item["key"].lstrip("/"), item["owner"], path if present else None)
        for wrong, text in (
            (one.id in seen, "declared twice: keep one of them"),
            (one.owner not in owners, f"there is no key of the user {one.owner}: declare it among the users"),
            (present and not path, "path is missing: name the file on this host"),
            (present and path and not check_mode and not os.path.isfile(path), f"there is no file {path} on this host"),
        ):
            if wrong:
                problems.append(f"objects[{number}] ({one.id}): {text}")
        seen.add(one.id)
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
    with open(path, "rb") as file:
        if whole or size < part:
            return {"size": size, "etag": _md5(file, size).hex()}
        sums = [_md5(file, part) for _unused in range(0, size, part)]
    return {"size": size, "etag": f"{hashlib.md5(b''.join(sums)).hexdigest()}-{len(sums)}"}


def _md5(file: t.BinaryIO, length: int) -> bytes:
    summed, end = hashlib.md5(), file.tell() + length  # S3's own name for content, no protection
    for piece in iter(lambda: file.read(min(end - file.tell(), 4 << 20)), b""):
        summed.update(piece)
    return summed.digest()


Listed = t.Optional[t.Dict[str, t.Dict[str, t.Any]]]


def _list(s3: t.Any, bucket: str) -> Listed:
    """Return every object of a bucket by key, with size and etag; None where there is no such bucket. Raises ApiFailed, Unreachable."""
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {entry["Key"]: {"size": entry["Size"], "etag": entry["ETag"].strip('"')} for page in pages for entry in page.get("Contents", ())}
    except ApiFailed as error:
        if error.code == "NoSuchBucket":
            return None
        raise


class Provider:
    """Keeps the declared objects. One list a bucket, whatever the number of objects."""

    def __init__(self, client: t.Optional[Client], credentials: t.Mapping[str, Credentials], objects: t.Sequence[Object]) -> None:
        self._client, self._credentials, self._objects = client, credentials, objects
        self._s3: dict[str, t.Any] = {}

    def observe(self) -> dict[str, Listed]:
        owners = {one.bucket: one.owner for one in self._objects}
        if self._client is None:
            return dict.fromkeys(owners)
        self._s3 = self._s3 or {owner: self._client.s3(self._credentials[owner]) for owner in {one.owner for one in self._objects}}
        return {bucket: _list(self._s3[owner], bucket) for bucket, owner in owners.items()}

    def plan(self, observed: t.Mapping[str, Listed]) -> Plan:
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
        s3 = self._s3[one.owner]
        if one.path is None:
            s3.delete_object(Bucket=one.bucket, Key=one.key)
        else:
            part, large = _part_size(one.path), os.path.getsize(one.path) >= _PART  # threads cost more than a small file
            s3.upload_file(one.path, one.bucket, one.key, Config=TransferConfig(multipart_threshold=part, multipart_chunksize=part, use_threads=large))

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        return {}
