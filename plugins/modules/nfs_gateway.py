#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nfs_gateway
short_description: NFS-Ganesha on a host, serving folders of CephFS
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Keeps the keyring, the whole configuration and the unit of NFS-Ganesha on this host.
  - It returns when the server was asked and serves every export to those who may have it, and no other export.
  - New exports and changed clients or squashing are loaded without a restart. It restarts for other changes, and where the server
    does not serve what it was told to.
  - The client and the folders are made by M(cephstack.cloud.cephfs_exports).
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.exports
attributes:
  check_mode:
    support: full
    details: The server need not be installed yet.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  client:
    description: The full name of the gateway's cephx client, such as V(client.nfs.gateway1).
    type: str
    required: true
  key:
    description: Its key. Needed, but in check mode.
    type: str
  wait:
    description: How many seconds the server may take to serve what it was told to.
    type: int
    default: 60
  prefix:
    description: What the list of exports is called in errors.
    type: str
    default: exports
"""

EXAMPLES = r"""
- name: A gateway
  cephstack.cloud.nfs_gateway:
    client: client.nfs.gateway1
    key: "{{ gateway_key }}"
    exports:
      - path: /secondary
        filesystem: cephfs
        squash: no_root_squash
        clients: [10.0.0.0/24]
"""

RETURN = r"""
client:
  description: The cephx client.
  type: str
  returned: success
exports:
  description: What clients can mount.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: The path under which they mount it.
      type: str
    folder:
      description: The filesystem and the folder in it.
      type: str
    access:
      description: Whether they may write.
      type: str
    clients:
      description: The networks that may.
      type: list
      elements: str
running:
  description: Whether the server runs.
  type: bool
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.exports import EXPORTS, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs.ganesha import Provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, integer, string

FIELDS = {
    "client": string("The full name of the gateway's cephx client, such as V(client.nfs.gateway1).", required=True),
    "key": string("Its key. Needed, but in check mode.", no_log=True),
    "exports": EXPORTS,
    "wait": integer("How many seconds the server may take to serve what it was told to.", default=60),
    "prefix": string("What the list of exports is called in errors.", default="exports"),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        exports = parse(params["exports"], params["prefix"])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    run_module(module, Provider(exports, params["client"], params["key"] and Secret(params["key"]), module.check_mode, params["wait"]))


if __name__ == "__main__":
    main()
