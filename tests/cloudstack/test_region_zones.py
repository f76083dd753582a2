# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zones, what they are made of, hosts and settings."""

from __future__ import annotations

import copy
import os
import typing as t

import pytest
from conftest import Failed, differences, ids

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client, region
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import LISTINGS

KINDS = [("advanced", 61), ("advanced_security_groups", 62), ("basic", 63)]


@pytest.mark.parametrize(("kind", "subnet"), KINDS, ids=[kind for kind, _subnet in KINDS])
def test_a_zone_is_made_and_then_left_alone(run: t.Any, new_zone: t.Any, kind: str, subnet: int) -> None:
    declared = new_zone(f"made-{subnet}", kind, subnet=subnet)
    planned = run(check=True, zones=[declared])
    assert planned["zones"] == []
    made = run(zones=[declared])
    assert ids(made) == ids(planned)
    assert made["zones"][0]["state"] == "Enabled"
    assert made["zones"][0]["type"] == kind
    assert [host["state"] for host in made["hosts"]] == ["Up", "Up"]
    again = run(zones=[declared])
    assert not again["changed"]
    assert again["changes"] == []


class Living(t.NamedTuple):
    """The ids of what is in the zone."""

    zone: str
    network: str
    pod: str
    cluster: str
    range: str


@pytest.fixture
def existing(server: client.Client, zone: dict[str, t.Any]) -> Living:
    zone_id = next(row["id"] for row in server.rows("listZones") if row["name"] == zone["name"])
    lists = ("listPhysicalNetworks", "listPods", "listClusters", "listVlanIpRanges")
    return Living(zone_id, *(server.rows(name, zoneid=zone_id)[0]["id"] for name in lists))


def _traffic(server: client.Client, existing: Living, kind: str) -> str:
    return next(row["id"] for row in server.rows("listTrafficTypes", physicalnetworkid=existing.network) if row["traffictype"] == kind)


def _provider(server: client.Client, existing: Living, name: str) -> str:
    return next(row["id"] for row in server.rows("listNetworkServiceProviders", physicalnetworkid=existing.network) if row["name"] == name)


def _host(server: client.Client, existing: Living, tags: str | None = None) -> str:
    return next(row["id"] for row in server.rows("listHosts", zoneid=existing.zone, type="Routing") if row.get("hosttags") == tags)


DRIFTS: dict[str, tuple[t.Callable[[client.Client, Living], t.Any], str, t.Any]] = {
    "name server": (lambda s, i: s.call("updateZone", id=i.zone, dns1="10.9.9.9"), "zone/{zone}", ({"dns1": "10.9.9.9"}, {"dns1": "10.0.0.53"})),
    "zone closed": (
        lambda s, i: s.call("updateZone", id=i.zone, allocationstate="Disabled"),
        "zone_state/{zone}",
        ({"state": "Disabled"}, {"state": "Enabled"}),
    ),
    "network off": (
        lambda s, i: s.job("updatePhysicalNetwork", id=i.network, state="Disabled"),
        "physical_network/{zone}/net1",
        ({"state": "Disabled"}, {"state": "Enabled"}),
    ),
    "vlans": (
        lambda s, i: s.job("updatePhysicalNetwork", id=i.network, vlan="100-210"),
        "physical_network/{zone}/net1",
        ({"vlan": "100-210"}, {"vlan": "100-200,300-310"}),
    ),
    "label": (
        lambda s, i: s.job("updateTrafficType", id=_traffic(s, i, "Guest"), kvmnetworklabel="other"),
        "traffic/{zone}/net1/guest",
        ({"kvm_label": "other"}, {"kvm_label": "cloudbr0"}),
    ),
    "provider": (
        lambda s, i: s.job("updateNetworkServiceProvider", id=_provider(s, i, "VpcVirtualRouter"), state="Disabled"),
        "provider/{zone}/net1/VpcVirtualRouter",
        ({"state": "Disabled"}, {"state": "Enabled"}),
    ),
    "pod's gateway": (lambda s, i: s.call("updatePod", id=i.pod, gateway="10.60.0.2"), "pod/{zone}/pod1", ({"gateway": "10.60.0.2"}, {"gateway": "10.60.0.1"})),
    "pod closed": (
        lambda s, i: s.call("updatePod", id=i.pod, allocationstate="Disabled"),
        "pod/{zone}/pod1",
        ({"state": "Disabled"}, {"state": "Enabled"}),
    ),
    "pod's range": (
        lambda s, i: s.job("updatePodManagementNetworkIpRange", podid=i.pod, currentstartip="10.60.0.100", currentendip="10.60.0.150", newendip="10.60.0.160"),
        "pod/{zone}/pod1",
        ({"end": "10.60.0.160"}, {"end": "10.60.0.150"}),
    ),
    "cluster closed": (
        lambda s, i: s.call("updateCluster", id=i.cluster, allocationstate="Disabled"),
        "cluster/{zone}/pod1/sim",
        ({"state": "Disabled"}, {"state": "Enabled"}),
    ),
    "range": (
        lambda s, i: s.call("updateVlanIpRange", id=i.range, startip="10.60.1.50", endip="10.60.1.95"),
        "vlan_range/{zone}/10.60.1.50-10.60.1.90",
        ({"end": "10.60.1.95"}, {"end": "10.60.1.90"}),
    ),
    "range away": (lambda s, i: s.call("deleteVlanIpRange", id=i.range), "vlan_range/{zone}/10.60.1.50-10.60.1.90", None),
    "host's tags": (
        lambda s, i: s.call("updateHost", id=_host(s, i, "fast"), hosttags="slow"),
        "host/{zone}/c0/h0",
        ({"tags": ["slow"]}, {"tags": ["fast"]}),
    ),
    "host closed": (
        lambda s, i: s.call("updateHost", id=_host(s, i, "fast"), allocationstate="Disable"),
        "host/{zone}/c0/h0",
        ({"state": "disabled"}, {"state": "enabled"}),
    ),
}


@pytest.mark.parametrize("name", list(DRIFTS))
def test_a_drift_is_listed_alone_and_mended(run: t.Any, server: client.Client, zone: dict[str, t.Any], existing: Living, name: str) -> None:
    drift, changed, difference = DRIFTS[name]
    drift(server, existing)
    seen = run(check=True, zones=[zone])
    assert ids(seen) == {changed.format(zone=zone["name"])}
    if difference:
        assert list(differences(seen).values()) == [difference]
    assert ids(run(zones=[zone])) == ids(seen)
    assert not run(zones=[zone])["changed"]


def test_five_drifts_at_once_are_those_five(run: t.Any, server: client.Client, zone: dict[str, t.Any], existing: Living) -> None:
    names = ["name server", "provider", "cluster closed", "host's tags", "label"]
    for name in names:
        DRIFTS[name][0](server, existing)
    wanted = {DRIFTS[name][1].format(zone=zone["name"]) for name in names}
    assert ids(run(check=True, zones=[zone])) == wanted
    assert ids(run(zones=[zone])) == wanted
    assert not run(zones=[zone])["changed"]


@pytest.mark.parametrize("calls", [3, 5, 8, 12, 16, 20, 24, 30, 36])
def test_a_run_that_was_killed_is_finished_by_the_next(run: t.Any, server: client.Client, new_zone: t.Any, monkeypatch: t.Any, calls: int) -> None:
    """The process dies at the n-th call that changes something: after it was sent, and before anything is known of its answer."""
    declared = new_zone("killed", subnet=64)
    child = os.fork()
    if child == 0:
        call = client.Client.call
        sent: list[str] = []

        def dying(self: client.Client, command: str, **params: t.Any) -> t.Any:
            answer = call(self, command, **params)
            if not command.startswith(("list", "query")):
                sent.append(command)
                if len(sent) >= calls:
                    os._exit(9)
            return answer

        monkeypatch.setattr(client.Client, "call", dying)
        try:
            run(zones=[declared])
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    run(zones=[declared])
    assert not run(zones=[declared])["changed"]
    assert len([row for row in server.rows("listZones") if row["name"] == declared["name"]]) == 1
    zone_id = next(row["id"] for row in server.rows("listZones") if row["name"] == declared["name"])
    assert len(server.rows("listHosts", zoneid=zone_id, type="Routing")) == 2
    for listing in ("listPhysicalNetworks", "listPods", "listClusters", "listVlanIpRanges"):
        assert len(server.rows(listing, zoneid=zone_id)) == 1


def test_of_two_runs_at_once_the_second_waits_and_finds_everything(run: t.Any, server: client.Client, new_zone: t.Any) -> None:
    """So it is after a playbook was ended, whose module goes on. The server itself takes a second offering of the same name."""
    declared = new_zone("orphaned", subnet=69)
    options = {"zones": [declared], "disk_offerings": [{"name": f"{declared['name']} {size}", "size": size} for size in (1, 2, 3)]}
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = int(run(**options)["changed"])
        finally:
            os._exit(code)
    changed = run(**options)["changed"]
    assert changed + os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert not run(**options)["changed"]
    for listing, name in (("listZones", declared["name"]), *(("listDiskOfferings", each["name"]) for each in options["disk_offerings"])):
        assert [row["name"] for row in server.rows(listing)].count(name) == 1


def test_a_zone_grows(run: t.Any, new_zone: t.Any) -> None:
    declared = new_zone("grows", subnet=65)
    run(zones=[declared])
    pod = declared["pods"][0]
    declared["physical_networks"][0]["tags"] = ["first"]
    declared["physical_networks"].append({"name": "net2", "vlan": "500-510", "tags": ["second"], "traffic": [{"type": "guest", "kvm_label": "cloudbr1"}]})
    declared["public_ranges"].append({**declared["public_ranges"][0], "start": "10.65.1.150", "end": "10.65.1.160"})
    pod["clusters"][0]["hosts"].append({"url": "http://sim/c0/h9", "tags": ["new"]})
    pod["clusters"].append({"name": "sim2", "hypervisor": "simulator", "hosts": [{"url": "http://sim/c1/h0", "state": "disabled"}]})
    name = declared["name"]
    declared["pods"].append({**pod, "name": "pod2", "gateway": "10.65.2.1", "start": "10.65.2.10", "end": "10.65.2.20", "clusters": []})
    grown = run(zones=[declared])
    assert ids(grown) == {
        f"physical_network/{name}/net1",
        f"physical_network/{name}/net2",
        f"traffic/{name}/net2/guest",
        f"provider/{name}/net2/VirtualRouter",
        f"provider/{name}/net2/VpcVirtualRouter",
        f"vlan_range/{name}/10.65.1.150-10.65.1.160",
        f"cluster/{name}/pod1/sim2",
        f"host/{name}/c0/h9",
        f"host/{name}/c1/h0",
        f"pod/{name}/pod2",
    }
    assert not run(zones=[declared])["changed"]
    assert grown["zones"][0]["state"] == "Enabled"


def test_a_pod_is_given_another_range(run: t.Any, new_zone: t.Any) -> None:
    declared = new_zone("moves", hosts=0, subnet=68)
    run(zones=[declared])
    declared["pods"][0].update(start="10.68.0.170", end="10.68.0.180")
    moved = run(zones=[declared])
    assert ids(moved) == {f"pod/{declared['name']}/pod1"}
    assert "cannot take 10.68.0.100-10.68.0.150 away" in moved["changes"][0]["reason"]
    assert not run(zones=[declared])["changed"]


def test_a_host_is_removed_only_when_allow_loss(run: t.Any, new_zone: t.Any, server: client.Client) -> None:
    declared = new_zone("shrinks", subnet=66)
    run(zones=[declared])
    hosts = declared["pods"][0]["clusters"][0]["hosts"]
    hosts[1]["state"] = "absent"
    with pytest.raises(Failed, match=f"name it in allow_loss: host/{declared['name']}/c0/h1"):
        run(zones=[declared])
    removed = run(zones=[declared], allow_loss=[f"host/{declared['name']}/c0/h1"])
    assert [(change["name"], change["action"], change["risk"]) for change in removed["changes"]] == [(f"{declared['name']}/c0/h1", "delete", "loss")]
    assert len(removed["hosts"]) == 1
    assert not run(zones=[declared])["changed"]


def test_a_host_in_maintenance_is_left_so(run: t.Any, new_zone: t.Any, server: client.Client) -> None:
    declared = new_zone("maintained", hosts=1, subnet=67)
    made = run(zones=[declared])
    host = next(row for row in server.rows("listHosts", type="Routing") if row["name"] == made["hosts"][0]["name"])
    server.job("prepareHostForMaintenance", id=host["id"])
    again = run(zones=[declared])
    assert not again["changed"]
    assert any("in maintenance" in warning for warning in again["warnings"])


def test_no_call_for_an_object(run: t.Any, zone: dict[str, t.Any]) -> None:
    """Nothing to do: as many calls for three hosts as for none."""
    without = copy.deepcopy(zone)
    without["pods"][0]["clusters"][0]["hosts"] = []
    assert run(zones=[zone])["api_calls"] == run(zones=[without])["api_calls"] <= 40


# -- what cannot be


def test_what_cannot_change_is_refused_before_anything_is_touched(run: t.Any, zone: dict[str, t.Any]) -> None:
    other = copy.deepcopy(zone)
    other["dns1"] = "10.9.9.9"
    other["physical_networks"][0]["isolation"] = ["VXLAN"]
    other["pods"][0]["clusters"][0].update(hypervisor="kvm", hosts=[])
    other["public_ranges"][0]["vlan"] = "77"
    with pytest.raises(Failed) as refused:
        run(zones=[other])
    problems = refused.value.result["problems"]
    assert len(problems) == 3
    assert any("isolation is VLAN" in text for text in problems)
    assert any("is of Simulator" in text for text in problems)
    assert any("VLAN untagged" in text for text in problems)
    other = copy.deepcopy(zone)
    other.update(type="basic", public_ranges=[], guest_cidr=None)
    other["physical_networks"][0].update(vlan=None, traffic=zone["physical_networks"][0]["traffic"][:2])
    with pytest.raises(Failed, match="of type advanced, which cannot be changed to basic"):
        run(zones=[other])
    assert not run(zones=[zone])["changed"]


def test_wrong_keys(connection: dict[str, str], run: t.Any, monkeypatch: t.Any, zone: dict[str, t.Any]) -> None:
    monkeypatch.setitem(connection, "api_secret", "wrong")
    with pytest.raises(Failed, match="wrong api_key or api_secret") as failed:
        run(zones=[zone])
    assert connection["api_key"] not in str(failed.value.result)


def test_no_server(connection: dict[str, str], run: t.Any, monkeypatch: t.Any, zone: dict[str, t.Any]) -> None:
    monkeypatch.setitem(connection, "url", "http://127.0.0.1:1/client/api")
    with pytest.raises(Failed, match="cannot be reached"):
        run(zones=[zone])


# -- settings


@pytest.fixture
def restored(server: client.Client) -> t.Iterator[None]:
    names = ("agent.load.threshold", "snapshot.backup.to.secondary", "network.throttling.rate")
    before = {row["name"]: row.get("value") for name in names for row in server.rows("listConfigurations", name=name)}
    yield
    for name, value in before.items():
        server.call("updateConfiguration", name=name, value=value)


@pytest.mark.usefixtures("restored")
def test_settings(run: t.Any, server: client.Client) -> None:
    declared = {"agent.load.threshold": 0.8, "network.throttling.rate": 150}
    assert ids(run(settings=declared)) == {f"setting/{name}" for name in declared}
    assert not run(settings=declared)["changed"]
    assert not run(settings={"agent.load.threshold": "0.80", "network.throttling.rate": "150"})["changed"]
    server.call("updateConfiguration", name="network.throttling.rate", value="10")
    seen = run(check=True, settings=declared)
    assert differences(seen) == {"setting/network.throttling.rate": ({"value": "10"}, {"value": "150"})}
    assert seen["restart_needed"] == []
    run(settings=declared)


@pytest.mark.usefixtures("restored")
def test_a_setting_that_needs_a_restart_is_said(run: t.Any, server: client.Client) -> None:
    now = server.rows("listConfigurations", name="snapshot.backup.to.secondary")[0]["value"]
    changed = run(settings={"snapshot.backup.to.secondary": now != "true"})
    assert changed["restart_needed"] == ["snapshot.backup.to.secondary"]
    assert "restart" in changed["changes"][0]["reason"]


def test_settings_of_a_zone(run: t.Any, server: client.Client, zone: dict[str, t.Any]) -> None:
    declared = {**zone, "settings": {"network.throttling.rate": 33, "guest.domain.suffix": "example.org"}}
    name = zone["name"]
    assert ids(run(zones=[declared])) == {f"setting/network.throttling.rate@{name}", f"setting/guest.domain.suffix@{name}"}
    assert not run(zones=[declared])["changed"]
    assert server.rows("listConfigurations", name="network.throttling.rate")[0]["value"] != "33"


def test_settings_that_cannot_be(run: t.Any, server: client.Client, zone: dict[str, t.Any]) -> None:
    wrong = {"no.such.setting": 1, "agent.load.threshold": "high", "snapshot.backup.to.secondary": "perhaps", "agent.lb.enabled": {"a": 1}}
    with pytest.raises(Failed) as refused:
        run(settings={"network.throttling.rate": 11, **wrong})
    assert any("agent.lb.enabled" in text for text in refused.value.result["problems"])
    del wrong["agent.lb.enabled"]
    with pytest.raises(Failed) as refused:
        run(settings={"network.throttling.rate": 11, **wrong}, zones=[{**zone, "settings": {"agent.lb.enabled": True, "no.such": 1}}])
    problems = refused.value.result["problems"]
    assert len(problems) == 5, problems
    assert any("no setting no.such.setting" in text for text in problems)
    assert any("'high' does not fit: it is a number" in text for text in problems)
    assert any("'perhaps' does not fit: it is true or false" in text for text in problems)
    assert any("agent.lb.enabled is not a setting of a zone" in text for text in problems)
    assert any("no setting no.such" in text for text in problems)
    assert server.rows("listConfigurations", name="network.throttling.rate")[0]["value"] != "11"


def test_the_kinds_have_their_lists() -> None:
    for kind in region.KINDS:
        if not callable(kind.lists):
            assert set(kind.lists) <= set(LISTINGS)
