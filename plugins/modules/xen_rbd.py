#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_rbd
short_description: Give Xen guests RBD images as disks
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Writes the disks of guests as pieces of configuration for C(xl), one file a guest in C(/etc/xen/disks), and maps on the host what must be
    mapped there before a guest can have it.
  - Refuses what would fail later or silently, which is a backend that the host can't do, an image or a right that is missing, an image that is in
    use elsewhere, a device name that is taken, and names that C(xl) would misread. The state of the disks of guests that run is read from
    xenstore, since C(xl) reports success for disks that never connect.
  - A guest that runs is not touched. What differs for it counts from its next creation on, and what it uses is not unmapped.
  - An image of V(krbd_static) or V(tapdisk_aio) gets a line in C(/etc/ceph/rbdmap), one of V(rbd_nbd) an instance of the unit
    C(cephstack-rbd-nbd@.service). Lines of others are left alone.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: On a host where nothing is installed yet it says that everything would be written, and warns of what it could not ask.
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
    description: The Ceph configuration file with which images are looked for. The clients' keyrings lie where Ceph looks for them.
    type: path
    default: /etc/ceph/ceph.conf
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
    description: Whether what this module wrote and is no longer declared is taken away, and unmapped where no guest uses it.
    type: bool
    default: true
requirements:
  - python3-rados and python3-rbd, of the distribution's own Python (another interpreter hands over to it by itself)
seealso:
  - module: cephstack.cloud.xen_info
  - module: cephstack.cloud.xen_guest_probe
"""

EXAMPLES = r"""
- name: A guest with two disks
  cephstack.cloud.xen_rbd:
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
"""

RETURN = r"""
disks:
  description: The disks that were declared, as they are.
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
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, records
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.disks import GUEST_OPTIONS, OPTIONS, Provider, parse

FIELDS = {
    **OPTIONS,
    "guests": records("The guests and their disks.", GUEST_OPTIONS, default=[]),
    "prune": boolean("Whether what this module wrote and is no longer declared is taken away, and unmapped where no guest uses it.", default=True),
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
    run_module(module, Provider(wanted, params["conf"], params["prune"], module.check_mode))


if __name__ == "__main__":
    main()
