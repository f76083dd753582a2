# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest that proves CloudStack: what is asked of the API, what counts as proof, and that nothing stays, whatever fails."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import guest_disks
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import guest
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

UUID = "12345678-9abc-def0-1234-56789abcdef0"
ORDER = guest.Order("z1", "marker", "small", "l2", timeout=0)
IMAGE = "volumes/disk-path"


class Cloud:
    """As much of a server as a guest's life takes, and the disks that it makes.

    broken: commands that fail, with what they say.
    """

    def __init__(self, **broken: str) -> None:
        self.broken = broken
        self.guests: dict[str, dict[str, t.Any]] = {}
        self.snapshots: dict[str, dict[str, t.Any]] = {}
        self.images: dict[str, bytes] = {}
        self.saved: dict[str, bytes] = {}
        self.marker = _guest.expected_marker(UUID).ljust(512, b"\0")
        self.backups = "true"
        self.stores = [{"zoneid": "zone-id", "readonly": False}]
        self.places = ["Primary", "Image"]
        self.pooltype = "RBD"
        self.calls: list[str] = []

    def rows(self, command: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
        named = {"listZones": "z1", "listTemplates": "marker", "listServiceOfferings": "small", "listNetworks": "l2"}
        if command in named:
            return [{"id": {"listZones": "zone-id"}.get(command, command), "name": named[command], "isready": True, "allocationstate": "Enabled"}]
        if command == "listVirtualMachines":
            return [dict(row) for row in self.guests.values()]
        if command == "listSnapshots":
            return [{**row, "datastoretype": place} for row in self.snapshots.values() for place in self.places]
        return {
            "listVolumes": [{"id": "volume-id", "type": "ROOT", "path": "disk-path", "storageid": "pool-id", "storage": "rbd"}],
            "listStoragePools": [{"id": "pool-id", "name": "rbd", "type": self.pooltype, "path": "volumes"}],
            "listConfigurations": [{"name": guest.BACKUP_SETTING, "value": self.backups}],
            "listImageStores": self.stores,
        }[command]

    def job(self, command: str, **parameters: t.Any) -> dict[str, t.Any]:
        self.calls.append(command)
        if command == "deployVirtualMachine":
            self.guests["g"] = {"id": UUID, "name": parameters["name"], "state": "Running"}
            self.images[IMAGE] = self.marker
        if command == "createSnapshot":
            self.snapshots["s"] = {"id": "snapshot-id", "name": parameters["name"], "state": "BackedUp"}
            self.saved[IMAGE] = self.images[IMAGE]
        if command in self.broken:
            raise ApiError(command, 530, self.broken[command])
        if command == "stopVirtualMachine":
            assert parameters["forced"] is True
            self.guests["g"]["state"] = "Stopped"
        if command == "revertSnapshot":
            self.images[IMAGE] = self.saved[IMAGE]
        if command == "deleteSnapshot":
            self.snapshots.clear()
        if command in ("destroyVirtualMachine", "expungeVirtualMachine"):
            self.guests.clear()
            self.images.clear()
        return {
            "virtualmachine": {"id": UUID, "state": "Running", "pooltype": self.pooltype, "hostname": "k1"},
            "snapshot": {"id": "snapshot-id", "state": "BackedUp"},
        }

    # -- the disks

    def client(self, pool: str) -> str:
        return "client.cloudstack"

    def read(self, pool: str, image: str) -> t.Optional[bytes]:
        return self.images.get(f"{pool}/{image}")

    def wipe(self, pool: str, image: str) -> None:
        self.images[f"{pool}/{image}"] = bytes(512)

    def parent(self, pool: str, image: str) -> str:
        return "volumes/template@cloudstack-base-snap"

    @property
    def clean(self) -> bool:
        return not (self.guests or self.snapshots or self.images)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "_GONE_WITHIN", 0)
    monkeypatch.setattr(guest, "_PAUSE", 0)


def test_the_whole_way() -> None:
    cloud = Cloud()
    seen = guest.prove(cloud, cloud, ORDER)
    assert (seen["state"], seen["image"], seen["uuid"], seen["storage"]) == ("Running", IMAGE, UUID, "rbd")
    assert seen["marker"] == _guest.expected_marker(UUID).decode()
    assert seen["parent"].endswith("@cloudstack-base-snap")
    assert seen["snapshot"]["backed_up"]
    assert (seen["notes"], seen["leftovers"]) == ([], [])
    assert cloud.clean
    assert cloud.calls == [
        "deployVirtualMachine",
        "createSnapshot",
        "stopVirtualMachine",
        "revertSnapshot",
        "deleteSnapshot",
        "destroyVirtualMachine",
    ]


@pytest.mark.parametrize("command", ["deployVirtualMachine", "createSnapshot", "stopVirtualMachine", "revertSnapshot"])
def test_nothing_stays_whatever_fails(command: str) -> None:
    cloud = Cloud(**{command: "no"})
    with pytest.raises((ApiError, guest.ProofFailed), match=f"{command}: 530: no"):
        guest.prove(cloud, cloud, ORDER)
    assert cloud.clean


def test_a_guest_that_writes_nothing_proves_nothing() -> None:
    cloud = Cloud()
    cloud.marker = b"cephstack-guest of somebody else".ljust(512, b"\0")
    with pytest.raises(guest.ProofFailed, match=r"did not write its marker .* found cephstack-guest of somebody else; CloudStack says that it is Running"):
        guest.prove(cloud, cloud, ORDER)
    assert cloud.clean


def test_a_disk_elsewhere_proves_nothing() -> None:
    cloud = Cloud()
    cloud.pooltype = "NetworkFilesystem"
    with pytest.raises(guest.ProofFailed, match="not on RBD"):
        guest.prove(cloud, cloud, ORDER)
    assert not cloud.guests


def test_a_snapshot_that_stays_on_ceph_where_it_was_to_be_backed_up() -> None:
    cloud = Cloud()
    cloud.places = ["Primary"]
    with pytest.raises(guest.ProofFailed, match="says that it is on primary"):
        guest.prove(cloud, cloud, ORDER)
    assert cloud.clean
    cloud.backups = "false"
    assert guest.prove(cloud, cloud, ORDER)["snapshot"]["backed_up"] is False


def test_a_zone_without_secondary_storage_takes_no_snapshot() -> None:
    cloud = Cloud()
    cloud.stores = [{"zoneid": "another", "readonly": False}]
    seen = guest.prove(cloud, cloud, ORDER)
    assert seen["snapshot"] is None
    assert "no image store" in seen["notes"][0]
    assert "createSnapshot" not in cloud.calls


def test_a_revert_that_does_nothing_is_found() -> None:
    cloud = Cloud()
    cloud.saved = type("Nothing", (dict,), {"__setitem__": lambda self, key, value: dict.__setitem__(self, key, bytes(512))})()
    with pytest.raises(guest.ProofFailed, match="the marker is not on"):
        guest.prove(cloud, cloud, ORDER)
    assert cloud.clean


@pytest.mark.parametrize("state", ["Running", "Stopped", "Error", "Destroyed"])
def test_what_a_killed_run_left_is_removed_first(state: str) -> None:
    cloud = Cloud()
    cloud.guests["g"] = {"id": "old", "name": guest.PREFIX + "old", "state": state}
    cloud.snapshots["s"] = {"id": "old-snapshot", "name": guest.PREFIX + "old", "state": "BackedUp"}
    seen = guest.prove(cloud, cloud, ORDER)
    assert seen["leftovers"] == [guest.PREFIX + "old"]
    removal = cloud.calls[: cloud.calls.index("deployVirtualMachine")]
    assert removal[0] == "deleteSnapshot"
    assert removal[-1] == ("expungeVirtualMachine" if state == "Destroyed" else "destroyVirtualMachine")
    assert ("stopVirtualMachine" in removal) == (state == "Running")


def test_other_guests_are_never_touched() -> None:
    cloud = Cloud()
    cloud.guests["other"] = {"id": "other", "name": "web1", "state": "Running"}
    cloud.job = lambda command, **parameters: pytest.fail(command)  # type: ignore[method-assign]
    assert guest._sweep(cloud, "zone-id", []) == []


def test_what_cannot_be_removed_is_told_beside_the_first_error() -> None:
    cloud = Cloud(createSnapshot="first", destroyVirtualMachine="second")
    with pytest.raises(guest.ProofFailed, match=r"first; and then: the guest cephstack-probe-.*second"):
        guest.prove(cloud, cloud, ORDER)


def test_a_backup_that_only_a_system_machine_can_delete_is_a_note() -> None:
    cloud = Cloud(deleteSnapshot="No remote endpoint to send command, check if host or ssvm is down?")
    seen = guest.prove(cloud, cloud, ORDER)
    assert "no secondary-storage virtual machine" in seen["notes"][0]


def test_an_image_that_stays_is_found() -> None:
    cloud = Cloud()
    cloud.images = type("Sticky", (dict,), {"clear": lambda self: None})()
    with pytest.raises(guest.ProofFailed, match="is gone, but its image volumes/disk-path is still there"):
        guest.prove(cloud, cloud, ORDER)


def test_names_that_are_not_there_are_told_together() -> None:
    cloud = Cloud()
    with pytest.raises(Invalid) as caught:
        guest.prove(cloud, cloud, guest.Order("z1", "a", "b", "c"))
    assert caught.value.problems == ["z1: there is no template a", "z1: there is no service offering b", "z1: there is no network c"]
    guests, problems = guest.prove_all(cloud, cloud, [guest.Order("nowhere", "a", "b", "c"), ORDER])
    assert problems == ["nowhere: there is no zone nowhere"]
    assert [one["zone"] for one in guests] == ["z1"]


def test_the_consumer_that_has_the_pool_reads_the_disk() -> None:
    consumers = [{"name": "cs", "kind": "cloudstack", "pools": [{"name": "volumes"}]}, {"name": "kvm", "kind": "kvm", "pools": [{"name": "vms"}]}]
    disks = guest_disks.GuestDisks("10.0.0.1", consumers, {}, ["cloudstack"])
    assert disks.client("volumes") == "client.cs"
    with pytest.raises(guest.ProofFailed, match="no consumer of kind cloudstack"):
        disks.client("vms")
