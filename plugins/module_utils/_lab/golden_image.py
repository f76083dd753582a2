# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's golden image: Debian's kernel and a busybox, taken out of their packages, bootable, 13 MB.

Nothing is installed for it, nothing is mounted, and the same packages give the same bytes.

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
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Plan, Unreachable

# Raised when the image would come out otherwise from the same packages; then images of older make are made anew.
RECIPE = 2
KERNEL_PACKAGE = "linux-image-cloud-amd64"
BUSYBOX_PACKAGE = "busybox-static"
COMMAND_LINE = "console=ttyS0 quiet panic=1 mitigations=off"
MODULES = ("virtio_pci", "virtio_blk")


@dataclasses.dataclass(frozen=True)
class Image:
    """What is known of an image on disk: its recipe, kind (linux, sector, stays), format, size of the disk and sum of the file; and the packages.

    whole: whether its sum is the one that was noted when it was made.
    """

    recipe: int
    kind: str
    format: str
    size: int
    sha256: str
    whole: bool
    packages: tuple[str, ...] = ()


class Provider:
    """Makes one image at path, and keeps what it knows of it beside it in path.json."""

    def __init__(self, path: str, kind: str, size: int, form: str = "raw") -> None:
        self.path = path
        self.kind = kind
        self.size = size
        self.format = form

    def observe(self) -> t.Optional[Image]:
        """Return the image as it is, None where there is none. Its sum is counted anew: a damaged image is another one."""
        try:
            with open(self.path + ".json", encoding="utf-8") as file:
                noted = json.load(file)
            found = _sum(self.path)
            return Image(noted["recipe"], noted["kind"], noted.get("format", "raw"), noted["size"], found, found == noted["sha256"], tuple(noted["packages"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unreachable(f"{self.path}: {error}") from error

    def plan(self, observed: t.Optional[Image]) -> Plan:
        """The image is made where it is not there, of another recipe, kind or size, or damaged."""
        after = {"recipe": RECIPE, "kind": self.kind, "format": self.format, "size": self.size, "whole": True}
        before = observed and {key: getattr(observed, key) for key in after}
        if before == after:
            return Plan()
        return Plan([Change("image", self.path, "update" if before else "create", before, after, self._make)])

    def _make(self) -> None:
        data, packages = linux() if self.kind == "linux" else (_guest.marker_image(1, stays=self.kind == "stays"), [])
        if len(data) > self.size:
            raise ValueError(f"the image takes {len(data)} bytes, more than the {self.size} that it may have")
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        with open(self.path + ".new", "wb") as disk:
            if self.format == "raw":
                disk.write(data)
                disk.truncate(self.size)
            else:
                disk.write(gzip.compress(qcow2(data, self.size), mtime=0))
        noted = {"recipe": RECIPE, "kind": self.kind, "format": self.format, "size": self.size, "sha256": _sum(self.path + ".new"), "packages": packages}
        with open(self.path + ".json.new", "w", encoding="utf-8") as file:
            json.dump(noted, file, indent=1)
        os.replace(self.path + ".new", self.path)
        os.replace(self.path + ".json.new", self.path + ".json")

    def returned(self, observed: t.Optional[Image]) -> dict[str, t.Any]:
        """Return path, and sha256 and packages of the image where it is there."""
        if observed is None:
            return {"path": self.path}
        return {"path": self.path, "sha256": observed.sha256, "packages": list(observed.packages)}


def _sum(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as disk:
        for block in iter(lambda: disk.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def qcow2(data: bytes, size: int) -> bytes:
    """Return a qcow2 file of version 2 (QEMU, docs/interop/qcow2.txt) of a disk of size bytes that begins with data, at most 512 MiB of it."""
    cluster = 1 << 16
    count = -(-len(data) // cluster)
    if count > cluster // 8:
        raise ValueError("more data than one table of a qcow2 file can name")
    tables = -(-size // (cluster * cluster // 8))
    clusters = 5 + count  # header, L1, table of reference counts, reference counts, L2, data
    if clusters > cluster // 2 or tables > cluster // 8:
        raise ValueError("a larger disk than this small qcow2 file can describe")
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size, 0, tables, cluster, 2 * cluster, 1, 0, 0)
    copied = 1 << 63
    level1 = struct.pack(">Q", copied | 4 * cluster)
    counts = struct.pack(">Q", 3 * cluster), struct.pack(f">{clusters}H", *[1] * clusters)
    level2 = struct.pack(f">{count}Q", *(copied | (5 + number) * cluster for number in range(count)))
    return b"".join(part.ljust(cluster, b"\0") for part in (header, level1, *counts, level2)) + data.ljust(count * cluster, b"\0")


def linux() -> tuple[bytes, list[str]]:
    """Return the bootable image, and the packages it was made of. Raises Unreachable where they can't be had."""
    with tempfile.TemporaryDirectory(prefix="cephstack-image-") as folder:
        for package in (_kernel_package(), BUSYBOX_PACKAGE):
            _download(package, folder)
        names = sorted(name for name in os.listdir(folder) if name.endswith(".deb"))
        files: dict[str, bytes] = {}
        for name in names:
            files.update(_unpack(os.path.join(folder, name), r"\./boot/vmlinuz-|\./(usr/)?bin/busybox$|.*\.ko(\.xz)?$"))
    kernel = next((data for name, data in files.items() if "/vmlinuz-" in name), None)
    busybox = next((data for name, data in files.items() if name.endswith("/busybox")), None)
    if kernel is None or busybox is None:
        raise ValueError("the packages hold no kernel or no busybox where they should")
    modules = {os.path.basename(name).split(".ko")[0].replace("-", "_"): data for name, data in files.items() if ".ko" in name}
    return _guest.linux_image(kernel, _guest.initramfs(busybox, _guest.load_order(modules, MODULES)), COMMAND_LINE), names


def _kernel_package() -> str:
    """Return the package that the name for every version stands for."""
    for attempt in (1, 2):
        shown = _run("apt-cache", "depends", "--important", KERNEL_PACKAGE)
        found = re.search(r"Depends: (linux-image-\S+)", shown)
        if found:
            return found[1]
        if attempt == 1:
            _run("apt-get", "update", "-q")
    raise Unreachable(f"apt knows no package {KERNEL_PACKAGE}: the golden image needs a Debian host")


def _download(package: str, folder: str) -> None:
    try:
        _run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, folder=folder)
    except Unreachable:  # the lists may be older than the archive
        _run("apt-get", "update", "-q")
        _run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, folder=folder)


def _unpack(package: str, wanted: str) -> dict[str, bytes]:
    archive = process.read_bytes(["dpkg-deb", "--fsys-tarfile", package])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile() and re.match(wanted, member.name)}


def _run(*command: str, folder: t.Optional[str] = None) -> str:
    try:
        ended = process.complete(command, timeout=None, folder=folder)
    except process.CommandError as error:
        raise Unreachable(f"{command[0]} could not be run: {error.text}. The golden image is made of Debian's packages and needs a Debian host") from error
    if ended.code != 0:
        raise Unreachable(f"{' '.join(command)}: {(ended.err or ended.out).strip()[-400:]}")
    return ended.out
