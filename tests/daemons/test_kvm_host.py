# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kvm_host, its secrets and storage pools, against a real libvirt and a real Ceph. Skipped in a root that has no libvirt."""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import json
import os
import subprocess
import time

import pytest
from conftest import Failed

from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import kvm_host
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import Verdict

libvirt = pytest.importorskip("libvirt")
URI = "qemu:///system"


@pytest.fixture(scope="module")
def host():
    """A libvirt of this container's own."""
    with open("/etc/libvirt/qemu.conf", "a", encoding="utf-8") as conf:
        conf.write('cgroup_controllers = []\nuser = "root"\ngroup = "root"\nremember_owner = 0\n')
    os.makedirs("/run/libvirt", exist_ok=True)
    logger, daemon = (subprocess.Popen([name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for name in ("virtlogd", "libvirtd"))
    libvirt.registerErrorHandler(lambda *unused: None, None)
    end = time.monotonic() + 20
    while True:
        try:
            connection = libvirt.open(URI)
            break
        except libvirt.libvirtError:
            assert time.monotonic() < end
            assert daemon.poll() is None
            time.sleep(0.1)
    yield connection
    connection.close()
    for process in (daemon, logger):
        process.terminate()
        try:
            # libvirtd waits up to 30 s for what its threads still do.
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def guests(cluster, host):
    """Two pools and two clients: (entity, key) each."""
    if cluster.release >= 20:
        pytest.skip("libvirt sets auth_supported, which librados 20.2.4 no longer has: no RBD pool of libvirt starts with it")
    made = {}
    for name in ("lvone", "lvtwo"):
        cluster.command("osd pool create", pool=name, pg_num=8)
        cluster.command("osd pool application enable", pool=name, app="rbd")
        caps = ["mon", "profile rbd", "osd", f"profile rbd pool={name}"]
        made[name] = cluster.command("auth get-or-create", entity=f"client.{name}", caps=caps)[0]["key"]
    cluster.wait_clean()
    return made


def call(check=False, name="kvm_host", **options):
    from ansible.module_utils.testing import patch_module_args

    module = importlib.import_module(f"ansible_collections.cephstack.cloud.plugins.modules.{name}")
    out = io.StringIO()
    with patch_module_args({**options, "_ansible_check_mode": check, "_ansible_diff": True}), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        module.main()
    result = json.loads(next(line for line in out.getvalue().splitlines() if line.startswith("{")))
    if result.get("failed"):
        raise Failed(result)
    return result


@pytest.fixture
def declared(cluster, guests):
    return {
        "guest_timeout": 0,
        "fsid": cluster.fsid,
        "mon_host": cluster.mon_host,
        "secrets": [{"client": f"client.{name}", "key": key} for name, key in guests.items()],
        "pools": [{"name": name, "client": f"client.{name}"} for name in guests],
    }


def ids(result):
    return sorted(f"{row['kind']}/{row['name']}" for row in result["changes"])


def test_a_host_that_can_only_emulate_is_refused_before_anything_changes(host, declared, monkeypatch):
    monkeypatch.setattr(kvm_host, "probe", lambda timeout: Verdict("qemu", "there is no KVM"))
    tried = {**declared, "guest_timeout": 1}
    for check in (True, False):
        with pytest.raises(Failed, match=r"cannot run guests under KVM: there is no KVM\. .* set allow_emulation to true"):
            call(check, **tried)
        assert host.listAllSecrets() == []
    result = call(check=True, allow_emulation=True, **tried)
    assert (result["domain_type"], ids(result)) == ("qemu", EVERYTHING)


EVERYTHING = ["pool/lvone", "pool/lvtwo", "secret/client.lvone", "secret/client.lvtwo"]


def test_from_nothing_and_again(host, declared, guests):
    assert ids(call(check=True, **declared)) == EVERYTHING
    assert host.listAllSecrets() == []
    assert host.listAllStoragePools() == []
    result = call(**declared)
    assert result["changed"]
    assert ids(result) == EVERYTHING
    assert result["pools"] == [{"name": name, "pool": name, "active": True, "autostart": True} for name in guests]
    assert not call(**declared)["changed"]
    assert not any(key in json.dumps(result["diff"]) for key in guests.values())
    secret = host.secretLookupByUUIDString(result["secrets"][0]["uuid"])
    assert base64.b64encode(secret.value()).decode() == guests["lvone"]


def test_a_changed_key_is_set_anew_and_tried(cluster, host, declared):
    import rbd

    call(**declared)
    wrong = [dict(one) for one in declared["secrets"]]
    wrong[0]["key"] = declared["secrets"][1]["key"]
    with pytest.raises(Failed, match=r"secret/client.lvone"):
        call(**{**declared, "secrets": wrong})
    result = call(**declared)
    assert "secret/client.lvone" in ids(result)
    assert not call(**declared)["changed"]
    with cluster.rados.open_ioctx("lvone") as io_context:
        rbd.RBD().create(io_context, "a", 1 << 20)
    pool = host.storagePoolLookupByName("lvone")
    pool.refresh(0)
    assert pool.listVolumes() == ["a"]


def test_drift_is_seen_and_mended_and_volumes_stay(cluster, host, declared):
    import rbd

    call(**declared)
    with cluster.rados.open_ioctx("lvtwo") as io_context:
        rbd.RBD().create(io_context, "kept", 1 << 20)
    one, two = host.storagePoolLookupByName("lvone"), host.storagePoolLookupByName("lvtwo")
    uuid = two.UUIDString()
    one.setAutostart(0)
    two.destroy()
    host.storagePoolDefineXML(two.XMLDesc(0).replace("127.0.0.1", "127.0.0.9"))
    uuid_of = {one["client"]: one["uuid"] for one in call(check=True, **declared)["secrets"]}
    host.secretLookupByUUIDString(uuid_of["client.lvtwo"]).setValue(b"x" * 28)
    result = call(check=True, **declared)
    assert ids(result) == ["pool/lvone", "pool/lvtwo", "secret/client.lvtwo"]
    by_id = {entry["before_header"]: (entry["before"], entry["after"]) for entry in result["diff"]}
    assert by_id["pool/lvone"] == ({"autostart": False}, {"autostart": True})
    assert sorted(by_id["pool/lvtwo"][0]) == ["active", "hosts"]
    assert call(**declared)["changed"]
    assert not call(**declared)["changed"]
    two = host.storagePoolLookupByName("lvtwo")
    assert two.UUIDString() == uuid
    assert "kept" in two.listVolumes()


def test_a_running_pool_whose_definition_was_changed_below_it_runs_with_the_right_one(host, declared):
    call(**declared)
    pool = host.storagePoolLookupByName("lvone")
    good = pool.XMLDesc(0)
    pool.destroy()
    host.storagePoolDefineXML(good.replace("127.0.0.1", "localhost"))
    pool.create(0)
    host.storagePoolDefineXML(good)  # what is defined is right, what runs is not
    result = call(**declared)
    assert ids(result) == ["pool/lvone"]
    assert list(result["diff"][0]["before"]) == ["running with"]
    assert not call(**declared)["changed"]


def test_a_private_secret_is_made_readable(host, declared):
    call(**declared)
    uuid = call(check=True, **declared)["secrets"][0]["uuid"]
    secret = host.secretLookupByUUIDString(uuid)
    description = secret.XMLDesc(0)
    secret.undefine()
    host.secretDefineXML(description.replace("private='no'", "private='yes'")).setValue(b"y" * 28)
    assert ids(call(**declared)) == ["secret/client.lvone"]
    assert not call(**declared)["changed"]


def test_names_that_are_taken_are_refused_before_anything_changes(host, declared):
    call(**declared)
    host.storagePoolDefineXML("<pool type='dir'><name>lvdir</name><target><path>/tmp</path></target></pool>")
    with pytest.raises(Failed, match=r"lvdir.*not of type rbd"):
        call(**{**declared, "pools": [*declared["pools"], {"name": "lvdir", "client": "client.lvone"}]})
    host.storagePoolLookupByName("lvdir").undefine()


def test_a_pool_that_ceph_does_not_have_fails_by_name(declared):
    with pytest.raises(Failed, match=r"pool/lvbad"):
        call(**{**declared, "pools": [{"name": "lvbad", "pool": "nowhere", "client": "client.lvone"}]})
    gone = {**declared, "pools": [{"name": "lvbad", "state": "absent"}]}
    assert ids(call(**gone)) == ["pool/lvbad"]


@pytest.fixture
def keyring(guests, tmp_path):
    path = tmp_path / "keyring"
    path.write_text("".join(f"[client.{name}]\n\tkey = {key}\n" for name, key in guests.items()))
    return str(path)


def guest(cluster, keyring, golden=None, **options):
    connection = {"mon_host": cluster.mon_host, "keyring": keyring, "timeout": 20}
    consumer = {"name": "lvone", "pools": [{"name": "lvone"}]}
    golden = golden and {"pool": "lvone", "image": golden}
    options = {"memory": 64, "domain_type": "qemu", "golden": golden, **options}
    return call(name="libvirt_guest_probe", connection=connection, consumers=[consumer], **options)["guests"][0]


def nothing_left(cluster, host):
    import rbd

    with cluster.rados.open_ioctx("lvone") as io_context:
        images = [name for name in rbd.RBD().list(io_context) if name.startswith("cephstack")]
    consoles = [name for name in os.listdir("/var/log/libvirt/qemu") if name.endswith(".console")]
    return images == [] and host.listAllDomains() == [] and consoles == []


def test_a_guest_writes_its_marker_through_the_secret(cluster, host, declared, keyring):
    call(**declared)
    result = guest(cluster, keyring)
    assert result["marker"] == "cephstack-guest " + result["uuid"].replace("-", "").upper()
    assert nothing_left(cluster, host)


def test_a_guest_on_a_clone_leaves_the_golden_image_alone(cluster, host, declared, keyring):
    import rbd

    from ansible_collections.cephstack.cloud.plugins.module_utils._guest import marker_image

    call(**declared)
    with cluster.rados.open_ioctx("lvone") as io_context:
        rbd.RBD().create(io_context, "golden", 1 << 22)
        with rbd.Image(io_context, "golden") as image:
            image.write(marker_image(), 0)
            image.create_snap("base")
            image.protect_snap("base")
    result = guest(cluster, keyring, golden="golden")
    assert result["marker"].startswith("cephstack-guest ")
    assert result["golden"] == "lvone/golden@base"
    with cluster.rados.open_ioctx("lvone") as io_context, rbd.Image(io_context, "golden", read_only=True) as image:
        assert bytes(image.read(512, 512)) == bytes(512)
    assert nothing_left(cluster, host)


def test_a_guest_that_does_nothing_is_stopped_and_removed(cluster, host, declared, keyring):
    import rbd

    call(**declared)
    with cluster.rados.open_ioctx("lvone") as io_context:
        rbd.RBD().create(io_context, "idle", 1 << 20)
        with rbd.Image(io_context, "idle") as image:
            image.write(bytes.fromhex("f4ebfd").ljust(510, b"\0") + b"\x55\xaa", 0)  # hlt; jmp
            image.create_snap("base")
            image.protect_snap("base")
    with pytest.raises(Failed, match=r"not through within 2 s"):
        guest(cluster, keyring, timeout=2, golden="idle")
    assert nothing_left(cluster, host)


def test_a_guest_without_its_secret_is_told_and_leaves_nothing(cluster, host, declared, keyring):
    call(**declared)
    secret = next(one["uuid"] for one in call(**declared)["secrets"] if one["client"] == "client.lvone")
    host.secretLookupByUUIDString(secret).undefine()
    with pytest.raises(Failed, match=r"[Ss]ecret"):
        guest(cluster, keyring)
    call(**declared)
    assert nothing_left(cluster, host)


def test_consumers_become_secrets_and_pools(cluster, host, guests):
    consumers = [
        {"name": "lvone", "kind": "kvm", "pools": [{"name": "lvone"}, {"name": "lvtwo", "access": "ro"}]},
        {"name": "second", "client": "client.lvtwo", "kind": "kvm", "pools": [{"name": "lvtwo"}]},
    ]
    keys = {f"client.{name}": key for name, key in guests.items()}
    options = {"guest_timeout": 0, "fsid": cluster.fsid, "mon_host": cluster.mon_host, "consumers": consumers}
    result = call(keys=keys, **options)
    assert not result["changed"]
    assert [pool["name"] for pool in result["pools"]] == ["lvone", "lvtwo"]
    with pytest.raises(Failed, match=r"client.lvtwo: no key"):
        call(keys={"client.lvone": keys["client.lvone"]}, **options)


def test_a_namespace_has_a_secret_and_no_pool_and_a_guest_where_libvirt_can_name_it(cluster, host, run, tmp_path):
    consumer = {"name": "lvns", "kind": "kvm", "namespace": "tenant", "pools": [{"name": "lvns"}]}
    cluster.command("osd pool create", pool="lvns", pg_num=1)
    run("ceph_cluster", consumers=[consumer])
    run("rbd_images", consumers=[consumer])
    cluster.wait_clean()
    key, before = cluster.command("auth get", entity="client.lvns")[0]["key"], host.listAllStoragePools()
    options = {"guest_timeout": 0, "fsid": cluster.fsid, "mon_host": cluster.mon_host, "consumers": [consumer], "keys": {"client.lvns": key}}
    result = call(**options)
    assert ids(result) == ["secret/client.lvns"] and result["pools"] == [] and len(host.listAllStoragePools()) == len(before)
    assert not call(**options)["changed"]
    keyring = tmp_path / "keyring"
    keyring.write_text(f"[client.lvns]\n\tkey = {key}\n")
    connection = {"mon_host": cluster.mon_host, "keyring": str(keyring), "timeout": 20}
    found = call(name="libvirt_guest_probe", connection=connection, consumers=[consumer], memory=64, domain_type="qemu")
    if host.getLibVersion() >= 11006000:
        (guest,) = found["guests"]
        assert guest["image"].startswith("lvns/tenant/cephstack") and guest["marker"] == "cephstack-guest " + guest["uuid"].replace("-", "").upper()
    else:
        (reason,) = found["reasons"]
        assert found["guests"] == [] and reason.endswith("cannot name the namespace lvns/tenant, those of 11.6 can")


def test_absent_takes_only_the_entry(cluster, host, declared):
    call(**declared)
    absent = {
        **declared,
        "secrets": [{"client": one["client"], "state": "absent"} for one in declared["secrets"]],
        "pools": [{"name": one["name"], "state": "absent"} for one in declared["pools"]],
    }
    assert ids(call(**absent)) == EVERYTHING
    assert not call(**absent)["changed"]
    assert host.listAllStoragePools() == []
    assert "lvone" in cluster.rados.list_pools()
