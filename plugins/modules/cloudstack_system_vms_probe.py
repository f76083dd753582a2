#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_system_vms_probe
short_description: Prove that CloudStack's system virtual machines are up, or say why they are not
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Waits until the secondary-storage VM and the console proxy of zones run and their agents have come to the server.
  - Of each that is not up it says which of the known reasons it is, such as a zone that is disabled, no host or primary storage that is up, too few addresses
    or too little memory, an image store without the template, or an agent that does not reach the server.
  - It runs on a management server, as root, for it looks into the image store where nothing else is the reason. It changes nothing.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_cloudstack
  - cephstack.cloud.cloudstack
attributes:
  check_mode:
    support: full
    details: In check mode nothing is waited for.
  diff_mode:
    support: N/A
    details: It changes nothing.
  idempotent:
    support: full
    details: It changes nothing.
options:
  zones:
    description: The names of the zones.
    type: list
    elements: str
    required: true
  timeout:
    description: Within how many seconds they must be up. New ones take some minutes, of which the first copy of the template to primary storage is the most.
    type: int
    default: 900
seealso:
  - module: cephstack.cloud.cloudstack_system_template
"""

EXAMPLES = r"""
- name: The zone's system virtual machines are up
  cephstack.cloud.cloudstack_system_vms_probe:
    connection:
      url: http://mgmt1:8080/client/api
      api_key: "{{ api_key }}"
      api_secret: "{{ api_secret }}"
    zones: [zone1]
"""

RETURN = r"""
system_vms:
  description: Each of them. Also where it fails. Empty in check mode.
  type: list
  elements: dict
  returned: always
  contains:
    zone:
      description: The zone.
      type: str
    type:
      description: V(secondarystoragevm) or V(consoleproxy).
      type: str
    name:
      description: Its name, V(null) where there is none.
      type: str
    state:
      description: Its state.
      type: str
    agent_state:
      description: The state of the agent inside.
      type: str
    host:
      description: The host that it runs on.
      type: str
    private_ip:
      description: Its address in the pod's network.
      type: str
    public_ip:
      description: Its public address.
      type: str
    reasons:
      description: Why it is not up.
      type: list
      elements: str
problems:
  description: What is wrong, in sentences.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import CONNECTION_SPEC, ApiError, connect
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.system_vms import prove
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, integer, strings

FIELDS = {
    "connection": CONNECTION_SPEC,
    "zones": strings("The names of the zones.", required=True),
    "timeout": integer(
        "Within how many seconds they must be up. New ones take some minutes, of which the first copy of the template to primary storage is the most.",
        default=900,
    ),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, system_vms=[], problems=[])
    try:
        found, problems = prove(connect(params["connection"]), params["zones"], params["timeout"])
    except (Invalid, ApiError, Unreachable) as error:
        module.fail_json(msg=str(error), system_vms=[], problems=[str(error)])
    if problems:
        module.fail_json(msg="; ".join(problems), system_vms=found, problems=problems)
    module.exit_json(changed=False, system_vms=found, problems=[])


if __name__ == "__main__":
    main()
