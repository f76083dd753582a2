# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _host_consumers

DOCUMENTATION = r"""
name: consumers_of
short_description: The consumers of some kinds, or those that a host uses
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the list of all consumers and returns those of the given kinds, with the defaults of what is left out. With O(host), only those whose C(hosts)
    name the host or a group that it is in.
positional: kinds, host, groups
options:
  _input:
    description: The consumers, as the roles take them.
    type: list
    elements: dict
    required: true
  kinds:
    description: The kinds.
    type: list
    elements: str
    required: true
  host:
    description: The host's name in the inventory.
    type: str
  groups:
    description: The groups that the host is in.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show which consumers of kind kvm this host uses
  ansible.builtin.debug:
    msg: "{{ consumers | cephstack.cloud.consumers_of(['kvm'], inventory_hostname, group_names) }}"
"""

RETURN = r"""
_value:
  description: The consumers.
  type: list
  elements: dict
"""


def consumers_of(
    consumers: t.Iterable[t.Mapping[str, t.Any]], kinds: t.Collection[str], host: t.Optional[str] = None, groups: t.Iterable[str] = ()
) -> list[dict[str, t.Any]]:
    """Return the consumers; see RETURN."""
    found = map(_host_consumers.complete, consumers) if host is None else _host_consumers.of_host(consumers, host, groups)
    return [consumer for consumer in found if consumer["kind"] in kinds]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"consumers_of": consumers_of}
