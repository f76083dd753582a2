# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts said of themselves (preflight_facts) against what is declared of them: clocks, the way between them, room, ports, and stores that are lost.

What would keep the stack from running is a problem, what it would run with is a warning. Hosts that were not asked are no matter, nor what they did not say.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import ipaddress
import statistics
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mons import ADMIN_KEYRING
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import APIS
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import FIELDS as OPENSTACK
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _inventory
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _object_gateways as gateways
from ansible_collections.cephstack.cloud.plugins.plugin_utils._inventory import Host
from ansible_collections.cephstack.cloud.plugins.plugin_utils._stack import ROLES, Stack

Item = t.Mapping[str, t.Any]
Found = t.Iterator[t.Tuple[str, str]]
CEPH = ("mons", "mgrs", "osds", "mdss", "rgws")
# How many others each host tries the way to, beside the monitors: a switch's port that is set wrong shows with any of them.
NEIGHBOURS = 4

# Seconds. Ceph's defaults of mon_clock_drift_allowed, from which on monitors warn, and of mon_lease: one that is further off never has a valid lease.
DRIFT, LEASE = 0.05, 5.0
# By role, from where on it does not work, and why. Everybody else's tickets of cephx end after an hour (auth_service_ticket_ttl).
FAR = {
    "openstack_controllers": (60.0, "OpenStack counts its services as down (service_down_time), and tokens are not valid yet or any more"),
    "rgws": (900.0, "S3 refuses requests that were signed more than 15 minutes ago"),
}
TICKETS = 3600.0
# Seconds from which on anybody but monitors is told.
NOTABLE = 1.0

GIB = 1 << 30


class Port(t.NamedTuple):
    """A TCP port that something of the stack is to listen on. address: None for all of the host's. programs: what may hold it already, by the beginning of
    its name or its unit's. mend: what to change, but the other program."""

    port: int
    what: str
    programs: t.Tuple[str, ...]
    mend: str = ""
    address: t.Optional[t.Any] = None


def roles_of(openstack: t.Any) -> dict[str, str]:
    """The group of each role, as they are called by default. openstack: what is declared of it."""
    named = openstack.get("group") if isinstance(openstack, t.Mapping) else None
    return {**{role: role for role in ROLES}, "openstack_controllers": str(named or OPENSTACK["group"]["default"])}


def peers_of(name: str, groups: t.Mapping[str, t.Sequence[str]], roles: t.Mapping[str, str]) -> list[str]:
    """The hosts to which a host tries the way: the monitors' and OpenStack's controllers, by whose clocks others go, and the next ones of all."""

    def members(*of: str) -> list[str]:
        return [one for role in of for one in groups.get(roles.get(role, role)) or ()]

    everybody = sorted(dict.fromkeys(members(*(role for role in ROLES if role != "xen_pool_hosts"))))
    if name not in everybody:
        return []
    at = everybody.index(name) + 1
    ring = (everybody[at:] + everybody[: at - 1])[:NEIGHBOURS]
    return [one for one in dict.fromkeys([*members("mons", "openstack_controllers"), *ring]) if one != name]


def wanted_ports(mine: t.Collection[str], variables: Item, address: t.Optional[str]) -> list[Port]:
    """The ports that the roles of a host need. variables: its. address: that of its monitor."""
    found = []
    if "mons" in mine:
        at = ipaddress.ip_address(address) if address else None
        found += [Port(port, "its monitor", ("ceph-mon",), address=at) for port in (3300, 6789)]
    for instance in variables.get("ceph_rgw_instances") or gateways.INSTANCES if "rgws" in mine else ():
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # said of the inventory
            for one in gateways.listeners(instance):
                what = f"the object gateway {instance['name']}"
                found.append(Port(one.port, what, ("radosgw",), "give the gateway another port (ceph_rgw_instances)", one.address))
    if "nfs_gateways" in mine:
        found.append(Port(2049, "its NFS gateway", ("ganesha.nfsd", "nfs-ganesha")))
    if "cloudstack_management" in mine:
        found += [Port(port, "CloudStack's management server", ("java", "cloudstack")) for port in (8080, 8250)]
    if "openstack_controllers" in mine:
        served = ("uwsgi", "apache2", "httpd", "haproxy")
        found += [Port(api.port, f"OpenStack's {name}", (*served, name, f"python3-{name}")) for name, api in APIS.items()]
    return found


def _said(host: Host) -> Item:
    """What a host of this run said of itself, {} where it was not asked."""
    return (host.facts.get("cephstack") or {}) if host.playing else {}


def _mine(stack: Stack, name: str) -> set[str]:
    return {role for role in ROLES if name in stack.members(role)}


def _options(stack: Stack, name: str, default: float) -> float:
    """An option of the monitors as it is declared, which preflight reads where Ceph itself would."""
    declared = stack.value(stack.keeper, "ceph_cluster_options") or {}
    for section in ("mon", "global"):
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            if (declared.get(section) or {}).get(name) is not None:
                return float(declared[section][name])
    return default


# -- clocks


def _offsets(said: t.Mapping[str, Item], order: t.Sequence[str]) -> dict[str, tuple[float, float]]:
    """(seconds that a host's clock is ahead of that of the first of them, how much that can be wrong) by host, as far as they were compared with each other."""
    links: dict[str, dict[str, tuple[float, float]]] = collections.defaultdict(dict)
    for name, mine in said.items():
        for way in mine.get("ways") or ():
            if way.get("ahead") is not None and way["host"] in said:
                for one, other, ahead in ((name, way["host"], way["ahead"]), (way["host"], name, -way["ahead"])):
                    if way["error"] < links[one].get(other, (0.0, 1e9))[1]:
                        links[one][other] = ahead, way["error"]
    root = next((name for name in order if name in links), None)
    found = {} if root is None else {root: (0.0, 0.0)}
    queue = collections.deque(found)
    while queue:
        name = queue.popleft()
        for other, (ahead, error) in sorted(links[name].items()):
            if other not in found:
                found[other] = found[name][0] + ahead, found[name][1] + error
                queue.append(other)
    return found


def _surely(one: Item, other: Item) -> float:
    """How many seconds a clock is ahead of another at least, by when both were asked: the controller's own delay is in neither."""
    (low, high), (low_, high_) = ((said["time"] - said["asked"][1], said["time"] - said["asked"][0]) for said in (one, other))
    return low - high_ if low > high_ else high - low_ if high < low_ else 0.0


def of_clocks(stack: Stack) -> Found:
    """Clocks that differ. Each host compared its own with others', so that nobody's delay counts; by the controller's only what is beyond doubt."""
    said = {host.name: _said(host) for host in stack.hosts if _said(host)}
    mons = [name for name in stack.members("mons") if name in said]
    order = [*mons, *(name for name in stack.members("openstack_controllers") if name in said), *said]
    offsets = _offsets(said, order)
    trusted = [offsets[name][0] for name in mons or said if name in offsets]
    right = statistics.median_low(trusted) if trusted else 0.0
    ahead = {name: (seconds - right, error) for name, (seconds, error) in offsets.items()}
    base = min(ahead, key=lambda name: abs(ahead[name][0]), default=next(iter(order), ""))
    for name in said:
        far = _surely(said[name], said[base]) if said[name].get("asked") and said[base].get("asked") else 0.0
        if name not in ahead or abs(far) > abs(ahead[name][0]) + NOTABLE:
            ahead[name] = far, 0.0
    drift = _options(stack, "mon_clock_drift_allowed", DRIFT)
    for name, (seconds, error) in ahead.items():
        off, mine = max(0.0, abs(seconds) - error), _mine(stack, name)
        shown = f"its clock is {_seconds(abs(seconds))} s {'ahead of' if seconds > 0 else 'behind'} that of {base}"
        mend = "set up chrony on both, and let it set the clock (chronyc makestep)"
        limits = [(TICKETS, "cephx takes no ticket any more"), *(FAR[role] for role in sorted(mine & set(FAR)))]
        limits += [(60.0, FAR["openstack_controllers"][1])] if _is_compute(stack, name) else []
        limits += [(LEASE, "monitors that far apart have no quorum (mon_lease)")] if name in mons and len(mons) > 1 else []
        limit, why = min(limits)
        if off > limit:
            yield name, f"{shown}: {why}: {mend}"
        elif name in mons and len(mons) > 1 and off > drift:
            stack.warnings.append(f"{name}: {shown}, and monitors complain from {drift:g} s on (mon_clock_drift_allowed): {mend}")
        elif off > NOTABLE:
            stack.warnings.append(f"{name}: {shown}: {mend}")


def _seconds(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def _is_compute(stack: Stack, name: str) -> bool:
    return name in stack.members("kvm_hosts") and bool(stack.members("openstack_controllers"))


# -- networks


def _interfaces(host: Host) -> t.Iterator[tuple[str, int, t.Any]]:
    """(name, MTU, address) of a host's interfaces, one for each address."""
    for name in host.facts.get("interfaces") or ():
        one = host.facts.get(str(name).replace("-", "_").replace(":", "_")) or {}
        entries = [one.get("ipv4") or {}, *(one.get("ipv4_secondaries") or ()), *(one.get("ipv6") or ())]
        for entry in entries:
            with contextlib.suppress(ValueError):
                if entry.get("address") and str(one.get("mtu") or "").isdigit():
                    yield str(name), int(one["mtu"]), ipaddress.ip_address(entry["address"])


def _ceph(stack: Stack) -> Item:
    return next(filter(None, (stack.value(name, "ceph") for name in stack.values)), {})


def of_networks(stack: Stack) -> Found:
    """The MTU of the interfaces in both networks, and whether packets of that size arrive."""
    asked = [host for host in stack.hosts if _said(host)]
    members = {name for role in CEPH for name in stack.members(role)}
    for key, roles in (("public_network", CEPH), ("cluster_network", ("osds",))):
        try:
            networks = _inventory.networks(_ceph(stack).get(key))
        except ValueError:
            continue
        found: dict[int, list[str]] = {}
        for host in (host for host in asked if any(host.name in stack.members(role) for role in roles)):
            there = [mtu for _name, mtu, address in _interfaces(host) if any(address in network for network in networks)]
            if there:
                found.setdefault(max(there), []).append(host.name)
            elif networks and key == "cluster_network" and host.facts.get("interfaces") and not _inventory.addresses_in(host, networks):
                shown = ", ".join(map(str, networks))
                yield host.name, f"has no address in ceph.cluster_network ({shown}), and OSDs do not start without: give it one, or correct the network"
        if len(found) > 1:
            shown = "; ".join(f"{mtu} on {', '.join(names)}" for mtu, names in sorted(found.items(), reverse=True))
            stack.warnings.append(f"ceph.{key}: the MTU of its interfaces differs, {shown}: set one MTU on all hosts and switches of this network")
    yield from _of_ways(stack, asked, members)


def _of_ways(stack: Stack, asked: t.Sequence[Host], members: t.Collection[str]) -> Found:
    """Between which hosts small packets arrive, and those of full size do not."""
    mtus = {host.name: {str(address): mtu for _name, mtu, address in _interfaces(host)} for host in asked}
    for host in asked:
        blocked: dict[int, list[str]] = {}
        doubtful = False  # whether the other end itself may take no more, as far as is known
        for way in _said(host).get("ways") or ():
            # What is larger than the other's own MTU cannot arrive there: TCP agrees on the lower one.
            takes = mtus.get(way["host"], {}).get(way["address"], way["size"])
            if way["answers"] and not way["full"] and not way["told"] and takes >= way["size"]:
                blocked.setdefault(way["size"], []).append(f"{way['host']} ({way['address']})")
                doubtful = doubtful or way["address"] not in mtus.get(way["host"], {})
        for size, others in blocked.items():
            text = (
                f"packets of {size} bytes, its MTU, do not come through to {_few(others)}, and small ones do: something between them has a lower MTU, and does "
            )
            text += "not say so. Raise it there (switches, tunnels, bridges), or lower that of the hosts"
            traces = _said(host).get("traces") or {}
            if host.name in members and not doubtful and not (traces.get("monitors") or traces.get("osds")):
                yield host.name, text
            else:  # that is doubtful, its daemons run, or it is nobody that Ceph's daemons send much to
                stack.warnings.append(f"{host.name}: {text}")


def _few(names: t.Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 5 else f"{', '.join(names[:3])} and {len(names) - 3} more"


# -- room


# By role: a program by which its packages are there, and about how many GiB they take with what they bring along, as apt says of a Debian that has nothing but
# ssh and Python, with some to spare; half of that again is downloaded. (Ceph: all roles in one.)
NEEDS = {
    **{role: (program, 0.8) for role, program in (("mons", "ceph-mon"), ("mgrs", "ceph-mgr"), ("osds", "ceph-osd"), ("mdss", "ceph-mds"), ("rgws", "radosgw"))},
    "nfs_gateways": ("ganesha.nfsd", 0.5),
    "kvm_hosts": ("libvirtd", 0.8),
    "cloudstack_management": ("cloudstack-setup-management", 3.0),
    "openstack_controllers": ("nova-manage", 1.6),
}


def of_room(stack: Stack) -> Found:
    """Filesystems that are too full for packages, or for a monitor's store."""
    for host in stack.hosts:
        rooms = {room["path"]: room for room in _said(host).get("rooms") or ()}
        installed, mine = set(_said(host).get("programs") or ()), _mine(stack, host.name)
        missing = [role for role in sorted(mine & set(NEEDS)) if NEEDS[role][0] not in installed]
        need = max((NEEDS[role][1] for role in missing), default=0.0)
        for path, share in (("/usr", need), ("/var/cache/apt/archives", need / 2)):
            if path in rooms and rooms[path]["free"] < share * GIB:
                shown = f"{rooms[path]['free'] / GIB:.2g} GiB are free in {path}, and the packages of {', '.join(missing)} need about {share:g} GiB there"
                yield host.name, f"{shown}: make room, or give it a larger disk"
                break
        if "mons" not in mine or not rooms.get("/var/lib/ceph", {}).get("total"):
            continue
        room = rooms["/var/lib/ceph"]
        percent = 100 * room["free"] / room["total"]
        for option, default, fatal in (("mon_data_avail_crit", 5, True), ("mon_data_avail_warn", 30, False)):
            least = _options(stack, option, default)
            if percent < least:
                text = f"{percent:.0f} % ({room['free'] / GIB:.2g} GiB) are free for its monitor's store in /var/lib/ceph"
                if fatal:
                    yield host.name, f"{text}, and below {least:g} % a monitor ends itself ({option}): make room, or give it a disk of its own"
                else:
                    stack.warnings.append(f"{host.name}: {text}, and below {least:g} % Ceph warns ({option}): make room")
                break


# -- ports


def of_ports(stack: Stack) -> Found:
    """Ports that something else holds, and those that two of a host's roles would have."""
    public: list[t.Any] = []
    with contextlib.suppress(ValueError):
        public = _inventory.networks(_ceph(stack).get("public_network"))
    for host in stack.hosts:
        address = None
        with contextlib.suppress(ValueError):
            address = _inventory.address_of(host, public, stack.monmap) if public else None
            ipaddress.ip_address(address or "::")
        wanted = wanted_ports(_mine(stack, host.name), {"ceph_rgw_instances": stack.value(host.name, "ceph_rgw_instances")}, address)
        for number, one in enumerate(wanted):
            for other in wanted[:number]:
                if one.port == other.port and one.programs != other.programs and _meet(one.address, other.address):
                    yield host.name, f"{one.what} and {other.what} would both listen on port {one.port}: {one.mend or other.mend or 'use two hosts'}"
        told = set()
        for held in _said(host).get("listeners") or ():
            for one in (one for one in wanted if one.port == held["port"] and _meet(one.address, ipaddress.ip_address(held["address"]))):
                names = [name for name in (held["program"], held["name"], held["unit"]) if name]
                if any(name.startswith(one.programs) for name in names) or (one.port, *names) in told:
                    continue
                told.add((one.port, *names))
                program = held["program"] or "the kernel (its NFS server: nfs-server.service)"
                who = f"{program} ({held['unit']})" if held["unit"] else program
                yield host.name, f"port {one.port}, on which {one.what} is to listen, is held by {who}: stop that{f', or {one.mend}' if one.mend else ''}"


def _meet(one: t.Optional[t.Any], other: t.Optional[t.Any]) -> bool:
    """Whether two sockets of one port cannot be beside each other. None: on all addresses."""
    if one is None or other is None or one == other:
        return True
    # One that listens on :: takes IPv4 as well, unless it says otherwise.
    return any(first.is_unspecified and (first.version == second.version or first.version == 6) for first, second in ((one, other), (other, one)))


# -- stores


def of_stores(stack: Stack) -> Found:
    """That all monitors' stores are gone while OSDs of their cluster are there. A new cluster in their place would not know these OSDs."""
    mons = stack.members("mons")
    said = {host.name: _said(host) for host in stack.hosts}
    if not mons or any(not said.get(name) or "traces" not in said[name] for name in mons) or any(said[name]["traces"]["monitors"] for name in mons):
        return
    declared = str(_ceph(stack).get("fsid") or "").lower()
    left: dict[str, list[str]] = {}
    for name, mine in said.items():
        allowed = stack.value(name, "ceph_osd_allow_loss") or ()
        for place, fsid in sorted((mine.get("traces") or {}).get("osds", {}).items()):
            if f"device/{place}" not in allowed and declared in ("", fsid.lower()):
                left.setdefault(fsid, []).append(f"{place} on {name}")
    for fsid, places in left.items():
        there = f"no host of {stack.roles['mons']} has a monitor's store, and there are OSDs of the cluster {fsid} ({_few(places)})"
        back = "bring a store back from a backup, or rebuild it from the OSDs (ceph-objectstore-tool --op update-mon-db)"
        given_up = "To give that cluster up, declare another ceph.fsid, or allow the loss of the devices (ceph_osd_allow_loss)"
        yield "", f"{there}: a new cluster is not made in its place: {back}. {given_up}"
    for name in mons if not left else ():
        if said[name]["traces"]["admin"]:
            there = f"it has {ADMIN_KEYRING}, and no host of {stack.roles['mons']} has a monitor's store: the cluster that the key is of has lost them"
            yield name, f"{there}, and a new one is not made in its place: bring a store back from a backup. To give that cluster up, remove the file"


CHECKS: tuple[t.Callable[[Stack], Found], ...] = (of_clocks, of_networks, of_room, of_ports, of_stores)
