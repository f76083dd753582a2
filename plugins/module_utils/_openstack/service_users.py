# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services need in Keystone before they can start: their users in a project of their own, and where each API is.

It is read from Keystone's database, which tells it all at once, passwords included, and without a Keystone that runs. It is changed through Keystone's API.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import http.client
import json
import typing as t
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import turn
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.databases import Server
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import APIS, SERVICE_PROJECT, Api, OpenStack
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.keystone import INTERFACES, matches
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.local_api import connect
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Lane, Plan

DOMAIN = "default"
# Made with the administrator.
ROLES = ("admin", "service")
GATEWAYS_USER = "swift"
# The object gateways as an API. Their endpoint is given, as they are no service of the controllers.
OBJECT_STORE = Api(0, "", "object-store", "swift")

_PROJECT = "SELECT id FROM keystone.project WHERE name = %s AND domain_id = %s AND NOT is_domain AND enabled"
_USERS = """
SELECT l.name, l.user_id, p.password_hash, u.enabled AND (p.expires_at_int IS NULL OR p.expires_at_int > UNIX_TIMESTAMP() * 1000000)
 FROM keystone.local_user l JOIN keystone.user u ON u.id = l.user_id LEFT JOIN keystone.password p ON p.local_user_id = l.id
 WHERE l.domain_id = %s ORDER BY p.created_at_int
"""
_GRANTS = """
SELECT a.actor_id, r.name FROM keystone.assignment a JOIN keystone.role r ON r.id = a.role_id JOIN keystone.project p ON p.id = a.target_id
 WHERE a.type = 'UserProject' AND p.name = %s AND p.domain_id = %s AND r.domain_id = '<<null>>'
"""
_SERVICES = "SELECT id, type, extra FROM keystone.service WHERE enabled"
_ENDPOINTS = "SELECT service_id, interface, url FROM keystone.endpoint WHERE region_id = %s AND enabled ORDER BY id"


@dataclasses.dataclass(frozen=True)
class Observed:
    """What Keystone knows. users: whether each one's password is as declared, and its roles. services: the names of those of a type. endpoints: of a type,
    interface and URL of each."""

    project: bool = False
    users: t.Mapping[str, t.Mapping[str, t.Any]] = dataclasses.field(default_factory=dict)
    services: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    endpoints: t.Mapping[str, t.Sequence[tuple[str, str]]] = dataclasses.field(default_factory=dict)


def users_of(openstack: OpenStack) -> list[str]:
    """The users of the services, and of the object gateways."""
    return [api.user for api in APIS.values() if api.user] + [GATEWAYS_USER] * bool(openstack.object_gateway)


class Keystone:
    """The API of this host's Keystone, as the administrator. A token is made when the first one needs it."""

    def __init__(self, openstack: OpenStack) -> None:
        self.openstack = openstack
        self.token = ""
        self.turn = turn()

    def __call__(self, method: str, path: str, body: t.Any = None) -> dict[str, t.Any]:
        """Send a request. Raises RuntimeError."""
        with self.turn:
            self.token = self.token or self._log_in()
        return self._request(method, path, body, {"X-Auth-Token": self.token})[1]

    def _log_in(self) -> str:
        user = {"name": "admin", "domain": {"id": DOMAIN}, "password": self.openstack.admin_password.reveal()}
        scope = {"project": {"name": "admin", "domain": {"id": DOMAIN}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        return self._request("POST", "auth/tokens?nocatalog", body, {})[0]

    def _request(self, method: str, path: str, body: t.Any, headers: t.Mapping[str, str]) -> tuple[str, dict[str, t.Any]]:
        what = f"Keystone: {method} {path.partition('?')[0]}"
        text = None if body is None else json.dumps(body)
        try:
            with connect("keystone", bool(self.openstack.tls), timeout=60) as connection:
                connection.request(method, f"/v3/{path}", text, {**headers, "Content-Type": "application/json"})
                answer = connection.getresponse()
                found = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise RuntimeError(f"{what}: {error}") from error
        if answer.status >= 300:
            raise RuntimeError(f"{what}: HTTP {answer.status}: {found[:500]}")
        return answer.getheader("X-Subject-Token") or "", json.loads(found) if found else {}

    def find(self, kind: str, **query: str) -> t.Optional[str]:
        """The id of the first object of a kind, such as users, that fits."""
        found = self("GET", f"{kind}?{urllib.parse.urlencode(query)}")[kind]
        return str(found[0]["id"]) if found else None

    def make(self, kind: str, **values: t.Any) -> str:
        """Make an object and return its id."""
        one = kind.rstrip("s")
        return str(self("POST", kind, {one: values})[one]["id"])


class Provider:
    """Users, services and endpoints of the services. object_storage: the endpoint of the object gateways, "" for none."""

    def __init__(self, openstack: OpenStack, server: Server, object_storage: str = "") -> None:
        self.openstack, self.server, self.keystone = openstack, server, Keystone(openstack)
        # Keystone's own is made with its administrator.
        self.apis = {name: (api, openstack.url(name) + api.path) for name, api in APIS.items() if name != "keystone"}
        if object_storage:
            self.apis["swift"] = OBJECT_STORE, object_storage

    def observe(self) -> t.Optional[Observed]:
        """None where the database server of this host does not run: nothing can be asked."""
        seen = self.server.look("keystone")
        if seen.unknown and seen.there:
            return None
        if not seen.notes:
            return Observed()
        with self.server.session("keystone" * seen.login) as run:
            grants: dict[str, list[str]] = {}
            for user, role in run(_GRANTS, SERVICE_PROJECT, DOMAIN):
                grants.setdefault(user, []).append(role)
            rows = {name: (id_, hashed, usable) for name, id_, hashed, usable in run(_USERS, DOMAIN) if name in users_of(self.openstack)}
            services = {id_: (type_, str(json.loads(extra or "{}").get("name", ""))) for id_, type_, extra in run(_SERVICES)}
            endpoints: dict[str, list[tuple[str, str]]] = {}
            for service, interface, url in run(_ENDPOINTS, self.openstack.region):
                endpoints.setdefault(services.get(service, ("", ""))[0], []).append((interface, url))
            project = run(_PROJECT, SERVICE_PROJECT, DOMAIN)
        with ThreadPoolExecutor() as pool:
            known = list(pool.map(lambda row: bool(row[2]) and matches(self.openstack.service_password.reveal(), row[1] or ""), rows.values()))
        users = {
            name: {"password": "as declared" if right else "another", "roles": sorted(set(grants.get(row[0], [])) & set(ROLES))}
            for (name, row), right in zip(rows.items(), known)
        }
        names: dict[str, list[str]] = {}
        for type_, name in services.values():
            names.setdefault(type_, []).append(name)
        return Observed(bool(project), users, names, endpoints)

    def plan(self, observed: t.Optional[Observed]) -> Plan:
        draft = Draft(kinds=("project", "user", "service", "endpoint", "api"))
        if observed is None:
            return draft.plan()
        first: dict[str, t.Any] = {"needs": ["api/keystone"]}
        draft.ensure("project", SERVICE_PROJECT, {} if observed.project else None, {}, self._make_project, **first)
        base = {"api/keystone", *draft.ids("project")}
        for user in users_of(self.openstack):
            desired = {"password": "as declared", "roles": [*ROLES]}
            draft.ensure("user", user, observed.users.get(user), desired, functools.partial(self._make_user, user), needs=base)
        for name, (api, url) in self.apis.items():
            self._plan_endpoint(draft, observed, name, api, url)
        # One after the other: the first requests that threads of a new Keystone get at once find its rules half read, and are refused.
        return draft.plan(Lane("keystone"))

    def _plan_endpoint(self, draft: Draft, observed: Observed, name: str, api: Api, url: str) -> None:
        services, endpoints = observed.services.get(api.type, []), observed.endpoints.get(api.type, [])
        twice = [interface for interface in INTERFACES if [one for one, _url in endpoints].count(interface) > 1]
        if len(services) > 1:
            draft.problem(f"Keystone has {len(services)} services of type {api.type} ({', '.join(services)}): remove all but one")
        elif twice:
            draft.problem(f"Keystone has several endpoints of type {api.type} in the region {self.openstack.region} for {', '.join(twice)}: remove all but one")
        draft.ensure("service", name, {} if services else None, {}, functools.partial(self._make_service, name), needs=["api/keystone"])
        current, desired = dict(endpoints) if endpoints else None, dict.fromkeys(INTERFACES, url)
        draft.ensure("endpoint", name, current, desired, functools.partial(self._make_endpoint, name), needs=["api/keystone", f"service/{name}"])

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        return {}

    def _make_project(self) -> None:
        found = self.keystone.find("projects", name=SERVICE_PROJECT, domain_id=DOMAIN)
        if found:
            self.keystone("PATCH", f"projects/{found}", {"project": {"enabled": True}})
        else:
            self.keystone.make("projects", name=SERVICE_PROJECT, domain_id=DOMAIN)

    def _make_user(self, name: str) -> None:
        password = self.openstack.service_password.reveal()
        user = self.keystone.find("users", name=name, domain_id=DOMAIN)
        if user:
            self.keystone("PATCH", f"users/{user}", {"user": {"password": password, "enabled": True}})
        else:
            user = self.keystone.make("users", name=name, domain_id=DOMAIN, password=password)
        project = self.keystone.find("projects", name=SERVICE_PROJECT, domain_id=DOMAIN)
        for role in ROLES:
            self.keystone("PUT", f"projects/{project}/users/{user}/roles/{self.keystone.find('roles', name=role)}")

    def _make_service(self, name: str) -> None:
        api = self.apis[name][0]
        self.keystone.make("services", type=api.type, name=api.name)

    def _make_endpoint(self, name: str) -> None:
        """Those of each interface; what there is of them is corrected."""
        api, url = self.apis[name]
        service, region = self.keystone.find("services", type=api.type), self.openstack.region
        for interface in INTERFACES:
            found = self.keystone.find("endpoints", service_id=str(service), interface=interface, region_id=region)
            if found:
                self.keystone("PATCH", f"endpoints/{found}", {"endpoint": {"url": url, "enabled": True}})
            else:
                self.keystone.make("endpoints", service_id=service, interface=interface, url=url, region_id=region)
