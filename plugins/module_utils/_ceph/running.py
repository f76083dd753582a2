# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemons that run on a host, and why one has to restart: it is another version than what is installed, or ignores an option until its next start.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import re
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, options
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, real, strings

# Which units have daemons of a type, and what they run.
UNITS = {
    "mon": ("ceph-mon@", "ceph-mon"),
    "mgr": ("ceph-mgr@", "ceph-mgr"),
    "osd": ("ceph-osd@", "ceph-osd"),
    "mds": ("ceph-mds@", "ceph-mds"),
    "rgw": ("ceph-radosgw@", "radosgw"),
    "nfs": ("nfs-ganesha", ""),
}
WHICH = {
    "which": choice(
        "Which daemons have to restart. V(outdated): those of another version than the installed one, of which a file was replaced since they started, or for "
        "which an option is declared that takes effect at their start only. V(all): all whose process began before O(since).",
        ["outdated", "all"],
        default="outdated",
    ),
    "since": real("A time in seconds since 1970. With O(which=all), daemons that began later are done. By default now.", default=None),
}
OPTIONS = {"types": strings("Which types of daemons.", choices=[*UNITS], default=[*UNITS]), **WHICH}
# What is Ceph's, or the gateway's to it, of what a process has mapped.
_OURS = re.compile(r"/(lib)?(ceph|rados|rbd|rgw|cephfs|ganesha)[^/]*(/|$)|/libfsal")
_VERSION = re.compile(r"\d+\.\d+\.\d+\S*")
# Sources of a running value that stand above the configuration database: with them what is declared there does not count.
_ABOVE = ("file", "env", "cmdline", "override")


@dataclasses.dataclass(frozen=True)
class Running:
    """A daemon of this host. name: osd.3, client.rgw.ceph1.s3, nfs.HOST. running, installed: versions, "" where none is known.

    began: when its process began, in seconds since 1970. replaced: a file of a package that it has open as it was before. options: that wait for its start.
    """

    name: str
    type: str
    unit: systemd.Unit
    unit_name: str
    running: str = ""
    installed: str = ""
    replaced: str = ""
    options: t.Tuple[str, ...] = ()

    @property
    def began(self) -> int:
        return self.unit.began

    def reason(self, everything: bool = False, since: float = 0) -> str:
        """Why it has to restart, "" where it need not. everything: whether each has to that began before a time."""
        said = []
        if self.running and self.installed and self.running != self.installed:
            said.append(f"it runs {self.running}, and {self.installed} is installed")
        elif self.replaced:
            said.append(f"{self.replaced} was replaced since it started")
        if self.options:
            said.append(f"{', '.join(self.options)} {'take' if len(self.options) > 1 else 'takes'} effect at its start only")
        if everything and self.began < int(since):  # systemd says whole seconds
            said.append("all are to restart")
        return "; ".join(said)

    def shown(self, everything: bool, since: float) -> t.Dict[str, t.Any]:
        return {
            "name": self.name,
            "type": self.type,
            "unit": self.unit_name,
            "running": self.running,
            "installed": self.installed,
            "began": self.began,
            "options": list(self.options),
            "reason": self.reason(everything, since),
        }


def since(params: t.Mapping[str, t.Any]) -> t.Tuple[bool, float]:
    """Whether all restart that began before a time, and that time. params: of the shape of WHICH."""
    return params["which"] == "all", time.time() if params["since"] is None else params["since"]


def name_of(unit: str, host: str) -> t.Tuple[str, str]:
    """The type and the name of the daemon of a unit."""
    for type_, (prefix, _program) in UNITS.items():
        if unit.startswith(prefix):
            instance = unit[len(prefix) :].rpartition(".")[0]
            return type_, f"nfs.{host}" if type_ == "nfs" else f"{'client' if type_ == 'rgw' else type_}.{instance}"
    raise ValueError(unit)


def units_of(types: t.Collection[str]) -> t.Dict[str, systemd.Unit]:
    """The units of this host's running daemons of some types, by name."""
    return {name: unit for name, unit in _units(types).items() if unit.pid}


def returning(types: t.Collection[str]) -> t.List[str]:
    """The units whose daemons have ended, and are started again by systemd in a moment. A manager ends by itself when the monitors' release is another."""
    return sorted(name for name, unit in _units(types).items() if not unit.pid)


def _units(types: t.Collection[str]) -> t.Dict[str, systemd.Unit]:
    patterns = [f"{UNITS[type_][0]}{'*' if UNITS[type_][0].endswith('@') else ''}.service" for type_ in UNITS if type_ in types]
    return {name: unit for name, unit in systemd.show(patterns, instances=True).items() if unit.active} if patterns else {}


def observe(cluster: t.Optional[Connection], types: t.Collection[str] = tuple(UNITS), names: t.Optional[t.Collection[str]] = None) -> t.List[Running]:
    """Read what runs here. names: only these. Raises Unreachable and CommandFailed."""
    host = daemons.short_hostname()
    found, installed = [], {}
    log: t.List[Raw] = []
    if cluster is not None:
        with contextlib.suppress(CommandFailed):  # a cluster whose options never were changed has none
            log = cluster.command("config log", num=200)
    for unit_name, unit in sorted(units_of(types).items()):
        type_, name = name_of(unit_name, host)
        if names is not None and name not in names:
            continue
        program = UNITS[type_][1]
        if program and program not in installed:
            installed[program] = _installed(program)
        running = str((daemons.ask(name, "version") or {}).get("version", "")) if program else ""
        waiting = _waiting(cluster, name, unit.began, log) if cluster is not None and program else ()
        found.append(Running(name, type_, unit, unit_name, running, installed.get(program, ""), replaced(unit.pid), waiting))
    return found


def _installed(program: str) -> str:
    if not process.installed(program):
        return ""
    said = _VERSION.search(process.run([program, "--version"], timeout=60))
    return said.group() if said else ""


def replaced(pid: int) -> str:
    """A file of Ceph's that a process has as it was before its package was installed anew, "" where there is none, or no such process."""
    try:
        program = os.readlink(f"/proc/{pid}/exe")
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            mapped = {line.split(None, 5)[5].rstrip("\n") for line in file if line.count("/") and line.rstrip().endswith(" (deleted)")}
    except OSError:
        return ""
    gone = [path[: -len(" (deleted)")] for path in sorted({program, *mapped}) if path.endswith(" (deleted)")]
    ours = [path for path in gone if path == program[: -len(" (deleted)")] or (path.startswith("/usr/") and _OURS.search(path))]
    return ours[0] if ours else ""


def _waiting(cluster: Connection, name: str, began: int, log: t.Sequence[Raw]) -> t.Tuple[str, ...]:
    """The options that are declared otherwise than the daemon has them, and that it takes at its start only."""
    declared = cluster.command("config get", who=name)
    said = daemons.ask(name, "config diff")
    if said is None or not isinstance(declared, dict):
        return ()
    runs = said.get("diff", {})
    found = []
    for option, entry in declared.items():
        if entry.get("can_update_at_runtime", True) or "/" in option or any(source in runs.get(option, {}) for source in _ABOVE):
            continue
        value = runs.get(option, {}).get("final")
        if value is None:  # as it was built
            value = ((daemons.ask(name, "config get", var=option)) or {}).get(option)
        if value is not None and str(value) != str(entry["value"]) and not _same(cluster, option, str(value), str(entry["value"])):
            found.append(option)
    gone = [option for option in removed_since(name, began, log) if option not in declared]
    found += [option for option in gone if not (cluster.command("config help", key=option) or {}).get("can_update_at_runtime", True)]
    return tuple(sorted(found))


def _same(cluster: Connection, option: str, one: str, other: str) -> bool:
    about = cluster.command("config help", key=option)
    with contextlib.suppress(ValueError):
        return bool(options.normalise(option, one, about) == options.normalise(option, other, about))
    return False


def removed_since(name: str, began: int, log: t.Sequence[Raw]) -> t.List[str]:
    """The options that a daemon had at its start and that were removed since, by `config log`. A daemon forgets such a value and still goes by it. Pure."""
    gone = set()
    type_ = name.partition(".")[0]
    for entry in log:
        if _seconds(str(entry.get("timestamp", ""))) <= began:
            continue
        for change in entry.get("changes", []):
            section, *_masks, option = str(change.get("name", "")).split("/")
            if section in ("global", type_, name) and change.get("previous_value") is not None and change.get("new_value") is None:
                gone.add(option)
    return sorted(gone)


def _seconds(stamp: str) -> int:
    """Seconds since 1970 of "2026-11-29T17:21:52.123456+0000"; 0 where it is not such a text."""
    with contextlib.suppress(ValueError):
        return int(datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp())
    return 0
