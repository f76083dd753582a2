# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lies on emulated hosts: keeps what Python compiles of the archives that Ansible sends. Each module is some 12,000 lines, new to Python each time,
and an emulated processor takes longer to compile them than to run them.

PRIVATE to the collection.
"""

from __future__ import annotations

import sys
import types
import zipimport

FOLDER = "/var/cache/lab-bytecode"


class Importer(zipimport.zipimporter):
    """Imports from an archive of Ansible's. Code is kept by what it is compiled of, so that it is never another's."""

    def __init__(self, path: str) -> None:
        if "_payload" not in path:
            raise zipimport.ZipImportError(path)
        super().__init__(path)

    def get_code(self, fullname: str) -> types.CodeType:
        import hashlib  # not at every start of Python
        import marshal
        import os

        source = self.get_source(fullname) or ""
        name = os.path.join(FOLDER, f"{sys.implementation.cache_tag}-{hashlib.sha256(source.encode()).hexdigest()}")
        try:
            with open(name, "rb") as stream:
                digest, kept = stream.read(32), stream.read()
            if hashlib.sha256(kept).digest() == digest:  # a host may lose its power as it writes
                loaded: types.CodeType = marshal.loads(kept)
                return loaded
        except OSError:
            pass
        code = super().get_code(fullname)
        try:
            os.makedirs(FOLDER, 0o700, exist_ok=True)
            content = marshal.dumps(code)
            with open(f"{name}.{os.getpid()}", "wb") as stream:
                stream.write(hashlib.sha256(content).digest() + content)
            os.replace(f"{name}.{os.getpid()}", name)
        except OSError:  # a user who may not write there
            pass
        return code


def install() -> None:
    """Called at Python's start (lab_bytecode.pth)."""
    sys.path_hooks.insert(0, Importer)
