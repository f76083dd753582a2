# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains, roles, accounts, users, their keys and sessions."""

from __future__ import annotations

import secrets
import typing as t

from standin.api import Call, Refused, command, listed
from standin.state import Row, now

_ROLES = (
    ("Root Admin", "Admin"),
    ("Resource Admin", "ResourceAdmin"),
    ("Domain Admin", "DomainAdmin"),
    ("User", "User"),
)
# Of each the limit, the total and what is left.
_LIMITED = ("vm", "ip", "volume", "snapshot", "backup", "backupstorage", "template", "project", "network", "vpc", "cpu", "memory", "gpu") + (
    "primarystorage",
    "secondarystorage",
    "bucket",
    "objectstorage",
)
_PERSON = ("firstname", "lastname", "email", "timezone")


def begin(server: t.Any) -> None:
    state = server.state
    domain = state.add("domains", name="ROOT", path="ROOT", level=0, haschild=False, state="Active", hasannotations=False, **_limits())
    for name, kind in _ROLES:
        state.add("roles", name=name, type=kind, isdefault=True, ispublic=True, state="enabled")
    for name, role, kind in (("admin", "Root Admin", 1), ("baremetal-system-account", "User", 0)):
        account = _account(state, name, domain, state.rows("roles", name=role)[0], kind)
        _user(state, account, {"username": name, "firstname": name, "lastname": "cloud", "password": "password"}, isdefault=name == "admin")


def _account(state: t.Any, name: str, domain: Row, role: Row, kind: int) -> Row:
    return state.add(
        "accounts",
        name=name,
        accounttype=kind,
        roleid=role["id"],
        roletype=role["type"],
        rolename=role["name"],
        domainid=domain["id"],
        domain=domain["name"],
        domainpath=domain["path"],
        state="enabled",
        isdefault=name == "admin",
        vmrunning=0,
        vmstopped=0,
        **_limits(),
    )


def _limits() -> Row:
    found: Row = {}
    for what in _LIMITED:
        found.update({f"{what}limit": "Unlimited", f"{what}total": 0.0 if what == "secondarystorage" else 0, f"{what}available": "Unlimited"})
    return found


def _user(state: t.Any, account: Row, person: t.Mapping[str, t.Any], isdefault: bool = False) -> Row:
    return state.add(
        "users",
        username=person["username"],
        **{key: person[key] for key in _PERSON if person.get(key)},
        created=now(),
        state="enabled",
        account=account["name"],
        accounttype=account["accounttype"],
        usersource="native",
        roleid=account["roleid"],
        roletype=account["roletype"],
        rolename=account["rolename"],
        domainid=account["domainid"],
        domain=account["domain"],
        accountid=account["id"],
        iscallerchilddomain=False,
        isdefault=isdefault,
        is2faenabled=False,
        is2famandated=False,
        apikeyaccess="INHERIT",
        _password=person["password"],
    )


# -- sessions


def login(server: t.Any, sent: t.Mapping[str, str]) -> Row:
    with server.state.lock:
        users = [row for row in server.state.rows("users", username=sent.get("username")) if row["_password"] == sent.get("password")]
        if not users or sent.get("domain", "/").strip("/") not in ("", "ROOT"):
            raise Refused(531, f"Failed to authenticate user {sent.get('username')} in domain 1; please provide valid credentials", None)
        user = users[0]
        key = secrets.token_urlsafe(20)
        server.sessions[key] = user["id"]
        return {
            "username": user["username"],
            "userid": user["id"],
            "domainid": user["domainid"],
            "timeout": 1800,
            "account": user["account"],
            "firstname": user.get("firstname"),
            "lastname": user.get("lastname"),
            "type": str(user["accounttype"]),
            "timezone": "UTC",
            "timezoneoffset": "0.0",
            "registered": "false",
            "sessionkey": key,
            "is2faenabled": "false",
            "is2faverified": "true",
            "issuerfor2fa": "CloudStack",
            "managementserverid": server.state.rows("management_servers")[0]["id"],
        }


@command("logout", shape="raw")
def logout(call: Call) -> Row:
    for key in [key for key, user in call.server.sessions.items() if user == call.user["id"]]:
        del call.server.sessions[key]
    return {}


# -- keys


@command("getUserKeys", shape="raw")
def get_user_keys(call: Call) -> Row:
    user = call.row("users")
    keys = {"apikey": user["apikey"], "secretkey": user["_secretkey"]} if user.get("apikey") else {}
    return {"userkeys": {**keys, "apikeyaccess": True}}


@command("registerUserKeys", shape="raw")
def register_user_keys(call: Call) -> Row:
    user = call.row("users")
    user.update(apikey=secrets.token_urlsafe(64), _secretkey=secrets.token_urlsafe(64))
    return {"userkeys": {"apikey": user["apikey"], "secretkey": user["_secretkey"]}}


# -- users and accounts


@command("updateUser", "user")
def update_user(call: Call) -> Row:
    user = call.row("users")
    if call.get("password"):
        if call.get("currentpassword") != user["_password"] and call.user["id"] == user["id"]:
            raise Refused(431, "Current password is incorrect.")
        user["_password"] = call["password"]
    user.update(call.given(*_PERSON))
    return user


@command("createAccount", "account")
def create_account(call: Call) -> Row:
    name = call.get("account") or call["username"]
    domain = call.state.get("domains", call.get("domainid")) or call.state.rows("domains")[0]
    if call.state.rows("accounts", name=name, domainid=domain["id"]):
        raise Refused(431, f"The specified account: {name} already exists")
    if call.state.rows("users", username=call["username"], domainid=domain["id"]):
        raise Refused(431, f"The user {call['username']} already exists in domain {domain['name']}")
    role = call.row("roles", "roleid") if call.get("roleid") else call.state.rows("roles", name="User")[0]
    account = _account(call.state, name, domain, role, {"Admin": 1, "ResourceAdmin": 1, "DomainAdmin": 2}.get(role["type"], 0))
    _user(call.state, account, call.params)
    return _with_users(call, account)


@command("createUser", "user")
def create_user(call: Call) -> Row:
    domain = call.state.get("domains", call.get("domainid")) or call.state.rows("domains")[0]
    accounts = call.state.rows("accounts", name=call["account"], domainid=domain["id"])
    if not accounts:
        raise Refused(431, f"Unable to find account {call['account']} in domain id={domain['id']} to create user {call['username']}")
    if call.state.rows("users", username=call["username"], domainid=domain["id"]):
        raise Refused(530, f"The user {call['username']} already exists in domain {domain['name']}")
    return _user(call.state, accounts[0], call.params)


@command("deleteAccount", creates="")
def delete_account(call: Call) -> None:
    account = call.row("accounts")
    for user in call.state.rows("users", accountid=account["id"]):
        call.state.remove("users", user["id"])
    call.state.remove("accounts", account["id"])


def _with_users(call: Call, row: Row) -> Row:
    users = [call.server.api.cut("listUsers", user) for user in call.state.rows("users", accountid=row["id"])]
    return {**row, "user": users, "apikeyaccess": "INHERIT", "accountdetails": {}, "groups": []}


def _short(call: Call, row: Row) -> Row:
    """Without what is counted, where details=min is asked for."""
    if call.get("details") != ["min"]:
        return row
    return {key: value for key, value in row.items() if not key.endswith(("limit", "total", "available"))}


listed("listUsers", "user", "users")
listed("listRoles", "role", "roles")
listed("listDomains", "domain", "domains", show=_short)
listed("listAccounts", "account", "accounts", show=lambda call, row: _with_users(call, _short(call, row)))
