# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Xen host's drivers and scripts: what is written, and when modules are loaded and units read again."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import pathlib
import time
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.drivers import LOADER, MODULES_LOAD, File, Observed, Provider, Wanted, parse

SCRIPT = "/etc/xen/scripts/block-rbd"
UNIT = "/etc/systemd/system/cephstack-rbd-nbd@.service"
INSTANCE = "cephstack-rbd-nbd@vms-a.service"
PARAMS: dict[str, t.Any] = {
    "modules": ["rbd", "xen-blkback"],
    "files": [
        {"path": SCRIPT, "content": "#!/bin/bash\necho ${#1} {{ x }} caf\u00e9\r\n\n", "mode": "0755"},
        {"path": UNIT, "content": "[Service]\nExecStart=/bin/true\n", "mode": "0644"},
    ],
}
WANTED = parse(PARAMS)
LOADED = {"rbd", "xen_blkback"}


def ids(plan: Plan) -> list[str]:
    return [f"{change.action} {change.id}" for change in plan.changes]


# -- planning

RELOAD = "update reload/systemd"
RESTART = f"update unit/{LOADER}"


def but(**files: File | None) -> Observed:
    """A host that is as it should be, but for some files."""
    return Observed({path: file for path, file in {**WANTED.files, **files}.items() if file})


@pytest.mark.parametrize(
    ("observed", "changes"),
    [
        (but(), []),
        (but(**{SCRIPT: None}), [f"create file/{SCRIPT}"]),
        (but(**{UNIT: None}), [f"create file/{UNIT}", RELOAD]),
        (but(**{MODULES_LOAD: None}), [f"create file/{MODULES_LOAD}", RESTART]),
        (but(**{MODULES_LOAD: File("# Made by cephstack.cloud\nrbd\n")}), [f"update file/{MODULES_LOAD}", RESTART]),
        (but(**{UNIT: dataclasses.replace(WANTED.files[UNIT], mode="0600")}), [f"update file/{UNIT}"]),
        (but(**{MODULES_LOAD: dataclasses.replace(WANTED.files[MODULES_LOAD], owner="1000:0")}), [f"update file/{MODULES_LOAD}"]),
        (dataclasses.replace(but(), stale=(INSTANCE,)), [RELOAD]),
        (dataclasses.replace(but(), unread=True), [RESTART]),
    ],
)
def test_each_drift_is_one_change_with_what_follows_from_it(observed: Observed, changes: list[str]) -> None:
    assert ids(Provider(WANTED).plan(observed)) == changes


def test_only_what_differs_is_shown() -> None:
    drifted = but(**{SCRIPT: dataclasses.replace(WANTED.files[SCRIPT], mode="0644", owner="0:6")})
    (entry,) = Provider(WANTED).plan(drifted).diff()
    assert (entry["before"], entry["after"]) == ({"mode": "0644", "owner": "0:6"}, {"mode": "0755", "owner": "0:0"})


def test_files_come_before_what_reads_them() -> None:
    stages = Provider(WANTED).plan(Observed({})).stages()
    assert {change.kind for change in stages[0]} == {"file"}
    assert [change.id for stage in stages[1:] for change in stage] == ["reload/systemd", f"unit/{LOADER}"]


def test_a_declaration_is_read_as_a_whole() -> None:
    assert parse({"modules": ["rbd", "nbd", "rbd"], "files": []}) == Wanted(("rbd", "nbd"), {MODULES_LOAD: File("# Made by cephstack.cloud\nrbd\nnbd\n")})
    files = [{"path": path, "content": "", "mode": "0644"} for path in ("relative", "/a/../b", "/c", "/c", MODULES_LOAD)]
    with pytest.raises(Invalid) as error:
        parse({"modules": ["rbd\nnbd"], "files": files})
    assert len(error.value.problems) == 5


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
    return Provider(WANTED, str(root), (os.getuid(), os.getgid()))


def test_a_bare_host_is_brought_there_and_stays(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    one = provider(tmp_path)
    plan = one.plan(one.observe())
    assert ids(plan) == [*(f"create file/{path}" for path in (MODULES_LOAD, SCRIPT, UNIT)), RELOAD, RESTART]
    assert list(tmp_path.iterdir()) == []
    assert plan.apply() == []
    assert not one.plan(one.observe())
    assert (tmp_path / MODULES_LOAD[1:]).read_bytes() == b"# Made by cephstack.cloud\nrbd\nxen-blkback\n"
    assert (tmp_path / SCRIPT[1:]).read_bytes() == PARAMS["files"][0]["content"].encode()
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
