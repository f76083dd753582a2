# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OSDs that are to be gone, of a simulated cluster: each gate, the order, and runs that are killed before each of their commands."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import movement, osd_leftovers, osd_removal
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.devices import Found, Osd, Volume
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk, reconcile

from .simulated_osds import FSID, Killed, Simulated

HOSTS = {"ceph1": [0, 1], "ceph2": [2, 3], "ceph3": [4, 5], "ceph4": [6, 7]}


@pytest.fixture(autouse=True)
def no_clock(monkeypatch):
    """Time passes only when somebody sleeps, and this host has nothing of any OSD."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(osd_leftovers, "observe", lambda numbers, fsid, allow: osd_leftovers.Host(fsid, dict.fromkeys(numbers, osd_leftovers.Left()), {}))


def removal(cluster, numbers=(), hosts=(), **more):
    return osd_removal.Provider(cluster, numbers, hosts, **{"cluster_only": True, "patience": 60, **more})


def ids(plan):
    return [f"{row['kind']}/{row['name']}" for row in plan.rows()]


def problems(cluster, *args, **more):
    provider = removal(cluster, *args, **more)
    with pytest.raises(Invalid) as error:
        provider.plan(provider.observe())
    assert not cluster.sent
    return error.value.problems


def test_in_which_order():
    cluster = Simulated(HOSTS)
    outcome = reconcile(removal(cluster, hosts=["ceph4"]))
    assert not outcome.error
    assert ids(outcome.plan) == [
        "data/osd.6",
        "data/osd.7",
        "unit/ceph-osd@6.service",
        "unit/ceph-osd@7.service",
        "crush_location/osd.6",
        "crush_location/osd.7",
        "crush_bucket/ceph4",
        "osd/osd.6",
        "osd/osd.7",
    ]
    assert [prefix for prefix, _words in cluster.sent] == [
        *["osd crush reweight"] * 2,
        *["osd stop"] * 2,
        *["osd crush remove"] * 3,
        *["osd purge"] * 2,
    ]
    assert set(cluster.osds) == set(range(6))
    assert "ceph4" not in cluster.buckets
    again = reconcile(removal(cluster, [6, 7], ["ceph4"]))
    assert (again.error, len(again.plan)) == ("", 0)


def test_check_mode_says_the_same_and_touches_nothing():
    cluster = Simulated(HOSTS)
    checked = reconcile(removal(cluster, [7]), check_mode=True)
    assert not cluster.sent
    row = checked.plan.rows()[0]
    assert row["moved_bytes"] == len(cluster.on(7)) << 30
    assert "waits until the cluster says that it is safe to destroy" in row["reason"]
    assert reconcile(removal(cluster, [7])).plan.rows() == checked.plan.rows()


@pytest.mark.parametrize("moment", range(11))
def test_a_run_that_is_killed_before_any_of_its_commands_is_finished_by_the_next(moment):
    cluster = Simulated(HOSTS)
    cluster.options = [{"section": "osd", "mask": "host:ceph4", "name": "osd_memory_target"}, {"section": "osd.6", "name": "debug_osd"}]
    cluster.kill_at = moment
    with pytest.raises(Killed):
        reconcile(removal(cluster, [6, 7], ["ceph4"]))
    outcome = reconcile(removal(cluster, [6, 7], ["ceph4"]))
    assert not outcome.error
    assert (set(cluster.osds), cluster.options) == (set(range(6)), [])
    assert cluster.buckets == {"ceph1", "ceph2", "ceph3"}
    assert not reconcile(removal(cluster, [6, 7], ["ceph4"])).plan


def test_nothing_that_is_not_drained_is_ever_stopped():
    """Whatever comes in between: the cluster is asked again before each step."""
    cluster = Simulated(HOSTS)
    real = cluster._osd_stop

    def stop(ids):
        for number in map(int, ids):
            assert not cluster.on(number)
        real(ids)

    cluster._osd_stop = stop
    assert not reconcile(removal(cluster, hosts=["ceph4"])).error


def test_what_is_said_between_two_steps_counts():
    cluster = Simulated(HOSTS)
    answers = [0]
    real = cluster._osd_safe_to_destroy

    def changes_its_mind(ids):
        answers[0] += 1
        return real(ids) if len(ids) > 1 or not cluster.sent or len(cluster.sent) < 2 else {"safe_to_destroy": []}

    cluster._osd_safe_to_destroy = changes_its_mind
    outcome = reconcile(removal(cluster, [6, 7]))
    assert "does not say that osd.6 is safe to destroy" in outcome.error
    assert "osd stop" not in [prefix for prefix, _words in cluster.sent]


# -- gates


def test_while_placement_groups_peer_after_a_step_it_waits():
    """As 18.2.7 answers under load: no conclusions for some seconds after an OSD has stopped or left CRUSH."""
    cluster = Simulated(HOSTS)
    real = {name: getattr(cluster, name) for name in ("_osd_safe_to_destroy", "_osd_purge")}
    left = dict.fromkeys([("osd stop", "_osd_safe_to_destroy"), ("osd crush remove", "_osd_purge")], 5)

    def answering(name):
        def answer(*given, **words):
            after = (next((prefix for prefix, _words in reversed(cluster.sent) if prefix in ("osd stop", "osd crush remove")), ""), name)
            if left.get(after):
                left[after] -= 1
                raise CommandFailed(name, -11, "not all PGs are active+clean; we cannot draw any conclusions.")
            return real[name](*given, **words)

        return answer

    for name in real:
        setattr(cluster, name, answering(name))
    assert not reconcile(removal(cluster, [6])).error
    assert not any(left.values())
    assert 6 not in cluster.osds


def test_too_few_domains():
    cluster = Simulated({name: HOSTS[name] for name in ("ceph1", "ceph2", "ceph3")})
    (told,) = problems(cluster, hosts=["ceph3"])
    needs = "the rule replicated_rule needs 3 of host with OSDs below default: there would be room for 2"
    assert told == f"osd.4, osd.5: refused, the pools keep 3 copies or chunks, and {needs} (vms)"
    assert not removal(cluster, [4]).plan(removal(cluster, [4]).observe()).refusals(), "one of two OSDs of a host may go"


def test_a_dead_host_that_was_the_last_domain_is_not_removed_either():
    cluster = Simulated({name: HOSTS[name] for name in ("ceph1", "ceph2", "ceph3")})
    for number in (4, 5):
        cluster.osds[number]["up"] = False
    assert "there would be room for 2" in problems(cluster, hosts=["ceph3"], accept_health=["OSD_DOWN"])[0]


def test_one_host_of_three_gets_all_of_what_its_other_disk_had():
    """With as many hosts as copies, nothing moves between hosts: the disk beside it must have room for all."""
    cluster = Simulated({"ceph1": [0, 1], "ceph2": [2, 3], "ceph3": [4, 5]}, pg_num=90, pg_bytes=10 << 30)
    (told,) = problems(cluster, [5])
    assert "fuller than nearfull (85 %): osd.4 on ceph3 87.9 %" in told
    assert "osd.0" not in told
    assert "Add OSDs, delete data, or remove fewer at once" in told


def test_a_disk_that_is_too_full_already_and_gets_nothing_is_no_obstacle():
    cluster = Simulated({"ceph1": [0, 1], "ceph2": [2, 3], "ceph3": [4, 5]}, pg_num=60, pg_bytes=10 << 30)
    real = cluster._osd_df
    cluster._osd_df = lambda: {"nodes": [{**node, "kb_used": node["kb"]} if node["id"] == 0 else node for node in real()["nodes"]]}
    assert not reconcile(removal(cluster, [5]), check_mode=True).error


def test_health():
    cluster = Simulated(HOSTS)
    cluster.checks = {"SLOW_OPS": {"summary": {"message": "3 slow ops"}}, "OBJECT_MISPLACED": {"summary": {"message": "…"}}}
    (told,) = problems(cluster, [7])
    assert told == (
        "osd.7: refused, the cluster is HEALTH_WARN: SLOW_OPS: 3 slow ops. Repair it, or, if data may be moved all the same, name it in accept_health: SLOW_OPS"
    )
    assert not reconcile(removal(cluster, [7], accept_health=["SLOW_OPS"]), check_mode=True).error
    cluster.checks["SLOW_OPS"]["muted"] = True
    assert not reconcile(removal(cluster, [7]), check_mode=True).error


@pytest.mark.parametrize(("dead", "refused"), [([7], False), ([7, 0], True)])
def test_only_what_follows_from_the_osds_that_go_is_accepted(dead, refused):
    cluster = Simulated(HOSTS)
    for number in dead:
        cluster.osds[number]["up"] = False
    cluster.checks = {name: {"summary": {"message": "…"}} for name in ("OSD_DOWN", "PG_DEGRADED")}
    outcome = reconcile(removal(cluster, [7]), check_mode=True)
    assert bool(outcome.error) is refused


def test_a_flag():
    cluster = Simulated(HOSTS)
    cluster.flags = "sortbitwise,norebalance"
    assert problems(cluster, [7]) == ["osd.7: refused, no data moves while norebalance is set: unset it (ceph osd unset norebalance)"]


def test_an_osd_of_another_host():
    cluster = Simulated(HOSTS)
    (told,) = problems(cluster, [7], cluster_only=False, hostname="ceph1")
    assert told.startswith("osd.7 is on ceph4, and this is ceph1: remove it there")


def test_one_that_is_not_there():
    cluster = Simulated(HOSTS)
    assert not reconcile(removal(cluster, [99], ["ceph9"])).plan


def test_a_dead_disk_whose_copies_are_elsewhere():
    cluster = Simulated(HOSTS)
    cluster.osds[7]["up"] = False
    outcome = reconcile(removal(cluster, [7]))
    assert not outcome.error
    assert "osd stop" not in [prefix for prefix, _words in cluster.sent]
    assert 7 not in cluster.osds


def test_the_only_copy():
    cluster = Simulated(HOSTS, size=1)
    cluster.osds[7]["up"] = False
    cluster.frozen = True
    outcome = reconcile(removal(cluster, [7]))
    assert "may have their only copy on it: bring it back, or lose them. To allow it, name it in allow_loss: osd/osd.7" in outcome.error
    assert not cluster.sent
    assert not reconcile(removal(cluster, [7], allow_loss=["osd/osd.7"]), allow_loss=["osd/osd.7"]).error or 7 not in cluster.osds


def test_one_that_is_up_is_never_lost_whatever_is_allowed():
    cluster = Simulated(HOSTS, size=1)
    assert not reconcile(removal(cluster, [7], allow_loss=["osd/osd.7"]), allow_loss=["osd/osd.7"]).error
    assert all(now and now != [7] for now in cluster.acting.values())


# -- a disk that is replaced


@pytest.fixture
def unit(monkeypatch):
    """The OSD's unit on this host."""
    left = osd_leftovers.Left(systemd.Unit(True, True, "active", 1))

    def observe(numbers, fsid, allow):
        return osd_leftovers.Host(fsid, {number: left if clusters[-1].osds[number]["up"] else osd_leftovers.Left() for number in numbers}, {})

    clusters = []

    def stop(name):
        clusters[-1].osds[int(name.partition("@")[2].partition(".")[0])]["up"] = False

    monkeypatch.setattr(osd_leftovers, "observe", observe)
    monkeypatch.setattr(systemd, "stop", stop)
    monkeypatch.setattr(osd_removal.process, "run", lambda words, **more: "")
    return clusters.append


def replaced(cluster, numbers, **more):
    uuids = {number: f"uuid-{number}" for number in numbers}
    return removal(cluster, numbers, state="destroyed", cluster_only=False, hostname="ceph4", **{"uuids": uuids, **more})


def test_a_disk_that_is_replaced(unit):
    cluster = Simulated(HOSTS)
    unit(cluster)
    acting = dict(cluster.acting)
    outcome = reconcile(replaced(cluster, [7]))
    assert not outcome.error
    assert ids(outcome.plan) == ["flag/osd.7/noout", "unit/ceph-osd@7.service", "osd/osd.7"]
    assert [prefix for prefix, _words in cluster.sent] == ["config-key set", "osd set-group", "osd destroy"]
    assert cluster.osds[7]["weight"] == 1.0
    assert cluster.acting == acting, "nothing moved to others"
    assert not reconcile(replaced(cluster, [7])).plan
    # What is made anew in its place is left alone.
    cluster.states[7] = {"exists"}
    cluster.osds[7]["up"] = True
    assert not reconcile(replaced(cluster, [7], uuids={7: "another"})).plan
    assert not reconcile(removal(cluster, [7], uuids={7: "another"})).plan
    assert "it is written with the first letters of its uuid, .*: osd.7@uuid-7" in reconcile(replaced(cluster, [7], uuids={})).error.replace(
        "so that the next run leaves alone what is made anew in its place", ".*"
    )


@pytest.mark.parametrize("moment", range(3))
def test_a_replacement_that_is_killed_is_finished(unit, moment):
    cluster = Simulated(HOSTS)
    unit(cluster)
    cluster.kill_at = moment
    with pytest.raises(Killed):
        reconcile(replaced(cluster, [7]))
    assert not reconcile(replaced(cluster, [7])).error
    assert {"destroyed", "noout"} <= cluster.states[7]
    assert "cephstack/noout/osd.7" in cluster.notes


def test_what_the_cluster_needs_is_not_replaced():
    cluster = Simulated(HOSTS)
    cluster.needed = "osds needed"
    provider = replaced(cluster, [6, 7])
    with pytest.raises(Invalid, match=r"osd\.6, osd\.7: refused, the cluster says that they must not stop at once: .* Replace fewer at once, or wait"):
        provider.plan(provider.observe())
    assert not cluster.sent


def incomplete(cluster, looks):
    """Copies are being made; they are all there after some looks."""
    left, real = [looks], cluster._pg_dump

    def dump(dumpcontents):
        left[0] -= 1
        state = "active+undersized+degraded" if left[0] >= 0 else "active+clean"
        return {"pg_stats": [{**pg, "state": state} for pg in real(dumpcontents)["pg_stats"]]}

    cluster._pg_dump = dump
    cluster.checks = {"PG_DEGRADED": {"summary": {"message": "Degraded data redundancy"}}}


def test_one_whose_copies_are_not_all_in_place_is_not_replaced(unit):
    cluster = Simulated(HOSTS)
    unit(cluster)
    incomplete(cluster, 99)
    cluster.osds[0]["up"] = False
    with pytest.raises(Invalid, match=r"have not all their copies where they belong, while osd\.0 is down: repair that, and wait until they have"):
        replaced(cluster, [7]).plan(replaced(cluster, [7]).observe())
    cluster.osds[0].update(up=True)
    cluster.flags = "norecover"
    with pytest.raises(Invalid, match="while norecover is set"):
        replaced(cluster, [7]).plan(replaced(cluster, [7]).observe())


def test_copies_that_are_being_made_are_waited_for(unit):
    """As of a disk that was replaced a moment ago: of two, the second goes when the first one has its copies."""
    cluster = Simulated(HOSTS)
    unit(cluster)
    incomplete(cluster, 6)
    outcome = reconcile(replaced(cluster, [7]))
    assert not outcome.error
    assert ids(outcome.plan) == ["data/osd.7", "flag/osd.7/noout", "unit/ceph-osd@7.service", "osd/osd.7"]
    assert "destroyed" in cluster.states[7]
    stuck = Simulated(HOSTS)
    unit(stuck)
    incomplete(stuck, 10**6)
    error = reconcile(replaced(stuck, [7])).error
    assert "osd.7 may not stop yet, for placement groups on it have not all their copies" in error
    assert "The cluster says: PG_DEGRADED" in error
    assert not stuck.sent


@pytest.mark.parametrize("code", [11, 16])
def test_a_replacement_waits_while_placement_groups_peer_after_the_stop(unit, code):
    cluster = Simulated(HOSTS)
    unit(cluster)
    real, left = cluster._osd_ok_to_stop, [8]

    def answer(ids):
        if not cluster.osds[7]["up"] and left[0]:
            left[0] -= 1
            raise CommandFailed("osd ok-to-stop", -code, "1 pgs have unknown state; cannot draw any conclusions")
        return real(ids)

    cluster._osd_ok_to_stop = answer
    assert not reconcile(replaced(cluster, [7])).error
    assert left == [0]


def test_a_replacement_that_comes_right_after_something_else_is_not_refused_for_that(unit):
    """Placement groups peer, and the health checks that say so are older than their states."""
    cluster = Simulated(HOSTS)
    unit(cluster)
    states, real = ["peering", "remapped+peering", "activating"], cluster._status
    cluster._status = lambda: {"pgmap": {"pgs_by_state": [{"state_name": states.pop(), "count": 1}]}} if states else real()
    cluster.checks = {name: {"summary": {"message": "older"}} for name in ("PG_AVAILABILITY", "PG_DEGRADED")}
    assert not reconcile(replaced(cluster, [7])).error
    assert not states


# -- the wait


def test_a_wait_that_stalls_says_why_and_the_next_run_goes_on():
    cluster = Simulated(HOSTS, per_step=2)
    cluster.frozen = True
    outcome = reconcile(removal(cluster, [7]))
    assert "nothing has moved for 60 s, and osd.7 is not safe to destroy yet" in outcome.error
    assert "active+remapped+backfill_wait" in outcome.error
    assert "it goes on where it ended" in outcome.error
    assert cluster.osds[7]["up"]
    cluster.frozen = False
    assert not reconcile(removal(cluster, [7])).error


def test_a_wait_lasts_as_long_as_something_moves():
    """One placement group at a time, 60 of them: far longer than the patience."""
    cluster = Simulated(HOSTS, pg_num=256, per_step=1)
    assert not reconcile(removal(cluster, [7], patience=5)).error


def test_progress():
    watch = movement.Watch(60)
    watch.see(0, movement.Moment(0, 0, 0, 20))
    watch.see(10, movement.Moment(1000, 100 << 20, 0, 20))
    watch.see(20, movement.Moment(750, 75 << 20, 5 << 20, 14))
    assert watch.text() == "25 % moved, 75 MiB left, 2.5 MiB/s, 30 s to go, 14 placement groups still there"
    watch.see(79, movement.Moment(750, 75 << 20, 0, 14))
    assert not watch.stalled
    assert "nothing has moved for 59 s" in watch.text()
    watch.see(80, movement.Moment(750, 75 << 20, 0, 14))
    assert watch.stalled


def test_without_waiting_it_only_begins():
    cluster = Simulated(HOSTS)
    begin = removal(cluster, [7], state="drained", wait=False)
    outcome = reconcile(begin)
    assert not outcome.error
    assert outcome.returned["drained"] is False
    assert outcome.returned["movement"]["objects"] > 0
    assert not reconcile(begin).plan


def test_540_osds_and_a_host_of_them():
    cluster = Simulated({f"ceph{host}": range(host * 18, host * 18 + 18) for host in range(30)}, pg_num=64, per_step=200)
    outcome = reconcile(removal(cluster, hosts=["ceph7"]))
    assert not outcome.error
    assert len(cluster.osds) == 522
    assert all(len({cluster.host_of(one) for one in now}) == 3 for now in cluster.acting.values())


# -- the host


def host_plan(left, named=None, allow=(), going=(3,)):
    draft = osd_removal.Draft()
    host = osd_leftovers.Host(FSID, dict.fromkeys(going, left), named or {})
    osd_leftovers.plan(draft, host, {number: {f"osd/osd.{number}"} for number in going}, allow)
    return draft


BLOCK = Volume("ceph-5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11/osd-block-5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11", 1, "block", Osd(3, "u3", FSID, "lvm"))
DATABASE = Volume("fast/db3", 1, "db", Osd(3, "u3", FSID, "lvm"))
LEFT = osd_leftovers.Left(systemd.NO_UNIT, ("ceph-volume@lvm-3-u3.service",), True, True, (BLOCK, DATABASE))


def test_what_a_host_has_goes_and_its_disks_stay():
    draft = host_plan(LEFT)
    assert [change.id for change in draft.changes] == ["boot_unit/osd.3", "data_folder//var/lib/ceph/osd/ceph-3", "drop_in/ceph-osd@3.service"]
    assert not [change for change in draft.changes if change.risk is Risk.LOSS]
    assert draft.warnings == [f"what was osd.3 stays on volume/{BLOCK.name}, volume/fast/db3: to have it wiped, name it in allow_loss"]


def test_only_what_is_named_is_wiped():
    disk = Found("/dev/sdb", BLOCK.osd, (f"osd.3 of the cluster {FSID}",), volumes=(BLOCK,))
    allow = ["device//dev/disk/by-id/a", "volume/fast/db3"]
    draft = host_plan(LEFT, {"/dev/disk/by-id/a": disk}, allow)
    wiped = [change for change in draft.changes if change.risk is Risk.LOSS]
    assert [change.id for change in wiped] == ["volume/fast/db3", "device//dev/disk/by-id/a"]
    assert all("osd/osd.3" in change.needs for change in wiped), "never before the cluster has forgotten it"
    folder = next(change for change in draft.changes if change.kind == "data_folder")
    assert {change.id for change in wiped} <= folder.needs, "the drop-in names the disk: it goes last"
    assert not draft.warnings


@pytest.mark.parametrize(
    ("volumes", "others", "said"),
    [
        ((BLOCK, DATABASE._replace(osd=Osd(4, "u4", FSID, "lvm"))), (), "osd.4 of the cluster"),
        ((BLOCK, Volume("vg/home")), (), "vg/home"),
        ((BLOCK, DATABASE._replace(osd=Osd(3, "u3", "another", "lvm"))), (), "osd.3 of the cluster another"),
        ((BLOCK,), ("/dev/sdc",), "a volume group that lies on /dev/sdc as well"),
    ],
)
def test_a_disk_that_carries_others_too_is_refused(volumes, others, said):
    disk = Found("/dev/sdb", BLOCK.osd, ("…",), volumes=volumes, others=others)
    draft = host_plan(LEFT, {"/dev/sdb": disk}, ["device//dev/sdb"])
    (told,) = draft.problems
    assert told.startswith("device//dev/sdb is not wiped: it also carries ")
    assert said in told
    assert not [change for change in draft.changes if change.kind == "device"]


def test_a_disk_of_others_is_left_alone():
    disk = Found("/dev/sdb", Osd(9, "u9", FSID, "lvm"), (f"osd.9 of the cluster {FSID}",))
    draft = host_plan(LEFT, {"/dev/sdb": disk}, ["device//dev/sdb"])
    assert "nothing of the OSDs that are to be gone: it is not wiped" in draft.warnings[0]
    assert not draft.problems
    assert not [change for change in draft.changes if change.risk is Risk.LOSS]


def test_a_disk_that_is_gone_is_no_obstacle():
    draft = host_plan(LEFT, {"/dev/sdb": Found()}, ["device//dev/sdb"])
    assert not draft.problems


@pytest.mark.parametrize("given", ["osd.x", "", "-1", "osd.3@", "osd.3@xyz"])
def test_what_is_no_osd(given):
    with pytest.raises(Invalid, match="is not an OSD"):
        osd_removal.parse([given])


def test_spellings():
    assert osd_removal.parse(["osd.3", "3", "03", "osd.1@1b74c6a2"]) == {1: "1b74c6a2", 3: ""}
    with pytest.raises(Invalid, match="given twice, with different uuids"):
        osd_removal.parse(["osd.3@1b74c6a2", "osd.3"])
