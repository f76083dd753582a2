# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cephx clients: their caps, their keys, and the ciphers that the cluster allows.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import datetime
import functools
import os
import re
import struct
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.maps import Maps
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, Secret, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, presence, record, string, strings

SERVICES = ("mon", "osd", "mgr", "mds")
# The key types, by the number that stands at the beginning of a key, and the length of their secrets in bytes.
KEY_TYPES = {1: ("aes", 16), 2: ("aes256k", 32)}

OPTIONS: dict[str, t.Any] = {
    "name": string("The full name, for example V(client.backup).", required=True),
    "state": presence("V(absent) locks out whoever uses it, and needs O(arm=client/NAME)."),
    "caps": record(
        "All its caps. They are compared by their meaning, so that blanks, quotes and order don't count. Left alone where they are not given.",
        {
            "mon": string("Caps on the monitors."),
            "osd": string("Caps on the OSDs."),
            "mgr": string("Caps on the managers."),
            "mds": string("Caps on the metadata servers."),
        },
    ),
    "key": string("Its key. By default the cluster makes one.", no_log=True),
    "key_type": choice("The key's type. V(aes256k) needs Ceph 20.2.4, on the clients too.", ["aes", "aes256k"], no_log=False),
    "rotate_before": string(
        "A moment in the past, such as V(2026-11-01) or V(2026-11-01T12:00:00Z). A key that was made before it is replaced by a new one.\n"
        "Keys carry the moment of their making, so this is done once."
    ),
}

CEPHX_OPTIONS: dict[str, t.Any] = {
    "allowed": strings(
        "The key types with which one may log in.\nClients older than 20.2.4 know V(aes) only, which is insecure (CVE-2025-30156).", choices=["aes", "aes256k"]
    ),
    "preferred": choice("The type of new keys.", ["aes", "aes256k"]),
    "service": choice("The type of the services' tickets.", ["aes", "aes256k"]),
}

# The first release that knows a second key type (CVE-2025-30156).
CIPHERS_SINCE = (20, 2, 4)
_NAME = re.compile(r"client\.[^\s\[\]=]+")
# Of daemons and tools, not of the operator: never pruned.
_SERVICE = re.compile(r"(?!client\.).*|client\.(admin|bootstrap-.*|rgw\..*|crash.*|ceph-exporter.*|rbd-mirror.*|nfs\..*|iscsi\..*|cephfs-mirror.*)")
_TOKEN = re.compile(r'"[^"]*"|\'[^\']*\'|=|[^\s="\']+')
_PAIRS = {"pool", "namespace", "object_prefix", "path", "fsname", "uid", "gids", "network"}
_PERMISSIONS = re.compile(r"[rwxps]+|\*|all|class-read|class-write|root_squash")


# -- caps


def normalise(caps: str) -> frozenset[tuple[str, ...]]:
    """The meaning of one service's caps: a set of clauses, independent of blanks, quotes, order and repetition.

    "allow rw pool=a, allow r" and "allow r,allow  wr pool a" mean the same.
    """
    clauses = set()
    for clause in _clauses(caps):
        tokens = [token if token == "=" else token.strip("\"'") for token in _TOKEN.findall(clause)]
        joined: list[str] = []
        while tokens:
            token = tokens.pop(0)
            if len(tokens) >= 2 and tokens[0] == "=":
                token, tokens = f"{token}={tokens[1]}", tokens[2:]
            elif token in _PAIRS and tokens and joined[:1] == ["allow"]:
                token = f"{token}={tokens.pop(0)}"  # "pool a" is the old spelling of "pool=a"
            joined.append(token)
        if joined[:2] == ["allow", "profile"]:
            joined = joined[1:]
        plain = all("=" in token or _PERMISSIONS.fullmatch(token) for token in joined[1:])
        if joined[:1] == ["allow"] and plain:
            rights = sorted({_letters(token) for token in joined[1:] if "=" not in token})
            joined = ["allow", *rights, *sorted(token for token in joined[1:] if "=" in token)]
        elif joined[:1] == ["profile"]:
            joined = [*joined[:2], *sorted(joined[2:])]
        if joined:
            clauses.add(tuple(joined))
    return frozenset(clauses)


def _letters(token: str) -> str:
    if token == "all":
        return "*"
    return "".join(sorted(token)) if re.fullmatch(r"[rwxps]+", token) else token


def _clauses(caps: str) -> list[str]:
    """Cut at commas and semicolons that stand outside quotes."""
    parts, current, quote = [], "", ""
    for letter in caps:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in ",;":
            parts.append(current)
            current = ""
            continue
        current += letter
    return [part for part in [*parts, current] if part.strip()]


def same_caps(left: t.Mapping[str, str], right: t.Mapping[str, str]) -> bool:
    """Whether two sets of caps mean the same, service by service."""
    services = {service for side in (left, right) for service, text in side.items() if text and text.strip()}
    return all(normalise(left.get(service) or "") == normalise(right.get(service) or "") for service in services)


def pools_in(caps: t.Mapping[str, t.Optional[str]]) -> list[str]:
    """The pools that caps name, in order."""
    found: list[str] = []
    for service in ("osd", "mgr"):
        for clause in sorted(normalise(caps.get(service) or "")):
            found += [token[5:] for token in clause if token.startswith("pool=") and token[5:] not in found]
    return found


# -- keys


def key_parts(key: str) -> tuple[str, float]:
    """The type of a cephx key and the moment it was made, in seconds since 1970. Raises ValueError.

    A key is base64 of: type (2 bytes), seconds and nanoseconds of its making (4 each), length (2), secret; little-endian.
    """
    try:
        raw = base64.b64decode(key.strip(), validate=True)
        kind, seconds, nanoseconds, length = struct.unpack("<HIIH", raw[:12])
    except (ValueError, struct.error):
        raise ValueError("it is not a cephx key") from None
    if kind not in KEY_TYPES or length != KEY_TYPES[kind][1] or len(raw) != 12 + length:
        raise ValueError("it is not a cephx key of a known type")
    return KEY_TYPES[kind][0], seconds + nanoseconds / 1e9


def new_key(kind: str = "aes") -> str:
    """A new key of a type, made now."""
    number, length = next((number, length) for number, (name, length) in KEY_TYPES.items() if name == kind)
    now = time.time()
    head = struct.pack("<HIIH", number, int(now), int(now % 1 * 1e9), length)
    return base64.b64encode(head + os.urandom(length)).decode()


def moment(text: t.Any) -> float:
    """Seconds since 1970 of "2026-11-01" or "2026-11-01T12:00:00Z"; UTC where no zone is said. Raises ValueError."""
    if isinstance(text, datetime.date) and not isinstance(text, datetime.datetime):
        text = text.isoformat()
    try:
        parsed = datetime.datetime.fromisoformat(str(text).strip().replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"'{text}' is not a moment such as 2026-11-01 or 2026-11-01T12:00:00Z") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)).timestamp()


# -- the declaration


def problems(declared: t.Sequence[t.Mapping[str, t.Any]], where: str) -> list[str]:
    """What is wrong with the declaration alone."""
    found = [f"{where}: {name} is declared twice: keep one of them" for name in values.duplicates(item["name"] for item in declared)]
    for number, item in enumerate(declared):
        here = f"{where}[{number}] ({item['name']})"
        if not _NAME.fullmatch(str(item["name"])):
            mend = f"write client.{item['name']}" if re.fullmatch(r"[\w-]+", str(item["name"])) else "write client.NAME"
            found.append(f"{here}: the name of a client begins with 'client.': {mend}")
        if item["name"] == "client.admin":
            found.append(f"{here}: client.admin is the cluster's own: it is not declared here")
        for service in item.get("caps") or {}:
            if service not in SERVICES:
                found.append(f"{here}: caps for '{service}', which is not one of {', '.join(SERVICES)}")
        for service, text in (item.get("caps") or {}).items():
            for clause in normalise(text or ""):
                if clause[0] not in ("allow", "profile"):
                    found.append(f"{here}: caps.{service}: '{' '.join(clause)}' is no cap: a cap begins with allow or profile")
        made = None
        if item.get("key"):
            try:
                kind, made = key_parts(item["key"])
                if item.get("key_type") and item["key_type"] != kind:
                    found.append(f"{here}: key is of type {kind}, and key_type is {item['key_type']}")
            except ValueError as error:
                found.append(f"{here}: key: {error}")
        if item.get("rotate_before"):
            try:
                before = moment(item["rotate_before"])
                if before > time.time():
                    found.append(f"{here}: rotate_before {item['rotate_before']} lies ahead: every run would make a new key; name a moment that is past")
                if made is not None and made < before:
                    found.append(f"{here}: the given key was made before rotate_before: leave out one of them")
            except ValueError as error:
                found.append(f"{here}: rotate_before: {error}")
    return found


def cephx_problems(declared: t.Mapping[str, t.Any], where: str) -> list[str]:
    """The same for the ciphers."""
    found = []
    allowed = declared.get("allowed")
    if allowed is not None and not allowed:
        found.append(f"{where}.allowed is empty: nobody could log in; name aes256k, or aes and aes256k")
    for key in ("preferred", "service"):
        if declared.get(key) and allowed and declared[key] not in allowed:
            found.append(f"{where}.{key} is {declared[key]}, which {where}.allowed does not name")
    return found


# -- the plan


def plan(
    declared: t.Sequence[t.Mapping[str, t.Any]],
    maps: Maps,
    draft: Draft,
    pools: t.Collection[str],
    allowed: t.Optional[t.Collection[str]],
    me: str,
    prune: bool,
) -> None:
    """Plan clients. pools: the names of those that will be there. allowed: the key types that the cluster will take; None before 20.2.4."""
    for number, item in enumerate(declared):
        name, here = item["name"], f"{item.get('where') or f'{draft.prefix}clients[{number}]'} ({item['name']})"
        living = maps.auth.get(name)
        if item["state"] == "absent":
            if living is not None:
                if name == me:
                    draft.problem(f"{here}: it is the client that this very run uses: it cannot be deleted by itself")
                else:
                    _delete(name, draft, "whoever uses its key is locked out", living)
            continue
        caps = {service: text.strip() for service, text in (item.get("caps") or {}).items() if text and text.strip()}
        for pool in pools_in(caps):
            if pool not in pools and not maps.empty:
                draft.problem(f"{here}: its caps name the pool {pool}, which is neither there nor declared in {draft.prefix}pools")
        kind = item.get("key_type")
        if kind == "aes256k" and allowed is None and not maps.empty:
            draft.problem(
                f"{here}: key_type aes256k needs Ceph {values.shown(CIPHERS_SINCE)}, and this is {values.shown(maps.release)}: leave it out, or upgrade first"
            )
            continue
        if kind and allowed is not None and kind not in allowed:
            draft.problem(f"{here}: key_type {kind}, and the cluster allows {', '.join(allowed)}: name {kind} in {draft.prefix}cephx.allowed as well")
            continue
        if living is None:
            _create(item, caps, kind if allowed is not None else None, maps, draft, here)
        else:
            _update(item, caps, kind, living, draft)
    if prune:
        kept = {item["name"] for item in declared} | {me}
        for name, living in maps.auth.items():
            if name not in kept and not _SERVICE.fullmatch(name):
                _delete(name, draft, "it is not declared, and prune names clients: whoever uses its key is locked out", living)


def _create(item: t.Mapping[str, t.Any], caps: dict[str, str], kind: t.Optional[str], maps: Maps, draft: Draft, here: str) -> None:
    name = item["name"]
    if item.get("caps") is None:
        draft.problem(f"{here}: it is not there, and without caps it could do nothing: declare its caps")
        return
    after: dict[str, t.Any] = {"caps": caps}
    if kind:
        after["key_type"] = kind
    given = (item.get("key") or "").strip()
    if given:
        after["key"] = Secret(given)

        def apply() -> t.Any:
            return _import(draft.send, name, given, caps)

    else:

        def apply() -> t.Any:
            return draft.send("auth get-or-create", entity=name, caps=_flat(caps), key_type=kind)

    draft.ensure("client", name, None, after, apply, needs=draft.cipher_needs)


def _update(item: t.Mapping[str, t.Any], caps: dict[str, str], kind: t.Optional[str], living: t.Mapping[str, t.Any], draft: Draft) -> None:
    name = item["name"]
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    if item.get("caps") is not None and not same_caps(living["caps"], caps):
        before["caps"], after["caps"] = living["caps"], caps
    has, made = _parts(living["key"].reveal())
    fresh = None
    reason = ""
    given = (item.get("key") or "").strip()
    if given and given != living["key"].reveal():
        fresh, reason = given, "the key that was given takes the place of the old one"
    elif not given:
        if kind and kind != has:
            fresh, reason = new_key(kind), f"its key becomes one of type {kind}"
            before["key_type"], after["key_type"] = has, kind
        elif item.get("rotate_before") and made < moment(item["rotate_before"]):
            fresh, reason = new_key(has or "aes"), f"its key was made before {item['rotate_before']}"
    if fresh:
        before["key"], after["key"] = living["key"], Secret(fresh)
        reason += ": whoever uses it needs the new one"
    if not after:
        return
    full = caps if item.get("caps") is not None else dict(living["caps"])

    def apply() -> t.Any:
        if fresh:
            return _import(draft.send, name, fresh, full)
        return draft.send("auth caps", entity=name, caps=_flat(full))

    risk = Risk.RESTART if fresh else Risk.NONE
    if name.startswith("client.") and not full and not fresh:
        risk, reason = Risk.LOSS, "it loses all its caps"
    draft.ensure("client", name, before, after, apply, risk=risk, reason=reason, needs=draft.cipher_needs)


def _parts(key: str) -> tuple[str, float]:
    try:
        return key_parts(key)
    except ValueError:
        return "", 0.0


def _delete(name: str, draft: Draft, reason: str, living: t.Mapping[str, t.Any]) -> None:
    before = {"caps": dict(living["caps"])}
    draft.ensure("client", name, before, None, lambda: draft.send("auth del", entity=name), risk=Risk.LOSS, reason=reason)


def _flat(caps: t.Mapping[str, str]) -> list[str]:
    return [part for service, text in sorted(caps.items()) for part in (service, text)]


def _import(send: t.Callable[..., t.Any], name: str, key: str, caps: t.Mapping[str, str]) -> t.Any:
    """Give a client this key and these caps, at once. The keyring travels in the command's body."""
    quoted = {service: text.replace("\\", "\\\\").replace('"', '\\"') for service, text in sorted(caps.items())}
    keyring = f"[{name}]\n\tkey = {key}\n" + "".join(f'\tcaps {service} = "{text}"\n' for service, text in quoted.items())
    return send("auth import", keyring.encode())


def plan_cephx(declared: t.Mapping[str, t.Any], maps: Maps, draft: Draft) -> t.Optional[list[str]]:
    """Plan the ciphers; return the key types that will be allowed, None where the release knows one type only."""
    said = {key: value for key, value in declared.items() if value is not None}
    if maps.empty:
        return None
    if maps.release < CIPHERS_SINCE or not maps.ciphers:
        if any(value not in ("aes", ["aes"]) for value in said.values()):
            draft.problem(
                f"{draft.prefix}cephx: other ciphers than aes need Ceph {values.shown(CIPHERS_SINCE)}, and this is {values.shown(maps.release)}: "
                "leave it out, or upgrade first"
            )
        return None
    wanted = {key: sorted(set(value)) if key == "allowed" else value for key, value in said.items()}
    before, after = differing(maps.ciphers, wanted)
    allowed: list[str] = wanted.get("allowed", maps.ciphers["allowed"])
    for key in ("preferred", "service"):
        value = wanted.get(key, maps.ciphers[key])
        if value and value not in allowed:
            draft.problem(f"{draft.prefix}cephx: {key} is {value}, and allowed would be {', '.join(allowed)}: declare {key} too")
    for key in after:
        opens = key == "allowed" and "aes" in allowed and "aes" not in maps.ciphers["allowed"]
        shuts = key == "allowed" and set(maps.ciphers["allowed"]) - set(allowed)
        if opens:
            draft.warn(
                f"{draft.prefix}cephx.allowed names aes: keys of that type can be forged by whoever holds one of the cluster's (CVE-2025-30156); "
                "clients older than 20.2.4 know no other. Take it back when the last of them is gone"
            )
        risk, reason = (Risk.LOSS, f"clients with keys of type {', '.join(sorted(shuts))} are locked out") if shuts else (Risk.NONE, "")
        text = ",".join(after[key]) if key == "allowed" else after[key]
        # What is opened is opened first; what is shut is shut last.
        if key == "allowed":
            needs = frozenset({"cephx/preferred", "cephx/service"} if shuts else ())
        else:
            needs = frozenset() if set(maps.ciphers["allowed"]) - set(allowed) else frozenset({"cephx/allowed"})
        name = {"allowed": "auth_allowed_ciphers", "preferred": "auth_preferred_cipher", "service": "auth_service_cipher"}[key]
        apply = functools.partial(draft.send, "mon set", name=name, value=text)
        draft.ensure("cephx", key, {key: before[key]}, {key: after[key]}, apply, risk=risk, reason=reason, needs=needs)
    return allowed
