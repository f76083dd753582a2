# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway bucket that CloudStack makes, used through S3 with the keys that it gives.

The bucket is removed whatever happens; one that a killed run left is removed by the next. The user that CloudStack makes in the gateways
for the account stays: it is the account's own.

PRIVATE to the collection.
"""

from __future__ import annotations

import secrets
import time
import typing as t
import urllib.parse

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3, s3_probe
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable

_OBJECT = "object"


def probe_all(client: t.Any, names: t.Optional[t.Collection[str]], ca_path: t.Optional[str], validate_certs: bool) -> t.Tuple[t.List[t.Any], t.List[str]]:
    """Probe object stores by name, all where names is None. Returns ({object_store, url, latency: {operation: ms}}s, problems)."""
    stores = client.rows("listObjectStoragePools")
    problems = [f"there is no object store {name}" for name in sorted(set(names or ()) - {store["name"] for store in stores})]
    probes = []
    for store in stores:
        if names is None or store["name"] in names:
            try:
                probes.append(_probe(client, store, ca_path, validate_certs, problems))
            except (ApiError, s3.ApiFailed, Invalid, Unreachable) as error:
                problems.append(f"object store {store['name']}: {error}")
    return probes, problems


def _probe(client: t.Any, store: t.Mapping[str, t.Any], ca_path: t.Optional[str], validate_certs: bool, problems: t.List[str]) -> t.Dict[str, t.Any]:
    """Probe one store. What is not as it should be is a problem; what stops the probe is raised."""
    latency: t.Dict[str, float] = {}
    for row in _buckets(client, store):
        _remove(client, row, ca_path, validate_certs)
    name = s3_probe.PREFIX + secrets.token_hex(8)

    def timed(operation: str, done: t.Callable[[], t.Any]) -> t.Any:
        begun = time.monotonic()
        answer = done()
        latency[operation] = round((time.monotonic() - begun) * 1000, 1)
        return answer

    try:
        timed("create bucket", lambda: client.job("createBucket", name=name, objectstorageid=store["id"], quota=1))
        row = next(row for row in _buckets(client, store) if row["name"] == name)
        gateway, credentials, path = _access(row, ca_path, validate_certs)
        body = secrets.token_bytes(4096)
        timed("put", lambda: gateway.request(credentials, "PUT", path, None, body))
        if timed("get", lambda: gateway.request(credentials, "GET", path)) != body:
            problems.append(f"object store {store['name']}: what was read is not what was written")
        status = gateway.status_without_key(path)
        if status != 403:
            problems.append(f"object store {store['name']}: a private object answers {status}, not 403, to somebody without a key")
    finally:
        begun = time.monotonic()
        for row in _buckets(client, store):
            if row["name"] == name:
                _remove(client, row, ca_path, validate_certs)
        latency["remove"] = round((time.monotonic() - begun) * 1000, 1)
    return {"object_store": store["name"], "url": store.get("url"), "latency": latency}


def _buckets(client: t.Any, store: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """The probes' buckets of a store."""
    rows = client.rows("listBuckets", listall=True)  # 4.22 refuses its own parameter objectstorageid
    return [row for row in rows if row.get("objectstorageid") == store["id"] and str(row["name"]).startswith(s3_probe.PREFIX)]


def _access(row: t.Mapping[str, t.Any], ca_path: t.Optional[str], validate_certs: bool) -> t.Tuple[s3.Client, s3.Credentials, str]:
    """How to use a bucket: as CloudStack tells its owner."""
    parts = urllib.parse.urlsplit(str(row["url"]))
    credentials = s3.Credentials(row["accesskey"].reveal(), row["usersecretkey"])
    return s3.Client([f"{parts.scheme}://{parts.netloc}"], validate_certs, ca_path), credentials, f"{parts.path}/{_OBJECT}"


def _remove(client: t.Any, row: t.Mapping[str, t.Any], ca_path: t.Optional[str], validate_certs: bool) -> None:
    """Remove a probe's bucket with what is in it. CloudStack deletes only an empty one."""
    if row.get("url") and row.get("usersecretkey"):
        gateway, credentials, path = _access(row, ca_path, validate_certs)
        try:
            gateway.request(credentials, "DELETE", path)
        except s3.ApiFailed as error:
            if error.status != 404:
                raise
    client.call("deleteBucket", id=row["id"])
