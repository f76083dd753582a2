# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ceph host compared with what is declared of it: the files that its gateways read. The rest is compared in tests/daemons."""

from __future__ import annotations

import getpass
import grp
import os
import pathlib

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.host import OPTIONS, compare, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._host import host_files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Outcome, reconcile
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import complete


@pytest.fixture
def declared(tmp_path: pathlib.Path) -> dict:
    owner = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
    trusted, ca = str(tmp_path / "trusted.crt"), tmp_path / "ca.pem"
    ca.write_text("an authority")
    copy = {"argv": ["cp", str(ca), trusted], "creates": trusted, "reads": [str(ca)]}
    params, wrong = complete(
        OPTIONS, {"host_files": {"files": [{"path": str(tmp_path / "password"), "secret": "hush", "mode": "0600", **owner}], "commands": [copy]}}
    )
    assert not wrong
    return parse(params)


def reconciled(declared: dict) -> Outcome:
    return reconcile(host_files.provider(declared["host_files"]), check_mode=False)


def test_a_file_s_text_mode_and_absence_are_found_and_nothing_else(declared: dict, tmp_path: pathlib.Path) -> None:
    password = tmp_path / "password"
    made = [f"file/{password}", f"command/cp {tmp_path}/ca.pem {tmp_path}/trusted.crt"]
    assert compare(declared, {}) == (made, [])
    reconciled(declared)
    assert compare(declared, {}) == ([], [])

    password.chmod(0o644)
    assert compare(declared, {}) == (made[:1], [])
    password.chmod(0o600)
    password.write_text("another")
    assert compare(declared, {}) == (made[:1], [])
    password.unlink()
    assert compare(declared, {}) == (made[:1], [])
    reconciled(declared)
    os.utime(tmp_path / "trusted.crt", (1, 1))
    assert compare(declared, {}) == (made[1:], [])


def test_what_is_secret_is_known_as_such_to_the_module() -> None:
    """So it is shown neither in the log of the host, nor in what the module returns."""
    assert OPTIONS["host_files"]["options"]["files"]["options"]["secret"]["no_log"] is True
