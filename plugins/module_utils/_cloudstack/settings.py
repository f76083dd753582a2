# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the server and of zones.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import mapping

# name: value, as the operator writes them.
SPEC: dict[str, t.Any] = mapping(
    "Settings of the server, by name. Their names, types and whether they take effect at once are asked of the server.\n"
    "Settings that belong to a zone can also be declared for it, in O(zones[].settings).\n"
    "Secrets among them the server shows only encrypted. One is set where there is none yet, and taken to be as declared afterwards; "
    "O(arm=setting/NAME) sets it anew.",
    default={},
)
LISTS = ("settings",)

# What the server takes for true; everything else is false to it.
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
# Of these types a value may be a secret of which the server returns a form that is encrypted, never the value.
_SECRETS = ("Secure", "Hidden")


def text_of(value: t.Any) -> str:
    """A value as the server keeps it: true, 1.5, "a,b"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(text_of(item) for item in value)
    return "" if value is None else str(value)


def problems(declared: Item, where: str) -> list[str]:
    return [f"{where}: {name}: a mapping is no value of a setting" for name, value in declared.items() if isinstance(value, dict)]


def _normal(kind: str, text: str) -> str:
    """A value as the server wants it: of a boolean it takes true and false only, of a number no 100.0, and outer blanks it takes away."""
    text = text.strip()
    if kind == "Boolean" and text.lower() in (*_TRUE, *_FALSE):
        return "true" if text.lower() in _TRUE else "false"
    if kind == "Number" and not re.fullmatch(r"[+-]?\d*", text):
        try:
            return str(int(float(text))) if float(text) == int(float(text)) else text
        except (ValueError, OverflowError):
            return text
    return text


def _sealed(text: str) -> bool:
    """Whether the server shows a value encrypted: base64 of a nonce and what is encrypted with it, another one at each call."""
    try:
        return len(base64.b64decode(text, validate=True)) >= 16
    except (binascii.Error, ValueError):
        return False


def _fits(kind: str, value: str, options: t.Sequence[str] = ()) -> t.Optional[str]:
    """What is wrong with a value of the type that the server gives a setting; None where nothing is."""
    if kind == "Boolean" and value.lower() not in (*_TRUE, *_FALSE):
        return "is true or false"
    if kind in ("Number", "Range", "Decimal") and value:
        try:
            number = float(value)
        except ValueError:
            return "is a number"
        if kind == "Number" and number != int(number):
            return "is a whole number"
    if kind == "UUID" and value:
        try:
            uuid.UUID(value)
        except ValueError:
            return "is a UUID"
    if kind == "Select" and options and value not in options:
        return f"is one of {', '.join(options)}"
    return None


def _same(kind: str, left: str, right: str) -> bool:
    if left == right:
        return True
    if kind == "Boolean":
        return (left.lower() in _TRUE) == (right.lower() in _TRUE)
    if kind in ("Number", "Range", "Decimal"):
        try:
            return float(left) == float(right)
        except ValueError:
            return False
    if kind in ("CSV", "Order"):
        return [part.strip() for part in left.split(",")] == [part.strip() for part in right.split(",")]
    return False


def plan(declared: Item, region: Region, draft: Draft) -> None:
    compare(declared, {row["name"]: row for row in region.rows("settings")}, region, draft, f"{draft.prefix}settings")


def plan_zone(declared: Item, zone: str, region: Region, draft: Draft, where: str) -> None:
    """The settings of one zone. Values of a zone that is not there yet are not known; only the scope is."""
    row = region.find("zones", zone)
    everywhere = {entry["name"]: entry for entry in region.rows("settings")}
    # Which settings belong to a zone is told only of a zone that is there: of this one, else of any other.
    own = {entry["name"]: entry for entry in region.rows("zone_settings") if row is None or entry["zoneid"] == row["id"]}
    compare(declared, own if own or row else everywhere, region, draft, where, zone, new=row is None, everywhere=everywhere)


def compare(
    declared: Item,
    living: t.Mapping[str, Row],
    region: Region,
    draft: Draft,
    where: str,
    zone: str = "",
    new: bool = False,
    everywhere: t.Optional[t.Mapping[str, Row]] = None,
) -> None:
    """Plan what differs. everywhere: the server's own settings, to tell a wrong scope from an unknown name."""
    for name, value in declared.items():
        row = living.get(name)
        if row is None and not region.empty:
            elsewhere = f"{name} is not a setting of a zone: declare it in {draft.prefix}settings"
            draft.problem(f"{where}: {elsewhere if name in (everywhere or ()) else f'this server has no setting {name}'}")
            continue
        row = row or {}
        kind = str(row.get("type", "String"))
        text = _normal(kind, text_of(value))
        scopes = str(row.get("scope") or "").lower()
        if zone and scopes and "zone" not in scopes:
            draft.problem(f"{where}: {name} is a setting of {scopes}, not of a zone: declare it in {draft.prefix}settings")
            continue
        options = [part.strip() for part in str(row.get("options") or "").split(",") if part.strip()]
        wrong = _fits(kind, text, options)
        if wrong:
            draft.problem(f"{where}: {name}: '{text}' does not fit: it {wrong}")
            continue
        default = str(row.get("defaultvalue") or "")
        now = None if new or not row else str(row.get("value", default) or "")
        # To the server an empty value of its own is none, and then the default holds; a zone's is empty.
        effective = default if text in ("", "null") and not zone else text
        if now is not None and _same(kind, now, effective):
            continue
        dynamic = row.get("isdynamic", True)
        hidden = kind in _SECRETS or row.get("category") in _SECRETS
        id_ = f"setting/{name}@{zone}" if zone else f"setting/{name}"
        if hidden and now and _sealed(now) and (id_ not in region.again_allowed or id_ in region.written):
            if id_ not in region.written:
                draft.warn(
                    f"{where}: {name}: the server shows it only encrypted, so it cannot be compared, and is taken to be as declared: to set it anew, arm {id_}"
                )
            continue
        before: dict[str, t.Any] = {"value": Secret(now) if hidden and now is not None else now}
        after: dict[str, t.Any] = {"value": Secret(text) if hidden else text}
        if not dynamic:
            draft.restart.append(name)
        apply = functools.partial(_set, region, name, text, zone, id_)
        reason = "" if dynamic else "takes effect after a restart of the server"
        draft.ensure("setting", id_.partition("/")[2], before, after, apply, reason=reason, needs=[f"zone/{zone}"] if zone else ())


def _set(region: Region, name: str, value: str, zone: str, id_: str) -> None:
    where = {"zoneid": region.id("zones", zone)} if zone else {}
    region.client.call("updateConfiguration", name=name, value=value, **where)
    region.written.add(id_)
