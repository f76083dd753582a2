# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be declared of a cluster: its shape, and what is wrong with it before any cluster is asked.

Pure: needs neither Ansible nor Ceph's bindings, so that it runs on the controller too.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, crush, erasure_profiles, filesystems, flags, options, pools, values
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import mapping, record, records, string, strings

# What may be named in prune: undeclared objects of these kinds are deleted (armed).
PRUNABLE = ("pools", "erasure_profiles", "rules", "clients", "options", "filesystems")


OPTIONS: dict[str, t.Any] = {
    "fsid": string("The cluster's fsid. Where it is given, another cluster is refused."),
    "pools": records("Pools.", pools.OPTIONS, default=[]),
    "erasure_profiles": records("Erasure-code profiles. The profile of an existing pool cannot change.", erasure_profiles.OPTIONS, default=[]),
    "crush": record("The CRUSH map.", crush.OPTIONS, default={}, apply_defaults=True),
    "clients": records("cephx clients.", clients.OPTIONS, default=[], no_log=False),
    "consumers": _consumers.CONSUMERS,
    "options": mapping(
        "Options of the configuration database, as a dictionary of sections (V(global), V(osd), V(osd.3), V(osd/class:ssd), V(osd/host:ceph1) …), "
        "each a dictionary of options and values. An empty value removes the option.\n"
        "Values are compared by the type that the cluster says the option has, so V(4G) is V(4294967296), and V(yes) is V(true).",
        default={},
    ),
    "flags": mapping("Cluster-wide flags such as V(noout), as a dictionary of names and truth values.", default={}),
    "mgr_modules": mapping("Modules of the managers, as a dictionary of names and whether they are enabled.", default={}),
    "filesystems": records("CephFS filesystems.", filesystems.OPTIONS, default=[]),
    "require_min_compat_client": string("The oldest release of clients that may connect, for example V(mimic)."),
    "cephx": record("The ciphers of cephx. Needs Ceph 20.2.4.", clients.CEPHX_OPTIONS, default={}),
    "prune": strings(
        "Kinds of which everything is deleted that is not declared. Each deletion needs O(arm).\n"
        "What belongs to Ceph itself or to its daemons is never touched, such as C(client.admin), C(.mgr), or a gateway's pools.",
        choices=[*PRUNABLE],
        default=[],
    ),
}


def declared_problems(
    declaration: t.Mapping[str, t.Any], hosts: t.Optional[int] = None, prefix: str = "ceph_cluster_", now: t.Optional[float] = None
) -> list[str]:
    """Return everything that is wrong with a declaration by itself, each with the variable's name and the mend.

    declaration: keys of OPTIONS, raw as the operator wrote them (defaults need not be filled in); arm is passed over.
    hosts: how many hosts will have OSDs, and now: the time in seconds since 1970, where they are known.
    prefix: what stands before each name; "consumers" never has one.
    """
    found: list[str] = []
    for key, value in declaration.items():
        name = key if key == "consumers" else f"{prefix}{key}"
        if key not in OPTIONS and key != "arm":
            found.append(f"{name}: there is no such variable: one of {', '.join(OPTIONS)}")
        elif key != "arm" and value is not None:
            found += shape_of(value, OPTIONS[key], name)
    if found:  # what follows relies on lists being lists and on names being there
        return found

    def get(key: str) -> t.Any:
        return declaration.get(key) or ([] if OPTIONS[key]["type"] == "list" else {})

    each, of_crush = values.item_problems, {key: get("crush").get(key) or [] for key in crush.OPTIONS}
    found += each(get("pools"), f"{prefix}pools", lambda item: pools.problems(item, get("erasure_profiles"), hosts))
    found += each(get("erasure_profiles"), f"{prefix}erasure_profiles", lambda item: erasure_profiles.problems(item, hosts))
    found += each(of_crush["buckets"], f"{prefix}crush.buckets", crush.bucket_problems, gone_too=True)
    found += each(of_crush["locations"], f"{prefix}crush.locations")
    found += each(of_crush["rules"], f"{prefix}crush.rules", crush.rule_problems)
    found += crush.class_problems(of_crush["device_classes"], f"{prefix}crush.device_classes")
    found += each(get("clients"), f"{prefix}clients", lambda item: clients.problems(item, now), gone_too=True)
    found += each(get("filesystems"), f"{prefix}filesystems", lambda item: filesystems.problems(item, get("filesystems"), get("pools")))
    found += each(get("consumers"), "consumers", lambda item: _consumers.problems(item, get("consumers")))
    found += clients.cephx_problems(get("cephx"), f"{prefix}cephx")
    both = {item["name"] for item in get("clients")} & {_consumers.client_of(item) for item in get("consumers")}
    found += [f"{prefix}clients: {name} is also the client of a consumer, whose caps are derived: take it out of one of them" for name in sorted(both)]
    found += options.problems(get("options"), f"{prefix}options")
    found += flags.problems(get("flags"), f"{prefix}flags")
    found += flags.client_problems(declaration.get("require_min_compat_client"), f"{prefix}require_min_compat_client")
    found += values.not_boolean(get("mgr_modules"), f"{prefix}mgr_modules")
    found += [f"{prefix}prune: '{kind}' is not one of {', '.join(PRUNABLE)}" for kind in get("prune") if kind not in PRUNABLE]
    return found


def shape_of(value: t.Any, spec: t.Mapping[str, t.Any], name: str) -> list[str]:
    """What an argument spec would say of one option's raw value: unknown names, missing names, wrong containers; and words that YAML reads as truth values."""
    kind, choices = spec["type"], spec.get("choices") or ()
    wrong = ""
    if kind == "list" and isinstance(value, (list, tuple)):
        items = enumerate(value if "options" in spec else ())
        return [problem for number, item in items for problem in shape_of(item, {**spec, "type": "dict"}, f"{name}[{number}]")]
    if kind == "dict" and isinstance(value, dict):
        return _shape_of_dict(value, spec.get("options"), name)
    if kind in ("list", "dict"):
        wrong = f"a {'list' if kind == 'list' else 'dictionary'} is wanted"
    elif isinstance(value, (dict, list)):
        wrong = f"one value is wanted, not a {'list' if isinstance(value, list) else 'dictionary'}"
    elif kind == "int" and not str(value).lstrip("-").isdigit():
        wrong = f"'{value}' is not a whole number"
    elif kind == "str" and isinstance(value, bool) and values.word(value, choices) not in choices:
        wanted = f"which is none of {', '.join(choices)}" if choices else "and a text is wanted"
        wrong = f"YAML reads this word as {str(value).lower()}, {wanted}: put it in quotes"
    elif choices and not isinstance(value, bool) and str(value) not in choices:
        wrong = f"'{value}' is not one of {', '.join(choices)}"
    if kind == "float" and not wrong:
        try:
            float(value)
        except ValueError:
            wrong = f"'{value}' is not a number"
    return [f"{name}: {wrong}"] if wrong else []


def _shape_of_dict(value: t.Mapping[str, t.Any], options: t.Optional[t.Mapping[str, t.Any]], name: str) -> list[str]:
    shown = f"{name} ({value['name']})" if value.get("name") else name
    found = [f"{shown}: unknown option '{key}': one of {', '.join(options)}" for key in value if options is not None and key not in options]
    for key, sub in (options or {}).items():
        if value.get(key) is not None:
            found += shape_of(value[key], sub, f"{shown}.{key}")
        elif sub.get("required"):
            found.append(f"{shown}: {key} is missing")
    return found
