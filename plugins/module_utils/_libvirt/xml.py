# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's XML for Ceph: secrets, RBD storage pools and the disk of a guest, written and read.

Pure: imports neither libvirt nor Ansible. Formats: https://libvirt.org/formatsecret.html, formatstorage.html,
formatdomain.html.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import Address, spelled


@dataclasses.dataclass(frozen=True)
class CephSecret:
    """The definition of a secret of type ceph. Its value is not in its XML."""

    uuid: str
    usage: str
    private: bool = False
    ephemeral: bool = False


@dataclasses.dataclass(frozen=True)
class RbdPool:
    """The definition of a storage pool of type rbd.

    hosts: (address, port) of each monitor, sorted; port 0 means the usual ports.
    """

    name: str
    source: str
    hosts: t.Tuple[Address, ...]
    user: str
    secret: str


def write_secret(secret: CephSecret) -> str:
    """Return the XML that defines a secret."""
    root = ET.Element("secret", ephemeral=_yes(secret.ephemeral), private=_yes(secret.private))
    ET.SubElement(root, "uuid").text = secret.uuid
    usage = ET.SubElement(root, "usage", type="ceph")
    ET.SubElement(usage, "name").text = secret.usage
    return ET.tostring(root, encoding="unicode")


def read_secret(xml: str) -> CephSecret:
    """Return the definition in a secret's XML. usage is "" where it is not of type ceph."""
    root = ET.fromstring(xml)
    usage = root.find("usage")
    is_ceph = usage is not None and usage.get("type") == "ceph"
    return CephSecret(
        uuid=root.findtext("uuid", "").lower(),
        usage=root.findtext("usage/name", "") if is_ceph else "",
        private=root.get("private") == "yes",
        ephemeral=root.get("ephemeral") == "yes",
    )


def write_pool(pool: RbdPool, uuid: t.Optional[str] = None) -> str:
    """Return the XML that defines a pool. uuid: of the pool that it redefines."""
    root = ET.Element("pool", type="rbd")
    ET.SubElement(root, "name").text = pool.name
    if uuid:
        ET.SubElement(root, "uuid").text = uuid
    source = ET.SubElement(root, "source")
    ET.SubElement(source, "name").text = pool.source
    _add_hosts(source, pool.hosts)
    auth = ET.SubElement(source, "auth", type="ceph", username=pool.user)
    ET.SubElement(auth, "secret", uuid=pool.secret)
    return ET.tostring(root, encoding="unicode")


def read_pool(xml: str) -> t.Optional[RbdPool]:
    """Return the definition in a pool's XML, None where it is not of type rbd."""
    root = ET.fromstring(xml)
    if root.get("type") != "rbd":
        return None
    auth = root.find("source/auth")
    secret = root.find("source/auth/secret")
    return RbdPool(
        name=root.findtext("name", ""),
        source=root.findtext("source/name", ""),
        hosts=tuple(sorted((spelled(host.get("name", "")), int(host.get("port") or 0)) for host in root.iterfind("source/host"))),
        user="" if auth is None else auth.get("username", ""),
        secret="" if secret is None else secret.get("uuid", "").lower(),
    )


@dataclasses.dataclass(frozen=True)
class Guest:
    """A throwaway guest: one disk on RBD, no network, nothing else that it doesn't need.

    domain_type: kvm or qemu. memory: in MiB. console: a file on the host that gets its serial console, "" for none.
    """

    name: str
    uuid: str
    domain_type: str
    memory: int
    pool: str
    image: str
    hosts: t.Tuple[Address, ...]
    user: str
    secret: str
    console: str = ""


def write_guest(guest: Guest) -> str:
    """Return the XML of a domain that goes away by itself when it is powered off."""
    root = ET.Element("domain", type=guest.domain_type)
    ET.SubElement(root, "name").text = guest.name
    ET.SubElement(root, "uuid").text = guest.uuid
    ET.SubElement(root, "memory", unit="MiB").text = str(guest.memory)
    ET.SubElement(root, "vcpu").text = "1"
    system = ET.SubElement(root, "os")
    ET.SubElement(system, "type", arch="x86_64", machine="q35").text = "hvm"
    ET.SubElement(system, "boot", dev="hd")
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    if guest.domain_type == "kvm":
        ET.SubElement(root, "cpu", mode="host-passthrough")
    # An emulated kernel panics now and then: it starts again. No other one has a reason to.
    again = "restart" if guest.domain_type == "qemu" else "destroy"
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", again), ("on_crash", "destroy")):
        ET.SubElement(root, event).text = action
    devices = ET.SubElement(root, "devices")
    disk = ET.SubElement(devices, "disk", type="network", device="disk")
    ET.SubElement(disk, "driver", name="qemu", type="raw", cache="none", discard="unmap")
    auth = ET.SubElement(disk, "auth", username=guest.user)
    ET.SubElement(auth, "secret", type="ceph", uuid=guest.secret)
    source = ET.SubElement(disk, "source", protocol="rbd", name=f"{guest.pool}/{guest.image}")
    _add_hosts(source, guest.hosts)
    ET.SubElement(disk, "target", dev="vda", bus="virtio")
    if guest.console:
        serial = ET.SubElement(devices, "serial", type="file")
        ET.SubElement(serial, "source", path=guest.console)
        ET.SubElement(serial, "target", port="0")
    ET.SubElement(devices, "memballoon", model="none")
    return ET.tostring(root, encoding="unicode")


def _add_hosts(source: ET.Element, hosts: t.Iterable[Address]) -> None:
    for host, port in hosts:
        ET.SubElement(source, "host", {"name": host, **({"port": str(port)} if port else {})})


def _yes(value: bool) -> str:
    return "yes" if value else "no"
