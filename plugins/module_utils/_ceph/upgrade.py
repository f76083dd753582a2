# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another release of Ceph: whether the cluster and its hosts can get it, and what the cluster as a whole needs once its daemons have it.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, maps, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps, Raw
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, integer, mapping, records, string, strings

_OFFER = {
    "host": string("The host.", required=True),
    "packages": strings("The packages that it needs.", default=[]),
    "preferred": strings("Those of the packages that are Ceph's.", default=[]),
    "versions": mapping("Of each package the version that is C(installed) and the C(candidate) of apt.", default={}),
    "error": string("Why nothing can be offered there."),
}
OPTIONS: dict[str, t.Any] = {
    "release": string(
        "The release that all daemons are to run, by its name, V(tentacle), or its number, V(20) or V(20.2.4). By default, whatever the hosts are offered."
    ),
    "offers": records("What apt of each host offers, as M(cephstack.cloud.apt_packages) returns it.", _OFFER, default=[]),
    "state": choice(
        "V(allowed) sees whether the way to the release is open, and changes nothing.\n"
        "V(prepared) is that of filesystems with several active metadata servers: they get one, until it is finished.\n"
        "V(finished) is for when all daemons run it: no older OSD may join any more, what was lowered is raised, and services no longer use the key type "
        "V(aes), if they can do without.",
        ["allowed", "prepared", "finished"],
        required=True,
    ),
    "accept_health": strings("Health checks that are no obstacle, for example V(MON_DISK_LOW).", default=[]),
    "wait": integer("How many seconds ranks of metadata servers may take to end, and health checks to clear.", default=300),
}
# As Ceph supports it.
STEPS = 2
# What an upgrade that was ended before its time looks like.
_OWN_CHECKS = re.compile(
    r"DAEMON_OLD_VERSION|OSD_UPGRADE_FINISHED|AUTH_INSECURE_\w+|AUTH_EMERGENCY_\w+|OSDMAP_FLAGS|OSD_FLAGS|MON_MSGR2_NOT_ENABLED|RECENT_MGR_MODULE_CRASH"
)
# What the balancer causes for a moment whenever it moves placement groups, and for how many seconds it may.
_PASSING = {"PG_AVAILABILITY", "PG_DEGRADED"}
_PASSES = 20
# Where it stands how many active metadata servers a filesystem had.
NOTES = "cephstack/upgrade/max_mds/"
_CVE = "CVE-2025-30156"
# Whose keys are those of services. The monitors' own is not asked for by the cluster, and stays.
_SERVICES = ("mgr.", "osd.", "mds.")


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there. versions: how many daemons of each type run which version. known: the maps as far as they are read for it. features: of clients.

    notes: max_mds as it was, by filesystem. modules: managers' modules that are switched on; available: those that there are.
    """

    known: Maps
    versions: t.Mapping[str, t.Mapping[t.Tuple[int, ...], int]]
    features: Raw
    health: Raw
    notes: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    modules: t.Sequence[str] = ()
    available: t.Sequence[str] = ()

    @property
    def running(self) -> t.List[t.Tuple[int, ...]]:
        """The versions that run, the oldest first."""
        return sorted({version for counts in self.versions.values() for version in counts})

    @property
    def required(self) -> int:
        """The oldest release that an OSD may have, as a number."""
        return values.RELEASES.get(str(self.known.osd.get("require_osd_release")), 0)


def number(release: str) -> t.Tuple[int, ...]:
    """Return a declared release as the beginning of a version: (20,) of "tentacle" and "20", (20, 2, 4) of "20.2.4". Raises ValueError."""
    text = release.strip().lower()
    if text in values.RELEASES:
        return (values.RELEASES[text],)
    if re.fullmatch(r"\d+(\.\d+){0,2}", text):
        return tuple(map(int, text.split(".")))
    raise ValueError(f"'{release}' is no release of Ceph: write its name, such as tentacle, or its number, such as 20 or 20.2.4")


def name_of(version: t.Sequence[int]) -> str:
    """ "tentacle" of (20, 2, 4)."""
    return next((name for name, found in values.RELEASES.items() if found == version[0]), str(version[0]))


def version_of(package: str) -> t.Tuple[int, ...]:
    """(18, 2, 7) of the version of a package, "1:18.2.7+ds-1"; () where there is none."""
    found = re.match(r"(?:\d+:)?(\d+)\.(\d+)\.(\d+)", package or "")
    return tuple(map(int, found.groups())) if found else ()


def offered(offer: t.Mapping[str, t.Any]) -> t.Dict[str, t.Tuple[int, ...]]:
    """Return the versions of Ceph's packages that a host needs, as apt would install them."""
    return {name: version_of(offer["versions"].get(name, {}).get("candidate", "")) for name in offer["packages"] if name in offer["preferred"]}


@dataclasses.dataclass
class Provider:
    """Another release. The rest is as in OPTIONS."""

    cluster: Connection
    release: str = ""
    offers: t.Sequence[t.Mapping[str, t.Any]] = ()
    state: str = "allowed"
    accept_health: t.Collection[str] = ()
    wait: int = 300

    def observe(self) -> Observed:
        """Read what the monitors know of versions, features, health and keys. Raises Unreachable and CommandFailed."""
        if self.state == "allowed":
            wait_until(lambda: not (_PASSING - {*self.accept_health}) & {*self.cluster.command("health")["checks"]}, _PASSES, pause=1.0)
        ask: t.List[t.Tuple[str, t.Dict[str, t.Any]]] = [
            ("versions", {}), ("features", {}), ("health", {}), ("osd dump", {}), ("mon dump", {}), ("fs dump", {}), ("auth ls", {}),
            ("mgr dump", {}), ("mgr module ls", {}), ("config-key dump", {"key": NOTES}),
        ]  # fmt: skip
        versions, features, health, osd, mon, fs, auth, mgr, modules, notes = self.cluster.many(ask)
        counted: t.Dict[str, t.Dict[t.Tuple[int, ...], int]] = {}
        for kind, found in versions.items():
            for text, count in found.items() if kind != "overall" else ():
                try:
                    version = values.version(text)
                except ValueError:  # "unknown": of one that has just begun
                    continue
                counts = counted.setdefault(kind, {})
                counts[version] = counts.get(version, 0) + count
        known = Maps(osd.get("fsid"), maps.version_of(versions), osd=osd, mon=mon, fs=fs, auth=maps.auth_of(auth))
        return Observed(
            known,
            counted,
            features,
            health,
            {key[len(NOTES) :]: int(value) for key, value in notes.items()} if isinstance(notes, dict) else {},
            modules.get("enabled_modules", []),
            [module["name"] for module in mgr.get("available_modules", [])],
        )

    # -- plan

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with all that is in the way."""
        draft = Draft()
        target = self._target(observed, draft)
        if self.state == "allowed":
            self._judge(observed, target, draft)
        if self.state == "finished":
            self._judge_daemons(observed, target, draft)
        if draft.problems or not target:
            return draft.plan()
        if self.state != "finished":
            self._plan_ranks(observed, target, draft)
        if self.state != "prepared":
            self._plan_end(observed, target, draft)
        return draft.plan()

    def _target(self, observed: Observed, draft: Draft) -> t.Tuple[int, ...]:
        """The declared release, else the newest that is offered, else the newest that runs."""
        if self.release:
            try:
                return number(self.release)
            except ValueError as error:
                draft.problem(f"release: {error}")
                return ()
        found = [version for offer in self.offers for version in offered(offer).values() if version]
        return max(found, default=max(observed.running, default=()))

    def _judge(self, observed: Observed, target: t.Tuple[int, ...], draft: Draft) -> None:
        """What is in the way, all of it."""
        if target:
            self._judge_path(observed, target, draft)
            self._judge_offers(target, draft)
        for offer in self.offers:
            if offer["error"]:
                draft.problem(f"{offer['host']}: {offer['error']}")
        if target and self._needed(observed, target):
            self._judge_health(observed, draft)
            self._judge_clients(observed, draft)

    def _needed(self, observed: Observed, target: t.Tuple[int, ...]) -> bool:
        """Whether there is anything to upgrade."""
        outdated = any(
            entry.get("installed") and entry["installed"] != entry.get("candidate")
            for offer in self.offers
            for name, entry in offer["versions"].items()
            if name in offer["preferred"]
        )
        return outdated or any(version[: len(target)] != target for version in observed.running) or len(observed.running) > 1

    def _judge_path(self, observed: Observed, target: t.Tuple[int, ...], draft: Draft) -> None:
        running = observed.running
        if not running:
            return
        oldest, newest = running[0], running[-1]
        wanted = f"{self.release or values.shown(target)}{f' ({values.shown(target)})' if self.release in values.RELEASES else ''} is what is wanted"
        if target < newest[: len(target)]:
            draft.problem(f"{values.shown(newest)} runs, and {wanted}: a cluster never goes back to an older release")
        elif target[0] - oldest[0] > STEPS:
            between = name_of((oldest[0] + STEPS,))
            draft.problem(f"{values.shown(oldest)} runs, and {wanted}: that is more than {STEPS} releases on. Upgrade to {between} first")
        elif observed.required and target[0] - observed.required > STEPS:
            mend = f"end the upgrade before this one: ceph osd require-osd-release {name_of(oldest)}"
            draft.problem(f"require_osd_release is {name_of((observed.required,))}, and {wanted}: that is more than {STEPS} releases on, so {mend}")

    def _judge_offers(self, target: t.Tuple[int, ...], draft: Draft) -> None:
        seen: t.Dict[t.Tuple[int, ...], t.List[str]] = {}
        for offer in self.offers:
            if offer["error"]:
                continue
            host, found = offer["host"], offered(offer)
            lacking = sorted(name for name in offer["packages"] if not offer["versions"].get(name, {}).get("candidate"))
            if lacking:
                draft.problem(f"{host}: apt offers no package {', '.join(lacking)}: give the host a repository that has it")
            others: t.Dict[str, t.List[str]] = {}
            for name, version in sorted(found.items()):
                if version and version[: len(target)] != target:
                    others.setdefault(values.shown(version), []).append(name)
            for version_text, names in others.items():
                wanted = self.release or values.shown(target)
                mend = "declare a repository that has it (ceph.packages), or give the host's own apt one, and look at its pins: apt policy " + names[0]
                draft.problem(f"{host}: apt offers {version_text} of {', '.join(names)}, and not {wanted}: {mend}")
            for version in {version for version in found.values() if version[: len(target)] == target}:
                seen.setdefault(version, []).append(host)
        if len(seen) > 1:
            told = "; ".join(f"{values.shown(version)} on {', '.join(hosts)}" for version, hosts in sorted(seen.items()))
            draft.problem(f"apt offers several versions, and all daemons must run one: {told}: let all hosts have the same repository")

    def _judge_health(self, observed: Observed, draft: Draft) -> None:
        for check, told in sorted(observed.health.get("checks", {}).items()):
            if check not in self.accept_health and not _OWN_CHECKS.fullmatch(check) and not told.get("muted"):
                text = told.get("summary", {}).get("message", "")
                draft.problem(f"the cluster is not healthy: {check}: {text}. Repair it, or, if it is no obstacle, name it in accept_health: {check}")

    @staticmethod
    def _judge_clients(observed: Observed, draft: Draft) -> None:
        """Clients that connect to what is older than the cluster requires cannot come back once a monitor was restarted."""
        required = values.RELEASES.get(observed.known.require_min_compat_client, 0)
        for group in observed.features.get("client", []):
            if values.RELEASES.get(group.get("release", ""), required) < required:
                draft.problem(
                    f"{group['num']} clients have the features of {group['release']}, and require_min_compat_client is "
                    f"{observed.known.require_min_compat_client}: once a daemon restarts they cannot connect again. "
                    "Upgrade or end them first; ceph tell mon.* sessions says who they are"
                )

    @staticmethod
    def _judge_daemons(observed: Observed, target: t.Tuple[int, ...], draft: Draft) -> None:
        """Every daemon must run the release, and all of them one version."""
        newest = max(observed.running, default=())
        for kind, counts in sorted(observed.versions.items()):
            for version, count in sorted(counts.items()):
                if version != newest or version[: len(target)] != target:
                    wanted = values.shown(max(newest, target))
                    draft.problem(f"{count} daemons of the type {kind} run {values.shown(version)} and not {wanted}: upgrade their hosts, or start them anew")

    def _plan_ranks(self, observed: Observed, target: t.Tuple[int, ...], draft: Draft) -> None:
        """A metadata server of one release cannot work beside an active one of another."""
        newest = {version for offer in self.offers for version in offered(offer).values() if version} or {target}
        if all(version[: len(one)] == one for version in observed.versions.get("mds", {}) for one in newest):
            return
        for entry in observed.known.fs.get("filesystems", []):
            name, most = entry["mdsmap"]["fs_name"], entry["mdsmap"]["max_mds"]
            reason = "until it is finished: metadata servers do not work beside active ones of another version"
            lower = functools.partial(self._lower, name, most)
            draft.ensure("filesystem", name, {"max_mds": most}, {"max_mds": 1}, lower, reason=reason)

    def _plan_end(self, observed: Observed, target: t.Tuple[int, ...], draft: Draft) -> None:
        known, finished = observed.known, self.state == "finished"
        if observed.versions.get("osd"):
            now, after = {"release": name_of((observed.required,))}, {"release": name_of(target)}
            reason = "no OSD of an older release can join any more"
            require = functools.partial(self.cluster_command, "osd require-osd-release", release=name_of(target))
            draft.ensure("require_osd_release", "osd", now, after, require, reason=reason)
        for name, most in sorted(observed.notes.items()) if finished else ():
            draft.ensure("filesystem", name, {"max_mds": 1}, {"max_mds": most}, functools.partial(self._raise, name, most), reason="as it was before")
        for name in sorted({*observed.modules} - {*observed.available}) if finished and observed.available else ():
            disable = functools.partial(self.cluster_command, "mgr module disable", module=name)
            draft.ensure("mgr_module", name, {"enabled": True}, {"enabled": False}, disable, reason=f"{name_of(target)} does not have it any more")
        if finished and known.ciphers and not self._old_services(observed):
            self._plan_ciphers(observed, draft)
            self._tell_of_clients(observed, draft)

    def _old_services(self, observed: Observed) -> t.List[str]:
        return [name for name in self._old_keys(observed) if name.startswith(_SERVICES)]

    def _plan_ciphers(self, observed: Observed, draft: Draft) -> None:
        """Services use the better key type once each of them has such a key."""
        ciphers = observed.known.ciphers
        if "aes256k" not in ciphers["allowed"]:
            return
        for which, reason in (("service", "all services have keys of that type"), ("preferred", "new keys are of that type, if nothing else is declared")):
            use = functools.partial(self.cluster_command, "mon set", name=f"auth_{which}_cipher", value="aes256k")
            draft.ensure("cephx", which, {which: ciphers[which]}, {which: "aes256k"}, use, reason=reason)

    @staticmethod
    def _old_keys(observed: Observed) -> t.List[str]:
        """Whose keys are of the old type."""
        old = []
        for name, entry in observed.known.auth.items():
            try:
                kind, dummy = clients.key_parts(entry["key"].reveal())
            except ValueError:
                continue  # a fault of its own, which is not this one's
            if kind == "aes":
                old.append(name)
        return sorted(old)

    def _tell_of_clients(self, observed: Observed, draft: Draft) -> None:
        old = self._old_keys(observed)
        if "aes" in observed.known.ciphers["allowed"]:
            whose = f" Keys of that type: {', '.join(old)}." if old else ""
            draft.warn(
                f"keys of the type aes are allowed, which can be forged by whoever holds one of the cluster's ({_CVE}); clients older than 20.2.4 know no "
                f"other.{whose} When the last such client is gone, give them others (consumers: oldest_client; clients: key_type), and allow no more than "
                "aes256k (ceph_cluster_cephx: allowed)"
            )

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        target = self._target(observed, Draft())
        return {
            "release": name_of(target) if target else "",
            "needed": bool(target) and self._needed(observed, target),
            "running": {kind: {values.shown(version): count for version, count in counts.items()} for kind, counts in observed.versions.items()},
            "key_type": "aes256k" if "aes256k" in observed.known.ciphers.get("allowed", ()) else "",
            "errors": sorted(
                check
                for check, told in observed.health.get("checks", {}).items()
                if check.startswith("AUTH_") and told.get("severity") == "HEALTH_ERR" and not told.get("muted") and check not in self.accept_health
            ),
            "old_keys": self._old_keys(observed) if observed.known.ciphers else [],
        }

    # -- apply

    def cluster_command(self, prefix: str, **words: t.Any) -> None:
        """Send a command."""
        self.cluster.command(prefix, **words)

    def _lower(self, name: str, most: int) -> None:
        self.cluster.command("config-key set", key=f"{NOTES}{name}", val=str(most))
        self.cluster.command("fs set", fs_name=name, var="max_mds", val="1")

        def one() -> bool:
            found = self.cluster.command("fs dump")["filesystems"]
            return all(len(entry["mdsmap"]["in"]) <= 1 for entry in found if entry["mdsmap"]["fs_name"] == name)

        wait_until(one, self.wait, lambda: f"the filesystem {name} still has several active metadata servers after {self.wait} s")

    def _raise(self, name: str, most: int) -> None:
        """The note goes last: until then it says what there was."""
        try:
            self.cluster.command("fs set", fs_name=name, var="max_mds", val=str(most))
        except CommandFailed:
            if any(entry["mdsmap"]["fs_name"] == name for entry in self.cluster.command("fs dump")["filesystems"]):
                raise
        self.cluster.command("config-key rm", key=f"{NOTES}{name}")


def provider(options: t.Mapping[str, t.Any], cluster: Connection) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS."""
    own = {name: options[name] for name in ("offers", "state", "accept_health", "wait")}
    return Provider(cluster, (options["release"] or "").strip().lower(), **own)
