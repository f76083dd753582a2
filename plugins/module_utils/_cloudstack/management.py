# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A management server: its databases, its configuration, and that it answers. What is secret goes by pipe or by a file in memory.

CloudStack's cloudstack-setup-databases takes secrets on command lines, and begins with DROP DATABASE. So its files are loaded here, in its order,
into databases that are only ever created; and its program encrypts (com.cloud.utils.crypt.EncryptionCLI).

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import os
import re
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files, files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.service import unread
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._http import Server
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Risk, Secret, Unreachable

CONF = "/etc/cloudstack/management"
PROPERTIES = f"{CONF}/db.properties"
KEY = f"{CONF}/key"
# What the server reads when it starts.
READ_AT_START = (PROPERTIES, KEY, f"{CONF}/server.properties", "/etc/default/cloudstack-management")
SETUP = "/usr/share/cloudstack-management/setup"
CIPHER = "/usr/share/cloudstack-common/lib/cloudstack-utils.jar"
LOG = "/var/log/cloudstack/management/management-server.log"
UNIT = "cloudstack-management.service"

# In this order, as cloudstack-setup-databases has them. Those of SCHEMA drop and make tables, those of DATA only insert.
SCHEMA = ("create-schema.sql", "create-schema-premium.sql")
DATA = ("server-setup.sql", "templates.sql")
SIMULATOR = "create-schema-simulator.sql"
# Says that the databases are being made, and by whom: taken away as the last step.
MARK = "cephstack_setup"
# The values that are kept encrypted, by their names in db.properties.
SEALED = ("db.cloud.password", "db.usage.password", "db.cloud.encrypt.secret")
# What MySQL says to a user that it denies something, in its forms, and to one that asks for an unknown database.
_DENIED = ("1044", "1045", "1049", "1142", "1143", "1370", "1698")
_SURVEY = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('cloud', 'cloud_usage', 'simulator');"
_USED = """
SELECT (SELECT COUNT(*) FROM cloud.version), (SELECT COUNT(*) FROM cloud.guest_os_hypervisor),
 (SELECT COUNT(*) FROM cloud.hypervisor_capabilities WHERE hypervisor_type = 'Simulator');
SELECT name, value FROM cloud.configuration WHERE category = 'Hidden' AND name = 'ssh.publickey' AND value <> '';
"""
_TABLE = re.compile(r"CREATE TABLE\s+(?:IF NOT EXISTS\s+)?(?:`?simulator`?\.)?`?(\w+)`?\s*\(", re.I)


@dataclasses.dataclass(frozen=True)
class Login:
    """How to reach the database: host None is the local socket."""

    host: t.Optional[str]
    port: int
    user: str
    password: Secret

    def __str__(self) -> str:
        return f"{self.user} at {self.host}:{self.port}" if self.host else f"{self.user} by the local socket"

    def run(self, statements: str, timeout: int = 900) -> list[list[str]]:
        """Return the rows, of one mysql for all of the statements. Raises CommandError, with MySQL's number of the error in its text."""
        password, where = self.password.reveal(), f"host={self.host}\nport={self.port}\nconnect_timeout=10" if self.host else "protocol=socket"
        options = f"[client]\nuser={self.user}\n" + (f'password="{password}"\n' if password else "") + f"{where}\n"
        text = private(["mysql", "--defaults-file={secret}", "--batch", "--skip-column-names"], options, statements, timeout)
        return [line.split("\t") for line in text.splitlines()]


@dataclasses.dataclass(frozen=True)
class Declared:
    """What the server should be. address: its own in the cluster of management servers. timeout: seconds until it must answer."""

    address: str
    database: Login
    admin: Login
    management_key: Secret
    database_key: Secret
    simulator: bool = False
    timeout: int = 900


@dataclasses.dataclass(frozen=True)
class Databases:
    """state: absent, begun (by this collection, not finished), whole, or foreign (not all of it is there). sample: an encrypted value, or none."""

    state: str = "absent"
    login: bool = False
    simulator: bool = False
    capabilities: bool = False
    started: bool = False
    sample: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True)
class Observed:
    """The server as it is. properties: of db.properties, None for a sealed one that can't be opened."""

    installed: bool = False
    databases: Databases = Databases()
    properties: t.Mapping[str, t.Optional[str]] = dataclasses.field(default_factory=dict, repr=False)
    key: t.Optional[Secret] = None
    database_key_fits: t.Optional[bool] = None
    unit: systemd.Unit = systemd.NO_UNIT
    current: bool = False
    reachable: bool = False


def parse(params: t.Mapping[str, t.Any]) -> Declared:
    """Read a declaration, as the module's argument spec gives it, or complete enough."""
    database = params["database"]
    host = database.get("host") or "localhost"
    server, port = None if host == "localhost" else host, database["port"]
    return Declared(
        address=params["address"],
        database=Login(server, port, database["user"], Secret(database["password"])),
        admin=Login(None if database.get("local") else server, port, database["admin_user"], Secret(database.get("admin_password") or "")),
        management_key=Secret(params["management_key"]),
        database_key=Secret(params["database_key"]),
        simulator=params["simulator"],
        timeout=params.get("timeout") or 900,
    )


def problems(declared: Declared) -> list[str]:
    """What can't be done with the declaration as it stands."""
    required = {"database.password": declared.database.password, "management_key": declared.management_key, "database_key": declared.database_key}
    found = [
        f"{what} has a space, a quote or a backslash, which CloudStack's own tools don't take"
        for what, value in {**required, "database.admin_password": declared.admin.password}.items()
        if re.search(r"""[\s'"`\\]""", value.reveal())
    ]
    found += [f"{what} is empty" for what, value in required.items() if not value.reveal()]
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", declared.database.user):
        found.append(f"database.user '{declared.database.user}' is no name of letters, digits and _ . -")
    if declared.database.user == declared.admin.user:
        found.append(f"database.user and database.admin_user are both {declared.admin.user}: the server gets a user of its own")
    return found


def read_properties(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, dummy, value in pairs}


def wanted_properties(declared: Declared) -> dict[str, str]:
    """The values that db.properties should have, the sealed ones in clear."""
    login = declared.database
    access = {"host": login.host or "localhost", "port": str(login.port), "username": login.user, "password": login.password.reveal()}
    return {
        "cluster.node.IP": declared.address,
        "db.cloud.encryption.type": "file",
        "db.cloud.encryptor.version": "V2",
        "db.cloud.encrypt.secret": declared.database_key.reveal(),
        **{f"db.{name}.{key}": value for name in _databases_of(declared) for key, value in access.items()},
    }


def _databases_of(declared: Declared, second: str = "usage") -> list[str]:
    return ["cloud", second, *(["simulator"] if declared.simulator else [])]


def shown(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Properties fit for a diff."""
    return {name: Secret(value) if isinstance(value, str) and name.endswith(("password", "secret", "key")) else value for name, value in values.items()}


def private(argv: t.Sequence[str], secret: str, text: str = "", timeout: int = 600) -> str:
    """Run a program with a secret file in memory, "{secret}" in argv being its path. Raises CommandError."""
    done = process.complete(argv, secret, timeout, text, {"LC_ALL": "C.UTF-8", "PATH": process.PATH, "HOME": "/nonexistent"})
    if done.code != 0:
        raise process.CommandError(argv[:1], done.code, done.err or done.out)
    return done.out


def crypt(value: str, key: Secret, decrypt: bool = False) -> t.Optional[str]:
    """Encrypt or decrypt a value with CloudStack's own program; None where a value cannot be decrypted with this key. Neither has a quote in it."""
    words = ["-classpath", CIPHER, "com.cloud.utils.crypt.EncryptionCLI", *(["-d"] if decrypt else []), "-i", value, "-p", key.reveal(), "-e", "V2"]
    try:
        return private(["java", "@{secret}"], " ".join(f'"{word}"' for word in words) + "\n", timeout=120).strip()
    except process.CommandError:
        if decrypt:
            return None
        raise RuntimeError("a value could not be encrypted: java or CloudStack's program for it failed") from None  # it may have said the value


def sealed(values: t.Mapping[str, str], key: Secret) -> dict[str, str]:
    """Properties as they are written: those of SEALED encrypted, side by side, since each takes a start of Java."""
    with ThreadPoolExecutor() as pool:
        return {**values, **dict(zip(SEALED, pool.map(lambda name: f"ENC({crypt(values[name], key)})", SEALED)))}


def opened(values: t.Mapping[str, str], key: Secret) -> dict[str, t.Optional[str]]:
    """The other way round; None for what can't be decrypted with this key."""

    def clear(name: str) -> t.Optional[str]:
        found = re.fullmatch(r"ENC\((.*)\)", values.get(name, ""))
        return crypt(found[1], key, decrypt=True) if found else values.get(name, "")

    with ThreadPoolExecutor() as pool:
        return {**values, **dict(zip(SEALED, pool.map(clear, SEALED)))}


def look(login: Login, simulator_tables: t.Collection[str]) -> Databases:
    """The databases as this user sees them. simulator_tables: what its file makes; the simulator's database is whole when all of them are there."""
    tables: dict[str, set[str]] = {"cloud": set(), "cloud_usage": set(), "simulator": set()}
    for schema, table in login.run(_SURVEY):
        tables[schema].add(table)
    cloud, usage = tables["cloud"], tables["cloud_usage"]
    state = "absent" if not cloud | usage else "begun" if MARK in cloud else "foreign"
    versions = systems = simulators = 0
    sample = ""
    if {"version", "guest_os_hypervisor", "configuration", "hypervisor_capabilities"} <= cloud:
        counts, *keys = login.run(_USED)
        versions, systems, simulators = map(int, counts)
        sample = keys[0][1] if keys else ""
        if state == "foreign" and versions and systems and usage:
            state = "whole"
    return Databases(state, False, bool(simulator_tables) and set(simulator_tables) <= tables["simulator"], simulators > 0, versions > 1, sample)


class Provider:
    """One management server and the databases that it shares with the others."""

    def __init__(self, declared: Declared) -> None:
        self.declared, self.user, self.admin = declared, declared.database, declared.admin

    def observe(self) -> Observed:
        """Read the files, the databases, the unit, and whether it answers."""
        found = problems(self.declared)
        if found:
            raise Invalid(found)
        text, key = files.read(PROPERTIES), files.read(KEY)
        if text is None:
            return Observed(databases=self._databases() if process.installed("mysql") else Databases())
        databases = self._databases()
        # With the declared key: what was encrypted with another is to be written anew, as is the key's own file.
        existing = opened(read_properties(text), self.declared.management_key)
        fits = None
        if databases.sample and existing["db.cloud.encrypt.secret"] != self.declared.database_key.reveal():
            fits = crypt(databases.sample, self.declared.database_key, decrypt=True) is not None
        unit = systemd.units([UNIT])[UNIT]
        return Observed(True, databases, existing, None if key is None else Secret(key), fits, unit, is_current(unit), unit.active and answers())

    def _databases(self) -> Databases:
        """Look as the server's own user, which sees all there is once they are whole; else as the administrator."""
        tables = _TABLE.findall(files.read(os.path.join(SETUP, SIMULATOR)) or "") if self.declared.simulator else []
        login = False
        try:
            seen = look(self.user, tables)
            login = seen.state == "whole"
            if login and (seen.simulator or not self.declared.simulator):
                return dataclasses.replace(seen, login=True)
        except process.CommandError as error:
            number = re.search(r"ERROR (\d+)", error.text)
            if number is None or number[1] not in _DENIED:
                raise Unreachable(f"the database cannot be reached as {self.user}: {error}") from error
        try:
            return dataclasses.replace(look(self.admin, tables), login=login)
        except process.CommandError as error:
            raise Unreachable(f"the database is incomplete for {self.user}, and cannot be reached as {self.admin} to see why: {error}") from error

    def plan(self, observed: Observed) -> Plan:
        """Compare; databases first, then the configuration, then the server."""
        databases, declared = observed.databases, self.declared
        draft = Draft()
        if databases.state == "foreign":
            whose = "exists, but is incomplete, and was not begun by this collection"
            draft.problem(f"the database cloud {whose}: finish or remove it by hand. Databases are never dropped here")
        if databases.state == "begun" and databases.started:
            half = f"were begun by this collection and not finished (table cloud.{MARK}), yet a server has used them"
            draft.problem(f"the databases {half}: see by hand what they hold")
        if observed.database_key_fits is False:
            draft.problem("database_key is not the one with which the existing database is encrypted: the server could not read its own secrets")
        if databases.state in ("absent", "begun"):
            begun = {"databases": "begun and not finished"} if databases.state == "begun" else None
            after = {"databases": ["cloud", "cloud_usage"], "user": self.user.user}
            draft.ensure("database", "cloud", begun, after, self._make_databases)
        elif not databases.login:
            reason = "other management servers use this user too"
            draft.ensure("user", self.user.user, {"login": False}, {"login": True}, lambda: self.admin.run(self._users()), risk=Risk.RESTART, reason=reason)
        if declared.simulator and not databases.simulator:
            draft.ensure("database", "simulator", None, {"databases": ["simulator"]}, self._make_simulator, needs=["database/cloud"])
        made = draft.ids("database", "user")
        wanted = wanted_properties(declared)
        existing = shown(observed.properties) if observed.installed else None
        draft.ensure("file", PROPERTIES, existing, shown(wanted), lambda: self._write_properties(wanted), needs={*made, f"file/{KEY}"})
        key = None if observed.key is None else {"key": observed.key}
        draft.ensure("file", KEY, key, {"key": declared.management_key}, lambda: _write(KEY, declared.management_key.reveal()), needs=made)
        self._plan_service(observed, draft)
        if declared.simulator and not databases.capabilities:
            draft.ensure("hypervisor", "Simulator", None, {"known": True}, self._make_capabilities, needs=[f"service/{UNIT}"])
        return draft.plan()

    def _plan_service(self, observed: Observed, draft: Draft) -> None:
        unit = observed.unit
        again = unit.active and (bool(draft.ids("file")) or not observed.current)
        reason = "the server restarts: the API is away for half a minute, guests are not touched" if again else ""
        running = "runs with an older configuration" if again else "answering" if observed.reachable else "starting"
        now = {"enabled": unit.enabled, "state": running if unit.active else unit.state} if observed.installed or unit.active else None
        more: dict[str, t.Any] = {"needs": draft.ids("database", "user", "file"), "risk": Risk.RESTART if again else Risk.NONE, "reason": reason}
        draft.ensure("service", UNIT, now, {"enabled": True, "state": "answering"}, lambda: self._start(again), **more)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        return {"reachable": observed.reachable}

    def _users(self) -> str:
        """The statements for the server's user, from this host and from others, with its rights."""
        text, password = "", self.user.password.reveal()
        for who in (f"'{self.user.user}'@'localhost'", f"'{self.user.user}'@'%'"):
            text += f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY '{password}';\nALTER USER {who} IDENTIFIED BY '{password}';\n"
            text += "".join(f"GRANT ALL ON {name}.* TO {who};\n" for name in _databases_of(self.declared, "cloud_usage"))
            text += f"GRANT PROCESS ON *.* TO {who};\n"
        return text

    def _make_databases(self) -> None:
        """Make them, or go on where a run was cut off: the first half makes tables anew, so it is repeated whole; the second is one transaction."""
        mark = f"CREATE TABLE IF NOT EXISTS cloud.{MARK} (step varchar(64) PRIMARY KEY);\n"
        self.admin.run("CREATE DATABASE IF NOT EXISTS cloud; CREATE DATABASE IF NOT EXISTS cloud_usage;\n" + mark + self._users())
        done = {row[0] for row in self.admin.run(f"SELECT step FROM cloud.{MARK};")}
        if "schema" not in done:
            for name in SCHEMA:
                try:
                    self.admin.run(_script(name))
                except process.CommandError as error:
                    raise RuntimeError(f"{SETUP}/{name}: {error}") from error
            self.admin.run(f"INSERT INTO cloud.{MARK} VALUES ('schema');")
        if "data" not in done:
            text = "\n".join(map(_script, DATA))
            extra = files.read(os.path.join(SETUP, "schema-level.sql"))
            self.admin.run(f"SET autocommit = 0;\n{text}\nINSERT INTO cloud.{MARK} VALUES ('data');\nCOMMIT;\n{extra or ''}")
        self.admin.run(f"DROP TABLE cloud.{MARK};")

    def _make_simulator(self) -> None:
        # Its file has no DROP for this one table.
        begin = "CREATE DATABASE IF NOT EXISTS simulator;\nUSE simulator;\nDROP TABLE IF EXISTS mockconfiguration;\n"
        self.admin.run(begin + _script(SIMULATOR) + "\n" + self._users())

    def _make_capabilities(self) -> None:
        """After the first start: it is then that the table gets its columns."""
        self.user.run("USE cloud;\n" + _script("hypervisor_capabilities.simulator.sql"))

    def _write_properties(self, wanted: t.Mapping[str, str]) -> None:
        values = sealed(wanted, self.declared.management_key)
        _write(PROPERTIES, config_files.put_values(files.read(PROPERTIES) or "", values, "{}={}"))

    def _start(self, again: bool) -> None:
        """Start or restart it and wait until its API answers; say what its log says where it doesn't."""
        begin = time.time()
        process.run(["systemctl", "enable", UNIT], timeout=180)
        (systemd.restart if again else systemd.start)(UNIT)

        def ready() -> bool:
            unit = systemd.units([UNIT])[UNIT]
            if not unit.active:
                raise RuntimeError(f"the server does not run ({unit.state}). {last_log(begin)}")
            return answers()

        late = f"the API does not answer within {self.declared.timeout} s."
        wait_until(ready, self.declared.timeout, lambda: RuntimeError(f"{late} {last_log(begin)}"), pause=1)


def _script(name: str) -> str:
    text = files.read(os.path.join(SETUP, name))
    if text is None:
        raise RuntimeError(f"{SETUP}/{name} is not there: is this package of CloudStack complete?")
    return text


def _write(path: str, text: str) -> None:
    """Write a file that the server's group reads."""
    try:
        group = grp.getgrnam("cloud").gr_gid
    except KeyError:
        raise RuntimeError("there is no group cloud on this host: is cloudstack-management installed?") from None
    if not os.path.exists(PROPERTIES):
        raise RuntimeError(f"{PROPERTIES} is not there: is cloudstack-management installed?")
    files.write(path, text, 0o640, gid=group)


def is_current(unit: systemd.Unit) -> bool:
    """Whether the server runs and has read its files as they are now, wherever links lead."""
    return unit.active and not unread(unit, {path: files.changed(os.path.realpath(path)) for path in READ_AT_START})


def answers(port: int = 8080) -> bool:
    """Whether the API answers: without keys that is 401."""
    with contextlib.closing(Server(f"http://127.0.0.1:{port}", timeout=10)) as server:
        try:
            return server.request("listCapabilities", "GET", "/client/api?command=listCapabilities&response=json", safe=True).status == 401
        except Unreachable:
            return False


def last_log(since: float, path: str = LOG) -> str:
    """The last errors of the server's log, without what might be secret."""
    try:
        with open(path, "rb") as file:
            wrote = os.fstat(file.fileno()).st_mtime >= since
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        wrote, lines = False, []
    if not wrote:
        return f"It wrote nothing to {path}; see also journalctl -u {UNIT}: {systemd.last_words(UNIT)}"
    telling = [line for line in lines if re.search(r"\b(ERROR|FATAL)\b|Exception|Caused by", line)] or lines
    hidden = [re.sub(r"(?i)((?:password|secret|key|signature)\w*\s*[=:]\s*)\S+", r"\1********", line)[:300] for line in telling[-6:]]
    return f"{path} ends with: " + " / ".join(hidden)
