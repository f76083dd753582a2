#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_info
short_description: Find out by running a guest whether a host can run guests under KVM
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Runs a guest of 512 bytes under KVM with QEMU, which takes a fifth of a second on real hardware. It enters the processor mode that
    every operating system needs.
  - The mere presence of C(/dev/kvm) is not believed. Inside another virtual machine it may be there and carry no ordinary guest.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_host
options:
  timeout:
    description: Within how many seconds the guest must be through. Slower than this it is of no use.
    type: float
    default: 2.5
  cloudstack:
    description: Whether the host is for CloudStack. No guest is run on one that CloudStack has already.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Can this host run guests?
  cephstack.cloud.kvm_info:
  register: virtualisation
"""

RETURN = r"""
domain_type:
  description:
    - V(kvm) where a guest ran, V(qemu) where only emulation is left, in libvirt's words.
    - V(unknown) where there is no QEMU to try it with, and where it was not tried.
  type: str
  returned: always
reason:
  description: Why it is not V(kvm). Empty where it is.
  type: str
  returned: always
registered:
  description: Whether CloudStack has this host already. Always V(false) without O(cloudstack).
  type: bool
  returned: always
cgroups:
  description: Whether libvirt can put guests into cgroups of their own, which it can't in some containers.
  type: bool
  returned: always
seconds:
  description: How long the guest took.
  type: float
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._host.files import read
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.service import AGENT, is_registered
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import Verdict, cgroups_are_writable, probe
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, real

FIELDS = {
    "timeout": real("Within how many seconds the guest must be through. Slower than this it is of no use.", default=2.5),
    "cloudstack": boolean("Whether the host is for CloudStack. No guest is run on one that CloudStack has already.", default=False),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    try:
        registered = module.params["cloudstack"] and is_registered(read(AGENT))
    except Unreachable as error:
        module.fail_json(msg=str(error))
    verdict = Verdict("unknown", "no guest was tried: CloudStack has this host already") if registered else probe(module.params["timeout"])
    module.exit_json(
        changed=False,
        domain_type=verdict.domain_type,
        reason=verdict.reason,
        registered=registered,
        cgroups=cgroups_are_writable(),
        seconds=round(verdict.seconds, 3),
    )


if __name__ == "__main__":
    main()
