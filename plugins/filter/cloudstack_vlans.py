# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _vlan_bridges as vlan_bridges

DOCUMENTATION = r"""
name: cloudstack_vlans
short_description: The highest VLAN that each bridge of a KVM host will carry
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the region that an operator declared, and gives back the highest VLAN of each bridge by the traffic labels of the zones that declare the host.
  - It is empty if no zone does.
options:
  _input:
    description: The region, as the role C(cloudstack_region) takes it.
    type: dict
    required: true
  host:
    description: The host's name in the inventory.
    type: str
    required: true
  variables:
    description: The host's variables.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show which VLANs this host's bridges will carry
  ansible.builtin.debug:
    msg: "{{ cloudstack_region | cephstack.cloud.cloudstack_vlans(inventory_hostname, hostvars[inventory_hostname]) }}"
"""

RETURN = r"""
_value:
  description: The highest VLAN by bridge, 0 for a bridge that carries none.
  type: dict
"""


def cloudstack_vlans(region: t.Mapping[str, t.Any], host: str, variables: t.Mapping[str, t.Any]) -> dict[str, int]:
    """Return the highest VLANs; see RETURN."""
    return vlan_bridges.of_host(host, variables, region)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"cloudstack_vlans": cloudstack_vlans}
