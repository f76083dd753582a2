#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_rbd
short_description: Give a host's libvirt the keys and RBD storage pools of Ceph
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Defines secrets of type C(ceph) that hold cephx keys, and storage pools of type C(rbd) that use them, for any number of
    clients and pools in one call.
  - A secret has the same UUID on every host, derived from the cluster's fsid and the client's name, so that guests can move.
  - Each of O(consumers) gives a secret for its client, and a storage pool for each pool that it may write. O(secrets) and O(pools) name
    others.
  - Pools are started and started at boot. A pool whose definition, monitors, key or state differs is set right without touching a
    volume, and without touching guests, which have their own connections.
  - A key that changed is set anew and tried at once on the running pools that use it.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: On a host that has no libvirt yet it says that everything would be created.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  uri:
    description: Which libvirt to speak to.
    type: str
    default: qemu:///system
  fsid:
    description: The fsid of the cluster.
    type: str
    required: true
  mon_host:
    description:
      - The monitors of the running cluster, in any form of a C(mon_host) in a C(ceph.conf).
      - They are kept sorted. The usual ports are left out, so that the client may use either protocol.
    type: str
    required: true
  keys:
    description: The keys of the clients of O(consumers), by client.
    type: dict
    default: {}
  secrets:
    description: The cephx clients whose keys this host holds.
    type: list
    elements: dict
    default: []
    suboptions:
      client:
        description: The full name of the cephx client, such as V(client.guests).
        type: str
        required: true
      key:
        description: Its key. It is given to libvirt through its API, and reaches no file and no command line.
        type: str
      uuid:
        description: Another UUID than the one that is made of the fsid and the client, for guests that already name one.
        type: str
      state:
        description: Whether the host holds it.
        type: str
        choices: [present, absent]
        default: present
  pools:
    description: The storage pools of libvirt.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the pool in libvirt.
        type: str
        required: true
      pool:
        description: The name of the pool in Ceph, if it is a different one.
        type: str
      client:
        description: The cephx client that libvirt uses. It must be among O(secrets). Required for a pool that is present.
        type: str
      autostart:
        description: Whether the pool is started when the host boots.
        type: bool
        default: true
      state:
        description: Whether libvirt has the pool. V(absent) removes libvirt's entry only, never an image.
        type: str
        choices: [present, absent]
        default: present
requirements:
  - python3-libvirt, of the distribution's own Python (another interpreter hands over to it by itself)
seealso:
  - module: cephstack.cloud.ceph_probe
"""

EXAMPLES = r"""
- name: Guests' disks on the pool vms
  cephstack.cloud.libvirt_rbd:
    fsid: 5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11
    mon_host: 10.77.0.11,10.77.0.12,10.77.0.13
    secrets:
      - client: client.guests
        key: "{{ guests_key }}"
    pools:
      - name: vms
        client: client.guests
"""

RETURN = r"""
secrets:
  description: The secrets that were declared.
  type: list
  elements: dict
  returned: success
  contains:
    client:
      description: The cephx client.
      type: str
    uuid:
      description: The UUID to name in a guest's disk.
      type: str
pools:
  description: The storage pools that were declared, as they are.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name in libvirt.
      type: str
    pool:
      description: The name in Ceph.
      type: str
    active:
      description: Whether it runs.
      type: bool
    autostart:
      description: Whether it is started when the host boots.
      type: bool
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding_or_dry_run
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import URI_OPTION, Host
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.rbd import Provider, of_consumers, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, mapping, presence, records, string

SECRET = {
    "client": string("The full name of the cephx client, such as V(client.guests).", required=True),
    "key": string("Its key. It is given to libvirt through its API, and reaches no file and no command line.", no_log=True),
    "uuid": string("Another UUID than the one that is made of the fsid and the client, for guests that already name one."),
    "state": presence("Whether the host holds it."),
}
POOL = {
    "name": string("The name of the pool in libvirt.", required=True),
    "pool": string("The name of the pool in Ceph, if it is a different one."),
    "client": string("The cephx client that libvirt uses. It must be among O(secrets). Required for a pool that is present."),
    "autostart": boolean("Whether the pool is started when the host boots.", default=True),
    "state": presence("Whether libvirt has the pool. V(absent) removes libvirt's entry only, never an image."),
}


FIELDS = {
    "uri": URI_OPTION,
    "fsid": string("The fsid of the cluster.", required=True),
    "mon_host": string(
        "The monitors of the running cluster, in any form of a C(mon_host) in a C(ceph.conf).\n"
        "They are kept sorted. The usual ports are left out, so that the client may use either protocol.",
        required=True,
    ),
    "consumers": CONSUMERS,
    "keys": mapping("The keys of the clients of O(consumers), by client.", default={}, no_log=True),
    # no_log would hide the names of the clients in every later output; the keys within are hidden
    "secrets": records("The cephx clients whose keys this host holds.", SECRET, default=[], no_log=False),
    "pools": records("The storage pools of libvirt.", POOL, default=[]),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    secrets, pools = of_consumers(params["consumers"], params["keys"])
    try:
        wanted = parse(params["fsid"], params["mon_host"], params["secrets"] + secrets, params["pools"] + pools, module.check_mode)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    if not binding_or_dry_run(module, "libvirt", "python3-libvirt"):
        run_module(module, Provider(None, wanted))
    try:
        with Host(params["uri"]) as host:
            run_module(module, Provider(host, wanted))
    except Unreachable as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
