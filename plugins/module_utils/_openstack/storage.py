# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What OpenStack's services have to know of Ceph, as parts of their configuration: for an OpenStack that others keep, who include or copy them. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import client_of, kind_of, pools_of, secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.xml import secret_of, write_secret
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import render

FOLDER = "/etc/ceph/openstack"
CEPH_CONF = "/etc/ceph/ceph.conf"
Consumer = t.Mapping[str, t.Any]
Sections = t.Dict[str, t.Dict[str, t.Any]]


def written(consumer: Consumer) -> list[str]:
    """The pools that it may write. What a service makes is in the first."""
    return [pool["name"] for pool in pools_of(consumer) if pool["access"] == "rw"]


def user_of(consumer: Consumer) -> str:
    """The client's name as librbd's users say it."""
    return client_of(consumer)[len("client.") :]


def glance(consumer: Consumer) -> Sections:
    """Images in RBD, of which it is told where they are, so that they can be cloned."""
    store = {"rbd_store_pool": written(consumer)[0], "rbd_store_user": user_of(consumer), "rbd_store_ceph_conf": CEPH_CONF}
    return {"DEFAULT": {"show_image_direct_url": True, "enabled_backends": "rbd:rbd"}, "glance_store": {"default_backend": "rbd"}, "rbd": store}


def cinder(consumers: t.Iterable[Consumer], fsid: str) -> Sections:
    """A backend for each pool that one may write, named after the pool."""
    found: Sections = {}
    for consumer in consumers:
        for pool in written(consumer):
            found[pool] = {
                "volume_driver": "cinder.volume.drivers.rbd.RBDDriver",
                "volume_backend_name": pool,
                "rbd_pool": pool,
                "rbd_user": user_of(consumer),
                "rbd_ceph_conf": CEPH_CONF,
                "rbd_secret_uuid": secret_uuid(fsid, client_of(consumer)),
            }
    return {"DEFAULT": {"enabled_backends": [*found]}, **found} if found else {}


def cinder_backup(consumer: Consumer) -> dict[str, t.Any]:
    """The options of the section DEFAULT for backups."""
    return {
        "backup_driver": "cinder.backup.drivers.ceph.CephBackupDriver",
        "backup_ceph_conf": CEPH_CONF,
        "backup_ceph_user": user_of(consumer),
        "backup_ceph_pool": written(consumer)[0],
    }


def nova(consumer: Consumer, fsid: str) -> dict[str, t.Any]:
    """The options of nova-compute's section libvirt for guests whose disks are in the first pool that the consumer may write."""
    return {
        "images_type": "rbd",
        "images_rbd_pool": written(consumer)[0],
        "images_rbd_ceph_conf": CEPH_CONF,
        "rbd_user": user_of(consumer),
        "rbd_secret_uuid": secret_uuid(fsid, client_of(consumer)),
        "disk_cachemodes": "network=writeback",
        "hw_disk_discard": "unmap",
    }


def files(consumers: t.Sequence[Consumer], volumes: t.Sequence[Consumer], fsid: str, keys: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    """The files of a host, as host_files takes them. consumers: those that it uses. volumes: all of kind cinder, whose secrets Nova's hosts hold."""
    of = {kind: [one for one in consumers if kind_of(one) == kind] for kind in ("glance", "cinder", "cinder-backup", "nova")}
    volumes_conf = cinder(of["cinder"], fsid)
    for consumer in of["cinder-backup"][:1]:
        volumes_conf["DEFAULT"] = {**volumes_conf.get("DEFAULT", {}), **cinder_backup(consumer)}
    texts: dict[str, Sections] = {
        "glance-api.conf": glance(of["glance"][0]) if of["glance"] else {},
        "cinder.conf": volumes_conf,
        "nova.conf": {"libvirt": nova(of["nova"][0], fsid)} if of["nova"] else {},
    }
    found: list[dict[str, t.Any]] = []
    for name, sections in texts.items():
        found.append({"path": f"{FOLDER}/{name}", **({"content": render(sections)} if sections else {"state": "absent"})})
    for client in dict.fromkeys(map(client_of, [*of["nova"], *volumes])) if of["nova"] else ():
        # what virsh secret-define and virsh secret-set-value --file take
        found.append({"path": f"{FOLDER}/secret-{client}.xml", "content": write_secret(secret_of(fsid, client)) + "\n"})
        if keys.get(client):
            found.append({"path": f"{FOLDER}/secret-{client}.key", "secret": keys[client], "mode": "0600"})
    return found
