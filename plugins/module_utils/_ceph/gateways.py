# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateways of hosts, out of what is declared of them: their identities, options and addresses. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t


def short_name(inventory_hostname: str) -> str:
    """Return a host's part of its gateways' names: the name up to its first dot, a whole address with dashes."""
    if re.fullmatch(r"[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", inventory_hostname):
        return re.sub(r"[.:]+", "-", inventory_hostname)
    return inventory_hostname.partition(".")[0]


def gateways(host: str, address: str, instances: t.Sequence[t.Mapping[str, t.Any]], site: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the gateways of one host.

    host: its name in the inventory. instances, site: ceph_rgw_instances and ceph_rgw_site.
    Each has host, url, entity (cephx client), options (of the configuration database) and daemon (an item of ceph_daemon's daemons).
    Raises ValueError.
    """
    found = []
    for instance in instances:
        name, port = instance["name"], int(instance["port"])
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ValueError(f"{host}: ceph_rgw_instances: '{name}' is no name for a gateway: use letters, digits, - and _")
        certificate, frontends = instance.get("certificate"), instance.get("frontends")
        if instance.get("private_key") and not certificate:
            raise ValueError(f"{host}: ceph_rgw_instances: {name} has a private_key and no certificate")
        if not frontends:
            frontends = f"beast ssl_port={port} ssl_certificate={certificate}" if certificate else f"beast port={port}"
            if instance.get("private_key"):
                frontends += f" ssl_private_key={instance['private_key']}"
        options = {
            "rgw_frontends": frontends,
            "rgw_realm": site["realm"],
            "rgw_zonegroup": site["zonegroup"],
            "rgw_zone": site["zone"],
            **(instance.get("options") or {}),
        }
        identity = f"rgw.{short_name(host)}.{name}"
        digest = hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()
        found.append(
            {
                "host": host,
                "url": f"{'https' if 'ssl' in frontends else 'http'}://{f'[{address}]' if ':' in address else address}:{port}",
                "entity": f"client.{identity}",
                "options": options,
                "daemon": {"type": "rgw", "id": identity, "restart_on": digest},
            }
        )
    return found
