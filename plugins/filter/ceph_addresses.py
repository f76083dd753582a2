# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _external, _inventory

DOCUMENTATION = r"""
name: ceph_addresses
short_description: The addresses of the monitors' hosts, and what follows from them
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the variables of the monitors' hosts and returns their addresses in Ceph's public network, with what every host's C(ceph.conf) says of them.
  - Daemons bind the families of these addresses, whatever other families the networks have. The cluster network adds its own where it has none of them.
  - The monitors of a cluster that others keep are those that are declared.
  - A host of which nothing is known, as it is outside of C(--limit) or down, is no error unless it is among O(required).
positional: ceph, monmap, required
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
  ceph:
    description: The variable C(ceph), with its networks.
    type: dict
    required: true
  monmap:
    description: The addresses of each monitor of the running cluster by its name.
    type: dict
    default: {}
  required:
    description:
      - The hosts that must have an address. Without it networks that are none, and no address at all, are no errors either, so that it can be asked
        which hosts are unknown before all was checked.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show which addresses clients are told
  ansible.builtin.debug:
    msg: "{{ (groups['mons'] | map('extract', hostvars) | cephstack.cloud.ceph_addresses(ceph)).settings.mon_host }}"
"""

RETURN = r"""
_value:
  description:
    - C(addresses) by host; C(unknown), the reasons by host why there is none; and C(settings) for a C(ceph.conf), empty where Ceph's default is right.
  type: dict
"""


def ceph_addresses(
    hosts: t.Iterable[t.Mapping[str, t.Any]],
    ceph: t.Mapping[str, t.Any],
    monmap: t.Optional[t.Mapping[str, t.Sequence[str]]] = None,
    required: t.Optional[t.Sequence[str]] = None,
) -> dict[str, t.Any]:
    """Return the addresses and settings; see RETURN."""
    wanted = [_inventory.host_of(variables) for variables in hosts]
    ceph = ceph if isinstance(ceph, t.Mapping) else {}  # which preflight tells
    try:
        public = _inventory.networks(ceph.get("public_network"))
        addresses, unknown = _inventory.known_addresses(wanted, public, monmap, required or ()) if public else ({}, {})
        told = [*_external.external_of(ceph).get("monitors", ())] or _inventory.told_addresses(wanted, addresses, monmap)
        settings = _inventory.shared_settings(told, ceph)
    except ValueError as error:
        if required is None:
            return {"addresses": {}, "unknown": {}, "settings": {}}
        raise AnsibleFilterError(str(error)) from error
    if required is not None and wanted and not told:
        raise AnsibleFilterError("the address of no monitor is known, and no monitor runs. " + "; ".join(unknown.values()))
    return {"addresses": addresses, "unknown": unknown, "settings": settings}


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return it by name."""
        return {"ceph_addresses": ceph_addresses}
