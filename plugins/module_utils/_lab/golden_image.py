# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's golden image: Debian's kernel and a busybox, taken out of their packages, bootable, 13 MB. The same packages give the same bytes.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import os
import re
import struct
import tarfile
import tempfile
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Unreachable

# Raised when the image would come out otherwise from the same packages; then images of older make are made anew.
RECIPE = 3
KERNEL_PACKAGE = "linux-image-cloud-amd64"
BUSYBOX_PACKAGE = "busybox-static"
# What a guest of one processor that only writes to its disk can do without takes a fifth of its time where its processor is emulated.
COMMAND_LINE = "console=ttyS0 quiet panic=1 mitigations=off nokaslr nosmp cryptomgr.notests audit=0 apparmor=0"
MODULES = ("virtio_pci", "virtio_blk")
# A guest that writes records of 40 KiB behind the first 16 MiB of its disk, reads each back at once and another one later, past its cache, and says on its
# console how it went: the slowest answer in hundredths of a second.
WRITES = (
    _guest.WITH_DISK
    + r"""
places=$(($(cat /sys/class/block/vda/size) / 80 - 410)) number=0 writes=0 reads=0 errors=0 wrong=0 slowest=0
[ $places -gt 300 ] && places=300
mkdir -p /sums
now() { read -r up idle < /proc/uptime; now=${up%.*}${up#*.}; }
timed() {
    now; began=$now failed=
    "$@" 2>/dev/null || { errors=$((errors + 1)) failed=yes; }
    now; took=$((now - began))
    [ $took -gt $slowest ] && slowest=$took
}
look() {
    [ -e /sums/$1 ] || return
    echo 1 > /proc/sys/vm/drop_caches
    reads=$((reads + 1))
    timed dd if=/dev/vda of=/found bs=40960 skip=$((410 + $1)) count=1
    [ "$failed" ] || [ "$(sha256sum < /found)" = "$(cat /sums/$1)" ] || wrong=$((wrong + 1))
}
while [ $places -gt 0 ]; do
    place=$((number % places)) number=$((number + 1)) writes=$((writes + 1))
    dd if=/dev/urandom of=/record bs=40960 count=1 2>/dev/null
    rm -f /sums/$place
    timed dd if=/record of=/dev/vda bs=40960 seek=$((410 + place)) conv=notrunc,fsync
    [ "$failed" ] || sha256sum < /record > /sums/$place
    look $place
    look $((number * 7919 % places))
    echo "writer writes=$writes reads=$reads errors=$errors wrong=$wrong slowest=$slowest"
    usleep 50000
done
echo "the disk has no room behind its first 16 MiB"
poweroff -f
"""
)


@dataclasses.dataclass
class Provider:
    """Makes one image at path, and keeps what it knows of it beside it in path.json."""

    path: str
    kind: str
    size: int
    format: str = "raw"

    def observe(self) -> t.Optional[dict[str, t.Any]]:
        """Return what is known of the image, None where there is none. whole: whether its sum is the one that was noted when it was made."""
        try:
            with open(self.path + ".json", encoding="utf-8") as file:
                noted = {"format": "raw", **json.load(file)}
            found = _sum(self.path)
            return {**noted, "sha256": found, "whole": found == noted["sha256"]}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unreachable(f"{self.path}: {error}") from error

    def plan(self, observed: t.Optional[dict[str, t.Any]]) -> Plan:
        draft = Draft()
        noted = {"recipe": RECIPE, "kind": self.kind, "format": self.format, "size": self.size}
        draft.ensure("image", self.path, observed, {**noted, "whole": True}, lambda: self._make(noted))
        return draft.plan()

    def _make(self, noted: t.Mapping[str, t.Any]) -> None:
        if self.kind in ("linux", "writes"):
            data, packages = linux(WRITES if self.kind == "writes" else "")
        else:
            data, packages = _guest.marker_image(1, stays=self.kind == "stays"), []
        if len(data) > self.size:
            raise ValueError(f"the image takes {len(data)} bytes, more than the {self.size} that it may have")
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        with open(self.path + ".new", "wb") as disk:
            disk.write(data if self.format == "raw" else gzip.compress(qcow2(data, self.size), mtime=0))
            if self.format == "raw":
                disk.truncate(self.size)
        os.replace(self.path + ".new", self.path)
        text = json.dumps({**noted, "sha256": _sum(self.path), "packages": packages}, indent=1)
        files.write(self.path + ".json", text, 0o644, os.getuid(), os.getgid())

    def returned(self, observed: t.Optional[dict[str, t.Any]]) -> dict[str, t.Any]:
        return {"path": self.path, **{key: observed[key] for key in ("sha256", "packages") if observed}}


def _sum(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as disk:
        for block in iter(lambda: disk.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def qcow2(data: bytes, size: int) -> bytes:
    """Return a qcow2 file of version 2 (QEMU, docs/interop/qcow2.txt) of a disk of size bytes that begins with data, at most 512 MiB of it."""
    cluster = 1 << 16
    count, tables = -(-len(data) // cluster), -(-size // (cluster * cluster // 8))
    clusters = 5 + count  # header, L1, table of reference counts, reference counts, L2, data
    if count > cluster // 8 or tables > cluster // 8:
        raise ValueError("a larger disk, or more data, than this small qcow2 file can describe")
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size, 0, tables, cluster, 2 * cluster, 1, 0, 0)
    copied = 1 << 63
    level1 = struct.pack(">Q", copied | 4 * cluster)
    counts = struct.pack(">Q", 3 * cluster), struct.pack(f">{clusters}H", *[1] * clusters)
    level2 = struct.pack(f">{count}Q", *(copied | (5 + number) * cluster for number in range(count)))
    return b"".join(part.ljust(cluster, b"\0") for part in (header, level1, *counts, level2)) + data.ljust(count * cluster, b"\0")


def linux(init: str = "") -> tuple[bytes, list[str]]:
    """Return the bootable image, and the packages it was made of. init: as of initramfs. Raises Unreachable where they can't be had."""
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="cephstack-image-") as folder:
        try:
            _download(folder)
        except Unreachable:  # as new as the archive, apt's lists may know better
            _run("apt-get", "update", "-q")
            for name in os.listdir(folder):  # the kernel may have another name now, and no modules but its own fit it
                os.remove(os.path.join(folder, name))
            _download(folder)
        names = sorted(name for name in os.listdir(folder) if name.endswith(".deb"))
        for name in names:
            archive = process.read_bytes(["dpkg-deb", "--fsys-tarfile", os.path.join(folder, name)])
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                for member in tar:
                    stream = tar.extractfile(member) if re.match(r"\./boot/vmlinuz-|\./(usr/)?bin/busybox$|.*\.ko(\.xz)?$", member.name) else None
                    if stream:
                        found[member.name] = stream.read()
    kernel = next((data for name, data in found.items() if "/vmlinuz-" in name), None)
    busybox = next((data for name, data in found.items() if name.endswith("/busybox")), None)
    if kernel is None or busybox is None:
        raise ValueError("the packages hold no kernel or no busybox where they should")
    modules = {os.path.basename(name).split(".ko")[0].replace("-", "_"): data for name, data in found.items() if ".ko" in name}
    return _guest.linux_image(kernel, _guest.initramfs(busybox, _guest.load_order(modules, MODULES), init), COMMAND_LINE), names


def _download(folder: str) -> None:
    kernel = re.search(r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", "--important", KERNEL_PACKAGE))
    if not kernel:
        raise Unreachable(f"apt knows no package {KERNEL_PACKAGE}: the golden image needs a Debian host")
    for package in (kernel[1], BUSYBOX_PACKAGE):
        _run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, folder=folder)


def _run(*command: str, folder: t.Optional[str] = None) -> str:
    try:
        ended = process.complete(command, timeout=None, folder=folder)
    except process.CommandError as error:
        raise Unreachable(f"{error}. The golden image is made of Debian's packages and needs a Debian host") from error
    if ended.code != 0:
        raise Unreachable(f"{' '.join(command)}: {(ended.err or ended.out).strip()[-400:]}")
    return ended.out
