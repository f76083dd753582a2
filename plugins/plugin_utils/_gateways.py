# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where others find the gateways of this inventory: a store names their group or host, and its address follows. Runs on the controller, connects nowhere.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t
from urllib.parse import urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import declaration
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import string
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _inventory
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _object_gateways as gateways

Item = t.Mapping[str, t.Any]

_GATEWAY = string(
    "The gateway, as a host of the inventory, or as a group, whose first host is meant. It takes the place of C(url), which is for what lies outside."
)
_INSTANCE = string("Which gateway of the host, by its name in C(ceph_rgw_instances). By default the first.")
_NFS = {"gateway": _GATEWAY, "path": string("The export, by the name that clients mount, such as V(/secondary). Beside C(gateway) only.")}
# The same for a repository of a XenServer pool, in the place of server.
REPOSITORY: dict[str, t.Any] = {
    "gateway": string("The NFS gateway, as a host of the inventory, or as a group, whose first host is meant, in the place of C(server). For V(nfs) only."),
    "server": {"description": "The NFS server, or the monitors of V(cephfs), separated by commas. By default those of the cluster that is declared."},
}
# What may stand in the place of url, which the module does not know; and so url need not be there.
FIELDS: dict[str, dict[str, t.Any]] = {
    "image_stores": {**_NFS, "instance": {**_INSTANCE, "description": f"{_INSTANCE['description']} For V(s3) only, whose C(s3) then needs no C(endpoint)."}},
    "staging_stores": {**_NFS, "url": {"required": None}},
    "object_stores": {"gateway": _GATEWAY, "instance": _INSTANCE},
    "templates": {"gateway": _GATEWAY, "instance": _INSTANCE, "path": string("Bucket and object, such as V(/templates/image.qcow2). Beside C(gateway) only.")},
}


def resolve(region: Item, hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]]) -> tuple[dict[str, t.Any], list[str]]:
    """Return a region as declared, with the urls of what names a gateway; and all that is wrong with those. What has another shape is not looked at."""
    found: list[str] = []
    made = dict(region)
    for key, fields in FIELDS.items():
        if not region.get(key) or not all(isinstance(item, t.Mapping) for item in region[key]):
            continue
        made[key] = []
        for number, item in enumerate(region[key]):
            own = {name for name in fields if name != "url" and item.get(name) is not None}
            rest = {name: value for name, value in item.items() if name not in fields or name == "url"}
            gone = item.get("state") == "absent" and "name" in item  # by its name alone
            try:
                url = _place(key, item, hostvars, groups) if own and not gone else {}
            except ValueError as error:
                found.append(f"cloudstack_region.{key}[{number}] ({item.get('name') or item.get('zone')}): {error}")
                url = {}
            made[key].append({**rest, **url})
    return made, found


def _place(key: str, item: Item, hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]]) -> dict[str, t.Any]:
    """Return the url of one that names a gateway, or of an S3 store what stands in the place of one. Raises ValueError."""
    if key != "image_stores" or item.get("provider") != "s3":
        return {"url": _url(key, item, hostvars, groups)}
    s3 = item.get("s3") or {}
    if s3.get("endpoint"):
        raise ValueError("give gateway or s3.endpoint, not both")
    if item.get("path"):
        raise ValueError("path: of an S3 store it is s3.bucket that says where it is")
    url = urlsplit(_object_gateway(_member(item, hostvars, groups), item.get("instance"), groups))
    return {"s3": {**s3, "endpoint": url.netloc, "https": url.scheme == "https"}}


def repositories(
    declared: t.Sequence[Item], hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]], mon_host: str
) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Return the repositories of a XenServer pool with their servers, and all that is wrong with those. mon_host: the monitors, "" where they are not known."""
    made, found = [], []
    for item in declared:
        rest = {name: value for name, value in item.items() if name != "gateway"}
        if item.get("type") == "cephfs" and not item.get("server") and mon_host:
            rest["server"] = ",".join(_plain(part) for part in re.split(r",(?![^\[]*\])", mon_host))
        if item.get("gateway") and item.get("state") != "absent":
            try:
                rest["server"] = _server(item, hostvars, groups)
            except ValueError as error:
                found.append(f"xen_pool.repositories ({item.get('name')}): {error}")
        made.append(rest)
    return made, found


# Where gateways have the password of their user of Keystone: Ceph shows everybody who may ask it what its configuration database holds.
KEYSTONE_PASSWORD = "/etc/ceph/keystone.password"


def object_storage(declared: Item, hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]], controllers: t.Sequence[str]) -> dict[str, t.Any]:
    """Return the object storage of an OpenStack: hosts, those of its gateways; the endpoint for its catalogue; and the options of these gateways.

    {} where it has none. declared: the variable openstack. controllers: its hosts. Raises ValueError.
    """
    if not declared.get("object_gateway"):
        return {}
    hosts, endpoint = object_endpoint(declared["object_gateway"], hostvars, groups)
    known = [_inventory.address_of(_inventory.host_of(hostvars[one], one)) for one in controllers]
    keystone = declaration.of(declared, [address for address in known if address]).url("keystone")
    return {"hosts": hosts, "endpoint": endpoint, "options": keystone_options(keystone)}


def object_endpoint(name: str, hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]]) -> tuple[list[str], str]:
    """Return the hosts of a group or host that openstack.object_gateway names, and the endpoint of its first gateway. Raises ValueError."""
    try:
        host = _member({"gateway": name}, hostvars, groups)
        members = groups.get(name) or [host.name]
        url, *_others = [_object_gateway(_inventory.host_of(hostvars[one], one), None, groups) for one in members]
    except ValueError as error:
        raise ValueError(f"openstack.object_{str(error).partition(', or give url')[0]}") from error
    names = (host.variables.get("ceph_rgw_tls") or {}).get("names") or (host.variables.get("ceph_rgw_site") or {}).get("hostnames")
    if url.startswith("https:") and names:  # which the certificate is for
        url = f"https://{names[0]}:{urlsplit(url).port}"
    return list(members), f"{url}/swift/v1/AUTH_%(project_id)s"


def keystone_options(url: str) -> dict[str, t.Any]:
    """The options by which a gateway takes the users of Keystone, beside its own."""
    return {
        "rgw_keystone_url": url,
        "rgw_keystone_api_version": 3,
        "rgw_keystone_admin_user": declaration.OBJECTS_USER,
        "rgw_keystone_admin_password_path": KEYSTONE_PASSWORD,
        "rgw_keystone_admin_domain": "Default",
        "rgw_keystone_admin_project": declaration.SERVICE_PROJECT,
        "rgw_keystone_accepted_roles": "admin, manager, member",
        # Each project is a tenant, so that two projects can have buckets of one name.
        "rgw_keystone_implicit_tenants": "true",
        "rgw_s3_auth_use_keystone": True,
        # The gateways' own users are asked for first: they go on working while Keystone does not answer.
        "rgw_s3_auth_order": "sts, local, external",
        "rgw_swift_account_in_url": True,
    }


def _server(item: Item, hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]]) -> str:
    if item.get("type") != "nfs":
        raise ValueError("gateway: it is of NFS, and the type is another: leave it out")
    if item.get("server"):
        raise ValueError("give gateway or server, not both")
    host = _member(item, hostvars, groups)
    _check_export(host, str(item.get("path") or ""))
    return _address(host)


def _plain(monitor: str) -> str:
    """A part of mon_host as an address alone: [v2:192.0.2.1:3300,v1:192.0.2.1:6789] is 192.0.2.1."""
    first = re.match(r"\[v\d:(.+?):\d+(?:/\d+)?[,\]]", monitor)
    return first[1] if first else monitor


def _url(key: str, item: Item, hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the url of one that names a gateway. Raises ValueError."""
    name, path = item.get("gateway"), str(item.get("path") or "")
    if not name:
        raise ValueError("gateway is missing: name the group or host of the inventory that path or instance is of, or give url alone")
    if item.get("url"):
        raise ValueError("give gateway or url, not both")
    if "path" in FIELDS[key] and not path.startswith("/"):
        raise ValueError(f"path: '{path}' does not begin with a slash: beside gateway it says where it is there")
    host = _member(item, hostvars, groups)
    if key in ("image_stores", "staging_stores"):
        _check_export(host, path)
        address = _address(host)
        return f"nfs://{f'[{address}]' if ':' in address else address}{path}"
    return _object_gateway(host, item.get("instance"), groups) + path


def _member(item: Item, hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]]) -> _inventory.Host:
    """The host that is meant by a gateway. Raises ValueError."""
    name = item["gateway"]
    members = groups.get(name, [name] if name in hostvars else None)
    if not members:
        unknown = "is neither a group nor a host of the inventory" if members is None else "is a group without hosts"
        raise ValueError(f"gateway: '{name}' {unknown}: name a gateway's, or give url")
    return _inventory.host_of(hostvars[members[0]], members[0])


def _address(host: _inventory.Host) -> str:
    """The address by which clients of Ceph reach it, as the gateways themselves are told."""
    network = (host.variables.get("ceph") or {}).get("public_network")
    address = _inventory.address_of(host, _inventory.networks(network))
    if address is None:
        raise ValueError(f"gateway: {host.name} has no address in ceph.public_network ({network}) that is known: set ceph_common_address for it")
    return address


def _check_export(host: _inventory.Host, path: str) -> None:
    exports = [item for item in host.variables.get("nfs_gateway_exports") or () if item.get("state") != "absent"]
    names = [str(item.get("pseudo") or item.get("path")) for item in exports]
    if not any(f"{path}/".startswith(f"{name.rstrip('/')}/") for name in names):
        raise ValueError(f"path: {host.name} exports {', '.join(names) or 'nothing'}, and not {path}: mend it, or declare it there (nfs_gateway_exports)")


def _object_gateway(host: _inventory.Host, name: t.Optional[str], groups: t.Mapping[str, t.Sequence[str]]) -> str:
    group = (host.variables.get("ceph_common_groups") or {}).get("rgws", "rgws")
    if host.name not in groups.get(group, ()):
        raise ValueError(f"gateway: {host.name} is not in the group {group}, and so no object gateway: name one, or give url")
    instances = host.variables.get("ceph_rgw_instances", gateways.INSTANCES)
    chosen = next((one for one in instances if name in (None, one.get("name"))), None)
    if chosen is None:
        has = ", ".join(str(one.get("name")) for one in instances) or "none"
        raise ValueError(f"instance: {host.name} has {has}, and not {name} (ceph_rgw_instances)" if name else f"gateway: {host.name} has no ceph_rgw_instances")
    return gateways.urls(_address(host), gateways.listeners(chosen))[0]
