# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that go into maintenance, come back, and are removed: their guests move, or it is refused."""

from __future__ import annotations

import typing as t

import pytest
from conftest import PREFIX

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.host_state import Provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Outcome, reconcile

# A real server adds no such hosts, and no guest without a template.
pytestmark = pytest.mark.stand_in


@pytest.fixture
def cluster(run: t.Any, new_zone: t.Any) -> t.Callable[..., str]:
    """cluster(2, tags): a zone with a cluster of so many KVM hosts at 10.72.0.21 and on, of which the first has these tags; returns the zone's name."""

    def make(count: int, tags: t.Sequence[str] = ()) -> str:
        zone = new_zone("moving", hosts=0, subnet=72)
        hosts: list[dict[str, t.Any]] = [{"address": f"10.72.0.{21 + number}", "password": "x"} for number in range(count)]
        hosts[0]["tags"] = list(tags)
        zone["pods"][0]["clusters"] = [{"name": "kvm", "hosts": hosts}]
        run(zones=[zone])
        return str(zone["name"])

    return make


@pytest.fixture
def guest(server: client.Client) -> t.Iterator[t.Callable[..., dict[str, t.Any]]]:
    """guest("10.72.0.21", tag): a guest that runs there, of an offering with that tag."""
    made: list[str] = []
    offerings: list[str] = []

    def make(address: str, tag: str = "") -> dict[str, t.Any]:
        words = {"name": PREFIX + "small", "displaytext": "small", "cpunumber": 1, "cpuspeed": 100, "memory": 64, "hosttags": tag or None}
        offering = server.call("createServiceOffering", **words)["serviceoffering"]
        offerings.append(offering["id"])
        host = row_of(server, address)
        template = server.rows("listTemplates", templatefilter="all")
        where = {"zoneid": host["zoneid"], "hostid": host["id"], "templateid": template[0]["id"] if template else None}
        row = server.job("deployVirtualMachine", name="web1", serviceofferingid=offering["id"], **where)["virtualmachine"]
        made.append(row["id"])
        return row

    yield make
    for key in made:
        server.job("destroyVirtualMachine", id=key, expunge=True)
    for key in offerings:
        server.call("deleteServiceOffering", id=key)


def row_of(server: client.Client, address: str) -> dict[str, t.Any]:
    return next((row for row in server.rows("listHosts", type="Routing") if row["ipaddress"] == address), {})


def guest_of(server: client.Client, key: str) -> dict[str, t.Any]:
    return next(row for row in server.rows("listVirtualMachines", listall=True) if row["id"] == key)


def set_state(server: client.Client, state: str, address: str = "10.72.0.21", check: bool = False) -> Outcome:
    return reconcile(Provider(server, address, [], state), check)


def changes(outcome: Outcome) -> list[str]:
    assert not outcome.error, outcome.error
    return [f"{row['action']} {row['kind']}/{row['name']}" for row in outcome.result()["changes"]]


def test_guests_move_and_the_host_comes_back(server: client.Client, cluster: t.Any, guest: t.Any) -> None:
    cluster(2)
    moving = guest("10.72.0.21")
    name = row_of(server, "10.72.0.21")["name"]
    assert changes(set_state(server, "maintenance", check=True)) == [f"update host/{name}"]
    assert row_of(server, "10.72.0.21")["resourcestate"] == "Enabled", "check mode touched nothing"
    assert changes(set_state(server, "maintenance")) == [f"update host/{name}"]
    assert row_of(server, "10.72.0.21")["resourcestate"] == "Maintenance"
    assert guest_of(server, moving["id"])["hostid"] == row_of(server, "10.72.0.22")["id"]
    assert changes(set_state(server, "maintenance")) == []
    assert changes(set_state(server, "enabled")) == [f"update host/{name}"]
    assert row_of(server, "10.72.0.21")["resourcestate"] == "Enabled"
    assert changes(set_state(server, "enabled")) == []


@pytest.mark.parametrize("state", ["maintenance", "absent"])
def test_where_no_other_host_could_take_them_it_is_refused(server: client.Client, cluster: t.Any, guest: t.Any, state: str) -> None:
    cluster(1)
    staying = guest("10.72.0.21")
    told = set_state(server, state)
    assert "its guests (web1) could not move, for no other host of the cluster kvm is up and enabled: add or enable one, or stop the guests first" in told.error
    assert guest_of(server, staying["id"])["state"] == "Running"
    assert row_of(server, "10.72.0.21")["resourcestate"] == "Enabled"


@pytest.mark.parametrize("state", ["maintenance", "absent"])
def test_a_guest_that_cannot_move_keeps_the_host_as_it_was(server: client.Client, cluster: t.Any, guest: t.Any, state: str) -> None:
    """The other host lacks the tag that its offering wants."""
    cluster(2, ["gpu"])
    guest("10.72.0.21", "gpu")
    told = set_state(server, state)
    assert "stays as it is: guests do not leave it: it is ErrorInMaintenance" in told.error
    assert "(guests that are still on it: web1)" in told.error
    assert row_of(server, "10.72.0.21")["resourcestate"] == "Enabled"


def test_a_host_goes_and_so_does_one_that_somebody_put_into_maintenance(server: client.Client, cluster: t.Any, guest: t.Any) -> None:
    cluster(3)
    moving = guest("10.72.0.21")
    name = row_of(server, "10.72.0.21")["name"]
    assert changes(set_state(server, "absent")) == [f"delete host/{name}"]
    assert row_of(server, "10.72.0.21") == {}
    assert guest_of(server, moving["id"])["state"] == "Running"
    assert changes(set_state(server, "absent")) == []
    server.job("prepareHostForMaintenance", id=row_of(server, "10.72.0.22")["id"])
    assert changes(set_state(server, "absent", "10.72.0.22")) != []
    assert row_of(server, "10.72.0.22") == {}


def test_a_disabled_host_is_disabled_again_where_it_cannot_be_emptied(server: client.Client, cluster: t.Any, guest: t.Any) -> None:
    cluster(2, ["gpu"])
    guest("10.72.0.21", "gpu")
    server.call("updateHost", id=row_of(server, "10.72.0.21")["id"], allocationstate="Disable")
    assert set_state(server, "maintenance").error
    assert row_of(server, "10.72.0.21")["resourcestate"] == "Disabled"


def test_a_host_that_cloudstack_does_not_have_is_left_alone(server: client.Client, cluster: t.Any) -> None:
    cluster(1)
    for state in ("maintenance", "enabled", "absent"):
        assert changes(set_state(server, state, "10.72.0.99")) == []
