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

rados, rbd = binding("rados"), binding("rbd")

OPTIONS: dict[str, t.Any] = {
    "pool": string("The pool that the namespace is in. It must exist.", required=True),
    "name": string("The name of the namespace.", required=True),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=namespace/POOL/NAME), and that no image is in it, nor in its trash."),
}
_INFO, _INITIALISED = "rbd_info", b"overwrite validated"  # the object that says it, and how (librbd's ValidatePoolRequest)


class Wanted(t.NamedTuple):
    """places: whether each namespace is to be there. pools: those that must be initialised, which nobody can who has rights on a namespace alone."""

    places: t.Mapping[Place, bool]
    pools: t.Collection[str] = ()


class Observed(t.NamedTuple):
    """there: the namespaces by pool. held: the images of those that are to go, and of their trash. initialised: the pools that are."""

    there: t.Mapping[str, t.FrozenSet[str]]
    held: t.Mapping[Place, t.Sequence[str]] = {}
    initialised: t.Collection[str] = ()


def parse(declared: t.Iterable[t.Mapping[str, t.Any]], consumers: t.Sequence[t.Mapping[str, t.Any]], images: t.Iterable[Place] = ()) -> Wanted:
    """Return the declared namespaces, and those of consumers and of images that are to be there. Raises Invalid with every problem."""
    wanted: dict[Place, bool] = {}
    problems: list[str] = []
    for item in declared:
        place = (item["pool"], item["name"])
        here = f"namespace {'/'.join(place)}"
        if not _consumers.NAMESPACE.fullmatch(item["name"]):
            problems.append(f"{here}: {_consumers.NAMESPACE_RULE}")
        if place in wanted:
            problems.append(f"{here} is declared twice")
        wanted[place] = item.get("state") != "absent"
    pools = {*(pool for (pool, _name), present in wanted.items() if present), *_consumers.initialised(consumers)}
    for place, user in (*((one, "a consumer") for one in _consumers.namespaces(consumers)), *((one, "an image") for one in images if one[1])):
        if not wanted.setdefault(place, True):
            problems.append(f"namespace {'/'.join(place)} is declared absent, and {user} is in it: keep one of both")
            wanted[place] = True
    if problems:
        raise Invalid(problems)
    return Wanted(wanted, pools)


def read(librbd: Librbd, wanted: Wanted, pools: t.Collection[str]) -> Observed:
    """Read these pools, which are there."""
    there = {pool: frozenset(rbd.RBD().namespace_list(librbd.context((pool, "")))) for pool in pools}
    held: dict[Place, list[str]] = {}
    for place in (place for place, present in wanted.places.items() if not present and place[1] in there.get(place[0], ())):
        context = librbd.context(place)
        held[place] = [*rbd.RBD().list(context), *(f"{image['name']} (in the trash)" for image in rbd.RBD().trash_list(context))]
    return Observed(there, held, [pool for pool in wanted.pools if pool in pools and _is_initialised(librbd, pool)])


def _is_initialised(librbd: Librbd, pool: str) -> bool:
    try:
        return bool(librbd.context((pool, "")).read(_INFO).startswith(_INITIALISED))
    except rados.ObjectNotFound:
        return False


def plan(draft: Draft, librbd: t.Any, wanted: Wanted, observed: Observed, going: t.Collection[str]) -> None:
    """going: the images, as Ceph writes them, that are deleted before."""
    for pool in sorted(wanted.pools):
        init = functools.partial(_initialise, librbd, pool)
        draft.ensure("pool", pool, {"initialised": pool in observed.initialised}, {"initialised": True}, init)
    for place, present in sorted(wanted.places.items()):
        pool, name = place
        spec, found = f"{pool}/{name}", name in observed.there.get(pool, ())
        now = [image for image in observed.held.get(place, ()) if f"{spec}/{image}" not in going]
        current, desired = ({"name": name} if state else None for state in (found, present))
        if present:
            draft.ensure("namespace", spec, current, desired, functools.partial(_create, librbd, pool, name))
        elif now:
            draft.problem(f"namespace {spec} has images: {', '.join(now[:5])}{' …' if len(now) > 5 else ''}: remove or move them first")
        else:
            reason = "who has rights on it alone has nothing left"
            needs = [f"image/{image}" for image in going if image.startswith(f"{spec}/")]
            draft.ensure("namespace", spec, current, desired, functools.partial(_remove, librbd, pool, name), needs=needs, risk=Risk.LOSS, reason=reason)


def _initialise(librbd: Librbd, pool: str) -> None:
    rbd.RBD().pool_init(librbd.context((pool, "")), False)


def _create(librbd: Librbd, pool: str, name: str) -> None:
    rbd.RBD().namespace_create(librbd.context((pool, "")), name)


def _remove(librbd: Librbd, pool: str, name: str) -> None:
    """librbd refuses it where an image has come in the meantime."""
    rbd.RBD().namespace_remove(librbd.context((pool, "")), name)
