# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import socket

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host import ports

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0B124E0A:0CE4 00000000:0000 0A 00000000:00000000 00:00000000 00000000 64045        0 4711 1 0000 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000 100 0 0 10 0
   2: 0B124E0A:0CE4 0C124E0A:8D2C 01 00000000:00000000 00:00000000 00000000 64045        0 4713 1 0000 20 4 30 10 -1
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0801 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 0 1 0000 100 0
"""


def test_what_listens_is_read_from_the_kernels_tables() -> None:
    assert ports.parse_table(TCP) == [(3300, "10.78.18.11", "4711"), (8080, "0.0.0.0", "4712")]
    assert ports.parse_table(TCP6) == [(2049, "::", "0")]
    assert ports.parse_table("") == []


def test_whose_it_is_is_read_from_the_processes(tmp_path: pathlib.Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TCP)
    (tmp_path / "net" / "tcp6").write_text(TCP6)
    for pid, name, unit, inode in (
        ("5", "sshd", "ssh.service", "1"),
        ("70", "nginx", "nginx.service", "4712"),
        ("9", "ceph-mon", "ceph-mon@a.service", "4711"),
    ):
        (tmp_path / pid / "fd").mkdir(parents=True)
        (tmp_path / pid / "comm").write_text("a-thread\n")
        (tmp_path / pid / "exe").symlink_to(f"/usr/sbin/{name}{' (deleted)' if pid == '70' else ''}")
        (tmp_path / pid / "cgroup").write_text(f"1:name=systemd:/system.slice/system-ceph.slice/{unit}\n")
        (tmp_path / pid / "fd" / "3").symlink_to(f"socket:[{inode}]")
    (tmp_path / "11").mkdir()  # it has ended meanwhile
    assert ports.listening({3300, 8080, 2049}, {"ceph-mon"}, str(tmp_path)) == [
        ports.Listener(2049, "::"),  # the kernel's NFS server has no process
        ports.Listener(3300, "10.78.18.11", "ceph-mon", "a-thread", "ceph-mon@a.service"),
        ports.Listener(8080, "0.0.0.0", "nginx", "a-thread", "nginx.service"),
    ]
    assert ports.listening({22}, (), str(tmp_path)) == []


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_socket_of_this_process(family: socket.AddressFamily) -> None:
    with socket.socket(family) as one:
        try:
            one.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        except OSError:
            pytest.skip("this machine has no such address")
        one.listen()
        (found,) = ports.listening({one.getsockname()[1]}, ())
    assert found.address in ("127.0.0.1", "::1") and found.program


def test_a_process_is_in_the_innermost_unit() -> None:
    assert ports.unit_of("0::/user.slice/user-0.slice/user@0.service/app.slice/x.service\n") == "x.service"
    assert ports.unit_of("0::/\n") == ""
