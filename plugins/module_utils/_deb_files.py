# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages out of files, and MySQL's connector for Python, which CloudStack's packages want and Debian doesn't have.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import typing as t
import zipfile

from ansible_collections.cephstack.cloud.plugins.module_utils._apt import POLICY, is_left, nothing_starts, put_back
from ansible_collections.cephstack.cloud.plugins.module_utils._host.files import write
from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import CommandError, run
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Lane, Plan, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import field, filepath, twice

# CloudStack depends on either: the first is Ubuntu's, the second MySQL's own.
CONNECTORS = ("python3-mysql.connector", "mysql-connector-python-py3")
WHEEL = re.compile(r"mysql_connector_python-(?P<version>[0-9.]+)-py2\.py3-none-any\.whl$")
DEB = re.compile(r"(?P<name>[a-z0-9][a-z0-9.+-]+)_(?P<version>[^_]+)_[a-z0-9]+\.deb")
_CONTROL = f"""Package: {CONNECTORS[1]}
Version: %s-0cephstack1
Architecture: all
Depends: python3
Section: python
Priority: optional
Maintainer: cephstack.cloud on this host <root@localhost>
Description: MySQL's connector for Python, as it is on PyPI
 Made by the Ansible collection cephstack.cloud, because CloudStack depends on it and Debian does not have it.
"""
# dpkg's database says when a run of it was cut off: apt-get does nothing until that is mended.
_CUT_OFF = "/var/lib/dpkg/updates"
_OPTIONS = ("DPkg::Lock::Timeout=300", "APT::Sandbox::User=root", "Dpkg::Options::=--force-confdef", "Dpkg::Options::=--force-confold")

OPTIONS: dict[str, t.Any] = {
    "files": field(
        "list",
        "Packages as files on the host, named C(NAME_VERSION_ARCH.deb) as packages are, in the place of O(packages) and O(repository). "
        "One need not be there in check mode, nor when its version is installed.",
        elements="path",
        default=[],
    ),
    "mysql_connector": filepath(
        "The file C(mysql_connector_python-VERSION-py2.py3-none-any.whl) from PyPI, MySQL's connector for Python, which CloudStack depends on and Debian does "
        "not have. It goes with O(files).\n"
        "A package is made of it and installed, unless a package with the connector is installed. Without this, nothing is done about it."
    ),
}


class File(t.NamedTuple):
    """A .deb file on this host and what is in it."""

    name: str
    version: str
    path: str


class Observed(t.NamedTuple):
    """versions: the installed packages', by name. left: whether a run that was cut off has left its policy."""

    versions: t.Mapping[str, str]
    left: bool = False


def parse(paths: t.Sequence[str]) -> list[File]:
    """The files by what their names say. Raises Invalid with every problem."""
    matches = [(path, DEB.fullmatch(os.path.basename(path))) for path in paths]
    # A colon in a version is written so in a file's name.
    found = [File(match["name"], match["version"].replace("%3a", ":"), path) for path, match in matches if match]
    problems = [f"{path} is not named NAME_VERSION_ARCH.deb" for path, match in matches if not match]
    problems += [f"there are several files of the package {name}: name one" for name in twice(file.name for file in found)]
    if problems:
        raise Invalid(problems)
    return found


class Provider:
    """The packages of some files. wheel: the connector's of PyPI on this host, made into a package where no connector is installed; or None.
    start: whether a package may start its services."""

    def __init__(self, files: t.Sequence[File], wheel: t.Optional[str] = None, start: bool = True, policy: str = POLICY) -> None:
        self.files, self.wheel, self.start, self.policy = list(files), wheel, start, policy

    def observe(self) -> Observed:
        names = {*(file.name for file in self.files), *CONNECTORS}
        try:
            # All of them: dpkg-query fails where it is asked for one that it doesn't know.
            text = run(["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${db:Status-Status}\\n"])
        except CommandError as error:
            raise Unreachable(f"dpkg cannot be asked: {error}") from error
        rows = (line.split() for line in text.splitlines() if line.endswith(" installed"))
        return Observed({row[0]: row[1] for row in rows if row[0] in names}, is_left(self.policy))

    def plan(self, observed: Observed) -> Plan:
        """Compare by version. A file with another version than the installed one wins, older or newer."""
        draft = Draft()
        wanted = {file.name: file.version for file in self.files}
        connector = ""
        if self.wheel and not any(name in observed.versions or name in wanted for name in CONNECTORS):
            match = WHEEL.search(self.wheel)
            if match is None:
                draft.problem(f"{os.path.basename(self.wheel)} is no mysql_connector_python-VERSION-py2.py3-none-any.whl")
            else:
                connector = match["version"]
                wanted = {CONNECTORS[1]: connector, **wanted}
        paths = [file.path for file in self.files if observed.versions.get(file.name) != file.version]
        for name, version in wanted.items():
            now = observed.versions.get(name)
            current = {"version": now} if now else None
            draft.ensure("package", name, current, {"version": version}, lambda: self._install(paths, connector), batch="apt-get")
        if observed.left:
            draft.ensure("file", self.policy, {"state": "left by a run that was cut off"}, None, self._clear, needs=draft.ids("package"))
        return draft.plan(Lane("apt"))

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return the packages of the files and the connectors that are there, and their versions."""
        files = {file.name: file.version for file in self.files}
        there = {**files, **observed.versions}
        versions = {name: {"installed": observed.versions.get(name, ""), "candidate": files.get(name, version)} for name, version in there.items()}
        return {"packages": list(there), "versions": versions}

    def _clear(self) -> None:
        put_back(self.policy)

    def _install(self, paths: t.Sequence[str], connector: str) -> None:
        """Install files in one go. connector: the version of that of the wheel, "" for none."""
        with contextlib.nullcontext() if self.start else nothing_starts(self.policy), tempfile.TemporaryDirectory() as folder:
            made = [package_wheel(self.wheel, connector, folder)] if self.wheel and connector else []
            os.chmod(folder, 0o755)  # apt's own user must be able to read what is in it
            quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
            if os.listdir(_CUT_OFF):  # it does not wait for dpkg's lock, as apt-get does
                run([*quiet, "dpkg", "--force-confdef", "--force-confold", "--configure", "--pending"], timeout=3600)
            argv = [*quiet, "apt-get", *(word for option in _OPTIONS for word in ("-o", option))]
            run([*argv, "--yes", "--allow-downgrades", "--no-install-recommends", "install", *paths, *made], timeout=3600)


def package_wheel(wheel: str, version: str, folder: str) -> str:
    """Make the connector's wheel into a package in a folder; returns its path."""
    root, path = os.path.join(folder, "root"), os.path.join(folder, f"{CONNECTORS[1]}.deb")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(os.path.join(root, "usr/lib/python3/dist-packages"))
    write(os.path.join(root, "DEBIAN/control"), _CONTROL % version, 0o644, os.geteuid(), os.getegid())
    run(["chmod", "--recursive", "u=rwX,go=rX", root])
    run(["dpkg-deb", "-Zgzip", "--root-owner-group", "--build", root, path])
    return path


def provider(options: t.Mapping[str, t.Any]) -> Provider:
    """Return the provider of what is declared. options: of the module. Raises Invalid."""
    if options["packages"] or options["repository"]:
        raise Invalid(["files and mysql_connector stand in the place of packages and repository: make two tasks of it"])
    return Provider(parse(options["files"]), options["mysql_connector"], options["start"])
