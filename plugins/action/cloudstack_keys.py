# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs cloudstack_keys and all modules that talk to CloudStack's API (meta/runtime.yml): what the one learns reaches the others in memory."""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _access


class ActionModule(_access.Access):
    """A module of CloudStack's, with the connection to the API of the play's management servers."""

    learns = "cloudstack_keys"
    secrets = ("api_key", "api_secret")

    def asks(self) -> dict[str, t.Any]:
        return {"return_keys": True}

    def learn(self, result: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> None:
        if result.get("url"):
            trust = {name: self._task.args.get(name) for name in ("validate_certs", "ca_path")}
            keys = {name: result.get(name) for name in ("url", *self.secrets)}
            _access.CLOUDSTACK.keep(self._group(variables), {name: value for name, value in {**trust, **keys}.items() if value is not None})

    def known(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        # What is proven on a KVM host asks nothing of the API, whose keys are not to get there.
        if self._task.action.rpartition(".")[2] == "cloudstack_probe" and set(self._task.args) == {"pools"}:
            return {}
        return _access.CLOUDSTACK.recall().get(self._group(variables)) or {}

    def _group(self, variables: t.Mapping[str, t.Any]) -> str:
        return str(self.variable(variables, "cloudstack_management_group", "cloudstack_management"))
