# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer sees every wrong byte and every error, for all our proofs of what is not lost rest on it."""

from __future__ import annotations

import json
import pathlib
import runpy
import signal
import subprocess
import sys
import time
import types

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[1] / "tools" / "writer"


@pytest.fixture(scope="module")
def writer():
    return types.SimpleNamespace(**runpy.run_path(str(TOOL)))


class Memory:
    """Records in memory, which can be spoilt. spoil: gets place and bytes of what is read, and gives what is read instead."""

    def __init__(self, spoil=lambda place, data: data) -> None:
        self.kept, self.spoil, self.ended = {}, spoil, False

    def write(self, place, data):
        self.kept[place] = data

    def read(self, place, size):
        return self.spoil(place, self.kept[place])

    def end(self):
        self.ended = True


def written(writer, store, looks=30):
    channel = writer.Channel("memory", store, size=4096, records=10)
    channel.start()
    while channel.writes < looks and channel.is_alive():
        time.sleep(0.001)
    channel.ending.set()
    channel.join(20)
    assert channel.done
    return channel.summary()


def test_what_is_sound_is_sound(writer):
    store = Memory()
    found = written(writer, store)
    assert store.ended
    assert (found["errors"], found["wrong"], found["said"]) == (0, 0, [])
    assert found["reads"] >= 2 * found["writes"] + 10, "each at once, another, and all at the end"
    assert found["slow"][0]["seconds"] == found["slowest"]


def test_one_flipped_bit(writer):
    found = written(writer, Memory(lambda place, data: data[:99] + bytes([data[99] ^ 1]) + data[100:] if place == 3 else data))
    assert found["wrong"]
    assert "read 3: 4096 bytes that are no record" in found["said"][0]


def test_an_older_record_and_one_of_another_place(writer):
    store = Memory()
    first = {}

    def write(place, data):
        store.kept[place] = first.setdefault(place, data)

    store.write = write
    found = written(writer, store)
    assert found["wrong"]
    assert "an older or another record" in found["said"][0]
    store = Memory()
    store.spoil = lambda place, data: store.kept[0]
    assert written(writer, store)["wrong"]


def test_what_is_cut_short(writer):
    assert written(writer, Memory(lambda place, data: data[:-1]))["wrong"]


def test_an_error_is_an_error_and_after_it_either_record_is_right(writer, monkeypatch):
    monkeypatch.setattr(writer.time, "sleep", lambda seconds: None)
    store = Memory()
    count = [0]

    def write(place, data):
        count[0] += 1
        if count[0] % 3:
            store.kept[place] = data
        if count[0] % 3 != 1:
            raise OSError("no answer")

    store.write = write
    found = written(writer, store)
    assert found["errors"]
    assert "OSError: no answer" in found["said"][0]
    assert found["wrong"] == 0


def test_one_that_gets_no_answer_is_told(writer):
    channel = writer.Channel("memory", Memory(), size=4096, records=10)
    channel.asked = (time.monotonic() - 77, "write 5")
    found = channel.summary()
    assert found["slowest"] >= 77
    assert found["slow"][0]["when"] == "still waiting"


def test_gateways_by_turns(writer, monkeypatch):
    """The next one is asked where one is silent or says that it can't; only what none answers is an error."""

    class Silent(Exception):
        pass

    class Refused(Exception):
        response = {"ResponseMetadata": {"HTTPStatusCode": 404}}

    class Client:
        def __init__(self, error=None):
            self.error = error

        def put_object(self, **words):
            if self.error:
                raise self.error
            return {}

    store = object.__new__(writer.S3)
    store.silent, store.refused, store.bucket, store.prefix, store.turns = (Silent,), Refused, "b", "p/", 0
    busy = Refused()
    busy.response = {"ResponseMetadata": {"HTTPStatusCode": 503}}
    store.clients = [Client(Silent()), Client(busy), Client()]
    store.write(1, b"x")
    store.write(2, b"x")
    assert store.turns == 2
    store.clients = [Client(Silent()), Client(Silent())]
    with pytest.raises(Silent):
        store.write(3, b"x")
    store.clients = [Client(Refused()), Client()]
    with pytest.raises(Refused):
        store.write(4, b"x")


def test_the_program(tmp_path):
    """A folder and a disk at once; told to end, it says how it was, and leaves nothing but what the disk holds."""
    (tmp_path / "folder").mkdir()
    disk = tmp_path / "disk"
    disk.write_bytes(b"\0" * 4096 * 20)
    words = [sys.executable, str(TOOL), "--path", str(tmp_path / "folder"), "--device", str(disk), "--size", "4096", "--records", "20"]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    run.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=60)
    told = json.loads(out)
    assert run.returncode == 0
    assert (told["errors"], told["wrong"]) == (0, 0)
    assert set(told["channels"]) == {f"path {tmp_path}/folder", f"device {disk}"}
    assert all(part["writes"] for part in told["channels"].values())
    assert json.loads(err)["writes"] <= told["writes"]
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_disk_that_holds_something_else_is_not_overwritten(tmp_path):
    disk = tmp_path / "disk"
    before = b"a file system" + b"\0" * 4096 * 20
    disk.write_bytes(before)
    words = [sys.executable, str(TOOL), "--device", str(disk), "--size", "4096", "--records", "20", "--seconds", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "holds something that is no record: wipe it first" in done.stderr
    assert disk.read_bytes() == before
    done = subprocess.run([*words, "--records", "50"], capture_output=True, text=True, check=False)
    assert "lower --records or --size" in done.stderr
    done = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True, check=False)
    assert "say where to write" in done.stderr
