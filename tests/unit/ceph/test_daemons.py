# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, daemons, keyring_files
from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk, Secret

RUNS = systemd.Unit(True, True, "active", 1)
MGR = daemons.KINDS["mgr"].caps
FILE = keyring_files.File(True, Secret("AQ=="), "ceph", "ceph", "0600")
GOOD = daemons.State(key=Secret("AQ=="), caps=MGR, file=FILE, folder=True, unit=RUNS, running="18.2.7")


class Cluster:
    """Stands for an open connection; planning sends nothing."""


def plan(state, entry=None, shim="", shim_only=False, **observed):
    (daemon,) = daemons.parse([{"type": "mgr", **(entry or {})}], "ceph1")
    provider = daemons.Provider([daemon], Cluster(), shim=shim, shim_only=shim_only)
    return provider.plan(daemons.Observed({daemon.entity: state}, **{"installed": {"ceph-mgr": "18.2.7"}, **observed}))


def ids(made):
    return [change.id for change in made.changes]


def test_a_good_daemon_needs_nothing():
    assert not plan(GOOD)


def test_a_daemon_that_began_before_its_keyring_was_written_restarts():
    """A run that was ended in between has left it so."""
    assert ids(plan(dataclasses.replace(GOOD, older=True))) == ["unit/ceph-mgr@ceph1.service"]


def test_a_new_daemon():
    made = plan(daemons.State())
    assert [row["stage"] for row in made.rows()] == [1, 2, 3]
    assert ids(made) == ["client/mgr.ceph1", "keyring//var/lib/ceph/mgr/ceph-ceph1/keyring", "unit/ceph-mgr@ceph1.service"]


def test_a_keyring_that_is_not_the_clusters_is_mended_and_the_daemon_restarted():
    made = plan(dataclasses.replace(GOOD, file=dataclasses.replace(FILE, key=Secret("AQbad="))))
    assert [(change.kind, change.risk) for change in made.changes] == [("keyring", Risk.NONE), ("unit", Risk.RESTART)]
    assert "AQ" not in str(made.diff())


def test_permissions_are_mended_without_a_restart():
    (change,) = plan(dataclasses.replace(GOOD, file=dataclasses.replace(FILE, mode="0644"))).changes
    assert (change.before, change.after) == ({"mode": "0644"}, {"mode": "0600"})


def test_wider_caps_are_seen_and_the_spelling_is_not():
    (change,) = plan(dataclasses.replace(GOOD, caps={**MGR, "mon": "allow *", "mgr": "allow *"})).changes
    assert change.before == {"mon": "allow *", "mgr": "allow *"}
    assert change.after == {"mon": "allow profile mgr", "mgr": None}
    assert not plan(dataclasses.replace(GOOD, caps={name: text.replace(" ", "  ") for name, text in MGR.items()}))


def test_a_stopped_daemon_is_started():
    (change,) = plan(dataclasses.replace(GOOD, unit=systemd.Unit(True, False, "failed", 0))).changes
    assert (change.before, change.after, change.risk) == ({"running": False}, {"running": True}, Risk.NONE)


@pytest.mark.parametrize(("stamp", "expected"), [("a", []), ("b", ["unit/ceph-mgr@ceph1.service"]), (None, ["stamp/ceph-mgr@ceph1.service"])])
def test_a_restart_when_what_it_reads_changed(stamp, expected):
    assert ids(plan(dataclasses.replace(GOOD, stamp=stamp), {"restart_on": "a"})) == expected


def test_another_version_is_left_to_the_playbook_restart():
    assert not plan(dataclasses.replace(GOOD, running="18.2.6"))


def test_an_absent_daemon_goes_whole():
    made = plan(GOOD, {"state": "absent"})
    assert ids(made) == ["unit/ceph-mgr@ceph1.service", "client/mgr.ceph1", "keyring//var/lib/ceph/mgr/ceph-ceph1/keyring"]
    assert not plan(daemons.State(), {"state": "absent"}, installed={})


def test_what_is_not_installed_is_told():
    with pytest.raises(Invalid, match="ceph-mgr is not installed"):
        plan(GOOD, installed={"ceph-mgr": ""})


@pytest.mark.parametrize(
    ("ceph", "bcrypt", "python", "why"),
    [
        ("18.2.7", "4.2.0", (3, 13), "bcrypt"),
        ("18.2.7", "4.2.0", (3, 12), "bcrypt"),
        ("19.2.1", "4.0.1", (), "bcrypt"),
        ("20.2.4", "5.0.0", (3, 14), "reports a crash"),
        ("18.2.7", "", (3, 13), "reports a crash"),
        ("16.2.15", "3.2.2", (3, 11), ""),
        ("16.2.15", "3.2.2", (3, 13), ""),
        ("20.2.4", "5.0.0", (3, 12), ""),
        ("20.2.4", "5.0.0", (), ""),
        ("21.1.0", "5.0.0", (3, 14), ""),
        ("18.2.7", "", (3, 11), ""),
        ("", "4.2.0", (3, 13), ""),
    ],
)
def test_which_managers_need_the_shim(ceph, bcrypt, python, why):
    said = daemons.needs_shim(ceph, bcrypt, python)
    assert why in said and bool(said) is bool(why)


def test_the_shim_comes_with_a_restart_and_restful_goes():
    made = plan(GOOD, shim="text", shim_needed="because", restful=True)
    assert ids(made) == ["drop_in/ceph-mgr@.service", "mgr_module/restful", "unit/ceph-mgr@ceph1.service"]
    assert not plan(GOOD, shim="text", shim_needed="because", shim_texts={"bcrypt.py": "text"}, drop_in=daemons.SHIM_DROP_IN)


def test_a_later_release_reads_the_shim_by_another_name():
    assert [daemons.shim_file(version) for version in ("16.2.15", "18.2.7", "20.2.4", "", "?")] == [*["bcrypt.py"] * 2, "sitecustomize.py", *["bcrypt.py"] * 2]
    had = {"shim_texts": {"bcrypt.py": "text"}, "drop_in": daemons.SHIM_DROP_IN}
    made = plan(GOOD, shim="text", shim_needed="because", shim_file="sitecustomize.py", **had)
    assert ids(made) == ["drop_in/ceph-mgr@.service", "unit/ceph-mgr@ceph1.service"]
    assert made.diff()[0]["after"] == {"bcrypt.py": None, "sitecustomize.py": "text"}


@pytest.mark.parametrize("state", [GOOD, dataclasses.replace(GOOD, unit=systemd.NO_UNIT)], ids=["it runs", "it is stopped"])
def test_the_shim_alone_waits_for_the_next_start(state):
    made = plan(state, shim="text", shim_only=True, shim_needed="because", restful=True)
    assert ids(made) == ["drop_in/ceph-mgr@.service"]
    made = plan(state, shim="text", shim_only=True, shim_needed="", shim_texts={"bcrypt.py": "text"}, drop_in=daemons.SHIM_DROP_IN)
    assert [(change.id, change.action) for change in made.changes] == [("drop_in/ceph-mgr@.service", "delete")]


def test_the_shim_goes_when_it_is_no_longer_needed():
    made = plan(GOOD, shim="text", shim_needed="", shim_texts={"bcrypt.py": "text"}, drop_in=daemons.SHIM_DROP_IN)
    assert [(change.id, change.action) for change in made.changes] == [("drop_in/ceph-mgr@.service", "delete"), ("unit/ceph-mgr@ceph1.service", "update")]
    assert not plan(GOOD, shim="text", shim_needed="", drop_in="[Service]\nNice=1\n")


def test_bad_declarations_are_told_together():
    with pytest.raises(Invalid) as error:
        daemons.parse([{"type": "mgr"}, {"type": "mgr", "id": "ceph1"}, {"type": "rgw", "id": "s3"}, {"type": "mds", "id": "a b"}], "ceph1")
    assert len(error.value.problems) == 3


def test_names_of_a_gateway():
    (daemon,) = daemons.parse([{"type": "rgw", "id": "rgw.ceph1.s3"}], "ceph1")
    assert daemon.entity == "client.rgw.ceph1.s3"
    assert daemon.unit == "ceph-radosgw@rgw.ceph1.s3.service"
    assert daemon.place.path == "/var/lib/ceph/radosgw/ceph-rgw.ceph1.s3/keyring"


def test_a_key_of_another_type_is_replaced_and_the_daemon_restarts():
    """In one go; and one that was replaced by a run that was ended then is written by the next."""
    old, new = (Secret(clients.new_key(kind)) for kind in ("aes", "aes256k"))
    provider = daemons.Provider(daemons.parse([{"type": "mgr"}], "ceph1"), Cluster(), key_type="aes256k")

    def found(key, file):
        state = dataclasses.replace(GOOD, key=key, file=dataclasses.replace(FILE, key=file))
        return ids(provider.plan(daemons.Observed({"mgr.ceph1": state}, {"ceph-mgr": "20.2.4"})))

    rest = ["keyring//var/lib/ceph/mgr/ceph-ceph1/keyring", "unit/ceph-mgr@ceph1.service"]
    assert found(old, old) == ["key/mgr.ceph1", *rest]
    assert found(new, old) == rest
    assert found(new, new) == []
