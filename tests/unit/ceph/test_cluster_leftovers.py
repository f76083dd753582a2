# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of a cluster: what is read out of ceph.conf, mounts, sessions and sysfs."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import cluster_leftovers

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
OTHER = "00000000-1111-4222-8333-444444444444"
OURS = f"[global]\nfsid = {FSID}\nmon host = 10.0.0.1,10.0.0.2\npublic_network = 10.0.0.0/24\nms_bind_ipv6 = true\n"
BLOCK = "# BEGIN cephstack.cloud kvm_host\n[client.kvm]\nadmin_socket = /run/ceph-guests/x.asok\n# END cephstack.cloud kvm_host\n"


@pytest.mark.parametrize("text", [OURS, BLOCK + OURS, BLOCK, "[global]\n\n", ""])
def test_a_ceph_conf_that_is_all_ours_goes_whole(text):
    assert cluster_leftovers.without_ours(text) is None


@pytest.mark.parametrize("rest", ["debug_rbd = 5\n", "# mind the gap\n", "[client.backup]\nkeyring = /srv/backup\n"])
def test_what_others_wrote_into_it_stays(rest):
    assert cluster_leftovers.without_ours(BLOCK + OURS + rest) == "[global]\n" + rest


def test_addresses_of_a_ceph_conf():
    assert cluster_leftovers.addresses(OURS) == {"10.0.0.1", "10.0.0.2"}
    assert cluster_leftovers.addresses("[global]\nmon_host = [v2:[fd00::1]:3300/0,v1:[fd00::1]:6789/0]\n") == {"fd00::1"}
    assert cluster_leftovers.addresses("[global]\nmon_host = ://\n") == cluster_leftovers.addresses(None) == set()


def test_mounts_of_the_cluster_are_known_in_each_spelling():
    text = f"""10.0.0.1:6789,10.0.0.9:6789:/ /old ceph rw,name=admin 0 0
a@{FSID}.cephfs=/ /new ceph rw,mon_addr=10.9.9.9:3300 0 0
b@{OTHER}.cephfs=/ /moved ceph rw,ms_mode=secure,mon_addr=10.8.8.8:6789/10.0.0.2:6789 0 0
b@{OTHER}.cephfs=/ /others ceph rw,mon_addr=10.8.8.8:6789 0 0
[fd00::1]:6789:/x /six ceph rw 0 0
10.0.0.1:/export /nfs nfs4 rw 0 0
tmpfs /run tmpfs rw 0 0
"""
    assert cluster_leftovers.mounts(text, FSID, {"10.0.0.1", "10.0.0.2", "fd00::1"}) == ["/old", "/new", "/moved", "/six"]


def test_images_of_the_cluster_that_the_kernel_has_mapped(tmp_path):
    for number, fsid in (("0", FSID), ("1", OTHER), ("10", FSID)):
        folder = tmp_path / number
        folder.mkdir()
        for name, value in (("cluster_fsid", fsid), ("pool", "vms"), ("name", f"image{number}")):
            (folder / name).write_text(value + "\n")
    assert cluster_leftovers.krbd(FSID, str(tmp_path)) == [("vms/image0", "/dev/rbd0"), ("vms/image10", "/dev/rbd10")]


def test_sessions_of_daemons_and_of_who_asks_are_none():
    def one(entity, address="10.0.0.21", kind="client"):
        return {"entity_name": entity, "con_type": kind, "socket_addr": {"type": "any", "addr": f"{address}:0", "nonce": 1}}

    daemons = ["mgr.a", "osd.0", "mds.a", "mon.b", "client.admin", "client.rgw.a.s3", "client.nfs.a", "client.crash.a", "client.crash", "client.bootstrap-osd"]
    told = [*map(one, daemons), one("client.kvm"), one("client.adminx", "[fd00::1]")]
    assert cluster_leftovers.read_sessions(told) == [("client.kvm", "10.0.0.21"), ("client.adminx", "fd00::1")]
