# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rbd_images against a real cluster."""

from __future__ import annotations

import hashlib
import os
import uuid

import pytest
import rbd
from conftest import Failed

MIB = 1 << 20


@pytest.fixture(scope="module")
def pools(cluster):
    names = {"images": f"images-{uuid.uuid4().hex[:6]}", "vms": f"vms-{uuid.uuid4().hex[:6]}"}
    for name in names.values():
        cluster.command("osd pool create", pool=name, pg_num=8)
        cluster.command("osd pool application enable", pool=name, app="rbd")
    cluster.wait_clean()
    return names


@pytest.fixture
def images(pools, cluster):
    """The I/O context of the pool of images."""
    with cluster.rados.open_ioctx(pools["images"]) as context:
        yield context


@pytest.fixture
def vms(pools, cluster):
    with cluster.rados.open_ioctx(pools["vms"]) as context:
        yield context


@pytest.fixture
def disk(tmp_path):
    """A raw disk of 24 MiB, mostly holes, whose end is not on a sector."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(b"first" * 1000)
        file.seek(9 * MIB + 77)
        file.write(os.urandom(3 * MIB))
        file.truncate(24 * MIB - 100)
    return path


@pytest.fixture
def v2(cluster):
    """Clones need no protected parent."""
    cluster.command("osd set-require-min-compat-client", version="mimic")


def content(context, name):
    with rbd.Image(context, name, read_only=True) as image:
        return image.read(0, image.size())


def changed(result):
    return sorted(f"{change['action']} {change['kind']}/{change['name']}" for change in result["changes"])


def test_an_image_is_made_drifts_and_is_mended(run, pools, images):
    pool = pools["images"]
    want = [
        {
            "pool": pool, "name": "a", "size": "16M", "object_size": "1M", "features": ["layering", "exclusive-lock"],
            "metadata": {"owner": "me"}, "snapshots": [{"name": "s1"}],
        }
    ]  # fmt: skip
    assert changed(run("rbd_images", check=True, images=want)) == [f"create image/{pool}/a", f"create snapshot/{pool}/a@s1"]
    assert "a" not in rbd.RBD().list(images)
    assert run("rbd_images", images=want)["images"][0]["snapshots"] == ["s1"]
    assert not run("rbd_images", images=want)["changed"]

    with rbd.Image(images, "a") as image:
        image.metadata_set("owner", "you")
        image.update_features(rbd.RBD_FEATURE_OBJECT_MAP, True)
        image.remove_snap("s1")
    seen = run("rbd_images", check=True, images=want)
    assert changed(seen) == [f"create snapshot/{pool}/a@s1", f"update image/{pool}/a"]
    update = next(entry for entry in seen["diff"] if entry["before_header"] == f"image/{pool}/a")
    assert update["before"] == {"features": ["exclusive-lock", "fast-diff", "layering", "object-map"], "metadata": {"owner": "you"}}
    assert update["after"] == {"features": ["exclusive-lock", "layering"], "metadata": {"owner": "me"}}
    run("rbd_images", images=want)
    assert not run("rbd_images", images=want)["changed"]


def test_an_object_map_comes_with_fast_diff(run, pools):
    want = [{"pool": pools["images"], "name": "mapped", "size": "4M", "features": ["layering", "exclusive-lock", "object-map"]}]
    run("rbd_images", images=want)
    assert not run("rbd_images", images=want)["changed"]


def test_larger_at_once_smaller_only_allow_loss(run, pools, images):
    pool = pools["images"]

    def want(size):
        return [{"pool": pool, "name": "size", "size": size}]

    run("rbd_images", images=want("8M"))
    assert run("rbd_images", images=want("12M"))["changed"]
    with pytest.raises(Failed, match=f"name it in allow_loss: image/{pool}/size"):
        run("rbd_images", images=want("4M"))
    assert run("rbd_images", images=want("4M"), allow_loss=[f"image/{pool}/size"])["images"][0]["size"] == 4 * MIB


def test_a_file_is_imported_once(run, pools, images, disk):
    pool = pools["images"]
    want = [{"pool": pool, "name": "golden", "source": {"path": str(disk)}, "snapshots": [{"name": "base"}]}]
    result = run("rbd_images", images=want)
    assert result["images"][0]["size"] == 24 * MIB
    assert result["images"][0]["source"] == "sha256:" + hashlib.sha256(disk.read_bytes()).hexdigest()
    assert content(images, "golden") == disk.read_bytes() + bytes(100)
    with rbd.Image(images, "golden", read_only=True) as image:
        written = []
        image.diff_iterate(0, image.size(), None, lambda offset, length, exists: written.append(length))
        assert sum(written) <= 5 * 4 * MIB, "holes must stay holes"
    assert not run("rbd_images", images=want)["changed"]
    assert not [name for name in rbd.RBD().list(images) if name.startswith(".")]

    # With its digest declared, the file is needed no more
    want[0]["source"]["digest"] = result["images"][0]["source"]
    disk.unlink()
    assert not run("rbd_images", images=want)["changed"]
    # … but for making it
    want[0]["name"] = "golden-too"
    with pytest.raises(Failed, match="there is no file"):
        run("rbd_images", images=want)


def test_another_file_replaces_only_allowed_and_keeps_the_old_in_the_trash(run, pools, images, vms, disk, v2):
    pool = pools["images"]
    want = [{"pool": pool, "name": "newer", "source": {"path": str(disk)}, "snapshots": [{"name": "base"}]}]
    clone = [{"pool": pools["vms"], "name": "of-the-old", "clone_of": f"{pool}/newer@base"}]
    run("rbd_images", images=want + clone)
    old = content(images, "newer")
    disk.write_bytes(b"other" * 2000)
    with pytest.raises(Failed, match="imported from another file"):
        run("rbd_images", images=want)
    run("rbd_images", images=want, allow_loss=[f"image/{pool}/newer"])
    assert content(images, "newer").startswith(b"otherother")
    assert [entry["name"] for entry in rbd.RBD().trash_list(images)] == ["newer"]
    assert content(vms, "of-the-old") == old
    assert not run("rbd_images", images=want + clone)["changed"]


def test_an_import_that_was_cut_off_begins_anew(run, pools, images, disk):
    rbd.RBD().create(images, ".cephstack-import.cut", 8 * MIB)
    with rbd.Image(images, ".cephstack-import.cut") as image:
        image.write(b"half of something", 0)
    want = [{"pool": pools["images"], "name": "cut", "source": {"path": str(disk)}}]
    assert changed(run("rbd_images", check=True, images=want)) == [f"create image/{pools['images']}/cut"]
    run("rbd_images", images=want)
    assert content(images, "cut") == disk.read_bytes() + bytes(100)
    assert ".cephstack-import.cut" not in rbd.RBD().list(images)


def test_an_import_that_is_whole_only_gets_its_name(run, pools, images, disk):
    want = [{"pool": pools["images"], "name": "whole", "source": {"path": str(disk)}}]
    run("rbd_images", images=want)
    rbd.RBD().rename(images, "whole", ".cephstack-import.whole")
    with rbd.Image(images, ".cephstack-import.whole") as image:
        identity = image.id()
    run("rbd_images", images=want)
    with rbd.Image(images, "whole") as image:
        assert image.id() == identity


def test_fifty_clones_in_one_call(run, pools, vms, disk, v2):
    parent = {"pool": pools["images"], "name": "parent", "source": {"path": str(disk)}, "snapshots": [{"name": "base"}]}
    want = [parent] + [{"pool": pools["vms"], "name": f"vm{number}", "clone_of": f"{pools['images']}/parent@base", "size": "32M"} for number in range(50)]
    result = run("rbd_images", images=want)
    assert len(result["changes"]) == 52
    assert {f"vm{number}" for number in range(50)} <= set(rbd.RBD().list(vms))
    assert {(image["size"], image["clone_of"], image["source"]) for image in result["images"][1:]} == {(32 * MIB, f"{pools['images']}/parent@base", None)}
    assert content(vms, "vm49")[: 24 * MIB - 100] == disk.read_bytes()
    assert not run("rbd_images", images=want)["changed"]

    want[7]["flatten"] = True
    assert changed(run("rbd_images", images=want)) == [f"update image/{pools['vms']}/vm6"]
    assert not run("rbd_images", images=want)["changed"]
    # An image that others need isn't deleted; one that goes with all its clones is
    parent["state"], parent["removal"] = "absent", "delete"
    with pytest.raises(Failed, match="has clones that need it"):
        run("rbd_images", images=want, allow_loss=[f"image/{pools['images']}/parent"])
    for image in want[1:]:
        image.update(state="absent", removal="delete")
    run("rbd_images", images=want, allow_loss=[f"image/{image['pool']}/{image['name']}" for image in want])
    assert "vm49" not in rbd.RBD().list(vms)


def test_clones_of_format_1_get_a_protected_parent(run, make_cluster):
    old = make_cluster(osds=1, mgr=False, conf={"osd_pool_default_size": "1", "osd_pool_default_min_size": "1", "mon_allow_pool_size_one": "true"})
    old.command("osd pool create", pool="p", pg_num=4)
    want = [
        {"pool": "p", "name": "mother", "size": "8M", "snapshots": [{"name": "base"}]},
        {"pool": "p", "name": "child", "clone_of": "p/mother@base"},
    ]
    run("rbd_images", cluster=old, images=want)
    assert not run("rbd_images", cluster=old, images=want)["changed"]
    with old.rados.open_ioctx("p") as context:
        with rbd.Image(context, "mother") as image:
            assert image.is_protected_snap("base")
            image.create_snap("later")
        # A parent that isn't declared here
        assert changed(run("rbd_images", cluster=old, images=[{"pool": "p", "name": "second", "clone_of": "p/mother@later"}])) == [
            "create image/p/second",
            "update snapshot/p/mother@later",
        ]
    gone = [{"pool": "p", "name": "mother", "size": "8M", "snapshots": [{"name": "base", "state": "absent"}]}]
    with pytest.raises(Failed, match="is protected and has clones: p/child"):
        run("rbd_images", cluster=old, images=gone, allow_loss=["snapshot/p/mother@base"])


def test_absent_means_the_trash(run, pools, images):
    pool = pools["images"]
    run("rbd_images", images=[{"pool": pool, "name": "old", "size": "4M"}])
    gone = [{"pool": pool, "name": "old", "state": "absent", "trash_delay": "1d"}]
    with rbd.Image(images, "old"), pytest.raises(Failed, match="is in use by"):
        run("rbd_images", images=gone)
    assert run("rbd_images", images=gone)["changed"]
    assert "old" in [entry["name"] for entry in rbd.RBD().trash_list(images)]
    assert not run("rbd_images", images=gone)["changed"]


def test_a_namespace_and_a_data_pool(run, pools, images, cluster):
    want = [{"pool": pools["images"], "namespace": "tenant", "name": "a", "size": "4M", "data_pool": pools["vms"]}]
    assert changed(run("rbd_images", images=want)) == [f"create image/{pools['images']}/tenant/a", f"create namespace/{pools['images']}/tenant"]
    result = run("rbd_images", images=want)
    assert not result["changed"]
    assert result["images"][0]["data_pool"] == pools["vms"]


def test_all_mistakes_are_told_at_once_and_nothing_is_touched(run, pools, images):
    pool = pools["images"]
    with pytest.raises(Failed) as caught:
        run("rbd_images", images=[{"pool": pool, "name": "x", "size": "4X"}, {"pool": pool, "name": "y"}, {"pool": pool, "name": "z", "clone_of": "nonsense"}])
    assert len(caught.value.result["problems"]) == 3
    with pytest.raises(Failed) as caught:
        run(
            "rbd_images",
            images=[
                {"pool": "nowhere", "name": "x", "size": "4M"},
                {"pool": pool, "name": "fine", "size": "4M"},
                {"pool": pool, "name": "y", "clone_of": f"{pool}/none@base"},
            ],
        )
    assert sorted(caught.value.result["problems"]) == [f"image {pool}/y: cannot be cloned: the image {pool}/none is not there", "pool nowhere is not there"]
    assert "fine" not in rbd.RBD().list(images)


def test_who_may_not_is_told_so(run, pools, cluster):
    name = f"client.{uuid.uuid4().hex[:6]}"
    made = cluster.command("auth get-or-create", entity=name, caps=["mon", "allow r", "osd", "profile rbd pool=" + pools["vms"]])
    connection = {**cluster.connection, "client": name, "key": made[0]["key"]}
    with pytest.raises(Failed, match=name):
        run("rbd_images", connection=connection, images=[{"pool": pools["images"], "name": "x", "size": "4M"}])


def test_no_cluster_yet(run, disk):
    """On a bare host, check mode says that all would be made."""
    want = [
        {"pool": "images", "name": "golden", "source": {"path": str(disk)}, "snapshots": [{"name": "base"}]},
        {"pool": "v", "name": "a", "clone_of": "images/golden@base"},
    ]
    assert len(run("rbd_images", check=True, connection={"conf": "/nowhere.conf"}, images=want)["changes"]) == 3
    with pytest.raises(Failed, match=r"no Ceph configuration at /nowhere\.conf"):
        run("rbd_images", connection={"conf": "/nowhere.conf"}, images=want)


def test_an_unreachable_cluster_is_no_empty_one(run, cluster):
    connection = {**cluster.connection, "mon_host": "[v2:127.0.0.1:1,v1:127.0.0.1:2]", "timeout": 2}
    with pytest.raises(Failed, match="cannot connect to Ceph"):
        run("rbd_images", check=True, connection=connection, images=[{"pool": "p", "name": "x", "size": "4M"}])
