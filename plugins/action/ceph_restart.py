# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ceph_restart, and shows what it waits for: a module says nothing until it ends, so it is asked again and again."""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.action.ceph_mon_info import ActionModule as CephModule
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _progress

# Seconds between two questions.
PAUSE = 3.0


class ActionModule(CephModule):
    """The module, with the wait in short calls instead of one long one."""

    def _execute_module(self, module_name: t.Any = None, module_args: t.Any = None, task_vars: t.Any = None, **more: t.Any) -> t.Any:
        args = dict(self._task.args if module_args is None else module_args)

        def call(**other: t.Any) -> dict[str, t.Any]:
            return t.cast("dict[str, t.Any]", CephModule._execute_module(self, module_name, {**args, **other}, task_vars=task_vars, **more))

        def check() -> dict[str, t.Any]:
            return _progress.in_check_mode(self._task, call)

        names = args.get("daemons") or []
        if self._task.check_mode or not names:
            return call()
        what, patience = ", ".join(names[:3]) + (" …" if len(names) > 3 else ""), float(args.get("patience", _progress.PATIENCE))
        stalled = _progress.watch(check, check(), patience, PAUSE, lambda answer, _seen: answer["waits"] and f"{what}: waits: {answer['waits']}")
        # The module asks the cluster itself, and need not wait as long once more.
        return call(patience=_progress.AGAIN) if stalled else call()
