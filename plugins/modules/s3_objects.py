#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_objects
short_description: Keep files of this host as objects in buckets
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Writes files, such as templates and golden images, to buckets of an object gateway, and only those that differ in size or checksum.
  - Each bucket is listed once, however many objects it has.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
    details: If there are no gateways yet, it says that every object would be created.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  endpoints:
    description: Where the gateways answer, such as V(http://10.0.0.11:8080). Any of them will do. Without any, nothing exists yet (check mode).
    type: list
    elements: str
    required: true
  s3_keys:
    description: The keys of the users, as M(cephstack.cloud.ceph_keys_info) returns them.
    type: dict
    required: true
  objects:
    description: The objects.
    type: list
    elements: dict
    required: true
    suboptions:
      bucket:
        description: The bucket.
        type: str
        required: true
      key:
        description: The object's name within it.
        type: str
        required: true
      owner:
        description: The user with whose key it is written.
        type: str
        required: true
      path:
        description: The file on this host, of any size. One of 16 MiB and more is sent in parts.
        type: path
      state:
        description: Whether the object exists.
        type: str
        choices: [present, absent]
        default: present
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
seealso:
  - module: cephstack.cloud.rgw_site
  - module: cephstack.cloud.ceph_keys_info
"""

EXAMPLES = r"""
- name: A template that hypervisors fetch
  cephstack.cloud.s3_objects:
    endpoints: [http://10.0.0.11:8080]
    s3_keys: "{{ read.s3_keys }}"
    objects:
      - bucket: templates
        key: debian.qcow2.gz
        owner: publisher
        path: /var/lib/templates/debian.qcow2.gz
"""

RETURN = r"""
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding_or_dry_run
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import TRUST
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3_objects import Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, filepath, mapping, presence, records, string, strings

OBJECT = {
    "bucket": string("The bucket.", required=True),
    "key": string("The object's name within it.", required=True, no_log=False),
    "owner": string("The user with whose key it is written.", required=True),
    "path": filepath("The file on this host, of any size. One of 16 MiB and more is sent in parts."),
    "state": presence("Whether the object exists."),
}


FIELDS = {
    "endpoints": strings(
        "Where the gateways answer, such as V(http://10.0.0.11:8080). Any of them will do. Without any, nothing exists yet (check mode).",
        required=True,
    ),
    "s3_keys": mapping("The keys of the users, as M(cephstack.cloud.ceph_keys_info) returns them.", required=True, no_log=True),
    "objects": records("The objects.", OBJECT, required=True),
    **TRUST,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    credentials = {uid: Credentials(keys[0]["access_key"], Secret(keys[0]["secret_key"])) for uid, keys in params["s3_keys"].items() if keys}
    there = bool(params["endpoints"])
    if there and not binding_or_dry_run(module, "boto3", "python3-boto3"):
        there = False
        module.warn("objects are planned as if none were there: this host lacks the package python3-boto3, which a run installs")
    try:
        owners = credentials if there or not module.check_mode else {item["owner"] for item in params["objects"]}
        objects = parse(params["objects"], owners, module.check_mode)
        client = Client(params["endpoints"], params["validate_certs"], params["ca_path"], names=params["tls_names"]) if there else None
        run_module(module, Provider(client, credentials, objects))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except ApiFailed as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
