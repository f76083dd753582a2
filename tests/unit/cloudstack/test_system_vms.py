# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which zones are to have system virtual machines, and why they are not up."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.system_vms import Lists, Seen, up, why, zones

NFS = {"name": "nfs", "zone": "zone1", "url": "nfs://h/p"}
KVM = [{"name": "pod1", "clusters": [{"name": "c"}]}]
SIMULATED = [{"name": "pod1", "clusters": [{"name": "c", "hypervisor": "simulator"}]}]


@pytest.mark.parametrize(
    ("zone", "stores", "found"),
    [
        ({"pods": KVM}, [NFS], [{"name": "zone1", "image_stores": ["nfs://h/p"]}]),
        ({"pods": KVM}, [], []),
        ({"pods": KVM}, [{**NFS, "zone": "zone2"}], []),
        ({"pods": KVM}, [{**NFS, "state": "absent"}], []),
        ({"pods": SIMULATED}, [NFS], []),
        ({"pods": KVM, "system_vms": False}, [NFS], []),
        ({"system_vms": True}, [{"name": "s3", "provider": "s3", "url": None}], [{"name": "zone1", "image_stores": []}]),
    ],
)
def test_which_zones_are_to_have_them(zone: dict[str, t.Any], stores: list[dict[str, t.Any]], found: list[dict[str, t.Any]]) -> None:
    assert zones({"zones": [{"name": "zone1", **zone}], "image_stores": stores}) == found


def test_a_region_that_is_not_declared() -> None:
    assert zones({}) == []


LISTS = Lists(
    zone={"name": "zone1", "allocationstate": "Enabled", "networktype": "Advanced", "securitygroupsenabled": False},
    hosts=[{"name": "k1", "hypervisor": "KVM", "state": "Up", "resourcestate": "Enabled", "memorytotal": 4 << 30, "memoryallocatedbytes": 0}],
    pools=[{"name": "rbd", "state": "Up"}],
    stores=[{"name": "nfs", "url": "nfs://h/p"}],
    templates=[{"isready": True}],
    ranges=[{"forvirtualnetwork": True, "startip": "10.0.1.1", "endip": "10.0.1.9"}],
    pods=[{"ipranges": [{"startip": "10.0.0.1", "endip": "10.0.0.9"}]}],
    server_address="10.0.0.100",
)
HOST = LISTS.hosts[0]

REASONS: dict[str, tuple[dict[str, t.Any], str]] = {
    "zone": ({"zone": {**LISTS.zone, "allocationstate": "Disabled"}}, "the zone is Disabled"),
    "no host": ({"hosts": []}, "no host with KVM is Up and enabled .there is none"),
    "host down": ({"hosts": [{**HOST, "state": "Down"}]}, "k1: Down, Enabled"),
    "host of another kind": ({"hosts": [{**HOST, "hypervisor": "Simulator"}]}, "there is none"),
    "host full": ({"hosts": [{**HOST, "memoryallocatedbytes": (4 << 30) - (600 << 20)}]}, "no host has the 1024 MiB .* 600 MiB"),
    "no primary storage": ({"pools": [{"name": "rbd", "state": "Maintenance"}]}, "no primary storage is Up .rbd: Maintenance"),
    "no image store": ({"stores": []}, "no image store of NFS"),
    "template": ({"templates": []}, "no template of system virtual machines for KVM"),
    "public addresses": ({"ranges": [{"forvirtualnetwork": True, "startip": "10.0.1.1", "endip": "10.0.1.1"}]}, "the zone has 1 public addresses"),
    "private addresses": ({"pods": []}, "the pods have 0 addresses"),
}


@pytest.mark.parametrize("name", list(REASONS))
def test_a_reason_is_said_and_no_other(name: str) -> None:
    changes, said = REASONS[name]
    (reason,) = why("consoleproxy", None, LISTS._replace(**changes), lambda url: Seen(template="t"))
    assert re.search(said, reason), reason


def test_all_reasons_together() -> None:
    lists = LISTS._replace(**{key: value for changes, _said in REASONS.values() for key, value in changes.items()})
    assert len(why("consoleproxy", None, lists, lambda url: Seen())) == 6


def test_a_store_without_the_template_is_the_reason_where_all_else_is_there() -> None:
    (reason,) = why("secondarystoragevm", None, LISTS, lambda url: Seen())
    assert "image store nfs: it has no template" in reason
    (reason,) = why("secondarystoragevm", None, LISTS, lambda url: Seen(problem="this server cannot mount h:/p"))
    assert "cannot mount" in reason
    (reason,) = why("secondarystoragevm", None, LISTS, lambda url: Seen(template="t"))
    assert "InsufficientServerCapacityException" in reason


@pytest.mark.parametrize(("address", "said"), [("localhost", "set it to the management server's address"), ("10.0.0.100", "must reach 10.0.0.100")])
def test_one_that_runs_without_its_agent(address: str, said: str) -> None:
    vm = {"state": "Running", "agentstate": "Disconnected", "privateip": "10.0.0.7"}
    (reason,) = why("consoleproxy", vm, LISTS._replace(server_address=address), lambda url: pytest.fail("no store is looked into"))
    assert said in reason


def test_one_that_never_ends_to_start() -> None:
    reasons = why("consoleproxy", {"state": "Starting", "hostname": "k1"}, LISTS, lambda url: Seen(template="t"))
    assert "only emulates KVM" in reasons[0]


def test_up() -> None:
    assert up({"state": "Running", "agentstate": "Up"})
    assert not up({"state": "Running", "agentstate": "Disconnected"})
    assert not up(None)
