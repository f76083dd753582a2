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
      password_update:
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
  flavors:
    description: 'Flavors: what kinds of guests users can make.'
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it is offered. Guests that were made of one that goes keep what they have.
        type: str
        choices: [present, absent]
        default: present
      vcpus:
        description: 'How many virtual CPUs. Required for one that is present. It cannot change later: O(allow_loss=flavor/NAME) makes the flavor anew.'
        type: int
      ram:
        description: Memory in MiB. Required and fixed, as C(vcpus).
        type: int
      disk:
        description: The size of the root disk in GiB. V(0) is that of the image. Fixed, as C(vcpus).
        type: int
        default: 0
      ephemeral:
        description: The size of a second disk in GiB. Fixed, as C(vcpus).
        type: int
        default: 0
      swap:
        description: The size of a disk for swapping in MiB. Fixed, as C(vcpus).
        type: int
        default: 0
      public:
        description: Whether all projects see it. Fixed, as C(vcpus).
        type: bool
        default: true
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
      extra_specs:
        description: What else Nova is to do for guests of it, such as V(hw:cpu_policy=dedicated). All of it; left out, it is left alone.
        type: dict
      projects:
        description: The projects that see one that is not public. All of them; left out, they are left alone.
        type: list
        elements: str
  qos:
    description: Limits of volumes (QoS specs), which volume types name.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it is there. Cinder refuses to delete one that a volume type has.
        type: str
        choices: [present, absent]
        default: present
      consumer:
        description: Who keeps to it, the hypervisor (V(front-end)) or the storage (V(back-end)). Ceph's volumes need the first.
        type: str
        choices: [front-end, back-end, both]
        default: front-end
      specs:
        description: The limits, such as V(total_iops_sec=500), V(total_bytes_sec=100000000). All of them; left out, they are left alone.
        type: dict
  volume_types:
    description: 'Volume types: what kinds of volumes users can make.'
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it is offered. Cinder refuses to delete one of which there are volumes.
        type: str
        choices: [present, absent]
        default: present
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
      public:
        description: Whether all projects see it. Left out, it is left alone.
        type: bool
      backend:
        description: The Cinder backend (C(volume_backend_name)) whose volumes are of it, which is named as its pool.
        type: str
      extra_specs:
        description: What else Cinder is to do for volumes of it. All of it, but for the backend; left out, it is left alone.
        type: dict
      qos:
        description: The QoS that its volumes have, empty for none. Left out, it is left alone.
        type: str
      projects:
        description: The projects that see one that is not public. All of them; left out, they are left alone.
        type: list
        elements: str
  consumers:
    description: Who uses the Ceph cluster's pools. Each pool that a consumer of the kind V(cinder) writes to is a backend of Cinder, and gets a volume type of
      its name, if O(volume_types) has none.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the consumer.
        type: str
        required: true
      client:
        description: The full name of its cephx client. By default C(client.) and the consumer's name.
        type: str
      kind:
        description: What it is. Consumers of all kinds but V(rados) keep images in their pools.
        type: str
        choices: [cinder, cinder-backup, cloudstack, glance, kvm, nova, rados, rbd, xen]
        default: rbd
      hosts:
        description:
          - 'The groups and hosts of the inventory that use it: they get its key and what else its kind needs, and prove it. Of all kinds but V(rbd) and
            V(rados).'
          - Without it there is only the client with its rights, for hosts that others set up.
        type: list
        elements: str
      pools:
        description: The pools that it uses.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: The name of the pool.
            type: str
            required: true
          access:
            description: Whether it may write, or only read.
            type: str
            choices: [rw, ro]
            default: rw
          data_pool:
            description:
              - The pool of its images' data, where that is another one, such as an erasure-coded pool. The consumer has the same access to it.
              - Images that are made for the proof have their data there, and CloudStack's; of others it must be said where they are made.
            type: str
          namespace:
            description: The namespace within this pool, where it is another one than the consumer's. Empty for the pool as a whole, with all its namespaces.
            type: str
      namespace:
        description:
          - The namespace within each of its pools. It is made there, and the consumer has no rights on anything else in these pools.
          - Without it the consumer's rights are on the pools as a whole. Consumers of CloudStack, Xen and OpenStack can have none.
        type: str
      rotate_before:
        description: A moment in the past, such as V(2026-11-01). Its key is made anew if it was made before it.
        type: str
      oldest_client:
        description: The version of the oldest Ceph library that uses its key, such as V(18.2.7). Its key is of a type that this can read.
        type: str
  images:
    description: Images of the user's own project.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name. Glance takes several of one name; here a name is one of the user's project, and several are an error.
        type: str
        required: true
      state:
        description: Whether it is there. V(absent) needs O(allow_loss=image/NAME). One in RBD is deleted there too, as Glance does.
        type: str
        choices: [present, absent]
        default: present
      file:
        description: "The file on the host that runs the module, raw or qcow2. It is copied as a raw image, so that guests' disks can be clones. A file that
          changes is a new image: O(allow_loss=image/NAME) replaces the old one."
        type: str
      rbd:
        description:
          - An image in RBD, registered where it is, in the place of C(file). Glance of 2025.1 or later.
          - Glance lets only services do that, so the user of the cloud is given the role C(service) in its project.
        type: dict
        suboptions:
          pool:
            description: The pool, which Glance's own client may read.
            type: str
            required: true
          image:
            description: The image.
            type: str
            required: true
          snapshot:
            description: Its protected snapshot, of which guests' disks are clones.
            type: str
            required: true
          fsid:
            description: The cluster's fsid. By default that of C(/etc/ceph/ceph.conf) on the host that runs the module.
            type: str
      visibility:
        description: Who sees it.
        type: str
        choices: [public, community, shared, private]
        default: public
      min_disk:
        description: The size of the smallest disk for it, in GiB. Left out, it is left alone.
        type: int
      min_ram:
        description: The least memory for it, in MiB. Left out, it is left alone.
        type: int
      protected:
        description: Whether Glance refuses to delete it. Left out, it is left alone.
        type: bool
      properties:
        description: What else is told of it, such as V(hw_disk_bus=virtio). What is not named is left alone.
        type: dict
  networks:
    description: Networks, with their subnets.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name. Neutron takes several of one name; here a name is one of its project, and several are an error that lists them.
        type: str
        required: true
      state:
        description: Whether it is there. V(absent) needs O(allow_loss=network/NAME); Neutron refuses it while guests are on it.
        type: str
        choices: [present, absent]
        default: present
      project:
        description: The project whose it is. By default that of the user of the cloud.
        type: str
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
      type:
        description: 'What carries it. Left out, Neutron chooses. Fixed: O(allow_loss=network/NAME) makes the network anew, with its subnets.'
        type: str
        choices: [flat, vlan, vxlan, gre, geneve, local]
      physical_network:
        description: The physical network, for the types V(flat) and V(vlan). Fixed, as C(type).
        type: str
      segment:
        description: The VLAN, or the number of the tunnel. Left out, Neutron chooses. Fixed, as C(type).
        type: int
      mtu:
        description: The size of packets. Left out, it is left alone.
        type: int
      shared:
        description: Whether all projects may use it. Left out, it is left alone.
        type: bool
      external:
        description: Whether routers lead to the world by it. Left out, it is left alone.
        type: bool
      enabled:
        description: Whether it carries anything. Left out, it is left alone.
        type: bool
      port_security:
        description: Whether new ports of it are kept to their addresses and security groups. Left out, it is left alone.
        type: bool
      subnets:
        description: Its subnets. Those that are not named are left alone.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Its name.
            type: str
            required: true
          state:
            description: Whether it is there. V(absent) needs O(allow_loss=subnet/NETWORK/NAME); Neutron refuses it while guests have addresses of it.
            type: str
            choices: [present, absent]
            default: present
          cidr:
            description: 'Its addresses, such as V(10.1.0.0/24). Required for one that is present, and fixed: O(allow_loss=subnet/NETWORK/NAME) makes it anew.'
            type: str
          gateway:
            description: The gateway, empty for none. By default the first address. Left out, it is left alone.
            type: str
          dhcp:
            description: Whether Neutron gives out the addresses by DHCP. Left out, it is left alone, and a new one has it.
            type: bool
          dns:
            description: The name servers that guests are told. Left out, they are left alone.
            type: list
            elements: str
          pools:
            description: The addresses that guests are given, such as V(10.1.0.100-10.1.0.200). Left out, they are left alone, and a new one has all.
            type: list
            elements: str
          routes:
            description: 'Further routes that guests are told, by destination, such as C({10.9.0.0/16: 10.1.0.9}). Left out, they are left alone.'
            type: dict
  routers:
    description: Routers. Neutron must have the service plugin for them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name, one of its project.
        type: str
        required: true
      state:
        description: Whether it is there. V(absent) needs O(allow_loss=router/NAME).
        type: str
        choices: [present, absent]
        default: present
      project:
        description: The project whose it is. By default that of the user of the cloud.
        type: str
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
      enabled:
        description: Whether it routes. Left out, it is left alone.
        type: bool
      external_network:
        description: The network by which it leads to the world, empty for none. Left out, it is left alone.
        type: str
      snat:
        description: Whether guests without an address of their own share that of the router. Left out, it is left alone.
        type: bool
      interfaces:
        description: The subnets of its project that it connects. All of them; left out, they are left alone.
        type: list
        elements: dict
        suboptions:
          network:
            description: The network.
            type: str
            required: true
          subnet:
            description: Its subnet.
            type: str
            required: true
  security_groups:
    description: Security groups, with their rules.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name, one of its project.
        type: str
        required: true
      state:
        description: Whether it is there. V(absent) needs O(allow_loss=security_group/NAME); Neutron refuses it while guests have it.
        type: str
        choices: [present, absent]
        default: present
      project:
        description: The project whose it is. By default that of the user of the cloud.
        type: str
      description:
        description: What people read of it. Left out, it is left alone.
        type: str
      rules:
        description: "What is let through, all of it. Left out, it is left alone. Rules of a direction of which none is declared are left alone too: Neutron's
          own let everything out."
        type: list
        elements: dict
        suboptions:
          direction:
            description: Whether it is for what comes in, or what goes out.
            type: str
            choices: [ingress, egress]
            default: ingress
          family:
            description: For which addresses it is.
            type: str
            choices: [IPv4, IPv6]
            default: IPv4
          protocol:
            description: The protocol, such as V(tcp), V(udp), V(icmp). Left out, it is for all.
            type: str
          ports:
            description: The port, or the first and the last, such as V(8000-8100). For V(icmp) the type, or type and code. Left out, it is for all.
            type: str
          remote:
            description: The addresses of the other side, such as V(10.0.0.0/8). Left out, they are all.
            type: str
          remote_group:
            description: The security group of the other side's guests, in the place of C(remote).
            type: str
  keypairs:
    description: Keypairs, by their public keys.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      state:
        description: Whether it is there. Guests keep the key that they have.
        type: str
        choices: [present, absent]
        default: present
      user:
        description: The user whose it is, as each user has its own. By default the user of the cloud.
        type: str
      public_key:
        description: 'The public key, as ssh-keygen writes it. It cannot change later: O(allow_loss=keypair/USER/NAME) makes the keypair anew.'
        type: str
  discover_hosts:
    description: Whether compute hosts that run, and that no cell of Nova knows yet, are mapped into theirs. The module must run on a controller, with
      C(nova-manage).
    type: bool
    default: false
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
