#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_host
short_description: Give the guests of a Xen host RBD images as disks
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Says what the host is, and through which backends it can serve RBD images. Whether a backend works is tried, not read off a version. C(xl) itself reports
    success for disks that never connect. What can only be told by attaching a disk, as of tapdisk, is tried before the first disk of such a backend is
    written down, and reported as not tried otherwise.
  - With O(boot), changes nothing on a host that must be booted first.
  - Writes the disks of guests as pieces of configuration for C(xl), one file a guest in C(/etc/xen/disks), and maps on the host what must be
    mapped there before a guest can have it.
  - Refuses what would fail later or silently, which is a backend that the host can't do, an image or a right that is missing, an image that is in
    use elsewhere, a device name that is taken, and names that C(xl) would misread. The state of the disks of guests that run is read from
    xenstore, since C(xl) reports success for disks that never connect.
  - A running guest is not touched. What changes for it takes effect when it is created next, and what it uses is not unmapped.
  - An image of V(krbd_static) or V(tapdisk_aio) gets a line in C(/etc/ceph/rbdmap), one of V(rbd_nbd) an instance of the unit
    C(cephstack-rbd-nbd@.service). Lines of others are left alone.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: If nothing is installed yet, it says that everything would be written, and warns of what it could not inspect.
  diff_mode:
    support: full
  idempotent:
    support: full
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
  boot:
    description:
      - What Xen must have been booted with, such as V(dom0_mem=4096M,max:4096M). A host that does not run Xen, or runs it without one of these options, must be
        booted first. RV(dom0) and RV(missing) say so, and nothing is changed.
      - By default it does not matter. What must be mapped on a host that does not run Xen is written down, and mapped once it does.
    type: list
    elements: str
  guests:
    description: The guests and their disks.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The guest's name, as its configuration for C(xl) has it.
        type: str
        required: true
      disks:
        description: Its disks on RBD.
        type: list
        elements: dict
        required: true
        suboptions:
          device:
            description: What the guest calls it.
            type: str
            default: xvda
          pool:
            description: The pool of its image.
            type: str
            required: true
          image:
            description: Its image, which must be there.
            type: str
            required: true
          consumer:
            description: Which of O(consumers) it belongs to. By default the only one of kind V(xen).
            type: str
          mode:
            description: V(w) to read and write, V(r) to only read.
            type: str
            choices: [w, r]
            default: w
          backend:
            description: How it is served. By default O(backend).
            type: str
            choices: [krbd_script, krbd_static, rbd_nbd, tapdisk_nbd, tapdisk_aio, qdisk_rbd, tapdisk_rbd]
          exclusive:
            description:
              - Whether no other host may write the image while this one has it.
              - Say V(false) for guests that move between hosts while they run, and for file systems that are made for several writers.
            type: bool
            default: true
  prune:
    description: Whether what this module wrote and is no longer declared is removed, and unmapped if no guest uses it.
    type: bool
    default: true
requirements:
  - python3-rados and python3-rbd, of the distribution's own Python (another interpreter hands over to it by itself)
seealso:
  - module: cephstack.cloud.xen_guest_probe
"""

EXAMPLES = r"""
- name: A guest with two disks
  cephstack.cloud.xen_host:
    consumers:
      - name: xen
        kind: xen
        pools:
          - name: vms
    guests:
      - name: web1
        disks:
          - pool: vms
            image: web1-root
          - device: xvdb
            pool: vms
            image: web1-data
            backend: rbd_nbd

- name: What can this host do?
  cephstack.cloud.xen_host:
  check_mode: true
  register: xen

- name: Refuse early
  ansible.builtin.assert:
    that: xen.backends.krbd_script.able
    fail_msg: "{{ xen.backends.krbd_script.why }}"
"""

RETURN = r"""
dom0:
  description: Whether this is Xen's first domain now.
  type: bool
  returned: success
version:
  description: Xen's version, such as V(4.20). Empty where Xen does not run.
  type: str
  returned: success
release:
  description: Xen's version in full, such as V(4.20.3). Empty where C(xl) is not installed.
  type: str
  returned: success
memory:
  description: The memory of this domain in MiB.
  type: int
  returned: success
free_memory:
  description: What Xen has left for guests, in MiB.
  type: int
  returned: success
vcpus:
  description: The virtual processors of this domain.
  type: int
  returned: success
command_line:
  description: The options that Xen was booted with.
  type: str
  returned: success
grub:
  description: Whether GRUB is there, and so configured by C(/etc/default/grub).
  type: bool
  returned: success
drivers:
  description: For each of C(rbd), C(nbd), C(xen-blkback) and C(xen-blkfront) whether the running kernel has it or can load it.
  type: dict
  returned: success
tap:
  description: What there is of blktap.
  type: dict
  returned: success
  contains:
    tap_ctl:
      description: Whether C(tap-ctl) works.
      type: bool
    tapback:
      description: Whether tapback runs.
      type: bool
    libxl:
      description: Whether tapback goes with C(xl), which that of XCP-ng does not.
      type: bool
    reason:
      description: What is wrong with the first of them that is not as it should be.
      type: str
backends:
  description: For each backend whether the host can use it now (C(able)), and why not (C(why)).
  type: dict
  returned: success
  sample:
    krbd_script:
      able: true
      why: ""
    qdisk_rbd:
      able: false
      why: "Xen's QEMU (/usr/libexec/xen-qemu-system-i386) has no RBD driver: Unknown driver 'rbd'"
missing:
  description: Those of O(boot) that Xen was not booted with.
  type: list
  elements: str
  returned: success
disks:
  description: The disks that were declared, as they are. Empty on a host that must be booted first.
  type: list
  elements: dict
  returned: success
  contains:
    guest:
      description: The guest's name.
      type: str
    device:
      description: What the guest calls it.
      type: str
    pool:
      description: The pool of its image.
      type: str
    image:
      description: Its image.
      type: str
    backend:
      description: How it is served.
      type: str
    mapped:
      description: Whether the image is mapped on the host now.
      type: bool
    attached:
      description: Whether the guest runs with it.
      type: bool
    state:
      description: Its backend's state in xenstore, V(Connected) where all is well. Empty where the guest does not run.
      type: str
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding_or_dry_run, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, records, strings
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.disks import GUEST_OPTIONS, OPTIONS, Provider, parse

FIELDS = {
    **OPTIONS,
    "boot": strings(
        "What Xen must have been booted with, such as V(dom0_mem=4096M,max:4096M). A host that does not run Xen, or runs it without one of these options, must "
        "be booted first. RV(dom0) and RV(missing) say so, and nothing is changed.\n"
        "By default it does not matter. What must be mapped on a host that does not run Xen is written down, and mapped once it does."
    ),
    "guests": records("The guests and their disks.", GUEST_OPTIONS, default=[]),
    "prune": boolean("Whether what this module wrote and is no longer declared is removed, and unmapped if no guest uses it.", default=True),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        wanted = parse(params["guests"], params["backend"], params["consumers"])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    if wanted.disks and binding_or_dry_run(module, "rbd", "python3-rbd"):
        require_binding(module)
    run_module(module, Provider(wanted, params["conf"], params["prune"], module.check_mode, params["boot"]))


if __name__ == "__main__":
    main()
