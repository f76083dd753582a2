# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to ask for users, buckets and the site, and to change them: radosgw-admin and the gateways' Admin Ops API.

radosgw-admin makes the site and the first user, for which there is no other way; a call of the APIs costs a few milliseconds.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
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
        "The names for which the certificates may be, although the gateways are asked by their addresses, such as V(s3.example.org). A certificate for "
        "the address itself is accepted, too.",
        default=[],
    ),
}

ROOT_POOL = ".rgw.root"  # radosgw-admin would make the pools that it misses: it is asked for nothing where there is nothing


class RadosgwAdmin:
    """radosgw-admin as the client of a connection. The key reaches it through memory, never its command line or a file."""

    def __init__(self, connection: t.Mapping[str, t.Any], place: t.Sequence[str] = ()) -> None:
        self._client, self._place = connection.get("client") or "client.admin", place
        self._timeout = 4 * (connection.get("timeout") or 30)
        key, keyring, mon_host = (connection.get(name) for name in ("key", "keyring", "mon_host"))
        self._keyring = f"[{self._client}]\nkey = {key}\n" if key else ""
        where = ["-c", "/dev/null", "--mon-host", str(mon_host)] if mon_host else ["-c", connection.get("conf") or "/etc/ceph/ceph.conf"]
        how = ["--keyring", "{secret}" if key else str(keyring)] if key or keyring else []
        self._base = ["radosgw-admin", "--name", self._client, *where, *how]

    def __call__(self, *arguments: str, place: bool = True, body: t.Optional[str] = None) -> t.Any:
        """Run one command; return its parsed JSON (None where it says nothing). Raises ApiFailed, Unreachable, Invalid."""
        what = f"radosgw-admin {' '.join(arguments[:2])}"
        try:
            done = process.complete([*self._base, *arguments, *(self._place if place else ())], self._keyring, self._timeout, body or "")
        except process.CommandError as error:
            if error.code == process.MISSING:
                raise Invalid(["radosgw-admin is missing on this host: install the package radosgw"]) from None
            raise Unreachable(f"{what} as {self._client}: no answer within {self._timeout} s") from None
        if done.code:
            said = [line for line in done.err.strip().splitlines() if line.strip()]
            raise ApiFailed(what, done.code, "failed", said[-1] if said else "")
        return json.loads(done.out) if done.out.strip().startswith(("{", "[")) else None


class AdminOps:
    """The Admin Ops API as one of its users. cli: radosgw-admin, for what this API hasn't."""

    def __init__(self, uid: str, cli: RadosgwAdmin, client: Client) -> None:
        self.uid, self.cli, self._client = uid, cli, client
        self._credentials: dict[str, Credentials] = {}
        self._s3: dict[str, t.Any] = {}

    def __call__(self, method: str, path: str, body: bytes = b"", **query: t.Any) -> t.Any:
        """Return the parsed answer, None where it is empty. Raises ApiFailed, Unreachable."""
        texts = {key.replace("_", "-"): str(value).lower() if isinstance(value, bool) else str(value) for key, value in query.items() if value is not None}
        return self._client.json(self._credentials[self.uid], method, f"/admin/{path}", texts, body)

    def find(self, path: str, **query: t.Any) -> t.Any:
        """Read something; None where it is not there."""
        try:
            return self("GET", path, **query)
        except ApiFailed as error:
            if error.status == 404:
                return None
            raise

    def user(self, uid: str) -> t.Optional[dict[str, t.Any]]:
        return (self.find("metadata/user", key=uid) or {}).get("data")

    def keep(self, uid: str, record: t.Mapping[str, t.Any]) -> None:
        """Remember with which key a user's requests are signed."""
        keys = keys_of(record)
        if keys:
            access = min(keys)
            self._credentials[uid] = Credentials(access, keys[access])

    def credentials(self, uid: str) -> Credentials:
        """Return the credentials of a user, asked for where they aren't known yet."""
        if uid not in self._credentials:
            self.keep(uid, self.user(uid) or {"user_id": uid})
        if uid not in self._credentials:
            raise RuntimeError(f"the user {uid} has no key to sign with")
        return self._credentials[uid]

    def open_s3(self, uids: t.Iterable[str]) -> None:
        """Make the clients by which s3() asks as some users, be they there yet or not; before any thread does so."""
        for uid in uids:
            if uid not in self._s3:
                self._s3[uid] = self._client.s3(functools.partial(self.credentials, uid))

    def s3(self, uid: str) -> t.Any:
        return self._s3[uid]


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
