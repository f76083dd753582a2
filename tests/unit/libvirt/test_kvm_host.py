# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A KVM host as one: judged first, then part after part."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import bridge, kvm_host, rbd, service
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.kvm_host import Judge, bring, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import Verdict
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments
from ansible_collections.cephstack.cloud.plugins.modules.kvm_host import FIELDS

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
KVM, EMULATION, UNKNOWN = Verdict("kvm", "", 0.2), Verdict("qemu", "there is no KVM"), Verdict("unknown", "QEMU is not installed")
CONSUMERS = [{"name": "kvm", "kind": "kvm", "pools": [{"name": "vms", "access": "rw"}]}]
LIBVIRT = {"user": "libvirt-qemu", "group": "kvm", "apparmor": None}
WHOLE = {"libvirt": LIBVIRT, "fsid": FSID, "mon_host": "10.0.0.1", "consumers": CONSUMERS, "keys": {"client.kvm": "a2V5"}, "bridges": [{"name": "br0"}]}


def declared(**options: t.Any) -> dict[str, t.Any]:
    return {**{name: one.get("default") for name, one in arguments(FIELDS).items()}, **options}


# -- the judgement


@pytest.mark.parametrize(
    ("verdict", "cloudstack", "allowed", "refusal"),
    [
        (KVM, False, False, ""),
        (KVM, True, False, ""),
        (UNKNOWN, False, False, ""),
        (UNKNOWN, True, False, ""),
        (EMULATION, False, True, ""),
        (EMULATION, False, False, "there is no KVM. To let it emulate them, which is many times slower, set kvm_host_allow_emulation to true"),
        (EMULATION, True, False, "there is no KVM"),
        (EMULATION, True, True, "there is no KVM"),
    ],
)
def test_who_is_refused(verdict: Verdict, cloudstack: bool, allowed: bool, refusal: str) -> None:
    judge = Judge(2.5, cloudstack, allowed, "kvm_host_")
    if refusal:
        with pytest.raises(Invalid) as error:
            judge.plan((verdict, False))
        assert error.value.problems == [f"this host cannot run guests under KVM: {refusal}"]
    else:
        assert not judge.plan((verdict, False))


@pytest.mark.parametrize(
    ("timeout", "cloudstack", "properties", "verdict", "registered"),
    [
        (2.5, False, "guid=5f\n", KVM, False),
        (30, True, None, KVM, False),
        (30, True, "guid=5f\n", Verdict("unknown", "no guest was tried: CloudStack has this host already"), True),
        (0, True, "guid=5f\n", Verdict("unknown", "no guest was tried: CloudStack has this host already"), True),
        (0, False, None, Verdict("unknown", "no guest was tried"), False),
    ],
)
def test_where_a_guest_is_tried(
    timeout: float, cloudstack: bool, properties: str | None, verdict: Verdict, registered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []
    monkeypatch.setattr(kvm_host, "probe", lambda timeout: tried.append(timeout) or KVM)
    monkeypatch.setattr(kvm_host, "read", lambda path: properties)
    judge = Judge(timeout, cloudstack)
    found = judge.observe()
    assert found == (verdict, registered)
    assert tried == ([timeout] if verdict is KVM else [])
    assert judge.returned(found) == {"domain_type": verdict.domain_type, "reason": verdict.reason, "seconds": verdict.seconds, "registered": registered}


# -- the declaration


def test_what_is_not_declared_is_left_alone() -> None:
    wanted = parse(declared())
    assert (wanted.service, wanted.in_libvirt, wanted.bridges) == (None, False, ())
    assert parse(declared(libvirt=LIBVIRT)).service == service.Wanted()


def test_guests_of_every_client_that_is_there_get_sockets_and_logs() -> None:
    secrets = [{"client": "client.old", "state": "absent"}, {"client": "client.more", "key": "a2V5", "state": "present"}]
    wanted = parse(declared(**WHOLE, secrets=secrets))
    assert wanted.service is not None and wanted.service.clients == ("client.more", "client.kvm")
    assert [secret.entity for secret in wanted.rbd.secrets] == ["client.old", "client.more", "client.kvm"]
    assert [pool.name for pool in wanted.rbd.pools] == ["vms"]
    assert wanted.bridges == (bridge.Bridge("br0"),)


def test_all_that_is_wrong_is_said_together() -> None:
    wrong = {**WHOLE, "keys": {}, "mon_host": None, "bridges": [{"name": "br0"}, {"name": "br0", "interface": "eth1"}]}
    with pytest.raises(Invalid) as error:
        parse(declared(**wrong, secrets=[{"client": "client.a]", "key": "a2V5"}]))
    assert len(error.value.problems) == 4, error.value.problems
    with pytest.raises(Invalid, match="not the fsid"):
        parse(declared(**{**WHOLE, "fsid": None}))


def test_in_check_mode_keys_may_be_missing() -> None:
    assert parse(declared(**{**WHOLE, "keys": {}}), check_mode=True).in_libvirt


# -- one after the other


class Part:
    """Stands for a provider: something to be changed, once. told: what happens, in order."""

    def __init__(self, kind: str, told: list[str], fails: Exception | None = None) -> None:
        self.kind, self.told, self.fails, self.done = kind, told, fails, False

    def observe(self) -> bool:
        self.told.append(f"observe {self.kind}")
        if self.fails:
            raise self.fails
        return self.done

    def plan(self, observed: bool) -> Plan:
        draft = Draft()
        draft.ensure(self.kind, "it", None if not observed else {"is": 1}, {"is": 1}, self.apply)
        return draft.plan()

    def apply(self) -> None:
        self.told.append(f"change {self.kind}")
        self.done = True

    def returned(self, observed: bool) -> dict[str, t.Any]:
        return {self.kind: observed}


class Libvirt:
    """Stands for the connection to it."""

    def __init__(self, told: list[str], uri: str) -> None:
        self.told = told

    def __enter__(self) -> Libvirt:
        self.told.append("connect")
        return self

    def __exit__(self, *unused: object) -> None:
        self.told.append("disconnect")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, Part]]:
    told: list[str] = []
    parts = {kind: Part(kind, told) for kind in ("unit", "pool", "bridge")}
    monkeypatch.setattr(kvm_host, "probe", lambda timeout: told.append("probe") or KVM)
    monkeypatch.setattr(kvm_host, "Host", lambda uri: Libvirt(told, uri))
    for module, kind in ((service, "unit"), (rbd, "pool"), (bridge, "bridge")):
        monkeypatch.setattr(module, "Provider", lambda *unused, part=parts[kind], **more: part)
    return told, parts


def test_libvirt_is_asked_over_a_connection_that_its_restart_did_not_end(host: tuple[list[str], dict[str, Part]]) -> None:
    told, _parts = host
    outcome = bring(parse(declared(**WHOLE)), "qemu:///system", 90)
    assert outcome.error == "" and outcome.plan is not None
    assert told == [
        *("probe", "observe unit", "change unit", "observe unit"),
        *("connect", "observe pool", "change pool", "observe pool", "disconnect"),
        *("observe bridge", "change bridge", "observe bridge"),
    ]
    assert [(row["stage"], row["kind"]) for row in outcome.plan.rows()] == [(1, "unit"), (2, "pool"), (3, "bridge")]
    assert outcome.returned["domain_type"] == "kvm" and all(outcome.returned[kind] for kind in ("unit", "pool", "bridge"))
    told.clear()
    again = bring(parse(declared(**WHOLE)), "qemu:///system", 90)
    assert not again.changed and [word for word in told if word.startswith("change")] == []


def test_check_mode_says_the_same_and_changes_nothing(host: tuple[list[str], dict[str, Part]]) -> None:
    told, _parts = host
    for bare in (False, True):
        told.clear()
        outcome = bring(parse(declared(**WHOLE)), "qemu:///system", 90, check_mode=True, bare=bare)
        assert [entry["after_header"] for entry in outcome.diff] == ["unit/it (create)", "pool/it (create)", "bridge/it (create)"]
        assert [word for word in told if word.startswith("change")] == []
        assert ("connect" in told) is not bare


def test_a_refused_host_is_not_looked_at_any_further(host: tuple[list[str], dict[str, Part]], monkeypatch: pytest.MonkeyPatch) -> None:
    told, _parts = host
    monkeypatch.setattr(kvm_host, "probe", lambda timeout: EMULATION)
    outcome = bring(parse(declared(**WHOLE)), "qemu:///system", 90)
    assert "cannot run guests" in outcome.error and told == []
    assert outcome.result()["problems"] == [outcome.error]


def test_what_fails_ends_it_and_what_was_changed_before_is_told(host: tuple[list[str], dict[str, Part]]) -> None:
    told, parts = host
    parts["pool"].fails = Unreachable("libvirt does not answer")
    outcome = bring(parse(declared(**WHOLE)), "qemu:///system", 90)
    assert outcome.error == "libvirt does not answer" and "observe bridge" not in told
    result = outcome.result()
    assert result["changed"] and [row["kind"] for row in result["changes"]] == ["unit"]


def test_only_what_is_declared_is_asked(host: tuple[list[str], dict[str, Part]]) -> None:
    told, _parts = host
    assert not bring(parse(declared(guest_timeout=0)), "qemu:///system", 90).changed
    assert told == []
