# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for a host on which nothing is to be left of a cluster."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _purge
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import cluster_leftovers, devices, osd_leftovers
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import leftovers as libvirt
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import rbd, service, xml
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import ganesha
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import leftovers as nfs
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import disks, mappings, xenstore
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import host as xen_host
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import leftovers as xen

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
OTHER = "00000000-1111-4222-8333-444444444444"
CONF = f"[global]\nfsid = {FSID}\nmon_host = 10.0.0.1\n"
RUNS = systemd.Unit(True, True, "active", 1, True)
MON, OSD, DISK = "ceph-mon@a.service", "ceph-osd@0.service", "/dev/disk/by-id/one"
DATA = {MON: ["/var/lib/ceph/mon/ceph-a"], OSD: ["/var/lib/ceph/osd/ceph-0"], "ceph-mgr@a.service": ["/var/lib/ceph/mgr/ceph-a"]}
KEYRINGS = ["/etc/ceph/ceph.client.admin.keyring", "/etc/ceph/ceph.client.crash.a.keyring"]


def osd(number=0, fsid=FSID, how="raw"):
    return devices.Osd(number, f"uuid{number}", fsid, how)


def disk(number=0, fsid=FSID, **more):
    return devices.Found("/dev/sdb", osd(number, fsid), (f"osd.{number} of the cluster {fsid}",), **more)


def provider(until="all", **options):
    given = {
        "fsid": FSID,
        "until": until,
        "clients": [],
        "devices": [DISK],
        "wipe_devices": False,
        "cluster_stays": False,
        "uri": "",
        "prefix": "purge_",
        "allow_loss": [],
        **options,
    }
    return _purge.provider(given)


def host(named=(), **more):
    """A host with a monitor, a manager and an OSD. named: the devices that may be wiped."""
    left = {0: osd_leftovers.Left(RUNS, (), True, True, (), (DISK,))}
    found = {path: disk() for path in named}
    units = dict.fromkeys(DATA, RUNS)
    seen = cluster_leftovers.Observed(
        CONF, {cluster_leftovers.CONF: FSID}, {}, units, DATA, osd_leftovers.Host(FSID, left, found), KEYRINGS, crash=RUNS, devices={DISK: disk()}
    )
    return dataclasses.replace(seen, **more)


def plan(cluster=None, one=None, **parts):
    return (one or provider()).plan(_purge.Observed(host() if cluster is None else cluster, **parts))


def order(found):
    """The changes by their stages."""
    return [sorted(change.id for change in stage) for stage in found.stages()]


def refused(*arguments, **parts):
    with pytest.raises(Invalid) as told:
        plan(*arguments, **parts)
    return told.value.problems


def test_a_monitor_stops_last_and_ceph_conf_goes_after_all():
    found = order(plan())
    where = {id_: number for number, stage in enumerate(found) for id_ in stage}
    assert where["unit/ceph-mgr@a.service"] < where[f"unit/{OSD}"] < where[f"unit/{MON}"] < where[f"cluster/{FSID}"]
    assert where[f"unit/{OSD}"] < where["data_folder//var/lib/ceph/osd/ceph-0"]
    assert where[f"unit/{MON}"] < where[f"keyring/{KEYRINGS[0]}"] and where["unit/ceph-crash.service"] < where[f"keyring/{KEYRINGS[1]}"]
    assert found[-1] == ["conf//etc/ceph/ceph.conf"]


def test_the_fsid_names_the_loss_and_no_disk():
    one = provider()
    found = plan(one=one)
    assert [change.id for change in found.changes if change.risk == "loss"] == [f"cluster/{FSID}"]
    assert found.refusals([]) and not found.refusals(one.allow_loss)


@pytest.mark.parametrize("options", [{"allow_loss": [f"device/{DISK}"]}, {"wipe_devices": True}])
def test_disks_are_wiped_where_they_are_named_or_all_are(options):
    one = provider(**options)
    found = plan(host(named=[DISK]), one)
    assert f"device/{DISK}" in {change.id for change in found.changes} and not found.refusals(one.allow_loss)
    assert not [text for text in one.returned(_purge.Observed(host(named=[DISK])))["left"] if DISK in text]


def test_a_disk_that_keeps_its_data_is_told_with_its_name():
    (told,) = provider().returned(_purge.Observed(host()))["left"]
    assert told == f"{DISK} keeps the data of osd.0: to have it wiped, name it in purge_allow_loss: device/{DISK}"


def test_a_disk_with_something_of_others_is_not_wiped():
    foreign = devices.Volume("vg/theirs", 1, opened=True)
    both = devices.Found("/dev/sdb", None, ("osd.0", "a volume"), volumes=(devices.Volume("ceph-x/osd-block", 1, "block", osd(how="lvm")), foreign))
    left = host().osds
    (told,) = refused(host(osds=osd_leftovers.Host(FSID, left.left, {DISK: both})), provider(wipe_devices=True))
    assert told.startswith(f"device/{DISK} is not wiped: it also carries vg/theirs")


def test_steps_before_the_last_leave_monitor_keyrings_and_conf():
    assert order(plan(one=provider("consumers"))) == []
    ids = {change.id for change in plan(one=provider("daemons")).changes}
    assert {"unit/ceph-mgr@a.service", f"unit/{OSD}", "daemon/mgr.a"} <= ids
    assert not [id_ for id_ in ids if id_.split("/")[0] in ("keyring", "conf", "cluster") or "ceph-mon" in id_]


def test_where_nothing_is_left_nothing_is_planned():
    assert not plan(cluster_leftovers.Observed())


@pytest.mark.parametrize("state", ["failed", "deactivating"])
def test_a_unit_that_a_killed_run_has_begun_to_stop_is_waited_for_and_forgotten(state):
    found = plan(host(units={**host().units, "ceph-mgr@a.service": systemd.Unit(False, False, state)}))
    assert "unit/ceph-mgr@a.service" in {change.id for change in found.changes}


def test_a_host_of_another_cluster_is_refused_with_both_shown():
    (told,) = refused(host(fsids={cluster_leftovers.CONF: OTHER}))
    assert told.startswith(f"purge_fsid is {FSID}, and /etc/ceph/ceph.conf of this host is of the cluster {OTHER}")
    (told,) = refused(host(fsids={cluster_leftovers.CONF: FSID, "mon.a": OTHER}))
    assert f"mon.a, which runs on this host, is of the cluster {OTHER}" in told


def test_daemons_of_which_nothing_says_whose_they_are_are_refused():
    (told,) = refused(host(conf=None, fsids={}))
    assert told.startswith("ceph-mgr@a.service, ceph-mon@a.service: nothing on this host says of which cluster that is")
    assert f"write 'fsid = {FSID}' below [global]" in told


def test_keyrings_of_which_nothing_says_whose_they_are_stay():
    assert not plan(cluster_leftovers.Observed(keyrings=KEYRINGS, files=["/etc/ceph/keystone.password"], drop_ins=["ceph-mgr@.service"], shim=True))


def test_an_osd_that_says_itself_whose_it_is_goes_without_ceph_conf():
    only = {OSD: DATA[OSD]}
    found = plan(host(conf=None, fsids={}, units={OSD: RUNS}, folders=only, keyrings=()))
    assert [change.id for change in found.changes] == [f"unit/{OSD}", "data_folder//var/lib/ceph/osd/ceph-0", f"drop_in/{OSD}"]


def test_a_ceph_conf_with_lines_of_others_keeps_these():
    (change,) = [change for change in plan(host(conf=CONF + "debug_rbd = 5\n")).changes if change.kind == "conf"]
    assert change.action == "update" and change.before == {"fsid": FSID, "mon_host": "10.0.0.1"} and set(change.after.values()) == {None}
    left = provider().returned(_purge.Observed(cluster_leftovers.Observed(conf="[global]\ndebug_rbd = 5\n")))["left"]
    assert left == ["/etc/ceph/ceph.conf, with what is not this collection's"]


def test_whoever_uses_the_cluster_is_told_and_may_be_named():
    busy = host(sessions={"client.kvm": ["10.0.0.21"]}, mapped=[cluster_leftovers.Mapped("vms/a", "/dev/rbd0")], mounted=["/mnt"])
    session, mapped, mounted = refused(busy)
    assert session.startswith("client.kvm uses the cluster, from 10.0.0.21: shut down") and session.endswith("purge_allow_loss: [session/client.kvm]")
    assert mapped.startswith("the image vms/a is mapped at /dev/rbd0") and mounted.startswith("CephFS of this cluster is mounted at /mnt")
    assert refused(busy, provider(allow_loss=["session/client.kvm"])) == [mapped, mounted]


@pytest.mark.parametrize("fsid", ["", "all", FSID[:-1]])
def test_what_is_no_fsid_is_refused(fsid):
    with pytest.raises(Invalid, match="is no UUID"):
        provider(fsid=fsid)


def test_an_fsid_in_capitals_is_the_same():
    assert provider(fsid=FSID.upper()).wanted.fsid == FSID


# -- libvirt


class Handle:
    def undefine(self):
        raise AssertionError("planning undefined something")


def secret(client="client.kvm", fsid=FSID):
    return rbd.SecretNow(xml.secret_of(fsid, client), None, Handle())


def pool(name, fsid=FSID, client="kvm", secret_uuid=None):
    definition = xml.RbdPool(name, name, (("10.0.0.1", 0),), client, secret_uuid or xml.secret_of(fsid, f"client.{client}").uuid)
    return rbd.PoolNow(name, f"uuid-{name}", True, True, definition, definition, Handle())


def of_libvirt(guests=(), **more):
    secrets = [secret(), secret(fsid=OTHER), rbd.SecretNow(xml.CephSecret("11111111-1111-4111-8111-111111111111", ""), None, Handle())]
    pools = [pool("vms"), pool("theirs", OTHER), pool("byhand", secret_uuid="22222222-2222-4222-8222-222222222222")]
    folder = rbd.PoolNow("folder", "uuid-folder", True, True, None, None, Handle())
    seen = rbd.Observed({one.definition.uuid: one for one in secrets}, {one.name: one for one in [*pools, folder]})
    return libvirt.Observed(seen, guests, **more)


def test_pools_and_secrets_of_the_cluster_go_and_others_stay():
    found = plan(cluster_leftovers.Observed(conf=CONF, fsids={cluster_leftovers.CONF: FSID}), provider("consumers"), libvirt=of_libvirt())
    assert order(found) == [["pool/vms"], ["secret/client.kvm"]]
    # They say themselves whose they are.
    assert order(plan(cluster_leftovers.Observed(), libvirt=of_libvirt())) == [["pool/vms"], ["secret/client.kvm"]]


def test_a_pool_of_somebody_elses_on_the_cluster_is_told():
    assert libvirt.left(of_libvirt(others=["CloudStack"], logs=True), FSID, {"10.0.0.1"}, True) == [
        "libvirt's storage pool theirs, which is of this cluster and not this collection's",
        "libvirt's storage pool byhand, which is of this cluster and not this collection's",
        "how libvirt listens and starts, for CloudStack",
        "/var/log/ceph-guests: logs of guests",
    ]


@pytest.mark.parametrize(
    ("disk", "is_refused"),
    [
        (xml.RbdDisk("vms/a", (("10.9.9.9", 0),), xml.secret_of(FSID, "client.kvm").uuid), True),
        (xml.RbdDisk("vms/a", (("10.0.0.1", 6789),)), True),
        (xml.RbdDisk("vms/a"), True),
        (xml.RbdDisk("vms/a", (("10.9.9.9", 0),), xml.secret_of(OTHER, "client.kvm").uuid), False),
    ],
)
def test_guests_that_run_on_the_cluster_are_refused(disk, is_refused):
    running = of_libvirt([libvirt.Guest("web", disk)])
    if is_refused:
        assert refused(libvirt=running) == ["the guest web runs on the image vms/a: shut it down first"]
    else:
        assert plan(libvirt=running)


def test_what_libvirt_was_set_up_with_goes_but_not_what_others_need():
    files = {part.path: service.File("# BEGIN cephstack.cloud\nx\n# END cephstack.cloud\n") for part in service.traces(libvirt._APPARMOR, False)}
    more = {"files": files, "folder": True, "unit": RUNS}
    ids = {change.id for change in plan(libvirt=of_libvirt(**more)).changes}
    whole = {f"file/{path}" for path in (service.TMPFILES, service.DROP_IN, service.SOCKET_DROP_IN, libvirt._APPARMOR[0])}
    assert whole | {f"block/{path}" for path in (service.QEMU_CONF, service.LIBVIRTD_CONF, libvirt._APPARMOR[1])} <= ids
    assert {"folders//run/ceph-guests", "unit/libvirtd.service"} <= ids
    ids = {change.id for change in plan(libvirt=of_libvirt(others=["Nova"], **more)).changes}
    assert f"file/{service.TMPFILES}" in ids and not {f"file/{service.DROP_IN}", f"block/{service.QEMU_CONF}", "unit/libvirtd.service"} & ids


# -- NFS gateways and Xen hosts


def test_a_gateway_stops_before_its_files_go_and_a_mounted_export_is_refused():
    gateway = nfs.Observed([ganesha.CONF, ganesha.STAMP], True, RUNS, ["10.0.0.5"])
    (told,) = refused(nfs=gateway)
    assert told.startswith("10.0.0.5 has mounted an export of this gateway: unmount it there")
    found = order(plan(one=provider("consumers", allow_loss=["session/nfs:10.0.0.5"]), nfs=gateway))
    assert found == [["unit/nfs-ganesha.service"], ["drop_in/nfs-ganesha.service", f"file/{ganesha.STAMP}", f"file/{ganesha.CONF}"]]


def test_somebody_elses_nfs_server_stays():
    assert order(plan(one=provider("consumers"), nfs=nfs.Observed(unit=RUNS, clients=["10.0.0.5"]))) == []


def of_xen(*running):
    text = mappings.rbdmap_with("rbd/theirs id=x\n", ["vms/a id=xen"])
    seen = disks.Observed(
        xen_host.Seen(dom0=True), {"web": f"{disks.MADE}\n"}, mappings.Observed(text), xenstore.Running({disk.guest: 1 for disk in running}, running)
    )
    return xen.Observed(seen, [xen.FILES[0]], True)


def test_disks_of_xen_guests_go_and_how_xen_is_booted_stays():
    seen = of_xen()
    assert order(plan(one=provider("consumers"), xen=seen)) == [["fragment/web", "mapping/vms/a"], [f"file/{xen.FILES[0]}"]]
    assert xen.left(seen) == ["/etc/default/grub.d/cephstack-xen.cfg: how Xen is booted"]
    # what is mapped for them is unmapped, and in nobody's way
    mapped = [cluster_leftovers.Mapped("vms/a", "/dev/rbd0")]
    assert plan(host(mapped=mapped), provider("consumers"), xen=seen)


@pytest.mark.parametrize(("params", "is_refused"), [("vms/a:id=xen", True), ("/dev/rbd/vms/a", True), ("/dev/vg/root", False), ("vg/root", False)])
def test_xen_guests_that_run_on_the_cluster_are_refused(params, is_refused):
    seen = of_xen(xenstore.Disk(1, "web", "vbd", "xvda", 4, params))
    if is_refused:
        assert f"the guest web runs on {params} (xvda): shut it down first" in refused(xen=seen)
    else:
        assert plan(xen=seen)


def test_a_database_on_a_device_of_its_own_is_wiped_with_its_osd():
    """Its label names no OSD, but the uuid of one."""
    db = devices.Found("/dev/sdc", None, ("a part of an OSD (bluefs db, uuid0)",), part_of="uuid0")
    left = {0: dataclasses.replace(host().osds.left[0], uuid="uuid0")}
    found = plan(host(osds=osd_leftovers.Host(FSID, left, {"/dev/db": db})), provider(devices=[DISK, "/dev/db"], wipe_devices=True))
    assert "device//dev/db" in {change.id for change in found.changes}
    told = provider().returned(_purge.Observed(host(devices={DISK: disk(), "/dev/db": db, "/dev/other": dataclasses.replace(db, part_of="uuid9")})))["left"]
    assert [text.split(":")[0] for text in told] == [f"{DISK} keeps the data of osd.0", "/dev/db keeps the data of osd.0"]


def test_a_host_of_a_cluster_that_goes_on():
    """Who uses the cluster does so elsewhere too; a daemon that is still on the host must first leave the cluster."""
    stays = provider(cluster_stays=True)
    used = {"client.kvm": ["10.0.0.9"]}
    told = refused(host(sessions=used), stays)
    assert f"ceph-mgr@a.service, {MON}, {OSD}: still on this host, and the cluster has not let them go" in told[0]
    assert "client.kvm" not in str(told)
    made = plan(host(units={}, folders={}, osds=osd_leftovers.Host(FSID, {}, {})), stays)
    assert order(made)[-1] == [f"conf/{cluster_leftovers.CONF}"]


def test_what_clients_could_reclaim_goes_with_the_nfs_server():
    seen = nfs.Observed([ganesha.CONF], True, RUNS, recovery=["/var/lib/nfs/ganesha/v4recov"])
    made = plan(host(units={}, folders={}, osds=osd_leftovers.Host(FSID, {}, {})), provider("consumers"), nfs=seen)
    assert "file//var/lib/nfs/ganesha/v4recov" in [change.id for change in made.changes]
