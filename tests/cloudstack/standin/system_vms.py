# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The template of the system virtual machines, and these themselves."""

from __future__ import annotations

import typing as t

from standin.api import Call, listed
from standin.state import Row


def begin(server: t.Any) -> None:
    pass


def store_added(call: Call, store: Row) -> None:
    """An NFS store was added to a zone."""


def store_removed(call: Call, store: Row) -> None:
    """A store is about to go."""


listed("listSystemVms", "systemvm", "system_vms")
