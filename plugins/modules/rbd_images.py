#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rbd_images
short_description: RBD images, snapshots, clones, golden images and namespaces, all in one call
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Makes images as declared, over one librbd connection, at the same time if they don't depend on each other. Images that are not declared are left alone.
  - An image may be empty, a clone of a snapshot, or imported from a raw or qcow2 file on the host where the module runs.
  - Parents, their snapshots and their clones may be declared in the same call.
  - The namespaces of images and of O(consumers) are made. One is removed only where O(namespaces) says so, and if it is empty.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.consumers
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  images:
    description: The images.
    type: list
    elements: dict
    default: []
    suboptions:
      pool:
        description: The pool that the image is in. It must exist.
        type: str
        required: true
      namespace:
        description: The namespace within the pool. It is made if it does not exist.
        type: str
        default: ""
      name:
        description: The name of the image.
        type: str
        required: true
      state:
        description: Whether the image exists. O(images[].removal) says what V(absent) does.
        type: str
        choices: [present, absent]
        default: present
      size:
        description:
          - The size, such as V(10G). By default it is that of the parent or of the disk in the source file.
          - An image is enlarged at once, and made smaller only with O(allow_loss=image/POOL/NAME).
        type: str
      features:
        description: All features of the image. By default a new image gets the cluster's own default. V(object-map) and V(fast-diff) come together.
        type: list
        elements: str
        choices: [layering, exclusive-lock, object-map, fast-diff, deep-flatten, journaling]
      data_pool:
        description: The pool for the data, if it is a different one, such as an erasure-coded pool.
        type: str
      object_size:
        description: The size of the objects of a new image, a power of two from V(4K) to V(32M). It cannot be changed later.
        type: str
      metadata:
        description: Keys and values of the image's metadata. A key with a null value is removed; keys that are not named stay.
        type: dict
        default: {}
      source:
        description: A file on this host to import. An interrupted import begins anew with the next run, and is never seen under the image's name.
        type: dict
        suboptions:
          path:
            description: The file.
            type: path
            required: true
          format:
            description: What is in the file. V(auto) recognises qcow2 by its first bytes; everything else is raw.
            type: str
            choices: [auto, raw, qcow2]
            default: auto
          digest:
            description:
              - The file's digest, V(sha256:) and 64 hexadecimal digits. The image remembers it, so that an unchanged image is known without reading the file.
              - By default the file is read in every run to compute it.
            type: str
      clone_of:
        description: The snapshot that the image is a clone of, as V(pool/image@snapshot) or V(pool/namespace/image@snapshot).
        type: str
      flatten:
        description: Whether a clone takes over all data of its parent and no longer needs it.
        type: bool
        default: false
      snapshots:
        description: Snapshots of the image. Others are left alone.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The name of the snapshot.
            type: str
            required: true
          protected:
            description: Whether it is protected. By default only if a clone needs it (clusters whose C(require_min_compat_client) is older than mimic).
            type: bool
          state:
            description: Whether it exists. V(absent) needs O(allow_loss=snapshot/POOL/NAME@SNAPSHOT).
            type: str
            choices: [present, absent]
            default: present
      removal:
        description: What to do with an image that is to be absent. V(delete) needs O(allow_loss=image/POOL/NAME), and deletes its snapshots, too.
        type: str
        choices: [trash, delete]
        default: trash
      trash_delay:
        description: How long an image in the trash cannot be purged, such as V(7d).
        type: str
  namespaces:
    description: Namespaces within pools, beside those of O(images) and O(consumers).
    type: list
    elements: dict
    default: []
    suboptions:
      pool:
        description: The pool that the namespace is in. It must exist.
        type: str
        required: true
      name:
        description: The name of the namespace.
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) needs O(allow_loss=namespace/POOL/NAME), and that no image is in it, nor in its trash.
        type: str
        choices: [present, absent]
        default: present
requirements:
  - python3-rbd, of the distribution's own Python
"""

EXAMPLES = r"""
- name: A golden image, and two disks that are clones of it
  cephstack.cloud.rbd_images:
    images:
      - pool: images
        name: debian13
        source:
          path: /srv/images/debian13.qcow2
        snapshots:
          - name: base
      - pool: vms
        name: web1
        clone_of: images/debian13@base
        size: 20G
      - pool: vms
        name: web2
        clone_of: images/debian13@base
        size: 20G

- name: An old disk goes to the trash, where it stays for a week at least
  cephstack.cloud.rbd_images:
    images:
      - pool: vms
        name: web0
        state: absent
        trash_delay: 7d

- name: A part of the pool for a tenant, and one that is no longer used
  cephstack.cloud.rbd_images:
    namespaces:
      - pool: vms
        name: tenant
      - pool: vms
        name: former
        state: absent
    allow_loss: [namespace/vms/former]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{stage: 1, kind: image, name: vms/web1, action: create, risk: none}]
images:
  description: The declared images that are there, as they are.
  returned: success
  type: list
  elements: dict
  sample: [{pool: vms, namespace: '', name: web1, size: 21474836480, clone_of: images/debian13@base, snapshots: [], source: null}]
"""

from contextlib import closing

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import namespaces
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, Connection, nowhere, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.images import Provider, parse, places_of
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import FEATURES, Librbd
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import (
    ALLOW_LOSS,
    arguments,
    boolean,
    choice,
    filepath,
    mapping,
    presence,
    record,
    records,
    string,
    strings,
)

SNAPSHOT = {
    "name": string("The name of the snapshot.", required=True),
    "protected": boolean("Whether it is protected. By default only if a clone needs it (clusters whose C(require_min_compat_client) is older than mimic)."),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=snapshot/POOL/NAME@SNAPSHOT)."),
}
SOURCE = {
    "path": filepath("The file.", required=True),
    "format": choice("What is in the file. V(auto) recognises qcow2 by its first bytes; everything else is raw.", ["auto", "raw", "qcow2"], default="auto"),
    "digest": string(
        "The file's digest, V(sha256:) and 64 hexadecimal digits. The image remembers it, so that an unchanged image is known without reading the "
        "file.\n"
        "By default the file is read in every run to compute it."
    ),
}
IMAGE = {
    "pool": string("The pool that the image is in. It must exist.", required=True),
    "namespace": string("The namespace within the pool. It is made if it does not exist.", default=""),
    "name": string("The name of the image.", required=True),
    "state": presence("Whether the image exists. O(images[].removal) says what V(absent) does."),
    "size": string(
        "The size, such as V(10G). By default it is that of the parent or of the disk in the source file.\n"
        "An image is enlarged at once, and made smaller only with O(allow_loss=image/POOL/NAME)."
    ),
    "features": strings(
        "All features of the image. By default a new image gets the cluster's own default. V(object-map) and V(fast-diff) come together.",
        choices=list(FEATURES),
    ),
    "data_pool": string("The pool for the data, if it is a different one, such as an erasure-coded pool."),
    "object_size": string("The size of the objects of a new image, a power of two from V(4K) to V(32M). It cannot be changed later."),
    "metadata": mapping("Keys and values of the image's metadata. A key with a null value is removed; keys that are not named stay.", default={}),
    "source": record("A file on this host to import. An interrupted import begins anew with the next run, and is never seen under the image's name.", SOURCE),
    "clone_of": string("The snapshot that the image is a clone of, as V(pool/image@snapshot) or V(pool/namespace/image@snapshot)."),
    "flatten": boolean("Whether a clone takes over all data of its parent and no longer needs it.", default=False),
    "snapshots": records("Snapshots of the image. Others are left alone.", SNAPSHOT, default=[]),
    "removal": choice(
        "What to do with an image that is to be absent. V(delete) needs O(allow_loss=image/POOL/NAME), and deletes its snapshots, too.",
        ["trash", "delete"],
        default="trash",
    ),
    "trash_delay": string("How long an image in the trash cannot be purged, such as V(7d)."),
}


FIELDS = {
    "connection": CONNECTION,
    "images": records("The images.", IMAGE, default=[]),
    "namespaces": records("Namespaces within pools, beside those of O(images) and O(consumers).", namespaces.OPTIONS, default=[]),
    "consumers": CONSUMERS,
    "allow_loss": ALLOW_LOSS,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        wanted = parse(params["images"])
        spaces = namespaces.parse(params["namespaces"], params["consumers"], places_of(wanted))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    if module.check_mode and nowhere(params["connection"]):
        # There is no cluster yet: all would be created
        run_module(module, Provider(None, wanted, spaces, check=True), allow_loss=params["allow_loss"])
    require_binding(module, "rbd", "python3-rbd")
    try:
        with Connection(params["connection"]) as connection, closing(Librbd(connection)) as librbd:
            run_module(module, Provider(librbd, wanted, spaces, check=module.check_mode), allow_loss=params["allow_loss"])
    except Unreachable as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
