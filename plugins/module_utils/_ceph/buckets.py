# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets: their owners, versioning, lifecycle, policies and quotas.

What a bucket's quota and owner are, the Admin Ops API tells and changes; its settings only S3 does, asked as its owner.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import quotas
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3_bucket_settings as documents
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import AdminOps
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, mapping, presence, record, records, string, twice

OPTIONS: dict[str, t.Any] = {
    "name": string("The name of the bucket.", required=True),
    "owner": string("The uid of its owner, who must be declared or there. A bucket that another owns is handed over.", required=True),
    "state": presence("Whether it is there. V(absent) deletes all its objects and needs V(bucket/NAME) armed."),
    "versioning": boolean("Whether former versions of objects are kept. V(false) suspends it where it was ever on. Left as it is by default."),
    "public": boolean("Whether O(buckets[].policy) may let everybody in.", default=False),
    "policy": mapping("The bucket's policy, as S3 knows it. V({}) takes it away. Compared by its meaning. Left as it is by default."),
    "lifecycle": records("All rules of the bucket's lifecycle. V([]) takes them away. Left as they are by default.", documents.LIFECYCLE_RULE),
    "quota": record("What the bucket may hold.", quotas.QUOTA),
}


def _read_versioning(s3: t.Any, name: str) -> bool:
    return bool(s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled")  # never switched on and suspended are the same in this


def _write_versioning(s3: t.Any, name: str, enabled: bool) -> None:
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled" if enabled else "Suspended"})


def _read_lifecycle(s3: t.Any, name: str) -> list[dict[str, t.Any]]:
    return documents.lifecycle_from_s3(s3.get_bucket_lifecycle_configuration(Bucket=name).get("Rules", ()))


def _write_lifecycle(s3: t.Any, name: str, rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    if rules:
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": documents.lifecycle_to_s3(rules)})
    else:
        s3.delete_bucket_lifecycle(Bucket=name)


def _read_policy(s3: t.Any, name: str) -> t.Optional[dict[str, t.Any]]:
    return documents.tidy_policy(s3.get_bucket_policy(Bucket=name)["Policy"].encode())


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
        settings["lifecycle"] = sorted((documents.tidy_rule(rule) for rule in item["lifecycle"]), key=lambda rule: rule["id"])
        for text in (
            *(text for rule in item["lifecycle"] for text in documents.rule_problems(rule)),
            *(f"lifecycle rule {name} is declared twice" for name in twice(rule["id"] for rule in settings["lifecycle"])),
        ):
            problem(text)
    if item.get("policy") is not None:
        try:
            settings["policy"] = documents.tidy_policy(item["policy"])
            if documents.is_public(settings["policy"]) and not item.get("public"):
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
    for name, settings in zip(asked, pool.map(lambda name: _settings(api.s3(observed.buckets[name]["owner"]), name.rpartition("/")[2]), asked)):
        observed.buckets[name].update(settings)


def _settings(s3: t.Any, name: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    for key, setting in SETTINGS.items():
        try:
            found[key] = setting.read(s3, name)
        except ApiFailed as error:
            if error.code != setting.missing:
                raise
            found[key] = setting.none
    return found


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
