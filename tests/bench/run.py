#!/usr/bin/env python3
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare this collection with its peers, side by side in one run, and print ratios.

    run.py [site] [objects] [growth]

site     three Ceph hosts from nothing to HEALTH_OK, and again: playbooks/site.yml beside by_hand.sh, each on fresh hosts
objects  150 pools, clients and options on such a cluster: one call beside a loop over them as ceph-ansible has it
growth   site.yml where nothing is to do, with 1, 3, 10 and 30 hosts that have an OSD each

The hosts are a lab of their own, which is taken away in the end. Seconds are worth nothing on another machine; ratios
are. Before every measurement the machine does the same small sum, and how long that took is printed in the end: where
it varies, something else was running, and the figures are worth nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = pathlib.Path(sys.executable).parent
CACHE = os.environ.get("CEPHSTACK_LAB_CACHE") or os.path.expanduser("~/.cache/cephstack-lab")
LAB = "bench"
NETWORK = "10.78.20"
PACKAGES = ["ceph-mon", "ceph-mgr", "ceph-osd", "ceph-base", "ceph-common", "ceph-volume"]

calibrations: list[float] = []


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def calibrate() -> None:
    """Note how long a fixed sum takes, in seconds."""
    begun = time.monotonic()
    sum(number * number for number in range(2_000_000))
    calibrations.append(time.monotonic() - begun)


class Hosts:
    """Fresh hosts of the lab, with an inventory and ssh connections of their own.

    site: what is declared, beyond the hosts. packages: those that the hosts are made with.
    """

    def __init__(self, count: int, site: t.Mapping[str, t.Any], groups: t.Mapping[str, int], packages: t.Sequence[str] = ()) -> None:
        # Short, for the sockets in it. Of its own: ssh must not go on over a connection to former hosts with these addresses.
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.inventory = pathlib.Path(self.folder.name) / "hosts.json"
        known = f"-o UserKnownHostsFile={CACHE}/labs/{LAB}/known_hosts -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
        self.ssh = [*f"-i {CACHE}/ssh/id_ed25519 {known} -o ControlMaster=auto -o ControlPersist=60s".split(), "-o", f"ControlPath={self.folder.name}/%C"]
        self.fixed = {
            "lab_name": LAB,
            "lab_network": f"{NETWORK}.0/24",
            "lab_cache": CACHE,
            "lab_host": {"disks": [{"name": "osd0", "size": "10G"}], "packages": list(packages)},
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": f"{CACHE}/ssh/id_ed25519",
            "ansible_ssh_common_args": known,
            "ceph": {"public_network": f"{NETWORK}.0/24"},
            "ceph_osd_devices": [{"path": "/dev/disk/by-id/lab-osd0", "type": "raw"}],
            **site,
        }
        self.groups = groups
        self.addresses: dict[str, str] = {}
        self.grow(count)

    def grow(self, count: int) -> None:
        """Add hosts until there are so many."""
        self.addresses = {f"ceph{number}": f"{NETWORK}.{10 + number}" for number in range(1, count + 1)}
        groups = {group: {"hosts": dict.fromkeys(list(self.addresses)[:limit])} for group, limit in self.groups.items()}
        hosts = {name: {"ansible_host": address} for name, address in self.addresses.items()}
        self.inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": self.fixed, "children": groups}}), encoding="utf-8")
        say(f"{count} hosts")
        self.play("cephstack.cloud.lab", lab_state="up")

    def play(self, playbook: str, **variables: object) -> float:
        """Run a playbook; return how long it took, in seconds. Ends everything with its output where it fails."""
        command = [str(BIN / "ansible-playbook"), "-i", str(self.inventory), playbook, "-e", json.dumps(variables)]
        return self.run(command, {"ANSIBLE_SSH_CONTROL_PATH_DIR": f"{self.folder.name}/cp"})

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

    def by_hand(self) -> float:
        pairs = [f"{name}={address}" for name, address in self.addresses.items()]
        shim = ROOT / "roles" / "ceph_mgr" / "files" / "bcrypt.py"
        return self.run([str(HERE / "by_hand.sh"), " ".join(self.ssh), f"{NETWORK}.0/24", str(shim), *pairs])

    def site(self) -> float:
        """site.yml, until the cluster is healthy: as by_hand.sh ends."""
        healthy = "for n in $(seq 120); do ceph health | grep -q HEALTH_OK && exit 0; sleep 1; done; ceph health detail; exit 1"
        return self.play("cephstack.cloud.site") + self.run(["ssh", *self.ssh, f"root@{self.addresses['ceph1']}", healthy])

    def down(self) -> None:
        self.play("cephstack.cloud.lab", lab_state="down")
        for address in self.addresses.values():
            subprocess.run(["ssh", *self.ssh, "-O", "exit", f"root@{address}"], capture_output=True, check=False)
        self.folder.cleanup()


THREE = dict.fromkeys(("mons", "mgrs", "osds", "rgws"), 3)
# What by_hand.sh makes, and room for the many small pools of part objects. This machine's disk may be fuller than a monitor's should be.
DECLARED: dict[str, t.Any] = {
    "ceph_cluster_pools": [{"name": "vms", "pg_num": 32, "applications": ["rbd"]}],
    "ceph_cluster_options": {"mon": {"mon_data_avail_warn": 5}, "global": {"mon_max_pg_per_osd": 1000}},
    "ceph_rgw_instances": [{"name": "s3", "port": 7480}],
}


def three() -> Hosts:
    return Hosts(3, DECLARED, THREE)


def site(given: argparse.Namespace) -> list[str]:
    """The same cluster by site.yml and by hand, one after the other, each on fresh hosts; the one that begins changes with every round."""
    first: dict[str, list[float]] = {"site": [], "by_hand": []}
    again: dict[str, list[float]] = {"site": [], "by_hand": []}
    for number in range(given.rounds):
        for way in ("by_hand", "site") if number % 2 else ("site", "by_hand"):
            hosts = three()
            try:
                first[way].append(getattr(hosts, way)())
                say(f"{way}: {first[way][-1]:.1f} s")
                again[way] += [getattr(hosts, way)() for _ in range(3)]
                say(f"{way} again: {again[way][-3:]}")
            finally:
                if not given.keep:
                    hosts.down()
    return [
        row("three hosts to HEALTH_OK, first run", first["site"], first["by_hand"]),
        row("three hosts to HEALTH_OK, no-op", again["site"], again["by_hand"]),
    ]


def objects(given: argparse.Namespace) -> list[str]:
    """150 objects: first run and no-op."""
    numbers = range(given.objects)
    declared = {
        "pools": [{"name": f"bulk-{n}", "pg_num": 1, "autoscale_mode": "off", "applications": ["rbd"]} for n in numbers],
        "clients": [{"name": f"client.bulk-{n}", "caps": {"mon": "profile rbd", "osd": f"profile rbd pool=bulk-{n}"}} for n in numbers],
        "options": {f"client.bulk-{n}": {"rbd_cache_size": "32M"} for n in numbers},
    }
    hosts = three()
    try:
        hosts.site()
        result = os.path.join(hosts.folder.name, "result.json")
        hosts.play(str(HERE / "objects.yml"), bench_bulk=declared, bench_count=len(numbers), bench_result=result)
        measured = json.loads(pathlib.Path(result).read_text(encoding="utf-8"))
    finally:
        if not given.keep:
            hosts.down()
    marks = measured["marks"]
    mark, *spans = [later - earlier for earlier, later in zip(marks, marks[1:])]
    first_bulk, first_loop, *again = [span - mark for span in spans]
    return [
        row(f"{measured['objects']} objects, first run", [first_bulk], [first_loop]),
        row(f"{measured['objects']} objects, no-op", again[0::2], again[1::2]),
    ]


def growth(given: argparse.Namespace) -> list[str]:
    """site.yml where nothing is to do, on more and more hosts. Three of them have monitors, two managers; each has an OSD."""
    # The packages are in the hosts from the beginning, and the OSDs are small: it is not the first run that is measured.
    declared = {**DECLARED, "ceph_cluster_pools": [], "ceph_cluster_options": {**DECLARED["ceph_cluster_options"], "osd": {"osd_memory_target": "900M"}}}
    hosts = Hosts(given.hosts[0], declared, {"mons": 3, "mgrs": 2, "osds": max(given.hosts)}, PACKAGES)
    took = {}
    try:
        for count in given.hosts:
            if count != given.hosts[0]:
                hosts.grow(count)
            say(f"{count} hosts, first run: {hosts.play('cephstack.cloud.site'):.1f} s")
            runs = [hosts.play("cephstack.cloud.site") for _ in range(3)]
            took[count] = statistics.median(runs)
            say(f"{count} hosts, no-op: {runs}")
    finally:
        if not given.keep:
            hosts.down()
    one = took[given.hosts[0]]
    return [f"| {count} hosts with an OSD each, no-op | {seconds:.1f} s | | {seconds / one:.1f}× of {given.hosts[0]} |" for count, seconds in took.items()]


def row(what: str, ours: t.Sequence[float], theirs: t.Sequence[float]) -> str:
    """A row of the table: medians, and how much longer the peer takes."""
    mine, peer = statistics.median(ours), statistics.median(theirs)
    return f"| {what} | {mine:.2f} s | {peer:.2f} s | {peer / mine:.{0 if peer > 10 * mine else 2}f}× |"


PARTS = {"site": site, "objects": objects, "growth": growth}


def main() -> None:
    """Run what was asked for, one after the other, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=2, help="rounds of part site")
    parser.add_argument("--objects", type=int, default=50, help="a third of the objects of part objects")
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 3, 10, 30], help="numbers of hosts of part growth, ascending")
    parser.add_argument("--keep", action="store_true", help="leave the hosts of the last part")
    given = parser.parse_args()
    rows = [line for part in given.parts or PARTS for line in PARTS[part](given)]
    print("| what | this collection | the peer's way | ratio |", "|---|---|---|---|", *rows, sep="\n")
    quick, slow = min(calibrations), max(calibrations)
    print(f"\nThe same sum took from {quick:.2f} to {slow:.2f} s{': this machine was not quiet' if slow > 1.5 * quick else ''}.")


if __name__ == "__main__":
    main()
