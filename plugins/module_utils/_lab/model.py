# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is: its hosts, disks, names and addresses, parsed once from what the operator wrote. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import os
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

# What an operator may write for a release, and Debian's code name for it.
RELEASES = {"12": "bookworm", "bookworm": "bookworm", "13": "trixie", "trixie": "trixie", "14": "forky", "forky": "forky", "testing": "forky"}
# Raised when the way an image is made changes, so that cached images of the old way are not used.
RECIPE = {"base": 1, "container": 5, "vm": 9, "xen": 4}
BASE = (
    "systemd-sysv", "dbus", "udev", "kmod", "procps", "iproute2", "ifupdown", "netbase", "sudo",
    "python3", "python3-apt", "openssh-server", "ca-certificates", "e2fsprogs",
)  # fmt: skip
# A container has the kernel of the machine; a virtual machine brings Debian's own. That of the clouds cannot be Xen's first domain.
_KIND_PACKAGES = {
    "container": (),
    "vm": ("linux-image-cloud-amd64", "initramfs-tools", "zstd"),
    "xen": ("linux-image-amd64", "xen-hypervisor-4.20-amd64", "initramfs-tools", "zstd"),
}
# Debian's Xen has its version in the package's name: that of the release that was seen to boot.
_XEN_RELEASE = "trixie"

_LAB_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
# virtio serials hold 20 bytes, and "lab-" is put before the name.
_DISK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
MIB, GIB = 1 << 20, 1 << 30


def show_size(size: int) -> str:
    """Return bytes as a person writes them: 10G."""
    power = max(0, min(4, (size.bit_length() - 1) // 10))
    return f"{size / 1024**power:.1f}".removesuffix(".0") + ("", "K", "M", "G", "T")[power]


class Disk(t.NamedTuple):
    """A disk of a host. size in bytes."""

    name: str
    size: int


@dataclasses.dataclass(frozen=True)
class Host:
    """A host as declared. memory in MiB, cpus and xen (it boots Xen, and is its first domain) hold for virtual machines only."""

    name: str
    address: str
    kind: str
    release: str
    packages: tuple[str, ...] = ()
    disks: tuple[Disk, ...] = ()
    memory: int = 2048
    cpus: int = 2
    xen: bool = False
    made_from: str = ""

    @property
    def image_kind(self) -> str:
        """Container, vm or xen: how an image for it is made."""
        return "xen" if self.xen else self.kind

    @property
    def xen_share(self) -> int:
        """The MiB of its memory that are Xen's own and its guests', not the first domain's."""
        return max(640, self.memory // 4)

    @property
    def image(self) -> str:
        return self.made_from or image_name(self.release, self.image_kind, self.packages)

    def record(self) -> dict[str, t.Any]:
        """Return what is kept of a host beside it, to see later what it was made as."""
        kept = ("name", "address", "kind", "release", "image", *(("memory", "cpus") if self.kind == "vm" else ()), *(("xen",) if self.xen else ()))
        return {**{key: getattr(self, key) for key in kept}, "disks": {disk.name: disk.size for disk in self.disks}}


def image_packages(kind: str, packages: t.Iterable[str]) -> list[str]:
    """Return the packages of the archive that an image of that kind has beyond those of all images."""
    return [*_KIND_PACKAGES[kind], *sorted({name for name in packages if not name.endswith(".deb")})]


def package_files(packages: t.Iterable[str]) -> list[str]:
    """Return those of a host's packages that are files of this machine, not names in the archive."""
    return sorted({name for name in packages if name.endswith(".deb")})


def image_name(release: str, kind: str, packages: t.Iterable[str]) -> str:
    """Return an image's name: hosts with the same release, kind and packages share one."""
    own = {path: os.stat(path) for path in package_files(packages)}
    identities = [f"{os.path.basename(path)} {seen.st_size} {int(seen.st_mtime)}" for path, seen in own.items()]
    content = "\n".join([base_name(release), str(RECIPE[kind]), release, kind, *image_packages(kind, packages), *identities])
    return f"debian-{release}-{kind}-{_digest(content)}"


def base_name(release: str) -> str:
    """Return the name of what all images of a release begin with. It has a dot, and is no host's."""
    return f"debian-{release}.{RECIPE['base']}-{_digest(' '.join(BASE))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class Lab:
    """A lab as declared, and where its things live. Several may exist at once, with names and networks of their own.
    gateway: the machine's own address. bridge: its name, as interfaces' of at most 15 characters. alias: what is written on it, so that it is known whose it
    is. table: the lab's own of nftables."""

    def __init__(self, name: str, network: ipaddress.IPv4Network, cache: str, hosts: tuple[Host, ...] = ()) -> None:
        self.name, self.network, self.cache, self.hosts = name, network, cache, hosts
        self.gateway = str(network[1])
        self.bridge = f"br-{name if len(name) <= 12 else _digest(name)}"
        self.alias = f"cephstack lab {name} of {cache}"
        self.table = "cephstack_" + name.replace("-", "_")
        self.images = os.path.join(cache, "images")
        self.private_key = os.path.join(cache, "ssh", "id_ed25519")
        self.directory = os.path.join(cache, "labs", name)
        self.known_hosts = os.path.join(self.directory, "known_hosts")

    def image(self, name: str, *part: str) -> str:
        """The folder of an image (root, disk.raw, vmlinuz, initrd, xen), which is there once it was made to its end."""
        return os.path.join(self.images, name, *part)

    def host(self, name: str, *part: str) -> str:
        """The folder of a host: its console.log, its disks, its key, what it was made as (host.json), and what its kind adds."""
        return os.path.join(self.directory, "hosts", name, *part)

    def disk(self, name: str, disk: str) -> str:
        return self.host(name, "disks", disk + ".img")

    def host_key(self, name: str) -> str:
        return self.host(name, "ssh_host_ed25519_key")

    def machine(self, name: str) -> str:
        """The name by which a host's process is known. A lab's name has no dot, so that none is another's prefix."""
        return f"{self.name}.{name}"

    def tap(self, name: str) -> str:
        return f"lt-{_digest(self.machine(name))}"


def mac(machine: str) -> str:
    """Return a virtual machine's hardware address: the same for the same name, in QEMU's own range."""
    digest = _digest(machine)
    return f"52:54:00:{digest[:2]}:{digest[2:4]}:{digest[4:6]}"


def parse(params: t.Mapping[str, t.Any]) -> Lab:
    """Return the lab that the module's parameters declare. Raises Invalid with every problem found."""
    problems: list[str] = []
    name, network = params["name"], None
    if not _LAB_NAME.fullmatch(name):
        problems.append(f"the lab's name '{name}' must be 1 to 20 of a-z, 0-9 and -, a letter first")
    try:
        network = ipaddress.IPv4Network(params["network"])
        if not 16 <= network.prefixlen <= 29:
            problems.append(f"the network {network} must be from /16 to /29")
            network = None
    except ValueError as error:
        problems.append(f"the network '{params['network']}' is not an IPv4 network such as 10.77.0.0/24: {error}")
    hosts = tuple(_host(entry, network, problems) for entry in params.get("hosts") or [])
    for what in ("name", "address"):
        problems += _twice(f"the {what}", ((getattr(host, what), host.name) for host in hosts))
    if " " in params["cache"] and any(host.xen for host in hosts):
        problems.append(f"the cache's path '{params['cache']}' has a space in it, at which QEMU ends the name of Xen's first kernel: give another cache")
    if problems or network is None:
        raise Invalid(problems)
    return Lab(name, network, os.path.abspath(os.path.expanduser(params["cache"])), hosts)


def _twice(what: str, pairs: t.Iterable[tuple[str, str]]) -> t.Iterator[str]:
    seen: dict[str, str] = {}
    for value, owner in pairs:
        if value in seen:
            yield f"{what} {value} is given to more than one host: {seen[value]}, {owner}"
        seen[value] = owner


def _host(entry: t.Mapping[str, t.Any], network: t.Optional[ipaddress.IPv4Network], problems: list[str]) -> Host:
    """Return a declared host; its problems are added."""
    name, release, items = entry["name"], RELEASES.get(str(entry["release"])), entry.get("disks") or []
    packages = tuple(sorted({*(entry.get("packages") or [])}))
    machine, xen, memory = entry["kind"] == "vm", entry["xen"], entry["memory"]
    disks: list[Disk] = []
    found: list[str] = []
    try:
        address = ipaddress.IPv4Address(entry["address"])
        if network and address not in network:
            found.append(f"{address} is outside the lab's network {network}")
        elif network and address in (network[0], network[1], network[-1]):
            found.append(f"{address} cannot be a host's: the first two addresses of {network} and the last are taken")
    except ValueError:
        found.append(f"'{entry['address']}' is not an IPv4 address")
    for item in items:
        try:
            disks.append(Disk(item["name"], values.size(item["size"])))
        except ValueError as error:
            found.append(f"disk {item['name']}: {error}")
    for path in package_files(packages):
        if not os.path.isabs(path):
            found.append(f"the package {path} is a file, so write its whole path")
        elif not os.path.isfile(path):
            found.append(f"there is no package {path} on this machine")
    wrong = {
        f"the host's name '{name}' must be 1 to 40 of a-z, 0-9 and -, with no - at its ends": not _HOST_NAME.fullmatch(name),
        f"Debian '{entry['release']}' is not known here: 12, 13 or testing": release is None,
        **dict.fromkeys(found, True),
        **{f"the disk's name '{item['name']}' must be 1 to 16 of a-z, 0-9 and -": not _DISK_NAME.fullmatch(item["name"]) for item in items},
        **{f"disk {disk.name} is too small: {show_size(disk.size)} (at least 16M)": disk.size < 16 * MIB for disk in disks},
        f"a virtual machine needs at least 512 MiB of memory, not {memory}": machine and memory < 512,
        "a virtual machine needs at least one CPU": machine and entry["cpus"] < 1,
        f"Xen boots on a machine of its own: say kind vm, not {entry['kind']}": xen and not machine,
        f"a Xen host is made of Debian 13, not '{entry['release']}'": xen and release not in (_XEN_RELEASE, None),
        f"a Xen host with a guest needs at least 1536 MiB of memory, not {memory}": xen and memory < 1536,
    }
    problems += [f"{name}: {text}" for text, so in wrong.items() if so]
    problems += _twice(f"{name}: the disk name", ((disk.name, name) for disk in disks))
    same = {option: entry[option] for option in ("name", "address", "kind", "memory", "cpus", "xen")}
    return Host(**same, release=release or "", packages=packages, disks=tuple(disks))
