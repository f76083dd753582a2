# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xen_host against a real cluster: what it says of images, and what it writes. There is no Xen here, so nothing is mapped."""

from __future__ import annotations

import contextlib
import pathlib
import uuid

import pytest
import rados
import rbd
from conftest import Failed

from ansible_collections.cephstack.cloud.plugins.module_utils._xen import disks, host

FRAGMENT = pathlib.Path("/etc/xen/disks/web1.cfg")
RBDMAP = pathlib.Path("/etc/ceph/rbdmap")


@pytest.fixture(scope="module")
def pool(cluster):
    """A pool with the images a and b, a second one that nobody was promised, and the keyring of client.xen where Ceph looks for it."""
    name, other = (f"vms-{uuid.uuid4().hex[:6]}" for unused in "12")
    for one in (name, other):
        cluster.command("osd pool create", pool=one, pg_num=8)
        cluster.command("osd pool application enable", pool=one, app="rbd")
    cluster.wait_clean()
    for one, images in ((name, "ab"), (other, "c")):
        with cluster.rados.open_ioctx(one) as context:
            for image in images:
                rbd.RBD().create(context, image, 4 << 20)
    caps = ["mon", "profile rbd", "osd", f"profile rbd pool={name}"]
    key = cluster.command("auth get-or-create", entity="client.xen", caps=caps)[0]["key"]
    write_keyring(key)
    return {"vms": name, "other": other, "key": key}


@pytest.fixture(autouse=True)
def _host(monkeypatch, tmp_path):
    """A host that has all that Debian has for Xen, and was not booted into it yet."""
    seen = host.Seen(drivers=dict.fromkeys(("rbd", "nbd", "xen-blkback"), True), programs={"rbd", "rbd-nbd"})
    monkeypatch.setattr(host, "look", lambda: seen)
    (tmp_path / "block-rbd").write_text("#!/bin/sh\n")
    (tmp_path / "block-rbd").chmod(0o755)
    monkeypatch.setattr(disks, "SCRIPTS", str(tmp_path))


def write_keyring(key):
    path = pathlib.Path("/etc/ceph/ceph.client.xen.keyring")
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[client.xen]\n\tkey = {key}\n")


def declaration(cluster, pool, *items):
    consumers = [{"name": "xen", "kind": "xen", "pools": [{"name": pool["vms"]}, {"name": pool["other"]}, {"name": "nowhere"}]}]
    full = [{"pool": pool["vms"], "device": f"xvd{'abcdef'[number]}", **item} for number, item in enumerate(items)]
    return {"connection": False, "consumers": consumers, "conf": str(cluster.conf), "guests": [{"name": "web1", "disks": full}] if items else []}


@contextlib.contextmanager
def opened(cluster, pool, image):
    """Have an image open for writing as somebody else."""
    settings = {"key": cluster.admin_key}
    with rados.Rados(name="client.admin", conffile=str(cluster.conf), conf=settings) as one, one.open_ioctx(pool) as context, rbd.Image(context, image):
        yield


def ids(result):
    return [f"{change['action']} {change['kind']}/{change['name']}" for change in result["changes"]]


def test_disks_are_written_and_stay_and_go(run, cluster, pool):
    want = declaration(cluster, pool, {"image": "a"}, {"image": "b", "backend": "krbd_static"})
    RBDMAP.write_text("# RbdDevice\t\tParameters\n")
    planned = ids(run("xen_host", check=True, **want))
    assert planned == ["create fragment/web1", f"create mapping/{pool['vms']}/b"]
    assert not FRAGMENT.exists()
    assert ids(run("xen_host", **want)) == planned
    assert f"target={pool['vms']}/a:id=xen'" in FRAGMENT.read_text()
    assert f"{pool['vms']}/b id=xen,keyring=" in RBDMAP.read_text()
    assert not run("xen_host", **want)["changed"]
    gone = run("xen_host", **declaration(cluster, pool))
    assert ids(gone) == ["delete fragment/web1", f"delete mapping/{pool['vms']}/b"]
    assert not FRAGMENT.exists()
    assert RBDMAP.read_text() == "# RbdDevice\t\tParameters\n"
    assert not run("xen_host", **declaration(cluster, pool))["changed"]


def test_what_is_not_there_or_not_allowed_is_told_at_once(run, cluster, pool):
    want = declaration(cluster, pool, {"image": "gone"}, {"image": "c", "pool": pool["other"]}, {"image": "a", "pool": "nowhere"})
    with pytest.raises(Failed) as caught:
        run("xen_host", check=True, **want)
    problems = caught.value.result["problems"]
    assert len(problems) == 3
    assert any(f"{pool['vms']}/gone is not there" in problem for problem in problems)
    assert any(f"client.xen has no right to the image {pool['other']}/c" in problem for problem in problems)
    assert any("nowhere/a is not there" in problem for problem in problems)


def test_who_has_an_image_here_is_no_stranger(run, cluster, pool):
    with opened(cluster, pool["vms"], "a"):
        assert run("xen_host", check=True, **declaration(cluster, pool, {"image": "a"}))["changed"]


def test_an_image_that_another_host_has_is_not_mapped_here_unless_it_is_shared(run, cluster, pool, monkeypatch):
    monkeypatch.setattr(disks, "own_addresses", lambda connection: {"192.0.2.1"})  # this is another host than its user's
    static = {"image": "a", "backend": "krbd_static"}
    assert run("xen_host", check=True, **declaration(cluster, pool, static))["changed"]
    with opened(cluster, pool["vms"], "a"):
        with pytest.raises(Failed, match=r"in use elsewhere, by .*127\.0\.0\.1"):
            run("xen_host", check=True, **declaration(cluster, pool, static))
        assert run("xen_host", check=True, **declaration(cluster, pool, {**static, "exclusive": False}))["changed"]
        assert run("xen_host", check=True, **declaration(cluster, pool, {**static, "mode": "r"}))["changed"]
        assert run("xen_host", check=True, **declaration(cluster, pool, {"image": "a"}))["changed"]


def test_a_key_that_is_wrong_fails_a_run_and_not_a_dry_one(run, cluster, pool):
    write_keyring(cluster.admin_key)
    try:
        assert run("xen_host", check=True, **declaration(cluster, pool, {"image": "a"}))["changed"]
        with pytest.raises(Failed, match=r"client\.xen"):
            run("xen_host", **declaration(cluster, pool, {"image": "a"}))
    finally:
        write_keyring(pool["key"])
    assert not FRAGMENT.exists()
