# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of clusters.

A host is known by any of its addresses or by its name: CloudStack shows the address that the agent found, not that by which it was added, and adding it
again would give it a second identity. Simulated hosts have no address of their own, and are matched by what they are to be.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import itertools
import re
import socket
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import short
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, odd, of, words
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Lane, Place, Risk, Secret, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, string, strings

OPTIONS: dict[str, t.Any] = {
    "address": string("The host's address or name in the management network."),
    "known_as": strings(
        "Its other addresses and names. CloudStack shows one address of a host, which need not be that by which it was added; a host that it shows "
        "with one of these is this one.\n"
        "The role adds those that the inventory and facts have."
    ),
    "url": string("Of a simulated host, such as V(http://sim/c0/h1). It has no address; those of a cluster are told apart by their tags and state."),
    "user": string("The user as whom the server installs the agent.", default="root"),
    "password": string(
        "This user's password. Without one, the server's own ssh key must be in the user's C(authorized_keys).\n"
        "Used when the host is added, and never compared.",
        no_log=True,
    ),
    "tags": strings("The host's tags, by which service offerings choose it. The whole list."),
    "state": choice(
        "Whether the host takes new guests.\nV(absent) moves or stops its guests and removes it, and needs O(allow_loss=host/ZONE/ADDRESS).",
        ["enabled", "disabled", "absent"],
        default="enabled",
    ),
}
LISTS = ("zones", "pods", "clusters", "hosts")
PATIENCE = 120.0  # seconds that a host may take to be Up after the server says that it was added
# Seconds that hosts on their way are given to come back, 10 to 15 were seen, under emulation four times as many. One that does not is a warning.
_COMING_BACK = 60.0
# Hosts that are added at a time. With 32 the server's 250 database connections ran out, each waiting for another (4.22, seen); with 8 they did not.
_LANE = Lane("addHost", 8)
_PASSING = ("Connecting", "Creating", "Disconnected", "Rebalancing")  # other states last until somebody does something
_LEAVING = 1800.0  # seconds that guests may take to leave a host
HYPERVISORS = {"kvm": "KVM", "xenserver": "XenServer", "simulator": "Simulator"}  # the server insists on its own spelling
_RETURNED = {"zone": "zonename", "cluster": "clustername", "name": "name", "address": "ipaddress", "state": "state", "resource_state": "resourcestate"}


class Declared(t.NamedTuple):
    """A declared host, and where it is declared. place: ZONE/POD/CLUSTER."""

    where: str
    place: str
    zone: Item
    pod: Item
    cluster: Item
    host: Item


def hypervisor(cluster: Item) -> str:
    return HYPERVISORS[str(cluster.get("hypervisor") or "kvm")]


def label(host: Item) -> str:
    """What a person reads: its address, or c0/h1 of http://sim/c0/h1."""
    return str(host.get("address") or re.sub(r"^[a-z]+://[^/]*/", "", str(host.get("url") or "?")))


def each(zones: t.Sequence[Item], where: str) -> t.Iterator[Declared]:
    for z, zone in enumerate(zones):
        for p, pod in enumerate(zone.get("pods") or ()):
            for c, cluster in enumerate(pod.get("clusters") or ()):
                for h, host in enumerate(cluster.get("hosts") or ()):
                    here = f"{where}[{z}] ({zone['name']}).pods[{p}].clusters[{c}] ({cluster['name']}).hosts[{h}] ({label(host)})"
                    yield Declared(here, f"{zone['name']}/{pod['name']}/{cluster['name']}", zone, pod, cluster, host)


def problems(zones: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    seen: dict[str, tuple[str, str]] = {}
    for one in each(zones, where):
        address, url, simulated = str(one.host.get("address") or ""), str(one.host.get("url") or ""), hypervisor(one.cluster) == "Simulator"
        here = Place(one.where, found.append)
        other, there = seen.setdefault(url if simulated else _plain(address), (one.place, one.where))
        here.refuse(simulated and not re.fullmatch(r"https?://[^/\s]+/\S+", url), "a simulated host has a url such as http://sim/c0/h1, and no address")
        here.refuse(not simulated and (url or not address), "a host has an address, and a url only where it is simulated")
        here.refuse(re.search(r"[\s/@]", address), f"address: '{address}' is neither an address nor a name")
        here.refuse(odd(one.host.get("tags")), "tags: a tag is a word, with no comma in it")
        here.refuse(other != one.place, f"it is also in the cluster {other} ({there}): a host is in one cluster")
        here.refuse(other == one.place and there != one.where, "it is declared twice: keep one of them")
    return found


def settle(zones: t.Sequence[Item], region: Region, _draft: Draft) -> None:
    """Resolve names of hosts, and give those that are on their way the time to arrive: agents come back only seconds after the server."""
    declared = [one.host.get("address") for one in each(zones, "")]
    region.addresses.update({address: _resolved(address) for address in declared if address and address not in region.addresses})
    names = {zone["name"] for zone in zones if declared}

    def arrived() -> bool:
        passing = any(row.get("zonename") in names and row.get("state") in _PASSING for row in region.rows("hosts"))
        if passing:
            region.forget("hosts")
        return not passing

    wait_until(arrived, _COMING_BACK, pause=2)
    region.rows("hosts")  # so that the list is read here, also where some never arrive


def _resolved(address: str) -> str:
    """An address of a host, of IPv4 where it is given by name; "" where it is not known."""
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(address))
    with contextlib.suppress(OSError):
        return str(socket.getaddrinfo(address, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    return ""


def plan(zones: t.Sequence[Item], region: Region, draft: Draft) -> None:
    entries = list(each(zones, f"{draft.prefix}zones"))
    known = _claims([one for one in entries if hypervisor(one.cluster) != "Simulator"], region, draft)
    for _place, cluster in itertools.groupby(entries, lambda one: one.place):
        _plan_cluster(list(cluster), known, region, draft)


def _plan_cluster(entries: list[Declared], known: t.Mapping[str, t.Optional[Row]], region: Region, draft: Draft) -> None:
    zone, pod, cluster = entries[0][2:5]
    zone_row = region.find("zones", zone["name"])
    pod_row = region.find("pods", pod["name"], zoneid=zone_row["id"]) if zone_row else None
    row = region.find("clusters", cluster["name"], podid=pod_row["id"]) if pod_row else None
    if hypervisor(cluster) == "Simulator":
        known = _matched(entries, of(region, "hosts", row, "clusterid"))
    leaving: list[str] = []
    for one in entries:
        if one.where not in known:
            continue  # a problem already
        now, name, absent = known[one.where], f"{zone['name']}/{label(one.host)}", one.host.get("state") == "absent"
        if now and (row is None or now.get("clusterid") != row["id"]):
            draft.problem(f"{one.where}: the host is in the cluster {now.get('clustername')} of the zone {now.get('zonename')}: declare it there, or remove it")
        elif now and absent:
            # The server empties one host of a cluster at a time.
            before, reason = {"cluster": cluster["name"], **_now(now)}, "its guests are moved to other hosts, or stopped where none has room"
            draft.ensure("host", name, before, None, functools.partial(_remove, region, now), risk=Risk.LOSS, reason=reason, needs=leaving[-1:])
            leaving.append(f"host/{name}")
        elif now:
            existing, wanted = _now(now), _wanted(one.host)
            if now.get("state") != "Up":
                draft.warn(f"the host {name} is not Up, it is {now.get('state')}")
            if existing["state"] not in ("enabled", "disabled"):  # somebody works on it: to end that is theirs
                draft.warn(f"the host {name} is in maintenance ({now.get('resourcestate')}), and was left so")
                del wanted["state"]
            draft.ensure("host", name, existing, wanted, update=functools.partial(_change, region, now))
        elif not absent:
            password = {"password": Secret(one.host["password"])} if one.host.get("password") else {}
            after = {"cluster": cluster["name"], **_wanted(one.host), **password}
            needs = draft.ids("traffic", "provider", "zone", begin=zone["name"]) | {f"cluster/{one.place}"}
            draft.ensure("host", name, None, after, functools.partial(_add, region, *one[2:]), needs=needs, lane=_LANE)


def _plain(name: t.Any) -> str:
    """An address or name as it is compared: names regardless of case, addresses in their one short spelling."""
    return short(str(name or "").strip().strip("[]").rstrip(".").lower())


def _known(host: Item, zone: t.Any, rows: t.Sequence[Row], region: Region) -> list[Row]:
    """The existing hosts that a declared one may be: by its address, else by another one of it, else by its name. More than one: it can't be told."""
    others = {_plain(name) for name in host.get("known_as") or ()}
    resolved, names = _plain(region.addresses.get(host["address"]) or host["address"]), {_plain(host["address"]), *others}
    existing = [row for row in rows if row.get("hypervisor") != "Simulator"]  # which has the server's address
    here = [row for row in existing if row.get("zonename") == zone]
    ways = (
        [row for row in existing if _plain(row.get("ipaddress")) == resolved],
        [row for row in existing if _plain(row.get("ipaddress")) in others],
        [row for row in here if _plain(row.get("name")) in names],
        [row for row in existing if _plain(row.get("name")) in names],
        [row for row in here if any(_same_machine(_plain(row.get("name")), name) for name in names)],
    )
    return next(filter(None, ways), [])


def _same_machine(one: str, other: str) -> bool:
    """kvm1 and kvm1.example.org: the agent says its name with or without the domain, as the host's files have it."""
    short, long = sorted((one, other), key=len)
    return bool(short) and "." not in short and ":" not in long and long.startswith(f"{short}.")


def _shown(row: Row) -> str:
    return f"{row.get('name')} ({row.get('ipaddress')})"


def _claims(entries: t.Sequence[Declared], region: Region, draft: Draft) -> dict[str, t.Optional[Row]]:
    """The existing host of each declared one, by where it is declared. Those that can't be told become problems and are left out."""
    known: dict[str, t.Optional[Row]] = {}
    claimed: dict[str, list[str]] = {}
    for one in entries:
        found = _known(one.host, one.zone.get("name"), region.rows("hosts"), region)
        if len(found) > 1:
            which = f"{len(found)} hosts that it may be, {' and '.join(map(_shown, found))}"
            draft.problem(f"{one.where}: CloudStack has {which}: remove those that it isn't, or declare it by the address that CloudStack shows of it")
            continue
        known[one.where] = found[0] if found else None
        for row in found:
            claimed.setdefault(str(row["id"]), []).append(one.where)
    for places in claimed.values():
        if len(places) > 1:
            shown = _shown(known[places[0]] or {})
            draft.problem(f"{' and '.join(places)} are one host of CloudStack, {shown}: keep one of them, or correct the names and addresses of the other")
            known = {where: row for where, row in known.items() if where not in places}
    return known


def _now(row: Item) -> dict[str, t.Any]:
    return {"state": str(row.get("resourcestate", "Enabled")).lower(), "tags": words(row.get("explicithosttags", row.get("hosttags")))}


def _wanted(host: Item) -> dict[str, t.Any]:
    return {"state": host.get("state") or "enabled", **({} if host.get("tags") is None else {"tags": words(host["tags"])})}


def _matched(entries: t.Sequence[Declared], existing: t.Sequence[Row]) -> dict[str, t.Optional[Row]]:
    """The existing hosts of simulated ones, by where they are declared: those that are as declared first, so that a drift of one is a change of one."""
    # Those without tags are taken first, so that one whose tags drifted is left for a declared one that has tags.
    rest = sorted(existing, key=lambda row: (len(_now(row)["tags"]), str(row.get("id"))))
    known: dict[str, t.Optional[Row]] = {one.where: None for one in entries}
    # Those that say more choose first; an absent one, which is never as declared, takes what is left over.
    order = sorted(entries, key=lambda one: (one.host.get("state") == "absent", one.host.get("tags") is None))
    for exactly in (True, False):
        for one in order:
            fitting = [row for row in rest if not exactly or not differing(_now(row), _wanted(one.host))[1]]
            if fitting and not known[one.where]:
                known[one.where] = fitting[0]
                rest.remove(fitting[0])
    return known


def _change(region: Region, row: Row, after: Item) -> None:
    tags = {"hosttags": ",".join(after["tags"])} if "tags" in after else {}
    state = {"allocationstate": "Enable" if after["state"] == "enabled" else "Disable"} if "state" in after else {}
    region.client.call("updateHost", id=row["id"], **tags, **state)


def _add(region: Region, zone: Item, pod: Item, cluster: Item, host: Item) -> None:
    """Add a host and wait until it is Up. The server answers only when the agent runs, which takes minutes."""
    client, wanted = region.client, _wanted(host)
    zone_id = region.id("zones", zone["name"])
    pod_id = region.id("pods", pod["name"], zoneid=zone_id)
    cluster_id = region.id("clusters", cluster["name"], podid=pod_id)
    # Where the server's own key opens the host it wants an empty one: without any it adds the host and then fails to note it (4.22, seen).
    # Of a simulated host it wants one, and looks at none.
    password = host.get("password") or ("simulated" if cluster.get("hypervisor") == "simulator" else "")
    try:
        where = {"zoneid": zone_id, "podid": pod_id, "clusterid": cluster_id, "hypervisor": hypervisor(cluster)}
        access = {"url": host.get("url") or f"http://{host['address']}", "username": host.get("user") or "root", "password": Secret(password)}
        closed = "Disabled" if wanted["state"] == "disabled" else None
        row = client.call("addHost", **where, **access, hosttags=wanted.get("tags") or None, allocationstate=closed)["host"][0]
    except Exception as error:
        # A run that was cut off, or another one beside this, has added it: then it is there, in this cluster.
        if "already" not in str(error) or not host.get("address"):
            raise
        row = _already(error, zone, cluster_id, host, region)
    region.made("hosts", label(host), row)

    def up() -> bool:
        if row.get("state") != "Up":
            row.update(next(iter(client.rows("listHosts", id=row["id"])), {}))
        return bool(row.get("state") == "Up")

    log = "its log is /var/log/cloudstack/agent/agent.log"
    wait_until(up, PATIENCE, lambda: f"the server has added it, but it is {row.get('state')} and not Up after {int(PATIENCE)} s: {log}", pause=2)
    if host.get("address") and not _known(host, zone.get("name"), [row], region):
        remedy = f"declare it by that address, or give it known_as: [{row.get('ipaddress')}]"
        raise RuntimeError(f"the server has added it, and shows it as {_shown(row)}, by which it would not be found again: {remedy}")
    lacking = differing(_now(row), {key: value for key, value in wanted.items() if value and value != "enabled"})[1]
    if lacking:
        _change(region, row, lacking)


def _already(error: Exception, zone: Item, cluster_id: str, host: Item, region: Region) -> Row:
    """The existing host that the server says it has already: it knows the agent by its guid, which follows from the address by which it was first added."""
    rows = region.client.rows("listHosts", type="Routing")
    match = re.search(r"with ID ([0-9a-fA-F-]{36})", str(error))
    for row in _known(host, zone.get("name"), rows, region):
        if row.get("clusterid") == cluster_id:
            return row
    for row in rows:
        if match and row.get("id") == match[1]:
            there = f"{_shown(row)} in the cluster {row.get('clustername')} of the zone {row.get('zonename')}"
            remedy = f"declare it there by that address, or give it known_as: [{row.get('ipaddress')}]"
            raise RuntimeError(f"the server has this machine already, as the host {there}: {remedy}") from error
    raise error


def _remove(region: Region, row: Row) -> None:
    """Empty a host and remove it. What was begun by a run that was cut off goes on."""
    if empty(region.client, row):
        region.client.call("deleteHost", id=row["id"])


def empty(client: t.Any, row: Row) -> bool:
    """Put a host into maintenance, and wait until its guests have left it; return whether it is still there. Raises RuntimeError where they do not leave."""
    if row.get("resourcestate") == "Disabled":  # only an enabled host can be emptied
        client.call("updateHost", id=row["id"], allocationstate="Enable")
    if row.get("resourcestate") not in ("Maintenance", "PrepareForMaintenance"):
        client.job("prepareHostForMaintenance", id=row["id"])

    def ended() -> str:
        state = str(next((one["resourcestate"] for one in client.rows("listHosts", id=row["id"])), "gone"))
        # ErrorInPrepareForMaintenance: some could not move, and others still do.
        return state if state in ("gone", "Maintenance", "ErrorInMaintenance") else ""

    state = wait_until(ended, _LEAVING, pause=2)
    if state not in ("gone", "Maintenance"):
        raise RuntimeError(f"guests do not leave it: it is {state or 'still being emptied'}. Move or stop them, then run again")
    return state == "Maintenance"


def known_row(host: Item, region: Region) -> t.Optional[Row]:
    """The existing host that an address and known_as are of, None where there is none. Raises Invalid where it cannot be told."""
    region.addresses[host["address"]] = _resolved(host["address"])
    found = _known(host, None, region.rows("hosts"), region)
    if len(found) > 1:
        raise Invalid([f"{host['address']}: CloudStack has {len(found)} hosts that it may be, {' and '.join(map(_shown, found))}"])
    return found[0] if found else None


def returned(zones: t.Sequence[Item], region: Region) -> dict[str, t.Any]:
    """The hosts of the declared zones: zone, cluster, name, address, state (Up ...), resource_state."""
    names = {zone["name"] for zone in zones}
    return {"hosts": [{ours: row.get(key) for ours, key in _RETURNED.items()} for row in region.rows("hosts") if row.get("zonename") in names]}
