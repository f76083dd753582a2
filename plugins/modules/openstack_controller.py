#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openstack_controller
short_description: A controller of OpenStack, with its databases and services
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Runs on a host with the distribution's packages of OpenStack. Makes the databases and the broker's user, writes the services' configuration files,
    brings the schemas to the packages' version, makes Keystone's administrator and its own endpoints, and starts services that answer.
  - Databases are made once, and never dropped. If an earlier run was interrupted, they are finished.
  - A service is restarted if it has not read its files as they are now.
  - Several controllers share the databases, the broker, and Keystone's keys. Set up the first one before the others.
  - No password and no key is on a command line.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  openstack:
    description: What is declared of this OpenStack.
    type: dict
    required: true
    suboptions:
      region:
        description: The name of the region.
        type: str
        default: RegionOne
      group:
        description: The group of the controllers.
        type: str
        default: openstack_controllers
      address:
        description: The name or address at which all reach the APIs. By default the first controller's address; of several that of what is before them.
        type: str
      admin_password:
        description: The password of Keystone's administrator, C(admin). Keep it in a vault.
        type: str
        required: true
      service_password:
        description: The password of the services' users in Keystone. Keep it in a vault.
        type: str
        required: true
      database:
        description: The database server.
        type: dict
        required: true
        suboptions:
          host:
            description: The database server. By default the first controller, where the role then makes it.
            type: str
          port:
            description: Its port.
            type: int
            default: 3306
          password:
            description: The password of the services' own users, one for each service, which are made. Keep it in a vault.
            type: str
            required: true
          admin_user:
            description: Who makes the databases and the users.
            type: str
            default: root
          admin_password:
            description: The administrator's password. Not needed by the socket of the server's own host.
            type: str
            default: ""
      messages:
        description: The broker.
        type: dict
        required: true
        suboptions:
          host:
            description: The broker (RabbitMQ). By default the first controller, where the role then makes it.
            type: str
          port:
            description: Its port.
            type: int
            default: 5672
          password:
            description: The password of its user C(openstack), which is made on a broker of the role's own. Keep it in a vault.
            type: str
            required: true
      tls:
        description: The certificate of the APIs. Without it they are served without TLS.
        type: dict
        suboptions:
          certificate:
            description: The file with the certificate and those that lead to its authority, on each controller.
            type: path
            required: true
          key:
            description: The file with its key, on each controller.
            type: path
            required: true
          ca_path:
            description: The file with the authority's certificate, on each host that uses the APIs. By default those that the host trusts.
            type: path
      networks:
        description: The physical networks that compute hosts are on.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The physical network, as networks of Neutron name it.
            type: str
            required: true
          bridge:
            description: The bridge of Open vSwitch for it on compute hosts, which is made.
            type: str
            required: true
          interface:
            description: The compute hosts' interface to put into the bridge. Without it the network reaches no further than the host.
            type: str
      object_gateway:
        description: "The group or host of the object gateways that are this OpenStack's object storage: they accept Keystone's users, and are registered.
          Without it there is none."
        type: str
      console:
        description: Whether there is a proxy for guests' consoles (noVNC).
        type: bool
        default: false
      workers:
        description: How many processes each API has.
        type: int
        default: 2
  controllers:
    description: The addresses of all controllers, that of the first one first.
    type: list
    elements: str
    required: true
  address:
    description: The address of this one.
    type: str
    required: true
  local:
    description: Which of V(database) and V(messages) is on this host.
    type: list
    elements: str
    default: []
  fsid:
    description: The fsid of the consumers' cluster.
    type: str
  object_storage:
    description: The endpoint of the object gateways, for Keystone's catalogue. Without it there is none.
    type: str
    default: ""
  keys:
    description: Keystone's keys, as M(cephstack.cloud.openstack_keys_info) returns those of another controller. Without them those of this one stay, or are
      made.
    type: dict
    default: {}
  timeout:
    description: How long an API may take to answer after a start, in seconds.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: The controller
  cephstack.cloud.openstack_controller:
    openstack:
      admin_password: "{{ vault_openstack_admin_password }}"
      service_password: "{{ vault_openstack_service_password }}"
      database: {password: "{{ vault_openstack_database_password }}"}
      messages: {password: "{{ vault_openstack_messages_password }}"}
    controllers: [10.77.0.41]
    address: 10.77.0.41
    local: [database, messages]
    consumers:
      - {name: glance, kind: glance, pools: [{name: images}]}
      - {name: cinder, kind: cinder, pools: [{name: volumes}]}
    fsid: 0d1e9c6c-6a4e-4a55-a3ab-c2f2cf0b4c6b
"""

RETURN = r"""
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS, derived
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import alone
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import declaration
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.configuration import Controller
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.controller import reconcile_controller
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, Unreachable, end_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, integer, mapping, record, string, strings

FIELDS = {
    "openstack": record("What is declared of this OpenStack.", declaration.FIELDS, required=True),
    "controllers": strings("The addresses of all controllers, that of the first one first.", required=True),
    "address": string("The address of this one.", required=True),
    "local": strings("Which of V(database) and V(messages) is on this host.", default=[]),
    "consumers": CONSUMERS,
    "fsid": string("The fsid of the consumers' cluster."),
    "object_storage": string("The endpoint of the object gateways, for Keystone's catalogue. Without it there is none.", default=""),
    "keys": mapping(
        "Keystone's keys, as M(cephstack.cloud.openstack_keys_info) returns those of another controller. Without them those of this one stay, or are made.",
        default={},
        no_log=True,
    ),
    "timeout": integer("How long an API may take to answer after a start, in seconds.", default=600),
}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    params = module.params
    try:
        problems = declaration.problems(params["openstack"], len(params["controllers"]))
        if not any(consumer["kind"] == "glance" for consumer in params["consumers"]):
            problems.append("consumers: none is of kind glance: OpenStack keeps its images there: declare one")
        authority = (params["openstack"]["tls"] or {}).get("ca_path")
        if authority and not files.readable_by_all(authority):
            problems.append(f"openstack.tls.ca_path: {authority} is not there, or not for all to read, and services of several users read it: correct that")
        if problems:
            raise Invalid(problems)
        openstack = declaration.of(params["openstack"], params["controllers"])
        certificate, key = (_text(f"openstack.tls.{name}", openstack.tls[name]) if openstack.tls else "" for name in ("certificate", "key"))
        controller = Controller(
            openstack=openstack,
            address=params["address"],
            consumers=derived(params["consumers"], params["fsid"]),
            several=len(params["controllers"]) > 1,
            certificate=certificate,
            key=Secret(key),
            local=params["local"],
            object_storage=params["object_storage"],
        )
        with contextlib.nullcontext() if module.check_mode else alone("openstack_controller"):
            end_module(module, reconcile_controller(controller, params["keys"], params["timeout"], module.check_mode))
    except (ValueError, Invalid, Unreachable) as error:
        module.fail_json(msg="; ".join(error.problems) if isinstance(error, Invalid) else str(error))


def _text(option: str, path: str) -> str:
    """The text of a file that an option names."""
    text = files.read(path)
    if not text:
        raise Invalid([f"{option}: {path} is not on this host, or empty: put it there"])
    return text


if __name__ == "__main__":
    main()
