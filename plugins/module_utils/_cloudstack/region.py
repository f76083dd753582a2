# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A region: which kinds of things there are of all that one CloudStack server looks after, and the plan that leads to what is declared.

A kind is one line of KINDS. The number of calls depends on the kinds that are declared, never on how many objects there are: these are read whole.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
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
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import reading
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import mapping, record, records, string, strings


class Kind(t.NamedTuple):
    """One thing that can be declared of a region.

    option: its name among the module's options.
    lists: the words of LISTINGS that it needs where it is declared; or a function of what is declared.
    problems: (declared, where) -> what is wrong with the declaration alone. plan: (declared, region, draft), writes changes and problems on the draft.
    returned: (declared, region) -> what the module gives back of it. settle: (declared, region, draft), asks what a plan
    may not, after the lists were read; what it writes on the draft is in the plan.
    """

    option: str
    lists: t.Union[t.Collection[str], t.Callable[[t.Any], t.Collection[str]]]
    plan: t.Callable[[t.Any, Region, Draft], None]
    problems: t.Callable[[t.Any, str], list[str]] = lambda declared, where: []
    returned: t.Callable[[t.Any, Region], dict[str, t.Any]] = lambda declared, region: {}
    settle: t.Callable[[t.Any, Region, Draft], None] = lambda declared, region, draft: None


_several = functools.partial(records, default=[])

# The options of the module that declare something: those for several kinds at once, then the kinds.
OPTIONS: dict[str, t.Any] = {
    "consumers": _consumers.CONSUMERS,
    "ceph": record(
        "The Ceph cluster that O(consumers) belong to.",
        {
            "fsid": string("Its fsid."),
            "mon_host": string("Its monitors, as in C(mon_host) of C(ceph.conf), from the running cluster's own map."),
            "keys": mapping("The keys of cephx clients, by their full name.", no_log=True, default={}),
            "pools": strings("The names of its pools, so that a missing one is reported. Not checked if they are not given."),
            "object_users": mapping("The keys of the object gateway's users, as M(cephstack.cloud.ceph_keys_info) returns them.", no_log=True, default={}),
        },
        default={},
    ),
    "settings": settings.SPEC,
    "zones": _several("Zones, and what they are made of.", zones.OPTIONS),
    "primary_storage": _several(
        "Pools of Ceph on which CloudStack keeps guests' volumes. A pool is known by its name within its zone.\n"
        "Where it is in Ceph comes from a consumer and from the cluster itself, so that no monitor, user or key is written twice. The same pool of "
        "Ceph under another name, or with its monitors in another order, is refused, since CloudStack would take it for another pool.\n"
        "CloudStack can change neither monitors nor pool of one that is there. Where they differ, it is an error.",
        primary_storage.OPTIONS,
    ),
    "image_stores": _several(
        "Secondary storage, for templates, ISOs and backups of snapshots.\n"
        "A region has stores of NFS, one or more for each zone, or of S3, which are the whole region's; never of both.\n"
        "The server takes anything. A bucket is proven with its keys before it is registered; an NFS export is to be proven from the hosts, by "
        "M(cephstack.cloud.nfs_probe).",
        secondary_storage.IMAGE_OPTIONS,
    ),
    "staging_stores": _several(
        "NFS stores by which templates get from an S3 image store to a zone's hosts. A store is known by zone and URL.",
        secondary_storage.STAGING_OPTIONS,
    ),
    "object_stores": _several(
        "Object gateways on which CloudStack makes buckets for its users.\n"
        "That its user of the gateways has the admin caps that it needs, V(users=*) and V(buckets=*), is proven before it is registered.",
        object_storage.OPTIONS,
    ),
    "buckets": _several(
        "Buckets that belong to the account whose API keys are used. Their keys are CloudStack's, and are never returned.",
        object_storage.BUCKET_OPTIONS,
    ),
    "disk_offerings": _several(
        "What kinds of volumes users can make.\n"
        "CloudStack can change some of it in place. Where what differs cannot be changed, it is an error that says what to do.",
        offerings.DISK_OPTIONS,
    ),
    "service_offerings": _several(
        "What kinds of guests users can make.\n"
        "With neither O(service_offerings[].cpu_number) nor O(service_offerings[].memory), whoever makes a guest chooses them.",
        offerings.SERVICE_OPTIONS,
    ),
    "networks": _several(
        "The administrator's networks of guests. What they are (L2, shared, isolated) is said by their network offering.\n"
        "A name is one network of its zone. Networks of other accounts and of projects are not looked at.",
        networks.OPTIONS,
    ),
    "templates": _several(
        "Disks of which guests are made. A name is one template of its zone. Those of users are not looked at.\n"
        "What a template's file is cannot be changed later; where it differs, it is an error that says what to do.",
        templates.OPTIONS,
    ),
    "users": _several(
        "Users with API keys, each in an account.\n"
        "A user that is there keeps its password, and keys that are there are never made anew. They are not returned; "
        "M(cephstack.cloud.cloudstack_keys) reads those of one user.",
        users.OPTIONS,
    ),
}

# In the order of planning. What must be done first is said by each change itself, in its needs.
KINDS: tuple[Kind, ...] = (
    Kind("settings", settings.LISTS, settings.plan, settings.problems),
    Kind("zones", zones.lists, zones.plan, zones.problems, zones.returned),
    Kind("zones", hosts.LISTS, hosts.plan, hosts.problems, hosts.returned, hosts.settle),
    Kind("zones", (), system_vms.plan),
    Kind("primary_storage", primary_storage.LISTS, primary_storage.plan, primary_storage.problems, primary_storage.returned),
    Kind("image_stores", secondary_storage.IMAGE_LISTS, secondary_storage.plan_images, secondary_storage.image_problems, settle=secondary_storage.settle),
    Kind("staging_stores", secondary_storage.STAGING_LISTS, secondary_storage.plan_staging, secondary_storage.staging_problems),
    Kind("object_stores", object_storage.LISTS, object_storage.plan, object_storage.problems, settle=object_storage.settle),
    Kind("buckets", object_storage.BUCKET_LISTS, object_storage.plan_buckets, object_storage.bucket_problems),
    Kind("disk_offerings", offerings.DISK_LISTS, offerings.plan_disk, offerings.disk_problems),
    Kind("service_offerings", offerings.SERVICE_LISTS, offerings.plan_service, offerings.service_problems),
    Kind("networks", networks.LISTS, networks.plan, networks.problems),
    Kind("templates", templates.LISTS, templates.plan, templates.problems, settle=templates.settle),
    Kind("users", users.LISTS, users.plan, users.problems),
    Kind("zones", (), zones.plan_state),  # last: a zone is opened when all of it is there
)


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
    for text in region.warnings:
        draft.warn(text)
    for kind, value in _declared(declaration):
        kind.plan(value, region, draft)
    for text in (*region.duplicates, *region.problems):
        draft.problem(text)
    return draft.plan(), draft


class Provider:
    """Everything declared of one region. client: None in check mode where there is no server yet. allow_loss: ids that may be changed."""

    def __init__(self, declaration: t.Mapping[str, t.Any], client: t.Any, prefix: str = "", allow_loss: t.Collection[str] = ()) -> None:
        self._declaration, self._client, self._prefix, self._allow_loss = declaration, client, prefix, frozenset(allow_loss)
        self._declared = _declared(declaration)
        self._written: set[str] = set()
        self._restart: set[str] = set()

    def observe(self) -> Region:
        """Read the lists that the declared kinds need. Raises Invalid before anything is asked, and Unreachable."""
        found = declared_problems(self._declaration, self._prefix)
        if found:
            raise Invalid(found)
        region = Region(self._client, within={zone["name"] for zone in self._declaration.get("zones") or ()})
        region.written, region.again_allowed = self._written, self._allow_loss
        if self._client is None:
            return region
        draft = Draft(self._declaration, self._prefix)
        with reading("the region could not be read"):
            region.read({word for kind, value in self._declared for word in (kind.lists(value) if callable(kind.lists) else kind.lists)})
            for kind, value in self._declared:
                kind.settle(value, region, draft)
        region.problems, region.warnings = draft.problems, draft.warnings
        return region

    def plan(self, observed: Region) -> Plan:
        made, draft = plan(self._declaration, observed, self._prefix)
        self._restart.update(draft.restart)
        return made

    def returned(self, observed: Region) -> dict[str, t.Any]:
        """What each kind gives back, which settings wait for a restart, and how many calls were made."""
        result: dict[str, t.Any] = {"restart_needed": sorted(self._restart), "api_calls": getattr(self._client, "calls", 0)}
        for kind, value in self._declared:
            result.update(kind.returned(value, observed))
        return result
