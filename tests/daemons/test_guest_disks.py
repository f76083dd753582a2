# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a cloud's guests, read from a real Ceph with the consumers' own keys (_ceph/guest_disks.py)."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers, _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.guest_disks import GuestDisks, ProofFailed

KINDS = ("glance", "cinder", "nova")
CONSUMERS = [
    {"name": "gdglance", "kind": "glance", "pools": [{"name": "gdimages"}]},
    {"name": "gdcinder", "kind": "cinder", "pools": [{"name": "gdvolumes"}, {"name": "gdimages", "access": "ro"}]},
    {"name": "gdnova", "kind": "nova", "pools": [{"name": "gdvms"}, {"name": "gdimages"}]},
]


@pytest.fixture(scope="module")
def keys(cluster):
    """Three pools, the consumers' clients, and an image with a snapshot of which a guest's disk is a clone. Returns the keys."""
    import rbd

    for pool in ("gdimages", "gdvolumes", "gdvms"):
        cluster.command("osd pool create", pool=pool, pg_num=8)
        cluster.command("osd pool application enable", pool=pool, app="rbd")
    found = {}
    for client in _consumers.clients(CONSUMERS):
        caps = [word for service, text in client["caps"].items() for word in (service, text)]
        found[client["name"]] = cluster.command("auth get-or-create", entity=client["name"], caps=caps)[0]["key"]
    cluster.wait_clean()
    with contextlib.ExitStack() as stack:
        pools = {name: stack.enter_context(cluster.rados.open_ioctx(name)) for name in ("gdimages", "gdvms")}
        rbd.RBD().create(pools["gdimages"], "golden", 4 << 20)
        with rbd.Image(pools["gdimages"], "golden") as image:
            image.create_snap("snap")
            image.protect_snap("snap")
        rbd.RBD().clone(pools["gdimages"], "golden", "snap", pools["gdvms"], "disk")
    return found


def test_what_guests_wrote_is_read_with_the_consumers_keys(cluster, keys):
    with GuestDisks(cluster.mon_host, CONSUMERS, keys, KINDS) as disks:
        assert [disks.client(pool) for pool in ("gdimages", "gdvolumes", "gdvms")] == ["client.gdglance", "client.gdcinder", "client.gdnova"]
        assert (disks.pools("nova"), disks.pools("cinder")) == (["gdvms", "gdimages"], ["gdvolumes"])
        assert disks.fsid("gdvms") == disks.fsid("gdvolumes") == str(cluster.rados.get_fsid())
        assert (disks.find("nova", "disk"), disks.find("cinder", "disk")) == ("gdvms", None)
        assert (disks.parent("gdvms", "disk"), disks.parent("gdimages", "golden")) == ("gdimages/golden@snap", "")
        assert disks.names("gdvms") == ["disk"]
        disks.write("gdvms", "disk", b"written".ljust(_guest.MARKER_LENGTH, b"\0"))
        assert disks.read("gdvms", "disk").startswith(b"written")
        disks.wipe("gdvms", "disk")
        assert disks.read("gdvms", "disk") == bytes(_guest.MARKER_LENGTH)
        assert disks.read("gdimages", "golden", "snap") == bytes(_guest.MARKER_LENGTH)
        assert disks.read("gdvms", "none") is None and disks.read("gdimages", "golden", "none") is None


def test_what_cannot_be_read_is_an_error_and_no_absence(cluster, keys):
    import rbd

    with GuestDisks(cluster.mon_host, CONSUMERS, {"client.gdnova": keys["client.gdnova"]}, KINDS) as disks:
        with pytest.raises(ProofFailed, match=r"the key of client\.gdcinder was not given"):
            disks.read("gdvolumes", "disk")
        with pytest.raises(ProofFailed, match="no consumer of kind glance or cinder or nova uses"):
            disks.read("gdother", "disk")
    wrong = [{**CONSUMERS[2], "pools": [{"name": "gdvolumes"}]}]
    with GuestDisks(cluster.mon_host, wrong, keys, KINDS) as disks, pytest.raises(rbd.PermissionError):
        disks.read("gdvolumes", "disk")
