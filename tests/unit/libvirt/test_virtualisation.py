# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When KVM is believed in."""

from __future__ import annotations

import stat

from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import probe


class TestKvm:
    """An emulator of three lines stands for QEMU: what counts is how its behaviour is judged."""

    def judge(self, tmp_path, script, timeout=5.0):
        emulator = tmp_path / "qemu"
        emulator.write_text(f"#!/bin/sh\n{script}\n")
        emulator.chmod(stat.S_IRWXU)
        return probe(timeout, device=str(tmp_path), qemu=str(emulator))

    def test_a_guest_that_came_through_is_believed(self, tmp_path):
        assert self.judge(tmp_path, "printf K; exit 33").domain_type == "kvm"

    def test_a_guest_that_ended_without_a_word_is_not(self, tmp_path):
        assert self.judge(tmp_path, "exit 33").domain_type == "qemu"

    def test_why_qemu_gave_up_is_told(self, tmp_path):
        verdict = self.judge(tmp_path, "echo 'failed to set MSR' >&2; exit 1")
        assert verdict.domain_type == "qemu"
        assert "failed to set MSR" in verdict.reason

    def test_a_guest_that_hangs_is_stopped(self, tmp_path):
        verdict = self.judge(tmp_path, "exec sleep 60", timeout=0.2)
        assert verdict.domain_type == "qemu"
        assert "not through within" in verdict.reason

    def test_no_device_is_no_kvm(self, tmp_path):
        assert "there is no" in probe(1, device=str(tmp_path / "kvm")).reason
