# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenStack, proven part by part and side by side: guests, volumes, object storage. What is wrong with one keeps no other from being proven.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import GuestDisks, ProofFailed, ceph_option
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS, client_of, kind_of, pools_of, secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import alone
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import guest_probe, object_probe, probe_run, services, volume_probe
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import CONNECTION, ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.probe_run import Row, Run
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import integer, record

# The consumers as which OpenStack uses pools, each before those that use its pools too.
KINDS = ("glance", "cinder", "cinder-backup", "nova")
PARTS = ("guests", "volumes", "objects")
OPTIONS: dict[str, t.Any] = {
    **CONNECTION,
    "consumers": CONSUMERS,
    "ceph": ceph_option("the kinds V(glance), V(cinder), V(cinder-backup) and V(nova)"),
    "guests": record("What to make guests of.", guest_probe.OPTIONS),
    "volumes": record("Which volumes to make.", volume_probe.OPTIONS),
    "objects": record("How to use the object storage.", object_probe.OPTIONS),
    "timeout": integer("Within how many seconds each thing must have become what it should, such as a guest that runs or a volume that is there.", default=300),
}
# What each part needs of Python, and its package; all need openstack.
BINDING = ("openstack", "python3-openstacksdk")
_RADOS, _RBD = ("rados", "python3-rados"), ("rbd", "python3-rbd")
BINDINGS = {"guests": (_RADOS, _RBD), "volumes": (_RADOS, _RBD), "objects": (("boto3", "python3-boto3"),)}
# Seconds in which services that have just been started say that they are there.
_UP_WITHIN = 60
_Proof = t.Tuple[str, str, t.Callable[[], Row]]  # the part, what is proven, and how


class Plan(t.NamedTuple):
    """What is to be proven, all names resolved. basis: what it rests on, that is what would have to be proven again if it changed.
    gateway: the address of the object storage."""

    services: list[services.Service]
    chosen: t.Optional[guest_probe.Chosen]
    types: list[Row]
    basis: Row
    gateway: t.Optional[str]


def observe(client: t.Any, params: t.Mapping[str, t.Any]) -> tuple[Plan, list[str]]:
    """Read what is up, and what is named, and say all that is wrong. Raises Unreachable."""
    up: list[services.Service] = []

    def settled() -> bool:
        up[:] = services.read(client)
        return not services.problems(up)

    wait_until(settled, min(_UP_WITHIN, params["timeout"]), pause=2)
    problems = services.problems(up, client.ahead())
    chosen: t.Optional[guest_probe.Chosen] = None
    types: list[Row] = []
    if params["guests"]:
        chosen, wrong = guest_probe.choose(client, params["guests"])
        problems += [f"guests: {text}" for text in wrong]
        if not services.compute_hosts(up):
            problems.append("guests: no compute host is up and enabled: there is no nova-compute that could run one")
    if params["volumes"]:
        types, wrong = volume_probe.choose(client, params["volumes"])
        problems += [f"volumes: {text}" for text in wrong]
        if volume_probe.backs_up(params["volumes"], params["consumers"]) and not any(one.binary == "cinder-backup" for one in up):
            problems.append("volumes: a backup is to be made, and there is no cinder-backup: make a host of it, or set volumes.backup to false")
    gateway = ""
    if params["objects"]:
        try:
            gateway = client.address("object-store")
        except ApiError as error:
            problems.append(f"objects: {error}")
    basis = {
        "services": sorted({str(one) for one in up}),
        "guests": [params["guests"], chosen and list(chosen)],
        "volumes": [params["volumes"], sorted([row["id"], row["name"], str(row.get("extra_specs"))] for row in types)],
        "objects": [params["objects"], gateway],
        "consumers": [[client_of(one), [pool["name"] for pool in pools_of(one)]] for one in params["consumers"] if kind_of(one) in KINDS],
    }
    return Plan(up, chosen, types, basis, "{0.scheme}://{0.netloc}".format(urlsplit(gateway)) if gateway else None), problems


def prove(client: t.Any, params: t.Mapping[str, t.Any], plan: Plan) -> tuple[Row, list[str]]:
    """Prove the parts that something was said of. Returns what was seen of each, and all that is wrong. Raises Unreachable, ApiError."""
    with alone("openstack-probe"), GuestDisks(params["ceph"]["mon_host"], params["consumers"], params["ceph"]["keys"], KINDS) as disks:
        return _prove(client, disks, params, plan)


def _prove(client: t.Any, disks: t.Any, params: t.Mapping[str, t.Any], plan: Plan) -> tuple[Row, list[str]]:
    found: Row = {part: [] for part in PARTS if params[part]}
    leftovers, kept, left = _remove(client, probe_run.PREFIX, params["timeout"])
    if left:
        return {**found, "leftovers": leftovers, "object_users": kept, "notes": []}, [f"of an earlier proof that was ended: {text}" for text in left]
    run = Run(client, disks, params["timeout"], _secrets(disks, params["consumers"], plan))
    problems: list[str] = []
    try:
        wrong = _other_cluster(disks, plan)
        proofs = [] if wrong else _proofs(run, params, plan)
        problems += wrong
        with ThreadPoolExecutor(max_workers=max(1, len(proofs))) as pool:
            for (part, what, _how), (seen, text) in zip(proofs, pool.map(lambda proof: _one(proof[2]), proofs)):
                found[part] += [seen] if seen else []
                problems += [f"{what}: {text}"] if text else []
    finally:
        removed = _remove(client, run.name, params["timeout"])
    stays = removed[2] or run.images_left()
    return {**found, "leftovers": leftovers, "object_users": sorted({*kept, *removed[1]}), "notes": sorted(run.notes)}, problems + stays


def _proofs(run: Run, params: t.Mapping[str, t.Any], plan: Plan) -> list[_Proof]:
    """What is proven side by side."""
    found: list[_Proof] = []
    chosen, guests, volumes = plan.chosen, params["guests"], params["volumes"]
    if chosen:
        found.append(("guests", "a guest from an image", lambda: guest_probe.from_image(run, chosen, guests)))
        if guests["volume"]:
            found.append(("guests", "a guest from a volume", lambda: guest_probe.from_volume(run, chosen, guests)))
    backup = bool(volumes) and volume_probe.backs_up(volumes, params["consumers"])
    for number, kind in enumerate(plan.types):
        how = volume_probe.prove_type, run, kind, volumes, backup and number == 0
        found.append(("volumes", f"a volume of the type {kind['name']}", lambda how=how: how[0](*how[1:])))  # type: ignore[misc]
    if params["objects"]:
        found.append(("objects", "the object storage", lambda: object_probe.prove(run.client, run.name, params["objects"])))
    return found


def _one(how: t.Callable[[], Row]) -> tuple[t.Optional[Row], str]:
    """What was seen, or what is wrong."""
    try:
        return how(), ""
    except (ProofFailed, ApiError, Unreachable, Invalid, s3.ApiFailed) as error:
        return None, str(error)
    except Exception as error:  # the families of librados' and librbd's errors, which say little without their names
        text = f"{type(error).__name__}: {error}"
        return None, "; ".join([text, *services.meaning(text, {})])


def _remove(client: t.Any, begin: str, timeout: float) -> tuple[list[str], list[str], list[str]]:
    """Remove all whose names begin so: the names, the users that the object storage keeps, and what stays."""
    try:
        names, left = probe_run.remove(client, begin, timeout)
        users, kept, more = object_probe.remove(client, begin)
    except (ApiError, Unreachable) as error:
        return [], [], [f"cleaning up failed: {error}"]
    return sorted({*names, *users}), kept, left + more


def _secrets(disks: t.Any, consumers: t.Sequence[t.Mapping[str, t.Any]], plan: Plan) -> dict[str, str]:
    """The clients by the UUIDs of their libvirt secrets."""
    if plan.chosen is None:
        return {}
    clients = {client_of(one): pools_of(one)[0]["name"] for one in consumers if kind_of(one) in ("cinder", "nova")}
    return {secret_uuid(disks.fsid(pool), client): client for client, pool in clients.items()}


def _other_cluster(disks: t.Any, plan: Plan) -> list[str]:
    """Whether Glance's image is in another cluster than that of the consumers: then it is another OpenStack, or another Ceph."""
    pools = [pool for kind in ("nova", "cinder") for pool in disks.pools(kind)]
    if plan.chosen is None or not pools or disks.fsid(pools[0]) == plan.chosen.fsid:
        return []
    return [
        f"guests: Glance's image is in the Ceph cluster {plan.chosen.fsid}, and the consumers' pools are in {disks.fsid(pools[0])}: "
        "clouds.yaml is of another OpenStack, or Glance uses another cluster"
    ]
