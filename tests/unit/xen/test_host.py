# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backends a Xen host can serve disks through, judged from what was found on it."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._xen import host

NO_BLKTAP = "blktap is not installed"
# Debian 13 as it is: what the probes say there was recorded on Xen 4.20.3 with QEMU 10.0.13.
DEBIAN = host.Seen(
    dom0=True,
    version=(4, 20),
    drivers={"rbd": True, "nbd": True, "xen-blkback": True, "xen-blkfront": True},
    programs={"rbd", "rbd-nbd"},
    tap_ctl=NO_BLKTAP,
    qdisk="Xen's QEMU (/usr/libexec/xen-qemu-system-i386) has no RBD driver: Unknown driver 'rbd'",
)
BLKTAP = dataclasses.replace(DEBIAN, tap_ctl="", tapdisk_rbd="this tapdisk has no RBD driver: Invalid argument")

INFO = """host                   : xen1
release                : 6.12.48+deb13-amd64
nr_cpus                : 2
total_memory           : 6143
free_memory            : 2874
xen_major              : 4
xen_minor              : 20
xen_extra              : .0
xen_version            : 4.20.0
xen_caps               : xen-3.0-x86_64 hvm-3.0-x86_32
xen_commandline        : console=com1 com1=115200,8n1 dom0_mem=3072M,max:3072M
cc_compile_date        : Thu Aug 14 20:11:48 UTC 2025
"""


def able(seen):
    return {name for name, verdict in host.verdicts(seen).items() if verdict["able"]}


def test_what_debian_can_do():
    assert able(DEBIAN) == {"krbd_script", "krbd_static", "rbd_nbd"}
    assert "Unknown driver 'rbd'" in host.verdicts(DEBIAN)["qdisk_rbd"]["why"]
    assert host.verdicts(DEBIAN)["tapdisk_nbd"]["why"] == NO_BLKTAP


def test_a_host_that_does_not_run_xen_yet_says_so_and_nothing_else():
    seen = dataclasses.replace(DEBIAN, dom0=False, version=None)
    assert able(seen) == set()
    assert "first domain" in host.verdicts(seen)["krbd_script"]["why"]
    assert host.reasons(seen, "krbd_script") == []


def test_blktap_that_goes_with_xl():
    assert able(BLKTAP) == {"krbd_script", "krbd_static", "rbd_nbd", "tapdisk_nbd", "tapdisk_aio"}


@pytest.mark.parametrize(
    ("seen", "backend", "why"),
    [
        (dataclasses.replace(BLKTAP, version=(4, 17)), "tapdisk_aio", "4.17 refuses"),
        (dataclasses.replace(BLKTAP, version=(4, 17)), "tapdisk_nbd", "4.17 refuses"),
        (dataclasses.replace(BLKTAP, libxl="tapback does not go with xl"), "tapdisk_nbd", "does not go with xl"),
        (dataclasses.replace(BLKTAP, tapback="tapback does not run"), "tapdisk_aio", "does not run"),
        (dataclasses.replace(BLKTAP, qemu_nbd="qemu-nbd has no RBD driver"), "tapdisk_nbd", "qemu-nbd"),
        (BLKTAP, "tapdisk_rbd", "no RBD driver"),
        (dataclasses.replace(DEBIAN, programs={"rbd"}), "rbd_nbd", "rbd-nbd is not installed"),
        (dataclasses.replace(DEBIAN, drivers={**DEBIAN.drivers, "nbd": False}), "rbd_nbd", "no module nbd"),
        (dataclasses.replace(DEBIAN, drivers={**DEBIAN.drivers, "rbd": False}), "krbd_static", "no module rbd"),
        (dataclasses.replace(DEBIAN, drivers={**DEBIAN.drivers, "xen-blkback": False}), "krbd_script", "no module xen-blkback"),
    ],
)
def test_why_not(seen, backend, why):
    verdict = host.verdicts(seen)[backend]
    assert not verdict["able"]
    assert why in verdict["why"]


def test_what_is_in_the_way_is_said_once():
    """Where blktap is broken, what depends on it is not reported beside it."""
    seen = dataclasses.replace(BLKTAP, tapback="tapback does not run", libxl="not tried")
    assert host.reasons(seen, "tapdisk_aio") == ["tapback does not run"]


def test_what_only_attaching_can_tell_is_tried_where_it_can_be(monkeypatch):
    monkeypatch.setattr(host, "_libxl", lambda: "tapback does not go with xl")
    monkeypatch.setattr(host, "_tapdisk_rbd", lambda: "")
    found = host.tried(dataclasses.replace(BLKTAP, libxl="not tried", tapdisk_rbd="not tried"))
    assert (found.libxl, found.tapdisk_rbd) == ("tapback does not go with xl", "")
    assert host.tried(DEBIAN) == DEBIAN  # there is no blktap to try


def test_what_xl_says_of_the_host():
    info = host.parse_info(INFO)
    assert info["xen_version"] == "4.20.0"
    assert info["free_memory"] == "2874"
    assert info["xen_commandline"] == "console=com1 com1=115200,8n1 dom0_mem=3072M,max:3072M"


def test_what_is_returned_names_every_backend():
    found = host.returned(DEBIAN)
    assert set(found["backends"]) == set(host.BACKENDS)
    assert found["version"] == "4.20"
    assert found["tap"] == {"tap_ctl": False, "tapback": False, "libxl": False, "reason": NO_BLKTAP}
