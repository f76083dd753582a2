# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
import uuid

DOCUMENTATION = r"""
name: ceph_living
short_description: The answers of the monitors' hosts, combined
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the results of a loop of M(cephstack.cloud.ceph_mon_info) over the monitors' hosts and says how to reach the cluster.
  - A host that could not be asked is not taken for one without a monitor.
options:
  _input:
    description: The results of the loop.
    type: list
    elements: dict
    required: true
  loop_var:
    description: The loop's variable, which holds the host's name.
    type: str
    default: item
  fsid:
    description: The fsid that a new cluster is to have.
    type: str
"""

EXAMPLES = r"""
- name: Ask the monitors' hosts
  cephstack.cloud.ceph_mon_info:
  delegate_to: "{{ item }}"
  loop: "{{ groups['mons'] }}"
  register: survey
  no_log: true

- name: Show how many monitors are down
  ansible.builtin.debug:
    msg: "{{ (survey.results | cephstack.cloud.ceph_living).down | length }}"
"""

RETURN = r"""
_value:
  description:
    - C(connection), empty where no monitor lives, C(fsid) (the living cluster's, else the given one, else one that a host's C(ceph.conf)
      names, else a new one), C(down), the reasons by host why monitors cannot be asked, and C(monmap), the addresses of each living
      cluster's monitor by its name, and C(host), the one that answered, empty where none did.
  type: dict
"""


def ceph_living(results: t.Sequence[t.Mapping[str, t.Any]], loop_var: str = "item", fsid: t.Optional[str] = None) -> dict[str, t.Any]:
    """Return connection, fsid, down, monmap and host; see RETURN."""
    connection: dict[str, str] = {}
    down: dict[str, str] = {}
    monmap: dict[str, t.Sequence[str]] = {}
    host = ""
    known: list[str] = [fsid] if fsid else []
    for result in results:
        name = str(result.get(loop_var, "?"))
        state = result.get("state")
        if state == "living":
            connection = {"mon_host": result["mon_host"], "client": "client.admin", "key": result["key"]}
            known.insert(0, result["fsid"])
            monmap = dict(result.get("addresses") or {})
            host = name
        elif state != "none" and not result.get("skipped"):
            down[name] = str(result.get("reason") or result.get("msg") or "it gave no answer")
        if result.get("conf_fsid"):
            known.append(result["conf_fsid"])
    fsid = (known[0] if known else str(uuid.uuid4())).lower()
    return {"connection": connection, "fsid": fsid, "down": {} if connection else down, "monmap": monmap, "host": host}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"ceph_living": ceph_living}
