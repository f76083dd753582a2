# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What xenstore says of guests' disks, asked over its own protocol of a store that holds what libxl, scripts and backends write."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import xenstore

BACK = "/local/domain/0/backend"
# Two guests. The first has a disk of krbd by script and one of QEMU that never came to be, the second's script failed.
STORE = {
    "/local/domain/0/name": "Domain-0",
    "/local/domain/0/domid": "0",
    "/local/domain/3/name": "web1",
    "/local/domain/5/name": "web2",
    f"{BACK}/vbd/3/51712/frontend": "/local/domain/3/device/vbd/51712",
    f"{BACK}/vbd/3/51712/params": "vms/web1:id=xen",
    f"{BACK}/vbd/3/51712/script": "/etc/xen/scripts/block-rbd",
    f"{BACK}/vbd/3/51712/dev": "xvda",
    f"{BACK}/vbd/3/51712/mode": "w",
    f"{BACK}/vbd/3/51712/state": "4",
    f"{BACK}/vbd/3/51712/node": "/dev/rbd0",
    f"{BACK}/vbd/3/51712/physical-device": "fb:0",
    f"{BACK}/vbd/3/51712/hotplug-status": "connected",
    f"{BACK}/qdisk/3/51728/params": "aio:rbd:vms/data:id=xen",
    f"{BACK}/qdisk/3/51728/dev": "xvdb",
    f"{BACK}/qdisk/3/51728/mode": "r",
    f"{BACK}/qdisk/3/51728/state": "1",
    "/local/domain/0/error/backend/qdisk/3/51728/error": "2 Could not stat file",
    f"{BACK}/vbd/5/51712/params": "vms/gone:id=xen",
    f"{BACK}/vbd/5/51712/dev": "xvda",
    f"{BACK}/vbd/5/51712/state": "2",
    f"{BACK}/vbd/5/51712/hotplug-error": "vms/gone: (2) No such file or directory",
    f"{BACK}/vbd/5/51712/hotplug-status": "error",
    "/local/domain/5/error/device/vbd/51712/error": "19 xenbus_dev_probe on device/vbd/51712",
    # left behind by a domain that is no more
    f"{BACK}/vbd/2/51712/params": "vms/old:id=xen",
    f"{BACK}/vbd/2/51712/state": "6",
}


@contextlib.contextmanager
def served(path, store=STORE, refuse=()):
    """Serve a store at path, as xenstored does."""

    def answer(kind, name):
        if name in refuse:
            return 16, b"EACCES\0"
        below = sorted({key[len(name) + 1 :].split("/")[0] for key in store if key.startswith(name + "/")})
        if kind == 1 and (below or name in store):
            return 1, b"".join(one.encode() + b"\0" for one in below)
        if kind == 2 and (below or name in store):
            return 2, store.get(name, "").encode()
        return 16, b"ENOENT\0"

    def serve():
        with contextlib.suppress(OSError), listener.accept()[0] as connection, connection.makefile("rb") as stream:
            while True:
                header = stream.read(16)
                if len(header) < 16:
                    return
                kind, request, transaction, length = struct.unpack("<IIII", header)
                kind, data = answer(kind, stream.read(length).rstrip(b"\0").decode())
                connection.sendall(struct.pack("<IIII", kind, request, transaction, len(data)) + data)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with xenstore.Xenstore(path) as opened:
            yield opened
        thread.join(10)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


def test_guests_and_their_disks(path):
    with served(path) as store:
        running = xenstore.running(store)
    assert running.guests == {"web1": 3, "web2": 5}
    assert {(disk.guest, disk.device): disk for disk in running.disks} == {
        ("web1", "xvda"): xenstore.Disk(3, "web1", "vbd", "xvda", 4, "vms/web1:id=xen", node="/dev/rbd0"),
        ("web1", "xvdb"): xenstore.Disk(3, "web1", "qdisk", "xvdb", 1, "aio:rbd:vms/data:id=xen", mode="r", error="2 Could not stat file"),
        ("web2", "xvda"): xenstore.Disk(
            5, "web2", "vbd", "xvda", 2, "vms/gone:id=xen", error="vms/gone: (2) No such file or directory; 19 xenbus_dev_probe on device/vbd/51712"
        ),
    }
    assert [disk.image for disk in running.disks] == [("vms", "web1"), ("vms", "gone"), ("vms", "data")]


def test_a_script_that_fails_without_a_word(path):
    store = {key: value for key, value in STORE.items() if not key.endswith("hotplug-error") and "/5/error" not in key}
    with served(path, store) as opened:
        assert xenstore.running(opened).disks[1].error == "its hotplug script failed"


def test_what_is_not_there_is_nothing_and_what_is_refused_is_an_error(path):
    with served(path, refuse=("/secret",)) as store:
        assert store.read("/local/domain/3/name") == "web1"
        assert store.read("/local/domain/9/name") is None
        assert store.names("/nothing") == []
        assert store.tree("/local/domain/3") == {"name": "web1"}
        with pytest.raises(Unreachable, match="/secret: EACCES"):
            store.read("/secret")


def test_no_xenstore_is_an_error(path):
    with pytest.raises(Unreachable, match=r"does not answer.*xen\.service"), xenstore.Xenstore(path):
        pass


@pytest.mark.parametrize(
    ("params", "image"),
    [
        ("vms/web1:id=xen:ro", ("vms", "web1")),
        ("aio:vms/web1:id=xen", ("vms", "web1")),
        ("aio:/dev/rbd/vms/web1", ("vms", "web1")),
        ("/dev/rbd-nbd/vms/web1", ("vms", "web1")),
        ("/dev/rbd/vms/web1", ("vms", "web1")),
        ("/dev/vg/web1", None),
        ("/dev/rbd0", None),
        ("aio:/var/lib/disk.img", None),
        ("", None),
    ],
)
def test_which_image_a_disk_is(params, image):
    assert xenstore.image_of(params) == image
