# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared stack: the roles' variables of every host, each judged by the argument_specs of the roles that run there. Connects nowhere.

PRIVATE to the collection.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import pathlib
import typing as t

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import UNKNOWN, shape_of
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _external
from ansible_collections.cephstack.cloud.plugins.plugin_utils._inventory import Host

Spec = t.Dict[str, t.Any]
# Templates a value with the variables of a host. Raises AnsibleError.
Render = t.Callable[[str, t.Any], t.Any]

# The roles of site.yml and their entry points, by whose hosts run them.
ROLES = {
    "mons": ("ceph_common", "ceph_mon", "ceph_cluster"),
    "mgrs": ("ceph_common", "ceph_mgr"),
    "osds": ("ceph_common", "ceph_osd"),
    "mdss": ("ceph_common", "ceph_mds"),
    "rgws": ("ceph_common", "ceph_rgw", "verify/object_storage"),
    "nfs_gateways": ("nfs_gateway",),
    "cloudstack_management": ("cloudstack_management", "cloudstack_region", "verify/cloudstack"),
    "kvm_hosts": ("kvm_host", "verify"),
    "openstack_hosts": ("openstack_storage", "verify/openstack_storage"),
    "openstack_controllers": ("openstack_controller", "openstack_catalogue", "verify/openstack"),
    "xen_hosts": ("xen_host", "verify/xen"),
    "xen_pool_hosts": ("xen_pool",),
}
# Required, and that they are missing is said better than by the specification.
SECRETS = {
    "cloudstack_management": ("cloudstack.database.password", "cloudstack.admin_password", "cloudstack.management_key", "cloudstack.database_key"),
    "openstack_controllers": ("openstack.admin_password", "openstack.service_password", "openstack.database.password", "openstack.messages.password"),
    "xen_pool_hosts": ("xen_pool.password",),
}
_SECRET = {path for paths in SECRETS.values() for path in paths}
_SAID_ELSEWHERE = {*_SECRET, "cloudstack", "cloudstack.database", "xen_pool", "ceph.public_network", "nfs_gateway_exports"}
_SAID_ELSEWHERE |= {"openstack", "openstack.database", "openstack.messages"}
# What had another name, as variable or variable.option.option, with [] after a list; and its name of today.
RENAMED: dict[str, str] = {
    "ceph_osd_arm": "ceph_osd_allow_loss",
    "ceph_cluster_arm": "ceph_cluster_allow_loss",
    "ceph_rgw_arm": "ceph_rgw_allow_loss",
    "cloudstack_region.arm": "cloudstack_region.allow_loss",
    "xen_pool.arm": "xen_pool.allow_loss",
    "kvm_host_allow_tcg": "kvm_host_allow_emulation",
}


class _Wrong(Exception):
    """A part of a value that its specification does not take."""


@functools.cache
def specification(entry: str) -> Spec:
    """Return the options of a role's entry point, such as verify/xen."""
    role, _slash, point = entry.partition("/")
    path = pathlib.Path(__file__).resolve().parents[2] / "roles" / role / "meta" / "argument_specs.yml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    options: Spec = yaml.load(path.read_text(encoding="utf-8"), loader)["argument_specs"][point or "main"].get("options") or {}
    return _relaxed(options)


def role_of(variable: str) -> str:
    """Return the role of the stack that a variable is named after, "" where it is none's."""
    roles = {entry.partition("/")[0] for entries in ROLES.values() for entry in entries}
    return max((role for role in roles if variable.startswith(f"{role}_")), key=len, default="")


@functools.cache
def _variables(role: str) -> frozenset[str]:
    """The variables that are named after a role, of all its entry points and of others that share them."""
    points = {entry for entries in ROLES.values() for entry in entries}
    return frozenset(name for point in points for name in specification(point) if role_of(name) == role)


def _relaxed(options: Spec, before: str = "") -> Spec:
    options = copy.copy(options)
    for name, spec in options.items():
        path = f"{before}{name}"
        if path in _SAID_ELSEWHERE:
            spec = {**spec, "required": False}
        options[name] = {**spec, "options": _relaxed(spec["options"], f"{path}.")} if spec.get("options") else spec
    return options


def sound(value: t.Any, spec: Spec, top: bool = True) -> t.Any:
    """Return the part of a value that can be judged further: without unknown options. Where more is wrong within one of the options of a dictionary, it is
    left out; where it is wrong otherwise, raises _Wrong: what refers to what is not there would be said to be wrong, too."""
    options = spec.get("options")
    if options and spec["type"] == "list" and isinstance(value, (list, tuple)):
        return [sound(item, {**spec, "type": "dict"}, top=False) for item in value]
    if value is UNKNOWN or not options or not isinstance(value, dict):
        if value is UNKNOWN or shape_of(value, spec, "") or (isinstance(value, (list, tuple, dict)) and _has_unknown(value)):
            raise _Wrong
        return value
    kept = {}
    for key, sub in options.items():
        try:
            if value.get(key) is not None:
                kept[key] = sound(value[key], sub, top=False)
            elif sub.get("required"):
                raise _Wrong
        except _Wrong:
            if not top:
                raise
    return kept


def _has_unknown(value: t.Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return value is UNKNOWN or any(map(_has_unknown, parts))


def renamed(value: t.Any, path: str, table: t.Mapping[str, str]) -> t.Iterator[tuple[str, str]]:
    """The old names within a value, (where it stands, what it is called now); each is taken out of the value. path: as in the table."""
    if isinstance(value, list):
        for item in value:
            yield from renamed(item, f"{path}[]", table)
    elif isinstance(value, dict):
        for key in [*value]:
            here = f"{path}.{key}"
            if here in table:
                del value[key]
                yield here, table[here]
            else:
                yield from renamed(value[key], here, table)


@dataclasses.dataclass
class Stack:
    """The stack that an inventory declares.

    groups: the names of the hosts of each group. roles: which group plays which role, by the keys of ROLES, where it has another name.
    raw: a host's variables, not templated. facts: a host's, empty where none were gathered. playing: the hosts of this run.
    """

    groups: t.Mapping[str, t.Sequence[str]]
    roles: t.Mapping[str, str]
    raw: t.Callable[[str], t.Mapping[str, t.Any]]
    render: Render
    facts: t.Callable[[str], t.Mapping[str, t.Any]] = lambda name: {}
    playing: t.Optional[t.Collection[str]] = None
    monmap: t.Optional[t.Mapping[str, t.Sequence[str]]] = None
    table: t.Mapping[str, str] = dataclasses.field(default_factory=lambda: RENAMED)
    warnings: list[str] = dataclasses.field(default_factory=list)
    unchecked: list[str] = dataclasses.field(default_factory=list)
    _found: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    _judged: dict[tuple[str, str], tuple[t.Any, list[str]]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.roles = {role: role for role in ROLES} | {**self.roles}
        self._running: dict[str, set[str]] = {}  # who runs each role
        self.specs: dict[str, Spec] = {}  # of each host, those of all its roles
        self._given: dict[str, dict[str, t.Any]] = {}  # of each host, what is right of what it was given
        for role, entries in ROLES.items():
            for name in self.members(role):
                mine = self.specs.setdefault(name, {})
                for entry in entries:
                    self._running.setdefault(entry.partition("/")[0], set()).add(name)
                for variable, spec in ((variable, spec) for entry in entries for variable, spec in specification(entry).items()):
                    if variable not in mine or spec.get("required"):
                        mine[variable] = spec
        self.keeper = next(iter(self.members("mons")), "") or self._asking_host()
        if self.keeper and not self.members("mons"):
            self.specs.setdefault(self.keeper, {}).update({**specification("ceph_common"), **specification("ceph_cluster"), **self.specs.get(self.keeper, {})})
        self.values = {name: self._values(name) for name in sorted(self.specs)}
        self.hosts = [self._host(name) for name in self.values]

    def _asking_host(self) -> str:
        """The host that keeps what is declared of a cluster of others, "" where there is none."""
        for name in self.specs:
            external = _external.external_of(self._rendered(name, "ceph")[0])
            if external:
                return _external.asking_host(external, self.groups, self.roles)
        return ""

    def members(self, role: str) -> t.Sequence[str]:
        """The names of the hosts that play a role, in the order of the inventory."""
        return self.groups.get(self.roles[role]) or ()

    def value(self, name: t.Optional[str], variable: str) -> t.Any:
        """A variable of a host, complete with its defaults. None where nothing is declared, or it is wrong or not known, which was said."""
        return self.values.get(name or "", {}).get(variable)

    def first(self, role: str, variable: str) -> t.Any:
        """The same of the first host that plays a role, which does what is done once."""
        return self.value(next(iter(self.members(role)), None), variable)

    def say(self, who: str, text: str) -> None:
        """Note a problem. who: the host that has it, "" where the text says whose it is. Hosts with the same one are told together."""
        whose = self._found.setdefault(text, [])
        if who not in whose:
            whose.append(who)

    @property
    def problems(self) -> list[str]:
        return [f"{', '.join(names)}: {text}" if all(names) else text for text, names in self._found.items()]

    def _host(self, name: str) -> Host:
        variables = dict(self._given[name])
        for key in ("ansible_host", "ansible_ssh_host", "ceph_common_address"):
            value, unknown = self._rendered(name, key)
            if key in self.raw(name) and not unknown:
                variables[key] = value
        groups = frozenset(group for group, members in self.groups.items() if name in members)
        facts = self.facts(name)
        return Host(name, groups, variables, facts, bool(facts) and (self.playing is None or name in self.playing))

    def _values(self, name: str) -> dict[str, t.Any]:
        given, found = self.raw(name), {}
        mine = self._given.setdefault(name, {})
        for old, new in self.table.items():
            if old in given:
                self.say(name, f"{old} is called {new} now: rename it")
        for variable, spec in self.specs[name].items():
            if variable not in given:
                if spec.get("required"):
                    self.say(name, f"{variable} is missing: declare it")
                found[variable] = copy.deepcopy(spec.get("default"))
                continue
            value, unknown = self._rendered(name, variable)
            self.unchecked += [f"{name}: {text}" for text in unknown]
            for old, new in renamed(value, variable, self.table) if self.table else ():
                self.say(name, f"{old} is called {new} now: rename it")
            found[variable], problems = self._judge(variable, value, spec)
            if found[variable] is not None:
                mine[variable] = _given(found[variable])
            for problem in problems:
                self.say(name, problem)
        for variable in (one for one in given if one not in self.specs[name] and one not in self.table):
            role = role_of(variable)
            # Of what all hosts share, those that run the role tell.
            if role and variable not in _variables(role) and name in self._running.get(role, {name}):
                self.say(name, f"{variable}: there is no such variable: one of {', '.join(sorted(_variables(role)))}")
        return found

    def _rendered(self, name: str, variable: str) -> tuple[t.Any, list[str]]:
        """A variable, with UNKNOWN in the place of what cannot be templated now, and why that is."""
        unknown: list[str] = []

        def each(value: t.Any, path: str) -> t.Any:
            try:
                return self.render(name, value)
            except AnsibleError as error:
                if isinstance(value, dict):
                    return {key: each(one, f"{path}.{key}") for key, one in value.items()}
                if isinstance(value, list):
                    return [each(one, f"{path}[{number}]") for number, one in enumerate(value)]
                if path not in _SECRET:
                    unknown.append(f"{path}: {cause(error)}")
                return UNKNOWN

        return each(self.raw(name).get(variable), variable), unknown

    def _judge(self, variable: str, value: t.Any, spec: Spec) -> tuple[t.Any, list[str]]:
        """Return (what is right of it, with defaults; what is wrong). Hosts share most values, which are judged once."""
        key = variable, json.dumps(value, sort_keys=True, default=str)
        if key not in self._judged:
            complete, problems = None, shape_of(value, spec, variable) if value is not None else []
            try:
                checked = ArgumentSpecValidator({variable: {**spec, "required": False}}).validate({variable: sound(value, spec)})
                # What is missing was said with its place.
                problems += [text for text in checked.error_messages if not (problems and text.startswith("missing required arguments"))]
                complete = None if checked.error_messages else checked.validated_parameters.get(variable)
            except _Wrong:
                pass
            self._judged[key] = complete, problems
        return self._judged[key]


def _given(value: t.Any) -> t.Any:
    """A complete value without options that nobody gave."""
    if isinstance(value, dict):
        return {key: _given(one) for key, one in value.items() if one is not None}
    return [_given(one) for one in value] if isinstance(value, list) else value


def cause(error: BaseException) -> BaseException:
    """What lies at the bottom of an error."""
    return cause(error.__cause__) if error.__cause__ else error
