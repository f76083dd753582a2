#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openstack_compute
short_description: Make a compute host of OpenStack whose guests keep their disks in Ceph
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Keeps the configuration files of C(nova-compute) and of Neutron's agent for Open vSwitch, whole, and both services running with them. Their packages must
    be there, and libvirt must hold the secret of the client, as M(cephstack.cloud.kvm_host) sees to.
  - Keeps a bridge of Open vSwitch for each physical network, with its interface if one is declared. What else is in a bridge stays. An interface that has an
    address is refused, as the host may be reached over it. The host's own network configuration must bring the interface up at boot.
  - Where the kernel has no module C(openvswitch), as in some containers, the bridges switch in user space.
  - Guests move between hosts over ssh, by a key of Nova's user that is made here. The hosts must know each other, as said by RV(migration).
  - The disks of guests are images in the first pool that the consumer of kind V(nova) may write. Where Glance keeps its images in the same cluster each
    disk is a clone of one, and an image that cannot be cloned, as it is not raw, is refused and not copied.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: On a host that has none of the packages it says that everything would be made.
  diff_mode:
    support: full
    details: Of files with passwords it says only that they differ.
  idempotent:
    support: full
seealso:
  - module: cephstack.cloud.kvm_host
options:
  openstack:
    description: The OpenStack that it is a host of.
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
    description: The addresses of its controllers, the first one's first. They tell what O(openstack) leaves out.
    type: list
    elements: str
    default: []
  address:
    description: The host's own address, at which other hosts reach it.
    type: str
    required: true
  domain_type:
    description: What its guests are in libvirt's words, V(qemu) where they are emulated. What M(cephstack.cloud.kvm_host) says of it may be given as it is.
    type: str
    choices: [kvm, qemu, unknown]
    default: kvm
  controller:
    description: Whether it is a controller, too. Then C(nova.conf) and C(neutron.conf) are the controller's, and are not written.
    type: bool
    default: false
  fsid:
    description: The fsid of the cluster. The UUID of libvirt's secret is made of it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Make a compute host
  cephstack.cloud.openstack_compute:
    openstack: "{{ openstack }}"
    controllers: [10.77.0.31]
    address: 10.77.0.21
    fsid: 5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11
    consumers:
      - name: nova
        kind: nova
        pools:
          - name: vms
"""

RETURN = r"""
datapath:
  description: V(system) where the kernel switches, V(netdev) where Open vSwitch does it in user space.
  type: str
  returned: success
migration:
  description:
    - What the other compute hosts must know of this one, so that guests can move between them. Empty where there is no key yet, in check mode, or no ssh server
      with a key of type ed25519.
  type: dict
  returned: success
  contains:
    authorized_key:
      description: The line for C(authorized_keys) of Nova's user.
      type: str
    known_host:
      description: The line for C(ssh_known_hosts).
      type: str
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import declaration
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.compute import bring, migration, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, end_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, choice, record, string, strings

FIELDS = {
    "openstack": record("The OpenStack that it is a host of.", declaration.FIELDS, required=True),
    "controllers": strings("The addresses of its controllers, the first one's first. They tell what O(openstack) leaves out.", default=[]),
    "address": string("The host's own address, at which other hosts reach it.", required=True),
    "domain_type": choice(
        "What its guests are in libvirt's words, V(qemu) where they are emulated. What M(cephstack.cloud.kvm_host) says of it may be given as it is.",
        ["kvm", "qemu", "unknown"],
        default="kvm",
    ),
    "controller": boolean("Whether it is a controller, too. Then C(nova.conf) and C(neutron.conf) are the controller's, and are not written.", default=False),
    "fsid": string("The fsid of the cluster. The UUID of libvirt's secret is made of it.", required=True),
    "consumers": CONSUMERS,
}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    try:
        wanted = parse(module.params)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    outcome = bring(wanted, module.check_mode)
    end_module(module, dataclasses.replace(outcome, returned={**outcome.returned, "migration": migration(wanted.address)}))


if __name__ == "__main__":
    main()
