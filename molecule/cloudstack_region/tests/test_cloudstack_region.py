# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management server and its region are as declared."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client

testinfra_hosts = ["mgmt1"]
CONF = "/etc/cloudstack/management"
SECRETS = ["secret-of-the-database", "secret-of-the-admin", "secret-of-the-files", "secret-of-the-values"]


@pytest.fixture(scope="module")
def server() -> client.Client:
    return client.connect(json.loads(pathlib.Path(os.environ["CEPHSTACK_CLOUDSTACK"]).read_text(encoding="utf-8")))


def test_the_server_runs_from_boot_on(host):
    service = host.service("cloudstack-management")
    assert service.is_running and service.is_enabled


def test_the_connector_can_be_imported(host):
    assert host.run("python3 -c 'import mysql.connector'").rc == 0


def test_secrets_are_sealed_and_kept_from_others(host):
    properties = host.file(f"{CONF}/db.properties").content_string
    # The simulator's own password is the one that the server reads in clear.
    sealed = "\n".join(line for line in properties.splitlines() if not line.startswith("db.simulator."))
    assert not [secret for secret in SECRETS if secret in sealed]
    assert "db.cloud.encrypt.secret=ENC(" in sealed
    for name, mode in (("db.properties", 0o640), ("key", 0o640), ("cephstack-keys.json", 0o600)):
        assert host.file(f"{CONF}/{name}").mode == mode


def test_nothing_of_the_making_is_left(host):
    assert host.check_output("mysql -N -e \"SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'cephstack_setup'\"") == "0"
    assert not host.file("/usr/sbin/policy-rc.d").exists


def test_the_default_password_is_gone(server):
    with pytest.raises(client.ApiError):
        client.Client(server.url).login("admin", "password")
    client.Client(server.url).login("admin", "secret-of-the-admin")


def test_the_region_is_as_declared(server):
    (zone,) = server.rows("listZones", name="simulated")
    assert zone["allocationstate"] == "Enabled"
    hosts = server.rows("listHosts", zoneid=zone["id"], type="Routing")
    assert sorted((row["clustername"], row["state"], row["resourcestate"]) for row in hosts) == [
        ("sim", "Up", "Disabled"),
        ("sim", "Up", "Enabled"),
        ("sim", "Up", "Enabled"),
        ("sim2", "Up", "Enabled"),
        ("sim2", "Up", "Enabled"),
    ]
