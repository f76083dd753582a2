# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import client_processes

MAPS = """7f0a-7f0b r-xp 00000000 00:2a 99 /usr/lib/x86_64-linux-gnu/librbd.so.1.18.0{}
7f0b-7f0c r--p 00000000 00:2a 99 /usr/lib/x86_64-linux-gnu/librbd.so.1.18.0{}
7f0c-7f0d r-xp 00000000 00:2a 98 /usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)
"""
QEMU = "/usr/bin/qemu-system-x86_64\0-name\0guest=web1,debug-threads=on\0-S\0"


@pytest.mark.parametrize(("mark", "outdated"), [("", False), (" (deleted)", True)])
def test_a_guest_and_its_library(mark, outdated):
    told = client_processes.parse(7, MAPS.format(mark, mark), QEMU)
    library = "/usr/lib/x86_64-linux-gnu/librbd.so.1.18.0"
    assert told == {"pid": 7, "program": "qemu-system-x86_64", "guest": "web1", "libraries": [library], "outdated": outdated}


def test_others():
    assert client_processes.parse(7, MAPS.format("", ""), "python3\0agent.py\0")["guest"] == ""
    assert client_processes.parse(7, MAPS.format("", ""), "/usr/bin/ceph-osd\0-i\0") is None
    assert client_processes.parse(7, "7f0c-7f0d r-xp 0 00:2a 98 /usr/lib/libc.so.6 (deleted)\n", QEMU) is None


def test_the_processes_of_this_machine_can_be_read():
    assert set(client_processes.observe()) == {"processes", "unread"}
