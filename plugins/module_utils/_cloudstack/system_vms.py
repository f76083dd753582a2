# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System virtual machines: which zones are to have them, whether they are up, and why they are not.

CloudStack starts them by itself when all is there that they need, and says of what is missing nothing that a person finds.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import system_template
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, kind, named
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until

# As the server calls them, as people do, and the memory in MiB that each takes.
TYPES = {"secondarystoragevm": ("the secondary-storage VM", 512), "consoleproxy": ("the console proxy", 1024)}
# Addresses of a zone's public range and of its pods' ranges that these two take.
_ADDRESSES = 2
_PAUSE = 5.0
_SHOWN = {"name": "name", "state": "state", "agent_state": "agentstate", "host": "hostname", "private_ip": "privateip", "public_ip": "publicip"}
_HYPERVISOR = "KVM"
_AGENT_PORT = 8250


def zones(declaration: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The zones of a declared region that are to have them, with the urls of the NFS stores that are declared for each.

    Those that say so; else those with an NFS image store and a cluster of KVM.
    """
    found = []
    stores = [one for one in declaration.get("image_stores") or () if one.get("url") and one.get("state") != "absent" and one.get("provider") in (None, "nfs")]
    for zone in declaration.get("zones") or ():
        urls = [str(store["url"]) for store in stores if store.get("zone") == zone["name"]]
        clusters = [cluster for pod in zone.get("pods") or () for cluster in pod.get("clusters") or ()]
        wanted = zone.get("system_vms")
        if wanted or (wanted is None and urls and any(cluster.get("hypervisor") in (None, "kvm") for cluster in clusters)):
            found.append({"name": zone["name"], "image_stores": urls})
    return found


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Refuse what they could not come up with. Nothing is planned: the server starts them by itself."""
    wanted = {zone["name"]: zone["image_stores"] for zone in zones(draft.declaration)}
    for number, zone in enumerate(declared):
        if zone["name"] not in wanted:
            continue
        stores = wanted[zone["name"]] or any(row.get("zonename") == zone["name"] for row in region.rows("image_stores"))
        public = sum(_count(item["start"], item["end"]) for item in zone.get("public_ranges") or ())
        private = sum(_count(pod["start"], pod["end"]) for pod in zone.get("pods") or ())
        few_public = kind(zone) == "advanced" and public < _ADDRESSES and region.find("zones", zone["name"]) is None
        for wrong, text in (
            (not stores, "need an image store of NFS: declare one (image_stores)"),
            (few_public, f"take {_ADDRESSES} public addresses, and public_ranges has {public}: declare more"),
            (zone.get("pods") and private < _ADDRESSES, f"take {_ADDRESSES} addresses of the pods, and they have {private}: give them more"),
        ):
            if wrong:
                draft.problem(f"{named(f'{draft.prefix}zones', number, zone)}: system virtual machines {text}, or say system_vms: false")


def _count(first: t.Any, last: t.Any) -> int:
    try:
        return int(ipaddress.IPv4Address(str(last))) - int(ipaddress.IPv4Address(str(first))) + 1
    except ValueError:
        return 0


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
    """Which of the known reasons it is that one is not up. look: looks into a store."""
    if vm is not None and vm.get("state") == "Running":
        return [_no_agent(vm, lists.server_address)]
    found = _missing(sort, lists)
    if not found:
        # What the server says of the template is no proof; the file is.
        seen = {str(store["name"]): look(str(store.get("url"))) for store in lists.stores}
        none = "it has no template of system virtual machines: the server puts it there only when the store is added after a cluster"
        if not any(one.template for one in seen.values()):
            found = [f"image store {name}: {one.problem or none} (the role cloudstack_region puts it there)" for name, one in seen.items()]
    if vm is not None and vm.get("state") == "Starting":
        begun = f"it is starting on {vm.get('hostname') or 'a host'}: a new one takes two minutes there"
        found.append(f"{begun}. Where it never ends, that host only emulates KVM, or has no /usr/share/cloudstack-common/vms/agent.zip")
    return found or ["everything is there that it needs: see management-server.log for InsufficientServerCapacityException, and agent.log on the hosts"]


def _missing(sort: str, lists: Lists) -> list[str]:
    """What the server waits for, as far as its own lists tell."""
    zone, memory = lists.zone, TYPES[sort][1]
    hosts = [row for row in lists.hosts if row.get("hypervisor") == _HYPERVISOR]
    ready = [row for row in hosts if row.get("state") == "Up" and row.get("resourcestate") == "Enabled"]
    host_states = ", ".join(f"{row['name']}: {row.get('state')}, {row.get('resourcestate')}" for row in hosts) or "there is none"
    pool_states = ", ".join(f"{row['name']}: {row.get('state')}" for row in lists.pools) or "there is none"
    free = [(int(row.get("memorytotal") or 0) - int(row.get("memoryallocatedbytes") or 0)) >> 20 for row in ready if row.get("memorytotal")]
    no_template = f"the server has no template of system virtual machines for {_HYPERVISOR} that is ready in this zone"
    public = sum(_count(row.get("startip"), row.get("endip")) for row in lists.ranges if row.get("forvirtualnetwork"))
    private = sum(_count(part.get("startip"), part.get("endip")) for pod in lists.pods for part in pod.get("ipranges") or ())
    with_public = zone.get("networktype") == "Advanced" and not zone.get("securitygroupsenabled")
    reasons = (
        (zone.get("allocationstate") != "Enabled", f"the zone is {zone.get('allocationstate')}"),
        (not ready, f"no host with {_HYPERVISOR} is Up and enabled ({host_states})"),
        (free and max(free) < memory, f"no host has the {memory} MiB of memory that it takes: the most that one has free are {max([0, *free])} MiB"),
        (not any(row.get("state") == "Up" for row in lists.pools), f"no primary storage is Up ({pool_states})"),
        (not lists.stores, "the zone has no image store of NFS"),
        (lists.stores and not any(row.get("isready") for row in lists.templates), no_template),
        (with_public and public < _ADDRESSES, f"the zone has {public} public addresses, and they take {_ADDRESSES}"),
        (private < _ADDRESSES, f"the pods have {private} addresses of their own, and they take {_ADDRESSES}"),
    )
    return [text for wrong, text in reasons if wrong]


def _no_agent(vm: Row, address: str) -> str:
    if any(part.strip() in ("", "localhost") or part.strip().startswith("127.") for part in address.split(",")):
        says = f"its agent connects to what the setting host says, which is '{address}'"
        return f"it runs, and {says}: set it to the management server's address (settings: host)"
    agent = f"its agent, which is {vm.get('agentstate') or 'not seen yet'}, must reach {address} (the setting host) on port {_AGENT_PORT}"
    return (
        f"it runs, and {agent} from {vm.get('privateip') or 'the pod network'}: is that the server's address there, is there a route, does a firewall bar it? "
        "On a host that only emulates KVM the agent never starts"
    )


def read(client: t.Any, name: str) -> t.Optional[tuple[Lists, dict[str, t.Optional[Row]]]]:
    """What is there of a zone, and of each type the system virtual machine, one that is up where there are several; None where there is no such zone."""
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
    vms = sorted(client.rows("listSystemVms", **of), key=up, reverse=True)
    return lists, {sort: next((row for row in vms if row.get("systemvmtype") == sort), None) for sort in TYPES}


def prove(
    client: t.Any, names: t.Sequence[str], timeout: float, look: t.Callable[[str], system_template.Seen] = system_template.look
) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Wait until the system virtual machines of zones are up. Returns what was seen of each, and what is wrong. Raises ApiError, Unreachable."""
    known: dict[str, t.Optional[tuple[Lists, dict[str, t.Optional[Row]]]]] = {}

    def all_up() -> bool:
        known.update((name, read(client, name)) for name in names)
        return all(up(vm) for zone in known.values() if zone for vm in zone[1].values())

    wait_until(all_up, timeout, pause=min(_PAUSE, max(0.1, timeout)))
    found: list[dict[str, t.Any]] = []
    problems = [f"there is no zone {name}" for name, zone in known.items() if zone is None]
    for name, zone in known.items():
        lists, vms = zone or (None, {})
        for sort, vm in vms.items():
            shown = {ours: (vm or {}).get(key) for ours, key in _SHOWN.items()}
            reasons = why(sort, vm, lists, look) if lists and not up(vm) else []
            found.append({"zone": name, "type": sort, **shown, "reasons": reasons})
            if reasons:
                state = f"is {shown['state']}, its agent {shown['agent_state'] or 'not seen yet'}" if vm else "is not there"
                problems.append(f"zone {name}: {TYPES[sort][0]} {state}: {'; '.join(reasons)}")
    return found, problems
