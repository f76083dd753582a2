# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service and the files that it reads when it starts: whether it has read them as they are now.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import Unit


def unread(unit: Unit, times: t.Mapping[str, int], written: t.Container[str] = ()) -> list[str]:
    """Return why a service that runs does not know its files, one reason a file. A run that was cut off before a restart has left it so, too. Pure.

    times: when each was changed (files.changed), 0 where it is not there. written: those that change now.
    """
    return [f"{path} {'changes' if path in written else 'is newer than its start'}" for path, time in times.items() if path in written or time > unit.began]
