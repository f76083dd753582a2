# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller of OpenStack as a whole: its own database server and broker, what is made on them, its files, and services that answer.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._host import host_files, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import configuration, databases, keystone, messages, schemas, service_users
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.configuration import Controller
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import APIS, BROKER_USER, DATABASES
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.local_api import answers
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Outcome, Plan, Provider, Together, reconcile

# Services connect from other controllers and compute hosts, and each process keeps connections of its own. With the isolation that MariaDB has by default
# since 11.6.2, two requests at once on one row end with error 1020 in the middle of a service, which knows no such error.
_MARIADB = """# Made by cephstack.cloud. What is changed here is undone by the next run.
[mariadbd]
bind_address = *
max_connections = 4096
innodb_file_per_table = 1
innodb_snapshot_isolation = OFF
"""


def surroundings(controller: Controller) -> host_files.Wanted:
    """What services of a controller need of its own host, before they have databases: the database server, the broker, and memcached."""
    files, units = [], ["memcached"]
    if "database" in controller.local:
        files.append(configuration.file(configuration.MARIADB, _MARIADB, mode="0644"))
        units.append("mariadb")
    if "messages" in controller.local:
        units.append("rabbitmq-server")
    reads = {"mariadb": [configuration.MARIADB]}
    return host_files.parse(
        {"files": files, "units": [{"name": name, "enabled": True, "state": "started", "reads": reads.get(name, [])} for name in units], "commands": []}
    )


def services(controller: Controller) -> host_files.Wanted:
    """All files and units of the services."""
    files = configuration.files(controller)
    units = [
        {"name": unit, "enabled": True, "state": "started", "reads": configuration.reads(controller, unit, [file["path"] for file in files[service]])}
        for unit, service in configuration.units(controller).items()
    ]
    idle = [unit for unit in configuration.OPTIONAL if unit not in configuration.units(controller)]
    units += [{"name": unit, "enabled": False, "state": "stopped", "reads": []} for unit in idle]
    return host_files.parse({"files": [file for given in files.values() for file in given], "units": units, "commands": []})


@dataclasses.dataclass(frozen=True)
class Observed:
    """What host_files finds, and which of the APIs answer."""

    host: host_files.Observed
    answering: t.Collection[str]


class Services:
    """The files and units of the services, which answer. timeout: the seconds that an API may take after its start."""

    KINDS = ("api", "unit", "administrator", "broker_user", "schema", "database_user", "cell", "keys", "user", "service", "endpoint")

    def __init__(self, controller: Controller, timeout: int) -> None:
        self.controller, self.timeout = controller, timeout
        self.provider = host_files.Provider(services(controller))
        self.units = configuration.units(controller)

    def observe(self) -> Observed:
        host = self.provider.observe()
        apis = [api for unit in self.units for api in [configuration.api_of(unit)] if api and host.units[f"{unit}.service"].active]
        with ThreadPoolExecutor(max_workers=max(1, len(apis))) as pool:
            found = dict(zip(apis, pool.map(functools.partial(answers, tls=bool(self.controller.certificate)), apis)))
        return Observed(host, [api for api, answering in found.items() if answering])

    def plan(self, observed: Observed) -> Plan:
        """Units start when the schemas and all else is there: Nova's and Neutron's end where Keystone does not know their users yet."""
        base = self.provider.plan(observed.host)
        begins = {change.name for change in base.changes if change.kind == "unit"}
        changes = [dataclasses.replace(change, needs=change.needs | self._before(change.name)) if change.kind == "unit" else change for change in base.changes]
        draft = Draft(kinds=self.KINDS)
        for unit in self.units:
            api, name = configuration.api_of(unit), f"{unit}.service"
            if api:
                before, needs = {"answers": api in observed.answering and name not in begins}, {f"unit/{name}", *self._before(name)}
                draft.ensure("api", api, before, {"answers": True}, functools.partial(self._wait, unit, api), needs=needs)
        return Plan([*changes, *draft.changes])

    def _before(self, unit: str) -> set[str]:
        """The ids of all that must be there before a unit is started, and is waited for."""
        first = {"administrator/admin", f"broker_user/{BROKER_USER}"}
        first |= {f"{kind}/{service}" for kind in ("schema", "database_user") for service in DATABASES}
        first |= {f"cell/{name}" for name in schemas.CELLS} | {f"keys/{name}" for name in keystone.REPOSITORIES}
        if unit == "keystone.service":
            return first
        users = {f"user/{user}" for user in service_users.users_of(self.controller.openstack)}
        # Nova's services ask Placement when they start, and end where it does not answer.
        first |= {"api/placement"} if unit.startswith("nova-") else set()
        return first | users | {"api/keystone"} | {f"{kind}/{api}" for kind in ("service", "endpoint") for api in APIS}

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        return {}

    def _wait(self, unit: str, api: str) -> None:
        """Wait until an API answers. Its unit runs by now, and says why it does not where it ends."""

        def ready() -> bool:
            state = systemd.units([f"{unit}.service"])[f"{unit}.service"]
            if state.state == "failed":
                raise RuntimeError(f"{unit} does not run: {systemd.last_words(unit)}")
            return answers(api, bool(self.controller.certificate))

        late = f"no answer at port {APIS[api].port} within {self.timeout} s. See /var/log/{self.units[unit]}"
        wait_until(ready, self.timeout, lambda: RuntimeError(f"{late}. {systemd.last_words(unit)}"), pause=0.5)


def reconcile_controller(controller: Controller, keys: t.Mapping[str, t.Mapping[str, str]], timeout: int, check_mode: bool) -> Outcome:
    """Bring a controller to what is declared. What is on the database server can only be observed once that runs."""
    first = host_files.Provider(surroundings(controller))

    def then() -> Outcome:
        runs = systemd.units(["rabbitmq-server.service"])["rabbitmq-server.service"].active
        server = databases.Server(controller.openstack, "database" in controller.local)
        providers: list[Provider] = [
            databases.Provider(server),
            messages.Provider(controller.openstack, "messages" in controller.local, runs),
            schemas.Provider(server),
            keystone.Provider(controller.openstack, server, keys),
            service_users.Provider(controller.openstack, server, controller.object_storage),
            Services(controller, timeout),
        ]
        return reconcile(Together(providers), check_mode)

    return reconcile(first, check_mode).then(then)
