# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the results of probes."""

from __future__ import annotations

from ansible_collections.cephstack.cloud.plugins.filter.verify_report import verify_report


def test_a_report_has_a_line_for_each_thing_that_was_proven():
    pools = [{"name": "vms", "access": "rw", "latency": {"write": 1.5, "read": 0.5}}]
    result = {"consumers": [{"client": "client.x", "pools": pools, "refused": ["auth ls", "write to other"]}]}
    guest = {"client": "client.x", "domain_type": "kvm", "golden": "i/g@base", "clone_ms": 9.0, "guest_seconds": 2.0, "marker": "m"}
    lines = verify_report(result, {"guests": [guest]})
    assert lines[0] == "client.x on vms (rw): write 1.5 ms, read 0.5 ms"
    assert "2 attempts" in lines[1]
    assert "a clone of i/g@base (9.0 ms)" in lines[2]
    reason = "no guest of client.t was booted"
    assert verify_report(result, {"guests": [guest], "reasons": [reason]})[2:] == [lines[2], reason]
    assert verify_report(result) == lines[:2]
    disk = {"pool": "vms", "image": "web", "backend": "krbd_script", "written": "hello"}
    xen = [{"seconds": 31.5, "disks": [disk]}, {"skipped": True}]
    assert verify_report(result, None, xen)[2:] == ['Xen guest on vms/web by krbd_script: wrote, within 31.5 s, "hello"']
    nowhere = [{"disks": [], "reason": "Xen does not run here: no guest was booted"}] * 2
    assert verify_report(result, None, nowhere)[2:] == ["Xen does not run here: no guest was booted"]
    users = {"probes": [{"endpoint": "http://10.0.0.11:8080", "uid": "backup", "latency": {"put": 9.1, "get": 2.3}}]}
    assert verify_report(users) == ["backup at http://10.0.0.11:8080: put 9.1 ms, get 2.3 ms; nobody without a key is served"]
