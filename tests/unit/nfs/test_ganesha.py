# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the server is told something new, and how."""

from __future__ import annotations

import dataclasses
import types

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import exports, keyring_files
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import ganesha, rpc
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk, Secret, Unreachable

KEY = "AQCnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw=="
OTHER = "AQBnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw=="
FILE = keyring_files.File(True, Secret(KEY), "root", "root", "0600")
RUNNING = systemd.Unit(True, True, "active", 1)


def provider(*entries, key=KEY, **more):
    declared = [{"path": "/a", "filesystem": "cephfs", "clients": ["10.0.0.0/24"], **entry} for entry in entries]
    return ganesha.Provider(exports.parse(declared), "client.nfs.gw", key and Secret(key), **more)


def settled(one):
    """What is there after a run."""
    aim = ganesha.wanted(one.exports, one.client, False)
    return ganesha.Observed(
        installed=True,
        conf=aim.text,
        drop_in=ganesha.DROP_IN,
        loaded=aim.stamp(Secret(KEY)),
        file=FILE,
        unit=RUNNING,
        serves={export.pseudo: list(export.clients) for export in one.exports},
    )


def changed(observed, one):
    return {change.id.partition("/")[0]: change for change in one.plan(observed).changes}


def test_what_is_as_declared_is_left_alone():
    assert not provider({}).plan(settled(provider({})))


def test_a_bare_host_gets_everything():
    found = changed(ganesha.Observed(), provider({}, key=None, bare=True))
    assert set(found) == {"keyring", "drop_in", "conf", "unit"}
    assert found["unit"].after == {"enabled": True, "running": True}
    assert found["unit"].needs == {change.id for name, change in found.items() if name != "unit"}


def test_no_key_is_ever_shown():
    plan = provider({}).plan(dataclasses.replace(settled(provider({})), file=dataclasses.replace(FILE, key=Secret(OTHER)), loaded=None, conf=""))
    assert KEY not in str(plan.diff()) + str(plan.rows()) and OTHER not in str(plan.diff()) + str(plan.rows())


@pytest.mark.parametrize("entry", [{"squash": "all_squash"}, {"clients": ["10.0.0.0/24", "10.1.0.0/16"]}])
def test_what_clients_may_do_is_loaded_without_a_restart(entry):
    found = changed(settled(provider({})), provider(entry))
    assert set(found) == {"conf", "unit"}
    assert "reload" in found["unit"].after and found["unit"].risk is Risk.NONE


def test_exports_come_and_go_without_a_restart():
    one, two = provider({}), provider({}, {"path": "/b"})
    assert "/b is new" in changed(settled(one), two)["unit"].after["reload"]
    assert "/b is not declared any more" in changed(settled(two), one)["unit"].after["reload"]


@pytest.mark.parametrize("entry", [{"path": "/b"}, {"access": "ro"}])
def test_another_folder_or_access_under_the_same_name_takes_a_restart(entry):
    found = changed(settled(provider({"pseudo": "/x"})), provider({"pseudo": "/x", **entry}))
    assert found["unit"].risk is Risk.RESTART and "/x is another folder now" in found["unit"].reason


def test_a_new_key_or_another_kernel_takes_a_restart():
    one = provider({})
    assert changed(settled(one), provider({}, key=OTHER))["unit"].risk is Risk.RESTART
    assert changed(dataclasses.replace(settled(one), flusher_refused=True), one)["unit"].risk is Risk.RESTART


def test_a_configuration_that_was_written_but_not_loaded_is_loaded_by_the_next_run():
    one = provider({})
    (change,) = one.plan(dataclasses.replace(settled(one), loaded=None)).changes
    assert change.kind == "unit" and change.risk is Risk.RESTART


@pytest.mark.parametrize(
    ("serves", "said"), [(None, "does not answer"), ({}, "does not serve /a"), ({"/a": ["10.0.0.0/24"], "/b": []}, "only these"), ({"/a": []}, "/a")]
)
def test_a_server_that_does_not_serve_what_it_should_restarts(serves, said):
    one = provider({})
    (change,) = one.plan(dataclasses.replace(settled(one), serves=serves)).changes
    assert change.risk is Risk.RESTART and said in change.reason


def test_a_server_that_is_down_is_started():
    one = provider({})
    (change,) = one.plan(dataclasses.replace(settled(one), unit=systemd.NO_UNIT, serves=None)).changes
    assert change.after == {"enabled": True, "running": True}


def test_a_host_that_cannot_be_a_gateway_is_refused():
    with pytest.raises(Invalid) as error:
        provider({}).plan(dataclasses.replace(ganesha.Observed(), kernel_server=RUNNING))
    assert [problem.split()[0] for problem in error.value.problems] == ["ganesha.nfsd", "nfs-server.service"]


def test_the_kernels_refusal_is_only_allowed_where_it_refuses():
    assert "Io_Flusher" not in ganesha.head_text(False)
    assert "Allow_Set_Io_Flusher_Fail = true;" in ganesha.head_text(True)


def test_numbers_of_exports_stay_when_others_come_and_go():
    many = [f"/export{number}" for number in range(400)]
    numbers = ganesha.export_ids(many)
    assert len(set(numbers.values())) == 400 and all(0 < number < 65536 for number in numbers.values())
    assert ganesha.export_ids(["/secondary"])["/secondary"] == ganesha.export_ids(["/secondary", "/images", "/a"])["/secondary"]


def test_a_list_of_exports_as_showmount_prints_it():
    printed = "/secondary 127.0.0.1/32,10.0.0.0/24\n/b         (everyone)\n/c         \n"
    assert rpc.parse_exports(printed) == {"/secondary": ["10.0.0.0/24", "127.0.0.1/32"], "/b": [], "/c": []}
    assert rpc.parse_exports(printed, but=["127.0.0.1/32"])["/secondary"] == ["10.0.0.0/24"]
    assert rpc.parse_exports("") == {}


@pytest.mark.parametrize("broken", ["rpcinfo", "showmount"])
def test_a_server_that_cannot_be_asked_is_silent(monkeypatch, broken):
    def run(argv, timeout):
        if argv[0] == broken:
            raise process.CommandError(argv, 1, "RPC: Connection refused")
        return ""

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(rpc.Silent, match="refused"):
        rpc.exports()


@pytest.mark.parametrize(("host", "asked"), [("127.0.0.1", ["127.0.0.1.8.1", "-T", "tcp"]), ("::1", ["::1.8.1", "-T", "tcp6"])])
def test_a_server_is_asked_at_its_port(monkeypatch, host, asked):
    """Not by way of the port mapper, which a server of version 4 alone may not have."""
    called = []
    monkeypatch.setattr(process, "run", lambda argv, timeout: called.append(argv))
    rpc.alive(host)
    assert called == [["rpcinfo", "-a", *asked, "100003", "4"]]


def test_a_missing_program_is_no_silent_server(monkeypatch):
    def missing(argv, timeout):
        if argv[0] == "showmount":
            raise process.CommandError(argv, process.MISSING, "not installed")

    monkeypatch.setattr(process, "run", missing)
    with pytest.raises(Unreachable, match="nfs-common"):
        rpc.exports()
    monkeypatch.setattr(process, "installed", lambda program: False)
    assert provider({}, bare=True)._shown() == provider({}).expected


def test_without_rpcinfo_an_open_port_must_do_and_each_address_is_tried(monkeypatch):
    tried = []

    def run(argv, timeout):
        tried.append(argv[2])
        raise process.CommandError(argv, 1, "refused") if argv[2].startswith("::1") else process.CommandError(argv, process.MISSING, "not installed")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(
        rpc.socket, "getaddrinfo", lambda *_args, **_more: [(rpc.socket.AF_INET6, 1, 6, "", ("::1", 0)), (rpc.socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]
    )

    def refused(address, timeout):
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr(rpc.socket, "create_connection", refused)
    with pytest.raises(rpc.Silent, match="refused"):
        rpc.alive("host")
    assert tried == ["::1.8.1", "127.0.0.1.8.1"]
    opened = []
    monkeypatch.setattr(rpc.socket, "create_connection", lambda address, timeout: opened.append(address) or types.SimpleNamespace(close=lambda: None))
    rpc.alive("host")
    assert opened == [("127.0.0.1", 2049)]
