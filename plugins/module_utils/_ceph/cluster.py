# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster: everything that can be declared of it, what is wrong with that before any cluster is asked, and the plan that leads there.

PRIVATE to the collection.
"""

from __future__ import annotations

import errno
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, crush, erasure_profiles, filesystems, flags, mgr_modules, options, pools
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection, nowhere
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, read
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import mon_host
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import RELEASES, fsid, item_problems, not_boolean, shape_of, shown
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import mapping, record, records, string, strings

# What may be named in prune: undeclared objects of these kinds are deleted (where allow_loss names them).
PRUNABLE = ("pools", "erasure_profiles", "rules", "clients", "options", "filesystems")
OPTIONS: dict[str, t.Any] = {
    "fsid": string("The cluster's fsid. If it is given, a cluster with another one is refused."),
    "pools": records("Pools.", pools.OPTIONS, default=[]),
    "erasure_profiles": records("Erasure-code profiles. The profile of an existing pool cannot change.", erasure_profiles.OPTIONS, default=[]),
    "crush": record("The CRUSH map.", crush.OPTIONS, default={}, apply_defaults=True),
    "clients": records("cephx clients.", clients.OPTIONS, default=[], no_log=False),
    "consumers": _consumers.CONSUMERS,
    "options": mapping(
        "Options of the configuration database, as a dictionary of sections (V(global), V(osd), V(osd.3), V(osd/class:ssd), V(osd/host:ceph1) …), "
        "each a dictionary of options and values. An empty value removes the option.\n"
        "Values are compared by the type that the cluster says the option has, so V(4G) is V(4294967296), and V(yes) is V(true).",
        default={},
    ),
    "flags": mapping("Cluster-wide flags such as V(noout), as a dictionary of names and truth values.", default={}),
    "mgr_modules": mapping("Modules of the managers, as a dictionary of names and whether they are enabled.", default={}),
    "filesystems": records("CephFS filesystems.", filesystems.OPTIONS, default=[]),
    "require_min_compat_client": string("The oldest release of clients that may connect, for example V(mimic)."),
    "cephx": record("The ciphers of cephx. Needs Ceph 20.2.4.", clients.CEPHX_OPTIONS, default={}),
    "prune": strings(
        "Kinds of which everything that is not declared is deleted. Each deletion needs O(allow_loss).\n"
        "What belongs to Ceph itself or to its daemons is never touched, such as C(client.admin), C(.mgr), or a gateway's pools.",
        choices=[*PRUNABLE],
        default=[],
    ),
}
# The kinds, each after those that it must know of.
_PLANNERS: tuple[t.Callable[[Draft], None], ...] = (
    clients.plan_cephx, options.plan, filesystems.plan, pools.plan, erasure_profiles.plan, crush.plan_rules, crush.plan_classes, crush.plan_buckets,
    clients.plan, flags.plan, flags.plan_client, mgr_modules.plan,
)  # fmt: skip


def declared_problems(declaration: Declared, hosts: t.Optional[int] = None, prefix: str = "ceph_cluster_", now: t.Optional[float] = None) -> list[str]:
    """Return everything that is wrong with a declaration by itself, each with the variable's name and the mend.

    declaration: keys of OPTIONS, as the operator wrote them (defaults need not be filled in); allow_loss is passed over. hosts: how many will have OSDs,
    and now: the time in seconds since 1970, where they are known. prefix: what stands before each name; "consumers" never has one.
    """
    found: list[str] = []
    for key, value in declaration.items():
        name = key if key == "consumers" else f"{prefix}{key}"
        if key not in OPTIONS and key != "allow_loss":
            found.append(f"{name}: there is no such variable: one of {', '.join(OPTIONS)}")
        elif key != "allow_loss" and value is not None:
            found += shape_of(value, OPTIONS[key], name)
    if found:  # what follows relies on lists being lists and on names being there
        return found

    def get(key: str) -> t.Any:
        return declaration.get(key) or ([] if OPTIONS[key]["type"] == "list" else {})

    each, of_crush = item_problems, {key: get("crush").get(key) or [] for key in crush.OPTIONS}
    found += each(get("pools"), f"{prefix}pools", lambda item: pools.problems(item, get("erasure_profiles"), hosts))
    found += each(get("erasure_profiles"), f"{prefix}erasure_profiles", lambda item: erasure_profiles.problems(item, hosts))
    found += each(of_crush["buckets"], f"{prefix}crush.buckets", crush.bucket_problems, gone_too=True)
    found += each(of_crush["locations"], f"{prefix}crush.locations")
    found += each(of_crush["rules"], f"{prefix}crush.rules", crush.rule_problems)
    found += crush.class_problems(of_crush["device_classes"], f"{prefix}crush.device_classes")
    found += each(get("clients"), f"{prefix}clients", lambda item: clients.problems(item, now), gone_too=True)
    found += each(get("filesystems"), f"{prefix}filesystems", lambda item: filesystems.problems(item, get("filesystems"), get("pools")))
    found += each(get("consumers"), "consumers", lambda item: _consumers.problems(item, get("consumers")))
    found += clients.cephx_problems(get("cephx"), f"{prefix}cephx")
    both = {item["name"] for item in get("clients")} & {_consumers.client_of(item) for item in get("consumers")}
    found += [f"{prefix}clients: {name} is also the client of a consumer, whose caps are derived: take it out of one of them" for name in sorted(both)]
    found += options.problems(get("options"), f"{prefix}options")
    found += flags.problems(get("flags"), f"{prefix}flags")
    oldest = declaration.get("require_min_compat_client")
    if oldest and oldest not in RELEASES:
        found.append(f"{prefix}require_min_compat_client: '{oldest}' is no release of Ceph: one of {', '.join(RELEASES)}")
    found += not_boolean(get("mgr_modules"), f"{prefix}mgr_modules")
    found += [f"{prefix}prune: '{kind}' is not one of {', '.join(PRUNABLE)}" for kind in get("prune") if kind not in PRUNABLE]
    return found


class ClusterProvider:
    """Everything declared of one cluster, complete as an argument spec gives it. Use as a context manager; connects when it first observes."""

    def __init__(self, declaration: Declared, connection: Declared, check_mode: bool = False, prefix: str = "") -> None:
        self._declaration: Declared = declaration
        self._prefix = prefix
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
            draft.problem(f"ceph.fsid is {wanted}, and the cluster that answers is {found}: correct the variable, or the monitors' addresses")
            return draft.plan()
        mons = len(observed.mon.get("mons", []))
        if mons and mons % 2 == 0:
            draft.warn(f"the cluster has {mons} monitors, which survive no more failures than {mons - 1}: use an odd number")
        for plan in _PLANNERS:
            plan(draft)
        return draft.plan()

    def returned(self, observed: Maps) -> dict[str, t.Any]:
        """The cluster in short, and what hosts need of each consumer (no keys)."""
        cluster = {"fsid": observed.fsid, "version": shown(observed.release), "mon_host": mon_host(observed.mon)}
        return {"cluster": cluster, "consumers": _consumers.derived(self._declaration["consumers"], observed.fsid)}
