# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of the object storage: their keys, capabilities and quotas, and the user as which this collection asks the gateways.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import quotas
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import ROOT_POOL, AdminOps, is_true, keys_of, pool_names, without_tenant
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.realm import KEY
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Risk, Secret, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, integer, mapping, presence, record, records, string

OPTIONS: dict[str, t.Any] = {
    "uid": string("The name of the user, C(TENANT$NAME) for a tenant's.", required=True),
    "state": presence("Whether the user exists. V(absent) needs O(allow_loss=user/UID), and is refused while the user owns buckets that stay."),
    "display_name": string("The name for people. The uid by default."),
    "email": string("The address. No two users can have the same."),
    "max_buckets": integer("How many buckets the user may own. V(0) means any number, V(-1) none."),
    "suspended": boolean("Whether the user is locked out. Keys and buckets are kept."),
    "system": boolean("Whether other zones and services of Ceph sign in as this user."),
    "admin": boolean("Whether the user may read and write everybody's buckets."),
    "caps": mapping('All administrative capabilities, such as V({"usage":"read"}). Those that are not named are removed. By default all are left as they are.'),
    "user_quota": record("What all buckets of the user may hold together.", quotas.QUOTA),
    "bucket_quota": record("What each bucket of the user may hold.", quotas.QUOTA),
    # The secrets within are hidden; no_log on the whole would hide the names of the keys in every later output
    "keys": records("The user's keys. By default one is generated if the user has none.", KEY, no_log=False),
    "exclusive_keys": boolean("Whether other keys than O(users[].keys) are removed, which needs O(allow_loss=user/UID).", default=False, no_log=False),
}

# What this collection's own user may do. metadata: secrets are handed over in the body of a metadata call, for the URLs of all
# other calls stand in the gateways' logs.
ADMIN_CAPS = {"buckets": "*", "metadata": "*", "usage": "read", "users": "*"}
# What the Admin Ops API sets of a user in one call; what only radosgw-admin sets; the quotas, and what the API calls them
_FIELDS = ("display_name", "email", "max_buckets", "suspended")
_FLAGS = ("system", "admin")
_QUOTAS = {"user_quota": "user", "bucket_quota": "bucket"}
_PERMISSIONS = {"*": "*", "read,write": "*", "read": "read", "write": "write"}


@dataclasses.dataclass(frozen=True)
class User:
    uid: str
    present: bool = True
    fields: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)  # what was declared, as current has it
    keys: t.Optional[t.Mapping[str, Secret]] = None  # access key -> secret; None: any will do, one is generated
    exclusive_keys: bool = False


@dataclasses.dataclass
class Observed:
    users: t.Dict[str, t.Dict[str, t.Any]] = dataclasses.field(default_factory=dict)  # by uid, as the metadata tell them: those declared and our own
    uids: t.FrozenSet[str] = frozenset()  # all
    owned: t.Dict[str, t.List[str]] = dataclasses.field(default_factory=dict)  # by uid: ids of buckets, of who is to go


def parse(item: t.Mapping[str, t.Any], admin: str, problems: list[str]) -> User:
    """Return a declared user. admin: the uid of this collection's own."""

    def problem(text: str) -> None:
        problems.append(f"user {item['uid']}: {text}")

    if item["uid"] == admin:
        problem("this is the collection's own user (admin_user); it cannot be declared")
    fields = {key: item[key] for key in (*_FIELDS, *_FLAGS) if item.get(key) is not None}
    # As the gateways keep them
    if "email" in fields:
        fields["email"] = fields["email"].lower()
    if "max_buckets" in fields:
        fields["max_buckets"] = max(fields["max_buckets"], quotas.UNLIMITED)
    if item.get("caps") is not None:
        fields["caps"] = {}
        for kind, perm in item["caps"].items():
            try:
                fields["caps"][kind] = tidy_perm(perm)
            except ValueError as error:
                problem(str(error))
    fields.update({key: quotas.parse(item[key], problem) for key in _QUOTAS if item.get(key) is not None})
    keys = {key["access_key"]: Secret(key["secret_key"]) for key in item.get("keys") or ()}
    if len(keys) < len(item.get("keys") or ()):
        problem("an access key is given twice")
    if item.get("exclusive_keys") and not keys:
        problem("exclusive_keys needs keys")
    return User(item["uid"], item.get("state", "present") == "present", fields, keys or None, bool(item.get("exclusive_keys")))


def tidy_perm(perm: str) -> str:
    """Return a capability's permission as the gateways write it: read, write or *. Raises ValueError."""
    words = ",".join(sorted({word.strip() for word in str(perm).split(",")}))
    if words not in _PERMISSIONS:
        raise ValueError(f"'{perm}' is not a permission: write read, write or *")
    return _PERMISSIONS[words]


def _caps(record: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {cap["type"]: tidy_perm(cap["perm"]) for cap in record.get("caps", ())}


def current(record: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a user's record as the gateways tell it in the form in which users are declared."""
    return {
        **{key: record.get(key, "") for key in ("display_name", "email")},
        "max_buckets": record.get("max_buckets"),
        **{flag: is_true(record.get(flag, False)) for flag in ("suspended", *_FLAGS)},
        "caps": _caps(record),
        **{key: quotas.current(record[key]) for key in _QUOTAS},
        "keys": keys_of(record),
    }


def may_ask(record: t.Mapping[str, t.Any]) -> bool:
    """Whether this collection's own user may do all that it must. record: its own."""
    return not (differing(_caps(record), ADMIN_CAPS)[1] or is_true(record.get("suspended", 0)) or not record.get("keys"))


def observe(observed: Observed, asked: t.Collection[str], leaving: t.Sequence[str], api: AdminOps, pool: ThreadPoolExecutor) -> None:
    """Read the users asked for, and the buckets of those who are leaving. uids has been read."""
    uids = sorted(set(asked) & observed.uids)
    for uid, found in zip(uids, pool.map(api.user, uids)):
        if found is not None:
            observed.users[uid] = found
            api.keep(uid, found)
    for uid, names in zip(leaving, pool.map(lambda uid: api("GET", "bucket", uid=uid), leaving)):
        tenant = uid.partition("$")[0] + "/" if "$" in uid else ""
        observed.owned[uid] = [tenant + name for name in names or ()]


def user_keys(connection: t.Any, admin: t.Callable[..., t.Any], uids: t.Sequence[str]) -> dict[str, t.Optional[list[dict[str, str]]]]:
    """The keys of users, [{access_key, secret_key}]; None for one that is not there. admin: a RadosgwAdmin. Raises ApiFailed, Unreachable, Invalid."""
    found: dict[str, t.Optional[list[dict[str, str]]]] = dict.fromkeys(uids)
    pools = pool_names(connection)
    # Where no gateway has run in this zone, it has no pool for users, and none of them.
    if ROOT_POOL not in pools or not admin("zone", "list")["zones"] or admin("zone", "get")["user_uid_pool"].partition(":")[0] not in pools:
        return found
    existing = frozenset(admin("metadata", "list", "user"))
    there = [uid for uid in found if uid in existing]
    with ThreadPoolExecutor(max_workers=4) as pool:
        for uid, record in zip(there, pool.map(lambda uid: admin("user", "info", f"--uid={uid}"), there)):
            found[uid] = [{"access_key": access, "secret_key": secret.reveal()} for access, secret in sorted(keys_of(record).items())]
    return found


def plan_own(observed: Observed, api: AdminOps, uid: str, needs: t.FrozenSet[str], draft: Draft) -> None:
    """Make this collection's own user, or mend it."""
    have, current = observed.users.get(uid), None
    wish: dict[str, t.Any] = {"caps": ADMIN_CAPS, "keys": "generated"}
    if have is not None:
        lacking, caps = differing(_caps(have), ADMIN_CAPS)
        current = {"caps": lacking, "suspended": bool(have.get("suspended")), "keys": "generated" if have.get("keys") else None}
        wish.update(caps=caps, suspended=False)
    draft.ensure("user", uid, current, wish, functools.partial(_mend_own, api, uid, {"user": True}), functools.partial(_mend_own, api, uid), needs)


def plan(
    users: t.Iterable[User], observed: Observed, pruned: t.Iterable[str], going: t.Collection[str], api: AdminOps, needs: t.FrozenSet[str], draft: Draft
) -> None:
    """pruned: uids that go because they are not declared. going: ids of the buckets that are deleted in the same plan."""
    leaving = dict.fromkeys(pruned, "it is not declared; ")
    for user in users:
        if user.present:
            _plan(user, observed.users.get(user.uid), api, needs, draft)
        elif user.uid in observed.users:
            leaving[user.uid] = ""
    for uid, why in leaving.items():
        owned = sorted(observed.owned.get(uid, []))
        left = [name for name in owned if name not in going]
        if left:
            draft.problem(f"user {uid} still owns buckets: {', '.join(left[:5])}{' …' if len(left) > 5 else ''}; delete them or give them to another first")
        apply, needed = functools.partial(api, "DELETE", "user", uid=uid), {*needs, *(f"bucket/{name}" for name in owned)}
        draft.ensure("user", uid, {"buckets": owned}, None, apply, needs=needed, risk=Risk.LOSS, reason=f"{why}its keys would be gone")


def _plan(user: User, record: t.Optional[t.Mapping[str, t.Any]], api: AdminOps, needs: t.FrozenSet[str], draft: Draft) -> None:
    have = {} if record is None else current(record)
    wish = quotas.without_off(have, user.fields, _QUOTAS)
    if record is None:
        wish = {"display_name": user.uid, **{key: value for key, value in wish.items() if value != {}}}
    keys: dict[str, Secret] = have.get("keys", {})
    lost: dict[str, t.Any] = {}
    if user.keys is not None:
        wish["keys"] = {**({} if user.exclusive_keys else keys), **user.keys}
        surplus = sorted(set(keys) - set(wish["keys"]))
        if surplus:
            lost = {"risk": Risk.LOSS, "reason": f"who uses the access keys {', '.join(surplus)} is locked out"}
    elif not keys:
        have["keys"], wish["keys"] = None, "generated"
    before = None if record is None else have
    draft.ensure("user", user.uid, before, wish, functools.partial(_create, api, user, wish), functools.partial(_update, api, user), needs, **lost)


def _caps_text(caps: t.Mapping[str, str]) -> str:
    return ";".join(f"{kind}={perm}" for kind, perm in sorted(caps.items()))


# How this collection's own user is made, and what of it is mended, by radosgw-admin.
_OWN = {
    "user": ("user", "create", "--display-name=Ansible collection cephstack.cloud", f"--caps={_caps_text(ADMIN_CAPS)}"),
    "suspended": ("user", "enable"),
    "keys": ("key", "create", "--key-type=s3", "--gen-access-key", "--gen-secret"),
    "caps": ("caps", "add", f"--caps={_caps_text(ADMIN_CAPS)}"),
}


def _mend_own(api: AdminOps, uid: str, after: t.Mapping[str, t.Any]) -> None:
    for key, command in _OWN.items():
        if key in after:
            api.cli(*command, f"--uid={uid}")
    api.keep(uid, api.cli("user", "info", f"--uid={uid}"))


def _create(api: AdminOps, user: User, after: t.Mapping[str, t.Any]) -> None:
    api("PUT", "user", uid=user.uid, display_name=after["display_name"], email=after.get("email"), generate_key=user.keys is None)
    done = {"display_name", "email", *(["keys"] if user.keys is None else [])}
    _update(api, user, {key: value for key, value in after.items() if key not in done})


def _update(api: AdminOps, user: User, after: t.Mapping[str, t.Any]) -> None:
    uid = user.uid
    plain = {key: after[key] for key in _FIELDS if key in after}
    if plain:
        api("POST", "user", uid=uid, **plain)
    if "caps" in after:
        gone = {kind: perm for kind, perm in _caps(api.user(uid) or {}).items() if after["caps"].get(kind) != perm}
        for method, caps in (("DELETE", gone), ("PUT", after["caps"])):
            if caps:
                api(method, "user", caps="", uid=uid, user_caps=_caps_text(caps))
    for key in [key for key in _QUOTAS if key in after]:
        api("PUT", "user", quota="", uid=uid, quota_type=_QUOTAS[key], **quotas.query(after[key]))
    for flag in [flag for flag in _FLAGS if flag in after]:
        api.cli("user", "modify", f"--uid={uid}", f"--{flag}={str(after[flag]).lower()}")
    if "keys" in after and user.keys is None:
        api("PUT", "user", key="", uid=uid, key_type="s3", generate_key=True)
    elif "keys" in after:
        _set_keys(api, user, user.keys or {})


def _set_keys(api: AdminOps, user: User, given: t.Mapping[str, Secret]) -> None:
    whole = api("GET", "metadata/user", key=user.uid)
    own = without_tenant(whole["data"]["user_id"])
    keys = {key["access_key"]: key for key in whole["data"].get("keys", ())}
    if user.exclusive_keys:
        # Subusers' keys are theirs
        keys = {access: key for access, key in keys.items() if access in given or without_tenant(key["user"]) != own}
    for access, secret in given.items():
        keys[access] = {**keys.get(access, {"user": user.uid}), "access_key": access, "secret_key": secret.reveal()}
    whole["data"]["keys"] = list(keys.values())
    api("PUT", "metadata/user", body=json.dumps(whole).encode(), key=user.uid)
