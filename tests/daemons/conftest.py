# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Ceph for the tests: one mon, one mgr and three OSDs, in a temporary folder. Start it by tests/daemons/run.

How a test uses it:

    def test_a_pool(cluster, run):
        assert run("ceph_cluster", pools=[{"name": "a"}])["changed"]            # the real module, against the cluster
        assert run("ceph_cluster", check=True, pools=[{"name": "a"}])["changes"] == []
        cluster.command("osd pool set", pool="a", var="min_size", val="1")     # drift, by hand
        with pytest.raises(Failed, match="unreachable"): ...                    # from conftest import Failed

cluster      one cluster for the whole run (started on first use); tests share it, so give your objects your own names.
make_cluster make_cluster(osds=1, mgr=False, conf={...}) -> a cluster of your own, gone at the end of the test.
run          run(module, check=False, connection=None, cluster=None, **options) -> the module's result. Raises Failed (with .result)
             where the module failed. connection defaults to the shared cluster as client.admin, with the key given as text.

The OSDs stand on hosts host0, host1, host2 of the CRUSH map. Data is kept in memory (memstore). The cluster's fields and methods:
dir, fsid, mon_host, release (18), connection (a module's option), admin_key, command(prefix, **arguments), mgr_command, cli("osd", "ls"),
spawn(name, argv), stop(name), start(name) (names: mon.a, mgr.x, osd.0 …), wait(check, seconds, what), wait_clean().
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import pytest

REPO = pathlib.Path(os.environ.get("CEPHSTACK_REPO", pathlib.Path(__file__).resolve().parents[2]))

# Debian 13's 18.2.7 loads no mgr module as it is: bcrypt refuses subinterpreters. See roles/ceph_mgr/files/bcrypt.py.
_SHIM = REPO / "roles" / "ceph_mgr" / "files" / "bcrypt.py"
_SHIM_TEXT = "def __getattr__(name):\n    raise AttributeError(name)\n"


class Failed(AssertionError):
    """A module ended with failed=true; its whole result is in result."""

    def __init__(self, result: dict) -> None:
        self.result = result
        super().__init__(result.get("msg", str(result)))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Cluster:
    """A cluster in a temporary folder. Everything it starts ends with stop_all()."""

    def __init__(self, osds: int = 3, mgr: bool = True, conf: dict | None = None) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="ceph-"))
        self.fsid = str(uuid.uuid4())
        self.osds = osds
        self.mgr = mgr
        v2, v1 = _free_ports(2)
        self.mon_host = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]"
        self.conf = self.dir / "ceph.conf"
        version = subprocess.run(["ceph", "--version"], capture_output=True, text=True, check=True).stdout
        self.release = int(re.search(r"version (\d+)", version).group(1))
        self._argv: dict[str, list[str]] = {}
        self._env: dict[str, dict] = {}
        self._processes: dict[str, subprocess.Popen] = {}
        self._rados = None
        settings = {
            "fsid": self.fsid,
            "mon_host": self.mon_host,
            "mon_initial_members": "a",
            "run_dir": str(self.dir),
            "admin_socket": str(self.dir / "$name.asok"),
            "log_file": str(self.dir / "$name.log"),
            "log_to_stderr": "false",
            "mon_cluster_log_file": str(self.dir / "cluster.log"),
            "crash_dir": str(self.dir),
            "mon_data": str(self.dir / "mon.$id"),
            "mgr_data": str(self.dir / "mgr.$id"),
            "osd_data": str(self.dir / "osd.$id"),
            "osd_objectstore": "memstore",
            "memstore_device_bytes": str(4 << 30),
            "osd_pool_default_pg_num": "8",
            "osd_memory_target": "939524096",
            "auth_allow_insecure_global_id_reclaim": "false",
            "mon_data_avail_warn": "1",
            "mon_data_avail_crit": "0",
            "mon_max_pg_per_osd": "2000",  # every file makes pools of its own, and the autoscaler lets each grow
            "mgr_initial_modules": "iostat",
            # A real cluster gathers changes for up to a second before it votes; tests don't have to wait for that.
            "paxos_propose_interval": "0.1",
            "paxos_min_wait": "0.02",
            "ms_bind_ipv6": "false",
            **(conf or {}),
        }
        self.conf.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
        self.keyring = self.dir / "keyring"

    # -- life

    def begin(self) -> Cluster:
        """Start it all. An OSD starts beside the mgr; nothing is waited for that isn't needed."""
        tool = ["ceph-authtool", str(self.keyring)]
        mon_keyring = self.dir / "mon.keyring"
        subprocess.run(["ceph-authtool", "-C", str(mon_keyring), "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"], check=True, stdout=subprocess.DEVNULL)
        caps = [argument for daemon in ("mon", "osd", "mds", "mgr") for argument in ("--cap", daemon, "allow *")]
        subprocess.run([*tool, "-C", "--gen-key", "-n", "client.admin", *caps], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ceph-authtool", str(mon_keyring), "--import-keyring", str(self.keyring)], check=True, stdout=subprocess.DEVNULL)
        self.admin_key = re.search(r"key = (\S+)", self.keyring.read_text()).group(1)
        monmap = str(self.dir / "monmap")
        subprocess.run(
            ["monmaptool", "--create", "--clobber", "--fsid", self.fsid, "--addv", "a", self.mon_host, monmap], check=True, stdout=subprocess.DEVNULL
        )
        (self.dir / "mon.a").mkdir()
        base = ["-c", str(self.conf)]
        subprocess.run(["ceph-mon", *base, "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", str(mon_keyring)], check=True)
        self.spawn("mon.a", ["ceph-mon", *base, "-i", "a", "-f"])
        if self.mgr:
            self.add_mgr("x")
        for number in range(self.osds):
            self.add_osd(number)
        self.wait(lambda: self.status()["osdmap"]["num_up_osds"] == self.osds, 60, "the OSDs to be up")
        if self.mgr:
            self.wait(lambda: self.command("mgr stat").get("available"), 60, "an active manager")
        return self

    def add_mgr(self, name: str) -> None:
        data = self.dir / f"mgr.{name}"
        data.mkdir()
        made = self.command("auth get-or-create", entity=f"mgr.{name}", caps=["mon", "allow profile mgr", "osd", "allow *", "mds", "allow *"])
        (data / "keyring").write_text(f"[mgr.{name}]\n\tkey = {made[0]['key']}\n")
        environment = dict(os.environ)
        if self.release >= 18:
            shim = self.dir / "shim"
            shim.mkdir(exist_ok=True)
            (shim / "bcrypt.py").write_text(_SHIM.read_text() if _SHIM.exists() else _SHIM_TEXT)
            environment["PYTHONPATH"] = str(shim)  # and nothing else: the tests' own path is not the manager's
            environment["CEPH_ARGS"] = "--mgr-disabled-modules=restful"
        else:
            environment.pop("PYTHONPATH", None)
        self.spawn(f"mgr.{name}", ["ceph-mgr", "-c", str(self.conf), "-i", name, "-f"], environment)

    def add_osd(self, number: int, host: str | None = None) -> None:
        data = self.dir / f"osd.{number}"
        data.mkdir()
        identity = str(uuid.uuid4())
        self.command("osd new", uuid=identity, id=number)
        made = self.command("auth get-or-create", entity=f"osd.{number}", caps=["mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"])
        (data / "keyring").write_text(f"[osd.{number}]\n\tkey = {made[0]['key']}\n")
        place = f"--crush-location=root=default host={host or f'host{number}'}"
        base = ["ceph-osd", "-c", str(self.conf), "-i", str(number), "--osd-uuid", identity]
        subprocess.run(
            [*base, "--mkfs", "--no-mon-config", "--setuser", "root", "--setgroup", "root"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.spawn(f"osd.{number}", [*base, place, "-f"])

    def add_mon(self, name: str) -> None:
        """Let another monitor join, and return when it is in quorum."""
        v2, v1 = _free_ports(2)
        address, monmap = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]", str(self.dir / f"monmap.{name}")
        self.cli("mon", "getmap", "-o", monmap)
        (self.dir / f"mon.{name}").mkdir()
        base = ["ceph-mon", "-c", str(self.conf), "-i", name]
        subprocess.run([*base, "--mkfs", "--monmap", monmap, "--keyring", str(self.dir / "mon.keyring")], check=True)
        self.spawn(f"mon.{name}", [*base, "-f", "--public-addrv", address])
        self.wait(lambda: name in self.command("quorum_status")["quorum_names"], 60, f"mon.{name} in quorum")
        text = self.conf.read_text()
        self.conf.write_text(text.replace(f"mon_host = {self.mon_host}", f"mon_host = {self.mon_host},{address}"))
        self.mon_host = f"{self.mon_host},{address}"

    def add_mds(self, name: str) -> None:
        """Start a metadata server, and return when the cluster knows it."""
        data = self.dir / f"mds.{name}"
        data.mkdir()
        caps = ["mon", "allow profile mds", "mgr", "allow profile mds", "mds", "allow", "osd", "allow rw tag cephfs *=*"]
        made = self.command("auth get-or-create", entity=f"mds.{name}", caps=caps)
        (data / "keyring").write_text(f"[mds.{name}]\n\tkey = {made[0]['key']}\n")
        self.spawn(f"mds.{name}", ["ceph-mds", "-c", str(self.conf), "-i", name, "--mds-data", str(data), "-f"])

        def known() -> bool:
            dump = self.command("fs dump")
            return name in {info["name"] for info in (*dump["standbys"], *(one for fs in dump["filesystems"] for one in fs["mdsmap"]["info"].values()))}

        self.wait(known, 30, f"mds.{name} to report")

    def spawn(self, name: str, argv: list[str], env: dict | None = None) -> None:
        """Start a process that ends with the cluster. Its output goes to NAME.out in dir."""
        self._argv[name] = argv
        self._env[name] = env or dict(os.environ)
        self.start(name)

    def start(self, name: str) -> None:
        with (self.dir / f"{name}.out").open("ab") as out:
            # Debian builds osd_class_dir as a relative path: an OSD finds its classes (rbd, lock …) only from /, as under systemd.
            self._processes[name] = subprocess.Popen(self._argv[name], env=self._env[name], stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd="/")

    def stop(self, name: str, how: int = signal.SIGTERM) -> None:
        process = self._processes.pop(name)
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self) -> None:
        if self._rados is not None:
            self._rados.shutdown()
            self._rados = None
        for name in list(self._processes):
            self.stop(name, signal.SIGKILL)
        keep = os.environ.get("CEPHSTACK_KEEP")
        if keep:
            shutil.copytree(self.dir, keep, dirs_exist_ok=True, ignore=lambda folder, names: [name for name in names if name.endswith(".asok")])
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- questions

    @property
    def connection(self) -> dict:
        """The modules' option connection, as client.admin."""
        return {"mon_host": self.mon_host, "client": "client.admin", "key": self.admin_key, "timeout": 20}

    @property
    def rados(self):
        import rados  # only the root has it

        if self._rados is None:
            one = rados.Rados(name="client.admin", conffile=str(self.conf), conf={"key": self.admin_key, "client_mount_timeout": "30"})
            one.connect(timeout=30)
            self._rados = one
        return self._rados

    def _send(self, send, prefix: str, inbuf: bytes, arguments: dict):
        code, out, text = send(json.dumps({"prefix": prefix, "format": "json", **arguments}), inbuf, timeout=30)
        if code:
            raise RuntimeError(f"{prefix} {arguments}: {code} {text}")
        try:
            return json.loads(out)
        except ValueError:
            return out.decode() or text

    def command(self, prefix: str, inbuf: bytes = b"", **arguments):
        """Send a monitor command; JSON where it gives some."""
        return self._send(self.rados.mon_command, prefix, inbuf, arguments)

    def mgr_command(self, prefix: str, inbuf: bytes = b"", **arguments):
        return self._send(self.rados.mgr_command, prefix, inbuf, arguments)

    def cli(self, *argv: str) -> str:
        """Run the ceph command line as client.admin."""
        base = ["ceph", "-c", str(self.conf), "-k", str(self.keyring)]
        return subprocess.run([*base, *argv], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""}).stdout

    def status(self) -> dict:
        return self.command("status")

    def wait(self, check, seconds: float, what: str):
        """Wait until check() is true, and return what it gave. Fails naming what was waited for, and shows the daemons' output."""
        end = time.monotonic() + seconds
        while True:
            found = check()
            if found:
                return found
            if time.monotonic() > end:
                output = "\n".join(f"{path.name}: {path.read_text(errors='replace')[-800:]}" for path in self.dir.glob("*.out"))
                raise AssertionError(f"waited {seconds} s for {what}\n{json.dumps(self.status(), indent=1)[:3000]}\n{output}")
            time.sleep(0.1)

    def wait_clean(self, seconds: float = 60) -> None:
        """Wait until every placement group is active+clean."""

        def clean() -> bool:
            pgs = self.status()["pgmap"]
            return all(state["state_name"].startswith("active+clean") for state in pgs["pgs_by_state"]) and pgs["num_pgs"] > 0

        self.wait(clean, seconds, "active+clean")


@pytest.fixture(scope="session")
def cluster():
    """The cluster that the tests share."""
    one = Cluster()
    try:
        yield one.begin()
    finally:
        one.stop_all()


@pytest.fixture
def make_cluster():
    """Make clusters for one test alone."""
    made: list[Cluster] = []

    def make(**options) -> Cluster:
        one = Cluster(**options)
        made.append(one)
        return one.begin()

    yield make
    for one in made:
        one.stop_all()


@pytest.fixture
def run(request):
    """Run a module of the collection in this process, as Ansible would."""

    def call(module_name: str, check: bool = False, connection: dict | bool | None = None, cluster: Cluster | None = None, **options) -> dict:
        from ansible.module_utils.testing import patch_module_args

        module = importlib.import_module(f"ansible_collections.cephstack.cloud.plugins.modules.{module_name}")
        if connection is None:
            connection = (cluster or request.getfixturevalue("cluster")).connection
        # False is for modules that have no connection to the cluster.
        # Tests see what modules return, secrets too.
        said = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_no_log": True}
        arguments = {**options, **({"connection": connection} if connection is not False else {}), **said}
        out, err = io.StringIO(), io.StringIO()
        with patch_module_args(arguments), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                module.main()
            except SystemExit:
                pass
        lines = [line for line in out.getvalue().splitlines() if line.startswith("{")]
        assert lines, f"{module_name} printed no result: {out.getvalue()} {err.getvalue()}"
        result = json.loads(lines[-1])
        if result.get("failed"):
            raise Failed(result)
        return result

    return call
