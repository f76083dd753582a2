# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory says of its hosts, checked across all of them. Runs on the controller, knows no cluster.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import gateways

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclasses.dataclass(frozen=True)
class Host:
    """One host of the inventory.

    name: its inventory name. groups: the groups it is in. variables: its own variables, templated.
    facts: its ansible_facts, empty where none were gathered (a host outside --limit).
    """

    name: str
    groups: t.FrozenSet[str]
    variables: t.Mapping[str, t.Any]
    facts: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)


def networks(text: t.Optional[str]) -> list[Network]:
    """Parse "10.0.0.0/24, fd00::/64". Raises ValueError with the part that is no network."""
    parsed = []
    for part in (text or "").split(","):
        if part.strip():
            try:
                parsed.append(ipaddress.ip_network(part.strip(), strict=False))
            except ValueError as error:
                raise ValueError(f"'{part.strip()}' is not a network in CIDR form, such as 10.0.0.0/24") from error
    return parsed


def address_of(host: Host, public: t.Sequence[Network]) -> t.Optional[str]:
    """Return the address by which a host's daemons are reached, or None where it has none in the public network.

    ceph_common_address is taken as it stands, whether it fits or not; else ansible_host if it lies in the public
    network, else the first address of the host's facts that does.
    """
    declared = host.variables.get("ceph_common_address")
    if declared:
        return str(declared)
    candidates = [host.variables.get("ansible_host"), host.name, *host.facts.get("all_ipv4_addresses", []), *host.facts.get("all_ipv6_addresses", [])]
    for candidate in candidates:
        try:
            address = ipaddress.ip_address(str(candidate))
        except ValueError:
            continue
        if any(address in network for network in public):
            return str(candidate)
    return None


def problems(hosts: t.Sequence[Host], ceph: t.Mapping[str, t.Any], roles: t.Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return (problems, warnings) of an inventory, each naming the variable, the host and the mend.

    roles: which group plays which role, {"mons": "mons", ...}.
    """
    found: list[str] = []
    warnings: list[str] = []
    try:
        public = networks(ceph.get("public_network"))
        if not public:
            found.append("ceph.public_network is empty: give the network by which clients reach Ceph, such as 10.0.0.0/24")
    except ValueError as error:
        public = []
        found.append(f"ceph.public_network: {error}")
    try:
        networks(ceph.get("cluster_network"))
    except ValueError as error:
        found.append(f"ceph.cluster_network: {error}")

    def members(role: str) -> list[Host]:
        return [host for host in hosts if roles.get(role, role) in host.groups]

    ceph_hosts = [host for host in hosts if any(host in members(role) for role in ("mons", "mgrs", "osds", "mdss", "rgws"))]
    mons = members("mons")
    if ceph_hosts and not mons:
        found.append(f"group {roles.get('mons', 'mons')} is empty: a cluster needs at least one monitor")
    elif len(mons) % 2 == 0 and mons:
        warnings.append(f"{len(mons)} monitors survive no more failures than {len(mons) - 1}: use an odd number")
    if mons and not members("mgrs"):
        found.append(f"group {roles.get('mgrs', 'mgrs')} is empty: a cluster needs at least one manager")

    if public:
        found += _address_problems(ceph_hosts, public)
    of_names, more = _name_problems(hosts, roles)
    found += of_names
    warnings += more
    for host in members("osds"):
        found += _device_problems(host)
    for host in members("rgws"):
        found += _instance_problems(host)
    return found, warnings


def _address_problems(hosts: t.Sequence[Host], public: t.Sequence[Network]) -> list[str]:
    found = []
    taken: dict[str, str] = {}
    shown = ", ".join(str(network) for network in public)
    for host in hosts:
        address = address_of(host, public)
        if address is None:
            found.append(f"{host.name}: has no address in ceph.public_network ({shown}): set ceph_common_address for it, or mend the network")
            continue
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            found.append(f"{host.name}: ceph_common_address '{address}' is not an IP address")
            continue
        if not any(parsed in network for network in public):
            found.append(f"{host.name}: ceph_common_address {address} is outside ceph.public_network ({shown})")
        if address in taken:
            found.append(f"{host.name} and {taken[address]} have one address, {address}: mend ansible_host or ceph_common_address of one of them")
        taken.setdefault(address, host.name)
    return found


def own_name(host: Host) -> str:
    """Return the name by which Ceph knows a host: its own short one where facts are known, else that of the inventory."""
    return str(host.facts.get("hostname") or gateways.short_name(host.name))


def _nfs_client(host: Host) -> str:
    return "client.nfs." + re.sub(r"[^A-Za-z0-9_-]+", "-", host.name)  # as the role nfs_gateway names it


# What is named after a host in each role, how, and by which name of it.
_NAMED: tuple[tuple[str, str, t.Callable[[Host], str]], ...] = (
    ("mons", "monitor", own_name),
    ("mgrs", "manager", own_name),
    ("osds", "OSDs", own_name),
    ("mdss", "metadata server", own_name),
    ("rgws", "object gateways", lambda host: gateways.short_name(host.name)),
    ("nfs_gateways", "NFS client", _nfs_client),
    # Images and guests that prove a host, and CloudStack's agents, have its name in full. They are of KVM and Xen alike.
    ("kvm_hosts", "guests", lambda host: str(host.facts.get("nodename") or host.name)),
    ("xen_hosts", "guests", lambda host: str(host.facts.get("nodename") or host.name)),
)


def _name_problems(hosts: t.Sequence[Host], roles: t.Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return (problems, warnings) of hosts with one name: what is named after them would be one thing for both."""
    taken: dict[tuple[str, str], Host] = {}
    clashes: dict[tuple[str, str, str], list[str]] = {}
    for role, what, name_of in _NAMED:
        for host in hosts:
            if roles.get(role, role) not in host.groups:
                continue
            name = name_of(host)
            first = taken.setdefault((what, name), host)
            if first.name != host.name:
                clashes.setdefault((first.name, host.name, name), []).append(what)
    found = [
        f"{first} and {second} have one name, '{name}', after which their {' and '.join(dict.fromkeys(what))} would be named: "
        "give one of them another name, the host itself and in the inventory"
        for (first, second, name), what in clashes.items()
    ]
    warnings = []
    known: dict[str, Host] = {}
    for host in hosts:
        if any(roles.get(role, role) in host.groups for role in ("mons", "mgrs", "osds", "mdss", "rgws")):
            first = known.setdefault(own_name(host), host)
            if first.name != host.name and not any((first.name, host.name) == clash[:2] for clash in clashes):
                warnings.append(f"{first.name} and {host.name} have one short name, '{own_name(host)}': Ceph will show them as one host")
    return found, warnings


def _device_problems(host: Host) -> list[str]:
    found = []
    devices = host.variables.get("ceph_osd_devices") or []
    used: dict[str, str] = {}
    for number, device in enumerate(devices):
        path = device.get("path")
        if path and path in used:
            found.append(f"{host.name}: ceph_osd_devices[{number}].path {path} is already used as {used[path]}")
        if path:
            used.setdefault(path, f"ceph_osd_devices[{number}].path")
    for number, device in enumerate(devices):
        for part in ("db", "wal"):
            path = device.get(part)
            if path and used.get(path, "").endswith(".path"):
                found.append(f"{host.name}: ceph_osd_devices[{number}].{part} {path} is already used as {used[path]}")
    return found


def _instance_problems(host: Host) -> list[str]:
    found = []
    instances = host.variables.get("ceph_rgw_instances") or []
    names = [instance.get("name") for instance in instances]
    found += [f"{host.name}: two of ceph_rgw_instances have the name {name}" for name in sorted({name for name in names if name and names.count(name) > 1})]
    taken: list[gateways.Listener] = []
    for instance in instances:
        if instance.get("port") is None:
            continue
        try:
            places = gateways.listeners(instance)
        except ValueError as error:
            found.append(f"{host.name}: ceph_rgw_instances: {instance.get('name')}: {error}")
            continue
        clashes = {one.port for one in places for other in taken if one.port == other.port and _same_place(one.address, other.address)}
        found += [f"{host.name}: two of ceph_rgw_instances have the port {port}" for port in sorted(clashes)]
        taken += places
    return found


def _same_place(one: t.Any, other: t.Any) -> bool:
    """Whether two sockets of one port cannot be bound beside each other: on one address, or one of them on all of its family's."""
    if one is None or other is None:
        return True
    return one == other or (one.version == other.version and (one.is_unspecified or other.is_unspecified))
