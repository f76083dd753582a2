# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offerings: planned from lists as a server gave them."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import offerings
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region

# As listDiskOfferings and listServiceOfferings of 4.22 give them.
DISK = {
    "id": "d1", "name": "fast", "state": "Active", "displaytext": "fast", "disksize": 5, "iscustomized": False, "tags": "ssd,ceph", "storagetype": "shared",
    "provisioningtype": "thin", "displayoffering": True, "disksizestrictness": False, "encrypt": False, "diskIopsReadRate": 100,
}  # fmt: skip
SERVICE = {
    "id": "s1", "name": "small", "state": "Active", "displaytext": "small", "cpunumber": 1, "cpuspeed": 500, "memory": 128, "storagetype": "shared",
    "provisioningtype": "thin", "offerha": False, "limitcpuuse": False, "isvolatile": False, "storagetags": "ceph", "iscustomized": False, "rootdisksize": 0,
    "dynamicscalingenabled": True, "diskofferingid": "d9", "encryptroot": False,
}  # fmt: skip
POOL = {"id": "p1", "name": "rbd", "zonename": "z1", "tags": "ceph,ssd"}


class Calls:
    """Keeps what a plan would send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, t.Any]]] = []

    def call(self, command: str, **params: t.Any) -> dict[str, t.Any]:
        self.sent.append((command, params))
        return {"offering": {"id": "new", "name": params.get("name")}}


def complete(options: dict[str, t.Any], item: dict[str, t.Any]) -> dict[str, t.Any]:
    """An item as the argument spec gives it."""
    assert not set(item) - set(options)
    return {name: item.get(name, option.get("default")) for name, option in options.items()}


def planned(item: dict[str, t.Any], service: bool = False, lists: t.Optional[dict[str, t.Any]] = None, **declaration: t.Any) -> tuple[Draft, Calls]:
    calls = Calls()
    existing = {"zones": [{"id": "1", "name": "z1"}], "storage_pools": [POOL], "disk_offerings": [DISK], "service_offerings": [SERVICE], **(lists or {})}
    sheet = Draft(declaration)
    region = Region(calls, existing)
    options = offerings.SERVICE_OPTIONS if service else offerings.DISK_OPTIONS
    plan = offerings.plan_service if service else offerings.plan_disk
    plan([complete(options, item)], region, sheet)
    sheet.problems += region.duplicates
    return sheet, calls


def test_what_is_as_declared_needs_nothing() -> None:
    sheet, _calls = planned({"name": "fast", "size": 5, "tags": ["ceph", "ssd"], "read_iops": 100, "write_iops": 0})
    assert not sheet.changes and not sheet.problems
    sheet, _calls = planned({"name": "small", "cpu_number": 1, "cpu_speed": 500, "memory": 128, "tags": ["ceph"]}, service=True)
    assert not sheet.changes and not sheet.problems


def test_what_is_left_out_is_left_alone() -> None:
    sheet, _calls = planned({"name": "fast", "size": 5})
    assert not sheet.changes and not sheet.problems


def test_a_new_one() -> None:
    sheet, calls = planned({"name": "new", "tags": ["ssd", "ceph"], "zones": ["z1"], "read_iops": 0})
    (change,) = sheet.changes
    assert (change.id, change.action, change.needs) == ("disk_offering/new", "create", frozenset({"zone/z1"}))
    change.apply()
    sent = {"name": "new", "displaytext": "new", "storagetype": "shared", "tags": ["ceph", "ssd"], "zoneid": ["1"], "customized": True}
    assert calls.sent == [("createDiskOffering", sent)]


def test_an_update_says_only_what_differs() -> None:
    sheet, calls = planned({"name": "fast", "size": 5, "tags": ["ceph"], "read_iops": 200, "visible": False})
    (change,) = sheet.changes
    assert change.before == {"tags": ["ceph", "ssd"], "read_iops": 100, "visible": True}
    assert change.after == {"tags": ["ceph"], "read_iops": 200, "visible": False}
    change.apply()
    assert calls.sent == [("updateDiskOffering", {"id": "d1", "tags": ["ceph"], "iopsreadrate": 200, "displayoffering": False})]


def test_the_volumes_of_a_service_offering_are_its_disk_offering_s() -> None:
    """updateServiceOffering would change the tags, and say that it failed."""
    sheet, calls = planned({"name": "small", "cpu_number": 1, "cpu_speed": 500, "memory": 128, "tags": ["ssd"], "host_tags": ["a"]}, service=True)
    sheet.changes[0].apply()
    assert calls.sent == [("updateServiceOffering", {"id": "s1", "hosttags": ["a"]}), ("updateDiskOffering", {"id": "d9", "tags": ["ssd"]})]


@pytest.mark.parametrize(
    ("item", "service", "said"),
    [
        ({"name": "fast", "size": 6}, False, "size is 5, and 6 is declared"),
        ({"name": "fast"}, False, "the size it has would become the choice of the user"),
        ({"name": "fast", "size": 5, "read_iops": 0}, False, r"read_iops is limited to 100, and no limit \(0\) is declared"),
        ({"name": "fast", "size": 5, "storage": "local"}, False, "storage is shared, and local is declared"),
        ({"name": "small", "cpu_number": 2, "cpu_speed": 500, "memory": 128}, True, "cpu_number is 1, and 2 is declared"),
        ({"name": "small"}, True, "the CPU and memory it has would become the choice of the user"),
        ({"name": "small", "cpu_number": 1, "cpu_speed": 500, "memory": 128, "details": {"a": True}}, True, "details: a is not there, and true is declared"),
    ],
)
def test_what_cannot_be_changed_is_refused(item: dict[str, t.Any], service: bool, said: str) -> None:
    sheet, _calls = planned(item, service)
    (problem,) = sheet.problems
    assert not sheet.changes
    assert re.search(said, problem) and "declare an offering of another name" in problem


def test_two_existing_ones_of_a_name_are_an_error_with_their_ids() -> None:
    sheet, _calls = planned({"name": "fast", "size": 5}, lists={"disk_offerings": [DISK, {**DISK, "id": "d2"}]})
    assert sheet.problems == ["disk offerings: there are 2 of the name fast (d1, d2): delete or rename all but one, then run again"]


def test_tags_that_no_storage_has() -> None:
    sheet, _calls = planned({"name": "new", "tags": ["ssd", "gold"]})
    assert sheet.problems == [
        "disk_offerings[0] (new): no primary storage has all of the tags gold, ssd (there are: ceph, ssd): "
        "tag one (primary_storage[].tags), or correct the offering's tags"
    ]
    # Two pools that have one each are no pool that has both.
    halves = [{**POOL, "tags": "gold"}, {**POOL, "id": "p2", "name": "other", "tags": "ssd"}]
    assert planned({"name": "new", "tags": ["ssd", "gold"]}, lists={"storage_pools": halves})[0].problems
    assert not planned({"name": "new", "tags": ["gold"]}, lists={"storage_pools": halves})[0].problems


def test_tags_count_as_they_will_be() -> None:
    """A pool that is declared with the tag, one whose tags change, one that goes, and one in another zone."""
    gold = {"name": "rbd2", "zone": "z1", "state": "present", "tags": ["gold"]}
    assert not planned({"name": "new", "tags": ["gold"]}, primary_storage=[gold])[0].problems
    assert planned({"name": "new", "tags": ["ceph"]}, primary_storage=[{**gold, "name": "rbd"}])[0].problems
    assert planned({"name": "new", "tags": ["ceph"]}, primary_storage=[{**gold, "name": "rbd", "state": "absent"}])[0].problems
    assert not planned({"name": "new", "tags": ["ceph"]}, primary_storage=[{**gold, "name": "rbd", "tags": None}])[0].problems
    elsewhere = {"storage_pools": [{**POOL, "zonename": "z2"}]}
    assert planned({"name": "new", "tags": ["ceph"], "zones": ["z1"]}, lists=elsewhere)[0].problems
    assert not planned({"name": "new", "tags": ["any"]}, lists={"storage_pools": [{**POOL, "tags": "x", "istagarule": True}]})[0].problems
    assert not planned({"name": "new", "tags": ["nowhere"], "storage": "local"})[0].problems


def test_a_zone_that_is_not_there() -> None:
    assert planned({"name": "new", "zones": ["z9"]})[0].problems == ["disk_offerings[0] (new): zones: there is no zone z9"]
    assert not planned({"name": "new", "zones": ["z9"]}, zones=[{"name": "z9"}])[0].problems


def test_one_that_goes() -> None:
    sheet, calls = planned({"name": "fast", "state": "absent"})
    assert [(change.id, change.action, change.risk.value) for change in sheet.changes] == [("disk_offering/fast", "delete", "none")]
    sheet.changes[0].apply()
    assert calls.sent == [("deleteDiskOffering", {"id": "d1"})]
    assert not planned({"name": "gone", "state": "absent"})[0].changes


def test_all_that_is_wrong_is_said_at_once() -> None:
    disks = [
        complete(offerings.DISK_OPTIONS, {"name": "a", "size": 0, "display_text": "", "tags": ["x,y"]}),
        complete(offerings.DISK_OPTIONS, {"name": "a", "read_iops": -1, "zones": []}),
    ]
    found = offerings.disk_problems(disks, "disk_offerings")
    assert [text.split(": ", 1)[1].split(":")[0] for text in found] == [
        "display_text is empty", "tags", "size is 0", "the name is declared twice", "read_iops is negative", "zones is empty",
    ]  # fmt: skip
    services = [{"name": "b", "memory": 3}, {"name": "c", "min_memory": 6, "max_memory": 3}, {"name": "d", "cpu_number": 1, "memory": 64, "max_memory": 9}]
    text = "\n".join(offerings.service_problems([complete(offerings.SERVICE_OPTIONS, item) for item in services], "service_offerings"))
    for said in ("memory is given alone", "cpu_speed is missing", "takes 32 at least", "min_memory is more than max_memory", "only where cpu_number"):
        assert said in text
    fine = [{"name": "b", "cpu_number": 1, "cpu_speed": 100, "memory": 64}, {"name": "c"}, {"name": "d", "state": "absent"}]
    assert offerings.service_problems([complete(offerings.SERVICE_OPTIONS, item) for item in fine], "service_offerings") == []


@pytest.mark.parametrize(
    ("item", "row"),
    [
        ({"tags": [" ssd", "ceph", "ssd "]}, {}),
        ({"tags": ["ssd", "ceph"]}, {"tags": "ceph, ssd,"}),
        ({"read_iops": 100}, {"diskIopsReadRate": "100"}),
        ({"write_iops": 0}, {"diskIopsWriteRate": None}),
        ({"visible": True}, {"displayoffering": "true"}),
    ],
)
def test_the_server_s_words_are_no_change(item: dict[str, t.Any], row: dict[str, t.Any]) -> None:
    sheet, _calls = planned({"name": "fast", "size": 5, **item}, lists={"disk_offerings": [{**DISK, **row}]})
    assert (sheet.changes, sheet.problems) == ([], [])
