# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that others keep (ceph.external): who asks it, and as whom. Pure. Runs on the controller.

PRIVATE to the collection.
"""

from __future__ import annotations

import configparser
import ipaddress
import typing as t
import uuid

Item = t.Mapping[str, t.Any]
Groups = t.Mapping[str, t.Sequence[str]]
# Whose hosts have Ceph's client libraries, and can ask for others.
_CAN_ASK = ("kvm_hosts", "xen_hosts", "nfs_gateways", "openstack_controllers", "openstack_hosts")
# What a cluster of this inventory's own has, and an external one never.
_OWN = ("mons", "mgrs", "osds", "mdss", "rgws")


def external_of(ceph: t.Any) -> Item:
    """Return ceph.external of the variable ceph, {} where the cluster is the inventory's own."""
    return (ceph.get("external") or {}) if isinstance(ceph, t.Mapping) else {}


def asking_host(external: Item, groups: Groups, roles: t.Mapping[str, str]) -> str:
    """Return the host that asks the cluster, "" where there is none. roles: the groups that have another name than their role."""
    members = (name for role in _CAN_ASK for name in groups.get(roles.get(role, role)) or ())
    return str(external.get("host") or next(members, ""))


def key_in(keyring: str, client: str) -> str:
    """Return the key of a client in the text of a keyring, "" where it has none."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string("\n".join(line.strip() for line in keyring.splitlines()))
    except configparser.Error:
        return ""
    return parser.get(client, "key", fallback="").strip()


def connection_of(external: Item, keyring: t.Callable[[str], str]) -> dict[str, str]:
    """Return the option `connection`: as the client that keeps what is declared, else as the first of those whose keys are given. keyring: reads a file."""
    client, key = str(external.get("client") or ""), str(external.get("key") or "")
    if not client:
        client, key = next(((str(name), str(given)) for name, given in (external.get("client_keys") or {}).items()), ("", ""))
    elif not key and external.get("keyring"):
        key = key_in(keyring(str(external["keyring"])), client)
    return {"mon_host": ",".join(map(str, external.get("monitors") or ())), "client": client, "key": key}


def problems(external: Item, groups: Groups, roles: t.Mapping[str, str], needed: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[str]:
    """What is wrong with ceph.external. needed: the commands that make the clients whose keys hosts need, and what these need, by the clients' names."""
    where = "ceph.external"
    for role in _OWN:
        members = groups.get(roles.get(role, role)) or ()
        if members:
            group = roles.get(role, role)
            yield f"{where}: {', '.join(members)} in the group {group}: an external cluster's daemons are others': take the hosts out, or external"
    if not external.get("monitors"):
        yield f"{where}.monitors is empty: write the addresses of mon_host in the cluster's ceph.conf"
    for number, text in enumerate(external.get("monitors") or ()):
        if not _is_address(str(text)):
            yield f"{where}.monitors[{number}]: '{text}' is not an IP address: write one, without a port"
    try:
        uuid.UUID(str(external.get("fsid")))
    except ValueError:
        yield f"{where}.fsid: '{external.get('fsid')}' is no fsid: write what `ceph fsid` says there"
    yield from _identity_problems(external, where, needed)
    names = {name for members in groups.values() for name in members}
    if external.get("host") and external["host"] not in names:
        yield f"{where}.host: '{external['host']}' is not in the inventory: write the name of a host"
    if not asking_host(external, groups, roles):
        yield f"{where}: no host of the inventory can ask it: name one in {where}.host"


def _identity_problems(external: Item, where: str, needed: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[str]:
    client, given = external.get("client"), external.get("client_keys")
    if bool(client) == bool(given):
        yield f"{where}: give either client, with key or keyring, who may make pools and clients, or client_keys, the keys of clients that are there"
    if client and not str(client).startswith("client."):
        yield f"{where}.client: the name of a client begins with 'client.': write client.{client}"
    if client and bool(external.get("key")) == bool(external.get("keyring")):
        yield f"{where}: give one of key and keyring for {client}: keep the key in a vault"
    if given and not client:
        for name in sorted(set(needed) - set(given)):
            make, *more = (f"`{command}`" for command in needed[name])
            first = f"{' and '.join(more)}, and for the key of " if more else "that of "
            yield f"{where}.client_keys: the key of {name} is missing: ask who keeps the cluster for {first}{make}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
