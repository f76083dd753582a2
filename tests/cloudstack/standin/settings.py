# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings, capabilities, what the server can do, and jobs."""

from __future__ import annotations

import json
import typing as t

from standin.api import DATA, Call, Refused, command
from standin.state import Row

_CLASSES = {"Number": ("java.lang.Integer", int), "Decimal": ("java.lang.Double", float), "Range": ("java.lang.Float", float)}
_SCOPES = {"zoneid": "zone", "clusterid": "cluster", "storageid": "storagepool", "accountid": "account", "domainid": "domain", "imagestoreuuid": "imagestore"}
# Groups that were seen, for the sake of those who show them.
_GROUPS = {
    "storage.overprovisioning.factor": ("Storage", "Infrastructure", "Primary Storage"),
    "network.throttling.rate": ("Network", "Network", "Network"),
    "vm.network.throttling.rate": ("Network", "Compute", "Virtual Machine"),
    "snapshot.backup.to.secondary": ("Snapshots", "Storage", "Snapshot"),
}
_PROVIDERS = {
    "primary": ("SolidFire", "StorPool", "Datera", "Flash Array", "DefaultPrimary", "Primera", "NexentaStor", "Linstor", "PowerFlex", "CloudByte"),
    "image": ("S3", "NFS", "Swift"),
    "object": ("Ceph", "Cloudian HyperStore", "MinIO", "Simulator"),
}
_HYPERVISORS = ("KVM", "VMware", "XenServer", "Hyperv", "LXC", "BareMetal", "Ovm3", "Simulator", "External")


def begin(server: t.Any) -> None:
    server.settings = json.loads((DATA / "settings.json").read_text(encoding="utf-8"))
    server.values = {}  # {(scope's id, name): value}
    server.state.add("management_servers", name="stand-in", state="Up", version="4.22.0.0-SNAPSHOT")


def value(server: t.Any, name: str, scope: str = "") -> str:
    """A setting's value, in a scope where it has one of its own there."""
    default = server.settings[name].get("defaultvalue", "")
    return str(server.values.get((scope, name), server.values.get(("", name), default)))


def _shown(server: t.Any, name: str, scope: str) -> Row:
    row = server.settings[name]
    category, group, subgroup = _GROUPS.get(name, ("Advanced", "Miscellaneous", "Others"))
    return {
        "category": category,
        "group": group,
        "subgroup": subgroup,
        "name": name,
        "value": value(server, name, scope),
        "defaultvalue": row.get("defaultvalue"),
        "isdynamic": row.get("isdynamic", True),
        "component": row["component"],
        "displaytext": name.replace(".", " ").capitalize(),
        "type": row["type"],
        "options": row.get("options"),
    }


def _scope(call: Call) -> t.Tuple[str, str]:
    """The scope that a call names and its id; ("", "") for the server's own settings."""
    return next(((scope, call[name]) for name, scope in _SCOPES.items() if call.get(name)), ("", ""))


@command("listConfigurations", "configuration", "list")
def list_configurations(call: Call) -> t.List[Row]:
    scope, key = _scope(call)
    names = [name for name, row in call.server.settings.items() if not scope or row.get("scope") == scope]
    if call.get("name"):
        names = [name for name in names if name == call["name"]]
    if call.get("keyword"):
        names = [name for name in names if call["keyword"] in name]
    return [_shown(call.server, name, key) for name in names]


@command("updateConfiguration", "configuration")
def update_configuration(call: Call) -> Row:
    name, text = call["name"], call.get("value", "")
    row = call.server.settings.get(name)
    if row is None:
        raise Refused(431, f"Config parameter with name {name} doesn't exist")
    scope, key = _scope(call)
    if scope and row.get("scope") != scope:
        raise Refused(431, f"Invalid scope id provided for the parameter {name}")
    kind, read = _CLASSES.get(row["type"], ("", str))
    if text:
        try:
            read(text)
        except ValueError:
            raise Refused(431, f"Value [{text}] is not a valid [class {kind}].") from None
    if row["type"] == "Boolean" and text.lower() not in ("true", "false"):
        raise Refused(431, f"Value [{text}] is not a valid [class java.lang.Boolean].")
    call.server.values[key, name] = text
    return _shown(call.server, name, key)


@command("listCapabilities", "capability")
def list_capabilities(call: Call) -> Row:
    return {
        "securitygroupsenabled": any(zone.get("securitygroupsenabled") for zone in call.state.rows("zones")),
        "dynamicrolesenabled": True,
        "cloudstackversion": "4.22.0.0-SNAPSHOT",
        "userpublictemplateenabled": True,
        "supportELB": "false",
        "projectinviterequired": False,
        "allowusercreateprojects": True,
        "customdiskofferingminsize": 1,
        "customdiskofferingmaxsize": 1024,
        "regionsecondaryenabled": False,
        "kvmsnapshotenabled": True,
        "allowuserviewdestroyedvm": True,
        "allowuserexpungerecovervm": True,
        "allowuserexpungerecovervolume": True,
        "allowuserviewalldomainaccounts": False,
        "allowuserforcestopvm": True,
        "kubernetesserviceenabled": True,
        "kubernetesclusterexperimentalfeaturesenabled": False,
        "customhypervisordisplayname": "Custom",
        "defaultuipagesize": 20,
        "instancesstatsretentiontime": 720,
        "instancesstatsuseronly": False,
        "instancesdisksstatsretentionenabled": False,
        "instancesdisksstatsretentiontime": 720,
        "sharedfsvmmincpucount": 2,
        "sharedfsvmminramsize": 1024,
        "instanceleaseenabled": False,
        "extensionspath": "/usr/share/cloudstack-management/extensions",
        "dynamicscalingenabled": False,
        "additionalconfigenabled": False,
    }


@command("listApis", "api", "rows")
def list_apis(call: Call) -> t.List[Row]:
    known = call.server.api.commands
    if call.get("name") and call["name"] not in known:
        raise Refused(530, f"Unable to find an api by name: {call['name']}", 9999)
    found = []
    for name in [call["name"]] if call.get("name") else known:
        params = []
        for parameter, spec in known[name]["params"].items():
            kind, _space, since = spec.partition(" ")
            params.append({"name": parameter, "type": kind.rstrip("!"), "required": "!" in kind, **({"since": since} if since else {})})
        row: Row = {"name": name, "isasync": bool(known[name].get("async")), "params": params, "since": known[name].get("since")}
        row["response"] = [{"name": field} for field in sorted(call.server.api.fields(name))]
        found.append(row)
    return found


@command("listStorageProviders", "dataStoreProvider", "list")
def list_storage_providers(call: Call) -> t.List[Row]:
    kind = call["type"].lower()
    if kind not in _PROVIDERS:
        raise Refused(431, f"Error: Invalid type: {kind}")
    return [{"name": name, "type": kind.upper()} for name in _PROVIDERS[kind]]


@command("listHypervisors", "hypervisor", "list")
def list_hypervisors(call: Call) -> t.List[Row]:
    return [{"name": name} for name in _HYPERVISORS]


@command("listManagementServers", "managementserver", "list")
def list_management_servers(call: Call) -> t.List[Row]:
    return call.state.rows("management_servers")


@command("queryAsyncJobResult", shape="raw")
def query_async_job_result(call: Call) -> Row:
    job = call.server.jobs.get(call["jobid"])
    if job is None:
        raise call.server.api.invalid(call.command, "jobid", call["jobid"])
    return t.cast(Row, job)
