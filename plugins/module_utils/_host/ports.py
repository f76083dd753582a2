# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listens on TCP ports of this host, read from the kernel's tables: no program is needed for it.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import typing as t

LISTENS = "0A"


class Listener(t.NamedTuple):
    """A socket that listens. program, name, unit: whose it is, "" where no process has it (the kernel's NFS server) or none says.
    name: what the process calls itself, which for a gateway is one of its threads, while for a script the program is the interpreter."""

    port: int
    address: str
    program: str = ""
    name: str = ""
    unit: str = ""


def parse_table(text: str) -> list[tuple[int, str, str]]:
    """(port, address, inode) of what listens, of /proc/net/tcp or tcp6."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 10 or words[3] != LISTENS:
            continue
        address, port = words[1].rsplit(":", 1)
        raw = struct.pack(f"={len(address) // 8}I", *(int(address[at : at + 8], 16) for at in range(0, len(address), 8)))
        found.append((int(port, 16), socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), words[9]))
    return found


def unit_of(cgroups: str) -> str:
    """The unit of systemd's that a process is in, by /proc/PID/cgroup, "" where it is in none."""
    found = re.findall(r"([^/\n]+\.(?:service|scope))", cgroups)
    return found[-1] if found else ""


def listening(ports: t.Collection[int], likely: t.Collection[str] = (), proc: str = "/proc") -> list[Listener]:
    """Return what listens on these ports. likely: how programs begin whose open files are looked through first, as a busy host
    has very many."""
    rows = [row for name in ("tcp", "tcp6") for row in parse_table(_text(f"{proc}/net/{name}")) if row[0] in ports]
    left = {inode for _port, _address, inode in rows} - {"0"}
    programs = {pid: _program(f"{proc}/{pid}/exe") for pid in os.listdir(proc) if pid.isdigit()} if left else {}
    owners: dict[str, Listener] = {}
    for pid in sorted(programs, key=lambda pid: (not programs[pid].startswith(tuple(likely)), int(pid))):
        if not left:
            break
        for inode in _sockets(f"{proc}/{pid}/fd") & left:
            name = _text(f"{proc}/{pid}/comm").strip()
            owners[inode] = Listener(0, "", programs[pid] or name, name, unit_of(_text(f"{proc}/{pid}/cgroup")))
            left.discard(inode)
    nobody = Listener(0, "")
    return sorted({owners.get(inode, nobody)._replace(port=port, address=address) for port, address, inode in rows})


def _text(path: str) -> str:
    """A file of the kernel's, "" where the process has ended meanwhile."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _program(link: str) -> str:
    """The name of the program of a process, "" where it has ended, or is the kernel's. One that was upgraded meanwhile is another file of that name."""
    try:
        return os.path.basename(os.readlink(link).partition(" (deleted)")[0])
    except OSError:
        return ""


def _sockets(folder: str) -> set[str]:
    """The inodes of the sockets that a process has open. One that ended meanwhile has none."""
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir(folder):
            with contextlib.suppress(OSError):
                target = os.readlink(f"{folder}/{number}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
