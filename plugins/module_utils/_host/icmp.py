# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to other hosts, asked of their kernels by ICMP: whether they answer, whether packets of full size arrive, and how far their clocks are off.

No program and no service is needed there. IPv6 has no timestamps, so clocks are compared by IPv4 alone.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import socket
import struct
import time
import typing as t

# Linux's numbers, which Python's socket does not have: DF on every packet, whatever is known of the path; the MTU of a route; when a packet came in.
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PROBE = 10, 23, 3
IP_MTU, IPV6_MTU = 14, 24
SO_TIMESTAMPNS = 35

DAY = 86_400_000
# How often each question is put, so that a packet that was lost, or lay in a queue, does not count; and the seconds between two rounds.
ROUNDS, PAUSE = 3, 0.05
SMALL = 56


@dataclasses.dataclass
class Way:
    """The way to an address. answers: whether it does at all. size: of the largest packet that the route takes; full: whether one of it came back.
    told: the MTU that a router on the way gave, where one did. offset, error: seconds that its clock is ahead of ours, and how much that can be wrong."""

    answers: bool = False
    size: int = 0
    full: bool = False
    told: int = 0
    offset: t.Optional[float] = None
    error: float = 0.0


def checksum(data: bytes) -> int:
    """That of RFC 1071."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _message(kind: int, number: int, sequence: int, body: bytes) -> bytes:
    head = struct.pack("!BBHHH", kind, 0, 0, number, sequence)
    return head[:2] + struct.pack("!H", checksum(head + body)) + head[4:] + body


def _today(seconds: float) -> int:
    """Milliseconds since midnight UT."""
    return int(seconds * 1000) % DAY


def offset_of(sent: float, received: float, there_in: int, there_out: int) -> tuple[float, float]:
    """(seconds that another clock is ahead, the error of it) by when a question left and its answer came back, and the other's milliseconds of the day.
    A difference of whole days cannot be seen."""
    half = DAY // 2
    there, back = ((ahead + half) % DAY - half for ahead in (there_in - _today(sent), there_out - _today(received)))
    return (there + back) / 2000, (received - sent) / 2 + 0.001


def route_mtu(address: str) -> int:
    """The MTU of the route to an address. Raises OSError where there is no route."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.connect((address, 9))
        level, option = (socket.IPPROTO_IPV6, IPV6_MTU) if ":" in address else (socket.IPPROTO_IP, IP_MTU)
        return int(one.getsockopt(level, option))


class _Asking:
    """Questions to addresses of one family."""

    def __init__(self, addresses: t.Sequence[str], ways: dict[str, Way], version: int) -> None:
        self.addresses, self.ways, self.version = addresses, ways, version
        self.number = os.getpid() & 0xFFFF
        self.sent: dict[int, float] = {}
        family, protocol = (socket.AF_INET, socket.IPPROTO_ICMP) if version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        self.socket = socket.socket(family, socket.SOCK_RAW, protocol)
        level, option = (socket.IPPROTO_IP, IP_MTU_DISCOVER) if version == 4 else (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER)
        self.socket.setsockopt(level, option, PROBE)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.setblocking(False)

    def ask(self, number: int) -> None:
        """Put a round of questions, those that were answered only where a better answer may come."""
        echo = 8 if self.version == 4 else 128
        for index, address in enumerate(self.addresses):
            way = self.ways[address]
            if not way.answers:
                self._send(address, echo, index, 0, number, b"\0" * SMALL)
            if way.size and not way.full:
                self._send(address, echo, index, 1, number, b"\0" * (way.size - (28 if self.version == 4 else 48)))
            if self.version == 4:
                self._send(address, 13, index, 2, number, struct.pack("!III", _today(time.time()), 0, 0))

    def _send(self, address: str, kind: int, index: int, question: int, round_: int, body: bytes) -> None:
        sequence = (index * 3 + question) * ROUNDS + round_
        self.sent[sequence] = time.time()
        with contextlib.suppress(OSError):  # no route, or it is larger than an interface takes: no answer
            self.socket.sendto(_message(kind, self.number, sequence, body), (address, 0))

    def read(self) -> None:
        """Note all that has come in."""
        while True:
            try:
                packet, told, _flags, (source, *_more) = self.socket.recvmsg(65536, 256)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # what a router said of one of ours
                continue
            came = next((struct.unpack("qq", data[:16]) for level, kind, data in told if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS), None)
            received = came[0] + came[1] / 1e9 if came else time.time()
            message = packet[(packet[0] & 15) * 4 :] if self.version == 4 else packet
            if len(message) >= 8:
                self._note(source, message, received)

    def _note(self, source: str, message: bytes, received: float) -> None:
        kind, code, _sum, number, sequence = struct.unpack("!BBHHH", message[:8])
        if (kind, code) == (3, 4) and len(message) >= 28:  # of what was sent to whom, the packet itself tells
            way = self.ways.get(socket.inet_ntoa(message[24:28]))
            if way is not None:
                way.told = sequence
            return
        if self.version == 6 and kind == 2 and len(message) >= 48:
            way = self.ways.get(socket.inet_ntop(socket.AF_INET6, message[32:48]))
            if way is not None:
                way.told = int.from_bytes(message[4:8], "big")
            return
        index, question = sequence // ROUNDS // 3, sequence // ROUNDS % 3
        if number != self.number or kind not in (0, 14, 129) or index >= len(self.addresses) or sequence not in self.sent:
            return
        way = self.ways[self.addresses[index]]
        way.answers = True
        if question == 1:
            way.full = True
        elif kind == 14 and len(message) >= 20:
            _ours, there_in, there_out = struct.unpack("!III", message[8:20])
            if not (there_in | there_out) & 0x80000000:  # else it is no time of the day
                offset, error = offset_of(self.sent[sequence], received, there_in, there_out)
                if way.offset is None or error < way.error:
                    way.offset, way.error = offset, error


def ask(addresses: t.Iterable[str], seconds: float = 0.8) -> dict[str, Way]:
    """Ask all addresses at the same time, and return the ways to them. seconds: how long one may take that does not answer.
    Raises OSError where this process may not (PermissionError), or the host has no such sockets."""
    ways: dict[str, Way] = {}
    for address in dict.fromkeys(addresses):
        with contextlib.suppress(OSError):
            ways[address] = Way(size=min(route_mtu(address), 65535))
    families = {version: [one for one in ways if (":" in one) == (version == 6)] for version in (4, 6)}
    with contextlib.ExitStack() as stack:
        asking = [_Asking(addresses, ways, version) for version, addresses in families.items() if addresses]
        for one in asking:
            stack.enter_context(one.socket)
        for number in range(ROUNDS):
            for one in asking:
                one.ask(number)
            _listen(asking, PAUSE, lambda: False)
        _listen(asking, max(0.0, seconds - ROUNDS * PAUSE), lambda: all(way.answers and way.full for way in ways.values()))
    return ways


def _listen(asking: t.Sequence[_Asking], seconds: float, done: t.Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not done() and (left := end - time.monotonic()) > 0:
        ready, _w, _x = select.select([one.socket for one in asking], [], [], left)
        for one in asking:
            if one.socket in ready:
                one.read()
