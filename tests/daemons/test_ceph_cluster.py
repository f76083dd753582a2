# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ceph_cluster against a real cluster: create, no-op, drift by hand, mend."""

from __future__ import annotations

import pytest
from conftest import Failed


def ids(result):
    return sorted(f"{row['kind']}/{row['name']}" for row in result["changes"])


def pool(cluster, name):
    return next((entry for entry in cluster.command("osd dump")["pools"] if entry["pool_name"] == name), None)


def test_create_again_drift_mend(cluster, run):
    declared = {
        "pools": [
            {
                "name": "images", "size": 3, "min_size": 2, "pg_num": 8, "autoscale_mode": "off", "applications": ["rbd"], "quota_bytes": "10G",
                "quota_objects": 1000, "target_size_ratio": 0.2, "compression": {"mode": "aggressive", "algorithm": "snappy", "min_blob_size": "8K"},
            },
            {"name": "golden", "applications": ["rbd", "other"], "pg_num": 4, "autoscale_mode": "on", "pg_num_min": 4},
        ],
        "clients": [
            {"name": "client.vm", "caps": {"mon": "profile rbd", "osd": "profile rbd pool=images, profile rbd-read-only pool=golden"}},
        ],
        "options": {
            "osd/host:host1": {"osd_memory_target": "2G"}, "global": {"osd_max_backfills": "2", "mon_warn_on_pool_no_redundancy": True},
            "mgr": {"mgr_tick_period": "3s"}, "osd/class:ssd": {"osd_scrub_sleep": 0.5}, "client": {"rbd_default_features": "layering,exclusive-lock"},
            "osd": {"debug_osd": 2},
        },
        "flags": {"noscrub": True, "noin": False},
    }  # fmt: skip
    foreseen = run("ceph_cluster", check=True, **declared)
    assert foreseen["changed"]
    assert pool(cluster, "images") is None
    made = run("ceph_cluster", **declared)
    assert ids(made) == ids(foreseen)
    images = pool(cluster, "images")
    assert images["min_size"] == 2 and images["pg_num_target"] == 8 and images["quota_max_bytes"] == 10 << 30
    assert images["options"]["compression_min_blob_size"] == 8192
    again = run("ceph_cluster", **declared)
    assert again["changes"] == [] and not again["changed"]

    cluster.command("osd pool set", pool="images", var="min_size", val="1")
    cluster.command("auth caps", entity="client.vm", caps=["mon", "allow *", "osd", "profile rbd pool=images"])
    cluster.command("config rm", who="osd/host:host1", name="osd_memory_target")
    cluster.command("osd unset", key="noscrub")
    drift = run("ceph_cluster", check=True, **declared)
    assert ids(drift) == ["client/client.vm", "flag/noscrub", "option/osd/host:host1/osd_memory_target", "pool/images"]
    by_id = {entry["before_header"]: entry for entry in drift["diff"]}
    assert by_id["pool/images"]["before"] == {"min_size": 1} and by_id["pool/images"]["after"] == {"min_size": 2}
    assert pool(cluster, "images")["min_size"] == 1  # check mode wrote nothing
    assert ids(run("ceph_cluster", **declared)) == ids(drift)
    assert pool(cluster, "images")["min_size"] == 2
    assert not run("ceph_cluster", **declared)["changed"]


def test_delete_is_armed_and_leaves_the_gate_shut(cluster, run):
    run("ceph_cluster", pools=[{"name": f"gone{number}", "pg_num": 1} for number in range(4)])
    absent = [{"name": f"gone{number}", "state": "absent"} for number in range(4)]
    with pytest.raises(Failed, match="pool/gone0") as refused:
        run("ceph_cluster", pools=absent)
    assert len(refused.value.result["refused"]) == 4
    assert pool(cluster, "gone3")
    run("ceph_cluster", pools=absent, arm=[f"pool/gone{number}" for number in range(4)])
    assert not pool(cluster, "gone3")
    assert not [entry for entry in cluster.command("config dump") if entry["name"] == "mon_allow_pool_delete"]
    assert not run("ceph_cluster", pools=absent)["changed"]
