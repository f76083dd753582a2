# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for a whole object storage: what of it waits for what, and what contradicts."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.rgw_site import GatewayOptions, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.tests.unit.ceph.object_storage import BUCKET, SITE, URLS, ids, observed, planned, record, secondary


def test_the_first_run_does_it_all_in_order():
    result = planned(site=SITE, users=[{"uid": "u"}], buckets=[{"name": "b", "owner": "u"}])
    assert ids(result) == [
        ["create realm/r"], ["create zonegroup/zg"], ["create zone/z"], ["create period/r"],
        ["create user/cephstack-admin"], ["create user/u"], ["create bucket/b"],
    ]  # fmt: skip


def test_users_and_buckets_are_the_master_zones():
    known = observed(record("u"))
    have = secondary(users=known.users, uids=known.uids)
    assert not planned(have, site=SITE, users=[{"uid": "u"}])
    with pytest.raises(Invalid, match=r"create user/v: .* in the realm's master zone, east") as caught:
        planned(have, site=SITE, users=[{"uid": "u", "max_buckets": 1}, {"uid": "v"}], buckets=[{"name": "b", "owner": "u"}])
    assert len(caught.value.problems) == 3


def test_a_user_with_buckets_stays_until_they_go():
    have = observed(record("u"), owned={"u": ["b"]}, buckets={"b": BUCKET}, bucket_ids=frozenset({"b"}))
    gone = [{"uid": "u", "state": "absent"}]
    with pytest.raises(Invalid, match="user u still owns buckets: b"):
        planned(have, users=gone)
    assert ids(planned(have, users=gone, buckets=[{"name": "b", "owner": "u", "state": "absent"}])) == [["delete bucket/b"], ["delete user/u"]]
    assert ids(planned(have, users=gone, prune=["buckets"])) == [["delete bucket/b"], ["delete user/u"]]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"users": [{"uid": "u"}] * 2}, "user u is declared twice"),
        ({"users": [{"uid": "cephstack-admin"}]}, "own user"),
        ({"users": [{"uid": "u", "caps": {"users": "x"}}]}, "is not a permission"),
        ({"users": [{"uid": "u", "user_quota": {"max_size": "4X"}}]}, "'4X' is not a size"),
        ({"users": [{"uid": "u", "exclusive_keys": True}]}, "needs keys"),
        ({"users": [{"uid": uid, "keys": [{"access_key": "K", "secret_key": "s"}]} for uid in "ab"]}, "given to two users"),
        ({"users": [{"uid": "u", "state": "absent"}], "buckets": [{"name": "b", "owner": "u"}]}, "declared absent"),
        ({"buckets": [{"name": "b", "owner": "u", "policy": {"Statement": []}}]}, "no Statement"),
        ({"buckets": [{"name": "b", "owner": "u", "policy": {"Statement": {"Effect": "Allow", "Principal": "*"}}}]}, "public: true"),
        ({"buckets": [{"name": "b", "owner": "u", "lifecycle": [{"id": "r", "expiration_days": 1}] * 2}]}, "rule r is declared twice"),
        ({"users": [{"uid": "u"}], "endpoints": []}, "need endpoints"),
        ({"endpoints": ["g:8080"]}, "is not a URL"),
    ],
)
def test_what_is_written_wrongly(params, text):
    with pytest.raises(Invalid, match=text):
        parse({"endpoints": URLS, **params})


def test_a_dry_run_without_boto3_says_what_it_did_not_look_at():
    have = observed(record("u"))
    have.unseen = True
    result = planned(have, users=[{"uid": "v"}], buckets=[{"name": "b", "owner": "v"}])
    assert not result.changes
    assert ["python3-boto3" in text for text in result.warnings] == [True]


def test_a_release_that_has_lost_an_option_is_not_told_of_it():
    """Ceph 18 speaks Keystone's version 2 unless it is told otherwise, and Ceph 20 knows no such option."""
    said = {"client.rgw.a.s3": {"rgw_keystone_url": "http://k:5000", "rgw_keystone_api_version": 3}}
    known = {"rgw_keystone_url": {"type": "str"}, "rgw_keystone_api_version": {"type": "int"}}
    both = [f"create option/client.rgw.a.s3/{name}" for name in known]

    def made(**about):
        planned = GatewayOptions(said, {}, False, "").plan(Maps("f" if about else None, release=(18, 2, 7), help={**known, **about}))
        return [f"{change.action} {change.id}" for change in planned.changes]

    assert made(rgw_keystone_url=known["rgw_keystone_url"]) == made() == both
    assert made(rgw_keystone_api_version=None) == both[:1]
    with pytest.raises(Invalid, match=r"rgw_keystone_url: Ceph .* knows no such option"):
        made(rgw_keystone_url=None)
