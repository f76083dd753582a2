# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A compute host of OpenStack: what Nova and Neutron's agent read there, both services, and the bridges that they use.

One after the other: what the kernel can do is known once Open vSwitch runs, and the agent ends for good where a bridge is missing.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import kind_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, host_files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import declaration, ovs_bridges, storage
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import OpenStack, render
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Outcome, Plan, reconcile

NOVA, COMPUTE = "/etc/nova/nova.conf", "/etc/nova/nova-compute.conf"
NEUTRON, AGENT = "/etc/neutron/neutron.conf", "/etc/neutron/plugins/ml2/openvswitch_agent.ini"
SWITCH = "openvswitch-switch.service"
# The services, with the file of its own that each keeps its words in, and what it reads when it starts.
LOGS = {"nova-compute.service": "/var/log/nova/nova-compute.log", "neutron-openvswitch-agent.service": "/var/log/neutron/neutron-openvswitch-agent.log"}
READS = {"nova-compute.service": [NOVA, COMPUTE], "neutron-openvswitch-agent.service": [NEUTRON, AGENT]}
CONSOLE_PORT = 6080
# By which Nova's user, and libvirt for it, reaches the other compute hosts; and what these must know of this one.
MOVER, MOVER_KEY = "nova", "/var/lib/nova/.ssh/id_ed25519"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
SETTLED = 5.0  # seconds after their start within which services end that cannot run
Sections = storage.Sections


class Wanted(t.NamedTuple):
    """A compute host as declared. address: its own. emulate: whether its guests are emulated. consumer: of kind nova. cloned: whether Glance has its images in
    the same cluster, so that each disk is to be a clone of one. controller: whether nova.conf and neutron.conf are those of a controller, and not written."""

    cloud: OpenStack
    address: str
    emulate: bool
    consumer: t.Mapping[str, t.Any]
    fsid: str
    cloned: bool
    controller: bool = False


def parse(params: t.Mapping[str, t.Any]) -> Wanted:
    """Read a declaration. Raises Invalid with every problem."""
    given = params["consumers"]
    mine = [one for one in given if kind_of(one) == "nova"]
    problems = [] if len(mine) == 1 else [f"a compute host has one consumer of kind nova, and here are {len(mine)}: {', '.join(one['name'] for one in mine)}"]
    problems += [f"consumers ({one['name']}): Nova can write to none of its pools: give it one with access rw" for one in mine if not storage.written(one)]
    cloud = declaration.of(params["openstack"], params["controllers"])
    if not cloud.address:
        problems.append("openstack.address: there is no controller in the inventory: say where the APIs are")
    if problems:
        raise Invalid(problems)
    cloned = any(kind_of(one) == "glance" for one in given)
    return Wanted(cloud, params["address"], params["domain_type"] == "qemu", mine[0], params["fsid"], cloned, params["controller"])


def _trusting(cloud: OpenStack, **options: t.Any) -> dict[str, t.Any]:
    authority = (cloud.tls or {}).get("ca_path")
    return {**options, **({"cafile": authority} if authority else {})}


def nova(wanted: Wanted) -> Sections:
    """nova.conf of a compute host, which knows no database."""
    cloud = wanted.cloud
    return {
        "DEFAULT": {"transport_url": cloud.transport_url, "my_ip": wanted.address, "state_path": "/var/lib/nova"},
        "oslo_concurrency": {"lock_path": "/var/lock/nova"},
        "placement": cloud.credentials("placement"),
        "neutron": cloud.credentials("neutron"),
        "service_user": {"send_service_user_token": True, **cloud.credentials("nova")},
        "glance": _trusting(cloud, region_name=cloud.region),
        "cinder": _trusting(cloud, os_region_name=cloud.region),
    }


def nova_compute(wanted: Wanted) -> Sections:
    """nova-compute.conf: how guests are made. It is read after nova.conf."""
    cloud = wanted.cloud
    proxy = f"{cloud.url('nova').rpartition(':')[0]}:{CONSOLE_PORT}/vnc_lite.html"
    console = {"server_listen": wanted.address, "server_proxyclient_address": wanted.address, "novncproxy_base_url": proxy} if cloud.console else {}
    found: Sections = {
        "DEFAULT": {"compute_driver": "libvirt.LibvirtDriver"},
        "libvirt": {"virt_type": "qemu" if wanted.emulate else "kvm", **({"cpu_mode": "none"} if wanted.emulate else {})},
        "vnc": {"enabled": cloud.console, **console},
    }
    found["libvirt"].update(storage.nova(wanted.consumer, wanted.fsid))
    # A guest's memory goes through libvirt's own connection, and so by ssh: QEMU's would be open to read on the way.
    found["libvirt"].update(
        live_migration_uri=f"qemu+ssh://{MOVER}@%s/system?keyfile={MOVER_KEY}", live_migration_inbound_addr=wanted.address, live_migration_tunnelled=True
    )
    if wanted.cloned:
        # Without it an image that is not raw, or in another cluster, is silently copied whole for each guest.
        found["workarounds"] = {"never_download_image_if_on_rbd": True}
    return found


def neutron(wanted: Wanted) -> Sections:
    """neutron.conf of a host with the agent alone."""
    return {
        "DEFAULT": {"transport_url": wanted.cloud.transport_url, "core_plugin": "ml2", "state_path": "/var/lib/neutron"},
        "oslo_concurrency": {"lock_path": "/var/lock/neutron"},
    }


def agent(cloud: OpenStack, datapath: str) -> Sections:
    """openvswitch_agent.ini."""
    return {
        "ovs": {"datapath_type": datapath, "bridge_mappings": [f"{one['name']}:{one['bridge']}" for one in cloud.networks]},
        "agent": {
            "tunnel_types": "",
            "root_helper": "sudo neutron-rootwrap /etc/neutron/rootwrap.conf",
            "root_helper_daemon": "sudo neutron-rootwrap-daemon /etc/neutron/rootwrap.conf",
        },
        "securitygroup": {"enable_security_group": True, "firewall_driver": "openvswitch"},
    }


def declared_files(wanted: Wanted, datapath: str) -> list[dict[str, t.Any]]:
    """The configuration files, as host_files takes them. Those with passwords are shown nowhere."""
    told = {COMPUTE: ("nova", "content", nova_compute(wanted)), AGENT: ("neutron", "content", agent(wanted.cloud, datapath))}
    if not wanted.controller:
        told.update({NOVA: ("nova", "secret", nova(wanted)), NEUTRON: ("neutron", "secret", neutron(wanted))})
    empty = {"content": None, "secret": None, "lines": None, "owner": "root", "mode": "0640", "state": "present"}
    return [{**empty, "path": path, "group": group, key: render(sections)} for path, (group, key, sections) in told.items()]


_FOLDER = MOVER_KEY.rpartition("/")[0]
_SCRIPT = f"umask 077; mkdir -p {_FOLDER}; exec ssh-keygen -q -t ed25519 -N '' -C {MOVER} -f {MOVER_KEY}"
_MAKE_KEY = {"argv": ["runuser", "-u", MOVER, "--", "sh", "-c", _SCRIPT], "creates": MOVER_KEY, "reads": []}


def _units(reads: t.Mapping[str, t.Sequence[str]]) -> list[dict[str, t.Any]]:
    return [{"name": name, "enabled": True, "state": "started", "reads": [*paths]} for name, paths in reads.items()]


def bring(wanted: Wanted, check_mode: bool = False) -> Outcome:
    """Bring a host to what was declared. In check mode nothing of it need be installed."""

    def kept(units: t.Mapping[str, t.Sequence[str]], given: t.Sequence[t.Mapping[str, t.Any]] = (), commands: t.Sequence[t.Any] = ()) -> Outcome:
        return reconcile(host_files.Provider(host_files.parse({"files": given, "units": _units(units), "commands": commands})), check_mode)

    def bridges() -> Outcome:
        bare = not process.installed("ovs-vsctl")
        if check_mode and switch.plan and not bare:
            return Outcome("", Plan([], ["Open vSwitch does not run: its bridges were not looked at"]), [])
        of = {one["bridge"]: one["interface"] or "" for one in wanted.cloud.networks}
        return reconcile(ovs_bridges.Provider(of, datapath(), check_mode and bare), check_mode)

    def datapath() -> str:
        return ovs_bridges.KERNEL if ovs_bridges.has_kernel() else ovs_bridges.USER_SPACE

    sizes = {name: len(files.read(path) or "") for name, path in LOGS.items()}
    switch = kept({SWITCH: []})
    outcome = switch.then(bridges).then(lambda: kept(READS, declared_files(wanted, datapath()), [_MAKE_KEY]))
    begun = outcome.plan and any(change.kind == "unit" for change in outcome.plan.changes)
    if begun and not outcome.error and not check_mode:
        # nova-compute says that it is ready, then looks for libvirt, and ends without a failure where it is refused.
        ended = wait_until(lambda: [name for name, unit in systemd.show([*READS]).items() if unit.state != "active"], SETTLED)
        outcome = dataclasses.replace(outcome, error=f"ended after their start: {', '.join(f'unit/{name}' for name in ended)}" if ended else "")
    failed = [name for name in LOGS if f"unit/{name}" in outcome.error and not check_mode]
    words = [f"{name}: {text}" for name in failed if (text := last_error((files.read(LOGS[name]) or "")[sizes[name] :]))]
    return dataclasses.replace(outcome, error="; ".join([outcome.error, *words])) if words else outcome


def migration(address: str) -> dict[str, t.Any]:
    """What other compute hosts must know so that guests can move between them and this one: {authorized_key, known_host}; {} where it has no key yet."""
    mine, host = files.read(f"{MOVER_KEY}.pub"), files.read(HOST_KEY)
    if not mine or not host:
        return {}
    return {"authorized_key": f"restrict {' '.join(mine.split()[:2])} {MOVER}@{address}", "known_host": f"{address} {' '.join(host.split()[:2])}"}


def last_error(log: str) -> str:
    """The last thing that a service of OpenStack calls an error, or else warns of, without the time and what else precedes it; "" for none. Pure."""
    for levels in ("ERROR|CRITICAL", "WARNING"):
        found = re.findall(rf"^\S+ \S+ \d+ (?:{levels}) \S+ (?:\[[^\]]*\] )?(.*\S)", log, re.MULTILINE)
        if found:
            return str(found[-1])
    return ""
