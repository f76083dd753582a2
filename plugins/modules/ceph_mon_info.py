#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_mon_info
short_description: Ask a monitor's host for its cluster
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Says whether a monitor runs on the host, and of which cluster, as it says itself, asked with the monitor's own key.
  - All modules that take a connection to a cluster use what it has learned in the same run, with the key of C(client.admin), where their task names no
    connection. It is kept in memory, for each group of monitors (C(ceph_common_groups.mons)).
  - The lookup P(cephstack.cloud.running_cluster#lookup) says all of it but the key.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_host
options:
  name:
    description: The monitor's name. The host's short name by default.
    type: str
"""

EXAMPLES = r"""
- name: Ask the first monitor
  cephstack.cloud.ceph_mon_info:
  delegate_to: "{{ groups['mons'][0] }}"
  run_once: true

- name: Make a pool of its cluster, from here
  cephstack.cloud.ceph_cluster:
    pools: [{name: vms, applications: [rbd]}]
  run_once: true
"""

RETURN = r"""
state:
  description:
    - V(none) where no monitor is on the host, V(running) where one is in quorum.
    - V(down) where one is there that cannot be asked; RV(reason) says why.
  type: str
  returned: success
reason:
  description: Why the monitor cannot be asked.
  type: str
  returned: when RV(state) is V(down)
fsid:
  description: The cluster's fsid.
  type: str
  returned: when RV(state) is V(running)
mon_host:
  description: The addresses of all monitors, in the form of C(mon_host) in a C(ceph.conf).
  type: str
  returned: when RV(state) is V(running)
monmap:
  description: The names of all monitors.
  type: list
  elements: str
  returned: when RV(state) is V(running)
addresses:
  description: The addresses of each monitor, by its name.
  type: dict
  returned: when RV(state) is V(running)
maintenance:
  description: The hosts that are in maintenance, see M(cephstack.cloud.ceph_maintenance), by their names in the inventory.
  type: list
  elements: str
  returned: when RV(state) is V(running)
key:
  description: The key of C(client.admin).
  type: str
  returned: when RV(state) is V(running) and the task says C(no_log)
conf_fsid:
  description: The fsid that the host's C(ceph.conf) names.
  type: str
  returned: success
name:
  description: The monitor's name.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.daemons import short_hostname
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mons import has_data, survey
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable, require_no_log
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, string

FIELDS = {"name": string("The monitor's name. The host's short name by default.")}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    require_no_log(module, "the key of client.admin")
    name = module.params["name"] or short_hostname()
    if has_data(name):
        require_binding(module)
    try:
        module.exit_json(changed=False, **survey(name))
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
