# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to measure on, and what all parts of the benchmarks share."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = pathlib.Path(sys.executable).parent
CACHE = os.environ.get("CEPHSTACK_LAB_CACHE") or os.path.expanduser("~/.cache/cephstack-lab")
# Other collections, and the Python package that one of them needs. They are within the package ansible.
PEERS = ROOT / ".cache" / "peers"
ANSIBLE, CS = "ansible>=12,<13", "cs>=3.4"
COLLECTIONS = ("ngine_io/cloudstack", "openstack/cloud")
NAME = "bench"
NETWORK = "10.78.20"

calibrations: list[float] = []
# What is said below the table.
notes: list[str] = []


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def calibrate() -> None:
    """Note how long a fixed sum takes, in seconds."""
    begun = time.monotonic()
    sum(number * number for number in range(2_000_000))
    calibrations.append(time.monotonic() - begun)


class Lab:
    """Fresh hosts of the lab, with an inventory and ssh connections of their own. They are removed at the end of a "with", however it ends.

    site: what is declared, beyond the hosts. host: what the hosts are made as (roles/lab). keep: leave them.
    """

    def __init__(self, site: t.Mapping[str, t.Any], host: t.Mapping[str, t.Any], keep: bool = False) -> None:
        # Short, for the sockets in it. Of its own: ssh must not go on over a connection to former hosts with these addresses.
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.inventory = pathlib.Path(self.folder.name) / "hosts.json"
        self.keep = keep
        known = f"-o UserKnownHostsFile={CACHE}/labs/{NAME}/known_hosts -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
        self.ssh = [*f"-i {CACHE}/ssh/id_ed25519 {known} -o ControlMaster=auto -o ControlPersist=60s".split(), "-o", f"ControlPath={self.folder.name}/%C"]
        self.fixed = {
            "lab_name": NAME,
            "lab_network": f"{NETWORK}.0/24",
            "lab_cache": CACHE,
            "lab_host": host,
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": f"{CACHE}/ssh/id_ed25519",
            "ansible_ssh_common_args": known,
            **site,
        }
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *unused: object) -> None:
        if not self.keep and self.addresses:
            self.play("cephstack.cloud.lab", lab_state="down")
        for address in self.addresses.values():
            subprocess.run(["ssh", *self.ssh, "-O", "exit", f"root@{address}"], capture_output=True, check=False)
        self.folder.cleanup()

    def up(self, addresses: t.Mapping[str, str], groups: t.Mapping[str, t.Sequence[str]], own: t.Mapping[str, t.Mapping[str, t.Any]] = {}) -> None:
        """Make the hosts, given as name: address, where they are not there yet. own: what some of them are made as, in the place of host."""
        self.addresses = dict(addresses)
        hosts = {name: {"ansible_host": address, **({"lab_host": own[name]} if name in own else {})} for name, address in addresses.items()}
        children = {group: {"hosts": dict.fromkeys(names)} for group, names in groups.items()}
        self.inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": self.fixed, "children": children}}), encoding="utf-8")
        say(f"{len(addresses)} hosts")
        self.play("cephstack.cloud.lab", lab_state="up")

    def play(self, playbook: str, environment: t.Mapping[str, str] = {}, /, **variables: object) -> float:
        """Run a playbook; return how long it took, in seconds. Ends everything with its output where it fails."""
        command = [str(BIN / "ansible-playbook"), "-i", str(self.inventory), playbook, "-e", json.dumps(variables)]
        return self.run(command, {"ANSIBLE_SSH_CONTROL_PATH_DIR": f"{self.folder.name}/cp", **environment})

    def run(self, command: t.Sequence[str], environment: t.Mapping[str, str] = {}) -> float:
        # To a file, not a pipe: a pipe is held open by ssh's persistent master.
        with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
            calibrate()
            begun = time.monotonic()
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, **environment}, check=False)
            took = time.monotonic() - begun
            if done.returncode:
                log.seek(0)
                raise SystemExit(f"{' '.join(command)} failed:\n{log.read()[-4000:]}")
        return took

    def ask(self, host: str, command: str) -> str:
        """What a command says on a host."""
        # A fresh connection, for the same reason as in run.
        address = ["ssh", "-o", "ControlMaster=no", "-o", "ControlPath=none", *self.ssh, f"root@{self.addresses[host]}"]
        return subprocess.run([*address, command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def row(what: str, ours: t.Sequence[float], theirs: t.Sequence[float]) -> str:
    """A row of the table: medians, and how much longer the peer takes."""
    mine, peer = statistics.median(ours), statistics.median(theirs)
    return f"| {what} | {mine:.2f} s | {peer:.2f} s | {ratio(peer, mine)} |"


def ratio(peer: float, mine: float) -> str:
    return f"{peer / mine:.{0 if peer > 10 * mine else 2}f}×"


def get_peers() -> None:
    """Make the folder PEERS. Of ansible's thousands of files none but those of COLLECTIONS are unpacked."""
    if all((PEERS / "ansible_collections" / name).is_dir() for name in COLLECTIONS):
        return
    PEERS.parent.mkdir(exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(prefix="peers-", dir=PEERS.parent) as folder:
        made, package = pathlib.Path(folder) / "made", pathlib.Path(folder) / "package"
        subprocess.run([*pip, "install", "--target", str(made), CS], check=True)
        subprocess.run([*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", str(package), ANSIBLE], check=True)
        kept = tuple(f"ansible_collections/{name}/" for name in COLLECTIONS)
        with zipfile.ZipFile(next(package.glob("*.whl"))) as wheel:
            wheel.extractall(made, [name for name in wheel.namelist() if name.startswith(kept)])
        shutil.rmtree(PEERS, ignore_errors=True)
        made.rename(PEERS)
