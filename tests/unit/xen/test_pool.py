# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories of a pool, from nothing to removal, by the engine and over the wire to a stand-in for xapi."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.pool import Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.xenapi import Session
from ansible_collections.cephstack.cloud.tests.unit.xen.xapi_server import NULL, Pool, Refused, Server

LVM = {"name": "ceph", "type": "lvm", "image": "xen/pool1", "client": "client.xen"}
FILES = {"name": "files", "type": "cephfs", "server": "10.0.0.11,10.0.0.12", "path": "/xen", "client": "client.xenfs"}
NFS = {"name": "shared", "type": "nfs", "server": "10.0.0.11", "path": "/xen"}
DEVICE = "/dev/rbd/xen/pool1"

Run = t.Callable[..., dict[str, t.Any]]


class Ended(Exception):
    """How a module ended."""


class Module:
    """What the engine uses of AnsibleModule."""

    def __init__(self, check_mode: bool) -> None:
        self.check_mode = check_mode
        self.warnings: list[str] = []
        self.result: dict[str, t.Any] = {}

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        self.result = {"failed": False, **result}
        raise Ended

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        self.result = {"failed": True, "msg": msg, **result}
        raise Ended

    def warn(self, warning: str) -> None:
        self.warnings.append(warning)


@pytest.fixture
def run(serve: t.Callable[..., Server], pool: Pool, certificate: tuple[str, str]) -> Run:
    server = serve(pool)

    def ran(
        *repositories: dict[str, t.Any],
        check: bool = False,
        hosts: t.Sequence[dict[str, str]] = (),
        allow_loss: t.Sequence[str] = (),
        images: t.Sequence[dict[str, t.Any]] = ({"image": "xen/pool1", "mapped": True, "holds": []},),
    ) -> dict[str, t.Any]:
        module = Module(check)
        pool.calls.clear()
        with pytest.raises(Ended), Session(server.address, "root", "right", ca_path=certificate[0]) as session:
            run_module(module, Provider(session, parse(repositories), hosts, images, check), allow_loss)
        assert "right" not in json.dumps(module.result)
        return {**module.result, "warnings": module.warnings}

    return ran


@pytest.fixture
def ready(pool: Pool) -> Pool:
    """A pool whose hosts were prepared and whose storage is there."""
    pool.map_everywhere(DEVICE)
    pool.exports |= {("10.0.0.11", "/xen"), ("10.0.0.11,10.0.0.12", "/xen")}
    return pool


def ids(result: dict[str, t.Any]) -> list[tuple[str, str]]:
    return [(f"{row['kind']}/{row['name']}", row["action"]) for row in result["changes"]]


# -- from nothing


def test_all_three_kinds_at_once_and_once_only(run: Run, ready: Pool) -> None:
    dry = run({**LVM, "default": True, "description": "on RBD"}, FILES, NFS, check=True)
    assert ids(dry) == [("sr/ceph", "create"), ("sr/files", "create"), ("sr/shared", "create"), ("pool/default", "update")]
    assert ready.written() == []

    made = run({**LVM, "default": True, "description": "on RBD"}, FILES, NFS)
    assert not made["failed"] and made["changed"], made
    assert ids(made) == ids(dry)
    assert ready.repository("ceph")["name_description"] == "on RBD"
    assert ready.repository("ceph")["shared"] is True
    assert {name: (plug["currently_attached"], plug["device_config"]) for name, plug in ready.plugs("ceph").items()} == {
        "xcp1": (True, {"device": DEVICE}),
        "xcp2": (True, {"device": DEVICE}),
    }
    assert ready.plugs("files")["xcp2"]["device_config"] == {
        "server": "10.0.0.11,10.0.0.12",
        "serverpath": "/xen",
        "options": "name=xenfs,secretfile=/etc/ceph/xenfs.secret",
    }
    assert ready.plugs("shared")["xcp1"]["device_config"] == {"server": "10.0.0.11", "serverpath": "/xen", "nfsversion": "4"}
    rows = {row["name"]: row for row in made["repositories"]}
    assert rows["ceph"]["default"] and rows["ceph"]["hosts"] == {"xcp1": True, "xcp2": True}
    assert (made["pool"], made["master"]) == ("lab", "xcp1")

    again = run({**LVM, "default": True, "description": "on RBD"}, FILES, NFS)
    assert (again["failed"], again["changed"], again["diff"]) == (False, False, [])
    assert ready.written() == []


def test_what_is_read_does_not_grow_with_the_repositories(run: Run, ready: Pool) -> None:
    run(LVM, FILES, NFS)
    run(NFS)
    few = list(ready.calls)
    run(LVM, FILES, NFS)
    assert ready.calls == few


def test_an_image_that_nobody_has_looked_at(run: Run, ready: Pool) -> None:
    """It may not be mapped yet in a dry run, but nothing is formatted unseen."""
    unseen = [{"image": "xen/pool1", "mapped": False, "holds": []}]
    dry = run(LVM, check=True, images=unseen)
    assert ids(dry) == [("sr/ceph", "create")]
    assert dry["warnings"] == [f"repository ceph: {DEVICE} could not be looked at yet; if something is on it, it will be refused"]
    for images in (unseen, []):
        real = run(LVM, images=images)
        assert real["failed"] and f"no host has looked at what is on {DEVICE}" in real["msg"]
    assert ready.written() == []


def test_a_probe_that_finds_nothing_is_not_believed(run: Run, ready: Pool) -> None:
    """The real one takes a device that it can't read for an empty one, and SR.create wipes it before it fails."""
    ready.contents[DEVICE] = "1b2c3d4e-0000-4000-8000-000000000001"
    ready.blind.add(DEVICE)
    for check in (True, False):
        refused = run(LVM, check=check, images=[{"image": "xen/pool1", "mapped": True, "holds": ["LVM2_member"]}])
        assert refused["failed"] and f"{DEVICE} holds LVM2_member, which would be lost, and the pool finds no repository in it" in refused["msg"]
    assert ready.written() == []


def test_a_probe_that_fails_is_no_absence(run: Run, ready: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: t.Any) -> str:
        raise Refused("SR_BACKEND_FAILURE_47", "", "The SR is not available [opterr=Failed to initialise the LVMCache]", "")

    monkeypatch.setattr(ready, "SR_probe", broken)
    assert run(LVM, check=True)["warnings"]
    assert f"{DEVICE} cannot be looked at on xcp1: SR.probe: SR_BACKEND_FAILURE_47" in run(LVM)["msg"]
    assert ready.written() == []


def test_an_image_that_holds_a_repository_is_not_formatted(run: Run, ready: Pool) -> None:
    there = "1b2c3d4e-0000-4000-8000-000000000001"
    ready.contents[DEVICE] = there
    refused = run(LVM)
    assert refused["failed"] and f"{DEVICE} holds the repository {there}, which would be lost: declare uuid: {there}" in refused["msg"]
    assert ready.contents == {DEVICE: there}
    taken = run({**LVM, "uuid": there})
    assert not taken["failed"], taken
    assert ready.repository("ceph")["uuid"] == there
    assert all(plug["currently_attached"] for plug in ready.plugs("ceph").values())
    assert ready.contents == {DEVICE: there}
    assert not run({**LVM, "uuid": there})["changed"]


def test_the_master_is_plugged_first(run: Run, ready: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one that writes what is on the storage."""
    ready.master = ready.host("xcp2")
    next(iter(ready.tables["pool"].values()))["master"] = ready.master
    order: list[str] = []
    plug = ready.PBD_plug

    def noted(pbd: str) -> str:
        order.append(ready.tables["host"][ready.tables["PBD"][pbd]["host"]]["name_label"])
        return plug(pbd)

    monkeypatch.setattr(ready, "PBD_plug", noted)
    assert not run({**NFS, "uuid": "1b2c3d4e-0000-4000-8000-000000000001"})["failed"]
    assert order == ["xcp2", "xcp1"]


def test_a_host_that_could_not_be_plugged_is_told_and_mended(run: Run, ready: Pool) -> None:
    """SR.create itself succeeds then."""
    ready.mapped[ready.host("xcp2")].clear()
    failed = run(LVM)
    assert failed["failed"]
    assert "not plugged everywhere: xcp2: PBD.plug: SR_BACKEND_FAILURE_47: The SR is not available [opterr=no such volume group" in failed["msg"]
    ready.map_everywhere(DEVICE)
    mended = run(LVM)
    assert ids(mended) == [("pbd/ceph/xcp2", "update")]
    assert mended["diff"][0]["before"] == {"attached": False}
    assert ready.plugs("ceph")["xcp2"]["currently_attached"]


def test_ceph_is_not_installed(run: Run, ready: Pool) -> None:
    ready.ceph.clear()
    failed = run(FILES)
    assert failed["failed"]
    assert "SR_BACKEND_FAILURE_47: The SR is not available [opterr=ceph is not installed]: install ceph-common on every host of the pool" in failed["msg"]
    assert ready.tables["SR"] == {}


def test_an_export_that_is_not_served(run: Run, pool: Pool) -> None:
    failed = run(NFS)
    assert "create sr/shared: SR.create: SR_BACKEND_FAILURE_73" in failed["msg"]
    assert "does the gateway let this host mount it?" in failed["msg"]


def test_a_pool_without_the_driver(run: Run, ready: Pool) -> None:
    """XenServer has none for CephFS."""
    ready.tables["SM"] = {ref: record for ref, record in ready.tables["SM"].items() if record["type"] != "cephfs"}
    assert "repository files: the pool lab has no driver of type cephfs, only ext, lvm, nfs" in run(FILES)["msg"]
    assert ready.written() == []


# -- drift


def test_each_drift_is_found_and_mended(run: Run, ready: Pool) -> None:
    declared = ({**LVM, "description": "on RBD", "default": True}, FILES, NFS)
    run(*declared)
    ready.repository("ceph").update(name_description="by hand", shared=False)
    ready.plugs("files")["xcp1"]["currently_attached"] = False
    ready.plugs("files")["xcp2"]["device_config"]["options"] = "name=admin,secretfile=/etc/ceph/admin.secret"
    plug = ready.plugs("shared")["xcp2"]["uuid"]
    ready.tables["PBD"] = {ref: record for ref, record in ready.tables["PBD"].items() if record["uuid"] != plug}
    next(iter(ready.tables["pool"].values()))["default_SR"] = NULL
    dry = run(*declared, check=True)
    assert sorted(ids(dry)) == [
        ("pbd/files/xcp1", "update"),
        ("pbd/files/xcp2", "update"),
        ("pbd/shared/xcp2", "create"),
        ("pool/default", "update"),
        ("sr/ceph", "update"),
    ]
    assert ready.written() == []
    by_name = {entry["before_header"]: entry for entry in dry["diff"]}
    assert by_name["sr/ceph"]["before"] == {"shared": False, "description": "by hand"}
    assert by_name["pbd/files/xcp2"]["after"] == {"device_config": {"options": "name=xenfs,secretfile=/etc/ceph/xenfs.secret"}}
    mended = run(*declared)
    assert not mended["failed"] and ids(mended) == ids(dry), mended
    assert not run(*declared)["changed"]


def test_a_description_that_is_not_declared_is_anybody_s(run: Run, ready: Pool) -> None:
    run(NFS)
    ready.repository("shared")["name_description"] = "mine"
    assert not run(NFS)["changed"]


def test_keys_that_a_driver_added_stay(run: Run, ready: Pool) -> None:
    run(LVM)
    for plug in ready.plugs("ceph").values():
        plug["device_config"]["SCSIid"] = "added"
    assert not run(LVM)["changed"]


def test_an_option_that_is_no_longer_declared_goes(run: Run, ready: Pool) -> None:
    run({**NFS, "options": "nconnect=4"})
    changed = run(NFS)
    assert ids(changed) == [("pbd/shared/xcp1", "update"), ("pbd/shared/xcp2", "update")]
    assert {row["risk"] for row in changed["changes"]} == {"restart"}
    assert changed["diff"][0]["before"] == {"device_config": {"options": "nconnect=4"}}
    assert changed["diff"][0]["after"] == {"device_config": {"options": None}}
    assert "options" not in ready.plugs("shared")["xcp2"]["device_config"]


def test_guests_are_never_unplugged(run: Run, ready: Pool) -> None:
    run(NFS)
    ready.run_guest("shared", "xcp2", "web root")
    failed = run({**NFS, "version": "4.1"})
    assert failed["failed"]
    assert "update pbd/shared/xcp2: PBD.unplug: VDI_IN_USE: disk web root: disks of running guests are there" in failed["msg"]
    assert ready.plugs("shared")["xcp2"]["currently_attached"]


def test_an_offline_host_is_said_and_not_waited_for(run: Run, ready: Pool) -> None:
    ready.power("xcp2", live=False)
    made = run(LVM)
    assert not made["failed"], made
    assert made["warnings"] == ["repository ceph: the host xcp2 is offline; it is plugged when it is back"]
    again = run(LVM)
    assert not again["changed"] and again["warnings"] == made["warnings"]
    ready.power("xcp2", live=True)
    assert ids(run(LVM)) == [("pbd/ceph/xcp2", "update")]


def test_a_host_that_goes_offline_meanwhile_is_named(run: Run, ready: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    run(NFS)
    ready.plugs("shared")["xcp2"]["currently_attached"] = False
    plug = ready.PBD_plug

    def late(pbd: str) -> str:
        ready.power("xcp2", live=False)
        return plug(pbd)

    monkeypatch.setattr(ready, "PBD_plug", late)
    assert "PBD.plug: HOST_OFFLINE: host xcp2: start the host, or take it out of the pool" in run(NFS)["msg"]


# -- removal


def test_removal_is_refused_until_it_is_allow_loss(run: Run, ready: Pool) -> None:
    run(LVM)
    refused = run({**LVM, "state": "absent"}, check=True)
    assert refused["failed"] and "To allow it, name it in allow_loss: sr/ceph" in refused["msg"]
    assert run({**LVM, "state": "absent"})["failed"]
    assert ready.written() == []


def test_what_was_forgotten_can_be_taken_over_again(run: Run, ready: Pool) -> None:
    unique = run(LVM)["repositories"][0]["uuid"]
    ready.run_guest("ceph", "xcp1", "web root")
    ready.attached.clear()
    gone = run({**LVM, "state": "absent"}, allow_loss=["sr/ceph"])
    assert not gone["failed"] and ids(gone) == [("sr/ceph", "delete")], gone
    assert "which guest has which of its 1 disks" in gone["changes"][0]["reason"]
    assert ready.tables["SR"] == {} and ready.tables["PBD"] == {} and ready.contents == {DEVICE: unique}
    assert not run({**LVM, "state": "absent"})["changed"]
    assert "which would be lost" in run(LVM)["msg"]
    assert not run({**LVM, "uuid": unique})["failed"]


def test_destroyed_is_gone_from_the_storage(run: Run, ready: Pool) -> None:
    run(LVM)
    gone = run({**LVM, "state": "absent", "removal": "destroy"}, allow_loss=["sr/ceph"])
    assert not gone["failed"] and ready.contents == {}, gone


def test_nothing_with_disks_in_it_is_destroyed(run: Run, ready: Pool) -> None:
    run(LVM)
    ready.run_guest("ceph", "xcp1", "web root")
    refused = run({**LVM, "state": "absent", "removal": "destroy"}, allow_loss=["sr/ceph"])
    assert "repository ceph: it holds 1 disk: remove or move them before it is destroyed" in refused["msg"]
    assert ready.written() == []


def test_disks_in_use_are_named_and_the_repository_stays(run: Run, ready: Pool) -> None:
    run(LVM)
    ready.run_guest("ceph", "xcp1", "web root")
    failed = run({**LVM, "state": "absent"}, allow_loss=["sr/ceph"])
    assert "delete sr/ceph: PBD.unplug: VDI_IN_USE: disk web root" in failed["msg"]
    assert ready.repository("ceph")


def test_a_namesake_is_not_taken_away(run: Run, ready: Pool) -> None:
    run({**NFS, "name": "ceph"})
    refused = run({**LVM, "state": "absent"}, allow_loss=["sr/ceph"])
    assert "one of this name of type nfs, not lvm" in refused["msg"] and "nothing is taken away" in refused["msg"]
    assert ready.repository("ceph")


# -- bad input


def test_every_problem_at_once(run: Run, ready: Pool) -> None:
    """An unknown host and one that is missing, a name of another type, a name elsewhere, a name twice in the pool."""
    run(NFS, {**NFS, "name": "ceph"}, {**NFS, "name": "twice"})
    ready.SR_introduce("11111111-0000-4000-8000-000000000000", "twice", "", "nfs", "user", True, {})
    refused = run(
        LVM,
        {**NFS, "server": "10.0.0.99"},
        {**NFS, "name": "twice"},
        hosts=[{"name": "xcp1", "address": "10.0.0.21"}, {"name": "xcp9", "address": "10.0.0.29"}],
    )
    assert refused["failed"]
    assert [problem.partition(":")[0] for problem in refused["problems"][:2]] == [
        "host xcp9 (10.0.0.29) is none of the pool lab, whose hosts are xcp1 (10.0.0.21), xcp2 (10.0.0.22)",
        "host xcp2 (10.0.0.22) of the pool lab is not in the inventory",
    ]
    assert refused["problems"][2:4] == [
        "repository ceph: the pool has one of this name of type nfs, not lvm: use another name",
        "repository shared: the pool has one of this name elsewhere (server 10.0.0.11, not 10.0.0.99; on xcp1): use another name",
    ]
    assert refused["problems"][4].startswith("repository twice: the pool has 2 of this name (")
    assert ready.written() == []


def test_hosts_are_known_by_address_or_name(run: Run, ready: Pool) -> None:
    assert not run(NFS, hosts=[{"name": "inventory-name", "address": "10.0.0.21"}, {"name": "xcp2", "address": "203.0.113.5"}])["failed"]


def test_an_image_that_another_repository_has(run: Run, ready: Pool) -> None:
    run(LVM)
    assert f"{DEVICE} already is the repository ceph" in run({**LVM, "name": "other"})["msg"]


def test_a_uuid_that_another_repository_has(run: Run, ready: Pool) -> None:
    unique = run(NFS)["repositories"][0]["uuid"]
    assert f"uuid {unique} is that of the repository shared" in run({**NFS, "name": "other", "uuid": unique})["msg"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({**LVM, "image": None}, "a repository of type lvm needs image"),
        ({**LVM, "image": "xen"}, "image 'xen' is not POOL/IMAGE"),
        ({**LVM, "image": "xen/a:id=admin"}, "is not POOL/IMAGE"),
        ({**LVM, "client": "xen"}, "client 'xen' is no cephx client"),
        ({**LVM, "server": "10.0.0.1"}, "a repository of type lvm has no server"),
        ({**NFS, "path": None, "server": None}, "needs path, server"),
        ({**NFS, "path": "xen"}, "path 'xen' does not begin with /"),
        ({**NFS, "server": "a,b"}, "server 'a,b' is not one name or address"),
        ({**FILES, "server": "a,,b"}, "server 'a,,b' is not names or addresses"),
        ({**FILES, "options": "noatime,secret=AQ=="}, "options holds a secret"),
        ({**NFS, "uuid": "x"}, "uuid 'x' is no UUID"),
        ({**NFS, "default": True, "state": "absent"}, "can't be the default and absent"),
        ({**NFS, "name": " "}, "name is empty"),
    ],
)
def test_a_declaration_that_cannot_be(item: dict[str, t.Any], said: str) -> None:
    with pytest.raises(Invalid) as error:
        parse([item])
    assert said in str(error.value)
    assert "AQ==" not in str(error.value)


def test_declarations_that_contradict_each_other() -> None:
    with pytest.raises(Invalid) as error:
        parse([{**LVM, "default": True}, {**LVM, "default": True}, {**LVM, "name": "other"}])
    assert error.value.problems == [
        "repositories: ceph is declared 2 times: keep one of them",
        "repositories: 3 repositories name the image xen/pool1: each needs one of its own",
        "repositories: ceph, ceph are each said to be the default: keep one",
    ]


def test_mount_options_of_cephfs() -> None:
    (one,) = parse([{**FILES, "filesystem": "files", "port": 6790, "options": "noatime"}])
    assert one.config["options"] == "name=xenfs,secretfile=/etc/ceph/xenfs.secret,mds_namespace=files,noatime"
    assert one.config["serverport"] == "6790"


# -- the same in other words


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (NFS, {**NFS, "path": "/xen/"}),
        ({**NFS, "server": "nas.example.org"}, {**NFS, "server": "NAS.example.org"}),
        (FILES, {**FILES, "server": "10.0.0.12,10.0.0.11"}),
    ],
)
def test_a_repository_in_other_words_is_the_same(run: Run, ready: Pool, first: dict[str, t.Any], then: dict[str, t.Any]) -> None:
    ready.exports |= {("nas.example.org", "/xen")}
    assert run(first)["changed"]
    found = run(then)
    assert (found["failed"], found["changed"]) == (False, False), found


def test_a_uuid_has_no_case() -> None:
    (found,) = parse([{**LVM, "uuid": "79E94242-30D5-4B55-A565-E7DFF9E9A75B"}])
    assert found.uuid == "79e94242-30d5-4b55-a565-e7dff9e9a75b"
