# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users, each in an account, with API keys.

A user that is there keeps its password and its keys. What a user owns goes with its account, so nothing is taken away here.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Lane, Secret, named
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, string

OPTIONS: dict[str, t.Any] = {
    "name": string("The name with which it logs in.", required=True),
    "account": string("The account, made with its first user. By default of the user's name."),
    "domain": string("The path of the domain, such as V(ROOT/customers).", default="ROOT"),
    "role": string("The role of the account.", default="User"),
    "password": string("The password of a new user. It is not changed later.", no_log=True),
    "email": string("The address of the user. By default one on localhost."),
    "first_name": string("The first name. By default the user's name."),
    "last_name": string("The last name. By default the user's name."),
    "keys": boolean("Whether it has API keys; they are made if it has none.", default=True, no_log=False),
}
LISTS = ("users", "accounts", "domains")

# The first user of an account makes it.
_LANE = Lane("accounts")
_FIELDS = {"email": "email", "first_name": "firstname", "last_name": "lastname"}


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    roles: dict[tuple[str, str], str] = {}
    for number, item in enumerate(declared):
        here, domain = named(where, number, item), _plain(item["domain"])
        if (domain, _plain(item["name"])) in seen:
            found.append(f"{here}: is declared twice in the domain {item['domain']}: keep one of them")
        seen.add((domain, _plain(item["name"])))
        role = roles.setdefault((domain, _plain(_account(item))), item["role"])
        if role != item["role"]:
            found.append(f"{here}: role: an account has one role, and {_account(item)} is declared with {role} too")
    return found


def _plain(name: t.Any) -> str:
    """A name as the server's database compares it, regardless of case; a domain's path also without slashes at its ends."""
    return str(name or "").strip().strip("/").casefold()


def _account(item: Item) -> str:
    return str(item.get("account") or item["name"])


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    domains = {_plain(row["path"]): row["id"] for row in region.rows("domains")}
    for number, item in enumerate(declared):
        here = named(f"{draft.prefix}users", number, item)
        domain = domains.get(_plain(item["domain"]))
        if domain is None and not region.empty:
            draft.problem(f"{here}: there is no domain {item['domain']} (there are: {', '.join(sorted(row['path'] for row in region.rows('domains')))})")
            continue
        row = _find(region.rows("users"), "username", item["name"], domain)
        account = _find(region.rows("accounts"), "name", _account(item), domain)
        if account is not None and account.get("rolename") != item["role"]:
            differs = f"the account {_account(item)} has {account.get('rolename')}, and {item['role']} is declared"
            draft.problem(f"{here}: role: {differs}: declare it so, or take another account")
        if row is None:
            _plan_new(here, item, domain, region, draft)
        elif _plain(row.get("account")) != _plain(_account(item)):
            draft.problem(f"{here}: account: the user belongs to {row.get('account')}, and {_account(item)} is declared: declare it so")
        else:
            _plan_existing(item, row, region, draft)


def _find(rows: t.Sequence[Row], key: str, name: str, domain: t.Optional[str]) -> t.Optional[Row]:
    return next((row for row in rows if _plain(row[key]) == _plain(name) and row.get("domainid") == domain), None)


def _plan_new(here: str, item: Item, domain: t.Optional[str], region: Region, draft: Draft) -> None:
    if not item.get("password"):
        draft.problem(f"{here}: password is missing: a new user needs one")
        return
    roles = sorted(row["name"] for row in region.rows("roles")) if region.client is not None else [item["role"]]
    if item["role"] not in roles:
        draft.problem(f"{here}: role: there is no role {item['role']} (there are: {', '.join(roles)})")
        return
    name, account, password = item["name"], _account(item), Secret(item["password"])
    given = {option: item[option] for option in _FIELDS if item.get(option)}

    def apply() -> None:
        person = {_FIELDS[option]: value for option, value in {"email": f"{name}@localhost", "first_name": name, "last_name": name, **given}.items()}
        person.update(username=name, account=account, domainid=domain, password=password)
        accounts = region.client.rows("listAccounts", name=account, domainid=domain, details="min", listall=True)
        if any(_plain(row["name"]) == _plain(account) for row in accounts):
            user = region.client.call("createUser", **person)["user"]
        else:
            made = region.client.call("createAccount", roleid=region.id("roles", item["role"]), **person)["account"]
            user = next(one for one in made["user"] if one["username"] == name)
        if item["keys"]:
            region.client.call("registerUserKeys", id=user["id"])

    after = {"account": account, "role": item["role"], "password": password, "keys": item["keys"], **given}
    draft.ensure("user", f"{item['domain']}/{name}", None, after, apply, lane=_LANE)


def _plan_existing(item: Item, row: Row, region: Region, draft: Draft) -> None:
    before = {**{option: row.get(key) for option, key in _FIELDS.items()}, "keys": bool(row.get("apikey"))}
    after = {option: item[option] for option in (*_FIELDS, "keys") if item.get(option)}

    def update(right: Item) -> None:
        person = {_FIELDS[option]: value for option, value in right.items() if option in _FIELDS}
        if person:
            region.client.call("updateUser", id=row["id"], **person)
        # Keys that somebody made meanwhile are not made again: that would take theirs away.
        if "keys" in right and not region.client.call("getUserKeys", id=row["id"])["userkeys"].get("apikey"):
            region.client.call("registerUserKeys", id=row["id"])

    draft.ensure("user", f"{item['domain']}/{item['name']}", before, after, update=update)
