#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_daemon
short_description: The managers, metadata servers and object gateways of a host
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Gives each daemon its cephx identity with the least capabilities, its keyring, its data folder and its unit, enabled and running.
    Returns when each answers and the cluster knows it.
  - A keyring that is not the cluster's own is mended, and its daemon restarted. Nothing else restarts a running daemon but a changed
    unit, a changed O(daemons[].restart_on), and O(restart_outdated).
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.connection
attributes:
  check_mode:
    support: full
    details: Works before Ceph is installed, or there is a cluster. Then it says that everything would be created.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  daemons:
    description: The daemons of this host.
    type: list
    elements: dict
    required: true
    suboptions:
      type:
        description: What it is.
        type: str
        choices: [mgr, mds, rgw]
        required: true
      id:
        description:
          - Its name, without the type. The host's short name by default.
          - A gateway's begins with V(rgw.), as in V(rgw.ceph1.s3). Its cephx client is then C(client.rgw.ceph1.s3) and its unit
            C(ceph-radosgw@rgw.ceph1.s3).
        type: str
      caps:
        description: Its capabilities by daemon type. By default what the daemon needs and no more.
        type: dict
      restart_on:
        description:
          - A text, such as a digest of what the daemon reads only at its start. The daemon restarts when it changes.
          - It is kept in the daemon's data folder. A running daemon that has none yet is not restarted.
        type: str
      state:
        description: Whether the daemon exists. V(absent) stops it and removes its keyring and its identity.
        type: str
        choices: [present, absent]
        default: present
  bcrypt_shim:
    description:
      - The text of a C(bcrypt.py) that imports nothing. It is given to the managers where Ceph's modules cannot load beside the
        distribution's own bcrypt (Ceph before 20, bcrypt from 4.0 on), and taken away again where they can.
      - The manager's module C(restful) cannot load there at all, so it is disabled.
    type: str
  restart_outdated:
    description: Whether a daemon that runs another version than the installed one is restarted.
    type: bool
    default: false
  wait:
    description: How many seconds a daemon may take until it answers.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: A manager and a metadata server
  cephstack.cloud.ceph_daemon:
    daemons:
      - type: mgr
      - type: mds

- name: Two gateways
  cephstack.cloud.ceph_daemon:
    daemons:
      - type: rgw
        id: rgw.ceph1.s3
        restart_on: "{{ frontends | hash('sha256') }}"
      - type: rgw
        id: rgw.ceph1.internal
"""

RETURN = r"""
daemons:
  description: The daemons, as they are.
  type: list
  elements: dict
  returned: success
  contains:
    type:
      description: What it is.
      type: str
    id:
      description: Its name.
      type: str
    entity:
      description: Its cephx identity.
      type: str
    unit:
      description: Its systemd unit.
      type: str
    running:
      description: Whether its unit runs.
      type: bool
    version:
      description: The version that runs, empty where it does not answer.
      type: str
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection, connection_argument, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.daemons import KINDS, Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.host import installed, short_hostname
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, reconcile

DAEMON = {
    "type": {"type": "str", "choices": sorted(KINDS, key=list(KINDS).index), "required": True},
    "id": {"type": "str"},
    "caps": {"type": "dict"},
    "restart_on": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "connection": connection_argument(),
            "daemons": {"type": "list", "elements": "dict", "required": True, "options": DAEMON},
            "bcrypt_shim": {"type": "str"},
            "restart_outdated": {"type": "bool", "default": False},
            "wait": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    options = {"wait": params["wait"], "shim": params["bcrypt_shim"] or "", "restart_outdated": params["restart_outdated"]}
    try:
        daemons = parse(params["daemons"], short_hostname())
        nowhere = not params["connection"]["mon_host"] and not os.path.exists(params["connection"]["conf"])
        if module.check_mode and (nowhere or not any(installed(daemon.kind.program) for daemon in daemons)):
            reconcile(module, Provider(daemons, None, **options))
        require_binding(module)
        with Connection(params["connection"]) as cluster:
            reconcile(module, Provider(daemons, cluster, **options))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
