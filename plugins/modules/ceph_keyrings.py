#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_keyrings
short_description: Keyring files and the ceph.conf of a host
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Keeps keyring files, one client each, with the keys that are given, and settings of C([global]) in a C(ceph.conf).
  - It talks to no cluster and needs no Ceph package. Read the keys with M(cephstack.cloud.ceph_keys_info) on a monitor's host.
  - All else in the C(ceph.conf) is left as it is.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  keyrings:
    description: The keyring files.
    type: list
    elements: dict
    default: []
    suboptions:
      client:
        description: The full name of the cephx client, such as V(client.guests).
        type: str
        required: true
      key:
        description: Its key. Required for a keyring that is present.
        type: str
      path:
        description: The file. By default C(/etc/ceph/ceph.CLIENT.keyring), where every client looks.
        type: path
      owner:
        description: The file's owner.
        type: str
        default: root
      group:
        description: The file's group.
        type: str
        default: root
      mode:
        description: The file's permissions, octal, in quotes, as V('0640').
        type: raw
        default: "0600"
      reader:
        description: The group of a service that reads it, such as V(glance). If the host has this group, it is the file's, with the mode V(0640), in the place
          of O(keyrings[].group) and O(keyrings[].mode).
        type: str
      state:
        description: Whether the file exists.
        type: str
        choices: [present, absent]
        default: present
  conf:
    description: The C(ceph.conf) that O(settings) are of.
    type: path
    default: /etc/ceph/ceph.conf
  settings:
    description:
      - Options of C([global]), such as C(fsid) and C(mon_host). One whose value is empty is taken out.
      - Without this, O(conf) is not touched.
    type: dict
"""

EXAMPLES = r"""
- name: What a client needs
  cephstack.cloud.ceph_keyrings:
    keyrings:
      - client: client.guests
        key: "{{ guests_key }}"
        group: libvirt-qemu
        mode: '0640'
    settings:
      fsid: 5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11
      mon_host: 10.77.0.11,10.77.0.12,10.77.0.13
"""

RETURN = r"""
keyrings:
  description: The keyring files that are there.
  type: list
  elements: dict
  returned: success
  contains:
    client:
      description: The cephx client.
      type: str
    path:
      description: The file.
      type: str
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.keyring_files import OPTIONS, provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = OPTIONS


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    try:
        run_module(module, provider(module.params))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)


if __name__ == "__main__":
    main()
