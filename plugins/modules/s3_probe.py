#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_probe
short_description: Prove object gateways with a user's own key
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - At every gateway and for every user it makes a bucket, puts an object, gets it, compares it, and removes both. Somebody without a key
    must be refused the object.
  - It leaves nothing behind, also if it fails midway. What a killed run left behind is removed by the next one.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
    details: In check mode it only lists each user's buckets.
  diff_mode:
    support: N/A
    details: It leaves nothing changed.
  idempotent:
    support: full
    details: It leaves nothing changed.
options:
  endpoints:
    description: The gateways, such as V(http://10.0.0.11:8080).
    type: list
    elements: str
    required: true
  keys:
    description: The users, each with a list of keys of its own, as M(cephstack.cloud.ceph_keys_info) returns them. The first key is used.
    type: dict
    required: true
  validate_certs:
    description: Whether the gateways' certificates must be trusted.
    type: bool
    default: true
  ca_path:
    description: A file on this host with the certificates that sign the gateways' ones. By default the host's own.
    type: path
  tls_names:
    description: The names for which the certificates may be, although the gateways are asked by their addresses, such as V(s3.example.org). A certificate for
      the address itself is accepted, too.
    type: list
    elements: str
    default: []
requirements:
  - python3-boto3, of the distribution's own Python (another interpreter hands over to it by itself)
"""

EXAMPLES = r"""
- name: Prove the object storage
  cephstack.cloud.s3_probe:
    endpoints: ["http://10.0.0.11:8080"]
    keys: "{{ object_keys.s3_keys }}"
"""

RETURN = r"""
probes:
  description: What was proven, for each gateway and user, with the latency of each operation in milliseconds. Empty in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{endpoint: "http://10.0.0.11:8080", uid: backup, latency: {put: 9.1, get: 2.3}}]
problems:
  description: What could not be proven.
  returned: always
  type: list
  elements: str
"""

from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding_or_dry_run
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import TRUST
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3_probe import bucket_names, probe, sweep
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, mapping, strings

FIELDS = {
    "endpoints": strings("The gateways, such as V(http://10.0.0.11:8080).", required=True),
    "keys": mapping(
        "The users, each with a list of keys of its own, as M(cephstack.cloud.ceph_keys_info) returns them. The first key is used.", required=True, no_log=True
    ),
    **TRUST,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    if not (params["endpoints"] and params["keys"] and binding_or_dry_run(module, "boto3", "python3-boto3")):
        module.exit_json(changed=False, probes=[], problems=[])
    try:
        users = [(uid, Credentials(keys[0]["access_key"], Secret(keys[0]["secret_key"]))) for uid, keys in sorted(params["keys"].items())]
    except (IndexError, KeyError, TypeError):
        module.fail_json(msg="keys: each user needs a list of at least one key, with access_key and secret_key")
    probes = []
    for endpoint in params["endpoints"]:
        try:
            client = Client([endpoint], params["validate_certs"], params["ca_path"], names=params["tls_names"])
            for uid, credentials in users:
                s3 = client.s3(credentials)
                names = bucket_names(s3)
                if not module.check_mode:
                    sweep(s3, names)
                    probes.append((endpoint, uid, client, s3))
        except (ApiFailed, Invalid, Unreachable) as error:
            module.fail_json(msg=f"{endpoint}: {error}", probes=[], problems=[f"{endpoint}: {error}"])
    with ThreadPoolExecutor(max_workers=8) as pool:
        done = list(pool.map(lambda one: probe(*one), probes))
    problems = [problem for _report, found in done for problem in found]
    result = {"changed": False, "probes": [report for report, _found in done], "problems": problems}
    if problems:
        module.fail_json(msg="; ".join(problems), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
