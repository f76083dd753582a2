# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object storage: gateways of Ceph that CloudStack gives its users buckets on, and buckets of its administrator.

CloudStack uses one user of the gateways, who makes others. Where he may not, the server says no more than "Invalid credentials or URL": so it is proven.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import re
import typing as t
import urllib.parse

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import location
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import pairs
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, present
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._http import without_user
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, Risk, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, presence, string

OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=object_store/NAME)."),
    "provider": choice("What it is. Gateways of Ceph need CloudStack 4.20.", ["ceph"], default="ceph"),
    "url": string("The gateway, such as V(http://10.0.0.11:8080), with no path and no slash at its end. Required for a store that is present."),
    "user": string("The user of the gateways as whom CloudStack works, instead of that user's keys."),
    "access_key": string("Its access key.", no_log=True),
    "secret_key": string("Its secret key. CloudStack does not give it back, so it is not compared.", no_log=True),
    "size": integer("How much of it CloudStack may give away, in GiB. Left as it is if not given. Since CloudStack 4.21."),
}
BUCKET_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=bucket/NAME), and an empty bucket."),
    "object_store": string("The object store. Required for a bucket that is present."),
    "quota": integer("How much may be in it, in GiB. Required for a bucket that is present."),
    "versioning": boolean("Whether old versions of objects are kept. Left as it is if not given."),
    "object_locking": boolean("Whether objects can be locked. It is said when the bucket is made, and not later.", default=False),
    "policy": choice("Who may read it. Left as it is if not given.", ["private", "public"]),
}
LISTS = ("object_stores",)
BUCKET_LISTS = ("object_stores", "buckets")

CAPS = {"users": "*", "buckets": "*"}  # CloudStack's user makes others, and removes and limits their buckets
_GIB = 1 << 30
# S3's own rules for names (AWS, "General purpose bucket naming rules"), which CloudStack applies too.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")


def check_keys(here: Place, item: Item) -> None:
    """Keys are given, or the user whose keys they are."""
    user, given = item.get("user"), [bool(item.get(option)) for option in ("access_key", "secret_key")]
    here.refuse(user and any(given), "give user, or access_key and secret_key, not both")
    here.refuse(not user and not all(given), "say whose keys to use (user), or give access_key and secret_key")


def credentials(here: str, item: Item, region: Region, draft: Draft) -> t.Optional[s3.Credentials]:
    """The keys of an item. None where they are not known; that is a problem, unless there is no server yet."""
    users = (draft.declaration.get("ceph") or {}).get("object_users") or {}
    for known in [item] if item.get("access_key") else users.get(item.get("user")) or ():
        return s3.Credentials(known["access_key"], Secret(known["secret_key"]))
    if not region.empty:
        draft.problem(f"{here}: the keys of the user {item.get('user')} were not given (ceph.object_users): is it declared (ceph_rgw_users)?")
    return None


def prove(here: Place, item: Item, given: t.Optional[s3.Credentials], draft: Draft, check: t.Callable[[s3.Credentials, str], str]) -> None:
    """Check what the keys of an item can do, where they are known. check: is given whose they are, too, and returns what is wrong."""
    if given is not None and not s3.READY:  # in a dry run it may not be there yet
        draft.warn(f"{here}: whether the gateway takes its keys is not known before the package python3-boto3 is installed")
    elif given is not None:
        problem = check(given, f"the user {item['user']}" if item.get("user") else "the user of this access_key")
        here.refuse(problem, problem)


def prove_user(url: str, given: s3.Credentials, who: str) -> str:
    """Return why CloudStack could not use this user of the gateway; "" where it can. Only reads."""
    client = s3.Client([url], timeout=15)
    caps: dict[str, str] = {}
    try:
        client.request(given, "GET", "/")  # tells whether the keys are right, without any rights
        try:
            user = client.json(given, "GET", "/admin/user", {"access-key": given.access_key})
            caps = {cap["type"]: cap["perm"] for cap in (user or {}).get("caps", ())}
        except s3.ApiFailed as error:
            if error.status == 404 and error.code not in ("NoSuchUser", "InvalidAccessKeyId"):
                return f"the gateway at {url} has no admin API (rgw_enable_apis must name admin)"
            if error.status not in (401, 403):
                raise
    except s3.ApiFailed as error:
        if error.status == 403:
            return f"the gateway at {url} does not take the keys of {who}: a wrong key, a wrong secret, or a suspended user ({error})"
        return f"the gateway at {url} says: {error}"
    except Unreachable as error:
        return str(error)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{url} does not answer as an object gateway of Ceph does"
    perms = [set(re.findall(r"[*\w]+", str(caps.get(kind)))) for kind in CAPS]
    if all("*" in words or {"read", "write"} <= words for words in perms):
        return ""
    has, wants = ("; ".join(f"{kind}={perm}" for kind, perm in sorted(some.items())) for some in (caps, CAPS))
    return f"{who} lacks admin caps at {url}: it needs {wants}, and has {has or 'none that let it look'} (ceph_rgw_users: caps)"


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    urls: dict[str, str] = {}
    for here, item in present(declared, where, found):
        check_keys(here, item)
        if here.refuse(not item.get("url"), "url is missing: http://HOST:PORT of a gateway, or of what stands before them"):
            continue
        shown, longer = without_user(item["url"]), ""
        try:
            parts = urllib.parse.urlsplit(item["url"])
            longer = parts.path or parts.query or parts.fragment
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.port == 0
        except ValueError:
            wrong = True
        twin = urls.setdefault(location(item["url"]), item["name"])
        here.refuse(wrong, f"url: '{shown}' is not of the form http://HOST:PORT")
        here.refuse(longer and not wrong, f"url: '{shown}' ends with a path or a slash, to which CloudStack would append its own: write http://HOST:PORT")
        here.refuse(twin != item["name"], f"has the url of {twin}: a gateway is registered once")
        here.refuse(item.get("size") is not None and item["size"] < 1, "size: at least 1 (GiB)")
    return found


def settle(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Ask what the server can do, and the gateways that it does not have yet what their users may do."""
    for here, item, row in draft.each("object_stores", declared, region):
        knows = row is not None or region.client.offers("addObjectStoragePool")
        limits = not item.get("size") or region.client.offers("addObjectStoragePool", "size")
        here.refuse(not knows, "this server knows no object stores; they came with CloudStack 4.19, and Ceph's with 4.20")
        here.refuse(not limits, "size: this server does not limit object stores; that came with CloudStack 4.21")
        moved = row is not None and row.get("providername") == "Ceph" and location(row.get("url")) != location(item["url"])
        if moved or (row is None and knows):
            prove(here, item, credentials(here, item, region, draft), draft, functools.partial(prove_user, item["url"]))


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    # What is declared of buckets is planned after the stores, so these ids are told from the declaration.
    gone = [f"bucket/{item['name']}" for item in draft.declaration.get("buckets") or () if item["state"] == "absent"]
    reason = "CloudStack's users cannot make buckets there any more. The server refuses while it has some; what is in the gateways stays"

    def delete(item: Item, row: Row) -> None:
        more: dict[str, t.Any] = {"risk": Risk.LOSS, "reason": reason, "needs": gone}
        draft.ensure("object_store", item["name"], {"url": row.get("url")}, None, lambda: region.client.call("deleteObjectStoragePool", id=row["id"]), **more)

    leaving = {item["name"] for item in declared if item["state"] == "absent"}
    for here, item, row in draft.each("object_stores", declared, region, delete):
        others = [other["name"] for other in region.rows("object_stores") if location(other.get("url")) == location(item["url"])]
        twins = ", ".join(other for other in others if other not in (item["name"], *leaving))
        here.refuse(twins, f"{item['url']} is registered as {twins} already: declare it by that name")
        _plan_store(here, item, row, region, draft, [f"object_store/{other}" for other in others if other in leaving])


def _plan_store(here: Place, item: Item, row: t.Optional[Row], region: Region, draft: Draft, waits: t.Iterable[str]) -> None:
    name, url, size = item["name"], item["url"], {"size": item["size"]} if item.get("size") else {}
    if row is not None:
        here.refuse(row.get("providername") != "Ceph", f"the object store of that name is one of {row.get('providername')}: use another name")
        existing = {"url": row.get("url"), "size": int(row.get("storagetotal") or 0) // _GIB}
        wanted = size if location(row.get("url")) == location(url) else {"url": url, **size}  # the same gateway in other words stays as it is
        draft.ensure("object_store", name, existing, wanted, update=lambda after: region.client.call("updateObjectStoragePool", id=row["id"], **after))
        return
    given = credentials(here, item, region, draft) or s3.Credentials("", Secret(""))

    def create() -> None:
        details = pairs("details", {"accesskey": given.access_key, "secretkey": given.secret_key})
        answer = region.client.call("addObjectStoragePool", name=name, provider="Ceph", url=url, **size, **details)
        region.made("object_stores", name, answer["objectstore"])

    user = {"user": item["user"]} if item.get("user") else {}
    draft.ensure("object_store", name, None, {"url": url, "provider": item["provider"], "secret_key": given.secret_key, **user, **size}, create, needs=waits)


def bucket_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    for here, item in present(declared, where, found):
        here.refuse(not _BUCKET.fullmatch(item["name"]) or ".." in item["name"], "a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens")
        here.refuse(not item.get("object_store"), "object_store is missing")
        here.refuse(not item.get("quota"), "quota is missing: CloudStack wants one, in GiB, at least 1")
        here.refuse((item.get("quota") or 0) < 0, "quota: at least 1 (GiB)")
        here.refuse(item["object_locking"] and item.get("versioning") is False, "object_locking needs versioning")
    return found


def plan_buckets(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Plan buckets of the account that owns the API keys, which is the administrator's."""

    def delete(item: Item, row: Row) -> None:
        before = {"object_store": row.get("objectstore"), "quota": row.get("quota")}
        reason = "all that is in it is lost"
        draft.ensure("bucket", item["name"], before, None, lambda: region.client.call("deleteBucket", id=row["id"]), risk=Risk.LOSS, reason=reason)

    there = {item["name"] for item in draft.declaration.get("object_stores") or () if item["state"] == "present"}
    for here, item, row in draft.each("buckets", declared, region, delete):
        known = item["object_store"] in there or region.find("object_stores", item["object_store"])
        if not here.refuse(not known, f"there is no object store {item['object_store']}, and none is declared"):
            _plan_bucket(here, item, row, region, draft)


def _plan_bucket(here: Place, item: Item, row: t.Optional[Row], region: Region, draft: Draft) -> None:
    name, store, locking = item["name"], item["object_store"], item["object_locking"]
    wanted = {option: item[option] for option in ("quota", "versioning", "policy") if item.get(option) is not None}
    if row is None:

        def create() -> None:
            region.client.job("createBucket", name=name, objectstorageid=region.id("object_stores", store), objectlocking=locking or None, **wanted)

        after = {"object_store": store, **wanted, **({"object_locking": True} if locking else {})}
        draft.ensure("bucket", name, None, after, create, needs=[f"object_store/{store}"])
        return
    here.refuse(row.get("objectstore") != store, f"is on the object store {row.get('objectstore')}, and {store} is declared: a bucket stays where it is")
    here.refuse(bool(row.get("objectlocking")) != locking, "object_locking is said when a bucket is made, and not later")
    here.refuse((row.get("state") or "Created") != "Created", f"is in the state {row.get('state')}: it was never finished: delete it on the server")
    existing = {"quota": row.get("quota"), "versioning": bool(row.get("versioning")), "policy": str(row.get("policy") or "private").lower()}
    draft.ensure("bucket", name, existing, wanted, update=lambda after: region.client.call("updateBucket", id=row["id"], **after))
