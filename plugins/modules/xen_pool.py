#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pool
short_description: Storage repositories of a XenServer or XCP-ng pool on Ceph
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Makes a pool's storage repositories (SRs) as declared, all in one call, and plugs them on every host of the pool. Repositories that are not
    declared are left alone.
  - Runs on the controller, and uses XenAPI over HTTPS with Python's own library. Nothing needs to be installed on the pool's hosts.
  - LVM on a mapped RBD image, CephFS, and NFS. What the hosts themselves need for the first two is the work of M(cephstack.cloud.xen_pool_host).
  - An image that holds a repository already is never formatted.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_xenapi
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  connection:
    description: How to reach the pool, and as whom.
    type: dict
    required: true
    suboptions:
      master:
        description: The name or address of the pool's master, with a port if it is not 443. Any other host of the pool names the master.
        type: str
        required: true
      user:
        description: Who to be. It needs the role pool-operator.
        type: str
        default: root
      password:
        description: Its password. Keep it in a vault. It is sent to the pool only.
        type: str
        required: true
      validate_certs:
        description: Whether the master's certificate must be trusted.
        type: bool
        default: true
      ca_path:
        description: A file on the host that runs the module, with the certificates to be trusted. By default the host's own.
        type: path
      fingerprints:
        description:
          - SHA-256 fingerprints of the certificates that are trusted, as C(openssl x509 -fingerprint -sha256) prints them. They take the place of all other
            checks.
          - New hosts have a certificate that they signed themselves, so this is the way for them. Give those of all hosts that may become master.
        type: list
        elements: str
        default: []
      timeout:
        description: How many seconds one call may take.
        type: int
        default: 600
  hosts:
    description: The hosts as the inventory has them. They must be exactly those of the pool. Not compared if there are none.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the host.
        type: str
        required: true
      address:
        description: Its address.
        type: str
  images:
    description: What a host saw on the images, as M(cephstack.cloud.xen_pool_host) returns it. Without it no new repository of type V(lvm) is made, as the pool
      itself can't be relied on to see what would be lost.
    type: list
    elements: dict
    default: []
    suboptions:
      image:
        description: The image, as V(pool/image).
        type: str
        required: true
      mapped:
        description: Whether it was mapped.
        type: bool
        required: true
      holds:
        description: The signatures on it, such as V(LVM2_member).
        type: list
        elements: str
        required: true
  repositories:
    description: The storage repositories. Others are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name. A pool may have several of one name, but not one that is declared.
        type: str
        required: true
      description:
        description: What it is for.
        type: str
      type:
        description: LVM on an RBD image, CephFS (XCP-ng only), or NFS.
        type: str
        required: true
        choices: [lvm, cephfs, nfs]
      image:
        description: The RBD image of an V(lvm) one, as V(pool/image). It must be mapped on every host.
        type: str
      client:
        description: The cephx client of an V(lvm) or V(cephfs) one, such as V(client.xen).
        type: str
      server:
        description: The NFS gateway, or the monitors of V(cephfs), separated by commas.
        type: str
      path:
        description: The NFS export, or the folder in CephFS. Each repository makes a folder of its own within.
        type: str
      port:
        description: The port of the monitors. By default 6789; the kernel of these hosts speaks Ceph's older protocol only.
        type: int
      filesystem:
        description: The CephFS filesystem, if the cluster has several.
        type: str
      version:
        description: The version of NFS. By default V(4).
        type: str
        choices: ["3", "4", "4.0", "4.1"]
      options:
        description: Further mount options.
        type: str
      uuid:
        description: The UUID of a repository that is on the storage but unknown to the pool, to take it over.
        type: str
      default:
        description: Whether new disks go there by default.
        type: bool
        default: false
      state:
        description: Whether the pool has it. V(absent) must be allowed by its name, V(sr/NAME).
        type: str
        choices: [present, absent]
        default: present
      removal:
        description:
          - What to do with one that is to be absent. V(forget) leaves all that is on the storage; O(repositories[].uuid) takes it over again.
          - V(destroy) removes it from the storage, too, and is refused while disks are in it.
        type: str
        choices: [forget, destroy]
        default: forget
  allow_loss:
    description: The changes of risk V(loss) that may be made, by their id, such as V(sr/old). A refusal names the id.
    type: list
    elements: str
    default: []
seealso:
  - module: cephstack.cloud.xen_pool_host
"""

EXAMPLES = r"""
- name: Disks on RBD by LVM, and on CephFS by NFS
  cephstack.cloud.xen_pool:
    connection:
      master: 10.0.0.21
      password: "{{ xen_password }}"
      fingerprints: ["{{ xen_fingerprint }}"]
    images: "{{ prepared.images }}"
    repositories:
      - {name: ceph, type: lvm, image: xen/pool1, client: client.xen, default: true}
      - {name: ceph-files, type: nfs, server: 10.0.0.11, path: /xen}
  delegate_to: localhost

- name: Forget a repository, and leave its data
  cephstack.cloud.xen_pool:
    connection: "{{ xen_connection }}"
    repositories:
      - {name: old, type: nfs, server: 10.0.0.9, path: /xen, state: absent}
    allow_loss: [sr/old]
  delegate_to: localhost
"""

RETURN = r"""
pool:
  description: The name of the pool, or its UUID where it has none.
  type: str
  returned: success
master:
  description: The name of its master.
  type: str
  returned: success
repositories:
  description: The repositories that were declared, as they are.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
    uuid:
      description: Its UUID.
      type: str
    type:
      description: Its type.
      type: str
    default:
      description: Whether it is the pool's default.
      type: bool
    size:
      description: Its size in bytes.
      type: int
    used:
      description: How many of them are used.
      type: int
    hosts:
      description: Whether each host is plugged to it, by name.
      type: dict
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, arguments, boolean, records, string, strings
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.pool import REPOSITORY_OPTIONS, Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.xenapi import CONNECTION_SPEC, connect

HOST = {"name": string("The name of the host.", required=True), "address": string("Its address.")}
IMAGE = {
    "image": string("The image, as V(pool/image).", required=True),
    "mapped": boolean("Whether it was mapped.", required=True),
    "holds": strings("The signatures on it, such as V(LVM2_member).", required=True),
}


FIELDS = {
    "connection": CONNECTION_SPEC,
    "hosts": records("The hosts as the inventory has them. They must be exactly those of the pool. Not compared if there are none.", HOST, default=[]),
    "images": records(
        "What a host saw on the images, as M(cephstack.cloud.xen_pool_host) returns it. Without it no new repository of type V(lvm) is made, as the "
        "pool itself can't be relied on to see what would be lost.",
        IMAGE,
        default=[],
    ),
    "repositories": records("The storage repositories. Others are left alone.", REPOSITORY_OPTIONS, required=True),
    "allow_loss": {**ALLOW_LOSS, "description": "The changes of risk V(loss) that may be made, by their id, such as V(sr/old). A refusal names the id."},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        wanted = parse(params["repositories"])
        with connect(params["connection"]) as session:
            run_module(module, Provider(session, wanted, params["hosts"], params["images"], module.check_mode), params["allow_loss"])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except Unreachable as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
