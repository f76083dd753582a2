# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secondary storage: image stores for templates, ISOs and snapshots, and the staging stores of zones whose image store is not NFS.

A region has stores of NFS, which belong to zones, or of S3, which are the whole region's. The server looks at neither before it takes them, and never
gives back what it was told of S3: a bucket is proven before it is registered, an NFS export from the hosts.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import s3
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import object_storage
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import location
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import pairs
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, present
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Place, Risk, Secret, Unreachable, named
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, presence, record, string

IMAGE_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=image_store/NAME)."),
    "provider": choice(
        "What it is. S3 as secondary storage is not in good order in CloudStack 4.22 (apache/cloudstack 9002 and 10517), needs an NFS staging store "
        "in each zone besides, and its maintainers recommend against it.",
        ["nfs", "s3"],
        default="nfs",
    ),
    "zone": string("Its zone, for V(nfs) only."),
    "url": string("Where it is, such as V(nfs://10.0.0.11/secondary), for V(nfs) only."),
    "s3": record(
        "Where it is, for V(s3) only.",
        {
            "endpoint": string("The gateway, as HOST or HOST:PORT. If it is a name, CloudStack uses the bucket's name as a host in that domain."),
            "bucket": string("The bucket. CloudStack does not make it.", required=True),
            "user": string("The user of the gateways whose keys it uses, instead of the keys themselves."),
            "access_key": string("The access key.", no_log=True),
            "secret_key": string("The secret key.", no_log=True),
            "https": boolean("Whether the gateway speaks TLS.", default=False),
            "signer": choice("The version of S3's signatures.", ["v2", "v4"], default="v4"),
        },
    ),
    "readonly": boolean("Whether nothing new may be stored there. Left as it is if not given."),
}
STAGING_OPTIONS: dict[str, t.Any] = {
    "zone": string("Its zone.", required=True),
    "url": string("Where it is, such as V(nfs://10.0.0.11/staging).", required=True),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=staging_store/ZONE/URL)."),
}
IMAGE_LISTS = ("zones", "image_stores")
STAGING_LISTS = ("zones", "staging_stores")
_PROVIDERS = {"nfs": "NFS", "s3": "S3"}
_SIGNERS = {"v2": "S3SignerType", "v4": "AWSS3V4SignerType"}
_NFS = re.compile(r"nfs://(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.\-]+)(?::\d+)?/[^\s?#]+")
S3_STATE = (
    "image_stores: S3 as secondary storage is not in good order in CloudStack 4.22 (apache/cloudstack 9002 and 10517), and its maintainers recommend against "
    "it. Each zone needs an NFS staging store besides. NFS over CephFS works, and buckets for users need no image store at all (object_stores)"
)


def image_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    exports: dict[tuple[str, str], str] = {}
    providers: dict[str, str] = {}
    for here, item in present(declared, where, found):
        nfs, zone, url, given = item["provider"] == "nfs", item.get("zone"), item.get("url"), item.get("s3")
        providers[item["name"]] = item["provider"]
        twin = exports.setdefault((str(zone), location(url)), item["name"]) if nfs and url else item["name"]
        endpoint = (given.get("endpoint") or "") if given and not nfs else ""
        here.refuse(nfs and not (zone and url), "an NFS store belongs to a zone and has a url: give both")
        here.refuse(nfs and given, "s3 is for the provider s3 only")
        here.refuse(nfs and url and not _NFS.fullmatch(url), f"url: '{url}' is not of the form nfs://HOST/PATH")
        here.refuse(twin != item["name"], f"has the url of {twin}, in the same zone")
        here.refuse(not nfs and zone, "an S3 store is the whole region's, and the server refuses one with a zone: leave zone out")
        here.refuse(not nfs and url, "an S3 store has no url: s3.endpoint and s3.bucket say where it is")
        here.refuse(not nfs and not given, "s3 is missing: say endpoint, bucket and keys")
        here.refuse(not nfs and given and not endpoint, "s3.endpoint is missing: say HOST or HOST:PORT of the gateway")
        here.refuse("/" in endpoint, "s3.endpoint: write HOST or HOST:PORT, without http:// and path (s3.https says which)")
        if given and not nfs:
            object_storage.check_keys(Place(f"{here}: s3", found.append), given)
    if len(set(providers.values())) > 1:
        told = "; ".join(f"{name}: {provider}" for name, provider in providers.items())
        found.append(f"{where}: a region has image stores of NFS or of S3, not both ({told}): keep those of one provider")
    return found


def settle(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Prove the buckets that are to be registered."""
    for here, item, row in draft.each("image_stores", declared, region):
        if row is None and item["provider"] == "s3":
            given = item["s3"]
            check = functools.partial(prove_bucket, f"http{'s' if given['https'] else ''}://{given['endpoint']}", given["bucket"])
            object_storage.prove(here, given, object_storage.credentials(f"{here}: s3", given, region, draft), draft, check)


def prove_bucket(endpoint: str, bucket: str, credentials: s3.Credentials, who: str) -> str:
    """Return what is wrong with a bucket that an image store is to use; "" where its keys can list it. Only reads."""
    try:
        s3.Client([endpoint], timeout=15).request(credentials, "GET", f"/{bucket}", {"max-keys": "1"})
    except s3.ApiFailed as error:
        if error.code == "NoSuchBucket":
            return f"s3.bucket: there is no bucket {bucket} at {endpoint}, and CloudStack does not make it: declare it (ceph_rgw_buckets)"
        return f"s3: the bucket {bucket} at {endpoint} cannot be used by {who}: {error}"
    except (Invalid, Unreachable) as error:
        return f"s3.endpoint: {error}"
    return ""


def plan_images(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    def delete(item: Item, row: Row) -> None:
        before = {key: row[key] for key in ("url", "zonename", "providername") if row.get(key)}
        reason = "templates, ISOs and backups of snapshots on it are not found any more; files stay. The server refuses while some are known to be on it"
        draft.ensure("image_store", item["name"], before, None, lambda: region.client.call("deleteImageStore", id=row["id"]), risk=Risk.LOSS, reason=reason)

    leaving = {row["name"] for item in declared if item["state"] == "absent" for row in region.all("image_stores", item["name"])}
    waits = frozenset(f"image_store/{name}" for name in leaving)
    staged = {item["zone"] for item in draft.declaration.get("staging_stores") or () if item["state"] == "present"}
    unstaged = [zone["name"] for zone in draft.declaration.get("zones") or () if zone["name"] not in staged]
    for here, item, row in draft.each("image_stores", declared, region, delete):
        if item["provider"] == "s3":
            if row is None:  # said before it is chosen, not in every run afterwards
                draft.warn(draft.prefix + S3_STATE)
            for zone in unstaged:
                draft.warn(f"{here}: the zone {zone} has no staging store declared (staging_stores): templates cannot get from S3 to its hosts")
        else:
            draft.has_zone(here, item["zone"], region)
        provider, place = _PROVIDERS[item["provider"]], (item.get("zone"), location(item.get("url")))
        others = [other for other in region.rows("image_stores") if other["name"] not in (item["name"], *leaving)]
        strange = ", ".join(sorted({f"{other['name']} ({other.get('providername')})" for other in others if other.get("providername") != provider}))
        twins = ", ".join(other["name"] for other in others if provider == "NFS" and (other.get("zonename"), location(other.get("url"))) == place)
        here.refuse(strange, f"the region has image stores of another provider, {strange}, and takes none of {provider} beside them")
        here.refuse(twins, f"{item['url']} is registered as {twins} already: declare it by that name")
        _plan_image(here, item, row, region, draft, waits)


def _plan_image(here: Place, item: Item, row: t.Optional[Row], region: Region, draft: Draft, waits: t.AbstractSet[str]) -> None:
    name, provider, zone, url, given = (item[option] for option in ("name", "provider", "zone", "url", "s3"))
    nfs, readonly = provider == "nfs", {} if item.get("readonly") is None else {"readonly": item["readonly"]}
    if row is not None:
        instead = "CloudStack cannot change that: register it under another name, and declare this one absent when nothing is on it"
        known = row.get("providername")
        here.refuse(known != _PROVIDERS[provider], f"is a store of {known}, and {provider} is declared. {instead}")
        here.refuse(nfs and known == "NFS" and row.get("zonename") != zone, f"belongs to the zone {row.get('zonename')}, and {zone} is declared. {instead}")
        here.refuse(
            nfs and known == "NFS" and location(row.get("url")) != location(url), f"is registered with {row.get('url')}, and {url} is declared. {instead}"
        )
        now = {"readonly": bool(row.get("readonly"))}
        draft.ensure("image_store", name, now, readonly, update=lambda after: region.client.call("updateImageStore", id=row["id"], **after))
        return
    after: dict[str, t.Any] = {"provider": provider, **({"zone": zone, "url": url} if nfs else {}), **readonly}
    parameters: dict[str, t.Any] = {"name": name, "provider": _PROVIDERS[provider], **({"url": url} if nfs else {})}
    needs = set(waits)
    if nfs:
        # The server puts its template of system virtual machines into a store at the moment that it is added, for the clusters that the zone
        # has by then; where it has none, it puts nothing there and says nothing.
        needs |= {f"zone/{zone}"} | draft.ids("cluster", "host", begin=f"{zone}/")
    else:
        keys = object_storage.credentials(f"{here}: s3", given, region, draft) or s3.Credentials("", Secret(""))
        place, https = {"bucket": given["bucket"], "endpoint": given["endpoint"]}, given["https"]
        after.update(**place, https=https, secret_key=keys.secret_key, **({"user": given["user"]} if given.get("user") else {}))
        secrets = {"accesskey": keys.access_key, "secretkey": keys.secret_key}
        parameters.update(pairs("details", {**secrets, **place, "usehttps": https, "s3signer": _SIGNERS[given["signer"]]}))

    def create() -> None:
        where = {"zoneid": region.id("zones", zone)} if nfs else {}
        made = region.made("image_stores", name, region.client.call("addImageStore", **parameters, **where)["imagestore"])
        if item.get("readonly"):
            region.client.call("updateImageStore", id=made["id"], readonly=True)

    draft.ensure("image_store", name, None, after, create, needs=needs)


def staging_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    known = [(item["zone"], location(item["url"])) for item in declared]
    for number, item in enumerate(declared):
        here = Place(named(where, number, item, "zone"), found.append)
        here.refuse(not _NFS.fullmatch(item["url"]), f"url: '{item['url']}' is not of the form nfs://HOST/PATH")
        here.refuse(known[number] in known[:number], "is declared twice: keep one of them")
    return found


def plan_staging(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Plan the staging stores. They have no name of their own: zone and url are what they are known by."""
    for number, item in enumerate(declared):
        zone, url = item["zone"], item["url"]
        name = f"{zone}/{location(url)}"
        rows = [row for row in region.rows("staging_stores") if row.get("zonename") == zone and location(row.get("url")) == location(url)]
        apply = functools.partial(_set_staging, region, zone, url, rows)
        if item["state"] == "present":
            draft.has_zone(named(f"{draft.prefix}staging_stores", number, item, "zone"), zone, region)
            if not rows:
                draft.ensure("staging_store", name, None, {"zone": zone, "url": url}, apply, needs=[f"zone/{zone}"])
        elif rows:
            before, reason = {"zone": zone, "url": rows[0].get("url")}, "a zone with an S3 image store cannot use it without one"
            draft.ensure("staging_store", name, before, None, apply, risk=Risk.LOSS, reason=reason)


def _set_staging(region: Region, zone: str, url: str, rows: t.Sequence[Row]) -> None:
    """Delete those that there are, or make one."""
    for row in rows:
        region.client.call("deleteSecondaryStagingStore", id=row["id"])
    if not rows:
        region.client.call("createSecondaryStagingStore", url=url, zoneid=region.id("zones", zone), provider="NFS", scope="zone")
