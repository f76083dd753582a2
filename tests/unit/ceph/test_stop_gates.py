# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import stop_gates


@pytest.mark.parametrize(
    "state",
    [
        "peering",
        "remapped+peering",
        "activating+undersized",
        "creating+peering",
        "unknown",
        "active+undersized+remapped",
        "active+recovering+undersized+remapped",
    ],
)
def test_what_passes_by_itself_is_waited_for(state):
    """The last two: the balancer moved a group that has little to learn, and two of three copies serve until the third one has learned it."""
    assert stop_gates.passes(state)


@pytest.mark.parametrize(
    "state",
    [
        "active+clean",
        "active+clean+remapped",
        "active+undersized+degraded",
        "active+undersized+degraded+remapped+backfill_wait",
        "active+recovery_unfound+undersized+degraded+remapped",
        "active+recovery_toofull+undersized+remapped",
        "down+peering",
        "incomplete",
    ],
)
def test_what_lasts_is_no_reason_to_ask_again(state):
    assert not stop_gates.passes(state)
