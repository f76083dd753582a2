# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: running_cluster
short_description: What this run has learned of the running cluster
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Says what M(cephstack.cloud.ceph_mon_info) has learned in this run from the monitors' hosts, in one, without the key.
  - A host that could not be asked is not taken for one without a monitor.
  - Of a cluster that others keep it says what is declared of it.
options:
  _terms:
    description: The inventory groups of the monitors' hosts, one for each cluster.
    type: list
    elements: str
    required: true
  fsid:
    description: The fsid that a new cluster is to have.
    type: str
    default: ""
  external:
    description: C(ceph.external), where the cluster is others'.
    type: dict
    default: {}
  roles:
    description: The groups that have other names than the roles of their hosts, C(ceph_common_groups).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Ask the monitors' hosts
  cephstack.cloud.ceph_mon_info:
  delegate_to: "{{ item }}"
  loop: "{{ groups['mons'] }}"
  run_once: true

- name: Show where the monitors are
  ansible.builtin.debug:
    msg: "{{ lookup('cephstack.cloud.running_cluster', 'mons').monmap }}"
"""

RETURN = r"""
_raw:
  description:
    - For each cluster C(running), whether one of its monitors was found running, C(fsid) (the running cluster's, else the given one, else one that a host's
      C(ceph.conf) names, else a new one), C(mon_host), empty where no monitor runs, C(monmap), the addresses of each monitor by its name, C(host), one
      that can ask them, else the first of the group, and C(down), the reasons by host why monitors cannot be asked, empty where one runs.
  type: list
  elements: dict
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _access, _external


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: t.Any = None, **options: t.Any) -> list[dict[str, t.Any]]:
        """Return one dictionary for each group; see RETURN."""
        self.set_options(var_options=variables, direct=options)
        groups, external = (variables or {}).get("groups", {}), self.get_option("external")
        if external:
            return [_access.external_cluster(external, _external.asking_host(external, groups, self.get_option("roles")))] * len(terms)
        return [_access.running_cluster(group, groups.get(group, []), self.get_option("fsid")) for group in terms]
