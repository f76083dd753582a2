# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which probes follow from consumers."""

from __future__ import annotations

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.probe import PoolAccess, plan_probes


def test_the_data_of_images_goes_where_the_consumer_says():
    (probe,) = plan_probes({}, [{"name": "a", "pools": [{"name": "p", "data_pool": "ec"}, {"name": "q", "access": "ro", "data_pool": None}]}])
    assert probe.pools == (PoolAccess("p", True, "rbd", "ec"), PoolAccess("q", False, "rbd"))
    assert [pool.both for pool in probe.pools] == [["p", "ec"], ["q"]]


def test_two_consumers_of_one_client_are_one_probe_with_the_pools_of_both():
    consumers = [
        {"name": "a", "client": "client.x", "kind": "kvm", "pools": [{"name": "p", "access": "ro"}, {"name": "q"}]},
        {"name": "b", "client": "client.x", "kind": "rados", "pools": [{"name": "r"}]},
        {"name": "y", "pools": []},
    ]
    one, two = plan_probes({"client": "client.admin", "key": "secret", "keyring": "/k"}, consumers)
    assert one.pools == (PoolAccess("p", False, "rbd"), PoolAccess("q", True, "rbd"), PoolAccess("r", True, "rados"))
    assert one.options == {"client": "client.x", "key": None, "keyring": "/k"}
    assert (two.options["client"], two.pools) == ("client.y", ())


def test_a_key_is_used_for_its_own_client_only():
    (one,) = plan_probes({"client": "client.x", "key": "secret"}, [{"name": "x", "pools": [{"name": "p"}]}])
    assert one.options["key"] == "secret"


def test_a_namespace_is_probed_for_itself():
    item = {"name": "t", "namespace": "tenant", "pools": [{"name": "vms", "data_pool": "ec"}, {"name": "images", "access": "ro", "namespace": ""}]}
    (one,) = plan_probes({}, [item])
    assert [(pool.place, pool.write, pool.data_pool) for pool in one.pools] == [("vms/tenant", True, "ec"), ("images", False, None)]
