# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own network: a bridge, and an nftables table that lets the hosts out.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import pathlib
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._lab import model, system
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import differing

_FORWARD = "/proc/sys/net/ipv4/ip_forward"


class Seen(t.NamedTuple):
    """What was found of the network.
    links: as ``ip -json -details address`` gives them. routes: likewise. table: the marker of the lab's nftables table, "" where there is no table.
    foreign_drop: names of forward chains of others that drop what they do not know."""

    links: t.Sequence[t.Mapping[str, t.Any]]
    routes: t.Sequence[t.Mapping[str, t.Any]]
    table: str
    forwarding: bool
    foreign_drop: tuple[str, ...] = ()

    def bridge(self, lab: model.Lab) -> t.Mapping[str, t.Any]:
        """The bridge of the lab's name, {} where there is none."""
        return next((link for link in self.links if link["ifname"] == lab.bridge), {})


def _json(*argv: str) -> t.Any:
    return json.loads(system.run(argv).out or "[]")


def observe(lab: model.Lab) -> Seen:
    chains = [item["chain"] for item in dict(_json("nft", "--json", "list", "chains")).get("nftables", []) if "chain" in item]
    own = [chain["name"] for chain in chains if chain["family"] == "ip" and chain["table"] == lab.table]
    drops = [chain for chain in chains if chain.get("hook") == "forward" and chain.get("policy") == "drop"]
    return Seen(
        links=_json("ip", "-json", "-details", "address", "show"),
        routes=_json("ip", "-json", "-4", "route", "show"),
        table=next((name for name in own if name.startswith("made_")), "other" if own else ""),
        forwarding=system.read(_FORWARD).strip() == "1",
        foreign_drop=tuple(f"{chain['family']} {chain['table']} {chain['name']}" for chain in drops),
    )


def rules(lab: model.Lab, local_resolver: str) -> str:
    """Return the lab's nftables table. Pure. The name of its empty chain tells the content, to be compared."""
    resolver = ""
    if local_resolver:
        # A name server that listens on this machine's loopback only is asked by the gateway's address.
        resolver = f"""
  chain nat_in {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "{lab.bridge}" ip daddr {lab.gateway} udp dport 53 dnat to {local_resolver}
    iifname "{lab.bridge}" ip daddr {lab.gateway} tcp dport 53 dnat to {local_resolver}
  }}"""
    body = f"""
  chain nat_out {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {lab.network} ip daddr != {lab.network} masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{lab.bridge}" tcp flags syn tcp option maxseg size set rt mtu
    oifname "{lab.bridge}" tcp flags syn tcp option maxseg size set rt mtu
    iifname "{lab.bridge}" accept
    oifname "{lab.bridge}" accept
  }}{resolver}
"""
    return f"table ip {lab.table} {{\n  chain made_{hashlib.sha256(body.encode()).hexdigest()[:12]} {{ }}{body}}}\n"


def marker(ruleset: str) -> str:
    """Return the name of the chain that tells a table's content. Pure."""
    return next(word for word in ruleset.split() if word.startswith("made_"))


def problems(lab: model.Lab, seen: Seen) -> t.Iterator[str]:
    aliases = {link["ifname"]: str(link.get("ifalias", "")) for link in seen.links}
    if aliases.get(lab.bridge, lab.alias) != lab.alias:
        yield f"the bridge {lab.bridge} belongs to {aliases[lab.bridge] or 'something that is no lab'}: give this lab another name (lab_name)"
    for to, by in ((route["dst"], route.get("dev", "?")) for route in seen.routes):
        if to != "default" and by != lab.bridge and ipaddress.IPv4Network(to, strict=False).overlaps(lab.network):
            owner = aliases.get(by, "")
            what = f"{owner} (bridge {by})" if owner.startswith("cephstack lab ") else f"the route to {to} by {by}"
            yield f"the network {lab.network} overlaps {what}: choose another (lab_network)"


def difference(lab: model.Lab, seen: Seen, ruleset: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    bridge = seen.bridge(lab)
    addresses = [f"{item['local']}/{item['prefixlen']}" for item in bridge.get("addr_info", []) if item.get("family") == "inet"]
    state = "up" if "UP" in bridge.get("flags", []) else "down" if bridge else "absent"
    current = {"bridge": state, "addresses": addresses, "nftables": seen.table or "absent", "ip_forward": seen.forwarding}
    return differing(current, {"bridge": "up", "addresses": [f"{lab.gateway}/{lab.network.prefixlen}"], "nftables": marker(ruleset), "ip_forward": True})


def make(lab: model.Lab, ruleset: str, local_resolver: str) -> None:
    """Make the bridge, its address, the table and forwarding as they should be. What is there already stays."""
    if not os.path.isdir(f"/sys/class/net/{lab.bridge}"):
        system.run(["ip", "link", "add", lab.bridge, "type", "bridge", "forward_delay", "0"])
    system.run(["ip", "link", "set", lab.bridge, "alias", lab.alias])
    system.run(["ip", "address", "flush", "dev", lab.bridge, "scope", "global"])
    system.run(["ip", "address", "add", f"{lab.gateway}/{lab.network.prefixlen}", "brd", "+", "dev", lab.bridge])
    system.run(["ip", "link", "set", lab.bridge, "up"])
    if local_resolver:
        pathlib.Path(f"/proc/sys/net/ipv4/conf/{lab.bridge}/route_localnet").write_text("1", "ascii")
    # One transaction: the old table goes as the new one comes.
    system.run(["nft", "-f", "-"], stdin=f"table ip {lab.table}\ndelete table ip {lab.table}\n{ruleset}")
    with system.alone(lab.cache):
        # From here on another lab that goes knows that it is not the last one.
        os.makedirs(lab.directory, exist_ok=True)
        if system.read(_FORWARD).strip() != "1":
            # Told to the last lab that goes, so that it leaves the machine as the first one found it.
            _was_off(lab).touch()
            pathlib.Path(_FORWARD).write_text("1", "ascii")


def remove(lab: model.Lab) -> None:
    """Remove the bridge with its taps, and the table; set forwarding back when no other lab of this cache is left."""
    taps = [link for link in _json("ip", "-json", "-details", "link", "show") if link.get("linkinfo", {}).get("info_kind") == "tun"]
    for name in [*(link["ifname"] for link in taps if link.get("master") == lab.bridge), lab.bridge]:
        if os.path.isdir(f"/sys/class/net/{name}"):
            system.run(["ip", "link", "delete", name])
    system.run(["nft", "-f", "-"], stdin=f"table ip {lab.table}\ndelete table ip {lab.table}\n")
    with system.alone(lab.cache):
        others = set(system.folders(os.path.join(lab.cache, "labs"))) - {lab.name}
        if _was_off(lab).exists() and not others:
            pathlib.Path(_FORWARD).write_text("0", "ascii")
            _was_off(lab).unlink()


def _was_off(lab: model.Lab) -> pathlib.Path:
    return pathlib.Path(lab.cache, "ip_forward_was_off")
