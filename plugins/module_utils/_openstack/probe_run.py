# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the proof of an OpenStack: whom it asks, how long it waits, what it made, and how all of that is removed again.

Everything that is made has the run's name at the beginning of its own, and is found by it: nothing that an answer said must be remembered. So what a killed
run left is removed in the same way, by the beginning that the names of all runs have.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import secrets
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import ProofFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import services
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

PREFIX = "cephstack-probe-"  # of the names of everything that is made
Row = t.Dict[str, t.Any]
_PAUSE = 1.0
_GONE_WITHIN = 60  # seconds that an image may still be in Ceph after OpenStack said that its volume or guest is gone


class Run:
    """client: of the APIs. disks: GuestDisks. timeout: seconds for each thing to become what it should. secrets: the clients of libvirt's secrets."""

    def __init__(self, client: t.Any, disks: t.Any, timeout: float, libvirt_secrets: t.Optional[t.Mapping[str, str]] = None) -> None:
        self.client, self.disks, self.timeout = client, disks, timeout
        self.secrets = libvirt_secrets or {}
        self.name = PREFIX + secrets.token_hex(4)
        self.notes: list[str] = []
        self._images: list[tuple[str, str]] = []

    def made(self, pool: str, image: str) -> str:
        """Keep in mind an image in Ceph that must be gone in the end; return its whole name."""
        self._images.append((pool, image))
        return f"{pool}/{image}"

    def note(self, text: str) -> None:
        """Say something that a person should know."""
        self.notes.append(text)

    def settle(self, api: str, path: str, key: str, good: str, what: str, why: t.Callable[[Row], str]) -> Row:
        """Wait until something has a status. key: of the thing in the answer. why: what can be said of one in error, or that takes too long.

        Raises ProofFailed, ApiError.
        """
        row: Row = {}

        def look() -> t.Optional[Row]:
            nonlocal row
            try:
                answer = self.client.call(api, "GET", path)
            except ApiError as error:  # Nova removes the image that it could not fill
                if error.status != 404:
                    raise
                raise ProofFailed(_sentence(f"{what} is gone again", why(row))) from error
            row = answer.get(key, answer)
            status = str(row.get("status")).lower()
            if status.startswith("error") or status in ("killed", "deleted"):
                raise ProofFailed(_sentence(f"{what} is in the status {row['status']}", why(row)))
            return row if status == good else None

        return wait_until(look, self.timeout, lambda: ProofFailed(_sentence(f"{what} is still {row.get('status')} after {self.timeout:g} s", why(row))), _PAUSE)

    def down(self) -> list[str]:
        """The services that are down by now, where somebody asks why something failed."""
        try:
            return services.problems(services.read(self.client))
        except Unreachable as error:
            return [str(error)]

    def images_left(self) -> list[str]:
        """The images in Ceph that should be gone by now, and are not."""

        def left() -> list[str]:
            return [f"{pool}/{image}" for pool, image in self._images if self.disks.read(pool, image) is not None]

        wait_until(lambda: not left(), _GONE_WITHIN, pause=_PAUSE)
        return [f"{image} is still in Ceph, although OpenStack says that it is removed" for image in left()]


def _sentence(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


class Kind(t.NamedTuple):
    """A kind of what is made. list, rows: the path of all, and their name in the answer. busy: statuses in which it cannot be removed
    yet. forced: whether one that could not be removed can be in another way."""

    what: str
    api: str
    path: str
    list: str
    rows: str
    busy: t.FrozenSet[str] = frozenset()
    forced: bool = False


_VOLUME_BUSY = "creating downloading uploading attaching detaching reserved in-use backing-up restoring-backup retyping"
# In the order in which they are removed: what is made of something goes before that.
KINDS = (
    Kind("guest", "compute", "/servers", f"/servers/detail?all_tenants=1&name={PREFIX}", "servers"),
    Kind("backup", "block-storage", "/backups", "/backups/detail?all_tenants=1", "backups", frozenset(("creating", "restoring"))),
    Kind("volume snapshot", "block-storage", "/snapshots", "/snapshots/detail?all_tenants=1", "snapshots", frozenset(("creating", "backing-up")), True),
    Kind("volume", "block-storage", "/volumes", "/volumes/detail?all_tenants=1", "volumes", frozenset(_VOLUME_BUSY.split()), True),
    Kind("image", "image", "/images", "/images?limit=200", "images"),
)


def remove(client: t.Any, begin: str, timeout: float) -> tuple[list[str], list[str]]:
    """Remove all whose names begin so. Returns the names of what was there, and what stays, with the reason. Raises ApiError."""
    names: list[str] = []
    left: list[str] = []
    for kind in KINDS:
        found, stays = _remove_kind(client, kind, begin, timeout)
        names += found
        left += stays
    return sorted(names), left


def _remove_kind(client: t.Any, kind: Kind, begin: str, timeout: float) -> tuple[list[str], list[str]]:
    names: dict[str, str] = {}
    asked: set[str] = set()
    reasons: dict[str, str] = {}
    rows: list[Row] = []

    def gone() -> bool:
        nonlocal rows
        rows = [row for row in client.rows(kind.api, kind.list, kind.rows) if str(row.get("name") or "").startswith(begin)]
        for row in rows:
            names[row["id"]] = row["name"]
            status = str(row.get("status")).lower()
            if row["id"] in asked and status != "error_deleting":
                continue
            if status in kind.busy or (status == "deleting" and kind.forced):
                continue
            try:
                _ask(client, kind, row["id"], forced=kind.forced and status.startswith("error_"))
                asked.add(row["id"])
            except ApiError as error:  # what holds on to it may be going still
                if error.status != 404:
                    reasons[row["id"]] = str(error)
        return not rows

    wait_until(gone, timeout, pause=_PAUSE)
    stays = [(f"the {kind.what} {row['name']} ({row['id']})", reasons.get(row["id"]) or f"it is still {row.get('status')}") for row in rows]
    return [*names.values()], [f"{what} cannot be removed: {why}" for what, why in stays]


def _ask(client: t.Any, kind: Kind, identity: str, forced: bool) -> None:
    if forced:
        client.call(kind.api, "POST", f"{kind.path}/{identity}/action", {"os-force_delete": {}})
    else:
        client.call(kind.api, "DELETE", f"{kind.path}/{identity}")


@contextlib.contextmanager
def took(seen: Row, key: str) -> t.Iterator[None]:
    """Write down how long something took, in seconds."""
    begun = time.monotonic()
    yield
    seen[key] = round(time.monotonic() - begun, 1)
