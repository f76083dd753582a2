# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part region: a CloudStack region with many simulated hosts, in one call beside a loop over the modules of ngine_io.cloudstack.

Both run on this machine, with the same ansible-core, against one management server. Each first run makes a zone of its own, on a server that has
no other; where nothing is to do, both look at the same zone, by turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t

import yaml
from lab import BIN, HERE, NETWORK, PEERS, ROOT, Lab, calibrate, get_peers, notes, ratio, say

sys.path.insert(0, str(ROOT / "tests" / "cloudstack"))
import simulated

KEYS = "/etc/cloudstack/management/cephstack-keys.json"
CALLS = "/var/log/cloudstack/management/access.log"  # a line for each call
IN_A_CLUSTER, IN_A_POD = 10, 50


def packages() -> str:
    """The folder with CloudStack's packages; "" where none is named. Those of a repository have no simulator."""
    named = os.environ.get("CEPHSTACK_CLOUDSTACK_PACKAGES", "")
    return os.path.realpath(named) if os.path.isdir(named) else ""


def declared(label: str, count: int, threshold: float) -> dict[str, t.Any]:
    """A region of so many hosts, as the module's options.

    label: what names begin with; of equal length in all, for the server finds clusters by a part of their name. threshold: a setting that differs
    between first runs, so that each has it to change.
    """
    pods = []
    for number in range(-(-count // IN_A_POD)):
        hosts = range(number * IN_A_POD, min(count, (number + 1) * IN_A_POD))
        clusters = [hosts[begin : begin + IN_A_CLUSTER] for begin in range(0, len(hosts), IN_A_CLUSTER)]
        pods.append(
            {
                "name": f"{label}-p{number:02}",
                "gateway": f"10.60.{number}.1",
                "netmask": "255.255.255.0",
                "start": f"10.60.{number}.200",
                "end": f"10.60.{number}.220",
                "clusters": [
                    {
                        "name": f"{label}-c{part[0] // IN_A_CLUSTER:02}",
                        "hypervisor": "simulator",
                        "hosts": [{"url": f"http://sim/c0/h{host}"} for host in part],
                    }
                    for part in clusters
                ],
            }
        )
    traffic = [{"type": kind, "kvm_label": "cloudbr0"} for kind in ("management", "guest", "public", "storage")]
    zone = {
        "name": label,
        "dns1": "10.0.0.53",
        "internal_dns1": "10.0.0.53",
        "guest_cidr": "10.1.1.0/24",
        "settings": {"pool.storage.capacity.disablethreshold": "0.8"},
        "physical_networks": [{"name": f"{label}-net", "vlan": "100-200", "traffic": traffic}],
        "public_ranges": [{"start": "10.61.0.50", "end": "10.61.0.90", "gateway": "10.61.0.1", "netmask": "255.255.255.0"}],
        "pods": pods,
    }
    storage = {"name": f"{label}-rbd", "zone": label, "scope": "cluster", "pod": pods[0]["name"], "cluster": pods[0]["clusters"][0]["name"]}
    return {
        # Nobody has this key: simulated hosts look at none.
        "consumers": [{"name": "cs", "kind": "cloudstack", "pools": [{"name": label}]}],
        "ceph": {"mon_host": "10.9.0.1", "keys": {"client.cs": "AQD1hJxkAW1RGRAAA56oHGN6dWPDLss2b05Cww=="}, "pools": [label]},
        "settings": {"agent.load.threshold": str(threshold), "network.throttling.rate": "150"},
        "zones": [zone],
        "primary_storage": [{**storage, "hypervisor": "simulator", "consumer": "cs", "pool": label, "tags": ["ceph"]}],
        "disk_offerings": [{"name": f"{label}-{size}g", "display_text": f"{size} GB", "size": size, "tags": ["ceph"]} for size in (5, 20, 100)],
        "service_offerings": [
            {"name": f"{label}-{memory}m", "display_text": f"{memory} MB", "cpu_number": 1, "cpu_speed": 500, "memory": memory, "tags": ["ceph"]}
            for memory in (512, 1024, 2048)
        ],
    }


def named(region: t.Mapping[str, t.Any], rows: t.Optional[t.Sequence[t.Mapping[str, t.Any]]] = None) -> list[dict[str, str]]:
    """The hosts as the loop declares them: each with its pod and cluster.

    rows: the existing hosts. These modules know a host by the name that it has, and a simulated one is named by the server: so the names are given
    where nothing is to do. Without them each host is new.
    """
    hosts = [
        {"pod": pod["name"], "cluster": cluster["name"], "url": host["url"], "name": host["url"].rpartition("/")[2]}
        for pod in region["zones"][0]["pods"]
        for cluster in pod["clusters"]
        for host in cluster["hosts"]
    ]
    if rows is None:
        return hosts
    existing = sorted(rows, key=lambda row: (row["clustername"], row["name"]))
    if [row["clustername"] for row in existing] != sorted(host["cluster"] for host in hosts):
        raise SystemExit(f"{len(hosts)} hosts are declared, and the server has {len(existing)}, or in other clusters")
    return [{**host, "name": row["name"]} for host, row in zip(sorted(hosts, key=lambda host: host["cluster"]), existing)]


class Run(t.NamedTuple):
    """One run: its seconds, the calls that the server has seen, how many objects were asked for, which of them it left out or called changed."""

    seconds: float
    calls: int
    items: int
    cut: int
    changed: t.Sequence[str]


def read(measured: t.Mapping[str, t.Any], calls: int) -> Run:
    """What a playbook has written to bench_result. Between the first two of its marks is nothing: what a mark itself takes."""
    before, begun, ended = measured["marks"]
    results = [(name.replace("bench_", ""), one) for name, whole in measured["done"].items() for one in whole.get("results", [whole])]
    cut = sum(1 for _name, one in results if one.get("skipped"))
    changed = [name for name, one in results if one.get("changed")]
    return Run((ended - begun) - (begun - before), calls, len(results) - cut, cut, changed)


class Bench:
    """A management server, and both ways to make a region on it.

    read: returns the text of a file of the server's. keys, calls: the file with the address and the keys, and that with a line for each call.
    """

    def __init__(self, lab: Lab, limit: float, read: t.Callable[[str], str], keys: str, calls: str) -> None:
        from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client

        self.lab, self.limit, self.read, self.calls = lab, limit, read, calls
        self.connection = json.loads(read(keys))
        self.server = client.connect(self.connection)

    def seen(self) -> int:
        """How many calls the server has answered."""
        time.sleep(1)
        return self.read(self.calls).count("\n")

    def run(self, way: str, region: t.Mapping[str, t.Any], hosts: t.Sequence[t.Mapping[str, str]] = (), first: bool = False) -> Run:
        """Make the region so. way: call or loop."""
        folder = pathlib.Path(self.lab.folder.name)
        result, given = folder / "result.json", folder / "region.json"
        result.unlink(missing_ok=True)
        variables = {"bench_region": region, "bench_named": hosts, "bench_first": first, "bench_result": str(result)}
        variables.update(bench_connection=self.connection, bench_deadline=time.time() + self.limit)
        # By file: nothing secret in what other processes see of this one.
        given.touch(0o600)
        given.write_text(json.dumps(variables), encoding="utf-8")
        environment = {
            "CLOUDSTACK_ENDPOINT": self.connection["url"],
            "CLOUDSTACK_KEY": self.connection["api_key"],
            "CLOUDSTACK_SECRET": self.connection["api_secret"],
            "CLOUDSTACK_TIMEOUT": "120",
            "NO_PROXY": "*",
            "ANSIBLE_COLLECTIONS_PATH": str(PEERS),
            "PYTHONPATH": str(PEERS),
        }
        before = self.seen()
        playbook = str(HERE / f"region_{way}.yml")
        self.lab.run([str(BIN / "ansible-playbook"), "-i", "localhost,", playbook, "-e", f"@{given}"], environment)
        done = json.loads(result.read_text(encoding="utf-8"))
        run = read(done, self.seen() - before)
        said = done["done"].get("bench_made", {}).get("api_calls")
        if said is not None and said != run.calls:
            notes.append(f"The module counted {said} calls where the server has seen {run.calls}.")
        say(f"{region['zones'][0]['name']}, {way}: {run.seconds:.1f} s, {run.calls} calls, {run.items} objects, {len(run.changed)} changed, {run.cut} left out")
        return run

    def remove(self, region: t.Mapping[str, t.Any]) -> None:
        simulated.delete_zone(self.server, region["zones"][0]["name"])
        for listing, delete, option in (
            ("listDiskOfferings", "deleteDiskOffering", "disk_offerings"),
            ("listServiceOfferings", "deleteServiceOffering", "service_offerings"),
        ):
            names = {item["name"] for item in region[option]}
            for row in self.server.rows(listing, listall=True):
                if row["name"] in names:
                    self.server.call(delete, id=row["id"])

    def hosts(self, region: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
        zone = next(row for row in self.server.rows("listZones") if row["name"] == region["zones"][0]["name"])
        return self.server.rows("listHosts", zoneid=zone["id"], type="Routing")


def measure(bench: Bench, count: int, rounds: int, looped: bool) -> list[str]:
    """The rows of one number of hosts: first run and no-op."""
    mine, theirs = declared(f"c{count:03}", count, 0.71), declared(f"l{count:03}", count, 0.72)
    loop_first: t.Optional[Run] = None
    again: list[Run] = []
    loop_again: list[Run] = []
    if looped:
        loop_first = bench.run("loop", theirs, named(theirs), first=True)
        bench.remove(theirs)
    first = bench.run("call", mine)
    hosts = named(mine, bench.hosts(mine))
    for _ in range(rounds):
        again.append(bench.run("call", mine))
        if looped:
            loop_again.append(bench.run("loop", mine, hosts))
    for way, runs in (("call", again), ("loop", loop_again)):
        changed = sorted({name for run in runs for name in run.changed})
        if changed:
            notes.append(f"{count} hosts: the {way} is no no-op, it calls changed: {', '.join(changed)}.")
    bench.remove(mine)
    what = f"region of {count} simulated hosts"
    rows = [line(f"{what}, first run", [first], [loop_first] if loop_first else []), line(f"{what}, no-op", again, loop_again)]
    say("\n".join(rows))  # so that they are there even if the next number fails
    return rows


def line(what: str, ours: t.Sequence[Run], theirs: t.Sequence[Run]) -> str:
    """A row of the table, of the medians. Where a loop was cut off, what it took so far is the least that it takes."""
    mine = middle(ours)
    left = f"| {what} | {mine.seconds:.2f} s, {mine.calls} calls |"
    if not theirs:
        return f"{left} not run | |"
    peer = middle(theirs)
    if peer.cut:
        left_out = f"{peer.cut} of {peer.items + peer.cut} objects"
        notes.append(f"{what}: the loop was cut off with {left_out} left: its time and the ratio are the least that they can be.")
        return f"{left} > {peer.seconds:.2f} s, > {peer.calls} calls | > {ratio(peer.seconds, mine.seconds)} |"
    return f"{left} {peer.seconds:.2f} s, {peer.calls} calls | {ratio(peer.seconds, mine.seconds)} |"


def middle(runs: t.Sequence[Run]) -> Run:
    """The run of median length; of two, the shorter one."""
    return sorted(runs)[(len(runs) - 1) // 2]


@contextlib.contextmanager
def stand_in(given: argparse.Namespace) -> t.Iterator[Bench]:
    """The stand-in for a management server, on this machine. It answers at once, so its figures say nothing of a real one."""
    with Lab({}, {}) as lab:
        keys, calls = f"{lab.folder.name}/keys.json", f"{lab.folder.name}/calls"
        command = [sys.executable, str(ROOT / "tests/cloudstack/stand_in.py"), "--keys-file", keys, "--access-log", calls]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            try:
                if not (server.stdout and server.stdout.readline()):
                    raise SystemExit("the stand-in for a management server did not start: what it said is above")
                yield Bench(lab, given.limit, lambda path: pathlib.Path(path).read_text(encoding="utf-8"), keys, calls)
            finally:
                server.terminate()


@contextlib.contextmanager
def management_server(given: argparse.Namespace) -> t.Iterator[Bench]:
    """A real one, on a host of its own."""
    wanted = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/packages.yml").read_text(encoding="utf-8"))["lab_cloudstack_server_packages"]
    secrets = {"admin_password": "bench-admin", "management_key": "bench-files", "database_key": "bench-values", "database": {"password": "bench-database"}}
    site = {"cloudstack": {"packages": {"source": "folder", "folder": packages()}, "simulator": True, **secrets}}
    with Lab(site, {"release": "12", "packages": wanted}, given.keep) as lab:
        lab.up({"cloud1": f"{NETWORK}.11"}, {"cloudstack_management": ["cloud1"]})
        say(f"management server: {lab.play(str(HERE / 'region_server.yml')):.1f} s")
        yield Bench(lab, given.limit, lambda path: lab.ask("cloud1", f"cat {path}"), KEYS, CALLS)


def region(given: argparse.Namespace) -> list[str]:
    """A region of more and more simulated hosts."""
    calibrate()
    get_peers()
    if given.stand_in:
        notes.append("Part region ran on the stand-in, which answers at once and only in part as CloudStack does: the calls are right, the seconds are not.")
    with stand_in(given) if given.stand_in else management_server(given) as bench:
        if not given.small:
            # Both ways once, unmeasured: a server that has just begun is slow.
            kept = notes[:]
            measure(bench, 2, 1, looped=given.loop_hosts > 0)
            notes[:] = kept
        return [row for count in given.hosts or [1, 10, 100, 300] for row in measure(bench, count, given.rounds, count <= given.loop_hosts)]
