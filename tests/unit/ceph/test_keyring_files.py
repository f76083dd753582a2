# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with keys, as each of those who need one sees them: the files are real, what the cluster says is recorded."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import io
import json
import os
import pathlib
import pwd
import stat
import types

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import ceph_conf, daemons, devices, exports, keyring_files, mons, osds
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import ganesha
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, Unreachable

KEY = "AQCnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw=="
OTHER = "AQBnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw=="
FSID, UUID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11", "0c8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
DISK = "/dev/disk/by-id/a"
RUNS = systemd.Unit(True, True, "active", 1)
ADDRESSES = [{"type": "v2", "addr": "10.0.0.1:3300"}]
ANSWERS = {
    "mon dump": {"fsid": FSID, "quorum": [0], "mons": [{"name": "ceph1", "rank": 0, "public_addrs": {"addrvec": ADDRESSES}}]},
    "auth get": [{"key": KEY, "caps": {}}],
    "auth ls": {
        "auth_dump": [
            {"entity": "mgr.ceph1", "key": KEY, "caps": daemons.KINDS["mgr"].caps},
            {"entity": "osd.3", "key": KEY, "caps": {}},
            {"entity": osds.BOOTSTRAP, "key": KEY, "caps": {}},
        ]
    },
    "osd dump": {"osds": [{"osd": 3, "uuid": UUID, "up": 1}]},
    "osd tree": {"nodes": []},
    "config dump": [],
    "config-key dump": {},
}


class Cluster:
    """An open connection with recorded answers."""

    fsid = FSID

    def __init__(self, *_args):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_args):
        return None

    def command(self, prefix, **_words):
        return ANSWERS[prefix]

    def many(self, commands):
        return [ANSWERS[prefix] for prefix, _words in commands]


@pytest.fixture
def there(monkeypatch, tmp_path):
    """A host on which everything is as it should be but its keyrings, which are in a folder of the test's own."""
    monkeypatch.setattr(systemd, "units", lambda names: {name: systemd.NO_UNIT if name == ganesha.KERNEL_SERVER else RUNS for name in names})
    monkeypatch.setattr(daemons, "ask", lambda *_args: {"state": "leader", "monmap": {"fsid": FSID}, "version": "18.2.7"})
    monkeypatch.setattr(process, "installed", lambda program: True)
    monkeypatch.setattr(mons, "Connection", Cluster)
    monkeypatch.setattr(mons, "has_data", lambda name: True)
    monkeypatch.setattr(mons, "data_path", lambda name: str(tmp_path / f"mon-{name}"))
    monkeypatch.setattr(mons, "ADMIN_KEYRING", str(tmp_path / "admin.keyring"))
    monkeypatch.setattr(osds, "data_path", lambda number: str(tmp_path / f"osd-{number}"))
    monkeypatch.setattr(osds, "BOOTSTRAP_KEYRING", str(tmp_path / "bootstrap.keyring"))
    label = devices.Osd(3, UUID, FSID, "raw")
    monkeypatch.setattr(devices, "look_at", lambda paths, fsid: {DISK: devices.Found("/dev/sda", label, ("osd.3",))})
    monkeypatch.setattr(systemd, "drop_in_path", lambda unit: str(tmp_path / unit))
    (tmp_path / "ceph-osd@3.service").write_text(osds.drop_in_text(osds.Device(DISK, "raw")))
    monkeypatch.setitem(daemons.KINDS, "mgr", dataclasses.replace(daemons.KINDS["mgr"], folder=str(tmp_path / "mgr-{}")))
    return tmp_path


def monitor(_folder):
    return mons.Provider("ceph1", "10.0.0.1", connection={"mon_host": "10.0.0.1"})


def manager(_folder):
    return daemons.Provider(daemons.parse([{"type": "mgr"}], "ceph1"), Cluster())


def osd(_folder):
    return osds.Provider([osds.Device(DISK, "raw")], Cluster(), "ceph1")


def consumer(folder):
    return keyring_files.Provider([keyring_files.Keyring(str(folder / "a.keyring"), "client.a", key=Secret(KEY))])


def gateway(folder):
    entries = exports.parse([{"path": "/a", "filesystem": "cephfs", "clients": ["10.0.0.0/24"]}])
    provider = ganesha.Provider(entries, "client.nfs.gw", Secret(KEY), patience=0)
    provider.place = dataclasses.replace(provider.place, path=str(folder / "nfs.keyring"))
    return provider


WRITERS = [
    pytest.param(monitor, "admin.keyring", "client.admin", "root", id="the administrator"),
    pytest.param(monitor, "mon-ceph1/keyring", "mon.", "ceph", id="a monitor"),
    pytest.param(manager, "mgr-ceph1/keyring", "mgr.ceph1", "ceph", id="a manager"),
    pytest.param(osd, "osd-3/keyring", "osd.3", "ceph", id="an OSD"),
    pytest.param(osd, "bootstrap.keyring", "client.bootstrap-osd", "ceph", id="who makes OSDs"),
    pytest.param(consumer, "a.keyring", "client.a", "root", id="a consumer"),
    pytest.param(gateway, "nfs.keyring", "client.nfs.gw", "root", id="an NFS gateway"),
]


def put(path: pathlib.Path, client: str, mode: int) -> None:
    """Write a keyring of somebody who is neither root nor Ceph, where the test may give it away."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(keyring_files.keyring_text(client, Secret(KEY)))
    path.chmod(mode)
    if os.getuid() == 0:
        os.chown(path, 54321, 54321)


def me():
    """Whoever runs the tests."""
    return pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


def keyring_change(provider, path):
    plan: Plan = provider.plan(provider.observe())
    return next((change for change in plan.changes if change.kind == "keyring" and change.name == str(path)), None)


@pytest.mark.parametrize(("who", "path", "client", "owner"), WRITERS)
def test_a_keyring_that_others_may_read_is_seen_by_whoever_needs_it(there, who, path, client, owner):
    put(there / path, client, 0o644)
    change = keyring_change(who(there), there / path)
    assert change is not None, f"the keyring of {client} has the mode 0644 and another owner, and nothing is planned"
    assert change.action == "update"
    assert (change.after["mode"], change.after["owner"], change.after["group"]) == ("0600", owner, owner)
    assert (change.before["mode"], set(change.before)) == ("0644", {"mode", "owner", "group"})
    assert KEY not in str(change.before) + str(change.after)


@pytest.mark.parametrize(("who", "path", "client", "owner"), WRITERS)
def test_a_keyring_that_cannot_be_read_is_no_absence(there, who, path, client, owner):
    (there / path).mkdir(parents=True)  # root reads every file, but no folder
    with pytest.raises(Unreachable, match=f"cannot read {there / path}"):
        keyring_change(who(there), there / path)


def test_an_administrators_keyring_is_given_back_to_root(there, monkeypatch):
    """The whole way, as far as whoever runs the tests may give files away."""
    owner, group = me()
    path = there / "admin.keyring"
    monkeypatch.setattr(mons, "admin_place", lambda: keyring_files.Place(str(path), mons.ADMIN, owner, group))
    put(path, mons.ADMIN, 0o644)
    provider = monitor(there)
    change = keyring_change(provider, path)
    change.apply()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_uid == os.getuid()
    assert keyring_change(provider, path) is None


def test_nobody_reads_a_key_before_the_mode_is_right(tmp_path, monkeypatch):
    """The file's owner and mode at the moment at which the key comes into it."""
    seen = []

    def fdopen(descriptor, *args, **options):
        file = os.fdopen(descriptor, *args, **options)
        whole = file.write

        class Watched:
            def __enter__(self):
                return self

            def __exit__(self, *_args):
                file.close()

            def fileno(self):
                return file.fileno()

            def write(self, text):
                seen.append(stat.S_IMODE(os.fstat(file.fileno()).st_mode))
                return whole(text)

        return Watched()

    watched = types.SimpleNamespace(**{name: getattr(os, name) for name in dir(os)})
    watched.fdopen = fdopen
    monkeypatch.setattr(files, "os", watched)
    files.write(str(tmp_path / "keyring"), keyring_files.keyring_text("client.a", Secret(KEY)), 0o640, os.getuid(), os.getgid())
    assert seen == [0o640]


def test_only_permissions_are_mended_where_the_content_is_right(tmp_path):
    owner, group = me()
    place = keyring_files.Place(str(tmp_path / "keyring"), "mon.", owner, group)
    text = keyring_files.keyring_text("mon.", Secret(KEY), {"mon": "allow *"})
    (tmp_path / "keyring").write_text(text)
    (tmp_path / "keyring").chmod(0o640)
    keyring_files.permit(place)
    assert (tmp_path / "keyring").read_text() == text
    assert keyring_files.read(place) == keyring_files.File(True, Secret(KEY), owner, group, "0600")


def test_a_keyring_without_the_client_is_no_keyring_of_it(tmp_path):
    place = keyring_files.Place("/k", "client.a")
    there = keyring_files.File(True, None, "root", "root", "0600")
    draft = Draft()
    keyring_files.ensure(draft, place, there, None, lambda: None)
    (change,) = draft.changes
    assert (change.action, list(change.after)) == ("update", ["key"])


def test_keys_of_a_keyring_with_several_clients():
    text = keyring_files.keyring_text("client.a", Secret(KEY), {"mon": "allow r"}) + keyring_files.keyring_text("mon.", Secret(OTHER))
    assert keyring_files.keyring_keys(text) == {"client.a": Secret(KEY), "mon.": Secret(OTHER)}
    assert keyring_files.keyring_keys(None) == {}


# -- those that are declared


def declared(path, **more):
    return keyring_files.parse([{"client": "client.a", "key": KEY, "path": str(path), **more}])[0]


def mine_of(keyring):
    """The same file, owned by whoever runs the tests."""
    owner, group = me()
    return keyring_files.Keyring(keyring.path, keyring.client, owner, group, keyring.mode, keyring.key, keyring.present)


def test_a_keyring_is_made_kept_and_mended(tmp_path):
    keyring = mine_of(declared(tmp_path / "a.keyring", mode="0640"))
    provider = keyring_files.Provider([keyring])
    made = provider.plan(provider.observe())
    assert [change.action for change in made.changes] == ["create"]
    assert KEY not in str(made.diff())
    assert made.apply() == []
    assert not provider.plan(provider.observe())
    assert stat.S_IMODE(os.stat(keyring.path).st_mode) == 0o640
    assert keyring_files.keyring_keys(files.read(keyring.path)) == {"client.a": Secret(KEY)}

    (tmp_path / "a.keyring").write_text(keyring_files.keyring_text("client.a", Secret(OTHER)))
    (change,) = provider.plan(provider.observe()).changes
    assert (change.action, list(change.after)) == ("update", ["key"])
    change.apply()
    os.chmod(keyring.path, 0o644)
    (change,) = provider.plan(provider.observe()).changes
    assert change.before == {"mode": "0644"}

    gone = keyring_files.Provider([keyring_files.Keyring(keyring.path, "client.a", present=False)])
    assert gone.plan(gone.observe()).apply() == []
    assert not gone.plan(gone.observe())


def ran(check=False, **options):
    """The module as Ansible runs it; returns its exit, and every word that it said."""
    from ansible.module_utils.testing import patch_module_args

    from ansible_collections.cephstack.cloud.plugins.modules import ceph_keyrings

    out, err = io.StringIO(), io.StringIO()
    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": True, "_ansible_verbosity": 3}
    with patch_module_args(arguments), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        ceph_keyrings.main()
    return json.loads(out.getvalue()), out.getvalue() + err.getvalue()


def test_a_plan_names_the_keyring_and_says_no_key(tmp_path):
    """As the roles call it: nothing is hidden but the keys, whatever happens, in check mode or not."""
    path = tmp_path / "a.keyring"
    mine = mine_of(declared(path))
    entry = {"client": "client.a", "key": KEY, "path": str(path), "owner": mine.owner, "group": mine.group}
    said = []
    for check in (True, False, True):
        result, text = ran(check, keyrings=[entry])
        said.append(text)
        assert result["changed"] is (check is False or not path.exists())
        assert [(row["action"], row["name"]) for row in result["changes"]] == [("create", str(path))] * result["changed"]
    result, text = ran(keyrings=[{**entry, "key": OTHER, "mode": "0640"}], check=True)
    said.append(text)
    assert (result["diff"][0]["before"], result["diff"][0]["after"]) == ({"mode": "0600", "key": "********"}, {"mode": "0640", "key": "******** (another)"})
    result, text = ran(keyrings=[{**entry, "client": "a"}])  # an error is told, too
    said.append(text)
    assert "did you mean client.a?" in result["msg"]
    result, text = ran(keyrings=[{**entry, "state": "gone"}])  # even where the arguments are no good
    said.append(text)
    assert result["failed"] and "gone" in result["msg"]
    assert "client.a" in said[0] and not [text for text in said if KEY in text or OTHER in text]


def test_a_service_reads_its_keyring_where_the_host_has_its_group(tmp_path):
    """The group of whoever runs the tests is there, and that of a service in a container is not."""
    entry = {"client": "client.a", "key": KEY, "path": str(tmp_path / "a"), "group": "root", "mode": "0600"}
    here = grp.getgrgid(os.getgid()).gr_name
    for reader, (group, mode) in {here: (here, "0640"), "no-such-service": ("root", "0600"), None: ("root", "0600")}.items():
        keyring = keyring_files.provider({"keyrings": [{**entry, "reader": reader}], "conf": "", "settings": None}).keyrings[0]
        assert (keyring.owner, keyring.group, keyring.mode) == ("root", group, mode)


def test_bad_declarations_are_told_together():
    with pytest.raises(Invalid) as error:
        keyring_files.parse([{"client": "a", "key": KEY}, {"client": "client.b", "key": "none"}, {"client": "client.c", "key": KEY, "mode": "rw"}])
    assert len(error.value.problems) == 3


def test_settings_of_a_new_conf(tmp_path):
    path = tmp_path / "ceph.conf"
    provider = keyring_files.Provider([], str(path), {"fsid": "x", "mon_host": "10.0.0.1", "cluster_network": None})
    assert provider.plan(provider.observe()).apply() == []
    assert path.read_text() == "[global]\nfsid = x\nmon_host = 10.0.0.1\n"
    assert not provider.plan(provider.observe())


def test_an_operators_conf_is_kept():
    text = "# mine\n[global]\nfsid = old\nmon host = a ; two\nlog file = /x\n\n[client]\nfsid = other\n"
    assert ceph_conf.edit_conf(text, {"fsid": "new", "mon_host": "a", "log_file": None, "public_network": "n"}) == (
        "# mine\n[global]\nfsid = new\nmon host = a ; two\npublic_network = n\n\n[client]\nfsid = other\n"
    )


def test_a_conf_without_global():
    assert ceph_conf.edit_conf("[client]\na = b\n", {"fsid": "x"}) == "[global]\nfsid = x\n\n[client]\na = b\n"
