# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts take over from this machine, so that they reach the package archives as it does.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import shutil
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._lab import system

MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"

# apt's settings that say how an archive is reached.
_APT_SETTINGS = re.compile(r"Acquire::(https?::|Check-|Retries|ForceIPv|AllowInsecure|AllowWeak|Languages|By-Hash)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """How this machine reaches the world.

    mirror, security: Debian's archives. apt: lines of apt.conf. nameservers: those that a host can ask too.
    local_resolver: the loopback address of a name server that runs here and nowhere else, or "".
    names: lines of /etc/hosts that name other machines. certificates: files of the authorities added on this machine.
    """

    mirror: str
    security: str
    apt: tuple[str, ...]
    nameservers: tuple[str, ...]
    local_resolver: str
    names: tuple[str, ...]
    certificates: tuple[str, ...]


def observe(mirror: str = "") -> Surroundings:
    """Read this machine's settings. A mirror that was declared goes before the machine's own."""
    lists = [system.read("/etc/apt/sources.list")] + [system.read(path) for path in sorted(glob.glob("/etc/apt/sources.list.d/*.list"))]
    stanzas = [system.read(path) for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources"))]
    own, security = mirrors(lists, stanzas)
    dump = system.run(["apt-config", "dump"]).out if shutil.which("apt-config") else ""
    resolvers = nameservers(system.read("/etc/resolv.conf"))
    if all(server.startswith("127.") for server in resolvers):
        # systemd-resolved keeps the servers that it asks itself in a file of its own.
        resolvers = nameservers(system.read("/run/systemd/resolve/resolv.conf")) or resolvers
    outside = tuple(server for server in resolvers if not server.startswith("127."))
    return Surroundings(
        mirror=mirror or own or MIRROR,
        security=security or SECURITY,
        apt=apt_settings(dump, os.environ),
        nameservers=outside,
        local_resolver="" if outside or not resolvers else resolvers[0],
        names=other_names(system.read("/etc/hosts")),
        certificates=tuple(sorted(glob.glob("/usr/local/share/ca-certificates/**/*.crt", recursive=True))),
    )


def mirrors(lists: t.Iterable[str], stanzas: t.Iterable[str]) -> tuple[str, str]:
    """Return the addresses of Debian's archive and of its security archive that this machine uses, "" where it uses none. Pure."""
    uris: list[str] = []
    for text in lists:
        for line in text.splitlines():
            words = re.sub(r"\[[^]]*\]", "", line.partition("#")[0]).split()
            if len(words) >= 3 and words[0] == "deb":
                uris.append(words[1])
    for text in stanzas:
        for match in re.finditer(r"^URIs:\s*(.+)$", text, re.MULTILINE | re.IGNORECASE):
            uris.extend(match.group(1).split())
    plain = [uri.rstrip("/") for uri in uris if uri.startswith(("http://", "https://"))]
    archive = [uri for uri in plain if uri.endswith("/debian")]
    security = [uri for uri in plain if uri.endswith(("/debian-security", "/security"))]
    return (archive or [""])[0], (security or [""])[0]


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
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return tuple(line for line in lines if line and not line.startswith(("127.", "::1", "fe00::", "ff00::", "ff02::")))


def sources(release: str, around: Surroundings) -> list[str]:
    """Return the lines of sources.list for a release: with its updates, and security where there is such an archive. Pure."""
    suites = [(around.mirror, release), (around.mirror, f"{release}-updates")]
    if release != "forky":
        suites.append((around.security, f"{release}-security"))
    return [f"deb {uri} {suite} main" for uri, suite in suites]
