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

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import Image, Librbd, spec
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A declared snapshot. protected: None where it doesn't matter."""

    name: str
    present: bool = True
    protected: t.Optional[bool] = None


def parse(items: t.Optional[t.Iterable[t.Mapping[str, t.Any]]], problems: list[str]) -> tuple[Snapshot, ...]:
    """Return the declared snapshots of an image."""
    snapshots = tuple(Snapshot(one["name"], one.get("state", "present") == "present", one.get("protected")) for one in items or ())
    problems.extend(f"snapshot {name} is declared twice" for name in sorted(values.duplicates(one.name for one in snapshots)))
    return snapshots


def plan(
    place: tuple[str, str],
    image_name: str,
    wanted: tuple[Snapshot, ...],
    image: t.Optional[Image],
    protect: t.Collection[t.Any],
    librbd: Librbd,
    found: list[str],
    draft: Draft,
) -> None:
    """place: pool and namespace. image: None where it is to be made. protect: the names of snapshots of which a clone of format 1 is to be made."""
    path = spec(*place, image_name)
    have, children = ({}, ()) if image is None else (image.snapshots, image.children)
    named = {snap.name for snap in wanted}
    # Snapshots that nobody declared here, but that a clone of format 1 is to be made of.
    undeclared = tuple(Snapshot(name) for name in sorted(have) if name not in named and f"{path}@{name}" in protect)
    for snap in wanted + undeclared:
        name = f"{path}@{snap.name}"
        protected = True if name in protect else snap.protected
        if not snap.present:
            if snap.name not in have:
                continue
            if children and have[snap.name]:
                found.append(f"snapshot {snap.name} is protected and has clones: {', '.join(children[:5])}")
            apply = functools.partial(_in_image, librbd, place, image_name, remove, snap.name, have[snap.name])
            draft.ensure("snapshot", name, {"protected": have[snap.name]}, None, apply, risk=Risk.LOSS, reason="the state that it keeps would be lost")
        elif snap.name not in have:
            after = {"name": snap.name, **({"protected": True} if protected else {})}
            apply = functools.partial(_in_image, librbd, place, image_name, _create, snap.name, bool(protected))
            draft.ensure("snapshot", name, None, after, apply, needs=[f"image/{path}"])
        elif protected is not None:
            if have[snap.name] and not protected and children:
                found.append(f"snapshot {snap.name} has clones and cannot be unprotected")
            plan_protection(place, image_name, snap.name, have[snap.name], protected, librbd, draft)


def plan_protection(place: tuple[str, str], image_name: str, name: str, have: bool, protected: bool, librbd: Librbd, draft: Draft) -> None:
    apply = functools.partial(_in_image, librbd, place, image_name, _protect, name, protected)
    draft.ensure("snapshot", f"{spec(*place, image_name)}@{name}", {"protected": have}, {"protected": protected}, apply)


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
