# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: changes
type: aggregate
short_description: Every change of a run in one table at its end
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Gathers what each module of this collection changed, or in check mode would change, and prints it as one table when
    the run ends. Tasks of other collections that changed something are listed by their names.
  - Can write the same as JSON, with before and after, for a review or for a machine.
requirements:
  - enable it, C(callbacks_enabled = cephstack.cloud.changes)
options:
  file:
    description: A file on the controller to write the changes to, as a JSON list. None is written unless it is named.
    type: path
    env:
      - name: CEPHSTACK_CHANGES_FILE
    ini:
      - section: callback_changes
        key: file
"""

import json
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Gathers the changes of a run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "cephstack.cloud.changes"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._changes: list[dict[str, t.Any]] = []

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Keep what a task changed."""
        outcome = result.result if hasattr(result, "result") else result._result
        if not outcome.get("changed"):
            return
        task = result.task if hasattr(result, "task") else result._task
        host = result.host if hasattr(result, "host") else result._host
        where = {"host": host.get_name(), "task": task.get_name()}
        rows = outcome.get("changes")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "kind" in row for row in rows):
            self._changes.append({**where, "kind": "task", "name": task.get_name(), "action": "change", "risk": ""})
            return
        sides = {entry.get("before_header"): entry for entry in outcome.get("diff") or [] if isinstance(entry, dict)}
        for row in rows:
            side = sides.get(f"{row['kind']}/{row['name']}", {})
            self._changes.append({**where, **row, "before": side.get("before"), "after": side.get("after")})

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print the table, write the file."""
        path = self.get_option("file")
        if path:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(self._changes, file, indent=2, default=str)
                file.write("\n")
        if self._changes:
            self._display.banner(f"CHANGES ({len(self._changes)})")
            wide = max(len(change["host"]) for change in self._changes)
            for change in self._changes:
                risk = f"  [{change['risk']}]" if change.get("risk") not in ("", "none", None) else ""
                what = change["name"] if change["kind"] == "task" else f"{change['kind']}/{change['name']}"
                self._display.display(f"{change['host']:{wide}}  {change['action']:6}  {what}{risk}")
