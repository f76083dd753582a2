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
    Returns when each of them answers and the cluster knows it.
  - A keyring that differs from the cluster is written anew, and its daemon restarted. Nothing else restarts a running daemon, except a changed
    unit and a changed O(daemons[].restart_on). For other versions and options there is the playbook C(cephstack.cloud.restart).
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
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
    default: []
    suboptions:
      type:
        description: What it is.
        type: str
        required: true
        choices: [mgr, mds, rgw]
      id:
        description:
          - Its name, without the type. The host's short name by default.
          - A gateway's begins with V(rgw.), as in V(rgw.ceph1.s3). Its cephx client is then C(client.rgw.ceph1.s3) and its unit C(ceph-radosgw@rgw.ceph1.s3).
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
        description: Whether the daemon exists. V(absent) stops it and removes its keyring and its identity. The last manager stays, and so does a metadata
          server that the cluster says it needs.
        type: str
        choices: [present, absent]
        default: present
  bcrypt_shim:
    description:
      - The text of a C(bcrypt.py) that managers get instead of the distribution's own. It is given to those whose modules cannot load beside that (Ceph before
        20, bcrypt from 4.0 on), or of which they report crashes that are none (Ceph 17 to 20, Python from 3.13 on), and removed again if neither is so.
      - The manager's module C(restful) cannot load beside such a bcrypt at all, so it is disabled.
    type: str
  shim_only:
    description: 'Whether O(bcrypt_shim) is all that is seen to. Nothing starts or restarts with it, and C(restful) stays as it is: managers have it when they
      start next, as after an upgrade of their packages.'
    type: bool
    default: false
  crash_reports:
    description:
      - Whether this host's crash reports reach the cluster. C(ceph-crash) gets a client of its own, C(client.crash.HOST), which may post reports and no more,
        with its keyring, and may move what it has posted.
      - What managers beside a new Python report as a crash while they load their modules is none. Such reports are set aside before they are posted, and
        archived where they were. No other report is touched.
    type: bool
    default: false
  key_type:
    description:
      - The type of the daemons' keys. A daemon with a key of another type gets a new one, and restarts with it; so does the client of the crash reports. By
        default keys of any type will do.
      - V(aes256k) needs Ceph 20.2.4.
    type: str
    choices: [aes, aes256k]
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
crash_client:
  description: The cephx client that posts this host's crash reports.
  type: str
  returned: where O(crash_reports) is set
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crash
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, nowhere, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.daemons import KINDS, OPTIONS
from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import installed
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION, **OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params

    def there(*programs: str) -> bool:
        """In check mode nothing need be there yet, neither programs nor a cluster that could be asked."""
        return not module.check_mode or (not nowhere(params["connection"]) and any(installed(program) for program in programs))

    programs = {KINDS[daemon["type"]].program for daemon in params["daemons"]}
    asks = {"daemons": bool(programs) and there(*programs), "crash": params["crash_reports"] and there(crash.PROGRAM)}
    try:
        if any(asks.values()):
            require_binding(module)
        with Connection(params["connection"]) if any(asks.values()) else contextlib.nullcontext() as cluster:
            run_module(module, crash.provider(params, *(cluster if asks[which] else None for which in ("daemons", "crash"))))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
