# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object storage: the realm, zonegroup and zone, users and buckets.

radosgw-admin makes the site and the first user, for which there is no other way; it has no key on its command line.
Everything else goes through the gateways' Admin Ops and S3 APIs, a call of which costs a few milliseconds.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import buckets as s3_buckets
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._host import process
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Invalid, Plan, Risk, Secret, Unreachable, differing

WORKERS = 16
# What this collection's own user may do. metadata: secrets are handed over in the body of a metadata call, for the URLs of all
# other calls stand in the gateways' logs.
ADMIN_CAPS = {"buckets": "*", "metadata": "*", "usage": "read", "users": "*"}
ROOT_POOL = ".rgw.root"
_UNLIMITED = -1
QUOTA = {"enabled": {"type": "bool", "default": True}, "max_size": {"type": "str"}, "max_objects": {"type": "int"}}


@dataclasses.dataclass(frozen=True)
class Site:
    """The declared realm, with one zonegroup and one zone of it.

    master: whether the zone shall be its zonegroup's master; None: as it is, and the first zone of a zonegroup is.
    system_key: the access key and the secret with which zones of the realm ask each other. None: as it is.
    """

    realm: str
    zonegroup: str
    zone: str
    endpoints: t.Tuple[str, ...] = ()
    hostnames: t.Optional[t.Tuple[str, ...]] = None
    master: t.Optional[bool] = None
    system_key: t.Optional[t.Mapping[str, t.Any]] = None


@dataclasses.dataclass(frozen=True)
class User:
    """A declared user. What is None is left as it is. caps: type -> perm. keys: access key -> secret; None: any will do, one is generated."""

    uid: str
    present: bool = True
    fields: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)  # display_name, email, max_buckets, suspended, system, admin
    caps: t.Optional[t.Mapping[str, str]] = None
    quotas: t.Mapping[str, t.Mapping[str, t.Any]] = dataclasses.field(default_factory=dict)  # user, bucket
    keys: t.Optional[t.Mapping[str, Secret]] = None
    exclusive_keys: bool = False


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A declared bucket. settings: versioning, lifecycle, policy, quota; only what was declared."""

    name: str
    owner: str
    present: bool = True
    settings: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its name in the Admin Ops API: a tenant's bucket is tenant/name."""
        tenant, sign, _unused = self.owner.partition("$")
        return f"{tenant}/{self.name}" if sign else self.name


@dataclasses.dataclass(frozen=True)
class Wanted:
    """All that is declared. admin: the uid of this collection's own user."""

    site: t.Optional[Site] = None
    users: t.Tuple[User, ...] = ()
    buckets: t.Tuple[Bucket, ...] = ()
    prune: t.FrozenSet[str] = frozenset()
    admin: str = "cephstack-admin"

    @property
    def objects(self) -> bool:
        """Whether anything is declared for which a gateway must be asked."""
        return bool(self.users or self.buckets or self.prune)


@dataclasses.dataclass
class Observed:
    """What is.

    realms, zonegroups, zones: name -> as radosgw-admin tells it; other zones than the declared one only by name (None).
    The declared zonegroup has master (the name of its master zone, None where it has none yet), leads (whether it is the realm's master
    zonegroup) and members (the names of all its zones, those of other clusters too).
    period: the declared zonegroup as the realm's current period has it.
    lead_zonegroup, lead_zone: the names of the realm's master zonegroup and of its master zone, which has the say over users and buckets, as the
    current period has them. None where there are none yet.
    default_realm: whether the declared realm is the cluster's default; another_default: the name of the realm that is it instead.
    users: uid -> as the metadata tell it, for those declared; uids: all. buckets: id -> settings and facts; bucket_ids: all.
    admin: whether this collection's own user is there and may do all it must; its record (None where it isn't there) is in users.
    """

    realms: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    zonegroups: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    zones: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    period: t.Optional[t.Dict[str, t.Any]] = None
    lead_zonegroup: t.Optional[str] = None
    lead_zone: t.Optional[str] = None
    default_realm: bool = True
    another_default: t.Optional[str] = None
    users: t.Dict[str, t.Dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    uids: t.FrozenSet[str] = frozenset()
    buckets: t.Dict[str, t.Dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    bucket_ids: t.FrozenSet[str] = frozenset()
    owned: t.Dict[str, t.List[str]] = dataclasses.field(default_factory=dict)
    warnings: t.List[str] = dataclasses.field(default_factory=list)


# -- what was declared


def parse(params: t.Mapping[str, t.Any]) -> Wanted:
    """Return what is declared. Raises Invalid with every problem."""
    problems: list[str] = []
    site = None
    if params.get("site"):
        given = params["site"]
        hostnames, endpoints = given.get("hostnames"), given.get("endpoints")
        site = Site(
            given["realm"],
            given["zonegroup"],
            given["zone"],
            tuple((params.get("endpoints") or ()) if endpoints is None else endpoints),
            None if hostnames is None else tuple(sorted(hostnames)),
            given.get("master"),
            {**given["system_key"], "secret_key": Secret(given["system_key"]["secret_key"])} if given.get("system_key") else None,
        )
    admin = params.get("admin_user") or "cephstack-admin"
    users, buckets = [], []
    for item in params.get("users") or []:
        found: list[str] = []
        users.append(_parse_user(item, admin, found))
        problems.extend(f"user {item['uid']}: {text}" for text in found)
    for item in params.get("buckets") or []:
        found = []
        buckets.append(_parse_bucket(item, found))
        problems.extend(f"bucket {item['name']}: {text}" for text in found)
    for kind, names in (("user", [user.uid for user in users]), ("bucket", [bucket.id for bucket in buckets])):
        problems.extend(f"{kind} {name} is declared twice" for name in sorted({name for name in names if names.count(name) > 1}))
    given_keys = [key for user in users for key in (user.keys or {})]
    problems.extend(f"the access key {key} is given to two users" for key in sorted({key for key in given_keys if given_keys.count(key) > 1}))
    absent = {user.uid for user in users if not user.present}
    problems.extend(f"bucket {one.name}: its owner {one.owner} is declared absent" for one in buckets if one.present and one.owner in absent)
    wanted = Wanted(site, tuple(users), tuple(buckets), frozenset(params.get("prune") or ()), admin)
    if wanted.objects and not params.get("endpoints"):
        problems.append("users and buckets need endpoints: the addresses of the gateways")
    problems.extend(
        f"endpoint {url} is not a URL such as http://10.0.0.1:8080" for url in params.get("endpoints") or () if not url.startswith(("http://", "https://"))
    )
    if problems:
        raise Invalid(problems)
    return wanted


def _parse_user(item: t.Mapping[str, t.Any], admin: str, found: list[str]) -> User:
    if item["uid"] == admin:
        found.append("this is the collection's own user (admin_user); it cannot be declared")
    caps = None
    if item.get("caps") is not None:
        caps = {}
        for kind, perm in item["caps"].items():
            try:
                caps[kind] = tidy_perm(perm)
            except ValueError as error:
                found.append(str(error))
    quotas = {}
    for kind in ("user", "bucket"):
        if item.get(f"{kind}_quota") is not None:
            quotas[kind] = _parse_quota(item[f"{kind}_quota"], found)
    keys = None
    if item.get("keys"):
        keys = {key["access_key"]: Secret(key["secret_key"]) for key in item["keys"]}
        if len(keys) < len(item["keys"]):
            found.append("an access key is given twice")
    elif item.get("exclusive_keys"):
        found.append("exclusive_keys needs keys")
    fields = {key: item[key] for key in ("display_name", "email", "max_buckets", "suspended", "system", "admin") if item.get(key) is not None}
    # As the gateways keep them
    if "email" in fields:
        fields["email"] = fields["email"].lower()
    if "max_buckets" in fields:
        fields["max_buckets"] = max(fields["max_buckets"], _UNLIMITED)
    return User(item["uid"], item.get("state", "present") == "present", fields, caps, quotas, keys, bool(item.get("exclusive_keys")))


def _parse_bucket(item: t.Mapping[str, t.Any], found: list[str]) -> Bucket:
    settings: dict[str, t.Any] = {key: item[key] for key in ("versioning",) if item.get(key) is not None}
    if item.get("lifecycle") is not None:
        for rule in item["lifecycle"]:
            found.extend(s3_buckets.rule_problems(rule))
        settings["lifecycle"] = sorted((s3_buckets.tidy_rule(rule) for rule in item["lifecycle"]), key=lambda rule: rule["id"])
        names = [rule["id"] for rule in settings["lifecycle"]]
        found.extend(f"lifecycle rule {name} is declared twice" for name in sorted({name for name in names if names.count(name) > 1}))
    if item.get("policy") is not None:
        try:
            settings["policy"] = s3_buckets.tidy_policy(item["policy"])
            if s3_buckets.is_public(settings["policy"]) and not item.get("public"):
                found.append("its policy lets everybody in; say public: true if that is meant")
        except ValueError as error:
            found.append(str(error))
    if item.get("quota") is not None:
        settings["quota"] = _parse_quota(item["quota"], found)
    return Bucket(item["name"], item.get("owner") or "", item.get("state", "present") == "present", settings)


def _parse_quota(item: t.Mapping[str, t.Any], found: list[str]) -> dict[str, t.Any]:
    quota: dict[str, t.Any] = {"enabled": item.get("enabled", True)}
    quota["max_objects"] = _UNLIMITED if item.get("max_objects") is None else max(item["max_objects"], _UNLIMITED)
    quota["max_size"] = _UNLIMITED
    if item.get("max_size") is not None:
        try:
            # The gateways keep sizes in whole KiB
            quota["max_size"] = -(-values.size(item["max_size"]) // 1024) * 1024
        except ValueError as error:
            found.append(f"quota: {error}")
    return quota


def tidy_perm(perm: str) -> str:
    """Return a capability's permission as the gateways write it: read, write or *. Raises ValueError."""
    words = {word.strip() for word in str(perm).split(",")}
    if words == {"*"} or words == {"read", "write"}:
        return "*"
    if words in ({"read"}, {"write"}):
        return words.pop()
    raise ValueError(f"'{perm}' is not a permission: write read, write or *")


# -- what must change


def plan(wanted: Wanted, observed: Observed, actions: t.Any) -> Plan:
    """Compare. Raises Invalid with every problem."""
    problems: list[str] = []
    changes: list[Change] = []
    warnings = list(observed.warnings)
    if wanted.site:
        changes.extend(_plan_site(wanted.site, observed, actions, problems, warnings))
    ready = frozenset(change.id for change in changes)
    if wanted.objects:
        own = _plan_admin(wanted.admin, observed, actions, ready)
        changes.extend(own)
        ready |= {change.id for change in own}
    declared = {user.uid: user for user in wanted.users}
    going = {bucket.id for bucket in wanted.buckets if not bucket.present}
    if "buckets" in wanted.prune:
        kept = {bucket.id for bucket in wanted.buckets}
        for name in sorted(observed.bucket_ids - kept):
            going.add(name)
            changes.append(_delete_bucket(name, observed.buckets.get(name, {}), actions, "it is not declared"))
    for user in wanted.users:
        have = observed.users.get(user.uid)
        if user.present:
            change = _plan_user(user, have, actions, ready, problems)
            if change is not None:
                changes.append(change)
        elif have is not None:
            changes.append(_delete_user(user.uid, observed, going, actions, problems, ""))
    if "users" in wanted.prune:
        for uid in sorted(observed.uids - set(declared) - {wanted.admin}):
            changes.append(_delete_user(uid, observed, going, actions, problems, "it is not declared; "))
    for bucket in wanted.buckets:
        there = observed.buckets.get(bucket.id)
        if not bucket.present:
            if there is not None:
                changes.append(_delete_bucket(bucket.id, there, actions, ""))
            continue
        if bucket.owner not in declared and bucket.owner not in observed.users:
            problems.append(f"bucket {bucket.name}: its owner {bucket.owner} is neither declared nor there")
            continue
        change = _plan_bucket(bucket, there, actions, ready)
        if change is not None:
            changes.append(change)
    if wanted.site and observed.lead_zone not in (None, wanted.site.zone):
        # What another zone than the realm's master changes of these, the master never learns of: the zones would tell different things.
        problems.extend(
            f"{change.action} {change.id}: users and buckets are changed in the realm's master zone, {observed.lead_zone}, and come here from there. "
            "Declare it for the gateways of that zone; where it is declared there already, wait until it has come"
            for change in changes
            if change.kind in ("user", "bucket")
        )
    if problems:
        raise Invalid(problems)
    return Plan(changes, warnings)


def _plan_site(site: Site, observed: Observed, actions: t.Any, problems: list[str], warnings: list[str]) -> list[Change]:
    changes: list[Change] = []
    realm, group, zone = observed.realms.get(site.realm), observed.zonegroups.get(site.zonegroup), observed.zones.get(site.zone)
    committed = observed.period or {}
    # Who is the master now, in what is committed before what is only staged here. The first zone of a zonegroup becomes its master, and the
    # first zonegroup of a realm its master; from then on neither changes but by name.
    now = committed.get("master") or (group or {}).get("master")
    lead_group = observed.lead_zonegroup or (site.zonegroup if (group or {}).get("leads") else None)
    master = now in (None, site.zone) or bool(site.master)
    leads = lead_group in (None, site.zonegroup)
    problems.extend(_place_problems(site, observed, now))
    if realm is None:
        reason = ""
        # Gateways that ran without a realm keep their users and buckets in a zone that a realm with another zone would hide.
        others = sorted(set(observed.zones) - {site.zone})
        if others and not observed.realms and zone is None:
            reason = f"the users and buckets of the zone {', '.join(others)} would no longer be seen (name that zone to take it over)"
        elif observed.another_default:
            reason = _default_reason(observed)
        risk = Risk.LOSS if reason else Risk.NONE
        changes.append(Change("realm", site.realm, "create", None, {"name": site.realm}, lambda: actions.create_realm(site), risk=risk, reason=reason))
    elif not observed.default_realm:
        reason = _default_reason(observed) if observed.another_default else ""
        risk = Risk.LOSS if reason else Risk.NONE
        changes.append(
            Change("realm", site.realm, "update", {"default": False}, {"default": True}, lambda: actions.default_realm(site), risk=risk, reason=reason)
        )
    endpoints: dict[str, t.Any] = {"endpoints": sorted(site.endpoints)} if site.endpoints else {}
    names = {} if site.hostnames is None else {"hostnames": list(site.hostnames)}
    # A zonegroup's endpoints are those of its master zone, and its names are its master's to change.
    group_want: dict[str, t.Any] = {**endpoints, **names} if master else {}
    if not master and differing(group or {}, names)[1]:
        warnings.append(f"the hostnames of the zonegroup {site.zonegroup} are not those declared here: only its master zone, {now}, changes them")
    roles = {"zonegroup": leads, "zone": master}
    zone_want = {**endpoints, **({} if site.system_key is None else {"system_key": dict(site.system_key)})}
    for kind, name, have, wish in (("zonegroup", site.zonegroup, group, group_want), ("zone", site.zone, zone, zone_want)):
        needs = frozenset({f"realm/{site.realm}"} | ({f"zonegroup/{site.zonegroup}"} if kind == "zone" else set()))
        reason = ""
        if master and now not in (None, site.zone):
            reason = (
                f"the zone {now} would no longer be the master of the zonegroup {site.zonegroup}: what it has not handed over yet would be lost"
                if kind == "zone"
                else f"what is set of it is its master's, the zone {now}"
            )
        if have is None:
            after = {"name": name, **wish, "master": roles[kind]}
            changes.append(_place(kind, site, "create", None, after, needs, reason, actions))
            continue
        if not have.get("realm_id") or have["realm_id"] != (realm or {}).get("id"):
            if have.get("realm_id") and realm:
                problems.append(f"the {kind} {name} belongs to another realm")
                continue
            wish = {"realm": site.realm, **wish}
        have = {**have, "realm": None, "hostnames": have.get("hostnames", []), "master": have["leads"] if kind == "zonegroup" else have["master"]}
        if roles[kind]:
            wish = {**wish, "master": True}
        before, after = differing(have, wish)
        if after:
            changes.append(_place(kind, site, "update", before, after, needs, reason, actions))
    ids = frozenset(change.id for change in changes)
    period = {"zonegroup": site.zonegroup, "zone": site.zone, **group_want, **({} if master or not endpoints else {"zone_endpoints": endpoints["endpoints"]})}
    before, after = differing(committed, period)
    # Which realm is the default is this cluster's own affair
    if after or any(change.kind != "realm" or change.action == "create" for change in changes):
        # A commit makes all true that is staged, by whomever; what this plan stages itself has its own risk
        staged = None if any(change.kind == "zone" and change.after.get("master") for change in changes) else (group or {}).get("master")
        reason = ""
        if committed.get("master") and staged not in (None, committed["master"]):
            reason = f"{staged} is staged to be the master of the zonegroup {site.zonegroup} instead of {committed['master']}"
        elif (group or {}).get("leads") and not leads:
            reason = f"the zonegroup {site.zonegroup} is staged to be the realm's master instead of {lead_group}"
        # What has been staged takes effect with the next period; also what an earlier run staged and could not commit.
        changes.append(
            Change(
                "period",
                site.realm,
                "update" if observed.period else "create",
                before if observed.period else None,
                after,
                lambda: actions.commit(site),
                risk=Risk.LOSS if reason else Risk.NONE,
                reason=reason,
                needs=ids,
            )
        )
        commits_here = observed.lead_zone in (None, site.zone) or (leads and master)
        if not commits_here and site.system_key is None and not (zone or {}).get("system_key"):
            problems.append(
                f"zone {site.zone}: the realm's master zone is {observed.lead_zone}, to which changes must be handed, and this zone has no key for that: "
                "give system_key of the site, the key of a system user of the realm"
            )
    return changes


def _place_problems(site: Site, observed: Observed, now: t.Optional[str]) -> list[str]:
    """What of the declaration goes against what the realm is. now: the zonegroup's master zone, None where it has none."""
    if site.master is False and now is None:
        return [
            f"zone {site.zone}: master is false, and the zonegroup {site.zonegroup} has no master on this cluster's knowledge: pull the realm first "
            f"(radosgw-admin realm pull --rgw-realm={site.realm} --url=… on a host of the gateways), or leave master out"
        ]
    if site.master is False and now == site.zone:
        return [f"zone {site.zone}: master is false, and it is the master of the zonegroup {site.zonegroup}: make another zone its master first"]
    group = observed.zonegroups.get(site.zonegroup) or {}
    if site.zone not in observed.zones and site.zone in group.get("members", ()):
        return [f"zone {site.zone}: the zonegroup {site.zonegroup} has a zone of that name on another cluster: give this cluster's zone another name"]
    return []


def _place(kind: str, site: Site, action: str, before: t.Any, after: dict[str, t.Any], needs: t.FrozenSet[str], reason: str, actions: t.Any) -> Change:
    name = site.zonegroup if kind == "zonegroup" else site.zone
    risk = Risk.LOSS if reason else Risk.NONE
    return Change(
        kind, name, action, before, after, lambda: actions.set_place(kind, site, action == "create", after, bool(reason)), risk=risk, reason=reason, needs=needs
    )


def _default_reason(observed: Observed) -> str:
    return f"{observed.another_default} would no longer be the default realm: gateways and tools that name no realm would leave it"


def _plan_admin(uid: str, observed: Observed, actions: t.Any, needs: t.FrozenSet[str]) -> list[Change]:
    have = observed.users.get(uid)
    if have is None:
        return [Change("user", uid, "create", None, {"caps": ADMIN_CAPS, "keys": "generated"}, actions.create_admin, needs=needs)]
    before, after = differing(_caps(have), ADMIN_CAPS)
    old, new = ({"caps": before}, {"caps": after}) if after else ({}, {})
    if have.get("suspended"):
        old["suspended"], new["suspended"] = True, False
    if not have.get("keys"):
        old["keys"], new["keys"] = None, "generated"
    return [Change("user", uid, "update", old, new, lambda: actions.mend_admin(new), needs=needs)] if new else []


def _plan_user(user: User, have: t.Optional[dict[str, t.Any]], actions: t.Any, needs: t.FrozenSet[str], problems: list[str]) -> t.Optional[Change]:
    current = {} if have is None else user_now(have)
    fields = {"display_name": user.uid, **user.fields} if have is None else dict(user.fields)
    before, after = differing(current, fields)
    lost = ""
    if user.caps is not None and current.get("caps", {}) != user.caps:
        before["caps"], after["caps"] = current.get("caps", {}), dict(user.caps)
    for kind, quota in user.quotas.items():
        now = current.get(f"{kind}_quota")
        if now != quota and not (now is not None and not now["enabled"] and not quota["enabled"]):
            before[f"{kind}_quota"], after[f"{kind}_quota"] = now, dict(quota)
    have_keys: dict[str, Secret] = current.get("keys", {})
    if user.keys is not None:
        surplus = set(have_keys) - set(user.keys) if user.exclusive_keys else set()
        if any(have_keys.get(key) != secret for key, secret in user.keys.items()) or surplus:
            kept = {} if user.exclusive_keys else have_keys
            before["keys"], after["keys"] = have_keys, {**kept, **user.keys}
        if surplus:
            lost = f"who uses the access keys {', '.join(sorted(surplus))} is locked out"
    elif not have_keys:
        before["keys"], after["keys"] = None, "generated"
    if have is None:
        return Change("user", user.uid, "create", None, after, lambda: actions.create_user(user, after), needs=needs)
    if not after:
        return None
    return Change(
        "user", user.uid, "update", before, after, lambda: actions.update_user(user, after), risk=Risk.LOSS if lost else Risk.NONE, reason=lost, needs=needs
    )


def _delete_user(uid: str, observed: Observed, going: t.Collection[str], actions: t.Any, problems: list[str], why: str) -> Change:
    owned = observed.owned.get(uid, [])
    left = [name for name in owned if name not in going]
    if left:
        problems.append(
            f"user {uid} still owns buckets: {', '.join(sorted(left)[:5])}{' …' if len(left) > 5 else ''}; delete them or give them to another first"
        )
    needs = frozenset(f"bucket/{name}" for name in owned)
    return Change(
        "user",
        uid,
        "delete",
        {"buckets": sorted(owned)},
        None,
        lambda: actions.delete_user(uid),
        risk=Risk.LOSS,
        reason=f"{why}its keys would be gone",
        needs=needs,
    )


def _delete_bucket(name: str, have: t.Mapping[str, t.Any], actions: t.Any, why: str) -> Change:
    count = have.get("objects", 0)
    reason = f"{why}{'; ' if why else ''}its {count} objects would be deleted"
    return Change(
        "bucket", name, "delete", {"owner": have.get("owner"), "objects": count}, None, lambda: actions.delete_bucket(name), risk=Risk.LOSS, reason=reason
    )


def _plan_bucket(bucket: Bucket, have: t.Optional[dict[str, t.Any]], actions: t.Any, needs: t.FrozenSet[str]) -> t.Optional[Change]:
    wish = {"owner": bucket.owner, **bucket.settings}
    needs = needs | {f"user/{bucket.owner}"}
    if have is None:
        after = {key: value for key, value in wish.items() if value not in (None, []) and not (key == "versioning" and not value)}
        return Change("bucket", bucket.id, "create", None, after, lambda: actions.set_bucket(bucket, after, None), needs=needs)
    before, after = differing(have, wish)
    quota = have.get("quota")
    if "quota" in after and quota and not quota["enabled"] and not after["quota"]["enabled"]:
        del before["quota"], after["quota"]
    if not after:
        return None
    return Change("bucket", bucket.id, "update", before, after, lambda: actions.set_bucket(bucket, after, have), needs=needs)


def _caps(record: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {cap["type"]: tidy_perm(cap["perm"]) for cap in record.get("caps", ())}


def quota_now(quota: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a quota as the gateways tell it in the form in which it is declared."""
    size, count = quota.get("max_size", _UNLIMITED), quota.get("max_objects", _UNLIMITED)
    return {"enabled": _true(quota["enabled"]), "max_objects": max(count, _UNLIMITED), "max_size": size if size >= 0 else _UNLIMITED}


def user_now(record: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a user's record as the gateways tell it in the form in which users are declared."""
    return {
        "display_name": record.get("display_name", ""),
        "email": record.get("email", ""),
        "max_buckets": record.get("max_buckets"),
        "suspended": _true(record.get("suspended", 0)),
        "system": _true(record.get("system", False)),
        "admin": _true(record.get("admin", False)),
        "caps": _caps(record),
        "user_quota": quota_now(record["user_quota"]),
        "bucket_quota": quota_now(record["bucket_quota"]),
        "keys": {key["access_key"]: Secret(key["secret_key"]) for key in record.get("keys", ()) if _owner(key.get("user", "")) == _owner(record["user_id"])},
    }


def _owner(name: str) -> str:
    # A key of a subuser is "uid:sub"; the record of a tenant's user leaves its tenant out of user_id, in some releases.
    return name.rpartition("$")[2]


def _true(value: t.Any) -> bool:
    return value in (True, 1, "true", "True", "1")


# -- the real thing


class RadosgwAdmin:
    """radosgw-admin as the client of a connection. The key reaches it through memory, never its command line or a file."""

    def __init__(self, connection: t.Mapping[str, t.Any], place: t.Sequence[str] = ()) -> None:
        self._client = connection.get("client") or "client.admin"
        key = connection.get("key")
        self._keyring = f"[{self._client}]\nkey = {key}\n" if key else ""
        self._place = list(place)
        self._timeout = 4 * (connection.get("timeout") or 30)
        base = ["radosgw-admin", "--name", self._client]
        base += (
            ["-c", "/dev/null", "--mon-host", connection["mon_host"]] if connection.get("mon_host") else ["-c", connection.get("conf") or "/etc/ceph/ceph.conf"]
        )
        if key or connection.get("keyring"):
            base += ["--keyring", "{secret}" if key else connection["keyring"]]
        self._base = base

    def __call__(self, *arguments: str, place: bool = True, body: t.Optional[str] = None) -> t.Any:
        """Run one command; return its parsed JSON (None where it says nothing). Raises ApiFailed, Unreachable, Invalid."""
        argv = [*self._base, *arguments, *(self._place if place else ())]
        try:
            done = process.complete(argv, self._keyring, self._timeout, body or "")
        except process.CommandError as error:
            if error.code == process.MISSING:
                raise Invalid(["radosgw-admin is missing on this host: install the package radosgw"]) from None
            raise Unreachable(f"radosgw-admin {' '.join(arguments[:2])} as {self._client}: no answer within {self._timeout} s") from None
        if done.code:
            said = [line for line in done.err.strip().splitlines() if line.strip()]
            raise ApiFailed(f"radosgw-admin {' '.join(arguments[:2])}", done.code, "failed", said[-1] if said else "")
        return json.loads(done.out) if done.out.strip().startswith(("{", "[")) else None


def user_keys(connection: t.Any, admin: t.Callable[..., t.Any], uids: t.Sequence[str]) -> dict[str, t.Optional[list[dict[str, str]]]]:
    """The keys of users, [{access_key, secret_key}]; None for one that is not there. Raises ApiFailed, Unreachable, Invalid: never read as an absence.

    connection: an open one. admin: a RadosgwAdmin.
    """
    found: dict[str, t.Optional[list[dict[str, str]]]] = dict.fromkeys(uids)
    pools = {pool["pool_name"] for pool in connection.command("osd dump")["pools"]}
    # radosgw-admin would make the pools that it misses: asked for nothing where there is nothing
    if ROOT_POOL not in pools or not admin("zone", "list")["zones"]:
        return found
    if admin("zone", "get")["user_uid_pool"].partition(":")[0] not in pools:
        return found  # no gateway has run in this zone, so it has no users
    living = frozenset(admin("metadata", "list", "user"))
    there = [uid for uid in found if uid in living]
    with ThreadPoolExecutor(max_workers=4) as pool:
        for uid, record in zip(there, pool.map(lambda uid: admin("user", "info", f"--uid={uid}"), there)):
            found[uid] = [{"access_key": access, "secret_key": secret.reveal()} for access, secret in sorted(user_now(record)["keys"].items())]
    return found


class Actions:
    """What changes things, and what reads them. Every method does one thing."""

    def __init__(self, wanted: Wanted, admin: RadosgwAdmin, client: t.Optional[Client]) -> None:
        self.wanted = wanted
        self.cli = admin
        self._client = client
        self._credentials: dict[str, Credentials] = {}

    @property
    def client(self) -> Client:
        if self._client is None:
            raise Unreachable("no object gateway was named")
        return self._client

    # - site

    def create_realm(self, site: Site) -> None:
        self.cli("realm", "create", f"--rgw-realm={site.realm}", "--default", place=False)

    def default_realm(self, site: Site) -> None:
        self.cli("realm", "default", f"--rgw-realm={site.realm}", place=False)

    def set_place(self, kind: str, site: Site, new: bool, after: t.Mapping[str, t.Any], over: bool) -> None:
        """Make or change the zonegroup or the zone. after: what differs; of the rest nothing is said. over: whether it takes another's place."""
        where = [f"--rgw-realm={site.realm}", f"--rgw-zonegroup={site.zonegroup}"] + ([f"--rgw-zone={site.zone}"] if kind == "zone" else [])
        arguments = [*where, *(["--master"] if after.get("master") else [])]
        if over or not self.cli(kind, "list", place=False).get("default_info"):
            arguments.append("--default")  # where none is named
        if after.get("endpoints"):
            arguments.append("--endpoints=" + ",".join(after["endpoints"]))
        self.cli(kind, "create" if new else "modify", *arguments, place=False)
        if new and kind == "zone":  # Ceph 16 forgets the realm of a new zone, though it says that it kept it
            self.cli(kind, "modify", *arguments, place=False)
        if "hostnames" in after:
            self._set(kind, where, "hostnames", after["hostnames"])
        if "system_key" in after:
            key = after["system_key"]
            self._set(kind, where, "system_key", {"access_key": key["access_key"], "secret_key": key["secret_key"].reveal()})

    def _set(self, kind: str, where: t.Sequence[str], key: str, value: t.Any) -> None:
        """Set what no option sets, or only on the command line, where a secret is seen."""
        have = self.cli(kind, "get", *where, place=False)
        if have.get(key) != value:
            self.cli(kind, "set", *where, place=False, body=json.dumps({**have, key: value}))

    def commit(self, site: Site) -> None:
        self.cli("period", "update", "--commit", f"--rgw-realm={site.realm}", f"--rgw-zonegroup={site.zonegroup}", f"--rgw-zone={site.zone}", place=False)

    # - this collection's own user

    def create_admin(self) -> None:
        caps = ";".join(f"{kind}={perm}" for kind, perm in ADMIN_CAPS.items())
        record = self.cli("user", "create", f"--uid={self.wanted.admin}", "--display-name=Ansible collection cephstack.cloud", f"--caps={caps}")
        self.keep(record)

    def mend_admin(self, after: t.Mapping[str, t.Any]) -> None:
        uid = f"--uid={self.wanted.admin}"
        if "suspended" in after:
            self.cli("user", "enable", uid)
        if "keys" in after:
            self.cli("key", "create", uid, "--key-type=s3", "--gen-access-key", "--gen-secret")
        if "caps" in after:
            self.cli("caps", "add", uid, "--caps=" + ";".join(f"{kind}={perm}" for kind, perm in ADMIN_CAPS.items()))
        self.keep(self.cli("user", "info", uid))

    def keep(self, record: t.Mapping[str, t.Any]) -> None:
        """Remember with which key a user's requests are signed."""
        keys = user_now(record)["keys"]
        if keys:
            tenant = record.get("tenant") or ""
            uid = record["user_id"] if "$" in record["user_id"] or not tenant else f"{tenant}${record['user_id']}"
            access = sorted(keys)[0]
            self._credentials[uid] = Credentials(access, keys[access])

    @property
    def own(self) -> Credentials:
        return self._credentials[self.wanted.admin]

    def of(self, uid: str) -> Credentials:
        """Return the credentials of a user, asked for where they aren't known yet."""
        if uid not in self._credentials:
            record = self.get_user(uid)
            if record is not None:
                self.keep(record)
        try:
            return self._credentials[uid]
        except KeyError:
            raise RuntimeError(f"the user {uid} has no key to sign with") from None

    def ops(self, method: str, path: str, body: bytes = b"", **query: t.Any) -> t.Any:
        """Call the Admin Ops API."""
        texts = {key.replace("_", "-"): str(value).lower() if isinstance(value, bool) else str(value) for key, value in query.items() if value is not None}
        return self.client.json(self.own, method, f"/admin/{path}", texts, body)

    # - users

    def get_user(self, uid: str) -> t.Optional[dict[str, t.Any]]:
        """Return a user's record, None where there is none."""
        try:
            return self.ops("GET", "metadata/user", key=uid)["data"]
        except ApiFailed as error:
            if error.status == 404:
                return None
            raise

    def create_user(self, user: User, after: t.Mapping[str, t.Any]) -> None:
        self.ops("PUT", "user", uid=user.uid, display_name=after["display_name"], email=after.get("email"), generate_key=user.keys is None)
        self.update_user(
            user, {key: value for key, value in after.items() if key not in ("display_name", "email") and (key != "keys" or user.keys is not None)}
        )

    def update_user(self, user: User, after: t.Mapping[str, t.Any]) -> None:
        uid = user.uid
        plain = {key: after[key] for key in ("display_name", "email", "max_buckets", "suspended") if key in after}
        if plain:
            self.ops("POST", "user", uid=uid, **plain)
        if "caps" in after:
            record = self.get_user(uid)
            gone = {kind: perm for kind, perm in _caps(record or {}).items() if after["caps"].get(kind) != perm}
            if gone:
                self.ops("DELETE", "user", caps="", uid=uid, user_caps=";".join(f"{kind}={perm}" for kind, perm in sorted(gone.items())))
            if after["caps"]:
                self.ops("PUT", "user", caps="", uid=uid, user_caps=";".join(f"{kind}={perm}" for kind, perm in sorted(after["caps"].items())))
        for kind in ("user", "bucket"):
            if f"{kind}_quota" in after:
                self.ops("PUT", "user", quota="", uid=uid, quota_type=kind, **_quota_query(after[f"{kind}_quota"]))
        for flag in ("system", "admin"):
            if flag in after:
                self.cli("user", "modify", f"--uid={uid}", f"--{flag}={str(after[flag]).lower()}")
        if "keys" in after:
            self._set_keys(user)

    def _set_keys(self, user: User) -> None:
        if user.keys is None:
            self.ops("PUT", "user", key="", uid=user.uid, key_type="s3", generate_key=True)
            return
        whole = self.ops("GET", "metadata/user", key=user.uid)
        name = whole["data"]["user_id"]
        keys = {key["access_key"]: key for key in whole["data"].get("keys", ())}
        if user.exclusive_keys:
            # Subusers' keys are theirs
            keys = {access: key for access, key in keys.items() if access in user.keys or _owner(key["user"]) != _owner(name)}
        for access, secret in user.keys.items():
            keys[access] = {**keys.get(access, {"user": user.uid}), "access_key": access, "secret_key": secret.reveal()}
        whole["data"]["keys"] = list(keys.values())
        self.ops("PUT", "metadata/user", body=json.dumps(whole).encode(), key=user.uid)

    def delete_user(self, uid: str) -> None:
        self.ops("DELETE", "user", uid=uid)

    # - buckets

    def observe_bucket(self, name: str, owner: t.Optional[str] = None, deep: bool = True) -> t.Optional[dict[str, t.Any]]:
        """Return a bucket's settings in the form in which they are declared; None where it isn't there. deep: also what only its owner may ask."""
        try:
            stats = self.ops("GET", "bucket", bucket=name, stats=True)
        except ApiFailed as error:
            if error.status == 404:
                return None
            raise
        have: dict[str, t.Any] = {
            "id": stats["id"],
            "owner": stats["owner"],
            "objects": sum(usage.get("num_objects", 0) for usage in stats.get("usage", {}).values()),
            "quota": quota_now(stats["bucket_quota"]),
        }
        if deep:
            credentials, path = self.of(stats["owner"]), "/" + name.rpartition("/")[2]
            for key, query, read, missing in (
                ("versioning", "versioning", s3_buckets.versioning_from_xml, None),
                ("lifecycle", "lifecycle", s3_buckets.lifecycle_from_xml, "NoSuchLifecycleConfiguration"),
                ("policy", "policy", s3_buckets.tidy_policy, "NoSuchBucketPolicy"),
            ):
                try:
                    have[key] = read(self.client.request(credentials, "GET", path, {query: ""}))  # type: ignore[operator]
                except ApiFailed as error:
                    if error.code != missing:
                        raise
                    have[key] = {"lifecycle": [], "policy": None}[key]
        return have

    def set_bucket(self, bucket: Bucket, after: t.Mapping[str, t.Any], have: t.Optional[t.Mapping[str, t.Any]]) -> None:
        credentials, path = self.of(bucket.owner), f"/{bucket.name}"
        if have is None:
            self.client.request(credentials, "PUT", path)
        elif "owner" in after:
            self.ops("PUT", "bucket", bucket=bucket.id, bucket_id=have["id"], uid=bucket.owner)
        if "versioning" in after:
            self.client.request(credentials, "PUT", path, {"versioning": ""}, s3_buckets.versioning_to_xml(after["versioning"]))
        if "lifecycle" in after:
            body = s3_buckets.lifecycle_to_xml(after["lifecycle"]) if after["lifecycle"] else b""
            self.client.request(credentials, "PUT" if body else "DELETE", path, {"lifecycle": ""}, body)
        if "policy" in after:
            body = json.dumps(after["policy"]).encode() if after["policy"] else b""
            self.client.request(credentials, "PUT" if body else "DELETE", path, {"policy": ""}, body)
        if "quota" in after:
            self.ops("PUT", "bucket", quota="", uid=bucket.owner, bucket=bucket.name, **_quota_query(after["quota"]))

    def delete_bucket(self, name: str) -> None:
        self.ops("DELETE", "bucket", bucket=name, purge_objects=True)


def _quota_query(quota: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    # In KiB, for Ceph 16 reads nothing else of a bucket's; a negative number means any size
    size = quota["max_size"]
    return {"enabled": quota["enabled"], "max_objects": quota["max_objects"], "max_size_kb": size // 1024 if size >= 0 else _UNLIMITED}


class Provider:
    """The site, users and buckets of one module call. connection: None where there is no cluster yet (check mode only)."""

    def __init__(self, wanted: Wanted, connection: t.Optional[Connection], options: t.Mapping[str, t.Any], client: t.Optional[Client] = None) -> None:
        self._wanted = wanted
        self._connection = connection
        site = wanted.site
        place = [f"--rgw-realm={site.realm}", f"--rgw-zonegroup={site.zonegroup}", f"--rgw-zone={site.zone}"] if site else []
        self._actions = Actions(wanted, RadosgwAdmin(options, place), client)

    def observe(self) -> Observed:
        observed = Observed()
        if self._connection is None:
            return observed
        try:
            pools = {pool["pool_name"] for pool in self._connection.command("osd dump")["pools"]}
            # radosgw-admin would make the pools that it misses: asked for nothing where there is nothing
            if ROOT_POOL in pools:
                self._observe_site(observed)
                if self._wanted.objects:
                    self._observe_objects(observed, pools)
        except ApiFailed as error:
            raise Unreachable(str(error)) from error
        return observed

    def _observe_site(self, observed: Observed) -> None:
        cli, site = self._actions.cli, self._wanted.site
        with ThreadPoolExecutor(max_workers=3) as pool:
            realms, groups, zones = pool.map(lambda kind: cli(kind, "list", place=False), ("realm", "zonegroup", "zone"))
        observed.realms = dict.fromkeys(realms["realms"])
        observed.zonegroups = dict.fromkeys(groups["zonegroups"])
        observed.zones = dict.fromkeys(zones["zones"])
        if site is None:
            return
        realm = [f"--rgw-realm={site.realm}"] if site.realm in observed.realms else []
        asked: list[tuple[str, ...]] = []
        if realm:
            asked += [("realm", "get", *realm), ("period", "get", *realm)]
        if site.zonegroup in observed.zonegroups:
            asked.append(("zonegroup", "get", *realm, f"--rgw-zonegroup={site.zonegroup}"))
        if site.zone in observed.zones:
            asked.append(("zone", "get", *realm, f"--rgw-zone={site.zone}"))
        with ThreadPoolExecutor(max_workers=4) as pool:
            found = dict(zip((one[0] for one in asked), pool.map(lambda one: cli(*one, place=False), asked)))
        group, zone, period = found.get("zonegroup"), found.get("zone"), found.get("period")
        if "realm" in found:
            observed.realms[site.realm] = found["realm"]
            observed.default_realm = realms["default_info"] == found["realm"]["id"]
        if realms["default_info"] and not observed.default_realm:
            observed.another_default = self._realm_name(realms)
        if group:
            observed.zonegroups[site.zonegroup] = _tidy_group(group)
        if zone:
            # A zone's endpoints are written in its zonegroup
            mine = next((one for one in (group or {}).get("zones", ()) if one["id"] == zone["id"]), {"endpoints": []})
            observed.zones[site.zone] = {
                **_tidy_place(mine, zone.get("realm_id")),
                "pool": zone["user_uid_pool"].partition(":")[0],
                "master": (group or {}).get("master_zone") == zone["id"],
                "system_key": _tidy_key(zone.get("system_key") or {}),
            }
        for one in (period or {}).get("period_map", {}).get("zonegroups", ()):
            if one["id"] == period["master_zonegroup"]:
                observed.lead_zonegroup, observed.lead_zone = one["name"], _tidy_group(one)["master"]
            if one["name"] == site.zonegroup:
                places = {place["name"]: place for place in one["zones"]}
                observed.period = {**_tidy_group(one), "zonegroup": site.zonegroup, "zone": site.zone if site.zone in places else None}
                observed.period["zone_endpoints"] = sorted(places.get(site.zone, {}).get("endpoints", ()))

    def _realm_name(self, realms: t.Mapping[str, t.Any]) -> str:
        """The name of the default realm, which is told by its id."""
        found = (self._actions.cli("realm", "get", f"--rgw-realm={name}", place=False) for name in realms["realms"])
        return next((one["name"] for one in found if one["id"] == realms["default_info"]), realms["default_info"])

    def _observe_objects(self, observed: Observed, pools: t.Collection[str]) -> None:
        wanted, actions = self._wanted, self._actions
        site = wanted.site
        zone = observed.zones.get(site.zone) if site else None
        if site and (zone is None or zone["pool"] not in pools):
            return  # no gateway has run in this zone, so it has no users
        if not site and not observed.zones:
            return
        if wanted.admin not in actions.cli("metadata", "list", "user"):
            self._without_admin(observed)
            return
        record = actions.cli("user", "info", f"--uid={wanted.admin}")
        observed.users[wanted.admin] = record
        observed.uids = frozenset({wanted.admin})
        if differing(_caps(record), ADMIN_CAPS)[1] or _true(record.get("suspended", 0)) or not record.get("keys"):
            self._without_admin(observed)
            return
        actions.keep(record)
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            listed = pool.map(lambda kind: actions.ops("GET", f"metadata/{kind}"), ("user", "bucket"))
            observed.uids, observed.bucket_ids = (frozenset(names) for names in listed)
            asked = {user.uid for user in wanted.users} | {bucket.owner for bucket in wanted.buckets}
            uids = sorted(asked & observed.uids)
            for uid, found in zip(uids, pool.map(actions.get_user, uids)):
                if found is not None:
                    observed.users[uid] = found
                    actions.keep({**found, "user_id": uid})
            leaving = [user.uid for user in wanted.users if not user.present and user.uid in observed.uids]
            if "users" in wanted.prune:
                leaving += sorted(observed.uids - {user.uid for user in wanted.users} - {wanted.admin})
            for uid, names in zip(leaving, pool.map(lambda uid: actions.ops("GET", "bucket", uid=uid), leaving)):
                tenant = uid.partition("$")[0] + "/" if "$" in uid else ""
                observed.owned[uid] = [tenant + name for name in names or ()]
            deep = {bucket.id: bucket.present and len(bucket.settings.keys() - {"quota"}) > 0 for bucket in wanted.buckets}
            names = sorted((set(deep) | (observed.bucket_ids if "buckets" in wanted.prune else set())) & observed.bucket_ids)
            for name, found in zip(names, pool.map(lambda name: actions.observe_bucket(name, deep=deep.get(name, False)), names)):
                if found is not None:
                    observed.buckets[name] = found

    def _without_admin(self, observed: Observed) -> None:
        """Read with radosgw-admin what the gateways won't tell, as long as nobody is there who may ask them."""
        wanted, actions = self._wanted, self._actions
        observed.uids = frozenset(actions.cli("metadata", "list", "user"))
        uids = sorted(({user.uid for user in wanted.users} | {bucket.owner for bucket in wanted.buckets}) & observed.uids)
        with ThreadPoolExecutor(max_workers=4) as pool:
            for uid, found in zip(uids, pool.map(lambda uid: actions.cli("metadata", "get", f"user:{uid}"), uids)):
                observed.users[uid] = found["data"]
        there = frozenset(actions.cli("metadata", "list", "bucket"))
        names = sorted({bucket.id for bucket in wanted.buckets} & there)
        foreign = wanted.site and observed.lead_zone not in (None, wanted.site.zone)  # where the plan says what must be done instead
        if (names or wanted.prune) and not foreign:
            why = "is not there or may not do what it must, and there are buckets already: run once with users only, which mends it"
            raise Invalid([f"the user {wanted.admin}, as which this collection asks the gateways, {why}"])

    def plan(self, observed: Observed) -> Plan:
        return plan(self._wanted, observed, self._actions)

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        users = [
            {key: value for key, value in {"uid": uid, **user_now(record)}.items() if key != "keys"}
            for uid, record in sorted(observed.users.items())
            if uid != self._wanted.admin
        ]
        return {"users": users, "buckets": [{"name": name, **facts} for name, facts in sorted(observed.buckets.items())]}


def _tidy_place(place: t.Mapping[str, t.Any], realm_id: t.Optional[str]) -> dict[str, t.Any]:
    return {"endpoints": sorted(place["endpoints"]), "hostnames": sorted(place.get("hostnames", ())), "realm_id": realm_id}


def _tidy_group(group: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    names = {zone["id"]: zone["name"] for zone in group["zones"]}
    master = group.get("master_zone")
    return {
        **_tidy_place(group, group.get("realm_id")),
        "master": names.get(master, master) or None,
        "leads": _true(group.get("is_master", False)),
        "members": sorted(names.values()),
    }


def _tidy_key(key: t.Mapping[str, str]) -> t.Optional[dict[str, t.Any]]:
    return {"access_key": key["access_key"], "secret_key": Secret(key["secret_key"])} if key.get("access_key") else None
