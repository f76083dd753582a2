#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_mon_info
short_description: Ask a monitor's host for its cluster
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Says whether a living monitor is on the host, and of which cluster, with the key of C(client.admin), read with the monitor's own key.
  - Use it with C(no_log), since it returns a key.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.info
options:
  name:
    description: The monitor's name. The host's short name by default.
    type: str
"""

EXAMPLES = r"""
- name: Ask the first monitor
  cephstack.cloud.ceph_mon_info:
  register: found
  no_log: true
"""

RETURN = r"""
state:
  description:
    - V(none) where no monitor is on the host, V(living) where one is in quorum.
    - V(down) where one is there that cannot be asked; RV(reason) says why.
  type: str
  returned: success
reason:
  description: Why the monitor cannot be asked.
  type: str
  returned: when RV(state) is V(down)
fsid:
  description: The cluster's fsid.
  type: str
  returned: when RV(state) is V(living)
mon_host:
  description: The addresses of all monitors, in the form of C(mon_host) in a C(ceph.conf).
  type: str
  returned: when RV(state) is V(living)
monmap:
  description: The names of all monitors.
  type: list
  elements: str
  returned: when RV(state) is V(living)
addresses:
  description: The addresses of each monitor, by its name.
  type: dict
  returned: when RV(state) is V(living)
key:
  description: The key of C(client.admin).
  type: str
  returned: when RV(state) is V(living)
conf_fsid:
  description: The fsid that the host's C(ceph.conf) names.
  type: str
  returned: success
name:
  description: The monitor's name.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.daemons import short_hostname
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mons import has_data, survey
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, string

FIELDS = {"name": string("The monitor's name. The host's short name by default.")}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    name = module.params["name"] or short_hostname()
    if has_data(name):
        require_binding(module)
    try:
        module.exit_json(changed=False, **survey(name))
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
