# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's hosts: what is there, what is missing, and how to make it so.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, containers, files, images, network, surroundings, system, vms
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.model import GIB, MIB, Host, Lab, parse, show_size
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Invalid, Plan, Risk

# Room on disk: what an image takes while it is made, and what a new host takes with some packages.
_IMAGE_ROOM = {"container": 1 * GIB, "vm": 4 * GIB}
_HOST_ROOM = GIB // 2
# Memory of a container that does nothing yet.
_CONTAINER_MEMORY = 64 * MIB


@dataclasses.dataclass(frozen=True)
class HostSeen:
    """What was found of a host. record: what it was made as, {} where it was not made. pid: its process. answer: what it said by ssh."""

    record: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    pid: t.Optional[int] = None
    answer: t.Optional[access.Answer] = None

    @property
    def state(self) -> str:
        """Return absent, stopped, booting (runs, but ssh or systemd are not ready) or up."""
        if self.pid is not None:
            return "up" if self.answer is not None and self.answer.state in access.UP else "booting"
        return "stopped" if self.record else "absent"


@dataclasses.dataclass(frozen=True)
class Observed:
    """What was found of a lab. free_disk, free_memory in bytes. other_labs: names of those in the same cache."""

    root: bool
    missing: tuple[str, ...]
    images: frozenset[str]
    key: bool
    network: network.Seen
    hosts: t.Mapping[str, HostSeen]
    around: surroundings.Surroundings
    other_labs: tuple[str, ...]
    directory: bool
    free_disk: int
    free_memory: int


class Hosts:
    """The provider. state: up (declared hosts run), down (nothing of the lab is left) or status (only look)."""

    def __init__(self, params: t.Mapping[str, t.Any], check: bool = False) -> None:
        self._params = params
        self._check = check
        self._lab: t.Optional[Lab] = None
        self._known_hosts = threading.Lock()

    @property
    def lab(self) -> Lab:
        """Return the declared lab. Raises Invalid."""
        if self._lab is None:
            self._lab = parse(self._params)
        return self._lab

    # -- observe ------------------------------------------------------------------------------------------------

    def observe(self) -> Observed:
        """Read images, network and hosts; running hosts are asked by ssh, side by side."""
        lab = self.lab
        root = os.geteuid() == 0
        missing = tuple(self._missing()) if root else ()
        # What cannot be asked for lack of the program cannot have been made either.
        seen_network = network.Seen([], [], "", False)
        if root and shutil.which("nft") and shutil.which("ip"):
            seen_network = network.observe(lab)
        existing = os.path.dirname(lab.cache)
        while not os.path.isdir(existing):
            existing = os.path.dirname(existing)
        usage = os.statvfs(lab.cache if os.path.isdir(lab.cache) else existing)
        return Observed(
            root=root,
            missing=missing,
            images=frozenset(name for name in _names(lab.images) if images.ready(lab, name) and "." not in name),
            key=os.path.exists(lab.private_key + ".pub"),
            network=seen_network,
            hosts=self._observe_hosts(),
            around=surroundings.observe(self._params.get("mirror") or ""),
            other_labs=tuple(name for name in _names(os.path.join(lab.cache, "labs")) if name != lab.name),
            directory=os.path.isdir(lab.directory),
            free_disk=usage.f_bavail * usage.f_frsize,
            free_memory=_available_memory(),
        )

    def _missing(self) -> list[str]:
        wanted = [name for name in ("ip", "nft", "systemd-nspawn", "mmdebstrap", "losetup", "mount") if not shutil.which(name)]
        if any(host.kind == "vm" for host in self.lab.hosts):
            wanted += vms.missing()
        return wanted + access.client_missing()

    def _observe_hosts(self) -> dict[str, HostSeen]:
        lab = self.lab
        running = system.machines(system.processes(), lab.machine(""))
        records = {name: _record(lab, name) for name in {*_names(os.path.join(lab.directory, "hosts")), *running}}
        down = self._params["state"] == "down"
        with ThreadPoolExecutor(max_workers=16) as pool:
            asked = {
                name: pool.submit(access.ask, lab, records[name]["address"], 0, 15 if records[name]["kind"] == "vm" else 8)
                for name in running
                if records[name] and not down
            }
            return {name: HostSeen(record, running.get(name), asked[name].result() if name in asked else None) for name, record in sorted(records.items())}

    # -- plan ---------------------------------------------------------------------------------------------------

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with everything that stands in the way."""
        if not observed.root:
            raise Invalid([f"the lab {self.lab.name} needs root on this machine (network, mounts, loop devices): run as root or with become"])
        if self._params["state"] == "status":
            return Plan()
        if self._params["state"] == "down":
            return self._plan_down(observed)
        return self._plan_up(observed)

    def _plan_up(self, observed: Observed) -> Plan:
        lab = self.lab
        warnings: list[str] = []
        problems = network.problems(lab, observed.network)
        if observed.missing:
            said = f"this machine lacks {', '.join(observed.missing)}: the role cephstack.cloud.lab installs what is needed"
            (warnings if self._check else problems).append(said)
        for chain in observed.network.foreign_drop:
            warnings.append(f"the nftables chain '{chain}' drops what it does not know: if the hosts cannot reach out, accept {lab.bridge} there")
        ruleset = network.rules(lab, observed.around.local_resolver)
        before, after = network.difference(lab, observed.network, ruleset)
        bridge_gone = "bridge" in after
        changes: list[Change] = []
        if not observed.key:
            changes.append(Change("key", "ssh", "create", None, {"private_key": lab.private_key}, lambda: access.make_key(lab)))
        if after:
            action = "create" if bridge_gone else "update"
            changes.append(Change("network", lab.name, action, before, after, lambda: network.make(lab, ruleset, observed.around.local_resolver)))
        hosts = [self._host_change(host, observed, bridge_gone, problems, warnings) for host in lab.hosts]
        wanted = {host.image: host for change, host in hosts if change is not None and host.image not in observed.images}
        for host in lab.hosts:
            seen = observed.hosts.get(host.name, HostSeen())
            if seen.record and seen.state != "up" and str(seen.record["image"]) not in observed.images:
                problems.append(f"{host.name}: the image {seen.record['image']} that it was made from is gone: take the lab down and up again")
        changes += [
            Change(
                "image",
                name,
                "create",
                None,
                {"release": host.release, "kind": host.kind, "packages": list(host.packages)},
                _call(images.build, lab, host, observed.around),
            )
            for name, host in wanted.items()
        ]
        changes += [change for change, dummy in hosts if change is not None]
        problems += self._room(observed, wanted.values(), [host for change, host in hosts if change is not None])
        if problems:
            raise Invalid(problems)
        return Plan(changes, warnings)

    def _room(self, observed: Observed, new_images: t.Iterable[Host], changed: t.Sequence[Host]) -> list[str]:
        """Return what this machine is too small for."""
        found = []
        new = [host for host in changed if observed.hosts.get(host.name, HostSeen()).state == "absent"]
        disk = sum(_IMAGE_ROOM[host.kind] for host in new_images) + _HOST_ROOM * len(new)
        if disk > observed.free_disk:
            names = ", ".join(host.name for host in new)
            found.append(
                f"{self.lab.cache} has {show_size(observed.free_disk)} free, but {names} need about {show_size(disk)}: free some, or set lab_cache elsewhere"
            )
        starting = [host for host in changed if observed.hosts.get(host.name, HostSeen()).pid is None]
        memory = sum(host.memory * MIB if host.kind == "vm" else _CONTAINER_MEMORY for host in starting)
        if memory > observed.free_memory:
            names = ", ".join(f"{host.name} ({host.memory} MiB)" for host in starting if host.kind == "vm") or ", ".join(host.name for host in starting)
            found.append(f"{show_size(observed.free_memory)} of memory are free, but {names} need {show_size(memory)}: declare less memory or fewer hosts")
        return found

    def _host_change(self, host: Host, observed: Observed, bridge_gone: bool, problems: list[str], warnings: list[str]) -> tuple[t.Optional[Change], Host]:
        """Return the change that a host needs, or None, and the host with the image that it will have."""
        lab, seen = self.lab, observed.hosts.get(host.name, HostSeen())
        names = files.names(self._addresses(observed))
        needs = frozenset({f"image/{host.image}", f"network/{lab.name}", "key/ssh"})
        want = host.record()
        if not seen.record:
            if host.kind == "vm" and not vms.machine_supported():
                problems.append(f"{host.name}: virtual machines are made for x86_64 only")
            shown = {**want, "state": "up"}
            return Change("host", host.name, "create", None, shown, _call(self._raise, host, observed, "make"), needs=needs), host
        was = {"kind": seen.record["kind"], "release": seen.record["release"], "xen": seen.record.get("xen", False)}
        new = {"kind": host.kind, "release": host.release, "xen": host.xen}
        if was != new:
            reason = f"{host.name} would be made anew as {host.image_kind} with {host.release}: all it holds, its disks too, would be lost"
            apply = _call(self._raise, host, observed, "remake")
            return Change("host", host.name, "update", was, new, apply, risk=Risk.LOSS, reason=reason, needs=needs), host
        if seen.record["image"] != host.image:
            warnings.append(f"{host.name}: was made with other packages in its image; it keeps its root until it is taken down")
        host = dataclasses.replace(host, made_from=str(seen.record["image"]))
        want = host.record()
        for name, size in want["disks"].items():
            old = seen.record["disks"].get(name, size)
            if old != size:
                problems.append(
                    f"{host.name}: disk {name} has {show_size(old)}, declared are {show_size(size)}: give the new one another name, or take the host down first"
                )
        differing = [key for key in want if seen.record.get(key) != want[key]]
        was = {key: seen.record.get(key) for key in differing}
        now = {key: want[key] for key in differing}
        restart = bool(set(differing) & {"address", "memory", "cpus"}) or ("disks" in differing and host.kind == "vm") or bridge_gone
        step, risk = "", Risk.NONE
        if seen.state == "stopped":
            step = "start"
        elif restart:
            step, risk = "restart", Risk.RESTART
        elif seen.state == "booting":
            step = "wait"
        elif "disks" in differing:
            step = "attach"
        elif seen.answer is not None and seen.answer.names != names:
            step = "names"
            was, now = {"names": seen.answer.names.splitlines()}, {"names": names.splitlines()}
        if not step:
            return None, host
        if seen.state != "up" or step == "restart":
            was, now = {**was, "state": seen.state}, {**now, "state": "up"}
        return Change("host", host.name, "update", was, now, _call(self._raise, host, observed, step), risk=risk, needs=needs), host

    def _addresses(self, observed: Observed) -> dict[str, str]:
        made = {name: str(seen.record["address"]) for name, seen in observed.hosts.items() if seen.record}
        return {**made, **{host.name: host.address for host in self.lab.hosts}}

    def _plan_down(self, observed: Observed) -> Plan:
        lab = self.lab
        changes = [
            Change("host", name, "delete", {"state": seen.state}, None, _call(self._remove, name, seen)) for name, seen in sorted(observed.hosts.items())
        ]
        needs = frozenset(change.id for change in changes)
        bridge = next((link for link in observed.network.links if link["ifname"] == lab.bridge), None)
        own = bridge is not None and str(bridge.get("ifalias", "")) == network.alias(lab)
        if own or observed.network.table:
            before = {"bridge": lab.bridge, "network": str(lab.network)}
            changes.append(Change("network", lab.name, "delete", before, None, lambda: network.remove(lab), needs=needs))
        if observed.directory:
            needs = frozenset(change.id for change in changes)
            changes.append(Change("lab", lab.name, "delete", {"directory": lab.directory}, None, self._remove_directory, needs=needs))
        if self._params.get("purge_cache") and os.path.isdir(lab.cache):
            if observed.other_labs:
                raise Invalid([f"the cache {lab.cache} is used by other labs: {', '.join(observed.other_labs)}. Take them down first"])
            needs = frozenset(change.id for change in changes)
            changes.append(Change("cache", lab.cache, "delete", {"directory": lab.cache}, None, _call(system.remove_tree, lab.cache), needs=needs))
        return Plan(changes)

    # -- apply --------------------------------------------------------------------------------------------------

    def _raise(self, host: Host, observed: Observed, step: str) -> None:
        """Bring one host up. Raises LabError, with the end of its console."""
        lab, seen = self.lab, observed.hosts.get(host.name, HostSeen())
        addresses = self._addresses(observed)
        if step == "names":
            access.set_names(lab, host.address, files.names(addresses))
            return
        if step == "attach":
            containers.attach(lab, host)
            self._keep_record(host)
            return
        if step in ("restart", "remake") and seen.pid is not None:
            self._stop(host.name, seen, orderly=step == "restart")
        if step in ("make", "remake"):
            self._make(host, seen, observed)
        if step != "wait":
            self._keep_record(host)
            with self._known_hosts:
                access.write_known_hosts(lab, addresses)
            moved = seen.record.get("address", host.address) != host.address
            if host.kind == "vm":
                vms.start(lab, host, observed.around, addresses, moved)
            else:
                containers.start(lab, host, observed.around, addresses, first=step in ("make", "remake"), moved=moved)
        module, seconds = (vms, vms.TIMEOUT) if host.kind == "vm" else (containers, containers.TIMEOUT)
        try:
            answer = access.wait_up(lab, host.address, self._params.get("timeout") or seconds, _died(lab, host.name))
            if answer.names != files.names(addresses):
                access.set_names(lab, host.address, files.names(addresses))
        except system.LabError as error:
            path = module.log(lab, host.name)
            raise system.LabError(f"{error}. The end of its console ({path}):\n{system.tail(path)}") from error

    def _make(self, host: Host, seen: HostSeen, observed: Observed) -> None:
        lab = self.lab
        if seen.record.get("kind") == "vm":
            vms.remove(lab, host.name)
        else:
            # Also what an interrupted run has left.
            containers.remove(lab, host.name, str(seen.record.get("release", "")))
        if host.kind == "vm":
            vms.make(lab, host)
        else:
            for other, state in observed.hosts.items():
                if state.record.get("kind") == "container" and state.record.get("release") == host.release:
                    images.harvest(lab, host.release, os.path.join(lab.host_directory(other), "upper"))
            containers.make(lab, host)
        access.make_host_key(lab.host_directory(host.name))

    def _keep_record(self, host: Host) -> None:
        system.write(os.path.join(self.lab.host_directory(host.name), "host.json"), json.dumps(host.record(), indent=1) + "\n")

    def _stop(self, name: str, seen: HostSeen, orderly: bool) -> None:
        if seen.pid is None:
            return
        if seen.record.get("kind") == "vm":
            vms.stop(self.lab, name, str(seen.record.get("address", "")), seen.pid, orderly)
        else:
            containers.stop(self.lab, name, seen.pid, orderly)

    def _remove(self, name: str, seen: HostSeen) -> None:
        self._stop(name, seen, orderly=False)
        if seen.record.get("kind") == "vm":
            vms.remove(self.lab, name)
        else:
            containers.remove(self.lab, name, str(seen.record.get("release", "")))

    def _remove_directory(self) -> None:
        system.remove_tree(self.lab.directory)

    # -- returned -----------------------------------------------------------------------------------------------

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return every host with its address, kind and state, and how to reach it."""
        lab = self.lab
        declared = {host.name: host for host in lab.hosts}
        rows = []
        for name in sorted({*declared, *observed.hosts}):
            seen = observed.hosts.get(name, HostSeen())
            record = seen.record or (declared[name].record() if name in declared else {})
            rows.append(
                {
                    "name": name,
                    "address": record.get("address", ""),
                    "kind": record.get("kind", ""),
                    "release": record.get("release", ""),
                    "state": seen.state,
                    "systemd": seen.answer.state if seen.answer else "",
                    "failed_units": list(seen.answer.failed) if seen.answer else [],
                    "declared": name in declared,
                }
            )
        return {"hosts": rows, "network": str(lab.network), "bridge": lab.bridge, "private_key": lab.private_key, "known_hosts": lab.known_hosts}


def _call(function: t.Callable[..., t.Any], *arguments: t.Any) -> t.Callable[[], t.Any]:
    return lambda: function(*arguments)


def _died(lab: Lab, name: str) -> t.Callable[[], bool]:
    """Return a test whether a host's process, once it was there, has ended and no other has taken its place."""
    pid = 0

    def died() -> bool:
        nonlocal pid
        if pid and system.alive(pid):
            return False
        now = system.machines(system.processes(), lab.machine("")).get(name, 0)
        ended = pid and not now
        pid = now
        return bool(ended)

    return died


def _record(lab: Lab, name: str) -> dict[str, t.Any]:
    text = system.read(os.path.join(lab.host_directory(name), "host.json"))
    return t.cast("dict[str, t.Any]", json.loads(text)) if text else {}


def _names(directory: str) -> list[str]:
    return [entry.name for entry in os.scandir(directory) if entry.is_dir()] if os.path.isdir(directory) else []


def _available_memory() -> int:
    for line in system.read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
