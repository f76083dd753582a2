# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of RBD images, and their protection.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import Image, Librbd, spec
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import twice


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A declared snapshot. protected: None where it doesn't matter."""

    name: str
    present: bool = True
    protected: t.Optional[bool] = None


def parse(items: t.Optional[t.Iterable[t.Mapping[str, t.Any]]], problems: list[str]) -> tuple[Snapshot, ...]:
    """Return the declared snapshots of an image."""
    snapshots = tuple(Snapshot(one["name"], one.get("state", "present") == "present", one.get("protected")) for one in items or ())
    problems.extend(f"snapshot {name} is declared twice" for name in twice(one.name for one in snapshots))
    return snapshots


def plan(
    place: tuple[str, str],
    image_name: str,
    wanted: tuple[Snapshot, ...],
    image: t.Optional[Image],
    protect: t.Collection[t.Any],
    librbd: Librbd,
    problem: t.Callable[[str], None],
    draft: Draft,
) -> None:
    """place: pool and namespace. image: None where it is to be made. protect: the names of snapshots of which a clone of format 1 is to be made."""
    path = spec(*place, image_name)
    have, children = ({}, ()) if image is None else (image.snapshots, image.children)
    named = {snap.name for snap in wanted}
    # Snapshots that nobody declared here, but that a clone of format 1 is to be made of.
    undeclared = tuple(Snapshot(name) for name in sorted(have) if name not in named and f"{path}@{name}" in protect)
    for snap in wanted + undeclared:
        name, living = f"{path}@{snap.name}", have.get(snap.name)
        protected = True if name in protect else snap.protected
        current = None if living is None else {"protected": living}
        desired: t.Optional[dict[str, t.Any]] = {} if protected is None else {"protected": protected}
        apply: t.Callable[[t.Any, str, bool], None] = _protect
        more: dict[str, t.Any] = {}
        if not snap.present:
            if children and living:
                problem(f"snapshot {snap.name} is protected and has clones: {', '.join(children[:5])}")
            apply, protected, desired = remove, living, None
            more = {"risk": Risk.LOSS, "reason": "the state that it keeps would be lost"}
        elif living is None:
            apply, desired = _create, {"name": snap.name, **({"protected": True} if protected else {})}
            more = {"needs": [f"image/{path}"]}
        elif living and protected is False and children:
            problem(f"snapshot {snap.name} has clones and cannot be unprotected")
        do = functools.partial(_in_image, librbd, place, image_name, apply, snap.name, bool(protected))
        draft.ensure("snapshot", name, current, desired, do, **more)


def _in_image(librbd: Librbd, place: tuple[str, str], image_name: str, do: t.Callable[[t.Any, str, bool], None], name: str, protected: bool) -> None:
    with librbd.open(place, image_name) as image:
        do(image, name, protected)


def _create(image: t.Any, name: str, protected: bool) -> None:
    image.create_snap(name)
    if protected:
        image.protect_snap(name)


def _protect(image: t.Any, name: str, protected: bool) -> None:
    (image.protect_snap if protected else image.unprotect_snap)(name)


def remove(image: t.Any, name: str, protected: bool) -> None:
    """image: opened. protected: whether it is."""
    if protected:
        image.unprotect_snap(name)
    image.remove_snap(name)
