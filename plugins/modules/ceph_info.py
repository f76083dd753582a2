#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_info
short_description: What a Ceph cluster says of itself
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Returns the cluster's fsid, monitors, health, versions, and what is in it.
  - Can wait until the cluster is well.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
options:
  wait_for:
    description:
      - What to wait for. When the time is up, the module fails and says what is missing.
      - In check mode there is no waiting.
    type: dict
    suboptions:
      health:
        description: V(HEALTH_OK) waits until there is neither warning nor error, V(HEALTH_WARN) until there is no error. What is muted does not count.
        type: str
        choices: [HEALTH_OK, HEALTH_WARN]
      ignore:
        description: Health checks that do not count, for example V(MON_DISK_LOW).
        type: list
        elements: str
        default: []
      osds_up:
        description: At least so many OSDs are up.
        type: int
      mons:
        description: At least so many monitors are in quorum.
        type: int
      mgr:
        description: A manager is active.
        type: bool
      clean:
        description: All placement groups are active and clean.
        type: bool
      timeout:
        description: How many seconds to wait.
        type: int
        default: 120
notes:
  - In check mode, where no cluster has been made yet (no configuration file, and no O(connection.mon_host)), RV(fsid) is null and nothing else is returned.
"""

EXAMPLES = r"""
- name: Wait until the cluster is well
  cephstack.cloud.ceph_info:
    wait_for:
      health: HEALTH_OK
      osds_up: 3
      timeout: 120
  register: result
"""

RETURN = r"""
fsid:
  description: The cluster's fsid.
  returned: success
  type: str
version:
  description: The oldest release among the monitors.
  returned: success
  type: str
versions:
  description: How many daemons of each type run which release.
  returned: success
  type: dict
mon_host:
  description: The monitors' addresses for a C(ceph.conf), sorted, so that they are the same whoever asks.
  returned: success
  type: str
mons:
  description: The monitors.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    in_quorum:
      description: Whether it is in quorum.
      type: bool
    addresses:
      description: Its addresses by protocol, V(v2) and V(v1).
      type: dict
health:
  description: The health.
  returned: success
  type: dict
  contains:
    status:
      description: V(HEALTH_OK), V(HEALTH_WARN) or V(HEALTH_ERR).
      type: str
    checks:
      description: What is wrong, by code, each with severity, summary and whether it is muted.
      type: dict
mgr:
  description: Whether a manager is available, and how many stand by.
  returned: success
  type: dict
osds:
  description: How many OSDs there are, how many are up, and how many in.
  returned: success
  type: dict
pgs:
  description: How many placement groups there are, in all and by state.
  returned: success
  type: dict
pools:
  description: The names of the pools.
  returned: success
  type: list
  elements: str
filesystems:
  description: The filesystems, each with its name, how many metadata servers are up, and how many may be active.
  returned: success
  type: list
  elements: dict
flags:
  description: The cluster-wide flags that are set.
  returned: success
  type: list
  elements: str
require_min_compat_client:
  description: The oldest release of clients that may connect.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, nowhere, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.info import WAIT_OPTIONS, look, wait
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, record

FIELDS = {
    "connection": CONNECTION,
    "wait_for": record("What to wait for. When the time is up, the module fails and says what is missing.\nIn check mode there is no waiting.", WAIT_OPTIONS),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    if module.check_mode and nowhere(module.params["connection"]):
        module.exit_json(changed=False, fsid=None)
    require_binding(module)
    wanted = module.params["wait_for"]
    left: list[str] = []
    try:
        with Connection(module.params["connection"]) as connection:
            if wanted and not module.check_mode:
                info, left = wait(connection, wanted)
            else:
                info = look(connection)
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))
    if left:
        module.fail_json(msg=f"after {wanted['timeout']} s the cluster does not meet wait_for: " + "; ".join(left), missing=left, **info)
    module.exit_json(changed=False, **info)


if __name__ == "__main__":
    main()
