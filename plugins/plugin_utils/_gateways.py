# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where CloudStack finds the gateways of this inventory: a store names their group or host, and its URL follows. Runs on the controller, connects nowhere.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._spec import string
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _inventory
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _object_gateways as gateways

Item = t.Mapping[str, t.Any]

_GATEWAY = string(
    "The gateway, as a host of the inventory, or as a group, whose first host is meant. It takes the place of C(url), which is for what lies outside."
)
_INSTANCE = string("Which gateway of the host, by its name in C(ceph_rgw_instances). By default the first.")
_NFS = {"gateway": _GATEWAY, "path": string("The export, by the name that clients mount, such as V(/secondary). Beside C(gateway) only.")}
# What may stand in the place of url, which the module does not know; and so url need not be there.
FIELDS: dict[str, dict[str, t.Any]] = {
    "image_stores": _NFS,
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
                url = {"url": _url(key, item, hostvars, groups)} if own and not gone else {}
            except ValueError as error:
                found.append(f"cloudstack_region.{key}[{number}] ({item.get('name') or item.get('zone')}): {error}")
                url = {}
            made[key].append({**rest, **url})
    return made, found


def _url(key: str, item: Item, hostvars: t.Mapping[str, Item], groups: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the url of one that names a gateway. Raises ValueError."""
    name, path = item.get("gateway"), str(item.get("path") or "")
    if not name:
        raise ValueError("gateway is missing: name the group or host of the inventory that path or instance is of, or give url alone")
    if item.get("url"):
        raise ValueError("give gateway or url, not both")
    if "path" in FIELDS[key] and not path.startswith("/"):
        raise ValueError(f"path: '{path}' does not begin with a slash: beside gateway it says where it is there")
    members = groups.get(name, [name] if name in hostvars else None)
    if not members:
        unknown = "is neither a group nor a host of the inventory" if members is None else "is a group without hosts"
        raise ValueError(f"gateway: '{name}' {unknown}: name a gateway's, or give url")
    host = _inventory.host_of(hostvars[members[0]], members[0])
    if "instance" not in FIELDS[key]:
        _check_export(host, path)
        address = _address(host)
        return f"nfs://{f'[{address}]' if ':' in address else address}{path}"
    return _object_gateway(host, item.get("instance"), groups) + path


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
