# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove object gateways with a user's own key: what it may do works, what nobody may do is refused.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import secrets
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.probe import Stopwatch
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

# The name by which what a killed run left behind is known to the next one.
PREFIX = "cephstack-probe-"
_OBJECT = "object"


def prove_object(client: Client, s3: t.Any, bucket: str, where: str, watch: Stopwatch, tenant: str = "") -> t.Iterator[str]:
    """Put an object, get it, and try to read it without a key; yield what is wrong. It is left there. s3: a user's. tenant: by which others name the bucket.

    Raises ApiFailed, Unreachable.
    """
    body = secrets.token_bytes(4096)
    with watch.measure("put"):
        s3.put_object(Bucket=bucket, Key=_OBJECT, Body=body)
    with watch.measure("get"):
        found = s3.get_object(Bucket=bucket, Key=_OBJECT)["Body"].read()
    if found != body:
        yield f"{where}: what was read is not what was written"
    status = client.status_without_key(f"/{tenant}{':' if tenant else ''}{bucket}/{_OBJECT}")
    if status != 403:
        yield f"{where}: a private object answers {status}, not 403, to somebody without a key"


def remove_object(s3: t.Any, bucket: str) -> None:
    """Remove the object, where it is there. Raises ApiFailed, Unreachable."""
    with _missing_is_fine():
        s3.delete_object(Bucket=bucket, Key=_OBJECT)


@contextlib.contextmanager
def _missing_is_fine() -> t.Iterator[None]:
    try:
        yield
    except ApiFailed as error:
        if error.status != 404:
            raise


def probe(endpoint: str, uid: str, client: Client, s3: t.Any) -> tuple[dict[str, t.Any], list[str]]:
    """Prove a bucket and an object, and leave neither behind. Return ({endpoint, uid, latency: {operation: milliseconds}}, problems)."""
    bucket, where, watch = PREFIX + secrets.token_hex(8), f"{uid} at {endpoint}", Stopwatch()
    problems: list[str] = []
    try:
        with watch.measure("create bucket"):
            s3.create_bucket(Bucket=bucket)
        try:
            problems.extend(prove_object(client, s3, bucket, where, watch))
        except (ApiFailed, Unreachable) as error:
            problems.append(f"{where}: {error}")
        finally:
            with watch.measure("remove"):
                sweep(s3, [bucket])
    except (ApiFailed, Unreachable) as error:
        problems.append(f"{where}: the bucket {bucket} could not be made, or not be removed: {error}")
    return {"endpoint": endpoint, "uid": uid, "latency": watch.milliseconds()}, problems


def sweep(s3: t.Any, names: t.Iterable[str]) -> None:
    """Remove what killed runs left behind: of the named buckets of a user, those that are probes'."""
    for name in names:
        if name.startswith(PREFIX):
            remove_object(s3, name)
            with _missing_is_fine():
                s3.delete_bucket(Bucket=name)


def bucket_names(s3: t.Any) -> list[str]:
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
