# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of itself before anything is made of it: the way to others and their clocks, room, who holds its ports, what it has of a cluster.

All of it is read, none of it is judged: that needs what all hosts say, and is done where preflight runs.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import glob
import ipaddress
import os
import socket
import threading
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, devices
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mons import ADMIN_KEYRING
from ansible_collections.cephstack.cloud.plugins.module_utils._host import icmp, ports, process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import field, records, string, strings

# Where packages and stores go.
PLACES = ("/usr", "/var/cache/apt/archives", daemons.DATA)
PATIENCE = 4.0
OPTIONS = {
    "peers": records(
        "Other hosts, the way to which is tried, and with whose clocks this host's is compared.",
        {"host": string("Its name.", required=True), "address": string("Its address, or a name that leads there.", required=True)},
        default=[],
    ),
    "networks": strings("The networks, in CIDR form, in which the address is that a peer's name leads to. In any by default.", default=[]),
    "ports": field("list", "The TCP ports of which is asked what holds them.", elements="int", default=[]),
    "programs": strings("Programs that may hold them, and of which is asked whether they are installed.", default=[]),
    "devices": strings("The devices of which is asked whether an OSD is on them.", default=[]),
}


class Background:
    """Work beside other work. What takes too long is left alone, and ends with the process."""

    def __init__(self, work: t.Callable[[], t.Any]) -> None:
        self._found: list[t.Any] = []
        self._thread = threading.Thread(target=lambda: self._found.append(work()), daemon=True)
        self._thread.start()

    def result(self, seconds: float) -> t.Any:
        """What was found, None where it is not through by then or has failed."""
        self._thread.join(seconds)
        return self._found[0] if self._found else None


def resolve(name: str, networks: t.Sequence[str]) -> str:
    """The address that a name has in some networks, "" where it has none."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        found = dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM))
    except OSError:
        return ""
    within = [ipaddress.ip_network(network, strict=False) for network in networks]
    return next((one for one in found if not within or any(ipaddress.ip_address(one) in network for network in within)), "")


def ways(peers: t.Sequence[t.Mapping[str, str]], networks: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """The ways to all peers, asked at the same time. Empty where this process may not ask."""
    looked = [(peer["host"], Background(functools.partial(resolve, peer["address"], networks))) for peer in peers]
    end = time.monotonic() + PATIENCE / 2
    addresses = [(host, one.result(max(0.0, end - time.monotonic())) or "") for host, one in looked]
    try:
        found = icmp.ask(address for _host, address in addresses if address)
    except OSError:
        return []
    return [
        {
            "host": host,
            "address": address,
            "answers": way.answers,
            "size": way.size,
            "full": way.full,
            "told": way.told,
            "ahead": way.offset,
            "error": way.error,
        }
        for host, address in addresses
        for way in [found.get(address)]
        if way is not None
    ]


def room(path: str) -> dict[str, t.Any]:
    """The room of the filesystem that a path is on, or would be on, in bytes."""
    there = path
    while not os.path.exists(there):
        there = os.path.dirname(there)
    found = os.statvfs(there)
    return {"path": path, "total": found.f_blocks * found.f_frsize, "free": found.f_bavail * found.f_frsize, "filesystem": os.stat(there).st_dev}


def traces(paths: t.Sequence[str]) -> dict[str, t.Any]:
    """What this host has of a Ceph cluster: its monitors' stores, the administrator's keyring, and its OSDs by where they are."""
    found: dict[str, str] = {}
    for path in glob.glob(f"{daemons.DATA}/osd/{daemons.CLUSTER}-*/ceph_fsid"):
        with open(path, encoding="utf-8") as file:
            found[os.path.dirname(path)] = file.read().strip()
    for path in paths:
        try:
            osd = devices.osd_of_label(devices.read_label(path))
        except Unreachable:  # gone, or broken: said by whoever uses it
            continue
        if osd is not None:
            found[path] = osd.cluster
    stores = [os.path.basename(os.path.dirname(path)) for path in sorted(glob.glob(f"{daemons.DATA}/mon/{daemons.CLUSTER}-*/store.db"))]
    return {"monitors": stores, "admin": os.path.exists(ADMIN_KEYRING), "osds": found}


def look(options: t.Mapping[str, t.Any], others: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return a host's facts. others: what collects those that are Ansible's own, beside which the answers of the other hosts are waited for."""
    now = time.time()
    asking = Background(lambda: ways(options["peers"], options["networks"]))
    mine = {
        "time": now,
        "rooms": [room(path) for path in PLACES],
        "listeners": [one._asdict() for one in ports.listening(set(options["ports"]), set(options["programs"]))],
        "programs": [name for name in options["programs"] if process.installed(name)],
        "traces": traces(options["devices"]),
    }
    return {**others(), "ansible_cephstack": {**mine, "ways": asking.result(PATIENCE) or []}}
