# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Xen host's first domain: what it is, and through which backends it can give RBD images to guests. Found out by trying.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import re
import tempfile
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host.files import read
from ansible_collections.cephstack.cloud.plugins.module_utils._host.host_files import is_loaded
from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import CommandError, installed, run
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.xenstore import Xenstore


class Backend(t.NamedTuple):
    """What gives a guest its disk. mapped: by which client its images are mapped on the host, whether a guest runs or not; "" where they are not.

    line: as xl takes it (xl-disk-configuration(5)): all of the rest is the target. own: what of Seen says why it can't be used.
    """

    line: str
    programs: t.Sequence[str] = ()
    drivers: t.Sequence[str] = ()
    mapped: str = ""
    own: str = ""


BACKENDS = {
    # the kernel's RBD client, mapped by a hotplug script when the guest starts, or when the host boots
    "krbd_script": Backend("{access},script=block-rbd,target={words}", ["rbd"], ["rbd", "xen-blkback"]),
    "krbd_static": Backend("phy:/dev/rbd/{name},{device},{mode}", ["rbd"], ["rbd", "xen-blkback"], "krbd"),
    # librbd behind a kernel NBD device, mapped when the host boots
    "rbd_nbd": Backend("phy:/dev/rbd-nbd/{name},{device},{mode}", ["rbd-nbd"], ["nbd", "xen-blkback"], "nbd"),
    # tapdisk, over librbd in qemu-nbd, or over the kernel's client
    "tapdisk_nbd": Backend("{access},script=block-tap-rbd,backendtype=tap,format=raw,target={words}", own="qemu_nbd"),
    "tapdisk_aio": Backend("{access},backendtype=tap,format=raw,target=/dev/rbd/{name}", ["rbd"], ["rbd"], "krbd"),
    # QEMU's, or tapdisk's, own RBD driver
    "qdisk_rbd": Backend("format=raw,{access},backendtype=qdisk,target=rbd:{target}", own="qdisk"),
    "tapdisk_rbd": Backend("{access},script=block-tap-rbd,backendtype=tap,format=raw,target={words}:rbd", own="tapdisk_rbd"),
}
TAP_BACKENDS = [name for name, backend in BACKENDS.items() if "backendtype=tap" in backend.line]
# libxl knows backendtype=tap again since then (its commit 6d7d8d2b3e).
TAP_SINCE = (4, 20)
_EMULATORS = ("/usr/libexec/xen-qemu-system-i386", "/usr/lib/xen-*/bin/qemu-system-i386", "/usr/lib/xen/bin/qemu-system-i386")
_DRIVERS = ("rbd", "nbd", "xen-blkback", "xen-blkfront")
# A configuration that is not there, so that no cluster is asked.
_NOWHERE = "pool=none,image=none,conf=/nonexistent/ceph.conf"
_NO_RBD = re.compile(r"Unknown (driver|protocol) '?rbd", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was found on a host. Of the last six: why something can't be used, "" where it can.

    dom0: whether it is Xen's first domain now. version: (4, 20), None where Xen does not run. drivers: whether the running kernel has each.
    grub: whether GRUB is there, and so configured by /etc/default/grub. programs: those of Ceph that are installed. libxl: whether tapback goes with xl,
    which that of XCP-ng does not.
    """

    dom0: bool = False
    version: t.Optional[tuple[int, int]] = None
    release: str = ""
    memory: int = 0
    free_memory: int = 0
    vcpus: int = 0
    command_line: str = ""
    grub: bool = False
    drivers: t.Mapping[str, bool] = dataclasses.field(default_factory=dict)
    programs: t.Collection[str] = ()
    tap_ctl: str = ""
    tapback: str = ""
    libxl: str = ""
    tapdisk_rbd: str = ""
    qemu_nbd: str = ""
    qdisk: str = ""


def reasons(seen: Seen, backend: str) -> list[str]:
    """Return why a host can't serve disks through a backend, even once it runs Xen. Empty where it can."""
    needs = BACKENDS[backend]
    found = [f"the program {program} is not installed" for program in needs.programs if program not in seen.programs]
    found += [f"the running kernel has no module {driver}" for driver in needs.drivers if not seen.drivers.get(driver)]
    if backend in TAP_BACKENDS:
        if seen.version and seen.version < TAP_SINCE:
            found.insert(0, "Xen {}.{} refuses disks of tapdisk (xl: blktap not available): they need Xen 4.20".format(*seen.version))
        found += filter(None, (seen.tap_ctl, seen.tapback))
        if seen.dom0 and not found and seen.libxl:
            found.append(seen.libxl)
    return [*found, *filter(None, [needs.own and getattr(seen, needs.own)])]


def verdicts(seen: Seen) -> dict[str, dict[str, t.Any]]:
    """Return for each backend whether the host can use it now (able), and why not."""
    booted = [] if seen.dom0 else ["this host is not Xen's first domain (yet): it must be booted into Xen"]
    why = {backend: "; ".join([*booted, *reasons(seen, backend)]) for backend in BACKENDS}
    return {backend: {"able": not why[backend], "why": why[backend]} for backend in BACKENDS}


def returned(seen: Seen) -> dict[str, t.Any]:
    tap = {"tap_ctl": seen.tap_ctl, "tapback": seen.tap_ctl or seen.tapback, "libxl": seen.tap_ctl or seen.tapback or seen.libxl}
    return {
        **{key: getattr(seen, key) for key in ("dom0", "release", "memory", "free_memory", "vcpus", "command_line", "grub")},
        "version": "{}.{}".format(*seen.version) if seen.version else "",
        "drivers": dict(seen.drivers),
        "tap": {**{part: not why for part, why in tap.items()}, "reason": tap["libxl"]},
        "backends": verdicts(seen),
    }


def look() -> Seen:
    """Find out what this host is, without attaching anything."""
    dom0 = is_dom0()
    info = parse_info(run(["xl", "info"], timeout=60)) if dom0 and installed("xl") else {}
    memory = parse_info(read("/proc/meminfo") or "").get("MemTotal", "0 kB")
    major, minor = ((read(f"/sys/hypervisor/version/{part}") or "").strip() for part in ("major", "minor"))
    tap_ctl = _tap_ctl()
    tapback = "" if tap_ctl else _tapback()
    return Seen(
        dom0=dom0,
        version=(int(major), int(minor)) if major.isdigit() and minor.isdigit() else None,
        release=info.get("xen_version", ""),
        memory=int(memory.split()[0]) // 1024,
        free_memory=int(info.get("free_memory", "0") or 0),
        vcpus=os.cpu_count() or 0,
        command_line=info.get("xen_commandline", ""),
        grub=os.path.exists("/usr/sbin/update-grub"),
        drivers={name: is_loaded(name) or _refusal(["modprobe", "--dry-run", "--quiet", name]) is None for name in _DRIVERS},
        programs={name for name in ("rbd", "rbd-nbd") if installed(name)},
        tap_ctl=tap_ctl,
        tapback=tapback,
        libxl="" if tap_ctl or tapback or not dom0 else "it was not tried whether tapback goes with xl",
        tapdisk_rbd="" if tap_ctl else "it was not tried whether tapdisk has an RBD driver",
        qemu_nbd=_qemu_nbd(),
        qdisk=_qdisk(),
    )


def tried(seen: Seen) -> Seen:
    """What look found, and what only attaching can tell: a scratch disk is attached to this domain for a moment."""
    return dataclasses.replace(seen, libxl=seen.libxl and _libxl(), tapdisk_rbd=seen.tapdisk_rbd and _tapdisk_rbd())


def is_dom0() -> bool:
    capabilities = read("/proc/xen/capabilities")
    if capabilities:
        return "control_d" in capabilities
    # xenfs is not mounted: the first domain has no UUID but zeros
    return (read("/sys/hypervisor/type") or "").strip() == "xen" and not (read("/sys/hypervisor/uuid") or "1").strip().strip("0-")


def parse_info(text: str) -> dict[str, str]:
    """Return what "xl info" says, by name."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _refusal(argv: list[str], timeout: int = 120) -> t.Optional[str]:
    """Return what a program that fails complained of, None where it does not fail."""
    try:
        run(argv, timeout=timeout)
    except CommandError as error:
        return error.text or str(error)
    return None


def _tap_ctl() -> str:
    if not installed("tap-ctl"):
        return "blktap is not installed (there is no tap-ctl): name a package that has it in xen_host.packages; Debian has none"
    said = _refusal(["tap-ctl", "list"])
    return f"blktap is installed, but tap-ctl fails: {said}" if said else ""


def _tapback() -> str:
    if not installed("tapback"):
        return "blktap has no tapback on this host"
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(Unreachable):  # that process has just ended
            if (read(path) or "").strip() == "tapback":
                return ""
    return "tapback does not run (tapback.service)"


def _libxl() -> str:
    """Attach a scratch disk through tapback to this very domain, as xl would to a guest: as released it lets libxl wait for a state that comes too late."""
    with tempfile.NamedTemporaryFile(prefix="cephstack-tap-", dir="/var/tmp") as disk:
        disk.truncate(1 << 20)
        said = _refusal(["xl", "block-attach", "0", f"vdev=xvdz,access=ro,backendtype=tap,format=raw,target={disk.name}"])
        if not said:
            with Xenstore() as store:
                served = store.tree("/local/domain/0/backend/vbd3/0")
            if not any(key.endswith("/hotplug-status") and value == "connected" for key, value in served.items()):
                said = "its hotplug script did not finish"
        left = _refusal(["xl", "block-detach", "0", "xvdz"])
    said = said or (left and f"it could not be detached again: {left}")
    return f"tapback does not go with xl (it lacks blktap's pull request 394): {last_line(said)}" if said else ""


def _tapdisk_rbd() -> str:
    """tapdisk as released has no such driver, and says EINVAL. One that has it must say that this image is not there."""
    said = _refusal(["tap-ctl", "create", "-a", "rbd:cephstack-probe/none"])
    if said is None:
        return "this tapdisk opened an RBD image that is not there"
    return "" if "No such file" in said or "ENOENT" in said else f"this tapdisk has no RBD driver: {last_line(said)}"


def _qemu_nbd() -> str:
    if not installed("qemu-nbd") or not installed("qemu-img"):
        return "the program qemu-nbd is not installed (qemu-utils)"
    said = _refusal(["qemu-img", "info", "--image-opts", f"driver=rbd,{_NOWHERE}"], timeout=10) or ""
    return f"qemu-nbd has no RBD driver (qemu-block-extra): {last_line(said)}" if _NO_RBD.search(said) else ""


def _qdisk() -> str:
    """QEMU's disk for Xen looks for a file of the image's name before it opens it, since 4.0; and Debian's QEMU for Xen has no RBD."""
    emulator = next((path for pattern in _EMULATORS for path in sorted(glob.glob(pattern))), None)
    if emulator is None:
        return "Xen's QEMU is not installed (qemu-system-xen)"
    # It ends by itself only where it complains; that it did not end is as good as that it knows the driver.
    command = [emulator, "-machine", "none", "-nodefaults", "-display", "none", "-S", "-blockdev", f"driver=rbd,node-name=probe,{_NOWHERE}"]
    said = _refusal(command, timeout=10) or ""
    if _NO_RBD.search(said) or not said:
        return f"Xen's QEMU ({emulator}) has no RBD driver: {last_line(said) or 'it ignores the option'}"
    with open(emulator, "rb") as file:
        if b"Could not stat file" in file.read():
            return f"Xen's QEMU ({emulator}) takes an image for a file and refuses what is none (hw/block/xen-block.c: Could not stat file)"
    return ""


def last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].strip()
