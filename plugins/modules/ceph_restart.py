#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_restart
short_description: Daemons of a host that have to restart
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Restarts daemons of a host that have to, as this host's part of a round, and returns when they serve again. The playbook C(cephstack.cloud.restart)
    gives the rounds, which M(cephstack.cloud.ceph_restart_info) returns, to the hosts.
  - Before anything stops the cluster is asked whether all of the round may. While it cannot tell yet, or says no, the module waits. It ends with what is
    in the way when nothing has moved for O(patience) seconds.
  - 'Monitors: all others are in quorum, and C(mon ok-to-stop). Managers: one serves. OSDs: the placement groups on them have all their copies, and
    C(osd ok-to-stop). Metadata servers: all ranks are active, and C(mds ok-to-stop). Object and NFS gateways: another one answers.'
  - C(noout) is set for the OSDs that restart, and for no others, and taken back in every case. One that a run which was killed has left is taken back
    by the next. One that somebody else has set stays.
  - In a playbook, what is waited for is shown.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
attributes:
  check_mode:
    support: full
    details: Says which daemons would restart and why, and what would be waited for now.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  daemons:
    description:
      - Daemons of this host, for example V(osd.3), V(mon.ceph1), V(client.rgw.ceph1.s3) or V(nfs.ceph1). Those that need not restart are left alone.
      - An empty list takes back what a run that was ended has left, and nothing else.
    type: list
    elements: str
    default: []
  together:
    description: All daemons that restart at the same time, those of other hosts too. By default those of O(daemons) that have to.
    type: list
    elements: str
    default: []
  which:
    description: 'Which daemons have to restart. V(outdated): those of another version than the installed one, of which a file was replaced since they started,
      or for which an option is declared that takes effect at their start only. V(all): all whose process began before O(since).'
    type: str
    choices: [outdated, all]
    default: outdated
  since:
    description: A time in seconds since 1970. With O(which=all), daemons that began later are done. By default now.
    type: float
  beside:
    description: Addresses of other NFS gateways. One of them has to answer before this one stops.
    type: list
    elements: str
    default: []
  accept_outage:
    description: Daemons that may restart though nobody stands in for them, by name.
    type: list
    elements: str
    default: []
  patience:
    description: How many seconds nothing may have moved before the wait for the cluster ends with what it says.
    type: int
    default: 600
  wait:
    description: How many seconds a daemon may take until it serves again.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: The OSDs of this host, as a part of those of its rack
  cephstack.cloud.ceph_restart:
    daemons: [osd.3, osd.7]
    together: [osd.3, osd.7, osd.11, osd.15]

- name: A monitor that runs since before the run began
  cephstack.cloud.ceph_restart:
    daemons: [mon.ceph1]
    which: all
    since: "{{ began }}"
"""

RETURN = r"""
daemons:
  description: Those of O(daemons), as M(cephstack.cloud.ceph_daemons_info) returns them.
  type: list
  elements: dict
  returned: success
waits:
  description: What is in the way of the round now. Empty if there is nothing, or nothing to restart.
  type: str
  returned: success
movement:
  description: What of the cluster's data has not all its copies where it belongs.
  type: dict
  returned: success
  contains:
    objects:
      description: Objects that are misplaced or lack a copy.
      type: int
    bytes:
      description: The same in bytes, by the average object.
      type: int
    rate:
      description: Bytes a second, as the cluster says.
      type: int
    pgs:
      description: How much is in the way, for example placement groups.
      type: int
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.restarts import OPTIONS, provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION, **OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        require_binding(module)
        with Connection(params["connection"]) as cluster:
            run_module(module, provider(params, cluster))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
