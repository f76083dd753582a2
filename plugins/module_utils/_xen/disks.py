# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RBD disks of Xen guests: what xl is told of them, from a guest's next creation on, and what is mapped on the host for them.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import functools
import glob
import os
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, binding
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS, client_of, pools_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, filepath, records, string
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import host as xen
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import mappings as xen_mappings
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import xenstore
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.mappings import MADE, Image, Mapping, keyring_file

rbd = binding("rbd")

FRAGMENTS = "/etc/xen/disks"
SCRIPTS = "/etc/xen/scripts"
# What passes unharmed through xl's configuration, a hotplug script's target and rbdmap.
_NAME = re.compile(r"[A-Za-z0-9._+][A-Za-z0-9._+-]*")
_DEVICE = re.compile(r"(xvd|sd|hd)[a-z]{1,2}[0-9]{0,2}")

# The options of xen_host and xen_guest_probe alike.
BACKEND: dict[str, t.Any] = choice("How disks are served that name no backend.", xen.BACKENDS, default="krbd_script")
OPTIONS: dict[str, t.Any] = {
    "backend": BACKEND,
    "consumers": CONSUMERS,
    "conf": filepath(
        "The Ceph configuration file with which images are looked for. The clients' keyrings must be where Ceph looks for them.", default="/etc/ceph/ceph.conf"
    ),
}
# The options of the module xen_host, and what roles pass on to it.
DISK_OPTIONS: dict[str, t.Any] = {
    "device": string("What the guest calls it.", default="xvda"),
    "pool": string("The pool of its image.", required=True),
    "image": string("Its image, which must be there.", required=True),
    "consumer": string("Which of O(consumers) it belongs to. By default the only one of kind V(xen)."),
    "mode": choice("V(w) to read and write, V(r) to only read.", ["w", "r"], default="w"),
    "backend": choice("How it is served. By default O(backend).", xen.BACKENDS),
    "exclusive": boolean(
        "Whether no other host may write the image while this one has it.\n"
        "Say V(false) for guests that move between hosts while they run, and for file systems that are made for several writers.",
        default=True,
    ),
}
GUEST_OPTIONS: dict[str, t.Any] = {
    "name": string("The guest's name, as its configuration for C(xl) has it.", required=True),
    "disks": records("Its disks on RBD.", DISK_OPTIONS, required=True),
}

Options = t.Mapping[str, t.Any]
# Who else has an image open, by (client, pool/image).
Users = t.Mapping[t.Tuple[str, str], t.Tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Disk(Image):
    """A disk as it was declared. mode: w or r, xl's letters."""

    guest: str
    device: str
    mode: str
    backend: str
    exclusive: bool

    @property
    def line(self) -> str:
        """The disk as xl takes it."""
        access, target = f"vdev={self.device},access={'rw' if self.mode == 'w' else 'ro'}", f"{self.name}:id={self.user}"
        words = target + (":ro" if self.mode == "r" else "") + ("" if self.exclusive else ":shared")
        line = xen.BACKENDS[self.backend].line
        return line.format(access=access, target=target, words=words, name=self.name, device=self.device, mode=self.mode)

    @property
    def mapping(self) -> t.Optional[Mapping]:
        """What must be mapped on the host before the guest can have it."""
        way = xen.BACKENDS[self.backend].mapped
        option = "ro" if self.mode == "r" else "exclusive" if self.exclusive else ""
        return Mapping(self.pool, self.image, self.client, way, option) if way else None


@dataclasses.dataclass(frozen=True)
class Wanted:
    guests: t.Mapping[str, tuple[Disk, ...]]

    @property
    def disks(self) -> list[Disk]:
        return [disk for disks in self.guests.values() for disk in disks]

    @property
    def mappings(self) -> dict[str, Mapping]:
        return {mapping.name: mapping for mapping in (disk.mapping for disk in self.disks) if mapping}


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is on the host.

    fragments: text by guest. problems: what is wrong with the images that were declared. asked: why the cluster was not asked, "" where it was.
    bare: Xen's or Ceph's programs are not installed. tried: whether seen has what only attaching can tell.
    """

    seen: xen.Seen
    fragments: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    mappings: xen_mappings.Observed = xen_mappings.Observed()
    running: xenstore.Running = xenstore.NOBODY
    images: Users = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()
    asked: str = ""
    bare: bool = False
    tried: bool = True


def parse(guests: t.Sequence[Options], backend: str, consumers: t.Sequence[Options], where: str = "guests") -> Wanted:
    """Read a declaration that went through GUEST_OPTIONS. backend: of disks that name none. Raises Invalid with every problem found."""
    problems: list[str] = []
    users = {consumer["name"]: consumer for consumer in consumers if consumer.get("kind") == "xen"}
    found: dict[str, tuple[Disk, ...]] = {}
    for number, guest in enumerate(guests):
        name = guest["name"]
        here = f"{where}[{number}] ({name})"
        if not _NAME.fullmatch(name) or name[0] == ".":
            problems.append(f"{here}: a guest's name has letters, digits, '.', '_', '+' and '-', and begins with a letter or digit")
        if name in found:
            problems.append(f"{here}: {name} is declared twice: keep one of them")
        items = enumerate(guest.get("disks") or ())
        disks = [_parse_disk(f"{here}: disks[{index}] ({item['device']})", name, item, backend, users, problems) for index, item in items]
        found[name] = tuple(filter(None, disks))
        devices = collections.Counter(disk.device for disk in found[name])
        problems += [f"{here}: the device {device} is taken twice: give each disk its own" for device, count in sorted(devices.items()) if count > 1]
    wanted = Wanted(found)
    problems += [f"{where}: {text}" for text in _shared(wanted.disks)]
    if problems:
        raise Invalid(problems)
    return wanted


def _parse_disk(here: str, guest: str, item: Options, backend: str, users: t.Mapping[str, Options], problems: list[str]) -> t.Optional[Disk]:
    """Read one disk; None where too little of it is right. users: the consumers of kind xen, by name."""
    device, pool, image, mode, exclusive = (item[key] for key in ("device", "pool", "image", "mode", "exclusive"))
    if not _DEVICE.fullmatch(device):
        problems.append(f"{here}: device '{device}' is none of Xen's: write xvda, xvdb, ...")
    for what, value in (("pool", pool), ("image", image)):
        if not _NAME.fullmatch(value):
            why = "':' separates the words of a disk" if ":" in value else "Xen's tools take letters, digits, '.', '_', '+' and '-', which comes not first"
            problems.append(f"{here}: {what} '{value}' can't be given to a Xen guest: {why}; rename it")
    name = str(item.get("consumer") or ("".join(users) if len(users) == 1 else ""))
    if name not in users:
        have = ", ".join(sorted(users))
        unclear = f"there are {have}: name one of them (consumer)" if users else "declare one that names this host in its hosts (consumers)"
        unknown = f"consumer '{name}' is none of this host's consumers of kind xen ({have or 'it has none'})"
        problems.append(f"{here}: {unknown if name else f'it is not clear which consumer of kind xen it belongs to: {unclear}'}")
        return None
    client, access = client_of(users[name]), {pool["name"]: pool["access"] for pool in pools_of(users[name])}
    if pool not in access:
        problems.append(f"{here}: {client} has no rights on the pool {pool}: add it to the pools of the consumer {name}")
    elif access[pool] == "ro" and mode == "w":
        problems.append(f"{here}: {client} may only read the pool {pool}: say mode: r, or give the consumer {name} access: rw")
    return Disk(pool, image, client, guest, device, mode, item.get("backend") or backend, exclusive)


def contested(disks: t.Iterable[Disk]) -> bool:
    """Whether one of an image's disks writes it while one wants it alone."""
    modes = {(disk.mode, disk.exclusive) for disk in disks}
    return any(mode == "w" for mode, _alone in modes) and any(alone for _mode, alone in modes)


def _shared(disks: t.Sequence[Disk]) -> t.Iterator[str]:
    for name in dict.fromkeys(disk.name for disk in disks):
        users = [disk for disk in disks if disk.name == name]
        who = " and ".join(f"{disk.guest} ({disk.device}, {disk.mode})" for disk in users)
        if len({disk.guest for disk in users}) < len(users):
            yield f"one guest has the image {name} twice: {who}"
        elif len(users) > 1 and contested(users):
            remedy = "If they have a file system that is made for it, say exclusive: false for each"
            yield f"the image {name} is written by one guest while another has it: {who}. {remedy}"
        elif len({disk.mapping for disk in users if disk.mapping}) > 1:
            yield f"the image {name} would be mapped on the host in two ways: {who}. Give these disks one backend, consumer and mode"


def fragment(guest: str, disks: t.Sequence[Disk]) -> str:
    lines = "".join(f"  '{disk.line}',\n" for disk in disks)
    return f"{MADE}: the disks of {guest}, a part of its configuration for xl\ndisk = [\n{lines}]\n"


def fragment_lines(text: str) -> dict[str, str]:
    """Return the disks that a piece of xl's configuration holds, by device."""
    found = {}
    for line in re.findall(r"'([^']*)'", re.sub(r"(?m)^\s*#.*", "", text)):
        device = re.search(r"(?:^|,)vdev=(\w+)", line) or re.match(r"[^,]*,([^,]*)", line)
        found[device[1] if device else line] = line
    return found


def addresses(text: str) -> set[str]:
    """Return the IP addresses in Ceph's notation of a client's addresses, "v2:10.0.0.1:0/123" or "10.0.0.1:0/123"."""
    found = re.findall(r"\[([0-9a-fA-F:]+)\]:\d+/\d+|(\d+\.\d+\.\d+\.\d+):\d+/\d+", text)
    return {six or four for six, four in found}


def own_addresses(connection: Connection) -> set[str]:
    """Return the addresses under which the cluster knows this host."""
    return addresses(str(connection.rados.get_addrs()))


def ask_images(disks: t.Sequence[Disk], conf: str) -> tuple[Users, list[str]]:
    """Ask the cluster of each disk's image as its own client. Returns who else has it open, and what is wrong. Raises Unreachable."""
    images: dict[tuple[str, str], tuple[str, ...]] = {}
    problems: list[str] = []
    for client in sorted({disk.client for disk in disks}):
        with Connection({"client": client, "conf": conf}) as connection:
            own = own_addresses(connection)
            for disk in {disk.name: disk for disk in disks if disk.client == client}.values():
                try:
                    with contextlib.closing(connection.rados.open_ioctx(disk.pool)) as io_context, rbd.Image(io_context, disk.image, read_only=True) as image:
                        watchers = {str(watcher["addr"]) for watcher in image.watchers_list()}
                    images[(client, disk.name)] = tuple(sorted(text for text in watchers if not addresses(text) & own))
                except Exception as error:  # librados and librbd have families of errors of their own
                    problems.append(f"guest {disk.guest}: {disk.device}: {trouble(error, disk)}")
    return images, problems


def in_use(disk: Disk, images: Users) -> str:
    """Say who else has the image of a disk that must have it alone; "" where nobody does."""
    others = images.get((disk.client, disk.name))
    return f"the image {disk.name} is in use elsewhere, by {', '.join(others)}" if others and disk.exclusive and disk.mode == "w" else ""


def trouble(error: t.Any, disk: Disk) -> str:
    code = getattr(error, "errno", None)
    code = abs(code) if isinstance(code, int) else 0
    denied = f"{disk.client} has no right to the image {disk.name}: add the pool {disk.pool} to the pools of its consumer"
    absent = f"the image {disk.name} is not there, or its pool is not: create it, or correct its name"
    known = {errno.ENOENT: absent, errno.EPERM: denied, errno.EACCES: denied}
    return known.get(code, f"the image {disk.name} can't be opened as {disk.client}: {error}")


@dataclasses.dataclass
class Provider:
    """Brings what one Xen host knows of its guests' disks to what was declared.

    check_mode: then nothing need be installed yet. prune: whether what this collection wrote and is no longer declared goes.
    boot: the options that Xen must have been booted with before anything is done; None where it need not even run.
    """

    wanted: Wanted
    conf: str = "/etc/ceph/ceph.conf"
    prune: bool = True
    check_mode: bool = False
    boot: t.Optional[t.Sequence[str]] = None

    def _missing(self, seen: xen.Seen) -> list[str]:
        """The options that Xen was not booted with."""
        return [option for option in self.boot or () if option not in seen.command_line.split()]

    def _waits(self, seen: xen.Seen) -> bool:
        """Whether the host must be booted anew first."""
        return self.boot is not None and (not seen.dom0 or bool(self._missing(seen)))

    def observe(self) -> Observed:
        """Read the host, and ask the cluster of the images that were declared. Raises Unreachable."""
        try:
            seen = xen.look()
            if self._waits(seen):
                return Observed(seen)
            fragments = {os.path.basename(path)[: -len(".cfg")]: files.read(path) or "" for path in glob.glob(f"{FRAGMENTS}/*.cfg")}
            # What can only be told by attaching something is tried once, before the first such disk is written down.
            new = [disk for disk in self.wanted.disks if fragment_lines(fragments.get(disk.guest, "")).get(disk.device) != disk.line]
            attach = not self.check_mode and any(disk.backend in xen.TAP_BACKENDS for disk in new)
            seen = xen.tried(seen) if attach else seen
            running = xenstore.look() if seen.dom0 else xenstore.NOBODY
            mappings = xen_mappings.observe(self.wanted.mappings)
        except process.CommandError as error:
            raise Unreachable(f"this Xen host can't be looked at: {error}") from error
        images, problems, asked = self._ask()
        bare = not all(process.installed(program) for program in ("xl", "rbd"))
        return Observed(seen, fragments, mappings, running, images, tuple(problems), asked, bare, attach)

    def _ask(self) -> tuple[Users, list[str], str]:
        """Return what ask_images does, and why it was not asked."""
        if not self.wanted.disks:
            return {}, [], ""
        needed = [self.conf, *(keyring_file(client) for client in sorted({disk.client for disk in self.wanted.disks}))]
        missing = [*(path for path in needed if not os.path.exists(path)), *(["python3-rbd"] if rbd is None else [])]
        if missing:
            lacks = f"this host lacks {', '.join(missing)}"
            return ({}, [], lacks) if self.check_mode else ({}, [f"{lacks}: the role xen_host puts that there"], "")
        try:
            return (*ask_images(self.wanted.disks, self.conf), "")
        except Unreachable as error:
            if self.check_mode:  # what precedes this in a real run may be what mends it: a key, a configuration
                return {}, [], str(error)
            raise

    def plan(self, observed: Observed) -> Plan:
        """Compare; plan nothing on a host that must be booted first. Raises Invalid with every problem."""
        draft = Draft()
        if self._waits(observed.seen):
            return draft.plan()
        draft.problems += observed.problems
        if observed.asked:
            draft.warn(f"whether the images are there was not asked: {observed.asked}")
        if self.wanted.mappings and not observed.seen.dom0:
            draft.warn("this host is not Xen's first domain yet: the images of its guests are written down, and mapped once it was booted into Xen")
        for backend in sorted({disk.backend for disk in self.wanted.disks}):
            self._check_backend(backend, observed, draft)
        for disk in self.wanted.disks:
            _check_disk(disk, observed, draft)
        self._plan_fragments(observed, draft)
        xen_mappings.plan(draft, self.wanted.mappings, observed.mappings, observed.running, observed.seen.dom0, self.prune)
        return draft.plan()

    def _check_backend(self, backend: str, observed: Observed, draft: Draft) -> None:
        disks = [disk for disk in self.wanted.disks if disk.backend == backend]
        why = xen.reasons(observed.seen if observed.tried else dataclasses.replace(observed.seen, libxl="", tapdisk_rbd=""), backend)
        script = re.search(r"script=([^,]+)", disks[0].line)
        if script and not self.check_mode and not os.access(f"{SCRIPTS}/{script[1]}", os.X_OK):
            why.append(f"the hotplug script {SCRIPTS}/{script[1]} is not there (the role xen_host puts it there)")
        if not why:
            return
        who = ", ".join(f"{disk.guest} ({disk.device})" for disk in disks)
        text = f"the backend {backend} of {who} can't be used on this host: {'; '.join(why)}"
        # what Xen's own version refuses stays refused, whatever will be installed
        refused = backend in xen.TAP_BACKENDS and observed.seen.version and observed.seen.version < xen.TAP_SINCE
        if self.check_mode and observed.bare and not refused:
            draft.warn(f"{text}; this is judged again once all is installed")
        else:
            draft.problem(f"{text}. Mend that, or choose another backend")

    def _plan_fragments(self, observed: Observed, draft: Draft) -> None:
        there = {guest: fragment_lines(text) for guest, text in observed.fragments.items()}
        for guest, disks in self.wanted.guests.items():
            after = {**dict.fromkeys(there.get(guest, ())), **{disk.device: disk.line for disk in disks}}
            write = functools.partial(files.write, f"{FRAGMENTS}/{guest}.cfg", fragment(guest, disks), 0o644)
            reason = "the guest runs, and has them when it is created the next time" if guest in observed.running.guests else ""
            draft.ensure("fragment", guest, there.get(guest), after, write, reason=reason)
        for guest, text in sorted(observed.fragments.items()):
            if self.prune and guest not in self.wanted.guests and text.startswith(MADE):
                draft.ensure("fragment", guest, there[guest], None, functools.partial(os.unlink, f"{FRAGMENTS}/{guest}.cfg"))

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        found: list[dict[str, t.Any]] = []
        for disk in () if self._waits(observed.seen) else self.wanted.disks:
            way = xen.BACKENDS[disk.backend].mapped or "krbd"  # a hotplug script maps by the kernel
            now = observed.running.disk(disk.guest, disk.device)
            attached = now is not None and now.image == (disk.pool, disk.image)
            found.append({key: getattr(disk, key) for key in ("guest", "device", "pool", "image", "backend")})
            mapped = observed.mappings.mapped(way, disk.name) is not None
            found[-1].update(mapped=mapped, attached=attached, state=now.state_name if now and attached else "")
        return {**xen.returned(observed.seen), "missing": self._missing(observed.seen), "disks": found}


def _check_disk(disk: Disk, observed: Observed, draft: Draft) -> None:
    taken, here = in_use(disk, observed.images), f"guest {disk.guest}: "
    if taken and disk.mapping is None:  # the guest may run on the other host it is declared on, and can't be started on this one meanwhile
        draft.warn(f"{here}{disk.device}: {taken}: it can't be started here until that has ended")
    elif taken:
        draft.problem(f"{here}{disk.device}: {taken}: stop its user there, or say exclusive: false where two hosts share it on purpose")
    now = observed.running.disk(disk.guest, disk.device)
    if now is None:
        return
    before = fragment_lines(observed.fragments.get(disk.guest, "")).get(disk.device, "")
    if now.image != (disk.pool, disk.image) and not (now.image and "/".join(now.image) in before):
        there = f"the guest runs with {now.params or now.kind} there"
        draft.problem(f"{here}the device {disk.device} is taken: {there}; choose another one")
    elif now.state != xenstore.CONNECTED:
        state = f"the backend's state is {now.state} ({now.state_name}), {now.error or 'and nobody says why'}"
        draft.problem(f"{here}its disk {disk.device} ({now.params}) is not connected: {state}")
