#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_mon
short_description: The Ceph monitor of a host
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Makes the host's monitor, starts it, and returns when it is in the quorum.
  - If there is a running cluster, the monitor joins it. If there is none, it bootstraps one, alone, if it may.
  - Keys are made once, on the first host, and pass through memory only. The keyring of C(client.admin) is kept on every monitor's host. It is written
    anew if its key is not the cluster's, or if anybody except root may read it. Only the user C(ceph) may read the monitor's own keyring.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
attributes:
  check_mode:
    support: full
    details: Works before Ceph is installed. Then it says that the monitor would be created.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  connection:
    description: How to reach the running cluster, and as whom. Without O(connection.mon_host) there is none to join.
    type: dict
    default: {}
    suboptions:
      conf:
        description: The Ceph configuration file that names the monitors. It is not read if O(connection.mon_host) is given.
        type: path
        default: /etc/ceph/ceph.conf
      mon_host:
        description: The monitors' addresses, in the form of C(mon_host) in a C(ceph.conf).
        type: str
      client:
        description: The full name of the cephx client.
        type: str
        default: client.admin
      keyring:
        description: A file on this host with the client's key. By default the places where Ceph itself looks.
        type: path
      key:
        description: The client's key itself. It is used in memory only and reaches no file and no command line.
        type: str
      timeout:
        description: How many seconds to wait for the cluster, on connecting and for each command.
        type: int
        default: 30
  name:
    description: The monitor's name. The host's short name by default.
    type: str
  address:
    description: The address at which it listens, ports 3300 and 6789.
    type: str
    required: true
  public_network:
    description: The networks in which O(address) must lie, in CIDR form, separated by commas.
    type: str
  fsid:
    description:
      - The cluster's fsid. A new one is made for a new cluster by default.
      - It is an error if the running cluster has another.
    type: str
  bootstrap:
    description: Whether this host bootstraps a cluster where there is none to join. Say so to one host only.
    type: bool
    default: false
  wait:
    description: How many seconds the quorum may take.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: The first monitor
  cephstack.cloud.ceph_mon:
    address: 10.77.0.11
    public_network: 10.77.0.0/24
    bootstrap: true

- name: One more
  cephstack.cloud.ceph_mon:
    address: 10.77.0.12
    public_network: 10.77.0.0/24
    connection:
      mon_host: 10.77.0.11
      key: "{{ admin_key }}"
"""

RETURN = r"""
name:
  description: The monitor's name.
  type: str
  returned: success
fsid:
  description: The cluster's fsid.
  type: str
  returned: success
mon_host:
  description: The addresses of all monitors, in the form of C(mon_host) in a C(ceph.conf).
  type: str
  returned: success
quorum:
  description: The names of the monitors in quorum.
  type: list
  elements: str
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import mons
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import installed
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {
    "connection": {**CONNECTION, "description": "How to reach the running cluster, and as whom. Without O(connection.mon_host) there is none to join."},
    **mons.OPTIONS,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    connection = module.params["connection"]
    provider = mons.provider(module.params, connection if connection["mon_host"] else {})
    if module.check_mode and not installed("ceph-mon"):
        # nothing here could ask; that a monitor would be made is certain
        provider = dataclasses.replace(provider, bootstrap=True, connection={})
    else:
        require_binding(module)
    try:
        run_module(module, provider)
    except CommandFailed as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
