# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ceph_osd_removal, and shows how far the data has moved: a module says nothing until it ends, so it is asked again and again."""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.action.ceph_mon_info import ActionModule as CephModule
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _progress

# Seconds between two questions.
PAUSE = 5.0


class ActionModule(CephModule):
    """The module, with the wait in short calls instead of one long one."""

    def _execute_module(self, module_name: t.Any = None, module_args: t.Any = None, task_vars: t.Any = None, **more: t.Any) -> t.Any:
        args = dict(self._task.args if module_args is None else module_args)

        def call(**other: t.Any) -> dict[str, t.Any]:
            return t.cast("dict[str, t.Any]", CephModule._execute_module(self, module_name, {**args, **other}, task_vars=task_vars, **more))

        if self._task.check_mode or str(args.get("wait", True)).lower() in ("false", "no", "0"):
            return call()

        def plan() -> dict[str, t.Any]:
            answer = _progress.in_check_mode(self._task, call)
            return {**answer, "moving": [f"{row['name']}" for row in answer.get("changes", []) if row["kind"] == "data"]}

        planned = plan()  # all that is in the way is found before anything moves
        moving = planned.pop("moving")
        if planned.get("failed") or not moving:
            return planned if planned.get("failed") else call()

        def ask() -> dict[str, t.Any]:
            if args.get("state") == "destroyed":  # nothing is to be begun: copies are being made
                answer = plan()
                return {**answer, "drained": not answer["moving"]}
            # In the state drained nothing is said of leaving them out, so what was accepted must be given again.
            return call(osds=moving, hosts=[], state="drained", wait=False)

        begun = ask()
        what, patience = ", ".join(moving), float(args.get("patience", _progress.PATIENCE))
        stalled = _progress.watch(ask, begun, patience, PAUSE, lambda answer, seen: "" if answer["drained"] else f"{what}: {seen.text()}")
        # The module asks the cluster why, and need not wait as long once more.
        result = begun if begun.get("failed") else call(patience=_progress.AGAIN) if stalled else call()
        told = {name: planned[name] for name in ("changes", "diff") if name in planned}
        return {**result, **told, "changed": True} if not result.get("failed") else result
