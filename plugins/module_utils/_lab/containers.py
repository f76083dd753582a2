# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as systemd-nspawn containers: a shared root below, what the host writes above, on disk, so that it survives a stop.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import signal
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host.files import write
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, disks, files, images, surroundings, system
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.model import Host, Lab

TIMEOUT = 180

_TMPFILES = "etc/tmpfiles.d/lab-disks.conf"


def make(lab: Lab, host: Host) -> None:
    """Make a host's own directories and give it the packages that were downloaded before."""
    directory = lab.host_directory(host.name)
    for part in ("upper", "work", "root"):
        os.makedirs(os.path.join(directory, part))
        os.chmod(os.path.join(directory, part), 0o755)
    images.seed(lab, host.release, directory)


def start(lab: Lab, host: Host, around: surroundings.Surroundings, hosts: dict[str, str], first: bool, moved: bool) -> None:
    """Mount, write the host's files, attach its disks and boot it. Returns when it was started, not when it is up.

    first: it was just made. moved: it gets another address than it had.
    """
    root = _mount(lab, host)
    for path, file in files.of_host(lab, host, around, hosts, moved).items():
        if first or not file.once:
            write(root + path, file.content, file.mode)
    _attach(lab, host)
    argv = ["systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={lab.machine(host.name)}", f"--hostname={host.name}"]
    argv += ["--register=no", "--keep-unit", f"--network-bridge={lab.bridge}", "--capability=all", "--system-call-filter=@raw-io"]
    argv += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe", "--boot"]
    # Newer systemds know v2 control groups only; where this machine has both, the container gets the v2 tree.
    env = {} if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    system.launch(lab.machine(host.name), argv, lab.console(host.name), env, own_cgroup=True)


def _mount(lab: Lab, host: Host) -> str:
    directory = lab.host_directory(host.name)
    root = os.path.join(directory, "root")
    if not os.path.ismount(root):
        layers = f"lowerdir={images.root(lab, host.image)},upperdir={directory}/upper,workdir={directory}/work"
        system.run(["mount", "-t", "overlay", "overlay", "-o", layers, root])
    return root


def _attach(lab: Lab, host: Host) -> None:
    directory = lab.host_directory(host.name)
    for disk in host.disks:
        disks.make(directory, disk)
    write(os.path.join(directory, "root", _TMPFILES), disks.tmpfiles({disk.name: disks.attach(directory, disk.name) for disk in host.disks}), 0o644)


def attach(lab: Lab, host: Host) -> None:
    _attach(lab, host)
    system.run(access.command(lab, host.address, f"systemd-tmpfiles --create /{_TMPFILES}", 10))


def stop(lab: Lab, name: str, record: t.Mapping[str, t.Any], pid: int, orderly: bool) -> None:
    """Stop a host: by its own shutdown, or at once. Killing a container's PID 1 ends all its processes. record: what it was made as."""
    if orderly:
        system.kill(pid, signal.SIGTERM)
        system.wait_gone(pid, 60)
    for child in system.children(pid):
        system.kill(child)
    system.end(lab.machine(name), pid, 15)


def remove(lab: Lab, name: str, record: t.Mapping[str, t.Any]) -> None:
    directory = lab.host_directory(name)
    if record:
        images.harvest(lab, str(record["release"]), directory)
    disks.detach_below(directory)
    system.remove_tree(directory)
    system.clear(lab.machine(name))
