# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marked blocks: what is between the marks is ours, and nothing else is touched."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._block import put, read

OTHERS = "# of others\nuser = root\n"
BLOCK = "# BEGIN us\na = 1\nb = 2\n# END us\n"


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("", None),
        (OTHERS, None),
        (OTHERS + BLOCK, "a = 1\nb = 2\n"),
        ("# BEGIN us\n# END us\n", ""),
        ("# BEGIN us too\nc\n# END us too\n", None),
        ("# BEGIN us\nuser = root\n", None),
        ("# END us\nuser = root\n# BEGIN us\n", None),
        ("# BEGIN us\nuser = root\n" + BLOCK, "a = 1\nb = 2\n"),
    ],
)
def test_what_is_between_the_marks(text: str, block: str | None) -> None:
    assert read(text, "us") == block


@pytest.mark.parametrize(
    ("text", "top", "after"),
    [
        (OTHERS, False, OTHERS + BLOCK),
        (OTHERS, True, BLOCK + OTHERS),
        ("", False, BLOCK),
        ("user = root", False, "user = root\n" + BLOCK),
        (OTHERS + "# BEGIN us\nold\n# END us\n" + OTHERS, True, OTHERS + BLOCK + OTHERS),
        ("# BEGIN us\nuser = root\n", False, "# BEGIN us\nuser = root\n" + BLOCK),
    ],
)
def test_it_is_put_where_it_is_or_where_it_should_go(text: str, top: bool, after: str) -> None:
    assert put(text, "us", "a = 1\nb = 2\n", top) == after
    assert read(after, "us") == "a = 1\nb = 2\n"
    assert put(after, "us", "a = 1\nb = 2\n", top) == after


@pytest.mark.parametrize("text", [OTHERS + BLOCK + OTHERS, BLOCK, OTHERS, "user = root", ""])
def test_it_goes_without_a_trace(text: str) -> None:
    assert put(text, "us", None) == text.replace(BLOCK, "")
