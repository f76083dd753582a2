# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of this host: read with errors that say what, written whole or not at all.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable


def read(path: str, exact: bool = False) -> t.Optional[str]:
    """Return a file's text, None where there is no such file. Raises Unreachable where it cannot be read.

    exact: keep what is no UTF-8, and ends of lines, so that the lines of others are written back as they were.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape" if exact else "replace", newline="" if exact else None) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unreachable(f"cannot read {path}: {error.strerror}") from error


def write(path: str, text: str, mode: int, uid: int = 0, gid: int = 0) -> None:
    """Write a file whole, or not at all: its permissions are right before it has its name."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".cephstack-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def changed(path: str) -> int:
    """When a file, or a link itself, was changed, in whole seconds since 1970, as systemd tells of starts; 0 where it is not there.

    What is later than now was written by a clock that was wrong: it would count at every run, and is 0, too.
    """
    try:
        seconds = int(os.lstat(path).st_mtime)
    except OSError:
        return 0
    return seconds if seconds <= time.time() else 0


def name_of(look_up: t.Callable[[int], t.Any], number: int) -> str:
    """Return the name of a user or a group (pwd.getpwuid, grp.getgrgid), the number itself where it has none."""
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


def make_folder(path: str, mode: int, uid: int, gid: int) -> None:
    """Make a folder with its parents; the folder itself gets the permissions."""
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def readable_by_all(path: str) -> bool:
    """Whether every user of this host can read a file."""
    try:
        folders = [os.stat(folder).st_mode & 0o001 for folder in map(str, pathlib.PurePath(os.path.realpath(path)).parents)]
        return all(folders) and bool(os.stat(path).st_mode & 0o004)
    except FileNotFoundError:
        return False
