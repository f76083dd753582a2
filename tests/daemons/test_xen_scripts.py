# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Xen's hotplug scripts against a real Ceph, with the real rbd and qemu-nbd. There is no krbd and no blktap here: tap-ctl is a double."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import uuid

import pytest
import rbd

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit" / "xen"))

from hotplug import Host


@pytest.fixture(scope="module")
def pools(cluster):
    """A pool with the images web and data for client.xenscript, and one that is another's."""
    own, other = (f"xs-{uuid.uuid4().hex[:6]}" for unused in "12")
    for pool in (own, other):
        cluster.command("osd pool create", pool=pool, pg_num=8)
        cluster.command("osd pool application enable", pool=pool, app="rbd")
    cluster.wait_clean()
    for pool, image in ((own, "web"), (own, "data"), (other, "web")):
        with cluster.rados.open_ioctx(pool) as context:
            rbd.RBD().create(context, image, 4 << 20)
    key = cluster.command("auth get-or-create", entity="client.xenscript", caps=["mon", "profile rbd", "osd", f"profile rbd pool={own}"])[0]["key"]
    keyring = pathlib.Path("/etc/ceph/ceph.client.xenscript.keyring")
    keyring.parent.mkdir(exist_ok=True)
    keyring.write_text(f"[client.xenscript]\n\tkey = {key}\n")
    return own, other


@pytest.fixture
def hosts(tmp_path, cluster, monkeypatch):
    """Two first domains, which know nothing of each other."""
    monkeypatch.setenv("CEPH_CONF", str(cluster.conf))
    made = []
    for name in ("xen1", "xen2"):
        (tmp_path / name).mkdir()
        made.append(Host(tmp_path / name, real=("rbd", "qemu-nbd")))
    yield made
    for one in made:
        for pid in [*one.tapdisks(), *(int(path.read_text()) for path in one.root.glob("run/*.pid"))]:
            os.kill(pid, 9)


def tap(host, target, **given):
    return host.disk(script="block-tap-rbd", target=target, **given)


def watchers(cluster, pool, image):
    with cluster.rados.open_ioctx(pool) as context, rbd.Image(context, image, read_only=True) as opened:
        return [watcher["addr"] for watcher in opened.watchers_list()]


@pytest.mark.parametrize("script", ["block-rbd", "block-tap-rbd"])
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{own}/wbe:id=xenscript", "error opening image wbe: (2) No such file or directory"),
        ("nowhere/web:id=xenscript", "error opening pool 'nowhere': (2) No such file or directory"),
        ("{other}/web:id=xenscript", "(1) Operation not permitted"),
        ("{own}/web:id=nobody", "couldn't connect to the cluster"),
    ],
)
def test_what_is_wrong_is_said_in_ceph_s_words(pools, hosts, script, target, said):
    target = target.format(own=pools[0], other=pools[1])
    disk = hosts[0].disk(script=script, target=target)
    assert disk.run("add") == 1
    assert disk.hotplug_status == "error" and said in disk.hotplug_error and target.split(":")[0] in disk.hotplug_error
    assert disk.run("remove") == 0


@pytest.mark.parametrize("script", ["block-rbd", "block-tap-rbd"])
def test_an_image_that_somebody_writes_is_refused(cluster, pools, hosts, script):
    with cluster.rados.open_ioctx(pools[0]) as context, rbd.Image(context, "web"):
        (address,) = watchers(cluster, pools[0], "web")
        for mode in ("w", "r"):
            disk = hosts[0].disk(script=script, target=f"{pools[0]}/web:id=xenscript", mode=mode, guest=1 if mode == "w" else 2)
            assert disk.run("add") == 1
            assert f"in use by {address.split('/')[0].split(':')[0]}" in disk.hotplug_error


def test_a_kernel_without_a_client_is_told(pools, hosts):
    if os.path.isdir("/sys/bus/rbd"):
        pytest.skip("this kernel has krbd")
    disk = hosts[0].disk(target=f"{pools[0]}/web:id=xenscript")
    assert disk.run("add") == 1
    assert disk.hotplug_status == "error" and f"{pools[0]}/web as client.xenscript: " in disk.hotplug_error


def test_what_is_written_by_nbd_is_in_ceph(cluster, pools, hosts):
    host = hosts[0]
    disk = tap(host, f"{pools[0]}/web:id=xenscript")
    assert disk.run("add") == 0, disk.hotplug_error
    assert disk.ready() and host.taps()[disk.minor]["sectors"] == (4 << 20) // 512
    assert len(watchers(cluster, pools[0], "web")) == 1
    (server,) = host.servers()
    written = subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 0x5a 512 512", f"nbd+unix:///tapdisk_client?socket={server}"], capture_output=True)
    assert written.returncode == 0, written
    # at once: nothing waits in a cache for a flush that tapdisk never sends
    with cluster.rados.open_ioctx(pools[0]) as context, rbd.Image(context, "web", read_only=True) as image:
        assert image.read(512, 512) == b"\x5a" * 512
    assert disk.run("remove") == 0
    assert watchers(cluster, pools[0], "web") == [] and host.servers() == [] and host.taps() == {}


def test_one_that_only_reads_cannot_write(cluster, pools, hosts):
    disk = tap(hosts[0], f"{pools[0]}/data:id=xenscript", mode="r")
    assert disk.run("add") == 0, disk.hotplug_error
    (server,) = hosts[0].servers()
    written = subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 0x5a 0 512", f"nbd+unix:///tapdisk_client?socket={server}"], capture_output=True)
    assert written.returncode != 0
    # QEMU opens an image for writing even so: what other readers are refused for
    assert len(watchers(cluster, pools[0], "data")) == 1
    assert disk.run("remove") == 0


def test_two_hosts_at_once_never_both_have_it(cluster, pools, hosts):
    for attempt in range(3):
        disks = [tap(host, f"{pools[0]}/web:id=xenscript", guest=attempt + 1) for host in hosts]
        for process in [disk.start("add") for disk in disks]:
            process.wait(timeout=60)
        served = [disk for disk in disks if disk.ready()]
        assert len(served) <= 1
        assert len(watchers(cluster, pools[0], "web")) == len(served)
        for disk in disks:
            assert disk.ready() or "in use by" in disk.hotplug_error or "at the same time" in disk.hotplug_error
            assert disk.run("remove") == 0
    assert watchers(cluster, pools[0], "web") == []


def test_shared_is_for_both_hosts(cluster, pools, hosts):
    """As while a guest is migrated alive."""
    disks = [tap(host, f"{pools[0]}/web:id=xenscript:shared") for host in hosts]
    assert [disk.run("add") for disk in disks] == [0, 0]
    assert len(watchers(cluster, pools[0], "web")) == 2
    assert [disk.run("remove") for disk in disks] == [0, 0]
    assert watchers(cluster, pools[0], "web") == []
