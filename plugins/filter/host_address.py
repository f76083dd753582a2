# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _inventory

DOCUMENTATION = r"""
name: host_address
short_description: The address by which a host is reached
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the variables of one host and returns its address. Whoever needs a host's address asks this filter, so that all mean the same one.
  - Without a network it is C(ansible_host) where that is set, else the address of the host's default route where its facts are known,
    else the host's name in the inventory.
  - In a network it is where the current monmap has the host's monitor, else C(ceph_common_address) where it is set, else C(ansible_host) or the
    host's name if it is an address in the network, else the address of the host's default route, else the only one of the host's facts that lies
    in it. Where several could be meant it is an error, as one of them may be a virtual one that goes to other hosts.
positional: network, monmap
options:
  _input:
    description: The variables of one host, such as C(hostvars['ceph1']).
    type: dict
    required: true
  network:
    description: The network in which the address must lie, in CIDR form, several separated by commas. V(own) is every address that the host itself has.
    type: str
    default: ""
  monmap:
    description: The addresses of each monitor of the running cluster by its name, as P(cephstack.cloud.running_cluster#lookup) returns them.
    type: dict
    default: {}
  brackets:
    description: Whether an IPv6 address is put into brackets, as in a URL.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show where the monitor of a host listens
  ansible.builtin.debug:
    msg: "{{ hostvars['ceph1'] | cephstack.cloud.host_address('10.0.0.0/24') }}"

- name: Show where a management server answers
  ansible.builtin.debug:
    msg: "http://{{ hostvars['cloud1'] | cephstack.cloud.host_address(brackets=true) }}:8080/client"
"""

RETURN = r"""
_value:
  description: The address; the host's name where nothing else is known and no network is given.
  type: str
"""


def host_address(
    variables: t.Mapping[str, t.Any], network: str = "", monmap: t.Optional[t.Mapping[str, t.Sequence[str]]] = None, brackets: bool = False
) -> str:
    """Return the address; raise AnsibleFilterError where the host has none in the network, or several."""
    host = _inventory.host_of(variables)
    try:
        address = _inventory.own_address(host) if network == "own" else _inventory.address_of(host, _inventory.networks(network), monmap)
    except _inventory.Ambiguous as error:
        raise AnsibleFilterError(str(error)) from error
    except ValueError as error:
        raise AnsibleFilterError(f"ceph.public_network: {error}") from error
    if address is None:
        raise AnsibleFilterError(f"{host.name}: has no address in ceph.public_network ({network}): set ceph_common_address for it")
    return f"[{address}]" if brackets and ":" in address else address


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"host_address": host_address}
