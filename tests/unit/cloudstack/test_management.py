# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management server's plan: databases are made once, secrets are not shown, a running server is restarted only for a reason."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import time
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import management
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.management import Databases, Declared, Login, Observed, Provider
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._host.config_files import put_values
from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import Unit
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk, Secret

SECRETS = ("db-secret", "root-secret", "file-secret", "value-secret")
DECLARED = Declared(
    address="10.0.0.5",
    database=Login(None, 3306, "cloud", Secret("db-secret")),
    admin=Login(None, 3306, "root", Secret("root-secret")),
    management_key=Secret("file-secret"),
    database_key=Secret("value-secret"),
)
FILE = f"file/{management.PROPERTIES}"
KEY = f"file/{management.KEY}"
SERVICE = f"service/{management.UNIT}"
WHOLE = Databases("whole", login=True, started=True, sample="sealed")
RUNNING = Observed(
    installed=True,
    databases=WHOLE,
    properties=dict(management.wanted_properties(DECLARED)),
    key=Secret("file-secret"),
    unit=Unit(True, True, "active", 7),
    current=True,
    reachable=True,
)


def plan(observed: Observed, declared: Declared = DECLARED) -> t.Any:
    return Provider(declared).plan(observed)


def ids(observed: Observed, declared: Declared = DECLARED) -> list[set[str]]:
    return [{change.id for change in stage} for stage in plan(observed, declared).stages()]


def refused(observed: Observed) -> str:
    with pytest.raises(Invalid) as error:
        plan(observed)
    return str(error.value)


def test_a_bare_host_gets_everything_in_order() -> None:
    assert ids(Observed()) == [{"database/cloud"}, {KEY}, {FILE}, {SERVICE}]


def test_with_the_simulator_its_hypervisor_is_known_after_the_first_start() -> None:
    simulated = dataclasses.replace(DECLARED, simulator=True)
    assert ids(Observed(), simulated) == [{"database/cloud"}, {"database/simulator"}, {KEY}, {FILE}, {SERVICE}, {"hypervisor/Simulator"}]


def test_as_declared_is_nothing_to_do() -> None:
    assert not plan(RUNNING)


def test_a_second_server_finds_the_databases_made() -> None:
    fresh = Observed(installed=True, databases=WHOLE, properties={"cluster.node.IP": "127.0.0.1"}, database_key_fits=True)
    assert ids(fresh) == [{KEY}, {FILE}, {SERVICE}]


def test_a_second_server_with_another_key_is_refused() -> None:
    assert "database_key" in refused(Observed(installed=True, databases=WHOLE, database_key_fits=False))


def test_what_was_begun_is_taken_up_again() -> None:
    begun = dataclasses.replace(RUNNING, databases=Databases("begun"), unit=Unit(False, False, "inactive", 0), current=False, reachable=False)
    assert ids(begun) == [{"database/cloud"}, {SERVICE}]
    assert plan(begun).changes[0].action == "update"


@pytest.mark.parametrize(("databases", "said"), [(Databases("foreign"), "incomplete"), (Databases("begun", started=True), "a server has used them")])
def test_databases_of_unknown_origin_are_never_touched(databases: Databases, said: str) -> None:
    assert said in refused(dataclasses.replace(RUNNING, databases=databases))


def test_a_server_with_an_older_configuration_restarts() -> None:
    (change,) = plan(dataclasses.replace(RUNNING, current=False)).changes
    assert (change.id, change.risk) == (SERVICE, Risk.RESTART)


def test_a_stopped_server_starts_and_one_that_starts_is_waited_for() -> None:
    stopped = dataclasses.replace(RUNNING, unit=Unit(True, False, "failed", 0), current=False, reachable=False)
    assert [(change.id, change.risk) for change in plan(stopped).changes] == [(SERVICE, Risk.NONE)]
    starting = dataclasses.replace(RUNNING, reachable=False)
    assert [(change.id, change.risk) for change in plan(starting).changes] == [(SERVICE, Risk.NONE)]


def test_another_database_password_is_set_in_the_database_then_in_the_file() -> None:
    other = dataclasses.replace(DECLARED, database=dataclasses.replace(DECLARED.database, password=Secret("new")))
    assert ids(dataclasses.replace(RUNNING, databases=dataclasses.replace(WHOLE, login=False)), other) == [{"user/cloud"}, {FILE}, {SERVICE}]


def test_another_management_key_encrypts_everything_anew() -> None:
    # What is sealed with another key can't be opened: None.
    lost = {**RUNNING.properties, **dict.fromkeys(management.SEALED)}
    changes = plan(dataclasses.replace(RUNNING, key=Secret("old"), properties=lost)).changes
    assert {change.id for change in changes} == {KEY, FILE, SERVICE}
    (properties,) = (change for change in changes if change.id == FILE)
    assert set(properties.after) == set(management.SEALED)


def test_no_secret_is_in_a_diff() -> None:
    old = {**RUNNING.properties, **dict.fromkeys(management.SEALED, "old-secret")}
    for observed in (Observed(), dataclasses.replace(RUNNING, key=Secret("old-secret"), properties=old)):
        text = json.dumps(plan(observed).diff()) + repr(plan(observed).changes) + repr(observed) + repr(DECLARED)
        assert not [secret for secret in (*SECRETS, "old-secret") if secret in text]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"management_key": Secret("it's")}, "management_key"),
        ({"database_key": Secret("")}, "database_key is empty"),
        ({"database": Login(None, 3306, "cloud", Secret("two words"))}, "database.password"),
        ({"database": Login(None, 3306, "root", Secret("x"))}, "both root"),
        ({"database": Login(None, 3306, "a`b", Secret("x"))}, "a`b"),
    ],
)
def test_what_cloudstacks_tools_do_not_take_is_refused(wrong: dict[str, t.Any], said: str) -> None:
    (problem,) = management.problems(dataclasses.replace(DECLARED, **wrong))
    assert said in problem


def test_all_problems_are_said_at_once() -> None:
    assert len(management.problems(dataclasses.replace(DECLARED, management_key=Secret(""), database_key=Secret("a b")))) == 2


def test_properties_keep_what_they_are_not_told_about() -> None:
    text = "# about a=b\n\ndb.cloud.host=localhost\ndb.cloud.url.params=x=1&y=2\ndb.cloud.host=twice\n"
    edited = put_values(text, {"db.cloud.host": "10.0.0.9", "new": "1"}, "{}={}")
    assert edited == "# about a=b\n\ndb.cloud.host=10.0.0.9\ndb.cloud.url.params=x=1&y=2\nnew=1\n"
    assert management.read_properties(edited) == {"db.cloud.host": "10.0.0.9", "db.cloud.url.params": "x=1&y=2", "new": "1"}


@pytest.mark.parametrize(
    ("age", "unit", "current"),
    [
        (60, Unit(active=True, began=-30), True),
        (60, Unit(active=False, began=-30), False),
        (60, Unit(active=True, began=-90), False),
        (60, Unit(active=True), False),
        (-3600, Unit(active=True, began=-30), True),
    ],
)
def test_a_server_has_read_files_that_are_older_than_its_start(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, age: int, unit: Unit, current: bool
) -> None:
    """The file is behind a link that is new; one from the future was written by a clock that was wrong."""
    now = int(time.time())
    (tmp_path / "file").touch()
    os.utime(tmp_path / "file", (now - age,) * 2)
    (tmp_path / "link").symlink_to("file")
    monkeypatch.setattr(management, "READ_AT_START", (str(tmp_path / "link"), str(tmp_path / "absent")))
    assert management.is_current(dataclasses.replace(unit, began=unit.began and now + unit.began)) is current


def test_the_log_is_told_without_its_secrets(tmp_path: t.Any) -> None:
    log = tmp_path / "server.log"
    log.write_text("INFO fine\nERROR [c.c.x] cannot log in, password=geheim apikey=abc\nINFO more\n")
    said = management.last_log(0, str(log))
    assert "cannot log in" in said and "fine" not in said
    assert "geheim" not in said and "abc" not in said


@pytest.mark.parametrize("host", [None, "db1"])
def test_mysql_gets_the_password_by_memory(monkeypatch: pytest.MonkeyPatch, host: str | None) -> None:
    calls: list[tuple[t.Any, ...]] = []

    def complete(argv: t.Any, secret: str, *more: t.Any) -> process.Ended:
        calls.append((argv, secret))
        return process.Ended(0, "a\tb\nc\td\n", "")

    monkeypatch.setattr(process, "complete", complete)
    assert Login(host, 3306, "root", Secret("root-secret")).run("SELECT 1;") == [["a", "b"], ["c", "d"]]
    ((argv, secret),) = calls
    assert 'password="root-secret"' in secret.split("\n") and "root-secret" not in " ".join(argv)
    assert ("host=db1" if host else "protocol=socket") in secret.split("\n")


def test_without_a_password_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets: list[str] = []
    monkeypatch.setattr(process, "complete", lambda argv, secret, *more: secrets.append(secret) or process.Ended(0, "", ""))
    assert Login(None, 3306, "root", Secret("")).run("SELECT 1;") == []
    assert "password" not in secrets[0]
