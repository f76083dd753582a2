# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First contact with a server: the user's password is set, its API keys are read, and made where there are none.

Keys that are there are never replaced: the server has no other way to tell the old ones again, and whoever uses them would be locked out.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import AccessDenied, ApiError, Client, connect
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files
from ansible_collections.cephstack.cloud.plugins.module_utils._http import NoConnection
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, Unreachable

# What CloudStack gives the user admin. Not the option's default: as a secret it would be blacked out of every message.
INITIAL = "password"
_MODE = 0o600
# The server's code for a user or password that is wrong.
_REFUSED = 531


@dataclasses.dataclass(frozen=True)
class Keys:
    """A user's keys."""

    key: Secret
    secret: Secret


@dataclasses.dataclass(frozen=True)
class File:
    """Where keys are kept: what it says, None where it says none, and its mode, None where it is not there."""

    keys: t.Optional[Keys] = None
    url: t.Optional[str] = None
    mode: t.Optional[int] = None


@dataclasses.dataclass(frozen=True)
class Observed:
    """answers: False where no server is there yet (check mode only). password: the one that the user has now."""

    answers: bool
    file: File = File()
    password: t.Optional[Secret] = None
    user_id: str = ""
    keys: t.Optional[Keys] = None
    version: t.Optional[str] = None


class Provider:
    """A user's password and keys. Use as a context manager: it ends its sessions.

    options: those of the module cloudstack_keys. check_mode: a server that is not there yet is one that will be.
    """

    def __init__(self, options: t.Mapping[str, t.Any], check_mode: bool = False) -> None:
        self._options = options
        self._check_mode = check_mode
        self._prefix: str = options.get("prefix") or ""
        self._password = Secret(options["password"])
        self._initial = Secret(options.get("initial_password") or INITIAL)
        self._sessions: list[Client] = []
        self._made: t.Optional[Keys] = None

    def __enter__(self) -> Provider:
        return self

    def __exit__(self, *unused: object) -> None:
        self._leave()

    def _leave(self) -> None:
        for client in self._sessions:
            with contextlib.suppress(ApiError, Unreachable):  # the server forgets it by itself
                client.logout()
            client.close()
        self._sessions.clear()

    def _connect(self, keys: t.Optional[Keys] = None) -> Client:
        own = {"api_key": keys.key, "api_secret": keys.secret} if keys else {}
        return connect({**{name: self._options.get(name) for name in ("url", "validate_certs", "ca_path", "timeout")}, **own})

    def observe(self) -> Observed:
        """Log in, with the password that is declared or else with the first one, and read the keys. Raises Unreachable, Invalid."""
        file = read(self._options.get("path"))
        self._leave()
        client = self._connect()
        self._sessions.append(client)
        try:
            password, user_id = self._login(client)
            keys = _keys(client.call("getUserKeys", id=user_id))
            return Observed(True, file, password, user_id, keys, self._prove(keys) if keys else None)
        except NoConnection:
            # Keys that are kept tell that there was a server: then it is away, not yet to come.
            if not self._check_mode or file.keys is not None:
                raise
            return Observed(False, file)
        except ApiError as error:
            if isinstance(error, Unreachable):
                raise
            raise Unreachable(f"{self._options['url']}: {error}") from error

    def _login(self, client: Client) -> tuple[Secret, str]:
        user, domain = self._options["user"], self._options["domain"]
        said = ""
        for password in dict.fromkeys((self._password, self._initial)):
            try:
                return password, str(client.login(user, password, domain)["userid"])
            except ApiError as error:
                if error.code != _REFUSED:
                    raise
                said = error.text
        raise Invalid(
            [
                f"{self._prefix}password: {self._options['url']} refuses user {user} of domain {domain} with it, and with the password of a new server too "
                f"({said}): give it the password that the user has"
            ]
        )

    def _prove(self, keys: Keys) -> t.Optional[str]:
        """Call with the keys; returns the server's version."""
        client = self._connect(keys)
        try:
            version: t.Optional[str] = client.call("listCapabilities").get("capability", {}).get("cloudstackversion")
            return version
        except AccessDenied as error:
            raise Unreachable(
                f"user {self._options['user']} has API keys, and the server does not take them ({error.text}): is the user's API access switched off?"
            ) from error
        finally:
            client.close()

    def plan(self, observed: Observed) -> Plan:
        """Compare: the password, then the keys, then the file that keeps them."""
        user, path = self._options["user"], self._options.get("path")
        draft = Draft(self._prefix)
        if not observed.answers:
            draft.warn(f"nothing answers at {self._options['url']} yet: what is planned is what a new server needs")
        now = {"password": observed.password or self._initial}
        draft.ensure("password", user, now, {"password": self._password}, lambda: self._set_password(observed))
        unknown = Keys(Secret(""), Secret(""))
        if observed.keys is None:
            made = {"api_key": unknown.key, "api_secret": unknown.secret}
            draft.ensure("keys", user, None, made, lambda: self._register(observed), needs=[f"password/{user}"])
        if path:
            before, after = _shown(observed.file), _shown(File(observed.keys or unknown, self._options["url"], _MODE))
            draft.ensure("file", path, before, after, lambda: self._write(path, observed), needs=[f"keys/{user}"])
        return draft.plan()

    # -- applying

    def _set_password(self, observed: Observed) -> None:
        self._sessions[0].call("updateUser", id=observed.user_id, currentpassword=observed.password, password=self._password)

    def _register(self, observed: Observed) -> None:
        # Somebody else may have made them meanwhile; making them again would take theirs away.
        found = _keys(self._sessions[0].call("getUserKeys", id=observed.user_id))
        self._made = found or _keys(self._sessions[0].call("registerUserKeys", id=observed.user_id))
        if self._made is None:
            raise RuntimeError("the server made no keys")

    def _write(self, path: str, observed: Observed) -> None:
        keys = observed.keys or self._made
        if keys is None:
            raise RuntimeError("there are no keys to be kept")
        text = json.dumps({"url": self._options["url"], "api_key": keys.key.reveal(), "api_secret": keys.secret.reveal()}, indent=2) + "\n"
        files.write(path, text, _MODE, os.geteuid(), os.getegid())

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """The server; and where they are asked for the keys, in clear: the task must say no_log. None where they are not made yet (check mode)."""
        keys = observed.keys
        told = {"url": self._options["url"], "user_id": observed.user_id or None, "cloudstack_version": observed.version}
        if not self._options.get("return_keys", True):
            return told
        return {**told, "api_key": keys.key.reveal() if keys else None, "api_secret": keys.secret.reveal() if keys else None}


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


def _shown(file: File) -> t.Optional[dict[str, t.Any]]:
    """A file with keys as it is compared; None where it is not there."""
    if file.mode is None:
        return None
    key, secret = (file.keys.key, file.keys.secret) if file.keys else (None, None)
    return {"url": file.url, "api_key": key, "api_secret": secret, "mode": f"{file.mode:04o}"}


def _keys(answer: t.Mapping[str, t.Any]) -> t.Optional[Keys]:
    found = answer.get("userkeys") or {}
    if not found.get("apikey") or not found.get("secretkey"):
        return None
    return Keys(found["apikey"], found["secretkey"])
