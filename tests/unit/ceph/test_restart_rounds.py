# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which rounds daemons restart."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import stop_gates
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.restart_rounds import Daemon, Facts, failure_domains, in_rounds, line, with_one_rank

from .simulated_osds import Simulated

OLD = {"reason": "it runs 18.2.7, and 20.2.4 is installed", "running": "18.2.7", "installed": "20.2.4"}
NOTHING = Facts()
MONS = {"mons": [{"name": name, "rank": rank} for rank, name in enumerate("abc")], "quorum": [0, 1, 2]}


def daemons(type_, *hosts, name="", **more):
    prefix = {"rgw": "client.rgw"}.get(type_, type_)
    return [Daemon(f"{prefix}.{host}{name}", type_, host, **{**OLD, **more}) for host in hosts]


def facts_of(cluster, **more):
    return Facts(osd=cluster.command("osd dump"), crush=cluster.command("osd crush dump"), **more)


def osds_of(cluster, **more):
    return [Daemon(f"osd.{number}", "osd", host, **{**OLD, **more}) for host, numbers in cluster.hosts.items() for number in numbers]


def granted(cluster, asked=None):
    def ask(numbers):
        if asked is not None:
            asked.append(list(numbers))
        return not stop_gates.osds(cluster, numbers, settling=0)

    return ask


def rounds(some, facts=NOTHING, ask=lambda numbers: True, **more):
    found = in_rounds(some, facts, ask, **more)
    assert not found.problems
    return [one.names for one in found.rounds]


def problems(some, facts, ask=lambda numbers: True, **more):
    return in_rounds(some, facts, ask, **more).problems


def test_540_osds_restart_in_as_many_rounds_as_there_are_failure_domains():
    hosts = {f"ceph{host:02}": range(host * 24, min(540, host * 24 + 24)) for host in range(23)}
    cluster, asked = Simulated(hosts, pg_num=4096), []
    found = in_rounds(osds_of(cluster), facts_of(cluster), granted(cluster, asked))
    assert not found.problems
    assert [one.domain for one in found.rounds] == sorted(hosts)
    assert [len(one.daemons) for one in found.rounds] == [24] * 22 + [12]
    assert len(asked) == 23, "a question for each domain"
    # By counting: a set restarts and its copies are made whole in 8 s (measured, Ceph 18.2.7 to 20.2.4), and all report within 6 s.
    assert (len(found.rounds) * 14, 540 * 14) == (322, 7560), "five minutes and a half, not two hours"
    assert line(found.rounds[0].shown(1)).startswith("1. 24 OSDs, osd.0, osd.1, osd.2 … on ceph00; waits until there are: all placement groups")


def test_racks_of_several_hosts_are_one_set_where_copies_are_apart_by_racks():
    cluster = Simulated({"ceph1": [0, 1], "ceph2": [2, 3], "ceph3": [4, 5], "ceph4": [6, 7]})
    crush = cluster.command("osd crush dump")
    root = crush["buckets"][0]
    racks = [{"id": -50 - n, "name": f"rack{n}", "type_name": "rack", "items": root["items"][n * 2 : n * 2 + 2]} for n in range(2)]
    root["items"] = [{"id": rack["id"], "weight": 0} for rack in racks]
    crush["buckets"] += racks
    for domain, expected in (("rack", ["rack0"] * 4 + ["rack1"] * 4), ("host", ["ceph1"] * 2 + ["ceph2"] * 2 + ["ceph3"] * 2 + ["ceph4"] * 2)):
        crush["rules"][0]["steps"][1]["type"] = domain
        facts = Facts(osd=cluster.command("osd dump"), crush=crush)
        assert list(failure_domains(facts).values()) == expected
    crush["rules"][0]["steps"][1]["type"] = "rack"
    found = in_rounds(osds_of(cluster), Facts(osd=cluster.command("osd dump"), crush=crush), lambda numbers: True)
    assert [one.shown(1)["hosts"] for one in found.rounds] == [
        {"ceph1": ["osd.0", "osd.1"], "ceph2": ["osd.2", "osd.3"]},
        {"ceph3": ["osd.4", "osd.5"], "ceph4": ["osd.6", "osd.7"]},
    ]
    assert "4 OSDs, osd.0, osd.1, osd.2 … in rack0 on ceph1, ceph2" in line(found.rounds[0].shown(1))


def test_copies_apart_by_osds_only_make_sets_as_large_as_the_cluster_grants():
    cluster = Simulated({"ceph1": [0, 1, 2, 3]})
    crush = cluster.command("osd crush dump")
    crush["rules"][0]["steps"] = [{"op": "take", "item": -1, "item_name": "default"}, {"op": "choose_firstn", "num": 0, "type": "osd"}, {"op": "emit"}]
    facts = Facts(osd=cluster.command("osd dump"), crush=crush)
    assert set(failure_domains(facts).values()) == {"ceph1"}
    assert rounds(osds_of(cluster), facts, lambda numbers: not {0, 2} <= set(numbers)) == [["osd.0", "osd.1", "osd.3"], ["osd.2"]]


def test_one_that_may_never_stop_is_refused_and_so_is_all():
    cluster = Simulated({"ceph1": [0], "ceph2": [1], "ceph3": [2]}, size=1, pg_num=32)
    (told, *_more) = problems(osds_of(cluster), facts_of(cluster), granted(cluster))
    assert told.startswith("osd.0: refused, the cluster lets none of them stop (osd ok-to-stop): placement groups would not be served: wait until all")


def test_while_copies_are_made_anew_sets_are_whole_and_the_round_asks():
    cluster = Simulated({"ceph1": [0, 1], "ceph2": [2, 3]})
    assert rounds(osds_of(cluster), facts_of(cluster), lambda numbers: False, settled=False) == [["osd.0", "osd.1"], ["osd.2", "osd.3"]]


def test_only_those_that_have_to():
    cluster = Simulated({"ceph1": [0, 1], "ceph2": [2, 3]})
    some = [daemon for daemon in osds_of(cluster) if daemon.name == "osd.2"] + [*osds_of(cluster, reason="")][:2]
    assert rounds(some, facts_of(cluster)) == [["osd.2"]]
    assert rounds(osds_of(cluster, reason=""), facts_of(cluster)) == []


def test_monitors_one_by_one_and_before_all_others():
    some = [*daemons("rgw", "a", "b", name=".s3"), *daemons("mgr", "a"), *daemons("mon", "b", "a")]
    facts = Facts(mon=MONS, mgr={"active_name": "a", "standbys": [{"name": "b"}]})
    assert rounds(some, facts) == [["mon.a"], ["mon.b"], ["mgr.a"], ["client.rgw.a.s3"], ["client.rgw.b.s3"]]


def test_the_only_monitor():
    one = {"mons": [{"name": "a", "rank": 0}], "quorum": [0]}
    told = "mon.a: refused, it is the only monitor, and would be away while it restarts: add others, or name it in accept_outage: mon.a"
    assert problems(daemons("mon", "a"), Facts(mon=one)) == [told]
    assert rounds(daemons("mon", "a"), Facts(mon=one), accepted=["mon.a"]) == [["mon.a"]]


def test_the_active_manager_last():
    facts = Facts(mgr={"active_name": "a", "standbys": [{"name": "b"}, {"name": "c"}]})
    assert rounds(daemons("mgr", "a", "b", "c"), facts) == [["mgr.b"], ["mgr.c"], ["mgr.a"]]
    alone = in_rounds(daemons("mgr", "a"), Facts(mgr={"active_name": "a", "standbys": []}), lambda numbers: True)
    assert "only manager" in alone.warnings[0]


def fs_dump(ranks, standbys=(), name="cephfs"):
    info = {f"gid_{rank}": {"name": who, "rank": rank, "state": "up:active", "gid": rank} for rank, who in enumerate(ranks)}
    mdsmap = {"fs_name": name, "in": list(range(len(ranks))), "info": info}
    return {"standbys": [{"name": who, "rank": -1, "state": "up:standby", "gid": 90} for who in standbys], "filesystems": [{"mdsmap": mdsmap}]}


def test_metadata_servers_that_stand_by_first_then_by_rank():
    same = {"running": "18.2.7", "installed": "18.2.7", "reason": "all"}
    assert rounds(daemons("mds", "a", "b", "c", **same), Facts(fs=fs_dump("ca", "b"))) == [["mds.b"], ["mds.c"], ["mds.a"]]


def test_ranks_of_different_releases():
    (told,) = problems(daemons("mds", "a", "b", "c"), Facts(fs=fs_dump("ca", "b")))
    assert "cephfs has 2 ranks, and those of different releases must not work together: lower its max_mds to 1 first" in told


def test_ranks_that_will_have_ended_stand_by():
    """As in an upgrade, which lowers max_mds before anything restarts."""
    assert problems(daemons("mds", "a", "c"), Facts(fs=fs_dump("ca")))
    assert rounds(daemons("mds", "a", "c"), Facts(fs=with_one_rank(fs_dump("ca")))) == [["mds.a"], ["mds.c"]]
    assert with_one_rank(fs_dump("c", "a")) == fs_dump("c", "a")


def test_the_pools_that_would_lack_copies_are_named():
    some = [Daemon(f"osd.{number}", "osd", "ceph1", **OLD) for number in (0, 1)]
    (told,) = problems(some, NOTHING, lambda numbers: False, short=lambda numbers: [f"vms{numbers}"])
    assert "of which vms[0], vms[1] would have too few copies left" in told


def test_the_only_metadata_server():
    (told,) = problems(daemons("mds", "a"), Facts(fs=fs_dump("a")))
    assert told.startswith("mds.a: refused, it is rank 0 of cephfs and no other metadata server stands by, and would be away while it restarts")
    assert rounds(daemons("mds", "a"), Facts(fs=fs_dump("a")), accepted=["mds.a"]) == [["mds.a"]]


@pytest.mark.parametrize(("type_", "name"), [("rgw", ".s3"), ("nfs", "")])
def test_gateways_by_turns(type_, name):
    some = daemons(type_, "a", "b", name=name)
    assert rounds(some) == [[some[0].name], [some[1].name]]
    (told,) = problems(some[:1], Facts())
    assert "of its kind, and would be away while it restarts: add another on another host, or name it in accept_outage" in told
    assert rounds(some[:1], accepted=[some[0].name]) == [[some[0].name]]


def test_a_gateway_of_another_kind_does_not_stand_in():
    some = [*daemons("rgw", "a", name=".s3"), *daemons("rgw", "b", name=".swift")]
    assert len(problems(some, Facts())) == 2
