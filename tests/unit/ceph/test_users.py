# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for users, and how their keys are read."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.users import ADMIN_CAPS, tidy_perm, user_keys
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk
from ansible_collections.cephstack.cloud.tests.unit.ceph.object_storage import NONE, ids, observed, planned, record


def test_permissions():
    assert [tidy_perm(text) for text in ("read, write", "*", "write", "read")] == ["*", "*", "write", "read"]
    with pytest.raises(ValueError, match="'all' is not a permission"):
        tidy_perm("all")


def test_a_user_as_declared_needs_nothing():
    user = record("u", caps=[{"type": "usage", "perm": "read"}], user_quota={"enabled": True, "max_size": 1 << 30, "max_objects": -1}, suspended=1)
    want = {"uid": "u", "caps": {"usage": "read"}, "user_quota": {"max_size": "1G"}, "suspended": True, "bucket_quota": {"enabled": False, "max_size": "5G"}}
    assert not planned(observed(user), users=[want])


def test_what_differs_of_a_user_and_no_more():
    user = record("u", caps=[{"type": "users", "perm": "*"}], email="a@b")
    (change,) = planned(observed(user), users=[{"uid": "u", "caps": {}, "max_buckets": 5, "user_quota": {"max_objects": 1}}]).changes
    assert change.before == {"max_buckets": 1000, "caps": {"users": "*"}, "user_quota": NONE}
    assert change.after == {"max_buckets": 5, "caps": {}, "user_quota": {"enabled": True, "max_size": -1, "max_objects": 1}}
    assert change.risk is Risk.NONE


def test_keys():
    have = observed(record("u"))
    given = {"uid": "u", "keys": [{"access_key": "N", "secret_key": "n"}]}
    (change,) = planned(have, users=[given]).changes
    assert (set(change.after["keys"]), change.risk) == ({"K", "N"}, Risk.NONE)
    (change,) = planned(have, users=[{**given, "exclusive_keys": True}]).changes
    assert (set(change.after["keys"]), change.risk) == ({"N"}, Risk.LOSS)
    assert not planned(have, users=[{"uid": "u", "keys": [{"access_key": "K", "secret_key": "s"}], "exclusive_keys": True}])
    (change,) = planned(observed(record("u", keys=[])), users=[{"uid": "u"}]).changes
    assert change.after == {"keys": "generated"}
    assert planned(have, users=[given]).diff()[0]["after"]["keys"]["N"].startswith("***")


def test_the_collections_own_user_is_mended_first():
    broken = observed(record("u"), record("cephstack-admin", suspended=1, keys=[]))
    result = planned(broken, users=[{"uid": "u", "max_buckets": 1}])
    assert ids(result) == [["update user/cephstack-admin"], ["update user/u"]]
    assert result.changes[0].after == {"caps": ADMIN_CAPS, "suspended": False, "keys": "generated"}


def test_the_collections_own_user_is_there_before_another_is_removed():
    """Whom the gateways made by themselves, such as of a project of Keystone's, where nothing else was ever declared."""
    there = observed(users={"p$p": record("p$p")}, uids=frozenset(["p$p"]))
    result = planned(there, users=[{"uid": "p$p", "state": "absent"}])
    assert ids(result) == [["create user/cephstack-admin"], ["delete user/p$p"]]


def test_pruning_spares_the_collections_own_user():
    have = observed(record("u"), record("stray"))
    assert ids(planned(have, users=[{"uid": "u"}], prune=["users"])) == [["delete user/stray"]]
    assert not planned(have, users=[{"uid": "u"}])


# -- the keys of users: what is not there, and what could not be asked


class Cluster:
    """A cluster with some pools, and radosgw-admin beside it. fail: the command that it refuses."""

    def __init__(self, pools=(), zones=(), users=(), fail=""):
        self.pools, self.zones, self.users, self.fail = pools, zones, users, fail
        self.asked = []

    def command(self, prefix):
        return {"pools": [{"pool_name": name} for name in self.pools]}

    def __call__(self, *arguments):
        self.asked.append(" ".join(arguments[:2]))
        if self.asked[-1] == self.fail:
            raise ApiFailed(f"radosgw-admin {self.fail}", 5, "failed", "Input/output error")
        return {
            "zone list": {"zones": list(self.zones)},
            "zone get": {"user_uid_pool": "default.rgw.meta:users.uid"},
            "metadata list": list(self.users),
            "user info": record("ann", keys=[{"user": "ann", "access_key": "A", "secret_key": "S"}]),
        }[self.asked[-1]]


RAN = {"pools": [".rgw.root", "default.rgw.meta"], "zones": ["default"]}


@pytest.mark.parametrize(
    ("cluster", "asked"),
    [
        (Cluster(), []),
        (Cluster([".rgw.root"]), ["zone list"]),
        (Cluster([".rgw.root"], ["default"]), ["zone list", "zone get"]),
        (Cluster(**RAN), ["zone list", "zone get", "metadata list"]),
    ],
    ids=["no gateway ever", "no zone", "a zone without users' pool", "others only"],
)
def test_keys_of_nobody_are_none_and_no_pool_is_made_by_asking(cluster, asked):
    assert user_keys(cluster, cluster, ["ann"]) == {"ann": None}
    assert cluster.asked == asked


def test_keys_of_those_who_are_there():
    cluster = Cluster(**RAN, users=["ann", "bob"])
    assert user_keys(cluster, cluster, ["ann", "nobody", "ann"]) == {"ann": [{"access_key": "A", "secret_key": "S"}], "nobody": None}


@pytest.mark.parametrize("fail", ["zone list", "zone get", "metadata list", "user info"])
def test_keys_that_could_not_be_read_are_an_error(fail):
    cluster = Cluster(**RAN, users=["ann"], fail=fail)
    with pytest.raises(ApiFailed, match="Input/output error"):
        user_keys(cluster, cluster, ["ann"])
