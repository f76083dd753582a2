# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemctl shows of units."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import Unit, parse_units


def test_what_systemd_says() -> None:
    said = """ExecMainStartTimestamp=Sat 2026-11-21 12:30:27 UTC
Id=libvirtd.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no

Id=libvirtd.socket
LoadState=masked
ActiveState=inactive
UnitFileState=masked
NeedDaemonReload=no

Id=libvirtd-ro.socket
LoadState=not-found
ExecMainStartTimestamp=
ActiveState=inactive
UnitFileState=
NeedDaemonReload=no
"""
    found = parse_units(said)
    assert found["libvirtd.service"] == Unit(True, True, "active", 0, True, began=1795264227)
    assert found["libvirtd.socket"] == Unit(installed=True, masked=True)
    assert found["libvirtd-ro.socket"] == Unit()
    with pytest.raises(ValueError, match="does not match"):
        parse_units(said.replace("UTC", "CET"))
