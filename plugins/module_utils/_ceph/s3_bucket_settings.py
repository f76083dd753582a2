# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What S3 says about a bucket, as one means it: lifecycle rules and policies. Pure.

A lifecycle rule is a dict of the shape of LIFECYCLE_RULE, without the keys that say nothing.

PRIVATE to the collection.
"""

from __future__ import annotations

import copy
import json
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, mapping, records, string

_TRANSITION = {"days": integer("After how many days.", required=True), "storage_class": string("Where to.", required=True)}
LIFECYCLE_RULE: dict[str, t.Any] = {
    "id": string("The name of the rule.", required=True),
    "enabled": boolean("Whether it is followed.", default=True),
    "prefix": string("The objects that it is for, by the beginning of their names. All by default.", default=""),
    "tags": mapping("The objects that it is for, by their tags.", default={}),
    "expiration_days": integer("After how many days an object expires."),
    "expire_delete_markers": boolean("Whether markers of deleted objects go when no version is left behind them.", default=False),
    "noncurrent_expiration_days": integer("After how many days a former version goes."),
    "abort_multipart_days": integer("After how many days an unfinished upload in parts goes."),
    "transitions": records("When an object moves to another storage class.", _TRANSITION, default=[]),
    "noncurrent_transitions": records("When a former version moves to another storage class.", _TRANSITION, default=[]),
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
