# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an NFS server says of itself, asked by ONC RPC over TCP (RFC 5531) without any client installed.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import typing as t

# Program, version and procedure (RFC 1813, RFC 7530).
_NFS_NULL = (100003, 4, 0)
_MOUNT_EXPORT = (100005, 3, 5)
NFS_PORT = 2049
# Where mountd has its port everywhere; so there is no need to ask the port mapper, and a firewall can know it.
MOUNT_PORT = 20048


class Silent(Exception):
    """The server did not answer, or not in its language."""


def _call(host: str, port: int, what: tuple[int, int, int], timeout: float) -> bytes:
    """Call a procedure without arguments or credentials; return its result. Raises Silent."""
    identity = os.urandom(4)
    body = identity + struct.pack(">IIIII", 0, 2, *what) + struct.pack(">IIII", 0, 0, 0, 0)
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(struct.pack(">I", 0x80000000 | len(body)) + body)
            answer = b""
            last = False
            with connection.makefile("rb") as stream:
                while not last:  # a record is made of fragments
                    (head,) = struct.unpack(">I", stream.read(4))
                    last = bool(head & 0x80000000)
                    answer += stream.read(head & 0x7FFFFFFF)
            # xid, reply, accepted, an empty verifier, success
            if answer[:4] != identity or struct.unpack(">IIIII", answer[4:24]) != (1, 0, 0, 0, 0):
                raise Silent(f"{host}:{port} refused the call {what}")
            return answer[24:]
    except (OSError, struct.error) as error:
        raise Silent(f"{host}:{port}: {error}") from error


def alive(host: str = "127.0.0.1", timeout: float = 5.0) -> None:
    """Return if an NFS server of version 4 answers. Raises Silent."""
    _call(host, NFS_PORT, _NFS_NULL, timeout)


def exports(host: str = "127.0.0.1", timeout: float = 5.0) -> dict[str, list[str]]:
    """Return the exports that a server shows to this host: path -> the networks that may mount it, sorted. Raises Silent."""
    return parse_exports(_call(host, MOUNT_PORT, _MOUNT_EXPORT, timeout))


def parse_exports(data: bytes) -> dict[str, list[str]]:
    """Decode an exports list: (1, path, (1, group)* 0)* 0. Raises Silent."""
    found: dict[str, list[str]] = {}
    place = 0

    def number() -> int:
        nonlocal place
        place += 4
        return int(struct.unpack(">I", data[place - 4 : place])[0])

    def text() -> str:
        nonlocal place
        length = number()
        value = data[place : place + length]
        place += (length + 3) // 4 * 4
        return value.decode("utf-8", "replace")

    try:
        while number():
            path = text()
            groups = []
            while number():
                groups.append(_network(text()))
            found[path] = sorted(groups)
    except struct.error as error:
        raise Silent("an exports list that ends too early") from error
    return found


def _network(group: str) -> str:
    try:
        return str(ipaddress.ip_network(group, strict=False))
    except ValueError:
        return group


def summary(found: t.Mapping[str, t.Sequence[str]], but: t.Collection[str] = ()) -> dict[str, list[str]]:
    """The same without the networks that are named."""
    return {path: [group for group in groups if group not in but] for path, groups in found.items()}
