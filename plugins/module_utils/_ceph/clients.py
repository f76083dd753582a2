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
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, cost, view
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, Secret
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import choice, presence, record, string, strings

# The key types: the number that stands at the beginning of a key, and the length of its secret in bytes.
KEY_TYPES = {"aes": (1, 16), "aes256k": (2, 32)}
_CAPS = {
    "mon": string("Caps on the monitors."), "osd": string("Caps on the OSDs."),
    "mgr": string("Caps on the managers."), "mds": string("Caps on the metadata servers."),
}  # fmt: skip
OPTIONS: dict[str, t.Any] = {
    "name": string("The full name, for example V(client.backup).", required=True),
    "state": presence("V(absent) locks out whoever uses it, and needs O(allow_loss=client/NAME)."),
    "caps": record("All its caps. They are compared by their meaning, so that blanks, quotes and order don't matter. Left as they are if not given.", _CAPS),
    "key": string("Its key. By default the cluster makes one.", no_log=True),
    "key_type": choice("The key's type. V(aes256k) needs Ceph 20.2.4, on the clients too.", KEY_TYPES, no_log=False),
    "rotate_before": string(
        "A moment in the past, such as V(2026-11-01) or V(2026-11-01T12:00:00Z). A key that was made before it is replaced by a new one.\n"
        "Keys carry the moment of their making, so this is done once."
    ),
}
CEPHX_OPTIONS: dict[str, t.Any] = {
    "allowed": strings(
        "The key types with which one may log in.\nClients older than 20.2.4 know V(aes) only, which is insecure (CVE-2025-30156).", choices=[*KEY_TYPES]
    ),
    "preferred": choice("The type of new keys.", KEY_TYPES),
    "service": choice("The type of the services' tickets.", KEY_TYPES),
}
# The first release that knows a second key type (CVE-2025-30156).
CIPHERS_SINCE = (20, 2, 4)
_NAME = re.compile(r"client\.[^\s\[\]=]+")
# Of daemons and tools, not of the operator: never pruned.
_SERVICE = re.compile(r"(?!client\.).*|client\.(admin|bootstrap-.*|rgw\..*|crash.*|ceph-exporter.*|rbd-mirror.*|nfs\..*|iscsi\..*|cephfs-mirror.*)")
# Commas and semicolons within quotes, which may be left open, separate nothing.
_CLAUSE = re.compile(r"""(?:"[^"]*"?|'[^']*'?|[^,;"'])+""")
# A word, or a pair such as pool=a.
_TOKEN = re.compile(r"""("[^"]*"|'[^']*'|[^\s="']+|=)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s="']+))?""")
_QUOTES = "\"'"
_PAIRS = {"pool", "namespace", "object_prefix", "path", "fsname", "uid", "gids", "network"}
_PERMISSIONS = re.compile(r"[rwxps]+|\*|all|class-read|class-write|root_squash")


def normalise(caps: str) -> frozenset[tuple[str, ...]]:
    """The meaning of one service's caps, a set of clauses: "allow rw pool=a, allow r" and "allow r,allow  wr pool a" mean the same."""
    clauses = set()
    for clause in _CLAUSE.findall(caps):
        words: list[str] = []
        for word, value in _TOKEN.findall(clause):
            plain = word.strip(_QUOTES)
            if value:
                words.append(f"{plain}={value.strip(_QUOTES)}")
            elif words[:1] == ["allow"] and words[-1] in _PAIRS:
                words[-1] += f"={plain}"  # "pool a" is the old spelling of "pool=a"
            else:
                words.append(plain)
        if words[:2] == ["allow", "profile"]:
            words = words[1:]
        pairs, rights = [word for word in words[1:] if "=" in word], [word for word in words[1:] if "=" not in word]
        if words[:1] == ["allow"] and all(map(_PERMISSIONS.fullmatch, rights)):
            words = ["allow", *sorted(set(map(_letters, rights))), *sorted(pairs)]
        elif words[:1] == ["profile"]:
            words = [*words[:2], *sorted(words[2:])]
        if words:
            clauses.add(tuple(words))
    return frozenset(clauses)


def _letters(right: str) -> str:
    return "*" if right == "all" else "".join(sorted(right)) if re.fullmatch(r"[rwxps]+", right) else right


def same_caps(left: t.Mapping[str, str], right: t.Mapping[str, str]) -> bool:
    """Whether two sets of caps mean the same, service by service."""
    return all(normalise(left.get(service) or "") == normalise(right.get(service) or "") for service in {*left, *right})


def pools_in(caps: t.Mapping[str, t.Optional[str]]) -> list[str]:
    """The pools that caps name, in order."""
    tokens = (token for service in ("osd", "mgr") for clause in sorted(normalise(caps.get(service) or "")) for token in clause)
    return list(dict.fromkeys(token[5:] for token in tokens if token.startswith("pool=")))


def key_parts(key: str) -> tuple[str, float]:
    """The type of a cephx key and the moment it was made, in seconds since 1970. Raises ValueError."""
    # base64 of: type (2 bytes), seconds and nanoseconds of its making (4 each), length (2), secret; little-endian
    try:
        raw = base64.b64decode(key.strip(), validate=True)
        number, seconds, nanoseconds, length = struct.unpack("<HIIH", raw[:12])
    except (ValueError, struct.error):
        raise ValueError("it is not a cephx key") from None
    kind = next((name for name, known in KEY_TYPES.items() if known == (number, length)), None)
    if kind is None or len(raw) != 12 + length:
        raise ValueError("it is not a cephx key of a known type")
    return kind, seconds + nanoseconds / 1e9


def new_key(kind: str = "aes") -> str:
    """A new key of a type, made now."""
    number, length = KEY_TYPES[kind]
    return base64.b64encode(struct.pack("<HIIH", number, *divmod(time.time_ns(), 10**9), length) + os.urandom(length)).decode()


def moment(text: t.Any) -> float:
    """Seconds since 1970 of "2026-11-01" or "2026-11-01T12:00:00Z"; UTC where no zone is said. Raises ValueError."""
    try:
        parsed = datetime.datetime.fromisoformat(str(text).strip().replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"'{text}' is not a moment such as 2026-11-01 or 2026-11-01T12:00:00Z") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)).timestamp()


def problems(item: Declared, now: t.Optional[float] = None) -> t.Iterator[str]:
    """What is wrong with a declared client alone. now: in seconds since 1970; where it is not given, rotate_before is not compared with it."""
    name = str(item["name"])
    if not _NAME.fullmatch(name):
        mend = name if re.fullmatch(r"[\w-]+", name) else "NAME"
        yield f"the name of a client begins with 'client.': write client.{mend}"
    if name == "client.admin":
        yield "client.admin is the cluster's own: it is not declared here"
    for service, text in (item.get("caps") or {}).items():
        for clause in normalise(text or ""):
            if clause[0] not in ("allow", "profile"):
                yield f"caps.{service}: '{' '.join(clause)}' is no cap: a cap begins with allow or profile"
    parsed: dict[str, t.Any] = {}
    for key, parse in (("key", key_parts), ("rotate_before", moment)):
        try:
            parsed[key] = parse(item[key]) if item.get(key) else None
        except ValueError as error:
            yield f"{key}: {error}"
    kind, made = parsed.get("key") or (None, None)
    before = parsed.get("rotate_before")
    if kind and item.get("key_type") and item["key_type"] != kind:
        yield f"key is of type {kind}, and key_type is {item['key_type']}"
    if before is not None and now is not None and before > now:
        yield f"rotate_before {item['rotate_before']} lies ahead: every run would make a new key; name a moment that is past"
    if before is not None and made is not None and made < before:
        yield "the given key was made before rotate_before: leave out one of them"


def cephx_problems(declared: Declared, where: str) -> t.Iterator[str]:
    """The same for the ciphers."""
    allowed = declared.get("allowed")
    if allowed is not None and not allowed:
        yield f"{where}.allowed is empty: nobody could log in; name aes256k, or aes and aes256k"
    for key in ("preferred", "service"):
        if declared.get(key) and allowed and declared[key] not in allowed:
            yield f"{where}.{key} is {declared[key]}, which {where}.allowed does not name"


def plan(draft: Draft) -> None:
    """Plan clients: those that are declared, and those that consumers need."""
    maps, allowed = draft.maps, future_allowed(draft)
    everyone = [*draft.declared("clients"), *((f"{item['where']} ({item['name']})", item) for item in _consumers.clients(draft.declaration["consumers"]))]
    kept = [name for name in maps.auth if _SERVICE.fullmatch(name) or name == draft.me]
    for here, item, existing in draft.walk("clients", maps.auth, _delete, kept, everyone):
        caps = {service: text.strip() for service, text in (item.get("caps") or {}).items() if text and text.strip()}
        for pool in pools_in(caps):
            if pool not in draft.pool_names and not maps.empty:
                draft.problem(f"{here}: its caps name the pool {pool}, which is neither there nor declared in {draft.prefix}pools")
        kind = item.get("key_type")
        if kind == "aes256k" and allowed is None and not maps.empty:
            draft.too_old(f"{here}: key_type aes256k needs", CIPHERS_SINCE)
        elif kind and allowed is not None and kind not in allowed:
            draft.problem(f"{here}: key_type {kind}, and the cluster allows {', '.join(allowed)}: name {kind} in {draft.prefix}cephx.allowed as well")
        elif existing is not None:
            _update(item, caps, kind, existing, draft)
        elif item.get("caps") is None:
            draft.problem(f"{here}: it is not there, and without caps it could do nothing: declare its caps")
        else:
            kind, given = kind if allowed is not None else None, (item.get("key") or "").strip()
            after = {"caps": caps, **({"key_type": kind} if kind else {}), **({"key": Secret(given)} if given else {})}
            apply = draft.later("auth get-or-create", entity=item["name"], caps=_flat(caps), key_type=kind)
            if given:
                apply = functools.partial(_import, draft, item["name"], caps, Secret(given))
            draft.ensure("client", item["name"], None, after, apply, needs=["cephx/allowed"])


def _update(item: Declared, caps: dict[str, str], kind: t.Optional[str], existing: Declared, draft: Draft) -> None:
    name, given, has = item["name"], (item.get("key") or "").strip(), existing["key"].reveal()
    after: dict[str, t.Any] = {}
    if item.get("caps") is None:
        caps = dict(existing["caps"])
    elif not same_caps(existing["caps"], caps):
        after["caps"] = caps
    try:
        has_kind, made = key_parts(has)
    except ValueError:
        has_kind, made = "", 0.0
    reason = ""
    if given and given != has:
        reason = "the key that was given takes the place of the old one"
    elif not given and kind and kind != has_kind:
        reason, after["key_type"] = f"its key becomes one of type {kind}", kind
    elif not given and item.get("rotate_before") and made < moment(item["rotate_before"]):
        reason = f"its key was made before {item['rotate_before']}"
    apply = draft.later("auth caps", entity=name, caps=_flat(caps))
    costs = cost(Risk.LOSS, "it loses all its caps" if name.startswith("client.") and not caps else "")
    if reason:
        after["key"] = Secret(given or "new")
        apply = functools.partial(_import, draft, name, caps, Secret(given), kind or has_kind or "aes")
        costs = cost(Risk.RESTART, f"{reason}: whoever uses it needs the new one")
    before = {"caps": existing["caps"], "key_type": has_kind, "key": existing["key"]}
    draft.ensure("client", name, before, after, apply, needs=["cephx/allowed"], **costs)


def _delete(draft: Draft, here: str, name: str, existing: Declared, pruned: str) -> None:
    if name == draft.me:
        draft.problem(f"{here}: it is the client that this very run uses: it cannot be deleted by itself")
        return
    draft.remove("client", name, {"caps": dict(existing["caps"])}, draft.later("auth del", entity=name), pruned, "whoever uses its key is locked out")


def _flat(caps: t.Mapping[str, str]) -> list[str]:
    return [part for service, text in sorted(caps.items()) for part in (service, text)]


def _import(draft: Draft, name: str, caps: t.Mapping[str, str], given: Secret, kind: str = "") -> t.Any:
    """Give a client these caps and this key, else a new one of a kind, at once. The keyring travels in the command's body."""
    quoted = {service: text.replace("\\", "\\\\").replace('"', '\\"') for service, text in sorted(caps.items())}
    keyring = f"[{name}]\n\tkey = {given.reveal() or new_key(kind)}\n" + "".join(f'\tcaps {service} = "{text}"\n' for service, text in quoted.items())
    return draft.send("auth import", keyring.encode())


@view
def future_allowed(draft: Draft) -> t.Optional[list[str]]:
    """The key types that will be allowed; None where the release knows one type only."""
    if draft.maps.release < CIPHERS_SINCE or not draft.maps.ciphers:
        return None
    said = draft.declaration["cephx"].get("allowed")
    return draft.maps.ciphers["allowed"] if said is None else sorted(set(said))


def plan_cephx(draft: Draft) -> None:
    """Plan the ciphers."""
    maps, allowed, here = draft.maps, future_allowed(draft), f"{draft.prefix}cephx"
    wanted = {key: value for key, value in draft.declaration["cephx"].items() if value is not None}
    if allowed is None:
        if not maps.empty and any(value not in ("aes", ["aes"]) for value in wanted.values()):
            draft.too_old(f"{here}: other ciphers than aes need", CIPHERS_SINCE)
        return
    before = maps.ciphers
    future = {**before, **wanted, "allowed": allowed}
    shut = sorted(set(before["allowed"]) - set(allowed))
    shuts = f"clients with keys of type {', '.join(shut)} are locked out" if shut else ""
    for key in ("preferred", "service"):
        if future[key] and future[key] not in allowed:
            draft.problem(f"{here}: {key} is {future[key]}, and allowed would be {', '.join(allowed)}: declare {key} too")
    if "aes" in allowed and "aes" not in before["allowed"]:
        draft.warn(
            f"{here}.allowed names aes: keys of that type can be forged by whoever holds one of the cluster's (CVE-2025-30156); "
            "clients older than 20.2.4 know no other. Take it back when the last of them is gone"
        )
    # What is opened is opened first; what is shut is shut last.
    apply, costs = draft.later("mon set", name="auth_allowed_ciphers", value=",".join(allowed)), cost(Risk.LOSS, shuts)
    needs = ["cephx/preferred", "cephx/service"] if shuts else []
    draft.ensure("cephx", "allowed", {"allowed": before["allowed"]}, {"allowed": allowed}, apply, needs=needs, **costs)
    for key in ("preferred", "service"):
        apply = draft.later("mon set", name=f"auth_{key}_cipher", value=future[key])
        draft.ensure("cephx", key, {key: before[key]}, {key: future[key]}, apply, needs=[] if shuts else ["cephx/allowed"])
