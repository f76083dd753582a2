# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for a host that goes into maintenance, and comes back. tests/daemons does it with a real cluster."""

from __future__ import annotations

import json

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import maintenance, stop_gates
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maintenance import FILE, Note, Observed
from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import Unit
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

RUNS, ENDED, ENDING = Unit(True, True, "active", 1), Unit(True, False, "inactive"), Unit(True, False, "deactivating")
NAMES = ("ceph-mon@c1.service", "ceph-mgr@c1.service", "ceph-osd@0.service", "ceph-osd@4.service", "ceph-radosgw@rgw.c1.s3.service", "nfs-ganesha.service")
HELD = [*maintenance.drop_in_paths(), FILE]
NOTE = Note("c1", tuple(sorted(NAMES)), True)


def plan(state, observed):
    return maintenance.Provider(None, "ceph1", state, "c1").plan(observed)


def stages(made):
    return [[change.id for change in stage] for stage in made.stages()]


def units(unit):
    return dict.fromkeys(NAMES, unit)


def test_in_which_order_it_stops_and_starts():
    made = plan("entered", Observed(None, units(RUNS), [], {0: True, 4: True}, False))
    assert stages(made) == [
        ["maintenance/ceph1"],
        ["flag/c1/noout"],
        [f"drop_in/{FILE}"],
        ["unit/ceph-radosgw@rgw.c1.s3.service", "unit/nfs-ganesha.service"],
        ["unit/ceph-osd@0.service", "unit/ceph-osd@4.service"],
        ["unit/ceph-mgr@c1.service"],
        ["unit/ceph-mon@c1.service"],
    ]
    assert made.warnings == ["ceph1 is an NFS gateway: its clients wait until it is back"]
    made = plan("left", Observed(NOTE, units(ENDED), HELD, {0: False, 4: False}, True))
    assert stages(made) == [
        [f"drop_in/{FILE}"],
        ["unit/ceph-mon@c1.service"],
        ["unit/ceph-mgr@c1.service"],
        ["unit/ceph-osd@0.service", "unit/ceph-osd@4.service"],
        ["unit/ceph-radosgw@rgw.c1.s3.service", "unit/nfs-ganesha.service"],
        ["data/c1"],
        ["flag/c1/noout"],
        ["maintenance/ceph1"],
    ]


def test_a_second_run_has_nothing_to_do():
    assert not plan("entered", Observed(NOTE, units(ENDED), HELD, {0: False, 4: False}, True))
    assert not plan("left", Observed(None, units(RUNS), [], {0: True, 4: True}, False))


def test_what_an_ended_run_has_begun_is_finished():
    """The note knows what ran, also what is stopped by now, and whose the flag is."""
    some = {**units(RUNS), "ceph-radosgw@rgw.c1.s3.service": ENDED}
    made = plan("entered", Observed(NOTE, some, HELD[:3], {0: True, 4: True}, True))
    assert stages(made)[0] == [f"drop_in/{FILE}"]
    stopping = {**units(ENDED), "nfs-ganesha.service": ENDING}
    assert stages(plan("entered", Observed(NOTE, stopping, HELD, {0: False, 4: False}, True))) == [["unit/nfs-ganesha.service"]]
    assert "unit/nfs-ganesha.service" in {change.id for change in plan("left", Observed(NOTE, stopping, HELD, {0: False, 4: False}, True)).changes}
    begun = Note("c1", NOTE.units, True, "leaving")
    unseen = ["ceph-mon@c1.service"]  # a killed run has stopped it, and has not waited
    assert stages(plan("entered", Observed(NOTE, units(ENDED), HELD, {0: False, 4: False}, True, unseen=unseen))) == [["unit/ceph-mon@c1.service"]]
    made = plan("left", Observed(begun, {**units(ENDED), "ceph-mon@c1.service": RUNS}, [], {0: False, 4: False}, True))
    assert stages(made)[0] == ["unit/ceph-mgr@c1.service"]
    again = plan("entered", Observed(begun, units(ENDED), [], {0: False, 4: False}, True))
    assert stages(again) == [["maintenance/ceph1"], [f"drop_in/{FILE}"]]
    assert again.diff()[0]["after"] == {"state": "entered"}


def test_a_host_whose_system_was_made_anew_is_left_to_site():
    made = plan("left", Observed(NOTE, {}, [], {0: False}, True, lost=NOTE.units))
    assert stages(made) == [["maintenance_state/ceph1"], ["data/c1"], ["flag/c1/noout"], ["maintenance/ceph1"]]


def test_a_host_that_is_gone_is_forgotten():
    assert stages(plan("forgotten", Observed(NOTE, {}, [], {}, True))) == [["flag/c1/noout"], ["maintenance/ceph1"]]
    assert stages(plan("forgotten", Observed(NOTE, {}, [], {}, None))) == [["maintenance/ceph1"]]
    assert not plan("forgotten", Observed(None, {}, [], {}, None))


def test_a_flag_of_somebody_else_is_neither_set_nor_taken_back():
    made = plan("entered", Observed(None, {}, HELD, {0: True}, True))
    assert [(change.id, change.after["noout"]) for change in made.changes] == [("maintenance/ceph1", False)]
    made = plan("left", Observed(Note("c1", (), False), {}, HELD, {0: True}, True))
    assert "flag/c1/noout" not in [change.id for change in made.changes]


def test_a_host_without_osds():
    assert stages(plan("entered", Observed(None, {}, [], {}, None))) == [["maintenance/ceph1"], [f"drop_in/{FILE}"]]
    assert stages(plan("left", Observed(Note("c1"), {}, HELD, {}, None))) == [[f"drop_in/{FILE}"], ["maintenance/ceph1"]]


def test_what_has_gone_meanwhile_is_not_started():
    made = plan("left", Observed(NOTE, units(ENDED), [], {0: False}, True, lost=["ceph-osd@4.service"]))
    assert "unit/ceph-osd@4.service" not in [change.id for change in made.changes]


def test_without_a_note_what_is_enabled_starts():
    made = plan("left", Observed(None, {NAMES[0]: ENDED, NAMES[2]: Unit(False, False)}, [FILE], {0: False}, None))
    assert [change.id for change in made.changes] == [f"drop_in/{FILE}", f"unit/{NAMES[0]}", "data/c1"]


def test_all_that_is_in_the_way_is_told():
    with pytest.raises(Invalid) as told:
        plan("entered", Observed(None, units(RUNS), [], {0: True}, False, refusals=["osd.0: no", "mgr.c1: no"]))
    assert told.value.problems == ["ceph1 stays as it is: refused, osd.0: no", "ceph1 stays as it is: refused, mgr.c1: no"]


def test_who_is_left_alone():
    dump = {
        "cephstack/noout/osd.3": "replaced",
        "cephstack/maintenance/ceph1": json.dumps(NOTE.shown()),
        "cephstack/maintenance/ceph2": json.dumps(Note("c2", (), False, "leaving").shown()),
    }
    assert maintenance.notes_of(dump)["ceph1"] == NOTE
    assert maintenance.left_alone(dump) == ["ceph1"], "site sets right a host that is on its way back"
    assert maintenance.left_alone("") == []


@pytest.mark.parametrize(
    ("states", "refused", "asked"),
    [
        (["peering"], False, 2),
        (["remapped+peering", "peering"], False, 3),
        (["active+remapped"], False, 2),  # it peered until just before
        (["active+undersized", "active+undersized"], True, 2),
        (["down+peering", "down+peering"], True, 2),
    ],
)
def test_what_peers_for_a_moment_is_no_refusal_and_what_stays_is(states, refused, asked, monkeypatch):
    """As whenever the balancer moves placement groups. states: what is seen after each refusal."""
    left, questions = list(states), []

    class Cluster:
        def command(self, prefix, **words):
            questions.append(words["ids"])
            if left or refused:
                raise CommandFailed(prefix, -16, "unsafe to stop osd(s) at this time (4 PGs are or would become offline)")
            return {"ok_to_stop": True}

        def mgr_command(self, prefix):
            return {"pg_summary": {"num_pg_by_state": [{"name": left.pop(0), "num": 4}, {"name": "active+clean", "num": 60}]}}

    monkeypatch.setattr("ansible_collections.cephstack.cloud.plugins.module_utils._host.wait.time.sleep", lambda seconds: None)
    assert bool(stop_gates.osds(Cluster(), [0, 4])) == refused
    assert questions == [["0", "4"]] * asked


def test_which_placement_groups_are_yet_to_become_whole():
    pgs = [
        {"pgid": "1.0", "state": "active+clean"},
        {"pgid": "1.1", "state": "active+clean+scrubbing"},
        {"pgid": "1.2", "state": "active+undersized+degraded"},
        {"pgid": "1.3", "state": "active+undersized+degraded+recovering"},
        {"pgid": "1.4", "state": "peering"},
    ]
    assert maintenance.unrecovered(pgs, False) == ["1.2", "1.3", "1.4"]
    assert maintenance.unrecovered(pgs, True) == ["1.3", "1.4"], "of 1.2, a copy is on a host that is down"


def test_which_pools_would_not_be_served():
    dump = {"pools": [{"pool": 1, "pool_name": "kept", "min_size": 2}, {"pool": 2, "pool_name": "single", "min_size": 1}]}
    pgs = [{"pgid": "1.0", "acting": [0, 1, 2]}, {"pgid": "2.0", "acting": [1]}, {"pgid": "2.1", "acting": [2]}]
    assert stop_gates.pools_of(dump, pgs, [0]) == []
    assert stop_gates.pools_of(dump, pgs, [1]) == ["single"]
    assert stop_gates.pools_of(dump, pgs, [0, 1]) == ["kept", "single"]


def test_which_gateways_run():
    rows = {
        "summary": "",
        "4711": {"metadata": {"id": "c1.s3", "zone_name": "eu", "hostname": "c1.example.org"}},
        "4712": {"metadata": {"id": "c2.s3", "zone_name": "eu", "hostname": "c2"}},
        "4713": {"metadata": {"id": "c2.us", "zone_name": "us", "hostname": "c2"}},
    }

    class Cluster:
        def command(self, prefix):
            assert prefix == "service dump"
            return {"services": {"rgw": {"daemons": rows}}}

    assert stop_gates.rgws(Cluster(), ["rgw.c1.s3"]) == ""
    assert "no other gateway of the zone us runs" in stop_gates.rgws(Cluster(), ["rgw.c2.s3", "rgw.c2.us"])
    assert "of the zone eu runs" in stop_gates.rgws(Cluster(), ["rgw.c1.s3"], ["c2"])
