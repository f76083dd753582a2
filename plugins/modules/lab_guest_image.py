#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_guest_image
short_description: Make a small golden image that boots Linux, without a download but Debian's packages
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Makes a disk image that boots Debian's kernel with a small initramfs from a PC's BIOS, in about two seconds under emulation. The
    guest reads its disk, writes a marker with the UUID of its virtual machine to its second sector, and powers off.
  - Nothing is installed and nothing is mounted. The same packages give the same bytes.
  - An existing image that is complete and of the present make is left alone.
  - It is meant for labs and for proving a host. It holds no login, no network and no file system.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description: Where to put it.
    type: path
    required: true
  kind:
    description:
      - V(linux) boots a kernel, 13 MB. V(sector) is a guest of 512 bytes that writes the same marker.
      - V(stays) is the same, but runs on when it has written, until it is stopped.
      - V(writes) is a V(linux) that writes records with checksums to the rest of its disk without pause, reads them back, and says on its serial console how
        many were wrong.
    type: str
    choices: [linux, sector, stays, writes]
    default: linux
  format:
    description: V(qcow2.gz) is what CloudStack fetches as a template for RBD.
    type: str
    choices: [raw, qcow2.gz]
    default: raw
  size:
    description: The size of the disk in bytes. What it doesn't hold takes no room.
    type: int
    default: 33554432
requirements:
  - apt and dpkg on the host, for V(linux)
seealso:
  - module: cephstack.cloud.libvirt_guest_probe
"""

EXAMPLES = r"""
- name: The golden image
  cephstack.cloud.lab_guest_image:
    path: /var/lib/cephstack/golden.raw
"""

RETURN = r"""
path:
  description: Where it is.
  type: str
  returned: success
sha256:
  description: The sum of the file.
  type: str
  returned: where it is there
packages:
  description: The packages that it was made of.
  type: list
  elements: str
  returned: where it is there
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._lab.golden_image import Provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, choice, filepath, integer

FIELDS = {
    "path": filepath("Where to put it.", required=True),
    "kind": choice(
        "V(linux) boots a kernel, 13 MB. V(sector) is a guest of 512 bytes that writes the same marker.\n"
        "V(stays) is the same, but runs on when it has written, until it is stopped.\n"
        "V(writes) is a V(linux) that writes records with checksums to the rest of its disk without pause, reads them back, and says on its serial console "
        "how many were wrong.",
        ["linux", "sector", "stays", "writes"],
        default="linux",
    ),
    "format": choice("V(qcow2.gz) is what CloudStack fetches as a template for RBD.", ["raw", "qcow2.gz"], default="raw"),
    "size": integer("The size of the disk in bytes. What it doesn't hold takes no room.", default=32 << 20),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    run_module(module, Provider(module.params["path"], module.params["kind"], module.params["size"], module.params["format"]))


if __name__ == "__main__":
    main()
