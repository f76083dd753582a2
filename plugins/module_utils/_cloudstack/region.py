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
    primary_storage,
    secondary_storage,
    settings,
    system_vms,
    templates,
    users,
    zones,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Unreachable


def _nothing(declared: t.Any, region: Region) -> t.Dict[str, t.Any]:
    return {}


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
    problems: t.Callable[[t.Any, str], t.List[str]]
    plan: t.Callable[[t.Any, Region, Draft], None]
    returned: t.Callable[[t.Any, Region], t.Dict[str, t.Any]] = _nothing
    settle: t.Optional[t.Callable[[t.Any, Region], None]] = None

    def words(self, declared: t.Any) -> t.Set[str]:
        return set(self.lists(declared) if callable(self.lists) else self.lists)


def items(options: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The spec of an option that is a list of things."""
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def _no_problems(declared: t.Any, where: str) -> t.List[str]:
    return []


# In the order of planning. What must be done first is said by each change itself, in its needs.
KINDS: t.Tuple[Kind, ...] = (
    Kind("settings", settings.SPEC, settings.LISTS, settings.problems, settings.plan),
    Kind("zones", items(zones.OPTIONS), zones.lists, zones.problems, zones.plan, zones.returned),
    Kind("zones", None, hosts.LISTS, hosts.problems, hosts.plan, hosts.returned, hosts.settle),
    Kind("zones", None, (), _no_problems, system_vms.plan),
    Kind(
        "primary_storage",
        items(primary_storage.OPTIONS),
        primary_storage.LISTS,
        primary_storage.problems,
        primary_storage.plan,
        primary_storage.returned,
    ),
    Kind(
        "image_stores", items(secondary_storage.IMAGE_OPTIONS), secondary_storage.IMAGE_LISTS, secondary_storage.image_problems, secondary_storage.plan_images
    ),
    Kind(
        "staging_stores",
        items(secondary_storage.STAGING_OPTIONS),
        secondary_storage.STAGING_LISTS,
        secondary_storage.staging_problems,
        secondary_storage.plan_staging,
    ),
    Kind("object_stores", items(object_storage.OPTIONS), object_storage.LISTS, object_storage.problems, object_storage.plan),
    Kind("buckets", items(object_storage.BUCKET_OPTIONS), object_storage.BUCKET_LISTS, object_storage.bucket_problems, object_storage.plan_buckets),
    Kind("disk_offerings", items(offerings.DISK_OPTIONS), offerings.DISK_LISTS, offerings.disk_problems, offerings.plan_disk),
    Kind("service_offerings", items(offerings.SERVICE_OPTIONS), offerings.SERVICE_LISTS, offerings.service_problems, offerings.plan_service),
    Kind("networks", items(networks.OPTIONS), networks.LISTS, networks.problems, networks.plan),
    Kind("templates", items(templates.OPTIONS), templates.LISTS, templates.problems, templates.plan),
    Kind("users", items(users.OPTIONS), users.LISTS, users.problems, users.plan),
    Kind("zones", None, (), _no_problems, zones.plan_state),  # last: a zone is opened when all of it is there
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


def argument_spec() -> t.Dict[str, t.Any]:
    """The options of the module that declare something."""
    return copy.deepcopy({**SHARED, **{kind.option: dict(kind.spec) for kind in KINDS if kind.spec is not None}})


def declared_problems(declaration: t.Mapping[str, t.Any], prefix: str = "") -> t.List[str]:
    """Everything that is wrong with a declaration by itself, each problem with the option's name. Pure."""
    found: t.List[str] = []
    for kind in KINDS:
        if declaration.get(kind.option):
            found += [text for text in kind.problems(declaration[kind.option], prefix + kind.option) if text not in found]
    return found


def plan(declaration: t.Mapping[str, t.Any], region: Region, prefix: str = "") -> t.Tuple[Plan, Draft]:
    """Compare what is declared (complete, as an argument spec gives it) with what is. Raises Invalid with all problems."""
    draft = Draft(declaration, prefix)
    for kind in KINDS:
        if declaration.get(kind.option):
            kind.plan(declaration[kind.option], region, draft)
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
        self._written: t.Set[str] = set()
        self._restart: t.Set[str] = set()

    def observe(self) -> Region:
        """Read the lists that the declared kinds need. Raises Invalid before anything is asked, and Unreachable."""
        found = declared_problems(self._declaration, self._prefix)
        if found:
            raise Invalid(found)
        region = Region(self._client, within={zone["name"] for zone in self._declaration.get("zones") or ()})
        region.written, region.again_allowed = self._written, self._armed
        if self._client is None:
            return region
        declared = [(kind, self._declaration[kind.option]) for kind in KINDS if self._declaration.get(kind.option)]
        try:
            region.read({word for kind, value in declared for word in kind.words(value)})
            for kind, value in declared:
                if kind.settle is not None:
                    kind.settle(value, region)
            return region
        except (Invalid, Unreachable):
            raise
        except ApiError as error:  # never read as an absence
            raise Unreachable(f"the region could not be read: {error}") from error

    def plan(self, observed: Region) -> Plan:
        """Compare."""
        made, draft = plan(self._declaration, observed, self._prefix)
        self._restart.update(draft.restart)
        return made

    def returned(self, observed: Region) -> t.Dict[str, t.Any]:
        """What each kind gives back, which settings wait for a restart, and how many calls were made."""
        result: t.Dict[str, t.Any] = {"restart_needed": sorted(self._restart), "api_calls": getattr(self._client, "calls", 0)}
        for kind in KINDS:
            if self._declaration.get(kind.option):
                result.update(kind.returned(self._declaration[kind.option], observed))
        return result
