# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenStack's APIs over one session of openstacksdk, as clouds.yaml says: calls that are counted, lists whole, errors with what was asked.

The library is imported where it is needed: only a controller has it.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import typing as t
from email.utils import parsedate_to_datetime

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import CLOUD, CLOUDS_YAML
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import filepath, string

# What a module must say to reach the APIs (doc fragment cephstack.cloud.openstack).
CONNECTION: dict[str, t.Any] = {
    "cloud": string("The name of the cloud in O(config), whose user is an administrator.", default=CLOUD),
    "config": filepath("The file C(clouds.yaml) on the host that runs the module, with the address and the password.", default=CLOUDS_YAML),
}
# The path of an API's version, where the address of the catalogue may be without it. Microversions are of 2020 (Train, Ussuri), which all releases since have:
# flavors with extra_specs and descriptions, keypairs of other users.
_VERSIONS = {
    "identity": ("/v3", ""),
    "compute": ("/v2.1", "2.84"),
    "network": ("/v2.0", ""),
    "image": ("/v2", ""),
    "block-storage": ("/v3", "3.59"),
    "object-store": ("", ""),
}
# Seconds for one call. Deleting and making are answered before they are done, but for the data of images.
_TIMEOUT = 120
_UPLOAD = 3600


class ApiError(Exception):
    """An API refused a call. status: of HTTP, 0 where there was no answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        self.status = status
        super().__init__(text)


@contextlib.contextmanager
def reading(what: str) -> t.Iterator[None]:
    """While something is read an error is never an absence: it is raised as Unreachable."""
    try:
        yield
    except ApiError as error:
        raise Unreachable(f"{what}: {error}") from error


def _said(error: t.Any) -> str:
    """What an API said of a refused call, in its own words."""
    text = getattr(getattr(error, "response", None), "text", "") or ""
    try:
        found = json.loads(text)
    except ValueError:
        return str(error)
    while isinstance(found, dict) and found:
        found = found.get("message") or next(iter(found.values()))
    return str(found or error)


class Client:
    """One cloud. calls: how many requests were made, tokens included. project_id: that of the user of clouds.yaml, domain_id: that of the project; roles: what
    the user is there. user_name, project_name: how they are called."""

    def __init__(self, config: t.Any) -> None:
        self.calls = 0
        self._config = config
        self._session = config.get_session()
        # A server that ends kept connections may do so just as one is used, and what makes something cannot be sent twice: each call has its own.
        self._session.additional_headers["Connection"] = "close"
        self._addresses: dict[str, str] = {}
        send = self._session.request

        def counted(*args: t.Any, **more: t.Any) -> t.Any:
            self.calls += 1
            return send(*args, **more)

        self._session.request = counted

    def authenticate(self) -> None:
        """Get a token, and the addresses of the APIs. Raises Unreachable."""
        with reading(f"Keystone did not let in the user of the cloud {self._config.name}"), self._errors("token"):
            access = self._session.auth.get_access(self._session)
            self.project_id, self.user_id, self.domain_id = access.project_id, access.user_id, access.project_domain_id or "default"
            self.project_name, self.user_name, self.roles = access.project_name, access.username, frozenset(access.role_names)

    def renew(self) -> None:
        """Get a token again, which has the roles that the user was given since. Raises Unreachable."""
        self._session.invalidate()
        self.authenticate()

    @contextlib.contextmanager
    def _errors(self, what: str) -> t.Iterator[None]:
        from keystoneauth1 import exceptions

        try:
            yield
        except exceptions.http.HttpError as error:
            raise ApiError(f"{what}: {_said(error)} (HTTP {error.http_status})", int(error.http_status)) from error
        except exceptions.ClientException as error:
            raise ApiError(f"{what}: {error}") from error

    def _address(self, api: str) -> str:
        if api not in self._addresses:
            address = self._config.get_session_endpoint(api)
            if not address:
                raise ApiError(f"Keystone's catalogue has no service {api} in the region {self._config.get_region_name() or '(none)'}")
            self._addresses[api] = address.rstrip("/")
        return self._addresses[api]

    def _base(self, api: str) -> str:
        """The address of an API with its version. That of Cinder may have a project's id behind it."""
        address, version = self._address(api), _VERSIONS[api][0]
        return address if f"{version}/" in f"{address}/" else address + version

    def address(self, api: str) -> str:
        """Where an API is, as Keystone's catalogue says it to this user. Raises ApiError."""
        with self._errors(api):
            return self._address(api)

    def raw(self, method: str, url: str, data: t.Optional[bytes] = None, authenticated: bool = True) -> t.Any:
        """One call of an API that speaks no JSON: the answer as it is, whatever its status. Raises ApiError where there is none."""
        with self._errors(f"{method} {url}"):
            return self._session.request(url, method, data=data, authenticated=authenticated, raise_exc=False, log=False, timeout=_TIMEOUT)

    def trust(self) -> tuple[bool, t.Optional[str]]:
        """Whether certificates must be trusted, and the file of the authorities, None for the system's."""
        verify = self._config.get_requests_verify_args()[0]
        return bool(verify), verify if isinstance(verify, str) else None

    def ahead(self) -> t.Optional[float]:
        """By how many seconds the clock of Keystone's host is before this host's; None where it does not say."""
        said = self.raw("GET", self._session.auth.auth_url, authenticated=False).headers.get("Date")
        return parsedate_to_datetime(said).timestamp() - time.time() if said else None

    def as_user(self, user_id: str, password: Secret, project_id: str) -> Client:
        """A client of the same cloud as another user in a project. Raises Unreachable where Keystone does not let it in."""
        from keystoneauth1.identity import V3Password
        from openstack.config.cloud_region import CloudRegion

        auth = V3Password(self._session.auth.auth_url, user_id=user_id, password=password.reveal(), project_id=project_id)
        config = {key: value for key, value in self._config.config.items() if key not in ("auth", "auth_type")}
        client = type(self)(CloudRegion(self._config.name, self._config.region_name, config, auth_plugin=auth))
        client.authenticate()
        return client

    def call(self, api: str, method: str, path: str, body: t.Any = None, data: t.Any = None, kind: str = "") -> t.Any:
        """One call: the answer's JSON, {} where there is none. api: the type of the service. path: behind the version. data, kind: a body that is not JSON, and
        what it is. Raises ApiError."""
        what = f"{method} {api} {path.partition('?')[0]}"
        with self._errors(what):
            base, microversion = self._base(api), _VERSIONS[api][1]
            headers = {"Content-Type": kind} if kind else {}
            if microversion:
                name = {"block-storage": "volume"}.get(api, api)
                headers["OpenStack-API-Version"] = f"{name} {microversion}"
            given = {"json": body} if body is not None and not kind else {"data": data if data is not None else json.dumps(body)} if kind else {}
            timeout = _UPLOAD if data is not None else _TIMEOUT
            answer = self._session.request(base + path, method, headers=headers, timeout=timeout, log=False, **given)
        if not answer.content or "json" not in answer.headers.get("Content-Type", "json"):
            return {}
        try:
            return answer.json()
        except ValueError as error:
            raise ApiError(f"{what}: the answer is no JSON: {answer.text[:80]}") from error

    def rows(self, api: str, path: str, key: str) -> list[dict[str, t.Any]]:
        """A whole list, however many pages it has."""
        found: list[dict[str, t.Any]] = []
        while path:
            answer = self.call(api, "GET", path)
            if not isinstance(answer.get(key), list):
                raise ApiError(f"GET {api} {path}: the answer has no {key}")
            found += answer[key]
            path = self._next(api, answer, key)
        return found

    def _next(self, api: str, answer: t.Mapping[str, t.Any], key: str) -> str:
        """The path of a list's next page, "" where there is none: Keystone, Glance, and Nova, Neutron and Cinder each say it in their own way."""
        links = answer.get(f"{key}_links") or answer.get(f"{key[:-1]}_links") or ()
        told = answer.get("next") or next((link.get("href") for link in links if link.get("rel") == "next"), None)
        if not told:
            told = (answer.get("links") or {}).get("next") if isinstance(answer.get("links"), dict) else None
        path, (_address, version, project) = str(told).partition(_VERSIONS[api][0])[2], self._base(api).partition(_VERSIONS[api][0])
        return (path[len(project) :] if path.startswith(project) else path) if told and version else ""

    def opens(self, user_id: str, password: Secret) -> bool:
        """Whether a user's password is this one, by trying it once. Raises ApiError where Keystone says neither yes nor no."""
        method = {"methods": ["password"], "password": {"user": {"id": user_id, "password": password.reveal()}}}
        body = {"auth": {"identity": method, "scope": "unscoped"}}
        with self._errors("token of another user"):
            answer = self._session.request(f"{self._base('identity')}/auth/tokens", "POST", json=body, authenticated=False, raise_exc=False, log=False)
        if answer.status_code not in (201, 401):
            raise ApiError(f"POST identity /auth/tokens: HTTP {answer.status_code}", answer.status_code)
        return bool(answer.status_code == 201)


@contextlib.contextmanager
def _lasting_path() -> t.Iterator[None]:
    """Without the archive that a module is sent as. What plugins there are is looked for once for each path, and kept in a file of the user's: as the archive
    has another name each time, each module would look again, and leave a file."""
    path = sys.path[:]
    sys.path[:] = [one for one in path if not os.path.isfile(one)]
    try:
        yield
    finally:
        sys.path[:] = path


def connect(cloud: str, path: str, optional: bool = False) -> t.Optional[Client]:
    """A client of a cloud of clouds.yaml; None where there is no such file, if it is optional. Raises Invalid where it says too little, Unreachable where
    Keystone does not let its user in."""
    from openstack import config, exceptions

    if not os.path.exists(path):
        if optional:
            return None
        raise Invalid([f"config: there is no {path} on this host: make the controller first, or name the file"])
    try:
        # Neither the environment nor other files have a say.
        with _lasting_path():
            found = config.OpenStackConfig(config_files=[path], secure_files=[], vendor_files=[], load_envvars=False, load_yaml_config=True).get_one(
                cloud=cloud
            )
        client = Client(found)
    except (exceptions.ConfigException, exceptions.SDKException, ValueError, OSError) as error:
        raise Invalid([f"config: the cloud {cloud} of {path}: {error}"]) from error
    client.authenticate()
    return client
