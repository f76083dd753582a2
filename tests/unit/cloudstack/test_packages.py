# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudStack's packages out of files."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.packages import File, Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

FILES = ["/cache/cloudstack-common_4.22.0.0_all.deb", "/cache/cloudstack-agent_1%3a4.22.0.0~rc1_all.deb"]
WHEEL = "/cache/mysql_connector_python-9.1.0-py2.py3-none-any.whl"


def changes(observed: dict[str, str], wheel: str | None = None) -> list[tuple[str, str]]:
    return [(change.name, change.action) for change in Provider(parse(FILES), wheel).plan(observed).changes]


def test_a_file_says_what_is_in_it() -> None:
    assert parse(FILES) == [File("cloudstack-common", "4.22.0.0", FILES[0]), File("cloudstack-agent", "1:4.22.0.0~rc1", FILES[1])]


def test_files_of_other_names_are_refused_together() -> None:
    with pytest.raises(Invalid) as error:
        parse(["/a/cloudstack.deb", "/a/thing.rpm", FILES[0]])
    assert len(error.value.problems) == 2


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
