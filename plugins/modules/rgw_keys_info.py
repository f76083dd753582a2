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
  - Returns secrets, for services that need them. Use it with C(no_log) on the task, always.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.connection
options:
  users:
    description: The uids. It is an error if one of them isn't there.
    type: list
    elements: str
    required: true
requirements:
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
  description: The keys of each user. Secret.
  returned: success
  type: dict
  sample: {backup: [{access_key: AKEXAMPLE, secret_key: '********'}]}
"""

from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import connection_argument
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.rgw import RadosgwAdmin, user_now
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable


def main() -> None:
    module = AnsibleModule(
        argument_spec={"connection": connection_argument(), "users": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True
    )
    admin = RadosgwAdmin(module.params["connection"])
    users = list(dict.fromkeys(module.params["users"]))
    try:
        missing = sorted(set(users) - set(admin("metadata", "list", "user")))
        if missing:
            raise Invalid([f"there is no user {uid}" for uid in missing])
        with ThreadPoolExecutor(max_workers=4) as pool:
            records = list(pool.map(lambda uid: admin("user", "info", f"--uid={uid}"), users))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (ApiFailed, Unreachable) as error:
        module.fail_json(msg=str(error))
    keys = {
        uid: [{"access_key": access, "secret_key": secret.reveal()} for access, secret in sorted(user_now(record)["keys"].items())]
        for uid, record in zip(users, records)
    }
    module.exit_json(changed=False, s3_keys=keys)


if __name__ == "__main__":
    main()
