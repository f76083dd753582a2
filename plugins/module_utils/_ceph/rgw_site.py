# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is declared of the object storage, as one: the realm with its zonegroup and zone, users and buckets.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import buckets, realm, s3, users
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.buckets import Bucket
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.cluster import OPTIONS, ClusterProvider
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import ROOT_POOL, AdminOps, RadosgwAdmin, pool_names
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.users import User
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Lane, Plan, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import complete, twice

_LANE = Lane("object gateways", 16)
_SITE = ("realm", "zonegroup", "zone", "period")
# Options that some releases know no more, which do without being told what the others must be told.
_FORMER = ("rgw_keystone_api_version",)


@dataclasses.dataclass
class Observed(realm.Observed, users.Observed, buckets.Observed):
    """What is, of all kinds. unseen: users and buckets were not looked at, for want of boto3 in a dry run."""

    unseen: bool = False


class Wanted(t.NamedTuple):
    """All that is declared. admin: the uid of this collection's own user."""

    site: t.Optional[realm.Site] = None
    users: t.Tuple[User, ...] = ()
    buckets: t.Tuple[Bucket, ...] = ()
    prune: t.FrozenSet[str] = frozenset()
    admin: str = "cephstack-admin"

    @property
    def objects(self) -> bool:
        """Whether anything is declared for which a gateway must be asked."""
        return bool(self.users or self.buckets or self.prune)

    @property
    def uids(self) -> frozenset[str]:
        """Of the declared users and of the buckets' owners."""
        return frozenset({user.uid for user in self.users} | {bucket.owner for bucket in self.buckets})

    def pruned(self, kind: str, there: t.FrozenSet[str]) -> list[str]:
        """What there is of users or buckets that goes for not being declared."""
        declared = {user.uid for user in self.users} | {self.admin} if kind == "users" else {bucket.id for bucket in self.buckets}
        return sorted(there - declared) if kind in self.prune else []


def parse(params: t.Mapping[str, t.Any]) -> Wanted:
    """Return what is declared. Raises Invalid with every problem."""
    problems: list[str] = []
    endpoints = params.get("endpoints") or ()
    admin = params.get("admin_user") or "cephstack-admin"
    wanted = Wanted(
        realm.parse(params["site"], endpoints) if params.get("site") else None,
        tuple(users.parse(item, admin, problems) for item in params.get("users") or ()),
        tuple(buckets.parse(item, problems) for item in params.get("buckets") or ()),
        frozenset(params.get("prune") or ()),
        admin,
    )
    problems += [f"user {uid} is declared twice" for uid in twice(user.uid for user in wanted.users)]
    problems += [f"bucket {name} is declared twice" for name in twice(bucket.id for bucket in wanted.buckets)]
    problems += [f"the access key {key} is given to two users" for key in twice(key for user in wanted.users for key in user.keys or ())]
    absent = {user.uid for user in wanted.users if not user.present}
    problems += [f"bucket {one.name}: its owner {one.owner} is declared absent" for one in wanted.buckets if one.present and one.owner in absent]
    if wanted.objects and not endpoints:
        problems.append("users and buckets need endpoints: the addresses of the gateways")
    problems += [f"endpoint {url} is not a URL such as http://10.0.0.1:8080" for url in endpoints if not url.startswith(("http://", "https://"))]
    if problems:
        raise Invalid(problems)
    return wanted


def plan(wanted: Wanted, observed: Observed, api: AdminOps) -> Plan:
    """Compare. Raises Invalid with every problem."""
    draft = Draft()
    if wanted.site:
        realm.plan(wanted.site, observed, api.cli, draft)
    if observed.unseen:
        draft.warn("users and buckets are not compared: this host lacks the package python3-boto3, which a run installs")
        return draft.plan(_LANE)
    if wanted.objects:
        users.plan_own(observed, api, wanted.admin, draft.ids(*_SITE), draft)
    ready = draft.ids(*_SITE, "user")
    pruned = wanted.pruned("buckets", observed.bucket_ids)
    going = {*pruned, *(bucket.id for bucket in wanted.buckets if not bucket.present)}
    owners = {user.uid for user in wanted.users} | set(observed.users)
    for name in pruned:
        buckets.plan_deletion(name, observed, api, draft, "it is not declared; ")
    users.plan(wanted.users, observed, wanted.pruned("users", observed.uids), going, api, ready, draft)
    buckets.plan(wanted.buckets, observed, owners, api, ready, draft)
    if observed.led_elsewhere(wanted.site):
        # What another zone than the realm's master changes of these, the master never learns of: the zones would tell different things.
        where = f"users and buckets are changed in the realm's master zone, {observed.lead_zone}, and come here from there"
        mend = "Declare it for the gateways of that zone; where it is declared there already, wait until it has come"
        for change in draft.changes:
            if change.kind in ("user", "bucket"):
                draft.problem(f"{change.action} {change.id}: {where}. {mend}")
    return draft.plan(_LANE)


class Provider:
    """The site, users and buckets of one module call. connection: None where there is no cluster yet (check mode only)."""

    def __init__(self, wanted: Wanted, connection: t.Optional[Connection], options: t.Mapping[str, t.Any], client: t.Optional[s3.Client] = None) -> None:
        self._wanted = wanted
        self._connection = connection
        self._api = AdminOps(wanted.admin, RadosgwAdmin(options, wanted.site.arguments if wanted.site else []), client or s3.Client([]))

    def observe(self) -> Observed:
        observed = Observed()
        if self._connection and s3.READY:
            self._api.open_s3(bucket.owner for bucket in self._wanted.buckets if bucket.present)
        try:
            pools = pool_names(self._connection) if self._connection else ()
            if ROOT_POOL in pools:
                realm.observe(observed, self._wanted.site, self._api.cli)
                if self._wanted.objects:
                    self._observe_objects(observed, pools)
        except s3.ApiFailed as error:
            raise Unreachable(str(error)) from error
        return observed

    def _observe_objects(self, observed: Observed, pools: t.Collection[str]) -> None:
        wanted, api = self._wanted, self._api
        zone = observed.zones.get(wanted.site.zone) if wanted.site else None
        # Without a zone, or where no gateway has run in it, there are no users.
        if (zone is None or zone["pool"] not in pools) if wanted.site else not observed.zones:
            return
        if not s3.READY:
            observed.unseen = True
            return
        if wanted.admin in api.cli("metadata", "list", "user"):
            observed.users[wanted.admin] = api.cli("user", "info", f"--uid={wanted.admin}")
        if wanted.admin not in observed.users or not users.may_ask(observed.users[wanted.admin]):
            self._without_own_user(observed)
            return
        api.keep(wanted.admin, observed.users[wanted.admin])
        with ThreadPoolExecutor(max_workers=_LANE.at_once) as pool:
            listed = pool.map(lambda kind: api("GET", f"metadata/{kind}"), ("user", "bucket"))
            observed.uids, observed.bucket_ids = (frozenset(names) for names in listed)
            leaving = [user.uid for user in wanted.users if not user.present and user.uid in observed.uids] + wanted.pruned("users", observed.uids)
            users.observe(observed, wanted.uids, leaving, api, pool)
            buckets.observe(observed, wanted.buckets, wanted.pruned("buckets", observed.bucket_ids), api, pool)

    def _without_own_user(self, observed: Observed) -> None:
        """Read with radosgw-admin what the gateways won't tell, as long as nobody is there who may ask them."""
        wanted, cli = self._wanted, self._api.cli
        observed.uids = frozenset(cli("metadata", "list", "user"))
        uids = sorted(wanted.uids & observed.uids)
        with ThreadPoolExecutor(max_workers=4) as pool:
            observed.users.update(zip(uids, pool.map(lambda uid: cli("metadata", "get", f"user:{uid}")["data"], uids)))
        known = {bucket.id for bucket in wanted.buckets}.intersection(cli("metadata", "list", "bucket"))
        # Where another zone has the say, the plan tells what must be done instead
        if (known or wanted.prune) and not observed.led_elsewhere(wanted.site):
            why = "is not there or may not do what it must, and there are buckets already: run once with users only, which repairs it"
            raise Invalid([f"the user {wanted.admin}, as which this collection asks the gateways, {why}"])

    def plan(self, observed: Observed) -> Plan:
        return plan(self._wanted, observed, self._api)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        own = sorted((uid, users.current(record)) for uid, record in observed.users.items() if uid != self._wanted.admin)
        found = [{"uid": uid, **{key: value for key, value in facts.items() if key != "keys"}} for uid, facts in own]
        return {"users": found, "buckets": [{"name": name, **facts} for name, facts in sorted(observed.buckets.items())]}


class GatewayOptions(ClusterProvider):
    """The options of gateways in the configuration database. options: by cephx client. The others: see ClusterProvider."""

    def __init__(self, options: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any], check_mode: bool, prefix: str) -> None:
        super().__init__(complete(OPTIONS, {"options": options})[0], connection, check_mode, prefix)

    def plan(self, observed: Maps) -> Plan:
        gone = {name for name in _FORMER if observed.help.get(name, "") is None}
        sections = self._declaration["options"].items()
        self._declaration = {
            **self._declaration,
            "options": {section: {name: value for name, value in given.items() if name not in gone} for section, given in sections},
        }
        return super().plan(observed)

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        return {}
