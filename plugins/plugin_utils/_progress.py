# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run shows while it waits for the cluster: a module says nothing until it ends, so it is asked again and again.

PRIVATE to the collection.
"""

from __future__ import annotations

import time
import typing as t

from ansible.utils.display import Display

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.movement import Moment, Watch

# Seconds between two lines where nothing else is to be said.
LINE = 30.0
# The modules' own default of patience, and what is left of it for a module that is to say why nothing moves.
PATIENCE = 600
AGAIN = 10

Answer = t.Mapping[str, t.Any]


def in_check_mode(task: t.Any, call: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
    """What a call of a task's module, which is not in check mode itself, says in check mode."""
    task.check_mode = True
    try:
        return call()
    finally:
        task.check_mode = False


def watch(ask: t.Callable[[], Answer], answer: Answer, patience: float, pause: float, text: t.Callable[[Answer, Watch], str]) -> bool:
    """Show what is waited for, until that is over, or a question fails; return whether it has stalled.

    answer: the first one. Each has movement. text: what is shown, "" where there is nothing to wait for. pause: seconds between two questions.
    """
    seen, shown, when = Watch(patience), "", 0.0
    while not answer.get("failed"):
        now = time.monotonic()
        if "movement" in answer:
            seen.see(now, Moment(**answer["movement"]))
        said = text(answer, seen)
        if not said:
            return False
        if seen.stalled:
            return True
        if said != shown and (now - when >= LINE or not shown):
            Display().display(said)
            shown, when = said, now
        time.sleep(pause)
        answer = ask()
    return False
