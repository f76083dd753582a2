# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A region: which kinds of things there are of all that one CloudStack server looks after, and the plan that leads to what is declared.

A kind (zones, offerings, …) is one line of KINDS. Nothing is asked or sent for an object that is as it should be, so that
the number of calls depends on the kinds that are declared, never on how many objects there are.

PRIVATE to the collection.
"""

from __future__ import annotations

import copy
import dataclasses
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import (
    hosts,
    networks,
    object_storage,
    offerings,
    settings,
    system_vms,
    templates,
    users,
    zones,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import primary_storage as storage
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import secondary_storage as stores
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Unreachable


@dataclasses.dataclass(frozen=True)
class Kind:
    """One thing that can be declared of a region.

    option: its name among the module's options. spec: the argument spec of that option; None for a kind that only reads another's.
    lists: the words of LISTINGS that it needs where it is declared; or a function of what is declared.
    problems: (declared, where) -> what is wrong with the declaration alone. plan: (declared, region, draft), writes changes and problems on the draft.
    returned: (declared, region) -> what the module gives back of it. settle: (declared, region), after the lists were read and before planning.
    """

    option: str
    spec: t.Optional[t.Mapping[str, t.Any]]
    lists: t.Union[t.Collection[str], t.Callable[[t.Any], t.Collection[str]]]
    plan: t.Callable[[t.Any, Region, Draft], None]
    problems: t.Callable[[t.Any, str], list[str]] = lambda declared, where: []
    returned: t.Callable[[t.Any, Region], dict[str, t.Any]] = lambda declared, region: {}
    settle: t.Optional[t.Callable[[t.Any, Region], None]] = None


def items(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


# In the order of planning. What must be done first is said by each change itself, in its needs.
KINDS: tuple[Kind, ...] = (
    Kind("settings", settings.SPEC, settings.LISTS, settings.plan, settings.problems),
    Kind("zones", items(zones.OPTIONS), zones.lists, zones.plan, zones.problems, zones.returned),
    Kind("zones", None, hosts.LISTS, hosts.plan, hosts.problems, hosts.returned, hosts.settle),
    Kind("zones", None, (), system_vms.plan),
    Kind("primary_storage", items(storage.OPTIONS), storage.LISTS, storage.plan, storage.problems, storage.returned),
    Kind("image_stores", items(stores.IMAGE_OPTIONS), stores.IMAGE_LISTS, stores.plan_images, stores.image_problems),
    Kind("staging_stores", items(stores.STAGING_OPTIONS), stores.STAGING_LISTS, stores.plan_staging, stores.staging_problems),
    Kind("object_stores", items(object_storage.OPTIONS), object_storage.LISTS, object_storage.plan, object_storage.problems),
    Kind("buckets", items(object_storage.BUCKET_OPTIONS), object_storage.BUCKET_LISTS, object_storage.plan_buckets, object_storage.bucket_problems),
    Kind("disk_offerings", items(offerings.DISK_OPTIONS), offerings.DISK_LISTS, offerings.plan_disk, offerings.disk_problems),
    Kind("service_offerings", items(offerings.SERVICE_OPTIONS), offerings.SERVICE_LISTS, offerings.plan_service, offerings.service_problems),
    Kind("networks", items(networks.OPTIONS), networks.LISTS, networks.plan, networks.problems),
    Kind("templates", items(templates.OPTIONS), templates.LISTS, templates.plan, templates.problems),
    Kind("users", items(users.OPTIONS), users.LISTS, users.plan, users.problems),
    Kind("zones", None, (), zones.plan_state),  # last: a zone is opened when all of it is there
)

# What is declared for several kinds at once.
SHARED: t.Mapping[str, t.Any] = {
    "consumers": items(_consumers.OPTIONS),
    "ceph": {
        "type": "dict",
        "default": {},
        "options": {
            "fsid": {"type": "str"},
            "mon_host": {"type": "str"},
            "keys": {"type": "dict", "no_log": True, "default": {}},
            "pools": {"type": "list", "elements": "str"},
            "object_users": {"type": "dict", "no_log": True, "default": {}},
        },
    },
}


def argument_spec() -> dict[str, t.Any]:
    return copy.deepcopy({**SHARED, **{kind.option: dict(kind.spec) for kind in KINDS if kind.spec is not None}})


def _declared(declaration: t.Mapping[str, t.Any]) -> list[tuple[Kind, t.Any]]:
    return [(kind, declaration[kind.option]) for kind in KINDS if declaration.get(kind.option)]


def declared_problems(declaration: t.Mapping[str, t.Any], prefix: str = "") -> list[str]:
    """Everything that is wrong with a declaration by itself, each problem with the option's name. Pure."""
    found: list[str] = []
    for kind, value in _declared(declaration):
        found += [text for text in kind.problems(value, prefix + kind.option) if text not in found]
    return found


def plan(declaration: t.Mapping[str, t.Any], region: Region, prefix: str = "") -> tuple[Plan, Draft]:
    """Compare what is declared (complete, as an argument spec gives it) with what is. Raises Invalid with all problems."""
    draft = Draft(declaration, prefix)
    for kind, value in _declared(declaration):
        kind.plan(value, region, draft)
    for text in region.duplicates:
        draft.problem(text)
    return draft.plan(), draft


class Provider:
    """Everything declared of one region, for the engine.

    declaration: the module's parameters. client: of client.py, None in check mode where there is no server yet. armed: ids that may be changed.
    """

    def __init__(self, declaration: t.Mapping[str, t.Any], client: t.Any, prefix: str = "", armed: t.Collection[str] = ()) -> None:
        self._declaration = declaration
        self._client = client
        self._prefix = prefix
        self._armed = frozenset(armed)
        self._written: set[str] = set()
        self._restart: set[str] = set()

    def observe(self) -> Region:
        """Read the lists that the declared kinds need. Raises Invalid before anything is asked, and Unreachable."""
        found = declared_problems(self._declaration, self._prefix)
        if found:
            raise Invalid(found)
        region = Region(self._client, within={zone["name"] for zone in self._declaration.get("zones") or ()})
        region.written, region.again_allowed = self._written, self._armed
        if self._client is None:
            return region
        declared = _declared(self._declaration)
        try:
            region.read({word for kind, value in declared for word in (kind.lists(value) if callable(kind.lists) else kind.lists)})
            for kind, value in declared:
                if kind.settle is not None:
                    kind.settle(value, region)
            return region
        except Unreachable:
            raise
        except ApiError as error:  # never read as an absence
            raise Unreachable(f"the region could not be read: {error}") from error

    def plan(self, observed: Region) -> Plan:
        made, draft = plan(self._declaration, observed, self._prefix)
        self._restart.update(draft.restart)
        return made

    def returned(self, observed: Region) -> dict[str, t.Any]:
        """What each kind gives back, which settings wait for a restart, and how many calls were made."""
        result: dict[str, t.Any] = {"restart_needed": sorted(self._restart), "api_calls": getattr(self._client, "calls", 0)}
        for kind, value in _declared(self._declaration):
            result.update(kind.returned(value, observed))
        return result
