# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of RBD images, and their protection.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import Image, Librbd, Place, spec
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import twice


class Snapshot(t.NamedTuple):
    """A declared snapshot. protected: None where it doesn't matter."""

    name: str
    present: bool = True
    protected: t.Optional[bool] = None


def parse(items: t.Optional[t.Iterable[t.Mapping[str, t.Any]]], problems: list[str]) -> tuple[Snapshot, ...]:
    snapshots = tuple(Snapshot(one["name"], one.get("state", "present") == "present", one.get("protected")) for one in items or ())
    problems.extend(f"snapshot {name} is declared twice" for name in twice(one.name for one in snapshots))
    return snapshots


def plan(
    draft: Draft, librbd: Librbd, place: Place, image_name: str, wanted: tuple[Snapshot, ...], image: t.Optional[Image], protect: t.Collection[t.Any]
) -> None:
    """image: None where it is to be made. protect: the names of snapshots of which a clone of format 1 is to be made."""
    path = spec(*place, image_name)
    have, children = ({}, ()) if image is None else (image.snapshots, image.children)
    # Snapshots that nobody declared here, but that a clone of format 1 is to be made of.
    undeclared = have.keys() - {snap.name for snap in wanted}
    for snap in (*wanted, *(Snapshot(name) for name in sorted(undeclared) if f"{path}@{name}" in protect)):
        name, existing = f"{path}@{snap.name}", have.get(snap.name)
        protected = True if name in protect else snap.protected
        desired: t.Optional[dict[str, t.Any]] = {} if protected is None else {"protected": protected}
        more: dict[str, t.Any] = {}
        if not snap.present:
            desired, more = None, {"risk": Risk.LOSS, "reason": "the state that it keeps would be lost"}
            if existing and children:
                draft.problem(f"image {path}: snapshot {snap.name} is protected and has clones: {', '.join(children[:5])}")
        elif existing is None:
            desired, more = {"name": snap.name, **({"protected": True} if protected else {})}, {"needs": [f"image/{path}"]}
        elif existing and protected is False and children:
            draft.problem(f"image {path}: snapshot {snap.name} has clones and cannot be unprotected")
        do = functools.partial(change, librbd, place, image_name, snap.name, existing, bool(protected) if snap.present else None)
        draft.ensure("snapshot", name, None if existing is None else {"protected": existing}, desired, do, **more)


def change(librbd: Librbd, place: Place, image_name: str, name: str, before: t.Optional[bool], after: t.Optional[bool]) -> None:
    """Bring a snapshot from one state to another: None where it is not there, else whether it is protected."""
    with librbd.open(place, image_name) as image:
        if before is None:
            image.create_snap(name)
        if before and not after:
            image.unprotect_snap(name)
        if after and not before:
            image.protect_snap(name)
        if after is None:
            image.remove_snap(name)
