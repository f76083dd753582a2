#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_mon_removal
short_description: A Ceph monitor that is to be gone
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes a monitor out of the cluster and off its host.
  - It is refused if it is the only one, if the cluster says that it would lose its quorum, or if one of the others is not in the quorum.
  - It leaves the monmap while it still runs. Then the others must show, over a new connection, that all of them are in the quorum. Its store is set aside,
    and removed only when they have shown that once more.
  - The keyring of C(client.admin) is removed from the host.
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
  name:
    description: The monitor's name. The host's short name by default.
    type: str
  cluster_only:
    description: Whether only the cluster's part is done, for the monitor of a host that cannot be reached.
    type: bool
    default: false
  wait:
    description: How many seconds the new quorum may take.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: This host's monitor
  cephstack.cloud.ceph_mon_removal:

- name: That of a host that is lost
  cephstack.cloud.ceph_mon_removal:
    name: ceph3
    cluster_only: true
"""

RETURN = r"""
name:
  description: The monitor's name.
  type: str
  returned: success
mon_host:
  description: The addresses of the monitors that are left, in the form of C(mon_host) in a C(ceph.conf).
  type: str
  returned: success
quorum:
  description: The names of the monitors in quorum.
  type: list
  elements: str
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_removal import OPTIONS, provider
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
