# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway bucket that CloudStack makes, used through S3 with the keys that it gives.

The bucket is removed whatever happens, by the next run if this one is killed. The user that CloudStack makes in the gateways is the account's, and stays.

PRIVATE to the collection.
"""

from __future__ import annotations

import secrets
import typing as t
import urllib.parse

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3, s3_probe
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.probe import Stopwatch
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, filepath, strings

OPTIONS: dict[str, t.Any] = {
    "object_stores": strings("The names of the object stores. By default all that the server has."),
    "validate_certs": boolean("Whether a gateway's certificate must be trusted.", default=True),
    "ca_path": filepath("A file on this host with the certificates of the authorities to trust. By default the system's are."),
}


def probe_all(
    client: t.Any, object_stores: t.Optional[t.Collection[str]], ca_path: t.Optional[str], validate_certs: bool
) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Probe object stores by their names, None for all. Returns ({object_store, url, latency: {operation: ms}}s, problems). Raises ApiError, Unreachable."""
    probes: list[dict[str, t.Any]] = []
    stores = [row for row in client.rows("listObjectStoragePools") if object_stores is None or row["name"] in object_stores]
    problems = [f"there is no object store {name}" for name in sorted(set(object_stores or ()) - {row["name"] for row in stores})]
    for store in stores:
        try:
            probes.append(_probe(client, store, ca_path, validate_certs, problems))
        except (ApiError, s3.ApiFailed, Invalid, Unreachable) as error:
            problems.append(f"object store {store['name']}: {error}")
    return probes, problems


def _probe(client: t.Any, store: Row, ca_path: t.Optional[str], validate_certs: bool, problems: list[str]) -> dict[str, t.Any]:
    """Probe one store. What is not as it should be is a problem; what stops the probe is raised."""
    name, watch = s3_probe.PREFIX + secrets.token_hex(8), Stopwatch()

    def remove(only: str = s3_probe.PREFIX) -> None:
        for row in _buckets(client, store, only):
            if row.get("url") and row.get("usersecretkey"):
                s3_probe.remove_object(*_access(row, ca_path, validate_certs)[1:])  # CloudStack deletes only an empty one
            client.call("deleteBucket", id=row["id"])

    remove()
    try:
        with watch.measure("create bucket"):
            client.job("createBucket", name=name, objectstorageid=store["id"], quota=1)
        gateway, as_owner, bucket = _access(next(_buckets(client, store, name)), ca_path, validate_certs)
        problems.extend(s3_probe.prove_object(gateway, as_owner, bucket, f"object store {store['name']}", watch))
    finally:
        with watch.measure("remove"):
            remove(name)
    return {"object_store": store["name"], "url": store.get("url"), "latency": watch.milliseconds()}


def _buckets(client: t.Any, store: Row, begin: str) -> t.Iterator[Row]:
    """The buckets of a store whose names begin so."""
    rows = client.rows("listBuckets", listall=True)  # 4.22 refuses its own parameter objectstorageid
    return (row for row in rows if row.get("objectstorageid") == store["id"] and str(row["name"]).startswith(begin))


def _access(row: Row, ca_path: t.Optional[str], validate_certs: bool) -> tuple[s3.Client, t.Any, str]:
    """How to use a bucket: as CloudStack tells its owner. The gateway, boto3's client of S3 as the owner, and the bucket's name there."""
    parts = urllib.parse.urlsplit(str(row["url"]))
    credentials = s3.Credentials(row["accesskey"].reveal(), row["usersecretkey"])
    gateway = s3.Client([f"{parts.scheme}://{parts.netloc}"], validate_certs, ca_path)
    return gateway, gateway.s3(credentials), parts.path.strip("/")
