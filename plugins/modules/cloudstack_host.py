#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_host
short_description: A host of CloudStack in maintenance, or gone
version_added: 0.2.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Puts a host into CloudStack's maintenance, and returns when its guests have moved to other hosts of its cluster. Ends that, or removes the host.
  - If no other host could take its guests, it is refused while any run. CloudStack itself would begin and fail halfway.
  - If a guest cannot move, maintenance is cancelled, and the error names the guests that are still there.
  - Hosts are added, and kept as declared, by M(cephstack.cloud.cloudstack_region), which leaves one in maintenance alone.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_cloudstack
  - cephstack.cloud.cloudstack
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  address:
    description: The host's address or name in the management network.
    type: str
    required: true
  known_as:
    description: Its other addresses and names.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(maintenance) moves its guests to other hosts of its cluster. V(enabled) ends that. V(absent) moves them and removes the host.
      - A host that CloudStack does not have is left alone.
    type: str
    required: true
    choices: [maintenance, enabled, absent]
"""

EXAMPLES = r"""
- name: Its guests move away
  cephstack.cloud.cloudstack_host:
    address: 192.0.2.31
    state: maintenance
"""

RETURN = r"""
registered:
  description: Whether CloudStack has the host.
  type: bool
  returned: success
resource_state:
  description: What CloudStack calls its state.
  type: str
  returned: success
  sample: Maintenance
guests:
  description: The guests that run on it.
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

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.host_state import OPTIONS, Provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {**OPTIONS, "connection": client.CONNECTION_SPEC}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    try:
        server = client.connect(module.params["connection"])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    run_module(module, Provider(server, *(module.params[name] for name in OPTIONS)))


if __name__ == "__main__":
    main()
