# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data that moves: how much is left, how fast it goes, and since when nothing has moved. Pure, but for the clock that is given.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

# The flags of the OSD map with which no data moves.
BLOCKING = ("norebalance", "nobackfill", "norecover", "noin", "pauserd", "pausewr")


@dataclasses.dataclass(frozen=True)
class Moment:
    """What of a cluster's data is not where it belongs: objects, and bytes by the average object. rate: bytes a second, as the cluster says."""

    objects: int = 0
    bytes: int = 0
    rate: int = 0
    pgs: int = 0

    @classmethod
    def of(cls, status: t.Mapping[str, t.Any], pgs: int = 0) -> Moment:
        """That of `status`. pgs: how many placement groups are still on the OSDs that are watched."""
        said = status.get("pgmap", {})
        left = said.get("misplaced_objects", 0) + said.get("degraded_objects", 0)
        each = said.get("data_bytes", 0) / max(1, said.get("num_objects", 0))
        return cls(left, int(left * each), said.get("recovering_bytes_per_sec", 0), pgs)


class Watch:
    """Sees moments one after the other. patience: seconds without any movement after which it has stalled."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._most, self._last, self._least = Moment(), Moment(), (0, 0)
        self._began: t.Optional[float] = None
        self._moved = self._now = 0.0

    def see(self, now: float, moment: Moment) -> None:
        """now: seconds of a clock that never goes back."""
        if self._began is None or moment.objects > self._most.objects:  # the cluster needs some seconds to see all that is to move
            self._most, self._began, self._moved = moment, now, now
            self._least = (moment.objects, moment.pgs)
        elif moment.objects < self._least[0] or moment.pgs < self._least[1] or moment.rate:
            self._least, self._moved = (min(moment.objects, self._least[0]), min(moment.pgs, self._least[1])), now
        self._last, self._now = moment, now

    @property
    def stalled(self) -> bool:
        return self._now - self._moved >= self.patience

    @property
    def idle(self) -> float:
        """Seconds since something moved."""
        return self._now - self._moved

    def text(self) -> str:
        """ "41 % moved, 118 MiB/s, 3 min left" """
        last, most = self._last, self._most
        done = 100.0 * (1 - last.objects / most.objects) if most.objects else 0.0
        since = self._now - (self._began or 0.0)
        rate = (most.bytes - last.bytes) / since if since > 0 else 0.0
        rate = rate if rate > 0 else float(last.rate)
        parts = [f"{done:.0f} % moved", f"{shown_bytes(last.bytes)} left"]
        if rate > 0:
            parts += [f"{shown_bytes(int(rate))}/s", f"{_duration(last.bytes / rate)} to go"]
        if last.pgs:
            parts.append(f"{last.pgs} placement groups still there")
        if self.idle >= 30:
            parts.append(f"nothing has moved for {self.idle:.0f} s")
        return ", ".join(parts)


def shown_bytes(count: int) -> str:
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.3g} {unit}" if amount < 1000 else f"{amount:.0f} {unit}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def why_nothing_moves(status: t.Mapping[str, t.Any], health: t.Mapping[str, t.Any], flags: str) -> str:
    """What the cluster itself says of data that does not move: flags, states of placement groups, health checks."""
    said = []
    blocking = [flag for flag in flags.split(",") if flag in BLOCKING]
    if blocking:
        said.append(f"set: {', '.join(blocking)}")
    states = [f"{entry['count']} {entry['state_name']}" for entry in status.get("pgmap", {}).get("pgs_by_state", []) if entry["state_name"] != "active+clean"]
    if states:
        said.append("placement groups: " + ", ".join(states))
    said += [f"{name}: {check['summary']['message']}" for name, check in sorted(health.get("checks", {}).items())]
    return "; ".join(said) or "all placement groups are active+clean"
