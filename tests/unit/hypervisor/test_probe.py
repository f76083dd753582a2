# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which probes follow from consumers, and what is made of their results; when KVM is believed in."""

from __future__ import annotations

import stat

from ansible_collections.cephstack.cloud.plugins.filter.verify_report import verify_report
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.probe import PoolAccess, plan_probes
from ansible_collections.cephstack.cloud.plugins.module_utils._guest import readable
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import probe


def test_two_consumers_of_one_client_are_one_probe_with_the_pools_of_both():
    consumers = [
        {"name": "a", "client": "client.x", "kind": "kvm", "pools": [{"name": "p", "access": "ro"}, {"name": "q"}]},
        {"name": "b", "client": "client.x", "kind": "rados", "pools": [{"name": "r"}]},
        {"name": "y", "pools": []},
    ]
    one, two = plan_probes({"client": "client.admin", "key": "secret", "keyring": "/k"}, consumers)
    assert one.pools == (PoolAccess("p", False, "rbd"), PoolAccess("q", True, "rbd"), PoolAccess("r", True, "rados"))
    assert one.options == {"client": "client.x", "key": None, "keyring": "/k"}
    assert (two.options["client"], two.pools) == ("client.y", ())


def test_a_key_is_used_for_its_own_client_only():
    (one,) = plan_probes({"client": "client.x", "key": "secret"}, [{"name": "x", "pools": [{"name": "p"}]}])
    assert one.options["key"] == "secret"


def test_what_was_read_is_shown_up_to_its_end():
    assert readable(b"cephstack-guest AB\n\0garbage") == "cephstack-guest AB"
    assert readable(b"a\x01b") == "a?b"
    assert readable(bytes(4)) == ""


def test_a_report_has_a_line_for_each_thing_that_was_proven():
    pools = [{"name": "vms", "access": "rw", "latency": {"write": 1.5, "read": 0.5}}]
    result = {"consumers": [{"client": "client.x", "pools": pools, "refused": ["auth ls", "write to other"]}]}
    guest = {"client": "client.x", "domain_type": "kvm", "golden": "i/g@base", "clone_ms": 9.0, "guest_seconds": 2.0, "marker": "m"}
    lines = verify_report(result, {"guests": [guest]})
    assert lines[0] == "client.x on vms (rw): write 1.5 ms, read 0.5 ms"
    assert "2 attempts" in lines[1]
    assert "a clone of i/g@base (9.0 ms)" in lines[2]
    assert verify_report(result) == lines[:2]
    disk = {"pool": "vms", "image": "web", "backend": "krbd_script", "written": "hello"}
    xen = [{"seconds": 31.5, "disks": [disk]}, {"skipped": True}]
    assert verify_report(result, None, xen)[2:] == ['Xen guest on vms/web by krbd_script: wrote, within 31.5 s, "hello"']
    users = {"probes": [{"endpoint": "http://10.0.0.11:8080", "uid": "backup", "latency": {"put": 9.1, "get": 2.3}}]}
    assert verify_report(users) == ["backup at http://10.0.0.11:8080: put 9.1 ms, get 2.3 ms; nobody without a key is served"]


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
