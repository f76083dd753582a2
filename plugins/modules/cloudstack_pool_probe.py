#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_pool_probe
short_description: Prove on a KVM host that CloudStack's RBD pools work there
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - CloudStack never says whether the key of a primary storage still works. This module looks for libvirt's pool and secret of its UUID, which
    CloudStack's agent makes, sees that pool and monitors are as they should be, and lists the pool's images with that very key.
  - It only reads.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_host
options:
  uri:
    description: Which libvirt to speak to.
    type: str
    default: qemu:///system
  pools:
    description: What the host must have, as M(cephstack.cloud.cloudstack_region) returns it in RV(cephstack.cloud.cloudstack_region#module:primary_storage).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the primary storage.
        type: str
        required: true
      uuid:
        description: Its UUID.
        type: str
        required: true
      pool:
        description: Its pool in Ceph.
        type: str
        required: true
      monitors:
        description: Its monitors' addresses.
        type: list
        elements: str
        required: true
  wait:
    description: Within how many seconds the agent must have made its pools. After a restart of the server it takes a while to connect again.
    type: int
    default: 60
requirements:
  - python3-libvirt, python3-rados and python3-rbd, of the distribution's own Python (another interpreter hands over to it by itself)
seealso:
  - module: cephstack.cloud.cloudstack_guest_probe
"""

EXAMPLES = r"""
- name: Whether the pool of the zone works on this host
  cephstack.cloud.cloudstack_pool_probe:
    pools:
      - name: rbd
        uuid: 5f1b7752-7354-3d82-880c-f9dfd99ac294
        pool: cloudstack
        monitors: [10.77.0.11, 10.77.0.12, 10.77.0.13]
"""

RETURN = r"""
pools:
  description: The pools that work.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The name of the primary storage.
      type: str
    uuid:
      description: Its UUID.
      type: str
    client:
      description: The cephx client that the host uses.
      type: str
    images:
      description: How many images it saw.
      type: int
problems:
  description: What went wrong, one sentence a pool.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.pool_probe import probe_all
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import URI_OPTION, Host
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, integer, records, string, strings

POOL = {
    "name": string("The name of the primary storage.", required=True),
    "uuid": string("Its UUID.", required=True),
    "pool": string("Its pool in Ceph.", required=True),
    "monitors": strings("Its monitors' addresses.", required=True),
}


FIELDS = {
    "uri": URI_OPTION,
    "pools": records(
        "What the host must have, as M(cephstack.cloud.cloudstack_region) returns it in RV(cephstack.cloud.cloudstack_region#module:primary_storage).",
        POOL,
        required=True,
    ),
    "wait": integer("Within how many seconds the agent must have made its pools. After a restart of the server it takes a while to connect again.", default=60),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    for name, package in (("libvirt", "python3-libvirt"), ("rados", "python3-rados"), ("rbd", "python3-rbd")):
        require_binding(module, name, package)
    try:
        with Host(module.params["uri"]) as host:
            pools, problems = probe_all(host, module.params["pools"], module.params["wait"])
    except Unreachable as error:
        module.fail_json(msg=str(error))
    if problems:
        module.fail_json(msg="; ".join(problems), pools=pools, problems=problems)
    module.exit_json(changed=False, pools=pools, problems=[])


if __name__ == "__main__":
    main()
