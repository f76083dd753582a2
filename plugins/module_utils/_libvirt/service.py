# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's service on a host: what it and its guests' Ceph clients read, and a daemon that has read it. Guests that run go on while it is restarted.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import grp
import os
import pwd
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files, files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.service import unread
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import cgroups_are_writable
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Risk

UNIT = "libvirtd.service"
# Those by which systemd listens for it. cloudstack-setup-agent masks them too, so nothing changes when it comes.
SOCKETS = tuple(f"libvirtd{part}.socket" for part in ("", "-ro", "-admin", "-tls", "-tcp"))
MASKS = "/etc/systemd/system"
# Not below /run/ceph, which only the user ceph may enter.
SOCKET_FOLDER = "/run/ceph-guests"
LOG_FOLDER = "/var/log/ceph-guests"
CEPH_CONF = "/etc/ceph/ceph.conf"
TMPFILES = "/etc/tmpfiles.d/cephstack-guests.conf"
DROP_IN = systemd.drop_in_path(UNIT)
QEMU_CONF = "/etc/libvirt/qemu.conf"
LIBVIRTD_CONF = "/etc/libvirt/libvirtd.conf"
LIBVIRT_CONF = "/etc/libvirt/libvirt.conf"
SOCKET = "libvirtd.socket"
SOCKET_DROP_IN = systemd.drop_in_path(SOCKET)
# Nova's user speaks to libvirt as a member of its group: so does whoever polkit would ask about, which containers do without. Both or none.
OF_GROUP = "# Made by cephstack.cloud\n[Socket]\nSocketMode=0660\nSocketGroup=libvirt\n"
WITHOUT_POLKIT = 'auth_unix_rw = "none"\n'
# What CloudStack's agent knows of itself.
AGENT = "/etc/cloudstack/agent/agent.properties"

NO_CGROUPS = "# This host is a container that has no cgroup controllers it could write.\ncgroup_controllers = [ ]\n"
# addHost switches TLS on and gives libvirt certificates; without these lines it would not start until then.
BEFORE_CLOUDSTACK = 'listen_tls = 0\nlisten_tcp = 0\ntls_port = "16514"\ntcp_port = "16509"\nauth_tcp = "none"\n'


def is_registered(properties: t.Optional[str]) -> bool:
    """Return whether CloudStack has a host already, by its agent's properties: the server gives a host that it takes an identity. Pure."""
    return re.search(r"^guid=.*\S", properties or "", re.MULTILINE) is not None


def drop_in(cloudstack: bool) -> str:
    """The unit's drop-in. For CloudStack libvirt listens itself, instead of systemd's sockets, so that guests can move between hosts.
    An idle libvirt ends after two minutes and is started again when it is asked for. It starts storage pools once per boot, so that they would be gone from
    then on, as after every other restart (a package's upgrade): hence the note of it is removed too."""
    service = f"Environment=LIBVIRTD_ARGS={'--listen' if cloudstack else ''}\nExecStartPre=-/bin/rm -f /run/libvirt/storage/autostarted\n"
    return f"# Made by cephstack.cloud\n[Service]\n{service}"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is declared. clients: of the guests. openstack: whether Nova uses it. user, group: QEMU's. apparmor: the file of additions, "" if there is none."""

    clients: tuple[str, ...] = ()
    cloudstack: bool = False
    user: str = "libvirt-qemu"
    group: str = "kvm"
    apparmor: str = ""
    openstack: bool = False

    @property
    def folders(self) -> dict[str, str]:
        """The folders of sockets and logs: mode, owner and group."""
        return {SOCKET_FOLDER: f"0770 {self.user} {self.group}", LOG_FOLDER: f"0750 {self.user} {self.group}"} if self.clients else {}


@dataclasses.dataclass(frozen=True)
class File:
    """A file that is there. changed: when, in whole seconds since 1970, as systemd tells of starts; 0 where that is in the future."""

    text: str
    mode: str = "0644"
    changed: int = 0


class Socket(t.NamedTuple):
    """A socket of systemd. changed: when it was masked, as of a file."""

    masked: bool = False
    listening: bool = False
    changed: int = 0


class Part(t.NamedTuple):
    """What is wanted of one file. kind: all of it (file), a marked block of it (block), or one setting of it (setting).
    text: None where it is not to be there. name: the block's or the setting's. top: where a new block goes. at_start: whether libvirt reads it only then."""

    kind: str
    path: str
    text: t.Optional[str]
    name: str = "cephstack.cloud"
    top: bool = False
    at_start: bool = False

    def found(self, file: t.Optional[File]) -> t.Optional[dict[str, str]]:
        """Return what is there of it, None where it is not there."""
        if file is None:
            return None
        if self.kind == "file":
            return {"text": file.text, "mode": file.mode}
        text = config_files.block(file.text, self.name) if self.kind == "block" else config_files.setting(file.text, self.name)
        return None if text is None else {"text": text}

    def wanted(self) -> t.Optional[dict[str, str]]:
        return None if self.text is None else {"text": self.text, **({"mode": "0644"} if self.kind == "file" else {})}

    def put(self, text: str) -> str:
        """Return the file's text with it as it should be. Not for whole files."""
        if self.kind == "block":
            return config_files.put_block(text, self.name, self.text, self.top)
        return config_files.put_setting(text, self.name, self.text or "")


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there. files by path, those that exist. folders: mode, owner and group by path. registered: whether CloudStack has the host."""

    service: systemd.Unit
    sockets: t.Mapping[str, Socket]
    files: t.Mapping[str, File]
    folders: t.Mapping[str, str]
    cgroups: bool = True
    registered: bool = False


def parse(params: t.Mapping[str, t.Any]) -> Wanted:
    """Read a declaration. Raises Invalid with every problem."""
    clients = tuple(dict.fromkeys(params["clients"]))
    problems = [f"clients: '{client}' is no name of a client such as client.kvm" for client in clients if not re.fullmatch(r"client\.[\w.@-]+", client)]
    if problems:
        raise Invalid(problems)
    return Wanted(clients, params["cloudstack"], params["user"], params["group"], params["apparmor"] or "", params.get("openstack", False))


def read_file(path: str) -> t.Optional[File]:
    """Return a file as it is, None where it is not there. Raises Unreachable."""
    text = files.read(path, exact=True)
    return None if text is None else File(text, f"{os.stat(path).st_mode & 0o7777:04o}", files.changed(path))


def parts(wanted: Wanted, cgroups: bool, registered: bool) -> list[Part]:
    """Return what is wanted of each file. Pure."""
    clients, folders = wanted.clients, wanted.folders
    # An admin socket ("ceph daemon SOCKET perf dump") and a log for each guest, and not for the administrator's commands on this host.
    options = f"admin_socket = {SOCKET_FOLDER}/$cluster-$type.$id.$pid.$cctid.asok\nlog_file = {LOG_FOLDER}/qemu-guest-$pid.log\n"
    sections = "".join(f"[{client}]\n{options}" for client in clients)
    rows = "".join(f"d {path} {state} {age}\n" for (path, state), age in zip(folders.items(), ("-", "30d")))
    access = BEFORE_CLOUDSTACK if wanted.cloudstack else WITHOUT_POLKIT if wanted.openstack else None
    allowed = f"{SOCKET_FOLDER}/ r,\n{SOCKET_FOLDER}/** rwk,\n{LOG_FOLDER}/* rwk,\n"
    found = [
        # At the top: ceph_common adds what it must to the end of [global], which would be within a block below it.
        (True, Part("block", CEPH_CONF, sections or None, "cephstack.cloud kvm_host", top=True)),
        (True, Part("file", TMPFILES, f"# Made by cephstack.cloud\n{rows}" if clients else None)),
        (True, Part("file", DROP_IN, drop_in(wanted.cloudstack), at_start=True)),
        (True, Part("file", SOCKET_DROP_IN, OF_GROUP if wanted.openstack else None, at_start=True)),
        (wanted.apparmor, Part("block", wanted.apparmor, allowed if clients else None)),
        # libvirt's clients speak to it directly, not to daemons that this one stands for
        (wanted.cloudstack, Part("setting", LIBVIRT_CONF, 'remote_mode = "legacy"', "remote_mode")),
        # On a host that it has, both of these are CloudStack's: it may write them at any time, and restarts libvirt itself.
        (not registered, Part("block", QEMU_CONF, None if cgroups else NO_CGROUPS, at_start=True)),
        (not registered, Part("block", LIBVIRTD_CONF, access, at_start=True)),
    ]
    return [part for applies, part in found if applies]


def traces(apparmor: t.Iterable[str], shared: bool) -> list[Part]:
    """Return all that this file writes, as it is where it is to be gone. apparmor: the files that may have additions. shared: whether others go on with how
    libvirt listens and starts. Not the block in ceph.conf, which goes with that. Pure."""
    # A file of our own name is ours as a whole.
    found = [Part("file", TMPFILES, None), *(Part("file" if path.endswith("/cephstack") else "block", path, None) for path in apparmor)]
    if shared:
        return found
    started = [Part("block", path, None, at_start=True) for path in (QEMU_CONF, LIBVIRTD_CONF)]
    return [*found, *started, *(Part("file", path, None, at_start=True) for path in (DROP_IN, SOCKET_DROP_IN))]


@dataclasses.dataclass
class Provider:
    """libvirt on one host. bare: in check mode its packages need not be there. root: where the host's files are."""

    wanted: Wanted
    bare: bool = False
    root: str = ""

    def observe(self) -> Observed:
        """Read the files, and the units by one process."""
        registered, cgroups = self.wanted.cloudstack and is_registered(files.read(self.root + AGENT)), cgroups_are_writable()
        found = {part.path: read_file(self.root + part.path) for part in parts(self.wanted, cgroups, registered)}
        folders = {}
        for path in self.wanted.folders:
            with contextlib.suppress(OSError):
                seen = os.stat(self.root + path)
                folders[path] = f"{seen.st_mode & 0o7777:04o} {files.name_of(pwd.getpwuid, seen.st_uid)} {files.name_of(grp.getgrgid, seen.st_gid)}"
        units = systemd.show([UNIT, *(SOCKETS if self.wanted.cloudstack else ())])
        service = units.pop(UNIT)
        sockets = {name: Socket(unit.masked, unit.active, files.changed(f"{self.root}{MASKS}/{name}")) for name, unit in units.items()}
        return Observed(service, sockets, {path: file for path, file in found.items() if file}, folders, cgroups, registered)

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where libvirt is not installed."""
        if not observed.service.installed and not self.bare:
            raise Invalid([f"{UNIT} is not on this host: install libvirt's packages first"])
        draft = Draft()
        wanted = parts(self.wanted, observed.cgroups, observed.registered)
        for part in wanted:
            draft.ensure(part.kind, part.path, part.found(observed.files.get(part.path)), part.wanted(), functools.partial(put, part, self.root))
        if self.wanted.folders:
            run = functools.partial(process.run, ["systemd-tmpfiles", "--create", TMPFILES], timeout=60)
            draft.ensure("folders", TMPFILES, observed.folders or None, self.wanted.folders, run, needs=[f"file/{TMPFILES}"])
        sockets = {name: {"masked": socket.masked, "listening": socket.listening} for name, socket in observed.sockets.items()}
        masked = {name: {"masked": True, "listening": False} for name in sockets}
        draft.ensure("sockets", UNIT, sockets, masked, update=lambda those: process.run(["systemctl", "mask", "--now", *those], timeout=180))
        # not those of permissions alone
        written = {change.name for change in draft.changes if change.after is None or change.kind == "sockets" or "text" in change.after}
        service, reasons = observed.service, self._unread(wanted, observed, written)
        reason = "; ".join(reasons)
        before = {"enabled": service.enabled, "running": service.active, **({"restart": None} if reasons else {})}
        after = {"enabled": True, "running": True, **({"restart": reason} if reasons else {})}
        drop_in = observed.files.get(SOCKET_DROP_IN)
        listen = SOCKET_DROP_IN in written or (drop_in is not None and drop_in.changed > service.began)
        begin = functools.partial(_begin, service.stale or bool(written & {DROP_IN, SOCKET_DROP_IN}), listen, bool(reasons), not service.enabled)
        risk, needs = Risk.RESTART if reasons else Risk.NONE, [change.id for change in draft.changes]
        draft.ensure("unit", UNIT, before if service.installed else None, after, begin, needs=needs, risk=risk, reason=reason)
        return draft.plan()

    @staticmethod
    def _unread(wanted: t.Iterable[Part], observed: Observed, written: t.Container[str]) -> list[str]:
        """Return what the running libvirt has not read."""
        if not observed.service.active:
            return []
        times = {part.path: observed.files[part.path].changed if part.path in observed.files else 0 for part in wanted if part.at_start}
        reasons = unread(observed.service, times, written)
        if UNIT in written:
            reasons.append("systemd stops listening for it")
        elif unread(observed.service, {name: socket.changed for name, socket in observed.sockets.items()}):
            reasons.append("systemd has stopped listening for it since its start")
        return reasons or (["its unit changed"] if observed.service.stale else [])

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"registered": observed.registered, "cgroups": observed.cgroups}


def put(part: Part, root: str = "") -> None:
    """Write a file; one of others keeps its owner and permissions."""
    path = os.path.realpath(root + part.path)
    text = files.read(path, exact=True)
    if part.kind != "file":
        seen = None if text is None else os.stat(path)
        mode, uid, gid = (seen.st_mode & 0o7777, seen.st_uid, seen.st_gid) if seen else (0o644, 0, 0)
        files.write(path, part.put(text or ""), mode, uid, gid)
    elif part.text is None:
        os.unlink(path)
    elif part.text == text:
        os.chmod(path, 0o644)  # written anew, it would be newer than libvirt's start
    else:
        files.write(path, part.text, 0o644)


def _begin(reload: bool, listen: bool, restart: bool, enable: bool) -> None:
    """listen: whether systemd must open its sockets anew, which it does not while libvirt runs."""
    try:
        if reload:
            process.run(["systemctl", "daemon-reload"], timeout=120)
        if listen:
            process.run(["systemctl", "stop", UNIT, SOCKET], timeout=300)
        elif restart:
            systemd.restart(UNIT)
        if enable or listen or not restart:
            systemd.start(UNIT)
    except process.CommandError as error:
        raise RuntimeError(f"{error}: {systemd.last_words(UNIT)}") from error
