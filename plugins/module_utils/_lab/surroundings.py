# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of its own, not of its image: its files, and how this machine reaches the package archives, which it takes over.

PRIVATE to the collection.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._host.config_files import put_block
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, model, system

# apt's settings that say how an archive is reached.
_APT_SETTINGS = re.compile(r"Acquire::(https?::|Check-|Retries|ForceIPv|AllowInsecure|AllowWeak|Languages|By-Hash)", re.IGNORECASE)


class Surroundings(t.NamedTuple):
    """How this machine reaches the world.
    mirror, security: Debian's archives. apt: lines of apt.conf. nameservers: those that a host can ask too. local_resolver: the loopback address of a name
    server that runs here and nowhere else, or "". names: lines of /etc/hosts that name other machines. certificates: files of the authorities added on this
    machine."""

    mirror: str
    security: str
    apt: tuple[str, ...]
    nameservers: tuple[str, ...]
    local_resolver: str
    names: tuple[str, ...]
    certificates: tuple[str, ...]


class File(t.NamedTuple):
    """A file of a host. once: written when the host is made, and the host's own afterwards."""

    content: str
    mode: int = 0o644
    once: bool = False


def observe(mirror: str = "") -> Surroundings:
    """Read this machine's settings. A mirror that was declared goes before the machine's own."""
    lists = [system.read(path) for path in ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*.list"))]]
    stanzas = [system.read(path) for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources"))]
    own, security = mirrors(lists, stanzas)
    resolvers = nameservers(system.read("/etc/resolv.conf"))
    if all(server.startswith("127.") for server in resolvers):
        # systemd-resolved keeps the servers that it asks itself in a file of its own.
        resolvers = nameservers(system.read("/run/systemd/resolve/resolv.conf")) or resolvers
    outside = tuple(server for server in resolvers if not server.startswith("127."))
    return Surroundings(
        mirror=mirror or own or "http://deb.debian.org/debian",
        security=security or "http://deb.debian.org/debian-security",
        apt=apt_settings(system.run(["apt-config", "dump"]).out if shutil.which("apt-config") else "", os.environ),
        nameservers=outside,
        local_resolver="" if outside or not resolvers else resolvers[0],
        names=other_names(system.read("/etc/hosts")),
        certificates=tuple(sorted(glob.glob("/usr/local/share/ca-certificates/**/*.crt", recursive=True))),
    )


def mirrors(lists: t.Iterable[str], stanzas: t.Iterable[str]) -> tuple[str, str]:
    """Return the addresses of Debian's archive and of its security archive that this machine uses, "" where it uses none. Pure."""
    uris = [uri for text in lists for uri in re.findall(r"^\s*deb[ \t]+(?:\[[^]]*\][ \t]*)?([^\s#]+)[ \t]+[^\s#]", text, re.MULTILINE)]
    uris += [uri for text in stanzas for line in re.findall(r"^URIs:\s*(.+)$", text, re.MULTILINE | re.IGNORECASE) for uri in line.split()]
    plain = [uri.rstrip("/") for uri in uris if uri.startswith(("http://", "https://"))]
    archive = next((uri for uri in plain if uri.endswith("/debian")), "")
    return archive, next((uri for uri in plain if uri.endswith(("/debian-security", "/security"))), "")


def apt_settings(dump: str, environment: t.Mapping[str, str]) -> tuple[str, ...]:
    """Return the lines of ``apt-config dump`` that say how archives are reached, proxies of the environment included. Pure."""
    lines = [line.strip() for line in dump.splitlines() if _APT_SETTINGS.match(line.strip()) and not line.rstrip().endswith('"";')]
    for scheme in ("http", "https"):
        proxy = environment.get(f"{scheme}_proxy") or environment.get(f"{scheme.upper()}_PROXY") or ""
        if proxy and not any(line.startswith(f"Acquire::{scheme}::Proxy ") for line in lines):
            lines.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return tuple(lines)


def for_hosts(lines: t.Iterable[str], gateway: str) -> list[str]:
    """Return apt's settings as a host needs them: a proxy on this machine's loopback is reached by the gateway's address. Pure."""
    return [re.sub(r"(://)(localhost|127\.\d+\.\d+\.\d+)(?=[:/\"])", rf"\g<1>{gateway}", line) for line in lines]


def nameservers(text: str) -> list[str]:
    return re.findall(r"^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$", text, re.MULTILINE)


def other_names(text: str) -> tuple[str, ...]:
    """Return the lines of /etc/hosts that name other machines than this one's loopback. Pure."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith(("127.", "::1", "fe00::", "ff00::", "ff02::")))


def sources(release: str, around: Surroundings) -> list[str]:
    """Return the lines of sources.list for a release: with its updates, and security where there is such an archive. Pure."""
    suites = [(around.mirror, release), (around.mirror, f"{release}-updates"), (around.security, f"{release}-security")]
    return [f"deb {uri} {suite} main" for uri, suite in suites if suite != "forky-security"]


def names(hosts: t.Mapping[str, str]) -> str:
    return "".join(f"{address} {name}\n" for name, address in sorted(hosts.items()))


def of_host(lab: model.Lab, host: model.Host, around: Surroundings, hosts: t.Mapping[str, str], moved: bool = False) -> dict[str, File]:
    """Return the files of a host, by their path in it. moved: it gets another address than it had."""
    key = lab.host_key(host.name)
    servers = around.nameservers or ((lab.gateway,) if around.local_resolver else ())
    own = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", *around.names]
    interfaces = ["auto lo", "iface lo inet loopback", "", "auto eth0", "iface eth0 inet static"]
    interfaces += [f"  address {host.address}/{lab.network.prefixlen}", f"  gateway {lab.gateway}"]
    return {
        "/etc/hostname": File(host.name + "\n"),
        "/etc/hosts": File(put_block("\n".join(own) + "\n", access.NAMES, names(hosts)), once=True),
        "/etc/machine-id": File(uuid.uuid5(uuid.NAMESPACE_DNS, f"{lab.cache}/{lab.machine(host.name)}").hex + "\n", 0o444),
        "/etc/resolv.conf": File("".join(f"nameserver {server}\n" for server in servers)),
        # the host's own from then on: roles put its interface into a bridge
        "/etc/network/interfaces": File("\n".join(interfaces) + "\n", once=not moved),
        "/etc/apt/apt.conf.d/90lab": File("\n".join(for_hosts(around.apt, lab.gateway)) + "\n"),
        "/etc/apt/sources.list": File("\n".join(sources(host.release, around)) + "\n", once=True),
        "/etc/ssh/ssh_host_ed25519_key": File(system.read(key), 0o600),
        "/etc/ssh/ssh_host_ed25519_key.pub": File(system.read(key + ".pub")),
        "/etc/ssh/lab_authorized_keys": File(system.read(lab.private_key + ".pub"), 0o600),
    }
