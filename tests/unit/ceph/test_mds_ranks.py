# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which metadata servers the filesystems can do without. tests/daemons does it with real ones."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mds_ranks import Filesystem, Observed, Provider, read
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid


def plan(going, declared, servers, **filesystems):
    return Provider(None, going, declared, prefix="ceph_cluster_").plan(Observed(filesystems, frozenset(servers)))


def test_one_that_stands_by_goes_as_it_is():
    assert not plan(["c"], {"files": 2}, "abc", files=Filesystem(2, 2))
    assert not plan(["gone"], {}, "a", files=Filesystem(1, 1)), "what does not run has gone"


def test_ranks_end_first_where_fewer_are_declared():
    (change,) = plan(["c"], {"files": 1}, "abc", files=Filesystem(3, 3)).changes
    assert (change.id, change.before, change.after) == ("filesystem/files", {"max_mds": 3, "ranks": 3}, {"max_mds": 1, "ranks": 1})
    (change,) = plan(["c"], {"files": 1}, "abc", files=Filesystem(1, 3)).changes
    assert change.after == {"ranks": 1}, "a run that was killed while they end"


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"files": 2}, "mds.c must stay: 1 metadata servers would be left, and files has max_mds 2: lower ceph_cluster_filesystems.max_mds of files, or add"),
        ({}, "mds.c must stay: 1 metadata servers would be left, and files has max_mds 2: lower ceph_cluster_filesystems.max_mds of files, or add"),
    ],
)
def test_too_few_are_refused_by_the_name_of_the_option(declared, told):
    with pytest.raises(Invalid, match=told):
        plan(["c"], declared, "ac", files=Filesystem(2, 2))


def test_the_only_one_is_refused():
    with pytest.raises(Invalid, match="0 metadata servers would be left, and files has max_mds 1: remove the filesystem, or add a metadata server first"):
        plan(["a"], {"files": 1}, "a", files=Filesystem(1, 1))
    assert not plan(["a"], {}, "a"), "without a filesystem nobody needs it"


def test_what_the_cluster_says():
    info = {"1": {"name": "a"}, "2": {"name": "b"}}
    dump = {"standbys": [{"name": "c"}], "filesystems": [{"mdsmap": {"fs_name": "files", "max_mds": 2, "in": [0, 1], "info": info}}]}
    assert read(dump) == Observed({"files": Filesystem(2, 2)}, frozenset("abc"))
