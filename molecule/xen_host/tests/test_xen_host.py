# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of a real Xen on RBD: what they read and write, what is left of them, what cannot be, drift, and one image under two hypervisors."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import subprocess
import time
import uuid

import pytest
import testinfra

from ansible_collections.cephstack.cloud.molecule.shared import runs

STACK = runs.Scenario(pathlib.Path(__file__).resolve().parent.parent)
# The guests that the inventory declares: their disks, and the image behind each.
GUESTS = {"script": {"xvda": "script-a", "xvdb": "script-b"}, "static": {"xvda": "static-a"}, "nbd": {"xvda": "nbd-a"}}
# The second sector of each disk: the guest tells the sum of what it found there, and writes. Then it may wait, and writes to the third.
INIT = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t devtmpfs dev /dev
for module in $(cat /order); do insmod /$module; done
for word in $(cat /proc/cmdline); do case $word in saying=*) saying=${word#*=} ;; disks=*) disks=${word#*=} ;; pause=*) pause=${word#*=} ;; esac; done
for disk in $(echo $disks | tr , ' '); do
  waited=0
  while [ ! -b /dev/$disk ] && [ $waited -lt 300 ]; do usleep 100000; waited=$((waited + 1)); done
  found=$(dd if=/dev/$disk bs=512 skip=1 count=1 2>/dev/null | md5sum | cut -d' ' -f1)
  echo "${saying} $disk found $found" | dd of=/dev/$disk bs=512 seek=1 conv=sync,notrunc,fsync 2>/dev/null
done
sleep $pause
for disk in $(echo $disks | tr , ' '); do
  echo "${saying} $disk after $pause s" | dd of=/dev/$disk bs=512 seek=2 conv=sync,notrunc,fsync 2>/dev/null
done
poweroff -f
"""
SECTOR = """
import rados, rbd, sys
with rados.Rados(conffile="/etc/ceph/ceph.conf", name="client.admin") as cluster, cluster.open_ioctx("vms") as pool:
    with rbd.Image(pool, sys.argv[1], read_only=len(sys.argv) < 3) as image:
        if len(sys.argv) > 2:
            image.write(sys.argv[2].encode().ljust(512, b"\\0"), 512)
        print(image.read(512, 1024).hex())
"""


def attempt(name, command):
    """Run a command on a host as root."""
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={runs.SHARED / 'inventory.py'}").run(command)


def sector(image, text=None, third=False):
    """The second sector of an image (or the third), over librbd from the Ceph host; text is written into it before."""
    data = bytes.fromhex(STACK.ssh("ceph1", f"python3 -c '{SECTOR}' {image}" + (f" '{text}'" if text else "")))
    return data[512:] if third else data[:512]


def mapped():
    """The images that are block devices on the Xen host."""
    listed = [json.loads(STACK.ssh("xen1", f"rbd device list --device-type {kind} --format json") or "[]") for kind in ("krbd", "nbd")]
    rows = [row for rows in listed for row in (rows.values() if isinstance(rows, dict) else rows)]
    return sorted(row.get("name") or row.get("image") for row in rows)


# The kernel of the first domain, and an initramfs with its own busybox and block driver.
INITRAMFS = """set -e
mkdir -p /run/guests/root/bin /run/guests/root/dev /run/guests/root/proc
cd /run/guests/root
cp /bin/busybox bin
modprobe --show-depends xen-blkfront | while read -r how path rest; do
  [ "$how" != insmod ] || { busybox unxz -c "$path" > "$(basename "$path" .xz)"; basename "$path" .xz; }
done > order
cat > init
chmod 755 init
find . | cpio --quiet -o -H newc > ../initrd
cp /boot/vmlinuz-$(uname -r) ../vmlinuz
"""
CONFIGURATION = """
name = "{name}"
type = "pv"
kernel = "/run/guests/vmlinuz"
ramdisk = "/run/guests/initrd"
memory = 128
on_crash = "destroy"
extra = "console=hvc0 panic=1 saying={saying} disks={disks} pause={pause}"
"""


def put(text):
    """A text for a command's standard input, as a shell writes it."""
    return f"echo {base64.b64encode(text.encode()).decode()} | base64 -d"


@pytest.fixture(scope="module")
def start():
    """Start guests, each with the fragment that the role wrote; return the word that they were told to say."""
    STACK.ssh("xen1", f"{put(INIT)} | sh -c '{INITRAMFS}'")

    def start(names, pause=0):
        saying = uuid.uuid4().hex
        for name in names:
            configuration = put(CONFIGURATION.format(name=name, saying=saying, disks=",".join(GUESTS[name]), pause=pause))
            STACK.ssh("xen1", f"{configuration} | cat - /etc/xen/disks/{name}.cfg > /run/guests/{name}.cfg && timeout 200 xl create /run/guests/{name}.cfg")
        return saying

    return start


def wait_until_gone(names):
    until = time.monotonic() + 240
    while running := [name for name in names if attempt("xen1", f"xl domid {name}").rc == 0]:
        assert time.monotonic() < until, (running, STACK.ssh("xen1", "xl list; xenstore-ls -f /local/domain/0/backend; journalctl --no-pager -n 50"))
        time.sleep(1)


def run_guests(start, text, pause=0, meanwhile=lambda saying: None):
    """Run all guests at once, and compare what they read and wrote with what is read over librbd. text: is written for those that nobody has mapped."""
    for image in GUESTS["script"].values():
        sector(image, f"from-ceph1 {image} {text}")  # nobody has it open; the others are mapped, and locked
    before = {image: sector(image) for disks in GUESTS.values() for image in disks.values()}
    saying = start(list(GUESTS), pause)
    meanwhile(saying)
    wait_until_gone(list(GUESTS))
    for disks in GUESTS.values():
        for device, image in disks.items():
            found = hashlib.md5(before[image]).hexdigest()
            assert sector(image).rstrip(b"\0\n").decode() == f"{saying} {device} found {found}", image
            assert sector(image, third=True).rstrip(b"\0\n").decode() == f"{saying} {device} after {pause} s", image


def test_guests_read_what_is_there_and_what_they_write_is_read_over_librbd(start):
    run_guests(start, "first")


def test_what_a_script_attached_is_detached_and_what_is_static_stays():
    assert mapped() == ["nbd-a", "static-a"]
    assert STACK.ssh("xen1", "xenstore-list /local/domain/0/backend/vbd || true").strip() == ""
    for image in GUESTS["script"].values():
        assert json.loads(STACK.ssh("ceph1", f"rbd status vms/{image} --format json"))["watchers"] == []


def test_guests_find_what_was_written_and_keep_their_disks_while_the_server_of_rbd_nbd_is_another(start):
    """As after an upgrade of its package, after its guest has written for the first time, and before the second."""

    def restart(saying):
        until = time.monotonic() + 240
        while not sector("nbd-a").startswith(saying.encode()):
            assert time.monotonic() < until
            time.sleep(1)
        before = STACK.ssh("xen1", "pgrep -a rbd-nbd")
        STACK.ssh("xen1", "systemctl restart 'cephstack-rbd-nbd@vms-nbd\\x2da.service'")
        after = STACK.ssh("xen1", "pgrep -a rbd-nbd")
        assert after.split()[0] != before.split()[0] and " attach " in after, (before, after)

    run_guests(start, "second", pause=30, meanwhile=restart)
    assert mapped() == ["nbd-a", "static-a"]


def test_no_key_is_in_xenstore_nor_readable_by_others():
    key = STACK.ssh("ceph1", "ceph auth get-key client.xen").strip()
    assert len(key) > 30
    assert attempt("xen1", f"xenstore-ls | grep -F {key}").rc == 1
    assert attempt("xen1", f"grep -rlF {key} /etc --exclude=ceph.client.xen.keyring").stdout == ""
    assert STACK.ssh("xen1", "stat -c %a /etc/ceph/ceph.client.xen.keyring").strip() == "640"


def test_a_guest_whose_image_is_not_there_is_refused_and_nothing_is_left_of_it():
    STACK.ssh("xen1", "sed 's/^name=.*/name=\"wrong\"/; s,vms/script-a,vms/no-such,' /run/guests/script.cfg > /run/guests/wrong.cfg")
    began = STACK.ssh("xen1", "date +%s").strip()
    done = attempt("xen1", "timeout 200 xl create /run/guests/wrong.cfg")
    assert done.rc not in (0, 124), done
    said = done.stderr + done.stdout + STACK.ssh("xen1", f"journalctl --since=@{began} --no-pager")
    assert [line for line in said.splitlines() if "vms/no-such" in line and ("not there" in line or "No such file" in line)], said
    assert attempt("xen1", "xl domid wrong").rc != 0
    assert mapped() == ["nbd-a", "static-a"]


def test_what_cannot_be_is_refused_before_anything_is_touched():
    """An image that is not there and a backend that this Xen has not: both are told, and nothing is changed."""
    before = STACK.ssh("xen1", "cat /etc/xen/disks/*.cfg /etc/ceph/rbdmap")
    disks = [{"device": "xvda", "pool": "vms", "image": "no-such"}, {"device": "xvdb", "pool": "vms", "image": "script-b", "backend": "qdisk_rbd"}]
    options = {"guests": [{"name": "script", "disks": disks}], "consumers": [{"name": "xen", "kind": "xen", "pools": [{"name": "vms"}]}]}
    command = ["ansible", "-i", str(STACK.folder / "inventory"), "xen1", "-m", "cephstack.cloud.xen_host", "-a", json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=runs.SHARED.parent.parent, check=False)
    assert done.returncode != 0
    assert "vms/no-such" in done.stdout and "qdisk_rbd" in done.stdout, done.stdout
    assert STACK.ssh("xen1", "cat /etc/xen/disks/*.cfg /etc/ceph/rbdmap") == before


def test_drift_is_listed_exactly_and_mended_and_another_run_changes_nothing(tmp_path):
    """An image that was unmapped, and a keyring with another key."""
    STACK.ssh("xen1", "rbd device unmap vms/static-a")
    STACK.ssh("xen1", "sed -i '/key = /s/=.*/= AQBQVKVnAAAAABAAKp0vWy7VHJPNNCRP7HoYVg==/' /etc/ceph/ceph.client.xen.keyring")

    changes, _ = STACK.play(tmp_path, "--check", "--diff")
    assert sorted(f"{change['kind']}/{change['name']}" for change in changes) == ["keyring//etc/ceph/ceph.client.xen.keyring", "mapping/vms/static-a"], changes
    assert {change["host"] for change in changes} == {"xen1"}

    mended, _ = STACK.play(tmp_path, "--tags", "preflight,xen")
    assert sorted(f"{change['kind']}/{change['name']}" for change in mended) == ["keyring//etc/ceph/ceph.client.xen.keyring", "mapping/vms/static-a"], mended
    assert mapped() == ["nbd-a", "static-a"]
    again, recap = STACK.play(tmp_path, "--tags", "preflight,xen")  # of the rest of the stack nothing was listed above
    assert again == []
    assert {name: counts["changed"] for name, counts in recap.items()} == {"ceph1": 0, "kvm1": 0, "xen1": 0}


def test_one_image_under_two_hypervisors(tmp_path):
    _, recap = STACK.play(tmp_path, playbook="cephstack.cloud.two_hypervisors")  # it asserts what was read and written
    assert recap["xen1"]["ok"] >= 6
    assert "two-hypervisors" not in STACK.ssh("ceph1", "rbd ls vms")
    assert mapped() == ["nbd-a", "static-a"]
