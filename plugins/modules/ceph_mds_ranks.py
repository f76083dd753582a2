#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_mds_ranks
short_description: Filesystems that can do with fewer metadata servers
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Says whether the filesystems can do without some metadata servers. If fewer active ones are declared than there are, it lowers C(max_mds) and returns when
    the higher ranks have ended.
  - It is refused if fewer metadata servers would be left than are to be active.
  - It stops none. M(cephstack.cloud.ceph_daemon) does that on its host.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  going:
    description: The names of the metadata servers that are to be gone, without C(mds.).
    type: list
    elements: str
    required: true
  max_mds:
    description: How many metadata servers are declared to be active, by filesystem. One that is left out keeps what it has.
    type: dict
    default: {}
  wait:
    description: How many seconds ranks may take to end. Their metadata is handed over to the others.
    type: int
    default: 300
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Make do without the metadata server of a host
  cephstack.cloud.ceph_mds_ranks:
    going: [ceph3]
    max_mds:
      files: 1
"""

RETURN = r"""
filesystems:
  description: For each filesystem how many ranks it is to have (C(max_mds)) and has (C(ranks)).
  type: dict
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mds_ranks import OPTIONS, provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION, **OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    try:
        require_binding(module)
        with Connection(module.params["connection"]) as cluster:
            run_module(module, provider(module.params, cluster))
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
