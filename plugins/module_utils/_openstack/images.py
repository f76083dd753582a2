# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of Glance: from a file of the host, copied as what a guest would see (raw), or an image in RBD that is registered where it is, without a copy.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import hashlib
import os
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import disk_files
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.ceph_conf import conf_value
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.client import ApiError
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.draft import Draft, Item, names_wrong, pairs_as_sent
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import Cloud, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Place, Risk, Unreachable, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, mapping, presence, record, string

_RBD: dict[str, t.Any] = {
    "pool": string("The pool, which Glance's own client may read.", required=True),
    "image": string("The image.", required=True),
    "snapshot": string("Its protected snapshot, of which guests' disks are clones.", required=True),
    "fsid": string("The cluster's fsid. By default that of C(/etc/ceph/ceph.conf) on the host that runs the module."),
}
OPTIONS: dict[str, t.Any] = {
    "name": string("Its name. Glance takes several of one name; here a name is one of the user's project, and several are an error.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=image/NAME). One in RBD is deleted there too, as Glance does."),
    "file": string(
        "The file on the host that runs the module, raw or qcow2. It is copied as a raw image, so that guests' disks can be clones. A file that changes is "
        "a new image: O(allow_loss=image/NAME) replaces the old one."
    ),
    "rbd": record(
        "An image in RBD, registered where it is, in the place of C(file). Glance of 2025.1 or later.\n"
        "Glance lets only services do that, so the user of the cloud is given the role C(service) in its project.",
        _RBD,
    ),
    "visibility": choice("Who sees it.", ["public", "community", "shared", "private"], default="public"),
    "min_disk": integer("The size of the smallest disk for it, in GiB. Left out, it is left alone."),
    "min_ram": integer("The least memory for it, in MiB. Left out, it is left alone."),
    "protected": boolean("Whether Glance refuses to delete it. Left out, it is left alone."),
    "properties": mapping("What else is told of it, such as V(hw_disk_bus=virtio). What is not named is left alone."),
}
_FIELDS = ("visibility", "min_disk", "min_ram", "protected")
# Seconds in which Glance registers an image: it looks whether it is there.
_REGISTERED = 30
_CONF = "/etc/ceph/ceph.conf"
# Under this name Glance keeps which file, or which place in RBD, an image was made of.
_SOURCE = "cephstack_source"
# Beginnings of what is neither raw nor qcow2, and what it is.
_OTHERS = {
    b"\x1f\x8b": "compressed (gzip)", b"\xfd7zXZ": "compressed (xz)", b"BZh": "compressed (bzip2)", b"\x28\xb5\x2f\xfd": "compressed (zstd)",
    b"PK\x03\x04": "an archive (zip)", b"KDMV": "a disk of VMware (vmdk)", b"conectix": "a disk of Hyper-V (vhd)", b"vhdxfile": "a disk of Hyper-V (vhdx)",
    b"<<< ": "a disk of VirtualBox (vdi)",
}  # fmt: skip
# (offset, bytes) of which a raw disk has one: a boot sector, a partition table, a volume with a file system.
_DISKS = (
    (510, b"\x55\xaa"), (512, b"EFI PART"), (32769, b"CD001"), (1080, b"\x53\xef"), (0, b"XFSB"), (512, b"LABELONE"), (65600, b"_BHRfS_M"), (0, b"hsqs"),
)  # fmt: skip


class Source(t.NamedTuple):
    """What an image is made of. stamp: by which it is known again; digest: of the content as Glance has it (SHA-512), "" where it was not needed."""

    stamp: str
    digest: str = ""


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    wrong: list[str] = []
    for here, item, found in names_wrong(declared, where):
        sources = [option for option in ("file", "rbd") if item.get(option)]
        here.refuse(item["state"] != "absent" and len(sources) != 1, "say one of file and rbd, of which the image is made")
        here.refuse(_SOURCE in (item.get("properties") or {}), f"properties: {_SOURCE} is kept by this module: take another name")
        own = sorted({"name", "status", "owner", "id", "size", "disk_format", "container_format", *_FIELDS} & set(item.get("properties") or {}))
        here.refuse(own, f"properties: {', '.join(own)}: no property, but Glance's own: use the option, or leave it out")
        wrong += found
    return wrong


def check_file(path: str) -> None:
    """Raise Invalid where a file is no disk image, OSError where it cannot be read."""
    with open(path, "rb") as file:
        head = file.read(65608)
    if not head:
        raise Invalid([f"{path} is empty"])
    for begin, what in _OTHERS.items():
        if head.startswith(begin):
            raise Invalid([f"{path} is {what}: make a raw or qcow2 file of it first"])
    if head.startswith(b"QFI\xfb"):
        disk_files.open_disk(path)
    elif not any(head[offset:].startswith(mark) for offset, mark in _DISKS):
        raise Invalid([f"{path} is no disk image: it has neither a boot sector nor a partition table nor a file system"])


class _Content:
    """A disk as a stream of known length, with zeros in its holes: what is sent to Glance."""

    def __init__(self, path: str) -> None:
        self._disk = disk_files.open_disk(path)
        self._pieces = self.pieces()
        self._rest = b""

    def __len__(self) -> int:
        return self._disk.size

    def pieces(self) -> t.Iterator[bytes]:
        end = 0
        for offset, data in self._disk.pieces():
            yield from _zeros(offset - end)
            yield data
            end = offset + len(data)
        yield from _zeros(self._disk.size - end)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as many as were asked for or fewer; none at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        piece, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return piece


def _zeros(count: int) -> t.Iterator[bytes]:
    piece = bytes(1 << 20)
    while count > 0:
        yield piece[: min(count, len(piece))]
        count -= len(piece)


def _digest(path: str) -> str:
    found = hashlib.sha512()
    for piece in _Content(path).pieces():
        found.update(piece)
    return found.hexdigest()


def _find(item: Item, cloud: Cloud, here: str = "") -> t.Optional[Row]:
    return cloud.find("images", item["name"], here, owner=cloud.own)


def lists(declared: t.Sequence[Item]) -> set[str]:
    return {"images"} | ({"roles"} if any(item.get("rbd") for item in declared) else set())


def settle(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> t.Iterator[t.Callable[[], None]]:
    """Look at the files; one that was changed since its image was made, or of which that is not known, is read whole."""

    def look(here: Place, item: Item) -> None:
        path, row = item["file"], _find(item, cloud)
        try:
            check_file(path)
            status = os.stat(path)
            stamp = f"{status.st_size} bytes of {status.st_mtime_ns}"
            unknown = row is not None and row.get("status") == "active" and row.get(_SOURCE) != stamp
            cloud.sources[item["name"]] = Source(stamp, _digest(path) if unknown else "")
        except OSError as error:
            here.refuse(True, f"file: {path}: {error.strerror or error}")
        except Invalid as error:
            for text in error.problems:
                here.refuse(True, f"file: {text}")

    def conf(here: Place) -> str:
        try:
            with open(_CONF, encoding="utf-8") as file:
                fsid = conf_value(file.read(), "fsid")
        except OSError as error:
            fsid = None if not cloud.empty else "FSID"
            here.refuse(not fsid, f"rbd: {_CONF}: {error.strerror}: say rbd.fsid")
        else:
            here.refuse(not fsid, f"rbd: {_CONF} has no fsid: say rbd.fsid")
        return fsid or ""

    for here, item, _row in draft.each("images", declared, lambda item, _here: None):
        if item["state"] != "absent" and item.get("rbd"):
            cloud.sources[item["name"]] = Source(place_of(item, "" if item["rbd"].get("fsid") else conf(here)))
        if item["state"] != "absent" and item.get("file"):
            # In check mode of a first run the file may not be there yet, as what makes it did not run.
            if not (cloud.empty and not os.path.exists(item["file"])):
                yield functools.partial(look, here, item)


def place_of(item: Item, fsid: str) -> str:
    """Where an image is in RBD, as Glance writes it. fsid: the host's own cluster."""
    rbd = item["rbd"]
    return f"rbd://{rbd.get('fsid') or fsid}/{rbd['pool']}/{rbd['image']}/{rbd['snapshot']}"


def plan(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for here, item, row in draft.each("images", declared, lambda item, here: _find(item, cloud, here)):
        source = cloud.sources.get(item["name"])
        made = row is None or row.get("status") != "active" or (source is not None and row.get(_SOURCE) != source.stamp)
        if item.get("rbd") and item["state"] != "absent" and made:
            _plan_right(here, item, cloud, draft)
        _plan_image(item, source, row, cloud, draft)


def _plan_right(here: Place, item: Item, cloud: Cloud, draft: Draft) -> None:
    """Registering an image without a copy is for services alone: the user of the cloud becomes one."""
    if cloud.client is None or "service" in cloud.client.roles or _right(cloud) in draft.ids("grant"):
        return
    draft.refer(here, item, "roles", ["service"], cloud)
    user, project = cloud.client.user_id, cloud.client.project_id

    def apply() -> None:
        cloud.client.call("identity", "PUT", f"/projects/{project}/users/{user}/roles/{cloud.id('roles', 'service', domain_id=None)}")
        cloud.client.renew()

    shown = {"user": cloud.client.user_name, "role": "service", "on": f"the project {cloud.client.project_name}"}
    draft.ensure("grant", _right(cloud).partition("/")[2], None, shown, apply, needs={"role/service"})


def _right(cloud: Cloud) -> str:
    return f"grant/{cloud.client.user_name}/{cloud.client.project_name}/service" if cloud.client else ""


def _plan_image(item: Item, source: t.Optional[Source], row: t.Optional[Row], cloud: Cloud, draft: Draft) -> None:
    properties = pairs_as_sent(item.get("properties"))
    after = {option: item[option] for option in _FIELDS if item.get(option) is not None}
    after.update(properties)
    needs = {_right(cloud)} if item.get("rbd") and _right(cloud) else set()
    made_of = item.get("file") or (source.stamp if source else "")

    def create() -> None:
        body = {"name": item["name"], "disk_format": "raw", "container_format": "bare", **after, _SOURCE: source.stamp if source else ""}
        made = cloud.client.call("image", "POST", "/images", body)
        try:
            if item.get("file"):
                cloud.client.call("image", "PUT", f"/images/{made['id']}/file", data=_Content(item["file"]), kind="application/octet-stream")
            else:
                _register(made["id"])
        except BaseException:
            # What holds no data is in nobody's way when it is tried again.
            cloud.client.call("image", "DELETE", f"/images/{made['id']}")
            raise

    def _register(id_: str) -> None:
        try:
            cloud.client.call("image", "POST", f"/images/{id_}/locations", {"url": made_of, "validation_data": {}})
        except ApiError as error:
            older = " Glance before 2025.1 cannot register an image without a copy: say file in the place of rbd" if error.status == 404 else ""
            raise ApiError(f"{error}.{older}" if older else str(error), error.status) from error

        def active() -> bool:
            status = cloud.client.call("image", "GET", f"/images/{id_}").get("status")
            if status in ("killed", "deleted"):
                raise ApiError(f"Glance could not register {made_of}: the image is {status}")
            return bool(status == "active")

        wait_until(active, _REGISTERED, lambda: Unreachable(f"Glance has not registered {made_of} after {_REGISTERED} s: does its client see it?"))

    existing = row or {}

    def delete() -> None:
        cloud.client.call("image", "DELETE", f"/images/{existing['id']}")

    def replace() -> None:
        delete()
        create()

    def update(differs: Item) -> None:
        changes = [{"op": "replace" if key in existing else "add", "path": f"/{key}", "value": value} for key, value in differs.items()]
        cloud.client.call("image", "PATCH", f"/images/{existing['id']}", changes, kind="application/openstack-images-v2.1-json-patch")

    # Glance deletes what was registered in RBD as if it had made it.
    in_rbd = f", with {row[_SOURCE]}," if row and str(row.get(_SOURCE)).startswith("rbd:") else ""
    if item["state"] == "absent":
        reason = f"the image{in_rbd}"
        before = row and {"size": row.get("size"), "visibility": row.get("visibility")}
        draft.ensure("image", item["name"], before, None, delete, risk=Risk.LOSS, reason=f"{reason} is deleted")
    elif row is None:
        draft.ensure("image", item["name"], None, {**after, "of": made_of}, create, needs=needs)
    elif row.get("status") != "active":
        # Of a run that was cut off, or of somebody whose upload failed: it has no data.
        draft.ensure("image", item["name"], {"status": row.get("status")}, {"status": "active"}, replace, needs=needs)
    elif source is not None and row.get(_SOURCE) != source.stamp and not (source.digest and source.digest == row.get("os_hash_value")):
        told = f"it was made of another, and an image's content cannot be changed: the image{in_rbd} would be deleted and made anew. Guests keep what they have"
        current = {"of": row.get(_SOURCE) or "unknown"}
        draft.ensure("image", item["name"], current, {"of": f"{made_of}: {source.stamp}"}, replace, needs=needs, risk=Risk.LOSS, reason=told)
    else:
        left, right = differing({key: row.get(key) for key in after}, after)
        draft.ensure("image", item["name"], left, right, update=update)
