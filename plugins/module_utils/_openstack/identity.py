# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects, roles, users with what they may, services with their endpoints: what Keystone keeps. All of one domain, that of the administrator's project.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.draft import Draft, Item, Sort, fields, names_wrong, or_empty
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import Cloud, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, Risk, Secret
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, mapping, presence, record, records, string, strings

_DESCRIPTION = string("What people read of it. Left out, it is left alone.")
_QUOTAS: dict[str, t.Any] = {
    "compute": mapping("Those of Nova, such as V(cores=20), V(ram=51200) in MiB, V(instances=10). V(-1) is no limit."),
    "volume": mapping("Those of Cinder, such as V(gigabytes=1000), V(volumes=10), and of a volume type V(gigabytes_NAME=100). V(-1) is no limit."),
    "network": mapping("Those of Neutron, such as V(port=50), V(network=5). V(-1) is no limit."),
}
PROJECT_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=project/NAME)."),
    "description": _DESCRIPTION,
    "enabled": boolean("Whether its users are let in. Left out, it is left alone."),
    "quotas": record("How much it may have, by the service's own names. What is not named is left alone.", _QUOTAS),
}
ROLE_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=role/NAME), and takes it from everybody who has it."),
    "description": _DESCRIPTION,
}
GRANT_OPTIONS: dict[str, t.Any] = {
    "role": string("The role.", required=True),
    "project": string("The project in which the user has it."),
    "system": boolean("Whether the user has it on OpenStack as a whole, instead of in a project.", default=False),
    "state": presence("Whether the user has it. V(absent) needs O(allow_loss=grant/USER/PROJECT/ROLE), with C(system) for the project of such a one."),
}
USER_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=user/NAME)."),
    "password": string("Its password. Keep it in a vault. Left out, it is left alone; a new user without one cannot log in.", no_log=True),
    "password_update": choice(
        "Whether the password is that of a user who is there already.\n"
        "No password can be read back: V(always) tries it once, in check mode too, and sets it if Keystone does not accept it. V(on_create) leaves it to the "
        "user.",
        ["always", "on_create"],
        default="always",
    ),
    "email": string("Its address. Left out, it is left alone."),
    "description": _DESCRIPTION,
    "enabled": boolean("Whether it is let in. Left out, it is left alone."),
    "default_project": string("The project that it is in if it says none."),
    "roles": records("What it may, and where. Roles that are not named are left alone.", GRANT_OPTIONS, default=[]),
}
ENDPOINT_OPTIONS: dict[str, t.Any] = {
    "url": string("The address. Required for one that is present."),
    "region": string("The region.", required=True),
    "interfaces": strings("For whom it is.", choices=["public", "internal", "admin"], default=["public", "internal", "admin"]),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=endpoint/TYPE/REGION/INTERFACE) for each."),
}
SERVICE_OPTIONS: dict[str, t.Any] = {
    "type": string("Its type, such as V(object-store), by which users find it. Here a type is one service.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=service/TYPE), and takes its endpoints with it."),
    "name": string("Its name, such as V(swift). By default the type."),
    "description": _DESCRIPTION,
    "enabled": boolean("Whether users find it. Left out, it is left alone."),
    "endpoints": records("Its addresses. Those that are not named are left alone.", ENDPOINT_OPTIONS, default=[]),
}

_PROJECT = Sort(
    "project", "projects", "identity", "/projects", "project", fields("description enabled", description=or_empty("description")),
    loss="what is in it can be reached by nobody any more",
)  # fmt: skip
_ROLE = Sort("role", "roles", "identity", "/roles", "role", fields("description", description=or_empty("description")), loss="all who have it lose it")
_USER = Sort(
    "user", "users", "identity", "/users", "user",
    fields(
        "email description enabled default_project",
        email=or_empty("email"), description=or_empty("description"), default_project=("default_project_id", "projects"),
    ),
    loss="it is let in no more",
)  # fmt: skip
_SERVICE = Sort(
    "service", "services", "identity", "/services", "service", fields("name description enabled", description=or_empty("description")),
    loss="users do not find its API any more", named="type",
)  # fmt: skip


def user_lists(declared: t.Sequence[Item]) -> set[str]:
    """Who is there; and what they may where that is declared."""
    return {"users"} | ({"projects", "roles", "grants"} if any(item["roles"] or item.get("default_project") for item in declared) else set())


SERVICE_LISTS = ("services", "endpoints", "regions")


def role_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    return [text for _here, _item, found in names_wrong(declared, where) for text in found]


def user_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    problems: list[str] = []
    for here, item, found in names_wrong(declared, where):
        here.refuse(item.get("password") == "", "the password is empty: leave it out, or give one")
        seen: set[str] = set()
        for grant in item["roles"]:
            here.refuse(bool(grant.get("project")) == grant["system"], f"roles: {grant['role']}: say either project, or system: true")
            identity = _grant_id(item["name"], grant)
            here.refuse(identity in seen, f"roles: {grant['role']} is declared twice in {grant.get('project') or 'system'}: keep one of them")
            seen.add(identity)
        problems += found
    return problems


def service_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    problems: list[str] = []
    for here, item, found in names_wrong(declared, where, "type"):
        seen: set[tuple[str, str]] = set()
        for endpoint in item["endpoints"]:
            url, state = endpoint.get("url") or "", endpoint["state"]
            here.refuse(state == "present" and not url.startswith(("http://", "https://")), f"endpoints: '{url}' is no address such as http://controller:8080")
            here.refuse(not endpoint["region"].strip(), "endpoints: the region is empty")
            for interface in endpoint["interfaces"]:
                place = endpoint["region"], interface
                here.refuse(place in seen, f"endpoints: two for {interface} in the region {endpoint['region']}: keep one of them")
                seen.add(place)
        problems += found
    return problems


def plan_projects(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for _here, item, row in draft.each("projects", declared, lambda item, here: cloud.find("projects", item["name"], here)):
        draft.thing(_PROJECT, item["name"], item, row, cloud, more=lambda: {"domain_id": cloud.client.domain_id})


def plan_roles(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for _here, item, row in draft.each("roles", declared, lambda item, here: cloud.find("roles", item["name"], here, domain_id=None)):
        draft.thing(_ROLE, item["name"], item, row, cloud)


def settle_users(declared: t.Sequence[Item], cloud: Cloud, _draft: Draft) -> t.Iterator[t.Callable[[], None]]:
    """Try each declared password of a user who is there and let in."""

    def attempt(row: Row, password: str) -> None:
        cloud.opened[row["id"]] = cloud.client.opens(row["id"], Secret(password))

    for item in declared:
        row = cloud.find("users", item["name"])
        if row and item["state"] != "absent" and item.get("password") and item["password_update"] == "always" and row.get("enabled"):
            yield functools.partial(attempt, row, item["password"])


def plan_users(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for here, item, row in draft.each("users", declared, lambda item, here: cloud.find("users", item["name"], here)):
        _plan_user(item, row, cloud, draft)
        if item["state"] != "absent":
            draft.refer(
                here, item, "projects", [item.get("default_project"), *(grant["project"] for grant in item["roles"] if grant["state"] != "absent")], cloud
            )
            draft.refer(here, item, "roles", [grant["role"] for grant in item["roles"] if grant["state"] != "absent"], cloud)
            for grant in item["roles"]:
                _plan_grant(item["name"], grant, row, cloud, draft)


def _plan_user(item: Item, row: t.Optional[Row], cloud: Cloud, draft: Draft) -> None:
    password = Secret(item["password"]) if item.get("password") else None
    needs = {f"project/{item['default_project']}"} if item.get("default_project") else set()
    sent: dict[str, t.Any] = {"domain_id": cloud.client.domain_id} if cloud.client else {}
    if password and row is None:
        hide = {"password": password}
        draft.thing(_USER, item["name"], item, row, cloud, needs, more=lambda: {**sent, "password": password.reveal()}, hide=hide)
        return
    besides = None
    if password and row and item["password_update"] == "always" and not cloud.opened.get(row["id"], False):
        # One that is not let in cannot try it. It is set when that is to change.
        if row.get("enabled") or item.get("enabled"):
            besides = ({"password": Secret("")}, {"password": password})

    def settle(id_: str, _before: Item, after: Item) -> None:
        cloud.client.call("identity", "PATCH", f"/users/{id_}", {"user": {"password": after["password"].reveal()}})

    draft.thing(_USER, item["name"], item, row, cloud, needs, more=lambda: sent, besides=besides, settle=settle)


def _grant_id(user: str, grant: Item) -> str:
    return f"{user}/{'system' if grant['system'] else grant.get('project')}/{grant['role']}"


def _plan_grant(user: str, grant: Item, row: t.Optional[Row], cloud: Cloud, draft: Draft) -> None:
    id_, scope = _grant_id(user, grant), f"the project {grant.get('project')}" if not grant["system"] else "the whole of OpenStack"
    shown = {"user": user, "role": grant["role"], "on": scope}

    def has() -> bool:
        project, role = cloud.find("projects", grant.get("project") or ""), cloud.find("roles", grant["role"], domain_id=None)
        if row is None or role is None or (project is None and not grant["system"]):
            return False
        wanted = {"system": {"all": True}} if grant["system"] else {"project": {"id": (project or {}).get("id")}}
        return any(
            one["role"]["id"] == role["id"] and one.get("user", {}).get("id") == row["id"] and _scope(one.get("scope") or {}) == wanted
            for one in cloud.rows("grants")
        )

    def apply(method: str) -> None:
        place = "/system" if grant["system"] else f"/projects/{cloud.id('projects', str(grant['project']))}"
        role = cloud.id("roles", grant["role"], domain_id=None)
        cloud.client.call("identity", method, f"{place}/users/{cloud.id('users', user)}/roles/{role}")

    needs = {f"user/{user}", f"project/{grant.get('project')}", f"role/{grant['role']}"}
    there, absent = has(), grant["state"] == "absent"
    if there and absent:
        draft.ensure("grant", id_, shown, None, lambda: apply("DELETE"), risk=Risk.LOSS, reason=f"{user} may no more what the role allows")
    elif not there and not absent:
        draft.ensure("grant", id_, None, shown, lambda: apply("PUT"), needs=needs)


def _scope(scope: Item) -> dict[str, t.Any]:
    """The scope of an assignment, without the domain of a project; that which is inherited is no one's own."""
    if "OS-INHERIT:inherited_to" in scope:
        return {}
    return {"project": {"id": scope["project"]["id"]}} if "project" in scope else {"system": scope["system"]} if "system" in scope else {}


def plan_services(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    regions = {region["id"] for region in cloud.rows("regions")}
    for here, item, row in draft.each("services", declared, lambda item, here: cloud.find("services", item["type"], here, "type"), "type"):
        name = item.get("name") or (item["type"] if row is None else None)
        draft.thing(_SERVICE, item["type"], {**item, "name": name}, row, cloud)
        for endpoint in item["endpoints"] if item["state"] != "absent" else ():
            if endpoint["state"] != "absent" and endpoint["region"] not in regions:
                regions.add(endpoint["region"])
                _plan_region(endpoint["region"], cloud, draft)
            for interface in endpoint["interfaces"]:
                _plan_endpoint(here, item["type"], row, interface, endpoint, cloud, draft)


def _plan_region(name: str, cloud: Cloud, draft: Draft) -> None:
    draft.ensure("region", name, None, {"name": name}, lambda: cloud.client.call("identity", "POST", "/regions", {"region": {"id": name}}))


def _plan_endpoint(here: Place, type_: str, service: t.Optional[Row], interface: str, endpoint: Item, cloud: Cloud, draft: Draft) -> None:
    region = endpoint["region"]
    rows = [
        row
        for row in cloud.rows("endpoints")
        if service and row["service_id"] == service["id"] and row["interface"] == interface and row.get("region_id") == region
    ]
    if here.refuse(len(rows) > 1, f"there are {len(rows)} endpoints for {interface} in {region} ({', '.join(sorted(row['id'] for row in rows))}): keep one"):
        return
    row = next(iter(rows), None)
    before = row and {"url": row["url"], "enabled": row.get("enabled", True)}
    after = {"url": endpoint["url"], "enabled": True} if endpoint["state"] != "absent" else None

    def create() -> None:
        body = {"service_id": cloud.id("services", type_, "type"), "interface": interface, "region_id": region, "url": endpoint["url"]}
        cloud.client.call("identity", "POST", "/endpoints", {"endpoint": body})

    existing = row or {}

    def update(differs: Item) -> None:
        cloud.client.call("identity", "PATCH", f"/endpoints/{existing['id']}", {"endpoint": differs})

    def delete() -> None:
        cloud.client.call("identity", "DELETE", f"/endpoints/{existing['id']}")

    gone: dict[str, t.Any] = {"risk": Risk.LOSS, "reason": "users do not find the API there any more"} if after is None else {}
    apply = create if row is None else delete
    draft.ensure("endpoint", f"{type_}/{region}/{interface}", before, after, apply, update, {f"service/{type_}", f"region/{region}"}, **gone)


def _quota_problems(item: Item, here: Place) -> None:
    for service, limits in (item.get("quotas") or {}).items():
        for name, limit in (limits or {}).items():
            here.refuse(not isinstance(limit, int) or isinstance(limit, bool) or limit < -1, f"quotas.{service}: {name}: '{limit}' is no number, nor -1")


def project_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    problems: list[str] = []
    for here, item, found in names_wrong(declared, where):
        _quota_problems(item, here)
        problems += found
    return problems


_APIS = {
    "compute": ("compute", "/os-quota-sets/", "quota_set"),
    "volume": ("block-storage", "/os-quota-sets/", "quota_set"),
    "network": ("network", "/quotas/", "quota"),
}


def _limits(item: Item) -> t.Iterator[tuple[str, Item]]:
    """The services of which a project's limits are declared."""
    return ((service, limits) for service, limits in (item.get("quotas") or {}).items() if limits and item["state"] != "absent")


def settle_quotas(declared: t.Sequence[Item], cloud: Cloud, _draft: Draft) -> t.Iterator[t.Callable[[], None]]:
    """Read the limits of each project of which some are declared."""
    rows = ((cloud.find("projects", item["name"]), item) for item in declared)
    keys = [(f"{service}_quota", row["id"]) for row, item in rows if row for service, _limits_ in _limits(item)]
    yield lambda: cloud.read([], keys)


def plan_quotas(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for here, item, row in draft.each("projects", declared, lambda item, _here: cloud.find("projects", item["name"])):
        for service, limits in _limits(item):
            # What a new project may have is not known before it is there, nor are the names of a service.
            found = cloud.rows(f"{service}_quota", row["id"])[0] if row and not cloud.empty else None
            unknown = sorted(set(limits) - set(found)) if found is not None else []
            types = {f"volume_type/{name.partition('_')[2]}" for name in limits if service == "volume" and "_" in name}
            planned = draft.ids("volume_type", action="create")
            unknown = [name for name in unknown if not (service == "volume" and f"volume_type/{name.partition('_')[2]}" in planned)]
            if here.refuse(unknown, f"quotas.{service}: {', '.join(unknown)}: it knows {', '.join(sorted(set(found or ()) - {'id'}))}"):
                continue
            api, path, noun = _APIS[service]

            def apply(differs: Item, name: str = item["name"], place: tuple[str, str, str] = (api, path, noun)) -> None:
                cloud.client.call(place[0], "PUT", f"{place[1]}{cloud.id('projects', name)}", {place[2]: dict(differs)})

            before = None if found is None else {name: found.get(name) for name in limits}
            draft.ensure(
                "quota", f"{item['name']}/{service}", before, dict(limits), functools.partial(apply, limits), apply,
                {f"project/{item['name']}", *types},
            )  # fmt: skip
