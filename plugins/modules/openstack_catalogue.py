#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openstack_catalogue
short_description: Everything declared of what an OpenStack offers, in one call
version_added: 0.2.0
description:
  - Makes projects, roles, users, services and endpoints, quotas, flavors, volume types, images, networks, routers, security groups and keypairs as declared.
  - Existing things are read as whole lists over one session, side by side. What differs is set right in the order that the APIs accept, at the same time if
    it is independent. Nothing is asked or sent for a thing that is as it should be.
  - What is not declared is left alone.
  - OpenStack takes several networks, images, services and security groups of one name. Here a name is one thing; several are an error that lists them.
  - What cannot be changed, such as a flavor's size, is an error that says so, until O(allow_loss) names it. Then it is deleted and made anew.
  - Bad declarations are refused before anything is touched, all mistakes together.
author: The cephstack.cloud authors (@cephstack)
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_openstack
  - cephstack.cloud.openstack
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - In check mode, where O(config) or the library is not there because no controller has been made yet, everything declared is planned as new.
requirements:
  - python3-openstacksdk, of the distribution's own Python (another interpreter hands over to it by itself)
options:
  projects:
    description: Projects, in the domain of the administrator's own.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it is there. V(absent) needs O(allow_loss=project/NAME).
        type: str
        choices: [present, absent]
        default: present
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
      enabled:
        description: Whether its users are let in. Left out, it is left alone.
        type: bool
      quotas:
        description: How much it may have, by the service's own names. What is not named is left alone.
        type: dict
        suboptions:
          compute:
            description: Those of Nova, such as V(cores=20), V(ram=51200) in MiB, V(instances=10). V(-1) is no limit.
            type: dict
          volume:
            description: Those of Cinder, such as V(gigabytes=1000), V(volumes=10), and of a volume type V(gigabytes_NAME=100). V(-1) is no limit.
            type: dict
          network:
            description: Those of Neutron, such as V(port=50), V(network=5). V(-1) is no limit.
            type: dict
  roles:
    description: Roles.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it is there. V(absent) needs O(allow_loss=role/NAME), and takes it from everybody who has it.
        type: str
        choices: [present, absent]
        default: present
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
  users:
    description: Users, in the same domain, and what they may.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it is there. V(absent) needs O(allow_loss=user/NAME).
        type: str
        choices: [present, absent]
        default: present
      password:
        description: Its password. Keep it in a vault. Left out, it is left alone; a new user without one cannot log in.
        type: str
      update_password:
        description:
          - Whether the password is that of a user who is there already.
          - 'No password can be read back: V(always) tries it once, in check mode too, and sets it if Keystone does not accept it. V(on_create) leaves it to the
            user.'
        type: str
        choices: [always, on_create]
        default: always
      email:
        description: Its address. Left out, it is left alone.
        type: str
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
      enabled:
        description: Whether it is let in. Left out, it is left alone.
        type: bool
      default_project:
        description: The project that it is in if it says none.
        type: str
      roles:
        description: What it may, and where. Roles that are not named are left alone.
        type: list
        elements: dict
        default: []
        suboptions:
          role:
            description: The role.
            type: str
            required: true
          project:
            description: The project in which the user has it.
            type: str
          system:
            description: Whether the user has it on OpenStack as a whole, instead of in a project.
            type: bool
            default: false
          state:
            description: Whether the user has it. V(absent) needs O(allow_loss=grant/USER/PROJECT/ROLE), with C(system) for the project of such a one.
            type: str
            choices: [present, absent]
            default: present
  services:
    description: Services, and the addresses of their APIs, in Keystone's catalogue.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description: Its type, such as V(object-store), by which users find it. Here a type is one service.
        type: str
        required: true
      state:
        description: Whether it is there. V(absent) needs O(allow_loss=service/TYPE), and takes its endpoints with it.
        type: str
        choices: [present, absent]
        default: present
      name:
        description: Its name, such as V(swift). By default the type.
        type: str
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
      enabled:
        description: Whether users find it. Left out, it is left alone.
        type: bool
      endpoints:
        description: Its addresses. Those that are not named are left alone.
        type: list
        elements: dict
        default: []
        suboptions:
          url:
            description: The address. Required for one that is present.
            type: str
          region:
            description: The region.
            type: str
            required: true
          interfaces:
            description: For whom it is.
            type: list
            elements: str
            choices: [public, internal, admin]
            default: [public, internal, admin]
          state:
            description: Whether it is there. V(absent) needs O(allow_loss=endpoint/TYPE/REGION/INTERFACE) for each.
            type: str
            choices: [present, absent]
            default: present
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: A flavor, and the project of a team
  cephstack.cloud.openstack_catalogue:
    projects:
      - name: team
        quotas:
          compute: {cores: 20}
    users:
      - name: anna
        password: "{{ vault_anna_password }}"
        roles:
          - {role: member, project: team}
"""

RETURN = r"""
changes:
  description: What was changed, or would be, in the order of their stages.
  returned: success
  type: list
  elements: dict
  contains:
    stage:
      description: Changes of one stage are made side by side.
      type: int
    kind:
      description: What kind of thing it is.
      type: str
    name:
      description: Its name, with that of what it belongs to before it.
      type: str
    action:
      description: What is done.
      type: str
    risk:
      description: What it can cost. One of none, restart, movement, loss.
      type: str
    reason:
      description: Why it costs that.
      type: str
api_calls:
  description: How many requests were made.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding_or_dry_run
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import reconcile_alone
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import catalogue, client
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, PREFIX, arguments

FIELDS = {
    **client.CONNECTION,
    **catalogue.OPTIONS,
    "prefix": PREFIX,
    "allow_loss": ALLOW_LOSS,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    declaration = {key: value for key, value in module.params.items() if key in catalogue.OPTIONS}
    prefix, allow_loss = module.params["prefix"], module.params["allow_loss"]
    found = catalogue.declared_problems(declaration, prefix)
    try:
        if found:
            raise Invalid(found)
        there = binding_or_dry_run(module, "openstack", "python3-openstacksdk")
        cloud = client.connect(module.params["cloud"], module.params["config"], optional=module.check_mode) if there else None
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except Unreachable as error:
        module.fail_json(msg=str(error))
    reconcile_alone("openstack_catalogue", module, catalogue.Provider(declaration, cloud, prefix), allow_loss)


if __name__ == "__main__":
    main()
