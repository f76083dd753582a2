# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What labs that come and go leave of the machine's forwarding."""

from __future__ import annotations

import ipaddress
import pathlib

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import model, network, system


@pytest.fixture
def forwarding(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    switch = tmp_path / "ip_forward"
    switch.write_text("0\n")
    monkeypatch.setattr(network, "_FORWARD", str(switch))
    monkeypatch.setattr(system, "run", lambda *_words, **_options: process.Ended(0, "", ""))
    return switch


def lab(tmp_path: pathlib.Path, name: str, number: int) -> model.Lab:
    return model.Lab(name, ipaddress.IPv4Network(f"10.77.{number}.0/24"), str(tmp_path / "cache"))


def test_a_lab_that_goes_leaves_forwarding_to_one_that_has_just_come(forwarding: pathlib.Path, tmp_path: pathlib.Path) -> None:
    going, coming = lab(tmp_path, "going", 1), lab(tmp_path, "coming", 2)
    network.make(going, "", "")
    network.make(coming, "", "")
    network.remove(going)
    assert forwarding.read_text().strip() == "1"


def test_the_last_lab_that_goes_leaves_the_machine_as_the_first_one_found_it(forwarding: pathlib.Path, tmp_path: pathlib.Path) -> None:
    only = lab(tmp_path, "only", 1)
    network.make(only, "", "")
    assert forwarding.read_text().strip() == "1"
    network.remove(only)
    assert forwarding.read_text().strip() == "0"
