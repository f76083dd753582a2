# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of clusters.

A host is known by its address, by any other of its addresses, or by its name: of a machine with several addresses CloudStack shows the one
that the agent found, not that by which it was added, and adding it again would give it a second identity. Simulated hosts have none that was
declared (the server makes one up, and a name): those of a cluster are alike, and are matched by what they are to be.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import re
import socket
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import short
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, odd, words
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Lane, Risk, Secret, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, string, strings

OPTIONS: dict[str, t.Any] = {
    "address": string("The host's address or name in the management network."),
    "known_as": strings(
        "Its other addresses and names. CloudStack shows one address of a host, which need not be that by which it was added; a host that it shows "
        "with one of these is this one.\n"
        "The role adds those that the inventory and facts have."
    ),
    "url": string("Of a simulated host, such as V(http://sim/c0/h1). It has no address; those of a cluster are told apart by what they are to be."),
    "user": string("The user as whom the server installs the agent.", default="root"),
    "password": string(
        "This user's password. Without one, the server's own ssh key must be in the user's C(authorized_keys).\n"
        "Used when the host is added, and never compared.",
        no_log=True,
    ),
    "tags": strings("The host's tags, by which service offerings choose it. The whole list."),
    "state": choice(
        "Whether the host takes new guests.\nV(absent) moves or stops its guests and removes it, and needs O(arm=host/ZONE/ADDRESS).",
        ["enabled", "disabled", "absent"],
        default="enabled",
    ),
}

LISTS = ("zones", "pods", "clusters", "hosts")

# Seconds that a host may take to be Up after the server says that it was added.
PATIENCE = 120.0
# Seconds that hosts are given to come back where some are on their way: 10 to 15 after a restart of the server were seen, under emulation
# four times as many. One that does not come back is a warning.
_COMING_BACK = 60.0
# Hosts that are added at a time. With 32 the server's 250 database connections ran out, each waiting for another (4.22, seen); with 8 they did not.
_LANE = Lane("addHost", 8)
# In these a host is on its way; others last until somebody does something.
_PASSING = ("Connecting", "Creating", "Disconnected", "Rebalancing")
# Seconds that guests may take to leave a host.
_LEAVING = 1800.0


# The server's own spelling, which it insists on.
HYPERVISORS = {"kvm": "KVM", "xenserver": "XenServer", "simulator": "Simulator"}


_RETURNED = {
    "zone": "zonename", "cluster": "clustername", "name": "name", "address": "ipaddress", "state": "state", "resource_state": "resourcestate",
}  # fmt: skip
# A declared host: where, its zone, pod and cluster, and itself.
_Entry = t.Tuple[str, Item, Item, Item, Item]


def hypervisor(cluster: Item) -> str:
    return HYPERVISORS[str(cluster.get("hypervisor") or "kvm")]


def label(host: Item) -> str:
    """What a person reads: its address, or c0/h1 of http://sim/c0/h1."""
    if host.get("address"):
        return str(host["address"])
    return re.sub(r"^[a-z]+://[^/]*/", "", str(host.get("url") or "?"))


def each(zones: t.Sequence[Item], where: str) -> t.Iterator[_Entry]:
    """Every declared host: where, zone, pod, cluster, host."""
    for z, zone in enumerate(zones):
        for p, pod in enumerate(zone.get("pods") or ()):
            for c, cluster in enumerate(pod.get("clusters") or ()):
                for h, host in enumerate(cluster.get("hosts") or ()):
                    yield f"{where}[{z}] ({zone['name']}).pods[{p}].clusters[{c}] ({cluster['name']}).hosts[{h}] ({label(host)})", zone, pod, cluster, host


def problems(zones: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    seen: dict[str, tuple[str, str]] = {}
    for here, zone, pod, cluster, host in each(zones, where):
        simulated = cluster.get("hypervisor") == "simulator"
        if simulated and not re.fullmatch(r"https?://[^/\s]+/\S+", str(host.get("url") or "")):
            found.append(f"{here}: a simulated host has a url such as http://sim/c0/h1, and no address")
        elif not simulated and (not host.get("address") or host.get("url")):
            found.append(f"{here}: a host has an address, and a url only where it is simulated")
        if re.search(r"[\s/@]|://", str(host.get("address") or "")):
            found.append(f"{here}: address: '{host['address']}' is neither an address nor a name")
        if odd(host.get("tags")):
            found.append(f"{here}: tags: a tag is a word, with no comma in it")
        identity = str(host.get("url") if simulated else _plain(host.get("address")))
        place = f"{zone['name']}/{pod['name']}/{cluster['name']}"
        if identity in seen and seen[identity][0] != place:
            found.append(f"{here}: it is also in the cluster {seen[identity][0]} ({seen[identity][1]}): a host is in one cluster")
        elif identity in seen:
            found.append(f"{here}: it is declared twice: keep one of them")
        seen.setdefault(identity, (place, here))
    return found


def settle(zones: t.Sequence[Item], region: Region, _draft: Draft) -> None:
    """Resolve names of hosts, and give those that are on their way the time to arrive: agents come back only seconds after the server."""
    declared = [entry[4] for entry in each(zones, "")]
    for host in declared:
        address = host.get("address")
        if address and address not in region.addresses:
            region.addresses[address] = _resolved(address)
    if region.client is None:
        return
    names = {zone["name"] for zone in zones} if declared else set()

    def arrived() -> bool:
        passing = any(row.get("zonename") in names and row.get("state") in _PASSING for row in region.rows("hosts"))
        if passing:
            region.forget("hosts")
        return not passing

    wait_until(arrived, _COMING_BACK, pause=2)
    region.rows("hosts")  # so that the list is read here, also where some never arrive


def _resolved(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(address, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return ""


def plan(zones: t.Sequence[Item], region: Region, draft: Draft) -> None:
    clusters: dict[str, list[_Entry]] = {}
    entries = list(each(zones, f"{draft.prefix}zones"))
    known = _claims([entry for entry in entries if entry[3].get("hypervisor") != "simulator"], region, draft)
    for entry in entries:
        clusters.setdefault(f"{entry[1]['name']}/{entry[2]['name']}/{entry[3]['name']}", []).append(entry)
    for entries in clusters.values():
        _plan_cluster(entries, known, region, draft)


def _plan_cluster(entries: list[_Entry], known: t.Mapping[str, t.Optional[Row]], region: Region, draft: Draft) -> None:
    zone, pod, cluster = entries[0][1:4]
    zone_row = region.find("zones", zone["name"])
    pod_row = region.find("pods", pod["name"], zoneid=zone_row["id"]) if zone_row else None
    row = region.find("clusters", cluster["name"], podid=pod_row["id"]) if pod_row else None
    living = [other for other in region.rows("hosts") if row is not None and other.get("clusterid") == row["id"]]
    if cluster.get("hypervisor") == "simulator":
        pairs = _matched([entry[4] for entry in entries], living)
    else:
        pairs = []
        for entry in entries:
            here, host = entry[0], entry[4]
            if here not in known:
                continue  # a problem already
            found = known[here]
            if found and (row is None or found.get("clusterid") != row["id"]):
                draft.problem(
                    f"{here}: the host is in the cluster {found.get('clustername')} of the zone {found.get('zonename')}: declare it there, or remove it first"
                )
                continue
            pairs.append((host, found))
    leaving: t.List[str] = []
    for host, now in pairs:
        name = f"{zone['name']}/{label(host)}"
        if host.get("state") == "absent" and now is not None:
            # The server empties one host of a cluster at a time.
            before = {"cluster": cluster["name"], **_now(now)}
            reason = "its guests are moved to other hosts, or stopped where none has room"
            draft.ensure("host", name, before, None, functools.partial(_remove, region, now), risk=Risk.LOSS, reason=reason, needs=leaving[-1:])
            leaving.append(f"host/{name}")
        else:
            _plan_host(zone, pod, cluster, host, now, region, draft)


def _plain(name: t.Any) -> str:
    """An address or name as it is compared: names regardless of case, addresses in their one short spelling."""
    return short(str(name or "").strip().strip("[]").rstrip(".").lower())


def _known(host: Item, zone: t.Any, rows: t.Sequence[Row], region: Region) -> list[Row]:
    """The living hosts that a declared one may be: by its address, else by another one of it, else by its name. More than one: it can't be told."""
    declared, others = _plain(host["address"]), [_plain(name) for name in host.get("known_as") or ()]
    resolved = _plain(region.addresses.get(host["address"]) or declared)
    # A simulated host has the server's address.
    living = [row for row in rows if row.get("hypervisor") != "Simulator"]
    names = {declared, *others}
    here = [row for row in living if row.get("zonename") == zone]
    for found in (
        [row for row in living if _plain(row.get("ipaddress")) == resolved],
        [row for row in living if _plain(row.get("ipaddress")) in others],
        [row for row in here if _plain(row.get("name")) in names],
        [row for row in living if _plain(row.get("name")) in names],
        [row for row in here if any(_same_machine(_plain(row.get("name")), name) for name in names)],
    ):
        if found:
            return found
    return []


def _same_machine(one: str, other: str) -> bool:
    """kvm1 and kvm1.example.org: the agent says its name with or without the domain, as the host's files have it."""
    short, long = sorted((one, other), key=len)
    return bool(short) and "." not in short and ":" not in long and long.startswith(f"{short}.")


def _shown(row: Row) -> str:
    return f"{row.get('name')} ({row.get('ipaddress')})"


def _claims(entries: t.Sequence[_Entry], region: Region, draft: Draft) -> dict[str, t.Optional[Row]]:
    """The living host of each declared one, by where it is declared. Those that can't be told become problems and are left out."""
    known: dict[str, t.Optional[Row]] = {}
    claimed: dict[str, list[str]] = {}
    rows = region.rows("hosts")
    for here, zone, _pod, _cluster, host in entries:
        found = _known(host, zone.get("name"), rows, region)
        if len(found) > 1:
            draft.problem(
                f"{here}: CloudStack has {len(found)} hosts that it may be, {' and '.join(map(_shown, found))}: remove those that it isn't, or declare it "
                f"by the address that CloudStack shows of it"
            )
            continue
        known[here] = found[0] if found else None
        if found:
            claimed.setdefault(str(found[0]["id"]), []).append(here)
    for row in rows:
        places = claimed.get(str(row["id"]), [])
        if len(places) > 1:
            draft.problem(f"{' and '.join(places)} are one host of CloudStack, {_shown(row)}: keep one of them, or mend the names and addresses of the other")
            for one in places:
                del known[one]
    return known


def tags_of(row: Item) -> list[str]:
    return words(row.get("explicithosttags", row.get("hosttags")))


def _now(row: Item) -> dict[str, t.Any]:
    return {"state": str(row.get("resourcestate", "Enabled")).lower(), "tags": tags_of(row)}


def _wanted(host: Item) -> dict[str, t.Any]:
    wanted: dict[str, t.Any] = {"state": host.get("state") or "enabled"}
    if host.get("tags") is not None:
        wanted["tags"] = words(host["tags"])
    return wanted


def _matched(declared: t.Sequence[Item], living: t.Sequence[Row]) -> list[tuple[Item, t.Optional[Row]]]:
    """Pair simulated hosts: those that are as declared first, so that a drift of one is a change of one."""
    # Those without tags are taken first, so that one whose tags drifted is left for a declared one that has tags.
    rest = sorted(living, key=lambda row: (len(tags_of(row)), str(row.get("id"))))
    pairs: dict[int, t.Optional[Row]] = {}
    for exactly in (True, False):
        # Those that say more choose first; an absent one takes what is left over.
        for number in sorted(range(len(declared)), key=lambda number: (declared[number].get("state") == "absent", declared[number].get("tags") is None)):
            if number in pairs or (exactly and declared[number].get("state") == "absent"):
                continue
            row = next((row for row in rest if not exactly or not differing(_now(row), _wanted(declared[number]))[1]), None)
            if row is not None:
                rest.remove(row)
                pairs[number] = row
    return [(host, pairs.get(number)) for number, host in enumerate(declared)]


def _plan_host(zone: Item, pod: Item, cluster: Item, host: Item, row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name = f"{zone['name']}/{label(host)}"
    wanted = _wanted(host)
    if wanted["state"] == "absent":
        return
    if row is None:
        after = {"cluster": cluster["name"], **wanted}
        if host.get("password"):
            after["password"] = Secret(host["password"])
        needs = draft.ids("traffic", "provider", "zone", begin=zone["name"]) | {f"cluster/{zone['name']}/{pod['name']}/{cluster['name']}"}
        draft.ensure("host", name, None, after, lambda: _add(region, zone, pod, cluster, host), needs=needs, lane=_LANE)
        return
    now = _now(row)
    if row.get("state") != "Up":
        draft.warn(f"the host {name} is not Up, it is {row.get('state')}")
    if now["state"] not in ("enabled", "disabled"):
        # Somebody works on it: to end that is theirs.
        draft.warn(f"the host {name} is in maintenance ({row.get('resourcestate')}), and was left so")
        wanted.pop("state")

    draft.ensure("host", name, now, wanted, update=lambda after: _change(region, row, after))


def _change(region: Region, row: Row, after: Item) -> None:
    changed: dict[str, t.Any] = {}
    if "tags" in after:
        changed["hosttags"] = ",".join(after["tags"])
    if "state" in after:
        changed["allocationstate"] = "Enable" if after["state"] == "enabled" else "Disable"
    region.client.call("updateHost", id=row["id"], **changed)


def _add(region: Region, zone: Item, pod: Item, cluster: Item, host: Item) -> None:
    """Add a host and wait until it is Up. The server answers only when the agent runs, which takes minutes."""
    client = region.client
    zone_id = region.id("zones", zone["name"])
    pod_id = region.id("pods", pod["name"], zoneid=zone_id)
    cluster_id = region.id("clusters", cluster["name"], podid=pod_id)
    wanted = _wanted(host)
    # Where the server's own key opens the host it wants an empty one: without any it adds the host and then fails to note it (4.22, seen).
    password: t.Union[Secret, str] = Secret(host["password"]) if host.get("password") else ""
    if not password and cluster.get("hypervisor") == "simulator":
        password = Secret("simulated")  # it wants one, and looks at none
    url = host.get("url") or f"http://{host['address']}"
    try:
        place = {"zoneid": zone_id, "podid": pod_id, "clusterid": cluster_id, "hypervisor": hypervisor(cluster), "url": url}
        access = {"username": host.get("user") or "root", "password": password}
        closed = "Disabled" if wanted["state"] == "disabled" else None
        row = client.call("addHost", **place, **access, hosttags=wanted.get("tags") or None, allocationstate=closed)["host"][0]
    except Exception as error:
        # A run that was cut off, or another one beside this, has added it: then it is there, in this cluster.
        if "already" not in str(error) or not host.get("address"):
            raise
        row = _already(error, zone, cluster_id, host, region)
    region.made("hosts", label(host), row)
    # As it is in the answer, then as it is listed.
    seen = itertools.chain([row], (next(iter(client.rows("listHosts", id=row["id"])), row) for _again in itertools.count()))

    def up() -> bool:
        row.update(next(seen))
        return bool(row.get("state") == "Up")

    def late() -> str:
        return f"the server has added it, but it is {row.get('state')} and not Up after {int(PATIENCE)} s: its log is /var/log/cloudstack/agent/agent.log"

    wait_until(up, PATIENCE, late, pause=2)
    if host.get("address") and not _known(host, zone.get("name"), [row], region):
        raise RuntimeError(
            f"the server has added it, and shows it as {_shown(row)}, by which it would not be found again: declare it by that address, or give it "
            f"known_as: [{row.get('ipaddress')}]"
        )
    lacking = differing(_now(row), {key: value for key, value in wanted.items() if value and value != "enabled"})[1]
    if lacking:
        _change(region, row, lacking)


def _already(error: Exception, zone: Item, cluster_id: str, host: Item, region: Region) -> Row:
    """The living host that the server says it has already: it knows the agent by its guid, which follows from the address by which it was first added."""
    rows = region.client.rows("listHosts", type="Routing")
    found = [row for row in _known(host, zone.get("name"), rows, region) if row.get("clusterid") == cluster_id]
    if found:
        return found[0]
    match = re.search(r"with ID ([0-9a-fA-F-]{36})", str(error))
    named = next((row for row in rows if match and row.get("id") == match.group(1)), None)
    if named is None:
        raise error
    raise RuntimeError(
        f"the server has this machine already, as the host {_shown(named)} in the cluster {named.get('clustername')} of the zone {named.get('zonename')}: "
        f"declare it there by that address, or give it known_as: [{named.get('ipaddress')}]"
    ) from error


def _remove(region: Region, row: Row) -> None:
    """Empty a host and remove it. What was begun by a run that was cut off goes on."""
    client = region.client
    if row.get("resourcestate") == "Disabled":  # only an enabled host can be emptied
        client.call("updateHost", id=row["id"], allocationstate="Enable")
    if row.get("resourcestate") not in ("Maintenance", "PrepareForMaintenance"):
        client.job("prepareHostForMaintenance", id=row["id"])
    state = ""

    def ended() -> bool:
        nonlocal state
        state = str(next((one["resourcestate"] for one in client.rows("listHosts", id=row["id"])), "gone"))
        return state in ("gone", "Maintenance") or state.startswith("Error")

    wait_until(ended, _LEAVING, pause=2)
    if state not in ("gone", "Maintenance"):
        raise RuntimeError(f"guests do not leave it: it is {state}. Move or stop them, then run again")
    if state == "Maintenance":
        client.call("deleteHost", id=row["id"])


def returned(zones: t.Sequence[Item], region: Region) -> dict[str, t.Any]:
    """The hosts of the declared zones: zone, cluster, name, address, state (Up ...), resource_state."""
    names = {zone["name"] for zone in zones}
    return {"hosts": [{ours: row.get(key) for ours, key in _RETURNED.items()} for row in region.rows("hosts") if row.get("zonename") in names]}
