# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of a real cluster goes into maintenance and comes back, under a writer; and every gate refuses where it must."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import multiprocessing
import os
import pathlib
import re
import signal
import time

import pytest
from conftest import Cluster, Failed
from test_osd_removal import Writer

FILE = pathlib.Path("/etc/ceph/maintenance")


@pytest.fixture(scope="module")
def own():
    """Three hosts with an OSD each, three monitors, two managers; a pool of three copies."""
    one = Cluster(osds=3, conf={"admin_socket": "$run_dir/ceph-$name.asok", "mon_allow_pool_delete": "true"})
    try:
        one.begin()
        for name in ("b", "c"):
            one.add_mon(name)
        one.add_mgr("y")
        one.command("osd pool create", pool="kept", pg_num=16, size=3)
        one.command("osd pool set", pool="kept", var="min_size", val="2")
        one.command("osd pool application enable", pool="kept", app="rbd")
        one.wait_clean()
        one.wait(lambda: one.command("mgr dump")["standbys"], 60, "a standby manager")
        yield one
    finally:
        one.stop_all()


class Host:
    """Stands in for systemd, which the root of the tests does not have: its units are the cluster's own processes."""

    def __init__(self, cluster, unit, units):
        self.cluster, self.unit, self.names = cluster, unit, units

    def process(self, name):
        program, _at, identity = name.removesuffix(".service").partition("@")
        return f"{program.removeprefix('ceph-')}.{identity}".replace("radosgw.", "client.")

    def pid(self, name):
        """Of what runs it, also where a process that was killed has started it."""
        argv = self.cluster._argv.get(self.process(name))
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if argv and path.read_bytes().decode().split("\0")[:-1] == argv:
                    return int(path.parts[2])
        return 0

    def show(self, patterns, instances=False):
        found = {}
        for name in self.names:
            if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                pid = self.pid(name)
                found[name] = self.unit(True, bool(pid), "active" if pid else "inactive", pid)
        return found

    def stop_now(self, names):
        for name in names:
            pid = self.pid(name)
            if pid:
                os.kill(pid, signal.SIGTERM)
            self.cluster.wait(lambda one=name: self.ended(one), 20, f"{name} to end")

    def ended(self, name):
        process = self.cluster._processes.get(self.process(name))
        if process is not None and process.poll() is not None:  # else it would be a zombie
            self.cluster._processes.pop(self.process(name))
        return not self.pid(name)

    def start_now(self, names):
        for name in names:
            assert not FILE.exists(), "it is still kept from starting"
            if not self.pid(name):
                self.cluster.start(self.process(name))


@pytest.fixture
def host(own, monkeypatch):
    """Say of which units this host is: host("ceph-osd@0.service")."""
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons
    from ansible_collections.cephstack.cloud.plugins.module_utils._host import process, systemd

    monkeypatch.setattr(daemons, "RUN", str(own.dir))
    monkeypatch.setattr(daemons, "DATA", str(own.dir))
    for kind in ("mon", "osd", "mgr", "mds", "radosgw"):
        (own.dir / kind).mkdir(exist_ok=True)
        for name in own._argv:
            if name.startswith(f"{kind}."):
                (own.dir / kind / f"ceph-{name[len(kind) + 1 :]}").mkdir(exist_ok=True)
    monkeypatch.setattr(process, "run", lambda words, **more: "")

    def make(*units):
        one = Host(own, systemd.Unit, units)
        monkeypatch.setattr(systemd, "show", one.show)
        monkeypatch.setattr(systemd, "units", one.show)
        monkeypatch.setattr(systemd, "stop_now", one.stop_now)
        monkeypatch.setattr(systemd, "start_now", one.start_now)
        monkeypatch.setattr(systemd, "last_words", lambda name: "")

    yield make
    assert not FILE.exists()
    assert not list(pathlib.Path("/etc/systemd/system").glob("*/cephstack-maintenance.conf"))


def ids(result):
    return [f"{row['action']} {row['kind']}/{row['name']}" for row in result["changes"]]


def state_of(cluster):
    dump = cluster.command("osd dump")
    keys = [key for key in cluster.command("config-key ls") if not key.startswith("mgr/")]  # which managers write as they please
    return [(osd["osd"], osd["up"]) for osd in dump["osds"]], dump["crush_node_flags"], keys, FILE.exists()


def refused(cluster, run, match, **options):
    before = state_of(cluster)
    with pytest.raises(Failed, match=match):
        run("ceph_maintenance", cluster=cluster, state="entered", **{"name": "web0", "hostname": "host0", **options})
    assert state_of(cluster) == before


OSD = "ceph-osd@0.service"
ALL = ("ceph-mon@b.service", "ceph-mgr@y.service", OSD)


def test_what_holds_the_only_copy_is_refused(own, run, host):
    host(OSD)
    own.command("config set", who="mon", name="mon_allow_pool_size_one", value="true")
    own.command("osd pool create", pool="single", pg_num=16, size=1, yes_i_really_mean_it=True)
    own.command("osd pool set", pool="single", var="size", val="1", yes_i_really_mean_it=True)
    own.wait_clean()
    try:
        refused(own, run, r"web0 stays as it is: refused, osd\.0: the cluster says that they must not stop at once: .*\(pools .*single\)")
    finally:
        own.command("osd pool delete", pool="single", pool2="single", yes_i_really_really_mean_it=True)
        own.wait_clean()


def test_two_hosts_at_once_are_too_many_for_pools_that_must_be_served(own, run, host):
    host(OSD)
    refused(own, run, r"osd\.0: the cluster says that they must not stop at once: .*\(pools .*kept\)", together=["host0", "host1"])


def test_a_host_is_refused_while_another_is_down(own, run, host):
    host(OSD)
    own.stop("osd.1")
    own.wait(lambda: own.status()["osdmap"]["num_up_osds"] == 2, 60, "osd.1 to be down")
    try:
        own.wait(lambda: any("undersized" in one["state_name"] for one in own.status()["pgmap"]["pgs_by_state"]), 60, "the cluster to see it")
        refused(own, run, r"osd\.0: the cluster says that they must not stop at once")
    finally:
        own.start("osd.1")
        own.wait_clean()


def test_monitors_without_which_there_is_no_quorum_are_refused(own, run, host):
    host("ceph-mon@a.service", "ceph-mon@b.service")
    refused(own, run, r"mon\.a, mon\.b: the cluster says: not enough monitors would be available .*: add monitors, or start others first")
    host("ceph-mon@a.service")
    refused(own, run, r"mon\.a: the cluster says: not enough monitors", together=["b"])


def test_the_only_manager_is_refused(own, run, host):
    host("ceph-mgr@x.service", "ceph-mgr@y.service")
    refused(own, run, r"mgr\.x, mgr\.y: it is the only manager: add another first")
    host("ceph-mgr@x.service")
    refused(own, run, r"mgr\.x: it is the only manager", together=["y"])


def test_the_only_metadata_server_is_refused_and_one_of_two_is_not(own, run, host):
    for pool in ("files", "meta"):
        own.command("osd pool create", pool=pool, pg_num=8)
    own.add_mds("m0")
    own.command("fs new", fs_name="shared", metadata="meta", data="files")
    own.wait(lambda: own.command("mds metadata"), 60, "a metadata server")
    own.wait(lambda: any(info["state"] == "up:active" for info in own.command("fs dump")["filesystems"][0]["mdsmap"]["info"].values()), 60, "an active one")
    host("ceph-mds@m0.service")
    refused(own, run, r"mds\.m0: the cluster says: .* Add a metadata server, or lower max_mds first")
    own.add_mds("m1")
    own.wait(lambda: own.command("fs dump")["standbys"], 60, "one that stands by")
    found = run("ceph_maintenance", check=True, cluster=own, name="web0", hostname="nowhere", state="entered")
    assert ids(found)[-1] == "update unit/ceph-mds@m0.service"
    own.stop("mds.m1")


def test_the_only_object_gateway_of_its_zone_is_refused(own, run, host):
    from test_rgw_site import Gateway

    one = Gateway(own)
    one.start()
    name = one.name.removeprefix("client.")
    own.wait(lambda: own.command("service dump")["services"].get("rgw"), 60, "the gateway to report")
    host(f"ceph-radosgw@{name}.service")
    refused(own, run, rf"radosgw\.{re.escape(name)}: no other gateway of the zone default runs: add another first")
    own.stop(one.name)
    own.wait_clean()


def test_a_host_goes_and_comes_back_under_load_and_killed_runs_are_finished(own, run, host):
    host(*ALL)
    options = {"cluster": own, "name": "web0", "hostname": "host0"}
    wanted = [
        "create maintenance/web0",
        "update flag/host0/noout",
        "update drop_in//etc/ceph/maintenance",
        "update unit/ceph-osd@0.service",
        "update unit/ceph-mgr@y.service",
        "update unit/ceph-mon@b.service",
    ]
    before = state_of(own)
    assert ids(run("ceph_maintenance", check=True, state="entered", **options)) == wanted
    assert state_of(own) == before, "check mode touched nothing"
    writer = Writer(own, "kept")
    writer.start()
    time.sleep(1)
    try:
        # What a run has begun the next one finishes: a run that is killed here and there, in a process of its own, leaves its part done.
        for delay in (0.1, 0.3, 0.6):
            killed(run, delay, state="entered", **options)
        run("ceph_maintenance", state="entered", **options)
        dump = own.command("osd dump")
        assert [osd["up"] for osd in dump["osds"]] == [0, 1, 1]
        assert dump["crush_node_flags"] == {"host0": ["noout"]}
        assert sorted(own.command("quorum_status")["quorum_names"]) == ["a", "c"]
        assert FILE.exists()
        note = json.loads(own.command("config-key dump", key="cephstack/maintenance/")["cephstack/maintenance/web0"])
        assert note == {"hostname": "host0", "noout": True, "state": "entered", "units": sorted(ALL)}
        assert run("ceph_maintenance", state="entered", **options)["changes"] == []
        assert "update unit/ceph-osd@0.service" in ids(run("ceph_maintenance", check=True, state="left", **options))
        for delay in (0.1, 0.3, 0.6):
            killed(run, delay, state="left", **options)
        run("ceph_maintenance", state="left", **options)
    finally:
        writer.end()
    assert state_of(own)[0] == [(0, 1), (1, 1), (2, 1)]
    assert state_of(own)[1:] == before[1:]
    assert sorted(own.command("quorum_status")["quorum_names"]) == ["a", "b", "c"]
    assert {one["state_name"] for one in own.status()["pgmap"]["pgs_by_state"]} <= {"active+clean", "active+clean+scrubbing", "active+clean+scrubbing+deep"}
    assert run("ceph_maintenance", state="left", **options)["changes"] == []


def killed(run, delay, **options):
    """Run it in a process that is killed; what that started and stopped is the cluster's, and is looked after here."""
    child = multiprocessing.get_context("fork").Process(target=run, args=("ceph_maintenance",), kwargs=options)
    child.start()
    child.join(delay)
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
    child.join()


def test_noout_of_somebody_else_stays(own, run, host):
    host(OSD)
    options = {"cluster": own, "name": "web0", "hostname": "host0"}
    own.command("osd set-group", flags="noout", who=["host0"])
    done = run("ceph_maintenance", state="entered", **options)
    assert "update flag/host0/noout" not in ids(done)
    run("ceph_maintenance", state="left", **options)
    assert own.command("osd dump")["crush_node_flags"] == {"host0": ["noout"]}
    own.command("osd unset-group", flags="noout", who=["host0"])


def test_what_went_meanwhile_is_not_started_and_what_cannot_come_back_is_told(own, run, host):
    """An OSD that does not come up keeps the host from being whole: the run says so, and site may set it right meanwhile."""
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import maintenance

    host(OSD)
    options = {"cluster": own, "name": "web0", "hostname": "host0"}
    run("ceph_maintenance", state="entered", **options)
    (own.dir / "osd" / "ceph-0").rmdir()
    with pytest.raises(Failed, match=r"nothing has changed for .* s, and web0 is not whole, down: osd\.0\. The cluster says: .*OSD_DOWN"):
        run("ceph_maintenance", state="left", patience=3, **options)
    notes = own.command("config-key dump", key="cephstack/maintenance/")
    assert list(maintenance.notes_of(notes)) == ["web0"]
    assert maintenance.left_alone(notes) == []
    assert own.command("osd dump")["crush_node_flags"] == {"host0": ["noout"]}
    own.start("osd.0")
    run("ceph_maintenance", state="left", **options)
    assert own.command("osd dump")["crush_node_flags"] == {}
    own.wait_clean()
