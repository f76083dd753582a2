# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores that name a gateway of the inventory get its url."""

from __future__ import annotations

import copy
import json
import pathlib

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.cephstack.cloud.plugins.filter.cloudstack_stores import cloudstack_stores
from ansible_collections.cephstack.cloud.plugins.filter.xen_repositories import xen_repositories
from ansible_collections.cephstack.cloud.plugins.plugin_utils._gateways import object_storage, repositories, resolve
from ansible_collections.cephstack.cloud.plugins.plugin_utils._object_gateways import INSTANCES

ROOT = pathlib.Path(__file__).resolve().parents[3]
CEPH = {"public_network": "192.0.2.0/24"}
EXPORTS = [{"path": "/cloudstack/secondary", "pseudo": "/secondary"}, {"path": "/images"}, {"path": "/old", "state": "absent"}]
TLS = [{"name": "s3", "port": 8080}, {"name": "tls", "port": 8443, "certificate": "/c.pem"}]
HOSTVARS = {
    "nfs1": {"ansible_host": "192.0.2.12", "ceph": CEPH, "nfs_gateway_exports": EXPORTS},
    "nfs2": {"ansible_host": "nfs2.example.org", "ceph_common_address": "192.0.2.13", "ceph": CEPH, "nfs_gateway_exports": [{"path": "/secondary"}]},
    "six": {"ansible_host": "fd00::7", "ceph": {"public_network": "fd00::/64"}, "nfs_gateway_exports": EXPORTS},
    "rgw1": {"ansible_host": "192.0.2.21", "ceph": CEPH},
    "rgw2": {"ansible_host": "192.0.2.22", "ceph": CEPH, "ceph_rgw_instances": TLS},
    "lost": {"ansible_host": "10.0.0.1", "ceph": CEPH, "nfs_gateway_exports": EXPORTS, "ceph_rgw_instances": []},
}
GROUPS = {"all": [*HOSTVARS], "nfs_gateways": ["nfs1", "nfs2"], "rgws": ["rgw1", "rgw2", "lost"], "none": []}


def urls(key, **item):
    made, found = resolve({key: [{"name": "x", **item}]}, HOSTVARS, GROUPS)
    assert found == []
    assert set(made[key][0]) == {"name", "url", *item} - {"gateway", "path", "instance"}
    return made[key][0]["url"]


@pytest.mark.parametrize(
    ("key", "item", "url"),
    [
        ("image_stores", {"gateway": "nfs_gateways", "path": "/secondary"}, "nfs://192.0.2.12/secondary"),
        ("image_stores", {"gateway": "nfs2", "path": "/secondary"}, "nfs://192.0.2.13/secondary"),
        ("image_stores", {"gateway": "nfs1", "path": "/images/of/zone1"}, "nfs://192.0.2.12/images/of/zone1"),
        ("staging_stores", {"gateway": "six", "path": "/images"}, "nfs://[fd00::7]/images"),
        ("object_stores", {"gateway": "rgws"}, "http://192.0.2.21:8080"),
        ("object_stores", {"gateway": "rgw2", "instance": "tls"}, "https://192.0.2.22:8443"),
        ("templates", {"gateway": "rgws", "path": "/templates/a.qcow2"}, "http://192.0.2.21:8080/templates/a.qcow2"),
    ],
)
def test_the_url_of_a_gateway(key, item, url):
    assert urls(key, **item) == url


def test_what_has_a_url_and_all_the_rest_is_left_alone():
    region = {"zones": [{"name": "z"}], "image_stores": [{"name": "x", "url": "nfs://a/b"}], "object_stores": [], "templates": "not a list"}
    before = copy.deepcopy(region)
    assert resolve(region, HOSTVARS, GROUPS) == (region, []) and region == before


def test_what_is_absent_by_name_needs_no_gateway_any_more():
    made, found = resolve({"image_stores": [{"name": "x", "state": "absent", "gateway": "gone", "path": "/secondary"}]}, HOSTVARS, GROUPS)
    assert (made["image_stores"], found) == ([{"name": "x", "state": "absent"}], [])
    made, found = resolve({"staging_stores": [{"zone": "z", "state": "absent", "gateway": "nfs1", "path": "/images"}]}, HOSTVARS, GROUPS)
    assert (made["staging_stores"][0]["url"], found) == ("nfs://192.0.2.12/images", [])  # known by its url


@pytest.mark.parametrize(
    ("key", "item", "said"),
    [
        ("image_stores", {"gateway": "nfs3", "path": "/secondary"}, "(x): gateway: 'nfs3' is neither a group nor a host of the inventory: name a gateway's"),
        ("image_stores", {"gateway": "none", "path": "/secondary"}, "gateway: 'none' is a group without hosts"),
        ("image_stores", {"gateway": "nfs1", "path": "/secondry"}, "path: nfs1 exports /secondary, /images, and not /secondry: mend it, or declare it there"),
        ("image_stores", {"gateway": "nfs1", "path": "/secondary2"}, "and not /secondary2"),
        ("image_stores", {"gateway": "nfs1", "path": "/old"}, "and not /old"),
        ("image_stores", {"gateway": "rgw1", "path": "/secondary"}, "path: rgw1 exports nothing, and not /secondary"),
        ("image_stores", {"gateway": "nfs1", "path": "secondary"}, "path: 'secondary' does not begin with a slash"),
        ("image_stores", {"gateway": "nfs1"}, "path: '' does not begin with a slash"),
        ("image_stores", {"gateway": "nfs1", "path": "/images", "url": "nfs://a/b"}, "give gateway or url, not both"),
        ("image_stores", {"path": "/images"}, "gateway is missing: name the group or host"),
        ("image_stores", {"gateway": "lost", "path": "/images"}, "gateway: lost has no address in ceph.public_network (192.0.2.0/24) that is known"),
        ("object_stores", {"gateway": "nfs1"}, "gateway: nfs1 is not in the group rgws, and so no object gateway"),
        ("object_stores", {"gateway": "rgw2", "instance": "x"}, "instance: rgw2 has s3, tls, and not x (ceph_rgw_instances)"),
        ("object_stores", {"gateway": "lost"}, "gateway: lost has no ceph_rgw_instances"),
        ("templates", {"gateway": "rgws"}, "path: '' does not begin with a slash"),
    ],
)
def test_what_is_wrong_with_a_gateway_is_told(key, item, said):
    region = {key: [{"name": "x", **item}]}
    _made, (found,) = resolve(region, HOSTVARS, GROUPS)
    assert found.startswith(f"cloudstack_region.{key}[0] (x): ") and said in found
    with pytest.raises(AnsibleFilterError, match="cloudstack_region"):
        cloudstack_stores(region, HOSTVARS, GROUPS)


def test_an_s3_store_of_a_gateway_needs_no_endpoint():
    def endpoint(**item):
        made, found = resolve({"image_stores": [{"name": "x", "provider": "s3", "s3": {"bucket": "b"}, **item}]}, HOSTVARS, GROUPS)
        return found or made["image_stores"]

    assert endpoint(gateway="rgws") == [{"name": "x", "provider": "s3", "s3": {"bucket": "b", "endpoint": "192.0.2.21:8080", "https": False}}]
    assert endpoint(gateway="rgw2", instance="tls")[0]["s3"] == {"bucket": "b", "endpoint": "192.0.2.22:8443", "https": True}
    assert endpoint(gateway="rgws", s3={"endpoint": "rgw.example.org"})[0].endswith("give gateway or s3.endpoint, not both")
    assert endpoint(gateway="rgws", path="/b")[0].endswith("path: of an S3 store it is s3.bucket that says where it is")
    assert "gateway: nfs1 is not in the group rgws" in endpoint(gateway="nfs1")[0]


def test_repositories_of_a_pool_get_their_servers():
    def servers(mon_host="", **item):
        made, found = repositories([{"name": "x", **item}], HOSTVARS, GROUPS, mon_host)
        return found or made[0].get("server")

    assert servers(type="nfs", gateway="nfs_gateways", path="/secondary") == "192.0.2.12"
    assert servers(type="nfs", server="10.0.0.1", path="/secondary") == "10.0.0.1"
    assert servers(type="cephfs", server="10.0.0.1", mon_host="192.0.2.11") == "10.0.0.1"
    by_rank = "[v2:192.0.2.11:3300,v1:192.0.2.11:6789],[v1:192.0.2.12:6789/0],192.0.2.13"
    assert servers(type="cephfs", mon_host=by_rank) == "192.0.2.11,192.0.2.12,192.0.2.13"
    assert servers(type="cephfs") is None and servers(type="lvm", mon_host=by_rank) is None
    assert servers(type="nfs", gateway="nobody", state="absent") is None
    for item, said in (
        ({"type": "nfs", "gateway": "nfs1", "path": "/nowhere"}, "path: nfs1 exports /secondary, /images, and not /nowhere"),
        ({"type": "nfs", "gateway": "nfs1", "server": "10.0.0.1", "path": "/secondary"}, "give gateway or server, not both"),
        ({"type": "cephfs", "gateway": "nfs1", "path": "/secondary"}, "gateway: it is of NFS, and the type is another"),
        ({"type": "nfs", "gateway": "nobody", "path": "/secondary"}, "gateway: 'nobody' is neither a group nor a host"),
    ):
        assert servers(**item)[0].startswith(f"xen_pool.repositories (x): {said}")
    with pytest.raises(AnsibleFilterError, match="nobody"):
        xen_repositories([{"name": "x", "type": "nfs", "gateway": "nobody", "path": "/secondary"}], HOSTVARS, GROUPS)


def test_all_is_told_at_once():
    item = {"name": "x", "gateway": "nobody", "path": "/a"}
    _made, found = resolve({"image_stores": [item, item], "templates": [item]}, HOSTVARS, GROUPS)
    assert [text.partition(" ")[0] for text in found] == [
        "cloudstack_region.image_stores[0]",
        "cloudstack_region.image_stores[1]",
        "cloudstack_region.templates[0]",
    ]


def test_the_gateways_of_a_host_that_declares_none_are_the_role_s():
    defaults = yaml.safe_load((ROOT / "roles" / "ceph_rgw" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert [*INSTANCES] == defaults["ceph_rgw_instances"]


OPENSTACK = {
    "admin_password": "a-secret", "service_password": "b-secret", "database": {"password": "c-secret"}, "messages": {"password": "d-secret"},
    "object_gateway": "plain",
}  # fmt: skip
CONTROLLERS = {"control1": {"ansible_host": "192.0.2.31"}, "control2": {"ansible_host": "192.0.2.32"}}


def objects_of(gateway, controllers=tuple(CONTROLLERS), **more):
    groups = {**GROUPS, "plain": ["rgw1", "rgw2"], "names": ["rgw3"]}
    named = {"ansible_host": "192.0.2.23", "ceph": CEPH, "ceph_rgw_instances": TLS[1:], "ceph_rgw_site": {"hostnames": ["s3.example.org"]}}
    groups["rgws"] = [*groups["rgws"], "rgw3"]
    return object_storage({**OPENSTACK, "object_gateway": gateway, **more}, {**HOSTVARS, **CONTROLLERS, "rgw3": named}, groups, controllers)


@pytest.mark.parametrize(
    ("gateway", "hosts", "where"),
    [
        ("plain", ["rgw1", "rgw2"], "http://192.0.2.21:8080"),
        ("rgw2", ["rgw2"], "http://192.0.2.22:8080"),
        ("names", ["rgw3"], "https://s3.example.org:8443"),
    ],
)
def test_the_gateways_of_an_openstack(gateway, hosts, where):
    found = objects_of(gateway)
    assert (found["hosts"], found["endpoint"]) == (hosts, f"{where}/swift/v1/AUTH_%(project_id)s")
    assert found["options"]["rgw_keystone_url"] == "http://192.0.2.31:5000"
    assert "-secret" not in json.dumps(found), "the configuration database shows its options to everybody who may ask it"


def test_gateways_ask_keystone_where_it_is_declared():
    tls = {"certificate": "/c", "key": "/k"}
    assert objects_of("plain", address="cloud.example.org", tls=tls)["options"]["rgw_keystone_url"] == "https://cloud.example.org:5000"
    assert objects_of("plain", [], address="fd00::9")["options"]["rgw_keystone_url"] == "http://[fd00::9]:5000"
    assert object_storage({}, HOSTVARS, GROUPS, []) == objects_of(None) == {}


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ("rgwz", "openstack.object_gateway: 'rgwz' is neither a group nor a host of the inventory: name a gateway's"),
        ("none", "openstack.object_gateway: 'none' is a group without hosts"),
        ("nfs1", "openstack.object_gateway: nfs1 is not in the group rgws, and so no object gateway: name one"),
        ("lost", "openstack.object_gateway: lost has no ceph_rgw_instances"),
    ],
)
def test_what_an_openstack_names_must_be_gateways(gateway, said):
    with pytest.raises(ValueError, match=f"^{said}(: name a gateway's)?$"):
        objects_of(gateway)
