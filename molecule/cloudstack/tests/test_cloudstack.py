# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudStack on Ceph after it was converged, with its proof: what stands and what is gone, a re-run, drift, scale-out, secrets.

Runs from the first test to the last: each leaves the stack sound, that of the scale-out with a host more.
"""

from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml

from ansible_collections.cephstack.cloud.molecule.shared import runs
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client, guest

STACK = runs.Scenario(pathlib.Path(__file__).resolve().parent.parent)
INVENTORY = STACK.folder / "inventory"
SCALED_OUT = STACK.folder / "inventory_scaled_out"
# Where all of a region is; the emulated hosts of the other plays take minutes.
REGION = ("--tags", "preflight,region")
POOL, ZONE = "cloudstack", "zone1"
KVM2, KVM3 = "10.78.8.22", "10.78.8.23"


@pytest.fixture(scope="module")
def server() -> client.Client:
    """The API, as the collection itself reaches it."""
    return client.connect(json.loads(STACK.ssh("cloud1", "cat /etc/cloudstack/management/cephstack-keys.json")))


def ceph(command):
    return json.loads(STACK.ssh("ceph1", f"{command} --format json") or "null")


def the(rows, **wanted):
    """The one row that has these values."""
    found = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    assert len(found) == 1, f"{wanted}: {found or rows}"
    return found[0]


def changed(changes):
    return sorted((change["kind"], change["name"]) for change in changes)


def hosts(server):
    return sorted((row["ipaddress"], row["state"], row["resourcestate"]) for row in server.rows("listHosts", type="Routing"))


def assert_storage_on(name, server):
    """libvirt has the pool with the UUID of the primary storage, and a secret for it."""
    uuid = the(server.rows("listStoragePools"), name="rbd")["id"]
    pool = STACK.ssh(name, f"virsh pool-dumpxml {uuid}")
    assert "<pool type='rbd'>" in pool and f"<name>{POOL}</name>" in pool and "10.78.8.11" in pool, pool
    assert re.search(r"State:\s+running", STACK.ssh(name, f"virsh pool-info {uuid}"))
    secret = re.findall(r"<secret uuid='([^']+)'", pool)
    assert len(secret) == 1, pool
    same = STACK.ssh(name, f"virsh secret-get-value {secret[0]}").strip() == STACK.ssh("ceph1", "ceph auth get-key client.cloudstack").strip()
    assert same, f"{name}: libvirt's secret is not the key of client.cloudstack"


def test_everything_stands_on_ceph(server):
    assert the(server.rows("listZones"), name=ZONE)["allocationstate"] == "Enabled"
    assert hosts(server) == [(KVM2, "Up", "Enabled")]
    (pool,) = server.rows("listStoragePools")
    assert {key: pool[key] for key in ("name", "type", "state", "scope", "path", "tags", "zonename")} == {
        "name": "rbd",
        "type": "RBD",
        "state": "Up",
        "scope": "ZONE",
        "path": POOL,
        "tags": "ceph",
        "zonename": ZONE,
    }
    (image_store,) = server.rows("listImageStores")
    assert (image_store["name"], image_store["providername"], image_store["url"]) == ("cephfs", "NFS", "nfs://10.78.8.11/secondary")
    (object_store,) = server.rows("listObjectStoragePools")
    assert (object_store["name"], object_store["providername"]) == ("rgw", "Ceph")
    assert_storage_on("kvm2", server)


def test_a_guest_was_deployed_and_nothing_of_the_proof_is_left(server):
    """Converge ends with the proof: had CloudStack's guest not written to its disk, it had failed. What it left in the pool is its template."""
    everywhere = {"listall": True}
    assert [row["name"] for row in server.rows("listVirtualMachines", **everywhere) if row["state"] != "Expunging"] == []
    volumes = server.rows("listVolumes", **everywhere)
    assert [row["name"] for row in volumes if row["state"] not in ("Expunging", "Expunged")] == []
    # Where the server could have its template, it runs virtual machines of its own.
    system = {row.get("path") for row in server.rows("listVolumes", listsystemvms=True, **everywhere)} - {row.get("path") for row in volumes}
    templates = set(ceph(f"rbd ls {POOL}")) - system
    assert templates
    for image in templates:
        assert [snapshot["name"] for snapshot in ceph(f"rbd snap ls {POOL}/{image}")] == [guest.BASE_SNAPSHOT]
        assert {child["image"] for child in ceph(f"rbd children {POOL}/{image}@{guest.BASE_SNAPSHOT}")} <= system
    assert ceph(f"rbd trash ls {POOL}") == []
    assert the(server.rows("listTemplates", templatefilter="all", **everywhere), name="marker")["isready"]
    assert [row["name"] for row in server.rows("listTemplates", templatefilter="all", **everywhere) if row["name"].startswith(guest.PREFIX)] == []
    assert [row["name"] for row in server.rows("listBuckets", **everywhere)] == ["demo-of-cloudstack"]
    assert sorted(ceph("radosgw-admin bucket list")) == ["demo-of-cloudstack", "templates"]
    assert [name for name in STACK.ssh("kvm2", "virsh list --all --name").split() if name.startswith("i-")] == []


def test_five_drifts_are_listed_exactly_then_mended_and_another_run_changes_nothing(tmp_path, server):
    zone = the(server.rows("listZones"), name=ZONE)["id"]
    network = the(server.rows("listPhysicalNetworks", zoneid=zone), name="net1")["id"]
    providers = server.rows("listNetworkServiceProviders", physicalnetworkid=network)
    server.call("updateStoragePool", id=the(server.rows("listStoragePools"), name="rbd")["id"], tags="other")
    server.call("deleteDiskOffering", id=the(server.rows("listDiskOfferings"), name="ceph-1g")["id"])
    server.call("updateConfiguration", name="storage.overprovisioning.factor", value="3.0")
    server.job("updateNetworkServiceProvider", id=the(providers, name="VpcVirtualRouter")["id"], state="Disabled")
    server.call("updateHost", id=the(server.rows("listHosts", type="Routing"), ipaddress=KVM2)["id"], allocationstate="Disable")
    drifted = [
        ("disk_offering", "ceph-1g"),
        ("host", f"{ZONE}/{KVM2}"),
        ("primary_storage", f"{ZONE}/rbd"),
        ("provider", f"{ZONE}/net1/VpcVirtualRouter"),
        ("setting", "storage.overprovisioning.factor"),
    ]

    listed, _ = STACK.play(tmp_path, "--check", "--diff")
    assert changed(listed) == drifted, listed
    rows = {change["kind"]: change for change in listed}
    assert rows.pop("disk_offering")["action"] == "create"
    assert {kind: (row["before"], row["after"]) for kind, row in rows.items()} == {
        "host": ({"state": "disabled"}, {"state": "enabled"}),
        "primary_storage": ({"tags": ["other"]}, {"tags": ["ceph"]}),
        "provider": ({"state": "Disabled"}, {"state": "Enabled"}),
        "setting": ({"value": "3.0"}, {"value": "1.5"}),
    }

    mended, _ = STACK.play(tmp_path, *REGION)
    assert changed(mended) == drifted, mended
    assert hosts(server) == [(KVM2, "Up", "Enabled")]
    assert the(server.rows("listStoragePools"), name="rbd")["tags"] == "ceph"
    again, recap = STACK.play(tmp_path, "--skip-tags", "verify")
    assert again == []
    assert {name: counts["changed"] for name, counts in recap.items()} == {"ceph1": 0, "cloud1": 0, "kvm2": 0}


def test_scale_out_is_a_rerun_that_restarts_nothing(tmp_path, server):
    before = STACK.started(("ceph1", "cloud1", "kvm2"))

    # The hosts are proven, from themselves; CloudStack's guest and bucket were.
    changes, _ = STACK.play(tmp_path, "-i", str(SCALED_OUT), "--extra-vars", '{"verify_cloudstack": {}}')

    assert changed(change for change in changes if change["host"] != "kvm3") == [("host", f"{ZONE}/{KVM3}")], changes
    assert STACK.started(("ceph1", "cloud1", "kvm2")) == before
    assert hosts(server) == [(KVM2, "Up", "Enabled"), (KVM3, "Up", "Enabled")]
    assert_storage_on("kvm3", server)
    again, _ = STACK.play(tmp_path, "-i", str(SCALED_OUT), *REGION, "--check")
    assert again == []


def without_qemu_img_keys(line):
    """CloudStack's agent itself gives its pool's key to the qemu-img that copies templates to RBD and snapshots from it."""
    return re.sub(r"( rbd:cloudstack/[^ ]*:id=cloudstack:key=)[^: ]+", r"\1", line) if re.match(r"(/usr/bin/)?qemu-img ", line) else line


def test_no_secret_was_ever_on_a_command_line():
    """Nor in an environment. Since before the first run (see prepare.yml).

    CloudStack gives keytool the passphrases of its key stores that way. It makes them itself, for itself; they are none of these.
    """
    declared = yaml.safe_load((INVENTORY / "group_vars" / "all" / "cloudstack.yml").read_text(encoding="utf-8"))["cloudstack"]
    api = json.loads(STACK.ssh("cloud1", "cat /etc/cloudstack/management/cephstack-keys.json"))
    cephx = {entry["key"] for entry in ceph("ceph auth ls")["auth_dump"]}
    objects = [key for uid in ceph("radosgw-admin user list") for key in ceph(f"radosgw-admin user info --uid='{uid}'")["keys"]]
    clients, users = len(cephx), len(objects)
    assert clients > 5 and users >= 3  # demo, cloudstack, and the user that CloudStack made for its bucket
    secrets = {declared["database"]["password"], declared["admin_password"], declared["management_key"], declared["database_key"]}
    secrets |= {api["api_key"], api["api_secret"]} | cephx
    secrets |= {key.replace("+", "-").replace("/", "_") for key in cephx}  # as CloudStack writes them
    secrets |= {key[part] for key in objects for part in ("access_key", "secret_key")}
    for name, program in (("ceph1", "ceph-osd"), ("cloud1", "cloudstack-management"), ("kvm2", "cloudstack-agent"), ("kvm3", "cloudstack-agent")):
        seen = STACK.watched(name)
        assert [line for line in seen if program in line], f"{name} was not watched"
        assert runs.telling(map(without_qemu_img_keys, seen), secrets) == [], name
