# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ceph_cluster against a real cluster: create, no-op, drift by hand, mend; and what it refuses."""

from __future__ import annotations

import base64
import struct

import pytest
from conftest import Failed


def ids(result):
    return sorted(f"{row['kind']}/{row['name']}" for row in result["changes"])


def risks(result):
    return {f"{row['kind']}/{row['name']}": row["risk"] for row in result["changes"]}


def pool(cluster, name):
    return next((entry for entry in cluster.command("osd dump")["pools"] if entry["pool_name"] == name), None)


def client(cluster, name):
    return cluster.command("auth get", entity=name)[0]


def made(run, **declared):
    """Make it so, and prove that the next run has nothing to do."""
    result = run("ceph_cluster", **declared)
    again = run("ceph_cluster", **declared)
    assert again["changes"] == []
    assert not again["changed"]
    return result


BLUESTORE = {"osd_objectstore": "bluestore", "bluestore_block_size": str(1 << 30), "bluestore_fsck_on_mkfs": "false"}
VM = {"mon": "profile rbd", "osd": "profile rbd pool=images, profile rbd-read-only pool=golden"}


def test_create_again_drift_mend(cluster, run):
    images = {"name": "images", "size": 3, "min_size": 2, "pg_num": 8, "autoscale_mode": "off", "applications": ["rbd"], "quota_bytes": "10G"}
    images.update(quota_objects=1000, target_size_ratio=0.2, compression={"mode": "aggressive", "algorithm": "snappy", "min_blob_size": "8K"})
    declared = {
        "pools": [images, {"name": "golden", "applications": ["rbd", "other"], "pg_num": 4, "autoscale_mode": "on", "pg_num_min": 4}],
        "clients": [{"name": "client.vm", "caps": VM}],
        "options": {
            "osd/host:host1": {"osd_memory_target": "2G"},
            "global": {"osd_max_backfills": "2", "mon_warn_on_pool_no_redundancy": True},
            "mgr": {"mgr_tick_period": "3s"},
            "osd/class:ssd": {"osd_scrub_sleep": 0.5},
            "client": {"rbd_default_features": "layering,exclusive-lock"},
            "osd": {"debug_osd": 2},
        },
        "flags": {"noscrub": True, "noin": False},
    }
    foreseen = run("ceph_cluster", check=True, **declared)
    assert foreseen["changed"]
    assert pool(cluster, "images") is None
    done = made(run, **declared)
    assert ids(done) == ids(foreseen)
    there = pool(cluster, "images")
    assert there["min_size"] == 2
    assert there["pg_num_target"] == 8
    assert there["quota_max_bytes"] == 10 << 30
    assert there["options"]["compression_min_blob_size"] == 8192

    cluster.command("osd pool set", pool="images", var="min_size", val="1")
    cluster.command("auth caps", entity="client.vm", caps=["mon", "allow *", "osd", "profile rbd pool=images"])
    cluster.command("config rm", who="osd/host:host1", name="osd_memory_target")
    cluster.command("osd unset", key="noscrub")
    drift = run("ceph_cluster", check=True, **declared)
    assert ids(drift) == ["client/client.vm", "flag/noscrub", "option/osd/host:host1/osd_memory_target", "pool/images"]
    by_id = {entry["before_header"]: entry for entry in drift["diff"]}
    assert by_id["pool/images"]["before"] == {"min_size": 1}
    assert by_id["pool/images"]["after"] == {"min_size": 2}
    assert by_id["client/client.vm"]["before"]["caps"]["mon"] == "allow *"
    assert pool(cluster, "images")["min_size"] == 1  # check mode wrote nothing
    assert ids(made(run, **declared)) == ids(drift)
    assert pool(cluster, "images")["min_size"] == 2
    run("ceph_cluster", flags={"noscrub": False})


def test_delete_is_allowed_and_leaves_the_gate_shut(cluster, run):
    run("ceph_cluster", pools=[{"name": f"gone{number}", "pg_num": 1} for number in range(4)])
    absent = [{"name": f"gone{number}", "state": "absent"} for number in range(4)]
    with pytest.raises(Failed, match="pool/gone0") as refused:
        run("ceph_cluster", pools=absent)
    assert len(refused.value.result["refused"]) == 4
    assert pool(cluster, "gone3")
    run("ceph_cluster", pools=absent, allow_loss=[f"pool/gone{number}" for number in range(4)])
    assert not pool(cluster, "gone3")
    assert not [entry for entry in cluster.command("config dump") if entry["name"] == "mon_allow_pool_delete"]
    assert not run("ceph_cluster", pools=absent)["changed"]


# -- the errors of the peers, one by one (their lists: options that change for ever, keys, min_size, flags, check mode)


@pytest.mark.parametrize(
    ("section", "name", "value", "by_hand"),
    [
        ("osd/host:host2", "osd_memory_target", "4G", "4294967296"),
        ("osd/class:hdd", "osd_memory_target", "4GiB", "4294967296"),
        ("global", "mon_warn_on_slow_ping_time", "1.0", "1"),
        ("osd", "osd_scrub_auto_repair", "1", "true"),
        ("osd", "osd_scrub_auto_repair", True, "true"),
        ("mon", "mon_max_pg_per_osd", "1K", "1000"),
        ("mgr", "mgr_stats_period", "7", "7"),
        ("mgr", "mgr/balancer/sleep_interval", 61, "61"),
        ("mgr", "mgr/balancer/active", "yes", "true"),
        ("osd.1", "debug_osd", "3/5", "3/5"),
        ("client", "rbd_default_features", "layering,exclusive-lock,object-map", "13"),
        ("osd/root:default", "osd_heartbeat_grace", "25", "25"),
    ],
)
def test_an_option_set_by_hand_in_other_words_is_the_same(cluster, run, section, name, value, by_hand):
    cluster.command("config set", who=section, name=name, value=by_hand)
    declared = {"options": {section: {name: value}}}
    assert run("ceph_cluster", check=True, **declared)["changes"] == []
    cluster.command("config rm", who=section, name=name)
    assert len(made(run, **declared)["changes"]) == 1
    assert ids(made(run, options={section: {name: None}})) == [f"option/{section}/{name}"]


def test_durations(cluster, run):
    made(run, options={"mgr": {"mgr_tick_period": "1m"}})
    made(run, options={"mgr": {"mgr_tick_period": 60}})
    assert [entry["value"] for entry in cluster.command("config dump") if entry["name"] == "mgr_tick_period"] == ["60"]
    made(run, options={"mgr": {"mgr_tick_period": None}})


def test_check_mode_sees_what_was_done_by_hand_and_writes_nothing(cluster, run):
    declared = {
        "clients": [{"name": "client.seen", "caps": {"mon": "allow r"}}, {"name": "client.lost", "caps": {"mon": "allow r"}}],
        "options": {"global": {"osd_recovery_sleep": 0.25}},
    }
    made(run, **declared)
    cluster.command("auth caps", entity="client.seen", caps=["mon", "allow *"])
    cluster.command("auth del", entity="client.lost")
    cluster.command("config rm", who="global", name="osd_recovery_sleep")
    before = cluster.command("auth ls"), cluster.command("config dump")
    assert ids(run("ceph_cluster", check=True, **declared)) == ["client/client.lost", "client/client.seen", "option/global/osd_recovery_sleep"]
    assert (cluster.command("auth ls"), cluster.command("config dump")) == before
    made(run, **declared)


def test_min_size_is_really_applied(cluster, run):
    made(run, pools=[{"name": "minimal", "pg_num": 1, "min_size": 1}])
    assert pool(cluster, "minimal")["min_size"] == 1
    made(run, pools=[{"name": "minimal", "size": 2, "min_size": 2}])
    assert (pool(cluster, "minimal")["size"], pool(cluster, "minimal")["min_size"]) == (2, 2)


def test_size_and_min_size_shrink_and_grow_together(cluster, run):
    made(run, pools=[{"name": "elastic", "pg_num": 1, "size": 3, "min_size": 3}])
    shrink = made(run, pools=[{"name": "elastic", "size": 2, "min_size": 2}])
    assert risks(shrink) == {"pool/elastic": "movement"}
    made(run, pools=[{"name": "elastic", "size": 3, "min_size": 3}])


def test_flags_are_read_before_they_are_written(cluster, run):
    assert made(run, flags={"noout": True, "nodeep-scrub": True})["changed"]
    assert made(run, flags={"noout": False, "nodeep-scrub": "no"})["changed"]
    with pytest.raises(Failed, match="flag/pause"):
        run("ceph_cluster", flags={"pause": True})
    run("ceph_cluster", flags={"pause": True}, allow_loss=["flag/pause"])
    made(run, flags={"pause": False})


def test_a_monitor_that_does_not_answer_is_not_an_empty_cluster(make_cluster, run):
    cluster = make_cluster(osds=0, mgr=False)
    connection = {**cluster.connection, "timeout": 2}
    declared = {"clients": [{"name": "client.a", "caps": {"mon": "allow r"}}]}
    run("ceph_cluster", connection=connection, **declared)
    cluster.rados.shutdown()
    cluster._rados = None
    cluster.stop("mon.a")
    for check in (True, False):
        with pytest.raises(Failed, match=r"cannot connect to Ceph at .* as client\.admin within 2 s"):
            run("ceph_cluster", check=check, connection=connection, **declared)


def test_a_wrong_key_and_missing_rights(cluster, run):
    made(run, clients=[{"name": "client.weak", "caps": {"mon": "allow r"}}])
    weak = {**cluster.connection, "client": "client.weak"}
    with pytest.raises(Failed, match="cannot connect") as wrong:
        run("ceph_cluster", connection={**weak, "timeout": 5}, flags={"noout": False})
    assert cluster.admin_key not in str(wrong.value.result)
    weak["key"] = client(cluster, "client.weak")["key"]
    with pytest.raises(Failed, match=r"auth ls.*(EACCES|EPERM)"):
        run("ceph_cluster", connection=weak, clients=[{"name": "client.new", "caps": {"mon": "allow r"}}])


# -- clients


def test_caps_are_compared_by_their_meaning(cluster, run):
    cluster.command("auth add", entity="client.spelt", caps=["mon", 'allow r,allow command "osd lspools"', "osd", 'allow rw  pool=a ; allow r pool "b"'])
    run("ceph_cluster", pools=[{"name": "a", "pg_num": 1}, {"name": "b", "pg_num": 1}])
    same = {"mon": "allow  command 'osd lspools', allow r", "osd": "allow r pool b,allow wr pool=a"}
    assert run("ceph_cluster", check=True, clients=[{"name": "client.spelt", "caps": same}])["changes"] == []
    wider = {**same, "osd": "allow *"}
    assert ids(made(run, clients=[{"name": "client.spelt", "caps": wider}])) == ["client/client.spelt"]
    key = client(cluster, "client.spelt")["key"]
    narrower = {"mon": "allow r"}
    made(run, clients=[{"name": "client.spelt", "caps": narrower}])
    assert client(cluster, "client.spelt")["caps"] == {"mon": "allow r"}
    assert client(cluster, "client.spelt")["key"] == key
    assert not run("ceph_cluster", clients=[{"name": "client.spelt"}])["changed"]  # caps not said: left alone


def test_a_key_is_rotated_once(cluster, run):
    declared = {"name": "client.turning", "caps": {"mon": "allow r", "mgr": 'allow command "device ls"'}}
    made(run, clients=[declared])
    first = client(cluster, "client.turning")
    secret = base64.b64decode(first["key"])
    kind, length = struct.unpack("<H", secret[:2])[0], len(secret) - 12
    old = base64.b64encode(struct.pack("<HIIH", kind, 1500000000, 0, length) + secret[12:]).decode()
    assert ids(made(run, clients=[{**declared, "key": old}])) == ["client/client.turning"]
    assert client(cluster, "client.turning")["key"] == old
    rotated = {**declared, "rotate_before": "2020-01-01"}
    result = made(run, clients=[rotated])
    assert risks(result) == {"client/client.turning": "restart"}
    third = client(cluster, "client.turning")
    assert third["key"] not in (old, first["key"])
    assert third["caps"] == first["caps"]
    assert old not in str(result)
    assert third["key"] not in str(result)
    weak = {**cluster.connection, "client": "client.turning", "key": third["key"]}
    assert run("ceph_info", connection=weak)["fsid"] == cluster.fsid  # the new key works


def test_a_client_goes_only_when_allow_loss(cluster, run):
    made(run, clients=[{"name": "client.leaving", "caps": {"mon": "allow r"}}])
    absent = [{"name": "client.leaving", "state": "absent"}]
    with pytest.raises(Failed, match=r"client/client\.leaving"):
        run("ceph_cluster", clients=absent)
    run("ceph_cluster", clients=absent, allow_loss=["client/client.leaving"])
    assert not run("ceph_cluster", clients=absent)["changed"]


def test_consumers_become_clients_and_applications(cluster, run):
    declared = {
        "pools": [{"name": "vms", "pg_num": 1}, {"name": "templates", "pg_num": 1, "applications": ["backup"]}],
        "consumers": [
            {"name": "cloud", "kind": "kvm", "pools": [{"name": "vms"}, {"name": "templates", "access": "ro"}]},
            {"name": "other", "kind": "rbd", "client": "client.cloud", "pools": [{"name": "vms"}]},
        ],
    }
    result = made(run, **declared)
    assert client(cluster, "client.cloud")["caps"] == {
        "mon": "profile rbd",
        "osd": "profile rbd pool=vms, profile rbd-read-only pool=templates",
        "mgr": "profile rbd pool=vms",
    }
    assert sorted(pool(cluster, "vms")["application_metadata"]) == ["rbd"]
    assert sorted(pool(cluster, "templates")["application_metadata"]) == ["backup", "rbd"]
    assert result["consumers"][0]["client"] == "client.cloud"
    assert len(result["consumers"][0]["secret_uuid"]) == 36


# -- pools, profiles, crush


def test_every_setting_of_a_pool(cluster, run):
    bulk = {"bulk": True} if cluster.release > 16 else {}
    upper = {"pg_num_max": 16} if cluster.release > 16 else {}
    declared = {
        "name": "full",
        "size": 2,
        "min_size": 1,
        "pg_num": 4,
        "autoscale_mode": "warn",
        "pg_num_min": 2,
        "target_size": "1G",
        "applications": ["rbd", "x"],
    }
    declared.update(
        **bulk, **upper, nodelete=True, nosizechange=True, compression={"mode": "force", "algorithm": "zstd", "required_ratio": 0.8, "max_blob_size": "64K"}
    )
    made(run, pools=[declared])
    with pytest.raises(Failed, match="nosizechange"):
        run("ceph_cluster", pools=[{"name": "full", "size": 3}])
    with pytest.raises(Failed, match="nodelete"):
        run("ceph_cluster", pools=[{"name": "full", "state": "absent"}], allow_loss=["pool/full"])
    made(run, pools=[{"name": "full", "size": 3, "nosizechange": False, "nodelete": False, "applications": ["rbd"], "quota_bytes": "0", "target_size": "0"}])
    grown = made(run, pools=[{"name": "full", "pg_num": 8}])
    assert risks(grown) == {"pool/full": "movement"}
    assert run("ceph_cluster", pools=[{"name": "full", "pg_num": 2, "autoscale_mode": "on"}])["changed"]  # the mode only
    assert pool(cluster, "full")["pg_num_target"] == 8
    run("ceph_cluster", pools=[{"name": "full", "state": "absent"}], allow_loss=["pool/full"])


def test_one_copy_must_be_allow_loss(cluster, run):
    made(run, pools=[{"name": "single", "pg_num": 1}])
    with pytest.raises(Failed, match="first disk that fails"):
        run("ceph_cluster", pools=[{"name": "single", "size": 1}])
    made(run, pools=[{"name": "single", "size": 1, "min_size": 1}], allow_loss=["pool/single"])
    assert not [entry for entry in cluster.command("config dump") if entry["name"] == "mon_allow_pool_size_one"]
    made(run, pools=[{"name": "scratch", "pg_num": 1, "size": 1}])
    run("ceph_cluster", pools=[{"name": name, "state": "absent"} for name in ("single", "scratch")], allow_loss=["pool/single", "pool/scratch"])


def test_what_the_monitors_keep_in_another_spelling(cluster, run):
    declared = {
        "options": {
            "client.spelling": {
                "osd_scrub_sleep": 0.12345678,
                "osd_pool_default_pg_autoscale_mode": True,  # on, to YAML
                "public_addr": "fd00::0:1",
                "public_addrv": "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]",
                "debug osd": "05/5",
                "rbd_default_features": "layering+deep-flatten",
                "client_mount_timeout": "5m",
                "mon_max_pg_per_osd": 1e3,
                "osd_memory_target": "4.5G",
                "osd_scrub_during_recovery": "yes",
                "mon_cluster_log_to_syslog": False,
            },
            "osd/host:nowhere/class:ssd": {"osd_max_backfills": "03"},
        },
        "erasure_profiles": [
            {"name": "spelled", "k": 2, "m": 1, "plugin": "jerasure", "extra": {"jerasure-per-chunk-alignment": False, "stripe_unit": "8K", "w": "08"}}
        ],
        "pools": [{"name": "spelled", "pg_num": 1, "target_size_ratio": 1 / 30000, "compression": {"mode": "none", "required_ratio": 1 / 3}}],
    }
    made(run, **declared)
    kept = cluster.command("osd erasure-code-profile get", name="spelled")
    assert kept["jerasure-per-chunk-alignment"] == "false"
    # the same in other words
    declared["options"] = {
        "client.spelling": {
            "osd_scrub_sleep": "0.123457", "osd_pool_default_pg_autoscale_mode": "on", "public_addr": "v2:[FD00::1]:0/0", "debug_osd": "5/5",
            "rbd_default_features": 33, "client_mount_timeout": 300, "mon_max_pg_per_osd": "1K",
            "osd_memory_target": 4831838208, "osd_scrub_during_recovery": True,
        },
        "osd/class:ssd/host:nowhere": {"osd_max_backfills": 3},
    }  # fmt: skip
    declared["erasure_profiles"][0].update(failure_domain="host", root="default", extra={"jerasure-per-chunk-alignment": "no", "stripe_unit": 8192})
    assert not run("ceph_cluster", **declared)["changed"]
    for section, options in declared["options"].items():
        run("ceph_cluster", options={section: dict.fromkeys([*options, "public_addrv", "mon_cluster_log_to_syslog"])})
    run("ceph_cluster", pools=[{"name": "spelled", "state": "absent"}], allow_loss=["pool/spelled"])


def test_erasure_coded_pools(make_cluster, run):
    cluster = make_cluster(mgr=False, conf=BLUESTORE)  # overwrites of erasure-coded pools need it
    connection = cluster.connection

    declared = {
        "erasure_profiles": [{"name": "two-one", "k": 2, "m": 1}],
        "pools": [
            {"name": "ec", "type": "erasure", "erasure_profile": "two-one", "pg_num": 4, "allow_ec_overwrites": True, "applications": ["rbd"], "min_size": 2}
        ],
    }
    made(run, connection=connection, **declared)
    there = pool(cluster, "ec")
    assert (there["type"], there["size"], there["min_size"]) == (3, 3, 2)
    assert "ec_overwrites" in there["flags_names"]
    with pytest.raises(Failed, match="existing pools"):
        run("ceph_cluster", connection=connection, erasure_profiles=[{"name": "two-one", "k": 3, "m": 1, "failure_domain": "osd"}])
    with pytest.raises(Failed, match=r"k\+m is 5, and there are 3 of host"):
        run("ceph_cluster", connection=connection, erasure_profiles=[{"name": "wide", "k": 3, "m": 2}])
    with pytest.raises(Failed, match="cannot make it replicated"):
        run("ceph_cluster", connection=connection, pools=[{"name": "ec"}])
    made(run, connection=connection, erasure_profiles=[{"name": "unused", "k": 2, "m": 1}])
    made(run, connection=connection, erasure_profiles=[{"name": "unused", "k": 2, "m": 1, "failure_domain": "osd"}])
    made(run, connection=connection, erasure_profiles=[{"name": "unused", "state": "absent"}])


def test_several_chunks_on_each_of_few_hosts(make_cluster, run):
    cluster = make_cluster(osds=6, mgr=False)
    for number in range(6):
        cluster.command("osd crush set", id=number, weight=1.0, args=["root=default", f"host=host{number // 2}"])
    connection = cluster.connection
    declared = {
        "erasure_profiles": [{"name": "ec42", "k": 4, "m": 2, "extra": {"crush-osds-per-failure-domain": 2, "crush-num-failure-domains": 3}}],
        "pools": [{"name": "few", "type": "erasure", "erasure_profile": "ec42", "pg_num": 4}],
        "crush": {"rules": [{"name": "spread", "type": "erasure", "erasure_profile": "ec42"}]},
    }
    if cluster.release < 19:
        with pytest.raises(Failed, match=r"need Ceph 19\.2\.0"):
            run("ceph_cluster", connection=connection, **declared)
        assert "ec42" not in cluster.command("osd erasure-code-profile ls")
        return
    with pytest.raises(Failed, match="set require_min_compat_client: squid"):
        run("ceph_cluster", connection=connection, **declared)
    made(run, connection=connection, require_min_compat_client="squid", **declared)
    rules = {rule["rule_name"]: rule for rule in cluster.command("osd crush dump")["rules"]}
    assert (rules["spread"]["type"], rules["few"]["type"]) == (5, 5)
    placed = cluster.command("osd map", pool="few", object="anything")["up"]
    assert sorted(number // 2 for number in placed) == [0, 0, 1, 1, 2, 2]
    # made by the monitors with the pool, and declared afterwards
    declared["pools"][0]["rule"] = "few"
    declared["crush"]["rules"].append({"name": "few", "type": "erasure", "erasure_profile": "ec42"})
    assert not run("ceph_cluster", connection=connection, **declared)["changed"]
    wide = {"name": "ec62", "k": 6, "m": 2, "extra": {"crush-osds-per-failure-domain": 2, "crush-num-failure-domains": 4}}
    with pytest.raises(Failed, match=r"needs 4 of host with 2 OSDs each below default, and there are 3"):
        run("ceph_cluster", connection=connection, erasure_profiles=[wide])


def test_the_crush_map(make_cluster, run):
    cluster = make_cluster(mgr=False, conf={"osd_pool_default_pg_autoscale_mode": "off"})
    connection = cluster.connection

    def build(**declared):
        result = run("ceph_cluster", connection=connection, **declared)
        assert run("ceph_cluster", connection=connection, **declared)["changes"] == []
        return result

    declared = {
        "crush": {
            "buckets": [{"name": f"rack{number}", "type": "rack", "parent": "hall"} for number in range(3)]
            + [{"name": "hall", "type": "room", "parent": "default"}],
            "locations": [{"name": f"host{number}", "parent": f"rack{number}"} for number in range(3)],
            "device_classes": [{"name": "ssd", "osds": ["osd.0", "1", "osd.2"]}],
            "rules": [{"name": "by-rack", "failure_domain": "rack", "device_class": "ssd"}],
        },
        "pools": [{"name": "racked", "rule": "by-rack", "size": 3, "pg_num": 4}],
    }
    result = build(**declared)
    order = [f"{row['kind']}/{row['name']}" for row in result["changes"]]
    assert order.index("crush_bucket/hall") < order.index("crush_bucket/rack0") < order.index("crush_location/host0")
    assert order.index("crush_rule/by-rack") < order.index("pool/racked")
    moved = build(crush={"rules": [{"name": "by-rack", "failure_domain": "host", "device_class": "ssd"}]})
    assert risks(moved) == {"crush_rule/by-rack": "movement"}
    assert [rule["rule_name"] for rule in cluster.command("osd crush dump")["rules"]] == ["replicated_rule", "by-rack"]
    with pytest.raises(Failed, match="racked use it"):
        run("ceph_cluster", connection=connection, crush={"rules": [{"name": "by-rack", "state": "absent"}]})
    rules = [{"name": "by-room", "failure_domain": "room"}]
    with pytest.raises(Failed, match="size 3 needs 3 of room"):
        run("ceph_cluster", connection=connection, crush={"rules": rules}, pools=[{"name": "roomy", "rule": "by-room", "size": 3}])
    with pytest.raises(Failed, match="stand in it"):
        run("ceph_cluster", connection=connection, crush={"buckets": [{"name": "rack0", "state": "absent"}]})
    with pytest.raises(Failed, match="no OSD of class nvme"):
        run("ceph_cluster", connection=connection, crush={"rules": [{"name": "fast", "device_class": "nvme"}]})
    back = [{"name": f"host{number}", "parent": "default"} for number in range(3)]
    gone = [{"name": f"rack{number}", "state": "absent"} for number in range(3)]
    build(crush={"locations": back, "buckets": gone})
    build(crush={"buckets": [{"name": "hall", "state": "absent"}]})


def test_too_many_placement_groups_are_foreseen(cluster, run):
    with pytest.raises(Failed, match="mon_max_pg_per_osd is"):
        run("ceph_cluster", check=True, pools=[{"name": "crowd", "pg_num": 1024, "size": 3, "autoscale_mode": "off"}])
    assert pool(cluster, "crowd") is None


def test_a_filesystem(cluster, run):
    declared = {
        "pools": [{"name": name, "pg_num": 1, "applications": ["cephfs"]} for name in ("fs-meta", "fs-data", "fs-more")],
        "filesystems": [{"name": "home", "metadata_pool": "fs-meta", "data_pools": ["fs-data"], "max_mds": 2, "allow_standby_replay": True}],
    }
    made(run, **declared)
    cluster.command("fs set", fs_name="home", var="max_mds", val="1")
    assert ids(run("ceph_cluster", check=True, **declared)) == ["filesystem/home"]
    declared["filesystems"][0]["data_pools"] = ["fs-data", "fs-more"]
    made(run, **declared)
    with pytest.raises(Failed, match="filesystem home uses it"):
        run("ceph_cluster", pools=[{"name": "fs-data", "state": "absent"}], allow_loss=["pool/fs-data"])
    gone = {
        "filesystems": [{"name": "home", "state": "absent"}],
        "pools": [{"name": name, "state": "absent"} for name in ("fs-meta", "fs-data", "fs-more")],
    }
    with pytest.raises(Failed, match="filesystem/home"):
        run("ceph_cluster", **gone)
    run("ceph_cluster", **gone, allow_loss=["filesystem/home", "pool/fs-meta", "pool/fs-data", "pool/fs-more"])
    assert not run("ceph_cluster", **gone)["changed"]


def test_modules_of_the_managers(cluster, run):
    made(run, mgr_modules={"stats": True, "balancer": True})
    assert "stats" in cluster.command("mgr module ls")["enabled_modules"]
    made(run, mgr_modules={"stats": False})
    with pytest.raises(Failed, match="always on") as wrong:
        run("ceph_cluster", mgr_modules={"balancer": False, "no-such-thing": True})
    assert "no such module" in str(wrong.value)
    cluster.wait(lambda: cluster.command("mgr stat").get("available"), 30, "the manager to be back")


def test_the_oldest_client(cluster, run):
    made(run, require_min_compat_client="mimic")
    with pytest.raises(Failed, match="no release of Ceph"):
        run("ceph_cluster", require_min_compat_client="mimik")
    if cluster.release < 20:
        with pytest.raises(Failed, match="newer than this Ceph"):
            run("ceph_cluster", require_min_compat_client="tentacle")


# -- prune


def test_prune_takes_what_is_not_declared_and_nothing_of_ceph_s_own(make_cluster, run):
    cluster = make_cluster(mgr=False)
    connection = cluster.connection
    cluster.command("osd pool create", pool=".mgr" if cluster.release > 16 else "device_health_metrics", pg_num=1, yes_i_really_mean_it=True)
    start = {
        "pools": [{"name": "kept", "pg_num": 1}, {"name": "stray", "pg_num": 1}],
        "clients": [{"name": "client.kept", "caps": {"mon": "allow r"}}, {"name": "client.stray", "caps": {"mon": "allow r"}}],
        "options": {"global": {"osd_max_backfills": 3, "osd_recovery_max_active": 3}, "client.rgw.x": {"rgw_thread_pool_size": 64}},
        "crush": {"rules": [{"name": "stray-rule", "failure_domain": "osd"}]},
        "erasure_profiles": [{"name": "stray-profile", "k": 2, "m": 1}],
    }
    run("ceph_cluster", connection=connection, **start)
    rest = {"pools": start["pools"][:1], "clients": start["clients"][:1], "options": {"global": {"osd_max_backfills": 3}}}
    assert not run("ceph_cluster", connection=connection, **rest)["changed"]  # not declared: left alone
    rest["prune"] = ["pools", "clients", "options", "rules", "erasure_profiles", "filesystems"]
    expected = ["client/client.stray", "crush_rule/stray-rule", "erasure_profile/stray-profile", "option/global/osd_recovery_max_active", "pool/stray"]
    with pytest.raises(Failed) as refused:
        run("ceph_cluster", connection=connection, **rest)
    assert ids(refused.value.result) == expected
    result = run("ceph_cluster", connection=connection, **rest, allow_loss=expected)
    assert ids(result) == expected
    assert not run("ceph_cluster", connection=connection, **rest)["changed"]


# -- bad input


def test_everything_wrong_is_said_at_once_and_nothing_is_touched(cluster, run):
    before = cluster.command("osd dump")["epoch"], cluster.command("auth ls"), cluster.command("config dump")
    with pytest.raises(Failed) as wrong:
        run(
            "ceph_cluster",
            prefix="ceph_cluster_",
            pools=[
                {"name": "fine"},
                {"name": "twice"},
                {"name": "twice"},
                {"name": "small", "size": 2, "min_size": 3},
                {"name": "unit", "quota_bytes": "4X"},
            ],
            clients=[{"name": "vm", "caps": {"mon": "allow r"}}, {"name": "client.b", "caps": {"mon": "permit r"}}],
            flags={"nouot": True},
            options={"osds": {"osd_memory_target": "4G"}},
        )
    text = "\n".join(wrong.value.result["problems"])
    for part in (
        "ceph_cluster_pools: twice is declared twice",
        "ceph_cluster_pools[3] (small): min_size 3 is greater than size 2",
        "ceph_cluster_pools[4] (unit): quota_bytes: '4X' is not a size",
        "ceph_cluster_clients[0] (vm): the name of a client begins with 'client.': write client.vm",
        "ceph_cluster_clients[1] (client.b): caps.mon: 'permit r' is no cap",
        "ceph_cluster_flags: 'nouot' is no flag",
        "ceph_cluster_options: 'osds' is no section",
    ):
        assert part in text
    with pytest.raises(Failed) as existing:
        run(
            "ceph_cluster",
            pools=[{"name": "large", "size": 4}, {"name": "ruled", "rule": "nobody"}],
            clients=[{"name": "client.c", "caps": {"osd": "allow rw pool=nowhere"}}],
            options={
                "osd": {"osd_memory_target": "4X", "no_such_option": 1},
                "mon": {"mon_max_pg_per_osd": "many", "fsid": "x"},
                "global": {"osd_pool_default_pg_autoscale_mode": "maybe"},
            },
        )
    text = "\n".join(existing.value.result["problems"])
    for part in (
        "pools[0] (large): size 4 needs 4 of host",
        "rule nobody is neither",
        "the pool nowhere, which is neither there nor declared",
        "options.osd.osd_memory_target: '4X' is not a size",
        "no_such_option: Ceph",
        "'many' is not a whole number",
        "options.mon.fsid: it cannot stand in the configuration database",
        "'maybe' is not one of off, warn, on",
    ):
        assert part in text
    assert (cluster.command("osd dump")["epoch"], cluster.command("auth ls"), cluster.command("config dump")) == before


def test_another_cluster_is_refused(cluster, run):
    other = "11111111-2222-3333-4444-555555555555"
    with pytest.raises(Failed, match=f"{other}, and the cluster that answers is {cluster.fsid}"):
        run("ceph_cluster", fsid=other, flags={"noout": True})


def test_unknown_suboption(run):
    with pytest.raises(Failed, match=r"Unsupported parameters.*sise"):
        run("ceph_cluster", pools=[{"name": "typo", "sise": 3}])


def test_a_feature_of_a_later_release(cluster, run):
    if cluster.release >= 20:
        pytest.skip("this release has it all")
    with pytest.raises(Failed, match=r"needs Ceph 20\.2\.4, and this is"):
        run("ceph_cluster", clients=[{"name": "client.new", "caps": {"mon": "allow r"}, "key_type": "aes256k"}])
    with pytest.raises(Failed, match=r"other ciphers than aes need Ceph 20\.2\.4"):
        run("ceph_cluster", cephx={"allowed": ["aes256k"]})
    assert not run("ceph_cluster", cephx={"allowed": ["aes"]})["changed"]


def test_before_there_is_a_cluster(run):
    nowhere = {"conf": "/nonexistent/ceph.conf"}
    declared = {
        "pools": [{"name": "images", "size": 3, "rule": "by-rack"}],
        "crush": {"rules": [{"name": "by-rack", "failure_domain": "rack"}]},
        "consumers": [{"name": "kvm", "kind": "kvm", "pools": [{"name": "images"}]}],
        "options": {"osd": {"osd_memory_target": "4G"}},
        "mgr_modules": {"prometheus": True},
        "flags": {"noout": False},
    }
    planned = run("ceph_cluster", check=True, connection=nowhere, **declared)
    assert ids(planned) == ["client/client.kvm", "crush_rule/by-rack", "mgr_module/prometheus", "option/osd/osd_memory_target", "pool/images"]
    with pytest.raises(Failed, match=r"no Ceph configuration at /nonexistent/ceph\.conf"):
        run("ceph_cluster", connection=nowhere, **declared)
    assert run("ceph_info", check=True, connection=nowhere)["fsid"] is None
    assert run("ceph_keys_info", check=True, connection=nowhere, entities=["client.a"])["cephx_keys"] == {"client.a": None}


# -- the information modules


def test_info_and_keys(cluster, run):
    info = run("ceph_info", wait_for={"mgr": True, "osds_up": 3, "timeout": 30})
    assert info["fsid"] == cluster.fsid
    assert info["mon_host"] == cluster.mon_host
    assert info["osds"] == {"total": 3, "up": 3, "in": 3}
    assert info["version"].startswith(f"{cluster.release}.")
    with pytest.raises(Failed, match="3 of 9 OSDs are up"):
        run("ceph_info", wait_for={"osds_up": 9, "timeout": 1})
    run("ceph_cluster", clients=[{"name": "client.known", "caps": {"mon": "allow r"}}])
    found = run("ceph_keys_info", entities=["client.known"])
    assert found["cephx_keys"] == {"client.known": client(cluster, "client.known")["key"]}
    assert found["caps"] == {"client.known": {"mon": "allow r"}}
    with pytest.raises(Failed, match=r"has no client\.nobody"):
        run("ceph_keys_info", entities=["client.admin", "client.nobody"])


# -- key types (Ceph 20.2.4)


def test_an_old_client_is_let_in_only_when_asked_for(make_cluster, run):
    cluster = make_cluster(osds=0, mgr=False)
    if "auth_allowed_ciphers" not in cluster.command("mon dump"):
        pytest.skip("this release has one type of keys")
    connection = cluster.connection
    declared = {
        "pools": [{"name": "vms", "pg_num": 1}],
        "consumers": [{"name": "cloud", "kind": "kvm", "oldest_client": "18.2.7", "pools": [{"name": "vms"}]}],
        "clients": [{"name": "client.new", "caps": {"mon": "allow r"}}],
    }
    with pytest.raises(Failed, match=r"key_type aes, and the cluster allows aes256k: name aes in cephx\.allowed"):
        run("ceph_cluster", connection=connection, **declared)
    declared["cephx"] = {"allowed": ["aes", "aes256k"]}
    result = run("ceph_cluster", connection=connection, **declared)
    assert "CVE-2025-30156" in str(result["warnings"])
    assert run("ceph_cluster", connection=connection, **declared)["changes"] == []
    assert len(client(cluster, "client.cloud")["key"]) == 40
    assert len(client(cluster, "client.new")["key"]) == 60
    # the last old client is gone
    declared["consumers"][0]["oldest_client"] = "20.2.4"
    result = run("ceph_cluster", connection=connection, **declared)
    assert risks(result) == {"client/client.cloud": "restart"}
    assert len(client(cluster, "client.cloud")["key"]) == 60
    declared["cephx"] = {"allowed": ["aes256k"]}
    with pytest.raises(Failed, match="are locked out"):
        run("ceph_cluster", connection=connection, **declared)
    run("ceph_cluster", connection=connection, **declared, allow_loss=["cephx/allowed"])
    assert run("ceph_cluster", connection=connection, **declared)["changes"] == []
