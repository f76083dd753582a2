# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of a real cluster, with a real libvirt, on which nothing is left of that cluster; all that is others' stays. Skipped in a root that has no libvirt."""

from __future__ import annotations

import base64
import os
import pathlib
import shutil

import pytest
from conftest import Cluster, Failed
from test_kvm_host import host  # noqa: F401 a libvirt of this container's own

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import cluster_leftovers
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml

OTHER = "00000000-1111-4222-8333-444444444444"
ETC, DATA = pathlib.Path("/etc/ceph"), pathlib.Path("/var/lib/ceph")
MON = "ceph-mon@a.service"
# Of another cluster, and an operator's own.
FOREIGN = {
    ETC / "backup.conf": f"[global]\nfsid = {OTHER}\n",
    ETC / "backup.client.admin.keyring": "[client.admin]\n",
    ETC / "ceph.client.byhand.keyring": "[client.byhand]\n",
    DATA / "osd" / "ceph-7" / "ceph_fsid": f"{OTHER}\n",
    DATA / "mon" / "backup-a" / "keyring": "[mon.]\n",
}
DIR_POOL = '<pool type="dir"><name>isos</name><target><path>/var/tmp</path></target></pool>'


@pytest.fixture(scope="module")
def own():
    """A cluster whose monitor lies, and has its socket, where a host of this collection has it."""
    for folder in (DATA / "mon", pathlib.Path("/run/ceph"), pathlib.Path("/run/lock")):
        folder.mkdir(parents=True, exist_ok=True)
    (DATA / "bootstrap-osd" / "ceph.keyring").unlink(missing_ok=True)  # another file's tests have written it
    one = Cluster(osds=1, conf={"mon_data": "/var/lib/ceph/mon/ceph-$id", "admin_socket": "/run/ceph/ceph-$name.asok", "osd_pool_default_size": "1"})
    try:
        one.begin()
        (ETC / "ceph.conf").write_text(f"[global]\nfsid = {one.fsid}\nmon_host = {one.mon_host}\n# by hand\ndebug_rbd = 0\n")
        (ETC / "ceph.client.admin.keyring").write_text(one.keyring.read_text())
        one.command("osd pool create", pool="vms", pg_num=8)
        one.command("osd pool application enable", pool="vms", app="rbd")
        caps = ["mon", "profile rbd", "osd", "profile rbd pool=vms"]
        one.kvm_key = one.command("auth get-or-create", entity="client.kvm", caps=caps)[0]["key"]
        (ETC / "ceph.client.kvm.keyring").write_text(f"[client.kvm]\n\tkey = {one.kvm_key}\n")
        (DATA / "osd" / "ceph-0").mkdir(parents=True)
        (DATA / "osd" / "ceph-0" / "ceph_fsid").write_text(one.fsid + "\n")
        for path, text in FOREIGN.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        one.wait_clean()
        yield one
    finally:
        one.stop_all()
        for path in [*ETC.glob("*.keyring"), *ETC.glob("*.conf")]:
            path.unlink()
        for kind in ("mon", "osd"):
            shutil.rmtree(DATA / kind, ignore_errors=True)
            (DATA / kind).mkdir()


@pytest.fixture(autouse=True)
def units(own, monkeypatch):
    """The root that the tests run in has no systemd: the cluster's own processes stand for its units."""

    def stop(name):
        assert name == MON
        own.stop("mon.a")

    running = systemd.Unit(True, True, "active", 1)
    monkeypatch.setattr(systemd, "units", lambda names: {name: running if name == MON and "mon.a" in own._processes else systemd.NO_UNIT for name in names})
    monkeypatch.setattr(systemd, "stop", stop)


@pytest.fixture
def libvirt_of(own, host):  # noqa: F811
    """What the host's libvirt has: a secret and a pool of the cluster; a folder's pool, and a secret of another cluster."""
    for fsid in (own.fsid, OTHER):
        host.secretDefineXML(xml.write_secret(xml.secret_of(fsid, "client.kvm")), 0).setValue(base64.b64decode(own.kvm_key), 0)
    secret = xml.secret_of(own.fsid, "client.kvm").uuid
    for name, address, uuid in (("vms", "127.0.0.1", secret), ("theirs", "127.9.9.9", xml.secret_of(OTHER, "client.kvm").uuid)):
        host.storagePoolDefineXML(xml.write_pool(xml.RbdPool(name, "vms", ((address, 0),), "kvm", uuid)), 0)
    host.storagePoolDefineXML(DIR_POOL, 0)
    yield host
    for one in [*host.listAllStoragePools(), *host.listAllSecrets()]:
        one.undefine()


def purge(run, own, **options):
    return run("ceph_purge", connection=False, **{"fsid": own.fsid, "clients": ["client.kvm"], **options})


def ids(result):
    return sorted(f"{row['kind']}/{row['name']}" for row in result["changes"])


def state(host):  # noqa: F811
    """All that could go."""
    files = [str(path) for folder in (ETC, DATA / "mon", DATA / "osd") for path in folder.rglob("*") if "store.db" not in str(path)]
    return sorted(files), sorted(pool.name() for pool in host.listAllStoragePools()), sorted(one.usageID() for one in host.listAllSecrets())


def refused(run, own, host, match, **options):  # noqa: F811
    before = state(host)
    for check in (True, False):
        with pytest.raises(Failed, match=match):
            purge(run, own, check=check, **options)
    assert state(host) == before
    assert own.command("health")


def everything(own):
    return sorted(
        [
            f"cluster/{own.fsid}",
            "conf//etc/ceph/ceph.conf",
            "data_folder//var/lib/ceph/osd/ceph-0",
            "keyring//etc/ceph/ceph.client.admin.keyring",
            "keyring//etc/ceph/ceph.client.kvm.keyring",
            "pool/vms",
            "secret/client.kvm",
            f"unit/{MON}",
        ]
    )


def test_another_fsid_is_refused_with_both_shown(own, run, libvirt_of):
    refused(run, own, libvirt_of, f"fsid is {OTHER}, and /etc/ceph/ceph.conf of this host is of the cluster {own.fsid}", fsid=OTHER)
    refused(run, own, libvirt_of, "fsid 'ceph' is no UUID", fsid="ceph")


def test_a_monitor_that_runs_is_asked_itself(own, run, libvirt_of):
    conf = ETC / "ceph.conf"
    text = conf.read_text()
    conf.write_text(text.replace(own.fsid, OTHER))
    try:
        refused(run, own, libvirt_of, f"fsid is {OTHER}, and mon.a, which runs on this host, is of the cluster {own.fsid}", fsid=OTHER)
    finally:
        conf.write_text(text)


def test_a_client_that_uses_the_cluster_is_told(own, run, libvirt_of):
    import rados

    with rados.Rados(name="client.kvm", conffile="", conf={"mon_host": own.mon_host, "key": own.kvm_key}):
        refused(run, own, libvirt_of, r"client\.kvm uses the cluster, from 127\.0\.0\.1: .* allow_loss: \[session/client\.kvm\]")
        assert ids(purge(run, own, check=True, allow_loss=["session/client.kvm"])) == everything(own)


def test_a_guest_that_runs_on_it_is_told(own, run, libvirt_of):
    import libvirt
    import rbd

    with own.rados.open_ioctx("vms") as io:
        rbd.RBD().create(io, "web", 1 << 20)
    secret = xml.secret_of(own.fsid, "client.kvm").uuid
    monitors = tuple(("127.0.0.1", int(port)) for port in [own.mon_host.split("v1:127.0.0.1:")[1].rstrip("]")])
    guest = xml.Guest("web", "33333333-3333-4333-8333-333333333333", "qemu", 64, "vms", "web", monitors, "kvm", secret)
    domain = libvirt_of.createXML(xml.write_guest(guest), libvirt.VIR_DOMAIN_START_PAUSED)
    try:
        refused(run, own, libvirt_of, r"the guest web runs on the image vms/web: shut it down first")
    finally:
        domain.destroy()


def test_what_is_of_the_cluster_goes_and_nothing_else(own, run, libvirt_of, monkeypatch):
    before = state(libvirt_of)
    checked = purge(run, own, check=True)
    assert ids(checked) == everything(own)
    assert state(libvirt_of) == before
    assert own.command("health")

    def fails(paths):
        raise OSError("killed")

    # ended before its time: its ceph.conf still says whose the rest is
    with monkeypatch.context() as patch:
        patch.setattr(cluster_leftovers, "_remove", fails)
        with pytest.raises(Failed, match="killed"):
            purge(run, own)
    assert "mon.a" not in own._processes
    assert {f"cluster/{own.fsid}", "conf//etc/ceph/ceph.conf"} <= set(ids(purge(run, own, check=True)))
    done = purge(run, own)
    assert done["left"] == checked["left"]
    assert done["left"][:2] == ["/etc/ceph/ceph.client.byhand.keyring: no client of that name is declared", f"{ETC}/ceph.conf, {NOT_OURS}"]
    assert [text for text in done["left"][2:] if "logs" not in text] == []
    _files, pools, secrets = state(libvirt_of)
    assert (pools, secrets) == (["isos", "theirs"], [f"client.kvm of {OTHER}"])
    assert {path.read_text() == text for path, text in FOREIGN.items()} == {True}
    assert sorted(os.listdir(ETC)) == ["backup.client.admin.keyring", "backup.conf", "ceph.client.byhand.keyring", "ceph.conf", *RBDMAP]
    assert (ETC / "ceph.conf").read_text() == "[global]\n# by hand\ndebug_rbd = 0\n"
    assert os.listdir(DATA / "mon") == ["backup-a"] and os.listdir(DATA / "osd") == ["ceph-7"]
    assert purge(run, own)["changes"] == []


NOT_OURS = "with what is not this collection's"
RBDMAP = ["rbdmap"] if (ETC / "rbdmap").exists() else []
