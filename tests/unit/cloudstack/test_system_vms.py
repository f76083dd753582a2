# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which zones are to have system virtual machines, and why they are not up. Their template: found by its files, put there by the server's script,
refused with all that is lacking."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import time
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import system_vms
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.system_vms import Lists, Provider, Seen, export, up, why, within, zones
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

NFS = {"name": "nfs", "zone": "zone1", "url": "nfs://h/p"}
KVM = [{"name": "pod1", "clusters": [{"name": "c"}]}]
SIMULATED = [{"name": "pod1", "clusters": [{"name": "c", "hypervisor": "simulator"}]}]


@pytest.mark.parametrize(
    ("zone", "stores", "found"),
    [
        ({"pods": KVM}, [NFS], [{"name": "zone1", "image_stores": ["nfs://h/p"]}]),
        ({"pods": KVM}, [], []),
        ({"pods": KVM}, [{**NFS, "zone": "zone2"}], []),
        ({"pods": KVM}, [{**NFS, "state": "absent"}], []),
        ({"pods": SIMULATED}, [NFS], []),
        ({"pods": KVM, "system_vms": False}, [NFS], []),
        ({"system_vms": True}, [{"name": "s3", "provider": "s3", "url": None}], [{"name": "zone1", "image_stores": []}]),
    ],
)
def test_which_zones_are_to_have_them(zone: dict[str, t.Any], stores: list[dict[str, t.Any]], found: list[dict[str, t.Any]]) -> None:
    assert zones({"zones": [{"name": "zone1", **zone}], "image_stores": stores}) == found


def test_a_region_that_is_not_declared() -> None:
    assert zones({}) == []


LISTS = Lists(
    zone={"name": "zone1", "allocationstate": "Enabled", "networktype": "Advanced", "securitygroupsenabled": False},
    hosts=[{"name": "k1", "hypervisor": "KVM", "state": "Up", "resourcestate": "Enabled", "memorytotal": 4 << 30, "memoryallocatedbytes": 0}],
    pools=[{"name": "rbd", "state": "Up"}],
    stores=[{"name": "nfs", "url": "nfs://h/p"}],
    templates=[{"isready": True}],
    ranges=[{"forvirtualnetwork": True, "startip": "10.0.1.1", "endip": "10.0.1.9"}],
    pods=[{"ipranges": [{"startip": "10.0.0.1", "endip": "10.0.0.9"}]}],
    server_address="10.0.0.100",
)
HOST = LISTS.hosts[0]

REASONS: dict[str, tuple[dict[str, t.Any], str]] = {
    "zone": ({"zone": {**LISTS.zone, "allocationstate": "Disabled"}}, "the zone is Disabled"),
    "no host": ({"hosts": []}, "no host with KVM is Up and enabled .there is none"),
    "host down": ({"hosts": [{**HOST, "state": "Down"}]}, "k1: Down, Enabled"),
    "host of another kind": ({"hosts": [{**HOST, "hypervisor": "Simulator"}]}, "there is none"),
    "host full": ({"hosts": [{**HOST, "memoryallocatedbytes": (4 << 30) - (600 << 20)}]}, "no host has the 1024 MiB .* 600 MiB"),
    "no primary storage": ({"pools": [{"name": "rbd", "state": "Maintenance"}]}, "no primary storage is Up .rbd: Maintenance"),
    "no image store": ({"stores": []}, "no image store of NFS"),
    "template": ({"templates": []}, "no template of system virtual machines for KVM"),
    "public addresses": ({"ranges": [{"forvirtualnetwork": True, "startip": "10.0.1.1", "endip": "10.0.1.1"}]}, "the zone has 1 public addresses"),
    "private addresses": ({"pods": []}, "the pods have 0 addresses"),
}


@pytest.mark.parametrize("name", list(REASONS))
def test_a_reason_is_said_and_no_other(name: str) -> None:
    changes, said = REASONS[name]
    (reason,) = why("consoleproxy", None, LISTS._replace(**changes), lambda url: Seen(template="t"))
    assert re.search(said, reason), reason


def test_all_reasons_together() -> None:
    lists = LISTS._replace(**{key: value for changes, _said in REASONS.values() for key, value in changes.items()})
    assert len(why("consoleproxy", None, lists, lambda url: Seen())) == 6


def test_a_store_without_the_template_is_the_reason_where_all_else_is_there() -> None:
    (reason,) = why("secondarystoragevm", None, LISTS, lambda url: Seen())
    assert "image store nfs: it has no template" in reason
    (reason,) = why("secondarystoragevm", None, LISTS, lambda url: Seen(problem="this server cannot mount h:/p"))
    assert "cannot mount" in reason
    (reason,) = why("secondarystoragevm", None, LISTS, lambda url: Seen(template="t"))
    assert "InsufficientServerCapacityException" in reason


@pytest.mark.parametrize(("address", "said"), [("localhost", "set it to the management server's address"), ("10.0.0.100", "must reach 10.0.0.100")])
def test_one_that_runs_without_its_agent(address: str, said: str) -> None:
    vm = {"state": "Running", "agentstate": "Disconnected", "privateip": "10.0.0.7"}
    (reason,) = why("consoleproxy", vm, LISTS._replace(server_address=address), lambda url: pytest.fail("no store is looked into"))
    assert said in reason


def test_one_that_never_ends_to_start() -> None:
    reasons = why("consoleproxy", {"state": "Starting", "hostname": "k1"}, LISTS, lambda url: Seen(template="t"))
    assert "only emulates KVM" in reasons[0]


def test_up() -> None:
    assert up({"state": "Running", "agentstate": "Up"})
    assert not up({"state": "Running", "agentstate": "Disconnected"})
    assert not up(None)


# -- their template

URL = "nfs://10.0.0.1/secondary"
# What of the server's own script counts here: what it refuses, and what it leaves.
SCRIPT = """#!/bin/sh
while [ $# -gt 0 ]; do case $1 in -u) uuid=$2;; -f) file=$2;; -h) hyper=$2;; -d) dest=$2;; esac; shift 2; done
[ "$hyper" = kvm ] || exit 2
mkdir -p "$dest"
[ -z "$(ls "$dest")" ] || { echo "Data already exists at destination $dest"; exit 2; }
cp "$file" "$dest/$uuid.qcow2"
printf 'qcow2=true\\nid=3\\nuniquename=routing-3\\nqcow2.filename=%s.qcow2\\n' "$uuid" > "$dest/template.properties"
"""


class Api:
    """A server with image stores."""

    def __init__(self, *stores: tuple[str, str]) -> None:
        self.stores = [{"name": f"nfs{number}", "providername": "NFS", "zonename": zone, "url": url} for number, (zone, url) in enumerate(stores)]

    def rows(self, command: str, **unused: t.Any) -> list[dict[str, t.Any]]:
        assert command == "listImageStores"
        return self.stores


@pytest.fixture
def store(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder that stands for whatever is mounted, on a server that has all it needs."""
    folder = tmp_path / "store"
    folder.mkdir()
    image = tmp_path / "bundle" / "systemvmtemplate-4.22.0-x86_64-kvm.qcow2.bz2"
    image.parent.mkdir()
    image.write_bytes(b"template")
    digest = hashlib.sha512(b"template").hexdigest()
    (tmp_path / "bundle" / "metadata.ini").write_text(
        f"[default]\nversion = 4.22.0.0\n[kvm-x86_64]\ntemplatename = systemvm-kvm\nchecksum = {digest}\nfilename = {image.name}\n"
    )
    script = tmp_path / "setup-sysvm-tmplt"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    monkeypatch.setattr(system_vms, "BUNDLE", str(image.parent))
    monkeypatch.setattr(system_vms, "SCRIPT", str(script))
    monkeypatch.setattr(system_vms, "SPACE", 1)
    monkeypatch.setattr(system_vms, "TOOLS", {"sh": "dash"})
    monkeypatch.setattr(system_vms, "USER", "root")
    run = process.run
    monkeypatch.setattr(process, "run", lambda argv, **more: "" if argv[0] == "runuser" else run(argv, **more))
    monkeypatch.setattr(system_vms, "mounted", lambda url, write: contextlib.nullcontext(str(folder)))
    return folder


def provider(api: Api, urls: t.Sequence[str] = (URL,), seed: bool = True) -> Provider:
    return Provider([{"name": "zone1", "image_stores": list(urls)}], api, seed)


def whole(store: pathlib.Path, number: int = 3) -> None:
    folder = store / "template" / "tmpl" / "1" / str(number)
    folder.mkdir(parents=True)
    (folder / "x.qcow2").write_bytes(b"x")
    (folder / "template.properties").write_text(f"id={number}\nuniquename=routing-{number}\n")


def test_a_store_without_the_template_is_seeded_once(store: pathlib.Path) -> None:
    made = provider(Api(("zone1", URL)))
    plan = made.plan(made.observe())
    assert [(change.id, change.action) for change in plan.changes] == [("system_template/zone1/nfs0", "create")]
    assert plan.apply() == []
    observed = made.observe()
    assert not made.plan(observed)
    (row,) = made.returned(observed)["stores"]
    assert (store / row["template"]).read_bytes() == b"template"


def test_a_store_that_has_it_is_left_alone_whatever_the_number_of_its_folder(store: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole(store, 213)
    monkeypatch.setattr(system_vms, "lacking", lambda: ["not asked where nothing is to be done"])
    made = provider(Api(("zone1", URL)))
    assert not made.plan(made.observe())


def test_templates_of_guests_are_not_it(store: pathlib.Path) -> None:
    whole(store, 4)
    (store / "template" / "tmpl" / "1" / "4" / "template.properties").write_text("id=4\nuniquename=4-centos\n")
    assert within(str(store)).template == ""


def test_one_of_several_stores_is_enough(store: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_vms, "look", lambda url: Seen(template="t" if url.endswith("2") else "", free=1 << 30))
    made = provider(Api(("zone1", URL), ("zone1", URL + "2"), ("zone2", URL + "3")))
    assert not made.plan(made.observe())


def test_stores_that_are_there_are_not_proven_again_and_others_zones_not_at_all(store: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_vms, "look", lambda url: pytest.fail("nothing is to be mounted"))
    assert provider(Api(("zone1", URL + "/")), seed=False).observe() == {}
    assert provider(Api(("zone2", URL)), seed=True).observe() == {}
    assert Provider([{"name": "zone1", "image_stores": [URL]}], None, True).observe() == {}


def test_a_new_store_is_proven_and_not_filled(store: pathlib.Path) -> None:
    made = provider(Api(), seed=False)
    observed = made.observe()
    assert [one.url for one in observed] == [URL]
    assert not made.plan(observed)


def test_all_that_is_lacking_is_said_together(store: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(system_vms, "TOOLS", {"no-such-tool": "some-package", "sudo-not-there": "sudo"})
    monkeypatch.setattr(system_vms, "BUNDLE", str(tmp_path / "none"))
    monkeypatch.setattr(system_vms, "SCRIPT", str(tmp_path / "no-script"))
    monkeypatch.setattr(system_vms, "SPACE", 1 << 60)
    for seed in (True, False):
        made = provider(Api(("zone1", URL)) if seed else Api(), seed=seed)
        with pytest.raises(Invalid) as refused:
            made.plan(made.observe())
        text = "\n".join(refused.value.problems)
        for part in ("install some-package", "install sudo", "cloudstack-common complete", "has no template for kvm-x86_64", "MiB free", "system_vms: false"):
            assert part in text


def test_a_store_that_cannot_be_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(argv: t.Sequence[str], **unused: t.Any) -> str:
        raise process.CommandError(
            argv, 32, "mount: /tmp/x: unknown filesystem type 'nfs'.\n       dmesg(1) may have more information after failed mount system call."
        )

    monkeypatch.setattr(process, "run", refuse)
    seen = system_vms.look(URL)
    assert "cannot mount 10.0.0.1:/secondary" in seen.problem
    assert "unknown filesystem type 'nfs'" in seen.problem
    assert "dmesg" not in seen.problem


def test_a_copy_that_was_not_ended(store: pathlib.Path) -> None:
    folder = store / "template" / "tmpl" / "1" / "3"
    folder.mkdir(parents=True)
    (folder / "x.qcow2").write_bytes(b"half")
    made = provider(Api(("zone1", URL)))
    plan = made.plan(made.observe())
    assert not plan
    assert "under way" in plan.warnings[0]
    for path in (folder / "x.qcow2", folder):
        os.utime(path, (time.time() - 7200,) * 2)
    with pytest.raises(Invalid, match="never ended"):
        made.plan(made.observe())


def test_a_template_that_is_not_the_package_s_is_not_put_there(store: pathlib.Path) -> None:
    found = system_vms.bundle()
    assert found is not None
    pathlib.Path(found.path).write_bytes(b"another")
    made = provider(Api(("zone1", URL)))
    (failure,) = made.plan(made.observe()).apply()
    assert "SHA-512" in failure.message
    assert within(str(store)).template == ""


@pytest.mark.parametrize(
    ("url", "told"),
    [(URL, "10.0.0.1:/secondary"), ("nfs://[fd00::1]/a/b", "[fd00::1]:/a/b"), ("nfs://host:2049/a", "host:/a"), ("nfs://host/a%20b", "host:/a b")],
)
def test_exports(url: str, told: str) -> None:
    assert export(url) == told
