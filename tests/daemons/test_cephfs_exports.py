# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gateways need of the cluster, against a real one with a metadata server."""

from __future__ import annotations

import pytest
from conftest import Failed

CLIENT = "client.nfs.gw"


def export(path, **more):
    return {"path": path, "filesystem": "shared", "clients": ["10.0.0.0/24"], **more}


@pytest.fixture(scope="module")
def filesystem(cluster):
    """A filesystem without a metadata server; returns what starts one."""
    for pool in ("shared.meta", "shared.data"):
        cluster.command("osd pool create", pool=pool, pg_num=8)
    cluster.command("fs new", fs_name="shared", metadata="shared.meta", data="shared.data")

    yield lambda: cluster.add_mds("z")
    if "mds.z" in cluster._processes:
        cluster.stop("mds.z")
    cluster.command("fs fail", fs_name="shared")
    cluster.command("fs rm", fs_name="shared", yes_i_really_mean_it=True)


def mount(cluster, client, root):
    import cephfs

    key = cluster.command("auth get", entity=f"client.{client}")[0]["key"]
    one = cephfs.LibCephFS(conf={"mon_host": cluster.mon_host, "key": key, "client_mount_timeout": "20"}, auth_id=client)
    try:
        one.mount(mount_root=root.encode(), filesystem_name=b"shared")
    except cephfs.Error:
        one.shutdown()
        raise
    return one


def test_exports(cluster, run, filesystem):
    """One test: each step needs what the one before it left."""
    import cephfs

    wanted = [export("/one/deep", squash="no_root_squash"), export("/two", access="ro"), export("/drop", squash="all_squash")]

    # bad input, before anything is touched
    with pytest.raises(Failed, match="no metadata server of the filesystem shared is active"):
        run("cephfs_exports", client=CLIENT, exports=wanted, wait=1)
    filesystem()
    with pytest.raises(Failed, match=r"there is no filesystem shred \(there are: .*shared"):
        run("cephfs_exports", client=CLIENT, exports=[*wanted, export("/x", filesystem="shred")])
    with pytest.raises(Failed, match="overlap"):
        run("cephfs_exports", client=CLIENT, exports=[*wanted, export("/x", pseudo="/two/x")])
    with pytest.raises(RuntimeError):
        cluster.command("auth get", entity=CLIENT)

    # the first run waits for the metadata server that is just starting; a dry run says the same
    ids = ["folder/shared:/drop", "folder/shared:/one/deep", "folder/shared:/two", f"client/{CLIENT}"]
    said = run("cephfs_exports", check=True, client=CLIENT, exports=wanted)
    assert [f"{change['kind']}/{change['name']}" for change in said["changes"]] == ids
    assert run("cephfs_exports", client=CLIENT, exports=wanted)["changes"] == said["changes"]
    assert not run("cephfs_exports", client=CLIENT, exports=wanted)["changed"]

    # what it may do, and what it may not
    admin = mount(cluster, "admin", "/")
    assert (admin.stat("/drop").st_uid, admin.stat("/one/deep").st_uid, admin.stat("/one/deep").st_mode & 0o777) == (65534, 0, 0o755)
    admin.mkdir("/others", 0o777)
    own = mount(cluster, "nfs.gw", "/one/deep")
    own.mkdir("/made", 0o755)
    own.shutdown()
    admin.stat("/one/deep/made")
    for folder in ("/", "/others", "/one"):
        with pytest.raises(cephfs.Error):
            mount(cluster, "nfs.gw", folder)
    reader = mount(cluster, "nfs.gw", "/two")
    with pytest.raises(cephfs.Error):
        reader.mkdir("/made", 0o755)
    reader.shutdown()

    # drift by hand is listed, and mended
    cluster.command("auth caps", entity=CLIENT, caps=["mon", "allow r", "mds", "allow rw fsname=shared path=/drop", "osd", "allow rw tag cephfs data=shared"])
    admin.rmdir("/two")
    admin.shutdown()
    drift = ["folder/shared:/two", f"client/{CLIENT}"]
    for check in (True, False):
        assert [f"{change['kind']}/{change['name']}" for change in run("cephfs_exports", check=check, client=CLIENT, exports=wanted)["changes"]] == drift
    assert not run("cephfs_exports", client=CLIENT, exports=wanted)["changed"]

    # an export does not vanish by a line that is missing, but by one that says so
    with pytest.raises(Failed, match="shared:/drop, which is not declared any more"):
        run("cephfs_exports", client=CLIENT, exports=wanted[:2])
    (change,) = run("cephfs_exports", client=CLIENT, exports=[*wanted[:2], {**wanted[2], "state": "absent"}])["changes"]
    assert change["name"] == CLIENT
    assert not run("cephfs_exports", client=CLIENT, exports=wanted[:2])["changed"]
