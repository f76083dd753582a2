# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a cluster may go, and what it gets at the end. The scenario upgrade does it for real."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, upgrade
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret

REEF, TENTACLE = (18, 2, 7), (20, 2, 4)
CIPHERS = {"auth_allowed_ciphers": ["aes", "aes256k"], "auth_preferred_cipher": "aes", "auth_service_cipher": "aes"}
AES, BETTER = ({"key": Secret(clients.new_key(kind)), "caps": {}} for kind in ("aes", "aes256k"))


def observed(version=REEF, require="reef", checks=None, features="reef", mon=None, auth=None, versions=None, filesystems=(), **more):
    known = Maps(
        "an-fsid", version, osd={"require_osd_release": require, "require_min_compat_client": "luminous"}, mon=mon or {}, auth=auth or {},
        fs={"filesystems": [{"mdsmap": {"fs_name": name, "max_mds": most, "in": [*range(most)]}} for name, most in filesystems]},
    )  # fmt: skip
    versions = versions or {"mon": {version: 3}, "mgr": {version: 2}, "osd": {version: 3}}
    return upgrade.Observed(known, versions, {"client": [{"release": features, "num": 2}]}, {"checks": checks or {}}, **more)


def offer(host, candidate="20.2.4+ds-2", installed="18.2.7+ds-1", error="", **others):
    versions = {name: {"installed": installed, "candidate": candidate} for name in ("ceph-osd", "ceph-base")}
    versions.update({name.replace("_", "-"): {"installed": installed, "candidate": version} for name, version in others.items()})
    packages = sorted(versions)
    return {"host": host, "packages": packages, "preferred": [name for name in packages if "ceph" in name], "versions": versions, "error": error}


def plan(seen, release="tentacle", offers=(), state="allowed", **more):
    return upgrade.Provider(None, release, offers or [offer("ceph1"), offer("ceph2")], state, **more).plan(seen)


def problems(seen, *args, **more):
    with pytest.raises(Invalid) as error:
        plan(seen, *args, **more)
    return error.value.problems


def ids(made):
    return [change.id for change in made.changes]


@pytest.mark.parametrize(("text", "numbers"), [("tentacle", (20,)), ("Tentacle ", (20,)), ("20", (20,)), ("20.2", (20, 2)), ("20.2.4", (20, 2, 4))])
def test_a_release_by_its_name_or_number(text, numbers):
    assert upgrade.number(text) == numbers


@pytest.mark.parametrize("release", ["tentacle", "20", "20.2.4", ""])
def test_the_way_is_open(release):
    assert ids(plan(observed(), release)) == ["require_osd_release/osd"]


@pytest.mark.parametrize(
    ("release", "running", "said"),
    [
        ("pacific", REEF, "18.2.7 runs, and pacific (16) is what is wanted: a cluster never goes back to an older release"),
        ("18.2.4", REEF, "a cluster never goes back"),
        ("tentacle", (17, 2, 9), "that is more than 2 releases on. Upgrade to squid first"),
        ("tentakel", REEF, "'tentakel' is no release of Ceph: write its name, such as tentacle, or its number"),
    ],
)
def test_ways_that_are_closed(release, running, said):
    found = problems(observed(running, require=upgrade.name_of(running)), release, offers=[offer("ceph1", candidate=f"{release}-1")])
    assert said in found[0], found


def test_an_upgrade_that_was_never_ended():
    (said,) = problems(observed(require="quincy"))
    assert "require_osd_release is quincy" in said and "end the upgrade before this one: ceph osd require-osd-release reef" in said


def test_everything_at_once():
    seen = observed(features="jewel", checks={"PG_DEGRADED": {"summary": {"message": "1 pg degraded"}}})
    offers = [offer("ceph1", candidate="18.2.7+ds-1"), offer("ceph2", lvm2=""), offer("ceph3", error="apt-get update: E: no network")]
    found = problems(seen, offers=offers)
    assert len(found) == 5, found
    assert "ceph1: apt offers 18.2.7 of ceph-base, ceph-osd, and not tentacle: declare a repository that has it (ceph.packages)" in found[0]
    assert "ceph2: apt offers no package lvm2: give the host a repository that has it" in found[1]
    assert "ceph3: apt-get update: E: no network" in found[2]
    assert "PG_DEGRADED: 1 pg degraded. Repair it, or, if it is no obstacle, name it in accept_health: PG_DEGRADED" in found[3]
    assert "2 clients have the features of jewel, and require_min_compat_client is luminous" in found[4]


def test_hosts_with_different_repositories():
    (said,) = problems(observed(), offers=[offer("ceph1"), offer("ceph2", candidate="20.2.3-1")])
    assert "apt offers several versions, and all daemons must run one: 20.2.3 on ceph2; 20.2.4 on ceph1" in said


@pytest.mark.parametrize("told", [{}, {"muted": True}])
def test_health_that_is_accepted_or_muted(told):
    seen = observed(checks={"MON_DISK_LOW": told, "AUTH_INSECURE_SERVICE_TICKETS": {}, "DAEMON_OLD_VERSION": {}})
    assert plan(seen, accept_health=[] if told else ["MON_DISK_LOW"])


def test_where_nothing_is_to_be_done_health_is_nobodys_affair():
    done = observed(TENTACLE, "tentacle", checks={"PG_DEGRADED": {}})
    assert not plan(done, offers=[offer("ceph1", installed="20.2.4+ds-2")])
    assert problems(done)  # a package is older than what runs


def test_a_run_that_was_ended_half_way():
    mixed = observed(versions={"mon": {TENTACLE: 3}, "osd": {TENTACLE: 1, REEF: 2}}, checks={"DAEMON_OLD_VERSION": {}})
    assert ids(plan(mixed)) == ["require_osd_release/osd"]
    (said,) = problems(mixed, state="finished")
    assert said == "2 daemons of the type osd run 18.2.7 and not 20.2.4: upgrade their hosts, or start them anew"


def test_filesystems_with_several_active_metadata_servers():
    before = observed(versions={"mds": {REEF: 3}, "osd": {REEF: 3}}, filesystems=[("one", 1), ("many", 2)])
    (change,) = plan(before, state="prepared").changes
    assert (change.id, change.before, change.after) == ("filesystem/many", {"max_mds": 2}, {"max_mds": 1})
    after = observed(TENTACLE, "tentacle", filesystems=[("one", 1), ("many", 1)], notes={"many": 2})
    (change,) = plan(after, state="finished").changes
    assert (change.id, change.after) == ("filesystem/many", {"max_mds": 2})
    older = dataclasses.replace(before, versions={"mds": {(18, 2, 4): 3}, "osd": {(18, 2, 4): 3}})
    assert ids(plan(older, "reef", [offer("ceph1", "18.2.7")], state="prepared")) == ["filesystem/many"], "no two versions work beside each other"
    assert not plan(before, "reef", [offer("ceph1", "18.2.7")], state="prepared")


def test_what_the_release_has_no_more():
    seen = observed(TENTACLE, "tentacle", modules=["restful", "rbd_support"], available=["rbd_support"])
    (change,) = plan(seen, state="finished").changes
    assert change.id == "mgr_module/restful" and "tentacle does not have it any more" in change.reason


def test_services_use_the_better_keys_once_all_of_them_have_one():
    auth = {"osd.0": BETTER, "mgr.a": AES, "client.kvm": AES}
    assert not plan(observed(TENTACLE, "tentacle", mon=CIPHERS, auth=auth), state="finished").changes
    made = plan(observed(TENTACLE, "tentacle", mon=CIPHERS, auth={**auth, "mgr.a": BETTER}), state="finished")
    assert ids(made) == ["cephx/service", "cephx/preferred"]
    assert "CVE-2025-30156" in made.warnings[0] and "Keys of that type: client.kvm." in made.warnings[0]
    closed = dict.fromkeys(CIPHERS, "aes256k")
    alone = plan(observed(TENTACLE, "tentacle", mon=closed, auth={"client.kvm": BETTER}), state="finished")
    assert not alone and not alone.warnings
