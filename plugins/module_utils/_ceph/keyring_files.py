# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file with a key in it: its content, owner and mode are read, compared and written in one way, whoever needs the file.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import re
import stat
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, asked
from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files, files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Secret, Unreachable

_KEY = re.compile(r"^\s*key\s*=\s*(?P<key>\S+)\s*$")
# The user and the group that the packages make for Ceph's daemons.
DAEMONS = "ceph"
# A key that is only going to be made.
UNKNOWN = Secret("")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a client's keyring belongs, and who may read it. mode is octal text, "0600"."""

    path: str
    client: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0600"


def of_daemons(path: str, client: str) -> Place:
    return Place(path, client, DAEMONS, DAEMONS)


@dataclasses.dataclass(frozen=True)
class File:
    """A file as it is; key is None where the client is not in it. Of a file on a host that is only asked for a digest of it, key is that digest."""

    exists: bool = False
    key: t.Optional[Secret] = None
    owner: str = ""
    group: str = ""
    mode: str = ""


def read(place: Place) -> File:
    """Return the file at a place. Raises Unreachable where it cannot be read, whatever the reason, but that it is not there."""
    try:
        # of one open file, so that what is told belongs together
        with open(place.path, encoding="utf-8", errors="replace") as file:
            status = os.fstat(file.fileno())
            key = keyring_keys(file.read()).get(place.client)
    except (FileNotFoundError, NotADirectoryError):
        return File()
    except OSError as error:
        raise Unreachable(f"cannot read {place.path}: {error.strerror}") from error
    owner, group = files.name_of(pwd.getpwuid, status.st_uid), files.name_of(grp.getgrgid, status.st_gid)
    return File(True, key, owner, group, f"{stat.S_IMODE(status.st_mode):04o}")


def ensure(
    draft: Draft, place: Place, file: File, key: t.Optional[Secret], apply: t.Callable[[], t.Any], needs: t.Iterable[str] = (), kind: str = "keyring"
) -> bool:
    """Plan what makes a file what it should be; return whether it holds another key. Pure.

    key: what is to be in it (or its digest); UNKNOWN where no file can have it yet; None where it is not known, so that any will do.
    """
    if key is None and file.exists and file.key is None:
        key = UNKNOWN
    before, after = ({name: getattr(one, name) for name in ("owner", "group", "mode")} for one in (file, place))
    if key is not None:
        before["key"], after["key"] = file.key, key
    now, wanted = (before, after) if file.exists else (None, {"client": place.client, **after})
    draft.ensure(kind, place.path, now, wanted, apply, needs=needs)
    return key is not None and file.key != key


def read_key(cluster: Connection, client: str) -> Secret:
    return Secret(cluster.command("auth get", entity=client)[0]["key"])


def write(place: Place, key: Secret, caps: t.Optional[t.Mapping[str, str]] = None) -> None:
    """Write a keyring whole, or not at all. Nobody reads it before its owner and mode are right."""
    _put(place, keyring_text(place.client, key, caps))


def fetch(cluster: t.Optional[Connection], place: Place) -> None:
    """Write a keyring with the key that the cluster has."""
    write(place, read_key(asked(cluster), place.client))


def permit(place: Place) -> None:
    """Give a file its owner and mode and leave what is in it."""
    text = files.read(place.path, exact=True)
    if text is None:
        raise RuntimeError(f"{place.path} is not there any more")
    _put(place, text)  # as a new file: its folder may belong to somebody who has put a link in its place


def keyring_text(entity: str, key: Secret, caps: t.Optional[t.Mapping[str, str]] = None) -> str:
    """Return a keyring with one client, as Ceph writes it."""
    lines = [f"[{entity}]", f"\tkey = {key.reveal()}"]
    lines += [f'\tcaps {daemon} = "{text}"' for daemon, text in (caps or {}).items()]
    return "\n".join(lines) + "\n"


def keyring_keys(text: t.Optional[str]) -> dict[str, Secret]:
    found = ((section, _KEY.match(line)) for section, line in config_files.sections(text or ""))
    return {section: Secret(key.group("key")) for section, key in found if key and section}


def _put(place: Place, text: str) -> None:
    try:
        uid, gid = pwd.getpwnam(place.owner).pw_uid, grp.getgrnam(place.group).gr_gid
    except KeyError as error:
        raise RuntimeError(f"{place.path}: no such user or group on this host: {error}") from error
    files.write(place.path, text, int(place.mode, 8), uid, gid)
