# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor of a host: founding a cluster, or joining the living one.

There is one way in for every monitor but the very first: take the living monmap, add yourself, start, be in quorum.
So a cluster's first boot and a monitor added years later are the same code.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import json
import os
import shutil
import tempfile
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import admin_socket, ceph_conf, keyring_files, paths, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.daemons import ensure_running
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import addresses_of, addrvec, mon_host_by_rank
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, Unreachable

ADMIN = "client.admin"
ADMIN_KEYRING = "/etc/ceph/ceph.client.admin.keyring"
ADMIN_CAPS = {"mds": "allow *", "mgr": "allow *", "mon": "allow *", "osd": "allow *"}

# Seconds that an election may take: mon_election_timeout and mon_lease, 5 s each.
ELECTION = 10

# The states of a monitor that is in a quorum.
IN_QUORUM = ("leader", "peon")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is declared: the monitor's name and address, and of the cluster what the operator fixed.

    found: whether this host may found a cluster where there is none. wait: seconds until the quorum has it.
    """

    name: str
    address: str
    public_network: str = ""
    fsid: t.Optional[str] = None
    found: bool = False
    wait: int = 120


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there.

    data: whether the host holds a monitor's data. unit: of the daemon. own_fsid: what the running daemon says.
    monmap: addresses by monitor, None where no cluster could be asked. key, file: of client.admin, in the
    cluster and in the host's keyring file. own: the monitor's own keyring, in its data.
    """

    data: bool = False
    unit: systemd.Unit = systemd.NO_UNIT
    own_fsid: t.Optional[str] = None
    fsid: t.Optional[str] = None
    mon_host: str = ""
    monmap: t.Optional[t.Mapping[str, t.FrozenSet[str]]] = None
    quorum: t.Sequence[str] = ()
    key: t.Optional[Secret] = None
    file: keyring_files.File = keyring_files.File()
    own: keyring_files.File = keyring_files.File()


def data_path(name: str) -> str:
    return f"{paths.DATA}/mon/{paths.CLUSTER}-{name}"


def admin_place() -> keyring_files.Place:
    """Where the administrator's keyring belongs: it may do everything, so root alone reads it."""
    return keyring_files.Place(ADMIN_KEYRING, ADMIN)


def own_place(name: str) -> keyring_files.Place:
    return keyring_files.of_daemons(os.path.join(data_path(name), "keyring"), "mon.")


def has_data(name: str) -> bool:
    """Whether this host holds a monitor's data. It gets its name only when it is complete."""
    return os.path.isdir(os.path.join(data_path(name), "store.db"))


def unit_name(name: str) -> str:
    return f"ceph-mon@{name}.service"


def problems(wanted: Wanted, observed: Observed) -> list[str]:
    found: list[str] = []
    me = f"mon.{wanted.name}"
    spelled = wanted.address
    try:
        address = ipaddress.ip_address(wanted.address)
        spelled = str(address)  # as the monmap has it
        networks = [ipaddress.ip_network(part.strip(), strict=False) for part in wanted.public_network.split(",") if part.strip()]
        if networks and not any(address in network for network in networks):
            found.append(f"{me}: its address {wanted.address} is outside the public network {wanted.public_network}")
    except ValueError as error:
        found.append(f"{me}: {error}")
    if wanted.fsid:
        try:
            uuid.UUID(wanted.fsid)
        except ValueError:
            found.append(f"fsid '{wanted.fsid}' is no UUID")
    if wanted.fsid and observed.fsid and values.fsid(wanted.fsid) != observed.fsid:
        found.append(f"the living cluster's fsid is {observed.fsid}, not {wanted.fsid}: leave fsid out, or mend the inventory (another cluster's addresses?)")
    if observed.own_fsid and observed.fsid and observed.own_fsid != observed.fsid:
        found.append(f"{me}: this host holds a monitor of another cluster ({observed.own_fsid}) in {data_path(wanted.name)}")
    if observed.monmap is not None:
        for other, addresses in sorted(observed.monmap.items()):
            if other != wanted.name and spelled in addresses:
                found.append(f"{me}: its address {wanted.address} belongs to mon.{other} in the monmap")
        mine = observed.monmap.get(wanted.name)
        if mine is not None and spelled not in mine:
            # Never advise to remove it: it may be another host's, of the same short name, and a part of the quorum.
            there = ", ".join(sorted(mine))
            found.append(
                f"{me}: the monmap has it at {there}, in {'quorum' if wanted.name in observed.quorum else 'no quorum'}, not at {wanted.address}. "
                f"If this host has {there}, set ceph_common_address to it. If another host has it, two hosts have one short name, {wanted.name}: "
                "give this host another one"
            )
        if mine is None and observed.data and not found:
            found.append(f"{me}: this host holds its data ({data_path(wanted.name)}), but the cluster does not know it: move the data away to let it join")
    elif not observed.data and not wanted.found:
        found.append(f"{me}: there is no living cluster to join, and this host was not told to found one")
    return found


@dataclasses.dataclass
class Provider:
    """The monitor of this host.

    connection: how to reach the living cluster as one who may do everything, {} where there is none (yet).
    """

    wanted: Wanted
    connection: t.Mapping[str, t.Any]

    def observe(self) -> Observed:
        """Read the host, then the cluster: by the given connection, else by the monitor's own key."""
        name = self.wanted.name
        data = has_data(name)
        unit = systemd.units([unit_name(name)])[unit_name(name)]
        own_fsid = None
        options: t.Optional[t.Mapping[str, t.Any]] = self.connection or None
        if data and unit.active:
            status = self._in_quorum()
            own_fsid = status["monmap"]["fsid"]
            options = options or own_connection(name, self.wanted.address)
        own = keyring_files.read(own_place(name)) if data else keyring_files.File()
        observed = Observed(data=data, unit=unit, own_fsid=own_fsid, file=keyring_files.read(admin_place()), own=own)
        if options is None:
            return observed
        with Connection(options) as cluster:
            dump, admin = cluster.many([("mon dump", {}), ("auth get", {"entity": ADMIN})])
        return dataclasses.replace(
            observed,
            fsid=dump["fsid"],
            mon_host=mon_host_by_rank(dump),
            monmap={mon["name"]: addresses_of(mon) for mon in dump["mons"]},
            quorum=[mon["name"] for mon in dump["mons"] if mon["rank"] in dump["quorum"]],
            key=Secret(admin[0]["key"]),
        )

    def _in_quorum(self) -> dict[str, t.Any]:
        """Return the daemon's own status once it is in a quorum. Raises Unreachable."""
        status = _settled(self.wanted.name, self.wanted.wait)
        state = status.get("state")
        if state in IN_QUORUM:
            return status
        others = ", ".join(f"mon.{mon['name']}" for mon in status.get("monmap", {}).get("mons", []) if mon["name"] != self.wanted.name)
        said = f"its state is {state}; are the others ({others or 'none'}) up and reachable?" if state else "it does not answer at its admin socket"
        raise Unreachable(f"mon.{self.wanted.name} runs, but is in no quorum after {self.wanted.wait} s: {said}")

    def plan(self, observed: Observed) -> Plan:
        wanted = self.wanted
        found = problems(wanted, observed)
        if found:
            raise Invalid(found)
        draft = Draft()
        mon, unit = f"mon/{wanted.name}", unit_name(wanted.name)
        founding = observed.monmap is None
        if not observed.data:
            by = "founding the cluster" if founding else "joining " + ", ".join(f"mon.{name}" for name in observed.quorum)
            after = {"address": wanted.address, "fsid": observed.fsid or wanted.fsid or "a new one", "by": by}
            draft.ensure("mon", wanted.name, None, after, self._found if founding else self._join)
        ensure_running(draft, unit, observed.unit, observed.data, lambda: self._start(founding and not observed.data), [mon])
        keyring_files.ensure(draft, admin_place(), observed.file, observed.key, self._write_admin, [mon, f"unit/{unit}"])
        if observed.own.key:
            # Of the monitor's own keyring only the permissions: what is in it was written when its data was made.
            place = own_place(wanted.name)
            keyring_files.ensure(draft, place, observed.own, None, functools.partial(keyring_files.permit, place))
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"name": self.wanted.name, "fsid": observed.fsid or self.wanted.fsid, "mon_host": observed.mon_host, "quorum": list(observed.quorum)}

    # -- apply

    def _found(self) -> None:
        fsid = self.wanted.fsid or str(uuid.uuid4())
        # ceph-authtool knows the type of key that this release wants.
        mon_key, admin_key = (Secret(process.run(["ceph-authtool", "--gen-print-key"], timeout=60).strip()) for dummy in range(2))
        with tempfile.TemporaryDirectory(prefix="cephstack-mon-") as folder:
            monmap = os.path.join(folder, "monmap")
            process.run(["monmaptool", "--create", "--fsid", fsid, "--addv", self.wanted.name, addrvec(self.wanted.address), monmap], timeout=60)
            mon_keyring = keyring_files.keyring_text("mon.", mon_key, {"mon": "allow *"})
            self._mkfs(folder, monmap, mon_keyring + keyring_files.keyring_text(ADMIN, admin_key, ADMIN_CAPS))

    def _join(self) -> None:
        with Connection(self.connection) as cluster, tempfile.TemporaryDirectory(prefix="cephstack-mon-") as folder:
            key = keyring_files.read_key(cluster, "mon.")
            # The map is binary, so it does not go through Connection.command.
            code, data, text = cluster.rados.mon_command(json.dumps({"prefix": "mon getmap"}), b"", timeout=cluster.timeout)
            if code:
                raise Unreachable(f"ceph mon getmap: {text}")
            monmap = os.path.join(folder, "monmap")
            with open(monmap, "wb") as file:
                file.write(data)
            if all(mon["name"] != self.wanted.name for mon in cluster.command("mon dump")["mons"]):
                # Only in its own copy: it tells the daemon where to listen. The cluster adds it when it is there and asks.
                process.run(["monmaptool", "--addv", self.wanted.name, addrvec(self.wanted.address), monmap], timeout=60)
            self._mkfs(folder, monmap, keyring_files.keyring_text("mon.", key, {"mon": "allow *"}))

    def _mkfs(self, folder: str, monmap: str, keyring: str) -> None:
        """Make the monitor's data beside its place, and move it there when it is complete."""
        os.chmod(folder, 0o755)
        os.chmod(monmap, 0o644)
        place = data_path(self.wanted.name)
        made = os.path.join(os.path.dirname(place), f".new-{self.wanted.name}")
        shutil.rmtree(made, ignore_errors=True)
        files.make_folder(made, 0o750, *paths.owner())
        words = ["ceph-mon", "--mkfs", "--id", self.wanted.name, "--mon-data", made, "--monmap", monmap, "--keyring", "{secret}"]
        process.run([*words, "--setuser", "ceph", "--setgroup", "ceph"], secret=keyring, timeout=120)
        if os.path.isdir(place):
            os.rmdir(place)  # an empty one that a package left; anything else must not be here
        os.rename(made, place)

    def _start(self, founded: bool) -> None:
        systemd.start(unit_name(self.wanted.name))
        self._in_quorum()
        if founded:
            # Only clients older than 2021 need it, and a new cluster has none.
            with Connection(own_connection(self.wanted.name, self.wanted.address)) as cluster:
                cluster.command("config set", who="mon", name="auth_allow_insecure_global_id_reclaim", value="false")
        self._write_admin()

    def _write_admin(self) -> None:
        with Connection(own_connection(self.wanted.name, self.wanted.address)) as cluster:
            admin = cluster.command("auth get", entity=ADMIN)[0]
        keyring_files.write(admin_place(), Secret(admin["key"]), admin["caps"])


def own_connection(name: str, address: str = "") -> dict[str, t.Any]:
    """Return how a monitor's host reaches its cluster with the monitor's own key, which may do everything."""
    return {"mon_host": addrvec(address) if address else None, "client": "mon.", "keyring": os.path.join(data_path(name), "keyring"), "timeout": 20}


def _settled(name: str, seconds: float = ELECTION) -> dict[str, t.Any]:
    """Return a running monitor's status. An election takes seconds, and is no reason to call the cluster down."""
    last: dict[str, t.Any] = {}

    def check() -> bool:
        last.update(admin_socket.ask(f"mon.{name}", "mon_status") or {})
        return last.get("state") in IN_QUORUM

    wait_until(check, seconds)
    return last


def survey(name: str, conf: str = "/etc/ceph/ceph.conf") -> dict[str, t.Any]:
    """Say what this host knows of its cluster, without changing anything.

    Returns state: "none" (no monitor here), "down" (one is here, and reason says why it cannot be asked) or "living", and
    then fsid, mon_host, monmap (names), addresses (by name) and key, which is client.admin's. conf_fsid: the fsid of the host's ceph.conf.
    """
    result: dict[str, t.Any] = {"name": name, "state": "none", "conf_fsid": ceph_conf.conf_value(files.read(conf), "fsid")}
    if not has_data(name):
        return result
    unit = systemd.units([unit_name(name)])[unit_name(name)]
    if not unit.active:
        return {**result, "state": "down", "reason": f"{unit_name(name)} is {unit.state}"}
    status = _settled(name)
    if not status:
        return {**result, "state": "down", "reason": f"mon.{name} does not answer at its admin socket"}
    if status["state"] not in IN_QUORUM:
        return {**result, "state": "down", "reason": f"mon.{name} is in no quorum ({status['state']})"}
    # its own address, as it listens: a host's ceph.conf may be older than its cluster
    (mine,) = [mon for mon in status["monmap"]["mons"] if mon["name"] == name]
    try:
        with Connection({**own_connection(name), "mon_host": mon_host_by_rank({"mons": [mine]})}) as cluster:
            dump, admin = cluster.many([("mon dump", {}), ("auth get", {"entity": ADMIN})])
    except Unreachable as error:
        return {**result, "state": "down", "reason": str(error)}
    return {
        **result,
        "state": "living",
        "fsid": dump["fsid"],
        "mon_host": mon_host_by_rank(dump),
        "monmap": [mon["name"] for mon in dump["mons"]],
        "addresses": {mon["name"]: sorted(addresses_of(mon)) for mon in dump["mons"]},
        "key": admin[0]["key"],
    }
