# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can CloudStack use this KVM host? What addHost would only show after five minutes, found in seconds, all of it at once.

What is asked here is what cloudstack-setup-agent and the agent of 4.22 ask (python/lib/cloudutils, LibvirtComputingResource), and what they
silently need.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import shutil
import socket
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import vlan_bridges
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import probe

# What the agent takes for a physical interface (LibvirtComputingResource.isInterface).
_PHYSICAL = re.compile(r"eth|bond|vlan|vx|em|ens|eno|enp|team|enx|dummy|lo|p\d+p\d+|vni|enc")

# From this release on librados no longer knows the option auth_supported, which libvirt and the agent set.
TOO_NEW = (20, 2, 4)

# Of programs that the agent and its scripts run without asking whether they are there.
_PROGRAMS = {
    "file": "file",
    "sudo": "sudo",
    "qemu-img": "qemu-utils (EL: qemu-img)",
    "rbd": "ceph-common",
    "ip": "iproute2 (EL: iproute)",
    "iptables": "iptables",
    "ebtables": "ebtables",
    "ipset": "ipset",
}

# Seconds by which the clocks of host and server may differ: certificates that the server makes are valid from then on. A busy host is asked late.
SKEW = 120.0


@dataclasses.dataclass(frozen=True)
class Wanted:
    """bridges: those that the traffic labels name. vlans: the highest VLAN of each, 0 for none; None for not known. servers: addresses of management
    servers. port: of the agents. time: theirs, as it is now, in seconds since 1970; None for not known. guest_timeout, timeout: seconds; 0: no guest is run."""

    bridges: tuple[str, ...] = ()
    vlans: t.Optional[t.Mapping[str, int]] = None
    servers: tuple[str, ...] = ()
    port: int = 8250
    time: t.Optional[float] = None
    guest_timeout: float = 30.0
    timeout: float = 5.0


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was found of a host. Texts are reasons, "" where all is well.

    kvm: why no guest runs. kvm_ok: what kvm-ok says against it. ports: of each bridge; None where it is no bridge or isn't there.
    devices: of interfaces that are VLANs, what they are on. qemu_rbd, libvirt_rbd: whether the drivers are there. librados: its version, ""
    where it isn't installed. hostname: why it isn't resolved. unreachable: by server, why. skew: seconds that this host is ahead of the server,
    None where it couldn't be asked.
    """

    kvm: str = ""
    kvm_ok: str = ""
    missing: tuple[str, ...] = ()
    agent: bool = True
    ports: t.Mapping[str, t.Optional[tuple[str, ...]]] = dataclasses.field(default_factory=dict)
    qemu_rbd: bool = True
    libvirt_rbd: bool = True
    libvirt: str = ""
    librados: str = "18.2.7"
    hostname: str = ""
    unreachable: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    skew: t.Optional[float] = None
    devices: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of a package's version: 2:18.2.7+ds-1 is (18, 2, 7). Pure."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()


def is_physical(name: str) -> bool:
    """Return whether the agent takes an interface for a physical one, by its name. Pure."""
    return _PHYSICAL.match(name) is not None


def problems(wanted: Wanted, seen: Seen) -> list[str]:
    """Return all for which addHost would fail, or guests would afterwards. Pure."""
    found = []
    if seen.kvm:
        found.append(f"no guest runs under KVM: {seen.kvm}")
    if seen.kvm_ok:
        found.append(f"kvm-ok, which CloudStack asks, says no: {seen.kvm_ok}")
    if not seen.agent:
        found.append("cloudstack-agent is not installed")
    found += [f"{program} is missing: install {_PROGRAMS[program]}" for program in seen.missing]
    for bridge in wanted.bridges:
        ports = seen.ports.get(bridge)
        if ports is None:
            found.append(f"there is no bridge {bridge}: CloudStack would say «Can not find network: {bridge}»")
        elif not any(map(is_physical, ports)):
            held = f"holds only {', '.join(ports)}" if ports else "holds no interface"
            found.append(f"the bridge {bridge} {held}: CloudStack wants a physical one in it, named like eth0, ens3, enp1s0, bond0 or vlan7")
        elif wanted.vlans is not None:
            found += vlan_bridges.too_long(bridge, _named_after(ports, seen), wanted.vlans.get(bridge, 0))
    if seen.libvirt:
        found.append(f"libvirt does not answer: {seen.libvirt}")
    if not seen.libvirt_rbd:
        found.append("libvirt has no driver for RBD storage pools: install libvirt-daemon-driver-storage-rbd")
    if not seen.qemu_rbd:
        found.append("QEMU has no driver for RBD: install qemu-block-extra (EL: qemu-kvm-block-rbd)")
    if not seen.librados:
        found.append("librados is not installed: install ceph-common")
    elif version(seen.librados) >= TOO_NEW:
        found.append(
            f"librados {seen.librados} is too new: since {'.'.join(map(str, TOO_NEW))} it refuses the option auth_supported, which libvirt and CloudStack's "
            f"agent set, so that no RBD pool starts; keep this host's Ceph packages at an older release (the cluster's may be newer)"
        )
    if seen.hostname:
        found.append(f"the host's own name cannot be resolved ({seen.hostname}): name it in /etc/hosts")
    found += [f"the management server cannot be reached at {server}, port {wanted.port}: {why}" for server, why in sorted(seen.unreachable.items())]
    if seen.skew is not None and abs(seen.skew) > SKEW:
        found.append(f"the clock is {abs(seen.skew):.0f} s {'ahead of' if seen.skew > 0 else 'behind'} the management server's: set up chrony on both")
    return found


def warnings(wanted: Wanted, seen: Seen) -> list[str]:
    """Return what would fail in some zones: which VLANs this host's will have isn't known. Pure."""
    if wanted.vlans is not None:
        return []
    return [said for bridge in wanted.bridges for said in vlan_bridges.too_long(bridge, _named_after(seen.ports.get(bridge) or (), seen), None)]


def _named_after(ports: t.Iterable[str], seen: Seen) -> list[str]:
    """Of what the agent names the bridges of VLANs: the physical interface, or the one that a VLAN is on. Which of several it takes is chance."""
    return list(dict.fromkeys(seen.devices.get(port, port) for port in ports if is_physical(port)))


def look(wanted: Wanted) -> Seen:
    """Look at this host, at everything side by side."""
    now = time.time()
    with ThreadPoolExecutor(max_workers=8) as pool:
        kvm = pool.submit(probe, wanted.guest_timeout) if wanted.guest_timeout else None
        said = {name: pool.submit(ask) for name, ask in _ASKED.items()}
        servers = {server: pool.submit(_reach, server, wanted.port, wanted.timeout) for server in wanted.servers}
        ports = {bridge: _ports(bridge) for bridge in wanted.bridges}
        return Seen(
            kvm=kvm.result().reason if kvm else "",
            missing=tuple(program for program in _PROGRAMS if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")),
            agent=os.path.exists("/usr/bin/cloudstack-setup-agent"),
            ports=ports,
            devices={port: device for held in ports.values() for port in held or () for device in [_device(port)] if device},
            libvirt_rbd=bool(glob.glob("/usr/lib*/libvirt/storage-backend/*_rbd.so") + glob.glob("/usr/lib/*/libvirt/storage-backend/*_rbd.so")),
            unreachable={server: result.result() for server, result in servers.items() if result.result()},
            skew=None if wanted.time is None else round(now - wanted.time, 1),
            **{name: result.result() for name, result in said.items()},
        )


def _ports(bridge: str) -> t.Optional[tuple[str, ...]]:
    try:
        return tuple(sorted(os.listdir(f"/sys/class/net/{bridge}/brif")))
    except OSError:
        return None


def _device(interface: str) -> str:
    """Return what a VLAN is on, "" where an interface is none."""
    try:
        with open(f"/proc/net/vlan/{interface}", encoding="utf-8") as stream:
            return next((line.split()[1] for line in stream if line.startswith("Device:")), "")
    except OSError:
        return ""


def _run(argv: t.Sequence[str], timeout: float = 60) -> tuple[int, str]:
    """Return a command's exit code and what it said; (-1, why) where it could not be run."""
    try:
        done = process.complete(argv, timeout=timeout)
    except process.CommandError as error:
        return -1, f"{argv[0]} " + ("is not installed" if error.code == process.MISSING else f"did not end in {timeout:g} s")
    return done.code, (done.out + done.err).strip()


def _kvm_ok() -> str:
    """cloudstack-setup-agent runs kvm-ok on Debian and Ubuntu only; elsewhere it looks for the module kvm."""
    if not os.path.exists("/etc/debian_version"):
        return "" if os.path.isdir("/sys/module/kvm") else "the module kvm is not loaded"
    code, said = _run(["kvm-ok"])
    if code == -1:
        return said + " (package cpu-checker)"
    return "" if code == 0 else "; ".join(line.strip() for line in said.splitlines() if line.strip()) or f"exit code {code}"


def _qemu_knows_rbd() -> bool:
    """With its driver, qemu-img misses the pool's name; without, it doesn't know the driver."""
    code, said = _run(["qemu-img", "info", "--image-opts", "driver=rbd"])
    return code == -1 or "Unknown driver" not in said


def _libvirt() -> str:
    code, said = _run(["virsh", "--connect", "qemu:///system", "version"])
    return "" if code == 0 else said.splitlines()[-1] if said else f"exit code {code}"


def _librados() -> str:
    for argv in (
        ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Version}", "librados2"],
        ["rpm", "-q", "--queryformat=ii %{VERSION}", "librados2"],
    ):
        code, said = _run(argv)
        if code == 0 and said.startswith("ii"):
            return said[2:].strip()
    return ""


def _hostname() -> str:
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError as error:
        return f"{name}: {error}"
    code, said = _run(["hostname", "-f"])
    return "" if code == 0 else f"hostname -f: {said}"


def _reach(server: str, port: int, timeout: float) -> str:
    try:
        with socket.create_connection((server, port), timeout):
            return ""
    except OSError as error:
        return str(error)


_ASKED: dict[str, t.Callable[[], t.Any]] = {
    "kvm_ok": _kvm_ok,
    "qemu_rbd": _qemu_knows_rbd,
    "libvirt": _libvirt,
    "librados": _librados,
    "hostname": _hostname,
}
