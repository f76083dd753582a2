# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host import icmp

NOON = 1_700_006_400.0 // 86400 * 86400 + 43200


@pytest.mark.parametrize("ahead", [0.0, 0.25, -0.25, 7.0, -3600.0, 43199.0])
def test_how_far_another_clock_is_ahead(ahead: float) -> None:
    there = int((NOON + 0.005 + ahead) * 1000) % icmp.DAY
    offset, error = icmp.offset_of(NOON, NOON + 0.010, there, there)
    assert offset == pytest.approx(ahead, abs=error) and error < 0.01


def test_midnight_between_two_clocks_is_no_day() -> None:
    midnight = NOON + 43200
    offset, _error = icmp.offset_of(midnight - 0.1, midnight - 0.09, 50, 50)
    assert offset == pytest.approx(0.145, abs=0.01)


def test_midnight_between_question_and_answer_is_no_half_day() -> None:
    midnight = NOON + 43200
    offset, error = icmp.offset_of(midnight - 0.02, midnight + 0.02, 0, 0)
    assert offset == pytest.approx(0.0, abs=error)


def test_a_message_with_its_checksum_sums_up_to_nothing() -> None:
    for body in (b"", b"abc", bytes(range(256)) * 40):
        message = icmp._message(8, 77, 5, body)
        assert icmp.checksum(message) == 0 and message[8:] == body and struct.unpack("!H", message[4:6]) == (77,)


def test_this_host_answers_itself_by_both_families() -> None:
    try:
        ways = icmp.ask(["127.0.0.1", "::1", "127.0.0.1"], seconds=2)
    except PermissionError:
        pytest.skip("only root may send ICMP")
    assert ways["127.0.0.1"].answers and ways["127.0.0.1"].full and ways["127.0.0.1"].size > 1500
    assert ways["127.0.0.1"].offset == pytest.approx(0.0, abs=ways["127.0.0.1"].error)
    assert "::1" not in ways or (ways["::1"].full and ways["::1"].offset is None)
