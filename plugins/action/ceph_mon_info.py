# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ceph_mon_info and all modules that talk to a cluster (meta/runtime.yml): what the one learns reaches the others in memory."""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _access


class ActionModule(_access.Access):
    """A module of Ceph's, with the connection to the cluster of the play's monitors."""

    learns = "ceph_mon_info"
    secrets = ("key",)

    def learn(self, result: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> None:
        _access.note_answer(self._group(variables), self._task.delegate_to or variables["inventory_hostname"], result)

    def known(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return _access.ceph_connection(self._group(variables))

    def _group(self, variables: t.Mapping[str, t.Any]) -> str:
        return str(self.variable(variables, "ceph_common_groups", {}).get("mons", "mons"))
