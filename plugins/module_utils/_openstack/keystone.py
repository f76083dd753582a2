# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keystone's beginning: the keys of its tokens and credentials, its administrator, and its own endpoints.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import os
import pwd
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.databases import Server
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import OpenStack
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Secret

FOLDER = "/etc/keystone"
REPOSITORIES = {"fernet": "fernet-keys", "credential": "credential-keys"}
INTERFACES = ("public", "internal", "admin")
Keys = t.Dict[str, t.Dict[str, str]]

_ADMIN = """
SELECT p.password_hash, u.enabled, (p.expires_at_int IS NULL OR p.expires_at_int > UNIX_TIMESTAMP() * 1000000) FROM keystone.local_user l
 JOIN keystone.user u ON u.id = l.user_id JOIN keystone.password p ON p.local_user_id = l.id
 WHERE l.name = 'admin' AND l.domain_id = 'default' ORDER BY p.created_at_int DESC LIMIT 1
"""
_ROLES = """
SELECT a.type FROM keystone.assignment a JOIN keystone.role r ON r.id = a.role_id JOIN keystone.local_user l ON l.user_id = a.actor_id
 JOIN keystone.project p ON p.id = a.target_id
 WHERE r.name = 'admin' AND r.domain_id = '<<null>>' AND l.name = 'admin' AND l.domain_id = 'default' AND p.name = 'admin' AND p.domain_id = 'default'
"""
_SERVICE_ROLE = "SELECT 1 FROM keystone.role WHERE name = 'service' AND domain_id = '<<null>>'"
_ENDPOINTS = """
SELECT e.interface, e.url FROM keystone.endpoint e JOIN keystone.service s ON s.id = e.service_id
 WHERE s.type = 'identity' AND e.region_id = %s AND e.enabled
"""


@dataclasses.dataclass(frozen=True)
class Observed:
    """keys: of each repository by their numbers. administrator: what of it is as declared; None where nothing can be asked, {} where there is none."""

    keys: Keys = dataclasses.field(default_factory=dict, repr=False)
    administrator: t.Optional[t.Mapping[str, t.Any]] = None


class Provider:
    """keys: those of the other controllers, {} where this one makes them."""

    def __init__(self, openstack: OpenStack, server: Server, keys: t.Mapping[str, t.Mapping[str, str]]) -> None:
        self.openstack, self.server, self.keys = openstack, server, keys

    def observe(self) -> Observed:
        seen = self.server.look("keystone")
        administrator: t.Optional[dict[str, t.Any]] = None if seen.unknown and seen.there else {}
        if not seen.unknown and seen.notes:
            with self.server.session("keystone" * seen.login) as run:
                administrator = self._administrator(run)
        return Observed(read_keys(), administrator)

    def _administrator(self, run: t.Callable[..., list[tuple[t.Any, ...]]]) -> dict[str, t.Any]:
        users = run(_ADMIN)
        if not users:
            return {}
        hashed, enabled, lasts = users[0]
        known = bool(enabled and lasts) and matches(self.openstack.admin_password.reveal(), hashed or "")
        urls = dict(run(_ENDPOINTS, self.openstack.region))
        roles = {"role": bool(run(_ROLES)), "service_role": bool(run(_SERVICE_ROLE))}
        return {"password": "as declared" if known else "another", **roles, **{name: urls.get(name) for name in INTERFACES}}

    def plan(self, observed: Observed) -> Plan:
        draft = Draft(kinds=("keys", "administrator", "schema", "file"))
        for name in REPOSITORIES:
            current, desired = observed.keys.get(name, {}), self.keys.get(name) or None
            # Without others' keys whatever is there stays: the operator may have rotated them. A first key alone is a run that was cut off.
            if desired is None and set(current) <= {"0"}:
                draft.ensure("keys", name, None, {"keys": 2}, functools.partial(_make_keys, name))
            elif desired and desired != current:
                before = {"keys": Secret(str(sorted(current.items())))} if current else None
                after = {"keys": Secret(str(sorted(desired.items())))}
                draft.ensure("keys", name, before, after, functools.partial(write_keys, name, desired))
        if observed.administrator is not None:
            wanted: dict[str, t.Any] = {"password": "as declared", "role": True, "service_role": True, **dict.fromkeys(INTERFACES, self.openstack.auth_url)}
            needs = ["schema/keystone", "file//etc/keystone/keystone.conf", *(f"keys/{name}" for name in REPOSITORIES)]
            draft.ensure("administrator", "admin", observed.administrator or None, wanted, self._bootstrap, needs=needs)
        return draft.plan()

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        return {}

    def _bootstrap(self) -> None:
        """Makes what is missing of the administrator, the roles, the region and the endpoints, and corrects password and URLs."""
        password = self.openstack.admin_password.reveal()
        env = {"LC_ALL": "C.UTF-8", "PATH": process.PATH, "OS_BOOTSTRAP_PASSWORD": password}
        urls = [word for name in INTERFACES for word in (f"--bootstrap-{name}-url", self.openstack.auth_url)]
        argv = ["runuser", "-u", "keystone", "--", "keystone-manage", "bootstrap", "--bootstrap-region-id", self.openstack.region, *urls]
        done = process.complete(argv, env=env)
        if done.code:
            raise process.CommandError(argv[4:6], done.code, (done.err or done.out).replace(password, "********"))


def matches(password: str, hashed: str) -> bool:
    """Whether a hash is of a password, as Keystone hashes by default (bcrypt, of no more than 72 bytes)."""
    import bcrypt

    try:
        return bool(bcrypt.checkpw(password.encode()[:72], hashed.encode()))
    except ValueError:
        return False


def read_keys() -> Keys:
    """The keys of this host's repositories."""
    found: Keys = {}
    for name, folder in REPOSITORIES.items():
        path = os.path.join(FOLDER, folder)
        numbers = [entry for entry in os.listdir(path) if entry.isdigit()] if os.path.isdir(path) else []
        found[name] = {number: text for number in sorted(numbers) for text in [files.read(os.path.join(path, number))] if text}
    return found


def _make_keys(name: str) -> None:
    write_keys(name, new_keys())


def new_keys() -> dict[str, str]:
    """The keys of a new repository: the next one, and the one in use."""
    return {number: base64.urlsafe_b64encode(os.urandom(32)).decode() for number in ("0", "1")}


def write_keys(name: str, keys: t.Mapping[str, str]) -> None:
    """Make a repository these keys, which Keystone's user can rotate."""
    owner, folder = pwd.getpwnam("keystone"), os.path.join(FOLDER, REPOSITORIES[name])
    files.make_folder(folder, 0o700, owner.pw_uid, owner.pw_gid)
    # Those in use, with the highest number, are the last to come.
    for number in sorted(keys, key=int):
        path = os.path.join(folder, number)
        if files.read(path) != keys[number]:
            files.write(path, keys[number], 0o600, owner.pw_uid, owner.pw_gid)
    for number in os.listdir(folder):
        if number.isdigit() and number not in keys:
            os.unlink(os.path.join(folder, number))
