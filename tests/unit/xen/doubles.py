# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test doubles of what Xen's hotplug scripts run: rbd with krbd, rbd-nbd, qemu-nbd, and blktap's tap-ctl.

    python -c 'import doubles; doubles.main()' NAME ARGUMENT...

Each keeps to what the real one reads and says, as seen on Xen 4.20 with Ceph 18.2 and blktap 4.0.8. Their state is in the folder $DOUBLES:
cluster/POOL/IMAGE (JSON), keyrings/USER, sysfs/N (krbd's devices), dev/rbdN, nbd (JSON), block/nbdN (sysfs), taps (JSON), tapdisks (their
pids), calls (what was run).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # it is run hundreds of times: what only some of it needs is imported there
    import typing as t

ROOT = pathlib.Path(os.environ.get("DOUBLES", "/nonexistent"))
# drivers/tapdisk-protocol-new.h of blktap: the only export that tapdisk asks a server for
EXPORT = "tapdisk_client"
OPTION = b"IHAVEOPT"


def say(text: str, code: int = 0) -> int:
    print(text, file=sys.stderr if code else sys.stdout)
    return code


@contextlib.contextmanager
def alone() -> t.Iterator[None]:
    """What the kernel, a cluster and tapdisk do is done one after the other."""
    with (ROOT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def load(path: pathlib.Path, default: t.Any = None) -> t.Any:
    return json.loads(path.read_text()) if path.exists() else default


def save(path: pathlib.Path, value: t.Any) -> None:
    path.write_text(json.dumps(value))


def lives_on() -> int:
    """Fork what goes on by itself: its number, 0 in it. Its parent stays to let go of it at once when it ends, for which init may take a second."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return int(os.read(reading, 20))
    os.setsid()
    for number in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return 0
    os.write(writing, str(child).encode())
    os.closerange(3, 256)
    with contextlib.suppress(ChildProcessError):
        os.wait()
    os._exit(0)


# rbd, and the kernel's client


def opened(user: str, spec: str) -> t.Union[str, pathlib.Path]:
    """The image's file, or why it can't be opened, in rbd's words."""
    if (ROOT / "hang").exists():
        time.sleep(60)
    pool, _, image = spec.partition("/")
    if not (ROOT / "keyrings" / user).exists():
        return (
            "rbd: couldn't connect to the cluster!\n2026-01-01T00:00:00.000+0000 7f00 -1 auth: unable to find a keyring\nrbd: couldn't connect to the cluster!"
        )
    if not (ROOT / "cluster" / pool).is_dir():
        return f"rbd: error opening pool '{pool}': (2) No such file or directory"
    if pool not in (ROOT / "keyrings" / user).read_text().split():
        return f"rbd: error opening pool '{pool}': (1) Operation not permitted"
    path = ROOT / "cluster" / pool / image
    return path if path.is_file() else f"rbd: error opening image {image}: (2) No such file or directory"


def rbd(*arguments: str) -> int:
    words = list(arguments)
    with (ROOT / "calls").open("a") as calls:
        calls.write("rbd " + " ".join(words) + "\n")
    user, options = "admin", []
    for option in ("--id", "--format", "--options"):
        if option in words:
            place = words.index(option)
            value = words.pop(place + 1)
            words.pop(place)
            user, options = (value, options) if option == "--id" else (user, [*options, *value.split(",")] if option == "--options" else options)
    read_only = "--read-only" in words
    words = [word for word in words if word != "--read-only"]
    if words[:1] == ["status"]:
        path = opened(user, words[1])
        if isinstance(path, str):
            return say(path, 1)
        watchers = [{"address": address, "client": 4100, "cookie": 1} for address in load(path)["watchers"]]
        answer = say(json.dumps({"watchers": watchers}, separators=(",", ":")))
        # a moment in which another one may come
        time.sleep(float(os.environ.get("DOUBLES_PAUSE", "0")))
        return answer
    if words[:2] == ["device", "map"]:
        return mapped(user, words[2], options, read_only)
    if words[:2] == ["device", "unmap"]:
        return unmapped(words[2])
    return say(f"rbd: the double knows nothing of {arguments}", 22)


def mapped(user: str, spec: str, options: t.Sequence[str], read_only: bool) -> int:
    spec, _, snapshot = spec.partition("@")
    path = opened(user, spec)
    if isinstance(path, str):
        return say(path.replace("error opening", "map failed: error opening"), 1)
    with alone():
        image = load(path)
        if "exclusive" in options and "exclusive-lock" not in image["features"]:
            return say(
                'rbd: sysfs write failed\nIn some cases useful info is found in syslog - try "dmesg | tail".\nrbd: map failed: (22) Invalid argument', 22
            )
        if "exclusive" in options and image.get("owner"):
            return say("rbd: sysfs write failed\nrbd: map failed: (30) Read-only file system", 30)
        number = next(n for n in range(99) if not (ROOT / "sysfs" / str(n)).exists())
        device = ROOT / "sysfs" / str(number)
        device.mkdir(parents=True)
        pool, *namespace, name = spec.split("/")
        for key, value in {"pool": pool, "pool_ns": "".join(namespace), "name": name, "current_snap": snapshot or "-"}.items():
            (device / key).write_text(value + "\n")
        if not read_only and not snapshot:
            image["watchers"].append(f"10.0.0.1:0/{number}")
            image["owner"] = number if "exclusive" in options else None
            save(path, image)
        node = ROOT / "dev" / f"rbd{number}"
        node.parent.mkdir(exist_ok=True)
        node.touch()
    if (ROOT / "cut").exists():
        time.sleep(60)  # udev did not answer
    return say(str(node))


def unmapped(given: str) -> int:
    with alone():
        for device in sorted((ROOT / "sysfs").glob("*")):
            spec = "/".join(part for part in (device.joinpath(key).read_text().strip() for key in ("pool", "pool_ns", "name")) if part)
            node = ROOT / "dev" / f"rbd{device.name}"
            if given not in (spec, str(node)):
                continue
            busy = ROOT / "busy"
            if busy.exists():
                left = int(busy.read_text()) - 1
                busy.write_text(str(left)) if left else busy.unlink()
                return say("rbd: sysfs write failed\nrbd: unmap failed: (16) Device or resource busy", 16)
            path = ROOT / "cluster" / spec
            image = load(path)
            image["watchers"] = [address for address in image["watchers"] if address != f"10.0.0.1:0/{device.name}"]
            if image.get("owner") == int(device.name):
                image["owner"] = None
            save(path, image)
            for key in device.iterdir():
                key.unlink()
            device.rmdir()
            node.unlink()
            return 0
    return say(f"rbd: {given}: not a mapped image or snapshot\nrbd: unmap failed: (22) Invalid argument", 22)


# qemu-nbd


def qemu_nbd(*arguments: str) -> int:
    import ctypes
    import socket
    import struct

    given = dict(argument.lstrip("-").partition("=")[::2] for argument in arguments if argument.startswith("--"))
    with (ROOT / "calls").open("a") as calls:
        calls.write("qemu-nbd " + " ".join(arguments) + "\n")
    file = arguments[-1]
    spec, _, user = file[len("rbd:") :].partition(":id=")
    path = opened(user, spec.partition("@")[0])
    if isinstance(path, str):
        return say(f"qemu-nbd: Failed to blk_new_open '{file}': " + path.splitlines()[-1].replace("rbd: ", ""), 1)
    server = socket.socket(socket.AF_UNIX)
    server.bind(given["socket"])
    server.listen(8)
    if lives_on():
        # --fork: ends when it can be spoken to
        while not os.path.exists(given["pid-file"]):
            time.sleep(0.01)
        return 0
    ctypes.CDLL(None).prctl(15, b"qemu-nbd", 0, 0, 0)  # PR_SET_NAME
    address = f"10.0.0.1:0/{os.getpid()}"

    def watch(add: bool) -> None:
        with alone():
            image = load(path)
            image["watchers"] = [watcher for watcher in image["watchers"] if watcher != address] + [address] * add
            save(path, image)

    def end(*_: t.Any) -> None:
        watch(False)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    # QEMU opens an image for writing even where it will only read
    watch(True)
    pathlib.Path(given["pid-file"]).write_text(f"{os.getpid()}\n")
    while True:
        connection, _ = server.accept()
        with connection:
            # NBD's newstyle handshake, as far as an export's size. One of another name is not served.
            connection.sendall(b"NBDMAGIC" + OPTION + struct.pack(">H", 1))
            _, _, _, length = struct.unpack(">I8sII", connection.recv(20, socket.MSG_WAITALL))
            if connection.recv(length, socket.MSG_WAITALL).decode() == given["export-name"]:
                connection.sendall(struct.pack(">QH", 2048 * 512, 1) + bytes(124))


# rbd-nbd: a device outlives its server where it has a cookie


def rbd_nbd(*arguments: str) -> int:
    given, words = {}, list(arguments)
    with (ROOT / "calls").open("a") as calls:
        calls.write("rbd-nbd " + " ".join(words) + "\n")
    for option in ("--id", "--cookie", "--device", "--io-timeout", "--reattach-timeout"):
        if option in words:
            given[option] = words.pop(words.index(option) + 1)
            words.remove(option)
    verb, spec = [word for word in words if not word.startswith("--")]
    with alone():
        devices = load(ROOT / "nbd", {})
        if verb in ("map", "attach"):
            path = opened(given["--id"], spec)
            if isinstance(path, str):
                return say(path.replace("rbd: ", "rbd-nbd: "), 1)
        name = given.get("--device", spec).rpartition("/")[2]
        if verb == "map":
            name = next(f"nbd{n}" for n in range(16) if f"nbd{n}" not in devices)
            devices[name] = {"image": spec, "cookie": given["--cookie"], "server": True}
            (ROOT / "block" / name).mkdir(parents=True)
            (ROOT / "block" / name / "backend").write_text(given["--cookie"] + "\n")
        elif name not in devices:
            return say(f"rbd-nbd: {spec} is not mapped", 22)
        elif verb == "attach":
            if devices[name]["cookie"] != given["--cookie"] or devices[name]["server"]:
                return say("rbd-nbd: cookie mismatch", 22)
            devices[name]["server"] = True
        elif verb == "detach":
            devices[name]["server"] = False
        elif verb == "unmap":
            del devices[name]
            (ROOT / "block" / name / "backend").unlink()
        save(ROOT / "nbd", devices)
    return say(f"/dev/{name}") if verb in ("map", "attach") else 0


# blktap


def tap_ctl(verb: str, *arguments: str) -> int:
    with (ROOT / "calls").open("a") as calls:
        calls.write(f"tap-ctl {verb} {' '.join(arguments)}\n")
    if (ROOT / f"tap-ctl-{verb}-fails").exists():
        return say("tap-ctl: Connection reset by peer", 104)
    words, given = list(arguments), {}
    while words:
        option = words.pop(0)
        given[option] = words.pop(0) if option in ("-a", "-p", "-m") else ""
    with alone():
        taps = load(ROOT / "taps", {})
        code = tap(taps, verb, given)
        save(ROOT / "taps", taps)
    return code


def tap(taps: dict[str, t.Any], verb: str, given: t.Mapping[str, str]) -> int:
    pid, minor = given.get("-p", ""), given.get("-m", "")
    entry = taps.get(minor)
    if verb == "allocate":
        minor = next(str(n) for n in range(99) if str(n) not in taps)
        taps[minor] = {"pid": "", "state": "", "args": "", "sectors": None}
        return say(f"/run/blktap-control/tapdisk/tapdisk-{minor}")
    if verb == "spawn":
        child = lives_on()
        if not child:
            os.execvp("sleep", ["sleep", "300"])
        with (ROOT / "tapdisks").open("a") as file:
            file.write(f"{child}\n")
        return say(str(child))
    if verb == "list":
        for number, found in taps.items():
            if minor in ("", number) and pid in ("", found["pid"]):
                args = f" args={found['args']}" if found["args"] else ""
                print((f"pid={found['pid']} " if found["pid"] else "") + f"minor={number} state={found['state'] or '0'}{args}")
        return 0
    if entry is None or (verb != "attach" and verb != "free" and entry["pid"] != pid):
        return say("tap-ctl: No such device", 2)
    if verb == "attach":
        entry["pid"] = pid
    elif verb == "open":
        kind, _, path = given["-a"].partition(":")
        if kind != "nbd":
            return say(f"tap-ctl: {kind}: Invalid argument", 22)  # stock tapdisk has no driver for rbd
        import socket
        import struct

        with socket.socket(socket.AF_UNIX) as server:
            server.connect(path)
            server.recv(18, socket.MSG_WAITALL)
            server.sendall(struct.pack(">I", 1) + OPTION + struct.pack(">II", 1, len(EXPORT)) + EXPORT.encode())
            said = server.recv(10, socket.MSG_WAITALL)
            # tapdisk takes a server that hangs up for a disk of no size
            entry["sectors"] = struct.unpack(">QH", said)[0] // 512 if len(said) == 10 else 0
        entry.update(state="0", args=given["-a"], read_only="-R" in given)
    elif verb == "close":
        entry.update(args="", sectors=None)
    elif verb in ("detach", "destroy"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(entry["pid"]), signal.SIGTERM)
        entry["pid"] = ""
    if verb in ("free", "destroy"):
        del taps[minor]
    return 0


def main() -> None:
    commands = {"rbd": rbd, "rbd-nbd": rbd_nbd, "qemu-nbd": qemu_nbd, "tap-ctl": tap_ctl}
    sys.exit(commands[sys.argv[1]](*sys.argv[2:]))
