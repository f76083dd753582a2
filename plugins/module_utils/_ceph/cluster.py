# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster: its maps, read once and side by side over one connection, and the plan that leads to what is declared.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
import threading
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers, _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import (
    clients,
    crush,
    erasure_profiles,
    filesystems,
    flags,
    mgr_modules,
    options,
    pools,
    values,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.declaration import declared_problems
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Unreachable

# How long a mon may take to hear of an option that was just set (it learns of it by the next proposal).
_PATIENCE = 10.0


@dataclasses.dataclass(frozen=True)
class Maps:
    """What a cluster is, as its monitors say. A cluster that isn't there yet has empty maps (Maps()).

    osd, mon, fs, mgr_modules, df: the JSON of `osd dump`, `mon dump`, `fs dump`, `mgr module ls`, `df`. crush: of `osd crush dump`.
    auth: {entity: {key, caps}}. options: {(who, name): value}. help: {name: `config help`}, None inside where there is no such option.
    """

    fsid: t.Optional[str] = None
    release: t.Tuple[int, ...] = ()
    osd: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    crush: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    mon: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    fs: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    mgr_modules: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    df: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    auth: t.Mapping[str, t.Mapping[str, t.Any]] = dataclasses.field(default_factory=dict)
    options: t.Mapping[t.Tuple[str, str], str] = dataclasses.field(default_factory=dict)
    help: t.Mapping[str, t.Optional[t.Mapping[str, t.Any]]] = dataclasses.field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is no cluster yet."""
        return self.fsid is None

    @functools.cached_property
    def tree(self) -> crush.Tree:
        """Where buckets and OSDs stand."""
        return crush.Tree(self.crush) if self.crush else crush.Tree.empty()

    @functools.cached_property
    def rules(self) -> dict[str, crush.Rule]:
        """The CRUSH rules, by name."""
        return crush.rules_of(self.crush)

    @functools.cached_property
    def pools(self) -> dict[str, dict[str, t.Any]]:
        """The pools, by name, in the words of the declaration."""
        names = {rule["rule_id"]: rule["rule_name"] for rule in self.crush.get("rules", [])}
        return {raw["pool_name"]: pools.observe(raw, names) for raw in self.osd.get("pools", [])}

    @property
    def profiles(self) -> dict[str, dict[str, str]]:
        """The erasure-code profiles, by name."""
        return dict(self.osd.get("erasure_code_profiles", {}))

    @functools.cached_property
    def filesystems(self) -> dict[str, dict[str, t.Any]]:
        """The filesystems, by name."""
        return filesystems.observe(self.fs, {pool["id"]: name for name, pool in self.pools.items()})

    def filesystem_of(self, pool_id: int) -> t.Optional[str]:
        """The filesystem that uses a pool."""
        return next((name for name, found in self.filesystems.items() if pool_id in found["pool_ids"]), None)

    @property
    def flags(self) -> set[str]:
        """The cluster-wide flags that are set."""
        return {flag for flag in self.osd.get("flags", "").split(",") if flag}

    @property
    def require_min_compat_client(self) -> str:
        """The release that clients must have at least, "" where none is required."""
        name = str(self.osd.get("require_min_compat_client", ""))
        return name if name in values.RELEASES else ""

    @property
    def has_osds(self) -> bool:
        """Whether any OSD stands in the CRUSH map."""
        return bool(self.tree.osds("default")) or any(kind == "osd" for kind in self.tree.types.values())

    @property
    def mgr_available(self) -> bool:
        """Whether a manager has told its modules."""
        return bool(self.mgr_modules.get("always_on_modules") or self.mgr_modules.get("enabled_modules") or self.mgr_modules.get("disabled_modules"))

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
        about = self.help.get(option)
        return values.count(about["default"]) if about and str(about.get("default", "")).lstrip("-").isdigit() else otherwise

    def used_bytes(self, pool: str) -> int:
        """Raw bytes that a pool takes up, copies included; 0 where that is not known."""
        return next((int(entry["stats"].get("bytes_used", 0)) for entry in self.df.get("pools", []) if entry["name"] == pool), 0)

    @functools.cached_property
    def ciphers(self) -> dict[str, t.Any]:
        """The ciphers of cephx, {} on releases that know one only."""
        dump = self.mon
        if "auth_allowed_ciphers" not in dump:
            return {}
        return {
            "allowed": sorted(_cipher(entry) for entry in _entries(dump["auth_allowed_ciphers"])),
            "preferred": _cipher(dump.get("auth_preferred_cipher", "")),
            "service": _cipher(dump.get("auth_service_cipher", "")),
        }

    def mon_host(self) -> str:
        """The monitors' addresses in the one form that all hosts are given: by rank, v2 before v1."""
        return mon_host(self.mon)


def _entries(value: t.Any) -> list[t.Any]:
    return list(value) if isinstance(value, (list, tuple)) else [part.strip() for part in str(value).split(",") if part.strip()]


def _cipher(value: t.Any) -> str:
    if isinstance(value, dict):
        value = value.get("name") or value.get("type")
    return {"1": "aes", "2": "aes256k"}.get(str(value), str(value))


def mon_host(dump: t.Mapping[str, t.Any]) -> str:
    """`mon dump` as the value of mon_host: "[v2:10.0.0.1:3300,v1:10.0.0.1:6789] …", sorted by address so that it never changes by itself."""
    hosts = []
    for mon in dump.get("mons", []):
        vector = sorted(mon["public_addrs"]["addrvec"], key=lambda entry: entry["type"], reverse=True)
        hosts.append("[" + ",".join(f"{entry['type']}:{entry['addr']}" for entry in vector) + "]")
    return " ".join(sorted(hosts))


def version_of(versions: t.Mapping[str, t.Any]) -> tuple[int, ...]:
    """The oldest release among the monitors, of `versions`; of all daemons where no mon says one."""
    found = []
    for text in versions.get("mon") or versions.get("overall") or {}:
        with contextlib.suppress(ValueError):
            found.append(values.version(text))
    return min(found, default=())


def read(connection: Connection, asked: t.Iterable[str] = (), with_mgr: bool = True) -> Maps:
    """Read all maps, side by side. asked: the options of which the types are wanted."""
    names = sorted({"mon_max_pg_per_osd", "osd_pool_default_size", "osd_pool_default_pg_num", *asked})
    calls: list[tuple[str, dict[str, t.Any]]] = [
        ("osd dump", {}), ("osd crush dump", {}), ("mon dump", {}), ("fs dump", {}), ("versions", {}), ("config dump", {}), ("auth ls", {}), ("df", {}),
    ]  # fmt: skip
    if with_mgr:
        calls.append(("mgr module ls", {}))

    def ask(call: tuple[str, dict[str, t.Any]]) -> t.Any:
        try:
            return connection.command(call[0], **call[1])
        except CommandFailed as error:
            if call[0] == "config help" and error.code == errno.ENOENT:
                return None
            if call[0] == "df":  # a young cluster has no statistics yet
                return {}
            raise

    every = [*calls, *(("config help", {"key": name}) for name in names)]
    with _workers(len(every)) as pool:
        found = list(pool.map(ask, every))
    osd, crush_dump, mon, fs, versions, config, auth, df = found[:8]
    return Maps(
        fsid=osd.get("fsid") or connection.fsid,
        release=version_of(versions),
        osd=osd,
        crush=crush_dump,
        mon=mon,
        fs=fs,
        mgr_modules=found[8] if with_mgr else {},
        df=df if isinstance(df, dict) else {},
        auth={entry["entity"]: {"key": entry.get("key", ""), "caps": entry.get("caps", {})} for entry in auth["auth_dump"]},
        options=options.observe(config),
        help=dict(zip(names, found[len(calls) :])),
    )


def _workers(count: int) -> t.Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=max(1, min(32, count)))


class Gates:
    """Options that must be true while something dangerous is done, and that are as they were afterwards.

    Those who need one may come and go side by side: the first sets it, the last takes it back.
    """

    def __init__(self, send: t.Callable[..., t.Any]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}
        self._before: dict[str, t.Optional[str]] = {}

    @contextlib.contextmanager
    def open(self, option: str) -> t.Iterator[None]:
        """Hold an option of the mons true."""
        with self._lock:
            if not self._open.get(option):
                entries = options.observe(self._send("config dump"))
                has = entries.get(("mon", option))
                effective = has if has is not None else entries.get(("global", option))
                if effective is not None and values.boolean(effective):
                    self._before.pop(option, None)
                else:
                    self._before[option] = has
                    self._send("config set", who="mon", name=option, value="true")
            self._open[option] = self._open.get(option, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._open[option] -= 1
                if not self._open[option] and option in self._before:
                    before = self._before.pop(option)
                    if before is None:
                        self._send("config rm", who="mon", name=option)
                    else:
                        self._send("config set", who="mon", name=option, value=before)


_KINDS = (
    "client", "cluster", "cephx", "crush_bucket", "crush_location", "crush_rule", "device_class", "erasure_profile", "filesystem", "flag", "mgr_module",
    "option", "pool",
)  # fmt: skip


class Draft(_plan.Draft):
    """What planning writes on, and what the kinds must know of each other."""

    def __init__(self, connection: t.Optional[Connection], prefix: str, declaration: t.Mapping[str, t.Any]) -> None:
        super().__init__(prefix, _KINDS)
        self._connection = connection
        self._declaration = declaration
        self._gates = Gates(self.send)
        present = [item for item in declaration["pools"] if item["state"] == "present"]
        self.wanted_rules = {item["rule"] for item in present if item.get("rule")}
        self.wanted_profiles = {item["erasure_profile"] for item in present if item.get("erasure_profile")}
        self.bucket_needs = frozenset(f"crush_bucket/{item['name']}" for item in declaration["crush"]["buckets"] if item["state"] == "present")
        # Options that decide what a pool may be or becomes.
        relevant = [(options.who(*options.split_section(section)), option) for section, option, _value in options.flat(declaration["options"])]
        self.option_needs = frozenset(f"option/{who}/{name}" for who, name in relevant if name.startswith(("osd_pool_default_", "mon_max_p", "mon_allow_")))
        self.cipher_needs = frozenset({"cephx/allowed"} if (declaration["cephx"] or {}).get("allowed") else ())

    def leaving_rule(self, rule: str) -> set[str]:
        """The pools that are deleted, or that are given another rule."""
        pool_changes = [change for change in self.changes if change.kind == "pool"]
        return {change.name for change in pool_changes if change.action == "delete" or (change.action == "update" and change.after.get("rule", rule) != rule)}

    def option_int(self, name: str, otherwise: int) -> int:
        """An option as the declaration will have it."""
        for section, option, value in options.flat(self._declaration["options"]):
            if option == name and section in ("global", "mon") and value is not None:
                with contextlib.suppress(ValueError):
                    return values.count(value)
        return otherwise

    def oldest_client(self, maps: Maps) -> str:
        """The release of clients that will be required at least, "" where none is."""
        declared = self._declaration.get("require_min_compat_client")
        return str(declared) if declared in values.RELEASES else maps.require_min_compat_client

    # -- used when changes are applied

    def send(self, prefix: str, inbuf: bytes = b"", **arguments: t.Any) -> t.Any:
        """Send a command; arguments that are None are left out."""
        if self._connection is None:
            raise AssertionError("a plan against no cluster is never applied")
        return self._connection.command(prefix, inbuf, **arguments)

    def many(self, calls: t.Sequence[tuple[str, dict[str, t.Any]]]) -> None:
        """Send commands side by side."""
        if self._connection is None:
            raise AssertionError("a plan against no cluster is never applied")
        if calls:
            self._connection.many(calls)

    def gate(self, option: str, needed: bool = True) -> t.ContextManager[None]:
        """Hold a dangerous option true for as long as it is needed."""
        return self._gates.open(option) if needed else contextlib.nullcontext()

    def patiently(self, prefix: str, **arguments: t.Any) -> t.Any:
        """Send a command that may be refused until the mons have heard of the gate's option."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return self.send(prefix, **arguments)
            except CommandFailed as error:
                if error.code != errno.EPERM or time.monotonic() > end:
                    raise
                time.sleep(0.1)


def plan(declaration: t.Mapping[str, t.Any], maps: Maps, connection: t.Optional[Connection] = None, me: str = "client.admin", prefix: str = "") -> Plan:
    """Compare what is declared (complete, as an argument spec gives it) with what is. Pure. Raises Invalid with all problems."""
    sheet = Draft(connection, prefix, declaration)
    prune = set(declaration["prune"])
    fsid = declaration.get("fsid")
    if fsid and maps.fsid and values.fsid(fsid) != values.fsid(maps.fsid):
        sheet.problem(f"ceph.fsid is {fsid}, and the cluster that answers is {maps.fsid}: mend the variable, or the monitors' addresses")
        return sheet.plan()
    mons = len(maps.mon.get("mons", []))
    if mons and mons % 2 == 0:
        sheet.warn(f"the cluster has {mons} monitors, which survive no more failures than {mons - 1}: use an odd number")
    # As things will be.
    crush_declared = declaration["crush"]
    tree = crush.projected(crush_declared, maps.tree)
    profiles = {name: dict(profile) for name, profile in maps.profiles.items()}
    for item in declaration["erasure_profiles"]:
        if item["state"] == "present":
            profiles[item["name"]] = erasure_profiles.full(item, maps.profiles.get(item["name"]))
        else:
            profiles.pop(item["name"], None)
    rules = dict(maps.rules)
    for item in crush_declared["rules"]:
        if item["state"] == "present":
            rules[item["name"]] = crush.declared_rule(item, profiles)
        else:
            rules.pop(item["name"], None)
    gone = {item["name"] for item in declaration["pools"] if item["state"] == "absent"}
    pool_names = ({*maps.pools} | {item["name"] for item in declaration["pools"]}) - gone
    # The kinds, each after those that it must know of.
    allowed = clients.plan_cephx(declaration["cephx"], maps, sheet)
    options.plan(declaration["options"], maps, sheet, "options" in prune)
    filesystems.plan(declaration["filesystems"], maps, sheet, pool_names, "filesystems" in prune)
    demands = _consumers.demands(declaration["consumers"])
    pools.plan(declaration["pools"], maps, sheet, tree, rules, profiles, demands, "pools" in prune)
    erasure_profiles.plan(declaration["erasure_profiles"], maps, sheet, tree, profiles, "erasure_profiles" in prune)
    crush.plan(crush_declared, maps, sheet, tree, rules, profiles, "rules" in prune)
    everyone = [*declaration["clients"], *_consumers.clients(declaration["consumers"])]
    clients.plan(everyone, maps, sheet, pool_names, allowed, me, "clients" in prune)
    flags.plan(declaration["flags"], maps, sheet)
    flags.plan_client(declaration.get("require_min_compat_client"), maps, sheet)
    mgr_modules.plan(declaration["mgr_modules"], maps, sheet)
    return sheet.plan()


class ClusterProvider:
    """Everything declared of one cluster, for the engine. Use as a context manager; connects when it first observes.

    declaration: the parameters of the module ceph_cluster.
    """

    def __init__(self, declaration: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any], check_mode: bool = False, prefix: str = "") -> None:
        self._declaration = declaration
        self._options = connection
        self._prefix = prefix
        self._check_mode = check_mode
        self._open: t.Optional[Connection] = None

    def __enter__(self) -> ClusterProvider:
        return self

    def __exit__(self, *unused: object) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None

    def observe(self) -> Maps:
        """Read the maps; empty ones in check mode where no cluster has been made yet. Raises Unreachable, and Invalid before it connects."""
        found = declared_problems({key: self._declaration[key] for key in self._declaration if key not in ("connection", "arm")}, prefix=self._prefix)
        if found:
            raise Invalid(found)
        if nowhere(self._options) and self._check_mode:
            return Maps()
        if self._open is None:
            self._open = Connection(self._options).__enter__()
        try:
            return read(self._open, [name for _section, name, _value in options.flat(self._declaration["options"])])
        except CommandFailed as error:
            rights = ": this client may not read what is needed; use client.admin" if error.code in (errno.EACCES, errno.EPERM) else ""
            raise Unreachable(f"{error}, asked as {self._open.client}{rights}") from error

    def plan(self, observed: Maps) -> Plan:
        """Compare."""
        return plan(self._declaration, observed, self._open, self._options.get("client") or "client.admin", self._prefix)

    def returned(self, observed: Maps) -> dict[str, t.Any]:
        """The cluster in short, and what hosts need of each consumer (no keys)."""
        return {
            "cluster": {"fsid": observed.fsid, "version": values.shown(observed.release), "mon_host": observed.mon_host()},
            "consumers": _consumers.derived(self._declaration["consumers"], observed.fsid),
        }


def nowhere(connection: t.Mapping[str, t.Any]) -> bool:
    """Whether nothing says where a cluster could be: no monitors were named, and there is no configuration file."""
    return not connection.get("mon_host") and not os.path.exists(connection.get("conf") or "/etc/ceph/ceph.conf")
