# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd: what they are; starting and stopping them.

PRIVATE to the collection.
"""

from __future__ import annotations

import calendar
import dataclasses
import os
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

# A drop-in of this name in a unit's folder is this collection's own.
DROP_IN = "cephstack.conf"


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit: whether it starts at boot and runs, how it fares ("active", "failed", ...), and its process.

    began: when its process began, in whole seconds since 1970. stale: whether systemd has not read its files as they are now.
    """

    enabled: bool = False
    active: bool = False
    state: str = "inactive"
    pid: int = 0
    installed: bool = False
    masked: bool = False
    began: int = 0
    stale: bool = False

    @property
    def there(self) -> bool:
        """Whether something of it runs, also while it stops: a run that was ended may have begun that."""
        return self.active or self.state == "deactivating"


NO_UNIT = Unit()


def units(names: t.Sequence[str]) -> dict[str, Unit]:
    """Return the units by name. A unit that does not exist is neither enabled nor active.

    So is every unit where systemd does not run, as in an image that is being made.
    """
    if not names or not os.path.isdir("/run/systemd/system"):
        return dict.fromkeys(names, NO_UNIT)
    found = show(names)
    return {name: found.get(name, NO_UNIT) for name in names}


def show(names: t.Sequence[str], instances: bool = False) -> dict[str, Unit]:
    """Return what systemd says of units by name, read by one process. Raises Unreachable.

    instances: names may be patterns, which stand for those that systemd knows, also where they do not run.
    """
    # Not the monotonic time: a clock that was set since would make files seem newer than they were at the start.
    properties = "--property=Id,LoadState,UnitFileState,ActiveState,MainPID,NeedDaemonReload,ExecMainStartTimestamp"
    try:
        return parse_units(process.run(["env", "TZ=UTC", "systemctl", "show", *["--all"] * instances, properties, *names], timeout=60))
    except (process.CommandError, ValueError) as error:
        raise Unreachable(f"systemd of this host cannot be asked: {error}") from error


def parse_units(text: str) -> dict[str, Unit]:
    """Return the units that systemctl show prints, by name. Raises ValueError for times that are not as expected. Pure."""
    found = {}
    for block in text.split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        began = values.get("ExecMainStartTimestamp", "").partition(" ")[2]  # without the day of the week
        state = values.get("ActiveState", "inactive")
        found[values.get("Id", "")] = Unit(
            enabled=values.get("UnitFileState") in ("enabled", "enabled-runtime", "static"),
            active=state in ("active", "activating", "reloading"),
            state=state,
            pid=int(values.get("MainPID") or 0),
            installed=values.get("LoadState") not in (None, "", "not-found"),
            masked=values.get("UnitFileState") == "masked",
            began=calendar.timegm(time.strptime(began, "%Y-%m-%d %H:%M:%S UTC")) if began else 0,
            stale=values.get("NeedDaemonReload") == "yes",
        )
    return found


def start(name: str) -> None:
    """Enable a unit and start it; clears the memory of starts that failed before."""
    _forget_failures(name)
    process.run(["systemctl", "enable", "--now", name], timeout=180)


def restart(*names: str) -> None:
    """Restart units, all at once."""
    _forget_failures(*names)
    process.run(["systemctl", "restart", *names], timeout=300)


def _forget_failures(*names: str) -> None:
    """Ceph's units may start three to five times in half an hour; what failed before must not count."""
    try:
        process.run(["systemctl", "reset-failed", *names], timeout=60)
    except process.CommandError:
        pass  # a unit that was never loaded has nothing to forget


def last_words(name: str) -> str:
    """Return the last lines of a unit's journal, for an error message."""
    try:
        text = process.run(["journalctl", "-q", "-u", name, "-n", "4", "-o", "cat", "--no-pager"], timeout=30)
    except process.CommandError:
        return ""
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())


def stop(name: str) -> None:
    """Stop a unit, and keep it from starting by itself: at boot, and until then, for which ceph-volume enables its OSDs. Nor is it told as failed then."""
    process.run(["systemctl", "disable", "--now", name], timeout=300)
    process.run(["systemctl", "disable", "--runtime", name], timeout=60)
    _forget_failures(name)


def stop_now(names: t.Sequence[str]) -> None:
    """Stop units side by side. Whether they start at boot stays as it is."""
    process.run(["systemctl", "stop", *names], timeout=600)


def start_now(names: t.Sequence[str]) -> None:
    """Start units side by side; clears the memory of starts that failed before. Whether they start at boot stays as it is."""
    for name in names:
        _forget_failures(name)
    process.run(["systemctl", "start", *names], timeout=600)


def drop_in_path(unit: str) -> str:
    """Where the collection's own drop-in of a unit or template ("ceph-mgr@.service") lies."""
    return f"/etc/systemd/system/{unit}.d/{DROP_IN}"
