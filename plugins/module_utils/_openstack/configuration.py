# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration files of a controller's services, and the units that read them. Pure.

The files are whole: what the packaged ones say beats drop-ins, as the services are given them by name.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import APIS, CLOUD, CLOUDS_YAML, OpenStack, render
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret

Sections = t.Dict[str, t.Dict[str, t.Any]]
CEPH_CONF = "/etc/ceph/ceph.conf"
CELL = "cell1"
MARIADB = "/etc/mysql/mariadb.conf.d/99-cephstack.cnf"
GLANCE_DROP_IN = "/etc/systemd/system/glance-api.service.d/cephstack.conf"
CONSOLE_PROXY = "/etc/default/nova-consoleproxy"
MEMCACHED = "127.0.0.1:11211"

# What the packaged uwsgi files of all APIs say, and that of each connection: uwsgi ends it after an answer, and a client that was not told so sends its next
# request into nothing, as Neutron does when it asks Keystone about a token.
_UWSGI = {
    "add-header": "Connection: close",
    "buffer-size": 65535, "rem-header": "Content-Length", "master": True, "thunder-lock": True, "plugins": "python3", "lazy-apps": True,
    "paste-logger": True, "no-orphans": True, "die-on-term": True, "close-on-exec": True, "close-on-exec2": True, "enable-threads": True, "listen": 100,
}  # fmt: skip
_CHUNKED = {
    "socket-timeout": 10, "http-raw-body": True, "chmod-socket": 666, "exit-on-reload": True,
    "wsgi-manage-chunked-input": True,
}  # fmt: skip

_SPLIT = {"http-auto-chunked": True, "http-chunked-input": True}


class Uwsgi(t.NamedTuple):
    """An API that uwsgi serves: its file, unit, threads of a process, program, and what its packaged file says besides."""

    path: str
    unit: str
    threads: int
    program: str
    more: t.Mapping[str, t.Any] = {}


UWSGI = {
    "keystone": Uwsgi(
        "keystone-uwsgi.ini", "keystone", 32, "keystone-wsgi-public", {"plugins": "python3,apparmor", "apparmor-profile": "keystone"}
    ),
    "placement": Uwsgi(
        "placement-api-uwsgi.ini", "placement-api", 32, "placement-api", {**_CHUNKED, **_SPLIT}
    ),
    # Served by itself, which it cannot with TLS.
    "glance": Uwsgi("glance-api-uwsgi.ini", "glance-api", 1, "glance-wsgi-api", {**_CHUNKED, **_SPLIT, "http-keepalive": True}),
    "nova": Uwsgi("nova-api-uwsgi.ini", "nova-api", 1, "nova-api-wsgi"),
    "neutron": Uwsgi(
        "neutron-api-uwsgi.ini", "neutron-api", 1, "neutron-api",
        {"enable-threads": False, "paste": "config:/etc/neutron/api-paste.ini", "start-time": "%t"},
    ),
    "cinder": Uwsgi("cinder-api-uwsgi.ini", "cinder-api", 32, "cinder-wsgi", _CHUNKED),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Controller:
    """One controller of an OpenStack.

    address: its own. consumers: as _consumers.derived gives them. several: whether there are others that share its database and broker.
    certificate, key: the texts of its files, where the APIs are served with TLS. local: what of "database" and "messages" is on this host.
    object_storage: the endpoint of the object gateways, "" for none.
    """

    openstack: OpenStack
    address: str
    consumers: t.Sequence[t.Mapping[str, t.Any]] = ()
    several: bool = False
    certificate: str = ""
    key: Secret = Secret("")
    local: t.Collection[str] = ()
    object_storage: str = ""

    def of_kind(self, kind: str) -> list[t.Mapping[str, t.Any]]:
        """The consumers of a kind."""
        return [consumer for consumer in self.consumers if consumer["kind"] == kind]


def backends(controller: Controller) -> dict[str, t.Mapping[str, t.Any]]:
    """The consumer of each of Cinder's backends, which are its pools with rights to write, by their names."""
    found: dict[str, t.Mapping[str, t.Any]] = {}
    for consumer in controller.of_kind("cinder"):
        for pool in consumer["pools"]:
            if pool["access"] == "rw":
                found.setdefault(pool["name"], consumer)
    return found


def _authtoken(openstack: OpenStack, user: str) -> dict[str, t.Any]:
    """Tokens that were found valid are kept in memcached for all processes of this host, sealed, as everybody on it can write there."""
    sealed = {"memcached_servers": MEMCACHED, "memcache_security_strategy": "ENCRYPT", "memcache_secret_key": openstack.service_password.reveal()}
    return {**openstack.authtoken(user), **sealed}


def _rabbit(openstack: OpenStack) -> dict[str, t.Any]:
    return {"transport_url": openstack.transport_url}


def _lock(service: str) -> dict[str, t.Any]:
    # Not the packaged folder in /run: the units of a service share it, and each takes it away when it ends.
    return {"lock_path": f"/var/lib/{service}/lock"}


def _keystone(controller: Controller) -> dict[str, Sections]:
    openstack = controller.openstack
    return {
        "keystone.conf": {
            "database": {"connection": openstack.database_url("keystone", "keystone")},
            "token": {"provider": "fernet"},
            "oslo_policy": {"policy_dirs": "/etc/keystone/policy.d"},
            # behind a name of the address other than the one that is asked
            "oslo_middleware": {"enable_proxy_headers_parsing": True},
        }
    }


def _glance(controller: Controller) -> dict[str, Sections]:
    openstack = controller.openstack
    sections: Sections = {
        "DEFAULT": {"show_image_direct_url": True, "workers": openstack.workers, "enabled_backends": "rbd:rbd"},
        "database": {"connection": openstack.database_url("glance", "glance")},
        "keystone_authtoken": _authtoken(openstack, "glance"),
        "paste_deploy": {"flavor": "keystone"},
        "oslo_concurrency": _lock("glance"),
        "oslo_policy": {"policy_dirs": "/etc/glance/policy.d"},
        "glance_store": {"default_backend": "rbd"},
        # Nova and Cinder clone raw images alone: others are made raw when they are imported.
        "image_import_opts": {"image_import_plugins": "[image_conversion]"},
        "image_conversion": {"output_format": "raw"},
        "os_glance_staging_store": {"filesystem_store_datadir": "/var/lib/glance/staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": "/var/lib/glance/tasks"},
        **{name: _store(consumer) for name, consumer in zip(["rbd"], controller.of_kind("glance"))},
    }
    return {"glance-api.conf": sections}


def _store(consumer: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"rbd_store_pool": _pool(consumer), "rbd_store_user": _user(consumer), "rbd_store_ceph_conf": CEPH_CONF}


def _pool(consumer: t.Mapping[str, t.Any]) -> str:
    """The pool that a service of one pool writes to."""
    return str(next(pool["name"] for pool in consumer["pools"] if pool["access"] == "rw"))


def _user(consumer: t.Mapping[str, t.Any]) -> str:
    return str(consumer["client"]).partition(".")[2]


def _placement(controller: Controller) -> dict[str, Sections]:
    openstack = controller.openstack
    return {
        "placement.conf": {
            "placement_database": {"connection": openstack.database_url("placement", "placement")},
            "keystone_authtoken": _authtoken(openstack, "placement"),
            "oslo_policy": {"policy_dirs": "/etc/placement/policy.d"},
        }
    }


def _nova(controller: Controller) -> dict[str, Sections]:
    openstack = controller.openstack
    certificate, key = certificate_files("nova")
    console = {"ssl_only": True, "cert": certificate, "key": key} if openstack.console and controller.certificate else {}
    return {
        "nova.conf": {
            "DEFAULT": {**_rabbit(openstack), "my_ip": controller.address, "state_path": "/var/lib/nova", **console},
            "api_database": {"connection": openstack.database_url("nova_api", "nova")},
            "database": {"connection": openstack.database_url("nova", "nova")},
            "keystone_authtoken": _authtoken(openstack, "nova"),
            "service_user": {"send_service_user_token": True, **openstack.credentials("nova")},
            "placement": openstack.credentials("placement"),
            "neutron": openstack.credentials("neutron"),
            "glance": {"region_name": openstack.region, **_trust(openstack)},
            "cinder": {"os_region_name": openstack.region, **openstack.credentials("cinder")},
            # so that compute hosts are found without a command
            "scheduler": {"discover_hosts_in_cells_interval": 15, "workers": openstack.workers},
            "conductor": {"workers": openstack.workers},
            "oslo_concurrency": _lock("nova"),
            "oslo_policy": {"policy_dirs": "/etc/nova/policy.d"},
            "vnc": {"enabled": openstack.console},
            "spice": {"enabled": False},
        }
    }


def _trust(openstack: OpenStack) -> dict[str, t.Any]:
    return {"cafile": openstack.tls["ca_path"]} if openstack.tls and openstack.tls.get("ca_path") else {}


def _neutron(controller: Controller) -> dict[str, Sections]:
    openstack = controller.openstack
    physical = [network["name"] for network in openstack.networks]
    return {
        "neutron.conf": {
            "DEFAULT": {
                **_rabbit(openstack),
                # The services' init scripts look for this very line.
                "core_plugin": "ml2",
                "service_plugins": "router",
                "state_path": "/var/lib/neutron",
                "api_paste_config": "/etc/neutron/api-paste.ini",
                "rpc_workers": 1,
                "rpc_state_report_workers": 0,
                "notify_nova_on_port_status_changes": True,
                "notify_nova_on_port_data_changes": True,
            },
            "database": {"connection": openstack.database_url("neutron", "neutron")},
            "keystone_authtoken": _authtoken(openstack, "neutron"),
            "nova": openstack.credentials("nova"),
            "placement": openstack.credentials("placement"),
            "oslo_concurrency": _lock("neutron"),
            "oslo_policy": {"policy_dirs": "/etc/neutron/policy.d"},
        },
        "plugins/ml2/ml2_conf.ini": {
            "ml2": {
                "type_drivers": ["flat", "vlan", "local"],
                "tenant_network_types": "",
                "mechanism_drivers": "openvswitch",
                "extension_drivers": "port_security",
            },
            "ml2_type_flat": {"flat_networks": physical},
            "ml2_type_vlan": {"network_vlan_ranges": physical},
        },
    }


def _cinder(controller: Controller) -> dict[str, Sections]:
    openstack, pools = controller.openstack, backends(controller)
    backup = controller.of_kind("cinder-backup")[:1]
    sections: Sections = {
        "DEFAULT": {
            **_rabbit(openstack),
            "my_ip": controller.address,
            "auth_strategy": "keystone",
            "glance_api_servers": openstack.url("glance"),
            "enabled_backends": [*pools],
            **({"default_volume_type": next(iter(pools))} if pools else {}),
            "state_path": "/var/lib/cinder",
            "api_paste_config": "/etc/cinder/api-paste.ini",
            "rootwrap_config": "/etc/cinder/rootwrap.conf",
            **{key: value for consumer in backup for key, value in _backup(consumer).items()},
        },
        "database": {"connection": openstack.database_url("cinder", "cinder")},
        "keystone_authtoken": _authtoken(openstack, "cinder"),
        "service_user": {"send_service_user_token": True, **openstack.credentials("cinder")},
        "nova": openstack.credentials("nova"),
        "oslo_concurrency": _lock("cinder"),
        "oslo_policy": {"policy_dirs": "/etc/cinder/policy.d"},
    }
    if controller.several:
        # Each pool is worked on by all controllers, which take their turns by locks of the database.
        url = openstack.database_url("cinder", "cinder").replace("mysql+pymysql", "mysql").partition("?")[0]
        sections["coordination"] = {"backend_url": url}
    for name, consumer in pools.items():
        sections[name] = {
            "volume_driver": "cinder.volume.drivers.rbd.RBDDriver",
            "volume_backend_name": name,
            # the same on all controllers, so that each of them sees to all volumes
            "backend_host": f"rbd:{name}",
            "rbd_pool": name,
            "rbd_user": _user(consumer),
            "rbd_ceph_conf": CEPH_CONF,
            "rbd_secret_uuid": consumer["secret_uuid"],
        }
    return {"cinder.conf": sections}


def _backup(consumer: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "backup_driver": "cinder.backup.drivers.ceph.CephBackupDriver",
        "backup_ceph_conf": CEPH_CONF,
        "backup_ceph_user": _user(consumer),
        "backup_ceph_pool": _pool(consumer),
    }


SERVICES: dict[str, t.Callable[[Controller], dict[str, Sections]]] = {
    "keystone": _keystone, "glance": _glance, "placement": _placement, "nova": _nova, "neutron": _neutron, "cinder": _cinder,
}  # fmt: skip


def uwsgi(controller: Controller, service: str) -> str:
    """The file by which uwsgi serves an API. The port and the certificate are said by the packages' init scripts."""
    how = UWSGI[service]
    options = {
        **_UWSGI,
        "processes": controller.openstack.workers,
        "threads": how.threads,
        "env": f"OS_OSLO_MESSAGING_RABBIT__PROCESSNAME={how.unit}",
        "logto": f"/var/log/{service}/{how.unit}.log",
        "name": "keystone-api" if service == "keystone" else how.unit,
        **dict.fromkeys(("uid", "gid"), service),
        "chdir": f"/var/lib/{service}",
        "wsgi-file": f"/usr/bin/{how.program}",
        **how.more,
    }
    return render({"uwsgi": options})


def clouds(openstack: OpenStack) -> str:
    """The text of clouds.yaml, with the administrator."""
    lines = [
        "# Made by cephstack.cloud. What is changed here is undone by the next run.",
        "clouds:",
        f"  {CLOUD}:",
        "    auth:",
        *(
            f"      {key}: {json.dumps(value)}"
            for key, value in {
                "auth_url": openstack.auth_url, "username": "admin", "password": openstack.admin_password.reveal(), "project_name": "admin",
                "user_domain_name": "Default", "project_domain_name": "Default",
            }.items()
        ),
        f"    region_name: {json.dumps(openstack.region)}",
        "    identity_api_version: 3",
        *(f"    cacert: {json.dumps(path)}" for path in _trust(openstack).values()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def file(path: str, text: t.Optional[str], group: str = "root", mode: str = "0640") -> dict[str, t.Any]:
    """A file as host_files takes it, as one with secrets, which most have. text: None where it is not to be."""
    rest = {"state": "absent" if text is None else "present"}
    return {"path": path, "secret": text, "content": None, "lines": None, "owner": "root", "group": group, "mode": mode, **rest}


def certificate_files(service: str) -> tuple[str, str]:
    """Where the packages' init scripts look for a certificate and its key, which a service reads as its own user."""
    return f"/etc/{service}/ssl/public/cephstack.crt", f"/etc/{service}/ssl/private/cephstack.pem"


def files(controller: Controller) -> dict[str, list[dict[str, t.Any]]]:
    """The files of each service, as host_files takes them, and those of "root"."""
    tls = bool(controller.certificate)
    found: dict[str, list[dict[str, t.Any]]] = {"root": [file(CLOUDS_YAML, clouds(controller.openstack), mode="0600")]}
    for service, make in SERVICES.items():
        texts: dict[str, t.Optional[str]] = {f"/etc/{service}/{name}": render(sections) for name, sections in make(controller).items()}
        if tls or service != "glance":
            texts[f"/etc/{service}/{UWSGI[service].path}"] = uwsgi(controller, service)
        texts.update(zip(certificate_files(service), (controller.certificate, controller.key.reveal()) if tls else (None, None)))
        found[service] = [file(path, text, service) for path, text in texts.items()]
    certificate, key = certificate_files("glance")
    socket = f"--https-socket :{APIS['glance'].port},{certificate},{key}"
    text = f"[Service]\nExecStart=\nExecStart=/usr/bin/uwsgi_python3 {socket} --ini /etc/glance/{UWSGI['glance'].path}\n"
    found["glance"].append(file(GLANCE_DROP_IN, text if tls else None, mode="0644"))
    for unit, service in NOTIFYING.items():
        found[service].append(file(f"/etc/systemd/system/{unit}.service.d/cephstack.conf", "[Service]\nTimeoutStartSec=280\n", mode="0644"))
    if controller.openstack.console:
        found["nova"].append(file(CONSOLE_PROXY, "NOVA_CONSOLE_PROXY_TYPE=novnc\n", mode="0644"))
    return found


# The units that tell systemd when they are ready, each with its service: where all start at once on few cores they take longer than the 90 s that they have.
NOTIFYING = {"nova-conductor": "nova", "nova-scheduler": "nova", "neutron-rpc-server": "neutron"}
# The units that not every controller has.
OPTIONAL = ("cinder-volume", "cinder-backup", "nova-novncproxy")


def units(controller: Controller) -> dict[str, str]:
    """The units of a controller that run, each with its service."""
    found = {
        "keystone": "keystone", "glance-api": "glance", "placement-api": "placement", "nova-api": "nova", "nova-conductor": "nova",
        "nova-scheduler": "nova", "neutron-api": "neutron", "neutron-rpc-server": "neutron", "cinder-api": "cinder", "cinder-scheduler": "cinder",
    }  # fmt: skip
    optional = {
        "cinder-volume": "cinder" if backends(controller) else "",
        "cinder-backup": "cinder" if controller.of_kind("cinder-backup") else "",
        "nova-novncproxy": "nova" if controller.openstack.console else "",
    }
    return {**found, **{unit: service for unit, service in optional.items() if service}}


# What of Ceph each of these units uses, by the kinds of its consumers.
_CEPH = {"glance-api": "glance", "cinder-volume": "cinder", "cinder-backup": "cinder-backup"}


def reads(controller: Controller, unit: str, written: t.Iterable[str]) -> list[str]:
    """What a unit reads when it starts: of the files of its service those that are its own, and Ceph's, without which it ends or never finds its pool.

    A file of an API's server is no reason to start the others anew."""
    api = api_of(unit)
    own = [path for path in written if not path.startswith(("/etc/default/", "/etc/systemd/")) and (api or not ("uwsgi" in path or "/ssl/" in path))]
    consumers = controller.of_kind(_CEPH[unit]) if unit in _CEPH else []
    return own + [CEPH_CONF] * bool(consumers) + [f"/etc/ceph/ceph.{consumer['client']}.keyring" for consumer in consumers]


def api_of(unit: str) -> str:
    """The API that a unit serves, "" for none."""
    return next((api for api in APIS if unit in (api, f"{api}-api")), "")
