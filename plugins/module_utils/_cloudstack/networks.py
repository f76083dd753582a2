# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The administrator's networks of guests: L2, shared or isolated, as their network offering says.

CloudStack takes any number of networks of one name; here a name is one network of a zone. Those of other accounts and of projects are not looked at.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import address, netmask, normal, parse_range, vlans_or_none
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, of, present
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, Risk, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import presence, string

OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "zone": string("Its zone.", required=True),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=network/ZONE/NAME), and the server refuses it while guests are on it."),
    "offering": string("The network offering, such as V(DefaultL2NetworkOffering). Required for a network that is present."),
    "display_text": string("What users read. By default the name. Left out, it is left alone."),
    "physical_network": string("The physical network, if the zone has several."),
    "vlan": string("Its VLAN, or V(untagged), if the offering needs one. It must not be one that CloudStack gives to isolated networks."),
    "gateway": string("The address of the gateway, of a shared or an isolated network."),
    "netmask": string("The netmask."),
    "start": string("The first address that a shared network gives to guests."),
    "end": string("The last one."),
    "domain_suffix": string("The domain of the guests' names."),
    "dns1": string("A name server for the guests, instead of the zone's. Since CloudStack 4.18."),
    "dns2": string("Another."),
}
LISTS = ("zones", "physical_networks", "networks", "vlan_ranges")
_ACCOUNTS = (None, "admin")  # that of root admins; a shared network has none
# Options, and what the server calls them: in a list and as a parameter, but for the offering, which is given by its id.
_CHANGED = {"display_text": "displaytext", "domain_suffix": "networkdomain", "dns1": "dns1", "dns2": "dns2"}
_SENT = {**_CHANGED, "vlan": "vlan", "gateway": "gateway", "netmask": "netmask"}
_FIELDS = {"offering": "networkofferingname", **_SENT}
_ADDRESSES = ("gateway", "netmask", "start", "end")


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    tagged: dict[tuple[str, str], str] = {}
    for here, item in present(declared, where, found, zoned=True):
        number, missing = normal(item).get("vlan") or "untagged", ", ".join(key for key in _ADDRESSES if not item.get(key))
        other = item["name"] if number == "untagged" else tagged.setdefault((item["zone"], number), item["name"])
        ranged, placed = item.get("start") or item.get("end"), item.get("gateway") or item.get("netmask")
        wrong = number != "untagged" and not (number.isdecimal() and 1 <= int(number) <= 4094)
        here.refuse(not item.get("offering"), "offering is missing: name the network offering, such as DefaultL2NetworkOffering")
        here.refuse(wrong, f"vlan: '{item['vlan']}' is neither a number from 1 to 4094 nor 'untagged'")
        here.refuse(other != item["name"], f"vlan: {item['vlan']} is that of {other} too: a VLAN is one network's")
        here.refuse(ranged and missing, f"{missing}: missing; a range of addresses needs all of {', '.join(_ADDRESSES)}")
        for key in ("dns1", "dns2"):
            here.refuse(item.get(key) and address(item[key]) is None, f"{key}: '{item.get(key)}' is no IPv4 address")
        if ranged and not missing:
            parse_range(item, here, found)
        alone = placed and not ranged and (address(item.get("gateway")) is None or netmask(item.get("netmask")) is None)
        here.refuse(alone, "gateway and netmask are given together, such as 10.1.1.1 and 255.255.255.0")
    return found


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    def delete(item: Item, row: Row) -> None:
        before = {option: row[key] for option, key in _FIELDS.items() if row.get(key)}
        name, reason = f"{item['zone']}/{item['name']}", "its addresses, rules and router go with it; the server refuses while guests are on it"
        draft.ensure("network", name, before, None, lambda: region.client.job("deleteNetwork", id=row["id"]), risk=Risk.LOSS, reason=reason)

    zones = draft.zone_names(region)
    for here, item, row in draft.each("networks", map(normal, declared), region, delete, lambda one, at: draft.owned("networks", one, _ACCOUNTS, region, at)):
        if here.refuse(item["zone"] not in zones, f"there is no zone {item['zone']}"):
            continue
        if row is not None:
            _plan_existing(here, item, row, region, draft)
        else:
            if not region.empty:
                _check_new(here, item, region, draft)
            after = {key: item[key] for key in (*_FIELDS, "start", "end", "physical_network") if item.get(key)}
            name, create = f"{item['zone']}/{item['name']}", functools.partial(_create, region, item)
            draft.ensure("network", name, None, after, create, needs=draft.network_needs(item["zone"]))


def _check_new(here: Place, item: Item, region: Region, draft: Draft) -> None:
    """What the server would refuse, or answer without saying why, once half of the region is made."""
    name, vlan = item["offering"], item.get("vlan")
    offering = region.find("network_offerings", name)
    if offering is None:
        names = sorted(row["name"] for row in region.rows("network_offerings") if row.get("state") == "Enabled" and not row.get("forvpc"))
        draft.problem(f"{here}: offering: there is no network offering {name} (there are: {', '.join(names)})")
        return
    own, kind = offering.get("specifyvlan"), offering.get("guestiptype")
    given, missing = (", ".join(key for key in _ADDRESSES if bool(item.get(key)) is wanted) for wanted in (True, False))
    here.refuse(offering.get("state") != "Enabled", f"offering: {name} is {offering.get('state')}: enable it, or take another")
    here.refuse(offering.get("forvpc"), f"offering: {name} is for networks of a VPC: take another")
    here.refuse(own and not vlan, f"vlan is missing: the offering {name} wants one")
    here.refuse(vlan and not own, f"vlan: with the offering {name} CloudStack gives one itself: leave it out, or take an offering that wants one")
    here.refuse(kind == "Shared" and missing, f"{missing}: missing; a shared network needs gateway, netmask, start and end")
    here.refuse(kind == "L2" and given, f"an L2 network has no addresses of its own: leave out {given}")
    if not vlan or vlan == "untagged":
        return
    # A VLAN out of those that CloudStack gives to isolated networks is refused, and one that another network has too.
    declared = [zone for zone in draft.declaration.get("zones") or () if zone["name"] == item["zone"]]
    existing = [row for row in region.rows("physical_networks") if row.get("zonename") == item["zone"]]
    taken = [network.get("vlan") for zone in declared for network in zone.get("physical_networks") or ()] if declared else [row.get("vlan") for row in existing]
    others = ", ".join(row["name"] for row in region.rows("networks") if row.get("zonename") == item["zone"] and str(row.get("vlan")) == vlan)
    if any(low <= int(vlan) <= high for text in taken for low, high in vlans_or_none(text)):
        draft.problem(f"{here}: vlan: {vlan} is among those that CloudStack gives to guests' networks of the zone {item['zone']}: take another")
    here.refuse(others, f"vlan: {vlan} is that of the network {others}: take another")


def _create(region: Region, item: Item) -> None:
    zone_id = region.id("zones", item["zone"])
    params = {parameter: item[option] for option, parameter in _SENT.items() if item.get(option)}
    if item.get("physical_network"):
        params["physicalnetworkid"] = region.id("physical_networks", item["physical_network"], zoneid=zone_id)
    params.update(networkofferingid=region.id("network_offerings", item["offering"]), startip=item.get("start"), endip=item.get("end"))
    answer = region.client.call("createNetwork", name=item["name"], zoneid=zone_id, **{"displaytext": item["name"], **params})
    region.made("networks", item["name"], answer["network"])


def _plan_existing(here: Place, item: Item, row: Row, region: Region, draft: Draft) -> None:
    after = {option: item[option] for option in _FIELDS if item.get(option)}
    before = {option: row.get(key) for option, key in _FIELDS.items()}
    left, right = differing(normal(before), after)
    differs = [f"{option} is {left[option]}, and {right[option]} is declared" for option in right if option not in _CHANGED]
    ranges = sorted(f"{one.get('startip')}-{one.get('endip')}" for one in of(region, "vlan_ranges", row, "networkid"))
    wanted = f"{item.get('start')}-{item.get('end')}"
    if item.get("start") and wanted not in ranges:
        differs.append(f"its addresses are {', '.join(ranges) or 'none'}, and {wanted} is declared")
    name = next((one["name"] for one in region.rows("physical_networks") if one["id"] == row.get("physicalnetworkid")), None)
    if item.get("physical_network") not in (None, "", name):
        differs.append(f"it is on the physical network {name}, and {item['physical_network']} is declared")
    remedy = "declare it as it is, or declare another network, move the guests, and take this one away (state: absent)"
    if here.refuse(differs, f"{'; '.join(differs)}. That cannot be changed while guests use it: {remedy}"):
        return
    params = {_CHANGED[option]: value for option, value in right.items()}
    draft.ensure("network", f"{item['zone']}/{item['name']}", left, right, lambda: region.client.job("updateNetwork", id=row["id"], **params))
