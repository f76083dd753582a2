# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's files and units, and what programs make of files: what is written, and when that is read again. Most of it for what a Xen host is given."""

from __future__ import annotations

import dataclasses
import fnmatch
import getpass
import grp
import os
import pathlib
import time
import typing as t
from unittest.mock import ANY

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._host.host_files import LOADER, Observed, Provider, applicable, parse, unit_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import Unit
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Outcome, Plan, Risk, Unreachable, reconcile

MODULES_LOAD = "/etc/modules-load.d/cephstack-xen.conf"
SCRIPT = "/etc/xen/scripts/block-rbd"
UNIT = "/etc/systemd/system/cephstack-rbd-nbd@.service"
INSTANCE = "cephstack-rbd-nbd@vms-a.service"
ME = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
Declared = t.Dict[str, t.Any]


def a_file(path: str, **options: t.Any) -> Declared:
    return {"path": path, "content": None, "secret": None, "lines": None, "mode": "0644", "state": "present", **ME, **options}


def a_unit(name: str, *reads: str, **options: t.Any) -> Declared:
    return {"name": name, "enabled": None, "state": None, "reads": list(reads), **options}


def declare(files: t.Sequence[Declared] = (), units: t.Sequence[Declared] = (), commands: t.Sequence[Declared] = ()) -> Declared:
    return {"files": files, "units": units, "commands": commands}


PARAMS = declare(
    [
        a_file(MODULES_LOAD, content="# Made by cephstack.cloud\nrbd\nxen-blkback\n"),
        a_file(SCRIPT, content="#!/bin/bash\necho ${#1} {{ x }} caf\u00e9\r\n\n", mode="0755"),
        a_file(UNIT, content="[Service]\nExecStart=/bin/true\n"),
    ]
)
WANTED = parse(PARAMS)
LOADED = {"rbd", "xen_blkback"}


def ids(plan: Plan) -> list[str]:
    return [f"{change.action} {change.id}" for change in plan.changes]


def test_what_requires_something_is_left_out_where_that_is_not_there(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "update-grub"
    update = {"argv": ["update-grub"], "creates": "/boot/grub.cfg", "reads": [], "requires": str(program)}
    declared = declare([a_file("/a", content="", requires=str(program)), a_file("/b", content="", requires=None)], [a_unit("c")], [update])
    assert applicable(declared) == declare(declared["files"][1:], declared["units"], [])
    program.touch()
    assert applicable(declared) == declared


# -- planning

RELOAD = "update reload/systemd"
RESTART = f"update unit/{LOADER}"


def but(**files: Declared | None) -> Observed:
    """A host that is as it should be, but for some files."""
    return Observed({path: file for path, file in {**WANTED.files, **files}.items() if file}, times={MODULES_LOAD: 2})


def different(path: str, **differs: t.Any) -> Declared:
    return {**(WANTED.files[path] or {}), **differs}


@pytest.mark.parametrize(
    ("observed", "changes"),
    [
        (but(), []),
        (but(**{SCRIPT: None}), [f"create file/{SCRIPT}"]),
        (but(**{UNIT: None}), [f"create file/{UNIT}", RELOAD]),
        (but(**{MODULES_LOAD: None}), [f"create file/{MODULES_LOAD}", RESTART]),
        (but(**{MODULES_LOAD: different(MODULES_LOAD, content="# Made by cephstack.cloud\nrbd\n")}), [f"update file/{MODULES_LOAD}", RESTART]),
        (but(**{UNIT: different(UNIT, mode="0600")}), [f"update file/{UNIT}"]),
        (but(**{MODULES_LOAD: different(MODULES_LOAD, owner="somebody")}), [f"update file/{MODULES_LOAD}"]),
        (dataclasses.replace(but(), units={INSTANCE: Unit(stale=True)}), [RELOAD]),
        (dataclasses.replace(but(), units={LOADER: Unit(began=1)}, loaded=False), [RESTART]),
        (dataclasses.replace(but(), units={LOADER: Unit(began=1, masked=True)}, loaded=False), []),
    ],
)
def test_each_drift_is_one_change_with_what_follows_from_it(observed: Observed, changes: list[str]) -> None:
    assert ids(Provider(WANTED).plan(observed)) == changes


def test_only_what_differs_is_shown() -> None:
    drifted = but(**{SCRIPT: different(SCRIPT, mode="0644", group="disk")})
    (entry,) = Provider(WANTED).plan(drifted).diff()
    assert (entry["before"], entry["after"]) == ({"mode": "0644", "group": "disk"}, {"mode": "0755", "group": ME["group"]})


def test_files_come_before_what_reads_them() -> None:
    stages = Provider(WANTED).plan(Observed({}, times={MODULES_LOAD: 0})).stages()
    assert {change.kind for change in stages[0]} == {"file"}
    assert [change.id for stage in stages[1:] for change in stage] == ["reload/systemd", f"unit/{LOADER}"]


def test_a_declaration_is_read_as_a_whole() -> None:
    assert WANTED.modules == ("rbd", "xen-blkback")
    assert WANTED.units == {LOADER: {"reads": [MODULES_LOAD]}}
    files = [a_file(path, content="") for path in ("relative", "/a/../b", "/c", "/c")]
    commands = [{"argv": ["make", "it"], "creates": "it", "reads": ["/c", "what"]}]
    with pytest.raises(Invalid) as error:
        parse(declare([*files, a_file("/d", content="", mode="644")], [a_unit("a"), a_unit("a.service", "b")], commands))
    assert error.value.problems == [
        "files: /c is declared twice",
        "units: a.service is declared twice",
        "files: 'relative' is no full path",
        "files: '/a/../b' is no full path",
        "units: 'b' is no full path",
        "commands: 'it' is no full path",
        "commands: 'what' is no full path",
        "files: /d has the mode '644': it takes four octal digits in quotes, such as '0644'",
    ]


# -- with files


class Systemd:
    """Stands for the host's: it knows when modules were loaded, and which of its units' files are not those that it read.

    can_load: the modules that this kernel takes.
    """

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.began = time.time() - 1800
        self.can_load = set(LOADED)
        self.instances = [INSTANCE]
        self.has_read = self._times()
        self.did: list[str] = []

    def _times(self) -> dict[str, float]:
        return {str(path): path.stat().st_mtime_ns for path in self.root.glob("etc/systemd/system/*")}

    def run(self, argv: t.Sequence[str], **unused: t.Any) -> str:
        verb = argv[argv.index("systemctl") + 1]
        if verb == "show":
            return self._show([word for word in argv[argv.index("show") + 1 :] if not word.startswith("-")])
        if verb == "daemon-reload":
            self.did.append(verb)
            self.has_read = self._times()
        if verb == "restart":
            self.did.append(verb)
            self.began = time.time()
            names = [line for line in (self.root / MODULES_LOAD[1:]).read_text().splitlines() if not line.startswith("#")]
            for name in names:
                if name.replace("-", "_") in self.can_load:
                    (self.root / "sys/module" / name.replace("-", "_")).mkdir(parents=True, exist_ok=True)
            if {name.replace("-", "_") for name in names} - self.can_load:
                raise process.CommandError(argv, 1, "Job for systemd-modules-load.service failed")
        return ""

    def _show(self, names: t.Sequence[str]) -> str:
        blocks = []
        for name in names:
            if "@." in name:
                raise process.CommandError(["systemctl"], 1, f"Unit name {name} is neither a valid invocation ID nor unit name.")
            for found in fnmatch.filter(self.instances, name) if "*" in name else [name]:
                stale = found != LOADER and self.has_read != self._times()
                began = time.strftime("Sat %Y-%m-%d %H:%M:%S UTC", time.gmtime(self.began)) if found == LOADER and self.began else ""
                text = f"Id={found}\nLoadState=loaded\nUnitFileState=static\n"
                blocks.append(f"{text}NeedDaemonReload={'yes' if stale else 'no'}\nExecMainStartTimestamp={began}\n")
        return "\n".join(blocks)


@pytest.fixture
def systemd(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """A host that was booted half an hour ago and has nothing of Xen yet."""
    double = Systemd(tmp_path)
    monkeypatch.setattr(process, "run", double.run)
    return double


def provider(root: pathlib.Path) -> Provider:
    return Provider(WANTED, str(root))


def test_a_bare_host_is_brought_there_and_stays(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    one = provider(tmp_path)
    plan = one.plan(one.observe())
    assert ids(plan) == [*(f"create file/{path}" for path in (MODULES_LOAD, SCRIPT, UNIT)), RELOAD, RESTART]
    assert list(tmp_path.iterdir()) == []
    assert plan.apply() == []
    assert not one.plan(one.observe())
    assert (tmp_path / MODULES_LOAD[1:]).read_bytes() == b"# Made by cephstack.cloud\nrbd\nxen-blkback\n"
    assert (tmp_path / SCRIPT[1:]).read_bytes() == PARAMS["files"][1]["content"].encode()
    assert [(tmp_path / path[1:]).stat().st_mode & 0o7777 for path in (MODULES_LOAD, SCRIPT, UNIT)] == [0o644, 0o755, 0o644]
    assert (tmp_path / SCRIPT[1:]).parent.stat().st_mode & 0o7777 == 0o755
    assert systemd.did == ["daemon-reload", "restart"]


def test_a_module_that_this_kernel_cannot_load_is_no_failure_and_no_change_for_ever(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    systemd.can_load = {"rbd"}
    one = provider(tmp_path)
    assert one.plan(one.observe()).apply() == []
    assert (tmp_path / "sys/module/rbd").is_dir()
    assert not one.plan(one.observe())


def test_cut_off_anywhere_the_next_run_makes_up_for_it(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    """Before the last change, and after each one that comes before it."""
    one = provider(tmp_path)
    changes = one.plan(one.observe()).changes
    for number, change in enumerate(changes):
        assert ids(one.plan(one.observe())) == [f"{left.action} {left.id}" for left in changes[number:]]
        change.apply()
    assert not one.plan(one.observe())


@pytest.mark.parametrize("path", [MODULES_LOAD, SCRIPT, UNIT])
def test_a_file_s_text_is_mended(systemd: Systemd, tmp_path: pathlib.Path, path: str) -> None:
    one = provider(tmp_path)
    one.plan(one.observe()).apply()
    systemd.did.clear()
    file = tmp_path / path[1:]
    good = file.read_bytes()
    file.write_bytes(b"of someone else\n")
    os.utime(file, ns=(1, 1))
    assert one.plan(one.observe()).apply() == []
    assert file.read_bytes() == good
    assert systemd.did == {MODULES_LOAD: ["restart"], SCRIPT: [], UNIT: ["daemon-reload"]}[path]
    assert not one.plan(one.observe())


@pytest.mark.parametrize("path", [MODULES_LOAD, SCRIPT, UNIT])
def test_permissions_are_mended_and_nothing_is_read_again(systemd: Systemd, tmp_path: pathlib.Path, path: str) -> None:
    one = provider(tmp_path)
    one.plan(one.observe()).apply()
    systemd.did.clear()
    (tmp_path / path[1:]).chmod(0o600)
    plan = one.plan(one.observe())
    assert [(change.id, change.before) for change in plan.changes] == [(f"file/{path}", {"mode": "0600"})]
    assert plan.apply() == []
    assert not one.plan(one.observe())
    assert systemd.did == []


def test_a_folder_that_is_there_is_left_as_it_is(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    folder = (tmp_path / SCRIPT[1:]).parent
    folder.mkdir(parents=True)
    folder.chmod(0o2775)
    one = provider(tmp_path)
    one.plan(one.observe()).apply()
    assert folder.stat().st_mode & 0o7777 == 0o2775


def test_a_newer_file_is_no_reason_where_all_is_loaded_or_the_loader_never_ran(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    """A clock that was set since, and a container, in which systemd does not start the loader."""
    one = provider(tmp_path)
    one.plan(one.observe()).apply()
    systemd.began -= 3600
    assert not one.plan(one.observe())
    (tmp_path / "sys/module/rbd").rmdir()
    assert ids(one.plan(one.observe())) == [RESTART]
    systemd.began = 0
    assert not one.plan(one.observe())


def test_a_unit_without_instances_is_written_all_the_same(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    systemd.instances = []
    one = provider(tmp_path)
    assert one.plan(one.observe()).apply() == []
    assert "daemon-reload" in systemd.did
    assert not one.plan(one.observe())


def test_a_systemd_that_does_not_answer_is_no_host_without_units(systemd: Systemd, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(argv: t.Sequence[str], **unused: t.Any) -> str:
        raise process.CommandError(argv, 1, "Failed to connect to bus")

    monkeypatch.setattr(process, "run", fails)
    with pytest.raises(Unreachable, match="cannot be asked"):
        provider(tmp_path).observe()


# -- other files


def reconciled(root: pathlib.Path, check_mode: bool = False, **declared: t.Any) -> Outcome:
    return reconcile(Provider(parse(declare(**declared)), str(root)), check_mode)


def changes_of(outcome: Outcome) -> list[tuple[str, t.Any, t.Any]]:
    assert not outcome.error
    return [(entry["after_header"], entry["before"], entry["after"]) for entry in outcome.diff]


def test_check_mode_lists_each_file_and_writes_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / "old").write_text("text\n")
    (tmp_path / "gone").write_text("text\n")
    files = [a_file("/old", content="text\n", mode="0600"), a_file("/gone", state="absent"), a_file("/new/er", content="1\n"), a_file("/never", state="absent")]
    (tmp_path / "old").chmod(0o640)
    (tmp_path / "gone").chmod(0o644)
    for check_mode in (True, False):
        assert changes_of(reconciled(tmp_path, check_mode, files=files)) == [
            ("file//old", {"mode": "0640"}, {"mode": "0600"}),
            ("file//gone (delete)", {**ME, "mode": "0644"}, {}),
            ("file//new/er (create)", {}, {"content": "1\n", **ME, "mode": "0644"}),
        ]
        assert (tmp_path / "gone").exists() == check_mode
        assert (tmp_path / "new").exists() != check_mode
    assert not reconciled(tmp_path, files=files).changed


def test_a_secret_is_kept_and_never_shown(tmp_path: pathlib.Path) -> None:
    for text in ("hush\n", "whist\n"):
        outcome = reconciled(tmp_path, files=[a_file("/key", secret=text, mode="0600")])
        assert outcome.changed
        assert not any(word in str((outcome.diff, outcome.result())) for word in ("hush", "whist"))
        assert (tmp_path / "key").read_text() == text
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert outcome.diff[0]["before"] == {"secret": "********"}
    assert not reconciled(tmp_path, files=[a_file("/key", secret=text, mode="0600")]).changed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "one\ntwo\n"),
        ("of others", "of others\none\ntwo\n"),
        ("two\r\nof others\n", "two\r\nof others\none\n"),
        ("two # not the same\none\n", "two # not the same\none\ntwo\n"),
    ],
)
def test_lines_are_added_to_those_of_others(tmp_path: pathlib.Path, before: str | None, after: str) -> None:
    file = tmp_path / "etc" / "keys"
    if before is not None:
        file.parent.mkdir()
        file.write_bytes(before.encode())
        file.chmod(0o600)
    declared = [a_file("/etc/keys", lines=["one", "two"], mode="0600")]
    outcome = reconciled(tmp_path, files=declared)
    assert outcome.diff[0]["after"]["lines"] == ["one", "two"]
    assert "others" not in str(outcome.diff)
    assert file.read_bytes() == after.encode()
    assert not reconciled(tmp_path, files=declared).changed


def test_lines_go_through_a_link_and_a_whole_file_takes_its_place(tmp_path: pathlib.Path) -> None:
    (tmp_path / "kept").write_text("of others\n")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert reconciled(tmp_path, files=[a_file("/link", lines=["one"])]).changed
    assert (tmp_path / "kept").read_text() == "of others\none\n" and (tmp_path / "link").is_symlink()
    assert reconciled(tmp_path, files=[a_file("/link", content="1\n")]).changed
    assert (tmp_path / "kept").read_text() == "of others\none\n" and not (tmp_path / "link").is_symlink()


def test_an_owner_that_is_not_there_is_named_and_nothing_is_written(tmp_path: pathlib.Path) -> None:
    outcome = reconciled(tmp_path, files=[a_file("/new", content="1\n", owner="nobody-here")])
    assert "create file//new" in outcome.error and "nobody-here" in outcome.error
    assert list(tmp_path.iterdir()) == []


# -- what reads them


class Services:
    """Stands for systemd with one service, mariadb, and for a program that makes /made."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.enabled, self.began = False, 0.0
        self.did: list[str] = []

    def run(self, argv: t.Sequence[str], **unused: t.Any) -> str:
        if argv[0] == "make-it":
            self.did.append("make-it")
            (self.root / "made").write_text("1\n")
            return ""
        verb = argv[argv.index("systemctl") + 1]
        if verb == "show":
            assert argv[-1] == "mariadb.service"
            began = time.strftime("Sat %Y-%m-%d %H:%M:%S UTC", time.gmtime(self.began)) if self.began else ""
            states = (f"UnitFileState={'enabled' if self.enabled else 'disabled'}", f"ActiveState={'active' if self.began else 'inactive'}")
            return "\n".join(["Id=mariadb.service", "LoadState=loaded", *states, f"ExecMainStartTimestamp={began}", ""])
        if verb != "reset-failed":
            self.did.append(verb)
        if verb in ("enable", "disable"):
            self.enabled = verb == "enable"
        elif verb in ("restart", "stop"):
            self.began = time.time() if verb == "restart" else 0.0
        return ""


CONFIGURATION = [a_file("/my.cnf", content="[mysqld]\n")]
CHANGED = [a_file("/my.cnf", content="[mysqld]\nserver_id = 1\n")]
SERVER = [a_unit("mariadb", "/my.cnf", enabled=True, state="started")]
NAME = "unit/mariadb.service"


@pytest.fixture
def services(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    double = Services(tmp_path)
    monkeypatch.setattr(process, "run", double.run)
    return double


def test_a_unit_is_enabled_and_started_with_its_file(services: Services, tmp_path: pathlib.Path) -> None:
    for check_mode in (True, False):
        changes = changes_of(reconciled(tmp_path, check_mode, files=CONFIGURATION, units=SERVER))
        assert [name for name, _, _ in changes] == ["file//my.cnf (create)", NAME]
        assert changes[1][1:] == ({"enabled": False, "state": "stopped"}, {"enabled": True, "state": "started"})
        assert services.did == ([] if check_mode else ["enable", "restart"])
    assert not reconciled(tmp_path, files=CONFIGURATION, units=SERVER).changed


def running(services: Services, root: pathlib.Path) -> None:
    """All has been as declared for half an hour."""
    reconciled(root, files=CONFIGURATION, units=SERVER)
    os.utime(root / "my.cnf", (time.time() - 3600,) * 2)
    services.began = time.time() - 1800
    services.did.clear()


def test_a_unit_is_restarted_for_another_text_and_for_nothing_else(services: Services, tmp_path: pathlib.Path) -> None:
    running(services, tmp_path)
    (tmp_path / "my.cnf").chmod(0o600)
    assert changes_of(reconciled(tmp_path, files=CONFIGURATION, units=SERVER)) == [("file//my.cnf", {"mode": "0600"}, {"mode": "0644"})]
    assert services.did == []
    outcome = reconciled(tmp_path, files=CHANGED, units=SERVER)
    assert changes_of(outcome)[1] == (NAME, {"restart": None}, {"restart": "/my.cnf changes"})
    assert outcome.plan and outcome.plan.changes[1].risk is Risk.RESTART
    assert services.did == ["restart"]


def test_killed_between_the_file_and_the_restart_the_next_run_restarts(services: Services, tmp_path: pathlib.Path) -> None:
    running(services, tmp_path)
    one = Provider(parse(declare(CHANGED, SERVER)), str(tmp_path))
    one.plan(one.observe()).changes[0].apply()
    assert services.did == []
    assert changes_of(reconcile(one)) == [(NAME, {"restart": None}, {"restart": "/my.cnf is newer than its start"})]
    assert services.did == ["restart"]
    assert not reconcile(one).changed


def test_what_is_not_asked_for_is_left_as_it_is(services: Services, tmp_path: pathlib.Path) -> None:
    reconciled(tmp_path, files=CONFIGURATION, units=[a_unit("mariadb", "/my.cnf")])
    assert services.did == []  # it does not run: it will read the file when it starts
    assert changes_of(reconciled(tmp_path, units=[a_unit("mariadb.service", enabled=True)])) == [(NAME, {"enabled": False}, {"enabled": True})]
    services.began = time.time() - 1800
    reconciled(tmp_path, files=CHANGED, units=[a_unit("mariadb", "/my.cnf", state="stopped", enabled=False)])
    assert services.did == ["enable", "disable", "stop"]


def test_a_program_runs_where_what_it_makes_is_missing_or_older(services: Services, tmp_path: pathlib.Path) -> None:
    commands = [{"argv": ["make-it", "all"], "creates": "/made", "reads": ["/my.cnf"]}]
    declared: Declared = {"files": CONFIGURATION, "commands": commands, "units": [a_unit("mariadb", "/made")]}
    services.began = time.time() - 1800
    outcome = reconciled(tmp_path, True, **declared)
    assert [name for name, _, _ in changes_of(outcome)] == ["file//my.cnf (create)", "command/make-it all", NAME]
    assert outcome.plan and [len(stage) for stage in outcome.plan.stages()] == [1, 1, 1]
    assert reconciled(tmp_path, **declared).changed
    assert services.did == ["make-it", "restart"]
    assert not reconciled(tmp_path, **declared).changed
    os.utime(tmp_path / "made", (time.time() - 1800,) * 2)
    assert changes_of(reconciled(tmp_path, **declared)) == [("command/make-it all", {"run": None}, {"run": "/my.cnf is newer than /made"}), ANY]


def test_a_drop_in_is_of_its_unit() -> None:
    paths = ("/etc/systemd/system/a@.service", "/etc/systemd/system/b.service.d/x.conf", "/etc/b.service")
    assert [unit_of(path) for path in paths] == ["a@*.service", "b.service", ""]
