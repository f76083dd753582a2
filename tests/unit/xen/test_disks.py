# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of Xen guests: what is refused, what is written, what is mapped, and what is left alone."""

from __future__ import annotations

import dataclasses
import types

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, reconcile
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import disks, host, mappings, xenstore
from ansible_collections.cephstack.cloud.tests.unit.declaring import filled

XEN = {"name": "xen", "client": "client.xen", "kind": "xen", "pools": [{"name": "vms"}, {"name": "iso", "access": "ro"}]}
SEEN = host.Seen(
    dom0=True,
    version=(4, 20),
    drivers=dict.fromkeys(("rbd", "nbd", "xen-blkback", "xen-blkfront"), True),
    programs={"rbd", "rbd-nbd"},
    qdisk="Xen's QEMU has no RBD driver: Unknown driver 'rbd'",
)


@pytest.fixture(autouse=True)
def _scripts(tmp_path, monkeypatch):
    """A host that has the hotplug scripts."""
    for name in ("block-rbd", "block-tap-rbd"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(disks, "SCRIPTS", str(tmp_path))


def disk(**changed):
    return filled(disks.DISK_OPTIONS, {"pool": "vms", "image": "web1", **changed})


def declared(*items, name="web1", backend="krbd_script", consumers=(XEN,)):
    return disks.parse([{"name": name, "disks": list(items)}], backend, consumers)


def problems_of(call):
    with pytest.raises(Invalid) as caught:
        call()
    return caught.value.problems


def provider(wanted, **options):
    return disks.Provider(wanted, **options)


def as_written(wanted, **changed):
    """The host as it is once everything was done."""
    krbd = {name: one for name, one in wanted.mappings.items() if one.way == "krbd"}
    nbd = {name: one for name, one in wanted.mappings.items() if one.way == "nbd"}
    there = {
        "rbdmap": mappings.rbdmap_with("# RbdDevice\t\tParameters\n", [one.entry for one in krbd.values()]),
        "confs": {name: one.entry for name, one in nbd.items()},
        "enabled": dict.fromkeys(nbd, True),
        "krbd": {name: mappings.Mapped(f"/dev/rbd{number}", one.option == "ro") for number, (name, one) in enumerate(krbd.items())},
        "nbd": {name: mappings.Mapped(f"/dev/nbd{number}") for number, name in enumerate(nbd)},
    }
    there.update({name: changed.pop(name) for name in set(changed) & set(there)})
    fragments = {guest: disks.fragment(guest, items) for guest, items in wanted.guests.items()}
    return disks.Observed(**{"seen": SEEN, "fragments": fragments, "mappings": mappings.Observed(**there), **changed})


def attached(device="xvda", params="vms/web1:id=xen", state=4, guest="web1", **more):
    return xenstore.Running({guest: 3}, (xenstore.Disk(3, guest, "vbd", device, state, params, **more),))


# -- what xl is told


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ({}, "vdev=xvda,access=rw,script=block-rbd,target=vms/web1:id=xen"),
        ({"mode": "r"}, "vdev=xvda,access=ro,script=block-rbd,target=vms/web1:id=xen:ro"),
        ({"exclusive": False}, "vdev=xvda,access=rw,script=block-rbd,target=vms/web1:id=xen:shared"),
        ({"backend": "krbd_static", "device": "xvdb"}, "phy:/dev/rbd/vms/web1,xvdb,w"),
        ({"backend": "rbd_nbd", "mode": "r"}, "phy:/dev/rbd-nbd/vms/web1,xvda,r"),
        ({"backend": "tapdisk_aio"}, "vdev=xvda,access=rw,backendtype=tap,format=raw,target=/dev/rbd/vms/web1"),
        ({"backend": "tapdisk_nbd"}, "vdev=xvda,access=rw,script=block-tap-rbd,backendtype=tap,format=raw,target=vms/web1:id=xen"),
        ({"backend": "tapdisk_rbd"}, "vdev=xvda,access=rw,script=block-tap-rbd,backendtype=tap,format=raw,target=vms/web1:id=xen:rbd"),
        ({"backend": "qdisk_rbd"}, "format=raw,vdev=xvda,access=rw,backendtype=qdisk,target=rbd:vms/web1:id=xen"),
    ],
)
def test_a_disk_as_xl_takes_it_and_reads_back_as_itself(item, line):
    wanted = declared(disk(**item))
    (one,) = wanted.disks
    assert one.line == line
    assert disks.fragment_lines(disks.fragment("web1", [one])) == {one.device: line}
    target = line.partition("target=")[2] or line.split(",")[0]
    assert xenstore.image_of(target) == ("vms", "web1")


def test_a_backend_of_the_host_is_that_of_disks_that_name_none():
    wanted = declared(disk(), disk(device="xvdb", image="data", backend="krbd_script"), backend="rbd_nbd")
    assert [one.backend for one in wanted.disks] == ["rbd_nbd", "krbd_script"]
    assert set(wanted.mappings) == {"vms/web1"}


def test_a_unit_s_instance_is_as_systemd_escapes_it():
    """Taken from systemd-escape(1) itself."""
    assert mappings.escaped("vms/web1-root") == r"vms-web1\x2droot"
    assert mappings.escaped("a_b.c/d+e") == r"a_b.c-d\x2be"
    assert mappings.escaped(".x/y") == r"\x2ex-y"


def test_the_cookie_of_an_image_is_always_the_same_and_its_own():
    cookies = {
        image: [line for line in mappings.Mapping("vms", image, "client.xen", "nbd", "").entry.splitlines() if line.startswith("COOKIE=")] for image in "ab"
    }
    again = mappings.Mapping("vms", "a", "client.other", "nbd", "ro").entry
    assert cookies["a"] != cookies["b"]
    assert cookies["a"][0] in again.splitlines()


# -- what is refused


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([disk(image="a:b")], "':' separates"),
        ([disk(image="v m")], "can't be given to a Xen guest"),
        ([disk(image="it's")], "can't be given"),
        ([disk(image="a,b")], "can't be given"),
        ([disk(image="-rf")], "which comes not first"),
        ([disk(device="sda1x")], "none of Xen's"),
        ([disk(device="vda")], "none of Xen's"),
        ([disk(), disk(image="other")], "the device xvda is taken twice"),
        ([disk(), disk(device="xvdb")], "has the image vms/web1 twice"),
        ([disk(pool="other")], "client.xen has no rights on the pool other"),
        ([disk(pool="iso")], "may only read the pool iso"),
        ([disk(consumer="nobody")], "'nobody' is none of this host's consumers"),
    ],
)
def test_bad_disks(items, said):
    (problem,) = problems_of(lambda: declared(*items))
    assert said in problem
    assert problem.startswith("guests")


def test_every_mistake_is_told_at_once():
    said = problems_of(
        lambda: disks.parse([{"name": "a b", "disks": [disk(image="x:y", device="nope")]}, {"name": "ok", "disks": [disk(pool="gone")]}], "krbd_script", [XEN])
    )
    assert len(said) == 4


@pytest.mark.parametrize(
    ("consumers", "said"),
    [
        ([], "declare one"),
        ([{**XEN, "kind": "kvm"}], "declare one"),
        ([XEN, {**XEN, "name": "other"}], "there are other, xen: name one"),
    ],
)
def test_whose_disk_it_is_must_be_clear(consumers, said):
    (problem,) = problems_of(lambda: declared(disk(), consumers=consumers))
    assert said in problem


def guests(first, second):
    return lambda: disks.parse([{"name": "one", "disks": [disk(**first)]}, {"name": "two", "disks": [disk(**second)]}], "krbd_script", [XEN])


@pytest.mark.parametrize(("first", "second"), [({}, {}), ({"mode": "r"}, {}), ({"exclusive": False}, {}), ({"mode": "r", "exclusive": False}, {})])
def test_an_image_that_one_writes_is_not_given_to_another(first, second):
    (problem,) = problems_of(guests(first, second))
    assert "exclusive: false" in problem
    assert "one (xvda" in problem and "two (xvda" in problem


def test_who_only_reads_may_share_and_so_may_who_says_so():
    guests({"mode": "r"}, {"mode": "r"})()
    guests({"exclusive": False}, {"exclusive": False})()


def test_an_image_is_mapped_in_one_way():
    (problem,) = problems_of(guests({"backend": "krbd_static", "exclusive": False}, {"backend": "rbd_nbd", "exclusive": False}))
    assert "two ways" in problem


@pytest.mark.parametrize(
    ("backend", "seen", "said"),
    [
        ("qdisk_rbd", SEEN, "Unknown driver 'rbd'"),
        ("tapdisk_nbd", dataclasses.replace(SEEN, version=(4, 17)), "Xen 4.17 refuses disks of tapdisk"),
        ("tapdisk_aio", dataclasses.replace(SEEN, tap_ctl="blktap is not installed"), "blktap is not installed"),
    ],
)
def test_a_backend_that_the_host_can_t_do(backend, seen, said):
    wanted = declared(disk(backend=backend))
    (problem,) = problems_of(lambda: provider(wanted).plan(disks.Observed(seen)))
    assert said in problem
    assert f"the backend {backend} of web1 (xvda)" in problem


NOT_TRIED = {"libxl": "it was not tried whether tapback goes with xl", "tapdisk_rbd": "it was not tried whether tapdisk has an RBD driver"}


def test_what_only_attaching_can_tell_is_no_reason_where_it_was_not_tried_again():
    wanted, seen = declared(disk(backend="tapdisk_aio")), dataclasses.replace(SEEN, tap_ctl="", **NOT_TRIED)
    observed = as_written(wanted, seen=seen, tried=False)
    assert not provider(wanted).plan(observed)
    assert provider(wanted).returned(observed)["backends"]["tapdisk_aio"] == {"able": False, "why": NOT_TRIED["libxl"]}
    (problem,) = problems_of(lambda: provider(wanted).plan(as_written(wanted, seen=dataclasses.replace(seen, libxl="tapback does not go with xl"))))
    assert "tapback does not go with xl" in problem


OPTIONS_OF_XEN = ["dom0_mem=4096M,max:4096M", "iommu=1"]


@pytest.mark.parametrize(
    ("boot", "seen", "missing"),
    [
        ([], {"dom0": False, "version": None}, []),
        (OPTIONS_OF_XEN, {"dom0": False, "version": None}, OPTIONS_OF_XEN),
        (OPTIONS_OF_XEN, {"command_line": "console=com1 dom0_mem=4096M,max:4096M iommu=10"}, ["iommu=1"]),
    ],
)
def test_a_host_that_must_be_booted_first_is_left_alone(monkeypatch, boot, seen, missing):
    monkeypatch.setattr(host, "look", lambda: dataclasses.replace(SEEN, **seen))
    monkeypatch.setattr(disks.glob, "glob", lambda pattern: pytest.fail("it was looked for disks"))
    wanted = declared(disk(backend="qdisk_rbd"), *EVERY[1:])
    for check_mode in (False, True):
        one = provider(wanted, boot=boot, check_mode=check_mode)
        outcome = reconcile(one, check_mode)
        assert (outcome.error, outcome.changed, outcome.warnings) == ("", False, [])
        assert (outcome.returned["dom0"], outcome.returned["missing"], outcome.returned["disks"]) == (seen.get("dom0", True), missing, [])


def test_a_host_that_was_booted_as_declared_is_not():
    wanted = declared(*EVERY)
    booted = dataclasses.replace(SEEN, command_line=" ".join(["console=com1", *OPTIONS_OF_XEN]))
    for boot in (None, [], OPTIONS_OF_XEN):
        assert provider(wanted, boot=boot).plan(disks.Observed(booted))
    assert provider(wanted).returned(as_written(wanted))["missing"] == []


def test_a_hotplug_script_that_is_missing(monkeypatch):
    monkeypatch.setattr(disks, "SCRIPTS", "/nonexistent")
    wanted = declared(disk())
    (problem,) = problems_of(lambda: provider(wanted).plan(disks.Observed(SEEN)))
    assert "/nonexistent/block-rbd is not there" in problem
    assert provider(wanted, check_mode=True).plan(disks.Observed(SEEN))  # which the role would put there


def test_a_bare_host_in_check_mode_is_only_warned_but_for_what_its_xen_refuses():
    bare = dataclasses.replace(SEEN, drivers={}, programs=(), tap_ctl="blktap is not installed")
    plan = provider(declared(disk()), check_mode=True).plan(disks.Observed(bare, asked="/etc/ceph/ceph.conf", bare=True))
    assert [change.id for change in plan.changes] == ["fragment/web1"]
    assert any("rbd is not installed" in text for text in plan.warnings)
    assert any("/etc/ceph/ceph.conf" in text for text in plan.warnings)
    old = dataclasses.replace(bare, version=(4, 17))
    assert "4.17" in problems_of(lambda: provider(declared(disk(backend="tapdisk_aio")), check_mode=True).plan(disks.Observed(old, bare=True)))[0]


def test_a_wrong_key_is_no_failure_of_a_dry_run(tmp_path, monkeypatch):
    """What comes before it in the same real run would have mended the key."""

    def refused(*unused):
        raise Unreachable("access denied; the key is not this client's")

    monkeypatch.setattr(disks, "rbd", object())
    monkeypatch.setattr(disks, "ask_images", refused)
    monkeypatch.setattr(disks.os.path, "exists", lambda path: True)
    assert "access denied" in provider(declared(disk()), check_mode=True)._ask()[2]
    with pytest.raises(Unreachable):
        provider(declared(disk()))._ask()


def test_an_image_that_another_host_has_is_not_mapped_here():
    wanted = declared(disk(backend="krbd_static"))
    taken = as_written(wanted, images={("client.xen", "vms/web1"): ("10.78.10.21:0/123",)})
    (problem,) = problems_of(lambda: provider(wanted).plan(taken))
    assert "in use elsewhere, by 10.78.10.21:0/123" in problem
    together = declared(disk(backend="krbd_static", exclusive=False))
    assert not provider(together).plan(as_written(together, images=taken.images))


def test_a_guest_that_runs_on_another_host_is_only_told_of():
    """It is declared on both, so that it can be started on either; the hotplug script sees to it that it is not started on two."""
    wanted = declared(disk())
    plan = provider(wanted).plan(as_written(wanted, images={("client.xen", "vms/web1"): ("10.78.10.21:0/123",)}))
    assert not plan
    assert any("can't be started here" in text and "10.78.10.21" in text for text in plan.warnings)
    reader = declared(disk(mode="r"))
    assert not provider(reader).plan(as_written(reader, images={("client.xen", "vms/web1"): ("10.78.10.21:0/123",)})).warnings


@pytest.mark.parametrize(
    ("code", "said"),
    [(2, "vms/web1 is not there"), (1, "client.xen has no right"), (13, "client.xen has no right"), (5, "can't be opened")],
)
def test_what_the_cluster_says_of_an_image(code, said):
    (one,) = declared(disk()).disks
    assert said in disks.trouble(OSError(code, "x"), one)
    negative = types.SimpleNamespace(errno=-code)  # as older bindings have it
    assert said in disks.trouble(negative, one)


# -- guests that run


def test_a_disk_that_never_connected_is_told_with_the_reason():
    """xl create reports success for it: so it is with a qdisk on Xen 4.20."""
    wanted = declared(disk())
    why = "failed to create drive: Could not stat file 'rbd:vms/web1:id=xen': No such file or directory"
    (problem,) = problems_of(lambda: provider(wanted).plan(as_written(wanted, running=attached(state=1, error=why))))
    assert "state is 1 (Initialising)" in problem
    assert why in problem
    assert not provider(wanted).plan(as_written(wanted, running=attached()))


def test_a_device_name_that_a_running_guest_uses_for_something_else():
    wanted = declared(disk())
    (problem,) = problems_of(lambda: provider(wanted).plan(disks.Observed(SEEN, running=attached(params="/dev/vg/root"))))
    assert "xvda is taken" in problem
    assert "/dev/vg/root" in problem


def test_a_disk_that_was_declared_otherwise_waits_for_the_guest_s_next_creation():
    before, after = declared(disk(image="old")), declared(disk())
    now = as_written(before, running=attached(params="vms/old:id=xen"))
    (change,) = provider(after).plan(now).changes
    assert change.id == "fragment/web1"
    assert "next time" in change.reason
    assert provider(after).returned(now)["disks"][0]["attached"] is False


def test_what_is_returned_of_a_disk():
    wanted = declared(disk())
    now = as_written(wanted, running=attached(), krbd={"vms/web1": mappings.Mapped("/dev/rbd0")})
    assert provider(wanted).returned(now)["disks"] == [
        {
            "guest": "web1",
            "device": "xvda",
            "pool": "vms",
            "image": "web1",
            "backend": "krbd_script",
            "mapped": True,
            "attached": True,
            "state": "Connected",
        }
    ]


# -- what is written and mapped

EVERY = [disk(), disk(device="xvdb", image="b", backend="krbd_static"), disk(device="xvdc", image="c", backend="rbd_nbd")]


def test_a_new_host_gets_all_and_what_is_so_stays():
    wanted = declared(*EVERY)
    plan = provider(wanted).plan(disks.Observed(SEEN))
    assert [(change.id, change.action) for change in plan.changes] == [
        ("fragment/web1", "create"),
        ("mapping/vms/b", "create"),
        ("mapping/vms/c", "create"),
    ]
    assert plan.changes[1].after == {"entry": "vms/b id=xen,keyring=/etc/ceph/ceph.client.xen.keyring,options='exclusive'", "mapped": True}
    assert "OPTIONS=--exclusive" in plan.changes[2].after["entry"]
    assert not provider(wanted).plan(as_written(wanted))


@pytest.mark.parametrize(
    ("drift", "found"),
    [
        ({"krbd": {}}, {"mapping/vms/b": {"mapped": True}}),
        ({"nbd": {}}, {"mapping/vms/c": {"mapped": True}}),
        ({"enabled": {}}, {"mapping/vms/c": {"at boot": True}}),
        ({"krbd": {"vms/b": mappings.Mapped("/dev/rbd0", True)}}, {"mapping/vms/b": {"read only": False}}),
    ],
)
def test_a_drift_is_listed_as_exactly_that(drift, found):
    wanted = declared(*EVERY)
    plan = provider(wanted).plan(as_written(wanted, **drift))
    assert {change.id: change.after for change in plan.changes} == found
    assert all(change.action == "update" for change in plan.changes)


def test_a_line_that_was_lost_is_written_again():
    wanted = declared(*EVERY)
    plan = provider(wanted).plan(as_written(wanted, rbdmap=""))
    assert [(change.id, change.action, list(change.after)) for change in plan.changes] == [("mapping/vms/b", "create", ["entry"])]


def test_a_host_that_is_not_in_xen_yet_is_prepared_and_says_so():
    wanted = declared(*EVERY)
    plan = provider(wanted).plan(disks.Observed(dataclasses.replace(SEEN, dom0=False, version=None)))
    assert "mapped" not in plan.changes[1].after
    assert any("not Xen's first domain" in text for text in plan.warnings)
    written = as_written(wanted, seen=dataclasses.replace(SEEN, dom0=False, version=None), krbd={}, nbd={})
    assert not provider(wanted).plan(written)


def test_what_is_no_longer_declared_goes_and_what_others_wrote_stays():
    before, after = declared(*EVERY), declared(disk(device="xvdz", image="z"), name="other")
    now = as_written(before, fragments={**as_written(before).fragments, "foreign": "disk = [ 'phy:/dev/vg/x,xvda,w' ]\n"})
    plan = provider(after).plan(now)
    assert {(change.id, change.action) for change in plan.changes} == {
        ("fragment/other", "create"),
        ("fragment/web1", "delete"),
        ("mapping/vms/b", "delete"),
        ("mapping/vms/c", "delete"),
    }
    kept = provider(after, prune=False).plan(now)
    assert [change.id for change in kept.changes] == ["fragment/other"]


@pytest.mark.parametrize(
    ("device", "params"), [("xvdb", "/dev/rbd/vms/b"), ("xvdb", "aio:/dev/rbd/vms/b"), ("xvdb", "/dev/rbd0"), ("xvdc", "/dev/rbd-nbd/vms/c")]
)
def test_what_a_guest_uses_is_not_unmapped(device, params):
    before, after = declared(*EVERY), declared(disk(device="xvdz", image="z"), name="other")
    said = problems_of(lambda: provider(after).plan(as_written(before, running=attached(device, params))))
    assert len(said) == 1
    assert f"guest web1 ({device}) uses it" in said[0]


def test_an_image_is_not_mapped_anew_under_a_guest():
    wanted = declared(*EVERY)
    now = as_written(wanted, krbd={"vms/b": mappings.Mapped("/dev/rbd0", True)}, running=attached("xvdb", "/dev/rbd/vms/b"))
    assert "mapped otherwise" in problems_of(lambda: provider(wanted).plan(now))[0]


def test_a_line_of_others_for_a_declared_image_is_told():
    wanted = declared(*EVERY)
    assert "none of this collection's" in problems_of(lambda: provider(wanted).plan(disks.Observed(SEEN, mappings=mappings.Observed("vms/b id=admin\n"))))[0]


def test_rbdmap_keeps_what_others_wrote():
    others = "# RbdDevice\t\tParameters\nvms/mine id=admin\n"
    once = mappings.rbdmap_with(others, ["vms/b id=xen", "vms/a id=xen"])
    assert once == others + "# BEGIN cephstack.cloud xen_host\nvms/a id=xen\nvms/b id=xen\n# END cephstack.cloud xen_host\n"
    assert mappings.rbdmap_with(once, ["vms/a id=xen", "vms/b id=xen"]) == once
    assert mappings.rbdmap_with(once, []) == others
    ours, theirs = mappings.rbdmap_entries(once)
    assert (set(ours), set(theirs)) == ({"vms/a", "vms/b"}, {"vms/mine"})


# -- what is there


def test_what_the_kernel_has_mapped(tmp_path):
    for number, (image, snap, namespace, ro) in enumerate([("web1", "-", "", "0"), ("iso", "-", "", "1"), ("web1", "base", "", "1"), ("x", "-", "ns", "0")]):
        folder = tmp_path / "bus/rbd/devices" / str(number)
        folder.mkdir(parents=True)
        for name, value in (("pool", "vms"), ("name", image), ("current_snap", snap), ("pool_ns", namespace)):
            (folder / name).write_text(value + "\n")
        block = tmp_path / "block" / f"rbd{number}"
        block.mkdir(parents=True)
        (block / "ro").write_text(ro + "\n")
    assert mappings.krbd_mapped(str(tmp_path)) == {"vms/web1": mappings.Mapped("/dev/rbd0"), "vms/iso": mappings.Mapped("/dev/rbd1", True)}


def test_what_rbd_nbd_has_mapped():
    text = (
        '[{"id":1214,"pool":"vms","namespace":"","image":"c","snap":"-","device":"/dev/nbd0","cookie":"9a6f"},'
        '{"id":1215,"pool":"vms","namespace":"ns","image":"d","snap":"-","device":"/dev/nbd1","cookie":"9a70"}]'
    )
    assert mappings.parse_nbd(text) == {"vms/c": mappings.Mapped("/dev/nbd0")}
    assert mappings.parse_nbd("") == {}


def test_addresses_of_clients():
    assert disks.addresses("10.78.10.31:0/2710913573") == {"10.78.10.31"}
    assert disks.addresses("[v2:10.0.0.1:0/12,v1:10.0.0.1:0/12]") == {"10.0.0.1"}
    assert disks.addresses("v2:[fd00::5]:0/12") == {"fd00::5"}
