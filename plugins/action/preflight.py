# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the controller, where the variables of every host are at hand, those outside --limit too."""

from __future__ import annotations

import collections
import dataclasses
import time
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

from ansible_collections.cephstack.cloud.plugins.module_utils import _apt
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import cluster, exports
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import vlan_bridges
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import mapping, record, string
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _inventory
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _xen_declaration as xen

GROUPS = {
    "mons": string("The group of the monitors' hosts.", default="mons"),
    "mgrs": string("The group of the managers' hosts.", default="mgrs"),
    "osds": string("The group of the OSDs' hosts.", default="osds"),
    "mdss": string("The group of the metadata servers' hosts.", default="mdss"),
    "rgws": string("The group of the object gateways' hosts.", default="rgws"),
    "kvm_hosts": string("The group of the KVM hosts.", default="kvm_hosts"),
    "xen_hosts": string("The group of the Xen hosts.", default="xen_hosts"),
    "nfs_gateways": string("The group of the NFS gateways.", default="nfs_gateways"),
}
FIELDS = {
    "groups": record("The inventory group of each role, for groups with other names than these.", GROUPS, default={}),
    "monmap": mapping("The addresses of each monitor of the living cluster by its name, if known. They take precedence over the inventory.", default={}),
}
PREFIX = "ceph_cluster_"
# These are judged by rbd_images, against the living pools.
IMAGES = "ceph_cluster_images"
SECRETS = ("cloudstack.database.password", "cloudstack.admin_password", "cloudstack.management_key", "cloudstack.database_key")
PACKAGES = "cloudstack.packages"


def _cause(error: BaseException) -> BaseException:
    """What lies at the bottom of an error."""
    return _cause(error.__cause__) if error.__cause__ else error


class ActionModule(ActionBase):
    """Check the declaration of the whole stack; fail with every problem at once."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(FIELDS)

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Optional[dict[str, t.Any]] = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        roles = {role: role for role in GROUPS} | (self._task.args.get("groups") or {})
        groups, hostvars = variables["groups"], variables["hostvars"]
        names = sorted({name for role in GROUPS for name in groups.get(roles[role], [])})
        # A host outside of --limit, or one that is down, may have no facts.
        playing = variables.get("ansible_play_hosts", names)
        hosts = [dataclasses.replace(self._host(name, groups, hostvars[name]), playing=name in playing) for name in names]
        # Through hostvars, which are templated; the task's own variables are not.
        ceph = (hostvars[names[0]].get("ceph") or {}) if names else {}
        problems, warnings = _inventory.problems(hosts, ceph, roles, self._task.args.get("monmap"))
        mons = groups.get(roles["mons"], [])
        if mons:
            declared = self._declaration(hostvars[mons[0]])
            problems += cluster.declared_problems(declared, hosts=len(groups.get(roles["osds"], [])) or None, prefix=PREFIX, now=time.time())
        gateways = [host for host in hosts if roles["nfs_gateways"] in host.groups]
        problems += exports.declared_problems({host.name: host.variables.get("nfs_gateway_exports") for host in gateways})
        packages = ceph.get("packages") or {}
        if packages.get("source") == "repository":
            problems += _apt.problems(packages.get("repository") or {}, "ceph.packages.repository")
        problems += self._cloudstack(groups.get(variables.get("cloudstack_management_group", "cloudstack_management"), []), hostvars)
        of_xen, warnings_of_xen = xen.problems(hosts, roles)
        problems += of_xen
        of_kvm = [warning for name in groups.get(roles["kvm_hosts"], []) for warning in self._of_kvm(name, hostvars)]
        result["warnings"] = warnings + warnings_of_xen + of_kvm
        result["changed"] = False
        result["problems"] = problems
        if problems:
            result["failed"] = True
            result["msg"] = "the declaration cannot be met, nothing was touched:\n" + "\n".join(f"- {problem}" for problem in problems)
        return result

    def _templar_of(self, name: str, hostvars: t.Any) -> t.Any:
        """What templates a host's variables with those of others in reach, which hostvars itself has not; and ends at none of them but at what is asked for."""
        return self._templar.copy_with_new_env(available_variables={**hostvars.raw_get(name), "hostvars": hostvars})

    def _of_kvm(self, name: str, hostvars: t.Any) -> list[str]:
        if not vlan_bridges.is_cloudstack(hostvars[name]):
            return []
        try:
            region = self._templar_of(name, hostvars).template(trust_as_template("{{ cloudstack_region | default({}) }}"))
        except AnsibleError as error:  # only a run with its server may know all of it
            return [f"{name}: cloudstack_region: {_cause(error)}: whether the names of VLAN bridges are too long was not looked at"]
        return vlan_bridges.warnings(name, collections.ChainMap({"cloudstack_region": region}, hostvars[name]))

    def _cloudstack(self, servers: t.Sequence[str], hostvars: t.Any) -> list[str]:
        """Return which secrets CloudStack's servers lack, and what is wrong with their repository. They come late in a run, when the whole of Ceph is there."""
        found: dict[str, list[str]] = {}
        for name in servers:
            templar = self._templar_of(name, hostvars)
            for path in (*SECRETS, PACKAGES):
                parent, _dot, key = path.rpartition(".")
                try:
                    value = templar.template(trust_as_template(f"{{{{ {path} if '{key}' in {parent} else '' }}}}"))
                    if path == PACKAGES:
                        said = _apt.problems((value or {}).get("repository") or {}, f"{path}.repository") if (value or {}).get("source") != "folder" else []
                    else:
                        said = [] if value else [f"{path} is not set: keep it in a vault"]
                except AnsibleError as error:
                    said = [f"{path}: {_cause(error)}"]
                for problem in said:
                    found.setdefault(problem, []).append(name)
        return [f"{', '.join(names)}: {problem}" for problem, names in found.items()]

    @staticmethod
    def _host(name: str, groups: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> _inventory.Host:
        wanted = ("ansible_host", "ansible_ssh_host", "ceph_common_address", "ceph_osd_devices", "ceph_rgw_instances")
        wanted += ("nfs_gateway_exports", "xen_host", "consumers")
        return _inventory.Host(
            name=name,
            groups=frozenset(group for group, members in groups.items() if name in members),
            variables={key: variables[key] for key in wanted if key in variables},
            facts=variables.get("ansible_facts") or {},
        )

    @staticmethod
    def _declaration(variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        declared = {key[len(PREFIX) :]: variables[key] for key in variables if key.startswith(PREFIX) and key != IMAGES}
        if "consumers" in variables:
            declared["consumers"] = variables["consumers"]
        return declared
