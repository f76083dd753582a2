# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway images are gone before and after, whatever was left of them."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import librbd
from ansible_collections.cephstack.cloud.plugins.module_utils._host import wait


class FakeRbd:
    """As much of librbd's binding as removing needs. An I/O context is a dict: for each image its snapshots, True where one is protected.

    half_made: images that can be removed, not opened. held: for how many tries an image is in use.
    """

    class ImageNotFound(Exception):
        pass

    class ImageBusy(Exception):
        pass

    def __init__(self) -> None:
        self.half_made: set[str] = set()
        self.held: dict[str, int] = {}
        self.removed: list[str] = []

    def RBD(self) -> FakeRbd:
        return self

    def remove(self, images: dict[str, dict[str, bool]], name: str) -> None:
        if name not in images:
            raise self.ImageNotFound
        if images[name]:
            raise RuntimeError("it has snapshots")
        if self.held.get(name, 0):
            self.held[name] -= 1
            raise self.ImageBusy
        del images[name]
        self.removed.append(name)

    def Image(self, images: dict[str, dict[str, bool]], name: str) -> Opened:
        if name not in images or name in self.half_made:
            raise self.ImageNotFound
        return Opened(images[name])


class Opened:
    def __init__(self, snapshots: dict[str, bool]) -> None:
        self.snapshots = snapshots

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *unused: object) -> None:
        pass

    def list_snaps(self) -> t.Iterator[dict[str, str]]:
        return iter([{"name": name} for name in self.snapshots])

    def is_protected_snap(self, name: str) -> bool:
        return self.snapshots[name]

    def unprotect_snap(self, name: str) -> None:
        self.snapshots[name] = False

    def remove_snap(self, name: str) -> None:
        assert not self.snapshots.pop(name)


@pytest.fixture
def rbd(monkeypatch: pytest.MonkeyPatch) -> FakeRbd:
    fake = FakeRbd()
    monkeypatch.setattr(librbd, "rbd", fake)
    clock = Clock()
    for module in (librbd, wait):
        monkeypatch.setattr(module, "time", clock)
    return fake


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_what_was_left_goes_before_and_what_was_made_after(rbd: FakeRbd) -> None:
    images = {"a": {"probe": True, "more": False}, "a.clone": {}, "other": {"s": True}}
    with librbd.throwaway_images(images, "a.clone", "a"):
        assert (images, rbd.removed) == ({"other": {"s": True}}, ["a.clone", "a"])
        images["a"] = {}
    assert images == {"other": {"s": True}}


def test_they_go_after_an_error_too(rbd: FakeRbd) -> None:
    images: dict[str, dict[str, bool]] = {}
    with contextlib.suppress(KeyError), librbd.throwaway_images(images, "a"):
        images["a"] = {"probe": True}
        raise KeyError
    assert images == {}


def test_what_cannot_be_opened_is_removed(rbd: FakeRbd) -> None:
    rbd.half_made.add("a")
    images: dict[str, dict[str, bool]] = {"a": {}}
    librbd.remove_images(images, "a")
    assert images == {}


def test_one_that_is_held_is_waited_for(rbd: FakeRbd) -> None:
    rbd.held = {"a": 150}
    librbd.remove_images({"a": {}}, "a")
    assert rbd.removed == ["a"]
    rbd.held = {"a": 10000}
    with pytest.raises(rbd.ImageBusy):
        librbd.remove_images({"a": {}}, "a")
