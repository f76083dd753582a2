# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of everything that there is."""

from __future__ import annotations

import collections
import threading
import time
import typing as t
import uuid

Row = t.Dict[str, t.Any]


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime())


class State:
    """Tables of rows by id. A key that begins with "_" is never shown. Whoever reads or writes holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._tables: t.Dict[str, t.Dict[str, Row]] = collections.defaultdict(dict)
        self._numbers: t.Dict[str, int] = collections.Counter()

    def add(self, table: str, **row: t.Any) -> Row:
        """Keep a row; what is None is left out. It gets an id where it has none, and the number that the database would give it (_number)."""
        self._numbers[table] += 1
        made = {"id": row.pop("id", None) or str(uuid.uuid4()), **{key: value for key, value in row.items() if value is not None}}
        made["_number"] = self._numbers[table]
        self._tables[table][made["id"]] = made
        return made

    def get(self, table: str, key: t.Optional[str]) -> Row:
        """The row of an id; an empty one where there is none."""
        return self._tables[table].get(key or "", {})

    def rows(self, table: str, **equal: t.Any) -> t.List[Row]:
        return [row for row in self._tables[table].values() if all(row.get(key) == value for key, value in equal.items())]

    def remove(self, table: str, key: str) -> None:
        self._tables[table].pop(key, None)

    def known(self, key: str) -> bool:
        """Whether there is anything of that id."""
        return any(key in rows for rows in self._tables.values())

    def joined(self, row: Row) -> Row:
        """A row with the names of what it belongs to."""
        found = dict(row)
        for table, key, name in (("zones", "zoneid", "zonename"), ("pods", "podid", "podname"), ("clusters", "clusterid", "clustername")):
            if row.get(key):
                found[name] = self.get(table, row[key]).get("name")
        return found


def told(kind: str, row: Row) -> str:
    """A row as the server writes it into its errors."""
    number, name, key = row["_number"], row["name"], row["id"]
    if kind == "Zone":
        return f'Zone {{"id": "{number}", "name": "{name}", "uuid": "{key}"}}'
    if kind == "Cluster":
        return f'Cluster {{id: "{number}", name: "{name}", uuid: "{key}"}}'
    if kind == "StoragePool":
        return f'StoragePool {{"id":{number},"name":"{name}","poolType":"{row["type"]}","uuid":"{key}"}}'
    return f'{kind} {{"id":{number},"name":"{name}","uuid":"{key}"}}'
