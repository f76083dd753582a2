# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client must be allowed in a cluster that others keep. That a monitor judges rights first is proven in molecule/external."""

from __future__ import annotations

import errno
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import external
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed

FSID = "7c5e3f6c-64ef-4c0e-8d9c-6f2f6a3a5e11"


class Cluster:
    """Answers as monitors do: refused, not there, or done."""

    client, fsid = "client.cephstack", FSID

    def __init__(self, refused: t.Collection[str] = (), caps: t.Mapping[str, str] | None = None) -> None:
        self.refused, self.caps, self.asked = refused, {"osd": "allow rwx"} if caps is None else caps, []

    def command(self, prefix: str, **arguments: t.Any) -> t.Any:
        self.asked.append(prefix)
        if prefix in self.refused:
            raise CommandFailed(prefix, errno.EACCES, "access denied")
        if prefix in ("osd pool set", "fs set", "fs new"):
            raise CommandFailed(prefix, errno.ENOENT, "unrecognized pool")
        return {"osd dump": {"pools": [{"pool_name": "vms"}]}, "auth get": [{"caps": self.caps}]}.get(prefix, "")


def test_the_least_caps_are_those_of_what_is_managed() -> None:
    assert external.needed_caps(["clients"]) == {"mon": "allow r, allow service auth rwx", "mgr": "allow r"}
    whole = {
        "mon": "allow r, allow service auth rwx, allow service osd rw, allow service fs rw, allow service mds rw",
        "mgr": "allow r",
        "osd": "allow rwx",
        "mds": "allow rw",
    }
    assert external.needed_caps([*external.NEEDS]) == whole
    assert external.words({"osd": "allow rwx", "mon": "allow r"}) == "mon 'allow r' osd 'allow rwx'"


def test_a_client_that_may_do_it_lacks_nothing() -> None:
    assert external.look(Cluster(), FSID.upper(), ["clients", "pools", "images"], {}) == ([], ["vms"])


def test_what_is_refused_is_told_in_one_with_the_command() -> None:
    (text,), _pools = external.look(Cluster(["auth rm", "fs set"]), FSID, ["clients", "pools", "filesystems"], {})
    assert text.startswith("client.cephstack lacks what is needed for clients, filesystems, pools (mon 'allow service auth rwx'; mon 'allow service mds rw')")
    caps = "mgr 'allow r' mon 'allow r, allow service auth rwx, allow service osd rw, allow service fs rw, allow service mds rw'"
    assert text.endswith(f"`ceph auth caps client.cephstack {caps}`")


def test_caps_of_other_daemons_are_read_where_the_monitors_are_content() -> None:
    (text,), _pools = external.look(Cluster(caps={"osd": "allow rwx"}), FSID, ["exports"], {})
    assert "(mds 'allow rw')" in text


def test_another_cluster_is_asked_nothing() -> None:
    cluster = Cluster()
    found, pools = external.look(cluster, FSID.replace("7", "8"), ["clients"], {})
    assert found[0].startswith("ceph.external.fsid is 8c5e3f6c") and pools == [] and cluster.asked == []


def test_pools_that_nobody_here_may_make_must_be_there() -> None:
    (text,), _pools = external.look(Cluster(), FSID, [], {"vms": {"rbd"}, "fast": {"rbd"}})
    assert text.startswith("there is no pool fast") and "`ceph osd pool create fast` and `ceph osd pool application enable fast rbd`" in text


def test_namespaces_of_pools_that_are_not_there_are_missing_with_them() -> None:
    _pool, text = external.look(Cluster(), FSID, [], {"fast": {"rbd"}}, [("fast", "tenant")])[0]
    assert text.endswith("ask who keeps the cluster for `rbd pool init fast` and `rbd namespace create fast/tenant`")


def test_the_commands_for_consumers_of_one_client_are_those_of_all() -> None:
    one = {"name": "a", "client": "client.x", "namespace": "tenant", "pools": [{"name": "vms"}]}
    other = {"name": "b", "client": "client.x", "pools": [{"name": "images", "access": "ro"}]}
    caps = "mgr 'profile rbd pool=vms namespace=tenant' mon 'profile rbd' osd 'profile rbd pool=vms namespace=tenant, profile rbd-read-only pool=images'"
    assert external.commands([one, other]) == {"client.x": [f"ceph auth get-or-create client.x {caps}", "rbd pool init vms", "rbd namespace create vms/tenant"]}
