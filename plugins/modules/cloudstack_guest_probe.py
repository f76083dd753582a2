#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_guest_probe
short_description: Let CloudStack deploy a throwaway guest on RBD, and read back what it wrote
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Proves the whole way from CloudStack's API to Ceph, which is a template, an offering, a host with its agent, libvirt, QEMU, the cephx
    client's rights, copy-on-write, snapshots and their backup.
  - It deploys a guest through the API and waits until the guest's marker, which holds the guest's UUID, is on its disk in Ceph. It reads that
    past CloudStack, with the key of the consumer that has the pool.
  - Then it takes a snapshot, which CloudStack backs up to secondary storage where the zone has some, stops the guest, overwrites the marker,
    reverts to the snapshot and finds the marker again.
  - The guest, its disk and its snapshot are removed whatever happens. What a run that was killed left is removed by the next.
  - It runs on a host that reaches both the API and the monitors and has librbd, such as one of Ceph's own.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_cloudstack
  - cephstack.cloud.cloudstack
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: In check mode no guest is deployed.
  diff_mode:
    support: N/A
    details: It leaves nothing changed.
  idempotent:
    support: full
    details: It leaves nothing changed.
options:
  mon_host:
    description: The monitors' addresses, in the form of C(mon_host) in a C(ceph.conf).
    type: str
    required: true
  keys:
    description: The keys of the cephx clients of O(consumers), by client. Only those of consumers of kind V(cloudstack) are used.
    type: dict
    required: true
  guests:
    description: What to deploy, one after the other.
    type: list
    elements: dict
    required: true
    suboptions:
      zone:
        description: The zone.
        type: str
        required: true
      template:
        description: The template. Its guest must write the marker, as the images of M(cephstack.cloud.lab_guest_image) do, and should then go on running.
        type: str
        required: true
      service_offering:
        description: The compute offering. Its tags must lead to RBD.
        type: str
        required: true
      network:
        description: The network, such as an L2 one, which needs no virtual router.
        type: str
        required: true
      snapshot:
        description: Whether to take a snapshot and to revert to it.
        type: bool
        default: true
      timeout:
        description: Within how many seconds of its deployment the guest must have written its marker.
        type: int
        default: 180
requirements:
  - python3-rados and python3-rbd, of the distribution's own Python (another interpreter hands over to it by itself)
seealso:
  - module: cephstack.cloud.libvirt_guest_probe
"""

EXAMPLES = r"""
- name: A guest of CloudStack's, from the API to its bytes in Ceph
  cephstack.cloud.cloudstack_guest_probe:
    connection:
      url: http://mgmt1:8080/client/api
      api_key: "{{ api_key }}"
      api_secret: "{{ api_secret }}"
    mon_host: 10.77.0.11,10.77.0.12,10.77.0.13
    consumers:
      - name: cloudstack
        kind: cloudstack
        pools:
          - name: cloudstack
    keys:
      client.cloudstack: "{{ cloudstack_key }}"
    guests:
      - zone: zone1
        template: marker
        service_offering: small
        network: l2
"""

RETURN = r"""
guests:
  description: The guests that were deployed, and are gone by now. Empty in check mode.
  type: list
  elements: dict
  returned: always
  contains:
    zone:
      description: The zone.
      type: str
    name:
      description: The name of the guest.
      type: str
    uuid:
      description: Its UUID, which its marker holds.
      type: str
    state:
      description: Its state when it had been deployed.
      type: str
    host:
      description: The host that it ran on.
      type: str
    pooltype:
      description: The type of the storage of its disk, as CloudStack says it.
      type: str
    storage:
      description: The primary storage.
      type: str
    image:
      description: Its disk in Ceph, as POOL/IMAGE.
      type: str
    parent:
      description: The image of the template that it was a clone of, with its snapshot. Empty where it was none.
      type: str
    client:
      description: The cephx client with whose key the disk was read.
      type: str
    marker:
      description: What the guest had written.
      type: str
    deploy_seconds:
      description: How long CloudStack took to deploy it.
      type: float
    marker_seconds:
      description: How long it took until the marker was read.
      type: float
    clean_seconds:
      description: How long it took to remove everything.
      type: float
    snapshot:
      description:
        - Of the snapshot, how many seconds it took (seconds, revert_seconds), and whether it was backed_up to secondary storage. Null where none
          was taken.
      type: dict
    notes:
      description: What a person should know, such as why no snapshot was taken.
      type: list
      elements: str
    swept:
      description: Guests and snapshots of earlier runs that were removed first.
      type: list
      elements: str
    seconds:
      description: How long it took in all.
      type: float
problems:
  description: What went wrong, one sentence a zone.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import CONNECTION_SPEC, connect
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.guest import Disks, Order, prove_all
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, integer, mapping, records, string

GUEST = {
    "zone": string("The zone.", required=True),
    "template": string(
        "The template. Its guest must write the marker, as the images of M(cephstack.cloud.lab_guest_image) do, and should then go on running.", required=True
    ),
    "service_offering": string("The compute offering. Its tags must lead to RBD.", required=True),
    "network": string("The network, such as an L2 one, which needs no virtual router.", required=True),
    "snapshot": boolean("Whether to take a snapshot and to revert to it.", default=True),
    "timeout": integer("Within how many seconds of its deployment the guest must have written its marker.", default=180),
}


FIELDS = {
    "connection": CONNECTION_SPEC,
    "mon_host": string("The monitors' addresses, in the form of C(mon_host) in a C(ceph.conf).", required=True),
    "consumers": CONSUMERS,
    "keys": mapping(
        "The keys of the cephx clients of O(consumers), by client. Only those of consumers of kind V(cloudstack) are used.", required=True, no_log=True
    ),
    "guests": records("What to deploy, one after the other.", GUEST, required=True),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, guests=[], problems=[])
    require_binding(module, "rados", "python3-rados")
    require_binding(module, "rbd", "python3-rbd")
    try:
        client = connect(params["connection"])
    except Invalid as error:
        module.fail_json(msg=str(error))
    with Disks(params["mon_host"], params["consumers"], params["keys"]) as disks:
        guests, problems = prove_all(client, disks, [Order(**guest) for guest in params["guests"]])
    if problems:
        module.fail_json(msg="; ".join(problems), guests=guests, problems=problems)
    module.exit_json(changed=False, guests=guests, problems=[])


if __name__ == "__main__":
    main()
