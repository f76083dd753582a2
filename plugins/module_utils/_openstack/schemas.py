# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas of the services' databases, brought to the packages' version once, and Nova's cells.

Whether a schema is current takes the services' own tools seconds each, so the version of the package that brought it there is noted in the database.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.configuration import CELL
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.databases import Server, note
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import DATABASES
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Secret

NOTE = "schema"
# Nova fills these in with what its configuration says, so that no cell keeps a password of before, and none is on a command line.
_LOGIN = "{scheme}://{username}:{password}@{hostname}:{port}"
CELLS: dict[str, dict[str, str]] = {
    "cell0": {"transport": "none:///", "database": f"{_LOGIN}/nova_cell0?{{query}}"},
    CELL: {"transport": f"{_LOGIN}/", "database": f"{_LOGIN}/nova?{{query}}"},
}
STEPS: dict[str, list[list[str]]] = {
    "keystone": [["keystone-manage", "db_sync"]],
    "glance": [["glance-manage", "db_sync"]],
    "placement": [["placement-manage", "db", "sync"]],
    "nova": [
        ["nova-manage", "api_db", "sync"],
        # does nothing where there is one
        ["nova-manage", "cell_v2", "map_cell0", "--database_connection", CELLS["cell0"]["database"]],
        ["nova-manage", "db", "sync"],
    ],
    "neutron": [
        ["neutron-db-manage", "--config-file", "/etc/neutron/neutron.conf", "--config-file", "/etc/neutron/plugins/ml2/ml2_conf.ini", "upgrade", "heads"],
    ],
    "cinder": [["cinder-manage", "db", "sync"]],
}  # fmt: skip
# What the tools read.
READS: dict[str, tuple[str, ...]] = {
    "keystone": ("/etc/keystone/keystone.conf",),
    "glance": ("/etc/glance/glance-api.conf",),
    "placement": ("/etc/placement/placement.conf",),
    "nova": ("/etc/nova/nova.conf",),
    "neutron": ("/etc/neutron/neutron.conf", "/etc/neutron/plugins/ml2/ml2_conf.ini"),
    "cinder": ("/etc/cinder/cinder.conf",),
}
CELL0_UUID = "00000000-0000-0000-0000-000000000000"


@dataclasses.dataclass(frozen=True)
class Observed:
    """installed: the version of each service's package, "" where there is none. current: that which is noted of each schema, None where nothing can be
    asked. cells: transport and database of each, by name, with its uuid; None where they can't be asked. newer: schemas that are newer than the packages."""

    installed: t.Mapping[str, str]
    current: t.Mapping[str, t.Optional[str]]
    cells: t.Optional[t.Mapping[str, t.Mapping[str, str]]] = None
    newer: t.Collection[str] = ()


class Provider:
    """All schemas and the cells."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def observe(self) -> Observed:
        """Read the notes and the cells."""
        installed, seen = versions(), self.server.looks()
        current = {service: None if one.unknown and one.there else one.notes.get(NOTE, "") for service, one in seen.items()}
        newer = [service for service, noted in current.items() if noted and installed[service] and is_newer(noted, installed[service])]
        nova, cells = seen["nova"], None
        if not nova.unknown and "nova_api" in nova.there:
            with self.server.session("nova" * nova.login) as run:
                cells = cells_of(run)
        return Observed(installed, current, cells if nova.there else {}, newer)

    def plan(self, observed: Observed) -> Plan:
        draft = Draft(kinds=("schema", "cell", "database", "database_user", "file"))
        for service, noted in observed.current.items():
            if service in observed.newer:
                version = observed.installed[service]
                draft.problem(f"the schema of {service} is of version {noted}, and this host has {version}: upgrade its packages to those of the others")
            elif noted is not None:
                needs = [f"database/{name}" for name in DATABASES[service]] + [f"database_user/{service}", *(f"file/{path}" for path in READS[service])]
                after = {"version": observed.installed[service] or "that of the package"}
                draft.ensure("schema", service, {"version": noted} if noted else None, after, functools.partial(self._sync, service), needs=needs)
        for name, cell in CELLS.items() if observed.cells is not None else ():
            found = (observed.cells or {}).get(name)
            if found or name != "cell0" or not draft.ids("schema", begin="nova"):  # cell0 is made with the schema
                current, desired = ({key: Secret(text) for key, text in one.items()} if one else None for one in (found, cell))
                draft.ensure("cell", name, current, desired, functools.partial(self._map, name, found), needs=["schema/nova"])
        return draft.plan()

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        return {}

    def _sync(self, service: str) -> None:
        for argv in STEPS[service]:
            process.run(["runuser", "-u", service, "--", *argv], timeout=1200)
        with self.server.session(service) as run:
            note(run, DATABASES[service][0], NOTE, versions()[service])

    def _map(self, name: str, found: t.Optional[t.Mapping[str, str]]) -> None:
        desired = CELLS[name]
        words = ["--name", name, "--database_connection", desired["database"], "--transport-url", desired["transport"]]
        if found:
            argv = ["update_cell", "--cell_uuid", found["uuid"], *words]
        else:
            argv = ["map_cell0", *words[2:4]] if name == "cell0" else ["create_cell", *words]
        process.run(["runuser", "-u", "nova", "--", "nova-manage", "cell_v2", *argv], timeout=600)


def cells_of(run: t.Callable[..., list[tuple[t.Any, ...]]]) -> dict[str, dict[str, str]]:
    """Nova's cells."""
    if not run("SELECT 1 FROM information_schema.tables WHERE table_schema = 'nova_api' AND table_name = 'cell_mappings'"):
        return {}
    rows = run("SELECT uuid, name, transport_url, database_connection FROM nova_api.cell_mappings")
    return {"cell0" if uuid == CELL0_UUID else str(name): {"uuid": uuid, "transport": transport, "database": url} for uuid, name, transport, url in rows}


def versions() -> dict[str, str]:
    """The version of the package with each service's code, "" where it is not installed."""
    packages = {f"python3-{service}": service for service in DATABASES}
    done = process.complete(["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *packages])
    found = dict(line.split() for line in done.out.splitlines() if len(line.split()) == 2)
    return {service: found.get(package, "") for package, service in packages.items()}


def is_newer(one: str, other: str) -> bool:
    """Whether a version of a package is newer than another."""
    return one != other and process.complete(["dpkg", "--compare-versions", one, "gt", other]).code == 0
