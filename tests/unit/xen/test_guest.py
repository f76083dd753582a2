# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest that proves a Xen host: what is refused, what it does with its disks, and what is believed of it."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import guest, xenstore

UUID = "12345678-9abc-def0-1234-56789abcdef0"
XEN = {"name": "xen", "client": "client.xen", "kind": "xen", "pools": [{"name": "iso", "access": "ro"}, {"name": "vms", "access": "rw"}]}


@pytest.fixture
def options(tmp_path):
    """The module's options, on a host that has a kernel and a busybox."""
    for name in ("vmlinuz-6.12.48+deb13-amd64", "busybox"):
        (tmp_path / name).write_bytes(b"x")

    def make(*disks, **changed):
        full = [{"device": "xvda", "pool": None, "image": None, "mode": "w", "exclusive": True, **disk} for disk in disks]
        values = {"disks": full, "backend": "krbd_script", "consumers": [XEN], "memory": 256, "timeout": 60, "conf": "/etc/ceph/ceph.conf"}
        values.update({"kernel": str(tmp_path / "vmlinuz-6.12.48+deb13-amd64"), "busybox": str(tmp_path / "busybox")})
        return {**values, **changed}

    return make


def test_with_no_disks_named_one_is_made_in_the_first_pool_that_may_be_written(options):
    order = guest.parse(options())
    (disk,) = order.disks
    assert (disk.pool, disk.device, disk.client) == ("vms", "xvda", "client.xen")
    assert disk.image.startswith("cephstack-guest.")
    assert order.made == {"xvda"}


def test_images_that_are_made_have_names_of_their_own(options):
    order = guest.parse(options({}, {"device": "xvdb"}, {"device": "xvdc", "image": "kept"}))
    assert len({disk.image for disk in order.disks}) == 3
    assert order.made == {"xvda", "xvdb"}


@pytest.mark.parametrize(
    ("disks", "changed", "said"),
    [
        ([], {"consumers": []}, "no pool is named"),
        ([], {"kernel": "/nonexistent"}, "no kernel /nonexistent"),
        ([], {"busybox": "/nonexistent"}, "busybox-static"),
        ([{"mode": "r"}], {}, "holds nothing to read"),
        ([{"mode": "r", "image": "a"}], {}, "at least one must be writable"),
        ([{"write": "x" * 400}], {}, "plain characters fit"),
        ([{"write": "two\nlines"}], {}, "plain characters fit"),
        ([{"image": "a:b"}], {}, "':' separates"),
        ([{"pool": "iso", "image": "a"}], {}, "may only read the pool iso"),
        ([{}, {"image": "a"}], {}, "the device xvda is taken twice"),
    ],
)
def test_what_is_refused(options, disks, changed, said):
    with pytest.raises(Invalid) as caught:
        guest.parse(options(*disks, **changed))
    assert any(said in problem for problem in caught.value.problems)


def test_the_kernel_is_the_host_s_own_or_the_newest():
    paths = ["/boot/vmlinuz-6.12.9-amd64", "/boot/vmlinuz-6.12.48+deb13-amd64", "/boot/vmlinuz-6.1.0-37-amd64"]
    assert guest.newest_kernel(paths, "6.1.0-37-amd64") == "/boot/vmlinuz-6.1.0-37-amd64"
    assert guest.newest_kernel(paths, "6.18.0") == "/boot/vmlinuz-6.12.48+deb13-amd64"
    assert guest.newest_kernel([], "6.18.0") == ""


def test_its_configuration_has_the_disks_as_xl_takes_them(options):
    order = guest.parse(options({"image": "a"}, {"device": "xvdb", "image": "b", "mode": "r"}))
    text = guest.configuration("probe", UUID, order, "/tmp/initramfs")
    assert f'uuid = "{UUID}"' in text
    assert 'type = "pv"' in text
    assert "'vdev=xvda,access=rw,script=block-rbd,target=vms/a:id=xen'" in text
    assert "'vdev=xvdb,access=ro,script=block-rbd,target=vms/b:id=xen:ro'" in text


def run_programme(order, folder):
    """Run what the guest runs, with files for disks and this host's programs for busybox; return what it printed."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("mount", "busybox", "insmod", "poweroff", "sync", "usleep"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    (folder / "uuid").write_text(UUID + "\n")
    text = guest.programme(order)
    for old, new in (
        ("export PATH=/bin", f"export PATH={programs}:/usr/bin:/bin; cd {folder}"),
        ("$(cat /modules/order)", ""),
        ("/sys/hypervisor/uuid", str(folder / "uuid")),
        ("of=/dev/", f"of={folder}/"),
        ("if=/dev/", f"if={folder}/"),
        ("-b /dev/", f"-e {folder}/"),
        ("/marker", str(folder / "marker")),
        ("/failed", str(folder / "failed")),
        ("/list", str(folder / "list")),
    ):
        text = text.replace(old, new)
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, timeout=60).stdout


def test_what_it_does_with_its_disks_is_what_is_believed_of_it(options, tmp_path):
    """/dev/full can be read and refuses to be written, as a disk does that is read only."""
    order = guest.parse(options({"image": "a", "write": "hello  from Xen"}, {"device": "xvdb", "image": "b"}, {"device": "xvdc", "image": "c", "mode": "r"}))
    first = os.urandom(512)
    before = {"xvda": (first, b"written under KVM".ljust(512, b"\0")), "xvdb": (first[::-1], bytes(512)), "xvdc": (bytes(512), bytes(512))}
    for device in ("xvda", "xvdb"):
        (tmp_path / device).write_bytes(b"".join(before[device]) + bytes(4096))
    (tmp_path / "xvdc").symlink_to("/dev/full")
    said = run_programme(order, tmp_path)
    after = dict(before)
    for device in ("xvda", "xvdb"):
        data = (tmp_path / device).read_bytes()
        assert len(data) == 1024 + 4096
        assert not any(data[1024:])
        after[device] = (data[:512], data[512:1024])
    assert guest.verdict(UUID, order, before, after) == []
    assert after["xvda"][1].startswith(_guest.expected_marker(UUID))
    assert b" says hello  from Xen only xvdc read " in after["xvda"][1]
    assert b"says" not in after["xvdb"][1]
    assert "is through" in said


def sums(sectors):
    return tuple(hashlib.md5(sector).hexdigest() for sector in sectors)


def marker(before, text=""):
    line = "{} xen linux 6.12 read {} found {}{}\n".format(_guest.expected_marker(UUID).decode(), *sums(before), text)
    return line.encode().ljust(512, b"\0")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((bytes(512), bytes(512)), "its marker is not on xvda (vms/a): found nothing"),
        ((bytes(512), b"cephstack-guest " + b"0" * 32), "its marker is not on xvda"),
        ((bytes(512), marker((b"x" * 512, bytes(512)))), "read something else from xvda"),
        ((bytes(512), marker((bytes(512), b"x" * 512))), "read something else from xvda"),
        ((b"x" * 512, marker((bytes(512), bytes(512)), " says hello")), "the first sector of xvda"),
        ((bytes(512), marker((bytes(512), bytes(512)), " says hell")), "what the guest was to write is not on xvda"),
    ],
)
def test_what_is_not_believed(options, after, said):
    order = guest.parse(options({"image": "a", "write": "hello"}))
    assert any(said in problem for problem in guest.verdict(UUID, order, {"xvda": (bytes(512), bytes(512))}, {"xvda": after}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "read something else from xvdb"),
        (" only xvdb read {0} found {0} written", "could write to xvdb"),
        (" only xvdb read {1} found {0} refused", "read something else from xvdb"),
        (" only xvdb read {0} found {0} refused", None),
    ],
)
def test_a_disk_that_it_may_only_read(options, text, said):
    order = guest.parse(options({"image": "a"}, {"device": "xvdb", "image": "b", "mode": "r"}))
    empty = (bytes(512), bytes(512))
    own = marker(empty, text.format(sums(empty)[0], "0" * 32))
    problems = guest.verdict(UUID, order, {"xvda": empty, "xvdb": empty}, {"xvda": (bytes(512), own), "xvdb": empty})
    assert (said is None and not problems) or (len(problems) == 1 and said in problems[0])


def test_its_initramfs_runs_its_own_programme(options):
    order = guest.parse(options({"image": "a", "write": "hello"}))
    archive = gzip.decompress(_guest.initramfs(b"busybox", {"xen_blkfront.ko": b"module"}, guest.programme(order)))
    assert b"xvda w hello" in archive
    assert b"/sys/hypervisor/uuid" in archive
    assert b"product_uuid" not in archive


def test_why_xl_failed_is_what_the_hotplug_script_said():
    """The first is how libxl repeats a script's hotplug-error, the second what it says of tapback as released on Xen 4.20."""
    script = (
        "Parsing config from /tmp/guest.cfg\n"
        "libxl: error: libxl_exec.c:117:libxl_report_child_exitstatus: /etc/xen/scripts/block-rbd add [557] exited with error status 1\n"
        "libxl: error: libxl_device.c:1340:device_hotplug_child_death_cb: script: vms/gone: (2) No such file or directory\n"
        "libxl: error: libxl_create.c:1921:domcreate_launch_dm: Domain 4:unable to add disk devices\n"
    )
    assert guest.reason(script) == "vms/gone: (2) No such file or directory"
    timeout = "libxl: error: libxl_device.c:1194:device_backend_callback: Domain 3:unable to add device with path /local/domain/0/backend/vbd3/3/51712\n"
    assert guest.reason(timeout) == "unable to add device with path /local/domain/0/backend/vbd3/3/51712"
    assert guest.reason("xl: no such thing\n") == "xl: no such thing"
    assert guest.reason("") == "it said nothing"


def test_a_disk_that_never_connected_is_told_with_what_xenstore_says():
    disk = xenstore.Disk(3, "g", "qdisk", "xvda", 1, "aio:rbd:vms/a:id=xen", error="Could not stat file")
    assert guest.complaints([disk]) == ["its disk xvda (aio:rbd:vms/a:id=xen) never connected: the backend's state was 1 (Initialising), Could not stat file"]


def test_the_last_that_its_console_said():
    assert _guest.said_by("\x1b[2Jboot\r\nthere is no disk xvda: \r\n") == "its console ends with: boot\nthere is no disk xvda:"
    assert _guest.said_by("") == "its console said nothing"


def test_a_device_that_a_guest_has_is_known_by_its_number(tmp_path):
    """/dev/zero is 1:5, in hexadecimal as xen-blkback shows them."""
    (tmp_path / "vbd-1-51712").mkdir()
    (tmp_path / "vbd-1-51712" / "physical_device").write_text("1:5\n")
    (tmp_path / "vbd-2-51712").mkdir()
    backends = str(tmp_path / "vbd-*" / "physical_device")
    assert guest.in_backend("/dev/zero", backends)
    assert not guest.in_backend("/dev/null", backends)
