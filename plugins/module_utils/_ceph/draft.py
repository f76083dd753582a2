# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning a cluster writes on, and what its changes send.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import functools
import threading
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, options_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while

# How long a mon may take to hear of an option that was just set (it learns of it by the next proposal).
_PATIENCE = 10.0
_KINDS = (
    "client", "cluster", "cephx", "crush_bucket", "crush_location", "crush_rule", "device_class", "erasure_profile", "filesystem", "flag", "mgr_module",
    "option", "pool",
)  # fmt: skip


class Gates:
    """Options that must be true while something dangerous is done, and that are as they were afterwards.

    Those who need one may come and go side by side: the first sets it, the last takes it back.
    """

    def __init__(self, send: t.Callable[..., t.Any]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._open: t.Counter[str] = collections.Counter()
        self._shut: dict[str, t.Callable[[], t.Any]] = {}

    @contextlib.contextmanager
    def open(self, option: str) -> t.Iterator[None]:
        """Hold an option of the mons true."""
        with self._lock:
            if not self._open[option]:
                self._shut[option] = self._set(option)
            self._open[option] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[option] -= 1
                if not self._open[option]:
                    self._shut.pop(option)()

    def _set(self, option: str) -> t.Callable[[], t.Any]:
        """Set it where it isn't; return what takes that back."""
        entries = options_of(self._send("config dump"))
        before = entries.get(("mon", option))
        if values.boolean(entries.get(("global", option), "") if before is None else before):
            return lambda: None
        self._send("config set", who="mon", name=option, value="true")
        if before is None:
            return functools.partial(self._send, "config rm", who="mon", name=option)
        return functools.partial(self._send, "config set", who="mon", name=option, value=before)


Declared = t.Mapping[str, t.Any]
Living = t.TypeVar("Living")


class Draft(_plan.Draft):
    """What planning writes on, and what the kinds must know of each other: all that is declared, and all that is.

    declaration: complete, as an argument spec gives it. me: the client that asks. send, many: those of the connection, for when changes are applied.
    """

    def __init__(self, declaration: Declared, maps: Maps, connection: Connection, prefix: str = "") -> None:
        super().__init__(prefix, _KINDS)
        self.declaration = declaration
        self.maps = maps
        self.me = connection.client
        self.send = connection.command
        self.many = connection.many
        self._gates = Gates(self.send)

    def declared(self, part: str) -> t.Iterator[tuple[str, Declared]]:
        """What is declared of a part, "pools" or "crush.rules": where it is said, and the item."""
        items: t.Any = self.declaration
        for key in part.split("."):
            items = items[key]
        for number, item in enumerate(items):
            yield f"{self.prefix}{part}[{number}] ({item['name']})", item

    def walk(
        self,
        part: str,
        living: t.Mapping[str, Living],
        delete: t.Callable[[Draft, str, str, Living, str], None],
        kept: t.Collection[str] = (),
        declared: t.Optional[t.Iterable[tuple[str, Declared]]] = None,
    ) -> t.Iterator[tuple[str, Declared, t.Optional[Living]]]:
        """What is declared to be of a part: where that is said, the item, and what there is of it by its name, None where it is new.

        delete: plans that one goes, given where that is said, its name, what there is, and why where prune says it; not those of kept.
        declared: where it isn't found by the part's name.
        """
        known = set(kept)
        for here, item in self.declared(part) if declared is None else declared:
            name = item["name"]
            known.add(name)
            if item["state"] == "present":
                yield here, item, living.get(name)
            elif name in living:
                delete(self, here, name, living[name], "")
        noun = part.rpartition(".")[2]
        for name in living if noun in self.declaration["prune"] else ():
            if name not in known:
                delete(self, f"{self.prefix}prune ({name})", name, living[name], f"it is not declared, and prune names {noun}")

    def remove(self, kind: str, name: str, living: Declared, apply: t.Callable[[], t.Any], pruned: str, loss: str = "", needs: t.Iterable[str] = ()) -> None:
        """Plan that something goes. pruned: why, where prune says it; loss: what is lost with it."""
        risk = _plan.Risk.LOSS if pruned or loss else _plan.Risk.NONE
        self.ensure(kind, name, living, None, apply, needs=needs, risk=risk, reason=": ".join(text for text in (pruned, loss) if text))

    def too_old(self, what: str, since: tuple[int, ...], mend: str = ": leave it out") -> None:
        """Find a problem: the cluster's release has not what is declared. what: "pools[0] (a): bulk needs"."""
        self.problem(f"{what} Ceph {values.shown(since)}, and this is {values.shown(self.maps.release)}{mend}, or upgrade first")

    @functools.cached_property
    def pool_names(self) -> set[str]:
        """The pools that there will be."""
        declared = self.declaration["pools"]
        names = {pool["pool_name"] for pool in self.maps.osd.get("pools", [])} | {item["name"] for item in declared}
        return names - {item["name"] for item in declared if item["state"] == "absent"}

    # -- used when changes are applied

    def gate(self, option: str, needed: bool = True) -> t.ContextManager[None]:
        """Hold a dangerous option true for as long as it is needed."""
        return self._gates.open(option) if needed else contextlib.nullcontext()

    def patiently(self, prefix: str, **arguments: t.Any) -> t.Any:
        """Send a command that may be refused until the mons have heard of the gate's option."""

        def not_heard(error: Exception) -> bool:
            return isinstance(error, CommandFailed) and error.code == errno.EPERM

        return retry_while(not_heard, lambda: self.send(prefix, **arguments), _PATIENCE, 0.1)
