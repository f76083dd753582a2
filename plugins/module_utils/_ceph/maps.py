# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster is: its maps, read once and side by side over one connection. How a kind reads them is said with the kind.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret

Raw = t.Mapping[str, t.Any]
# What is asked, by the name that it has in Maps.
_WHOLE = {
    "osd": "osd dump", "crush": "osd crush dump", "mon": "mon dump", "fs": "fs dump", "mgr_modules": "mgr module ls", "release": "versions",
    "options": "config dump", "auth": "auth ls", "df": "df",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Maps:
    """What a cluster is, as its monitors say. A cluster that isn't there yet has empty maps (Maps()).

    osd, mon, fs, mgr_modules, df: the JSON of `osd dump`, `mon dump`, `fs dump`, `mgr module ls`, `df`. crush: of `osd crush dump`.
    auth: {entity: {key, caps}}. options: {(who, name): value}. help: {name: `config help`}, None inside where there is no such option.
    """

    fsid: t.Optional[str] = None
    release: t.Tuple[int, ...] = ()
    osd: Raw = dataclasses.field(default_factory=dict)
    crush: Raw = dataclasses.field(default_factory=dict)
    mon: Raw = dataclasses.field(default_factory=dict)
    fs: Raw = dataclasses.field(default_factory=dict)
    mgr_modules: Raw = dataclasses.field(default_factory=dict)
    df: Raw = dataclasses.field(default_factory=dict)
    auth: t.Mapping[str, Raw] = dataclasses.field(default_factory=dict)
    options: t.Mapping[t.Tuple[str, str], str] = dataclasses.field(default_factory=dict)
    help: t.Mapping[str, t.Optional[Raw]] = dataclasses.field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is no cluster yet."""
        return self.fsid is None

    @functools.cached_property
    def rule_names(self) -> dict[int, str]:
        """The names of the CRUSH rules, by number."""
        return {raw["rule_id"]: raw["rule_name"] for raw in self.crush.get("rules", [])}

    def pools_by(self, key: str) -> dict[t.Any, list[str]]:
        """The pools' names, by something that `osd dump` has of them; by the names of their rules for crush_rule."""
        found: dict[t.Any, list[str]] = {}
        for raw in self.osd.get("pools", []):
            found.setdefault(self.rule_names.get(raw[key], "") if key == "crush_rule" else raw.get(key), []).append(raw["pool_name"])
        return found

    @property
    def require_min_compat_client(self) -> str:
        """The release that clients must have at least, "" where none is required."""
        name = str(self.osd.get("require_min_compat_client", ""))
        return name if name in values.RELEASES else ""

    @property
    def default_rule(self) -> t.Optional[str]:
        """The rule that Ceph gives a replicated pool: osd_pool_default_crush_rule, else the first one for replicated pools."""
        chosen = self.default_int("osd_pool_default_crush_rule", -1)
        by_id = sorted((raw["rule_id"], raw["rule_name"], raw["type"]) for raw in self.crush.get("rules", []))
        return next((name for number, name, kind in by_id if (number == chosen if chosen >= 0 else kind == 1)), None)

    def default_int(self, option: str, otherwise: int) -> int:
        """An option as the mons have it: from the configuration database, else what the release says, else the given."""
        for section in ("mon", "global"):
            if (section, option) in self.options:
                return values.count(self.options[(section, option)])
        default = (self.help.get(option) or {}).get("default", "")
        return values.count(default) if str(default).lstrip("-").isdigit() else otherwise

    def used_bytes(self, pool: str) -> int:
        """Raw bytes that a pool takes up, copies included; 0 where that is not known."""
        return next((int(entry["stats"].get("bytes_used", 0)) for entry in self.df.get("pools", []) if entry["name"] == pool), 0)

    @property
    def ciphers(self) -> dict[str, t.Any]:
        """The ciphers of cephx, {} on releases that know one only."""
        allowed = self.mon.get("auth_allowed_ciphers")
        if allowed is None:
            return {}
        found: dict[str, t.Any] = {key: _cipher(self.mon.get(f"auth_{key}_cipher", "")) for key in ("preferred", "service")}
        return {"allowed": sorted(map(_cipher, allowed.replace(",", " ").split() if isinstance(allowed, str) else allowed)), **found}


def _cipher(value: t.Any) -> str:
    if isinstance(value, dict):
        value = value.get("name") or value.get("type")
    return {"1": "aes", "2": "aes256k"}.get(str(value), str(value))


def auth_of(dump: Raw) -> dict[str, dict[str, t.Any]]:
    """`auth ls` as {entity: {key, caps}}."""
    return {entry["entity"]: {"key": Secret(entry.get("key", "")), "caps": entry.get("caps", {})} for entry in dump["auth_dump"]}


def version_of(versions: Raw) -> tuple[int, ...]:
    """The oldest release among the monitors, of `versions`; of all daemons where no mon says one."""
    found = []
    for text in versions.get("mon") or versions.get("overall") or {}:
        with contextlib.suppress(ValueError):
            found.append(values.version(text))
    return min(found, default=())


def options_of(dump: t.Sequence[Raw]) -> dict[tuple[str, str], str]:
    """`config dump`, as {(section with its masks in their order, option): value}."""
    found = {}
    for entry in dump:
        masks = sorted(part for part in entry.get("mask", "").split("/") if part)
        found[("/".join((entry["section"], *masks)), entry["name"])] = str(entry["value"])
    return found


def read(connection: Connection, asked: t.Iterable[str] = ()) -> Maps:
    """Read all maps, side by side. asked: the options of which the types are wanted."""
    names = sorted({"mon_max_pg_per_osd", "osd_pool_default_size", "osd_pool_default_pg_num", *asked})

    def ask(prefix: str, key: t.Optional[str] = None) -> t.Any:
        try:
            return connection.command(prefix, key=key)
        except CommandFailed as error:
            if prefix == "config help" and error.code == errno.ENOENT:
                return None
            if prefix == "df":  # a young cluster has no statistics yet
                return {}
            raise

    with ThreadPoolExecutor(max_workers=32) as pool:
        maps = pool.map(ask, _WHOLE.values())
        about = pool.map(ask, ["config help"] * len(names), names)
    found: dict[str, t.Any] = dict(zip(_WHOLE, maps))
    found.update(
        release=version_of(found["release"]),
        options=options_of(found["options"]),
        auth=auth_of(found["auth"]),
        df=found["df"] if isinstance(found["df"], dict) else {},
    )
    return Maps(found["osd"].get("fsid") or connection.fsid, **found, help=dict(zip(names, about)))
