# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can CloudStack use this KVM host? What addHost would only show after five minutes, found in seconds, all of it at once.

Asked is what cloudstack-setup-agent and the agent of 4.22 ask (python/lib/cloudutils, LibvirtComputingResource), and what they silently need.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import socket
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import probe

# What the agent takes for a physical interface (LibvirtComputingResource.isInterface).
_PHYSICAL = re.compile(r"eth|bond|vlan|vx|em|ens|eno|enp|team|enx|dummy|lo|p\d+p\d+|vni|enc")
# From this release on librados no longer knows the option auth_supported, which libvirt and the agent set.
TOO_NEW = (20, 2, 4)
# Programs that the agent and its scripts run without asking whether they are there, and the package of each where it is called otherwise.
_PROGRAMS = ("file", "sudo", "qemu-img", "rbd", "ip", "iptables", "ebtables", "ipset")
_PACKAGES = {"qemu-img": "qemu-utils (EL: qemu-img)", "rbd": "ceph-common", "ip": "iproute2 (EL: iproute)"}
# Seconds by which the clocks of host and server may differ: certificates that the server makes are valid from then on. A busy host is asked late.
SKEW = 120.0
# Linux's IFNAMSIZ, less the byte that ends it.
LONGEST = 15
HIGHEST = 4094
_MEND = (
    "give the interface a shorter name by a file in /etc/systemd/network ([Match] PermanentMACAddress=…, [Link] Name=eth1; then update-initramfs -u and a "
    "restart), or put it into a bond of a short name (bond0) and that into the bridge"
)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """bridges: those that the traffic labels name. vlans: the highest VLAN of each, 0 for none; None for not known. servers: addresses of management
    servers. port: of the agents. server_time: theirs now, in seconds since 1970; None for not known. guest_timeout: 0: no guest is run. timeouts in seconds."""

    bridges: tuple[str, ...] = ()
    vlans: t.Optional[t.Mapping[str, int]] = None
    servers: tuple[str, ...] = ()
    port: int = 8250
    server_time: t.Optional[float] = None
    guest_timeout: float = 30.0
    timeout: float = 5.0


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was found of a host. Texts are reasons, "" where all is well.

    kvm: why no guest runs. kvm_ok: what kvm-ok says against it. ports: of each bridge; None where it is none. devices: of VLANs, what they are on.
    librados: its version, "" where it isn't installed. hostname: why it isn't resolved. unreachable: by server, why. skew: seconds that this host is
    ahead of the server, None where it couldn't be asked.
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
    """The numbers of a package's version: 2:18.2.7+ds-1 is (18, 2, 7)."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", text)
    return tuple(map(int, match[1].split("."))) if match else ()


def is_physical(name: str) -> bool:
    """Whether the agent takes an interface for a physical one, by its name."""
    return _PHYSICAL.match(name) is not None


def problems(wanted: Wanted, seen: Seen) -> list[str]:
    """All for which addHost would fail, or guests would afterwards."""
    said = (
        (seen.kvm, f"no guest runs under KVM: {seen.kvm}"),
        (seen.kvm_ok, f"kvm-ok, which CloudStack asks, says no: {seen.kvm_ok}"),
        (not seen.agent, "cloudstack-agent is not installed"),
        *((True, f"{program} is missing: install {_PACKAGES.get(program, program)}") for program in seen.missing),
        *((True, problem) for bridge in wanted.bridges for problem in _bridge_problems(bridge, wanted, seen)),
        (seen.libvirt, f"libvirt does not answer: {seen.libvirt}"),
        (not seen.libvirt_rbd, "libvirt has no driver for RBD storage pools: install libvirt-daemon-driver-storage-rbd"),
        (not seen.qemu_rbd, "QEMU has no driver for RBD: install qemu-block-extra (EL: qemu-kvm-block-rbd)"),
        (not seen.librados, "librados is not installed: install ceph-common"),
        (
            version(seen.librados) >= TOO_NEW,
            f"librados {seen.librados} is too new: since {'.'.join(map(str, TOO_NEW))} it refuses the option auth_supported, which libvirt and CloudStack's "
            "agent set, so that no RBD pool starts; keep this host's Ceph packages at an older release (the cluster's may be newer)",
        ),
        (seen.hostname, f"the host's own name cannot be resolved ({seen.hostname}): name it in /etc/hosts"),
        *((True, f"the management server cannot be reached at {server}, port {wanted.port}: {why}") for server, why in sorted(seen.unreachable.items())),
    )
    found = [problem for wrong, problem in said if wrong]
    if seen.skew is not None and abs(seen.skew) > SKEW:
        found.append(f"the clock is {abs(seen.skew):.0f} s {'ahead of' if seen.skew > 0 else 'behind'} the management server's: set up chrony on both")
    return found


def _bridge_problems(bridge: str, wanted: Wanted, seen: Seen) -> list[str]:
    ports = seen.ports.get(bridge)
    if ports is None:
        return [f"there is no bridge {bridge}: CloudStack would say «Can not find network: {bridge}»"]
    if not any(map(is_physical, ports)):
        held = f"holds only {', '.join(ports)}" if ports else "holds no interface"
        return [f"the bridge {bridge} {held}: CloudStack wants a physical one in it, named like eth0, ens3, enp1s0, bond0 or vlan7"]
    return [] if wanted.vlans is None else _too_long(bridge, seen, wanted.vlans.get(bridge, 0))


def warnings(wanted: Wanted, seen: Seen) -> list[str]:
    """What would fail in some zones: which VLANs this host's will have isn't known."""
    return [problem for bridge in wanted.bridges for problem in _too_long(bridge, seen, None)] if wanted.vlans is None else []


def too_long(bridge: str, interfaces: t.Iterable[str], highest: t.Optional[int]) -> list[str]:
    """What is wrong with the interfaces of a bridge that carries VLANs up to highest. 0: none. None: it isn't known which."""
    vlan = HIGHEST if highest is None else highest
    names = {interface: f"br{interface}-{vlan}" for interface in interfaces}  # the longer one of the two
    return [
        f"the bridge {bridge} holds {interface}, for which CloudStack makes {name} where a network has the VLAN {vlan}: that has {len(name)} characters, "
        f"Linux takes {LONGEST}, and the network's guests would not start; {_MEND}"
        for interface, name in names.items()
        if vlan and len(name) > LONGEST
    ]


def _too_long(bridge: str, seen: Seen, highest: t.Optional[int]) -> list[str]:
    """The agent names the bridges of VLANs after the physical interface, or the one that a VLAN is on. Which of several it takes is chance."""
    names = [seen.devices.get(port, port) for port in seen.ports.get(bridge) or () if is_physical(port)]
    return too_long(bridge, dict.fromkeys(names), highest)


def look(wanted: Wanted) -> Seen:
    """Look at this host, at everything side by side."""
    now = time.time()
    with ThreadPoolExecutor(max_workers=8) as pool:
        kvm = pool.submit(probe, wanted.guest_timeout) if wanted.guest_timeout else None
        said = {name: pool.submit(ask) for name, ask in _ASKED.items()}
        servers = {server: pool.submit(_reach, server, wanted.port, wanted.timeout) for server in wanted.servers}
    ports = {bridge: _ports(bridge) for bridge in wanted.bridges}
    devices = {port: _device(port) for held in ports.values() for port in held or ()}
    drivers = [glob.glob(f"/usr/lib{folder}/libvirt/storage-backend/*_rbd.so") for folder in ("*", "/*")]
    return Seen(
        kvm=kvm.result().reason if kvm else "",
        missing=tuple(program for program in _PROGRAMS if not process.installed(program)),
        agent=os.path.exists("/usr/bin/cloudstack-setup-agent"),
        ports=ports,
        devices={port: device for port, device in devices.items() if device},
        libvirt_rbd=any(drivers),
        unreachable={server: result.result() for server, result in servers.items() if result.result()},
        skew=None if wanted.server_time is None else round(now - wanted.server_time, 1),
        **{name: result.result() for name, result in said.items()},
    )


def _ports(bridge: str) -> t.Optional[tuple[str, ...]]:
    try:
        return tuple(sorted(os.listdir(f"/sys/class/net/{bridge}/brif")))
    except OSError:
        return None


def _device(interface: str) -> str:
    """What a VLAN is on, "" where an interface is none."""
    lines = (files.read(f"/proc/net/vlan/{interface}") or "").splitlines()
    return next((line.split()[1] for line in lines if line.startswith("Device:")), "")


def _run(argv: t.Sequence[str]) -> tuple[int, str]:
    """A command's exit code and what it said; (-1, why) where it could not be run."""
    try:
        done = process.complete(argv, timeout=60)
    except process.CommandError as error:
        return -1, f"{argv[0]} " + ("is not installed" if error.code == process.MISSING else "did not end in 60 s")
    return done.code, (done.out + done.err).strip()


def _kvm_ok() -> str:
    """cloudstack-setup-agent runs kvm-ok on Debian and Ubuntu only; elsewhere it looks for the module kvm."""
    if not os.path.exists("/etc/debian_version"):
        return "" if os.path.isdir("/sys/module/kvm") else "the module kvm is not loaded"
    code, said = _run(["kvm-ok"])
    lines = "; ".join(line.strip() for line in said.splitlines() if line.strip())
    return "" if code == 0 else f"{said} (package cpu-checker)" if code == -1 else lines or f"exit code {code}"


def _qemu_knows_rbd() -> bool:
    """With its driver, qemu-img misses the pool's name; without, it doesn't know the driver."""
    code, said = _run(["qemu-img", "info", "--image-opts", "driver=rbd"])
    return code == -1 or "Unknown driver" not in said


def _libvirt() -> str:
    code, said = _run(["virsh", "--connect", "qemu:///system", "version"])
    return "" if code == 0 else said.splitlines()[-1] if said else f"exit code {code}"


def _librados() -> str:
    dpkg = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Version}", "librados2"]
    for argv in (dpkg, ["rpm", "-q", "--queryformat=ii %{VERSION}", "librados2"]):
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
    "kvm_ok": _kvm_ok, "qemu_rbd": _qemu_knows_rbd, "libvirt": _libvirt, "librados": _librados, "hostname": _hostname,
}  # fmt: skip
