# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filesystems make do with fewer real metadata servers, or refuse to."""

from __future__ import annotations

import pytest
from conftest import Failed


def ranks(cluster):
    mds = cluster.command("fs dump")["filesystems"][0]["mdsmap"]
    return mds["max_mds"], len([one for one in mds["info"].values() if one["state"] == "up:active"])


def test_ranks_end_before_a_metadata_server_goes(make_cluster, run):
    own = make_cluster(osds=1, conf={"osd_pool_default_size": "1", "osd_pool_default_min_size": "1", "mon_allow_pool_size_one": "true"})
    for pool in ("meta", "files"):
        own.command("osd pool create", pool=pool, pg_num=8)
    own.command("fs new", fs_name="shared", metadata="meta", data="files")
    for name in ("a", "b"):
        own.add_mds(name)
    own.command("fs set", fs_name="shared", var="max_mds", val="2")
    own.wait(lambda: ranks(own) == (2, 2), 90, "two active metadata servers")
    options = {"cluster": own, "going": ["b"], "prefix": "ceph_cluster_"}
    told = r"mds\.b must stay: 1 metadata servers would be left, and shared has max_mds 2: lower ceph_cluster_filesystems\.max_mds of shared, or add"
    for declared in ({}, {"shared": 2}):
        with pytest.raises(Failed, match=told):
            run("ceph_mds_ranks", max_mds=declared, **options)
    assert ranks(own) == (2, 2)
    with pytest.raises(Failed, match=r"mds\.a, mds\.b must stay: 0 metadata servers would be left"):
        run("ceph_mds_ranks", cluster=own, going=["a", "b"], max_mds={"shared": 1})
    checked = run("ceph_mds_ranks", check=True, max_mds={"shared": 1}, **options)
    assert [f"{row['kind']}/{row['name']}" for row in checked["changes"]] == ["filesystem/shared"]
    assert ranks(own) == (2, 2), "check mode touched nothing"
    done = run("ceph_mds_ranks", max_mds={"shared": 1}, **options)
    assert done["filesystems"]["shared"] == {"max_mds": 1, "ranks": 1}
    assert ranks(own) == (1, 1)
    assert run("ceph_mds_ranks", max_mds={"shared": 1}, **options)["changes"] == []
    # One of two may stop now, whichever is active: the module that stops it asks so.
    own.command("mds ok-to-stop", ids=["b"])
    own.stop("mds.b")
    own.wait(lambda: ranks(own) == (1, 1) and not own.command("fs dump")["standbys"], 60, "mds.a to be the only one")
    with pytest.raises(Failed, match=r"mds\.a must stay: 0 metadata servers would be left, and shared has max_mds 1: remove the filesystem, or add"):
        run("ceph_mds_ranks", cluster=own, going=["a"])
