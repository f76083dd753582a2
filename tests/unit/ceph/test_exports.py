# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports as they are declared, and what a gateway needs of the cluster for them."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import exports
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid


def declared(path="/secondary", **more):
    return {"path": path, "filesystem": "cephfs", "clients": ["10.0.0.0/24"], **more}


def problems(*entries):
    with pytest.raises(Invalid) as error:
        exports.parse(list(entries), "nfs_gateway_exports")
    return error.value.problems


def test_the_order_of_the_declaration_does_not_matter():
    one, two = declared("/a", clients=["10.1.2.3/8", "fd00::1"]), declared("/b")
    assert exports.parse([one, two]) == exports.parse([two, one])
    assert exports.parse([one])[0].clients == ("10.0.0.0/8", "fd00::1/128")


def test_everything_that_is_wrong_is_told_at_once():
    found = problems(
        declared("secondary"),
        declared("/a//b", pseudo="/x/../y"),
        declared("/with space"),
        declared("/c", clients=["10.0.0.0/33", "host.example.org"]),
        declared("/d", clients=[]),
        declared("/e", pseudo="/"),
        declared("/f", filesystem="my fs"),
    )
    assert len(found) >= 9
    assert all(problem.startswith("nfs_gateway_exports") for problem in found)


@pytest.mark.parametrize(("first", "second"), [("/a", "/a"), ("/a", "/a/b"), ("/a/b/c", "/a")])
def test_pseudo_paths_that_overlap_are_refused(first, second):
    (found,) = problems(declared("/one", pseudo=first), declared("/two", pseudo=second))
    assert first in found and second in found


def test_neighbours_and_one_folder_under_two_names_are_no_overlap():
    exports.parse([declared("/a"), declared("/ab"), declared("/a", pseudo="/other")])


def test_nothing_to_serve_is_no_declaration():
    assert "empty" in problems()[0]
    assert "empty" in problems(declared(state="absent"))[0]


def test_what_gateways_are_declared_to_export_is_read_before_anything_is_touched():
    wrong = [declared("a", pseudo="/a"), {"path": "/b", "clients": "10.0.0.0/24"}, declared("/c", squash="none", acess="ro")]
    found = exports.declared_problems({"gw1": wrong[1:], "gw2": wrong[1:], "gw3": [wrong[0]], "gw4": None, "gw5": [declared()], "gw6": {}})
    assert [problem.partition(": ")[0] for problem in found] == ["gw1, gw2"] * 4 + ["gw3", "gw4", "gw6"]
    expected = ["filesystem is missing", "a list is wanted", "unknown option 'acess'", "'none' is not one of", "write /a", "empty", "a list is wanted"]
    for said, problem in zip(expected, found):
        assert said in problem
        assert "nfs_gateway_exports" in problem


def test_caps_name_the_folders_and_nothing_else():
    parsed = exports.parse([declared("/a"), declared("/b", access="ro"), declared("/c", access="ro", filesystem="archive")])
    assert exports.caps_of(parsed) == {
        "mon": "allow r fsname=archive, allow r fsname=cephfs",
        "mds": "allow r fsname=archive path=/c, allow rw fsname=cephfs path=/a, allow r fsname=cephfs path=/b",
        "osd": "allow r tag cephfs data=archive, allow rw tag cephfs data=cephfs",
    }


def test_a_folder_that_is_exported_twice_may_be_written_if_one_of_them_says_so():
    parsed = exports.parse([declared("/a", access="ro"), declared("/a", pseudo="/b")])
    assert exports.caps_of(parsed)["mds"] == "allow rw fsname=cephfs path=/a"


def test_the_whole_filesystem_has_no_path():
    assert exports.caps_of(exports.parse([declared("/", pseudo="/all")]))["mds"] == "allow rw fsname=cephfs"


class Nobody:
    """Stands for a connection that planning must not use."""

    client = "client.admin"


def plan(entries, **observed):
    parsed = exports.parse(entries)
    provider = exports.Provider(parsed, "client.nfs.a", Nobody(), exports.dropped(entries))
    fine = {"filesystems": {"cephfs": 1}, "folders": {(export.filesystem, export.path): "folder" for export in parsed}, "caps": exports.caps_of(parsed)}
    return provider.plan(exports.Observed(**{**fine, **observed}))


def test_what_is_as_declared_is_left_alone():
    assert not plan([declared()])
    assert not plan([declared()], caps={**exports.caps_of(exports.parse([declared()])), "mds": "allow wr path=/secondary fsname=cephfs"})


def test_what_is_missing_is_made():
    made = plan([declared(), declared("/drop", squash="all_squash"), declared("/drop", pseudo="/again")], folders={}, caps=None)
    assert [change.id for change in made.changes] == ["folder/cephfs:/drop", "folder/cephfs:/secondary", "client/client.nfs.a"]


def test_a_folder_for_nobody_is_nobodys():
    (change,) = plan([declared("/drop", squash="all_squash")], folders={}).changes
    assert change.after["owner"] == exports.ANONYMOUS


def test_wider_caps_are_narrowed():
    (change,) = plan([declared()], caps={"mon": "allow r", "mds": "allow rw", "osd": "allow rw tag cephfs data=cephfs", "mgr": "allow r"}).changes
    assert change.action == "update"
    assert set(change.after["caps"]) == {"mon", "mds", "mgr"}
    assert change.after["caps"]["mgr"] is None


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        ({"filesystems": {"other": 1}, "folders": {}}, "there is no filesystem cephfs (there are: other)"),
        ({"filesystems": {"cephfs": 0}, "folders": {}}, "no metadata server of the filesystem cephfs is active"),
        ({"folders": {("cephfs", "/secondary"): "file"}}, "is a file"),
    ],
)
def test_what_the_cluster_lacks_is_refused(observed, said):
    with pytest.raises(Invalid) as error:
        plan([declared()], **observed)
    assert said in str(error.value)


def test_an_export_does_not_vanish_by_a_line_that_is_missing():
    caps = exports.caps_of(exports.parse([declared(), declared("/old")]))
    with pytest.raises(Invalid, match="cephfs:/old, which is not declared any more"):
        plan([declared()], caps=caps)
    (change,) = plan([declared(), declared("/old", state="absent")], caps=caps).changes
    assert change.id == "client/client.nfs.a"


def test_a_filesystem_that_is_yet_to_be_made_is_enough_for_a_dry_run():
    parsed = exports.parse([declared()])
    provider = exports.Provider(parsed, "client.nfs.a", Nobody(), coming=["cephfs"])
    assert len(provider.plan(exports.Observed())) == 2


def test_metadata_servers_are_counted_by_their_state():
    dump = {
        "filesystems": [
            {"mdsmap": {"fs_name": "a", "info": {"gid_1": {"state": "up:active"}, "gid_2": {"state": "up:standby-replay"}}}},
            {"mdsmap": {"fs_name": "b", "info": {"gid_3": {"state": "up:creating"}}}},
        ],
        "standbys": [{}],
    }
    assert exports.active(dump) == ({"a": 1, "b": 0}, 1, {"a": 2, "b": 1})
