# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.cephstack.cloud.plugins.filter.ceph_living import ceph_living

LIVING = {"item": "a", "state": "living", "mon_host": "10.0.0.1", "key": "K", "fsid": "AAAA", "conf_fsid": "BBBB", "addresses": {"a": ["10.0.0.1"]}}


def test_a_living_cluster_counts_more_than_what_is_written():
    found = ceph_living([{"item": "b", "state": "down", "reason": "it sleeps"}, LIVING], fsid="CCCC")
    assert found == {
        "connection": {"mon_host": "10.0.0.1", "client": "client.admin", "key": "K"},
        "fsid": "aaaa",
        "down": {},
        "monmap": {"a": ["10.0.0.1"]},
        "host": "a",
    }


def test_a_host_that_gave_no_answer_is_not_one_without_a_monitor():
    results = [{"item": "a", "unreachable": True, "msg": "no route"}, {"item": "b", "state": "down", "reason": "it sleeps"}, {"item": "c", "failed": True}]
    assert ceph_living(results)["down"] == {"a": "no route", "b": "it sleeps", "c": "it gave no answer"}


def test_the_fsid_of_a_cluster_to_be_is_kept_or_made():
    assert ceph_living([{"item": "a", "state": "none", "conf_fsid": "BBBB"}])["fsid"] == "bbbb"
    assert ceph_living([{"item": "a", "state": "none", "conf_fsid": "BBBB"}], fsid="CCCC")["fsid"] == "cccc"
    assert len(ceph_living([{"item": "a", "state": "none"}])["fsid"]) == 36
