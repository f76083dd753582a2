# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volume types and QoS: the tiers of which a volume is made. A Cinder backend for each pool, and a volume type for each backend.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import kind_of, pools_of
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.draft import Draft, Item, Sort, fields, names_wrong, or_empty, pairs_as_sent, set_pairs
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import Cloud
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, mapping, presence, string, strings

OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is offered. Cinder refuses to delete one of which there are volumes."),
    "description": string("What people read of it. Left out, it is left alone."),
    "public": boolean("Whether all projects see it. Left out, it is left alone."),
    "backend": string("The Cinder backend (C(volume_backend_name)) whose volumes are of it, which is named as its pool."),
    "extra_specs": mapping("What else Cinder is to do for volumes of it. All of it, but for the backend; left out, it is left alone."),
    "qos": string("The QoS that its volumes have, empty for none. Left out, it is left alone."),
    "projects": strings("The projects that see one that is not public. All of them; left out, they are left alone."),
}
QOS_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is there. Cinder refuses to delete one that a volume type has."),
    "consumer": choice("Who keeps to it, the hypervisor (V(front-end)) or the storage (V(back-end)). Ceph's volumes need the first.",
                       ["front-end", "back-end", "both"], default="front-end"),
    "specs": mapping("The limits, such as V(total_iops_sec=500), V(total_bytes_sec=100000000). All of them; left out, they are left alone."),
}  # fmt: skip
_BACKEND = "volume_backend_name"
_SORT = Sort("volume_type", "volume_types", "block-storage", "/types", "volume_type", fields("description", description=or_empty("description")), "PUT")
_QOS = Sort("qos", "qos", "block-storage", "/qos-specs", "qos_specs", fields("consumer"), "PUT")


def of_consumers(consumers: t.Iterable[Item], declared: t.Sequence[Item]) -> list[dict[str, t.Any]]:
    """A volume type for each pool that a consumer of the kind cinder writes to, where none of its name is declared."""
    names = dict.fromkeys(pool["name"] for item in consumers if kind_of(item) == "cinder" for pool in pools_of(item) if pool["access"] == "rw")
    return [{"name": name, "state": "present", "backend": name} for name in names if name not in {item["name"] for item in declared}]


def lists(declared: t.Sequence[Item]) -> set[str]:
    found = {"volume_types"}
    found |= {"projects"} if any(item.get("projects") is not None for item in declared) else set()
    return found | ({"qos"} if any(item.get("qos") is not None for item in declared) else set())


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    wrong: list[str] = []
    for here, item, found in names_wrong(declared, where):
        here.refuse(item.get("public") and item.get("projects"), "projects: all see it, as it is public: say public: false, or leave projects out")
        both = item.get("backend") and _BACKEND in (item.get("extra_specs") or {})
        here.refuse(both, f"extra_specs: {_BACKEND} is what backend says: keep one of them")
        wrong += found
    return wrong


def qos_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    return [text for _here, _item, found in names_wrong(declared, where) for text in found]


def settle(declared: t.Sequence[Item], cloud: Cloud, _draft: Draft) -> t.Iterator[t.Callable[[], None]]:
    """Read who sees those that are not public, of which that is declared."""
    rows = [cloud.find("volume_types", item["name"]) for item in declared if item["state"] != "absent" and item.get("projects") is not None]
    yield functools.partial(cloud.read, [], [("volume_type_access", row["id"]) for row in rows if row and not row["is_public"]])


def plan_qos(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    # One that goes is taken from its types first.
    types = {f"volume_type/{item['name']}" for item in draft.declaration.get("volume_types") or ()}
    for _here, item, row in draft.each("qos", declared, lambda item, here: cloud.find("qos", item["name"], here)):
        wanted = {"specs": pairs_as_sent(item["specs"])} if item.get("specs") is not None else {}
        extra = {"specs": row.get("specs") or {}} if row else {}

        def set_specs(id_: str, before: Item, after: Item) -> None:
            if before:  # else they were sent when it was made
                differ = {key: value for key, value in after["specs"].items() if before["specs"].get(key) != value}
                if differ:
                    cloud.client.call("block-storage", "PUT", f"/qos-specs/{id_}", {"qos_specs": differ})
                gone = sorted(set(before["specs"]) - set(after["specs"]))
                if gone:
                    cloud.client.call("block-storage", "PUT", f"/qos-specs/{id_}/delete_keys", {"keys": gone})

        specs: dict[str, str] = wanted.get("specs", {})
        needs = types if item["state"] == "absent" else ()
        draft.thing(_QOS, item["name"], item, row, cloud, needs, more=functools.partial(dict, specs), besides=(extra, wanted), settle=set_specs)


def _wanted(item: Item, current: Item) -> dict[str, t.Any]:
    """What is declared of a type besides its fields. current: its extra_specs."""
    wanted: dict[str, t.Any] = {option: item[option] for option in ("public", "qos") if item.get(option) is not None}
    backend = {_BACKEND: item["backend"]} if item.get("backend") else {}
    if item.get("extra_specs") is not None:
        kept = {key: value for key, value in current.items() if key == _BACKEND}
        wanted["extra_specs"] = {**kept, **pairs_as_sent(item["extra_specs"]), **backend}
    elif backend:
        wanted["extra_specs"] = {**current, **backend}
    if item.get("projects") is not None:
        wanted["projects"] = sorted(set(item["projects"]))
    return wanted


def plan(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for here, item, row in draft.each("volume_types", declared, lambda item, here: cloud.find("volume_types", item["name"], here)):
        draft.refer(here, item, "projects", item.get("projects") or (), cloud)
        draft.refer(here, item, "qos", [item.get("qos")], cloud)
        current = (row.get("extra_specs") or {}) if row else {}
        wanted = _wanted(item, current)
        extra: dict[str, t.Any] = {}
        if row:
            private = not row["is_public"] and "projects" in wanted
            access = [cloud.name("projects", one["project_id"]) for one in cloud.rows("volume_type_access", row["id"])] if private else []
            qos = cloud.name("qos", row.get("qos_specs_id")) or "" if "qos" in wanted else ""
            extra = {"extra_specs": current, "public": row["is_public"], "qos": qos, "projects": sorted(map(str, access))}
        needs = {*(f"project/{name}" for name in item.get("projects") or ()), *([f"qos/{item['qos']}"] if item.get("qos") else [])}
        sent: dict[str, t.Any] = {} if item.get("public") is None else {"os-volume-type-access:is_public": item["public"]}
        sent.update({"extra_specs": wanted["extra_specs"]} if wanted.get("extra_specs") else {})

        more: t.Callable[[], Item] = functools.partial(dict, sent)

        def set_besides(id_: str, before: Item, after: Item) -> None:
            if "public" in after and before:
                cloud.client.call("block-storage", "PUT", f"/types/{id_}", {"volume_type": {"is_public": after["public"]}})
            if "extra_specs" in after and before:
                set_pairs(cloud, "block-storage", f"/types/{id_}/extra_specs", before.get("extra_specs", {}), after["extra_specs"])
            if "qos" in after:
                for verb, name in (("disassociate", before.get("qos")), ("associate", after["qos"])):
                    if name:
                        cloud.client.call("block-storage", "GET", f"/qos-specs/{cloud.id('qos', name)}/{verb}?vol_type_id={id_}")
            if "projects" in after:
                had, has = set(before.get("projects", ())), set(after["projects"])
                for verb, names in (("addProjectAccess", has - had), ("removeProjectAccess", had - has)):
                    for name in sorted(names):
                        cloud.client.call("block-storage", "POST", f"/types/{id_}/action", {verb: {"project": cloud.id("projects", name)}})

        draft.thing(_SORT, item["name"], item, row, cloud, needs, more=more, besides=(extra, wanted), settle=set_besides)
