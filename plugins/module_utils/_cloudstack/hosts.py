# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To come.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

OPTIONS: dict[str, t.Any] = {"name": {"type": "str", "required": True}}
LISTS = ("zones",)


def problems(declared: t.Any, where: str) -> list[str]:
    return []


def plan(declared: t.Any, region: t.Any, sheet: t.Any) -> None:
    return None


def plan_state(declared: t.Any, region: t.Any, sheet: t.Any) -> None:
    return None


def returned(declared: t.Any, region: t.Any) -> dict[str, t.Any]:
    return {}
