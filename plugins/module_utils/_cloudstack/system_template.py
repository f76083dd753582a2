# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The template of the system virtual machines, in the image stores of zones.

The server puts it there itself, at one moment only: when a zone's first NFS store is added, for the clusters that the zone then has. It says nothing
where that fails, and takes the template for ready all the same. So it is proven beforehand that the server can do it; and a store that has none is
found by looking into it, and filled with the server's own script. Runs on a management server, as root.

PRIVATE to the collection.
"""

from __future__ import annotations

import configparser
import contextlib
import functools
import os
import pathlib
import shutil
import socket
import tempfile
import time
import typing as t
import uuid
from urllib.parse import unquote, urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import reading
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan

BUNDLE = "/usr/share/cloudstack-management/templates/systemvm"
# Of metadata.ini in BUNDLE, for hosts with KVM of this architecture; the packages have none for others.
SECTION = "kvm-x86_64"
SCRIPT = "/usr/share/cloudstack-common/scripts/storage/secondary/setup-sysvm-tmplt"
# Templates in a store, and the one that every database has for KVM.
TEMPLATES, OWN = "template/tmpl/1", "3"
# What the script wants to be free in KiB, both here, where it unpacks, and in the store; and how long it may take, as with the server itself.
SPACE, SCRATCH, LIMIT = 2120000, "/tmp", 1800
_MOUNT_TIMEOUT = 60
# What the server calls, and the package that has it; and as whom it calls sudo.
TOOLS = {"mount.nfs": "nfs-common", "sudo": "sudo", "bunzip2": "bzip2", "file": "file", "qemu-img": "qemu-utils"}
USER = "cloud"


class Store(t.NamedTuple):
    """An NFS image store."""

    zone: str
    name: str
    url: str


class Seen(t.NamedTuple):
    """What is in a store. template: its path in the store, "" for none. begun: a copy that was not ended, with its age in seconds. free: KiB.

    problem: why it could not be looked into. lack: why this server could not fill it.
    """

    template: str = ""
    begun: str = ""
    age: float = 0.0
    free: int = 0
    problem: str = ""
    lack: str = ""


def export(url: str) -> str:
    """nfs://HOST/PATH as the server mounts it: HOST:/PATH. A port in it is not looked at."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    return f"{f'[{name}]' if ':' in name else name}:{unquote(parts.path)}"


@contextlib.contextmanager
def mounted(url: str, write: bool) -> t.Iterator[str]:
    """A store, mounted for a while; the path of it. Raises CommandError."""
    folder = tempfile.mkdtemp(prefix="cephstack-store-")
    try:
        options = "soft,timeo=100,retrans=2" if write else "ro,soft,timeo=50,retrans=2"
        process.run(["mount", "-t", "nfs", "-o", options, export(url), folder], timeout=_MOUNT_TIMEOUT)
        try:
            yield folder
        finally:
            try:
                process.run(["umount", folder], timeout=_MOUNT_TIMEOUT)
            except process.CommandError:
                process.run(["umount", "-l", folder], timeout=_MOUNT_TIMEOUT)
    finally:
        with contextlib.suppress(OSError):  # what is still mounted is left
            os.rmdir(folder)


def look(url: str) -> Seen:
    server = socket.gethostname()
    try:
        with mounted(url, write=False) as folder:
            return within(folder)
    except process.CommandError as error:
        return Seen(problem=f"{server} cannot mount {export(url)}, as it must to put the template of the system virtual machines there: {_said(error)}")
    except OSError as error:
        return Seen(problem=f"{server} cannot look into {export(url)}: {error.strerror or error} (is root squashed? The export needs no_root_squash)")


def _said(error: process.CommandError) -> str:
    """The first line of what a program said; mount adds one about dmesg."""
    return next((line.strip() for line in error.text.splitlines() if line.strip()), str(error))


def within(folder: str) -> Seen:
    """The same of a folder. A template is whole when its properties, which are written last, are there. Raises OSError."""
    seen = Seen(free=shutil.disk_usage(folder).free // 1024)
    templates = pathlib.Path(folder, TEMPLATES)
    for place in sorted(templates.iterdir()) if templates.is_dir() else ():
        images = sorted(place.glob("*.qcow2"))
        properties = files.read(str(place / "template.properties"))
        if images and "uniquename=routing-" in (properties or ""):
            return seen._replace(template=str(images[0].relative_to(folder)), begun="")
        if place.name == OWN and (images or properties is not None):
            seen = seen._replace(begun=f"{TEMPLATES}/{OWN}", age=time.time() - max(path.stat().st_mtime for path in [*images, place]))
    return seen


class Bundle(t.NamedTuple):
    """The template in the server's package. checksum: SHA-512."""

    path: str
    checksum: str


def bundle() -> t.Optional[Bundle]:
    """The template of this server's release; None where its package has none."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(files.read(f"{BUNDLE}/metadata.ini") or "")
        found = Bundle(os.path.join(BUNDLE, parser[SECTION]["filename"].strip()), parser[SECTION]["checksum"].strip().lower())
    except (KeyError, configparser.Error):
        return None
    return found if os.path.exists(found.path) else None


def lacking() -> list[str]:
    """What this server lacks to fill a store, each with its remedy."""
    found = [f"{tool} is not installed: install {package}" for tool, package in TOOLS.items() if not process.installed(tool)]
    if process.installed("sudo"):
        try:
            process.run(["runuser", "-u", USER, "--", "sudo", "-n", "-l", "mount"], timeout=30)
        except process.CommandError as error:
            found.append(f"the user {USER} may not mount by sudo ({_said(error)}): /etc/sudoers.d/cloudstack of the package cloudstack-management lets it")
    if not os.path.exists(SCRIPT):
        found.append(f"{SCRIPT} is not there: is cloudstack-common whole?")
    if bundle() is None:
        found.append(f"{BUNDLE} has no template for {SECTION}: the project's own packages have one")
    free = shutil.disk_usage(SCRATCH).free // 1024
    if free < SPACE:
        found.append(f"{SCRATCH} has {free >> 10} MiB free, and the template takes {SPACE >> 10} MiB there while it is unpacked: make room")
    return found


class Provider:
    """The image stores of zones that are to have system virtual machines.

    zones: {name, image_stores: [urls]}s, as declared. seed: whether what is missing is put there; else it is only proven that the server can
    fill those that are not added yet.
    """

    def __init__(self, zones: t.Sequence[t.Mapping[str, t.Any]], client: t.Any, seed: bool, prefix: str = "") -> None:
        self._zones, self._client, self._seed, self._prefix = zones, client, seed, prefix

    def observe(self) -> dict[Store, Seen]:
        """Look into the stores: of each zone the one that has the template, else the first, or those that are new. Raises Unreachable."""
        if self._client is None or not self._zones:
            return {}
        with reading("the image stores could not be read"):
            rows = [row for row in self._client.rows("listImageStores") if row.get("providername") == "NFS"]
        found: dict[Store, Seen] = {}
        for zone in self._zones:
            living = [Store(zone["name"], row["name"], row["url"]) for row in rows if row.get("zonename") == zone["name"]]
            # Where none is to be put there now: the server does it itself, into the first store of a zone.
            new = [] if living else [Store(zone["name"], url, url) for url in zone.get("image_stores") or ()][:1]
            seen: dict[Store, Seen] = {}
            for store in living if self._seed else new:
                seen[store] = look(store.url)
                if seen[store].template:
                    seen = {store: seen[store]}
                    break
            found.update(list(seen.items())[:1])
        if not all(seen.template for seen in found.values()):
            lack = "; ".join(lacking())
            server = f"the management server {socket.gethostname()} cannot put the template of the system virtual machines into an image store"
            found = {store: seen._replace(lack=f"{server}: {lack}" if lack else "") for store, seen in found.items()}
        return found

    def plan(self, observed: t.Mapping[Store, Seen]) -> Plan:
        draft = Draft(self._prefix)
        empty = {store: seen for store, seen in observed.items() if not seen.template}
        for seen in empty.values():
            if seen.lack:
                draft.problem(seen.lack)
        for store, seen in empty.items():
            here = f"{self._prefix}image_stores ({store.name}) of the zone {store.zone}"
            if seen.problem:
                draft.problem(f"{here}: {seen.problem}")
            elif seen.begun and seen.age < LIMIT:
                draft.warn(f"{here}: a copy of the template is under way in {seen.begun}: the next run will see")
            elif seen.begun:
                draft.problem(f"{here}: {seen.begun} holds a copy of the template that was never ended: remove that folder from the store, then run again")
            elif seen.free < SPACE:
                draft.problem(f"{here}: the store has {seen.free >> 10} MiB free, and the template takes {SPACE >> 10} MiB: make room")
            elif self._seed:
                reason = "the server has put none there: the store was added before the zone had a cluster, or by hand, or it failed"
                after = {"url": store.url, "folder": f"{TEMPLATES}/{OWN}"}
                draft.ensure("system_template", f"{store.zone}/{store.name}", None, after, functools.partial(fill, store.url), reason=reason)
        if draft.problems:
            draft.problem("or, for a zone that is to have no system virtual machines, say system_vms: false")
        return draft.plan()

    def returned(self, observed: t.Mapping[Store, Seen]) -> dict[str, t.Any]:
        return {"stores": [{**store._asdict(), "template": seen.template or None} for store, seen in observed.items()]}


def fill(url: str) -> None:
    """Put the template into a store, with the server's own script. Raises RuntimeError, CommandError."""
    found = bundle()
    if found is None:
        raise RuntimeError(f"{BUNDLE} has no template for {SECTION}")
    if process.run(["sha512sum", "--binary", found.path]).split()[0] != found.checksum:
        raise RuntimeError(f"{found.path} is not the file that its package says (SHA-512): install cloudstack-management again")
    with mounted(url, write=True) as folder:
        place = os.path.join(folder, TEMPLATES, OWN)
        process.run([SCRIPT, "-u", str(uuid.uuid4()), "-f", found.path, "-h", "kvm", "-d", place], timeout=LIMIT)
