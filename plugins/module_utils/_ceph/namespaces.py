# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBD namespaces: parts of a pool that have images, and rights, of their own.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import Librbd, Place
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import presence, string

rbd = binding("rbd")

OPTIONS: dict[str, t.Any] = {
    "pool": string("The pool that the namespace is in. It must exist.", required=True),
    "name": string("The name of the namespace.", required=True),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=namespace/POOL/NAME), and that no image is in it, nor in its trash."),
}
# Whether each is to be there, by its pool and its name.
Wanted = t.Mapping[Place, bool]


def parse(declared: t.Iterable[t.Mapping[str, t.Any]], consumers: t.Iterable[t.Mapping[str, t.Any]], images: t.Iterable[Place] = ()) -> dict[Place, bool]:
    """Return the declared namespaces, and those of consumers and of images that are to be there. Raises Invalid with every problem."""
    wanted: dict[Place, bool] = {}
    problems: list[str] = []
    for item in declared:
        place = (item["pool"], item["name"])
        here = f"namespace {'/'.join(place)}"
        if not _consumers.NAMESPACE.fullmatch(item["name"]):
            problems.append(f"{here}: a namespace has letters, digits, '_', '.' and '-', and begins with none of the last two: write another name")
        if place in wanted:
            problems.append(f"{here} is declared twice")
        wanted[place] = item.get("state") != "absent"
    for place, user in (*((one, "a consumer") for one in _consumers.namespaces(consumers)), *((one, "an image") for one in images if one[1])):
        if not wanted.setdefault(place, True):
            problems.append(f"namespace {'/'.join(place)} is declared absent, and {user} is in it: keep one of both")
            wanted[place] = True
    if problems:
        raise Invalid(problems)
    return wanted


def read(librbd: Librbd, wanted: Wanted, pools: t.Iterable[str]) -> tuple[dict[str, frozenset[str]], dict[Place, list[str]]]:
    """Return the namespaces of these pools, and what images are in those that are to go, or in their trash."""
    there = {pool: frozenset(rbd.RBD().namespace_list(librbd.context((pool, "")))) for pool in pools}
    held: dict[Place, list[str]] = {}
    for place in (place for place, present in wanted.items() if not present and place[1] in there.get(place[0], ())):
        context = librbd.context(place)
        held[place] = [*rbd.RBD().list(context), *(f"{image['name']} (in the trash)" for image in rbd.RBD().trash_list(context))]
    return there, held


def plan(
    draft: Draft, librbd: t.Any, wanted: Wanted, there: t.Mapping[str, t.Collection[str]], held: t.Mapping[Place, t.Sequence[str]], going: t.Collection[str]
) -> None:
    """there, held: as read gives them. going: the images, as Ceph writes them, that are deleted before."""
    for place, present in sorted(wanted.items()):
        pool, name = place
        spec, found = f"{pool}/{name}", name in there.get(pool, ())
        now = [image for image in held.get(place, ()) if f"{spec}/{image}" not in going]
        current, desired = ({"name": name} if state else None for state in (found, present))
        if present:
            draft.ensure("namespace", spec, current, desired, functools.partial(_create, librbd, pool, name))
        elif now:
            draft.problem(f"namespace {spec} has images: {', '.join(now[:5])}{' …' if len(now) > 5 else ''}: remove or move them first")
        else:
            reason = "who has rights on it alone has nothing left"
            needs = [f"image/{image}" for image in going if image.startswith(f"{spec}/")]
            draft.ensure("namespace", spec, current, desired, functools.partial(_remove, librbd, pool, name), needs=needs, risk=Risk.LOSS, reason=reason)


def _create(librbd: Librbd, pool: str, name: str) -> None:
    rbd.RBD().namespace_create(librbd.context((pool, "")), name)


def _remove(librbd: Librbd, pool: str, name: str) -> None:
    """librbd refuses it where an image has come in the meantime."""
    rbd.RBD().namespace_remove(librbd.context((pool, "")), name)
