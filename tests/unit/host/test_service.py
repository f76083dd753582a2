# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service has read what was there when it started, and nothing that came later."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host.service import unread
from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import NO_UNIT, Unit


@pytest.mark.parametrize(
    ("changed", "written", "reasons"),
    [
        (0, (), []),
        (1999, (), []),
        (2000, (), []),
        (2001, (), ["/etc/a is newer than its start"]),
        (0, ("/etc/a",), ["/etc/a changes"]),
        (2001, ("/etc/a", "/etc/other"), ["/etc/a changes"]),
    ],
)
def test_what_a_service_has_not_read(changed: int, written: tuple[str, ...], reasons: list[str]) -> None:
    assert unread(Unit(active=True, began=2000), {"/etc/a": changed, "/etc/absent": 0}, written) == reasons


def test_a_service_that_never_began_has_read_nothing() -> None:
    assert unread(NO_UNIT, {"/etc/a": 1, "/etc/absent": 0}) == ["/etc/a is newer than its start"]
