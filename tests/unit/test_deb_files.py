# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages out of files."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._apt import MARK, is_left, nothing_starts
from ansible_collections.cephstack.cloud.plugins.module_utils._deb_files import File, Observed, Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files
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


def code(policy: pathlib.Path, *words: str) -> int:
    return subprocess.run([policy, *(words or ("some.service", "start"))], check=False).returncode


@pytest.mark.parametrize("own", ["", "#!/bin/sh\nexit 7\n"], ids=["no policy", "a policy of the host's"])
def test_the_policy_of_a_run_that_was_killed_refuses_nothing_and_is_taken_away(tmp_path: pathlib.Path, own: str) -> None:
    policy = tmp_path / "policy-rc.d"
    if own:
        policy.write_text(own, encoding="utf-8")
        policy.chmod(0o755)
    child = os.fork()
    if child == 0:
        with nothing_starts(str(policy)):
            time.sleep(60)
        os._exit(0)
    while MARK not in (files.read(str(policy)) or ""):
        time.sleep(0.01)
    assert code(policy) == 101 and not is_left(str(policy))
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert code(policy) == (7 if own else 0)
    assert is_left(str(policy))
    provider = Provider([], policy=str(policy))
    plan = provider.plan(Observed({}, left=True))
    assert [(change.kind, change.name, change.action) for change in plan.changes] == [("file", str(policy), "delete")]
    assert plan.apply() == []
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("policy-rc.d", own)] * bool(own)
    assert not is_left(str(policy))


@pytest.mark.parametrize("own", ["", "#!/bin/sh\nexit 7\n"], ids=["no policy", "a policy of the host's"])
def test_the_way_into_the_host_stays_open(tmp_path: pathlib.Path, own: str) -> None:
    """As invoke-rc.d and deb-systemd-invoke ask: sshd 9.2 refuses all new connections from when its program is 10.0 until it has restarted."""
    policy = tmp_path / "policy-rc.d"
    if own:
        policy.write_text(own, encoding="utf-8")
        policy.chmod(0o755)
    with nothing_starts(str(policy)):
        asked = [("ssh", "restart"), ("ssh.service", "restart"), ("--quiet", "ssh", "restart", "2"), ("ssh.socket", "restart")]
        assert {code(policy, *words) for words in asked} == {7 if own else 0}
        assert {code(policy, *words) for words in [("ssh-agent.service", "restart"), ("ceph-osd.target", "restart"), ("libvirtd", "start")]} == {101}


def test_a_run_that_comes_after_a_killed_one_knows_the_host_s_own_policy(tmp_path: pathlib.Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 7\n", encoding="utf-8")
    with nothing_starts(str(policy)):
        left = policy.read_text(encoding="utf-8")
    os.rename(policy, f"{policy}.cephstack")
    policy.write_text(left, encoding="utf-8")
    with nothing_starts(str(policy)):
        assert code(policy) == 101
    assert policy.read_text(encoding="utf-8") == "#!/bin/sh\nexit 7\n" and len(list(tmp_path.iterdir())) == 1
