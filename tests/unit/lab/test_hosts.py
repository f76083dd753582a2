# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab would do, from what was found."""

from __future__ import annotations

import dataclasses
import re

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, hosts, network, surroundings, vms
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk

AROUND = surroundings.Surroundings("http://m/debian", "http://m/debian-security", (), ("10.9.9.9",), "", (), ())


def declared(name="a", address="10.77.0.11", **more):
    declared = {"name": name, "address": address, "kind": "container", "release": "13", "packages": [], "disks": [], "memory": 1024, "cpus": 2, "xen": False}
    return {**declared, **more}


def provider(*entries, state="up", check=False, **more):
    return hosts.Hosts({"name": "lab", "network": "10.77.0.0/24", "cache": "/c", "state": state, "hosts": list(entries), **more}, check)


def bare(**more):
    none = network.Seen([], [], "", False)
    found = {
        "root": True,
        "missing": (),
        "images": frozenset(),
        "key": False,
        "network": none,
        "hosts": {},
        "around": AROUND,
        "other_labs": (),
        "directory": False,
    }
    return hosts.Observed(**{**found, "free_disk": 1 << 40, "free_memory": 1 << 40, **more})


def standing(made, **more):
    """Return what is found where all declared hosts are up."""
    lab = made.lab
    names = surroundings.names({host.name: host.address for host in lab.hosts})
    marker = network.marker(network.rules(lab, ""))
    address = {"family": "inet", "local": "10.77.0.1", "prefixlen": 24}
    link = {"ifname": "br-lab", "ifalias": lab.alias, "flags": ["UP"], "addr_info": [address]}
    route = {"dst": "10.77.0.0/24", "dev": "br-lab"}
    seen = {host.name: hosts.HostSeen(host.record(), 100, access.Answer("running", (), names)) for host in lab.hosts}
    images = frozenset(host.image for host in lab.hosts)
    return bare(**{"images": images, "key": True, "network": network.Seen([link], [route], marker, True), "hosts": seen, "directory": True, **more})


def changed(observed, name, **more):
    return dataclasses.replace(observed, hosts={**observed.hosts, name: dataclasses.replace(observed.hosts[name], **more)})


def rows(plan):
    return [(row["stage"], row["action"], f"{row['kind']}/{row['name'].partition('-')[0]}") for row in plan.rows()]


def refused(made, observed):
    with pytest.raises(Invalid) as caught:
        made.plan(observed)
    return "\n".join(caught.value.problems)


def test_from_nothing_hosts_come_last():
    made = provider(declared("a"), declared("b", "10.77.0.12"))
    assert rows(made.plan(bare())) == [
        (1, "create", "key/ssh"), (1, "create", "network/lab"), (1, "create", "image/debian"), (2, "create", "host/a"), (2, "create", "host/b"),
    ]  # fmt: skip


def test_what_stands_is_left_alone():
    made = provider(declared("a"), declared("v", "10.77.0.12", kind="vm"))
    assert not made.plan(standing(made))


def test_a_host_that_ended_is_started():
    made = provider(declared())
    plan = made.plan(changed(standing(made), "a", pid=None, answer=None))
    assert [(change.before, change.after) for change in plan.changes] == [({"state": "stopped"}, {"state": "up"})]


@pytest.mark.parametrize("answer", [None, access.Answer("starting"), access.Answer("maintenance")])
def test_a_host_that_does_not_answer_is_not_up(answer):
    made = provider(declared())
    plan = made.plan(changed(standing(made), "a", answer=answer))
    assert plan.changes[0].before == {"state": "booting"}


def test_a_degraded_host_is_up_and_its_failed_units_are_told():
    made = provider(declared())
    before = standing(made)
    observed = changed(before, "a", answer=dataclasses.replace(before.hosts["a"].answer, state="degraded", failed=("x.service",)))
    assert not made.plan(observed)
    assert made.returned(observed)["hosts"][0]["failed_units"] == ["x.service"]


def test_a_new_disk_is_given_to_a_running_container_and_restarts_a_machine():
    for kind, risk in (("container", Risk.NONE), ("vm", Risk.RESTART)):
        old = provider(declared(kind=kind))
        new = provider(declared(kind=kind, disks=[{"name": "d", "size": "1G"}]))
        assert [change.risk for change in new.plan(standing(old)).changes] == [risk]


def test_another_release_is_loss_and_must_be_allow_loss():
    observed = standing(provider(declared(release="12")))
    plan = provider(declared()).plan(observed)
    assert "host/a" in plan.refusals()[0]
    assert not plan.refusals(["host/a"])


def test_a_machine_does_not_become_a_xen_host_unasked():
    plan = provider(declared(kind="vm", memory=2048, xen=True)).plan(standing(provider(declared(kind="vm", memory=2048))))
    assert [change.risk for change in plan.changes] == [Risk.NONE, Risk.LOSS]  # the image, then the host
    assert plan.changes[1].after == {"kind": "vm", "release": "trixie", "xen": True}
    assert not provider(declared(kind="vm", memory=2048, xen=True)).plan(standing(provider(declared(kind="vm", memory=2048, xen=True))))


def test_other_packages_only_warn():
    plan = provider(declared(packages=["hello"])).plan(standing(provider(declared())))
    assert not plan
    assert "other packages" in plan.warnings[0]


def test_a_disk_does_not_change_its_size():
    observed = standing(provider(declared(disks=[{"name": "d", "size": "1G"}])))
    assert "disk d has 1G, declared are 2G" in refused(provider(declared(disks=[{"name": "d", "size": "2G"}])), observed)


def test_a_new_host_is_named_to_the_others():
    old, new = provider(declared("a")), provider(declared("a"), declared("b", "10.77.0.12"))
    plan = new.plan(standing(old))
    assert {change.id: change.action for change in plan.changes} == {"host/a": "update", "host/b": "create"}


def test_a_host_that_is_not_declared_is_left_alone_and_shown():
    both, one = provider(declared("a"), declared("b", "10.77.0.12")), provider(declared("a"))
    observed = standing(both)
    assert not one.plan(observed)
    assert [(row["name"], row["declared"]) for row in one.returned(observed)["hosts"]] == [("a", True), ("b", False)]


def test_hosts_are_restarted_when_the_bridge_has_gone():
    made = provider(declared())
    plan = made.plan(standing(made, network=network.Seen([], [], "", True)))
    assert rows(plan) == [(1, "create", "network/lab"), (2, "update", "host/a")]


def test_down_takes_hosts_then_network_then_directory():
    made = provider(state="down")
    observed = standing(provider(declared()))
    assert rows(made.plan(observed)) == [(1, "delete", "host/a"), (2, "delete", "network/lab"), (3, "delete", "lab/lab")]
    assert not made.plan(bare())


def test_status_changes_nothing():
    assert not provider(declared(), state="status").plan(bare())


def test_the_cache_of_other_labs_is_not_purged(tmp_path):
    made = provider(state="down", purge_cache=True, cache=str(tmp_path))
    assert "used by other labs: other" in refused(made, bare(other_labs=("other",)))


@pytest.mark.parametrize(
    ("observed", "text"),
    [
        (bare(root=False), "needs root"),
        (bare(missing=("nft",)), "lacks nft"),
        (bare(free_disk=1 << 20), "/c has 1M free, but a need about 1.5G"),
        (bare(free_memory=1 << 20), "1M of memory are free, but a (1024 MiB) need 1G"),
        (bare(network=network.Seen([{"ifname": "br-lab"}], [], "", False)), "br-lab belongs to something that is no lab"),
        (bare(network=network.Seen([{"ifname": "eth0"}], [{"dst": "10.0.0.0/8", "dev": "eth0"}], "", False)), "overlaps the route to 10.0.0.0/8 by eth0"),
        (
            bare(network=network.Seen([{"ifname": "br-x", "ifalias": "cephstack lab x of /y"}], [{"dst": "10.77.0.0/24", "dev": "br-x"}], "", False)),
            "overlaps cephstack lab x of /y (bridge br-x)",
        ),
    ],
    ids=["root", "tools", "disk", "memory", "bridge", "route", "lab"],
)
def test_what_stands_in_the_way_is_named_with_its_mend(observed, text):
    made = provider(declared(kind="vm" if "memory" in text else "container"))
    assert text in refused(made, observed)


def test_check_mode_on_a_bare_machine_only_warns_of_tools():
    plan = provider(declared(), check=True).plan(bare(missing=("nft",)))
    assert plan
    assert "lacks nft" in plan.warnings[0]


def test_the_rules_tell_their_content():
    lab = provider(declared()).lab
    assert network.marker(network.rules(lab, "")) != network.marker(network.rules(lab, "127.0.0.53"))


def test_the_files_of_a_machine_are_a_cpio_archive():
    content = {"/etc/hosts": surroundings.File("h\n", once=True), "/etc/ssh/key": surroundings.File("secret", 0o600)}
    found = dict(unpack(vms.archive(content)))
    assert found["lab/once/etc/hosts"] == (0o100644, b"h\n")
    assert found["lab/always/etc/ssh/key"] == (0o100600, b"secret")
    assert found["lab/always/etc"] == (0o040755, b"")
    assert list(found).index("lab/always/etc") < list(found).index("lab/always/etc/ssh/key")


def booted(accelerator="tcg", **more):
    """Return QEMU's command line as a dict of what follows each of the options that name what is booted."""
    lab = provider(declared(kind="vm", memory=4096, **more), cache="/a,b").lab
    words = vms.argv(lab, lab.hosts[0], accelerator)
    return {word: words[words.index(word) + 1] for word in ("-machine", "-cpu", "-kernel", "-initrd", "-append")}


def test_xen_boots_and_then_its_first_domain():
    """As QEMU's loader reads it (hw/i386/multiboot.c): modules parted by single commas, the file's name up to the first space."""
    plain, xen = booted(), booted(xen=True)
    kernel, initrd = (module.replace(",,", ",") for module in re.split("(?<!,),(?!,)", xen["-initrd"]))
    assert xen["-kernel"].endswith("/xen")
    assert kernel.partition(" ")[0] == plain["-kernel"].replace("/" + plain["-kernel"].split("/")[-2], "/" + xen["-kernel"].split("/")[-2])
    assert kernel.partition(" ")[2] == plain["-append"].replace("ttyS0", "hvc0")
    assert initrd == plain["-initrd"]
    assert "dom0_mem=3072M,max:3072M" in xen["-append"]
    assert (xen["-machine"], xen["-cpu"], booted("kvm", xen=True)["-cpu"]) == ("pc", "qemu64,+svm", "host")


def unpack(data):
    """Yield the members of a cpio archive of the format newc, as the kernel's init/initramfs.c reads it."""
    at = 0
    while True:
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        assert data[at : at + 6] == b"070701"
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        start = (at + 110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return
        yield name, (fields[1], data[start : start + fields[6]])
        at = (start + fields[6] + 3) & ~3
