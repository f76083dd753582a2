# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage of a CloudStack region (primary_storage.py, secondary_storage.py and object_storage.py in plugins/module_utils/_cloudstack)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  primary_storage:
    description:
      - Pools of Ceph on which CloudStack keeps guests' volumes. A pool is known by its name within its zone.
      - Where it is in Ceph comes from a consumer and from the cluster itself, so that no monitor, user or key is written twice. The same pool of Ceph under
        another name, or with its monitors in another order, is refused, since CloudStack would take it for another pool.
      - CloudStack can change neither monitors nor pool of one that is there. Where they differ, it is an error.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      zone:
        description: Its zone.
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) puts it into maintenance, which stops guests, and removes it. It needs
          O(allow_loss=primary_storage/ZONE/NAME). It is refused while a volume is on it. Images stay in Ceph.
        type: str
        choices: [present, absent]
        default: present
      scope:
        description: Whether all hosts of the zone use it, or those of one cluster.
        type: str
        choices: [zone, cluster]
        default: zone
      pod:
        description: The pod of the cluster, for the scope V(cluster).
        type: str
      cluster:
        description: The cluster, for the scope V(cluster). It needs a host.
        type: str
      hypervisor:
        description: For hosts of which type it is, for the scope V(zone).
        type: str
        choices: [kvm, simulator]
        default: kvm
      consumer:
        description: The consumer of kind V(cloudstack) whose pool it is. Pool, cephx client and key come from it. Required for a pool that is present.
        type: str
      pool:
        description: The pool in Ceph, if the consumer has several.
        type: str
      data_pool:
        description:
          - The pool in Ceph for the data of images, where it is another one, such as an erasure-coded pool. By default what the consumer says.
          - Up to CloudStack 4.22.1 root volumes that are made of a template ignore it (apache/cloudstack 13361); data volumes don't.
          - An empty value removes it.
        type: str
      tags:
        description: All its tags, by which offerings choose it. Left as they are if not given.
        type: list
        elements: str
      access_groups:
        description: All its storage access groups; hosts of other groups don't use it. Left as they are if not given. Since CloudStack 4.21.
        type: list
        elements: str
      details:
        description: Further details, in CloudStack's own words. Those that are not named are left alone.
        type: dict
        default: {}
      enabled:
        description: Whether new volumes are placed on it. A pool in maintenance stays so.
        type: bool
        default: true
  image_stores:
    description:
      - Secondary storage, for templates, ISOs and backups of snapshots.
      - A region has stores of NFS, one or more for each zone, or of S3, which are the whole region's; never of both.
      - The server takes anything. A bucket is proven with its keys before it is registered; an NFS export is to be proven from the hosts, by
        M(cephstack.cloud.nfs_probe).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) needs O(allow_loss=image_store/NAME).
        type: str
        choices: [present, absent]
        default: present
      provider:
        description: What it is. S3 as secondary storage is not in good order in CloudStack 4.22 (apache/cloudstack 9002 and 10517), needs an NFS staging store
          in each zone besides, and its maintainers recommend against it.
        type: str
        choices: [nfs, s3]
        default: nfs
      zone:
        description: Its zone, for V(nfs) only.
        type: str
      url:
        description: Where it is, such as V(nfs://10.0.0.11/secondary), for V(nfs) only.
        type: str
      s3:
        description: Where it is, for V(s3) only.
        type: dict
        suboptions:
          endpoint:
            description: The gateway, as HOST or HOST:PORT. If it is a name, CloudStack uses the bucket's name as a host in that domain.
            type: str
          bucket:
            description: The bucket. CloudStack does not make it.
            type: str
            required: true
          user:
            description: The user of the gateways whose keys it uses, instead of the keys themselves.
            type: str
          access_key:
            description: The access key.
            type: str
          secret_key:
            description: The secret key.
            type: str
          https:
            description: Whether the gateway speaks TLS.
            type: bool
            default: false
          signer:
            description: The version of S3's signatures.
            type: str
            choices: [v2, v4]
            default: v4
      readonly:
        description: Whether nothing new may be stored there. Left as it is if not given.
        type: bool
  staging_stores:
    description: NFS stores by which templates get from an S3 image store to a zone's hosts. A store is known by zone and URL.
    type: list
    elements: dict
    default: []
    suboptions:
      zone:
        description: Its zone.
        type: str
        required: true
      url:
        description: Where it is, such as V(nfs://10.0.0.11/staging).
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) needs O(allow_loss=staging_store/ZONE/URL).
        type: str
        choices: [present, absent]
        default: present
  object_stores:
    description:
      - Object gateways on which CloudStack makes buckets for its users.
      - That its user of the gateways has the admin caps that it needs, V(users=*) and V(buckets=*), is proven before it is registered.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) needs O(allow_loss=object_store/NAME).
        type: str
        choices: [present, absent]
        default: present
      provider:
        description: What it is. Gateways of Ceph need CloudStack 4.20.
        type: str
        choices: [ceph]
        default: ceph
      url:
        description: The gateway, such as V(http://10.0.0.11:8080), with no path and no slash at its end. Required for a store that is present.
        type: str
      user:
        description: The user of the gateways as whom CloudStack works, instead of that user's keys.
        type: str
      access_key:
        description: Its access key.
        type: str
      secret_key:
        description: Its secret key. CloudStack does not give it back, so it is not compared.
        type: str
      size:
        description: How much of it CloudStack may give away, in GiB. Left as it is if not given. Since CloudStack 4.21.
        type: int
  buckets:
    description: Buckets that belong to the account whose API keys are used. Their keys are CloudStack's, and are never returned.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) needs O(allow_loss=bucket/NAME), and an empty bucket.
        type: str
        choices: [present, absent]
        default: present
      object_store:
        description: The object store. Required for a bucket that is present.
        type: str
      quota:
        description: How much may be in it, in GiB. Required for a bucket that is present.
        type: int
      versioning:
        description: Whether old versions of objects are kept. Left as it is if not given.
        type: bool
      object_locking:
        description: Whether objects can be locked. It is said when the bucket is made, and not later.
        type: bool
        default: false
      policy:
        description: Who may read it. Left as it is if not given.
        type: str
        choices: [private, public]
"""
