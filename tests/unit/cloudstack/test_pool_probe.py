# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudStack's pools on a host: what must be there, and with which key it is tried."""

from __future__ import annotations

import base64
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import pool_probe
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

UUID = "5f1b7752-7354-3d82-880c-f9dfd99ac294"
KEY = base64.b64encode(b"a key of cephx's").decode()
POOL = {"name": "rbd", "uuid": UUID, "pool": "volumes", "monitors": ["10.0.0.1", "10.0.0.2"]}


class LibvirtError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"libvirt says {code}")
        self.code = code

    def get_error_code(self) -> int:
        return self.code


class Libvirt:
    """A host's libvirt with one pool."""

    libvirtError = LibvirtError
    VIR_ERR_NO_STORAGE_POOL, VIR_ERR_NO_SECRET = 49, 60

    def __init__(self, source: str = "volumes", hosts: t.Any = (("10.0.0.1", 0), ("10.0.0.2", 0)), active: bool = True) -> None:
        self.api = self.lib = self
        self.definition = xml.RbdPool(UUID, source, hosts, "cs", UUID)
        self.active = active
        self.missing: t.List[int] = []
        self.secret_error = 0

    def storagePoolLookupByUUIDString(self, uuid: str) -> t.Any:
        if self.missing:
            raise LibvirtError(self.missing.pop())
        assert uuid == UUID
        return self

    def isActive(self) -> bool:
        return self.active

    def XMLDesc(self, _flags: int) -> str:
        return xml.write_pool(self.definition, UUID)

    def secretLookupByUUIDString(self, uuid: str) -> t.Any:
        if self.secret_error:
            raise LibvirtError(self.secret_error)
        assert uuid == UUID
        return self

    def value(self, _flags: int) -> bytes:
        return base64.b64decode(KEY)


class Ceph:
    """In place of the connection: what it was told, and what it says."""

    told: t.Any = None
    error: t.Optional[Exception] = None

    def __init__(self, options: t.Any) -> None:
        Ceph.told = options

    def __enter__(self) -> t.Any:
        if Ceph.error:
            raise Ceph.error
        return self

    def __exit__(self, *_unused: object) -> None:
        pass

    rados = property(lambda self: self)
    RBD = lambda self: self  # noqa: E731 as librbd has it

    def open_ioctx(self, _pool: str) -> t.Any:
        return self

    def close(self) -> None:
        pass

    def list(self, _io_context: t.Any) -> t.List[str]:
        return ["a", "b"]


@pytest.fixture(autouse=True)
def ceph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ceph, "told", None)
    monkeypatch.setattr(Ceph, "error", None)
    monkeypatch.setattr(pool_probe, "Connection", Ceph)
    monkeypatch.setattr(pool_probe, "rbd", Ceph({}))
    monkeypatch.setattr(pool_probe, "_PAUSE", 0)


def test_the_host_s_own_key_is_tried_at_the_host_s_own_monitors() -> None:
    found, problems = pool_probe.probe_all(Libvirt(), [POOL], 0)
    assert problems == []
    assert found == [{"name": "rbd", "uuid": UUID, "client": "client.cs", "images": 2}]
    assert Ceph.told == {"mon_host": "10.0.0.1,10.0.0.2", "client": "client.cs", "key": KEY}


def test_a_key_that_does_not_work_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ceph, "error", Unreachable("access denied"))
    assert pool_probe.probe_all(Libvirt(), [POOL], 0) == ([], ["rbd: access denied"])


@pytest.mark.parametrize(
    ("libvirt", "said"),
    [
        (Libvirt(source="other"), "has the Ceph pool other, not volumes"),
        (Libvirt(hosts=(("10.0.0.1", 0),)), "has the monitors 10.0.0.1, not 10.0.0.1, 10.0.0.2"),
        (Libvirt(active=False), "does not run"),
    ],
)
def test_what_is_not_as_it_should_be(libvirt: Libvirt, said: str) -> None:
    (problem,) = pool_probe.probe_all(libvirt, [POOL], 0)[1]
    assert said in problem
    assert Ceph.told == {}, "nothing is tried with it"


def test_what_is_not_there() -> None:
    libvirt = Libvirt()
    libvirt.missing = [49]
    assert "libvirt has no pool" in pool_probe.probe_all(libvirt, [POOL], 0)[1][0]
    libvirt.secret_error = 60
    assert "libvirt has no secret" in pool_probe.probe_all(libvirt, [POOL], 0)[1][0]
    libvirt.secret_error = 1
    assert "cannot be read" in pool_probe.probe_all(libvirt, [POOL], 0)[1][0]


def test_an_agent_that_connects_late_is_waited_for() -> None:
    libvirt = Libvirt()
    libvirt.missing = [49, 49]
    assert pool_probe.probe_all(libvirt, [POOL], 30)[1] == []
