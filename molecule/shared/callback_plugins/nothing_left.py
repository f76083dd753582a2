# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule's step "check" runs converge.yml in check mode and is content with any result that is no failure. With this it isn't."""

from __future__ import annotations

import sys
import typing as t

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: nothing_left
type: aggregate
short_description: Fail a run in check mode that would change something
description: Ends ansible-playbook with 2 where a run in check mode lists a change. Does nothing otherwise.
author: The cephstack.cloud authors (@cephstack)
requirements: [enable it]
"""


class CallbackModule(CallbackBase):
    """Fails the run at its end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "nothing_left"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._left: list[str] = []

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Keep what would be changed."""
        if result.result.get("changed"):
            self._left.append(f"{result.host.get_name()}: {result.task.get_name()}")

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Say so and leave. What a callback raises is only a warning, but for this."""
        if context.CLIARGS.get("check") and self._left:
            self._display.error("After converge, check mode would still change: " + "; ".join(self._left))
            sys.exit(2)
