# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of an OpenStack as its proof takes: what is asked of its APIs, what that makes in Ceph, and what can go wrong."""

from __future__ import annotations

import itertools
import re
import types
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import ApiError

FSID = "11111111-2222-3333-4444-555555555555"
IMAGE = f"rbd://{FSID}/images/glance-id/snap"
CONSUMERS = [
    {"name": "glance", "kind": "glance", "pools": [{"name": "images"}]},
    {"name": "cinder", "kind": "cinder", "pools": [{"name": "volumes"}, {"name": "fast"}, {"name": "images", "access": "ro"}]},
    {"name": "cinder-backup", "kind": "cinder-backup", "pools": [{"name": "backups"}]},
    {"name": "nova", "kind": "nova", "pools": [{"name": "vms"}, {"name": "images"}]},
]
_TABLES = {"servers": "server", "volumes": "volume", "snapshots": "snapshot", "backups": "backup", "images": "image"}
Row = t.Dict[str, t.Any]


class Cloud:
    """A client of the APIs, and the disks in Ceph, in one.

    broken: by "METHOD /path" of a collection, or by an API that is not there, what is said. becomes: the status of what is made, by its table, where it is
    another one than should be.
    """

    domain_id = "default"

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        self.becomes: dict[str, str] = {}
        self.tables: dict[str, dict[str, Row]] = {name: {} for name in _TABLES}
        self.add("images", "marker", "glance-id", disk_format="raw", size=1 << 20, direct_url=IMAGE, checksum="c")
        self.flavors = [{"id": "f", "name": "small", "disk": 0, "ram": 64, "vcpus": 1}]
        self.networks = [{"id": "n", "name": "flat"}]
        self.volume_types = [
            {"id": "t1", "name": "volumes", "extra_specs": {"volume_backend_name": "volumes"}},
            {"id": "t2", "name": "fast", "extra_specs": {"volume_backend_name": "fast"}},
            {"id": "t0", "name": "__DEFAULT__", "extra_specs": {}},
        ]
        self.services = [self.service("nova-compute", "k1"), self.service("nova-scheduler", "c1")]
        self.volume_services = [self.service("cinder-volume", "c1@volumes"), self.service("cinder-backup", "c1")]
        self.agents = [{"binary": "neutron-openvswitch-agent", "host": "k1", "alive": True, "admin_state_up": True, "heartbeat_timestamp": "T"}]
        self.events: list[Row] = []
        self.messages: list[str] = []
        self.migrations: list[Row] = []
        self.rbd: dict[tuple[str, str], bytes] = {("images", "glance-id"): bytes(512)}
        self.saved: dict[tuple[str, str, str], bytes] = {}
        self.parents: dict[tuple[str, str], str] = {}
        self.clones = True
        self.writes = True
        self.backend: dict[t.Optional[str], str] = {None: "volumes", "volumes": "volumes", "fast": "fast"}
        self.cluster = FSID
        self.clock: t.Optional[float] = 0.0
        self.calls: list[str] = []
        self._numbers = itertools.count(1)

    @staticmethod
    def service(binary: str, host: str, state: str = "up") -> Row:
        return {"binary": binary, "host": host, "state": state, "status": "enabled", "updated_at": "2026-01-01T00:00:00"}

    def add(self, table: str, name: str, identity: str = "", **more: t.Any) -> Row:
        identity = identity or f"{next(self._numbers):08x}-0000-4000-8000-000000000000"
        row = {"id": identity, "name": name, "status": {"servers": "ACTIVE", "images": "active"}.get(table, "available"), **more}
        self.tables[table][identity] = row
        return row

    def names(self) -> list[str]:
        """Of all that is there, but for the image that guests are made of."""
        return sorted(row["name"] for table in self.tables.values() for row in table.values() if row["id"] != "glance-id")

    # -- the APIs

    def ahead(self) -> t.Optional[float]:
        return self.clock

    def address(self, api: str) -> str:
        if api in self.broken:
            raise ApiError(self.broken[api])
        return f"http://{api}"

    def rows(self, api: str, path: str, key: str) -> list[Row]:
        if key == "services":
            return self.services if api == "compute" else self.volume_services
        if key == "volume_types":
            return self.volume_types
        if key == "messages":
            return [{"user_message": text} for text in self.messages]
        if key == "instanceActions":
            return [{"request_id": "r"}]
        if key == "hypervisors":
            return [{"service": {"host": one["host"]}, "hypervisor_type": "QEMU"} for one in self.services]
        if key in ("users", "projects", "roles"):
            return []
        if key in self.tables:
            return [dict(row) for row in self.tables[key].values()]
        return getattr(self, key)

    def call(self, api: str, method: str, path: str, body: t.Any = None) -> t.Any:
        self.calls.append(f"{method} {path}")
        table, identity, action = [*path.strip("/").split("/"), "", ""][:3]
        for said in (self.broken.get(f"{method} /{table}"), self.broken.get(f"{method} {path}")):
            if said:
                raise ApiError(said, 400)
        if action == "os-instance-actions":
            return {"instanceAction": {"events": self.events}}
        if path == "/types/default":
            return {"volume_type": self.volume_types[0]}
        if identity and identity not in self.tables[table]:
            raise ApiError(f"there is no {identity}", 404)
        if method == "DELETE" or (body and "os-force_delete" in body):
            return self._delete(table, identity)
        if action == "action":
            return self._act(identity, body)
        if action == "restore":
            source = self.tables["volumes"][self.tables["backups"][identity]["volume_id"]]
            target = self.tables["volumes"][body["restore"]["volume_id"]]
            self.rbd[target["pool"], f"volume-{target['id']}"] = self.rbd[source["pool"], f"volume-{source['id']}"]
            return {"restore": {"volume_id": target["id"]}}
        if method == "POST":
            return {_TABLES[table]: dict(getattr(self, f"_{_TABLES[table]}")(body[_TABLES[table]]))}
        row = dict(self.tables[table][identity])
        return row if table == "images" else {_TABLES[table]: row}

    def _status(self, table: str, row: Row) -> Row:
        row["status"] = self.becomes.get(table, row["status"])
        return row

    def _server(self, given: Row) -> Row:
        fault = {"fault": {"message": "No valid host was found.", "details": ""}} if "servers" in self.becomes else {}
        row = self._status("servers", self.add("servers", given["name"], **{"OS-EXT-SRV-ATTR:host": "k1"}, **fault))
        if "imageRef" in given:
            place = "vms", f"{row['id']}_disk"
            self.parents[place] = "images/glance-id@snap" if self.clones else ""
        else:
            volume = self.tables["volumes"][given["block_device_mapping_v2"][0]["uuid"]]
            place = volume["pool"], f"volume-{volume['id']}"
        self.rbd[place] = _guest.expected_marker(row["id"]).ljust(512, b"\0") if self.writes else bytes(512)
        row["place"] = place if place[0] == "vms" else None
        return row

    def _volume(self, given: Row) -> Row:
        row = self._status("volumes", self.add("volumes", given["name"], pool=self.backend[given.get("volume_type")], **{"os-vol-host-attr:host": "c1@x#x"}))
        self.rbd[row["pool"], f"volume-{row['id']}"] = bytes(512)
        if "imageRef" in given:
            self.parents[row["pool"], f"volume-{row['id']}"] = "images/glance-id@snap" if self.clones else ""
        return row

    def _snapshot(self, given: Row) -> Row:
        volume, row = self.tables["volumes"][given["volume_id"]], self._status("snapshots", self.add("snapshots", given["name"]))
        place = volume["pool"], f"volume-{volume['id']}"
        self.saved[(*place, f"snapshot-{row['id']}")] = self.rbd[place]
        return row

    def _backup(self, given: Row) -> Row:
        row = self._status("backups", self.add("backups", given["name"], volume_id=given["volume_id"]))
        self.rbd["backups", f"volume-{given['volume_id']}.backup.{row['id']}"] = bytes(512)
        return row

    def _act(self, identity: str, body: Row) -> Row:
        row = self.tables["servers"][identity]
        if "createImage" in body:
            image = self._status("images", self.add("images", body["createImage"]["name"]))
            image["direct_url"] = f"rbd://{self.cluster}/images/{image['id']}/snap"
            self.rbd["images", image["id"]] = self.rbd["vms", f"{identity}_disk"]
            return {"image_id": image["id"]}
        others = [one["host"] for one in self.services if one["binary"] == "nova-compute" and one["host"] != "k1"]
        if not self.migrations:
            row["OS-EXT-SRV-ATTR:host"] = others[0]
        return {}

    def _delete(self, table: str, identity: str) -> Row:
        row = self.tables[table].pop(identity)
        gone = {"servers": row.get("place"), "volumes": (row.get("pool"), f"volume-{identity}"), "images": ("images", identity)}.get(table)
        self.rbd.pop(gone, None)
        if table == "backups":
            self.rbd = {key: value for key, value in self.rbd.items() if identity not in key[1]}
        return {}

    # -- the disks

    def fsid(self, _pool: str) -> str:
        return self.cluster

    def pools(self, kind: str) -> list[str]:
        return {"nova": ["vms", "images"], "cinder": ["volumes", "fast"], "cinder-backup": ["backups"]}[kind]

    def client(self, pool: str) -> str:
        return f"client.of-{pool}"

    def find(self, kind: str, image: str) -> t.Optional[str]:
        return next((pool for pool in self.pools(kind) if (pool, image) in self.rbd), None)

    def read(self, pool: str, image: str, snapshot: t.Optional[str] = None) -> t.Optional[bytes]:
        return self.saved.get((pool, image, snapshot)) if snapshot else self.rbd.get((pool, image))

    def write(self, pool: str, image: str, data: bytes) -> None:
        self.rbd[pool, image] = data

    def wipe(self, pool: str, image: str) -> None:
        self.write(pool, image, bytes(512))

    def parent(self, pool: str, image: str) -> str:
        return self.parents.get((pool, image), "")

    def names_in(self, pool: str) -> list[str]:
        return [image for there, image in self.rbd if there == pool]


def disks_of(cloud: Cloud) -> t.Any:
    """The disks alone: of both, names() is another thing."""
    methods = {name: getattr(cloud, name) for name in ("fsid", "pools", "client", "find", "read", "write", "wipe", "parent")}
    return types.SimpleNamespace(**methods, names=cloud.names_in)


GUESTS = {"image": "marker", "flavor": "small", "network": "flat", "volume": True, "volume_type": None, "snapshot": True, "migrate": True}
VOLUMES = {"types": None, "snapshot": True, "backup": None}


def params(**given: t.Any) -> Row:
    """What the module was given."""
    return {"guests": None, "volumes": None, "objects": None, "consumers": CONSUMERS, "timeout": 0.1, **given}


def plain(text: str) -> str:
    """A message without what is made anew by each run."""
    return re.sub(r"cephstack-probe-[0-9a-f]{8}", "PROBE", text)
