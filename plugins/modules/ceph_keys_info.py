#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_keys_info
short_description: Keys of cephx clients
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Returns the keys of the named clients, for hosts that need their own.
  - It returns keys in clear, so it fails unless the task sets C(no_log), before it reads anything.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
options:
  entities:
    description: The clients, by their full names, for example V(client.images).
    type: list
    elements: str
    required: true
  required:
    description: Whether it is an error that one of them does not exist. In check mode it never is.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: The key of the virtual machines' client
  cephstack.cloud.ceph_keys_info:
    entities: [client.images]
  register: result
  no_log: true
"""

RETURN = r"""
cephx_keys:
  description:
    - The keys by the clients' names. Null where there is no such client.
    - The key that was given in O(connection.key) is hidden here too.
  returned: success
  type: dict
caps:
  description: The caps by the clients' names, each a dictionary of services.
  returned: success
  type: dict
fsid:
  description: The cluster's fsid. Null in check mode where no cluster has been made yet, or this host can't ask it yet.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.cluster import nowhere
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, Connection, binding_or_dry_run
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.info import keys
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable, require_no_log
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, strings

FIELDS = {
    "connection": CONNECTION,
    "entities": strings("The clients, by their full names, for example V(client.images).", required=True),
    "required": boolean("Whether it is an error that one of them does not exist. In check mode it never is.", default=True),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    require_no_log(module, "the clients' keys")
    entities = module.params["entities"]
    if (module.check_mode and nowhere(module.params["connection"])) or not binding_or_dry_run(module, "rados", "python3-rados"):
        module.exit_json(changed=False, fsid=None, cephx_keys=dict.fromkeys(entities), caps={})
    try:
        with Connection(module.params["connection"]) as connection:
            found, fsid = keys(connection, entities), connection.fsid
    except Unreachable as error:
        module.fail_json(msg=str(error))
    absent = [entity for entity, entry in found.items() if entry is None]
    if absent and module.params["required"] and not module.check_mode:
        module.fail_json(
            msg=f"the cluster {fsid} has no {', '.join(absent)}: declare it in ceph_cluster_clients or consumers, and run the role ceph_cluster first"
        )
    module.exit_json(
        changed=False,
        fsid=fsid,
        cephx_keys={entity: entry and entry["key"].reveal() for entity, entry in found.items()},
        caps={entity: entry["caps"] for entity, entry in found.items() if entry},
    )


if __name__ == "__main__":
    main()
