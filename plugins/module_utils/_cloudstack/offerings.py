# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk and service (compute) offerings: the catalogue of which a guest is made.

CloudStack takes any number of one name; here a name is one offering. A deleted one is in no list, and goes on serving what was made of it.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import pairs
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, odd, present, text, words
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, mapping, presence, string, strings

# What both kinds say of the volumes.
_VOLUME: dict[str, t.Any] = {
    "tags": strings(
        "Only storage that has all of these tags takes the volumes. It is an error if no primary storage has them. Left out, they are left alone; an "
        "empty list takes them away."
    ),
    "storage": choice("Whether volumes are on primary storage that hosts share, or on a host's own disks.", ["shared", "local"], default="shared"),
    "provisioning": choice("How space is allocated. On Ceph it is always allocated as it is used.", ["thin", "sparse", "fat"]),
    "cache_mode": choice("How the hypervisor caches writes.", ["none", "writeback", "writethrough", "hypervisor_default"]),
    "read_iops": integer("How many reads a second a volume may do. V(0) is no limit; CloudStack cannot take a limit away again."),
    "write_iops": integer("How many writes a second a volume may do, as C(read_iops)."),
    "read_bytes": integer("How many bytes a second may be read from a volume, as C(read_iops)."),
    "write_bytes": integer("How many bytes a second may be written to a volume, as C(read_iops)."),
    "encrypt": boolean("Whether volumes are encrypted by the hypervisor. On Ceph CloudStack up to 4.22 cannot do that."),
    "zones": strings("The zones in which it is offered. By default all."),
}
_NAMED: dict[str, t.Any] = {
    "name": string("Its name. CloudStack takes several of one name; here a name is one, and several are an error that lists them.", required=True),
    "state": presence("Whether it is offered. V(absent) ends the offer; what was made of it keeps it."),
    "display_text": string("What users read. By default the name. Left out, it is left alone."),
}
DISK_OPTIONS: dict[str, t.Any] = {
    **_NAMED,
    "size": integer("The size in GiB. Left out, whoever makes a volume says its size."),
    "strict_size": boolean("Whether the size of a volume stays as it is made."),
    "visible": boolean("Whether users see it."),
    **_VOLUME,
}
SERVICE_OPTIONS: dict[str, t.Any] = {
    **_NAMED,
    "cpu_number": integer("How many virtual CPUs."),
    "cpu_speed": integer("The speed of each in MHz. CloudStack counts a host's capacity by it."),
    "memory": integer("Memory in MiB."),
    "min_cpu_number": integer("The fewest virtual CPUs that can be chosen."),
    "max_cpu_number": integer("The most virtual CPUs that can be chosen."),
    "min_memory": integer("The least memory that can be chosen, in MiB."),
    "max_memory": integer("The most memory that can be chosen, in MiB."),
    "root_disk_size": integer("The size of the root disk in GiB. By default, and with V(0), that of the template."),
    "host_tags": strings("Only hosts that have all of these tags run the guests. Left out, they are left alone."),
    "network_rate": integer("The rate of the network in Mbit/s, V(0) for no limit. By default what the server's settings say."),
    "high_availability": boolean(
        "Whether a guest is started on another host when its own is lost. CloudStack needs an NFS primary storage for that, RBD alone is not enough."
    ),
    "limit_cpu": boolean("Whether a guest never gets more than its CPU speed."),
    "volatile": boolean("Whether the root disk is made anew at each start."),
    "dynamic_scaling": boolean("Whether a running guest may be given more CPU and memory."),
    "details": mapping("Further details, by name."),
    **_VOLUME,
}
DISK_LISTS = ("zones", "storage_pools", "disk_offerings")
SERVICE_LISTS = ("zones", "storage_pools", "service_offerings")


class Field(t.NamedTuple):
    """One option of an offering: its key in a list, its parameter, and how values are compared (_FORMS).

    update: "" where it can't be changed, "own" where the offering's own command does it, "disk" where that of the disk offering does
    (a service offering has one that is its own). updateServiceOffering changes tags too, and then says that it failed (4.22, seen).
    """

    option: str
    row: str
    parameter: str
    form: str
    update: str


# How the value of a list is read, by an option's type: as the operator would have written it. A rate that is not limited is 0.
_FORMS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "str": lambda value: value,
    "bool": lambda value: str(value).lower() == "true",
    "int": lambda value: None if value in (None, "") else int(value),
    "rate": lambda value: int(value or 0),
    "list": words,
}
# Key of a list and parameter, where they are not the option's name without underscores.
_CALLED = {
    "storage": ("storagetype", "storagetype"), "provisioning": ("provisioningtype", "provisioningtype"), "cache_mode": ("cacheMode", "cachemode"),
    "read_iops": ("diskIopsReadRate", "iopsreadrate"), "write_iops": ("diskIopsWriteRate", "iopswriterate"),
    "read_bytes": ("diskBytesReadRate", "bytesreadrate"), "write_bytes": ("diskBytesWriteRate", "byteswriterate"),
    "size": ("disksize", "disksize"), "strict_size": ("disksizestrictness", "disksizestrictness"), "visible": ("displayoffering", "displayoffering"),
    "high_availability": ("offerha", "offerha"), "limit_cpu": ("limitcpuuse", "limitcpuuse"), "volatile": ("isvolatile", "isvolatile"),
    "dynamic_scaling": ("dynamicscalingenabled", "dynamicscalingenabled"), "zones": ("zone", "zoneid"),
}  # fmt: skip
_RATES = ("read_iops", "write_iops", "read_bytes", "write_bytes")
_UPDATES = {**dict.fromkeys(("display_text", "visible", "host_tags", "zones"), "own"), **dict.fromkeys(("tags", "cache_mode", *_RATES), "disk")}
_LIMITS = ("min_cpu_number", "max_cpu_number", "min_memory", "max_memory")


def _fields(options: Item, **called: tuple[str, str]) -> tuple[Field, ...]:
    found = []
    for option in options.keys() - {"name", "state", "details"}:
        row, parameter = {**_CALLED, **called}.get(option, (option.replace("_", ""),) * 2)
        form = "rate" if option in (*_RATES, "root_disk_size") else options[option]["type"]
        found.append(Field(option, row, parameter, form, _UPDATES.get(option, "")))
    return tuple(sorted(found))


class _Sort(t.NamedTuple):
    """What differs between the two kinds. noun: in Create... size: the option that is left out where the user chooses; sized: what he chooses."""

    kind: str
    noun: str
    fields: t.Tuple[Field, ...]
    size: str
    sized: str


_DISK = _Sort("disk_offering", "DiskOffering", _fields(DISK_OPTIONS), "size", "the size")
_SERVICE_FIELDS = _fields(SERVICE_OPTIONS, tags=("storagetags", "tags"), encrypt=("encryptroot", "encryptroot"))
_SERVICE = _Sort("service_offering", "ServiceOffering", _SERVICE_FIELDS, "memory", "the CPU and memory")


def _common_problems(declared: t.Sequence[Item], where: str, found: list[str]) -> t.Iterator[tuple[Place, Item]]:
    """The offerings that are to be there. What is wrong with either kind is added to found."""
    for here, item in present(declared, where, found):
        here.refuse(not item["name"].strip(), "the name is empty")
        found += [f"{here}: {option} is negative" for option, value in item.items() if isinstance(value, int) and value < 0]
        for option in ("tags", "host_tags", "zones"):
            found += [f"{here}: {option}: '{word}' is empty or has a comma in it: a list has one word an entry" for word in odd(item.get(option))]
        here.refuse(item.get("zones") == [], "zones is empty: name some, or leave it out for all")
        yield here, item


def disk_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    problems: list[str] = []
    for here, item in _common_problems(declared, where, problems):
        here.refuse(item.get("size") == 0, "size is 0: leave it out, and whoever makes a volume says its size")
    return problems


def service_problems(declared: t.Sequence[Item], where: str) -> list[str]:
    problems: list[str] = []
    for here, item in _common_problems(declared, where, problems):
        given = {option: value for option, value in item.items() if value is not None}
        fixed, limits = ([option for option in options if option in given] for options in (("cpu_number", "memory"), _LIMITS))
        here.refuse(len(fixed) == 1, f"{', '.join(fixed)} is given alone: give cpu_number and memory, or neither, and whoever makes a guest chooses")
        here.refuse(fixed and limits, f"{', '.join(limits)}: only where cpu_number and memory are left out, so that there is a choice")
        here.refuse(0 < len(limits) < 4, "give all of min_cpu_number, max_cpu_number, min_memory and max_memory, or none")
        here.refuse((fixed or limits) and "cpu_speed" not in given, "cpu_speed is missing (MHz)")
        here.refuse(given.get("memory", 32) < 32, f"memory is {item.get('memory')} MiB, and CloudStack takes 32 at least")
        for low, high in (_LIMITS[:2], _LIMITS[2:]):
            here.refuse(low in given and high in given and given[low] > given[high], f"{low} is more than {high}")
    return problems


def _plan(sort: _Sort, declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    def delete(item: Item, row: Row) -> None:
        before = {option: value for option, value in _before(sort, row).items() if value not in (None, [], 0, False, "")}
        reason = "guests and volumes that were made of it keep it"
        draft.ensure(sort.kind, item["name"], before, None, lambda: region.client.call(f"delete{sort.noun}", id=row["id"]), reason=reason)

    known = draft.zone_names(region)
    for here, item, row in draft.each(f"{sort.kind}s", declared, region, delete):
        strange = ", ".join(name for name in item.get("zones") or () if name not in known)
        here.refuse(strange, f"zones: there is no zone {strange}")
        _check_tags(here, item, region, draft)
        if row is None:
            _create(sort, item, region, draft)
        else:
            _update(sort, here, item, row, region, draft)


plan_disk, plan_service = functools.partial(_plan, _DISK), functools.partial(_plan, _SERVICE)


def pools_as_declared(region: Region, draft: Draft) -> list[tuple[str, set[str], t.Mapping[str, t.Any]]]:
    """The primary storages as they will be: zone, tags, and the row or the declaration."""
    found: dict[tuple[str, str], tuple[set[str], t.Mapping[str, t.Any]]] = {}
    for row in region.rows("storage_pools"):
        found[row.get("zonename", ""), row["name"]] = set(words(row.get("tags"))), row
    for item in draft.declaration.get("primary_storage") or ():
        key = item["zone"], item["name"]
        if item["state"] == "absent":
            found.pop(key, None)
        elif item.get("tags") is not None or key not in found:
            found[key] = set(words(item.get("tags"))), found[key][1] if key in found else item
    return [(zone, *known) for (zone, _name), known in found.items()]


def _check_tags(here: Place, item: Item, region: Region, draft: Draft) -> None:
    """An offering whose tags no storage has makes guests that can be put nowhere. CloudStack takes it without a word."""
    tags, zones = set(words(item.get("tags"))), item.get("zones") or ()
    pools = [(has, pool) for zone, has, pool in pools_as_declared(region, draft) if not zones or zone in zones]
    # A pool may have a rule (JavaScript) in the place of tags; what it takes is not known here.
    if item["storage"] == "local" or not tags or any(tags <= has or pool.get("istagarule") for has, pool in pools):
        return
    where = f" in {', '.join(zones)}" if zones else ""
    together = "the tag" if len(tags) == 1 else "all of the tags"
    known = ", ".join(sorted({tag for has, _pool in pools for tag in has})) or "none"
    remedy = "tag one (primary_storage[].tags), or correct the offering's tags"
    draft.problem(f"{here}: no primary storage{where} has {together} {', '.join(sorted(tags))} (there are: {known}): {remedy}")


def _after(sort: _Sort, item: Item) -> dict[str, t.Any]:
    """What is declared, in the form in which it is compared; what is left out is not compared."""
    given = {field: item[field.option] for field in sort.fields if item.get(field.option) is not None}
    return {field.option: words(value) if field.form == "list" else value for field, value in given.items()}


def _before(sort: _Sort, row: Row) -> dict[str, t.Any]:
    details = row.get("serviceofferingdetails") or {}
    return {field.option: _FORMS[field.form](row.get(field.row, details.get(field.row))) for field in sort.fields}


def _sent(sort: _Sort, values: Item, region: Region, *updates: str) -> dict[str, t.Any]:
    """Values as parameters: those of all fields, or of those that are updated so."""
    sent = {field.parameter: values[field.option] for field in sort.fields if field.option in values and (not updates or field.update in updates)}
    if "zoneid" in sent:
        sent["zoneid"] = [region.id("zones", name) for name in sent["zoneid"]]
    return sent


def _create(sort: _Sort, item: Item, region: Region, draft: Draft) -> None:
    after, details, chosen = _after(sort, item), item.get("details") or {}, item.get(sort.size) is None
    unlimited = [field.option for field in sort.fields if field.form == "rate" and not after.get(field.option)]

    def apply() -> None:
        params = _sent(sort, {option: value for option, value in after.items() if option not in unlimited}, region)
        params.update(pairs("serviceofferingdetails", {key: text(value) for key, value in details.items()}))
        if chosen or sort is _DISK:
            params["customized"] = chosen
        answer = region.client.call(f"create{sort.noun}", name=item["name"], **{"displaytext": item["name"], **params})
        region.made(f"{sort.kind}s", item["name"], next(iter(answer.values())))

    shown = {**after, "details": dict(details)} if details else after
    draft.ensure(sort.kind, item["name"], None, shown, apply, needs=(f"zone/{name}" for name in item.get("zones") or ()))


def _update(sort: _Sort, here: Place, item: Item, row: Row, region: Region, draft: Draft) -> None:
    after, chosen, differs = _after(sort, item), item.get(sort.size) is None, []
    if chosen != bool(row.get("iscustomized")):
        became = "it has would become the choice of the user" if chosen else "that the user chooses would become fixed"
        differs.append(f"{sort.sized} {became}")
        after = {option: value for option, value in after.items() if option not in ("size", "cpu_number", "cpu_speed", "memory")}
    left, right = differing(_before(sort, row), after)
    for field in sort.fields:
        if field.option in right and not field.update:
            differs.append(f"{field.option} is {left[field.option]}, and {right[field.option]} is declared")
        elif field.form == "rate" and right.get(field.option) == 0:
            differs.append(f"{field.option} is limited to {left[field.option]}, and no limit (0) is declared")
    existing, details = row.get("serviceofferingdetails") or {}, {key: text(value) for key, value in (item.get("details") or {}).items()}
    differs += [f"details: {key} is {existing.get(key, 'not there')}, and {details[key]} is declared" for key in differing(existing, details)[1]]
    remedy = "declare an offering of another name, or delete this one (state: absent) and declare it again; what was made of it keeps it as it was"
    if here.refuse(differs, f"{'; '.join(differs)}. CloudStack cannot change that: {remedy}"):
        return

    def apply() -> None:
        if sort is _DISK:
            region.client.call("updateDiskOffering", id=row["id"], **_sent(sort, right, region))
            return
        for command, owner, sent in (("Service", "id", _sent(sort, right, region, "own")), ("Disk", "diskofferingid", _sent(sort, right, region, "disk"))):
            if sent:
                region.client.call(f"update{command}Offering", id=row[owner], **sent)

    reason = "holds for volumes that are made from now on" if "tags" in right else ""
    draft.ensure(sort.kind, item["name"], left, right, apply, reason=reason, needs=(f"zone/{name}" for name in right.get("zones") or ()))
