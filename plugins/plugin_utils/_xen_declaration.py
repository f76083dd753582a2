# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared of all Xen hosts, checked across them. Runs on the controller, connects nowhere.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.disks import BACKEND, Disk, contested, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.host import TAP_BACKENDS
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _host_consumers
from ansible_collections.cephstack.cloud.plugins.plugin_utils._inventory import Host

# Distributions whose Xen has no backendtype=tap: libxl got it back with 4.20.
WITHOUT_TAP = {("Debian", "12"): "4.17", ("Ubuntu", "22"): "4.16", ("Ubuntu", "24"): "4.17"}


def problems(hosts: t.Sequence[Host], roles: t.Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return (problems, warnings) of the Xen hosts among all hosts, each naming the variable, the host and the mend.

    hosts: whose xen_host, where they have one, went through its specification. roles: which group plays which role, {"xen_hosts": "xen_hosts", ...}.
    """
    found: list[str] = []
    warnings: list[str] = []
    everywhere: dict[str, list[tuple[str, Disk]]] = {}
    for host in (host for host in hosts if roles["xen_hosts"] in host.groups):
        if roles["kvm_hosts"] in host.groups:
            found.append(f"{host.name}: is in the groups {roles['xen_hosts']} and {roles['kvm_hosts']}, but no KVM runs under Xen: take it out of one")
        if roles["osds"] in host.groups:
            warnings.append(f"{host.name}: maps images by the kernel and holds OSDs: when memory is short they can wait for each other for ever. Use two hosts")
        try:
            for disk in _disks(host, found):
                everywhere.setdefault(disk.name, []).append((host.name, disk))
        except Invalid as error:
            found += error.problems
    return found + [f"xen_host.guests: {text}" for image, users in everywhere.items() for text in _across(image, users)], warnings


def _disks(host: Host, found: list[str]) -> list[Disk]:
    """Return one host's disks, and add what is wrong with its backends to what was found. Raises Invalid where they can't be told."""
    declared = {"guests": [], "rbd_backend": BACKEND["default"], **(host.variables.get("xen_host") or {})}
    consumers = _host_consumers.of_host(host.variables.get("consumers"), host.name, host.groups)
    disks = parse(declared["guests"], declared["rbd_backend"], consumers, f"{host.name}: xen_host.guests").disks
    system, version = str(host.facts.get("distribution", "")), str(host.facts.get("distribution_version", "")).partition(".")[0]
    if (system, version) in WITHOUT_TAP:
        has = f"and {system} {version} has {WITHOUT_TAP[(system, version)]}: use krbd_script or rbd_nbd"
        backends = {declared["rbd_backend"], *(disk.backend for disk in disks)} & {*TAP_BACKENDS}
        found += [f"{host.name}: xen_host: the backend {backend} needs Xen 4.20, {has}" for backend in sorted(backends)]
    return disks


def _across(image: str, users: t.Sequence[tuple[str, Disk]]) -> t.Iterator[str]:
    """What is wrong with an image that several hosts have. One guest may be declared on each host that it can run on."""
    disks = [disk for _host, disk in users]
    who = " and ".join(f"{disk.guest} on {host}" for host, disk in users)
    if len({host for host, _disk in users}) < 2:
        return
    if contested(disks) and len({disk.guest for disk in disks}) > 1:
        yield f"the image {image} is written by one guest while another has it: {who}. Give each guest its own, or say exclusive: false for each"
    elif any(disk.mapping and disk.exclusive and disk.mode == "w" for disk in disks):
        remedy = "Use the backend krbd_script, which maps it when the guest starts, or say exclusive: false"
        yield f"the image {image} would be mapped at boot on several hosts, of which only one could hold it: {who}. {remedy}"
