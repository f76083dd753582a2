#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rgw_keys_info
short_description: The S3 keys of users of the object storage
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Returns secrets, for services that need them.
  - They are returned in clear, so it fails unless the task sets C(no_log), before it reads anything.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
options:
  users:
    description: The uids.
    type: list
    elements: str
    required: true
  required:
    description: Whether it is an error if one of them isn't there, or no realm yet. In check mode it never is.
    type: bool
    default: true
requirements:
  - python3-rados
  - radosgw-admin (package radosgw)
"""

EXAMPLES = r"""
- name: Learn the keys of the backup service
  cephstack.cloud.rgw_keys_info:
    users: [backup]
  no_log: true
  register: object_keys
"""

RETURN = r"""
s3_keys:
  description: The keys of each user, null for one that isn't there. Secret.
  returned: success
  type: dict
  sample: {backup: [{access_key: AKEXAMPLE, secret_key: '********'}]}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.cluster import nowhere
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import RadosgwAdmin
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.users import user_keys
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, require_no_log
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, strings

FIELDS = {
    "connection": CONNECTION,
    "users": strings("The uids.", required=True),
    "required": boolean("Whether it is an error if one of them isn't there, or no realm yet. In check mode it never is.", default=True),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    require_no_log(module, "the users' keys")
    options, users = module.params["connection"], module.params["users"]
    required = module.params["required"] and not module.check_mode
    if not required and nowhere(options):
        module.exit_json(changed=False, s3_keys=dict.fromkeys(users))
    require_binding(module)
    try:
        with Connection(options) as connection:
            keys = user_keys(connection, RadosgwAdmin(options), users)
        absent = sorted(uid for uid, found in keys.items() if found is None)
        if absent and required:
            raise Invalid([f"there is no user {uid}" for uid in absent])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (ApiFailed, CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, s3_keys=keys)


if __name__ == "__main__":
    main()
