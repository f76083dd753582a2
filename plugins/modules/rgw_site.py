#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rgw_site
short_description: Ceph's object storage - realm, zonegroup and zone, users and buckets
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Makes realm, users and buckets as declared. What is not declared is left alone, unless O(prune) names its kind.
  - The realm needs no gateway. Users and buckets are asked for and changed through the gateways' own APIs, as a user of its own
    (O(admin_user)) that is made once with C(radosgw-admin). Run this module on a host with C(radosgw-admin).
  - No secret reaches a command line, a file or a gateway's log, and none is returned. M(cephstack.cloud.ceph_keys_info) hands out generated keys.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  endpoints:
    description: The addresses of the gateways, such as V(http://10.0.0.1:8080). The first one that answers is asked. Required for users and buckets.
    type: list
    elements: str
    default: []
  wait:
    description: How many seconds every one of O(endpoints) may take until it answers. Not waited for in check mode.
    type: int
    default: 0
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
  admin_user:
    description: The uid of this collection's own user. It is made if it is missing, and may read and write users, buckets and metadata.
    type: str
    default: cephstack-admin
  site:
    description:
      - The realm, with one zonegroup and one zone. The first zonegroup of a realm and the first zone of a zonegroup become its master and the cluster's
        default, so that more zones can be added later.
      - In an existing realm, because it was pulled from another cluster or because this cluster has other zones, a master stays the master, a default the
        default, and the zonegroup's endpoints and hostnames are changed from its master zone alone. The zone joins.
      - A zone of the same name that gateways made before there was a realm is taken over with all that is in it.
    type: dict
    suboptions:
      realm:
        description: The name of the realm.
        type: str
        required: true
      zonegroup:
        description: The name of the zonegroup.
        type: str
        required: true
      zone:
        description: The name of the zone. Its pools begin with it.
        type: str
        required: true
      endpoints:
        description:
          - The addresses that other zones use, and those of the zonegroup if this zone is its master. By default those of all gateways.
          - With an empty list the existing ones stay.
        type: list
        elements: str
      hostnames:
        description: The names under which buckets are found as V(BUCKET.NAME). They are the zonegroup's; its master zone changes them.
        type: list
        elements: str
      master:
        description:
          - Whether the zone is the master of its zonegroup. By default the first zone is, and then it stays as it is.
          - V(true) for another zone needs V(zonegroup/ZONEGROUP), V(zone/ZONE) and V(period/REALM) in O(allow_loss), as far as the refusal names them. Whatever
            the former master has not handed over yet is lost.
          - With V(false) nothing is made if the realm has no master yet, so that a realm that was not pulled is not made a second time.
        type: bool
      system_key:
        description: The key of a user of the realm with C(system), by which zones ask each other. A zone needs one that is not in the cluster of the realm's
          master zone. It is kept in the zone. Left as it is by default.
        type: dict
        suboptions:
          access_key:
            description: The access key.
            type: str
            required: true
          secret_key:
            description: The secret.
            type: str
            required: true
  options:
    description: The gateways' options of the configuration database, as M(cephstack.cloud.ceph_cluster) takes them. Set before the first start of a gateway.
    type: dict
    default: {}
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
  users:
    description: Users. Others are left alone, unless O(prune) names them.
    type: list
    elements: dict
    default: []
    suboptions:
      uid:
        description: The name of the user, C(TENANT$NAME) for a tenant's.
        type: str
        required: true
      state:
        description: Whether the user exists. V(absent) needs O(allow_loss=user/UID), and is refused while the user owns buckets that stay.
        type: str
        choices: [present, absent]
        default: present
      display_name:
        description: The name for people. The uid by default.
        type: str
      email:
        description: The address. No two users can have the same.
        type: str
      max_buckets:
        description: How many buckets the user may own. V(0) means any number, V(-1) none.
        type: int
      suspended:
        description: Whether the user is locked out. Keys and buckets are kept.
        type: bool
      system:
        description: Whether other zones and services of Ceph sign in as this user.
        type: bool
      admin:
        description: Whether the user may read and write everybody's buckets.
        type: bool
      caps:
        description: All administrative capabilities, such as V({"usage":"read"}). Those that are not named are removed. By default all are left as they are.
        type: dict
      user_quota:
        description: What all buckets of the user may hold together.
        type: dict
        suboptions:
          enabled:
            description: Whether the limit holds.
            type: bool
            default: true
          max_size:
            description: The size, such as V(10G). Any by default.
            type: str
          max_objects:
            description: The number of objects. Any by default.
            type: int
      bucket_quota:
        description: What each bucket of the user may hold.
        type: dict
        suboptions:
          enabled:
            description: Whether the limit holds.
            type: bool
            default: true
          max_size:
            description: The size, such as V(10G). Any by default.
            type: str
          max_objects:
            description: The number of objects. Any by default.
            type: int
      keys:
        description: The user's keys. By default one is generated if the user has none.
        type: list
        elements: dict
        suboptions:
          access_key:
            description: The access key.
            type: str
            required: true
          secret_key:
            description: The secret.
            type: str
            required: true
      exclusive_keys:
        description: Whether other keys than O(users[].keys) are removed, which needs O(allow_loss=user/UID).
        type: bool
        default: false
  buckets:
    description: Buckets. Others are left alone, unless O(prune) names them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the bucket.
        type: str
        required: true
      owner:
        description: The uid of its owner, who must be declared or exist. A bucket that somebody else owns is handed over.
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) deletes all its objects, and needs O(allow_loss=bucket/NAME).
        type: str
        choices: [present, absent]
        default: present
      versioning:
        description: Whether former versions of objects are kept. V(false) suspends versioning if it was ever on. By default it is left as it is.
        type: bool
      public:
        description: Whether O(buckets[].policy) may let everybody in.
        type: bool
        default: false
      policy:
        description: The bucket's policy, as S3 knows it. V({}) removes it. It is compared by its meaning. By default it is left as it is.
        type: dict
      lifecycle:
        description: All rules of the bucket's lifecycle. V([]) removes them. By default they are left as they are.
        type: list
        elements: dict
        suboptions:
          id:
            description: The name of the rule.
            type: str
            required: true
          enabled:
            description: Whether it is applied.
            type: bool
            default: true
          prefix:
            description: The objects to which it applies, by the beginning of their names. By default all.
            type: str
            default: ""
          tags:
            description: The objects to which it applies, by their tags.
            type: dict
            default: {}
          expiration_days:
            description: After how many days an object expires.
            type: int
          expire_delete_markers:
            description: Whether markers of deleted objects are removed when no version is left behind them.
            type: bool
            default: false
          noncurrent_expiration_days:
            description: After how many days a former version is removed.
            type: int
          abort_multipart_days:
            description: After how many days an unfinished multipart upload is removed.
            type: int
          transitions:
            description: When an object moves to another storage class.
            type: list
            elements: dict
            default: []
            suboptions:
              days:
                description: After how many days.
                type: int
                required: true
              storage_class:
                description: Where to.
                type: str
                required: true
          noncurrent_transitions:
            description: When a former version moves to another storage class.
            type: list
            elements: dict
            default: []
            suboptions:
              days:
                description: After how many days.
                type: int
                required: true
              storage_class:
                description: Where to.
                type: str
                required: true
      quota:
        description: What the bucket may hold.
        type: dict
        suboptions:
          enabled:
            description: Whether the limit holds.
            type: bool
            default: true
          max_size:
            description: The size, such as V(10G). Any by default.
            type: str
          max_objects:
            description: The number of objects. Any by default.
            type: int
  prune:
    description: The kinds of which everything that is not declared is deleted. Each deletion needs O(allow_loss).
    type: list
    elements: str
    choices: [users, buckets]
    default: []
  allow_loss:
    description: The changes that may destroy data or access, by their id, such as V(bucket/old). A refusal names the id.
    type: list
    elements: str
    default: []
requirements:
  - radosgw-admin (package radosgw)
  - python3-boto3, of the distribution's own Python, for users and buckets
"""

EXAMPLES = r"""
- name: The realm, before any gateway runs
  cephstack.cloud.rgw_site:
    site:
      realm: main
      zonegroup: eu
      zone: eu-1
      endpoints: [http://10.0.0.1:8080, http://10.0.0.2:8080]

- name: A second zone, of a realm that was pulled from the cluster of the first
  cephstack.cloud.rgw_site:
    site:
      realm: main
      zonegroup: eu
      zone: eu-2
      master: false
      endpoints: [http://10.1.0.1:8080]
      system_key: "{{ realm_system_key }}"

- name: A user and a bucket
  cephstack.cloud.rgw_site:
    endpoints: [http://10.0.0.1:8080, http://10.0.0.2:8080]
    users:
      - uid: backup
        display_name: The backup service
        user_quota:
          max_size: 2T
    buckets:
      - name: nightly
        owner: backup
        versioning: true
        lifecycle:
          - id: old
            noncurrent_expiration_days: 30
            abort_multipart_days: 3
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{stage: 1, kind: user, name: backup, action: create, risk: none}]
users:
  description: The declared users that are there, as they are. No keys.
  returned: success
  type: list
  elements: dict
  sample: [{uid: backup, display_name: The backup service, suspended: false, max_buckets: 1000, caps: {}}]
buckets:
  description: The declared buckets that are there, as they are.
  returned: success
  type: list
  elements: dict
  sample: [{name: nightly, owner: backup, objects: 12, versioning: true}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import buckets, realm, users
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, Connection, binding_or_dry_run, nowhere, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import TRUST
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.rgw_site import GatewayOptions, Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import Client
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Together, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, PREFIX, arguments, integer, mapping, record, records, string, strings

FIELDS = {
    "connection": CONNECTION,
    "endpoints": strings(
        "The addresses of the gateways, such as V(http://10.0.0.1:8080). The first one that answers is asked. Required for users and buckets.", default=[]
    ),
    "wait": integer("How many seconds every one of O(endpoints) may take until it answers. Not waited for in check mode.", default=0),
    **TRUST,
    "admin_user": string(
        "The uid of this collection's own user. It is made if it is missing, and may read and write users, buckets and metadata.", default="cephstack-admin"
    ),
    "site": record(
        "The realm, with one zonegroup and one zone. The first zonegroup of a realm and the first zone of a zonegroup become its master and the "
        "cluster's default, so that more zones can be added later.\n"
        "In an existing realm, because it was pulled from another cluster or because this cluster has other zones, a master stays the "
        "master, a default the default, and the zonegroup's endpoints and hostnames are changed from its master zone alone. The zone joins.\n"
        "A zone of the same name that gateways made before there was a realm is taken over with all that is in it.",
        realm.OPTIONS,
    ),
    "options": mapping(
        "The gateways' options of the configuration database, as M(cephstack.cloud.ceph_cluster) takes them. Set before the first start of a gateway.",
        default={},
    ),
    "prefix": PREFIX,
    "users": records("Users. Others are left alone, unless O(prune) names them.", users.OPTIONS, default=[]),
    "buckets": records("Buckets. Others are left alone, unless O(prune) names them.", buckets.OPTIONS, default=[]),
    "prune": strings(
        "The kinds of which everything that is not declared is deleted. Each deletion needs O(allow_loss).", default=[], choices=["users", "buckets"]
    ),
    "allow_loss": {**ALLOW_LOSS, "description": "The changes that may destroy data or access, by their id, such as V(bucket/old). A refusal names the id."},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    options = params["connection"]
    gateways = GatewayOptions(params["options"], options, module.check_mode, params["prefix"])
    also = [gateways] if params["options"] else []
    try:
        wanted = parse(params)
        if module.check_mode and nowhere(options):
            # There is no cluster yet: all would be created
            run_module(module, Together([Provider(wanted, None, options), *also]))
        require_binding(module)
        if params["endpoints"]:
            binding_or_dry_run(module, "boto3", "python3-boto3")
        client = (
            Client(params["endpoints"], params["validate_certs"], params["ca_path"], options["timeout"], params["tls_names"]) if params["endpoints"] else None
        )
        if client and params["wait"] and not module.check_mode:
            client.wait(params["wait"])
        with gateways, Connection(options) as connection:  # the first has a connection of its own
            run_module(module, Together([Provider(wanted, connection, options, client), *also]), allow_loss=params["allow_loss"])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except Unreachable as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
