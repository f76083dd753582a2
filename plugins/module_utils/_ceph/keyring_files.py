# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file with a key in it: its content, owner and mode are read, compared and written in one way, whoever needs the file.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import grp
import os
import pwd
import re
import stat
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import ceph_conf
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, asked
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import word
from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files, files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, Unreachable, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import field, filepath, mapping, presence, records, string

_KEY = re.compile(r"^\s*key\s*=\s*(?P<key>\S+)\s*$")
# The user and the group that the packages make for Ceph's daemons.
DAEMONS = "ceph"
# A key that is only going to be made.
UNKNOWN = Secret("")
_KEYRING = {
    "client": string("The full name of the cephx client, such as V(client.guests).", required=True),
    "key": string("Its key. Required for a keyring that is present.", no_log=True),
    "path": filepath("The file. By default C(/etc/ceph/ceph.CLIENT.keyring), where every client looks."),
    "owner": string("The file's owner.", default="root"),
    "group": string("The file's group.", default="root"),
    "mode": field("raw", "The file's permissions, octal, in quotes, as V('0640').", default="0600"),
    "reader": string(
        "The group of a service that reads it, such as V(glance). If the host has this group, it is the file's, with the mode V(0640), in the place of "
        "O(keyrings[].group) and O(keyrings[].mode)."
    ),
    "state": presence("Whether the file exists."),
}
OPTIONS = {
    # no_log would hide the names of the clients in every later output; the keys within are hidden
    "keyrings": records("The keyring files.", _KEYRING, default=[], no_log=False),
    "conf": filepath("The C(ceph.conf) that O(settings) are of.", default="/etc/ceph/ceph.conf"),
    "settings": mapping(
        "Options of C([global]), such as C(fsid) and C(mon_host). One whose value is empty is taken out.\nWithout this, O(conf) is not touched."
    ),
}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a client's keyring belongs, and who may read it. mode is octal text, "0600"."""

    path: str
    client: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0600"


@dataclasses.dataclass(frozen=True)
class Keyring(Place):
    """One that is declared, with its key."""

    key: Secret = UNKNOWN
    present: bool = True


def of_daemons(path: str, client: str) -> Place:
    return Place(path, client, DAEMONS, DAEMONS)


@dataclasses.dataclass(frozen=True)
class File:
    """A file as it is; key is None where the client is not in it. On a host that is only asked for a digest of the file, key is that digest."""

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
    """Plan a file; return whether it holds another key. key: UNKNOWN where no file can have it yet, None where any will do; or its digest. Pure."""
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


# -- those of a host that are declared

# The keyrings by path, and the text of the ceph.conf.
Observed = t.Tuple[t.Mapping[str, File], t.Optional[str]]


def parse(entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Keyring]:
    """Return the declared keyrings. Raises Invalid with every problem."""
    keyrings: list[Keyring] = []
    problems: list[str] = []
    for number, entry in enumerate(entries):
        where, client, key = f"keyrings[{number}]", entry["client"], entry.get("key") or ""
        mode = "0600" if entry.get("mode") in (None, "") else entry["mode"]
        path, present = entry.get("path") or f"/etc/ceph/ceph.{client}.keyring", entry.get("state", "present") == "present"
        octal = isinstance(mode, str) and re.fullmatch(r"0?[0-7]{3}", mode)
        # Without quotes 0640 has become 416 by now, and a 416 that was meant cannot be told from it.
        told = f"'{mode}' is not octal, such as 0600"
        if isinstance(mode, int):
            told = f"{mode}: YAML reads {mode:04o} without quotes as another number: write the mode in quotes"
        wrong = {
            f"{where}.client '{client}' is no full name: did you mean client.{client}?": "." not in client,
            f"{where}: {client} has no key, or one that is no cephx key": present and not re.fullmatch(r"[A-Za-z0-9+/]{20,}={0,2}", key),
            f"{where}.mode {told}": not octal,
            f"{where}: {path} is declared twice": any(other.path == path for other in keyrings),
        }
        problems += [text for text, so in wrong.items() if so]
        permissions = entry.get("owner") or "root", entry.get("group") or "root", f"{int(mode, 8):04o}" if octal else "0600"
        keyrings.append(Keyring(path, client, *permissions, Secret(key), present))
    if problems:
        raise Invalid(problems)
    return keyrings


@dataclasses.dataclass
class Provider:
    """The keyring files and the ceph.conf of this host, for keys and addresses that are given. settings: of its [global]; None where it is none of ours."""

    keyrings: t.Sequence[Keyring]
    conf: str = "/etc/ceph/ceph.conf"
    settings: t.Optional[t.Mapping[str, t.Optional[str]]] = None

    def observe(self) -> Observed:
        return {keyring.path: read(keyring) for keyring in self.keyrings}, files.read(self.conf) if self.settings is not None else None

    def plan(self, observed: Observed) -> Plan:
        there, conf = observed
        draft = Draft()
        for keyring in self.keyrings:
            file = there[keyring.path]
            if keyring.present:
                ensure(draft, keyring, file, keyring.key, functools.partial(write, keyring, keyring.key))
            elif file.exists:
                draft.ensure("keyring", keyring.path, {"client": keyring.client}, None, functools.partial(os.unlink, keyring.path))
        if self.settings is not None:
            settings = self.settings
            before = {name: ceph_conf.conf_value(conf, name) for name in settings}
            now, after = (None, differing(before, settings)[1]) if conf is None else (before, settings)
            draft.ensure("conf", self.conf, now, after, lambda: files.write(self.conf, ceph_conf.edit_conf(files.read(self.conf), settings), 0o644))
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"keyrings": [{"client": keyring.client, "path": keyring.path} for keyring in self.keyrings if keyring.present]}


def applicable(entries: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return declared keyrings with their readers' groups, where this host has them: a service that runs in containers of others has none here."""

    def known(group: t.Optional[str]) -> bool:
        try:
            return bool(group and grp.getgrnam(group))
        except KeyError:
            return False

    return [{**entry, **({"group": entry["reader"], "mode": "0640"} if known(entry.get("reader")) else {})} for entry in entries]


def provider(options: t.Mapping[str, t.Any]) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS. Raises Invalid."""
    settings = options["settings"]
    if settings is not None:
        settings = {name: None if value in (None, "") else word(value) for name, value in settings.items()}
    return Provider(parse(applicable(options["keyrings"])), options["conf"], settings)
