#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_keys_info
short_description: Keys of cephx clients, and S3 keys of users of the object storage
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Returns the keys of the named clients and users, for hosts and services that need their own.
  - It returns keys in clear, so it fails unless the task sets C(no_log), before it reads anything.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
options:
  entities:
    description: The cephx clients, by their full names, for example V(client.images).
    type: list
    elements: str
    default: []
  users:
    description: The users of the object storage, by their uids. They are asked for where radosgw-admin is, such as on a gateway's host.
    type: list
    elements: str
    default: []
  required:
    description: Whether it is an error that one of them does not exist. In check mode it never is.
    type: bool
    default: true
requirements:
  - python3-rados
  - radosgw-admin (package radosgw), for O(users)
"""

EXAMPLES = r"""
- name: The key of the virtual machines' client
  cephstack.cloud.ceph_keys_info:
    entities: [client.images]
  register: result
  no_log: true

- name: The keys of the backup service, on a host of an object gateway
  cephstack.cloud.ceph_keys_info:
    users: [backup]
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
s3_keys:
  description: The keys of each user. Null where there is no such user.
  returned: success
  type: dict
  sample: {backup: [{access_key: AKEXAMPLE, secret_key: '********'}]}
fsid:
  description: The cluster's fsid. Null in check mode where no cluster has been made yet, or this host can't ask it yet.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, binding_or_dry_run, nowhere
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.info import keys
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import RadosgwAdmin
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.users import user_keys
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, require_no_log
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, strings

FIELDS = {
    "connection": CONNECTION,
    "entities": strings("The cephx clients, by their full names, for example V(client.images).", default=[]),
    "users": strings("The users of the object storage, by their uids. They are asked for where radosgw-admin is, such as on a gateway's host.", default=[]),
    "required": boolean("Whether it is an error that one of them does not exist. In check mode it never is.", default=True),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    require_no_log(module, "the keys")
    options, entities, users = (module.params[name] for name in ("connection", "entities", "users"))
    if (module.check_mode and nowhere(options)) or not binding_or_dry_run(module, "rados", "python3-rados"):
        module.exit_json(changed=False, fsid=None, cephx_keys=dict.fromkeys(entities), caps={}, s3_keys=dict.fromkeys(users))
    try:
        with Connection(options) as connection:
            found, fsid = keys(connection, entities), connection.fsid
            s3_keys = user_keys(connection, RadosgwAdmin(options), users) if users else {}
    except (ApiFailed, CommandFailed, Invalid, Unreachable) as error:
        module.fail_json(msg=str(error))
    absent, unknown = ([name for name, entry in those.items() if entry is None] for those in (found, s3_keys))
    missing = f"the cluster {fsid} has no {', '.join(absent)}: declare it in ceph_cluster_clients or consumers, and run the role ceph_cluster first"
    problems = [missing] * bool(absent)
    problems += [f"there is no user {uid}: declare it in ceph_rgw_users, and run the role ceph_rgw first" for uid in unknown]
    if problems and module.params["required"] and not module.check_mode:
        module.fail_json(msg="; ".join(problems), problems=problems)
    module.exit_json(
        changed=False,
        fsid=fsid,
        cephx_keys={entity: entry and entry["key"].reveal() for entity, entry in found.items()},
        caps={entity: entry["caps"] for entity, entry in found.items() if entry},
        s3_keys=s3_keys,
    )


if __name__ == "__main__":
    main()
