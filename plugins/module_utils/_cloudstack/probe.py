# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudStack as a whole, proven part by part: what is wrong with one part does not keep another from being proven.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import GuestDisks, ceph_option
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import bucket_probe, guest, pool_probe, system_vms
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import Host
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import record, records

# In the order in which they are proven: guests need system virtual machines for the backup of their snapshots.
PARTS = ("pools", "system_vms", "guests", "buckets")
# Those that only read what is on the host: check mode does too, and the API is not asked.
READING = ("pools",)
OPTIONS: dict[str, t.Any] = {
    "consumers": CONSUMERS,
    "ceph": ceph_option("kind V(cloudstack)"),
    "system_vms": record("The system virtual machines to wait for.", system_vms.PROBE_OPTIONS),
    "guests": records("What to deploy, one after the other.", guest.OPTIONS),
    "buckets": record("Where to make throwaway buckets.", bucket_probe.OPTIONS),
    "pools": record("The storage pools that this KVM host must have.", pool_probe.OPTIONS),
}
# What each of them needs of Python, and its package.
_RADOS, _RBD = ("rados", "python3-rados"), ("rbd", "python3-rbd")
BINDINGS = {"pools": (("libvirt", "python3-libvirt"), _RADOS, _RBD), "guests": (_RADOS, _RBD), "buckets": (("boto3", "python3-boto3"),)}

_Found = t.Tuple[t.List[t.Dict[str, t.Any]], t.List[str]]


def wanted(params: t.Mapping[str, t.Any]) -> list[str]:
    """The parts that something is to be proven of: of no zones, guests, stores and pools nothing is."""
    return [part for part in PARTS if params[part] and [] not in (params[part].values() if isinstance(params[part], dict) else ())]


def prove(client: t.Any, params: t.Mapping[str, t.Any], parts: t.Iterable[str]) -> tuple[dict[str, list[dict[str, t.Any]]], list[str]]:
    """Prove some parts. client: of the API; None where only such are asked for that need none. Returns what was seen of each, and all that is wrong."""
    found: dict[str, list[dict[str, t.Any]]] = {}
    problems: list[str] = []
    for part in parts:
        try:
            found[part], wrong = _HOW[part](client, params)
        except (Invalid, ApiError, Unreachable) as error:
            wrong = [str(error)]
        problems += wrong
    return found, problems


def _pools(_client: t.Any, params: t.Mapping[str, t.Any]) -> _Found:
    with Host(params["pools"]["uri"]) as host:
        return pool_probe.probe_all(host, params["pools"]["primary_storage"], params["pools"]["wait"])


def _guests(client: t.Any, params: t.Mapping[str, t.Any]) -> _Found:
    with GuestDisks(params["ceph"]["mon_host"], params["consumers"], params["ceph"]["keys"], ["cloudstack"]) as disks:
        return guest.prove_all(client, disks, [guest.Order(**one) for one in params["guests"]])


_HOW: dict[str, t.Callable[[t.Any, t.Mapping[str, t.Any]], _Found]] = {
    "pools": _pools,
    "system_vms": lambda client, params: system_vms.prove(client, params["system_vms"]["zones"], params["system_vms"]["timeout"]),
    "guests": _guests,
    "buckets": lambda client, params: bucket_probe.probe_all(client, **params["buckets"]),
}
