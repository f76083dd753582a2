#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check the declaration of a whole stack before anything is touched
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Reads the inventory and the variables of all hosts of the stack, also of those outside C(--limit), and reports every
    mistake at once, each with the variable, the host and what to do.
  - Runs on the controller, connects nowhere and changes nothing.
extends_documentation_fragment:
  - cephstack.cloud.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
options:
  groups:
    description: The inventory group of each role, for groups with other names than these.
    type: dict
    default: {}
    suboptions:
      mons:
        description: The group of the monitors' hosts.
        type: str
        default: mons
      mgrs:
        description: The group of the managers' hosts.
        type: str
        default: mgrs
      osds:
        description: The group of the OSDs' hosts.
        type: str
        default: osds
      mdss:
        description: The group of the metadata servers' hosts.
        type: str
        default: mdss
      rgws:
        description: The group of the object gateways' hosts.
        type: str
        default: rgws
      kvm_hosts:
        description: The group of the KVM hosts.
        type: str
        default: kvm_hosts
      xen_hosts:
        description: The group of the Xen hosts.
        type: str
        default: xen_hosts
      nfs_gateways:
        description: The group of the NFS gateways.
        type: str
        default: nfs_gateways
  monmap:
    description: The addresses of each monitor of the living cluster by its name, if known. They take precedence over the inventory.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Check the declaration
  cephstack.cloud.preflight:
  run_once: true
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each.
  type: list
  elements: str
  returned: always
"""
