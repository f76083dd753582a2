# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Crash reports of a host: a key of its own with which ceph-crash posts them, and no report that is none.

ceph-crash runs as the user ceph (since 16.2.11, CVE-2022-3650). Every ten minutes it tries to post what lies in its folder, as
client.crash.HOST, then as client.crash, then as client.admin, and moves what it has posted.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pwd
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import keyring_files, paths
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, asked
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.daemons import ensure_client, ensure_running
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import auth_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret

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

    def observe(self) -> Observed:
        """Read the client, the host's folder, and what the cluster warns of."""
        known: t.Mapping[str, t.Any] = {}
        new: dict[str, str] = {}
        if self.cluster is not None:
            auth, health, manager = self.cluster.many([("auth ls", {}), ("health", {}), ("mgr stat", {})])
            known = auth_of(auth).get(self.entity, {})
            if "RECENT_CRASH" in health.get("checks", {}) and manager.get("available"):
                reports = self.cluster.mgr_command("crash ls-new")
                new = {report["crash_id"]: _named(report) for report in reports if report.get("utsname_hostname") == self.hostname and false_alarm(report)}
        try:
            owner = files.name_of(pwd.getpwuid, os.stat(self.posted).st_uid)
        except FileNotFoundError:
            owner = ""
        return Observed(
            installed=process.installed(PROGRAM),
            **known,
            file=keyring_files.read(self.place),
            unit=systemd.units([UNIT])[UNIT],
            owner=owner,
            waiting=self._waiting(),
            new=new,
        )

    def _waiting(self) -> dict[str, str]:
        """Return the false alarms that lie in the folder, whole and not posted yet, by id. One that is just being written is none yet."""
        try:
            names = sorted(os.listdir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        found = {}
        for name in names:
            text = files.read(os.path.join(self.folder, name, "meta")) if os.path.exists(os.path.join(self.folder, name, "done")) else None
            with contextlib.suppress(ValueError):
                report = json.loads(text or "")
                if isinstance(report, dict) and false_alarm(report):
                    found[name] = _named(report)
        return found

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where ceph-crash is not installed."""
        if not observed.installed and self.cluster is not None:
            raise Invalid([f"{PROGRAM} is not installed on this host: its package comes with the role ceph_common"])
        draft = Draft()
        ensure_client(draft, self.cluster, self.entity, None if observed.key is None else observed.caps, CAPS)
        # Debian's belongs to root: what was posted could not be moved, so the same report would be posted again and no other one ever.
        owner = {"owner": observed.owner} if observed.owner else None
        reason = "ceph-crash moves what it has posted there"
        draft.ensure("folder", self.posted, owner, {"owner": keyring_files.DAEMONS}, self._make_posted, reason=reason)
        folder = f"folder/{self.posted}"
        reason = "nothing has crashed: a manager reports what it trips over while it loads its modules"
        shown = {"waiting": list(observed.waiting.values())}
        draft.ensure("crash_reports", "waiting", shown, {"waiting": []}, self._move, needs={*self.after, folder}, reason=reason)
        reason = "nothing has crashed: a manager has reported what it tripped over while it loaded its modules"
        shown = {"new": list(observed.new.values())}
        draft.ensure("crash_reports", "new", shown, {"new": []}, lambda: self._archive(observed.new), needs=self.after, reason=reason)
        # The keyring last: with it in reach, whatever lies there is posted.
        needs = {*self.after, f"client/{self.entity}", folder, "crash_reports/waiting"}
        fetch = functools.partial(keyring_files.fetch, self.cluster, self.place)
        keyring_files.ensure(draft, self.place, observed.file, observed.key or keyring_files.UNKNOWN, fetch, needs)
        if observed.installed:
            ensure_running(draft, UNIT, observed.unit, True, functools.partial(systemd.start, UNIT), [f"keyring/{self.place.path}"])
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"crash_client": self.entity}

    # -- apply

    def _make_posted(self) -> None:
        os.makedirs(self.posted, exist_ok=True)
        os.chown(self.posted, *paths.owner())

    def _move(self) -> None:
        """As ceph-crash does with what it has posted: nothing is lost, and nothing is asked about it any more."""
        for name in self._waiting():
            os.rename(os.path.join(self.folder, name), os.path.join(self.posted, name))

    def _archive(self, reports: t.Iterable[str]) -> None:
        for report in reports:
            asked(self.cluster).mgr_command("crash archive", id=report)


def _named(report: t.Mapping[str, t.Any]) -> str:
    return f"{report.get('crash_id')} (mgr module {report.get('mgr_module')})"
