#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_keys
short_description: First contact with a CloudStack server
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Logs in, sets the user's password where it still has that of a new server, and returns the user's API keys.
  - Keys are made only where there are none. Those that are there are never replaced.
  - All modules that take a connection to CloudStack's API use what it has learned in the same run, where their task names none. The keys are kept in memory,
    for each group of management servers (C(cloudstack_management_group)).
  - They are returned only with O(return_keys), and where the task says C(no_log).
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
    details:
      - Where nothing listens at O(url) and no keys are kept in O(path), the server is one that will be there, and all is planned.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  url:
    description: The address of the API, such as V(http://mgmt1:8080/client/api).
    type: str
    required: true
  user:
    description: The user, a root admin.
    type: str
    default: admin
  password:
    description:
      - The password that the user shall have.
      - To change it later, change it in CloudStack and then here. A password that is neither this one nor O(initial_password) is an error.
    type: str
    required: true
  initial_password:
    description: The password that a new server gives the user. By default that of CloudStack, C(password).
    type: str
  domain:
    description: The user's domain.
    type: str
    default: /
  path:
    description:
      - A file on this host that keeps address and keys, as JSON, readable by its owner only (V(0600)).
      - Without it they are only returned.
    type: path
  validate_certs:
    description: Whether the server's certificate must be trusted, where the address is C(https).
    type: bool
    default: true
  ca_path:
    description: A file on this host with the certificates of the authorities to be trusted. By default the host's own.
    type: path
  timeout:
    description: How many seconds one call may take.
    type: int
    default: 60
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
  return_keys:
    description: Whether the keys are returned, in clear. A task that does not return them needs no C(no_log), so that what it changes is seen.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Set the password of a new server, make its keys and keep them
  cephstack.cloud.cloudstack_keys:
    url: http://localhost:8080/client/api
    password: "{{ vault_cloudstack_admin_password }}"
    path: /etc/cloudstack/management/cephstack-keys.json
    return_keys: false

- name: Use them
  cephstack.cloud.cloudstack_region:
    zones: [{name: zone1, dns1: 192.0.2.53}]
"""

RETURN = r"""
url:
  description: The address of the API.
  returned: success
  type: str
  sample: http://localhost:8080/client/api
user_id:
  description: The id of the user, null where there is no server yet.
  returned: success
  type: str
  sample: 8ff923da-e54f-11f1-83c7-a6e0260c5937
api_key:
  description: The API key. Secret. Null where it has not been made yet, in check mode.
  returned: where O(return_keys) is set
  type: str
  sample: '********'
api_secret:
  description: The secret key that belongs to it. Secret. Null where it has not been made yet, in check mode.
  returned: where O(return_keys) is set
  type: str
  sample: '********'
cloudstack_version:
  description: The server's version, as seen with the keys.
  returned: success
  type: str
  sample: 4.22.0.0
changes:
  description: What was changed, or in check mode would be.
  returned: success
  type: list
  elements: dict
  sample: [{stage: 1, kind: password, name: admin, action: update, risk: none}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import CONNECTION_SPEC
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.keys import Provider
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import reconcile_alone
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, require_no_log
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import PREFIX, arguments, boolean, filepath, integer, string

FIELDS = {
    "url": CONNECTION_SPEC["options"]["url"],
    "user": string("The user, a root admin.", default="admin"),
    "password": string(
        "The password that the user shall have.\n"
        "To change it later, change it in CloudStack and then here. A password that is neither this one nor O(initial_password) is an error.",
        required=True,
        no_log=True,
    ),
    "initial_password": string("The password that a new server gives the user. By default that of CloudStack, C(password).", no_log=True),
    "domain": string("The user's domain.", default="/"),
    "path": filepath("A file on this host that keeps address and keys, as JSON, readable by its owner only (V(0600)).\nWithout it they are only returned."),
    "validate_certs": CONNECTION_SPEC["options"]["validate_certs"],
    "ca_path": filepath("A file on this host with the certificates of the authorities to be trusted. By default the host's own."),
    "timeout": integer("How many seconds one call may take.", default=60),
    "prefix": PREFIX,
    "return_keys": boolean(
        "Whether the keys are returned, in clear. A task that does not return them needs no C(no_log), so that what it changes is seen.",
        default=True,
        no_log=False,
    ),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    if module.params["return_keys"]:
        require_no_log(module, "the API keys")
    try:
        with Provider(module.params, module.check_mode) as provider:
            reconcile_alone("cloudstack_keys", module, provider)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)


if __name__ == "__main__":
    main()
