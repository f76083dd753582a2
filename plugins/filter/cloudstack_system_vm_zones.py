# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import system_vms

DOCUMENTATION = r"""
name: cloudstack_system_vm_zones
short_description: The zones of a declared region that are to have system virtual machines
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Those that say so (C(system_vms)); else those that have an NFS image store and a cluster of KVM.
options:
  _input:
    description: The region, as an operator declares it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ {'zones': [{'name': 'zone1', 'system_vms': true}]} | cephstack.cloud.cloudstack_system_vm_zones }}"
"""

RETURN = r"""
_value:
  description: The zones, as M(cephstack.cloud.cloudstack_system_template) takes them.
  type: list
  elements: dict
"""


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cloudstack_system_vm_zones": system_vms.zones}
