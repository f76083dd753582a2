# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the server and of zones.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import contextlib
import typing as t
import uuid

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import wire
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import mapping

# name: value, as the operator writes them.
SPEC: dict[str, t.Any] = mapping(
    "Settings of the server, by name. The server itself is asked for their names, their types and whether they take effect at once.\n"
    "Settings that belong to a zone can also be declared for it, in O(zones[].settings).\n"
    "The server shows secret settings only encrypted. One is set if it is not set yet, and is taken to be as declared afterwards. "
    "O(allow_loss=setting/NAME) sets it anew.",
    default={},
)
LISTS = ("settings",)

# What the server takes for true; everything else is false to it.
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
# Of these types a value may be a secret of which the server returns a form that is encrypted, never the value.
_SECRETS = ("Secure", "Hidden")
_FLOATS = ("Number", "Range", "Decimal")
# Of a type: what raises ValueError where a text is no value of it, and what it should be.
_CHECKS: dict[str, tuple[t.Callable[[str], t.Any], str]] = {
    "Boolean": ((*_TRUE, *_FALSE).index, "true or false"),
    "Number": (int, "a whole number"),
    "Range": (float, "a number"),
    "Decimal": (float, "a number"),
    "UUID": (uuid.UUID, "a UUID"),
}


def problems(declared: Item, where: str) -> list[str]:
    return [f"{where}: {name}: a mapping is no value of a setting" for name, value in declared.items() if isinstance(value, dict)]


def _normal(kind: str, text: str) -> str:
    """A value as the server wants it: of a boolean it takes true and false only, of a number no 100.0, and outer blanks it takes away."""
    text = text.strip()
    if kind == "Boolean" and text.lower() in (*_TRUE, *_FALSE):
        return wire(text.lower() in _TRUE)
    with contextlib.suppress(ValueError, OverflowError):
        if kind == "Number" and not text.lstrip("+-").isdigit() and float(text) == int(float(text)):
            return str(int(float(text)))
    return text


def _wrong(kind: str, text: str, options: t.Sequence[str]) -> str:
    """What a value of the type that the server gives a setting should be instead; "" where it is right."""
    if kind == "Select" and options and text not in options:
        return f"one of {', '.join(options)}"
    check, what = _CHECKS.get(kind, (str, ""))
    try:
        if text or kind == "Boolean":
            check(text)
    except ValueError:
        return what
    return ""


def _meaning(kind: str, text: str) -> t.Any:
    """A value of a type as it is compared with another."""
    if kind == "Boolean":
        return text.lower() in _TRUE
    if kind in ("CSV", "Order"):
        return [part.strip() for part in text.split(",")]
    with contextlib.suppress(ValueError):
        return float(text) if kind in _FLOATS else text
    return text


def _sealed(text: str) -> bool:
    """Whether the server shows a value encrypted: base64 of a nonce and what is encrypted with it, another one at each call."""
    try:
        return len(base64.b64decode(text, validate=True)) >= 16
    except ValueError:
        return False


def plan(declared: Item, region: Region, draft: Draft) -> None:
    existing = {row["name"]: row for row in region.rows("settings")}
    for name, value in declared.items():
        _plan_one(name, value, existing.get(name), region, draft, f"{draft.prefix}settings")


def plan_zone(declared: Item, zone: str, region: Region, draft: Draft, where: str) -> None:
    """The settings of one zone. Values of a zone that is not there yet are not known; only the scope is."""
    row = region.find("zones", zone)
    everywhere = {entry["name"]: entry for entry in region.rows("settings")}
    # Which settings belong to a zone is told only of a zone that is there: of this one, else of any other.
    own = {entry["name"]: entry for entry in region.rows("zone_settings") if row is None or entry["zoneid"] == row["id"]}
    existing = own if own or row else everywhere
    for name, value in declared.items():
        scopes = str(existing.get(name, {}).get("scope") or "").lower()
        wrong = f"a setting of {scopes}, not of a zone" if scopes and "zone" not in scopes else ""
        if name in everywhere and name not in existing:
            wrong = "not a setting of a zone"
        if wrong:
            draft.problem(f"{where}: {name} is {wrong}: declare it in {draft.prefix}settings")
        else:
            _plan_one(name, value, existing.get(name), region, draft, where, zone, new=row is None)


def _plan_one(name: str, value: t.Any, row: t.Optional[Row], region: Region, draft: Draft, where: str, zone: str = "", new: bool = False) -> None:
    """row: of the setting. new: whether the zone is not there yet."""
    if row is None and not region.empty:
        draft.problem(f"{where}: this server has no setting {name}")
        return
    row = row or {}
    kind = str(row.get("type", "String"))
    text = _normal(kind, "" if value is None else wire(value))
    wrong = _wrong(kind, text, [part.strip() for part in str(row.get("options") or "").split(",") if part.strip()])
    if wrong:
        draft.problem(f"{where}: {name}: '{text}' does not fit: it is {wrong}")
        return
    default = str(row.get("defaultvalue") or "")
    now = None if new or not row else str(row.get("value", default) or "")
    # To the server an empty value of its own is none, and then the default holds; a zone's is empty.
    effective = default if text in ("", "null") and not zone else text
    if now is not None and (now == effective or _meaning(kind, now) == _meaning(kind, effective)):
        return
    hidden = kind in _SECRETS or row.get("category") in _SECRETS
    own = f"{name}@{zone}" if zone else name
    id_ = f"setting/{own}"
    if hidden and now and _sealed(now) and (id_ in region.written or id_ not in region.again_allowed):
        if id_ not in region.written:
            taken = "the server shows it only encrypted, so it cannot be compared, and is taken to be as declared"
            draft.warn(f"{where}: {name}: {taken}: to set it again, name it in allow_loss: {id_}")
        return
    reason = ""
    if not row.get("isdynamic", True):
        draft.restart.append(name)
        reason = "takes effect after a restart of the server"

    def apply() -> None:
        region.client.call("updateConfiguration", name=name, value=text, **({"zoneid": region.id("zones", zone)} if zone else {}))
        region.written.add(id_)

    before, after = {"value": Secret(now) if hidden and now is not None else now}, {"value": Secret(text) if hidden else text}
    draft.ensure("setting", own, before, after, apply, reason=reason, needs=[f"zone/{zone}"] if zone else ())
