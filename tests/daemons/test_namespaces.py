# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Consumers that have a namespace of their own in pools that others use as well: made, kept, proven, and refused everything else."""

from __future__ import annotations

import contextlib

import pytest
from conftest import Failed

TENANT = {"name": "nst", "namespace": "tenant", "pools": [{"name": "nsvms", "data_pool": "nsdata"}, {"name": "nsgold", "access": "ro", "namespace": ""}]}
OTHER = {"name": "nso", "namespace": "other", "pools": [{"name": "nsvms"}]}
OBJECTS = {"name": "nsr", "kind": "rados", "namespace": "notes", "pools": [{"name": "nsraw"}, {"name": "nsread", "access": "ro"}]}
CONSUMERS = [TENANT, OTHER, OBJECTS]
# Who has rights on a namespace alone cannot initialise a pool.
MADE = ["create namespace/nsvms/other", "create namespace/nsvms/tenant", "update pool/nsdata", "update pool/nsvms"]


def changed(result):
    return sorted(f"{row['action']} {row['kind']}/{row['name']}" for row in result["changes"])


@pytest.fixture(scope="module")
def keyring(cluster, tmp_path_factory):
    """The pools, and a file into which the clients' keys are written once they are made."""
    for name in ("nsvms", "nsdata", "nsgold", "nsraw", "nsread"):
        cluster.command("osd pool create", pool=name, pg_num=1)
        cluster.command("osd pool application enable", pool=name, app="rbd" if name in ("nsvms", "nsdata", "nsgold") else "cephstack")
    cluster.wait_clean()
    return tmp_path_factory.mktemp("ns") / "keyring"


@pytest.fixture
def made(cluster, run, keyring):
    """Clients and namespaces as declared. Returns the connection of a consumer's host."""
    run("ceph_cluster", consumers=CONSUMERS)
    run("rbd_images", consumers=CONSUMERS)
    keys = {name: cluster.command("auth get", entity=name)[0]["key"] for name in ("client.nst", "client.nso", "client.nsr")}
    keyring.write_text("".join(f"[{name}]\n\tkey = {key}\n" for name, key in keys.items()))
    return {"mon_host": cluster.mon_host, "keyring": str(keyring), "timeout": 20}


def test_from_nothing_and_again(cluster, run, keyring):
    assert changed(run("rbd_images", check=True, consumers=CONSUMERS)) == MADE
    assert changed(run("ceph_cluster", consumers=CONSUMERS)) == ["create client/client.nso", "create client/client.nsr", "create client/client.nst"]
    assert cluster.command("auth get", entity="client.nst")[0]["caps"] == {
        "mon": "profile rbd",
        "osd": "profile rbd pool=nsvms namespace=tenant, profile rbd pool=nsdata namespace=tenant, profile rbd-read-only pool=nsgold",
        "mgr": "profile rbd pool=nsvms namespace=tenant",
    }
    assert changed(run("rbd_images", consumers=CONSUMERS)) == MADE
    assert not run("ceph_cluster", consumers=CONSUMERS)["changed"]
    assert not run("rbd_images", consumers=CONSUMERS)["changed"]
    assert not run("rbd_images", check=True, consumers=CONSUMERS)["changed"]


def test_each_can_do_its_work_and_is_refused_all_else(run, made):
    reports = {one["client"]: one for one in run("ceph_probe", connection=made, consumers=CONSUMERS, rounds=2)["consumers"]}
    tenant = reports["client.nst"]
    assert [(pool["name"], pool["access"]) for pool in tenant["pools"]] == [("nsvms/tenant", "rw"), ("nsgold", "ro")]
    places = [f"{which} namespace of {pool}" for which in ("the default", "another") for pool in ("nsvms", "nsdata")]
    assert {f"{what} {place}" for what in ("read from", "write to") for place in places} | {"write to nsgold", "read from nsraw"} <= set(tenant["refused"])
    assert "read from the default namespace of nsraw" in reports["client.nsr"]["refused"] and "write to nsread/notes" in reports["client.nsr"]["refused"]


def test_check_mode_writes_nothing(run, made):
    for report in run("ceph_probe", check=True, connection=made, consumers=CONSUMERS)["consumers"]:
        assert not any(what.startswith("write") for what in report["refused"])
        assert any(what.startswith("read from another namespace") for what in report["refused"])


def test_the_cluster_refuses_the_images_of_others(cluster, made):
    import rados
    import rbd

    with cluster.rados.open_ioctx("nsvms") as io_context:
        rbd.RBD().create(io_context, "everybodys", 1 << 20)
        io_context.set_namespace("tenant")
        rbd.RBD().create(io_context, "own", 1 << 20)
    conf = {"mon_host": made["mon_host"], "keyring": made["keyring"]}
    for client, may in (("client.nst", True), ("client.nso", False)):
        with rados.Rados(name=client, conf=conf) as opened, contextlib.closing(opened.open_ioctx("nsvms")) as io_context:
            with pytest.raises(rbd.PermissionError):
                rbd.Image(io_context, "everybodys")
            io_context.set_namespace("tenant")
            if may:
                rbd.Image(io_context, "own").close()
            else:
                with pytest.raises(rbd.PermissionError):
                    rbd.Image(io_context, "own")
    with cluster.rados.open_ioctx("nsvms") as io_context:
        rbd.RBD().remove(io_context, "everybodys")
        io_context.set_namespace("tenant")
        rbd.RBD().remove(io_context, "own")


def test_rights_that_reach_too_far_are_told_listed_and_repaired(cluster, run, made):
    wide = ["mon", "profile rbd", "osd", "profile rbd pool=nsvms, profile rbd pool=nsdata namespace=tenant, profile rbd-read-only pool=nsgold"]
    cluster.command("auth caps", entity="client.nst", caps=[*wide, "mgr", "profile rbd pool=nsvms namespace=tenant"])
    with pytest.raises(Failed) as caught:
        run("ceph_probe", connection=made, consumers=[TENANT], rounds=1)
    problems = caught.value.result["problems"]
    assert {f"client.nst: write to {which} namespace of nsvms should be refused, and is allowed" for which in ("the default", "another")} <= set(problems)
    assert not any("nsdata" in text for text in problems)
    drift = run("ceph_cluster", check=True, consumers=CONSUMERS)
    assert changed(drift) == ["update client/client.nst"]
    (entry,) = drift["diff"]
    assert "pool=nsvms," in entry["before"]["caps"]["osd"] and "pool=nsvms namespace=tenant" in entry["after"]["caps"]["osd"]
    assert changed(run("ceph_cluster", consumers=CONSUMERS)) == ["update client/client.nst"]
    assert not run("ceph_cluster", consumers=CONSUMERS)["changed"]
    run("ceph_probe", connection=made, consumers=[TENANT], rounds=1)


def test_a_namespace_goes_by_name_when_it_is_allowed_and_empty(cluster, run, keyring):
    import rbd

    former = [{"pool": "nsvms", "name": "former"}]
    assert changed(run("rbd_images", namespaces=former)) == ["create namespace/nsvms/former"]
    image = {"pool": "nsvms", "namespace": "former", "name": "left", "size": "1M"}
    run("rbd_images", images=[image])
    going = {"namespaces": [{**former[0], "state": "absent"}], "allow_loss": ["namespace/nsvms/former"]}
    with pytest.raises(Failed, match=r"namespace nsvms/former has images: left: remove or move them first"):
        run("rbd_images", **going)
    run("rbd_images", images=[{**image, "state": "absent"}])
    with pytest.raises(Failed, match=r"namespace nsvms/former has images: left \(in the trash\)"):
        run("rbd_images", **going)
    with cluster.rados.open_ioctx("nsvms") as io_context:
        io_context.set_namespace("former")
        (trashed,) = rbd.RBD().trash_list(io_context)
        rbd.RBD().trash_remove(io_context, trashed["id"])
    run("rbd_images", images=[image])
    with pytest.raises(Failed, match=r"is declared absent, and a consumer is in it"):
        run("rbd_images", consumers=[{**OTHER, "namespace": "former"}], **going)
    # Where its images are deleted in the same call, it can go with them.
    gone = {**image, "state": "absent", "removal": "delete"}
    with pytest.raises(Failed, match=r"allow_loss: namespace/nsvms/former"):
        run("rbd_images", images=[gone], namespaces=going["namespaces"], allow_loss=["image/nsvms/former/left"])
    both = {"images": [gone], "namespaces": going["namespaces"], "allow_loss": ["image/nsvms/former/left", "namespace/nsvms/former"]}
    wanted = ["delete image/nsvms/former/left", "delete namespace/nsvms/former"]
    assert changed(run("rbd_images", check=True, **both)) == wanted
    assert changed(run("rbd_images", **both)) == wanted
    assert not run("rbd_images", **both)["changed"]


def test_nothing_that_is_not_named_goes(run, made):
    run("rbd_images", consumers=[], namespaces=[])
    assert not run("rbd_images", check=True, consumers=CONSUMERS)["changed"]


def test_a_namespace_that_is_not_there_is_told(cluster, run, made):
    nowhere = {**TENANT, "namespace": "nowhere"}
    run("ceph_cluster", consumers=[nowhere])
    with pytest.raises(Failed, match=r"client.nst: the namespace nsvms/nowhere is not there"):
        run("ceph_probe", connection=made, consumers=[nowhere], rounds=1)
    as_tenant = {**made, "client": "client.nst"}
    command = r"there is no namespace nsvms/nowhere, and nobody here may make it: ask who keeps the cluster for `rbd pool init nsvms` and `rbd namespace"
    with pytest.raises(Failed, match=command):
        run("ceph_external_probe", connection=as_tenant, fsid=cluster.fsid, consumers=[nowhere])
    # What another's rights are needed to know, its own proof tells.
    assert run("ceph_external_probe", connection=as_tenant, fsid=cluster.fsid, consumers=[OTHER])["asked"]
    run("ceph_cluster", consumers=CONSUMERS)
    assert run("ceph_external_probe", connection=as_tenant, fsid=cluster.fsid, consumers=CONSUMERS[:2])["asked"]
