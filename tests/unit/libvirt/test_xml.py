# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written for libvirt, and read of it."""

from __future__ import annotations

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import mon_addresses
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml

UUID = "0f8c5f6e-3c1b-5d2a-9e7f-1a2b3c4d5e6f"


class TestXml:
    def test_a_secret_comes_back(self):
        secret = xml.CephSecret(UUID, "a <name> & more", private=True, ephemeral=True)
        assert xml.read_secret(xml.write_secret(secret)) == secret

    def test_a_secret_of_another_kind_has_no_usage(self):
        assert xml.read_secret("<secret><uuid>u</uuid><usage type='iscsi'><name>x</name></usage></secret>").usage == ""

    def test_a_pool_comes_back_with_its_hosts_sorted(self):
        pool = xml.RbdPool("p&q", "vms", (("10.0.0.9", 40001), ("10.0.0.1", 0)), "guests", UUID)
        found = xml.read_pool(xml.write_pool(pool, "some-uuid"))
        assert found.hosts == (("10.0.0.1", 0), ("10.0.0.9", 40001))
        assert (found.name, found.source, found.user, found.secret) == ("p&q", "vms", "guests", UUID)

    def test_a_pool_of_another_type_is_none(self):
        assert xml.read_pool("<pool type='dir'><name>d</name></pool>") is None

    def test_a_pool_without_a_key_is_read(self):
        assert xml.read_pool("<pool type='rbd'><name>p</name><source><name>vms</name></source></pool>").secret == ""

    def test_a_guest_names_its_secret_and_never_a_key(self):
        guest = xml.Guest("g", UUID, "kvm", 64, "vms", "disk", (("10.0.0.1", 0), ("10.0.0.2", 40001)), "guests", UUID, "/console")
        written = xml.write_guest(guest)
        assert 'protocol="rbd" name="vms/disk"' in written
        assert '<host name="10.0.0.1" />' in written
        assert f'<secret type="ceph" uuid="{UUID}" />' in written
        assert "host-passthrough" in written

    def test_hosts_in_another_spelling(self):
        pool = xml.read_pool("<pool type='rbd'><name>p</name><source><host name='FD00:0::1'/><host name='Mon1.Example.org'/><name>v</name></source></pool>")
        assert pool.hosts == mon_addresses.parse_mon_host("[v2:[fd00::1]:3300/0,v1:[fd00::1]:6789/0],mon1.example.ORG:6789")


def test_disks_on_rbd_are_read_with_monitors_and_secret():
    secret = xml.secret_of("5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11", "client.guests").uuid
    guest = xml.Guest("web", "33333333-3333-4333-8333-333333333333", "kvm", 64, "vms", "web", (("10.0.0.1", 0), ("fd00::1", 6789)), "guests", secret)
    assert xml.rbd_disks(xml.write_guest(guest)) == [("vms/web", guest.hosts, secret)]
    others = """<domain><devices>
      <disk type="file"><source file="/x"/></disk>
      <disk type="network"><source protocol="nbd" name="vms/a"/></disk>
      <disk type="network"><source protocol="rbd" name="vms/b"><auth username="x"><secret type="ceph" uuid="ABC"/></auth></source></disk>
    </devices></domain>"""
    assert xml.rbd_disks(others) == [("vms/b", (), "abc")]
