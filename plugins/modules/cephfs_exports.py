#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cephfs_exports
short_description: What a gateway needs of the cluster to export folders of CephFS
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Keeps the cephx client of a gateway with the least caps that its exports need, and makes the folders that do not exist yet.
  - It refuses, before it touches anything, exports of a filesystem that does not exist or has no active metadata server, and pseudo
    paths that overlap.
  - A folder that is made is owned by root with the mode 0755; by nobody, if all users of the export are squashed. One that is there is
    left as it is, and none is ever removed.
  - A folder that the client was given and that is not in the list any more is refused, since whoever mounts it would lose it.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.exports
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  client:
    description: The full name of the gateway's cephx client, such as V(client.nfs.gateway1).
    type: str
    required: true
  filesystems:
    description: Filesystems that are declared elsewhere. In check mode they need not be there yet.
    type: list
    elements: str
    default: []
  wait:
    description: How many seconds a metadata server that is just starting may take to become active.
    type: int
    default: 60
  prefix:
    description: What the list of exports is called in errors.
    type: str
    default: exports
requirements:
  - python3-cephfs, which comes with ceph-common
"""

EXAMPLES = r"""
- name: What a gateway needs
  cephstack.cloud.cephfs_exports:
    client: client.nfs.gateway1
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
caps:
  description: Its caps, by service.
  type: dict
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, binding_or_dry_run, nowhere
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.exports import EXPORTS, Provider, dropped, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, integer, string, strings

FIELDS = {
    "connection": CONNECTION,
    "client": string("The full name of the gateway's cephx client, such as V(client.nfs.gateway1).", required=True),
    "exports": EXPORTS,
    "filesystems": strings("Filesystems that are declared elsewhere. In check mode they need not be there yet.", default=[]),
    "wait": integer("How many seconds a metadata server that is just starting may take to become active.", default=60),
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
        gone = dropped(params["exports"])
        coming = params["filesystems"] if module.check_mode else []
        here = binding_or_dry_run(module, "rados", "python3-rados") and binding_or_dry_run(module, "cephfs", "python3-cephfs")
        if not here or (module.check_mode and nowhere(params["connection"])):
            run_module(module, Provider(exports, params["client"], None))
        with Connection(params["connection"]) as cluster:
            run_module(module, Provider(exports, params["client"], cluster, gone, coming, params["wait"], params["prefix"]))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
