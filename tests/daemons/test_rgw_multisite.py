# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rgw_site on two clusters of one realm: the second has no authority over the first."""

from __future__ import annotations

import pytest
from conftest import Cluster, Failed
from test_rgw_site import Gateway, changed

KEY = {"access_key": "SYSTEMKEY", "secret_key": "of+the/whole"}
SMALL = {"osd_pool_default_size": "1", "osd_pool_default_min_size": "1", "mon_allow_pool_size_one": "true"}


class Site(Gateway):
    """A cluster with a gateway, and what its realm's period says."""

    def period(self):
        """Return the zonegroup as the realm has it, its zones by name, and the name of the realm's master zone."""
        period = self.admin("period", "get", "--rgw-realm=earth")
        (group,) = period["period_map"]["zonegroups"]
        names = {zone["id"]: zone["name"] for zone in group["zones"]}
        assert period["master_zonegroup"] == group["id"]
        assert names[group["master_zone"]] == names[period["master_zone"]]
        return group, {zone["name"]: zone for zone in group["zones"]}, names[period["master_zone"]]


@pytest.fixture(scope="module")
def clusters():
    """Two small clusters, which know nothing of each other."""
    made = [Cluster(osds=1, mgr=False, conf=SMALL) for _ in range(2)]
    try:
        yield [one.begin() for one in made]
    finally:
        for one in made:
            one.stop_all()


@pytest.fixture
def earth(run, clusters):
    """The realm: its master zone eu-east on the first cluster, pulled by the second, which has the zone eu-west, made by hand."""
    east, west = (Site(cluster, name) for cluster, name in zip(clusters, ("east", "west")))
    if "client.rgw.east" not in clusters[0]._processes:
        run("rgw_site", cluster=clusters[0], site={"realm": "earth", "zonegroup": "eu", "zone": "eu-east", "endpoints": [east.url]})
        place = ["--rgw-realm=earth", "--rgw-zonegroup=eu"]
        key = [f"--access-key={KEY['access_key']}", f"--secret={KEY['secret_key']}"]
        east.admin("user", "create", *place, "--rgw-zone=eu-east", "--uid=realm", "--display-name=Realm", "--system", *key)
        east.start(zone="eu-east")
        west.admin("realm", "pull", f"--url={east.url}", *key)
        west.admin("zone", "create", *place, "--rgw-zone=eu-west", "--endpoints=http://127.0.0.9:1", *key)
        west.admin("period", "update", "--commit", *place, "--rgw-zone=eu-west")
        west.start(zone="eu-west")
        clusters[0].sites = east, west
    return clusters[0].sites


def west_site(west, **changed):
    return {"realm": "earth", "zonegroup": "eu", "zone": "eu-west", "endpoints": [west.url], **changed}


def test_a_secondary_zone_has_its_own_endpoints_and_no_more(run, earth):
    east, west = earth
    wanted = {"cluster": west.cluster, "site": west_site(west)}
    everything = ["update period/earth", "update zone/eu-west"]
    assert changed(run("rgw_site", check=True, **wanted)) == everything
    assert changed(run("rgw_site", **wanted)) == everything
    group, zones, master = east.period()
    assert (master, group["endpoints"]) == ("eu-east", [east.url]), "as the first cluster has it"
    assert (zones["eu-east"]["endpoints"], zones["eu-west"]["endpoints"]) == ([east.url], [west.url])
    assert not run("rgw_site", **wanted)["changed"]
    assert not run("rgw_site", cluster=east.cluster, site={"realm": "earth", "zonegroup": "eu", "zone": "eu-east", "endpoints": [east.url]})["changed"]


def test_a_zone_joins_and_its_key_is_seen_nowhere(run, earth):
    east, west = earth
    wanted = {"cluster": west.cluster, "site": {**west_site(west), "zone": "eu-north", "master": False, "endpoints": ["http://127.0.0.9:2"]}}
    with pytest.raises(Failed, match="this zone has no key for that"):
        run("rgw_site", **wanted)
    wanted["site"]["system_key"] = KEY
    result = run("rgw_site", **wanted)
    assert changed(result) == ["create zone/eu-north", "update period/earth"]
    assert KEY["secret_key"] not in str(result["diff"]) + str(result["changes"])
    assert not run("rgw_site", **wanted)["changed"]
    group, zones, master = east.period()
    assert (master, group["endpoints"], sorted(zones)) == ("eu-east", [east.url], ["eu-east", "eu-north", "eu-west"])
    assert west.admin("zone", "get", "--rgw-zone=eu-north")["system_key"] == KEY
    assert west.admin("zone", "list")["default_info"] == west.admin("zone", "get", "--rgw-zone=eu-west")["id"], "the default stays who it was"


def test_users_are_the_master_zones(run, earth):
    east, west = earth
    users = [{"uid": "ann"}]
    run("rgw_site", cluster=east.cluster, endpoints=[east.url], users=users)
    # The gateway there takes a moment to hear of it
    west.cluster.wait(lambda: {"ann", "cephstack-admin"} <= set(west.admin("user", "list", "--rgw-zone=eu-west")), 60, "the users to come")
    wanted = {"cluster": west.cluster, "site": west_site(west), "endpoints": [west.url]}
    assert not run("rgw_site", **wanted, users=users)["changed"]
    with pytest.raises(Failed, match="create user/bob: users and buckets are changed in the realm's master zone, eu-east"):
        run("rgw_site", **wanted, users=[*users, {"uid": "bob"}])


def test_a_zone_becomes_the_master_by_name_only(run, earth):
    """The last test: it turns the realm round."""
    east, west = earth
    wanted = {"cluster": west.cluster, "site": west_site(west, master=True)}
    with pytest.raises(Failed, match="the zone eu-east would no longer be the master of the zonegroup eu") as caught:
        run("rgw_site", **wanted)
    assert len(caught.value.result["refused"]) == 2
    assert east.period()[2] == "eu-east"
    run("rgw_site", **wanted, allow_loss=["zone/eu-west", "zonegroup/eu"])
    group, _zones, master = west.period()
    assert (master, group["endpoints"]) == ("eu-west", [west.url])
    assert not run("rgw_site", **wanted)["changed"]
