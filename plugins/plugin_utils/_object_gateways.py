# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateways of hosts, out of what is declared of them: their identities, options and addresses. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import typing as t

# The gateways of a host for which none are declared, as the role ceph_rgw has them.
INSTANCES: t.Final = ({"name": "s3", "port": 8080},)


def short_name(inventory_hostname: str) -> str:
    """Return a host's part of its gateways' names: the name up to its first dot, a whole address with dashes."""
    if re.fullmatch(r"[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", inventory_hostname):
        return re.sub(r"[.:]+", "-", inventory_hostname)
    return inventory_hostname.partition(".")[0]


class Listener(t.NamedTuple):
    """One place where a gateway listens. address: None for all of the host's, of both families."""

    secure: bool
    address: t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]
    port: int


def frontends_of(instance: t.Mapping[str, t.Any]) -> str:
    """Return the text of rgw_frontends of one gateway, as declared or as it follows from port and certificate."""
    text = (instance.get("options") or {}).get("rgw_frontends", instance.get("frontends") or None)
    if text is not None:
        return str(text)
    certificate, key = instance.get("certificate"), instance.get("private_key")
    text = f"beast ssl_port={instance['port']} ssl_certificate={certificate}" if certificate else f"beast port={instance['port']}"
    return f"{text} ssl_private_key={key}" if key else text


def listeners(instance: t.Mapping[str, t.Any]) -> list[Listener]:
    """Return where one gateway listens, read from its frontends as radosgw reads them. Raises ValueError."""
    found: list[Listener] = []
    # Several frontends are separated by commas, and the words of one by spaces: its kind, then options, any of which may be repeated.
    for frontend in frontends_of(instance).split(","):
        kind, *words = frontend.split() or [""]
        if kind not in ("", "beast", "civetweb"):
            raise ValueError(f"{kind}: only beast and civetweb are read")
        for word in words:
            key, _sign, value = word.partition("=")
            secure, option = key.startswith("ssl_"), key.removeprefix("ssl_")
            try:
                if kind == "civetweb" and key == "port":
                    found += [_listener(one.endswith("s"), one.removesuffix("s")) for one in value.split("+")]
                elif kind == "beast" and option == "port":
                    found.append(Listener(secure, None, _port(value)))
                elif kind == "beast" and option == "endpoint":
                    found.append(_listener(secure, value, 443 if secure else 80))
            except ValueError as error:
                raise ValueError(f"{word}: {error}") from None
    if not found:
        raise ValueError("its frontends name no port or endpoint: a gateway that listens nowhere does not start")
    port, ports = int(instance["port"]), sorted({one.port for one in found})
    if port not in ports:
        shown = ", ".join(map(str, ports))
        raise ValueError(f"its port is {port}, and its frontends listen on {shown}: give the port that others use, or correct frontends")
    return list(dict.fromkeys(found))


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError(f"'{text}' is no port")
    return int(text)


def _listener(secure: bool, text: str, default: int = 0) -> Listener:
    """Read "address[:port]"; with no default port, "[address:]port"."""
    if text.count(":") > 1 and not text.startswith("["):
        raise ValueError("an IPv6 address stands in brackets")
    match = re.fullmatch(r"(?:\[([^\]]*)\]|([^:]*))(?::(.*))?", text)
    if match is None:
        raise ValueError("write address:port, an IPv6 address in brackets")
    address, port = match[1] or match[2] or "", match[3]
    if not default and port is None:
        address, port = "", address
    try:
        parsed = ipaddress.ip_address(address) if address or default else None
    except ValueError:
        raise ValueError(f"'{address}' is no address") from None
    return Listener(secure, parsed, default if port is None else _port(port))


def urls(address: str, places: t.Sequence[Listener]) -> list[str]:
    """Return how other hosts reach a gateway. address: its host's. Raises ValueError."""
    own = ipaddress.ip_address(address)
    found = []
    for one in places:
        reached = one.address
        if reached is not None and reached.is_loopback:
            continue
        if reached is None or (reached.is_unspecified and reached.version == own.version):
            reached = own
        if not reached.is_unspecified:
            found.append(f"{'https' if one.secure else 'http'}://{f'[{reached}]' if reached.version == 6 else reached}:{one.port}")
    if not found:
        raise ValueError(f"only this host itself can reach it, or none by {own}: let its frontends listen on an address of the public network too")
    return list(dict.fromkeys(found))


def gateways(
    host: str, address: str, instances: t.Sequence[t.Mapping[str, t.Any]], site: t.Mapping[str, t.Any], more: t.Optional[t.Mapping[str, t.Any]] = None
) -> list[dict[str, t.Any]]:
    """Return the gateways of one host. host: its name in the inventory. instances, site: ceph_rgw_instances and ceph_rgw_site. Raises ValueError.

    more: options that all of them have, unless an instance says otherwise.

    Each has host, urls (one for each place where it listens), names (by which clients may know it), entity (cephx client), options (of the
    configuration database) and daemon (an item of ceph_daemon's daemons).
    """
    found = []
    for instance in instances:
        name = instance["name"]
        try:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise ValueError("its name is no name for a gateway: use letters, digits, - and _")
            if instance.get("private_key") and not instance.get("certificate"):
                raise ValueError("it has a private_key and no certificate")
            reached = urls(address, listeners(instance))
        except ValueError as error:
            raise ValueError(f"{host}: ceph_rgw_instances: {name}: {error}") from None
        own = {"rgw_frontends": frontends_of(instance), "rgw_realm": site["realm"], "rgw_zonegroup": site["zonegroup"], "rgw_zone": site["zone"]}
        options = {**own, **(more or {}), **(instance.get("options") or {})}
        identity = f"rgw.{short_name(host)}.{name}"
        digest = hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()
        names = sorted({*(site.get("hostnames") or []), *filter(None, [options.get("rgw_dns_name")])})
        daemon = {"type": "rgw", "id": identity, "restart_on": digest}
        found.append({"host": host, "urls": reached, "names": names, "entity": f"client.{identity}", "options": options, "daemon": daemon})
    return found
