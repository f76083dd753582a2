# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks with their subnets, routers, and security groups with their rules. A name is one thing of its project; those of other projects are not looked at.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.draft import Draft, Field, Item, Sort, fields, names_wrong, or_empty
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import Cloud, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, mapping, presence, records, string, strings

_PROJECT = string("The project whose it is. By default that of the user of the cloud.")
_DESCRIPTION = string("What people read of it. Left out, it is left alone.")
SUBNET_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=subnet/NETWORK/NAME); Neutron refuses it while guests have addresses of it."),
    "cidr": string("Its addresses, such as V(10.1.0.0/24). Required for one that is present, and fixed: O(allow_loss=subnet/NETWORK/NAME) makes it anew."),
    "gateway": string("The gateway, empty for none. By default the first address. Left out, it is left alone."),
    "dhcp": boolean("Whether Neutron gives out the addresses by DHCP. Left out, it is left alone, and a new one has it."),
    "dns": strings("The name servers that guests are told. Left out, they are left alone."),
    "pools": strings("The addresses that guests are given, such as V(10.1.0.100-10.1.0.200). Left out, they are left alone, and a new one has all."),
    "routes": mapping("Further routes that guests are told, by destination, such as C({10.9.0.0/16: 10.1.0.9}). Left out, they are left alone."),
}
OPTIONS: dict[str, t.Any] = {
    "name": string("Its name. Neutron takes several of one name; here a name is one of its project, and several are an error that lists them.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=network/NAME); Neutron refuses it while guests are on it."),
    "project": _PROJECT,
    "description": _DESCRIPTION,
    "type": choice(
        "What carries it. Left out, Neutron chooses. Fixed: O(allow_loss=network/NAME) makes the network anew, with its subnets.",
        ["flat", "vlan", "vxlan", "gre", "geneve", "local"],
    ),
    "physical_network": string("The physical network, for the types V(flat) and V(vlan). Fixed, as C(type)."),
    "segment": integer("The VLAN, or the number of the tunnel. Left out, Neutron chooses. Fixed, as C(type)."),
    "mtu": integer("The size of packets. Left out, it is left alone."),
    "shared": boolean("Whether all projects may use it. Left out, it is left alone."),
    "external": boolean("Whether routers lead to the world by it. Left out, it is left alone."),
    "enabled": boolean("Whether it carries anything. Left out, it is left alone."),
    "port_security": boolean("Whether new ports of it are kept to their addresses and security groups. Left out, it is left alone."),
    "subnets": records("Its subnets. Those that are not named are left alone.", SUBNET_OPTIONS, default=[]),
}
_INTERFACE = {"network": string("The network.", required=True), "subnet": string("Its subnet.", required=True)}
ROUTER_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name, one of its project.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=router/NAME)."),
    "project": _PROJECT,
    "description": _DESCRIPTION,
    "enabled": boolean("Whether it routes. Left out, it is left alone."),
    "external_network": string("The network by which it leads to the world, empty for none. Left out, it is left alone."),
    "snat": boolean("Whether guests without an address of their own share that of the router. Left out, it is left alone."),
    "interfaces": records("The subnets of its project that it connects. All of them; left out, they are left alone.", _INTERFACE),
}
RULE_OPTIONS: dict[str, t.Any] = {
    "direction": choice("Whether it is for what comes in, or what goes out.", ["ingress", "egress"], default="ingress"),
    "family": choice("For which addresses it is.", ["IPv4", "IPv6"], default="IPv4"),
    "protocol": string("The protocol, such as V(tcp), V(udp), V(icmp). Left out, it is for all."),
    "ports": string("The port, or the first and the last, such as V(8000-8100). For V(icmp) the type, or type and code. Left out, it is for all."),
    "remote": string("The addresses of the other side, such as V(10.0.0.0/8). Left out, they are all."),
    "remote_group": string("The security group of the other side's guests, in the place of C(remote)."),
}
GROUP_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name, one of its project.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(allow_loss=security_group/NAME); Neutron refuses it while guests have it."),
    "project": _PROJECT,
    "description": _DESCRIPTION,
    "rules": records(
        "What is let through, all of it. Left out, it is left alone. Rules of a direction of which none is declared are left alone too: Neutron's own let "
        "everything out.",
        RULE_OPTIONS,
    ),
}

_NETWORK = Sort(
    "network", "networks", "network", "/networks", "network",
    fields(
        "type physical_network segment mtu shared external enabled port_security description", "type physical_network segment",
        type="provider:network_type", physical_network="provider:physical_network", segment="provider:segmentation_id", external="router:external",
        enabled="admin_state_up", port_security="port_security_enabled", description=or_empty("description"),
    ),
    "PUT", "who is on it is cut off",
)  # fmt: skip


def _span(text: str) -> str:
    """A pool of addresses, as it is compared."""
    return "-".join(part.strip() for part in text.split("-"))


_SUBNET = Sort(
    "subnet", "subnets", "network", "/subnets", "subnet",
    (
        Field("cidr", "cidr", True),
        or_empty("gateway", "gateway_ip")._replace(send=lambda value: value or None),
        Field("dhcp", "enable_dhcp"),
        Field("dns", "dns_nameservers"),
        Field(
            "pools", "allocation_pools",
            read=lambda value: sorted(f"{one['start']}-{one['end']}" for one in value or ()),
            want=lambda value: sorted(map(_span, value)),
            send=lambda value: [dict(zip(("start", "end"), one.split("-"))) for one in value],
        ),
        Field(
            "routes", "host_routes",
            read=lambda value: {one["destination"]: one["nexthop"] for one in value or ()},
            send=lambda value: [{"destination": key, "nexthop": one} for key, one in value.items()],
        ),
    ),
    "PUT", "guests lose their addresses",
)  # fmt: skip
_ROUTER = Sort(
    "router", "routers", "network", "/routers", "router",
    fields("enabled description", enabled="admin_state_up", description=or_empty("description")),
    "PUT", "the networks behind it lose their way out",
)  # fmt: skip
_GROUP = Sort(
    "security_group", "security_groups", "network", "/security-groups", "security_group", fields("description", description=or_empty("description")),
    "PUT", "what it lets through is let through no more",
)  # fmt: skip


def _with_projects(*words: str) -> t.Callable[[t.Sequence[Item]], set[str]]:
    """The lists of a kind, and that of projects where some are named."""
    return lambda declared: {*words} | ({"projects"} if any(item.get("project") for item in declared) else set())


lists = _with_projects("networks", "subnets")
router_lists = _with_projects("routers", "networks", "subnets", "router_ports")
group_lists = _with_projects("security_groups")


def _id(item: Item) -> str:
    """The name in a change's id, with the project before it where it is another than the user's own."""
    return f"{item['project']}/{item['name']}" if item.get("project") else str(item["name"])


def _unique(declared: t.Sequence[Item], where: str) -> t.Iterator[tuple[Place, Item, list[str]]]:
    """As names_wrong(), for names that are one of their project."""
    return names_wrong([{**item, "name": _id(item)} for item in declared], where)


def _network_of(text: t.Any) -> t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network, None]:
    try:
        return ipaddress.ip_network(str(text))
    except ValueError:
        return None


def _address_of(text: t.Any) -> t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]:
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        return None


def _subnet_problems(here: Place, item: Item) -> t.Iterator[str]:
    """What is wrong with a network's subnets, and between them."""
    there: list[tuple[t.Any, str]] = []
    for place, subnet, found in names_wrong(item["subnets"], f"{here}.subnets"):
        yield from found
        found.clear()
        if subnet["state"] == "absent":
            continue
        network = _network_of(subnet.get("cidr"))
        if network is None:
            place.refuse(True, f"cidr: '{subnet.get('cidr') or ''}' is no network such as 10.1.0.0/24, whose host's part is 0")
            yield from found
            continue
        for other, name in there:
            overlaps = other.version == network.version and network.overlaps(other)
            place.refuse(overlaps, f"cidr: {network} overlaps {other} of {name}: give each subnet of a network addresses of its own")
        there.append((network, subnet["name"]))
        within = [("gateway", subnet["gateway"])] if subnet.get("gateway") else []
        for span in subnet.get("pools") or ():
            ends = _span(span).split("-")
            if not place.refuse(len(ends) != 2, f"pools: '{span}' is not two addresses such as 10.1.0.100-10.1.0.200"):
                within += [("pools", end) for end in ends]
                first, last = map(_address_of, ends)
                place.refuse(first and last and first.version == last.version and int(first) > int(last), f"pools: {span} begins after its end")
        for option, text in within:
            address = _address_of(text)
            place.refuse(address is None or address not in network, f"{option}: {text} is no address of {network}")
        for text in subnet.get("dns") or ():
            place.refuse(_address_of(text) is None, f"dns: '{text}' is no address")
        for destination, hop in (subnet.get("routes") or {}).items():
            place.refuse(_network_of(destination) is None or _address_of(hop) is None, f"routes: '{destination}: {hop}' is no network and an address")
        yield from found


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    wrong: list[str] = []
    for here, item, found in _unique(declared, where):
        if item["state"] != "absent":
            kind, segment = item.get("type"), item.get("segment")
            here.refuse(kind in ("flat", "vlan") and not item.get("physical_network"), f"a network of type {kind} needs physical_network")
            here.refuse(item.get("physical_network") and kind not in ("flat", "vlan"), "physical_network is for the types flat and vlan: say the type")
            here.refuse(segment is not None and kind in (None, "flat", "local"), "segment is for the types vlan, vxlan, gre and geneve: say the type")
            here.refuse(kind == "vlan" and segment is not None and not 1 <= segment <= 4094, f"segment: a VLAN is 1 to 4094, and {segment} is declared")
            found += list(_subnet_problems(here, item))
        wrong += found
    return wrong


def router_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    wrong: list[str] = []
    for here, item, found in _unique(declared, where):
        here.refuse(item.get("snat") is not None and not item.get("external_network"), "snat: say the external_network too")
        wrong += found
    return wrong


def group_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    wrong: list[str] = []
    for here, item, found in _unique(declared, where):
        for number, rule in enumerate(item.get("rules") or ()):
            place = Place(f"{here}: rules[{number}]", found.append)
            remote = _network_of(rule["remote"]) if rule.get("remote") else None
            place.refuse(rule.get("remote") and remote is None, f"remote: '{rule.get('remote')}' is no network such as 10.0.0.0/8")
            place.refuse(remote and f"IPv{remote.version}" != rule["family"], f"remote: {remote} is not of the family {rule['family']}")
            place.refuse(rule.get("remote") and rule.get("remote_group"), "remote and remote_group: keep one of them")
            ports = (rule.get("ports") or "0").split("-")
            known = 1 <= len(ports) <= 2 and all(port.isdigit() and int(port) < 65536 for port in ports)
            place.refuse(not known, f"ports: '{rule.get('ports')}' is neither a port nor two such as 8000-8100")
            place.refuse(rule.get("ports") and not rule.get("protocol"), "ports: say the protocol too")
        wrong += found
    return wrong


def _find(word: str, cloud: Cloud) -> t.Callable[[Item, Place], t.Optional[Row]]:
    def find(item: Item, here: Place) -> t.Optional[Row]:
        owner = _owner(item, cloud)
        return cloud.find(word, item["name"], here, project_id=owner) if owner or not item.get("project") else None

    return find


def _owner(item: Item, cloud: Cloud) -> t.Optional[str]:
    """The id of the project whose a thing is; None where it is not there yet."""
    if not item.get("project"):
        return cloud.own
    row = cloud.find("projects", item["project"])
    return str(row["id"]) if row else None


def _owned(item: Item, cloud: Cloud) -> dict[str, t.Any]:
    """What makes a new thing its project's."""
    return {"project_id": cloud.id("projects", item["project"])} if item.get("project") else {}


def _project_needs(item: Item) -> set[str]:
    return {f"project/{item['project']}"} if item.get("project") else set()


def plan(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for here, item, row in draft.each("networks", declared, _find("networks", cloud)):
        draft.refer(here, item, "projects", [item.get("project")], cloud)
        draft.thing(_NETWORK, item["name"], item, row, cloud, _project_needs(item), more=functools.partial(_owned, item, cloud), id_=_id(item))
        if item["state"] == "absent":
            continue
        # Subnets go with a network that is made anew.
        anew = any(change.id == f"network/{_id(item)}" and "made anew" in change.reason for change in draft.changes)
        there = [other for other in cloud.rows("subnets") if row and not anew and other["network_id"] == row["id"]]
        named = {subnet["name"] for subnet in item["subnets"]}
        for subnet in item["subnets"]:
            _plan_subnet(here, item, subnet, [one for one in there if one["name"] == subnet["name"]], cloud, draft)
            mine = _network_of(subnet.get("cidr"))
            for other in there if mine is not None and subnet["state"] != "absent" else ():
                theirs = _network_of(other["cidr"])
                if other["name"] not in named and theirs is not None and theirs.version == mine.version and theirs.overlaps(mine):  # type: ignore
                    here.refuse(True, f"subnets: {subnet['name']}: cidr: {mine} overlaps {theirs} of {other['name']}, which is there and is not declared")


def _plan_subnet(here: Place, item: Item, subnet: Item, rows: list[Row], cloud: Cloud, draft: Draft) -> None:
    ids = ", ".join(sorted(row["id"] for row in rows))
    if here.refuse(len(rows) > 1, f"subnets: there are {len(rows)} of the name {subnet['name']} ({ids}): delete or rename all but one, then run again"):
        return

    def more() -> Item:
        version = ipaddress.ip_network(subnet["cidr"]).version
        return {"network_id": cloud.id("networks", item["name"], **_of_project(item, cloud)), "ip_version": version, **_owned(item, cloud)}

    row = next(iter(rows), None)
    needs = {f"network/{_id(item)}"}
    draft.thing(_SUBNET, subnet["name"], subnet, row, cloud, needs, more=more, id_=f"{_id(item)}/{subnet['name']}")


def _of_project(item: Item, cloud: Cloud) -> dict[str, t.Any]:
    """By which a thing's id is found among those of its project."""
    return {"project_id": cloud.id("projects", item["project"]) if item.get("project") else cloud.own}


def plan_routers(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    networks = [{**one, "full": _id(one)} for one in draft.declaration.get("networks") or ()]
    for here, item, row in draft.each("routers", declared, _find("routers", cloud)):
        draft.refer(here, item, "projects", [item.get("project")], cloud)
        draft.refer(here, item, "networks", [item.get("external_network"), *(one["network"] for one in item.get("interfaces") or ())], cloud)
        wanted: dict[str, t.Any] = {option: item[option] for option in ("external_network", "snat") if item.get(option) is not None}
        if item.get("interfaces") is not None:
            wanted["interfaces"] = sorted(f"{one['network']}/{one['subnet']}" for one in item["interfaces"])
        gateway = (row.get("external_gateway_info") or {}) if row else {}
        ports = [port for port in cloud.rows("router_ports") if row and port["device_id"] == row["id"]]
        subnets = {fixed["subnet_id"] for port in ports for fixed in port["fixed_ips"]}
        had = {_subnet_name(id_, cloud): id_ for id_ in subnets}
        extra = {"external_network": cloud.name("networks", gateway.get("network_id")) or "", "snat": gateway.get("enable_snat"), "interfaces": sorted(had)}
        used = {item.get("external_network"), *(one["network"] for one in item.get("interfaces") or ())}
        needs = _project_needs(item) | {f"network/{one['full']}" for one in networks if one["name"] in used}
        needs |= {
            f"subnet/{one['full']}/{subnet['name']}" for one in networks if one["name"] in used for subnet in one["subnets"] if subnet["state"] != "absent"
        }

        def interface(id_: str, verb: str, subnet: str) -> None:
            cloud.client.call("network", "PUT", f"/routers/{id_}/{verb}_router_interface", {"subnet_id": subnet})

        def subnet_of(name: str, item: Item = item) -> str:
            """The id of NETWORK/SUBNET. Of two networks of one name that of the router's project is meant, else that of another."""
            network, _slash, subnet = name.rpartition("/")
            own = _of_project(item, cloud)["project_id"]
            rows = [one for one in [*reversed(cloud.made_rows("networks")), *cloud.rows("networks")] if one["name"] == network]
            for one in sorted(rows, key=lambda other: other.get("project_id") != own):
                with contextlib.suppress(LookupError):
                    return cloud.id("subnets", subnet, network_id=one["id"])
            raise LookupError(f"there is no subnet {name}")

        def set_besides(id_: str, before: Item, after: Item, item: Item = item, had: t.Mapping[str, str] = had) -> None:
            if {"external_network", "snat"} & set(after):
                info: dict[str, t.Any] = {"network_id": cloud.id("networks", item["external_network"])} if item.get("external_network") else {}
                info.update({"enable_snat": item["snat"]} if info and item.get("snat") is not None else {})
                cloud.client.call("network", "PUT", f"/routers/{id_}", {"router": {"external_gateway_info": info or None}})
            for name in after.get("interfaces", ()):
                if name not in before.get("interfaces", ()):
                    interface(id_, "add", subnet_of(name))
            for name in before.get("interfaces", ()) if "interfaces" in after else ():
                if name not in after["interfaces"]:
                    interface(id_, "remove", had[name])

        def clear(row: t.Optional[Row] = row, had: t.Mapping[str, str] = had) -> None:
            for id_ in had.values():
                interface(str(row and row["id"]), "remove", id_)

        draft.thing(
            _ROUTER, item["name"], item, row, cloud, needs, more=functools.partial(_owned, item, cloud), besides=(extra, wanted), settle=set_besides,
            id_=_id(item), clear=clear,
        )  # fmt: skip


def _subnet_name(id_: str, cloud: Cloud) -> str:
    row = next((one for one in cloud.rows("subnets") if one["id"] == id_), None)
    return f"{cloud.name('networks', row['network_id'])}/{row['name']}" if row else id_


def _rule_text(direction: str, family: str, protocol: t.Optional[str], low: t.Any, high: t.Any, remote: t.Optional[str]) -> str:
    """A rule as it is compared, and as a person reads it."""
    ports = "" if low is None and high is None else f" {low}" if high in (None, low) else f" {low}-{high}"
    place = "" if remote in (None, "0.0.0.0/0", "::/0") else f" {'from' if direction == 'ingress' else 'to'} {remote}"
    return f"{direction} {family} {protocol or 'all'}{ports}{place}"


def plan_groups(declared: t.Sequence[Item], cloud: Cloud, draft: Draft) -> None:
    for here, item, row in draft.each("security_groups", declared, _find("security_groups", cloud)):
        draft.refer(here, item, "projects", [item.get("project")], cloud)
        draft.refer(here, item, "security_groups", [rule.get("remote_group") for rule in item.get("rules") or ()], cloud)
        rules = [_Rule.of(rule) for rule in item.get("rules") or ()]
        directions = {rule.direction for rule in rules} or {"ingress"}
        wanted = {"rules": sorted({rule.text for rule in rules})} if item.get("rules") is not None else {}
        had = {_read_rule(one, cloud): str(one["id"]) for one in (row.get("security_group_rules") or () if row else ()) if one["direction"] in directions}
        needs = _project_needs(item)
        needs |= {f"security_group/{rule.remote_group}" for rule in rules if rule.remote_group and rule.remote_group != item["name"]}

        def set_rules(id_: str, before: Item, after: Item, item: Item = item, rules: list[_Rule] = rules, had: dict[str, str] = had) -> None:
            existing = had
            if not before:  # Neutron's own rules of a new group, of the directions that are declared
                made = cloud.client.call("network", "GET", f"/security-groups/{id_}")["security_group"]["security_group_rules"]
                existing = {_read_rule(one, cloud): str(one["id"]) for one in made if one["direction"] in {rule.direction for rule in rules}}
            bodies = [rule.body(id_, item, cloud) for rule in {rule.text: rule for rule in rules}.values() if rule.text not in existing]
            if bodies:
                cloud.client.call("network", "POST", "/security-group-rules", {"security_group_rules": bodies})
            for text in sorted(set(existing) - set(after["rules"])):
                cloud.client.call("network", "DELETE", f"/security-group-rules/{existing[text]}")

        draft.thing(
            _GROUP, item["name"], item, row, cloud, needs, more=functools.partial(_owned, item, cloud), besides=({"rules": sorted(had)} if row else {}, wanted),
            settle=set_rules, id_=_id(item),
        )  # fmt: skip


class _Rule(t.NamedTuple):
    direction: str
    family: str
    protocol: t.Optional[str]
    low: t.Optional[int]
    high: t.Optional[int]
    remote: t.Optional[str]
    remote_group: t.Optional[str]

    @classmethod
    def of(cls, rule: Item) -> _Rule:
        ports: list[t.Optional[int]] = [int(port) for port in rule["ports"].split("-")] if rule.get("ports") else [None]
        protocol = str(rule["protocol"]).lower() if rule.get("protocol") else None
        icmp = protocol in ("icmp", "icmpv6", "ipv6-icmp")
        high = ports[-1] if not icmp or len(ports) > 1 else None
        remote = str(ipaddress.ip_network(rule["remote"])) if rule.get("remote") else None
        return cls(rule["direction"], rule["family"], protocol, ports[0], high, remote, rule.get("remote_group"))

    @property
    def text(self) -> str:
        return _rule_text(*self[:5], f"group {self.remote_group}" if self.remote_group else self.remote)

    def body(self, group: str, item: Item, cloud: Cloud) -> dict[str, t.Any]:
        found = {
            "security_group_id": group, "direction": self.direction, "ethertype": self.family, "protocol": self.protocol, "port_range_min": self.low,
            "port_range_max": self.high, "remote_ip_prefix": self.remote,
        }  # fmt: skip
        if self.remote_group:
            found["remote_group_id"] = (
                group if self.remote_group == item["name"] else cloud.id("security_groups", self.remote_group, **_of_project(item, cloud))
            )
        return {key: value for key, value in found.items() if value is not None}


def _read_rule(row: Row, cloud: Cloud) -> str:
    group = row.get("remote_group_id")
    remote = f"group {cloud.name('security_groups', group)}" if group else row.get("remote_ip_prefix")
    return _rule_text(row["direction"], row["ethertype"], row.get("protocol"), row.get("port_range_min"), row.get("port_range_max"), remote)
