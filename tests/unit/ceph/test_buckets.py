# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for buckets, and what S3's documents mean."""

from __future__ import annotations

import http.client
import json

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import buckets
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.buckets import SETTINGS
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._http import Answer
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, Secret
from ansible_collections.cephstack.cloud.tests.unit.ceph.object_storage import BUCKET, ids, observed, planned, record

KEYS = Credentials("AK", Secret("SK"))


def told(monkeypatch, setting, xml):
    """How a setting is understood of which a gateway tells so."""
    monkeypatch.setattr(Client, "_send", lambda *_arguments: Answer(200, http.client.HTTPMessage(), xml))
    return SETTINGS[setting].read(Client([]).s3(KEYS), "b")


def sent(monkeypatch, setting, value):
    """What a gateway is sent to set it."""
    bodies = []
    monkeypatch.setattr(Client, "_send", lambda *arguments: bodies.append(arguments[4]) or Answer(200, http.client.HTTPMessage(), b""))
    SETTINGS[setting].write(Client([]).s3(KEYS), "b", value)
    (body,) = bodies
    return body


def test_lifecycle_survives_the_way_to_xml_and_back(monkeypatch):
    rules = [
        buckets.tidy_rule({"id": "a", "expiration_days": 3}),
        buckets.tidy_rule(
            {"id": "b", "enabled": False, "prefix": "x/", "tags": {"k": "v", "n": 1}, "noncurrent_expiration_days": 9, "abort_multipart_days": 2}
        ),
        buckets.tidy_rule(
            {"id": "c", "expire_delete_markers": True, "transitions": [{"days": 9, "storage_class": "COLD"}, {"days": 3, "storage_class": "WARM"}]}
        ),
        buckets.tidy_rule({"id": "d", "tags": {"k": "v"}, "noncurrent_transitions": [{"days": 9, "storage_class": "COLD"}]}),
    ]
    assert buckets.lifecycle_from_s3(buckets.lifecycle_to_s3(rules)) == rules
    assert told(monkeypatch, "lifecycle", sent(monkeypatch, "lifecycle", rules)) == rules


def test_lifecycle_of_others_is_understood(monkeypatch):
    xml = b"""<?xml version="1.0"?><LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Rule><ID>z</ID><Prefix>old/</Prefix><Status>Enabled</Status><Expiration><Days>5</Days></Expiration></Rule>
    <Rule><ID>a</ID><Filter/><Status>Disabled</Status><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule></LifecycleConfiguration>"""
    first, second = told(monkeypatch, "lifecycle", xml)
    assert second == buckets.tidy_rule({"id": "z", "prefix": "old/", "expiration_days": 5})
    assert first["other"], "what cannot be declared must differ from everything declared"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"id": "r"}, "does nothing"),
        ({"id": "r", "expiration_days": 0}, "1 or more"),
        ({"id": "r", "expiration_days": 1, "expire_delete_markers": True}, "exclude"),
    ],
)
def test_rules_that_s3_would_refuse(rule, text):
    assert any(text in found for found in buckets.rule_problems(rule))


def test_policies_are_compared_by_their_meaning():
    one = {
        "Statement": {"Effect": "Allow", "Principal": "*", "Action": ["s3:b", "s3:a"], "Resource": "r", "Condition": {"Bool": {"aws:SecureTransport": False}}}
    }
    two = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:a", "s3:b", "s3:a"], "Resource": ["r"],
                "Condition": {"Bool": {"aws:SecureTransport": ["false"]}},
            }
        ],
    }  # fmt: skip
    assert buckets.tidy_policy(one) == buckets.tidy_policy(json.dumps(two))
    assert buckets.tidy_policy({}) is None
    assert buckets.tidy_policy(b"") is None
    two["Statement"][0]["Effect"] = "Deny"
    assert buckets.tidy_policy(one) != buckets.tidy_policy(two)


def test_public_policies_are_known():
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    assert buckets.is_public(buckets.tidy_policy({"Statement": statement}))
    assert not buckets.is_public(buckets.tidy_policy({"Statement": {**statement, "Effect": "Deny"}}))
    assert not buckets.is_public(buckets.tidy_policy({"Statement": {**statement, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}))
    assert not buckets.is_public(buckets.tidy_policy({"Statement": {**statement, "Principal": {"AWS": "arn:aws:iam:::user/a"}}}))
    assert not buckets.is_public(None)


def test_versioning(monkeypatch):
    assert told(monkeypatch, "versioning", sent(monkeypatch, "versioning", True)) is True
    assert told(monkeypatch, "versioning", sent(monkeypatch, "versioning", False)) is False
    assert told(monkeypatch, "versioning", b"<VersioningConfiguration/>") is False


def test_a_bucket():
    have = observed(record("u"), record("v"), buckets={"b": BUCKET}, bucket_ids=frozenset({"b"}))
    assert not planned(have, buckets=[{"name": "b", "owner": "u", "versioning": False, "lifecycle": [], "policy": {}, "quota": {"enabled": False}}])
    (change,) = planned(have, buckets=[{"name": "b", "owner": "v", "versioning": True, "lifecycle": [{"id": "x", "expiration_days": 1}]}]).changes
    assert change.before == {"owner": "u", "versioning": False, "lifecycle": []}
    (change,) = planned(have, buckets=[{"name": "b", "owner": "u", "state": "absent"}]).changes
    assert (change.risk, change.reason) == (Risk.LOSS, "its 3 objects would be deleted")


def test_a_tenants_bucket_is_another():
    have = observed(record("t$u"), buckets={"b": BUCKET}, bucket_ids=frozenset({"b"}))
    assert ids(planned(have, buckets=[{"name": "b", "owner": "t$u"}])) == [["create bucket/t/b"]]
