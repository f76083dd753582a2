# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First contact: what is planned from what was seen, what is kept, and what is never said."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import keys
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._http import NoConnection
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, Unreachable

OPTIONS = {"url": "http://mgmt1:8080/client/api", "user": "admin", "password": "declared-one", "domain": "/", "path": None}
KEYS = keys.Keys(Secret("KEY-one"), Secret("SECRET-two"))


def planned(observed: keys.Observed, **options: t.Any) -> list[tuple[str, str]]:
    return [(change.id, change.action) for change in keys.Provider({**OPTIONS, **options}).plan(observed).changes]


def seen(password: str = "declared-one", made: t.Optional[keys.Keys] = KEYS, file: t.Optional[keys.File] = None) -> keys.Observed:
    return keys.Observed(True, file or keys.File(), Secret(password), "user-id", made, "4.22")


def test_a_new_server_needs_everything() -> None:
    new = seen("password", None)
    assert planned(new, path="/k") == [("password/admin", "update"), ("keys/admin", "create"), ("file//k", "create")]
    stages = keys.Provider({**OPTIONS, "path": "/k"}).plan(new).stages()
    assert [[change.kind for change in stage] for stage in stages] == [["password"], ["keys"], ["file"]]


def test_keys_that_are_there_are_never_made_again() -> None:
    assert planned(seen()) == []
    assert planned(seen("password")) == [("password/admin", "update")]


def test_a_server_that_will_be_is_planned() -> None:
    plan = keys.Provider({**OPTIONS, "path": "/k"}, check_mode=True).plan(keys.Observed(False))
    assert [change.kind for change in plan.changes] == ["password", "keys", "file"]
    assert plan.warnings == ["nothing answers at http://mgmt1:8080/client/api yet: what is planned is what a new server needs"]


@pytest.mark.parametrize(
    ("file", "differs"),
    [
        (keys.File(KEYS, OPTIONS["url"], 0o600), None),
        (keys.File(KEYS, OPTIONS["url"], 0o644), {"mode"}),
        (keys.File(keys.Keys(Secret("KEY-one"), Secret("old")), OPTIONS["url"], 0o600), {"api_secret"}),
        (keys.File(KEYS, "http://other/client/api", 0o600), {"url"}),
    ],
)
def test_the_file_follows_the_server(file: keys.File, differs: t.Optional[set[str]]) -> None:
    changes = keys.Provider({**OPTIONS, "path": "/k"}).plan(seen(file=file)).changes
    assert [set(change.after) for change in changes] == ([differs] if differs else [])


def test_the_diff_says_no_secret() -> None:
    plan = keys.Provider({**OPTIONS, "path": "/k"}).plan(seen("password", KEYS, keys.File(keys.Keys(Secret("oldkey"), Secret("oldsecret")), "u", 0o644)))
    shown = str(plan.diff()) + str(plan.rows())
    assert not [word for word in ("declared-one", "KEY-one", "SECRET-two", "oldkey", "oldsecret") if word in shown]


def test_the_file_is_its_owner_s_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "keys.json"
    provider = keys.Provider({**OPTIONS, "path": str(path)})
    (change,) = provider.plan(seen()).changes
    change.apply()
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert json.loads(path.read_text(encoding="utf-8")) == {"url": OPTIONS["url"], "api_key": "KEY-one", "api_secret": "SECRET-two"}
    assert provider.plan(seen(file=keys.read(str(path)))).changes == []


def test_a_file_of_another_kind_is_not_overwritten(tmp_path: pathlib.Path) -> None:
    for text in ("not json", "[]", '{"api_key": "only"}'):
        (tmp_path / "other").write_text(text, encoding="utf-8")
        with pytest.raises(Invalid, match="does not hold keys"):
            keys.read(str(tmp_path / "other"))
    assert keys.read(str(tmp_path / "none")) == keys.File() and keys.read(None) == keys.File()


class Session:
    """Answers a provider as a server does whose user has a password and maybe keys."""

    def __init__(self, password: str, made: t.Optional[dict[str, Secret]] = None, away: t.Optional[Exception] = None) -> None:
        self.password, self.made, self.away = password, made, away
        self.said: list[str] = []

    def login(self, user: str, password: Secret, domain: str) -> dict[str, t.Any]:
        if self.away:
            raise self.away
        if password.reveal() != self.password:
            raise ApiError("login", 531, f"Failed to authenticate user {user} in domain 1; please provide valid credentials", user)
        return {"userid": "user-id"}

    def call(self, command: str, **params: t.Any) -> dict[str, t.Any]:
        self.said.append(command)
        if command == "updateUser":
            self.password = params["password"].reveal()
        elif command == "registerUserKeys":
            self.made = {"apikey": Secret("KEY-new"), "secretkey": Secret("SECRET-new")}
        elif command == "listCapabilities":
            return {"capability": {"cloudstackversion": "4.22"}}
        return {"userkeys": {"apikeyaccess": True, **(self.made or {})}}

    def logout(self) -> None: ...

    def close(self) -> None: ...


def provider(session: Session, check_mode: bool = False, **options: t.Any) -> keys.Provider:
    class Scripted(keys.Provider):
        def _connect(self, keys: t.Any = None) -> t.Any:
            return session

    return Scripted({**OPTIONS, **options}, check_mode)


def test_from_a_new_server_to_nothing_left() -> None:
    session = Session("password")
    with provider(session) as one:
        plan = one.plan(one.observe())
        assert plan.apply() == []
        after = one.observe()
        assert not one.plan(after)
        assert one.returned(after)["api_secret"] == "SECRET-new" and session.password == "declared-one"
    assert session.said.count("registerUserKeys") == 1


def test_keys_are_returned_only_where_they_are_asked_for() -> None:
    with provider(Session("declared-one", {"apikey": Secret("KEY-one"), "secretkey": Secret("SECRET-two")}), return_keys=False) as one:
        told = one.returned(one.observe())
    assert told == {"url": OPTIONS["url"], "user_id": "user-id", "cloudstack_version": "4.22"}


def test_keys_that_another_made_meanwhile_are_taken() -> None:
    session = Session("declared-one")
    with provider(session) as one:
        plan = one.plan(one.observe())
        session.made = {"apikey": Secret("KEY-one"), "secretkey": Secret("SECRET-two")}
        assert plan.apply() == [] and "registerUserKeys" not in session.said


def test_a_wrong_password_is_one_error_with_the_variable_s_name() -> None:
    with provider(Session("another"), prefix="cloudstack.admin_") as one, pytest.raises(Invalid) as caught:
        one.observe()
    assert len(caught.value.problems) == 1 and caught.value.problems[0].startswith("cloudstack.admin_password: ")
    assert "declared-one" not in str(caught.value) and "another" not in str(caught.value)


def test_nobody_there_is_an_absence_in_check_mode_only(tmp_path: pathlib.Path) -> None:
    away = NoConnection("cannot be reached")
    with provider(Session("", away=away)) as one, pytest.raises(Unreachable):
        one.observe()
    with provider(Session("", away=away), True) as one:
        assert not one.observe().reachable
    with provider(Session("", away=Unreachable("answers with HTTP status 503")), True) as one, pytest.raises(Unreachable):
        one.observe()
    # Where keys are kept, there was a server.
    path = tmp_path / "keys.json"
    path.write_text('{"url": "u", "api_key": "a", "api_secret": "b"}', encoding="utf-8")
    with provider(Session("", away=away), True, path=str(path)) as one, pytest.raises(Unreachable):
        one.observe()
