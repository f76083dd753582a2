# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Xen host needs to give RBD images to guests: the kernel's modules, and the files of the hotplug scripts and of rbd-nbd.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.service import unread
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, filepath, string
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.host import is_loaded

MODULES_LOAD = "/etc/modules-load.d/cephstack-xen.conf"
LOADER = "systemd-modules-load.service"
UNITS = "/etc/systemd/system"

FILE_OPTIONS: dict[str, t.Any] = {
    "path": filepath("The full path.", required=True),
    "content": string("All of the file's text.", required=True),
    "mode": choice("Its permissions. Programs need V(0755).", ["0644", "0755"], default="0644"),
}


@dataclasses.dataclass(frozen=True)
class File:
    """A file. owner: the numbers of its user and group."""

    content: str
    mode: str = "0644"
    owner: str = "0:0"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is declared: the kernel's modules, and all files by path, MODULES_LOAD among them."""

    modules: tuple[str, ...]
    files: t.Mapping[str, File]

    @property
    def units(self) -> dict[str, str]:
        """The declared files of units, by path, with what systemctl show takes for them: of a template, its instances."""
        return {path: os.path.basename(path).replace("@.", "@*.") for path in self.files if os.path.dirname(path) == UNITS}


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there. files by path, those that exist. stale: units whose files systemd has not read as they are now.

    unread: whether the modules were never loaded as MODULES_LOAD has them now.
    """

    files: t.Mapping[str, File]
    stale: tuple[str, ...] = ()
    unread: bool = False


def parse(params: t.Mapping[str, t.Any]) -> Wanted:
    """Read a declaration. Raises Invalid with every problem."""
    modules = tuple(dict.fromkeys(params["modules"]))
    files = {MODULES_LOAD: File("".join(f"{line}\n" for line in ("# Made by cephstack.cloud", *modules)))}
    problems = [f"modules: '{name}' is no name of a kernel module" for name in modules if not re.fullmatch(r"[\w-]+", name)]
    for file in params["files"]:
        path = file["path"]
        if path != os.path.normpath(path) or not path.startswith("/"):
            problems.append(f"files: '{path}' is no full path")
        elif path in files:
            problems.append(f"files: {path} is the modules' own" if path == MODULES_LOAD else f"files: {path} is declared twice")
        files[path] = File(file["content"], file["mode"])
    if problems:
        raise Invalid(problems)
    return Wanted(modules, files)


class Provider:
    """Drivers and scripts of one host. root: where its files are. owner: who they are to belong to."""

    def __init__(self, wanted: Wanted, root: str = "", owner: tuple[int, int] = (0, 0)) -> None:
        self.root = root
        self.owner = owner
        self.wanted = dataclasses.replace(wanted, files={path: dataclasses.replace(file, owner="{}:{}".format(*owner)) for path, file in wanted.files.items()})

    def observe(self) -> Observed:
        """Read the files, and the units by one process."""
        found = {path: self._file(path) for path in self.wanted.files}
        units = systemd.show([LOADER, *self.wanted.units.values()], instances=True)
        loader = units.pop(LOADER)
        return Observed(
            files={path: file for path, file in found.items() if file},
            stale=tuple(name for name, unit in units.items() if unit.stale),
            unread=not loader.masked and self._is_unread(loader),
        )

    def _file(self, path: str) -> t.Optional[File]:
        content = files.read(self.root + path, exact=True)
        if content is None:
            return None
        seen = os.stat(self.root + path)
        return File(content, f"{seen.st_mode & 0o7777:04o}", f"{seen.st_uid}:{seen.st_gid}")

    def _is_unread(self, loader: systemd.Unit) -> bool:
        """Whether MODULES_LOAD is newer than the loader's last start, as after a run that was cut off, and a module is not loaded.

        That a module could be loaded says nothing: modprobe --dry-run takes xen-blkback for loadable where Xen does not run yet. Where the
        loader was never started, as in a container, there is nothing to compare.
        """
        times = {MODULES_LOAD: files.changed(self.root + MODULES_LOAD)}
        return bool(loader.began and unread(loader, times)) and not all(is_loaded(name, self.root) for name in self.wanted.modules)

    def plan(self, observed: Observed) -> Plan:
        draft = Draft()
        for path, file in self.wanted.files.items():
            before = observed.files.get(path)
            put = functools.partial(self._put, path, file)
            draft.ensure("file", path, dataclasses.asdict(before) if before else None, dataclasses.asdict(file), put)
        written = {change.name: change.id for change in draft.changes if "content" in change.after}
        changed = [path for path in self.wanted.units if path in written]
        reload = "; ".join([*(f"{path} changes" for path in changed), *(f"{name} changed" for name in observed.stale)])
        if reload:
            run = functools.partial(process.run, ["systemctl", "daemon-reload"], timeout=120)
            needs = [written[path] for path in changed]
            draft.ensure("reload", "systemd", {"reload": None}, {"reload": reload}, run, reason=reload, needs=needs)
        if MODULES_LOAD in written or observed.unread:
            restart = f"{MODULES_LOAD} {'changes' if MODULES_LOAD in written else 'is newer than its start'}"
            needs = [f"file/{MODULES_LOAD}", "reload/systemd"]
            draft.ensure("unit", LOADER, {"restart": None}, {"restart": restart}, self._load, reason=restart, needs=needs)
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {}

    def _put(self, path: str, file: File) -> None:
        path = self.root + path
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            files.make_folder(folder, 0o755, *self.owner)
        if files.read(path, exact=True) == file.content:
            # written anew, it would be newer than what has read it
            os.chown(path, *self.owner)
            os.chmod(path, int(file.mode, 8))
        else:
            files.write(path, file.content, int(file.mode, 8), *self.owner)

    @staticmethod
    def _load() -> None:
        # It fails where this kernel has not all of them. What that means for a backend, xen_info says.
        with contextlib.suppress(process.CommandError):
            systemd.restart(LOADER)
