# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared of an OpenStack, once, for its controllers and its compute hosts: the variable openstack, and what follows from it. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, complete, filepath, integer, record, records, string

# Passwords are part of URLs, which each service and its tools unpack in their own way: they have what no URL must quote.
PASSWORD = re.compile(r"[A-Za-z0-9._~-]+")
# The project of the service users, and the user of the broker.
SERVICE_PROJECT, BROKER_USER = "service", "openstack"
# The user as whom object gateways ask Keystone about others.
OBJECTS_USER = "swift"
# The name in clouds.yaml under which the administrator of this OpenStack is found, on each controller.
CLOUD, CLOUDS_YAML = "cephstack", "/etc/openstack/clouds.yaml"


class Api(t.NamedTuple):
    """An API: its port, the path of its endpoint, and the type and name of its service in Keystone's catalogue. user: of its own in Keystone, "" for none."""

    port: int
    path: str
    type: str
    name: str
    user: str = ""


APIS: dict[str, Api] = {
    "keystone": Api(5000, "/v3", "identity", "keystone"),
    "glance": Api(9292, "", "image", "glance", "glance"),
    "placement": Api(8778, "", "placement", "placement", "placement"),
    "nova": Api(8774, "/v2.1", "compute", "nova", "nova"),
    "neutron": Api(9696, "", "network", "neutron", "neutron"),
    "cinder": Api(8776, "/v3", "block-storage", "cinder", "cinder"),
}
# The databases of each service, which has a user of its own name. The first one has what is noted of all of them.
DATABASES: dict[str, tuple[str, ...]] = {
    "keystone": ("keystone",),
    "glance": ("glance",),
    "placement": ("placement",),
    "nova": ("nova_api", "nova", "nova_cell0"),
    "neutron": ("neutron",),
    "cinder": ("cinder",),
}

DATABASE: dict[str, t.Any] = {
    "host": string("The database server. By default the first controller, where the role then makes it."),
    "port": integer("Its port.", default=3306),
    "password": string("The password of the services' own users, one for each service, which are made. Keep it in a vault.", required=True, no_log=True),
    "admin_user": string("Who makes the databases and the users.", default="root"),
    "admin_password": string("The administrator's password. Not needed by the socket of the server's own host.", default="", no_log=True),
}
MESSAGES: dict[str, t.Any] = {
    "host": string("The broker (RabbitMQ). By default the first controller, where the role then makes it."),
    "port": integer("Its port.", default=5672),
    "password": string(
        f"The password of its user C({BROKER_USER}), which is made on a broker of the role's own. Keep it in a vault.", required=True, no_log=True
    ),
}
TLS: dict[str, t.Any] = {
    "certificate": filepath("The file with the certificate and those that lead to its authority, on each controller.", required=True),
    "key": filepath("The file with its key, on each controller.", required=True),
    "ca_path": filepath("The file with the authority's certificate, on each host that uses the APIs. By default those that the host trusts."),
}
NETWORK: dict[str, t.Any] = {
    "name": string("The physical network, as networks of Neutron name it.", required=True),
    "bridge": string("The bridge of Open vSwitch for it on compute hosts, which is made.", required=True),
    "interface": string("The compute hosts' interface to put into the bridge. Without it the network reaches no further than the host."),
}
FIELDS: dict[str, t.Any] = {
    "region": string("The name of the region.", default="RegionOne"),
    "group": string("The group of the controllers.", default="openstack_controllers"),
    "address": string("The name or address at which all reach the APIs. By default the first controller's address; of several that of what is before them."),
    "admin_password": string("The password of Keystone's administrator, C(admin). Keep it in a vault.", required=True, no_log=True),
    "service_password": string("The password of the services' users in Keystone. Keep it in a vault.", required=True, no_log=True),
    "database": record("The database server.", DATABASE, required=True),
    "messages": record("The broker.", MESSAGES, required=True),
    "tls": record("The certificate of the APIs. Without it they are served without TLS.", TLS),
    "networks": records("The physical networks that compute hosts are on.", NETWORK, default=[]),
    "object_gateway": string(
        "The group or host of the object gateways that are this OpenStack's object storage: they accept Keystone's users, and are registered. Without it there "
        "is none."
    ),
    "console": boolean("Whether there is a proxy for guests' consoles (noVNC).", default=False),
    "workers": integer("How many processes each API has.", default=2),
}


class OpenStack(t.NamedTuple):
    """An OpenStack as declared. address: of its APIs; database and messages: as declared, each with its host; tls: None where there is none."""

    region: str
    address: str
    admin_password: Secret
    service_password: Secret
    database: t.Mapping[str, t.Any]
    messages: t.Mapping[str, t.Any]
    tls: t.Optional[t.Mapping[str, t.Any]]
    networks: t.Sequence[t.Mapping[str, t.Any]]
    object_gateway: t.Optional[str]
    console: bool
    workers: int

    def url(self, api: str) -> str:
        """The endpoint of an API, without its version."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{APIS[api].port}"

    @property
    def auth_url(self) -> str:
        """Where Keystone is."""
        return self.url("keystone") + "/v3"

    @property
    def transport_url(self) -> str:
        """The broker's URL with its password."""
        return f"rabbit://{BROKER_USER}:{self.messages['password']}@{_bracketed(self.messages['host'])}:{self.messages['port']}/"

    def database_url(self, name: str, user: str) -> str:
        """A database's URL with its password."""
        host = _bracketed(self.database["host"])
        return f"mysql+pymysql://{user}:{self.database['password']}@{host}:{self.database['port']}/{name}?charset=utf8mb4"

    def authtoken(self, user: str) -> dict[str, str]:
        """The section keystone_authtoken of a service."""
        return {
            "www_authenticate_uri": self.auth_url,
            **self.credentials(user),
            "service_token_roles": "service",
            "service_token_roles_required": "true",
        }

    def credentials(self, user: str) -> dict[str, str]:
        """How a service's user is known to Keystone, as sections of configuration files say it."""
        found = {
            "auth_type": "password", "auth_url": self.auth_url, "region_name": self.region, "username": user, "password": self.service_password.reveal(),
            "user_domain_name": "Default", "project_name": SERVICE_PROJECT, "project_domain_name": "Default",
        }  # fmt: skip
        if self.tls and self.tls.get("ca_path"):
            found["cafile"] = self.tls["ca_path"]
        return found


def problems(declared: t.Mapping[str, t.Any], controllers: int) -> list[str]:
    """What cannot be done with a declaration as it stands. controllers: how many there are."""
    found = [
        f"openstack.{part}.password has what a URL must quote: make one of letters, digits and . _ ~ -"
        for part in ("database", "messages")
        if not PASSWORD.fullmatch(str(declared[part]["password"]))
    ]
    for part in ("database", "messages"):
        if declared[part].get("host") in ("localhost", "127.0.0.1", "::1") and (controllers > 1 or part == "messages"):
            found.append(f"openstack.{part}.host is {declared[part]['host']}, which each host takes for itself: name its address, or leave it out")
    if declared.get("workers") is not None and int(declared["workers"]) < 1:
        found.append(f"openstack.workers is {declared['workers']}: an API has one or more")
    if ":" in str(declared.get("address") or ""):
        found.append(f"openstack.address is {declared['address']}, and the packages serve the APIs by IPv4 alone: give a name or an IPv4 address")
    return found


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def of(declared: t.Mapping[str, t.Any], controllers: t.Sequence[str]) -> OpenStack:
    """The declared OpenStack. controllers: their addresses, the first one's first. Raises ValueError where there is none and an address is needed."""
    given, wrong = complete(FIELDS, declared)
    if wrong:
        raise ValueError("; ".join(wrong))
    first = next(iter(controllers), "")
    return OpenStack(
        **{
            **{name: value for name, value in given.items() if name != "group"},  # which is the roles'
            "admin_password": Secret(given["admin_password"]),
            "service_password": Secret(given["service_password"]),
            "address": given["address"] or first,
            "database": {**given["database"], "host": given["database"]["host"] or first},
            "messages": {**given["messages"], "host": given["messages"]["host"] or first},
        }
    )


def render(sections: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """The text of a service's configuration file, whole. Values: bools as true and false, lists with commas; a dollar is doubled, as oslo.config wants it."""

    def value(one: t.Any) -> str:
        text = str(one).lower() if isinstance(one, bool) else ",".join(map(str, one)) if isinstance(one, (list, tuple)) else str(one)
        return text.replace("$", "$$")

    lines = ["# Made by cephstack.cloud. What is changed here is undone by the next run."]
    for name, options in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {value(one)}" for key, one in options.items())]
    return "\n".join(lines) + "\n"
