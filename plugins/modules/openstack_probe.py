#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openstack_probe
short_description: Prove that OpenStack deploys guests, makes volumes and keeps objects on Ceph
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Proves what it is given options for, side by side, and says all that is wrong. Before, it sees that Nova's and Cinder's services and Neutron's agents are
    up, that what is named is there, and that the image can be cloned.
  - With O(guests) it deploys one guest from an image and one from a volume of the image through the API, and waits until the guest's marker, which holds the
    guest's UUID, is on its disk in Ceph. It reads that past OpenStack, with the key of the consumer that has the pool, and sees that the disk is a clone of
    Glance's image there. The first guest then becomes an image again, in which the marker must be, and moves to another compute host while it runs.
  - With O(volumes) it makes a volume of each volume type, writes to it in Ceph, takes a snapshot and finds there what it wrote. One of the volumes is backed
    up and restored.
  - With O(objects) it makes a project with a user, who puts an object through Swift with a token and through S3 with EC2 credentials, gets both back, and
    sees that somebody without them is refused. The object storage keeps a user of its own of that project, see RV(object_users).
  - Of a guest that cannot be deployed it says where it was tried, and what failed there, of a volume what Cinder tells its users. It says which of the known
    reasons that is, such as a compute host without the libvirt secret, and names the services that are down.
  - All that it makes begins with V(cephstack-probe-) and is removed in any case. What a run left behind that was killed is removed by the next one.
  - It works as the administrator of O(cloud), in the administrator's own project, and needs a host that reaches both the APIs and the monitors, such as a
    controller.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_openstack
  - cephstack.cloud.consumers
  - cephstack.cloud.openstack
attributes:
  check_mode:
    support: full
    details: In check mode it only reads what is up, and whether what is named is there and fit. Nothing is deployed or made, and O(ceph) is not used.
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
        description: The keys of the cephx clients of O(consumers), by client. Only those of consumers of the kinds V(glance), V(cinder), V(cinder-backup) and
          V(nova) are used.
        type: dict
        required: true
  guests:
    description: What to make guests of.
    type: dict
    suboptions:
      image:
        description: The image, raw. Its guest must write the marker, as the images of M(cephstack.cloud.lab_guest_image) do, and should then go on running.
        type: str
        required: true
      flavor:
        description: The flavor. Its disk must be as large as the image, or V(0).
        type: str
        required: true
      network:
        description: The network. By default the guests have none.
        type: str
      volume:
        description: Whether there is a second guest, from a volume of the image.
        type: bool
        default: true
      volume_type:
        description: The volume type of the second guest's volume. By default Cinder's own default.
        type: str
      snapshot:
        description: Whether the guest from the image becomes an image again, in RBD.
        type: bool
        default: true
      migrate:
        description: Whether the guest from the image is moved to another compute host while it runs, if two can take it.
        type: bool
        default: true
  volumes:
    description: Which volumes to make.
    type: dict
    suboptions:
      types:
        description: The volume types. By default all that there are but Cinder's own C(__DEFAULT__).
        type: list
        elements: str
      snapshot:
        description: Whether each volume gets a snapshot.
        type: bool
        default: true
      backup:
        description: Whether one of the volumes is backed up and restored. By default if there is a consumer of kind V(cinder-backup).
        type: bool
  objects:
    description: How to use the object storage.
    type: dict
    suboptions:
      role:
        description: The role of Keystone's that the proof's own user gets in its project. The object storage must accept it.
        type: str
        default: member
  timeout:
    description: Within how many seconds each thing must have become what it should, such as a guest that runs or a volume that is there.
    type: int
    default: 300
requirements:
  - python3-openstacksdk, with python3-rados and python3-rbd for O(guests) and O(volumes), with python3-boto3 for O(objects), of the distribution's own Python
    (another interpreter hands over to it by itself)
seealso:
  - module: cephstack.cloud.cloudstack_probe
  - module: cephstack.cloud.lab_guest_image
  - module: cephstack.cloud.s3_probe
"""

EXAMPLES = r"""
- name: Guests and volumes of OpenStack's, from the API to their bytes in Ceph, and its object storage
  cephstack.cloud.openstack_probe:
    consumers:
      - name: glance
        kind: glance
        pools:
          - name: images
      - name: cinder
        kind: cinder
        pools:
          - name: volumes
          - name: images
            access: ro
      - name: nova
        kind: nova
        pools:
          - name: vms
          - name: images
    ceph:
      mon_host: 10.77.0.11,10.77.0.12,10.77.0.13
      keys: "{{ keys.cephx_keys }}"
    guests:
      image: marker
      flavor: small
      network: flat
    volumes: {}
    objects: {}
"""

RETURN = r"""
services:
  description: Nova's and Cinder's services and Neutron's agents, such as V(nova-compute on cmp1).
  type: list
  elements: str
  returned: where the APIs were reached
basis:
  description: What the proof rests on, such as the image, the volume types, the services. If it is another one, it is to be proven again.
  type: dict
  returned: where the APIs were reached
object_gateway:
  description: The address of the object storage, without a path. Null where O(objects) is not given.
  type: str
  returned: where the APIs were reached
guests:
  description: The guests that were deployed, and are gone by now. Empty in check mode.
  type: list
  elements: dict
  returned: where O(guests) is given
  contains:
    name:
      description: The name of the guest.
      type: str
    from:
      description: V(image) or V(volume).
      type: str
    uuid:
      description: Its UUID, which its marker holds.
      type: str
    host:
      description: The compute host that it was deployed on.
      type: str
    volume:
      description: The volume that it ran on. Null where it was one from an image.
      type: str
    image:
      description: Its disk in Ceph, as POOL/IMAGE.
      type: str
    parent:
      description: Glance's image in Ceph that it was a clone of, with its snapshot.
      type: str
    client:
      description: The cephx client with whose key the disk was read.
      type: str
    marker:
      description: What the guest had written.
      type: str
    volume_seconds:
      description: How long it took until its volume was there.
      type: float
    deploy_seconds:
      description: How long it took until it ran.
      type: float
    marker_seconds:
      description: How long it took from its deployment until the marker was read.
      type: float
    snapshot:
      description: The image that was made of it, as POOL/IMAGE in Ceph (image), and how long that took (seconds). Null where none was.
      type: dict
    migration:
      description: The hosts of its live migration (from, to), and how long that took (seconds). Null where there was none.
      type: dict
volumes:
  description: The volumes that were made, and are gone by now. Empty in check mode.
  type: list
  elements: dict
  returned: where O(volumes) is given
  contains:
    name:
      description: The name of the volume.
      type: str
    type:
      description: The volume type.
      type: str
    volume:
      description: Its UUID.
      type: str
    image:
      description: The volume in Ceph, as POOL/IMAGE.
      type: str
    client:
      description: The cephx client with whose key it was read and written.
      type: str
    seconds:
      description: How long it took until it was there.
      type: float
    snapshot:
      description: Its snapshot in Ceph, as POOL/IMAGE@SNAPSHOT (snapshot), and how long it took (seconds). Null where none was taken.
      type: dict
    backup:
      description: Its backup in Ceph, as POOL/IMAGE (image), and how long it took (seconds, restore_seconds). Null where none was made.
      type: dict
objects:
  description: What was measured. Empty in check mode.
  type: list
  elements: dict
  returned: where O(objects) is given
  contains:
    name:
      description: The name of the project, and of its user.
      type: str
    project:
      description: The project's id.
      type: str
    url:
      description: The address of Swift, as the catalogue says it to the project.
      type: str
    latency:
      description: How long each operation took, in milliseconds.
      type: dict
object_users:
  description: The users that Ceph's object gateways may have made of projects of the proof, as TENANT$NAME. The projects are gone by now.
  type: list
  elements: str
  returned: where something was proven
leftovers:
  description: The names of what an earlier run left, and was removed first.
  type: list
  elements: str
  returned: where something was proven
notes:
  description: What a person should know, such as why no guest was moved.
  type: list
  elements: str
  returned: where something was proven
problems:
  description: What is wrong, in sentences.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import probe
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import ApiError, connect
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = probe.OPTIONS


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    params = module.params
    parts = [part for part in probe.PARTS if params[part] is not None]
    if not module.check_mode and {"guests", "volumes"} & set(parts) and not params["ceph"]:
        module.fail_json(msg="guests and volumes are read from Ceph: say which and with which keys (ceph)")
    require_binding(module, *probe.BINDING)
    for name, package in () if module.check_mode else dict.fromkeys(need for part in parts for need in probe.BINDINGS[part]):
        require_binding(module, name, package)
    found = {part: [] for part in parts}
    try:
        client = connect(params["cloud"], params["config"])
        plan, problems = probe.observe(client, params)
        found.update(services=[str(one) for one in plan.services], basis=plan.basis, object_gateway=plan.gateway)
        if not module.check_mode and not problems:
            seen, problems = probe.prove(client, params, plan)
            found.update(seen)
    except Invalid as error:
        problems = error.problems
    except (ApiError, Unreachable) as error:
        problems = [str(error)]
    if problems:
        module.fail_json(msg="; ".join(problems), problems=problems, **found)
    module.exit_json(changed=False, problems=[], **found)


if __name__ == "__main__":
    main()
