# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Crash reports of a host: a key of its own with which ceph-crash posts them, and no report that is none.

Every ten minutes ceph-crash, as the user ceph (since 16.2.11, CVE-2022-3650), tries to post what lies in its folder, as client.crash.HOST, then as
client.crash, then as client.admin, and moves what it has posted.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import json
import os
import pwd
import socket
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons, keyring_files, maps
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, asked
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, Together

PROGRAM, UNIT = "ceph-crash", "ceph-crash.service"
CAPS = {"mgr": "profile crash", "mon": "profile crash"}
# Of daemons, and where a manager's modules are all that crashed, by 18.2.7.
_WARNINGS = {"RECENT_CRASH", "RECENT_MGR_MODULE_CRASH"}


class Observed(t.NamedTuple):
    """What is there. key, caps: in the cluster. owner: of the folder of posted reports. waiting, new: false alarms here, and those the cluster warns of."""

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

    All are of managers that load their modules without the role's shim (see daemons.needs_shim). A module without NOTIFY_TYPES leaves an AttributeError
    behind, of no line of Python and so without a backtrace, which the next import trips over: the module works. And no module can import bcrypt, and
    restful cannot import OpenSSL, in a subinterpreter.
    """
    if report.get("process_name") != "ceph-mgr" or report.get("mgr_module_caller") != "PyModule::load_subclass_of":
        return False
    lines, what, module = [str(line) for line in report.get("backtrace") or []], report.get("mgr_python_exception"), report.get("mgr_module")
    if what == "AttributeError":
        return not lines
    return what == "ImportError" and "PyO3 modules" in "".join(lines[-1:]) and (module == "restful" or any("import bcrypt" in line for line in lines))


class Provider:
    """The crash reports of a host. hostname: with its domain, as ceph-crash names its client. after: ids of changes that start daemons, which may report."""

    def __init__(
        self, hostname: str, cluster: t.Optional[Connection], after: t.Iterable[str] = (), folder: str = f"{daemons.DATA}/crash", key_type: str = ""
    ) -> None:
        self.hostname, self.cluster, self.after, self.key_type = hostname, cluster, frozenset(after), key_type
        self.folder, self.posted = folder, f"{folder}/posted"
        self.entity = f"client.crash.{hostname}"
        self.place = keyring_files.of_daemons(f"/etc/ceph/ceph.{self.entity}.keyring", self.entity)

    def observe(self) -> Observed:
        """Read the client, the host's folder, and what the cluster warns of."""
        known: t.Mapping[str, t.Any] = {}
        new: dict[str, str] = {}
        if self.cluster is not None:
            auth, health, manager = self.cluster.many([("auth ls", {}), ("health", {}), ("mgr stat", {})])
            known = maps.auth_of(auth).get(self.entity, {})
            if _WARNINGS & health.get("checks", {}).keys() and manager.get("available"):
                own = [report for report in self.cluster.mgr_command("crash ls-new") if report.get("utsname_hostname") == self.hostname]
                new = {report["crash_id"]: _named(report) for report in own if false_alarm(report)}
        owner = ""
        with contextlib.suppress(FileNotFoundError):
            owner = files.name_of(pwd.getpwuid, os.stat(self.posted).st_uid)
        unit, file = systemd.units([UNIT])[UNIT], keyring_files.read(self.place)
        return Observed(process.installed(PROGRAM), **known, file=file, unit=unit, owner=owner, waiting=self._waiting(), new=new)

    def _waiting(self) -> dict[str, str]:
        """Return the false alarms that lie in the folder, whole and not posted yet, by id. One that is just being written is none yet."""
        found = {}
        for done in sorted(glob.glob(f"{glob.escape(self.folder)}/*/done")):
            with contextlib.suppress(ValueError):
                report = json.loads(files.read(f"{os.path.dirname(done)}/meta") or "")
                if isinstance(report, dict) and false_alarm(report):
                    found[done.split("/")[-2]] = _named(report)
        return found

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where ceph-crash is not installed."""
        if not observed.installed and self.cluster is not None:
            raise Invalid([f"{PROGRAM} is not installed on this host: its package comes with the role ceph_common"])
        draft = Draft()
        daemons.ensure_client(draft, self.cluster, self.entity, None if observed.key is None else observed.caps, CAPS)
        # Debian's belongs to root: what was posted could not be moved, so the same report would be posted again and no other one ever.
        owner, folder = {"owner": observed.owner} if observed.owner else None, f"folder/{self.posted}"
        reason = "ceph-crash moves what it has posted there"
        draft.ensure("folder", self.posted, owner, {"owner": keyring_files.DAEMONS}, self._make_posted, reason=reason)
        reason = "nothing has crashed: a manager reports what it trips over while it loads its modules"
        alarms = (("waiting", observed.waiting, self._move, (folder,)), ("new", observed.new, lambda: self._archive(observed.new), ()))
        for which, found, mend, needs in alarms:
            draft.ensure("crash_reports", which, {which: list(found.values())}, {which: []}, mend, needs={*self.after, *needs}, reason=reason)
        # The keyring last: with it in reach, whatever lies there is posted.
        retyped = daemons.ensure_key_type(draft, self.cluster, self.entity, observed.key, self.key_type)
        first = {*self.after, f"client/{self.entity}", f"key/{self.entity}", folder, "crash_reports/waiting"}
        fetch = functools.partial(keyring_files.fetch, self.cluster, self.place)
        key = keyring_files.UNKNOWN if retyped or observed.key is None else observed.key
        keyring_files.ensure(draft, self.place, observed.file, key, fetch, first)
        if observed.installed:
            daemons.ensure_running(draft, UNIT, observed.unit, True, functools.partial(systemd.start, UNIT), [f"keyring/{self.place.path}"])
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"crash_client": self.entity}

    def _make_posted(self) -> None:
        os.makedirs(self.posted, exist_ok=True)
        os.chown(self.posted, *daemons.owner())

    def _move(self) -> None:
        """As ceph-crash does with what it has posted: nothing is lost, and nothing is asked about it any more."""
        for name in self._waiting():
            os.rename(f"{self.folder}/{name}", f"{self.posted}/{name}")

    def _archive(self, reports: t.Iterable[str]) -> None:
        for report in reports:
            asked(self.cluster).mgr_command("crash archive", id=report)


def _named(report: t.Mapping[str, t.Any]) -> str:
    return f"{report.get('crash_id')} (mgr module {report.get('mgr_module')})"


def provider(options: t.Mapping[str, t.Any], cluster: t.Optional[Connection], posted: t.Optional[Connection]) -> Together:
    """Return the provider of a host's daemons and, if they are wanted, its crash reports. options: of the shape of daemons.OPTIONS. cluster, posted: that of
    the daemons and that of the reports, None if there is none yet. Raises Invalid."""
    declared = daemons.parse(options["daemons"], daemons.short_hostname())
    own = {"wait": options["wait"], "shim": options["bcrypt_shim"] or "", "shim_only": options["shim_only"]}
    kind, units = options["key_type"] or "", [f"unit/{daemon.unit}" for daemon in declared]
    reports = [Provider(socket.gethostname(), posted, units, key_type=kind)] if options["crash_reports"] else []
    return Together([daemons.Provider(declared, cluster, key_type=kind, **own), *reports])
