# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that carries Ceph daemons: its processes, units, files and the daemons' admin sockets.

PRIVATE to the collection.
"""

from __future__ import annotations

import calendar
import contextlib
import dataclasses
import fcntl
import glob
import grp
import json
import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Module, Provider, Unreachable, run_module

# Where Debian, Ubuntu and the EL family put them all.
DATA = "/var/lib/ceph"
RUN = "/run/ceph"
CLUSTER = "ceph"

# A drop-in of this name in a unit's folder is this collection's own.
DROP_IN = "cephstack.conf"

_SECTION = re.compile(r"^\s*\[(?P<name>[^\]]+)\]\s*$")
_KEY = re.compile(r"^\s*key\s*=\s*(?P<key>\S+)\s*$")


class CommandError(Exception):
    """A program of this host ended with an error; its message holds what it said."""

    def __init__(self, argv: t.Sequence[str], code: int, text: str) -> None:
        self.argv = argv
        self.code = code
        self.text = text.strip()
        last = " / ".join(line.strip() for line in self.text.splitlines()[-4:] if line.strip())
        super().__init__(f"{' '.join(argv[:3])}: exit code {code}: {last or 'it said nothing'}")


class Unit(t.NamedTuple):
    """A systemd unit: whether it starts at boot and runs, and how it fares ("active", "failed", ...)."""

    enabled: bool
    active: bool
    state: str
    pid: int


@dataclasses.dataclass(frozen=True)
class Service:
    """A unit of systemd. began: when its process began, in whole seconds since 1970. stale: whether systemd has not read its files as they are now."""

    installed: bool = False
    enabled: bool = False
    running: bool = False
    began: int = 0
    stale: bool = False


NO_UNIT = Unit(False, False, "inactive", 0)


def short_hostname() -> str:
    """The host's name without its domain, as Ceph itself names a host."""
    return socket.gethostname().split(".")[0]


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


# -- systemd


def units(names: t.Sequence[str]) -> dict[str, Unit]:
    """Return the units by name, read by one process. A unit that does not exist is neither enabled nor active.

    So is every unit where systemd does not run, as in an image that is being made.
    """
    if not names or not os.path.isdir("/run/systemd/system"):
        return dict.fromkeys(names, NO_UNIT)
    properties = "--property=Id,UnitFileState,ActiveState,MainPID"
    try:
        text = run(["systemctl", "show", properties, *names], timeout=60)
    except CommandError as error:
        raise Unreachable(f"systemd of this host cannot be asked: {error}") from error
    found: dict[str, Unit] = {}
    for name, values in shown(text).items():
        state = values.get("ActiveState", "inactive")
        found[name] = Unit(
            enabled=values.get("UnitFileState", "") in ("enabled", "enabled-runtime", "static"),
            active=state in ("active", "activating", "reloading"),
            state=state,
            pid=int(values.get("MainPID") or 0),
        )
    return {name: found.get(name, NO_UNIT) for name in names}


def shown(text: str) -> dict[str, dict[str, str]]:
    """Return the properties that systemctl show prints, Id among them, by unit. Pure."""
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return {values.get("Id", ""): values for values in blocks}


def parse_units(text: str) -> dict[str, tuple[Service, bool]]:
    """Return what systemctl show says of units by name, and whether each is masked. Raises ValueError for times that are not as expected. Pure."""
    found = {}
    for name, values in shown(text).items():
        began = values.get("ExecMainStartTimestamp", "").partition(" ")[2]  # without the day of the week
        service = Service(
            installed=values.get("LoadState") not in (None, "", "not-found"),
            enabled=values.get("UnitFileState") in ("enabled", "enabled-runtime"),
            running=values.get("ActiveState") in ("active", "activating", "reloading"),
            began=calendar.timegm(time.strptime(began, "%Y-%m-%d %H:%M:%S UTC")) if began else 0,
            stale=values.get("NeedDaemonReload") == "yes",
        )
        found[name] = service, values.get("UnitFileState") == "masked"
    return found


def services(names: t.Sequence[str], instances: bool = False) -> dict[str, tuple[Service, bool]]:
    """Return what systemd says of units by name, and whether each is masked, read by one process.

    instances: names may be patterns, which stand for those that systemd knows, also where they do not run.
    """
    # Not the monotonic time: a clock that was set since would make files seem newer than they were at the start.
    properties = "--property=Id,LoadState,UnitFileState,ActiveState,NeedDaemonReload,ExecMainStartTimestamp"
    try:
        return parse_units(run(["env", "TZ=UTC", "systemctl", "show", *["--all"] * instances, properties, *names], timeout=60))
    except (CommandError, ValueError) as error:
        raise Unreachable(f"systemd of this host cannot be asked: {error}") from error


def start(name: str) -> None:
    """Enable a unit and start it; clears the memory of starts that failed before."""
    _forget_failures(name)
    run(["systemctl", "enable", "--now", name], timeout=180)


def restart(name: str) -> None:
    """Restart a unit."""
    _forget_failures(name)
    run(["systemctl", "restart", name], timeout=300)


def _forget_failures(name: str) -> None:
    """Ceph's units may start three to five times in half an hour; what failed before must not count."""
    try:
        run(["systemctl", "reset-failed", name], timeout=60)
    except CommandError:
        pass  # a unit that was never loaded has nothing to forget


def last_words(name: str) -> str:
    """Return the last lines of a unit's journal, for an error message."""
    try:
        text = run(["journalctl", "-q", "-u", name, "-n", "4", "-o", "cat", "--no-pager"], timeout=30)
    except CommandError:
        return ""
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())


def stop(name: str) -> None:
    """Stop a unit and keep it from starting at boot."""
    run(["systemctl", "disable", "--now", name], timeout=300)


def drop_in_path(unit: str) -> str:
    """Where the collection's own drop-in of a unit or template ("ceph-mgr@.service") lies."""
    return f"/etc/systemd/system/{unit}.d/{DROP_IN}"


# -- files


def owner() -> tuple[int, int]:
    """The uid and gid of Ceph's daemons on this host; root's where the packages are not there yet."""
    try:
        return pwd.getpwnam("ceph").pw_uid, grp.getgrnam("ceph").gr_gid
    except KeyError:
        return 0, 0


def read(path: str, exact: bool = False) -> t.Optional[str]:
    """Return a file's text, None where there is no such file. Raises Unreachable where it cannot be read.

    exact: keep what is no UTF-8, and ends of lines, so that the lines of others are written back as they were.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape" if exact else "replace", newline="" if exact else None) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unreachable(f"cannot read {path}: {error.strerror}") from error


def write(path: str, text: str, mode: int, uid: int = 0, gid: int = 0) -> None:
    """Write a file whole, or not at all: its permissions are right before it has its name."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".cephstack-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def changed(path: str) -> int:
    """When a file, or a link itself, was changed, in whole seconds since 1970, as systemd tells of starts; 0 where it is not there.

    What is later than now was written by a clock that was wrong: it would count at every run, and is 0, too.
    """
    try:
        seconds = int(os.lstat(path).st_mtime)
    except OSError:
        return 0
    return seconds if seconds <= time.time() else 0


def make_folder(path: str, mode: int, uid: int, gid: int) -> None:
    """Make a folder with its parents; the folder itself gets the permissions."""
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


# -- keyrings


def keyring_text(entity: str, key: str, caps: t.Optional[t.Mapping[str, str]] = None) -> str:
    """Return a keyring with one client, as Ceph writes it."""
    lines = [f"[{entity}]", f"\tkey = {key}"]
    lines += [f'\tcaps {daemon} = "{text}"' for daemon, text in (caps or {}).items()]
    return "\n".join(lines) + "\n"


def keyring_keys(text: t.Optional[str]) -> dict[str, str]:
    """Return the keys of a keyring by client."""
    keys: dict[str, str] = {}
    section = ""
    for line in (text or "").splitlines():
        named = _SECTION.match(line)
        if named:
            section = named.group("name").strip()
            continue
        found = _KEY.match(line)
        if found and section:
            keys[section] = found.group("key")
    return keys


# -- ceph.conf


def conf_value(text: t.Optional[str], option: str, section: str = "global") -> t.Optional[str]:
    """Return an option of a ceph.conf; spaces, dashes and underscores in its name are one, as for Ceph."""
    current = ""
    value = None
    for line in (text or "").splitlines():
        named = _SECTION.match(line)
        if named:
            current = named.group("name").strip()
        elif current == section and "=" in line and not line.lstrip().startswith(("#", ";")):
            name, dummy, found = line.partition("=")
            if conf_name(name) == conf_name(option):
                value = re.split(r"\s[#;]", found, maxsplit=1)[0].strip()
    return value


def conf_name(name: str) -> str:
    """Return the one spelling of an option's name."""
    return re.sub(r"[\s_-]+", "_", name.strip())


# -- admin sockets


def socket_path(daemon: str) -> t.Optional[str]:
    """The admin socket of a daemon ("mon.ceph1", "client.rgw.ceph1.s3"), None where it has none.

    A client's socket also carries its process id and a number.
    """
    plain = f"{RUN}/{CLUSTER}-{daemon}.asok"
    if os.path.exists(plain):
        return plain
    found = [path for path in glob.glob(f"{RUN}/{CLUSTER}-{glob.escape(daemon)}.*.asok") if re.search(r"\.\d+\.\d+\.asok$", path)]
    return max(found, key=os.path.getmtime) if found else None


def ask(daemon: str, prefix: str, timeout: float = 5.0) -> t.Any:
    """Ask a running daemon by its admin socket; None where it does not answer (yet).

    The protocol: the command ended by a zero byte; the answer's length in four bytes, big-endian, and the answer.
    """
    path = socket_path(daemon)
    if path is None:
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall(json.dumps({"prefix": prefix}).encode() + b"\0")
            with connection.makefile("rb") as answer:
                (length,) = struct.unpack(">I", answer.read(4))
                return json.loads(answer.read(length))
    except (OSError, struct.error, ValueError):
        return None


def version_of(text: str) -> str:
    """Return "18.2.7" of "ceph version 18.2.7 (…) reef (stable)"."""
    found = re.search(r"(\d+\.\d+\.\d+[^\s]*)", text or "")
    return found.group(1) if found else ""


def installed_version(program: str) -> str:
    """Return the version of an installed Ceph program, "" where it is not installed."""
    return version_of(run([program, "--version"], timeout=60)) if installed(program) else ""


def wait_for(check: t.Callable[[], t.Any], seconds: float, what: t.Callable[[], str]) -> t.Any:
    """Wait until check() gives something true and return that; raise TimeoutError with what() else."""
    end = time.monotonic() + seconds
    pause = 0.1
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(what())
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)


@contextlib.contextmanager
def alone(work: str, seconds: float = 1800.0, folder: str = "/run/lock") -> t.Iterator[None]:
    """Do something on this host while nobody else does the same.

    A module goes on where only its playbook was ended. The next run waits for it, then sees what it has made.
    Raises Unreachable where the other does not end within seconds.
    """
    path = os.path.join(folder, f"cephstack-{work}")
    with open(path, "a+", encoding="ascii") as lock:

        def taken() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        def holder() -> str:
            lock.seek(0)
            return f"process {lock.read().strip() or '?'} on {socket.gethostname()} has been at the same work for {seconds:.0f} s: let it end, or end it"

        try:
            wait_for(taken, seconds, holder)
        except TimeoutError as error:
            raise Unreachable(str(error)) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def reconcile_alone(work: str, module: Module, provider: Provider, armed: t.Collection[str] = ()) -> None:
    """Do run_module() while no other run is at the same work on this host."""
    try:
        with contextlib.nullcontext() if module.check_mode else alone(work):
            run_module(module, provider, armed=armed)
    except Unreachable as error:
        module.fail_json(msg=str(error))
