# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OSDs are removed from a real cluster, under a writer; and every gate refuses where it must."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import shutil
import signal
import time
import types

import pytest
from conftest import REPO, Cluster, Failed

TOOL = types.SimpleNamespace(**runpy.run_path(str(REPO / "tests" / "tools" / "writer")))


class Writer(TOOL.Channel):
    """Writes to an image until it is told to end; then no byte may be wrong, and nothing may have failed."""

    def __init__(self, cluster: Cluster, pool: str) -> None:
        super().__init__(pool, TOOL.Rbd(cluster.rados, pool, 20480, 200), 20480, 200)

    def end(self) -> None:
        self.ending.set()
        self.join(60)
        told = self.summary()
        assert (self.done, told["errors"], told["wrong"]) == (True, 0, 0), told
        assert told["writes"] > 20, "there was hardly a load"


@pytest.fixture(scope="module")
def own():
    """host0 has osd.0 and osd.1, host1 and host2 one each."""
    one = Cluster(osds=0, conf={"mon_allow_pool_delete": "true"})
    try:
        one.begin()
        for number, host in enumerate(("host0", "host0", "host1", "host2")):
            one.add_osd(number, host)
        one.wait(lambda: one.status()["osdmap"]["num_up_osds"] == 4, 60, "four OSDs")
        one.command("osd pool create", pool="kept", pg_num=16, size=3)
        one.command("osd pool application enable", pool="kept", app="rbd")
        one.wait_clean()
        io = one.rados.open_ioctx("kept")
        for number in range(60):
            io.write_full(f"old{number}", b"x" * 1000000)
        one.wait(lambda: one.command("df")["stats"]["total_used_bytes"] > 165 << 20, 60, "statistics of what was written")
        yield one
    finally:
        one.stop_all()


def ids(result):
    return [f"{row['kind']}/{row['name']}" for row in result["changes"]]


def state_of(cluster):
    """What a refused run must leave as it was."""
    dump = cluster.command("osd dump")
    return [(osd["osd"], osd["up"], osd["in"]) for osd in dump["osds"]], dump["flags"], cluster.command("osd crush dump")


def refused(cluster, run, match, **options):
    before = state_of(cluster)
    with pytest.raises(Failed, match=match) as told:
        run("ceph_osd_removal", cluster=cluster, **options)
    assert state_of(cluster) == before
    return told.value.result


def test_an_id_that_is_not_there_is_nothing_to_do(own, run):
    assert run("ceph_osd_removal", cluster=own, osds=["osd.77", "78"], hosts=["nowhere"])["changes"] == []


def test_what_is_no_osd_is_refused_and_so_is_nothing_at_all(own, run):
    refused(own, run, "'osd.x' is not an OSD: write osd.3 or 3", osds=["osd.x"])
    refused(own, run, "both empty")
    refused(own, run, "wait: false is for the state drained", osds=["1"], wait=False)


def test_an_osd_of_another_host_is_refused(own, run):
    refused(own, run, r"osd\.2 is on host1, and this is host0: remove it there, or, .* cluster_only", osds=["osd.2"], hostname="host0")


@pytest.mark.parametrize("state", ["absent", "drained"])
def test_fewer_domains_than_copies_are_refused(own, run, state):
    told = r"osd\.3: refused, the pools keep 3 copies .* needs 3 of host .* there would be room for 2 .*kept"
    refused(own, run, told, osds=["osd.3"], hostname="host2", state=state)


def test_osds_that_would_be_too_full_are_refused(own, run):
    used = max(node["utilization"] for node in own.command("osd df")["nodes"] if node["id"] in (0, 1)) / 100
    own.command("osd set-nearfull-ratio", ratio=used * 1.05)
    try:
        refused(own, run, r"fuller than nearfull .*: osd\.0 on host0 .* Add OSDs, delete data, or remove fewer", osds=["osd.1"], hostname="host0")
    finally:
        own.command("osd set-nearfull-ratio", ratio=0.85)


def test_flags_with_which_nothing_moves_are_refused(own, run):
    own.command("osd set", key="nobackfill")
    try:
        refused(own, run, "no data moves while nobackfill is set: unset it", osds=["osd.1"], hostname="host0")
    finally:
        own.command("osd unset", key="nobackfill")


def single(cluster):
    """A pool that keeps one copy; the cluster warns of it."""
    cluster.command("config set", who="mon", name="mon_allow_pool_size_one", value="true")
    cluster.command("osd pool create", pool="single", pg_num=16, size=1, yes_i_really_mean_it=True)
    cluster.command("osd pool set", pool="single", var="size", val="1", yes_i_really_mean_it=True)
    cluster.command("osd pool application enable", pool="single", app="rbd")
    cluster.wait(lambda: cluster.status()["pgmap"]["num_pgs"] == 33, 60, "the new placement groups")
    cluster.wait_clean()
    cluster.wait(lambda: "POOL_NO_REDUNDANCY" in cluster.command("health")["checks"], 90, "a health check")


def test_bad_health_is_refused_until_it_is_accepted(own, run):
    single(own)
    try:
        refused(own, run, "POOL_NO_REDUNDANCY: .* name it in accept_health: POOL_NO_REDUNDANCY", osds=["osd.1"], hostname="host0")
        found = run("ceph_osd_removal", check=True, cluster=own, osds=["osd.1"], hostname="host0", accept_health=["POOL_NO_REDUNDANCY"])
        assert ids(found) == ["data/osd.1", "unit/ceph-osd@1.service", "crush_location/osd.1", "osd/osd.1"]
    finally:
        own.command("osd pool delete", pool="single", pool2="single", yes_i_really_really_mean_it=True)
        own.wait(lambda: "POOL_NO_REDUNDANCY" not in own.command("health")["checks"], 90, "no health check")


def test_a_disk_is_replaced_and_nothing_moves_to_others(own, run, monkeypatch):
    """Its OSD keeps number, place and class; noout is set for it alone, and taken back when the next disk is up; one that somebody else set stays."""
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import osds
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
    from ansible_collections.cephstack.cloud.plugins.module_utils._host import process, systemd

    # The root that the tests run in has no systemd.
    unit = {"ceph-osd@1.service": systemd.Unit(True, True, "active", 1)}
    monkeypatch.setattr(systemd, "units", lambda names: {name: unit.get(name, systemd.NO_UNIT) for name in names})
    monkeypatch.setattr(systemd, "stop", lambda name: (own.stop("osd.1"), unit.clear()))
    monkeypatch.setattr(process, "run", lambda words, **more: "")
    uuids = [osd["uuid"] for osd in own.command("osd dump")["osds"]]
    options = {"osds": [f"osd.1@{uuids[1][:8]}"], "hostname": "host0", "state": "destroyed"}
    refused(own, run, f"osd.1@{uuids[1][:8]}", osds=["osd.1"], hostname="host0", state="destroyed")
    refused(own, run, "state: destroyed is for OSDs of this host", osds=["1"], state="destroyed", cluster_only=True)
    refused(own, run, r"osd\.2 is on host1, and this is host0", osds=["2"], hostname="host0", state="destroyed")
    own.command("osd crush rm-device-class", ids=["1"])
    own.command("osd crush set-device-class", **{"class": "ssd"}, ids=["1"])
    own.wait_clean()
    wanted = ["flag/osd.1/noout", "unit/ceph-osd@1.service", "osd/osd.1"]
    assert ids(run("ceph_osd_removal", check=True, cluster=own, **options)) == wanted
    before = {node["id"]: (node["crush_weight"], node.get("device_class")) for node in own.command("osd tree")["nodes"] if node["id"] >= 0}
    writer = Writer(own, "kept")
    writer.start()
    time.sleep(1)
    assert ids(run("ceph_osd_removal", cluster=own, **options)) == wanted
    entry = own.command("osd dump")["osds"][1]
    assert {"destroyed", "noout"} <= set(entry["state"])
    assert run("ceph_osd_removal", cluster=own, **options)["changes"] == []
    # A disk of the only other domain must not go as well.
    own.wait(lambda: "PG_DEGRADED" in own.command("health")["checks"], 60, "the cluster to see that copies are missing")
    accept = ["OSD_DOWN", "OSD_HOST_DOWN", "PG_DEGRADED", "SLOW_OPS"]
    with pytest.raises(Failed, match=r"osd\.2: refused, .*have not all their copies where they belong, while osd\.1 is down"):
        run("ceph_osd_removal", cluster=own, osds=[f"2@{uuids[2]}"], hostname="host1", state="destroyed", accept_health=accept)
    shutil.rmtree(own.dir / "osd.1")
    own.add_osd(1, "host0")
    own.wait(lambda: own.status()["osdmap"]["num_up_osds"] == 4, 60, "the new disk to be up")
    own.wait_clean()
    writer.end()
    assert run("ceph_osd_removal", cluster=own, **options)["changes"] == [], "the next disk is left alone"
    with Connection(own.connection) as cluster:
        provider = osds.Provider([], cluster, "host0")
        assert 1 in provider.observe().kept_in
        provider._let_out(1)
        assert "noout" not in own.command("osd dump")["osds"][1]["state"]
        assert not provider.observe().kept_in
        own.command("osd set-group", flags="noout", who=["osd.1"])
        provider._let_out(1)
        assert "noout" in own.command("osd dump")["osds"][1]["state"], "that is somebody else's"
        own.command("osd unset-group", flags="noout", who=["osd.1"])
    assert {node["id"]: (node["crush_weight"], node.get("device_class")) for node in own.command("osd tree")["nodes"] if node["id"] >= 0} == before
    own.command("osd crush rm-device-class", ids=["1"])
    own.command("osd crush set-device-class", **{"class": "hdd"}, ids=["1"])
    own.wait_clean()


def test_an_osd_goes_under_load_and_a_killed_run_is_finished(own, run):
    """Check mode lists it exactly; runs are killed at moments that grow; what is left is nothing, and no byte is wrong."""
    own.command("config set", who="osd.1", name="osd_scrub_sleep", value="0.5")
    found = run("ceph_osd_removal", check=True, cluster=own, osds=["osd.1"], hostname="host0")
    assert ids(found) == ["data/osd.1", "unit/ceph-osd@1.service", "crush_location/osd.1", "osd/osd.1", "option/osd.1/osd_scrub_sleep"]
    moved = found["changes"][0]["moved_bytes"]
    assert 20 << 20 < moved < 60 << 20, "about half of one copy of 60 MB"
    assert found["osds"][0]["up"], "check mode touched nothing"
    writer = Writer(own, "kept")
    writer.start()
    kills = 0
    for delay in (0.3, 0.6, 1.0, 2.0, 3.0, 5.0):
        child = multiprocessing.get_context("fork").Process(target=run, args=("ceph_osd_removal",), kwargs={"cluster": own, "osds": ["1"], "hostname": "host0"})
        child.start()
        child.join(delay)
        if child.is_alive():
            kills += 1
            os.kill(child.pid, signal.SIGKILL)
            child.join()
    assert kills, "nothing was killed"
    run("ceph_osd_removal", cluster=own, osds=["osd.1"], hostname="host0")
    writer.end()
    dump = own.command("osd dump")
    assert [osd["osd"] for osd in dump["osds"]] == [0, 2, 3]
    assert "osd.1" not in [entry["entity"] for entry in own.command("auth ls")["auth_dump"]]
    assert not [entry for entry in own.command("config dump") if entry["section"] == "osd.1"]
    assert run("ceph_osd_removal", cluster=own, osds=["osd.1"], hostname="host0")["changed"] is False
    own.wait_clean()


def test_a_host_that_cannot_be_reached_goes_from_the_cluster(own, run):
    """Its OSD is dead: the copies are made anew elsewhere first. Its empty bucket goes too."""
    own.add_osd(4, "host3")
    own.add_osd(5, "host4")
    own.wait(lambda: own.status()["osdmap"]["num_up_osds"] == 5, 60, "five OSDs")
    own.wait_clean()
    own.stop("osd.4", signal.SIGKILL)
    own.wait(lambda: not own.command("osd dump")["osds"][-2]["up"], 60, "osd.4 to be down")
    done = run("ceph_osd_removal", cluster=own, hosts=["host3"], cluster_only=True)
    assert {"data/osd.4", "crush_location/osd.4", "crush_bucket/host3", "osd/osd.4"} <= set(ids(done))
    assert "host3" not in [node["name"] for node in own.command("osd tree")["nodes"]]
    assert run("ceph_osd_removal", cluster=own, hosts=["host3"], osds=["4"], cluster_only=True)["changes"] == []
    own.wait_clean()


def test_the_only_copy_is_refused_until_its_loss_is_allowed(own, run):
    single(own)
    accept = ["POOL_NO_REDUNDANCY", "PG_AVAILABILITY", "SLOW_OPS"]
    own.stop("osd.5", signal.SIGKILL)
    own.wait(lambda: not own.command("osd dump")["osds"][-1]["up"], 60, "osd.5 to be down")
    own.wait(lambda: any("stale" in one["state_name"] for one in own.status()["pgmap"]["pgs_by_state"]), 60, "stale placement groups")
    options = {"osds": ["osd.5"], "hostname": "host4", "accept_health": accept}
    told = refused(own, run, r"its? .*only copy on it: bring it back, or lose them. To allow it, name it in allow_loss: osd/osd\.5", **options)
    assert told["refused"]
    run("ceph_osd_removal", cluster=own, allow_loss=["osd/osd.5"], **options)
    assert [osd["osd"] for osd in own.command("osd dump")["osds"]] == [0, 2, 3]
    assert run("ceph_osd_removal", cluster=own, allow_loss=["osd/osd.5"], **options)["changes"] == []
