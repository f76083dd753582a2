# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _gateways

DOCUMENTATION = r"""
name: xen_repositories
short_description: The storage repositories of a pool, with the addresses of what this inventory has
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Returns the repositories as M(cephstack.cloud.xen_pool) takes them, with the address of the NFS gateway in the place of C(gateway), and the cluster's
    monitors where one of type C(cephfs) names no server.
positional: hostvars, groups, mon_host
options:
  _input:
    description: The repositories, as C(xen_pool.repositories) has them.
    type: list
    elements: dict
    required: true
  hostvars:
    description: The variables of all hosts.
    type: dict
    required: true
  groups:
    description: The hosts of all groups.
    type: dict
    required: true
  mon_host:
    description: The cluster's monitors, in the form of C(mon_host) in a C(ceph.conf).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show where the repositories are
  ansible.builtin.debug:
    msg: "{{ xen_pool.repositories | cephstack.cloud.xen_repositories(hostvars, groups) | map(attribute='server') }}"
"""

RETURN = r"""
_value:
  description: The repositories.
  type: list
  elements: dict
"""


def xen_repositories(
    declared: t.Sequence[t.Mapping[str, t.Any]], hostvars: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]], mon_host: str = ""
) -> list[dict[str, t.Any]]:
    """Return the repositories; raise AnsibleFilterError with all that is wrong."""
    made, problems = _gateways.repositories(declared, hostvars, groups, mon_host)
    if problems:
        raise AnsibleFilterError("; ".join(problems))
    return made


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"xen_repositories": xen_repositories}
