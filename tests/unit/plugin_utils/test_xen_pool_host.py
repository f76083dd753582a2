# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pool's host is given, by its real shell in a folder: only rbd, ceph and systemctl are stand-ins there."""

from __future__ import annotations

import grp
import json
import os
import pathlib
import pwd
import subprocess
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import HIDDEN, Invalid, Plan, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import mappings
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.pool import parse
from ansible_collections.cephstack.cloud.plugins.plugin_utils import _xen_pool_host as pool_host

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
KEY, OTHER = "AQBX21dfVMJtBhAA2qthmLyp7Wxz+T5YgoxzeQ==", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
LVM = {"name": "ceph", "type": "lvm", "image": "xen/pool1", "client": "client.xen"}
FILES = {"name": "files", "type": "cephfs", "server": "10.0.0.11", "path": "/xen", "client": "client.xenfs"}
NFS = {"name": "shared", "type": "nfs", "server": "10.0.0.11", "path": "/xen"}
DOCUMENTED = 'devices {\n\ttypes = [ "scini", 16, "rbd", 1024 ]\n\tscan = [ "/dev/disk/by-id", "/dev/rbd" ]\n}\n'

RBD = """#!/bin/sh
echo "$@" >> ROOT/log
case $1 in
  map) [ "$2" = xen/missing ] && { echo "rbd: sysfs write failed" >&2; exit 2; }
       [ -f "ROOT$6" ] || { echo "rbd: no keyring at $6" >&2; exit 1; }
       mkdir -p "ROOT/dev/rbd/${2%%/*}"; truncate -s 1M ROOT/disk; ln -s ROOT/disk "ROOT/dev/rbd/$2" ;;
  unmap) rm "ROOT$2" ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
case $1 in
  is-enabled) [ -e ROOT/enabled ] && echo enabled || { echo disabled; exit 1; } ;;
  enable) touch ROOT/enabled ;;
esac
"""


class Host:
    """A host whose files are in a folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.scripts: list[str] = []
        for path in (self.root / "etc/lvm/master", self.root / "etc/ceph", self.bin):
            path.mkdir(parents=True)
        tools = {"rbd": RBD, "systemctl": SYSTEMCTL, "rbdmap": "#!/bin/sh\n", "ceph": "#!/bin/sh\n", "mount.ceph": "#!/bin/sh\n"}
        for name, text in tools.items():
            (self.bin / name).write_text(text.replace("ROOT", str(self.root)), encoding="utf-8")
            (self.bin / name).chmod(0o755)

    def run(self, script: str, content: bytes) -> tuple[int, str, str]:
        self.scripts.append(script)
        # "sleep 0" is appended by Ansible
        ran = subprocess.run(["/bin/sh", "-c", f"{script} && sleep 0"], input=content, capture_output=True, env={"PATH": f"{self.bin}:/usr/bin:/bin"})
        return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

    def provider(self, *items: dict[str, t.Any], absent: bool = False, keys: t.Optional[dict[str, str]] = None) -> pool_host.Provider:
        clients = {item["name"]: item["client"] for item in items if "client" in item}
        known = {"client.xen": KEY, "client.xenfs": KEY} if keys is None else keys
        secrets = {client: Secret(key) for client, key in known.items()}
        owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        return pool_host.Provider(self.run, parse(items), clients, FSID, "10.0.0.11,10.0.0.12", secrets, absent, str(self.root), owner, group)

    def plan(self, *items: dict[str, t.Any], **options: t.Any) -> Plan:
        provider = self.provider(*items, **options)
        return provider.plan(provider.observe())

    def converge(self, *items: dict[str, t.Any], **options: t.Any) -> list[str]:
        plan = self.plan(*items, **options)
        assert plan.apply() == []
        assert not self.plan(*items, **options)
        return [change.id for change in plan.changes]

    def put(self, path: str, text: str) -> None:
        (self.root / path[1:]).write_text(text, encoding="utf-8")

    def text(self, path: str) -> str:
        return (self.root / path[1:]).read_text(encoding="utf-8")

    def mode(self, path: str) -> int:
        return (self.root / path[1:]).stat().st_mode & 0o777


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def test_a_bare_host(host: Host) -> None:
    before = sorted(host.root.rglob("*"))
    plan = host.plan(LVM, FILES)
    assert len(plan) == 8
    assert [change.id for change in plan.stages()[1]] == ["mapping/xen/pool1"]  # once its keyring is there
    assert sorted(host.root.rglob("*")) == before
    host.converge(LVM, FILES, NFS)
    assert host.text("/etc/ceph/ceph.conf") == f"[global]\nfsid = {FSID}\nmon_host = 10.0.0.11,10.0.0.12\n"
    assert host.text("/etc/ceph/ceph.client.xen.keyring") == f"[client.xen]\n\tkey = {KEY}\n"
    assert host.text("/etc/ceph/xenfs.secret") == f"{KEY}\n"
    assert (host.mode("/etc/ceph/ceph.client.xen.keyring"), host.mode("/etc/ceph/xenfs.secret"), host.mode("/etc/ceph/ceph.conf")) == (0o600, 0o600, 0o644)
    assert host.text("/etc/ceph/rbdmap") == "xen/pool1\tid=xen,keyring=/etc/ceph/ceph.client.xen.keyring\n"
    assert [host.text(path) for path in pool_host.LVM] == [DOCUMENTED, DOCUMENTED]
    assert host.text("/log") == "map xen/pool1 --id xen --keyring /etc/ceph/ceph.client.xen.keyring\n"
    assert not [path for path in host.root.rglob("*") if path.is_file() and path.stat().st_mode & 0o007 and KEY in path.read_text(encoding="utf-8")]


def test_what_is_on_an_image_is_seen(host: Host) -> None:
    provider = host.provider(LVM)
    assert provider.returned(provider.observe()) == {"images": [{"image": "xen/pool1", "mapped": False, "holds": []}]}
    host.converge(LVM)
    assert provider.returned(provider.observe()) == {"images": [{"image": "xen/pool1", "mapped": True, "holds": []}]}
    subprocess.run(["mkswap", str(host.root / "disk")], check=True, capture_output=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
    assert provider.returned(provider.observe()) == {"images": [{"image": "xen/pool1", "mapped": True, "holds": ["swap"]}]}
    (host.root / "disk").unlink()
    with pytest.raises(Unreachable, match=r"could not be read \(exit code 3\): wipefs"):
        provider.observe()


def test_nfs_needs_nothing_of_a_host(host: Host) -> None:
    for tool in host.bin.iterdir():
        tool.unlink()
    assert not host.plan(NFS)


def test_no_secret_where_it_could_be_seen(host: Host) -> None:
    host.put("/etc/ceph/rbdmap", f"xen/pool1 id=xen,secret={OTHER}\n")
    host.put("/etc/ceph/xenfs.secret", OTHER)
    plan = host.plan(LVM, FILES)
    shown = json.dumps([plan.diff(), plan.rows()])
    assert OTHER not in shown and KEY not in shown and f"secret={HIDDEN}" in shown
    assert plan.apply() == []
    assert not any(KEY in script or OTHER in script for script in host.scripts)


def test_each_drift_is_mended_alone(host: Host) -> None:
    host.converge(LVM, FILES)
    host.put("/etc/ceph/xenfs.secret", OTHER)
    assert host.converge(LVM, FILES) == ["file//etc/ceph/xenfs.secret"]
    (host.root / "etc/ceph/ceph.client.xen.keyring").chmod(0o644)
    plan = host.plan(LVM, FILES)
    assert plan.diff()[0]["before"] == {"mode": "0644"} and plan.diff()[0]["after"] == {"mode": "0600"}
    host.converge(LVM, FILES)
    provider = host.provider(LVM, FILES)
    (provider.owner, provider.group), mine = ("somebody", "others"), {"owner": provider.owner, "group": provider.group}
    changes = provider.plan(provider.observe()).changes
    assert [change.name for change in changes] == ["/etc/ceph/ceph.client.xen.keyring", "/etc/ceph/xenfs.secret"]
    assert all((change.before, change.after) == (mine, {"owner": "somebody", "group": "others"}) for change in changes)
    (host.root / "enabled").unlink()
    (host.root / "dev/rbd/xen/pool1").unlink()
    assert host.converge(LVM, FILES) == ["service/rbdmap", "mapping/xen/pool1"]
    host.put("/etc/lvm/master/lvmlocal.conf", "")  # an upgrade of the host resets it
    assert host.converge(LVM, FILES) == ["file//etc/lvm/master/lvmlocal.conf"]


def test_a_client_that_is_another_now(host: Host) -> None:
    host.converge(LVM)
    assert host.converge({**LVM, "client": "client.xenfs"}) == ["file//etc/ceph/ceph.client.xenfs.keyring", "file//etc/ceph/rbdmap"]
    assert host.text("/etc/ceph/rbdmap") == "xen/pool1\tid=xenfs,keyring=/etc/ceph/ceph.client.xenfs.keyring\n"


def test_what_others_wrote_stays(host: Host) -> None:
    host.put("/etc/ceph/ceph.conf", "# ours\n[client]\nrbd_cache = true\n")
    host.put("/etc/ceph/rbdmap", "# RbdDevice\tParameters\nmine/disk id=me\npool1 id=also\n")
    host.converge(LVM)
    assert "# ours\n[client]\nrbd_cache = true\n" in host.text("/etc/ceph/ceph.conf")
    assert host.text("/etc/ceph/rbdmap").startswith("# RbdDevice\tParameters\nmine/disk id=me\npool1 id=also\nxen/pool1\t")


def test_a_file_that_is_a_link_stays_one(host: Host) -> None:
    host.put("/etc/lvm/real.conf", "# by hand\n")
    (host.root / "etc/lvm/lvmlocal.conf").symlink_to("real.conf")
    host.converge(LVM)
    assert (host.root / "etc/lvm/lvmlocal.conf").is_symlink()
    assert host.text("/etc/lvm/real.conf") == "# by hand\n" + DOCUMENTED


def test_what_is_gone_is_let_go_of_afterwards_only(host: Host) -> None:
    host.converge(LVM, FILES)
    gone = [{**LVM, "state": "absent"}, {**FILES, "state": "absent"}]
    assert not host.plan(*gone)
    assert host.converge(*gone, absent=True) == [
        "file//etc/ceph/rbdmap",
        "mapping/xen/pool1",
        "file//etc/ceph/ceph.client.xen.keyring",
        "file//etc/ceph/xenfs.secret",
    ]
    assert host.text("/log").endswith("unmap /dev/rbd/xen/pool1\n")
    assert host.text("/etc/ceph/rbdmap") == ""


def test_what_another_still_uses_stays(host: Host) -> None:
    other = {**LVM, "name": "other", "image": "xen/pool2"}
    host.converge(LVM, other)
    assert host.converge({**LVM, "state": "absent"}, other, absent=True) == ["file//etc/ceph/rbdmap", "mapping/xen/pool1"]
    assert host.text("/etc/ceph/rbdmap").startswith("xen/pool2\t")


# -- what can't be


def test_ceph_is_not_installed(host: Host) -> None:
    for tool in ("rbd", "mount.ceph"):
        (host.bin / tool).unlink()
    with pytest.raises(Invalid, match=r"^mount.ceph, rbd are not installed: install ceph-common on this host$"):
        host.plan(LVM, FILES)


def test_another_cluster(host: Host) -> None:
    host.put("/etc/ceph/ceph.conf", "[global]\nfsid = 00000000-0000-0000-0000-000000000000\n")
    host.put("/etc/lvm/lvmlocal.conf", "devices {\n")
    with pytest.raises(Invalid) as error:
        host.plan(LVM)
    assert error.value.problems == [
        f"/etc/ceph/ceph.conf is that of another cluster, 00000000-0000-0000-0000-000000000000, not {FSID}: this host can use one cluster only",
        "/etc/lvm/lvmlocal.conf: its section devices has no end: correct it by hand",
    ]


def test_an_image_that_cannot_be_mapped(host: Host) -> None:
    failures = host.plan({**LVM, "image": "xen/missing"}).apply()
    assert len(failures) == 1
    assert failures[0].message.startswith("create mapping/xen/missing: rbd map xen/missing --id xen")
    assert failures[0].message.endswith("rbd: sysfs write failed")


def test_a_folder_in_the_place_of_a_file(host: Host) -> None:
    (host.root / "etc/ceph/xenfs.secret").mkdir()
    with pytest.raises(Invalid, match=r"/etc/ceph/xenfs\.secret is not a file"):
        host.plan(FILES)


@pytest.mark.parametrize("answer", [(255, "", "lost"), (0, "none /etc/ceph/ceph.conf\n", ""), (0, "", "")])
def test_an_answer_that_is_not_whole_is_no_absence(answer: tuple[int, str, str]) -> None:
    provider = pool_host.Provider(lambda script, content: answer, parse([LVM]), {"ceph": "client.xen"}, FSID, "", {})
    with pytest.raises(Unreachable, match="could not be read"):
        provider.observe()


def test_a_key_that_the_cluster_has_yet_to_make(host: Host) -> None:
    plan = host.plan(FILES, keys={})
    assert [change.id for change in plan.changes] == ["file//etc/ceph/ceph.conf", "file//etc/ceph/xenfs.secret"]


# -- LVM's configuration


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", DOCUMENTED),
        ("global {\n}", "global {\n}\n" + DOCUMENTED),
        (DOCUMENTED, DOCUMENTED),
        (
            'devices {\n\t# types = [ "rbd", 1 ] }\n\ttypes = [ "nvme", 64 ]\n\tscan = [ "/dev" ]\n\tfilter = [ "{" ]\n}\nlog {\n}\n',
            'devices {\n\t# types = [ "rbd", 1 ] }\n\ttypes = [ "nvme", 64, "rbd", 1024 ]\n\tscan = [ "/dev", "/dev/rbd" ]\n\tfilter = [ "{" ]\n}\nlog {\n}\n',
        ),
        ("devices {\n\ttypes = [ ]\n\tscan = []\n}\n", 'devices {\n\ttypes = [ "rbd", 1024 ]\n\tscan = [ "/dev/rbd" ]\n}\n'),
        ("devices { }\n", 'devices {\n\tscan = [ "/dev/disk/by-id", "/dev/rbd" ]\n\ttypes = [ "scini", 16, "rbd", 1024 ]\n }\n'),
        ('devices {\n\tscan = "/dev"\n}\n', 'devices {\n\ttypes = [ "scini", 16, "rbd", 1024 ]\n\tscan = [ "/dev", "/dev/rbd" ]\n}\n'),
    ],
)
def test_lvm_is_told_once(before: str, after: str) -> None:
    assert pool_host.edit_lvm(before) == after
    assert pool_host.edit_lvm(after) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "xen/pool1\tid=xen\n"),
        ("xen/pool1 id=old\nxen/pool1 id=xen\n", "xen/pool1\tid=xen\n"),
        ("  # xen/pool1 id=old\nrbd/a\n", "  # xen/pool1 id=old\nrbd/a\nxen/pool1\tid=xen\n"),
        ("xen/pool1   id=xen\n", "xen/pool1   id=xen\n"),
    ],
)
def test_an_image_is_in_rbdmap_once(before: t.Optional[str], after: str) -> None:
    assert mappings.edit_rbdmap(before, {"xen/pool1": "id=xen"}) == after
