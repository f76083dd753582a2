# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import re

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import keyring_files, mons
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
OTHER = "11111111-1c7e-4d36-a5b7-3a8b0f4b8a11"
RUNS = systemd.Unit(True, True, "active", 1)
FILE = keyring_files.File(True, Secret("AQ=="), "root", "root", "0600")
WANTED = mons.Provider("ceph1", "10.0.0.1", "10.0.0.0/24")
RUNNING = mons.Observed(
    data=True,
    unit=RUNS,
    own_fsid=FSID,
    fsid=FSID,
    mon_host="[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]",
    monmap={"ceph1": frozenset({"10.0.0.1"})},
    quorum=["ceph1"],
    key=Secret("AQ=="),
    file=FILE,
    own=dataclasses.replace(FILE, owner="ceph", group="ceph"),
)


def plan(wanted, observed):
    return wanted.plan(observed)


def problems(wanted, observed):
    with pytest.raises(Invalid) as error:
        plan(wanted, observed)
    return error.value.problems


def test_a_running_monitor_needs_nothing():
    assert not plan(WANTED, RUNNING)


def test_the_first_monitor_bootstraps_the_cluster():
    changes = plan(dataclasses.replace(WANTED, bootstrap=True), mons.Observed()).rows()
    assert [(row["kind"], row["action"], row["stage"]) for row in changes] == [("mon", "create", 1), ("unit", "create", 2), ("keyring", "create", 3)]


def test_without_a_cluster_only_the_chosen_host_bootstraps_one():
    assert "not told to bootstrap one" in problems(WANTED, mons.Observed())[0]


def test_a_new_monitor_joins_even_where_it_might_found():
    observed = mons.Observed(fsid=FSID, monmap={"ceph2": frozenset({"10.0.0.2"})}, quorum=["ceph2"], key=Secret("AQ=="))
    change = plan(dataclasses.replace(WANTED, bootstrap=True), observed).changes[0]
    assert change.after == {"address": "10.0.0.1", "fsid": FSID, "by": "joining mon.ceph2"}


def test_a_stopped_monitor_is_started_and_nothing_else():
    observed = dataclasses.replace(RUNNING, unit=systemd.Unit(True, False, "failed", 0), monmap=None, key=None, fsid=None, own_fsid=None)
    (change,) = plan(WANTED, observed).changes
    assert (change.id, change.before, change.after) == ("unit/ceph-mon@ceph1.service", {"running": False}, {"running": True})


def test_a_tampered_admin_keyring_is_seen_and_its_key_is_not_shown():
    (change,) = plan(WANTED, dataclasses.replace(RUNNING, file=dataclasses.replace(FILE, key=Secret("AQbad=")))).changes
    assert change.kind == "keyring"
    assert "AQ" not in str(plan(WANTED, dataclasses.replace(RUNNING, file=dataclasses.replace(FILE, key=Secret("AQbad=")))).diff())


def test_another_fsid_and_a_foreign_address_are_told_together():
    wanted = mons.Provider("ceph1", "192.168.0.1", "10.0.0.0/24", fsid=OTHER)
    found = problems(wanted, RUNNING)
    assert any("outside the public network" in one for one in found)
    assert any(FSID in one and OTHER in one for one in found)


def test_several_public_networks():
    assert not plan(dataclasses.replace(WANTED, public_network="192.168.0.0/24, 10.0.0.0/24"), RUNNING)


def test_an_address_of_another_monitor_is_refused():
    observed = mons.Observed(fsid=FSID, monmap={"ceph2": frozenset({"10.0.0.1"})}, quorum=["ceph2"], key=Secret("AQ=="))
    assert problems(WANTED, observed) == ["mon.ceph1: its address 10.0.0.1 belongs to mon.ceph2 in the monmap"]


def test_a_monitor_in_quorum_is_never_told_to_be_removed():
    """Neither where this host was moved, nor where another host with the same short name carries it."""
    moved = dataclasses.replace(WANTED, address="10.0.0.9")
    for observed in (RUNNING, dataclasses.replace(RUNNING, data=False, unit=systemd.NO_UNIT, own_fsid=None)):
        (told,) = problems(moved, observed)
        assert "10.0.0.1, in quorum" in told and "ceph_common_address" in told and "one short name" in told
        assert not re.search(r"remov|join anew|mon rm|take it out", told), told


def test_a_monitor_that_is_out_of_quorum_at_another_address():
    observed = mons.Observed(fsid=FSID, monmap={"ceph1": frozenset({"10.0.0.1"}), "ceph2": frozenset({"10.0.0.2"})}, quorum=["ceph2"], key=Secret("AQ=="))
    (told,) = problems(dataclasses.replace(WANTED, address="10.0.0.9"), observed)
    assert "10.0.0.1, in no quorum" in told and "one short name" in told


def test_data_that_the_cluster_does_not_know_is_not_started():
    observed = dataclasses.replace(RUNNING, monmap={"ceph2": frozenset({"10.0.0.2"})})
    assert "does not know it" in problems(WANTED, observed)[0]


def test_data_of_another_cluster_is_refused():
    assert any("another cluster" in one for one in problems(WANTED, dataclasses.replace(RUNNING, own_fsid=OTHER)))


def test_a_malformed_fsid():
    assert "no UUID" in problems(dataclasses.replace(WANTED, fsid="mine", bootstrap=True), mons.Observed())[0]
