# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for buckets."""

from __future__ import annotations

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk
from ansible_collections.cephstack.cloud.tests.unit.ceph.object_storage import BUCKET, ids, observed, planned, record


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
