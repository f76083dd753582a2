# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of guests' disks: registered by address, downloaded by the hosts themselves (direct download) or to secondary storage.

CloudStack looks at a file when the first guest is made of it, and says nothing of use when that fails. So the form and the checksum are looked at here.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
import urllib.request
from urllib.parse import urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import offerings
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.addresses import location
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import ApiError, mapped
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, present, text
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.hosts import HYPERVISORS
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, Risk, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, mapping, presence, string

OPTIONS: dict[str, t.Any] = {
    "name": string("Its name.", required=True),
    "zone": string("Its zone.", required=True),
    "state": presence("Whether it exists. V(absent) needs O(allow_loss=template/ZONE/NAME). Guests that were made from it keep their disks."),
    "url": string("Where the file is. The hosts, or the secondary storage, download it from there. Required for a template that is present."),
    "format": choice("The format of the disk in it.", ["QCOW2", "RAW", "VHD", "VHDX"], default="QCOW2"),
    "checksum": string("Its checksum, as V(sha256:) and hexadecimal digits. The sum is that of the file as it is downloaded, so of the compressed one."),
    "verify": boolean(
        "Whether the file of a new template is downloaded and compared with O(templates[].checksum) before anything is changed. If the host "
        "that runs the module cannot read it, it warns, and the hosts compare.",
        default=True,
    ),
    "direct_download": boolean(
        "Whether hosts download it themselves, onto primary storage. It needs a host with KVM and no secondary storage. On RBD the file must be "
        "compressed (C(.gz), C(.bz2), C(.zip)).",
        default=True,
    ),
    "hypervisor": choice("For which hypervisor it is.", HYPERVISORS, default="kvm"),
    "os_type": string("The operating system in it, by the name that CloudStack has for it.", default="Other Linux (64-bit)"),
    "display_text": string("What users read. By default the name. Left out, it is left alone."),
    "public": boolean("Whether all users can use it.", default=True),
    "featured": boolean("Whether it is among the first that users see.", default=True),
    "extractable": boolean("Whether users may download it."),
    "password_enabled": boolean("Whether guests of it take a password from CloudStack."),
    "requires_hvm": boolean("Whether it needs hardware virtualisation."),
    "dynamically_scalable": boolean("Whether guests of it can be given more CPU and memory while they run."),
    "details": mapping("Further details, such as C(rootDiskController), by name. Those that are not named are left alone.", default={}),
}
LISTS = ("zones", "hosts", "storage_pools", "templates")

# The lengths of checksums in hexadecimal digits, in CloudStack's spelling.
_SUMS = {32: "MD5", 40: "SHA-1", 56: "SHA-224", 64: "SHA-256", 96: "SHA-384", 128: "SHA-512"}
# What the hosts unpack. On RBD they take nothing else: a plain file fails with "unsupported format", which only their log says.
_COMPRESSED = (".gz", ".bz2", ".zip")
_ACCOUNTS = ("admin", "system")  # whose templates are the administrator's
_PATIENCE = 90  # seconds for a host to come back, without which nobody can look at an address
_CHUNK = 1 << 20
# Options, and what the server calls them: in a list and as a parameter, but for the type of operating system, which is given by its id.
_OS = {"os_type": "ostypename"}
_OWN = {"display_text": "displaytext", "password_enabled": "passwordenabled", "requires_hvm": "requireshvm", "dynamically_scalable": "isdynamicallyscalable"}
_PERMISSIONS = {"public": "ispublic", "featured": "isfeatured", "extractable": "isextractable"}
_FIXED = {"url": "url", "format": "format", "hypervisor": "hypervisor", "direct_download": "directdownload"}
_CHANGED = {**_OS, **_OWN, **_PERMISSIONS}


def checksum(given: str) -> tuple[str, str]:
    """A checksum as its algorithm in CloudStack's spelling and its digits: "sha256:…", "{SHA-256}…" or the digits alone. Raises ValueError."""
    match = re.fullmatch(r"(?:\{([^}]+)\}|([A-Za-z0-9-]+):)?([0-9A-Fa-f]+)", given.strip())
    if not match or len(match[3]) not in _SUMS:
        raise ValueError(f"'{given}' is no checksum, such as sha256: and 64 hexadecimal digits")
    algorithm, named = _SUMS[len(match[3])], match[1] or match[2]
    if named and named.upper().replace("-", "") != algorithm.replace("-", ""):
        raise ValueError(f"'{given}' has as many digits as one of {algorithm}, not of {named}")
    return algorithm, match[3].lower()


def _sum(item: Item) -> dict[str, t.Any]:
    return {"checksum": "{{{}}}{}".format(*checksum(item["checksum"]))} if item.get("checksum") else {}


def problems(declared: t.Sequence[Item], where: str) -> list[str]:
    found: list[str] = []
    for here, item in present(declared, where, found, zoned=True):
        url, direct = item.get("url") or "", item["direct_download"] and item["hypervisor"] != "kvm"
        try:
            scheme, host = urlsplit(url)[:2]
        except ValueError:
            scheme = host = ""
        wrong = url and (scheme not in ("http", "https", "ftp", "nfs", "metalink") or not host)
        here.refuse(not url, "url is missing: say where the file is")
        here.refuse(wrong, f"url: '{url}' is no address that the hosts can download from (http://HOST/FILE)")
        here.refuse(direct, "direct_download: only hosts with KVM download by themselves: say direct_download: false, which needs secondary storage")
        try:
            _sum(item)
        except ValueError as error:
            found.append(f"{here}: checksum: {error}")
    return found


def settle(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Download the files of new templates once and compare. Where one cannot be had from here, the hosts are the ones to see."""
    for here, item, row in draft.each("templates", declared, region, find=lambda item, here: draft.owned("templates", item, _ACCOUNTS, region, here)):
        url = item["url"]
        if row is None and item["zone"] in draft.zone_names(region) and item.get("checksum") and item["verify"] and url.lower().startswith(("http:", "https:")):
            algorithm, wanted = checksum(item["checksum"])
            try:
                found = download_sum(url, algorithm)
                here.refuse(found != wanted, f"checksum: the file at {url} has {algorithm} {found}: correct the checksum, or the file")
            except OSError as error:
                draft.warn(f"{here}: the file could not be compared with its checksum, for {url} cannot be read from here: {error}")


def download_sum(url: str, algorithm: str) -> str:
    """Return the checksum of what an address gives, in hexadecimal digits. Raises OSError."""
    digest = hashlib.new(algorithm.replace("-", "").lower())
    with urllib.request.build_opener().open(url, timeout=15) as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    def delete(item: Item, row: Row) -> None:
        before = {option: row.get(key) for option, key in _FIXED.items()}
        reason, remove = "no guest can be made of it any more; guests that were keep their disks", {"id": row["id"], "zoneid": row.get("zoneid")}
        name = f"{item['zone']}/{item['name']}"
        draft.ensure("template", name, before, None, lambda: region.client.job("deleteTemplate", **remove), risk=Risk.LOSS, reason=reason)

    zones = draft.zone_names(region)
    for here, item, row in draft.each("templates", declared, region, delete, lambda item, here: draft.owned("templates", item, _ACCOUNTS, region, here)):
        if here.refuse(item["zone"] not in zones, f"there is no zone {item['zone']}"):
            continue
        _check_storage(here, item, region, draft)
        if row is not None:
            _plan_existing(here, item, row, region, draft)
            continue
        _check_os(here, item["os_type"], region)
        # A direct download is registered through a host, and a template of a hypervisor that has no host is in no list of the server (seen).
        hypervisor, place = HYPERVISORS[item["hypervisor"]], [zone for zone in draft.declaration.get("zones") or () if zone["name"] == item["zone"]]
        clusters = [cluster for zone in place for pod in zone.get("pods") or () for cluster in pod.get("clusters") or ()]
        coming = any(cluster.get("hosts") and cluster.get("hypervisor") == item["hypervisor"] for cluster in clusters)
        if not coming and not any(row.get("zonename") == item["zone"] and row.get("hypervisor") == hypervisor for row in region.rows("hosts")):
            draft.problem(f"{here}: the zone {item['zone']} has no host with {hypervisor}, and CloudStack registers no template without one: declare a host")
        _create(item, region, draft)


def _check_storage(here: str, item: Item, region: Region, draft: Draft) -> None:
    if not item["direct_download"] or urlsplit(item["url"]).path.lower().endswith(_COMPRESSED):
        return
    pools = {pool["name"]: pool.get("type", "RBD") for zone, _tags, pool in offerings.pools_as_declared(region, draft) if zone == item["zone"]}
    rbd = ", ".join(sorted(name for name, kind in pools.items() if kind == "RBD"))
    others = ", ".join(sorted(name for name, kind in pools.items() if kind != "RBD"))
    if rbd and not others:
        remedy = "and the guest would fail without a reason: compress it (gzip -k FILE) and name the result"
        draft.problem(f"{here}: url: on RBD ({rbd}) hosts take a compressed file only ({', '.join(_COMPRESSED)}), {remedy}")
    elif rbd:
        draft.warn(f"{here}: the file is not compressed: guests of it can be on {others}, and not on RBD ({rbd})")


def _os_types(region: Region) -> dict[str, str]:
    """The ids of what CloudStack knows to be in a template, by name; of two of one name the first."""
    return {str(row.get("name") or row.get("description")): row["id"] for row in reversed(region.rows("os_types"))}


def _check_os(here: Place, name: str, region: Region) -> None:
    known = _os_types(region)
    near = ", ".join([one for one in known if one.lower().startswith(name.partition(" ")[0].lower())][-5:])
    here.refuse(name not in known and not region.empty, f"os_type: CloudStack knows none of the name {name} (there are: {near or 'none like it'} …)")


def _create(item: Item, region: Region, draft: Draft) -> None:
    zone = item["zone"]
    after = {option: item[option] for option in (*_FIXED, *_CHANGED) if item.get(option) is not None}
    after.update(**_sum(item), **({"details": dict(item["details"])} if item["details"] else {}))

    def apply() -> None:
        params = {key: item[option] for option, key in {**_OWN, **_PERMISSIONS}.items() if item.get(option) is not None}
        params.update(ostypeid=_os_types(region)[item["os_type"]], zoneid=region.id("zones", zone), displaytext=item.get("display_text") or item["name"])
        params.update(url=item["url"], format=item["format"], hypervisor=HYPERVISORS[item["hypervisor"]], **_sum(item))
        params.update(directdownload=item["direct_download"] or None, **mapped("details", {key: text(value) for key, value in item["details"].items()}))

        def no_host_yet(error: Exception) -> bool:
            return isinstance(error, ApiError) and "find a host" in error.text

        answer = retry_while(no_host_yet, lambda: region.client.call("registerTemplate", name=item["name"], **params), _PATIENCE, 3)
        region.made("templates", item["name"], answer["template"][0])

    needs = draft.ids("cluster", "host", "primary_storage", "image_store", begin=f"{zone}/") | draft.ids("image_store") | {f"zone/{zone}"}
    draft.ensure("template", f"{zone}/{item['name']}", None, after, apply, needs=needs)


def _plan_existing(here: Place, item: Item, row: Row, region: Region, draft: Draft) -> None:
    existing = {option: row.get(key) for option, key in _FIXED.items()}
    existing.update(format=str(row.get("format") or "").upper(), direct_download=bool(row.get("directdownload")))
    wanted = {**{option: item[option] for option in _FIXED}, "hypervisor": HYPERVISORS[item["hypervisor"]]}
    if location(existing["url"]) == location(wanted["url"]):
        wanted["url"] = existing["url"]
    if item.get("checksum") and row.get("checksum"):
        # The server gives the digits without the algorithm. One of another algorithm, which it has made itself, says nothing of this one.
        now, declared = str(row["checksum"]).rpartition("}")[2].lower(), checksum(item["checksum"])[1]
        if len(now) == len(declared):
            existing["checksum"], wanted["checksum"] = now, declared
    left, right = differing(existing, wanted)
    differs = "; ".join(f"{option} is {left[option]}, and {right[option]} is declared" for option in right)
    remedy = "declare one of another name, or take this one away (state: absent) and declare it again; guests that were made of it keep their disks"
    if here.refuse(differs, f"{differs}. A template's file cannot be changed: {remedy}"):
        return
    known, details = row.get("details") or {}, {key: text(value) for key, value in item["details"].items()}
    before = {**{option: row.get(key) for option, key in _CHANGED.items()}, **{f"details.{key}": known.get(key) for key in details}}
    after = {**{option: item[option] for option in _CHANGED if item.get(option) is not None}, **{f"details.{key}": details[key] for key in details}}
    left, right = differing(before, after)
    if "os_type" in right:
        _check_os(here, item["os_type"], region)

    def apply() -> None:
        own = {_OWN[option]: value for option, value in right.items() if option in _OWN}
        if "os_type" in right:
            own["ostypeid"] = _os_types(region)[item["os_type"]]
        if any(option.startswith("details.") for option in right):  # all of them are replaced
            own.update(mapped("details", {**known, **details}))
        permissions = {_PERMISSIONS[option]: value for option, value in right.items() if option in _PERMISSIONS}
        for command, params in (("updateTemplate", own), ("updateTemplatePermissions", permissions)):
            if params:
                region.client.call(command, id=row["id"], **params)

    draft.ensure("template", f"{item['zone']}/{item['name']}", left, right, apply)
