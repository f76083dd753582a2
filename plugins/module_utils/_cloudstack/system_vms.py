# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System virtual machines: which zones are to have them, whether they are up, and why they are not.

CloudStack starts them by itself when all is there that they need, and says of what is missing nothing that a person finds.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import system_template
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, kind, named
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row

# As the server calls them, as people do, and the memory in MiB that each takes.
TYPES = {"secondarystoragevm": ("the secondary-storage VM", 512), "consoleproxy": ("the console proxy", 1024)}
# Addresses of a zone's public range and of its pods' ranges that these two take.
_ADDRESSES = 2
_PAUSE = 5.0
_SHOWN = {"name": "name", "state": "state", "agent_state": "agentstate", "host": "hostname", "private_ip": "privateip", "public_ip": "publicip"}
_HYPERVISOR = "KVM"
_AGENT_PORT = 8250


# -- which zones


def zones(declaration: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The zones of a declared region that are to have them, with the urls of the NFS stores that are declared for each.

    Those that say so; else those with an NFS image store and a cluster of KVM.
    """
    found = []
    for zone in declaration.get("zones") or ():
        urls = [
            str(store["url"])
            for store in declaration.get("image_stores") or ()
            if store.get("zone") == zone["name"] and store.get("url") and store.get("state") != "absent" and (store.get("provider") or "nfs") == "nfs"
        ]
        clusters = [cluster for pod in zone.get("pods") or () for cluster in pod.get("clusters") or ()]
        kvm = any((cluster.get("hypervisor") or "kvm") == "kvm" for cluster in clusters)
        wanted = zone.get("system_vms")
        if wanted or (wanted is None and urls and kvm):
            found.append({"name": zone["name"], "image_stores": urls})
    return found


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Refuse what they could not come up with. Nothing is planned: the server starts them by itself."""
    wanted = {zone["name"]: zone["image_stores"] for zone in zones(draft.declaration)}
    for number, zone in enumerate(declared):
        if zone["name"] not in wanted:
            continue
        where = named(f"{draft.prefix}zones", number, zone)
        instead = "or say system_vms: false"
        if not wanted[zone["name"]] and not any(row.get("zonename") == zone["name"] for row in region.rows("image_stores")):
            draft.problem(f"{where}: system virtual machines need an image store of NFS: declare one (image_stores), {instead}")
        public = sum(_count(item["start"], item["end"]) for item in zone.get("public_ranges") or ())
        if kind(zone) == "advanced" and public < _ADDRESSES and region.find("zones", zone["name"]) is None:
            draft.problem(f"{where}: system virtual machines take {_ADDRESSES} public addresses, and public_ranges has {public}: declare more, {instead}")
        private = sum(_count(pod["start"], pod["end"]) for pod in zone.get("pods") or ())
        if zone.get("pods") and private < _ADDRESSES:
            draft.problem(f"{where}: system virtual machines take {_ADDRESSES} addresses of the pods, and they have {private}: give them more, {instead}")


def _count(first: t.Any, last: t.Any) -> int:
    try:
        return int(ipaddress.IPv4Address(str(last))) - int(ipaddress.IPv4Address(str(first))) + 1
    except ValueError:
        return 0


# -- whether they are up


class Lists(t.NamedTuple):
    """What is there of one zone. server_address: the setting host."""

    zone: Row
    hosts: t.Sequence[Row]
    pools: t.Sequence[Row]
    stores: t.Sequence[Row]
    templates: t.Sequence[Row]
    ranges: t.Sequence[Row]
    pods: t.Sequence[Row]
    server_address: str


def up(vm: t.Optional[Row]) -> bool:
    """Whether it runs, and its agent has come."""
    return vm is not None and vm.get("state") == "Running" and vm.get("agentstate") == "Up"


def why(sort: str, vm: t.Optional[Row], lists: Lists, look: t.Callable[[str], system_template.Seen]) -> list[str]:
    """Which of the known reasons it is that one is not up. Pure but for look, which looks into a store."""
    if vm is not None and vm.get("state") == "Running":
        return [_no_agent(vm, lists)]
    found = _missing(sort, lists)
    if not found:
        # What the server says of the template is no proof; the file is.
        seen = [(store, look(str(store.get("url")))) for store in lists.stores]
        if not any(one.template for _store, one in seen):
            for store, one in seen:
                what = one.problem or "it has no template of system virtual machines: the server puts it there only when the store is added after a cluster"
                found.append(f"image store {store['name']}: {what} (the role cloudstack_region puts it there)")
    if vm is not None and vm.get("state") == "Starting":
        found.append(
            f"it is starting on {vm.get('hostname') or 'a host'}: a new one takes two minutes there. Where it never ends, that host only emulates KVM, or "
            "has no /usr/share/cloudstack-common/vms/agent.zip"
        )
    return found or ["everything is there that it needs: see management-server.log for InsufficientServerCapacityException, and agent.log on the hosts"]


def _missing(sort: str, lists: Lists) -> list[str]:
    """What the server waits for, as far as its own lists tell."""
    found = []
    if lists.zone.get("allocationstate") != "Enabled":
        found.append(f"the zone is {lists.zone.get('allocationstate')}")
    hosts = [row for row in lists.hosts if row.get("hypervisor") == _HYPERVISOR]
    ready = [row for row in hosts if row.get("state") == "Up" and row.get("resourcestate") == "Enabled"]
    if not ready:
        states = ", ".join(f"{row['name']}: {row.get('state')}, {row.get('resourcestate')}" for row in hosts)
        found.append(f"no host with {_HYPERVISOR} is Up and enabled ({states or 'there is none'})")
    free = [(int(row.get("memorytotal") or 0) - int(row.get("memoryallocatedbytes") or 0)) >> 20 for row in ready if row.get("memorytotal")]
    if free and max(free) < TYPES[sort][1]:
        found.append(f"no host has the {TYPES[sort][1]} MiB of memory that it takes: the most that one has free are {max(*free, 0)} MiB")
    if not [row for row in lists.pools if row.get("state") == "Up"]:
        states = ", ".join(f"{row['name']}: {row.get('state')}" for row in lists.pools)
        found.append(f"no primary storage is Up ({states or 'there is none'})")
    if not lists.stores:
        found.append("the zone has no image store of NFS")
    elif not [row for row in lists.templates if row.get("isready")]:
        found.append(f"the server has no template of system virtual machines for {_HYPERVISOR} that is ready in this zone")
    public = sum(_count(row.get("startip"), row.get("endip")) for row in lists.ranges if row.get("forvirtualnetwork"))
    if lists.zone.get("networktype") == "Advanced" and not lists.zone.get("securitygroupsenabled") and public < _ADDRESSES:
        found.append(f"the zone has {public} public addresses, and they take {_ADDRESSES}")
    private = sum(_count(part.get("startip"), part.get("endip")) for pod in lists.pods for part in pod.get("ipranges") or ())
    if private < _ADDRESSES:
        found.append(f"the pods have {private} addresses of their own, and they take {_ADDRESSES}")
    return found


def _no_agent(vm: Row, lists: Lists) -> str:
    address = lists.server_address
    if any(part.strip() in ("", "localhost") or part.strip().startswith("127.") for part in address.split(",")):
        return (
            f"it runs, and its agent connects to what the setting host says, which is '{address}': set it to the management server's address (settings: host)"
        )
    return (
        f"it runs, and its agent, which is {vm.get('agentstate') or 'not seen yet'}, must reach {address} (the setting host) on port {_AGENT_PORT} from "
        f"{vm.get('privateip') or 'the pod network'}: is that the server's address there, is there a route, does a firewall bar it? On a host that only "
        "emulates KVM the agent never starts"
    )


def read(client: t.Any, name: str) -> t.Optional[t.Tuple[Lists, t.List[Row]]]:
    """What is there of a zone, and its system virtual machines; None where there is no such zone."""
    zone = next((row for row in client.rows("listZones", name=name) if row["name"] == name), None)
    if zone is None:
        return None
    of = {"zoneid": zone["id"]}
    templates = client.rows("listTemplates", templatefilter="all", templatetype="SYSTEM", listall=True, **of)
    address = next((row.get("value") for row in client.rows("listConfigurations", name="host") if row.get("name") == "host"), None)
    lists = Lists(
        zone=zone,
        hosts=client.rows("listHosts", type="Routing", details="capacity", **of),
        pools=client.rows("listStoragePools", **of),
        stores=[row for row in client.rows("listImageStores", **of) if row.get("providername") == "NFS"],
        templates=[row for row in templates if row.get("hypervisor") == _HYPERVISOR],
        ranges=client.rows("listVlanIpRanges", **of),
        pods=client.rows("listPods", **of),
        server_address=str(address or ""),
    )
    return lists, client.rows("listSystemVms", **of)


def prove(
    client: t.Any, names: t.Sequence[str], timeout: float, look: t.Callable[[str], system_template.Seen] = system_template.look
) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.List[str]]:
    """Wait until the system virtual machines of zones are up. Returns what was seen of each, and what is wrong. Raises ApiError, Unreachable."""
    end = time.monotonic() + timeout
    while True:
        found: t.List[t.Dict[str, t.Any]] = []
        problems: t.List[str] = []
        for name in names:
            known = read(client, name)
            if known is None:
                problems.append(f"there is no zone {name}")
                continue
            lists, vms = known
            for sort in TYPES:
                own = [row for row in vms if row.get("systemvmtype") == sort]
                vm = next((row for row in own if up(row)), own[0] if own else None)
                row = vm or {}
                found.append({"zone": name, "type": sort, **{ours: row.get(key) for ours, key in _SHOWN.items()}, "reasons": []})
                if not up(vm):
                    found[-1]["lists"] = lists, vm
        waiting = [row for row in found if "lists" in row]
        if not waiting or time.monotonic() >= end:
            break
        time.sleep(min(_PAUSE, max(0.1, end - time.monotonic())))
    for row in waiting:
        lists, vm = row.pop("lists")
        row["reasons"] = why(row["type"], vm, lists, look)
        state = f"is {row['state']}, its agent {row['agent_state'] or 'not seen yet'}" if vm else "is not there"
        problems.append(f"zone {row['zone']}: {TYPES[row['type']][0]} {state}: {'; '.join(row['reasons'])}")
    return found, problems
