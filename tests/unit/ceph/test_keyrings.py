# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import io
import json
import os
import stat

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import ceph_conf, keyring_files, keyrings
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret

KEY = "AQCnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw=="
OTHER = "AQBnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw=="


def declared(path, **more):
    return keyrings.parse([{"client": "client.a", "key": KEY, "path": str(path), **more}])[0]


def me(keyring):
    """The same file, owned by whoever runs the tests."""
    import grp
    import pwd

    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    return keyrings.Keyring(keyring.path, keyring.client, owner, group, keyring.mode, keyring.key, keyring.present)


def test_a_keyring_is_made_kept_and_mended(tmp_path):
    keyring = me(declared(tmp_path / "a.keyring", mode="0640"))
    provider = keyrings.Provider([keyring])
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

    gone = keyrings.Provider([keyrings.Keyring(keyring.path, "client.a", present=False)])
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
    mine = me(declared(path))
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


def test_bad_declarations_are_told_together():
    with pytest.raises(Invalid) as error:
        keyrings.parse([{"client": "a", "key": KEY}, {"client": "client.b", "key": "none"}, {"client": "client.c", "key": KEY, "mode": "rw"}])
    assert len(error.value.problems) == 3


def test_settings_of_a_new_conf(tmp_path):
    path = tmp_path / "ceph.conf"
    provider = keyrings.Provider([], str(path), {"fsid": "x", "mon_host": "10.0.0.1", "cluster_network": None})
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
