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
    mistake at once, each with the variable, the host and the mend.
  - Every variable is judged by the specification of the roles that run on its host, and every part of the stack (the cluster, the object storage,
    NFS gateways, hypervisors and their bridges, CloudStack's servers and region, pools of XenServer, the proofs) by what it would say of it later.
  - What M(cephstack.cloud.preflight_facts) has learned of the hosts is judged too, if it ran before. These are clocks, the way between hosts, room, ports, and
    OSDs of a cluster whose monitors' stores are lost. What the stack would run with is a warning.
  - What a template cannot tell yet, such as a fact of a host that was not reached, is no mistake. It is listed as unchecked.
  - Runs on the controller, connects nowhere and changes nothing.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
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
      xen_pool_hosts:
        description: The group of the hosts of XenServer and XCP-ng pools.
        type: str
        default: xen_pool_hosts
      nfs_gateways:
        description: The group of the NFS gateways.
        type: str
        default: nfs_gateways
  monmap:
    description: The addresses of each monitor of the running cluster by its name, if known. They take precedence over the inventory.
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
unchecked:
  description: What is not known before the hosts are reached, and was not looked at, with the reason.
  type: list
  elements: str
  returned: always
"""
