# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ceph_mon_info and all modules that talk to a cluster (meta/runtime.yml): what the one learns reaches the others in memory."""

from __future__ import annotations

import typing as t

from ansible.template import trust_as_template

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _access, _external


class ActionModule(_access.Access):
    """A module of Ceph's, with the connection to the cluster of the play's monitors, or to the one that is declared as ceph.external."""

    learns = "ceph_mon_info"
    secrets = ("key",)

    def learn(self, result: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> None:
        _access.note_answer(self._group(variables), self._task.delegate_to or variables["inventory_hostname"], result)

    def known(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        external = self._external(variables)
        return _external.connection_of(external, self._file) if external else _access.ceph_connection(self._group(variables))

    def _execute_module(self, module_name: t.Any = None, module_args: t.Any = None, task_vars: t.Any = None, **more: t.Any) -> t.Any:
        external = self._external(task_vars or {})
        # Keys that were handed out are not asked for: nobody but their clients may.
        if self._task.action.rpartition(".")[2] == "ceph_keys_info" and external.get("client_keys") and self._task.no_log:
            args = self._task.args
            keys = {name: external["client_keys"].get(name) for name in args.get("entities") or ()}
            found = {"changed": False, "caps": {}, "s3_keys": {}, "fsid": external["fsid"]}
            if args.get("users"):
                found = super()._execute_module(module_name, {**args, "entities": []}, task_vars=task_vars, **more)
            return {**found, "cephx_keys": keys}
        return super()._execute_module(module_name, module_args, task_vars=task_vars, **more)

    def _external(self, variables: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        return _external.external_of(self.variable(variables, "ceph", {}))

    def _file(self, path: str) -> str:
        """The text of a file on the controller, decrypted by Ansible."""
        templar = self._templar.copy_with_new_env(available_variables={"path": path})
        return str(templar.template(trust_as_template("{{ lookup('ansible.builtin.file', path) }}")))

    def _group(self, variables: t.Mapping[str, t.Any]) -> str:
        return str(self.variable(variables, "ceph_common_groups", {}).get("mons", "mons"))
