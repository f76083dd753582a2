#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_host_probe
short_description: Find out in seconds whether CloudStack can use a KVM host
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - CloudStack's C(addHost) says «Cannot find the server resources» after five minutes, whatever is wrong on the host. This module says
    beforehand what is wrong, all of it at once.
  - It runs a guest of 512 bytes under KVM, and looks for C(kvm-ok), the bridges and what they hold, the programs that the agent runs, the RBD
    drivers of libvirt and QEMU, a librados that is too new for them, the host's name, the way to the management servers and the time.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_host
options:
  bridges:
    description: The bridges that the zone's traffic labels name.
    type: list
    elements: str
    default: [cloudbr0]
  vlans:
    description:
      - The highest VLAN that networks of guests and public ranges have, by bridge; V(0) if it has none. CloudStack names a bridge for each of them after the
        interface that the bridge holds, and Linux takes no name of more than 15 characters. One that is too long is a problem.
      - If it is left out, a name that is too long for a VLAN of four digits is a warning.
    type: dict
  servers:
    description: The addresses of the management servers. If it is empty, nothing is asked of them.
    type: list
    elements: str
    default: []
  port:
    description: The port at which they wait for agents.
    type: int
    default: 8250
  server_time:
    description: What time it is on the management servers, in seconds since 1970, to compare the clocks. More than two minutes apart are a problem.
    type: float
  guest_timeout:
    description: Within how many seconds the guest must be through. With V(0) none is run, as after M(cephstack.cloud.kvm_host).
    type: float
    default: 30
  timeout:
    description: Within how many seconds a server must answer.
    type: float
    default: 5
  required:
    description: Whether it is an error that CloudStack cannot use this host. If not, problems are only returned.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Would CloudStack take this host?
  cephstack.cloud.cloudstack_host_probe:
    bridges: [cloudbr0, cloudbr1]
    vlans:
      cloudbr0: 0
      cloudbr1: 2000
    servers: [192.0.2.11]
"""

RETURN = r"""
problems:
  description: All that stands in the way.
  type: list
  elements: str
  returned: always
librados:
  description: The version of librados.
  type: str
  returned: always
skew:
  description: How many seconds the host's clock is ahead of the server's, None where O(server_time) was not given.
  type: float
  returned: always
seconds:
  description: How long it took.
  type: float
  returned: always
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.kvm_host import Wanted, look, problems, warnings
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, integer, mapping, real, strings

FIELDS = {
    "bridges": strings("The bridges that the zone's traffic labels name.", default=["cloudbr0"]),
    "vlans": mapping(
        "The highest VLAN that networks of guests and public ranges have, by bridge; V(0) if it has none. CloudStack names a bridge for each of "
        "them after the interface that the bridge holds, and Linux takes no name of more than 15 characters. One that is too long is a problem.\n"
        "If it is left out, a name that is too long for a VLAN of four digits is a warning."
    ),
    "servers": strings("The addresses of the management servers. If it is empty, nothing is asked of them.", default=[]),
    "port": integer("The port at which they wait for agents.", default=8250),
    "server_time": real("What time it is on the management servers, in seconds since 1970, to compare the clocks. More than two minutes apart are a problem."),
    "guest_timeout": real("Within how many seconds the guest must be through. With V(0) none is run, as after M(cephstack.cloud.kvm_host).", default=30),
    "timeout": real("Within how many seconds a server must answer.", default=5),
    "required": boolean("Whether it is an error that CloudStack cannot use this host. If not, problems are only returned.", default=True),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = dict(module.params)
    required = params.pop("required")
    if params["vlans"] is not None:
        params["vlans"] = {bridge: int(vlan) for bridge, vlan in params["vlans"].items()}
    wanted = Wanted(**{**params, "bridges": tuple(params["bridges"]), "servers": tuple(params["servers"])})
    begun = time.monotonic()
    seen = look(wanted)
    found = problems(wanted, seen)
    for warning in warnings(wanted, seen):
        module.warn(warning)
    result = {"problems": found, "librados": seen.librados, "skew": seen.skew, "seconds": round(time.monotonic() - begun, 1)}
    if found and required:
        module.fail_json(msg="CloudStack cannot use this host: " + "; ".join(found), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
