# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons of a real cluster restart in rounds, under a writer; every gate refuses where it must; a run that is killed is finished by the next.

Only systemd is stood in for: the root that the tests run in has none running.
"""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
from conftest import Cluster, Failed
from test_osd_removal import Writer
from test_rgw_site import Gateway

# As systemd does it, whatever becomes of the one who asked: the old process ends, then the new one begins.
RESTART = 'kill "$0"; while tr -d "\\0" < "/proc/$0/cmdline" 2>/dev/null | grep -q .; do sleep 0.05; done; cd /; exec "$@"'


class Units:
    """The daemons of a cluster as units, found as processes."""

    def __init__(self, cluster: Cluster, unit) -> None:
        self.cluster, self.unit = cluster, unit
        self.restarted: list[list[str]] = []

    @staticmethod
    def name(daemon: str) -> str:
        kind, _, identity = daemon.partition(".")
        return f"ceph-{'radosgw' if kind == 'client' else kind}@{identity}.service"

    def pid(self, daemon: str) -> int:
        argv = self.cluster._argv[daemon]
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().rstrip(b"\0").decode().split("\0")
            except OSError:
                continue
            if words == argv:
                return int(path.parent.name)
        return 0

    @staticmethod
    def began(pid: int) -> int:
        """As systemd says it, in whole seconds."""
        ticks = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        age = float(pathlib.Path("/proc/uptime").read_text().split()[0]) - int(ticks) / os.sysconf("SC_CLK_TCK")
        return int(time.time() - age)

    def show(self, names, instances=False):
        found = {}
        for daemon in list(self.cluster._argv):
            name, pid = self.name(daemon), self.pid(daemon)
            if any(name == one or (instances and name.startswith(one.partition("*")[0]) and "*" in one) for one in names):
                found[name] = self.unit(bool(pid), bool(pid), "active" if pid else "inactive", pid, began=self.began(pid) if pid else 0)
        return found

    def units(self, names):
        found = self.show(names)
        return {name: found.get(name, self.unit()) for name in names}

    def restart(self, *names):
        self.restarted.append(sorted(names))
        for daemon in [daemon for daemon in self.cluster._argv if self.name(daemon) in names]:
            argv = ["sh", "-c", RESTART, str(self.pid(daemon)), *self.cluster._argv[daemon]]
            with (self.cluster.dir / f"{daemon}.out").open("ab") as out:
                process = subprocess.Popen(argv, env=self.cluster._env[daemon], stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
            old = self.cluster._processes.get(daemon)
            if old is not None:
                self.cluster.old.append(old)
            self.cluster._processes[daemon] = process
        for daemon in [daemon for daemon in self.cluster._argv if self.name(daemon) in names]:
            self.cluster.wait(lambda daemon=daemon: self.pid(daemon), 20, f"{daemon} to begin")


@pytest.fixture(scope="module")
def own():
    """Three hosts of three OSDs each, two managers, three monitors."""
    one = Cluster(osds=0, conf={"admin_socket": "$run_dir/ceph-$name.asok", "mon_allow_pool_delete": "true", "mon_allow_pool_size_one": "true"})
    one.old = []
    try:
        one.begin()
        one.add_mgr("y")
        for name in "bc":
            one.add_mon(name)
        for number in range(9):
            one.add_osd(number, f"host{number // 3}")
        one.wait(lambda: one.status()["osdmap"]["num_up_osds"] == 9, 120, "nine OSDs")
        one.command("osd pool create", pool="kept", pg_num=32, size=3)
        one.command("osd pool application enable", pool="kept", app="rbd")
        one.wait_clean(120)
        yield one
    finally:
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                ours = str(one.dir).encode() in path.read_bytes() and path.parent.name != str(os.getpid())
            except OSError:
                continue
            if ours:
                os.kill(int(path.parent.name), signal.SIGKILL)
        one.stop_all()


@pytest.fixture
def units(own, monkeypatch):
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons
    from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd

    one = Units(own, systemd.Unit)
    for name in ("units", "show", "restart"):
        monkeypatch.setattr(systemd, name, getattr(one, name))
    monkeypatch.setattr(systemd, "last_words", lambda name: "")
    monkeypatch.setattr(daemons, "RUN", str(own.dir))
    return one


def here(own, run, **options):
    return {row["name"]: row for row in run("ceph_daemons_info", cluster=own, **options)["daemons"]}


def hosts_of(own, rows):
    """The rows by hosts: an OSD's as in CRUSH, and each other daemon on one of its own."""
    hosts: dict[str, list] = {}
    for row in rows.values():
        number = row["name"].partition(".")[2]
        hosts.setdefault(f"host{int(number) // 3}" if row["type"] == "osd" else f"of-{number}", []).append(row)
    return hosts


def rounds(own, run, rows, **options):
    return run("ceph_restart_info", cluster=own, hosts=hosts_of(own, rows), **options)["rounds"]


def flags(own):
    return {osd["osd"] for osd in own.command("osd dump")["osds"] if "noout" in osd["state"]}, own.command("config-key dump", key="cephstack/noout/")


def refused(own, run, units, match, **options):
    before = (flags(own), [units.pid(name) for name in own._argv])
    with pytest.raises(Failed, match=match):
        run("ceph_restart", cluster=own, **{"patience": 3, **options})
    assert (flags(own), [units.pid(name) for name in own._argv]) == before, "nothing was touched"


def test_nothing_to_do(own, run, units):
    rows = here(own, run)
    assert {row["type"] for row in rows.values()} == {"mon", "mgr", "osd"}
    assert not [row for row in rows.values() if row["reason"]], rows
    assert rows["osd.4"]["running"] == rows["osd.4"]["installed"] != ""
    assert rounds(own, run, rows) == []
    assert run("ceph_restart", cluster=own, daemons=list(rows))["changed"] is False


def test_all_of_them_in_rounds_under_a_writer(own, run, units):
    since = time.time() + 1
    time.sleep(2)
    pids = {name: units.pid(name) for name in own._argv}
    rows = here(own, run, which="all", since=since)
    planned = rounds(own, run, rows)
    assert [(one["type"], one["domain"], one["daemons"]) for one in planned] == [
        *[("mon", "", [f"mon.{name}"]) for name in "abc"],
        *[("mgr", "", [f"mgr.{name}"]) for name in sorted("xy", key=lambda name: name == own.command("mgr dump")["active_name"])],
        *[("osd", f"host{host}", [f"osd.{host * 3 + number}" for number in range(3)]) for host in range(3)],
    ]
    writer = Writer(own, "kept")
    writer.start()
    for one in planned:
        told = {"daemons": one["daemons"], "which": "all", "since": since}
        checked = run("ceph_restart", cluster=own, check=True, **told)
        assert (len(checked["changes"]), flags(own)) == (len(one["daemons"]), (set(), {}))
        done = run("ceph_restart", cluster=own, **told)
        assert [row["name"] for row in done["changes"]] == [units.name(name) for name in one["daemons"]]
        assert flags(own) == (set(), {})
        # What is done is left alone by a run that goes on.
        assert run("ceph_restart", cluster=own, **told)["changed"] is False
    writer.end()
    print(f"{writer.writes} records, the slowest answer after {writer.summary()['slowest']:.1f} s")
    assert not set(pids.values()) & {units.pid(name) for name in own._argv}
    assert len(units.restarted) == 8
    assert rounds(own, run, here(own, run, which="all", since=since)) == []


def test_options(own, run, units):
    def due():
        return {row["name"]: row["options"] for row in here(own, run).values() if row["reason"]}

    own.command("config set", who="osd", name="osd_max_scrubs", value="2")
    assert not due(), "it takes effect at once"
    own.command("config set", who="osd.4", name="osd_op_num_shards", value="3")
    own.command("config set", who="osd.5", name="osd_op_num_shards", value="0")  # as it is
    own.wait(due, 30, "the option to be due")
    assert due() == {"osd.4": ["osd_op_num_shards"]}
    (one,) = rounds(own, run, here(own, run))
    assert one["daemons"] == ["osd.4"]
    assert "osd_op_num_shards takes effect at its start only" in run("ceph_restart", cluster=own, check=True, daemons=["osd.4"])["changes"][0]["reason"]
    assert run("ceph_restart", cluster=own, daemons=[f"osd.{number}" for number in range(9)])["changed"]
    assert units.restarted == [["ceph-osd@4.service"]]
    assert not due()
    time.sleep(1)
    own.command("config rm", who="osd.4", name="osd_op_num_shards")
    assert due() == {"osd.4": ["osd_op_num_shards"]}
    own.wait_clean()
    run("ceph_restart", cluster=own, daemons=["osd.4"])
    assert not due()


def test_a_file_of_a_package_that_was_replaced(own, run, units):
    program = own.dir / "ceph-osd"
    shutil.copy("/usr/bin/ceph-osd", program)
    own._argv["osd.8"][0] = str(program)
    own.wait_clean()
    os.kill(next(int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if b"-i\x008\x00--osd-uuid" in path.read_bytes()), 15)
    own.wait(lambda: not own.command("osd dump")["osds"][8]["up"], 30, "osd.8 to be down")
    own.start("osd.8")
    own.wait(lambda: own.command("osd dump")["osds"][8]["up"], 30, "osd.8 to be up")
    assert not here(own, run)["osd.8"]["reason"]
    program.unlink()
    shutil.copy("/usr/bin/ceph-osd", program)
    assert here(own, run)["osd.8"]["reason"] == f"{program} was replaced since it started"
    own.wait_clean()
    assert run("ceph_restart", cluster=own, daemons=["osd.8"])["changed"]
    assert not here(own, run)["osd.8"]["reason"]


# -- gates


def everything(*names):
    return {"daemons": list(names), "which": "all"}


def test_what_is_not_there(own, run, units):
    refused(own, run, units, r"osd\.77 does not run on this host", daemons=["osd.77"])
    refused(own, run, units, "'ods.1' is no daemon: write osd.3", daemons=["ods.1"])
    refused(own, run, units, r"together: osd\.1 restarts too", daemons=["osd.1"], together=["osd.2"])


def test_two_of_three_monitors(own, run, units):
    own.stop("mon.c") if own._processes["mon.c"].poll() is None else None
    own.wait(lambda: len(own.command("mon dump")["quorum"]) == 2, 60, "two monitors in quorum")
    try:
        refused(own, run, units, r"mon\.a: not restarted, nothing has moved for \d+ s: mon\.c is not in quorum: start them", **everything("mon.a"))
    finally:
        own.start("mon.c")
    own.wait(lambda: len(own.command("mon dump")["quorum"]) == 3, 60, "three monitors in quorum")
    refused(own, run, units, r"mon\.a, mon\.b: not restarted, .* the cluster says: ", **everything("mon.a", "mon.b"))


def test_osds_that_must_not_stop(own, run, units):
    """Two of three failure domains at once; a pool that may serve from all its copies only; while copies are missing."""
    own.wait_clean()
    refused(
        own,
        run,
        units,
        r"osd\.0, osd\.1, osd\.2, osd\.3: not restarted, .* does not let them stop: unsafe to stop osd",
        **everything("osd.0", "osd.1", "osd.2", "osd.3"),
    )
    own.command("osd pool set", pool="kept", var="min_size", val="3")
    try:
        rows = here(own, run, which="all", since=time.time() + 5)
        with pytest.raises(Failed, match=r"lets none of them stop .*: placement groups would not be served, of which kept would have too few copies left"):
            rounds(own, run, rows)
        refused(own, run, units, "does not let them stop: unsafe to stop", **everything("osd.4"))
    finally:
        own.command("osd pool set", pool="kept", var="min_size", val="2")


def test_while_copies_are_missing_it_waits(own, run, units):
    own.wait_clean()
    own.command("osd set", key="noout")
    process = own._processes["osd.0"]
    os.kill(units.pid("osd.0"), signal.SIGTERM)
    own.wait(lambda: not own.command("osd dump")["osds"][0]["up"], 30, "osd.0 to be down")
    try:
        own.wait(lambda: run("ceph_restart", cluster=own, check=True, **everything("osd.3", "osd.4", "osd.5"))["waits"], 30, "the cluster to see it")
        refused(own, run, units, "placement groups on them have not all their copies, or nobody knows yet", **everything("osd.3", "osd.4", "osd.5"))
    finally:
        process.wait(10)
        own.start("osd.0")
        own.command("osd unset", key="noout")
    # It begins by itself as soon as it may.
    assert run("ceph_restart", cluster=own, **everything("osd.3"))["changed"]


def test_metadata_servers(own, run, units):
    for pool in ("fs.meta", "fs.data"):
        own.command("osd pool create", pool=pool, pg_num=8)
    own.command("fs new", fs_name="fs", metadata="fs.meta", data="fs.data")
    own.add_mds("m")
    own.wait(lambda: "up:active" in str(own.command("fs dump")["filesystems"]), 60, "a rank")
    future = time.time() + 1000
    rows = here(own, run, which="all", since=future, types=["mds"])
    told = r"mds\.m: refused, it is rank 0 of fs and no other metadata server stands by, .* name it in accept_outage: mds\.m"
    with pytest.raises(Failed, match=told):
        rounds(own, run, rows)
    # It has just begun, in the same second perhaps.
    refused(own, run, units, r"mds\.m: not restarted, .* the cluster says: ", since=future, **everything("mds.m"))
    own.add_mds("n")
    rows = here(own, run, which="all", since=future, types=["mds"])
    assert [one["daemons"] for one in rounds(own, run, rows)] == [["mds.n"], ["mds.m"]]
    since = time.time() + 1
    time.sleep(2)
    for name in ("mds.n", "mds.m"):
        assert run("ceph_restart", cluster=own, daemons=[name], which="all", since=since)["changed"]
    # Rank 0 went over.
    (info,) = own.command("fs dump")["filesystems"][0]["mdsmap"]["info"].values()
    assert (info["name"], info["state"]) == ("n", "up:active")
    own.command("fs set", fs_name="fs", var="max_mds", val="2")
    own.wait(lambda: not own.command("fs dump")["standbys"] and str(own.command("fs dump")).count("'up:active'") == 2, 60, "two ranks")
    rows = here(own, run, which="all", since=future, types=["mds"])
    with pytest.raises(Failed, match="no other metadata server stands by"):
        rounds(own, run, rows)
    assert [one["daemons"] for one in rounds(own, run, rows, one_rank=True)] == [["mds.m"], ["mds.n"]]


def test_gateways(own, run, units):
    first, second = Gateway(own, "h1.s3"), Gateway(own, "h2.s3")
    first.start()
    own.wait(lambda: "rgw" in own.command("service dump")["services"], 60, "the service map")
    refused(own, run, units, "there is no other gateway like it: start one, or name it in accept_outage", **everything("client.rgw.h1.s3"))
    second.start()
    own.wait(lambda: len(own.command("service dump")["services"]["rgw"]["daemons"]) == 3, 60, "both in the service map")
    since = time.time() + 1
    time.sleep(2)
    for gateway, other in ((first, second), (second, first)):
        assert run("ceph_restart", cluster=own, daemons=[gateway.name], which="all", since=since)["changed"]
        assert other.answers() and gateway.answers()


# -- flags


def test_a_flag_of_somebody_else_stays(own, run, units):
    own.wait_clean()
    own.command("osd set-group", flags="noout", who=["osd.6"])
    assert run("ceph_restart", cluster=own, **everything("osd.6", "osd.7"))["changed"]
    assert flags(own) == ({6}, {})
    own.command("osd unset-group", flags="noout", who=["osd.6"])


def test_killed_at_any_moment_the_next_run_finishes(own, run, units):
    """The daemons that are done are told by when they began; the flags of the ended run are taken back."""
    own.wait_clean()
    since, kills, left = time.time() + 1, 0, 0
    time.sleep(2)
    told = {"daemons": ["osd.3", "osd.4", "osd.5"], "which": "all", "since": since}
    for delay in (0.3, 0.6, 0.9, 1.2, 1.8, 2.5, 4.0):
        child = multiprocessing.get_context("fork").Process(target=run, args=("ceph_restart",), kwargs={"cluster": own, **told})
        child.start()
        child.join(delay)
        if child.is_alive():
            kills += 1
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        left += bool(flags(own)[1])
    assert kills, "nothing was killed"
    print(f"{kills} were killed, and {left} times a flag was left")
    own.wait(lambda: own.status()["osdmap"]["num_up_osds"] == 9, 60, "all OSDs")
    run("ceph_restart", cluster=own, **told)
    assert flags(own) == (set(), {})
    assert all(row["began"] >= since for row in here(own, run).values() if row["name"] in told["daemons"])
    assert run("ceph_restart", cluster=own, **told)["changed"] is False
    own.wait_clean()


def test_what_an_ended_run_has_left_is_taken_back_and_nothing_else(own, run, units):
    for number, purpose in ((1, "restart"), (2, "replaced")):
        own.command("config-key set", key=f"cephstack/noout/osd.{number}", val=purpose)
    own.command("osd set-group", flags="noout", who=["osd.0", "osd.1", "osd.2"])
    checked = run("ceph_restart", cluster=own, check=True)
    assert [f"{row['kind']}/{row['name']}" for row in checked["changes"]] == ["flag/osd.1/noout"]
    assert run("ceph_restart", cluster=own)["changed"]
    assert flags(own) == ({0, 2}, {"cephstack/noout/osd.2": "replaced"})
    assert run("ceph_restart", cluster=own)["changed"] is False
