# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while, wait_until


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


def test_what_fails_with_what_passes_is_done_again() -> None:
    answers = iter([KeyError("busy"), KeyError("busy"), "done"])

    def call() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retry_while(lambda error: isinstance(error, KeyError), call, 10, 0) == "done"


@pytest.mark.parametrize(("error", "seconds"), [(KeyError("busy"), -1), (ValueError("wrong"), 10)], ids=["the time is over", "another error"])
def test_what_fails_for_good_is_raised_as_it_is(error: Exception, seconds: float) -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)) as caught:
        retry_while(lambda found: isinstance(found, KeyError), call, seconds, 0)
    assert caught.value is error and len(calls) == 1
