# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hotplug scripts themselves, run as libxl runs them, against doubles.py instead of Xen, Ceph and blktap."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._xen.disks import Disk as Declared
from ansible_collections.cephstack.cloud.tests.unit.xen.hotplug import FILES, Disk, Host

pytestmark = pytest.mark.skipif(not shutil.which("flock") or not shutil.which("bash"), reason="bash and flock are not here")


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    made = Host(tmp_path)
    yield made
    for pid in [*made.tapdisks(), *(int(path.read_text()) for path in tmp_path.glob("run/*.pid"))]:
        os.kill(pid, signal.SIGKILL)


# block-rbd


def test_a_disk_comes_and_goes(host):
    disk = host.disk()
    assert disk.run("add") == 0
    assert disk.ready() and disk.node == str(host.root / "dev" / "rbd0") == disk.physical_device_path and disk.physical_device
    assert host.mapped() == ["vms/web"] and host.is_there("vms/web")["owner"] == 0
    assert disk.run("remove") == 0
    assert host.mapped() == [] and host.is_there("vms/web") == {"features": ["layering", "exclusive-lock"], "watchers": [], "owner": None}


def test_several_disks_of_several_guests(host):
    for name in ("data", "other"):
        host.image(f"vms/{name}")
    disks = [host.disk(), host.disk(device=51728, target="vms/data:id=xen"), host.disk(guest=2, target="vms/other:id=xen")]
    assert [process.wait() for process in [disk.start("add") for disk in disks]] == [0, 0, 0]
    assert len({disk.node for disk in disks}) == 3 and host.mapped() == ["vms/data", "vms/other", "vms/web"]
    assert disks[1].run("remove") == 0
    assert host.mapped() == ["vms/other", "vms/web"]


def test_a_namespace_and_names_with_dots(host):
    host.image("vms/team-a/0b1c.rbd.disk0")
    disk = host.disk(target="vms/team-a/0b1c.rbd.disk0:id=xen")
    assert disk.run("add") == 0 and disk.ready()
    assert disk.run("remove") == 0 and host.mapped() == []


def test_xen_may_call_twice(host):
    disk = host.disk()
    assert [disk.run("add"), disk.run("add")] == [0, 0]
    assert len(host.mapped()) == 1
    assert [disk.run("remove"), disk.run("remove")] == [0, 0]
    assert host.mapped() == []


def test_two_starts_of_one_image_at_once(host):
    disks = [host.disk(guest=number) for number in (1, 2, 3)]
    codes = [process.wait() for process in [disk.start("add", DOUBLES_PAUSE="0.3") for disk in disks]]
    assert sorted(codes) == [0, 1, 1] and len(host.mapped()) == 1
    for disk, code in zip(disks, codes):
        if code:
            assert disk.hotplug_status == "error" and "vms/web is in use by 10.0.0.1:0/0" in disk.hotplug_error
            # libxl takes away what did not come to be
            assert disk.run("remove") == 0
    assert len(host.mapped()) == 1, "the winner's"


def test_a_guest_elsewhere_is_not_robbed(host):
    """It holds no lock that refuses (KVM, or shared), and would lose its own."""
    host.image("vms/web", watchers=["10.0.0.9:0/77"])
    disk = host.disk()
    assert disk.run("add") == 1
    assert "10.0.0.9:0/77" in disk.hotplug_error and "shared" in disk.hotplug_error and host.calls("rbd --id xen device map") == []


def test_a_lock_that_was_taken_in_the_meantime(host):
    host.image("vms/web", owner=99)
    disk = host.disk()
    assert disk.run("add") == 1
    assert disk.hotplug_error == "vms/web: another client holds its lock" and host.mapped() == []


def test_shared_is_for_all_who_say_so(host):
    source, target = (host.disk(guest=number, target="vms/web:id=xen:shared") for number in (1, 2))
    assert [source.run("add"), target.run("add")] == [0, 0]
    assert source.node != target.node and host.is_there("vms/web")["owner"] is None
    assert host.disk(guest=3).run("add") == 1, "one that wants it alone"
    assert source.run("remove") == 0
    assert host.mapped() == ["vms/web"], "the other one's stays"


def test_readers_beside_each_other_but_not_beside_a_writer(host):
    readers = [host.disk(guest=number, mode="r") for number in (1, 2)]
    assert [disk.run("add") for disk in readers] == [0, 0]
    writer = host.disk(guest=3)
    assert writer.run("add") == 1 and "read-only" in writer.hotplug_error
    assert [disk.run("remove") for disk in readers] == [0, 0]
    assert host.disk(guest=4).run("add") == 0
    late = host.disk(guest=5, mode="r")
    assert late.run("add") == 1 and "in use by" in late.hotplug_error


def test_a_snapshot_can_be_read_whatever_happens_to_its_image(host):
    assert host.disk().run("add") == 0
    assert host.disk(guest=2, target="vms/web@base:id=xen", mode="r").run("add") == 0


@pytest.mark.parametrize(
    ("target", "mode", "said"),
    [
        ("", "w", "is no POOL/IMAGE"),
        ("web:id=xen", "w", "'web' is no POOL/IMAGE"),
        ("vms/web", "w", "which client? Write target=vms/web:id=USER"),
        ("vms/web:id=client.xen", "w", "write the client as id=xen"),
        ("vms/a:b:id=xen", "w", "'b' is none of the words"),
        ("vms/we b:id=xen", "w", "is no POOL/IMAGE"),
        ("vms/$(touch broken);x:id=xen", "w", "is no POOL/IMAGE"),
        ("vms/--help:id=xen", "w", "is no POOL/IMAGE"),
        ("vms/web:id=xen:exclusive", "w", "'exclusive' is none of the words"),
        ("vms/web:id=xen:rbd", "w", "'rbd' is a word for block-tap-rbd"),
        ("vms/web:id=xen:ro", "w", "can only be read: write access=ro"),
        ("vms/web@base:id=xen", "w", "can only be read: write access=ro"),
        ("vms/wbe:id=xen", "w", "vms/wbe as client.xen: error opening image wbe: (2) No such file or directory"),
        ("vns/web:id=xen", "w", "vns/web as client.xen: error opening pool 'vns': (2) No such file or directory"),
        ("images/web:id=xen", "w", "images/web as client.xen: error opening pool 'images': (1) Operation not permitted"),
        ("vms/web:id=xne", "w", "vms/web as client.xne: couldn't connect to the cluster!"),
    ],
)
def test_what_is_wrong_is_said(host, target, mode, said):
    (host.root / "cluster" / "images").mkdir()
    disk = host.disk(target=target, mode=mode)
    assert disk.run("add") == 1
    assert disk.hotplug_status == "error" and said in disk.hotplug_error
    assert disk.run("remove") == 0 and host.mapped() == [] and not list(host.root.rglob("broken"))


def test_an_image_without_the_lock(host):
    host.image("vms/web", features=["layering"])
    disk = host.disk()
    assert disk.run("add") == 1 and "(22) Invalid argument" in disk.hotplug_error and "exclusive-lock" in disk.hotplug_error
    assert host.disk(guest=2, target="vms/web:id=xen:shared").run("add") == 0


def shorter(host: Host, seconds: int = 1) -> None:
    path = host.scripts / "block-rbd-common.sh"
    path.write_text(re.sub(r"_SECONDS=\d+", f"_SECONDS={seconds}", path.read_text()))


def test_a_cluster_that_does_not_answer(host):
    """libxl would kill the script after 40 s, and nothing would say why."""
    given = dict(re.findall(r"^(\w+)_SECONDS=(\d+)$", (FILES / "block-rbd-common.sh").read_text(), re.MULTILINE))
    assert int(given["ASK"]) + int(given["OPEN"]) < 40
    shorter(host)
    (host.root / "hang").touch()
    disk = host.disk()
    assert disk.run("add") == 1 and "Ceph does not answer within 1 s" in disk.hotplug_error


def test_a_mapping_that_was_cut_off_is_taken_back(host):
    shorter(host, 2)
    (host.root / "cut").touch()
    disk = host.disk()
    assert disk.run("add") == 1 and "could not be mapped within 2 s" in disk.hotplug_error
    assert host.mapped() == []


def test_libxl_gave_up_while_the_script_waited(host):
    disk = host.disk()
    (disk.folder / "state").write_text("5")
    assert disk.run("add") == 1 and host.mapped() == []


def test_blkback_lets_go_late(host):
    disk = host.disk()
    assert disk.run("add") == 0
    (host.root / "busy").write_text("2")
    assert disk.run("remove") == 0 and host.mapped() == []


def test_the_number_is_another_image_s_by_now(host):
    disk = host.disk()
    assert disk.run("add") == 0
    subprocess.run([host.root / "bin" / "rbd", "device", "unmap", "vms/web"], env=host.environment, check=True)
    host.image("vms/data")
    other = host.disk(guest=2, target="vms/data:id=xen")
    assert other.run("add") == 0 and other.node == disk.node
    assert disk.run("remove") == 0
    assert host.mapped() == ["vms/data"]


def test_xenstore_is_gone_already(host):
    disk = host.disk()
    shutil.rmtree(disk.folder)
    assert disk.run("remove") == 0
    assert not disk.folder.exists(), "nothing was written where nobody would remove it"


# block-tap-rbd


def tap(host: Host, **given: object) -> Disk:
    return host.disk(script="block-tap-rbd", **given)


def test_tapdisk_speaks_to_a_server_with_librbd(host):
    disk = tap(host)
    assert disk.run("add") == 0
    assert disk.ready() and not disk.physical_device
    # what tapback reads, exactly so
    found = re.fullmatch(r"/run/blktap-control/nbd(\d+)\.(\d+)", disk.physical_device_path)
    assert found and (found[1], found[2]) == (disk.pid, disk.minor) and disk.node == disk.physical_device_path
    entry = host.taps()[disk.minor]
    assert entry["pid"] == disk.pid and entry["sectors"] == 2048, "with another export's name it would be 0"
    # tapdisk never flushes
    assert "--cache=none" in host.calls("qemu-nbd")[0]
    assert len(host.is_there("vms/web")["watchers"]) == 1
    assert disk.run("remove") == 0
    assert host.taps() == {} and host.servers() == [] and host.is_there("vms/web")["watchers"] == []
    assert disk.run("remove") == 0


def test_taps_of_several_disks(host):
    host.image("vms/data")
    disks = [tap(host), tap(host, device=51728, target="vms/data:id=xen")]
    assert [process.wait() for process in [disk.start("add") for disk in disks]] == [0, 0]
    assert len(host.taps()) == 2 and len(host.servers()) == 2
    assert disks[0].run("remove") == 0
    assert [entry["args"] for entry in host.taps().values()] == [f"nbd:{host.servers()[0]}"]
    assert disks[1].run("remove") == 0


def test_two_taps_of_one_image_at_once(host):
    """Nor do qemu-nbd and tapdisk keep the lock for which the other one waits."""
    disks = [tap(host, guest=number) for number in (1, 2)]
    codes = [process.wait(timeout=60) for process in [disk.start("add", DOUBLES_PAUSE="0.3") for disk in disks]]
    assert sorted(codes) == [0, 1] and len(host.taps()) == 1 and len(host.servers()) == 1


def test_another_host_opened_it_at_the_same_time(host):
    """The lock is this host's only. Both see two who write, and both give way."""
    disk = tap(host)
    program = host.root / "bin" / "qemu-nbd"
    other = f"""import json, pathlib; path = pathlib.Path("{host.root}/cluster/vms/web"); image = json.loads(path.read_text())
image["watchers"].append("10.0.0.9:0/77"); path.write_text(json.dumps(image))"""
    program.write_text(program.read_text().replace("exec ", f"'{sys.executable}' -c '{other}'\nexec "))
    assert disk.run("add") == 1
    assert "at the same time" in disk.hotplug_error and "10.0.0.9:0/77" in disk.hotplug_error
    assert host.taps() == {} and host.servers() == [] and host.is_there("vms/web")["watchers"] == ["10.0.0.9:0/77"]


@pytest.mark.parametrize("verb", ["allocate", "spawn", "attach", "open"])
def test_a_tapdisk_that_fails_leaves_nothing(host, verb):
    (host.root / f"tap-ctl-{verb}-fails").touch()
    disk = tap(host)
    assert disk.run("add") == 1
    assert disk.hotplug_status == "error" and disk.hotplug_error.startswith(("tap-ctl", "vms/web: tapdisk cannot open"))
    assert host.taps() == {} and host.servers() == [] and host.is_there("vms/web")["watchers"] == []
    assert host.tapdisks() == []


def test_a_tapdisk_without_a_driver_of_its_own_is_told(host):
    disk = tap(host, target="vms/web:id=xen:rbd")
    assert disk.run("add") == 1
    assert "tapdisk cannot open rbd:vms/web:id=xen" in disk.hotplug_error and host.taps() == {} and host.calls("qemu-nbd") == []


def test_no_blktap_here(host):
    (host.root / "bin" / "tap-ctl").unlink()
    disk = tap(host)
    assert disk.run("add") == 1 and "there is no tap-ctl on this host" in disk.hotplug_error


def test_a_tap_that_may_only_read(host):
    """QEMU opens the image as if it were to write, so that other readers are refused, unless all say that they share it."""
    disk = tap(host, mode="r")
    assert disk.run("add") == 0
    assert host.taps()[disk.minor]["read_only"] is True and "--read-only" in host.calls("qemu-nbd")[0]
    assert tap(host, guest=2, mode="r").run("add") == 1
    assert disk.run("remove") == 0
    both = [tap(host, guest=number, mode="r", target="vms/web:id=xen:shared") for number in (3, 4)]
    assert [one.run("add") for one in both] == [0, 0] and [one.run("remove") for one in both] == [0, 0]


def test_krbd_and_tapdisk_do_not_meet_on_one_image(host):
    assert host.disk().run("add") == 0
    disk = tap(host, guest=2)
    assert disk.run("add") == 1 and "in use by 10.0.0.1:0/0" in disk.hotplug_error


def test_the_doubles_know_tapdisk_s_trap(host):
    """Any other export makes a disk of no sectors, and no error."""
    path = host.scripts / "block-tap-rbd"
    path.write_text(path.read_text().replace("EXPORT=tapdisk_client", "EXPORT=web"))
    disk = tap(host)
    assert disk.run("add") == 0 and host.taps()[disk.minor]["sectors"] == 0
    assert disk.run("remove") == 0


@pytest.mark.parametrize("backend", ["krbd_script", "tapdisk_nbd"])
@pytest.mark.parametrize("mode", ["w", "r"])
@pytest.mark.parametrize("exclusive", [True, False])
def test_the_scripts_take_what_xen_host_writes(host, backend, mode, exclusive):
    line = Declared("vms", "web", "client.xen", "web", "xvda", mode, backend, exclusive).line
    script, target = re.search(r"script=([^,]+).*,target=(.*)", line).groups()
    disk = host.disk(target=target, mode=mode, script=script)
    assert disk.run("add") == 0 and disk.ready()
    again = host.disk(guest=2, target=target, mode=mode, script=script)
    assert again.run("add") == (1 if exclusive and (mode == "w" or backend == "tapdisk_nbd") else 0)
    assert [disk.run("remove"), again.run("remove")] == [0, 0]


# cephstack-rbd-nbd


class Unit:
    """What systemd does with the template for one image."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.link = host.root / "dev" / "rbd-nbd" / "vms" / "web"
        # The question whether the device is open: doubles are no devices.
        host.program("python3", 'case $3 in */nbd*) [ ! -e "$DOUBLES/open" ] ;; esac')

    def run(self, what: str, **given: str) -> int:
        environment = {"POOL": "vms", "IMAGE": "web", "CLIENT": "xen", "COOKIE": "c0ffee", "OPTIONS": "--exclusive", **given}
        script = self.host.scripts / "cephstack-rbd-nbd"
        return subprocess.run([script, what], env={**self.host.environment, **environment}, capture_output=True, timeout=60).returncode

    def devices(self) -> dict[str, dict[str, object]]:
        return json.loads((self.host.root / "nbd").read_text())


@pytest.fixture
def unit(host: Host) -> Unit:
    return Unit(host)


def test_an_nbd_device_has_a_name_that_stays(unit):
    assert unit.run("start") == 0
    assert os.readlink(unit.link) == "/dev/nbd0" and unit.devices()["nbd0"] == {"image": "vms/web", "cookie": "c0ffee", "server": True}
    assert "--exclusive" in unit.host.calls("rbd-nbd")[0].split()
    assert unit.run("stop") == 0
    assert unit.devices() == {} and not os.path.lexists(unit.link)
    assert unit.run("stop") == 0


def test_a_restart_under_a_running_guest_keeps_its_device(unit):
    assert unit.run("start") == 0
    (unit.host.root / "open").touch()
    assert unit.run("stop") == 0
    assert unit.devices()["nbd0"]["server"] is False and os.readlink(unit.link) == "/dev/nbd0"
    assert unit.run("start") == 0
    assert list(unit.devices()) == ["nbd0"] and unit.devices()["nbd0"]["server"] is True


def test_a_server_that_was_killed_comes_back(unit):
    assert unit.run("start") == 0
    (unit.host.root / "nbd").write_text(json.dumps({"nbd0": {**unit.devices()["nbd0"], "server": False}}))
    assert unit.run("start") == 0
    assert list(unit.devices()) == ["nbd0"] and unit.devices()["nbd0"]["server"] is True


def test_another_image_s_device_is_left_alone(unit):
    assert unit.run("start", IMAGE="web", COOKIE="another") == 0
    assert unit.run("start") == 0
    assert sorted(unit.devices()) == ["nbd0", "nbd1"] and os.readlink(unit.link) == "/dev/nbd1"
    assert unit.run("stop") == 0
    assert list(unit.devices()) == ["nbd0"]


def test_an_image_that_is_not_there_is_a_failed_unit(unit):
    assert unit.run("start", IMAGE="wbe") == 1
    assert not os.path.lexists(unit.link.parent / "wbe")
