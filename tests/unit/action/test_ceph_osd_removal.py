# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wait for data in a playbook: what is in the way is found first, then short calls, with a line between them."""

from __future__ import annotations

import types

import pytest

from ansible_collections.cephstack.cloud.plugins.action import ceph_mon_info, ceph_osd_removal
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _progress

ARGS = {"osds": ["osd.3"], "hosts": [], "allow_loss": ["device//dev/sdb"]}
DATA = {"kind": "data", "name": "osd.3"}
PLANNED = {"changed": True, "changes": [DATA, {"kind": "osd", "name": "osd.3"}], "diff": ["planned"]}
DONE = {"changed": True, "changes": [{"kind": "osd", "name": "osd.3"}], "diff": ["rest"]}


def begun(objects, drained=False):
    return {"changed": True, "changes": [], "drained": drained, "movement": {"objects": objects, "bytes": objects << 20, "rate": 0, "pgs": 9}}


@pytest.fixture
def play(monkeypatch):
    """Give answers one after the other; return what came of it, what was asked, and what was shown."""

    def go(answers, check_mode=False, **args):
        asked, shown, now = [], [], [0.0]
        task = types.SimpleNamespace(args={**ARGS, **args}, check_mode=check_mode, action="cephstack.cloud.ceph_osd_removal")
        left = list(answers)

        def answer(self, module_name=None, module_args=None, task_vars=None, **more):
            asked.append((self._task.check_mode, {name: module_args[name] for name in ("state", "wait", "osds") if name in module_args}))
            return left.pop(0)

        monkeypatch.setattr(ceph_mon_info.ActionModule, "_execute_module", answer)
        monkeypatch.setattr(_progress, "Display", lambda: types.SimpleNamespace(display=shown.append))
        monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
        monkeypatch.setattr(_progress.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
        plugin = object.__new__(ceph_osd_removal.ActionModule)
        plugin._task = task
        result = plugin._execute_module()
        assert not left
        assert task.check_mode is check_mode
        return result, asked, shown

    return go


def test_data_that_moves_is_shown(play):
    answers = [PLANNED, *(begun(1000 - 100 * step) for step in range(9)), begun(0, drained=True), DONE]
    result, asked, shown = play(answers)
    assert asked[0] == (True, {"osds": ["osd.3"]}), "all that is in the way is found first"
    assert asked[1] == (False, {"osds": ["osd.3"], "state": "drained", "wait": False})
    assert asked[-1] == (False, {"osds": ["osd.3"]})
    assert shown == [
        "osd.3: 0 % moved, 1000 MiB left, 9 placement groups still there",
        "osd.3: 60 % moved, 400 MiB left, 20 MiB/s, 20 s to go, 9 placement groups still there",
    ]
    assert result == {"changed": True, "changes": PLANNED["changes"], "diff": PLANNED["diff"]}


def test_what_is_refused_begins_nothing(play):
    result, asked, _shown = play([{"failed": True, "msg": "refused"}])
    assert result["failed"]
    assert [check for check, _args in asked] == [True]


def test_nothing_to_move_is_one_call_more(play):
    result, asked, shown = play([{"changed": False, "changes": []}, {"changed": False, "changes": []}])
    assert (result["changed"], len(asked), shown) == (False, 2, [])


def test_check_mode_is_one_call(play):
    result, asked, _shown = play([PLANNED], check_mode=True)
    assert result == PLANNED
    assert [check for check, _args in asked] == [True]


def test_what_stalls_is_left_to_the_module_to_tell(play):
    answers = [PLANNED, *[begun(1000)] * 4, {"failed": True, "msg": "nothing has moved"}]
    result, _asked, _shown = play(answers, patience=15)
    assert result == {"failed": True, "msg": "nothing has moved"}


def test_copies_that_are_being_made_are_only_looked_at(play):
    """Of a disk that is to be replaced nothing is drained: it is planned again and again, until nothing is left to be waited for."""
    waiting = {**begun(500), **PLANNED}
    rest = {**begun(0), "changes": [{"kind": "osd", "name": "osd.3"}]}
    result, asked, shown = play([waiting, waiting, waiting, rest, DONE], state="destroyed")
    assert [check for check, _args in asked] == [True, True, True, True, False]
    assert {args["state"] for _check, args in asked} == {"destroyed"}
    assert len(shown) == 1
    assert result == {"changed": True, "changes": PLANNED["changes"], "diff": PLANNED["diff"]}
