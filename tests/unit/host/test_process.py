# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are run to their end, real ones."""

from __future__ import annotations

import pathlib
import tempfile

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process


def test_a_secret_is_read_from_memory_and_stands_on_no_command_line() -> None:
    script = 'cat "$1"; tr "\\0" " " < /proc/$$/cmdline; stat -Lc %a "$1"'
    said = process.run(["sh", "-c", script, "sh", "{secret}"], secret="s3cr3t\n").splitlines()
    assert said[0] == "s3cr3t"
    assert "s3cr3t" not in said[1]
    assert said[1].endswith("644")


def test_what_is_this_process_s_own_is_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "CEPH_ARGS", "PROXY"):
        monkeypatch.setenv(name, "x")
    assert process.run(["sh", "-c", "echo $PYTHONPATH $CEPH_ARGS $PROXY $LC_ALL"]) == "x C.UTF-8\n"
    assert process.complete(["sh", "-c", "echo $PROXY $LC_ALL"], env={"LC_ALL": "C"}).out == "C\n"


def test_a_failure_is_told_with_what_was_said() -> None:
    assert process.complete(["sh", "-c", "echo a; echo b >&2; exit 3"]) == process.Ended(3, "a\n", "b\n")
    with pytest.raises(process.CommandError, match=r"^sh -c echo b >&2; exit 3: exit code 3: b$"):
        process.run(["sh", "-c", "echo b >&2; exit 3"])
    with pytest.raises(process.CommandError, match=r"exit code 1: .*/nowhere"):
        process.read_bytes(["cat", "/nowhere"])


def test_a_program_that_cannot_be_run_or_does_not_end(tmp_path: pathlib.Path) -> None:
    for argv, code, text in (
        (["no-such-program"], process.MISSING, "no-such-program is not installed on this host"),
        ([str(tmp_path)], process.MISSING, f"[Errno 13] Permission denied: '{tmp_path}'"),
        (["sleep", "60"], process.LATE, "no end within 0.1 s"),
    ):
        with pytest.raises(process.CommandError) as error:
            process.complete(argv, timeout=0.1)
        assert (error.value.code, error.value.text) == (code, text)


def test_what_a_program_leaves_running_is_not_waited_for_where_its_output_is_a_file() -> None:
    with tempfile.TemporaryFile() as output:
        assert process.complete(["sh", "-c", "echo a; sleep 5 & echo b >&2"], timeout=4, output=output).code == 0
        output.seek(0)
        assert sorted(output.read().split()) == [b"a", b"b"]
