# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services of an OpenStack that others keep have to know of Ceph."""

from __future__ import annotations

import configparser

import pytest

from ansible_collections.cephstack.cloud.plugins.filter.openstack_storage_files import openstack_storage_files
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import rbd, xml
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.storage import FOLDER
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import complete
from ansible_collections.cephstack.cloud.plugins.modules.host_files import FIELDS

FSID = "c1823c3b-2dc7-48bf-a3f9-4a59b1946294"
KEY = "AQCnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw=="
GLANCE = {"name": "glance", "kind": "glance", "pools": [{"name": "images"}]}
CINDER = {"name": "cinder", "kind": "cinder", "pools": [{"name": "volumes"}, {"name": "images", "access": "ro"}]}
FAST = {"name": "fast", "kind": "cinder", "client": "client.cinder-fast", "pools": [{"name": "fast"}]}
BACKUP = {"name": "cinder-backup", "kind": "cinder-backup", "pools": [{"name": "backups"}]}
NOVA = {"name": "nova", "kind": "nova", "pools": [{"name": "images", "access": "ro"}, {"name": "vms"}]}


def files(*consumers, volumes=(CINDER, FAST), keys=None):
    """The files by their names, those that are to be there."""
    made = openstack_storage_files(consumers, list(volumes), FSID, {"client.nova": KEY, "client.cinder": KEY} if keys is None else keys)
    assert not complete({"files": FIELDS["files"]}, {"files": made})[1]  # host_files takes them
    assert all(file["path"].startswith(f"{FOLDER}/") for file in made)
    return {file["path"][len(FOLDER) + 1 :]: file for file in made if file.get("state") != "absent"}


def conf(text):
    parser = configparser.ConfigParser(interpolation=None, default_section="none")
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_a_host_gets_what_its_consumers_need_and_no_more():
    assert [*files(GLANCE)] == ["glance-api.conf"]
    assert [*files(CINDER, BACKUP)] == ["cinder.conf"]
    made = files(NOVA)
    assert [*made] == ["nova.conf", *(f"secret-{one}" for one in ("client.nova.xml", "client.nova.key", "client.cinder.xml", "client.cinder.key")),
                       "secret-client.cinder-fast.xml"]  # fmt: skip
    assert [name for name, file in made.items() if "secret" in file] == [name for name, file in made.items() if file.get("mode") == "0600"]
    assert KEY not in str([file.get("content") for file in made.values()])


def test_glance_says_where_its_images_are():
    found = conf(files(GLANCE)["glance-api.conf"]["content"])
    assert found["DEFAULT"] == {"show_image_direct_url": "true", "enabled_backends": "rbd:rbd"}
    assert found["rbd"] == {"rbd_store_pool": "images", "rbd_store_user": "glance", "rbd_store_ceph_conf": "/etc/ceph/ceph.conf"}


def test_cinder_has_a_backend_for_each_pool_that_it_may_write():
    found = conf(files(CINDER, FAST, BACKUP)["cinder.conf"]["content"])
    assert found["DEFAULT"]["enabled_backends"] == "volumes,fast"
    assert (found["DEFAULT"]["backup_ceph_user"], found["DEFAULT"]["backup_ceph_pool"]) == ("cinder-backup", "backups")
    assert (found["fast"]["rbd_user"], found["fast"]["rbd_secret_uuid"]) == ("cinder-fast", secret_uuid(FSID, "client.cinder-fast"))
    assert conf(files(BACKUP)["cinder.conf"]["content"])["DEFAULT"]["backup_ceph_pool"] == "backups"


def test_nova_s_secrets_are_those_of_a_host_that_is_made():
    made = files(NOVA)
    found = conf(made["nova.conf"]["content"])["libvirt"]
    assert (found["images_rbd_pool"], found["rbd_user"], found["rbd_secret_uuid"]) == ("vms", "nova", secret_uuid(FSID, "client.nova"))
    (secret,) = rbd.parse(FSID, "10.0.0.1", [{"client": "client.nova", "key": KEY}], []).secrets
    told = xml.read_secret(made["secret-client.nova.xml"]["content"])
    assert (told.uuid, told.usage) == (secret.uuid, secret.usage)
    assert made["secret-client.nova.key"]["secret"] == KEY


@pytest.mark.parametrize("consumers", [(), (GLANCE,), (NOVA,)])
def test_what_a_host_no_longer_needs_is_taken_away(consumers):
    made = openstack_storage_files(consumers, [], FSID, {})
    there = {file["path"] for file in made if file.get("state") != "absent"}
    gone = {file["path"] for file in made if file.get("state") == "absent"}
    assert {f"{FOLDER}/{name}.conf" for name in ("glance-api", "cinder", "nova")} <= there | gone and not there & gone
