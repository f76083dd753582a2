# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's OSDs, simulated: placement by weight and failure domain, data that moves as time passes, and the commands that removal sends.

It follows what Ceph 18.2.7 answers; tests/daemons does the same to a real one.
"""

from __future__ import annotations

import hashlib
import math
import threading

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
TIB = 1 << 30  # in KiB
REPLACING = ("_config_key_set", "_osd_set_group", "_osd_destroy")


class Killed(BaseException):
    """The run is killed here."""


class Simulated:
    """hosts: names, each with the numbers of its OSDs. Each OSD has one TiB. pg_bytes: of one copy of a placement group."""

    def __init__(self, hosts, size=3, pg_num=64, pg_bytes=1 << 30, per_step=8) -> None:
        self.hosts = {name: list(numbers) for name, numbers in hosts.items()}
        self.osds = {number: {"up": True, "in": True, "weight": 1.0} for numbers in hosts.values() for number in numbers}
        self.size, self.pg_num, self.pg_bytes, self.per_step = size, pg_num, pg_bytes, per_step
        self.keys = {f"osd.{number}" for number in self.osds}
        self.flags, self.checks, self.options = "sortbitwise", {}, []
        self.nearfull = 0.85
        self.sent: list[tuple[str, dict]] = []
        self.kill_at: int | None = None
        self.frozen = False
        self.states = {number: {"exists"} for number in self.osds}
        self.notes, self.needed = set(), ""
        self.seen, self.found = None, {}
        self.lock = threading.RLock()
        self.buckets = set(self.hosts)
        self.acting = {pg: self.ideal(pg) for pg in range(pg_num)}

    # -- what it is

    def host_of(self, number):
        return next((name for name, numbers in self.hosts.items() if number in numbers), None)

    def ideal(self, pg):
        """As _ideal, which takes its time; once for each state of the OSDs."""
        state = tuple((number, *one.values()) for number, one in self.osds.items())
        if state != self.seen:
            self.seen, self.found = state, {}
        if pg not in self.found:
            self.found[pg] = self._ideal(pg)
        return self.found[pg]

    def _ideal(self, pg):
        """Where a placement group belongs: the best OSD of each of the best hosts, by weighted hashes."""

        def straw(kind, name, weight):
            digest = int(hashlib.sha256(f"{pg} {kind} {name}".encode()).hexdigest()[:12], 16) / 16**12
            return -math.log(digest or 1e-9) / weight

        def usable(number):
            return self.osds[number]["weight"] > 0 and self.osds[number]["in"]

        hosts = {name: [number for number in numbers if number in self.osds and usable(number)] for name, numbers in self.hosts.items()}
        best = sorted((name for name in hosts if hosts[name]), key=lambda name: straw("host", name, sum(self.osds[one]["weight"] for one in hosts[name])))
        found = [min(hosts[name], key=lambda one: straw("osd", one, self.osds[one]["weight"])) for name in best]
        # As if each that is down were out by now, but for those that are kept in.
        kept = [one for one in found if self.osds[one]["up"] or "noout" in self.states[one]][: self.size]
        return [one for one in kept if self.osds[one]["up"]]

    def step(self):
        """Time passes: some placement groups move to where they belong, one that has no copy left nowhere."""
        moved = 0
        for pg, now in self.acting.items():
            wanted = self.ideal(pg)
            if set(wanted) != set(now) and any(self.osds.get(one, {}).get("up") for one in now) and len(wanted) == self.size:
                if self.frozen or moved == self.per_step or "nobackfill" in self.flags:
                    continue
                self.acting[pg] = wanted
                moved += 1

    def unsettled(self):
        return [pg for pg, now in self.acting.items() if set(self.ideal(pg)) != set(now) or not all(self.osds.get(one, {}).get("up") for one in now)]

    def on(self, number):
        return [pg for pg, now in self.acting.items() if number in now]

    # -- the connection

    def many(self, calls):
        return [self.command(prefix, **words) for prefix, words in calls]

    def mgr_command(self, prefix, **words):
        return self.command(prefix, **words)

    def command(self, prefix, inbuf=b"", **words):
        with self.lock:
            return self._answer(prefix, words)

    def _answer(self, prefix, words):
        name = "_" + prefix.replace(" ", "_").replace("-", "_")
        if name in ("_osd_crush_reweight", "_osd_stop", "_osd_crush_remove", "_osd_purge", "_auth_del", "_config_rm", *REPLACING):
            if self.kill_at is not None and len(self.sent) == self.kill_at:
                self.kill_at = None
                raise Killed
            self.sent.append((prefix, words))
        return getattr(self, name)(**words)

    def _osd_dump(self):
        pool = {"pool": 1, "pool_name": "vms", "type": 1, "size": self.size, "crush_rule": 0, "pg_num": self.pg_num}
        osds = [
            {"osd": number, "uuid": f"uuid-{number}", "up": int(one["up"]), "in": int(one["in"]), "state": sorted(self.states[number])}
            for number, one in sorted(self.osds.items())
        ]
        return {"fsid": FSID, "flags": self.flags, "nearfull_ratio": self.nearfull, "pools": [pool], "osds": osds}

    def _osd_crush_dump(self):
        buckets = [{"id": -1, "name": "default", "type_name": "root", "items": [{"id": -2 - i, "weight": 0} for i, _host in enumerate(sorted(self.buckets))]}]
        for place, host in enumerate(sorted(self.buckets)):
            items = [{"id": number, "weight": int(self.osds[number]["weight"] * 0x10000)} for number in self.hosts[host] if number in self.osds]
            buckets.append({"id": -2 - place, "name": host, "type_name": "host", "items": items})
        steps = [{"op": "take", "item": -1, "item_name": "default"}, {"op": "chooseleaf_firstn", "num": 0, "type": "host"}, {"op": "emit"}]
        rule = {"rule_id": 0, "rule_name": "replicated_rule", "type": 1, "steps": steps}
        devices = [{"id": number, "name": f"osd.{number}", "class": "hdd"} for number in sorted(self.osds)]
        return {"devices": devices, "buckets": buckets, "rules": [rule]}

    def _osd_df(self):
        nodes = []
        for number, one in sorted(self.osds.items()):
            used = len(self.on(number)) * self.pg_bytes >> 10
            nodes.append({"id": number, "crush_weight": one["weight"], "reweight": int(one["in"]), "kb": TIB, "kb_used": used})
        return {"nodes": nodes}

    def _df(self):
        return {
            "stats": {"num_per_pool_osds": len(self.osds)},
            "pools": [{"id": 1, "name": "vms", "stats": {"bytes_used": self.pg_bytes * self.pg_num * self.size}}],
        }

    def _health(self):
        return {"status": "HEALTH_WARN" if self.checks else "HEALTH_OK", "checks": self.checks}

    def _status(self):
        self.step()
        left = len(self.unsettled())
        states = [{"state_name": "active+remapped+backfill_wait", "count": left}] if left else []
        objects = self.pg_num * 100 * self.size
        return {"pgmap": {"misplaced_objects": left * 100, "num_objects": objects, "data_bytes": self.pg_bytes * self.pg_num, "pgs_by_state": states}}

    def _pg_stat(self):
        return {"pg_summary": {"num_pg_by_state": [{"name": "active+clean", "num": self.pg_num}]}}

    def _osd_metadata(self):
        return [{"id": number, "hostname": self.host_of(number) or ""} for number in self.osds]

    def _config_dump(self):
        return self.options

    def _auth_ls(self):
        return {"auth_dump": [{"entity": name} for name in sorted(self.keys)]}

    def _pg_dump(self, dumpcontents):
        found = []
        for pg, now in self.acting.items():
            alive = [one for one in now if self.osds.get(one, {}).get("up")]
            found.append({"pgid": f"1.{pg:x}", "state": "active+clean" if alive else "stale+active+clean", "acting": alive or now, "up": self.ideal(pg)})
        return {"pg_stats": found}

    def _osd_safe_to_destroy(self, ids):
        if self.sent and not self.frozen:
            self.step()
        left, safe = self.unsettled(), []
        for number in map(int, ids):
            one = self.osds.get(number)
            if not self.on(number) and (one is None or one["up"] or not left):
                safe.append(number)
        return {"safe_to_destroy": safe, "active": [], "missing_stats": [], "stored_pgs": []}

    def _osd_crush_reweight(self, name, weight):
        self.osds[int(name[4:])]["weight"] = weight

    def _osd_stop(self, ids):
        for number in map(int, ids):
            self.osds[number]["up"] = False

    def _osd_crush_remove(self, name):
        if name in self.buckets:
            assert not [number for number in self.hosts[name] if number in self.osds], "EBUSY: bucket not empty"
            self.buckets.discard(name)
        for numbers in self.hosts.values():
            if name.startswith("osd.") and int(name[4:]) in numbers:
                numbers.remove(int(name[4:]))
                self.osds[int(name[4:])]["weight"] = 0.0

    def _osd_purge(self, id, yes_i_really_mean_it=False):
        if not yes_i_really_mean_it and self._osd_safe_to_destroy([str(id)])["safe_to_destroy"] != [id]:
            raise CommandFailed("osd purge", -16, f"OSD(s) {id} have pgs currently mapped to them.")
        if self.osds.get(id, {}).get("up"):
            raise CommandFailed("osd purge", -16, f"osd.{id} is not `down`.")
        self.osds.pop(id, None)
        self.keys.discard(f"osd.{id}")

    def _auth_del(self, entity):
        self.keys.discard(entity)

    def _config_rm(self, who, name):
        mask = who.partition("/")[2]
        self.options = [one for one in self.options if (one["section"], one.get("mask", ""), one["name"]) != (who.partition("/")[0], mask, name)]

    def _osd_ok_to_stop(self, ids):
        if self.needed:
            raise CommandFailed("osd ok-to-stop", -16, self.needed)
        going = set(map(int, ids))
        short = [pg for pg, now in self.acting.items() if going & set(now) and len(set(now) - going) < max(1, self.size - 1)]
        if short:
            raise CommandFailed("osd ok-to-stop", -16, f"unsafe to stop osd(s) at this time ({len(short)} PGs are or would become offline)")
        return {"ok_to_stop": True}

    def _config_key_set(self, key, val):
        self.notes.add(key)

    def _osd_set_group(self, flags, who):
        for name in who:
            self.states[int(name[4:])].add(flags)

    def _osd_destroy(self, id, yes_i_really_mean_it=False):
        assert yes_i_really_mean_it and not self.osds[id]["up"]
        self.states[id].add("destroyed")
        self.keys.discard(f"osd.{id}")
