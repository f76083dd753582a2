# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which nothing is to be left of a cluster: what each part has of it, in one plan.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import cluster_leftovers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.cluster_leftovers import Wanted
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import leftovers as libvirt
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import URI_OPTION
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import leftovers as nfs
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import ALLOW_LOSS, PREFIX, boolean, choice, string, strings
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import leftovers as xen

# How far it goes: a cluster must be there for its consumers to let go of it, and its monitors for other daemons to stop in good order.
STAGES = ("consumers", "daemons", "all")
_KINDS = cluster_leftovers.KINDS | libvirt.KINDS | nfs.KINDS | xen.KINDS
OPTIONS: dict[str, t.Any] = {
    "fsid": string("The fsid of the cluster. A host that says that it is of another one is refused.", required=True),
    "until": choice(
        "How far it goes. V(consumers): storage pools and secrets of libvirt, disks of Xen guests, NFS-Ganesha. V(daemons): also all daemons but monitors, and "
        "OSDs' disks.\nOn several hosts each step is done on all of them before the next one.",
        STAGES,
        default="all",
    ),
    "clients": strings(
        "The full names of the clients whose keyrings this collection wrote on this host, besides C(client.admin) and C(client.crash.HOST). Others' stay.",
        default=[],
    ),
    "devices": strings("The devices that are declared for OSDs on this host.", default=[]),
    "wipe_devices": boolean("Whether all of O(devices) that have something of this cluster are wiped, as if O(allow_loss) named them.", default=False),
    "cluster_stays": boolean(
        "Whether the cluster goes on without this host. Then sessions at its monitor are no obstacle, and Ceph's daemons that are still on it are one.",
        default=False,
    ),
    "uri": URI_OPTION,
    "prefix": PREFIX,
    "allow_loss": {
        **ALLOW_LOSS,
        "description": "What may be lost. V(device//dev/disk/by-id/wwn-0x5000c500a0b1c2d3): a disk that is wiped. V(volume/ceph-vg/osd-db-1): a logical volume "
        "of an OSD. V(session/client.kvm): the storage of whoever still uses the cluster with that client. V(session/nfs:10.0.0.21): that of a host that has "
        "mounted an export.\n"
        "The cluster itself needs no entry: its fsid was written out.",
    },
}


class Observed(t.NamedTuple):
    """What each part has."""

    cluster: cluster_leftovers.Observed = cluster_leftovers.Observed()
    libvirt: libvirt.Observed = libvirt.Observed()
    nfs: nfs.Observed = nfs.Observed()
    xen: xen.Observed = xen.Observed()


class Provider:
    """Leaves nothing of a cluster on this host. Use as a context manager."""

    def __init__(self, wanted: Wanted, until: str = "all", uri: str = "qemu:///system") -> None:
        self.wanted, self.until = wanted, until
        # Its fsid, written out, names the loss of the cluster itself.
        self.allow_loss = [*wanted.allow_loss, f"cluster/{wanted.fsid}"]
        self._libvirt = libvirt.Leftovers(uri)
        # What the host said of itself before ceph.conf went: whether it is of the cluster, and where its monitors are.
        self._ours, self._monitors = False, frozenset[str]()

    def __enter__(self) -> Provider:
        return self

    def __exit__(self, *unused: object) -> None:
        self._libvirt.close()

    def observe(self) -> Observed:
        """Read each part. Raises Unreachable."""
        cluster = cluster_leftovers.observe(self.wanted)
        self._ours |= cluster.of(self.wanted.fsid)
        self._monitors |= cluster_leftovers.addresses(cluster.conf)
        return Observed(cluster, self._libvirt.observe(), nfs.observe(), xen.observe())

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where something is in the way."""
        wanted, cluster, draft = self.wanted, observed.cluster, Draft(kinds=_KINDS)
        ours, monitors = cluster.of(wanted.fsid), cluster_leftovers.addresses(cluster.conf)
        cluster_leftovers.note_problems(draft, cluster, wanted, xen.mapped(observed.xen))
        self._libvirt.plan(draft, observed.libvirt, wanted.fsid, monitors, ours)
        if ours:
            nfs.plan(draft, observed.nfs, wanted.allow_loss, wanted.prefix)
            xen.plan(draft, observed.xen)
        if self.until != "consumers":
            cluster_leftovers.plan_daemons(draft, cluster, wanted, with_mons=self.until == "all")
        if self.until == "all":
            cluster_leftovers.plan_files(draft, cluster, wanted)
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        told = cluster_leftovers.left(observed.cluster, self.wanted)
        told += libvirt.left(observed.libvirt, self.wanted.fsid, self._monitors, self._ours)
        return {"left": told + xen.left(observed.xen)}


def provider(options: t.Mapping[str, t.Any]) -> Provider:
    """Return the provider of what is asked for. options: of the shape of OPTIONS. Raises Invalid."""
    fsid = options["fsid"].lower()
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", fsid):
        raise Invalid([f"{options['prefix']}fsid '{options['fsid']}' is no UUID: write the cluster's out, as 'ceph fsid' says it"])
    allowed = [*options["allow_loss"], *(f"device/{path}" for path in options["devices"] if options["wipe_devices"])]
    wanted = Wanted(fsid, options["clients"], options["devices"], allowed, options["prefix"], options["cluster_stays"])
    return Provider(wanted, options["until"], options["uri"])
