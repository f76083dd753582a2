# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Xen host has of a cluster that is to be gone: its guests' disks, what is mapped for them, scripts; and which guests run on the cluster.

How Xen is booted stays.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import disks, mappings

# What the role xen_host puts there; with the sign by which it is known, since others could have files of these names.
FILES = (
    *(f"{disks.SCRIPTS}/{name}" for name in ("block-rbd", "block-rbd-common.sh", "block-tap-rbd")),
    "/usr/local/sbin/cephstack-rbd-nbd",
    "/etc/systemd/system/cephstack-rbd-nbd@.service",
    "/etc/modules-load.d/cephstack-xen.conf",
)
_SIGN = "cephstack.cloud"
_BOOT = "/etc/default/grub.d/cephstack-xen.cfg"
KINDS = frozenset(("fragment", "mapping", "file"))


@dataclasses.dataclass(frozen=True)
class Observed:
    """host: None where nothing of this collection is on the host. files: those of FILES that are there. boot: whether Xen is booted as was declared."""

    host: t.Optional[disks.Observed] = None
    files: t.Sequence[str] = ()
    boot: bool = False


def observe() -> Observed:
    """Read the host. Raises Unreachable."""
    found = [path for path in FILES if _SIGN in (files.read(path) or "")]
    boot = os.path.exists(_BOOT)
    if not (found or boot or _SIGN in (files.read(mappings.RBDMAP) or "") or os.path.isdir(disks.FRAGMENTS) or os.path.isdir(mappings.NBD_CONFS)):
        return Observed()
    return Observed(disks.Provider(disks.Wanted({})).observe(), found, boot)


def mapped(observed: Observed) -> set[str]:
    """The images that are mapped for this collection's disks, pool/image. Pure."""
    return set(mappings.rbdmap_entries(observed.host.mappings.rbdmap)[0]) if observed.host else set()


def plan(draft: Draft, observed: Observed) -> None:
    """Plan that nothing is left. Pure."""
    if observed.host is None:
        return
    for disk in observed.host.running.disks:
        if re.search(r"rbd|:id=", disk.params) or disk.node:
            draft.problem(f"the guest {disk.guest} runs on {disk.params} ({disk.device}): shut it down first")
    try:
        for change in disks.Provider(disks.Wanted({})).plan(observed.host).changes:
            draft.add(change)
    except Invalid as error:
        for text in error.problems:
            draft.problem(text)
    needs = draft.ids("mapping")
    for path in observed.files:
        draft.ensure("file", path, {"there": True}, None, functools.partial(_remove, path), needs=needs)


def left(observed: Observed) -> list[str]:
    """What stays, and why. Pure."""
    return [f"{_BOOT}: how Xen is booted"] if observed.boot else []


def _remove(path: str) -> None:
    os.unlink(path)
    if path.startswith("/etc/systemd/"):
        process.run(["systemctl", "daemon-reload"], timeout=120)
