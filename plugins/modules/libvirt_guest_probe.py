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
  - Clones a golden image, boots a guest from the clone, waits until it has powered itself off, and reads its marker back from
    the clone. The marker holds the UUID of the guest, which is made for each run.
  - With no golden image it uses a guest of 512 bytes, which needs no operating system and takes a second.
  - The guest is transient, and its image is removed whatever happens. A run that was killed is cleaned up after by the next one.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.connection
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
  pool:
    description: The pool that the guest's image is made in. The client of O(connection) may write there.
    type: str
    required: true
  source:
    description: The golden image to clone. Without it the guest is one of 512 bytes.
    type: dict
    suboptions:
      pool:
        description: Its pool, which the client may at least read.
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
  secret:
    description: The UUID of libvirt's secret. By default the one that M(cephstack.cloud.libvirt_rbd) gives the client.
    type: str
  domain_type:
    description:
      - How to run it. V(auto) tries KVM first, as M(cephstack.cloud.kvm_info) does.
    type: str
    choices: [auto, kvm, qemu]
    default: auto
  memory:
    description: The guest's memory in MiB.
    type: int
    default: 256
  timeout:
    description: Within how many seconds the guest must have powered itself off.
    type: int
    default: 120
requirements:
  - python3-libvirt, python3-rados and python3-rbd, of the distribution's own Python (another interpreter hands over to it by itself)
"""

EXAMPLES = r"""
- name: A guest in a second
  cephstack.cloud.libvirt_guest_probe:
    connection:
      client: client.guests
    pool: vms

- name: A guest with a Linux kernel, from the golden image
  cephstack.cloud.libvirt_guest_probe:
    connection:
      client: client.guests
    pool: vms
    source:
      pool: images
      image: golden
"""

RETURN = r"""
marker:
  description: What the guest wrote.
  type: str
  returned: success, but not in check mode
uuid:
  description: The UUID of the guest, which its marker holds.
  type: str
  returned: success, but not in check mode
image:
  description: The image that it ran on, which is gone by now.
  type: str
  returned: success, but not in check mode
domain_type:
  description: How it ran.
  type: str
  returned: success, but not in check mode
clone_ms:
  description: How long it took to make the image, in milliseconds.
  type: float
  returned: success, but not in check mode
guest_seconds:
  description: How long the guest lived, from its definition to its power-off.
  type: float
  returned: success, but not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, connection_argument, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import URI_OPTION, Host
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.guest import Order, run_guest
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.rbd import secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import probe
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.xml import parse_mon_host

SOURCE = {"pool": {"type": "str", "required": True}, "image": {"type": "str", "required": True}, "snapshot": {"type": "str", "default": "base"}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "uri": URI_OPTION,
            "connection": connection_argument(),
            "pool": {"type": "str", "required": True},
            "source": {"type": "dict", "options": SOURCE},
            "secret": {"type": "str", "no_log": False},  # a UUID
            "domain_type": {"type": "str", "choices": ["auto", "kvm", "qemu"], "default": "auto"},
            "memory": {"type": "int", "default": 256},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False)
    for name, package in (("libvirt", "python3-libvirt"), ("rados", "python3-rados"), ("rbd", "python3-rbd")):
        require_binding(module, name, package)
    domain_type = params["domain_type"]
    if domain_type == "auto":
        domain_type = "kvm" if probe(2.5).domain_type == "kvm" else "qemu"
    source = params["source"]
    try:
        with Host(params["uri"]) as host, Connection(params["connection"]) as connection:
            order = Order(
                pool=params["pool"],
                source=(source["pool"], source["image"], source["snapshot"]) if source else None,
                secret=params["secret"] or secret_uuid(connection.fsid, connection.client),
                hosts=parse_mon_host(connection.rados.conf_get("mon_host") or ""),
                domain_type=domain_type,
                memory=params["memory"],
                timeout=params["timeout"],
            )
            result = run_guest(host, connection, order)
    except Exception as error:  # Unreachable, GuestFailed, and the families of libvirt's, librados's and librbd's errors
        module.fail_json(msg=f"the guest on {params['pool']} proved nothing: {error}")
    module.exit_json(changed=False, domain_type=domain_type, **result)


if __name__ == "__main__":
    main()
