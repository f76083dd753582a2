# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a host's OSDs: of which type they are. An OSD takes a new one while it runs.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, daemons, keyring_files, maps, osds
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Secret
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice

OPTIONS = {"key_type": choice("The type of their keys.", clients.KEY_TYPES, default="aes256k", no_log=False)}


@dataclasses.dataclass(frozen=True)
class One:
    """An OSD of this host. key: as the cluster has it. file: its keyring, which is written when the OSD has the key."""

    key: Secret
    file: keyring_files.File
    up: bool


Observed = t.Mapping[int, One]


@dataclasses.dataclass
class Provider:
    """The keys of this host's OSDs."""

    cluster: Connection
    key_type: str

    def observe(self) -> Observed:
        """Read the auth database and the OSD map once, the rest from files. Raises Unreachable."""
        auth, dump = self.cluster.many([("auth ls", {}), ("osd dump", {})])
        keys = {entity: entry["key"] for entity, entry in maps.auth_of(auth).items()}
        up = {entry["osd"] for entry in dump["osds"] if entry["up"]}
        found = (re.search(r"-(\d+)/keyring$", path) for path in glob.glob(f"{daemons.DATA}/osd/{daemons.CLUSTER}-*/keyring"))
        # What the cluster does not have any more is of an OSD that was removed.
        here = sorted(number for number in (int(match[1]) for match in found if match) if f"osd.{number}" in keys)
        return {number: One(keys[f"osd.{number}"], keyring_files.read(osds.keyring_place(number)), number in up) for number in here}

    def plan(self, observed: Observed) -> Plan:
        """Compare."""
        draft = Draft()
        for number, one in observed.items():
            name = f"osd.{number}"
            try:
                kind, dummy = clients.key_parts(one.key.reveal())
            except ValueError:
                kind = ""
            # A run that was ended may have left the OSD with the key before: the file is written last.
            before = {"key_type": kind, "key": one.file.key}
            after = {"key_type": self.key_type, "key": one.key if kind == self.key_type else keyring_files.UNKNOWN}
            if before != after and not one.up:
                draft.warn(f"{name} is down, so it keeps its key: start it, and run this again")
                continue
            give = functools.partial(self._give, number, kind != self.key_type)
            draft.ensure("key", name, before, after, give, reason="it takes the new key while it runs")
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"osds": sorted(observed)}

    def _give(self, number: int, rotate: bool) -> None:
        """A new key: to the OSD, to the label of its device, of which its keyring is made at boot, and to its keyring."""
        name = f"osd.{number}"
        if rotate:
            self.cluster.command("auth rotate", entity=name, key_type=self.key_type)
        key = keyring_files.read_key(self.cluster, name)
        for prefix in ("rotate-key", "rotate-stored-key"):
            self.cluster.osd_command(number, prefix, key.reveal().encode())
        keyring_files.write(osds.keyring_place(number), key)


def provider(options: t.Mapping[str, t.Any], cluster: Connection) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS."""
    return Provider(cluster, options["key_type"])
