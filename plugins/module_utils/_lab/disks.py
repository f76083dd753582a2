# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loop-backed disks of containers: sparse files beside the host, given to it under stable names.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
import os

from ansible_collections.cephstack.cloud.plugins.module_utils._lab import system
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.model import Disk


def path(directory: str, name: str) -> str:
    return os.path.join(directory, "disks", name + ".img")


def make(directory: str, disk: Disk) -> None:
    """Make a disk's file, if it is not there. It takes no room before it is written to."""
    target = path(directory, disk.name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.exists(target):
        with open(target, "ab") as stream:
            stream.truncate(disk.size)


def attached() -> dict[str, str]:
    """Return the loop device of each backing file of this machine. What was deleted is named as it was."""
    listing = json.loads(system.run(["losetup", "--json", "--list", "--output", "NAME,BACK-FILE"]).out or "{}")
    return {str(item["back-file"]).replace(" (deleted)", ""): item["name"] for item in listing.get("loopdevices", [])}


def attach(directory: str, name: str) -> str:
    target = os.path.realpath(path(directory, name))
    return attached().get(target) or system.run(["losetup", "--find", "--show", target]).out.strip()


def detach_below(directory: str) -> None:
    prefix = os.path.realpath(directory) + "/"
    for backing, device in attached().items():
        if backing.startswith(prefix):
            system.run(["losetup", "--detach", device])


def tmpfiles(devices: dict[str, str]) -> str:
    """Return tmpfiles.d(5) lines that make the nodes and the stable names in a container at each of its boots. Pure.

    devices: /dev/loopN by the disk's name. Loop devices have the major number 7.
    """
    lines = ["# Disks of this lab host: nodes and stable names."]
    for name, device in sorted(devices.items()):
        lines.append(f"b+ {device} 0660 root disk - 7:{device[len('/dev/loop') :]}")
        lines.append(f"L+ /dev/disk/by-id/lab-{name} - - - - {device}")
    return "\n".join(lines) + "\n"
