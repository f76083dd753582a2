# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a host that have Ceph's client libraries loaded, and whether these are the ones that are installed.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import re
import typing as t

_LIBRARY = re.compile(r"\s(/\S*/(?:librados|librbd|libcephfs)\.so\S*)( \(deleted\))?$", re.MULTILINE)
# As QEMU names what it runs: "-name guest=web1,debug-threads=on" or "-name web1".
_GUEST = re.compile(r"\0-name\0(?:guest=)?([^,\0]+)")
_DAEMONS = re.compile(r"ceph-(mon|mgr|osd|mds)|radosgw")


def parse(pid: int, maps: str, command: str) -> t.Optional[dict[str, t.Any]]:
    """Return what is told of a process, None where it has no such library, or is one of the cluster's own daemons. command: its words, each ended by NUL. Pure.

    maps: its /proc/PID/maps. What dpkg has replaced is "deleted" there.
    """
    libraries = {match[1]: bool(match[2]) for match in _LIBRARY.finditer(maps)}
    program = os.path.basename(command.partition("\0")[0])
    if not libraries or _DAEMONS.fullmatch(program):
        return None
    guest = _GUEST.search(command)
    return {"pid": pid, "program": program, "guest": guest[1] if guest else "", "libraries": sorted(libraries), "outdated": any(libraries.values())}


def observe(folder: str = "/proc") -> dict[str, t.Any]:
    """Look at all processes: those with such a library, and the numbers of those that cannot be read. One that ends meanwhile is none."""
    found, unread = [], []
    for pid in sorted(int(name) for name in os.listdir(folder) if name.isdigit()):
        try:
            texts = []
            for name in ("maps", "cmdline"):
                with open(f"{folder}/{pid}/{name}", encoding="utf-8", errors="replace") as file:
                    texts.append(file.read())
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            unread.append(pid)
            continue
        told = parse(pid, *texts)
        if told:
            found.append(told)
    return {"processes": found, "unread": unread}
