# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages and their repositories: planned, and read by this machine's own apt in a folder of its own."""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import types
import typing as t

import pytest
import yaml

from ansible_collections.cephstack.cloud.plugins.module_utils import _apt
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable, run_module
from ansible_collections.cephstack.cloud.tests.unit.templating import answers, question

FLAT = yaml.safe_load(pathlib.Path(__file__).with_name("apt_repositories.yml").read_text(encoding="utf-8"))
REEF, PACIFIC = "18.2.7-1", "16.2.15+ds-0+deb12u1"
needs_apt = pytest.mark.skipif(not shutil.which("apt-get"), reason="this machine has no apt")


def repository(url: str, suite: str = "/", components: t.Sequence[str] = (), key: str = FLAT["key"], name: str = "ceph", **more: t.Any) -> _apt.Repository:
    return _apt.Repository(name=name, url=url, suite=suite, components=components, key=key, **{"prefer": ["ceph*"], "pin": 1001, **more})


class Host:
    """A host's apt, with the repository "pacific" for its distribution's."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.etc, state = folder / "etc", folder / "state"
        for path in (self.etc / "sources.list.d", self.etc / "preferences.d", state / "lists" / "partial", folder / "cache" / "archives" / "partial"):
            path.mkdir(parents=True)
        (folder / "status").touch()
        for name in ("pacific", "reef"):
            (folder / name).mkdir()
            for file, text in FLAT[name].items():
                (folder / name / file).write_text(text, encoding="utf-8")
        self.add(repository(self.url("pacific"), name="debian"))
        self.lists = state / "lists"
        self.calls: list[list[str]] = []
        self.half: list[str] = []
        self.options = [f"Dir::Etc={self.etc}", f"Dir::State={state}", f"Dir::Cache={folder / 'cache'}", f"Dir::State::status={folder / 'status'}"]

    def url(self, name: str) -> str:
        return f"file:{self.folder / name}"

    def add(self, added: _apt.Repository) -> pathlib.Path:
        path = self.etc / "sources.list.d" / f"{added.name}.sources"
        path.write_text(_apt.sources(added), encoding="utf-8")
        return path

    def install(self, *packages: str, version: str = PACIFIC) -> None:
        """As dpkg has it, the distribution's version."""
        stanzas = (self.folder / "status").read_text(encoding="utf-8").split("\n\n")
        kept = [stanza for stanza in stanzas if stanza.strip() and stanza.split()[1] not in packages]
        (self.folder / "status").write_text("".join(f"{stanza}\n\n" for stanza in kept), encoding="utf-8")
        lines = "Package: {}\nStatus: install ok installed\nVersion: {}\nArchitecture: all\nMaintainer: Tests <tests@example.org>\nDescription: for tests\n\n"
        with (self.folder / "status").open("a", encoding="utf-8") as status:
            status.write("".join(lines.format(name, version) for name in packages))

    def provider(
        self, added: t.Optional[_apt.Repository], *packages: str, splits: t.Sequence[_apt.Split] = (), check: bool = False, upgraded: t.Sequence[str] = ()
    ) -> _apt.Provider:
        return Installing(self, added, packages, splits, check, upgraded)

    def run(self, added: t.Optional[_apt.Repository], *packages: str, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        """What a module would give back."""
        ended: dict[str, t.Any] = {}

        def end(**result: t.Any) -> t.NoReturn:
            ended.update(result)
            raise StopIteration

        module = types.SimpleNamespace(check_mode=check, exit_json=end, fail_json=lambda msg, **result: end(msg=msg, **result), warn=lambda warning: None)
        with pytest.raises(StopIteration):
            run_module(module, self.provider(added, *packages, check=check, **more))
        return ended

    def read_lists(self) -> None:
        """A run that installs nothing."""
        self.provider(None)._ask(["apt-get", "update"])

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file() and path.name != "lock" and "cache" not in path.parts}


class Installing(_apt.Provider):
    """There are no files of packages: what apt would do is noted as done. calls: what was to be installed at once."""

    def __init__(
        self, host: Host, added: t.Optional[_apt.Repository], packages: t.Sequence[str], splits: t.Sequence[_apt.Split], check: bool, upgraded: t.Sequence[str]
    ) -> None:
        super().__init__(added, packages, splits, check, etc=str(host.etc), options=host.options, upgraded=upgraded)
        self.host = host

    def _installed(self) -> list[str]:
        return re.findall(r"^Package: (\S+)", (self.host.folder / "status").read_text(encoding="utf-8"), re.M)

    def _half_installed(self) -> list[str]:
        return self.host.half

    def _complete(self, names: t.Sequence[str]) -> None:
        self.host.half = []
        self.install(names)

    def install(self, names: t.Sequence[str]) -> None:
        for name, version in re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", self._ask([*_apt.INSTALL, "--simulate", *names]), re.M):
            self.host.install(name, version=version)
        self.host.calls.append([*names])


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def ids(result: t.Mapping[str, t.Any]) -> list[str]:
    return [f"{row['action']} {row['kind']}/{pathlib.Path(row['name']).name}" for row in result["changes"]]


# -- what is refused


@pytest.mark.parametrize(
    "declared",
    [{}, {"suite": "bookworm"}, {"suite": "bookworm", "components": ["main"]}, {"suite": "/"}, {"suite": "./", "components": []}, {"suite": "reef/"}],
)
def test_sound_suites(declared: dict[str, t.Any]) -> None:
    assert _apt.problems(declared, "ceph.packages.repository") == []


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"suite": "/", "components": ["main"]}, "ceph.packages.repository.components is main, but ceph.packages.repository.suite / ends with a slash"),
        ({"suite": "bookworm", "components": []}, "ceph.packages.repository.components is empty, but ceph.packages.repository.suite bookworm does not end"),
        ({"components": []}, "suite (the code name of the distribution) does not end with a slash"),
        ({"suite": ""}, "ceph.packages.repository.suite is empty"),
    ],
)
def test_a_suite_that_apt_would_stumble_over_is_refused(declared: dict[str, t.Any], said: str) -> None:
    (problem,) = _apt.problems(declared, "ceph.packages.repository")
    assert said in problem


@needs_apt
@pytest.mark.parametrize(("suite", "components"), [("/", ["main"]), ("./", ["main"]), ("bookworm", [])])
def test_those_are_what_apt_refuses(host: Host, suite: str, components: list[str]) -> None:
    """With one of them there, apt reads no sources at all."""
    host.add(repository(host.url("reef"), suite, components))
    with pytest.raises(Unreachable, match="Malformed entry"):
        host.provider(None, "ceph-base").observe()
    assert _apt.problems({"suite": suite, "components": components}, "x")


# -- with apt


@needs_apt
@pytest.mark.parametrize("suite", ["/", "./"])
def test_a_flat_repository_is_added_and_read(host: Host, suite: str) -> None:
    added = repository(host.url("reef"), suite)
    first = host.run(added, "ceph-base", "ceph-volume")
    assert "msg" not in first, first
    packages = ["create package/ceph-base", "create package/ceph-osd", "create package/ceph-volume"]
    assert ids(first)[:3] == ["create file/ceph.sources", "create file/ceph.pref", "update lists/ceph"] and set(ids(first)[3:]) <= {*packages}
    assert host.calls == [["ceph-base", "ceph-volume"]]
    assert "Components" not in (host.etc / "sources.list.d" / "ceph.sources").read_text(encoding="utf-8")
    assert first["versions"] == {name: {"installed": REEF, "candidate": REEF} for name in ("ceph-base", "ceph-volume")}
    again = host.run(added, "ceph-base")
    assert again["changes"] == [] and not again["changed"] and len(host.calls) == 1


@needs_apt
def test_a_repository_with_components(host: Host) -> None:
    """apt takes it for one that has folders of suites."""
    said = host.run(repository(host.url("reef"), "bookworm", ["main"]))["msg"]
    assert "reef bookworm Release" in said and "Malformed" not in said


@needs_apt
def test_check_mode_knows_what_the_repository_holds_and_changes_nothing(host: Host) -> None:
    host.read_lists()
    before = host.files()
    dry = host.run(repository(host.url("reef")), "ceph-osd", check=True)
    assert host.files() == before
    assert ids(dry) == ["create file/ceph.sources", "create file/ceph.pref", "update lists/ceph", "create package/ceph-base", "create package/ceph-osd"]
    assert dry["versions"]["ceph-osd"]["candidate"] == REEF
    assert {"version": REEF} in [entry["after"] for entry in dry["diff"]]
    assert host.provider(None, "ceph-osd").observe().versions["ceph-osd"].candidate == PACIFIC


@needs_apt
def test_the_priority_decides(host: Host) -> None:
    low = host.run(repository(host.url("reef"), pin=100), "ceph-base", check=True)
    assert low["versions"]["ceph-base"]["candidate"] == REEF  # both are this machine's own files, and so preferred alike
    never = host.run(repository(host.url("reef"), prefer=["*"], pin=-1), "ceph-base", check=True)
    assert "no installation candidate" in never["msg"]


@needs_apt
def test_a_host_that_has_read_no_lists(host: Host) -> None:
    dry = host.run(None, "ceph-base", check=True)
    assert ids(dry) == ["update lists/all", "create package/ceph-base"]
    assert dry["versions"]["ceph-base"]["candidate"] == PACIFIC and list(host.lists.glob("*Packages*")) == []
    assert ids(host.run(None, "ceph-base")) == ["update lists/all", "create package/ceph-base"]
    assert host.run(None, "ceph-base", check=True)["changes"] == []


@needs_apt
def test_a_run_that_was_cut_off_before_the_lists_were_read(host: Host) -> None:
    host.run(None, "ceph-base")
    assert host.calls == [["ceph-base"]]
    added = repository(host.url("reef"))
    for path, text in host.provider(added).texts.items():
        pathlib.Path(path).write_text(text, encoding="utf-8")
    assert ids(host.run(added, "ceph-base")) == ["update lists/ceph"]
    assert host.run(added, "ceph-base")["changes"] == []


@needs_apt
def test_a_malformed_one_is_mended(host: Host) -> None:
    path = host.add(repository(host.url("reef"), "/", ["main"]))
    result = host.run(repository(host.url("reef")), "ceph-base")
    assert "msg" not in result, result
    entry = next(entry for entry in result["diff"] if entry["before_header"] == f"file/{path}")
    assert (entry["before"], entry["after"]) == ({"components": "main"}, {"components": ""})
    assert result["versions"]["ceph-base"]["candidate"] == REEF


@needs_apt
@pytest.mark.parametrize("check", [False, True])
def test_one_that_cannot_be_trusted_is_not_added(host: Host, check: bool) -> None:
    host.read_lists()
    before = host.files()
    said = host.run(repository(host.url("reef"), key=FLAT["other_key"]), "ceph-base", check=check)["msg"]
    assert "not signed" in said or "NO_PUBKEY" in said or "signature" in said.lower()
    assert "not there" not in host.run(repository(host.url("nowhere")), check=check).get("msg", "not there")
    assert host.files() == before


# -- another release


@needs_apt
@pytest.mark.parametrize("check", [True, False])
def test_an_upgrade_takes_what_is_preferred_and_what_the_release_has_of_its_own(host: Host, check: bool) -> None:
    """ceph-base is there though nobody named it; lvm2 is the host's own affair; ceph-volume was a part of ceph-osd."""
    host.read_lists()
    host.install("ceph-base", "ceph-osd", "lvm2")
    options: dict[str, t.Any] = {"splits": VOLUME, "upgraded": ["ceph*"]}
    result = host.run(repository(host.url("reef")), "ceph-osd", "ceph-volume", "lvm2", check=check, **options)
    assert "msg" not in result, result
    packages = {line for line in ids(result) if "package/" in line}
    assert packages == {"update package/ceph-base", "update package/ceph-osd", "create package/ceph-volume"}
    assert result["packages"] == ["ceph-osd", "ceph-volume", "lvm2"] and result["preferred"] == ["ceph-base", "ceph-osd", "ceph-volume"]
    assert result["versions"]["ceph-base"] == {"installed": PACIFIC if check else REEF, "candidate": REEF}
    if not check:
        assert host.run(repository(host.url("reef")), "ceph-osd", "ceph-volume", "lvm2", **options)["changes"] == []


@needs_apt
def test_an_upgrade_that_was_ended_is_completed(host: Host) -> None:
    """Until dpkg has done what it was at, apt plans nothing else."""
    host.read_lists()
    host.install("ceph-base", "ceph-osd")
    host.half = ["ceph-osd"]
    first = host.run(None, "ceph-osd", upgraded=["ceph*"], check=True)
    assert ids(first) == ["update packages/half installed"] and first["changed"] and host.half
    assert ids(host.run(None, "ceph-osd", "lvm2", upgraded=["ceph*"])) == ["update packages/half installed"]
    assert host.calls == [["lvm2"]] and host.run(None, "ceph-osd", "lvm2", upgraded=["ceph*"])["changes"] == []


@needs_apt
def test_old_lists_are_read_anew_before_an_upgrade(host: Host) -> None:
    host.run(None, "ceph-base")
    assert host.run(None, "ceph-base", upgraded=["ceph*"])["changes"] == []
    for folder in (host.lists, host.lists / "partial"):
        os.utime(folder, (1e9, 1e9))
    assert ids(host.run(None, "ceph-base", check=True, upgraded=["ceph*"])) == ["update lists/all"]


def test_what_packages_need_and_where_there_is_no_room() -> None:
    said = (
        "Need to get 3 B.\nAfter this operation, 1.5 MB of additional disk space will be used.\n'http://a/b.deb' b_1.deb 1000 SHA256:0\n'file:c' c.deb 234 \n"
    )
    assert _apt.parse_needs(said) == (1234, 1500000)
    assert _apt.parse_needs("After this operation, 1,024 kB disk space will be freed.\n") == (0, 0)
    apart = {_apt.ARCHIVES: (1, 2000), _apt.INSTALLED: (2, 10**6)}
    assert _apt.lacks((1234, 500000), apart) == []
    assert _apt.lacks((1234, 1500000), apart) == ["/usr has 1 MB free, and the packages need 2 MB there: make room"]
    (one,) = _apt.lacks((600000, 600000), dict.fromkeys((_apt.ARCHIVES, _apt.INSTALLED), (1, 10**6)))
    assert "need 1 MB" in one


# -- packages that some releases have

VOLUME = [_apt.Split("ceph-volume", "ceph-osd", 17)]
OSD = ("ceph-base", "ceph-osd", "ceph-volume", "lvm2")
WITHOUT = [name for name in OSD if name != "ceph-volume"]


@pytest.mark.parametrize(
    ("installed", "candidate", "there"),
    [
        ("", PACIFIC, False),
        ("", REEF, True),
        ("", "1:20.2.4-1", True),
        ("17.2.5-0ubuntu0.22.04.3", "17.2.7-0ubuntu0.22.04.1", True),
        (PACIFIC, REEF, False),  # it would take the OSDs' package along, which is an upgrade of a running cluster
        ("", "", True),  # nothing is known: apt's own words are better
    ],
)
def test_the_release_decides(installed: str, candidate: str, there: bool) -> None:
    assert _apt.existing(OSD, VOLUME, {"ceph-osd": _apt.Version(installed, candidate)}) == (list(OSD) if there else WITHOUT)


@needs_apt
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("lists", [True, False])
def test_ceph_volume_comes_with_the_release_and_not_with_the_distribution(host: Host, check: bool, lists: bool) -> None:
    """One distribution, with its own Ceph 16 and with a repository of Ceph 18, which a dry run has not added and the host not read."""
    if lists:
        host.read_lists()
    assert host.run(None, *OSD, splits=VOLUME, check=True)["packages"] == WITHOUT
    result = host.run(repository(host.url("reef")), *OSD, splits=VOLUME, check=check)
    assert "msg" not in result, result
    assert result["packages"] == list(OSD)
    assert {line for line in ids(result) if "package/" in line} == {f"create package/{name}" for name in OSD}
    assert host.calls == [[*OSD]] * (not check)
    assert host.run(None, "ceph-base", "lvm2", splits=VOLUME, check=check)["packages"] == ["ceph-base", "lvm2"]


@needs_apt
@pytest.mark.parametrize("check", [True, False])
def test_a_new_repository_upgrades_no_osds(host: Host, check: bool) -> None:
    host.read_lists()
    host.install("ceph-base", "ceph-osd", "lvm2")
    result = host.run(repository(host.url("reef")), *OSD, splits=VOLUME, check=check)
    assert result["packages"] == WITHOUT
    assert [line for line in ids(result) if "package/" in line] == []


@needs_apt
@pytest.mark.parametrize("check", [True, False])
def test_a_package_that_no_repository_has_is_told(host: Host, check: bool) -> None:
    said = host.run(None, "ceph-base", "ceph-none", "part", splits=[_apt.Split("part", "ceph-none", 17)], check=check)["msg"]
    assert "no repository of this host has the package ceph-none" in said
    assert "Unable to locate package ceph-never" in host.run(None, "ceph-never", check=check)["msg"] and host.calls == []


@needs_apt
@pytest.mark.parametrize("check", [True, False])
def test_old_lists_are_read_anew_where_a_package_is_missing(host: Host, check: bool) -> None:
    host.run(None, "ceph-base")
    for folder in (host.lists, host.lists / "partial"):
        os.utime(folder, (1e9, 1e9))
    assert host.run(None, "ceph-base", check=check)["changes"] == []
    assert ids(host.run(None, "ceph-osd", check=check)) == ["update lists/all", "create package/ceph-osd"]
    assert ids(host.run(None, "lvm2", check=check)) == ["update lists/all"] * check + ["create package/lvm2"]


@pytest.mark.parametrize("own", ["", "#!/bin/sh\nexit 0\n"])
def test_services_that_may_not_start_and_the_host_s_own_policy_comes_back(tmp_path: pathlib.Path, own: str) -> None:
    policy = tmp_path / "policy-rc.d"
    if own:
        policy.write_text(own, encoding="utf-8")
    with contextlib.suppress(RuntimeError), _apt.nothing_starts(str(policy)):
        assert subprocess.run([policy, "some.service", "start"], check=False).returncode == 101
        raise RuntimeError
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("policy-rc.d", own)] * bool(own)


# -- the role

BOOKWORM, TRIXIE, JAMMY = (
    {"distribution": name, "distribution_major_version": number, "os_family": "Debian"}
    for name, number in (("Debian", "12"), ("Debian", "13"), ("Ubuntu", "22"))
)


@pytest.mark.parametrize("facts", [BOOKWORM, TRIXIE, JAMMY], ids=lambda facts: f"{facts['distribution']}-{facts['distribution_major_version']}")
def test_the_role_wants_what_apt_decides_on_every_distribution(facts: dict[str, str]) -> None:
    expressions = ("__ceph_common_wanted", "__ceph_common_splits")
    given = {"ansible_facts": facts, "ceph": {"public_network": "10.0.0.0/24"}, "group_names": ["osds"]}
    wanted, splits = answers([question(one, "ceph_common", {"a": {}}, {"osds": ["a"]}, "a", **given) for one in expressions])
    splits = [_apt.Split(**split) for split in splits]
    for version, there in ((PACIFIC, False), ("17.2.7-0ubuntu0.22.04.2", True), (REEF, True)):
        assert ("ceph-volume" in _apt.existing(wanted, splits, {"ceph-osd": _apt.Version("", version)})) is there


def test_the_role_s_repository_is_whole() -> None:
    cases = [
        ({}, ("bookworm", ["main"])),
        ({"suite": "/"}, ("/", [])),
        ({"suite": "reef/"}, ("reef/", [])),
        ({"suite": "reef", "components": ["main", "extra"]}, ("reef", ["main", "extra"])),
        ({"suite": "/", "components": ["main"]}, ("/", ["main"])),  # which is refused
    ]
    declared = [{"url": "https://mirror.example.org", "key": FLAT["key"], **more} for more, _whole in cases]
    given = {"ansible_facts": {"distribution_release": "bookworm"}, "__cloudstack_management_repository_url": "https://download.example.org"}
    asked = [
        question(f"__{role}_repository_whole", role, {"a": {}}, {}, "a", **given, **{variable: {"packages": {"repository": one}}})
        for role, variable in (("ceph_common", "ceph"), ("cloudstack_management", "cloudstack"))
        for one in declared
    ]
    found = answers(asked)
    assert [(one["suite"], one["components"]) for one in found[: len(cases)]] == [whole for _more, whole in cases]
    assert [(one["suite"], one["components"]) for one in found[len(cases) :]] == [("bookworm", ["4.22"]), *(whole for _more, whole in cases[1:])]
    assert {(one["url"], one["pin"], one["key"]) for one in found} == {("https://mirror.example.org", 1001, FLAT["key"])}


# -- keys, and what is shown


def test_a_binary_key_becomes_text() -> None:
    binary = base64.b64decode("".join(FLAT["key"].split("\n\n")[1].split("\n=")[0].split()))
    assert _apt.armored(binary).split() == FLAT["key"].split()
    assert _apt.armored(FLAT["key"].encode()) == FLAT["key"]


def test_no_password_of_an_address_is_shown() -> None:
    said = _apt.shown(_apt.sources(repository("https://me:hidden@mirror.example.org/ceph", "bookworm", ["main", "extra"])))
    assert said["url"] == "https://********@mirror.example.org/ceph"
    assert (said["suite"], said["components"]) == ("bookworm", "main extra") and said["key"].startswith("sha256 ")
    assert 'Pin: origin "mirror.example.org"' in _apt.preferences(repository("https://me:hidden@mirror.example.org:8080/ceph"))
