# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _gateways

DOCUMENTATION = r"""
name: openstack_object_storage
short_description: The object gateways of an OpenStack
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the OpenStack that an operator declared, and returns where its object storage is, by the gateways that its C(object_gateway) names.
  - The address is that of the first gateway's host in Ceph's public network, with TLS the first of the names that its certificate is for.
positional: hostvars, groups, controllers
options:
  _input:
    description: The variable C(openstack).
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
  controllers:
    description: The names of the controllers.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show where OpenStack's object storage is
  ansible.builtin.debug:
    msg: "{{ (openstack | cephstack.cloud.openstack_object_storage(hostvars, groups, groups['openstack_controllers'])).endpoint }}"
"""

RETURN = r"""
_value:
  description:
    - Nothing where there is none. Else C(hosts), those of the gateways, C(endpoint), for Keystone's catalogue, and C(options), what the gateways are told of
      Keystone, without a password.
  type: dict
"""


def openstack_object_storage(
    openstack: t.Mapping[str, t.Any], hostvars: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]], controllers: t.Sequence[str]
) -> dict[str, t.Any]:
    """Return hosts, endpoint and options; raise AnsibleFilterError with what is wrong."""
    try:
        return _gateways.object_storage(openstack, hostvars, groups, controllers)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"openstack_object_storage": openstack_object_storage}
