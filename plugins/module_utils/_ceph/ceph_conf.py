# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options in the text of a ceph.conf.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t

SECTION = re.compile(r"^\s*\[(?P<name>[^\]]+)\]\s*$")


def conf_value(text: t.Optional[str], option: str, section: str = "global") -> t.Optional[str]:
    """Return an option of a ceph.conf; spaces, dashes and underscores in its name are one, as for Ceph."""
    current = ""
    value = None
    for line in (text or "").splitlines():
        named = SECTION.match(line)
        if named:
            current = named.group("name").strip()
        elif current == section and "=" in line and not line.lstrip().startswith(("#", ";")):
            name, dummy, found = line.partition("=")
            if conf_name(name) == conf_name(option):
                value = re.split(r"\s[#;]", found, maxsplit=1)[0].strip()
    return value


def conf_name(name: str) -> str:
    """Return the one spelling of an option's name."""
    return re.sub(r"[\s_-]+", "_", name.strip())
