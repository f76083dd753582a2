# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests that run on a host, whatever runs them.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import connection
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import host as xen
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import xenstore

_DAEMONS = ("libvirtd", "virtqemud")


def names(uri: str) -> list[str]:
    """Return the names of the guests that run on this host. Raises Unreachable."""
    found = set(xenstore.look().guests) if xen.is_dom0() else set()
    if any(map(process.installed, _DAEMONS)):
        host = connection.Host(uri)
        if host.lib is None:
            raise Unreachable("libvirt is on this host, and cannot be asked which guests run: install python3-libvirt")
        with host:
            try:
                found |= {domain.name() for domain in host.api.listAllDomains(host.lib.VIR_CONNECT_LIST_DOMAINS_ACTIVE)}
            except host.lib.libvirtError as error:
                raise Unreachable(f"libvirt at {uri}: {error}") from error
    return sorted(found)


def refusal(guests: t.Sequence[str]) -> str:
    """What is said where guests run and must not."""
    return f"guests run on this host: {', '.join(guests)}. Move them to other hosts, or shut them down, first"
