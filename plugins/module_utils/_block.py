# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marked blocks: lines of this collection in files that others write too. Pure.

The marks are those of ansible.builtin.blockinfile: "# BEGIN name" and "# END name".

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t


def read(text: str, name: str) -> t.Optional[str]:
    """Return the lines of a block without its marks, None where it is not there."""
    lines = text.splitlines(keepends=True)
    place = _place(lines, name)
    return None if place is None else "".join(lines[place[0] + 1 : place[1]])


def put(text: str, name: str, block: t.Optional[str], top: bool = False) -> str:
    """Return the text with a block as it should be: where it is already, else at the end, or at the top. None removes it.

    block: whole lines, each with its end.
    """
    lines = text.splitlines(keepends=True)
    new = [] if block is None else [f"# BEGIN {name}\n", block, f"# END {name}\n"]
    place = _place(lines, name)
    if place is not None:
        lines[place[0] : place[1] + 1] = new
    elif top:
        lines[:0] = new
    elif new:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        lines += new
    return "".join(lines)


def _place(lines: t.Sequence[str], name: str) -> t.Optional[tuple[int, int]]:
    """Return where the marks are. A beginning whose end was lost is none: what follows it may be anybody's."""
    begin = None
    for number, line in enumerate(lines):
        if line.strip() == f"# BEGIN {name}":
            begin = number
        elif line.strip() == f"# END {name}" and begin is not None:
            return begin, number
    return None
