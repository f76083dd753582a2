# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBD as primary storage: monitors and UUIDs in one form, what is planned, and what is refused."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import primary_storage
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Plan, Secret
from ansible_collections.cephstack.cloud.tests.unit.declaring import filled

KEY = "AQD+hJxk/W1RGRAAA56oHGN6d+WPDLss2b05Cw=="
MONS = "10.0.0.1,10.0.0.2,10.0.0.3"
ITEM = filled(primary_storage.OPTIONS, {"name": "rbd", "zone": "z1", "consumer": "cs"})
ROW = {
    "id": primary_storage.pool_uuid(MONS, "volumes"),
    "name": "rbd",
    "zonename": "z1",
    "type": "RBD",
    "ipaddress": MONS,
    "path": "volumes",
    "state": "Up",
    "scope": "ZONE",
    "hypervisor": "KVM",
    "tags": "ssd,ceph",
}
LISTS: dict[str, list[t.Any]] = {
    "zones": [{"id": "zone-id", "name": "z1"}],
    "pods": [{"id": "pod-id", "name": "p1", "zonename": "z1"}],
    "clusters": [{"id": "cluster-id", "name": "c1", "zonename": "z1"}, {"id": "empty-id", "name": "empty", "zonename": "z1"}],
    "hosts": [{"id": "host-id", "clusterid": "cluster-id"}],
    "storage_pools": [],
}
CONSUMERS = [
    {"name": "cs", "client": None, "kind": "cloudstack", "pools": [{"name": "volumes", "access": "rw"}]},
    {"name": "two", "client": None, "kind": "cloudstack", "pools": [{"name": "a", "access": "rw"}, {"name": "b", "access": "rw"}]},
    {"name": "reader", "client": None, "kind": "cloudstack", "pools": [{"name": "volumes", "access": "ro"}]},
    {"name": "kvm", "client": None, "kind": "kvm", "pools": [{"name": "vms", "access": "rw"}]},
]
CEPH = {"mon_host": "10.0.0.3,10.0.0.1,10.0.0.2", "keys": {"client.cs": KEY, "client.two": KEY, "client.reader": KEY}, "pools": ["volumes", "a", "b"]}


class Api:
    """What is called, and how it is answered."""

    def __init__(self, **answers: t.Any) -> None:
        self.calls: list[tuple[str, dict[str, t.Any]]] = []
        self.answers = answers

    def call(self, command: str, **parameters: t.Any) -> t.Any:
        self.calls.append((command, {name: value for name, value in parameters.items() if value is not None}))
        answer = self.answers.get(command, {})
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    job = call

    def rows(self, command: str, **parameters: t.Any) -> t.Any:
        return self.answers.get(command, [])

    def offers(self, command: str, parameter: t.Optional[str] = None) -> bool:
        return parameter not in self.answers.get("lacks", ())


def planned(*items: dict[str, t.Any], rows: t.Sequence[t.Any] = (), api: t.Any = None, empty: bool = False, **declaration: t.Any) -> Draft:
    declared = [{**ITEM, **item} for item in items]
    sheet = Draft({"consumers": CONSUMERS, "ceph": CEPH, "zones": [], "primary_storage": declared, **declaration})
    region = Region(api) if empty else Region(api, {**LISTS, "storage_pools": list(rows)})
    primary_storage.plan(declared, region, sheet)
    return sheet


def only(sheet: Draft) -> Change:
    assert sheet.problems == []
    (change,) = sheet.changes
    return change


# -- forms


@pytest.mark.parametrize(
    ("hosts", "pool", "uuid"),
    [
        ("10.29.44.1", "cloudstack", "b90eae9d-973c-362c-8afc-af88f0743892"),  # apache/cloudstack 5741
        ("192.168.100.100", "acs411testing", "e485c675-896a-303e-be82-c42357c6b4c1"),  # apache/cloudstack 2611
        ("10.77.0.11,10.77.0.12,10.77.0.13", "cloudstack", "5f1b7752-7354-3d82-880c-f9dfd99ac294"),  # recorded of 4.22
        ("10.77.0.12,10.77.0.11,10.77.0.13", "cloudstack", "d728b566-a195-3b14-aa10-c528c3cbea2d"),  # the same in another order
        ("m1,m2,m3", "p1", "eea699a7-d3dd-3263-8e8c-32c631294eb2"),
    ],
)
def test_the_uuid_is_known_beforehand(hosts: str, pool: str, uuid: str) -> None:
    assert primary_storage.pool_uuid(hosts, pool) == uuid


@pytest.mark.parametrize(
    ("mon_host", "expected"),
    [
        ("[v2:10.0.0.2:3300,v1:10.0.0.2:6789] [v2:10.0.0.1:3300,v1:10.0.0.1:6789]", ("10.0.0.1,10.0.0.2", 0)),
        ("10.0.0.2:6789;10.0.0.1", ("10.0.0.1,10.0.0.2", 0)),
        ("10.0.0.2:7000,10.0.0.1:7000", ("10.0.0.1,10.0.0.2", 7000)),
        ("[v2:[fd00::2]:3300,v1:[fd00::2]:6789] fd00::1", ("[fd00::1],[fd00::2]", 0)),
    ],
)
def test_monitors_are_always_in_the_same_order(mon_host: str, expected: tuple[str, int]) -> None:
    assert primary_storage.monitors(mon_host) == expected


@pytest.mark.parametrize("mon_host", ["", "10.0.0.1:7000,10.0.0.2:7001", "10.0.0.1:7000,10.0.0.2", "http://x"])
def test_monitors_that_a_url_cannot_carry(mon_host: str) -> None:
    with pytest.raises(ValueError, match=r"monitor"):
        primary_storage.monitors(mon_host)


def test_the_url_has_the_key_as_the_agent_reads_it_and_hides_it() -> None:
    made = primary_storage.url(primary_storage.Source("volumes", "client.cs", "10.0.0.1,10.0.0.2", 7000), KEY + "\n")
    assert isinstance(made, Secret)
    assert made.reveal() == "rbd://cs:AQD-hJxk_W1RGRAAA56oHGN6d-WPDLss2b05Cw==@10.0.0.1,10.0.0.2:7000/volumes"
    assert "AQD" not in f"{made} {made!r}"


# -- planning


def test_a_pool_is_registered() -> None:
    api = Api(createStoragePool={"storagepool": {"id": "new-id"}})
    change = only(planned({"tags": ["ssd", "ceph"], "data_pool": None, "details": {"a": True}}, api=api))
    assert (change.id, change.action) == ("primary_storage/z1/rbd", "create")
    assert "zone/z1" in change.needs
    shown = json.dumps(Plan([change]).diff())
    assert ROW["id"] in shown
    assert "AQD" not in shown
    change.apply()
    ((command, parameters),) = api.calls
    assert command == "createStoragePool"
    assert parameters.pop("url").reveal() == f"rbd://cs:{KEY.replace('+', '-').replace('/', '_')}@{MONS}/volumes"
    assert parameters == {"name": "rbd", "zoneid": "zone-id", "scope": "zone", "hypervisor": "KVM", "tags": "ceph,ssd", "details[0].a": "true"}


def test_a_pool_of_a_cluster_with_a_pool_for_data() -> None:
    api = Api(createStoragePool={"storagepool": {"id": "new-id"}})
    more = {"scope": "cluster", "pod": "p1", "cluster": "c1", "consumer": "two", "data_pool": "b", "enabled": False, "access_groups": ["g"]}
    change = only(planned(more, api=api))
    assert {"pod/z1/p1", "cluster/z1/p1/c1"} <= change.needs
    change.apply()
    assert [command for command, _parameters in api.calls] == ["createStoragePool", "updateStoragePool"]
    parameters = api.calls[0][1]
    assert (parameters["podid"], parameters["clusterid"], parameters["storageaccessgroups"]) == ("pod-id", "cluster-id", "g")
    assert parameters["details[0].rbd_default_data_pool"] == "b"
    assert "/a" in parameters["url"].reveal()
    assert api.calls[1][1] == {"id": "new-id", "enabled": False}


@pytest.mark.parametrize(("said", "sent"), [(None, "ec"), ("b", "b"), ("", None)])
def test_the_consumer_says_which_pool_is_for_data_where_the_storage_does_not(said: t.Optional[str], sent: t.Optional[str]) -> None:
    consumer = {"name": "cs", "kind": "cloudstack", "pools": [{"name": "volumes", "access": "rw", "data_pool": "ec"}, {"name": "b", "data_pool": None}]}
    api = Api(createStoragePool={"storagepool": {"id": "new-id"}})
    more = {"consumers": [consumer], "ceph": {**CEPH, "pools": ["volumes", "ec", "b"]}}
    only(planned({"pool": "volumes", "data_pool": said}, api=api, **more)).apply()
    assert api.calls[0][1].get("details[0].rbd_default_data_pool") == sent


@pytest.mark.parametrize("order", [MONS, "10.0.0.2,10.0.0.3,10.0.0.1"])
@pytest.mark.parametrize("more", [{}, {"tags": ["ceph", "ssd"]}, {"data_pool": ""}])
def test_a_pool_that_is_as_declared_is_left_alone_whatever_the_order(order: str, more: dict[str, t.Any]) -> None:
    sheet = planned(more, rows=[{**ROW, "ipaddress": order}])
    assert (sheet.changes, sheet.problems, sheet.warnings) == ([], [], [])


def test_only_what_differs_is_changed() -> None:
    api = Api()
    row = {**ROW, "state": "Disabled", "storageaccessgroups": "x", "details": {"rbd_default_data_pool": "old", "a": "1"}}
    declared = {"consumer": "cs", "tags": ["ssd"], "access_groups": [], "data_pool": "", "details": {"a": 1, "b": 2}}
    change = only(planned(declared, rows=[row], api=api))
    assert change.before == {"enabled": False, "tags": ["ceph", "ssd"], "access_groups": ["x"], "data_pool": "old", "details": {"b": ""}}
    assert change.after == {"enabled": True, "tags": ["ssd"], "access_groups": [], "data_pool": "", "details": {"b": "2"}}
    change.apply()
    details = {"details[0].rbd_default_data_pool": "", "details[0].b": "2"}
    assert api.calls == [
        ("updateStoragePool", {"id": ROW["id"], "tags": "ssd", "enabled": True, **details}),
        ("configureStorageAccess", {"storageid": ROW["id"], "storageaccessgroups": ""}),
    ]


@pytest.mark.parametrize("state", ["Maintenance", "ErrorInMaintenance"])
def test_maintenance_is_somebody_s_intention(state: str) -> None:
    sheet = planned({}, rows=[{**ROW, "state": state}])
    assert (sheet.changes, sheet.problems) == ([], [])
    assert state in sheet.warnings[0]


def test_nothing_is_known_before_there_is_a_server() -> None:
    change = only(planned({}, empty=True, ceph={"mon_host": None, "keys": {}, "pools": None}))
    assert change.action == "create"
    assert "monitors" not in change.after


# -- removal


def test_a_pool_goes_by_maintenance_and_only_when_allow_loss() -> None:
    api = Api()
    change = only(planned({"state": "absent"}, rows=[ROW], api=api))
    assert Plan([change]).refusals()
    assert not Plan([change]).refusals(["primary_storage/z1/rbd"])
    change.apply()
    assert [command for command, _parameters in api.calls] == ["enableStorageMaintenance", "deleteStoragePool"]
    assert planned({"state": "absent"}).changes == []


@pytest.mark.parametrize(
    ("state", "commands"),
    [("Maintenance", ["deleteStoragePool"]), ("Disabled", ["updateStoragePool", "enableStorageMaintenance", "deleteStoragePool"])],
)
def test_an_interrupted_removal_goes_on(state: str, commands: list[str]) -> None:
    api = Api()
    only(planned({"state": "absent"}, rows=[{**ROW, "state": state}], api=api)).apply()
    assert [command for command, _parameters in api.calls] == commands


def test_a_pool_with_volumes_is_not_even_put_into_maintenance() -> None:
    api = Api(listVolumes=[{"name": "ROOT-1", "state": "Ready"}])
    change = only(planned({"state": "absent"}, rows=[ROW], api=api))
    with pytest.raises(RuntimeError, match=r"1 volumes are on it: ROOT-1 \(Ready\)"):
        change.apply()
    assert api.calls == []


# -- refusals


REFUSED: list[tuple[dict[str, t.Any], t.Sequence[t.Any], str]] = [
    ({"consumer": "none"}, [], "there is no consumer none"),
    ({"consumer": "kvm"}, [], "is of kind kvm"),
    ({"consumer": "two"}, [], r"has 2 pools \(a, b\)"),
    ({"consumer": "two", "pool": "c"}, [], "does not use the pool c, only a, b"),
    ({"consumer": "two", "pool": "a", "data_pool": "volumes"}, [], "may not use the data pool volumes"),
    ({"consumer": "reader"}, [], "may only read the pool volumes"),
    ({"zone": "z2"}, [], "there is no zone z2"),
    ({"scope": "cluster", "pod": "none", "cluster": "c1"}, [], "there is no pod none"),
    ({"scope": "cluster", "pod": "p1", "cluster": "none"}, [], "there is no cluster none"),
    ({"scope": "cluster", "pod": "p1", "cluster": "empty"}, [], "the cluster empty has no host"),
    ({}, [{**ROW, "path": "other"}], "registered with the Ceph pool other, and volumes is declared"),
    ({}, [{**ROW, "ipaddress": MONS + ",10.0.0.9"}], "monitors that are not the cluster's: 10.0.0.9"),
    ({}, [{**ROW, "scope": "CLUSTER"}], "changeStoragePoolScope"),
    ({}, [{**ROW, "hypervisor": "Simulator"}], "for hosts of type Simulator"),
    ({}, [{**ROW, "type": "NetworkFilesystem"}], "is of type NetworkFilesystem"),
    ({}, [{**ROW, "state": "Initialized"}], "never finished"),
    ({"name": "other"}, [ROW], "the Ceph pool volumes is registered as rbd in the zone z1 .* Declare it by that name"),
    ({"name": "other"}, [{**ROW, "ipaddress": "10.0.0.2,10.0.0.1"}], "registered as rbd"),
    ({"name": "other"}, [{**ROW, "zonename": "z9", "path": "/volumes"}], "registered as rbd in the zone z9"),
    ({}, [ROW, {**ROW, "id": "x", "name": "twin", "ipaddress": "10.0.0.3,10.0.0.2,10.0.0.1"}], "registered as twin in the zone z1, beside rbd"),
]


@pytest.mark.parametrize(("item", "rows", "said"), REFUSED, ids=[said[:40] for _item, _rows, said in REFUSED])
def test_what_cannot_be_is_refused(item: dict[str, t.Any], rows: t.Sequence[t.Any], said: str) -> None:
    sheet = planned(item, rows=rows)
    assert len(sheet.problems) == 1
    assert re.search(said, sheet.problems[0]), sheet.problems
    assert all(change.action != "update" for change in sheet.changes)


@pytest.mark.parametrize(
    ("ceph", "said"),
    [
        ({"mon_host": None}, "monitors are not known"),
        ({"mon_host": "10.0.0.1:1,10.0.0.2:2"}, "one port for all"),
        ({"keys": {}}, "Ceph has no client client.cs"),
        ({"keys": {"client.cs": None}}, "Ceph has no client client.cs"),
        ({"keys": {"client.cs": "not base64!"}}, "is no cephx key"),
        ({"pools": ["other"]}, "Ceph has no pool volumes"),
    ],
)
def test_what_ceph_lacks_is_refused(ceph: dict[str, t.Any], said: str) -> None:
    sheet = planned({}, ceph={**CEPH, **ceph})
    assert len(sheet.problems) == 1
    assert said in sheet.problems[0]
    assert "not base64" not in sheet.problems[0]


def test_a_pool_of_that_name_in_another_cluster_is_another_pool() -> None:
    assert only(planned({"name": "other"}, rows=[{**ROW, "ipaddress": "10.5.0.1"}])).action == "create"


def test_a_pool_that_goes_makes_room_for_its_new_name() -> None:
    sheet = planned({"name": "new"}, {"state": "absent"}, rows=[ROW])
    assert sheet.problems == []
    assert [[change.id for change in stage] for stage in Plan(sheet.changes).stages()] == [["primary_storage/z1/rbd"], ["primary_storage/z1/new"]]


def test_one_pool_declared_twice_is_refused() -> None:
    assert "is declared as rbd in the zone z1 too" in planned({}, {"name": "two"}).problems[0]


def test_monitors_that_were_added_are_a_warning() -> None:
    sheet = planned({}, rows=[{**ROW, "ipaddress": "10.0.0.1"}])
    assert (sheet.changes, sheet.problems) == ([], [])
    assert "and not 10.0.0.2, 10.0.0.3" in sheet.warnings[0]


def test_access_groups_on_an_old_server() -> None:
    sheet = planned({"access_groups": ["g"]}, api=Api(lacks={"storageaccessgroups"}))
    assert "4.21" in sheet.problems[0]


def test_the_server_s_silence_is_explained_without_the_key() -> None:
    api = Api(createStoragePool=ApiError("createStoragePool", 530, "Failed to add data store: Failed to access storage pool", "rbd"))
    with pytest.raises(RuntimeError, match=r"agent\.log") as caught:
        only(planned({}, api=api)).apply()
    assert "AQD" not in str(caught.value)


def test_a_server_that_was_just_started_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primary_storage, "_PAUSE", 0)
    no_host = ApiError("createStoragePool", 530, "No host up to associate a storage pool with in cluster", "rbd")
    api = Api(createStoragePool=[no_host, {"storagepool": {"id": "new-id"}}])
    only(planned({"scope": "cluster", "pod": "p1", "cluster": "c1"}, api=api)).apply()
    assert len(api.calls) == 2


# -- the declaration alone


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"consumer": None}, "consumer is missing"),
        ({"scope": "cluster"}, "needs pod and cluster"),
        ({"cluster": "c"}, "has neither pod nor cluster"),
        ({"pool": "a:b"}, "cannot carry 'a:b'"),
        ({"data_pool": "a/b"}, "cannot carry 'a/b'"),
        ({"tags": ["a,b"]}, "has a comma"),
        ({"access_groups": [" "]}, "is empty"),
        ({"details": {"rbd_default_data_pool": "x"}}, "is what data_pool says"),
    ],
)
def test_a_declaration_that_is_wrong_by_itself(item: dict[str, t.Any], said: str) -> None:
    (problem,) = primary_storage.problems([{**ITEM, **item}], "primary_storage")
    assert said in problem
    assert problem.startswith("primary_storage[0] (rbd)")


def test_all_problems_are_told() -> None:
    found = primary_storage.problems([{**ITEM, "consumer": None, "pool": "a:b"}, ITEM], "x")
    assert len(found) == 3
    assert primary_storage.problems([{**ITEM, "state": "absent", "consumer": None}], "x") == []


def test_what_hosts_must_have_is_returned() -> None:
    region = Region(None, {**LISTS, "storage_pools": [ROW]})
    (found,) = primary_storage.returned([ITEM], region)["primary_storage"]
    assert found["uuid"] == ROW["id"]
    assert found["monitors"] == MONS.split(",")


@pytest.mark.parametrize("shown", ["10.0.0.2, 10.0.0.1,10.0.0.3", "10.0.0.3,10.0.0.2,10.0.0.1"])
def test_monitors_in_another_order_are_the_same(shown: str) -> None:
    sheet = planned(ITEM, rows=[{**ROW, "ipaddress": shown}])
    assert (sheet.changes, sheet.problems, sheet.warnings) == ([], [], [])


@pytest.mark.parametrize("shown", ["[fd00::1],[fd00::2]", "[FD00:0::1],[fd00::2]", "fd00::1,fd00::2"])
def test_monitors_of_ipv6_in_another_spelling(shown: str) -> None:
    sheet = planned(ITEM, rows=[{**ROW, "ipaddress": shown}], ceph={**CEPH, "mon_host": "[fd00:0:0::2],[fd00::1]"})
    assert (sheet.changes, sheet.problems, sheet.warnings) == ([], [], [])


@pytest.mark.parametrize(
    ("declared", "shown"), [({"tags": [" ssd", "ceph", "ssd"]}, {}), ({"details": {"a": True, "b": 5}}, {"details": {"a": "true", "b": "5"}})]
)
def test_a_pool_in_the_server_s_words_is_no_change(declared: dict[str, t.Any], shown: dict[str, t.Any]) -> None:
    sheet = planned({**ITEM, **declared}, rows=[{**ROW, **shown}])
    assert (sheet.changes, sheet.problems) == ([], [])
