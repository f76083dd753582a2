# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests of a cloud wrote to their disks, read from Ceph past the cloud, with the keys of the consumers that the cloud uses the pools as.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, binding
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import client_of, kind_of, pools_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host.exclusive import turn
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import mapping, record, string

rbd = binding("rbd")


class ProofFailed(Exception):
    """The cloud or a guest of it did not do what it should have done."""


def ceph_option(kinds: str) -> dict[str, t.Any]:
    """The option of a module that reads disks. kinds: of the consumers, for its description."""
    return record(
        "The Ceph cluster that O(consumers) belong to.",
        {
            "mon_host": string("The monitors' addresses, in the form of C(mon_host) in a C(ceph.conf).", required=True),
            "keys": mapping(
                f"The keys of the cephx clients of O(consumers), by client. Only those of consumers of {kinds} are used.", required=True, no_log=True
            ),
        },
    )


class GuestDisks(contextlib.ExitStack):
    """RBD images, past a cloud. A context manager, safe in threads. kinds: of the consumers that the cloud uses pools as. keys: {client: key}."""

    def __init__(
        self, mon_host: str, consumers: t.Sequence[t.Mapping[str, t.Any]], keys: t.Mapping[str, str], kinds: t.Sequence[str], timeout: int = 30
    ) -> None:
        super().__init__()
        self._how = {"mon_host": mon_host, "timeout": timeout}
        self._keys, self._kinds = keys, kinds
        self._pools = [(kind_of(one), pool, client_of(one)) for one in consumers if kind_of(one) in kinds for pool in pools_of(one)]
        # Who may write reads what nobody has written yet: of two that use a pool, the one that the cloud's own part for it is comes first.
        self._clients: dict[str, str] = {}
        for _kind, pool, client in sorted(self._pools, key=lambda one: (one[1]["access"] != "rw", kinds.index(one[0]))):
            self._clients.setdefault(pool["name"], client)
        self._connections: dict[str, Connection] = {}
        self._io: dict[str, t.Any] = {}
        self._turn = turn()

    def client(self, pool: str) -> str:
        """Whose key is used for a pool. Raises ProofFailed where no consumer has it."""
        if pool not in self._clients:
            raise ProofFailed(f"the guest's disk is in the Ceph pool {pool}, which no consumer of kind {' or '.join(self._kinds)} uses (consumers)")
        return self._clients[pool]

    def pools(self, kind: str) -> list[str]:
        """The pools that consumers of a kind write to."""
        return list(dict.fromkeys(pool["name"] for one, pool, _client in self._pools if one == kind and pool["access"] == "rw"))

    def fsid(self, pool: str) -> str:
        """The fsid of the cluster that a pool is in."""
        self._open(pool)
        return self._connections[self.client(pool)].fsid

    def names(self, pool: str) -> list[str]:
        return list(rbd.RBD().list(self._open(pool)))

    def find(self, kind: str, image: str) -> t.Optional[str]:
        """The pool of a kind's consumers that an image is in."""
        return next((pool for pool in self.pools(kind) if self.read(pool, image) is not None), None)

    def read(self, pool: str, image: str, snapshot: t.Optional[str] = None) -> t.Optional[bytes]:
        """The sector of the marker; None where there is no such image or snapshot."""
        with contextlib.suppress(rbd.ImageNotFound), rbd.Image(self._open(pool), image, snapshot, read_only=True) as opened:
            return bytes(opened.read(_guest.MARKER_OFFSET, _guest.MARKER_LENGTH))
        return None

    def write(self, pool: str, image: str, data: bytes) -> None:
        """Write a sector in the place of the marker."""
        with rbd.Image(self._open(pool), image) as opened:
            opened.write(data, _guest.MARKER_OFFSET)
            opened.flush()

    def wipe(self, pool: str, image: str) -> None:
        self.write(pool, image, bytes(_guest.MARKER_LENGTH))

    def parent(self, pool: str, image: str) -> str:
        """POOL/IMAGE@SNAPSHOT that the image is a clone of; "" where it is none."""
        with rbd.Image(self._open(pool), image, read_only=True) as opened, contextlib.suppress(rbd.ImageNotFound):
            return "{}/{}@{}".format(*opened.parent_info())
        return ""

    def _open(self, pool: str) -> t.Any:
        with self._turn:
            if pool not in self._io:
                client = self.client(pool)
                if client not in self._connections:
                    if not self._keys.get(client):
                        raise ProofFailed(f"the key of {client} was not given")
                    self._connections[client] = self.enter_context(Connection({**self._how, "client": client, "key": self._keys[client]}))
                self._io[pool] = self.enter_context(contextlib.closing(self._connections[client].rados.open_ioctx(pool)))
            return self._io[pool]
