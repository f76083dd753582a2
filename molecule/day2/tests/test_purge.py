# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster of the other tests goes, by a run that is killed and one that is not; what is others' stays."""

from __future__ import annotations

import json

from test_day2 import SCALED_OUT, STACK, killed, refused

PURGE = "cephstack.cloud.purge"
HOSTS = [f"ceph{number}" for number in range(1, 6)]


def test_the_cluster_goes_and_what_is_others_stays(tmp_path):
    fsid = STACK.ssh("ceph1", "ceph fsid").strip()
    STACK.ssh("ceph2", "echo x > /etc/ceph/backup.conf; echo x > /etc/ceph/backup.client.admin.keyring; mkdir /var/lib/ceph/osd/backup-0")
    other = "00000000-1111-4222-8333-444444444444"
    assert f"purge_fsid is {other}, and the fsid of the running cluster is {fsid}" in refused("-e", f"purge_fsid={other}", playbook=PURGE)
    assert "ceph5: not reached, or not in this run" in refused("-e", f"purge_fsid={fsid}", "--limit", "!ceph5", playbook=PURGE)
    assert STACK.ssh("ceph1", "ceph fsid").strip() == fsid
    words = ("-e", json.dumps({"purge_fsid": fsid, "purge_wipe_devices": True}))
    killed(*words, PURGE)
    changes, _recap = STACK.play(tmp_path, *SCALED_OUT, *words, playbook=PURGE)
    assert changes == []
    for host in HOSTS:
        assert STACK.ssh(host, "systemctl list-units --plain --no-legend 'ceph-*@*.service'").strip() == "", host
        left = sorted(STACK.ssh(host, "find /etc/ceph /var/lib/ceph -type f -not -path '*/crash/*' -not -name rbdmap").split())
        assert left == (["/etc/ceph/backup.client.admin.keyring", "/etc/ceph/backup.conf"] if host == "ceph2" else []), (host, left)
        for disk in ("osd0", "osd1"):
            assert STACK.ssh(host, f"head -c 22 /dev/disk/by-id/lab-{disk} | od -An -c | tr -d ' \\n'").strip("\\0 ") == "", (host, disk)
    assert STACK.ssh("ceph2", "ls /var/lib/ceph/osd").split() == ["backup-0"]
