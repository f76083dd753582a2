# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyring files and the ceph.conf of a host. Nothing here talks to a cluster: keys and addresses are given.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import ceph_conf, keyring_files
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, differing


@dataclasses.dataclass(frozen=True)
class Keyring(keyring_files.Place):
    """One keyring file with one client."""

    key: Secret = keyring_files.UNKNOWN
    present: bool = True


@dataclasses.dataclass(frozen=True)
class Observed:
    """The files as they are: keyrings by path, and the text of the ceph.conf."""

    files: t.Mapping[str, keyring_files.File]
    conf: t.Optional[str] = None


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
        hint = "" if isinstance(mode, str) else f": YAML reads {mode:04o} without quotes as another number: write the mode in quotes"
        wrong = {
            f"{where}.client '{client}' is no full name: did you mean client.{client}?": "." not in client,
            f"{where}: {client} has no key, or one that is no cephx key": present and not re.fullmatch(r"[A-Za-z0-9+/]{20,}={0,2}", key),
            f"{where}.mode '{mode}' is not octal, such as 0600{hint}": not octal,
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
    """The keyring files and the ceph.conf of this host.

    settings: of [global] in the file conf; None where the file is none of ours.
    """

    keyrings: t.Sequence[Keyring]
    conf: str = "/etc/ceph/ceph.conf"
    settings: t.Optional[t.Mapping[str, t.Optional[str]]] = None

    def observe(self) -> Observed:
        found = {keyring.path: keyring_files.read(keyring) for keyring in self.keyrings}
        return Observed(found, files.read(self.conf) if self.settings is not None else None)

    def plan(self, observed: Observed) -> Plan:
        draft = Draft()
        for keyring in self.keyrings:
            file = observed.files[keyring.path]
            if keyring.present:
                keyring_files.ensure(draft, keyring, file, keyring.key, functools.partial(keyring_files.write, keyring, keyring.key))
            elif file.exists:
                draft.ensure("keyring", keyring.path, {"client": keyring.client}, None, functools.partial(os.unlink, keyring.path))
        if self.settings is not None:
            before = {name: ceph_conf.conf_value(observed.conf, name) for name in self.settings}
            after = self.settings if observed.conf is not None else differing(before, self.settings)[1]
            draft.ensure("conf", self.conf, None if observed.conf is None else before, after, self._write_conf)
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"keyrings": [{"client": keyring.client, "path": keyring.path} for keyring in self.keyrings if keyring.present]}

    def _write_conf(self) -> None:
        files.write(self.conf, ceph_conf.edit_conf(files.read(self.conf), self.settings or {}), 0o644)
