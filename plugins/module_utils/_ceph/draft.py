# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning a cluster writes on, and what its changes send.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import errno
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
        self._open: dict[str, int] = {}
        self._before: dict[str, t.Optional[str]] = {}

    @contextlib.contextmanager
    def open(self, option: str) -> t.Iterator[None]:
        """Hold an option of the mons true."""
        with self._lock:
            if not self._open.get(option):
                entries = options_of(self._send("config dump"))
                has = entries.get(("mon", option))
                effective = has if has is not None else entries.get(("global", option))
                if effective is not None and values.boolean(effective):
                    self._before.pop(option, None)
                else:
                    self._before[option] = has
                    self._send("config set", who="mon", name=option, value="true")
            self._open[option] = self._open.get(option, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._open[option] -= 1
                if not self._open[option] and option in self._before:
                    before = self._before.pop(option)
                    if before is None:
                        self._send("config rm", who="mon", name=option)
                    else:
                        self._send("config set", who="mon", name=option, value=before)


class Draft(_plan.Draft):
    """What planning writes on, and what the kinds must know of each other."""

    def __init__(self, connection: t.Optional[Connection], prefix: str, declaration: t.Mapping[str, t.Any]) -> None:
        super().__init__(prefix, _KINDS)
        self._connection = connection
        self.declaration = declaration
        self._gates = Gates(self.send)
        present = [item for item in declaration["pools"] if item["state"] == "present"]
        self.wanted_rules = {item["rule"] for item in present if item.get("rule")}
        self.wanted_profiles = {item["erasure_profile"] for item in present if item.get("erasure_profile")}
        self.bucket_needs = frozenset(f"crush_bucket/{item['name']}" for item in declaration["crush"]["buckets"] if item["state"] == "present")
        self.option_needs: t.FrozenSet[str] = frozenset()  # of options that decide what a pool may be or becomes
        self.cipher_needs = frozenset({"cephx/allowed"} if (declaration["cephx"] or {}).get("allowed") else ())

    def leaving_rule(self, rule: str) -> set[str]:
        """The pools that are deleted, or that are given another rule."""
        pool_changes = [change for change in self.changes if change.kind == "pool"]
        return {change.name for change in pool_changes if change.action == "delete" or (change.action == "update" and change.after.get("rule", rule) != rule)}

    def oldest_client(self, maps: Maps) -> str:
        """The release of clients that will be required at least, "" where none is."""
        declared = self.declaration.get("require_min_compat_client")
        return str(declared) if declared in values.RELEASES else maps.require_min_compat_client

    # -- used when changes are applied

    def send(self, prefix: str, inbuf: bytes = b"", **arguments: t.Any) -> t.Any:
        """Send a command; arguments that are None are left out."""
        if self._connection is None:
            raise AssertionError("a plan against no cluster is never applied")
        return self._connection.command(prefix, inbuf, **arguments)

    def many(self, calls: t.Sequence[tuple[str, dict[str, t.Any]]]) -> None:
        """Send commands side by side."""
        if self._connection is None:
            raise AssertionError("a plan against no cluster is never applied")
        if calls:
            self._connection.many(calls)

    def gate(self, option: str, needed: bool = True) -> t.ContextManager[None]:
        """Hold a dangerous option true for as long as it is needed."""
        return self._gates.open(option) if needed else contextlib.nullcontext()

    def patiently(self, prefix: str, **arguments: t.Any) -> t.Any:
        """Send a command that may be refused until the mons have heard of the gate's option."""

        def not_heard(error: Exception) -> bool:
            return isinstance(error, CommandFailed) and error.code == errno.EPERM

        return retry_while(not_heard, lambda: self.send(prefix, **arguments), _PATIENCE, 0.1)
