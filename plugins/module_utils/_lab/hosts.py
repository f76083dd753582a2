# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's hosts: what is there, what is missing, and how to make it so.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import platform
import re
import shutil
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._host.files import write
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, containers, images, network, surroundings, system, vms
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.model import GIB, MIB, Host, Lab, parse, show_size
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Draft, Invalid, Plan, Risk, differing

# How hosts of each kind are made, started, stopped and removed.
_KINDS = {"container": containers, "vm": vms}
# Room on disk: what an image takes while it is made, and what a new host takes with some packages.
_IMAGE_ROOM = {"container": 1 * GIB, "vm": 4 * GIB}
_HOST_ROOM = GIB // 2
# Memory of a container that does nothing yet.
_CONTAINER_MEMORY = 64 * MIB
# What a host was made as (Host.record), below its folder.
_RECORD = "host.json"


@dataclasses.dataclass(frozen=True)
class HostSeen:
    """What was found of a host. record: what it was made as, {} where it was not made. pid: its process. answer: what it said by ssh."""

    record: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    pid: t.Optional[int] = None
    answer: t.Optional[access.Answer] = None

    @property
    def kind(self) -> t.Any:
        return _KINDS[self.record.get("kind", "container")]

    @property
    def state(self) -> str:
        """Absent, stopped, booting (runs, but ssh or systemd are not ready) or up."""
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

    def host(self, name: str) -> HostSeen:
        return self.hosts.get(name, HostSeen())


class Hosts:
    """The provider. state: up (declared hosts run), down (nothing of the lab is left) or status (only look)."""

    def __init__(self, params: t.Mapping[str, t.Any], check: bool = False) -> None:
        self._params, self._check = params, check

    @functools.cached_property
    def lab(self) -> Lab:
        return parse(self._params)

    def observe(self) -> Observed:
        """Read images, network and hosts; running hosts are asked by ssh, side by side."""
        lab, root = self.lab, os.geteuid() == 0
        machines = [vms.QEMU, "qemu-img", "mke2fs"] if any(host.kind == "vm" for host in lab.hosts) else []
        programs = ["ip", "nft", "systemd-nspawn", "mmdebstrap", "losetup", "mount", *machines, "ssh", "ssh-keygen"]
        missing = tuple(name for name in programs if not shutil.which(name)) if root else ()
        # What cannot be asked for lack of the program cannot have been made either.
        able = root and not {"ip", "nft"} & {*missing}
        usage = os.statvfs(system.existing(lab.cache))
        memory = re.search(r"^MemAvailable:\s*(\d+)", system.read("/proc/meminfo"), re.MULTILINE)
        return Observed(
            root=root,
            missing=missing,
            images=frozenset(name for name in system.folders(lab.images) if "." not in name),
            key=os.path.exists(lab.private_key + ".pub"),
            network=network.observe(lab) if able else network.Seen([], [], "", False),
            hosts=self._observe_hosts(),
            around=surroundings.observe(self._params.get("mirror") or ""),
            other_labs=tuple(name for name in system.folders(os.path.join(lab.cache, "labs")) if name != lab.name),
            directory=os.path.isdir(lab.directory),
            free_disk=usage.f_bavail * usage.f_frsize,
            free_memory=int(memory[1]) * 1024 if memory else 0,
        )

    def _observe_hosts(self) -> dict[str, HostSeen]:
        lab, down = self.lab, self._params["state"] == "down"
        running = system.running(lab.machine(""))

        def look(name: str) -> HostSeen:
            record, pid = json.loads(system.read(lab.host(name, _RECORD)) or "{}"), running.get(name)
            asked = record and pid is not None and not down
            return HostSeen(record, pid, access.ask(lab, record["address"], 0, 15 if record["kind"] == "vm" else 8) if asked else None)

        names = sorted({*system.folders(os.path.join(lab.directory, "hosts")), *running})
        with ThreadPoolExecutor(max_workers=16) as pool:
            return dict(zip(names, pool.map(look, names)))

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with everything that stands in the way."""
        if not observed.root:
            raise Invalid([f"the lab {self.lab.name} needs root on this machine (network, mounts, loop devices): run as root or with become"])
        draft = Draft()
        if self._params["state"] == "down":
            self._plan_down(observed, draft)
        elif self._params["state"] == "up":
            self._plan_up(observed, draft)
        return draft.plan()

    def _plan_up(self, observed: Observed, draft: Draft) -> None:
        lab, resolver = self.lab, observed.around.local_resolver
        draft.problems += network.problems(lab, observed.network)
        if observed.missing:
            said = f"this machine lacks {', '.join(observed.missing)}: the role cephstack.cloud.lab installs what is needed"
            (draft.warn if self._check else draft.problem)(said)
        for chain in observed.network.foreign_drop:
            draft.warn(f"the nftables chain '{chain}' drops what it does not know: if the hosts cannot reach out, accept {lab.bridge} there")
        if not observed.key:
            draft.ensure("key", "ssh", None, {"private_key": lab.private_key}, lambda: access.make_key(lab))
        ruleset = network.rules(lab, resolver)
        before, after = network.difference(lab, observed.network, ruleset)
        bridge_gone = "bridge" in after
        if after:
            make = functools.partial(network.make, lab, ruleset, resolver)
            draft.add(Change("network", lab.name, "create" if bridge_gone else "update", before, after, make))
        changed = [host for host in (self._plan_host(host, observed, bridge_gone, draft) for host in lab.hosts) if host]
        new_images = {host.image: host for host in changed if host.image not in observed.images}
        for name, host in new_images.items():
            after = {"release": host.release, "kind": host.kind, "packages": list(host.packages)}
            draft.ensure("image", name, None, after, functools.partial(images.build, lab, host, observed.around))
        draft.changes.sort(key=lambda change: change.kind == "host")  # the last, as they are made
        self._check_room(observed, new_images.values(), changed, draft)

    def _check_room(self, observed: Observed, new_images: t.Iterable[Host], changed: t.Sequence[Host], draft: Draft) -> None:
        new = [host.name for host in changed if observed.host(host.name).state == "absent"]
        disk, free = sum(_IMAGE_ROOM[host.kind] for host in new_images) + _HOST_ROOM * len(new), show_size(observed.free_disk)
        if disk > observed.free_disk:
            draft.problem(f"{self.lab.cache} has {free} free, but {', '.join(new)} need about {show_size(disk)}: free some, or set lab_cache elsewhere")
        starting = [host for host in changed if observed.host(host.name).pid is None]
        memory = sum(host.memory * MIB if host.kind == "vm" else _CONTAINER_MEMORY for host in starting)
        if memory > observed.free_memory:
            names = ", ".join(f"{host.name} ({host.memory} MiB)" for host in starting if host.kind == "vm") or ", ".join(host.name for host in starting)
            needed = f"{show_size(observed.free_memory)} of memory are free, but {names} need {show_size(memory)}"
            draft.problem(f"{needed}: declare less memory or fewer hosts")

    def _plan_host(self, host: Host, observed: Observed, bridge_gone: bool, draft: Draft) -> t.Optional[Host]:
        """Plan what a host needs; return it, with the image that it will have, where that is something."""
        name, seen = host.name, observed.host(host.name)
        record = seen.record
        if record and seen.state != "up" and str(record["image"]) not in observed.images:
            draft.problem(f"{name}: the image {record['image']} that it was made from is gone: take the lab down and up again")
        if not record:
            if host.kind == "vm" and platform.machine() != "x86_64":
                draft.problem(f"{name}: virtual machines are made for x86_64 only")
            return self._add(draft, host, observed, "make", None, {**host.record(), "state": "up"})
        make = {"kind": host.kind, "release": host.release, "xen": host.xen}
        made = {"kind": record["kind"], "release": record["release"], "xen": record.get("xen", False)}
        if made != make:
            reason = f"{name} would be made again, as {host.image_kind} with {host.release}: all it holds, its disks too, would be lost"
            return self._add(draft, host, observed, "remake", made, make, Risk.LOSS, reason)
        if record["image"] != host.image:
            draft.warn(f"{name}: was made with other packages in its image; it keeps its root until it is taken down")
        host = dataclasses.replace(host, made_from=str(record["image"]))
        for disk in host.disks:
            old = record["disks"].get(disk.name, disk.size)
            if old != disk.size:
                sizes = f"{name}: disk {disk.name} has {show_size(old)}, declared are {show_size(disk.size)}"
                draft.problem(f"{sizes}: give the new one another name, or take the host down first")
        before, after = differing(record, host.record())
        step, names = "", surroundings.names(self._addresses(observed))
        if seen.state == "stopped":
            step = "start"
        elif bridge_gone or after.keys() & {"address", "memory", "cpus"} or ("disks" in after and host.kind == "vm"):
            step = "restart"
        elif seen.state == "booting":
            step = "wait"
        elif "disks" in after:
            return self._add(draft, host, observed, "attach", before, after)
        elif seen.answer is not None and seen.answer.names != names:
            return self._add(draft, host, observed, "wait", {"names": seen.answer.names.splitlines()}, {"names": names.splitlines()})
        if not step:
            return None
        before, after = {**before, "state": seen.state}, {**after, "state": "up"}
        return self._add(draft, host, observed, step, before, after, Risk.RESTART if step == "restart" else Risk.NONE)

    def _add(self, draft: Draft, host: Host, observed: Observed, step: str, before: t.Any, after: t.Any, risk: Risk = Risk.NONE, reason: str = "") -> Host:
        needs = frozenset({f"image/{host.image}", f"network/{self.lab.name}", "key/ssh"})
        apply = functools.partial(self._raise, host, observed, step)
        draft.add(Change("host", host.name, "update" if observed.host(host.name).record else "create", before, after, apply, risk, reason, needs=needs))
        return host

    def _addresses(self, observed: Observed) -> dict[str, str]:
        made = {name: str(seen.record["address"]) for name, seen in observed.hosts.items() if seen.record}
        return {**made, **{host.name: host.address for host in self.lab.hosts}}

    def _plan_down(self, observed: Observed, draft: Draft) -> None:
        lab = self.lab
        for name, seen in sorted(observed.hosts.items()):
            draft.ensure("host", name, {"state": seen.state}, None, functools.partial(self._remove, name, seen))
        if observed.network.bridge(lab).get("ifalias") == lab.alias or observed.network.table:
            before = {"bridge": lab.bridge, "network": str(lab.network)}
            draft.ensure("network", lab.name, before, None, lambda: network.remove(lab), needs=draft.ids("host"))
        if observed.directory:
            remove = functools.partial(system.remove_tree, lab.directory)
            draft.ensure("lab", lab.name, {"directory": lab.directory}, None, remove, needs=draft.ids("host", "network"))
        if self._params.get("purge_cache") and os.path.isdir(lab.cache):
            if observed.other_labs:
                draft.problem(f"the cache {lab.cache} is used by other labs: {', '.join(observed.other_labs)}. Take them down first")
            remove = functools.partial(system.remove_tree, lab.cache)
            draft.ensure("cache", lab.cache, {"directory": lab.cache}, None, remove, needs=draft.ids("host", "network", "lab"))

    def _raise(self, host: Host, observed: Observed, step: str) -> None:
        """Bring one host up. Raises LabError, with the end of its console."""
        lab, seen, kind, addresses = self.lab, observed.host(host.name), _KINDS[host.kind], self._addresses(observed)
        names = surroundings.names(addresses)
        if step == "restart" and seen.pid is not None:
            seen.kind.stop(lab, host.name, seen.record, seen.pid, orderly=True)
        if step in ("make", "remake"):
            self._make(host, seen, observed)
        if step == "attach":
            containers.attach(lab, host)
        if step != "wait":
            write(lab.host(host.name, _RECORD), json.dumps(host.record(), indent=1) + "\n", 0o644)
        if step not in ("wait", "attach"):
            access.write_known_hosts(lab, addresses)
            moved = seen.record.get("address", host.address) != host.address
            kind.start(lab, host, observed.around, addresses, step in ("make", "remake"), moved)
        try:
            answer = access.wait_up(lab, host.address, self._params.get("timeout") or kind.TIMEOUT, _died(lab, host.name))
            if answer.names != names:
                access.set_names(lab, host.address, names)
        except system.LabError as error:
            path = lab.host(host.name, "console.log")
            lines = [line.rstrip() for line in system.read(path).splitlines() if line.strip()]
            raise system.LabError("\n".join([f"{error}. The end of its console ({path}):", *lines[-8:]])) from error

    def _make(self, host: Host, seen: HostSeen, observed: Observed) -> None:
        self._remove(host.name, seen)  # also what an interrupted run has left
        if host.kind == "container":
            for other, state in observed.hosts.items():
                if state.record.get("kind") == "container" and state.record.get("release") == host.release:
                    images.share_packages(self.lab, host.release, other, back=True)
        _KINDS[host.kind].make(self.lab, host)
        access.generate_key(self.lab.host_key(host.name), "")  # so that it is known before its first boot

    def _remove(self, name: str, seen: HostSeen) -> None:
        if seen.pid is not None:
            seen.kind.stop(self.lab, name, seen.record, seen.pid, orderly=False)
        seen.kind.remove(self.lab, name, seen.record)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        lab, rows = self.lab, []
        declared = {host.name: host.record() for host in lab.hosts}
        for name in sorted({*declared, *observed.hosts}):
            seen = observed.host(name)
            record, answer = seen.record or declared.get(name, {}), seen.answer or access.Answer("")
            row = {"name": name, **{key: record.get(key, "") for key in ("address", "kind", "release")}, "state": seen.state}
            rows.append({**row, "systemd": answer.state, "failed_units": list(answer.failed), "declared": name in declared})
        return {"hosts": rows, "network": str(lab.network), **{key: getattr(lab, key) for key in ("bridge", "private_key", "known_hosts")}}


def _died(lab: Lab, name: str) -> t.Callable[[], bool]:
    """Return a test whether a host's process, once it was there, has ended and no other has taken its place."""
    pid = 0

    def died() -> bool:
        nonlocal pid
        if pid and system.alive(pid):
            return False
        before, pid = pid, system.running(lab.machine("")).get(name, 0)
        return bool(before and not pid)

    return died
