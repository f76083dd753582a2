# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's hosts, seen from inside."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://all"]


def name_of(host):
    return host.backend.host


def test_release_is_as_declared(host):
    assert host.system_info.codename == ("bookworm" if name_of(host) == "debian12" else "trixie")


def test_systemd_is_pid_1_and_content(host):
    assert host.file("/proc/1/comm").content_string.strip() == "systemd"
    assert host.run("systemctl is-system-running").stdout.strip() == "running"


@pytest.mark.parametrize("other", ["debian12", "debian13", "vm13"])
def test_hosts_reach_each_other_by_name(host, other):
    assert host.run(f"python3 -c \"import socket; print(socket.create_connection(('{other}', 22), 20).recv(4))\"").stdout.strip() == "b'SSH-'"


def test_archive_is_reached_through_the_machine(host):
    # Not the whole update: a virtual machine under emulation takes long for it.
    host.run_expect([0], "apt-get download -o Acquire::Retries=2 hello && rm hello_*.deb")


def test_disk_has_its_stable_name_and_size(host):
    if name_of(host) == "debian12":
        pytest.skip("has no disk")
    assert host.check_output("blockdev --getsize64 /dev/disk/by-id/lab-data") == str(1 << 30)


def test_virtual_machine_has_a_kernel_of_its_own(host):
    kind = host.check_output("systemd-detect-virt || true")
    if name_of(host) != "vm13":
        assert kind == "systemd-nspawn"
        return
    assert kind in ("kvm", "qemu")
    host.run_expect([0], "vgcreate lab /dev/disk/by-id/lab-data && lvcreate --yes -L 64M -n test lab && modprobe dm-crypt")
    host.run_expect([0], "vgremove -f lab && pvremove /dev/disk/by-id/lab-data")
