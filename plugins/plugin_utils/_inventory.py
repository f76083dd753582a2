# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory says of its hosts, checked across all of them. Runs on the controller, knows no cluster.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._spec import twice
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _object_gateways as gateways

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
# The addresses of each monitor of the running cluster, by its name.
Monmap = t.Mapping[str, t.Sequence[str]]


class Ambiguous(ValueError):
    """Several addresses of a host could be meant."""


@dataclasses.dataclass(frozen=True)
class Host:
    """One host of the inventory. variables: its own, templated. playing: whether it is in this run, and answers.
    facts: its ansible_facts, empty where none were gathered (a host outside --limit)."""

    name: str
    groups: t.FrozenSet[str]
    variables: t.Mapping[str, t.Any]
    facts: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    playing: bool = True


def networks(text: t.Optional[str]) -> list[Network]:
    """Parse "10.0.0.0/24, fd00::/64". Raises ValueError with the part that is no network."""
    parsed = []
    for part in filter(None, map(str.strip, (text or "").split(","))):
        try:
            parsed.append(ipaddress.ip_network(part, strict=False))
        except ValueError as error:
            raise ValueError(f"'{part}' is not a network in CIDR form, such as 10.0.0.0/24") from error
    return parsed


def host_of(variables: t.Mapping[str, t.Any], name: str = "") -> Host:
    """Return the host whose variables (of hostvars) these are, without its groups."""
    return Host(name or str(variables.get("inventory_hostname", "")), frozenset(), variables, variables.get("ansible_facts") or {})


def reached_by(host: Host) -> t.Optional[str]:
    """Return the address or name by which Ansible is told to reach a host, None where only its inventory name says so."""
    named = host.variables.get("ansible_host") or host.variables.get("ansible_ssh_host")
    return str(named) if named else None


def own_name(host: Host) -> str:
    """Return the name by which Ceph knows a host: its own short one where facts are known, else that of the inventory."""
    return str(host.facts.get("hostname") or gateways.short_name(host.name))


def _routed(host: Host) -> list[str]:
    """The addresses of a host's default routes, as its facts have them."""
    routes = [host.facts.get("default_ipv4") or {}, host.facts.get("default_ipv6") or {}]
    return [str(route["address"]) for route in routes if route.get("address")]


def _own(host: Host) -> list[str]:
    """The addresses that a host itself has, as its facts have them."""
    return [*host.facts.get("all_ipv4_addresses", []), *host.facts.get("all_ipv6_addresses", [])]


def names_of(host: Host) -> list[str]:
    """Return the names and addresses of a host by which others may know it, each once: none that is only valid on the host itself, or on a link."""
    every = [host.name, reached_by(host), host.facts.get("hostname"), host.facts.get("fqdn"), *_own(host)]
    local = ("127.", "169.254.", "fe80:", "::1", "localhost")
    return list(dict.fromkeys(str(one) for one in every if one and not str(one).startswith(local)))


def _among(given: t.Iterable[t.Optional[str]], within: t.Optional[t.Iterable[Network]] = None) -> list[str]:
    """Those that are addresses, each once, as everybody writes them; of the networks alone, those of the first one first."""
    found = []
    for text in given:
        with contextlib.suppress(ValueError):
            found.append(ipaddress.ip_address(str(text)))
    if within is not None:
        found = [address for network in within for address in found if address in network]
    return [*dict.fromkeys(map(str, found))]


def addresses_in(host: Host, within: t.Sequence[Network]) -> list[str]:
    """Return a host's own addresses in some networks, as far as its facts are known."""
    return _among(_own(host), within)


def address_of(host: Host, public: t.Sequence[Network] = (), monmap: t.Optional[Monmap] = None) -> t.Optional[str]:
    """Return the address by which a host is reached; in the networks, if there are any, and None where none is known in them.

    Without networks: ansible_host, which may be a name; else the address of the default route; else the host's name.
    In networks: where its monitor runs; else ceph_common_address, whether it fits or not; else ansible_host or the host's name if it is an
    address there; else the default route's; else the only one that the host has in the first network where it has any.

    monmap: the running cluster's monitors. Raises Ambiguous where several addresses could be meant: one may be a virtual one that other hosts take over.
    """
    if not public:
        return reached_by(host) or next(iter(_routed(host)), host.name)
    own = _among(_own(host))
    # A monitor of this name elsewhere is another host's.
    existing = [address for address in _among((monmap or {}).get(own_name(host), ())) if address in own or not own]
    declared = host.variables.get("ceph_common_address")
    if existing or declared:
        return existing[0] if existing else next(iter(_among([declared])), str(declared))
    told = [*_among([reached_by(host), host.name], public), *_among(_routed(host), public)]
    if told:
        return told[0]
    for network in public:
        candidates = _among(own, [network])
        if len(candidates) > 1:
            several = f"several addresses in ceph.public_network ({network}), {', '.join(candidates)}, and its default route goes by none of them"
            raise Ambiguous(f"{host.name}: has {several}: set ceph_common_address for it to the one that stays on this host, which a virtual address does not")
        if candidates:
            return candidates[0]
    return None


def own_address(host: Host) -> str:
    """Return that of a host's own addresses by which others reach it: ansible_host, else the default route's, else the only one. Raises Ambiguous."""
    own = _among(host.facts.get("all_ipv4_addresses", [])) or [address for address in _among(_own(host)) if not ipaddress.ip_address(address).is_link_local]
    told = [address for address in _among([reached_by(host), *_routed(host)]) if address in own]
    if len(own) > 1 and not told:
        raise Ambiguous(f"{host.name}: has several addresses, {', '.join(own)}, and no default route: set ansible_host for it to the one that others reach")
    return [*told, *own, "127.0.0.1"][0]


def families(chosen: t.Iterable[str], cluster: t.Sequence[Network] = ()) -> t.FrozenSet[int]:
    """Return which families (4, 6) Ceph's daemons have to bind: those of the monitors' addresses, by which all reach each other.
    cluster: the networks of the OSDs' replication, which add theirs only where none of them is of a family that is bound anyway: Ceph wants an address of each
    family that it is to bind wherever the networks are of both."""
    found = {ipaddress.ip_address(address).version for address in chosen}
    of_cluster = {network.version for network in cluster}
    return frozenset(found if found & of_cluster else found | of_cluster)


def _addresses(hosts: t.Sequence[Host], public: t.Sequence[Network], monmap: t.Optional[Monmap]) -> tuple[dict[str, str], dict[str, ValueError]]:
    """Return (addresses, why there is none) by host."""
    chosen: dict[str, str] = {}
    unknown: dict[str, ValueError] = {}
    for host in hosts:
        try:
            address = address_of(host, public, monmap)
        except Ambiguous as error:
            unknown[host.name] = error
            continue
        if address:
            chosen[host.name] = address
        else:
            lacks = f"{host.name}: has no address in ceph.public_network ({_shown(public)})"
            unknown[host.name] = ValueError(f"{lacks}: set ceph_common_address for it, or correct the network")
    return chosen, unknown


def known_addresses(
    hosts: t.Sequence[Host], public: t.Sequence[Network], monmap: t.Optional[Monmap] = None, required: t.Collection[str] = ()
) -> tuple[dict[str, str], dict[str, str]]:
    """Return (addresses, why there is none) by host. Raises ValueError where a host of required has none."""
    chosen, unknown = _addresses(hosts, public, monmap)
    for name, error in unknown.items():
        if name in required:
            raise error
    return chosen, {name: str(error) for name, error in unknown.items()}


def told_addresses(hosts: t.Sequence[Host], chosen: t.Mapping[str, str], monmap: t.Optional[Monmap] = None) -> list[str]:
    """Return the addresses of the monitors' hosts that clients are told, in the order of the hosts.
    For a host whose address is not known, a running monitor counts that none of the known ones is: its name is not its host's."""
    left = iter(given[0] for given in map(_among, (monmap or {}).values()) if given and not {*given} & {*chosen.values()})
    return [address for address in (chosen.get(host.name) or next(left, None) for host in hosts) if address]


def shared_settings(told: t.Sequence[str], ceph: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return what follows for every host's ceph.conf from the monitors' addresses; "" where Ceph's default is right. Raises ValueError."""
    public = networks(ceph.get("public_network"))
    # Before any address is known, what Ceph itself would take of the networks: the first.
    bound = families(told or [str(network.network_address) for network in public[:1]], networks(ceph.get("cluster_network")))
    # Ceph binds IPv4 by default, and not IPv6.
    return {"mon_host": ",".join(told), "ms_bind_ipv6": "true" if 6 in bound else "", "ms_bind_ipv4": "" if 4 in bound else "false"}


def _shown(public: t.Iterable[Network]) -> str:
    return ", ".join(str(network) for network in public)


_CEPH = ("mons", "mgrs", "osds", "mdss", "rgws")


def problems(
    hosts: t.Sequence[Host], ceph: t.Mapping[str, t.Any], roles: t.Mapping[str, str], monmap: t.Optional[Monmap] = None
) -> tuple[list[str], list[str]]:
    """Return (problems, warnings) of an inventory, each naming the variable, the host and the mend.
    roles: which group plays which role, {"mons": "mons", ...}. monmap: the running cluster's monitors, as far as they are known."""
    found: list[str] = []
    warnings: list[str] = []
    parsed: dict[str, list[Network]] = {}
    for key in ("public_network", "cluster_network"):
        try:
            parsed[key] = networks(ceph.get(key))
        except ValueError as error:
            found.append(f"ceph.{key}: {error}")
    public = parsed.get("public_network")
    # Pools of XenServer may have repositories on other storage only.
    if public == [] and not ceph.get("external") and not (hosts and all(roles.get("xen_pool_hosts") in host.groups for host in hosts)):
        found.append("ceph.public_network is empty: give the network by which clients reach Ceph, such as 10.0.0.0/24")

    def members(*of: str) -> list[Host]:
        return [host for host in hosts if any(roles.get(role, role) in host.groups for role in of)]

    of_ceph, mons = members(*_CEPH), members("mons")
    if of_ceph and not mons and not ceph.get("external"):
        found.append(f"group {roles.get('mons', 'mons')} is empty: a cluster needs at least one monitor")
    if mons and len(mons) % 2 == 0:
        warnings.append(f"{len(mons)} monitors survive no more failures than {len(mons) - 1}: use an odd number")
    if mons and not members("mgrs"):
        found.append(f"group {roles.get('mgrs', 'mgrs')} is empty: a cluster needs at least one manager")
    if public:
        chosen, unknown = _addresses(of_ceph, public, monmap)
        told = {host.name for host in members("mons", "rgws")}  # others are told their addresses
        playing = {host.name for host in hosts if host.playing}  # nobody has asked the others
        found += (str(error) for name, error in unknown.items() if name in (told if isinstance(error, Ambiguous) else playing))
        found += _address_problems(chosen, public)
        found += _family_problems(of_ceph, public, families(_among(chosen.get(host.name) for host in mons)))
    clashes = _clashes((what, host, name_of(host)) for role, what, name_of in _NAMED for host in members(role))
    for (first, second, name), what in clashes.items():
        named = f"{first} and {second} have one name, '{name}', after which their {' and '.join(dict.fromkeys(what))} would be named"
        found.append(f"{named}: give one of them another name, the host itself and in the inventory")
    refused = {clash[:2] for clash in clashes}
    for first, second, name in _clashes(("host", host, own_name(host)) for host in of_ceph):
        if (first, second) not in refused:
            warnings.append(f"{first} and {second} have one short name, '{name}': Ceph will show them as one host")
    for role, variable, check in (("osds", "ceph_osd_devices", _device_problems), ("rgws", "ceph_rgw_instances", _instance_problems)):
        found += (f"{host.name}: {text}" for host in members(role) for text in check(host.variables.get(variable) or []))
    return found, warnings


def _address_problems(chosen: t.Mapping[str, str], public: t.Sequence[Network]) -> t.Iterator[str]:
    for name, address in chosen.items():
        if not _among([address]):
            yield f"{name}: ceph_common_address '{address}' is not an IP address"
            continue
        if not _among([address], public):
            yield f"{name}: ceph_common_address {address} is outside ceph.public_network ({_shown(public)})"
        first = next((other for other, taken in chosen.items() if taken == address), name)
        if first != name:
            yield f"{name} and {first} have one address, {address}: correct ansible_host or ceph_common_address of one of them"


def _family_problems(hosts: t.Sequence[Host], public: t.Sequence[Network], bound: t.Collection[int]) -> t.Iterator[str]:
    """Daemons bind the families of the monitors' addresses, which may not be all that the networks have."""
    for host in hosts:
        own = _own(host)
        for version in sorted(bound):
            of_version = [network for network in public if network.version == version]
            if own and of_version and not _among(own, of_version):
                yield f"{host.name}: has no IPv{version} address in ceph.public_network ({_shown(of_version)}), but monitors have: give it one or change theirs"


def _full_name(host: Host) -> str:
    return str(host.facts.get("nodename") or host.name)


# What is named after a host in each role, how, and by which name of it.
_NAMED: tuple[tuple[str, str, t.Callable[[Host], str]], ...] = (
    ("mons", "monitor", own_name),
    ("mgrs", "manager", own_name),
    ("osds", "OSDs", own_name),
    ("mdss", "metadata server", own_name),
    ("rgws", "object gateways", lambda host: gateways.short_name(host.name)),
    # as the role nfs_gateway names it
    ("nfs_gateways", "NFS client", lambda host: "client.nfs." + re.sub(r"[^A-Za-z0-9_-]+", "-", host.name)),
    # Images and guests that prove a host, and CloudStack's agents, have its name in full. They are of KVM and Xen alike.
    ("kvm_hosts", "guests", _full_name),
    ("xen_hosts", "guests", _full_name),
)


def _clashes(named: t.Iterable[tuple[str, Host, str]]) -> dict[tuple[str, str, str], list[str]]:
    """{(a host, another, the name): what would be one thing for both}, of (what is named so, after which host, the name)."""
    taken: dict[tuple[str, str], str] = {}
    found: dict[tuple[str, str, str], list[str]] = {}
    for what, host, name in named:
        first = taken.setdefault((what, name), host.name)
        if first != host.name:
            found.setdefault((first, host.name, name), []).append(what)
    return found


def _device_problems(devices: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    used: dict[t.Any, str] = {}
    for number, device in enumerate(devices):
        path, here = device.get("path"), f"ceph_osd_devices[{number}].path"
        if path and used.setdefault(path, here) != here:
            yield f"{here} {path} is already used as {used[path]}"
    for number, device in enumerate(devices):
        for part in ("db", "wal"):
            if device.get(part) in used:
                yield f"ceph_osd_devices[{number}].{part} {device[part]} is already used as {used[device[part]]}"


def _instance_problems(instances: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    names = [instance.get("name") for instance in instances]
    yield from (f"two of ceph_rgw_instances have the name {name}" for name in twice(filter(None, names)))
    taken: list[gateways.Listener] = []
    for instance in instances:
        if instance.get("port") is None:
            continue
        try:
            places = gateways.listeners(instance)
        except ValueError as error:
            yield f"ceph_rgw_instances: {instance.get('name')}: {error}"
            continue
        clashes = {one.port for one in places for other in taken if one.port == other.port and _same_place(one, other)}
        yield from (f"two of ceph_rgw_instances have the port {port}" for port in sorted(clashes))
        taken += places


def _same_place(one: gateways.Listener, other: gateways.Listener) -> bool:
    """Whether two sockets of one port cannot be bound beside each other: on one address, or one of them on all of its family's."""
    if one.address is None or other.address is None or one.address == other.address:
        return True
    return one.address.version == other.address.version and (one.address.is_unspecified or other.address.is_unspecified)
