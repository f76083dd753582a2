# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that CloudStack has: in maintenance, with its guests moved to others, back again, or gone. A guest that cannot move is a refusal.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import hosts
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError, reading
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, string, strings

OPTIONS: dict[str, t.Any] = {
    "address": string("The host's address or name in the management network.", required=True),
    "known_as": strings("Its other addresses and names.", default=[]),
    "state": choice(
        "V(maintenance) moves its guests to other hosts of its cluster. V(enabled) ends that. V(absent) moves them and removes the host.\n"
        "A host that CloudStack does not have is left alone.",
        ["maintenance", "enabled", "absent"],
        required=True,
    ),
}
# What is on its way into maintenance, in it, or was kept from it.
_MAINTAINED = ("Maintenance", "PrepareForMaintenance", "ErrorInMaintenance", "ErrorInPrepareForMaintenance")


@dataclasses.dataclass(frozen=True)
class Observed:
    """row: the host, None where CloudStack has none such. guests: the names of those that run on it. others: hosts that could take them."""

    row: t.Optional[Row] = None
    guests: t.Sequence[str] = ()
    others: t.Sequence[str] = ()


@dataclasses.dataclass
class Provider:
    """As in OPTIONS. client: of the API."""

    client: t.Any
    address: str
    known_as: t.Sequence[str]
    state: str

    def observe(self) -> Observed:
        """Read the hosts, and the guests of this one. Raises Unreachable."""
        with reading("CloudStack's hosts could not be read"):
            region = Region(self.client)
            row = hosts.known_row({"address": self.address, "known_as": self.known_as}, region)
            if row is None:
                return Observed()
            level = "zoneid" if self._across_clusters(row) else "clusterid"
            able = [other for other in region.rows("hosts") if other["id"] != row["id"] and (other["state"], other["resourcestate"]) == ("Up", "Enabled")]
            return Observed(row, self._guests(row), [str(other["name"]) for other in able if other.get(level) == row.get(level)])

    def _across_clusters(self, row: Row) -> bool:
        rows = self.client.rows("listConfigurations", name="migrate.vm.across.clusters", zoneid=row["zoneid"])
        return any(str(one.get("value")).lower() == "true" for one in rows)

    def _guests(self, row: Row) -> list[str]:
        rows = [*self.client.rows("listVirtualMachines", hostid=row["id"], listall=True), *self.client.rows("listRouters", hostid=row["id"], listall=True)]
        return sorted(str(one.get("name")) for one in rows if one.get("state") not in ("Stopped", "Destroyed", "Expunging"))

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where guests could not move. Pure."""
        draft, row = Draft(), observed.row
        if row is None:
            return draft.plan()
        name, now = str(row["name"]), str(row["resourcestate"])
        # The server would fail and leave the host on its way (ResourceManagerImpl.doMaintain of 4.22), and an older one would stop them.
        if self.state != "enabled" and observed.guests and not observed.others and now != "Maintenance":
            guests = ", ".join(observed.guests)
            where = f"no other host of the cluster {row.get('clustername')} is up and enabled"
            draft.problem(f"{name}: its guests ({guests}) could not move, for {where}: add or enable one, or stop the guests first")
        reason = f"{len(observed.guests)} guests move to other hosts of the cluster {row.get('clustername')}"
        if self.state == "absent":
            draft.ensure("host", name, {"state": now}, None, functools.partial(self._remove, row), risk=Risk.MOVEMENT, reason=reason)
        elif self.state == "maintenance":
            enter = functools.partial(self._empty, row)
            draft.ensure("host", name, {"state": now}, {"state": "Maintenance"}, enter, risk=Risk.MOVEMENT, reason=reason)
        elif now in _MAINTAINED:
            leave = functools.partial(self.client.job, "cancelHostMaintenance", id=row["id"])
            draft.ensure("host", name, {"state": now}, {"state": "Enabled"}, leave, reason="it takes guests again")
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        row = observed.row or {}
        return {"registered": observed.row is not None, "resource_state": row.get("resourcestate"), "guests": list(observed.guests)}

    def _empty(self, row: Row) -> bool:
        try:
            return hosts.empty(self.client, row)
        except (RuntimeError, ApiError) as error:
            left = ", ".join(self._guests(row)) or "none that is known"
            was = str(row["resourcestate"])
            if was not in _MAINTAINED:  # as it was before
                self.client.job("cancelHostMaintenance", id=row["id"])
                if was == "Disabled":
                    self.client.call("updateHost", id=row["id"], allocationstate="Disable")
            raise RuntimeError(f"{row['name']} stays as it is: {error} (guests that are still on it: {left})") from error

    def _remove(self, row: Row) -> None:
        if self._empty(row):
            self.client.call("deleteHost", id=row["id"])
