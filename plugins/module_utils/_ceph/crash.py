# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Crash reports of a host: a key of its own with which ceph-crash posts them, and no report that is none.

ceph-crash runs as the user ceph (since 16.2.11, CVE-2022-3650). Every ten minutes it tries to post what lies in its folder, as
client.crash.HOST, then as client.crash, then as client.admin, and moves what it has posted.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import json
import os
import pwd
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import keyring_files, paths
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.daemons import client_change, flat
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Invalid, Plan, Secret, differing

PROGRAM = "ceph-crash"
UNIT = "ceph-crash.service"
CAPS = {"mgr": "profile crash", "mon": "profile crash"}
FOLDER = f"{paths.DATA}/crash"
POSTED = "posted"


class Observed(t.NamedTuple):
    """What is there. key, caps: of the client in the cluster. owner: of the folder of posted reports, "" where there is none.

    waiting, new: false alarms by id, in the host's folder, and those from this host that the cluster warns of.
    """

    installed: bool = False
    key: t.Optional[Secret] = None
    caps: t.Mapping[str, str] = {}
    file: keyring_files.File = keyring_files.File()
    unit: systemd.Unit = systemd.NO_UNIT
    owner: str = ""
    waiting: t.Mapping[str, str] = {}
    new: t.Mapping[str, str] = {}


def false_alarm(report: t.Mapping[str, t.Any]) -> bool:
    """Whether a report is known to be of nothing that has crashed. Pure.

    All of them are of managers that start and load their modules without the role's shim (see daemons.needs_shim):

    - A module without NOTIFY_TYPES leaves an AttributeError behind in the interpreter, which the next import then trips over. It comes
      from no line of Python, so it has no backtrace. The module is loaded and works.
    - No module can import bcrypt, and restful cannot import OpenSSL, in a subinterpreter.
    """
    if report.get("process_name") != "ceph-mgr" or report.get("mgr_module_caller") != "PyModule::load_subclass_of":
        return False
    lines = [str(line) for line in report.get("backtrace") or []]
    if report.get("mgr_python_exception") == "AttributeError":
        return not lines
    refused = report.get("mgr_python_exception") == "ImportError" and bool(lines) and "PyO3 modules" in lines[-1]
    return refused and (report.get("mgr_module") == "restful" or any("import bcrypt" in line for line in lines))


def waiting(folder: str) -> dict[str, dict[str, t.Any]]:
    """Return the whole reports that lie in a folder and are not posted yet, by id. One that is just being written is none yet."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = {}
    for name in names:
        text = files.read(os.path.join(folder, name, "meta")) if os.path.exists(os.path.join(folder, name, "done")) else None
        try:
            report = json.loads(text or "")
        except ValueError:
            continue
        if isinstance(report, dict):
            found[name] = report
    return found


class Provider:
    """The crash reports of this host.

    hostname: the host's name as it calls itself, with its domain if it has that: it is part of the client's name that ceph-crash takes.
    cluster: an open connection, None where there is no cluster yet (check mode only).
    after: ids of changes that start daemons, whose reports are to be looked through before they can be posted.
    """

    def __init__(self, hostname: str, cluster: t.Optional[Connection], after: t.Iterable[str] = (), folder: str = FOLDER) -> None:
        self.hostname = hostname
        self.cluster = cluster
        self.after = frozenset(after)
        self.folder = folder
        self.posted = os.path.join(folder, POSTED)
        self.entity = f"client.crash.{hostname}"
        self.place = keyring_files.of_daemons(f"/etc/ceph/ceph.{self.entity}.keyring", self.entity)

    # -- observe

    def observe(self) -> Observed:
        """Read the client, the host's folder, and what the cluster warns of."""
        entry: t.Mapping[str, t.Any] = {}
        new: dict[str, str] = {}
        if self.cluster is not None:
            auth, health, manager = self.cluster.many([("auth ls", {}), ("health", {}), ("mgr stat", {})])
            entry = next((entry for entry in auth["auth_dump"] if entry["entity"] == self.entity), {})
            if "RECENT_CRASH" in health.get("checks", {}) and manager.get("available"):
                reports = self.cluster.mgr_command("crash ls-new")
                new = {report["crash_id"]: _named(report) for report in reports if report.get("utsname_hostname") == self.hostname and false_alarm(report)}
        return Observed(
            installed=process.installed(PROGRAM),
            key=Secret(entry["key"]) if entry else None,
            caps=entry.get("caps") or {},
            file=keyring_files.read(self.place),
            unit=systemd.units([UNIT])[UNIT],
            owner=self._owner(),
            waiting=self._waiting(),
            new=new,
        )

    def _owner(self) -> str:
        try:
            return files.name_of(pwd.getpwuid, os.stat(self.posted).st_uid)
        except FileNotFoundError:
            return ""

    def _waiting(self) -> dict[str, str]:
        return {name: _named(report) for name, report in waiting(self.folder).items() if false_alarm(report)}

    # -- plan

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where ceph-crash is not installed."""
        if not observed.installed and self.cluster is not None:
            raise Invalid([f"{PROGRAM} is not installed on this host: its package comes with the role ceph_common"])
        changes: list[Change] = []
        identity = client_change(self.entity, None if observed.key is None else observed.caps, CAPS, self._create, self._set_caps)
        changes += [identity] if identity else []
        if observed.owner != keyring_files.DAEMONS:
            # Debian's belongs to root: what was posted could not be moved, so the same report would be posted again and no other one ever.
            existing = {"owner": observed.owner} if observed.owner else None
            reason = "ceph-crash moves what it has posted there"
            changes.append(Change("folder", self.posted, "update" if existing else "create", existing, {"owner": "ceph"}, self._make_posted, reason=reason))
        if observed.waiting:
            reason = "nothing has crashed: a manager reports what it trips over while it loads its modules"
            shown = list(observed.waiting.values())
            changes.append(
                Change(
                    "crash_reports", "waiting", "update", {"waiting": shown}, {"waiting": []}, self._move, reason=reason, needs=self.after | {self._folder_id}
                )
            )
        if observed.new:
            reason = "nothing has crashed: a manager has reported what it tripped over while it loaded its modules"
            shown = list(observed.new.values())
            archive = functools.partial(self._archive, list(observed.new))
            changes.append(Change("crash_reports", "new", "update", {"new": shown}, {"new": []}, archive, reason=reason, needs=self.after))
        # The keyring last: with it in reach, whatever lies there is posted.
        needs = self.after | {f"client/{self.entity}", self._folder_id, "crash_reports/waiting"}
        keyring = keyring_files.change(self.place, observed.file, observed.key or keyring_files.UNKNOWN, self._write_keyring, needs)
        changes += [keyring] if keyring else []
        if observed.installed and not (observed.unit.enabled and observed.unit.active):
            before, after = differing({"enabled": observed.unit.enabled, "running": observed.unit.active}, {"enabled": True, "running": True})
            begin = functools.partial(systemd.start, UNIT)
            changes.append(Change("unit", UNIT, "update", before, after, begin, needs=frozenset({f"keyring/{self.place.path}"})))
        return Plan(changes)

    @property
    def _folder_id(self) -> str:
        return f"folder/{self.posted}"

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return as whom the host's reports are posted."""
        return {"crash_client": self.entity}

    # -- apply

    def _ask(self) -> Connection:
        if self.cluster is None:
            raise RuntimeError("there is no cluster to change")
        return self.cluster

    def _create(self) -> None:
        self._ask().command("auth get-or-create", entity=self.entity, caps=flat(CAPS))

    def _set_caps(self) -> None:
        self._ask().command("auth caps", entity=self.entity, caps=flat(CAPS))

    def _write_keyring(self) -> None:
        keyring_files.write(self.place, Secret(self._ask().command("auth get", entity=self.entity)[0]["key"]))

    def _make_posted(self) -> None:
        uid, gid = paths.owner()
        os.makedirs(self.posted, exist_ok=True)
        os.chown(self.posted, uid, gid)

    def _move(self) -> None:
        """As ceph-crash does with what it has posted: nothing is lost, and nothing is asked about it any more."""
        for name in self._waiting():
            os.rename(os.path.join(self.folder, name), os.path.join(self.posted, name))

    def _archive(self, reports: t.Sequence[str]) -> None:
        for report in reports:
            self._ask().mgr_command("crash archive", id=report)


def _named(report: t.Mapping[str, t.Any]) -> str:
    return f"{report.get('crash_id')} (mgr module {report.get('mgr_module')})"
