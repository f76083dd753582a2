# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are kept as objects: what is declared, and what differs."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import Client
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3_objects import Object, Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid


def item(path, **other):
    return {"bucket": "b", "key": "k", "owner": "u", "path": str(path), "state": "present", **other}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    return path


def sums(data: bytes):
    return {"size": len(data), "etag": hashlib.md5(data).hexdigest()}


def test_every_mistake_is_told_at_once(file, tmp_path):
    with pytest.raises(Invalid) as caught:
        parse([item(file), item(tmp_path / "none", key="other", owner="nobody"), item(file)], {"u"})
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "there is no key of the user nobody: declare it among the users",
        f"there is no file {tmp_path / 'none'} on this host",
        "declared twice: keep one of them",
    ]


def test_in_check_mode_a_file_may_be_one_that_is_yet_to_be_made(tmp_path):
    objects = parse([item(tmp_path / "none")], {"u"}, check_mode=True)
    (change,) = Provider(None, {}, objects).plan({"b": None}).changes
    assert (change.id, change.action) == ("object/b/k", "create")


@pytest.mark.parametrize(
    ("have", "action"), [({}, "create"), ({"k": sums(b"hello")}, None), ({"k": sums(b"other")}, "update"), ({"k": sums(b"hello"), "foreign": {}}, None)]
)
def test_only_what_differs_is_written(file, have, action):
    objects = parse([item(file)], {"u"})
    changes = Provider(Client(["http://127.0.0.1:1"]), {}, objects).plan({"b": have}).changes
    assert [change.action for change in changes] == ([action] if action else [])


def test_what_is_larger_than_a_part_has_the_sum_of_its_parts(tmp_path):
    parts = b"a" * (16 << 20), b"b"
    path = tmp_path / "large"
    path.write_bytes(b"".join(parts))
    etag = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest() + "-2"
    provider = Provider(Client(["http://127.0.0.1:1"]), {}, parse([item(path)], {"u"}))
    (change,) = provider.plan({"b": {}}).changes
    assert change.after == {"size": (16 << 20) + 1, "etag": etag}
    for have in (change.after, sums(b"".join(parts))):  # an object that was written at once is the same
        assert not provider.plan({"b": {"k": have}})


def test_what_is_to_be_absent_goes_and_needs_no_file():
    objects = parse([item("", state="absent")], {"u"})
    assert objects == [Object("b", "k", "u", None)]
    provider = Provider(Client(["http://127.0.0.1:1"]), {}, objects)
    assert [change.action for change in provider.plan({"b": {"k": sums(b"x")}}).changes] == ["delete"]
    assert not provider.plan({"b": {}})


def test_a_bucket_that_is_not_there_is_a_mistake_and_no_empty_bucket(file):
    with pytest.raises(Invalid, match="there is no bucket b"):
        Provider(Client(["http://127.0.0.1:1"]), {}, parse([item(file)], {"u"})).plan({"b": None})
