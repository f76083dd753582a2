# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses the cluster's pools (OPTIONS in plugins/module_utils/_consumers.py)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  consumers:
    description: Who uses the cluster's pools. The same list is given to all roles and modules, each of which takes what it needs.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the consumer.
        type: str
        required: true
      client:
        description: The full name of its cephx client. By default C(client.) and the consumer's name.
        type: str
      kind:
        description: What it is. Consumers of all kinds but V(rados) keep images in their pools.
        type: str
        choices: [cinder, cinder-backup, cloudstack, glance, kvm, nova, rados, rbd, xen]
        default: rbd
      hosts:
        description:
          - 'The groups and hosts of the inventory that use it: they get its key and what else its kind needs, and prove it. Of all kinds but V(rbd) and
            V(rados).'
          - Without it there is only the client with its rights, for hosts that others set up.
        type: list
        elements: str
      pools:
        description: The pools that it uses.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: The name of the pool.
            type: str
            required: true
          access:
            description: Whether it may write, or only read.
            type: str
            choices: [rw, ro]
            default: rw
          data_pool:
            description:
              - The pool of its images' data, where that is another one, such as an erasure-coded pool. The consumer has the same access to it.
              - Images that are made for the proof have their data there, and CloudStack's; of others it must be said where they are made.
            type: str
          namespace:
            description: The namespace within this pool, where it is another one than the consumer's. Empty for the pool as a whole, with all its namespaces.
            type: str
      namespace:
        description:
          - The namespace within each of its pools. It is made there, and the consumer has no rights on anything else in these pools.
          - Without it the consumer's rights are on the pools as a whole. Consumers of CloudStack, Xen and OpenStack can have none.
        type: str
      rotate_before:
        description: A moment in the past, such as V(2026-11-01). Its key is made anew if it was made before it.
        type: str
      oldest_client:
        description: The version of the oldest Ceph library that uses its key, such as V(18.2.7). Its key is of a type that this can read.
        type: str
"""
