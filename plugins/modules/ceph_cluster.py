#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_cluster
short_description: Everything declared of a Ceph cluster, in one call
version_added: 0.1.0
description:
  - Makes pools, erasure-code profiles, the CRUSH map, cephx clients, options of the configuration database, flags, managers' modules and filesystems as
    declared.
  - Each of O(consumers) gets its cephx client with the least caps, and its pools are marked with its application.
  - All maps of the cluster are read once, over one connection. What differs is set right, at the same time where it is independent. Nothing is sent for
    an object that is as declared.
  - What is not declared is left alone, unless O(prune) names its kind.
  - A declaration that cannot be met is refused before anything is touched, with all its mistakes.
author: The cephstack.cloud authors (@cephstack)
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.consumers
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - In check mode, if no cluster has been made yet (no configuration file, and no O(connection.mon_host)), everything declared is planned as new.
options:
  fsid:
    description: The cluster's fsid. If it is given, a cluster with another one is refused.
    type: str
  pools:
    description: Pools.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The pool's name.
        type: str
        required: true
      state:
        description: V(absent) destroys the pool and all its data, and needs O(allow_loss=pool/NAME).
        type: str
        choices: [present, absent]
        default: present
      type:
        description: How data is kept. It cannot change later.
        type: str
        choices: [replicated, erasure]
        default: replicated
      erasure_profile:
        description: The erasure-code profile of a pool of type V(erasure). It cannot change later.
        type: str
      rule:
        description: The CRUSH rule. Changing it moves all the pool's data.
        type: str
      size:
        description: How many copies are kept. By default the cluster's C(osd_pool_default_size).
        type: int
      min_size:
        description: How many copies must be available for I/O to go on.
        type: int
      pg_num:
        description:
          - How many placement groups the pool has.
          - If the autoscaler is on for the pool, this is only the number to begin with.
        type: int
      pg_num_min:
        description: The autoscaler does not go below this.
        type: int
      pg_num_max:
        description: The autoscaler does not go above this. Needs Ceph 17.
        type: int
      autoscale_mode:
        description: Whether the autoscaler sets pg_num, or only warns.
        type: str
        choices: ["on", "off", warn]
      bulk:
        description: Whether the pool will be large, so that it begins with its full number of placement groups.
        type: bool
      target_size:
        description: How large the pool is expected to become, for example V(10T).
        type: str
      target_size_ratio:
        description: The part of the cluster that the pool is expected to take, in relation to the ratios of other pools.
        type: float
      applications:
        description: What the pool is used for, for example V(rbd). The whole list; marks of Ceph's own services stay.
        type: list
        elements: str
      quota_bytes:
        description: How much may be stored, for example V(500G); V(0) for no limit.
        type: str
      quota_objects:
        description: How many objects may be stored; V(0) for no limit.
        type: int
      compression:
        description: Compression by the OSDs.
        type: dict
        suboptions:
          mode:
            description: When to compress.
            type: str
            choices: ["none", passive, aggressive, force]
          algorithm:
            description: How to compress.
            type: str
            choices: ["none", snappy, zlib, zstd, lz4]
          required_ratio:
            description: Keep compressed data only if it is at most this part of the original.
            type: float
          min_blob_size:
            description: Don't compress chunks smaller than this.
            type: str
          max_blob_size:
            description: Cut larger chunks into pieces of this size.
            type: str
      allow_ec_overwrites:
        description: Let RBD and CephFS write to a pool of type V(erasure). This cannot be undone.
        type: bool
      nodelete:
        description: Whether Ceph refuses to delete the pool.
        type: bool
      nopgchange:
        description: Whether Ceph refuses to change the pool's pg_num.
        type: bool
      nosizechange:
        description: Whether Ceph refuses to change the pool's size.
        type: bool
  erasure_profiles:
    description: Erasure-code profiles. The profile of an existing pool cannot change.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The profile's name.
        type: str
        required: true
      state:
        description: Whether it is there.
        type: str
        choices: [present, absent]
        default: present
      k:
        description: Chunks of data.
        type: int
      m:
        description: Chunks that may be lost.
        type: int
      plugin:
        description: The plugin. By default Ceph's own choice.
        type: str
      technique:
        description: The plugin's technique.
        type: str
      failure_domain:
        description: The type of bucket of which each takes one chunk. By default V(host).
        type: str
      root:
        description: The bucket of the CRUSH map to place in. By default V(default).
        type: str
      device_class:
        description: Place on OSDs of this class only.
        type: str
      extra:
        description:
          - Further settings, in Ceph's own words.
          - With C(crush-osds-per-failure-domain) and C(crush-num-failure-domains) each failure domain takes several chunks, for few hosts with many OSDs. This
            needs Ceph 19 and O(require_min_compat_client=squid).
        type: dict
  crush:
    description: The CRUSH map.
    type: dict
    default: {}
    suboptions:
      buckets:
        description: Buckets.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The bucket's name.
            type: str
            required: true
          type:
            description: Its type.
            type: str
            choices: [host, chassis, rack, row, pdu, pod, room, datacenter, zone, region, root]
          parent:
            description: The bucket that contains it.
            type: str
          state:
            description: Whether it exists. Only an empty one can be removed.
            type: str
            choices: [present, absent]
            default: present
      locations:
        description: Which bucket contains which existing hosts (or other buckets, or OSDs).
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: What it contains.
            type: str
            required: true
          parent:
            description: The bucket that contains it.
            type: str
            required: true
      device_classes:
        description: The classes of OSDs.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The class, for example V(ssd).
            type: str
            required: true
          osds:
            description: The OSDs of this class, for example V(osd.3). OSDs that no class names are left alone.
            type: list
            elements: str
            required: true
      rules:
        description: Rules that place one copy or chunk in each bucket of a type.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The rule's name.
            type: str
            required: true
          type:
            description: For which pools it is.
            type: str
            choices: [replicated, erasure]
            default: replicated
          root:
            description: The bucket to place in. By default V(default).
            type: str
          failure_domain:
            description: The type of bucket of which each takes one copy. By default V(host).
            type: str
            choices: [osd, host, chassis, rack, row, pdu, pod, room, datacenter, zone, region]
          device_class:
            description: Place on OSDs of this class only.
            type: str
          erasure_profile:
            description: The profile from which a rule of type V(erasure) takes all that.
            type: str
          state:
            description: Whether it exists. One that pools use cannot be removed.
            type: str
            choices: [present, absent]
            default: present
  clients:
    description: cephx clients.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The full name, for example V(client.backup).
        type: str
        required: true
      state:
        description: V(absent) locks out whoever uses it, and needs O(allow_loss=client/NAME).
        type: str
        choices: [present, absent]
        default: present
      caps:
        description: All its caps. They are compared by their meaning, so that blanks, quotes and order don't matter. Left as they are if not given.
        type: dict
        suboptions:
          mon:
            description: Caps on the monitors.
            type: str
          osd:
            description: Caps on the OSDs.
            type: str
          mgr:
            description: Caps on the managers.
            type: str
          mds:
            description: Caps on the metadata servers.
            type: str
      key:
        description: Its key. By default the cluster makes one.
        type: str
      key_type:
        description: The key's type. V(aes256k) needs Ceph 20.2.4, on the clients too.
        type: str
        choices: [aes, aes256k]
      rotate_before:
        description:
          - A moment in the past, such as V(2026-11-01) or V(2026-11-01T12:00:00Z). A key that was made before it is replaced by a new one.
          - Keys carry the moment of their making, so this is done once.
        type: str
  options:
    description:
      - Options of the configuration database, as a dictionary of sections (V(global), V(osd), V(osd.3), V(osd/class:ssd), V(osd/host:ceph1) …), each a
        dictionary of options and values. An empty value removes the option.
      - Values are compared by the type that the cluster says the option has, so V(4G) is V(4294967296), and V(yes) is V(true).
    type: dict
    default: {}
  flags:
    description: Cluster-wide flags such as V(noout), as a dictionary of names and truth values.
    type: dict
    default: {}
  mgr_modules:
    description: Modules of the managers, as a dictionary of names and whether they are enabled.
    type: dict
    default: {}
  filesystems:
    description: CephFS filesystems.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The filesystem's name.
        type: str
        required: true
      state:
        description: V(absent) destroys all its files, and needs O(allow_loss=filesystem/NAME).
        type: str
        choices: [present, absent]
        default: present
      metadata_pool:
        description: The pool of its metadata. It cannot change later.
        type: str
      data_pools:
        description: The pools of its data. The first cannot change later.
        type: list
        elements: str
      max_mds:
        description: How many metadata servers are active.
        type: int
      standby_count_wanted:
        description: How many must stand by for the cluster to be healthy.
        type: int
      allow_standby_replay:
        description: Whether a standby server follows the active one's journal, so that it takes over faster.
        type: bool
  require_min_compat_client:
    description: The oldest release of clients that may connect, for example V(mimic).
    type: str
  cephx:
    description: The ciphers of cephx. Needs Ceph 20.2.4.
    type: dict
    default: {}
    suboptions:
      allowed:
        description:
          - The key types with which one may log in.
          - Clients older than 20.2.4 know V(aes) only, which is insecure (CVE-2025-30156).
        type: list
        elements: str
        choices: [aes, aes256k]
      preferred:
        description: The type of new keys.
        type: str
        choices: [aes, aes256k]
      service:
        description: The type of the services' tickets.
        type: str
        choices: [aes, aes256k]
  prune:
    description:
      - Kinds of which everything that is not declared is deleted. Each deletion needs O(allow_loss).
      - What belongs to Ceph itself or to its daemons is never touched, such as C(client.admin), C(.mgr), or a gateway's pools.
    type: list
    elements: str
    choices: [pools, erasure_profiles, rules, clients, options, filesystems]
    default: []
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: A pool for virtual machines, and who may use it
  cephstack.cloud.ceph_cluster:
    pools:
      - name: images
        size: 3
        min_size: 2
        applications: [rbd]
    clients:
      - name: client.images
        caps:
          mon: profile rbd
          osd: profile rbd pool=images
    options:
      global:
        osd_pool_default_size: 3
      osd/class:ssd:
        osd_memory_target: 4G
    flags:
      noout: false
    mgr_modules:
      prometheus: true

- name: A pool that is not needed any more
  cephstack.cloud.ceph_cluster:
    pools:
      - name: old
        state: absent
    allow_loss: [pool/old]
"""

RETURN = r"""
changes:
  description: What was changed, or would be, in the order of their stages.
  returned: success
  type: list
  elements: dict
  contains:
    stage:
      description: Changes of one stage are made side by side.
      type: int
    kind:
      description: What kind of thing it is.
      type: str
    name:
      description: Its name.
      type: str
    action:
      description: What is done.
      type: str
    risk:
      description: What it can cost. One of none, restart, movement, loss.
      type: str
    reason:
      description: Why it costs that.
      type: str
    moved_bytes:
      description: How much data moves, where that is known.
      type: int
cluster:
  description: The cluster in short.
  returned: success
  type: dict
  contains:
    fsid:
      description: Its fsid. Null where there is no cluster yet.
      type: str
    version:
      description: The oldest release among its monitors.
      type: str
    mon_host:
      description: The monitors' addresses, sorted.
      type: str
consumers:
  description: What hosts need of each consumer, without keys.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The consumer's name.
      type: str
    kind:
      description: What it is.
      type: str
    client:
      description: Its cephx client.
      type: str
    secret_uuid:
      description: The UUID of the libvirt secret with its key.
      type: str
    pools:
      description: Its pools and how it uses them.
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.cluster import OPTIONS, ClusterProvider
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, nowhere, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, PREFIX, arguments

FIELDS = {
    **OPTIONS,
    "prefix": PREFIX,
    "allow_loss": ALLOW_LOSS,
    "connection": CONNECTION,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    connection = module.params["connection"]
    if not (module.check_mode and nowhere(connection)):
        require_binding(module)
    declaration = {key: module.params[key] for key in OPTIONS}
    with ClusterProvider(declaration, connection, module.check_mode, module.params["prefix"]) as provider:
        run_module(module, provider, allow_loss=module.params["allow_loss"])


if __name__ == "__main__":
    main()
