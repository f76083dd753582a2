# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster: which kinds of things there are of it, and the plan that leads to what is declared.

PRIVATE to the collection.
"""

from __future__ import annotations

import errno
import os
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import (
    clients,
    crush,
    erasure_profiles,
    filesystems,
    flags,
    mgr_modules,
    options,
    pools,
    values,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.declaration import declared_problems
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, read
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Unreachable


def plan(declaration: t.Mapping[str, t.Any], maps: Maps, connection: t.Optional[Connection] = None, me: str = "client.admin", prefix: str = "") -> Plan:
    """Compare what is declared (complete, as an argument spec gives it) with what is. Pure. Raises Invalid with all problems."""
    draft = Draft(connection, prefix, declaration)
    prune = set(declaration["prune"])
    fsid = declaration.get("fsid")
    if fsid and maps.fsid and values.fsid(fsid) != values.fsid(maps.fsid):
        draft.problem(f"ceph.fsid is {fsid}, and the cluster that answers is {maps.fsid}: mend the variable, or the monitors' addresses")
        return draft.plan()
    mons = len(maps.mon.get("mons", []))
    if mons and mons % 2 == 0:
        draft.warn(f"the cluster has {mons} monitors, which survive no more failures than {mons - 1}: use an odd number")
    # As things will be.
    crush_declared = declaration["crush"]
    tree = crush.projected(crush_declared, crush.current_tree(maps))
    profiles = {name: dict(profile) for name, profile in maps.profiles.items()}
    for item in declaration["erasure_profiles"]:
        if item["state"] == "present":
            profiles[item["name"]] = erasure_profiles.full(item, maps.profiles.get(item["name"]))
        else:
            profiles.pop(item["name"], None)
    rules = dict(crush.current_rules(maps))
    for item in crush_declared["rules"]:
        if item["state"] == "present":
            rules[item["name"]] = crush.declared_rule(item, profiles)
        else:
            rules.pop(item["name"], None)
    gone = {item["name"] for item in declaration["pools"] if item["state"] == "absent"}
    pool_names = ({*pools.current(maps)} | {item["name"] for item in declaration["pools"]}) - gone
    # The kinds, each after those that it must know of.
    allowed = clients.plan_cephx(declaration["cephx"], maps, draft)
    options.plan(declaration["options"], maps, draft, "options" in prune)
    filesystems.plan(declaration["filesystems"], maps, draft, pool_names, "filesystems" in prune)
    demands = _consumers.demands(declaration["consumers"])
    pools.plan(declaration["pools"], maps, draft, tree, rules, profiles, demands, "pools" in prune)
    erasure_profiles.plan(declaration["erasure_profiles"], maps, draft, tree, profiles, "erasure_profiles" in prune)
    crush.plan(crush_declared, maps, draft, tree, rules, profiles, "rules" in prune)
    everyone = [*declaration["clients"], *_consumers.clients(declaration["consumers"])]
    clients.plan(everyone, maps, draft, pool_names, allowed, me, "clients" in prune)
    flags.plan(declaration["flags"], maps, draft)
    flags.plan_client(declaration.get("require_min_compat_client"), maps, draft)
    mgr_modules.plan(declaration["mgr_modules"], maps, draft)
    return draft.plan()


class ClusterProvider:
    """Everything declared of one cluster, for the engine. Use as a context manager; connects when it first observes.

    declaration: the parameters of the module ceph_cluster.
    """

    def __init__(self, declaration: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any], check_mode: bool = False, prefix: str = "") -> None:
        self._declaration = declaration
        self._options = connection
        self._prefix = prefix
        self._check_mode = check_mode
        self._open: t.Optional[Connection] = None

    def __enter__(self) -> ClusterProvider:
        return self

    def __exit__(self, *unused: object) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None

    def observe(self) -> Maps:
        """Read the maps; empty ones in check mode where no cluster has been made yet. Raises Unreachable, and Invalid before it connects."""
        found = declared_problems({key: self._declaration[key] for key in self._declaration if key not in ("connection", "arm")}, prefix=self._prefix)
        if found:
            raise Invalid(found)
        if nowhere(self._options) and self._check_mode:
            return Maps()
        if self._open is None:
            self._open = Connection(self._options).__enter__()
        try:
            return read(self._open, [name for _section, name, _value in options.flat(self._declaration["options"])])
        except CommandFailed as error:
            rights = ": this client may not read what is needed; use client.admin" if error.code in (errno.EACCES, errno.EPERM) else ""
            raise Unreachable(f"{error}, asked as {self._open.client}{rights}") from error

    def plan(self, observed: Maps) -> Plan:
        """Compare."""
        return plan(self._declaration, observed, self._open, self._options.get("client") or "client.admin", self._prefix)

    def returned(self, observed: Maps) -> dict[str, t.Any]:
        """The cluster in short, and what hosts need of each consumer (no keys)."""
        return {
            "cluster": {"fsid": observed.fsid, "version": values.shown(observed.release), "mon_host": observed.mon_host()},
            "consumers": _consumers.derived(self._declaration["consumers"], observed.fsid),
        }


def nowhere(connection: t.Mapping[str, t.Any]) -> bool:
    """Whether nothing says where a cluster could be: no monitors were named, and there is no configuration file."""
    return not connection.get("mon_host") and not os.path.exists(connection.get("conf") or "/etc/ceph/ceph.conf")
