#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openstack_keys_info
short_description: The keys of a controller's Keystone
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Returns the keys with which the Keystone of this host seals tokens and credentials, for the other controllers of the same OpenStack.
  - It returns them in clear, and refuses to without C(no_log=true).
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
  - cephstack.cloud.attributes.actiongroup_host
options: {}
"""

EXAMPLES = r"""
- name: Read the keys of the first controller
  cephstack.cloud.openstack_keys_info:
  delegate_to: ctl1
  register: first
  no_log: true
"""

RETURN = r"""
keystone_keys:
  description: The keys of each repository, C(fernet) and C(credential), by their numbers; nothing where there are none.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.keystone import read_keys
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable, require_no_log


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    require_no_log(module, "Keystone's keys")
    try:
        module.exit_json(changed=False, keystone_keys={name: keys for name, keys in read_keys().items() if keys})
    except Unreachable as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
