#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nfs_probe
short_description: Prove NFS exports from a host that will use them
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Mounts each export as the host would, with the kernel's client. It writes a file, reads it back from the server, compares and removes
    it, and unmounts. Where the access is V(ro), writing must be refused; where it is V(none), mounting must be.
  - It leaves nothing behind, also where it fails midway. What a killed run left is removed by the next one.
  - Any NFS server will do, not only those of this collection.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
    details: In check mode it only asks whether the servers answer.
  diff_mode:
    support: N/A
    details: It leaves nothing changed.
  idempotent:
    support: full
    details: It leaves nothing changed.
options:
  exports:
    description: The exports, and what this host may do with each.
    type: list
    elements: dict
    required: true
    suboptions:
      server:
        description: The server's address.
        type: str
        required: true
      path:
        description: The path under which the export is mounted.
        type: str
        required: true
      access:
        description: Whether this host may write, only read, or not even mount it.
        type: str
        choices: [rw, ro, "none"]
        default: rw
      version:
        description: The version of NFS. By default the newest that both sides have, which is what a host takes by itself.
        type: str
        choices: ["3", "4", "4.0", "4.1", "4.2"]
  required:
    description:
      - Whether it is an error if this host cannot mount NFS at all, because its kernel or a package is missing.
      - With V(false) it then only asks whether the servers answer.
    type: bool
    default: true
  timeout:
    description: How many seconds mounting may take.
    type: int
    default: 60
requirements:
  - nfs-common (nfs-utils on the EL family), and an NFS client in the kernel
"""

EXAMPLES = r"""
- name: Prove the secondary storage
  cephstack.cloud.nfs_probe:
    exports:
      - server: 10.0.0.11
        path: /secondary
"""

RETURN = r"""
mountable:
  description: Whether this host can mount NFS.
  returned: always
  type: bool
probes:
  description: What was proven, for each export, with the latency of each step in milliseconds. Empty where nothing was mounted.
  returned: always
  type: list
  elements: dict
  sample: [{server: 10.0.0.11, path: /secondary, access: rw, version: "4.2", available: 8000000000, latency: {mount: 60.1, write: 12.3, read: 4.0}}]
problems:
  description: What could not be proven.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import rpc
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs.probe import OPTIONS, obstacle, probe_all
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, integer, records

FIELDS = {
    "exports": records("The exports, and what this host may do with each.", OPTIONS, required=True),
    "required": boolean(
        "Whether it is an error if this host cannot mount NFS at all, because its kernel or a package is missing.\n"
        "With V(false) it then only asks whether the servers answer.",
        default=True,
    ),
    "timeout": integer("How many seconds mounting may take.", default=60),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    exports = params["exports"]
    reason = obstacle()
    problems, probes = [], []
    if module.check_mode or (reason and not params["required"]):
        for server in sorted({export["server"] for export in exports}):
            try:
                rpc.alive(server)
            except rpc.Silent as error:
                problems.append(f"no NFS server answers at {server}: {error}")
    elif reason:
        problems.append(f"this host cannot mount NFS: {reason}")
    else:
        probes, problems = probe_all(exports, params["timeout"])
    result = {"changed": False, "mountable": not reason, "probes": probes, "problems": problems}
    if problems:
        module.fail_json(msg="; ".join(problems), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
