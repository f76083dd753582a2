# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the controller, where the variables of every host are at hand, those outside --limit too."""

from __future__ import annotations

import functools
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.cephstack.cloud.plugins.module_utils._spec import mapping, record, string
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _host_checks
from ansible_collections.cephstack.cloud.plugins.plugin_utils._checks import CHECKS
from ansible_collections.cephstack.cloud.plugins.plugin_utils._stack import Stack

GROUPS = {
    "mons": string("The group of the monitors' hosts.", default="mons"),
    "mgrs": string("The group of the managers' hosts.", default="mgrs"),
    "osds": string("The group of the OSDs' hosts.", default="osds"),
    "mdss": string("The group of the metadata servers' hosts.", default="mdss"),
    "rgws": string("The group of the object gateways' hosts.", default="rgws"),
    "kvm_hosts": string("The group of the KVM hosts.", default="kvm_hosts"),
    "xen_hosts": string("The group of the Xen hosts.", default="xen_hosts"),
    "xen_pool_hosts": string("The group of the hosts of XenServer and XCP-ng pools.", default="xen_pool_hosts"),
    "nfs_gateways": string("The group of the NFS gateways.", default="nfs_gateways"),
}
FIELDS = {
    "groups": record("The inventory group of each role, for groups with other names than these.", GROUPS, default={}),
    "monmap": mapping("The addresses of each monitor of the running cluster by its name, if known. They take precedence over the inventory.", default={}),
}


class ActionModule(ActionBase):
    """Check the declaration of the whole stack; fail with every problem at once."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(FIELDS)

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Optional[dict[str, t.Any]] = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        hostvars = variables["hostvars"]
        raw = functools.cache(hostvars.raw_get)

        @functools.cache
        def templar(name: str) -> t.Any:
            """What templates a host's variables with those of others in reach, which hostvars has not; it ends at none of them but at what is asked for."""
            return self._templar.copy_with_new_env(available_variables={**raw(name), "hostvars": hostvars})

        roles = self._task.args.get("groups") or {}
        stack = Stack(
            groups=variables["groups"],
            roles={
                **roles,
                "cloudstack_management": variables.get("cloudstack_management_group", "cloudstack_management"),
                "openstack_controllers": _host_checks.roles_of(variables.get("openstack"))["openstack_controllers"],
            },
            raw=raw,
            render=lambda name, value: templar(name).template(value),
            facts=lambda name: raw(name).get("ansible_facts") or {},
            # A host outside of --limit, or one that is down, may have no facts.
            playing=variables.get("ansible_play_hosts"),
            monmap=self._task.args.get("monmap"),
        )
        for check in (*CHECKS, *_host_checks.CHECKS):
            for host, text in check(stack):
                stack.say(host, text)
        problems = stack.problems
        result.update(changed=False, problems=problems, warnings=stack.warnings, unchecked=stack.unchecked)
        if problems:
            result["failed"] = True
            result["msg"] = "the declaration cannot be met, nothing was touched:\n" + "\n".join(f"- {problem}" for problem in problems)
        return result
