#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_upgrade
short_description: Another release of Ceph, as far as the cluster as a whole is concerned
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Sees whether a cluster can get another release. It says all that is in the way at once, and with which package on which host.
  - A release is never older than what runs, and at most two releases on. The cluster must be healthy but for what O(accept_health) names, and no client may
    be connected that could not connect again. The hosts must all be offered the same version of the release.
  - Ends an upgrade when every daemon runs the release.
  - Packages and restarts are not its own. The playbook C(cephstack.cloud.upgrade) does all of it.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
attributes:
  check_mode:
    support: full
    details: The state V(allowed) changes nothing in any case, and says what the cluster will get at the end.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  release:
    description: The release that all daemons are to run, by its name, V(tentacle), or its number, V(20) or V(20.2.4). By default, whatever the hosts are
      offered.
    type: str
  offers:
    description: What apt of each host offers, as M(cephstack.cloud.apt_packages) returns it.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The host.
        type: str
        required: true
      packages:
        description: The packages that it needs.
        type: list
        elements: str
        default: []
      preferred:
        description: Those of the packages that are Ceph's.
        type: list
        elements: str
        default: []
      versions:
        description: Of each package the version that is C(installed) and the C(candidate) of apt.
        type: dict
        default: {}
      error:
        description: Why nothing can be offered there.
        type: str
  state:
    description:
      - V(allowed) sees whether the way to the release is open, and changes nothing.
      - 'V(prepared) is that of filesystems with several active metadata servers: they get one, until it is finished.'
      - 'V(finished) is for when all daemons run it: no older OSD may join any more, what was lowered is raised, and services no longer use the key type V(aes),
        if they can do without.'
    type: str
    required: true
    choices: [allowed, prepared, finished]
  accept_health:
    description: Health checks that are no obstacle, for example V(MON_DISK_LOW).
    type: list
    elements: str
    default: []
  wait:
    description: How many seconds ranks of metadata servers may take to end, and health checks to clear.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Is the way open
  cephstack.cloud.ceph_upgrade:
    release: tentacle
    state: allowed
    accept_health: [MON_DISK_LOW]
  check_mode: true

- name: Every daemon runs it
  cephstack.cloud.ceph_upgrade:
    release: tentacle
    state: finished
"""

RETURN = r"""
release:
  description: The name of the release that is wanted.
  type: str
  returned: success
needed:
  description: Whether a daemon or a package is not of it yet.
  type: bool
  returned: success
running:
  description: How many daemons of each type run which version.
  type: dict
  returned: success
key_type:
  description: The best type of cephx keys that the cluster allows, empty on releases that know one only.
  type: str
  returned: success
errors:
  description: The health checks that are errors.
  type: list
  elements: str
  returned: success
old_keys:
  description: Whose keys are of the type V(aes), on releases that know a better one.
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
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.upgrade import OPTIONS, provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable, end_module, reconcile
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
            only_asked = module.check_mode or module.params["state"] == "allowed"
            end_module(module, reconcile(provider(module.params, cluster), only_asked))
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
