# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's service: what is written, when libvirt is restarted, and what is CloudStack's."""

from __future__ import annotations

import dataclasses
import grp
import os
import pathlib
import pwd
import time
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._host.config_files import put_setting, setting
from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import Unit
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import service
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.service import (
    AGENT,
    DROP_IN,
    LIBVIRT_CONF,
    LIBVIRTD_CONF,
    QEMU_CONF,
    SOCKET,
    SOCKET_DROP_IN,
    SOCKETS,
    TMPFILES,
    UNIT,
    File,
    Observed,
    Provider,
    Socket,
    Wanted,
    is_registered,
    parse,
    parts,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Risk

APPARMOR = "/etc/apparmor.d/abstractions/libvirt-qemu.d/cephstack"
PLAIN = Wanted(("client.kvm",), apparmor=APPARMOR)
CLOUDSTACK = Wanted(cloudstack=True, apparmor=APPARMOR)
OPENSTACK = Wanted(openstack=True)
BEGAN = 2000
RUNS = Unit(installed=True, enabled=True, active=True, began=BEGAN)


def as_wanted(wanted: Wanted, registered: bool = False, cgroups: bool = True) -> Observed:
    """A host on which everything is as it should be, and older than libvirt's start."""
    found = [part for part in parts(wanted, cgroups, registered) if part.text]
    files = {part.path: File(part.text if part.kind == "file" else part.put("# of others\n"), changed=1000) for part in found}
    files.setdefault(QEMU_CONF, File("# of others\n", "0600", 1000))
    sockets = dict.fromkeys(SOCKETS, Socket(True, False, 1000)) if wanted.cloudstack else {}
    return Observed(RUNS, sockets, files, wanted.folders, cgroups, registered)


def but(observed: Observed, **files: File | None) -> dict[str, File]:
    """The files of it, but some."""
    return {path: file for path, file in {**observed.files, **files}.items() if file}


def ids(plan: Plan) -> list[str]:
    return [f"{change.action} {change.id}" for change in plan.changes]


def restarts(plan: Plan) -> list[str]:
    """Why libvirt is restarted."""
    return [change.reason for change in plan.changes if change.risk is Risk.RESTART]


@pytest.mark.parametrize("wanted", [PLAIN, CLOUDSTACK, OPENSTACK, Wanted(), dataclasses.replace(CLOUDSTACK, clients=("client.kvm",))])
@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("cgroups", [False, True])
def test_what_is_as_it_should_be_is_no_change(wanted: Wanted, registered: bool, cgroups: bool) -> None:
    assert ids(Provider(wanted).plan(as_wanted(wanted, registered, cgroups))) == []


@pytest.mark.parametrize(
    ("path", "file", "change", "restart"),
    [
        ("/etc/ceph/ceph.conf", File("[global]\n"), "create block", False),
        ("/etc/ceph/ceph.conf", File("# BEGIN cephstack.cloud kvm_host\n[client.old]\n# END cephstack.cloud kvm_host\n"), "update block", False),
        (TMPFILES, None, "create file", False),
        (TMPFILES, File("d /run/ceph-guests\n"), "update file", False),
        (DROP_IN, None, "create file", True),
        (DROP_IN, File("[Service]\n"), "update file", True),
        (DROP_IN, File(service.drop_in(cloudstack=False), "0600", 1000), "update file", False),
        (APPARMOR, None, "create block", False),
        (QEMU_CONF, File(f"# BEGIN cephstack.cloud\n{service.NO_CGROUPS}# END cephstack.cloud\n"), "delete block", True),
    ],
)
def test_each_drift_is_one_change(path: str, file: File | None, change: str, restart: bool) -> None:
    good = as_wanted(PLAIN)
    plan = Provider(PLAIN).plan(dataclasses.replace(good, files=but(good, **{path: file})))
    assert ids(plan) == [f"{change}/{path}", *([f"update unit/{UNIT}"] if restart else [])]
    assert restarts(plan) == ([f"{path} changes"] if restart else [])
    if restart:
        assert plan.changes[-1].needs == {f"{change.split()[1]}/{path}"}


@pytest.mark.parametrize(
    ("path", "file", "change", "restart"),
    [
        (LIBVIRTD_CONF, File("#listen_tls = 0\n"), "create block", True),
        (LIBVIRT_CONF, None, "create setting", False),
        (LIBVIRT_CONF, File('remote_mode = "legacy"\nremote_mode = "auto"\n'), "update setting", False),
        (DROP_IN, File(service.drop_in(cloudstack=False)), "update file", True),
    ],
)
def test_each_drift_of_a_host_for_cloudstack_is_one_change(path: str, file: File | None, change: str, restart: bool) -> None:
    good = as_wanted(CLOUDSTACK)
    plan = Provider(CLOUDSTACK).plan(dataclasses.replace(good, files=but(good, **{path: file})))
    assert ids(plan) == [f"{change}/{path}", *([f"update unit/{UNIT}"] if restart else [])]


def test_sockets_that_systemd_listens_at() -> None:
    good = as_wanted(CLOUDSTACK)
    sockets = {**good.sockets, "libvirtd.socket": Socket(), "libvirtd-ro.socket": Socket(masked=True, listening=True)}
    plan = Provider(CLOUDSTACK).plan(dataclasses.replace(good, sockets=sockets))
    assert plan.changes[0].before == {"libvirtd.socket": {"masked": False, "listening": False}, "libvirtd-ro.socket": {"masked": True, "listening": True}}
    assert restarts(plan) == ["systemd stops listening for it"]


@pytest.mark.parametrize("state", [{}, {"/run/ceph-guests": "0770 root kvm", "/var/log/ceph-guests": "0750 libvirt-qemu kvm"}])
def test_folders_are_made_again_without_a_restart(state: dict[str, str]) -> None:
    plan = Provider(PLAIN).plan(dataclasses.replace(as_wanted(PLAIN), folders=state))
    assert [change.kind for change in plan.changes] == ["folders"]
    assert set(plan.changes[0].after) == {"/run/ceph-guests", "/var/log/ceph-guests"} - ({"/var/log/ceph-guests"} if state else set())


@pytest.mark.parametrize(
    ("now", "change", "risk"),
    [
        (dataclasses.replace(RUNS, enabled=False), {"enabled": True}, Risk.NONE),
        (dataclasses.replace(RUNS, active=False, began=0), {"running": True}, Risk.NONE),
        (dataclasses.replace(RUNS, stale=True), {"restart": "its unit changed"}, Risk.RESTART),
    ],
)
def test_the_unit_runs_and_comes_back(now: Unit, change: dict[str, t.Any], risk: Risk) -> None:
    (found,) = Provider(PLAIN).plan(dataclasses.replace(as_wanted(PLAIN), service=now)).changes
    assert (found.action, found.after, found.risk) == ("update", change, risk)


@pytest.mark.parametrize("path", [DROP_IN, QEMU_CONF, LIBVIRTD_CONF])
def test_a_run_that_was_cut_off_before_the_restart_is_made_up_for(path: str) -> None:
    good = as_wanted(CLOUDSTACK)
    files = but(good, **{path: dataclasses.replace(good.files[path], changed=BEGAN + 1)})
    assert restarts(Provider(CLOUDSTACK).plan(dataclasses.replace(good, files=files))) == [f"{path} is newer than its start"]


def test_a_run_that_was_cut_off_after_the_masks_too() -> None:
    good = as_wanted(CLOUDSTACK)
    sockets = dict.fromkeys(SOCKETS, Socket(True, False, BEGAN + 1))
    assert restarts(Provider(CLOUDSTACK).plan(dataclasses.replace(good, sockets=sockets))) == ["systemd has stopped listening for it since its start"]


@pytest.mark.parametrize("path", ["/etc/ceph/ceph.conf", TMPFILES, LIBVIRT_CONF, APPARMOR])
def test_what_libvirt_does_not_read_at_its_start_is_no_reason(path: str) -> None:
    wanted = dataclasses.replace(CLOUDSTACK, clients=("client.kvm",))
    good = as_wanted(wanted)
    files = but(good, **{path: dataclasses.replace(good.files[path], changed=BEGAN + 1)})
    assert not Provider(wanted).plan(dataclasses.replace(good, files=files))


def test_what_cloudstack_writes_on_a_host_that_it_has_is_its_own() -> None:
    good = as_wanted(CLOUDSTACK, registered=True)
    its = {LIBVIRTD_CONF: File("listen_tls = 1\n", changed=BEGAN + 1), QEMU_CONF: File('security_driver = "none"\n', changed=BEGAN + 1)}
    assert not Provider(CLOUDSTACK).plan(dataclasses.replace(good, files=but(good, **its)))
    drifted = dataclasses.replace(good, files=but(good, **{**its, DROP_IN: None}))
    assert ids(Provider(CLOUDSTACK).plan(drifted)) == [f"create file/{DROP_IN}", f"update unit/{UNIT}"]


def test_without_clients_what_was_written_for_them_is_taken_away() -> None:
    wanted = Wanted(apparmor=APPARMOR)
    plan = Provider(wanted).plan(as_wanted(PLAIN))
    assert ids(plan) == ["delete block//etc/ceph/ceph.conf", f"delete file/{TMPFILES}", f"delete block/{APPARMOR}"]


BARE = Observed(Unit(), dict.fromkeys(SOCKETS, Socket()), {"/etc/ceph/ceph.conf": File("[global]\n")}, {}, cgroups=False)


def test_a_dry_run_on_a_bare_host_tells_everything() -> None:
    wanted = dataclasses.replace(CLOUDSTACK, clients=("client.kvm",))
    plan = Provider(wanted, bare=True).plan(BARE)
    assert {change.id: change.action for change in plan.changes} == {
        "block//etc/ceph/ceph.conf": "create",
        f"file/{TMPFILES}": "create",
        f"file/{DROP_IN}": "create",
        f"block/{APPARMOR}": "create",
        f"setting/{LIBVIRT_CONF}": "create",
        f"block/{QEMU_CONF}": "create",
        f"block/{LIBVIRTD_CONF}": "create",
        f"folders/{TMPFILES}": "create",
        f"sockets/{UNIT}": "update",
        f"unit/{UNIT}": "create",
    }
    assert restarts(plan) == []


def test_without_libvirt_a_real_run_says_so() -> None:
    with pytest.raises(Invalid, match="install libvirt"):
        Provider(PLAIN).plan(BARE)


def test_a_declaration_is_read_as_a_whole() -> None:
    rest = {"cloudstack": False, "user": "qemu", "group": "qemu", "apparmor": None}
    assert parse({"clients": ["client.a", "client.a"], **rest}) == Wanted(("client.a",), user="qemu", group="qemu")
    with pytest.raises(Invalid) as error:
        parse({"clients": ["kvm", "client.a]\n[global"], **rest})
    assert len(error.value.problems) == 2


def test_a_setting_of_others_file() -> None:
    text = "#remote_mode = 0\nuri = 1\n"
    assert setting(text, "remote_mode") is None
    assert put_setting(text.rstrip("\n"), "remote_mode", "remote_mode = 2") == text + "remote_mode = 2\n"
    assert put_setting(" remote_mode=3\nuri = 1\n", "remote_mode", "remote_mode = 2") == "remote_mode = 2\nuri = 1\n"


@pytest.mark.parametrize(("text", "registered"), [(None, False), ("guid=\nhost=localhost\n", False), ("#guid=x\n", False), ("port=1\nguid=5f\n", True)])
def test_cloudstack_gives_a_host_that_it_takes_an_identity(text: str | None, registered: bool) -> None:
    assert is_registered(text) is registered


class Systemd:
    """Stands for the host's: it masks, and knows when libvirt was started."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.began = time.time() - 1800
        self.ran: list[list[str]] = []

    def run(self, argv: t.Sequence[str], **unused: t.Any) -> str:
        argv = list(argv)
        if "show" in argv:
            return "\n".join(self._show(name) for name in argv[5:])
        self.ran.append(argv)
        if argv[0] == "systemd-tmpfiles":
            for line in (self.root / argv[2].lstrip("/")).read_text().splitlines():
                if line.startswith("d "):
                    folder = self.root / line.split()[1].lstrip("/")
                    folder.mkdir(parents=True, exist_ok=True)
                    folder.chmod(int(line.split()[2], 8))
        elif argv[1] == "mask":
            for name in argv[3:]:
                (self.root / f"etc/systemd/system/{name}").symlink_to("/dev/null")
        elif argv[1] in ("restart", "enable"):
            self.began = time.time()
        return ""

    def _show(self, name: str) -> str:
        masked = (self.root / f"etc/systemd/system/{name}").is_symlink()
        runs = name == UNIT
        state = "masked" if masked else "enabled"
        return f"Id={name}\nLoadState=loaded\nUnitFileState={state}\nActiveState={'active' if runs else 'inactive'}\n" + (
            time.strftime("NeedDaemonReload=no\nExecMainStartTimestamp=Sat %Y-%m-%d %H:%M:%S UTC\n", time.gmtime(self.began)) if runs else ""
        )


@pytest.fixture
def systemd(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """A host with libvirt as its packages leave it, half an hour ago."""
    (tmp_path / "etc/libvirt").mkdir(parents=True)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    for path, text in ((QEMU_CONF, b"# caf\xe9\r\nuser = 1"), (LIBVIRTD_CONF, b"# of others\n")):
        file = tmp_path / path.lstrip("/")
        file.write_bytes(text)
        file.chmod(0o600)
        os.utime(file, (time.time() - 3600,) * 2)
    double = Systemd(tmp_path)
    monkeypatch.setattr(process, "run", double.run)
    monkeypatch.setattr(os, "fchown", lambda *unused: None)
    monkeypatch.setattr(service, "cgroups_are_writable", lambda: False)
    return double


def provider(root: pathlib.Path) -> Provider:
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    return Provider(Wanted(("client.kvm",), True, user, group, APPARMOR), root=str(root))


def test_a_host_is_brought_there_and_stays(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    one = provider(tmp_path)
    assert one.plan(one.observe()).apply() == []
    assert [argv[1] for argv in systemd.ran if argv[0] == "systemctl"] == ["mask", "daemon-reload", "reset-failed", "restart"]
    assert not one.plan(one.observe())
    qemu = tmp_path / QEMU_CONF.lstrip("/")
    assert qemu.read_bytes() == b"# caf\xe9\r\nuser = 1\n# BEGIN cephstack.cloud\n" + service.NO_CGROUPS.encode() + b"# END cephstack.cloud\n"
    assert qemu.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / DROP_IN.lstrip("/")).stat().st_mode & 0o777 == 0o644
    assert "--listen" in (tmp_path / DROP_IN.lstrip("/")).read_text()


def test_cut_off_anywhere_it_is_restarted_by_the_next_run(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    one = provider(tmp_path)
    changes = [change for change in one.plan(one.observe()).changes if change.kind != "unit"]
    for number, change in enumerate(changes):
        change.apply()
        left = one.plan(one.observe())
        assert [change.id for change in left.changes[:-1]] == [change.id for change in changes[number + 1 :]]
        assert "restart" in left.changes[-1].after
    assert left.changes[-1].id == f"unit/{UNIT}"


def test_nova_may_use_libvirt_and_nobody_when_it_is_gone(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    """Without polkit whoever reaches the socket may do everything: that everybody reaches it, and that nobody is asked, are never both so."""
    one = Provider(OPENSTACK, root=str(tmp_path))
    one.plan(one.observe()).apply()
    assert not one.plan(one.observe())
    socket, daemon = (tmp_path / path.lstrip("/") for path in (SOCKET_DROP_IN, LIBVIRTD_CONF))
    assert "SocketMode=0660" in socket.read_text() and 'auth_unix_rw = "none"' in daemon.read_text()
    socket.unlink()
    plan = one.plan(one.observe())
    assert ids(plan) == [f"create file/{SOCKET_DROP_IN}", f"update unit/{UNIT}"] and restarts(plan) == [f"{SOCKET_DROP_IN} changes"]
    systemd.ran.clear()
    assert plan.apply() == []
    assert [argv[1:] for argv in systemd.ran] == [["daemon-reload"], ["stop", UNIT, SOCKET], ["reset-failed", UNIT], ["enable", "--now", UNIT]]
    plain = Provider(Wanted(), root=str(tmp_path))
    assert plain.plan(plain.observe()).apply() == []
    assert not socket.exists() and "auth_unix_rw" not in daemon.read_text()


def test_permissions_are_mended_without_a_restart(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    one = provider(tmp_path)
    one.plan(one.observe()).apply()
    (tmp_path / DROP_IN.lstrip("/")).chmod(0o600)
    plan = one.plan(one.observe())
    assert [(change.id, change.after) for change in plan.changes] == [(f"file/{DROP_IN}", {"mode": "0644"})]
    assert plan.apply() == []
    assert not one.plan(one.observe())


def test_a_file_of_the_future_is_no_reason_for_ever(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    one = provider(tmp_path)
    one.plan(one.observe()).apply()
    os.utime(tmp_path / QEMU_CONF.lstrip("/"), (time.time() + 3600,) * 2)
    assert not one.plan(one.observe())


def test_a_host_that_cloudstack_has(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    one = provider(tmp_path)
    one.plan(one.observe()).apply()
    properties = tmp_path / AGENT.lstrip("/")
    properties.parent.mkdir(parents=True)
    properties.write_text("guid=5f\n")
    libvirtd = tmp_path / LIBVIRTD_CONF.lstrip("/")
    libvirtd.write_text(libvirtd.read_text().replace("listen_tls = 0", "listen_tls = 1"))
    observed = one.observe()
    assert not one.plan(observed)
    assert one.returned(observed) == {"registered": True, "cgroups": False}
    properties.unlink()
    assert [change.id for change in one.plan(one.observe()).changes] == [f"block/{LIBVIRTD_CONF}", f"unit/{UNIT}"]
