#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_restart_info
short_description: In which rounds daemons of a cluster restart
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Puts the daemons that have to restart in rounds, so that the cluster serves all the time. Nothing is changed.
  - 'Monitors go one by one; managers one by one, the active one last; OSDs by failure domain, in sets as large as the cluster lets stop at once
    (C(osd ok-to-stop)); metadata servers one by one, those that stand by first; object and NFS gateways by turns.'
  - The failure domain of an OSD is the lowest one that the pools' rules choose from.
  - It is refused, with all that is in the way, if nobody could stand in for a daemon meanwhile, as for the only metadata server.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
options:
  hosts:
    description: "The hosts' daemons by the hosts' names, those that need not restart too: what M(cephstack.cloud.ceph_daemons_info) returned there."
    type: dict
    required: true
  accept_outage:
    description: Daemons that may restart though nobody stands in for them, by name.
    type: list
    elements: str
    default: []
  one_rank:
    description: Whether each filesystem will have one active metadata server by then, as in an upgrade.
    type: bool
"""

EXAMPLES = r"""
- name: See what runs
  cephstack.cloud.ceph_daemons_info:
  register: here

- name: Know in which rounds they restart
  cephstack.cloud.ceph_restart_info:
    hosts: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, ['here', 'daemons']))) }}"
  run_once: true
  register: restarting
"""

RETURN = r"""
rounds:
  description: The rounds in their order.
  type: list
  elements: dict
  returned: success
  contains:
    number:
      description: Its number, from 1 on.
      type: int
    type:
      description: The type of its daemons.
      type: str
    domain:
      description: The failure domain of its OSDs.
      type: str
    daemons:
      description: The daemons that restart at the same time.
      type: list
      elements: str
    hosts:
      description: The daemons by the host that they are on.
      type: dict
    waits:
      description: What is waited for before they stop.
      type: str
summary:
  description: The rounds, each in a line.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.restarts import INFO, rounds
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION, **INFO}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        require_binding(module)
        with Connection(params["connection"]) as cluster:
            found = rounds(params, cluster)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))
    for warning in found.pop("warnings"):
        module.warn(warning)
    module.exit_json(**found)


if __name__ == "__main__":
    main()
