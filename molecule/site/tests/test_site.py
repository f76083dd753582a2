# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole stack after it was converged: what runs, that a re-run would change nothing, drift, scale-out.

Runs from the first test to the last: each leaves the stack sound, in the end with a host of Ceph more and without the hypervisor.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import time

import pytest

from ansible_collections.cephstack.cloud.molecule.shared import runs

STACK = runs.Scenario(pathlib.Path(__file__).resolve().parent.parent)
SCALED_OUT = ("-i", str(STACK.folder / "inventory_scaled_out"))
# Whoever needs the addresses of hosts that are not in the run, or have no facts, must find them.
NAMED = (*SCALED_OUT, "-i", str(STACK.folder / "inventory_named"))
CEPH = ("ceph1", "ceph2", "ceph3")
# That do something on a host where nothing changes: facts, the comparison, and what comes of it.
MOST_TASKS = {"ceph2": 4, "ceph3": 4, "kvm1": 5}


@pytest.fixture(scope="module")
def ssh():
    """Run a command on a host as root; return what it printed."""
    return STACK.ssh


@pytest.fixture(scope="module")
def ceph(ssh):
    """Ask the cluster; return what it said, parsed."""
    return lambda command: json.loads(ssh("ceph1", f"ceph --format json {command}") or "null")


def test_health(ceph):
    # Placement groups of a pool that grows peer for a moment.
    end = time.monotonic() + 120
    while (status := ceph("status"))["health"]["status"] != "HEALTH_OK" and time.monotonic() < end:
        time.sleep(2)
    assert status["health"]["status"] == "HEALTH_OK", status["health"]
    assert sorted(status["quorum_names"]) == sorted(CEPH)
    assert status["osdmap"]["num_up_osds"] == status["osdmap"]["num_in_osds"] >= 3
    assert status["mgrmap"]["available"] and status["mgrmap"]["num_standbys"] >= 1
    assert status["fsmap"]["up"] == 1


def test_every_always_on_manager_module_runs(ceph):
    modules = ceph("mgr module ls")
    assert "rbd_support" in modules["always_on_modules"] and "pg_autoscaler" in modules["always_on_modules"]
    assert "MGR_MODULE_DEPENDENCY" not in ceph("health detail")["checks"]


@pytest.mark.parametrize("name", CEPH)
def test_crash_reports_would_reach_the_cluster_and_there_are_none(ssh, ceph, name):
    keyring = f"/etc/ceph/ceph.client.crash.{name}.keyring"
    assert ssh(name, f"stat -c '%U %a' {keyring}").split() == ["ceph", "600"]
    assert ssh(name, "systemctl is-active ceph-crash; stat -c %U /var/lib/ceph/crash/posted; ls /var/lib/ceph/crash").split() == ["active", "ceph", "posted"]
    assert ceph("crash ls") == []


@pytest.mark.parametrize("name", CEPH)
def test_units_come_back_at_boot(ssh, name):
    units = ssh(name, "systemctl list-units --plain --no-legend 'ceph-*@*.service' | cut -d' ' -f1").split()
    assert f"ceph-mon@{name}.service" in units and any(unit.startswith("ceph-osd@") for unit in units)
    assert set(ssh(name, f"systemctl is-enabled {' '.join(units)}").split()) == {"enabled"}


@pytest.mark.parametrize("name", CEPH)
def test_no_key_is_readable_by_others(ssh, name):
    assert ssh(name, "find /etc/ceph /var/lib/ceph -name '*keyring*' -type f -perm /007").strip() == ""


def test_no_key_in_the_configuration_database(ceph):
    assert not [option for option in ceph("config dump") if re.search(r"^A[Qg][A-Za-z0-9+/]{37,}=*$", option["value"])]


def test_check_mode_on_bare_hosts_listed_what_was_then_done():
    """Written while the hosts had nothing, in prepare.yml, which saw to it that they still had nothing afterwards."""
    planned = json.loads((pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "bare.json").read_text())
    objects = {(change["kind"], change["name"]) for change in planned}
    packages = {(change["host"], change["name"]) for change in planned if change["kind"] == "package" and change["action"] == "create"}
    assert {("mon", name) for name in CEPH} <= objects, objects
    for wanted in [("pool", "vms"), ("client", "client.kvm"), ("filesystem", "cephfs"), ("user", "demo"), ("bucket", "demo")]:
        assert wanted in objects, objects
    assert len({change["host"] for change in planned if change["kind"] == "osd"}) == 3
    for name in (*CEPH, "kvm1"):
        assert {(name, "ceph-common"), (name, "python3-rbd")} <= packages, f"no packages for {name}: {packages}"


def secrets_of(ssh, ceph) -> set[str]:
    """Every key that the cluster has."""
    secrets = {entry["key"] for entry in ceph("auth ls")["auth_dump"]}
    secrets |= {key[part] for key in json.loads(ssh("ceph1", "radosgw-admin user info --uid=demo"))["keys"] for part in ("access_key", "secret_key")}
    assert len(secrets) > 10
    return secrets


def test_drifts_are_listed_exactly_then_mended_and_no_key_is_told(tmp_path, ceph, ssh):
    """Of the cluster, and keyrings that others may read. Nothing is hidden but the keys, not even at -vvv."""
    keyrings = {"ceph2": "/etc/ceph/ceph.client.admin.keyring", "kvm1": "/etc/ceph/ceph.client.kvm.keyring"}
    for host, path in keyrings.items():
        ssh(host, f"chmod 644 {path}")
    ssh("ceph3", "sed -i 's/^public_network.*//' /etc/ceph/ceph.conf")
    name = next(entry["pool_name"] for entry in ceph("osd pool ls detail") if entry["pool_name"] == "vms")
    caps = ceph("auth get client.kvm")[0]["caps"]
    ssh("ceph1", "ceph auth caps client.kvm mon 'allow *' osd 'allow *' mgr 'allow *'")
    ssh("ceph1", f"ceph osd pool set {name} min_size 1")
    ssh("ceph1", "ceph config set global mon_max_pg_per_osd 299")

    for mode in (["--check"], []):
        changes, _ = STACK.play(tmp_path, "--diff", "-vvv", *mode)
        assert sorted(change["kind"] for change in changes) == ["client", "conf", "keyring", "keyring", "option", "pool"], changes
        files = [change for change in changes if change["kind"] == "keyring"]
        assert {change["host"]: change["name"] for change in files} == keyrings
        assert all((change["before"], change["after"]) == ({"mode": "0644"}, {"mode": "0600"}) for change in files), files
        listed = {change["kind"]: change for change in changes}
        assert "allow *" in json.dumps(listed["client"]["before"]) and "profile rbd" in json.dumps(listed["client"]["after"])
        assert listed["pool"]["before"] == {"min_size": 1} and listed["pool"]["after"] == {"min_size": 2}
        assert "299" in json.dumps(listed["option"]["before"])
        assert runs.telling((tmp_path / "log").read_text().split("\n"), secrets_of(ssh, ceph)) == []
    assert ceph("auth get client.kvm")[0]["caps"] == caps


def test_scale_out_is_a_rerun_that_restarts_nothing(tmp_path, ceph, ssh):
    """Of the new host alone, while all are reached by names; nothing is left for a run of everything."""
    before = STACK.started((*CEPH, "kvm1"))
    osds = ceph("osd stat")["num_osds"]

    _, recap = STACK.play(tmp_path, *NAMED, "--limit", "ceph4")

    assert list(recap) == ["ceph4"]
    assert STACK.started((*CEPH, "kvm1")) == before
    assert recap["ceph4"]["changed"] > 0
    assert ceph("osd stat")["num_up_osds"] == osds + 1
    assert "ceph4" in {node["name"] for node in ceph("osd tree")["nodes"] if node["type"] == "host"}
    (group,) = json.loads(ssh("ceph1", "radosgw-admin zonegroup get"))["zones"]
    assert sorted(group["endpoints"]) == [f"http://10.78.3.1{number}:8080" for number in (1, 2, 3, 4)]
    changes, recap = STACK.play(tmp_path, *SCALED_OUT, "--check")
    assert changes == []  # nor of the drifts that were set right before
    # What a run costs is its tasks. What is done once for a whole play is counted on its first host.
    ran = {name: recap[name]["ok"] for name in ("ceph2", "ceph3", "kvm1")}
    assert all(count <= MOST_TASKS[name] for name, count in ran.items()), ran


def test_parts_find_the_addresses_of_hosts_without_facts(tmp_path):
    changes, recap = STACK.play(tmp_path, *NAMED, "--tags", "mon,rgw", "--check")
    assert changes == [] and {"ceph1", "ceph4"} <= set(recap)


def test_no_secret_was_ever_on_a_command_line(ssh, ceph):
    """Nor in an environment. Since before the first run (see prepare.yml)."""
    secrets = secrets_of(ssh, ceph)
    for name in (*CEPH, "ceph4", "kvm1"):
        seen = STACK.watched(name)
        assert name == "kvm1" or [line for line in seen if "ceph-osd" in line]
        assert runs.telling(seen, secrets) == [], name


def test_a_hypervisor_goes_once_no_guest_runs_on_it(tmp_path, ssh):
    words = (*SCALED_OUT, "-e", '{"scale_in_hosts": ["kvm1"]}')
    guest = "<domain type='qemu'><name>web1</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
    ssh("kvm1", f'echo "{guest}" > /run/web1.xml && virsh create /run/web1.xml')
    assert "web1" in STACK.refused(*words, playbook="cephstack.cloud.scale_in")
    assert ssh("kvm1", "virsh pool-list --name").strip() and ssh("kvm1", "virsh list --name").strip() == "web1"
    ssh("kvm1", "virsh destroy web1")
    changes, _recap = STACK.play(tmp_path, *words, playbook="cephstack.cloud.scale_in")
    assert changes
    assert ssh("kvm1", "virsh pool-list --all --name").strip() == ""
    assert "client.kvm" not in ssh("kvm1", "virsh secret-list")
    assert ssh("kvm1", "find /etc/ceph -name '*.keyring' -o -name ceph.conf").strip() == ""
    assert STACK.play(tmp_path, *words, playbook="cephstack.cloud.scale_in")[0] == []
