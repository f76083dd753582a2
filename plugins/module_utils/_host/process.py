# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of this host: run to their end, with secrets that reach no disk and no argument list; and what the kernel says of a process.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t


class CommandError(Exception):
    """A program of this host ended with an error; its message holds what it said."""

    def __init__(self, argv: t.Sequence[str], code: int, text: str) -> None:
        self.argv = argv
        self.code = code
        self.text = text.strip()
        last = " / ".join(line.strip() for line in self.text.splitlines()[-4:] if line.strip())
        super().__init__(f"{' '.join(argv[:3])}: exit code {code}: {last or 'it said nothing'}")


def run(argv: t.Sequence[str], secret: str = "", timeout: int = 600, input_text: str = "") -> str:
    """Run a program and return what it printed. Raises CommandError.

    secret: given as a file in memory; the argument "{secret}" becomes its path. So a key reaches no disk and no argument list.
    """
    descriptor = -1
    try:
        if secret:
            descriptor = os.memfd_create("secret")
            os.write(descriptor, secret.encode())
            os.lseek(descriptor, 0, os.SEEK_SET)
        words = [word.replace("{secret}", f"/proc/self/fd/{descriptor}") for word in argv]
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "CEPH_ARGS")}
        environment["LC_ALL"] = "C.UTF-8"
        environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        try:
            done = subprocess.run(
                words,
                input=input_text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                env=environment,
                pass_fds=[descriptor] if descriptor >= 0 else [],
            )
        except FileNotFoundError as error:
            raise CommandError(argv, 127, f"{argv[0]} is not installed on this host") from error
        except subprocess.TimeoutExpired as error:
            raise CommandError(argv, 124, f"no end within {timeout} s") from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    if done.returncode != 0:
        raise CommandError(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def installed(program: str) -> bool:
    """Whether a program is on this host."""
    return shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is not None


def start_ticks(pid: int) -> int:
    """Return when a process began, in the kernel's ticks since its boot: no later process of the same number has it. Raises OSError."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[19])
