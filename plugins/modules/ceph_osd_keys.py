#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_osd_keys
short_description: The keys of a host's OSDs
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Gives the OSDs of this host cephx keys of a type. An OSD that has one of another type gets a new one while it runs.
  - The key also gets into the label of its device and into its keyring, so that it starts with it.
  - Needs Ceph 20.2.4, and OSDs that run. One that is down keeps its key, which is told.
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
  key_type:
    description: The type of their keys.
    type: str
    choices: [aes, aes256k]
    default: aes256k
"""

EXAMPLES = r"""
- name: Keys that nobody can forge
  cephstack.cloud.ceph_osd_keys:
    key_type: aes256k
"""

RETURN = r"""
osds:
  description: The numbers of this host's OSDs.
  type: list
  elements: int
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.osd_keys import OPTIONS, provider
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
