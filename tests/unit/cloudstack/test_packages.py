# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudStack's packages out of files."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.packages import MARK, File, Observed, Provider, is_left, nothing_starts, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

FILES = ["/cache/cloudstack-common_4.22.0.0_all.deb", "/cache/cloudstack-agent_1%3a4.22.0.0~rc1_all.deb"]
WHEEL = "/cache/mysql_connector_python-9.1.0-py2.py3-none-any.whl"


def changes(observed: dict[str, str], wheel: str | None = None) -> list[tuple[str, str]]:
    return [(change.name, change.action) for change in Provider(parse(FILES), wheel).plan(Observed(observed)).changes]


def test_a_file_says_what_is_in_it() -> None:
    assert parse(FILES) == [File("cloudstack-common", "4.22.0.0", FILES[0]), File("cloudstack-agent", "1:4.22.0.0~rc1", FILES[1])]


def test_files_of_other_names_are_refused_together() -> None:
    with pytest.raises(Invalid) as error:
        parse(["/a/cloudstack.deb", "/a/thing.rpm", FILES[0]])
    assert len(error.value.problems) == 2


def test_two_files_of_a_package_are_refused() -> None:
    with pytest.raises(Invalid, match="several files of the package cloudstack-common"):
        parse([*FILES, "/cache/cloudstack-common_4.20.1.0_all.deb"])


def test_what_is_installed_in_that_version_is_left_alone() -> None:
    assert changes({}) == [("cloudstack-common", "create"), ("cloudstack-agent", "create")]
    assert changes({"cloudstack-common": "4.22.0.0", "cloudstack-agent": "1:4.22.0.0~rc1"}) == []
    assert changes({"cloudstack-common": "4.20.1.0", "cloudstack-agent": "1:4.22.0.0~rc1"}) == [("cloudstack-common", "update")]


def test_the_connector_is_made_only_where_there_is_none() -> None:
    installed = {"cloudstack-common": "4.22.0.0", "cloudstack-agent": "1:4.22.0.0~rc1"}
    assert changes(installed, WHEEL) == [("mysql-connector-python-py3", "create")]
    for name in ("python3-mysql.connector", "mysql-connector-python-py3"):
        assert changes({**installed, name: "8.0"}, WHEEL) == []


def test_a_wheel_of_something_else_is_refused() -> None:
    with pytest.raises(Invalid, match="mysql_connector_python"):
        changes({}, "/cache/PyMySQL-1.1.1-py3-none-any.whl")


def allows(policy: pathlib.Path) -> bool:
    code = subprocess.run([policy, "some.service", "start"], check=False).returncode
    assert code in (0, 101)
    return code == 0


def test_nothing_starts_while_it_installs(tmp_path: pathlib.Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with nothing_starts(str(policy)):
        assert not allows(policy)
        assert not is_left(str(policy))
    assert not policy.exists()


def test_the_policy_of_a_run_that_was_killed_allows_everything_and_is_taken_away(tmp_path: pathlib.Path) -> None:
    policy = tmp_path / "policy-rc.d"
    child = os.fork()
    if child == 0:
        with nothing_starts(str(policy)):
            time.sleep(60)
        os._exit(0)
    while not policy.exists():
        time.sleep(0.01)
    assert not allows(policy)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert allows(policy)
    assert is_left(str(policy))
    provider = Provider([], policy=str(policy))
    plan = provider.plan(Observed({}, left=True))
    assert [(change.kind, change.name, change.action) for change in plan.changes] == [("file", str(policy), "delete")]
    assert plan.apply() == []
    assert not policy.exists()


def test_a_policy_of_the_host_is_left_alone(tmp_path: pathlib.Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    with nothing_starts(str(policy)):
        assert MARK not in policy.read_text()
    assert policy.exists()
    assert not is_left(str(policy))
