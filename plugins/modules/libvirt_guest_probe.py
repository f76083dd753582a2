#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_guest_probe
short_description: Boot a throwaway guest on RBD and read back what it wrote
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Proves the whole way from a guest to Ceph on a host, which is libvirt, its secret, QEMU, librbd, the client's rights and copy-on-write.
  - For each consumer it clones a golden image into the first pool that the consumer may write, boots a guest from the clone, waits until
    it has powered itself off, and reads its marker back from the clone. The marker holds the UUID of the guest, made for each run.
  - Without a golden image, or if the consumer may not read its pool, it uses a guest of 512 bytes, which needs no operating
    system and takes a second.
  - For a consumer that may write in namespaces only it needs libvirt 11.6, and boots none with an older one.
  - The guests are transient, and their images are removed in any case. What a killed run left behind is removed by the next one.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: In check mode no guest is booted.
  diff_mode:
    support: N/A
    details: It leaves nothing changed.
  idempotent:
    support: full
    details: It leaves nothing changed.
options:
  uri:
    description: Which libvirt to speak to.
    type: str
    default: qemu:///system
  golden:
    description: The image to clone.
    type: dict
    suboptions:
      pool:
        description: Its pool.
        type: str
        required: true
      image:
        description: Its name.
        type: str
        required: true
      snapshot:
        description: Its snapshot.
        type: str
        default: base
  image:
    description:
      - An image that is booted as it is, and stays. It must write the marker, as those of M(cephstack.cloud.lab_guest_image) do.
      - Consumers that may not write its pool boot nothing.
    type: dict
    suboptions:
      pool:
        description: Its pool.
        type: str
        required: true
      image:
        description: Its name.
        type: str
        required: true
  domain_type:
    description: How to run it. V(auto) tries KVM first, as M(cephstack.cloud.kvm_host) does.
    type: str
    choices: [auto, kvm, qemu]
    default: auto
  memory:
    description: A guest's memory in MiB.
    type: int
    default: 256
  timeout:
    description: Within how many seconds a guest must have powered itself off.
    type: int
    default: 120
requirements:
  - python3-libvirt, python3-rados and python3-rbd, of the distribution's own Python (another interpreter hands over to it by itself)
"""

EXAMPLES = r"""
- name: A guest in a second
  cephstack.cloud.libvirt_guest_probe:
    consumers:
      - name: guests
        pools:
          - name: vms

- name: A guest with a Linux kernel, from the golden image
  cephstack.cloud.libvirt_guest_probe:
    consumers:
      - name: guests
        pools:
          - name: vms
          - name: images
            access: ro
    golden:
      pool: images
      image: golden
"""

RETURN = r"""
guests:
  description: The guests that ran. Empty in check mode.
  type: list
  elements: dict
  returned: always
  contains:
    client:
      description: The cephx client.
      type: str
    found:
      description: What was where the marker goes. The guest of M(cephstack.cloud.lab_guest_image) has read it, and tells its sum in its marker.
      type: str
    marker:
      description: What the guest wrote.
      type: str
    uuid:
      description: The UUID of the guest, which its marker holds.
      type: str
    image:
      description: The image that it ran on, which is gone by now if it was not O(image).
      type: str
    golden:
      description: What that was a clone of. Empty for the guest of 512 bytes.
      type: str
    domain_type:
      description: How it ran, V(kvm) or V(qemu).
      type: str
    clone_ms:
      description: How long it took to make the image, in milliseconds.
      type: float
    guest_seconds:
      description: How long the guest lived, from its definition to its power-off.
      type: float
problems:
  description: What went wrong, one sentence a consumer.
  type: list
  elements: str
  returned: always
reasons:
  description: Why no guest was booted for a consumer, one sentence each. Before libvirt 11.6 a disk cannot be in a namespace.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import URI_OPTION, Host
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.guest import run_guests
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import probe
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, choice, integer, record, string

GOLDEN = {"pool": string("Its pool.", required=True), "image": string("Its name.", required=True), "snapshot": string("Its snapshot.", default="base")}


FIELDS = {
    "uri": URI_OPTION,
    "connection": CONNECTION,
    "consumers": CONSUMERS,
    "golden": record("The image to clone.", GOLDEN),
    "image": record(
        "An image that is booted as it is, and stays. It must write the marker, as those of M(cephstack.cloud.lab_guest_image) do.\n"
        "Consumers that may not write its pool boot nothing.",
        {"pool": string("Its pool.", required=True), "image": string("Its name.", required=True)},
    ),
    "domain_type": choice("How to run it. V(auto) tries KVM first, as M(cephstack.cloud.kvm_host) does.", ["auto", "kvm", "qemu"], default="auto"),
    "memory": integer("A guest's memory in MiB.", default=256),
    "timeout": integer("Within how many seconds a guest must have powered itself off.", default=120),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        mutually_exclusive=[("golden", "image")],
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, guests=[], problems=[], reasons=[])
    for name, package in (("libvirt", "python3-libvirt"), ("rados", "python3-rados"), ("rbd", "python3-rbd")):
        require_binding(module, name, package)
    domain_type = params["domain_type"]
    if domain_type == "auto":
        domain_type = "kvm" if probe(2.5).domain_type == "kvm" else "qemu"
    try:
        with Host(params["uri"]) as host:
            guests, problems, reasons = run_guests(host, params, domain_type)
    except Unreachable as error:
        module.fail_json(msg=str(error))
    if problems:
        module.fail_json(msg="; ".join(problems), guests=guests, problems=problems, reasons=reasons)
    module.exit_json(changed=False, guests=guests, problems=[], reasons=reasons)


if __name__ == "__main__":
    main()
