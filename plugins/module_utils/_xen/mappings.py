# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that a Xen host maps at boot, by Ceph's own rbdmap or by a unit of rbd-nbd, and what is mapped now. What a guest uses stays as it is.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import json
import os
import re
import typing as t
import uuid as uuids

from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files, files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import xenstore

RBDMAP = "/etc/ceph/rbdmap"
NBD_CONFS = "/etc/ceph/rbd-nbd"
MADE = "# Made by cephstack.cloud"
_BLOCK = "cephstack.cloud xen_host"
# The options of a mapping as "rbd device map" and rbd-nbd take them.
_FLAGS = {"": "", "ro": "--read-only", "exclusive": "--exclusive"}
_NAMESPACE = uuids.UUID("7c9c1a3e-4f5b-5a3c-9f0e-6f2f0c5d8b21")  # of ours: an image's cookie is the same for ever


@dataclasses.dataclass(frozen=True)
class Image:
    """An image, and as whom it is opened. client: as Ceph writes it, client.x. name: pool/image. user: the client as --id takes it."""

    pool: str
    image: str
    client: str

    @property
    def name(self) -> str:
        return f"{self.pool}/{self.image}"

    @property
    def user(self) -> str:
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
        return f"{MADE}\nPOOL={self.pool}\nIMAGE={self.image}\nCLIENT={self.user}\nCOOKIE={cookie}\nOPTIONS={_FLAGS[self.option]}\n"


@dataclasses.dataclass(frozen=True)
class Mapped:
    device: str
    read_only: bool = False


@dataclasses.dataclass(frozen=True)
class Observed:
    """rbdmap: its text. By pool/image: confs: the texts for rbd-nbd's units. enabled: whether the unit starts at boot. krbd, nbd: what is mapped."""

    rbdmap: str = ""
    confs: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    enabled: t.Mapping[str, bool] = dataclasses.field(default_factory=dict)
    krbd: t.Mapping[str, Mapped] = dataclasses.field(default_factory=dict)
    nbd: t.Mapping[str, Mapped] = dataclasses.field(default_factory=dict)

    def mapped(self, way: str, name: str) -> t.Optional[Mapped]:
        return (self.krbd if way == "krbd" else self.nbd).get(name)


def escaped(name: str) -> str:
    """Return a name as an instance of a systemd unit (systemd-escape(1))."""
    plain = re.sub(r"^\.|[^A-Za-z0-9:_./]", lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), name)
    return plain.replace("/", "-")


def nbd_unit(name: str) -> str:
    return f"cephstack-rbd-nbd@{escaped(name)}.service"


def nbd_conf(name: str) -> str:
    return f"{NBD_CONFS}/{name}.conf"


def rbdmap_entries(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the lines of rbdmap by image: those of this collection's, and those of others'."""
    ours, others = config_files.block(text, _BLOCK) or "", config_files.put_block(text, _BLOCK, None)
    mine, theirs = ({_image_of(line): line.strip() for line in part.splitlines() if _image_of(line)} for part in (ours, others))
    return mine, theirs


def _image_of(line: str) -> str:
    """Return the image, POOL/IMAGE, that a line of rbdmap maps; "" where it maps none."""
    name = next(iter(line.split()), "#")
    return "" if name.startswith("#") else name if "/" in name else f"rbd/{name}"


def keyring_file(client: str) -> str:
    return f"/etc/ceph/ceph.{client}.keyring"


def rbdmap_options(client: str, option: str = "") -> str:
    """Return what follows the image in a line of rbdmap. option: ro, exclusive or ""."""
    return f"id={client.partition('.')[2]},keyring={keyring_file(client)}" + (f",options='{option}'" if option else "")


def rbdmap_with(text: str, entries: t.Iterable[str]) -> str:
    """Return rbdmap with these entries as this collection's, and all else as it is."""
    return config_files.put_block(text, _BLOCK, "".join(f"{line}\n" for line in sorted(entries)) or None)


def edit_rbdmap(text: t.Optional[str], entries: t.Mapping[str, t.Optional[str]]) -> str:
    """Return an rbdmap in which each image, POOL/IMAGE, has its options, wherever its line is; None takes it away. All else stays."""
    return config_files.put_values(text or "", entries, "{}\t{}", _image_of, lambda line: "".join(line.split(None, 1)[1:]))


def observe(wanted: t.Mapping[str, Mapping]) -> Observed:
    """Read what is written down, and what is mapped. wanted: by pool/image. Raises CommandError, Unreachable."""
    paths = glob.glob(f"{NBD_CONFS}/*/*.conf")
    confs = {os.path.relpath(path, NBD_CONFS)[: -len(".conf")]: files.read(path) or "" for path in paths}
    units = {name: nbd_unit(name) for name in {*confs, *(name for name, one in wanted.items() if one.way == "nbd")}}
    states = systemd.units(sorted(units.values()))
    nbd = process.run(["rbd", "device", "list", "-t", "nbd", "--format", "json"], timeout=60) if process.installed("rbd-nbd") else ""
    enabled = {name: states[unit].enabled for name, unit in units.items()}
    return Observed(files.read(RBDMAP) or "", confs, enabled, krbd_mapped(), parse_nbd(nbd))


def krbd_mapped(root: str = "/sys") -> dict[str, Mapped]:
    """Return what the kernel's client has mapped, by pool/image. Snapshots and namespaces are none of ours."""

    def value(path: str) -> str:
        return (files.read(f"{root}/{path}") or "").strip()

    found: dict[str, Mapped] = {}
    for number in sorted(int(os.path.basename(folder)) for folder in glob.glob(f"{root}/bus/rbd/devices/[0-9]*")):
        pool, namespace, name, snapshot = (value(f"bus/rbd/devices/{number}/{key}") for key in ("pool", "pool_ns", "name", "current_snap"))
        if not namespace and snapshot in ("", "-"):
            found.setdefault(f"{pool}/{name}", Mapped(f"/dev/rbd{number}", value(f"block/rbd{number}/ro") == "1"))
    return found


def parse_nbd(text: str) -> dict[str, Mapped]:
    """Return what "rbd device list -t nbd --format json" lists, by pool/image."""
    items = [item for item in json.loads(text or "[]") if not item.get("namespace") and item.get("snap") in (None, "", "-")]
    return {f"{item['pool']}/{item.get('image') or item.get('name')}": Mapped(item["device"]) for item in items}


def plan(draft: Draft, wanted: t.Mapping[str, Mapping], observed: Observed, running: xenstore.Running, dom0: bool, prune: bool) -> None:
    """wanted: by pool/image. dom0: whether anything is mapped before the next boot. prune: whether what is no longer declared goes."""
    ours, foreign = rbdmap_entries(observed.rbdmap)
    entries: dict[str, t.Mapping[str, str]] = {"krbd": ours, "nbd": observed.confs}
    declared = {(one.way, name) for name, one in wanted.items()}
    gone = [(way, name) for way, names in entries.items() for name in sorted(names) if prune and (way, name) not in declared]
    lines = {**ours, **{name: one.entry for name, one in wanted.items() if one.way == "krbd"}}
    rbdmap = rbdmap_with(observed.rbdmap, (line for name, line in lines.items() if ("krbd", name) not in gone))
    for name, one in wanted.items():
        if one.way == "krbd" and name in foreign:
            draft.problem(f"{RBDMAP}: the image {name} has a line that is none of this collection's: take it out, it is declared now")
        else:
            _plan_mapping(draft, one, entries[one.way].get(name), observed, running, dom0, rbdmap)
    planned = draft.ids("mapping")
    for way, name in gone:
        now = observed.mapped(way, name)
        users = _users(name, now, running)
        if f"mapping/{name}" in planned:
            draft.problem(f"the image {name} is mapped at boot by another way than its disk's backend wants: take its disk out, run, and declare it again")
        elif users:
            draft.problem(f"the image {name} is no longer declared, but {users} uses it: shut it down first, or declare it again")
        else:
            before, apply = {"entry": entries[way][name], "mapped": now is not None}, functools.partial(_forget, way, name, now, rbdmap)
            draft.ensure("mapping", name, before, None, apply, reason="no image is touched")


def _plan_mapping(draft: Draft, one: Mapping, entry: t.Optional[str], observed: Observed, running: xenstore.Running, dom0: bool, rbdmap: str) -> None:
    """Plan what an image needs. entry: what is written down for it. rbdmap: as it is to be."""
    now, nbd = observed.mapped(one.way, one.name), one.way == "nbd"
    current: dict[str, t.Any] = {"entry": entry, "at boot": observed.enabled.get(one.name, False), "mapped": now is not None}
    desired: dict[str, t.Any] = {"entry": one.entry, **({"at boot": True} if nbd else {}), **({"mapped": True} if dom0 else {})}
    otherwise = nbd and now and entry not in (None, one.entry)
    if dom0 and now and not nbd:
        current["read only"], desired["read only"] = now.read_only, one.option == "ro"
        otherwise = now.read_only != (one.option == "ro")
    users = _users(one.name, now, running)
    if otherwise and users:
        draft.problem(f"the image {one.name} is mapped otherwise than declared, and {users} uses it: shut it down first")
    if entry is None:
        desired = differing(current, desired)[1]  # what else is so already is not told anew
    apply = functools.partial(_write_down, one, rbdmap, now if otherwise else None, start=bool(otherwise or (dom0 and now is None)))
    draft.ensure("mapping", one.name, None if entry is None else current, desired, apply)


def _users(name: str, now: t.Optional[Mapped], running: xenstore.Running) -> str:
    """Return the guests that use what is mapped, through whatever backend."""

    def uses(disk: xenstore.Disk) -> bool:
        path = disk.params.split(":", 1)[-1]
        static = path.startswith("/dev/rbd") and disk.image == tuple(name.split("/"))
        return static or (now is not None and now.device in (disk.node, disk.params, path))

    return " and ".join(f"guest {disk.guest} ({disk.device})" for disk in running.disks if uses(disk))


def _write_down(one: Mapping, rbdmap: str, anew: t.Optional[Mapped], start: bool) -> None:
    """anew: what is mapped otherwise. start: whether it is mapped now, too."""
    if one.way == "nbd":
        files.write(nbd_conf(one.name), one.entry, 0o644)
        process.run(["systemctl", "enable", nbd_unit(one.name)], timeout=60)
    else:
        files.write(RBDMAP, rbdmap, 0o644)
        if anew:
            unmap_device(anew.device)
    if start:
        map_image(one)


def _forget(way: str, name: str, now: t.Optional[Mapped], rbdmap: str) -> None:
    if way == "nbd":
        systemd.stop(nbd_unit(name))
        os.unlink(nbd_conf(name))
    else:
        if now:
            unmap_device(now.device)
        files.write(RBDMAP, rbdmap, 0o644)


def map_image(one: Mapping) -> None:
    """Map an image now, by rbd or by the unit of rbd-nbd, whose file is there."""
    if one.way == "krbd":
        process.run(["rbd", "--id", one.user, "device", "map", "-t", one.way, one.name, *_FLAGS[one.option].split()], timeout=120)
        return
    unit = nbd_unit(one.name)
    try:
        systemd.restart(unit)
    except process.CommandError as error:
        raise process.CommandError(error.argv, error.code, f"{error.text}; {systemd.last_words(unit)}") from error


def unmap_device(device: str) -> None:
    process.run(["rbd", "device", "unmap", device], timeout=120)
