# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Consumers of a cluster that others keep: what they get of it, what is never touched, and what is said where something is not allowed."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

import pytest

from ansible_collections.cephstack.cloud.molecule.shared import runs

HERE = pathlib.Path(__file__).resolve().parent
STACK = runs.Scenario(HERE.parent)
FSID, ADDRESS = "7c5e3f6c-64ef-4c0e-8d9c-6f2f6a3a5e11", "10.78.11.11"


def ceph(command: str) -> str:
    """What who keeps the cluster does."""
    return STACK.ssh("store1", f"ceph {command}")


def key_of(client: str) -> str:
    return ceph(f"auth get-key {client}").strip()


def external(**more: t.Any) -> list[str]:
    """Arguments of a run with another ceph.external."""
    return ["-e", json.dumps({"ceph": {"external": {"monitors": [ADDRESS], "fsid": FSID, **more}}})]


def refused(tmp_path: pathlib.Path, *arguments: str) -> str:
    """A run that must fail; return what was said."""
    command = ["ansible-playbook", "-i", str(HERE.parent / "inventory"), *arguments, "cephstack.cloud.site"]
    log = tmp_path / "refused"
    with log.open("w") as out:
        code = subprocess.run(
            command, stdout=out, stderr=out, env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}, cwd=HERE.parents[2], check=False
        ).returncode
    text = log.read_text()
    assert code == 2, text[-4000:]
    assert not re.search(r"changed=[1-9]", text), text[-4000:]
    return re.sub(r"\s+", " ", text)


@pytest.fixture
def keyring() -> t.Iterator[str]:
    """The keyring of the client that keeps what is declared. Its caps are set right afterwards."""
    before = json.loads(ceph("auth get client.cephstack --format json"))[0]["caps"]
    yield "{{ lab_cache }}/labs/{{ lab_name }}/client.cephstack.keyring"
    ceph("auth caps client.cephstack " + " ".join(f"{service} '{caps}'" for service, caps in before.items()))


def test_consumers_have_what_is_theirs_and_nothing_more() -> None:
    for host, client in (("kvm1", "client.kvm"), ("nfs1", "client.nfs.nfs1")):
        conf = STACK.ssh(host, "cat /etc/ceph/ceph.conf")
        assert f"fsid = {FSID}" in conf and f"mon_host = {ADDRESS}" in conf
        found = STACK.ssh(host, "grep -rlE '^[[:space:]]*key = ' /etc/ceph /etc/ganesha 2>/dev/null || true").split()
        assert found and {re.sub(r".*ceph\.|\.keyring|.*/", "", path) for path in found}.isdisjoint({"client.admin", "client.cephstack"})
        strangers = f"grep -rlF -e {key_of('client.cephstack')} -e {key_of('client.admin')} /etc /var/lib/libvirt /run /root /tmp 2>/dev/null || true"
        assert STACK.ssh(host, strangers) == "", f"{host} has a key that is not {client}'s"
    assert "/secondary" in STACK.ssh("nfs1", "showmount -e --no-headers localhost")
    assert "vms" in STACK.ssh("kvm1", "virsh pool-list --name")


def test_a_consumer_with_a_namespace_has_that_alone() -> None:
    assert STACK.ssh("store1", "rbd namespace ls vms --format json").strip() == '[{"name":"tenant"}]'
    STACK.ssh("kvm1", "rbd --id tenant create --size 1M vms/tenant/a && rbd --id tenant info vms/tenant/a && rbd --id tenant --no-progress rm vms/tenant/a")
    for command in ("ls vms", "create --size 1M vms/a", "create --size 1M vms/other/a", "ls images"):
        assert "Operation not permitted" in STACK.ssh("kvm1", f"rbd --id tenant {command} 2>&1 || true"), command


def test_another_run_changes_nothing_and_daemons_were_never_touched(tmp_path: pathlib.Path) -> None:
    before = STACK.started(["store1"]), ceph("config dump"), ceph("auth ls")
    changes, recap = STACK.play(tmp_path)
    assert changes == [] and {name: counts["changed"] for name, counts in recap.items()} == {"kvm1": 0, "nfs1": 0}
    assert (STACK.started(["store1"]), ceph("config dump"), ceph("auth ls")) == before
    assert STACK.ssh("store1", "cat /etc/ceph/ceph.conf | head -3").startswith("[global]\nfsid")
    clients = set(re.findall(r"^client\.\S+", before[2], re.M))
    assert {"client.kvm", "client.nfs.nfs1", "client.cephstack"} <= clients


def test_a_drift_is_listed_exactly_and_set_right(tmp_path: pathlib.Path) -> None:
    ceph("auth caps client.kvm mon 'profile rbd' osd 'profile rbd pool=vms'")
    listed, _ = STACK.play(tmp_path, "--check", "--diff")
    assert [f"{change['kind']}/{change['name']}" for change in listed] == ["client/client.kvm"]
    done, _ = STACK.play(tmp_path, "--tags", "ceph")
    assert [f"{change['kind']}/{change['name']}" for change in done] == ["client/client.kvm"]


def test_another_cluster_is_refused(tmp_path: pathlib.Path, keyring: str) -> None:
    other = "00000000-1111-4222-8333-444444444444"
    said = refused(tmp_path, *external(client="client.cephstack", keyring=keyring, fsid=other), "--tags", "ceph,cluster")
    assert f"ceph.external.fsid is {other}, and the cluster that answers is {FSID}" in said


def test_what_the_client_lacks_is_told_with_the_command_that_gives_it(tmp_path: pathlib.Path, keyring: str) -> None:
    ceph("auth caps client.cephstack mon 'allow r'")
    said = refused(tmp_path, "--tags", "ceph,cluster")
    assert "client.cephstack lacks what is needed for clients, exports, filesystems, images, namespaces, pools" in said
    (command,) = re.findall(r"`ceph (auth caps client\.cephstack [^`]*)`", said.replace("\\'", "'"))[:1]
    ceph(command)
    changes, _ = STACK.play(tmp_path, "--tags", "ceph,cluster")
    assert changes == []


def test_keys_that_were_handed_out_are_enough(tmp_path: pathlib.Path) -> None:
    """Nothing of the cluster is changed, and no client may do more than its own."""
    given = {name: key_of(name) for name in ("client.kvm", "client.tenant", "client.nfs.nfs1")}
    before = ceph("auth ls"), ceph("osd pool ls"), ceph("config dump")
    _, recap = STACK.play(tmp_path, *external(client_keys=given))
    assert {name: counts["changed"] for name, counts in recap.items()} == {"kvm1": 0, "nfs1": 0}
    assert (ceph("auth ls"), ceph("osd pool ls"), ceph("config dump")) == before


def test_a_pool_that_is_not_there_is_told_with_the_command_that_makes_it(tmp_path: pathlib.Path) -> None:
    wanted = [{"name": "kvm", "kind": "kvm", "hosts": ["kvm_hosts"], "pools": [{"name": "vms"}, {"name": "fast"}]}]
    given = external(client_keys={"client.kvm": key_of("client.kvm"), "client.nfs.nfs1": key_of("client.nfs.nfs1")})
    said = refused(tmp_path, *given, "-e", json.dumps({"consumers": wanted}), "--tags", "ceph,cluster")
    assert "there is no pool fast" in said and "`ceph osd pool create fast` and `ceph osd pool application enable fast rbd`" in said


def test_hosts_of_daemons_beside_it_and_missing_keys_are_told_at_once(tmp_path: pathlib.Path) -> None:
    inventory = tmp_path / "more.yml"
    inventory.write_text(json.dumps({"osds": {"hosts": {"store1": {}}}}))
    said = refused(tmp_path, "-i", str(inventory), *external(client_keys={"client.nfs.nfs1": "AQ=="}))
    assert "store1 in the group osds: an external cluster's daemons are others'" in said
    assert "the key of client.kvm is missing" in said and "`ceph auth get-or-create client.kvm mgr 'profile rbd pool=vms' mon 'profile rbd'" in said
