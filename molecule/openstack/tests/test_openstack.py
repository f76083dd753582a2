# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenStack on Ceph after it was converged: that a re-run would change nothing, drift, others' clients, a second compute host, secrets.

Runs from the first test to the last: each leaves the stack sound.
"""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest
import yaml

from ansible_collections.cephstack.cloud.molecule.shared import runs

STACK = runs.Scenario(pathlib.Path(__file__).resolve().parent.parent)
SCALED_OUT = ("-i", str(STACK.folder / "inventory_scaled_out"))
DECLARED = yaml.safe_load((STACK.folder / "inventory" / "group_vars" / "all" / "stack.yml").read_text(encoding="utf-8"))
PASSWORDS = {
    DECLARED["openstack"]["admin_password"],
    DECLARED["openstack"]["service_password"],
    *(DECLARED["openstack"][part]["password"] for part in ("database", "messages")),
}


@pytest.fixture(scope="module")
def ssh():
    """Run a command on a host as root; return what it printed."""
    return STACK.ssh


@pytest.fixture(scope="module")
def openstack(ssh):
    """Use the ordinary client as administrator; return what it said, parsed."""

    def ask(command: str):
        form = "" if command.split()[1] in ("delete", "set", "unset") else "-f json"
        said = ssh("ctl1", f"OS_CLOUD=cephstack openstack {command} {form}")
        return json.loads(said) if form and said.strip() else None

    return ask


def ids(changes) -> list[str]:
    return sorted(f"{change['kind']}/{change['name']}" for change in changes)


def test_an_ordinary_client_sees_what_was_declared(openstack):
    assert {"demo", "service", "admin"} <= {row["Name"] for row in openstack("project list")}
    assert [(row["Name"], row["RAM"], row["Disk"]) for row in openstack("flavor list --all")] == [("small", 128, 1)]
    assert {"volumes", "fast"} <= {row["Name"] for row in openstack("volume type list")}
    assert [row["Name"] for row in openstack("network list")] == ["flat"]
    assert {row["Region"] for row in openstack("endpoint list")} == {"lab"}


def test_the_image_is_in_ceph_as_it_is(openstack, ssh):
    (image,) = (row for row in openstack("image list") if row["Name"] == "marker")
    assert openstack(f"image show {image['ID']}")["disk_format"] == "raw"
    assert json.loads(ssh("ceph1", f"rbd info --format json images/{image['ID']}"))["size"] == 16777216


def test_nothing_is_left_of_the_proof(openstack, ssh):
    assert openstack("server list --all-projects") == []
    assert openstack("volume list --all-projects") == []
    for pool in ("vms", "volumes", "fast", "backups"):
        assert ssh("ceph1", f"rbd ls {pool}").split() == [], pool


def test_a_plain_client_makes_a_guest_of_the_image_and_volume(openstack, ssh):
    """A disk of Nova's that is a clone of Glance's image, by nobody's doing but OpenStack's own."""
    (image,) = (row["ID"] for row in openstack("image list") if row["Name"] == "marker")
    volume = openstack("volume create --image marker --size 1 plain")
    server = openstack("server create --wait --image marker --flavor small --network flat plain")
    try:
        assert server["status"] == "ACTIVE", server
        parent = json.loads(ssh("ceph1", f"rbd info --format json vms/{server['id']}_disk"))["parent"]
        assert (parent["pool"], parent["image"]) == ("images", image)
        parent = json.loads(ssh("ceph1", f"rbd info --format json volumes/volume-{volume['id']}"))["parent"]
        assert (parent["pool"], parent["image"]) == ("images", image)
    finally:
        openstack(f"server delete --wait {server['id']}")
        openstack(f"volume delete {volume['id']}")


def test_a_plain_s3_client_and_a_plain_swift_client(openstack, ssh):
    """A project's own credentials, through Keystone."""
    key = openstack("ec2 credentials create")
    try:
        options = f"--access_key={key['access']} --secret_key={key['secret']} --no-ssl --host=10.78.12.11:8080 --host-bucket=10.78.12.11:8080"
        said = ssh("ctl1", f"s3cmd {options} mb s3://plain && echo some text | s3cmd {options} put - s3://plain/one && s3cmd {options} get s3://plain/one -")
        assert "some text" in said
        assert "one" in ssh("ctl1", "cd /run && echo text > two && OS_CLOUD=cephstack openstack object create plain two -f value && "
                                    "OS_CLOUD=cephstack openstack object list plain -f value").split()  # fmt: skip
    finally:
        ssh("ctl1", "rm -f /run/two; OS_CLOUD=cephstack openstack container delete --recursive plain")
        ssh("ctl1", f"OS_CLOUD=cephstack openstack ec2 credentials delete {key['access']}")


def test_an_openstack_that_others_keep_gets_what_its_services_need(ssh):
    found = ssh("theirs1", "cat /etc/ceph/openstack/cinder.conf; stat -c '%a' /etc/ceph/ceph.client.theirs.keyring; systemctl --failed --no-legend")
    assert "rbd_user = theirs" in found and "rbd_pool = backups" in found and "600" in found.split()
    assert ssh("theirs1", "ls /etc/cinder /etc/nova 2>/dev/null || :") == ""


def test_the_catalogue_on_this_controller():
    """Every kind: made, a drift by hand, listed, set right, no-op, errors."""
    environment = {**os.environ, "CEPHSTACK_OPENSTACK": str(STACK.folder / "inventory")}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(STACK.folder.parents[1] / "tests" / "openstack")]
    done = subprocess.run(tests, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout[-6000:]


def test_six_drifts_are_listed_exactly_then_set_right(tmp_path, openstack, ssh):
    openstack("flavor delete small")
    openstack("quota set --volumes 3 demo")
    ssh("ctl1", "sed -i 's/^show_image_direct_url.*//' /etc/glance/glance-api.conf")
    ssh("kvm1", "chmod 644 /etc/ceph/ceph.client.nova.keyring")
    ssh("kvm1", "systemctl stop neutron-openvswitch-agent")
    (endpoint,) = (row["ID"] for row in openstack("endpoint list --service placement --interface public"))
    openstack(f"endpoint set --url http://10.78.12.99:8778 {endpoint}")
    for mode in (["--check"], []):
        changes, _ = STACK.play(tmp_path, "--diff", *mode)
        # What was set right is proven again, and that is noted.
        assert [id_ for id_ in ids(changes) if id_ != PROOF] == DRIFTS, ids(changes)
        assert runs.telling((tmp_path / "log").read_text().split("\n"), PASSWORDS) == []
    # That nothing is left of them is seen by the next test.


PROOF = "file//var/lib/cephstack/openstack-proof.json"
DRIFTS = sorted(
    [
        "flavor/small",
        "quota/demo/volume",
        "endpoint/placement",
        "file//etc/glance/glance-api.conf",
        "unit/glance-api.service",  # which reads it
        "api/glance",
        "keyring//etc/ceph/ceph.client.nova.keyring",
        "unit/neutron-openvswitch-agent.service",
    ]
)


def test_a_compute_host_more_is_a_rerun(tmp_path, openstack):
    changes, recap = STACK.play(tmp_path, *SCALED_OUT)
    assert "kvm2" in {change["host"] for change in changes}
    # The host that was there learns who may move guests to it, and is not restarted.
    assert {change["kind"] for change in changes if change["host"] == "kvm1"} <= {"file"}, changes
    assert recap["kvm2"]["changed"] > 0
    assert {row["Hypervisor Hostname"] for row in openstack("hypervisor list")} == {"kvm1", "kvm2"}
    changes, recap = STACK.play(tmp_path, *SCALED_OUT)
    assert changes == []  # nor of the drifts that were set right before
    assert {name: counts["changed"] for name, counts in recap.items()} == dict.fromkeys(recap, 0)


def test_no_secret_was_ever_on_a_command_line(ssh):
    """Nor in an environment. Since before the first run (see prepare.yml), and before the next test looks for them."""
    keys = {entry["key"] for entry in json.loads(ssh("ceph1", "ceph --format json auth ls"))["auth_dump"]}
    for name in ("ceph1", "ctl1", "kvm1", "kvm2"):
        # Keystone's own program takes its administrator's password there, and nowhere else. Only root and Keystone's user can read its environment.
        seen = [line for line in STACK.watched(name) if "OS_BOOTSTRAP_PASSWORD=" not in line]
        assert runs.telling(seen, PASSWORDS | keys) == [], name


def test_no_password_is_where_others_read_it(ssh):
    for host in ("ctl1", "kvm1"):
        words = "|".join(sorted(PASSWORDS))
        found = ssh(host, f"grep -rslE {shlex.quote(words)} /etc /var/log /var/lib/nova /var/lib/neutron /var/lib/cinder /var/lib/glance || :").split()
        assert found, "this looks for nothing"
        readable = ssh(host, f"find {' '.join(found)} -perm /007").split()
        assert readable == [], readable
