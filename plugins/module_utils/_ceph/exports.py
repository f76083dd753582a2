# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of CephFS that gateways export: what is declared of them, and what a gateway needs of the cluster for it.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import ipaddress
import itertools
import re
import stat
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CommandFailed, Connection, asked, binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.values import shape_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Unreachable, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, presence, records, string, strings

cephfs = binding("cephfs")

OPTIONS: dict[str, t.Any] = {
    "path": string("The folder in the filesystem, such as V(/secondary). It is made if it is not there.", required=True),
    "pseudo": string("The path under which clients mount it, O(exports[].path) by default.\nIt may be neither V(/) nor within another one."),
    "filesystem": string("The name of the filesystem.", required=True),
    "access": choice("Whether clients may write, or only read.", ["rw", "ro"], default="rw"),
    "squash": choice(
        "Whose rights clients have. V(root_squash) makes their root nobody, V(all_squash) all their users.\nCloudStack needs V(no_root_squash).",
        ["no_root_squash", "root_squash", "all_squash"],
        default="root_squash",
    ),
    "clients": strings("The addresses and networks that may mount it, in CIDR form. Nobody else can.", required=True),
    "state": presence("V(absent) takes an export away from its clients. Its folder stays, with all that is in it."),
}
EXPORTS: dict[str, t.Any] = records("All folders that the gateway exports.", OPTIONS, required=True)

ANONYMOUS = 65534  # whom a squashed user becomes: nobody and nogroup on every distribution
_PATH = re.compile(r"/[A-Za-z0-9_./-]*")  # what one in a cephx cap can hold without quotes (MDSAuthCaps.cc); enough for a folder
_FILESYSTEM = re.compile(r"[A-Za-z0-9_.-]+")


class Export(t.NamedTuple):
    """One exported folder. pseudo is the path under which clients mount it; clients are networks in CIDR form."""

    path: str
    pseudo: str
    filesystem: str
    access: str
    squash: str
    clients: t.Tuple[str, ...]

    @property
    def place(self) -> tuple[str, str]:
        return self.filesystem, self.path

    @property
    def folder(self) -> str:
        """The folder as it is named in plans and errors."""
        return ":".join(self.place)


def parse(entries: t.Sequence[t.Mapping[str, t.Any]], where: str = "exports") -> list[Export]:
    """Return the exports that shall be there, in one order whatever the declaration's. Raises Invalid with every problem."""
    exports: list[Export] = []
    problems: list[str] = []
    for number, entry in enumerate(entries):
        if entry.get("state") == "absent":
            continue
        pseudo = entry.get("pseudo") or entry["path"]
        found = [*_path_problems("path", entry["path"]), *_path_problems("pseudo", pseudo)]
        if pseudo == "/":
            found.append("pseudo '/' is the root under which all exports lie: give it a name, such as /secondary")
        if not _FILESYSTEM.fullmatch(entry["filesystem"]):
            found.append(f"'{entry['filesystem']}' is no name of a filesystem")
        networks = set()
        for text in entry.get("clients") or []:
            try:
                networks.add(str(ipaddress.ip_network(str(text).strip(), strict=False)))
            except ValueError:
                found.append(f"clients: '{text}' is neither an address nor a network in CIDR form, such as 10.0.0.0/24")
        if not entry.get("clients"):
            found.append("clients is empty, so nobody could mount it: name the networks that may")
        problems += [f"{where}[{number}] ({pseudo}): {text}" for text in found]
        access, squash = entry.get("access") or "rw", entry.get("squash") or "root_squash"
        exports.append(Export(entry["path"], pseudo, entry["filesystem"], access, squash, tuple(sorted(networks))))
    exports.sort(key=lambda export: export.pseudo)
    for outer, inner in itertools.combinations(exports, 2):
        if inner.pseudo == outer.pseudo:
            problems.append(f"{where}: the pseudo path {inner.pseudo} is declared twice ({outer.folder} and {inner.folder}): give one of them another")
        elif inner.pseudo.startswith(outer.pseudo.rstrip("/") + "/"):
            problems.append(f"{where}: the pseudo paths {outer.pseudo} and {inner.pseudo} overlap: a client in one would find the other in it")
    if not exports:
        problems.append(f"{where} is empty, so there is nothing to serve: declare an export, or take the host out of the group")
    if problems:
        raise Invalid(problems)
    return exports


def _path_problems(name: str, path: str) -> t.Iterator[str]:
    if not path.startswith("/"):
        yield f"{name} '{path}' is not absolute: write /{path}"
    elif not _PATH.fullmatch(path):
        yield f"{name} '{path}' has other characters than letters, digits, '_', '.', '-' and '/'"
    elif path != "/" and not {"", ".", ".."}.isdisjoint(path.split("/")[1:]):
        yield f"{name} '{path}' is not in its plain form: no '//', '.', '..' and no '/' at its end"


def declared_problems(declared: t.Mapping[str, t.Any], where: str = "nfs_gateway_exports") -> list[str]:
    """What is wrong with what gateways are declared to export (by host, as written; None: nothing), each problem once, with the hosts that have it."""
    found: dict[str, list[str]] = {}
    for host, entries in declared.items():
        problems = shape_of([] if entries is None else entries, {"type": "list", "elements": "dict", "options": OPTIONS}, where)
        try:
            if not problems:
                parse(entries or [], where)
        except Invalid as error:
            problems = error.problems
        for problem in problems:
            found.setdefault(problem, []).append(host)
    return [f"{', '.join(hosts)}: {problem}" for problem, hosts in found.items()]


def dropped(entries: t.Iterable[t.Mapping[str, t.Any]]) -> set[tuple[str, str]]:
    """The folders, (filesystem, path), that are declared to be exported no more."""
    return {(entry["filesystem"], entry["path"]) for entry in entries if entry.get("state") == "absent"}


def caps_of(exports: t.Iterable[Export]) -> dict[str, str]:
    """The least caps with which a gateway can serve exports: the named folders of the named filesystems and nothing else of them."""
    filesystems: dict[str, str] = {}
    folders: dict[tuple[str, str], str] = {}
    for export in sorted(exports, key=lambda export: export.access):  # "ro" before "rw", which stays
        filesystems[export.filesystem] = folders[export.place] = {"ro": "r", "rw": "rw"}[export.access]
    return {
        "mon": ", ".join(f"allow r fsname={name}" for name in sorted(filesystems)),
        "mds": ", ".join(f"allow {may} fsname={name}{'' if path == '/' else f' path={path}'}" for (name, path), may in sorted(folders.items())),
        "osd": ", ".join(f"allow {may} tag cephfs data={name}" for name, may in sorted(filesystems.items())),
    }


def folders_in(caps: t.Mapping[str, str]) -> set[tuple[str, str]]:
    """The folders, (filesystem, path), of the metadata servers' part of caps."""
    clauses = (dict(token.split("=", 1) for token in clause if "=" in token) for clause in clients.normalise(caps.get("mds") or ""))
    return {(words["fsname"], "/" + words.get("path", "").strip('"').strip("/")) for words in clauses if "fsname" in words}


@dataclasses.dataclass(frozen=True)
class Observed:
    filesystems: t.Mapping[str, int] = dataclasses.field(default_factory=dict)  # by name: how many of their metadata servers are active
    standbys: int = 0  # how many wait to become so
    # (filesystem, path) -> "folder", "file" or "" where nothing is; empty where it could not be looked at
    folders: t.Mapping[t.Tuple[str, str], str] = dataclasses.field(default_factory=dict)
    caps: t.Optional[t.Mapping[str, str]] = None  # of the client, None where there is none


def active(dump: t.Mapping[str, t.Any]) -> tuple[dict[str, int], int, dict[str, int]]:
    """Of `fs dump`: the active metadata servers of each filesystem, how many stand by, and all that each filesystem has."""
    maps = [entry["mdsmap"] for entry in dump.get("filesystems", [])]
    states = {one["fs_name"]: [server["state"] for server in one["info"].values()] for one in maps}
    serving = {name: servers.count("up:active") for name, servers in states.items()}
    return serving, len(dump.get("standbys", [])), {name: len(servers) for name, servers in states.items()}


@dataclasses.dataclass
class Provider:
    """The client of one gateway, and the folders that it exports."""

    exports: t.Sequence[Export]
    client: str
    cluster: t.Optional[Connection]  # open; None where there is no cluster yet (check mode only): all would be created
    gone: t.Collection[t.Tuple[str, str]] = ()  # folders, (filesystem, path), that may be exported no more
    coming: t.Collection[str] = ()  # filesystems that are declared, and so will be there when this is not only a dry run
    wait: float = 60  # seconds that a metadata server may take to become active
    where: str = "exports"

    def observe(self) -> Observed:
        """Read the filesystems' map and the client, and look at the folders. Waits for metadata servers that are just starting."""
        cluster = self.cluster
        if cluster is None:
            return Observed()
        wanted = {export.filesystem for export in self.exports}
        serving: dict[str, int] = {}
        standbys = 0

        def started() -> bool:
            nonlocal serving, standbys
            serving, standbys, held = active(cluster.command("fs dump"))
            return not any(not serving[name] and (held[name] or standbys) for name in wanted & set(serving))

        wait_until(started, self.wait, pause=0.5)
        folders: dict[tuple[str, str], str] = {}
        for name in sorted(wanted) if wanted <= set(serving) else ():
            if serving[name]:
                with self._mounted(name) as mounted:
                    folders.update({export.place: _kind(mounted, export.path) for export in self.exports if export.filesystem == name})
        try:
            caps = cluster.command("auth get", entity=self.client)[0]["caps"]
        except CommandFailed as error:
            if error.code != errno.ENOENT:
                raise
            caps = None
        return Observed(serving, standbys, folders, caps)

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid with everything that the exports need and the cluster has not."""
        draft = Draft()
        if self.cluster is not None:
            draft.problems += self._problems(observed)
        owners: dict[tuple[str, str], int] = {}
        for export in self.exports:
            owners.setdefault(export.place, ANONYMOUS if export.squash == "all_squash" else 0)
        for place, owner in owners.items():
            if observed.folders.get(place) != "folder":
                draft.ensure("folder", ":".join(place), None, {"mode": "0755", "owner": owner}, functools.partial(self._make, *place, owner))
        caps, wanted = observed.caps, caps_of(self.exports)
        if caps is None:
            draft.ensure("client", self.client, None, {"caps": wanted}, lambda: self._authorise("auth get-or-create", wanted))
        elif not clients.same_caps(caps, wanted):
            before, after = differing(caps, {**dict.fromkeys(caps), **wanted})
            draft.ensure("client", self.client, {"caps": before}, {"caps": after}, lambda: self._authorise("auth caps", wanted))
        return draft.plan()

    def _problems(self, observed: Observed) -> t.Iterator[str]:
        known = ", ".join(sorted(observed.filesystems)) or "none"
        for name in sorted({export.filesystem for export in self.exports}):
            using = ", ".join(f"{self.where}: {export.pseudo}" for export in self.exports if export.filesystem == name)
            if name not in observed.filesystems and name not in self.coming:
                yield f"{using}: there is no filesystem {name} (there are: {known}): declare it in ceph_cluster_filesystems, or correct the name"
            elif not observed.filesystems.get(name, 1):
                yield (
                    f"{using}: no metadata server of the filesystem {name} is active ({observed.standbys} stand by): "
                    "nobody could reach a file; put hosts into the group mdss, or look at why theirs don't run"
                )
        for export in self.exports:
            if observed.folders.get(export.place) == "file":
                yield f"{self.where}: {export.folder} is a file: name a folder"
        for name, path in sorted(folders_in(observed.caps or {}).difference((export.place for export in self.exports), self.gone)):
            yield (
                f"{self.where}: {self.client} serves {name}:{path}, which is not declared any more: its clients would lose it. "
                "Declare it with 'state: absent' if they shall"
            )

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return the client and its caps. Not its key."""
        return {"client": self.client, "caps": caps_of(self.exports)}

    def _authorise(self, command: str, caps: t.Mapping[str, str]) -> None:
        asked(self.cluster).command(command, entity=self.client, caps=[part for pair in sorted(caps.items()) for part in pair])

    def _make(self, filesystem: str, folder: str, owner: int) -> None:
        with self._mounted(filesystem) as mounted:
            path = ""
            for part in folder.strip("/").split("/"):
                path += f"/{part}"
                try:
                    mounted.mkdir(path, 0o755)
                except cephfs.ObjectExists:  # another gateway may be making it at this moment
                    continue
                # libcephfs takes off the umask of whoever runs it
                mounted.chmod(path, 0o755)
                if path == folder and owner:
                    mounted.chown(path, owner, owner)

    @contextlib.contextmanager
    def _mounted(self, name: str) -> t.Iterator[t.Any]:
        """The filesystem's root, as the client of the connection. Raises Unreachable."""
        cluster = asked(self.cluster)
        mounted = cephfs.LibCephFS(rados_inst=cluster.rados)
        try:
            mounted.mount(filesystem_name=name.encode())
            yield mounted
        except cephfs.Error as error:
            raise Unreachable(f"the filesystem {name} cannot be used as {cluster.client}: {error}") from error
        finally:
            mounted.shutdown()


def _kind(mounted: t.Any, path: str) -> str:
    """What there is at a path: "folder", "file", or "" for nothing."""
    try:
        return "folder" if stat.S_ISDIR(mounted.stat(path).st_mode) else "file"
    except cephfs.ObjectNotFound:
        return ""
    except cephfs.Error as error:
        if abs(getattr(error, "errno", 0) or 0) == errno.ENOTDIR:  # something above it is a file
            return "file"
        raise Unreachable(f"{path} of CephFS cannot be looked at: {error}") from error
