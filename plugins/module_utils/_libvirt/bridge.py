# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges of a KVM host: a bridge takes over the address of the interface that it holds, with a way back.

A bridge that is there is left alone. A new one is written where the interface was described (Debian's /etc/network/interfaces), and made from that description,
as the next boot will do. Before it, a timer is set that puts everything back: only a second call, which comes over the new bridge, takes it away.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import re
import shlex
import shutil
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import CommandError, run
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Lane, Plan, Risk, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import twice

# interfaces(5): a line that begins with one of these begins a stanza.
_HEADS = re.compile(r"^\s*(auto|allow-\S+|no-auto-down|no-scripts|iface|mapping|template|source|source-directory|rename)\b")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_KEPT = "/var/lib/cephstack/bridges"
_INTERFACES = "/etc/network/interfaces"
_MANAGERS = ("NetworkManager.service", "systemd-networkd.service")


class BridgeError(Exception):
    """A change of the network failed, and was taken back."""


class Bridge(t.NamedTuple):
    """A bridge as declared. interface: "" is that of the default route."""

    name: str
    interface: str = ""


class Link(t.NamedTuple):
    """An interface of the host. ports: of a bridge, else None. master: the bridge that holds it."""

    ports: t.Optional[tuple[str, ...]] = None
    master: str = ""
    addresses: tuple[str, ...] = ()


class Observed(t.NamedTuple):
    """links by name. default: the interface of the default route. files: the texts that describe interfaces, by path, where the host
    is set up by them. manager: who sets up the network where it isn't them. pending: bridges whose timer still runs."""

    links: t.Mapping[str, Link]
    default: str
    files: t.Mapping[str, str]
    manager: str
    pending: frozenset[str]


def parse(declared: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Bridge, ...]:
    """Read a declaration. Raises Invalid with every problem found."""
    problems, bridges = [], tuple(Bridge(item["name"], item.get("interface") or "") for item in declared)
    for what, names in (("bridge", [bridge.name for bridge in bridges]), ("interface", [bridge.interface for bridge in bridges])):
        problems += [f"the {what} {name or 'of the default route'} is declared twice" for name in twice(names)]
        problems += [f"'{name}' is no name of an interface" for name in names if name and not _NAME.fullmatch(name)]
    if problems:
        raise Invalid(problems)
    return bridges


def _lines(text: str) -> list[str]:
    """Return the lines of an interfaces file, each with those that it goes on in after a backslash. Pure."""
    return [line for line in re.findall(r"[ \t]*#.*\n?|(?:.*\\\n)*.*\n?", text) if line]


def _says_something(line: str) -> bool:
    return line.strip() != "" and not line.lstrip().startswith("#")


def _groups(lines: t.Iterable[str], begins: t.Callable[[str], t.Any]) -> list[str]:
    """Return lines in groups; comments and empty lines belong to what follows them. begins: whether a line begins one. Pure."""
    found = pending = ""
    groups: list[str] = []
    for line in lines:
        pending += line
        if _says_something(line):
            if begins(line):
                groups.append(found)
                found = ""
            found, pending = found + pending, ""
    return [group for group in (*groups, found, pending) if group]


def stanzas(text: str) -> list[str]:
    """Return the stanzas of an interfaces file; joined they are the file. What comes before the first is one too, and comments at its end. Pure."""
    return _groups(_lines(text), _HEADS.match)


def _words(group: str) -> list[str]:
    return next(filter(_says_something, _lines(group)), "").replace("\\\n", " ").split()


# Options that say who the host is on a network, and so go where its addresses go: interfaces(5), resolvconf, resolved, and vlan's ip-*.
_ADDRESSING = re.compile(
    r"address|address-virtual|netmask|prefixlen|broadcast|network|gateway|metric|pointopoint|scope|hostname|leasehours|leasetime|vendor|client|bootfile|server"
    r"|accept-ra|autoconf|privext|preferred-lifetime|dad-attempts|dad-interval|ll-attempts|ll-interval|dhcp|request-prefix|vrf|domain|(?:dns|ip|ip4|ip6)-.*"
)
_BEFORE, _WHILE = frozenset({"pre-up", "post-down"}), frozenset({"up", "post-up", "down", "pre-down"})
# What a command is about, as far as it can be told. Some lines are about neither, or about both.
_PROGRAM = r"(?:^|[\s;&|(/`])"
_OF_LINK = re.compile(
    _PROGRAM
    + r"(?:ip(?:\s+-\S+)*\s+(?:l|li|lin|link|tuntap|maddr\w*)|ethtool|ifenslave|modprobe|tc|iw|iwconfig|wpa_\w+|vconfig|brctl|bridge|mii-tool)(?=[\s;]|$)"
    r"|/sys/class/net/"
)
_OF_ADDRESSES = re.compile(
    _PROGRAM + r"(?:ip(?:\s+-\S+)*\s+(?:a|ad|add|addr|addre|addres|address|r|ro|rou|rout|route|ru|rul|rule|n|ne|nei|neig|neigh\w*)"
    r"|route|arp|arping|nft|ip6?tables[\w-]*)(?=[\s;]|$)|net[./]ipv[46][./]"
)
_IFCONFIG = re.compile(_PROGRAM + r"ifconfig\s+([^;&|]*)")
_IP = re.compile(r"(?:^|\s)(?:\d+\.\d+\.\d+\.\d+|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:]*/\d+|inet6?\s)")


def _belongs(words: t.Sequence[str]) -> tuple[bool, bool]:
    """Return whether an option belongs to the link, and whether to the addresses; to neither where it does two things. Pure.
    An option that is not known stays with the link: most of them are of the scripts that make links (bond-*, vlan-*, wpa-*, ethtool's), and without one of
    these the host drops off the network. A command that is not known runs where it found what it needs until now: before the link is up it is about the link;
    from then on there were addresses, which now are the bridge's."""
    if not words:
        return True, False
    name, command = words[0].replace("_", "-"), " ".join(words[1:])
    if name in _BEFORE | _WHILE:
        ifconfig = _IFCONFIG.search(command)
        addresses = bool(_OF_ADDRESSES.search(command) or (ifconfig and _IP.search(ifconfig.group(1))))
        link = bool(_OF_LINK.search(command) or (ifconfig and not _IP.search(ifconfig.group(1))))
        if link == addresses:
            link, addresses = (False, False) if link else (name in _BEFORE, name in _WHILE)
        return link, addresses
    # The MTU is the bridge's own, too: one that was told its MTU keeps it when a guest's interface with a smaller one joins. In an inet6 stanza it is
    # also the MTU of IPv6, which goes with the addresses.
    addressing = _ADDRESSING.fullmatch(name) is not None
    return not addressing, addressing or name == "mtu"


def _renamed(text: str, interface: str, bridge: str) -> str:
    """Return lines that move, with the bridge in place of the interface: routes name it, and so do settings of the kernel."""
    name = re.escape(interface)
    return re.sub(rf"(?<![\w./:-]){name}(?![\w.-])|(?<=conf[./]){name}(?=[./])", bridge, text)


def bridged(text: str, interface: str, bridge: str) -> t.Optional[str]:
    """Return an interfaces file in which a bridge has the addresses of an interface, which it holds. None: it doesn't describe it. Pure.
    What makes the interface what it is (slaves of a bond, a VLAN's device, MTU, hardware address) stays with it. Raises Invalid with every line that cannot be
    taken apart."""
    out, done = "", False
    problems: list[str] = []
    for stanza in stanzas(text):
        words = _words(stanza)
        if words[:2] != ["iface", interface]:
            # An alias (eth0:1) is a further address, and has a stanza and an auto of its own.
            if words[:1] == ["iface"] and words[1].startswith(f"{interface}:"):
                stanza = _renamed(stanza, interface, bridge)
            elif words and (words[0] == "auto" or words[0].startswith("allow-")):
                stanza = re.sub(rf"(?<=\s){re.escape(interface)}:", f"{bridge}:", stanza)
            out += stanza
            continue
        lines = _lines(stanza.rstrip("\n") + "\n")
        at = next(number for number, line in enumerate(lines) if _says_something(line))
        link = addresses = ""
        if "inherits" in words:
            below = f"write them below 'iface {interface}'"
            problems.append(f"{interface} inherits lines from another stanza, and which of them are its own cannot be told: {below}")
        for option in _groups(lines[at + 1 :], _says_something):
            of_link, of_addresses = _belongs(_words(option))
            if not of_link and not of_addresses:
                problems.append(f"the line '{' '.join(_words(option))}' of {interface} is about the link and about addresses: make two lines of it")
            link += option if of_link else ""
            addresses += _renamed(option, interface, bridge) if of_addresses else ""
        out += "".join(lines[:at])
        if not done or link:
            out += f"iface {interface} {words[2] if done else 'inet'} manual\n{link}\n"
        out += ("" if done else f"auto {bridge}\n") + " ".join(["iface", bridge, *words[2:]]) + f"\n{addresses}"
        if not done:
            indent = next((line[: -len(line.lstrip())] for line in lines[at + 1 :] if line.strip()), "") or "  "
            ports = (f"bridge_ports {interface}", f"bridge_hw {interface}", "bridge_stp off", "bridge_fd 0", "bridge_maxwait 0")
            out += "".join(f"{indent}{option}\n" for option in ports)
        out += "\n"
        done = True
    if problems:
        raise Invalid(problems)
    return out if done else None


@dataclasses.dataclass
class Provider:
    """Makes the bridges of one host. revert_after: seconds until a host that nobody came back to is as it was."""

    bridges: t.Sequence[Bridge]
    revert_after: int
    _made: t.Set[str] = dataclasses.field(default_factory=set)

    def observe(self) -> Observed:
        """Read interfaces, and how they are described. Raises Unreachable."""
        try:
            return self._observe()
        except CommandError as error:
            raise Unreachable(str(error)) from error

    def _observe(self) -> Observed:
        links = {}
        for link in json.loads(run(["ip", "-json", "address", "show"]) or "[]"):
            name = link.get("ifname", "")
            ports = tuple(sorted(os.listdir(f"/sys/class/net/{name}/brif"))) if os.path.isdir(f"/sys/class/net/{name}/bridge") else None
            addresses = tuple(f"{item['local']}/{item['prefixlen']}" for item in link.get("addr_info", []) if item.get("scope") == "global")
            links[name] = Link(ports, link.get("master", ""), addresses)
        routes = json.loads(run(["ip", "-json", "-4", "route", "show", "default"]) or "[]")
        texts = {path: files.read(path, exact=True) for path in [_INTERFACES, *sorted(glob.glob(f"{_INTERFACES}.d/*"))] if os.path.isfile(path)}
        described = {path: text for path, text in texts.items() if text is not None}
        units = systemd.units([*_MANAGERS, *(_timer(bridge.name) for bridge in self.bridges)])
        manager = "netplan" if glob.glob("/etc/netplan/*.yaml") else next((name.partition(".")[0] for name in _MANAGERS if units[name].active), "")
        pending = frozenset(bridge.name for bridge in self.bridges if units[_timer(bridge.name)].active)
        return Observed(links, routes[0].get("dev", "") if routes else "", described, manager, pending)

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with everything that stands in the way."""
        draft = Draft()
        for bridge in self.bridges:
            try:
                self._plan_bridge(bridge, observed, draft)
            except Invalid as error:
                draft.problems += [f"{bridge.name}: {problem}" for problem in error.problems]
        return draft.plan(Lane("network"))

    def _plan_bridge(self, bridge: Bridge, observed: Observed, draft: Draft) -> None:
        name, link = bridge.name, observed.links.get(bridge.name)
        if link is not None and link.ports is not None:
            if name in observed.pending and name not in self._made:
                draft.ensure("bridge", name, {"kept": False}, {"kept": True}, lambda: run(["systemctl", "stop", _timer(name)]))
            return
        if link is not None:
            raise Invalid(["there is an interface of this name, and it is no bridge"])
        interface = bridge.interface or observed.default
        port = observed.links.get(interface)
        if port is None:
            raise Invalid([f"there is no interface {interface or 'of a default route'}; there are {', '.join(sorted(observed.links))}: name one of them"])
        if port.ports is not None or port.master:
            what = f"held by {port.master}" if port.master else "a bridge itself"
            declare = f"declare {port.master or interface} instead (it is then left alone), and name it in the traffic labels"
            raise Invalid([f"{interface} is {what}: {declare}"])
        new = {path: bridged(text, interface, name) for path, text in observed.files.items()}
        described = [(path, text) for path, text in new.items() if text is not None]
        if len(described) != 1:
            where = f"it is set up by {observed.manager}" if observed.manager else f"{len(described)} files in /etc/network describe it"
            mend = f"make the bridge {name} with {interface} in it and its addresses on it, as that wants it; a bridge that is there is left alone"
            raise Invalid([f"{interface} cannot be put into a bridge from here, since {where}: {mend}"])
        (path, text), addresses = described[0], list(port.addresses)
        reason = f"the addresses of {interface} move to it; {self.revert_after} s later they move back if nobody has come back to this host"
        after = {"interface": interface, "addresses": addresses, "file": path}
        draft.ensure("bridge", name, None, after, lambda: self._make(name, interface, path, text, addresses), risk=Risk.RESTART, reason=reason)

    def _make(self, name: str, interface: str, path: str, text: str, addresses: list[str]) -> None:
        if not shutil.which("brctl") and not os.path.exists("/etc/network/if-pre-up.d/bridge"):
            raise BridgeError("bridges in /etc/network/interfaces need the package bridge-utils")
        folder, seen = os.path.join(_KEPT, name), os.stat(path)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        shutil.copy2(path, os.path.join(folder, "before"))
        files.write(os.path.join(folder, "after"), text, seen.st_mode & 0o7777, seen.st_uid, seen.st_gid)
        dev, br, conf = shlex.quote(interface), shlex.quote(name), shlex.quote(path)
        # The scripts of ifdown would take a bond or a VLAN away, with what else is on it; those of ifup take the slaves of a bond down that is there.
        down, flush = f"ifdown --force --no-scripts {dev}", f"{{ test ! -e /sys/class/net/{dev} || ip address flush dev {dev}; }}"
        up = f"if test -e /sys/class/net/{dev}; then ifup --force --no-scripts {dev}; else ifup --force {dev}; fi"
        # eth0:1 becomes cloudbr0:1
        aliases = [words[1] for words in map(_words, stanzas(text)) if words[:1] == ["iface"] and len(words) > 1 and words[1].startswith(f"{name}:")]
        labels = [shlex.quote(alias.partition(":")[2]) for alias in dict.fromkeys(aliases)]
        back = [f"ifdown --force {br}:{label}" for label in labels] + [f"ifdown --force {br}", f"ip link delete {br}", f"cp -p before {conf}"]
        back += [down, flush, up] + [f"ifup --force {dev}:{label}" for label in labels]
        forth = [f"cp -p after {conf}", flush, up, f"ifup --force {br}"] + [f"ifup --force {br}:{label}" for label in labels]
        forth = [*(f"ifdown --force {dev}:{label}" for label in labels), down, " && ".join(forth)]
        for file, script in (("back", back), ("forth", forth)):
            lines = ["#!/bin/sh", "# Made by cephstack.cloud", f"cd {shlex.quote(folder)} || exit 1", *script, ""]
            files.write(os.path.join(folder, file), "\n".join(lines), 0o644, os.geteuid(), os.getegid())
        begin, unit = ["systemd-run", "--quiet", "--collect"], f"cephstack-bridge-{name}"
        timer = [f"--unit={unit}", f"--on-active={self.revert_after}", "--timer-property=AccuracySec=1s"]
        run([*begin, *timer, "/bin/sh", f"{folder}/back"])
        try:
            # In a unit of its own: it goes on where this process ends with its connection.
            run([*begin, "--wait", f"--unit={unit}-forth", "/bin/sh", f"{folder}/forth"], timeout=self.revert_after)
            link = self.observe().links.get(name, Link())
            if link.ports is None or interface not in link.ports or not set(addresses) <= set(link.addresses):
                raise BridgeError(f"{name} did not come up with {interface} in it and {', '.join(addresses)} on it")
        except Exception as error:
            run(["systemctl", "stop", _timer(name)])
            run([*begin, "--wait", f"--unit={unit}-back", "/bin/sh", f"{folder}/back"], timeout=self.revert_after)
            raise BridgeError(f"{error}; all is as it was (journalctl -u {unit}-forth)") from error
        self._made.add(name)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        rows = []
        for name, _interface in self.bridges:
            link = observed.links.get(name, Link())
            rows.append({"name": name, "ports": list(link.ports or ()), "addresses": list(link.addresses), "kept": name not in observed.pending})
        return {"bridges": rows}


def _timer(bridge: str) -> str:
    return f"cephstack-bridge-{bridge}.timer"
