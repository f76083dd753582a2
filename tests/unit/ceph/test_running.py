# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a host, and why one has to restart."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import running
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd

GOOD = running.Running("osd.3", "osd", systemd.Unit(True, True, "active", 7, began=1000), "ceph-osd@3.service", "18.2.7", "18.2.7")


def reason(everything=False, since=0.0, **more):
    return running.Running(**{**GOOD.__dict__, **more}).reason(everything, since)


def test_what_has_to_restart():
    assert reason() == ""
    assert reason(installed="20.2.4") == "it runs 18.2.7, and 20.2.4 is installed"
    assert reason(running="") == "", "one that does not say its version is not taken for an old one"
    assert reason(replaced="/usr/bin/ceph-osd") == "/usr/bin/ceph-osd was replaced since it started"
    assert reason(installed="20.2.4", replaced="/usr/bin/ceph-osd") == "it runs 18.2.7, and 20.2.4 is installed"
    assert reason(options=("a", "b")) == "a, b take effect at its start only"


@pytest.mark.parametrize(("since", "due"), [(999.5, False), (1000, False), (1001, True)])
def test_all_that_began_before(since, due):
    assert bool(reason(True, since)) is due
    assert not reason(False, since)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("ceph-osd@3.service", ("osd", "osd.3")),
        ("ceph-mon@ceph-1.service", ("mon", "mon.ceph-1")),
        ("ceph-radosgw@rgw.ceph1.s3.service", ("rgw", "client.rgw.ceph1.s3")),
        ("nfs-ganesha.service", ("nfs", "nfs.ceph1")),
    ],
)
def test_names(unit, expected):
    assert running.name_of(unit, "ceph1") == expected


def test_a_program_that_was_replaced(tmp_path):
    program = tmp_path / "ceph-osd"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([str(program), "60"]) as process:
        try:
            assert running.replaced(process.pid) == ""
            program.unlink()
            assert running.replaced(process.pid) == str(program)
        finally:
            process.kill()
    assert running.replaced(process.pid) == ""
    assert running.replaced(os.getpid()) == ""


def entry(stamp, *changes):
    keys = ("name", "previous_value", "new_value")
    return {"version": 1, "timestamp": stamp, "changes": [{key: value for key, value in zip(keys, change) if value is not None} for change in changes]}


def test_options_that_were_removed_since_it_began():
    began = 1764436912  # 2025-11-29T17:21:52
    log = [
        entry("2025-11-29T17:21:50.000000+0000", ("osd/osd_op_num_shards", "1", None)),
        entry("2025-11-29T17:22:50.123456+0000", ("osd.3/bluestore_cache_size", "1", None), ("osd/host:a/ms_type", "x", None), ("mon/ms_type", "x", None)),
        entry("2025-11-29T18:22:50.123456+0000", ("osd/changed", "1", "2"), ("osd.4/of_another", "1", None), ("osd/new", None, "1")),
        entry("nonsense", ("osd/never", "1", None)),
    ]
    assert running.removed_since("osd.3", began, log) == ["bluestore_cache_size", "ms_type"]


def test_a_daemon_that_ended_and_is_started_again_is_one_that_returns(monkeypatch):
    shown = {"ceph-mgr@a.service": systemd.Unit(True, True, "activating", 0), "ceph-mgr@b.service": systemd.Unit(True, True, "active", 7)}
    monkeypatch.setattr(systemd, "show", lambda patterns, instances: shown)
    assert running.returning(["mgr"]) == ["ceph-mgr@a.service"]
    assert list(running.units_of(["mgr"])) == ["ceph-mgr@b.service"]
