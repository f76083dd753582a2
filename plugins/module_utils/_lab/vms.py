# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as virtual machines under QEMU, for what needs a kernel of its own.

PRIVATE to the collection.
"""

from __future__ import annotations

import inspect
import json
import os
import pathlib
import shutil
import signal
import stat
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._guest import cpio
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, wait
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, bytecode, model, surroundings, system

# Under emulation, on a machine that does other work too.
TIMEOUT = 600
QEMU = "qemu-system-x86_64"
# What is emulated byte by byte (erms), or ends a piece of translated code at every copy to and from programs (smap), costs half of an emulated
# processor's speed; pages of five levels (la57) a little of it.
_EMULATED = "max,-erms,-smap,-smep,-la57,-pku"
# With "max" itself Xen's first domain crashes; Xen asks for SVM to run guests that are not paravirtual.
_EMULATED_XEN = "qemu64,+svm"
# What Java's second compiler makes is not used often enough to be worth its being translated once more. Keys are as long as Java 17 makes them:
# the primes of later ones take half a minute.
_EMULATED_JAVA = "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -Djdk.security.defaultKeySize=RSA:2048"
_EMULATED_FILES = {
    "/etc/environment": surroundings.File(f"{_EMULATED_JAVA}\n", once=True),
    "/etc/systemd/system.conf.d/lab.conf": surroundings.File(f'[Manager]\nDefaultEnvironment="{_EMULATED_JAVA}"\n', once=True),
    "/etc/sudoers.d/lab": surroundings.File('Defaults env_keep += "JAVA_TOOL_OPTIONS"\n', 0o440, once=True),
    "/usr/lib/python3/dist-packages/lab_bytecode.py": surroundings.File(inspect.getsource(bytecode), once=True),
    "/usr/lib/python3/dist-packages/lab_bytecode.pth": surroundings.File("import lab_bytecode; lab_bytecode.install()\n", once=True),
}


def accelerator(lab: model.Lab, image: str) -> str:
    """Return kvm where a guest's kernel really boots under it, else tcg. The answer is kept until this machine boots anew.
    /dev/kvm alone proves nothing: on a machine that is a guest itself a kernel may hang for ever."""
    kept = os.path.join(lab.cache, "accelerator.json")
    boot = system.read("/proc/sys/kernel/random/boot_id").strip()
    with system.alone_for(kept):
        known = json.loads(system.read(kept) or "{}")
        if known.get("boot_id") == boot:
            return str(known["accelerator"])
        found = "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and _boots(lab.image(image, "vmlinuz")) else "tcg"
        files.write(kept, json.dumps({"boot_id": boot, "accelerator": found}) + "\n", 0o644)
        return found


def _boots(kernel: str) -> bool:
    """Whether a kernel comes under KVM as far as missing its root file system. It then panics and QEMU ends, where KVM works after 1 to 2 s."""
    argv = [QEMU, "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256", "-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio"]
    argv += ["-kernel", kernel, "-append", "console=ttyS0 panic=-1 root=/dev/none"]
    try:
        return "Kernel panic" in system.run(argv, timeout=12).out
    except system.LabError:
        return False


def make(lab: model.Lab, host: model.Host) -> None:
    os.makedirs(lab.host(host.name))
    backing = ["-F", "raw", "-b", lab.image(host.image, "disk.raw")]
    system.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, lab.host(host.name, "root.qcow2")])


def start(lab: model.Lab, host: model.Host, around: surroundings.Surroundings, hosts: t.Mapping[str, str], first: bool, moved: bool) -> None:
    """Write the host's files, make its tap and boot it. Returns when it was started, not when it is up.
    first: it was just made, which it sees itself. moved: it gets another address than it had."""
    for disk in host.disks:
        system.make_sparse(lab.disk(host.name, disk.name), disk.size)
    accel, initrd, tap = accelerator(lab, host.image), lab.host(host.name, "initrd"), lab.tap(host.name)
    own = {**surroundings.of_host(lab, host, around, hosts, moved), **(_EMULATED_FILES if accel == "tcg" else {})}
    shutil.copyfile(lab.image(host.image, "initrd"), initrd)
    with open(initrd, "ab") as stream:
        stream.write(bytes(-stream.tell() % 4) + archive(own))
    if not os.path.isdir(f"/sys/class/net/{tap}"):
        system.run(["ip", "tuntap", "add", tap, "mode", "tap"])
    system.run(["ip", "link", "set", tap, "master", lab.bridge, "up"])
    system.launch(lab.machine(host.name), argv(lab, host, accel), lab.host(host.name, "console.log"), {}, own_cgroup=False)


def argv(lab: model.Lab, host: model.Host, accel: str) -> list[str]:
    words = [QEMU, "-name", lab.machine(host.name), "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc" if host.xen else "q35"]
    words += ["-accel", "kvm", "-cpu", "host"] if accel == "kvm" else ["-accel", "tcg,thread=multi", "-cpu", _EMULATED_XEN if host.xen else _EMULATED]
    words += ["-smp", str(host.cpus), "-m", str(host.memory), "-device", "virtio-rng-pci"]
    words += ["-chardev", f"file,id=console,path={lab.host(host.name, 'console.log')},append=on", "-serial", "chardev:console", *_boot(lab, host, accel)]
    words += ["-drive", f"file={lab.host(host.name, 'root.qcow2')},if=none,id=root,format=qcow2,cache=unsafe,discard=unmap"]
    words += ["-device", "virtio-blk-pci,drive=root"]
    for disk in host.disks:
        words += ["-drive", f"file={lab.disk(host.name, disk.name)},if=none,id=disk-{disk.name},format=raw,cache=unsafe,discard=unmap"]
        words += ["-device", f"virtio-blk-pci,drive=disk-{disk.name},serial=lab-{disk.name}"]
    words += ["-netdev", f"tap,id=net,ifname={lab.tap(host.name)},script=no,downscript=no"]
    return [*words, "-device", f"virtio-net-pci,netdev=net,mac={model.mac(lab.machine(host.name))}"]


def _boot(lab: model.Lab, host: model.Host, accel: str) -> list[str]:
    """Return QEMU's words for what is booted: Debian's kernel, or Xen, which then boots it as its first domain. Pure."""
    kernel, initrd = lab.image(host.image, "vmlinuz"), lab.host(host.name, "initrd")
    # Under emulation, beside other work, a service may take minutes where systemd's patience is 90 s.
    patience = "" if accel == "kvm" else f" systemd.default_timeout_start_sec={TIMEOUT} systemd.default_device_timeout_sec={TIMEOUT}"
    console = f"console={'hvc0' if host.xen else 'ttyS0'} loglevel=4 systemd.show_status=0 systemd.getty_auto=0"
    # An emulated kernel with several processors panics now and then; it starts again then.
    command = f"root=/dev/vda rw {console} panic=1 net.ifnames=0 mitigations=off{patience}"
    if not host.xen:
        return ["-kernel", kernel, "-initrd", initrd, "-append", command]
    own = f"{host.memory - host.xen_share}M"
    # A comma parts two modules of Xen's, and a doubled one is a comma.
    modules = ",".join(module.replace(",", ",,") for module in (f"{kernel} {command}", initrd))
    xen = f"console=com1 com1=115200,8n1 dom0_mem={own},max:{own} spec-ctrl=no"
    return ["-kernel", lab.image(host.image, "xen"), "-initrd", modules, "-append", xen]


def archive(content: t.Mapping[str, surroundings.File]) -> bytes:
    """Return a cpio archive (format newc, as the kernel unpacks it behind an initramfs) of a host's files. Pure."""
    entries = {("lab/once" if file.once else "lab/always") + path: (stat.S_IFREG | file.mode, file.content.encode()) for path, file in content.items()}
    folders = {str(folder) for name in (*entries, "lab/once/.") for folder in pathlib.PurePath(name).parents} - {"."}
    entries.update(dict.fromkeys(folders, (stat.S_IFDIR | 0o755, b"")))
    return cpio((name, mode, data) for name, (mode, data) in sorted(entries.items()))


def stop(lab: model.Lab, name: str, record: t.Mapping[str, t.Any], pid: int, orderly: bool) -> None:
    """Stop a host: by its own shutdown, or at once. record: what it was made as."""
    if orderly:
        system.run(access.command(lab, record["address"], "systemctl poweroff"), check=False, timeout=40)
        system.wait_gone(pid, 90)
    system.kill(pid, signal.SIGTERM)
    system.end(lab.machine(name), pid, 5)


def remove(lab: model.Lab, name: str, record: t.Mapping[str, t.Any]) -> None:
    tap = lab.tap(name)
    # QEMU's end may not have been noticed yet
    wait.wait_until(lambda: not os.path.isdir(f"/sys/class/net/{tap}") or system.run(["ip", "link", "delete", tap], check=False).code == 0, 2, pause=0.1)
    system.remove_tree(lab.host(name))
