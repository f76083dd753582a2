# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of addresses and of VLANs, as they are declared.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from urllib.parse import urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Item
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Lane
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import string

RANGE_OPTIONS: dict[str, t.Any] = {
    "start": string("The first address.", required=True),
    "end": string("The last address.", required=True),
    "gateway": string("The gateway of their subnet.", required=True),
    "netmask": string("Its netmask.", required=True),
}

# Addresses are given to the server one range at a time: two pods at once failed with "Unable to persist ip address range" (4.22, seen). By its
# sources it numbers them out of one row of the zone, which is a deadlock for one of two that do so at once.
LANE = Lane("addresses")


def address(text: t.Any) -> t.Optional[ipaddress.IPv4Address]:
    try:
        return ipaddress.IPv4Address(str(text))
    except ValueError:
        return None


def short(text: str) -> str:
    """An address, of IPv6 too, in its one short spelling; what is none as it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def netmask(text: t.Any) -> t.Optional[str]:
    """A netmask as the server has it, 255.255.255.0, also of a prefix's length, 24; None where it is none. 0.0.0.255 is none."""
    plain = str(text).strip().lstrip("/")
    try:
        network = ipaddress.IPv4Network(f"0.0.0.0/{plain}")
    except ValueError:
        return None
    return str(network.netmask) if plain in (str(network.netmask), str(network.prefixlen)) else None


def vlan(text: t.Any) -> str:
    """A VLAN as it is declared: 100 for vlan://100, untagged for none. The server shows it with a scheme, of its own or of VXLAN."""
    plain = str(text or "untagged").strip().rpartition("://")[2].lower()
    return str(int(plain)) if plain.isdecimal() else plain


def normal(item: Item) -> dict[str, t.Any]:
    """A declared range as the server would show it."""
    mask, tag = item.get("netmask"), item.get("vlan")
    return {**item, **({"netmask": netmask(mask) or mask} if mask else {}), **({"vlan": vlan(tag)} if tag else {})}


def bounds(item: Item) -> dict[str, t.Any]:
    """What a range is compared by."""
    return {key: item[key] for key in RANGE_OPTIONS}


def sent(item: Item) -> dict[str, t.Any]:
    """What is given of a range, as parameters of a command."""
    return {{"start": "startip", "end": "endip"}.get(key, key): item[key] for key in ("vlan", *RANGE_OPTIONS) if item.get(key)}


def touch(item: Item, first: t.Any, last: t.Any) -> bool:
    """Whether a declared range and a living one have addresses in common."""
    start, end, first, last = map(ipaddress.IPv4Address, (item["start"], item["end"], first, last))
    return bool(start <= last and first <= end)


# Ports that say nothing where they stand in a URL of this scheme.
_USUAL = {"http": 80, "https": 443, "ftp": 21, "nfs": 2049}


def location(url: t.Any) -> str:
    """What two URLs have in common that lead to one place: scheme and host in lower case, no usual port, no slash more than is needed."""
    text = str(url or "").strip()
    parts = urlsplit(text)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return text
    if not parts.scheme or not host:
        return text.rstrip("/")
    host = short(host)
    shown = f"[{host}]" if ":" in host else host
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    more = (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    return f"{parts.scheme}://{user}{shown}{'' if port in (None, _USUAL.get(parts.scheme)) else f':{port}'}{path}{more}"


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
    start, end, gateway = (address(item.get(key)) for key in ("start", "end", "gateway"))
    for key, value in (("start", start), ("end", end), ("gateway", gateway)):
        if value is None:
            found.append(f"{where}: {key}: '{item.get(key)}' is no IPv4 address")
    mask = netmask(item.get("netmask"))
    if mask is None and gateway:
        found.append(f"{where}: netmask: '{item.get('netmask')}' is none, such as 255.255.255.0")
    if not (start and end and gateway and mask):
        return None
    if start > end:
        found.append(f"{where}: the range begins at {start} and ends before it, at {end}")
        return None
    subnet = ipaddress.IPv4Network(f"{gateway}/{mask}", strict=False)
    for key, value in (("start", start), ("end", end)):
        if value not in subnet:
            found.append(f"{where}: {key}: {value} is not in the subnet {subnet} of the gateway")
        elif value in (subnet.network_address, subnet.broadcast_address) and subnet.prefixlen < 31:
            found.append(f"{where}: {key}: {value} is the subnet's own or its broadcast address")
    if start <= gateway <= end:
        found.append(f"{where}: the gateway {gateway} is inside the range {start}-{end}")
    return Range(start, end, subnet, where, vlan(item.get("vlan")))


def vlans(text: str) -> list[tuple[int, int]]:
    """ "100-200,300" as sorted ranges that neither overlap nor touch. Raises ValueError."""
    found = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not match:
            raise ValueError(f"'{part}' is no range such as 100-200")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise ValueError(f"'{part}' ends before it begins")
        found.append((low, high))
    merged: list[tuple[int, int]] = []
    for low, high in sorted(found):
        if merged and low <= merged[-1][1] + 1:
            low, end = merged.pop()
            high = max(high, end)
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
