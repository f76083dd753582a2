# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of CloudStack that are proven by themselves."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import probe
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

NONE = dict.fromkeys(probe.PARTS)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({}, []),
        ({"guests": [], "system_vms": {"zones": [], "timeout": 1}, "buckets": {"object_stores": []}, "pools": {"primary_storage": [], "wait": 0}}, []),
        ({"guests": [{"zone": "z"}], "system_vms": {"zones": ["z"]}}, ["system_vms", "guests"]),
        ({"buckets": {"object_stores": None, "ca_path": None}}, ["buckets"]),
    ],
    ids=["nothing", "none of each", "two", "all stores"],
)
def test_what_is_to_be_proven(given, parts):
    assert probe.wanted({**NONE, **given}) == parts


class Server:
    """A server with one zone and no object store, whose virtual machines cannot be asked for."""

    def rows(self, command, **_asked):
        if command == "listZones":
            raise Unreachable("the server does not answer")
        return []


def test_what_is_wrong_with_one_part_does_not_keep_another_from_being_proven():
    params = {**NONE, "system_vms": {"zones": ["z"], "timeout": 0}, "buckets": {"object_stores": ["rgw"], "validate_certs": True, "ca_path": None}}
    found, problems = probe.prove(Server(), params, probe.wanted(params))
    assert problems == ["the server does not answer", "there is no object store rgw"]
    assert found == {"buckets": []}
