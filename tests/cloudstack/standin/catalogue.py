# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: offerings, types of operating systems, templates."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from standin import system_vms
from standin.api import Call, Refused, command, internal, listed
from standin.state import Row, now

_DISKS = (("Small", "Small Disk, 5 GB", 5), ("Medium", "Medium Disk, 20 GB", 20), ("Large", "Large Disk, 100 GB", 100), ("Custom", "Custom Disk", 0))
_SERVICES = (("Small Instance", 500, 512), ("Medium Instance", 1000, 1024))
# Of network offerings: name, text, how addresses are given, whether a VLAN is said, services with their provider.
_NETWORKS: t.Sequence[t.Tuple[str, str, str, bool, t.Mapping[str, str]]] = (
    (
        "DefaultSharedNetworkOfferingWithSGService",
        "Offering for Shared Security group enabled networks",
        "Shared",
        True,
        {"Dhcp": "VirtualRouter", "UserData": "VirtualRouter", "Dns": "VirtualRouter", "SecurityGroup": "SecurityGroupProvider"},
    ),
    ("DefaultSharedNetworkOffering", "Offering for Shared networks", "Shared", True, dict.fromkeys(("Dhcp", "UserData", "Dns"), "VirtualRouter")),
    (
        "DefaultIsolatedNetworkOfferingWithSourceNatService",
        "Offering for Isolated networks with Source Nat service enabled",
        "Isolated",
        False,
        dict.fromkeys(("Dhcp", "Dns", "Firewall", "Lb", "PortForwarding", "SourceNat", "StaticNat", "UserData", "Vpn"), "VirtualRouter"),
    ),
    ("DefaultL2NetworkOffering", "Offering for L2 networks", "L2", False, {}),
    ("DefaultL2NetworkOfferingVlan", "Offering for L2 networks VLAN", "L2", True, {}),
    ("DefaultIsolatedNetworkOfferingForVpcNetworks", "Offering for Isolated Vpc networks with Source Nat service enabled", "Isolated", False, {}),
)
_SYSTEMS = (
    ("Debian GNU/Linux 5.0 (64-bit)", "Debian"),
    ("Debian GNU/Linux 12 (64-bit)", "Debian"),
    ("CentOS 5.6 (64-bit)", "CentOS"),
    ("Ubuntu 24.04 LTS", "Ubuntu"),
    ("Other Linux (64-bit)", "Other"),
)


def begin(server: t.Any) -> None:
    state = server.state
    for name, text, size in _DISKS:
        state.add("disk_offerings", **_disk({"name": name, "displaytext": text, "disksize": size, "customized": not size}))
    for name, speed, memory in _SERVICES:
        offering = _service(state, {"name": name, "displaytext": name, "cpunumber": 1, "cpuspeed": speed, "memory": memory})
        del offering["gpudisplay"]
    for name, text, kind, vlan, services in _NETWORKS:
        state.add(
            "network_offerings",
            name=name,
            displaytext=text,
            created=now(),
            traffictype="Guest",
            isdefault=True,
            specifyvlan=vlan,
            conservemode=True,
            specifyipranges=kind == "Shared",
            availability="Optional",
            networkrate=200,
            state="Enabled",
            guestiptype=kind,
            serviceofferingid=state.rows("service_offerings")[0]["id"],
            service=[{"name": service, "provider": [{"name": provider}]} for service, provider in services.items()],
            forvpc="Vpc" in name,
            fornsx=False,
            fortungsten=False,
            ispersistent=False,
            egressdefaultpolicy=False,
            supportsstrechedl2subnet=False,
            supportspublicaccess=False,
            supportsinternallb=False,
            internetprotocol="IPv4",
            specifyasnumber=False,
            hasannotations=False,
        )
    for name, category in _SYSTEMS:
        known = state.rows("os_categories", name=category) or [state.add("os_categories", name=category)]
        state.add("os_types", name=name, oscategoryid=known[0]["id"], oscategoryname=category, isuserdefined=False, fordisplay=True)


listed("listNetworkOfferings", "networkoffering", "network_offerings")
listed("listOsTypes", "ostype", "os_types")


# -- offerings. Names are no identity here: one of a name that is there is taken.

# parameter: the key under which a list shows it
_DISK_SHOWN = {
    "cachemode": "cacheMode",
    "iopsreadrate": "diskIopsReadRate",
    "iopswriterate": "diskIopsWriteRate",
    "bytesreadrate": "diskBytesReadRate",
    "byteswriterate": "diskBytesWriteRate",
}


def _volume(given: t.Mapping[str, t.Any]) -> Row:
    """What both kinds have of volumes."""
    return {
        "storagetype": given.get("storagetype", "shared"),
        "provisioningtype": given.get("provisioningtype", "thin"),
        "zoneid": given.get("zoneid"),
        **{shown: given.get(parameter) for parameter, shown in _DISK_SHOWN.items()},
    }


def _disk(given: t.Mapping[str, t.Any]) -> Row:
    return {
        "name": given["name"],
        "state": "Active",
        "displaytext": given.get("displaytext") or given["name"],
        "disksize": given.get("disksize", 0),
        "created": now(),
        "iscustomized": bool(given.get("customized")),
        "tags": given.get("tags") or None,
        "displayoffering": given.get("displayoffering", True),
        "disksizestrictness": bool(given.get("disksizestrictness")),
        "encrypt": bool(given.get("encrypt")),
        "hasannotations": False,
        **_volume(given),
    }


def _service(state: t.Any, given: t.Mapping[str, t.Any]) -> Row:
    volume = _volume(given)
    own = {"name": given["name"], "displaytext": given.get("displaytext"), "storagetype": volume["storagetype"], "disksize": given.get("rootdisksize", 0)}
    disk = state.add("disk_offerings", **_disk(own), _compute=True)
    details = dict(given.get("serviceofferingdetails") or {})
    for key in ("mincpunumber", "maxcpunumber", "minmemory", "maxmemory"):
        if given.get(key) is not None:
            details[key] = str(given[key])
    return t.cast(
        Row,
        state.add(
            "service_offerings",
            name=given["name"],
            state="Active",
            displaytext=given.get("displaytext") or given["name"],
            cpunumber=given.get("cpunumber"),
            cpuspeed=given.get("cpuspeed"),
            memory=given.get("memory"),
            created=now(),
            offerha=bool(given.get("offerha")),
            limitcpuuse=bool(given.get("limitcpuuse")),
            isvolatile=bool(given.get("isvolatile")),
            storagetags=given.get("tags") or None,
            hosttags=given.get("hosttags") or None,
            issystem=False,
            defaultuse=False,
            networkrate=given.get("networkrate"),
            iscustomized=bool(given.get("customized")) or (given.get("cpunumber") is None and given.get("memory") is None),
            rootdisksize=given.get("rootdisksize", 0),
            dynamicscalingenabled=given.get("dynamicscalingenabled", True),
            diskofferingstrictness=False,
            diskofferingid=disk["id"],
            diskofferingname=disk["name"],
            diskofferingdisplaytext=disk["displaytext"],
            encryptroot=bool(given.get("encryptroot")),
            gpudisplay=False,
            hasannotations=False,
            serviceofferingdetails=details or None,
            **volume,
        ),
    )


@command("createDiskOffering", "diskoffering")
def create_disk_offering(call: Call) -> Row:
    if not call.get("customized") and not call.get("disksize"):
        raise Refused(431, "Disksize is required for a non-customized disk offering")
    return _zoned(call, call.state.add("disk_offerings", **_disk({**call.params, "zoneid": _zones(call)})))


@command("createServiceOffering", "serviceoffering")
def create_service_offering(call: Call) -> Row:
    limits = [call.get(key) for key in ("mincpunumber", "maxcpunumber", "minmemory", "maxmemory")]
    if any(limits) and not all(limits):
        raise Refused(431, "mincpunumber, maxcpunumber, minmemory and maxmemory must be given together")
    if call.get("memory") is not None and call["memory"] < 32:
        raise Refused(431, f"Failed to create service offering {call['name']}: specify the memory value between 32 and 2147483647 MB")
    return _zoned(call, _service(call.state, {**call.params, "zoneid": _zones(call)}))


@command("updateDiskOffering", "diskoffering")
def update_disk_offering(call: Call) -> Row:
    row = call.row("disk_offerings")
    row.update(call.given("name", "displaytext", "displayoffering"))
    shown = {shown: call[parameter] for parameter, shown in _DISK_SHOWN.items() if parameter in call.params}
    if "tags" in call.params:
        shown["tags"] = call["tags"] or None
    if "zoneid" in call.params:
        shown["zoneid"] = _zones(call)
    row.update(shown)
    # That of a service offering is its own.
    for service in call.state.rows("service_offerings", diskofferingid=row["id"]):
        service.update({"storagetags" if key == "tags" else key: value for key, value in shown.items()})
    return _zoned(call, row)


@command("updateServiceOffering", "serviceoffering")
def update_service_offering(call: Call) -> Row:
    row = call.row("service_offerings")
    row.update(call.given("name", "displaytext"))
    if "hosttags" in call.params:
        row["hosttags"] = call["hosttags"] or None
    if "zoneid" in call.params:
        row["zoneid"] = _zones(call)
    if "storagetags" in call.params:  # it changes them, and then says that it failed
        row["storagetags"] = call["storagetags"] or None
        raise internal("Failed to update service offering")
    return _zoned(call, row)


@command("deleteDiskOffering")
def delete_disk_offering(call: Call) -> None:
    call.row("disk_offerings")["state"] = "Inactive"


@command("deleteServiceOffering")
def delete_service_offering(call: Call) -> None:
    call.row("service_offerings")["state"] = "Inactive"


def _zones(call: Call) -> t.Optional[str]:
    """Ids of zones, joined by commas; None for all."""
    given = call.get("zoneid")
    ids = given if isinstance(given, list) else [part for part in (given or "").split(",") if part]
    for key in ids:
        if not call.state.get("zones", key):
            raise call.server.api.invalid(call.command, "zoneid", key)
    return ",".join(ids) or None


def _zoned(call: Call, row: Row) -> Row:
    names = [call.state.get("zones", key).get("name", "") for key in (row.get("zoneid") or "").split(",") if key]
    return {key: value for key, value in {**row, "zone": ",".join(names) or None}.items() if key != "zonename"}


def _active(call: Call, table: str) -> t.List[Row]:
    rows = [row for row in call.state.rows(table) if row["state"] == "Active" and not row.get("_compute")]
    for key in ("id", "name"):
        rows = [row for row in rows if key not in call.params or row[key] == call[key]]
    return [_zoned(call, row) for row in rows]


@command("listDiskOfferings", "diskoffering", "list")
def list_disk_offerings(call: Call) -> t.List[Row]:
    return _active(call, "disk_offerings")


@command("listServiceOfferings", "serviceoffering", "list")
def list_service_offerings(call: Call) -> t.List[Row]:
    return _active(call, "service_offerings")


# -- templates


@command("registerTemplate", "template", "rows")
def register_template(call: Call) -> t.List[Row]:
    zone = call.row("zones", "zoneid") if call.get("zoneid") else None
    if zone is None:
        raise Refused(431, "Parameter zoneids or zoneid must be given")
    kind, direct = call["hypervisor"], bool(call.get("directdownload"))
    if direct and kind != "KVM":
        raise Refused(431, "Direct download is only supported for templates of KVM")
    hosts = [row for row in call.state.rows("hosts", zoneid=zone["id"], hypervisor=kind) if row["state"] == "Up"]
    if direct and not hosts:
        raise internal("Couldn't find a host to validate URL " + call["url"])
    stores = [row for row in call.state.rows("image_stores") if row.get("zoneid") in (None, zone["id"])]
    if not direct and not stores:
        raise internal("Failed to allocate the template: no image store")
    if urlsplit(call["url"]).scheme not in ("http", "https", "ftp", "nfs", "metalink"):
        raise Refused(431, f"Unsupported scheme for url: {call['url']}")
    system = call.state.get("os_types", call.get("ostypeid"))
    domain = call.state.rows("domains")[0]
    row = call.state.add(
        "templates",
        name=call["name"],
        displaytext=call.get("displaytext") or call["name"],
        ispublic=bool(call.get("ispublic")),
        created=now(),
        isready=True,
        passwordenabled=bool(call.get("passwordenabled")),
        format=call["format"].upper(),
        isfeatured=bool(call.get("isfeatured")),
        crossZones=True,
        ostypeid=system.get("id"),
        ostypename=system.get("name"),
        account=call.user["account"],
        zoneid=zone["id"],
        status="Bypassed Secondary Storage" if direct else "Download Complete",
        size=16777216,
        templatetype="USER",
        hypervisor=kind,
        domain=domain["name"],
        domainpath=domain["path"],
        domainid=domain["id"],
        isextractable=bool(call.get("isextractable")),
        checksum=call.get("checksum"),
        details=call.get("details") or {},
        downloaddetails=[],
        arch="x86_64",
        bits=0,
        sshkeyenabled=False,
        isdynamicallyscalable=bool(call.get("isdynamicallyscalable")),
        directdownload=direct,
        deployasis=False,
        forcks=False,
        requireshvm=call.get("requireshvm", True),
        url=call["url"],
        tags=[],
        hasannotations=False,
        _store=None if direct else stores[0]["id"],
    )
    return [call.state.joined(row)]


@command("updateTemplate", "template")
def update_template(call: Call) -> Row:
    row = call.row("templates")
    row.update(call.given("name", "displaytext", "passwordenabled", "requireshvm", "isdynamicallyscalable", "details"))
    if call.get("ostypeid"):
        system = call.row("os_types", "ostypeid")
        row.update(ostypeid=system["id"], ostypename=system["name"])
    return call.state.joined(row)


@command("updateTemplatePermissions")
def update_template_permissions(call: Call) -> None:
    call.row("templates").update(call.given("ispublic", "isfeatured", "isextractable"))


@command("deleteTemplate")
def delete_template(call: Call) -> None:
    call.state.remove("templates", call.row("templates")["id"])


@command("listTemplates", "template", "list")
def list_templates(call: Call) -> t.List[Row]:
    """Those of a hypervisor that has no host are in no list, whoever asks."""
    kinds = {host["hypervisor"] for host in call.state.rows("hosts")}
    rows = [call.state.joined(row) for row in call.state.rows("templates") if row["hypervisor"] in kinds]
    if call["templatefilter"] == "all":
        rows = system_vms.templates(call) + rows
    keys = ("id", "zoneid", "name", "hypervisor", "templatetype", "isready")
    return [row for row in rows if all(row.get(key) == call[key] for key in keys if key in call.params)]
