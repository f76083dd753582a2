# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A round's part on a host, of a simulated cluster: what it asks and waits for, and flags that are taken back whatever happens."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, restarts, running, running_gateways
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, reconcile

from .simulated_osds import Killed, Simulated

HOSTS = {"ceph1": [0, 1], "ceph2": [2, 3], "ceph3": [4, 5]}


class Cluster(Simulated):
    """OSDs that restart: copies are made whole some questions later."""

    def __init__(self, hosts=HOSTS, **more):
        super().__init__(hosts, **more)
        self.keys, self.epochs, self.seq, self.degraded, self.stuck = {}, dict.fromkeys(self.osds, 5), 0, 0, False

    def _config_key_dump(self, key):
        return {name: value for name, value in self.keys.items() if name.startswith(key)}

    def _config_key_set(self, key, val):
        self.keys[key] = val

    def _config_key_rm(self, key):
        del self.keys[key]

    def _osd_unset_group(self, flags, who):
        for name in who:
            self.states[int(name[4:])].discard(flags)

    def _osd_dump(self):
        dump = super()._osd_dump()
        return {**dump, "osds": [{**osd, "up_from": self.epochs[osd["osd"]]} for osd in dump["osds"]]}

    def _status(self):
        self.degraded -= bool(self.degraded and not self.stuck)
        states = [{"state_name": "active+undersized+degraded", "count": 3}] if self.degraded else [{"state_name": "active+clean+scrubbing", "count": 64}]
        return {"pgmap": {"degraded_objects": self.degraded, "num_objects": 100, "pgs_by_state": states}}

    def _pg_dump(self, dumpcontents):
        if dumpcontents == ["osds"]:
            self.seq += 1
            return {"osd_stats": [{"osd": number, "seq": self.seq} for number in self.osds]}
        return {"pg_stats": [{"pgid": "1.7", "state": "active+undersized+degraded" if self.degraded else "active+clean", "acting": [0, 2], "up": [0, 2, 4]}]}


@pytest.fixture(autouse=True)
def host(monkeypatch):
    """This host has all OSDs, and time passes only when somebody sleeps."""
    now = [1000.0]
    began = {}

    class Host:
        cluster = None
        kill = False
        dead = ()

        @staticmethod
        def restart(*names):
            now[0] += 5
            for name in names:
                number = int(name.partition("@")[2].partition(".")[0])
                assert "noout" in Host.cluster.states[number]
                began[name] = int(now[0])
                Host.cluster.epochs[number] += 0 if number in Host.dead else 1
            Host.cluster.degraded = 4
            if Host.kill:
                raise Killed

        @staticmethod
        def unit(name):
            return systemd.Unit(True, True, "active", began.get(name, 100), began=began.get(name, 100))

    def observe(cluster, types, names):
        found = [(f"osd.{number}", f"ceph-osd@{number}.service") for number in cluster.osds]
        return [running.Running(name, "osd", Host.unit(unit), unit) for name, unit in found if name in names]

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(running, "observe", observe)
    monkeypatch.setattr(running, "returning", lambda types: [])
    monkeypatch.setattr(systemd, "restart", Host.restart)
    monkeypatch.setattr(systemd, "units", lambda names: {name: Host.unit(name) for name in names})
    monkeypatch.setattr(systemd, "last_words", lambda name: "")
    monkeypatch.setattr(daemons, "ask", lambda name, prefix: {"version": "18.2.7"})
    return Host


def restart(cluster, host, *numbers, **more):
    host.cluster = cluster
    names = [f"osd.{number}" for number in numbers]
    return restarts.Provider(cluster, names, more.pop("together", []), everything=True, since=500.0, **{"patience": 30, "wait": 30, **more})


def flags(cluster):
    return {number for number, states in cluster.states.items() if "noout" in states}, cluster.keys


def test_a_round_and_then_nothing(host):
    cluster = Cluster()
    outcome = reconcile(restart(cluster, host, 0, 1))
    assert not outcome.error
    assert [(row["kind"], row["name"], row["reason"]) for row in outcome.plan.rows()] == [
        ("unit", "ceph-osd@0.service", "all are to restart"),
        ("unit", "ceph-osd@1.service", "all are to restart"),
    ]
    assert flags(cluster) == (set(), {})
    assert not reconcile(restart(cluster, host, 0, 1)).plan


def test_the_next_round_waits_for_the_copies(host):
    cluster = Cluster()
    reconcile(restart(cluster, host, 0, 1))
    cluster.degraded = 10
    checked = reconcile(restart(cluster, host, 2, 3), check_mode=True)
    assert (
        "waits: 1 placement groups on them have not all their copies, or nobody knows yet (1.7 active+undersized+degraded)" in checked.plan.rows()[0]["reason"]
    )
    assert checked.returned["waits"]
    assert not reconcile(restart(cluster, host, 2, 3)).error


def test_osds_whose_copies_are_all_there_need_not_wait(host):
    cluster = Cluster()
    cluster.degraded, cluster.stuck = 10, True
    assert not reconcile(restart(cluster, host, 5)).error


def test_a_wait_that_stalls(host):
    cluster = Cluster()
    cluster.degraded, cluster.stuck = 10, True
    outcome = reconcile(restart(cluster, host, 2, 3))
    assert "osd.2, osd.3: not restarted, nothing has moved for 30 s: 1 placement groups on them have not all their copies" in outcome.error
    assert (flags(cluster), cluster.epochs[2]) == ((set(), {}), 5)


def test_what_the_cluster_does_not_let_stop(host):
    cluster = Cluster()
    outcome = reconcile(restart(cluster, host, 0, 1, 2, 3))
    assert "the cluster does not let them stop: unsafe to stop osd(s)" in outcome.error
    assert (flags(cluster), set(cluster.epochs.values())) == ((set(), {}), {5})


def test_all_of_a_round_is_asked_for_not_this_hosts_part(host):
    cluster = Cluster()
    assert "does not let them stop" in reconcile(restart(cluster, host, 0, together=["osd.0", "osd.2", "osd.4"])).error


def test_one_that_does_not_come_up_leaves_no_flag(host):
    cluster, host.dead = Cluster(), (1,)
    outcome = reconcile(restart(cluster, host, 0, 1))
    assert "ceph-osd@1.service is active, but osd.1 does not serve after 30 s" in outcome.error
    assert flags(cluster) == (set(), {})
    host.dead = ()


def test_a_run_that_is_killed(host, monkeypatch):
    """Nothing of it takes the flags back; the next one does, also where it has nothing to restart."""
    cluster, host.kill = Cluster(), True
    with monkeypatch.context() as killed:
        killed.setattr(restarts.noout, "take_back", lambda *unused: None)
        with pytest.raises(Killed):
            reconcile(restart(cluster, host, 0, 1))
    host.kill = False
    assert flags(cluster)[0] == {0, 1}
    # That of one that is done by now too; those of others that restart at the same time are theirs.
    assert not reconcile(restart(cluster, host, 0, together=["osd.0", "osd.1"])).error
    assert flags(cluster)[0] == {1}
    checked = reconcile(restart(cluster, host), check_mode=True)
    assert [change.id for change in checked.plan.changes] == ["flag/osd.1/noout"]
    assert not reconcile(restart(cluster, host)).error
    assert flags(cluster) == (set(), {})


def test_a_flag_of_somebody_else_stays(host):
    cluster = Cluster()
    cluster.states[0].add("noout")
    cluster.states[4].add("noout")
    cluster.keys["cephstack/noout/osd.4"] = "replaced"
    assert not reconcile(restart(cluster, host, 0, 1)).error
    assert flags(cluster) == ({0, 4}, {"cephstack/noout/osd.4": "replaced"})


def test_while_nobody_can_say_it_waits(host):
    cluster = Cluster()
    real, left = cluster._osd_ok_to_stop, [3]

    def ok_to_stop(ids):
        if left[0]:
            left[0] -= 1
            raise CommandFailed("osd ok-to-stop", -11, "64 pgs have unknown state; cannot draw any conclusions")
        return real(ids)

    cluster._osd_ok_to_stop = ok_to_stop
    assert not reconcile(restart(cluster, host, 0)).error
    assert left == [0]


def test_bad_input():
    cluster = Cluster()
    options = {"daemons": [], "together": [], "which": "all", "since": None, "beside": [], "accept_outage": [], "patience": 5, "wait": 5}
    for wrong, told in (
        ({"daemons": ["osd"]}, "'osd' is no daemon"),
        ({"daemons": ["osd.1"], "together": ["osd.2"]}, "together: osd.1 restarts too, and is not among them"),
        ({"patience": 0}, "patience: 0 is not at least 1"),
    ):
        with pytest.raises(Invalid, match=told):
            restarts.provider({**options, **wrong}, cluster)


def test_one_that_does_not_run_here(host):
    outcome = reconcile(restart(Cluster(), host, 0, 77))
    assert outcome.error == "osd.77 does not run on this host: site starts what is declared"


# -- gateways


def dump(*entries):
    found = {str(gid): {"gid": gid, "addr": f"{address}:0/77", "metadata": about} for gid, (address, about) in enumerate(entries, 1)}
    return {"services": {"rgw": {"daemons": {"summary": "", **found}}}}


@pytest.mark.parametrize(
    ("frontend", "address", "ports"),
    [
        ("beast endpoint=10.0.0.1:8080", "10.0.0.1", (8080,)),
        ("beast port=8080 ssl_port=443", "192.0.2.1", (8080, 443)),
        ("beast endpoint=0.0.0.0:8080 ssl_endpoint=[fd00::1]:443", "fd00::1", (8080, 443)),
        ("beast endpoint=[::]:80", "192.0.2.1", (80,)),
    ],
)
def test_where_gateways_listen(frontend, address, ports):
    (one,) = running_gateways.gateways(dump(("192.0.2.1", {"id": "ceph1.s3", "frontend_config#0": frontend})))
    assert (one.name, one.address, one.ports) == ("client.rgw.ceph1.s3", address, ports)


def test_a_gateway_waits_for_another_of_its_kind_that_answers(monkeypatch):
    cluster, answering = Cluster(), []
    cluster._service_dump = lambda: dump(*(("10.0.0.1", {"id": name}) for name in ("ceph1.s3", "ceph2.s3", "ceph2.swift")))
    monkeypatch.setattr(running_gateways.Gateway, "answers", lambda self: self.name in answering)
    provider = restarts.Provider(cluster, ["client.rgw.ceph1.s3"], ["client.rgw.ceph1.s3"])
    assert provider._gate({}, []).waits.startswith("none of the other gateways answers (client.rgw.ceph2.s3): start one")
    answering.append("client.rgw.ceph2.swift")
    assert provider._gate({}, []).waits
    answering.append("client.rgw.ceph2.s3")
    assert not provider._gate({}, []).waits
    alone = dataclasses.replace(provider, names=["client.rgw.ceph2.swift"], together=["client.rgw.ceph2.swift"])
    assert alone._gate({}, []).waits.startswith("there is no other gateway like it")
    assert not dataclasses.replace(alone, accept_outage=["client.rgw.ceph2.swift"])._gate({}, []).waits


def test_an_nfs_gateway_waits_for_another_that_answers(monkeypatch):
    answering = []
    monkeypatch.setattr(restarts, "_answers_nfs", lambda address: address in answering)
    provider = restarts.Provider(Cluster(), ["nfs.ceph1"], ["nfs.ceph1"], beside=["10.0.0.2"])
    assert provider._gate({}, []).waits.startswith("no NFS gateway answers at 10.0.0.2")
    answering.append("10.0.0.2")
    assert not provider._gate({}, []).waits
    assert dataclasses.replace(provider, beside=[])._gate({}, []).waits.startswith("there is no other NFS gateway")
