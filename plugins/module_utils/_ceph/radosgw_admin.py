# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to ask for users, buckets and the site, and to change them: radosgw-admin and the gateways' Admin Ops API.

radosgw-admin makes the site and the first user, for which there is no other way; it has no key on its command line.
Everything else goes through the gateways' Admin Ops and S3 APIs, a call of which costs a few milliseconds.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, filepath, strings

# How a module judges the certificates of gateways
TRUST: dict[str, t.Any] = {
    "validate_certs": boolean("Whether the gateways' certificates must be trusted.", default=True),
    "ca_path": filepath("A file on this host with the certificates that sign the gateways' ones. By default the host's own."),
    "tls_names": strings(
        "The names that the certificates may be for where the gateways are asked by their addresses, such as V(s3.example.org). A certificate for "
        "the address itself will do as well.",
        default=[],
    ),
}

# radosgw-admin would make the pools that it misses: it is asked for nothing where there is nothing
ROOT_POOL = ".rgw.root"


class RadosgwAdmin:
    """radosgw-admin as the client of a connection. The key reaches it through memory, never its command line or a file."""

    def __init__(self, connection: t.Mapping[str, t.Any], place: t.Sequence[str] = ()) -> None:
        self._client = connection.get("client") or "client.admin"
        key = connection.get("key")
        self._keyring = f"[{self._client}]\nkey = {key}\n" if key else ""
        self._place = list(place)
        self._timeout = 4 * (connection.get("timeout") or 30)
        base = ["radosgw-admin", "--name", self._client]
        base += (
            ["-c", "/dev/null", "--mon-host", connection["mon_host"]] if connection.get("mon_host") else ["-c", connection.get("conf") or "/etc/ceph/ceph.conf"]
        )
        if key or connection.get("keyring"):
            base += ["--keyring", "{secret}" if key else connection["keyring"]]
        self._base = base

    def __call__(self, *arguments: str, place: bool = True, body: t.Optional[str] = None) -> t.Any:
        """Run one command; return its parsed JSON (None where it says nothing). Raises ApiFailed, Unreachable, Invalid."""
        argv = [*self._base, *arguments, *(self._place if place else ())]
        try:
            done = process.complete(argv, self._keyring, self._timeout, body or "")
        except process.CommandError as error:
            if error.code == process.MISSING:
                raise Invalid(["radosgw-admin is missing on this host: install the package radosgw"]) from None
            raise Unreachable(f"radosgw-admin {' '.join(arguments[:2])} as {self._client}: no answer within {self._timeout} s") from None
        if done.code:
            said = [line for line in done.err.strip().splitlines() if line.strip()]
            raise ApiFailed(f"radosgw-admin {' '.join(arguments[:2])}", done.code, "failed", said[-1] if said else "")
        return json.loads(done.out) if done.out.strip().startswith(("{", "[")) else None


class AdminOps:
    """The Admin Ops API as one of its users. cli: radosgw-admin, for what this API hasn't. client: None where no gateway was named."""

    def __init__(self, uid: str, cli: RadosgwAdmin, client: t.Optional[Client]) -> None:
        self.uid = uid
        self.cli = cli
        self._client = client
        self._credentials: dict[str, Credentials] = {}

    @property
    def client(self) -> Client:
        if self._client is None:
            raise Unreachable("no object gateway was named")
        return self._client

    def __call__(self, method: str, path: str, body: bytes = b"", **query: t.Any) -> t.Any:
        """Return the parsed answer, None where it is empty. Raises ApiFailed, Unreachable."""
        texts = {key.replace("_", "-"): str(value).lower() if isinstance(value, bool) else str(value) for key, value in query.items() if value is not None}
        return self.client.json(self._credentials[self.uid], method, f"/admin/{path}", texts, body)

    def user(self, uid: str) -> t.Optional[dict[str, t.Any]]:
        """Return a user's record, None where there is none."""
        try:
            record: dict[str, t.Any] = self("GET", "metadata/user", key=uid)["data"]
        except ApiFailed as error:
            if error.status == 404:
                return None
            raise
        return record

    def keep(self, record: t.Mapping[str, t.Any]) -> None:
        """Remember with which key a user's requests are signed."""
        keys = keys_of(record)
        if keys:
            tenant = record.get("tenant") or ""
            uid = record["user_id"] if "$" in record["user_id"] or not tenant else f"{tenant}${record['user_id']}"
            access = sorted(keys)[0]
            self._credentials[uid] = Credentials(access, keys[access])

    def credentials(self, uid: str) -> Credentials:
        """Return the credentials of a user, asked for where they aren't known yet."""
        if uid not in self._credentials:
            record = self.user(uid)
            if record is not None:
                self.keep(record)
        try:
            return self._credentials[uid]
        except KeyError:
            raise RuntimeError(f"the user {uid} has no key to sign with") from None


def pool_names(connection: t.Any) -> set[str]:
    return {pool["pool_name"] for pool in connection.command("osd dump")["pools"]}


def is_true(value: t.Any) -> bool:
    return value in (True, 1, "true", "True", "1")


def keys_of(record: t.Mapping[str, t.Any]) -> dict[str, Secret]:
    """Return a user's keys, access key -> secret, without those of its subusers."""
    own = without_tenant(record["user_id"])
    return {key["access_key"]: Secret(key["secret_key"]) for key in record.get("keys", ()) if without_tenant(key.get("user", "")) == own}


def without_tenant(name: str) -> str:
    # A key of a subuser is "uid:sub"; the record of a tenant's user leaves its tenant out of user_id, in some releases.
    return name.rpartition("$")[2]
