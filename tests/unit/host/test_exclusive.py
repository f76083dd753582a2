# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done on a host by one run at a time, with real processes."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import alone
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

FORK = multiprocessing.get_context("fork")


def work(folder, begun, seconds):
    with alone("region", folder=folder):
        begun.set()
        time.sleep(seconds)


@pytest.fixture
def other(tmp_path):
    """Start a process that is at the work for some seconds."""
    started = []

    def start(seconds):
        begun = FORK.Event()
        process = FORK.Process(target=work, args=(str(tmp_path), begun, seconds))
        process.start()
        started.append(process)
        assert begun.wait(10)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def test_the_second_waits_until_the_first_has_ended(tmp_path, other):
    other(0.5)
    begun = time.monotonic()
    with alone("region", folder=str(tmp_path)):
        assert time.monotonic() - begun > 0.3
        assert (tmp_path / "cephstack-region").read_text() == str(os.getpid())


def test_who_does_not_end_is_named(tmp_path, other):
    process = other(60)
    with pytest.raises(Unreachable, match=f"process {process.pid} on .* let it end"), alone("region", 0.2, str(tmp_path)):
        pytest.fail("both are at it")


def test_who_was_killed_holds_nothing(tmp_path, other):
    other(60).kill()
    with alone("region", 5, str(tmp_path)):
        pass


def test_other_work_goes_on_beside_it(tmp_path, other):
    other(60)
    with alone("management", 0.2, str(tmp_path)):
        pass
