# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hosts are reached and asked: keys made for the lab, and one ssh call that tells everything.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files, files, process, wait
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import model, system

# States of ``systemctl is-system-running`` in which the boot has ended and services can be used.
UP = ("running", "degraded")
# The block of a host's /etc/hosts that is the lab's.
NAMES = "hosts of the lab"
_CUT = "=cut="


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a host said. state: of systemd. failed: its failed units. names: the lab's lines of its /etc/hosts."""

    state: str
    failed: tuple[str, ...] = ()
    names: str = ""


def make_key(lab: model.Lab) -> None:
    """Make the key pair of the lab. It belongs to whoever owns the cache's parent, who runs Ansible."""
    if not os.path.exists(lab.private_key):
        generate_key(lab.private_key, "cephstack lab")
    owner = os.stat(system.existing(os.path.dirname(lab.cache)))
    for path in (os.path.dirname(lab.private_key), lab.private_key, lab.private_key + ".pub"):
        os.chown(path, owner.st_uid, owner.st_gid)


def generate_key(path: str, comment: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    system.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])


def write_known_hosts(lab: model.Lab, addresses: t.Mapping[str, str]) -> None:
    """Write the keys of all hosts, so that ssh never asks."""
    with system.alone_for(lab.known_hosts):
        keys = {name: system.read(lab.host_key(name) + ".pub").split() for name in sorted(addresses)}
        text = "".join(f"{addresses[name]},{name} {key[0]} {key[1]}\n" for name, key in keys.items() if len(key) >= 2)
        if system.read(lab.known_hosts) != text:
            files.write(lab.known_hosts, text, 0o644)


def command(lab: model.Lab, address: str, remote: str, connect: int = 10) -> list[str]:
    options = [f"UserKnownHostsFile={lab.known_hosts}", "GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes"]
    options += [f"ConnectTimeout={connect}", "LogLevel=ERROR", "ServerAliveInterval=5", "ServerAliveCountMax=6"]
    return ["ssh", "-F", "none", "-i", lab.private_key, *(word for option in options for word in ("-o", option)), f"root@{address}", remote]


def ask(lab: model.Lab, address: str, boot: int = 0, connect: int = 5) -> t.Optional[Answer]:
    """Return what a host says, after the end of its boot or as many seconds as given, or None where ssh does not answer."""
    waiting = f"timeout {boot} systemctl is-system-running --wait >/dev/null 2>&1; " if boot else ""
    remote = f"{waiting}systemctl is-system-running; echo {_CUT}; systemctl list-units --failed --plain --no-legend --no-pager; echo {_CUT}; cat /etc/hosts"
    try:
        return parse(process.complete(command(lab, address, remote, connect), timeout=connect + boot + 15, env=os.environ).out)
    except process.CommandError:
        return None


def parse(text: str) -> t.Optional[Answer]:
    """Return the answer in what was said, None where it is not whole. Pure."""
    state, *more = text.split(_CUT + "\n")
    if len(more) != 2 or not state.strip():
        return None
    return Answer(state.strip(), tuple(line.split()[0] for line in more[0].splitlines() if line.split()), config_files.block(more[1], NAMES) or "")


def set_names(lab: model.Lab, address: str, names: str) -> None:
    script = f"sed -i '/^# BEGIN {NAMES}$/,/^# END {NAMES}$/d' /etc/hosts && cat >> /etc/hosts"
    system.run(command(lab, address, script), stdin=f"# BEGIN {NAMES}\n{names}# END {NAMES}\n")


def wait_up(lab: model.Lab, address: str, seconds: float, died: t.Callable[[], bool]) -> Answer:
    """Wait until ssh answers and systemd has ended the boot. Raises LabError that says how far it came, at once where its process has ended (died)."""
    until = time.monotonic() + seconds
    last = "no ssh at port 22"

    def up() -> t.Optional[Answer]:
        nonlocal last
        if died():
            raise system.LabError("it ended while it booted")
        if not _greets(address):
            return None
        answer = ask(lab, address, boot=max(1, int(until - time.monotonic())), connect=20)
        if answer is None:
            last = "ssh greets, but a login with the lab's key does not succeed"
        elif answer.state not in UP:
            last = f"systemd says {answer.state}" + (f", failed: {', '.join(answer.failed)}" if answer.failed else "")
        return answer if answer is not None and answer.state in UP else None

    return wait.wait_until(up, seconds, lambda: system.LabError(f"not up after {seconds:g} s: {last}"), 0.1)


def _greets(address: str) -> bool:
    """Whether an ssh server greets. Much cheaper than ssh, so it can be asked often."""
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            connection.settimeout(3)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
