# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How disk image files are read."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import disk_files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

MIB = 1 << 20


def whole(disk):
    data = bytearray(disk.size)
    for offset, piece in disk.pieces():
        data[offset : offset + len(piece)] = piece
    return bytes(data)


def test_raw_with_holes(tmp_path):
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.seek(5 * MIB + 3)
        file.write(b"data")
        file.truncate(20 * MIB - 1)
    disk = disk_files.open_disk(str(path))
    assert disk.size == 20 * MIB
    assert whole(disk) == path.read_bytes() + b"\0"
    assert sum(len(piece) for _offset, piece in disk.pieces()) <= 4 * MIB
    path.write_bytes(b"")
    assert list(disk_files.open_disk(str(path)).pieces()) == []


def write_qcow2(path, clusters, size, version=3, bits=16, **header):
    """A small writer: clusters maps a number to (kind, data); kinds are plain, packed and zero."""
    cluster = 1 << bits
    body = bytearray(3 * cluster)  # header, L1 table, one L2 table
    l2 = [0] * (cluster // 8)
    for number, (kind, data) in clusters.items():
        if kind == "zero":
            l2[number] = 1
            continue
        where = len(body)
        if kind == "plain":
            l2[number] = where | 1 << 63
            body += data.ljust(cluster, b"\0")
            continue
        packer = zlib.compressobj(9, zlib.DEFLATED, -12)
        packed = packer.compress(data.ljust(cluster, b"\0")) + packer.flush()
        where += 40  # not at a sector's start, as qemu-img packs them
        l2[number] = 1 << 62 | ((where % 512 + len(packed) - 1) // 512) << (62 - (bits - 8)) | where
        body += (b"\0" * 40 + packed).ljust(-(-(len(packed) + 40) // cluster) * cluster, b"\0")
    values = {"backing": 0, "crypt": 0, "features": 0, **header}
    head = struct.pack(">4sIQIIQIIQ", b"QFI\xfb", version, values["backing"], 0, bits, size, values["crypt"], 1, cluster)
    body[: len(head)] = head
    body[72:80] = struct.pack(">Q", values["features"])
    body[100:104] = struct.pack(">I", 104)
    body[cluster : cluster + 8] = struct.pack(">Q", 2 * cluster | 1 << 63)
    body[2 * cluster : 3 * cluster] = struct.pack(f">{cluster // 8}Q", *l2)
    path.write_bytes(body)
    return str(path)


def test_qcow2(tmp_path):
    text = bytes(range(256)) * 200
    path = write_qcow2(tmp_path / "q", {0: ("plain", b"boot"), 1: ("packed", text), 3: ("zero", b""), 4: ("plain", b"\0"), 40: ("packed", b"end")}, 41 * 65536)
    disk = disk_files.open_disk(path)
    assert disk.size == 41 * 65536
    data = whole(disk)
    assert data[:4] == b"boot"
    assert data[65536 : 65536 + len(text)] == text
    assert data[40 * 65536 :][:3] == b"end"
    assert sum(len(piece) for _offset, piece in disk.pieces()) == 3 * 65536
    assert len(list(disk.pieces())) == 2, "neighbours are written in one piece"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({"backing": 512}, "needs a backing file"),
        ({"crypt": 1}, "is encrypted"),
        ({"features": 1}, "was not closed cleanly"),
        ({"features": 4}, "keeps its data in another file"),
        ({"features": 16}, "extended L2"),
        ({"features": 1 << 20}, "features unknown"),
        ({"version": 9}, "not a qcow2 file of version"),
    ],
)
def test_qcow2_that_is_not_read_here(tmp_path, header, text):
    path = write_qcow2(tmp_path / "q", {}, MIB, **header)
    with pytest.raises(Invalid, match=text):
        disk_files.open_disk(path)


def test_a_damaged_cluster_is_an_error(tmp_path):
    path = write_qcow2(tmp_path / "q", {0: ("packed", os.urandom(4096))}, MIB)
    with open(path, "r+b") as file:
        file.truncate(3 * 65536 + 400)
    with pytest.raises((OSError, zlib.error)):
        list(disk_files.open_disk(path).pieces())


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")
@pytest.mark.parametrize("options", [[], ["-c"], ["-o", "cluster_size=4k"], ["-o", "compat=0.10"], ["-c", "-o", "cluster_size=2M"]])
def test_qcow2_as_qemu_writes_it(tmp_path, options):
    raw, packed = tmp_path / "raw", tmp_path / "qcow2"
    with raw.open("wb") as file:
        for offset in (0, 3 * MIB + 512, 9 * MIB):
            file.seek(offset)
            file.write(os.urandom(70000) + b"text" * 50000)
        file.truncate(64 * MIB)
    subprocess.run(["qemu-img", "convert", *options, "-f", "raw", "-O", "qcow2", str(raw), str(packed)], check=True)
    assert whole(disk_files.open_disk(str(packed))) == raw.read_bytes()
