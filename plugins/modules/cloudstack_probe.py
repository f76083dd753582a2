#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_probe
short_description: Prove that CloudStack deploys guests, makes buckets and keeps its system virtual machines on Ceph
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Proves what it is given options for, each by itself, and says all that is wrong.
  - With O(system_vms) it waits until the secondary-storage VM and the console proxy of zones run and their agents have come to the server. Of each that is
    not up it says which of the known reasons it is, such as a zone that is disabled, no host or primary storage that is up, too few addresses or too little
    memory, an image store without the template, or an agent that does not reach the server. It looks into the image store where nothing else is the reason,
    which takes root on a management server.
  - With O(guests) it deploys a guest through the API and waits until the guest's marker, which holds the guest's UUID, is on its disk in Ceph. It reads that
    past CloudStack, with the key of the consumer that has the pool. Then it takes a snapshot, which CloudStack backs up to secondary storage if the zone has
    any, stops the guest, overwrites the marker, reverts to the snapshot and finds the marker again. That takes O(consumers) and O(ceph),
    and a host that reaches both the API and the monitors and has librbd, such as one of Ceph's own.
  - With O(buckets) it makes a bucket through the API, puts an object into it and gets it back with the keys that CloudStack gives the bucket's owner, and sees
    that somebody without a key is refused. The user that CloudStack makes in the gateways for its account stays, because it belongs to the account. That takes
    a host that reaches both the API and the gateways, such as a management server.
  - With O(pools) it proves on a KVM host that CloudStack's RBD pools work there, for CloudStack never says whether the key of a primary storage still works.
    It looks for libvirt's pool and secret of its UUID, which CloudStack's agent makes, sees that pool and monitors are as they should be, and lists the pool's
    images with that very key. This asks nothing of the API, and the keys of the API do not get to the host.
  - Guests, disks, snapshots and buckets are removed in any case. What a killed run left behind is removed by the next one.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_cloudstack
  - cephstack.cloud.cloudstack
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: In check mode only O(pools) are proven, which is done by reading. Nothing is deployed, made or waited for.
  diff_mode:
    support: N/A
    details: It leaves nothing changed.
  idempotent:
    support: full
    details: It leaves nothing changed.
options:
  ceph:
    description: The Ceph cluster that O(consumers) belong to.
    type: dict
    suboptions:
      mon_host:
        description: The monitors' addresses, in the form of C(mon_host) in a C(ceph.conf).
        type: str
        required: true
      keys:
        description: The keys of the cephx clients of O(consumers), by client. Only those of consumers of kind V(cloudstack) are used.
        type: dict
        required: true
  system_vms:
    description: The system virtual machines to wait for.
    type: dict
    suboptions:
      zones:
        description: The names of the zones.
        type: list
        elements: str
        required: true
      timeout:
        description: Within how many seconds they must be up. New ones take some minutes, of which the first copy of the template to primary storage is the
          most.
        type: int
        default: 900
  guests:
    description: What to deploy, one after the other.
    type: list
    elements: dict
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
  buckets:
    description: Where to make throwaway buckets.
    type: dict
    suboptions:
      object_stores:
        description: The names of the object stores. By default all that the server has.
        type: list
        elements: str
      validate_certs:
        description: Whether a gateway's certificate must be trusted.
        type: bool
        default: true
      ca_path:
        description: A file on this host with the certificates of the authorities to trust. By default the system's are.
        type: path
  pools:
    description: The storage pools that this KVM host must have.
    type: dict
    suboptions:
      uri:
        description: Which libvirt to speak to.
        type: str
        default: qemu:///system
      primary_storage:
        description: What the host must have, as M(cephstack.cloud.cloudstack_region) returns it in
          RV(cephstack.cloud.cloudstack_region#module:primary_storage).
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: The name of the primary storage.
            type: str
            required: true
          uuid:
            description: Its UUID.
            type: str
            required: true
          pool:
            description: Its pool in Ceph.
            type: str
            required: true
          monitors:
            description: Its monitors' addresses.
            type: list
            elements: str
            required: true
      wait:
        description: Within how many seconds the agent must have made its pools. After a restart of the server it takes a while to connect again.
        type: int
        default: 60
requirements:
  - python3-rados and python3-rbd for O(guests), with python3-libvirt for O(pools), python3-boto3 for O(buckets), of the distribution's own Python (another
    interpreter hands over to it by itself)
seealso:
  - module: cephstack.cloud.cloudstack_host_probe
  - module: cephstack.cloud.cloudstack_system_template
  - module: cephstack.cloud.libvirt_guest_probe
  - module: cephstack.cloud.s3_probe
"""

EXAMPLES = r"""
- name: The zone's system virtual machines are up, and every object store takes a bucket
  cephstack.cloud.cloudstack_probe:
    connection:
      url: http://mgmt1:8080/client/api
      api_key: "{{ api_key }}"
      api_secret: "{{ api_secret }}"
    system_vms:
      zones: [zone1]
    buckets: {}

- name: A guest of CloudStack's, from the API to its bytes in Ceph
  cephstack.cloud.cloudstack_probe:
    consumers:
      - name: cloudstack
        kind: cloudstack
        pools:
          - name: cloudstack
    ceph:
      mon_host: 10.77.0.11,10.77.0.12,10.77.0.13
      keys:
        client.cloudstack: "{{ cloudstack_key }}"
    guests:
      - zone: zone1
        template: marker
        service_offering: small
        network: l2

- name: Whether the pool of the zone works on this KVM host
  cephstack.cloud.cloudstack_probe:
    pools:
      primary_storage:
        - name: rbd
          uuid: 5f1b7752-7354-3d82-880c-f9dfd99ac294
          pool: cloudstack
          monitors: [10.77.0.11, 10.77.0.12, 10.77.0.13]
"""

RETURN = r"""
system_vms:
  description: Each of them. Also where it fails. Empty in check mode.
  type: list
  elements: dict
  returned: where O(system_vms) is given
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
guests:
  description: The guests that were deployed, and are gone by now. Empty in check mode.
  type: list
  elements: dict
  returned: where O(guests) is given
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
    leftovers:
      description: Guests and snapshots of earlier runs that were removed first.
      type: list
      elements: str
    seconds:
      description: How long it took in all.
      type: float
buckets:
  description: What was measured. Empty in check mode.
  type: list
  elements: dict
  returned: where O(buckets) is given
  contains:
    object_store:
      description: The object store.
      type: str
    url:
      description: Its address.
      type: str
    latency:
      description: How long each operation took, in milliseconds.
      type: dict
pools:
  description: The pools that work.
  type: list
  elements: dict
  returned: where O(pools) is given
  contains:
    name:
      description: The name of the primary storage.
      type: str
    uuid:
      description: Its UUID.
      type: str
    client:
      description: The cephx client that the host uses.
      type: str
    images:
      description: How many images it saw.
      type: int
problems:
  description: What is wrong, in sentences.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import CONNECTION_SPEC, connect
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.probe import BINDINGS, OPTIONS, PARTS, READING, prove, wanted
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION_SPEC, **OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
        required_one_of=[PARTS],
        required_by={"guests": ["ceph"]},
    )
    params = module.params
    parts = [part for part in wanted(params) if part in READING or not module.check_mode]
    for name, package in {binding: None for part in parts for binding in BINDINGS.get(part, ())}:
        require_binding(module, name, package)
    try:
        client = None if set(parts) <= set(READING) else connect(params["connection"])
    except Invalid as error:
        module.fail_json(msg=str(error), problems=error.problems)
    found, problems = prove(client, params, parts)
    found = {**{part: [] for part in PARTS if params[part] is not None}, **found}
    if problems:
        module.fail_json(msg="; ".join(problems), problems=problems, **found)
    module.exit_json(changed=False, problems=[], **found)


if __name__ == "__main__":
    main()
