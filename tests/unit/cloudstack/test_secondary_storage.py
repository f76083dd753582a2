# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image stores and staging stores: what is planned, and what is refused."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import secondary_storage
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Plan, Unreachable

NFS = {"name": "nfs1", "state": "present", "provider": "nfs", "zone": "z1", "url": "nfs://10.0.0.9/secondary", "s3": None, "readonly": None}
BUCKET = {"endpoint": "10.0.0.9:8080", "bucket": "b", "user": None, "access_key": "AK", "secret_key": "SECRET", "https": False, "signer": "v4"}
S3 = {**NFS, "name": "s3", "provider": "s3", "zone": None, "url": None, "s3": BUCKET}
STAGING = {"zone": "z1", "url": "nfs://10.0.0.9/staging", "state": "present"}
ROW = {"id": "nfs-id", "name": "nfs1", "providername": "NFS", "zonename": "z1", "url": "nfs://10.0.0.9/secondary", "readonly": False}
S3_ROW = {"id": "s3-id", "name": "s3", "providername": "S3", "scope": "REGION", "readonly": False}


class Api:
    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, t.Any]]] = []

    def call(self, command: str, **parameters: t.Any) -> t.Any:
        self.calls.append((command, parameters))
        return {"imagestore": {"id": "new-id"}}


def planned(*items: dict[str, t.Any], rows: t.Sequence[t.Any] = (), api: t.Any = None, **declaration: t.Any) -> Draft:
    sheet = Draft({"zones": [], "staging_stores": [], "ceph": {"object_users": {}}, **declaration})
    region = Region(api, {"zones": [{"id": "zone-id", "name": "z1"}], "image_stores": list(rows), "staging_stores": []})
    if api:
        secondary_storage.settle(items, region, sheet)
    secondary_storage.plan_images(items, region, sheet)
    return sheet


def test_an_nfs_store_is_registered() -> None:
    api = Api()
    (change,) = planned({**NFS, "readonly": True}, api=api).changes
    assert (change.id, change.needs) == ("image_store/nfs1", {"zone/z1"})
    change.apply()
    assert api.calls == [
        ("addImageStore", {"name": "nfs1", "provider": "NFS", "url": "nfs://10.0.0.9/secondary", "zoneid": "zone-id"}),
        ("updateImageStore", {"id": "new-id", "readonly": True}),
    ]


def test_one_that_is_there_is_left_alone() -> None:
    assert planned({**NFS, "url": NFS["url"] + "/"}, rows=[ROW]).changes == []
    assert planned(NFS, rows=[{**ROW, "readonly": True}]).changes == []
    (change,) = planned({**NFS, "readonly": False}, rows=[{**ROW, "readonly": True}]).changes
    assert (change.before, change.after) == ({"readonly": True}, {"readonly": False})


def test_an_s3_store_is_proven_warned_of_and_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    proven: list[t.Any] = []
    monkeypatch.setattr(secondary_storage, "prove_bucket", lambda *arguments: proven.append(arguments) or "")
    api = Api()
    sheet = planned(S3, api=api, zones=[{"name": "z1"}, {"name": "z2"}], staging_stores=[STAGING])
    assert proven[0][:2] == ("http://10.0.0.9:8080", "b")
    assert any("recommend against it" in warning for warning in sheet.warnings)
    assert [warning for warning in sheet.warnings if "z2 has no staging store" in warning]
    assert not [warning for warning in sheet.warnings if "z1 has no staging store" in warning]
    (change,) = sheet.changes
    assert "SECRET" not in json.dumps(Plan([change]).diff())
    change.apply()
    ((command, parameters),) = api.calls
    assert command == "addImageStore"
    assert "zoneid" not in parameters
    values = {parameters[f"details[{number}].key"]: parameters[f"details[{number}].value"] for number in range(6)}
    assert values.pop("secretkey").reveal() == "SECRET"
    assert values == {"accesskey": "AK", "bucket": "b", "endpoint": "10.0.0.9:8080", "usehttps": False, "s3signer": "AWSS3V4SignerType"}
    assert planned(S3, rows=[S3_ROW]).changes == []


def test_the_keys_of_a_user() -> None:
    users = {"cs": [{"access_key": "AK2", "secret_key": "OTHER"}]}
    named = {**S3, "s3": {**BUCKET, "user": "cs", "access_key": None, "secret_key": None}}
    (change,) = planned(named, ceph={"object_users": users}).changes
    assert change.after["secret_key"].reveal() == "OTHER"
    assert "keys of the user cs were not given" in planned(named).problems[0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ApiFailed("GET /b", 404, "NoSuchBucket"), "there is no bucket b"),
        (ApiFailed("GET /b", 403, "AccessDenied"), "cannot be used by somebody: GET /b: 403 AccessDenied"),
        (Unreachable("nobody there"), "s3.endpoint: nobody there"),
    ],
)
def test_a_bucket_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    def request(*_arguments: t.Any) -> bytes:
        raise error

    monkeypatch.setattr(secondary_storage.s3.Client, "request", request)
    assert said in secondary_storage.prove_bucket("http://10.0.0.9", "b", secondary_storage.s3.Credentials("AK", secondary_storage.Secret("S")), "somebody")


def test_a_bucket_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secondary_storage, "prove_bucket", lambda *_arguments: "not so")
    assert planned(S3, api=Api()).problems == ["image_stores[0] (s3): not so"]


@pytest.mark.parametrize(
    ("item", "rows", "said"),
    [
        (S3, [ROW], r"stores of another provider, nfs1 \(NFS\), and takes none of S3"),
        ({**NFS, "name": "new"}, [S3_ROW], r"stores of another provider, s3 \(S3\), and takes none of NFS"),
        ({**NFS, "name": "new"}, [ROW], "is registered as nfs1 already"),
        ({**NFS, "url": "nfs://10.0.0.9/other"}, [ROW], "is registered with nfs://10.0.0.9/secondary"),
        (NFS, [{**ROW, "zonename": "z9"}], "belongs to the zone z9"),
        ({**NFS, "name": "s3"}, [S3_ROW], "is a store of S3"),
        ({**NFS, "zone": "z2"}, [], "there is no zone z2"),
    ],
)
def test_what_cannot_be_is_refused(item: dict[str, t.Any], rows: t.Sequence[t.Any], said: str) -> None:
    sheet = planned(item, rows=rows)
    assert any(re.search(said, problem) for problem in sheet.problems), sheet.problems


def test_the_provider_can_be_changed_when_the_others_go() -> None:
    sheet = planned({**NFS, "state": "absent"}, S3, rows=[ROW])
    assert sheet.problems == []
    assert [[change.id for change in stage] for stage in Plan(sheet.changes).stages()] == [["image_store/nfs1"], ["image_store/s3"]]
    assert Plan(sheet.changes).refusals()


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([NFS, S3], "of NFS or of S3, not both"),
        ([{**S3, "zone": "z1"}], "leave zone out"),
        ([{**S3, "s3": None}], "s3 is missing"),
        ([{**S3, "s3": {**BUCKET, "endpoint": "http://x"}}], "without http://"),
        ([{**S3, "s3": {**BUCKET, "secret_key": None}}], "say whose keys"),
        ([{**S3, "s3": {**BUCKET, "user": "u"}}], "not both"),
        ([{**S3, "url": "nfs://h/p"}], "has no url"),
        ([{**NFS, "zone": None}], "belongs to a zone"),
        ([{**NFS, "url": "10.0.0.9:/secondary"}], "is not of the form nfs://HOST/PATH"),
        ([{**NFS, "url": "nfs://10.0.0.9"}], "is not of the form nfs://HOST/PATH"),
        ([{**NFS, "s3": BUCKET}], "for the provider s3 only"),
        ([NFS, NFS], "declared twice"),
        ([NFS, {**NFS, "name": "b", "url": NFS["url"] + "/"}], "has the url of nfs1"),
    ],
)
def test_a_declaration_that_is_wrong_by_itself(items: list[dict[str, t.Any]], said: str) -> None:
    found = secondary_storage.image_problems(items, "image_stores")
    assert any(said in problem for problem in found), found


def test_a_whole_declaration_is_right() -> None:
    assert secondary_storage.image_problems([NFS, {**NFS, "name": "b", "zone": "z2"}, {**S3, "state": "absent"}], "x") == []
    assert secondary_storage.staging_problems([STAGING], "x") == []


def staged(*items: dict[str, t.Any], rows: t.Sequence[t.Any] = (), api: t.Any = None) -> Draft:
    sheet = Draft({"zones": []})
    region = Region(api, {"zones": [{"id": "zone-id", "name": "z1"}], "staging_stores": list(rows)})
    secondary_storage.plan_staging(list(items), region, sheet)
    return sheet


def test_staging_stores_are_known_by_zone_and_url() -> None:
    api = Api()
    (change,) = staged(STAGING, rows=[{"id": "x", "zonename": "z2", "url": STAGING["url"]}], api=api).changes
    assert change.id == "staging_store/z1/nfs://10.0.0.9/staging"
    change.apply()
    assert api.calls == [("createSecondaryStagingStore", {"url": STAGING["url"], "zoneid": "zone-id", "provider": "NFS", "scope": "zone"})]
    row = {"id": "x", "zonename": "z1", "url": STAGING["url"]}
    assert staged(STAGING, rows=[row]).changes == []
    (gone,) = staged({**STAGING, "state": "absent"}, rows=[row], api=api).changes
    assert Plan([gone]).refusals()
    gone.apply()
    assert api.calls[-1] == ("deleteSecondaryStagingStore", {"id": "x"})
    assert "no zone z2" in staged({**STAGING, "zone": "z2"}).problems[0]
    assert "declared twice" in secondary_storage.staging_problems([STAGING, STAGING], "x")[0]


@pytest.mark.parametrize("url", ["nfs://10.0.0.9:2049/secondary", "nfs://10.0.0.9//secondary/"])
def test_the_same_export_in_other_words(url: str) -> None:
    sheet = planned({**NFS, "url": url}, rows=[ROW])
    assert (sheet.changes, sheet.problems) == ([], [])
    assert "registered as nfs1 already" in planned({**NFS, "name": "other", "url": url}, rows=[ROW]).problems[0]


def test_a_host_of_an_export_has_no_case() -> None:
    sheet = planned({**NFS, "url": "nfs://NAS.example.org/secondary"}, rows=[{**ROW, "url": "nfs://nas.example.org/secondary"}])
    assert (sheet.changes, sheet.problems) == ([], [])
