# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that others keep: who asks it, as whom, and what is wrong with what is declared of it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _access, _external

FSID = "7c5e3f6c-64ef-4c0e-8d9c-6f2f6a3a5e11"
RIGHT: dict[str, t.Any] = {"monitors": ["192.0.2.11", "fd00::11"], "fsid": FSID, "client": "client.cephstack", "key": "AQsecret=="}
GROUPS = {"kvm_hosts": ["k1", "k2"], "nfs_gateways": ["n1"], "all": ["k1", "k2", "n1"]}
NEEDED = {"client.kvm": ["ceph auth get-or-create client.kvm mon 'profile rbd' osd 'profile rbd pool=vms'"]}


def problems(groups: t.Mapping[str, t.Sequence[str]] = GROUPS, **given: t.Any) -> list[str]:
    return list(_external.problems({key: value for key, value in {**RIGHT, **given}.items() if value is not None}, groups, {}, NEEDED))


def test_what_is_right_is_no_problem() -> None:
    assert problems() == []
    assert problems(key=None, keyring="files/keyring") == []
    assert problems(client=None, key=None, client_keys={"client.kvm": "AQ=="}) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"monitors": []}, ["ceph.external.monitors is empty"]),
        ({"monitors": ["192.0.2.11:6789", "mon.example.org"]}, ["ceph.external.monitors[0]: '192.0.2.11:6789' is no", "ceph.external.monitors[1]: 'mon.ex"]),
        ({"fsid": "mine"}, ["ceph.external.fsid: 'mine' is no fsid"]),
        ({"client": None}, ["ceph.external: give either client, with key or keyring"]),
        ({"client_keys": {"client.kvm": "AQ=="}}, ["ceph.external: give either client"]),
        ({"client": "cephstack"}, ["ceph.external.client: the name of a client begins with 'client.': write client.cephstack"]),
        ({"key": None}, ["ceph.external: give one of key and keyring for client.cephstack"]),
        ({"keyring": "file"}, ["ceph.external: give one of key and keyring for client.cephstack"]),
        ({"client": None, "client_keys": {"client.x": "AQ=="}}, ["ceph.external.client_keys: the key of client.kvm is missing: ask who keeps the cluster for"]),
        ({"host": "nobody"}, ["ceph.external.host: 'nobody' is not in the inventory"]),
    ],
)
def test_each_mistake_is_told_with_its_place(given: dict[str, t.Any], said: list[str]) -> None:
    found = problems(**given)
    assert len(found) == len(said) and all(text.startswith(begin) for text, begin in zip(found, said)), found


def test_the_missing_key_is_told_with_the_command_that_makes_its_client() -> None:
    (text,) = problems(client=None, key=None, client_keys={"client.x": "AQ=="})
    assert text.endswith("`ceph auth get-or-create client.kvm mon 'profile rbd' osd 'profile rbd pool=vms'`")


def test_what_a_missing_client_needs_beside_its_key_is_told_with_it() -> None:
    needed = {"client.t": ["ceph auth get-or-create client.t mon 'x'", "rbd namespace create vms/tenant"]}
    ready = {**RIGHT, "client": None, "key": None, "client_keys": {"client.x": "AQ=="}}
    (text,) = _external.problems(ready, GROUPS, {}, needed)
    end = "`rbd namespace create vms/tenant`, and for the key of `ceph auth get-or-create client.t mon 'x'`"
    assert text == f"ceph.external.client_keys: the key of client.t is missing: ask who keeps the cluster for {end}"


def test_hosts_of_daemons_and_nobody_who_can_ask_are_told() -> None:
    assert problems({**GROUPS, "osds": ["o1"]})[0].startswith("ceph.external: o1 in the group osds: an external cluster's daemons are others'")
    assert problems({"all": ["c1"]}) == ["ceph.external: no host of the inventory can ask it: name one in ceph.external.host"]


def test_the_first_consumers_host_asks_unless_one_is_named() -> None:
    assert _external.asking_host(RIGHT, GROUPS, {}) == "k1"
    assert _external.asking_host(RIGHT, {"hypervisors": ["h1"], "nfs_gateways": ["n1"]}, {"kvm_hosts": "hypervisors"}) == "h1"
    assert _external.asking_host({**RIGHT, "host": "n1"}, GROUPS, {}) == "n1"


def test_it_is_reached_as_the_client_that_is_declared_or_as_the_first_whose_key_is_given() -> None:
    def never(path: str) -> str:
        raise AssertionError(path)

    where = {"mon_host": "192.0.2.11,fd00::11"}
    assert _external.connection_of(RIGHT, never) == {**where, "client": "client.cephstack", "key": "AQsecret=="}
    ready = {**RIGHT, "client": None, "key": None, "client_keys": {"client.kvm": "AQ1", "client.x": "AQ2"}}
    assert _external.connection_of(ready, never) == {**where, "client": "client.kvm", "key": "AQ1"}
    keyring = '[client.other]\n\tkey = AQother\n[client.cephstack]\n\tkey = AQfile==\n\tcaps mon = "allow r"\n'
    assert _external.connection_of({**RIGHT, "key": None, "keyring": "f"}, lambda path: keyring)["key"] == "AQfile=="
    assert _external.key_in("no keyring", "client.x") == "" == _external.key_in(keyring, "client.x")


def test_what_is_known_of_it_is_what_is_declared() -> None:
    known = _access.external_cluster(RIGHT, "k1")
    assert known == {"running": True, "fsid": FSID, "mon_host": "192.0.2.11,fd00::11", "monmap": {}, "host": "k1", "down": {}, "maintenance": []}
    assert set(known) == set(_access.running_cluster("nobody", []))
