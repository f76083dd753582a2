# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian 12's 16.2.15 becomes Debian 13's 18.2.7 under a writer of the old release, which stays that. Python and libc change with it.

What is refused, check mode and hypervisors are in the scenario upgrade.
"""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.cephstack.cloud.molecule.shared import runs, upgrades

WAY = upgrades.Way(runs.Scenario(pathlib.Path(__file__).resolve().parent.parent), "inventory_reef", "10.78.17", "16.2.15", "18.2.7", "reef", 19)


@pytest.fixture(scope="module", autouse=True)
def writer():
    with WAY.written():
        yield


def test_the_upgrade(tmp_path):
    WAY.is_gone(tmp_path)


def test_a_second_run_changes_nothing(tmp_path):
    WAY.is_at_its_end(tmp_path)


def test_every_osd_starts_anew():
    WAY.osds_start()
