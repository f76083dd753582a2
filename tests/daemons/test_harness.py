# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster of the tests is a real one."""

from __future__ import annotations


def test_the_cluster_stands(cluster):
    status = cluster.status()
    assert status["fsid"] == cluster.fsid
    assert status["osdmap"]["num_up_osds"] == 3
    hosts = [node["name"] for node in cluster.command("osd tree")["nodes"] if node["type"] == "host"]
    assert sorted(hosts) == ["host0", "host1", "host2"]


def test_its_always_on_manager_modules_load(cluster):
    cluster.wait(lambda: "MGR_MODULE_DEPENDENCY" not in cluster.command("health")["checks"], 30, "the manager's modules")
    assert "balancer" in cluster.command("mgr module ls")["always_on_modules"]
