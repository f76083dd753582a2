# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for a cluster, from what is declared and what is: no Ceph needed."""

from __future__ import annotations

import base64
import struct
import threading
import time
import uuid

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, cluster, crush_map, info, options, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Gates
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, options_of
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import mon_host
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk, Secret
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, twice
from ansible_collections.cephstack.cloud.tests.unit.declaring import filled

FSID = "a1518dee-9fad-4e9e-bd6d-34d8dac7efd1"


def declare(**said):
    return filled(cluster.OPTIONS, said)


def crush_dump(hosts=3, osds=1, classes=("hdd",), rules=()):
    """A map of so many hosts with so many OSDs each, in racks of their own below default."""
    devices, buckets, top = [], [], []
    number = 0
    for host in range(hosts):
        items = []
        for _osd in range(osds):
            devices.append({"id": number, "name": f"osd.{number}", "class": classes[number % len(classes)]})
            items.append({"id": number, "weight": 100, "pos": 0})
            number += 1
        buckets.append({"id": -10 - host, "name": f"host{host}", "type_name": "host", "items": items})
        buckets.append({"id": -100 - host, "name": f"host{host}~hdd", "type_name": "host", "items": items})
        top.append({"id": -10 - host, "weight": 100, "pos": host})
    buckets.append({"id": -1, "name": "default", "type_name": "root", "items": top})
    replicated = {"rule_id": 0, "rule_name": "replicated_rule", "type": 1, "steps": steps("default", "host")}
    return {"devices": devices, "buckets": buckets, "rules": [replicated, *rules]}


def steps(take, kind):
    return [{"op": "take", "item": -1, "item_name": take}, {"op": "chooseleaf_firstn", "num": 0, "type": kind}, {"op": "emit"}]


def raw_pool(number, name, **more):
    pool = {"pool": number, "pool_name": name, "type": 1, "size": 3, "min_size": 2, "crush_rule": 0, "pg_num": 32, "pg_num_target": 32}
    pool.update(flags_names="hashpspool", pg_autoscale_mode="on", quota_max_bytes=0, quota_max_objects=0, options={}, application_metadata={})
    return {**pool, **more}


def maps(pools=(), release=(18, 2, 7), mons=3, profiles=None, **more):
    return Maps(
        fsid=FSID,
        release=release,
        osd={"pools": list(pools), "flags": "sortbitwise", "require_min_compat_client": "luminous", "erasure_code_profiles": profiles or {}},
        crush=more.pop("crush", crush_dump()),
        mon=more.pop("mon", {"mons": [{"name": str(number)} for number in range(mons)]}),
        **more,
    )


def plan(observed, **said):
    return cluster.ClusterProvider(declare(**said), {}).plan(observed)


def problems(observed, **said):
    with pytest.raises(Invalid) as wrong:
        plan(observed, **said)
    return wrong.value.problems


# -- values


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4 << 30), ("4GiB", 4 << 30), ("4g", 4 << 30), ("512K", 512 << 10), (1024, 1024), ("0", 0), ("1.5T", 3 << 39)]
)
def test_sizes(text, size):
    assert values.size(text) == size


@pytest.mark.parametrize("text", ["4X", "", "G", "-1", -1, True, "4 gigs"])
def test_no_sizes(text):
    with pytest.raises(ValueError, match="is not a size"):
        values.size(text)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), (90, 90), ("5m", 300), ("1h30m", 5400), ("2 days", 172800), ("1w", 604800), ("1mo", 2592000)])
def test_durations(text, seconds):
    assert values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5x", "minutes", "-5", f"{10**40}.5"])
def test_no_durations(text):
    with pytest.raises(ValueError, match="duration"):
        values.duration(text)


def test_booleans_counts_numbers_versions():
    assert [values.boolean(word) for word in (True, "Yes", "on", "1", "true")] == [True] * 5
    assert [values.boolean(word) for word in (False, "no", "OFF", 0, "false")] == [False] * 5
    with pytest.raises(ValueError, match="neither true nor false"):
        values.boolean("maybe")
    assert (values.count("2K"), values.count(7), values.count(True)) == (2000, 7, 1)
    with pytest.raises(ValueError, match="whole number"):
        values.count("1.5")
    assert values.number("0.5") == 0.5
    with pytest.raises(ValueError, match="not a number"):
        values.number("half")
    assert values.version("ceph version 18.2.7 (6b0e) reef (stable)") == (18, 2, 7)
    with pytest.raises(ValueError, match="names no version"):
        values.version("reef")
    assert twice(["a", "b", "a", "a"]) == ["a"]


# -- caps and keys


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("allow r", " allow  r "),
        ("allow rw pool=a, allow r", "allow r,allow wr pool a"),
        ("profile rbd pool=a", 'allow profile rbd pool="a"'),
        ("profile rbd pool=a namespace=n", "profile rbd namespace=n pool=a"),
        ("allow rw; allow r pool=b", "allow r pool = b, allow rw"),
        ('allow command "osd blocklist", allow r', "allow r, allow command 'osd blocklist'"),
        ("allow *", "allow all"),
        ("allow r, allow r", "allow r"),
        ("allow rw tag cephfs data=home", "allow rw tag cephfs data = home"),
        ("allow rwx pool=a object_prefix p", "allow rwx pool=a object_prefix=p"),
    ],
)
def test_caps_that_mean_the_same(left, right):
    assert clients.normalise(left) == clients.normalise(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("allow r", "allow rw"),
        ("profile rbd pool=a", "profile rbd pool=b"),
        ("profile rbd", "profile rbd-read-only"),
        ("allow r", "allow r, allow r pool=b"),
        ('allow command "a b"', 'allow command "b a"'),
        ("allow *", "allow rwx"),
        ("allow rw pool=a namespace=n", "allow rw pool=a"),
    ],
)
def test_caps_that_mean_another_thing(left, right):
    assert clients.normalise(left) != clients.normalise(right)


def test_caps_of_all_services():
    assert clients.same_caps({"mon": "allow r", "mds": ""}, {"mon": "allow r"})
    assert not clients.same_caps({"mon": "allow r", "mgr": "allow r"}, {"mon": "allow r"})
    assert clients.pools_in({"osd": "profile rbd pool=a, allow r pool b", "mgr": "profile rbd pool=c"}) == ["b", "a", "c"]


@pytest.mark.parametrize(("kind", "letters"), [("aes", 40), ("aes256k", 60)])
def test_a_new_key_says_its_type_and_moment(kind, letters):
    key = clients.new_key(kind)
    assert len(key) == letters
    assert clients.key_parts(key)[0] == kind
    assert clients.key_parts(key)[1] > clients.moment("2020-01-01")
    assert clients.new_key(kind) != key


def test_a_key_that_is_none():
    for text in ("", "hello", "AQAA", base64.b64encode(b"x" * 28).decode()):
        with pytest.raises(ValueError, match="not a cephx key"):
            clients.key_parts(text)


def test_moments():
    assert clients.moment("1970-01-02") == 86400
    assert clients.moment("1970-01-01T01:00:00+01:00") == 0
    assert clients.moment("1970-01-01T00:00:01Z") == 1
    with pytest.raises(ValueError, match="not a moment"):
        clients.moment("yesterday")


# -- options


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("size", "4G", "4294967296"), ("bool", "1", "true"), ("bool", False, "no"), ("int", "007", "7"), ("uint", 5, "5"), ("float", "0.50", 0.5),
        ("secs", "5m", "300"), ("millisecs", "100", 100), ("str", " a ", "a"), ("uuid", FSID.upper(), FSID), ("str", True, "true"),
    ],
)  # fmt: skip
def test_options_are_compared_by_their_type(kind, left, right):
    about = {"type": kind}
    assert options.normalise("x", left, about) == options.normalise("x", right, about)


def test_options_with_a_meaning_of_their_own():
    assert options.normalise("rbd_default_features", "layering,exclusive-lock", {"type": "str"}) == 5
    assert options.normalise("debug_osd", "5", {"type": "str"}) == "5/5"
    with pytest.raises(ValueError, match="no image feature"):
        options.normalise("rbd_default_features", "layring", {"type": "str"})


AUTOSCALE = {"type": "str", "enum_values": ["off", "warn", "on"]}
TENANTS = {"type": "str", "enum_values": ["false", "true", "swift", "s3", "both", "0", "1", "none"]}


@pytest.mark.parametrize(
    ("name", "value", "about", "sent"),
    [
        # YAML reads on, off, yes and no as truth values, and Ceph has words
        ("osd_pool_default_pg_autoscale_mode", True, AUTOSCALE, "on"),
        ("osd_pool_default_pg_autoscale_mode", False, AUTOSCALE, "off"),
        ("osd_pool_default_pg_autoscale_mode", "True", AUTOSCALE, "on"),  # what a template makes of it
        ("osd_pool_default_pg_autoscale_mode", "ON", AUTOSCALE, "on"),
        ("rgw_keystone_implicit_tenants", True, TENANTS, "true"),
        ("rgw_keystone_implicit_tenants", False, TENANTS, "false"),
        ("x", True, {"type": "str", "enum_values": ["yes", "no"]}, "yes"),
        ("mon_cluster_log_to_syslog", False, {"type": "str", "enum_values": []}, "false"),
        ("osd_scrub_during_recovery", "yes", {"type": "bool"}, "true"),
        ("osd_op_queue", "WPQ", {"type": "str", "enum_values": ["wpq", "mclock_scheduler"]}, "wpq"),
        # a number that YAML keeps as one with a point
        ("osd_max_backfills", 3.0, {"type": "uint"}, "3"),
        ("osd_memory_target", 4294967296.0, {"type": "size"}, "4294967296"),
    ],
)
def test_words_that_yaml_makes_something_else_of(name, value, about, sent):
    assert options.check(name, value, about) == ""
    (change,) = plan(maps(help={name: about}), options={"global": {name: value}}).changes
    assert change.after == {"value": sent}
    assert not plan(maps(help={name: about}, options={("global", name): sent}), options={"global": {name: value}})


def test_truth_values_where_ceph_has_other_words():
    assert "'true' is not one of" in options.check("x", True, {"type": "str", "enum_values": ["none", "force"]})
    assert "quotes" in options.check("x", True, {"type": "str", "enum_values": ["none", "force"]})
    assert "not a number" in options.check("x", float("nan"), {"type": "float"})
    assert "whole number of bytes" in options.check("x", 4.5, {"type": "size"})


def test_a_profile_in_yaml_s_words():
    said = {"jerasure-per-chunk-alignment": False, "w": 8, "directory": None, "layers": [["DDc", ""]]}
    (change,) = plan(maps(), erasure_profiles=[{"name": "p", "k": 2, "m": 1, "extra": said}]).changes
    assert change.after == {"k": "2", "m": "1", "jerasure-per-chunk-alignment": "false", "w": "8", "layers": '[["DDc", ""]]'}
    # 'False' was written by an older release of this collection; to Ceph all but yes and true are no
    for has in ("false", "no", "False"):
        existing = {"k": "2", "m": "1", "jerasure-per-chunk-alignment": has, "w": "8", "layers": '[ [ "DDc", "" ] ]'}
        assert not plan(maps(profiles={"p": existing}), erasure_profiles=[{"name": "p", "k": 2, "m": 1, "extra": said}])
    existing = {"k": "2", "m": "1", "jerasure-per-chunk-alignment": "yes"}
    (change,) = plan(maps(profiles={"p": existing}), erasure_profiles=[{"name": "p", "extra": {"jerasure-per-chunk-alignment": False}, "k": 2, "m": 1}]).changes
    assert change.after == {"jerasure-per-chunk-alignment": "false"}


def test_modules_take_yaml_s_words_too():
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    found = ArgumentSpecValidator(arguments(cluster.OPTIONS)).validate({"pools": [{"name": "a", "autoscale_mode": True, "bulk": "on"}]})
    assert found.error_messages == []
    (pool,) = found.validated_parameters["pools"]
    assert (pool["autoscale_mode"], pool["bulk"]) == ("on", True)
    assert cluster.declared_problems({"pools": [{"name": "a", "autoscale_mode": True}]}) == []


def test_words_without_quotes_are_told_of():
    found = cluster.declared_problems(
        {
            "pools": [{"name": "a", "rule": False, "compression": {"mode": True}}],
            "clients": [{"name": "client.a", "caps": {"mon": True}}],
        }
    )
    assert found == [
        "ceph_cluster_pools[0] (a).rule: YAML reads this word as false, and a text is wanted: put it in quotes",
        "ceph_cluster_pools[0] (a).compression.mode: YAML reads this word as true, which is none of none, passive, aggressive, force: put it in quotes",
        "ceph_cluster_clients[0] (client.a).caps.mon: YAML reads this word as true, and a text is wanted: put it in quotes",
    ]


@pytest.mark.parametrize(
    ("name", "kind", "declared", "kept"),
    [
        # what `config dump` of 20.2.4 says after `config set` of the declared value
        ("osd_scrub_sleep", "float", "0.12345678", "0.123457"),
        ("osd_scrub_sleep", "float", ".5", "0.500000"),
        ("public_addr", "addr", "10.0.0.1", "v2:10.0.0.1:0/0"),
        ("public_addr", "addr", "fd00::0:1", "v2:[fd00::1]:0/0"),
        ("public_addr", "addr", "[FD00::1]:0", "v2:[fd00::1]:0/0"),
        ("public_addrv", "addrvec", "v2:10.0.0.1:3300", "v2:10.0.0.1:3300/0"),
        ("public_addrv", "addrvec", "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]", "[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]"),
        ("debug_osd", "str", "05/5", "5/5"),
        ("debug_osd", "str", "05", "5/5"),
        ("rbd_default_features", "str", "deep-flatten, layering", "33"),
        ("mgr/balancer/sleep_interval", "secs", "1m", "60"),
        ("mgr/prometheus/server_port", "int", "09284", "9284"),
        ("client_mount_timeout", "secs", "5m", "300"),
        ("ms_shutdown_timeout", "millisecs", "2K", "2000"),
    ],
)
def test_what_the_monitors_keep_of_an_option_is_no_difference(name, kind, declared, kept):
    observed = maps(help={name: {"type": kind}}, options={("global", name): kept})
    assert not plan(observed, options={"global": {name: declared}})


def test_options_that_differ_behind_a_like_spelling():
    for kind, declared, kept in (("addr", "10.0.0.1", "v1:10.0.0.1:0/0"), ("addr", "10.0.0.1:1", "v2:10.0.0.1:0/0"), ("float", "0.5", "0.500001")):
        assert plan(maps(help={"x": {"type": kind}}, options={("global", "x"): kept}), options={"global": {"x": declared}})
    assert "'10.0.0.1x' is no address" in options.check("x", "10.0.0.1x", {"type": "addr"})
    assert "Ceph keeps six decimals" in options.check("x", 1e-7, {"type": "float"})


def test_what_is_sent_of_an_option():
    assert options.written("rbd_default_features", "layering+deep-flatten", {"type": "str"}) == "33"  # 20.2.4 refuses the plus sign
    assert options.written("ms_shutdown_timeout", "2K", {"type": "millisecs"}) == "2000"
    assert options.written("osd_memory_target", "4.5G", {"type": "size"}) == "4831838208"


def test_an_option_of_a_module_while_no_manager_tells_its_type():
    for declared, kept in ((True, "true"), (3, "3.000000"), ("upmap", "upmap")):
        assert not plan(maps(options={("mgr", "mgr/x/y"): kept}, help={}), options={"mgr": {"mgr/x/y": declared}})
    assert plan(maps(options={("mgr", "mgr/x/y"): "none"}, help={}), options={"mgr": {"mgr/x/y": "upmap"}})


def test_an_option_in_two_spellings_is_declared_twice():
    found = cluster.declared_problems({"options": {"global": {"debug osd": 1, "debug_osd": 2}, "osd.3": {"x": 1}, "osd.03": {"x": 2}}})
    assert found == [
        "ceph_cluster_options: debug_osd is declared twice in global: keep one of them",
        "ceph_cluster_options: x is declared twice, in osd.3 and in osd.03, which are the same: keep one of them",
    ]
    # a daemon is never named osd.03: the option would reach nobody
    (change,) = plan(maps(help={"x": {"type": "int"}}), options={"osd.03": {"x": 1}}).changes
    assert change.id == "option/osd.3/x"


def test_sections():
    assert options.split_section("osd/host:a/class:ssd") == ("osd", "class:ssd/host:a")
    assert options.split_section("client.rgw.a") == ("client.rgw.a", "")
    for text in ("osds", "osd/ssd", "osd/class:", ""):
        with pytest.raises(ValueError, match=r"is no (section|mask)"):
            options.split_section(text)
    dump = [{"section": "osd", "mask": "host:a/class:ssd", "name": "x", "value": 1}]
    assert options_of(dump) == {("osd/class:ssd/host:a", "x"): "1"}


def test_what_is_wrong_with_a_value():
    assert "one of on, off" in options.check("x", "maybe", {"type": "str", "enum_values": ["on", "off"]})
    assert "less than its least value, 10" in options.check("x", 5, {"type": "uint", "min": 10, "max": ""})
    assert "more than its greatest value, 23" in options.check("x", 24, {"type": "int", "min": 0, "max": 23})
    assert "4X" in options.check("x", "4X", {"type": "size"})
    assert "less than 0" in options.check("x", -1, {"type": "uint"})
    assert options.check("x", "5m", {"type": "secs", "min": "1", "max": ""}) == ""


def test_options_are_planned():
    about = {"osd_memory_target": {"type": "size", "can_update_at_runtime": True}, "osd_op_queue": {"type": "str", "can_update_at_runtime": False}}
    has = {("osd/host:a", "osd_memory_target"): "4294967296", ("global", "osd_op_queue"): "wpq"}
    observed = maps(help=about, options=has)
    planned = plan(observed, options={"osd/host:a": {"osd_memory_target": "4G"}, "global": {"osd_op_queue": "mclock_scheduler"}})
    assert [(change.id, change.risk) for change in planned.changes] == [("option/global/osd_op_queue", Risk.RESTART)]
    assert [change.action for change in plan(observed, options={"global": {"osd_op_queue": None}}).changes] == ["delete"]
    assert "knows no such option" in problems(observed, options={"global": {"osd_memory_taget": 1}})[0]
    secret = plan(maps(help={"mgr/x/password": {"type": "str"}}), options={"mgr": {"mgr/x/password": "hunter2"}})
    assert "hunter2" not in str(secret.diff())


def test_prune_of_options_passes_over_what_daemons_set():
    has = {
        ("global", "osd_max_backfills"): "3",
        ("osd.0", "osd_mclock_max_capacity_iops_ssd"): "1",
        ("client.rgw.a", "rgw_x"): "1",
        ("osd", "osd_memory_target"): "1",
    }
    planned = plan(maps(options=has), prune=["options"])
    assert [(change.id, change.risk) for change in planned.changes] == [("option/global/osd_max_backfills", Risk.LOSS)]


# -- crush


def test_where_copies_fit():
    tree = crush_map.Tree(crush_dump(hosts=4, osds=2, classes=("hdd", "ssd")))
    assert len(tree.osds("default")) == 8
    assert len(tree.osds("default", "ssd")) == 4
    assert tree.domains("default", "host") == ["host0", "host1", "host2", "host3"]
    assert len(tree.domains("default", "osd", "hdd")) == 4
    assert tree.domains("default", "rack") == []


def test_rules_of_the_usual_shape_and_others():
    usual = crush_map.rule_of({"rule_name": "a", "type": 1, "steps": steps("default~ssd", "rack")})
    assert (usual.root, usual.device_class, usual.failure_domain, usual.steps) == ("default", "ssd", "rack", ())
    two = [
        {"op": "take", "item": -1, "item_name": "default"},
        {"op": "choose_firstn", "num": 2, "type": "rack"},
        {"op": "chooseleaf_firstn", "num": 2, "type": "host"},
    ]
    other = crush_map.rule_of({"rule_name": "b", "type": 1, "steps": [*two, {"op": "emit"}]})
    assert other.steps
    assert other.capacity(crush_map.Tree(crush_dump())) is None


def test_racks_are_built_before_hosts_move_into_them():
    said = {
        "buckets": [{"name": "r1", "type": "rack", "parent": "hall"}, {"name": "hall", "type": "room", "parent": "default"}],
        "locations": [{"name": "host0", "parent": "r1"}],
        "rules": [{"name": "by-rack", "failure_domain": "rack"}],
    }
    planned = plan(maps([raw_pool(1, "a")]), crush=said)
    assert [[change.id for change in stage] for stage in planned.stages()] == [
        ["crush_bucket/hall"],
        ["crush_bucket/r1"],
        ["crush_rule/by-rack", "crush_location/host0"],
    ]
    assert next(change for change in planned.changes if change.kind == "crush_location").risk is Risk.MOVEMENT


def test_an_osd_that_is_named_twice_for_one_class_is_one_change():
    said = {"device_classes": [{"name": "ssd", "osds": ["osd.0", "0"]}, {"name": "ssd", "osds": ["osd.0"]}]}
    assert [change.id for change in plan(maps([]), crush=said).changes] == ["device_class/osd.0"]


def test_what_is_wrong_with_a_crush_map():
    said = {
        "buckets": [{"name": "host0", "type": "rack"}, {"name": "x", "type": "rack", "parent": "nowhere"}, {"name": "host2", "state": "absent"}],
        "locations": [{"name": "host9", "parent": "default"}, {"name": "host1", "parent": "nowhere"}],
        "rules": [
            {"name": "r", "root": "nowhere"},
            {"name": "replicated_rule", "type": "erasure", "erasure_profile": "p"},
            {"name": "e", "type": "erasure", "erasure_profile": "q"},
        ],
        "device_classes": [{"name": "ssd", "osds": ["osd.99"]}],
    }
    text = "\n".join(problems(maps(profiles={"p": {}}), crush=said))
    for part in (
        "erasure_profile q is neither",
        "cannot make a rack of it",
        "parent nowhere",
        "host9 is not in",
        "root nowhere",
        "rule for replicated pools",
        "osd.99 is not in",
        "stand in it",
    ):
        assert part in text


# -- pools


def test_a_pool_that_is_as_declared_costs_nothing():
    said = {"name": "a", "size": 3, "min_size": 2, "pg_num": 64, "quota_bytes": "0", "bulk": False, "compression": {"mode": "none"}, "target_size_ratio": 0}
    assert not plan(maps([raw_pool(1, "a", options={"compression_mode": "none"})]), pools=[said])
    # pg_num is the autoscaler's


def test_ratios_that_the_monitors_tell_with_six_decimals():
    options = {"target_size_ratio": 0.123457, "compression_required_ratio": 0.333333}
    said = {"name": "a", "target_size_ratio": 0.12345678, "compression": {"required_ratio": 1 / 3}}
    assert not plan(maps([raw_pool(1, "a", options=options)]), pools=[said])
    assert plan(maps([raw_pool(1, "a", options=options)]), pools=[{**said, "target_size_ratio": 0.1235}])


def test_a_profile_in_the_monitors_words():
    # as 16.2 keeps it, which writes down less than 20.2
    existing = {"k": "2", "m": "1", "plugin": "jerasure", "technique": "reed_sol_van", "stripe_unit": "8192", "w": "8"}
    said = {"name": "p", "k": 2, "m": 1, "failure_domain": "host", "root": "default", "device_class": "", "extra": {"stripe_unit": "8K", "w": "08"}}
    raw = raw_pool(1, "a", type=3, size=3, erasure_code_profile="p")
    assert not plan(maps([raw], profiles={"p": existing}), erasure_profiles=[said])
    assert "stripe_unit 8192 -> 4K" in problems(maps([raw], profiles={"p": existing}), erasure_profiles=[{**said, "extra": {"stripe_unit": "4K"}}])[0]


def test_risks_of_pools():
    observed = maps([raw_pool(1, "a", pg_autoscale_mode="off")], df={"pools": [{"name": "a", "stats": {"bytes_used": 300}}]})
    for said, risk, moved in (
        ({"size": 2}, Risk.MOVEMENT, None), ({"pg_num": 64}, Risk.MOVEMENT, 300), ({"min_size": 1}, Risk.NONE, None), ({"quota_objects": 5}, Risk.NONE, None),
    ):  # fmt: skip
        (change,) = plan(observed, pools=[{"name": "a", **said}]).changes
        assert (change.risk, change.moved_bytes) == (risk, moved)
    (single,) = plan(observed, pools=[{"name": "a", "size": 1}]).changes
    assert single.risk is Risk.LOSS
    (gone,) = plan(observed, pools=[{"name": "a", "state": "absent"}]).changes
    assert gone.risk is Risk.LOSS
    assert "300 bytes" in gone.reason


def test_pools_that_cannot_be():
    observed = maps([raw_pool(1, "old"), raw_pool(2, "ec", type=3, erasure_code_profile="p")], profiles={"p": {"k": "2", "m": "1"}})
    said = [
        {"name": "large", "size": 4},
        {"name": "old", "type": "erasure", "erasure_profile": "p"},
        {"name": "ec", "type": "erasure", "erasure_profile": "q"},
        {"name": "ruled", "rule": "nobody"},
        {"name": "old2", "type": "erasure", "erasure_profile": "nobody"},
        {"name": "min", "min_size": 4},
    ]
    text = "\n".join(problems(observed, pools=said, erasure_profiles=[{"name": "q", "k": 2, "m": 1}, {"name": "wide", "k": 3, "m": 1}]))
    for part in (
        "size 4 needs 4 of host with OSDs below default (rule replicated_rule), and there are 3",
        "cannot make it erasure",
        "its erasure_profile is p",
        "rule nobody",
        "erasure_profile nobody",
        "min_size 4 is greater than size 3",
        "k+m is 4, and there are 3 of host",
    ):
        assert part in text


def test_a_domain_that_is_declared_counts():
    racks = [{"name": f"r{number}", "type": "rack", "parent": "default"} for number in range(3)]
    moves = [{"name": f"host{number}", "parent": f"r{number}"} for number in range(3)]
    said = {"buckets": racks, "locations": moves, "rules": [{"name": "by-rack", "failure_domain": "rack"}]}
    assert plan(maps(), crush=said, pools=[{"name": "a", "size": 3, "rule": "by-rack"}])
    said["locations"] = moves[:2]
    assert "needs 3 of rack" in problems(maps(), crush=said, pools=[{"name": "a", "size": 3, "rule": "by-rack"}])[0]


def test_placement_groups_are_counted_before_the_monitors_do():
    # 3 OSDs, 250 each: 32 x 3 are there; 128 x 3 fit once, not twice
    observed = maps([raw_pool(1, "a")])
    fits = {"name": "b", "pg_num": 128, "autoscale_mode": "off"}
    assert plan(observed, pools=[fits])
    found = problems(observed, pools=[fits, {"name": "c", "pg_num": 128}])
    assert len(found) == 1
    assert "pools[1] (c): pg_num 128 with size 3 would bring 3 OSDs to 288 PG replicas each, and mon_max_pg_per_osd is 250" in found[0]
    about = {"mon_max_pg_per_osd": {"type": "uint", "default": 250}}
    raised = maps([raw_pool(1, "a")], help=about)
    assert plan(raised, pools=[fits, {"name": "c", "pg_num": 128}], options={"global": {"mon_max_pg_per_osd": 300}})


def test_consumers_mark_their_pools():
    use = [{"name": "kvm", "kind": "kvm", "pools": [{"name": "a"}]}]
    observed = maps([raw_pool(1, "a", application_metadata={"rbd": {}})])
    assert [change.id for change in plan(observed, consumers=use, pools=[{"name": "a"}]).changes] == ["client/client.kvm"]
    (change,) = (change for change in plan(maps([raw_pool(1, "a")]), consumers=use, pools=[{"name": "a"}]).changes if change.kind == "pool")
    assert change.after == {"applications": ["rbd"]}


def test_a_pool_of_a_filesystem_stays():
    fs = {"filesystems": [{"mdsmap": {"fs_name": "home", "metadata_pool": 1, "data_pools": [2], "max_mds": 1}}]}
    observed = maps([raw_pool(1, "m", application_metadata={"cephfs": {}}), raw_pool(2, "d")], fs=fs)
    assert "filesystem home uses it" in problems(observed, pools=[{"name": "d", "state": "absent"}])[0]
    assert not plan(observed, pools=[{"name": "m", "applications": []}])
    assert not plan(observed, prune=["pools"])
    both = plan(observed, pools=[{"name": "d", "state": "absent"}], filesystems=[{"name": "home", "state": "absent"}])
    assert [[change.id for change in stage] for stage in both.stages()] == [["filesystem/home"], ["pool/d"]]


# -- erasure coding on few hosts: several chunks in each failure domain

MSR_EXTRA = {"crush-osds-per-failure-domain": 2, "crush-num-failure-domains": 3}
MSR_PROFILE = {"name": "ec42", "k": 4, "m": 2, "extra": MSR_EXTRA}
# What a monitor of 20.2.4 keeps of it, and makes of it
MSR_EXISTING = {
    "k": "4", "m": "2", "plugin": "isa", "technique": "reed_sol_van", "crush-device-class": "", "crush-failure-domain": "host",
    "crush-num-failure-domains": "3", "crush-osds-per-failure-domain": "2", "crush-root": "default",
}  # fmt: skip


def msr_rule(name="ec42", number=7, domains=3, osds=2, kind=5, take="default"):
    chosen = [{"op": "choosemsr", "num": domains, "type": "host"}, {"op": "choosemsr", "num": osds, "type": "osd"}]
    return {"rule_id": number, "rule_name": name, "type": kind, "steps": [{"op": "take", "item": -1, "item_name": take}, *chosen, {"op": "emit"}]}


def squid(pools=(), client="squid", rules=(), hosts=3, osds=2, **more):
    observed = maps(pools, release=(20, 2, 4), crush=crush_dump(hosts=hosts, osds=osds, rules=rules), **more)
    observed.osd["require_min_compat_client"] = client
    return observed


def test_rules_that_retry_all_steps_are_read_as_what_they_are():
    rule = crush_map.rule_of(msr_rule(take="default~hdd"))
    assert (rule.type, rule.root, rule.device_class, rule.failure_domain, rule.steps) == ("erasure", "default", "hdd", "host", ())
    assert (rule.domains, rule.osds_per_domain) == (3, 2)
    assert crush_map.rule_of(msr_rule(kind=4)).type == "replicated"
    assert rule.capacity(crush_map.Tree(crush_dump(hosts=3, osds=2))) == 6
    assert rule.capacity(crush_map.Tree(crush_dump(hosts=4, osds=3))) == 6
    assert rule.capacity(crush_map.Tree(crush_dump(hosts=3, osds=1))) == 1  # one host has to be filled before the next
    assert rule.capacity(crush_map.Tree(crush_dump(hosts=2, osds=4))) == 4


def test_several_chunks_on_each_of_few_hosts():
    pool = {"name": "a", "type": "erasure", "erasure_profile": "ec42", "min_size": 5}
    rule = {"name": "spread", "type": "erasure", "erasure_profile": "ec42"}
    assert cluster.declared_problems({"pools": [pool], "erasure_profiles": [MSR_PROFILE]}, hosts=3) == []
    planned = plan(squid(), pools=[pool], erasure_profiles=[MSR_PROFILE], crush={"rules": [rule]})
    assert [[change.id for change in stage] for stage in planned.stages()] == [["erasure_profile/ec42"], ["pool/a", "crush_rule/spread"]]
    assert planned.warnings == []
    made = next(change for change in planned.changes if change.kind == "crush_rule")
    assert made.after["num_failure_domains"] == 3
    assert made.after["osds_per_failure_domain"] == 2


def test_a_cluster_that_spreads_so_already_can_be_declared():
    raw = raw_pool(1, "a", type=3, size=6, min_size=5, crush_rule=7, erasure_code_profile="ec42")
    observed = squid([raw], rules=[msr_rule()], profiles={"ec42": MSR_EXISTING})
    said = {
        "pools": [{"name": "a", "type": "erasure", "erasure_profile": "ec42", "rule": "ec42", "min_size": 5}],
        "erasure_profiles": [MSR_PROFILE],
        "crush": {"rules": [{"name": "ec42", "type": "erasure", "erasure_profile": "ec42"}]},
    }
    planned = plan(observed, **said)
    assert not planned
    assert planned.warnings == []
    # another spread is another rule: what differs is shown
    observed = squid([raw], rules=[msr_rule(domains=6, osds=1)], profiles={"ec42": MSR_EXISTING})
    (change,) = plan(observed, **said).changes
    assert (change.id, change.risk) == ("crush_rule/ec42", Risk.MOVEMENT)
    assert change.before == {"num_failure_domains": 6, "osds_per_failure_domain": 1}
    assert change.after == {"num_failure_domains": 3, "osds_per_failure_domain": 2}


def test_chunks_that_find_no_place():
    few = cluster.declared_problems({"erasure_profiles": [MSR_PROFILE]}, hosts=2)
    assert few == [
        "ceph_cluster_erasure_profiles[0] (ec42): k+m is 6 with up to 2 chunks on each host, which needs 3 hosts with OSDs, and there are 2: "
        "lower k or m, add hosts, or choose failure_domain osd"
    ]
    narrow = {**MSR_PROFILE, "extra": {**MSR_EXTRA, "crush-num-failure-domains": 2}}
    assert "2 failure domains with 2 OSDs each hold 4 chunks, and k+m is 6" in cluster.declared_problems({"erasure_profiles": [narrow]})[0]
    half = {**MSR_PROFILE, "extra": {"crush-osds-per-failure-domain": 2}}
    assert "crush-osds-per-failure-domain needs crush-num-failure-domains" in cluster.declared_problems({"erasure_profiles": [half]})[0]
    assert (
        "'two' is not a whole number"
        in cluster.declared_problems({"erasure_profiles": [{**MSR_PROFILE, "extra": {**MSR_EXTRA, "crush-osds-per-failure-domain": "two"}}]})[0]
    )
    text = problems(squid(hosts=3, osds=1), erasure_profiles=[MSR_PROFILE])[0]
    assert "needs 3 of host with 2 OSDs each below default, and there are 0" in text
    # one chunk for each domain, of a number that is said: as before
    wide = {"name": "w", "k": 2, "m": 1, "extra": {"crush-num-failure-domains": 3}}
    assert plan(squid(), erasure_profiles=[wide])
    assert "1 failure domain" in "".join(
        cluster.declared_problems({"erasure_profiles": [{"name": "w", "k": 2, "m": 1, "extra": {"crush-num-failure-domains": 1}}]})
    )


def test_releases_and_clients_that_do_not_know_such_rules_are_told_of_first():
    pool = {"name": "a", "type": "erasure", "erasure_profile": "ec42"}
    old = maps(crush=crush_dump(hosts=3, osds=2))
    assert problems(old, pools=[pool], erasure_profiles=[MSR_PROFILE])[-1] == (
        "erasure_profiles[0] (ec42): crush-num-failure-domains and crush-osds-per-failure-domain need Ceph 19.2.0, and this is 18.2.7, "
        "which would pass over them: leave them out, or upgrade first"
    )
    assert problems(squid(client="luminous"), pools=[pool], erasure_profiles=[MSR_PROFILE]) == [
        "pools[0] (a): its rule places several chunks in one failure domain, which only clients of Ceph 19 (squid) understand, "
        "and those of luminous may connect: set require_min_compat_client: squid"
    ]
    rule = {"name": "spread", "type": "erasure", "erasure_profile": "ec42"}
    assert "crush.rules[0] (spread): it places several" in problems(squid(client="luminous"), erasure_profiles=[MSR_PROFILE], crush={"rules": [rule]})[0]
    planned = plan(squid(client="luminous"), pools=[pool], erasure_profiles=[MSR_PROFILE], crush={"rules": [rule]}, require_min_compat_client="squid")
    assert [[change.id for change in stage] for stage in planned.stages()] == [
        ["erasure_profile/ec42", "cluster/require_min_compat_client"],
        ["pool/a", "crush_rule/spread"],
    ]


def test_the_chunks_of_local_groups_count_too():
    said = {"name": "l", "k": 4, "m": 2, "plugin": "lrc", "extra": {"l": 3}}
    assert "k+m with the local chunks of lrc is 8, and there are 6 hosts" in cluster.declared_problems({"erasure_profiles": [said]}, hosts=6)[0]
    assert cluster.declared_problems({"erasure_profiles": [said]}, hosts=8) == []


# -- clients


def auth(**entities):
    return {name.replace("_", "."): {"key": Secret(clients.new_key()), "caps": caps} for name, caps in entities.items()}


def test_caps_for_a_pool_that_is_nowhere():
    said = [{"name": "client.a", "caps": {"mon": "allow r", "osd": "allow rw pool=b, allow r pool=c"}}]
    assert problems(maps([raw_pool(1, "c")]), clients=said) == ["clients[0] (client.a): its caps name the pool b, which is neither there nor declared in pools"]
    assert plan(maps([raw_pool(1, "c")]), clients=said, pools=[{"name": "b"}])
    assert "the pool c" in problems(maps([raw_pool(1, "c")]), clients=said, pools=[{"name": "b"}, {"name": "c", "state": "absent"}])[0]


def test_a_key_with_blanks_around_it_is_the_same_key():
    there = auth(client_a={"mon": "allow r"})
    said = {"name": "client.a", "caps": {"mon": "allow r"}, "key": there["client.a"]["key"].reveal() + "\n"}
    assert cluster.declared_problems({"clients": [said]}) == []
    assert not plan(maps(auth=there), clients=[said])


def test_the_client_that_asks_cannot_delete_itself():
    text = problems(maps(auth=auth(client_robot={})), clients=[{"name": "client.admin", "state": "absent"}, {"name": "client.x"}])
    assert "without caps it could do nothing" in text[0]


def test_prune_of_clients_passes_over_ceph_s_own():
    there = auth(client_admin={}, client_stray={}, client_kept={}, osd_0={}, client_rgw_a={}, mgr_x={}, client_crash={})
    there["client.bootstrap-osd"] = there["client.stray"]
    planned = plan(maps(auth=there), clients=[{"name": "client.kept", "caps": {}}], prune=["clients"])
    assert [change.id for change in planned.changes] == ["client/client.stray"]


def test_rotation():
    old = base64.b64encode(struct.pack("<HIIH", 1, 1000, 0, 16) + b"x" * 16).decode()
    there = {"client.a": {"key": Secret(old), "caps": {"mon": "allow r"}}}
    (change,) = plan(maps(auth=there), clients=[{"name": "client.a", "rotate_before": "2020-01-01"}]).changes
    assert change.risk is Risk.RESTART
    assert old not in str(change.before)
    fresh = {"client.a": {"key": Secret(clients.new_key()), "caps": {"mon": "allow r"}}}
    assert not plan(maps(auth=fresh), clients=[{"name": "client.a", "rotate_before": "2020-01-01"}])


# -- key types


TENTACLE = {"auth_allowed_ciphers": ["aes256k"], "auth_preferred_cipher": "aes256k", "auth_service_cipher": "aes256k", "mons": [{"name": "a"}]}


def test_key_types_follow_the_oldest_client():
    use = {"name": "kvm", "kind": "kvm", "pools": [{"name": "a"}], "oldest_client": "18.2.7"}
    observed = maps([raw_pool(1, "a", application_metadata={"rbd": {}})], release=(20, 2, 4), mon=TENTACLE)
    assert problems(observed, consumers=[use]) == [
        "consumers[0] (client.kvm): key_type aes, and the cluster allows aes256k: name aes in cephx.allowed as well",
    ]
    opened = plan(observed, consumers=[use], cephx={"allowed": ["aes", "aes256k"]})
    assert [[change.id for change in stage] for stage in opened.stages()] == [["cephx/allowed"], ["client/client.kvm"]]
    assert "CVE-2025-30156" in opened.warnings[0]
    assert plan(observed, consumers=[{**use, "oldest_client": "20.2.4"}]).changes[0].after["key_type"] == "aes256k"
    # an older cluster has one type only, and nothing is said of it
    older = maps([raw_pool(1, "a", application_metadata={"rbd": {}})])
    assert "key_type" not in plan(older, consumers=[use]).changes[0].after


def test_shutting_out_a_cipher_is_a_loss():
    open_map = {**TENTACLE, "auth_allowed_ciphers": ["aes", "aes256k"]}
    (change,) = plan(maps(release=(20, 2, 4), mon=open_map), cephx={"allowed": ["aes256k"]}).changes
    assert change.risk is Risk.LOSS
    assert "other ciphers than aes need Ceph 20.2.4, and this is 18.2.7" in problems(maps(), cephx={"allowed": ["aes256k"]})[0]
    assert not plan(maps(), cephx={"allowed": ["aes"]})


# -- the whole


def test_another_cluster():
    found = problems(maps(), fsid=str(uuid.uuid4()), pools=[{"name": "a", "size": 9}])
    assert len(found) == 1
    assert f"the cluster that answers is {FSID}" in found[0]
    assert not plan(maps(), fsid=FSID.upper())
    assert not plan(maps(), fsid="{" + FSID.replace("-", "") + "}")


def test_an_even_number_of_monitors_is_worth_a_word():
    assert plan(maps(mons=4)).warnings == ["the cluster has 4 monitors, which survive no more failures than 3: use an odd number"]
    assert plan(maps(mons=3)).warnings == []


def test_before_there_is_a_cluster_all_is_new():
    planned = plan(
        Maps(),
        pools=[{"name": "a", "size": 9, "rule": "r", "bulk": True}, {"name": "e", "type": "erasure", "erasure_profile": "x"}],
        clients=[{"name": "client.a", "caps": {"osd": "allow r pool=zzz"}, "key_type": "aes256k"}],
        options={"osd": {"anything": "4G"}},
        cephx={"allowed": ["aes256k"]},
        filesystems=[{"name": "f", "metadata_pool": "m", "data_pools": ["d"]}],
        mgr_modules={"prometheus": True},
        flags={"noout": True, "noin": False},
        require_min_compat_client="reef",
    )
    assert {change.action for change in planned.changes} == {"create", "update"}
    assert len(planned) == 8


def test_flags_and_modules_left_unnamed_are_left_alone():
    listing = {
        "always_on_modules": ["balancer"],
        "enabled_modules": ["iostat"],
        "disabled_modules": [{"name": "stats", "can_run": False, "error_string": "no foo"}],
    }
    observed = maps(mgr_modules=listing)
    assert not plan(observed, mgr_modules={"balancer": True, "iostat": True}, flags={"noout": False})
    assert "cannot run it: no foo" in problems(observed, mgr_modules={"stats": True})[0]
    assert [change.risk for change in plan(observed, mgr_modules={"iostat": False}).changes] == [Risk.RESTART]


def test_everything_wrong_with_a_declaration_at_once():
    found = cluster.declared_problems(
        {
            "pools": [
                {"name": "a"}, {"name": "a"}, {"name": "b", "size": 2, "min_size": 3}, {"name": "c", "size": 5}, {"name": "d", "quota_bytes": "4X"},
                {"name": "e", "type": "erasure"}, {"name": "f", "erasure_profile": "p"}, {"name": "g", "target_size": "1T", "target_size_ratio": 0.1},
            ],
            "erasure_profiles": [{"name": "p", "k": 3, "m": 2}, {"name": "q"}],
            "clients": [{"name": "a"}, {"name": "client.a"}, {"name": "client.a"}, {"name": "client.k", "key": "x"},
                {"name": "client.r", "rotate_before": "2999-01-01"}],
            "consumers": [{"name": "k", "client": "k", "pools": []}],
            "crush": {"rules": [{"name": "r", "type": "erasure"}], "device_classes": [{"name": "ssd", "osds": ["sda"]}]},
            "options": {"oss": {"x": 1}, "osd/host:a/class:b": {"y": 1}, "osd/class:b/host:a": {"y": 2}},
            "flags": {"noot": True},
            "require_min_compat_client": "mimik",
            "filesystems": [{"name": "f", "metadata_pool": "e", "data_pools": ["e"]}],
            "cephx": {"allowed": ["aes"], "preferred": "aes256k"},
            "prune": ["pools"],
            "allow_loss": ["pool/x"],
        },
        hosts=3,
        now=time.time(),
    )  # fmt: skip
    text = "\n".join(found)
    for part in (
        "ceph_cluster_pools: a is declared twice", "min_size 3 is greater than size 2", "size 5 needs as many hosts", "'4X' is not a size",
        "needs erasure_profile", "erasure_profile is for pools of type erasure", "exclude each other", "k+m is 5, and there are 3 hosts", "(q): k is missing",
        "write client.a", "client.a is declared twice", "key: it is not a cephx key", "lies ahead", "consumers[0] (k): client: the name", "pools is empty",
        "a rule of type erasure needs", "'sda' is not an OSD", "'oss' is no section", "y is declared twice", "'noot' is no flag", "'mimik' is no release",
        "erasure-coded, and metadata needs", "cephx.preferred is aes256k",
    ):  # fmt: skip
        assert part in text, part


def test_a_misspelt_variable_or_option():
    found = cluster.declared_problems({"pool": [], "pools": [{"nam": "a"}, {"name": "b", "siez": 3}], "flags": [], "clients": {"a": 1}})
    text = "\n".join(found)
    for part in (
        "ceph_cluster_pool: there is no such variable",
        "unknown option 'nam'",
        "name is missing",
        "(b): unknown option 'siez'",
        "a dictionary is wanted",
        "a list is wanted",
    ):
        assert part in text


# -- consumers


def test_caps_of_a_consumer():
    kvm = {"name": "kvm", "kind": "kvm", "pools": [{"name": "vms"}, {"name": "images", "access": "ro"}]}
    assert _consumers.caps_of(kvm) == {"mon": "profile rbd", "osd": "profile rbd pool=vms, profile rbd-read-only pool=images", "mgr": "profile rbd pool=vms"}
    assert _consumers.caps_of({"name": "r", "kind": "rados", "pools": [{"name": "a", "access": "ro"}]}) == {"mon": "allow r", "osd": "allow r pool=a"}
    other = {"name": "x", "client": "client.kvm", "pools": [{"name": "more"}]}
    (client,) = _consumers.clients([kvm, other])
    assert client["caps"]["osd"] == "profile rbd pool=vms, profile rbd-read-only pool=images, profile rbd pool=more"
    assert _consumers.demands([kvm]) == {"vms": {"rbd"}, "images": {"rbd"}}


def test_a_secret_s_uuid_is_the_same_everywhere_and_another_in_each_cluster():
    assert _consumers.secret_uuid(FSID, "client.a") == _consumers.secret_uuid(FSID, "client.a")
    assert _consumers.secret_uuid(FSID, "client.a") != _consumers.secret_uuid(FSID, "client.b")
    assert _consumers.secret_uuid(FSID, "client.a") != _consumers.secret_uuid(str(uuid.uuid4()), "client.a")


# -- gates


class FakeMons:
    """Keeps a configuration database, and how often it was written."""

    def __init__(self, **entries):
        self.entries = {("mon", name): value for name, value in entries.items()}
        self.writes = 0

    def send(self, prefix, **arguments):
        if prefix == "config dump":
            return [{"section": who, "name": name, "value": value, "mask": ""} for (who, name), value in self.entries.items()]
        self.writes += 1
        if prefix == "config set":
            self.entries[(arguments["who"], arguments["name"])] = arguments["value"]
        else:
            self.entries.pop((arguments["who"], arguments["name"]))
        return None


@pytest.mark.parametrize("before", [{}, {"mon_allow_pool_delete": "false"}, {"mon_allow_pool_delete": "true"}])
def test_a_gate_is_left_as_it_was_found(before):
    mons = FakeMons(**before)
    start = dict(mons.entries)
    gates = Gates(mons.send)
    together = threading.Barrier(4)

    def through():
        with gates.open("mon_allow_pool_delete"):
            together.wait(10)
            assert mons.entries[("mon", "mon_allow_pool_delete")] == "true"

    threads = [threading.Thread(target=through) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mons.entries == start
    assert mons.writes == (0 if "true" in before.values() else 2)
    with pytest.raises(RuntimeError), gates.open("mon_allow_pool_delete"):
        raise RuntimeError
    assert mons.entries == start


# -- information


def test_mon_host_is_the_same_whoever_asks():
    def mon(name, address):
        return {"name": name, "public_addrs": {"addrvec": [{"type": "v1", "addr": f"{address}:6789"}, {"type": "v2", "addr": f"{address}:3300"}]}}

    one, two = mon("a", "10.0.0.2"), mon("b", "10.0.0.1")
    expected = "[v2:10.0.0.1:3300,v1:10.0.0.1:6789] [v2:10.0.0.2:3300,v1:10.0.0.2:6789]"
    assert mon_host({"mons": [one, two]}) == mon_host({"mons": [two, one]}) == expected


def test_what_is_waited_for():
    found = {
        "mons": [{"in_quorum": True}, {"in_quorum": False}],
        "mgr": {"available": False},
        "osds": {"up": 2},
        "pgs": {"states": {"active+clean": 3, "active+clean+scrubbing": 1, "peering": 2}},
        "health": {
            "checks": {
                "A": {"severity": "HEALTH_WARN", "summary": "a is so", "muted": False},
                "B": {"severity": "HEALTH_ERR", "summary": "b is so", "muted": False},
                "C": {"severity": "HEALTH_ERR", "summary": "c is so", "muted": True},
            }
        },
    }
    wanted = {"mons": 2, "mgr": True, "osds_up": 3, "clean": True, "health": "HEALTH_OK"}
    assert info.missing(found, wanted) == [
        "1 of 2 monitors are in quorum",
        "no manager is active",
        "2 of 3 OSDs are up",
        "not clean: 2 placement groups peering",
        "A: a is so",
        "B: b is so",
    ]
    assert info.missing(found, {"health": "HEALTH_WARN", "ignore": ["B"]}) == []
