# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients get of CephFS by NFS, what they don't, and what the role does about changes."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import subprocess

import testinfra

from ansible_collections.cephstack.cloud.molecule.shared import runs

SCENARIO = pathlib.Path(__file__).resolve().parent.parent
STACK = runs.Scenario(SCENARIO)
on = STACK.ssh  # run a command on a host as root; return what it printed
FIRST, SECOND = "10.78.9.11", "10.78.9.12"
# Looks at CephFS on the cluster's host, as the administrator.
LOOK = """
import cephfs, json, sys
c = cephfs.LibCephFS(conffile="/etc/ceph/ceph.conf", auth_id=sys.argv[1]); c.mount(mount_root=sys.argv[2].encode())
f = c.open(sys.argv[3], "r"); s = c.stat(sys.argv[3])
print(json.dumps({"text": c.read(f, 0, 100).decode(), "uid": s.st_uid}))
"""


def try_on(name, command):
    """Run a command on a host as root."""
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={SCENARIO.parent / 'shared' / 'inventory.py'}").run(command)


def look(path, client="admin", root="/"):
    return try_on("ceph1", f"python3 -c '{LOOK}' {client} {root} {path}")


@contextlib.contextmanager
def mounted(source, options="soft,timeo=100"):
    """An export, mounted on the client."""
    folder = on("client1", "mktemp -d /run/test-XXXXXX").strip()
    on("client1", f"mount -t nfs -o {options} {source} {folder}")
    try:
        yield folder
    finally:
        on("client1", f"umount {folder} && rmdir {folder}")


@contextlib.contextmanager
def written(folder):
    """Records that the client writes and reads back meanwhile."""
    on("client1", f"mkdir {folder}")
    with STACK.written("client1", "--records", "50", "--path", folder, least=20):
        yield
    on("client1", f"rmdir {folder}")


def play(tmp_path, exports=None, check=False):
    """Run the role as a re-run would, with other exports perhaps; return (exit code, its changes, what was said)."""
    changes, log, book, more = (tmp_path / name for name in ("changes.json", "log", "play.yml", "vars.json"))
    book.write_text(json.dumps([{"hosts": "nfs_gateways", "gather_facts": False, "roles": ["cephstack.cloud.nfs_gateway"]}]))
    more.write_text(json.dumps({} if exports is None else {"nfs_gateway_exports": exports}))
    environment = {**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "cephstack.cloud.changes", "CEPHSTACK_CHANGES_FILE": str(changes), "ANSIBLE_NOCOLOR": "1"}
    command = ["ansible-playbook", "-i", str(SCENARIO / "inventory"), "-e", f"@{more}", "-vv", "--diff", *(["--check"] if check else []), str(book)]
    with log.open("w") as out:  # a pipe would be held open by ssh's persistent master
        code = subprocess.run(command, stdout=out, stderr=out, env=environment, cwd=SCENARIO.parent.parent, check=False).returncode
    found = json.loads(changes.read_text()) if changes.exists() else {}
    return code, found, log.read_text()


def declared():
    text = subprocess.run(
        ["ansible-inventory", "-i", str(SCENARIO / "inventory"), "--host", "ceph1"], capture_output=True, text=True, check=True, cwd=SCENARIO.parent.parent
    ).stdout
    return json.loads(text)["nfs_gateway_exports"]


def test_what_root_writes_by_nfs_is_roots_in_cephfs_and_at_the_other_gateway():
    with mounted(f"{FIRST}:/secondary") as folder:
        on("client1", f"mkdir -p {folder}/template/tmpl && echo from-the-client > {folder}/template/tmpl/file && sync {folder}/template/tmpl/file")
        # a guest's image is opened under a lock
        on("client1", f'python3 -c \'import fcntl; fcntl.lockf(open("{folder}/template/tmpl/file", "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)\'')
    assert json.loads(look("/cloudstack/secondary/template/tmpl/file").stdout) == {"text": "from-the-client\n", "uid": 0}
    with mounted(f"{SECOND}:/secondary") as folder:
        assert on("client1", f"cat {folder}/template/tmpl/file") == "from-the-client\n"
        on("client1", f"rm -r {folder}/template")
    assert look("/cloudstack/secondary/template/tmpl/file").rc != 0


def test_users_that_are_not_root_are_themselves():
    with mounted(f"{FIRST}:/secondary") as folder:
        done = try_on("client1", f"setpriv --reuid 1234 --regid 1234 --clear-groups touch {folder}/mine")
        assert done.rc != 0 and "Permission denied" in done.stderr
        on(
            "client1",
            f"mkdir {folder}/open && chmod 1777 {folder}/open && setpriv --reuid 1234 --regid 1234 --clear-groups sh -c 'echo hi > {folder}/open/mine'",
        )
    assert json.loads(look("/cloudstack/secondary/open/mine").stdout)["uid"] == 1234
    with mounted(f"{FIRST}:/secondary") as folder:
        on("client1", f"rm -r {folder}/open")


def test_root_is_nobody_where_it_is_squashed():
    with mounted(f"{FIRST}:/rooms/secondary") as folder:
        done = try_on("client1", f"touch {folder}/mine")
        assert done.rc != 0 and "Permission denied" in done.stderr
    with mounted(f"{FIRST}:/drop") as folder:
        on("client1", f"echo dropped > {folder}/dropped")
    assert json.loads(look("/drop/dropped").stdout) == {"text": "dropped\n", "uid": 65534}


def test_others_are_refused():
    assert "access denied" in try_on("client1", f"mount -t nfs -o soft,retry=0 {FIRST}:/private /mnt").stderr
    with mounted(f"{SECOND}:/images") as folder:
        assert "Read-only" in try_on("client1", f"touch {folder}/mine").stderr


def test_the_gateways_client_reaches_the_exported_folders_and_no_others():
    on("ceph1", 'python3 -c \'import cephfs; c = cephfs.LibCephFS(conffile="/etc/ceph/ceph.conf"); c.mount(); c.mkdirs("/others", 0o777)\'')
    refused = look("/x", "nfs.ceph1", "/others").stderr
    assert "PermissionError" in refused or "Permission denied" in refused or "Operation not permitted" in refused, refused
    assert look("/x", "nfs.ceph1", "/").rc != 0
    assert "No such file" in look("/x", "nfs.ceph1", "/drop").stderr  # and there it is let in


def test_a_gateway_has_its_own_key_and_shows_it_to_nobody():
    for name in ("ceph1", "nfs2"):
        keyring = f"/etc/ceph/ceph.client.nfs.{name}.keyring"
        assert on(name, f"stat -c '%a %U' {keyring}") == "600 root\n"
        key = re.search(r"key = (\S+)", on(name, f"cat {keyring}")).group(1)
        assert try_on(name, f"grep -rF '{key}' /etc/ganesha /var/log/ganesha").rc != 0
    assert on("nfs2", "ls /etc/ceph").split() == ["ceph.client.nfs.nfs2.keyring", "ceph.conf", "rbdmap"]


def test_what_clients_may_do_is_loaded_while_others_go_on(tmp_path):
    """A new export, another squashing, one taken away: the server keeps its process and those who have mounted it."""
    changed = [
        {**item, "squash": "all_squash"} if item["path"] == "/images" else {**item, "state": "absent"} if item["path"] == "/private" else item
        for item in declared()
    ]
    changed.append({"path": "/new/one", "filesystem": "cephfs", "squash": "no_root_squash", "clients": ["10.78.9.21"]})
    before = on("nfs2", "pidof ganesha.nfsd")
    with mounted(f"{SECOND}:/secondary") as folder:
        code, _changes, said = play(tmp_path, changed)
        assert code == 0, said[-3000:]
        on("client1", f"echo still > {folder}/still && rm {folder}/still")
    assert on("nfs2", "pidof ganesha.nfsd") == before
    with mounted(f"{SECOND}:/new/one") as folder:
        on("client1", f"echo new > {folder}/new")
    shown = on("client1", f"showmount --no-headers -e {SECOND}")
    assert "/private" not in shown and "/new/one" in shown
    keys = on("ceph1", "ceph auth get-key client.nfs.nfs2"), on("ceph1", "ceph auth get-key client.admin")
    assert not any(key in said for key in keys)
    # without a word on the new ones, they stay
    code, _changes, said = play(tmp_path)
    assert code != 0 and "cephfs:/new/one, which is not declared any more" in said
    code, _changes, said = play(tmp_path, [*declared(), {**changed[-1], "state": "absent"}])
    assert code == 0, said[-3000:]
    assert on("nfs2", "pidof ganesha.nfsd") == before


def test_drift_is_listed_and_mended(tmp_path):
    on("nfs2", "sed -i 's/Access_Type = RO;/Access_Type = RW;/' /etc/ganesha/ganesha.conf")
    on("nfs2", "systemctl stop nfs-ganesha")
    on("ceph1", "ceph auth caps client.nfs.nfs2 mon 'allow r' mds 'allow rw fsname=cephfs path=/drop' osd 'allow rw tag cephfs data=cephfs'")
    code, changes, said = play(tmp_path, check=True)
    assert code == 0, said[-3000:]
    ids = {f"{change['kind']}/{change['name']}" for change in changes}
    assert ids == {"client/client.nfs.nfs2", "conf//etc/ganesha/ganesha.conf", "unit/nfs-ganesha.service"}
    code, _changes, said = play(tmp_path)
    assert code == 0, said[-3000:]
    with mounted(f"{SECOND}:/secondary") as folder:
        on("client1", f"touch {folder}/mine && rm {folder}/mine")


def test_what_cannot_be_is_refused_before_anything_is_touched(tmp_path):
    before = on("nfs2", "sha256sum /etc/ganesha/ganesha.conf"), on("ceph1", "ceph auth get client.nfs.nfs2")
    code, _changes, said = play(tmp_path, [*declared(), {"path": "/extra", "filesystem": "cephfss", "clients": ["10.78.9.0/24"]}])
    assert code != 0 and "there is no filesystem cephfss (there are: cephfs)" in said, said[-3000:]
    assert (on("nfs2", "sha256sum /etc/ganesha/ganesha.conf"), on("ceph1", "ceph auth get client.nfs.nfs2")) == before


def test_a_gateway_goes_once_nobody_has_mounted_it_and_the_other_one_serves_on(tmp_path):
    words = ("-e", json.dumps({"scale_in_hosts": ["nfs2"]}))
    with mounted(f"{SECOND}:/secondary") as folder:
        said = STACK.refused(*words, playbook="cephstack.cloud.scale_in")
        assert "10.78.9.21 has mounted an export of this gateway" in said, said[-3000:]
        on("client1", f"echo still > {folder}/still && rm {folder}/still")
    with mounted(f"{FIRST}:/secondary") as folder, written(f"{folder}/records"):
        changes, _recap = STACK.play(tmp_path, *words, playbook="cephstack.cloud.scale_in")
    assert changes
    assert on("nfs2", "systemctl is-active nfs-ganesha || true").strip() == "inactive"
    assert on("nfs2", "ls /etc/ceph").split() == ["rbdmap"]
    assert "client.nfs.nfs2" not in on("ceph1", "ceph auth ls")
    assert STACK.play(tmp_path, *words, playbook="cephstack.cloud.scale_in")[0] == []
