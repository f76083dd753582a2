# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ceph_probe against a real Ceph: promises kept, promises broken, nothing left behind."""

from __future__ import annotations

import pytest
from conftest import Failed


@pytest.fixture(scope="module")
def probed(cluster, tmp_path_factory):
    """Three pools, and a client that may write one and read another. Returns its keyring."""
    for pool, app in (("pbvms", "rbd"), ("pbimages", "rbd"), ("pbother", "cephstack"), ("pbraw", "cephstack")):
        cluster.command("osd pool create", pool=pool, pg_num=8)
        cluster.command("osd pool application enable", pool=pool, app=app)
    caps = ["mon", "profile rbd", "osd", "profile rbd pool=pbvms, profile rbd-read-only pool=pbimages, allow rw pool=pbraw"]
    key = cluster.command("auth get-or-create", entity="client.pb", caps=caps)[0]["key"]
    keyring = tmp_path_factory.mktemp("pb") / "keyring"
    keyring.write_text(f"[client.pb]\n\tkey = {key}\n")
    cluster.wait_clean()
    return str(keyring)


def consumers(*pools):
    images = [{"name": name, "access": access} for name, access in (pools or (("pbvms", "rw"), ("pbimages", "ro")))]
    return [
        {"name": "pb", "kind": "kvm", "pools": images},
        {"name": "raw", "client": "client.pb", "kind": "rados", "pools": [{"name": "pbraw"}]},
    ]


def left_behind(cluster):
    import rbd

    found = []
    for pool in cluster.rados.list_pools():
        with cluster.rados.open_ioctx(pool) as io_context:
            found += [item.key for item in io_context.list_objects() if "cephstack-probe" in item.key]
            found += [image for image in rbd.RBD().list(io_context) if "cephstack-probe" in image]
    return found


def connection(cluster, keyring):
    return {"mon_host": cluster.mon_host, "keyring": keyring, "timeout": 20}


def test_promises_that_are_kept(cluster, run, probed):
    result = run("ceph_probe", connection=connection(cluster, probed), consumers=consumers(), rounds=5)
    (report,) = result["consumers"]
    assert not result["changed"]
    assert report["client"] == "client.pb"
    by_name = {pool["name"]: pool for pool in report["pools"]}
    assert set(by_name["pbvms"]["latency"]) == {"create", "write", "read", "snapshot", "clone", "remove"}
    assert set(by_name["pbraw"]["latency"]) == {"write", "read"}
    assert {"write to pbimages", "read from pbother", "write to pbother", "auth ls", "auth rm", "config-key rm"} <= set(report["refused"])
    assert left_behind(cluster) == []


def test_check_mode_writes_nothing(cluster, run, probed):
    result = run("ceph_probe", check=True, connection=connection(cluster, probed), consumers=consumers())
    (report,) = result["consumers"]
    assert "read from pbother" in report["refused"]
    assert not any(what.startswith("write") for what in report["refused"])
    assert left_behind(cluster) == []


def test_a_promise_that_is_broken_and_one_that_goes_too_far_are_both_told(cluster, run, probed):
    declared = consumers(("pbvms", "ro"), ("pbimages", "rw"), ("pbnowhere", "rw"))
    with pytest.raises(Failed) as caught:
        run("ceph_probe", connection=connection(cluster, probed), consumers=declared, rounds=2)
    problems = "\n".join(caught.value.result["problems"])
    assert "write to the read-only pool pbvms was not refused" in problems
    assert "pool pbimages (rw)" in problems
    assert "the pool pbnowhere is not there" in problems
    assert left_behind(cluster) == []


def test_access_to_what_was_not_promised_is_told(cluster, run, probed):
    with pytest.raises(Failed, match=r"client.pb: write to pbraw should be refused, and is allowed"):
        run("ceph_probe", connection=connection(cluster, probed), consumers=consumers()[:1], rounds=2)
    assert left_behind(cluster) == []


def test_an_administrators_key_is_no_consumers(cluster, run):
    everything = [{"name": name} for name in cluster.rados.list_pools()]
    with pytest.raises(Failed, match=r"client.admin: auth ls should be refused, and is allowed"):
        run("ceph_probe", consumers=[{"name": "admin", "kind": "rados", "pools": everything}], rounds=1)
    assert left_behind(cluster) == []


def test_what_a_killed_run_left_is_removed_by_the_next(cluster, run, probed):
    import socket

    import rbd

    name = "cephstack-probe." + socket.gethostname()
    with cluster.rados.open_ioctx("pbvms") as io_context:
        rbd.RBD().create(io_context, name, 1 << 22)
        with rbd.Image(io_context, name) as image:
            image.create_snap("probe")
            image.protect_snap("probe")
        rbd.RBD().clone(io_context, name, "probe", io_context, name + ".clone")
    run("ceph_probe", connection=connection(cluster, probed), consumers=consumers(), rounds=1)
    assert left_behind(cluster) == []


def test_a_wrong_key_is_told_and_the_other_consumers_are_probed(cluster, run, probed, tmp_path):
    both = tmp_path / "both"
    with open(probed, encoding="utf-8") as own:
        both.write_text(own.read() + "[client.pbwrong]\n\tkey = AQCeGgFrXhZxNBAASKQRL4kHy9NJdCCZLTIWUw==\n")
    declared = [*consumers(), {"name": "pbwrong", "pools": [{"name": "pbvms"}]}]
    with pytest.raises(Failed, match=r"cannot connect .* as client.pbwrong") as caught:
        run("ceph_probe", connection=connection(cluster, str(both)), consumers=declared, rounds=1)
    assert [len(report["problems"]) for report in caught.value.result["consumers"]] == [0, 1]


def test_markers_are_read(cluster, run, probed):
    import rbd

    with cluster.rados.open_ioctx("pbimages") as io_context:
        rbd.RBD().create(io_context, "marked", 1 << 22)
        with rbd.Image(io_context, "marked") as image:
            image.write(b"hello from a guest\n\0", 512)
    marker = {"client": "client.pb", "pool": "pbimages", "image": "marked"}
    result = run("ceph_probe", connection=connection(cluster, probed), consumers=consumers(), rounds=1, markers=[marker])
    assert result["markers"][0]["text"] == "hello from a guest"
    with pytest.raises(Failed, match=r"pbimages/nosuch could not be read as client.pb"):
        run("ceph_probe", connection=connection(cluster, probed), consumers=consumers(), rounds=1, markers=[{**marker, "image": "nosuch"}])


def test_the_data_of_images_goes_to_the_pool_that_is_named(cluster, run, tmp_path):
    pools = [{"name": name, "pg_num": 8, "applications": ["rbd"]} for name in ("pbdvms", "pbddata")]
    declared = [{"name": "pbd", "kind": "kvm", "pools": [{"name": "pbdvms", "data_pool": "pbddata"}]}]
    run("ceph_cluster", pools=pools, consumers=declared)
    keyring = tmp_path / "keyring"
    keyring.write_text(f"[client.pbd]\n\tkey = {cluster.command('auth get', entity='client.pbd')[0]['key']}\n")
    cluster.wait_clean()
    (report,) = run("ceph_probe", connection=connection(cluster, str(keyring)), consumers=declared, rounds=1)["consumers"]
    assert [pool["name"] for pool in report["pools"]] == ["pbdvms"] and report["problems"] == []
    assert not any("pbddata" in what for what in report["refused"])
    assert left_behind(cluster) == []
    cluster.command("auth caps", entity="client.pbd", caps=["mon", "profile rbd", "osd", "profile rbd pool=pbdvms", "mgr", "profile rbd pool=pbdvms"])
    with pytest.raises(Failed, match=r"client.pbd: pool pbdvms \(rw\): "):
        run("ceph_probe", connection=connection(cluster, str(keyring)), consumers=declared, rounds=1)
    assert not run("ceph_cluster", check=True, pools=pools)["changed"]
    run("ceph_cluster", consumers=declared)
    run("ceph_probe", connection=connection(cluster, str(keyring)), consumers=declared, rounds=1)
    assert left_behind(cluster) == []
