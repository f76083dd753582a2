# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a real cluster may not go. The scenarios upgrade and upgrade_reef go one each."""

from __future__ import annotations

import re

import pytest
from conftest import Failed


def test_ways_that_are_closed_are_refused(cluster, run):
    (text,) = cluster.command("versions")["overall"]
    running = int(re.search(r"version (\d+)", text)[1])
    for release, told in (
        (running - 1, rf"{running}\.\S+ runs, and {running - 1} is what is wanted: a cluster never goes back to an older release"),
        (running + 3, rf"{running}\.\S+ runs, and {running + 3} is what is wanted: that is more than 2 releases on\. Upgrade to \w+ first"),
        ("tentackle", "'tentackle' is no release of Ceph: write its name"),
    ):
        with pytest.raises(Failed, match=told):
            run("ceph_upgrade", release=str(release), state="allowed")
