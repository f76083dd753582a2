# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: verify_report
short_description: What was proven, in a few lines
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the result of M(cephstack.cloud.ceph_probe), M(cephstack.cloud.s3_probe) or M(cephstack.cloud.openstack_probe) and returns a few lines for a person
    to read.
positional: guests, xen
options:
  _input:
    description: The result of M(cephstack.cloud.ceph_probe), M(cephstack.cloud.s3_probe) or M(cephstack.cloud.openstack_probe).
    type: dict
    required: true
  guests:
    description: The result of M(cephstack.cloud.libvirt_guest_probe), if it ran.
    type: dict
  xen:
    description: The results of M(cephstack.cloud.xen_guest_probe), if it ran.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Say what was proven
  ansible.builtin.debug:
    msg: "{{ probe | cephstack.cloud.verify_report(guests) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def verify_report(
    probe: t.Mapping[str, t.Any], guests: t.Optional[t.Mapping[str, t.Any]] = None, xen: t.Optional[t.Sequence[t.Mapping[str, t.Any]]] = None
) -> list[str]:
    """Return one line for each pool, one for what was refused, one for each guest's disk, and one for each user at each gateway; and OpenStack's."""
    lines: list[str] = []
    for consumer in probe.get("consumers") or ():
        for pool in consumer["pools"]:
            lines.append(f"{consumer['client']} on {pool['name']} ({pool['access']}): {_took(pool['latency'])}")
        lines.append(f"{consumer['client']} is refused what it was not promised: {len(consumer['refused'])} attempts, none succeeded")
    for guest in (guests or {}).get("guests") or ():
        origin = f"a clone of {guest['golden']} ({guest['clone_ms']} ms)" if guest["golden"] else "an image of its own"
        lines.append(f'guest of {guest["client"]} ({guest["domain_type"]}) on {origin}: wrote in {guest["guest_seconds"]} s "{guest["marker"]}"')
    lines += (guests or {}).get("reasons") or ()
    for guest in xen or ():
        for disk in guest.get("disks") or ():
            where = f"Xen guest on {disk['pool']}/{disk['image']} by {disk['backend']}"
            lines.append(f'{where}: wrote, within {guest["seconds"]} s, "{disk["written"]}"')
    lines += dict.fromkeys(guest["reason"] for guest in xen or () if guest.get("reason"))
    for user in probe.get("probes") or ():
        lines.append(f"{user['uid']} at {user['endpoint']}: {_took(user['latency'])}; nobody without a key is served")
    return lines + [*_openstack(probe)]


def _openstack(probe: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """One line for each guest, volume and object storage of OpenStack's, and for what a person should know."""
    for guest in probe.get("guests") or ():
        took = f'ran after {guest["deploy_seconds"]} s, wrote within {guest["marker_seconds"]} s "{guest["marker"]}"'
        yield f"guest from {guest['from']} on {guest['host']}, on {guest['image']}, a clone of {guest['parent']}: {took}"
        if guest["snapshot"]:
            yield f"and it became the image {guest['snapshot']['image']} in {guest['snapshot']['seconds']} s"
        if guest["migration"]:
            yield f"and it moved from {guest['migration']['from']} to {guest['migration']['to']} in {guest['migration']['seconds']} s"
    for volume in probe.get("volumes") or ():
        more = [f"there in {volume['seconds']} s", *(f"{what} in {volume[what]['seconds']} s" for what in ("snapshot", "backup") if volume[what])]
        yield f"volume of the type {volume['type']} on {volume['image']}: {', '.join(more)}"
    for store in probe.get("objects") or ():
        yield f"a project of its own at {store['url']}: {_took(store['latency'])}; nobody without a token or key is served"
    yield from probe.get("notes") or ()


def _took(latency: t.Mapping[str, float]) -> str:
    return ", ".join(f"{operation} {milliseconds} ms" for operation, milliseconds in latency.items())


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"verify_report": verify_report}
