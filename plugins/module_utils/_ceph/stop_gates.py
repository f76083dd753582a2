# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether daemons may stop, as the cluster itself says it. Each question is answered with why they may not, "" where they may.

PRIVATE to the collection.
"""

from __future__ import annotations

import errno
import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import forecast, running_gateways
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while, wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

# Seconds for which the cluster may draw no conclusions: while placement groups peer, and until a manager that has just begun knows them.
SETTLING = 60

# Seconds. Every OSD reports each five (mgr_stats_period).
_REPORTS = 60
# States that pass by themselves within seconds, and those beside which they do not.
_PEERING = {"peering", "activating", "creating", "unknown"}
_LASTING = {"down", "incomplete", "recovery_toofull", "recovery_unfound"}


def draws_no_conclusions(error: t.Any) -> bool:
    """Whether the cluster says neither yes nor no, as while placement groups peer."""
    return isinstance(error, CommandFailed) and error.code == errno.EAGAIN


def is_settling(cluster: Connection) -> bool:
    """Whether placement groups are in states that pass by themselves, as for seconds whenever the balancer moves one.

    By the manager: monitors hear of it later.
    """
    return any(passes(row["name"]) for row in cluster.mgr_command("pg stat")["pg_summary"]["num_pg_by_state"])


def passes(state: str) -> bool:
    """Whether a placement group's state passes by itself within seconds. Pure.

    It peers; or it was given another OSD, which has so little to learn that it is left out of those that serve until it has learned it.
    """
    words = set(state.split("+"))
    learns = {"undersized", "remapped"} <= words and not any(word.startswith("backfill") for word in words)
    return not words & _LASTING and bool(words & _PEERING or learns)


def osds(cluster: Connection, numbers: t.Sequence[int], settling: float = SETTLING) -> str:
    """Why some OSDs must not stop at once.

    settling: for how many seconds it is asked again while it draws no conclusions, or counts placement groups whose state passes by itself; then that is why.
    """
    if not numbers:
        return ""
    ask = functools.partial(cluster.command, "osd ok-to-stop", ids=[str(number) for number in numbers])
    calm = 0  # how often in a row it said no while none was on its way: the first time one may have been until just now

    def may_say_more(error: t.Any) -> bool:
        nonlocal calm
        if draws_no_conclusions(error):
            return True
        if not isinstance(error, CommandFailed) or error.code != errno.EBUSY:
            return False
        calm = 0 if is_settling(cluster) else calm + 1
        return calm < 2

    try:
        said = retry_while(may_say_more, ask, settling, 0.3)
    except CommandFailed as error:
        return error.text or str(error)
    if not isinstance(said, dict) or said.get("ok_to_stop", True):
        return ""
    pgs = said.get("bad_become_inactive", [])
    return f"{said.get('num_not_ok_pgs', 'some')} placement groups would not be served any more ({', '.join(pgs[:5])})"


def await_reports(cluster: Connection) -> None:
    """Wait until each OSD has told the manager of its placement groups: until then it goes by how they were before. Raises TimeoutError."""
    first: t.Dict[int, int] = {}
    left: t.Set[int] = set()

    def reported() -> bool:
        try:
            up = {entry["osd"] for entry in cluster.command("osd dump")["osds"] if entry["up"]}
            said = cluster.mgr_command("pg dump", dumpcontents=["osds"])
        except (Unreachable, CommandFailed):
            return False
        seqs = {entry["osd"]: entry["seq"] for entry in said.get("osd_stats", said) if entry["osd"] in up}
        for number in up:
            first.setdefault(number, seqs.get(number, 0))
        left.clear()
        left.update(number for number in up if seqs.get(number, 0) == first[number])
        return not left

    def silent() -> Exception:
        return TimeoutError(f"{', '.join(f'osd.{number}' for number in sorted(left))} did not report to the manager for {_REPORTS} s")

    wait_until(reported, _REPORTS, silent, pause=1.0)


def pools_of(dump: Raw, pgs: t.Sequence[Raw], numbers: t.Collection[int]) -> list[str]:
    """The names of the pools of which something would have fewer copies than its pool must have, if some OSDs stopped. Pure."""
    least = {str(pool["pool"]): (pool["pool_name"], pool["min_size"]) for pool in dump["pools"]}
    found = set()
    for pg in pgs:
        name, count = least.get(pg["pgid"].partition(".")[0], ("", 0))
        holders = forecast.holders(pg)
        if set(holders) & set(numbers) and len(set(holders) - set(numbers)) < count:
            found.add(name)
    return sorted(found)


def mons(cluster: Connection, names: t.Sequence[str]) -> str:
    """Why some monitors must not stop at once."""
    return _refused(cluster, "mon ok-to-stop", names)


def mdss(cluster: Connection, ids: t.Sequence[str]) -> str:
    """Why some metadata servers must not stop at once."""
    refusal = _refused(cluster, "mds ok-to-stop", ids)
    return f"the cluster says: {refusal}" if refusal else ""


def mgrs(cluster: Connection, ids: t.Collection[str]) -> str:
    """Why some managers must not stop at once."""
    dump = cluster.command("mgr dump")
    others = {dump.get("active_name"), *(standby["name"] for standby in dump.get("standbys", []))} - {*ids, "", None}
    return "" if others else "it is the only manager: add another first"


def rgws(cluster: Connection, ids: t.Collection[str], hosts: t.Collection[str] = ()) -> str:
    """Why some object gateways (rgw.ceph1.s3) must not stop at once, and all of some hosts with them: another of each one's zone must run."""
    running = running_gateways.gateways(cluster.command("service dump"))
    names = {f"client.{name}" for name in ids}
    stay = {one.zone for one in running if one.name not in names and one.host not in hosts}
    lost = sorted({one.zone for one in running if one.name in names} - stay)
    return f"no other gateway of the zone {' and '.join(lost)} runs: add another first" if lost else ""


def _refused(cluster: Connection, prefix: str, ids: t.Sequence[str]) -> str:
    if not ids:
        return ""
    try:
        cluster.command(prefix, ids=list(ids))
    except CommandFailed as error:
        return error.text or str(error)
    return ""
