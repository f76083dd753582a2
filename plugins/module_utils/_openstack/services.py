# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an OpenStack is up: Nova's and Cinder's services, Neutron's agents, the clock of its APIs. And what errors of theirs mean.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import reading

# Seconds by which clocks may differ: Keystone's tokens hold an hour, Nova believes a host to be down that has been silent for one minute.
CLOCK = 30.0
_GONE = "if that host is gone for good, delete the entry (openstack {} delete)"


class Service(t.NamedTuple):
    """binary: such as nova-compute. host: as the service names itself, for Cinder with its backend. seen: when it was last heard of."""

    binary: str
    host: str
    up: bool
    enabled: bool
    seen: str
    part: str  # as the openstack client calls its lists

    def __str__(self) -> str:
        return f"{self.binary} on {self.host}"


def read(client: t.Any) -> list[Service]:
    """All services and agents. Raises Unreachable."""
    found: list[Service] = []
    with reading("what is up"):
        for api, part in (("compute", "compute service"), ("block-storage", "volume service")):
            for row in client.rows(api, "/os-services", "services"):
                found.append(Service(row["binary"], row["host"], row["state"] == "up", row["status"] == "enabled", str(row.get("updated_at")), part))
        for row in client.rows("network", "/agents", "agents"):
            seen = str(row.get("heartbeat_timestamp"))
            found.append(Service(row["binary"], row["host"], bool(row["alive"]), bool(row["admin_state_up"]), seen, "network agent"))
    return found


def problems(services: t.Iterable[Service], ahead: t.Optional[float] = None) -> list[str]:
    """Which of them are down that should be up. ahead: by how many seconds the APIs' clock is before this host's."""
    found = [
        f"{one} is down, last heard of at {one.seen} UTC: see its log there, and whether it reaches the broker; {_GONE.format(one.part)}"
        for one in services
        if one.enabled and not one.up
    ]
    if ahead is not None and abs(ahead) > CLOCK:
        text = f"the clock of Keystone's host is {abs(ahead):.0f} s {'before' if ahead > 0 else 'behind'} this host's, so that tokens are refused"
        found.insert(0, f"{text}: set both right (chrony)")
    return found


def compute_hosts(services: t.Iterable[Service]) -> list[str]:
    """The compute hosts that take guests."""
    return sorted(one.host for one in services if one.binary == "nova-compute" and one.up and one.enabled)


# What services say where something of Ceph's is wrong, and what that means.
_SECRET = re.compile(r"no secret with matching uuid '?([0-9a-fA-F-]{36})|[Ss]ecret not found")
_MEANINGS = (
    (re.compile(r"PermissionError|[Pp]ermission denied|Operation not permitted|RADOS permission"), "the key of the service's cephx client has no rights there"),
    (re.compile(r"error opening pool|rados\.ObjectNotFound|[Pp]ool .{1,80} does not exist"), "the Ceph pool of the service is not there"),
    (re.compile(r"error connecting to the cluster|RADOS timed out|rados\.TimedOut"), "the service does not reach Ceph's monitors"),
    (
        re.compile(r"ImageNotAuthorized|Not authorized for image"),
        "Glance does not let Nova say where in RBD the image is: set show_multiple_locations in glance-api.conf, or give Nova's client only read access to the "
        "pool of images, so that Nova uploads it",
    ),
    (re.compile(r"[Qq]uota"), "the quota of the project of clouds.yaml is used up: raise it (openstack quota set)"),
    (
        re.compile(r"vif_type=binding_failed|Binding failed"),
        "no Neutron agent of the host binds ports of this network: see the agents, and the physical network",
    ),
    (
        re.compile(r"No suitable host|No valid host|NoValidHost"),
        "no compute host takes it: see the hosts' resources (openstack hypervisor stats show) and services",
    ),
    (re.compile(r"No valid backend|weighed backends|No weighed"), "no backend of Cinder takes it: is there one of the type's volume_backend_name that is up?"),
)


def meaning(text: str, secrets: t.Mapping[str, str], host: str = "") -> list[str]:
    """What is behind an error of Nova's or Cinder's, as far as it is known. secrets: the clients by the UUIDs of their libvirt secrets."""
    found = []
    missing = _SECRET.search(text)
    if missing:
        uuid = (missing[1] or "").lower()
        whose = f"{uuid} with the key of {secrets[uuid]}" if uuid in secrets else f"{uuid or 'with the key'}, which belongs to no declared consumer"
        found.append(f"the compute host {host or '(see the log of nova-compute)'} does not have the libvirt secret {whose}: run the role kvm_host for it")
    return found + [what for pattern, what in _MEANINGS if pattern.search(text)]
