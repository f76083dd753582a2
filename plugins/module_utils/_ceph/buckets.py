# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets: their owners, versioning, lifecycle, policies and quotas.

What a bucket's quota and owner are, the Admin Ops API tells and changes; its settings only S3 does, asked as its owner.

PRIVATE to the collection.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import quotas, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import AdminOps
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, mapping, presence, record, records, string, twice

_TRANSITION = {"days": integer("After how many days.", required=True), "storage_class": string("Where to.", required=True)}
LIFECYCLE_RULE: dict[str, t.Any] = {
    "id": string("The name of the rule.", required=True),
    "enabled": boolean("Whether it is applied.", default=True),
    "prefix": string("The objects to which it applies, by the beginning of their names. By default all.", default=""),
    "tags": mapping("The objects to which it applies, by their tags.", default={}),
    "expiration_days": integer("After how many days an object expires."),
    "expire_delete_markers": boolean("Whether markers of deleted objects are removed when no version is left behind them.", default=False),
    "noncurrent_expiration_days": integer("After how many days a former version is removed."),
    "abort_multipart_days": integer("After how many days an unfinished multipart upload is removed."),
    "transitions": records("When an object moves to another storage class.", _TRANSITION, default=[]),
    "noncurrent_transitions": records("When a former version moves to another storage class.", _TRANSITION, default=[]),
}
OPTIONS: dict[str, t.Any] = {
    "name": string("The name of the bucket.", required=True),
    "owner": string("The uid of its owner, who must be declared or exist. A bucket that somebody else owns is handed over.", required=True),
    "state": presence("Whether it exists. V(absent) deletes all its objects, and needs O(allow_loss=bucket/NAME)."),
    "versioning": boolean("Whether former versions of objects are kept. V(false) suspends versioning if it was ever on. By default it is left as it is."),
    "public": boolean("Whether O(buckets[].policy) may let everybody in.", default=False),
    "policy": mapping("The bucket's policy, as S3 knows it. V({}) removes it. It is compared by its meaning. By default it is left as it is."),
    "lifecycle": records("All rules of the bucket's lifecycle. V([]) removes them. By default they are left as they are.", LIFECYCLE_RULE),
    "quota": record("What the bucket may hold.", quotas.QUOTA),
}
# key of ours -> (key, key within) of S3's
_DAYS = {
    "expiration_days": ("Expiration", "Days"),
    "noncurrent_expiration_days": ("NoncurrentVersionExpiration", "NoncurrentDays"),
    "abort_multipart_days": ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
}
_SINGLE = {**_DAYS, "expire_delete_markers": ("Expiration", "ExpiredObjectDeleteMarker")}
_MOVES = {"transitions": ("Transitions", "Days"), "noncurrent_transitions": ("NoncurrentVersionTransitions", "NoncurrentDays")}
# What a statement of a policy may have as a text or as a list of texts, in any order.
_LISTS = ("Action", "NotAction", "Resource", "NotResource")


def tidy_rule(rule: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a declared rule in the form in which rules are compared."""
    tidy: dict[str, t.Any] = {"id": rule["id"], "enabled": bool(rule.get("enabled", True)), "prefix": rule.get("prefix") or ""}
    if rule.get("tags"):
        tidy["tags"] = {values.word(key): values.word(value) for key, value in rule["tags"].items()}
    tidy.update({key: int(rule[key]) for key in _DAYS if rule.get(key) is not None})
    if rule.get("expire_delete_markers"):
        tidy["expire_delete_markers"] = True
    tidy.update({key: _tidy_moves((int(move["days"]), move["storage_class"]) for move in rule[key]) for key in _MOVES if rule.get(key)})
    return tidy


def _tidy_moves(moves: t.Iterable[tuple[int, t.Any]]) -> list[dict[str, t.Any]]:
    """moves: after how many days, and where to."""
    return [{"days": days, "storage_class": where} for days, where in sorted(moves, key=lambda move: (move[0], move[1] or ""))]


def rule_problems(rule: t.Mapping[str, t.Any]) -> list[str]:
    """Return what S3 would not accept of a rule."""
    tidy, found = tidy_rule(rule), []
    if not any(key in tidy for key in (*_SINGLE, *_MOVES)):
        found.append(f"lifecycle rule {rule['id']} does nothing: say what expires or moves")
    if "expiration_days" in tidy and "expire_delete_markers" in tidy:
        found.append(f"lifecycle rule {rule['id']}: expiration_days and expire_delete_markers exclude each other")
    return found + [f"lifecycle rule {rule['id']}: {key} must be 1 or more" for key in _DAYS if tidy.get(key, 1) < 1]


def lifecycle_to_s3(rules: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return S3's form of tidy rules, as boto3 has it."""
    found = []
    for rule in rules:
        one: dict[str, t.Any] = {"ID": rule["id"], "Status": "Enabled" if rule["enabled"] else "Disabled"}
        tags = [{"Key": key, "Value": value} for key, value in sorted(rule.get("tags", {}).items())]
        if len(tags) + bool(rule["prefix"]) > 1:
            one["Filter"] = {"And": {**({"Prefix": rule["prefix"]} if rule["prefix"] else {}), "Tags": tags}}
        else:
            one["Filter"] = {"Tag": tags[0]} if tags else {"Prefix": rule["prefix"]}
        for key, (outer, inner) in _SINGLE.items():
            if key in rule:
                one.setdefault(outer, {})[inner] = rule[key]
        for key, (outer, inner) in _MOVES.items():
            if key in rule:
                one[outer] = [{inner: move["days"], "StorageClass": move["storage_class"]} for move in rule[key]]
        found.append(one)
    return found


def lifecycle_from_s3(found: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the rules that a bucket has, in the form of tidy_rule, by id. What has no place in that form is kept under "other", so that it differs."""
    rules = []
    for one in found:
        rest = copy.deepcopy(dict(one))
        rule: dict[str, t.Any] = {"id": rest.pop("ID", ""), "enabled": rest.pop("Status", "") == "Enabled"}
        place = rest.get("Filter") or {}
        place.update(place.pop("And", {}))
        rule["prefix"] = place.pop("Prefix", "") or rest.pop("Prefix", "")
        tags = [*place.pop("Tags", []), *([place.pop("Tag")] if "Tag" in place else [])]
        if tags:
            rule["tags"] = {tag["Key"]: tag["Value"] for tag in tags}
        for key, (outer, inner) in _SINGLE.items():
            value = (rest.get(outer) or {}).pop(inner, None)
            if value:
                rule[key] = value
        for key, (outer, inner) in _MOVES.items():
            moves = rest.pop(outer, [])
            rest[outer] = [move for move in moves if inner not in move]
            known = _tidy_moves((move[inner], move.get("StorageClass")) for move in moves if inner in move)
            if known:
                rule[key] = known
        other = sorted(f"{key}: {json.dumps(value, default=str)}" for key, value in rest.items() if value)
        rules.append({**rule, "other": other} if other else rule)
    return sorted(rules, key=lambda rule: rule["id"])


def tidy_policy(policy: t.Union[str, bytes, t.Mapping[str, t.Any], None]) -> t.Optional[dict[str, t.Any]]:
    """Return a policy in the form in which policies are compared: None where there is none. Raises ValueError.

    To S3 a text and a list of one text mean the same, "*" and {"AWS": "*"} are the same principal, and the order of
    actions, resources and principals means nothing. One that names no version is of the old one where a gateway has it (bytes),
    and of the newer one where it is declared.
    """
    version = "2008-10-17" if isinstance(policy, bytes) else "2012-10-17"
    if isinstance(policy, (str, bytes)):
        try:
            policy = json.loads(policy) if policy.strip() else None
        except ValueError as error:
            raise ValueError(f"the policy is not JSON: {error}") from None
    if not policy:
        return None
    if not isinstance(policy, dict):
        raise ValueError("the policy is not a mapping")
    said = policy.get("Statement")
    statements = [said] if isinstance(said, dict) else said
    if not isinstance(statements, list) or not statements or not all(isinstance(one, dict) for one in statements):
        raise ValueError("the policy has no Statement")
    named = {"Id": policy["Id"]} if policy.get("Id") else {}
    return {"Version": values.word(policy.get("Version", version)), "Statement": [_tidy_statement(one) for one in statements], **named}


def _tidy_statement(statement: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    tidy: dict[str, t.Any] = {key: _texts(value) if key in _LISTS else value for key, value in statement.items()}
    for key in ("Principal", "NotPrincipal"):
        if key in tidy:
            tidy[key] = {"AWS": ["*"]} if tidy[key] == "*" else {kind: _texts(names) for kind, names in tidy[key].items()}
    if "Condition" in tidy:
        tidy["Condition"] = {operator: {name: _texts(one) for name, one in pairs.items()} for operator, pairs in tidy["Condition"].items()}
    return tidy


def _texts(value: t.Any) -> list[str]:
    return sorted({str(one).lower() if isinstance(one, bool) else str(one) for one in (value if isinstance(value, list) else [value])})


def is_public(policy: t.Optional[t.Mapping[str, t.Any]]) -> bool:
    """Say whether a tidy policy allows everybody something, without a condition."""
    return any(
        one.get("Effect") == "Allow" and not one.get("Condition") and any("*" in names for names in one.get("Principal", {}).values())
        for one in (policy or {}).get("Statement", ())
    )


def _read_versioning(s3: t.Any, name: str) -> bool:
    return bool(s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled")  # never switched on and suspended are the same in this


def _write_versioning(s3: t.Any, name: str, enabled: bool) -> None:
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled" if enabled else "Suspended"})


def _read_lifecycle(s3: t.Any, name: str) -> list[dict[str, t.Any]]:
    return lifecycle_from_s3(s3.get_bucket_lifecycle_configuration(Bucket=name).get("Rules", ()))


def _write_lifecycle(s3: t.Any, name: str, rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    if rules:
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": lifecycle_to_s3(rules)})
    else:
        s3.delete_bucket_lifecycle(Bucket=name)


def _read_policy(s3: t.Any, name: str) -> t.Optional[dict[str, t.Any]]:
    return tidy_policy(s3.get_bucket_policy(Bucket=name)["Policy"].encode())


def _write_policy(s3: t.Any, name: str, policy: t.Optional[t.Mapping[str, t.Any]]) -> None:
    if policy:
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    else:
        s3.delete_bucket_policy(Bucket=name)


class _Setting(t.NamedTuple):
    """A setting that S3 keeps under its own name. missing: S3's error where there is none; what there is then is none."""

    read: t.Callable[[t.Any, str], t.Any]
    write: t.Callable[[t.Any, str, t.Any], t.Any]
    missing: str = ""
    none: t.Any = None


SETTINGS = {
    "versioning": _Setting(_read_versioning, _write_versioning),
    "lifecycle": _Setting(_read_lifecycle, _write_lifecycle, "NoSuchLifecycleConfiguration", []),
    "policy": _Setting(_read_policy, _write_policy, "NoSuchBucketPolicy"),
}


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A declared bucket. settings: of SETTINGS and quota only what was declared."""

    name: str
    owner: str
    present: bool = True
    settings: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its name in the Admin Ops API: a tenant's bucket is tenant/name."""
        tenant, sign, _unused = self.owner.partition("$")
        return f"{tenant}/{self.name}" if sign else self.name


@dataclasses.dataclass
class Observed:
    buckets: t.Dict[str, t.Dict[str, t.Any]] = dataclasses.field(default_factory=dict)  # by id: settings and facts
    bucket_ids: t.FrozenSet[str] = frozenset()


def parse(item: t.Mapping[str, t.Any], problems: list[str]) -> Bucket:
    def problem(text: str) -> None:
        problems.append(f"bucket {item['name']}: {text}")

    settings: dict[str, t.Any] = {}
    if item.get("versioning") is not None:
        settings["versioning"] = item["versioning"]
    if item.get("lifecycle") is not None:
        settings["lifecycle"] = rules = sorted((tidy_rule(rule) for rule in item["lifecycle"]), key=lambda rule: rule["id"])
        again = [f"lifecycle rule {name} is declared twice" for name in twice(rule["id"] for rule in rules)]
        for text in (*(text for rule in item["lifecycle"] for text in rule_problems(rule)), *again):
            problem(text)
    if item.get("policy") is not None:
        try:
            settings["policy"] = tidy_policy(item["policy"])
            if is_public(settings["policy"]) and not item.get("public"):
                problem("its policy lets everybody in; say public: true if that is meant")
        except ValueError as error:
            problem(str(error))
    if item.get("quota") is not None:
        settings["quota"] = quotas.parse(item["quota"], problem)
    return Bucket(item["name"], item.get("owner") or "", item.get("state", "present") == "present", settings)


def observe(observed: Observed, buckets: t.Iterable[Bucket], pruned: t.Iterable[str], api: AdminOps, pool: ThreadPoolExecutor) -> None:
    """Read the declared buckets and those that go because they are not declared. bucket_ids has been read."""
    declared = {bucket.id: bucket for bucket in buckets}
    names = sorted((set(declared) | set(pruned)) & observed.bucket_ids)
    for name, stats in zip(names, pool.map(lambda name: api.find("bucket", bucket=name, stats=True), names)):
        if stats is not None:
            objects = sum(usage.get("num_objects", 0) for usage in stats.get("usage", {}).values())
            observed.buckets[name] = {"id": stats["id"], "owner": stats["owner"], "objects": objects, "quota": quotas.current(stats["bucket_quota"])}
    # What only its owner may ask.
    asked = [name for name in observed.buckets if name in declared and declared[name].present and declared[name].settings.keys() - {"quota"}]
    api.open_s3({observed.buckets[name]["owner"] for name in asked})
    list(pool.map(lambda name: _read_settings(api, name, observed.buckets[name]), asked))


def _read_settings(api: AdminOps, name: str, bucket: dict[str, t.Any]) -> None:
    """Complete what there is of a bucket with what its owner is told."""
    for key, setting in SETTINGS.items():
        try:
            bucket[key] = setting.read(api.s3(bucket["owner"]), name.rpartition("/")[2])
        except ApiFailed as error:
            if error.code != setting.missing:
                raise
            bucket[key] = setting.none


def plan_deletion(name: str, observed: Observed, api: AdminOps, draft: Draft, why: str = "") -> None:
    have = observed.buckets.get(name, {})
    before = {"owner": have.get("owner"), "objects": have.get("objects", 0)}
    apply = functools.partial(api, "DELETE", "bucket", bucket=name, purge_objects=True)
    draft.ensure("bucket", name, before, None, apply, risk=Risk.LOSS, reason=f"{why}its {before['objects']} objects would be deleted")


def plan(buckets: t.Iterable[Bucket], observed: Observed, owners: t.Collection[str], api: AdminOps, needs: t.FrozenSet[str], draft: Draft) -> None:
    """owners: uids that are declared or there."""
    for bucket in buckets:
        have = observed.buckets.get(bucket.id)
        if not bucket.present:
            if have is not None:
                plan_deletion(bucket.id, observed, api, draft)
        elif bucket.owner not in owners:
            draft.problem(f"bucket {bucket.name}: its owner {bucket.owner} is neither declared nor there")
        else:
            wish = quotas.without_off(have or {}, {"owner": bucket.owner, **bucket.settings}, ["quota"])
            if have is None:
                wish = {key: value for key, value in wish.items() if value not in (None, [], False)}
            create, update = functools.partial(_set, api, bucket, None, wish), functools.partial(_set, api, bucket, have)
            draft.ensure("bucket", bucket.id, have, wish, create, update, needs | {f"user/{bucket.owner}"})


def _set(api: AdminOps, bucket: Bucket, have: t.Optional[t.Mapping[str, t.Any]], after: t.Mapping[str, t.Any]) -> None:
    s3 = api.s3(bucket.owner)
    if have is None:
        s3.create_bucket(Bucket=bucket.name)
    elif "owner" in after:
        api("PUT", "bucket", bucket=bucket.id, bucket_id=have["id"], uid=bucket.owner)
    for key, setting in SETTINGS.items():
        if key in after:
            setting.write(s3, bucket.name, after[key])
    if "quota" in after:
        api("PUT", "bucket", quota="", uid=bucket.owner, bucket=bucket.name, **quotas.query(after["quota"]))
