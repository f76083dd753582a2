# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until something is so.

PRIVATE to the collection.
"""

from __future__ import annotations

import time
import typing as t


def wait_until(check: t.Callable[[], t.Any], seconds: float, what: t.Callable[[], str]) -> t.Any:
    """Wait until check() gives something true and return that; raise TimeoutError with what() else."""
    end = time.monotonic() + seconds
    pause = 0.1
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(what())
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)
