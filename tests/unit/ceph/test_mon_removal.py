# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which monitor may go. tests/daemons removes real ones."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import mon_removal, mons
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

RUNS = systemd.Unit(True, True, "active", 1)
STORE = mons.data_path("c")


def dump(names, quorum=None):
    found = [{"name": name, "rank": rank, "public_addrs": {"addrvec": [{"type": "v2", "addr": f"10.0.0.{rank}:3300"}]}} for rank, name in enumerate(names)]
    return {"mons": found, "quorum": list(range(len(names))) if quorum is None else quorum}


def plan(observed, name="c"):
    return mon_removal.Provider(None, {}, name).plan(observed)


def problem(observed, name="c"):
    with pytest.raises(Invalid) as error:
        plan(observed, name)
    (text,) = error.value.problems
    return text


def test_in_which_order():
    made = plan(mon_removal.Observed(dump("abcd"), "", RUNS, [STORE], True))
    assert [[change.id for change in stage] for stage in made.stages()] == [
        ["mon/c"],
        ["unit/ceph-mon@c.service"],
        [f"store/{STORE}"],
        [f"keyring/{mons.ADMIN_KEYRING}"],
    ]
    assert not made.warnings


def test_a_run_that_was_killed_before_the_store():
    assert [change.id for change in plan(mon_removal.Observed(dump("ab"), "", stores=[mon_removal.aside("c")])).changes] == [f"store/{STORE}"]
    assert not plan(mon_removal.Observed(dump("ab")))


def test_the_last_one():
    assert "mon.c is the only monitor, and the cluster would end with it" in problem(mon_removal.Observed(dump("c")))


def test_what_the_cluster_says():
    told = problem(mon_removal.Observed(dump("abc", [0, 2]), "removing mon.c would break quorum"))
    assert told == "mon.c must stay: the cluster says: removing mon.c would break quorum: start mon.b first, or remove that first"


def test_another_is_outside_the_quorum():
    assert "start mon.e first" in problem(mon_removal.Observed(dump("abcde", [0, 1, 2, 3])))


def test_one_that_is_down_itself_may_go():
    assert [change.id for change in plan(mon_removal.Observed(dump("abc", [0, 1]))).changes] == ["mon/c"]


def test_an_even_number_is_warned_of():
    assert "2 monitors, which survive no more failures than 1" in plan(mon_removal.Observed(dump("abc"))).warnings[0]
