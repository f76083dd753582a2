# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xenstore, where Xen's first domain and its guests agree on their disks; and what it says of those disks.

Spoken to over its socket: xenstore-ls is a process for each look, and cuts long values, which errors are.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import re
import socket
import struct
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

SOCKET = "/run/xenstored/socket"

# Xen's public/io/xs_wire.h: the types of messages, and their header (type, request, transaction, length of what follows).
_DIRECTORY, _READ, _ERROR = 1, 2, 16
_HEADER = struct.Struct("<IIII")
_LONGEST = 4096

# Xen's public/io/xenbus.h
STATES = ("Unknown", "Initialising", "InitWait", "Initialised", "Connected", "Closing", "Closed", "Reconfiguring", "Reconfigured")
CONNECTED = 4
# The kinds of backend that serve disks: the kernel's blkback, QEMU, and tapdisk (libxl's name for it since 4.20).
_KINDS = ("vbd", "qdisk", "vbd3")


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk of a guest that runs. kind: one of _KINDS. device: the guest's name of it, xvda. params: as xl was told. state: one of STATES.

    node: what a script of ours mapped, "" where there was none. error: what script, backend or guest said of it, "" where nobody complained.
    """

    domain: int
    guest: str
    kind: str
    device: str
    state: int
    params: str
    mode: str = "w"
    node: str = ""
    error: str = ""

    @property
    def image(self) -> t.Optional[tuple[str, str]]:
        return image_of(self.params)

    @property
    def state_name(self) -> str:
        return STATES[self.state] if self.state < len(STATES) else STATES[0]


@dataclasses.dataclass(frozen=True)
class Running:
    """guests: the number of each domain but the first, by name. disks: all of theirs."""

    guests: t.Mapping[str, int]
    disks: tuple[Disk, ...]

    def disk(self, guest: str, device: str) -> t.Optional[Disk]:
        return next((disk for disk in self.disks if (disk.guest, disk.device) == (guest, device)), None)


NOBODY = Running({}, ())


def image_of(params: str) -> t.Optional[tuple[str, str]]:
    """Return the pool and image that a backend's params name, in any of the forms that this collection writes."""
    found = re.fullmatch(r"(?:aio:)?(?:rbd:)?(?:nbd:)?(?:phy:)?(?:/dev/rbd/|/dev/rbd-nbd/)?([^/:]+)/([^/:]+)(?::.*)?", params, re.DOTALL)
    return (found[1], found[2]) if found else None


class Xenstore:
    """An open connection to xenstored. Use as a context manager. Raises Unreachable."""

    def __init__(self, path: str = SOCKET) -> None:
        self.path = path
        self._socket: t.Any = None
        self._answers: t.Any = None

    def __enter__(self) -> Xenstore:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(30)
            self._socket.connect(self.path)
            self._answers = self._socket.makefile("rb")
        except OSError as error:
            self._socket.close()
            where = f"xenstore at {self.path} does not answer: {error.strerror or error}"
            raise Unreachable(f"{where}; is this Xen's first domain, and does xen.service run?") from error
        return self

    def __exit__(self, *unused: object) -> None:
        self._answers.close()
        self._socket.close()

    def names(self, path: str) -> list[str]:
        return [name for name in (self._ask(_DIRECTORY, path) or "").split("\0") if name]

    def read(self, path: str) -> t.Optional[str]:
        return self._ask(_READ, path)

    def tree(self, path: str) -> dict[str, str]:
        """Return all values below a path that are not empty, by their path within it."""
        found: dict[str, str] = {}
        for name in self.names(path):
            value = self.read(f"{path}/{name}")
            if value:
                found[name] = value
            found.update((f"{name}/{below}", value) for below, value in self.tree(f"{path}/{name}").items())
        return found

    def _ask(self, kind: int, path: str) -> t.Optional[str]:
        body = path.encode() + b"\0"
        try:
            self._socket.sendall(_HEADER.pack(kind, 0, 0, len(body)) + body)
            answered, _request, _transaction, length = _HEADER.unpack(self._answers.read(_HEADER.size))
            (data,) = struct.unpack(f"{min(length, _LONGEST)}s", self._answers.read(min(length, _LONGEST)))
        except (OSError, struct.error) as error:
            why = error if isinstance(error, OSError) else "it closed the connection"
            raise Unreachable(f"xenstore at {self.path} broke off: {why}") from error
        text = str(data, "utf-8", "replace")
        if answered == _ERROR and text != "ENOENT\0":
            raise Unreachable(f"xenstore at {self.path}: {path}: {text.rstrip(chr(0))}")
        return None if answered == _ERROR else text


def look() -> Running:
    with Xenstore() as store:
        return running(store)


def running(store: Xenstore) -> Running:
    found = {number: store.read(f"/local/domain/{number}/name") for number in store.names("/local/domain") if number != "0"}
    names = {number: name for number, name in found.items() if name}
    disks: list[Disk] = []
    errors = store.tree("/local/domain/0/error")
    for kind in _KINDS:
        devices: dict[tuple[str, str], dict[str, str]] = {}
        for path, value in store.tree(f"/local/domain/0/backend/{kind}").items():
            domain, number, key = (*path.split("/", 2), "", "")[:3]
            if key and domain in names:  # not dom0's own, nor what a domain that is no more left behind
                devices.setdefault((domain, number), {})[key] = value
        for (domain, number), values in devices.items():
            said = [values.get("hotplug-error", ""), errors.get(f"backend/{kind}/{domain}/{number}/error", "")]
            if said == ["", ""] or values.get("state") != str(CONNECTED):
                said.append(store.read(f"/local/domain/{domain}/error/device/vbd/{number}/error") or "")
            if not any(said) and values.get("hotplug-status") == "error":
                said = ["its hotplug script failed"]
            state, error = values.get("state", "0"), "; ".join(dict.fromkeys(filter(None, said)))
            device, params, mode, node = (values.get(key, default) for key, default in (("dev", ""), ("params", ""), ("mode", "w"), ("node", "")))
            disks.append(Disk(int(domain), names[domain], kind, device, int(state) if state.isdigit() else 0, params, mode, node, error))
    return Running({name: int(number) for number, name in names.items()}, tuple(disks))
