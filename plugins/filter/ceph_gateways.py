# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _inventory
from ansible_collections.cephstack.cloud.plugins.plugin_utils._object_gateways import gateways

DOCUMENTATION = r"""
name: ceph_gateways
short_description: The object gateways of hosts
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the variables of hosts and returns all their object gateways, each with its addresses (C(urls)), its cephx client, its options of the
    configuration database and its item for M(cephstack.cloud.ceph_daemon). For the role ceph_rgw.
positional: public_network, site, instances, monmap, required, keystone
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
  public_network:
    description: Ceph's public network in CIDR form, several separated by commas.
    type: str
    required: true
  site:
    description: The realm, zonegroup and zone.
    type: dict
    required: true
  instances:
    description: The gateways of hosts that have no C(ceph_rgw_instances) of their own.
    type: list
    elements: dict
    required: true
  monmap:
    description: The addresses of each monitor of the running cluster by its name.
    type: dict
    default: {}
  required:
    description: The hosts that must have an address, by default all. Of others that have none there is one item, with no C(urls) and C(daemon).
    type: list
    elements: str
  keystone:
    description: Of an OpenStack whose object storage gateways are, what P(cephstack.cloud.openstack_object_storage#filter) returns.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show where the gateways are
  ansible.builtin.debug:
    msg: >-
      {{ groups['rgws'] | map('extract', hostvars)
      | cephstack.cloud.ceph_gateways(ceph.public_network, ceph_rgw_site, ceph_rgw_instances) | map(attribute='urls') | flatten }}
"""

RETURN = r"""
_value:
  description: The gateways, with host, urls, names, entity, options and daemon.
  type: list
  elements: dict
"""


def ceph_gateways(
    hosts: t.Iterable[t.Mapping[str, t.Any]],
    public_network: str,
    site: t.Mapping[str, t.Any],
    instances: t.Sequence[t.Mapping[str, t.Any]],
    monmap: t.Optional[t.Mapping[str, t.Sequence[str]]] = None,
    required: t.Optional[t.Sequence[str]] = None,
    keystone: t.Optional[t.Mapping[str, t.Any]] = None,
) -> list[dict[str, t.Any]]:
    """Return the gateways of all hosts; raise AnsibleFilterError with what is wrong."""
    found = []
    given = {str(variables["inventory_hostname"]): variables for variables in hosts}
    try:
        wanted = [_inventory.host_of(variables) for variables in given.values()]
        known, _unknown = _inventory.known_addresses(wanted, _inventory.networks(public_network), monmap, given if required is None else required)
        for name, variables in given.items():
            # What a host's gateways are asked and told is not needed while nothing is known of it.
            unknown: list[dict[str, t.Any]] = [{"host": name, "urls": []}]
            more = keystone["options"] if keystone and name in keystone["hosts"] else None
            found += gateways(name, known[name], variables.get("ceph_rgw_instances", instances), site, more) if name in known else unknown
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    return found


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Any]:
        return {"ceph_gateways": ceph_gateways}
