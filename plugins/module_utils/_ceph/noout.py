# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flag noout of single OSDs, set for a purpose of which a note is kept, so that whoever finds it later can tell whose it is and take it back.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection

# Among the cluster's keys of its configuration; each with the purpose as its value.
NOTES = "cephstack/noout/"


def note(number: int) -> str:
    return f"{NOTES}osd.{number}"


def noted(cluster: Connection) -> t.Dict[int, str]:
    """The purposes by OSD."""
    return {int(key[len(NOTES) + 4 :]): str(purpose) for key, purpose in cluster.command("config-key dump", key=NOTES).items()}


def set_for(cluster: Connection, numbers: t.Sequence[int], purpose: str) -> None:
    """Keep OSDs in while they are down."""
    # The notes first: whoever finds a flag later can tell whose it is.
    cluster.many([("config-key set", {"key": note(number), "val": purpose}) for number in numbers])
    if numbers:
        cluster.command("osd set-group", flags="noout", who=[f"osd.{number}" for number in numbers])


def take_back(cluster: Connection, numbers: t.Sequence[int]) -> None:
    """Take the flag back from those that have a note. The notes go last: until then they say whose the flags are."""
    ours = sorted(set(numbers) & set(noted(cluster))) if numbers else []
    if ours:
        cluster.command("osd unset-group", flags="noout", who=[f"osd.{number}" for number in ours])
        cluster.many([("config-key rm", {"key": note(number)}) for number in ours])
