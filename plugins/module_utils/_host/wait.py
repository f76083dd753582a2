# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until something is so, or can be done.

PRIVATE to the collection.
"""

from __future__ import annotations

import time
import typing as t

_T = t.TypeVar("_T")


@t.overload
def wait_until(check: t.Callable[[], t.Optional[_T]], seconds: float, what: t.Callable[[], t.Union[str, Exception]], pause: t.Optional[float] = None) -> _T: ...


@t.overload
def wait_until(check: t.Callable[[], _T], seconds: float, what: None = None, pause: t.Optional[float] = None) -> _T: ...


def wait_until(
    check: t.Callable[[], t.Any], seconds: float, what: t.Optional[t.Callable[[], t.Union[str, Exception]]] = None, pause: t.Optional[float] = None
) -> t.Any:
    """Wait until check() gives something true and return that.

    what: gives the error where it does not in time, or the text of a TimeoutError; without it, what check() gave last is returned.
    pause: seconds between two looks; where it is not given they grow, from a tenth to one.
    """
    end = time.monotonic() + seconds
    growing = 0.1
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            if what is None:
                return found
            error = what()
            raise error if isinstance(error, Exception) else TimeoutError(error)
        time.sleep(growing if pause is None else pause)
        growing = min(growing * 1.3, 1.0)


def retry_while(passing: t.Callable[[t.Any], bool], call: t.Callable[[], _T], seconds: float, pause: float) -> _T:
    """Return what call() gives; call again where it fails with what passes by itself. Raises what it failed with, at once or when the time is over.

    passing: whether an error is one of those. pause: seconds between two calls.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Exception as error:
            if not passing(error) or time.monotonic() > end:
                raise
            time.sleep(pause)
