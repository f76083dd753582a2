# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of the inventory use which consumer. Pure. Runs on the controller.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import KINDS, client_of, kind_of, pools_of

# Kinds that hosts of the inventory can use, each with the group whose hosts get what it needs (the role's default name of the group).
HOSTS_OF = {"kvm": "kvm_hosts", "xen": "xen_hosts", "cloudstack": "kvm_hosts"}


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
    for kind, role in HOSTS_OF.items():
        unused = [item["name"] for item in consumers if kind_of(item) == kind and not hosts_of(item)]
        idle = [host for host in groups.get(roles.get(role, role), ()) if not uses_any(host)]
        if unused and idle:
            mend = f"where they are to use one, write hosts: [{roles.get(role, role)}], or the hosts' names"
            warnings.append(f"{', '.join(idle)}: use no consumer, and those of kind {kind} ({', '.join(unused)}) name no hosts: {mend}")
    return found, warnings


def _host_problems(item: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]], roles: t.Mapping[str, str]) -> t.Iterator[str]:
    names, kind = hosts_of(item), kind_of(item)
    unknown = [name for name in names if name not in groups and name not in groups.get("all", ()) and name not in roles.values()]
    for name in unknown:
        yield f"'{name}' is neither a group nor a host of the inventory: write the name of one"
    if names and kind in KINDS and kind not in HOSTS_OF:
        yield f"no hosts are set up for the kind {kind}: leave hosts out, and give {client_of(item)} to those who use it"
    elif names and kind in HOSTS_OF:
        group = roles.get(HOSTS_OF[kind], HOSTS_OF[kind])
        named = dict.fromkeys(host for name in names if name not in unknown for host in groups.get(name, [name] if name in groups.get("all", ()) else ()))
        strange = [host for host in named if host not in groups.get(group, ())]
        if strange:
            yield f"what the kind {kind} needs is set up on the hosts of the group {group} alone, and not on {', '.join(strange)}: name others, or put it there"
