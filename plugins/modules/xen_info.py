#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_info
short_description: Find out what a Xen host is, and how it can give RBD images to guests
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Says whether a host is Xen's first domain, what it has, and through which backends it can serve RBD images as guests' disks.
  - Whether a backend works is tried, not read off a version. C(xl) itself reports success for disks that never connect.
  - It attaches nothing, so backends of tapdisk that need this to be told are reported as not able. M(cephstack.cloud.xen_rbd) tries them before it writes
    down the first disk of such a one.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_host
"""

EXAMPLES = r"""
- name: What can this host do?
  cephstack.cloud.xen_info:
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
  returned: always
version:
  description: Xen's version, such as V(4.20). Empty where Xen does not run.
  type: str
  returned: always
release:
  description: Xen's version in full, such as V(4.20.3). Empty where C(xl) is not installed.
  type: str
  returned: always
memory:
  description: The memory of this domain in MiB.
  type: int
  returned: always
free_memory:
  description: What Xen has left for guests, in MiB.
  type: int
  returned: always
vcpus:
  description: The virtual processors of this domain.
  type: int
  returned: always
command_line:
  description: The options that Xen was booted with.
  type: str
  returned: always
grub:
  description: Whether GRUB is there, and so configured by C(/etc/default/grub).
  type: bool
  returned: always
drivers:
  description: For each of C(rbd), C(nbd), C(xen-blkback) and C(xen-blkfront) whether the running kernel has it or can load it.
  type: dict
  returned: always
tap:
  description: What there is of blktap.
  type: dict
  returned: always
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
  returned: always
  sample:
    krbd_script:
      able: true
      why: ""
    qdisk_rbd:
      able: false
      why: "Xen's QEMU (/usr/libexec/xen-qemu-system-i386) has no RBD driver: Unknown driver 'rbd'"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import CommandError
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.host import look, returned


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        seen = look()
    except (CommandError, Unreachable) as error:
        module.fail_json(msg=f"this Xen host can't be looked at: {error}")
    module.exit_json(changed=False, **returned(seen))


if __name__ == "__main__":
    main()
