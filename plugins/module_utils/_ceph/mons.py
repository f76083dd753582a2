# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor of a host: bootstrapping a cluster, or joining the running one.

A cluster's first boot and a monitor added years later are the same: take the current monmap, add yourself, start, be in quorum.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import ipaddress
import os
import re
import shutil
import tempfile
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import ceph_conf, daemons, keyring_files, maintenance, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import addresses_of, addrvec, mon_host_by_rank
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd, wait
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, string

ADMIN = "client.admin"
ADMIN_KEYRING = "/etc/ceph/ceph.client.admin.keyring"
ADMIN_CAPS = {"mds": "allow *", "mgr": "allow *", "mon": "allow *", "osd": "allow *"}

# Seconds that an election may take: mon_election_timeout and mon_lease, 5 s each.
ELECTION = 10

OPTIONS = {
    "name": string("The monitor's name. The host's short name by default."),
    "address": string("The address at which it listens, ports 3300 and 6789.", required=True),
    "public_network": string("The networks in which O(address) must lie, in CIDR form, separated by commas."),
    "fsid": string("The cluster's fsid. A new one is made for a new cluster by default.\nIt is an error if the running cluster has another."),
    "bootstrap": boolean("Whether this host bootstraps a cluster where there is none to join. Say so to one host only.", default=False),
    "wait": integer("How many seconds the quorum may take.", default=120),
}


@dataclasses.dataclass
class Observed:
    """What is there. own_fsid: of the running daemon. monmap: None where no cluster could be asked. key, file: client.admin's. own: the monitor's keyring."""

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
    return f"{daemons.DATA}/mon/{daemons.CLUSTER}-{name}"


def admin_place() -> keyring_files.Place:
    """Where the administrator's keyring belongs: it may do everything, so root alone reads it."""
    return keyring_files.Place(ADMIN_KEYRING, ADMIN)


def own_place(name: str) -> keyring_files.Place:
    return keyring_files.of_daemons(f"{data_path(name)}/keyring", "mon.")


def has_data(name: str) -> bool:
    """Whether this host holds a monitor's data. It gets its name only when it is complete."""
    return os.path.isdir(f"{data_path(name)}/store.db")


def unit_name(name: str) -> str:
    return f"ceph-mon@{name}.service"


@dataclasses.dataclass
class Provider:
    """The monitor of this host. bootstrap: whether it may bootstrap a cluster where there is none. wait: seconds until the quorum has it.

    connection: how to reach the running cluster as one who may do everything, {} where there is none (yet).
    """

    name: str
    address: str
    public_network: str = ""
    fsid: t.Optional[str] = None
    bootstrap: bool = False
    wait: int = 120
    connection: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def _own(self) -> dict[str, t.Any]:
        return own_connection(self.name, addrvec(self.address))

    def observe(self) -> Observed:
        """Read the host, then the cluster: by the given connection, else by the monitor's own key."""
        name = self.name
        data, unit = has_data(name), systemd.units([unit_name(name)])[unit_name(name)]
        runs = data and unit.active
        own_fsid = _in_quorum(name, self.wait)["monmap"]["fsid"] if runs else None
        own = keyring_files.read(own_place(name)) if data else keyring_files.File()
        observed = Observed(data=data, unit=unit, own_fsid=own_fsid, file=keyring_files.read(admin_place()), own=own)
        if not self.connection and not runs:
            return observed
        dump, admin = _ask(self.connection or self._own)
        observed.fsid, observed.mon_host, observed.key = dump["fsid"], mon_host_by_rank(dump), Secret(admin["key"])
        observed.monmap = {mon["name"]: addresses_of(mon) for mon in dump["mons"]}
        observed.quorum = [mon["name"] for mon in dump["mons"] if mon["rank"] in dump["quorum"]]
        return observed

    def note_problems(self, observed: Observed, draft: Draft) -> None:
        """What goes against making the monitor as it is declared."""
        me, spelled = f"mon.{self.name}", self.address
        try:
            address = ipaddress.ip_address(self.address)
            spelled = str(address)  # as the monmap has it
            networks = [ipaddress.ip_network(part.strip(), strict=False) for part in self.public_network.split(",") if part.strip()]
            if networks and not any(address in network for network in networks):
                draft.problem(f"{me}: its address {self.address} is outside the public network {self.public_network}")
        except ValueError as error:
            draft.problem(f"{me}: {error}")
        fsid, data, monmap = values.fsid(self.fsid or ""), data_path(self.name), observed.monmap or {}
        mine = monmap.get(self.name)
        there, quorum = ", ".join(sorted(mine or ())), "quorum" if self.name in observed.quorum else "no quorum"
        others = [other for other, addresses in sorted(monmap.items()) if other != self.name and spelled in addresses]
        another = f"the existing cluster's fsid is {observed.fsid}, not {self.fsid}: leave fsid out, or correct the inventory (another cluster's addresses?)"
        foreign = f"{me}: this host holds a monitor of another cluster ({observed.own_fsid}) in {data}"
        # Never advise to remove a monitor: it may be another host's, of the same short name, and a part of the quorum.
        elsewhere = (
            f"{me}: the monmap has it at {there}, in {quorum}, not at {self.address}. If this host has {there}, set ceph_common_address to it. "
            f"If another host has it, two hosts have one short name, {self.name}: give this host another one"
        )
        # That key was written when a monitor was in quorum: there was a cluster, whose OSDs a new one would not know.
        sign = "its unit runs" if observed.unit.active else f"this host has {ADMIN_KEYRING}"
        lost = f"{me}: {sign}, and there is no data of a monitor: the cluster has lost it. A new one is not made in its place: bring {data} back from a backup"
        lost += f". To give that cluster up, end the unit and remove {ADMIN_KEYRING}"
        wrong = {
            f"fsid '{self.fsid}' is no UUID": fsid and not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", fsid),
            another: fsid and observed.fsid not in (None, fsid),
            foreign: observed.own_fsid and observed.fsid not in (None, observed.own_fsid),
            **{f"{me}: its address {self.address} belongs to mon.{other} in the monmap": True for other in others},
            elsewhere: mine is not None and spelled not in mine,
            lost: self.bootstrap and observed.monmap is None and not observed.data and (observed.file.key is not None or observed.unit.active),
            f"{me}: there is no existing cluster to join, and this host was not told to bootstrap one": not (monmap or observed.data or self.bootstrap),
        }
        for text in [text for text, so in wrong.items() if so]:
            draft.problem(text)
        if monmap and mine is None and observed.data and not draft.problems:
            draft.problem(f"{me}: this host holds its data ({data}), but the cluster does not know it: move the data away to let it join")

    def plan(self, observed: Observed) -> Plan:
        name = self.name
        draft = Draft()
        self.note_problems(observed, draft)
        mon, unit = f"mon/{name}", unit_name(name)
        bootstrapping = observed.monmap is None
        if not observed.data:
            by = "bootstrapping the cluster" if bootstrapping else "joining " + ", ".join(f"mon.{name}" for name in observed.quorum)
            after = {"address": self.address, "fsid": observed.fsid or self.fsid or "a new one", "by": by}
            draft.ensure("mon", name, None, after, self._bootstrap if bootstrapping else self._join)
        # A daemon that still runs without its data has to end.
        runs = observed.unit if observed.data else systemd.NO_UNIT
        daemons.ensure_running(draft, unit, runs, observed.data, lambda: self._start(bootstrapping and not observed.data), [mon])
        keyring_files.ensure(draft, admin_place(), observed.file, observed.key, self._write_admin, [mon, f"unit/{unit}"])
        if observed.own.key:  # only the permissions: what is in it was written when its data was made
            keyring_files.ensure(draft, own_place(name), observed.own, None, functools.partial(keyring_files.permit, own_place(name)))
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"name": self.name, "fsid": observed.fsid or self.fsid, "mon_host": observed.mon_host, "quorum": list(observed.quorum)}

    def _bootstrap(self) -> None:
        fsid = self.fsid or str(uuid.uuid4())
        # ceph-authtool knows the type of key that this release wants.
        mon_key, admin_key = (Secret(process.run(["ceph-authtool", "--gen-print-key"], timeout=60).strip()) for dummy in range(2))
        with tempfile.TemporaryDirectory(prefix="cephstack-mon-") as folder:
            process.run(["monmaptool", "--create", "--fsid", fsid, "--addv", self.name, addrvec(self.address), f"{folder}/monmap"], timeout=60)
            mon_keyring = keyring_files.keyring_text("mon.", mon_key, {"mon": "allow *"})
            self._mkfs(folder, mon_keyring + keyring_files.keyring_text(ADMIN, admin_key, ADMIN_CAPS))

    def _join(self) -> None:
        with Connection(self.connection) as cluster, tempfile.TemporaryDirectory(prefix="cephstack-mon-") as folder:
            key = keyring_files.read_key(cluster, "mon.")
            # The map is binary, so it does not go through Connection.command.
            code, data, text = cluster.rados.mon_command('{"prefix": "mon getmap"}', b"", timeout=cluster.timeout)
            if code:
                raise Unreachable(f"ceph mon getmap: {text}")
            with open(f"{folder}/monmap", "wb") as file:
                file.write(data)
            if all(mon["name"] != self.name for mon in cluster.command("mon dump")["mons"]):
                # Only in its own copy: it tells the daemon where to listen. The cluster adds it when it is there and asks.
                process.run(["monmaptool", "--addv", self.name, addrvec(self.address), f"{folder}/monmap"], timeout=60)
            self._mkfs(folder, keyring_files.keyring_text("mon.", key, {"mon": "allow *"}))

    def _mkfs(self, folder: str, keyring: str) -> None:
        """Make the monitor's data of the monmap in a folder, beside its place, and move it there when it is complete."""
        if systemd.units([unit_name(self.name)])[unit_name(self.name)].active:
            systemd.stop(unit_name(self.name))  # its files were removed under it
        os.chmod(folder, 0o755)
        os.chmod(f"{folder}/monmap", 0o644)
        place = data_path(self.name)
        made = f"{os.path.dirname(place)}/.new-{self.name}"
        shutil.rmtree(made, ignore_errors=True)
        files.make_folder(made, 0o750, *daemons.owner())
        words = ["ceph-mon", "--mkfs", "--id", self.name, "--mon-data", made, "--monmap", f"{folder}/monmap", "--keyring", "{secret}"]
        process.run([*words, "--setuser", "ceph", "--setgroup", "ceph"], secret=keyring, timeout=120)
        if os.path.isdir(place) and os.listdir(place):  # what is left of a store that was lost is kept aside
            aside = f"{os.path.dirname(place)}/.lost-{self.name}"
            taken = sum(path == aside or path.startswith(f"{aside}.") for path in glob.glob(f"{glob.escape(aside)}*"))
            os.rename(place, f"{aside}.{taken}" if taken else aside)
        elif os.path.isdir(place):
            os.rmdir(place)  # a package left it
        os.rename(made, place)

    def _start(self, bootstrapped: bool) -> None:
        systemd.start(unit_name(self.name))
        _in_quorum(self.name, self.wait)
        if bootstrapped:  # only clients older than 2021 need it, and a new cluster has none
            with Connection(self._own) as cluster:
                cluster.command("config set", who="mon", name="auth_allow_insecure_global_id_reclaim", value="false")
        self._write_admin()

    def _write_admin(self) -> None:
        dummy, admin = _ask(self._own)
        keyring_files.write(admin_place(), Secret(admin["key"]), admin["caps"])


def provider(options: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any]) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS."""
    own = {name: options[name] for name in ("address", "fsid", "bootstrap", "wait")}
    return Provider(name=options["name"] or daemons.short_hostname(), public_network=options["public_network"] or "", connection=connection, **own)


def own_connection(name: str, mon_host: str) -> dict[str, t.Any]:
    """Return how a monitor's host reaches its cluster with the monitor's own key, which may do everything."""
    return {"mon_host": mon_host, "client": "mon.", "keyring": own_place(name).path, "timeout": 20}


def _ask(options: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return the monmap with the quorum, and client.admin with its key and caps."""
    with Connection(options) as cluster:
        return _know(cluster)


def _know(cluster: Connection) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    dump, admin = cluster.many([("mon dump", {}), ("auth get", {"entity": ADMIN})])
    return dump, admin[0]


def _in_quorum(name: str, seconds: float = ELECTION) -> dict[str, t.Any]:
    """Return a running monitor's own status once it is in a quorum: an election takes seconds. Raises Unreachable."""
    status: dict[str, t.Any] = {}

    def check() -> bool:
        status.update(daemons.ask(f"mon.{name}", "mon_status") or {})
        return status.get("state") in ("leader", "peon")

    if wait.wait_until(check, seconds):
        return status
    state = status.get("state")
    others = ", ".join(f"mon.{mon['name']}" for mon in status.get("monmap", {}).get("mons", []) if mon["name"] != name)
    said = f"its state is {state}; are the others ({others or 'none'}) up and reachable?" if state else "it does not answer at its admin socket"
    raise Unreachable(f"mon.{name} runs, but is in no quorum after {seconds} s: {said}")


def survey(name: str, conf: str = "/etc/ceph/ceph.conf") -> dict[str, t.Any]:
    """Say what this host knows of its cluster: state, "none" (no monitor here), "down" (and reason, why one cannot be asked) or "running".

    Then also fsid, mon_host, monmap (names), addresses (by name), maintenance (the hosts in it, by their names in the inventory) and key, which is
    client.admin's. conf_fsid: the fsid of the host's ceph.conf.
    """
    result: dict[str, t.Any] = {"name": name, "state": "none", "conf_fsid": ceph_conf.conf_value(files.read(conf), "fsid")}
    if not has_data(name):
        return result
    unit = systemd.units([unit_name(name)])[unit_name(name)]
    down = {**result, "state": "down"}
    if not unit.active:
        return {**down, "reason": f"{unit_name(name)} is {unit.state}"}
    try:
        # its own address, as it listens: a host's ceph.conf may be older than its cluster
        mine = [mon for mon in _in_quorum(name)["monmap"]["mons"] if mon["name"] == name]
        with Connection(own_connection(name, mon_host_by_rank({"mons": mine}))) as cluster:
            (dump, admin), resting = _know(cluster), maintenance.left_alone(cluster.command("config-key dump", key=maintenance.NOTES))
    except Unreachable as error:
        return {**down, "reason": str(error)}
    addresses = {mon["name"]: sorted(addresses_of(mon)) for mon in dump["mons"]}
    running = {"fsid": dump["fsid"], "mon_host": mon_host_by_rank(dump), "monmap": list(addresses), "addresses": addresses, "key": admin["key"]}
    return {**result, "state": "running", "maintenance": resting, **running}
