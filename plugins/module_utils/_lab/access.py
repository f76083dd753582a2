# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hosts are reached and asked: keys made for the lab, and one ssh call that tells everything.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import system
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.model import Lab

# States of ``systemctl is-system-running`` in which the boot has ended and services can be used.
UP = ("running", "degraded")

_CUT = "=cut="
BEGIN, END = "# BEGIN hosts of the lab", "# END hosts of the lab"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a host said. state: of systemd. failed: its failed units. names: the lab's lines of its /etc/hosts."""

    state: str
    failed: tuple[str, ...] = ()
    names: str = ""


def make_key(lab: Lab) -> None:
    """Make the key pair of the lab. It belongs to whoever owns the cache's parent, who runs Ansible."""
    if not os.path.exists(lab.private_key):
        _keygen(lab.private_key, "cephstack lab")
    owner = os.stat(_first_existing(os.path.dirname(lab.cache)))
    for path in (os.path.dirname(lab.private_key), lab.private_key, lab.private_key + ".pub"):
        os.chown(path, owner.st_uid, owner.st_gid)


def _first_existing(path: str) -> str:
    return path if os.path.isdir(path) else _first_existing(os.path.dirname(path))


def make_host_key(directory: str) -> None:
    """Make a host's own key beside it, so that it is known before its first boot."""
    _keygen(os.path.join(directory, "ssh_host_ed25519_key"), "")


def _keygen(path: str, comment: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    for stale in (path, path + ".pub"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(stale)
    system.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])


def write_known_hosts(lab: Lab, addresses: t.Mapping[str, str]) -> None:
    """Write the keys of all hosts, so that ssh never asks."""
    lines = []
    for name, address in sorted(addresses.items()):
        key = system.read(os.path.join(lab.host_directory(name), "ssh_host_ed25519_key.pub")).split()
        if len(key) >= 2:
            lines.append(f"{address},{name} {key[0]} {key[1]}\n")
    text = "".join(lines)
    if system.read(lab.known_hosts) != text:
        system.write(lab.known_hosts, text)


def command(lab: Lab, address: str, remote: str, connect: int) -> list[str]:
    """Return the argv of an ssh call that can neither ask nor hang in its connection."""
    options = [f"UserKnownHostsFile={lab.known_hosts}", "GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes"]
    options += [f"ConnectTimeout={connect}", "LogLevel=ERROR", "ServerAliveInterval=5", "ServerAliveCountMax=6"]
    return ["ssh", "-F", "none", "-i", lab.private_key, *(word for option in options for word in ("-o", option)), f"root@{address}", remote]


def ask(lab: Lab, address: str, wait: int = 0, connect: int = 5) -> t.Optional[Answer]:
    """Return what a host says, or None where ssh does not answer.

    wait: seconds to wait for the end of its boot.
    """
    waiting = f"timeout {wait} systemctl is-system-running --wait >/dev/null 2>&1; " if wait else ""
    remote = f"{waiting}systemctl is-system-running; echo {_CUT}; systemctl list-units --failed --plain --no-legend --no-pager; echo {_CUT}; cat /etc/hosts"
    try:
        return parse(process.complete(command(lab, address, remote, connect), timeout=connect + wait + 15, env=os.environ).out)
    except process.CommandError:
        return None


def parse(text: str) -> t.Optional[Answer]:
    """Return the answer in what was said, None where it is not whole. Pure."""
    parts = text.split(_CUT + "\n")
    if len(parts) != 3 or not parts[0].strip():
        return None
    failed = tuple(line.split()[0] for line in parts[1].splitlines() if line.split())
    return Answer(state=parts[0].strip(), failed=failed, names=managed(parts[2]))


def managed(text: str) -> str:
    """Return the lab's lines of an /etc/hosts, "" where there are none. Pure."""
    dummy, begin, rest = text.partition(BEGIN + "\n")
    block, end, dummy = rest.partition(END)
    return block if begin and end else ""


def with_names(text: str, names: str) -> str:
    """Return an /etc/hosts with the lab's lines in place of the old ones. Pure."""
    before, begin, rest = text.partition(BEGIN + "\n")
    after = rest.partition(END + "\n")[2] if begin else ""
    return f"{before}{BEGIN}\n{names}{END}\n{after}"


def set_names(lab: Lab, address: str, names: str) -> None:
    """Replace the lab's lines in a running host's /etc/hosts."""
    script = f"sed -i '/^{BEGIN}$/,/^{END}$/d' /etc/hosts && cat >> /etc/hosts"
    system.run(command(lab, address, script, 10), stdin=f"{BEGIN}\n{names}{END}\n")


def wait_up(lab: Lab, address: str, seconds: float, died: t.Callable[[], bool]) -> Answer:
    """Wait until ssh answers and systemd has ended the boot. Raises LabError that says how far it came.

    died: tells whether the host's process has ended, so that nobody waits for it.
    """
    until = time.monotonic() + seconds
    last = "no ssh at port 22"
    while time.monotonic() < until:
        if died():
            raise system.LabError("it ended while it booted")
        if not _greets(address):
            time.sleep(0.1)
            continue
        answer = ask(lab, address, wait=max(1, int(until - time.monotonic())), connect=20)
        if answer is None:
            last = "ssh greets, but a login with the lab's key does not succeed"
            time.sleep(0.3)
        elif answer.state in UP:
            return answer
        else:
            last = f"systemd says {answer.state}" + (f", failed: {', '.join(answer.failed)}" if answer.failed else "")
            time.sleep(0.5)
    raise system.LabError(f"not up after {seconds:g} s: {last}")


def _greets(address: str) -> bool:
    """Return whether an ssh server greets. Much cheaper than ssh, so it can be asked often."""
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            connection.settimeout(3)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def client_missing() -> list[str]:
    """Return which of the ssh programs are not installed."""
    return [name for name in ("ssh", "ssh-keygen") if not shutil.which(name)]
