# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module reaches a Ceph cluster (CONNECTION_OPTIONS in plugins/module_utils/_ceph/connection.py)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  connection:
    description:
      - How to reach the cluster, and as whom.
      - By default it is the cluster of the play's monitors as C(client.admin), once M(cephstack.cloud.ceph_mon_info) has learned in this run how to reach it.
        The roles see to that. Before, and for M(cephstack.cloud.ceph_probe) and M(cephstack.cloud.libvirt_guest_probe), which use the consumers' own keys, it
        is the cluster of C(/etc/ceph/ceph.conf) as C(client.admin), whose keyring must then be on this host.
    type: dict
    default: {}
    suboptions:
      conf:
        description: The Ceph configuration file that names the monitors. Not read where O(connection.mon_host) is given.
        type: path
        default: /etc/ceph/ceph.conf
      mon_host:
        description: The monitors' addresses, in the form of C(mon_host) in a C(ceph.conf).
        type: str
      client:
        description: The full name of the cephx client.
        type: str
        default: client.admin
      keyring:
        description: A file on this host with the client's key. By default it is looked for where Ceph looks for it.
        type: path
      key:
        description: The client's key itself. It is used in memory only and reaches no file and no command line.
        type: str
      timeout:
        description: How many seconds to wait for the cluster, on connecting and for each command.
        type: int
        default: 30
requirements:
  - python3-rados, of the distribution's own Python (another interpreter hands over to it by itself)
"""
