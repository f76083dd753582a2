# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for the realm, its zonegroup and its zone."""

from __future__ import annotations

import json

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import realm
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.rgw_site import Observed, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk
from ansible_collections.cephstack.cloud.tests.unit.ceph.object_storage import EAST, KEY, SITE, URLS, ids, joining, planned, secondary, whole_site


def test_a_whole_site_needs_nothing():
    assert not planned(whole_site(), site=SITE)


def test_what_was_staged_and_not_committed_is_committed():
    old = {"endpoints": ["http://old"], "hostnames": [], "zonegroup": "zg", "zone": "z", "master": "z"}
    (change,) = planned(whole_site(period=old), site=SITE).changes
    assert (change.id, change.before, change.after) == ("period/r", {"endpoints": ["http://old"]}, {"endpoints": URLS})


def test_a_realm_that_would_hide_a_zone_is_a_loss():
    place = {"endpoints": [], "hostnames": [], "realm_id": "", "master": "default", "leads": True}
    hidden = planned(Observed(zonegroups={"default": None}, zones={"default": None}), site=SITE)
    assert [change.risk for change in hidden.changes if change.kind == "realm"] == [Risk.LOSS]
    taken = planned(
        Observed(zonegroups={"default": place}, zones={"default": place}), site={"realm": "r", "zonegroup": "default", "zone": "default", "endpoints": URLS}
    )
    assert ids(taken) == [["create realm/r"], ["update zonegroup/default"], ["update zone/default"], ["create period/r"]]
    assert {change.risk for change in taken.changes} == {Risk.NONE}


@pytest.mark.parametrize("master", [None, False])
def test_a_secondary_zone_changes_nothing_of_its_master(master):
    assert not planned(secondary(), site={**SITE, "master": master})
    have = secondary()
    have.zones["z"]["endpoints"] = have.period["zone_endpoints"] = ["http://old"]
    result = planned(have, site={**SITE, "master": master})
    assert ids(result) == [["update zone/z"], ["update period/r"]]
    assert [(change.before, change.after) for change in result.changes] == [
        ({"endpoints": ["http://old"]}, {"endpoints": URLS}),
        ({"zone_endpoints": ["http://old"]}, {"zone_endpoints": URLS}),
    ]


def test_what_a_secondary_zone_staged_and_did_not_commit_is_committed():
    have = secondary()
    have.period["zone_endpoints"] = ["http://old"]
    assert ids(planned(have, site=SITE)) == [["update period/r"]]


def test_a_zone_joins_an_existing_zonegroup_as_no_master():
    result = planned(joining(), site={**SITE, "system_key": KEY})
    assert ids(result) == [["create zone/z"], ["update period/r"]]
    assert result.changes[0].after["master"] is False
    assert {change.risk for change in result.changes} == {Risk.NONE}
    assert "system's" not in json.dumps(result.diff())


def test_a_second_zonegroup_does_not_lead_the_realm():
    have = joining()
    have.period = None  # which is of the declared zonegroup
    (group, zone, period) = planned(have, site={**SITE, "zonegroup": "us", "zone": "us-1", "system_key": KEY}).changes
    assert (group.id, group.after["master"]) == ("zonegroup/us", False)
    assert (zone.id, zone.after["master"]) == ("zone/us-1", True), "each zonegroup has a master of its own"
    assert {change.risk for change in (group, zone, period)} == {Risk.NONE}


def test_a_master_is_replaced_by_name_only():
    result = planned(secondary(), site={**SITE, "master": True})
    assert ids(result) == [["update zonegroup/zg"], ["update zone/z"], ["update period/r"]]
    refused = result.refusals()
    assert len(refused) == 2 and "the zone east would no longer be the master of the zonegroup zg" in refused[1]
    assert result.refusals(["zonegroup/zg", "zone/z"]) == []


def test_a_master_that_somebody_staged_is_committed_by_name_only():
    have = secondary()
    have.zonegroups["zg"]["master"], have.zones["z"]["master"] = "z", True
    assert not planned(have, site=SITE), "it is not what was declared"
    have.zones["z"]["endpoints"] = have.period["zone_endpoints"] = ["http://old"]
    (refused,) = planned(have, site=SITE).refusals()
    assert refused.startswith("update period/r: z is staged to be the master of the zonegroup zg instead of east")
    have = secondary()
    have.zonegroups["zg"]["master"], have.zones["z"]["master"] = "z", True
    (refused,) = planned(have, site={**SITE, "endpoints": EAST, "master": True}).refusals(["zone/z", "zonegroup/zg"])
    assert "To allow it, name it in allow_loss: period/r" in refused
    # The master itself takes back what was staged against it
    have = whole_site()
    have.zonegroups["zg"]["master"], have.zones["z"]["master"] = "other", False
    result = planned(have, site=SITE)
    assert ids(result) == [["update zone/z"], ["update period/r"]] and result.refusals() == []


def test_a_default_realm_is_replaced_by_name_only():
    (change,) = planned(whole_site(default_realm=False), site=SITE).changes
    assert (change.id, change.risk) == ("realm/r", Risk.NONE)
    (refused,) = planned(whole_site(default_realm=False, another_default="old"), site=SITE).refusals()
    assert "update realm/r: old would no longer be the default realm" in refused
    (refused,) = planned(Observed(realms={"old": None}, default_realm=False, another_default="old"), site=SITE).refusals()
    assert "create realm/r: old would no longer be the default realm" in refused


def test_a_second_realm_is_made_by_name_only():
    """As the cluster tells of it: the default one by its id."""
    lists = {"realm": {"default_info": "1", "realms": ["old"]}, "zonegroup": {"zonegroups": []}, "zone": {"zones": []}}

    def cli(kind, verb, *words, place):
        return lists[kind] if verb == "list" else {"id": "1", "name": words[0].partition("=")[2]}

    have = Observed()
    realm.observe(have, realm.parse(SITE, URLS), cli)
    (refused,) = planned(have, site=SITE).refusals()
    assert "create realm/r: old would no longer be the default realm" in refused


@pytest.mark.parametrize(
    ("have", "site", "text"),
    [
        (Observed(), {"master": False}, "pull the realm first"),
        (whole_site(), {"master": False}, "it is the master of the zonegroup zg"),
        (secondary(), {"zone": "east", "system_key": KEY}, "the zonegroup zg has a zone of that name on another cluster"),
        (joining(), {}, "this zone has no key for that"),
    ],
)
def test_what_goes_against_the_realm_as_it_is(have, site, text):
    with pytest.raises(Invalid, match=text):
        planned(have, site={**SITE, **site})


def test_names_of_a_zonegroup_are_its_masters():
    result = planned(secondary(), site={**SITE, "hostnames": ["other.example.org"]})
    assert not result and "only its master zone, east, changes them" in result.warnings[0]
    assert planned(secondary(), site={**SITE, "hostnames": ["s3.example.org"]}).warnings == []


def test_a_zone_of_another_realm_is_not_taken():
    place = {"endpoints": URLS, "hostnames": [], "realm_id": "2"}
    with pytest.raises(Invalid, match="the zone z belongs to another realm"):
        planned(whole_site(zones={"z": place}), site=SITE)


def test_an_empty_list_of_endpoints_leaves_those_that_are_there():
    """For a run that doesn't know all gateways: neither none nor only those that are asked."""
    site = {"realm": "r", "zonegroup": "g", "zone": "z"}
    assert parse({"endpoints": URLS, "site": site}).site.endpoints == tuple(URLS)
    assert parse({"endpoints": URLS, "site": {**site, "endpoints": []}}).site.endpoints == ()
