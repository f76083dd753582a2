#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_external_probe
short_description: Prove that a cluster kept by others is the declared one, and what may be done there
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Compares the cluster's fsid, and finds out by commands that change nothing whether the client may do what is declared.
  - Where it is to make nothing, O(manages) is empty, and the pools and namespaces of O(consumers) must be there.
  - All that is wrong is one error, with the commands for whoever keeps the cluster.
  - In check mode, on a host that is yet to get Ceph's libraries, nothing is asked.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: What it asks changes nothing, so that it asks in check mode, too.
  diff_mode:
    support: N/A
    details: It leaves nothing changed.
  idempotent:
    support: full
    details: It leaves nothing changed.
options:
  fsid:
    description: The fsid that the cluster is to have.
    type: str
    required: true
  manages:
    description: What is to be made there, by this client.
    type: list
    elements: str
    choices: [clients, pools, filesystems, images, namespaces, exports]
    default: []
"""

EXAMPLES = r"""
- name: Is it the right cluster, and may we make pools and clients there?
  cephstack.cloud.ceph_external_probe:
    fsid: 0c1e6a3e-2f5b-4f0a-9d77-6f6f8d1f5b60
    manages: [pools, clients]
    connection:
      mon_host: 192.0.2.11,192.0.2.12
      client: client.cephstack
      key: "{{ vault_cephstack_key }}"
"""

RETURN = r"""
asked:
  description: Whether the cluster was asked.
  returned: success
  type: bool
pools:
  description: The names of its pools.
  returned: success
  type: list
  elements: str
problems:
  description: All that is wrong.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, binding_or_dry_run
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.external import NEEDS, look
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS, demands, namespaces
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, string, strings

FIELDS = {
    "connection": CONNECTION,
    "fsid": string("The fsid that the cluster is to have.", required=True),
    "manages": strings("What is to be made there, by this client.", choices=[*NEEDS], default=[]),
    "consumers": CONSUMERS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    params = module.params
    if not binding_or_dry_run(module, "rados", "python3-rados"):
        module.exit_json(changed=False, asked=False, pools=[])
    try:
        with Connection(params["connection"]) as cluster:
            used = [] if params["manages"] else params["consumers"]
            problems, pools = look(cluster, params["fsid"], params["manages"], demands(used), namespaces(used))
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))
    if problems:
        module.fail_json(msg="the external cluster cannot be used as declared, nothing of it was changed: " + "; ".join(problems), problems=problems)
    module.exit_json(changed=False, asked=True, pools=pools)


if __name__ == "__main__":
    main()
