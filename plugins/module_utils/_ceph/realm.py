# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The realm of the object storage, and of it one zonegroup, one zone, and the period that makes true what is staged. All by radosgw-admin.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import cost
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.radosgw_admin import RadosgwAdmin, is_true
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Draft, Risk, Secret, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, record, string, strings

KEY: dict[str, t.Any] = {"access_key": string("The access key.", required=True, no_log=False), "secret_key": string("The secret.", required=True, no_log=True)}
OPTIONS: dict[str, t.Any] = {
    "realm": string("The name of the realm.", required=True),
    "zonegroup": string("The name of the zonegroup.", required=True),
    "zone": string("The name of the zone. Its pools begin with it.", required=True),
    "endpoints": strings(
        "The addresses that other zones use, and those of the zonegroup if this zone is its master. By default those of all gateways.\n"
        "With an empty list the existing ones stay."
    ),
    "hostnames": strings("The names under which buckets are found as V(BUCKET.NAME). They are the zonegroup's; its master zone changes them."),
    "master": boolean(
        "Whether the zone is the master of its zonegroup. By default the first zone is, and then it stays as it is.\n"
        "V(true) for another zone needs V(zonegroup/ZONEGROUP), V(zone/ZONE) and V(period/REALM) in O(allow_loss), as far as the refusal names them. "
        "Whatever the former master has not handed over yet is lost.\n"
        "With V(false) nothing is made if the realm has no master yet, so that a realm that was not pulled is not made a second time."
    ),
    # The secret within is hidden
    "system_key": record(
        "The key of a user of the realm with C(system), by which zones ask each other. A zone needs one that is not in the cluster of the realm's "
        "master zone. It is kept in the zone. Left as it is by default.",
        KEY,
        no_log=False,
    ),
}


class Site(t.NamedTuple):
    """The declared realm, with one zonegroup and one zone of it. What is None is left as it is."""

    realm: str
    zonegroup: str
    zone: str
    endpoints: t.Tuple[str, ...] = ()
    hostnames: t.Optional[t.Tuple[str, ...]] = None
    master: t.Optional[bool] = None  # whether the zone shall be its zonegroup's master; the first zone of a zonegroup is
    system_key: t.Optional[t.Mapping[str, t.Any]] = None  # the access key and the secret with which zones of the realm ask each other

    @property
    def arguments(self) -> list[str]:
        """What names it to radosgw-admin: the realm, the zonegroup, the zone."""
        return [f"--rgw-realm={self.realm}", f"--rgw-zonegroup={self.zonegroup}", f"--rgw-zone={self.zone}"]


@dataclasses.dataclass
class Observed:
    """What is. realms, zonegroups, zones: name -> as radosgw-admin tells it; others than the declared ones only by name (None)."""

    realms: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    # The declared one has master (the name of its master zone, if any), leads (whether it is the realm's master) and members (the names of all its zones).
    zonegroups: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    zones: t.Dict[str, t.Any] = dataclasses.field(default_factory=dict)
    period: t.Optional[t.Dict[str, t.Any]] = None  # the declared zonegroup as the realm's current period has it
    lead_zonegroup: t.Optional[str] = None  # the realm's master in that period, if any
    lead_zone: t.Optional[str] = None  # the master of that one, which has the say over users and buckets
    default_realm: bool = True  # whether the declared realm is the cluster's default
    another_default: t.Optional[str] = None  # the name of the realm that is it instead

    def led_elsewhere(self, site: t.Optional[Site]) -> bool:
        """Whether another zone than the declared one has the say over users and buckets."""
        return site is not None and self.lead_zone not in (None, site.zone)


def parse(given: t.Mapping[str, t.Any], endpoints: t.Iterable[str]) -> Site:
    """Return the declared site. endpoints: of the gateways, where the site has none of its own."""
    hostnames, own, key = given.get("hostnames"), given.get("endpoints"), given.get("system_key")
    return Site(
        **{kind: given[kind] for kind in ("realm", "zonegroup", "zone")},
        endpoints=tuple(endpoints if own is None else own),
        hostnames=None if hostnames is None else tuple(sorted(hostnames)),
        master=given.get("master"),
        system_key={**key, "secret_key": Secret(key["secret_key"])} if key else None,
    )


def observe(observed: Observed, site: t.Optional[Site], cli: RadosgwAdmin) -> None:
    def get(kind: str, *names: str) -> t.Any:
        return cli(kind, "get", *names, place=False)

    with ThreadPoolExecutor(max_workers=4) as pool:
        realms, groups, zones = pool.map(lambda kind: cli(kind, "list", place=False), ("realm", "zonegroup", "zone"))
        observed.realms, observed.zonegroups = dict.fromkeys(realms["realms"]), dict.fromkeys(groups["zonegroups"])
        observed.zones = dict.fromkeys(zones["zones"])
        if site is None:
            return
        in_realm, in_group, in_zone = site.arguments
        named = [in_realm] if site.realm in observed.realms else []
        asked = {
            **({"realm": named, "period": named} if named else {}),
            **({"zonegroup": [*named, in_group]} if site.zonegroup in observed.zonegroups else {}),
            **({"zone": [*named, in_zone]} if site.zone in observed.zones else {}),
        }
        found = dict(zip(asked, pool.map(lambda kind: get(kind, *asked[kind]), asked)))
    group, zone, period = (found.get(kind) or {} for kind in ("zonegroup", "zone", "period"))
    default = realms["default_info"]
    observed.default_realm = default == (found.get("realm") or {}).get("id")
    if "realm" in found:
        observed.realms[site.realm] = found["realm"]
    if default and not observed.default_realm:  # which is told by its id
        others = (get("realm", f"--rgw-realm={name}") for name in realms["realms"])
        observed.another_default = str(next((one["name"] for one in others if one["id"] == default), default))
    if group:
        observed.zonegroups[site.zonegroup] = _tidy_group(group)
    if zone:
        key = zone.get("system_key") or {}
        # A zone's endpoints are written in its zonegroup
        mine: dict[str, t.Any] = next((one for one in group.get("zones", ()) if one["id"] == zone["id"]), {"endpoints": []})
        observed.zones[site.zone] = {
            **_tidy_place(mine, zone.get("realm_id")),
            "pool": zone["user_uid_pool"].partition(":")[0],
            "master": group.get("master_zone") == zone["id"],
            "system_key": {"access_key": key["access_key"], "secret_key": Secret(key["secret_key"])} if key.get("access_key") else None,
        }
    for one in period.get("period_map", {}).get("zonegroups", ()):
        tidy = _tidy_group(one)
        if one["id"] == period["master_zonegroup"]:
            observed.lead_zonegroup, observed.lead_zone = one["name"], tidy["master"]
        if one["name"] == site.zonegroup:
            places = {place["name"]: sorted(place.get("endpoints", ())) for place in one["zones"]}
            where = {"zonegroup": site.zonegroup, "zone": site.zone if site.zone in places else None}
            observed.period = {**tidy, **where, "zone_endpoints": places.get(site.zone, [])}


def _tidy_place(place: t.Mapping[str, t.Any], realm_id: t.Optional[str]) -> dict[str, t.Any]:
    return {"endpoints": sorted(place["endpoints"]), "hostnames": sorted(place.get("hostnames", ())), "realm_id": realm_id}


def _tidy_group(group: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    names, master = {zone["id"]: zone["name"] for zone in group["zones"]}, group.get("master_zone")
    more = {"master": names.get(master, master) or None, "leads": is_true(group.get("is_master", False)), "members": sorted(names.values())}
    return {**_tidy_place(group, group.get("realm_id")), **more}


def plan(site: Site, observed: Observed, cli: RadosgwAdmin, draft: Draft) -> None:
    group, zone, committed = observed.zonegroups.get(site.zonegroup) or {}, observed.zones.get(site.zone) or {}, observed.period or {}
    # Who is the master now, in what is committed before what is only staged here. The first zone of a zonegroup becomes its master, and the
    # first zonegroup of a realm its master; from then on neither changes but by name.
    now = committed.get("master") or group.get("master")
    lead = observed.lead_zonegroup or (site.zonegroup if group.get("leads") else None)
    master = now in (None, site.zone) or bool(site.master)
    leads = lead in (None, site.zonegroup)
    for text in _problems(site, observed, now):
        draft.problem(text)
    endpoints: dict[str, t.Any] = {"endpoints": sorted(site.endpoints)} if site.endpoints else {}
    names = {} if site.hostnames is None else {"hostnames": list(site.hostnames)}
    # A zonegroup's endpoints are those of its master zone, and its names are its master's to change.
    group_want: dict[str, t.Any] = {**endpoints, **names} if master else {}
    if not master and differing(group, names)[1]:
        draft.warn(f"the hostnames of the zonegroup {site.zonegroup} are not those declared here: only its master zone, {now}, changes them")
    zone_want = {**endpoints, **({} if site.system_key is None else {"system_key": dict(site.system_key)})}
    over = lost = ""
    if master and now not in (None, site.zone):
        over = f"what is set of it is its master's, the zone {now}"
        lost = f"the zone {now} would no longer be the master of the zonegroup {site.zonegroup}: what it has not handed over yet would be lost"
    _plan_realm(site, observed, cli, draft)
    realm = (observed.realms.get(site.realm) or {}).get("id")
    _plan_place("zonegroup", site, realm, {**group, "master": group["leads"]} if group else {}, group_want, leads, over, cli, draft)
    _plan_place("zone", site, realm, zone, zone_want, master, lost, cli, draft)

    period = {"zonegroup": site.zonegroup, "zone": site.zone, **group_want, **({} if master or not endpoints else {"zone_endpoints": endpoints["endpoints"]})}
    before, after = differing(committed, period)
    # Which realm is the default is this cluster's own affair
    if not after and not any(change.kind != "realm" or change.action == "create" for change in draft.changes):
        return
    # A commit makes all true that is staged, by whomever; what this plan stages itself has its own risk
    staged = None if any(change.kind == "zone" and change.after.get("master") for change in draft.changes) else group.get("master")
    reason = ""
    if committed.get("master") and staged not in (None, committed["master"]):
        reason = f"{staged} is staged to be the master of the zonegroup {site.zonegroup} instead of {committed['master']}"
    elif group.get("leads") and not leads:
        reason = f"the zonegroup {site.zonegroup} is staged to be the realm's master instead of {lead}"
    # What has been staged takes effect with the next period; also what an earlier run staged and could not commit, where nothing differs.
    action, old = ("update", before) if observed.period else ("create", None)
    commit = functools.partial(cli, "period", "update", "--commit", *site.arguments, place=False)
    draft.add(Change("period", site.realm, action, old, after, commit, needs=draft.ids("realm", "zonegroup", "zone"), **cost(Risk.LOSS, reason)))
    commits_here = not observed.led_elsewhere(site) or (leads and master)
    if not commits_here and site.system_key is None and not zone.get("system_key"):
        draft.problem(
            f"zone {site.zone}: the realm's master zone is {observed.lead_zone}, to which changes must be handed, and this zone has no key for that: "
            "give system_key of the site, the key of a system user of the realm"
        )


def _plan_realm(site: Site, observed: Observed, cli: RadosgwAdmin, draft: Draft) -> None:
    there, others, reason = observed.realms.get(site.realm) is not None, sorted(set(observed.zones) - {site.zone}), ""
    if observed.another_default:
        reason = f"{observed.another_default} would no longer be the default realm: gateways and tools that name no realm would leave it"
    # Gateways that ran without a realm keep their users and buckets in a zone that a realm with another zone would hide.
    if not there and others and not observed.realms and observed.zones.get(site.zone) is None:
        reason = f"the users and buckets of the zone {', '.join(others)} would no longer be seen (name that zone to take it over)"
    default, named = observed.default_realm, f"--rgw-realm={site.realm}"
    have, wish, command = ({"default": default}, {"default": True}, ["default"]) if there else (None, {"name": site.realm}, ["create", "--default"])
    draft.ensure("realm", site.realm, have, wish, functools.partial(cli, "realm", *command, named, place=False), **cost(Risk.LOSS, reason))


def _plan_place(
    kind: str, site: Site, realm: t.Any, have: dict[str, t.Any], wish: dict[str, t.Any], master: bool, reason: str, cli: RadosgwAdmin, draft: Draft
) -> None:
    """Make or change the zonegroup or the zone. realm: its id. have: empty where it is not there. master: of what is above it. reason: why it is a loss."""
    name, before = site.zonegroup if kind == "zonegroup" else site.zone, None
    if not have:
        wish = {"name": name, **wish, "master": master}
    elif have.get("realm_id") and realm and have["realm_id"] != realm:
        draft.problem(f"the {kind} {name} belongs to another realm")
        return
    else:
        before = {**have, "realm": None, "hostnames": have.get("hostnames", [])}
        own = {} if have.get("realm_id") and realm else {"realm": site.realm}
        wish = {**own, **wish, **({"master": True} if master else {})}
    change = functools.partial(_set_place, cli, kind, site, not have, bool(reason))
    draft.ensure(kind, name, before, wish, functools.partial(change, wish), change, needs=draft.ids("realm", "zonegroup"), **cost(Risk.LOSS, reason))


def _problems(site: Site, observed: Observed, now: t.Optional[str]) -> t.Iterator[str]:
    """What of the declaration goes against what the realm is. now: the zonegroup's master zone, None where it has none."""
    if site.master is False and now is None:
        yield (
            f"zone {site.zone}: master is false, and the zonegroup {site.zonegroup} has no master on this cluster's knowledge: pull the realm first "
            f"(radosgw-admin realm pull --rgw-realm={site.realm} --url=… on a host of the gateways), or leave master out"
        )
    elif site.master is False and now == site.zone:
        yield f"zone {site.zone}: master is false, and it is the master of the zonegroup {site.zonegroup}: make another zone its master first"
    elif site.zone not in observed.zones and site.zone in (observed.zonegroups.get(site.zonegroup) or {}).get("members", ()):
        yield f"zone {site.zone}: the zonegroup {site.zonegroup} has a zone of that name on another cluster: give this cluster's zone another name"


def _set_place(cli: RadosgwAdmin, kind: str, site: Site, new: bool, over: bool, after: t.Mapping[str, t.Any]) -> None:
    """Make or change the zonegroup or the zone. after: what differs; of the rest nothing is said. over: whether it takes another's place."""
    where = site.arguments if kind == "zone" else site.arguments[:2]
    arguments = [*where, *(["--master"] if after.get("master") else [])]
    if over or not cli(kind, "list", place=False).get("default_info"):
        arguments.append("--default")  # where none is named
    if after.get("endpoints"):
        arguments.append("--endpoints=" + ",".join(after["endpoints"]))
    cli(kind, "create" if new else "modify", *arguments, place=False)
    if new and kind == "zone":  # Ceph 16 forgets the realm of a new zone, though it says that it kept it
        cli(kind, "modify", *arguments, place=False)
    # What no option sets, or only on the command line, where a secret is seen.
    documents = {key: after[key] for key in ("hostnames", "system_key") if key in after}
    if documents.get("system_key"):
        documents["system_key"] = {**documents["system_key"], "secret_key": documents["system_key"]["secret_key"].reveal()}
    have = cli(kind, "get", *where, place=False) if documents else {}
    if any(have.get(key) != value for key, value in documents.items()):
        cli(kind, "set", *where, place=False, body=json.dumps({**have, **documents}))
