# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object stores and buckets: the proof of the gateways' user, what is planned, and what is refused."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import object_storage
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Plan, Secret, Unreachable
from ansible_collections.cephstack.cloud.tests.unit.declaring import filled

URL = "http://10.0.0.9:8080"
STORE = filled(object_storage.OPTIONS, {"name": "rgw", "url": URL, "access_key": "AK", "secret_key": "SECRET"})
BUCKET = filled(object_storage.BUCKET_OPTIONS, {"name": "one", "object_store": "rgw", "quota": 2})
STORE_ROW = {"id": "store-id", "name": "rgw", "url": URL, "providername": "Ceph", "storagetotal": 10 << 30}
BUCKET_ROW = {"id": "b-id", "name": "one", "objectstore": "rgw", "state": "Created", "quota": 2, "versioning": False, "objectlocking": False}


class Api:
    def __init__(self, lacks: t.Collection[t.Optional[str]] = ()) -> None:
        self.calls: list[tuple[str, dict[str, t.Any]]] = []
        self.lacks = lacks

    def call(self, command: str, **parameters: t.Any) -> t.Any:
        self.calls.append((command, {name: value for name, value in parameters.items() if value is not None}))
        return {"objectstore": {"id": "new-id"}}

    job = call

    def offers(self, command: str, parameter: t.Optional[str] = None) -> bool:
        return parameter not in self.lacks


@pytest.fixture(autouse=True)
def proof(monkeypatch: pytest.MonkeyPatch) -> list[t.Any]:
    """Every user is good; what was asked is kept."""
    asked: list[t.Any] = []
    monkeypatch.setattr(object_storage, "prove_user", lambda *arguments: asked.append(arguments) or "")
    return asked


def planned(
    stores: t.Sequence[t.Any] = (),
    buckets: t.Sequence[t.Any] = (),
    rows: t.Sequence[t.Any] = (),
    bucket_rows: t.Sequence[t.Any] = (),
    api: t.Any = None,
    **more: t.Any,
) -> Draft:
    sheet = Draft({"object_stores": stores, "buckets": buckets, "ceph": {"object_users": {}}, **more})
    region = Region(api, {"object_stores": list(rows), "buckets": list(bucket_rows)})
    if api:
        object_storage.settle(stores, region, sheet)
    object_storage.plan(stores, region, sheet)
    object_storage.plan_buckets(buckets, region, sheet)
    return sheet


def test_a_store_and_its_bucket_are_made_in_order(proof: list[t.Any]) -> None:
    api = Api()
    sheet = planned([{**STORE, "size": 5}], [{**BUCKET, "versioning": True}], api=api)
    assert sheet.problems == []
    assert proof[0][0] == URL
    plan = Plan(sheet.changes)
    assert [[change.id for change in stage] for stage in plan.stages()] == [["object_store/rgw"], ["bucket/one"]]
    assert "SECRET" not in json.dumps(plan.diff())
    assert plan.apply() == []
    (_add, parameters), bucket = api.calls
    assert parameters.pop("details[1].value").reveal() == "SECRET"
    assert parameters == {
        "name": "rgw",
        "provider": "Ceph",
        "url": URL,
        "size": 5,
        "details[0].key": "accesskey",
        "details[0].value": "AK",
        "details[1].key": "secretkey",
    }
    assert bucket == ("createBucket", {"name": "one", "objectstorageid": "new-id", "quota": 2, "versioning": True})


def test_what_is_as_declared_is_left_alone(proof: list[t.Any]) -> None:
    sheet = planned([STORE], [{**BUCKET, "policy": "private", "versioning": False}], [STORE_ROW], [BUCKET_ROW], api=Api())
    assert (sheet.changes, sheet.problems) == ([], [])
    assert proof == [], "nobody is asked where nothing is to be done"


def test_drift_is_found() -> None:
    row = {**BUCKET_ROW, "quota": 9, "versioning": True, "policy": "public"}
    sheet = planned([{**STORE, "size": 7}], [{**BUCKET, "policy": "private"}], [{**STORE_ROW, "url": "http://old:1"}], [row], api=Api())
    differences = {change.id: (change.before, change.after) for change in sheet.changes}
    assert differences == {
        "object_store/rgw": ({"url": "http://old:1", "size": 10}, {"url": URL, "size": 7}),
        "bucket/one": ({"quota": 9, "policy": "public"}, {"quota": 2, "policy": "private"}),
    }


def test_removal_is_allowed_and_buckets_go_first() -> None:
    sheet = planned([{**STORE, "state": "absent"}], [{**BUCKET, "state": "absent"}], [STORE_ROW], [BUCKET_ROW])
    assert [[change.id for change in stage] for stage in Plan(sheet.changes).stages()] == [["bucket/one"], ["object_store/rgw"]]
    assert len(Plan(sheet.changes).refusals()) == 2
    assert planned([{**STORE, "state": "absent"}], [{**BUCKET, "state": "absent"}]).changes == []


@pytest.mark.parametrize(
    ("stores", "buckets", "rows", "bucket_rows", "said"),
    [
        ([{**STORE, "name": "new"}], [], [STORE_ROW], [], "is registered as rgw already"),
        ([STORE], [], [{**STORE_ROW, "providername": "MinIO"}], [], "is one of MinIO"),
        ([], [BUCKET], [], [], "there is no object store rgw"),
        ([], [{**BUCKET, "object_store": "b"}], [STORE_ROW, {**STORE_ROW, "id": "2", "name": "b"}], [BUCKET_ROW], "is on the object store rgw"),
        ([], [{**BUCKET, "object_locking": True}], [STORE_ROW], [BUCKET_ROW], "is said when a bucket is made"),
        ([], [BUCKET], [STORE_ROW], [{**BUCKET_ROW, "state": "Allocated"}], "is in the state Allocated"),
    ],
)
def test_what_cannot_be_is_refused(stores: t.Any, buckets: t.Any, rows: t.Any, bucket_rows: t.Any, said: str) -> None:
    sheet = planned(stores, buckets, rows, bucket_rows)
    assert len(sheet.problems) == 1
    assert said in sheet.problems[0]


def test_a_user_who_may_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_storage, "prove_user", lambda *_arguments: "may not")
    assert planned([STORE], api=Api()).problems == ["object_stores[0] (rgw): may not"]


def test_an_old_server() -> None:
    assert "4.21" in planned([{**STORE, "size": 1}], api=Api({"size"})).problems[0]
    assert "4.19" in planned([STORE], api=Api({None})).problems[0]


def test_the_keys_of_a_user() -> None:
    named = {**STORE, "access_key": None, "secret_key": None, "user": "cs"}
    (change,) = planned([named], ceph={"object_users": {"cs": [{"access_key": "AK2", "secret_key": "OTHER"}]}}).changes
    assert change.after["secret_key"] == Secret("OTHER")
    assert change.after["user"] == "cs"
    assert "keys of the user cs were not given" in planned([named]).problems[0]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"url": URL + "/"}, "ends with a path or a slash"),
        ({"url": URL + "/admin"}, "ends with a path or a slash"),
        ({"url": "10.0.0.9:8080"}, "is not of the form"),
        ({"url": "http://user:PASS@h:1"}, "is not of the form"),
        ({"url": "http://h:99999"}, "is not of the form"),
        ({"url": None}, "url is missing"),
        ({"secret_key": None}, "say whose keys"),
        ({"user": "u"}, "not both"),
        ({"size": 0}, "at least 1"),
    ],
)
def test_a_store_that_is_wrong_by_itself(item: dict[str, t.Any], said: str) -> None:
    (problem,) = object_storage.problems([{**STORE, **item}], "object_stores")
    assert said in problem
    assert "PASS" not in problem


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"name": "Upper"}, "lower-case"),
        ({"name": "a..b"}, "lower-case"),
        ({"object_store": None}, "object_store is missing"),
        ({"quota": None}, "quota is missing"),
        ({"quota": -1}, "at least 1"),
        ({"object_locking": True, "versioning": False}, "needs versioning"),
    ],
)
def test_a_bucket_that_is_wrong_by_itself(item: dict[str, t.Any], said: str) -> None:
    (problem,) = object_storage.bucket_problems([{**BUCKET, **item}], "buckets")
    assert said in problem


def test_what_is_declared_twice() -> None:
    assert len(object_storage.problems([STORE, {**STORE, "name": "b"}], "x")) == 1
    assert len(object_storage.problems([STORE, STORE], "x")) == 1
    assert len(object_storage.bucket_problems([BUCKET, BUCKET], "x")) == 1
    assert object_storage.problems([{**STORE, "state": "absent", "url": None, "secret_key": None}], "x") == []


class Gateway:
    """In place of the client of gateways."""

    user: t.Any = None
    listing: t.Any = b""

    def __init__(self, *_arguments: t.Any, **_more: t.Any) -> None:
        pass

    def request(self, *_arguments: t.Any) -> bytes:
        return answer(self.listing)

    def json(self, *_arguments: t.Any) -> t.Any:
        return answer(self.user)


def answer(value: t.Any) -> t.Any:
    if isinstance(value, Exception):
        raise value
    return value


def caps(**of: str) -> dict[str, t.Any]:
    return {"caps": [{"type": kind, "perm": perm} for kind, perm in of.items()]}


@pytest.mark.parametrize(
    ("listing", "user", "said"),
    [
        (b"", caps(users="*", buckets="*", usage="read"), None),
        (b"", caps(users="read, write", buckets="*"), None),
        (b"", caps(users="read", buckets="*"), "it needs buckets=*; users=*, and has buckets=*; users=read"),
        (b"", ApiFailed("GET /admin/user", 403, "AccessDenied"), "lacks admin caps"),
        (b"", ApiFailed("GET /admin/user", 404, "NoSuchKey"), "has no admin API"),
        (ApiFailed("GET /", 403, "SignatureDoesNotMatch"), None, "does not take the keys of somebody"),
        (ApiFailed("GET /", 301, "error"), None, "says: GET /: 301"),
        (Unreachable("nobody there"), None, "nobody there"),
        (b"", ["no user"], "does not answer as an object gateway"),
    ],
)
def test_the_proof_of_the_gateways_user(monkeypatch: pytest.MonkeyPatch, listing: t.Any, user: t.Any, said: t.Optional[str]) -> None:
    monkeypatch.undo()  # the proof itself, this time
    monkeypatch.setattr(Gateway, "listing", listing)
    monkeypatch.setattr(Gateway, "user", user)
    monkeypatch.setattr(object_storage.s3, "Client", Gateway)
    found = object_storage.prove_user(URL, Credentials("AK", Secret("SECRET")), "somebody")
    assert (said in found) if said else found == ""
    assert "SECRET" not in found


@pytest.mark.parametrize(
    ("declared", "existing"), [("http://RGW:80", "http://rgw"), ("http://rgw", "http://rgw:80"), ("https://[fd00:0::9]:443", "https://[fd00::9]")]
)
def test_the_same_gateway_in_other_words(declared: str, existing: str) -> None:
    sheet = Draft({"ceph": {}})
    object_storage.plan([{**STORE, "url": declared}], Region(None, {"object_stores": [{**STORE_ROW, "url": existing}]}), sheet)
    assert (sheet.changes, sheet.problems) == ([], [])


def test_a_policy_in_the_server_s_words() -> None:
    sheet = Draft({"object_stores": []})
    lists = {"object_stores": [STORE_ROW], "buckets": [{**BUCKET_ROW, "policy": "Public"}]}
    object_storage.plan_buckets([{**BUCKET, "policy": "public"}], Region(None, lists), sheet)
    assert (sheet.changes, sheet.problems) == ([], [])
