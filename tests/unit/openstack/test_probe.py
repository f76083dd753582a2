# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of an OpenStack: what counts as one, the reasons where it fails, and that nothing stays, whatever fails."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.filter.verify_report import verify_report
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import guest_probe, probe, probe_run, services, volume_probe
from ansible_collections.cephstack.cloud.tests.unit.openstack.cloud import CONSUMERS, FSID, GUESTS, VOLUMES, Cloud, disks_of, params, plain


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look is enough: what is not so at once in this cloud never is."""
    monkeypatch.setattr(probe_run, "_GONE_WITHIN", 0)
    monkeypatch.setattr(probe_run, "_PAUSE", 0)
    monkeypatch.setattr(guest_probe, "_PAUSE", 0)


def prove(cloud: Cloud, **given: t.Any) -> tuple[dict[str, t.Any], list[str]]:
    wanted = params(**given)
    plan, problems = probe.observe(cloud, wanted)
    if problems:
        return {}, problems
    found, problems = probe._prove(cloud, disks_of(cloud), wanted, plan)
    assert cloud.names() == []
    return found, [plain(text) for text in problems]


# -- what is proven


def test_a_guest_from_an_image_and_one_from_a_volume() -> None:
    cloud = Cloud()
    found, problems = prove(cloud, guests=GUESTS)
    assert problems == []
    first, second = found["guests"]
    assert (first["from"], second["from"]) == ("image", "volume")
    assert first["image"] == f"vms/{first['uuid']}_disk" and second["image"] == f"volumes/volume-{second['volume']}"
    assert first["parent"] == second["parent"] == "images/glance-id@snap"
    for guest in found["guests"]:
        assert guest["marker"] == f"cephstack-guest {guest['uuid'].replace('-', '').upper()}"
    assert first["snapshot"]["image"].startswith("images/")
    assert found["notes"] == ["live migration is not proven: beside k1 there is no other compute host that is up and of its kind"]
    assert list(cloud.rbd) == [("images", "glance-id")]


def test_each_type_s_volume_with_a_snapshot_and_one_backup() -> None:
    cloud = Cloud()
    found, problems = prove(cloud, volumes=VOLUMES)
    assert problems == []
    assert [(one["type"], one["image"].split("/")[0], bool(one["backup"])) for one in found["volumes"]] == [
        ("volumes", "volumes", True),
        ("fast", "fast", False),
    ]
    assert all(one["snapshot"]["snapshot"].startswith(f"{one['image']}@snapshot-") for one in found["volumes"])
    assert list(cloud.rbd) == [("images", "glance-id")]


def test_a_guest_moves_where_two_hosts_can_take_it() -> None:
    cloud = Cloud()
    cloud.services.append(cloud.service("nova-compute", "k2"))
    found, problems = prove(cloud, guests={**GUESTS, "volume": False, "snapshot": False})
    assert problems == [] and found["notes"] == []
    assert {**found["guests"][0]["migration"], "seconds": 0} == {"from": "k1", "to": "k2", "seconds": 0}


def test_why_a_guest_does_not_move() -> None:
    cloud = Cloud()
    cloud.services.append(cloud.service("nova-compute", "k2"))
    cloud.migrations = [{"status": "error"}]
    cloud.events = [{"event": "compute_live_migration", "host": "k1", "result": "Error", "traceback": "Traceback\n  x\nlibvirtError: no route to k2"}]
    _found, problems = prove(cloud, guests={**GUESTS, "volume": False, "snapshot": False})
    assert problems == [
        "a guest from an image: the guest PROBE-image did not move from k1 to k2: it was scheduled to k1; "
        "compute_live_migration on k1: libvirtError: no route to k2"
    ]


def test_what_was_proven_is_said_in_a_few_lines() -> None:
    cloud = Cloud()
    cloud.services.append(cloud.service("nova-compute", "k2"))
    found, _none = prove(cloud, guests=GUESTS, volumes=VOLUMES)
    lines = verify_report({**found, "objects": [{"url": "http://g:8080/swift", "latency": {"put": 1.5}}]})
    parts = ("guest from image on k1", "and it became the image images/", "and it moved from k1 to k2", "guest from volume on k1", "volume of the type volumes")
    for line, part in zip(lines, (*parts, "volume of the type fast", "a project of its own at http://g:8080/swift: put 1.5 ms")):
        assert line.startswith(part)
    assert len(lines) == 7


# -- what is wrong before anything is made


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ({"disk_format": "qcow2"}, "the image marker is qcow2, which is copied, never cloned: convert it"),
        ({"status": "queued"}, "the image marker is queued, not active"),
        ({"direct_url": None}, "Glance does not say where the image marker is in RBD"),
        ({"direct_url": "file:///var/lib/glance/images/x"}, "Glance does not say where the image marker is in RBD"),
        ({"name": "other"}, "there is no image marker"),
    ],
    ids=["qcow2", "queued", "no place", "in a file", "not there"],
)
def test_an_image_that_cannot_be_cloned(image: dict[str, t.Any], said: str) -> None:
    cloud = Cloud()
    cloud.tables["images"]["glance-id"].update(image)
    _found, problems = prove(cloud, guests=GUESTS)
    assert len(problems) == 1 and problems[0].startswith(f"guests: {said}")
    assert not any(call.startswith("POST") for call in cloud.calls)


def test_all_names_that_mean_nothing_or_two_things_are_said() -> None:
    cloud = Cloud()
    cloud.networks.append({"id": "n2", "name": "flat"})
    cloud.broken["object-store"] = "Keystone's catalogue has no service object-store in the region r"
    _found, problems = prove(cloud, guests={**GUESTS, "flavor": "none"}, volumes={**VOLUMES, "types": ["slow"]}, objects={"role": "member"})
    assert problems == [
        "guests: there is no flavor none",
        "guests: there are 2 networks flat (n, n2): give them names of their own",
        "volumes: there is no volume type slow",
        "objects: Keystone's catalogue has no service object-store in the region r",
    ]


def test_a_flavor_too_small_for_the_image() -> None:
    cloud = Cloud()
    cloud.flavors[0]["disk"] = 1
    cloud.tables["images"]["glance-id"]["size"] = (1 << 30) + 1
    assert prove(cloud, guests=GUESTS)[1] == ["guests: the flavor small has a disk of 1 GiB, and the image marker needs 2"]


def test_a_default_type_that_is_not_there_is_needed_by_a_guest_without_one() -> None:
    cloud = Cloud()
    cloud.broken["GET /types/default"] = "default volume type volumes cannot be found"
    (problem,) = prove(cloud, guests=GUESTS)[1]
    assert problem.startswith("guests: Cinder has no default volume type") and problem.endswith("volumes cannot be found")
    assert prove(cloud, guests={**GUESTS, "volume_type": "fast"})[1] == []


def test_what_is_down_is_named() -> None:
    cloud = Cloud()
    cloud.services[0]["state"] = "down"
    cloud.agents[0]["alive"] = False
    cloud.volume_services = cloud.volume_services[:1]
    cloud.clock = -90.4
    _found, problems = prove(cloud, guests=GUESTS, volumes=VOLUMES)
    assert [problem.partition(":")[0] for problem in problems] == [
        "the clock of Keystone's host is 90 s behind this host's, so that tokens are refused",
        "nova-compute on k1 is down, last heard of at 2026-01-01T00",
        "neutron-openvswitch-agent on k1 is down, last heard of at T UTC",
        "guests",
        "volumes",
    ]
    cloud.services[0]["status"] = "disabled"  # on purpose
    assert not any(text.startswith("nova-compute") for text in services.problems(services.read(cloud)))


def test_what_a_proof_rests_on() -> None:
    """Is the same once more, and another one if anything of it is."""
    bases = []
    for change in (
        lambda _cloud: None,
        lambda _cloud: None,
        lambda cloud: cloud.tables["images"]["glance-id"].update(checksum="d"),
        lambda cloud: cloud.services.append(cloud.service("nova-compute", "k2")),
        lambda cloud: cloud.volume_types.pop(1),
        lambda cloud: cloud.flavors[0].update(ram=128),
    ):
        cloud = Cloud()
        change(cloud)
        bases.append(str(probe.observe(cloud, params(guests=GUESTS, volumes=VOLUMES))[0].basis))
    assert bases[0] == bases[1] and len(set(bases)) == 5


# -- what fails midway


def test_a_compute_host_without_the_secret() -> None:
    cloud = Cloud()
    cloud.becomes["servers"] = "ERROR"
    uuid = secret_uuid(FSID, "client.nova")
    cloud.events = [{"event": "compute__do_build_and_run_instance", "host": "k1", "result": "Error", "traceback": f"x\nno secret with matching uuid '{uuid}'"}]
    _found, problems = prove(cloud, guests={**GUESTS, "volume": False})
    assert len(problems) == 1
    assert f"the compute host k1 does not have the libvirt secret {uuid} with the key of client.nova: run the role kvm_host for it" in problems[0]
    assert "No valid host was found.; it was scheduled to k1; compute__do_build_and_run_instance on k1: no secret with matching uuid" in problems[0]


@pytest.mark.parametrize("kind", ["image", "volume"])
def test_a_copy_is_no_clone(kind: str) -> None:
    cloud = Cloud()
    cloud.clones = False
    _found, problems = prove(cloud, guests=GUESTS)
    assert any(text.startswith(f"a guest from {'an' if kind == 'image' else 'a'} {kind}: the disk ") and "is a whole copy" in text for text in problems)


def test_a_guest_that_writes_nothing() -> None:
    cloud = Cloud()
    cloud.writes = False
    _found, problems = prove(cloud, guests={**GUESTS, "volume": False})
    assert len(problems) == 1 and problems[0].endswith("within 0.1 s: found nothing; OpenStack says that it is ACTIVE on k1")


def test_a_disk_that_is_not_in_ceph() -> None:
    cloud = Cloud()
    cloud.find = lambda kind, image: None  # type: ignore[method-assign]
    _found, problems = prove(cloud, guests={**GUESTS, "volume": False})
    assert len(problems) == 1 and "is not in the Ceph pools vms, images: is images_type of nova-compute there rbd" in problems[0]


def test_a_snapshot_that_nova_gives_up() -> None:
    """It removes the image, and says why in what it remembers of the guest."""
    cloud = Cloud()
    act = cloud._act
    cloud._act = lambda identity, body: cloud._delete("images", act(identity, body)["image_id"]) or {"image_id": "gone"}  # type: ignore[method-assign]
    cloud.events = [{"event": "compute_snapshot_instance", "host": "k1", "result": "Error", "traceback": "x\nPermissionError: on images"}]
    _found, problems = prove(cloud, guests={**GUESTS, "volume": False})
    assert problems == [
        "a guest from an image: the snapshot of the guest PROBE-image is gone again: compute_snapshot_instance on k1: PermissionError: on images; "
        "the key of the service's cephx client has no rights there"
    ]


def test_a_volume_in_error_says_what_cinder_tells_and_what_is_down() -> None:
    cloud = Cloud()
    cloud.becomes["volumes"] = "error"
    cloud.messages = ["schedule allocate volume: Could not find any available weighted backend. No valid backend was found."]
    wanted = params(volumes={**VOLUMES, "types": ["fast"]})
    plan, _none = probe.observe(cloud, wanted)
    cloud.volume_services[0]["state"] = "down"
    _found, problems = probe._prove(cloud, disks_of(cloud), wanted, plan)
    assert len(problems) == 1
    for part in (
        "the volume PROBE-fast of the type fast is in the status error",
        "allocate volume",
        "no backend of Cinder takes it",
        "cinder-volume on c1@volumes is down",
    ):
        assert part in plain(problems[0])
    assert cloud.names() == []


def test_a_volume_in_another_pool_than_its_backend_s() -> None:
    cloud = Cloud()
    cloud.backend["fast"] = "volumes"
    _found, problems = prove(cloud, volumes={**VOLUMES, "backup": False})
    assert problems == [
        "a volume of the type fast: a volume of the type fast is in the pool volumes, not in that of its backend fast: see rbd_pool in cinder.conf"
    ]


def test_a_snapshot_that_is_not_what_was_written() -> None:
    cloud = Cloud()
    cloud.saved = dict.fromkeys([("", "", "")], b"")
    cloud._snapshot = lambda given: cloud.add("snapshots", given["name"])  # type: ignore[method-assign]
    _found, problems = prove(cloud, volumes={**VOLUMES, "types": ["fast"]})
    assert len(problems) == 1 and problems[0].endswith("is not in Ceph")


def test_what_an_api_refuses_keeps_no_other_from_being_proven() -> None:
    cloud = Cloud()
    cloud.broken["POST /servers"] = "POST compute /servers: Quota exceeded for cores (HTTP 403)"
    found, problems = prove(cloud, guests={**GUESTS, "volume": False}, volumes=VOLUMES)
    assert problems == ["a guest from an image: POST compute /servers: Quota exceeded for cores (HTTP 403)"]
    assert len(found["volumes"]) == 2 and found["guests"] == []


def test_glance_in_another_cluster() -> None:
    cloud = Cloud()
    cloud.cluster = "99999999-2222-3333-4444-555555555555"
    _found, problems = prove(cloud, guests=GUESTS)
    assert problems == [
        f"guests: Glance's image is in the Ceph cluster {FSID}, and the consumers' pools are in {cloud.cluster}: "
        "clouds.yaml is of another OpenStack, or Glance uses another cluster"
    ]
    assert not any(call.startswith("POST") for call in cloud.calls)


# -- what is removed


def test_what_a_killed_run_left_is_removed_first_and_nothing_else() -> None:
    cloud = Cloud()
    for table in ("servers", "volumes", "snapshots", "backups", "images"):
        cloud.add(table, f"{probe_run.PREFIX}0-{table}")
        cloud.add(table, f"somebody's {probe_run.PREFIX}0")
    wanted = params(volumes={**VOLUMES, "types": ["fast"]})
    found, problems = probe._prove(cloud, disks_of(cloud), wanted, probe.observe(cloud, wanted)[0])
    assert problems == []
    assert found["leftovers"] == [f"{probe_run.PREFIX}0-{table}" for table in ("backups", "images", "servers", "snapshots", "volumes")]
    assert cloud.names() == [f"somebody's {probe_run.PREFIX}0"] * 5


def test_nothing_is_proven_while_something_of_an_earlier_run_stays() -> None:
    cloud = Cloud()
    cloud.add("volumes", f"{probe_run.PREFIX}0", "v", status="creating")
    wanted = params(volumes=VOLUMES)
    found, problems = probe._prove(cloud, disks_of(cloud), wanted, probe.observe(cloud, wanted)[0])
    assert problems == ["of an earlier proof that was ended: the volume cephstack-probe-0 (v) cannot be removed: it is still creating"]
    assert found["volumes"] == [] and cloud.names() == [f"{probe_run.PREFIX}0"]


def test_a_volume_that_could_not_be_removed_is_removed_by_force() -> None:
    cloud = Cloud()
    cloud.add("volumes", f"{probe_run.PREFIX}0", "v", status="error_deleting")
    assert probe_run.remove(cloud, probe_run.PREFIX, 0.1) == ([f"{probe_run.PREFIX}0"], [])
    assert "POST /volumes/v/action" in cloud.calls


def test_what_stays_is_said_with_the_reason() -> None:
    cloud = Cloud()
    cloud.add("servers", f"{probe_run.PREFIX}0", "s")
    cloud.broken["DELETE /servers"] = "DELETE compute /servers/s: locked (HTTP 409)"
    names, left = probe_run.remove(cloud, probe_run.PREFIX, 0.1)
    assert names == [f"{probe_run.PREFIX}0"]
    assert left == ["the guest cephstack-probe-0 (s) cannot be removed: DELETE compute /servers/s: locked (HTTP 409)"]


def test_an_image_that_stays_in_ceph_is_said() -> None:
    cloud = Cloud()
    cloud._delete = lambda table, identity: cloud.tables[table].pop(identity)  # type: ignore[method-assign]
    _found, problems = prove(cloud, volumes={**VOLUMES, "types": ["fast"], "backup": False})
    assert len(problems) == 1 and problems[0].endswith("is still in Ceph, although OpenStack says that it is removed")


# -- small things


@pytest.mark.parametrize(
    ("row", "size"),
    [
        ({"size": 1}, 1),
        ({"size": 1 << 30}, 1),
        ({"size": (1 << 30) + 1}, 2),
        ({"size": 1, "virtual_size": 3 << 30}, 3),
        ({"size": 1, "min_disk": 5}, 5),
        ({}, 1),
    ],
)
def test_how_large_a_volume_of_an_image_is(row: dict[str, t.Any], size: int) -> None:
    assert guest_probe.gibibytes(row) == size


@pytest.mark.parametrize(
    ("options", "consumers", "expected"),
    [({"backup": None}, CONSUMERS, True), ({"backup": None}, CONSUMERS[:2], False), ({"backup": False}, CONSUMERS, False), ({"backup": True}, [], True)],
)
def test_whether_something_is_backed_up(options: dict[str, t.Any], consumers: list[dict[str, t.Any]], expected: bool) -> None:
    assert volume_probe.backs_up(options, consumers) is expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Secret not found: no secret with matching uuid '12345678-1234-1234-1234-123456789abc'", "which belongs to no declared consumer"),
        ("rbd.PermissionError: [errno 1] RBD permission error (error opening image)", "the key of the service's cephx client has no rights there"),
        ("[errno 2] RBD image not found: error opening pool 'vms'", "the Ceph pool of the service is not there"),
        ("nova.exception.ImageNotAuthorized: Not authorized for image 1.", "Glance does not let Nova say where in RBD the image is"),
        ("Binding failed for port 1234", "no Neutron agent of the host binds ports of this network"),
        ("No valid host was found.", "no compute host takes it"),
    ],
)
def test_what_errors_mean(text: str, part: str) -> None:
    assert any(part in one for one in services.meaning(text, {}))
    assert services.meaning("all is well", {}) == []
