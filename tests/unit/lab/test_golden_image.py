# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden image: when it is made, and what it does."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import time

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.golden_image import RECIPE, Provider

UUID = "12345678-9abc-def0-1234-56789abcdef0"
QEMU = shutil.which("qemu-system-x86_64")


@pytest.mark.skipif(QEMU is None, reason="there is no QEMU here")
def test_the_guest_that_stays_writes_its_marker_into_a_qcow2_file_and_runs_on(tmp_path):
    provider = Provider(str(tmp_path / "image.gz"), "stays", 16 << 20, "qcow2.gz")
    provider.plan(provider.observe()).changes[0].apply()
    assert not provider.plan(provider.observe())
    disk = tmp_path / "disk"
    disk.write_bytes(gzip.decompress((tmp_path / "image.gz").read_bytes()))
    command = [QEMU, "-accel", "tcg", "-m", "64", "-display", "none", "-nodefaults", "-uuid", UUID, "-drive", f"file={disk},format=qcow2,if=virtio"]
    with subprocess.Popen(command) as guest:
        try:
            until = time.monotonic() + 60
            while _guest.expected_marker(UUID) not in disk.read_bytes():
                assert guest.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            assert guest.poll() is None
        finally:
            guest.terminate()


class TestGoldenImage:
    def image(self, **changed):
        return {"recipe": RECIPE, "kind": "sector", "format": "raw", "size": 1 << 20, "sha256": "x", "whole": True, **changed}

    def test_made_when_absent(self):
        (change,) = Provider("/nowhere/a", "linux", 1 << 20).plan(None).changes
        assert (change.action, change.before) == ("create", None)

    @pytest.mark.parametrize("changed", [{"recipe": 0}, {"kind": "linux"}, {"format": "qcow2.gz"}, {"size": 1}, {"whole": False}])
    def test_made_anew_when_it_is_another(self, changed):
        (change,) = Provider("/nowhere/a", "sector", 1 << 20).plan(self.image(**changed)).changes
        assert change.action == "update"

    def test_left_alone_when_it_is_right(self):
        assert not Provider("/nowhere/a", "sector", 1 << 20).plan(self.image())

    def test_made_and_found_whole_and_damage_is_seen(self, tmp_path):
        provider = Provider(str(tmp_path / "new" / "image"), "sector", 3 << 19)
        assert provider.observe() is None
        (change,) = provider.plan(None).changes
        change.apply()
        assert not provider.plan(provider.observe())
        with open(tmp_path / "new" / "image", "r+b") as disk:
            disk.seek(700)
            disk.write(b"x")
        assert provider.plan(provider.observe())
