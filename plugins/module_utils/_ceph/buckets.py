# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets: their owners, versioning, lifecycle, policies and quotas.

What a bucket's quota and owner are, the Admin Ops API tells and changes; its settings only S3 does, asked as its owner.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import quotas, s3_bucket_settings, values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import AdminOps
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, mapping, presence, record, records, string

OPTIONS: dict[str, t.Any] = {
    "name": string("The name of the bucket.", required=True),
    "owner": string("The uid of its owner, who must be declared or there. A bucket that another owns is handed over.", required=True),
    "state": presence("Whether it is there. V(absent) deletes all its objects and needs V(bucket/NAME) armed."),
    "versioning": boolean("Whether former versions of objects are kept. V(false) suspends it where it was ever on. Left as it is by default."),
    "public": boolean("Whether O(buckets[].policy) may let everybody in.", default=False),
    "policy": mapping("The bucket's policy, as S3 knows it. V({}) takes it away. Compared by its meaning. Left as it is by default."),
    "lifecycle": records("All rules of the bucket's lifecycle. V([]) takes them away. Left as they are by default.", s3_bucket_settings.LIFECYCLE_RULE),
    "quota": record("What the bucket may hold.", quotas.QUOTA),
}


class _Setting(t.NamedTuple):
    """A setting that S3 keeps under its own name. missing: S3's error where there is none; what there is then is none."""

    read: t.Callable[[bytes], t.Any]
    write: t.Callable[[t.Any], bytes]
    missing: str = ""
    none: t.Any = None


_SETTINGS = {
    "versioning": _Setting(s3_bucket_settings.versioning_from_xml, s3_bucket_settings.versioning_to_xml),
    "lifecycle": _Setting(s3_bucket_settings.lifecycle_from_xml, s3_bucket_settings.lifecycle_to_xml, "NoSuchLifecycleConfiguration", []),
    "policy": _Setting(s3_bucket_settings.tidy_policy, lambda policy: json.dumps(policy).encode(), "NoSuchBucketPolicy"),
}


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A declared bucket. settings: of _SETTINGS and quota only what was declared."""

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
    """buckets: id -> settings and facts; bucket_ids: all."""

    buckets: t.Dict[str, t.Dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    bucket_ids: t.FrozenSet[str] = frozenset()


def parse(items: t.Iterable[t.Mapping[str, t.Any]], problems: list[str]) -> tuple[Bucket, ...]:
    """Return the declared buckets."""
    buckets = []
    for item in items:
        found: list[str] = []
        buckets.append(Bucket(item["name"], item.get("owner") or "", item.get("state", "present") == "present", _parse_settings(item, found)))
        problems.extend(f"bucket {item['name']}: {text}" for text in found)
    return tuple(buckets)


def _parse_settings(item: t.Mapping[str, t.Any], found: list[str]) -> dict[str, t.Any]:
    settings: dict[str, t.Any] = {key: item[key] for key in ("versioning",) if item.get(key) is not None}
    if item.get("lifecycle") is not None:
        for rule in item["lifecycle"]:
            found.extend(s3_bucket_settings.rule_problems(rule))
        settings["lifecycle"] = sorted((s3_bucket_settings.tidy_rule(rule) for rule in item["lifecycle"]), key=lambda rule: rule["id"])
        names = [rule["id"] for rule in settings["lifecycle"]]
        found.extend(f"lifecycle rule {name} is declared twice" for name in sorted(values.duplicates(names)))
    if item.get("policy") is not None:
        try:
            settings["policy"] = s3_bucket_settings.tidy_policy(item["policy"])
            if s3_bucket_settings.is_public(settings["policy"]) and not item.get("public"):
                found.append("its policy lets everybody in; say public: true if that is meant")
        except ValueError as error:
            found.append(str(error))
    if item.get("quota") is not None:
        settings["quota"] = quotas.parse(item["quota"], found)
    return settings


# -- what is


def observe(observed: Observed, buckets: t.Iterable[Bucket], pruned: t.Iterable[str], api: AdminOps, pool: ThreadPoolExecutor) -> None:
    """Read the declared buckets and those that go because they are not declared. bucket_ids has been read."""
    deep = {bucket.id: bucket.present and len(bucket.settings.keys() - {"quota"}) > 0 for bucket in buckets}
    names = sorted((set(deep) | set(pruned)) & observed.bucket_ids)
    for name, found in zip(names, pool.map(lambda name: _read(api, name, deep.get(name, False)), names)):
        if found is not None:
            observed.buckets[name] = found


def _read(api: AdminOps, name: str, deep: bool) -> t.Optional[dict[str, t.Any]]:
    """Return a bucket's settings in the form in which they are declared; None where it isn't there. deep: also what only its owner may ask."""
    try:
        stats = api("GET", "bucket", bucket=name, stats=True)
    except ApiFailed as error:
        if error.status == 404:
            return None
        raise
    have: dict[str, t.Any] = {
        "id": stats["id"],
        "owner": stats["owner"],
        "objects": sum(usage.get("num_objects", 0) for usage in stats.get("usage", {}).values()),
        "quota": quotas.current(stats["bucket_quota"]),
    }
    if deep:
        credentials, path = api.credentials(stats["owner"]), "/" + name.rpartition("/")[2]
        for key, setting in _SETTINGS.items():
            try:
                have[key] = setting.read(api.client.request(credentials, "GET", path, {key: ""}))
            except ApiFailed as error:
                if error.code != setting.missing:
                    raise
                have[key] = setting.none
    return have


# -- what must change


def plan_deletion(name: str, observed: Observed, api: AdminOps, why: str = "") -> Change:
    have = observed.buckets.get(name, {})
    count = have.get("objects", 0)
    before, reason = {"owner": have.get("owner"), "objects": count}, f"{why}its {count} objects would be deleted"
    return Change("bucket", name, "delete", before, None, lambda: api("DELETE", "bucket", bucket=name, purge_objects=True), Risk.LOSS, reason)


def plan(
    buckets: t.Iterable[Bucket], observed: Observed, owners: t.Collection[str], api: AdminOps, needs: t.FrozenSet[str], problems: list[str]
) -> list[Change]:
    """owners: uids that are declared or there."""
    changes = []
    for bucket in buckets:
        if not bucket.present:
            changes.extend([plan_deletion(bucket.id, observed, api)] if bucket.id in observed.buckets else [])
        elif bucket.owner not in owners:
            problems.append(f"bucket {bucket.name}: its owner {bucket.owner} is neither declared nor there")
        else:
            changes.extend(_plan(bucket, observed.buckets.get(bucket.id), api, needs | {f"user/{bucket.owner}"}))
    return changes


def _plan(bucket: Bucket, have: t.Optional[dict[str, t.Any]], api: AdminOps, needs: t.FrozenSet[str]) -> list[Change]:
    wish = {"owner": bucket.owner, **bucket.settings}
    if have is None:
        new = {key: value for key, value in wish.items() if value not in (None, [], False)}
        return [Change("bucket", bucket.id, "create", None, new, lambda: _set(api, bucket, new, None), needs=needs)]
    before, after = quotas.differing(have, wish, ("quota",))
    return [Change("bucket", bucket.id, "update", before, after, lambda: _set(api, bucket, after, have), needs=needs)] if after else []


def _set(api: AdminOps, bucket: Bucket, after: t.Mapping[str, t.Any], have: t.Optional[t.Mapping[str, t.Any]]) -> None:
    credentials, path = api.credentials(bucket.owner), f"/{bucket.name}"
    if have is None:
        api.client.request(credentials, "PUT", path)
    elif "owner" in after:
        api("PUT", "bucket", bucket=bucket.id, bucket_id=have["id"], uid=bucket.owner)
    for key, setting in _SETTINGS.items():
        if key in after:
            body = setting.write(after[key]) if after[key] or not setting.missing else b""
            api.client.request(credentials, "PUT" if body else "DELETE", path, {key: ""}, body)
    if "quota" in after:
        api("PUT", "bucket", quota="", uid=bucket.owner, bucket=bucket.name, **quotas.query(after["quota"]))
