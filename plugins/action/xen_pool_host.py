# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the controller and has the host run a shell: the host's own Python is too old for Ansible's modules."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, run_action
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, choice, mapping, records, string
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import pool
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _xen_pool_host as pool_host

FIELDS = {
    "repositories": records("The storage repositories, as M(cephstack.cloud.xen_pool) takes them.", pool.REPOSITORY_OPTIONS, required=True),
    "fsid": string("The fsid of the cluster. A host whose C(ceph.conf) has another one is refused.", required=True),
    "mon_host": string("The monitors, in any form of a C(mon_host) in a C(ceph.conf).", required=True),
    "keys": mapping("The keys of the clients of the repositories, by client. They reach the host through standard input.", default={}, no_log=True),
    "absent": choice(
        "What to do with the mappings and keys of repositories that are to be absent. They can be removed only once the pool no longer uses them.",
        ["keep", "remove"],
        default="keep",
    ),
}


class ActionModule(ActionBase):
    """Keys, ceph.conf, rbdmap and LVM's configuration on a host of a pool."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Optional[dict[str, t.Any]] = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=arguments(FIELDS))
        return {**result, **run_action(self, lambda: self._provider(args))}

    def _provider(self, args: t.Mapping[str, t.Any]) -> pool_host.Provider:
        wanted = pool.parse(args["repositories"])
        clients = {item["name"]: item["client"] for item in args["repositories"] if item.get("client")}
        keys = {client: Secret(key) for client, key in args["keys"].items() if key}
        needed = {clients[item.name] for item in wanted if item.present and item.name in clients}
        if needed - set(keys) and not self._task.check_mode:
            raise Invalid([f"keys: there is none of {client}: does the cluster have it?" for client in sorted(needed - set(keys))])
        return pool_host.Provider(self._shell, wanted, clients, args["fsid"], args["mon_host"], keys, args["absent"] == "remove")

    def _shell(self, script: str, content: bytes) -> tuple[int, str, str]:
        # Something on standard input keeps ssh from asking for a terminal, which would change what comes back.
        answer = self._low_level_execute_command(script, in_data=content or b"\n")
        return answer["rc"], answer["stdout"], answer["stderr"]
