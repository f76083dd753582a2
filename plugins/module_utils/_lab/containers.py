# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as systemd-nspawn containers: a shared root below, what the host writes above, on disk, so that it survives a stop.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
import os
import signal
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host.files import write
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, images, model, surroundings, system

TIMEOUT = 180
_TMPFILES = "etc/tmpfiles.d/lab-disks.conf"


def make(lab: model.Lab, host: model.Host) -> None:
    """Make a host's own directories and give it the packages that were downloaded before."""
    for part in ("upper", "work", "root"):
        os.makedirs(lab.host(host.name, part))
        os.chmod(lab.host(host.name, part), 0o755)
    images.share_packages(lab, host.release, host.name)


def start(lab: model.Lab, host: model.Host, around: surroundings.Surroundings, hosts: t.Mapping[str, str], first: bool, moved: bool) -> None:
    """Mount, write the host's files, attach its disks and boot it. Returns when it was started, not when it is up.
    first: it was just made. moved: it gets another address than it had."""
    root = lab.host(host.name, "root")
    if not os.path.ismount(root):
        layers = f"lowerdir={lab.image(host.image, 'root')},upperdir={lab.host(host.name, 'upper')},workdir={lab.host(host.name, 'work')}"
        system.run(["mount", "-t", "overlay", "overlay", "-o", layers, root])
    for path, file in surroundings.of_host(lab, host, around, hosts, moved).items():
        if first or not file.once:
            write(root + path, file.content, file.mode)
    _attach(lab, host)
    argv = ["systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={lab.machine(host.name)}", f"--hostname={host.name}"]
    argv += ["--register=no", "--keep-unit", f"--network-bridge={lab.bridge}", "--capability=all", "--system-call-filter=@raw-io"]
    argv += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe", "--boot"]
    # Newer systemds know v2 control groups only; where this machine has both, the container gets the v2 tree.
    env = {} if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    system.launch(lab.machine(host.name), argv, lab.host(host.name, "console.log"), env, own_cgroup=True)


def _loop_devices() -> dict[str, str]:
    """Return the loop device of each backing file of this machine. What was deleted is named as it was."""
    listing = json.loads(system.run(["losetup", "--json", "--list", "--output", "NAME,BACK-FILE"]).out or "{}")
    return {str(item["back-file"]).replace(" (deleted)", ""): item["name"] for item in listing.get("loopdevices", [])}


def _attach(lab: model.Lab, host: model.Host) -> None:
    """Make a host's disks where they are not there: sparse files beside it, given to it by loop devices under stable names."""
    devices = {}
    for disk in host.disks:
        path = system.make_sparse(lab.disk(host.name, disk.name), disk.size)
        devices[disk.name] = _loop_devices().get(path) or system.run(["losetup", "--find", "--show", path]).out.strip()
    write(lab.host(host.name, "root", _TMPFILES), tmpfiles(devices), 0o644)


def tmpfiles(devices: t.Mapping[str, str]) -> str:
    """Return tmpfiles.d(5) lines that make the nodes and the stable names in a container at each of its boots. Pure.
    devices: /dev/loopN by the disk's name. Loop devices have the major number 7."""
    lines = ["# Disks of this lab host: nodes and stable names."]
    for name, device in sorted(devices.items()):
        lines += [f"b+ {device} 0660 root disk - 7:{device[len('/dev/loop') :]}", f"L+ /dev/disk/by-id/lab-{name} - - - - {device}"]
    return "\n".join(lines) + "\n"


def attach(lab: model.Lab, host: model.Host) -> None:
    _attach(lab, host)
    system.run(access.command(lab, host.address, f"systemd-tmpfiles --create /{_TMPFILES}"))


def stop(lab: model.Lab, name: str, record: t.Mapping[str, t.Any], pid: int, orderly: bool) -> None:
    """Stop a host: by its own shutdown, or at once. Killing a container's PID 1 ends all its processes. record: what it was made as."""
    if orderly:
        system.kill(pid, signal.SIGTERM)
        system.wait_gone(pid, 60)
    for child in system.children(pid):
        system.kill(child)
    system.end(lab.machine(name), pid, 15)


def remove(lab: model.Lab, name: str, record: t.Mapping[str, t.Any]) -> None:
    if record:
        images.share_packages(lab, str(record["release"]), name, back=True)
    for backing, device in _loop_devices().items():
        if backing.startswith(os.path.realpath(lab.host(name)) + "/"):
            system.run(["losetup", "--detach", device])
    system.remove_tree(lab.host(name))
    system.clear(lab.machine(name))
