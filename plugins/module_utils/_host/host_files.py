# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files and units of a host, and what programs make of files: in one plan, and what a run that was cut off has left is done by the next.

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

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.service import unread
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Risk, Secret
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, filepath, presence, records, string, strings, twice

UNITS = "/etc/systemd/system"
MODULES_LOAD = "/etc/modules-load.d"
LOADER = "systemd-modules-load.service"  # reads the files of MODULES_LOAD

TEXTS = ("content", "secret", "lines")
_REQUIRES = filepath("A path of the host, such as that of a program. Where it is not there, this is left as it is.")
_FILE: dict[str, t.Any] = {
    "path": filepath("The full path.", required=True),
    "content": string("All of the file's text. One of this, C(secret) and C(lines) is needed if the file is to exist."),
    "secret": string("All of the file's text, which is shown nowhere.", no_log=True),
    "lines": strings("Lines that the file has to have. Those that it lacks are added at its end, and others stay, for programs and people write it too."),
    "owner": string("The name of the user that it belongs to.", default="root"),
    "group": string("The name of the group that it belongs to.", default="root"),
    "mode": string("Its permissions, as four octal digits in quotes. Programs need V(0755).", default="0644"),
    "requires": _REQUIRES,
    "state": presence(),
}
_UNIT: dict[str, t.Any] = {
    "name": string("Its name, not one of its aliases. One without a dot is that of a service.", required=True),
    "enabled": boolean("Whether it starts at boot. Left as it is if not given."),
    "state": choice("Whether it runs. Left as it is if not given.", ["started", "stopped"]),
    "reads": strings("The full paths of files that it reads when it starts. It is restarted if it runs and has not read them as they are now.", default=[]),
}
_COMMAND: dict[str, t.Any] = {
    "argv": strings("The program and its arguments.", required=True),
    "creates": filepath("The file that it makes. It is run where that is not there.", required=True),
    "reads": strings("The full paths of the files that it makes it of. It is run where one of them is newer.", default=[]),
    "requires": _REQUIRES,
}
OPTIONS: dict[str, t.Any] = {
    "files": records(
        "The files to keep.",
        _FILE,
        default=[],
        mutually_exclusive=[TEXTS],
        required_if=[("state", "present", TEXTS, True)],
    ),
    "units": records("Units of systemd to keep.", _UNIT, default=[]),
    "commands": records("Programs that make a file of others.", _COMMAND, default=[]),
}


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is declared: files by path, None for one that is not to be there; units by their full names; commands by what is run.

    A file: its owner, group and mode, and its "content", its "secret" (a Secret) or the "lines" that it has to have. modules: what the kernel is to load.
    """

    files: t.Mapping[str, t.Optional[t.Mapping[str, t.Any]]]
    units: t.Mapping[str, t.Mapping[str, t.Any]] = dataclasses.field(default_factory=dict)
    commands: t.Mapping[str, t.Mapping[str, t.Any]] = dataclasses.field(default_factory=dict)
    modules: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there: files as in Wanted, units with the instances of templates, and when what is read or made was changed (files.changed).

    made: what commands make and is there. loaded: whether the kernel has all modules.
    """

    files: t.Mapping[str, t.Mapping[str, t.Any]]
    units: t.Mapping[str, systemd.Unit] = dataclasses.field(default_factory=dict)
    times: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    made: t.Collection[str] = ()
    loaded: bool = True


def applicable(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a declaration without the files and commands that require what this host has not."""
    there = {option: [one for one in params[option] if not one.get("requires") or os.path.exists(one["requires"])] for option in ("files", "commands")}
    return {**params, **there}


def parse(params: t.Mapping[str, t.Any]) -> Wanted:
    """Read a declaration. Raises Invalid with every problem."""
    names = {
        "files": [file["path"] for file in params["files"]],
        "units": [unit["name"] if "." in unit["name"] else f"{unit['name']}.service" for unit in params["units"]],
        "commands": [" ".join(command["argv"]) for command in params["commands"]],
    }
    paths = {
        "files": names["files"],
        "units": [path for unit in params["units"] for path in unit["reads"]],
        "commands": [path for command in params["commands"] for path in (command["creates"], *command["reads"])],
    }
    problems = [f"{option}: {name} is declared twice" for option, given in names.items() for name in twice(given)]
    problems += [
        f"{option}: '{path}' is no full path" for option, given in paths.items() for path in given if path != os.path.normpath(os.path.join("/", path))
    ]
    for file in params["files"]:
        if not re.fullmatch("[0-7]{4}", file["mode"]):
            problems.append(f"files: {file['path']} has the mode '{file['mode']}': it takes four octal digits in quotes, such as '0644'")
    if problems:
        raise Invalid(problems)
    wanted = {file["path"]: _wanted(file) if file["state"] == "present" else None for file in params["files"]}
    units = dict(zip(names["units"], params["units"]))
    lists = {path: file for path, file in wanted.items() if file and os.path.dirname(path) == MODULES_LOAD}
    if lists:
        units.setdefault(LOADER, {"reads": [*lists]})
    lines = [line.strip() for file in lists.values() for line in file.get("lines", file.get("content", "").splitlines())]
    modules = tuple(line for line in lines if line and line[0] not in "#;")
    return Wanted(wanted, units, dict(zip(names["commands"], params["commands"])), modules)


def _wanted(file: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    found = {key: file[key] for key in (*TEXTS, "owner", "group", "mode") if file[key] is not None}
    return {**found, "secret": Secret(found["secret"])} if "secret" in found else found


def unit_of(path: str) -> str:
    """Return the unit that a file, or a drop-in, is of, as systemctl show takes it: of a template, its instances. "" where it is of none."""
    name = path[len(UNITS) + 1 :].partition("/")[0] if path.startswith(f"{UNITS}/") else ""
    return re.sub(r"\.d$", "", name).replace("@.", "@*.")


def is_loaded(name: str, root: str = "") -> bool:
    """Whether the running kernel has a driver now. Of one that is built in this may not be known."""
    return os.path.isdir(f"{root}/sys/module/{name.replace('-', '_')}")


class Provider:
    """Files, units and commands of one host. root: where its files are."""

    def __init__(self, wanted: Wanted, root: str = "") -> None:
        self.wanted = wanted
        self.root = root

    def observe(self) -> Observed:
        """Read the files, and the units by one process."""
        wanted = self.wanted
        names = dict.fromkeys([*wanted.units, *filter(None, map(unit_of, wanted.files))])
        creates = [command["creates"] for command in wanted.commands.values()]
        reads = [path for one in (*wanted.units.values(), *wanted.commands.values()) for path in one["reads"]]
        found = {path: self._file(path, file) for path, file in wanted.files.items()}
        return Observed(
            files={path: file for path, file in found.items() if file},
            units=systemd.show([*names], instances=True) if names else {},
            times={path: files.changed(self.root + path) for path in (*creates, *reads)},
            made=[path for path in creates if os.path.exists(self.root + path)],
            loaded=all(is_loaded(name, self.root) for name in wanted.modules),
        )

    def _file(self, path: str, wanted: t.Optional[t.Mapping[str, t.Any]]) -> t.Optional[dict[str, t.Any]]:
        text = files.read(self.root + path, exact=True)
        if text is None:
            return None
        seen = os.stat(self.root + path)
        found = {
            "content": text,
            "secret": Secret(text),
            "lines": [line for line in (wanted or {}).get("lines", []) if line in text.splitlines()],
            "owner": files.name_of(pwd.getpwuid, seen.st_uid),
            "group": files.name_of(grp.getgrgid, seen.st_gid),
            "mode": f"{seen.st_mode & 0o7777:04o}",
        }
        return {key: found[key] for key in wanted or ("owner", "group", "mode")}

    def plan(self, observed: Observed) -> Plan:
        draft = Draft(kinds=("file", "reload", "command", "unit"))
        for path, file in self.wanted.files.items():
            draft.ensure("file", path, observed.files.get(path), file, functools.partial(self._put, path, file))
        # By path, what gives it another content: other permissions are no reason to read it again.
        written = {change.name: change.id for change in draft.changes if change.after is None or any(key in change.after for key in TEXTS)}
        reasons = [f"{path} changes" for path in written if unit_of(path)] + [f"{name} changed" for name, unit in observed.units.items() if unit.stale]
        self._run(draft, "reload", "systemd", ["systemctl", "daemon-reload"], reasons, [id_ for path, id_ in written.items() if unit_of(path)])
        for name, command in self.wanted.commands.items():
            creates, reads = command["creates"], command["reads"]
            newer = [path for path in reads if path in written or observed.times[path] > observed.times[creates]]
            reasons = [f"{path} {'changes' if path in written else f'is newer than {creates}'}" for path in newer]
            reasons = reasons if creates in observed.made else [f"{creates} is not there"]
            self._run(draft, "command", name, command["argv"], reasons, [written[path] for path in reads if path in written])
            written.update({creates: f"command/{name}"} if reasons else {})
        for name, unit in self.wanted.units.items():
            seen = observed.units.get(name, systemd.NO_UNIT)
            before = {"enabled": seen.enabled, "state": "started" if seen.active else "stopped", "restart": None}
            after = {key: unit[key] for key in before if unit.get(key) is not None}
            reasons = self._unread(name, seen, observed, written)
            if reasons:
                after["restart"] = "; ".join(reasons)
            needs = ["reload/systemd", *(written[path] for path in unit["reads"] if path in written)]
            risk = Risk.RESTART if reasons and name != LOADER else Risk.NONE
            draft.ensure("unit", name, before, after, update=functools.partial(_set, name), needs=needs, risk=risk, reason=after.get("restart", ""))
        return draft.plan()

    @staticmethod
    def _run(draft: Draft, kind: str, name: str, argv: t.Sequence[str], reasons: t.Sequence[str], needs: t.Iterable[str]) -> None:
        why = "; ".join(reasons) or None
        draft.ensure(kind, name, {"run": None}, {"run": why}, functools.partial(process.run, argv), needs=needs, reason=why or "")

    def _unread(self, name: str, seen: systemd.Unit, observed: Observed, written: t.Container[str]) -> list[str]:
        """Why a unit does not know what it reads, one reason a file.

        Of LOADER that a module is not loaded counts, too, not that one could be: modprobe --dry-run takes xen-blkback for loadable where Xen does not run yet.
        A unit that was never started, as LOADER in a container, has nothing to compare.
        """
        unit = self.wanted.units[name]
        knows = not seen.began or (name == LOADER and (observed.loaded or seen.masked))
        times = {path: observed.times[path] for path in unit["reads"] if path in written or not knows}
        return unread(seen, times, written) if name == LOADER or (seen.active and unit["state"] != "stopped") else []

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {}

    def _put(self, path: str, file: t.Optional[t.Mapping[str, t.Any]]) -> None:
        path = self.root + path
        if file is None:
            os.unlink(path)
            return
        if "lines" in file:
            path = os.path.realpath(path)  # others write it too, and may have put it elsewhere
        try:
            uid, gid = pwd.getpwnam(file["owner"]).pw_uid, grp.getgrnam(file["group"]).gr_gid
        except KeyError as error:
            raise RuntimeError(f"no such user or group on this host: {error}") from error
        mode, folder, there = int(file["mode"], 8), os.path.dirname(path), files.read(path, exact=True)
        text = _text(file, there or "")
        if not os.path.isdir(folder):
            files.make_folder(folder, 0o755, uid, gid)
        if text == there:
            # written anew, it would be newer than what has read it
            os.chown(path, uid, gid)
            os.chmod(path, mode)
        else:
            files.write(path, text, mode, uid, gid)


def _text(file: t.Mapping[str, t.Any], there: str) -> str:
    """Return the whole text of a file as it should be. Lines that it lacks come to its end."""
    if "lines" not in file:
        return str(file["content"] if "content" in file else file["secret"].reveal())
    missing = [f"{line}\n" for line in file["lines"] if line not in there.splitlines()]
    return "".join([there, "\n" * bool(missing and there and not there.endswith("\n")), *missing])


def _set(name: str, differs: t.Mapping[str, t.Any]) -> None:
    """Bring a unit to what differs."""
    if "enabled" in differs:
        process.run(["systemctl", "enable" if differs["enabled"] else "disable", name], timeout=180)
    if differs.get("state") == "stopped":
        process.run(["systemctl", "stop", name], timeout=300)
    elif "state" in differs or "restart" in differs:
        # LOADER fails where this kernel has not all modules. What that means for a Xen host's backends, xen_host says.
        with contextlib.suppress(*[process.CommandError] * (name == LOADER)):
            systemd.restart(name)


def provider(params: t.Mapping[str, t.Any]) -> Provider:
    """That of what a module is given. Raises Invalid with every problem."""
    return Provider(parse(applicable(params)))
