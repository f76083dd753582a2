#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_region
short_description: Everything declared of a CloudStack region, in one call
version_added: 0.1.0
description:
  - Makes settings, zones with their networks, pods, clusters and hosts, and everything else that is declared of a region, as declared.
  - Existing objects are read as whole lists. What differs is set right in the order that the server accepts, at the same time if it is independent.
    Nothing is asked or sent for an object that is as it should be.
  - What is not declared is left alone.
  - A run that was cut off is finished by the next one. Where the module still works on the host after its playbook was ended, the next run
    waits for it.
  - Bad declarations are refused before anything is touched, all mistakes together.
author: The cephstack.cloud authors (@cephstack)
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_cloudstack
  - cephstack.cloud.cloudstack
  - cephstack.cloud.cloudstack_catalogue
  - cephstack.cloud.cloudstack_storage
  - cephstack.cloud.consumers
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - In check mode, where O(connection.api_key) is not given because no server has been made yet, everything declared is planned as new.
  - CloudStack takes several objects of one name of some kinds, such as offerings. Here a name is one object; several are an error that lists them.
options:
  ceph:
    description: The Ceph cluster that O(consumers) belong to.
    type: dict
    default: {}
    suboptions:
      fsid:
        description: Its fsid.
        type: str
      mon_host:
        description: Its monitors, as in C(mon_host) of C(ceph.conf), from the running cluster's own map.
        type: str
      keys:
        description: The keys of cephx clients, by their full name.
        type: dict
        default: {}
      pools:
        description: The names of its pools, so that a missing one is reported. Not checked if they are not given.
        type: list
        elements: str
      object_users:
        description: The keys of the object gateway's users, as M(cephstack.cloud.ceph_keys_info) returns them.
        type: dict
        default: {}
  settings:
    description:
      - Settings of the server, by name. The server itself is asked for their names, their types and whether they take effect at once.
      - Settings that belong to a zone can also be declared for it, in O(zones[].settings).
      - The server shows secret settings only encrypted. One is set if it is not set yet, and is taken to be as declared afterwards. O(allow_loss=setting/NAME)
        sets it anew.
    type: dict
    default: {}
  zones:
    description: Zones, and what they are made of.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The zone's name.
        type: str
        required: true
      type:
        description: How guests are connected. It cannot change later.
        type: str
        choices: [advanced, advanced_security_groups, basic]
        default: advanced
      dns1:
        description: The name server that guests are given.
        type: str
        required: true
      dns2:
        description: A second one.
        type: str
      internal_dns1:
        description: The name server that CloudStack's own virtual machines use. By default that of the guests.
        type: str
      internal_dns2:
        description: A second one.
        type: str
      guest_cidr:
        description: The network that guests' networks have by default, such as V(10.1.1.0/24). For zones of type V(advanced).
        type: str
      domain:
        description: The domain of guests' names.
        type: str
      local_storage:
        description: Whether guests may be kept on a host's own disks.
        type: bool
      enabled:
        description: Whether the zone takes guests. It is enabled when everything else of it is there.
        type: bool
        default: true
      system_vms:
        description:
          - Whether the zone is to have CloudStack's system virtual machines, for secondary storage and consoles. They need an image store of NFS, and hosts
            with real KVM. The server starts them by itself. What would keep them from starting is refused here; the roles look for their template, and prove
            them.
          - By default it is to, if it has an image store of NFS and a cluster of KVM hosts.
        type: bool
      settings:
        description: Settings of this zone, by name.
        type: dict
        default: {}
      physical_networks:
        description: Physical networks.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The network's name.
            type: str
            required: true
          isolation:
            description: How guests are kept apart. By default V(vlan), in a zone of type V(basic) V(l3). It cannot change later.
            type: list
            elements: str
          vlan:
            description: The VLANs that guests' networks are given, such as V(100-200) or V(100-200,300-310).
            type: str
          tags:
            description: Tags by which network offerings choose it. Needed if several networks carry guests.
            type: list
            elements: str
          traffic:
            description: What the network carries. Its types cannot be removed later.
            type: list
            elements: dict
            required: true
            suboptions:
              type:
                description: The type of traffic.
                type: str
                required: true
                choices: [management, guest, public, storage]
              kvm_label:
                description: The bridge of KVM hosts that carries it, such as V(cloudbr0).
                type: str
              xen_label:
                description: The name-label of the XenServer network that carries it.
                type: str
          providers:
            description:
              - Which providers of network services are on, and which off, such as C(VirtualRouter=true). What they are made of is switched on with them.
              - On the network of the guests, those that a zone of its type needs are on by themselves. C(VirtualRouter) in all, C(VpcVirtualRouter) in a zone
                of type V(advanced), C(SecurityGroupProvider) in the others.
            type: dict
            default: {}
      guest_network:
        description:
          - The network that all guests of a zone with security groups share.
          - In a zone of type V(basic) it is made by itself, and its addresses are those of O(zones[].pods[].guest_ranges).
        type: dict
        suboptions:
          name:
            description: The network's name.
            type: str
            default: defaultGuestNetwork
          offering:
            description: Its network offering.
            type: str
            default: DefaultSharedNetworkOfferingWithSGService
          vlan:
            description: Its VLAN.
            type: str
          start:
            description: The first address for guests.
            type: str
          end:
            description: The last address for guests.
            type: str
          gateway:
            description: The gateway of the network.
            type: str
          netmask:
            description: Its netmask.
            type: str
      public_ranges:
        description: Public addresses, for routers and guests.
        type: list
        elements: dict
        default: []
        suboptions:
          start:
            description: The first address.
            type: str
            required: true
          end:
            description: The last address.
            type: str
            required: true
          gateway:
            description: The gateway of their subnet.
            type: str
            required: true
          netmask:
            description: Its netmask.
            type: str
            required: true
          vlan:
            description: Its VLAN.
            type: str
            default: untagged
      pods:
        description: Pods.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The pod's name.
            type: str
            required: true
          start:
            description: The first of the addresses in the hosts' network that CloudStack may give to its own virtual machines.
            type: str
            required: true
          end:
            description: The last of them.
            type: str
            required: true
          gateway:
            description: The gateway of the hosts' network.
            type: str
            required: true
          netmask:
            description: Its netmask.
            type: str
            required: true
          enabled:
            description: Whether it takes guests.
            type: bool
            default: true
          guest_ranges:
            description: Addresses for guests, in a zone of type V(basic).
            type: list
            elements: dict
            default: []
            suboptions:
              start:
                description: The first address.
                type: str
                required: true
              end:
                description: The last address.
                type: str
                required: true
              gateway:
                description: The gateway of their subnet.
                type: str
                required: true
              netmask:
                description: Its netmask.
                type: str
                required: true
          clusters:
            description: Clusters of alike hosts.
            type: list
            elements: dict
            default: []
            suboptions:
              name:
                description: The cluster's name.
                type: str
                required: true
              hypervisor:
                description: What its hosts run. V(simulator) is for tests, on a server that has it. It cannot change later.
                type: str
                choices: [kvm, xenserver, simulator]
                default: kvm
              enabled:
                description: Whether it takes guests.
                type: bool
                default: true
              hosts:
                description:
                  - Its hosts. They are added side by side, which takes minutes, and waited for until they are Up.
                  - A host that somebody has put into maintenance is left so.
                type: list
                elements: dict
                default: []
                suboptions:
                  address:
                    description: The host's address or name in the management network.
                    type: str
                  known_as:
                    description:
                      - Its other addresses and names. CloudStack shows one address of a host, which need not be that by which it was added; a host that it
                        shows with one of these is this one.
                      - The role adds those that the inventory and facts have.
                    type: list
                    elements: str
                  url:
                    description: Of a simulated host, such as V(http://sim/c0/h1). It has no address; those of a cluster are told apart by their tags and state.
                    type: str
                  user:
                    description: The user as whom the server installs the agent.
                    type: str
                    default: root
                  password:
                    description:
                      - This user's password. Without one, the server's own ssh key must be in the user's C(authorized_keys).
                      - Used when the host is added, and never compared.
                    type: str
                  tags:
                    description: The host's tags, by which service offerings choose it. The whole list.
                    type: list
                    elements: str
                  state:
                    description:
                      - Whether the host takes new guests.
                      - V(absent) moves or stops its guests and removes it, and needs O(allow_loss=host/ZONE/ADDRESS).
                    type: str
                    choices: [enabled, disabled, absent]
                    default: enabled
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
requirements:
  - python3-boto3, of the distribution's own Python (another interpreter hands over to it by itself), for object stores and image stores on S3
"""

EXAMPLES = r"""
- name: A zone with a KVM host
  cephstack.cloud.cloudstack_region:
    connection:
      url: http://mgmt1:8080/client/api
      api_key: "{{ api_key }}"
      api_secret: "{{ api_secret }}"
    settings:
      network.throttling.rate: 0
    zones:
      - name: zone1
        dns1: 10.0.0.1
        guest_cidr: 10.1.1.0/24
        physical_networks:
          - name: net1
            vlan: 100-200
            traffic:
              - {type: management, kvm_label: cloudbr0}
              - {type: guest, kvm_label: cloudbr0}
              - {type: public, kvm_label: cloudbr0}
        public_ranges:
          - {start: 10.0.1.50, end: 10.0.1.90, gateway: 10.0.1.1, netmask: 255.255.255.0}
        pods:
          - name: pod1
            gateway: 10.0.0.1
            netmask: 255.255.255.0
            start: 10.0.0.100
            end: 10.0.0.120
            clusters:
              - name: kvm
                hosts:
                  - address: 10.0.0.21
                    tags: [ssd]
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
      description: Its name, with the zone before it.
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
restart_needed:
  description: The settings that were changed and take effect only after a restart of the server.
  returned: success
  type: list
  elements: str
api_calls:
  description: How many calls were made.
  returned: success
  type: int
zones:
  description: The declared zones that are there.
  returned: when zones are declared
  type: list
  elements: dict
  contains:
    name:
      description: The zone's name.
      type: str
    id:
      description: Its id.
      type: str
    state:
      description: Enabled or Disabled.
      type: str
    type:
      description: As declared.
      type: str
hosts:
  description: The hosts of these zones.
  returned: when zones are declared
  type: list
  elements: dict
  contains:
    zone:
      description: The host's zone.
      type: str
    cluster:
      description: Its cluster.
      type: str
    name:
      description: Its name.
      type: str
    address:
      description: Its address.
      type: str
    state:
      description: Up, Down, Disconnected and so on.
      type: str
    resource_state:
      description: Enabled, Disabled, Maintenance and so on.
      type: str
primary_storage:
  description: The declared primary storage that is there.
  returned: when primary storage is declared
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    zone:
      description: Its zone.
      type: str
    uuid:
      description: Its UUID, which is that of libvirt's pool and secret on the hosts.
      type: str
    state:
      description: Up, Maintenance and so on.
      type: str
    scope:
      description: zone or cluster.
      type: str
    cluster:
      description: Its cluster, where its scope is one.
      type: str
    monitors:
      description: The addresses of Ceph's monitors.
      type: list
      elements: str
    pool:
      description: The pool of Ceph.
      type: str
    tags:
      description: Its tags.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding_or_dry_run
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client, region
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import reconcile_alone
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, PREFIX, arguments

FIELDS = {
    **region.OPTIONS,
    "prefix": PREFIX,
    "allow_loss": ALLOW_LOSS,
    "connection": client.CONNECTION_SPEC,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    connection = module.params["connection"]
    declaration = {key: value for key, value in module.params.items() if key not in ("connection", "allow_loss", "prefix")}
    try:
        server = None if module.check_mode and not connection.get("api_key") else client.connect(connection)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    if server is not None and (declaration["object_stores"] or any(store["s3"] for store in declaration["image_stores"] or ())):
        binding_or_dry_run(module, "boto3", "python3-boto3")
    reconcile_alone(
        "cloudstack_region", module, region.Provider(declaration, server, module.params["prefix"], module.params["allow_loss"]), module.params["allow_loss"]
    )


if __name__ == "__main__":
    main()
