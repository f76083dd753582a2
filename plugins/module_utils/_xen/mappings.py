# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that a Xen host maps at boot, by Ceph's own rbdmap or by a unit of rbd-nbd, and what is mapped now.

What a guest uses is neither unmapped nor mapped anew.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import typing as t
import uuid as uuids

from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files, files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import xenstore

RBDMAP = "/etc/ceph/rbdmap"
NBD_CONFS = "/etc/ceph/rbd-nbd"
MADE = "# Made by cephstack.cloud"
_SYS = "/sys"

_BLOCK = "cephstack.cloud xen_host"
_NAMESPACE = uuids.UUID("7c9c1a3e-4f5b-5a3c-9f0e-6f2f0c5d8b21")  # of ours: an image's cookie is the same for ever


@dataclasses.dataclass(frozen=True)
class Image:
    """An image, and as whom it is opened. client: as Ceph writes it, client.x."""

    pool: str
    image: str
    client: str

    @property
    def name(self) -> str:
        """Pool and image, as Ceph's own tools take them."""
        return f"{self.pool}/{self.image}"

    @property
    def user(self) -> str:
        """The client without its kind, as --id takes it."""
        return self.client[len("client.") :]


@dataclasses.dataclass(frozen=True)
class Mapping(Image):
    """An image that the host maps at boot. way: krbd or nbd. option: ro, exclusive or ""."""

    way: str
    option: str

    @property
    def entry(self) -> str:
        """What is written down for it: a line of rbdmap, or the environment of the unit."""
        if self.way == "krbd":
            return f"{self.name} {rbdmap_options(self.client, self.option)}"
        cookie = uuids.uuid5(_NAMESPACE, self.name)
        return f"{MADE}\nPOOL={self.pool}\nIMAGE={self.image}\nCLIENT={self.user}\nCOOKIE={cookie}\nOPTIONS={self.flag}\n"

    @property
    def flag(self) -> str:
        """The option as "rbd device map" and rbd-nbd take it."""
        return {"ro": "--read-only", "exclusive": "--exclusive"}.get(self.option, "")

    @property
    def unit(self) -> str:
        return nbd_unit(self.name)

    @property
    def conf(self) -> str:
        return nbd_conf(self.name)


@dataclasses.dataclass(frozen=True)
class Mapped:
    """An image that is mapped now. device: /dev/rbd0 or /dev/nbd0."""

    device: str
    read_only: bool = False


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is on the host.

    rbdmap: its text. confs: those of rbd-nbd's units, text by pool/image. enabled: whether the unit starts at boot. krbd, nbd: what is mapped,
    by pool/image.
    """

    rbdmap: str = ""
    confs: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    enabled: t.Mapping[str, bool] = dataclasses.field(default_factory=dict)
    krbd: t.Mapping[str, Mapped] = dataclasses.field(default_factory=dict)
    nbd: t.Mapping[str, Mapped] = dataclasses.field(default_factory=dict)

    @property
    def mapped(self) -> dict[str, t.Mapping[str, Mapped]]:
        """What is mapped, by the way in which it is."""
        return {"krbd": self.krbd, "nbd": self.nbd}


# -- what is written down


def escaped(name: str) -> str:
    """Return a name as an instance of a systemd unit (systemd-escape(1))."""
    out = []
    for index, letter in enumerate(name):
        if letter == "/":
            out.append("-")
        elif (letter.isascii() and (letter.isalnum() or letter in ":_")) or (letter == "." and index):
            out.append(letter)
        else:
            out.extend(f"\\x{byte:02x}" for byte in letter.encode())
    return "".join(out)


def nbd_unit(name: str) -> str:
    """Return the unit of rbd-nbd that maps pool/image."""
    return f"cephstack-rbd-nbd@{escaped(name)}.service"


def nbd_conf(name: str) -> str:
    """Return the file with the environment of that unit."""
    return f"{NBD_CONFS}/{name}.conf"


def rbdmap_entries(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the lines of rbdmap by image: those of this collection's, and those of others'."""
    ours = config_files.block(text, _BLOCK) or ""
    return _entries(ours), _entries(config_files.put_block(text, _BLOCK, None))


def _entries(text: str) -> dict[str, str]:
    return {image: line.strip() for line in text.splitlines() for image in [_image_of(line)] if image}


def _image_of(line: str) -> str:
    """Return the image, POOL/IMAGE, that a line of rbdmap maps; "" where it maps none."""
    name = next(iter(line.split()), "#")
    return "" if name.startswith("#") else name if "/" in name else f"rbd/{name}"


def rbdmap_options(client: str, option: str = "") -> str:
    """Return what follows the image in a line of rbdmap. option: ro, exclusive or ""."""
    return f"id={client.partition('.')[2]},keyring=/etc/ceph/ceph.{client}.keyring" + (f",options='{option}'" if option else "")


def rbdmap_with(text: str, entries: t.Iterable[str]) -> str:
    """Return rbdmap with these entries as this collection's, and all else as it is."""
    return config_files.put_block(text, _BLOCK, "".join(f"{line}\n" for line in sorted(entries)) or None)


def edit_rbdmap(text: t.Optional[str], entries: t.Mapping[str, t.Optional[str]]) -> str:
    """Return an rbdmap in which each image, POOL/IMAGE, has its options, wherever its line is; None takes it away. All else stays."""
    return config_files.put_values(text or "", entries, "{}\t{}", _image_of, lambda line: "".join(line.split(None, 1)[1:]))


# -- what is there


def observe(wanted: t.Mapping[str, Mapping]) -> Observed:
    """Read what is written down, and what is mapped. wanted: by pool/image. Raises CommandError, Unreachable."""
    confs = {}
    for path in glob.glob(f"{NBD_CONFS}/*/*.conf"):
        confs[os.path.relpath(path, NBD_CONFS)[: -len(".conf")]] = files.read(path) or ""
    units = {name: nbd_unit(name) for name in {*confs, *(name for name, one in wanted.items() if one.way == "nbd")}}
    states = systemd.units(sorted(units.values()))
    return Observed(
        rbdmap=files.read(RBDMAP) or "",
        confs=confs,
        enabled={name: states[unit].enabled for name, unit in units.items()},
        krbd=krbd_mapped(),
        nbd=parse_nbd(process.run(["rbd", "device", "list", "-t", "nbd", "--format", "json"], timeout=60)) if process.installed("rbd-nbd") else {},
    )


def krbd_mapped(root: str = _SYS) -> dict[str, Mapped]:
    """Return what the kernel's client has mapped, by pool/image. Snapshots and namespaces are none of ours."""
    found = {}
    for folder in sorted(glob.glob(f"{root}/bus/rbd/devices/[0-9]*"), key=lambda path: int(os.path.basename(path))):
        number = os.path.basename(folder)
        values = {name: (files.read(f"{folder}/{name}") or "").strip() for name in ("pool", "pool_ns", "name", "current_snap")}
        if values["pool_ns"] or values["current_snap"] not in ("", "-"):
            continue
        read_only = (files.read(f"{root}/block/rbd{number}/ro") or "").strip() == "1"
        found.setdefault(f"{values['pool']}/{values['name']}", Mapped(f"/dev/rbd{number}", read_only))
    return found


def parse_nbd(text: str) -> dict[str, Mapped]:
    """Return what "rbd device list -t nbd --format json" lists, by pool/image."""
    found = {}
    for item in json.loads(text or "[]"):
        if not item.get("namespace") and item.get("snap") in (None, "", "-"):
            found[f"{item['pool']}/{item.get('image') or item.get('name')}"] = Mapped(item["device"])
    return found


# -- what changes


class Planner:
    """Compares what is mapped with what was declared.

    wanted: by pool/image. dom0: whether anything is mapped before the next boot. prune: whether what is no longer declared goes.
    """

    def __init__(self, wanted: t.Mapping[str, Mapping], observed: Observed, running: xenstore.Running, dom0: bool, prune: bool) -> None:
        self.wanted = wanted
        self.running = running
        self.dom0 = dom0
        self.problems: list[str] = []
        ours, self.foreign = rbdmap_entries(observed.rbdmap)
        self.entries: dict[str, t.Mapping[str, str]] = {"krbd": ours, "nbd": observed.confs}
        self.enabled = observed.enabled
        self.mapped = observed.mapped
        declared = {(one.way, name) for name, one in wanted.items()}
        self.gone = [(way, name) for way, names in self.entries.items() for name in sorted(names) if prune and (way, name) not in declared]
        lines = {**ours, **{name: one.entry for name, one in wanted.items() if one.way == "krbd"}}
        self.rbdmap = rbdmap_with(observed.rbdmap, (line for name, line in lines.items() if ("krbd", name) not in self.gone))

    def plan(self) -> tuple[list[Change], list[str]]:
        """Return the changes, and what forbids them."""
        changes: list[Change] = []
        for name, one in self.wanted.items():
            if one.way == "krbd" and name in self.foreign:
                self.problems.append(f"{RBDMAP}: the image {name} has a line that is none of this collection's: take it out, it is declared now")
            else:
                changes += self._to_map(one)
        for way, name in self.gone:
            if any(change.name == name for change in changes):
                self.problems.append(
                    f"the image {name} is mapped at boot by another way than its disk's backend wants: take its disk out, run, and declare it again"
                )
            else:
                changes.append(self._to_unmap(way, name))
        return changes, self.problems

    def _to_map(self, one: Mapping) -> list[Change]:
        """Return the change that an image needs, if any."""
        entry, now = self.entries[one.way].get(one.name), self.mapped[one.way].get(one.name)
        before: dict[str, t.Any] = {"entry": entry}
        after: dict[str, t.Any] = {"entry": one.entry}
        if one.way == "nbd":
            before["at boot"], after["at boot"] = self.enabled.get(one.name, False), True
        if self.dom0:
            before["mapped"], after["mapped"] = now is not None, True
        if self.dom0 and now and one.way == "krbd":
            before["read only"], after["read only"] = now.read_only, one.option == "ro"
        left, right = differing(before, after)
        if not right:
            return []
        otherwise = "read only" in right or (one.way == "nbd" and entry is not None and "entry" in right)
        anew = now if otherwise else None
        users = self._users(one.name, anew) if anew else []
        if users:
            self.problems.append(f"the image {one.name} is mapped otherwise than declared, and {' and '.join(users)} uses it: shut it down first")
        apply = self._mapper(one, anew, "mapped" in right or anew is not None)
        return [Change("mapping", one.name, "update" if entry else "create", left if entry else None, right, apply)]

    def _to_unmap(self, way: str, name: str) -> Change:
        now = self.mapped[way].get(name)
        users = self._users(name, now)
        if users:
            self.problems.append(f"the image {name} is no longer declared, but {' and '.join(users)} uses it: shut it down first, or declare it again")
        before = {"entry": self.entries[way][name], "mapped": now is not None}
        return Change("mapping", name, "delete", before, None, self._unmapper(way, name, now), reason="no image is touched")

    def _users(self, name: str, now: t.Optional[Mapped]) -> list[str]:
        """Return the guests that use what is mapped, through whatever backend."""
        found = []
        for disk in self.running.disks:
            path = disk.params.split(":", 1)[-1]
            static = path.startswith("/dev/rbd") and disk.image == tuple(name.split("/"))
            if static or (now and now.device in (disk.node, disk.params, path)):
                found.append(f"guest {disk.guest} ({disk.device})")
        return found

    def _mapper(self, one: Mapping, anew: t.Optional[Mapped], start: bool) -> t.Callable[[], None]:
        """anew: what is there and is mapped otherwise. start: whether it is mapped now, and not only written down."""

        def apply() -> None:
            if one.way == "krbd":
                files.write(RBDMAP, self.rbdmap, 0o644)
                if anew:
                    unmap_device(anew.device)
                if start:
                    map_image(one)
                return
            files.write(one.conf, one.entry, 0o644)
            process.run(["systemctl", "enable", one.unit], timeout=60)
            if start:
                systemd.restart(one.unit)

        return apply

    def _unmapper(self, way: str, name: str, now: t.Optional[Mapped]) -> t.Callable[[], None]:
        def apply() -> None:
            if way == "krbd":
                if now:
                    unmap_device(now.device)
                files.write(RBDMAP, self.rbdmap, 0o644)
                return
            systemd.stop(nbd_unit(name))
            os.unlink(nbd_conf(name))

        return apply


def map_image(one: Mapping) -> None:
    """Map an image by the kernel's client."""
    flags = [one.flag] if one.flag else []
    process.run(["rbd", "--id", one.user, "device", "map", "-t", one.way, one.name, *flags], timeout=120)


def unmap_device(device: str) -> None:
    process.run(["rbd", "device", "unmap", device], timeout=120)
