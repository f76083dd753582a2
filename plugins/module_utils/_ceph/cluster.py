# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster: which kinds of things there are of it, and the plan that leads to what is declared.

PRIVATE to the collection.
"""

from __future__ import annotations

import errno
import os
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, crush, erasure_profiles, filesystems, flags, mgr_modules, options, pools
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.declaration import declared_problems
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, read
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import mon_host
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import fsid, shown
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Unreachable

# The kinds, each after those that it must know of.
_PLANNERS: tuple[t.Callable[[Draft], None], ...] = (
    clients.plan_cephx, options.plan, filesystems.plan, pools.plan, erasure_profiles.plan, crush.plan_rules, crush.plan_classes, crush.plan_buckets,
    clients.plan, flags.plan, flags.plan_client, mgr_modules.plan,
)  # fmt: skip


class ClusterProvider:
    """Everything declared of one cluster, for the engine. Use as a context manager; connects when it first observes.

    declaration: the parameters of the module ceph_cluster, complete as its argument spec gives them.
    """

    def __init__(self, declaration: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any], check_mode: bool = False, prefix: str = "") -> None:
        self._declaration, self._prefix = declaration, prefix
        self._waits = check_mode and nowhere(connection)
        self._connection = Connection(connection)

    def __enter__(self) -> ClusterProvider:
        return self

    def __exit__(self, *unused: object) -> None:
        self._connection.__exit__()

    def observe(self) -> Maps:
        """Read the maps; empty ones in check mode where no cluster has been made yet. Raises Unreachable, and Invalid before it connects."""
        found = declared_problems(self._declaration, prefix=self._prefix, now=time.time())
        if found:
            raise Invalid(found)
        if self._waits:
            return Maps()
        if self._connection.rados is None:
            self._connection.__enter__()
        try:
            return read(self._connection, [name for _section, name, _value in options.flat(self._declaration["options"])])
        except CommandFailed as error:
            rights = ": this client may not read what is needed; use client.admin" if error.code in (errno.EACCES, errno.EPERM) else ""
            raise Unreachable(f"{error}, asked as {self._connection.client}{rights}") from error

    def plan(self, observed: Maps) -> Plan:
        """Compare what is declared with what is. Pure. Raises Invalid with all problems."""
        draft = Draft(self._declaration, observed, self._connection, self._prefix)
        wanted, found = self._declaration.get("fsid"), observed.fsid
        if wanted and found and fsid(wanted) != fsid(found):
            draft.problem(f"ceph.fsid is {wanted}, and the cluster that answers is {found}: mend the variable, or the monitors' addresses")
            return draft.plan()
        mons = len(observed.mon.get("mons", []))
        if mons and mons % 2 == 0:
            draft.warn(f"the cluster has {mons} monitors, which survive no more failures than {mons - 1}: use an odd number")
        for plan in _PLANNERS:
            plan(draft)
        return draft.plan()

    def returned(self, observed: Maps) -> dict[str, t.Any]:
        """The cluster in short, and what hosts need of each consumer (no keys)."""
        return {
            "cluster": {"fsid": observed.fsid, "version": shown(observed.release), "mon_host": mon_host(observed.mon)},
            "consumers": _consumers.derived(self._declaration["consumers"], observed.fsid),
        }


def nowhere(connection: t.Mapping[str, t.Any]) -> bool:
    """Whether nothing says where a cluster could be: no monitors were named, and there is no configuration file."""
    return not connection.get("mon_host") and not os.path.exists(connection.get("conf") or "/etc/ceph/ceph.conf")
