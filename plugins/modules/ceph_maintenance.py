#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_maintenance
short_description: A host's Ceph daemons in maintenance
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Stops all Ceph daemons of a host, if the cluster can do without them, and brings them back.
  - Before anything is touched the cluster is asked whether all its OSDs may stop at once, and its monitor, its manager, its metadata server. Another object
    gateway of the same zone must run. Otherwise it is refused, and the refusal says what is in the way. It is asked again before each step.
  - While the host is in maintenance, C(noout) is set for it alone, so nothing moves. No Ceph daemon starts on it, whoever starts it, also after a
    reboot. What is enabled stays enabled.
  - The cluster keeps which hosts are in maintenance, so every run knows it, also while such a host is switched off.
  - At the end the daemons start that ran before, monitor first. It is waited until the OSDs are up and all placement groups are whole, however long that
    takes while something recovers. C(noout) is taken back if it was set by this module.
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
    description: The host's name in the inventory, by which all runs know that it is in maintenance.
    type: str
    required: true
  state:
    description:
      - V(entered) stops the host's Ceph daemons, keeps them from starting, also after a reboot, and keeps its OSDs from being replaced by copies elsewhere.
      - V(left) takes all this back, and returns when its OSDs are up and all that they have is whole again.
      - 'V(forgotten) is for a host that is gone: what the cluster keeps of its maintenance is removed, and nothing is asked of the host that runs it.'
    type: str
    required: true
    choices: [entered, left, forgotten]
  hostname:
    description: The host's name in CRUSH. The host's short name by default.
    type: str
  together:
    description: Other hosts, by their names in CRUSH, that are in maintenance at the same time. It is judged as if their daemons stopped too.
    type: list
    elements: str
    default: []
  wait:
    description: How many seconds a daemon may take to start.
    type: int
    default: 300
  patience:
    description: How many seconds nothing may have been recovered before the wait for whole placement groups ends with what the cluster says of it.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: This host goes into maintenance
  cephstack.cloud.ceph_maintenance:
    name: "{{ inventory_hostname }}"
    state: entered

- name: And comes back
  cephstack.cloud.ceph_maintenance:
    name: "{{ inventory_hostname }}"
    state: left
"""

RETURN = r"""
name:
  description: The host's name in the inventory.
  type: str
  returned: success
entered:
  description: Whether the host is in maintenance.
  type: bool
  returned: success
running:
  description: The units of the Ceph daemons that run on it.
  type: list
  elements: str
  returned: success
  sample: [ceph-mon@ceph3.service, ceph-osd@4.service]
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maintenance import OPTIONS, provider
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
