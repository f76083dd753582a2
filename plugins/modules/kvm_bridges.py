#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_bridges
short_description: Bridges of a KVM host that take over an interface, with a way back
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - A bridge that is there is left alone, whatever it holds.
  - One that isn't is made and gets the addresses of the interface that it holds, now and at every boot.
  - Only addresses, gateway, DNS and routes move. What makes the interface what it is stays with it (slaves and mode of a bond, a VLAN's device, hardware
    address, offloads), so it may be a bond or a VLAN. The bridge gets the interface's C(mtu), too. Options that are not known stay with the interface;
    commands that are not known stay where they run before it is up, and move where they run after.
  - A timer is set before that. It puts everything back unless the module is called a second time, which proves that the host can still
    be reached. What comes up wrong is put back at once.
  - The interface must be described in C(/etc/network/interfaces) or a file in C(/etc/network/interfaces.d). Where netplan, systemd-networkd or
    NetworkManager set up the network, the module says so and changes nothing.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: The call after the one that made a bridge keeps it and so is a change.
options:
  bridges:
    description: The bridges.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the bridge, such as V(cloudbr0).
        type: str
        required: true
      interface:
        description: The interface that it holds and whose addresses it takes over. By default that of the default route.
        type: str
  revert_after:
    description: Within how many seconds the second call must come.
    type: int
    default: 90
requirements:
  - bridge-utils
"""

EXAMPLES = r"""
- name: The bridge that CloudStack uses
  cephstack.cloud.kvm_bridges:
    bridges:
      - name: cloudbr0
  register: bridges

- name: Keep it, now that the host was reached over it
  cephstack.cloud.kvm_bridges:
    bridges:
      - name: cloudbr0
  when: bridges is changed
"""

RETURN = r"""
bridges:
  description: The bridges as they are.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name of the bridge.
      type: str
    ports:
      description: The interfaces that it holds.
      type: list
      elements: str
    addresses:
      description: Its addresses.
      type: list
      elements: str
    kept:
      description: Whether no timer is there that would take it away.
      type: bool
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import CommandError
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.bridge import Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, integer, records, string

BRIDGE = {
    "name": string("The name of the bridge, such as V(cloudbr0).", required=True),
    "interface": string("The interface that it holds and whose addresses it takes over. By default that of the default route."),
}


FIELDS = {
    "bridges": records("The bridges.", BRIDGE, required=True),
    "revert_after": integer("Within how many seconds the second call must come.", default=90),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    try:
        bridges = parse(module.params["bridges"])
        run_module(module, Provider(bridges, module.params["revert_after"]))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except CommandError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
