#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pool_host
short_description: What a XenServer or XCP-ng host needs for storage repositories on RBD and CephFS
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Gives a host of a pool what those of O(repositories) that are of type V(lvm) or V(cephfs) need. V(nfs) needs nothing.
  - C(/etc/ceph/ceph.conf), keyrings and secret files that only root can read, entries in C(/etc/ceph/rbdmap) and its service, the images mapped, and RBD in
    C(types) and C(scan) of LVM's two files C(lvmlocal.conf). What else stands in these files stays.
  - C(ceph-common) must be installed.
  - The controller does the work and only a shell runs on the host, whose Python is too old for Ansible's modules. A play with such hosts must not
    gather facts.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Keys are hidden on both sides.
  idempotent:
    support: full
options:
  repositories:
    description: The storage repositories, as M(cephstack.cloud.xen_pool) takes them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name. A pool may have several of one name, but not one that is declared.
        type: str
        required: true
      description:
        description: What it is for.
        type: str
      type:
        description: LVM on an RBD image, CephFS (XCP-ng only), or NFS.
        type: str
        required: true
        choices: [lvm, cephfs, nfs]
      image:
        description: The RBD image of an V(lvm) one, as V(pool/image). It must be mapped on every host.
        type: str
      client:
        description: The cephx client of an V(lvm) or V(cephfs) one, such as V(client.xen).
        type: str
      server:
        description: The NFS gateway, or the monitors of V(cephfs), separated by commas.
        type: str
      path:
        description: The NFS export, or the folder in CephFS. Each repository makes a folder of its own within.
        type: str
      port:
        description: The port of the monitors. By default 6789; the kernel of these hosts speaks Ceph's older protocol only.
        type: int
      filesystem:
        description: The CephFS filesystem, where the cluster has several.
        type: str
      version:
        description: The version of NFS. By default V(4).
        type: str
        choices: ["3", "4", "4.0", "4.1"]
      options:
        description: Further mount options.
        type: str
      uuid:
        description: The UUID of a repository that is on the storage but unknown to the pool, to take it over.
        type: str
      default:
        description: Whether new disks go there by default.
        type: bool
        default: false
      state:
        description: Whether the pool has it. V(absent) needs V(sr/NAME) armed.
        type: str
        choices: [present, absent]
        default: present
      removal:
        description:
          - What becomes of one that shall be absent. V(forget) leaves all that is on the storage, from where O(repositories[].uuid) takes it over again.
          - V(destroy) takes it off the storage, and is refused while disks are in it.
        type: str
        choices: [forget, destroy]
        default: forget
  fsid:
    description: The fsid of the cluster. A host whose C(ceph.conf) has another one is refused.
    type: str
    required: true
  mon_host:
    description: The monitors, in any form of a C(mon_host) in a C(ceph.conf).
    type: str
    required: true
  keys:
    description: The keys of the clients of the repositories, by client. They go to the host by standard input.
    type: dict
    default: {}
  absent:
    description: What becomes of the mappings and keys of repositories that shall be absent. The pool must have let go of them before they can be removed.
    type: str
    choices: [keep, remove]
    default: keep
seealso:
  - module: cephstack.cloud.xen_pool
"""

EXAMPLES = r"""
- name: Map the pool's image
  cephstack.cloud.xen_pool_host:
    fsid: 5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11
    mon_host: 10.0.0.11,10.0.0.12,10.0.0.13
    keys:
      client.xen: "{{ xen_key }}"
    repositories:
      - {name: ceph, type: lvm, image: xen/pool1, client: client.xen}
  register: prepared
"""

RETURN = r"""
images:
  description: The images that repositories lie on.
  type: list
  elements: dict
  returned: success
  contains:
    image:
      description: The image, as C(pool/image).
      type: str
    mapped:
      description: Whether it is mapped.
      type: bool
    holds:
      description: The signatures that C(wipefs) finds on it, such as C(LVM2_member). Empty where nothing is on it.
      type: list
      elements: str
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""
