# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can this host run guests under KVM? Found out by running one: a boot sector that enters long mode, with the host's own processor model, as libvirt would.

/dev/kvm alone proves little: inside other virtual machines it may be there and not carry an ordinary kernel, or be so slow that emulation is faster.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process

_EMULATORS = ("qemu-system-x86_64", "qemu-kvm", "/usr/libexec/qemu-kvm")


class Verdict(t.NamedTuple):
    """domain_type: libvirt's, kvm or qemu; unknown where there is no QEMU to ask. reason: why it isn't kvm, "" where it is."""

    domain_type: str
    reason: str
    seconds: float = 0.0


def probe(timeout: float, device: str = "/dev/kvm", qemu: t.Optional[str] = None) -> Verdict:
    """Run the guest. timeout: seconds within which it must be through; on real hardware it takes 0.2."""
    if not os.path.exists(device):
        return Verdict("qemu", f"there is no {device}: switch virtualisation on in the firmware, or load the module kvm_intel or kvm_amd")
    if os.uname().machine != "x86_64":
        return Verdict("unknown", f"no guest was tried: this collection has none for {os.uname().machine}")
    qemu = qemu or next(filter(None, map(shutil.which, _EMULATORS)), None)
    if qemu is None:
        return Verdict("unknown", "no guest was tried: QEMU is not installed")
    with tempfile.NamedTemporaryFile(prefix="cephstack-probe-") as disk:
        disk.write(_guest.probe_sector().ljust(1 << 16, b"\0"))
        disk.flush()
        command = [qemu, "-accel", "kvm", "-cpu", "host", "-m", "32", "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"]
        command += ["-drive", f"file={disk.name},format=raw,if=ide", "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0x501"]
        begun = time.monotonic()
        try:
            ended = process.complete(command, timeout=timeout)
        except process.CommandError as error:
            if error.code != process.LATE:
                return Verdict("qemu", f"{qemu} could not be run: {error.text}")
            return Verdict("qemu", f"{device} is there, but a guest of 512 bytes was not through within {timeout} s", time.monotonic() - begun)
        seconds = time.monotonic() - begun
    if ended.code == _guest.PROBE_EXIT and _guest.PROBE_LETTER.decode() in ended.out:
        return Verdict("kvm", "", seconds)
    why = (ended.err.strip() or f"exit code {ended.code}").splitlines()[0]
    return Verdict("qemu", f"{device} is there, but a guest of 512 bytes does not run under it: {why}", seconds)


def cgroups_are_writable(root: str = "/sys/fs/cgroup") -> bool:
    """Whether libvirt can put guests into cgroups of their own. In some containers the controllers are for reading only."""
    one = os.path.exists(f"{root}/cgroup.controllers")
    places = [root] if one else [f"{root}/{name}" for name in ("cpu", "memory", "devices")]
    return all(os.path.isdir(place) and os.access(place, os.W_OK) and not os.statvfs(place).f_flag & os.ST_RDONLY for place in places)
