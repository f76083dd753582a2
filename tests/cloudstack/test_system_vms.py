# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What system virtual machines need: a template in the zone's image store, which the server puts there for the clusters that the zone then has."""

from __future__ import annotations

import typing as t

import pytest
from conftest import PREFIX, Failed
from test_region_storage import CEPH, CONSUMERS, POOL

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client, system_vms


def image_store(zone: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"name": f"{zone['name']}-nfs", "zone": zone["name"], "url": f"nfs://10.9.0.9/{zone['name']}"}


@pytest.fixture
def sent(monkeypatch: t.Any) -> list[str]:
    """The commands that were answered, in order."""
    commands: list[str] = []
    call = client.Client.call

    def recorded(self: client.Client, command: str, **params: t.Any) -> t.Any:
        answer = call(self, command, **params)
        commands.append(command)
        return answer

    monkeypatch.setattr(client.Client, "call", recorded)
    return commands


def test_an_image_store_comes_after_its_zones_clusters_and_hosts(run: t.Any, server: client.Client, new_zone: t.Any, sent: list[str]) -> None:
    if any(row["providername"] != "NFS" for row in server.rows("listImageStores")):
        pytest.skip("the server has image stores of another provider")
    declared = new_zone("stored", hosts=3, subnet=70)
    pod = declared["pods"][0]
    pod["clusters"].append({"name": "sim2", "hypervisor": "simulator", "hosts": [{"url": "http://sim/c1/h0"}]})
    run(zones=[declared], image_stores=[image_store(declared)])
    assert sent.count("addHost") == 4
    before = sent[: sent.index("addImageStore")]
    assert (before.count("addCluster"), before.count("addHost")) == (2, 4)
    assert not run(zones=[declared], image_stores=[image_store(declared)])["changed"]


@pytest.fixture
def kvm(new_zone: t.Any, server: client.Client) -> t.Iterator[dict[str, t.Any]]:
    """What a zone of two KVM hosts needs for system virtual machines, as options of the module."""
    zone = new_zone("kvm", hosts=0, subnet=71)
    zone["pods"][0]["clusters"] = [{"name": "kvm", "hosts": [{"address": f"10.71.0.{number}", "password": "x"} for number in (21, 22)]}]
    storage = {"name": PREFIX + "kvm-rbd", "zone": zone["name"], "consumer": "cs", "pool": POOL}
    return {"zones": [zone], "image_stores": [image_store(zone)], "primary_storage": [storage], "ceph": CEPH, "consumers": CONSUMERS}


def vms(server: client.Client) -> set[tuple[str, str, str]]:
    return {(row["systemvmtype"], row["state"], row["agentstate"]) for row in server.rows("listSystemVms")}


@pytest.mark.stand_in
def test_system_vms_of_a_new_zone_come_up(run: t.Any, server: client.Client, kvm: dict[str, t.Any]) -> None:
    run(**kvm)
    assert vms(server) == {("secondarystoragevm", "Running", "Up"), ("consoleproxy", "Running", "Up")}
    assert not run(**kvm)["changed"]


@pytest.mark.stand_in
def test_a_store_that_was_there_before_its_cluster_has_no_template_and_says_nothing(run: t.Any, server: client.Client, kvm: dict[str, t.Any]) -> None:
    """The server's own behaviour, on which the order above rests."""
    clusters = kvm["zones"][0]["pods"][0].pop("clusters")
    run(**{**kvm, "primary_storage": []})
    kvm["zones"][0]["pods"][0]["clusters"] = clusters
    run(**kvm)
    assert vms(server) == set()
    templates = [row for row in server.rows("listTemplates", templatefilter="all", templatetype="SYSTEM") if row["hypervisor"] == "KVM"]
    assert [(row["isready"], row["zonename"]) for row in templates] == [(True, kvm["zones"][0]["name"])]


@pytest.mark.stand_in
def test_the_proof_says_what_is_and_why(run: t.Any, server: client.Client, kvm: dict[str, t.Any]) -> None:
    """Each reason is made by hand, and mended."""
    name = kvm["zones"][0]["name"]
    run(**kvm)
    found, problems = system_vms.prove(server, [name], 0)
    assert problems == []
    assert [(row["type"], row["state"], row["agent_state"], row["reasons"]) for row in found] == [
        (sort, "Running", "Up", []) for sort in ("secondarystoragevm", "consoleproxy")
    ]

    def said() -> str:
        _found, problems = system_vms.prove(server, [name], 0)
        assert len(problems) == 2, problems
        assert all(problem.startswith(f"zone {name}: the ") for problem in problems)
        return problems[0]

    zone = next(row["id"] for row in server.rows("listZones") if row["name"] == name)
    server.call("updateZone", id=zone, allocationstate="Disabled")
    assert "the zone is Disabled" in said()
    server.call("updateZone", id=zone, allocationstate="Enabled")
    hosts = server.rows("listHosts", zoneid=zone, type="Routing")
    for host in hosts:
        server.call("updateHost", id=host["id"], allocationstate="Disable")
    assert "Up, Disabled" in said()
    for host in hosts:
        server.call("updateHost", id=host["id"], allocationstate="Enable")
    (pool,) = server.rows("listStoragePools", zoneid=zone)
    server.job("enableStorageMaintenance", id=pool["id"])
    assert "no primary storage is Up" in said()
    server.job("cancelStorageMaintenance", id=pool["id"])
    assert system_vms.prove(server, [name], 0)[1] == []
    assert system_vms.prove(server, ["none"], 0)[1] == ["there is no zone none"]


@pytest.mark.stand_in
def test_a_store_without_the_template_is_found_by_its_files(run: t.Any, server: client.Client, kvm: dict[str, t.Any], monkeypatch: t.Any) -> None:
    """Of the server's lists none says so."""
    clusters = kvm["zones"][0]["pods"][0].pop("clusters")
    run(**{**kvm, "primary_storage": []})
    kvm["zones"][0]["pods"][0]["clusters"] = clusters
    run(**kvm)
    name = kvm["zones"][0]["name"]
    monkeypatch.setattr(system_vms, "look", lambda url: system_vms.Seen(free=1 << 30))
    monkeypatch.setattr(system_vms, "lacking", list)
    zones = system_vms.zones(kvm)
    assert [zone["name"] for zone in zones] == [name]
    provider = system_vms.Provider(zones, server, seed=True)
    assert [change.id for change in provider.plan(provider.observe()).changes] == [f"system_template/{name}/{name}-nfs"]
    assert "it has no template of system virtual machines" in system_vms.prove(server, [name], 0, lambda url: system_vms.Seen())[1][0]


def test_what_they_could_not_come_up_with_is_refused(run: t.Any, server: client.Client, kvm: dict[str, t.Any]) -> None:
    zone = kvm["zones"][0]
    zone["system_vms"] = True
    zone["public_ranges"][0]["end"] = zone["public_ranges"][0]["start"]
    zone["pods"][0]["end"] = zone["pods"][0]["start"]
    with pytest.raises(Failed) as refused:
        run(zones=[zone])
    text = "; ".join(refused.value.result["problems"])
    assert len(refused.value.result["problems"]) == 3, text
    assert "system_vms: false" in text
    assert all(row["name"] != zone["name"] for row in server.rows("listZones"))
    zone["system_vms"] = False
    zone["pods"][0]["clusters"] = []
    assert run(check=True, zones=[zone])["changed"]
