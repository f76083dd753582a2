# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove object gateways with a user's own key: what it may do works, what nobody may do is refused.

PRIVATE to the collection.
"""

from __future__ import annotations

import secrets
import time
import typing as t
from xml.etree import ElementTree

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

# The name by which what a killed run left behind is known to the next one.
PREFIX = "cephstack-probe-"


def probe(endpoint: str, uid: str, credentials: Credentials, client: Client) -> tuple[dict[str, t.Any], list[str]]:
    """Make a bucket, put, get and remove an object, and try to read it without a key.

    Return ({endpoint, uid, latency: {operation: milliseconds}}, problems). Leaves nothing behind, whatever happens.
    """
    bucket, body = PREFIX + secrets.token_hex(8), secrets.token_bytes(4096)
    path = f"/{bucket}/object"
    latency: dict[str, float] = {}
    problems: list[str] = []

    def timed(operation: str, *arguments: t.Any) -> bytes:
        begun = time.monotonic()
        answer = client.request(credentials, *arguments)
        latency[operation] = round((time.monotonic() - begun) * 1000, 2)
        return answer

    where = f"{uid} at {endpoint}"
    made: list[str] = []
    try:
        timed("create bucket", "PUT", f"/{bucket}")
        made.append(f"/{bucket}")
        timed("put", "PUT", path, None, body)
        made.append(path)
        if timed("get", "GET", path) != body:
            problems.append(f"{where}: what was read is not what was written")
        status = client.status_without_key(path)
        if status != 403:
            problems.append(f"{where}: a private object answers {status}, not 403, to somebody without a key")
    except (ApiFailed, Unreachable) as error:
        problems.append(f"{where}: {error}")
    finally:
        problems += _remove(client, credentials, made, where, latency)
    return {"endpoint": endpoint, "uid": uid, "latency": latency}, problems


def bucket_names(client: Client, credentials: Credentials) -> list[str]:
    """Return the names of a user's buckets. Raises ApiFailed, Unreachable."""
    listed = ElementTree.fromstring(client.request(credentials, "GET", "/"))
    return [name.text or "" for name in listed.iter() if name.tag.endswith("}Name") or name.tag == "Name"]


def sweep(client: Client, credentials: Credentials, names: t.Iterable[str]) -> None:
    """Remove what killed runs left behind: of the named buckets of a user, those that are probes'."""
    for name in names:
        if name.startswith(PREFIX):
            for path in (f"/{name}/object", f"/{name}"):
                try:
                    client.request(credentials, "DELETE", path)
                except ApiFailed as error:
                    if error.status != 404:
                        raise


def _remove(client: Client, credentials: Credentials, made: t.Sequence[str], where: str, latency: dict[str, float]) -> list[str]:
    problems = []
    begun = time.monotonic()
    for path in reversed(made):
        try:
            client.request(credentials, "DELETE", path)
        except (ApiFailed, Unreachable) as error:
            problems.append(f"{where}: {path} was left behind: {error}")
    if made:
        latency["remove"] = round((time.monotonic() - begun) * 1000, 2)
    return problems
