# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _gateways

DOCUMENTATION = r"""
name: cloudstack_stores
short_description: A region whose stores are named after gateways of the inventory, with their urls
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the region that an operator declared, and gives it back with the C(url) of each image store, staging store, object store and template that names
    its C(gateway) by a group or host of the inventory.
  - The address is that of the host in Ceph's public network, where gateways listen. Scheme and port of an object gateway are those of C(ceph_rgw_instances).
positional: hostvars, groups
options:
  _input:
    description: The region, as the role C(cloudstack_region) takes it.
    type: dict
    required: true
  hostvars:
    description: The variables of the inventory's hosts.
    type: dict
    required: true
  groups:
    description: The inventory's groups, with their hosts.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show where the image stores are
  ansible.builtin.debug:
    msg: "{{ (cloudstack_region | cephstack.cloud.cloudstack_stores(hostvars, groups)).image_stores | map(attribute='url') }}"
"""

RETURN = r"""
_value:
  description: The region.
  type: dict
"""


def cloudstack_stores(region: t.Mapping[str, t.Any], hostvars: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]]) -> dict[str, t.Any]:
    """Return the region; raise AnsibleFilterError with all that is wrong."""
    made, problems = _gateways.resolve(region, hostvars, groups)
    if problems:
        raise AnsibleFilterError("; ".join(problems))
    return made


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"cloudstack_stores": cloudstack_stores}
