# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The region, against a management server: the stand-in of this folder (stand_in.py), or a real one that has the simulator.

CEPHSTACK_CLOUDSTACK         a JSON file with url, api_key and api_secret of a root admin of a real server. Without it the stand-in is started.
CEPHSTACK_CLOUDSTACK_PREFIX  what the names of zones and other objects begin with, "test-" by default, so that several can test on one server.

The real server is the judge. A test that is marked stand_in needs what only the stand-in has, and is left out there; nothing else differs.

How a test uses it:

    def test_a_zone(run, server, zone):
        run(zones=[zone])                                               # makes it so; raises Failed (with .result)
        assert run(zones=[zone])["changes"] == []
        server.call("updateZone", id=..., allocationstate="Disabled")   # drift, by hand
        assert ids(run(check=True, zones=[zone])) == {"zone_state/..."}

Everything that differs is gone when the fixtures `zone…` end: their zones are deleted, with all that is in them.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from simulated import delete_zone

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client, region
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import reconcile_alone
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

PREFIX = os.environ.get("CEPHSTACK_CLOUDSTACK_PREFIX", "test-")
REAL = os.environ.get("CEPHSTACK_CLOUDSTACK", "")
# Seconds in which the stand-in listens; it takes a fifth of one.
_STARTED = 20


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "stand_in: needs what only the stand-in has; left out on a real server")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = [item for item in items if REAL and item.get_closest_marker("stand_in")]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


class Failed(AssertionError):
    """The module would have failed; its whole result is in result."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        self.result = result
        super().__init__(result["msg"])


class _Ended(BaseException):
    """What exit_json and fail_json do to a module."""


class _Module:
    def __init__(self, check: bool) -> None:
        self.check_mode = check
        self.warnings: list[str] = []
        self.result: dict[str, t.Any] = {}

    def warn(self, warning: str) -> None:
        self.warnings.append(warning)

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        self.result = {**result, "failed": False}
        raise _Ended

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        self.result = {**result, "msg": msg, "failed": True}
        raise _Ended


def ids(result: t.Mapping[str, t.Any]) -> set[str]:
    """The ids of a result's changes."""
    return {f"{change['kind']}/{change['name']}" for change in result["changes"]}


def differences(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """{id: (before, after)} of a result."""
    return {entry["before_header"]: (entry["before"], entry["after"]) for entry in result["diff"]}


class Files(t.NamedTuple):
    """Where the keys of a server are, and those of an object gateway that it reaches; None where there is none."""

    keys: pathlib.Path
    gateway: pathlib.Path | None


@contextlib.contextmanager
def started() -> t.Iterator[Files]:
    """A stand-in, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="cephstack-stand-in-") as folder:
        files = Files(pathlib.Path(folder, "keys.json"), pathlib.Path(folder, "gateway.json"))
        command = [sys.executable, str(pathlib.Path(__file__).with_name("stand_in.py")), "--keys-file", str(files.keys), "--gateway-file", str(files.gateway)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + _STARTED
                while not files.keys.exists():
                    assert process.poll() is None, "the stand-in ended by itself"
                    assert time.monotonic() < deadline, "the stand-in does not listen"
                    time.sleep(0.02)
                yield files
            finally:
                process.terminate()


@pytest.fixture(scope="session")
def files() -> t.Iterator[Files]:
    if REAL:
        gateway = os.environ.get("CEPHSTACK_RGW")
        yield Files(pathlib.Path(REAL), pathlib.Path(gateway) if gateway else None)
        return
    with started() as made:
        yield made


@pytest.fixture(scope="session")
def connection(files: Files) -> dict[str, str]:
    """A module's option `connection`."""
    return json.loads(files.keys.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def server(connection: dict[str, str]) -> client.Client:
    """The API, for drifts made by hand."""
    return client.connect(connection)


@pytest.fixture(scope="session")
def run(connection: dict[str, str]) -> t.Callable[..., dict[str, t.Any]]:
    """run(check=False, allow_loss=[], **options): the module, in this process. Returns its result, with warnings and api_calls of this run."""

    def do(check: bool = False, allow_loss: t.Sequence[str] = (), prefix: str = "", **options: t.Any) -> dict[str, t.Any]:
        parsed = ArgumentSpecValidator(arguments(region.OPTIONS)).validate(json.loads(json.dumps(options)))
        assert not parsed.error_messages, parsed.error_messages
        module = _Module(check)
        try:
            reconcile_alone("cloudstack_region", module, region.Provider(parsed.validated_parameters, client.connect(connection), prefix), allow_loss)
        except _Ended:
            pass
        result = {**module.result, "warnings": module.warnings}
        if result["failed"]:
            raise Failed(result)
        return result

    return do


def _simulated(count: int, first: int = 0) -> list[dict[str, t.Any]]:
    return [{"url": f"http://sim/c0/h{number}"} for number in range(first, first + count)]


def _traffic(*types: str) -> list[dict[str, str]]:
    return [{"type": kind, "kvm_label": "cloudbr0"} for kind in types]


def declared_zone(name: str, kind: str = "advanced", hosts: int = 2, subnet: int = 60) -> dict[str, t.Any]:
    """A zone's declaration: one pod, one cluster of simulated hosts. subnet: of 10.N.0.0/16, so that zones differ."""
    pod: dict[str, t.Any] = {
        "name": "pod1",
        "gateway": f"10.{subnet}.0.1",
        "netmask": "255.255.255.0",
        "start": f"10.{subnet}.0.100",
        "end": f"10.{subnet}.0.150",
        "clusters": [{"name": "sim", "hypervisor": "simulator", "hosts": _simulated(hosts)}],
    }
    network: dict[str, t.Any] = {"name": "net1", "traffic": _traffic("management", "guest", "storage")}
    zone: dict[str, t.Any] = {"name": PREFIX + name, "type": kind, "dns1": "10.0.0.53", "physical_networks": [network], "pods": [pod]}
    shared = {"gateway": f"10.{subnet}.1.1", "netmask": "255.255.255.0", "start": f"10.{subnet}.1.50", "end": f"10.{subnet}.1.90"}
    if kind == "advanced":
        network["vlan"] = "100-200,300-310"
        network["traffic"] += _traffic("public")
        zone["guest_cidr"] = "10.1.1.0/24"
        zone["public_ranges"] = [shared]
    elif kind == "advanced_security_groups":
        network["vlan"] = "400-449"
        zone["guest_network"] = {"name": "shared", "vlan": "450", **shared}
    else:
        pod["guest_ranges"] = [{**shared, "gateway": pod["gateway"], "start": f"10.{subnet}.0.160", "end": f"10.{subnet}.0.200"}]
    return zone


@pytest.fixture
def new_zone(server: client.Client) -> t.Iterator[t.Callable[..., dict[str, t.Any]]]:
    """new_zone(name, kind, hosts, subnet): the declaration of a zone that is deleted at the end, and was not there before."""
    names: list[str] = []

    def make(name: str, *args: t.Any, **more: t.Any) -> dict[str, t.Any]:
        zone = declared_zone(name, *args, **more)
        delete_zone(server, zone["name"])
        names.append(zone["name"])
        return zone

    yield make
    for name in names:
        delete_zone(server, name)


@pytest.fixture(scope="module")
def zone(server: client.Client, run: t.Callable[..., dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    """The declaration of a zone of type advanced that is there and as declared when a module's tests begin."""
    declared = declared_zone("zone", hosts=3)
    declared["pods"][0]["clusters"][0]["hosts"][0]["tags"] = ["fast"]
    delete_zone(server, declared["name"])
    run(zones=[declared])
    yield declared
    delete_zone(server, declared["name"])
