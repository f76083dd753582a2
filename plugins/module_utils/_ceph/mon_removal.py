# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A monitor that is to be gone: it leaves the monmap while it runs, the others prove their quorum without it, and only then its store is removed.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, mons
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import mon_host_by_rank
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Risk, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, string

OPTIONS = {
    "name": string("The monitor's name. The host's short name by default."),
    "cluster_only": boolean("Whether only the cluster's part is done, for the monitor of a host that cannot be reached.", default=False),
    "wait": integer("How many seconds the new quorum may take.", default=120),
}


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there. dump: the monmap with its quorum. refusal: why the cluster does not let it go. stores: its data, and what an ended run had set aside.

    admin: whether the keyring of client.admin, which belongs to monitors' hosts, is on this one.
    """

    dump: Raw
    refusal: str = ""
    unit: systemd.Unit = systemd.NO_UNIT
    stores: t.Sequence[str] = ()
    admin: bool = False

    @property
    def names(self) -> t.List[str]:
        return [mon["name"] for mon in self.dump["mons"]]

    def outside(self, name: str) -> t.List[str]:
        """The others that are not in the quorum."""
        return [mon["name"] for mon in self.dump["mons"] if mon["rank"] not in self.dump["quorum"] and mon["name"] != name]


def aside(name: str) -> str:
    """Where a store lies from when its monitor has left until the quorum of the others is proven."""
    return f"{os.path.dirname(mons.data_path(name))}/.removed-{name}"


@dataclasses.dataclass
class Provider:
    """A monitor that is to be gone. connection: how to reach the cluster, as the module's option."""

    cluster: Connection
    connection: t.Mapping[str, t.Any]
    name: str
    cluster_only: bool = False
    wait: int = 120

    def observe(self) -> Observed:
        """Read the monmap and the host; ask the cluster whether the monitor may go. Raises Unreachable."""
        dump = self.cluster.command("mon dump")
        refusal = ""
        if any(mon["name"] == self.name for mon in dump["mons"]):
            refusal = self._refusal()
        if self.cluster_only:
            return Observed(dump, refusal)
        unit = mons.unit_name(self.name)
        stores = [path for path in (mons.data_path(self.name), aside(self.name)) if os.path.isdir(path)]
        return Observed(dump, refusal, systemd.units([unit])[unit], stores, os.path.exists(mons.ADMIN_KEYRING))

    def _refusal(self) -> str:
        try:
            self.cluster.command("mon ok-to-rm", id=self.name)
        except CommandFailed as error:
            return error.text
        return ""

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where the monitor must stay."""
        draft, me, names = Draft(), f"mon.{self.name}", observed.names
        others = [name for name in names if name != self.name]
        # A fresh cluster's only monitor cannot be told from one that is to be kept: so nothing of it is touched either.
        if self.name in names:
            outside = observed.outside(self.name)
            if not others:
                draft.problem(f"{me} is the only monitor, and the cluster would end with it: add others first, or purge the cluster")
            elif observed.refusal or outside:
                why = observed.refusal or f"{len(outside)} of the others would be outside it"
                mend = f": start {', '.join(f'mon.{name}' for name in outside)} first, or remove that first" if outside else ""
                draft.problem(f"{me} must stay: the cluster says: {why}{mend}")
            if len(others) % 2 == 0 and others:
                draft.warn(f"the cluster will have {len(others)} monitors, which survive no more failures than {len(others) - 1}: use an odd number")
        address = next((mon_host_by_rank({"mons": [mon]}) for mon in observed.dump["mons"] if mon["name"] == self.name), None)
        quorum = {"address": address, "quorum": names}
        reason = f"waits until {', '.join(f'mon.{name}' for name in others)} have a quorum without it"
        mon = f"mon/{self.name}"
        draft.ensure("mon", self.name, quorum if self.name in names else None, None, functools.partial(self._remove, others), reason=reason)
        name = mons.unit_name(self.name)
        unit = {"enabled": observed.unit.enabled, "running": observed.unit.there}
        stop = functools.partial(systemd.stop, name)
        draft.ensure("unit", name, unit if any(unit.values()) else None, None, stop, needs=[mon], risk=Risk.RESTART, reason="the monitor stops")
        if observed.stores:
            reason = "once the others have shown that they have a quorum without it"
            remove = functools.partial(self._remove_store, others)
            draft.ensure("store", mons.data_path(self.name), {"mon": me}, None, remove, needs=[mon, f"unit/{name}"], reason=reason)
        if observed.admin:
            needs = [mon, f"unit/{name}", f"store/{mons.data_path(self.name)}"]
            reason = "it belongs to hosts of monitors"
            draft.ensure(
                "keyring", mons.ADMIN_KEYRING, {"client": mons.ADMIN}, None, functools.partial(os.unlink, mons.ADMIN_KEYRING), needs=needs, reason=reason
            )
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        quorum = [mon["name"] for mon in observed.dump["mons"] if mon["rank"] in observed.dump["quorum"]]
        return {"name": self.name, "mon_host": mon_host_by_rank(observed.dump), "quorum": quorum}

    # -- apply

    def _remove(self, others: t.Sequence[str]) -> None:
        refusal = self._refusal()
        if refusal:
            raise RuntimeError(f"mon.{self.name} must stay: {refusal}")
        self.cluster.command("mon remove", name=self.name)
        self._prove(others)

    def _prove(self, others: t.Sequence[str]) -> None:
        """Wait until all others are in a quorum without it, as they themselves say over a new connection. Raises RuntimeError."""
        left: t.List[str] = [*others]

        def proven() -> bool:
            dump = self.cluster.command("mon dump")
            rest = [mon for mon in dump["mons"] if mon["name"] != self.name]
            with Connection({**self.connection, "mon_host": mon_host_by_rank({"mons": rest})}) as fresh:
                dump = fresh.command("mon dump")
            inside = {mon["name"] for mon in dump["mons"] if mon["rank"] in dump["quorum"]}
            left[:] = [name for name in others if name not in inside]
            return not left and self.name not in {mon["name"] for mon in dump["mons"]}

        def patiently() -> bool:
            try:
                return proven()
            except (Unreachable, CommandFailed):  # while they elect
                return False

        names = ", ".join(others)
        wait_until(patiently, self.wait, lambda: RuntimeError(f"{names} have no quorum without mon.{self.name} after {self.wait} s; missing: {left}"))

    def _remove_store(self, others: t.Sequence[str]) -> None:
        place, kept = mons.data_path(self.name), aside(self.name)
        if os.path.isdir(place):
            shutil.rmtree(kept, ignore_errors=True)
            os.rename(place, kept)
        self._prove(others)
        shutil.rmtree(kept)


def provider(options: t.Mapping[str, t.Any], cluster: Connection) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS, and connection."""
    name = options["name"] or daemons.short_hostname()
    return Provider(cluster, options["connection"], name, options["cluster_only"], options["wait"])
