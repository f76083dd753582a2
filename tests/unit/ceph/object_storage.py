# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the object storage's kinds declare and find."""

from __future__ import annotations

from unittest import mock

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.rgw_site import Observed, parse, plan
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.users import ADMIN_CAPS
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret

URLS = ["http://g:8080"]
SITE = {"realm": "r", "zonegroup": "zg", "zone": "z", "endpoints": URLS}
NONE = {"enabled": False, "max_size": -1, "max_objects": -1}


def planned(observed=None, **params):
    return plan(parse({"endpoints": URLS, **params}), observed or Observed(), mock.Mock())


def ids(result):
    return [sorted(f"{change.action} {change.id}" for change in stage) for stage in result.stages()]


def record(uid, **changed):
    keys = [{"user": uid, "access_key": "K", "secret_key": "s"}]
    return {
        "user_id": uid,
        "display_name": uid,
        "email": "",
        "suspended": 0,
        "max_buckets": 1000,
        "caps": [],
        "user_quota": NONE,
        "bucket_quota": NONE,
        "keys": keys,
        **changed,
    }


def observed(*users, **changed):
    admin = record("cephstack-admin", caps=[{"type": kind, "perm": perm} for kind, perm in ADMIN_CAPS.items()])
    records = {user["user_id"]: user for user in (admin, *users)}
    return Observed(**{"users": records, "uids": frozenset(records), **changed})


def whole_site(**changed):
    place = {"endpoints": URLS, "hostnames": [], "realm_id": "1"}
    group = {**place, "master": "z", "leads": True, "members": ["z"]}
    period = {**group, "zonegroup": "zg", "zone": "z"}
    whole = {"realms": {"r": {"id": "1"}}, "zonegroups": {"zg": group}, "zones": {"z": {**place, "master": True, "system_key": None}}, "period": period}
    return Observed(**{**whole, "lead_zonegroup": "zg", "lead_zone": "z", **changed})


EAST = ["http://east:8080"]
KEY = {"access_key": "SYSTEM", "secret_key": "system's"}


def secondary(**changed):
    """A realm that was pulled: z is a zone of this cluster, and east, of another, is the master."""
    group = {"endpoints": EAST, "hostnames": ["s3.example.org"], "realm_id": "1", "master": "east", "leads": True, "members": ["east", "z"]}
    zone = {"endpoints": URLS, "hostnames": [], "realm_id": "1", "master": False, "system_key": {**KEY, "secret_key": Secret("system's")}}
    period = {**group, "zonegroup": "zg", "zone": "z", "zone_endpoints": URLS}
    whole = {"realms": {"r": {"id": "1"}}, "zonegroups": {"zg": group}, "zones": {"z": zone}, "period": period}
    return Observed(**{**whole, "lead_zonegroup": "zg", "lead_zone": "east", **changed})


def joining(**changed):
    """The same before the zone is made."""
    have = secondary()
    group = {**have.zonegroups["zg"], "members": ["east"]}
    return secondary(zonegroups={"zg": group}, zones={}, period={**have.period, "zone": None, "zone_endpoints": []}, **changed)


BUCKET = {"id": "1", "owner": "u", "objects": 3, "quota": NONE, "versioning": False, "lifecycle": [], "policy": None}
