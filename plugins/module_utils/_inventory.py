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

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.gateways import short_name

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


def host_of(variables: t.Mapping[str, t.Any], name: str = "") -> Host:
    """Return the host whose variables (of hostvars) these are, without its groups."""
    name = name or str(variables.get("inventory_hostname", ""))
    return Host(name=name, groups=frozenset(), variables=variables, facts=variables.get("ansible_facts") or {})


def reached_by(host: Host) -> t.Optional[str]:
    """Return the address or name by which Ansible is told to reach a host, None where only its inventory name says so."""
    named = host.variables.get("ansible_host") or host.variables.get("ansible_ssh_host")
    return str(named) if named else None


def _routed(host: Host) -> list[str]:
    """Return the addresses of a host's default routes, as its facts have them."""
    routes = (host.facts.get(f"default_{family}") or {} for family in ("ipv4", "ipv6"))
    return [str(route["address"]) for route in routes if route.get("address")]


def addresses(host: Host) -> list[str]:
    """Return the addresses that a host itself has, as its facts have them."""
    return [*host.facts.get("all_ipv4_addresses", []), *host.facts.get("all_ipv6_addresses", [])]


def address_of(host: Host, public: t.Sequence[Network] = ()) -> t.Optional[str]:
    """Return the address by which a host is reached; in the networks, if there are any, and None where it has none in them.

    Without networks: ansible_host, which may be a name; else the address of the default route; else the host's name.
    In networks: ceph_common_address is taken as it stands, whether it fits or not; else ansible_host if it lies in the public
    network, else the first address of the host's facts that does.
    """
    if not public:
        return reached_by(host) or next(iter(_routed(host)), host.name)
    declared = host.variables.get("ceph_common_address")
    if declared:
        return str(declared)
    for candidate in [reached_by(host), host.name, *addresses(host)]:
        try:
            address = ipaddress.ip_address(str(candidate))
        except ValueError:
            continue
        if any(address in network for network in public):
            return str(candidate)
    return None


def own_address(host: Host) -> str:
    """Return the one of a host's own addresses by which it is reached: ansible_host if it is one, else the default route's, else the first."""
    own = addresses(host)
    named = reached_by(host)
    return named if named in own else next(iter(_routed(host) or own), "127.0.0.1")


def families(chosen: t.Iterable[str], cluster: t.Sequence[Network] = ()) -> t.FrozenSet[int]:
    """Return which families (4, 6) Ceph's daemons have to bind: those of the monitors' addresses, by which all reach each other.

    cluster: the networks of the OSDs' replication. Only where none of them is of a family that is bound anyway, it adds its own:
    Ceph wants an address of each family that it is to bind wherever the networks are of both.
    """
    found = {ipaddress.ip_address(address).version for address in chosen}
    of_cluster = {network.version for network in cluster}
    return frozenset(found if found & of_cluster else found | of_cluster)


def shared_settings(chosen: t.Mapping[str, str], ceph: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return what follows for every host's ceph.conf from the monitors' addresses by host; "" where Ceph's default is right.

    Raises ValueError.
    """
    public = networks(ceph.get("public_network"))
    # Before any address is known, what Ceph itself would take of the networks: the first.
    bound = families(chosen.values() or [str(network.network_address) for network in public[:1]], networks(ceph.get("cluster_network")))
    return {
        "mon_host": ",".join(chosen.values()),
        # Ceph binds IPv4 by default, and not IPv6.
        "ms_bind_ipv6": "true" if 6 in bound else "",
        "ms_bind_ipv4": "" if 4 in bound else "false",
    }


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
    return str(host.facts.get("hostname") or short_name(host.name))


def _nfs_client(host: Host) -> str:
    return "client.nfs." + re.sub(r"[^A-Za-z0-9_-]+", "-", host.name)  # as the role nfs_gateway names it


# What is named after a host in each role, how, and by which name of it.
_NAMED: tuple[tuple[str, str, t.Callable[[Host], str]], ...] = (
    ("mons", "monitor", own_name),
    ("mgrs", "manager", own_name),
    ("osds", "OSDs", own_name),
    ("mdss", "metadata server", own_name),
    ("rgws", "object gateways", lambda host: short_name(host.name)),
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
    for key in ("name", "port"):
        seen: set[t.Any] = set()
        for instance in host.variables.get("ceph_rgw_instances") or []:
            value = instance.get(key)
            if value is not None and value in seen:
                found.append(f"{host.name}: two of ceph_rgw_instances have the {key} {value}")
            seen.add(value)
    return found
