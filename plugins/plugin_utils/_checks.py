# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a declared stack, part by part: each part's own judgement of a declaration, given what is declared. Connects nowhere.

A part of the stack is one function here, and one line of CHECKS. What may be there without being declared (a pool, a user of the gateways, a zone that
somebody else has made) is a warning; what cannot be right is a problem. What the proofs name must be declared, so that they prove this stack.

PRIVATE to the collection.
"""

from __future__ import annotations

import time
import typing as t
from urllib.parse import urlsplit

from ansible.errors import AnsibleError
from ansible.template import trust_as_template

from ansible_collections.cephstack.cloud.plugins.filter.cloudstack_hosts import cloudstack_hosts
from ansible_collections.cephstack.cloud.plugins.module_utils import _apt
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import cluster, exports, external, images, namespaces, rgw_site, s3_objects
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import management, primary_storage, region
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import bridge
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import catalogue
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import declaration as openstack
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import twice
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import pool
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _external, _gateways, _host_consumers, _inventory
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _vlan_bridges as vlan_bridges
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _xen_declaration as xen
from ansible_collections.cephstack.cloud.plugins.plugin_utils._stack import SECRETS, Stack, cause

Item = t.Mapping[str, t.Any]
# (host, what is wrong with what is declared of it), "" for the host where the text says whose it is.
Found = t.Iterator[t.Tuple[str, str]]
_CLUSTER = "ceph_cluster_"
_REGION = "cloudstack_region."


def _problems(parse: t.Callable[..., t.Any], *arguments: t.Any) -> list[str]:
    """What a parser of declarations refuses."""
    try:
        parse(*arguments)
    except Invalid as error:
        return error.problems
    return []


def _gone(items: t.Optional[t.Iterable[Item]], key: str = "name") -> set[str]:
    return {item[key] for item in items or () if item.get("state") == "absent"}


def _names(items: t.Optional[t.Iterable[Item]], key: str = "name") -> set[str]:
    return {item[key] for item in items or () if item.get("state") != "absent"}


def of_inventory(stack: Stack) -> Found:
    """Addresses, networks, names; devices and gateways of each host."""
    if not any(specs.get("ceph", {}).get("required") for specs in stack.specs.values()):
        return
    ceph: Item = next(filter(None, (stack.value(name, "ceph") for name in stack.values)), {})
    found, warnings = _inventory.problems(stack.hosts, ceph, stack.roles, stack.monmap)
    stack.warnings += warnings
    yield from (("", text) for text in found)


def of_external(stack: Stack) -> Found:
    """A cluster that others keep."""
    for name in stack.values:
        declared = _external.external_of(stack.value(name, "ceph"))
        if declared:
            needed = external.commands([one for one in stack.value(name, "consumers") or () if one.get("hosts")])
            yield from (("", text) for text in _external.problems(declared, stack.groups, stack.roles, needed))
        if declared and stack.value(name, f"{_CLUSTER}prune"):
            yield "", f"{_CLUSTER}prune: an external cluster is not this inventory's alone: name what is to go, with state: absent"


def of_cluster(stack: Stack) -> Found:
    """Everything of the cluster itself, and its images."""
    first = stack.keeper
    variables = {key: value for key, value in stack.values.get(first, {}).items() if value is not None}
    declared = {key: variables[f"{_CLUSTER}{key}"] for key in cluster.OPTIONS if f"{_CLUSTER}{key}" in variables}
    declared.update({key: variables[key] for key in ("consumers",) if key in variables})
    yield from (("", text) for text in cluster.declared_problems(declared, hosts=len(stack.members("osds")) or None, prefix=_CLUSTER, now=time.time()))
    given = variables.get(f"{_CLUSTER}images") or []
    wrong = _problems(images.parse, given)
    yield from ((first, f"{_CLUSTER}images: {text}") for text in wrong)
    spaces, places = variables.get(f"{_CLUSTER}namespaces") or [], set() if wrong else images.places_of(images.parse(given))
    yield from ((first, f"{_CLUSTER}namespaces: {text}") for text in _problems(namespaces.parse, spaces, declared.get("consumers") or (), places))
    pools = variables.get(f"{_CLUSTER}pools")
    files = [item for item in declared.get("filesystems") or () if item["state"] != "absent"]
    used = [(f"{_CLUSTER}images ({image['pool']}/{image['name']})", image[key]) for image in given for key in _POOLS if image["state"] != "absent"]
    used += [(f"{_CLUSTER}namespaces ({one['name']})", one["pool"]) for one in spaces if one["state"] != "absent"]
    used += [(f"consumers ({item['name']})", one["name"]) for item in declared.get("consumers") or () for one in item["pools"]]
    used += [(f"{_CLUSTER}filesystems ({item['name']})", name) for item in files for name in (item["metadata_pool"], *(item["data_pools"] or ()))]
    for where, name in used if pools is not None else ():
        if name in _gone(pools):
            yield first, f"{where}: the pool {name} is to be absent by {_CLUSTER}pools: keep the pool, or use another"
        elif name and name not in _names(pools):
            stack.warnings.append(f"{first}: {where}: the pool {name} is not declared in {_CLUSTER}pools: it must be there by then")


_POOLS = ("pool", "data_pool")


def of_consumers(stack: Stack) -> Found:
    """Who uses which consumer. Those of the first are everybody's: of a host that owns the cluster or the region, where there is one."""
    order = [stack.keeper, *stack.members("mons"), *stack.members("cloudstack_management"), *stack.values]
    seen = {name: stack.value(name, "consumers") for name in order if stack.value(name, "consumers") is not None}
    found, warnings = _host_consumers.problems(next(iter(seen.values()), None), seen, stack.groups, stack.roles)
    stack.warnings += warnings
    yield from (("", text) for text in found)
    without: dict[str, list[str]] = {}
    for host in (host for host in stack.hosts if host.name in stack.members("kvm_hosts")):
        used = _host_consumers.of_host(seen.get(host.name), host.name, host.groups)
        names = [item["name"] for item in used if item["kind"] == "kvm" and any(pool["namespace"] for pool in item["pools"])]
        system, version = str(host.facts.get("distribution")), str(host.facts.get("distribution_major_version"))
        if names and version.isdigit() and int(version) <= _NO_NAMESPACE_IN_DISKS.get(system, 0):
            text = f"libvirt of {system} {version} cannot name a namespace in a guest's disk, as {', '.join(names)} would need"
            without.setdefault(text, []).append(host.name)
    mend = "11.6 can; until then map images on the host (rbd device map), and give them to guests as block devices. The proof boots no guest there"
    stack.warnings += [f"{', '.join(hosts)}: {text}: {mend}" for text, hosts in without.items()]


# The last release of a distribution with a libvirt before 11.6: Debian 13 has 11.3, Ubuntu 24.04 has 10.0.
_NO_NAMESPACE_IN_DISKS = {"Debian": 13, "Ubuntu": 24}


def of_compute_hosts(stack: Stack) -> Found:
    """KVM hosts that are OpenStack's: what all of its hosts share, and what they are made of."""
    for host in (host for host in stack.hosts if host.name in stack.members("kvm_hosts")):
        used = _host_consumers.of_host(stack.value(host.name, "consumers"), host.name, host.groups)
        names, declared = ", ".join(item["name"] for item in used if item["kind"] == "nova"), stack.value(host.name, "openstack") or {}
        if not names:
            continue
        if "openstack" not in stack.raw(host.name):
            yield host.name, f"openstack is missing, and {names} makes it a compute host: declare it for all hosts"
        elif declared and not declared["address"] and not stack.groups.get(stack.roles.get("openstack_controllers", "openstack_controllers")):
            yield host.name, "openstack.address is missing, and the inventory has no controllers: say where the APIs are, or put hosts into their group"
        for key in ("name", "bridge"):
            for text in twice(network[key] for network in declared.get("networks") or ()):
                yield host.name, f"openstack.networks: the {key} {text} is declared twice: name each once"
        if host.facts.get("os_family", "Debian") != "Debian":
            yield "", f"{host.name} has {host.facts.get('distribution')}, and compute hosts are made of Debian and Ubuntu: take it out of {names}"


def of_object_storage(stack: Stack) -> Found:
    """The realm, users, buckets and objects, which the first of the gateways' hosts makes."""
    first = next(iter(stack.members("rgws")), "")
    kinds = ("site", "users", "buckets", "prune")
    declared = {kind: stack.value(first, f"ceph_rgw_{kind}") for kind in kinds}
    for text in _problems(rgw_site.parse, {**declared, "endpoints": ["http://gateway"]}):  # where they are, is told when they are asked
        yield first, f"ceph_rgw_{'buckets' if text.startswith('bucket ') else 'users'}: {text}"
    objects = stack.value(first, "ceph_rgw_objects") or []
    owners = {item["owner"] for item in objects} - _gone(declared["users"], "uid")
    yield from ((first, f"ceph_rgw_{text}") for text in _problems(s3_objects.parse, objects, owners, True))
    if declared["users"] is None or declared["buckets"] is None:
        return
    users, going = _names(declared["users"], "uid"), _gone(declared["buckets"])
    yield from (
        (first, f"ceph_rgw_objects: the bucket {name} is to be absent by ceph_rgw_buckets: keep one of both")
        for name in sorted(_names(objects, "bucket") & going)
    )
    for name in sorted({item["owner"] for item in [*declared["buckets"], *objects] if item["owner"]} - users - _gone(declared["users"], "uid")):
        stack.warnings.append(f"{first}: the user {name}, who owns buckets or objects, is not declared in ceph_rgw_users: it must be there by then")


def of_openstack_objects(stack: Stack) -> Found:
    """The gateways that are an OpenStack's object storage."""
    declared: Item = next(filter(None, (stack.value(name, "openstack") for name in stack.values)), {})
    try:
        if declared.get("object_gateway"):
            _gateways.object_endpoint(declared["object_gateway"], _variables(stack), stack.groups)
    except ValueError as error:
        yield "", str(error)


def of_exports(stack: Stack) -> Found:
    """What NFS gateways export."""
    declared = {name: stack.value(name, "nfs_gateway_exports") for name in stack.members("nfs_gateways")}
    wrong = {name for name in declared if declared[name] is None and "nfs_gateway_exports" in stack.raw(name)}
    yield from (("", text) for text in exports.declared_problems({name: entries for name, entries in declared.items() if name not in wrong}))
    going = _gone(stack.value(stack.keeper, f"{_CLUSTER}filesystems"))
    for name, entries in declared.items():
        for number, entry in enumerate(entries or ()):
            if entry["state"] != "absent" and entry["filesystem"] in going:
                yield name, f"nfs_gateway_exports[{number}]: the filesystem {entry['filesystem']} is to be absent by {_CLUSTER}filesystems: keep one of both"


def of_xen(stack: Stack) -> Found:
    """Xen hosts, and the images of their guests across them."""
    found, warnings = xen.problems(stack.hosts, stack.roles)
    stack.warnings += warnings
    yield from (("", text) for text in found)


def of_xen_pools(stack: Stack) -> Found:
    """The repositories of a pool of XenServer."""
    variables = _variables(stack)
    for name in stack.members("xen_pool_hosts"):
        declared = stack.value(name, "xen_pool") or {}
        given, found = _gateways.repositories(declared.get("repositories") or [], variables, stack.groups, "192.0.2.1")  # monitors are known by then
        yield from ((name, text) for text in found)
        if not found:
            yield from ((name, text) for text in _problems(pool.parse, given, "xen_pool.repositories"))


def of_bridges(stack: Stack) -> Found:
    """Bridges of KVM hosts, and the names of what CloudStack makes on them."""
    variables = _variables(stack)
    for name in stack.members("kvm_hosts"):
        yield from ((name, f"kvm_host_bridges: {text}") for text in _problems(bridge.parse, stack.value(name, "kvm_host_bridges") or []))
        if not vlan_bridges.is_cloudstack(name, variables[name]):
            continue
        try:
            stack.render(name, trust_as_template("{{ cloudstack_region | default({}) }}"))
        except AnsibleError as error:  # only a run with its server may know all of it
            stack.warnings.append(f"{name}: cloudstack_region: {cause(error)}: whether the names of VLAN bridges are too long was not looked at")
            continue
        declared = stack.first("cloudstack_management", "cloudstack_region")
        stack.warnings += vlan_bridges.warnings(name, {**variables[name], "cloudstack_region": declared})


def _variables(stack: Stack) -> dict[str, dict[str, t.Any]]:
    """The variables of all hosts, with their facts."""
    return {
        host.name: {"inventory_hostname": host.name, "group_names": sorted(host.groups), **host.variables, "ansible_facts": dict(host.facts)}
        for host in stack.hosts
    }


# The distributions, or families of them, of which the hosts of a role are made.
_MADE_OF = {
    **dict.fromkeys(
        ("mons", "mgrs", "osds", "mdss", "rgws", "nfs_gateways", "kvm_hosts", "openstack_hosts"),
        ("os_family", ("Debian", "RedHat"), "Debian, Ubuntu and the EL family"),
    ),
    "xen_hosts": ("os_family", ("Debian",), "Debian and Ubuntu"),
    "cloudstack_management": ("distribution", ("Debian", "Ubuntu"), "Debian and Ubuntu"),
    "openstack_controllers": ("distribution", ("Debian",), "Debian 13"),
}


def of_systems(stack: Stack) -> Found:
    """Hosts with a distribution that their roles know nothing of."""
    facts = {host.name: host.facts for host in stack.hosts}
    for role, (fact, known, words) in _MADE_OF.items():
        for name in stack.members(role):
            if facts[name].get(fact, known[0]) not in known:
                group = stack.roles[role]
                yield "", f"{name} has {facts[name].get('distribution')}, and hosts of {group} are made of {words}: take it out, or install one of them"


def of_packages(stack: Stack) -> Found:
    """The repositories that packages come from."""
    for host in stack.hosts:
        packages = (host.variables.get("ceph") or {}).get("packages") or {}
        if packages.get("source") == "repository":
            yield from (("", text) for text in _apt.problems(packages.get("repository") or {}, "ceph.packages.repository"))
    for name in stack.members("cloudstack_management"):
        packages = (stack.value(name, "cloudstack") or {}).get("packages") or {}
        if packages.get("source") != "folder":
            yield from ((name, text) for text in _apt.problems(packages.get("repository") or {}, "cloudstack.packages.repository"))


def of_secrets(stack: Stack) -> Found:
    """The secrets that nobody has given. They are needed late in a run, when the whole of Ceph is there."""
    for role, paths in SECRETS.items():
        for name in stack.members(role):
            for path in paths:
                parent, _dot, key = path.rpartition(".")
                try:
                    if not stack.render(name, trust_as_template(f"{{{{ {path} if '{key}' in {parent} else '' }}}}")):
                        yield name, f"{path} is not set: keep it in a vault"
                except AnsibleError as error:
                    yield name, f"{path}: {cause(error)}"


def of_servers(stack: Stack) -> Found:
    """What CloudStack's servers cannot use."""
    for name in stack.members("cloudstack_management"):
        declared = stack.value(name, "cloudstack") or {}
        database = declared.get("database") or {}
        if all((database.get("password"), *(declared.get(key) for key in ("management_key", "database_key")))):  # else of_secrets tells
            yield from ((name, f"cloudstack.{text}") for text in management.problems(management.parse({**declared, "address": name})))


def of_controllers(stack: Stack) -> Found:
    """OpenStack's controllers: what their services cannot use, and what they need of other parts of the stack."""
    names = stack.members("openstack_controllers")
    for host in (host for host in stack.hosts if host.name in names):
        declared = stack.value(host.name, "openstack") or {}
        version = host.facts.get("distribution_major_version", "13")
        if host.facts.get("distribution") == "Debian" and version != "13":
            yield "", f"{host.name} has Debian {version}, and controllers are made of Debian 13: take it out of {stack.roles['openstack_controllers']}"
        if all((declared.get(key) or {}).get("password") for key in ("database", "messages")):  # else of_secrets tells
            yield from ((host.name, text) for text in openstack.problems(declared, len(names)))
        if ":" in str(_inventory.address_of(host, [])):
            yield host.name, f"its address is {_inventory.address_of(host, [])}, and the packages serve OpenStack's APIs by IPv4 alone: give it an IPv4 address"
        used = _host_consumers.of_host(stack.value(host.name, "consumers") or [], host.name, host.groups)
        kinds = [item["kind"] for item in used]
        for kind in ("glance", "cinder-backup"):
            if kinds.count(kind) > 1:
                both = " and ".join(item["name"] for item in used if item["kind"] == kind)
                yield host.name, f"consumers: {both} are both of kind {kind}, and a controller has one: keep one of them"
        if "glance" not in kinds:
            yield host.name, f"consumers: none of kind glance has {host.name} or a group of it among its hosts: OpenStack keeps its images there: declare one"
        elif "cinder" not in kinds:
            stack.warnings.append(f"{host.name}: consumers: none of kind cinder has it among its hosts: there are no volumes")
        if "nova" in kinds:
            yield host.name, "it is a controller and a compute host, whose services share one nova.conf: take it out of one of the groups"


def _used_by(stack: Stack, host: str) -> list[dict[str, t.Any]]:
    """The consumers that a host uses."""
    return _host_consumers.of_host(stack.value(host, "consumers"), host, (group for group, members in stack.groups.items() if host in members))


def of_openstack_catalogue(stack: Stack) -> Found:
    """What OpenStack is to offer."""
    first = next(iter(stack.members("openstack_controllers")), "")
    given = stack.value(first, "openstack_catalogue") if first else None
    if given:
        declared = catalogue.with_consumers({**given, "consumers": _used_by(stack, first)})
        yield from ((first, text) for text in catalogue.declared_problems(declared, "openstack_catalogue."))


def of_region(stack: Stack) -> Found:
    """CloudStack's region, and what it needs of other parts of the stack."""
    first = next(iter(stack.members("cloudstack_management")), "")
    given = stack.value(first, "cloudstack_region")
    if not given:
        return
    variables = _variables(stack)
    given, found = _gateways.resolve(given, variables, stack.groups)
    declared = {**given, "zones": cloudstack_hosts(given.get("zones") or [], variables), "consumers": stack.value(first, "consumers")}
    told = tuple(text.partition(": ")[0] for text in found)  # of what has no url for it, no more is said
    found += [text for text in region.declared_problems(declared, _REGION) if not text.startswith(told)]
    if declared["consumers"] is not None:
        found += [text for text in primary_storage.consumer_problems(declared, f"{_REGION}primary_storage") if text not in found]
    yield from ((first, text) for text in found)
    yield from ((first, text) for text in _labels(stack, declared["zones"], variables))
    yield from ((first, text) for text in _stores(stack, declared, variables))
    zones = _names(declared["zones"])
    for option in ("primary_storage", "image_stores", "staging_stores", "networks", "templates"):
        for number, item in enumerate(declared.get(option) or ()):
            if zones and item.get("zone") and item["zone"] not in zones and item["state"] != "absent":
                stack.warnings.append(f"{first}: {_REGION}{option}[{number}]: the zone {item['zone']} is not declared: it must be there by then")


def _names_of(variables: t.Mapping[str, Item], name: str) -> list[str]:
    return _inventory.names_of(_inventory.host_of(variables[name], name))


def _labels(stack: Stack, zones: t.Sequence[Item], variables: t.Mapping[str, Item]) -> t.Iterator[str]:
    """Traffic labels whose bridge a zone's KVM hosts neither have nor are to get."""
    for z, zone in enumerate(zones):
        carried = [(p, traffic) for p, network in enumerate(zone.get("physical_networks") or ()) for traffic in network.get("traffic") or ()]
        labels = {(p, traffic["kvm_label"]) for p, traffic in carried if traffic.get("kvm_label")}
        hosts = [item for pod_ in zone.get("pods") or () for one in pod_.get("clusters") or () if one["hypervisor"] == "kvm" for item in one.get("hosts") or ()]
        known = {str(host.get("address")).lower() for host in hosts} | {str(name).lower() for host in hosts for name in host.get("known_as") or ()}
        for name in stack.members("kvm_hosts"):
            bridges, facts = stack.value(name, "kvm_host_bridges"), variables[name]["ansible_facts"]
            if bridges is None or not known & {one.lower() for one in _names_of(variables, name)}:
                continue
            made = {item["name"] for item in bridges or [{"name": vlan_bridges.UNLABELLED}]}
            for p, label in sorted(labels):
                where = f"{_REGION}zones[{z}] ({zone['name']}).physical_networks[{p}].traffic: the bridge {label}"
                if label in made or label in facts.get("interfaces", ()):
                    continue
                if facts.get("interfaces"):
                    yield f"{where} is not on {name}, and is not in its kvm_host_bridges ({', '.join(sorted(made))}): declare it there, or correct kvm_label"
                else:
                    stack.warnings.append(f"{where} is not in kvm_host_bridges of {name}: it must be there by then")


def _stores(stack: Stack, declared: Item, variables: t.Mapping[str, Item]) -> t.Iterator[str]:
    """Stores whose gateway does not serve them, or not their user."""
    of_name = {name.lower(): host for host in variables for name in _names_of(variables, host)}
    for number, store in enumerate(declared.get("image_stores") or ()):
        url, here = str(store.get("url") or ""), f"{_REGION}image_stores[{number}] ({store['name']}): url"
        host = of_name.get(_host(url))
        if not url.startswith("nfs://") or host is None or store["state"] == "absent":
            continue
        path = urlsplit(url).path
        served = [entry.get("pseudo") or entry["path"] for entry in stack.value(host, "nfs_gateway_exports") or () if entry["state"] != "absent"]
        if host not in stack.members("nfs_gateways"):
            stack.warnings.append(f"{here}: {host} is not in the group {stack.roles['nfs_gateways']}: something else must serve NFS there by then")
        elif served and not any(f"{path}/".startswith(f"{one.rstrip('/')}/") for one in served):
            yield f"{here}: {host} does not export {path} (nfs_gateway_exports has {', '.join(served)}): declare it there, or correct the url"
    users = stack.first("rgws", "ceph_rgw_users")
    for number, store in enumerate(declared.get("object_stores") or ()):
        here, host = f"{_REGION}object_stores[{number}] ({store['name']})", of_name.get(_host(store.get("url")))
        if store["state"] == "absent":
            continue
        if host is not None and host not in stack.members("rgws"):
            stack.warnings.append(f"{here}: url: {host} is not in the group {stack.roles['rgws']}: something else must lead to gateways there by then")
        if store.get("user") in _gone(users, "uid"):
            yield f"{here}: user: {store['user']} is to be absent by ceph_rgw_users: keep the user, or take another"
        elif store.get("user") and users is not None and store["user"] not in _names(users, "uid"):
            stack.warnings.append(f"{here}: user: {store['user']} is not declared in ceph_rgw_users: it must be there by then")


def _host(url: t.Any) -> str:
    try:
        return urlsplit(str(url or "")).hostname or ""
    except ValueError:  # said of the url itself
        return ""


def of_proofs(stack: Stack) -> Found:
    """What the proofs name."""
    users, first = stack.first("rgws", "ceph_rgw_users"), next(iter(stack.members("rgws")), "")
    wanted = (stack.value(first, "verify_objects") or {}).get("users") or []
    if users is not None:
        for uid in sorted({*wanted} - _names(users, "uid")):
            yield first, f"verify_objects.users: {uid} is not declared: declare it in ceph_rgw_users, or leave it out"
    declared = stack.value(stack.keeper, f"{_CLUSTER}images")
    images_ = {f"{image['pool']}/{image['name']}" for image in declared or () if image["state"] != "absent"}
    for name in [*stack.members("kvm_hosts"), *stack.members("xen_hosts")]:
        guest = stack.value(name, "verify_guest") or {}
        golden = guest.get("golden")
        if declared is not None and golden and guest.get("boot") and f"{golden['pool']}/{golden['image']}" not in images_:
            image = f"{golden['pool']}/{golden['image']}"
            yield name, f"verify_guest.golden: the image {image} is not declared: declare it in {_CLUSTER}images, or take golden out"
    server = next(iter(stack.members("cloudstack_management")), "")
    region_, proof = stack.value(server, "cloudstack_region") or {}, stack.value(server, "verify_cloudstack") or {}
    named = [(option, guest[key]) for guest in proof.get("guests") or () for key, option in _OF_GUEST.items() if guest.get(key)]
    named += [("object_stores", name) for name in proof.get("object_stores") or ()]
    for option, name in dict.fromkeys(named):
        if region_.get(option) is not None and name not in _names(region_[option]):
            stack.warnings.append(f"{server}: verify_cloudstack: {name} is not declared in {_REGION}{option}: it must be there by then")
    yield from _of_openstack_proof(stack)


def _of_openstack_proof(stack: Stack) -> Found:
    """What the proof of OpenStack names, and who reads from Ceph what guests and volumes have."""
    first = next(iter(stack.members("openstack_controllers")), "")
    catalogue_, proof = stack.value(first, "openstack_catalogue") or {}, stack.value(first, "verify_openstack") or {}
    guests, volumes = proof.get("guests") or {}, proof.get("volumes") or {}
    named = [(option, guests[key]) for key, option in _OF_OPENSTACK_GUEST.items() if guests.get(key)]
    consumers = stack.value(first, "consumers") or []
    backends = [item for item in _used_by(stack, first) if item["kind"] == "cinder"]
    # The catalogue makes a type of each pool that Cinder's consumers write to.
    types = {pool["name"] for item in backends for pool in item["pools"] if pool["access"] == "rw"}
    for option, name in dict.fromkeys([*named, *(("volume_types", name) for name in volumes.get("types") or ())]):
        if catalogue_.get(option) is not None and name not in _names(catalogue_[option]) | (types if option == "volume_types" else set()):
            stack.warnings.append(f"{first}: verify_openstack: {name} is not declared in openstack_catalogue.{option}: it must be there by then")
    for part, kind in (("guests", "nova"), ("volumes", "cinder")):
        if proof.get(part) is not None and not any(item["kind"] == kind for item in consumers):
            yield first, f"verify_openstack.{part}: there is no consumer of kind {kind}, with whose key it could be read from Ceph: declare it in consumers"


_OF_OPENSTACK_GUEST = {"image": "images", "flavor": "flavors", "network": "networks", "volume_type": "volume_types"}
_OF_GUEST = {"zone": "zones", "template": "templates", "service_offering": "service_offerings", "network": "networks"}

CHECKS: tuple[t.Callable[[Stack], Found], ...] = (
    of_inventory,
    of_external,
    of_cluster,
    of_consumers,
    of_compute_hosts,
    of_object_storage,
    of_openstack_objects,
    of_exports,
    of_systems,
    of_packages,
    of_secrets,
    of_servers,
    of_controllers,
    of_openstack_catalogue,
    of_bridges,
    of_xen,
    of_xen_pools,
    of_region,
    of_proofs,
)
