# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected to an NFS server, out of the kernel's lists of sockets."""

from __future__ import annotations

from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import leftovers

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0801 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0B114E0A:0801 15114E0A:03A2 01 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0B114E0A:0801 16114E0A:03A2 06 00000000:00000000 00:00000000 00000000     0        0 3
   3: 0100007F:0801 0100007F:03A2 01 00000000:00000000 00:00000000 00000000     0        0 4
   4: 0B114E0A:0016 17114E0A:D431 01 00000000:00000000 00:00000000 00000000     0        0 5
   5: 0B114E0A:0801 0B114E0A:03A3 01 00000000:00000000 00:00000000 00000000     0        0 6
"""
TCP6 = """  sl  local_address rem_address st
   0: 0000000000000000FFFF00000B114E0A:0801 0000000000000000FFFF000018114E0A:0350 01
   1: 000000FD000000000000000001000000:0801 000000FD000000000000000002000000:0350 01
"""


def test_clients_are_those_that_are_connected_from_elsewhere():
    assert leftovers.clients_of(TCP + TCP6) == ["10.78.17.21", "10.78.17.24", "fd00::2"]
    assert leftovers.clients_of("") == []
