# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that return secrets in clear: without no_log on the task they fail, and have read nothing by then."""

from __future__ import annotations

import importlib
import json
import pathlib
import re

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

MODULES = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "modules"
# What is given to each of them, and what reads something in it.
RETURNING = {
    "ceph_keys_info": ({"entities": ["client.images"], "users": ["backup"]}, ["nowhere", "binding_or_dry_run", "Connection"]),
    "ceph_mon_info": ({}, ["has_data", "require_binding", "survey"]),
    "cloudstack_keys": ({"url": "http://127.0.0.1:1/client/api", "password": "not told"}, ["Provider"]),
    "openstack_keys_info": ({}, ["read_keys"]),
}
# Results with a secret's name that are none, and what they are.
NO_SECRETS = {
    "ceph_upgrade.old_keys": "names of clients",
    "lab_hosts.private_key": "the path of a file",
    "kvm_host.secrets": "UUIDs by client",
    "openstack_compute.migration.authorized_key": "a public key",
}


class Reading(Exception):
    """Something was read."""


def run(name, monkeypatch, check=False, **arguments):
    """Run a module in this process. Returns its result. Raises Reading instead of reading anything."""
    module = importlib.import_module(f"ansible_collections.cephstack.cloud.plugins.modules.{name}")

    def read(*_arguments, **_more):
        raise Reading

    for reader in RETURNING[name][1]:
        monkeypatch.setattr(module, reader, read)
    with patch_module_args({**RETURNING[name][0], "_ansible_check_mode": check, **arguments}):
        module.main()


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
@pytest.mark.parametrize("name", RETURNING)
def test_without_no_log_it_fails_before_it_reads(name, check, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(name, monkeypatch, check)
    result = json.loads(capsys.readouterr().out)
    assert result["failed"] and "set no_log: true on this task. Nothing was read" in result["msg"]


@pytest.mark.parametrize("name", RETURNING)
def test_with_no_log_it_goes_on(name, monkeypatch):
    with pytest.raises(Reading):
        run(name, monkeypatch, check=True, _ansible_no_log=True)


def test_keys_of_cloudstack_that_are_not_returned_need_none(monkeypatch):
    with pytest.raises(Reading):
        run("cloudstack_keys", monkeypatch, return_keys=False)


def returned(documented, path=""):
    for name, value in (documented or {}).items():
        yield path + name
        yield from returned(value.get("contains"), f"{path}{name}.")


def test_no_other_module_returns_a_secret():
    """By what is called like one, and by who asks for no_log."""
    secret, found, asking = re.compile(r"(^|_)(key|secret|password|passphrase|token|psk)s?$"), set(), set()
    for path in sorted(MODULES.glob("*.py")):
        module = importlib.import_module(f"ansible_collections.cephstack.cloud.plugins.modules.{path.stem}")
        names = {f"{path.stem}.{name}" for name in returned(yaml.safe_load(getattr(module, "RETURN", ""))) if secret.search(name)}
        found |= {path.stem for name in names if name not in NO_SECRETS}
        asking |= {path.stem} if hasattr(module, "require_no_log") else set()
    assert found == asking == set(RETURNING)
