# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages that a host is to have, and the repository that they come out of.

It is tried before it is added: apt reads it in a folder of its own, beside everything that the host has. So a wrong one never stops the host's apt,
and check mode knows what a repository holds that is not there yet.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fnmatch
import functools
import glob
import hashlib
import os
import re
import tempfile
import textwrap
import time
import typing as t
import urllib.parse

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, wait
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Draft, Invalid, Plan, Unreachable, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, record, records, string, strings

INSTALL = ("apt-get", "install", "--no-install-recommends")
# Where packages are missing, lists that are older than this, in seconds, are read anew before.
FRESH = 86400
# What dpkg asks before it starts a service of a package that it installs (deb-systemd-invoke(1p)), and what tells ours from the host's own.
POLICY = "/usr/sbin/policy-rc.d"
# Nobody could reach the host any more if these did not restart with their package: sshd of 9.2 resets every new connection once the program is 10.0.
WAY_IN = ("ssh", "ssh.service", "ssh.socket", "sshd", "sshd.service")
MARK = "# Made by cephstack.cloud"
# Where downloads go, and where most of what is installed does.
ARCHIVES, INSTALLED = "/var/cache/apt/archives", "/usr"
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
# What a file of sources says, as it is shown. The key is shown by its digest.
FIELDS = {"URIs": "url", "Suites": "suite", "Components": "components", "Signed-By": "key"}

_REPOSITORY = {
    "url": string("Its address.", required=True),
    "suite": string("Its suite.", required=True),
    "components": strings("Its components.", default=[]),
    "key": string("The key that signs it, as armored text, or an address that the host fetches it from.", required=True, no_log=False),
    "pin": integer("The priority of its preferred packages.", default=1001),
}
_SPLIT = {
    "package": string("The package.", required=True),
    "of": string("Which one it was a part of.", required=True),
    "release": integer("The first number of the version in which it is a package of its own.", required=True),
}
OPTIONS = {
    "name": string(
        "The name of the repository's files, C(/etc/apt/sources.list.d/NAME.sources) and C(/etc/apt/preferences.d/NAME.pref). Needed with O(repository)."
    ),
    "repository": record(
        "The repository. One of the flat kind, whose packages lie in one folder, has a O(repository.suite) that ends with a slash, and no "
        "O(repository.components).",
        _REPOSITORY,
    ),
    "prefer": strings("Names and patterns of the packages that are taken out of it rather than out of another.", default=[]),
    "packages": strings("The packages that are to be installed.", default=[]),
    "splits": records(
        "Which of the packages are there in some releases only, because they were a part of another one before.\n"
        "What is installed of that one decides, else what apt would install, and not which distribution the host has.",
        _SPLIT,
        default=[],
    ),
    "upgrade": boolean(
        "Whether packages that O(prefer) names, and that are installed, are brought to the version that apt would install, those that O(packages) does "
        "not name too.",
        default=False,
    ),
    "start": boolean(
        "Whether a package that is installed may start or restart services by itself. The SSH server's does in any case: some of its versions accept no new "
        "connection any more until it has restarted.",
        default=True,
    ),
    "prefix": string("What the options are called where the user wrote them, for messages.", default="repository"),
}


class Repository(t.NamedTuple):
    """What is declared. name: of its files. key: armored text. prefer: names and patterns of the packages that are taken out of it first."""

    name: str
    url: str
    suite: str
    components: t.Sequence[str]
    key: str
    prefer: t.Sequence[str]
    pin: int


def problems(declared: t.Mapping[str, t.Any], prefix: str) -> list[str]:
    """Return what apt would refuse of a repository: it would then read no sources at all. Pure.
    A suite that is not declared is the distribution's code name, and components that are not declared are whatever is right."""
    suite, components = declared.get("suite"), declared.get("components")
    flat = (suite or "").endswith("/")  # apt reads its packages right in its folder
    if suite == "":
        return [f"{prefix}.suite is empty: a flat repository's is /, or the folder of its packages with a slash at the end"]
    if flat and components:
        what = f"{prefix}.components is {', '.join(components)}, but {prefix}.suite {suite} ends with a slash: such a repository is flat and has none"
        return [f"{what}. Leave {prefix}.components out, or name the suite without the slash"]
    if not flat and components is not None and not components:
        what = f"{prefix}.components is empty, but {prefix}.suite {suite or '(the code name of the distribution)'} does not end with a slash"
        mend = f"give {prefix}.suite as / or as the folder of its packages with a slash at the end, or name the components"
        return [f"{what}, and only a flat repository has no components: {mend}"]
    return []


def armored(key: bytes) -> str:
    """Return a key as text, whichever way it was published. Pure."""
    if ARMOR.encode() in key:
        return key.decode("utf-8", "replace")
    crc = 0xB704CE
    for byte in key:
        crc ^= byte << 16
        for _bit in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    lines = [*textwrap.wrap(base64.b64encode(key).decode(), 64), "=" + base64.b64encode((crc & 0xFFFFFF).to_bytes(3, "big")).decode()]
    return "\n".join([ARMOR, "", *lines, ARMOR.replace("BEGIN", "END")])


def sources(repository: Repository) -> str:
    key = textwrap.indent("\n".join(line.strip() or "." for line in repository.key.strip().splitlines()), "    ")
    components = f"Components: {' '.join(repository.components)}\n" if repository.components else ""
    return f"{components}X-Repolib-Name: {repository.name}\nSigned-By:\n{key}\nSuites: {repository.suite}\nTypes: deb\nURIs: {repository.url}\n"


def preferences(repository: Repository) -> str:
    host = urllib.parse.urlsplit(repository.url).hostname or ""  # "": this host's own files
    return f'# Made by cephstack.cloud\nPackage: {" ".join(repository.prefer)}\nPin: origin "{host}"\nPin-Priority: {repository.pin}\n'


def shown(text: t.Optional[str]) -> dict[str, str]:
    """Return what a file of sources says, fit to be shown: without a password in its address. Pure."""
    found = dict.fromkeys(FIELDS.values(), "") if text is not None else {}
    for name, value in re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", text or "", re.M):
        if name in FIELDS:
            found[FIELDS[name]] = value if name != "Signed-By" or "\n" not in value else "sha256 " + hashlib.sha256(value.encode()).hexdigest()[:16]
    return {name: re.sub(r"//[^/@\s]*@", "//********@", value) for name, value in found.items()}


class Version(t.NamedTuple):
    """What apt says of a package: the versions that are installed and that it would install, "" for none."""

    installed: str
    candidate: str

    @property
    def release(self) -> int:
        """The first number of the version that is installed, else of the one that would be; 0 for none."""
        number = re.match(r"(?:\d+:)?(\d+)", self.installed or self.candidate)
        return int(number.group(1)) if number else 0


NONE = Version("", "")


class Split(t.NamedTuple):
    """A package that was a part of another one before a release of that."""

    package: str
    of: str
    release: int


def existing(packages: t.Sequence[str], splits: t.Sequence[Split], versions: t.Mapping[str, Version]) -> list[str]:
    """Return the packages without those that are still part of another one. Pure.
    What is installed decides: a part of a later release would take the other along to that release."""
    parts = {split.package for split in splits if 0 < versions.get(split.of, NONE).release < split.release}
    return [name for name in packages if name not in parts]


def parse_policy(text: str) -> dict[str, Version]:
    """Return what "apt-cache policy" says, by package. Pure."""
    found = re.findall(r"^(\S+):\n  Installed: (.+)\n  Candidate: (.+)$", text, re.M)
    return {name: Version(*("" if version == "(none)" else version for version in versions)) for name, *versions in found}


def parse_needs(text: str) -> tuple[int, int]:
    """Return how many bytes apt would download and how many more would be in use, of what it says with --print-uris. Pure."""
    download = sum(int(size) for size in re.findall(r"^'\S+' \S+ (\d+)", text, re.M))
    more = re.search(r"^After this operation, ([\d.,]+) ([kMG]?)B of additional", text, re.M)
    return download, round(float(more[1].replace(",", "")) * _UNITS[more[2]]) if more else 0


def lacks(needs: tuple[int, int], free: t.Mapping[str, tuple[int, int]]) -> list[str]:
    """Return where there is no room for packages. needs: as of parse_needs. free: of the two folders the device and its free bytes. Pure."""
    sums: dict[int, int] = {}
    for path, size in zip((ARCHIVES, INSTALLED), needs):
        if path in free:
            sums[free[path][0]] = sums.get(free[path][0], 0) + size
    shown = {device: (path, left) for path, (device, left) in free.items()}
    return [
        f"{shown[device][0]} has {shown[device][1] / 1e6:.0f} MB free, and the packages need {size / 1e6:.0f} MB there: make room"
        for device, size in sums.items()
        if size > shown[device][1]
    ]


class Observed(t.NamedTuple):
    """What is there.
    texts: the files by path, None where there is none. listed: whether apt has read the repository. known: whether it has read anything at all, and lately
    where packages are missing. versions: of the packages that exist, once the repository is there. missing: what is to be installed. simulated: what apt would
    do for that, line by line. lacking: where there is no room for it. interrupted: packages that a run which was ended has left half installed."""

    texts: t.Mapping[str, t.Optional[str]]
    listed: bool
    known: bool
    versions: t.Mapping[str, Version]
    missing: t.Sequence[str] = ()
    simulated: str = ""
    lacking: t.Sequence[str] = ()
    interrupted: t.Sequence[str] = ()


@dataclasses.dataclass
class Provider:
    """A repository, None for those that the host has, and packages that are installed without what they only recommend.
    splits: which of the packages are there in some releases only. check: whether this is a dry run. start: whether a package may start its services. options:
    more options of apt. upgraded: names and patterns of installed packages that are to be of the version that apt would install."""

    repository: t.Optional[Repository]
    packages: t.Sequence[str] = ()
    splits: t.Sequence[Split] = ()
    check: bool = False
    start: bool = True
    etc: str = "/etc/apt"
    options: t.Sequence[str] = ()
    upgraded: t.Sequence[str] = ()

    def __post_init__(self) -> None:
        self.splits = [split for split in self.splits if split.package in self.packages]
        self.source = f"{self.etc}/sources.list.d/{self.repository.name}.sources" if self.repository else ""
        self.texts = {self.source: sources(self.repository)} if self.repository else {}
        if self.repository and self.repository.prefer:
            self.texts[f"{self.etc}/preferences.d/{self.repository.name}.pref"] = preferences(self.repository)

    def observe(self) -> Observed:
        """Read the files and ask apt, of a repository that is not there as if it were."""
        texts, listed, versions = self._there()
        if listed and not self._missing(versions) and not self.upgraded:
            return Observed(texts, listed, True, versions)
        lists = self._ask(["apt-config", "shell", "FOLDER", "Dir::State::lists/d"]).partition("=")[2].strip().strip("'\"")
        known = bool(glob.glob(f"{lists}/*_Packages*")) and time.time() - _read_at(lists) < FRESH
        if listed and known:
            return self._simulated(Observed(texts, listed, known, versions))
        with self._aside(lists) as (aside, source):
            if not listed:
                # Without the option apt ends well where it could read nothing.
                self._ask(["apt-get", "update", "-o", "APT::Update::Error-Mode=any"], [*aside, *_only(source)])
            if not known:
                self._ask(["apt-get", "update"], aside)
            return self._simulated(Observed(texts, listed, known, self._versions(aside)), aside)

    def as_declared(self) -> bool:
        """Whether nothing is to be done. Quicker than to observe and plan, since no repository is read for it."""
        dummy, listed, versions = self._there()
        return listed and not self._missing(versions) and not self._unknown(versions)

    def _there(self) -> tuple[dict[str, t.Optional[str]], bool, dict[str, Version]]:
        texts = {path: files.read(path) for path in self.texts}
        listed = texts == self.texts
        if self.repository and listed:
            listed = bool(self._ask(["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"], _only(self.source)))
        return texts, listed, self._versions() if listed else {}

    def _missing(self, versions: t.Mapping[str, Version]) -> list[str]:
        """What is to be installed: packages that are not there, or of another version than they are to be."""
        missing = [name for name in self._existing(versions) if not versions.get(name, NONE).installed]
        return missing + [name for name in self._preferred(versions) if "" != versions[name].installed != versions[name].candidate]

    def _existing(self, versions: t.Mapping[str, Version]) -> list[str]:
        """As existing(). Where packages are upgraded, what they are to be decides."""
        if self.upgraded:
            versions = {name: version._replace(installed="") for name, version in versions.items()}
        return existing(self.packages, self.splits, versions)

    def _preferred(self, names: t.Iterable[str]) -> list[str]:
        return [name for name in sorted(names) if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.upgraded)]

    def _simulated(self, observed: Observed, options: t.Sequence[str] = ()) -> Observed:
        """Return the same with what is missing, and what apt would do for it."""
        missing, interrupted = self._missing(observed.versions), self._half_installed()
        # What no repository has is a problem of the plan. Where something is half installed, apt says nothing but that.
        if not missing or self._unknown(observed.versions) or interrupted:
            return observed._replace(missing=missing, interrupted=interrupted)
        simulated = self._ask([*INSTALL, "--simulate", *missing], options)
        # Also where it is the host's own package that would be another: apt asks before that, and installs nothing here.
        needs = parse_needs(self._ask([*INSTALL, "--print-uris", "--assume-yes", "--allow-downgrades", *missing], options))
        return observed._replace(missing=missing, simulated=simulated, lacking=lacks(needs, _free()))

    def _unknown(self, versions: t.Mapping[str, Version]) -> list[str]:
        return sorted({split.of for split in self.splits if not versions.get(split.of, NONE).release})

    def plan(self, observed: Observed) -> Plan:
        """Compare the files; have apt read what it has not read, and install what is missing."""
        draft = Draft()
        draft.problems += [f"no repository of this host has the package {name}" for name in self._unknown(observed.versions)]
        draft.problems += observed.lacking
        for path, text in self.texts.items():
            before = observed.texts[path]
            if before != text:  # also where what is shown is the same, such as a password that changed
                had, has = differing(shown(before), shown(text)) if path == self.source else ({"text": before}, {"text": text})
                draft.add(Change("file", path, "create" if before is None else "update", None if before is None else had, has, _writer(path, text)))
        if not observed.listed or not observed.known:
            what = self.repository.name if self.repository and not observed.listed else "all"
            draft.ensure("lists", what, {"read": False}, {"read": True}, lambda: self._ask(["apt-get", "update"]), needs=draft.ids("file"))
        if observed.interrupted:
            states = dict.fromkeys(observed.interrupted, "half installed")
            complete = functools.partial(self._complete, observed.missing)
            draft.ensure("packages", "half installed", states, dict.fromkeys(states, "installed"), complete, needs=draft.ids("lists"))
        installs = re.findall(r"^Inst (\S+)", observed.simulated, re.M)
        virtual = [name for name in observed.missing if installs and name not in installs]
        draft.problems += [f"{name} is no package but what others provide: name one of these" for name in virtual]
        for verb, name, before, after in re.findall(r"^(Inst|Remv) (\S+) (?:\[(\S+)\] ?)?(?:\((\S+))?", observed.simulated, re.M):
            was, will = {"version": before} if before else None, {"version": after} if verb == "Inst" else None
            if self.upgraded and verb == "Remv":
                own = draft.problem if name in self.packages else draft.warn
                own(f"apt would remove the package {name} ({before}) with this: nothing that it has goes with the versions that it would install")
            action = "update" if was and will else "create" if will else "delete"  # another build of the same version is an update, too
            install = functools.partial(self.install, observed.missing)
            draft.add(Change("package", name, action, was, will, install, needs=draft.ids("lists"), batch="install"))
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return the packages that exist, and all versions."""
        versions = {name: version._asdict() for name, version in observed.versions.items()}
        wanted = self._existing(observed.versions)
        return {"packages": wanted, "versions": versions, "preferred": self._preferred({*wanted, *versions})}

    def install(self, names: t.Sequence[str]) -> None:
        """Install packages, and answer nothing that they might ask."""
        with self._silence():
            auto = self._ask(["apt-mark", "showauto", *names]).split()
            self._ask([*INSTALL, "--assume-yes", *names], _options("Dpkg::Options::=--force-confdef", "Dpkg::Options::=--force-confold"))
            dependencies = [name for name in auto if name not in self.packages]
            if dependencies:  # they were named, which apt takes for the wish of an operator
                self._ask(["apt-mark", "auto", *dependencies])

    @staticmethod
    def _installed() -> list[str]:
        """The names of all installed packages."""
        lines = process.run(["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Package}\n"], timeout=60).splitlines()
        return [words[1] for words in map(str.split, lines) if words[0].endswith("i")]

    def _silence(self) -> t.ContextManager[None]:
        return contextlib.nullcontext() if self.start else nothing_starts()

    @staticmethod
    def _half_installed() -> list[str]:
        """What dpkg has left when it was ended."""
        lines = process.run(["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}|${Package}\n"], timeout=60).splitlines()
        return sorted({name for status, dummy, name in (line.partition("|") for line in lines) if status[1:2] in "UFHWt" and status[:1] == "i"})

    def _complete(self, names: t.Sequence[str]) -> None:
        """Let dpkg and apt end what they were at, then install what is missing."""
        keep = ["--force-confdef", "--force-confold"]
        with self._silence():
            try:
                self._ask(["dpkg", *keep, "--configure", "--pending"], plain=True)
            except Unreachable:
                pass  # what another package is needed for, which apt has
            self._ask([*INSTALL, "--assume-yes", "--fix-broken"], _options(*(f"Dpkg::Options::={word}" for word in keep)))
        if names:
            self.install(names)

    def _versions(self, options: t.Sequence[str] = ()) -> dict[str, Version]:
        names = sorted({*self.packages, *(split.of for split in self.splits), *self._preferred(self._installed() if self.upgraded else ())})
        return parse_policy(self._ask(["apt-cache", "policy", *names], options)) if names else {}

    @contextlib.contextmanager
    def _aside(self, lists: str) -> t.Iterator[tuple[list[str], str]]:
        """Give options by which apt has all that this host has, with the repository as it is to be, and where that is.
        apt writes into a folder that is removed. lists: where the host's own are."""
        with tempfile.TemporaryDirectory(prefix="cephstack-apt-") as folder:
            mine = {os.path.relpath(path, self.etc): text for path, text in self.texts.items()}
            for part in ("lists/partial", "cache/archives/partial", "sources.list.d", "preferences.d"):
                os.makedirs(f"{folder}/{part}")
            for there, part in ((lists, "lists"), (f"{self.etc}/sources.list.d", "sources.list.d"), (f"{self.etc}/preferences.d", "preferences.d")):
                for path in filter(os.path.isfile, glob.glob(f"{there}/*")):
                    name = f"{part}/{os.path.basename(path)}"
                    if name not in (*mine, "lists/lock"):
                        os.symlink(path, f"{folder}/{name}")
            for name, text in mine.items():
                _writer(f"{folder}/{name}", text)()
            here = {"State::lists": "lists", "Cache": "cache", "Etc::sourceparts": "sources.list.d", "Etc::preferencesparts": "preferences.d"}
            yield _options(*(f"Dir::{name}={folder}/{part}" for name, part in here.items())), f"{folder}/sources.list.d/{os.path.basename(self.source)}"

    def _ask(self, argv: t.Sequence[str], options: t.Sequence[str] = (), plain: bool = False) -> str:
        """Return what apt says; wait 300 s for others that use it. plain: a program without apt's options. Raises Unreachable with its words."""
        quiet = [] if self.start else ["NEEDRESTART_SUSPEND=1"]  # it would restart what still runs with what was replaced
        words = ["env", "DEBIAN_FRONTEND=noninteractive", *quiet, *argv, *([] if plain else _options("APT::Sandbox::User=root", *self.options)), *options]
        try:
            return wait.retry_while(lambda error: "Could not get lock" in getattr(error, "text", ""), lambda: process.run(words, timeout=3600), 300, 2)
        except process.CommandError as error:
            said = [line.strip() for line in error.text.splitlines() if line.startswith(("E:", "W:"))]
            raise Unreachable(f"{' '.join(argv[:2])}: {' / '.join(dict.fromkeys(said)) or error}") from error


def provider(options: t.Mapping[str, t.Any], check: bool, fetch: t.Callable[[str], bytes]) -> Provider:
    """Return the provider of what is declared. options: of the shape of OPTIONS. fetch: gets a key from its address. Raises Invalid."""
    declared, repository = options["repository"], None
    if declared is not None:
        wrong, key = problems(declared, options["prefix"]), declared["key"]
        if wrong:
            raise Invalid(wrong)
        if "-----BEGIN" not in key:
            try:
                key = armored(fetch(key))
            except Exception as error:  # whatever the address leads to
                raise Invalid([f"{options['prefix']}.key {key} cannot be fetched: {error}"]) from error
        own = {name: declared[name] for name in ("url", "suite", "components", "pin")}
        repository = Repository(name=options["name"], prefer=options["prefer"], key=key, **own)
    splits = [Split(**split) for split in options["splits"]]
    return Provider(repository, options["packages"], splits, check, options["start"], upgraded=options["prefer"] if options["upgrade"] else ())


def _free() -> dict[str, tuple[int, int]]:
    """The devices of the folders that packages go to, and what is free there, in bytes."""
    return {path: (os.stat(path).st_dev, one.f_bavail * one.f_frsize) for path in (ARCHIVES, INSTALLED) for one in [os.statvfs(path)]}


def _read_at(lists: str) -> float:
    """When apt last read its lists: it also writes into the second folder where nothing was new. In seconds since 1970."""
    return max([os.stat(path).st_mtime for path in (lists, f"{lists}/partial") if os.path.isdir(path)], default=0.0)


@contextlib.contextmanager
def nothing_starts(policy: str = POLICY) -> t.Iterator[None]:
    """No package that is installed meanwhile starts a service but those of WAY_IN, until this process ends. What the host itself says counts again then."""
    own, pid = f"{policy}.cephstack", os.getpid()
    if os.path.lexists(policy) and MARK not in (files.read(policy) or ""):  # else a run that was cut off has left ours
        os.rename(policy, own)
    begun = f'"$(sed "s/.*) //" /proc/{pid}/stat 2>/dev/null | cut -d " " -f 20)"'
    way_in = "|".join(f'*" {name} "*' for name in WAY_IN)
    ended = f'case " $* " in\n{way_in}) ;;\n*) [ {begun} != {process.start_ticks(pid)} ] || exit 101 ;;\nesac\n[ ! -x {own} ] || exec {own} "$@"\n'
    files.write(policy, f"#!/bin/sh\n{MARK} while it installs packages.\n{ended}", 0o755, os.geteuid(), os.getegid())
    try:
        yield
    finally:
        put_back(policy)


def put_back(policy: str = POLICY) -> None:
    """Take our policy away, for the host's own if it has one."""
    own = f"{policy}.cephstack"
    if os.path.lexists(own):
        os.rename(own, policy)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(policy)


def is_left(policy: str = POLICY) -> bool:
    """Whether the policy is one of ours whose process has ended."""
    text = files.read(policy) or ""
    of = re.search(r"/proc/(\d+)/stat.*?\)\" != (\d+) ", text) if MARK in text else None
    if of is None:
        return False
    try:
        return process.start_ticks(int(of[1])) != int(of[2])
    except OSError:  # the process is gone
        return True


def _options(*options: str) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def _only(source: str) -> list[str]:
    """Return options by which apt has the repository of one file and no other."""
    return _options(f"Dir::Etc::sourcelist={source}", "Dir::Etc::sourceparts=/dev/null", "APT::Get::List-Cleanup=0")


def _writer(path: str, text: str) -> t.Callable[[], None]:
    return lambda: files.write(path, text, 0o644, os.geteuid(), os.getegid())
