# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _host_consumers

DOCUMENTATION = r"""
name: consumer_keyrings
short_description: The keyring files of a host's consumers
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes keys by client and returns keyrings as P(cephstack.cloud.ceph_keyrings#module) takes them. Of clients of OpenStack's services the service is the
    reader.
positional: consumers, host, groups, mode
options:
  _input:
    description: The keys, by the full names of their clients.
    type: dict
    required: true
  consumers:
    description: The consumers, as the roles take them.
    type: list
    elements: dict
    required: true
  host:
    description: The host's name in the inventory.
    type: str
    required: true
  groups:
    description: The groups that the host is in.
    type: list
    elements: str
    required: true
  mode:
    description: The files' permissions, where the host has no group of the service.
    type: str
    default: "0600"
"""

EXAMPLES = r"""
- name: Write the keyrings of this host
  cephstack.cloud.ceph_keyrings:
    keyrings: "{{ keys | cephstack.cloud.consumer_keyrings(consumers, inventory_hostname, group_names) }}"
"""

RETURN = r"""
_value:
  description: The keyrings.
  type: list
  elements: dict
"""


def consumer_keyrings(
    keys: t.Mapping[str, str], consumers: t.Iterable[t.Mapping[str, t.Any]], host: str, groups: t.Iterable[str], mode: str = "0600"
) -> list[dict[str, t.Any]]:
    """Return the keyrings; see RETURN."""
    used = _host_consumers.of_host(consumers, host, groups)
    readers = {item["client"]: _consumers.SERVICES[item["kind"]] for item in used if item["kind"] in _consumers.SERVICES}
    return [{"client": client, "key": key, "mode": mode, **({"reader": readers[client]} if client in readers else {})} for client, key in keys.items()]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"consumer_keyrings": consumer_keyrings}
