# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills in, from the inventory and the variables of the stack, what a host is asked for, and notes between which moments it was asked."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action.normal import ActionModule as Normal

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _host_checks, _inventory

# Of another host's variables, what may say where it is reached.
_REACHED = ("ansible_host", "ansible_ssh_host", "ceph_common_address")


class ActionModule(Normal):  # type: ignore[misc]
    """The module preflight_facts, which knows nothing of other hosts."""

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Optional[dict[str, t.Any]] = None) -> dict[str, t.Any]:
        began = time.time()
        result = t.cast("dict[str, t.Any]", super().run(tmp, task_vars))
        found = (result.get("ansible_facts") or {}).get("ansible_cephstack")
        if found:
            found["asked"] = [began, time.time()]
        return result

    def _execute_module(self, module_name: t.Any = None, module_args: t.Any = None, task_vars: t.Any = None, **more: t.Any) -> t.Any:
        args = self._task.args if module_args is None else module_args
        return super()._execute_module(module_name, {**self._asked(task_vars or {}), **args}, task_vars=task_vars, **more)

    def _asked(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The module's options. What cannot be templated is not asked for: preflight says why."""

        def value(name: str, default: t.Any) -> t.Any:
            try:
                found = self._templar.template(variables[name]) if name in variables else default
            except AnsibleError:
                return default
            return found if isinstance(found, type(default)) else default

        ceph, groups = value("ceph", {}), variables["groups"]
        roles = {**_host_checks.roles_of(variables.get("openstack")), **value("ceph_common_groups", {})}
        mine = {role for role, group in roles.items() if group in variables.get("group_names", ())}
        public, cluster = (self._networks(ceph, key) for key in ("public_network", "cluster_network"))
        peers = []
        for name in _host_checks.peers_of(variables["inventory_hostname"], groups, roles):
            with contextlib.suppress(AnsibleError, ValueError):
                host = self._host(name, variables["hostvars"])
                peers.append({"host": name, "address": (_inventory.address_of(host, public) if public else None) or _inventory.reached_by(host) or name})
                # Known where its facts are kept from another run. Else the MTUs of the interfaces alone are compared.
                others = [address for address in _inventory.addresses_in(host, cluster) if "osds" in mine]
                peers += [{"host": name, "address": address} for address in others[:1]]
        wanted = _host_checks.wanted_ports(mine, {name: value(name, []) for name in ("ceph_rgw_instances",)}, None)
        return {
            "peers": peers,
            "networks": [str(network) for network in public],
            "ports": sorted({one.port for one in wanted}),
            "programs": sorted(
                {program for one in wanted for program in one.programs} | {_host_checks.NEEDS[role][0] for role in mine & set(_host_checks.NEEDS)}
            ),
            "devices": [entry["path"] for entry in value("ceph_osd_devices", []) if isinstance(entry, dict) and entry.get("path")] if "osds" in mine else [],
        }

    @staticmethod
    def _networks(ceph: t.Mapping[str, t.Any], key: str) -> list[t.Any]:
        """Those that are declared; what is none is said of the declaration."""
        with contextlib.suppress(ValueError):
            return _inventory.networks(ceph.get(key))
        return []

    @staticmethod
    def _host(name: str, hostvars: t.Any) -> _inventory.Host:
        """Another host, with what may say where it is. Raises AnsibleError."""
        raw = hostvars.raw_get(name)
        return _inventory.Host(name, frozenset(), {key: hostvars[name][key] for key in _REACHED if key in raw}, raw.get("ansible_facts") or {})
