# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's XML for Ceph: secrets, RBD storage pools and the disk of a guest, written and read. Pure.

Formats: https://libvirt.org/formatsecret.html, formatstorage.html, formatdomain.html.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import Address, spelled
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import secret_uuid


@dataclasses.dataclass(frozen=True)
class CephSecret:
    """The definition of a secret of type ceph. Its value is not in its XML."""

    uuid: str
    usage: str
    private: bool = False
    ephemeral: bool = False


@dataclasses.dataclass(frozen=True)
class RbdPool:
    """The definition of a storage pool of type rbd. hosts: (address, port) of each monitor, sorted; port 0 means the usual ports."""

    name: str
    source: str
    hosts: t.Tuple[Address, ...]
    user: str
    secret: str


def _quoted(text: str) -> str:
    """As XML writes it, within quotes too."""
    return escape(text, {'"': "&quot;"})


def _hosts(hosts: t.Iterable[Address]) -> str:
    return "".join(f'<host name="{_quoted(host)}"' + (f' port="{port}" />' if port else " />") for host, port in hosts)


def secret_of(fsid: str, client: str) -> CephSecret:
    """The secret with the key of a client of a cluster, the same on every host."""
    return CephSecret(secret_uuid(fsid, client), f"{client} of {fsid}")


def write_secret(secret: CephSecret) -> str:
    ephemeral, private = ("yes" if value else "no" for value in (secret.ephemeral, secret.private))
    usage = f'<usage type="ceph"><name>{_quoted(secret.usage)}</name></usage>'
    return f'<secret ephemeral="{ephemeral}" private="{private}"><uuid>{_quoted(secret.uuid)}</uuid>{usage}</secret>'


def read_secret(xml: str) -> CephSecret:
    """Return the definition in a secret's XML. usage is "" where it is not of type ceph."""
    root = ET.fromstring(xml)
    usage = root.findtext("usage[@type='ceph']/name", "")
    return CephSecret(root.findtext("uuid", "").lower(), usage, root.get("private") == "yes", root.get("ephemeral") == "yes")


def write_pool(pool: RbdPool, uuid: t.Optional[str] = None) -> str:
    """Return the XML that defines a pool. uuid: of the pool that it redefines."""
    name, source, user, secret = map(_quoted, (pool.name, pool.source, pool.user, pool.secret))
    auth = f'<auth type="ceph" username="{user}"><secret uuid="{secret}" /></auth>'
    head = f"<name>{name}</name>" + (f"<uuid>{_quoted(uuid)}</uuid>" if uuid else "")
    return f'<pool type="rbd">{head}<source><name>{source}</name>{_hosts(pool.hosts)}{auth}</source></pool>'


def read_pool(xml: str) -> t.Optional[RbdPool]:
    """Return the definition in a pool's XML, None where it is not of type rbd."""
    root = ET.fromstring(xml)
    if root.get("type") != "rbd":
        return None
    hosts = sorted((spelled(host.get("name", "")), int(host.get("port") or 0)) for host in root.iterfind("source/host"))
    user = next((auth.get("username", "") for auth in root.iterfind("source/auth")), "")
    secret = next((secret.get("uuid", "") for secret in root.iterfind("source/auth/secret")), "")
    return RbdPool(root.findtext("name", ""), root.findtext("source/name", ""), tuple(hosts), user, secret.lower())


class RbdDisk(t.NamedTuple):
    """A disk of a guest on RBD. image: pool/image. hosts: the monitors that it was given, none where it goes by ceph.conf. secret_uuid: "" without one."""

    image: str
    hosts: t.Tuple[Address, ...] = ()
    secret_uuid: str = ""


def rbd_disks(xml: str) -> list[RbdDisk]:
    """Return the disks on RBD in a guest's XML."""
    found = []
    for disk in ET.fromstring(xml).iterfind("devices/disk"):
        for source in disk.iterfind("source[@protocol='rbd']"):
            hosts = sorted((spelled(host.get("name", "")), int(host.get("port") or 0)) for host in source.iterfind("host"))
            secrets = [*disk.iterfind("auth/secret"), *source.iterfind("auth/secret")]  # libvirt knows both places
            found.append(RbdDisk(source.get("name", ""), tuple(hosts), next((one.get("uuid", "").lower() for one in secrets), "")))
    return found


class Guest(t.NamedTuple):
    """A throwaway guest: one disk on RBD, no network, nothing else that it doesn't need.
    domain_type: kvm or qemu. memory: in MiB. pool: with a namespace, pool/namespace. console: a file on the host that gets its serial console, "" for none."""

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
    name, uuid, image, user, secret, console = map(_quoted, (guest.name, guest.uuid, f"{guest.pool}/{guest.image}", guest.user, guest.secret, guest.console))
    # An emulated kernel panics now and then: it starts again. No other one has a reason to.
    processor, again = ("", "restart") if guest.domain_type == "qemu" else ('<cpu mode="host-passthrough" />', "destroy")
    serial = f'<serial type="file"><source path="{console}" /><target port="0" /></serial>' if console else ""
    return f"""<domain type="{guest.domain_type}">
  <name>{name}</name><uuid>{uuid}</uuid><memory unit="MiB">{guest.memory}</memory><vcpu>1</vcpu>
  <os><type arch="x86_64" machine="q35">hvm</type><boot dev="hd" /></os>
  <features><acpi /></features>{processor}
  <on_poweroff>destroy</on_poweroff><on_reboot>{again}</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <disk type="network" device="disk">
      <driver name="qemu" type="raw" cache="none" discard="unmap" />
      <auth username="{user}"><secret type="ceph" uuid="{secret}" /></auth>
      <source protocol="rbd" name="{image}">{_hosts(guest.hosts)}</source>
      <target dev="vda" bus="virtio" />
    </disk>
    {serial}<memballoon model="none" />
  </devices>
</domain>"""
