# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that make a host of an image: names, address, keys, apt. The same for containers and virtual machines.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._host.config_files import put_block
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, surroundings, system
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.model import Host, Lab


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a host. once: written when the host is made, and the host's own afterwards."""

    content: str
    mode: int = 0o644
    once: bool = False


def names(hosts: dict[str, str]) -> str:
    """Return the lines of /etc/hosts for all hosts of a lab. Pure."""
    return "".join(f"{address} {name}\n" for name, address in sorted(hosts.items()))


def of_host(lab: Lab, host: Host, around: surroundings.Surroundings, hosts: dict[str, str], moved: bool = False) -> dict[str, File]:
    """Return the files of a host, by their path in it. moved: it gets another address than it had."""
    key = lab.host_key(host.name)
    servers = around.nameservers or ((lab.gateway,) if around.local_resolver else ())
    apt = surroundings.for_hosts(around.apt, lab.gateway)
    own = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", *around.names]
    return {
        "/etc/hostname": File(host.name + "\n"),
        "/etc/hosts": File(put_block("\n".join(own) + "\n", access.NAMES, names(hosts)), once=True),
        "/etc/machine-id": File(uuid.uuid5(uuid.NAMESPACE_DNS, f"{lab.cache}/{lab.machine(host.name)}").hex + "\n", 0o444),
        "/etc/resolv.conf": File("".join(f"nameserver {server}\n" for server in servers)),
        # the host's own from then on: roles put its interface into a bridge
        "/etc/network/interfaces": File(_interfaces(lab, host), once=not moved),
        "/etc/apt/apt.conf.d/90lab": File("\n".join(apt) + "\n"),
        "/etc/apt/sources.list": File("\n".join(surroundings.sources(host.release, around)) + "\n", once=True),
        "/etc/ssh/ssh_host_ed25519_key": File(system.read(key), 0o600),
        "/etc/ssh/ssh_host_ed25519_key.pub": File(system.read(key + ".pub")),
        "/etc/ssh/lab_authorized_keys": File(system.read(lab.private_key + ".pub"), 0o600),
    }


def _interfaces(lab: Lab, host: Host) -> str:
    return f"""auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
  address {host.address}/{lab.network.prefixlen}
  gateway {lab.gateway}
"""
