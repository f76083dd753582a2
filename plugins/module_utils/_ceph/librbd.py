# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""librbd over one connection: images opened, read and thrown away, and how it writes names, features and sizes of objects.

An image is named as Ceph writes it: pool/name, or pool/namespace/name. A snapshot: pool/name@snapshot.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, binding
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while

rbd = binding("rbd")

# librbd's feature bits (include/rbd/features.h). Those that nobody declares (striping, data-pool, operations, migrating) are left out.
FEATURES = {"layering": 1, "exclusive-lock": 4, "object-map": 8, "fast-diff": 16, "deep-flatten": 32, "journaling": 64}


# A pool and a namespace in it, "" for none.
Place = t.Tuple[str, str]


@dataclasses.dataclass
class Image:
    """An image as it is. snapshots: name -> protected. parent: "pool/name@snapshot". children, watchers: who holds on to it."""

    size: int
    features: t.FrozenSet[str] = frozenset()
    data_pool: t.Optional[str] = None
    object_size: int = 4 << 20
    metadata: t.Dict[str, str] = dataclasses.field(default_factory=dict)
    snapshots: t.Dict[str, bool] = dataclasses.field(default_factory=dict)
    parent: t.Optional[str] = None
    watchers: t.Tuple[str, ...] = ()
    children: t.Tuple[str, ...] = ()


def spec(pool: str, namespace: str, name: str) -> str:
    return "/".join(part for part in (pool, namespace, name) if part)


class SnapshotName(t.NamedTuple):
    """pool/[namespace/]image@snapshot, taken apart. path: the image's name."""

    place: Place
    image: str
    snapshot: str

    @property
    def path(self) -> str:
        return spec(*self.place, self.image)

    def __str__(self) -> str:
        return f"{self.path}@{self.snapshot}"


def split_snapshot(text: str) -> SnapshotName:
    """Raises ValueError."""
    path, _sign, snapshot = text.partition("@")
    parts = path.split("/")
    if not snapshot or "/" in snapshot or len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f"'{text}' is not the name of a snapshot: write pool/image@snapshot")
    return SnapshotName((parts[0], parts[1] if len(parts) == 3 else ""), parts[-1], snapshot)


def mask_of(features: t.Optional[t.Iterable[str]]) -> t.Optional[int]:
    return None if features is None else sum(FEATURES[feature] for feature in features)


class Librbd:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._contexts: dict[Place, t.Any] = {}

    def context(self, place: Place) -> t.Any:
        """Return the I/O context of a place. Raises rados.ObjectNotFound where there is no such pool."""
        if place not in self._contexts:
            context = self.connection.rados.open_ioctx(place[0])
            context.set_namespace(place[1])
            # Two threads may both open it: the first one stays, the other is closed.
            if self._contexts.setdefault(place, context) is not context:
                context.close()
        return self._contexts[place]

    def close(self) -> None:
        """Close what was opened. Must come before the connection's own end."""
        while self._contexts:
            self._contexts.popitem()[1].close()

    def open(self, place: Place, name: str) -> t.Any:
        return rbd.Image(self.context(place), name)

    def read(self, place: Place, name: str, pools: t.Mapping[int, str]) -> t.Optional[Image]:
        """Return one image, or None where it has gone since it was listed."""
        try:
            image = rbd.Image(self.context(place), name, read_only=True)
        except rbd.ImageNotFound:
            return None
        with image:
            bits, parent = image.features(), None
            with contextlib.suppress(rbd.ImageNotFound):
                parent = image.get_parent_image_spec()
            # A snapshot that was removed while it has clones lives on for them alone, and is nobody's by name.
            snapshots = [snap["name"] for snap in image.list_snaps() if snap.get("namespace", 0) == rbd.RBD_SNAP_NAMESPACE_TYPE_USER]
            children = [child for child in image.list_children2() if not child.get("trash")]
            return Image(
                size=image.size(),
                features=frozenset(feature for feature, bit in FEATURES.items() if bits & bit),
                data_pool=pools.get(image.data_pool_id()) if bits & 128 else None,
                object_size=1 << image.stat()["order"],
                metadata=dict(image.metadata_list()),
                snapshots={snap: image.is_protected_snap(snap) for snap in snapshots},
                parent=None if parent is None else f"{spec(parent['pool_name'], parent['pool_namespace'], parent['image_name'])}@{parent['snap_name']}",
                watchers=tuple(sorted(str(watcher["addr"]) for watcher in image.watchers_list())),
                children=tuple(sorted(spec(child["pool"], child["pool_namespace"], child["image"]) for child in children)),
            )


@contextlib.contextmanager
def throwaway_images(io_context: t.Any, *names: str) -> t.Iterator[None]:
    """Images that may be made within, a clone before its parent: none is there at the beginning, and none is left, whatever happens."""
    remove_images(io_context, *names)
    try:
        yield
    finally:
        remove_images(io_context, *names)


def remove_images(io_context: t.Any, *names: str) -> None:
    """Remove images with their snapshots, however far their making had come. One that a killed process held is in use for half a minute."""
    end = time.monotonic() + 40
    for name in names:
        with contextlib.suppress(rbd.ImageNotFound), rbd.Image(io_context, name) as image:
            for snapshot in list(image.list_snaps()):
                if image.is_protected_snap(snapshot["name"]):
                    image.unprotect_snap(snapshot["name"])
                image.remove_snap(snapshot["name"])
        with contextlib.suppress(rbd.ImageNotFound):
            retry_while(lambda error: isinstance(error, rbd.ImageBusy), functools.partial(rbd.RBD().remove, io_context, name), end - time.monotonic(), 0.2)
