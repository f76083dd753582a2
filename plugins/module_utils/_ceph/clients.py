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

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, view
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
# Commas and semicolons within quotes, which may be left open, separate nothing.
_CLAUSE = re.compile(r"""(?:"[^"]*"?|'[^']*'?|[^,;"'])+""")
_TOKEN = re.compile(r'"[^"]*"|\'[^\']*\'|=|[^\s="\']+')
_PAIRS = {"pool", "namespace", "object_prefix", "path", "fsname", "uid", "gids", "network"}
_PERMISSIONS = re.compile(r"[rwxps]+|\*|all|class-read|class-write|root_squash")


# -- caps


def normalise(caps: str) -> frozenset[tuple[str, ...]]:
    """The meaning of one service's caps: a set of clauses, independent of blanks, quotes, order and repetition.

    "allow rw pool=a, allow r" and "allow r,allow  wr pool a" mean the same.
    """
    clauses = set()
    for clause in _CLAUSE.findall(caps):
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


def same_caps(left: t.Mapping[str, str], right: t.Mapping[str, str]) -> bool:
    """Whether two sets of caps mean the same, service by service."""
    return all(normalise(left.get(service) or "") == normalise(right.get(service) or "") for service in {*left, *right})


def pools_in(caps: t.Mapping[str, t.Optional[str]]) -> list[str]:
    """The pools that caps name, in order."""
    tokens = (token for service in ("osd", "mgr") for clause in sorted(normalise(caps.get(service) or "")) for token in clause)
    return list(dict.fromkeys(token[5:] for token in tokens if token.startswith("pool=")))


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
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return base64.b64encode(struct.pack("<HIIH", number, seconds, nanoseconds, length) + os.urandom(length)).decode()


def moment(text: t.Any) -> float:
    """Seconds since 1970 of "2026-11-01" or "2026-11-01T12:00:00Z"; UTC where no zone is said. Raises ValueError."""
    try:
        parsed = datetime.datetime.fromisoformat(str(text).strip().replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"'{text}' is not a moment such as 2026-11-01 or 2026-11-01T12:00:00Z") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)).timestamp()


# -- the declaration alone


def problems(item: Declared) -> t.Iterator[str]:
    """What is wrong with a declared client alone."""
    name, caps = str(item["name"]), item.get("caps") or {}
    if not _NAME.fullmatch(name):
        mend = name if re.fullmatch(r"[\w-]+", name) else "NAME"
        yield f"the name of a client begins with 'client.': write client.{mend}"
    if name == "client.admin":
        yield "client.admin is the cluster's own: it is not declared here"
    for service, text in caps.items():
        if service not in SERVICES:
            yield f"caps for '{service}', which is not one of {', '.join(SERVICES)}"
        for clause in normalise(text or ""):
            if clause[0] not in ("allow", "profile"):
                yield f"caps.{service}: '{' '.join(clause)}' is no cap: a cap begins with allow or profile"
    made = None
    if item.get("key"):
        try:
            kind, made = key_parts(item["key"])
            if item.get("key_type") and item["key_type"] != kind:
                yield f"key is of type {kind}, and key_type is {item['key_type']}"
        except ValueError as error:
            yield f"key: {error}"
    if item.get("rotate_before"):
        try:
            before = moment(item["rotate_before"])
        except ValueError as error:
            yield f"rotate_before: {error}"
            return
        if before > time.time():
            yield f"rotate_before {item['rotate_before']} lies ahead: every run would make a new key; name a moment that is past"
        if made is not None and made < before:
            yield "the given key was made before rotate_before: leave out one of them"


def cephx_problems(declared: Declared, where: str) -> t.Iterator[str]:
    """The same for the ciphers."""
    allowed = declared.get("allowed")
    if allowed is not None and not allowed:
        yield f"{where}.allowed is empty: nobody could log in; name aes256k, or aes and aes256k"
    for key in ("preferred", "service"):
        if declared.get(key) and allowed and declared[key] not in allowed:
            yield f"{where}.{key} is {declared[key]}, which {where}.allowed does not name"


# -- against what is


def plan(draft: Draft) -> None:
    """Plan clients: those that are declared, and those that consumers need."""
    maps, allowed = draft.maps, future_allowed(draft)
    everyone = [*draft.declared("clients"), *((f"{item['where']} ({item['name']})", item) for item in _consumers.clients(draft.declaration["consumers"]))]
    kept = [name for name in maps.auth if _SERVICE.fullmatch(name) or name == draft.me]
    for here, item, living in draft.walk("clients", maps.auth, _delete, kept, everyone):
        caps = {service: text.strip() for service, text in (item.get("caps") or {}).items() if text and text.strip()}
        for pool in pools_in(caps):
            if pool not in draft.pool_names and not maps.empty:
                draft.problem(f"{here}: its caps name the pool {pool}, which is neither there nor declared in {draft.prefix}pools")
        kind = item.get("key_type")
        if kind == "aes256k" and allowed is None and not maps.empty:
            draft.too_old(f"{here}: key_type aes256k needs", CIPHERS_SINCE)
        elif kind and allowed is not None and kind not in allowed:
            draft.problem(f"{here}: key_type {kind}, and the cluster allows {', '.join(allowed)}: name {kind} in {draft.prefix}cephx.allowed as well")
        elif living is not None:
            _update(item, caps, kind, living, draft)
        elif item.get("caps") is None:
            draft.problem(f"{here}: it is not there, and without caps it could do nothing: declare its caps")
        else:
            _create(item, caps, kind if allowed is not None else None, draft)


def _create(item: Declared, caps: dict[str, str], kind: t.Optional[str], draft: Draft) -> None:
    name, given = item["name"], (item.get("key") or "").strip()
    after = {"caps": caps, **({"key_type": kind} if kind else {}), **({"key": Secret(given)} if given else {})}
    apply = functools.partial(draft.send, "auth get-or-create", entity=name, caps=_flat(caps), key_type=kind)
    if given:
        apply = functools.partial(_import, draft, name, Secret(given), caps)
    draft.ensure("client", name, None, after, apply, needs=_needs(draft))


def _update(item: Declared, caps: dict[str, str], kind: t.Optional[str], living: Declared, draft: Draft) -> None:
    name, given = item["name"], (item.get("key") or "").strip()
    after: dict[str, t.Any] = {}
    if item.get("caps") is None:
        caps = dict(living["caps"])
    elif not same_caps(living["caps"], caps):
        after["caps"] = caps
    has, made = _parts(living["key"].reveal())
    reason = ""
    if given and given != living["key"].reveal():
        reason = "the key that was given takes the place of the old one"
    elif not given and kind and kind != has:
        reason, after["key_type"] = f"its key becomes one of type {kind}", kind
    elif not given and item.get("rotate_before") and made < moment(item["rotate_before"]):
        reason = f"its key was made before {item['rotate_before']}"
    risk = Risk.NONE
    if reason:
        after["key"] = Secret(given or "new")
        risk, reason = Risk.RESTART, f"{reason}: whoever uses it needs the new one"
    elif name.startswith("client.") and not caps:
        risk, reason = Risk.LOSS, "it loses all its caps"

    def apply() -> t.Any:
        if "key" in after:
            return _import(draft, name, Secret(given or new_key(kind or has or "aes")), caps)
        return draft.send("auth caps", entity=name, caps=_flat(caps))

    before = {"caps": living["caps"], "key_type": has, "key": living["key"]}
    draft.ensure("client", name, before, after, apply, risk=risk, reason=reason, needs=_needs(draft))


def _parts(key: str) -> tuple[str, float]:
    try:
        return key_parts(key)
    except ValueError:
        return "", 0.0


def _needs(draft: Draft) -> t.Sequence[str]:
    return ["cephx/allowed"] if draft.declaration["cephx"].get("allowed") else []


def _delete(draft: Draft, here: str, name: str, living: Declared, pruned: str) -> None:
    if name == draft.me:
        draft.problem(f"{here}: it is the client that this very run uses: it cannot be deleted by itself")
        return
    remove = functools.partial(draft.send, "auth del", entity=name)
    draft.remove("client", name, {"caps": dict(living["caps"])}, remove, pruned, "whoever uses its key is locked out")


def _flat(caps: t.Mapping[str, str]) -> list[str]:
    return [part for service, text in sorted(caps.items()) for part in (service, text)]


def _import(draft: Draft, name: str, key: Secret, caps: t.Mapping[str, str]) -> t.Any:
    """Give a client this key and these caps, at once. The keyring travels in the command's body."""
    quoted = {service: text.replace("\\", "\\\\").replace('"', '\\"') for service, text in sorted(caps.items())}
    keyring = f"[{name}]\n\tkey = {key.reveal()}\n" + "".join(f'\tcaps {service} = "{text}"\n' for service, text in quoted.items())
    return draft.send("auth import", keyring.encode())


# How the monitors name what can be declared of the ciphers.
_CIPHERS = {"allowed": "auth_allowed_ciphers", "preferred": "auth_preferred_cipher", "service": "auth_service_cipher"}


@view
def future_allowed(draft: Draft) -> t.Optional[list[str]]:
    """The key types that will be allowed; None where the release knows one type only."""
    if draft.maps.release < CIPHERS_SINCE or not draft.maps.ciphers:
        return None
    said = draft.declaration["cephx"].get("allowed")
    return draft.maps.ciphers["allowed"] if said is None else sorted(set(said))


def plan_cephx(draft: Draft) -> None:
    """Plan the ciphers."""
    maps, allowed = draft.maps, future_allowed(draft)
    wanted = {key: value for key, value in draft.declaration["cephx"].items() if value is not None}
    if allowed is None:
        if not maps.empty and any(value not in ("aes", ["aes"]) for value in wanted.values()):
            draft.too_old(f"{draft.prefix}cephx: other ciphers than aes need", CIPHERS_SINCE)
        return
    before = maps.ciphers
    future = {**before, **wanted, "allowed": allowed}
    shuts = set(before["allowed"]) - set(allowed)
    for key in ("preferred", "service"):
        if future[key] and future[key] not in allowed:
            draft.problem(f"{draft.prefix}cephx: {key} is {future[key]}, and allowed would be {', '.join(allowed)}: declare {key} too")
    if "aes" in allowed and "aes" not in before["allowed"]:
        draft.warn(
            f"{draft.prefix}cephx.allowed names aes: keys of that type can be forged by whoever holds one of the cluster's (CVE-2025-30156); "
            "clients older than 20.2.4 know no other. Take it back when the last of them is gone"
        )
    for key, after in differing(before, future)[1].items():
        risk, reason = Risk.NONE, ""
        if key == "allowed" and shuts:
            risk, reason = Risk.LOSS, f"clients with keys of type {', '.join(sorted(shuts))} are locked out"
        # What is opened is opened first; what is shut is shut last.
        needs: t.Sequence[str] = ()
        if (key == "allowed") == bool(shuts):
            needs = ("cephx/preferred", "cephx/service") if shuts else ("cephx/allowed",)
        apply = functools.partial(draft.send, "mon set", name=_CIPHERS[key], value=",".join(after) if key == "allowed" else after)
        draft.ensure("cephx", key, {key: before[key]}, {key: after}, apply, risk=risk, reason=reason, needs=needs)
