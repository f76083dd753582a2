# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for RBD images."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.images import DIGEST, Observed, parse, plan
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import Image
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk

MIB = 1 << 20
POOLS = frozenset({"images", "vms"})


def planned(declared, check=False, **observed):
    return plan(parse(declared), Observed(**{"pools": POOLS, **observed}), None, check)


def ids(result):
    return [[f"{change.action} {change.id}" for change in stage] for stage in result.stages()]


def problems(declared, **observed):
    with pytest.raises(Invalid) as caught:
        planned(declared, **observed)
    return caught.value.problems


def test_a_parent_its_snapshot_and_its_clone_come_one_after_the_other():
    result = planned([{"pool": "vms", "name": "b", "clone_of": "images/a@s"}, {"pool": "images", "name": "a", "size": "1G", "snapshots": [{"name": "s"}]}])
    assert ids(result) == [["create image/images/a"], ["create snapshot/images/a@s"], ["create image/vms/b"]]


def test_nothing_to_do():
    have = {"images/a": Image(size=MIB, snapshots={"s": False}), "vms/b": Image(size=2 * MIB, parent="images/a@s", metadata={"k": "v", "other": "x"})}
    want = [
        {"pool": "images", "name": "a", "size": "1M", "snapshots": [{"name": "s"}]},
        {"pool": "vms", "name": "b", "clone_of": "images/a@s", "size": "2M", "metadata": {"k": "v", "none": None}},
        {"pool": "vms", "name": "gone", "state": "absent"},
    ]
    assert not planned(want, images=have)


def test_clones_of_format_1_want_protection():
    have = {"images/a": Image(size=MIB, snapshots={"s": False})}
    want = [{"pool": "vms", "name": "b", "clone_of": "images/a@s"}]
    assert ids(planned(want, images=have, clones_v2=False)) == [["update snapshot/images/a@s"], ["create image/vms/b"]]
    assert ids(planned(want, images=have, clones_v2=True)) == [["create image/vms/b"]]
    want.append({"pool": "images", "name": "a", "size": "1M"})  # declared, but not its snapshot
    assert ids(planned(want, images=have, clones_v2=False)) == [["update snapshot/images/a@s"], ["create image/vms/b"]]


def test_smaller_is_a_loss():
    (change,) = planned([{"pool": "vms", "name": "b", "size": "1M"}], images={"vms/b": Image(size=2 * MIB)}).changes
    assert (change.risk, change.before, change.after) == (Risk.LOSS, {"size": 2 * MIB}, {"size": MIB})
    (change,) = planned([{"pool": "vms", "name": "b", "size": "3M"}], images={"vms/b": Image(size=2 * MIB)}).changes
    assert change.risk is Risk.NONE


def test_another_source_is_a_loss_and_its_snapshots_are_made_anew():
    have = {"images/a": Image(size=MIB, snapshots={"s": False}, metadata={DIGEST: "sha256:old"})}
    want = [{"pool": "images", "name": "a", "source": {"path": "/f"}, "snapshots": [{"name": "s"}]}]
    result = planned(want, images=have, sources={"/f": ("sha256:new", MIB)})
    assert ids(result) == [["update image/images/a"], ["create snapshot/images/a@s"]]
    assert result.changes[0].risk is Risk.LOSS
    assert not planned(want, images=have, sources={"/f": ("sha256:old", MIB)})


def test_removal():
    have = {"images/a": Image(size=MIB, snapshots={"s": False}, children=("vms/b",)), "vms/b": Image(size=MIB, parent="images/a@s")}
    mother = {"pool": "images", "name": "a", "state": "absent", "removal": "delete"}
    child = {"pool": "vms", "name": "b", "state": "absent", "removal": "delete"}
    assert problems([mother], images=have) == ["image images/a: has clones that need it: vms/b"]
    assert problems([mother, {**child, "removal": "trash"}], images=have) == ["image images/a: has clones that need it: vms/b"]
    result = planned([mother, child], images=have)
    assert ids(result) == [["delete image/vms/b"], ["delete image/images/a"]]
    assert {change.risk for change in result.changes} == {Risk.LOSS}
    (change,) = planned([{**mother, "removal": "trash"}], images=have).changes
    assert change.risk is Risk.NONE
    have["vms/b"].watchers = ("10.0.0.1:0/7",)
    assert problems([child], images=have) == ["image vms/b: is in use by 10.0.0.1:0/7"]


def test_what_cannot_be_is_said_all_at_once():
    have = {
        "images/a": Image(size=MIB, snapshots={"s": False}, features=frozenset({"layering"})),
        "vms/c": Image(size=MIB, parent="images/other@s"),
        "vms/d": Image(size=MIB),
    }
    want = [
        {"pool": "images", "name": "a", "size": "1M", "features": ["deep-flatten"], "data_pool": "vms", "object_size": "1M"},
        {"pool": "vms", "name": "b", "clone_of": "images/a@none"},
        {"pool": "vms", "name": "c", "clone_of": "images/a@s"},
        {"pool": "vms", "name": "d", "clone_of": "images/a@s"},
        {"pool": "vms", "name": "e", "clone_of": "images/a@s", "size": "1K"},
        {"pool": "vms", "name": "f", "source": {"path": "/none"}},
        {"pool": "nowhere", "name": "f", "size": "1M"},
    ]
    found = problems(want, images=have)
    assert len(found) == 10
    for text in ("pool nowhere is not there", "has no snapshot none", "is a clone of images/other@s", "is no clone of", "cannot be smaller", "no file /none"):
        assert any(text in one for one in found), text


@pytest.mark.parametrize(
    ("image", "text"),
    [
        ({"size": "4X"}, "'4X' is not a size"),
        ({}, "needs a size, a source or a clone_of"),
        ({"clone_of": "a@b"}, "is not the name of a snapshot"),
        ({"clone_of": "p/i@b", "source": {"path": "/f"}}, "exclude each other"),
        ({"clone_of": "p/i@b"}, "clone of itself"),
        ({"clone_of": "p/a@b", "features": ["exclusive-lock"]}, "needs the feature layering"),
        ({"size": "1M", "features": ["object-map"]}, "feature object-map needs exclusive-lock"),
        ({"size": "1M", "object_size": "3M"}, "power of two"),
        ({"size": "1M", "snapshots": [{"name": "s"}, {"name": "s"}]}, "snapshot s is declared twice"),
        ({"size": "1M", "metadata": {"cephstack.source": "x"}}, "belong to this collection"),
        ({"source": {"path": "/f", "digest": "md5:1"}}, "sha256:"),
        ({"source": {"path": ""}}, "source.path is empty"),
        ({"size": "1M", "name": "a/b"}, "must not contain"),
    ],
)
def test_what_is_written_wrongly(image, text):
    with pytest.raises(Invalid, match=text):
        parse([{"pool": "p", "name": "i", **image}])


def test_an_image_declared_twice():
    with pytest.raises(Invalid, match="image p/i is declared twice"):
        parse([{"pool": "p", "name": "i", "size": "1M"}] * 2)


def test_no_cluster_yet_means_all_is_made():
    want = [{"pool": "p", "name": "a", "clone_of": "images/x@s"}, {"pool": "p", "namespace": "n", "name": "b", "size": "1M"}]
    assert ids(plan(parse(want), Observed(pools=None), None, True)) == [["create namespace/p/n", "create image/p/a"], ["create image/p/n/b"]]


def test_a_pool_that_is_not_there_may_still_come_in_check_mode():
    assert planned([{"pool": "new", "name": "a", "size": "1M"}], check=True).warnings == ["pool new is not there yet"]
    assert planned([{"pool": "vms", "name": "a", "source": {"path": "/later"}}], check=True).warnings == ["there is no file /later on this host"]
