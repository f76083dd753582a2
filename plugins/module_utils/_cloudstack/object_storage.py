# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object storage: gateways of Ceph that CloudStack gives its users buckets on, and buckets of its administrator.

CloudStack uses one user of the gateways, who may make others. If that one may not, all that the server says is "Invalid credentials or
URL"; so its rights are read here before the store is registered, with its own keys.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import location
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import pairs
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, presence, string

OPTIONS: t.Dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(arm=object_store/NAME)."),
    "provider": choice("What it is. Gateways of Ceph need CloudStack 4.20.", ["ceph"], default="ceph"),
    "url": string("The gateway, such as V(http://10.0.0.11:8080), with no path and no slash at its end. Required for a store that is present."),
    "user": string("The user of the gateways as whom CloudStack works, instead of its keys."),
    "access_key": string("Its access key.", no_log=True),
    "secret_key": string("Its secret key. CloudStack does not give it back, so it is not compared.", no_log=True),
    "size": integer("How much of it CloudStack may give away, in GiB. Left alone where it is not given. Since CloudStack 4.21."),
}
BUCKET_OPTIONS: t.Dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it is there. V(absent) needs O(arm=bucket/NAME), and a bucket with nothing in it."),
    "object_store": string("The object store. Required for a bucket that is present."),
    "quota": integer("How much may be in it, in GiB. Required for a bucket that is present."),
    "versioning": boolean("Whether old versions of objects are kept. Left alone where it is not given."),
    "object_locking": boolean("Whether objects can be locked. It is said when the bucket is made, and not later.", default=False),
    "policy": choice("Who may read it. Left alone where it is not given.", ["private", "public"]),
}
LISTS = ("object_stores",)
BUCKET_LISTS = ("object_stores", "buckets")

# What CloudStack's user of the gateways must be allowed: it makes users, and removes and limits their buckets.
CAPS = {"users": "*", "buckets": "*"}
_GIB = 1 << 30
# S3's own rules for names (AWS, "General purpose bucket naming rules"), which CloudStack applies too.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")


# -- keys


def keys_problems(here: str, item: t.Mapping[str, t.Any]) -> t.List[str]:
    """Keys are given, or the user whose keys they are."""
    given = [bool(item.get(option)) for option in ("access_key", "secret_key")]
    if item.get("user") and any(given):
        return [f"{here}: give user, or access_key and secret_key, not both"]
    if not item.get("user") and not all(given):
        return [f"{here}: say whose keys to use (user), or give access_key and secret_key"]
    return []


def credentials(here: str, item: t.Mapping[str, t.Any], region: Region, draft: Draft) -> t.Optional[s3.Credentials]:
    """The keys of an item. None where they are not known; that is a problem, unless there is no server yet."""
    if item.get("access_key") and item.get("secret_key"):
        return s3.Credentials(item["access_key"], Secret(item["secret_key"]))
    known = ((draft.declaration.get("ceph") or {}).get("object_users") or {}).get(item.get("user"))
    if known:
        return s3.Credentials(known[0]["access_key"], Secret(known[0]["secret_key"]))
    if not region.empty:
        draft.problem(f"{here}: the keys of the user {item.get('user')} were not given (ceph.object_users): is it declared (ceph_rgw_users)?")
    return None


def owner(item: t.Mapping[str, t.Any]) -> str:
    """Whose keys an item has, as a person reads it."""
    return f"the user {item['user']}" if item.get("user") else "the user of this access_key"


def prove_user(url: str, given: s3.Credentials, who: str) -> str:
    """Return why CloudStack could not use this user of the gateway; "" where it can. Only reads. who: of owner()."""
    client = s3.Client([url], timeout=15)
    try:
        # The first tells whether the keys are right, without any rights.
        client.request(given, "GET", "/")
        try:
            user = client.json(given, "GET", "/admin/user", {"access-key": given.access_key})
            caps = {cap["type"]: cap["perm"] for cap in (user or {}).get("caps", ())}
        except s3.ApiFailed as error:
            if error.status == 404 and error.code not in ("NoSuchUser", "InvalidAccessKeyId"):
                return f"the gateway at {url} has no admin API (rgw_enable_apis must name admin)"
            if error.status not in (401, 403):
                raise
            caps = {}
    except s3.ApiFailed as error:
        if error.status == 403:
            return f"the gateway at {url} does not take the keys of {who}: a wrong key, a wrong secret, or a suspended user ({error})"
        return f"the gateway at {url} says: {error}"
    except Unreachable as error:
        return str(error)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{url} does not answer as an object gateway of Ceph does"
    missing = sorted(kind for kind in CAPS if _perm(caps.get(kind, "")) != "*")
    if missing:
        has = "; ".join(f"{kind}={perm}" for kind, perm in sorted(caps.items())) or "none that let it look"
        want = "; ".join(f"{kind}={perm}" for kind, perm in sorted(CAPS.items()))
        return f"{who} lacks admin caps at {url}: it needs {want}, and has {has} (ceph_rgw_users: caps)"
    return ""


def _perm(text: str) -> str:
    """A permission in one form: "read, write" is "*"."""
    words = {word.strip() for word in str(text).split(",")}
    return "*" if "*" in words or {"read", "write"} <= words else ", ".join(sorted(words))


def _declared_present(declared: t.Sequence[t.Mapping[str, t.Any]], where: str, found: t.List[str]) -> t.Iterator[t.Tuple[str, t.Mapping[str, t.Any]]]:
    """What is to be there, each with how it is named in messages. Notes what is declared twice."""
    names: t.Set[str] = set()
    for number, item in enumerate(declared):
        here = f"{where}[{number}] ({item['name']})"
        if item["name"] in names:
            found.append(f"{here}: is declared twice: keep one of them")
        names.add(item["name"])
        if item["state"] != "absent":
            yield here, item


# -- object stores


def problems(declared: t.Sequence[t.Mapping[str, t.Any]], where: str) -> t.List[str]:
    """What is wrong with the declaration alone."""
    found: t.List[str] = []
    urls: t.Dict[str, str] = {}
    for here, item in _declared_present(declared, where, found):
        found += keys_problems(here, item)
        if not item.get("url"):
            found.append(f"{here}: url is missing: http://HOST:PORT of a gateway, or of what stands before them")
            continue
        parts = urllib.parse.urlsplit(item["url"])
        try:
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.port == 0
        except ValueError:
            wrong = True
        if wrong:
            found.append(f"{here}: url: '{_shown(item['url'])}' is not of the form http://HOST:PORT")
        elif parts.path or parts.query or parts.fragment:
            found.append(f"{here}: url: '{_shown(item['url'])}' ends with a path or a slash, to which CloudStack would append its own: write http://HOST:PORT")
        twin = urls.setdefault(location(item["url"]), item["name"])
        if twin != item["name"]:
            found.append(f"{here}: has the url of {twin}: a gateway is registered once")
        if item.get("size") is not None and item["size"] < 1:
            found.append(f"{here}: size: at least 1 (GiB)")
    return found


def plan(declared: t.Sequence[t.Mapping[str, t.Any]], region: Region, draft: Draft) -> None:
    """Plan the object stores."""
    leaving = {item["name"] for item in declared if item["state"] == "absent"}
    for number, item in enumerate(declared):
        here = f"{draft.prefix}object_stores[{number}] ({item['name']})"
        row = region.find("object_stores", item["name"])
        if item["state"] == "absent":
            if row is not None:
                _delete(row, region, draft)
            continue
        waits = set()
        for other in region.rows("object_stores"):
            if other["name"] != item["name"] and location(other.get("url")) == location(item["url"]):
                if other["name"] in leaving:
                    waits.add(f"object_store/{other['name']}")
                else:
                    draft.problem(f"{here}: {item['url']} is registered as {other['name']} already: declare it by that name")
        if item.get("size") and region.client is not None and not region.client.offers("addObjectStoragePool", "size"):
            draft.problem(f"{here}: size: this server does not limit object stores; that came with CloudStack 4.21")
        if row is None:
            _create(here, item, region, draft, waits)
        else:
            _update(here, item, row, region, draft)


def _proven(here: str, item: t.Mapping[str, t.Any], region: Region, draft: Draft) -> t.Optional[s3.Credentials]:
    """The keys of an item, proven at its gateway where there is a server already."""
    given = credentials(here, item, region, draft)
    if given is not None and provable(here, region, draft):
        problem = prove_user(item["url"], given, owner(item))
        if problem:
            draft.problem(f"{here}: {problem}")
    return given


def provable(here: str, region: Region, draft: Draft) -> bool:
    """Whether a gateway can be asked: where there is a server already, and, as in a dry run it may not be yet, boto3."""
    if region.client is None:
        return False
    if not s3.READY:
        draft.warn(f"{here}: whether the gateway takes its keys is not known before the package python3-boto3 is installed")
    return s3.READY


def _create(here: str, item: t.Mapping[str, t.Any], region: Region, draft: Draft, waits: t.Iterable[str]) -> None:
    if region.client is not None and not region.client.offers("addObjectStoragePool"):
        draft.problem(f"{here}: this server knows no object stores; they came with CloudStack 4.19, and Ceph's with 4.20")
        return
    given = _proven(here, item, region, draft)
    after: t.Dict[str, t.Any] = {"url": item["url"], "provider": item["provider"], "secret_key": given.secret_key if given else Secret("")}
    after.update({option: item[option] for option in ("user", "size") if item.get(option)})

    def apply() -> None:
        if given is None:
            raise AssertionError("a plan against no server is never applied")
        details = pairs("details", {"accesskey": given.access_key, "secretkey": given.secret_key})
        answer = region.client.call("addObjectStoragePool", name=item["name"], provider="Ceph", url=item["url"], size=item.get("size"), **details)
        region.made("object_stores", item["name"], answer["objectstore"])

    draft.ensure("object_store", item["name"], None, after, apply, needs=waits)


def _update(here: str, item: t.Mapping[str, t.Any], row: Row, region: Region, draft: Draft) -> None:
    if row.get("providername") != "Ceph":
        draft.problem(f"{here}: the object store of that name is one of {row.get('providername')}: use another name")
        return
    living, wanted = {"url": row.get("url"), "size": int(row.get("storagetotal") or 0) // _GIB}, {}
    if location(row.get("url")) != location(item["url"]):  # the same gateway in other words stays as it is
        wanted["url"] = item["url"]
        _proven(here, item, region, draft)
    if item.get("size"):
        wanted["size"] = item["size"]
    draft.ensure("object_store", item["name"], living, wanted, update=lambda after: region.client.call("updateObjectStoragePool", id=row["id"], **after))


def _delete(row: Row, region: Region, draft: Draft) -> None:
    # What is declared of buckets is planned after the stores, so these ids are told from the declaration.
    gone = (item for item in draft.declaration.get("buckets") or () if item["state"] == "absent")
    draft.ensure(
        "object_store",
        row["name"],
        {"url": row.get("url")},
        None,
        lambda: region.client.call("deleteObjectStoragePool", id=row["id"]),
        risk=Risk.LOSS,
        reason="CloudStack's users cannot make buckets there any more. The server refuses while it has some; what is in the gateways stays",
        needs=(f"bucket/{item['name']}" for item in gone),
    )


# -- buckets


def bucket_problems(declared: t.Sequence[t.Mapping[str, t.Any]], where: str) -> t.List[str]:
    """What is wrong with the declaration alone."""
    found: t.List[str] = []
    for here, item in _declared_present(declared, where, found):
        if not _BUCKET.fullmatch(item["name"]) or ".." in item["name"]:
            found.append(f"{here}: a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens")
        if not item.get("object_store"):
            found.append(f"{here}: object_store is missing")
        if not item.get("quota"):
            found.append(f"{here}: quota is missing: CloudStack wants one, in GiB, at least 1")
        elif item["quota"] < 1:
            found.append(f"{here}: quota: at least 1 (GiB)")
        if item["object_locking"] and item.get("versioning") is False:
            found.append(f"{here}: object_locking needs versioning")
    return found


def plan_buckets(declared: t.Sequence[t.Mapping[str, t.Any]], region: Region, draft: Draft) -> None:
    """Plan buckets of the account that owns the API keys, which is the administrator's."""
    there = {item["name"] for item in draft.declaration.get("object_stores") or () if item["state"] == "present"}
    for number, item in enumerate(declared):
        here = f"{draft.prefix}buckets[{number}] ({item['name']})"
        row = region.find("buckets", item["name"])
        if item["state"] == "absent":
            if row is not None:
                _delete_bucket(row, region, draft)
        elif item["object_store"] not in there and (region.empty or region.find("object_stores", item["object_store"]) is None):
            draft.problem(f"{here}: there is no object store {item['object_store']}, and none is declared")
        else:
            _ensure_bucket(here, item, row, region, draft)


def _ensure_bucket(here: str, item: t.Mapping[str, t.Any], row: t.Optional[Row], region: Region, draft: Draft) -> None:
    wanted = {option: item[option] for option in ("quota", "versioning", "policy") if item.get(option) is not None}
    living = None
    after = {"object_store": item["object_store"], **wanted, **({"object_locking": True} if item["object_locking"] else {})}
    if row is not None:
        if row.get("objectstore") != item["object_store"]:
            draft.problem(f"{here}: is on the object store {row.get('objectstore')}, and {item['object_store']} is declared: a bucket stays where it is")
        if bool(row.get("objectlocking")) != item["object_locking"]:
            draft.problem(f"{here}: object_locking is said when a bucket is made, and not later")
        if row.get("state") not in (None, "Created"):
            draft.problem(f"{here}: is in the state {row.get('state')}: it was not made to its end. Delete it on the server, then run again")
            return
        living = {"quota": row.get("quota"), "versioning": bool(row.get("versioning")), "policy": str(row.get("policy") or "private").lower()}
        after = wanted

    def create() -> None:
        parameters = {**wanted, "objectlocking": item["object_locking"] or None}
        region.client.job("createBucket", name=item["name"], objectstorageid=region.id("object_stores", item["object_store"]), **parameters)

    def update(differs: t.Mapping[str, t.Any]) -> None:
        region.client.call("updateBucket", id=t.cast(Row, row)["id"], **differs)

    draft.ensure("bucket", item["name"], living, after, create, update, needs=[f"object_store/{item['object_store']}"] if row is None else ())


def _delete_bucket(row: Row, region: Region, draft: Draft) -> None:
    before = {"object_store": row.get("objectstore"), "quota": row.get("quota")}
    reason = "all that is in it is lost"
    draft.ensure("bucket", row["name"], before, None, lambda: region.client.call("deleteBucket", id=row["id"]), risk=Risk.LOSS, reason=reason)


def _shown(url: str) -> str:
    """A URL as it may be shown: without what stands before an @."""
    return re.sub(r"//[^/@]*@", "//…@", url)
