# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The object storage as a project of the proof's own uses it, and that project's end."""

from __future__ import annotations

import json
import types
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import ProofFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import object_probe
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.probe_run import PREFIX
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret, Unreachable

NAME = f"{PREFIX}1"


class Keystone:
    """Projects, users and their roles; and the containers of each project. status: with which all of Swift answers, where something is wrong."""

    domain_id = "default"

    def __init__(self) -> None:
        self.roles = [{"id": "r", "name": "member"}]
        self.users: list[dict[str, t.Any]] = []
        self.projects: list[dict[str, t.Any]] = []
        self.granted: set[str] = set()
        self.ec2: list[str] = []
        self.passwords: list[str] = []
        self.containers: dict[str, dict[str, bytes]] = {}
        self.status = 0

    def rows(self, _api: str, path: str, key: str) -> list[dict[str, t.Any]]:
        assert path.partition("?")[0] == f"/{key}"
        return list(getattr(self, key))

    def call(self, _api: str, method: str, path: str, body: t.Any = None) -> t.Any:
        kind, identity, *more = path.strip("/").split("/")
        if method == "POST" and kind in ("users", "projects") and not identity:
            raise AssertionError
        if more and more[0] == "credentials":
            if method == "POST":
                self.ec2.append("access")
                return {"credential": {"access": "access", "secret": "ec2-secret"}}
            self.ec2.remove(more[2])
            return {}
        if method == "PUT":
            self.granted.add(identity)
        if method == "PATCH":
            self.passwords.append(body["user"]["password"])
        if method == "DELETE":
            setattr(self, kind, [row for row in getattr(self, kind) if row["id"] != identity])
        return {}

    def as_user(self, user_id: str, password: Secret, project_id: str) -> User:
        if project_id not in self.granted:
            raise Unreachable("Keystone did not let in the user")
        return User(self, user_id, project_id)


class Making(Keystone):
    """One that gives new users and projects their ids."""

    def call(self, api: str, method: str, path: str, body: t.Any = None) -> t.Any:
        if method == "POST" and path in ("/users", "/projects"):
            (key, given) = next(iter(body.items()))
            row = {"id": f"{key}-id", "name": given["name"]}
            getattr(self, f"{key}s").append(row)
            self.passwords += [given["password"]] if "password" in given else []
            return {key: row}
        return super().call(api, method, path, body)


class User:
    def __init__(self, keystone: Keystone, user_id: str, project_id: str) -> None:
        self.keystone, self.user_id, self.project_id = keystone, user_id, project_id
        self.call, self.trust = keystone.call, lambda: (True, None)

    def address(self, _api: str) -> str:
        return f"http://gateway:8080/swift/v1/AUTH_{self.project_id}"

    def raw(self, method: str, url: str, data: t.Optional[bytes] = None, authenticated: bool = True) -> t.Any:
        _host, _slash, path = url.partition("AUTH_")[2].partition("?")[0].partition("/")
        container, _slash, name = path.partition("/")
        there, answer = self.keystone.containers, None
        if self.keystone.status or not authenticated:
            return types.SimpleNamespace(status_code=self.keystone.status or 401, text="AccessDenied")
        if method == "PUT":
            there.setdefault(container, {}).update({name: data} if name else {})
        elif method == "DELETE":
            (there[container] if name else there).pop(name or container)
        else:
            answer = there[container][name] if name else [{"name": one} for one in (there[container] if container else there)]
        return types.SimpleNamespace(status_code=200, content=answer, text="", json=lambda: json.loads(json.dumps(answer)))


class Bucket:
    """S3 of the same gateway: what Swift has put is there. key: whether it accepts the project's."""

    def __init__(self, keystone: Keystone, key: bool = True) -> None:
        self.keystone, self.key = keystone, key

    def create_bucket(self, Bucket: str) -> None:
        if not self.key:
            raise s3.ApiFailed(f"PUT /{Bucket}", 403, "InvalidAccessKeyId")
        self.keystone.containers[Bucket] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.keystone.containers[Bucket][Key] = Body

    def delete_object(self, Bucket: str, Key: str) -> None:
        del self.keystone.containers[Bucket][Key]

    def get_object(self, Bucket: str, Key: str) -> dict[str, t.Any]:
        return {"Body": types.SimpleNamespace(read=lambda: self.keystone.containers[Bucket][Key])}

    def delete_bucket(self, Bucket: str) -> None:
        del self.keystone.containers[Bucket]


def prove(keystone: Keystone, monkeypatch: pytest.MonkeyPatch, key: bool = True) -> dict[str, t.Any]:
    gateway = types.SimpleNamespace(status_without_key=lambda path: 403 if path.startswith("/project-id:") else 404)
    monkeypatch.setattr(object_probe, "_s3", lambda client, url, credentials: (gateway, Bucket(keystone, key)))
    return object_probe.prove(keystone, NAME, {"role": "member"})


def test_a_project_of_its_own_uses_both(monkeypatch: pytest.MonkeyPatch) -> None:
    keystone = Making()
    seen = prove(keystone, monkeypatch)
    assert seen["url"] == "http://gateway:8080/swift/v1/AUTH_project-id"
    assert {"swift put", "swift get", "s3 create bucket"} <= set(seen["latency"])
    assert keystone.ec2 == [] and list(keystone.containers) == [f"{NAME}-swift"]
    assert not any(secret in str(seen) for secret in (*keystone.passwords, "ec2-secret"))
    assert object_probe.remove(keystone, NAME) == ([NAME], ["project-id$project-id"], [])
    assert (keystone.users, keystone.projects, keystone.containers) == ([], [], {})


def test_a_gateway_that_does_not_accept_keystone_s_users(monkeypatch: pytest.MonkeyPatch) -> None:
    keystone = Making()
    keystone.status = 401
    with pytest.raises(ProofFailed, match=r"PUT gateway:8080/swift/v1/.*: HTTP 401 AccessDenied: the object storage does not accept Keystone's user"):
        prove(keystone, monkeypatch)
    keystone.status = 0
    with pytest.raises(ProofFailed, match="InvalidAccessKeyId: is rgw_s3_auth_use_keystone set"):
        prove(keystone, monkeypatch, key=False)


def test_a_role_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    keystone = Making()
    keystone.roles = []
    with pytest.raises(ProofFailed, match="there is no role member"):
        prove(keystone, monkeypatch)
    assert keystone.projects == []


def test_what_killed_runs_left_is_removed_whatever_step_they_came_to() -> None:
    keystone = Keystone()
    keystone.projects = [{"id": f"p{number}", "name": f"{PREFIX}{number}"} for number in range(3)] + [{"id": "p", "name": "theirs"}]
    keystone.users = [{"id": f"u{number}", "name": f"{PREFIX}{number}"} for number in (1, 2)] + [{"id": "u", "name": "theirs"}]
    keystone.granted = {"p2"}
    keystone.containers = {"a": {"object": b""}, "b": {}}
    names, kept, left = object_probe.remove(keystone, PREFIX)
    assert (names, left) == ([f"{PREFIX}{number}" for number in range(3)], [])
    assert kept == ["p0$p0", "p1$p1", "p2$p2"]
    assert [row["name"] for row in (*keystone.users, *keystone.projects)] == ["theirs", "theirs"]
    assert keystone.containers == {}


def test_a_project_stays_while_its_objects_do() -> None:
    keystone = Keystone()
    keystone.projects, keystone.users, keystone.granted = [{"id": "p", "name": NAME}], [{"id": "u", "name": NAME}], {"p"}
    keystone.containers, keystone.status = {"a": {}}, 503
    names, kept, left = object_probe.remove(keystone, PREFIX)
    assert (names, kept) == ([NAME], [])
    assert len(left) == 1 and left[0].startswith(f"what the project {NAME} has in the object storage cannot be removed: GET gateway:8080")
    assert keystone.users and keystone.projects


def test_only_a_proof_s_are_removed() -> None:
    with pytest.raises(ValueError, match="not a proof's"):
        object_probe.remove(Keystone(), "")
