# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces: those that are made for consumers and images, and what keeps one from going."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import images, namespaces
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk

TENANT = {"name": "t", "namespace": "tenant", "pools": [{"name": "vms"}, {"name": "images", "access": "ro", "namespace": ""}]}
GOING = {"pool": "vms", "name": "former", "state": "absent"}


def plan(declared=(), consumers=(), wanted=(), there=None, held=None, initialised=("vms", "ec")):
    items = images.parse(wanted)
    spaces = namespaces.parse(declared, consumers, images.places_of(items))
    found = {"vms": frozenset(), **(there or {})}
    observed = images.Observed(pools=frozenset({"vms", "images", "ec"}), namespaces=namespaces.Observed(found, held or {}, initialised))
    return images.plan(items, observed, None, spaces=spaces)


def rows(planned):
    return [f"{change.action} {change.id}" for change in planned.changes]


def test_those_of_consumers_and_images_are_made_once():
    image = {"pool": "vms", "namespace": "tenant", "name": "a", "size": "1M"}
    planned = plan([{"pool": "vms", "name": "spare"}], [TENANT, TENANT], [image])
    assert rows(planned) == ["create namespace/vms/spare", "create namespace/vms/tenant", "create image/vms/tenant/a"]
    assert rows(plan(consumers=[TENANT], there={"vms": frozenset({"tenant", "theirs"})})) == []


def test_pools_are_initialised_for_those_who_cannot_do_it_and_so_are_those_of_their_data():
    tenant = {**TENANT, "pools": [{"name": "vms", "data_pool": "ec"}, TENANT["pools"][1]]}
    there = {"vms": frozenset({"tenant"})}
    assert rows(plan(consumers=[tenant], there=there, initialised=())) == ["update pool/ec", "update pool/vms"]
    assert rows(plan(consumers=[tenant], there=there)) == []
    # Who makes a declared image has rights on the whole pool.
    image = {"pool": "vms", "namespace": "tenant", "name": "a", "size": "1M"}
    assert rows(plan(wanted=[image], there=there, initialised=())) == ["create image/vms/tenant/a"]


def test_one_goes_by_name_and_is_a_loss():
    (change,) = plan([GOING], there={"vms": frozenset({"former"})}).changes
    assert change.id == "namespace/vms/former" and change.action == "delete" and change.risk is Risk.LOSS
    assert rows(plan([GOING])) == []


def test_one_with_images_stays_unless_they_are_deleted_before():
    there, held = {"vms": frozenset({"former"})}, {("vms", "former"): ["a", "b (in the trash)"]}
    with pytest.raises(Invalid, match=r"namespace vms/former has images: a, b \(in the trash\): remove or move them first"):
        plan([GOING], there=there, held=held)


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ([{"pool": "vms", "name": "a/b"}], "namespace vms/a/b: a namespace has letters"),
        ([GOING, GOING], "namespace vms/former is declared twice"),
        ([{**GOING, "name": "tenant"}], "namespace vms/tenant is declared absent, and a consumer is in it"),
    ],
)
def test_what_cannot_be_is_told(declared, problem):
    with pytest.raises(Invalid, match=problem):
        namespaces.parse(declared, [TENANT])


def test_a_pool_that_is_not_there_is_a_problem():
    with pytest.raises(Invalid, match="pool nowhere is not there"):
        plan([{"pool": "nowhere", "name": "a"}])
