# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What S3 says about a bucket, as one means it: lifecycle rules, policies, versioning. Pure.

A lifecycle rule is a dict of the shape of LIFECYCLE_RULE, without the keys that say nothing.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
import typing as t
from xml.etree import ElementTree

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, mapping, records, string

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
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
# key of ours -> (element, element within) of S3's
_DAYS = {
    "expiration_days": ("Expiration", "Days"),
    "noncurrent_expiration_days": ("NoncurrentVersionExpiration", "NoncurrentDays"),
    "abort_multipart_days": ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
}
_MOVES = {"transitions": ("Transition", "Days"), "noncurrent_transitions": ("NoncurrentVersionTransition", "NoncurrentDays")}


def tidy_rule(rule: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a declared rule in the form in which rules are compared."""
    tidy: dict[str, t.Any] = {"id": rule["id"], "enabled": bool(rule.get("enabled", True)), "prefix": rule.get("prefix") or ""}
    if rule.get("tags"):
        tidy["tags"] = {values.word(key): values.word(value) for key, value in rule["tags"].items()}
    for key in _DAYS:
        if rule.get(key) is not None:
            tidy[key] = int(rule[key])
    if rule.get("expire_delete_markers"):
        tidy["expire_delete_markers"] = True
    for key in _MOVES:
        if rule.get(key):
            tidy[key] = sorted(({"days": int(move["days"]), "storage_class": move["storage_class"]} for move in rule[key]), key=_move_order)
    return tidy


def _move_order(move: t.Mapping[str, t.Any]) -> tuple[int, str]:
    return move["days"], move["storage_class"] or ""


def rule_problems(rule: t.Mapping[str, t.Any]) -> list[str]:
    """Return what S3 would not accept of a rule."""
    tidy = tidy_rule(rule)
    found = []
    if not any(key in tidy for key in (*_DAYS, *_MOVES, "expire_delete_markers")):
        found.append(f"lifecycle rule {rule['id']} does nothing: say what expires or moves")
    if "expiration_days" in tidy and "expire_delete_markers" in tidy:
        found.append(f"lifecycle rule {rule['id']}: expiration_days and expire_delete_markers exclude each other")
    found.extend(f"lifecycle rule {rule['id']}: {key} must be 1 or more" for key in _DAYS if tidy.get(key, 1) < 1)
    return found


def lifecycle_to_xml(rules: t.Iterable[t.Mapping[str, t.Any]]) -> bytes:
    """Return S3's form of tidy rules."""
    top = ElementTree.Element("LifecycleConfiguration", xmlns=_NAMESPACE)

    def add(parent: ElementTree.Element, name: str, text: t.Any = None) -> ElementTree.Element:
        child = ElementTree.SubElement(parent, name)
        if text is not None:
            child.text = str(text)
        return child

    for rule in rules:
        element = add(top, "Rule")
        add(element, "ID", rule["id"])
        place = add(element, "Filter")
        tags = rule.get("tags", {})
        if len(tags) + bool(rule["prefix"]) > 1:
            place = add(place, "And")
        if rule["prefix"] or not tags:
            add(place, "Prefix", rule["prefix"])
        for key, value in sorted(tags.items()):
            tag = add(place, "Tag")
            add(tag, "Key", key)
            add(tag, "Value", value)
        add(element, "Status", "Enabled" if rule["enabled"] else "Disabled")
        for key, (outer, inner) in _DAYS.items():
            if key in rule:
                add(add(element, outer), inner, rule[key])
        if rule.get("expire_delete_markers"):
            add(add(element, "Expiration"), "ExpiredObjectDeleteMarker", "true")
        for key, (outer, inner) in _MOVES.items():
            for move in rule.get(key, ()):
                moved = add(element, outer)
                add(moved, inner, move["days"])
                add(moved, "StorageClass", move["storage_class"])
    return ElementTree.tostring(top, encoding="utf-8")


def lifecycle_from_xml(data: bytes) -> list[dict[str, t.Any]]:
    """Return the rules that a bucket has, in the form of tidy_rule, by id. What has no place in that form is kept under "other", so that it differs."""
    rules = []
    for element in _bare(ElementTree.fromstring(data)).findall("Rule"):
        rule: dict[str, t.Any] = {"id": element.findtext("ID") or "", "enabled": element.findtext("Status") == "Enabled"}
        rule["prefix"] = next((found.text or "" for found in element.iter("Prefix")), "")
        tags = {tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in element.iter("Tag")}
        if tags:
            rule["tags"] = tags
        other = []
        for child in element:
            if child.tag in ("ID", "Status", "Prefix", "Filter"):
                continue
            key = next((key for key, (outer, inner) in _DAYS.items() if outer == child.tag and child.find(inner) is not None and len(child) == 1), None)
            move = next((key for key, (outer, _unused) in _MOVES.items() if outer == child.tag), None)
            if key:
                rule[key] = int(child.findtext(_DAYS[key][1]) or 0)
            elif child.tag == "Expiration" and child.findtext("ExpiredObjectDeleteMarker") == "true":
                rule["expire_delete_markers"] = True
            elif move and child.find(_MOVES[move][1]) is not None:
                rule.setdefault(move, []).append({"days": int(child.findtext(_MOVES[move][1]) or 0), "storage_class": child.findtext("StorageClass")})
            else:
                other.append(ElementTree.tostring(child, encoding="unicode"))
        for move in _MOVES:
            if move in rule:
                rule[move].sort(key=_move_order)
        if other:
            rule["other"] = sorted(other)
        rules.append(rule)
    return sorted(rules, key=lambda rule: rule["id"])


def _bare(element: ElementTree.Element) -> ElementTree.Element:
    """Take the namespace off all tags."""
    for one in element.iter():
        one.tag = one.tag.rpartition("}")[2]
    return element


def versioning_from_xml(data: bytes) -> bool:
    """Return whether versions are kept. (Never switched on and suspended are the same in this.)"""
    return _bare(ElementTree.fromstring(data)).findtext("Status") == "Enabled"


def versioning_to_xml(enabled: bool) -> bytes:
    """Return S3's form of it."""
    return f'<VersioningConfiguration xmlns="{_NAMESPACE}"><Status>{"Enabled" if enabled else "Suspended"}</Status></VersioningConfiguration>'.encode()


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
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements or not all(isinstance(one, dict) for one in statements):
        raise ValueError("the policy has no Statement")
    tidy: dict[str, t.Any] = {"Version": values.word(policy.get("Version", version)), "Statement": [_tidy_statement(one) for one in statements]}
    if policy.get("Id"):
        tidy["Id"] = policy["Id"]
    return tidy


def _tidy_statement(statement: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    tidy: dict[str, t.Any] = {}
    for key, value in statement.items():
        if key in ("Principal", "NotPrincipal"):
            value = {"AWS": ["*"]} if value == "*" else {kind: _texts(names) for kind, names in value.items()}
        elif key in ("Action", "NotAction", "Resource", "NotResource"):
            value = _texts(value)
        elif key == "Condition":
            value = {operator: {name: _texts(values) for name, values in pairs.items()} for operator, pairs in value.items()}
        tidy[key] = value
    return tidy


def _texts(value: t.Any) -> list[str]:
    return sorted({str(one).lower() if isinstance(one, bool) else str(one) for one in (value if isinstance(value, list) else [value])})


def is_public(policy: t.Optional[t.Mapping[str, t.Any]]) -> bool:
    """Say whether a tidy policy allows everybody something, without a condition."""
    for statement in (policy or {}).get("Statement", ()):
        names = {name for names in statement.get("Principal", {}).values() for name in names}
        if statement.get("Effect") == "Allow" and "*" in names and not statement.get("Condition"):
            return True
    return False
