#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_guest_probe
short_description: Boot a throwaway Xen guest on RBD and read back what it wrote
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Proves the whole way from a Xen guest to Ceph on a host, which is C(xl), the hotplug script, the backend, the client's rights and the guest's
    own driver.
  - Boots a paravirtual guest with the first domain's own kernel and a busybox. The guest reads the first two sectors of each of its disks,
    writes its marker to the second one of each that it may write, and powers off. What it read and wrote is then checked by librbd.
  - The marker is where guests of KVM write theirs (M(cephstack.cloud.libvirt_guest_probe)), so that one image can go from one hypervisor to the
    other and back.
  - If a disk does not connect, it fails with what the hotplug script, xenstore and the guest's console said, and not only with a timeout.
  - The guest, what was mapped for it, and images that were made for it are gone afterwards, whatever happens. A run that was killed is cleaned up
    after by the next one. An image that was named is kept.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: In check mode no guest is booted.
  diff_mode:
    support: N/A
    details: It leaves nothing changed but the markers in images that were named.
  idempotent:
    support: full
    details: It leaves nothing changed but the markers in images that were named.
options:
  backend:
    description: How disks are served that name no backend.
    type: str
    choices: [krbd_script, krbd_static, rbd_nbd, tapdisk_nbd, tapdisk_aio, qdisk_rbd, tapdisk_rbd]
    default: krbd_script
  conf:
    description: The Ceph configuration file with which images are looked for. The clients' keyrings must be where Ceph looks for them.
    type: path
    default: /etc/ceph/ceph.conf
  disks:
    description: The guest's disks. By default one, of an image that is made in the first pool that a consumer of kind V(xen) may write.
    type: list
    elements: dict
    default: []
    suboptions:
      device:
        description: What the guest calls it.
        type: str
        default: xvda
      pool:
        description: The pool of its image. By default the first that its consumer may write.
        type: str
      image:
        description: An existing image. Its second sector is overwritten. Without it, one is made and removed again.
        type: str
      consumer:
        description: Which of O(consumers) it belongs to. By default the only one of kind V(xen).
        type: str
      mode:
        description: V(w) to read and write. V(r) to only read, and to be refused a write.
        type: str
        choices: [w, r]
        default: w
      backend:
        description: How it is served. By default O(backend).
        type: str
        choices: [krbd_script, krbd_static, rbd_nbd, tapdisk_nbd, tapdisk_aio, qdisk_rbd, tapdisk_rbd]
      exclusive:
        description: Whether no other host may write the image meanwhile.
        type: bool
        default: true
      expect:
        description: A text that the marker in the image must hold before, which the guest then reads.
        type: str
      write:
        description: A text that the guest adds to its marker.
        type: str
  kernel:
    description: The guest's kernel. By default that of this host, or the newest in C(/boot).
    type: path
  busybox:
    description: A statically linked busybox. By default that of the package busybox-static.
    type: path
  memory:
    description: The guest's memory in MiB, which Xen must have left.
    type: int
    default: 256
  timeout:
    description: Within how many seconds the guest must have powered itself off.
    type: int
    default: 180
  required:
    description: Whether a host that does not run Xen fails. If not, no guest is booted there, and RV(reason) says so.
    type: bool
    default: true
requirements:
  - python3-rados and python3-rbd, of the distribution's own Python (another interpreter hands over to it by itself)
  - busybox-static
"""

EXAMPLES = r"""
- name: A guest through the default backend
  cephstack.cloud.xen_guest_probe:
    consumers: "{{ consumers }}"

- name: Read under Xen what a guest of KVM wrote
  cephstack.cloud.xen_guest_probe:
    consumers: "{{ consumers }}"
    disks:
      - pool: vms
        image: travelling
        expect: "{{ written_under_kvm }}"
        write: hello from Xen
"""

RETURN = r"""
reason:
  description: Why no guest was booted. Empty where one was.
  type: str
  returned: success
uuid:
  description: The UUID of the guest, which its marker holds. Empty where none was booted.
  type: str
  returned: success
seconds:
  description: How long the guest lived, from its creation until it was gone.
  type: float
  returned: success
disks:
  description: Its disks. Empty where no guest was booted.
  type: list
  elements: dict
  returned: success
  contains:
    device:
      description: What the guest called it.
      type: str
    pool:
      description: The pool of its image.
      type: str
    image:
      description: Its image.
      type: str
    backend:
      description: How it was served.
      type: str
    mode:
      description: Whether the guest could write it.
      type: str
    read:
      description: The marker that the guest found.
      type: str
    written:
      description: The marker that it wrote. Empty where it could only read.
      type: str
problems:
  description: What went wrong.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._guest import GuestFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import CommandError
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, filepath, integer, records, string
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.disks import DISK_OPTIONS, OPTIONS
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.guest import parse, run_guest
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.host import is_dom0

DISK = {
    **DISK_OPTIONS,
    "pool": string("The pool of its image. By default the first that its consumer may write."),
    "image": string("An existing image. Its second sector is overwritten. Without it, one is made and removed again."),
    "mode": {**DISK_OPTIONS["mode"], "description": "V(w) to read and write. V(r) to only read, and to be refused a write."},
    "exclusive": {**DISK_OPTIONS["exclusive"], "description": "Whether no other host may write the image meanwhile."},
    "expect": string("A text that the marker in the image must hold before, which the guest then reads."),
    "write": string("A text that the guest adds to its marker."),
}


FIELDS = {
    **OPTIONS,
    "disks": records(
        "The guest's disks. By default one, of an image that is made in the first pool that a consumer of kind V(xen) may write.", DISK, default=[]
    ),
    "kernel": filepath("The guest's kernel. By default that of this host, or the newest in C(/boot)."),
    "busybox": filepath("A statically linked busybox. By default that of the package busybox-static."),
    "memory": integer("The guest's memory in MiB, which Xen must have left.", default=256),
    "timeout": integer("Within how many seconds the guest must have powered itself off.", default=180),
    "required": boolean("Whether a host that does not run Xen fails. If not, no guest is booted there, and RV(reason) says so.", default=True),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, uuid="", seconds=0.0, disks=[], problems=[], reason="no guest is booted in check mode")
    if not module.params["required"] and not is_dom0():
        module.exit_json(changed=False, uuid="", seconds=0.0, disks=[], problems=[], reason="Xen does not run here: no guest was booted")
    require_binding(module, "rados", "python3-rados")
    require_binding(module, "rbd", "python3-rbd")
    try:
        result = run_guest(parse(module.params))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (GuestFailed, Unreachable, CommandError) as error:
        ways = [f"{disk['backend'] or module.params['backend']} ({disk['device']})" for disk in module.params["disks"]] or [module.params["backend"]]
        text = f"the guest proved nothing of {', '.join(ways)}: {error}"
        module.fail_json(msg=text, problems=[text])
    module.exit_json(changed=False, problems=[], reason="", **result)


if __name__ == "__main__":
    main()
