# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A compute host of OpenStack: what is written of a declaration, and the bridges of Open vSwitch. What Open vSwitch and ip print was recorded."""

from __future__ import annotations

import configparser
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._host import host_files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import compute, ovs_bridges
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.ovs_bridges import Bridge, Interface, Observed, Provider
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Outcome, Plan, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import complete
from ansible_collections.cephstack.cloud.plugins.modules.openstack_compute import FIELDS

FSID = "c1823c3b-2dc7-48bf-a3f9-4a59b1946294"
NOVA = {"name": "nova", "kind": "nova", "pools": [{"name": "images", "access": "ro"}, {"name": "vms"}, {"name": "fast"}]}
GLANCE = {"name": "glance", "kind": "glance", "pools": [{"name": "images"}]}
CLOUD = {
    "region": "lab",
    "admin_password": "s-admin",
    "service_password": "s-service",
    "database": {"password": "s-database"},
    "messages": {"password": "s-messages"},
    "networks": [{"name": "physnet1", "bridge": "br-flat"}, {"name": "lan", "bridge": "br-lan", "interface": "eth1"}],
}


SEALED = {**CLOUD, "address": "cloud.example", "tls": {"certificate": "/c", "key": "/k", "ca_path": "/ca"}}


def params(**more: t.Any) -> dict[str, t.Any]:
    given = {"openstack": CLOUD, "controllers": ["10.0.0.31", "10.0.0.32"], "address": "10.0.0.21", "fsid": FSID, "consumers": [NOVA, GLANCE], **more}
    found, wrong = complete(FIELDS, given)
    assert not wrong
    return found


def conf(path: str, datapath: str = "system", **more: t.Any) -> dict[str, dict[str, str]]:
    """What a service reads of a file that is written."""
    (file,) = (one for one in compute.declared_files(compute.parse(params(**more)), datapath) if one["path"] == path)
    parser = configparser.ConfigParser(interpolation=None, default_section="none")
    parser.read_string(file["content"] or file["secret"])
    return {name: dict(parser[name]) for name in parser.sections()}


def test_guests_are_clones_in_the_first_pool_that_may_be_written():
    found = conf(compute.COMPUTE)
    assert found["libvirt"] == {
        "virt_type": "kvm",
        "images_type": "rbd",
        "images_rbd_pool": "vms",
        "images_rbd_ceph_conf": "/etc/ceph/ceph.conf",
        "rbd_user": "nova",
        "rbd_secret_uuid": secret_uuid(FSID, "client.nova"),
        "disk_cachemodes": "network=writeback",
        "hw_disk_discard": "unmap",
        "live_migration_uri": "qemu+ssh://nova@%s/system?keyfile=/var/lib/nova/.ssh/id_ed25519",
        "live_migration_inbound_addr": "10.0.0.21",
        "live_migration_tunnelled": "true",
    }
    assert found["workarounds"] == {"never_download_image_if_on_rbd": "true"}
    assert "workarounds" not in conf(compute.COMPUTE, consumers=[NOVA])  # Glance's images are elsewhere
    shared = conf(compute.COMPUTE, consumers=[{**NOVA, "client": "client.volumes"}])["libvirt"]
    assert (shared["rbd_user"], shared["rbd_secret_uuid"]) == ("volumes", secret_uuid(FSID, "client.volumes"))


@pytest.mark.parametrize(("domain_type", "told"), [("kvm", ("kvm", None)), ("unknown", ("kvm", None)), ("qemu", ("qemu", "none"))])
def test_a_host_that_emulates_has_no_processor_of_its_own(domain_type, told):
    found = conf(compute.COMPUTE, domain_type=domain_type)["libvirt"]
    assert (found["virt_type"], found.get("cpu_mode")) == told


def test_nova_reaches_everything_by_one_address_and_no_database():
    found = conf(compute.NOVA)
    assert found["DEFAULT"]["transport_url"] == "rabbit://openstack:s-messages@10.0.0.31:5672/"
    assert found["DEFAULT"]["my_ip"] == "10.0.0.21"
    for section, user in {"placement": "placement", "neutron": "neutron", "service_user": "nova"}.items():
        assert (found[section]["username"], found[section]["auth_url"], found[section]["region_name"]) == (user, "http://10.0.0.31:5000/v3", "lab")
    assert "s-admin" not in str(found) and "s-database" not in str(found)
    trusting = conf(compute.NOVA, openstack=SEALED)
    assert {trusting[section]["cafile"] for section in ("glance", "cinder", "placement", "neutron", "service_user")} == {"/ca"}


def test_what_other_hosts_must_know_has_no_secret(monkeypatch, tmp_path):
    monkeypatch.setattr(compute, "MOVER_KEY", str(tmp_path / "id"))
    monkeypatch.setattr(compute, "HOST_KEY", str(tmp_path / "host.pub"))
    (tmp_path / "id").write_text("PRIVATE")
    assert compute.migration("10.0.0.21") == {}
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA nova\n")
    (tmp_path / "host.pub").write_text("ssh-ed25519 BBBB root@c1\n")
    assert compute.migration("10.0.0.21") == {"authorized_key": "restrict ssh-ed25519 AAAA nova@10.0.0.21", "known_host": "10.0.0.21 ssh-ed25519 BBBB"}


def test_a_console_is_reached_by_the_proxy_of_the_controllers():
    assert conf(compute.COMPUTE)["vnc"] == {"enabled": "false"}
    console = conf(compute.COMPUTE, openstack={**SEALED, "console": True})["vnc"]
    assert console["novncproxy_base_url"] == "https://cloud.example:6080/vnc_lite.html"
    assert console["server_listen"] == "10.0.0.21"


def test_on_a_controller_the_files_that_it_shares_are_the_controller_s():
    made = {file["path"] for file in compute.declared_files(compute.parse(params(controller=True)), "system")}
    assert made == {compute.COMPUTE, compute.AGENT}


def test_the_agent_knows_the_networks_and_how_packets_are_switched():
    found = conf(compute.AGENT, "netdev")
    assert found["ovs"] == {"datapath_type": "netdev", "bridge_mappings": "physnet1:br-flat,lan:br-lan"}
    assert found["securitygroup"] == {"enable_security_group": "true", "firewall_driver": "openvswitch"}


def test_passwords_are_only_in_files_that_are_shown_nowhere():
    made = compute.declared_files(compute.parse(params()), "system")
    assert {file["mode"] for file in made} == {"0640"} and {file["owner"] for file in made} == {"root"}
    assert not any("s-" in (file["content"] or "") for file in made)
    assert all(file["path"] in compute.READS[f"{service}.service"] for file in made for service in [_SERVICE_OF[file["group"]]])
    wanted = host_files.parse({"files": made, "units": [], "commands": []})
    assert "s-messages" not in str(wanted.files)


_SERVICE_OF = {"nova": "nova-compute", "neutron": "neutron-openvswitch-agent"}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"consumers": [GLANCE]}, "a compute host has one consumer of kind nova, and here are 0"),
        ({"consumers": [NOVA, {**NOVA, "name": "other"}]}, "a compute host has one consumer of kind nova, and here are 2: nova, other"),
        ({"consumers": [{**NOVA, "pools": [{"name": "vms", "access": "ro"}]}]}, "consumers (nova): Nova can write to none of its pools"),
        ({"controllers": []}, "openstack.address: there is no controller in the inventory"),
    ],
)
def test_what_cannot_be_is_told(more, problem):
    with pytest.raises(Invalid) as error:
        compute.parse(params(**more))
    assert [text for text in error.value.problems if text.startswith(problem)]


LOG = """2026-11-29 13:40:54.874 1040 INFO oslo_service.periodic_task [-] Skipping periodic task _heal_instance_info_cache
2026-11-29 13:41:04.913 1040 WARNING nova.conductor.api [None req-1ff37f10 - - - - - -] Timed out waiting for nova-conductor.  Is it running?
"""
REFUSED = "2026-11-29 13:41:05.1 1040 ERROR oslo_service.backend [None req-1 - - - - - -] Error starting thread.: nova.exception.HypervisorUnavailable\n"


def test_a_service_that_ends_is_told_with_its_own_last_words():
    assert compute.last_error(LOG) == "Timed out waiting for nova-conductor.  Is it running?"
    assert compute.last_error(REFUSED + LOG) == "Error starting thread.: nova.exception.HypervisorUnavailable"
    assert compute.last_error(LOG.splitlines()[0]) == compute.last_error("") == ""


# -- bridges

LISTED = """{"data":[["br-flat","netdev",["set",[["uuid","p1"],["uuid","p2"]]]],["br-int","",["uuid","p3"]]],"headings":["name","datapath_type","ports"]}
{"data":[[["uuid","p1"],"br-flat"],[["uuid","p2"],"eth1"],[["uuid","p3"],"br-int"]],"headings":["_uuid","name"]}
"""
ADDRESSES = """[{"ifname":"lo","flags":["LOOPBACK","UP"],"addr_info":[{"local":"127.0.0.1","scope":"host"}]},
{"ifname":"eth0","flags":["UP"],"addr_info":[{"local":"10.0.0.21","scope":"global"},{"local":"fe80::1","scope":"link"}]},
{"ifname":"eth1","flags":["BROADCAST"],"master":"ovs-system","addr_info":[{"local":"fe80::2","scope":"link"}]},{"ifname":"eth2","master":"br0"}]"""


def test_what_open_vswitch_and_ip_print_is_read():
    assert ovs_bridges.parse_bridges(LISTED) == {
        "br-flat": Bridge("netdev", frozenset({"br-flat", "eth1"})),
        "br-int": Bridge("system", frozenset({"br-int"})),
    }
    assert ovs_bridges.parse_bridges('{"data":[]}\n{"data":[]}\n') == {}
    assert ovs_bridges.parse_interfaces(ADDRESSES)["eth0"] == Interface(True, ["10.0.0.21"])
    assert ovs_bridges.parse_interfaces(ADDRESSES)["eth1"] == Interface(False, [], "ovs-system")


HOST = Observed({"br-flat": Bridge("netdev", ()), "br-lan": Bridge("netdev", ("eth1", "vxlan0"))}, {"eth1": Interface(True, [], "ovs-system")})
WANTED = {"br-flat": "", "br-lan": "eth1"}


def plan(observed: Observed, wanted: t.Mapping[str, str] = WANTED) -> list[tuple[str, str, t.Any]]:
    return [(change.action, change.id, change.after) for change in Provider(wanted, "netdev").plan(observed).changes]


def test_bridges_as_declared_are_no_change():
    assert plan(HOST) == []


@pytest.mark.parametrize(
    ("bridges", "interface", "change"),
    [
        ({"br-flat": None}, {}, ("create", "bridge/br-flat", {"datapath": "netdev"})),
        ({"br-flat": Bridge("system", ())}, {}, ("update", "bridge/br-flat", {"datapath": "netdev"})),
        ({"br-lan": None}, {"master": ""}, ("create", "bridge/br-lan", {"datapath": "netdev", "interface": "eth1", "up": True})),
        ({"br-lan": Bridge("netdev", ())}, {"master": ""}, ("update", "bridge/br-lan", {"interface": "eth1"})),
        ({}, {"up": False}, ("update", "bridge/br-lan", {"up": True})),
    ],
)
def test_each_drift_is_one_change(bridges, interface, change):
    there = {name: bridge for name, bridge in {**HOST.bridges, **bridges}.items() if bridge}
    assert plan(Observed(there, {"eth1": HOST.interfaces["eth1"]._replace(**interface)})) == [change]


@pytest.mark.parametrize(
    ("interfaces", "bridges", "problem"),
    [
        ({}, {}, "openstack.networks: the interface eth1 of br-lan is not on this host: declare one that is, or none"),
        ({"eth1": Interface(True, ["10.0.0.21"])}, {}, "has the address 10.0.0.21, which would be lost"),
        ({"eth1": Interface(True, [], "br0")}, {}, "belongs to br0"),
        ({"eth1": Interface(True, [], "ovs-system")}, {"br-other": Bridge("netdev", ("eth1",))}, "belongs to br-other"),
    ],
)
def test_an_interface_that_cannot_be_taken_is_refused(interfaces, bridges, problem):
    with pytest.raises(Invalid) as error:
        plan(Observed(bridges, interfaces))
    assert problem in str(error.value)


def test_a_kernel_that_cannot_be_asked_is_no_kernel_that_cannot_switch(monkeypatch):
    def ended(code: int) -> t.Callable[..., process.Ended]:
        return lambda argv, **_more: process.Ended(code, "", "")

    def failing(code: int) -> t.Callable[..., process.Ended]:
        def run(argv: t.Sequence[str], **_more: t.Any) -> process.Ended:
            raise process.CommandError(argv, code, "")

        return run

    for complete_, found in ((ended(0), True), (ended(1), False), (failing(process.MISSING), True)):
        monkeypatch.setattr(process, "complete", complete_)
        assert ovs_bridges.has_kernel() is found
    monkeypatch.setattr(process, "complete", failing(process.LATE))
    with pytest.raises(Unreachable):
        ovs_bridges.has_kernel()


# -- the host as one


@pytest.mark.parametrize(("check", "stopped", "steps"), [(False, False, ["switch", "bridges", "files"]), (True, True, ["switch", "files"])])
def test_one_after_the_other(monkeypatch, check, stopped, steps):
    """In check mode a switch that does not run cannot be asked for its bridges."""
    done: list[str] = []

    def reconcile(provider: t.Any, check_mode: bool = False) -> Outcome:
        assert check_mode is check
        name = "bridges" if isinstance(provider, Provider) else "files" if provider.wanted.files else "switch"
        done.append(name)
        changes = Draft()
        if name == "switch" and stopped:
            changes.ensure("unit", compute.SWITCH, {"state": "stopped"}, {"state": "started"}, print)
        return Outcome("", changes.plan(), [])

    monkeypatch.setattr(compute, "reconcile", reconcile)
    monkeypatch.setattr(process, "installed", lambda program: True)
    monkeypatch.setattr(ovs_bridges, "has_kernel", lambda: False)
    outcome = compute.bring(compute.parse(params()), check)
    assert done == steps
    assert bool(outcome.warnings) is stopped


def test_why_a_service_failed_is_said(monkeypatch, tmp_path):
    log = tmp_path / "nova-compute.log"
    log.write_text("2026-11-29 13:00:00.1 1 ERROR nova.service [-] of an earlier start\n")
    monkeypatch.setattr(compute, "LOGS", {"nova-compute.service": str(log)})

    def reconcile(provider: t.Any, check_mode: bool = False) -> Outcome:
        if not isinstance(provider, Provider) and provider.wanted.files:
            log.write_text(log.read_text() + REFUSED)
            return Outcome("applied, but these did not converge: unit/nova-compute.service")
        return Outcome("", Plan(), [])

    monkeypatch.setattr(compute, "reconcile", reconcile)
    monkeypatch.setattr(ovs_bridges, "has_kernel", lambda: True)
    monkeypatch.setattr(process, "installed", lambda program: True)
    error = compute.bring(compute.parse(params())).error
    assert error.endswith("unit/nova-compute.service; nova-compute.service: Error starting thread.: nova.exception.HypervisorUnavailable")


@pytest.mark.parametrize(("states", "error"), [(["active"], ""), (["active", "inactive"], "ended after their start: unit/nova-compute.service")])
def test_a_service_that_ends_after_its_start_is_an_error(monkeypatch, states, error):
    changes = Draft()
    changes.ensure("unit", "nova-compute.service", {"state": "stopped"}, {"state": "started"}, print)
    monkeypatch.setattr(compute, "reconcile", lambda provider, check_mode=False: Outcome("", Plan() if isinstance(provider, Provider) else changes.plan(), []))
    monkeypatch.setattr(compute.host_files, "Provider", lambda wanted: wanted)
    seen = iter([*states, *states[-1:] * 1000])
    monkeypatch.setattr(systemd, "show", lambda names: {names[0]: systemd.Unit(state=next(seen)), names[1]: systemd.Unit(state="active")})
    monkeypatch.setattr(compute, "SETTLED", 0.3)
    monkeypatch.setattr(ovs_bridges, "has_kernel", lambda: True)
    monkeypatch.setattr(process, "installed", lambda program: True)
    monkeypatch.setattr(Outcome, "then", lambda self, attempt: (attempt(), self)[1])
    assert compute.bring(compute.parse(params())).error == error
