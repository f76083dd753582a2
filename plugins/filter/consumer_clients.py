# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers

DOCUMENTATION = r"""
name: consumer_clients
short_description: The cephx clients of consumers
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes a list of consumers and returns the full names of their cephx clients, each once, in the order of the list.
options:
  _input:
    description: The consumers, as the roles take them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show which clients there will be
  ansible.builtin.debug:
    msg: "{{ consumers | cephstack.cloud.consumer_clients }}"
"""

RETURN = r"""
_value:
  description: The clients.
  type: list
  elements: str
"""


def consumer_clients(consumers: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the clients, each once."""
    return list(dict.fromkeys(_consumers.client_of(consumer) for consumer in consumers))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"consumer_clients": consumer_clients}
