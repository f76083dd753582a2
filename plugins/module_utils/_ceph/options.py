# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the cluster's configuration database, compared by the type that the cluster itself says they have.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.draft import Declared, Draft, cost, view
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Risk, Secret

_SECTION = re.compile(r"(global|mon|mgr|osd|mds|client)(\.[^/\s]+)?")
_MASK = re.compile(r"(class|host|chassis|rack|row|pdu|pod|room|datacenter|zone|region|root):[^/\s]+")
# Set by daemons, by their own roles or by managers' modules, not by ceph_cluster: never pruned.
_SERVICE = re.compile(r"mgr/.*|osd_(mclock_max_capacity_iops_|memory_target).*|container_image|fsid|mon_host|(public|cluster)_network|auth_allow_insecure.*")
# Of one daemon, or of one client: as those.
_OF_DAEMON = re.compile(r"client\.|(mon|mgr|osd|mds)\.")
# These decide what a pool may be or becomes.
_OF_POOLS = ("osd_pool_default_", "mon_max_p", "mon_allow_")
_SECRET = re.compile(r"(password|passwd|secret|access_key|token|(^|[/_])key)$")
# rbd_default_features is kept as a number, in the order of librbd's bits.
_FEATURES = ("layering", "striping", "exclusive-lock", "object-map", "fast-diff", "deep-flatten", "journaling", "data-pool", "operations", "migrating")
# How each of the cluster's own types is read. Texts are not among them.
_FORMS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "bool": values.boolean, "int": values.count, "uint": values.count, "size": values.size, "float": values.decimals, "secs": values.duration,
    "millisecs": values.count, "addr": values.address, "addrvec": values.addresses,
}  # fmt: skip


def split_section(text: str) -> tuple[str, str]:
    """("osd", "class:ssd/host:a") of "osd/host:a/class:ssd": the section, and the masks in their order. Raises ValueError."""
    section, *masks = str(text).strip().split("/")
    if not _SECTION.fullmatch(section):
        raise ValueError(f"'{text}' is no section: write global, mon, mgr, osd, mds, client, one daemon (osd.3), and a mask if you like (osd/class:ssd)")
    for mask in masks:
        if not _MASK.fullmatch(mask):
            raise ValueError(f"'{mask}' in '{text}' is no mask: write class:NAME, host:NAME, or another CRUSH type with a name")
    # Ceph would keep osd.03, and no daemon has that name
    return re.sub(r"^osd\.0+(?=\d+$)", "osd.", section), "/".join(sorted(masks))


def who(text: str) -> str:
    """The one spelling of a section with its masks. Raises ValueError."""
    return "/".join(filter(None, split_section(text)))


def normalise(name: str, value: t.Any, about: t.Optional[Declared]) -> t.Any:
    """The meaning of an option's value. about: what `config help` says of it, None where that is not known. Raises ValueError."""
    kind = (about or {}).get("type", "str")
    if kind in _FORMS:
        return _FORMS[kind](value)
    text = values.word(value, (about or {}).get("enum_values") or ())
    if name == "rbd_default_features":
        names = set(filter(None, map(str.strip, re.split("[+,]", text))))
        unknown = sorted(names - {*_FEATURES})
        if unknown and not text.isdigit():
            raise ValueError(f"'{unknown[0]}' is no image feature")
        return int(text) if text.isdigit() else sum(1 << _FEATURES.index(name) for name in names)
    levels = re.fullmatch(r"(\d+)(?:/(\d+))?", text) if name.startswith("debug_") else None
    if levels:
        return f"{int(levels[1])}/{int(levels[2] or levels[1])}"
    if about is None:  # a manager's module may have it be a number
        with contextlib.suppress(ValueError):
            return values.decimals(text)
    return values.fsid(text) if kind == "uuid" else text


def written(name: str, value: t.Any, about: t.Optional[Declared]) -> str:
    """A value as Ceph is told it. Sizes and durations go as plain numbers: not every release reads each unit."""
    if (about or {}).get("type") in ("size", "int", "uint", "secs", "millisecs", "bool") or name == "rbd_default_features":
        meant = normalise(name, value, about)
        return str(meant).lower() if isinstance(meant, bool) else str(meant)
    return values.word(value, (about or {}).get("enum_values") or ())


def flat(declared: Declared) -> list[tuple[str, str, t.Any]]:
    """The declaration as (section, option, value)."""
    return [(section, _option_name(name), value) for section, options in declared.items() for name, value in (options or {}).items()]


def declared_int(declared: Declared, name: str, otherwise: int) -> int:
    """An option of the mons as the declaration will have it, the given where it says nothing."""
    for section, option, value in flat(declared):
        if option == name and section in ("global", "mon") and value is not None:
            with contextlib.suppress(ValueError):
                return values.count(value)
    return otherwise


def _option_name(text: t.Any) -> str:
    name = str(text).strip()
    return name if "/" in name else re.sub(r"[\s-]", "_", name)


def problems(declared: Declared, where: str) -> t.Iterator[str]:
    """What is wrong with the declaration alone: sections, and options that are said twice."""
    seen: dict[tuple[str, str], str] = {}
    for section, options in declared.items():
        try:
            name = who(section)
        except ValueError as error:
            yield f"{where}: {error}"
            continue
        if options is not None and not isinstance(options, dict):
            yield f"{where}.{section}: write the options of a section as a dictionary"
            continue
        for option, value in (options or {}).items():
            if isinstance(value, (dict, list)):
                yield f"{where}.{section}.{option}: one value is wanted, not a {'list' if isinstance(value, list) else 'dictionary'}"
            one = (name, _option_name(option))
            if one in seen:
                places = f" in {section}" if seen[one] == section else f", in {seen[one]} and in {section}, which are the same"
                yield f"{where}: {one[1]} is declared twice{places}: keep one of them"
            seen.setdefault(one, section)


@view
def of_pools(draft: Draft) -> t.FrozenSet[str]:
    """The ids of the declared options that decide what a pool may be or becomes."""
    declared = flat(draft.declaration["options"])
    return frozenset(f"option/{who(section)}/{option}" for section, option, _value in declared if option.startswith(_OF_POOLS))


def plan(draft: Draft) -> None:
    """Plan options. A value of None means: not set."""
    maps = draft.maps
    existing = {f"{section}/{option}": (section, option, value) for (section, option), value in maps.options.items()}
    kept = [id_ for id_, (section, option, _value) in existing.items() if _SERVICE.fullmatch(option) or _OF_DAEMON.match(section)]
    declared: list[tuple[str, Declared]] = []
    for section, option, value in flat(draft.declaration["options"]):
        place, state = who(section), "absent" if value is None else "present"
        item: Declared = {"name": f"{place}/{option}", "state": state, "who": place, "option": option, "value": value}
        declared.append((f"{draft.prefix}options.{section}.{option}", item))
    for here, item, has in draft.walk("options", existing, _delete, kept, declared):
        option, value = item["option"], item["value"]
        about = maps.help.get(option)
        if about is None and option.startswith("mgr/") and not any(maps.mgr_modules.values()) and not maps.empty:
            draft.warn(f"{here}: no manager answers, so its type is not known: it is compared as text")
        elif about is None and not maps.empty:
            draft.problem(f"{here}: Ceph {values.shown(maps.release)} knows no such option: correct its name, or leave it out")
            continue
        wrong = check(option, value, about)
        if about and "no_mon_update" in about.get("flags", []):
            draft.problem(f"{here}: it cannot stand in the configuration database: Ceph needs it before it can read that")
        elif wrong:
            draft.problem(f"{here}: {wrong}")
        elif has is None or not _same(option, has[2], value, about):
            text = written(option, value, about)
            apply = draft.later("config set", who=item["who"], name=option, value=text)
            draft.ensure("option", item["name"], has and _shown(option, has[2]), _shown(option, text), apply, **_restart(about))


def _restart(about: t.Optional[Declared]) -> dict[str, t.Any]:
    at_once = (about or {}).get("can_update_at_runtime", True)
    return cost(Risk.RESTART, "" if at_once else "it takes effect once the daemons it is for have been restarted: run cephstack.cloud.restart")


def _shown(option: str, text: str) -> dict[str, t.Any]:
    return {"value": Secret(text) if _SECRET.search(option) else text}


def _delete(draft: Draft, _here: str, name: str, existing: tuple[str, str, str], pruned: str) -> None:
    section, option, value = existing
    apply = draft.later("config rm", who=section, name=option)
    if pruned:
        draft.remove("option", name, _shown(option, value), apply, pruned, "its default applies from then on")
    else:
        draft.ensure("option", name, _shown(option, value), None, apply, **_restart(draft.maps.help.get(option)))


def check(option: str, value: t.Any, about: t.Optional[Declared]) -> str:
    """Say what is wrong with a value, "" where nothing is."""
    try:
        meant = normalise(option, value, about)
    except ValueError as error:
        return str(error)
    about = about or {}
    allowed = about.get("enum_values") or []
    if allowed and str(meant) not in allowed:
        quotes = " (YAML reads on, off, yes and no as truth values: put words into quotes)" if isinstance(value, bool) else ""
        return f"'{meant}' is not one of {', '.join(allowed)}{quotes}"
    if about.get("type") == "float" and not meant and values.number(value):
        return f"'{value}' would become 0: Ceph keeps six decimals"
    if about.get("type") == "uint" and meant < 0:
        return f"'{value}' is less than 0"
    if isinstance(meant, (int, float)) and not isinstance(meant, bool):
        for key, sign, what in (("min", 1, "less than its least"), ("max", -1, "more than its greatest")):
            with contextlib.suppress(ValueError):  # not every bound is a number
                if sign * meant < sign * float(str(about.get(key, ""))):
                    return f"{value} is {what} value, {about[key]}"
    return ""


def _same(option: str, has: str, value: t.Any, about: t.Optional[Declared]) -> bool:
    with contextlib.suppress(ValueError):  # what is there may be malformed, and so another
        return bool(normalise(option, has, about) == normalise(option, value, about))
    return False
