# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of monitors: as mon_host, the monmap and clients other than Ceph's write them. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

# The ports of the monitors' two protocols. A monitor named without a port is tried on both by librados.
V2_PORT, V1_PORT = 3300, 6789

Address = t.Tuple[str, int]

# The brackets that hold the several addresses of one monitor, each with its protocol.
_SEVERAL = re.compile(r"\[((?:v[12]|any):(?:\[[^\]]*\]|[^\[\]])*)\]")
_ONE = re.compile(r"(?:(?:v[12]|any):)?(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+))(?::(\d+))?(?:/\d+)?|([0-9A-Fa-f:]+:[0-9A-Fa-f.:]*)")


def parse_mon_host(text: str) -> tuple[Address, ...]:
    """Return the monitors of a ``mon_host`` in canonical order: sorted, each once, (address, port). Raises ValueError for what it can't read.

    Understands ``[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]``, ``10.0.0.1:6789``, ``[fd00::1]:6789``, bare addresses and names, separated by commas,
    semicolons or blanks. Where every port of a monitor is a usual one, port 0 is given, so that the client tries both protocols; else the v2 port, or
    the only one there is.
    """
    found: dict[str, set[int]] = {}
    for entry in filter(None, re.split(r"[,;\s]+", _SEVERAL.sub(r"\1", text))):
        match = _ONE.fullmatch(entry)
        if not match:
            raise ValueError(f"not the address of a monitor: {entry}")
        port = int(match[3] or 0)
        if port > 65535:
            raise ValueError(f"not a port: {entry}")
        found.setdefault(spelled(match[1] or match[2] or match[4]), set()).add(port)
    result = []
    for host, ports in found.items():
        unusual = ports - {0, V1_PORT, V2_PORT}
        result += [(host, port) for port in ({0} if not unusual else {V2_PORT} if V2_PORT in ports else unusual)]
    return tuple(sorted(result))


def spelled(host: str) -> str:
    """A host in one spelling: names in lower case, addresses of IPv6 short."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def show_address(address: Address) -> str:
    """Return host, or host:port where the port is not a usual one."""
    return f"{address[0]}:{address[1]}" if address[1] else address[0]


def addrvec(address: str) -> str:
    """Return an address as the monmap wants it, both protocols at their usual ports."""
    shown = f"[{address}]" if ":" in address else address
    return f"[v2:{shown}:{V2_PORT},v1:{shown}:{V1_PORT}]"


def addresses_of(mon: t.Mapping[str, t.Any]) -> t.FrozenSet[str]:
    """Return the bare addresses of an entry of `mon dump`."""
    return frozenset(part["addr"].rpartition(":")[0].strip("[]") for part in mon["public_addrs"]["addrvec"])


def _vector(mon: t.Mapping[str, t.Any]) -> str:
    """Return the addresses of an entry of `mon dump`, v2 before v1: "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]"."""
    parts = sorted(mon["public_addrs"]["addrvec"], key=lambda part: part["type"], reverse=True)
    return "[" + ",".join(f"{part['type']}:{part['addr']}" for part in parts) + "]"


def mon_host(dump: t.Mapping[str, t.Any]) -> str:
    """Return the mon_host of a `mon dump`, sorted by address so that it never changes by itself."""
    return " ".join(sorted(map(_vector, dump.get("mons", []))))


def mon_host_by_rank(dump: t.Mapping[str, t.Any]) -> str:
    """Return the mon_host of a `mon dump`, in the order of the ranks."""
    return ",".join(map(_vector, sorted(dump["mons"], key=lambda mon: mon["rank"])))
