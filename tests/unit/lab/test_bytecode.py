# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What emulated hosts keep of archives of Python code: asked of a Python of its own, as it is started there."""

from __future__ import annotations

import inspect
import pathlib
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._lab import bytecode

SAY = "import sys; sys.path.insert(0, sys.argv[1]); import said.word; print(said.word.SAID, type(said.word.__loader__).__name__)"


@pytest.fixture
def ask(tmp_path: pathlib.Path):
    """Import a module that says something out of an archive, with the folder of kept code at hand; return what it said."""
    kept = tmp_path / "kept"
    source = inspect.getsource(bytecode).replace(bytecode.FOLDER, str(kept))
    (tmp_path / "lab_bytecode.py").write_text(source)

    def ask(text: str, name: str = "ansible_x_payload.zip") -> list[str]:
        archive = tmp_path / name
        with zipfile.ZipFile(archive, "w") as written:
            written.writestr("said/__init__.py", "")
            written.writestr("said/word.py", text)
        command = [sys.executable, "-c", f"import lab_bytecode; lab_bytecode.install(); {SAY}", str(archive)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split()

    return ask


def test_code_is_compiled_once_and_never_anothers(ask, tmp_path) -> None:
    assert ask("SAID = 1") == ["1", "Importer"]
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    assert ask("SAID = 1") == ["1", "Importer"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()} == kept and len(kept) == 2
    assert ask("SAID = 2") == ["2", "Importer"]


def test_what_is_kept_but_broken_is_compiled_again(ask, tmp_path) -> None:
    ask("SAID = 1")
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert ask("SAID = 1") == ["1", "Importer"]


def test_other_archives_are_pythons_own(ask, tmp_path) -> None:
    assert ask("SAID = 1", "library.zip") == ["1", "zipimporter"]
    assert not (tmp_path / "kept").exists()
