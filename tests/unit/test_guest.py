# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests made of bytes: what a BIOS, a kernel and a reader of the marker rely on."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import subprocess

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest

UUID = "12345678-9abc-def0-1234-56789abcdef0"
QEMU = shutil.which("qemu-system-x86_64")


def kernel(setup_sectors=4, body=b"body", magic=b"HdrS", version=0x020F):
    head = bytearray((setup_sectors + 1) * 512)
    head[0x1F1] = setup_sectors
    head[0x202:0x206] = magic
    struct.pack_into("<H", head, 0x206, version)
    return bytes(head) + body


@pytest.mark.parametrize("sector", [_guest.marker_image()[:512], _guest.probe_sector(), _guest.linux_image(kernel(), b"", "")[:512]])
def test_a_boot_sector_is_one_to_a_bios(sector):
    assert len(sector) == 512
    assert sector[510:] == b"\x55\xaa"
    assert not any(sector[0x1BE:0x1FE])  # no partition table that someone might believe


def test_the_expected_marker_holds_the_uuid_and_fits():
    assert _guest.expected_marker(UUID) == b"cephstack-guest 123456789ABCDEF0123456789ABCDEF0"
    assert len(_guest.MAGIC) == 16


def test_what_was_read_is_shown_up_to_its_end():
    assert _guest.readable(b"cephstack-guest AB\n\0garbage") == "cephstack-guest AB"
    assert _guest.readable(b"a\x01b") == "a?b"
    assert _guest.readable(bytes(4)) == ""


def test_code_that_reaches_into_its_data_is_refused():
    with pytest.raises(ValueError, match="0x1"):
        _guest._sector("90 90 90", {1: b"x"})


def test_a_linux_image_leaves_the_markers_sector_alone_and_tells_the_kernel_where_things_are():
    archive = b"a" * 70000
    image = _guest.linux_image(kernel(body=b"k" * 40000), archive, "console=ttyS0")
    assert image[_guest.MARKER_OFFSET : _guest.MARKER_OFFSET + _guest.MARKER_LENGTH] == bytes(512)
    setup = image[1024 : 1024 + 116 * 512]
    assert setup[0x210] == 0xFF
    assert setup[0x211] & 0x81 == 0x81
    assert struct.unpack_from("<II", setup, 0x218) == (128 << 20, 70000)
    assert struct.unpack_from("<I", setup, 0x228) == (0x90000 + 0xE000,)
    assert setup[0xE000:].startswith(b"console=ttyS0\0")
    assert image[128 * 512 :].startswith(b"k" * 40000)
    assert struct.unpack_from("<HH", image, 0x1B0) == (2, 3)  # pieces of 32 KiB
    assert image[(128 + 2 * 64) * 512 :].startswith(archive)


@pytest.mark.parametrize("bad", [kernel(magic=b"ELF!"), kernel(version=0x0202), kernel(setup_sectors=120)])
def test_what_is_no_kernel_for_a_bios_is_refused(bad):
    with pytest.raises(ValueError, match="kernel"):
        _guest.linux_image(bad, b"", "")


def test_a_command_line_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="too long"):
        _guest.linux_image(kernel(), b"", "x" * 3000)


def test_the_initramfs_is_the_same_every_time_and_can_be_unpacked(tmp_path):
    first = _guest.initramfs(b"#!busy", {"b.ko": b"2", "a.ko": b"1"})
    assert first == _guest.initramfs(b"#!busy", {"b.ko": b"2", "a.ko": b"1"})
    archive = gzip.decompress(first)
    assert archive.startswith(b"070701")
    assert len(archive) % 4 == 0
    if shutil.which("cpio") and os.geteuid() == 0:
        subprocess.run(["cpio", "-id", "--quiet"], input=archive, cwd=tmp_path, check=True)
        assert (tmp_path / "modules" / "order").read_text() == "b.ko\na.ko\n"
        assert (tmp_path / "bin" / "busybox").read_bytes() == b"#!busy"
        assert os.access(tmp_path / "init", os.X_OK)


def test_modules_are_loaded_after_those_they_need_and_built_in_ones_are_left_out():
    there = {
        "virtio": b"\0depends=\0",
        "virtio_ring": b"\0depends=virtio\0",
        "virtio_pci": b"\0license=GPL\0depends=virtio,virtio-ring,built_in\0",
        "unneeded": b"\0depends=\0",
    }
    assert list(_guest.load_order(there, ["virtio_pci", "virtio_blk"])) == ["virtio.ko", "virtio_ring.ko", "virtio_pci.ko"]


@pytest.mark.skipif(QEMU is None, reason="there is no QEMU here")
@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_the_guest_of_512_bytes_writes_its_marker_and_powers_off(tmp_path, machine):
    disk = tmp_path / "disk"
    disk.write_bytes(_guest.marker_image())
    command = [QEMU, "-machine", machine, "-accel", "tcg", "-m", "64", "-display", "none", "-nodefaults", "-uuid", UUID]
    subprocess.run([*command, "-drive", f"file={disk},format=raw,if=virtio"], check=True, timeout=60)
    data = disk.read_bytes()
    assert data[512:1024].startswith(_guest.expected_marker(UUID))
    assert not any(data[1024:])


@pytest.mark.skipif(QEMU is None, reason="there is no QEMU here")
def test_the_probe_enters_long_mode_and_stops_qemu(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(_guest.probe_sector().ljust(1 << 16, b"\0"))
    command = [QEMU, "-accel", "tcg", "-m", "32", "-display", "none", "-nodefaults", "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0x501"]
    ended = subprocess.run([*command, "-drive", f"file={disk},format=raw,if=ide"], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (_guest.PROBE_EXIT, _guest.PROBE_LETTER)
