#!/usr/bin/env python3
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare this collection with its peers, side by side in one run, and print ratios.

    run.py [--small] [site] [objects] [growth] [region] [openstack]
    run.py before --ref COMMIT

site     three Ceph hosts from nothing to HEALTH_OK, and again: playbooks/site.yml beside by_hand.sh, each on fresh hosts
objects  150 pools, clients and options on such a cluster: one call beside a loop over them as ceph-ansible has it
growth   site.yml where nothing is to do, with 1, 3, 10 and 30 hosts that have an OSD each
region   a CloudStack region of 1, 10, 100 and 300 simulated hosts: one call beside a loop over the modules of ngine_io.cloudstack
openstack  a catalogue of 10 projects, 50 flavors, 20 networks and 20 volume types: one call beside a loop over the modules of openstack.cloud
before   site.yml beside that of another commit of this project: three Ceph hosts, and these with a KVM host

The hosts are a lab of their own, which is taken away in the end, however that comes. Seconds are worth nothing on another machine; ratios
are. Before every measurement the machine does the same small sum, and how long that took is printed in the end: where
it varies, something else was running, and the figures are worth nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import typing as t

from catalogue import CONTROLLER, inventory, openstack
from lab import HERE, NETWORK, ROOT, Lab, calibrations, notes, row, say
from region import packages, region


class Hosts(Lab):
    """Hosts with an OSD each. site: what is declared. groups: how many of them are in each. packages: those that they are made with."""

    def __init__(self, site: t.Mapping[str, t.Any], groups: t.Mapping[str, int], packages: t.Sequence[str] = (), keep: bool = False) -> None:
        declared = {"ceph": {"public_network": f"{NETWORK}.0/24"}, "ceph_osd_devices": [{"path": "/dev/disk/by-id/lab-osd0", "type": "raw"}], **site}
        super().__init__(declared, {"disks": [{"name": "osd0", "size": "10G"}], "packages": list(packages)}, keep)
        self.groups = groups

    def grow(self, count: int, kvm_hosts: int = 0) -> None:
        """Add hosts until there are so many."""
        addresses = {f"ceph{number}": f"{NETWORK}.{10 + number}" for number in range(1, count + 1)}
        groups = {group: list(addresses)[:limit] for group, limit in self.groups.items()}
        hypervisors = {f"kvm{number}": f"{NETWORK}.{100 + number}" for number in range(1, kvm_hosts + 1)}
        self.up({**addresses, **hypervisors}, {**groups, "kvm_hosts": list(hypervisors)})

    def by_hand(self) -> float:
        pairs = [f"{name}={address}" for name, address in self.addresses.items()]
        shim = ROOT / "roles" / "ceph_mgr" / "files" / "bcrypt.py"
        return self.run([str(HERE / "by_hand.sh"), " ".join(self.ssh), f"{NETWORK}.0/24", str(shim), *pairs])

    def site(self) -> float:
        """site.yml, until the cluster is healthy: as by_hand.sh ends."""
        healthy = "for n in $(seq 120); do ceph health | grep -q HEALTH_OK && exit 0; sleep 1; done; ceph health detail; exit 1"
        return self.play("cephstack.cloud.site") + self.run(["ssh", *self.ssh, f"root@{self.addresses['ceph1']}", healthy])


HYPERVISOR = ["libvirt-clients", "libvirt-daemon-driver-storage-rbd", "libvirt-daemon-system", "python3-libvirt", "qemu-block-extra", "qemu-system-x86"]
PACKAGES = ["ceph-mon", "ceph-mgr", "ceph-osd", "ceph-base", "ceph-common", "ceph-volume", "radosgw"]
THREE = dict.fromkeys(("mons", "mgrs", "osds", "rgws"), 3)
# What by_hand.sh makes, and room for the many small pools of part objects. This machine's disk may be fuller than a monitor's should be.
DECLARED: dict[str, t.Any] = {
    "ceph_cluster_pools": [{"name": "vms", "pg_num": 32, "applications": ["rbd"]}],
    "ceph_cluster_options": {"mon": {"mon_data_avail_warn": 5}, "global": {"mon_max_pg_per_osd": 1000}},
    "ceph_rgw_instances": [{"name": "s3", "port": 7480}],
}


def installed(given: argparse.Namespace) -> list[str]:
    """What hosts are made with where it is not installing that is measured. A small run shares its image with the tests of the daemons."""
    shared = ROOT / "tests" / "daemons" / "packages.txt"
    return [*shared.read_text(encoding="utf-8").split(), "ceph-volume"] if given.small else PACKAGES


def three(given: argparse.Namespace) -> Hosts:
    return Hosts(DECLARED, THREE, installed(given) if given.small else (), given.keep)


def site(given: argparse.Namespace) -> list[str]:
    """The same cluster by site.yml and by hand, one after the other, each on fresh hosts; the one that begins changes with every round."""
    first: dict[str, list[float]] = {"site": [], "by_hand": []}
    again: dict[str, list[float]] = {"site": [], "by_hand": []}
    also: list[str] = []
    for number in range(given.rounds):
        # A small run is spared one cluster of three: site.yml makes that of growth, and what is made by hand is where objects are made.
        for way in ("by_hand",) if given.small else ("by_hand", "site") if number % 2 else ("site", "by_hand"):
            with three(given) as hosts:
                hosts.grow(3)
                first[way].append(getattr(hosts, way)())
                say(f"{way}: {first[way][-1]:.1f} s")
                again[way] += [getattr(hosts, way)() for _ in range(given.again)]
                say(f"{way} again: {again[way][-given.again :]}")
                if given.small:
                    also = measure_objects(hosts, given)
    return also or [
        row("three hosts to HEALTH_OK, first run", first["site"], first["by_hand"]),
        row("three hosts to HEALTH_OK, no-op", again["site"], again["by_hand"]),
    ]


def objects(given: argparse.Namespace) -> list[str]:
    """150 objects on a cluster of three hosts."""
    with three(given) as hosts:
        hosts.grow(3)
        hosts.site()  # made by hand it has no room for many pools
        return measure_objects(hosts, given)


def measure_objects(hosts: Hosts, given: argparse.Namespace) -> list[str]:
    """First run and no-op."""
    numbers = range(given.objects)
    declared = {
        "pools": [{"name": f"bulk-{n}", "pg_num": 1, "autoscale_mode": "off", "applications": ["rbd"]} for n in numbers],
        "clients": [{"name": f"client.bulk-{n}", "caps": {"mon": "profile rbd", "osd": f"profile rbd pool=bulk-{n}"}} for n in numbers],
        "options": {f"client.bulk-{n}": {"rbd_cache_size": "32M"} for n in numbers},
    }
    result = os.path.join(hosts.folder.name, "result.json")
    hosts.play(str(HERE / "objects.yml"), bench_bulk=declared, bench_count=len(numbers), bench_result=result)
    measured = json.loads(pathlib.Path(result).read_text(encoding="utf-8"))
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
    counts = given.hosts or [1, 3, 10, 30]
    took = {}
    with room_for(max(counts)), Hosts(declared, {"mons": 3, "mgrs": 2, "osds": max(counts)}, installed(given), given.keep) as hosts:
        for count in counts:
            hosts.grow(count)
            say(f"{count} hosts, first run: {hosts.play('cephstack.cloud.site'):.1f} s")
            runs = [hosts.play("cephstack.cloud.site") for _ in range(given.again)]
            took[count] = statistics.median(runs)
            say(f"{count} hosts, no-op: {runs}")
    one = took[counts[0]]
    return [f"| {count} hosts with an OSD each, no-op | {seconds:.1f} s | | {seconds / one:.1f}× of {counts[0]} |" for count, seconds in took.items()]


@contextlib.contextmanager
def room_for(hosts: int) -> t.Iterator[None]:
    """Containers share the kernel's inotify instances, of which systemd takes five a host: with the usual 128 the 26th does not boot."""
    limit = pathlib.Path("/proc/sys/fs/inotify/max_user_instances")
    before = limit.read_text(encoding="ascii")
    if int(before) < 10 * hosts:
        limit.write_text(str(10 * hosts), encoding="ascii")
    try:
        yield
    finally:
        limit.write_text(before, encoding="ascii")


CONSUMER = {"name": "kvm", "kind": "kvm", "pools": [{"name": "vms"}]}


def before(given: argparse.Namespace) -> list[str]:
    """The first run of each on fresh hosts, then those of which nothing is to do by turns on the same ones."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        other = pathlib.Path(folder) / "ansible_collections" / "cephstack" / "cloud"
        other.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", given.ref], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "--extract", "--directory", str(other)], input=archive.stdout, check=True)
        # In a commit that is older than consumers[].hosts each host has all consumers.
        ways = {
            "now": {"consumers": [{**CONSUMER, "hosts": ["kvm_hosts"]}], "kvm_host_allow_emulation": True},
            "before": {"consumers": [CONSUMER], "kvm_host_allow_tcg": True},
        }
        for name, kvm_hosts in (("three hosts", 0), ("three hosts and a KVM host", 1)):
            first: dict[str, list[float]] = {way: [] for way in ways}
            again: dict[str, list[float]] = {way: [] for way in ways}
            for way in ways:
                with Hosts(DECLARED, {**THREE, "mdss": 1}, [*PACKAGES, *HYPERVISOR * kvm_hosts], given.keep) as hosts:
                    hosts.grow(3, kvm_hosts)

                    turns = [*ways] * given.again if way == "now" else []
                    for took, turn in [(first, way), *((again, turn) for turn in turns)]:
                        environment = {"ANSIBLE_COLLECTIONS_PATH": folder} if turn == "before" else {}
                        took[turn].append(hosts.play("cephstack.cloud.site", environment, **(ways[turn] if kvm_hosts else {})))
                    say(f"{name}, {way}: {first[way]}")
            say(f"{name}, again: {again}")
            rows += [row(f"{name}, first run", first["now"], first["before"]), row(f"{name}, no-op", again["now"], again["before"])]
    return rows


PARTS = {"site": site, "objects": objects, "growth": growth, "region": region, "openstack": openstack}


def main() -> None:
    """Run what was asked for, one after the other, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "before", []], default=[])
    parser.add_argument("--ref", help="part before: the other commit")
    parser.add_argument("--small", action="store_true", help="each part once, to see that it works")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of part site, and of part region's runs where nothing is to do")
    parser.add_argument("--again", type=int, default=3, help="how often the parts site and growth are run where nothing is to do")
    parser.add_argument("--objects", type=int, default=50, help="a third of the objects of part objects")
    parser.add_argument("--hosts", type=int, nargs="+", help="numbers of hosts of the parts growth (1 3 10 30) and region (1 10 100 300), ascending")
    parser.add_argument("--loop-hosts", type=int, default=100, help="part region: the peer's loop is run for no more hosts than this")
    parser.add_argument("--limit", type=int, default=900, help="part region: seconds after which a loop is cut off, which is said")
    parser.add_argument("--keep", action="store_true", help="leave the hosts of the last part")
    parser.add_argument("--stand-in", action="store_true", help="part region on the stand-in of tests/cloudstack; so it is in a small run without packages")
    given = parser.parse_args()
    if given.small:
        parser.set_defaults(rounds=1, again=1, objects=1, hosts=[1], loop_hosts=1, stand_in=not packages())
        given = parser.parse_args()
    lacking = {}
    if not (packages() or given.stand_in):
        lacking["region"] = "CEPHSTACK_CLOUDSTACK_PACKAGES names no folder of CloudStack's packages, built with its simulator; --stand-in does without"
    if given.small and not inventory():  # making one takes minutes
        lacking["openstack"] = f"{CONTROLLER} names no inventory with a controller"
    for part, why in lacking.items():
        if part in given.parts:
            parser.error(f"part {part}: {why}")
        if not given.parts:
            say(f"Part {part} is left out: {why}")
    # As if by hand: what was made is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    parts = given.parts or [part for part in PARTS if part not in lacking and not (part == "objects" and given.small)]
    if "before" in parts and not given.ref:
        parser.error("part before: name the other commit by --ref")
    rows = [line for part in parts for line in {**PARTS, "before": before}[part](given)]
    print("| what | this collection | the peer's way | ratio |", "|---|---|---|---|", *rows, sep="\n")
    for note in notes:
        print(f"\n{note}")
    quick, slow = min(calibrations), max(calibrations)
    print(f"\nThe same sum took from {quick:.2f} to {slow:.2f} s{': this machine was not quiet' if slow > 1.5 * quick else ''}.")


if __name__ == "__main__":
    main()
