# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import json
import pathlib
import subprocess
import sys
import types

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import crash, keyring_files
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Invalid, Plan, Secret, Together

KEY = "AQCnHAFr99LKIxAAlqP26g3z9oHITcab29xzEw=="
RUNS = systemd.Unit(True, True, "active", 1)
GOOD = crash.Observed(True, Secret(KEY), crash.CAPS, keyring_files.File(True, Secret(KEY), "ceph", "ceph", "0600"), RUNS, "ceph")

# As a manager of Debian 13 wrote them, the paths cut short.
NOTIFY = {
    "process_name": "ceph-mgr",
    "entity_name": "mgr.x",
    "ceph_version": "18.2.7",
    "utsname_hostname": "ceph1",
    "backtrace": [],
    "mgr_module": "test_orchestrator",
    "mgr_module_caller": "PyModule::load_subclass_of",
    "mgr_python_exception": "AttributeError",
}
BCRYPT = {
    **NOTIFY,
    "mgr_module": "volumes",
    "mgr_python_exception": "ImportError",
    "backtrace": [
        '  File "mgr_module.py", line 29, in <module>\n    from mgr_util import profile_method',
        '  File "mgr_util.py", line 6, in <module>\n    import bcrypt',
        '  File "bcrypt/__init__.py", line 13, in <module>\n    from ._bcrypt import (\n    ...<11 lines>...\n    )',
        "ImportError: PyO3 modules do not yet support subinterpreters, see https://github.com/PyO3/pyo3/issues/576",
    ],
}
RESTFUL = {
    **BCRYPT,
    "mgr_module": "restful",
    "backtrace": [
        '  File "restful/module.py", line 22, in <module>\n    from OpenSSL import crypto',
        "ImportError: PyO3 modules compiled for CPython 3.8 or older may only be initialized once per interpreter process",
    ],
}
REAL = {"process_name": "ceph-osd", "entity_name": "osd.3", "utsname_hostname": "ceph1", "backtrace": ["/lib/libc.so.6(+0x3fcd0)"], "assert_condition": "x"}


class Cluster:
    """An open connection with recorded answers; what is sent is kept."""

    def __init__(self, new=(), available=True, checks=("RECENT_CRASH",)):
        self.new, self.sent = list(new), []
        self.answers = {
            "auth ls": {"auth_dump": [{"entity": "client.crash.ceph1", "key": KEY, "caps": crash.CAPS}]},
            "health": {"status": "HEALTH_WARN", "checks": {name: {} for name in checks}},
            "mgr stat": {"available": available},
        }

    def many(self, calls):
        return [self.answers[prefix] for prefix, _words in calls]

    def mgr_command(self, prefix, **words):
        self.sent.append((prefix, words))
        return self.new


@pytest.fixture
def here(monkeypatch):
    """A host on which ceph-crash runs."""
    monkeypatch.setattr(systemd, "units", lambda names: dict.fromkeys(names, RUNS))
    monkeypatch.setattr(process, "installed", lambda program: program == "ceph-crash")


def ids(plan):
    return [f"{change.action} {change.id}" for change in plan.changes]


def plan(observed, **more):
    return crash.Provider("ceph1", Cluster(), **more).plan(observed)


def put(folder: pathlib.Path, name: str, report: dict, done: bool = True) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "meta").write_text(json.dumps({"crash_id": name, **report}))
    if done:
        (folder / name / "done").touch()


def test_nothing_to_do():
    assert not plan(GOOD)


def test_a_host_without_a_key_gets_its_own_and_no_more_than_it_needs():
    made = plan(crash.Observed(installed=True, unit=RUNS, owner="root", waiting={"a": "a"}))
    keyring = "keyring//etc/ceph/ceph.client.crash.ceph1.keyring"
    assert ids(made) == ["create client/client.crash.ceph1", "update folder//var/lib/ceph/crash/posted", "update crash_reports/waiting", f"create {keyring}"]
    assert made.changes[0].after == {"caps": {"mon": "profile crash", "mgr": "profile crash"}}
    assert (made.changes[1].before, made.changes[1].after) == ({"owner": "root"}, {"owner": "ceph"})
    # with the keyring in reach, whatever lies there is posted
    assert made.stages()[-1] == [made.changes[-1]]
    assert (made.changes[-1].after["owner"], made.changes[-1].after["mode"]) == ("ceph", "0600")


def test_wider_caps_another_key_and_a_stopped_collector_are_mended():
    observed = GOOD._replace(caps={"mon": "allow *"}, file=keyring_files.File(True, Secret("AQbad="), "root", "root", "0644"), unit=systemd.NO_UNIT)
    client, keyring, unit = plan(observed).changes
    assert (client.before, client.after) == ({"mon": "allow *", "mgr": None}, {"mon": "profile crash", "mgr": "profile crash"})
    assert (keyring.action, set(keyring.after)) == ("update", {"owner", "group", "mode", "key"})
    assert "AQ" not in str(plan(observed).diff())
    assert (unit.id, unit.after) == ("unit/ceph-crash.service", {"enabled": True, "running": True})


def test_reports_are_looked_through_when_the_daemons_have_started():
    made = Plan(
        [
            Change("unit", "ceph-mgr@ceph1.service", "create", None, {}, lambda: None),
            *plan(GOOD._replace(waiting={"a": "a"}), after=["unit/ceph-mgr@ceph1.service"]).changes,
        ]
    )
    assert [change.kind for stage in made.stages() for change in stage] == ["unit", "crash_reports"]


def test_before_anything_is_installed_it_is_told_what_would_be_made():
    assert ids(crash.Provider("ceph1", None).plan(crash.Observed())) == [
        "create client/client.crash.ceph1",
        "create folder//var/lib/ceph/crash/posted",
        "create keyring//etc/ceph/ceph.client.crash.ceph1.keyring",
    ]
    with pytest.raises(Invalid, match="ceph-crash is not installed"):
        plan(GOOD._replace(installed=False))


@pytest.mark.parametrize("report", [NOTIFY, BCRYPT, RESTFUL])
def test_false_alarms(report):
    assert crash.false_alarm(report)


@pytest.mark.parametrize(
    "report",
    [
        REAL,
        {},
        {**NOTIFY, "process_name": "ceph-osd"},
        {**NOTIFY, "mgr_module_caller": "ActivePyModule::load"},
        {**NOTIFY, "mgr_module_caller": "PyModuleRunner::serve"},
        # a module whose own code is at fault
        {**NOTIFY, "backtrace": ['  File "balancer/module.py", line 5, in <module>', "AttributeError: module 'x' has no attribute 'y'"]},
        {**BCRYPT, "backtrace": ["ImportError: cannot import name 'y' from 'x'"]},
        {**RESTFUL, "mgr_module": "dashboard"},
        {**BCRYPT, "mgr_python_exception": "ModuleNotFoundError"},
    ],
)
def test_every_other_report_is_a_crash(report):
    assert not crash.false_alarm(report)


def test_only_false_alarms_are_set_aside_and_none_is_lost(here, tmp_path):
    (tmp_path / "posted").mkdir()
    for name, report in (("a", NOTIFY), ("b", BCRYPT), ("c", RESTFUL), ("d", REAL)):
        put(tmp_path, name, report)
    put(tmp_path, "e", NOTIFY, done=False)  # it is being written
    put(tmp_path / "posted", "f", NOTIFY)
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "meta").write_text("{half")
    (tmp_path / "g" / "done").touch()
    provider = crash.Provider("ceph1", Cluster(checks=()), folder=str(tmp_path))
    change = next(change for change in provider.plan(provider.observe()).changes if change.kind == "crash_reports")
    assert change.before == {"waiting": ["a (mgr module test_orchestrator)", "b (mgr module volumes)", "c (mgr module restful)"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "d", "e", "g", "posted"]
    change.apply()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "e", "g", "posted"]
    assert sorted(path.name for path in (tmp_path / "posted").iterdir()) == ["a", "b", "c", "f"]
    assert not [change for change in provider.plan(provider.observe()).changes if change.kind == "crash_reports"]


@pytest.mark.parametrize("check", ["RECENT_CRASH", "RECENT_MGR_MODULE_CRASH"])
def test_false_alarms_of_this_host_that_the_cluster_warns_of_are_archived(here, tmp_path, check):
    reports = [{"crash_id": "a", **NOTIFY}, {"crash_id": "b", **REAL}, {"crash_id": "c", **NOTIFY, "utsname_hostname": "ceph2"}, {"crash_id": "d", **RESTFUL}]
    cluster = Cluster(reports, checks=(check,))
    provider = crash.Provider("ceph1", cluster, folder=str(tmp_path))
    change = next(change for change in provider.plan(provider.observe()).changes if change.id == "crash_reports/new")
    assert change.before == {"new": ["a (mgr module test_orchestrator)", "d (mgr module restful)"]}
    assert cluster.sent == [("crash ls-new", {})]
    change.apply()
    assert cluster.sent[1:] == [("crash archive", {"id": "a"}), ("crash archive", {"id": "d"})]


@pytest.mark.parametrize("options", [{"available": False}, {"checks": ["OSD_DOWN"]}])
def test_the_manager_is_asked_only_where_there_is_one_and_a_warning(options, here, tmp_path):
    cluster = Cluster([{"crash_id": "a", **NOTIFY}], **options)
    assert not crash.Provider("ceph1", cluster, folder=str(tmp_path)).observe().new
    assert cluster.sent == []


def test_several_providers_are_one_plan():
    class One:
        def __init__(self, name, problems=()):
            self.name, self.problems = name, problems

        def observe(self):
            return self.name

        def plan(self, observed):
            if self.problems:
                raise Invalid(self.problems)
            return Plan([Change("a", observed, "create", None, {}, lambda: None)], [f"mind {observed}"])

        def returned(self, observed):
            return {observed: True}

    both = Together([One("x"), One("y")])
    made = both.plan(both.observe())
    assert ([change.id for change in made.changes], made.warnings) == (["a/x", "a/y"], ["mind x", "mind y"])
    assert both.returned(both.observe()) == {"x": True, "y": True}
    bad = Together([One("x", ["p"]), One("y", ["q"])])
    with pytest.raises(Invalid) as error:
        bad.plan(bad.observe())
    assert error.value.problems == ["p", "q"]


# -- the shim, which keeps a manager from making them


SHIM = pathlib.Path(__file__).parents[3] / "roles" / "ceph_mgr" / "files" / "bcrypt.py"


def load_shim(monkeypatch, base):
    manager = types.SimpleNamespace(BaseMgrModule=base)
    monkeypatch.setitem(sys.modules, "ceph_module", manager)
    spec = importlib.util.spec_from_file_location("shim_under_test", SHIM)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return manager.BaseMgrModule


def test_a_module_that_says_nothing_is_told_of_nothing(monkeypatch):
    class Base:
        pass

    class Module(load_shim(monkeypatch, Base)):
        pass

    assert Module.NOTIFY_TYPES == [] and issubclass(Module, Base)


def test_a_manager_that_knows_better_is_left_alone(monkeypatch):
    class Base:
        NOTIFY_TYPES = ["all"]

    assert load_shim(monkeypatch, Base) is Base


@pytest.mark.parametrize(
    ("real", "said"),
    [
        ("def gensalt(): return 'salt'\n__version__ = '5'\n", "real 5 salt"),
        ("raise ImportError('PyO3 modules do not yet support subinterpreters')\n", "shim PyO3 modules do not yet support subinterpreters"),
        (None, "shim No module named 'bcrypt'"),
    ],
)
def test_the_real_bcrypt_is_taken_where_it_can_be_loaded(tmp_path, real, said):
    (tmp_path / "site").mkdir()
    if real is not None:
        (tmp_path / "site" / "bcrypt.py").write_text(real)
    program = (
        "import bcrypt, sys\nwhich = 'real' if 'site' in bcrypt.__file__ else 'shim'\n"
        "try: print(which, bcrypt.__version__ if which == 'real' else '', bcrypt.gensalt())\nexcept ImportError as error: print(which, error)\n"
    )
    environment = {"PYTHONPATH": f"{SHIM.parent}:{tmp_path / 'site'}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == said, done.stderr
