# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ceph host as a whole: whether the modules that make it would find anything to change.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _apt
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crash, daemons, keyring_files, mons, osds
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._host import host_files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Provider, Together, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import complete, mapping, record

# The modules by whose options a host is declared, in the order in which they run.
MODULES: dict[str, dict[str, t.Any]] = {
    "apt_packages": _apt.OPTIONS,
    # Without the keyrings: their keys would be hidden by no option here.
    "ceph_keyrings": {name: keyring_files.OPTIONS[name] for name in ("conf", "settings")},
    "ceph_mon": mons.OPTIONS,
    "ceph_daemon": daemons.OPTIONS,
    "ceph_osds": osds.OPTIONS,
}
OPTIONS = {
    **{name: mapping(f"The options that M(cephstack.cloud.{name}) is given on this host, without C(connection).", no_log=False) for name in MODULES},
    # With their own fields, by which secrets are known and hidden.
    "host_files": record(
        "The options that M(cephstack.cloud.host_files) is given on this host, but for units.",
        {name: host_files.OPTIONS[name] for name in ("files", "commands")},
    ),
}


def parse(params: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Return what each module is given, with its defaults. Raises Invalid."""
    declared: dict[str, dict[str, t.Any]] = {}
    problems: list[str] = []
    for name in [name for name in MODULES if params[name] is not None]:
        declared[name], wrong = complete(MODULES[name], params[name])
        problems += [f"{name}: {text}" for text in wrong]
    if params["host_files"] is not None:
        declared["host_files"] = {**params["host_files"], "units": []}
    if problems:
        raise Invalid(problems)
    return declared


def compare(declared: t.Mapping[str, t.Mapping[str, t.Any]], connection: t.Mapping[str, t.Any]) -> tuple[list[str], list[str]]:
    """Compare a host with what is declared of it. Where packages differ nothing else is read, as it would trip over that.

    Returns the ids of the changes that would be made, or why that cannot be said, and the warnings of a host that does not differ.
    """
    try:
        # No key is fetched for it: one that stands at an address is for the module itself.
        packages = _apt.provider(declared["apt_packages"], True, _no_key) if "apt_packages" in declared else None
        if packages is not None and not packages.as_declared():
            return ["packages"], []
        with Connection(connection) if declared.keys() & {"ceph_daemon", "ceph_osds"} else contextlib.nullcontext() as cluster:
            provider = Together(list(_providers(declared, connection, cluster)))
            plan = provider.plan(provider.observe())
    except Invalid as error:
        return error.problems, []
    except (CommandFailed, Unreachable) as error:
        return [str(error)], []
    # A host that differs is told by the modules themselves.
    return [change.id for change in plan.changes], [] if plan else plan.warnings


def _providers(declared: t.Mapping[str, t.Mapping[str, t.Any]], connection: t.Mapping[str, t.Any], cluster: t.Optional[Connection]) -> t.Iterator[Provider]:
    if "ceph_keyrings" in declared:
        yield keyring_files.provider({"keyrings": [], **declared["ceph_keyrings"]})
    if "ceph_mon" in declared:
        # One that is just not in the quorum differs: the module waits for it.
        yield dataclasses.replace(mons.provider(declared["ceph_mon"], connection if connection["mon_host"] else {}), wait=mons.ELECTION)
    if "ceph_daemon" in declared:
        yield crash.provider(declared["ceph_daemon"], cluster, cluster)
    if "ceph_osds" in declared:
        yield osds.provider(declared["ceph_osds"], cluster, patient=False)
    if "host_files" in declared:
        yield host_files.provider(declared["host_files"])


def _no_key(url: str) -> bytes:
    raise RuntimeError(f"the key at {url} is not fetched to compare")
