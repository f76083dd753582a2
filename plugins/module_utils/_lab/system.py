# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands, processes, mounts and control groups of this machine.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import exclusive, files, process, wait

# Seconds that a run waits for another: it may be making an image, or hosts under emulation.
_PATIENCE = 7200.0


class LabError(Exception):
    """Something on this machine did not do what it was asked to."""


def run(argv: t.Sequence[str], timeout: float = 60, check: bool = True, stdin: str = "", env: t.Optional[t.Mapping[str, str]] = None) -> process.Ended:
    """Run a command. Raises LabError with the end of what it said."""
    try:
        done = process.complete(argv, timeout=timeout, input_text=stdin, env=env or os.environ)
    except process.CommandError as error:
        raise LabError(str(error)) from error
    if check and done.code != 0:
        said = "\n".join((done.err.strip() or done.out.strip()).splitlines()[-6:])
        raise LabError(f"{' '.join(argv)[:200]} failed ({done.code}): {said}")
    return done


def _booted_with_systemd() -> bool:
    """Whether systemd is PID 1 here (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def _told(pid: int, what: str) -> str:
    """Return what the kernel tells of a process, "" where it has ended."""
    try:
        with open(f"/proc/{pid}/{what}", encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def running(prefix: str) -> dict[str, int]:
    """Return what machines() does of all processes. One pass over /proc, a few milliseconds."""
    return machines({int(entry): _told(int(entry), "cmdline").split("\0")[:-1] for entry in os.listdir("/proc") if entry.isdigit()}, prefix)


def machines(commands: t.Mapping[int, t.Sequence[str]], prefix: str) -> dict[str, int]:
    """Return the process of each running machine of a lab ("LAB."), by the host's name: a container's has --machine=, QEMU's has -name. Pure.
    Helpers that systemd-nspawn forks while it boots carry its command line for a moment: the first process is the machine."""
    found: dict[str, int] = {}
    for pid, argv in sorted(commands.items()):
        program, name = os.path.basename("".join(argv[:1])), ""
        if program == "systemd-nspawn":
            name = next((word for word in argv if word.startswith("--machine=")), "").partition("=")[2]
        elif program.startswith("qemu-system-") and "-name" in argv[:-1]:
            name = argv[list(argv).index("-name") + 1]
        if name.startswith(prefix):
            found.setdefault(name[len(prefix) :], pid)
    return found


def children(pid: int) -> list[int]:
    return [int(word) for word in _told(pid, f"task/{pid}/children").split()]


def alive(pid: int) -> bool:
    """Whether a process runs. One that has ended but was not waited for does not."""
    return _told(pid, "stat").rpartition(")")[2].split()[:1] not in ([], ["Z"], ["X"])


def wait_gone(pid: int, seconds: float) -> bool:
    def gone() -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return not alive(pid)

    return bool(wait.wait_until(gone, seconds, pause=0.05))


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; a process that has already gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def below(mountinfo: str, path: str) -> list[str]:
    """Return the mount points at and below a path, the last mounted first. mountinfo: the text of /proc/self/mountinfo. Pure."""
    points = [line.split(" ")[4].replace("\\040", " ") for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if point == path or point.startswith(path.rstrip("/") + "/")]


def remove_tree(path: str) -> None:
    """Unmount what is mounted below a directory, then remove it; never crosses into another file system."""

    def mounted() -> list[str]:
        return below(read("/proc/self/mountinfo"), os.path.realpath(path))

    if not os.path.lexists(path):
        return
    for point in mounted():
        run(["umount", point], check=False)
    for point in mounted():
        run(["umount", "--lazy", point])
    if mounted():
        raise LabError(f"{path} still has mounts below it: {', '.join(mounted())}")
    run(["rm", "-rf", "--one-file-system", path], timeout=300)


def alone(directory: str) -> t.ContextManager[None]:
    """Do something with a directory while no other run does. The lock lies elsewhere, since the directory may be removed."""
    return exclusive.alone(f"lab-{hashlib.sha256(directory.encode()).hexdigest()[:12]}", _PATIENCE)


def alone_for(path: str) -> t.ContextManager[None]:
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    return exclusive.alone(name, _PATIENCE, folder)


def read(path: str) -> str:
    """Return a file's text, "" where there is no such file."""
    return files.read(path) or ""


def make_sparse(path: str, size: int) -> str:
    """Make a file, if it is not there, that takes no room before it is written to. Returns its real path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
        with open(path, "ab") as stream:
            stream.truncate(size)
    return os.path.realpath(path)


def existing(path: str) -> str:
    """Return the folder itself, or the nearest above it that is there."""
    return path if os.path.isdir(path) else existing(os.path.dirname(path))


def folders(path: str) -> list[str]:
    return [entry.name for entry in os.scandir(path) if entry.is_dir()] if os.path.isdir(path) else []


def launch(machine: str, argv: t.Sequence[str], log: str, env: t.Mapping[str, str], own_cgroup: bool) -> None:
    """Start a machine's process so that it outlives this one.
    With systemd as PID 1 it becomes a unit of its own (else it would end with the operator's session). Without, it is a plain process in a new session;
    own_cgroup puts it into a control group of its own: two systemds in one group would end each other's services."""
    if _booted_with_systemd():
        properties = ["Delegate=yes", "KillMode=mixed", "TasksMax=infinity", "LimitNOFILE=1048576"]
        properties += [f"StandardOutput=append:{log}", f"StandardError=append:{log}"]
        words = ["systemd-run", "--quiet", "--collect", f"--unit=cephstack-lab-{machine}.service", f"--description=cephstack lab host {machine}"]
        words += [f"--property={item}" for item in properties] + [f"--setenv={key}={value}" for key, value in env.items()]
        run([*words, "--", shutil.which(argv[0]) or argv[0], *argv[1:]])
        return
    script = 'exec "$@"'
    for group in _cgroups(machine) if own_cgroup else []:
        os.makedirs(group, exist_ok=True)
        script = f'echo $$ > "{group}/cgroup.procs" || exit 1\n{script}'
    environment = {"PATH": os.environ.get("PATH", process.PATH), "LANG": "C.UTF-8", **env}
    with open(log, "ab") as stream:
        process.begin(["/bin/sh", "-c", script, "sh", *argv], stream, environment)


def end(machine: str, pid: int, seconds: float) -> None:
    """Wait for the end of a machine's process, end it after that time, and clear what it ran in."""
    if not wait_gone(pid, seconds):
        kill(pid)
        wait_gone(pid, 5)
    clear(machine)


def clear(machine: str) -> None:
    """Free the unit or the control groups in which a machine ran. What is still in use stays."""
    if _booted_with_systemd():
        # Waits until systemd has cleared the unit, so that its name is free.
        run(["systemctl", "stop", f"cephstack-lab-{machine}.service"], check=False)
        return
    for group in _cgroups(machine):
        # From the deepest to the one of all labs, which goes with the last machine.
        for directory in [*(directory for directory, *_rest in os.walk(group, topdown=False)), os.path.dirname(group)]:
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def _cgroups(machine: str) -> list[str]:
    """Return a machine's own control groups where no systemd makes them: in the v2 tree, and in systemd's own of v1."""
    mounts = re.findall(r"^(?:\S+ ){4}(\S+) .* - (?:cgroup2 |cgroup \S+ .*name=systemd)", read("/proc/self/mountinfo"), re.MULTILINE)
    return [os.path.join(point, "cephstack-lab", machine) for point in mounts]
