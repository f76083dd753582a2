#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_system_template
short_description: The template of CloudStack's system virtual machines, in the image stores of zones
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - The management server puts the template into a zone's first NFS image store at the moment that the store is added, for the clusters that the zone has by
    then. Where there are none, or where it cannot mount the store or lacks room or a tool, nothing is put there, and it tells nobody.
  - This module looks into the stores themselves. With O(seed) it puts the template where it is missing, by the server's own script. Without, it proves that
    the server can fill stores that are only going to be added.
  - It runs on the management server that adds the stores, as root.
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
  zones:
    description: The zones that are to have system virtual machines.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The zone's name.
        type: str
        required: true
      image_stores:
        description: The addresses of the NFS stores that are declared for it.
        type: list
        elements: str
        default: []
  seed:
    description: Whether the template is put into the stores that have none. Else it is only proven that the server can fill those that are not added yet.
    type: bool
    default: true
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
notes:
  - The template is the one of the server's own package, for KVM on x86_64.
  - A store is mounted for the time that it is looked at, read only where it is only looked at.
seealso:
  - module: cephstack.cloud.cloudstack_region
  - module: cephstack.cloud.cloudstack_probe
"""

EXAMPLES = r"""
- name: The template is where the system virtual machines of the zone are made from
  cephstack.cloud.cloudstack_system_template:
    connection:
      url: http://mgmt1:8080/client/api
      api_key: "{{ api_key }}"
      api_secret: "{{ api_secret }}"
    zones:
      - name: zone1
"""

RETURN = r"""
stores:
  description: The stores that were looked into.
  type: list
  elements: dict
  returned: success
  contains:
    zone:
      description: The zone.
      type: str
    name:
      description: The store's name, its address where it is not added yet.
      type: str
    url:
      description: Its address.
      type: str
    template:
      description: Where in the store the template is, V(null) where it is not.
      type: str
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import CONNECTION_SPEC, connect
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.system_vms import Provider
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import reconcile_alone
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import PREFIX, arguments, boolean, records, string, strings

ZONE = {"name": string("The zone's name.", required=True), "image_stores": strings("The addresses of the NFS stores that are declared for it.", default=[])}


FIELDS = {
    "connection": CONNECTION_SPEC,
    "zones": records("The zones that are to have system virtual machines.", ZONE, required=True),
    "seed": boolean(
        "Whether the template is put into the stores that have none. Else it is only proven that the server can fill those that are not added yet.",
        default=True,
    ),
    "prefix": PREFIX,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        client = None if module.check_mode and not params["connection"].get("api_key") else connect(params["connection"])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    reconcile_alone("cloudstack_system_template", module, Provider(params["zones"], client, params["seed"], params["prefix"]))


if __name__ == "__main__":
    main()
