# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of configuration files that others write too: what of it is this collection's is read and put there, all else stays. Pure.

Marked blocks have the marks of ansible.builtin.blockinfile: "# BEGIN name" and "# END name".

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t


def sections(text: str) -> t.Iterator[tuple[str, str]]:
    """Return the lines of a file that has sections as "[name]", each with the section that it is in: a head in its own, "" before the first."""
    section = ""
    for line in text.splitlines():
        head = re.fullmatch(r"\[([^\]]+)\]", line.strip())
        if head:
            section = head[1].strip()
        yield section, line


def key(line: str) -> str:
    """Return the name in a line "name = value", "" where it is none."""
    return line.partition("=")[0].strip() if "=" in line else ""


def put_values(
    text: str,
    values: t.Mapping[str, t.Optional[str]],
    form: str,
    name_of: t.Callable[[str], str] = key,
    value_of: t.Callable[[str], t.Optional[str]] = lambda line: None,
    section: str = "",
) -> str:
    """Return the text in which each name has its value in one line: where its first is already, else at the end. None takes it away.

    form: of a line, such as "{} = {}". name_of, value_of: what a line says; one that says the same already stays as it is.
    section: the only one that counts, made at the top where there is none; "" in a file that has no sections.
    """
    lines: list[str] = []
    seen: set[str] = set()
    end = 0
    if section and section not in (here for here, _line in sections(text)):
        lines, end = [f"[{section}]", *([""] if text else [])], 1
    for here, line in sections(text) if section else (("", line) for line in text.splitlines()):
        name = name_of(line)
        if here == section and name in values:
            value = values[name]
            if value is None or name in seen:
                continue
            seen.add(name)
            if value_of(line) != value:
                line = form.format(name, value)
        lines.append(line)
        if here == section and (line.strip() or not section):
            end = len(lines)
    lines[end:end] = [form.format(name, value) for name, value in values.items() if value is not None and name not in seen]
    return "".join(f"{line}\n" for line in lines)


def setting(text: str, name: str) -> t.Optional[str]:
    """Return the line that sets something, None where there is none. The last one counts."""
    found = [line for line in text.splitlines() if key(line) == name]
    return found[-1] if found else None


def put_setting(text: str, name: str, line: str) -> str:
    """Return the text with that line in the place of the last that sets it, else at the end."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    places = [number for number, old in enumerate(lines) if key(old) == name]
    at = places[-1] if places else len(lines)
    lines[at : at + 1] = [f"{line}\n"]
    return "".join(lines)


def block(text: str, name: str) -> t.Optional[str]:
    """Return the lines of a block without its marks, None where it is not there."""
    lines = text.splitlines(keepends=True)
    place = _place(lines, name)
    return None if place is None else "".join(lines[place[0] + 1 : place[1]])


def put_block(text: str, name: str, new: t.Optional[str], top: bool = False) -> str:
    """Return the text with a block as it should be: where it is already, else at the end, or at the top. None removes it.

    new: whole lines, each with its end.
    """
    lines = text.splitlines(keepends=True)
    marked = [] if new is None else [f"# BEGIN {name}\n", new, f"# END {name}\n"]
    place = _place(lines, name)
    if place is not None:
        lines[place[0] : place[1] + 1] = marked
    elif top:
        lines[:0] = marked
    elif marked:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        lines += marked
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
