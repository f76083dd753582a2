# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata servers that are to be gone: whether the filesystems can do without them; and where fewer are declared, fewer ranks before one of them stops.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import PREFIX, integer, mapping, strings

OPTIONS: dict[str, t.Any] = {
    "going": strings("The names of the metadata servers that are to be gone, without C(mds.).", required=True),
    "max_mds": mapping("How many metadata servers are declared to be active, by filesystem. One that is left out keeps what it has.", default={}),
    "wait": integer("How many seconds ranks may take to end. Their metadata is handed over to the others.", default=300),
    "prefix": PREFIX,
}


@dataclasses.dataclass(frozen=True)
class Filesystem:
    """max_mds: how many ranks it is to have. ranks: those that it has."""

    max_mds: int
    ranks: int


@dataclasses.dataclass(frozen=True)
class Observed:
    """servers: the metadata servers that run, by name."""

    filesystems: t.Mapping[str, Filesystem]
    servers: t.FrozenSet[str]


def read(dump: Raw) -> Observed:
    """What `fs dump` says. Pure."""
    filesystems, servers = {}, {info["name"] for info in dump.get("standbys", [])}
    for entry in (fs["mdsmap"] for fs in dump.get("filesystems", [])):
        filesystems[entry["fs_name"]] = Filesystem(entry["max_mds"], len(entry["in"]))
        servers |= {info["name"] for info in entry["info"].values()}
    return Observed(filesystems, frozenset(servers))


@dataclasses.dataclass
class Provider:
    """As in OPTIONS."""

    cluster: Connection
    going: t.Collection[str]
    max_mds: t.Mapping[str, int]
    wait: float = 300
    prefix: str = ""

    def observe(self) -> Observed:
        return read(self.cluster.command("fs dump"))

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where too few would be left. Pure."""
        draft = Draft()
        going, staying = sorted(observed.servers & set(self.going)), observed.servers - set(self.going)
        names = ", ".join(f"mds.{name}" for name in going)
        least = {name: min(fs.max_mds, self.max_mds.get(name, fs.max_mds)) for name, fs in observed.filesystems.items()}
        if going and sum(least.values()) > len(staying):
            text = f"{names} must stay: {len(staying)} metadata servers would be left, and "
            text += ", ".join(f"{name} has max_mds {count}" for name, count in least.items())
            lower = [name for name, count in least.items() if count > 1]
            mend = f"lower {self.prefix}filesystems.max_mds of {' or '.join(lower)}, or add" if lower else "remove the filesystem, or add"
            draft.problem(f"{text}: {mend} a metadata server first")
            return draft.plan()
        needed = sum(max(fs.max_mds, fs.ranks) for fs in observed.filesystems.values())
        for name, fs in observed.filesystems.items() if going and needed > len(staying) else ():
            now = {"max_mds": fs.max_mds, "ranks": fs.ranks}
            reason = f"its higher ranks end before {names} stops; the declaration has max_mds {least[name]}"
            desired = {"max_mds": least[name], "ranks": least[name] if fs.ranks > least[name] else fs.ranks}
            draft.ensure("filesystem", name, now, desired, functools.partial(self._lower, name, least[name]), reason=reason)
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"filesystems": {name: dataclasses.asdict(fs) for name, fs in observed.filesystems.items()}}

    def _lower(self, name: str, count: int) -> None:
        self.cluster.command("fs set", fs_name=name, var="max_mds", val=str(count))
        ranks = -1

        def ended() -> bool:
            nonlocal ranks
            ranks = self.observe().filesystems[name].ranks
            return ranks <= count

        wait_until(ended, self.wait, lambda: RuntimeError(f"{name} has max_mds {count}, and still {ranks} ranks after {self.wait:.0f} s"))


def provider(options: t.Mapping[str, t.Any], cluster: Connection) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS."""
    counts = {name: int(count) for name, count in options["max_mds"].items()}
    return Provider(cluster, options["going"], counts, options["wait"], options["prefix"])
