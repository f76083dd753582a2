#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_hosts
short_description: Throwaway hosts on this machine, as containers and virtual machines
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Makes real Debian hosts on the machine it runs on, in a network of their own, to try and to test with.
  - Containers are run by systemd-nspawn and start in seconds. Virtual machines are run by QEMU and have a kernel of their own, for
    LVM, dm-crypt, kernel RBD and KVM. They use KVM if a kernel was seen to boot under it, else emulation.
  - A host counts as up only when ssh and systemd answer. A host that has stopped is started again, with all that it had.
  - Images are made once for a release and its packages, and kept.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - With V(up), the declared hosts run. Hosts of the lab that are not declared are left alone.
      - With V(down), nothing of the lab is left except the cached images.
      - With V(status), the module only reports what there is.
    type: str
    choices: [up, down, status]
    default: up
  name:
    description: The lab's name. Labs with different names and networks can exist side by side.
    type: str
    default: lab
  network:
    description: The lab's IPv4 network. The first address is this machine's own.
    type: str
    default: 10.77.0.0/24
  cache:
    description: The directory of images, packages, keys and hosts.
    type: path
    default: ~/.cache/cephstack-lab
  mirror:
    description: The Debian archive that images are made from and hosts install from. By default the one that this machine uses.
    type: str
  purge_cache:
    description: With O(state=down), also remove the cached images, packages and keys.
    type: bool
    default: false
  timeout:
    description: Seconds in which a started host must be up. By default 180 for a container and 600 for a virtual machine.
    type: int
  hosts:
    description: The hosts.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host's name.
        type: str
        required: true
      address:
        description: The host's address in O(network).
        type: str
        required: true
      kind:
        description: Whether it is a container or a virtual machine.
        type: str
        choices: [container, vm]
        default: container
      release:
        description: The Debian release, V(12), V(13) or V(testing). Changing it makes the host anew, and needs O(allow_loss=host/NAME).
        type: str
        default: "13"
      packages:
        description:
          - Packages that are put into the image while it is made. Hosts with the same ones share an image.
          - One that ends in C(.deb) is the whole path of a file on this machine. What it depends on comes from the archive.
        type: list
        elements: str
        default: []
      disks:
        description: Disks of the host beside its root. They take room only as they are written to.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The disk is C(/dev/disk/by-id/lab-NAME) in the host.
            type: str
            required: true
          size:
            description: Its size, such as V(10G).
            type: str
            required: true
      memory:
        description: Memory of a virtual machine in MiB.
        type: int
        default: 2048
      cpus:
        description: Processors of a virtual machine.
        type: int
        default: 2
      xen:
        description:
          - A virtual machine boots Debian's Xen, and the host is its first domain (dom0). Of Debian 13 only.
          - A quarter of its memory, at least 640 MiB, is left to Xen and its guests.
        type: bool
        default: false
  allow_loss:
    description: Hosts that may be made anew with another release or kind, as C(host/NAME). All they hold is lost.
    type: list
    elements: str
    default: []
requirements:
  - root on the host it runs on
  - systemd-container, mmdebstrap, nftables, iproute2, openssh-client; for virtual machines also qemu-system-x86, qemu-utils, e2fsprogs
"""

EXAMPLES = r"""
- name: Three hosts with a disk each
  cephstack.cloud.lab_hosts:
    hosts:
      - {name: ceph1, address: 10.77.0.11, disks: [{name: osd0, size: 10G}]}
      - {name: ceph2, address: 10.77.0.12, disks: [{name: osd0, size: 10G}]}
      - {name: kvm1, address: 10.77.0.21, kind: vm, memory: 3072}

- name: Nothing of it any more
  cephstack.cloud.lab_hosts:
    state: down
"""

RETURN = r"""
changes:
  description: What was or would be changed, in its order.
  returned: always
  type: list
  elements: dict
hosts:
  description: Every host, declared or found.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The host's name.
      type: str
    address:
      description: Its address.
      type: str
    kind:
      description: V(container) or V(vm).
      type: str
    release:
      description: The release's code name.
      type: str
    state:
      description: V(absent), V(stopped), V(booting) or V(up).
      type: str
    systemd:
      description: What C(systemctl is-system-running) says in it.
      type: str
    failed_units:
      description: Units that have failed in it.
      type: list
      elements: str
    declared:
      description: Whether it is one of O(hosts).
      type: bool
network:
  description: The lab's network.
  returned: success
  type: str
bridge:
  description: The lab's bridge on this machine.
  returned: success
  type: str
private_key:
  description: The file of the key that opens every host as root.
  returned: success
  type: str
known_hosts:
  description: The file with the hosts' own keys.
  returned: success
  type: str
"""

import contextlib
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._lab import system
from ansible_collections.cephstack.cloud.plugins.module_utils._lab.hosts import Hosts
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, arguments, boolean, choice, filepath, integer, records, string, strings

_DISK = {"name": string("The disk is C(/dev/disk/by-id/lab-NAME) in the host.", required=True), "size": string("Its size, such as V(10G).", required=True)}
_HOST = {
    "name": string("The host's name.", required=True),
    "address": string("The host's address in O(network).", required=True),
    "kind": choice("Whether it is a container or a virtual machine.", ["container", "vm"], default="container"),
    "release": string("The Debian release, V(12), V(13) or V(testing). Changing it makes the host anew, and needs O(allow_loss=host/NAME).", default="13"),
    "packages": strings(
        "Packages that are put into the image while it is made. Hosts with the same ones share an image.\n"
        "One that ends in C(.deb) is the whole path of a file on this machine. What it depends on comes from the archive.",
        default=[],
    ),
    "disks": records("Disks of the host beside its root. They take room only as they are written to.", _DISK, default=[]),
    "memory": integer("Memory of a virtual machine in MiB.", default=2048),
    "cpus": integer("Processors of a virtual machine.", default=2),
    "xen": boolean(
        "A virtual machine boots Debian's Xen, and the host is its first domain (dom0). Of Debian 13 only.\n"
        "A quarter of its memory, at least 640 MiB, is left to Xen and its guests.",
        default=False,
    ),
}
FIELDS = {
    "state": choice(
        "With V(up), the declared hosts run. Hosts of the lab that are not declared are left alone.\n"
        "With V(down), nothing of the lab is left except the cached images.\n"
        "With V(status), the module only reports what there is.",
        ["up", "down", "status"],
        default="up",
    ),
    "name": string("The lab's name. Labs with different names and networks can exist side by side.", default="lab"),
    "network": string("The lab's IPv4 network. The first address is this machine's own.", default="10.77.0.0/24"),
    "cache": filepath("The directory of images, packages, keys and hosts.", default="~/.cache/cephstack-lab"),
    "mirror": string("The Debian archive that images are made from and hosts install from. By default the one that this machine uses."),
    "purge_cache": boolean("With O(state=down), also remove the cached images, packages and keys.", default=False),
    "timeout": integer("Seconds in which a started host must be up. By default 180 for a container and 600 for a virtual machine."),
    "hosts": records("The hosts.", _HOST, default=[]),
    "allow_loss": {**ALLOW_LOSS, "description": "Hosts that may be made anew with another release or kind, as C(host/NAME). All they hold is lost."},
}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    provider = Hosts(module.params, module.check_mode)
    try:
        lab = provider.lab
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    changing = module.params["state"] != "status" and not module.check_mode and os.geteuid() == 0
    try:
        # One run at a time for a lab.
        with system.alone(lab.directory) if changing else contextlib.nullcontext():
            run_module(module, provider, module.params["allow_loss"])
    except (system.LabError, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
