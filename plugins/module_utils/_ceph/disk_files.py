# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk image files read as what a guest would see: raw and qcow2, holes skipped.

qcow2 is not read by qemu-img: that would put a key on a command line, QEMU on a monitor host, and a second copy of the image on its disk.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import typing as t
import zlib

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

SECTOR = 512
_PIECE = 4 << 20  # how much is read, hashed or written at once: the default size of an RBD object
_QCOW2_MAGIC = b"QFI\xfb"
# qcow2 specification (QEMU, docs/interop/qcow2.txt): bits of table entries, and of incompatible_features that are not read here
_OFFSET, _COMPRESSED, _ZERO = 0x00FFFFFFFFFFFE00, 1 << 62, 1
_ZSTD = 8
_FEATURES = {
    "was not closed cleanly (qemu-img check -r all repairs it)": 1 | 2,
    "keeps its data in another file": 4,
    "has extended L2 entries": 16,
    "has features unknown here": ~(1 | 2 | 4 | _ZSTD | 16),
}


def sha256(path: str) -> str:
    """Return the digest of a file as "sha256:<hex>". Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(_PIECE), b""):
            digest.update(piece)
    return "sha256:" + digest.hexdigest()


class Raw:
    """A file that is the disk, byte by byte."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._length = os.path.getsize(path)
        self.size = -(-self._length // SECTOR) * SECTOR

    def pieces(self) -> t.Iterator[tuple[int, bytes]]:
        with open(self._path, "rb") as file:
            end = 0
            while end < self._length:
                try:
                    start, end = os.lseek(file.fileno(), end, os.SEEK_DATA), self._length
                except OSError:  # ENXIO: nothing but a hole from here on
                    return
                with contextlib.suppress(OSError):
                    end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                while start < end:
                    data = os.pread(file.fileno(), min(_PIECE - start % _PIECE, end - start), start)
                    if not data:
                        return
                    if data.strip(b"\0"):
                        yield start, data
                    start += len(data)


class Qcow2:
    """A qcow2 file of version 2 or 3, without a backing file, encryption or external data; clusters plain or compressed with zlib."""

    def __init__(self, path: str) -> None:
        self._path = path
        with open(path, "rb") as file:
            head = file.read(105).ljust(104, b"\0")
        magic, version, backing, _length, self._bits, self.size, crypt, self._l1_size, self._l1_offset = struct.unpack(">4sIQIIQIIQ", head[:48])
        if magic != _QCOW2_MAGIC or version not in (2, 3) or not 9 <= self._bits <= 21:
            raise Invalid([f"{path} is not a qcow2 file of version 2 or 3"])
        (features,), (length,) = struct.unpack(">Q", head[72:80]) if version == 3 else (0,), struct.unpack(">I", head[100:104])
        zstd = features & _ZSTD and length > 104 and len(head) > 104 and head[104]
        cannot = {"needs a backing file": backing, "is encrypted": crypt, "is compressed with zstd": zstd}
        cannot.update((problem, features & bits) for problem, bits in _FEATURES.items())
        problems = [problem for problem, found in cannot.items() if found]
        if problems:
            raise Invalid([f"{path} {problem}: make a raw file of it with qemu-img convert -O raw" for problem in problems])
        self.size = -(-self.size // SECTOR) * SECTOR

    def pieces(self) -> t.Iterator[tuple[int, bytes]]:
        cluster = 1 << self._bits
        per_table = cluster // 8
        with open(self._path, "rb") as file:
            handle = file.fileno()
            table = os.pread(handle, self._l1_size * 8, self._l1_offset)
            for number, entry in enumerate(struct.unpack(f">{self._l1_size}Q", table)):
                if not entry & _OFFSET:
                    continue
                begun, held = 0, bytearray()  # neighbouring clusters, so that RBD is written to in larger pieces
                for index, where in enumerate(struct.unpack(f">{per_table}Q", os.pread(handle, cluster, entry & _OFFSET)), number * per_table):
                    offset = index * cluster
                    if offset >= self.size:
                        break
                    data = self._cluster(handle, where)[: self.size - offset]
                    if held and (not data or len(held) >= _PIECE):
                        yield begun, bytes(held)
                        held = bytearray()
                    begun = begun if held else offset
                    held += data
                if held:
                    yield begun, bytes(held)

    def _cluster(self, handle: int, entry: int) -> bytes:
        """Return a cluster's data, or nothing where it is all zeros."""
        cluster = 1 << self._bits
        if entry & _COMPRESSED:
            split = 62 - (self._bits - 8)
            offset = entry & ((1 << split) - 1)
            sectors = (entry & (_COMPRESSED - 1)) >> split
            packed = os.pread(handle, (sectors + 1) * SECTOR - offset % SECTOR, offset)
            data = zlib.decompressobj(-12).decompress(packed, cluster)
            if len(data) != cluster:
                raise OSError(f"{self._path}: a compressed cluster at {offset} is damaged")
        elif entry & _ZERO or not entry & _OFFSET:
            return b""
        else:
            data = os.pread(handle, cluster, entry & _OFFSET).ljust(cluster, b"\0")
        return data if data.strip(b"\0") else b""


# size: bytes that a guest would see, a whole number of sectors. pieces(): (offset, data) of what is not all zeros.
DiskFile = t.Union[Raw, Qcow2]


def open_disk(path: str, kind: str = "auto") -> DiskFile:
    """Return the disk in a file. kind: auto (by its first bytes), raw or qcow2. Raises Invalid, OSError."""
    if kind == "auto":
        with open(path, "rb") as file:
            kind = "qcow2" if file.read(4) == _QCOW2_MAGIC else "raw"
    return Qcow2(path) if kind == "qcow2" else Raw(path)
