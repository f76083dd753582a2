#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_management
short_description: A management server of CloudStack, with its databases
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Runs on a host with CloudStack's management package. Makes the databases if there are none, writes C(db.properties) and the key of
    the management server, starts the server and waits until its API answers.
  - Databases are made once. They are never dropped or made anew. If an earlier run was interrupted, they are finished.
  - The server is restarted if it has not read its files as they are now.
  - Several management servers share the databases. Set up one after the other (C(throttle=1)).
  - No password and no key is on a command line.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  address:
    description: The address by which the other management servers reach this one.
    type: str
    required: true
  database:
    description: The database server and its users.
    type: dict
    required: true
    suboptions:
      host:
        description: The database server.
        type: str
        default: localhost
      port:
        description: Its port.
        type: int
        default: 3306
      local:
        description: Whether the database server runs on this host, and the administrator logs in by its socket.
        type: bool
        default: false
      user:
        description: The management servers' own user. It is made.
        type: str
        default: cloud
      password:
        description: Its password. Keep it in a vault. No spaces, quotes or backslashes.
        type: str
        required: true
      admin_user:
        description: Who makes the databases and the user.
        type: str
        default: root
      admin_password:
        description: The administrator's password. Not needed by the socket of this host, nor once the databases are made.
        type: str
        default: ""
  management_key:
    description: The key that encrypts the secrets in the management servers' files. Keep it in a vault.
    type: str
    required: true
  database_key:
    description: The key that encrypts the secrets in the database. The same for all management servers. It can't be changed later. Keep it in a vault.
    type: str
    required: true
  simulator:
    description: Whether CloudStack's simulated hypervisor can be used, for tests. The package must have been built with it.
    type: bool
    default: false
  timeout:
    description: How long the API may take to answer after a start, in seconds.
    type: int
    default: 900
"""

EXAMPLES = r"""
- name: The management server
  cephstack.cloud.cloudstack_management:
    address: 10.77.0.31
    database:
      local: true
      password: "{{ vault_cloudstack_database_password }}"
    management_key: "{{ vault_cloudstack_management_key }}"
    database_key: "{{ vault_cloudstack_database_key }}"
"""

RETURN = r"""
reachable:
  description: Whether the API answers.
  type: bool
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.management import Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import reconcile_alone
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, integer, record, string

DATABASE = {
    "host": string("The database server.", default="localhost"),
    "port": integer("Its port.", default=3306),
    "local": boolean("Whether the database server runs on this host, and the administrator logs in by its socket.", default=False),
    "user": string("The management servers' own user. It is made.", default="cloud"),
    "password": string("Its password. Keep it in a vault. No spaces, quotes or backslashes.", required=True, no_log=True),
    "admin_user": string("Who makes the databases and the user.", default="root"),
    "admin_password": string("The administrator's password. Not needed by the socket of this host, nor once the databases are made.", default="", no_log=True),
}


FIELDS = {
    "address": string("The address by which the other management servers reach this one.", required=True),
    "database": record("The database server and its users.", DATABASE, required=True),
    "management_key": string("The key that encrypts the secrets in the management servers' files. Keep it in a vault.", required=True, no_log=True),
    "database_key": string(
        "The key that encrypts the secrets in the database. The same for all management servers. It can't be changed later. Keep it in a vault.",
        required=True,
        no_log=True,
    ),
    "simulator": boolean("Whether CloudStack's simulated hypervisor can be used, for tests. The package must have been built with it.", default=False),
    "timeout": integer("How long the API may take to answer after a start, in seconds.", default=900),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    reconcile_alone("cloudstack_management", module, Provider(parse(module.params)))


if __name__ == "__main__":
    main()
