# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of addresses and of VLANs, as they are declared.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.parts import Item

RANGE_OPTIONS: dict[str, t.Any] = {
    "start": {"type": "str", "required": True},
    "end": {"type": "str", "required": True},
    "gateway": {"type": "str", "required": True},
    "netmask": {"type": "str", "required": True},
}

# Addresses are given to the server one range at a time: two pods at once failed with "Unable to persist ip address range" (4.22, seen). By its
# sources it numbers them out of one row of the zone, which is a deadlock for one of two that do so at once.
TURNS = threading.Lock()


def address(text: t.Any) -> t.Optional[ipaddress.IPv4Address]:
    """An address; None where it is none."""
    try:
        return ipaddress.IPv4Address(str(text))
    except ValueError:
        return None


class Range(t.NamedTuple):
    """A range of addresses in its subnet, and where it was declared."""

    start: ipaddress.IPv4Address
    end: ipaddress.IPv4Address
    subnet: ipaddress.IPv4Network
    where: str
    vlan: str = "untagged"

    def overlaps(self, other: Range) -> bool:
        return self.start <= other.end and other.start <= self.end


def parse_range(item: Item, where: str, found: list[str]) -> t.Optional[Range]:
    """A declared range; None where it is none, with what is wrong added to found."""
    wrong = [key for key in ("start", "end", "gateway") if address(item.get(key)) is None]
    found += [f"{where}: {key}: '{item.get(key)}' is no IPv4 address" for key in wrong]
    try:
        subnet = ipaddress.IPv4Network(f"{item.get('gateway')}/{item.get('netmask')}", strict=False)
    except ValueError:
        if "gateway" not in wrong:
            found.append(f"{where}: netmask: '{item.get('netmask')}' is none, such as 255.255.255.0")
        return None
    if wrong:
        return None
    start, end, gateway = (t.cast(ipaddress.IPv4Address, address(item[key])) for key in ("start", "end", "gateway"))
    if start > end:
        found.append(f"{where}: the range begins at {start} and ends before it, at {end}")
        return None
    for key, value in (("start", start), ("end", end)):
        if value not in subnet:
            found.append(f"{where}: {key}: {value} is not in the subnet {subnet} of the gateway")
        elif value in (subnet.network_address, subnet.broadcast_address) and subnet.prefixlen < 31:
            found.append(f"{where}: {key}: {value} is the subnet's own or its broadcast address")
    if start <= gateway <= end:
        found.append(f"{where}: the gateway {gateway} is inside the range {start}-{end}")
    return Range(start, end, subnet, where, str(item.get("vlan") or "untagged"))


def vlans(text: str) -> list[tuple[int, int]]:
    """ "100-200,300" as sorted ranges that neither overlap nor touch. Raises ValueError."""
    found = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not match:
            raise ValueError(f"'{part}' is no range such as 100-200")
        low, high = int(match.group(1)), int(match.group(2) or match.group(1))
        if low > high:
            raise ValueError(f"'{part}' ends before it begins")
        found.append((low, high))
    merged: list[tuple[int, int]] = []
    for low, high in sorted(found):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def vlans_or_none(text: t.Optional[str]) -> list[tuple[int, int]]:
    try:
        return vlans(text) if text else []
    except ValueError:  # said where it was declared
        return []


def shown_vlans(ranges: t.Sequence[tuple[int, int]]) -> str:
    """The same in the server's form."""
    return ",".join(f"{low}-{high}" for low, high in ranges)
