# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as systemd-nspawn containers: a shared root below, what the host writes above, on disk, so that it survives a stop.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import signal

from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, disks, files, images, surroundings, system
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.model import Host, Lab

TIMEOUT = 180

_TMPFILES = "etc/tmpfiles.d/lab-disks.conf"


def log(lab: Lab, name: str) -> str:
    """Return the file with a host's console."""
    return os.path.join(lab.host_directory(name), "console.log")


def make(lab: Lab, host: Host) -> None:
    """Make a host's own directories and give it the packages that were downloaded before."""
    directory = lab.host_directory(host.name)
    for part in ("upper", "work", "root"):
        os.makedirs(os.path.join(directory, part))
        os.chmod(os.path.join(directory, part), 0o755)
    images.seed(lab, host.release, os.path.join(directory, "upper"))


def start(lab: Lab, host: Host, around: surroundings.Surroundings, hosts: dict[str, str], first: bool, moved: bool = False) -> None:
    """Mount, write the host's files, attach its disks and boot it. Returns when it was started, not when it is up."""
    directory = lab.host_directory(host.name)
    root = _mount(lab, host)
    for path, file in files.of_host(lab, host, around, hosts, moved).items():
        if first or not file.once:
            _replace(root + path, file)
    _replace(os.path.join(root, _TMPFILES), files.File(_attach(directory, host)))
    argv = [
        "systemd-nspawn",
        "--quiet",
        f"--directory={root}",
        f"--machine={lab.machine(host.name)}",
        f"--hostname={host.name}",
        "--register=no",
        "--keep-unit",
        f"--network-bridge={lab.bridge}",
        "--capability=all",
        "--system-call-filter=@raw-io",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
        "--boot",
    ]
    # Newer systemds know v2 control groups only; where this machine has both, the container gets the v2 tree.
    env = {} if system.unified_only() else {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    system.launch(lab.machine(host.name), argv, log(lab, host.name), env, own_cgroup=True)


def _replace(path: str, file: files.File) -> None:
    """Write a file in a host's tree; a link that is there is replaced, never followed out of the tree."""
    if os.path.islink(path):
        os.remove(path)
    system.write(path, file.content, file.mode)


def _mount(lab: Lab, host: Host) -> str:
    directory = lab.host_directory(host.name)
    root = os.path.join(directory, "root")
    if not os.path.ismount(root):
        layers = f"lowerdir={images.root(lab, host.image)},upperdir={directory}/upper,workdir={directory}/work"
        system.run(["mount", "-t", "overlay", "overlay", "-o", layers, root])
    return root


def _attach(directory: str, host: Host) -> str:
    for disk in host.disks:
        disks.make(directory, disk)
    return disks.tmpfiles({disk.name: disks.attach(directory, disk.name) for disk in host.disks})


def attach(lab: Lab, host: Host) -> None:
    """Give a running host the disks that it does not have yet."""
    directory = lab.host_directory(host.name)
    system.write(os.path.join(directory, "root", _TMPFILES), _attach(directory, host))
    system.run(access.command(lab, host.address, f"systemd-tmpfiles --create /{_TMPFILES}", 10))


def stop(lab: Lab, name: str, pid: int, orderly: bool) -> None:
    """Stop a host: by its own shutdown, or at once. Killing a container's PID 1 ends all its processes."""
    if orderly:
        system.kill(pid, signal.SIGTERM)
        system.wait_gone(pid, 60)
    for child in system.children(pid):
        system.kill(child)
    if not system.wait_gone(pid, 15):
        system.kill(pid)
        system.wait_gone(pid, 5)
    if system.booted_with_systemd():
        # Waits until systemd has cleared the unit, so that its name is free.
        system.run(["systemctl", "stop", system.unit(lab.machine(name))], check=False)
    else:
        system.remove_cgroups(lab.machine(name))


def remove(lab: Lab, name: str, release: str) -> None:
    """Remove all that a stopped host has on this machine."""
    directory = lab.host_directory(name)
    if release:
        images.harvest(lab, release, os.path.join(directory, "upper"))
    disks.detach_below(directory)
    system.remove_tree(directory)
    if not system.booted_with_systemd():
        system.remove_cgroups(lab.machine(name))
