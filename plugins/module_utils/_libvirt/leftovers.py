# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's libvirt has of a cluster that is to be gone: storage pools, secrets, how it was set up; and which guests still run on the cluster.

A secret says of which cluster it is (the fsid is in its name), and a pool by the secret that it uses. Others' pools and secrets stay.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import os
import re
import shutil
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import connection, rbd, service, xml
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk, Unreachable

# The roles' two places of additions to AppArmor's profiles, by the age of the distribution.
_APPARMOR = ("/etc/apparmor.d/abstractions/libvirt-qemu.d/cephstack", "/etc/apparmor.d/local/abstractions/libvirt-qemu")
# Where CloudStack's agent or Nova is, libvirt was set up for them, too.
_OTHERS = {"CloudStack": service.AGENT, "Nova": "/etc/nova/nova-compute.conf"}
# Where libvirt notes what it has, and which guests run. One that has nothing is not woken: it may not even be set up.
_NOTES = ("/etc/libvirt/secrets/*.xml", "/etc/libvirt/storage/*.xml", "/run/libvirt/storage/*.xml", "/run/libvirt/qemu/*.xml")
KINDS = frozenset(("secret", "pool", "file", "block", "folders", "unit"))


class Guest(t.NamedTuple):
    """A guest that runs, and one of its disks on RBD. hosts: the monitors that it was given; none where it goes by ceph.conf."""

    name: str
    disk: xml.RbdDisk


@dataclasses.dataclass(frozen=True)
class Observed:
    """seen: the secrets and pools of the host. files by path, those that exist. others: what else uses libvirt. folder: whether that of sockets is there."""

    seen: rbd.Observed = rbd.Observed({}, {})
    guests: t.Sequence[Guest] = ()
    files: t.Mapping[str, service.File] = dataclasses.field(default_factory=dict)
    others: t.Sequence[str] = ()
    folder: bool = False
    logs: bool = False
    unit: systemd.Unit = systemd.NO_UNIT


class Leftovers:
    """Those of one host. Holds a connection to libvirt open from one look to the next: what was seen is removed over it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._host: t.Optional[connection.Host] = None

    def observe(self) -> Observed:
        """Read what libvirt has, if it has anything. Raises Unreachable."""
        self.close()
        others = [name for name, path in _OTHERS.items() if os.path.exists(path)]
        found = {part.path: service.read_file(part.path) for part in service.traces(_APPARMOR, bool(others))}
        observed = Observed(
            files={path: file for path, file in found.items() if file},
            others=others,
            folder=os.path.isdir(service.SOCKET_FOLDER),
            logs=os.path.isdir(service.LOG_FOLDER) and bool(os.listdir(service.LOG_FOLDER)),
            unit=systemd.units([service.UNIT])[service.UNIT],
        )
        if not any(map(glob.glob, _NOTES)):
            return observed
        host = connection.Host(self.uri)
        if host.lib is None:
            raise Unreachable("libvirt is on this host, and cannot be asked which guests run: install python3-libvirt")
        host.__enter__()
        self._host = host
        seen = rbd.Provider(host, rbd.Wanted((), ())).observe()
        try:
            running = [(domain.name(), domain.XMLDesc(0)) for domain in host.api.listAllDomains(host.lib.VIR_CONNECT_LIST_DOMAINS_ACTIVE)]
        except host.lib.libvirtError as error:
            raise Unreachable(f"libvirt at {self.uri}: {error}") from error
        return dataclasses.replace(observed, seen=seen, guests=[Guest(name, disk) for name, text in running for disk in xml.rbd_disks(text)])

    def close(self) -> None:
        if self._host is not None:
            self._host.__exit__()
            self._host = None

    def plan(self, draft: Draft, observed: Observed, fsid: str, monitors: t.Collection[str], ours: bool) -> None:
        """Plan that nothing is left of the cluster. monitors: its addresses. ours: whether the host itself says that it is of this cluster. Pure."""
        secrets = secrets_of(observed.seen, fsid)
        for name, disk in observed.guests:
            if disk.secret_uuid in secrets or {host for host, _port in disk.hosts} & set(monitors) or (ours and not disk.hosts):
                draft.problem(f"the guest {name} runs on the image {disk.image}: shut it down first")
        pools = [pool.name for pool in observed.seen.pools.values() if _is_of(pool, secrets, fsid)]
        wanted = rbd.Wanted(
            [rbd.WantedSecret(entity, uuid, "", None) for uuid, entity in secrets.items()],
            [rbd.WantedPool(name, None) for name in pools],
        )
        for change in rbd.Provider(self._host, wanted).plan(observed.seen).changes:
            draft.add(change)
        if not ours:
            return
        parts = [part for part in service.traces(_APPARMOR, bool(observed.others)) if part.found(observed.files.get(part.path)) is not None]
        for part in parts:
            draft.ensure(part.kind, part.path, part.found(observed.files.get(part.path)), None, functools.partial(service.put, part))
        if observed.folder:
            draft.ensure("folders", service.SOCKET_FOLDER, {"there": True}, None, functools.partial(shutil.rmtree, service.SOCKET_FOLDER))
        at_start = [f"{part.path} changes" for part in parts if part.at_start]
        reason = "; ".join(at_start) or ("its unit changed" if observed.unit.stale and observed.unit.active else "")
        if reason and observed.unit.installed:
            # Last, since what is in libvirt is removed over the connection that ends with it.
            needs = [*draft.ids("secret", "pool"), *(f"{part.kind}/{part.path}" for part in parts)]
            begin = functools.partial(_again, observed.unit.active)
            draft.ensure("unit", service.UNIT, {"restart": None}, {"restart": reason}, begin, needs=needs, risk=Risk.RESTART, reason=reason)


def secrets_of(seen: rbd.Observed, fsid: str) -> dict[str, str]:
    """The clients whose keys libvirt has for a cluster, by UUID. Pure."""
    found = {uuid: re.fullmatch(rf"(client\.\S+) of {re.escape(fsid)}", secret.definition.usage) for uuid, secret in seen.secrets.items()}
    return {uuid: match[1] for uuid, match in found.items() if match}


def _is_of(pool: rbd.PoolNow, secrets: t.Container[str], fsid: str) -> bool:
    definition = pool.definition
    return definition is not None and (definition.secret in secrets or definition.secret == secret_uuid(fsid, f"client.{definition.user}"))


def left(observed: Observed, fsid: str, monitors: t.Collection[str], ours: bool) -> list[str]:
    """What stays, and why. Pure."""
    secrets, found = secrets_of(observed.seen, fsid), []
    for pool in observed.seen.pools.values():
        hosts = {host for host, _port in pool.definition.hosts} if pool.definition else set()
        if hosts & set(monitors) and not _is_of(pool, secrets, fsid):
            found.append(f"libvirt's storage pool {pool.name}, which is of this cluster and not this collection's")
    if observed.others and ours:
        found.append(f"how libvirt listens and starts, for {' and '.join(observed.others)}")
    return [*found, *([f"{service.LOG_FOLDER}: logs of guests"] * observed.logs)]


def _again(active: bool) -> None:
    """Let systemd, and libvirt if it runs, read what has changed."""
    process.run(["systemctl", "daemon-reload"], timeout=120)
    for path in (service.DROP_IN, service.SOCKET_DROP_IN):
        folder = os.path.dirname(path)
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
    if active:
        systemd.restart(service.UNIT)
