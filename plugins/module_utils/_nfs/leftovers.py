# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an NFS gateway has of a cluster that is to be gone: NFS-Ganesha's unit and configuration, but for its keyring; and who has mounted its exports.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import os
import shutil
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.osd_leftovers import remove_drop_in
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import ganesha
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk

_PORT = 2049
# Of its recovery backend "fs".
_RECOVERY = ("/var/lib/nfs/ganesha/v4recov", "/var/lib/nfs/ganesha/v4old")
_ESTABLISHED = "01"  # in the kernel's list of sockets
KINDS = frozenset(("unit", "file", "drop_in"))


@dataclasses.dataclass(frozen=True)
class Observed:
    """files: the paths of this collection's that are there. clients: the addresses of who is connected.

    recovery: where the server notes which clients may reclaim what they had, which nobody can any more.
    """

    files: t.Sequence[str] = ()
    drop_in: bool = False
    unit: systemd.Unit = systemd.NO_UNIT
    clients: t.Sequence[str] = ()
    recovery: t.Sequence[str] = ()


def observe() -> Observed:
    """Read the gateway. Raises Unreachable."""
    made = (files.read(ganesha.CONF) or "").startswith(ganesha.MADE)
    found = [path for path, there in ((ganesha.CONF, made), (ganesha.STAMP, os.path.exists(ganesha.STAMP))) if there]
    unit = systemd.units([ganesha.UNIT])[ganesha.UNIT]
    sockets = "".join(files.read(f"/proc/net/{name}") or "" for name in ("tcp", "tcp6")) if unit.active else ""
    return Observed(found, os.path.exists(systemd.drop_in_path(ganesha.UNIT)), unit, clients_of(sockets), [path for path in _RECOVERY if os.path.isdir(path)])


def clients_of(text: str) -> list[str]:
    """Return who is connected to this host's NFS server, itself left out, from the kernel's list of sockets. Pure."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[3] == _ESTABLISHED and words[1].endswith(f":{_PORT:04X}"):
            own, other = (_address(word.partition(":")[0]) for word in words[1:3])
            if other != own and not other.is_loopback:
                found.add(str(other))
    return sorted(found)


def _address(text: str) -> t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]:
    """An address as the kernel lists it: words of 32 bits, each as a little-endian number."""
    packed = b"".join(bytes.fromhex(text[place : place + 8])[::-1] for place in range(0, len(text), 8))
    address = ipaddress.ip_address(packed)
    return getattr(address, "ipv4_mapped", None) or address


def plan(draft: Draft, observed: Observed, allow_loss: t.Collection[str], prefix: str) -> None:
    """Plan that the server stops, and that nothing is left of its configuration. Pure."""
    if not observed.files and not observed.drop_in:
        return  # somebody else's, or none
    for client in observed.clients:
        if f"session/nfs:{client}" not in allow_loss:
            told = f"{client} has mounted an export of this gateway: unmount it there, or let it lose its storage"
            draft.problem(f"{told}: {prefix}allow_loss: [session/nfs:{client}]")
    state = {"enabled": observed.unit.enabled, "running": observed.unit.there}
    unit = state if any(state.values()) else None
    draft.ensure("unit", ganesha.UNIT, unit, None, functools.partial(systemd.stop, ganesha.UNIT), risk=Risk.RESTART, reason="the NFS server stops")
    needs = [f"unit/{ganesha.UNIT}"]
    if observed.drop_in:
        remove = functools.partial(remove_drop_in, ganesha.UNIT)
        draft.ensure("drop_in", ganesha.UNIT, {"unit": systemd.drop_in_path(ganesha.UNIT)}, None, remove, needs=needs)
    for path in observed.files:
        draft.ensure("file", path, {"there": True}, None, functools.partial(os.unlink, path), needs=needs)
    for path in observed.recovery:
        draft.ensure("file", path, {"there": True}, None, functools.partial(shutil.rmtree, path), needs=needs)
