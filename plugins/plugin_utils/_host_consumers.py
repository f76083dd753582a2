# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of the inventory use which consumer. Pure. Runs on the controller.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import KINDS, SERVICES, client_of, granted, kind_of, pools_of

# Kinds that hosts of the inventory can use, each with the groups whose hosts get what it needs (the roles' default names of the groups). The last one is of an
# OpenStack that others keep.
HOSTS_OF = {
    "kvm": ("kvm_hosts",),
    "xen": ("xen_hosts",),
    "cloudstack": ("kvm_hosts",),
    "nova": ("kvm_hosts", "openstack_hosts"),
    **dict.fromkeys(("glance", "cinder", "cinder-backup"), ("openstack_controllers", "openstack_hosts")),
}


def hosts_of(consumer: t.Mapping[str, t.Any]) -> list[str]:
    """The groups and hosts that use it, as declared: a list, or one text with commas, which Ansible takes for a list as well."""
    given = consumer.get("hosts") or []
    return [part.strip() for part in given.split(",")] if isinstance(given, str) else [str(part) for part in given]


def complete(consumer: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A declared consumer with the defaults of what is left out."""
    return {**consumer, "client": client_of(consumer), "kind": kind_of(consumer), "hosts": hosts_of(consumer), "pools": pools_of(consumer)}


def of_host(declared: t.Optional[t.Iterable[t.Mapping[str, t.Any]]], host: str, groups: t.Iterable[str]) -> list[dict[str, t.Any]]:
    """The consumers that a host uses, with defaults. groups: those that it is in."""
    names = {"all", host, *groups}
    return [complete(consumer) for consumer in declared or () if not names.isdisjoint(hosts_of(consumer))]


def problems(declared: t.Any, seen: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]], roles: t.Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(problems, warnings) of all consumers beside the inventory.

    declared: the variable consumers, as all hosts should have it. seen: as each host of the stack has it. groups: the inventory's, with their hosts.
    roles: which group plays which role, {"kvm_hosts": "kvm_hosts", ...}; of such a name there may be no group, as nothing plays that role.
    """
    consumers = [item for item in declared or () if isinstance(item, t.Mapping) and item.get("name") and item.get("pools")]
    found = []
    for number, item in enumerate(consumers):
        found += [f"consumers[{number}] ({item['name']}): hosts: {text}" for text in _host_problems(item, groups, roles)]

    def uses_any(host: str) -> bool:
        return bool(of_host(consumers, host, (group for group, members in groups.items() if host in members)))

    own = [name for name, value in seen.items() if (value or []) != (declared or []) and (value or uses_any(name))]
    if own:
        mend = "declare it once for all hosts (group_vars/all), and say in a consumer's hosts which groups and hosts use it"
        found.append(f"{', '.join(own)}: consumers is another one than that of all hosts: {mend}")
    warnings = []
    for kind, role in ((kind, role) for kind, those in HOSTS_OF.items() for role in those):
        unused = [item["name"] for item in consumers if kind_of(item) == kind and not hosts_of(item)]
        idle = [host for host in groups.get(roles.get(role, role), ()) if not uses_any(host)]
        if unused and idle:
            mend = f"where they are to use one, write hosts: [{roles.get(role, role)}], or the hosts' names"
            warnings.append(f"{', '.join(idle)}: use no consumer, and those of kind {kind} ({', '.join(unused)}) name no hosts: {mend}")
    for host in groups.get("all", ()):
        used = of_host(consumers, host, (group for group, members in groups.items() if host in members))
        found += [f"{host}: {text}" for text in _together(used)]
    return found, [*warnings, *_unreadable(consumers)]


def _together(used: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    """What one host cannot be at once."""
    named = {kind: [item["name"] for item in used if item["kind"] == kind] for kind in ("cloudstack", "nova")}
    if all(named.values()):
        yield f"CloudStack ({', '.join(named['cloudstack'])}) and Nova ({', '.join(named['nova'])}) cannot share a host: give each hosts of its own"
    if len(named["nova"]) > 1:
        yield f"{' and '.join(named['nova'])} are both of kind nova, and a host has one nova-compute: name it in one of them"
    services: dict[str, set[str]] = {}
    for item in used:
        services.setdefault(item["client"], set()).update([SERVICES[item["kind"]]] if item["kind"] in SERVICES else [])
    for client, those in services.items():
        if len(those) > 1:
            yield f"{client} is the client of {' and '.join(sorted(those))}, which run as different users: give each its own client"


_CLONES = {
    "cinder": "a volume of its images is a whole copy",
    "nova": "no guest starts from its images",
}


def _unreadable(consumers: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    """Pools of images that those who are to clone them may not read, by whichever consumer of the same client."""
    images = dict.fromkeys(pool["name"] for item in consumers if kind_of(item) == "glance" for pool in pools_of(item))
    for item in consumers:
        mine = {grant.pool for other in consumers if client_of(other) == client_of(item) for grant in granted(other)}
        for pool in images if kind_of(item) in _CLONES else ():
            if pool not in mine:
                yield f"{item['name']}: may not read Glance's pool {pool}, so that {_CLONES[kind_of(item)]}: add it to its pools, with access ro or rw"


def _host_problems(item: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]], roles: t.Mapping[str, str]) -> t.Iterator[str]:
    names, kind = hosts_of(item), kind_of(item)
    unknown = [name for name in names if name not in groups and name not in groups.get("all", ()) and name not in roles.values()]
    for name in unknown:
        yield f"'{name}' is neither a group nor a host of the inventory: write the name of one"
    if names and kind in KINDS and kind not in HOSTS_OF:
        yield f"no hosts are set up for the kind {kind}: leave hosts out, and give {client_of(item)} to those who use it"
    elif names and kind in HOSTS_OF:
        wanted = [roles.get(role, role) for role in HOSTS_OF[kind]]
        named = dict.fromkeys(host for name in names if name not in unknown for host in groups.get(name, [name] if name in groups.get("all", ()) else ()))
        strange = [host for host in named if not any(host in groups.get(group, ()) for group in wanted)]
        if strange:
            those = f"the group {wanted[0]}" if len(wanted) == 1 else f"the groups {' and '.join(wanted)}"
            yield f"what the kind {kind} needs is set up on the hosts of {those} alone, and not on {', '.join(strange)}: name others, or put it there"
