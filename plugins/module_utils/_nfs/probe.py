# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove NFS exports from a host, by the kernel's own client: what it may do works, what it may not is refused.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import tempfile
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import alone
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import rpc
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, string

OPTIONS: dict[str, t.Any] = {
    "server": string("The server's address.", required=True),
    "path": string("The path under which the export is mounted.", required=True),
    "access": choice("Whether this host may write, only read, or not even mount it.", ["rw", "ro", "none"], default="rw"),
    "version": choice("The version of NFS. By default the newest that both sides have, which is what a host takes by itself.", ["3", "4", "4.0", "4.1", "4.2"]),
}

# The names by which what a killed run left behind is known to the next one.
_FOLDER = "/run/cephstack-nfs-probe-"
_FILE = ".cephstack-probe-"
# A server that falls silent is an answer after some seconds, and not a hanging host.
_PATIENT = "soft,timeo=50,retrans=2,retry=0,proto=tcp"
_SIZE = 256 * 1024


def obstacle() -> str:
    """Why this host cannot mount NFS, "" where it can."""
    if os.geteuid() != 0:
        return "only root can mount"
    if not process.installed("mount.nfs"):
        return "mount.nfs is not installed: install the package nfs-common (nfs-utils on the EL family)"
    if not _kernel_has_nfs() and process.installed("modprobe"):
        with contextlib.suppress(process.CommandError):
            process.run(["modprobe", "-q", "nfs"], timeout=60)
    return "" if _kernel_has_nfs() else "this host's kernel has no NFS client"


def _kernel_has_nfs() -> bool:
    return any(line.split()[-1:] in (["nfs"], ["nfs4"]) for line in (files.read("/proc/filesystems") or "").splitlines())


def probe_all(exports: t.Iterable[t.Mapping[str, t.Any]], timeout: int = 60) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Probe exports one after the other, as probe() does, while no other run does so on this host. Clears away what killed ones left mounted."""
    reports: list[dict[str, t.Any]] = []
    problems: list[str] = []
    try:
        with alone("nfs-probe"):
            for folder in glob.glob(_FOLDER + "*/"):
                with contextlib.suppress(process.CommandError):
                    process.run(["umount", "-f", "-l", folder.rstrip("/")], timeout=60)
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            for export in exports:
                report, found = probe(export, timeout)
                reports.append(report)
                problems += found
    except Unreachable as error:
        problems.append(str(error))
    return reports, problems


def probe(export: t.Mapping[str, t.Any], timeout: int = 60) -> tuple[dict[str, t.Any], list[str]]:
    """Mount an export, use it as far as its access goes, and unmount. Return ({server, path, access, version, latency, available: bytes}, problems)."""
    server, path, access, version = export["server"], export["path"], export.get("access") or "rw", export.get("version")
    source = f"{f'[{server}]' if ':' in server else server}:{path}"
    report: dict[str, t.Any] = {"server": server, "path": path, "access": access, "version": None, "latency": {}}
    try:
        rpc.alive(server)
    except rpc.Silent as error:
        return report, [f"{source}: no NFS server answers there: {error}"]
    options = _PATIENT + (f",vers={version}" if version else "") + (",nolock" if version == "3" else "")
    folder = tempfile.mkdtemp(prefix=os.path.basename(_FOLDER), dir=os.path.dirname(_FOLDER))
    problems: list[str] = []
    try:
        with _timed(report, "mount"):
            process.run(["mount", "-t", "nfs", "-o", options, source, folder], timeout=timeout)
        try:
            if access == "none":
                problems.append(f"{source} should be refused to this host, and could be mounted")
            else:
                report["version"] = _version(folder)
                problems += [f"{source}: {problem}" for problem in _use(folder, access == "rw", report)]
        finally:
            problems += _unmount(folder, source)
    except process.CommandError as error:
        if access != "none" or error.code == process.LATE:
            problems.append(f"{source} could not be mounted: {_said(error)}")
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return report, problems


def _use(folder: str, write: bool, report: dict[str, t.Any]) -> t.Iterator[str]:
    """What is not as it should be in the mounted folder."""
    mine = f"{_FILE}{daemons.short_hostname()}-"
    name = os.path.join(folder, mine + secrets.token_hex(4))
    try:
        with _timed(report, "list"):
            entries = os.listdir(folder)
        space = os.statvfs(folder)
        report["available"] = space.f_bavail * space.f_frsize
    except OSError as error:
        yield f"it cannot be listed: {error.strerror}"
        return
    if not write:
        with contextlib.suppress(OSError):
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            yield "writing should be refused, and is allowed"
            os.unlink(name)
        return
    for entry in entries:
        if entry.startswith(mine):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, entry))
    step, data = "written", secrets.token_bytes(_SIZE)
    try:
        with open(name, "x+b", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            with _timed(report, "write"):
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            step = "read"
            with _timed(report, "read"):
                # what is read shall come from the server and not from this host's memory
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                file.seek(0)
                back = file.read(_SIZE)
            if back != data:
                yield "what was read is not what was written"
    except OSError as error:
        yield f"a file cannot be {step}: {error.strerror}"
    try:
        with _timed(report, "remove"):
            os.unlink(name)
    except FileNotFoundError:
        pass  # it could not be made
    except OSError as error:
        yield f"{os.path.basename(name)} was left behind: {error.strerror}"


def _unmount(folder: str, source: str) -> list[str]:
    said = ""
    for force in ([], ["-f", "-l"]):
        try:
            process.run(["umount", *force, folder], timeout=60)
            return []
        except process.CommandError as error:
            said = _said(error)
    return [f"{source} could not be unmounted: {said}"]


def _version(folder: str) -> t.Optional[str]:
    """The version of NFS that client and server agreed on, as the kernel says it."""
    rows = (line.split() for line in (files.read("/proc/mounts") or "").splitlines())
    options = next((row[3].split(",") for row in rows if row[1] == folder), [])
    return next((option[len("vers=") :] for option in options if option.startswith("vers=")), None)


def _said(error: process.CommandError) -> str:
    return " / ".join(line.strip() for line in error.text.splitlines() if line.strip()) or str(error)


@contextlib.contextmanager
def _timed(report: dict[str, t.Any], what: str) -> t.Iterator[None]:
    """Note how many milliseconds something took, where it succeeds."""
    begun = time.monotonic()
    yield
    report["latency"][what] = round((time.monotonic() - begun) * 1000, 1)
