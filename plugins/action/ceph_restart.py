# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ceph_restart, and shows what it waits for: a module says nothing until it ends, so it is asked again and again."""

from __future__ import annotations

import time
import typing as t

from ansible.utils.display import Display

from ansible_collections.cephstack.cloud.plugins.action.ceph_mon_info import ActionModule as CephModule
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.movement import Moment, Watch

# Seconds between two questions, and between two lines where nothing else is to be said.
PAUSE = 3.0
LINE = 30.0
# The module's own default.
PATIENCE = 600
AGAIN = 10


class ActionModule(CephModule):
    """The module, with the wait in short calls instead of one long one."""

    def _execute_module(self, module_name: t.Any = None, module_args: t.Any = None, task_vars: t.Any = None, **more: t.Any) -> t.Any:
        args = dict(self._task.args if module_args is None else module_args)

        def call(**other: t.Any) -> dict[str, t.Any]:
            return t.cast("dict[str, t.Any]", CephModule._execute_module(self, module_name, {**args, **other}, task_vars=task_vars, **more))

        if self._task.check_mode:
            return call()
        names, patience = args.get("daemons") or [], float(args.get("patience", PATIENCE))
        stalled = bool(names) and self._show(", ".join(names[:3]) + (" …" if len(names) > 3 else ""), call, patience)
        # The module asks the cluster itself, and need not wait as long once more.
        return call(patience=AGAIN) if stalled else call()

    def _show(self, what: str, call: t.Callable[[], dict[str, t.Any]], patience: float) -> bool:
        """Show what is waited for, until it is so; return whether it has stalled."""
        watch, shown, when = Watch(patience), "", 0.0
        while True:
            self._task.check_mode = True
            try:
                answer = call()
            finally:
                self._task.check_mode = False
            now = time.monotonic()
            if answer.get("failed") or not answer.get("waits"):
                return False
            watch.see(now, Moment(**answer["movement"]))
            if watch.stalled:
                return True
            if answer["waits"] != shown and (now - when >= LINE or not shown):
                Display().display(f"{what}: waits: {answer['waits']}")
                shown, when = answer["waits"], now
            time.sleep(PAUSE)
