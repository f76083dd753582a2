# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases of OpenStack's services and their users. They are made once, and never dropped.

Each service sees to its own with its own user, so the administrator is needed only while something is to be made.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import DATABASES, OpenStack
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Risk, Unreachable

SOCKET = "/run/mysqld/mysqld.sock"
DATA = "/var/lib/mysql"
# What this collection notes of a database, in the database itself, so that it is lost with it, and known to all controllers.
NOTES = "cephstack_notes"
# What the server says to a user whom it does not know or denies something, and to one that asks for an unknown database.
_DENIED = (1044, 1045, 1049, 1698)


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a service's user finds. login: whether it can log in and see all of its databases. there: those that exist. notes: of its first one.

    unknown: the server of this host does not run, so that only the names of its databases are known."""

    login: bool = False
    there: frozenset[str] = frozenset()
    notes: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    unknown: bool = False


class Server:
    """The database server. local: it is on this host, and the administrator logs in by its socket."""

    def __init__(self, openstack: OpenStack, local: bool) -> None:
        self.openstack, self.local = openstack, local

    def __str__(self) -> str:
        return f"the database server {self.openstack.database['host']}:{self.openstack.database['port']}"

    @contextlib.contextmanager
    def session(self, user: str = "") -> t.Iterator[t.Callable[..., list[tuple[t.Any, ...]]]]:
        """Give what runs one statement and returns its rows, as a service's user, or as the administrator. Raises PermissionError where it is denied."""
        import pymysql

        declared = self.openstack.database
        how = {"user": user or declared["admin_user"], "password": declared["password" if user else "admin_password"]}
        how.update({"unix_socket": SOCKET} if self.local else {"host": declared["host"], "port": declared["port"]})
        who = f"{self}, as {user or declared['admin_user']}"
        try:
            with contextlib.closing(pymysql.connect(**how, connect_timeout=10, read_timeout=120, charset="utf8mb4", autocommit=True)) as connection:

                def run(statement: str, *values: t.Any) -> list[tuple[t.Any, ...]]:
                    with connection.cursor() as cursor:
                        cursor.execute(statement, values or None)
                        return list(cursor.fetchall())

                yield run
        except pymysql.err.MySQLError as error:
            number, text = (*error.args, "", "")[:2]
            if number in _DENIED:
                raise PermissionError(f"{who}: {text}") from error
            raise Unreachable(f"{who}: {text or error}") from error

    def look(self, service: str) -> Seen:
        """What a service finds."""
        if self.local and not os.path.exists(SOCKET):
            there = frozenset(name for name in DATABASES[service] if os.path.isdir(os.path.join(DATA, name)))
            return Seen(len(there) == len(DATABASES[service]), there, unknown=True)
        try:
            with self.session(service) as run:
                there = frozenset(row[0] for row in run("SHOW DATABASES")) & frozenset(DATABASES[service])
                if len(there) == len(DATABASES[service]):
                    return Seen(True, there, notes_of(run, DATABASES[service][0]))
        except PermissionError:
            pass
        try:
            with self.session() as run:
                there = frozenset(row[0] for row in run("SHOW DATABASES")) & frozenset(DATABASES[service])
                return Seen(False, there, notes_of(run, DATABASES[service][0]))
        except PermissionError as error:
            raise Unreachable(f"{error}. It is needed to make what the user {service} lacks: see openstack.database.admin_password") from error

    def looks(self) -> dict[str, Seen]:
        """What each of the services finds."""
        return {service: self.look(service) for service in DATABASES}


def notes_of(run: t.Callable[..., list[tuple[t.Any, ...]]], database: str) -> dict[str, str]:
    """What is noted in a database."""
    there = run("SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s", database, NOTES)
    return dict(run(f"SELECT name, value FROM `{database}`.{NOTES}")) if there else {}


def note(run: t.Callable[..., list[tuple[t.Any, ...]]], database: str, name: str, value: str) -> None:
    """Note something in a database."""
    run(f"CREATE TABLE IF NOT EXISTS `{database}`.{NOTES} (name varchar(64) PRIMARY KEY, value varchar(255) NOT NULL)")
    run(f"REPLACE INTO `{database}`.{NOTES} VALUES (%s, %s)", name, value)


class Provider:
    """The databases and users of all services."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def observe(self) -> dict[str, Seen]:
        """Look with each service's user."""
        return self.server.looks()

    def plan(self, observed: t.Mapping[str, Seen]) -> Plan:
        """A database that is not there is made; a user that cannot log in is made or given its password and rights."""
        draft = Draft(kinds=("database", "database_user"))
        for service, seen in observed.items():
            for name in DATABASES[service]:
                current = {"user": service} if name in seen.there else None
                draft.ensure("database", name, current, {"user": service}, functools.partial(self._make, name))
            if not seen.login:
                more: dict[str, t.Any] = {"risk": Risk.RESTART, "reason": "services that still use another password can no longer log in"} if seen.there else {}
                make = functools.partial(self._permit, service)
                draft.ensure("database_user", service, {"login": False}, {"login": True}, make, needs=draft.ids("database"), **more)
        return draft.plan()

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        return {}

    def _make(self, name: str) -> None:
        with self.server.session() as run:
            run(f"CREATE DATABASE IF NOT EXISTS `{name}`")

    def _permit(self, service: str) -> None:
        """Its password is part of a statement; the server notes only its hash."""
        password = self.server.openstack.database["password"]
        with self.server.session() as run:
            run(f"CREATE USER IF NOT EXISTS '{service}'@'%%' IDENTIFIED BY %s", password)
            run(f"ALTER USER '{service}'@'%%' IDENTIFIED BY %s", password)
            for name in DATABASES[service]:
                run(f"GRANT ALL ON `{name}`.* TO '{service}'@'%'")
