# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The object gateways that run, as the cluster has them.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import re
import socket
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Raw


@dataclasses.dataclass(frozen=True)
class Gateway:
    """One that runs: client.rgw.ceph1.s3. gid: another number after each start. host: its short name. ports: at which it listens."""

    name: str
    gid: int
    zone: str
    host: str
    address: str
    ports: t.Tuple[int, ...]

    def answers(self) -> bool:
        """Whether one listens at all its ports."""
        try:
            for port in self.ports:
                socket.create_connection((self.address, port), 5).close()
        except OSError:
            return False
        return True


def gateways(dump: Raw) -> t.List[Gateway]:
    """Return those of `service dump`. Pure."""
    found = []
    for key, entry in dump.get("services", {}).get("rgw", {}).get("daemons", {}).items():
        if key == "summary":
            continue
        about = entry.get("metadata", {})
        id_ = re.sub(r"^rgw\.", "", str(about.get("id", key)))
        texts = " ".join(str(value) for name, value in sorted(about.items()) if name.startswith("frontend_config#"))
        address = re.sub(r":\d+/\d+$", "", str(entry.get("addr", ""))).strip("[]")
        endpoints = re.findall(r"endpoint=\[?([0-9a-fA-F.:]+?)\]?:(\d+)(?:\s|$)", texts)
        ports = [int(port) for port in re.findall(r"(?:\b|_)port=(\d+)", texts)] + [int(port) for _address, port in endpoints]
        # It may listen at one address only.
        listens = next((one for one, _port in endpoints if one not in ("0.0.0.0", "::")), address)
        host = str(about.get("hostname", "")).partition(".")[0]
        found.append(Gateway(f"client.rgw.{id_}", int(entry.get("gid", 0)), str(about.get("zone_name", "")), host, listens, tuple(ports)))
    return found
