# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of a zone and their clusters. Hosts are in hosts.py.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import hosts
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import LANE, RANGE_OPTIONS, bounds, normal, sent, touch
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, state, twice
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, records, string

CLUSTER_OPTIONS: dict[str, t.Any] = {
    "name": string("The cluster's name.", required=True),
    "hypervisor": choice(
        "What its hosts run. V(simulator) is for tests, on a server that has it. It cannot change later.", ["kvm", "xenserver", "simulator"], default="kvm"
    ),
    "enabled": boolean("Whether it takes guests.", default=True),
    "hosts": records(
        "Its hosts. They are added side by side, which takes minutes, and waited for until they are Up.\n"
        "A host that somebody has put into maintenance is left so.",
        hosts.OPTIONS,
        default=[],
    ),
}

OPTIONS: dict[str, t.Any] = {
    "name": string("The pod's name.", required=True),
    "start": string("The first of the addresses in the hosts' network that CloudStack may give to its own virtual machines.", required=True),
    "end": string("The last of them.", required=True),
    "gateway": string("The gateway of the hosts' network.", required=True),
    "netmask": string("Its netmask.", required=True),
    "enabled": boolean("Whether it takes guests.", default=True),
    "guest_ranges": records("Addresses for guests, in a zone of type V(basic).", RANGE_OPTIONS, default=[]),
    "clusters": records("Clusters of alike hosts.", CLUSTER_OPTIONS, default=[]),
}


def problems(zone: Item, where: str) -> list[str]:
    pods = zone.get("pods") or ()
    lists = [(f"{where}.pods", pods), *((f"{where}.pods[{number}].clusters", pod.get("clusters") or ()) for number, pod in enumerate(pods))]
    return [f"{here}: {name} is declared twice: keep one of them" for here, items in lists for name in twice(item["name"] for item in items)]


def plan(zone: Item, zone_row: t.Optional[Row], region: Region, draft: Draft) -> None:
    for pod in zone.get("pods") or ():
        _plan_pod(zone, normal(pod), zone_row, region, draft)


def _plan_pod(zone: Item, pod: Item, zone_row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name = f"{zone['name']}/{pod['name']}"
    row = region.find("pods", pod["name"], zoneid=zone_row["id"]) if zone_row else None
    wanted = {**bounds(pod), "state": state(pod.get("enabled"))}

    def create() -> None:
        zone_id = region.id("zones", zone["name"])
        answer = region.client.call("createPod", zoneid=zone_id, name=pod["name"], allocationstate=wanted["state"], **sent(bounds(pod)))
        region.made("pods", pod["name"], {**answer["pod"], "zoneid": zone_id})

    if row is None:
        needs = draft.network_needs(zone["name"]) | draft.ids("guest_network", begin=f"{zone['name']}/")
        draft.ensure("pod", name, None, wanted, create, needs=needs, lane=LANE)
    else:
        living = start, end = _pod_range(pod, row)
        now = {"gateway": row.get("gateway"), "netmask": row.get("netmask"), "start": start, "end": end, "state": row.get("allocationstate")}
        apart = bool(start) and not touch(pod, start, end)
        reason = f"the server cannot take {start}-{end} away and goes on using it too" if apart else ""
        draft.ensure("pod", name, now, wanted, update=functools.partial(_update_pod, region, row, pod, living), reason=reason, lane=LANE)
    for cluster in pod.get("clusters") or ():
        _plan_cluster(zone, pod, cluster, row, region, draft)


def _pod_range(pod: Item, row: Row) -> tuple[str, str]:
    """The living range that stands for the declared one: the same, else one that it overlaps, else the first; ("", "") where there is none."""
    ranges = [(str(entry["startip"]), str(entry["endip"])) for entry in row.get("ipranges") or () if entry.get("startip") and entry.get("endip")]
    same = [one for one in ranges if one == (pod["start"], pod["end"])]
    return next(iter([*same, *(one for one in ranges if touch(pod, *one)), *ranges]), ("", ""))


def _update_pod(region: Region, row: Row, pod: Item, living: tuple[str, str], after: Item) -> None:
    # updatePod takes a range too, and does nothing with it (4.22, seen).
    update = {{"state": "allocationstate"}.get(key, key): value for key, value in after.items() if key not in ("start", "end")}
    if update:
        region.client.call("updatePod", id=row["id"], **update)
    if not {"start", "end"} & set(after):
        return
    start, end = living
    if start and touch(pod, start, end):
        new = {"newstartip": pod["start"], "newendip": pod["end"]}
        region.client.job("updatePodManagementNetworkIpRange", podid=row["id"], currentstartip=start, currentendip=end, **new)
    else:  # that command leaves addresses behind where nothing of the old range stays, and a pod's first range cannot be deleted (4.22, seen)
        region.client.job("createManagementNetworkIpRange", podid=row["id"], **sent(bounds(pod)))


def _plan_cluster(zone: Item, pod: Item, cluster: Item, pod_row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name = f"{zone['name']}/{pod['name']}/{cluster['name']}"
    row = region.find("clusters", cluster["name"], podid=pod_row["id"]) if pod_row else None
    hypervisor, wanted = hosts.hypervisor(cluster), {"state": state(cluster.get("enabled"))}

    def create() -> None:
        zone_id = region.id("zones", zone["name"])
        where = {"zoneid": zone_id, "podid": region.id("pods", pod["name"], zoneid=zone_id)}
        parameters = {"clustername": cluster["name"], "clustertype": "CloudManaged", "hypervisor": hypervisor}
        answer = region.client.call("addCluster", allocationstate=wanted["state"], **where, **parameters)
        region.made("clusters", cluster["name"], {**answer["cluster"][0], **where})

    if row is None:
        needs = {f"pod/{zone['name']}/{pod['name']}", *draft.network_needs(zone["name"])}
        draft.ensure("cluster", name, None, {"hypervisor": hypervisor, **wanted}, create, needs=needs)
    elif row.get("hypervisortype") != hypervisor:
        living = f"the cluster {name} is of {row.get('hypervisortype')}, which cannot be changed to {hypervisor}"
        draft.problem(f"{draft.prefix}zones: {living}: declare it so, or another name")
    else:
        now = {"state": row.get("allocationstate")}
        draft.ensure("cluster", name, now, wanted, lambda: region.client.call("updateCluster", id=row["id"], allocationstate=wanted["state"]))
