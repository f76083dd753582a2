# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavors and keypairs: what of Nova a guest is made of; and which compute hosts are in a cell.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import run
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.draft import (
    Draft,
    Field,
    Item,
    Sort,
    fields,
    names_wrong,
    or_empty,
    pairs_as_sent,
    set_pairs,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import LISTINGS, Cloud, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, Risk, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, mapping, presence, string, strings

OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is offered. Guests that were made of one that goes keep what they have."),
    "vcpus": integer("How many virtual CPUs. Required for one that is present. It cannot change later: O(allow_loss=flavor/NAME) makes the flavor anew."),
    "ram": integer("Memory in MiB. Required and fixed, as C(vcpus)."),
    "disk": integer("The size of the root disk in GiB. V(0) is that of the image. Fixed, as C(vcpus).", default=0),
    "ephemeral": integer("The size of a second disk in GiB. Fixed, as C(vcpus).", default=0),
    "swap": integer("The size of a disk for swapping in MiB. Fixed, as C(vcpus).", default=0),
    "public": boolean("Whether all projects see it. Fixed, as C(vcpus).", default=True),
    "description": string("What people read of it. Left out, it is left alone."),
    "extra_specs": mapping("What else Nova is to do for guests of it, such as V(hw:cpu_policy=dedicated). All of it; left out, it is left alone."),
    "projects": strings("The projects that see one that is not public. All of them; left out, they are left alone."),
}
KEYPAIR_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is there. Guests keep the key that they have."),
    "user": string("The user whose it is, as each user has its own. By default the user of the cloud."),
    "public_key": string("The public key, as ssh-keygen writes it. It cannot change later: O(allow_loss=keypair/USER/NAME) makes the keypair anew."),
}
_FIXED = "vcpus ram disk ephemeral swap public"
_SORT = Sort(
    "flavor", "flavors", "compute", "/flavors", "flavor",
    fields(
        f"{_FIXED} description", _FIXED, ephemeral="OS-FLV-EXT-DATA:ephemeral", public="os-flavor-access:is_public", description=or_empty("description"),
        swap=Field("swap", "swap", read=lambda value: int(value or 0)),
    ),
    "PUT",
)  # fmt: skip


def lists(declared: t.Sequence[Item]) -> set[str]:
    return {"flavors"} | ({"projects"} if any(item.get("projects") is not None for item in declared) else set())


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    wrong: list[str] = []
    for here, item, found in names_wrong(declared, where):
        if item["state"] != "absent":
            for option in ("vcpus", "ram"):
                here.refuse((item.get(option) or 0) < 1, f"{option} is {item.get(option) or 'missing'}: at least 1 is needed")
            for option in ("disk", "ephemeral", "swap"):
                here.refuse(item[option] < 0, f"{option} is negative")
            here.refuse(item["public"] and item.get("projects"), "projects: all see it, as it is public: say public: false, or leave projects out")
        wrong += found
    return wrong


def settle(declared: t.Sequence[Item], cloud: Cloud, _draft: Draft) -> t.Iterator[t.Callable[[], None]]:
    """Read who sees those that are not public, of which that is declared."""
    rows = [cloud.find("flavors", item["name"]) for item in declared if item["state"] != "absent" and item.get("projects") is not None]
    keys = [("flavor_access", row["id"]) for row in rows if row and not row["os-flavor-access:is_public"]]
    yield functools.partial(cloud.read, [], keys)


def plan(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for here, item, row in draft.each("flavors", declared, lambda item, here: cloud.find("flavors", item["name"], here)):
        draft.refer(here, item, "projects", item.get("projects") or (), cloud)
        wanted: dict[str, t.Any] = {}
        if item.get("extra_specs") is not None:
            wanted["extra_specs"] = pairs_as_sent(item["extra_specs"])
        if item.get("projects") is not None:
            wanted["projects"] = sorted(set(item["projects"]))
        private = row is not None and not row["os-flavor-access:is_public"] and "projects" in wanted
        access = [cloud.name("projects", one["tenant_id"]) for one in cloud.rows("flavor_access", row["id"])] if row and private else []
        extra = {"extra_specs": row.get("extra_specs") or {}, "projects": sorted(map(str, access))} if row else {}
        needs = {f"project/{name}" for name in item.get("projects") or ()}

        def set_besides(id_: str, before: Item, after: Item) -> None:
            if "extra_specs" in after:
                set_pairs(cloud, "compute", f"/flavors/{id_}/os-extra_specs", before.get("extra_specs", {}), after["extra_specs"])
            if "projects" in after:
                had, has = set(before.get("projects", ())), set(after["projects"])
                for verb, names in (("addTenantAccess", has - had), ("removeTenantAccess", had - has)):
                    for name in sorted(names):
                        cloud.client.call("compute", "POST", f"/flavors/{id_}/action", {verb: {"tenant": cloud.id("projects", name)}})

        draft.thing(_SORT, item["name"], item, row, cloud, needs, besides=(extra, wanted), settle=set_besides)


def keypair_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    wrong: list[str] = []
    named = [{**item, "name": f"{item['user']}/{item['name']}" if item.get("user") else item["name"]} for item in declared]
    for here, item, found in names_wrong(named, where):
        key = item.get("public_key") or ""
        here.refuse(item["state"] != "absent" and len(_key(key).split()) != 2, "public_key: no public key of ssh: it begins with its type, such as ssh-ed25519")
        here.refuse("PRIVATE KEY" in key, "public_key: this is a private key: give the public one")
        wrong += found
    return wrong


def _key(text: t.Any) -> str:
    """A public key without its comment."""
    return " ".join(str(text).split()[:2])


def keypair_lists(declared: t.Sequence[Item]) -> set[str]:
    return {"users"} if any(item.get("user") for item in declared) else set()


def _owner(item: Item, cloud: Cloud) -> t.Optional[str]:
    """The id of a keypair's user; None where it is not there yet."""
    if not item.get("user"):
        return cloud.user
    row = cloud.find("users", item["user"])
    return str(row["id"]) if row else None


def settle_keypairs(declared: t.Sequence[Item], cloud: Cloud, _draft: Draft) -> t.Iterator[t.Callable[[], None]]:
    """Read those of each user of whom some are declared."""
    yield functools.partial(cloud.read, [], [("keypairs", owner) for owner in {_owner(item, cloud) for item in declared} if owner])


def plan_keypairs(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    def find(item: Item, _here: Place) -> t.Optional[Row]:
        owner = _owner(item, cloud)
        found = (one["keypair"] for one in (cloud.rows("keypairs", owner) if owner else ()))
        return next((one for one in found if one["name"] == item["name"]), None)

    for here, item, row in draft.each("keypairs", declared, find):
        draft.refer(here, item, "users", [item.get("user")], cloud)
        before = row and {"public_key": _key(row["public_key"])}
        after = {"public_key": _key(item["public_key"])} if item["state"] != "absent" else None

        def owner(item: Item = item) -> str:
            return cloud.id("users", item["user"]) if item.get("user") else cloud.user

        def create(item: Item = item, owner: t.Callable[[], str] = owner) -> None:
            kind = "x509" if "CERTIFICATE" in item["public_key"] else "ssh"
            body = {"name": item["name"], "public_key": item["public_key"].strip(), "type": kind, "user_id": owner()}
            cloud.client.call("compute", "POST", "/os-keypairs", {"keypair": body})

        def delete(item: Item = item, owner: t.Callable[[], str] = owner) -> None:
            cloud.client.call("compute", "DELETE", f"/os-keypairs/{item['name']}?user_id={owner()}")

        def replace(create: t.Callable[[], None] = create, delete: t.Callable[[], None] = delete) -> None:
            delete()
            create()

        changed: dict[str, t.Any] = {}
        if before and after and before != after:
            changed = {"risk": Risk.LOSS, "reason": "another key is declared. That cannot be changed: the keypair would be deleted and made anew"}
        name, user = item["name"], item.get("user")
        apply = create if before is None else delete if after is None else replace
        draft.ensure("keypair", f"{user}/{name}" if user else name, before, after, apply, needs={f"user/{user}"} if user else (), **changed)


# Seconds in which a host that was mapped is among the hypervisors.
_MAPPED = 60


def plan_cell_hosts(_declared: t.Any, cloud: Cloud, draft: Draft) -> None:
    """Compute hosts whose service runs, and which no cell knows yet: Nova puts no guest on them."""
    known = _mapped(cloud.rows("hypervisors"))
    new = sorted({row["host"] for row in cloud.rows("compute_services") if row.get("state") == "up"} - known)

    def apply() -> None:
        listing = LISTINGS["hypervisors"]
        # As Nova's own user, whose its log is.
        run(["runuser", "-u", "nova", "--", "nova-manage", "cell_v2", "discover_hosts"])

        def seen() -> bool:
            return set(new) <= _mapped(cloud.client.rows(listing.api, listing.path, listing.rows))

        wait_until(seen, _MAPPED, lambda: Unreachable(f"nova-manage ended well, and Nova does not show all of {', '.join(new)} after {_MAPPED} s"))

    for host in new:
        draft.ensure("cell_host", host, None, {"host": host}, apply, batch="discover_hosts")


def _mapped(hypervisors: t.Sequence[Row]) -> set[str]:
    return {str((row.get("service") or {}).get("host")) for row in hypervisors}
