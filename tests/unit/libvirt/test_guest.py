# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which guests are believed."""

from __future__ import annotations

import hashlib
import pathlib

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import guest as libvirt_guest

CONSOLE = pathlib.Path("/no/console")
UUID = "12345678-9abc-def0-1234-56789abcdef0"
FIRST, FOUND = b"boot".ljust(512, b"\0"), b"hello".ljust(512, b"\0")


def marker_with(first=FIRST, found=FOUND, uuid=UUID):
    sums = [hashlib.md5(sector).hexdigest() for sector in (first, found)]
    return b"%s linux 6.12 read %s found %s\n" % (_guest.expected_marker(uuid), *(text.encode() for text in sums))


@pytest.mark.parametrize("marker", [marker_with(), _guest.expected_marker(UUID)], ids=["linux", "512 bytes"])
def test_a_guest_that_read_what_is_there_is_believed(marker):
    libvirt_guest._check(marker, UUID, FIRST, FOUND, CONSOLE)


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        (marker_with(first=FOUND), "read something else"),
        (marker_with(found=FIRST), "read something else"),
        (marker_with(uuid=UUID.replace("1", "2")), "its marker is not on its disk"),
        (bytes(512), "found nothing"),
    ],
    ids=["first sector", "found", "another guest", "nothing"],
)
def test_a_guest_that_read_something_else_or_wrote_nothing_is_not(marker, said):
    with pytest.raises(libvirt_guest.GuestFailed, match=said):
        libvirt_guest._check(marker, UUID, FIRST, FOUND, CONSOLE)
