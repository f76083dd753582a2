# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands, processes, mounts and control groups of this machine.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until


class LabError(Exception):
    """Something on this machine did not do what it was asked to. The text says what and, where known, how to mend it."""


def run(argv: t.Sequence[str], timeout: float = 60, check: bool = True, stdin: str = "", env: t.Optional[dict[str, str]] = None) -> process.Ended:
    """Run a command. Raises LabError with the end of what it said."""
    try:
        done = process.complete(argv, timeout=timeout, input_text=stdin, env=os.environ if env is None else env)
    except process.CommandError as error:
        late = f"{argv[0]} did not end in {timeout:g} s: {' '.join(argv)[:200]}"
        raise LabError(late if error.code == process.LATE else f"{argv[0]} is not installed") from error
    if check and done.code != 0:
        said = "\n".join((done.err.strip() or done.out.strip()).splitlines()[-6:])
        raise LabError(f"{' '.join(argv)[:200]} failed ({done.code}): {said}")
    return done


def booted_with_systemd() -> bool:
    """Return whether systemd is PID 1 here (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def processes() -> dict[int, list[str]]:
    """Return the command line of every process, by its id. One pass over /proc, a few milliseconds."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as stream:
                    found[int(entry)] = stream.read().decode(errors="replace").split("\0")[:-1]
            except OSError:
                continue  # it ended in the meantime
    return found


def machines(commands: t.Mapping[int, t.Sequence[str]], prefix: str) -> dict[str, int]:
    """Return the process of each running machine of a lab, by the host's name. Pure.

    prefix: "LAB."; a container is known by --machine=, a virtual machine by QEMU's -name. Helpers that systemd-nspawn forks
    while it boots carry its command line for a moment: the first process is the machine.
    """
    found: dict[str, int] = {}
    for pid, argv in sorted(commands.items()):
        if not argv:
            continue
        program = os.path.basename(argv[0])
        name = ""
        if program == "systemd-nspawn":
            name = next((word[len("--machine=") :] for word in argv if word.startswith("--machine=")), "")
        elif program.startswith("qemu-system-") and "-name" in argv[:-1]:
            name = argv[list(argv).index("-name") + 1]
        if name.startswith(prefix):
            found.setdefault(name[len(prefix) :], pid)
    return found


def children(pid: int) -> list[int]:
    """Return a process's children."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
            return [int(word) for word in stream.read().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Return whether a process runs. One that has ended but was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_gone(pid: int, seconds: float) -> bool:
    """Return whether a process ended within that time."""

    def gone() -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return not alive(pid)

    return bool(wait_until(gone, seconds, pause=0.05))


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; a process that has already gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def mounts_below(path: str) -> list[str]:
    """Return the mount points at and below a path, the deepest first."""
    return below(_mountinfo(), os.path.realpath(path))


def below(mountinfo: str, path: str) -> list[str]:
    """Return the mount points at and below a path out of the text of /proc/self/mountinfo, the last mounted first. Pure."""
    points = [line.split(" ")[4].replace("\\040", " ") for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if point == path or point.startswith(path.rstrip("/") + "/")]


def _mountinfo() -> str:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        return stream.read()


def remove_tree(path: str) -> None:
    """Unmount what is mounted below a directory, then remove it; never crosses into another file system."""
    if not os.path.lexists(path):
        return
    for point in mounts_below(path):
        run(["umount", point], check=False)
    left = mounts_below(path)
    for point in left:
        run(["umount", "--lazy", point])
    if mounts_below(path):
        raise LabError(f"{path} still has mounts below it: {', '.join(mounts_below(path))}")
    run(["rm", "-rf", "--one-file-system", path], timeout=300)


@contextlib.contextmanager
def locked(path: str) -> t.Iterator[None]:
    """Hold a lock among processes; waits for whoever has it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def lock_path(directory: str) -> str:
    """Return the lock of a directory that a run may remove: it lies where the machine's next boot clears it."""
    return os.path.join("/run/lock", f"cephstack-lab-{hashlib.sha256(directory.encode()).hexdigest()[:12]}")


def write(path: str, content: str, mode: int = 0o644) -> None:
    """Write a file as a whole or not at all."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = path + ".new"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as stream:
        stream.write(content)
    os.chmod(temporary, mode)
    os.replace(temporary, path)


def read(path: str, absent: str = "") -> str:
    """Return a file's text, or the text given where there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return absent


def tail(path: str, lines: int = 8) -> str:
    """Return the end of a log."""
    return "\n".join([line.rstrip() for line in read(path).splitlines() if line.strip()][-lines:])


def cgroup_roots() -> list[str]:
    """Return where a machine's own control groups are made when no systemd does it: the v2 tree, and systemd's own of v1."""
    roots = []
    for line in _mountinfo().splitlines():
        left, dummy, right = line.partition(" - ")
        kind, dummy, options = (right.split(" ") + ["", "", ""])[:3]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options):
            roots.append(left.split(" ")[4])
    return roots


def unified_only() -> bool:
    """Return whether this machine has the v2 tree of control groups and nothing else."""
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def launch(machine: str, argv: t.Sequence[str], log: str, env: t.Mapping[str, str], own_cgroup: bool) -> None:
    """Start a machine's process so that it outlives this one.

    With systemd as PID 1 it becomes a unit of its own (else it would end with the operator's session). Without, it is a
    plain process in a new session; own_cgroup puts it into a control group of its own: two systemds in one group would
    end each other's services.
    """
    if booted_with_systemd():
        properties = [
            "Delegate=yes",
            "KillMode=mixed",
            "TasksMax=infinity",
            "LimitNOFILE=1048576",
            f"StandardOutput=append:{log}",
            f"StandardError=append:{log}",
        ]
        run(
            ["systemd-run", "--quiet", "--collect", f"--unit={unit(machine)}", f"--description=cephstack lab host {machine}"]
            + [f"--property={item}" for item in properties]
            + [f"--setenv={key}={value}" for key, value in env.items()]
            + ["--", shutil.which(argv[0]) or argv[0], *argv[1:]]
        )
        return
    groups = cgroup_directories(machine) if own_cgroup else []
    for group in groups:
        os.makedirs(group, exist_ok=True)
    script = "".join(f'echo $$ > "{group}/cgroup.procs" || exit 1\n' for group in groups) + 'exec "$@"'
    environment = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LANG": "C.UTF-8", **env}
    with open(log, "ab") as stream:
        process.begin(["/bin/sh", "-c", script, "sh", *argv], stream, environment)


def unit(machine: str) -> str:
    """Return the name of the unit a machine runs in where systemd is PID 1."""
    return f"cephstack-lab-{machine}.service"


def cgroup_directories(machine: str) -> list[str]:
    """Return the control groups of one machine."""
    return [os.path.join(root, "cephstack-lab", machine) for root in cgroup_roots()]


def remove_cgroups(machine: str) -> None:
    """Remove a machine's control groups, and the one above when it was the last. What is still in use stays."""
    for group in cgroup_directories(machine):
        for directory, dummy, dummy in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(group))
