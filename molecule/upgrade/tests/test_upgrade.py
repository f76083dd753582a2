# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""18.2.7 becomes 20.2.4 under a writer of the old release, which stays that; services get new keys. Runs from the first test to the last."""

from __future__ import annotations

import base64
import json
import pathlib

import pytest

from ansible_collections.cephstack.cloud.molecule.shared import runs, upgrades

WAY = upgrades.Way(runs.Scenario(pathlib.Path(__file__).resolve().parent.parent), "inventory_tentacle", "10.78.14", "18.2.7", "20.2.4", "tentacle", 21)


@pytest.fixture(scope="module", autouse=True)
def writer():
    with WAY.written():
        yield


def kind_of(key):
    return {1: "aes", 2: "aes256k"}[int.from_bytes(base64.b64decode(key)[:2], "little")]


def test_ways_that_are_closed_are_refused():
    WAY.refuses_what_is_closed()


def test_check_mode_says_what_would_be_done_and_does_nothing(tmp_path):
    WAY.says_in_check_mode(tmp_path)


def test_the_upgrade(tmp_path):
    said = WAY.is_gone(tmp_path)
    keys = {entry["entity"]: kind_of(entry["key"]) for entry in WAY.ceph("auth ls")["auth_dump"]}
    services = {name: kind for name, kind in keys.items() if name.startswith(("osd.", "mgr.", "mds.", "client.rgw.", "client.crash."))}
    assert len(services) == 12 and set(services.values()) == {"aes256k"} and keys["client.kvm"] == "aes", keys
    assert "CVE-2025-30156" in said


def test_hypervisors_and_which_guests_still_have_the_old_library(tmp_path):
    WAY.takes_hypervisors_along(tmp_path)


def test_every_osd_starts_with_its_new_key():
    """After a reboot too: what its device says of it is what the cluster has."""
    for number, name in enumerate(upgrades.CEPH):
        key = WAY.ceph(f"auth get osd.{number}")[0]["key"]
        assert kind_of(key) == "aes256k", "nothing was replaced"
        there = f"ls -d /var/lib/ceph/osd/ceph-{number} 2>/dev/null || true"
        host = next(one for one in upgrades.CEPH if WAY.stack.ssh(one, there).strip())
        label = json.loads(WAY.stack.ssh(host, f"ceph-bluestore-tool show-label --dev /var/lib/ceph/osd/ceph-{number}/block"))
        assert next(iter(label.values()))["osd_key"] == key, name
    WAY.osds_start()
