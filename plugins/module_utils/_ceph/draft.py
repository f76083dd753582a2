# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning a cluster writes on, and what its changes send.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, options_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import turn

_KINDS = (
    "client", "cluster", "cephx", "crush_bucket", "crush_location", "crush_rule", "device_class", "erasure_profile", "filesystem", "flag", "mgr_module",
    "option", "pool",
)  # fmt: skip
Declared = t.Mapping[str, t.Any]
Walked = t.Iterator[t.Tuple[str, Declared, t.Any]]
# Has what follows from the maps, or from a draft, be made once for each of them.
view = functools.lru_cache(maxsize=8)


def cost(risk: _plan.Risk, reason: str) -> dict[str, t.Any]:
    """What a change costs where there is a reason, for Draft.ensure."""
    return {"risk": risk, "reason": reason} if reason else {}


class Gates:
    """Options of the mons that are true while something dangerous is done, and as they were afterwards. Those who need one may come and go side by side."""

    def __init__(self, send: t.Callable[..., t.Any]) -> None:
        self._send = send
        self._turn = turn()
        self._open: t.Counter[str] = collections.Counter()
        self._shut: dict[str, t.Callable[[], t.Any]] = {}

    @contextlib.contextmanager
    def open(self, option: str) -> t.Iterator[None]:
        """Hold an option true: the first sets it, the last takes it back."""
        with self._turn:
            if not self._open[option]:
                self._shut[option] = self._set(option)
            self._open[option] += 1
        try:
            yield
        finally:
            with self._turn:
                self._open[option] -= 1
                if not self._open[option]:
                    self._shut.pop(option)()

    def _set(self, name: str) -> t.Callable[[], t.Any]:
        """Set it where it isn't; return what takes that back."""
        entries = options_of(self._send("config dump"))
        before = entries.get(("mon", name))
        if values.boolean(entries.get(("global", name), "") if before is None else before):
            return lambda: None
        self._send("config set", who="mon", name=name, value="true")
        back: dict[str, str] = {} if before is None else {"value": before}
        return functools.partial(self._send, "config set" if back else "config rm", who="mon", name=name, **back)


class Draft(_plan.Draft):
    """What planning writes on, and what the kinds must know of each other: all that is declared, complete, and all that is.

    me: the client that asks. send, many, gates: for when changes are applied.
    """

    def __init__(self, declaration: Declared, maps: Maps, connection: Connection, prefix: str = "") -> None:
        super().__init__(prefix, _KINDS)
        self.declaration, self.maps, self.me = declaration, maps, connection.client
        self.send: t.Callable[..., t.Any] = connection.command
        self.many, self.gates = connection.many, Gates(connection.command)

    def declared(self, part: str) -> t.Iterator[tuple[str, Declared]]:
        """What is declared of a part, "pools" or "crush.rules": where it is said, and the item."""
        items: t.Any = self.declaration
        for key in part.split("."):
            items = items[key]
        for number, item in enumerate(items):
            yield f"{self.prefix}{part}[{number}] ({item['name']})", item

    def walk(self, part: str, existing: Declared, delete: t.Callable[..., None], kept: t.Collection[t.Any] = (), declared: t.Any = None) -> Walked:
        """What is declared to be of a part: where that is said, the item, and what there is of it by its name, None where it is new.

        delete: plans that one goes, given the draft, where that is said, its name, what there is, and why where prune says it; not those of kept.
        declared: as declared() gives it, where it isn't found by the part's name.
        """
        known = set(kept)
        for here, item in self.declared(part) if declared is None else declared:
            name = item["name"]
            known.add(name)
            if item["state"] == "present":
                yield here, item, existing.get(name)
            elif name in existing:
                delete(self, here, name, existing[name], "")
        noun = part.rpartition(".")[2]
        for name in existing if noun in self.declaration["prune"] else ():
            if name not in known:
                delete(self, f"{self.prefix}prune ({name})", name, existing[name], f"it is not declared, and prune names {noun}")

    def later(self, prefix: str, **arguments: t.Any) -> t.Callable[[], t.Any]:
        """A command to the monitors, for when the change is applied."""
        return functools.partial(self.send, prefix, **arguments)

    def remove(self, kind: str, name: str, existing: Declared, apply: t.Callable[[], t.Any], pruned: str, loss: str = "", needs: t.Iterable[str] = ()) -> None:
        """Plan that something goes. pruned: why, where prune says it; loss: what is lost with it."""
        reason = ": ".join(text for text in (pruned, loss) if text)
        self.ensure(kind, name, existing, None, apply, needs=needs, **cost(_plan.Risk.LOSS, reason))

    def remove_of_pools(self, here: str, kind: str, key: str, name: str, existing: Declared, prefix: str, pruned: str, of: str) -> None:
        """The same of what pools name by a key: it can go once they are deleted or have another. prefix: the command. of: the key in `osd dump`."""
        users = self.maps.pools_by(of).get(name, [])
        stay = set(users)
        for change in self.changes:
            if change.kind == "pool" and (change.action == "delete" or (change.after or {}).get(key, name) != name):
                stay.discard(change.name)
        if stay:
            self.problem(f"{here}: it cannot go, the pools {', '.join(sorted(stay))} use it: delete them or give them another first")
        else:
            self.remove(kind, name, existing, self.later(prefix, name=name), pruned, needs=[f"pool/{pool}" for pool in users])

    def unknown(self, here: str, what: str, name: t.Optional[str], known: t.Container[str], part: str) -> bool:
        """Find a problem where something that is named is neither there nor declared. part: where it could be declared."""
        missing = bool(name) and name not in known
        if missing:
            self.problem(f"{here}: {what} {name} is neither there nor declared in {self.prefix}{part}")
        return missing

    def too_old(self, what: str, since: tuple[int, ...], mend: str = ": leave it out") -> None:
        """Find a problem: the cluster's release has not what is declared. what: "pools[0] (a): bulk needs"."""
        self.problem(f"{what} Ceph {values.shown(since)}, and this is {values.shown(self.maps.release)}{mend}, or upgrade first")

    @functools.cached_property
    def pool_names(self) -> set[str]:
        """The pools that there will be."""
        states = {item["name"]: item["state"] for item in self.declaration["pools"]}
        return {name for name in (*self.maps.pools_by("pool_name"), *states) if states.get(name) != "absent"}
