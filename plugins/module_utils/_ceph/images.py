# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBD images and clones, with their snapshots: declared, observed, planned and applied over one librbd connection.

An imported image carries its file's digest. It is filled under another name and renamed when it is whole, so that half an import never looks like an image.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import os
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import disk_files, namespaces, snapshots, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import Image, Librbd, Place, SnapshotName, mask_of, spec, split_snapshot
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Lane, Plan, Risk, Unreachable, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import twice

rados, rbd = binding("rados"), binding("rbd")

_SWITCHED_ON_LATER = {"exclusive-lock", "object-map", "fast-diff", "journaling"}
_SWITCHED_OFF_LATER = _SWITCHED_ON_LATER | {"deep-flatten"}
_REQUIRED_BY = {"object-map": "exclusive-lock", "journaling": "exclusive-lock"}
_TOGETHER = frozenset({"object-map", "fast-diff"})  # librbd switches on both where one is asked for

DIGEST = "cephstack.source"  # the metadata key of an imported image: "sha256:<hex>" of the file
_PARTIAL = ".cephstack-import."  # an image of this name is filled by an import, or was until it was cut off
_LANE = Lane("librbd", 16)  # beyond this, 50 clones get no faster (one librbd connection, measured)
_OBJECT_SIZES = [1 << order for order in range(12, 26)]
_WRITERS = 8  # of one import; twice as many pieces are in memory


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A declared image. What is None is left as it is, or to the cluster's defaults where it is created."""

    pool: str
    name: str
    namespace: str = ""
    present: bool = True
    size: t.Optional[int] = None
    features: t.Optional[t.FrozenSet[str]] = None
    data_pool: t.Optional[str] = None
    object_size: t.Optional[int] = None
    metadata: t.Mapping[str, t.Optional[str]] = dataclasses.field(default_factory=dict)
    snapshots: t.Tuple[snapshots.Snapshot, ...] = ()
    clone_of: t.Optional[SnapshotName] = None
    flatten: bool = False
    path: str = ""  # a file to import
    format: str = "auto"
    digest: t.Optional[str] = None  # "sha256:<hex>" where the operator gave it; it is computed otherwise
    delete: bool = False
    trash_delay: int = 0

    @property
    def place(self) -> Place:
        return self.pool, self.namespace

    @property
    def spec(self) -> str:
        return spec(self.pool, self.namespace, self.name)


@dataclasses.dataclass
class Observed:
    pools: t.Optional[t.FrozenSet[str]] = None  # None where no cluster could be asked because there is none yet (check mode only)
    namespaces: namespaces.Observed = namespaces.Observed({})
    images: t.Dict[str, Image] = dataclasses.field(default_factory=dict)  # by spec: those declared, cloned from, or filled aside
    sources: t.Dict[str, t.Tuple[str, t.Optional[int]]] = dataclasses.field(default_factory=dict)  # by path: digest and size of the disk in it
    clones_v2: bool = True
    unread: t.List[str] = dataclasses.field(default_factory=list)  # problems of source files


def _features(names: t.Iterable[str]) -> frozenset[str]:
    return frozenset(names) | (_TOGETHER if _TOGETHER & set(names) else frozenset())


def _metadata(pairs: t.Mapping[str, t.Any]) -> dict[str, t.Optional[str]]:
    return {key: None if value is None else values.word(value) for key, value in pairs.items()}


def _clone_of(text: str) -> t.Optional[SnapshotName]:
    return split_snapshot(text) if text else None


# How what is declared is read; raises ValueError.
_READ: dict[str, t.Callable[[t.Any], t.Any]] = {
    **dict.fromkeys(("pool", "namespace", "name", "data_pool"), str),
    **dict.fromkeys(("size", "object_size"), values.size),
    "trash_delay": values.duration,
    "flatten": bool,
    "features": _features,
    "metadata": _metadata,
    "clone_of": _clone_of,
}


def parse(images: t.Sequence[t.Mapping[str, t.Any]]) -> list[Wanted]:
    """Return the declared images. Raises Invalid with every problem that shows without asking the cluster."""
    problems: list[str] = []
    wanted: list[Wanted] = []
    for item in images:
        found: list[str] = []
        one = _parse(item, found)
        problems.extend(f"image {one.spec}: {text}" for text in found)
        if not found:
            wanted.append(one)
    problems.extend(f"image {name} is declared twice" for name in twice(one.spec for one in wanted))
    if problems:
        raise Invalid(problems)
    return wanted


def _parse(item: t.Mapping[str, t.Any], found: list[str]) -> Wanted:
    fields: dict[str, t.Any] = {"present": item.get("state", "present") == "present", "delete": item.get("removal") == "delete"}
    for key, read in _READ.items():
        try:
            if item.get(key) is not None:
                fields[key] = read(item[key])
        except ValueError as error:
            found.append(f"{key}: {error}")
    fields["snapshots"] = snapshots.parse(item.get("snapshots"), found)
    source = item.get("source") or {}
    if source:
        fields.update(path=source["path"], format=source.get("format") or "auto", digest=(source.get("digest") or "").lower() or None)
    one = Wanted(**fields)
    features = one.features or ()
    made_of = [key for key in ("size", "source", "clone_of") if item.get(key)]
    found.extend(
        text
        for wrong, text in (
            *((any(sign in fields.get(key, "") for sign in "/@"), f"{key} must not contain / or @") for key in ("pool", "namespace", "name")),
            (source and not one.path, "source.path is empty"),
            (one.digest and not (one.digest.startswith("sha256:") and len(one.digest) == 71), "source.digest must be sha256: and 64 hexadecimal digits"),
            *((key in features and other not in features, f"feature {key} needs {other}") for key, other in _REQUIRED_BY.items()),
            (one.object_size is not None and one.object_size not in _OBJECT_SIZES, "object_size must be a power of two from 4K to 32M"),
            (one.clone_of and one.clone_of.path == one.spec, "an image cannot be a clone of itself"),
            (one.clone_of and one.features is not None and "layering" not in features, "a clone needs the feature layering"),
            (one.clone_of and source, "clone_of and source exclude each other"),
            (one.present and not made_of, "an image needs a size, a source or a clone_of"),
            (any(key.startswith("cephstack.") for key in one.metadata), "metadata keys that begin with cephstack. belong to this collection"),
        )
        if wrong
    )
    return one


def plan(wanted: t.Sequence[Wanted], observed: Observed, librbd: t.Any, check: bool = False, spaces: t.Optional[namespaces.Wanted] = None) -> Plan:
    """Compare. spaces: the namespaces; by default those of the images.
    check: what doesn't exist yet may still come, so that is a warning, not a problem. Raises Invalid with every problem."""
    draft = Draft()
    for text in observed.unread:
        draft.problem(text)
    spaces = namespaces.parse([], [], places_of(wanted)) if spaces is None else spaces
    pools = {one.pool for one in wanted} | {one.data_pool for one in wanted if one.data_pool} | {pool for pool, _name in spaces.places} | {*spaces.pools}
    for pool in [] if observed.pools is None else sorted(pools - observed.pools):
        (draft.warn if check else draft.problem)(f"pool {pool} is not there{' yet' if check else ''}")
    going = {one.spec for one in wanted if not one.present and one.delete and one.spec in observed.images}
    namespaces.plan(draft, librbd, spaces, observed.namespaces, going)

    # Clones of format 1 need a protected parent.
    cloned = [one.clone_of for one in wanted if one.present and one.clone_of and one.spec not in observed.images and not observed.clones_v2]
    protect = {str(parent) for parent in cloned}
    declared = {one.spec: one for one in wanted}
    for one in wanted:
        _Worker(one, declared, observed, librbd, check, draft).plan(protect)
    # A parent may be somebody else's image, that isn't declared here.
    for path, place, name in sorted({(parent.path, parent.place, parent.image) for parent in cloned}):
        if path not in declared and path in observed.images:
            snapshots.plan(draft, librbd, place, name, (), observed.images[path], protect)
    return draft.plan(_LANE)


def places_of(wanted: t.Iterable[Wanted]) -> set[Place]:
    """Where there are to be images."""
    return {one.place for one in wanted if one.present}


class _Worker:
    """Plans one image, and changes it. declared: all of them by their names."""

    def __init__(self, one: Wanted, declared: t.Mapping[str, Wanted], observed: Observed, librbd: t.Any, check: bool, draft: Draft) -> None:
        self._one, self._declared, self._observed, self._librbd, self._draft = one, declared, observed, librbd, draft
        self._ensure = functools.partial(draft.ensure, "image", one.spec)
        self._missing = draft.warn if check else self._problem
        self._aside = _PARTIAL + one.name
        # How it is made, in librbd's words.
        self._shape = {"order": one.object_size and one.object_size.bit_length() - 1, "features": mask_of(one.features), "data_pool": one.data_pool}
        # Digest of the file to import and size of the disk in it, as far as they are known.
        self._source: tuple[t.Optional[str], t.Optional[int]] = observed.sources.get(one.path) or (one.digest, None)

    def _problem(self, text: str) -> None:
        self._draft.problem(f"image {self._one.spec}: {text}")

    def plan(self, protect: t.Collection[str]) -> None:
        one, image = self._one, self._observed.images.get(self._one.spec)
        if not one.present:
            if image is not None:
                self._plan_removal(image)
            return
        if image is None:
            self._plan_creation()
        elif one.path and self._source[0] and image.metadata.get(DIGEST) != self._source[0]:
            self._plan_replacement(image.metadata.get(DIGEST))
            image = None  # another takes its name, and that has no snapshots yet
        else:
            self._plan_update(image)
        snapshots.plan(self._draft, self._librbd, one.place, one.name, one.snapshots, image, protect)

    def _plan_creation(self) -> None:
        one, after = self._one, self._wanted("size", "data_pool", "object_size", "features")
        apply, needs = self._create, {f"namespace/{one.pool}/{one.namespace}"}
        if one.clone_of:
            for text in self._no_clone(one.clone_of):
                self._problem(text)
            apply, after["clone_of"] = self._clone, str(one.clone_of)
            needs |= {f"snapshot/{one.clone_of}", f"image/{one.clone_of.path}"}
            if one.flatten:
                after["flatten"] = True
        if one.path:
            self._check_file()
            apply, after["source"] = self._import, self._source[0]
        metadata = {key: value for key, value in one.metadata.items() if value is not None}
        if metadata:
            after["metadata"] = metadata
        self._ensure(None, after, apply, needs=needs)

    def _no_clone(self, wanted: SnapshotName) -> t.Iterator[str]:
        """Why it cannot be made a clone."""
        size, parent, mother = self._one.size, self._observed.images.get(wanted.path), self._declared.get(wanted.path)
        promised = {snap.present for snap in mother.snapshots if snap.name == wanted.snapshot} if mother else set()
        if mother and (not mother.present or False in promised):
            yield f"cannot be cloned: {wanted} is declared absent"
        elif True not in promised and self._observed.pools is not None:
            if parent is None:
                yield f"cannot be cloned: the image {wanted.path} is not there"
            elif wanted.snapshot not in parent.snapshots:
                yield f"cannot be cloned: the image {wanted.path} has no snapshot {wanted.snapshot}"
        if parent is not None and size is not None and size < parent.size:
            yield f"a clone cannot be smaller than its parent ({size} < {parent.size} bytes)"

    def _check_file(self) -> None:
        one, size = self._one, self._source[1]
        if size is None and one.path not in self._observed.sources:
            self._missing(f"there is no file {one.path} on this host")
        if one.size is not None and size is not None and one.size < size:
            self._problem(f"the disk in {one.path} has {size} bytes and does not fit into {one.size}")

    def _plan_replacement(self, held: t.Optional[str]) -> None:
        self._check_file()
        why = "it was imported from another file" if held else "it holds something that was not imported from a file by this collection"
        why += "; it would go to the trash and the file take its name (another name keeps both)"
        self._ensure({"source": held}, {"source": self._source[0]}, functools.partial(self._import, replace=True), risk=Risk.LOSS, reason=why)

    def _plan_update(self, image: Image) -> None:
        one, want = self._one, self._wanted("size", "features")
        for text in _unchangeable(one, image):
            self._problem(text)
        have: dict[str, t.Any] = {"size": image.size, "features": sorted(image.features), "clone_of": image.parent}
        have["metadata"], want["metadata"] = differing({key: image.metadata.get(key) for key in one.metadata}, one.metadata)
        if one.flatten:
            want["clone_of"] = None
        loss: dict[str, t.Any] = {}
        if one.size is not None and one.size < image.size:
            loss = {"risk": Risk.LOSS, "reason": f"it would be cut from {image.size} to {one.size} bytes"}
        self._ensure(have, want, update=functools.partial(self._update, image), **loss)

    def _plan_removal(self, image: Image) -> None:
        one, declared = self._one, self._declared
        if image.watchers:
            self._problem(f"is in use by {', '.join(image.watchers)}")
        going = {child for child in image.children if child in declared and not declared[child].present}
        staying = sorted(set(image.children) - {child for child in going if declared[child].delete})
        if one.delete and staying:
            self._problem(f"has clones that need it: {', '.join(staying[:5])}{' …' if len(staying) > 5 else ''}")
        apply, risk, reason = self._trash, Risk.NONE, "goes to the trash, and can be restored from there"
        if one.delete:
            apply, risk, reason = functools.partial(self._delete, image), Risk.LOSS, "its data would be deleted"
        before = {"size": image.size, "snapshots": sorted(image.snapshots)}
        self._ensure(before, None, apply, needs=[f"image/{child}" for child in going], risk=risk, reason=reason)

    def _wanted(self, *keys: str) -> dict[str, t.Any]:
        """Those of some fields that are declared, as they are compared."""
        found = {key: getattr(self._one, key) for key in keys if getattr(self._one, key) is not None}
        return {key: sorted(value) if key == "features" else value for key, value in found.items()}

    @property
    def _context(self) -> t.Any:
        return self._librbd.context(self._one.place)

    def _create(self) -> None:
        one = self._one
        rbd.RBD().create(self._context, one.name, one.size or 0, old_format=False, **self._shape)
        if one.metadata:
            with self._librbd.open(one.place, one.name) as image:
                _set_metadata(image, one.metadata)

    def _clone(self) -> None:
        one, parent = self._one, t.cast(SnapshotName, self._one.clone_of)
        rbd.RBD().clone(self._librbd.context(parent.place), parent.image, parent.snapshot, self._context, one.name, **self._shape)
        with self._librbd.open(one.place, one.name) as image:
            if one.size is not None:
                if one.size < image.size():
                    raise ValueError(f"a clone cannot be smaller than its parent ({one.size} < {image.size()} bytes)")
                image.resize(one.size)
            # A clone takes over its parent's metadata; where it came from is not this image's.
            _set_metadata(image, {DIGEST: None, **one.metadata})
            if one.flatten:
                image.flatten()

    def _import(self, replace: bool = False) -> None:
        """Import under another name, and give it its own when it is whole. replace: the old image goes to the trash then."""
        one, digest = self._one, self._observed.sources[self._one.path][0]
        half = self._observed.images.get(spec(*one.place, self._aside))
        # Where it is whole, it was cut off just before it got its name.
        if half is None or half.metadata.get(DIGEST) != digest:
            if half is not None:
                try:
                    rbd.RBD().remove(self._context, self._aside)
                except rbd.ImageBusy:
                    raise RuntimeError(f"another import of it is running, or was cut off less than 30 s ago (its image {self._aside} is in use)") from None
            self._fill_aside(digest)
        if replace:
            self._trash()
        rbd.RBD().rename(self._context, self._aside, one.name)

    def _fill_aside(self, digest: str) -> None:
        one = self._one
        disk, stamp = disk_files.open_disk(one.path, one.format), _stamp(one.path)
        rbd.RBD().create(self._context, self._aside, disk.size, old_format=False, **self._shape)
        with self._librbd.open(one.place, self._aside) as image:
            with ThreadPoolExecutor(max_workers=_WRITERS) as pool:
                running: t.Deque[Future[t.Any]] = collections.deque()
                for offset, data in disk.pieces():
                    if len(running) == 2 * _WRITERS:
                        running.popleft().result()
                    running.append(pool.submit(image.write, data, offset))
                for written in running:
                    written.result()
            image.flush()
            if one.size is not None and one.size > disk.size:
                image.resize(one.size)
            _set_metadata(image, one.metadata)
            if _stamp(one.path) != stamp:
                raise RuntimeError(f"{one.path} was changed while it was read; run again")
            image.metadata_set(DIGEST, digest)

    def _update(self, was: Image, after: t.Mapping[str, t.Any]) -> None:
        with self._librbd.open(self._one.place, self._one.name) as image:
            if "size" in after:
                image.resize(after["size"], after["size"] < was.size)
            if "features" in after:
                wanted = frozenset(after["features"])
                for mask, enabled in ((mask_of(was.features - wanted), False), (mask_of(wanted - was.features), True)):
                    if mask:
                        image.update_features(mask, enabled)
            if "clone_of" in after:
                image.flatten()
            _set_metadata(image, after.get("metadata", {}))

    def _trash(self) -> None:
        rbd.RBD().trash_move(self._context, self._one.name, self._one.trash_delay)

    def _delete(self, was: Image) -> None:
        for name, protected in was.snapshots.items():
            snapshots.change(self._librbd, self._one.place, self._one.name, name, protected, None)
        rbd.RBD().remove(self._context, self._one.name)


def _unchangeable(one: Wanted, image: Image) -> t.Iterator[str]:
    """What is declared otherwise than it is, and stays as it is."""
    if one.size is not None and one.size < image.size and image.watchers:
        yield f"cannot be made smaller, it is in use by {', '.join(image.watchers)}"
    if one.features is not None:
        on, off = one.features - image.features, image.features - one.features
        for feature in sorted((on - _SWITCHED_ON_LATER) | (off - _SWITCHED_OFF_LATER)):
            yield f"the feature {feature} can only be {'chosen' if feature in on else 'left out'} when an image is made"
    if one.data_pool is not None and one.data_pool != (image.data_pool or one.pool):
        yield f"its data is in pool {image.data_pool or one.pool} and cannot be moved to {one.data_pool}"
    if one.object_size is not None and one.object_size != image.object_size:
        yield f"its objects have {image.object_size} bytes, which cannot be changed to {one.object_size}"
    if one.clone_of and image.parent is not None and image.parent != str(one.clone_of):
        yield f"is a clone of {image.parent}, not of {one.clone_of}"
    if one.clone_of and image.parent is None and not one.flatten:
        yield f"is there, but is no clone of {one.clone_of} (flatten: true takes it as it is)"


def _set_metadata(image: t.Any, wanted: t.Mapping[str, t.Optional[str]]) -> None:
    for key, value in wanted.items():
        if value is not None:
            image.metadata_set(key, value)
        else:
            with contextlib.suppress(KeyError):
                image.metadata_remove(key)


def _stamp(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


class Provider:
    """The images of one module call, and their namespaces. librbd: None where there is no cluster yet (check mode only)."""

    def __init__(self, librbd: t.Optional[Librbd], wanted: t.Sequence[Wanted], spaces: namespaces.Wanted, check: bool = False) -> None:
        self._librbd, self._wanted, self._spaces, self._check = librbd, wanted, spaces, check
        self._digests: dict[str, str] = {}

    def observe(self) -> Observed:
        observed = Observed()
        if self._librbd is not None:
            try:
                self._ask(observed, self._librbd)
            except (rados.Error, rbd.Error) as error:
                raise Unreachable(f"the images cannot be read as {self._librbd.connection.client}: {error}") from error
        for one in self._wanted:
            image = observed.images.get(one.spec)
            # A digest that was given and that the image carries spares even reading the file; that there is none, the plan says where it matters.
            known = one.digest and image is not None and image.metadata.get(DIGEST) == one.digest
            if one.present and not known and one.path not in observed.sources and os.path.isfile(one.path):
                self._read_source(one, observed)
        return observed

    def _ask(self, observed: Observed, librbd: Librbd) -> None:
        osdmap = librbd.connection.command("osd dump")
        pools = {pool["pool"]: pool["pool_name"] for pool in osdmap["pools"]}
        observed.pools = frozenset(pools.values())
        observed.clones_v2 = values.RELEASES.get(osdmap.get("require_min_compat_client", ""), 0) >= values.RELEASES["mimic"]
        # Said once for all clones of this call: the binding of Ceph 16 cannot say it for each.
        librbd.connection.rados.conf_set("rbd_default_clone_format", "2" if observed.clones_v2 else "1")
        wanted = {(one.place, one.name) for one in self._wanted} | {(one.place, _PARTIAL + one.name) for one in self._wanted if one.path}
        wanted |= {(one.clone_of.place, one.clone_of.image) for one in self._wanted if one.clone_of}
        there: set[tuple[Place, str]] = set()
        asked_pools = {pool for (pool, _unused), _name in wanted} | {pool for pool, _name in self._spaces.places} | {*self._spaces.pools}
        observed.namespaces = namespaces.read(librbd, self._spaces, asked_pools & observed.pools)
        for place in {place for place, _name in wanted}:
            if place[0] in observed.pools and (not place[1] or place[1] in observed.namespaces.there[place[0]]):
                there |= {(place, image["name"]) for image in rbd.RBD().list2(librbd.context(place))}
        asked = sorted(wanted & there)
        with ThreadPoolExecutor(max_workers=_LANE.at_once) as workers:
            for (place, name), image in zip(asked, workers.map(lambda item: librbd.read(item[0], item[1], pools), asked)):
                if image is not None:
                    observed.images[spec(*place, name)] = image

    def _read_source(self, one: Wanted, observed: Observed) -> None:
        """Digest a file, once in a call."""
        path = one.path
        try:
            size = disk_files.open_disk(path, one.format).size
            digest = self._digests[path] = self._digests.get(path) or disk_files.sha256(path)
        except Invalid as error:
            observed.unread.extend(error.problems)
        except OSError as error:
            observed.unread.append(f"{path} cannot be read: {error}")
        else:
            if one.digest and one.digest != digest:
                observed.unread.append(f"{path} is not what was declared: its digest is {digest}")
            observed.sources[path] = (digest, size)

    def plan(self, observed: Observed) -> Plan:
        return plan(self._wanted, observed, self._librbd, self._check, self._spaces)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        rows = []
        for one, image in ((one, observed.images[one.spec]) for one in self._wanted if one.spec in observed.images):
            row = {"pool": one.pool, "namespace": one.namespace, "name": one.name, "size": image.size, "features": sorted(image.features)}
            data = {"data_pool": image.data_pool, "clone_of": image.parent, "snapshots": sorted(image.snapshots), "source": image.metadata.get(DIGEST)}
            rows.append({**row, **data})
        return {"images": rows}
