# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until


def test_what_comes_in_time_is_returned() -> None:
    looks = iter([None, [], "here"])
    assert wait_until(lambda: next(looks), 10, lambda: "never", pause=0) == "here"


def test_what_does_not_come_is_an_error_in_the_caller_s_words_or_of_its_own() -> None:
    with pytest.raises(TimeoutError, match=r"^it is late$"):
        wait_until(lambda: False, 0, lambda: "it is late", pause=0)
    with pytest.raises(RuntimeError, match=r"^it failed$"):
        wait_until(lambda: False, 0, lambda: RuntimeError("it failed"), pause=0)


def test_without_words_the_last_look_is_returned() -> None:
    assert wait_until(lambda: [], 0, pause=0) == []
