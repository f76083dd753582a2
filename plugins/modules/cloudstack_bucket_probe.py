#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_bucket_probe
short_description: Let CloudStack make a throwaway bucket, and use it through S3
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Makes a bucket through CloudStack's API, puts an object into it and gets it back with the keys that CloudStack gives the bucket's owner,
    and sees that somebody without a key is refused.
  - The bucket is removed whatever happens. What a run that was killed left is removed by the next.
  - The user that CloudStack makes in the gateways for its account stays, for it is the account's own.
  - It runs where both the API and the gateways can be reached, such as on the management server.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_cloudstack
  - cephstack.cloud.cloudstack
attributes:
  check_mode:
    support: full
    details: In check mode no bucket is made.
  diff_mode:
    support: N/A
    details: It leaves nothing changed.
  idempotent:
    support: full
    details: It leaves nothing changed.
options:
  object_stores:
    description: The names of the object stores. By default all that the server has.
    type: list
    elements: str
  validate_certs:
    description: Whether a gateway's certificate must be trusted.
    type: bool
    default: true
  ca_path:
    description: A file on this host with the certificates of the authorities to trust. By default the system's are.
    type: path
requirements:
  - python3-boto3, of the distribution's own Python (another interpreter hands over to it by itself)
seealso:
  - module: cephstack.cloud.s3_probe
"""

EXAMPLES = r"""
- name: A bucket of every object store
  cephstack.cloud.cloudstack_bucket_probe:
    connection:
      url: http://mgmt1:8080/client/api
      api_key: "{{ api_key }}"
      api_secret: "{{ api_secret }}"
"""

RETURN = r"""
probes:
  description: What was measured. Empty in check mode.
  type: list
  elements: dict
  returned: always
  contains:
    object_store:
      description: The object store.
      type: str
    url:
      description: Its address.
      type: str
    latency:
      description: How long each operation took, in milliseconds.
      type: dict
problems:
  description: What went wrong.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.bucket_probe import probe_all
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import CONNECTION_SPEC, ApiError, connect
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, boolean, filepath, strings

FIELDS = {
    "connection": CONNECTION_SPEC,
    "object_stores": strings("The names of the object stores. By default all that the server has."),
    "validate_certs": boolean("Whether a gateway's certificate must be trusted.", default=True),
    "ca_path": filepath("A file on this host with the certificates of the authorities to trust. By default the system's are."),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, probes=[], problems=[])
    try:
        server, names = connect(params["connection"]), params["object_stores"]
        stores = [row for row in server.rows("listObjectStoragePools") if names is None or row["name"] in names]
        if stores:
            require_binding(module, "boto3", "python3-boto3")
        probes, problems = probe_all(server, stores, params["ca_path"], params["validate_certs"])
    except (Invalid, ApiError, Unreachable) as error:
        module.fail_json(msg=str(error))
    problems = [f"there is no object store {name}" for name in sorted(set(names or ()) - {row["name"] for row in stores})] + problems
    if problems:
        module.fail_json(msg="; ".join(problems), probes=probes, problems=problems)
    module.exit_json(changed=False, probes=probes, problems=[])


if __name__ == "__main__":
    main()
