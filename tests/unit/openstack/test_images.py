# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of Glance: what a file is, what is sent of it, and what is planned for what is there."""

from __future__ import annotations

import gzip
import hashlib
import pathlib
import types
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import catalogue, images
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import Cloud
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments
from ansible_collections.cephstack.cloud.tests.unit.declaring import filled

DISK = bytearray(1 << 20)
DISK[510:512], DISK[70000:70004] = b"\x55\xaa", b"mark"
ACTIVE = {"id": "i1", "name": "debian", "status": "active", "visibility": "public", "min_disk": 0}


@pytest.fixture
def disk(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "debian.raw"
    path.write_bytes(DISK)
    return path


def planned(item: dict[str, t.Any], *rows: dict[str, t.Any]) -> Plan:
    """The plan, after what the host's files say."""
    declaration = filled(arguments(catalogue.OPTIONS), {"images": [{"name": "debian", **item}]})
    cloud, draft = Cloud(None, {"images": rows, "roles": []}), Draft(declaration)
    for ask in images.settle(declaration["images"], cloud, draft):
        ask()
    cloud.problems += draft.problems
    return catalogue.plan(declaration, cloud)


def stamp(path: pathlib.Path) -> str:
    return f"{path.stat().st_size} bytes of {path.stat().st_mtime_ns}"


def test_what_is_sent_is_what_a_guest_sees(tmp_path: pathlib.Path, disk: pathlib.Path) -> None:
    with disk.open("r+b") as file:
        file.truncate((1 << 20) + 100)  # no whole number of sectors, and a hole at its end
    content = images._Content(str(disk))
    read = b"".join(iter(lambda: content.read(8192), b""))
    assert len(content) == len(read) == (1 << 20) + 512
    assert read == bytes(DISK) + bytes(512)
    assert images._digest(str(disk)) == hashlib.sha512(read).hexdigest()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<html>not found</html>" * 100, "is no disk image: it has neither a boot sector"),
        (gzip.compress(bytes(DISK)), "compressed (gzip)"),
        (b"KDMV" + bytes(1000), "VMware"),
        (b"QFI\xfb" + bytes(200), "is not a qcow2 file"),
    ],
)
def test_a_file_that_is_no_image_is_refused(disk: pathlib.Path, content: bytes, said: str) -> None:
    disk.write_bytes(content)
    with pytest.raises(Invalid, match="images\\[0\\] \\(debian\\): file: ") as error:
        planned({"file": str(disk)})
    assert said in str(error.value)


def test_a_file_that_is_not_there_is_refused(disk: pathlib.Path) -> None:
    with pytest.raises(Invalid, match="No such file"):
        planned({"file": f"{disk}.gone"})


def test_an_image_is_known_by_its_file(disk: pathlib.Path) -> None:
    (change,) = planned({"file": str(disk)}).changes
    assert (change.action, change.after) == ("create", {"visibility": "public", "of": str(disk)})
    assert not planned({"file": str(disk)}, {**ACTIVE, "cephstack_source": stamp(disk)})


def test_a_file_that_was_only_touched_is_the_same(disk: pathlib.Path) -> None:
    assert not planned({"file": str(disk)}, {**ACTIVE, "cephstack_source": "old", "os_hash_value": hashlib.sha512(DISK).hexdigest()})


def test_another_content_is_a_new_image_that_must_be_allowed(disk: pathlib.Path) -> None:
    plan = planned({"file": str(disk)}, {**ACTIVE, "cephstack_source": "old", "os_hash_value": "other"})
    (refusal,) = plan.refusals()
    assert "made anew" in refusal and "allow_loss: image/debian" in refusal


def test_an_upload_that_was_cut_off_is_done_again(disk: pathlib.Path) -> None:
    plan = planned({"file": str(disk)}, {**ACTIVE, "status": "queued", "cephstack_source": stamp(disk)})
    assert [(change.before, change.after, change.risk) for change in plan.changes] == [({"status": "queued"}, {"status": "active"}, Risk.NONE)]


def test_what_is_told_of_an_image_is_set_in_place(disk: pathlib.Path) -> None:
    row = {**ACTIVE, "cephstack_source": stamp(disk), "hw_disk_bus": "scsi", "kept": "1"}
    (change,) = planned({"file": str(disk), "min_disk": 2, "visibility": "private", "properties": {"hw_disk_bus": "virtio", "flag": True}}, row).changes
    assert change.before == {"min_disk": 0, "visibility": "public", "hw_disk_bus": "scsi", "flag": None}
    assert change.after == {"min_disk": 2, "visibility": "private", "hw_disk_bus": "virtio", "flag": "true"}


def test_an_image_in_rbd_is_known_by_its_place() -> None:
    rbd = {"fsid": "F", "pool": "images", "image": "golden", "snapshot": "snap"}
    (change,) = planned({"rbd": rbd}).changes
    assert change.after["of"] == "rbd://F/images/golden/snap"
    assert not planned({"rbd": rbd}, {**ACTIVE, "cephstack_source": "rbd://F/images/golden/snap"})
    assert planned({"rbd": rbd}, {**ACTIVE, "cephstack_source": "rbd://F/images/golden/other"}).refusals()
    (gone,) = planned({"state": "absent"}, {**ACTIVE, "cephstack_source": "rbd://F/images/golden/snap"}).changes
    assert gone.risk is Risk.LOSS and gone.reason == "the image, with rbd://F/images/golden/snap, is deleted"


def test_whoever_registers_an_image_anew_needs_the_right_for_it() -> None:
    rbd = {"fsid": "F", "pool": "images", "image": "golden", "snapshot": "snap"}
    declaration = filled(arguments(catalogue.OPTIONS), {"images": [{"name": "debian", "rbd": rbd}]})
    cloud = Cloud(None, {"images": [{**ACTIVE, "cephstack_source": "rbd://F/images/older/snap"}], "roles": [{"id": "r", "name": "service", "domain_id": None}]})
    cloud.client = types.SimpleNamespace(roles=["admin"], user_id="u", user_name="admin", project_id="p", project_name="admin")
    for ask in images.settle(declaration["images"], cloud, Draft(declaration)):
        ask()
    stages = [[change.id for change in stage] for stage in catalogue.plan(declaration, cloud).stages()]
    assert stages == [["grant/admin/admin/service"], ["image/debian"]]
