# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster says of itself, and waiting for it to become well. Reads only.

PRIVATE to the collection.
"""

from __future__ import annotations

import errno
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import version_of
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import mon_host
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import shown
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, strings

# What must not be there, of what is waited for.
_SEVERE = {"HEALTH_OK": ("HEALTH_WARN", "HEALTH_ERR"), "HEALTH_WARN": ("HEALTH_ERR",)}
WAIT_OPTIONS: dict[str, t.Any] = {
    "health": choice(
        "V(HEALTH_OK) waits until there is neither warning nor error, V(HEALTH_WARN) until there is no error. What is muted does not count.", [*_SEVERE]
    ),
    "ignore": strings("Health checks that do not count, for example V(MON_DISK_LOW).", default=[]),
    "osds_up": integer("At least so many OSDs are up."),
    "mons": integer("At least so many monitors are in quorum."),
    "mgr": boolean("A manager is active."),
    "clean": boolean("All placement groups are active and clean."),
    "timeout": integer("How many seconds to wait.", default=120),
}


def look(connection: Connection) -> dict[str, t.Any]:
    """Ask for everything at once, and put the answers of the monitors into the module's words."""
    status, mons, osd, versions, fs = connection.many([("status", {}), ("mon dump", {}), ("osd dump", {}), ("versions", {}), ("fs dump", {})])
    quorum, osds = status.get("quorum_names", []), osd.get("osds", [])
    health, mgr, pgs = (status.get(key, {}) for key in ("health", "mgrmap", "pgmap"))
    checks = {
        code: {"severity": check["severity"], "summary": check["summary"]["message"], "muted": bool(check.get("muted"))}
        for code, check in health.get("checks", {}).items()
    }
    mdsmaps = [entry["mdsmap"] for entry in fs.get("filesystems", [])]
    return {
        "fsid": status.get("fsid"),
        "version": shown(version_of(versions)),
        "versions": versions,
        "mon_host": mon_host(mons),
        "mons": [
            {"name": mon["name"], "in_quorum": mon["name"] in quorum, "addresses": {entry["type"]: entry["addr"] for entry in mon["public_addrs"]["addrvec"]}}
            for mon in mons.get("mons", [])
        ],
        "health": {"status": health.get("status"), "checks": checks},
        "mgr": {"available": bool(mgr.get("available")), "standbys": mgr.get("num_standbys", 0)},
        "osds": {"total": len(osds), "up": sum(one["up"] for one in osds), "in": sum(one["in"] for one in osds)},
        "pgs": {"total": pgs.get("num_pgs", 0), "states": {state["state_name"]: state["count"] for state in pgs.get("pgs_by_state", [])}},
        "pools": sorted(pool["pool_name"] for pool in osd.get("pools", [])),
        "filesystems": [{"name": mds["fs_name"], "up": len(mds.get("up", {})), "max_mds": mds["max_mds"]} for mds in mdsmaps],
        "flags": sorted(flag for flag in osd.get("flags", "").split(",") if flag),
        "require_min_compat_client": osd.get("require_min_compat_client"),
    }


def missing(info: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> list[str]:
    """What is not yet as it is waited for, one sentence each."""
    mons, osds = wanted.get("mons") or 0, wanted.get("osds_up") or 0
    quorum, up = sum(mon["in_quorum"] for mon in info["mons"]), info["osds"]["up"]
    unclean = [f"{count} placement groups {state}" for state, count in sorted(info["pgs"]["states"].items()) if not state.startswith("active+clean")]
    severe, ignored = _SEVERE.get(wanted.get("health") or "", ()), wanted.get("ignore") or []
    checks = [(code, check) for code, check in sorted(info["health"]["checks"].items()) if code not in ignored and not check["muted"]]
    found = (
        (quorum < mons, f"{quorum} of {mons} monitors are in quorum"),
        (wanted.get("mgr") and not info["mgr"]["available"], "no manager is active"),
        (up < osds, f"{up} of {osds} OSDs are up"),
        (wanted.get("clean") and unclean, f"not clean: {', '.join(unclean)}"),
        *((check["severity"] in severe, f"{code}: {check['summary']}") for code, check in checks),
    )
    return [text for lacking, text in found if lacking]


def wait(connection: Connection, wanted: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
    """Look until nothing is missing, or until the time is up. Returns the last look and what was missing then."""
    info: dict[str, t.Any] = {}

    def well() -> bool:
        info.update(look(connection))
        return not missing(info, wanted)

    wait_until(well, wanted.get("timeout") or 120, pause=0.5)  # a look costs a few milliseconds
    return info, missing(info, wanted)


def keys(connection: Connection, entities: t.Sequence[str]) -> dict[str, t.Optional[dict[str, t.Any]]]:
    """The key and the caps of each entity, None where there is no such entity."""
    found: dict[str, t.Optional[dict[str, t.Any]]] = dict.fromkeys(entities)
    for entity in found:
        try:
            entry = connection.command("auth get", entity=entity)[0]
            found[entity] = {"key": Secret(entry["key"]), "caps": entry.get("caps", {})}
        except CommandFailed as error:
            if error.code != errno.ENOENT:
                raise Unreachable(str(error)) from error
    return found
