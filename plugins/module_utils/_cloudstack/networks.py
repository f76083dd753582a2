# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The administrator's networks of guests: L2, shared or isolated, as their network offering says.

CloudStack takes any number of networks of one name; here a name is one network of a zone. Networks of other accounts and of
projects are not looked at, whatever their names.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import address, netmask, normal, parse_range, vlans, vlans_or_none
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, present
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import presence, string

OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "zone": string("Its zone.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(arm=network/ZONE/NAME), and the server refuses it while guests are on it."),
    "offering": string("The network offering, such as V(DefaultL2NetworkOffering). Required for a network that is present."),
    "display_text": string("What users read. By default the name. Left out, it is left alone."),
    "physical_network": string("The physical network, where the zone has several."),
    "vlan": string("Its VLAN, or V(untagged), where the offering wants one. It is none of those that CloudStack gives to isolated networks."),
    "gateway": string("The address of the gateway, of a shared or an isolated network."),
    "netmask": string("The netmask."),
    "start": string("The first address that a shared network gives to guests."),
    "end": string("The last one."),
    "domain_suffix": string("The domain of the guests' names."),
    "dns1": string("A name server for the guests, instead of the zone's. Since CloudStack 4.18."),
    "dns2": string("Another."),
}
LISTS = ("zones", "physical_networks", "networks", "vlan_ranges")

# The account of root admins, whose networks these are. A shared network has no account.
_ACCOUNTS = (None, "admin")
# option: (key of a list, parameter, whether updateNetwork changes it)
_FIELDS: dict[str, tuple[str, str, bool]] = {
    "offering": ("networkofferingname", "", False),
    "display_text": ("displaytext", "displaytext", True),
    "vlan": ("vlan", "vlan", False),
    "gateway": ("gateway", "gateway", False),
    "netmask": ("netmask", "netmask", False),
    "domain_suffix": ("networkdomain", "networkdomain", True),
    "dns1": ("dns1", "dns1", True),
    "dns2": ("dns2", "dns2", True),
}
_ADDRESSES = ("gateway", "netmask", "start", "end")


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    tagged: dict[tuple[str, str], str] = {}
    for here, item in present(declared, where, found, zoned=True):
        if not item.get("offering"):
            found.append(f"{here}: offering is missing: name the network offering, such as DefaultL2NetworkOffering")
        number = normal(item).get("vlan") or "untagged"
        if number != "untagged":
            try:
                ((low, high),) = vlans(number)
            except ValueError:
                low, high = 0, 0
            if low != high or not 1 <= low <= 4094:
                found.append(f"{here}: vlan: '{item['vlan']}' is neither a number from 1 to 4094 nor 'untagged'")
            other = tagged.setdefault((item["zone"], number), item["name"])
            if other != item["name"]:
                found.append(f"{here}: vlan: {item['vlan']} is that of {other} too: a VLAN is one network's")
        _check_addresses(here, item, found)
        found += [f"{here}: {key}: '{item[key]}' is no IPv4 address" for key in ("dns1", "dns2") if item.get(key) and address(item[key]) is None]
    return found


def _check_addresses(here: str, item: Item, found: list[str]) -> None:
    missing = [key for key in _ADDRESSES if not item.get(key)]
    if item.get("start") or item.get("end"):
        if missing:
            found.append(f"{here}: {', '.join(missing)}: missing; a range of addresses needs all of {', '.join(_ADDRESSES)}")
        else:
            parse_range(item, here, found)
    elif item.get("gateway") or item.get("netmask"):
        try:
            ipaddress.IPv4Network(f"{item.get('gateway')}/{netmask(item.get('netmask')) or '?'}", strict=False)
        except ValueError:
            found.append(f"{here}: gateway and netmask are given together, such as 10.1.1.1 and 255.255.255.0")


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:

    def delete(item: Item, row: Row) -> None:
        before = {option: row[key] for option, (key, _parameter, _changes) in _FIELDS.items() if row.get(key)}
        reason = "its addresses, rules and router go with it; the server refuses while guests are on it"
        name = f"{item['zone']}/{item['name']}"
        draft.ensure("network", name, before, None, lambda: region.client.job("deleteNetwork", id=row["id"]), risk=Risk.LOSS, reason=reason)

    zones = draft.zone_names(region)
    for here, item, row in draft.each("networks", map(normal, declared), lambda item, here: draft.owned("networks", item, _ACCOUNTS, region, here), delete):
        if item["zone"] not in zones:
            draft.problem(f"{here}: there is no zone {item['zone']}")
        elif row is None:
            _check_new(here, item, region, draft)
            _create(item, region, draft)
        else:
            _plan_living(here, item, row, region, draft)


def _check_new(here: str, item: Item, region: Region, draft: Draft) -> None:
    """What the server would refuse, or answer without saying why, once half of the region is made."""
    if region.empty:
        return
    offering = region.find("network_offerings", item["offering"])
    if offering is None:
        names = sorted(row["name"] for row in region.rows("network_offerings") if row.get("state") == "Enabled" and not row.get("forvpc"))
        draft.problem(f"{here}: offering: there is no network offering {item['offering']} (there are: {', '.join(names)})")
        return
    if offering.get("state") != "Enabled":
        draft.problem(f"{here}: offering: {item['offering']} is {offering.get('state')}: enable it, or take another")
    if offering.get("forvpc"):
        draft.problem(f"{here}: offering: {item['offering']} is for networks of a VPC: take another")
    if offering.get("specifyvlan") and not item.get("vlan"):
        draft.problem(f"{here}: vlan is missing: the offering {item['offering']} wants one")
    if not offering.get("specifyvlan") and item.get("vlan"):
        draft.problem(f"{here}: vlan: with the offering {item['offering']} CloudStack gives one itself: leave it out, or take an offering that wants one")
    missing = [key for key in _ADDRESSES if not item.get(key)]
    if offering.get("guestiptype") == "Shared" and missing:
        draft.problem(f"{here}: {', '.join(missing)}: missing; a shared network needs gateway, netmask, start and end")
    if offering.get("guestiptype") == "L2" and len(missing) < len(_ADDRESSES):
        draft.problem(f"{here}: an L2 network has no addresses of its own: leave out {', '.join(key for key in _ADDRESSES if item.get(key))}")
    if item.get("vlan") and item["vlan"] != "untagged":
        _check_vlan(here, item, region, draft)


def _check_vlan(here: str, item: Item, region: Region, draft: Draft) -> None:
    """A VLAN out of those that CloudStack gives to isolated networks is refused, and one that another network has too."""
    number = int(item["vlan"])
    declared = [zone for zone in draft.declaration.get("zones") or () if zone["name"] == item["zone"]]
    texts = [network.get("vlan") for zone in declared for network in zone.get("physical_networks") or ()]
    if not declared:
        texts = [row.get("vlan") for row in region.rows("physical_networks") if row.get("zonename") == item["zone"]]
    if any(low <= number <= high for text in texts for low, high in vlans_or_none(text)):
        draft.problem(f"{here}: vlan: {number} is among those that CloudStack gives to guests' networks of the zone {item['zone']}: take another")
    for row in region.rows("networks"):
        if row.get("zonename") == item["zone"] and str(row.get("vlan")) == item["vlan"]:
            draft.problem(f"{here}: vlan: {number} is that of the network {row['name']}: take another")


def _create(item: Item, region: Region, draft: Draft) -> None:
    zone = item["zone"]
    after = {key: item[key] for key in (*_FIELDS, "start", "end", "physical_network") if item.get(key)}

    def apply() -> None:
        zone_id = region.id("zones", zone)
        params = {parameter: item[option] for option, (unused, parameter, _changes) in _FIELDS.items() if parameter and item.get(option)}
        params.setdefault("displaytext", item["name"])
        if item.get("physical_network"):
            params["physicalnetworkid"] = region.id("physical_networks", item["physical_network"], zoneid=zone_id)
        offering = region.id("network_offerings", item["offering"])
        answer = region.client.call(
            "createNetwork", name=item["name"], zoneid=zone_id, networkofferingid=offering, startip=item.get("start"), endip=item.get("end"), **params
        )
        region.made("networks", item["name"], answer["network"])

    draft.ensure("network", f"{zone}/{item['name']}", None, after, apply, needs=draft.network_needs(zone))


def _plan_living(here: str, item: Item, row: Row, region: Region, draft: Draft) -> None:
    after = {option: item[option] for option in _FIELDS if item.get(option)}
    before = {option: row.get(key) for option, (key, _parameter, _changes) in _FIELDS.items()}
    left, right = differing(normal(before), after)
    differs = [f"{option} is {left[option]}, and {right[option]} is declared" for option in right if not _FIELDS[option][2]]
    if item.get("start"):
        ranges = [(one.get("startip"), one.get("endip")) for one in region.rows("vlan_ranges") if one.get("networkid") == row["id"]]
        if (item["start"], item["end"]) not in ranges:
            shown = ", ".join(f"{start}-{end}" for start, end in sorted(ranges, key=str)) or "none"
            differs.append(f"its addresses are {shown}, and {item['start']}-{item['end']} is declared")
    if item.get("physical_network"):
        name = next((one["name"] for one in region.rows("physical_networks") if one["id"] == row.get("physicalnetworkid")), None)
        if name != item["physical_network"]:
            differs.append(f"it is on the physical network {name}, and {item['physical_network']} is declared")
    if differs:
        draft.problem(
            f"{here}: {'; '.join(differs)}. That cannot be changed while guests use it: declare it as it is, or declare another network, move the "
            f"guests, and take this one away (state: absent)"
        )
        return
    params = {_FIELDS[option][1]: value for option, value in right.items()}
    draft.ensure("network", f"{item['zone']}/{item['name']}", left, right, lambda: region.client.job("updateNetwork", id=row["id"], **params))
