# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of this host: run to their end, with secrets that reach no disk and no argument list; and what the kernel says of a process.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import typing as t

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# The codes of a shell and of timeout(1).
MISSING = 127
LATE = 124


class CommandError(Exception):
    """A program of this host ended with an error; its message holds what it said."""

    def __init__(self, argv: t.Sequence[str], code: int, text: str) -> None:
        self.argv = argv
        self.code = code
        self.text = text.strip()
        last = " / ".join(line.strip() for line in self.text.splitlines()[-4:] if line.strip())
        super().__init__(f"{' '.join(argv[:3])}: exit code {code}: {last or 'it said nothing'}")


class Ended(t.NamedTuple):
    """How a program ended, and what it printed."""

    code: int
    out: str
    err: str


def complete(
    argv: t.Sequence[str],
    secret: str = "",
    timeout: t.Optional[float] = 600,
    input_text: str = "",
    env: t.Optional[t.Mapping[str, str]] = None,
    folder: t.Optional[str] = None,
    output: t.Union[t.IO[bytes], int] = subprocess.PIPE,
) -> Ended:
    """Run a program to its end, however that is. Raises CommandError where it cannot be run (MISSING) or does not end in time (LATE).

    secret: given as a file in memory; the argument "{secret}" becomes its path. So a key reaches no disk and no argument list.
    env: the whole environment, in the place of this process's without what is only its own. output: a file for all that it prints.
    """
    words = list(argv)
    if env is None:
        env = {**{key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "CEPH_ARGS")}, "LC_ALL": "C.UTF-8", "PATH": PATH}
    with contextlib.ExitStack() as stack:
        handles = []
        if secret:
            file = stack.enter_context(open(os.memfd_create("secret"), "w+b", buffering=0))
            os.fchmod(file.fileno(), 0o644)  # mysql ignores a file that others may write
            file.write(secret.encode())
            file.seek(0)
            handles = [file.fileno()]
            words = [word.replace("{secret}", f"/proc/self/fd/{file.fileno()}") for word in argv]
        try:
            done = subprocess.run(
                words,
                input=input_text,
                stdout=output,
                stderr=output,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                env=env,
                cwd=folder,
                pass_fds=handles,
            )
        except OSError as error:
            why = f"{argv[0]} is not installed on this host" if isinstance(error, FileNotFoundError) else str(error)
            raise CommandError(argv, MISSING, why) from error
        except subprocess.TimeoutExpired as error:
            raise CommandError(argv, LATE, f"no end within {timeout} s") from error
    return Ended(done.returncode, done.stdout or "", done.stderr or "")


def run(argv: t.Sequence[str], secret: str = "", timeout: int = 600, input_text: str = "") -> str:
    """Run a program as complete() does, and return what it printed. Raises CommandError."""
    done = complete(argv, secret, timeout, input_text)
    if done.code != 0:
        raise CommandError(argv, done.code, done.err or done.out)
    return done.out


def read_bytes(argv: t.Sequence[str]) -> bytes:
    """Run a program and return what it printed, which is no text. Raises CommandError."""
    done = subprocess.run(argv, capture_output=True, check=False)
    if done.returncode != 0:
        raise CommandError(argv, done.returncode, done.stderr.decode("utf-8", "replace"))
    return done.stdout


def begin(argv: t.Sequence[str], log: t.IO[bytes], env: t.Mapping[str, str]) -> None:
    """Start a program that goes on when this one has ended; what it prints goes to a log."""
    subprocess.Popen(  # pylint: disable=consider-using-with
        argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/", env=env
    )


def installed(program: str) -> bool:
    """Whether a program is on this host."""
    return shutil.which(program, path=PATH) is not None


def start_ticks(pid: int) -> int:
    """Return when a process began, in the kernel's ticks since its boot: no later process of the same number has it. Raises OSError."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[19])
