# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part openstack: an OpenStack's catalogue in one call beside a loop over the modules of openstack.cloud.

Both run on the controller, with the same ansible-core, the same openstacksdk and the same administrator. Each first run makes things of its own names; where
nothing is to do, both look at the same ones, by turns. All requests go by way of a proxy here, which counts them.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import socket
import subprocess
import threading
import typing as t
from urllib.parse import urlsplit

import yaml
from lab import BIN, HERE, NETWORK, PEERS, ROOT, Lab, calibrate, get_peers, notes, say
from region import Run, line, read

# Names an inventory whose first host of openstack_controllers it is, with the cloud cephstack in its clouds.yaml.
CONTROLLER = "CEPHSTACK_OPENSTACK"


def inventory() -> str:
    """The inventory of the controller; "" where none is named."""
    named = os.environ.get(CONTROLLER, "")
    return os.path.realpath(named) if os.path.exists(named) else ""


def declared(label: str, tenth: int) -> dict[str, t.Any]:
    """A catalogue of ten times as many things as tenth says, as the module's options. label: what names begin with."""
    return {
        "projects": [{"name": f"{label}-project-{n:02}", "description": f"project {n}"} for n in range(tenth)],
        "flavors": [{"name": f"{label}-flavor-{n:02}", "vcpus": 1 + n % 4, "ram": 256 * (1 + n % 8), "disk": n % 3} for n in range(5 * tenth)],
        "volume_types": [{"name": f"{label}-type-{n:02}", "description": f"type {n}", "backend": f"{label}-{n:02}"} for n in range(2 * tenth)],
        "networks": [
            {
                "name": f"{label}-net-{n:02}",
                "type": "local",
                "subnets": [{"name": f"{label}-subnet-{n:02}", "cidr": f"10.{70 + n}.0.0/24", "dhcp": False}],
            }
            for n in range(2 * tenth)
        ],
    }


def absent(catalogue: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The same, none of which is to be there."""
    return {option: [{"name": item["name"], "state": "absent"} for item in items] for option, items in catalogue.items()}


class _Handler(http.server.BaseHTTPRequestHandler):
    """Hands a request on, over connections that are kept as long as the client keeps its own."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def setup(self) -> None:
        super().setup()
        self.kept: dict[str, http.client.HTTPConnection] = {}

    def finish(self) -> None:
        for connection in self.kept.values():
            connection.close()
        super().finish()

    def _forward(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("proxy-connection", "connection")}
        answer = None
        for fresh in (False, True):  # a kept connection may have ended in between
            if fresh or url.netloc not in self.kept:
                self.kept[url.netloc] = http.client.HTTPConnection(url.netloc, timeout=600)
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.kept[url.netloc].request(self.command, url._replace(scheme="", netloc="").geturl() or "/", body or None, headers)
                answer = self.kept[url.netloc].getresponse()
                break
        if answer is None:
            self.send_error(502)
            return
        self.server.count += 1
        content = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:  # as it was asked for; a client that is not told may use the connection once more
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _forward

    def log_message(self, *unused: object) -> None:
        """Nothing: a token is in the headers, and nobody asked."""


class Proxy(http.server.ThreadingHTTPServer):
    """A proxy of HTTP that counts the requests that were answered. Use as a context manager."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.count = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def __exit__(self, *unused: object) -> None:
        self.shutdown()
        self.server_close()


class Bench:
    """A controller of an inventory, and both ways to make a catalogue on it."""

    def __init__(self, lab: Lab, controller: str, proxy: Proxy) -> None:
        self.lab, self.controller, self.proxy = lab, controller, proxy

    def run(self, way: str, catalogue: t.Mapping[str, t.Any]) -> Run:
        """Make it so. way: call or loop."""
        folder = pathlib.Path(self.lab.folder.name)
        result, given = folder / "result.json", folder / "catalogue.json"
        result.unlink(missing_ok=True)
        variables = {"bench_controller": self.controller, "bench_catalogue": catalogue, "bench_result": str(result), "bench_proxy": self.proxy.url}
        variables["bench_losses"] = [f"{option[:-1]}/{item['name']}" for option, items in catalogue.items() for item in items if item.get("state") == "absent"]
        given.write_text(json.dumps(variables), encoding="utf-8")
        before = self.proxy.count
        command = [str(BIN / "ansible-playbook"), "-i", str(self.lab.inventory), str(HERE / f"openstack_{way}.yml"), "-e", f"@{given}"]
        self.lab.run(command, {"ANSIBLE_COLLECTIONS_PATH": str(PEERS), "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{folder}/cp"})
        done = json.loads(result.read_text(encoding="utf-8"))
        run = read(done, self.proxy.count - before)
        said = done["done"].get("bench_made", {}).get("api_calls")
        if said is not None and said != run.calls:
            notes.append(f"The call says that it asked {said} times, and {run.calls} requests were seen.")
        say(f"{way}: {run.seconds:.2f} s, {run.calls} calls")
        return run


def address_towards(host: str) -> str:
    """This machine's address as a host sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


@contextlib.contextmanager
def named() -> t.Iterator[Bench]:
    """The controller of the inventory that is named."""
    listed = json.loads(subprocess.run([str(BIN / "ansible-inventory"), "-i", inventory(), "--list"], capture_output=True, check=True, text=True).stdout)
    name = listed["openstack_controllers"]["hosts"][0]
    variables = listed["_meta"]["hostvars"].get(name, {})
    with Lab({}, {}) as lab, Proxy(address_towards(variables.get("ansible_host", name))) as proxy:
        lab.inventory = pathlib.Path(inventory())
        yield Bench(lab, name, proxy)


@contextlib.contextmanager
def made(given: argparse.Namespace) -> t.Iterator[Bench]:
    """A controller on a host of its own, beside one with the Ceph that it uses."""
    wanted = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/packages.yml").read_text(encoding="utf-8"))["lab_openstack_packages"]
    ceph = (ROOT / "tests/daemons/packages.txt").read_text(encoding="utf-8").split()
    one = {"osd_pool_default_size": 1, "osd_pool_default_min_size": 1, "mon_allow_pool_size_one": True, "mon_warn_on_pool_no_redundancy": False}
    site = {
        "ceph": {"public_network": f"{NETWORK}.0/24"},
        "ceph_osd_devices": [{"path": "/dev/disk/by-id/lab-osd0", "type": "raw"}],
        "ceph_cluster_options": {"global": one, "mon": {"mon_data_avail_warn": 5}},
        "ceph_cluster_pools": [{"name": name, "applications": ["rbd"]} for name in ("images", "volumes")],
        "consumers": [
            {"name": "glance", "kind": "glance", "hosts": ["openstack_controllers"], "pools": [{"name": "images"}]},
            {"name": "cinder", "kind": "cinder", "hosts": ["openstack_controllers"], "pools": [{"name": "volumes"}, {"name": "images", "access": "ro"}]},
        ],
        "openstack": {
            "admin_password": "bench-admin",
            "service_password": "bench-services",
            "database": {"password": "bench-database"},
            "messages": {"password": "bench-messages"},
        },
    }
    with Lab(site, {"disks": [{"name": "osd0", "size": "10G"}], "packages": [*ceph, "ceph-volume"]}, given.keep) as lab:
        groups = {**{group: ["ceph1"] for group in ("mons", "mgrs", "osds")}, "openstack_controllers": ["control1"]}
        lab.up({"ceph1": f"{NETWORK}.11", "control1": f"{NETWORK}.12"}, groups, {"control1": {"release": "13", "packages": wanted}})
        say(f"controller: {lab.play('cephstack.cloud.site'):.1f} s")
        with Proxy(address_towards(lab.addresses["control1"])) as proxy:
            yield Bench(lab, "control1", proxy)


def openstack(given: argparse.Namespace) -> list[str]:
    """First run and no-op of one catalogue."""
    calibrate()
    get_peers()
    tenth = 1 if given.small else 10
    mine, theirs = declared("bench-call", tenth), declared("bench-loop", tenth)
    things = sum(map(len, mine.values())) + sum(len(network["subnets"]) for network in mine["networks"])
    with named() if inventory() else made(given) as bench:
        try:
            loop_first = bench.run("loop", theirs)
            bench.run("call", absent(theirs))
            first = bench.run("call", mine)
            again, loop_again = [], []
            for _ in range(given.rounds):
                again.append(bench.run("call", mine))
                loop_again.append(bench.run("loop", mine))
            for way, runs in (("call", again), ("loop", loop_again)):
                changed = sorted({name for run in runs for name in run.changed})
                if changed:
                    notes.append(f"OpenStack: the {way} is no no-op, it calls changed: {', '.join(changed)}.")
        finally:
            for catalogue in (mine, theirs):
                bench.run("call", absent(catalogue))
    what = f"OpenStack's catalogue of {things} things"
    return [line(f"{what}, first run", [first], [loop_first]), line(f"{what}, no-op", again, loop_again)]
