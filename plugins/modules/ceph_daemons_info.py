#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_daemons_info
short_description: The Ceph daemons that run on a host, and why one has to restart
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Returns the Ceph daemons and the NFS gateway that run on a host, the version that each runs and the one that is installed, and the options that it
    takes at its start only and has otherwise than they are declared in the cluster.
  - An option that stands in the daemon's C(ceph.conf) counts there, whatever the cluster's configuration database says.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
options:
  types:
    description: Which types of daemons.
    type: list
    elements: str
    choices: [mon, mgr, osd, mds, rgw, nfs]
    default: [mon, mgr, osd, mds, rgw, nfs]
  which:
    description: 'Which daemons have to restart. V(outdated): those of another version than the installed one, of which a file was replaced since they started,
      or for which an option is declared that takes effect at their start only. V(all): all whose process began before O(since).'
    type: str
    choices: [outdated, all]
    default: outdated
  since:
    description: A time in seconds since 1970. With O(which=all), daemons that began later are done. By default now.
    type: float
"""

EXAMPLES = r"""
- name: See what runs here
  cephstack.cloud.ceph_daemons_info:
  register: here

- name: Say what has to restart
  ansible.builtin.debug:
    msg: "{{ here.daemons | selectattr('reason') | map(attribute='name') }}"
"""

RETURN = r"""
daemons:
  description: The daemons that run.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name, for example V(osd.3), V(client.rgw.ceph1.s3) or V(nfs.ceph1).
      type: str
    type:
      description: One of V(mon), V(mgr), V(osd), V(mds), V(rgw), V(nfs).
      type: str
    unit:
      description: Its unit.
      type: str
    running:
      description: The version that it runs. Empty if it does not say.
      type: str
    installed:
      description: The version of the program that is installed.
      type: str
    began:
      description: When its process began, in seconds since 1970.
      type: int
    options:
      description: The options that it has otherwise than they are declared, and that it takes at its start only.
      type: list
      elements: str
    reason:
      description: Why it has to restart. Empty if it need not.
      type: str
      sample: it runs 18.2.7, and 20.2.4 is installed
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import running
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION, **running.OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        require_binding(module)
        with Connection(params["connection"]) as cluster:
            found = running.observe(cluster, params["types"])
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))
    module.exit_json(daemons=[one.shown(*running.since(params)) for one in found])


if __name__ == "__main__":
    main()
