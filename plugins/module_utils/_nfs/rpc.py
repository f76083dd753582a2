# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an NFS server says of itself, asked by rpcinfo (of the package rpcbind) and showmount (of nfs-common).

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import socket
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

# Where mountd has its port everywhere, so that a firewall can know it.
MOUNT_PORT = 20048
_SECONDS = 5


class Silent(Exception):
    """The server did not answer, or not in its language."""


def alive(host: str = "127.0.0.1") -> None:
    """Return if an NFS server of version 4 answers at its port, at one of the host's addresses. Raises Silent."""
    last: Exception = Silent("it has no address")
    try:
        for family, _type, _protocol, _name, (address, *_more) in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            try:
                return _ask(str(address), "tcp6" if family == socket.AF_INET6 else "tcp")
            except (process.CommandError, OSError) as error:
                last = error
    except OSError as error:
        last = error
    raise Silent(f"{host}:2049: {last}") from last


def _ask(address: str, transport: str) -> None:
    """The port mapper is not asked, as not every server has one. Where rpcinfo is not installed, an open port must do."""
    try:
        process.run(["rpcinfo", "-a", f"{address}.8.1", "-T", transport, "100003", "4"], timeout=_SECONDS)  # 8.1 is port 2049
    except process.CommandError as error:
        if error.code != process.MISSING:
            raise
        socket.create_connection((address, 2049), _SECONDS).close()


def exports(but: t.Container[str] = ()) -> dict[str, list[str]]:
    """Return what this host's server exports to it: path -> the networks that may mount it, sorted, without some. Raises Silent, Unreachable."""
    alive()
    try:
        return parse_exports(process.run(["showmount", "--no-headers", "-e", "127.0.0.1"], timeout=_SECONDS), but)
    except process.CommandError as error:
        if error.code == process.MISSING:
            raise Unreachable(f"{error}: install the package nfs-common (nfs-utils on the EL family)") from error
        raise Silent(str(error)) from error


def parse_exports(text: str, but: t.Container[str] = ()) -> dict[str, list[str]]:
    """Read what showmount prints: a line for each path, with its networks between commas. Pure."""
    found = {}
    for path, *groups in (line.split() for line in text.splitlines() if line.strip()):
        networks = [_network(group) for group in ",".join(groups).split(",") if group not in ("", "(everyone)")]
        found[path] = sorted(network for network in networks if network not in but)
    return found


def _network(group: str) -> str:
    try:
        return str(ipaddress.ip_network(group, strict=False))
    except ValueError:
        return group
