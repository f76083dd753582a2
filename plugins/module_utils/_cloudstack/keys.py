# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First contact with a server: the user's password is set, its API keys are read, and made where there are none.

Keys that are there are never replaced: the server has no other way to tell the old ones again, and whoever uses them would be locked out.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import AccessDenied, ApiError, Client, connect, reading
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files
from ansible_collections.cephstack.cloud.plugins.module_utils._http import NoConnection
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, Unreachable

# What CloudStack gives the user admin. Not the option's default: as a secret it would be blacked out of every message.
INITIAL = "password"
_MODE = 0o600
# The server's code for a user or password that is wrong.
_REFUSED = 531


class Keys(t.NamedTuple):
    """A user's keys."""

    key: Secret
    secret: Secret


_NOT_YET = Keys(Secret(""), Secret(""))


class File(t.NamedTuple):
    """Where keys are kept: what it says, None where it says none, and its mode, None where it is not there."""

    keys: t.Optional[Keys] = None
    url: t.Optional[str] = None
    mode: t.Optional[int] = None

    def shown(self) -> t.Optional[dict[str, t.Any]]:
        """As it is compared; None where it is not there."""
        key, secret = self.keys or (None, None)
        return None if self.mode is None else {"url": self.url, "api_key": key, "api_secret": secret, "mode": f"{self.mode:04o}"}


class Observed(t.NamedTuple):
    """reachable: False where no server is there yet (check mode only). password: the one that the user has now."""

    reachable: bool
    file: File = File()
    password: t.Optional[Secret] = None
    user_id: str = ""
    keys: t.Optional[Keys] = None
    version: t.Optional[str] = None


class Provider(contextlib.ExitStack):
    """A user's password and keys, by the options of cloudstack_keys; its sessions end with it. check_mode: a server may be yet to come."""

    def __init__(self, options: t.Mapping[str, t.Any], check_mode: bool = False) -> None:
        super().__init__()
        self._options, self._check_mode = options, check_mode
        self._url, self._user, self._path = options["url"], options["user"], options.get("path")
        self._prefix: str = options.get("prefix") or ""
        self._password, self._initial = Secret(options["password"]), Secret(options.get("initial_password") or INITIAL)
        self._session: Client
        self._made = _NOT_YET

    def _connect(self, keys: t.Optional[Keys] = None) -> Client:
        own = {"api_key": keys.key, "api_secret": keys.secret} if keys else {}
        return connect({**{name: self._options.get(name) for name in ("url", "validate_certs", "ca_path", "timeout")}, **own})

    def observe(self) -> Observed:
        """Log in, with the password that is declared or else with the first one, and read the keys. Raises Unreachable, Invalid."""
        file = read(self._path)
        self.close()
        client = self._session = self._connect()
        self.callback(_leave, client)
        try:
            with reading(self._url):
                password, user_id = self._login(client)
                keys = _keys(client.call("getUserKeys", id=user_id))
                return Observed(True, file, password, user_id, keys, self._prove(keys) if keys else None)
        except NoConnection:
            # Keys that are kept tell that there was a server: then it is away, not yet to come.
            if not self._check_mode or file.keys is not None:
                raise
            return Observed(False, file)

    def _login(self, client: Client) -> tuple[Secret, str]:
        said = ""
        for password in dict.fromkeys((self._password, self._initial)):
            try:
                return password, str(client.login(self._user, password, self._options["domain"])["userid"])
            except ApiError as error:
                if error.code != _REFUSED:
                    raise
                said = error.text
        refuses = f"{self._url} refuses user {self._user} of domain {self._options['domain']} with it, and with the password of a new server too ({said})"
        raise Invalid([f"{self._prefix}password: {refuses}: give it the password that the user has"])

    def _prove(self, keys: Keys) -> t.Optional[str]:
        """Call with the keys; returns the server's version."""
        with contextlib.closing(self._connect(keys)) as client:
            try:
                version: t.Optional[str] = client.call("listCapabilities").get("capability", {}).get("cloudstackversion")
                return version
            except AccessDenied as error:
                denied = f"user {self._user} has API keys, and the server does not take them ({error.text})"
                raise Unreachable(f"{denied}: is the user's API access switched off?") from error

    def plan(self, observed: Observed) -> Plan:
        """Compare: the password, then the keys, then the file that keeps them."""
        draft = Draft(self._prefix)
        if not observed.reachable:
            draft.warn(f"nothing answers at {self._url} yet: what is planned is what a new server needs")
        now = {"password": observed.password or self._initial}
        change = {"id": observed.user_id, "currentpassword": observed.password, "password": self._password}
        draft.ensure("password", self._user, now, {"password": self._password}, lambda: self._session.call("updateUser", **change))
        if observed.keys is None:
            made = {"api_key": _NOT_YET.key, "api_secret": _NOT_YET.secret}
            draft.ensure("keys", self._user, None, made, lambda: self._register(observed), needs=[f"password/{self._user}"])
        if self._path:
            wanted = File(observed.keys or _NOT_YET, self._url, _MODE).shown()
            draft.ensure("file", self._path, observed.file.shown(), wanted, lambda: self._write(observed), needs=[f"keys/{self._user}"])
        return draft.plan()

    def _register(self, observed: Observed) -> None:
        # Somebody else may have made them meanwhile; making them again would take theirs away.
        asked = (self._session.call(command, id=observed.user_id) for command in ("getUserKeys", "registerUserKeys"))
        made = next((keys for keys in map(_keys, asked) if keys), None)
        if made is None:
            raise RuntimeError("the server made no keys")
        self._made = made

    def _write(self, observed: Observed) -> None:
        key, secret = observed.keys or self._made
        text = json.dumps({"url": self._url, "api_key": key.reveal(), "api_secret": secret.reveal()}, indent=2) + "\n"
        files.write(str(self._path), text, _MODE, os.geteuid(), os.getegid())

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """The server; and where they are asked for the keys, in clear: the task must say no_log. None where they are not made yet (check mode)."""
        told = {"url": self._url, "user_id": observed.user_id or None, "cloudstack_version": observed.version}
        key, secret = (one.reveal() for one in observed.keys) if observed.keys else (None, None)
        return {**told, "api_key": key, "api_secret": secret} if self._options.get("return_keys", True) else told


def _leave(client: Client) -> None:
    with contextlib.suppress(ApiError, Unreachable):  # the server forgets a session by itself
        client.logout()
    client.close()


def read(path: t.Optional[str]) -> File:
    """Read the file that keeps keys. Raises Invalid where there is something else of that name."""
    text = files.read(path) if path else None
    if path is None or text is None:
        return File()
    try:
        content = json.loads(text or "{}")
        keys = Keys(Secret(str(content["api_key"])), Secret(str(content["api_secret"]))) if text else None
        return File(keys, content.get("url"), os.stat(path).st_mode & 0o7777)
    except (ValueError, KeyError, TypeError):
        raise Invalid([f"path: {path} is there and does not hold keys: name another file, or remove it"]) from None


def _keys(answer: t.Mapping[str, t.Any]) -> t.Optional[Keys]:
    found = answer.get("userkeys") or {}
    return Keys(found["apikey"], found["secretkey"]) if found.get("apikey") and found.get("secretkey") else None
