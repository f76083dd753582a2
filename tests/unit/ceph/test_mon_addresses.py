# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the addresses of monitors are read and written."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import mon_addresses

MONS = "[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0],[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]"
HOSTS = (("10.0.0.1", 0), ("10.0.0.2", 0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MONS, HOSTS),
        ("10.0.0.2:6789,10.0.0.1", HOSTS),
        ("10.0.0.2;10.0.0.1 ,10.0.0.2:3300", HOSTS),
        ("[v2:127.0.0.1:40001/0,v1:127.0.0.1:40002/0]", (("127.0.0.1", 40001), ("127.0.0.1", 40002))),
        ("[v2:10.0.0.1:3300,v1:10.0.0.1:7000]", (("10.0.0.1", 3300),)),
        ("[v2:[fd00::1]:3300/0,v1:[fd00::1]:6789/0] [fd00::2]:6789,fd00::3", (("fd00::1", 0), ("fd00::2", 0), ("fd00::3", 0))),
        ("v2:mon.example.org:3300", (("mon.example.org", 0),)),
        ("", ()),
    ],
)
def test_a_mon_host_is_read_in_every_form(text, expected):
    assert mon_addresses.parse_mon_host(text) == expected


@pytest.mark.parametrize("text", ["10.0.0.1:x", "10.0.0.1:70000", "[fd00::1", "a/b"])
def test_what_is_none_is_refused(text):
    with pytest.raises(ValueError, match="not"):
        mon_addresses.parse_mon_host(text)


@pytest.mark.parametrize(
    ("address", "vector"),
    [("10.0.0.1", "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]"), ("fd00::1", "[v2:[fd00::1]:3300,v1:[fd00::1]:6789]")],
)
def test_addresses_for_the_monmap(address, vector):
    assert mon_addresses.addrvec(address) == vector


def test_addresses_of_a_dump():
    def mon(name, rank, address):
        parts = [{"type": "v2", "addr": f"{address}:3300", "nonce": 0}, {"type": "v1", "addr": f"{address}:6789", "nonce": 0}]
        return {"name": name, "rank": rank, "public_addrs": {"addrvec": parts}}

    dump = {"mons": [mon("b", 1, "[fd00::2]"), mon("a", 0, "10.0.0.1")]}
    assert mon_addresses.mon_host_by_rank(dump) == "[v2:10.0.0.1:3300,v1:10.0.0.1:6789],[v2:[fd00::2]:3300,v1:[fd00::2]:6789]"
    assert mon_addresses.addresses_of(dump["mons"][0]) == {"fd00::2"}
