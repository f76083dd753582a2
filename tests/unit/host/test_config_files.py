# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is ours in a file of others is read and put there, and nothing else is touched."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host.config_files import block, key, put_block, put_values, sections

OTHERS = "# of others\nuser = root\n"
BLOCK = "# BEGIN us\na = 1\nb = 2\n# END us\n"


@pytest.mark.parametrize(
    ("text", "inside"),
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
def test_what_is_between_the_marks(text: str, inside: str | None) -> None:
    assert block(text, "us") == inside


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
    assert put_block(text, "us", "a = 1\nb = 2\n", top) == after
    assert block(after, "us") == "a = 1\nb = 2\n"
    assert put_block(after, "us", "a = 1\nb = 2\n", top) == after


@pytest.mark.parametrize("text", [OTHERS + BLOCK + OTHERS, BLOCK, OTHERS, "user = root", ""])
def test_it_goes_without_a_trace(text: str) -> None:
    assert put_block(text, "us", None) == text.replace(BLOCK, "")


SECTIONS = "a = 0\n[one]\n# a = 0\na = 1 # so\n\n[two]\na = 2\n"


def test_a_line_is_in_the_section_whose_head_is_above_it() -> None:
    assert [(section, key(line)) for section, line in sections(SECTIONS) if key(line)] == [("", "a"), ("one", "# a"), ("one", "a"), ("two", "a")]


def test_a_list_of_addresses_is_no_head() -> None:
    text = "[global]\nmon_host = \\\n  [v2:10.0.0.1:3300],[v2:10.0.0.2:3300]\nfsid = f\n"
    assert [section for section, line in sections(text) if key(line) == "fsid"] == ["global"]


@pytest.mark.parametrize(
    ("text", "section", "after"),
    [
        (SECTIONS, "one", SECTIONS.replace("a = 1 # so\n", "a = 5\nb = 6\n")),
        (SECTIONS, "two", SECTIONS.replace("a = 2\n", "a = 5\nb = 6\n")),
        ("[one]\na = 1", "three", "[three]\na = 5\nb = 6\n\n[one]\na = 1\n"),
        ("[one]\nc = 1\na=1\na=2\n\n[two]\n[one]\nc=2\n\n", "one", "[one]\na = 5\n\n[two]\n[one]\nb = 6\n\n"),
        ("", "one", "[one]\na = 5\nb = 6\n"),
        ("\n", "one", "[one]\na = 5\nb = 6\n\n\n"),
        ("", "", "a = 5\nb = 6\n"),
        ("[a]\n c=1\na\na=1\n# end\n\n", "", "[a]\na\na = 5\n# end\n\nb = 6\n"),
    ],
)
def test_each_name_has_its_value_in_one_line(text: str, section: str, after: str) -> None:
    values = {"a": "5", "b": "6", "c": None}
    assert put_values(text, values, "{} = {}", section=section) == after
    assert put_values(after, values, "{} = {}", section=section) == after


def test_a_line_that_says_it_already_stays() -> None:
    assert put_values("a=1\nb=1", {"a": "1", "b": "2"}, "{} = {}", value_of=lambda line: line.partition("=")[2]) == "a=1\nb = 2\n"
