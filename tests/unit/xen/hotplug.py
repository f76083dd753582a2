# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A first domain for the hotplug scripts, and libxl as they see it.

CEPHSTACK_XEN_SCRIPTS=/etc/xen/scripts takes Xen's own block-common.sh instead of the stand-in beside this file.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
FILES = HERE.parents[2] / "roles" / "xen_host" / "files"
XEN = os.environ.get("CEPHSTACK_XEN_SCRIPTS")


# A file for each node. They are run too often to be in Python.
XENSTORE = {
    "xenstore-read": 'cat "$DOUBLES/store/$1" 2> /dev/null || { echo "xenstore-read: couldn\'t read path $1" >&2; exit 1; }',
    "xenstore-write": 'while [ $# -gt 0 ]; do mkdir -p "$DOUBLES/store/${1%/*}"; printf %s "$2" > "$DOUBLES/store/$1"; shift 2; done',
}


class Host:
    """A first domain with a cluster in reach. real: these programs are the real ones."""

    def __init__(self, root: pathlib.Path, real: tuple[str, ...] = ()) -> None:
        self.root = root
        self.scripts = root / "scripts"
        programs = root / "bin"
        for folder in (self.scripts, programs, root / "keyrings", root / "cluster", root / "log"):
            folder.mkdir()
        self.program("logger", 'echo "$@" >> "$DOUBLES/log/syslog"')
        for name, text in XENSTORE.items():
            self.program(name, text)
        for name in sorted({"rbd", "rbd-nbd", "qemu-nbd", "tap-ctl"} - set(real)):
            run = f"import sys; sys.path.append({str(HERE)!r}); import doubles; doubles.main()"  # compiled once
            self.program(name, f'exec "{sys.executable}" -IS -c "{run}" {name} "$@"')
        # Where things are is the kernel's and Xen's: the same text with other places.
        places = {
            "/dev/rbd": f"{root}/dev/rbd",
            "/sys/bus/rbd/devices": f"{root}/sysfs",
            "/sys/block": f"{root}/block",
            "/run/block-tap-rbd": f"{root}/run",
            **({} if real else {"sleep 1\n": "sleep 0.05\n"}),
        }
        self.install([FILES / "block-rbd-common.sh", FILES / "block-rbd", FILES / "block-tap-rbd", FILES / "cephstack-rbd-nbd"], places)
        if XEN:
            names = ("block-common.sh", "xen-hotplug-common.sh", "xen-script-common.sh", "locking.sh", "logging.sh", "hotplugpath.sh")
            found = [pathlib.Path(XEN) / name for name in names]
            self.install(found, {"/var/run/xen-hotplug": f"{root}/hotplug", "/var/log/xen": f"{root}/log", 'bindir="/usr/bin"': f'bindir="{programs}"'})
        else:
            shutil.copy(HERE / "block-common.sh", self.scripts)
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "DOUBLES": str(root)}
        self.keyring("xen", "vms")
        self.image("vms/web")

    def program(self, name: str, text: str) -> None:
        (self.root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.root / "bin" / name).chmod(0o755)

    def install(self, files: list[pathlib.Path], places: dict[str, str]) -> None:
        for path in files:
            text = path.read_text()
            for place, here in places.items():
                text = text.replace(place, here)
            (self.scripts / path.name).write_text(text)
            (self.scripts / path.name).chmod(0o755)

    def keyring(self, user: str, *pools: str) -> None:
        (self.root / "keyrings" / user).write_text(" ".join(pools))

    def image(self, spec: str, **other: object) -> None:
        path = self.root / "cluster" / spec
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"features": ["layering", "exclusive-lock"], "watchers": [], "owner": None, **other}))

    def is_there(self, spec: str) -> dict[str, object]:
        return json.loads((self.root / "cluster" / spec).read_text())

    def mapped(self) -> list[str]:
        return sorted(f"{device.joinpath('pool').read_text().strip()}/{device.joinpath('name').read_text().strip()}" for device in self.root.glob("sysfs/*"))

    def taps(self) -> dict[str, dict[str, object]]:
        return json.loads((self.root / "taps").read_text() or "{}") if (self.root / "taps").exists() else {}

    def tapdisks(self) -> list[int]:
        path = self.root / "tapdisks"
        return [pid for pid in map(int, path.read_text().split() if path.exists() else []) if pathlib.Path(f"/proc/{pid}/stat").exists()]

    def servers(self) -> list[pathlib.Path]:
        return list(self.root.glob("run/*.sock"))

    def calls(self, program: str) -> list[str]:
        path = self.root / "calls"
        return [line for line in (path.read_text().splitlines() if path.exists() else []) if line.startswith(program)]

    def disk(self, guest: int = 1, device: int = 51712, target: str = "vms/web:id=xen", mode: str = "w", script: str = "block-rbd") -> Disk:
        return Disk(self, guest, device, target, mode, script)


class Disk:
    """One disk of a guest, as libxl sees it."""

    def __init__(self, host: Host, guest: int, device: int, target: str, mode: str, script: str) -> None:
        self.host, self.script = host, script
        self.tap = script == "block-tap-rbd"
        self.path = f"/local/domain/0/backend/{'vbd3' if self.tap else 'vbd'}/{guest}/{device}"
        self.folder = host.root / "store" / self.path.lstrip("/")
        self.folder.mkdir(parents=True)
        given = {"params": f"aio:{target}" if self.tap else target, "mode": mode, "state": "2", "frontend-id": str(guest)}
        for key, value in given.items():
            (self.folder / key).write_text(value)

    def start(self, command: str, **environment: str) -> subprocess.Popen[bytes]:
        kind = "vbd3" if self.tap else "vbd"
        own = {"XENBUS_PATH": self.path, "XENBUS_TYPE": kind, "XENBUS_BASE_PATH": "backend", **environment}
        script = self.host.scripts / self.script
        return subprocess.Popen([script, command], env={**self.host.environment, **own}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=True)

    def run(self, command: str, **environment: str) -> int:
        return self.start(command, **environment).wait(timeout=60)

    def __getattr__(self, key: str) -> str:
        node = self.folder / key.replace("_", "-")
        return node.read_text() if node.is_file() else ""

    def ready(self) -> bool:
        return self.hotplug_status == "connected"
