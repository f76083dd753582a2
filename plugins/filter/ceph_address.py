# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.cephstack.cloud.plugins.module_utils import _inventory

DOCUMENTATION = r"""
name: ceph_address
short_description: The address by which a host's Ceph daemons are reached
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the variables of one host and returns its address in Ceph's public network.
  - This is C(ceph_common_address) where it is set, else C(ansible_host) if it lies in the network,
    else the first address of the host's facts that does.
positional: public_network
options:
  _input:
    description: The variables of one host, such as C(hostvars['ceph1']).
    type: dict
    required: true
  public_network:
    description: Ceph's public network in CIDR form, several separated by commas.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show where the monitor of a host listens
  ansible.builtin.debug:
    msg: "{{ hostvars['ceph1'] | cephstack.cloud.ceph_address('10.0.0.0/24') }}"
"""

RETURN = r"""
_value:
  description: The address.
  type: str
"""


def ceph_address(variables: t.Mapping[str, t.Any], public_network: str) -> str:
    """Return the address; raise AnsibleFilterError where the host has none in the network."""
    name = str(variables.get("inventory_hostname", ""))
    host = _inventory.Host(name=name, groups=frozenset(), variables=variables, facts=variables.get("ansible_facts") or {})
    try:
        address = _inventory.address_of(host, _inventory.networks(public_network))
    except ValueError as error:
        raise AnsibleFilterError(f"ceph.public_network: {error}") from error
    if address is None:
        raise AnsibleFilterError(f"{name}: has no address in ceph.public_network ({public_network}): set ceph_common_address for it")
    return address


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"ceph_address": ceph_address}
