# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenStack's object storage, used with Keystone's tokens (Swift) and with EC2 credentials (S3) by a project of the proof's own.

The object storage keeps a user of its own for each project that has ever used it, which Keystone does not remove: their names are returned.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import secrets
import time
import typing as t
from urllib.parse import urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3, s3_probe
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import ProofFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.probe import Stopwatch
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.probe_run import PREFIX, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import string

OPTIONS: dict[str, t.Any] = {
    "role": string("The role of Keystone's that the proof's own user gets in its project. The object storage must accept it.", default="member"),
}
_API = "object-store"


class Swift:
    """The containers of a project, as a user of it."""

    def __init__(self, client: t.Any) -> None:
        self._client = client
        self.url = client.address(_API)

    def __call__(self, method: str, path: str = "", data: t.Optional[bytes] = None, *, missing: bool = False, nobody: bool = False) -> t.Any:
        """One call. missing: whether it is fine that it is not there. nobody: without a token. Raises ProofFailed where the answer is an error."""
        answer = self._client.raw(method, self.url + path, data, authenticated=not nobody)
        if answer.status_code >= 400 and not nobody and not (missing and answer.status_code == 404):
            text = f"{method} {urlsplit(self.url).netloc}{urlsplit(self.url + path).path}: HTTP {answer.status_code} {answer.text[:200]}".strip()
            raise ProofFailed(f"{text}{_REFUSED if answer.status_code in (401, 403) else ''}")
        return answer

    def names(self, container: str = "") -> list[str]:
        """The names of all containers, or of what is in one."""
        return [str(row["name"]) for row in self("GET", f"/{container}?format=json").json()]


_REFUSED = (
    ": the object storage does not accept Keystone's user: does it know this Keystone (rgw_keystone_url) and its own user there, is the role among "
    "rgw_keystone_accepted_roles, and are the clocks the same?"
)


def prove(client: t.Any, name: str, options: t.Mapping[str, t.Any]) -> Row:
    """Put and get an object through Swift and through S3, as a user of a project of its own. Raises ProofFailed, ApiError, Unreachable, s3.ApiFailed."""
    watch = Stopwatch()
    with watch.measure("project"):
        password = Secret(secrets.token_urlsafe(32))
        own = _own(client, name, options["role"], password)
        swift = Swift(own)
    seen: Row = {"name": name, "project": own.project_id, "url": swift.url}
    container, body = f"{name}-swift", secrets.token_bytes(4096)
    with watch.measure("swift put"):
        swift("PUT", f"/{container}")
        swift("PUT", f"/{container}/object", body)
    with watch.measure("swift get"):
        if swift("GET", f"/{container}/object").content != body:
            raise ProofFailed(f"{swift.url}: what was read through Swift is not what was written")
    status = swift("GET", f"/{container}/object", nobody=True).status_code
    if status not in (401, 403):
        raise ProofFailed(f"{swift.url}: a private object answers {status}, not 401, to somebody without a token")
    made = own.call("identity", "POST", f"/users/{own.user_id}/credentials/OS-EC2", {"tenant_id": own.project_id})["credential"]
    gateway, user = _s3(own, swift.url, s3.Credentials(made["access"], Secret(made["secret"])))
    bucket = f"{name}-s3"
    with watch.measure("s3 create bucket"):
        try:
            user.create_bucket(Bucket=bucket)
        except s3.ApiFailed as error:
            raise ProofFailed(f"S3 with a project's EC2 credentials: {error}{_S3_REFUSED if error.status in (401, 403) else ''}") from error
    # With implicit tenants each project has its own names, and nobody is of none: there is no such bucket then.
    tenant = own.project_id if gateway.status_without_key(f"/{bucket}") == 404 else ""
    wrong = list(s3_probe.prove_object(gateway, user, bucket, f"S3 with a project's EC2 credentials at {swift.url}", watch, tenant))
    if user.get_object(Bucket=container, Key="object")["Body"].read() != body:
        wrong.append(f"{swift.url}: what a project wrote through Swift is not what it reads through S3")
    if wrong:
        raise ProofFailed("; ".join(wrong))
    s3_probe.remove_object(user, bucket)
    user.delete_bucket(Bucket=bucket)
    own.call("identity", "DELETE", f"/users/{own.user_id}/credentials/OS-EC2/{made['access']}")
    return {**seen, "latency": watch.milliseconds()}


_S3_REFUSED = ": is rgw_s3_auth_use_keystone set, and may the gateway's own user read credentials in Keystone?"


def _own(client: t.Any, name: str, role: str, password: Secret) -> t.Any:
    """Make a project with a user; return a client as that user."""
    roles = [row["id"] for row in client.rows("identity", "/roles", "roles") if row["name"] == role]
    if not roles:
        raise ProofFailed(f"there is no role {role} in Keystone: name one that the object storage accepts (objects.role)")
    more = {"name": name, "domain_id": client.domain_id}
    project = client.call("identity", "POST", "/projects", {"project": {**more, "description": "A proof's, and removed at its end."}})["project"]
    user = client.call("identity", "POST", "/users", {"user": {**more, "password": password.reveal(), "default_project_id": project["id"]}})["user"]
    client.call("identity", "PUT", f"/projects/{project['id']}/users/{user['id']}/roles/{roles[0]}")
    return client.as_user(user["id"], password, project["id"])


def _s3(client: t.Any, url: str, credentials: s3.Credentials) -> tuple[s3.Client, t.Any]:
    """The gateway that serves Swift, and boto3's client of S3 there."""
    parts = urlsplit(url)
    verify, ca_path = client.trust()
    gateway = s3.Client([f"{parts.scheme}://{parts.netloc}"], verify, ca_path)
    return gateway, gateway.s3(credentials)


def remove(client: t.Any, begin: str) -> tuple[list[str], list[str], list[str]]:
    """Remove users and projects whose names begin so, with all that they have in the object storage.

    Returns their names, the users that the object storage keeps of them, and what stays, with the reason. Raises ApiError.
    """
    if not begin.startswith(PREFIX):
        raise ValueError("not a proof's")
    names: set[str] = set()
    kept: list[str] = []
    left: list[str] = []
    projects = {row["name"]: row["id"] for row in client.rows("identity", f"/projects?name__startswith={begin}", "projects") if row["name"].startswith(begin)}
    for row in client.rows("identity", f"/users?name__startswith={begin}", "users"):
        if not row["name"].startswith(begin):
            continue
        names.add(row["name"])
        try:
            if row["name"] in projects:
                _empty(client, row["id"], projects[row["name"]])
        except (ApiError, ProofFailed, Unreachable) as error:
            left.append(f"what the project {row['name']} has in the object storage cannot be removed: {error}")
            projects.pop(row["name"], None)  # without them nobody could
            continue
        client.call("identity", "DELETE", f"/users/{row['id']}")
    for name, identity in projects.items():
        names.add(name)
        kept.append(f"{identity}${identity}")
        with contextlib.suppress(ApiError):  # the object storage is not removed with it, and Keystone has removed it if it was there
            client.call("identity", "DELETE", f"/projects/{identity}")
    return sorted(names), sorted(kept), left


def _empty(client: t.Any, user: str, project: str) -> None:
    """Remove what a project of a proof's has in the object storage, as its user, who gets a new password for that: nobody keeps the first one."""
    password = Secret(secrets.token_urlsafe(32))
    client.call("identity", "PATCH", f"/users/{user}", {"user": {"password": password.reveal()}})
    time.sleep(1.1)  # Keystone takes a token of the second in which the password was changed for one from before
    try:
        swift = Swift(client.as_user(user, password, project))
    except Unreachable:  # it never got a role in its project, so it has put nothing anywhere
        return
    for container in swift.names():
        for one in swift.names(container):
            swift("DELETE", f"/{container}/{one}", missing=True)
        swift("DELETE", f"/{container}", missing=True)
