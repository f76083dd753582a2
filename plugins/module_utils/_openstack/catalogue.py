# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenStack's catalogue: which kinds of things there are of all that is declared by its APIs, and the plan that leads to what is declared.

A kind is one line of KINDS. The number of calls depends on the kinds that are declared, hardly on how many things there are: these are read whole.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import flavors, identity, images, networks, volume_types
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import reading
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import Cloud
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Lane, Plan
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, records

# As many changes are made at a time: each API has a few processes, and a database behind it.
_LANE = Lane("openstack", 8)
# As many users are tried, and limits of projects read, at a time.
_AT_ONCE = 8


class Kind(t.NamedTuple):
    """One thing that can be declared.

    option: its name among the module's options.
    lists: the words of LISTINGS that it needs where it is declared; or a function of what is declared.
    problems: (declared, where) -> what is wrong with the declaration alone. plan: (declared, cloud, draft), writes changes and problems on the draft.
    settle: (declared, cloud, draft), gives what is to be asked besides whole lists, each of which can be done beside the others.
    """

    option: str
    lists: t.Union[t.Collection[str], t.Callable[[t.Any], t.Collection[str]]]
    plan: t.Callable[[t.Any, Cloud, Draft], None]
    problems: t.Callable[[t.Any, str], list[str]] = lambda declared, where: []
    settle: t.Callable[[t.Any, Cloud, Draft], t.Iterable[t.Callable[[], None]]] = lambda declared, cloud, draft: ()


_several = functools.partial(records, default=[])

# The options of the module that declare something.
OPTIONS: dict[str, t.Any] = {
    "projects": _several("Projects, in the domain of the administrator's own.", identity.PROJECT_OPTIONS),
    "roles": _several("Roles.", identity.ROLE_OPTIONS),
    "users": _several("Users, in the same domain, and what they may.", identity.USER_OPTIONS),
    "services": _several("Services, and the addresses of their APIs, in Keystone's catalogue.", identity.SERVICE_OPTIONS),
    "flavors": _several("Flavors: what kinds of guests users can make.", flavors.OPTIONS),
    "qos": _several("Limits of volumes (QoS specs), which volume types name.", volume_types.QOS_OPTIONS),
    "volume_types": _several("Volume types: what kinds of volumes users can make.", volume_types.OPTIONS),
    "consumers": {
        **_consumers.CONSUMERS,
        "description": "Who uses the Ceph cluster's pools. Each pool that a consumer of the kind V(cinder) writes to is a backend of Cinder, and gets a volume "
        "type of its name, if O(volume_types) has none.",
    },
    "images": _several("Images of the user's own project.", images.OPTIONS),
    "networks": _several("Networks, with their subnets.", networks.OPTIONS),
    "routers": _several("Routers. Neutron must have the service plugin for them.", networks.ROUTER_OPTIONS),
    "security_groups": _several("Security groups, with their rules.", networks.GROUP_OPTIONS),
    "keypairs": _several("Keypairs, by their public keys.", flavors.KEYPAIR_OPTIONS, no_log=False),
    "discover_hosts": boolean(
        "Whether compute hosts that run, and that no cell of Nova knows yet, are mapped into theirs. The module must run on a controller, with C(nova-manage).",
        default=False,
    ),
}

# In the order of planning. What must be done first is said by each change itself, in its needs.
KINDS: tuple[Kind, ...] = (
    Kind("projects", ("projects",), identity.plan_projects, identity.project_problems),
    Kind("roles", ("roles",), identity.plan_roles, identity.role_problems),
    Kind("users", identity.user_lists, identity.plan_users, identity.user_problems, identity.settle_users),
    Kind("services", identity.SERVICE_LISTS, identity.plan_services, identity.service_problems),
    Kind("flavors", flavors.lists, flavors.plan, flavors.problems, flavors.settle),
    Kind("qos", ("qos",), volume_types.plan_qos, volume_types.qos_problems),
    Kind("volume_types", volume_types.lists, volume_types.plan, volume_types.problems, volume_types.settle),
    Kind("images", images.lists, images.plan, images.problems, images.settle),
    Kind("networks", networks.lists, networks.plan, networks.problems),
    Kind("routers", networks.router_lists, networks.plan_routers, networks.router_problems),
    Kind("security_groups", networks.group_lists, networks.plan_groups, networks.group_problems),
    Kind("keypairs", flavors.keypair_lists, flavors.plan_keypairs, flavors.keypair_problems, flavors.settle_keypairs),
    Kind("discover_hosts", ("compute_services", "hypervisors"), flavors.plan_cell_hosts),
    Kind("projects", (), identity.plan_quotas, settle=identity.settle_quotas),
)


def with_consumers(declaration: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A declaration with the volume types that follow from its consumers."""
    types = list(declaration.get("volume_types") or ())
    return {**declaration, "volume_types": types + volume_types.of_consumers(declaration.get("consumers") or (), types)}


def _declared(declaration: t.Mapping[str, t.Any]) -> list[tuple[Kind, t.Any]]:
    return [(kind, declaration[kind.option]) for kind in KINDS if declaration.get(kind.option)]


def declared_problems(declaration: t.Mapping[str, t.Any], prefix: str = "") -> list[str]:
    """Everything that is wrong with a declaration by itself, each problem with the option's name. Pure."""
    found: list[str] = []
    for kind, value in _declared(declaration):
        found += [text for text in kind.problems(value, prefix + kind.option) if text not in found]
    return found


def plan(declaration: t.Mapping[str, t.Any], cloud: Cloud, prefix: str = "") -> Plan:
    """Compare what is declared (complete, as an argument spec gives it) with what is. Raises Invalid with all problems."""
    draft = Draft(declaration, prefix)
    for kind, value in _declared(declaration):
        kind.plan(value, cloud, draft)
    for text in cloud.problems:
        draft.problem(text)
    return draft.plan(_LANE)


class Provider:
    """Everything declared of one OpenStack. client: None in check mode where there is no controller yet."""

    def __init__(self, declaration: t.Mapping[str, t.Any], client: t.Any, prefix: str = "") -> None:
        self._declaration, self._client, self._prefix = with_consumers(declaration), client, prefix
        self._declared = _declared(self._declaration)

    def observe(self) -> Cloud:
        """Read the lists that the declared kinds need. Raises Invalid before anything is asked, and Unreachable."""
        found = declared_problems(self._declaration, self._prefix)
        if found:
            raise Invalid(found)
        cloud = Cloud(self._client)
        draft = Draft(self._declaration, self._prefix)
        with reading("what is there could not be read"):
            if self._client is not None:
                cloud.read({word for kind, value in self._declared for word in (kind.lists(value) if callable(kind.lists) else kind.lists)})
            asked = [ask for kind, value in self._declared for ask in kind.settle(value, cloud, draft)]
            with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
                for one in [pool.submit(ask) for ask in asked]:
                    one.result()
        cloud.problems += draft.problems
        return cloud

    def plan(self, observed: Cloud) -> Plan:
        return plan(self._declaration, observed, self._prefix)

    def returned(self, _observed: Cloud) -> dict[str, t.Any]:
        """How many calls were made."""
        return {"api_calls": getattr(self._client, "calls", 0)}
