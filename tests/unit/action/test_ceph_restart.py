# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wait of a round in a playbook: the cluster is asked by short calls, with a line between them, and then the daemons restart."""

from __future__ import annotations

import types

import pytest

from ansible_collections.cephstack.cloud.plugins.action import ceph_mon_info, ceph_restart
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _progress

DONE = {"changed": True, "changes": [{"kind": "unit", "name": "ceph-osd@3.service"}]}


def waits(left, text="placement groups"):
    return {"changed": True, "waits": f"{left} {text}" if left else "", "movement": {"objects": left, "bytes": left << 20, "rate": 0, "pgs": left}}


@pytest.fixture
def play(monkeypatch):
    """Give answers one after the other; return what came of it, in which modes it was asked, and what was shown."""

    def go(answers, check_mode=False, **args):
        asked, shown, now, left = [], [], [0.0], list(answers)
        task = types.SimpleNamespace(args={"daemons": ["osd.3"], **args}, check_mode=check_mode, action="cephstack.cloud.ceph_restart")

        def answer(self, module_name=None, module_args=None, task_vars=None, **more):
            asked.append((self._task.check_mode, module_args.get("patience")))
            return left.pop(0)

        monkeypatch.setattr(ceph_mon_info.ActionModule, "_execute_module", answer)
        monkeypatch.setattr(_progress, "Display", lambda: types.SimpleNamespace(display=shown.append))
        monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
        monkeypatch.setattr(_progress.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
        plugin = object.__new__(ceph_restart.ActionModule)
        plugin._task = task
        result = plugin._execute_module()
        assert not left
        assert task.check_mode is check_mode
        return result, asked, shown

    return go


def test_what_is_waited_for_is_shown(play):
    result, asked, shown = play([*(waits(12 - left) for left in range(13)), DONE])
    assert result == DONE
    assert asked == [*[(True, None)] * 13, (False, None)]
    assert shown == ["osd.3: waits: 12 placement groups", "osd.3: waits: 2 placement groups"]


def test_what_stalls_is_left_to_the_module_to_tell(play):
    result, asked, _shown = play([*[waits(3)] * 6, {"failed": True, "msg": "nothing has moved"}], patience=15)
    assert result["failed"]
    assert asked[-1] == (False, 10)


def test_what_is_refused_begins_nothing(play):
    result, asked, _shown = play([{"failed": True, "msg": "not here"}] * 2)
    assert (result["msg"], [check for check, _patience in asked]) == ("not here", [True, False]), "the module says it itself"


def test_no_daemons_and_check_mode_are_one_call(play):
    assert play([DONE], daemons=[])[1] == [(False, None)]
    assert play([waits(3)], check_mode=True)[1] == [(True, None)]
