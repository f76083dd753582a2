# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitors and daemons of a host, real ones. Only systemd is stood in for: the root that the tests run in has none running."""

from __future__ import annotations

import datetime
import json
import pathlib
import shutil
import socket
import struct
import subprocess
import time
import uuid

import pytest
from conftest import Failed

CONF = pathlib.Path("/etc/ceph/ceph.conf")
SETTINGS = "[global]\nmon_data_avail_warn = 1\nmon_data_avail_crit = 0\nmon_host = {}\nmon_cluster_log_file = /dev/null\n"
PROGRAMS = {"ceph-mon": "mon", "ceph-mds": "mds"}


class Systemd:
    """Units as plain processes."""

    def __init__(self, unit) -> None:
        self.unit = unit
        self.processes: dict[str, subprocess.Popen] = {}
        self.enabled: set[str] = set()
        self.starts: list[str] = []

    def units(self, names):
        found = {}
        for name in names:
            process = self.processes.get(name)
            alive = process is not None and process.poll() is None
            found[name] = self.unit(name in self.enabled, alive, "active" if alive else "inactive", process.pid if alive else 0)
        return found

    def start(self, name):
        program, _, identity = name.removesuffix(".service").partition("@")
        self.enabled.add(name)
        self.starts.append(name)
        words = [program, "-f", "-i", identity] if identity else [program]
        self.processes[name] = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    def stop(self, name):
        self.enabled.discard(name)
        self.end(name)

    def restart(self, name):
        self.end(name)
        self.start(name)

    def end(self, name):
        process = self.processes.pop(name, None)
        if process is not None:
            process.terminate()
            process.wait(20)


@pytest.fixture
def systemd(monkeypatch):
    from ansible_collections.cephstack.cloud.plugins.module_utils._host import systemd

    pathlib.Path("/run/ceph").mkdir(exist_ok=True)
    pathlib.Path("/run/ceph").chmod(0o777)
    one = Systemd(systemd.Unit)
    for name in ("units", "start", "stop", "restart"):
        monkeypatch.setattr(systemd, name, getattr(one, name))
    monkeypatch.setattr(systemd, "last_words", lambda name: "")
    yield one
    for name in list(one.processes):
        one.end(name)
    for folder in ("mon", "mds"):
        for path in pathlib.Path("/var/lib/ceph", folder).glob("ceph-*"):
            shutil.rmtree(path)
    shutil.rmtree("/var/lib/ceph/crash/posted")
    pathlib.Path("/var/lib/ceph/crash/posted").mkdir()
    for path in pathlib.Path("/etc/ceph").glob("ceph.c*"):
        path.unlink()


def ids(result):
    return [f"{row['action']} {row['kind']}/{row['name']}" for row in result["changes"]]


def test_monitors_found_join_and_stay(systemd, run):
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import mons

    CONF.write_text(SETTINGS.format("127.0.0.2,127.0.0.3"))
    first = {"name": "a", "address": "127.0.0.2", "public_network": "127.0.0.0/8"}
    second = {"name": "b", "address": "127.0.0.3", "public_network": "127.0.0.0/8"}
    assert mons.survey("a") == {"name": "a", "state": "none", "conf_fsid": None}
    with pytest.raises(Failed, match="not told to bootstrap one"):
        run("ceph_mon", connection={}, **first)

    wanted = ["create mon/a", "create unit/ceph-mon@a.service", "create keyring//etc/ceph/ceph.client.admin.keyring"]
    assert ids(run("ceph_mon", connection={}, check=True, bootstrap=True, **first)) == wanted
    made = run("ceph_mon", connection={}, bootstrap=True, **first)
    assert (ids(made), made["quorum"]) == (wanted, ["a"])
    assert not run("ceph_mon", connection={}, bootstrap=True, **first)["changed"]

    running = mons.survey("a")
    assert (running["state"], running["fsid"], running["monmap"]) == ("running", made["fsid"], ["a"])
    key = pathlib.Path("/etc/ceph/ceph.client.admin.keyring").read_text()
    assert running["key"] in key
    assert running["key"] not in str(made)
    connection = {"mon_host": running["mon_host"], "key": running["key"]}

    with pytest.raises(Failed) as error:
        run(
            "ceph_mon",
            connection=connection,
            fsid="11111111-1c7e-4d36-a5b7-3a8b0f4b8a11",
            **{**second, "address": "127.0.0.2", "public_network": "10.0.0.0/24"},
        )
    assert len(error.value.result["problems"]) == 3
    assert not pathlib.Path("/var/lib/ceph/mon/ceph-b").exists()
    with pytest.raises(Failed, match=r"127\.0\.0\.9"):
        run("ceph_mon", connection={"mon_host": "127.0.0.9", "key": running["key"], "timeout": 3}, **second)
    with pytest.raises(Failed, match="denied"):
        run("ceph_mon", connection={**connection, "key": running["key"][:-8] + "AAAAAAA="}, **second)

    joined = run("ceph_mon", connection=connection, **second)
    assert sorted(joined["quorum"]) == ["a", "b"]
    assert joined["fsid"] == made["fsid"]
    assert not run("ceph_mon", connection=connection, **second)["changed"]

    # a key that is not the cluster's, and a monitor that was stopped
    pathlib.Path("/etc/ceph/ceph.client.admin.keyring").write_text(key.replace(running["key"], running["key"][:-8] + "AAAAAAA="))
    assert ids(run("ceph_mon", connection=connection, check=True, **second)) == ["update keyring//etc/ceph/ceph.client.admin.keyring"]
    run("ceph_mon", connection=connection, **second)
    assert pathlib.Path("/etc/ceph/ceph.client.admin.keyring").read_text() == key

    # keyrings that everybody may read
    admin, own = pathlib.Path("/etc/ceph/ceph.client.admin.keyring"), pathlib.Path("/var/lib/ceph/mon/ceph-b/keyring")
    for path in (admin, own):
        path.chmod(0o644)
    shutil.chown(admin, "ceph", "ceph")
    checked = run("ceph_mon", connection=connection, check=True, **second)
    assert ids(checked) == [f"update keyring/{admin}", f"update keyring/{own}"]
    assert [entry["after"] for entry in checked["diff"]] == [{"owner": "root", "group": "root", "mode": "0600"}, {"mode": "0600"}]
    assert admin.stat().st_mode & 0o777 == 0o644
    text = own.read_text()
    assert run("ceph_mon", connection=connection, **second)["diff"] == checked["diff"]
    assert [(path.owner(), path.stat().st_mode & 0o777) for path in (admin, own)] == [("root", 0o600), ("ceph", 0o600)]
    assert (admin.read_text(), own.read_text()) == (key, text)
    assert not run("ceph_mon", connection=connection, **second)["changed"]
    systemd.end("ceph-mon@a.service")
    systemd.end("ceph-mon@b.service")
    assert mons.survey("a")["state"] == "down"
    systemd.start("ceph-mon@b.service")
    assert ids(run("ceph_mon", connection={}, **first)) == ["update unit/ceph-mon@a.service"]


def await_quorum(size):
    """Wait until mon.a is in a quorum of that size: elections take seconds."""
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import daemons

    end = time.monotonic() + 60
    while len((daemons.ask("mon.a", "mon_status") or {}).get("quorum", [])) != size:
        assert time.monotonic() < end, f"no quorum of {size}"
        time.sleep(0.5)


def test_a_lost_store_is_made_anew_of_the_others_and_never_of_nothing(systemd, run):
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import mons

    CONF.write_text(SETTINGS.format("127.0.0.2,127.0.0.3,127.0.0.4"))
    addresses = {"a": "127.0.0.2", "b": "127.0.0.3", "c": "127.0.0.4"}
    connection = {}
    for name, address in addresses.items():
        made = run("ceph_mon", connection=connection, bootstrap=name == "a", name=name, address=address)
        connection = {"mon_host": mons.survey("a")["mon_host"], "key": mons.survey("a")["key"]}
    await_quorum(3)
    lost = {"name": "c", "address": "127.0.0.4"}

    # under the running daemon, and not all of it
    shutil.rmtree("/var/lib/ceph/mon/ceph-c/store.db")
    assert mons.survey("c")["state"] == "none"
    was = systemd.processes["ceph-mon@c.service"].pid
    wanted = ["create mon/c", "create unit/ceph-mon@c.service"]
    assert ids(run("ceph_mon", connection=connection, check=True, **lost)) == wanted
    joined = run("ceph_mon", connection=connection, **lost)
    assert (ids(joined), joined["fsid"], sorted(joined["quorum"])) == (wanted, made["fsid"], ["a", "b", "c"])
    assert not run("ceph_mon", connection=connection, **lost)["changed"]
    assert systemd.processes["ceph-mon@c.service"].pid != was and pathlib.Path("/var/lib/ceph/mon/.lost-c/keyring").exists()
    shutil.rmtree("/var/lib/ceph/mon/.lost-c")

    # all of them: whoever is told to bootstrap refuses, for the administrator's key says that there was a cluster
    for name in addresses:
        systemd.stop(f"ceph-mon@{name}.service")
        shutil.rmtree(f"/var/lib/ceph/mon/ceph-{name}")
    with pytest.raises(Failed, match=r"there is no data of a monitor: the cluster has lost it\. A new one is not made in its place"):
        run("ceph_mon", connection={}, bootstrap=True, **lost)
    assert not pathlib.Path("/var/lib/ceph/mon/ceph-c").exists()


def test_a_monitor_goes_and_the_last_one_stays(systemd, run, monkeypatch):
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import mon_removal, mons

    CONF.write_text(SETTINGS.format("127.0.0.2,127.0.0.3"))
    addresses = {"a": "127.0.0.2", "b": "127.0.0.3", "c": "127.0.0.4"}
    for name, address in addresses.items():
        connection = {} if name == "a" else {"mon_host": mons.survey("a")["mon_host"], "key": mons.survey("a")["key"]}
        run("ceph_mon", connection=connection, bootstrap=name == "a", name=name, address=address)
    connection = {"mon_host": "127.0.0.2,127.0.0.3,127.0.0.4", "key": mons.survey("a")["key"], "timeout": 20}
    admin, store = pathlib.Path("/etc/ceph/ceph.client.admin.keyring"), pathlib.Path("/var/lib/ceph/mon/ceph-c")

    # one of the others is down: two of three are the quorum, and removing one of those would be the end of it
    systemd.end("ceph-mon@b.service")
    before = store.stat().st_ino
    await_quorum(2)
    with pytest.raises(Failed, match=r"mon\.c must stay: the cluster says: "):
        run("ceph_mon_removal", connection=connection, name="c")
    assert store.stat().st_ino == before
    systemd.start("ceph-mon@b.service")
    await_quorum(3)

    wanted = ["delete mon/c", "delete unit/ceph-mon@c.service", f"delete store/{store}", f"delete keyring/{admin}"]
    assert ids(run("ceph_mon_removal", connection=connection, check=True, name="c")) == wanted
    assert sorted(mons.survey("a")["monmap"]) == ["a", "b", "c"]

    # a run that ends between the monmap and the store
    with monkeypatch.context() as patched:
        patched.setattr(mon_removal.shutil, "rmtree", lambda *args, **more: (_ for _ in ()).throw(OSError("killed")) if len(args) == 1 and not more else None)
        with pytest.raises(Failed, match="killed"):
            run("ceph_mon_removal", connection=connection, name="c")
    assert not store.exists()
    assert pathlib.Path("/var/lib/ceph/mon/.removed-c/store.db").is_dir(), "kept aside"
    assert ids(run("ceph_mon_removal", connection=connection, check=True, name="c")) == wanted[2:]
    done = run("ceph_mon_removal", connection=connection, name="c")
    assert sorted(done["quorum"]) == ["a", "b"]
    assert not pathlib.Path("/var/lib/ceph/mon/.removed-c").exists()
    assert not run("ceph_mon_removal", connection=connection, name="c")["changed"]

    # of two the second goes while both run: stopped first, it could never be removed
    run("ceph_mon_removal", connection=connection, name="b")
    assert mons.survey("a")["monmap"] == ["a"]
    with pytest.raises(Failed, match=r"mon\.a is the only monitor, and the cluster would end with it"):
        run("ceph_mon_removal", connection=connection, name="a")
    assert mons.survey("a")["state"] == "running"
    assert run("ceph_mon_removal", connection=connection, name="nobody", cluster_only=True)["changes"] == []


def test_the_only_metadata_server_of_a_filesystem_stays(systemd, make_cluster, run):
    one = make_cluster(osds=1, conf={"osd_pool_default_size": "1", "mon_allow_pool_size_one": "true", "mon_allow_pool_delete": "true"})
    CONF.write_text(SETTINGS.format(one.mon_host))
    for pool in ("meta", "data"):
        one.command("osd pool create", pool=pool, pg_num=8)
    one.command("fs new", fs_name="files", metadata="meta", data="data")
    run("ceph_daemon", cluster=one, daemons=[{"type": "mds", "id": "only"}])
    one.wait(lambda: one.status()["fsmap"].get("up") == 1, 60, "an active metadata server")
    gone = {"daemons": [{"type": "mds", "id": "only", "state": "absent"}]}
    with pytest.raises(Failed, match=r"mds\.only must stay: the cluster says: "):
        run("ceph_daemon", cluster=one, **gone)
    assert systemd.units(["ceph-mds@only.service"])["ceph-mds@only.service"].active
    run("ceph_daemon", cluster=one, daemons=[{"type": "mds", "id": "other"}])
    one.wait(lambda: one.status()["fsmap"].get("up:standby") == 1, 60, "a standby")
    run("ceph_daemon", cluster=one, **gone)
    one.wait(lambda: one.status()["fsmap"].get("up") == 1 and one.status()["fsmap"]["by_rank"][0]["name"] == "other", 60, "the other to take over")


def test_a_metadata_server_and_its_drift(systemd, cluster, run):
    CONF.write_text(SETTINGS.format(cluster.mon_host))
    name = socket.gethostname().split(".")[0]
    declared = {"daemons": [{"type": "mds"}]}
    keyring = pathlib.Path(f"/var/lib/ceph/mds/ceph-{name}/keyring")
    wanted = [f"create client/mds.{name}", f"create keyring/{keyring}", f"create unit/ceph-mds@{name}.service"]
    assert ids(run("ceph_daemon", check=True, **declared)) == wanted
    assert not keyring.exists()
    made = run("ceph_daemon", **declared)
    assert ids(made) == wanted
    assert made["daemons"][0]["running"]
    assert not run("ceph_daemon", **declared)["changed"]
    starts = len(systemd.starts)

    # drift: wider caps change the cluster only, a wrong key restarts the daemon
    cluster.command("auth caps", entity=f"mds.{name}", caps=["mon", "allow *", "mds", "allow", "osd", "allow *"])
    checked = run("ceph_daemon", check=True, **declared)
    assert ids(checked) == [f"update client/mds.{name}"]
    assert run("ceph_daemon", **declared)["diff"] == checked["diff"]
    assert len(systemd.starts) == starts
    right = keyring.read_text()
    keyring.write_text(f"[mds.{name}]\n\tkey = AQCnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw==\n")
    checked = run("ceph_daemon", check=True, **declared)
    assert ids(checked) == [f"update keyring/{keyring}", f"update unit/ceph-mds@{name}.service"]
    assert "AQ" not in str(checked["diff"])
    run("ceph_daemon", **declared)
    assert keyring.read_text() == right
    assert len(systemd.starts) == starts + 1
    assert not run("ceph_daemon", **declared)["changed"]

    # what it reads only at its start
    first = {"daemons": [{"type": "mds", "restart_on": "a"}]}
    assert ids(run("ceph_daemon", **first)) == [f"create stamp/ceph-mds@{name}.service"]
    second = run("ceph_daemon", daemons=[{"type": "mds", "restart_on": "b"}])
    assert [(row["kind"], row["risk"]) for row in second["changes"]] == [("unit", "restart")]
    assert len(systemd.starts) == starts + 2

    gone = {"daemons": [{"type": "mds", "state": "absent"}]}
    run("ceph_daemon", **gone)
    assert not keyring.parent.exists()
    assert f"mds.{name}" not in [entry["entity"] for entry in cluster.command("auth ls")["auth_dump"]]
    assert not run("ceph_daemon", **gone)["changed"]


def test_a_host_is_compared_as_the_modules_would_change_it(systemd, cluster, run):
    """What differs is what the modules would change, by the same ids; what cannot be compared differs."""
    CONF.write_text(SETTINGS.format(cluster.mon_host))
    name = socket.gethostname().split(".")[0]
    host = {
        "apt_packages": {"packages": ["ceph-mds", "ceph-mon"]},
        "ceph_keyrings": {"settings": {"fsid": cluster.fsid}},
        "ceph_daemon": {"daemons": [{"type": "mds"}], "crash_reports": True},
    }

    def would_change():
        changes = (
            run("ceph_keyrings", check=True, connection=False, **host["ceph_keyrings"])["changes"]
            + run("ceph_daemon", check=True, **host["ceph_daemon"])["changes"]
        )
        return sorted(f"{change['kind']}/{change['name']}" for change in changes)

    before = run("ceph_host_info", **host)
    assert not before["as_declared"] and sorted(before["differs"]) == would_change() and f"client/mds.{name}" in before["differs"]
    run("ceph_keyrings", connection=False, **host["ceph_keyrings"])
    run("ceph_daemon", **host["ceph_daemon"])
    for check in (False, True):
        same = run("ceph_host_info", check=check, **host)
        assert (same["as_declared"], same["differs"]) == (True, [])

    systemd.end(f"ceph-mds@{name}.service")
    pathlib.Path(f"/var/lib/ceph/mds/ceph-{name}/keyring").chmod(0o644)
    CONF.write_text(SETTINGS.format(cluster.mon_host))
    drifted = run("ceph_host_info", **host)
    assert not drifted["as_declared"] and sorted(drifted["differs"]) == would_change()
    assert drifted["differs"][0] == "conf//etc/ceph/ceph.conf" and f"unit/ceph-mds@{name}.service" in drifted["differs"]

    missing = run("ceph_host_info", **{**host, "apt_packages": {"packages": ["ceph-mds", "radosgw-that-is-not-there"]}})
    assert (missing["as_declared"], missing["differs"]) == (False, ["packages"])
    silent = run("ceph_host_info", connection={"mon_host": "127.0.0.9", "key": cluster.admin_key, "timeout": 2}, **host)
    assert not silent["as_declared"] and "cannot connect" in silent["differs"][0]
    wrong = run("ceph_host_info", **{**host, "ceph_osds": {"devices": [{"path": "sdb"}]}})
    assert not wrong["as_declared"] and "no absolute path" in wrong["differs"][0]
    with pytest.raises(Failed) as error:
        run("ceph_host_info", ceph_daemon={"daemons": [{"type": "osd"}]}, ceph_mon={}, ceph_keyrings={"keyrings": []})
    assert len(error.value.result["problems"]) == 3, error.value.result

    run("ceph_daemon", daemons=[{"type": "mds", "state": "absent"}])
    cluster.command("auth rm", entity=f"client.crash.{socket.gethostname()}")  # the next test makes it


def test_daemons_with_a_monitor_that_is_gone_or_a_wrong_key(systemd, cluster, run):
    with pytest.raises(Failed, match="cannot connect"):
        run("ceph_daemon", connection={"mon_host": "127.0.0.9", "key": cluster.admin_key, "timeout": 2}, daemons=[{"type": "mds"}])
    cluster.command("auth get-or-create", entity="client.weak", caps=["mon", "allow r"])
    key = cluster.command("auth get", entity="client.weak")[0]["key"]
    with pytest.raises(Failed, match="auth ls"):
        run("ceph_daemon", connection={**cluster.connection, "client": "client.weak", "key": key}, daemons=[{"type": "mds"}])


def report(name: str, folder: pathlib.Path | None = None, **more) -> dict:
    """A crash report of this host as it was made a moment ago; whole, in Ceph's own folder, where one is given."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    whole = {"crash_id": f"{now}_{name}", "timestamp": now, "utsname_hostname": socket.gethostname(), "ceph_version": "18.2.7", "backtrace": [], **more}
    if folder is not None:
        made = folder / whole["crash_id"]
        made.mkdir(mode=0o700)
        (made / "meta").write_text(json.dumps(whole))
        (made / "done").touch()
        for path in (made, *made.iterdir()):
            shutil.chown(path, "ceph", "ceph")
    return whole


FALSE = {
    "process_name": "ceph-mgr",
    "entity_name": "mgr.x",
    "mgr_module": "test_orchestrator",
    "mgr_module_caller": "PyModule::load_subclass_of",
    "mgr_python_exception": "AttributeError",
}
REAL = {"process_name": "ceph-osd", "entity_name": "osd.3", "backtrace": ["/lib/libc.so.6(+0x3fcd0)", "abort()"]}


def test_crash_reports_reach_the_cluster_and_false_alarms_do_not(systemd, cluster, run):
    CONF.write_text(SETTINGS.format(cluster.mon_host))
    folder, hostname = pathlib.Path("/var/lib/ceph/crash"), socket.gethostname()
    keyring = pathlib.Path(f"/etc/ceph/ceph.client.crash.{hostname}.keyring")
    assert (folder / "posted").owner() == "root"  # as Debian's package leaves it
    real, false = report("real", folder, **REAL), report("false", folder, **FALSE)
    wanted = [f"create client/client.crash.{hostname}", "update folder//var/lib/ceph/crash/posted", "update crash_reports/waiting", f"create keyring/{keyring}"]
    wanted.append("update unit/ceph-crash.service")
    declared = {"crash_reports": True}
    checked = run("ceph_daemon", check=True, **declared)
    assert sorted(ids(checked)) == sorted(wanted)
    assert not keyring.exists() and (folder / false["crash_id"]).exists()
    made = run("ceph_daemon", **declared)
    assert made["diff"] == checked["diff"] and made["crash_client"] == f"client.crash.{hostname}"
    assert keyring.read_text().partition("key = ")[2].strip() not in str(made)
    assert not run("ceph_daemon", **declared)["changed"]

    # the real one is posted, by ceph-crash itself with that key, and both are set aside
    cluster.wait(lambda: not (folder / real["crash_id"]).exists(), 60, "ceph-crash to post the report")
    assert sorted(path.name for path in (folder / "posted").iterdir()) == sorted([real["crash_id"], false["crash_id"]])
    assert [entry["crash_id"] for entry in cluster.mgr_command("crash ls")] == [real["crash_id"]]

    # drift by hand
    cluster.command("auth caps", entity=f"client.crash.{hostname}", caps=["mon", "allow *", "mgr", "profile crash"])
    keyring.chmod(0o644)
    shutil.chown(folder / "posted", "root")
    checked = run("ceph_daemon", check=True, **declared)
    assert sorted(ids(checked)) == [
        "update client/client.crash." + hostname,
        "update folder//var/lib/ceph/crash/posted",
        f"update keyring/{keyring}",
    ]
    assert run("ceph_daemon", **declared)["diff"] == checked["diff"]
    assert not run("ceph_daemon", **declared)["changed"]

    # a false alarm that somebody with another key has posted is archived, and nothing else is
    late = report("late", **FALSE)
    elsewhere = report("elsewhere", **{**FALSE, "utsname_hostname": "another"})
    for one in (late, elsewhere):
        cluster.mgr_command("crash post", inbuf=json.dumps(one).encode())
    cluster.wait(lambda: "RECENT_CRASH" in cluster.command("health")["checks"], 60, "the warning")
    checked = run("ceph_daemon", check=True, **declared)
    assert ids(checked) == ["update crash_reports/new"]
    assert checked["diff"][0]["before"] == {"new": [f"{late['crash_id']} (mgr module test_orchestrator)"]}
    run("ceph_daemon", **declared)
    new = [entry["crash_id"] for entry in cluster.mgr_command("crash ls-new")]
    assert sorted(new) == sorted([real["crash_id"], elsewhere["crash_id"]])
    assert not run("ceph_daemon", **declared)["changed"]
    for one in new:
        cluster.mgr_command("crash archive", id=one)


def test_a_manager_that_starts_reports_no_crash(cluster):
    """Active or waiting, first start or not: what the role gives a manager keeps it from tripping over the distribution's Python."""
    cluster.add_mgr("second")
    try:
        cluster.wait(lambda: any(one["name"] == "second" for one in cluster.command("mgr dump")["standbys"]), 60, "the second manager")
        assert [path.read_text() for path in cluster.dir.glob("*Z_*/meta")] == []
    finally:
        cluster.stop("mgr.second")


def label(osd: int, uuid: str, fsid: str) -> bytes:
    """BlueStore's label as an OSD of this cluster has it."""

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode()

    notes = {"ceph_fsid": fsid, "whoami": str(osd)}
    body = bytes(16) + struct.pack("<QII", 1 << 30, 0, 0) + text("main") + struct.pack("<I", len(notes))
    body += b"".join(text(name) + text(value) for name, value in notes.items())
    return (b"bluestore block device\n" + uuid.encode() + b"\n" + struct.pack("<BBI", 2, 1, len(body)) + body).ljust(1 << 20, b"\0")


def test_24_devices_that_need_nothing(systemd, make_cluster, run, tmp_path, monkeypatch):
    """A host with 24 OSDs: their devices are files here, all else is read as from devices. Nothing runs ceph-volume."""
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import devices as devices_of_host
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import keyring_files, osds
    from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
    from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import drop_in_path
    from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret

    cluster = make_cluster(osds=0, mgr=False)
    monkeypatch.setattr(devices_of_host, "_real", lambda path: path if pathlib.Path(path).exists() else None)
    monkeypatch.setattr(process, "installed", lambda program: True if program == "ceph-volume" else shutil.which(program) is not None)
    devices = [{"path": str(tmp_path / f"disk{number}"), "type": "raw"} for number in range(24)]
    folders = []
    log = pathlib.Path("/var/log/ceph/ceph-volume.log")
    before = log.read_text() if log.exists() else ""
    try:
        for number, device in enumerate(devices):
            identity = str(uuid.uuid4())
            cluster.command("osd new", uuid=identity, id=number)
            key = cluster.command("auth get-or-create", entity=f"osd.{number}", caps=["mon", "allow profile osd", "osd", "allow *"])[0]["key"]
            pathlib.Path(device["path"]).write_bytes(label(number, identity, cluster.fsid))
            unit = osds.unit_name(number)
            systemd.enabled.add(unit)
            systemd.processes[unit] = subprocess.Popen(["sleep", "120"])
            keyring_files.write(osds.keyring_place(number), Secret(key))
            files.write(drop_in_path(unit), osds.drop_in_text(osds.Device(device["path"], "raw")), 0o644)
            folders += [pathlib.Path(osds.data_path(number)), pathlib.Path(drop_in_path(unit)).parent]
        key = cluster.command("auth get-or-create", entity=osds.BOOTSTRAP, caps=osds.BOOTSTRAP_CAPS)[0]["key"]
        keyring_files.write(osds.bootstrap_place(), Secret(key))

        result = run("ceph_osds", check=True, cluster=cluster, devices=devices)
        assert result["changes"] == []
        assert [row["id"] for row in result["osds"]] == list(range(24))
        assert (log.read_text() if log.exists() else "") == before

        # one device of another cluster, one that is gone, one with a filesystem: refused by name, together
        foreign = str(uuid.uuid4())
        pathlib.Path(devices[3]["path"]).write_bytes(label(3, foreign, foreign))
        pathlib.Path(devices[5]["path"]).unlink()
        pathlib.Path(devices[7]["path"]).write_bytes(bytes(16 << 20))
        subprocess.run(["mkfs.ext4", "-q", "-F", devices[7]["path"]], check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        with pytest.raises(Failed) as error:
            run("ceph_osds", check=True, cluster=cluster, devices=devices)
        problems = error.value.result["problems"]
        assert [problem.split(":")[0] for problem in problems] == [devices[number]["path"] for number in (3, 5, 7)]
        assert foreign in problems[0]
        assert "no such device" in problems[1]
        assert "ext4" in problems[2]
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def test_the_label_of_a_real_osd_is_read_and_wiped(tmp_path):
    """BlueStore's label as this release writes it; from 20 on there is a copy at 1 GiB."""
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import devices

    block = tmp_path / "block"
    with block.open("wb") as file:
        file.truncate(2 << 30)
    CONF.write_text("[global]\n")
    identity, fsid = str(uuid.uuid4()), str(uuid.uuid4())
    words = ["ceph-osd", "-i", "7", "--mkfs", "--osd-objectstore", "bluestore", "--osd-data", str(tmp_path), "--osd-uuid", identity, "--fsid", fsid]
    subprocess.run([*words, "--no-mon-config", "--setuser", "root", "--setgroup", "root"], check=True, capture_output=True)
    found = devices.read_label(str(block))
    assert (found["osd_uuid"], found["description"], found["whoami"], found["ceph_fsid"]) == (identity, "main", "7", fsid)
    show = ["ceph-bluestore-tool", "show-label", "--dev", str(block)]
    assert identity in subprocess.run(show, check=True, capture_output=True, text=True).stdout
    devices.wipe(str(block))
    assert devices.read_label(str(block)) is None
    assert identity not in subprocess.run(show, check=False, capture_output=True, text=True).stdout
